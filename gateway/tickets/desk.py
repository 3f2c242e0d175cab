"""The commit: ticket, entry, attachments, facts, replies, trace and the inbox row's new state in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from gateway.database import inbox, typed
from gateway.database.outbox import named_by
from gateway.database.statements import change, put, put_all, put_once
from gateway.database.tables import (
    Message,
    Ticket,
    attachments,
    entries,
    facts,
    messages,
    outbox,
    thread_ids,
    tickets,
    traces,
)
from gateway.mail import tokens
from gateway.model import (
    ABUSE,
    FACT_KINDS,
    RECOVERED,
    Budgets,
    ClaimedItem,
    Decision,
    Disposition,
    InboxState,
    Incoming,
    MailClass,
    OutboxItem,
    Ownership,
    Priority,
    Thread,
    TicketState,
    Trust,
)
from gateway.tickets import (
    aftermath,
    briefing,
    budgets,
    clock,
    copies,
    newtopic,
    nudges,
    outgoing,
    policy,
    replays,
    staff_requests,
    staffmail,
    thanks,
    threads,
)
from gateway.tickets.greeting import greeted
from gateway.tickets.occasion import Occasion
from gateway.tickets.outgoing import Office, Reply

MAX_ENTRY, MAX_SUBJECT = 200_000, 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was committed, for the log."""

    decision: Decision
    reference: str | None
    replied: str | None
    sending: ClaimedItem | None = None  #: the reply, when it was claimed as it was written
    handed_over: bool = False  #: to the message that it is another arrival of, where it waits to be looked at
    told: bool = True  #: staff may have mail that nobody has claimed


def pointers(incoming: Incoming) -> threads.Pointers:
    """What the mail says about its thread."""
    parsed = incoming.reading.parsed
    return threads.Pointers(
        addresses=(*incoming.envelope.rcpt_tos, *parsed.recipients),
        message_id=parsed.message_id,
        in_reply_to=parsed.in_reply_to,
        references=parsed.references,
        subject=parsed.subject,
        returned_row=incoming.returned_row,
        forward=newtopic.is_forward(parsed.subject, incoming.reading.full_text),
        loose=incoming.verdict.authenticated and not (incoming.verdict.sent or incoming.verdict.threads),
    )


def considered(at: Occasion, *, binding: bool = False, joins: bool = True) -> Decision:
    """Matches the thread, reads the budgets and decides; writes nothing. ``commit`` and ``explain`` both begin so; what
    a ``binding`` one is decided on holds until the transaction ends, whatever a person or the clock does meanwhile, and
    it waits for those of other nodes where they could spend a budget twice. ``joins``: the same request again goes to
    the first."""
    author = at.incoming.reading.author.address
    accounts = tuple(account.account for account in at.incoming.match.accounts)
    looked_for = pointers(at.incoming)
    thread = threads.find(at.connection, looked_for, author, accounts, at.office.keys, at.now, lock=binding)
    return decided(at, thread, binding=binding, joins=joins)


def decided(at: Occasion, thread: Thread | None, *, binding: bool = True, joins: bool = False) -> Decision:
    """The decision by what the budgets say now."""
    connection, incoming, rules = at.connection, at.incoming, at.office.rules
    trust, _ = policy.trust_of(incoming, rules)
    goes_on = thread.ticket_id if thread is not None and thread.party else None
    spent = budgets.read(connection, incoming, trust, goes_on, at.office.rules.replies, at.now)
    if joins and thread is None and spent.same is not None:
        thread = threads.same_request(connection, spent.same, incoming, lock=binding)
    decision = policy.decide(incoming, thread, spent, at.now, rules)
    if binding and decision.reply is not None and spent.near and budgets.alone(connection):
        spent = budgets.read(connection, incoming, trust, goes_on, at.office.rules.replies, at.now)
        decision = policy.decide(incoming, thread, spent, at.now, rules)
    return budgets.with_copies_in_reach(connection, _unasked(decision, incoming), at.office.rules.replies, at.now)


def _unasked(decision: Decision, incoming: Incoming) -> Decision:
    """Who only wants to know whether there is news is asked for nothing."""
    if decision.missing and not decision.critical and nudges.only(incoming.reading.text):
        return replace(decision, missing=())
    return decision


def commit(at: Occasion) -> Outcome:
    """Matches, decides and writes one mail.

    Raises:
        LostClaim: the row is not ours any more; nothing was written.
    """
    incoming, first = replays.claimed(at.connection, at.incoming, at.claimed.id)
    at = at.of(incoming)
    if first is not None and at.claimed.arrival is None and not incoming.released:
        return _handed_over(at, first)
    done = staffs(at) if at.office.answers(incoming.reading.author.address) else None
    if done is not None:
        return done
    decision = considered(at, binding=True, joins=at.claimed.arrival is None)
    reasons = list(decision.reasons)
    place = _written(at, decision)
    if place is None and decision.mail_class is MailClass.BOUNCE and not decision.notify:
        reason, ours = _bounce(at)
        reasons.append(reason)
        if not ours:  # somebody may have written it after all: staff can see that
            decision = replace(decision, notify="digest")
    replied, sending = acknowledge(at, place.ticket, decision) if place else (None, None)
    told = _tell(at, decision, place)
    trace(at, place.ticket if place else None, reasons)
    finish(at, decision, place)
    return Outcome(decision, place.ticket.reference if place else None, replied, sending, told=told)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the words of a mail stand: the ticket, and the entry in it."""

    ticket: Ticket
    entry: int


def _written(at: Occasion, decision: Decision) -> Place | None:
    """The words of the mail in a ticket of their own or in the one that they belong to; ``None``: in neither."""
    if decision.disposition is Disposition.OPENED:
        ticket = _open(at, decision)
    elif decision.disposition in (Disposition.APPENDED, Disposition.PENDING) and decision.thread is not None:
        ticket = append(at, decision)
    else:
        return None
    place = Place(ticket, new_entry(at, ticket.id, status_of(decision)))
    details(at, place, decision)
    return place


def _handed_over(at: Occasion, first: int) -> Outcome:
    """Another arrival of a message that is known, under another Message-ID: it is looked at as one."""
    incoming = at.incoming
    why = copies.handed_over(at.connection, at.claimed, first)
    decision = policy.decide(incoming, None, Budgets(), at.now, at.office.rules)
    decision = replace(decision, disposition=Disposition.RECORDED, reply=None, notify="", silence=why, account=None)
    trace(at, None, [*incoming.verdict.reasons, f"{why}: it bears the same signature"])
    inbox.finish(
        at.connection,
        at.claimed,
        state=InboxState.DONE,
        disposition=Disposition.RECORDED,
        reason=why,
        due_at=None,
        recheck=0,
        done_at=at.now,
        **_told_by(incoming, decision),
        ticket_id=copies.place_of(at.connection, first),
        entry_id=None,
    )
    return Outcome(decision, None, None, handed_over=True)


def staffs(at: Occasion) -> Outcome | None:
    """A staff mail is carried out, or goes back; ``None``: it is none."""
    claimed, incoming = at.claimed, at.incoming
    done = staff_requests.carried_out(at.connection, claimed, incoming, at.office, at.now)
    done = done or staffmail.carried_out(at.connection, claimed, incoming, at.office, at.now)
    if done is None:
        return None
    trace(at, done.ticket, list(done.reasons))
    due = _recheck_at(at) if done.again else None
    inbox.finish(
        at.connection,
        claimed,
        **staffmail.state_of(done),
        due_at=due,
        recheck=claimed.recheck + 1 if due else 0,
        done_at=at.now,
        message_id=(incoming.reading.parsed.message_id or "")[:998] or None,
        author=incoming.reading.author.address,
        authenticated=incoming.verdict.authenticated,
    )
    return Outcome(done.decision, done.ticket.reference if done.ticket else None, done.replied)


def _new_reference(connection: Connection, values: Mapping[str, Any]) -> Ticket:
    for _ in range(20):
        reference = tokens.new()
        key = put_once(connection, tickets, {"reference": reference, **values})
        if key is not None:
            return typed.written(Ticket, {"id": key, "reference": reference, **values})
    raise IntegrityError("no free reference", None, ValueError("twenty references in a row were taken"))


def _open(at: Occasion, decision: Decision) -> Ticket:
    incoming, reading = at.incoming, at.incoming.reading
    started = at.now if incoming.released else incoming.envelope.received_at
    values: dict[str, Any] = {
        "state": TicketState.OPEN,
        "account": decision.account.account if decision.account else None,
        "accounts": [account.account for account in incoming.match.accounts],
        "author": reading.author.address,
        "author_name": reading.author.display_name[:200],
        "trust": decision.trust,
        "priority": decision.priority,
        "opened_at": incoming.envelope.received_at,
        "silence": decision.silence,
        "linked_to": decision.thread.ticket_id if decision.thread else None,
        "round": 0,
        "clock_done": [],
        "breached": False,
        "version": 0 if decision.silent else 1,
    }
    values |= said(at, decision)
    values |= clock.columns(clock.new_round(started, at.office.rules), 1) if decision.clock else clock.STOPPED
    return _new_reference(at.connection, values)


def said(at: Occasion, decision: Decision) -> dict[str, Any]:
    """What the words make of a ticket."""
    return {
        "question": decision.question,
        "department": decision.department,
        "critical": decision.critical,
        "sensitive": list(decision.sensitive),
        "marks": list(decision.marks),
        "missing": list(decision.missing),
        "language": at.incoming.reading.language,
        "reply_language": policy.language_for(at.incoming, decision.trust, at.office.rules),
        "subject": at.incoming.reading.parsed.subject,
    }


def append(at: Occasion, decision: Decision) -> Ticket:
    """A follow-up moves the ticket that it belongs to; the ticket as it stands then."""
    assert decision.thread is not None
    chosen = select(tickets).where(tickets.c.id == decision.thread.ticket_id)
    row = typed.one(at.connection, Ticket, chosen)
    appended = decision.disposition is Disposition.APPENDED
    values: dict[str, Any] = {}
    if decision.silent:
        if appended and set(decision.marks) - set(row.marks):
            values["marks"] = list(dict.fromkeys([*row.marks, *decision.marks]))
            change(at.connection, tickets, row.id, values)
        return row
    if appended:
        values |= _appended(at.incoming, decision, row)
    if decision.clock:
        running = clock.new_round(at.incoming.envelope.received_at, at.office.rules)
        values |= clock.columns(running, row.round + 1, bool(row.owner))
    if values:
        change(at.connection, tickets, row.id, values)
    return typed.one(at.connection, Ticket, chosen)


def _appended(incoming: Incoming, decision: Decision, row: Ticket) -> dict[str, Any]:
    """What a follow-up that is shown makes of its ticket."""
    told = policy.told_in(incoming, decision.trust)
    missing = [one for one in row.missing if one not in told]
    before = [mark for mark in row.marks if not (decision.critical and mark == RECOVERED)]  # it fell again
    marks = [*before, *(mark for mark in decision.marks if mark != "critical")]
    values: dict[str, Any] = {"version": row.version + 1, "snoozed_until": None, "missing": missing}
    if row.state != TicketState.OPEN:
        values |= {"state": TicketState.OPEN, "closed_at": None}
    if decision.critical and not row.critical:
        values["critical"], marks = True, [*marks, "critical"]
        if decision.trust is Trust.VERIFIED and row.account is not None:
            values["priority"] = Priority.HIGH
    return values | {"marks": list(dict.fromkeys(marks))}


def status_of(decision: Decision) -> str:
    """How a contribution stands in its ticket: shown, pending or silent."""
    return "pending" if decision.disposition is Disposition.PENDING else "silent" if decision.silent else "shown"


def words_of(incoming: Incoming) -> tuple[str, str]:
    """(the new words, the full text where that is more), as they are kept."""
    reading = incoming.reading
    more = reading.masked_full_text if reading.masked_full_text != reading.masked_text else ""
    return reading.masked_text[:MAX_ENTRY], more[:MAX_ENTRY]


def new_entry(at: Occasion, ticket_id: int, status: str) -> int:
    """The words of the mail as an entry of a ticket: its id."""
    text, full_text = words_of(at.incoming)
    values = {
        "ticket_id": ticket_id,
        "message_id": at.claimed.id,
        "direction": "in",
        "author": at.incoming.reading.author.address or "",
        "text": text,
        "full_text": full_text,
        "at": at.incoming.envelope.received_at,
        "status": status,
    }
    return int(put(at.connection, entries, values))


def _files(connection: Connection, entry: int, incoming: Incoming) -> None:
    files = [
        {"entry_id": entry, "filename": a.filename, "type": a.type[:200], "size": a.size, "sha256": a.sha256}
        for a in incoming.reading.parsed.attachments[:200]
    ]
    put_all(connection, attachments, files)


def details(at: Occasion, place: Place, decision: Decision) -> None:
    """Attachments, facts and the Message-ID beside an entry; of one that is held back the attachments alone."""
    _files(at.connection, place.entry, at.incoming)
    if decision.disposition is Disposition.PENDING:
        return
    incoming, here = at.incoming, {"ticket_id": place.ticket.id, "entry_id": place.entry}
    rows = [
        here | {"kind": kind, "value": fact.value, "quoted": fact.quoted, "ownership": fact.ownership,
                "words": fact.words[:200]}
        for kind in FACT_KINDS
        for fact in incoming.facts.of(kind)
    ]  # fmt: skip
    if incoming.facts.incident_started_at is not None:
        began = incoming.facts.incident_started_at.isoformat()
        rows.append(here | {"kind": "incident", "value": began, "quoted": False, "ownership": Ownership.UNKNOWN,
                            "words": incoming.reading.started_words[:200]})  # fmt: skip
    put_all(at.connection, facts, rows)
    rfc_id = incoming.reading.parsed.message_id
    if rfc_id and len(rfc_id) <= 255:
        put_once(at.connection, thread_ids, {"rfc_id": rfc_id, "ticket_id": place.ticket.id, "ours": False})


def _greeted(incoming: Incoming, decision: Decision) -> str:
    """By what name the author of a mail is greeted."""
    return greeted(decision.account.name, incoming.reading.author.display_name) if decision.account else ""


def reply_context(incoming: Incoming, decision: Decision, ticket: Ticket, author_copy: bool) -> dict[str, Any]:
    """What a template may say. Only verified authors see their subject, their name and their own facts."""
    parsed = incoming.reading.parsed
    verified = decision.trust is Trust.VERIFIED
    began = incoming.facts.incident_started_at

    def own(kind: str) -> list[str]:
        return [f.value for f in incoming.facts.of(kind) if f.ownership is Ownership.OWN and not f.quoted]

    return {
        "reference": ticket.reference,
        "verified": verified,
        "department": str(decision.department),
        "priority": str(decision.priority),
        "critical": decision.critical,
        "abuse": ABUSE in decision.marks,
        "missing": [] if decision.missing and _is_over(incoming, decision) else list(decision.missing),
        "sensitive": list(decision.sensitive) if verified else [],
        "account_name": _greeted(incoming, decision) if verified and author_copy else "",
        "subject": parsed.subject if verified else "",
        "orders": own("orders") if verified else [],
        "ips": own("ips") if verified else [],
        "services": own("services") if verified else [],
        "invoices": own("invoices") if verified else [],
        "started_at": began.isoformat() if verified and began is not None else None,
        "in_reply_to": parsed.message_id,
        "references": list(parsed.references[-10:]),
    }


def _is_over(incoming: Incoming, decision: Decision) -> bool:
    """Whether nothing is left to ask for: it works again, or he wrote to thank us."""
    if decision.critical or RECOVERED in decision.marks:
        return not decision.critical
    subject, text = incoming.reading.parsed.subject, incoming.reading.masked_text
    return thanks.only(text) or (thanks.only(subject) and thanks.said(text))


def acknowledge(at: Occasion, ticket: Ticket, decision: Decision) -> tuple[str | None, ClaimedItem | None]:
    """(the template of the reply, the first of its rows when it was claimed for sending). Nobody is answered twice for
    one mail, however often it arrives."""
    if decision.reply is None or (at.claimed.arrival is not None and _acknowledged(at.connection, at.claimed.id)):
        return None, None
    incoming, plan = at.incoming, decision.reply
    sending: ClaimedItem | None = None
    for index, recipient in enumerate(plan.to):
        context = reply_context(incoming, decision, ticket, index == 0)
        known = at.office.board.since(incoming.facts) if decision.trust is Trust.VERIFIED else None
        context |= {"incident_since": known.isoformat()} if known is not None else {}
        reply = Reply(
            OutboxItem(f"m{at.claimed.id}", plan.template, plan.language, recipient, "auto", context, ticket.id),
            reference=ticket.reference,
            urgent=ticket.priority == Priority.HIGH or ticket.critical,
            stamp=budgets.stamp(incoming, decision.trust),
            since=at.claimed.envelope.received_at,
        )
        if at.direct and len(plan.to) == 1:
            sending = outgoing.write_claimed(at.connection, reply, at.office, at.now)
        else:
            outgoing.write(at.connection, reply, at.office, at.now)
    return plan.template, sending


def _bounce(at: Occasion) -> tuple[str, bool]:
    """(what a bounce is about, whether that is known to be ours), for the trace. It counts where it came to the signed
    return address of a reply; one that only names our Message-ID may be forged by anybody who got the reply, and is
    only noted."""
    connection, row, now = at.connection, at.bounced_row, at.now
    report = at.incoming.reading.parsed.report
    why = f"{report.action} {report.status}".strip() if report else ""
    if report is not None and report.action in ("delayed", "delivered", "relayed", "expanded"):
        return f"a report that a reply was {report.action}: nothing to do", row is not None
    if row is not None:
        about = aftermath.record_bounce(connection, row, why, at.office, now)
        what = f"bounce of a reply of ticket {about}" if about else "bounce of a mail of ours without a ticket"
        return what, True
    original = report.original_message_id if report else None
    found = named_by(connection, original) if original else None
    if found is None:
        return "bounce of nothing of ours that is known", False
    kind, reference = found
    line = f"a bounce names a mail of ours ({reference or kind}) without its signed return address: only noted"
    outgoing.notice(connection, outgoing.RIDES_ALONG if kind == "staff" else "bounce", f"{line} ({why})", now)
    return line, True


def _tell(at: Occasion, decision: Decision, place: Place | None) -> bool:
    """Staff hear of it at once, with the digest, or not; whether there may be a mail to them now."""
    if decision.notify == "now" and place is not None:
        if not outgoing.hearers(place.ticket, briefing.also(decision), at.office):
            return False  # nobody does: no words are made
        at.tell(place.ticket, at.event, _told(at, decision, place))
    elif decision.notify == "now":
        _tell_of_what_is_held(at, decision)
    elif decision.notify:
        _tell_in_the_digest(at, decision, place)
    return decision.notify == "now"


def _told(at: Occasion, decision: Decision, place: Place) -> dict[str, Any]:
    """What a notification says of a mail in its ticket."""
    incoming, ticket = at.incoming, place.ticket
    more = briefing.of_mail(incoming, decision, at.claimed.id, place.entry, at.office.rules)
    if decision.thread is not None and tokens.find(incoming.reading.parsed.subject) == ticket.reference:
        more["subject"] = ticket.subject  # what it is about; a reply has the subject of our mail
    if decision.disposition is Disposition.APPENDED:
        answer = briefing.last_answer(at.connection, ticket)
        more |= answer | {"thanks": briefing.thanked(incoming.reading, str(answer.get("answered_by", "")))}
    if decision.disposition is Disposition.OPENED and nudges.among(incoming.reading.text):
        more["open_too"] = briefing.open_too(at.connection, ticket)
    return more


def _tell_of_what_is_held(at: Occasion, decision: Decision) -> None:
    """An outage that is set aside: staff are told where to read it."""
    why = "it looks forged" if decision.trust is Trust.FAILED else _short_reason(at.incoming, decision)
    author, number = at.incoming.reading.author.address or "(nobody)", at.claimed.id
    line = (
        f'an outage is reported by {author} ("{_named(at.incoming)}"), and set aside: {why}. To read it: gateway '
        f"messages show {number}. To let it in: gateway messages release {number}"
    )
    for address in at.office.staff.technical:
        reply = Reply(outgoing.alert(at.event, address, "quarantine", line, at.now), stamp=budgets.Stamp("none"))
        outgoing.write_to_staff(at.connection, reply, line, at.office, at.now)


def _tell_in_the_digest(at: Occasion, decision: Decision, place: Place | None) -> None:
    what = place.ticket.reference if place is not None else f"message {at.claimed.id}"
    why = f" ({decision.class_reason})" if decision.class_reason else ""
    author = at.incoming.reading.author.address or "(nobody)"
    line = f'{what} from {author}, "{_named(at.incoming)}": {decision.disposition}, {decision.trust}{why}'
    along = at.incoming.echo or at.office.answers(author)
    outgoing.notice(at.connection, outgoing.RIDES_ALONG if along else str(decision.mail_class), line, at.now)


def _named(incoming: Incoming) -> str:
    """What a mail is about, in a line that staff read."""
    return " ".join(incoming.reading.parsed.subject.split())[:80] or "no subject"


def trace(at: Occasion, ticket: Ticket | None, reasons: list[str]) -> None:
    """Why it was decided so, a line each, beside the mail and its ticket."""
    ticket_id = ticket.id if ticket else None
    put(at.connection, traces, {"message_id": at.claimed.id, "ticket_id": ticket_id, "at": at.now, "lines": reasons})


def finish(at: Occasion, decision: Decision, place: Place | None) -> None:
    """What the row of the mail says of its end.

    Raises:
        LostClaim: the row is not ours any more.
    """
    quarantined = decision.disposition is Disposition.QUARANTINED
    inbox.finish(
        at.connection,
        at.claimed,
        state=InboxState.QUARANTINED if quarantined else InboxState.DONE,
        disposition=decision.disposition,
        reason=_short_reason(at.incoming, decision),
        due_at=_recheck_at(at) if decision.recheck else None,
        recheck=1 if decision.recheck else 0,
        done_at=at.now,
        **_told_by(at.incoming, decision),
        ticket_id=place.ticket.id if place else None,
        entry_id=place.entry if place else None,
    )


def _told_by(incoming: Incoming, decision: Decision) -> dict[str, Any]:
    """What the row of a mail says of it once it was read and decided."""
    parsed = incoming.reading.parsed
    return {
        "message_id": (parsed.message_id or "")[:998] or None,
        "author": incoming.reading.author.address,
        "subject": parsed.subject[:MAX_SUBJECT],
        "mail_class": decision.mail_class,
        "trust": decision.trust,
        "authenticated": incoming.verdict.authenticated,
    }


def _short_reason(incoming: Incoming, decision: Decision) -> str:
    if incoming.blocked and decision.disposition is Disposition.QUARANTINED:
        return f"blocked: {incoming.blocked}"
    if decision.disposition is Disposition.QUARANTINED:
        return next((line for line in decision.reasons if line.startswith("trust=")), "")
    if decision.disposition in (Disposition.RECORDED, Disposition.IGNORED):
        return decision.class_reason if incoming.is_own else f"{decision.mail_class}: {decision.class_reason}"
    return decision.silence


def _recheck_at(at: Occasion) -> datetime | None:
    """When the next recheck is due; offsets count from the first look."""
    done, offsets = at.claimed.recheck, at.office.rechecks
    if done >= len(offsets):
        return None
    before = offsets[done - 1] if done else 0.0
    return at.now + timedelta(seconds=offsets[done] - before)


# --------------------------------------------------------------------------- rechecks


def is_final(recheck: int, office: Office) -> bool:
    """Whether this recheck is the one at which everybody gets an answer: the last but one (10 min)."""
    return recheck >= max(1, len(office.rechecks) - 1)


def commit_recheck(at: Occasion) -> Outcome:
    """Another look at a mail whose checks could not be made; may raise trust and write the reply, once."""
    connection, claimed = at.connection, at.claimed
    row = typed.one(connection, Message, select(messages).where(messages.c.id == claimed.id).with_for_update())
    chosen = select(tickets).where(tickets.c.id == row.ticket_id).with_for_update()
    ticket = typed.first(connection, Ticket, chosen)
    final = is_final(claimed.recheck, at.office)
    incoming, first = replays.claimed(connection, replace(at.incoming, final=final), claimed.id)
    at = at.of(incoming)
    if first is not None and not row.released:
        copies.given_up(connection, row, first)
        return _handed_over(at, first)
    done = staffs(at) if staffmail.is_staffs(row) else None
    if done is not None:
        return done
    decision = decided(at, None)
    ticket, replied = _looked_at_again(at, ticket, decision) if ticket is not None else (None, None)
    trace(at, ticket, [f"recheck {claimed.recheck}", *decision.reasons])
    more = at.unsure and claimed.recheck < len(at.office.rechecks)
    inbox.finish(
        connection,
        claimed,
        due_at=_recheck_at(at) if more else None,
        recheck=claimed.recheck + 1 if more else 0,
        trust=row.trust if at.unsure else decision.trust,
        authenticated=incoming.verdict.authenticated,
    )
    return Outcome(decision, ticket.reference if ticket else None, replied)


def _looked_at_again(at: Occasion, ticket: Ticket, decision: Decision) -> tuple[Ticket, str | None]:
    """(the ticket as it stands now, the template of the reply that could be written now)."""
    if decision.trust is Trust.FAILED:
        marks = list(dict.fromkeys([*ticket.marks, "forged"]))
        values = {"trust": Trust.FAILED, "marks": marks, "silence": "forged", "account": None, **clock.STOPPED}
        change(at.connection, tickets, ticket.id, values)
    elif not at.unsure:
        raise_trust(at, ticket, decision)
    ticket = typed.one(at.connection, Ticket, select(tickets).where(tickets.c.id == ticket.id))
    answered = ticket.first_response_at is not None or ticket.state == TicketState.CLOSED
    decidable = decision.trust is not Trust.FAILED and not decision.recheck
    if not decidable or answered or _acknowledged(at.connection, at.claimed.id):
        return ticket, None
    replied, _ = acknowledge(at, ticket, decision)
    change(at.connection, tickets, ticket.id, {"silence": decision.silence})
    return ticket, replied


def _acknowledged(connection: Connection, message: int) -> bool:
    found = select(outbox.c.id).where(outbox.c.event == f"m{message}", outbox.c.kind == "auto")
    return connection.execute(found).first() is not None


def raise_trust(at: Occasion, ticket: Ticket, decision: Decision) -> None:
    """A ticket is trusted as far as the best look at its mail; never less than before."""
    order = (Trust.FAILED, Trust.UNKNOWN, Trust.UNVERIFIED, Trust.VERIFIED)
    if order.index(decision.trust) <= order.index(Trust(ticket.trust)):
        return
    values = {
        "trust": decision.trust,
        "account": decision.account.account if decision.account else None,
        "accounts": [account.account for account in at.incoming.match.accounts],
        "priority": decision.priority,
        "missing": list(decision.missing),
    }
    change(at.connection, tickets, ticket.id, values)
