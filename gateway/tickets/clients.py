"""Which hosts verified mail came from, straight to our own listener."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from gateway.database.tables import messages
from gateway.model import Trust

LOOKS_AT = 100_000  #: mails, at most; there is no index for this


def verified(
    connection: Connection, above: int | None, since: datetime, count: int
) -> tuple[list[tuple[str, datetime]], int]:
    """(client address and latest receipt of verified mail, the ``count`` latest, oldest first; the highest id there
    is).

    Only mails with an id over ``above`` are looked at; ``None``: the latest ``LOOKS_AT``.
    """
    m = messages.c
    highest = connection.execute(select(func.max(m.id))).scalar() or 0
    latest = func.max(m.received_at)
    wanted = (
        m.id > (highest - LOOKS_AT if above is None else above),
        m.received_at >= since,
        m.source == "smtp",
        m.trust == Trust.VERIFIED,
        m.authenticated.is_(True),
        m.trusted.is_(False),
        m.client.is_not(None),
    )
    rows = connection.execute(
        select(m.client, latest).where(*wanted).group_by(m.client).order_by(latest.desc()).limit(count)
    )
    return [(row[0], row[1]) for row in rows][::-1], int(highest)
