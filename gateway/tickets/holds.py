"""Legal holds: what a ticket, an account or an address says is neither purged nor erased until a person lifts the
hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from gateway.database import typed
from gateway.database.statements import put_once
from gateway.database.tables import Hold, Ticket, holds, messages
from gateway.mail import tokens
from gateway.model import Told


class OnHold(Told):
    """Something is under a legal hold; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Held:
    """Every hold, as values by kind."""

    tickets: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.tickets or self.accounts or self.addresses)

    def ticket(self, connection: Connection, row: Ticket) -> bool:
        """Whether a ticket must stay: it is held, its account is, or an address that wrote in it."""
        if row.reference in self.tickets or {row.account, *row.accounts} & self.accounts:
            return True
        if not self.addresses:
            return False
        found = connection.execute(select(messages.c.author).where(messages.c.ticket_id == row.id)).scalars()
        return bool({str(row.author).lower(), *(str(author).lower() for author in found)} & self.addresses)

    def author(self, address: str | None) -> bool:
        """Whether a mail without a ticket must stay."""
        return bool(address) and str(address).lower() in self.addresses


def kind_of(what: str) -> tuple[str, str]:
    """(ticket, account or address; the value as it is kept) of what a person types."""
    if "@" in what:
        return "address", what.strip().lower()
    reference = tokens.normal(what)
    return ("ticket", reference) if reference else ("account", what.strip())


def hold(connection: Connection, what: str, reason: str, by: str, now: datetime) -> bool:
    """Puts a hold; a new reason replaces the old one. Whether it is new."""
    kind, value = kind_of(what)
    values = {"kind": kind, "value": value, "reason": reason, "by": by, "since": now}
    if put_once(connection, holds, values) is not None:
        return True
    h = holds.c
    connection.execute(update(holds).where(h.kind == kind, h.value == value).values(reason=reason, by=by))
    return False


def lift(connection: Connection, what: str) -> bool:
    """Lifts a hold; whether there was one."""
    kind, value = kind_of(what)
    return bool(connection.execute(delete(holds).where(holds.c.kind == kind, holds.c.value == value)).rowcount)


def listed(connection: Connection) -> list[dict[str, Any]]:
    """Every hold, oldest first: ``kind value reason by since``."""
    rows = typed.every(connection, Hold, select(holds).order_by(holds.c.id))
    return [
        {"kind": row.kind, "value": row.value, "reason": row.reason, "by": row.by, "since": row.since.isoformat()}
        for row in rows
    ]


def read(connection: Connection) -> Held:
    """What every legal hold keeps, by kind."""
    found: dict[str, set[str]] = {"ticket": set(), "account": set(), "address": set()}
    for row in connection.execute(select(holds.c.kind, holds.c.value)).all():
        found[row.kind].add(row.value)
    return Held(frozenset(found["ticket"]), frozenset(found["account"]), frozenset(found["address"]))
