"""What becomes of a copy that was put back: the service that it is a copy of went on, and may have sent what waited
then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from gateway.database.outbox import Choice, drop
from gateway.database.tables import messages, outbox, restores, tickets
from gateway.model import InboxState, OutboxItem, OutboxState, TicketState
from gateway.tickets import clock
from gateway.tickets.outgoing import HELD, Office, Reply, write_to_staff

HOLD, DISCARD = "hold", "discard"
LISTED = 100  #: tickets that the mail about a restore names


@dataclass(frozen=True, slots=True)
class Waiting:
    """What had not been sent or decided yet when the copy was made."""

    replies: int
    mails: int


def settle(connection: Connection, queued: str, copied_at: datetime, now: datetime) -> Waiting:
    """Holds, discards or leaves the replies that waited, and writes the restore down: replies to what came before
    ``now`` are treated alike (``outgoing.Restored``)."""
    o, m = outbox.c, messages.c
    waits = o.state.in_([OutboxState.QUEUED, OutboxState.SENDING])
    replies = int(connection.execute(select(func.count()).where(waits)).scalar_one())
    undecided = m.state.in_([InboxState.PENDING, InboxState.PROCESSING])
    mails = int(connection.execute(select(func.count()).where(undecided)).scalar_one())
    values: dict[str, Any] = {"state": OutboxState.QUEUED, "lease_until": None, "next_at": now}
    if queued == HOLD:
        values |= {"state": OutboxState.HELD, "next_at": None, "last_error": HELD}
    connection.execute(update(outbox).where(waits).values(values))
    if queued == DISCARD:
        drop(connection, Choice(state=OutboxState.QUEUED), now)
    connection.execute(
        restores.insert().values(copied_at=copied_at, restored_at=now, queued=queued, held=replies + mails)
    )
    return Waiting(replies, mails)


def overdue(connection: Connection, office: Office, now: datetime) -> list[tuple[str, str, float]]:
    """Tells of all tickets of the copy whose promise broke meanwhile in one mail, not in one each; their clocks are
    done. (reference, ``limit``, seconds late) of each."""
    restored_at = office.restored.at
    if restored_at is None:
        return []
    t = tickets.c
    rows = connection.execute(
        select(tickets)
        .where(
            t.clock_next_at <= now, t.round_started_at < restored_at, t.limit_at <= now, t.state != TicketState.CLOSED
        )
        .order_by(t.priority, t.critical.desc(), t.limit_at)
        .with_for_update(skip_locked=True)
    ).all()
    fresh = [row for row in rows if clock.LIMIT not in row.clock_done]
    for row in fresh:
        late = (now - row.limit_at).total_seconds()
        done = sorted({*row.clock_done, *(what for what, _ in clock.Round(*_times(row)).moments(bool(row.owner)))})
        values = {"clock_done": done, "clock_next_at": None, "breached": True, "breach_delay_s": late}
        connection.execute(update(tickets).where(t.id == row.id).values(values))
    if fresh:
        _tell(connection, fresh, office, now)
    return [(row.reference, clock.LIMIT, (now - row.limit_at).total_seconds()) for row in fresh]


def _times(row: Any) -> tuple[datetime, datetime, datetime, datetime]:
    return row.round_started_at, row.target_at, row.status_at, row.limit_at


def _tell(connection: Connection, rows: Sequence[Any], office: Office, now: datetime) -> None:
    """One mail for each department with its tickets, and to the escalation with all."""
    chosen: dict[str, dict[int, Any]] = {}
    for row in rows:
        for address in (*office.staff.team(row.department), *office.staff.escalation):
            chosen.setdefault(address, {})[row.id] = row
    for address, his in chosen.items():
        named = [{"at": one.opened_at.isoformat(), "kind": "overdue", "line": _line(one)} for one in his.values()]
        context = {"lines": [_head(len(his), now), *named[:LISTED]]}
        item = OutboxItem(f"restore.{rows[0].id}.overdue", "staff_digest", "en", address, "staff", context)
        write_to_staff(
            connection, Reply(item, urgent=True), "the tickets that are overdue after a restore", office, now
        )


def _head(count: int, now: datetime) -> dict[str, str]:
    words = f"{count} tickets of the copy are overdue; some may have been answered before the restore"
    named = f"; the first {LISTED} are below" if count > LISTED else ""
    line = f"{words}{named}. All: gateway tickets list --state open"
    return {"at": now.isoformat(timespec="seconds"), "kind": "restore", "line": line}


def _line(row: Any) -> str:
    urgency = "High" if row.priority == "high" else "CRITICAL" if row.critical else "Regular"
    return f"{row.reference} {urgency}, {row.department}: {row.subject[:80] or '(no subject)'}"
