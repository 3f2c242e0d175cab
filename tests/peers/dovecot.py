"""A Dovecot of its own in the foreground, on loopback ports, in a folder its users can enter; ended by its process id."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from imapclient import IMAPClient

from tests.peers.harness import free_port, until

USER, PASSWORD = "support@introserv.com", "correct-horse"
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = gateway-{port}
log_path = {folder}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = {ssl}
{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login
default_internal_user = dovecot
default_login_user = dovenull
default_internal_group = dovecot
first_valid_uid = 1
mail_uid = mail
mail_gid = mail
mail_location = maildir:{folder}/mail/%u
mail_max_userip_connections = 100
mailbox_list_index = no
recipient_delimiter = +
lmtp_save_to_detail_mailbox = no
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/home/%u allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
service anvil {{
  unix_listener anvil {{
    mode = 0600
  }}
}}
"""


class Dovecot:
    """The mailbox of ``USER``. ``certificate``: (certificate, key) for port ``tls_port``."""

    def __init__(
        self, certificate: tuple[Path, Path] | None = None, separator: str = "/", prefix: str = "", extra: str = ""
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gateway-dovecot-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.port, self.tls_port, self.lmtp_port = free_port(), free_port(), free_port()
        for name in ("mail", "home", "state"):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, "mail", "mail")
        lines = ""
        if certificate is not None:
            for path, name in zip(certificate, ("cert.pem", "key.pem"), strict=True):
                shutil.copy(path, self.folder / name)
            lines = f"ssl_cert = <{self.folder}/cert.pem\nssl_key = <{self.folder}/key.pem"
        text = CONFIG.format(
            folder=self.folder, port=self.port, tls_port=self.tls_port, lmtp_port=self.lmtp_port, password=PASSWORD,
            ssl="yes" if certificate else "no", certificate=lines, separator=separator, prefix=prefix,
        )  # fmt: skip
        (self.folder / "dovecot.conf").write_text(text + extra)
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

        def up() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"Dovecot ended: {self.process.stderr.read() if self.process.stderr else ''}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(up, 20, "Dovecot")

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):  # sessions outlive their master
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.stderr is not None:
            self.process.stderr.close()

    def close(self) -> None:
        """Ends it and removes its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        path = self.folder / "dovecot.log"
        return path.read_text() if path.exists() else ""

    def account(self, name: str = "support", **keys: Any) -> dict[str, Any]:
        """An ``[[imap]]`` entry for this mailbox."""
        secret = self.folder / "password"
        if not secret.exists():
            secret.write_text(PASSWORD + "\n")
            os.chmod(secret, 0o600)
        return {
            "name": name, "host": "127.0.0.1", "port": self.port, "security": "none", "username": USER,
            "password_file": str(secret), "poll_interval": "5s", "timeout": "10s",
        } | keys  # fmt: skip

    @contextlib.contextmanager
    def client(self) -> Any:
        """A mail program of somebody else, logged in."""
        client = IMAPClient("127.0.0.1", self.port, ssl=False, timeout=20)
        try:
            client.login(USER, PASSWORD)
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.logout()

    def append(self, raw: bytes, folder: str = "INBOX", **more: Any) -> None:
        """Puts a mail into a folder."""
        with self.client() as client:
            client.append(folder, raw, **more)

    def count(self, folder: str) -> int:
        """The mails of a folder; 0 where there is none."""
        with self.client() as client:
            if not client.folder_exists(folder):
                return 0
            return int(client.folder_status(folder, ["MESSAGES"])[b"MESSAGES"])

    def maildir(self, folder: str = "INBOX") -> Path:
        """Where a folder lies on the disk."""
        root = self.folder / "mail" / USER
        return root if folder == "INBOX" else root / f".{folder}"

    def new_uidvalidity(self, folder: str = "INBOX") -> None:
        """Every UID of the folder changes, as after a restore from a backup."""
        for name in ("dovecot-uidlist", "dovecot.index", "dovecot.index.log", "dovecot.index.cache"):
            (self.maildir(folder) / name).unlink(missing_ok=True)
