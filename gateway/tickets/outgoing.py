"""The outbox rows: written in the ticket's transaction, claimed under a lease, marked after the relay spoke."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, literal_column, or_, select, update

from gateway import log
from gateway.model import Budgets, OutboxState, Rules, TicketState
from gateway.tickets import references
from gateway.tickets.statements import change, fetch, put, put_once, run
from gateway.tickets.store import LostClaim, Store
from gateway.tickets.tables import notices, outbox, thread_ids, tickets

LEASE_S = 600.0


@dataclass(frozen=True, slots=True)
class Office:
    """Who we are, as far as rows are written: keys, addresses, budgets as (count, seconds), staff by department."""

    rules: Rules
    address: str
    domain: str
    plus_address: bool
    keys: Mapping[str, bytes]
    key_id: str
    new_message_id: Callable[[], str]
    budget_thread: tuple[int, float]
    budget_domain: tuple[int, float]
    budget_total: tuple[int, float]
    budget_address: tuple[int, float]
    staff: Mapping[str, tuple[str, ...]]
    rechecks: tuple[float, ...]
    digest_every_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """A row to write."""

    event: str
    template: str
    language: str
    recipient: str
    kind: str
    context: Mapping[str, Any]
    ticket_id: int | None = None
    entry_id: int | None = None
    reference: str | None = None
    urgent: bool = False


def write(connection: Connection, reply: Reply, office: Office, now: datetime) -> int | None:
    """Writes a row once; ``None`` when this event was answered already."""
    values = _row(reply, office, now)
    return _written(connection, values, reply)


def write_claimed(connection: Connection, reply: Reply, office: Office, now: datetime) -> Claimed | None:
    """``write``, and the row is ours to send in the same transaction."""
    lease = now + timedelta(seconds=LEASE_S)
    values = _row(reply, office, now) | {"state": OutboxState.SENDING, "attempts": 1, "lease_until": lease}
    row = _written(connection, values, reply)
    if row is None:
        return None
    return Claimed(
        row, 1, reply.event, reply.template, reply.language, reply.recipient, reply.kind, values["rfc_id"],
        values["context"], now, False, lease, reply.ticket_id,
    )  # fmt: skip


def _row(reply: Reply, office: Office, now: datetime) -> dict[str, Any]:
    rfc_id = office.new_message_id()
    context = dict(reply.context)
    if reply.reference is not None and office.plus_address and reply.kind != "staff":
        secret = office.keys[office.key_id]
        context["reply_to"] = references.token_address(
            office.address, office.domain, reply.reference, reply.recipient, office.key_id, secret
        )
    return {
        "event": reply.event,
        "template": reply.template,
        "language": reply.language,
        "recipient": reply.recipient,
        "domain": reply.recipient.rpartition("@")[2].lower(),
        "kind": reply.kind,
        "ticket_id": reply.ticket_id,
        "entry_id": reply.entry_id,
        "rfc_id": rfc_id,
        "context": context,
        "urgent": reply.urgent,
        "state": OutboxState.QUEUED,
        "attempts": 0,
        "next_at": now,
        "created_at": now,
        "last_error": "",
        "bounced": "",
    }


def _written(connection: Connection, values: Mapping[str, Any], reply: Reply) -> int | None:
    row: int | None = put_once(connection, outbox, values)
    if row is not None and reply.ticket_id is not None and reply.kind != "staff":
        known = {"rfc_id": values["rfc_id"], "ticket_id": reply.ticket_id, "ours": True}
        put_once(connection, thread_ids, known)
    return row


def budgets(
    connection: Connection, author: str | None, ticket_id: int | None, office: Office, now: datetime
) -> Budgets:
    """What automatic replies were written already; read at the start of the commit transaction."""
    if author is None:
        return Budgets()
    domain = author.rpartition("@")[2].lower()
    spans = {"total": office.budget_total, "domain": office.budget_domain, "thread": office.budget_thread,
             "address": office.budget_address}  # fmt: skip
    values: dict[str, Any] = {"author": author, "domain_name": domain, "thread_id": ticket_id or 0}
    for name, (most, seconds) in spans.items():
        values |= {f"{name}_since": now - timedelta(seconds=seconds), f"{name}_most": most}
    row = fetch(connection, _BUDGETS, values)[0]

    def reached(first: int | None, most: int, query: Any) -> bool:
        """Rows have rising ids: where fewer were written since the first of the span, nothing needs to be counted."""
        return first is not None and row.newest - first + 1 >= most and fetch(connection, query, values)[0][0] >= most

    last = row.last if row.address >= office.budget_address[0] else None  # else not used up yet
    if reached(row.first, office.budget_total[0], _OF_ALL):
        return Budgets(last, "budget_total")
    if reached(row.first_of_domain, office.budget_domain[0], _OF_DOMAIN):
        return Budgets(last, "budget_domain")
    if ticket_id is not None and fetch(connection, _OF_THREAD, values)[0][0] >= office.budget_thread[0]:
        return Budgets(last, "budget_thread")
    return Budgets(last)


_O = outbox.c
_IS_AUTOMATIC = _O.kind == "auto"


def _first(name: str, *where: Any) -> Any:
    """The first automatic reply since ``<name>_since``."""
    recent = _O.created_at > bindparam(f"{name}_since")
    return select(_O.id).where(_IS_AUTOMATIC, recent, *where).order_by(_O.created_at).limit(1).scalar_subquery()


def _counted(name: str, *where: Any) -> Any:
    """How many automatic replies were written since ``<name>_since``; counted up to ``<name>_most`` only."""
    recent = _O.created_at > bindparam(f"{name}_since")
    rows = select(_O.created_at).where(_IS_AUTOMATIC, recent, *where).limit(bindparam(f"{name}_most")).subquery()
    return select(func.count()).select_from(rows).scalar_subquery().label(name)


_ACKNOWLEDGES = _O.template != "status"
_IN_DOMAIN = _O.domain == bindparam("domain_name")
_TO_AUTHOR = _O.recipient == bindparam("author")
_BUDGETS = select(
    select(func.max(_O.id)).scalar_subquery().label("newest"),
    _first("total").label("first"),
    _first("domain", _IN_DOMAIN).label("first_of_domain"),
    select(func.max(_O.created_at)).where(_IS_AUTOMATIC, _TO_AUTHOR, _ACKNOWLEDGES).scalar_subquery().label("last"),
    _counted("address", _TO_AUTHOR, _ACKNOWLEDGES),
)
_OF_THREAD = select(_counted("thread", _O.ticket_id == bindparam("thread_id")))
_OF_ALL = select(_counted("total"))
_OF_DOMAIN = select(_counted("domain", _IN_DOMAIN))
_IS_DUE = or_(
    and_(outbox.c.state == "queued", outbox.c.next_at <= bindparam("now")),
    and_(outbox.c.state == "sending", outbox.c.lease_until < bindparam("now")),
)
_ANY_DUE = select(outbox.c.id).where(_IS_DUE).limit(literal_column("1"))
_DUE = (
    select(outbox)
    .where(_IS_DUE)
    .order_by(outbox.c.urgent.desc(), outbox.c.next_at, outbox.c.id)
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)
_MINE = update(outbox).where(
    outbox.c.id == bindparam("row_id"), outbox.c.attempts == bindparam("claim"), outbox.c.state == "sending"
)
_ACKNOWLEDGED = (
    update(tickets)
    .where(tickets.c.id == bindparam("ticket"), tickets.c.acknowledged_at.is_(None))
    .values(acknowledged_at=bindparam("moment"))
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that is ours to send until the lease ends."""

    id: int
    attempts: int
    event: str
    template: str
    language: str
    recipient: str
    kind: str
    rfc_id: str
    context: Mapping[str, Any]
    created_at: datetime
    resent: bool
    lease_until: datetime
    ticket_id: int | None = None


def claim(connection: Connection, now: datetime, count: int, lease_s: float) -> list[Claimed]:
    """Due rows, urgent ones first."""
    rows = fetch(connection, _DUE, {"now": now, "count": count})
    lease = now + timedelta(seconds=lease_s)
    for row in rows:
        change(
            connection,
            outbox,
            row.id,
            {"state": OutboxState.SENDING, "attempts": row.attempts + 1, "lease_until": lease},
        )
    return [
        Claimed(
            row.id, row.attempts + 1, row.event, row.template, row.language, row.recipient, row.kind, row.rfc_id,
            row.context, row.created_at, row.state == OutboxState.SENDING, lease, row.ticket_id,
        )
        for row in rows
    ]  # fmt: skip


def _mark(connection: Connection, claimed: Claimed, **values: Any) -> None:
    values |= {"lease_until": None}
    if run(connection, _MINE, {"row_id": claimed.id, "claim": claimed.attempts, **values}) != 1:
        raise LostClaim


def mark_sent(connection: Connection, claimed: Claimed, now: datetime) -> None:
    """The relay took it; the first acknowledgement stamps the ticket."""
    _mark(connection, claimed, state=OutboxState.SENT, sent_at=now, last_error="")
    if claimed.kind == "auto" and claimed.template != "status" and claimed.ticket_id is not None:
        run(connection, _ACKNOWLEDGED, {"ticket": claimed.ticket_id, "moment": now})


def mark_later(connection: Connection, claimed: Claimed, error: str, next_at: datetime) -> None:
    """The relay did not take it now."""
    _mark(connection, claimed, state=OutboxState.QUEUED, next_at=next_at, last_error=error[:300])


def give_back(connection: Connection, claimed: Claimed, now: datetime) -> None:
    """A claim that was not tried (drain, or the relay is paused) does not count."""
    o = outbox.c
    connection.execute(
        update(outbox)
        .where(o.id == claimed.id, o.attempts == claimed.attempts, o.state == OutboxState.SENDING)
        .values(state=OutboxState.QUEUED, attempts=claimed.attempts - 1, lease_until=None, next_at=now)
    )


def mark_dead(connection: Connection, claimed: Claimed, error: str, office: Office, now: datetime) -> None:
    """Given up, and visible. A person's answer that dies reopens its ticket and alerts staff."""
    _mark(connection, claimed, state=OutboxState.DEAD, next_at=None, last_error=error[:300])
    ticket_id = connection.execute(select(outbox.c.ticket_id).where(outbox.c.id == claimed.id)).scalar()
    if ticket_id is None or claimed.kind == "staff":
        return
    undelivered(connection, ticket_id, claimed.kind == "person", f"reply not delivered: {error[:100]}", office, now)


def undelivered(connection: Connection, ticket_id: int, person: bool, why: str, office: Office, now: datetime) -> None:
    """The customer did not get this: the ticket says so; for a person's answer it reopens and staff are told."""
    row = connection.execute(select(tickets).where(tickets.c.id == ticket_id)).first()
    if row is None:
        return
    marks = list(dict.fromkeys([*row.marks, "the customer did not get this"]))
    values: dict[str, Any] = {"marks": marks}
    if person and row.state == TicketState.WAITING:
        values["state"] = TicketState.OPEN
    connection.execute(update(tickets).where(tickets.c.id == ticket_id).values(values))
    if person:
        tell(
            connection,
            row,
            "staff_undelivered",
            f"t{ticket_id}.undelivered.{now.isoformat()}",
            {"why": why},
            office,
            now,
        )


def tell(
    connection: Connection, ticket: Any, template: str, event: str, more: Mapping[str, Any], office: Office, now: datetime,
    *, escalate: bool = False,
) -> None:  # fmt: skip
    """A staff notification to the ticket's department (and the escalation addresses)."""
    to = list(office.staff.get(ticket.department, ()))
    if escalate:
        to += office.staff.get("escalation", ())
    context = {
        "reference": ticket.reference,
        "department": ticket.department,
        "priority": ticket.priority,
        "critical": ticket.critical,
        "trust": ticket.trust,
        "account": ticket.account,
        "author": ticket.author or "",
        "opened_at": ticket.opened_at.isoformat(),
        "subject": ticket.subject,
        "marks": list(ticket.marks),
    } | dict(more)
    for address in dict.fromkeys(to):
        urgent = ticket.priority == "high" or ticket.critical
        reply = Reply(event, template, "en", address, "staff", context, ticket_id=ticket.id, urgent=urgent)
        write(connection, reply, office, now)


def notice(connection: Connection, kind: str, line: str, now: datetime) -> None:
    """A line of the next digest."""
    put(connection, notices, {"kind": kind, "at": now, "line": line[:500], "told_at": None})


def digest(connection: Connection, office: Office, now: datetime) -> int:
    """Writes the staff digest when there is something to tell and the last one is old enough; the number of lines."""
    rows = connection.execute(
        select(notices).where(notices.c.told_at.is_(None)).order_by(notices.c.id).limit(500)
    ).all()
    to = office.staff.get("technical", ())
    if not rows or not to:
        return 0
    last = connection.execute(select(func.max(notices.c.told_at))).scalar()
    if last is not None and (now - last).total_seconds() < office.digest_every_s:
        return 0
    lines = [{"at": row.at.isoformat(timespec="seconds"), "kind": row.kind, "line": row.line} for row in rows]
    for address in to:
        reply = Reply(f"digest.{rows[-1].id}", "staff_digest", "en", address, "staff", {"lines": lines})
        write(connection, reply, office, now)
    connection.execute(update(notices).where(notices.c.id.in_([row.id for row in rows])).values(told_at=now))
    return len(rows)


def free_all(connection: Connection, now: datetime) -> int:
    """At the start of the only daemon on a SQLite file: claims of the dead one may be sent again at once."""
    o = outbox.c
    return int(
        connection.execute(
            update(outbox).where(o.state == OutboxState.SENDING).values(lease_until=now - timedelta(seconds=1))
        ).rowcount
    )


def retry(connection: Connection, row: int, now: datetime) -> bool:
    """A dead or waiting row is tried now, with a fresh life."""
    o = outbox.c
    done = connection.execute(
        update(outbox)
        .where(o.id == row, o.state.in_([OutboxState.DEAD, OutboxState.QUEUED]))
        .values(state=OutboxState.QUEUED, next_at=now, attempts=0, created_at=now)
    )
    return bool(done.rowcount)


def drop(connection: Connection, row: int) -> bool:
    """A row that was not sent is given up on purpose: it leaves the list of problems."""
    o = outbox.c
    done = connection.execute(
        update(outbox)
        .where(o.id == row, o.state.in_([OutboxState.DEAD, OutboxState.QUEUED]))
        .values(state=OutboxState.DEAD, next_at=None, last_error="discarded")
    )
    return bool(done.rowcount)


def record_bounce(
    connection: Connection, row: int | None, rfc_id: str | None, why: str, office: Office, now: datetime
) -> int | None:
    """Ties a bounce to the reply it is about; the ticket it belongs to, if found."""
    o = outbox.c
    if row is None and rfc_id is None:
        return None
    where = o.id == row if row is not None else o.rfc_id == rfc_id
    found = connection.execute(select(o.id, o.ticket_id, o.kind).where(where)).first()
    if found is None:
        return None
    connection.execute(update(outbox).where(o.id == found.id).values(bounced=why[:300] or "bounced"))
    if found.ticket_id is not None and found.kind != "staff":
        undelivered(connection, found.ticket_id, found.kind == "person", f"bounced: {why[:100]}", office, now)
    ticket: int | None = found.ticket_id
    return ticket


class StoredQueue:
    """The outbox as the sender sees it: every step is a committed write."""

    def __init__(self, store: Store, office: Callable[[], Office]) -> None:
        self._store, self._office = store, office

    async def claim(self, now: datetime, count: int, sure: bool) -> list[Claimed]:
        """Due rows, now ours. Unless ``sure``, a read first: an idle outbox costs no commit."""
        if not sure and not await self._store.read(lambda connection: _anything_due(connection, now)):
            return []
        return await self._store.write(lambda connection: claim(connection, now, count, LEASE_S))

    async def sent(self, claimed: Claimed, now: datetime) -> None:
        """The relay took it."""
        try:
            await self._store.write_patiently(lambda connection: mark_sent(connection, claimed, now))
        except LostClaim:  # an earlier try has marked it after all, or its lease has ended meanwhile
            log.warning("claim_lost", outbox=claimed.id)

    async def later(self, claimed: Claimed, error: str, next_at: datetime) -> None:
        """Not now."""
        await self._store.write_patiently(lambda connection: mark_later(connection, claimed, error, next_at))

    async def dead(self, claimed: Claimed, error: str, now: datetime) -> None:
        """Given up."""
        await self._store.write_patiently(lambda connection: mark_dead(connection, claimed, error, self._office(), now))

    async def give_back(self, claimed: Claimed, now: datetime) -> None:
        """Not tried."""
        await self._store.write(lambda connection: give_back(connection, claimed, now))


def _anything_due(connection: Connection, now: datetime) -> bool:
    return bool(fetch(connection, _ANY_DUE, {"now": now}))


def anything_to_tell(connection: Connection) -> bool:
    """Whether a notice waits for the next digest."""
    return connection.execute(select(notices.c.id).where(notices.c.told_at.is_(None)).limit(1)).first() is not None
