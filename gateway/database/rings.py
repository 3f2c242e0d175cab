"""What one node tells the others on a PostgreSQL: that a mail or a reply waits. ``bell.py`` rings and listens."""

from __future__ import annotations

from sqlalchemy import Connection

MAILS, REPLIES = "gateway_mails", "gateway_replies"  #: channels of NOTIFY


def ring(connection: Connection, channels: list[str], who: str = "") -> None:
    """Tells every node that listens but ``who``."""
    for channel in channels:
        connection.exec_driver_sql("select pg_notify(%s, %s)", (channel, who))
