"""What is kept of one address or account, for the person who asks for it (GDPR articles 15 and 20)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, or_, select

from gateway import log
from gateway.database import typed
from gateway.database.among import among
from gateway.database.tables import Arrival, Message, OutboxRow, Ticket, arrivals, entries, messages, outbox, tickets
from gateway.model import JsonObject
from gateway.tickets import views

_MAIL = (
    "id", "source", "received_at", "size", "mail_from", "rcpt_tos", "client", "helo", "state", "disposition",
    "message_id",
    "author", "mail_class", "trust", "authenticated",
)  # fmt: skip
_REPLY = ("id", "template", "language", "recipient", "kind", "context", "state", "created_at", "sent_at")


def _mine(what: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """(tickets of, mails of) an address or an account."""
    t, m = tickets.c, messages.c
    if "@" not in what:
        own = t.account == what
        return own, m.ticket_id.in_(select(t.id).where(own))
    lower = func.lower
    wrote = select(entries.c.ticket_id).where(lower(entries.c.author) == what)
    return or_(lower(t.author) == what, t.id.in_(wrote)), or_(lower(m.author) == what, lower(m.mail_from) == what)


def _plain(row: object, names: tuple[str, ...]) -> JsonObject:
    found = {name: getattr(row, name) for name in names}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()}


def _of_one_person(shown: JsonObject, address: str) -> JsonObject:
    """A ticket without what other people wrote in it: their words, files and addresses are theirs."""
    kept = []
    for entry in shown["entries"]:
        others = "@" in entry["author"] and entry["author"].lower() != address
        if others:
            entry |= {"author": log.masked(entry["author"]), "text": "", "full_text": "", "attachments": []}
        if entry["direction"] != "internal":
            kept.append(entry)
    author = shown["author"] if str(shown["author"]).lower() == address else log.masked(shown["author"])
    return shown | {"author": author, "entries": kept, "trace": []}


def everything(connection: Connection, what: str) -> JsonObject:
    """``tickets`` (as ``tickets show`` has them, without internal notes), ``mails`` and ``replies`` of an address or
    account. What other people wrote in the tickets of an address is left out, and their addresses are masked."""
    own, mails = _mine(what)
    m, o = messages.c, outbox.c
    found = typed.every(connection, Ticket, select(tickets).where(own).order_by(tickets.c.id))
    shown = [views.ticket_show(connection, row, True) for row in found]
    if "@" in what:
        shown = [_of_one_person(ticket, what) for ticket in shown]
    to = func.lower(o.recipient) == what if "@" in what else among(o.ticket_id, [row.id for row in found])
    replies = typed.every(connection, OutboxRow, select(outbox).where(to, o.kind != "staff").order_by(o.id))
    rows = typed.every(connection, Message, select(messages).where(mails).order_by(m.id))
    again = typed.every(
        connection, Arrival, select(arrivals).where(among(arrivals.c.message_id, [row.id for row in rows]))
    )
    return {
        "tickets": shown,
        "mails": [_plain(row, _MAIL) for row in rows],
        "further_arrivals": [_plain(row, ("message_id", "source", "received_at", "client", "helo")) for row in again],
        "replies": [_plain(row, _REPLY) for row in replies],
    }


def mails_of(connection: Connection, what: str) -> Iterator[int]:
    """The ids of the mails whose bytes belong to the export."""
    yield from connection.execute(select(messages.c.id).where(_mine(what)[1]).order_by(messages.c.id)).scalars().all()
