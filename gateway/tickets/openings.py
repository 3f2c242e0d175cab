"""Tickets that wait for us: how one is opened again, always with a clock, and which ones no clock watches."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from gateway.database import typed
from gateway.database.statements import change
from gateway.database.tables import UNWATCHED, Ticket, tickets
from gateway.model import TicketState, Trust
from gateway.tickets import clock
from gateway.tickets.rules import Rules


def again(connection: Connection, row: Ticket, rules: Rules, now: datetime) -> None:
    """Opens the ticket, whose row is locked, unless it is open; its clock starts now unless it runs."""
    values: dict[str, Any] = {"state": TicketState.OPEN, "closed_at": None}
    if row.round_started_at is None:
        values |= clock.columns(clock.new_round(now, rules), row.round + 1, bool(row.owner))
    change(connection, tickets, row.id, values)


def standing_for(connection: Connection, ticket_id: int | None) -> Ticket | None:
    """The locked row of a ticket, or of the one it was merged into; ``None`` where there is none."""
    chosen = select(tickets).with_for_update()
    row = typed.first(connection, Ticket, chosen.where(tickets.c.id == ticket_id))
    if row is None or row.merged_into is None:
        return row
    return typed.first(connection, Ticket, chosen.where(tickets.c.id == row.merged_into))


def unwatched(connection: Connection) -> list[str]:
    """References of open tickets with nothing due though somebody waits: a standing check, for there should be none.
    Those that never had a clock (machines' mail) are no promise, nor are forged ones; a round past its limit is a
    breach."""
    t = tickets.c
    stopped = and_(t.round_started_at.is_(None), t.round > 0, t.trust != Trust.FAILED)
    stuck = and_(t.round_started_at.is_not(None), t.clock_next_at.is_(None), t.breached.is_(False))
    rows = connection.execute(select(t.reference).where(UNWATCHED, or_(stopped, stuck)).order_by(t.id).limit(20))
    return list(rows.scalars())
