"""Which ticket a mail points at: by token, Message-ID, References or a reference in its subject. A candidate only.

Of several the author's own ticket counts, whatever else the mail points at: nobody draws a customer's mail away from it
with a token or a Message-ID that the customer's mail program copies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, Connection, bindparam, func, literal_column, or_, select

from gateway.database import typed
from gateway.database.among import among
from gateway.database.statements import fetch
from gateway.database.tables import Ticket, attachments, entries, outbox, thread_ids, tickets
from gateway.mail import tokens
from gateway.model import SAME_REQUEST, Incoming, Thread, TicketState
from gateway.tickets import newtopic

TOKEN_LIFE = timedelta(days=180)
MAX_IDS = 50  #: of In-Reply-To and of References, the nearest of these


@dataclass(frozen=True, slots=True)
class Pointers:
    """What a mail says about its thread. ``returned_row``: the outbox row whose signed return address it was sent
    to."""

    addresses: tuple[str, ...]
    message_id: str | None
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    subject: str
    returned_row: int | None = None
    forward: bool = False  #: it passes another mail on
    loose: bool = False  #: In-Reply-To and References may be anybody's; the subject is the author's


@dataclass(frozen=True, slots=True)
class _Author:
    address: str | None
    accounts: frozenset[str]

    def is_party(self, row: Ticket) -> bool:
        """Whether he wrote the ticket, or is registered on its account."""
        if self.address is None:
            return False
        return (row.author or "").lower() == self.address.lower() or row.account in self.accounts

    def is_party_of(self) -> ColumnElement[bool]:
        """``is_party`` as a condition of a query."""
        assert self.address is not None
        return or_(func.lower(tickets.c.author) == self.address.lower(), among(tickets.c.account, self.accounts))


def _thread(row: Ticket, by: str, author: _Author, bound: bool = False, note: str = "") -> Thread:
    return Thread(
        ticket_id=row.id,
        reference=row.reference,
        by=by,
        state=TicketState(row.state),
        party=author.is_party(row),
        token_bound=bound,
        closed_at=row.closed_at,
        answered=row.first_response_at is not None,
        clock_running=row.round_started_at is not None,
        note=note,
        merged_into=row.merged_into,
        subject=row.subject,
        department=row.department,
    )


def find(
    connection: Connection, pointers: Pointers, author: str | None, accounts: Iterable[str], keys: Mapping[str, bytes],
    now: datetime, lock: bool = False,
) -> Thread | None:  # fmt: skip
    """The best candidate: a ticket of the author's before any other; a token of his, then any token, the return address
    of a reply, Message-IDs, References, the subject. ``lock``: its ticket stays as it is read until the transaction
    ends."""
    whose = _Author(author, frozenset(accounts))
    first: Thread | None = None
    for candidate in _candidates(connection, pointers, whose, keys, now):
        first = candidate if candidate.party else first or candidate
        if candidate.party:
            break
    if first is not None and first.merged_into is not None:
        first = _continued(connection, first, whose)
    if first is None:
        return None
    new_topic = newtopic.is_new(pointers.subject, first.subject)
    apart = pointers.forward or newtopic.shares_nothing(pointers.subject, first.subject)
    first = replace(first, new_topic=new_topic, apart=apart)
    if not lock:
        return first
    row = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == first.ticket_id).with_for_update())
    locked = _thread(row, first.by, whose, first.token_bound, first.note)
    party = locked.party or first.party
    return replace(locked, party=party, firm=first.firm, new_topic=first.new_topic, apart=first.apart)


def _continued(connection: Connection, merged: Thread, author: _Author) -> Thread:
    """The ticket that a merged one is part of: whoever could continue that one may continue this."""
    row = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == merged.merged_into))
    thread = _thread(row, merged.by, author, merged.token_bound, merged.note)
    return replace(thread, party=thread.party or merged.party, firm=merged.firm)


def _candidates(
    connection: Connection, pointers: Pointers, author: _Author, keys: Mapping[str, bytes], now: datetime
) -> Iterator[Thread]:
    yield from _by_token(connection, pointers, author, keys, now)
    if pointers.returned_row is not None:
        yield from _by_return_address(connection, pointers.returned_row, author, now)
    if pointers.loose:
        yield from _by_subject(connection, pointers, author)
    yield from _by_ids(connection, pointers, author)
    if not pointers.loose:
        yield from _by_subject(connection, pointers, author)


def _by_subject(connection: Connection, pointers: Pointers, author: _Author) -> Iterator[Thread]:
    reference = tokens.find(pointers.subject)
    if reference is None:
        return
    row = typed.first(connection, Ticket, select(tickets).where(tickets.c.reference == reference))
    if row is not None:
        yield replace(_thread(row, "subject", author), firm=True)


def _by_token(
    connection: Connection, pointers: Pointers, author: _Author, keys: Mapping[str, bytes], now: datetime
) -> Iterator[Thread]:
    found = tokens.tokens(pointers.addresses)
    if not found:
        return
    named = among(tickets.c.reference, [token.reference for token in found])
    rows = {row.reference: row for row in typed.every(connection, Ticket, select(tickets).where(named))}
    bound = [t for t in found if author.address is not None and tokens.is_bound(t, author.address, keys)]
    for token in (*bound, *(token for token in found if token not in bound)):
        row = rows.get(token.reference)
        if row is None:
            continue
        given = _last_given(connection, row, author.address) if token in bound and author.address else None
        fresh = given is not None and now - given <= TOKEN_LIFE
        note = "" if fresh or given is None else f"the token expired, it was last sent on {given:%Y-%m-%d}"
        yield replace(_thread(row, "token", author, fresh, note), firm=True)


def _last_given(connection: Connection, ticket: Ticket, address: str) -> datetime:
    """When the token of a ticket was last sent to this address, as far as is known; not before the ticket was
    opened."""
    o = outbox.c
    sent: datetime | None = connection.execute(
        select(func.max(o.created_at)).where(
            o.ticket_id == ticket.id, o.kind != "staff", func.lower(o.recipient) == address.lower()
        )
    ).scalar()
    opened: datetime = ticket.opened_at
    return max(sent, opened) if sent is not None else opened


def _by_return_address(connection: Connection, row_id: int, author: _Author, now: datetime) -> Iterator[Thread]:
    """The signed return address of a reply is known to whom it was sent: a token for him."""
    o = outbox.c
    sent = connection.execute(select(o.ticket_id, o.recipient, o.created_at).where(o.id == row_id)).first()
    row = sent and typed.first(connection, Ticket, select(tickets).where(tickets.c.id == sent.ticket_id))
    if sent is not None and row is not None:
        bound = sent.recipient.lower() == (author.address or "").lower() and now - sent.created_at <= TOKEN_LIFE
        yield replace(_thread(row, "token", author, bound), firm=True)


def _by_ids(connection: Connection, pointers: Pointers, author: _Author) -> Iterator[Thread]:
    """By ids that we made, or that stand in a ticket of the author's: what somebody else brought in proves no
    thread."""
    own = pointers.message_id
    answered = [rfc_id for rfc_id in pointers.in_reply_to[:MAX_IDS] if rfc_id != own]
    named = [rfc_id for rfc_id in pointers.references[-MAX_IDS:] if rfc_id != own]
    if not answered and not named:
        return
    counts: ColumnElement[bool] = thread_ids.c.ours.is_(True)
    if author.address is not None:
        counts = or_(counts, author.is_party_of())
    rows = connection.execute(
        select(thread_ids.c.rfc_id, thread_ids.c.ours, tickets)
        .join(tickets, tickets.c.id == thread_ids.c.ticket_id)
        .where(among(thread_ids.c.rfc_id, {*answered, *named}), counts)
        .order_by(tickets.c.id.desc())
        .limit(4 * MAX_IDS)
    ).all()
    by_ticket = {row.id: cast(Ticket, row) for row in rows}
    for by, ids in (("message_id", frozenset(answered)), ("references", frozenset(named))):
        known = Counter(row.id for row in rows if row.rfc_id in ids)
        ours = {row.id for row in rows if row.rfc_id in ids and row.ours}
        # the ticket that knows most of these ids; the newest among equals
        for ticket in sorted(known, key=lambda ticket: (-known[ticket], -ticket)):
            yield replace(_thread(by_ticket[ticket], by, author), firm=ticket in ours)


#: what a mail that reads alike is asked first: most have another number in their subject
_SUBJECT = select(tickets.c.subject).where(tickets.c.id == bindparam("ticket"))
_T = tickets.c
_OPEN = select(
    _T.id, _T.reference, _T.state, _T.author, _T.account, _T.closed_at, _T.first_response_at, _T.round_started_at,
    _T.merged_into, _T.subject, _T.department,
).where(_T.id == bindparam("ticket"), _T.state != TicketState.CLOSED)  # fmt: skip
_OPEN_LOCKED = _OPEN.with_for_update()
_FIRST_WORDS = (
    select(entries.c.id, entries.c.text)
    .where(entries.c.ticket_id == bindparam("ticket"), entries.c.direction == "in")
    .order_by(entries.c.id)
    .limit(literal_column("1"))
)
_FILES = select(attachments.c.sha256).where(attachments.c.entry_id == bindparam("entry"))


def same_request(connection: Connection, ticket_id: int, incoming: Incoming, lock: bool) -> Thread | None:
    """The open ticket of the same author that began with the same subject and words: he sent his mail again. It adds
    nothing, and counts as if it were bound to it, when it brings no other attachment."""
    author, parsed = incoming.reading.author.address, incoming.reading.parsed
    subject = [row.subject.split() for row in fetch(connection, _SUBJECT, {"ticket": ticket_id})]
    if author is None or subject != [parsed.subject.split()]:
        return None
    found = fetch(connection, _OPEN_LOCKED if lock else _OPEN, {"ticket": ticket_id})
    if not found or (found[0].author or "").lower() != author.lower():
        return None
    first = fetch(connection, _FIRST_WORDS, {"ticket": ticket_id})
    words = (parsed.subject.split(), incoming.reading.masked_text.split())
    if not first or words != (found[0].subject.split(), first[0].text.split()):
        return None
    files = {row.sha256 for row in fetch(connection, _FILES, {"entry": first[0].id})}
    known = {file.sha256 for file in parsed.attachments} <= files
    if not known and not incoming.verdict.authenticated:
        return None  # it brings something new, and nothing binds it to the first
    return _thread(found[0], SAME_REQUEST, _Author(author, frozenset()), bound=known)
