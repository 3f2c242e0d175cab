"""A signature, or the seal of a forwarder, that came with another mail before: somebody may have kept the mail and sent
it again, altered where the signature does not look.

A signature of the author's own domain covers what he wrote: with it the mail is another arrival of that message,
however its other fields were altered (``copies``). A seal is the word of a forwarder, who may have altered what he
sealed: it counts for one message, and a second mail with it proves nobody. So does a signature whose message is not
kept any more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from gateway.database.statements import fetch, put_all, run
from gateway.database.tables import messages, signatures, tickets
from gateway.model import Incoming, MailClass
from gateway.tickets import copies, policy

_FIRST = (
    select(signatures.c.message_id, messages.c.state, messages.c.reason, messages.c.mail_class, tickets.c.silence)
    .select_from(
        signatures.outerjoin(messages, messages.c.id == signatures.c.message_id).outerjoin(
            tickets, tickets.c.id == messages.c.ticket_id
        )
    )
    .where(signatures.c.mark == bindparam("signature"))
)
_TAKE = update(signatures).where(signatures.c.mark == bindparam("signature")).values(message_id=bindparam("message"))
Judged = tuple[Incoming, int | None]  #: the mail as it counts, and the message that it is another arrival of


def judged(connection: Connection, incoming: Incoming, message: int | None) -> Judged:
    """What the signatures of a mail say when they stand on another message than ``message``."""
    return _judged(connection, incoming, message, _known(connection, incoming))


def claimed(connection: Connection, incoming: Incoming, message: int) -> Judged:
    """``judged``, and from now on what proves this mail belongs to this message: of two copies that are committed at
    the same time one is the first."""
    rows = [{"mark": mark, "message_id": message} for mark in sorted(incoming.verdict.signatures)]
    if put_all(connection, signatures, rows, once=True) == len(rows):
        return incoming, None  # none came before, which is so of nearly every mail
    known = _known(connection, incoming)
    found, first = _judged(connection, incoming, message, known)
    if first is None and found is incoming:
        for mark in (mark for mark, row in known if row.message_id != message):
            run(connection, _TAKE, {"signature": mark, "message": message})
    return found, first


def _known(connection: Connection, incoming: Incoming) -> list[tuple[str, Any]]:
    """(mark, what is known of the message it came with) of each signature that came before."""
    marks = incoming.verdict.signatures
    return [(mark, row) for mark in marks for row in fetch(connection, _FIRST, {"signature": mark})]


def _judged(connection: Connection, incoming: Incoming, message: int | None, known: list[tuple[str, Any]]) -> Judged:
    rows = [row for _, row in known if row.message_id != message]
    proven = len(rows) < len(known)  # a signature of this mail stands on this message already
    if incoming.verdict.by == "arc":
        holding = [row.message_id for row in rows if not _gives_way(row, incoming)]
    else:
        kept = {copies.first_of(connection, row.message_id, row.reason) for row in rows if row.state is not None}
        first = min(kept - {message}, default=None)
        if first is not None and not (
            proven and message is not None and message < first
        ):  # of two that are proven the older is it
            return incoming, first
        holding = [row.message_id for row in rows if row.state is None]
    if not holding or not incoming.verdict.authenticated:
        return incoming, None
    why = f"perhaps a replay: the signature came with message {min(holding)} before; it proves nobody"
    return replace(incoming, verdict=incoming.verdict.without_signatures(why)), None


def _gives_way(first: Any, incoming: Incoming) -> bool:
    """Whether a copy that is a machine's, or wished for no answer, keeps no seal from a person's mail: the fields that
    made it so are not signed, and somebody may have put them there to silence the author."""
    if policy.class_of(incoming)[0] is not MailClass.HUMAN or first.mail_class is None:
        return False
    hushed = policy.is_of_its_copy(str(first.silence or "")) and not policy.of_this_copy(incoming)
    return first.mail_class != MailClass.HUMAN or hushed
