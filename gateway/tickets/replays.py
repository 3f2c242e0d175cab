"""A signature, or the seal of a forwarder, that came with another mail before: somebody may have kept the mail and sent it
again, altered where the signature does not look. Such a mail proves nobody; each proof counts for one message.

The same mail by another way has the same identity and is another arrival of the same message; it is no replay.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from gateway.database.statements import fetch, put_all, run
from gateway.database.tables import messages, signatures, tickets
from gateway.model import Incoming, MailClass
from gateway.tickets import policy

_FIRST = (
    select(signatures.c.message_id, messages.c.mail_class, tickets.c.silence)
    .select_from(
        signatures.outerjoin(messages, messages.c.id == signatures.c.message_id).outerjoin(
            tickets, tickets.c.id == messages.c.ticket_id
        )
    )
    .where(signatures.c.mark == bindparam("signature"))
)
_TAKE = update(signatures).where(signatures.c.mark == bindparam("signature")).values(message_id=bindparam("message"))


def judged(connection: Connection, incoming: Incoming, message: int | None) -> Incoming:
    """The mail, not authenticated when one of its signatures stands on another message than ``message``."""
    return _judged(incoming, [row for _, row in _others(connection, incoming, message)])


def remember(connection: Connection, incoming: Incoming, message: int) -> None:
    """From now on what proves this mail belongs to this message."""
    rows = [{"mark": mark, "message_id": message} for mark in incoming.verdict.signatures]
    put_all(connection, signatures, rows, once=True)


def claimed(connection: Connection, incoming: Incoming, message: int) -> Incoming:
    """``remember`` and then ``judged``: of two copies that are committed at the same time one only is believed."""
    remember(connection, incoming, message)
    others = _others(connection, incoming, message)
    found = _judged(incoming, [row for _, row in others])
    if found is incoming:
        for mark, _ in others:
            run(connection, _TAKE, {"signature": mark, "message": message})
    return found


def _others(connection: Connection, incoming: Incoming, message: int | None) -> list[tuple[str, Any]]:
    """(mark, what is known of the message it came with) of each signature that came with another message."""
    if not incoming.verdict.authenticated:
        return []
    marks = incoming.verdict.signatures
    found = [(mark, row) for mark in marks for row in fetch(connection, _FIRST, {"signature": mark})]
    return [(mark, row) for mark, row in found if row.message_id != message]


def _judged(incoming: Incoming, others: list[Any]) -> Incoming:
    holding = [row.message_id for row in others if not _gives_way(row, incoming)]
    if not holding:
        return incoming
    why = f"perhaps a replay: the signature came with message {min(holding)} before; it proves nobody"
    return replace(incoming, verdict=incoming.verdict.without_signatures(why))


def _gives_way(first: Any, incoming: Incoming) -> bool:
    """Whether a copy that is a machine's, or wished for no answer, keeps no proof from a person's mail: the fields that made it
    so are not signed, and somebody may have put them there to silence the author."""
    if policy.class_of(incoming)[0] is not MailClass.HUMAN or first.mail_class is None:
        return False
    hushed = policy.is_of_its_copy(str(first.silence or "")) and not policy.of_this_copy(incoming)
    return first.mail_class != MailClass.HUMAN or hushed
