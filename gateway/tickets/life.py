"""One mail's whole life, from the connection it came on to the relay's answer to our reply: what ``gateway trace``
tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select

from gateway.database import typed
from gateway.database.tables import (
    Arrival,
    OutboxRow,
    Ticket,
    Trace,
    arrivals,
    messages,
    outbox,
    tickets,
    traces,
)
from gateway.mail import receipts, tokens
from gateway.mail.address import canonical
from gateway.model import InboxState, OutboxState

MOST = 20  #: mails that one question finds, newest first
_UNREAD = (InboxState.PENDING, InboxState.PROCESSING, InboxState.FAILED)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened, or ``None`` as its time where it is how things are now."""

    at: datetime | None
    what: str
    line: str


@dataclass(frozen=True, slots=True)
class Life:
    """A mail (or a reply that belongs to none, when ``message`` is ``None``) and its steps in order of time."""

    message: int | None
    title: str
    steps: tuple[Step, ...]


def traced(connection: Connection, words: str, keys: Mapping[str, bytes]) -> list[Life]:
    """The lives of every mail that ``words`` may mean: a number, the id in our 250, a ticket, a Message-ID, an address,
    or the relay's queue id. Oldest first; at most ``MOST``."""
    found = _mails(connection, words.strip(), keys)
    lives = [_life(connection, message) for message in found]
    return lives or [_reply_life(row) for row in _replies(connection, words.strip())]


def _mails(connection: Connection, words: str, keys: Mapping[str, bytes]) -> list[Row[Any]]:
    for condition in _meanings(connection, words, keys):
        query = select(messages, tickets.c.reference).outerjoin(tickets, tickets.c.id == messages.c.ticket_id)
        rows = connection.execute(query.where(condition).order_by(messages.c.id.desc()).limit(MOST)).all()
        if rows:
            return list(reversed(rows))
    return []


def _meanings(connection: Connection, words: str, keys: Mapping[str, bytes]) -> Iterable[ColumnElement[bool]]:
    """What the words may mean, most likely first; the last one reads every row."""
    m = messages.c
    if words.isdigit() and len(words) < 18:
        yield m.id == int(words)
    reference = tokens.normal(words)
    if reference is not None:
        yield m.ticket_id == select(tickets.c.id).where(tickets.c.reference == reference).scalar_subquery()
    for row, arrival in receipts.rows(keys.values(), words):
        yield m.id == (_of_arrival(connection, row) if arrival else row)
    if "@" in words:
        bare = words.strip("<>")
        yield m.message_id == bare
        yield _answered_by(bare)
        yield or_(m.author.in_({bare, bare.lower()}), and_(m.state.in_(_UNREAD), m.mail_from.in_({bare, bare.lower()})))
    else:
        yield m.queue_id == words


def _of_arrival(connection: Connection, row: int) -> int:
    return int(connection.execute(select(arrivals.c.message_id).where(arrivals.c.id == row)).scalar() or 0)


def _answered_by(rfc_id: str) -> ColumnElement[bool]:
    """The mails of the ticket that this reply of ours belongs to."""
    ticket = select(outbox.c.ticket_id).where(outbox.c.rfc_id == rfc_id, outbox.c.ticket_id.is_not(None))
    found: ColumnElement[bool] = messages.c.ticket_id.in_(ticket)
    return found


def _replies(connection: Connection, words: str) -> list[OutboxRow]:
    """Replies to an address from which no mail came."""
    if "@" not in words:
        return []
    o, bare = outbox.c, words.strip("<>")
    kinds = o.kind.in_(("auto", "person", "staff"))  # the index begins with it
    query = select(outbox).where(or_(o.rfc_id == bare, and_(kinds, o.canonical == canonical(bare))))
    return typed.every(connection, OutboxRow, query.order_by(o.id.desc()).limit(MOST))[::-1]


def _life(connection: Connection, row: Row[Any]) -> Life:
    steps = [_received(row), *_arrived(connection, row), *_reasons(connection, row.id)]
    steps += _ticket_steps(connection, row.ticket_id)
    for reply in _replies_to(connection, row):
        steps += _reply_steps(reply)
    now = _now(row)
    steps.sort(key=lambda step: step.at.timestamp() if step.at else float("inf"))
    title = f"message {row.id} from {row.author or row.mail_from or 'unknown'}: {row.subject or '(no subject)'}"
    return Life(row.id, title, (*steps, *now))


def _envelope(row: Row[Any] | Arrival) -> str:
    sender = "an unknown sender" if row.mail_from is None else f"<{row.mail_from}>"
    client = row.client or (f"unknown ({row.client_reason})" if row.client_reason else "unknown")
    parts = [f"by {row.source} from {client}"]
    parts += [f"HELO {row.helo}"] if row.helo else []
    parts += ["TLS"] if row.tls else []
    parts += ["a trusted relay brought it"] if row.trusted else []
    parts += [f"the relay's queue id {row.queue_id}"] if row.queue_id else []
    return f"{', '.join(parts)}; envelope {sender} to {', '.join(row.rcpt_tos)}"


def _received(row: Row[Any]) -> Step:
    known = f"; Message-ID <{row.message_id}>" if row.message_id else ""
    return Step(row.received_at, "received", f"{_envelope(row)}; {row.size} octets{known}")


def _arrived(connection: Connection, row: Row[Any]) -> list[Step]:
    query = select(arrivals).where(arrivals.c.message_id == row.id).order_by(arrivals.c.id).limit(MOST)
    return [
        Step(again.received_at, "arrived again", f"{_envelope(again)}; {again.note or again.state}")
        for again in typed.every(connection, Arrival, query)
    ]


def _reasons(connection: Connection, message: int) -> list[Step]:
    rows = typed.every(connection, Trace, select(traces).where(traces.c.message_id == message).order_by(traces.c.id))
    return [Step(row.at, "decided", line) for row in rows for line in row.lines]


def _ticket_steps(connection: Connection, ticket_id: int | None) -> list[Step]:
    row = typed.first(connection, Ticket, select(tickets).where(tickets.c.id == ticket_id)) if ticket_id else None
    if row is None:
        return []
    moments = (
        (row.opened_at, f"{row.reference} opened: {row.department}, {row.priority}, trust {row.trust}"),
        (row.acknowledged_at, f"{row.reference} acknowledged"),
        (row.first_response_at, f"{row.reference} answered by a person"),
        (row.closed_at, f"{row.reference} closed"),
    )
    return [Step(at, "ticket", line) for at, line in moments if at is not None]


def _replies_to(connection: Connection, row: Row[Any]) -> list[OutboxRow]:
    """What was written because of this mail, and what a person answered on its ticket."""
    o = outbox.c
    mine = [o.event == f"m{row.id}"]
    if row.ticket_id is not None:
        mine.append(o.ticket_id == row.ticket_id)
    return typed.every(connection, OutboxRow, select(outbox).where(or_(*mine)).order_by(o.id).limit(5 * MOST))


def _reply_steps(row: OutboxRow) -> list[Step]:
    name = f"outbox {row.id}, {row.template} to {row.recipient}"
    steps = [Step(row.created_at, "queued", f"{name}; Message-ID <{row.rfc_id}>")]
    tries = f" after {row.attempts} tries" if row.attempts > 1 else ""
    if row.state == OutboxState.SENT:
        steps.append(Step(row.sent_at, "sent", f"{name}: the relay answered {row.answer or '250'}{tries}"))
    elif row.state == OutboxState.DEAD:
        steps.append(Step(row.dead_at, "given up", f"{name}{tries}: {row.last_error}"))
    else:
        why = f": {row.last_error}" if row.last_error else ""
        steps.append(Step(None, "waits", f"{name}{tries}{why}"))
        steps.append(Step(row.next_at, "next try", name))
    if row.bounced:
        steps.append(Step(None, "bounced", f"{name}: {row.bounced}"))
    return steps


def _reply_life(row: OutboxRow) -> Life:
    return Life(None, f"outbox {row.id}: {row.template} to {row.recipient}", tuple(_reply_steps(row)))


def _now(row: Row[Any]) -> list[Step]:
    """How the mail is now, with the command that moves it on where a person has to."""
    outcome = f"{row.state}, {row.disposition}" if row.disposition else row.state
    why = f": {row.reason}" if row.reason else ""
    do = {
        InboxState.FAILED: f"; gateway messages replay {row.id}",
        InboxState.QUARANTINED: f"; gateway messages release {row.id}, or discard {row.id}",
    }.get(InboxState(row.state), "")
    ticket = f", ticket {row.reference}" if row.reference else ""
    return [Step(None, "now", f"{outcome}{ticket}{why}{do}")]
