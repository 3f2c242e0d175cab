"""Who has a ticket open and who is writing, so that two people never answer it unknowingly. Nothing of it is
history."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from gateway.database.statements import put_once
from gateway.database.tables import presence
from gateway.model import Person

#: who has not said so for this long is not there any more; an interface says it twice as often
THERE = timedelta(seconds=60)


def here(connection: Connection, ticket_id: int, by: Person, writing: bool, now: datetime) -> None:
    """The person has the ticket open, and is ``writing`` an answer or not."""
    p = presence.c
    mine = (p.ticket_id == ticket_id, p.who == by.name[:100])
    values = {"writing": writing, "at": now}
    if connection.execute(update(presence).where(*mine).values(values)).rowcount == 0:
        put_once(connection, presence, {"ticket_id": ticket_id, "who": by.name[:100], **values})


def gone(connection: Connection, ticket_id: int, by: Person) -> None:
    """Forgets that a person has the ticket open: it was closed in the browser."""
    p = presence.c
    connection.execute(delete(presence).where(p.ticket_id == ticket_id, p.who == by.name[:100]))


def others(connection: Connection, ticket_id: int, by: Person | None, now: datetime) -> list[dict[str, Any]]:
    """``who writing since`` of everybody else who has the ticket open now, writers first."""
    p = presence.c
    chosen = select(presence).where(p.ticket_id == ticket_id, p.at > now - THERE).order_by(p.writing.desc(), p.who)
    rows = connection.execute(chosen).all()
    return [
        {"who": row.who, "writing": row.writing, "at": row.at.isoformat()}
        for row in rows
        if by is None or row.who != by.name
    ]


def sweep(connection: Connection, now: datetime) -> int:
    """Forgets who has left without saying so; how many."""
    return int(connection.execute(delete(presence).where(presence.c.at <= now - THERE)).rowcount)
