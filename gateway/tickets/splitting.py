"""A mail that is about something else is split off its conversation: a ticket of its own, linked to the old one.

It takes its words, files, facts and reasons along. Merged again, both show as one, so a split can be undone.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select, update

from gateway.database import typed
from gateway.database.statements import change, put_once
from gateway.database.tables import Entry, Message, Ticket, entries, facts, messages, ticket_links, tickets, traces
from gateway.mail import tokens
from gateway.model import Priority, TicketState, Trust
from gateway.tickets import clock
from gateway.tickets.conversation import Change, Refused, at_work, changed
from gateway.tickets.outgoing import Acting

_KEPT = ("question", "department", "sensitive", "language", "reply_language", "accounts")  #: as the old ticket has them
_TRIES = 20


def split(connection: Connection, reference: str, entry: int, acting: Acting) -> str:
    """Makes a ticket of one mail of another; its reference. It is open, its clock from now.

    Raises:
        Refused: it is no mail of this ticket, or the one that opened it.
        NotAllowed: the person is no lead.
    """
    row = at_work(connection, reference, acting.by, "merge")
    said, mail = _mail_of(connection, row, entry)
    running = clock.columns(clock.new_round(acting.at, acting.office.rules), 1)
    made = _opened(connection, _values(row, said, mail) | running | {"opened_at": mail.received_at})
    change(connection, entries, said.id, {"ticket_id": made.id})
    connection.execute(update(facts).where(facts.c.entry_id == said.id).values(ticket_id=made.id))
    change(connection, messages, mail.id, {"ticket_id": made.id})
    connection.execute(update(traces).where(traces.c.message_id == mail.id).values(ticket_id=made.id))
    put_once(
        connection,
        ticket_links,
        {"ticket_id": row.id, "other_id": made.id, "at": acting.at, "who": acting.by.name[:100]},
    )
    moved = Change("split", f"a mail was split off: {made.reference}", {"version": row.version + 1})
    changed(connection, row, moved, acting.by, acting.at)
    changed(
        connection,
        made,
        Change("split", f"split off {row.reference}", detail={"from": row.reference}),
        acting.by,
        acting.at,
    )
    return made.reference


def _mail_of(connection: Connection, row: Ticket, entry: int) -> tuple[Entry, Message]:
    e = entries.c
    mails = (e.ticket_id == row.id, e.direction == "in", e.status == "shown")
    said = typed.first(connection, Entry, select(entries).where(e.id == entry, e.message_id.is_not(None), *mails))
    if said is None:
        raise Refused("this is no mail of the ticket")
    if said.id == connection.execute(select(func.min(e.id)).where(*mails)).scalar():
        raise Refused("the mail that opened the ticket stays in it")
    return said, typed.one(connection, Message, select(messages).where(messages.c.id == said.message_id))


def _values(row: Ticket, said: Entry, mail: Message) -> dict[str, Any]:
    """The new ticket: what the mail proves by itself, and of the old one what a person corrects if it is not so."""
    proven = mail.trust == Trust.VERIFIED
    return {name: getattr(row, name) for name in _KEPT} | {
        "state": TicketState.OPEN, "account": row.account if proven else None, "author": said.author or None,
        "author_name": row.author_name if said.author == row.author else "", "trust": mail.trust or row.trust,
        "priority": Priority.NORMAL, "critical": False, "marks": [], "missing": [], "subject": mail.subject or "",
        "silence": "", "clock_done": [], "breached": False, "version": 1,
    }  # fmt: skip


def _opened(connection: Connection, values: dict[str, Any]) -> Ticket:
    for _ in range(_TRIES):
        reference = tokens.new()
        key = put_once(connection, tickets, {"reference": reference, **values})
        if key is not None:
            return typed.one(connection, Ticket, select(tickets).where(tickets.c.id == key))
    raise Refused("no free reference was found, try again")
