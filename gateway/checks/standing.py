"""What the running service knows of its own health, since when, and whom it told.

The service puts down what it meets (``note``); everything else is looked at each time. What lasts a minute is noted in
the database and told to staff once, and once more when it is over.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from gateway import log, metrics
from gateway.tickets import conditions, health
from gateway.tickets.health import NAMES, Check
from gateway.tickets.outgoing import Office

TOLD_AFTER_S = 60.0
#: what has alerts of its own, or is what the staff see anyway
NOT_TOLD = frozenset(("service", "relay", "sources", "promises", "quarantine", "replies", "mails", "reload"))


@dataclass(frozen=True, slots=True)
class Reload:
    """What became of a reload: its number since the start, what changed, or why it was refused."""

    number: int
    at: datetime
    changed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Standing:
    """The memory of the checks of one service."""

    def __init__(self, state_dir: str, name: str | None = None) -> None:
        host = socket.gethostname()
        self.name = name or host
        self.node = hashlib.sha256(f"{host}:{state_dir}".encode()).hexdigest()[:8]
        self._noted: dict[str, Check] = {}  #: what the service met and has not mended
        self._since: dict[str, datetime] = {}
        self._told: set[str] = set()
        self.last: list[Check] = []  #: what was found the last time
        self.reload: Reload | None = None
        self._gauges()

    # -- what the service meets

    def note(self, name: str, problem: str, do: str = "", blocks: bool = False) -> None:
        """It is so from now on, until ``clear``."""
        self._noted[name] = Check(name, problem, None, do, blocks)

    def clear(self, name: str) -> None:
        """Forgets what was noted under this name: it is well again."""
        self._noted.pop(name, None)

    # -- looking

    def found(self, looked: Iterable[Check], now: datetime) -> list[Check]:
        """The problems of ``looked`` and what is noted, each with its begin; kept in ``last``."""
        now = now.replace(microsecond=0)
        problems = [check for check in [*looked, *self._noted.values()] if check.problem]
        for name in set(self._since) - {check.name for check in problems}:
            del self._since[name]
        self.last = [self._dated(check, now) for check in problems]
        self._gauges()
        return self.last

    def _dated(self, check: Check, now: datetime) -> Check:
        began = self._since.setdefault(check.name, check.since or now)
        return check if check.since is not None else replace(check, since=began)

    def _gauges(self) -> None:
        wrong = {check.name for check in self.last}
        for name in NAMES:
            metrics.PROBLEM.labels(name).set(name in wrong)
        metrics.READY.set(not any(check.blocks for check in self.last))

    # -- telling

    def to_tell(self, now: datetime) -> tuple[list[Check], list[str]]:
        """(what lasts and was not told, the names of what was told and is over)."""
        lasting = [
            check
            for check in self.last
            if check.name not in NOT_TOLD and check.since and (now - check.since).total_seconds() >= TOLD_AFTER_S
        ]
        wrong = {check.name for check in self.last}
        return [check for check in lasting if check.name not in self._told], sorted(self._told - wrong)

    def tell(self, connection: Connection, fresh: list[Check], over: list[str], office: Office, now: datetime) -> None:
        """Writes both down, with a mail to staff for each that nobody told before (a start forgets what was told)."""
        for check in fresh:
            conditions.begin(connection, self._key(check.name), health.on(check, self.name).line, office, now)
        for name in over:
            conditions.end(connection, self._key(name))

    def was_told(self, fresh: list[Check], over: list[str]) -> None:
        """Logs what staff were told, once the transaction that tells them is committed."""
        for check in fresh:
            log.problem(check.name, check.line)
        for name in over:
            log.problem_over(name)
        self._told |= {check.name for check in fresh}
        self._told -= set(over)

    def started(self, connection: Connection) -> None:
        """What an earlier service of this node noted is looked at anew; what still lasts is not told twice."""
        self._told |= conditions.names_of(connection, self.node) | conditions.names_of(connection, health.ALL)

    def _key(self, name: str) -> str:
        return f"{name}@{health.ALL if name in health.SHARED else self.node}"
