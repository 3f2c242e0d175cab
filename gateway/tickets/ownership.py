"""Who works on a ticket, who is told of it, and until when nobody wants to see it."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from gateway.model import Person
from gateway.tickets import clock, undoing
from gateway.tickets.conversation import Change, Refused, at_work, changed

MAX_WATCHERS = 20


def assign(connection: Connection, reference: str, to: str, by: Person, now: datetime) -> None:
    """Makes ``to`` (a user's name or a staff address; ``""``: nobody) the owner. The clock goes on, and reminds the
    owner before the department."""
    row = at_work(connection, reference, by)
    to = to.strip()[:100]
    if to == row.owner:
        return
    words = f"owner: {row.owner or 'nobody'} -> {to or 'nobody'}"
    values = {"owner": to} | (clock.owned_from(row, now) if to else {})
    changed(connection, row, Change("assign", words, values, {"from": row.owner, "to": to}), by, now)


def take(connection: Connection, reference: str, by: Person, now: datetime) -> None:
    """Makes the person the owner unless somebody else is.

    Raises:
        Refused: somebody else works on it.
    """
    row = at_work(connection, reference, by)
    if row.owner and row.owner != by.name:
        raise Refused(f"{row.owner} works on {row.reference}: assign it to yourself to take it over")
    assign(connection, reference, by.name, by, now)


def watch(connection: Connection, reference: str, who: str, by: Person, now: datetime) -> None:
    """``who`` gets the staff mails of the ticket from now on."""
    row = at_work(connection, reference, by)
    if who in row.watchers:
        return
    if len(row.watchers) >= MAX_WATCHERS:
        raise Refused(f"{row.reference} has {MAX_WATCHERS} watchers already")
    values = {"watchers": [*row.watchers, who]}
    changed(connection, row, Change("watch", f"{who} watches", values, {"who": who}), by, now)


def unwatch(connection: Connection, reference: str, who: str, by: Person, now: datetime) -> None:
    """``who`` gets no more notifications of this ticket."""
    row = at_work(connection, reference, by)
    if who not in row.watchers:
        return
    values = {"watchers": [name for name in row.watchers if name != who]}
    changed(connection, row, Change("unwatch", f"{who} does not watch any more", values, {"who": who}), by, now)


def snooze(connection: Connection, reference: str, until: datetime, by: Person, now: datetime) -> None:
    """Nobody is reminded of the ticket before ``until``; then its owner or department is, once. What the customer was
    promised goes on: the status mail and the breach come when they are due.

    Raises:
        Refused: the moment is over, or the ticket is closed.
    """
    row = at_work(connection, reference, by)
    if until <= now:
        raise Refused("a ticket is snoozed until a moment that is still to come")
    if row.state == "closed":
        raise Refused(f"{row.reference} is closed")
    words = f"snoozed until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    detail = {"until": until.isoformat(), "was": undoing.was_snoozed(row)}
    changed(connection, row, Change("snooze", words, {"snoozed_until": until}, detail), by, now)


def wake(connection: Connection, reference: str, by: Person, now: datetime) -> None:
    """Ends a snooze before its time."""
    row = at_work(connection, reference, by)
    if row.snoozed_until is not None:
        changed(connection, row, Change("wake", "snoozed no more", {"snoozed_until": None}), by, now)
