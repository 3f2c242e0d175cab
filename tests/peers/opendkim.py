"""An OpenDKIM that signs for one domain, in the foreground on a loopback port, under its own user."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.peers.harness import free_port, until


class OpenDkim:
    """A milter; ``record`` is the TXT record of ``<selector>._domainkey.<domain>``."""

    def __init__(self, domain: str, selector: str = "mail") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gateway-opendkim-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.port = free_port()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        secret = self.folder / "key.pem"
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        secret.chmod(0o600)
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.record = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
        (self.folder / "opendkim.conf").write_text(
            f"Domain {domain}\nSelector {selector}\nKeyFile {secret}\nSocket inet:{self.port}@127.0.0.1\nMode s\n"
            "Canonicalization relaxed/simple\nInternalHosts 127.0.0.1\nOversignHeaders From\nUserID opendkim\nUMask 007\nRequireSafeKeys no\nSyslog no\n"
        )
        for path in (self.folder, secret):
            shutil.chown(path, "opendkim", "opendkim")
        self.process = subprocess.Popen(
            ["opendkim", "-f", "-x", str(self.folder / "opendkim.conf"), "-P", str(self.folder / "pid")],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

        def up() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"OpenDKIM ended: {self.process.stderr.read() if self.process.stderr else ''}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(up, 20, "OpenDKIM")

    def close(self) -> None:
        """Ends it and removes its folder."""
        self.process.terminate()
        self.process.wait(10)
        if self.process.stderr is not None:
            self.process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)
