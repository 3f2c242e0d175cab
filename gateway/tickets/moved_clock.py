"""What was written by a clock that was wrong, once it is right: nothing waits for a moment that no rule of ours would
set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select, update

from gateway.database import typed
from gateway.database.inbox import LEASE_S
from gateway.database.tables import Ticket, messages, outbox, tickets
from gateway.model import InboxState, OutboxState, TicketState
from gateway.tickets import clock
from gateway.tickets.rules import Rules

SLACK = timedelta(minutes=2)  #: of the clocks of several nodes
MANY = 10_000  #: rounds that are put right at once


@dataclass(frozen=True, slots=True)
class Longest:
    """The furthest that a row may be due: a reply that is tried again, a mail that is looked at again."""

    reply: timedelta
    mail: timedelta


def hasten(
    connection: Connection, longest: Longest, rules: Rules, now: datetime, moved: timedelta = timedelta(0)
) -> int:
    """What is due later than any rule puts it was written while the clock was ahead, and is due now; how many rows.
    ``moved``: by how much the clock was set just now."""
    return (
        _replies(connection, now + longest.reply + SLACK, now)
        + _mails(connection, now + longest.mail + SLACK, now)
        + _rounds(connection, rules, now, moved)
    )


def _replies(connection: Connection, late: datetime, now: datetime) -> int:
    o, lease = outbox.c, now + timedelta(seconds=LEASE_S)
    queued = update(outbox).where(o.state == OutboxState.QUEUED, o.next_at > late).values(next_at=now)
    held = update(outbox).where(o.state == OutboxState.SENDING, o.lease_until > late).values(lease_until=lease)
    return connection.execute(queued).rowcount + connection.execute(held).rowcount


def _mails(connection: Connection, late: datetime, now: datetime) -> int:
    m, lease = messages.c, now + timedelta(seconds=LEASE_S)
    waits = or_(m.state == InboxState.PENDING, m.state == InboxState.DONE)
    due = update(messages).where(waits, m.due_at > late).values(due_at=now)
    held = update(messages).where(m.state == InboxState.PROCESSING, m.lease_until > late).values(lease_until=lease)
    return connection.execute(due).rowcount + connection.execute(held).rowcount


def _rounds(connection: Connection, rules: Rules, now: datetime, moved: timedelta) -> int:
    """A round that begins in time to come began when it would have by the clock of now; where that is not known, it
    begins now. What began before a clock that went ahead keeps its moments, and may have been told as late: once, and
    too early rather than never."""
    t = tickets.c
    ahead = select(tickets).where(t.state != TicketState.CLOSED, t.round_started_at > now + SLACK).limit(MANY)
    rows = typed.every(connection, Ticket, ahead.with_for_update())
    for row in rows:
        assert row.round_started_at is not None
        began = row.round_started_at + moved
        running = clock.new_round(began if moved and began <= now else now, rules)
        connection.execute(
            update(tickets).where(t.id == row.id).values(clock.columns(running, row.round, bool(row.owner)))
        )
    return len(rows)
