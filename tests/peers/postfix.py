"""A Postfix of its own in the foreground, on a loopback port, in a folder its users can enter; ended by its own command."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.peers.harness import free_port, until


class Postfix:
    """Takes mail for introserv.com and hands it to the LMTP server on ``lmtp_port``; all other mail to ``sink_port``."""

    def __init__(self, lmtp_port: int, sink_port: int, extra: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gateway-postfix-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.port = free_port()
        etc, queue, data = self.folder / "etc", self.folder / "queue", self.folder / "data"
        for path in (etc, queue, data):
            path.mkdir()
        shutil.chown(data, "postfix", "postfix")
        (etc / "main.cf").write_text(
            f"""
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {self.folder}/mail.log
maillog_file_prefixes = {self.folder}
myhostname = mx.introserv.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.1/32
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = introserv.com
virtual_mailbox_maps = regexp:{etc}/mailboxes
virtual_transport = lmtp:inet:127.0.0.1:{lmtp_port}
lmtp_send_xforward_command = yes
recipient_delimiter = +
relayhost = [127.0.0.1]:{sink_port}
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_authorized_xclient_hosts = 127.0.0.1
disable_dns_lookups = yes
alias_maps =
minimal_backoff_time = 1s
{extra}
"""
        )
        (etc / "mailboxes").write_text("/^(support|bounces|postmaster)(\\+.*)?@introserv\\.com$/ ok\n")
        services = (
            "pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 1 1 qmgr",
            "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
            "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush",
            "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp", "lmtp unix - - n - - lmtp",
            "error unix - - n - - error", "retry unix - - n - - error", "anvil unix - - n - 1 anvil",
            "tlsmgr unix - - n 1000? 1 tlsmgr", "postlog unix-dgram n - n - 1 postlogd",
        )  # fmt: skip
        (etc / "master.cf").write_text("\n".join([f"127.0.0.1:{self.port} inet n - n - - smtpd", *services]) + "\n")
        shutil.copy("/etc/postfix/dynamicmaps.cf", etc / "dynamicmaps.cf") if Path(
            "/etc/postfix/dynamicmaps.cf"
        ).exists() else None
        self.process = subprocess.Popen(
            ["postfix", "-c", str(etc), "start-fg"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )  # fmt: skip

        def up() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"Postfix ended: {self.process.stderr.read() if self.process.stderr else ''}{self.log()}"
                )
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(up, 30, "Postfix")

    def log(self) -> str:
        path = self.folder / "mail.log"
        return path.read_text() if path.exists() else ""

    def stop(self) -> None:
        subprocess.run(["postfix", "-c", str(self.folder / "etc"), "stop"], capture_output=True, check=False)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        if self.process.stderr is not None:
            self.process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)
