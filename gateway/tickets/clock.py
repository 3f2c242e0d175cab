"""The clock of a round: when it is due and what is due, as pure functions of stored UTC instants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.database.tables import Ticket
from gateway.tickets.rules import Rules

OWNER, TARGET, STATUS, LIMIT = "owner", "target", "status", "limit"
#: the owner is reminded after this part of ``target`` (10 of 15 min), the department after all of it
OWNERS_PART = 2 / 3


@dataclass(frozen=True, slots=True)
class Round:
    """The instants of one round, all UTC."""

    started_at: datetime
    target_at: datetime
    status_at: datetime
    limit_at: datetime

    @property
    def owner_at(self) -> datetime:
        """When whoever works on it is reminded."""
        return self.started_at + (self.target_at - self.started_at) * OWNERS_PART

    def moments(self, owned: bool) -> tuple[tuple[str, datetime], ...]:
        """What comes when, in order; ``owned``: somebody works on it."""
        moments = ((TARGET, self.target_at), (STATUS, self.status_at), (LIMIT, self.limit_at))
        return ((OWNER, self.owner_at), *moments) if owned else moments


@dataclass(frozen=True, slots=True)
class Due:
    """One thing that is due, and how late it was found in seconds."""

    what: str
    late_s: float


def new_round(started_at: datetime, rules: Rules) -> Round:
    """The round that starts at the receipt of a mail."""
    promise = rules.clock
    moments = (started_at + timedelta(seconds=s) for s in (promise.target, promise.status_reply, promise.limit))
    return Round(started_at, *moments)


#: a ticket's columns while no round runs
STOPPED: Mapping[str, Any] = {
    "round_started_at": None,
    "target_at": None,
    "status_at": None,
    "limit_at": None,
    "clock_next_at": None,
}


def columns(running: Round, number: int, owned: bool = False) -> dict[str, Any]:
    """A ticket's columns while its round of this number runs. The promise is measured from the first. ``owned``:
    somebody works on it, and is reminded first."""
    first = {"promised_at": running.started_at} if number == 1 else {}
    return first | {
        "round": number,
        "round_started_at": running.started_at,
        "target_at": running.target_at,
        "status_at": running.status_at,
        "limit_at": running.limit_at,
        "clock_next_at": running.owner_at if owned else running.target_at,
        "clock_done": [],
    }


def of(row: Ticket) -> Round | None:
    """The running round of a ticket's row, if there is one."""
    if row.round_started_at is None or row.target_at is None or row.status_at is None or row.limit_at is None:
        return None
    return Round(row.round_started_at, row.target_at, row.status_at, row.limit_at)


def due(running: Round, done: frozenset[str], now: datetime, owned: bool = False) -> list[Due]:
    """What is due now and not done yet, in order."""
    found = running.moments(owned)
    return [Due(what, (now - at).total_seconds()) for what, at in found if at <= now and what not in done]


def next_at(running: Round, done: frozenset[str], owned: bool = False) -> datetime | None:
    """When the next thing is due; ``None`` when nothing is left."""
    return min((at for what, at in running.moments(owned) if what not in done), default=None)


def owned_from(row: Ticket, now: datetime) -> dict[str, Any]:
    """The columns by which the clock of a ticket reminds its new owner; who takes it after that moment needs no
    reminder."""
    running = of(row)
    if running is None:
        return {}
    done = frozenset(row.clock_done) | (frozenset((OWNER,)) if running.owner_at <= now else frozenset())
    return {"clock_done": sorted(done), "clock_next_at": next_at(running, done, owned=True)}


def staff_mail(found: list[Due]) -> str | None:
    """The one staff mail for what was found: of things found together only the gravest is told; ``owner`` goes to the
    owner alone."""
    names = [item.what for item in found]
    return "breach" if LIMIT in names else "alert" if TARGET in names else "owner" if OWNER in names else None
