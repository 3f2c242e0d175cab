"""A signature, or the seal of a forwarder, that came with another mail before: somebody may have kept the mail and sent it
again, altered where the signature does not look. Such a mail proves nobody; each proof counts for one message.

The same mail by another way has the same identity and is another arrival of the same message; it is no replay.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, bindparam, select

from gateway.database.statements import fetch, put_all
from gateway.database.tables import signatures
from gateway.model import Incoming

_FIRST = select(signatures.c.message_id).where(signatures.c.mark == bindparam("signature"))


def judged(connection: Connection, incoming: Incoming, message: int | None) -> Incoming:
    """The mail, not authenticated when one of its signatures stands on another message than ``message``."""
    marks = incoming.verdict.signatures
    if not marks or not incoming.verdict.authenticated:
        return incoming
    before = [
        row.message_id
        for mark in marks
        for row in fetch(connection, _FIRST, {"signature": mark})
        if row.message_id != message
    ]
    if not before:
        return incoming
    why = f"perhaps a replay: the signature came with message {min(before)} before; it proves nobody"
    return replace(incoming, verdict=incoming.verdict.without_signatures(why))


def remember(connection: Connection, incoming: Incoming, message: int) -> None:
    """From now on what proves this mail belongs to this message."""
    rows = [{"mark": mark, "message_id": message} for mark in incoming.verdict.signatures]
    put_all(connection, signatures, rows, once=True)


def claimed(connection: Connection, incoming: Incoming, message: int) -> Incoming:
    """``remember`` and then ``judged``: of two copies that are committed at the same time one only is believed."""
    remember(connection, incoming, message)
    return judged(connection, incoming, message)
