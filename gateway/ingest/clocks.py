"""The deadlines of one session, on one timer of the event loop: it fires whether or not octets come.

Each thing a session waits for has a deadline of its own: the next command that brings a mail nearer, a TLS handshake,
the next block of data, all data of a mail, and the session as a whole (RFC 5321 section 4.5.3.2 says how long at
least). Storing has none here: it waits for us, not for the peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, StrEnum

from gateway.ingest.settings import Smtp

SLOP_S = 0.001  #: timers may fire this much too early


class Phase(Enum):
    """What a session waits for."""

    COMMAND = "command"
    HANDSHAKE = "handshake"
    DATA = "data"
    STORING = "storing"


class Overdue(StrEnum):
    """Which deadline has passed."""

    IDLE = "idle"
    HANDSHAKE = "handshake"
    BLOCK = "block"
    DATA = "data"
    SESSION = "session"


class Clocks:
    """Tells ``expired`` which deadline passed. ``patience`` is asked each time: a reload counts at once.

    ``idle_timeout`` is for a command that brings a mail nearer, ``data_timeout`` between two blocks of data,
    ``data_deadline`` for all data of a mail; after ``session_deadline`` the session ends with its transaction.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, patience: Callable[[], Smtp], expired: Callable[[Overdue], None]
    ) -> None:
        self._loop, self._patience, self._expired = loop, patience, expired
        self._began = self._since = self._heard = loop.time()
        self._session_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._fires = float("inf")
        self.phase = Phase.COMMAND

    def enter(self, phase: Phase) -> None:
        """The session waits for something else from now on, or for the next of the same."""
        self.phase, self._since = phase, self._loop.time()
        self._heard = self._since
        self._arm()

    def heard(self) -> None:
        """Notes that octets came: the deadline of a pause counts from now."""
        self._heard = self._loop.time()

    def cancel(self) -> None:
        """Stops the timer as the session ends: ``expired`` is not called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> tuple[float, Overdue]:
        """(loop time, what will have passed then); infinity while nothing waits for the peer."""
        patience, phase = self._patience(), self.phase
        due, what = float("inf"), Overdue.SESSION
        if not self._session_over:
            due = self._began + patience.session_deadline
        if phase is Phase.COMMAND:
            return min((self._since + patience.idle_timeout, Overdue.IDLE), (due, what))
        if phase is Phase.HANDSHAKE:
            return min((self._since + patience.handshake_timeout, Overdue.HANDSHAKE), (due, what))
        if phase is Phase.DATA:
            block = (self._heard + patience.data_timeout, Overdue.BLOCK)
            return min(block, (self._since + patience.data_deadline, Overdue.DATA), (due, what))
        return due, what

    def _arm(self) -> None:
        """The timer is moved only to an earlier time; when it fires too early it is armed anew."""
        due, _ = self._next()
        if self._timer is not None:
            if self._fires <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due < float("inf"):
            self._fires = due
            self._timer = self._loop.call_at(due, self._rang)

    def _rang(self) -> None:
        self._timer = None
        due, what = self._next()
        if due - self._loop.time() > SLOP_S:
            self._arm()
            return
        if what is Overdue.SESSION:
            self._session_over = True
            self._arm()
        self._expired(what)
