"""The rows of the outbox: written in the ticket's transaction, claimed under a lease, marked after the relay spoke.

Whose turn it is: ``outbox_turns.py``. What the desk makes of a reply that did not arrive comes as ``Aftermath``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, and_, bindparam, case, func, literal_column, or_, select, update

from gateway import log
from gateway.database import outbox_turns, typed
from gateway.database.among import among
from gateway.database.statements import change, fetch, put_once, run
from gateway.database.store import LostClaim, Store
from gateway.database.tables import OutboxRow, outbox, thread_ids, tickets
from gateway.mail.address import canonical, neighbourhood
from gateway.model import ClaimedItem, OutboxItem, OutboxState

LEASE_S = 30.0
OWED_S = 10.0
CONFIRMED_S = 2.0  #: a claim that was written so recently is one
DISCARDED = "discarded"
_CANCELLED = {"last_error": DISCARDED, "answer": "a person answered first"}


def add(connection: Connection, item: OutboxItem, beside: Mapping[str, Any]) -> int | None:
    """Writes an item once; ``None`` when its event was answered already. ``beside``: columns that only the database
    needs, and those that are not as a new row has them."""
    values = {
        "event": item.event,
        "template": item.template,
        "language": item.language,
        "recipient": item.recipient,
        "domain": neighbourhood(item.recipient)[:255],
        "canonical": canonical(item.recipient),
        "kind": item.kind,
        "ticket_id": item.ticket_id,
        "rfc_id": item.rfc_id,
        "context": item.context,
        "state": OutboxState.QUEUED,
        "attempts": 0,
        "next_at": item.created_at,
        "created_at": item.created_at,
        "last_error": "",
        "bounced": "",
        "answer": "",
        **beside,
    }
    row: int | None = put_once(connection, outbox, values)
    if row is not None and item.ticket_id is not None and item.kind != "staff":
        put_once(connection, thread_ids, {"rfc_id": item.rfc_id, "ticket_id": item.ticket_id, "ours": True})
    return row


def add_claimed(connection: Connection, item: OutboxItem, beside: Mapping[str, Any]) -> ClaimedItem | None:
    """``add``, and the row is ours to send in the same transaction."""
    lease = item.created_at + timedelta(seconds=LEASE_S)
    row = add(connection, item, {**beside, "state": OutboxState.SENDING, "attempts": 1, "lease_until": lease})
    return None if row is None else ClaimedItem(replace(item, id=row), 1, lease)


def item_of(row: OutboxRow) -> OutboxItem:
    """What a row holds of the mail itself."""
    return OutboxItem(
        row.event, row.template, row.language, row.recipient, row.kind, row.context, row.ticket_id, row.id, row.rfc_id,
        row.created_at,
    )  # fmt: skip


_ANY_DUE = (
    select(outbox.c.id)
    .where(
        or_(
            and_(outbox.c.state == "queued", outbox.c.next_at <= bindparam("now")),
            and_(outbox.c.state == "sending", outbox.c.lease_until < bindparam("now")),
        )
    )
    .limit(literal_column("1"))
)
_MINE = update(outbox).where(
    outbox.c.id == bindparam("row_id"), outbox.c.attempts == bindparam("claim"), outbox.c.state == "sending"
)
_ACKNOWLEDGED = (
    update(tickets)
    .where(tickets.c.id == bindparam("ticket"), tickets.c.acknowledged_at.is_(None))
    .values(acknowledged_at=bindparam("moment"))
)


def claim(
    connection: Connection, now: datetime, count: int, lease_s: float, promise_s: float = outbox_turns.PROMISE_S,
    left_too: bool = True,
) -> list[ClaimedItem]:  # fmt: skip
    """Due rows in turn (see ``outbox_turns``). A status mail that a person's answer overtook is given up instead."""
    lease = now + timedelta(seconds=lease_s)
    ours: list[ClaimedItem] = []
    cancelled = 0
    for row in outbox_turns.due(connection, now, count, promise_s, left_too):
        if row.template == "status" and _overtaken(connection, row):
            change(
                connection, outbox, row.id, {"state": OutboxState.DEAD, "next_at": None, "dead_at": now, **_CANCELLED}
            )
            cancelled += 1
            continue
        values = {"state": OutboxState.SENDING, "attempts": row.attempts + 1, "lease_until": lease}
        change(connection, outbox, row.id, values)
        resent = row.state == OutboxState.SENDING
        ours.append(ClaimedItem(item_of(row), row.attempts + 1, lease, resent, row.retry_from))
    if cancelled:  # what had to wait for them is due now
        ours += claim(connection, now, count - len(ours), lease_s, promise_s, left_too)
    return ours


def _overtaken(connection: Connection, row: OutboxRow) -> bool:
    """Whether the round that a status mail is of has ended: it was answered, or its ticket was closed."""
    if row.state != OutboxState.QUEUED:
        return False
    t = tickets.c
    found = connection.execute(select(t.round, t.round_started_at).where(t.id == row.ticket_id)).first()
    return found is not None and (found.round_started_at is None or f".r{found.round}." not in row.event)


def renew(
    connection: Connection, claims: Sequence[ClaimedItem], now: datetime, lease_s: float
) -> tuple[datetime, list[int]]:
    """(until when the rows are ours from now on, the ids of those that are not ours any more)."""
    lease = now + timedelta(seconds=lease_s)
    lost = []
    for claimed in claims:
        if run(connection, _MINE, {"row_id": claimed.id, "claim": claimed.attempts, "lease_until": lease}) != 1:
            lost.append(claimed.id)
    return lease, lost


def _mark(connection: Connection, claimed: ClaimedItem, **values: Any) -> None:
    values |= {"lease_until": None}
    if run(connection, _MINE, {"row_id": claimed.id, "claim": claimed.attempts, **values}) != 1:
        raise LostClaim


def confirm(connection: Connection, claimed: ClaimedItem) -> None:
    """Says in the database that the claim holds: what comes of it could be written there too.

    Raises:
        LostClaim: the row is not ours any more: it must not be sent.
    """
    if run(connection, _MINE, {"row_id": claimed.id, "claim": claimed.attempts, "state": OutboxState.SENDING}) != 1:
        raise LostClaim


def mark_sent(connection: Connection, claimed: ClaimedItem, now: datetime, answer: str = "") -> None:
    """The relay took it; the first acknowledgement stamps the ticket. What went out went out: it is written down also
    where the claim was lost meanwhile, so that nobody sends it again."""
    values = {"state": OutboxState.SENT, "sent_at": now, "last_error": "", "next_at": None, "answer": answer}
    try:
        _mark(connection, claimed, **values)
    except LostClaim:
        log.warning("claim_lost", outbox=claimed.id)
        not_sent = and_(outbox.c.id == claimed.id, outbox.c.state != OutboxState.SENT)
        connection.execute(update(outbox).where(not_sent).values(**values, lease_until=None, dead_at=None))
    if claimed.item.kind == "auto" and claimed.item.template != "status" and claimed.item.ticket_id is not None:
        run(connection, _ACKNOWLEDGED, {"ticket": claimed.item.ticket_id, "moment": now})


def mark_later(connection: Connection, claimed: ClaimedItem, error: str, next_at: datetime) -> None:
    """The relay did not take it now."""
    _mark(connection, claimed, state=OutboxState.QUEUED, next_at=next_at, last_error=error[:300])


def mark_lighter(connection: Connection, claimed: ClaimedItem, error: str, now: datetime) -> None:
    """The relay takes no mail of this size: it goes again at once, with its files named and not attached."""
    context = dict(claimed.item.context)
    context |= {"files": [], "left_out": [*context.get("files", ()), *context.get("left_out", ())]}
    _mark(connection, claimed, state=OutboxState.QUEUED, next_at=now, last_error=error[:300], context=context)


def give_back(connection: Connection, claimed: ClaimedItem, now: datetime, error: str | None = None) -> None:
    """A claim that was not tried (drain, or the relay is paused) does not count; nor does one that failed because of
    the relay alone, whose ``error`` is kept."""
    o = outbox.c
    values: dict[str, Any] = {"state": OutboxState.QUEUED, "attempts": claimed.attempts - 1, "next_at": now}
    if error is not None:
        values["last_error"] = error[:300]
    mine = and_(o.id == claimed.id, o.attempts == claimed.attempts, o.state == OutboxState.SENDING)
    connection.execute(update(outbox).where(mine).values(**values, lease_until=None))


def mark_dead(connection: Connection, claimed: ClaimedItem, error: str, now: datetime) -> None:
    """Given up: it is seen in ``status`` until a person settles it.

    Raises:
        LostClaim: the row is not ours any more.
    """
    _mark(connection, claimed, state=OutboxState.DEAD, next_at=None, last_error=error[:300], dead_at=now)


def overdue(connection: Connection, before: datetime, error: str, now: datetime) -> list[OutboxItem]:
    """Gives up at most a hundred waiting rows that are tried since ``before``; those rows. While the relay is away none
    of them is tried by itself."""
    o = outbox.c
    rows = typed.every(
        connection,
        OutboxRow,
        select(outbox)
        .where(o.state == OutboxState.QUEUED, func.coalesce(o.retry_from, o.created_at) <= before)
        .limit(100)
        .with_for_update(skip_locked=True),
    )
    for row in rows:
        log.dead(row.id, row.template, error)
        values = {"state": OutboxState.DEAD, "next_at": None, "last_error": error[:300], "dead_at": now}
        change(connection, outbox, row.id, values)
    return [item_of(row) for row in rows]


def free_all(connection: Connection, now: datetime) -> int:
    """At the start of the only daemon on a SQLite file: claims of the dead one may be sent again at once."""
    o = outbox.c
    return int(
        connection.execute(
            update(outbox).where(o.state == OutboxState.SENDING).values(lease_until=now - timedelta(seconds=1))
        ).rowcount
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows a person means: these ``ids``, or every one in a ``state`` (dead, queued or held; ``None``: all) that
    came into it since a moment (``None``: ever)."""

    ids: tuple[int, ...] = ()
    state: OutboxState | None = None
    since: datetime | None = None

    def where(self) -> Any:
        """The condition. A row that was discarded is settled: it is meant by its id only."""
        o = outbox.c
        states = [self.state] if self.state is not None else [OutboxState.DEAD, OutboxState.QUEUED, OutboxState.HELD]
        if self.ids:
            return and_(among(o.state, states), among(o.id, self.ids))
        found = and_(among(o.state, states), o.last_error != "discarded")
        return found if self.since is None else and_(found, func.coalesce(o.dead_at, o.created_at) >= self.since)


def retry(connection: Connection, choice: Choice, now: datetime) -> list[int]:
    """Dead or waiting rows are due now, with a fresh life; their ids. When they were written stays: budgets and turns
    are counted by it."""
    values = {"state": OutboxState.QUEUED, "next_at": now, "attempts": 0, "retry_from": now, "dead_at": None,
              "last_error": case((outbox.c.state == OutboxState.HELD, ""), else_=outbox.c.last_error)}  # fmt: skip
    done = connection.execute(update(outbox).where(choice.where()).values(values).returning(outbox.c.id))
    return sorted(done.scalars())


def drop(connection: Connection, choice: Choice, now: datetime) -> list[int]:
    """Rows that were not sent are given up on purpose: they leave the list of problems; their ids."""
    values = {"state": OutboxState.DEAD, "next_at": None, "last_error": "discarded", "dead_at": now}
    done = connection.execute(update(outbox).where(choice.where()).values(values).returning(outbox.c.id))
    return sorted(done.scalars())


def hasten(connection: Connection, now: datetime) -> int:
    """Everything that waits is due now: the relay is another one, whatever the last one said. The number of rows."""
    waits = and_(outbox.c.state == OutboxState.QUEUED, outbox.c.next_at > now)
    return int(connection.execute(update(outbox).where(waits).values(next_at=now)).rowcount)


def named_by(connection: Connection, rfc_id: str) -> tuple[str, str] | None:
    """(kind, reference of the ticket or "") of the reply with this Message-ID: whoever got it knows that, so it proves
    nothing."""
    o, t = outbox.c, tickets.c
    found = connection.execute(
        select(o.kind, t.reference)
        .select_from(outbox.outerjoin(tickets, o.ticket_id == t.id))
        .where(o.rfc_id == rfc_id)
    ).first()
    return None if found is None else (found.kind, found.reference or "")


class Aftermath(Protocol):
    """What the desk does about its mail in the transaction that writes down what became of it."""

    def promise_s(self) -> float:
        """Within how many seconds a customer is promised an answer: whose turn it is depends on it."""
        ...

    def died(self, connection: Connection, item: OutboxItem, error: str, now: datetime) -> None:
        """The item was given up after ``error``: says so on its ticket, in the same transaction."""
        ...

    def amiss(self, connection: Connection, problem: str, now: datetime) -> None:
        """The relay takes nothing until a person does something."""
        ...

    def well(self, connection: Connection) -> None:
        """The relay takes mail."""
        ...


class StoredQueue:
    """The outbox as the sender sees it: every step is a committed write."""

    def __init__(self, store: Store, aftermath: Aftermath) -> None:
        self._store, self._aftermath = store, aftermath

    async def claim(self, now: datetime, count: int, sure: bool) -> list[ClaimedItem]:
        """Due rows, now ours. Unless ``sure``, a read first: an idle outbox costs no commit."""
        if not sure and not await self._store.read(lambda connection: _anything_due(connection, now)):
            return []
        promise_s = self._aftermath.promise_s()
        # after an outage every node first writes down what the relay took meanwhile: until then no lease has ended
        left_too = not self._store.troubled_within(OWED_S)
        return await self._store.write(lambda connection: claim(connection, now, count, LEASE_S, promise_s, left_too))

    async def confirm(self, claimed: ClaimedItem, now: datetime) -> bool:
        """Whether the row is still ours; a claim of this moment needs no question.

        Raises:
            Unavailable: nothing can be recorded now.
        """
        fresh = (claimed.lease_until - now).total_seconds() > LEASE_S - CONFIRMED_S
        if not fresh or self._store.trouble:
            return await self._marked(claimed, lambda connection: confirm(connection, claimed))
        return True

    async def _marked(self, claimed: ClaimedItem, job: Callable[[Connection], None]) -> bool:
        try:
            await self._store.write(job)
        except LostClaim:  # an earlier try did it after all, or the lease ended and another has the row
            log.warning("claim_lost", outbox=claimed.id)
            return False
        return True

    async def renew(self, claims: Sequence[ClaimedItem], now: datetime) -> tuple[datetime, list[int]]:
        """See ``renew``."""
        return await self._store.write(lambda connection: renew(connection, claims, now, LEASE_S))

    async def sent(self, claimed: ClaimedItem, answer: str, now: datetime) -> None:
        """The relay took it, with these words."""
        await self._store.write(lambda connection: mark_sent(connection, claimed, now, answer[:300]))

    async def later(self, claimed: ClaimedItem, error: str, next_at: datetime) -> None:
        """The relay did not take it now."""
        await self._marked(claimed, lambda connection: mark_later(connection, claimed, error, next_at))

    async def lighter(self, claimed: ClaimedItem, error: str, now: datetime) -> None:
        """Makes it due again without its files: the relay takes no mail of this size."""
        await self._marked(claimed, lambda connection: mark_lighter(connection, claimed, error, now))

    async def dead(self, claimed: ClaimedItem, error: str, now: datetime) -> None:
        """Given up; the desk does about it what it does."""

        def job(connection: Connection) -> None:
            mark_dead(connection, claimed, error, now)
            self._aftermath.died(connection, claimed.item, error, now)

        await self._marked(claimed, job)

    async def give_back(self, claimed: ClaimedItem, now: datetime, error: str | None = None) -> None:
        """Not tried, or in vain because of the relay."""
        await self._store.write(lambda connection: give_back(connection, claimed, now, error))

    async def overdue(self, before: datetime, error: str, now: datetime) -> int:
        """Gives up what is tried since ``before``; the number of rows."""

        def job(connection: Connection) -> int:
            given_up = overdue(connection, before, error, now)
            for item in given_up:
                self._aftermath.died(connection, item, error, now)
            return len(given_up)

        return await self._store.write(job)

    async def amiss(self, problem: str, now: datetime) -> None:
        """The relay refuses us: kept for ``status``, and told to staff once."""
        await self._store.write(lambda connection: self._aftermath.amiss(connection, problem, now))

    async def well(self) -> None:
        """The relay takes mail."""
        await self._store.write(self._aftermath.well)


def _anything_due(connection: Connection, now: datetime) -> bool:
    return bool(fetch(connection, _ANY_DUE, {"now": now}))
