"""What becomes of a copy that was put back: the service that it is a copy of went on, and may have sent what waited then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from gateway.database.tables import messages, outbox, restores
from gateway.model import InboxState, OutboxState
from gateway.tickets.outgoing import HELD, Choice, drop

HOLD, SEND, DISCARD = "hold", "send", "discard"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What had not been sent or decided yet when the copy was made."""

    replies: int
    mails: int


def settle(connection: Connection, queued: str, copied_at: datetime, now: datetime) -> Waiting:
    """Holds, discards or leaves the replies that waited, and writes the restore down: replies to what came before ``now``
    are treated alike (``outgoing.Restored``)."""
    o, m = outbox.c, messages.c
    waits = o.state.in_([OutboxState.QUEUED, OutboxState.SENDING])
    replies = int(connection.execute(select(func.count()).where(waits)).scalar_one())
    undecided = m.state.in_([InboxState.PENDING, InboxState.PROCESSING])
    mails = int(connection.execute(select(func.count()).where(undecided)).scalar_one())
    values: dict[str, Any] = {"state": OutboxState.QUEUED, "lease_until": None, "next_at": now}
    if queued == HOLD:
        values |= {"state": OutboxState.HELD, "next_at": None, "last_error": HELD}
    connection.execute(update(outbox).where(waits).values(values))
    if queued == DISCARD:
        drop(connection, Choice(state=OutboxState.QUEUED), now)
    connection.execute(
        restores.insert().values(copied_at=copied_at, restored_at=now, queued=queued, held=replies + mails)
    )
    return Waiting(replies, mails)
