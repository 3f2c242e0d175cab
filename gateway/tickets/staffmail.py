"""Staff answer by mail: who may, what is done, and what goes back to them.

Class first (only a person), then the address (``[staff] may_answer``), then its proof (DMARC, aligned DKIM or SPF as
for customers, or ``[staff] relays``), then the ticket's staff token, which is of use to the very address it was made
for. What fails one of these changes nothing. It goes back to its author with the reason where the author is known to be
staff, a few times an hour; a stranger learns nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, or_, select

from gateway.database import inbox, typed
from gateway.database.among import among
from gateway.database.statements import change, put_all
from gateway.database.tables import (
    Entry,
    OutboxRow,
    Ticket,
    attachments,
    entries,
    messages,
    outbox,
    tickets,
)
from gateway.mail import tokens
from gateway.mail.suffixes import registrable
from gateway.mail.tokens import Token
from gateway.model import (
    Attachment,
    AuthorStatus,
    Decision,
    Disposition,
    InboxState,
    Incoming,
    MailClass,
    OutboxItem,
    Person,
    Priority,
    TicketState,
    Trust,
)
from gateway.tickets import (
    addressed,
    briefing,
    budgets,
    conversation,
    corrections,
    labels,
    outgoing,
    ownership,
    people,
    policy,
    remarks,
    rights,
    shown,
    signatures,
    staff_words,
)
from gateway.tickets.corrections import Right
from gateway.tickets.outgoing import Acting, Notification, Office, Reply
from gateway.tickets.signatures import Parted

TOKEN_LIFE = timedelta(days=180)
REFUSALS = (20, 3600.0)  #: mails that go back to one address, and in how many seconds
MISDIRECTED = (5, 3600.0)  #: of these such that only name a ticket: nothing tells whether a program answers a refusal
UNPROVEN = (1, 3600.0)  #: of these such whose author is not proven
SAME_WORDS = timedelta(hours=24)
MARK = "staff mail"  #: how the reason of every message begins that was staff's
OTHERS = 300  #: open tickets whose customers' names are looked at
RECENT = 20_000  #: entries among which a colleague's other answers are looked for
LOGO = 100 * 1024  #: octets of a picture that may be part of a signature
HELD = f"{MARK}: not sent"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a mail from a staff address is. ``token``: it may be carried out. Else ``refused`` says why not, and
    ``back`` within which budget that is said to its author (``None``: not at all). ``later``: a check could not be
    made."""

    ticket: Ticket
    token: Token | None = None
    told: OutboxRow | None = None  #: the notification it answers
    refused: str = ""
    back: tuple[int, float] | None = None
    later: bool = False


class _Refusal(Exception):
    """A proven staff mail that cannot be carried out as it is."""


class _Hold(Exception):
    """An answer that is kept until its author says ``send:``. ``held``: the entry of one that was kept before."""

    def __init__(self, why: str, held: Entry | None = None) -> None:
        super().__init__(why)
        self.held = held


def judged(
    connection: Connection, incoming: Incoming, office: Office, now: datetime, lock: bool = True
) -> Judged | None:  # fmt: skip
    """What is to be made of a mail from a staff address; ``None``: it goes the ordinary way. ``lock``: its ticket stays
    as it is read until the transaction ends."""
    author = incoming.reading.author
    if author.status is not AuthorStatus.OK or author.address is None or not office.answers(author.address):
        return None
    if incoming.is_own or incoming.released or incoming.silent or incoming.blocked:
        return None
    if policy.class_of(incoming)[0] is not MailClass.HUMAN or incoming.to_reply:
        return None
    found = tokens.tokens((*incoming.envelope.rcpt_tos, *incoming.reading.parsed.recipients))
    mine = [token for token in found if tokens.is_bound(token, author.address, office.keys, tokens.STAFF)]
    if not mine and any(tokens.is_bound(token, author.address, office.keys) for token in found):
        return None  # a colleague who is a customer here
    return _of_tokens(connection, incoming, found, mine, now, lock)


def _of_tokens(
    connection: Connection, incoming: Incoming, found: Sequence[Token], mine: Sequence[Token], now: datetime, lock: bool
) -> Judged | None:
    proven = incoming.verdict.authenticated or incoming.from_staff_relay
    told = _notification(connection, incoming)
    if not mine and not (proven and (found or told is not None)):
        return _named_only(connection, incoming, now, lock) if proven else None
    ticket = _ticket_of(connection, [*mine, *found], told, lock)
    if ticket is None:
        return None
    case = Judged(ticket, told=told, back=REFUSALS)
    if not proven:
        return _unproven(incoming, case)
    if not mine:
        return replace(case, refused=_misdirected(found, told), back=_unless_answers_refusal(told))
    if ticket.merged_into is not None:
        return replace(case, refused=f"{ticket.reference} was merged into another ticket; answer that one")
    if not _given(connection, ticket, incoming.reading.author.address or "", now):
        why = "the address you replied to has expired; reply to a newer notification, or use: gateway tickets reply"
        return replace(case, refused=why)
    return replace(case, token=mine[0])


def _named_only(connection: Connection, incoming: Incoming, now: datetime, lock: bool) -> Judged | None:
    """A new mail to the desk by who got a notification, under the number of its ticket: he meant to answer it."""
    reference = tokens.find(incoming.reading.parsed.subject)
    if reference is None:
        return None
    query = select(tickets).where(tickets.c.reference == reference)
    ticket = typed.first(connection, Ticket, query.with_for_update() if lock else query)
    if ticket is None or not _given(connection, ticket, incoming.reading.author.address or "", now):
        return None
    return Judged(ticket, refused=_misdirected((), None), back=MISDIRECTED)


def _unproven(incoming: Incoming, case: Judged) -> Judged:
    """Only who got the notification knows the token: a mail that nothing speaks against goes back there."""
    verdict = incoming.verdict
    if verdict.temperror and not incoming.final:
        return replace(case, later=True, back=None)
    why = f"nothing proves that you sent it (spf={verdict.spf} dkim={verdict.dkim} dmarc={verdict.dmarc})"
    more = "; send it through your company's own mail server, or let an admin name that server in [staff] relays"
    return replace(case, refused=why + more, back=None if verdict.refused or verdict.enforced else UNPROVEN)


def _misdirected(found: Sequence[Token], told: OutboxRow | None) -> str:
    if found:
        return (
            "the address it was sent to was made for somebody else; reply to a notification that you got yourself, "
            "from "
            "the address that got it"
        )
    return "it was not sent to the reply address of the notification; use Reply, so that it goes to its Reply-To"


def _unless_answers_refusal(told: OutboxRow | None) -> tuple[int, float] | None:
    """A program that answers what comes back to it gets no more."""
    return None if told is not None and told.template == "staff_refused" else REFUSALS


def _notification(connection: Connection, incoming: Incoming) -> OutboxRow | None:
    """The newest staff mail of ours that this mail answers."""
    parsed = incoming.reading.parsed
    ids = sorted({*parsed.in_reply_to[:20], *parsed.references[-20:]})
    if not ids:
        return None
    o = outbox.c
    query = select(outbox).where(among(o.rfc_id, ids), o.kind == "staff", o.ticket_id.is_not(None))
    return typed.first(connection, OutboxRow, query.order_by(o.id.desc()).limit(1))


def _ticket_of(connection: Connection, found: Sequence[Token], told: OutboxRow | None, lock: bool) -> Ticket | None:
    conditions = [tickets.c.reference == token.reference for token in found]
    if told is not None:
        conditions.append(tickets.c.id == told.ticket_id)
    for condition in conditions:
        query = select(tickets).where(condition)
        row = typed.first(connection, Ticket, query.with_for_update() if lock else query)
        if row is not None:
            return row
    return None


def _given(connection: Connection, ticket: Ticket, address: str, now: datetime) -> bool:
    """Whether the staff token of this ticket was sent to the address, not too long ago."""
    o = outbox.c
    whose = (o.ticket_id == ticket.id, o.kind == "staff", func.lower(o.recipient) == address.lower())
    last: datetime | None = connection.execute(select(func.max(o.created_at)).where(*whose)).scalar()
    return last is not None and now - last <= TOKEN_LIFE


# --------------------------------------------------------------------------- carrying out


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a staff mail, for the message row and the log. ``replied``: a template that was queued."""

    decision: Decision
    reasons: tuple[str, ...]
    ticket: Ticket | None
    entry: int | None
    replied: str | None
    again: bool = False


def carried_out(
    connection: Connection, claimed: inbox.Claimed, incoming: Incoming, office: Office, now: datetime
) -> Done | None:
    """Does what a staff mail asks for, or says why not; ``None``: it is none. Writes all but the message's own row."""
    case = judged(connection, incoming, office, now)
    if case is None:
        return None
    work = _Work(connection, claimed, incoming, office, now, case)
    if case.later:
        return work.done(Disposition.RECORDED, f"{MARK}: a check could not be made; it is repeated", again=True)
    if case.refused:
        return work.refuse(case.refused, case.back)
    try:
        with connection.begin_nested():
            return work.act()
    except _Hold as hold:
        return work.hold(str(hold), hold.held)
    except (_Refusal, people.Refused, rights.NotAllowed) as refusal:
        return work.refuse(str(refusal), REFUSALS)


@dataclass(frozen=True, slots=True)
class InHand:
    """A mail from a staff address in hand, with all that the steps write by."""

    connection: Connection
    claimed: inbox.Claimed
    incoming: Incoming
    office: Office
    now: datetime

    @property
    def who(self) -> str:
        return self.incoming.reading.author.address or ""


@dataclass(frozen=True, slots=True)
class _Work(InHand):
    """Staff mail about a ticket."""

    case: Judged

    @property
    def by(self) -> Person:
        return Person(self.who)

    @property
    def acting(self) -> Acting:
        return Acting(self.by, self.office, self.now)

    @property
    def event(self) -> str:
        arrival = "" if self.claimed.arrival is None else f".a{self.claimed.arrival}"
        return f"m{self.claimed.id}{arrival}"

    def act(self) -> Done:
        """Raises ``_Refusal`` or ``_Hold``; nothing is written then."""
        reading = self.incoming.reading
        if not reading.text and reading.masked_text:
            raise _Refusal("it could not be read; send it as plain text")
        if reading.parsed.signed_or_encrypted.startswith("encrypted"):
            raise _Refusal("it is encrypted, and its words cannot be read here")
        wanted = staff_words.orders(reading.text)
        if wanted.misspelt:
            raise _Refusal(
                f'"{wanted.misspelt}" is no command; the first line may be note:, close:, owner: me, priority: high or '
                "regular, critical: yes or no, spam: or send:"
            )
        did = self._above(wanted)
        if did and not wanted.command and not wanted.words:
            return self._acted(did, None)
        match wanted.command:
            case "note":
                return self._acted([*did, "note"], self._note(wanted.words))
            case "spam":
                return self._acted([*did, self._spam()], None)
            case "close":
                return self._close(wanted.words, did)
            case "send":
                return self._send(wanted.words, did)
        return self._answer(wanted.words, did)

    # -- commands

    def _above(self, wanted: staff_words.Orders) -> list[str]:
        """Does what stands above another command or an answer."""
        did = [self._own(wanted.owner)] if wanted.owner else []
        if wanted.priority or wanted.critical:
            right = Right(
                priority=Priority(wanted.priority) if wanted.priority else None,
                critical=wanted.critical == "yes" if wanted.critical else None,
            )
            corrections.correct(self.connection, self.case.ticket.reference, right, self.acting)
            did += [f"priority {wanted.priority}"] if wanted.priority else []
            did += [f"critical {wanted.critical}"] if wanted.critical else []
        return did

    def _own(self, whom: str) -> str:
        if whom.lower() not in ("me", "mich", "ich", self.who.lower()):
            raise _Refusal(f'"owner: {whom[:60]}": only "owner: me" can be said by mail; use: gateway tickets assign')
        ownership.assign(self.connection, self.case.ticket.reference, self.who, self.by, self.now)
        return "owner"

    def _note(self, words: str) -> int:
        if not words:
            raise _Refusal("the note has no words")
        masked = self.incoming.reading.masked_text
        text = staff_words.orders(masked).words if masked != self.incoming.reading.text else words
        entry = labels.note(self.connection, self.case.ticket.reference, text, self.by, self.now)
        remarks.tell(self.connection, entry, self.acting)
        return self._kept(entry)

    def _spam(self) -> str:
        reference = self.case.ticket.reference
        author = people.close(self.connection, reference, self.acting, spam=True)
        line = f"{reference} was closed as spam by {self.who}"
        if author:
            line += f"; to block the sender: gateway blocks add {author}"
        outgoing.notice(self.connection, "spam", line, self.now)
        return "spam"

    def _close(self, words: str, did: list[str]) -> Done:
        entry = None
        if words or self._files():
            entry = self._sent(self._checked(words))
            did = [*did, "answer"]
        reference = self.case.ticket.reference
        people.close(self.connection, reference, self.acting, notify="answer" not in did)
        return self._acted([*did, "close"], entry)

    def _answer(self, words: str, did: list[str]) -> Done:
        found = self._checked(words)
        if self.incoming.reading.masked_text != self.incoming.reading.text:
            raise _Hold("it holds what looks like a password or a security code, and these never travel by mail")
        if since := self._moved_on():
            raise _Hold(f"the conversation has moved on since the notification you answered ({since})")
        if whom := self._meant_for(found.words):
            raise _Hold(whom)
        if self._said_before(found.words):
            raise _Hold("you sent the same words on this ticket already")
        return self._acted([*did, "answer"], self._sent(found))

    def _send(self, words: str, did: list[str]) -> Done:
        """What was held, or other words, whatever happened meanwhile."""
        if words or self._files():
            masked = self.incoming.reading.masked_text
            text = staff_words.orders(masked).words if masked != self.incoming.reading.text else words
            return self._acted([*did, "answer"], self._sent(self._checked(text)))
        held = self._held()
        if held is None or held.message_id is None:
            raise _Refusal("nothing of yours is held back on this ticket; write the words below send:")
        if since := self._moved_on():
            raise _Hold(f"somebody wrote after you had read that it is held back ({since})", held)
        entry = self._sent(Parted(held.text.partition("\n\n")[2]), held.message_id)
        change(self.connection, messages, held.message_id, {"reason": f"{MARK}: sent by a later mail"})
        return self._acted([*did, "answer"], entry)

    # -- what goes out

    def _checked(self, words: str) -> Parted:
        """The words for the customer, and the signature below them.

        Raises:
            _Refusal: there are none, or the notification is among them.
        """
        reading, ticket = self.incoming.reading, self.case.ticket
        found = self._parted(staff_words.for_customer(words, reading.full_text, self._said()))
        text = found.words
        token = self.case.token.mac if self.case.token else ""
        if staff_words.shows_notification(text, (token, f"gateway tickets reply {ticket.reference}")):
            raise _Refusal(
                "your words could not be told from the quoted notification; write them above it, or delete it"
            )
        files = self._files()
        if not text and files:
            text = "\n".join(one["filename"] for one in files)
        if not text:
            raise _Refusal("there are no words in it")
        return replace(found, words=text)

    def _parted(self, text: str) -> Parted:
        """An answer and its unmarked signature, known from its kind and from his other answers."""
        e = entries.c
        newest = select(func.coalesce(func.max(e.id), 0)).scalar_subquery()
        his = ((e.author == self.who) & (e.direction == "out")) | (
            (e.direction == "internal") & e.text.startswith(self._not_sent(""), autoescape=True)
        )
        chosen = select(e.direction, e.text).where(e.id > newest - RECENT, his).order_by(e.id.desc()).limit(12)
        earlier = [
            row.text.partition("\n\n")[2] if row.direction == "internal" else row.text
            for row in self.connection.execute(chosen)
        ]
        author = self.incoming.reading.author
        addresses = (author.address or "", self.office.address)
        domains = tuple({registrable(address.rpartition("@")[2].lower()) for address in addresses})
        by = signatures.Colleague(author.display_name or "", domains)
        return signatures.parted(text, by, earlier)

    def _not_sent(self, signature: str) -> str:
        return f"The signature of {self.who} was not sent:\n\n{signature}"

    def _tell_cut(self, signature: str) -> None:
        """Writes a signature that was left out into the ticket, the first time there."""
        e, text = entries.c, self._not_sent(signature)
        known = select(e.id).where(e.ticket_id == self.case.ticket.id, e.direction == "internal", e.text == text)
        if not signature or self.connection.execute(known.limit(1)).first() is not None:
            return
        newest = select(func.coalesce(func.max(e.id), 0)).scalar_subquery()
        before = select(e.id).where(e.id > newest - RECENT, e.direction == "internal", e.text == text)
        first = self.connection.execute(before.limit(1)).first() is None
        conversation.noted(self.connection, self.case.ticket, text, self.now)
        if first:
            self._say_cut(signature)

    def _say_cut(self, signature: str) -> None:
        """Tells the author what was taken for his signature: he may have meant it for the customer."""
        reference = self.case.ticket.reference
        cut = shown.in_mail(" / ".join(signature.split("\n"))[:1000])
        line = f"these lines below your answer to {reference} were taken for your signature and did not go out: {cut}"
        line += f". To send them after all: gateway tickets reply {reference}"
        item = outgoing.alert(f"{self.event}.cut", self.who, "signature", line, self.now)
        reply = Reply(item, stamp=budgets.Stamp("none"))
        outgoing.write_to_staff(self.connection, reply, line[:200], self.office, self.now)

    def _said(self) -> list[str]:
        """The customer's lines in this ticket."""
        e = entries.c
        rows = self.connection.execute(
            select(e.text).where(e.ticket_id == self.case.ticket.id, e.direction == "in", e.status == "shown")
            .order_by(e.id.desc()).limit(20)
        ).scalars()  # fmt: skip
        return [line for text in rows for line in (text[:20_000] + "\n" + shown.in_mail(text[:20_000])).split("\n")]

    def _sent(self, found: Parted, message: int | None = None) -> int:
        """The answer, queued with its files; its entry."""
        text = found.words
        row = people.answer(self.connection, self.case.ticket.reference, text, self.acting)
        self._tell_cut(found.cut)
        queued = self.connection.execute(select(outbox).where(outbox.c.id == row)).one()
        files = self._files(message)
        if files:
            change(self.connection, outbox, row, {"context": {**queued.context, "files": files}})
        return self._kept(int(queued.entry_id), message, files)

    def _kept(self, entry: int, message: int | None = None, files: list[dict[str, Any]] | None = None) -> int:
        """The entry with the mail it came by and the files of that."""
        change(self.connection, entries, entry, {"message_id": message or self.claimed.id})
        rows = [
            {
                "entry_id": entry,
                "filename": one["filename"],
                "type": one["type"][:200],
                "size": one["size"],
                "sha256": one["sha256"],
            }
            for one in (self._files(message) if files is None else files)
        ]
        put_all(self.connection, attachments, rows)
        return entry

    def _files(self, message: int | None = None) -> list[dict[str, Any]]:
        """The files that go out: not the customer's own, not the pictures of a signature, which came before, no
        signatures."""
        if message is not None and message != self.claimed.id:
            return self._files_of_held(message)
        own = [one for one in self.incoming.reading.parsed.attachments if one.type not in briefing.SIGNED]
        known = self._known([one.sha256 for one in own])
        return [
            {
                "message": self.claimed.id,
                "filename": one.filename,
                "type": one.type,
                "size": one.size,
                "sha256": one.sha256,
            }
            for one in own
            if "in" not in known.get(one.sha256, ()) and not (_may_be_logo(one) and known.get(one.sha256))
        ]

    def _files_of_held(self, message: int) -> list[dict[str, Any]]:
        a, e = attachments.c, entries.c
        rows = self.connection.execute(
            select(attachments).join(entries, e.id == a.entry_id).where(e.message_id == message).order_by(a.id)
        ).all()
        distinct = {(row.sha256, row.filename): row for row in rows}.values()  # what was held twice has them twice
        return [
            {"message": message, "filename": row.filename, "type": row.type, "size": row.size, "sha256": row.sha256}
            for row in distinct
        ]

    def _known(self, digests: Sequence[str]) -> dict[str, set[str]]:
        """Which of these files the customer sent (``in``), or went out in an answer of this author before (``out``)."""
        found: dict[str, set[str]] = {}
        if not digests:
            return found
        a, e = attachments.c, entries.c
        his = (e.ticket_id == self.case.ticket.id) & (e.direction == "in")
        mine = (e.author == self.who) & (e.direction == "out") & (e.message_id != self.claimed.id)
        query = (
            select(a.sha256, e.direction)
            .join(entries, e.id == a.entry_id)
            .where(among(a.sha256, digests), or_(his, mine))
        )
        for row in self.connection.execute(query):
            found.setdefault(row.sha256, set()).add(row.direction)
        return found

    # -- what may be in the way

    def _moved_on(self) -> str:
        """Who wrote since the notification that is answered, or ``""``."""
        told = self.case.told or self._last_told()
        seen = told.context.get("seen") if told is not None else None
        if seen is None:
            return ""
        e = entries.c
        said = or_(
            (e.direction == "in") & e.status.in_(("shown", "pending")), (e.direction == "out") & (e.author != self.who)
        )
        row = self.connection.execute(
            select(e.author, e.direction, e.at).where(e.ticket_id == self.case.ticket.id, e.id > int(seen), said)
            .order_by(e.id.desc()).limit(1)
        ).first()  # fmt: skip
        if row is None:
            return ""
        at = row.at.astimezone(ZoneInfo(self.office.timezone))
        return (
            f"{row.author or 'somebody'} {'answered' if row.direction == 'out' else 'wrote'} at {at:%H:%M} ({at:%Z}), "
            f"{at:%d %B}"
        )

    def _last_told(self) -> OutboxRow | None:
        o = outbox.c
        query = select(outbox).where(
            o.ticket_id == self.case.ticket.id, o.kind == "staff", func.lower(o.recipient) == self.who.lower()
        )
        return typed.first(self.connection, OutboxRow, query.order_by(o.id.desc()).limit(1))

    def _meant_for(self, words: str) -> str:
        """Why an answer may be meant for somebody else: it speaks to a colleague, or greets another customer."""
        ticket = self.case.ticket
        customer = [ticket.author_name, ticket.author or "", ticket.account or "", *self._said()]
        staff = set(self.office.staff.everybody)
        if name := addressed.colleague(words, customer, staff - {self.who}):
            return f'it speaks to "{name}", a colleague; to keep it internal, write note: above it'
        t = tickets.c
        others = select(t.author_name).where(
            t.state != TicketState.CLOSED, t.id != ticket.id, t.author != ticket.author
        )
        names = self.connection.execute(others.order_by(t.id.desc()).limit(OTHERS)).scalars().all()
        name = addressed.stranger(words, customer, names)
        return f'it greets "{name}", and this ticket is from {ticket.author_name or ticket.author}' if name else ""

    def _said_before(self, text: str) -> bool:
        e = entries.c
        query = select(e.text).where(
            e.ticket_id == self.case.ticket.id, e.direction == "out", e.author == self.who, e.at > self.now - SAME_WORDS
        )
        return text in self.connection.execute(query).scalars().all()

    def _held(self) -> Entry | None:
        """The entry of the newest answer of this author that was held back."""
        m, e = messages.c, entries.c
        query = (
            select(entries)
            .join(messages, m.id == e.message_id)
            .where(e.ticket_id == self.case.ticket.id, e.author == self.who, m.reason.startswith(HELD))
        )
        return typed.first(self.connection, Entry, query.order_by(e.id.desc()).limit(1))

    # -- outcomes

    def _acted(self, did: Sequence[str], entry: int | None) -> Done:
        sent = "answer" if "answer" in did else None
        return self.done(Disposition.APPENDED, f"{MARK}: {', '.join(did)}", entry, sent)

    def hold(self, why: str, held: Entry | None = None) -> Done:
        """Keeps the answer on the ticket, unsent, and asks its author. ``held``: the entry of the one that is kept
        again."""
        self._above(staff_words.orders(self.incoming.reading.text))  # that counts although the answer waits
        found = Parted(held.text.partition("\n\n")[2]) if held is not None else self._held_words()
        text = found.words
        words = f"Not sent: {why}\n\n{text}"
        self._tell_cut(found.cut)
        note = labels.note(self.connection, self.case.ticket.reference, words, self.by, self.now)
        entry = self._kept(note, held.message_id if held is not None else None)
        more = {
            "why": why, "again": True, "event": "held", "held": shown.in_mail(text[:4000]),
            "news": self._news(), "seen": entry,
        }  # fmt: skip
        told = Notification(self.case.ticket, "staff_held", self.event, more)
        outgoing.tell_one(self.connection, self.who, told, self.office, self.now)
        return self.done(Disposition.RECORDED, f"{HELD}: {why}", entry, "staff_held")

    def _held_words(self) -> Parted:
        masked = staff_words.orders(self.incoming.reading.masked_text).words
        return self._parted(staff_words.for_customer(masked, self.incoming.reading.masked_full_text, self._said()))

    def _news(self) -> str:
        e = entries.c
        told = self.case.told or self._last_told()
        seen = int(told.context.get("seen") or 0) if told is not None else 0
        rows = self.connection.execute(
            select(e.author, e.text).where(
                e.ticket_id == self.case.ticket.id, e.id > seen, e.direction != "internal", e.status != "silent"
            ).order_by(e.id).limit(5)
        ).all()  # fmt: skip
        return "\n\n".join(f"{row.author}:\n{shown.in_mail(row.text[:2000])}" for row in rows)

    def refuse(self, why: str, back: tuple[int, float] | None) -> Done:
        """Nothing is done; its author hears why, within ``back``."""
        said = self._say(why, back)
        if not said:
            line = f"a staff mail from {self.who} about {self.case.ticket.reference} was not accepted: {why}"
            proven = self.incoming.verdict.authenticated or self.incoming.from_staff_relay
            outgoing.notice(self.connection, outgoing.RIDES_ALONG if proven else "forged", line, self.now)
        return self.done(Disposition.RECORDED, f"{MARK} refused: {why}", None, "staff_refused" if said else None)

    def _say(self, why: str, back: tuple[int, float] | None) -> bool:
        proof = "unproven" if back == UNPROVEN else "refused"
        if back is None or self.office.rules.owns(self.who):
            return False
        if not budgets.has_room(self.connection, self.who, proof, back, self.now):
            return False
        ticket = self.case.ticket
        context = {
            "reference": ticket.reference, "why": why, "subject": self.incoming.reading.parsed.subject,
            "in_reply_to": self.incoming.reading.parsed.message_id, "references": [],
            "held": shown.in_mail(self.incoming.reading.masked_text[:4000]) if back == REFUSALS else "",
        } | self._reply_path()  # fmt: skip
        item = OutboxItem(self.event, "staff_refused", "en", self.who, "staff", context, ticket.id)
        reply = Reply(item, stamp=budgets.Stamp(proof=proof))
        return outgoing.write(self.connection, reply, self.office, self.now) is not None

    def _reply_path(self) -> dict[str, Any]:
        """Where a second try goes: who had the ticket's token may reply to the refusal as to the notification that he
        answered first."""
        if self.case.token is None:
            return {}
        told = self.case.told or self._last_told()
        seen = {"seen": told.context["seen"]} if told is not None and "seen" in told.context else {}
        return seen | {"reply_to": self.office.staff_token(self.case.ticket.reference, self.who)}

    def done(
        self,
        disposition: Disposition,
        why: str,
        entry: int | None = None,
        replied: str | None = None,
        again: bool = False,
    ) -> Done:
        """The outcome, worded for the message and its trace."""
        reasons = (*self.incoming.verdict.reasons, why)
        return Done(
            in_words(self.incoming, disposition, why, reasons), reasons, self.case.ticket, entry, replied, again
        )


def _may_be_logo(file: Attachment) -> bool:
    """Whether a file may be a picture of a signature: one that comes with each mail goes out once."""
    return file.type.startswith("image/") and file.size <= LOGO


def in_words(incoming: Incoming, disposition: Disposition, why: str, reasons: tuple[str, ...]) -> Decision:
    """A decision that says what was done, in the form of every other mail's."""
    topics = incoming.reading.topics
    return Decision(
        disposition=disposition, mail_class=MailClass.HUMAN, class_reason=why, trust=Trust.UNKNOWN, account=None,
        question=topics.question, department=topics.department, priority=Priority.NORMAL, critical=False, sensitive=(),
        missing=(), reply=None, thread=None, outcome="", clock=False, silent=True, recheck=False, marks=(), notify="",
        silence=why, reasons=reasons,
    )  # fmt: skip


def foreseen(incoming: Incoming, case: Judged) -> Decision:
    """What ``explain`` tells of a staff mail; nothing is written."""
    accepted = not case.later and not case.refused
    why = case.refused or ("a check could not be made; it is repeated" if case.later else "it is carried out")
    line = f"{MARK} about {case.ticket.reference}: {why}"
    disposition = Disposition.APPENDED if accepted else Disposition.RECORDED
    return in_words(incoming, disposition, line, (*incoming.verdict.reasons, line))


def is_staffs(row: Any) -> bool:
    """Whether a message row was taken for a staff mail."""
    return str(row.reason).startswith(MARK)


def state_of(done: Done) -> dict[str, Any]:
    """The columns of the message row."""
    return {
        "state": InboxState.DONE,
        "disposition": done.decision.disposition,
        "reason": done.decision.class_reason,
        "mail_class": MailClass.HUMAN,
        "trust": Trust.UNKNOWN,
        "ticket_id": done.ticket.id if done.ticket else None,
        "entry_id": done.entry,
    }


__all__ = ["Done", "Judged", "carried_out", "is_staffs", "judged", "state_of"]
