"""A further arrival of a mail that is known. The best one counts, whatever became of the first: whoever sends a copy
ahead silences nobody (DESIGN, "How a message flows", 2).

Better is who is better verified, or a person where the first was a machine, or who may be answered where a field of the
first wished for no answer. A better arrival is decided anew with its own bytes; what was acknowledged is not
acknowledged again.

A signature covers neither the envelope nor most fields, so anybody who got the mail may hand it in with others. What
the author's own server handed in is as he wrote it: no arrival by another way changes it, and it goes where it belongs
whatever came before. Where none came from there, each arrival may move the mail only towards its acknowledgement or to
a thread that a stranger cannot name: from silence to an answer, from a ticket of its own to none, never back; so that
copies move a mail twice at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from gateway.database import inbox, typed
from gateway.database.statements import change, put_once
from gateway.database.store import LostClaim
from gateway.database.tables import (
    Entry,
    Message,
    Ticket,
    arrivals,
    attachments,
    entries,
    facts,
    messages,
    thread_ids,
    tickets,
    traces,
)
from gateway.model import Decision, Disposition, InboxState, Incoming, MailClass, Priority, TicketState, Trust
from gateway.tickets import briefing, clock, copies, desk, openings, outgoing, policy, replays, staffmail
from gateway.tickets.outgoing import Office

#: what was never read, what is forged, what nothing speaks against, what is proven
_UNREAD, _FORGED, _PLAIN, _PROVEN = range(-1, 3)
COUNTS = "; it counts"  #: how the note of an arrival ends that decided its mail anew
BESIDE = "; it reads otherwise, its words stand beside the first"
AGAIN = "came again after it was closed"  #: the mark of a ticket that such an arrival opened, once
MAX_BESIDE = 3  #: copies of a mail that read otherwise and are shown


@dataclass(frozen=True, slots=True)
class _Standing:
    """How good an arrival is."""

    person: bool
    proof: int
    blocked: bool
    hushed: bool = False  #: it is not answered for what another copy need not have
    sent: bool = False  #: the author's own server handed it in: its fields are the author's

    def beats(self, other: _Standing) -> bool:
        """Whether there is a reason to decide anew."""
        if self.blocked or self.proof < _PLAIN:
            return False
        if other.proof == _UNREAD:  # what is kept of a mail that failed gives way to a person's or a proven one only
            return self.person or self.proof == _PROVEN
        return (
            other.blocked or self.proof > other.proof or (self.person and not other.person and not self.yields(other))
        )

    def raises(self, other: _Standing, disposition: str) -> bool:
        """Whether an equal copy may open a ticket where the first is silent, or stands in another ticket, by what no
        signature need cover. It never goes the other way, so that copies move a mail once at most."""
        silent = other.hushed or disposition in _IN_THREAD
        return self.stands_with(other) and silent and not self.hushed

    def stands_with(self, other: _Standing) -> bool:
        """Whether neither is better: both are a person's, and proven alike."""
        alike = self.person and other.person and self.proof == other.proof >= _PLAIN
        return alike and not self.blocked and not self.yields(other)

    def yields(self, other: _Standing) -> bool:
        """Whether the fields of the other are the author's, and of this one nobody knows whose."""
        return other.sent and not self.sent


def _proof(trust: str | None, authenticated: bool) -> int:
    return _FORGED if trust == Trust.FAILED else _PROVEN if authenticated else _PLAIN


def _known(connection: Connection, row: Message) -> _Standing:
    """How good what is known of the mail is."""
    if row.state == InboxState.FAILED or row.mail_class is None:
        return _Standing(False, _UNREAD, False)
    # who discarded it saw that copy, and not what comes another way
    held = row.reason == "discarded" or (row.state == InboxState.QUARANTINED and row.reason.startswith("blocked:"))
    silence = select(tickets.c.silence).where(tickets.c.id == row.ticket_id)
    opened = row.disposition == Disposition.OPENED
    hushed = opened and policy.is_of_its_copy(str(connection.execute(silence).scalar() or ""))
    sent = _was_sent(connection, row.id)
    return _Standing(row.mail_class == MailClass.HUMAN, _proof(row.trust, row.authenticated), held, hushed, sent)


def _was_sent(connection: Connection, message: int) -> bool:
    """Whether the author's own server handed in an arrival of the mail that was looked at."""
    looks = connection.execute(select(traces.c.lines).where(traces.c.message_id == message)).scalars()
    if any(policy.OWN_SERVER in lines for lines in looks):
        return True
    noted = select(arrivals.c.id).where(
        arrivals.c.message_id == message, arrivals.c.note.like(f"%{policy.OWN_SERVER}%")
    )
    return connection.execute(noted.limit(1)).first() is not None


def commit_arrival(
    connection: Connection, claimed: inbox.Claimed, incoming: Incoming, bounced_row: int | None, office: Office,
    now: datetime
) -> desk.Outcome | None:  # fmt: skip
    """Decides a mail anew when this arrival is better; otherwise the arrival is only noted.

    Raises:
        LostClaim: the arrival is not ours any more; nothing was written.
    """
    assert claimed.arrival is not None
    mine = select(arrivals.c.attempts, arrivals.c.state).where(arrivals.c.id == claimed.arrival).with_for_update()
    held = connection.execute(mine).one()
    if held.state != InboxState.PROCESSING or held.attempts != claimed.attempts:
        raise LostClaim
    # two arrivals, or an arrival and a recheck, go one after the other: the second sees what the first wrote
    row = typed.one(connection, Message, select(messages).where(messages.c.id == claimed.id).with_for_update())
    if row.state in (InboxState.PENDING, InboxState.PROCESSING):  # it was released or replayed: that comes first
        inbox.put_off(connection, claimed, None)
        return None
    incoming, first = replays.claimed(connection, incoming, claimed.id)
    if first is None:
        first = copies.whole_of(row.reason)
    if first is not None and (not row.released or copies.whole_of(row.reason) is not None):
        _joined(connection, claimed, row, first)
        return None  # a mail that a person released stays one of its own, with its arrivals
    if staffmail.is_staffs(row):
        return _of_staff(connection, claimed, row, incoming, office, now)
    if (late := _late_staff(connection, claimed, row, incoming, office, now)) is not None:
        return late
    trust, why = policy.trust_of(incoming, office.rules)
    kind, _ = policy.class_of(incoming)
    before = _known(connection, row)
    this = _Standing(
        kind is MailClass.HUMAN,
        _proof(trust, incoming.verdict.authenticated),
        bool(incoming.blocked) or incoming.is_own,
        bool(policy.of_this_copy(incoming)),
        incoming.verdict.sent,
    )
    unsure = incoming.verdict.temperror or not incoming.match.usable
    outcome: desk.Outcome | None = None
    if this.beats(before):
        incoming = replace(incoming, person=before.person and not this.person)
        outcome = _decided_anew(connection, claimed, row, incoming, bounced_row, office, now, this.proof < before.proof)
    elif _belongs_elsewhere(connection, row, incoming, (this, before), office, now):
        outcome = _decided_anew(connection, claimed, row, incoming, bounced_row, office, now, weaker=False)
    elif unsure and not this.blocked and replace(this, proof=_PROVEN).beats(before) and _again(claimed, office):
        inbox.put_off(connection, claimed, now + _again(claimed, office))
        return None
    beside = outcome is None and this.stands_with(before) and _beside(connection, claimed, row, incoming, office, now)
    again = (
        outcome is None
        and this.stands_with(before)
        and _came_again(connection, claimed, row, incoming, beside, office, now)
    )
    said = COUNTS if outcome else f"; it {AGAIN}" if again else BESIDE if beside else ""
    own = f", {policy.OWN_SERVER}" if incoming.verdict.sent else ""
    note = f"class={kind}, trust={trust} ({why}){own}{said}"
    if outcome is None and not this.blocked and this.proof == before.proof == _PROVEN:
        _known_by(connection, row, incoming, this.sent and not before.sent)
    inbox.finish_arrival(connection, claimed.arrival, note, incoming.verdict.authenticated, keep=beside)
    return outcome


def _beside(
    connection: Connection, claimed: inbox.Claimed, row: Message, incoming: Incoming, office: Office, now: datetime
) -> bool:  # fmt: skip
    """Shows the words of an equal copy that reads otherwise: which of the two the author wrote nobody can know. The
    identity covers neither Content-Type nor transfer encoding, nor how the octets of a subject are to be read."""
    every = typed.every(connection, Entry, select(entries).where(entries.c.message_id == claimed.id))
    incoming = _titled(connection, row, incoming)
    words = _bare(*desk._words_of(incoming))
    here = [
        entry for entry in every if entry.ticket_id == row.ticket_id
    ]  # what stands where it was before counts no more
    same = [entry for entry in here if _bare(entry.text, entry.full_text) == words]
    pending = row.disposition == Disposition.PENDING
    if not every or (pending and same):
        return False
    ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == row.ticket_id).with_for_update())
    graver = incoming.reading.topics.critical and not ticket.critical and not pending
    seen = any(entry.status == "shown" for entry in same)
    if (seen and not graver) or (len(every) > MAX_BESIDE and not (incoming.verdict.sent or graver)):
        return False
    if not seen:
        _placed(connection, ticket, claimed.id, incoming, (same, "pending" if pending else "shown"), office, now)
    marks = [*ticket.marks, "two copies of a mail read differently"]
    values: dict[str, Any] = {"version": ticket.version + 1}
    if graver:  # of the two it counts
        values["critical"], marks = True, [*marks, "critical"]
        if ticket.trust == Trust.VERIFIED and ticket.account is not None:
            values["priority"] = Priority.HIGH
    change(connection, tickets, ticket.id, values | {"marks": list(dict.fromkeys(marks))})
    more = {"subject": incoming.reading.parsed.subject, "event": "appended"}
    outgoing.tell(connection, ticket, "staff_new", f"m{claimed.id}.a{claimed.arrival}", more, office, now)
    return True


def _titled(connection: Connection, row: Message, incoming: Incoming) -> Incoming:
    """A copy whose subject reads otherwise than that of the ticket which the mail opened: it stands before its
    words."""
    subject = incoming.reading.parsed.subject
    opened = select(tickets.c.subject).where(tickets.c.id == row.ticket_id)
    known = connection.execute(opened).scalar() if row.disposition == Disposition.OPENED else None
    if known is None or subject.split() == known.split():
        return incoming
    title, reading = f"[the subject of this copy: {subject}]\n\n", incoming.reading
    text, full = title + reading.masked_text, title + reading.masked_full_text
    return replace(incoming, reading=replace(reading, masked_text=text, masked_full_text=full))


def _came_again(
    connection: Connection, claimed: inbox.Claimed, row: Message, incoming: Incoming, beside: bool, office: Office,
    now: datetime
) -> bool:  # fmt: skip
    """Opens the ticket again, once, that a person closed without an answer when he had seen other copies only: this
    arrival came afterwards and another way, or reads otherwise. It is answered as the first would have been."""
    envelope = incoming.envelope
    otherwise = beside or incoming.verdict.sent or envelope.client != row.client
    chosen = select(tickets).where(tickets.c.id == row.ticket_id).with_for_update()
    ticket = typed.first(connection, Ticket, chosen) if otherwise and row.disposition == Disposition.OPENED else None
    if ticket is None or not _closed_before(ticket, envelope.received_at) or AGAIN in ticket.marks:
        return False
    openings.again(connection, ticket, office.rules, envelope.received_at)
    decision = desk.considered(connection, incoming, office, now, binding=True, joins=False)
    values = {"marks": [*ticket.marks, AGAIN], "version": ticket.version + 1, "silence": decision.silence}
    change(connection, tickets, ticket.id, values)
    ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == ticket.id))
    desk._acknowledge(connection, claimed, ticket, incoming, decision, office, now)
    more = briefing.of_mail(incoming, decision, claimed.id, row.entry_id or 0, office.rules)
    outgoing.tell(connection, ticket, "staff_new", f"m{claimed.id}.a{claimed.arrival}.again", more, office, now)
    return True


def _closed_before(ticket: Ticket, moment: datetime) -> bool:
    """Whether a person had closed it by then, and had answered nothing."""
    if ticket.state != TicketState.CLOSED or ticket.closed_at is None or ticket.merged_into is not None:
        return False
    return ticket.first_response_at is None and ticket.closed_at < moment


def _placed(
    connection: Connection, ticket: Ticket, message: int, incoming: Incoming, where: tuple[list[Entry], str],
    office: Office,
    now: datetime,
) -> None:  # fmt: skip
    """The words of a copy in its ticket: the contribution that has them already, or a new one, with this status."""
    same, status = where
    if same:  # another copy came between
        entry = same[0].id
        change(connection, entries, entry, {"status": status})
    else:
        entry = desk._entry(connection, ticket.id, message, incoming, status)
    decision = desk.considered(connection, incoming, office, now, binding=True, joins=False)
    if status == "pending":
        decision = replace(decision, disposition=Disposition.PENDING)
    desk._details(connection, ticket.id, entry, incoming, decision)


def _bare(*texts: str) -> list[list[str]]:
    """Texts without their blanks and line ends, which no signature covers all of: a copy with other ones says the
    same."""
    return [text.split() for text in texts]


def _late_staff(
    connection: Connection, claimed: inbox.Claimed, row: Message, incoming: Incoming, office: Office, now: datetime
) -> desk.Outcome | None:
    """A staff mail that is proven, and whose first copy was none by its envelope or by a field that nobody signs."""
    if not (incoming.verdict.authenticated or incoming.from_staff_relay):
        return None
    if staffmail.judged(connection, incoming, office, now) is None:
        return None
    assert claimed.arrival is not None
    inbox.adopt_raw(connection, claimed.id, claimed.arrival, incoming.envelope)
    outcome = desk._staffs(connection, claimed, incoming, office, now)
    if outcome is not None and row.entry_id is not None:
        entry = typed.one(connection, Entry, select(entries).where(entries.c.id == row.entry_id))
        ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == row.ticket_id).with_for_update())
        copies.left(connection, row, ticket, entry, f"a copy of a staff mail, which is in {outcome.reference}")
    inbox.finish_arrival(connection, claimed.arrival, f"staff mail{COUNTS}", incoming.verdict.authenticated)
    return outcome


def _joined(connection: Connection, claimed: inbox.Claimed, row: Message, first: int) -> None:
    """This arrival is one of another message, by its signature: so is the mail that it has the identity of, unless a
    person released that."""
    if copies.whole_of(row.reason) is None and not row.released:
        copies.given_up(connection, row, first)
        change(connection, messages, row.id, {"reason": f"{copies.WHOLE}{first}", "due_at": None, "recheck": 0})
    copies.moved(connection, claimed, first)


def _known_by(connection: Connection, row: Message, incoming: Incoming, best: bool) -> None:
    """The Message-ID of a proven arrival is one of its mail: an answer to it finds the ticket. ``best``: it is the
    author's, and our answers name it."""
    rfc_id = incoming.reading.parsed.message_id
    if not rfc_id or len(rfc_id) > 255 or row.ticket_id is None or row.disposition == Disposition.PENDING:
        return
    put_once(connection, thread_ids, {"rfc_id": rfc_id, "ticket_id": row.ticket_id, "ours": False})
    if best:
        change(connection, messages, row.id, {"message_id": rfc_id})


def _belongs_elsewhere(
    connection: Connection, row: Message, incoming: Incoming, standings: tuple[_Standing, _Standing], office: Office,
    now: datetime,
) -> bool:  # fmt: skip
    """Whether an equal arrival goes on with no ticket where the first is silent or in one; or goes on with another one
    by what outranks the first: the word of the author's own server, or a pointer that no stranger knows."""
    this, before = standings
    threaded = row.disposition in _IN_THREAD
    better = this.sent and not before.sent
    if not this.stands_with(before) or not (threaded or better or before.hushed):
        return False
    found = desk.considered(connection, incoming, office, now, binding=True)
    if found.disposition is Disposition.OPENED:
        return this.raises(before, row.disposition or "")
    if found.thread is None or found.disposition not in _IN_THREAD or this.hushed:
        return False
    outranks = better or (threaded and found.thread.firm and not _is_firm(connection, row.id))
    return outranks and found.thread.ticket_id != _part_of(connection, row.ticket_id)


def _is_firm(connection: Connection, message: int) -> bool:
    """Whether a mail stands in its ticket by what no stranger knows."""
    looks = connection.execute(
        select(traces.c.lines).where(traces.c.message_id == message).order_by(traces.c.id)
    ).scalars()
    threads = [line for lines in looks for line in lines if line.startswith("thread ")]
    return bool(threads) and policy.is_firm(threads[-1])


def _part_of(connection: Connection, ticket: int | None) -> int | None:
    """The ticket, or the one it was merged into."""
    whole = connection.execute(select(tickets.c.merged_into).where(tickets.c.id == ticket)).scalar()
    return ticket if whole is None else int(whole)


def _of_staff(
    connection: Connection, claimed: inbox.Claimed, row: Message, incoming: Incoming, office: Office, now: datetime
) -> desk.Outcome | None:
    """A further arrival of a staff mail: carried out where the first one was not, for want of proof."""
    assert claimed.arrival is not None
    outcome = None
    proven = incoming.verdict.authenticated or incoming.from_staff_relay
    if row.entry_id is None and row.disposition == Disposition.RECORDED and proven and not row.authenticated:
        inbox.adopt_raw(connection, claimed.id, claimed.arrival, incoming.envelope)
        outcome = desk._staffs(connection, claimed, incoming, office, now)
    inbox.finish_arrival(connection, claimed.arrival, f"staff mail, proven={proven}", incoming.verdict.authenticated)
    return outcome


def _again(claimed: inbox.Claimed, office: Office) -> timedelta:
    """How long an arrival waits whose checks could not be made; zero when it has waited enough."""
    if claimed.attempts >= min(inbox.MAX_CLAIMS, len(office.rechecks)):
        return timedelta(0)
    return timedelta(seconds=office.rechecks[claimed.attempts - 1])


def _decided_anew(
    connection: Connection, claimed: inbox.Claimed, row: Message, incoming: Incoming, bounced_row: int | None,
    office: Office,
    now: datetime, weaker: bool,
) -> desk.Outcome | None:  # fmt: skip
    assert claimed.arrival is not None
    if row.entry_id is None:
        inbox.adopt_raw(connection, claimed.id, claimed.arrival, incoming.envelope)
        return desk.commit(connection, claimed, incoming, bounced_row, office, now)
    entry = typed.one(connection, Entry, select(entries).where(entries.c.id == row.entry_id))
    ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == row.ticket_id).with_for_update())
    if weaker:  # a person's copy of what a proven machine sent: the proven words stay, and are a person's
        return _shown(connection, claimed, row, ticket, entry, incoming, office, now)
    decision = desk.considered(connection, incoming, office, now, binding=True, joins=False)
    follows = decision.thread.ticket_id if decision.thread and decision.disposition in _IN_THREAD else None
    if decision.disposition not in (*_IN_THREAD, Disposition.OPENED):
        return None
    inbox.adopt_raw(connection, claimed.id, claimed.arrival, incoming.envelope)
    if follows == row.ticket_id or (decision.disposition == row.disposition == Disposition.OPENED):
        return _renewed(connection, claimed, ticket, entry, incoming, decision, office, now)
    outcome = desk.commit(connection, claimed, incoming, bounced_row, office, now)
    copies.left(connection, row, ticket, entry, f"a better copy of its mail is in {outcome.reference}")
    return outcome


_IN_THREAD = (Disposition.APPENDED, Disposition.PENDING)


def _shown(
    connection: Connection, claimed: inbox.Claimed, row: Message, ticket: Ticket, entry: Entry, incoming: Incoming,
    office: Office,
    now: datetime,
) -> desk.Outcome:  # fmt: skip
    decision = desk.considered(connection, incoming, office, now, binding=True, joins=False)
    if row.disposition is not None:  # it stays where it is, whatever it refers to
        decision = replace(decision, disposition=Disposition(row.disposition))
    change(connection, entries, entry.id, {"status": "shown"})
    _revive(connection, ticket, incoming, decision, office, follows=row.disposition == Disposition.APPENDED)
    return _ended(connection, claimed, ticket.id, entry.id, incoming, decision, office, now, row.authenticated, True)


def _renewed(
    connection: Connection, claimed: inbox.Claimed, ticket: Ticket, entry: Entry, incoming: Incoming,
    decision: Decision,
    office: Office, now: datetime,
) -> desk.Outcome:  # fmt: skip
    """The ticket is the same: its trust rises, and what is shown are the words of this arrival."""
    status = desk._status_of(decision)
    appears = status == "shown" and entry.status != "shown"
    if decision.disposition is not Disposition.OPENED:
        if entry.status != "shown":
            desk._append(connection, incoming, decision, office)
    else:
        desk._raise_trust(connection, ticket, incoming, decision)
        if status == "shown":
            _revive(connection, ticket, incoming, decision, office)
        if (
            desk._words_of(incoming) != (entry.text, entry.full_text)
            or incoming.reading.parsed.subject != ticket.subject
        ):
            change(connection, tickets, ticket.id, desk._said(incoming, decision, office) | _urgency(ticket, decision))
    key = _entry(connection, ticket.id, claimed.id, entry, incoming, status)
    if key != entry.id:  # other words are shown now: whoever has read the first has not read these
        connection.execute(update(tickets).where(tickets.c.id == ticket.id).values(version=tickets.c.version + 1))
    for table in (facts, attachments):
        connection.execute(delete(table).where(table.c.entry_id == entry.id))
    desk._details(connection, ticket.id, key, incoming, decision)
    return _ended(connection, claimed, ticket.id, key, incoming, decision, office, now, None, appears)


def _urgency(ticket: Ticket, decision: Decision) -> dict[str, Any]:
    """An outage that this arrival tells goes first; one that another arrival told, which proves as much, stays one."""
    known = ticket.account is not None or decision.account is not None
    if decision.critical:
        return {"priority": Priority.HIGH} if decision.trust is Trust.VERIFIED and known else {}
    if ticket.critical and ticket.trust == decision.trust:
        return {"critical": True, "marks": list(dict.fromkeys([*decision.marks, "critical"]))}
    return {}


def _entry(connection: Connection, ticket: int, message: int, entry: Entry, incoming: Incoming, status: str) -> int:
    """The contribution with these words: the one that is there, or a new one beside it, which is greyed then."""
    status = "shown" if entry.status == "shown" else status
    if desk._words_of(incoming) == (entry.text, entry.full_text):
        change(connection, entries, entry.id, {"status": status})
        return int(entry.id)
    change(connection, entries, entry.id, {"status": "silent"})
    return desk._entry(connection, ticket, message, incoming, status)


def _revive(
    connection: Connection,
    ticket: Ticket,
    incoming: Incoming,
    decision: Decision,
    office: Office,
    follows: bool = False,
) -> None:
    """A ticket that was silent, muted or closed without an answer is one that waits for us. ``follows``: so is an
    answered one, in which the words of a follow-up appear now."""
    if ticket.merged_into is not None:  # its conversation goes on elsewhere
        goes_on = openings.standing_for(connection, ticket.id)
        assert goes_on is not None
        openings.again(connection, goes_on, office.rules, incoming.envelope.received_at)
        return
    values: dict[str, Any] = {"marks": [mark for mark in ticket.marks if mark != "forged"], "silence": decision.silence}
    values["version"] = ticket.version + 1
    if ticket.first_response_at is None or follows:
        values |= {"state": TicketState.OPEN, "closed_at": None}
        if decision.clock and ticket.round_started_at is None:
            running = clock.new_round(incoming.envelope.received_at, office.rules)
            values |= clock.columns(running, ticket.round + 1, bool(ticket.owner))
    change(connection, tickets, ticket.id, values)


def _ended(
    connection: Connection, claimed: inbox.Claimed, ticket_id: int, entry: int, incoming: Incoming, decision: Decision,
    office: Office, now: datetime, authenticated: bool | None, appears: bool,
) -> desk.Outcome:  # fmt: skip
    """Answers and tells what is new, and writes down why."""
    ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == ticket_id))
    replied = None
    if ticket.first_response_at is None and ticket.state != TicketState.CLOSED:
        replied, _ = desk._acknowledge(connection, claimed, ticket, incoming, decision, office, now)
    if appears:
        more = briefing.of_mail(incoming, decision, claimed.id, entry, office.rules)
        outgoing.tell(connection, ticket, "staff_new", f"m{claimed.id}.a{claimed.arrival}", more, office, now)
    desk._trace(connection, claimed.id, ticket, ["a better copy arrived", *decision.reasons], now)
    desk._finish(connection, claimed, incoming, decision, ticket, entry, office, now)
    if authenticated is not None:
        change(connection, messages, claimed.id, {"authenticated": authenticated, "trust": ticket.trust})
    return desk.Outcome(decision, ticket.reference, replied)
