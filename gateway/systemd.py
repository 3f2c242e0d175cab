"""systemd's two protocols: the notify socket and socket activation (sd_notify(3), sd_listen_fds(3))."""

from __future__ import annotations

import contextlib
import os
import socket
import time


def notify(message: str) -> bool:
    """One datagram to ``$NOTIFY_SOCKET``; false when there is none."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return False
    target = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(target)
        channel.sendall(message.encode())
        return True
    return False


def reloading() -> str:
    """The message that a reload begins."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def watchdog_interval() -> float | None:
    """Seconds between two signs of life (half of ``WATCHDOG_USEC``), or ``None``."""
    usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not usec or not usec.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 2_000_000


def sockets() -> dict[str, list[socket.socket]]:
    """The sockets systemd opened for us: ``smtp`` and ``lmtp`` by ``FileDescriptorName``, else by their family."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(os.environ.get("LISTEN_FDS", "0") or 0)
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[socket.socket]] = {}
    for index in range(count):
        name = names[index] if index < len(names) else "unknown"
        handed = socket.socket(fileno=3 + index)
        handed.setblocking(False)
        if name not in ("smtp", "lmtp"):  # one unit gives all its sockets one name
            name = "lmtp" if handed.family == socket.AF_UNIX else "smtp"
        found.setdefault(name, []).append(handed)
    return found
