"""``decide``: what happens to a mail, as docs/policy.md says. Pure: values in, one ``Decision`` out.

No I/O, no clock, no settings look-up. Every silence has its reason in ``silence`` and ``reasons``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gateway.model import (
    ABUSE,
    ALSO,
    RECOVERED,
    SAME_REQUEST,
    Account,
    AuthorStatus,
    Budgets,
    Candidate,
    Decision,
    Department,
    Disposition,
    Incoming,
    MailClass,
    Ownership,
    Priority,
    Question,
    Reading,
    ReplyPlan,
    Thread,
    TicketState,
    Trust,
)
from gateway.tickets.rules import Rules

#: an own address names the service, and an own service names the order
_SAID_BY = {"services": ("services", "hosts", "ips"), "orders": ("orders", "services", "hosts")}
NO_REPLY_WANTED = "its sender wants no automatic reply"  #: why a mail is silent; the field that says so is not signed
ONCE_A_DAY = "an address without proof is acknowledged once in 24 h"
PERHAPS_A_LOOP = "perhaps a loop"
TOO_OLD = "the mail is older than ack_max_age"
BROUGHT_IN = "taken in without acknowledgements"
CHECKED_AGAIN = "a check could not be made; it is repeated"
BUDGET_SPENT = "budget spent: "
JOINS = "the same request again: it joins the first, which is acknowledged"
#: how a silence begins that ends when the address takes mail again
CAME_BACK = "mail to this address came back: "
_WHATEVER_COPY = (ONCE_A_DAY, PERHAPS_A_LOOP, TOO_OLD, BROUGHT_IN, CHECKED_AGAIN, BUDGET_SPENT, CAME_BACK, "forged")
OWN_SERVER = "the author's own server handed it in"  #: a reason, by which later arrivals are judged
ABOUT = "abuse: account {}"  #: the mark of an abuse notice about a customer
_INVITATION = "[invitation: "  #: how the line of a calendar begins that invites
_FINANCIAL_ROLES = frozenset(("owner", "billing"))


def trust_of(incoming: Incoming, rules: Rules) -> tuple[Trust, str]:
    """How far the author is believed, and why."""
    author, verdict = incoming.reading.author, incoming.verdict
    if author.status is AuthorStatus.FORGED:
        return Trust.FAILED, f"author forged: {author.reason}"
    if author.status is AuthorStatus.MALFORMED:
        return Trust.UNKNOWN, f"author malformed: {author.reason}"
    if rules.owns(author.address):
        return Trust.FAILED, "From is our own address, without our proof"
    if verdict.enforced:
        return Trust.FAILED, "DMARC fails under quarantine or reject"
    if not incoming.match.accounts:
        return Trust.UNKNOWN, "the address is not registered"
    if verdict.authenticated:
        return Trust.VERIFIED, f"registered address, proven by {verdict.by}"
    return Trust.UNVERIFIED, "registered address, not proven"


def class_of(incoming: Incoming) -> tuple[MailClass, str]:
    """What kind of mail it is, and why. What its form says counts; its words do where nobody is proven."""
    signs = incoming.reading.signs
    if incoming.is_own:
        return MailClass.SELF, "our own mail"
    if incoming.person:
        return MailClass.HUMAN, "another arrival of this mail is a person's"
    if signs.form in (MailClass.BOUNCE, MailClass.REPORT):
        return signs.form, signs.form_why
    registered = bool(incoming.match.accounts) or not incoming.match.usable
    proven = bool(incoming.match.accounts) and incoming.verdict.authenticated
    if signs.words is MailClass.BOUNCE and (incoming.to_reply or (signs.form is not MailClass.HUMAN and not proven)):
        return signs.words, signs.words_why
    if signs.form is not MailClass.HUMAN:
        return signs.form, signs.form_why
    if signs.words is MailClass.HUMAN:
        return MailClass.HUMAN, ""
    if proven:
        return MailClass.HUMAN, f"a proven customer wrote it, though: {signs.words_why}"
    if registered and not incoming.final and (incoming.verdict.temperror or not incoming.match.usable):
        return MailClass.HUMAN, f"it may be proven yet, though: {signs.words_why}"
    return signs.words, signs.words_why


def missing_of(incoming: Incoming, trust: Trust) -> tuple[str, ...]:
    """What the desk asks for and the mail does not tell. Foreign and unknown facts count alike."""
    topics = incoming.reading.topics
    told = told_in(incoming, trust)
    if ABUSE in topics.flags:  # evidence, and nothing of an account; a customer passes on what he got
        return () if "diagnostics" in told or trust is Trust.VERIFIED else ("diagnostics",)
    if (topics.question is Question.GENERAL or _INVITATION in incoming.reading.text) and not topics.critical:
        return () if _says_something(incoming.reading) else ("description",)
    wanted = ["order_or_ip", "service", "description", *(["started_at"] if topics.critical else []), "diagnostics"]
    if (topics.department is Department.FINANCIAL or topics.sensitive) and not topics.critical:
        # a payment, or something to be done: nobody needs logs or a time of begin for it
        wanted = ["order_or_ip", "description"]
        told |= {"order_or_ip"} if _names(incoming, trust, "invoices") else set()
    return tuple(one for one in wanted if one not in told)


def _says_something(reading: Reading) -> bool:
    """Whether a word may say what the mail is about: "hi?" above a photograph does not."""
    said = f"{reading.parsed.subject} {reading.text[:2000]}".split()
    return any(sum(map(str.isalpha, word)) >= 4 for word in said)


def told_in(incoming: Incoming, trust: Trust) -> set[str]:
    """What a mail tells of all that the desk may ask for."""
    reading = incoming.reading
    told = {
        "order_or_ip": _names(incoming, trust, "orders") or _names(incoming, trust, "ips"),
        "service": _names(incoming, trust, "services"),
        "description": reading.described,
        "started_at": incoming.facts.incident_started_at is not None,
        "diagnostics": reading.diagnostics,
    }
    return {one for one, is_told in told.items() if is_told}


def _names(incoming: Incoming, trust: Trust, kind: str) -> bool:
    """Whether a mail names something of this kind. For anybody but a verified customer it is the words that count, not
    what the directory knows of them: an answer that asks for the service name only when there is no such service tells
    a stranger which services, hosts and addresses are here."""
    if trust is Trust.VERIFIED:
        kinds = _SAID_BY.get(kind, (kind,))
        return any(fact.ownership is Ownership.OWN for one in kinds for fact in incoming.facts.of(one))
    named: tuple[Candidate, ...] = getattr(incoming.reading, kind)
    return any(not candidate.weak for candidate in named)


@dataclass(slots=True)
class _Draft:
    """A decision while it is being made."""

    disposition: Disposition
    clock: bool = False
    silent: bool = False
    recheck: bool = False
    thread: Thread | None = None
    outcome: str = ""
    notify: str = ""
    silence: str = ""
    marks: list[str] = field(default_factory=list)
    reply: ReplyPlan | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """A mail with what counts of it before anything is decided."""

    incoming: Incoming
    now: datetime
    rules: Rules
    trust: Trust
    why: str  #: this trust
    kind: MailClass
    class_why: str

    @property
    def account(self) -> Account | None:
        """The account that it is about, as far as its author is believed."""
        return self.incoming.match.settled if self.trust is Trust.VERIFIED else None


def decide(incoming: Incoming, thread: Thread | None, budgets: Budgets, now: datetime, rules: Rules) -> Decision:
    """The decision for one mail. ``thread`` is the candidate its identifiers point at, if any."""
    case = _Case(incoming, now, rules, *trust_of(incoming, rules), *class_of(incoming))
    draft = _routed(case, thread)
    if incoming.silent:  # old mail of a mailbox: nobody waits for it
        draft.clock, draft.notify = False, ""
    _answered(case, draft, budgets)
    topics = incoming.reading.topics
    return Decision(
        disposition=draft.disposition,
        mail_class=case.kind,
        class_reason=case.class_why,
        trust=case.trust,
        account=case.account,
        question=topics.question,
        department=topics.department,
        priority=Priority.HIGH if topics.critical and case.trust is Trust.VERIFIED else Priority.NORMAL,
        critical=topics.critical,
        sensitive=topics.sensitive,
        missing=missing_of(incoming, case.trust),
        reply=draft.reply,
        thread=draft.thread,
        outcome=draft.outcome,
        clock=draft.clock,
        silent=draft.silent,
        recheck=draft.recheck,
        marks=tuple(_marks(case, draft)),
        notify=draft.notify,
        silence="" if draft.reply else draft.silence,
        reasons=tuple(_reasons(case, draft)),
    )


def _answered(case: _Case, draft: _Draft, budgets: Budgets) -> None:
    """The reply of a mail that opens a ticket, or why there is none."""
    if draft.recheck:
        draft.silence = CHECKED_AGAIN
    elif draft.disposition is Disposition.OPENED and not draft.silent:
        draft.silence = _silence(case, budgets)
        draft.reply = None if draft.silence else _reply(case)
    elif not draft.silence:
        draft.silence = case.incoming.echo or {
            Disposition.APPENDED: "follow-ups are not acknowledged",
            Disposition.PENDING: "a contribution without proof is not acknowledged",
        }.get(draft.disposition, "machine mail is never answered")


def _marks(case: _Case, draft: _Draft) -> Iterator[str]:
    """What staff see on the ticket."""
    yield from draft.marks
    yield from case.incoming.reading.parsed.marks
    if case.incoming.reading.author.status is AuthorStatus.MALFORMED:
        yield "malformed author"
    yield from _flagged(case.incoming, draft)
    if case.trust is Trust.VERIFIED and case.account is None:
        yield "account not settled"


def _reasons(case: _Case, draft: _Draft) -> Iterator[str]:
    """Why it was decided so, a line each."""
    incoming = case.incoming
    yield from incoming.verdict.reasons
    yield f"trust={case.trust} ({case.why})"
    if incoming.verdict.sent:
        yield OWN_SERVER
    if not incoming.match.usable:
        yield incoming.match.reason
    if case.class_why:
        yield f"class={case.kind} ({case.class_why})"
    if incoming.blocked:
        yield f"blocked: {incoming.blocked}"
    if incoming.spared:
        yield f"not blocked: {incoming.spared}"
    yield from (f"terms {line}" for line in incoming.reading.topics.terms)
    if draft.thread is not None:
        note = f" ({draft.thread.note})" if draft.thread.note else ""
        yield f"thread {draft.thread.reference} by {named_by(draft.thread)}: {draft.outcome}{note}"
    yield f"reply {draft.reply.template} ({draft.reply.why})" if draft.reply else f"no reply: {draft.silence}"


#: what a later mail of a ticket adds to its marks
_LATER = (RECOVERED, *ALSO.values())


def _flagged(incoming: Incoming, draft: _Draft) -> list[str]:
    """What staff should see at once on the ticket: of the mail that opens it, and of a later one that it works again (a
    person closes it; its clock goes on) or that it has a second matter."""
    topics = incoming.reading.topics
    if draft.disposition is not Disposition.OPENED:
        appended = draft.disposition is Disposition.APPENDED and not draft.silent
        return [flag for flag in topics.flags if flag in _LATER] if appended else []
    marks = ["critical", *topics.flags] if topics.critical else [*topics.flags]
    if incoming.abused:
        marks += [*((ABUSE,) if ABUSE not in topics.flags else ()), *map(ABOUT.format, incoming.abused)]
    return marks


def named_by(thread: Thread) -> str:
    """By what a mail goes on with a ticket; an id is ours, or one of an earlier mail of the ticket."""
    return f"{thread.by} of ours" if thread.firm and thread.by in ("message_id", "references") else thread.by


def is_firm(line: str) -> bool:
    """Whether a reason names a thread by what a stranger who got the mail cannot put there (``decide`` wrote it)."""
    by = line.partition(" by ")[2].partition(":")[0]
    return line.startswith("thread ") and (by in ("token", "subject") or by.endswith(" of ours"))


def _routed(case: _Case, thread: Thread | None) -> _Draft:
    incoming, kind = case.incoming, case.kind
    if incoming.is_own:
        return _Draft(Disposition.IGNORED)
    if not incoming.released:
        if kind is MailClass.BOUNCE:
            return _Draft(Disposition.RECORDED)
        if (aside := _set_aside(case)) is not None:
            return aside
        if kind is not MailClass.HUMAN or incoming.echo:
            return _unattended(incoming, kind, thread, case.trust)
    if thread is not None:
        draft = _threaded(incoming, thread, case.now, case.rules)
        if draft is not None:
            return draft
    unsure = (incoming.verdict.temperror or not incoming.match.usable) and not incoming.final
    outcome = "" if thread is None else "linked"
    return _Draft(Disposition.OPENED, clock=True, recheck=unsure, thread=thread, outcome=outcome, notify="now")


def _set_aside(case: _Case) -> _Draft | None:
    """Of a blocked sender, or forged."""
    if case.incoming.blocked:
        return _Draft(Disposition.QUARANTINED, notify="digest", silence=f"blocked: {case.incoming.blocked}")
    if case.trust is Trust.FAILED:
        outage = case.incoming.reading.topics.critical and case.kind is MailClass.HUMAN
        silence = "the author failed verification"
        return _Draft(Disposition.QUARANTINED, notify="now" if outage else "digest", silence=silence)
    return None


def _unattended(incoming: Incoming, kind: MailClass, thread: Thread | None, trust: Trust) -> _Draft:
    """What a program wrote, or may have written: it moves nothing and triggers nothing, and needs the proof that a
    person's mail needs."""
    if thread is not None and (thread.party or thread.token_bound):
        if incoming.verdict.authenticated:
            return _Draft(Disposition.APPENDED, silent=True, thread=thread, outcome="appended")
        if thread.token_bound and not incoming.verdict.refused:
            marks = ["not authenticated"]
            return _Draft(Disposition.APPENDED, silent=True, thread=thread, outcome="appended", marks=marks)
        return _Draft(Disposition.PENDING, silent=True, thread=thread, outcome="pending", notify="digest")
    if kind is MailClass.REPORT and incoming.abused and not incoming.verdict.refused:
        return _Draft(Disposition.OPENED, silent=True, notify="now")
    if trust is Trust.VERIFIED or kind is MailClass.HUMAN:
        outcome = "linked" if thread is not None else ""
        return _Draft(Disposition.OPENED, silent=True, thread=thread, outcome=outcome, notify="digest")
    return _Draft(Disposition.RECORDED, notify="digest")


def _threaded(incoming: Incoming, thread: Thread, now: datetime, rules: Rules) -> _Draft | None:
    """A follow-up; ``None`` when a new, linked ticket is due (a stranger, a thread closed for too long, or another
    matter)."""
    if not thread.party or _another_matter(incoming, thread):
        return None
    if thread.state is TicketState.CLOSED and thread.closed_at is not None:
        if (now - thread.closed_at).total_seconds() > rules.replies.reopen_grace:
            return None
        topics = incoming.reading.topics
        certain = topics.critical or topics.department is Department.FINANCIAL  # technical is what is not known as well
        if incoming.verdict.authenticated and (thread.new_topic or (certain and _of_another_team(incoming, thread))):
            return None
    new_round = not thread.clock_running
    if thread.by == SAME_REQUEST and (incoming.verdict.authenticated or thread.token_bound):
        told = "" if thread.token_bound and not new_round else "now"  # it brings another file, or came after an answer
        return _Draft(
            Disposition.APPENDED, clock=new_round, thread=thread, outcome="appended", silence=JOINS, notify=told
        )
    if incoming.verdict.authenticated:
        return _Draft(Disposition.APPENDED, clock=new_round, thread=thread, outcome="appended", notify="now")
    if thread.token_bound and not incoming.verdict.refused:
        marks = ["not authenticated"]
        return _Draft(
            Disposition.APPENDED, clock=new_round, thread=thread, outcome="appended", notify="now", marks=marks
        )
    return _Draft(Disposition.PENDING, clock=new_round, thread=thread, outcome="pending", notify="now")


def _another_matter(incoming: Incoming, thread: Thread) -> bool:
    """Whether a proven mail only names the ids of a thread (people write under an old mail because the address is
    there): it is apart from it, or its subject is another one and it is about an invoice or order while the ticket is
    another department's."""
    if not incoming.verdict.authenticated or thread.by not in ("message_id", "references"):
        return False
    if thread.apart:
        return True
    return thread.new_topic and _of_another_team(incoming, thread)


def _of_another_team(incoming: Incoming, thread: Thread) -> bool:
    """Whether a mail is about an invoice or an order, and another department's than the ticket."""
    reading = incoming.reading
    if not thread.department or reading.topics.department == thread.department:
        return False
    return any(not one.weak and not one.quoted for one in (*reading.invoices, *reading.orders))


def of_this_copy(incoming: Incoming) -> str:
    """Why this copy is not answered where another one of the same mail may be: by its envelope, or a field that nobody
    signs."""
    if incoming.echo or incoming.unanswerable:
        return incoming.echo or incoming.unanswerable
    if incoming.reading.signs.suppressed:
        return f"{NO_REPLY_WANTED} ({incoming.reading.signs.suppressed})"
    return "the sender's domain refuses this mail (SPF or DMARC fails)" if incoming.verdict.refused else ""


def is_of_its_copy(silence: str) -> bool:
    """Whether a ticket is silent because of the copy that opened it, rather than for what was sent or when it came."""
    return bool(silence) and not silence.startswith(_WHATEVER_COPY)


def _silence(case: _Case, budgets: Budgets) -> str:
    """Why nobody is acknowledged, or ``""`` (No cannon)."""
    return _hushed(case) or _spent(case, budgets)


def _hushed(case: _Case) -> str:
    """What speaks against any answer to this mail."""
    incoming = case.incoming
    if incoming.silent:
        return BROUGHT_IN
    if case.kind is not MailClass.HUMAN:
        return "machine mail is never answered"
    if incoming.reading.author.status is AuthorStatus.MALFORMED:
        return "the author is malformed"
    if case.trust is Trust.FAILED:
        return "the author failed verification"
    if why := of_this_copy(incoming):
        return why
    old = (case.now - incoming.envelope.received_at).total_seconds() > case.rules.replies.ack_max_age
    return TOO_OLD if old else ""


def _spent(case: _Case, budgets: Budgets) -> str:
    """What speaks against another answer now."""
    if not case.incoming.verdict.authenticated and budgets.last_to_author is not None:
        if (case.now - budgets.last_to_author).total_seconds() < case.rules.replies.budget_address[1]:
            return ONCE_A_DAY
    if budgets.came_back:
        return f"{CAME_BACK}{budgets.came_back}"
    if budgets.loop:
        return f"{PERHAPS_A_LOOP}: {budgets.loop}"
    return f"{BUDGET_SPENT}{budgets.spent}" if budgets.spent else ""


def _reply(case: _Case) -> ReplyPlan:
    incoming, topics = case.incoming, case.incoming.reading.topics
    template, why = _template(incoming, case.trust)
    to = [incoming.reading.author.address or ""]
    if case.account is not None and not topics.sensitive and not incoming.reading.secrets_masked:
        author = to[0].lower()
        copies = incoming.match.support_addresses
        to += [address for address in copies if address.lower() != author and not case.rules.owns(address)]
    return ReplyPlan(template, language_for(incoming, case.trust, case.rules), tuple(to), why)


def _template(incoming: Incoming, trust: Trust) -> tuple[str, str]:
    """The template of the acknowledgement, and why it is this one."""
    topics = incoming.reading.topics
    if incoming.final and (incoming.verdict.temperror or not incoming.match.usable):
        return "received_general", "the checks could not be made in time"
    if topics.critical:
        return "emergency", "reports a complete outage"
    if trust is Trust.VERIFIED:
        if topics.sensitive and not _may_ask(incoming):
            return "verification_needed", f"asks for {', '.join(topics.sensitive)} and may not by this proof and role"
        return "received", "the author is verified"
    if topics.question is Question.GENERAL:
        return "received_general", "a general question"
    return "verification_needed", f"about an account, and the author is {trust}"


def _may_ask(incoming: Incoming) -> bool:
    """Whether a verified author may ask for something sensitive: proven by more than SPF, and an owner."""
    if incoming.verdict.weak or incoming.match.settled is None:
        return False
    roles = incoming.match.roles.get(incoming.match.settled.account, frozenset())
    if "owner" in roles:
        return True
    financial = incoming.reading.topics.department is Department.FINANCIAL
    return financial and incoming.reading.topics.sensitive == ("refund",) and bool(roles & _FINANCIAL_ROLES)


def language_for(incoming: Incoming, trust: Trust, rules: Rules) -> str:
    """The language of the reply: of the words, else (verified only) the account's, else Content-Language, else
    English."""
    settled = incoming.match.settled
    stated = incoming.reading.parsed.headers.get("content-language", ("",))[0][:2].lower()
    wanted = [incoming.reading.language]
    if wanted[0] is None:
        wanted = [settled.language if trust is Trust.VERIFIED and settled else None, stated or None]
    for language in wanted:
        if language is not None:
            return rules.language(language)
    return rules.language(None)
