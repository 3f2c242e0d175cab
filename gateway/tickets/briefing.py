"""What staff read of a ticket by mail: who wrote and how far that is proven, facts with ownership, when an answer is
due, the words (masked, each line set off) and which files go along.

Everything is put into the outbox row when it is written; the files are taken from the stored original when it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.database.tables import attachments, entries, facts, messages, tickets
from gateway.model import (
    ALSO,
    FACT_KINDS,
    Decision,
    Disposition,
    Fact,
    Incoming,
    Ownership,
    Question,
    Reading,
    TicketState,
    Trust,
)
from gateway.tickets import policy, shown, thanks
from gateway.tickets.rules import Rules

MAX_FILES = 10 * 1024**2  #: octets of files in one staff mail
MAX_LISTED = 20  #: files and facts that are named
MAX_WORDS = 6000  #: characters of the words
MAX_ACCOUNTS = 10  #: of one author
MAX_BELOW = 2000  #: characters of what a first mail passes on or quotes
MAX_ANSWERED = 500  #: characters of our last answer
#: the parts of a signed mail that nobody opens
SIGNED = frozenset(
    (
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-signature",
        "application/pgp-keys",
    )
)
_QUOTED = re.compile(r"^[ \t]{0,3}>", re.MULTILINE)
_FIELD = re.compile(r"^[ \t*]{0,3}[^\W\d_][\w -]{1,20}[ \xa0]?\*?: \*?[ ]?\S", re.MULTILINE)  #: "From: anna@example.de"
_CUT = "[... the rest is in the ticket]"


def of_ticket(ticket: Any) -> dict[str, Any]:
    """What the row of a ticket tells by itself."""
    return {
        "reference": ticket.reference,
        "department": ticket.department,
        "priority": ticket.priority,
        "critical": ticket.critical,
        "trust": ticket.trust,
        "account": ticket.account,
        "author": ticket.author or "",
        "author_name": ticket.author_name,
        "goes_to": ticket.author or "",
        "spoken": ticket.language,
        "reply_language": ticket.reply_language,
        "opened_at": ticket.opened_at.isoformat(),
        "target_at": _iso(ticket.target_at),
        "limit_at": _iso(ticket.limit_at),
        "subject": ticket.subject,
        "marks": list(ticket.marks),
        "missing": [] if ticket.first_response_at is not None else to_ask(ticket),
    }


def to_ask(ticket: Any) -> list[str]:
    """What a supporter has to ask next, at most one of what is missing: without words, what it is about, then which
    server it is, then, of an outage, when it began. Logs are asked for when he finds that he needs them, and who has
    asked nothing about his account is asked for no order."""
    missing = set(ticket.missing)
    if "order_or_ip" in missing and "service" in missing:
        missing.discard("service")  # one of them is enough to find the other
    if ticket.question != Question.ACCOUNT and not ticket.critical:
        missing &= {"description"}
    order = ("description", "order_or_ip", "service", *(("started_at",) if ticket.critical else ()))
    return [name for name in order if name in missing][:1]


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment is not None else None


def words(text: str, most: int = MAX_WORDS) -> str:
    """The words of a mail as staff read them: cut at a length, each line set off."""
    if not text.strip():
        return ""
    cut = text if len(text) <= most else f"{text[:most].rstrip()}\n{_CUT}"
    return shown.in_mail(cut)


def _passed_on(reading: Reading) -> str:
    """What stands below the author's words and is another's: the bounce, or the mail of his own customer, that he asks
    about. A signature is none of it."""
    whole = reading.masked_full_text
    below = whole[len(reading.masked_text) :].strip() if whole.startswith(reading.masked_text) else ""
    return below if _QUOTED.search(below) or len(_FIELD.findall(below)) > 1 else ""


def last_answer(connection: Connection, ticket: Any) -> dict[str, Any]:
    """What was last said to the customer, and by whom; nothing where nobody has answered."""
    e = entries.c
    said = select(e.text, e.author, e.at).where(e.ticket_id == ticket.id, e.direction == "out", e.status == "shown")
    row = connection.execute(said.order_by(e.id.desc()).limit(1)).first()
    if row is None:
        return {}
    return {"answered": words(row.text, MAX_ANSWERED), "answered_by": row.author, "answered_at": row.at.isoformat()}


def of_mail(incoming: Incoming, decision: Decision, message: int, entry: int, rules: Rules) -> dict[str, Any]:
    """What a mail adds that was decided on just now. ``message`` and ``entry``: where it is kept."""
    reading = incoming.reading
    _, why = policy.trust_of(incoming, rules)
    follows = decision.disposition is Disposition.APPENDED
    known = [
        {"kind": kind, "value": fact.value, "ownership": str(fact.ownership), "quoted": fact.quoted}
        for kind in FACT_KINDS
        for fact in incoming.facts.of(kind)
        if _tells(kind, fact, incoming, follows)
    ]
    began = incoming.facts.incident_started_at
    named = [(a.filename, a.type, a.size, a.sha256) for a in reading.parsed.attachments]
    return {
        "event": str(decision.disposition),
        "message": message,
        "seen": entry,
        "trust": str(decision.trust),
        "why": why,
        "author": reading.author.address or "(nobody)",
        "author_name": reading.author.display_name[:200],
        "account_holder": decision.account.name if decision.account else "",
        "has": list(incoming.match.orders) if decision.account else [],
        "accounts": _possible(incoming, decision),
        "spoken": reading.language,
        "subject": reading.parsed.subject,
        "text": words(reading.masked_text),
        "below": words(_passed_on(reading), MAX_BELOW) if decision.thread is None else "",
        "facts": known[:MAX_LISTED],
        "started_at": _iso(began),
        "also": also(decision),
        "thanks": decision.disposition is Disposition.APPENDED and thanked(reading),
    } | files(message, named)


def also(decision: Decision) -> list[str]:
    """The departments beside its own that a mail asks something."""
    return [str(other) for other, mark in ALSO.items() if mark in decision.marks]


def _tells(kind: str, fact: Fact, incoming: Incoming, follows: bool) -> bool:
    """Whether a fact is worth a line. What a follow-up quotes is mostly our own answer, and an unknown host tells
    nothing where it is quoted or the author's own domain, as signatures have it. What is another customer's always
    does."""
    if fact.ownership is Ownership.FOREIGN:
        return True
    if fact.ownership is Ownership.UNKNOWN and kind == "hosts":
        domain = (incoming.reading.author.address or "").rpartition("@")[2]
        return not fact.quoted and fact.value.removeprefix("www.") != domain
    return not (follows and fact.quoted)


def _possible(incoming: Incoming, decision: Decision) -> list[str]:
    """The accounts of a proven author of several, where nothing settles which one he means."""
    if decision.account is not None or decision.trust is not Trust.VERIFIED:
        return []
    return [f"{one.account} ({one.name})" for one in incoming.match.accounts[:MAX_ACCOUNTS]]


def thanked(reading: Reading, answered_by: str = "") -> bool:
    """Whether its author only says thanks, to who answered him or to all."""
    author = reading.author
    return thanks.only(reading.masked_text, thanks.names_of(author.address or "", author.display_name, answered_by))


def files(message: int, named: Sequence[tuple[str, str, int, str]]) -> dict[str, Any]:
    """``files`` that go along and ``left_out`` ones, of a mail's attachments (name, type, size in octets, SHA-256)."""
    taken, left, room = [], [], MAX_FILES
    named = [one for one in named if one[1] not in SIGNED]
    for filename, kind, size, sha256 in named[:MAX_LISTED]:
        one = {"filename": filename[:200], "type": kind, "size": size}
        if size <= room:
            room -= size
            taken.append(one | {"message": message, "sha256": sha256})
        else:
            left.append(one)
    return {"files": taken, "left_out": left, "more_files": max(0, len(named) - MAX_LISTED)}


def of_conversation(connection: Connection, ticket: Any) -> dict[str, Any]:
    """What a ticket holds that was not decided on just now: its facts, the customer's newest words, their files by
    name."""
    rows = connection.execute(
        select(facts.c.kind, facts.c.value, facts.c.ownership, facts.c.quoted)
        .where(facts.c.ticket_id == ticket.id)
        .order_by(facts.c.id)
        .limit(200)
    ).all()
    newest = connection.execute(
        select(entries)
        .where(entries.c.ticket_id == ticket.id, entries.c.direction == "in", entries.c.status == "shown")
        .order_by(entries.c.id.desc())
        .limit(1)
    ).first()
    began = next((row.value for row in rows if row.kind == "incident"), None)
    return {
        "seen": newest_entry(connection, ticket),
        "text": words(newest.text) if newest is not None else "",
        "said_by": newest.author if newest is not None else "",
        "said_at": newest.at.isoformat() if newest is not None else None,
        "facts": _distinct(row for row in rows if row.kind != "incident"),
        "started_at": began,
        "left_out": _named(connection, newest) if newest is not None else [],
        **last_answer(connection, ticket),
    }


def _distinct(rows: Iterable[Any]) -> list[Mapping[str, Any]]:
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        one = {"kind": row.kind, "value": row.value, "ownership": row.ownership, "quoted": row.quoted}
        found.setdefault((row.kind, row.value), one)
    return list(found.values())[:MAX_LISTED]


def _named(connection: Connection, entry: Any) -> list[dict[str, Any]]:
    a = attachments.c
    rows = connection.execute(select(a.filename, a.type, a.size).where(a.entry_id == entry.id).limit(MAX_LISTED))
    return [{"filename": row.filename[:200], "type": row.type, "size": row.size} for row in rows]


def open_too(connection: Connection, ticket: Any) -> list[str]:
    """The other tickets of the same author that are not closed, the newest first: "T-7K2M9QX: Slow disk"."""
    t, m = tickets.c, messages.c
    lately = (
        select(m.ticket_id).where(m.author == ticket.author, m.ticket_id.is_not(None)).order_by(m.id.desc()).limit(20)
    )
    chosen = select(t.reference, t.subject).where(
        t.id.in_(lately.scalar_subquery()), t.id != ticket.id, t.state != TicketState.CLOSED, t.merged_into.is_(None)
    )
    rows = connection.execute(chosen.order_by(t.id.desc()).limit(5))
    return [f"{row.reference}: {row.subject[:80] or '(no subject)'}" for row in rows]


def newest_entry(connection: Connection, ticket: Any) -> int:
    """How far the conversation is: the id of its newest entry."""
    found = connection.execute(select(func.max(entries.c.id)).where(entries.c.ticket_id == ticket.id)).scalar()
    return int(found or 0)
