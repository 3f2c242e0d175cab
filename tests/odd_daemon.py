"""A real daemon with faults built in: ``python -m tests.odd_daemon --config FILE run``.

Its reader sleeps for ever on a mail with ``X-Sleep`` and dies on one with ``X-Die``. SIGUSR1 hangs its event loop,
SIGUSR2 hangs its pipeline. In the environment: ``ODD_DRAIN_S``, how long its stop waits for sessions, ``ODD_LEASE_S``,
how long its claims last, ``ODD_POLL_S``, how long it waits between two looks for work, ``ODD_NO_READER``: no process can be forked as long as this file exists,
and ``ODD_PRELOAD``: a pipe; until it is written to, what reads mail is not loaded.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from gateway import config, log, pipeline
from gateway import daemon as service
from gateway.daemon import Daemon
from gateway.database import bell, inbox
from gateway.database import outbox as outbox_rows
from gateway.model import Reading
from gateway.node import Ahead
from gateway.read.fork_server import Child, ForkServer
from gateway.read.reading import Hints
from gateway.read.reading import read as real
from gateway.replies import outbox


def read(raw: bytes, hints: Hints) -> Reading:
    if b"X-Sleep" in raw:
        threading.Event().wait()
    if b"X-Die" in raw:
        os.kill(os.getpid(), signal.SIGSEGV)
    return real(raw, hints)


def forbid(switch: Path) -> None:
    fork = ForkServer.fork

    def refused(self: ForkServer, *given: Any) -> Child:
        if switch.exists():
            raise FileNotFoundError(2, "No such file or directory")
        return fork(self, *given)

    ForkServer.fork = refused  # type: ignore[method-assign]


async def main() -> None:
    path = sys.argv[2]
    if lease := float(os.environ.get("ODD_LEASE_S", "0")):
        inbox.LEASE_S = outbox_rows.LEASE_S = lease
        outbox.RENEW_S = lease / 3
    if poll := float(os.environ.get("ODD_POLL_S", "0")):
        outbox.POLL_S = pipeline.POLL_S = bell.POLL_S = poll
    log.configure()
    service.DRAIN_S = float(os.environ.get("ODD_DRAIN_S", service.DRAIN_S))
    if switch := os.environ.get("ODD_NO_READER"):
        forbid(Path(switch))
    ahead = Ahead(forks=ForkServer("tests.slow_preload")) if "ODD_PRELOAD" in os.environ else None
    daemon = Daemon(config.load(path), path, read=read, ahead=ahead)

    def hang_the_pipeline() -> None:
        async def never() -> list[object]:
            await asyncio.Event().wait()
            return []

        daemon.pipeline.claim = never  # type: ignore[method-assign, assignment]

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, threading.Event().wait)
    loop.add_signal_handler(signal.SIGUSR2, hang_the_pipeline)
    await daemon.run()


if __name__ == "__main__":
    asyncio.run(main())
