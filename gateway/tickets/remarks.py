"""Who hears by mail of a remark that somebody wrote on a ticket for his colleagues."""

from __future__ import annotations

from sqlalchemy import Connection, select

from gateway.database import typed
from gateway.database.tables import Entry, Ticket, entries, tickets
from gateway.tickets import addressed, briefing, outgoing
from gateway.tickets.outgoing import Acting, Notification

MOST = 2000  #: characters of a remark in a mail


def tell(connection: Connection, entry: int, acting: Acting) -> None:
    """Tells whoever hears of the ticket, and the colleagues to whom it is said, of the remark that this ``entry`` is;
    its author knows it. No clock is touched."""
    said = typed.one(connection, Entry, select(entries).where(entries.c.id == entry))
    ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == said.ticket_id))
    by, office = acting.by, acting.office
    everybody = (*office.staff.everybody, *office.staff.people.values())
    to = [*outgoing.hearers(ticket, (), office), *addressed.called(said.text, everybody)]
    own = (office.address_of(by.name) or "").lower()
    more = {"event": "noted", "noted_by": by.name, "note": briefing.words(said.text, MOST)}
    what = Notification(ticket, "staff_new", f"e{entry}.note", more)
    outgoing.tell_these(connection, [one for one in to if one.lower() != own], what, office, acting.at)
