"""Mails that are one message: the same signature of the author's domain stands on them, so what it signs and the text
are the same, whatever was changed beside it: Message-ID, References, a field that makes a machine of a person. A
further one is another arrival of the first (``arrivals``): one ticket, one acknowledgement.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, or_, select, update

from gateway.database import inbox, originals, typed
from gateway.database.statements import change
from gateway.database.tables import Entry, Message, Ticket, arrivals, entries, messages, tickets
from gateway.model import Disposition, InboxState, TicketState
from gateway.tickets import clock

WHOLE = "another arrival of message "  #: how the reason of a mail begins that was handed over, before the number
MAX_STEPS = 8


def whole_of(reason: str | None) -> int | None:
    """The message that a mail with this reason is another arrival of."""
    number = (reason or "").removeprefix(WHOLE)
    return int(number) if number != reason and number.isdigit() else None


def first_of(connection: Connection, message: int, reason: str | None) -> int:
    """The message at the end of those that a mail was handed over to; itself where it was not."""
    for _ in range(MAX_STEPS):
        whole = whole_of(reason)
        if whole is None:
            return message
        message = whole
        reason = connection.execute(select(messages.c.reason).where(messages.c.id == message)).scalar()
    return message


def handed_over(connection: Connection, claimed: inbox.Claimed, first: int) -> str:
    """A mail becomes another arrival of ``first`` as well, with its own bytes and envelope; the reason that it gets. It
    keeps its own row and bytes, by which a person finds it."""
    arrival = inbox.another(connection, claimed, first)
    originals.keep(connection, -arrival, claimed.raw or originals.load(connection, claimed.id))
    return f"{WHOLE}{first}"


def moved(connection: Connection, claimed: inbox.Claimed, first: int) -> None:
    """A further arrival belongs to ``first``, and is looked at there."""
    values = {"message_id": first, "state": InboxState.PENDING, "attempts": claimed.attempts - 1, "lease_until": None}
    connection.execute(update(arrivals).where(arrivals.c.id == claimed.arrival).values(values))


def place_of(connection: Connection, first: int) -> int | None:
    """The ticket that a message is in."""
    found = connection.execute(select(messages.c.ticket_id).where(messages.c.id == first)).scalar()
    return None if found is None else int(found)


def given_up(connection: Connection, row: Message, first: int) -> None:
    """The ticket, or contribution, that a mail had before it was known to be another arrival of ``first``."""
    there = place_of(connection, first)
    if row.entry_id is None or row.ticket_id == there:
        return
    entry = typed.one(connection, Entry, select(entries).where(entries.c.id == row.entry_id))
    ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == row.ticket_id).with_for_update())
    if ticket.first_response_at is not None:
        return  # a person has answered here: what was said stays
    reference = connection.execute(select(tickets.c.reference).where(tickets.c.id == there)).scalar()
    left(connection, row, ticket, entry, f"a better copy of its mail is in {reference or f'message {first}'}")


def left(connection: Connection, row: Message, ticket: Ticket, entry: Entry, why: str) -> None:
    """The place where an arrival stood: greyed, and closed when it was opened for it and nobody has answered."""
    mine = or_(
        entries.c.id == entry.id, entries.c.message_id == row.id
    )  # a copy of it that read otherwise may stand beside it
    connection.execute(update(entries).where(entries.c.ticket_id == ticket.id, mine).values(status="silent"))
    values: dict[str, Any] = {"marks": list(dict.fromkeys([*ticket.marks, why]))}
    others = select(entries.c.id).where(entries.c.ticket_id == ticket.id, ~mine).limit(1)
    if row.disposition == Disposition.OPENED and connection.execute(others).first() is None:
        values |= {**clock.STOPPED, "state": TicketState.CLOSED}
    change(connection, tickets, ticket.id, values)
