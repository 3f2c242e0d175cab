"""25 MB of bare CRLF lines in one mail: memory of all processes, time, and a second client meanwhile. Then 32 peers at once:
how many fdatasync calls their 32 mails cost (strace).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.peers.harness import LoopbackPeers, Running, until

MB = 1024 * 1024
SECOND = """
import smtplib, sys, time, json
slowest = 0.0
port = int(sys.argv[1])
ends = time.monotonic() + float(sys.argv[2])
count = 0
while time.monotonic() < ends:
    began = time.monotonic()
    with smtplib.SMTP("127.0.0.1", port, local_hostname="second.example", timeout=20) as client:
        client.sendmail("b@second.example", ["support@introserv.com"],
                        f"From: b@second.example\\r\\nSubject: {count}\\r\\nMessage-ID: <{count}@second.example>\\r\\n\\r\\nHello\\r\\n")
    slowest = max(slowest, time.monotonic() - began)
    count += 1
print(json.dumps({"count": count, "slowest": slowest}))
"""


def crlf() -> dict[str, Any]:
    """One mail of 25 MB of CRLF: growth in MB (PSS and RSS of all processes), seconds, and the second client's slowest."""
    peers = LoopbackPeers(zone={})
    with tempfile.TemporaryDirectory(prefix="gateway-flood-") as name:
        daemon = Running(
            Path(name), peers, smtp={"listen": ["smtp://127.0.0.1:0"], "max_size": "26MB", "evaluate_private": True}
        )
        for number in range(40):  # everything loaded, every process used
            daemon.send(
                f"From: a@x.example\r\nSubject: {number}\r\nMessage-ID: <w{number}@x>\r\n\r\nHello\r\n".encode(),
                "a@x.example",
            )
        daemon.settled()
        before, peak = daemon.rss(), 0
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.is_set():
                peak = max(peak, daemon.rss())
                done.wait(0.01)

        watcher = threading.Thread(target=watch)
        watcher.start()
        second = subprocess.Popen(
            [sys.executable, "-c", SECOND, str(daemon.smtp_port), "5"], stdout=subprocess.PIPE, text=True
        )
        body = b"From: a@x.example\r\nSubject: flood\r\nMessage-ID: <f@x>\r\n\r\n" + b"\r\n" * (25 * MB // 2 - 50)
        began = time.monotonic()
        code, _words = daemon.send(body, "a@x.example")
        taken = time.monotonic() - began
        daemon.settled(60)
        until(lambda: any(row["disposition"] == "opened" for row in daemon.rows("messages", "list")), 30)
        other, _ = second.communicate(timeout=30)
        done.set()
        watcher.join()
        daemon.stop()
    peers.close()
    found = json.loads(other)
    return {
        "code": code,
        "seconds": round(taken, 2),
        "growth_mb": round((peak - before) / MB, 1),
        "second_count": found["count"],
        "second_slowest_ms": round(found["slowest"] * 1000),
    }


def syncs(count: int = 32) -> dict[str, Any]:
    """How many fdatasync calls ``count`` mails of as many concurrent peers cost."""
    peers = LoopbackPeers(zone={})
    with tempfile.TemporaryDirectory(prefix="gateway-syncs-") as name:
        folder = Path(name)
        daemon = Running(
            folder,
            peers,
            smtp={"listen": ["smtp://127.0.0.1:0"], "max_connections_per_address": 100, "evaluate_private": True},
        )
        trace = folder / "trace"
        tracer = subprocess.Popen(
            ["strace", "-f", "-tt", "-e", "trace=fdatasync,fsync", "-o", str(trace), "-p", str(daemon.pid)],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert tracer.stderr is not None
        tracer.stderr.readline()
        gate = threading.Barrier(count)
        accepted: list[int] = []

        def one(number: int) -> None:
            import smtplib

            raw = (
                f"From: a{number}@x.example\r\nSubject: {number}\r\nMessage-ID: <{number}@x>\r\n\r\nHello\r\n".encode()
            )
            with smtplib.SMTP("127.0.0.1", daemon.smtp_port, local_hostname="c.example", timeout=60) as client:
                client.ehlo()
                client.mail("a@x.example")
                client.rcpt("support@introserv.com")
                client.docmd("DATA")
                client.sock.sendall(raw)  # type: ignore[union-attr]
                gate.wait(60)
                client.sock.sendall(b".\r\n")  # type: ignore[union-attr]
                accepted.append(client.getreply()[0])

        # the pipeline sleeps meanwhile, so that only the acceptance is counted
        threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        lines = len(re.findall(r"f(?:data)?sync\(", trace.read_text()))
        tracer.terminate()
        tracer.wait(10)
        tracer.stderr.close()
        daemon.settled(60)
        daemon.stop()
    peers.close()
    return {"accepted": accepted.count(250), "syncs": lines}
