"""Where is the mail of customer X? Inbox and outbox by what a person knows: an address, a subject, a Message-ID, a
time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, or_, select

from gateway.database.tables import messages, outbox, tickets
from gateway.model import JsonObject

Column = ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; ``None`` where it does not matter. ``address``: a part of the author's or the envelope
    sender's (inbox), of the recipient's (outbox); ``subject``: a part; ``message_id`` with or without brackets;
    ``since``: received or written."""

    state: str | None = None
    disposition: str | None = None
    address: str | None = None
    subject: str | None = None
    message_id: str | None = None
    since: datetime | None = None
    limit: int = 100
    before: int | None = None  #: only rows with a smaller id: the next page


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where it is looked for, in a table."""

    id: Column
    state: Column
    addresses: tuple[Column, ...]
    subject: Column
    message_id: Column
    at: Column


def _conditions(of: _Columns, wanted: Search) -> Iterator[ColumnElement[bool]]:
    if wanted.state:
        yield of.state == wanted.state
    if wanted.address:
        part = wanted.address.strip("<> ")
        yield or_(*(address.icontains(part, autoescape=True) for address in of.addresses))
    if wanted.subject:
        yield of.subject.icontains(wanted.subject, autoescape=True)
    if wanted.message_id:
        yield of.message_id == wanted.message_id.strip("<> ")
    if wanted.since:
        yield of.at >= wanted.since
    if wanted.before is not None:
        yield of.id < wanted.before


def _inbox(wanted: Search) -> list[ColumnElement[bool]]:
    m = messages.c
    where = _Columns(m.id, m.state, (m.author, m.mail_from), m.subject, m.message_id, m.received_at)
    return [*_conditions(where, wanted), *([m.disposition == wanted.disposition] if wanted.disposition else [])]


def inbox_rows(connection: Connection, wanted: Search) -> list[JsonObject]:
    """``messages list``, newest first."""
    query = select(messages, tickets.c.reference).outerjoin(tickets, tickets.c.id == messages.c.ticket_id)
    query = query.where(*_inbox(wanted)).order_by(messages.c.id.desc()).limit(wanted.limit)
    return [inbox_row(row) for row in connection.execute(query).all()]


def inbox_row(row: Row[Any]) -> JsonObject:
    """A mail as ``messages list --json`` shows it. ``from`` is its author, or the envelope sender while nobody read
    it."""
    return {
        "id": row.id,
        "source": row.source,
        "received_at": row.received_at.isoformat(),
        "state": row.state,
        "disposition": row.disposition,
        "reason": row.reason,
        "ticket": row.reference,
        "attempts": row.attempts,
        "from": row.author or row.mail_from,
        "mail_from": row.mail_from,
        "recipients": row.rcpt_tos,
        "subject": row.subject,
        "message_id": row.message_id,
        "queue_id": row.queue_id,
    }


def inbox_show(connection: Connection, message: int) -> JsonObject | None:
    """``messages show``: one mail with its envelope; ``None`` when there is none."""
    query = select(messages, tickets.c.reference).outerjoin(tickets, tickets.c.id == messages.c.ticket_id)
    row = connection.execute(query.where(messages.c.id == message)).first()
    if row is None:
        return None
    return inbox_row(row) | {
        "client": row.client,
        "client_reason": row.client_reason,
        "helo": row.helo,
        "tls": row.tls,
        "trusted": row.trusted,
        "octets": row.size,
        "class": row.mail_class,
        "trust": row.trust,
        "authenticated": row.authenticated,
        "done_at": row.done_at.isoformat() if row.done_at else None,
        "due_at": row.due_at.isoformat() if row.due_at else None,
        "released": row.released,
    }


def _outbox(wanted: Search) -> list[ColumnElement[bool]]:
    o = outbox.c
    where = _Columns(o.id, o.state, (o.recipient,), tickets.c.subject, o.rfc_id, o.created_at)
    return [*_conditions(where, wanted)]


Rows = Callable[[Search], list[JsonObject]]


def pages(read: Rows, wanted: Search, size: int) -> Iterator[list[JsonObject]]:
    """The rows that are wanted, ``size`` at a time, each page by a ``read`` of its own: nobody waits for a list."""
    left = wanted.limit
    while left > 0:
        page = read(replace(wanted, limit=min(size, left)))
        yield page
        left = left - len(page) if len(page) == size else 0
        wanted = replace(wanted, before=page[-1]["id"] if page else None)


def _replies() -> Select[Any]:
    return select(outbox, tickets.c.reference, tickets.c.subject).outerjoin(tickets, tickets.c.id == outbox.c.ticket_id)


def outbox_rows(connection: Connection, wanted: Search) -> list[JsonObject]:
    """``outbox list``, newest first."""
    query = _replies().where(*_outbox(wanted)).order_by(outbox.c.id.desc()).limit(wanted.limit)
    return [outbox_row(row) for row in connection.execute(query).all()]


def outbox_row(row: Row[Any]) -> JsonObject:
    """A reply as ``outbox list --json`` shows it; ``subject`` is its ticket's."""
    return {
        "id": row.id,
        "ticket": row.reference,
        "template": row.template,
        "to": row.recipient,
        "state": row.state,
        "attempts": row.attempts,
        "next_at": row.next_at.isoformat() if row.next_at else None,
        "last_error": row.last_error or (f"bounced: {row.bounced}" if row.bounced else ""),
        "subject": row.subject,
        "message_id": row.rfc_id,
        "created_at": row.created_at.isoformat(),
        "sent_at": row.sent_at.isoformat() if row.sent_at else None,
        "answer": row.answer,
    }


def outbox_show(connection: Connection, reply: int) -> JsonObject | None:
    """``outbox show``: one reply; ``None`` when there is none."""
    row = connection.execute(_replies().where(outbox.c.id == reply)).first()
    if row is None:
        return None
    return outbox_row(row) | {
        "kind": row.kind,
        "language": row.language,
        "event": row.event,
        "urgent": row.urgent,
        "dead_at": row.dead_at.isoformat() if row.dead_at else None,
        "bounced": row.bounced,
    }
