"""A close, a snooze or a merge is taken back for ten seconds, as an answer is: the tickets are as they were, their
states and clocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.database import typed
from gateway.database.among import among
from gateway.database.tables import Audit, Ticket, audit, blocked_senders, tickets
from gateway.model import Person, TicketState
from gateway.tickets import blocks, rights
from gateway.tickets.conversation import Change, Refused, at_work, changed, ticket

UNDO_S = 10.0  #: in which a person may take back an answer or a click
_LATE_S = 2.0  #: a click of the last moment is still on its way
CLOSE, SNOOZE, MERGE = "close", "snooze", "merge"
_CLOCK = (
    "state",
    "closed_at",
    "snoozed_until",
    "round_started_at",
    "target_at",
    "status_at",
    "limit_at",
    "clock_next_at",
)
_MERGED = (*_CLOCK, "promised_at", "clock_done")
_GREW = (*_MERGED, "round", "priority", "critical", "marks")


@dataclass(frozen=True, slots=True)
class Done:
    """What can be taken back: ``what`` was done when, and what the tickets were."""

    what: str
    at: datetime
    was: Mapping[str, Any]


def was_closed(row: Ticket) -> dict[str, Any]:
    """The ticket before it is closed, for the detail of the audit's line."""
    return _kept(row, _CLOCK)


def was_snoozed(row: Ticket) -> dict[str, Any]:
    """The same before a snooze."""
    return _kept(row, ("snoozed_until",))


def was_merged(row: Ticket, other: Ticket, parts: Iterable[int]) -> dict[str, Any]:
    """Both tickets before ``row`` becomes part of ``other``, and what was part of ``row``."""
    versions = {"version": other.version + 1, "parts": list(parts)}
    return {"row": _kept(row, _MERGED), "other": _kept(other, _GREW), **versions}


def _kept(row: Ticket, names: Iterable[str]) -> dict[str, Any]:
    return {name: _plain(value) for name in names if (value := getattr(row, name)) is not None}


def _plain(value: Any) -> Any:
    return {"at": value.isoformat()} if isinstance(value, datetime) else value


def _values(kept: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    def revived(value: Any) -> Any:
        return datetime.fromisoformat(value["at"]) if isinstance(value, dict) else value

    return {name: revived(kept.get(name)) for name in names}


def _lately(connection: Connection, by: Person, now: datetime, within_s: float) -> dict[str, Done]:
    """By reference: what the person did in the last seconds and nobody has followed; not what an answer closed, which
    is taken back with the answer, and not what the customer was told of."""
    a = audit.c
    newest = select(audit).where(a.kind == "ticket").order_by(a.id.desc()).limit(200)
    lines = [line for line in typed.every(connection, Audit, newest) if line.at >= now - timedelta(seconds=within_s)]
    found: dict[str, Done] = {}
    for line in reversed(lines):
        found.pop(line.object, None)
        mine = line.who == by.name[:100] and line.what in (CLOSE, SNOOZE, MERGE) and not line.detail.get("notified")
        if mine and "was" in line.detail and not _answered(lines, line):
            found[line.object] = Done(line.what, line.at, line.detail["was"])
    return found


def _answered(lines: list[Audit], close: Audit) -> bool:
    return any(one.what == "answer" and (one.object, one.at) == (close.object, close.at) for one in lines)


def lately(connection: Connection, by: Person, now: datetime) -> tuple[dict[str, str], datetime | None]:
    """({reference: what was done to it} by the last act that the person can take back, until when). What was done to
    many at once was done at one moment."""
    found = _lately(connection, by, now, UNDO_S)
    last = max((done.at for done in found.values()), default=None)
    if last is None:
        return {}, None
    return {name: done.what for name, done in found.items() if done.at == last}, last + timedelta(seconds=UNDO_S)


def undo(connection: Connection, reference: str, by: Person, now: datetime) -> None:
    """Makes the ticket as it was before the person closed, snoozed or merged it a moment ago.

    Raises:
        Refused: it is too late, or something happened to it since.
    """
    row = ticket(connection, reference)
    done = _lately(connection, by, now, UNDO_S + _LATE_S).get(row.reference)
    if done is None:
        raise Refused(f"nothing of {row.reference} can be taken back any more")
    if done.what == MERGE:
        _unmerged(connection, row, done, by, now)
        return
    row = at_work(connection, reference, by)
    if done.what == SNOOZE:
        change = Change("undo", "took the snooze back", _values(done.was, ("snoozed_until",)))
        changed(connection, row, change, by, now)
        return
    _reopened(connection, row, done, by, now)


def _reopened(connection: Connection, row: Ticket, done: Done, by: Person, now: datetime) -> None:
    if row.state != TicketState.CLOSED or row.closed_at != done.at:
        raise Refused(f"the close of {row.reference} cannot be taken back any more: open it again")
    changed(connection, row, Change("undo", "took the close back", _values(done.was, _CLOCK)), by, now)
    b = blocked_senders.c
    with_it = select(b.sender).where(b.who == by.name[:100], b.at == done.at)
    for sender in connection.execute(with_it).scalars().all():
        blocks.remove(connection, sender, by, now)


def _unmerged(connection: Connection, row: Ticket, done: Done, by: Person, now: datetime) -> None:
    rights.require(by, "merge")
    t = tickets.c
    both = select(tickets).where(t.id.in_([row.id, row.merged_into or 0])).order_by(t.id).with_for_update()
    rows = {one.id: one for one in typed.every(connection, Ticket, both)}
    other = rows.get(rows[row.id].merged_into or 0)
    if other is None or other.version != done.was["version"]:
        raise Refused(f"the merge of {row.reference} cannot be taken back any more: part it again from there")
    parts = among(t.id, done.was["parts"]) & (t.merged_into == other.id)
    connection.execute(update(tickets).where(parts).values(merged_into=row.id))
    values = {**_values(done.was["row"], _MERGED), "merged_into": None}
    changed(connection, rows[row.id], Change("undo", f"took the merge into {other.reference} back", values), by, now)
    grown = {**_values(done.was["other"], _GREW), "version": other.version + 1}
    changed(connection, other, Change("undo", f"{row.reference} is no part of this any more", grown), by, now)
