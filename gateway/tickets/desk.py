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
    staffmail,
    threads,
)
from gateway.tickets.greeting import greeted
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


def considered(
    connection: Connection,
    incoming: Incoming,
    office: Office,
    now: datetime,
    *,
    binding: bool = False,
    joins: bool = True,
) -> Decision:
    """Matches the thread, reads the budgets and decides; writes nothing. ``commit`` and ``explain`` both begin so; what
    a ``binding`` one is decided on holds until the transaction ends, whatever a person or the clock does meanwhile, and
    it waits for those of other nodes where they could spend a budget twice. ``joins``: the same request again goes to
    the first."""
    author = incoming.reading.author.address
    accounts = tuple(account.account for account in incoming.match.accounts)
    thread = threads.find(connection, pointers(incoming), author, accounts, office.keys, now, lock=binding)
    return decided(connection, incoming, thread, office, now, binding=binding, joins=joins)


def decided(
    connection: Connection,
    incoming: Incoming,
    thread: Thread | None,
    office: Office,
    now: datetime,
    *,
    binding: bool = True,
    joins: bool = False,
) -> Decision:
    """The decision by what the budgets say now."""
    trust, _ = policy.trust_of(incoming, office.rules)
    goes_on = thread.ticket_id if thread is not None and thread.party else None
    spent = budgets.read(connection, incoming, trust, goes_on, office.replies, now)
    if joins and thread is None and spent.same is not None:
        thread = threads.same_request(connection, spent.same, incoming, lock=binding)
    decision = policy.decide(incoming, thread, spent, now, office.rules)
    if binding and decision.reply is not None and spent.near and budgets.alone(connection):
        spent = budgets.read(connection, incoming, trust, goes_on, office.replies, now)
        decision = policy.decide(incoming, thread, spent, now, office.rules)
    return budgets.with_copies_in_reach(connection, _unasked(decision, incoming), office.replies, now)


def _unasked(decision: Decision, incoming: Incoming) -> Decision:
    """Who only wants to know whether there is news is asked for nothing."""
    if decision.missing and not decision.critical and nudges.only(incoming.reading.text):
        return replace(decision, missing=())
    return decision


def commit(
    connection: Connection, claimed: inbox.Claimed, incoming: Incoming, bounced_row: int | None, office: Office,
    now: datetime, direct: bool = False,
) -> Outcome:  # fmt: skip
    """Matches, decides and writes one mail. ``direct``: the reply is claimed as it is written, to be sent at once.

    Raises:
        LostClaim: the row is not ours any more; nothing was written.
    """
    incoming, first = replays.claimed(connection, incoming, claimed.id)
    if first is not None and claimed.arrival is None and not incoming.released:
        return _handed_over(connection, claimed, incoming, first, office, now)
    if office.answers(incoming.reading.author.address):
        staffs = _staffs(connection, claimed, incoming, office, now)
        if staffs is not None:
            return staffs
    decision = considered(connection, incoming, office, now, binding=True, joins=claimed.arrival is None)
    reasons = list(decision.reasons)
    ticket: Ticket | None = None
    entry: int | None = None
    if decision.disposition is Disposition.OPENED:
        ticket = _open(connection, claimed, incoming, decision, office, now)
        entry = _entry(connection, ticket.id, claimed.id, incoming, _status_of(decision))
    elif decision.disposition in (Disposition.APPENDED, Disposition.PENDING) and decision.thread is not None:
        ticket = _append(connection, incoming, decision, office)
        entry = _entry(connection, ticket.id, claimed.id, incoming, _status_of(decision))
    elif decision.mail_class is MailClass.BOUNCE and not decision.notify:
        reason, ours = _bounce(connection, incoming, bounced_row, office, now)
        reasons.append(reason)
        if not ours:  # somebody may have written it after all: staff can see that
            decision = replace(decision, notify="digest")
    if entry is not None and ticket is not None:
        _details(connection, ticket.id, entry, incoming, decision)
    replied, sending = None, None
    if ticket:
        replied, sending = _acknowledge(connection, claimed, ticket, incoming, decision, office, now, direct)
    _tell(connection, claimed, ticket, incoming, decision, office, now, entry)
    reference = ticket.reference if ticket else None
    _trace(connection, claimed.id, ticket, reasons, now)
    _finish(connection, claimed, incoming, decision, ticket, entry, office, now)
    return Outcome(decision, reference, replied, sending)


def _handed_over(
    connection: Connection, claimed: inbox.Claimed, incoming: Incoming, first: int, office: Office, now: datetime
) -> Outcome:
    """Another arrival of a message that is known, under another Message-ID: it is looked at as one."""
    why = copies.handed_over(connection, claimed, first)
    decision = policy.decide(incoming, None, Budgets(), now, office.rules)
    decision = replace(decision, disposition=Disposition.RECORDED, reply=None, notify="", silence=why, account=None)
    _trace(connection, claimed.id, None, [*incoming.verdict.reasons, f"{why}: it bears the same signature"], now)
    inbox.finish(
        connection,
        claimed,
        state=InboxState.DONE,
        disposition=Disposition.RECORDED,
        reason=why,
        due_at=None,
        recheck=0,
        done_at=now,
        **_told_by(incoming, decision),
        ticket_id=copies.place_of(connection, first),
        entry_id=None,
    )
    return Outcome(decision, None, None, handed_over=True)


def _staffs(
    connection: Connection, claimed: inbox.Claimed, incoming: Incoming, office: Office, now: datetime
) -> Outcome | None:
    """A staff mail is carried out, or goes back; ``None``: it is none."""
    done = staffmail.carried_out(connection, claimed, incoming, office, now)
    if done is None:
        return None
    _trace(connection, claimed.id, done.ticket, list(done.reasons), now)
    due = _recheck_at(claimed.recheck, now, office) if done.again else None
    inbox.finish(
        connection,
        claimed,
        **staffmail.state_of(done),
        due_at=due,
        recheck=claimed.recheck + 1 if due else 0,
        done_at=now,
        message_id=(incoming.reading.parsed.message_id or "")[:998] or None,
        author=incoming.reading.author.address,
        authenticated=incoming.verdict.authenticated,
    )
    return Outcome(done.decision, done.ticket.reference, done.replied)


def _new_reference(connection: Connection, values: Mapping[str, Any]) -> Ticket:
    for _ in range(20):
        reference = tokens.new()
        key = put_once(connection, tickets, {"reference": reference, **values})
        if key is not None:
            return typed.written(Ticket, {"id": key, "reference": reference, **values})
    raise IntegrityError("no free reference", None, ValueError("twenty references in a row were taken"))


def _open(
    connection: Connection, claimed: inbox.Claimed, incoming: Incoming, decision: Decision, office: Office,
    now: datetime
) -> Ticket:  # fmt: skip
    reading = incoming.reading
    started = now if incoming.released else incoming.envelope.received_at
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
    values |= _said(incoming, decision, office)
    values |= clock.columns(clock.new_round(started, office.rules), 1) if decision.clock else clock.STOPPED
    return _new_reference(connection, values)


def _said(incoming: Incoming, decision: Decision, office: Office) -> dict[str, Any]:
    """What the words make of a ticket."""
    return {
        "question": decision.question,
        "department": decision.department,
        "critical": decision.critical,
        "sensitive": list(decision.sensitive),
        "marks": list(decision.marks),
        "missing": list(decision.missing),
        "language": incoming.reading.language,
        "reply_language": policy.language_for(incoming, decision.trust, office.rules),
        "subject": incoming.reading.parsed.subject,
    }


def _append(connection: Connection, incoming: Incoming, decision: Decision, office: Office) -> Ticket:
    assert decision.thread is not None
    row = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == decision.thread.ticket_id))
    if decision.silent:
        if decision.disposition is Disposition.APPENDED and set(decision.marks) - set(row.marks):
            change(connection, tickets, row.id, {"marks": list(dict.fromkeys([*row.marks, *decision.marks]))})
        return row
    values: dict[str, Any] = {}
    if decision.disposition is Disposition.APPENDED:
        told = policy.told_in(incoming, decision.trust)
        missing = [one for one in row.missing if one not in told]
        values |= {"version": row.version + 1, "snoozed_until": None, "missing": missing}
        before = [mark for mark in row.marks if not (decision.critical and mark == RECOVERED)]  # it fell again
        values["marks"] = list(dict.fromkeys([*before, *(m for m in decision.marks if m != "critical")]))
        if row.state != TicketState.OPEN:
            values |= {"state": TicketState.OPEN, "closed_at": None}
        if decision.critical and not row.critical:
            values["critical"] = True
            values["marks"] = list(dict.fromkeys([*values["marks"], "critical"]))
            if decision.trust is Trust.VERIFIED and row.account is not None:
                values["priority"] = Priority.HIGH
    if decision.clock:
        running = clock.new_round(incoming.envelope.received_at, office.rules)
        values |= clock.columns(running, row.round + 1, bool(row.owner))
    if values:
        change(connection, tickets, row.id, values)
    return typed.one(connection, Ticket, select(tickets).where(tickets.c.id == row.id))


def _status_of(decision: Decision) -> str:
    """How a contribution stands in its ticket: shown, pending or silent."""
    return "pending" if decision.disposition is Disposition.PENDING else "silent" if decision.silent else "shown"


def _words_of(incoming: Incoming) -> tuple[str, str]:
    """(the new words, the full text where that is more), as they are kept."""
    reading = incoming.reading
    more = reading.masked_full_text if reading.masked_full_text != reading.masked_text else ""
    return reading.masked_text[:MAX_ENTRY], more[:MAX_ENTRY]


def _entry(connection: Connection, ticket_id: int, message: int, incoming: Incoming, status: str) -> int:
    reading = incoming.reading
    text, full_text = _words_of(incoming)
    values = {
        "ticket_id": ticket_id,
        "message_id": message,
        "direction": "in",
        "author": reading.author.address or "",
        "text": text,
        "full_text": full_text,
        "at": incoming.envelope.received_at,
        "status": status,
    }
    return int(put(connection, entries, values))


def _files(connection: Connection, entry: int, incoming: Incoming) -> None:
    files = [
        {"entry_id": entry, "filename": a.filename, "type": a.type[:200], "size": a.size, "sha256": a.sha256}
        for a in incoming.reading.parsed.attachments[:200]
    ]
    put_all(connection, attachments, files)


def _details(connection: Connection, ticket_id: int, entry: int, incoming: Incoming, decision: Decision) -> None:
    parsed = incoming.reading.parsed
    _files(connection, entry, incoming)
    if decision.disposition is not Disposition.PENDING:
        rows = [
            {"ticket_id": ticket_id, "entry_id": entry, "kind": kind, "value": fact.value, "quoted": fact.quoted,
             "ownership": fact.ownership, "words": fact.words[:200]}
            for kind in FACT_KINDS
            for fact in incoming.facts.of(kind)
        ]  # fmt: skip
        if incoming.facts.incident_started_at is not None:
            began = incoming.facts.incident_started_at.isoformat()
            rows.append({"ticket_id": ticket_id, "entry_id": entry, "kind": "incident", "value": began, "quoted": False,
                         "ownership": Ownership.UNKNOWN, "words": incoming.reading.started_words[:200]})  # fmt: skip
        put_all(connection, facts, rows)
    if parsed.message_id and len(parsed.message_id) <= 255 and decision.disposition is not Disposition.PENDING:
        put_once(connection, thread_ids, {"rfc_id": parsed.message_id, "ticket_id": ticket_id, "ours": False})


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
        "missing": list(decision.missing),
        "sensitive": list(decision.sensitive) if verified else [],
        "account_name": _greeted(incoming, decision) if verified and author_copy else "",
        "subject": parsed.subject if verified else "",
        "orders": own("orders") if verified else [],
        "ips": own("ips") if verified else [],
        "services": own("services") if verified else [],
        "started_at": began.isoformat() if verified and began is not None else None,
        "in_reply_to": parsed.message_id,
        "references": list(parsed.references[-10:]),
    }


def _acknowledge(
    connection: Connection, claimed: inbox.Claimed, ticket: Ticket, incoming: Incoming, decision: Decision,
    office: Office,
    now: datetime, direct: bool = False,
) -> tuple[str | None, ClaimedItem | None]:  # fmt: skip
    """(the template of the reply, the first of its rows when it was claimed for sending). Nobody is answered twice for
    one mail, however often it arrives."""
    if decision.reply is None or (claimed.arrival is not None and _acknowledged(connection, claimed.id)):
        return None, None
    sending: ClaimedItem | None = None
    for index, recipient in enumerate(decision.reply.to):
        context = reply_context(incoming, decision, ticket, index == 0)
        known = office.board.since(incoming.facts) if decision.trust is Trust.VERIFIED else None
        context |= {"incident_since": known.isoformat()} if known is not None else {}
        item = OutboxItem(
            f"m{claimed.id}", decision.reply.template, decision.reply.language, recipient, "auto", context, ticket.id
        )
        reply = Reply(
            item,
            reference=ticket.reference,
            urgent=ticket.priority == Priority.HIGH or ticket.critical,
            stamp=budgets.stamp(incoming, decision.trust),
            since=claimed.envelope.received_at,
        )
        if direct and index == 0 and len(decision.reply.to) == 1:
            sending = outgoing.write_claimed(connection, reply, office, now)
        else:
            outgoing.write(connection, reply, office, now)
    return decision.reply.template, sending


def _bounce(
    connection: Connection, incoming: Incoming, row: int | None, office: Office, now: datetime
) -> tuple[str, bool]:
    """(what a bounce is about, whether that is known to be ours), for the trace. It counts where it came to the signed
    return address of a reply; one that only names our Message-ID may be forged by anybody who got the reply, and is
    only noted."""
    report = incoming.reading.parsed.report
    why = f"{report.action} {report.status}".strip() if report else ""
    if report is not None and report.action in ("delayed", "delivered", "relayed", "expanded"):
        return f"a report that a reply was {report.action}: nothing to do", row is not None
    if row is not None:
        about = aftermath.record_bounce(connection, row, why, office, now)
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


def _tell(
    connection: Connection, claimed: inbox.Claimed, ticket: Ticket | None, incoming: Incoming, decision: Decision,
    office: Office,
    now: datetime, entry: int | None,
) -> None:  # fmt: skip
    if not decision.notify:
        return
    author = incoming.reading.author.address or "(nobody)"
    kind = str(decision.mail_class)
    told = f"m{claimed.id}" if claimed.arrival is None else f"m{claimed.id}.a{claimed.arrival}"
    if decision.notify == "now" and ticket is not None and entry is not None:
        more = briefing.of_mail(incoming, decision, claimed.id, entry, office.rules)
        if decision.thread is not None and tokens.find(incoming.reading.parsed.subject) == ticket.reference:
            more["subject"] = ticket.subject  # what it is about; a reply has the subject of our mail
        if decision.disposition is Disposition.OPENED and nudges.only(incoming.reading.text):
            more["open_too"] = briefing.open_too(connection, ticket)
        outgoing.tell(connection, ticket, "staff_new", told, more, office, now)
    elif decision.notify == "now":
        why = "it looks forged" if decision.trust is Trust.FAILED else _short_reason(incoming, decision)
        line = (
            f'an outage is reported by {author} ("{_named(incoming)}"), and set aside: {why}. To read it: gateway '
            "messages "
            f"show {claimed.id}. To let it in: gateway messages release {claimed.id}"
        )
        for address in office.staff.get("technical", ()):
            reply = Reply(outgoing.alert(told, address, "quarantine", line, now), stamp=budgets.Stamp("none"))
            outgoing.write_to_staff(connection, reply, line, office, now)
    else:
        what = ticket.reference if ticket is not None else f"message {claimed.id}"
        why = f" ({decision.class_reason})" if decision.class_reason else ""
        line = f'{what} from {author}, "{_named(incoming)}": {decision.disposition}, {decision.trust}{why}'
        outgoing.notice(
            connection, outgoing.RIDES_ALONG if incoming.echo or office.answers(author) else kind, line, now
        )


def _named(incoming: Incoming) -> str:
    """What a mail is about, in a line that staff read."""
    return " ".join(incoming.reading.parsed.subject.split())[:80] or "no subject"


def _trace(connection: Connection, message: int, ticket: Ticket | None, reasons: list[str], now: datetime) -> None:
    ticket_id = ticket.id if ticket else None
    put(connection, traces, {"message_id": message, "ticket_id": ticket_id, "at": now, "lines": reasons})


def _finish(
    connection: Connection, claimed: inbox.Claimed, incoming: Incoming, decision: Decision, ticket: Ticket | None,
    entry: int | None,
    office: Office, now: datetime,
) -> None:  # fmt: skip
    quarantined = decision.disposition is Disposition.QUARANTINED
    inbox.finish(
        connection,
        claimed,
        state=InboxState.QUARANTINED if quarantined else InboxState.DONE,
        disposition=decision.disposition,
        reason=_short_reason(incoming, decision),
        due_at=_recheck_at(claimed.recheck, now, office) if decision.recheck else None,
        recheck=1 if decision.recheck else 0,
        done_at=now,
        **_told_by(incoming, decision),
        ticket_id=ticket.id if ticket else None,
        entry_id=entry,
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


def _recheck_at(done: int, now: datetime, office: Office) -> datetime | None:
    """When the next recheck is due; offsets count from the first look."""
    if done >= len(office.rechecks):
        return None
    before = office.rechecks[done - 1] if done else 0.0
    return now + timedelta(seconds=office.rechecks[done] - before)


# --------------------------------------------------------------------------- rechecks


def is_final(recheck: int, office: Office) -> bool:
    """Whether this recheck is the one at which everybody gets an answer: the last but one (10 min)."""
    return recheck >= max(1, len(office.rechecks) - 1)


def commit_recheck(
    connection: Connection, claimed: inbox.Claimed, incoming: Incoming, office: Office, now: datetime
) -> Outcome:  # fmt: skip
    """Another look at a mail whose checks could not be made; may raise trust and write the reply, once."""
    row = typed.one(connection, Message, select(messages).where(messages.c.id == claimed.id).with_for_update())
    ticket = typed.first(connection, Ticket, select(tickets).where(tickets.c.id == row.ticket_id).with_for_update())
    final = is_final(claimed.recheck, office)
    incoming, first = replays.claimed(connection, replace(incoming, final=final), claimed.id)
    if first is not None and not row.released:
        copies.given_up(connection, row, first)
        return _handed_over(connection, claimed, incoming, first, office, now)
    if staffmail.is_staffs(row):
        staffs = _staffs(connection, claimed, incoming, office, now)
        if staffs is not None:
            return staffs
    decision = decided(connection, incoming, None, office, now)
    unsure = incoming.verdict.temperror or not incoming.match.usable
    replied = None
    if ticket is not None:
        if decision.trust is Trust.FAILED:
            marks = list(dict.fromkeys([*ticket.marks, "forged"]))
            _update(
                connection, ticket.id, trust=Trust.FAILED, marks=marks, silence="forged", account=None, **clock.STOPPED
            )
        elif not unsure:
            _raise_trust(connection, ticket, incoming, decision)
        ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == ticket.id))
        answered = ticket.first_response_at is not None or ticket.state == TicketState.CLOSED
        if (
            decision.trust is not Trust.FAILED
            and not decision.recheck
            and not answered
            and not _acknowledged(connection, claimed.id)
        ):
            replied, _ = _acknowledge(connection, claimed, ticket, incoming, decision, office, now)
            _update(connection, ticket.id, silence=decision.silence)
    _trace(connection, claimed.id, ticket, [f"recheck {claimed.recheck}", *decision.reasons], now)
    more = unsure and claimed.recheck < len(office.rechecks)
    inbox.finish(
        connection,
        claimed,
        due_at=_recheck_at(claimed.recheck, now, office) if more else None,
        recheck=claimed.recheck + 1 if more else 0,
        trust=decision.trust if not unsure else row.trust,
        authenticated=incoming.verdict.authenticated,
    )
    return Outcome(decision, ticket.reference if ticket else None, replied)


def _update(connection: Connection, ticket_id: int, **values: Any) -> None:
    change(connection, tickets, ticket_id, values)


def _acknowledged(connection: Connection, message: int) -> bool:
    found = select(outbox.c.id).where(outbox.c.event == f"m{message}", outbox.c.kind == "auto")
    return connection.execute(found).first() is not None


def _raise_trust(connection: Connection, ticket: Ticket, incoming: Incoming, decision: Decision) -> None:
    order = (Trust.FAILED, Trust.UNKNOWN, Trust.UNVERIFIED, Trust.VERIFIED)
    if order.index(decision.trust) <= order.index(Trust(ticket.trust)):
        return
    _update(
        connection,
        ticket.id,
        trust=decision.trust,
        account=decision.account.account if decision.account else None,
        accounts=[account.account for account in incoming.match.accounts],
        priority=decision.priority,
        missing=list(decision.missing),
    )
