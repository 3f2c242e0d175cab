"""The inbox: statements that accept, claim and finish mails. Each takes the connection of a running transaction.

A claim is a short lease that is renewed while work goes on, and a number that rises with every claim of the mail:
whoever comes late with an older number commits nothing. Mails are claimed in the order of ``gateway/turns.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from gateway.database import originals, typed
from gateway.database.among import among
from gateway.database.statements import change, fetch, put, put_once, run
from gateway.database.store import LostClaim
from gateway.database.tables import Arrival, Message, Sender, UtcDateTime, arrivals, entries, messages, senders
from gateway.model import UNDATED, Accepted, Disposition, Envelope, InboxState, RawMessage, Turn

_MINE = (
    messages.c.id == bindparam("row_id"),
    messages.c.claim == bindparam("number"),
    messages.c.lease_until.is_not(None),
)
_FINISH = update(messages).where(*_MINE[:2], messages.c.attempts == bindparam("attempt"))
_RENEW = update(messages).where(*_MINE)
_PASSED = 12  #: how many senders a claim may pass over
_PENDING = func.lower(messages.c.state) == literal_column("'pending'")  # as the index says it, and no other one
_DUE = (
    select(messages)
    .where(
        _PENDING,
        messages.c.due_at <= bindparam("now"),
        messages.c.turn <= bindparam("last"),
        *(messages.c.sender != bindparam(f"full{n}") for n in range(_PASSED)),
    )
    .order_by(messages.c.turn, messages.c.id)
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)
_RECHECKS = (
    select(messages)
    .where(messages.c.state == "done", messages.c.due_at <= bindparam("now"))
    .order_by(messages.c.turn, messages.c.id)
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)
_EXPIRED = (
    select(messages.c.id)
    .where(messages.c.state == "processing", messages.c.lease_until < bindparam("now"))
    .limit(literal_column("1"))
)
_ANY = (
    select(messages.c.id)
    .where(
        or_(
            and_(messages.c.state == "pending", messages.c.due_at <= bindparam("now")),
            and_(messages.c.state == "processing", messages.c.lease_until < bindparam("now")),
            and_(messages.c.state == "done", messages.c.due_at <= bindparam("now")),
        )
    )
    .limit(literal_column("1"))
)
_WAITING = or_(
    and_(
        arrivals.c.state == "pending", or_(arrivals.c.lease_until.is_(None), arrivals.c.lease_until < bindparam("now"))
    ),
    and_(arrivals.c.state == "processing", arrivals.c.lease_until < bindparam("now")),
)
_SETTLED = or_(*(messages.c.state == state for state in ("done", "quarantined", "failed")))
_ANY_ARRIVAL = (
    select(arrivals.c.id)
    .join(messages, messages.c.id == arrivals.c.message_id)
    .where(_WAITING, _SETTLED)
    .limit(literal_column("1"))
)
_ARRIVALS = (
    select(arrivals)
    .join(messages, messages.c.id == arrivals.c.message_id)
    .where(_WAITING, _SETTLED)
    .order_by(arrivals.c.turn, arrivals.c.id)
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True, of=arrivals)
)
MAX_CLAIMS = 3
#: seconds in which the same mail without Message-ID and Date is the same one: senders that heard no answer try again
#: within 67 minutes (Postfix' maximal_backoff_time is 4,000 s); what comes later is another alarm in the same words
OCCASION_S = 90 * 60
LEASE_S = 30.0
SUSPECTS = -1  #: the turn of a suspect: before everybody
_ANY_TURN = 1 << 60


@dataclass(frozen=True, slots=True)
class Claimed:
    """A mail that is ours while we renew its lease: the number ``claim`` is the proof."""

    id: int
    attempts: int
    raw: bytes | bytearray
    envelope: Envelope
    recheck: int
    released: bool
    arrival: int | None = None
    suspect: bool = False
    size: int = 0
    pieces: int = 0  #: of a large mail, whose ``raw`` is empty here: it is read piece by piece
    claim: int = 0
    lease_until: datetime | None = None
    turn: Turn = field(default=Turn("", 0))


def _envelope_values(envelope: Envelope) -> dict[str, Any]:
    return {
        "source": envelope.source,
        "received_at": envelope.received_at,
        "mail_from": envelope.mail_from,
        "rcpt_tos": list(envelope.rcpt_tos),
        "client": envelope.client,
        "client_reason": envelope.client_reason,
        "helo": envelope.helo,
        "trusted": envelope.trusted,
        "tls": envelope.tls,
        "queue_id": envelope.queue_id,
    }


def accept(
    connection: Connection, message: RawMessage, digest: str, lease_until: datetime | None = None,
    staged: int | None = None, turn: Turn | None = None,
) -> Accepted:  # fmt: skip
    """Stores a mail once. A mail that is there already gets another arrival instead. With a lease the new mail is
    claimed in the same transaction: the caller has a free hand for it (see ``claim_of``). ``staged``: where its bytes
    are already. ``turn``: its place in the order of service; without one, the moment of its receipt."""
    envelope = message.envelope
    received_at = envelope.received_at
    turn = turn or Turn(envelope.source, int(received_at.timestamp() * 1000))
    place = {"sender": turn.sender, "turn": turn.at}
    if digest.startswith(UNDATED):
        known = _occasion(connection, digest, received_at)
        if known is not None:
            return _further(connection, message, known, staged, place)
    values = _envelope_values(envelope) | place
    values |= {
        "digest": _key(digest, received_at),
        "size": len(message.raw),
        "state": InboxState.PENDING if lease_until is None else InboxState.PROCESSING,
        "due_at": received_at,
        "lease_until": lease_until,
        "reason": "",
        "attempts": 0 if lease_until is None else 1,
        "claim": 0 if lease_until is None else 1,
        "suspect": False,
        "recheck": 0,
        "released": False,
        "authenticated": False,
        "subject": "",
    }
    created = put_once(connection, messages, values)
    if created is not None:
        originals.keep(connection, int(created), message.raw, staged)
        return Accepted(int(created), True)
    known = id_of(connection, digest, received_at)
    assert known is not None
    return _further(connection, message, known, staged, place)


def _further(
    connection: Connection, message: RawMessage, known: int, staged: int | None, place: Mapping[str, Any]
) -> Accepted:
    """Another arrival of a known mail; ``place``: its sender and turn."""
    values = _envelope_values(message.envelope) | dict(place)
    values |= {"message_id": known, "state": InboxState.PENDING, "note": "", "attempts": 0, "authenticated": False}
    arrival = put(connection, arrivals, values)
    originals.keep(connection, -int(arrival), message.raw, staged)
    return Accepted(known, False, int(arrival))


def another(connection: Connection, claimed: Claimed, known: int) -> int:
    """A mail in work becomes another arrival of a known one, without its bytes (under minus the number that is
    returned)."""
    values = _envelope_values(claimed.envelope) | {"sender": claimed.turn.sender, "turn": claimed.turn.at}
    values |= {"message_id": known, "state": InboxState.PENDING, "note": "", "attempts": 0, "authenticated": False}
    return int(put(connection, arrivals, values))


def _key(digest: str, received_at: datetime) -> str:
    """What is unique: the identity, with the span of time where it has none of its own."""
    return f"{digest}.{_span(received_at)}" if digest.startswith(UNDATED) else digest


def _span(moment: datetime) -> int:
    return int(moment.timestamp() // OCCASION_S)


def _occasion(connection: Connection, digest: str, received_at: datetime) -> int | None:
    """The mail without Message-ID and Date that this one is another arrival of. Spans have edges, and two nodes may
    stand on both sides of one: they come here one after the other."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(int(digest[1:16], 16))))
    return id_of(connection, digest, received_at)


def _is_known(digest: str, received_at: datetime) -> ColumnElement[bool]:
    m = messages.c
    if not digest.startswith(UNDATED):
        return m.digest == digest
    span, width = _span(received_at), timedelta(seconds=OCCASION_S)
    keys = [f"{digest}.{number}" for number in (span - 1, span, span + 1)]
    # all of one span are within its width: what its unique key refuses is found here
    return and_(m.digest.in_(keys), m.received_at > received_at - width, m.received_at < received_at + width)


def again(connection: Connection, digest: str, message: RawMessage) -> Accepted | None:
    """The mail with this identity, if it came from this very source before."""
    m = messages.c
    same = and_(_is_known(digest, message.envelope.received_at), m.source == message.envelope.source)
    found = connection.execute(select(m.id).where(same).order_by(m.id.desc()).limit(1)).scalar()
    return None if found is None else Accepted(int(found), False)


def id_of(connection: Connection, digest: str, received_at: datetime) -> int | None:
    """The mail with this identity, if it is known. ``received_at`` matters for a mail without Message-ID and Date."""
    same = _is_known(digest, received_at)
    found = connection.execute(select(messages.c.id).where(same).order_by(messages.c.id.desc()).limit(1)).scalar()
    return None if found is None else int(found)


def claim_of(accepted: Accepted, message: RawMessage, lease_until: datetime | None, turn: Turn) -> Claimed:
    """The claim that ``accept`` made with a lease."""
    return Claimed(
        accepted.id, 1, message.raw, message.envelope, 0, False, size=len(message.raw), claim=1,
        lease_until=lease_until, turn=turn,
    )  # fmt: skip


def envelope_of(row: Row[Any] | Message | Arrival) -> Envelope:
    """The envelope that a row keeps."""
    return Envelope(
        mail_from=row.mail_from,
        rcpt_tos=tuple(row.rcpt_tos),
        client=row.client,
        helo=row.helo,
        source=row.source,
        received_at=row.received_at,
        trusted=row.trusted,
        tls=row.tls,
        client_reason=row.client_reason,
        queue_id=row.queue_id,
    )


def claim(
    connection: Connection, now: datetime, count: int, lease_s: float = LEASE_S, alone: bool = True,
    full: Sequence[str] = (), last: int = _ANY_TURN,
) -> tuple[list[Claimed], list[int]]:  # fmt: skip
    """(due mails, now ours; mails parked because three claims had no outcome).

    Mails that were in work when a service died are suspects: each is claimed alone, when nothing else is in work
    (``alone``), and only such claims count against it. So a mail that kills the service is found and set aside, and
    a crash of another origin never costs the mails that happened to be in work. ``full``: senders who have enough in
    work; ``last``: no mail whose turn is later.
    """
    m = messages.c
    if fetch(connection, _EXPIRED, {"now": now}):
        expired = and_(m.state == InboxState.PROCESSING, m.lease_until < now)
        theirs = select(m.id).where(expired).with_for_update(skip_locked=True)
        connection.execute(update(messages).where(m.id.in_(theirs)).values(_freed(now)))
    passed = {f"full{n}": full[n] if n < len(full) else "-" for n in range(_PASSED)}
    found = fetch(connection, _DUE, {"now": now, "count": count, "last": last, **passed})
    if found and found[0].suspect:
        found = found[:1] if alone else []
    else:
        found = [row for row in found if not row.suspect]
        rechecks = fetch(connection, _RECHECKS, {"now": now, "count": max(1, count // 2)})
        if rechecks:
            found = sorted([*found, *rechecks], key=lambda row: (row.turn, row.id))[:count]
    ours: list[Claimed] = []
    parked: list[int] = []
    lease = now + timedelta(seconds=lease_s)
    for row in found:
        if row.attempts >= MAX_CLAIMS:
            values: dict[str, Any] = {"due_at": None, "reason": "claimed three times without an outcome"}
            if row.state != InboxState.DONE:
                values["state"] = InboxState.FAILED
            change(connection, messages, row.id, {"suspect": False, **values})
            parked.append(row.id)
            continue
        values = {"attempts": row.attempts + 1, "lease_until": lease, "claim": row.claim + 1}
        values |= {"due_at": lease} if row.state == InboxState.DONE else {"state": InboxState.PROCESSING}
        change(connection, messages, row.id, values)
        pieces = -(-row.size // originals.PIECE) if row.size > originals.PIECE else 0
        data = b"" if pieces else originals.load(connection, row.id)
        ours.append(
            Claimed(
                row.id, row.attempts + 1, data, envelope_of(row), row.recheck, row.released, size=row.size,
                pieces=pieces, suspect=row.suspect, claim=row.claim + 1, lease_until=lease,
                turn=Turn(row.sender, row.turn),
            )
        )  # fmt: skip
    return ours, parked


def renew(
    connection: Connection, claims: Sequence[Claimed], now: datetime, lease_s: float = LEASE_S
) -> tuple[datetime, list[Claimed]]:
    """(until when the claims are ours from now on, those that are not ours any more)."""
    lease = now + timedelta(seconds=lease_s)
    lost = []
    for claimed in claims:
        if claimed.arrival is not None:
            done = run(connection, _RENEW_ARRIVAL, _arrival_key(claimed) | {"lease_until": lease})
        else:
            values = {"row_id": claimed.id, "number": claimed.claim, "lease_until": lease}
            again = {"due_at": lease} if claimed.recheck else {}  # by which a recheck that is left is found again
            done = run(connection, _RENEW, values | again)
        if done != 1:
            lost.append(claimed)
    return lease, lost


def _arrival_key(claimed: Claimed) -> dict[str, Any]:
    return {"row_id": claimed.arrival, "number": claimed.attempts}


def hold_arrival(connection: Connection, claimed: Claimed) -> None:
    """Makes sure, to the end of the transaction, that a further arrival is still ours.

    Raises:
        LostClaim: it is not.
    """
    if run(connection, _RENEW_ARRIVAL, _arrival_key(claimed) | {"lease_until": claimed.lease_until}) != 1:
        raise LostClaim


_RENEW_ARRIVAL = update(arrivals).where(
    arrivals.c.id == bindparam("row_id"), arrivals.c.attempts == bindparam("number"), arrivals.c.state == "processing"
)


def put_back(connection: Connection, sender: str, until: int) -> None:
    """A sender's mail was slow: those of his that wait stand behind the others, on every node."""
    m = messages.c
    waiting = and_(_PENDING, m.sender == sender, m.turn < until, m.suspect.is_(False))
    connection.execute(update(messages).where(waiting).values(turn=until))
    if not put_once(connection, senders, {"sender": sender, "owed": until}):
        connection.execute(update(senders).where(senders.c.sender == sender, senders.c.owed < until).values(owed=until))


def owed(connection: Connection, now: datetime) -> dict[str, int]:
    """Who is behind the others, and until when; who is not any more is forgotten elsewhere (``forget_owed``)."""
    rows = typed.every(
        connection, Sender, select(senders).where(senders.c.owed > int(now.timestamp() * 1000)).limit(10_000)
    )
    return {row.sender: row.owed for row in rows}


def forget_owed(connection: Connection, now: datetime) -> None:
    """Forgets who is behind nobody any more."""
    connection.execute(delete(senders).where(senders.c.owed < int(now.timestamp() * 1000)))


def _waits(now: datetime) -> ColumnElement[datetime]:
    m = messages.c
    return case(
        (and_(m.suspect, m.attempts >= 2), literal(now + timedelta(seconds=30), UtcDateTime())),
        (and_(m.suspect, m.attempts == 1), literal(now + timedelta(seconds=5), UtcDateTime())),
        else_=literal(now, UtcDateTime()),
    )


def _freed(now: datetime) -> dict[str, Any]:
    """What becomes of a mail whose claim ended without an outcome: only a claim alone counts, and each time it waits
    longer, so that a service that is being killed for another reason is well up again before it is tried."""
    m = messages.c
    return {
        "due_at": _waits(now),
        "state": InboxState.PENDING,
        "lease_until": None,
        "attempts": case((m.suspect, m.attempts), else_=m.attempts - 1),
        "suspect": True,
        "turn": SUSPECTS,
    }


def claim_arrivals(connection: Connection, now: datetime, count: int, lease_s: float = LEASE_S) -> list[Claimed]:
    """Further arrivals of mails that have their outcome already."""
    found = fetch(connection, _ARRIVALS, {"now": now, "count": count})
    ours: list[Claimed] = []
    lease = now + timedelta(seconds=lease_s)
    for row in found:
        if row.attempts >= MAX_CLAIMS:
            finish_arrival(connection, row.id, "claimed three times without an outcome", False)
            continue
        values = {"state": InboxState.PROCESSING, "attempts": row.attempts + 1, "lease_until": lease}
        change(connection, arrivals, row.id, values)
        data = originals.load(connection, -row.id)
        ours.append(
            Claimed(
                row.message_id, row.attempts + 1, data, envelope_of(row), 0, False, arrival=row.id, lease_until=lease,
                turn=Turn(row.sender, row.turn),
            )
        )  # fmt: skip
    return ours


def finish_arrival(
    connection: Connection, arrival: int, note: str, authenticated: bool, keep: bool = False
) -> None:  # fmt: skip
    """Ends an arrival. Its bytes are not needed any more, unless it is shown beside the first (``keep``)."""
    connection.execute(
        update(arrivals)
        .where(arrivals.c.id == arrival)
        .values(state=InboxState.DONE, note=note, authenticated=authenticated, lease_until=None)
    )
    if not keep:
        originals.drop(connection, -arrival)


def put_off(connection: Connection, claimed: Claimed, until: datetime | None) -> None:
    """An arrival is looked at again after this moment; without one it was not looked at now."""
    counted = claimed.attempts if until is not None else claimed.attempts - 1
    values = {"state": InboxState.PENDING, "attempts": counted, "lease_until": until}
    connection.execute(update(arrivals).where(arrivals.c.id == claimed.arrival).values(values))


def adopt_raw(connection: Connection, message: int, arrival: int, envelope: Envelope) -> None:
    """The bytes and envelope of a better arrival become the mail's own; its time of receipt stays the first."""
    originals.drop(connection, message)
    originals.move(connection, -arrival, message)
    values = _envelope_values(envelope)
    values["size"] = originals.size_of(connection, message)
    del values["received_at"]
    connection.execute(update(messages).where(messages.c.id == message).values(values))


def finish(connection: Connection, claimed: Claimed, **values: Any) -> None:
    """Writes the outcome of a claim.

    Raises:
        LostClaim: the row is not ours any more.
    """
    values |= {"lease_until": None, "attempts": 0, "suspect": False}
    if claimed.arrival is not None:
        done = change(connection, messages, claimed.id, values)
    else:
        key = {"row_id": claimed.id, "number": claimed.claim, "attempt": claimed.attempts}
        done = run(connection, _FINISH, key | values)
    if done != 1:
        raise LostClaim


def park(connection: Connection, claimed: Claimed, reason: str, now: datetime) -> None:
    """Sets a mail aside as ``failed``; a further arrival is just ended with the reason."""
    if claimed.arrival is not None:
        finish_arrival(connection, claimed.arrival, reason, False)
        return
    row = connection.execute(select(messages.c.state).where(messages.c.id == claimed.id)).scalar_one()
    if row == InboxState.DONE:
        finish(connection, claimed, due_at=None, reason=reason)
    else:
        finish(connection, claimed, state=InboxState.FAILED, due_at=None, done_at=now, reason=reason)


def hand_back(
    connection: Connection, claims: Sequence[Claimed], now: datetime, wait_s: float = 0.0, reason: str = ""
) -> None:
    """Gives unfinished claims back, without counting them: at a drain, or because of a fault of ours (``reason``). What
    is not ours any more is left alone."""
    m = messages.c
    due = now + timedelta(seconds=wait_s)
    for claimed in claims:
        if claimed.arrival is not None:
            ours = and_(arrivals.c.id == claimed.arrival, arrivals.c.attempts == claimed.attempts)
            connection.execute(
                update(arrivals)
                .where(ours, arrivals.c.state == InboxState.PROCESSING)
                .values(state=InboxState.PENDING, attempts=claimed.attempts - 1, lease_until=None)
            )
            continue
        values: dict[str, Any] = {"due_at": due, "attempts": claimed.attempts - 1, "lease_until": None}
        mine = and_(m.id == claimed.id, m.claim == claimed.claim, m.lease_until.is_not(None))
        pending = values | {"state": InboxState.PENDING} | ({"reason": reason} if reason else {})
        connection.execute(update(messages).where(mine, m.state == InboxState.PROCESSING).values(pending))
        connection.execute(update(messages).where(mine, m.state == InboxState.DONE).values(values))


def free_all(connection: Connection, now: datetime) -> int:
    """At the start of the only daemon on a SQLite file: every lease of the dead one is free."""
    m = messages.c
    freed = connection.execute(update(messages).where(m.state == InboxState.PROCESSING).values(_freed(now))).rowcount
    waiting = and_(m.state == InboxState.PENDING, m.suspect, m.attempts > 0)
    connection.execute(update(messages).where(waiting).values(due_at=_waits(now)))  # counted from this start
    again = {"due_at": now, "lease_until": None, "attempts": 0}
    rechecks = and_(m.state == InboxState.DONE, m.due_at > now, m.lease_until.is_not(None))
    connection.execute(update(messages).where(rechecks).values(again))
    connection.execute(
        update(arrivals)
        .where(arrivals.c.state == InboxState.PROCESSING)
        .values(state=InboxState.PENDING, attempts=0, lease_until=None)
    )
    return int(freed)


def release(connection: Connection, message: int, now: datetime) -> bool:
    """A mail that was quarantined or only recorded goes to the desk after all, and its clock starts now; a contribution
    without proof is shown."""
    m = messages.c
    kept = or_(
        m.state == InboxState.QUARANTINED, and_(m.state == InboxState.DONE, m.disposition == Disposition.RECORDED)
    )
    done = connection.execute(
        update(messages)
        .where(m.id == message, kept)
        .values(state=InboxState.PENDING, released=True, due_at=now, attempts=0, reason="released")
    )
    if done.rowcount:
        return True
    pending = and_(m.id == message, m.state == InboxState.DONE, m.disposition == Disposition.PENDING)
    entry = connection.execute(select(m.entry_id).where(pending)).scalar()
    if entry is None:
        return False
    change(connection, entries, entry, {"status": "shown"})
    change(connection, messages, message, {"disposition": Disposition.APPENDED, "released": True, "reason": "released"})
    return True


def taken(connection: Connection, message: int) -> RawMessage | None:
    """A mail as it came, with its envelope; ``None`` when there is none."""
    row = typed.first(connection, Message, select(messages).where(messages.c.id == message))
    return None if row is None else RawMessage(originals.load(connection, message), envelope_of(row))


def replay(connection: Connection, now: datetime, ids: Sequence[int] = (), since: datetime | None = None) -> list[int]:
    """Failed mails are run again: these, or every one that failed since a moment (``None``: ever); their ids."""
    m = messages.c
    meant = m.state == InboxState.FAILED
    if ids:
        meant = and_(meant, among(m.id, ids))
    if since is not None:
        meant = and_(meant, func.coalesce(m.done_at, m.received_at) >= since)
    values = {"state": InboxState.PENDING, "due_at": now, "attempts": 0, "reason": "replayed"}
    return sorted(connection.execute(update(messages).where(meant).values(values).returning(m.id)).scalars())


def discard(connection: Connection, message: int, now: datetime) -> bool:
    """A quarantined or failed mail is settled without a ticket; its bytes stay."""
    m = messages.c
    done = connection.execute(
        update(messages)
        .where(m.id == message, m.state.in_([InboxState.QUARANTINED, InboxState.FAILED]))
        .values(state=InboxState.DONE, disposition=Disposition.RECORDED, due_at=None, done_at=now, reason="discarded")
    )
    return bool(done.rowcount)


def next_due(connection: Connection) -> datetime | None:
    """When the next mail is due."""
    m = messages.c
    pending = select(func.min(m.due_at)).where(m.state.in_([InboxState.PENDING, InboxState.DONE]))
    found: datetime | None = connection.execute(pending).scalar()
    return found


def anything_due(connection: Connection, now: datetime) -> bool:
    """Whether ``claim`` or ``claim_arrivals`` would find something; a read, so that an idle service commits nothing."""
    return bool(fetch(connection, _ANY, {"now": now}) or fetch(connection, _ANY_ARRIVAL, {"now": now}))


def oldest_pending(connection: Connection) -> datetime | None:
    """When the oldest mail came that is not decided. ``OFFSET 0`` keeps PostgreSQL from walking all mails in the order
    of their receipt in search of one that is rarely there."""
    m = messages.c
    found = []
    for state in (InboxState.PENDING, InboxState.PROCESSING):
        some = select(m.received_at).where(m.state == state).offset(0).subquery()
        found.append(connection.execute(select(func.min(some.c.received_at))).scalar())
    return min((moment for moment in found if moment is not None), default=None)
