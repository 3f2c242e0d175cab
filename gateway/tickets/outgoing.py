"""The outbox rows: written in the ticket's transaction, claimed under a lease, marked after the relay spoke."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, literal_column, or_, select, update

from gateway import log
from gateway.database import typed
from gateway.database.among import among
from gateway.database.statements import change, fetch, put, put_once, run
from gateway.database.store import LostClaim, Store
from gateway.database.tables import Notice, OutboxRow, Ticket, notices, outbox, thread_ids, tickets
from gateway.mail import tokens
from gateway.mail.address import canonical, neighbourhood, with_a_label
from gateway.model import OutboxState, Rules, TicketState
from gateway.tickets import briefing, budgets, openings, turns
from gateway.tickets.board import Board
from gateway.tickets.settings import Replies

LEASE_S = 30.0
OWED_S = 10.0
CONFIRMED_S = 2.0  #: a claim that was written so recently is one


@dataclass(frozen=True, slots=True)
class Restored:
    """The last restore: automatic replies to what came before ``at`` may have been sent by the service that the copy
    was made of. ``queued``: hold, send or discard."""

    at: datetime | None = None
    queued: str = "send"

    def doubts(self, since: datetime | None) -> bool:
        """Whether a reply to what came at ``since`` is not simply sent."""
        return self.at is not None and since is not None and self.queued != "send" and since < self.at

    def instead(self, now: datetime) -> dict[str, Any]:
        """What its row holds then."""
        if self.queued == "discard":
            return {"state": OutboxState.DEAD, "next_at": None, "dead_at": now, "last_error": DISCARDED}
        return {"state": OutboxState.HELD, "next_at": None, "last_error": HELD}


NEVER = Restored()
HELD = "held: it may have been sent before the restore"
DISCARDED = "discarded"
_CANCELLED = {"last_error": DISCARDED, "answer": "a person answered first"}


@dataclass(frozen=True, slots=True)
class Office:
    """Who we are, as far as rows are written: keys, addresses, [replies], staff by department."""

    rules: Rules
    address: str
    domain: str
    replies: Replies
    keys: Mapping[str, bytes]
    key_id: str
    new_message_id: Callable[[], str]
    staff: Mapping[str, tuple[str, ...]]
    rechecks: tuple[float, ...]
    digest_every_s: float
    restored: Restored = NEVER
    board: Board = field(default_factory=Board)
    people: Mapping[str, str] = field(default_factory=dict)  #: the address of a user's name

    def address_of(self, name: str) -> str | None:
        """Where a person of ours gets mail: a name that is an address, or one that the configuration knows."""
        return name if "@" in name else self.people.get(name)

    timezone: str = "UTC"  #: in which staff read times
    may_answer: tuple[str, ...] = ()  #: addresses of staff, and ``*@domain``

    def answers(self, address: str | None) -> bool:
        """Whether mail from this address may be staff's."""
        whole = with_a_label((address or "").lower())
        return whole in self.may_answer or f"*@{whole.rpartition('@')[2]}" in self.may_answer

    def staff_token(self, reference: str, address: str) -> str | None:
        """Where this staff address answers the ticket by mail; ``None`` where it may not."""
        if not self.replies.plus_address or not self.answers(address):
            return None
        secret = self.keys[self.key_id]
        return tokens.token_address(self.address, self.domain, reference, address, self.key_id, secret, tokens.STAFF)


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
    stamp: budgets.Stamp = budgets.UNCOUNTED  #: by what it is counted
    since: datetime | None = None  #: when what it answers came; it may have been sent before a restore


def write(connection: Connection, reply: Reply, office: Office, now: datetime) -> int | None:
    """Writes a row once; ``None`` when this event was answered already."""
    values = _row(reply, office, now)
    return _written(connection, values, reply)


def write_claimed(connection: Connection, reply: Reply, office: Office, now: datetime) -> Claimed | None:
    """``write``, and the row is ours to send in the same transaction, unless it is held."""
    if office.restored.doubts(reply.since):
        write(connection, reply, office, now)
        return None
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
    if reply.reference is not None and office.replies.plus_address and reply.kind != "staff":
        secret = office.keys[office.key_id]
        context["reply_to"] = tokens.token_address(
            office.address, office.domain, reply.reference, reply.recipient, office.key_id, secret
        )
    return {
        "event": reply.event,
        "template": reply.template,
        "language": reply.language,
        "recipient": reply.recipient,
        "domain": neighbourhood(reply.recipient)[:255],
        "canonical": canonical(reply.recipient),
        "proof": reply.stamp.proof,
        "origin": reply.stamp.origin,
        "likeness": reply.stamp.likeness,
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
        "answer": "",
    } | (office.restored.instead(now) if office.restored.doubts(reply.since) else {})


def _written(connection: Connection, values: Mapping[str, Any], reply: Reply) -> int | None:
    row: int | None = put_once(connection, outbox, values)
    if row is not None and reply.ticket_id is not None and reply.kind != "staff":
        known = {"rfc_id": values["rfc_id"], "ticket_id": reply.ticket_id, "ours": True}
        put_once(connection, thread_ids, known)
    return row


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
#: codes that say of an address that there is none, or none any more (RFC 3463 sections 3.2, 3.3)
_NOBODY = re.compile(r"(?<![\d.])5\.(?:1\.(?:1|2|3|6|10)|2\.1)(?![\d.])")
_REFUSED = re.compile(r"RCPT TO: 55\d (5\.(?:1\.(?:1|2|3|6|10)|2\.1))(?![\d.])")
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
    retry_from: datetime | None = None

    @property
    def tried_from(self) -> datetime:
        """From when ``retry_for`` counts."""
        return self.retry_from or self.created_at


def claim(
    connection: Connection, now: datetime, count: int, lease_s: float, promise_s: float = turns.PROMISE_S,
    left_too: bool = True,
) -> list[Claimed]:  # fmt: skip
    """Due rows in turn (see ``turns``). A status mail that a person's answer overtook is given up instead."""
    lease = now + timedelta(seconds=lease_s)
    ours: list[Claimed] = []
    cancelled = 0
    for row in turns.due(connection, now, count, promise_s, left_too):
        if row.template == "status" and _overtaken(connection, row):
            change(
                connection, outbox, row.id, {"state": OutboxState.DEAD, "next_at": None, "dead_at": now, **_CANCELLED}
            )
            cancelled += 1
            continue
        values = {"state": OutboxState.SENDING, "attempts": row.attempts + 1, "lease_until": lease}
        change(connection, outbox, row.id, values)
        resent = row.state == OutboxState.SENDING
        ours.append(
            Claimed(
                row.id, row.attempts + 1, row.event, row.template, row.language, row.recipient, row.kind, row.rfc_id,
                row.context, row.created_at, resent, lease, row.ticket_id, row.retry_from,
            )
        )  # fmt: skip
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
    connection: Connection, claims: Sequence[Claimed], now: datetime, lease_s: float
) -> tuple[datetime, list[int]]:
    """(until when the rows are ours from now on, the ids of those that are not ours any more)."""
    lease = now + timedelta(seconds=lease_s)
    lost = []
    for claimed in claims:
        if run(connection, _MINE, {"row_id": claimed.id, "claim": claimed.attempts, "lease_until": lease}) != 1:
            lost.append(claimed.id)
    return lease, lost


def _mark(connection: Connection, claimed: Claimed, **values: Any) -> None:
    values |= {"lease_until": None}
    if run(connection, _MINE, {"row_id": claimed.id, "claim": claimed.attempts, **values}) != 1:
        raise LostClaim


def confirm(connection: Connection, claimed: Claimed) -> None:
    """Says in the database that the claim holds: what comes of it could be written there too.

    Raises:
        LostClaim: the row is not ours any more: it must not be sent.
    """
    if run(connection, _MINE, {"row_id": claimed.id, "claim": claimed.attempts, "state": OutboxState.SENDING}) != 1:
        raise LostClaim


def mark_sent(connection: Connection, claimed: Claimed, now: datetime, answer: str = "") -> None:
    """The relay took it; the first acknowledgement stamps the ticket. What went out went out: it is written down also
    where the claim was lost meanwhile, so that nobody sends it again."""
    values = {"state": OutboxState.SENT, "sent_at": now, "last_error": "", "next_at": None, "answer": answer}
    try:
        _mark(connection, claimed, **values)
    except LostClaim:
        log.warning("claim_lost", outbox=claimed.id)
        not_sent = and_(outbox.c.id == claimed.id, outbox.c.state != OutboxState.SENT)
        connection.execute(update(outbox).where(not_sent).values(**values, lease_until=None, dead_at=None))
    if claimed.kind == "auto" and claimed.template != "status" and claimed.ticket_id is not None:
        run(connection, _ACKNOWLEDGED, {"ticket": claimed.ticket_id, "moment": now})


def mark_later(connection: Connection, claimed: Claimed, error: str, next_at: datetime) -> None:
    """The relay did not take it now."""
    _mark(connection, claimed, state=OutboxState.QUEUED, next_at=next_at, last_error=error[:300])


def mark_lighter(connection: Connection, claimed: Claimed, error: str, now: datetime) -> None:
    """The relay takes no mail of this size: it goes again at once, with its files named and not attached."""
    context = dict(claimed.context)
    context |= {"files": [], "left_out": [*context.get("files", ()), *context.get("left_out", ())]}
    _mark(connection, claimed, state=OutboxState.QUEUED, next_at=now, last_error=error[:300], context=context)


def give_back(connection: Connection, claimed: Claimed, now: datetime, error: str | None = None) -> None:
    """A claim that was not tried (drain, or the relay is paused) does not count; nor does one that failed because of
    the relay alone, whose ``error`` is kept."""
    o = outbox.c
    values: dict[str, Any] = {"state": OutboxState.QUEUED, "attempts": claimed.attempts - 1, "next_at": now}
    if error is not None:
        values["last_error"] = error[:300]
    mine = and_(o.id == claimed.id, o.attempts == claimed.attempts, o.state == OutboxState.SENDING)
    connection.execute(update(outbox).where(mine).values(**values, lease_until=None))


def mark_dead(connection: Connection, claimed: Claimed, error: str, office: Office, now: datetime) -> None:
    """Given up, and visible. A person's answer that dies reopens its ticket and alerts staff."""
    _mark(connection, claimed, state=OutboxState.DEAD, next_at=None, last_error=error[:300], dead_at=now)
    if claimed.kind != "staff":
        if (refused := _REFUSED.search(error)) is not None:
            budgets.suppress(connection, claimed.recipient, f"{refused[1]} on {now:%Y-%m-%d}", now)
        undelivered(connection, claimed.id, f"reply not delivered: {error[:100]}", office, now)


def overdue(connection: Connection, before: datetime, error: str, office: Office, now: datetime) -> int:
    """Gives up at most a hundred waiting rows that are tried since ``before``; how many. While the relay is away none
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
        if row.kind != "staff":
            undelivered(connection, row.id, f"reply not delivered: {error[:100]}", office, now)
    return len(rows)


def undelivered(connection: Connection, outbox_id: int, why: str, office: Office, now: datetime) -> int | None:
    """The customer did not get this reply: the ticket says so; for a person's answer it reopens and staff are told,
    once however many reports come. The ticket."""
    sent = typed.one(connection, OutboxRow, select(outbox).where(outbox.c.id == outbox_id))
    ticket_id: int | None = sent.ticket_id
    row = openings.standing_for(connection, ticket_id)
    if row is None:
        return None
    person = sent.kind == "person"
    marks = list(dict.fromkeys([*row.marks, "the customer did not get this"]))
    change(connection, tickets, row.id, {"marks": marks})
    if person and row.state == TicketState.WAITING:
        openings.again(connection, row, office.rules, now)
    if person:
        # a row that is tried again has a new time
        event = f"o{outbox_id}.undelivered.{(sent.retry_from or sent.created_at).isoformat()}"
        more = {"why": why, "event": "undelivered"}
        tell(connection, row, "staff_undelivered", event, more, office, now)
    return ticket_id


def tell(
    connection: Connection, ticket: Ticket, template: str, event: str, more: Mapping[str, Any], office: Office,
    now: datetime,
    *, escalate: bool = False,
) -> None:  # fmt: skip
    """A staff notification to the ticket's department, owner and watchers (and the escalation addresses)."""
    to = [*office.staff.get(ticket.department, ()), *concerned(ticket, office)]
    if escalate:
        to += office.staff.get("escalation", ())
    tell_these(connection, to, ticket, template, event, more, office, now)


def concerned(ticket: Ticket, office: Office) -> list[str]:
    """The addresses of a ticket's owner and watchers, as far as they are known; the owner's first."""
    found = (office.address_of(name) for name in (ticket.owner, *ticket.watchers) if name)
    return [address for address in found if address is not None]


def tell_these(
    connection: Connection, to: Iterable[str], ticket: Ticket, template: str, event: str, more: Mapping[str, Any],
    office: Office, now: datetime,
) -> None:  # fmt: skip
    """A staff notification about a ticket to these addresses. Without a ``text`` in it, the conversation as it is."""
    told = more if "text" in more else briefing.of_conversation(connection, ticket) | dict(more)
    for address in dict.fromkeys(to):
        tell_one(connection, ticket, template, event, address, told, office, now)


def tell_one(
    connection: Connection, ticket: Ticket, template: str, event: str, address: str, more: Mapping[str, Any],
    office: Office,
    now: datetime,
) -> None:  # fmt: skip
    """A staff notification to one address, which answers by mail where it may."""
    context = briefing.of_ticket(ticket) | dict(more)
    token = office.staff_token(ticket.reference, address)
    context |= {"reply_to": token, "in_reply_to": f"{ticket.reference}.thread@{office.domain}"}
    stamp = budgets.Stamp(proof="verified" if ticket.trust == "verified" else "none")
    urgent = ticket.priority == "high" or ticket.critical
    reply = Reply(event, template, "en", address, "staff", context, ticket_id=ticket.id, urgent=urgent, stamp=stamp)
    write_to_staff(connection, reply, f"{template} about {ticket.reference}", office, now)


def write_to_staff(connection: Connection, reply: Reply, about: str, office: Office, now: datetime) -> None:
    """A staff notification, unless the address is ours or had ``budget_total`` of them: then a line of the next
    digest."""
    address = reply.recipient
    if office.rules.owns(address):
        notice(connection, RIDES_ALONG, f"{about} was not sent to {address}: it is our own address", now)
    elif budgets.may_tell(connection, address, reply.stamp.proof, office.replies, now):
        write(connection, reply, office, now)
    else:
        notice(connection, "budget", f"{about} was not sent to {address}: budget_total is spent", now)


#: the kind of a notice that makes no digest due: what it is about may be an answer to the last one
RIDES_ALONG = "staff"


def notice(connection: Connection, kind: str, line: str, now: datetime) -> None:
    """A line of the next digest."""
    put(connection, notices, {"kind": kind, "at": now, "line": line[:500], "told_at": None})


def digest(connection: Connection, office: Office, now: datetime) -> int:
    """Writes the staff digest when there is something to tell and the last one is old enough; the number of lines."""
    rows = typed.every(
        connection, Notice, select(notices).where(notices.c.told_at.is_(None)).order_by(notices.c.id).limit(500)
    )
    to = [address for address in office.staff.get("technical", ()) if not office.rules.owns(address)]
    if not to or not anything_to_tell(connection):
        return 0
    last = connection.execute(select(func.max(notices.c.told_at))).scalar()
    if last is not None and (now - last).total_seconds() < office.digest_every_s:
        return 0
    lines = [{"at": row.at.isoformat(timespec="seconds"), "kind": row.kind, "line": row.line} for row in rows]
    told = {"lines": lines, "digest": True}
    for address in to:
        reply = Reply(f"digest.{rows[-1].id}", "staff_digest", "en", address, "staff", told)
        write(connection, reply, office, now)
    connection.execute(update(notices).where(among(notices.c.id, [row.id for row in rows])).values(told_at=now))
    return len(rows)


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


def record_bounce(connection: Connection, row: int, why: str, office: Office, now: datetime) -> int | None:
    """A bounce that came to the signed return address of a reply: the first one counts. The reply's ticket, if
    found."""
    o = outbox.c
    found = connection.execute(select(o.ticket_id, o.kind, o.bounced, o.recipient).where(o.id == row)).first()
    if found is None:
        return None
    ticket: int | None = found.ticket_id
    if found.bounced:
        return ticket
    connection.execute(update(outbox).where(o.id == row).values(bounced=why[:300] or "bounced"))
    if found.kind != "staff" and _NOBODY.search(why):
        budgets.suppress(connection, found.recipient, f"{why} on {now:%Y-%m-%d}", now)
    if ticket is not None and found.kind != "staff":
        undelivered(connection, row, f"bounced: {why[:100]}", office, now)
    return ticket


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


class StoredQueue:
    """The outbox as the sender sees it: every step is a committed write."""

    def __init__(self, store: Store, office: Callable[[], Office]) -> None:
        self._store, self._office = store, office

    async def claim(self, now: datetime, count: int, sure: bool) -> list[Claimed]:
        """Due rows, now ours. Unless ``sure``, a read first: an idle outbox costs no commit."""
        if not sure and not await self._store.read(lambda connection: _anything_due(connection, now)):
            return []
        promise_s = self._office().rules.limit_s
        # after an outage every node first writes down what the relay took meanwhile: until then no lease has ended
        left_too = not self._store.troubled_within(OWED_S)
        return await self._store.write(lambda connection: claim(connection, now, count, LEASE_S, promise_s, left_too))

    async def confirm(self, claimed: Claimed, now: datetime) -> bool:
        """Whether the row is still ours; a claim of this moment needs no question.

        Raises:
            Unavailable: nothing can be recorded now.
        """
        fresh = (claimed.lease_until - now).total_seconds() > LEASE_S - CONFIRMED_S
        if not fresh or self._store.trouble:
            return await self._marked(claimed, lambda connection: confirm(connection, claimed))
        return True

    async def _marked(self, claimed: Claimed, job: Callable[[Connection], None]) -> bool:
        try:
            await self._store.write(job)
        except LostClaim:  # an earlier try did it after all, or the lease ended and another has the row
            log.warning("claim_lost", outbox=claimed.id)
            return False
        return True

    async def renew(self, claims: Sequence[Claimed], now: datetime) -> tuple[datetime, list[int]]:
        """See ``renew``."""
        return await self._store.write(lambda connection: renew(connection, claims, now, LEASE_S))

    async def sent(self, claimed: Claimed, answer: str, now: datetime) -> None:
        """The relay took it, with these words."""
        await self._store.write(lambda connection: mark_sent(connection, claimed, now, answer[:300]))

    async def later(self, claimed: Claimed, error: str, next_at: datetime) -> None:
        """Not now."""
        await self._marked(claimed, lambda connection: mark_later(connection, claimed, error, next_at))

    async def lighter(self, claimed: Claimed, error: str, now: datetime) -> None:
        """Again, without its files."""
        await self._marked(claimed, lambda connection: mark_lighter(connection, claimed, error, now))

    async def dead(self, claimed: Claimed, error: str, now: datetime) -> None:
        """Given up."""
        await self._marked(claimed, lambda connection: mark_dead(connection, claimed, error, self._office(), now))

    async def give_back(self, claimed: Claimed, now: datetime, error: str | None = None) -> None:
        """Not tried, or in vain because of the relay."""
        await self._store.write(lambda connection: give_back(connection, claimed, now, error))

    async def overdue(self, before: datetime, error: str, now: datetime) -> int:
        """Gives up what is tried since ``before``; the number of rows."""
        return await self._store.write(lambda connection: overdue(connection, before, error, self._office(), now))

    async def amiss(self, problem: str, now: datetime) -> None:
        """The relay refuses us: kept for ``status``, and told to staff once."""
        from gateway.tickets import conditions

        await self._store.write(
            lambda connection: conditions.begin(connection, conditions.RELAY, problem, self._office(), now)
        )

    async def well(self) -> None:
        """The relay takes mail."""
        from gateway.tickets import conditions

        await self._store.write(lambda connection: conditions.end(connection, conditions.RELAY))


def _anything_due(connection: Connection, now: datetime) -> bool:
    return bool(fetch(connection, _ANY_DUE, {"now": now}))


def anything_to_tell(connection: Connection) -> bool:
    """Whether a notice waits that makes the next digest due."""
    waiting = select(notices.c.id).where(notices.c.told_at.is_(None), notices.c.kind != RIDES_ALONG).limit(1)
    return connection.execute(waiting).first() is not None
