"""An authoritative nameserver (Debian's nsd) in the foreground on a loopback port, for a zone given as a dictionary."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query

from tests.peers.harness import free_port, until


class Nsd:
    """Serves ``{name: {type: [values]}}`` as the root zone, so that every other name is NXDOMAIN."""

    def __init__(self, zone: dict[str, Any]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gateway-nsd-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        lines = [
            "$ORIGIN .",
            "$TTL 60",
            ". IN SOA ns.example. admin.example. 1 3600 600 86400 60",
            ". IN NS ns.example.",
        ]
        for name, records in zone.items():
            for kind, values in records.items():
                lines += [f"{name}. IN {kind} {_data(kind, value)}" for value in values]
        (self.folder / "root.zone").write_text("\n".join(lines) + "\n")
        (self.folder / "nsd.conf").write_text(
            f"""
server:
  ip-address: 127.0.0.1@{self.port}
  username: "nsd"
  zonesdir: "{self.folder}"
  database: ""
  pidfile: "{self.folder}/nsd.pid"
  xfrdfile: "{self.folder}/xfrd.state"
  zonelistfile: "{self.folder}/zone.list"
  logfile: "{self.folder}/nsd.log"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "root.zone"
"""
        )
        shutil.chown(self.folder, "nsd", "nsd")
        self.process = subprocess.Popen(
            ["nsd", "-d", "-c", str(self.folder / "nsd.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def up() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"nsd ended: {(self.folder / 'nsd.log').read_text()}")
            try:
                query = dns.message.make_query(".", "SOA")
                return bool(dns.query.udp(query, "127.0.0.1", port=self.port, timeout=0.5).answer)
            except (OSError, dns.exception.DNSException):
                return False

        until(up, 20, "nsd")

    def close(self) -> None:
        """Ends it and removes its folder."""
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def _data(kind: str, value: Any) -> str:
    if kind == "MX":
        return f"{value[0]} {value[1]}."
    if kind != "TXT":
        return value if kind in ("A", "AAAA") else f"{value}."
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{text[start : start + 250]}"' for start in range(0, len(text) or 1, 250))
