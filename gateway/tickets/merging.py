"""Two tickets about one thing: merged (one conversation, one clock) or only linked.

A merged ticket keeps its mails, facts and replies, and is closed; the other one shows them as its own, and what comes
to the merged one goes there. So a merge can be undone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from gateway.database import typed
from gateway.database.among import among
from gateway.database.statements import change, put_once
from gateway.database.tables import Ticket, ticket_links, tickets
from gateway.model import Person, Priority, TicketState
from gateway.tickets import clock, openings, undoing
from gateway.tickets.conversation import Change, Refused, at_work, changed, ticket
from gateway.tickets.outgoing import Acting

_RUNNING = ("promised_at", "round_started_at", "target_at", "status_at", "limit_at", "clock_next_at", "clock_done")


def merge(connection: Connection, reference: str, into: str, by: Person, now: datetime) -> None:
    """Makes ``reference`` part of ``into``. Of two running rounds the older one goes on: nobody waits longer for it.

    Raises:
        Refused: both are the same ticket.
        Merged: one of them is part of another already.
        NotAllowed: the person is no lead.
    """
    row, other = _both(connection, reference, into, by)
    if row.id == other.id:
        raise Refused("a ticket cannot be merged into itself")
    its = connection.execute(select(tickets.c.id).where(tickets.c.merged_into == row.id)).scalars().all()
    connection.execute(update(tickets).where(tickets.c.merged_into == row.id).values(merged_into=other.id))
    gone = {"state": TicketState.CLOSED, "closed_at": now, "merged_into": other.id, "snoozed_until": None}
    detail = {"into": other.reference, "was": undoing.was_merged(row, other, its)}
    made = Change("merge", f"merged into {other.reference}", {**gone, **clock.STOPPED}, detail)
    changed(connection, row, made, by, now)
    values = {"version": other.version + 1, **_goes_on(row, other), **_gravest(row, other)}
    kept = Change("merge", f"{row.reference} was merged into this", values, {"from": row.reference})
    changed(connection, other, kept, by, now)


def apart(row: Ticket, other: Ticket) -> bool:
    """Whether the two are of different customers, as far as that is known: to be asked about before they are merged."""
    return row.account != other.account or (row.account is None and row.author != other.author)


def _both(connection: Connection, reference: str, into: str, by: Person) -> tuple[Ticket, Ticket]:
    """Both rows, locked in the order of their ids, so that two who merge at once never wait for each other."""
    first, second = sorted((ticket(connection, reference), ticket(connection, into)), key=lambda row: int(row.id))
    rows = {row.id: at_work(connection, row.reference, by, "merge") for row in (first, second)}
    return rows[ticket(connection, reference).id], rows[ticket(connection, into).id]


def _goes_on(row: Ticket, other: Any) -> dict[str, Any]:
    """The clock of ``other`` when the older of both rounds counts."""
    if row.round_started_at is None:
        return {}
    if other.round_started_at is not None and other.round_started_at <= row.round_started_at:
        return {}
    number = max(row.round, other.round) + 1
    running = {name: getattr(row, name) for name in _RUNNING}
    if other.promised_at is not None:  # its first promise stays the one that its first answer kept
        running["promised_at"] = min(other.promised_at, row.promised_at or other.promised_at)
    return {"state": TicketState.OPEN, "closed_at": None, "round": number, **running}


def _gravest(row: Ticket, other: Ticket) -> dict[str, Any]:
    """What the merged ticket, while it is worked on, brings with it: its priority, that it is an outage, since when."""
    if row.state == TicketState.CLOSED:
        return {}
    values: dict[str, Any] = {}
    if row.promised_at is not None and row.first_response_at is None:
        values["promised_at"] = min(row.promised_at, other.promised_at or row.promised_at)
    if row.priority == Priority.HIGH != other.priority:
        values["priority"] = Priority.HIGH
    if row.critical and not other.critical:
        values |= {"critical": True, "marks": [*(mark for mark in other.marks if mark != "critical"), "critical"]}
    return values


def unmerge(connection: Connection, reference: str, acting: Acting) -> None:
    """A merged ticket stands alone again: open, its clock from now.

    Raises:
        Refused: it is not merged.
    """
    row = ticket(connection, reference, lock=True)
    if row.merged_into is None:
        raise Refused(f"{row.reference} is not merged")
    other = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == row.merged_into).with_for_update())
    change(connection, tickets, row.id, {"merged_into": None})
    row = at_work(connection, reference, acting.by, "merge")
    changed(connection, row, Change("unmerge", f"parted from {other.reference}"), acting.by, acting.at)
    openings.again(connection, row, acting.office.rules, acting.at)
    values = {"version": other.version + 1}
    changed(connection, other, Change("unmerge", f"{row.reference} was parted from this", values), acting.by, acting.at)


def link(connection: Connection, reference: str, to: str, by: Person, now: datetime) -> None:
    """Ties two tickets together; each shows the other."""
    row, other = at_work(connection, reference, by), ticket(connection, to)
    if row.id == other.id:
        raise Refused("a ticket cannot be linked to itself")
    low, high = sorted((int(row.id), int(other.id)))
    values = {"ticket_id": low, "other_id": high, "at": now, "who": by.name[:100]}
    if put_once(connection, ticket_links, values) is not None:
        detail = {"to": other.reference}
        changed(connection, row, Change("link", f"linked to {other.reference}", detail=detail), by, now)
        changed(connection, other, Change("link", f"linked to {row.reference}", detail={"to": row.reference}), by, now)


def unlink(connection: Connection, reference: str, to: str, by: Person, now: datetime) -> None:
    """Takes the tie away that a person made."""
    row, other = at_work(connection, reference, by), ticket(connection, to)
    low, high = sorted((int(row.id), int(other.id)))
    tie = delete(ticket_links).where(ticket_links.c.ticket_id == low, ticket_links.c.other_id == high)
    if connection.execute(tie).rowcount:
        detail = {"to": other.reference}
        changed(connection, row, Change("unlink", f"not linked to {other.reference} any more", detail=detail), by, now)
        changed(connection, other, Change("unlink", f"not linked to {row.reference} any more"), by, now)


def linked(connection: Connection, row: Ticket) -> list[str]:
    """References of the tickets tied to this one by a person, or by a mail that pointed at the other."""
    k, t = ticket_links.c, tickets.c
    ties = select(k.other_id).where(k.ticket_id == row.id).union(select(k.ticket_id).where(k.other_id == row.id))
    ids = set(connection.execute(ties).scalars()) | ({row.linked_to} if row.linked_to is not None else set())
    chosen = select(t.reference).where((among(t.id, ids)) | (t.linked_to == row.id)).order_by(t.id)
    return list(connection.execute(chosen).scalars())


def parts(connection: Connection, row: Ticket) -> list[Ticket]:
    """Rows of the tickets that were merged into this one."""
    chosen = select(tickets).where(tickets.c.merged_into == row.id).order_by(tickets.c.id)
    return typed.every(connection, Ticket, chosen)
