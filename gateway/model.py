"""The values that flow through the gateway.

Frozen dataclasses and enums, standard library only: every part may import this module and it imports none of them.
Times are timezone-aware ``datetime`` in UTC unless a field says otherwise; addresses are ``local@domain`` strings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")
JsonObject = dict[str, Any]  #: written or shown, never computed with: docs/json.md, or a line of the log


def portable(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots whose values go through a pipe for every mail: pickled as a tuple of them, which
    costs half of what ``dataclasses`` does in Python."""
    names = cls.__slots__  # type: ignore[attr-defined]
    values = attrgetter(*names)
    cls.__reduce__ = lambda self: (_revived, (cls, values(self)))  # type: ignore[method-assign]
    _SETTERS[cls] = [getattr(cls, name).__set__ for name in names]
    return cls


_SETTERS: dict[type, list[Callable[[Any, Any], None]]] = {}


def _revived(cls: type[T], values: tuple[Any, ...]) -> T:
    revived = cls.__new__(cls)
    for put, value in zip(_SETTERS[cls], values, strict=True):
        put(revived, value)
    return revived


class InboxState(StrEnum):
    """The life of an accepted mail. Only ``database/store.py`` writes it."""

    PENDING = "pending"  #: stored and acknowledged, not looked at yet
    PROCESSING = "processing"  #: claimed under a lease
    DONE = "done"  #: its outcome is committed
    FAILED = "failed"  #: our fault; raw mail kept, ``gateway messages replay`` runs it again
    QUARANTINED = "quarantined"  #: kept from the desk; ``gateway messages release`` opens the ticket


class TicketState(StrEnum):
    """Where a ticket stands."""

    OPEN = "open"
    WAITING = "waiting"  #: a person answered
    CLOSED = "closed"


class OutboxState(StrEnum):
    """The life of a reply row."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"  #: given up; visible in ``gateway status``
    HELD = "held"  #: may have been sent before a restore: a person says whether it goes out


class MailClass(StrEnum):
    """What kind of mail it is, decided before anything else."""

    SELF = "self"
    BOUNCE = "bounce"
    AUTO_REPLY = "auto_reply"
    BULK = "bulk"
    REPORT = "report"
    HUMAN = "human"


class Trust(StrEnum):
    """How far the author is believed; docs/glossary.md, trust."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    UNKNOWN = "unknown"
    FAILED = "failed"


class Question(StrEnum):
    """``general``: answerable to anyone. ``account``: about an order, server, invoice or account."""

    GENERAL = "general"
    ACCOUNT = "account"


class Department(StrEnum):
    """The two departments of the desk."""

    TECHNICAL = "technical"
    FINANCIAL = "financial"


class Priority(StrEnum):
    """Service order; ``high`` only for verified authors."""

    NORMAL = "normal"
    HIGH = "high"


class Disposition(StrEnum):
    """What became of a mail."""

    OPENED = "opened"
    APPENDED = "appended"
    PENDING = "pending"
    RECORDED = "recorded"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"


class Ownership(StrEnum):
    """Whose a fact is, judged against the accounts of the author's address."""

    OWN = "own"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


class AuthorStatus(StrEnum):
    """Result of the strict From grammar."""

    OK = "ok"
    MALFORMED = "malformed"
    FORGED = "forged"


class Role(StrEnum):
    """What a person of the company may do; each may do what those before it may."""

    AUDITOR = "auditor"  #: reads
    AGENT = "agent"  #: answers, and works on tickets
    LEAD = "lead"  #: releases, discards and merges
    ADMIN = "admin"  #: blocks senders and manages users


@dataclass(frozen=True, slots=True)
class Person:
    """Who does something to a ticket: the name that its history shows (a user's name or a staff address)."""

    name: str
    role: Role = Role.AGENT


# --------------------------------------------------------------------------- taking in


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the transport said about a mail, apart from its bytes.

    ``mail_from`` is ``None`` when unknown (nothing automatic is answered then) and ``""`` for the null sender.
    ``client`` is the address SPF is judged for: the peer, or what a trusted relay said; ``None`` when unknown.
    """

    mail_from: str | None
    rcpt_tos: tuple[str, ...]
    client: str | None
    helo: str | None
    source: str
    received_at: datetime
    trusted: bool = False
    tls: bool = False
    client_reason: str = ""
    queue_id: str = ""  #: what the relay that brought it calls it (XFORWARD IDENT)


@dataclass(frozen=True, slots=True)
class RawMessage:
    """Bytes as they came, CRLF line ends kept byte-exact, with their envelope."""

    raw: bytes | bytearray
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a mail stands among those that wait (``gateway/turns.py``): an order of service, and proof of nothing.

    ``at``: milliseconds since 1970, the lowest is served first; ``first``: it seems to come from a customer, and goes
    before strangers.
    """

    sender: str
    at: int
    first: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """Outcome of ``accept``: the inbox row and whether this arrival made it."""

    id: int
    created: bool
    arrival: int | None = None  #: the row of this arrival, where the mail was there already


SAME_REQUEST = "same request"  #: how a thread is found by a mail that is sent again

UNDATED = "~"  #: how the identity of a mail begins that has neither Message-ID nor Date


def mail_start(raw: bytes | bytearray) -> int:
    """Where the header of a raw mail begins: behind an mbox ``From `` line, which is no ``From :`` field."""
    if raw[:5] != b"From " or raw[5:200].lstrip(b" \t").startswith(b":"):
        return 0
    return raw.find(b"\n") + 1


# --------------------------------------------------------------------------- reading


@portable
@dataclass(frozen=True, slots=True)
class Attachment:
    """Metadata of one attachment; the content stays in the raw mail. ``size`` is in decoded octets."""

    filename: str
    type: str
    size: int
    sha256: str
    part: int


@portable
@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a bounce says: the original Message-ID, recipients, action and status code, where found (RFC 3464). Of a
    feedback report (RFC 5965): its type, such as ``abuse``, and the address that it is about."""

    original_message_id: str | None
    recipients: tuple[str, ...]
    action: str
    status: str
    feedback: str = ""
    source_ip: str = ""


@portable
@dataclass(frozen=True, slots=True)
class MachineSigns:
    """What speaks for a machine as the writer of a mail; ``HUMAN`` where nothing does.

    ``form``: what no person's mail looks like. ``words``: what people use as well; they count where nobody is proven.
    ``suppressed``: the field by which no automatic reply is wanted, or ``""``.
    """

    form: MailClass = MailClass.HUMAN
    form_why: str = ""
    words: MailClass = MailClass.HUMAN
    words_why: str = ""
    suppressed: str = ""


@portable
@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A mail after reading its MIME structure. Every string is valid Unicode without NUL or surrogates.

    ``headers`` maps lower-case field names to decoded values, top first, of every field within the caps.
    ``notes`` names each repair and each limit that was hit. ``words`` is what is said, without the quotes that HTML
    marks, ``whole`` with them; ``beside`` is every other text of the mail (the alternative that was not chosen, hidden
    text, what is around the parts), and ``marks`` says in words what staff should see on the ticket: that alternatives
    differ, that text was hidden.
    """

    message_id: str | None
    subject: str
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    headers: Mapping[str, tuple[str, ...]]
    recipients: tuple[str, ...]
    date: datetime | None
    plain: str
    html: str
    attachments: tuple[Attachment, ...]
    content_type: str
    report: DeliveryReport | None
    signed_or_encrypted: str
    notes: tuple[str, ...]
    words: str = ""
    whole: str = ""
    beside: str = ""
    marks: tuple[str, ...] = ()


@portable
@dataclass(frozen=True, slots=True)
class Author:
    """The one address in the From header. ``address`` is ``local@a-label`` or ``None``."""

    status: AuthorStatus
    address: str | None
    display_name: str
    reason: str


@portable
@dataclass(frozen=True, slots=True)
class Candidate:
    """A fact found in the words, before anybody knows whose it is. ``words`` is the text around it."""

    value: str
    words: str
    quoted: bool = False
    weak: bool = False  #: it stands among other people's addresses: only a fact when somebody here knows it


#: what a mail can ask for that only the owner may have done
SENSITIVE = ("password", "access", "cancellation", "refund", "ownership", "reinstall", "email_change")
#: what staff see of a mail besides: what it asks for cannot be undone; a third party's report; trouble, but no outage
DESTRUCTIVE, ABUSE, COMES_AND_GOES, RECOVERED = "destructive", "abuse report", "comes and goes", "says it works again"
#: a second matter of the mail, for another department than its own
ALSO = {department: f"also asks: {department}" for department in Department}
FLAGS = (DESTRUCTIVE, ABUSE, COMES_AND_GOES, RECOVERED, *ALSO.values())


@portable
@dataclass(frozen=True, slots=True)
class Topics:
    """What the mail asks for, with the terms that decided. ``terms`` is ``name: term, term`` lines, ``flags`` are some
    of FLAGS."""

    department: Department
    question: Question
    critical: bool
    sensitive: tuple[str, ...]
    terms: tuple[str, ...]
    flags: tuple[str, ...] = ()


@portable
@dataclass(frozen=True, slots=True)
class Reading:
    """Everything the bytes alone tell: made in the killable reader, handed to the pipeline."""

    parsed: ParsedMessage
    author: Author
    header_block: bytes
    text: str
    full_text: str
    language: str | None
    signs: MachineSigns
    orders: tuple[Candidate, ...]
    ips: tuple[Candidate, ...]
    services: tuple[Candidate, ...]
    invoices: tuple[Candidate, ...]
    started_at: datetime | None
    started_words: str
    diagnostics: bool
    described: bool
    topics: Topics
    secrets_masked: int
    masked_text: str
    masked_full_text: str
    hosts: tuple[Candidate, ...] = ()
    customers: tuple[Candidate, ...] = ()


# --------------------------------------------------------------------------- knowing who


@dataclass(frozen=True, slots=True)
class DkimResult:
    """One signature: ``result`` in RFC 8601 words, ``domain`` the d= A-label."""

    result: str
    domain: str
    selector: str
    reason: str
    mark: str = ""  #: a digest of b= by which the signature is known again
    doubt: str = ""  #: why a signature that holds is no full proof of what is read
    recipients: tuple[str, ...] | None = None  #: whom To and Cc address, if it covers them
    threads: bool = False  #: it covers In-Reply-To and References
    content: str = ""  #: a digest of what was signed, by which the mail is known under another signature of this domain


@dataclass(frozen=True, slots=True)
class Verdict:
    """What SPF, DKIM and DMARC say about the author's domain; results are RFC 8601 words."""

    spf: str
    spf_domain: str
    dkim: str
    dmarc: str
    arc: str
    authenticated: bool
    by: str | None
    weak: bool
    refused: bool
    enforced: bool  #: DMARC failed under quarantine or reject
    temperror: bool
    reasons: tuple[str, ...]
    #: marks of the sound signatures of the author's domain, whether or not they prove him, or of the seals that do: by
    #: each the mail is known again
    signatures: tuple[str, ...] = ()
    spf_aligned: bool = False  #: SPF alone would prove the author as well
    threads: bool = False  #: In-Reply-To and References are signed by the author's domain

    @property
    def sent(self) -> bool:
        """Whether the author's own server handed the mail to us: no stranger put a field there on the way."""
        return self.authenticated and self.spf_aligned

    def without_signatures(self, why: str) -> Verdict:
        """The same mail when its signatures and seals prove nobody: what is left is SPF, which is weak, or nothing."""
        left = replace(self, signatures=(), reasons=(*self.reasons, why))
        if self.spf_aligned:
            return replace(left, by="dmarc" if self.by == "dmarc" else "spf", weak=True)
        return replace(left, authenticated=False, by=None, weak=False)


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the directory; ``language``: two letters, or ``None`` where it has none."""

    account: str
    name: str
    language: str | None
    status: str


@dataclass(frozen=True, slots=True)
class AccountMatch:
    """Every account of the author's address, with the roles the address has in each.

    ``settled`` is the one account the mail is about, when address, order, IP or service settle it.
    ``usable`` is false when the directory could not be read or is too old.
    ``orders`` are those of the settled account that staff may want to see, as "#123456 r1z7og44 (active)": all of a
    few, or those that the mail names.
    """

    accounts: tuple[Account, ...]
    roles: Mapping[str, frozenset[str]]
    settled: Account | None
    support_addresses: tuple[str, ...]
    usable: bool = True
    reason: str = ""
    orders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a mail names, and whose it is; ``quoted``: only in text that its author did not write."""

    value: str
    ownership: Ownership
    words: str = ""
    quoted: bool = False

    def as_json(self) -> dict[str, Any]:
        """The object of ``explain --json``."""
        shown: dict[str, Any] = {"value": self.value, "ownership": str(self.ownership)}
        return shown | {"quoted": True} if self.quoted else shown


#: in the order in which they are shown
FACT_KINDS = ("orders", "ips", "services", "hosts", "customers", "invoices")


@dataclass(frozen=True, slots=True)
class Facts:
    """What one mail names, by kind, each value once; ``incident_started_at`` with its zone."""

    orders: tuple[Fact, ...] = ()
    ips: tuple[Fact, ...] = ()
    services: tuple[Fact, ...] = ()
    invoices: tuple[Fact, ...] = ()
    incident_started_at: datetime | None = None
    hosts: tuple[Fact, ...] = ()
    customers: tuple[Fact, ...] = ()

    def of(self, kind: str) -> tuple[Fact, ...]:
        """The facts of one kind, one of ``FACT_KINDS``."""
        found: tuple[Fact, ...] = getattr(self, kind)
        return found


# --------------------------------------------------------------------------- deciding


@dataclass(frozen=True, slots=True)
class Thread:
    """The ticket a mail points at, read at the start of the commit transaction.

    ``party``: the author wrote the ticket or is registered on its account. ``token_bound``: the mail carries a valid
    token made for this very author.
    """

    ticket_id: int
    reference: str
    by: str
    state: TicketState
    party: bool
    token_bound: bool
    closed_at: datetime | None
    answered: bool
    clock_running: bool
    note: str = ""  #: why a proof that it had does not count
    firm: bool = False  #: by a token, by the subject, or by a Message-ID of ours
    merged_into: int | None = None  #: the ticket that it is part of now
    subject: str = ""  #: of the ticket
    new_topic: bool = False  #: the mail's own subject is about something else
    apart: bool = False  #: and has no word in common with the ticket's, or the mail passes another one on
    department: str = ""  #: of the ticket


@dataclass(frozen=True, slots=True)
class Budgets:
    """How many automatic replies went out already, and which budget of the configuration is spent.

    ``last_to_author``: the last one, where an address without proof has had all it may have. ``loop``: why the author
    seems to be a program that answers us. ``near``: so near a budget that nodes must not count at the same time.
    ``same``: the ticket of a mail that read like this one and was acknowledged a moment ago.
    """

    last_to_author: datetime | None = None
    spent: str = ""
    loop: str = ""
    came_back: str = ""  #: why the last mail to the author came back for good, not long ago
    near: bool = False
    same: int | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """Everything ``decide`` looks at but the thread, the budgets and the clock."""

    envelope: Envelope
    reading: Reading
    verdict: Verdict
    match: AccountMatch
    facts: Facts
    blocked: str = ""  #: why it is kept from the desk (spam header, block list)
    spared: str = ""  #: what would keep it from the desk, and why it does not
    unanswerable: str = ""  #: why its author gets nothing automatic
    is_own: bool = False
    released: bool = False
    silent: bool = False
    final: bool = False  #: no more rechecks: decide with what is known
    #: why it may be an answer to a mail of ours that no person wrote: then it triggers no mail by itself
    echo: str = ""
    returned_row: int | None = None  #: the outbox row whose signed return address it was sent to
    person: bool = False  #: an earlier arrival of the same mail was a person's
    abused: tuple[str, ...] = ()  #: of an abuse notice: the accounts whose addresses, services or orders it names
    from_staff_relay: bool = False  #: it came from a mail server of the company ([staff] relays)

    @property
    def to_reply(self) -> bool:
        """Whether it came to the signed return address of one of our replies."""
        return self.returned_row is not None


@dataclass(frozen=True, slots=True)
class ReplyPlan:
    """One automatic reply to write: template, language, and to whom (author first, then copies)."""

    template: str
    language: str
    to: tuple[str, ...]
    why: str = field(default="", compare=False)  #: this template; what is sent does not depend on the words of it


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a mail and why."""

    disposition: Disposition
    mail_class: MailClass
    class_reason: str
    trust: Trust
    account: Account | None
    question: Question
    department: Department
    priority: Priority
    critical: bool
    sensitive: tuple[str, ...]
    missing: tuple[str, ...]
    reply: ReplyPlan | None
    thread: Thread | None
    outcome: str  #: ``""``, ``appended``, ``pending`` or ``linked``
    clock: bool  #: a clock round starts
    silent: bool  #: stored without state changes
    recheck: bool  #: a check could not be made: look again
    marks: tuple[str, ...]
    notify: str  #: ``""``, ``now`` or ``digest``
    silence: str  #: why nobody is answered, or ``""``
    reasons: tuple[str, ...] = field(default=())


# --------------------------------------------------------------------------- answering


#: the line of a staff notification by which it is known wherever it is quoted: what stands around it is not for
#: customers
FENCE = "Internal, not for the customer"


#: when an item was written that is not written yet
UNWRITTEN = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One mail of ours, the same value from the decision to the relay.

    ``event`` with ``template`` and ``recipient`` is written once, ever. ``kind``: ``auto``, ``person`` or ``staff``;
    ``context``: the values of its template. The outbox gives it ``id``, ``rfc_id`` (its Message-ID without angle
    brackets) and ``created_at`` when it is written.
    """

    event: str
    template: str
    language: str
    recipient: str
    kind: str
    context: Mapping[str, Any]
    ticket_id: int | None = None
    id: int = 0
    rfc_id: str = ""
    created_at: datetime = UNWRITTEN


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """An item of the outbox that is ours to send until the lease ends. ``attempts`` counts this claim too;
    ``resent``: somebody had it in hand before and said nothing of its end."""

    item: OutboxItem
    attempts: int
    lease_until: datetime
    resent: bool = False
    retry_from: datetime | None = None  #: when a person had it tried again

    @property
    def id(self) -> int:
        """That of its row."""
        return self.item.id

    @property
    def tried_from(self) -> datetime:
        """From when ``retry_for`` counts."""
        return self.retry_from or self.item.created_at


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file that goes along with a mail of ours."""

    filename: str
    type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A built message ready for the relay. ``ours`` is asked before its content goes out: false when somebody else may
    be sending it by now."""

    raw: bytes
    mail_from: str
    rcpt_to: str
    ours: Callable[[], bool] = field(default=lambda: True, compare=False)


class Told(Exception):
    """A fault that is told in one line, without a traceback, and ends a command with ``exit_code``."""

    exit_code = 1


class Temporary(Exception):
    """What could not be done now can be done later, just the same."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the relay said. ``code`` is 0 for a network failure; ``detail`` is the relay's host:port, the stage and its
    own words (where it took the mail: its last words). ``relay``: it refused before it saw anything of this very mail,
    so no other mail would fare better; ``auth_failed``: it will refuse until a person does something."""

    ok: bool
    permanent: bool
    code: int
    detail: str
    auth_failed: bool = False
    relay: bool = False
