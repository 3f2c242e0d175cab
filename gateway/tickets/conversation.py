"""One conversation under a person's hands: found by its reference, locked, written to, and how far it has moved on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from gateway.database import typed
from gateway.database.statements import change, put
from gateway.database.tables import Ticket, entries, tickets
from gateway.mail import tokens
from gateway.model import Person, Told
from gateway.tickets import audit, rights, thanks
from gateway.tickets.audit import Act


class NoTicket(Told):
    """No ticket has this reference."""


class Merged(Told):
    """The ticket is part of another one, named in the text: that one is worked on."""


class Refused(Told, ValueError):
    """What was asked for makes no sense for this ticket; the text says why."""


class MovedOn(Told):
    """The conversation has moved on since its ``seen`` version: ``version`` is the one of now, ``since`` what came
    meanwhile (``direction author at`` of each entry)."""

    def __init__(self, reference: str, version: int, since: list[dict[str, Any]]) -> None:
        self.version, self.since = version, since
        who = ", ".join(f"{entry['author'] or 'somebody'} at {entry['at']}" for entry in since)
        super().__init__(f"{reference} has moved on ({who}): read it again, then send your answer anew")


def ticket(connection: Connection, reference: str, lock: bool = False) -> Ticket:
    """The row of a reference as a person types it. ``lock``: it stays as it is read until the transaction ends.

    Raises:
        NoTicket: there is none.
    """
    normal = tokens.normal(reference if reference.upper().startswith(("T-", "Т-")) else f"T-{reference}")
    chosen = select(tickets).where(tickets.c.reference == normal)
    row = typed.first(connection, Ticket, chosen.with_for_update() if lock else chosen) if normal else None
    if row is None:
        raise NoTicket(f"no ticket {reference}")
    return row


def at_work(connection: Connection, reference: str, by: Person, what: str = "change") -> Ticket:
    """The locked row of a ticket that this person is about to work on.

    Raises:
        NoTicket: there is none.
        Merged: it is part of another.
        NotAllowed: the role is not enough for ``what``.
    """
    rights.require(by, what)
    row = ticket(connection, reference, lock=True)
    if row.merged_into is not None:
        other = connection.execute(select(tickets.c.reference).where(tickets.c.id == row.merged_into)).scalar()
        raise Merged(f"{row.reference} was merged into {other}: use that one")
    return row


def say(connection: Connection, row: Ticket, by: Person, text: str, now: datetime, *, out: bool = False) -> int:
    """Writes an answer (``out``) or a remark, and the conversation moves on; the entry's id."""
    change(connection, tickets, row.id, {"version": row.version + 1})
    return _put(connection, row, by, text, now, ("out", "") if out else ("internal", "note"))


def _put(connection: Connection, row: Ticket, by: Person, text: str, now: datetime, what: tuple[str, str]) -> int:
    direction, kind = what
    values = {"ticket_id": row.id, "author": by.name[:330], "text": text, "full_text": "", "at": now}
    return int(put(connection, entries, values | {"direction": direction, "kind": kind, "status": "shown"}))


def noted(connection: Connection, row: Ticket, text: str, now: datetime) -> None:
    """Writes what the gateway itself did to a ticket into its history."""
    _put(connection, row, Person("gateway"), text, now, ("internal", "change"))


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody does to a ticket: ``what`` for the audit, ``words`` for its history, its columns' new
    ``values``."""

    what: str
    words: str
    values: Mapping[str, Any] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)


def changed(connection: Connection, row: Ticket, made: Change, by: Person, now: datetime) -> None:
    """Writes the change, an internal entry with who and when, and the line of the audit."""
    if made.values:
        change(connection, tickets, row.id, made.values)
    _put(connection, row, by, made.words, now, ("internal", "change"))
    audit.write(connection, Act(made.what, "ticket", row.reference, made.detail), by, now)


def moved_since(connection: Connection, row: Ticket, seen: int) -> list[dict[str, Any]]:
    """``direction author at`` of the entries by which the conversation has moved on since ``seen``, newest last."""
    e = entries.c
    talk = select(e.direction, e.author, e.at).where(e.ticket_id == row.id, e.status == "shown", e.kind != "change")
    found = connection.execute(talk.order_by(e.id.desc()).limit(max(1, row.version - seen))).all()
    return [{"direction": one.direction, "author": one.author, "at": one.at.isoformat()} for one in reversed(found)]


def must_not_have_moved(connection: Connection, row: Ticket, seen: int | None) -> None:
    """Raises ``MovedOn`` when ``seen`` is given and is not the version of now."""
    if seen is not None and seen != row.version:
        raise MovedOn(row.reference, row.version, moved_since(connection, row, seen))


def only_thanked(
    connection: Connection, row: Ticket, heard: Callable[[str, Collection[str]], bool] = thanks.only
) -> bool:
    """Whether the customer's last words were thanks for an answer: he is told neither that his request has not been
    forgotten nor that it was closed; staff are reminded of it all the same. ``heard``: what are thanks."""
    if row.round < 2:
        return False
    e = entries.c
    shown = select(e.text, e.author).where(e.ticket_id == row.id, e.status == "shown").order_by(e.id.desc())
    newest = connection.execute(shown.where(e.direction == "in").limit(1)).first()
    if newest is None:
        return False
    answered = connection.execute(shown.where(e.direction == "out").limit(1)).first()
    known = (newest.author, row.author_name, answered.author if answered is not None else "")
    return heard(newest.text, thanks.names_of(*known))
