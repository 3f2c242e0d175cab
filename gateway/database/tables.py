"""The tables, for SQLite and PostgreSQL alike. Times are UTC and aware; raw bytes lie in a table of their own.

The classes describe the schema (``migrations/`` holds its history); the store writes core statements on their tables.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlmodel import Field, SQLModel

from gateway.database.clean import CleanJson as JSON
from gateway.database.clean import CleanString as String
from gateway.database.clean import CleanText as Text

SQLModel.model_config["defer_build"] = (
    True  # no row is ever validated by pydantic: its schemas cost every command 0.1 s
)
BigId = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC. SQLite has no time zones: it stores UTC and gets the zone back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses naive values."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime never goes into the database")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Always aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _id() -> Any:
    return Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))


def _when(index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UtcDateTime(), nullable=True, index=index))


def _required_when() -> Any:
    return Field(sa_column=Column(UtcDateTime(), nullable=False))


def _json() -> Any:
    return Field(default_factory=list, sa_column=Column(JSON, nullable=False))


def _ref(nullable: bool = True, index: bool = True) -> Any:
    return Field(default=None, sa_column=Column(BigId, nullable=nullable, index=index))


class Key(SQLModel, table=True):
    """Secrets for tokens, loop headers and bounce addresses; ``id`` is the key id in a token."""

    __tablename__ = "keys"
    id: str = Field(sa_column=Column(String(6), primary_key=True))
    secret: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = _required_when()


_PENDING = text("lower(state) = 'pending'")  # in this form SQLite does not prefer to sort what ``messages_due`` finds


class Message(SQLModel, table=True):
    """The inbox: one row for each mail that was accepted, whatever became of it."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("messages_due", "state", "due_at"),
        Index("messages_received", "received_at"),
        Index("messages_rfc", "message_id"),
        Index("messages_author", "author"),
        # only those that wait are in it: a mail that is claimed as it is stored costs nothing here
        Index("messages_turn", "turn", "id", "sender", sqlite_where=_PENDING),
    )
    id: int = _id()
    digest: str = Field(sa_column=Column(String(64), nullable=False, unique=True))
    source: str = Field(sa_column=Column(String(40), nullable=False))
    received_at: datetime = _required_when()
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    mail_from: str | None = Field(default=None, sa_column=Column(Text))
    rcpt_tos: list[str] = _json()
    client: str | None = Field(default=None, sa_column=Column(String(64)))
    client_reason: str = Field(default="", sa_column=Column(String(200), nullable=False))
    helo: str | None = Field(default=None, sa_column=Column(Text))
    trusted: bool = Field(default=False)
    tls: bool = Field(default=False)
    state: str = Field(sa_column=Column(String(12), nullable=False))
    disposition: str | None = Field(default=None, sa_column=Column(String(12)))
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    attempts: int = Field(default=0)
    suspect: bool = Field(default=False)  # the service died while it was in work: it is worked on alone from now on
    lease_until: datetime | None = _when()
    due_at: datetime | None = _when()
    recheck: int = Field(default=0)
    released: bool = Field(default=False)
    done_at: datetime | None = _when()
    message_id: str | None = Field(default=None, sa_column=Column(Text))
    author: str | None = Field(default=None, sa_column=Column(String(330)))
    mail_class: str | None = Field(default=None, sa_column=Column(String(12)))
    trust: str | None = Field(default=None, sa_column=Column(String(12)))
    authenticated: bool = Field(default=False)
    ticket_id: int | None = _ref()
    entry_id: int | None = _ref(index=False)
    sender: str = Field(
        default="", sa_column=Column(String(120), nullable=False)
    )  # who sent it, for the order of service
    turn: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # its place in it (``model.Turn.at``)
    claim: int = Field(
        default=0, sa_column=Column(BigInteger, nullable=False)
    )  # rises with every claim, and never falls
    queue_id: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))  # the relay's
    subject: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))  # secrets masked


class Raw(SQLModel, table=True):
    """The bytes of a mail, in pieces of at most 1 MB; those of an arrival stand under minus its id."""

    __tablename__ = "raw"
    message_id: int = Field(sa_column=Column(BigId, primary_key=True, autoincrement=False))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Arrival(SQLModel, table=True):
    """Every further arrival of a mail that was there already; each is verified and the best verdict counts."""

    __tablename__ = "arrivals"
    id: int = _id()
    message_id: int = _ref(nullable=False)
    source: str = Field(sa_column=Column(String(40), nullable=False))
    received_at: datetime = _required_when()
    mail_from: str | None = Field(default=None, sa_column=Column(Text))
    rcpt_tos: list[str] = _json()
    client: str | None = Field(default=None, sa_column=Column(String(64)))
    client_reason: str = Field(default="", sa_column=Column(String(200), nullable=False))
    helo: str | None = Field(default=None, sa_column=Column(Text))
    trusted: bool = Field(default=False)
    tls: bool = Field(default=False)
    state: str = Field(sa_column=Column(String(12), nullable=False, index=True))
    attempts: int = Field(default=0)
    lease_until: datetime | None = _when()
    authenticated: bool = Field(default=False)
    note: str = Field(default="", sa_column=Column(Text, nullable=False))
    sender: str = Field(default="", sa_column=Column(String(120), nullable=False))
    turn: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    queue_id: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))


class Sender(SQLModel, table=True):
    """Who is behind the others because his mails were slow, and until when (as ``model.Turn.at``)."""

    __tablename__ = "senders"
    sender: str = Field(sa_column=Column(String(120), primary_key=True))
    owed: int = Field(sa_column=Column(BigInteger, nullable=False))


def _where(condition: str) -> dict[str, Any]:
    """The condition of a partial index. PostgreSQL has the same (``migrations/``): to name it here would load its
    dialect in every command, which costs a tenth of one."""
    return {"sqlite_where": text(condition)}


#: what has a partial index of its own: a statement finds it only when it says the same words
OVERDUE = text("state = 'open' and breached and round_started_at is not null")
UNWATCHED = text("state = 'open' and clock_next_at is null and round > 0")
ANSWERED = text("first_response_at is not null")

#: how ``tickets list`` sorts tickets of one priority: what is critical first, then by the promise
_URGENCY = (text("critical desc"), text("coalesce(limit_at, opened_at)"))


class Ticket(SQLModel, table=True):
    """One conversation of the desk with its clock.

    ``version`` rises with every entry that is shown to staff as part of the conversation (mails, answers, notes). A
    merged ticket keeps its entries; ``merged_into`` is the ticket that shows them.
    """

    __tablename__ = "tickets"
    __table_args__ = (
        Index("tickets_clock", "clock_next_at"),
        Index("tickets_listed", "state", "priority", *_URGENCY, "id"),
        Index("tickets_owner", "owner", **_where("owner <> ''")),
        Index("tickets_snoozed", "snoozed_until", **_where("snoozed_until is not null")),
        Index("tickets_merged", "merged_into", **_where("merged_into is not null")),
        Index("tickets_linked", "linked_to", **_where("linked_to is not null")),
        Index("tickets_overdue", "state", "limit_at", sqlite_where=OVERDUE),
        Index("tickets_unwatched", "state", "round", sqlite_where=UNWATCHED),
        Index("tickets_promised", "promised_at"),
        Index("tickets_answered", "first_response_at", sqlite_where=ANSWERED),
    )
    id: int = _id()
    reference: str = Field(sa_column=Column(String(9), nullable=False, unique=True))
    state: str = Field(sa_column=Column(String(10), nullable=False, index=True))
    account: str | None = Field(default=None, sa_column=Column(String(100), index=True))
    accounts: list[str] = _json()
    author: str | None = Field(default=None, sa_column=Column(String(330)))
    author_name: str = Field(default="", sa_column=Column(Text, nullable=False))
    trust: str = Field(sa_column=Column(String(12), nullable=False))
    question: str = Field(sa_column=Column(String(10), nullable=False))
    department: str = Field(sa_column=Column(String(10), nullable=False))
    priority: str = Field(sa_column=Column(String(6), nullable=False))
    critical: bool = Field(default=False)
    sensitive: list[str] = _json()
    marks: list[str] = _json()
    missing: list[str] = _json()
    language: str | None = Field(default=None, sa_column=Column(String(5)))
    reply_language: str = Field(default="en", sa_column=Column(String(5), nullable=False))
    subject: str = Field(default="", sa_column=Column(Text, nullable=False))
    opened_at: datetime = _required_when()
    promised_at: datetime | None = _when()  # when the first round began: the promise is measured from here
    round: int = Field(default=0)
    round_started_at: datetime | None = _when()
    target_at: datetime | None = _when()
    status_at: datetime | None = _when()
    limit_at: datetime | None = _when()
    clock_next_at: datetime | None = _when()
    clock_done: list[str] = _json()
    acknowledged_at: datetime | None = _when()
    first_response_at: datetime | None = _when()
    breached: bool = Field(default=False)
    breach_delay_s: float | None = Field(default=None)
    closed_at: datetime | None = _when()
    silence: str = Field(default="", sa_column=Column(Text, nullable=False))
    linked_to: int | None = _ref(index=False)
    owner: str = Field(default="", sa_column=Column(String(100), nullable=False, server_default=""))
    watchers: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False, server_default="[]"))
    snoozed_until: datetime | None = _when()
    merged_into: int | None = _ref(index=False)
    version: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))


class TicketTag(SQLModel, table=True):
    """A tag of a ticket."""

    __tablename__ = "ticket_tags"
    ticket_id: int = Field(sa_column=Column(BigId, primary_key=True, autoincrement=False))
    tag: str = Field(sa_column=Column(String(50), primary_key=True, index=True))


class TicketLink(SQLModel, table=True):
    """Two tickets that a person tied together; the lower id stands first."""

    __tablename__ = "ticket_links"
    ticket_id: int = Field(sa_column=Column(BigId, primary_key=True, autoincrement=False))
    other_id: int = Field(sa_column=Column(BigId, primary_key=True, autoincrement=False, index=True))
    at: datetime = _required_when()
    who: str = Field(sa_column=Column(String(100), nullable=False))


class Presence(SQLModel, table=True):
    """Who has a ticket open, and whether an answer is being written; a row that is not renewed says nothing."""

    __tablename__ = "presence"
    ticket_id: int = Field(sa_column=Column(BigId, primary_key=True, autoincrement=False))
    who: str = Field(sa_column=Column(String(100), primary_key=True))
    writing: bool = Field(default=False)
    at: datetime = _required_when()


class Audit(SQLModel, table=True):
    """What a person did, to what (``kind``: ticket, message, outbox, sender, user, ...; ``object``: its reference or
    id). Rows are only added: the database refuses to change or delete them."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_object", "kind", "object"),)
    id: int = _id()
    at: datetime = _required_when()
    who: str = Field(sa_column=Column(String(100), nullable=False))
    what: str = Field(sa_column=Column(String(30), nullable=False))
    kind: str = Field(sa_column=Column(String(20), nullable=False))
    object: str = Field(sa_column=Column(String(100), nullable=False))
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


class Correction(SQLModel, table=True):
    """What a person says a mail is, where it was misread: ``field`` was ``before`` and is ``after`` (JSON values)."""

    __tablename__ = "corrections"
    id: int = _id()
    ticket_id: int = _ref(nullable=False)
    entry_id: int | None = _ref(index=False)
    message_id: int | None = _ref(index=False)
    at: datetime = _required_when()
    who: str = Field(sa_column=Column(String(100), nullable=False))
    field: str = Field(sa_column=Column(String(12), nullable=False))
    before: Any = Field(default=None, sa_column=Column(JSON, nullable=False))
    after: Any = Field(default=None, sa_column=Column(JSON, nullable=False))


class Entry(SQLModel, table=True):
    """One contribution to a ticket: ``direction`` in, out or internal; ``status`` shown, silent or pending. ``kind`` of
    an internal one: ``note`` (a remark) or ``change`` (what somebody did to the ticket)."""

    __tablename__ = "entries"
    id: int = _id()
    ticket_id: int = _ref(nullable=False)
    message_id: int | None = _ref(index=False)
    direction: str = Field(sa_column=Column(String(8), nullable=False))
    author: str = Field(default="", sa_column=Column(String(330), nullable=False))
    text: str = Field(default="", sa_column=Column(Text, nullable=False))
    full_text: str = Field(default="", sa_column=Column(Text, nullable=False))
    at: datetime = _required_when()
    status: str = Field(sa_column=Column(String(8), nullable=False))
    kind: str = Field(default="", sa_column=Column(String(8), nullable=False, server_default=""))


class AttachmentRow(SQLModel, table=True):
    """Metadata of an attachment; its content stays in the raw mail."""

    __tablename__ = "attachments"
    id: int = _id()
    entry_id: int = _ref(nullable=False)
    filename: str = Field(sa_column=Column(Text, nullable=False))
    type: str = Field(sa_column=Column(Text, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(sa_column=Column(String(64), nullable=False))


class FactRow(SQLModel, table=True):
    """A fact of a ticket: ``kind`` orders, ips, services or invoices."""

    __tablename__ = "facts"
    id: int = _id()
    ticket_id: int = _ref(nullable=False)
    entry_id: int | None = _ref(index=False)
    kind: str = Field(sa_column=Column(String(10), nullable=False))
    value: str = Field(sa_column=Column(Text, nullable=False))
    ownership: str = Field(sa_column=Column(String(8), nullable=False))
    quoted: bool = Field(default=False)
    words: str = Field(default="", sa_column=Column(Text, nullable=False))


class Trace(SQLModel, table=True):
    """Why a mail was treated as it was: one row for each look at it."""

    __tablename__ = "traces"
    id: int = _id()
    message_id: int = _ref(nullable=False)
    ticket_id: int | None = _ref()
    at: datetime = _required_when()
    lines: list[str] = _json()


class ThreadId(SQLModel, table=True):
    """Message-IDs by which a ticket is found again: ours and those of its mails."""

    __tablename__ = "thread_ids"
    __table_args__ = (UniqueConstraint("rfc_id", "ticket_id"),)
    id: int = _id()
    rfc_id: str = Field(sa_column=Column(String(260), nullable=False))
    ticket_id: int = _ref(nullable=False, index=False)
    ours: bool = Field(default=False)


class OutboxRow(SQLModel, table=True):
    """One reply to one recipient. Unique on (event, template, recipient): nothing is answered twice."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("event", "template", "recipient"),
        Index("outbox_due", "state", "next_at"),
        Index("outbox_turn", "state", "urgent", "kind", "created_at"),
        # the budgets are counted in these alone, without a look at the rows
        Index("outbox_total", "kind", "proof", "created_at"),
        Index("outbox_domain", "kind", "proof", "domain", "created_at"),
        Index("outbox_budget", "kind", "canonical", "proof", "created_at"),
    )
    id: int = _id()
    event: str = Field(sa_column=Column(String(80), nullable=False))
    template: str = Field(sa_column=Column(String(30), nullable=False))
    language: str = Field(sa_column=Column(String(5), nullable=False))
    recipient: str = Field(sa_column=Column(String(330), nullable=False))
    domain: str = Field(sa_column=Column(String(255), nullable=False))  # the neighbourhood that shares a budget
    canonical: str = Field(default="", sa_column=Column(String(330), nullable=False, server_default=""))
    proof: str = Field(default="", sa_column=Column(String(8), nullable=False, server_default=""))
    origin: str = Field(default="", sa_column=Column(String(16), nullable=False, server_default=""))
    likeness: str = Field(default="", sa_column=Column(String(120), nullable=False, server_default=""))
    kind: str = Field(sa_column=Column(String(8), nullable=False))  # auto, person or staff
    ticket_id: int | None = _ref()
    entry_id: int | None = _ref(index=False)
    rfc_id: str = Field(sa_column=Column(String(260), nullable=False, unique=True))
    context: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    urgent: bool = Field(default=False)
    state: str = Field(sa_column=Column(String(8), nullable=False))
    attempts: int = Field(default=0)
    lease_until: datetime | None = _when()
    next_at: datetime | None = _when()
    created_at: datetime = _required_when()
    retry_from: datetime | None = _when()  # ``retry_for`` counts from here where a person had it tried again
    sent_at: datetime | None = _when()
    dead_at: datetime | None = _when()
    last_error: str = Field(default="", sa_column=Column(Text, nullable=False))
    bounced: str = Field(default="", sa_column=Column(Text, nullable=False))
    answer: str = Field(
        default="", sa_column=Column(Text, nullable=False, server_default="")
    )  # of the relay that took it


class Suppression(SQLModel, table=True):
    """An address (as mail to it is counted) that takes no mail: nothing automatic is sent to it before ``until``."""

    __tablename__ = "suppressions"
    canonical: str = Field(sa_column=Column(String(330), primary_key=True))
    until: datetime = _required_when()
    why: str = Field(default="", sa_column=Column(Text, nullable=False))


class BlockedSender(SQLModel, table=True):
    """An address or a domain whose mail goes to quarantine, because a person of the desk said so."""

    __tablename__ = "blocked_senders"
    sender: str = Field(sa_column=Column(String(330), primary_key=True))
    at: datetime = _required_when()
    who: str = Field(sa_column=Column(String(100), nullable=False))
    why: str = Field(default="", sa_column=Column(String(200), nullable=False))


class Notice(SQLModel, table=True):
    """Something staff reads in the next digest."""

    __tablename__ = "notices"
    id: int = _id()
    kind: str = Field(sa_column=Column(String(20), nullable=False))
    at: datetime = _required_when()
    line: str = Field(sa_column=Column(Text, nullable=False))
    told_at: datetime | None = _when(index=True)


class Mailbox(SQLModel, table=True):
    """One folder of a mailbox (or a Maildir) that is read: how far, and how it stands."""

    __tablename__ = "mailboxes"
    __table_args__ = (UniqueConstraint("account", "folder"),)
    id: int = _id()
    account: str = Field(sa_column=Column(String(30), nullable=False))
    folder: str = Field(sa_column=Column(String(255), nullable=False))
    uidvalidity: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    last_uid: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # every UID up to it is settled
    old_below: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # UIDs of before us are below it
    since: datetime | None = _when()  # mail that the server took in before is not ours; none: everything is
    reconciled_at: datetime | None = _when()


class MailboxUid(SQLModel, table=True):
    """A mail of a folder that was dealt with. ``state``: stored (and to be moved), moved, or poison."""

    __tablename__ = "mailbox_uids"
    mailbox_id: int = Field(sa_column=Column(BigId, primary_key=True, autoincrement=False))
    uidvalidity: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    uid: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    state: str = Field(sa_column=Column(String(8), nullable=False))
    message_id: int | None = _ref(index=False)


class Condition(SQLModel, table=True):
    """Something that is amiss and needs a person, for ``gateway status``; the row goes when it is over."""

    __tablename__ = "conditions"
    name: str = Field(sa_column=Column(String(30), primary_key=True))
    problem: str = Field(sa_column=Column(Text, nullable=False))
    since: datetime = _required_when()


class SeenSignature(SQLModel, table=True):
    """A DKIM signature that passed, and the message it came with first."""

    __tablename__ = "signatures"
    mark: str = Field(sa_column=Column(String(40), primary_key=True))
    message_id: int = _ref(nullable=False, index=False)


class SourceState(SQLModel, table=True):
    """How a mailbox account stands, for ``gateway status`` and the alerts."""

    __tablename__ = "sources"
    name: str = Field(sa_column=Column(String(30), primary_key=True))
    kind: str = Field(sa_column=Column(String(10), nullable=False))
    state: str = Field(sa_column=Column(String(12), nullable=False))
    error: str = Field(default="", sa_column=Column(Text, nullable=False))
    connected_since: datetime | None = _when()
    read_at: datetime | None = _when()
    last_mail_at: datetime | None = _when()
    lag: int = Field(default=0)
    next_retry_at: datetime | None = _when()
    token_expires_at: datetime | None = _when()
    silence_s: float = Field(default=600.0)
    told_at: datetime | None = _when()  # staff were told that it is not read


class Restore(SQLModel, table=True):
    """A copy that was put back: automatic replies to what came before ``restored_at`` may have been sent already.

    ``queued``: what becomes of them: hold, send or discard. ``held``: how many rows waited in the copy.
    """

    __tablename__ = "restores"
    id: int = _id()
    copied_at: datetime = _required_when()
    restored_at: datetime = _required_when()
    queued: str = Field(sa_column=Column(String(8), nullable=False))
    held: int = Field(default=0)


class Erasure(SQLModel, table=True):
    """An address that was erased, as an HMAC under the key ``key_id``: after a restore it is erased again."""

    __tablename__ = "erasures"
    mark: str = Field(sa_column=Column(String(64), primary_key=True))
    key_id: str = Field(sa_column=Column(String(6), nullable=False))
    erased_at: datetime = _required_when()


class Hold(SQLModel, table=True):
    """A legal hold: nothing of this ticket, account or address is purged or erased."""

    __tablename__ = "holds"
    __table_args__ = (UniqueConstraint("kind", "value"),)
    id: int = _id()
    kind: str = Field(sa_column=Column(String(8), nullable=False))
    value: str = Field(sa_column=Column(String(330), nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    by: str = Field(sa_column=Column(Text, nullable=False))
    since: datetime = _required_when()


class Incident(SQLModel, table=True):
    """Something that several tickets are about: a network, a server, a service or a begin.

    ``state``: suspected, confirmed (by a person) or closed.
    """

    __tablename__ = "incidents"
    id: int = _id()
    kind: str = Field(sa_column=Column(String(10), nullable=False))
    value: str = Field(sa_column=Column(String(255), nullable=False))
    state: str = Field(sa_column=Column(String(10), nullable=False, index=True))
    known_since: datetime = _required_when()
    opened_at: datetime = _required_when()
    confirmed_at: datetime | None = _when()
    confirmed_by: str = Field(default="", sa_column=Column(Text, nullable=False))
    closed_at: datetime | None = _when()


class IncidentTicket(SQLModel, table=True):
    """A ticket that is about an incident."""

    __tablename__ = "incident_tickets"
    __table_args__ = (Index("incident_tickets_ticket", "ticket_id"),)
    incident_id: int = Field(sa_column=Column(BigId, primary_key=True, autoincrement=False))
    ticket_id: int = Field(sa_column=Column(BigId, primary_key=True, autoincrement=False))
    at: datetime = _required_when()


METADATA = SQLModel.metadata


def _table(kind: type[SQLModel]) -> Table:
    """The table that a class describes."""
    return METADATA.tables[str(kind.__tablename__)]


keys = _table(Key)
messages = _table(Message)
raw = _table(Raw)
arrivals = _table(Arrival)
tickets = _table(Ticket)
ticket_tags = _table(TicketTag)
ticket_links = _table(TicketLink)
presence = _table(Presence)
audit = _table(Audit)
corrections = _table(Correction)
entries = _table(Entry)
attachments = _table(AttachmentRow)
facts = _table(FactRow)
traces = _table(Trace)
thread_ids = _table(ThreadId)
outbox = _table(OutboxRow)
blocked_senders = _table(BlockedSender)
notices = _table(Notice)
mailboxes = _table(Mailbox)
mailbox_uids = _table(MailboxUid)
sources = _table(SourceState)
suppressions = _table(Suppression)
conditions = _table(Condition)
senders = _table(Sender)
signatures = _table(SeenSignature)
restores = _table(Restore)
erasures = _table(Erasure)
holds = _table(Hold)
incidents = _table(Incident)
incident_tickets = _table(IncidentTicket)
