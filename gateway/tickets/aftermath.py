"""What comes of our mail: where it is given up or sent back its ticket says so, and who is nobody gets no more."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, select, update

from gateway.database import typed
from gateway.database.statements import change
from gateway.database.tables import OutboxRow, outbox, tickets
from gateway.model import OutboxItem, TicketState
from gateway.tickets import budgets, conditions, openings
from gateway.tickets.outgoing import Notification, Office, tell

#: codes that say of an address that there is none, or none any more (RFC 3463 sections 3.2, 3.3)
_NOBODY = re.compile(r"(?<![\d.])5\.(?:1\.(?:1|2|3|6|10)|2\.1)(?![\d.])")
_REFUSED = re.compile(r"RCPT TO: 55\d (5\.(?:1\.(?:1|2|3|6|10)|2\.1))(?![\d.])")


class Aftermath:
    """What the desk does when a reply does not arrive, as ``database.outbox`` asks for it."""

    def __init__(self, office: Callable[[], Office]) -> None:
        self._office = office

    def promise_s(self) -> float:
        return self._office().rules.clock.limit

    def died(self, connection: Connection, item: OutboxItem, error: str, now: datetime) -> None:
        """See ``given_up``."""
        given_up(connection, item, error, self._office(), now)

    def amiss(self, connection: Connection, problem: str, now: datetime) -> None:
        conditions.begin(connection, conditions.RELAY, problem, self._office(), now)

    def well(self, connection: Connection) -> None:
        conditions.end(connection, conditions.RELAY)


def given_up(connection: Connection, item: OutboxItem, error: str, office: Office, now: datetime) -> None:
    """An item is dead. A person's answer that dies reopens its ticket and alerts staff."""
    if item.kind == "staff":
        return
    if (refused := _REFUSED.search(error)) is not None:
        budgets.suppress(connection, item.recipient, f"{refused[1]} on {now:%Y-%m-%d}", now)
    undelivered(connection, item.id, f"reply not delivered: {error[:100]}", office, now)


def record_bounce(connection: Connection, row: int, why: str, office: Office, now: datetime) -> int | None:
    """A bounce that came to the signed return address of a reply: the first one counts. The reply's ticket, if
    found."""
    o = outbox.c
    found = connection.execute(select(o.ticket_id, o.kind, o.bounced, o.recipient).where(o.id == row)).first()
    if found is None:
        return None
    ticket: int | None = found.ticket_id
    if found.bounced:
        return ticket
    connection.execute(update(outbox).where(o.id == row).values(bounced=why[:300] or "bounced"))
    if found.kind != "staff" and _NOBODY.search(why):
        budgets.suppress(connection, found.recipient, f"{why} on {now:%Y-%m-%d}", now)
    if ticket is not None and found.kind != "staff":
        undelivered(connection, row, f"bounced: {why[:100]}", office, now)
    return ticket


def undelivered(connection: Connection, outbox_id: int, why: str, office: Office, now: datetime) -> int | None:
    """The customer did not get this reply: the ticket says so; for a person's answer it reopens and staff are told,
    once however many reports come. The ticket."""
    sent = typed.one(connection, OutboxRow, select(outbox).where(outbox.c.id == outbox_id))
    ticket_id: int | None = sent.ticket_id
    row = openings.standing_for(connection, ticket_id)
    if row is None:
        return None
    person = sent.kind == "person"
    marks = list(dict.fromkeys([*row.marks, "the customer did not get this"]))
    change(connection, tickets, row.id, {"marks": marks})
    if person and row.state == TicketState.WAITING:
        openings.again(connection, row, office.rules, now)
    if person:
        # a row that is tried again has a new time
        event = f"o{outbox_id}.undelivered.{(sent.retry_from or sent.created_at).isoformat()}"
        more = {"why": why, "event": "undelivered"}
        tell(connection, Notification(row, "staff_undelivered", event, more), office, now)
    return ticket_id
