"""Waiting that a stop interrupts, for the threads that read mailboxes; tests wait in their own time."""

from __future__ import annotations

import select
import socket
import threading


class Halt:
    """A stop signal that wakes whoever waits, also in ``select``."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._ours, self._theirs = socket.socketpair()

    def set(self) -> None:
        """Stops; may be called from any thread, more than once."""
        if not self._event.is_set():
            self._event.set()
            self._theirs.send(b"x")

    def is_set(self) -> bool:
        """Whether the reading is to end."""
        return self._event.is_set()

    def pause(self, seconds: float) -> None:
        """Waits ``seconds`` or until the stop."""
        self._event.wait(seconds)

    def readable(self, sock: socket.socket, seconds: float) -> bool:
        """Waits until there is something to read, ``seconds`` are over or the stop comes."""
        poller = select.poll()
        poller.register(sock.fileno(), select.POLLIN)
        poller.register(self._ours.fileno(), select.POLLIN)
        found = {descriptor for descriptor, _ in poller.poll(seconds * 1000)}
        return sock.fileno() in found

    def close(self) -> None:
        """Closes both sockets of the pair; only once the thread that waits on it has ended."""
        self._ours.close()
        self._theirs.close()
