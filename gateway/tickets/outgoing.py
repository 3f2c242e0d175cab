"""What we write: replies and mail to staff, written into the outbox (``database/outbox.py``) with their ticket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from gateway.database import outbox as rows
from gateway.database import typed
from gateway.database.among import among
from gateway.database.statements import put
from gateway.database.tables import Notice, Ticket, notices
from gateway.mail import tokens
from gateway.mail.address import with_a_label
from gateway.model import ClaimedItem, OutboxItem, OutboxState, Person
from gateway.tickets import briefing, budgets
from gateway.tickets.board import Board
from gateway.tickets.rules import Rules
from gateway.tickets.settings import Staff


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
        """The columns of such a reply, held or given up, instead of those of one that waits."""
        if self.queued == "discard":
            return {"state": OutboxState.DEAD, "next_at": None, "dead_at": now, "last_error": rows.DISCARDED}
        return {"state": OutboxState.HELD, "next_at": None, "last_error": HELD}


NEVER = Restored()
HELD = "held: it may have been sent before the restore"


@dataclass(frozen=True, slots=True)
class Office:
    """Who we are, as far as rows are written: rules, keys, addresses, staff."""

    rules: Rules
    address: str
    domain: str
    keys: Mapping[str, bytes]
    key_id: str
    new_message_id: Callable[[], str]
    staff: Staff
    rechecks: tuple[float, ...]
    restored: Restored = NEVER
    board: Board = field(default_factory=Board)
    timezone: str = "UTC"  #: in which staff read times
    may_answer: tuple[str, ...] = ()  #: addresses of staff, and ``*@domain``

    def address_of(self, name: str) -> str | None:
        """Where a person of ours gets mail: a name that is an address, or one that the configuration knows."""
        return name if "@" in name else self.staff.people.get(name)

    def answers(self, address: str | None) -> bool:
        """Whether mail from this address may be staff's."""
        whole = with_a_label((address or "").lower())
        return whole in self.may_answer or f"*@{whole.rpartition('@')[2]}" in self.may_answer

    @property
    def mint(self) -> tokens.Mint:
        """Makes the addresses by which an answer finds its ticket."""
        return tokens.Mint(self.address, self.domain, self.key_id, self.keys[self.key_id])

    def staff_token(self, reference: str, address: str) -> str | None:
        """Where this staff address answers the ticket by mail; ``None`` where it may not."""
        if not self.rules.replies.plus_address or not self.answers(address):
            return None
        return self.mint.address_of(reference, address, tokens.STAFF)

    def incident_token(self, number: int, address: str) -> str | None:
        """Where this staff address says by mail what becomes of an incident; ``None`` where it may not."""
        if not self.rules.replies.plus_address or not self.answers(address):
            return None
        return self.mint.address_of(tokens.numbered(number), address, tokens.INCIDENT)


@dataclass(frozen=True, slots=True)
class Acting:
    """A person at work: who acts, in which office, and when."""

    by: Person
    office: Office
    at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """An item to write, and what its row says beside: the entry that it answers, the ticket's ``reference`` for a way
    back of its recipient's own, by what it is counted, and when what it answers came (it may have been sent before a
    restore)."""

    item: OutboxItem
    entry_id: int | None = None
    reference: str | None = None
    urgent: bool = False
    stamp: budgets.Stamp = budgets.UNCOUNTED
    since: datetime | None = None


def write(connection: Connection, reply: Reply, office: Office, now: datetime) -> int | None:
    """Writes a row once; ``None`` when this event was answered already."""
    return rows.add(connection, _addressed(reply, office, now), _beside(reply, office, now))


def write_claimed(connection: Connection, reply: Reply, office: Office, now: datetime) -> ClaimedItem | None:
    """``write``, and the row is ours to send in the same transaction, unless it is held."""
    if office.restored.doubts(reply.since):
        write(connection, reply, office, now)
        return None
    return rows.add_claimed(connection, _addressed(reply, office, now), _beside(reply, office, now))


def _addressed(reply: Reply, office: Office, now: datetime) -> OutboxItem:
    """The item with its Message-ID and, for a customer, with his own way back to the ticket."""
    context, item = dict(reply.item.context), reply.item
    if reply.reference is not None and office.rules.replies.plus_address and item.kind != "staff":
        context["reply_to"] = office.mint.address_of(reply.reference, item.recipient)
    return replace(item, context=context, rfc_id=office.new_message_id(), created_at=now)


def _beside(reply: Reply, office: Office, now: datetime) -> dict[str, Any]:
    """The columns that only the database needs."""
    return {
        "proof": reply.stamp.proof,
        "origin": reply.stamp.origin,
        "likeness": reply.stamp.likeness,
        "entry_id": reply.entry_id,
        "urgent": reply.urgent,
        **(office.restored.instead(now) if office.restored.doubts(reply.since) else {}),
    }


def alert(event: str, address: str, kind: str, line: str, now: datetime) -> OutboxItem:
    """A mail of the gateway's own to one of staff: what happened, in one line."""
    lines = [{"at": now.isoformat(timespec="seconds"), "kind": kind, "line": line}]
    return OutboxItem(event, "staff_digest", "en", address, "staff", {"lines": lines})


@dataclass(frozen=True, slots=True)
class Notification:
    """What staff are told of a ticket: by which template, about which event (told once), with what besides the ticket
    itself. Without a ``text`` in it, the conversation as it is."""

    ticket: Ticket
    template: str
    event: str
    more: Mapping[str, Any]


def tell(connection: Connection, what: Notification, office: Office, now: datetime, *, escalate: bool = False) -> None:
    """A notification to whoever hears of the ticket (and the escalation addresses)."""
    to = hearers(what.ticket, what.more.get("also", ()), office)
    if escalate:
        to += office.staff.escalation
    tell_these(connection, to, what, office, now)


def hearers(ticket: Ticket, also: Iterable[str], office: Office) -> list[str]:
    """The addresses of a ticket's department, of those that its mail asks something too (``also``), of its owner and
    watchers."""
    departments = (ticket.department, *also)
    return [*(one for name in departments for one in office.staff.team(name)), *concerned(ticket, office)]


def concerned(ticket: Ticket, office: Office) -> list[str]:
    """The addresses of a ticket's owner and watchers, as far as they are known; the owner's first."""
    found = (office.address_of(name) for name in (ticket.owner, *ticket.watchers) if name)
    return [address for address in found if address is not None]


def tell_these(connection: Connection, to: Iterable[str], what: Notification, office: Office, now: datetime) -> None:
    """Writes a notification to each of these addresses, to each once."""
    if "text" not in what.more:
        what = replace(what, more=briefing.of_conversation(connection, what.ticket) | dict(what.more))
    for address in dict.fromkeys(to):
        tell_one(connection, address, what, office, now)


def tell_one(connection: Connection, address: str, what: Notification, office: Office, now: datetime) -> None:
    """A notification to one address, which answers by mail where it may."""
    ticket = what.ticket
    context = briefing.of_ticket(ticket) | dict(what.more)
    token = office.staff_token(ticket.reference, address)
    context |= {"reply_to": token, "in_reply_to": f"{ticket.reference}.thread@{office.domain}"}
    stamp = budgets.Stamp(proof="verified" if ticket.trust == "verified" else "none")
    urgent = ticket.priority == "high" or ticket.critical
    item = OutboxItem(what.event, what.template, "en", address, "staff", context, ticket.id)
    reply = Reply(item, urgent=urgent, stamp=stamp)
    write_to_staff(connection, reply, f"{what.template} about {ticket.reference}", office, now)


def write_to_staff(connection: Connection, reply: Reply, about: str, office: Office, now: datetime) -> None:
    """A staff notification, unless the address is ours or had ``budget_total`` of them: then a line of the next
    digest."""
    address = reply.item.recipient
    if office.rules.owns(address):
        notice(connection, RIDES_ALONG, f"{about} was not sent to {address}: it is our own address", now)
    elif budgets.may_tell(connection, address, reply.stamp.proof, office.rules.replies, now):
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
    waiting = typed.every(
        connection, Notice, select(notices).where(notices.c.told_at.is_(None)).order_by(notices.c.id).limit(500)
    )
    to = [address for address in office.staff.technical if not office.rules.owns(address)]
    if not to or not anything_to_tell(connection):
        return 0
    last = connection.execute(select(func.max(notices.c.told_at))).scalar()
    if last is not None and (now - last).total_seconds() < office.staff.digest_every:
        return 0
    lines = [{"at": row.at.isoformat(timespec="seconds"), "kind": row.kind, "line": row.line} for row in waiting]
    told = {"lines": lines, "digest": True}
    for address in to:
        item = OutboxItem(f"digest.{waiting[-1].id}", "staff_digest", "en", address, "staff", told)
        write(connection, Reply(item), office, now)
    connection.execute(update(notices).where(among(notices.c.id, [row.id for row in waiting])).values(told_at=now))
    return len(waiting)


def anything_to_tell(connection: Connection) -> bool:
    """Whether a notice waits that makes the next digest due."""
    waiting = select(notices.c.id).where(notices.c.told_at.is_(None), notices.c.kind != RIDES_ALONG).limit(1)
    return connection.execute(waiting).first() is not None
