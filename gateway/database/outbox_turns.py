"""Whose turn it is at the relay: which due rows of the outbox are claimed first, each kind found in an index of its
own.

What a customer waits for now goes first, however much is left of an outage: urgent rows (a person's answer before
acknowledgements before staff mail), then acknowledgements that still come within the promise, then staff mail of that
time, then the rest, the longest due first. Within a ticket and recipient the order is that of writing: an earlier row
that is due takes the turn of a later one, and none overtakes one that is being sent. Only a row that waits because its
recipient refused it for now does not hold up the later ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, func, literal_column, or_, select

from gateway.database.statements import fetch
from gateway.database.tables import OutboxRow, outbox

PROMISE_S = 1800.0  #: how long a customer's wait for an acknowledgement is one for now
_O = outbox.c
_EARLIER = outbox.alias("earlier")
_QUEUED = and_(_O.state == "queued", _O.next_at <= bindparam("now"))
_LEFT = and_(_O.state == "sending", _O.lease_until < bindparam("now"))
_SAME = and_(
    _EARLIER.c.ticket_id == _O.ticket_id, _EARLIER.c.recipient == _O.recipient, _EARLIER.c.id < _O.id
)  # no row without a ticket
_UNDERWAY = exists().where(_SAME, _EARLIER.c.state == "sending", _EARLIER.c.lease_until >= bindparam("now"))
_FIRST = (
    select(func.min(_EARLIER.c.id))
    .where(
        _SAME,
        or_(
            and_(_EARLIER.c.state == "queued", _EARLIER.c.next_at <= bindparam("now")),
            and_(_EARLIER.c.state == "sending", _EARLIER.c.lease_until < bindparam("now")),
        ),
    )
    .scalar_subquery()
    .label("first_id")
)


def _due(*where: ColumnElement[bool], order: tuple[ColumnElement[Any], ...]) -> Select[Any]:
    return (
        select(outbox, _FIRST)
        .where(*where, ~_UNDERWAY)
        .order_by(*order)
        .limit(bindparam("count"))
        .with_for_update(skip_locked=True, of=outbox)
    )


def _urgent(kind: str) -> Select[Any]:
    written = _O.created_at <= bindparam("now")  # always so; it makes the index cheaper than that of what is due
    return _due(_QUEUED, _O.urgent == literal_column("true"), _O.kind == kind, written, order=(_O.created_at,))


def _recent(kind: str) -> Select[Any]:
    recent = _O.created_at > bindparam("promised")
    return _due(_QUEUED, _O.urgent == literal_column("false"), _O.kind == kind, recent, order=(_O.created_at,))


#: what a service that died had in hand, and then by who waits for it
TURNS = (
    _due(_LEFT, order=(_O.id,)),
    _urgent("person"),
    _urgent("auto"),
    _urgent("staff"),
    _recent("auto"),
    _recent("staff"),
    _due(_QUEUED, order=(_O.next_at,)),
)
_FREE = select(outbox).where(_O.id == bindparam("row_id"), or_(_QUEUED, _LEFT)).with_for_update(skip_locked=True)


def due(
    connection: Connection, now: datetime, count: int, promise_s: float = PROMISE_S, left_too: bool = True
) -> Iterator[OutboxRow]:
    """At most ``count`` due rows in turn, each locked. The caller changes each row's state before it asks for the next.
    ``left_too``: also what somebody had in hand whose lease has ended."""
    values = {"now": now, "promised": now - timedelta(seconds=promise_s)}
    left, taken = count, set()
    for query in TURNS if left_too else TURNS[1:]:
        if left <= 0:
            return
        for row in fetch(connection, query, {**values, "count": left}):
            key = row.first_id or row.id
            if key in taken or (row.ticket_id, row.recipient) in taken:
                continue  # the next row of a ticket waits for the outcome of the first
            found = fetch(connection, _FREE, {"now": now, "row_id": key}) if row.first_id else [row]
            if not found or (found[0].state == "sending" and not left_too):
                continue  # another node has it in hand
            taken.add(key)
            if row.ticket_id is not None:
                taken.add((row.ticket_id, row.recipient))
            left -= 1
            yield found[0]
