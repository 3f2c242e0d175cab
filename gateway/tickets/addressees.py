"""Whom an answer can go to: those of a ticket's account who wrote in it and proved who they are."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, or_, select

from gateway.database.tables import Ticket, entries, messages, tickets
from gateway.model import Trust

MOST = 10


@dataclass(frozen=True, slots=True)
class Addressees:
    """``to``: who gets the answer, ``copies``: who gets it too, ``others``: who may; no address twice."""

    to: str | None
    copies: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def usual(self) -> tuple[str, ...]:
        """Who gets it unless somebody chooses otherwise."""
        return (*((self.to,) if self.to else ()), *self.copies)

    @property
    def every(self) -> tuple[str, ...]:
        """All of them, who it goes to first."""
        return (*self.usual, *self.others)


def of(connection: Connection, row: Ticket) -> Addressees:
    """Who wrote last gets it, and who opened the ticket a copy; of one without a proven author only he. An address that
    proved nothing is never among them but as the author himself."""
    proven = _proven(connection, row)
    if row.trust != Trust.VERIFIED or row.account is None or not row.author or not proven:
        return Addressees(row.author)
    last, *others = proven
    if last == row.author:
        return Addressees(last, (), tuple(others))
    return Addressees(last, (row.author,), tuple(one for one in others if one != row.author))


def _proven(connection: Connection, row: Ticket) -> list[str]:
    """Authors of shown mails that are verified, whoever wrote last first; of tickets merged into this one, if the
    account is the same."""
    e, m, t = entries.c, messages.c, tickets.c
    family = or_(t.id == row.id, and_(t.merged_into == row.id, t.account == row.account))
    chosen = (
        select(e.author)
        .join(tickets, t.id == e.ticket_id)
        .join(messages, m.id == e.message_id)
        .where(family, e.direction == "in", e.status == "shown", m.trust == Trust.VERIFIED, e.author != "")
    )
    newest = chosen.group_by(e.author).order_by(func.max(e.id).desc()).limit(MOST)
    return list(connection.execute(newest).scalars())
