"""The clock of a round: when it is due and what is due, as pure functions of stored UTC instants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.model import Rules

TARGET, STATUS, LIMIT = "target", "status", "limit"


@dataclass(frozen=True, slots=True)
class Round:
    """The instants of one round, all UTC."""

    started_at: datetime
    target_at: datetime
    status_at: datetime
    limit_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """One thing that is due, and how late it was found in seconds."""

    what: str
    late_s: float


def new_round(started_at: datetime, rules: Rules) -> Round:
    """The round that starts at the receipt of a mail."""
    moments = (started_at + timedelta(seconds=s) for s in (rules.target_s, rules.status_reply_s, rules.limit_s))
    return Round(started_at, *moments)


#: a ticket's columns while no round runs
STOPPED: Mapping[str, Any] = {
    "round_started_at": None,
    "target_at": None,
    "status_at": None,
    "limit_at": None,
    "clock_next_at": None,
}


def columns(running: Round, number: int) -> dict[str, Any]:
    """A ticket's columns while its round of this number runs. The promise is measured from the first."""
    first = {"promised_at": running.started_at} if number == 1 else {}
    return first | {
        "round": number,
        "round_started_at": running.started_at,
        "target_at": running.target_at,
        "status_at": running.status_at,
        "limit_at": running.limit_at,
        "clock_next_at": running.target_at,
        "clock_done": [],
    }


def due(running: Round, done: frozenset[str], now: datetime) -> list[Due]:
    """What is due now and not done yet, in order."""
    moments = ((TARGET, running.target_at), (STATUS, running.status_at), (LIMIT, running.limit_at))
    return [Due(what, (now - at).total_seconds()) for what, at in moments if at <= now and what not in done]


def next_at(running: Round, done: frozenset[str]) -> datetime | None:
    """When the next thing is due; ``None`` when nothing is left."""
    moments = ((TARGET, running.target_at), (STATUS, running.status_at), (LIMIT, running.limit_at))
    return min((at for what, at in moments if what not in done), default=None)


def staff_mail(found: list[Due]) -> str | None:
    """The one staff mail for what was found: of things found together only the gravest is told."""
    names = [item.what for item in found]
    return "breach" if LIMIT in names else "alert" if TARGET in names else None
