"""How long a start takes: ``python -m bench.starting [--times 5] [--database URL]``.

Wall and CPU seconds of ``gateway run`` with all its processes, until its first socket answers and until it says READY
(the readers have everything loaded by then). The first start, which also makes the database, is printed apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.peers.harness import LoopbackPeers, Running, free_port


def once(service: Running, port: int) -> tuple[float, float, float]:
    """(seconds until the socket answers, until READY, CPU seconds of all processes by then)."""
    import socket

    began, answers = time.perf_counter(), 0.0
    service.start(ready=False)
    while not service.up:
        if not answers:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                answers = time.perf_counter() - began
            except OSError:
                pass
        time.sleep(0.002)
        if service.process is None or service.process.poll() is not None:
            raise RuntimeError(f"it did not start: {service.other}")
    ready, cpu = time.perf_counter() - began, service.cpu()
    service.stop()
    return answers or ready, ready, cpu


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--database")
    given = parser.parse_args()
    port, peers = free_port(), LoopbackPeers()
    sections = {"smtp": {"listen": [f"smtp://127.0.0.1:{port}"]}}
    if given.database:
        sections["database"] = {"url": given.database}
    with tempfile.TemporaryDirectory(prefix="gateway-start-") as name:
        began = time.perf_counter()
        service = Running(Path(name), peers, **sections)
        first = time.perf_counter() - began
        service.stop()
        found = [once(service, port) for _ in range(given.times)]
    peers.close()
    print(f"the first start of all: {first:.2f} s; load {os.getloadavg()[0]:.1f}")
    for name, some in zip(
        ("until the socket answers", "until READY", "CPU of all processes"), zip(*found, strict=True), strict=True
    ):
        print(f"{name:26} least {min(some):.2f} s, median {statistics.median(some):.2f}, most {max(some):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
