"""CPU milliseconds a mail, everything on: ``python -m bench.throughput [--mails 1000] [--database URL]``.

A running daemon takes signed mails of 5 KB from eight senders at once: SPF, DKIM (RSA-2048), DMARC, extraction, ticket, two-part
reply at the relay. Counted: the daemon and all its children; not counted: senders, nameserver, relay. In the same run, a bare
aiosmtpd that writes and fsyncs each mail gives the ratio.
"""

from __future__ import annotations

import argparse
import os
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.demo import ZONE
from tests.peers.harness import LoopbackPeers, Running, until

BARE = """
import asyncio, os, sys
from aiosmtpd.smtp import SMTP
class Handler:
    count = 0
    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        descriptor = os.open(os.path.join(sys.argv[1], str(self.count)), os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, envelope.original_content); os.fsync(descriptor); os.close(descriptor)
        return "250 OK"
async def main():
    loop = asyncio.get_running_loop(); handler = Handler()
    server = await loop.create_server(lambda: SMTP(handler, hostname="x", loop=loop), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
FILLER = "The log says nothing of interest, and the graph is flat since the last restart of the machine.\r\n" * 40


def signed_mails(count: int) -> tuple[list[bytes], str]:
    """(mails of 5 KB signed for example.de, the public key for the zone)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    import base64

    mails = []
    for number in range(count):
        raw = (
            f"From: Anna Schmidt <anna@example.de>\r\nTo: support@introserv.com\r\nSubject: Slow server {number} #123456\r\n"
            f"Message-ID: <bench.{number}.{time.time_ns()}@example.de>\r\nDate: Sun, 22 Nov 2026 18:00:00 +0000\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
            f"Hello,\r\n\r\nmy server 203.0.113.7 (r1z7og44) has been slow since 14:30 CET, case {number}.\r\n{FILLER}\r\nAnna\r\n"
        ).encode()
        fields = [b"from", b"to", b"subject", b"date", b"message-id"]
        mails.append(
            dkim.sign(raw, b"bench", b"example.de", pem, canonicalize=(b"relaxed", b"relaxed"), include_headers=fields)
            + raw
        )
    return mails, base64.b64encode(der).decode()


def deliver(port: int, mails: list[bytes], senders: int = 8) -> float:
    """Sends every mail on a connection of its own; wall seconds."""
    todo = list(mails)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not todo:
                    return
                raw = todo.pop()
            with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60) as client:
                client.sendmail("anna@example.de", ["support@introserv.com"], raw)

    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began


def bare(mails: list[bytes]) -> float:
    """CPU seconds of a bare aiosmtpd that writes and fsyncs."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([sys.executable, "-c", BARE, folder], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        port = int(process.stdout.readline())
        stat = lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()  # noqa: E731
        before = stat()
        deliver(port, mails)
        after = stat()
        process.kill()
        process.wait()
        process.stdout.close()
    return (int(after[11]) + int(after[12]) - int(before[11]) - int(before[12])) / os.sysconf("SC_CLK_TCK")


def stages(daemon: Running) -> dict[str, float]:
    """CPU seconds by stage so far."""
    found = daemon.metrics()
    thread = lambda name: found.get(f'gateway_thread_cpu_seconds{{thread="{name}"}}', 0.0)  # noqa: E731
    return {
        "loop: SMTP, SPF, DKIM, DMARC, replies, relay": thread("MainThread"),
        "reading: parse and extract": found.get('gateway_stage_cpu_seconds_total{stage="read"}', 0.0),
        "database: writer": thread("writer"),
        "database: look-ups and checkpoints": thread("store-read") + thread("checkpoint"),
    }


def measure(
    count: int, database: str | None = None, signed: tuple[list[bytes], str] | None = None
) -> dict[str, Any]:  # fmt: skip
    """The figures. ``signed``: the mails, a hundred more than are counted, and the public key."""
    mails, public = signed or signed_mails(count + 100)
    peers = LoopbackPeers(zone=ZONE | {"bench._domainkey.example.de": {"TXT": [f"v=DKIM1; k=rsa; p={public}"]}})
    sections: dict[str, Any] = {
        "smtp": {"listen": ["smtp://127.0.0.1:0"], "max_connections_per_address": 100},
        "replies": {"budget_domain": "100000/1h", "budget_total": "100000/1h"},
    }
    if database:
        sections["database"] = {"url": database}
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        daemon = Running(Path(name), peers, **sections)
        idle = daemon.rss()
        deliver(daemon.smtp_port, mails[:100])
        until(lambda: len(peers.taken) == 100, 60)
        stages_before, cpu_before = stages(daemon), daemon.cpu()
        wall = deliver(daemon.smtp_port, mails[100:])
        until(lambda: len(peers.taken) == count + 100, 120)
        cpu, after = daemon.cpu() - cpu_before, stages(daemon)
        verified = sum(
            'trust="verified"' in key and value
            for key, value in daemon.metrics().items()
            if key.startswith("gateway_decided_total")
        )
        daemon.stop()
    peers.close()
    floor = bare(mails[100:])
    spent = {stage: (after[stage] - stages_before[stage]) * 1000 / count for stage in after}
    return {
        "mails": count, "verified": int(verified) - 100, "cpu_ms": cpu * 1000 / count, "stages_ms": spent,
        "stages_sum": sum(spent.values()) / (cpu * 1000 / count), "bare_ms": floor * 1000 / count, "ratio": cpu / floor,
        "accept_wall_s": wall, "idle_mb": idle / 1024 / 1024,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--database")
    given = parser.parse_args()
    found = measure(given.mails, given.database)
    print(f"{found['mails']} signed mails of 5 KB, {found['verified']} verified, each answered by a two-part reply")
    for stage, spent in found["stages_ms"].items():
        print(f"  {stage:46} {spent:6.2f} ms")
    print(f"  {'sum of the stages / all processes':46} {found['stages_sum']:6.2f}")
    print(
        f"all processes: {found['cpu_ms']:.2f} CPU ms a mail; bare aiosmtpd with fsync: {found['bare_ms']:.2f}; ratio {found['ratio']:.1f}"
    )
    print(f"accepted in {found['accept_wall_s']:.1f} s by eight senders; idle: {found['idle_mb']:.0f} MB (PSS)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
