"""Whom the configuration blocks, as the audit knows it: a line for each sender since when he is blocked, and since when
not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, func, select

from gateway.database.tables import audit as lines
from gateway.model import Person
from gateway.tickets import audit
from gateway.tickets.audit import Act

BLOCK, UNBLOCK, SENDER = "block", "unblock", "sender"


def blocked(connection: Connection) -> set[str]:
    """The addresses and domains that are blocked by what the audit holds."""
    a = lines.c
    last = select(func.max(a.id)).where(a.kind == SENDER, a.what.in_((BLOCK, UNBLOCK))).group_by(a.object)
    return set(connection.execute(select(a.object).where(a.id.in_(last), a.what == BLOCK)).scalars())


def recorded(connection: Connection, wanted: Iterable[str], by: Person, now: datetime) -> list[tuple[str, str]]:
    """Writes what has changed since the audit heard of it last: (``block`` or ``unblock``, address or domain).

    Args:
        wanted: all addresses and domains that are blocked now.
        by: whose configuration it is.
    """
    known, now_blocked = blocked(connection), {one.lower()[:100] for one in wanted}
    changes = [(BLOCK, one) for one in sorted(now_blocked - known)]
    changes += [(UNBLOCK, one) for one in sorted(known - now_blocked)]
    for what, one in changes:
        audit.write(connection, Act(what, SENDER, one), by, now)
    return changes
