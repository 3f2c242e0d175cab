"""A close is taken back for ten seconds, as an answer is: the ticket is as it was, its state and its clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from gateway.database import typed
from gateway.database.tables import Audit, Ticket, audit
from gateway.model import Person, TicketState
from gateway.tickets.conversation import Change, Refused, at_work, changed

UNDO_S = 10.0
_LATE_S = 2.0  #: a click of the last moment is still on its way
#: what a close changes of its ticket
_CHANGED = (
    "state", "closed_at", "snoozed_until", "round_started_at", "target_at", "status_at", "limit_at", "clock_next_at",
)  # fmt: skip


def was(row: Ticket) -> dict[str, Any]:
    """The ticket before it is closed, for the detail of the audit's line."""
    return {name: _plain(value) for name in _CHANGED if (value := getattr(row, name)) is not None}


def _plain(value: Any) -> Any:
    return {"at": value.isoformat()} if isinstance(value, datetime) else value


def _revived(value: Any) -> Any:
    return datetime.fromisoformat(value["at"]) if isinstance(value, dict) else value


def _closes(
    connection: Connection, by: Person, now: datetime, within_s: float
) -> dict[str, tuple[datetime, Mapping[str, Any]]]:
    """(when, as what) by reference: what the person has closed in the last seconds; not what an answer closed, which is
    taken back with the answer, and not what the customer was told of."""
    a = audit.c
    newest = select(audit).where(a.kind == "ticket").order_by(a.id.desc()).limit(200)
    lines = [line for line in typed.every(connection, Audit, newest) if line.at >= now - timedelta(seconds=within_s)]
    found: dict[str, tuple[datetime, Mapping[str, Any]]] = {}
    for line in reversed(lines):
        found.pop(line.object, None)
        mine = line.who == by.name[:100] and line.what == "close" and not line.detail.get("notified")
        if mine and "was" in line.detail and not _answered(lines, line):
            found[line.object] = line.at, line.detail["was"]
    return found


def _answered(lines: list[Audit], close: Audit) -> bool:
    return any(one.what == "answer" and (one.object, one.at) == (close.object, close.at) for one in lines)


def closed(connection: Connection, by: Person, now: datetime) -> tuple[list[str], datetime | None]:
    """(references of what the person can take back, until when)."""
    found = _closes(connection, by, now, UNDO_S)
    last = max((at for at, _ in found.values()), default=None)
    return list(found), last + timedelta(seconds=UNDO_S) if last is not None else None


def undo(connection: Connection, reference: str, by: Person, now: datetime) -> None:
    """Opens what the person closed a moment ago, as it was.

    Raises:
        Refused: it is too late, or something happened to it since.
    """
    row = at_work(connection, reference, by)
    at, before = _closes(connection, by, now, UNDO_S + _LATE_S).get(row.reference, (None, {}))
    if row.state != TicketState.CLOSED or at is None or row.closed_at != at:
        raise Refused(f"the close of {row.reference} cannot be taken back any more: open it again")
    values = {name: _revived(before.get(name)) for name in _CHANGED}
    changed(connection, row, Change("undo", "took the close back", values), by, now)
