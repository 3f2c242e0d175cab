"""A further arrival of a mail that is known. The best one counts, whatever became of the first: whoever sends a copy
ahead silences nobody (docs/policy.md).

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
from gateway.tickets import briefing, clock, copies, desk, openings, policy, replays, staffmail
from gateway.tickets.occasion import Occasion

#: what was never read, what is forged, what nothing speaks against, what is proven
_UNREAD, _FORGED, _PLAIN, _PROVEN = range(-1, 3)
COUNTS = "; it counts"  #: how the note of an arrival ends that decided its mail anew
BESIDE = "; it reads otherwise, its words stand beside the first"
AGAIN = "came again after it was closed"  #: the mark of a ticket that such an arrival opened, once
MAX_BESIDE = 3  #: copies of a mail that read otherwise and are shown


@dataclass(frozen=True, slots=True)
class _Standing:
    """How good an arrival of a mail is, beside another one of the same mail."""

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


def commit(at: Occasion) -> desk.Outcome | None:
    """Decides a mail, whatever the occasion: its first look, a recheck, a further arrival. ``None``: nothing changed.

    Raises:
        LostClaim: it is not ours any more; nothing was written.
    """
    if at.claimed.arrival is not None:
        return commit_arrival(at)
    return desk.commit_recheck(at) if at.claimed.recheck > 0 else desk.commit(at)


def commit_arrival(at: Occasion) -> desk.Outcome | None:
    """Decides a mail anew when this arrival is better; otherwise the arrival is only noted.

    Raises:
        LostClaim: the arrival is not ours any more; nothing was written.
    """
    row = _locked(at)
    if row.state in (InboxState.PENDING, InboxState.PROCESSING):  # it was released or replayed: that comes first
        inbox.put_off(at.connection, at.claimed, None)
        return None
    incoming, first = replays.claimed(at.connection, at.incoming, at.claimed.id)
    at = at.of(incoming)
    if first is None:
        first = copies.whole_of(row.reason)
    if first is not None and (not row.released or copies.whole_of(row.reason) is not None):
        _joined(at, row, first)
        return None  # a mail that a person released stays one of its own, with its arrivals
    if staffmail.is_staffs(row):
        return _of_staff(at, row)
    late = _late_staff(at, row)
    return late if late is not None else _compared(at, row)


def _locked(at: Occasion) -> Message:
    """The mail that it is an arrival of. Two arrivals, or an arrival and a recheck, go one after the other: the second
    sees what the first wrote."""
    mine = select(arrivals.c.attempts, arrivals.c.state).where(arrivals.c.id == at.claimed.arrival).with_for_update()
    held = at.connection.execute(mine).one()
    if held.state != InboxState.PROCESSING or held.attempts != at.claimed.attempts:
        raise LostClaim
    whole = select(messages).where(messages.c.id == at.claimed.id).with_for_update()
    return typed.one(at.connection, Message, whole)


def _compared(at: Occasion, row: Message) -> desk.Outcome | None:
    """The arrival beside what is known of the mail: it counts, waits for a check, stands beside it, or is noted."""
    this, before = _standing(at), _known(at.connection, row)
    outcome: desk.Outcome | None = None
    if this.beats(before):
        person = before.person and not this.person
        outcome = _decided_anew(at.of(replace(at.incoming, person=person)), row, this.proof < before.proof)
    elif _belongs_elsewhere(at, row, this, before):
        outcome = _decided_anew(at, row, weaker=False)
    elif at.unsure and not this.blocked and replace(this, proof=_PROVEN).beats(before) and _again(at):
        inbox.put_off(at.connection, at.claimed, at.now + _again(at))
        return None
    equal = outcome is None and this.stands_with(before)
    beside = equal and _beside(at, row)
    again = equal and _came_again(at, row, beside)
    if outcome is None and not this.blocked and this.proof == before.proof == _PROVEN:
        _known_by(at, row, this.sent and not before.sent)
    said = COUNTS if outcome else f"; it {AGAIN}" if again else BESIDE if beside else ""
    _noted(at, f"{_seen(at)}{said}", keep=beside)
    return outcome


def _standing(at: Occasion) -> _Standing:
    incoming = at.incoming
    trust, _ = policy.trust_of(incoming, at.office.rules)
    kind, _ = policy.class_of(incoming)
    return _Standing(
        kind is MailClass.HUMAN,
        _proof(trust, incoming.verdict.authenticated),
        bool(incoming.blocked) or incoming.is_own,
        bool(policy.of_this_copy(incoming)),
        incoming.verdict.sent,
    )


def _seen(at: Occasion) -> str:
    """What the note of an arrival says of it."""
    trust, why = policy.trust_of(at.incoming, at.office.rules)
    kind, _ = policy.class_of(at.incoming)
    own = f", {policy.OWN_SERVER}" if at.incoming.verdict.sent else ""
    return f"class={kind}, trust={trust} ({why}){own}"


def _noted(at: Occasion, note: str, keep: bool = False) -> None:
    """The arrival is looked at. ``keep``: its bytes are shown somewhere."""
    assert at.claimed.arrival is not None
    inbox.finish_arrival(at.connection, at.claimed.arrival, note, at.incoming.verdict.authenticated, keep=keep)


def _adopted(at: Occasion) -> None:
    """The bytes of this arrival are those of its mail from now on."""
    assert at.claimed.arrival is not None
    inbox.adopt_raw(at.connection, at.claimed.id, at.claimed.arrival, at.incoming.envelope)


def _beside(at: Occasion, row: Message) -> bool:
    """Shows the words of an equal copy that reads otherwise: which of the two the author wrote nobody can know. The
    identity covers neither Content-Type nor transfer encoding, nor how the octets of a subject are to be read."""
    at = at.of(_titled(at.connection, row, at.incoming))
    connection = at.connection
    every = typed.every(connection, Entry, select(entries).where(entries.c.message_id == at.claimed.id))
    words = _bare(*desk.words_of(at.incoming))
    here = [
        entry for entry in every if entry.ticket_id == row.ticket_id
    ]  # what stands where it was before counts no more
    same = [entry for entry in here if _bare(entry.text, entry.full_text) == words]
    pending = row.disposition == Disposition.PENDING
    if not every or (pending and same):
        return False
    ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == row.ticket_id).with_for_update())
    graver = at.incoming.reading.topics.critical and not ticket.critical and not pending
    seen = any(entry.status == "shown" for entry in same)
    if (seen and not graver) or (len(every) > MAX_BESIDE and not (at.incoming.verdict.sent or graver)):
        return False
    if not seen:
        _placed(at, ticket, (same, "pending" if pending else "shown"))
    _reads_otherwise(at, ticket, graver)
    return True


def _reads_otherwise(at: Occasion, ticket: Ticket, graver: bool) -> None:
    """Marks a ticket with two copies of a mail, and tells staff; the ``graver`` one counts."""
    marks = [*ticket.marks, "two copies of a mail read differently"]
    values: dict[str, Any] = {"version": ticket.version + 1}
    if graver:
        values["critical"], marks = True, [*marks, "critical"]
        if ticket.trust == Trust.VERIFIED and ticket.account is not None:
            values["priority"] = Priority.HIGH
    change(at.connection, tickets, ticket.id, values | {"marks": list(dict.fromkeys(marks))})
    more = {"subject": at.incoming.reading.parsed.subject, "event": "appended"}
    at.tell(ticket, at.event, more)


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


def _came_again(at: Occasion, row: Message, beside: bool) -> bool:
    """Opens the ticket again, once, that a person closed without an answer when he had seen other copies only: this
    arrival came afterwards and another way, or reads otherwise. It is answered as the first would have been."""
    connection, incoming, envelope = at.connection, at.incoming, at.incoming.envelope
    otherwise = beside or incoming.verdict.sent or envelope.client != row.client
    chosen = select(tickets).where(tickets.c.id == row.ticket_id).with_for_update()
    ticket = typed.first(connection, Ticket, chosen) if otherwise and row.disposition == Disposition.OPENED else None
    if ticket is None or not _closed_before(ticket, envelope.received_at) or AGAIN in ticket.marks:
        return False
    openings.again(connection, ticket, at.office.rules, envelope.received_at)
    decision = desk.considered(at, binding=True, joins=False)
    values = {"marks": [*ticket.marks, AGAIN], "version": ticket.version + 1, "silence": decision.silence}
    change(connection, tickets, ticket.id, values)
    ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == ticket.id))
    desk.acknowledge(at, ticket, decision)
    more = briefing.of_mail(incoming, decision, at.claimed.id, row.entry_id or 0, at.office.rules)
    at.tell(ticket, f"{at.event}.again", more)
    return True


def _closed_before(ticket: Ticket, moment: datetime) -> bool:
    """Whether a person had closed it by then, and had answered nothing."""
    if ticket.state != TicketState.CLOSED or ticket.closed_at is None or ticket.merged_into is not None:
        return False
    return ticket.first_response_at is None and ticket.closed_at < moment


def _placed(at: Occasion, ticket: Ticket, where: tuple[list[Entry], str]) -> None:
    """The words of a copy in its ticket: the contribution that has them already, or a new one, with this status."""
    same, status = where
    if same:  # another copy came between
        entry = same[0].id
        change(at.connection, entries, entry, {"status": status})
    else:
        entry = desk.new_entry(at, ticket.id, status)
    decision = desk.considered(at, binding=True, joins=False)
    if status == "pending":
        decision = replace(decision, disposition=Disposition.PENDING)
    desk.details(at, desk.Place(ticket, entry), decision)


def _bare(*texts: str) -> list[list[str]]:
    """Texts without their blanks and line ends, which no signature covers all of: a copy with other ones says the
    same."""
    return [text.split() for text in texts]


def _late_staff(at: Occasion, row: Message) -> desk.Outcome | None:
    """A staff mail that is proven, and whose first copy was none by its envelope or by a field that nobody signs."""
    connection = at.connection
    if not (at.incoming.verdict.authenticated or at.incoming.from_staff_relay):
        return None
    if staffmail.judged(connection, at.incoming, at.office, at.now) is None:
        return None
    _adopted(at)
    outcome = desk.staffs(at)
    if outcome is not None and row.entry_id is not None:
        entry = typed.one(connection, Entry, select(entries).where(entries.c.id == row.entry_id))
        ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == row.ticket_id).with_for_update())
        copies.left(connection, row, ticket, entry, f"a copy of a staff mail, which is in {outcome.reference}")
    _noted(at, f"staff mail{COUNTS}")
    return outcome


def _joined(at: Occasion, row: Message, first: int) -> None:
    """This arrival is one of another message, by its signature: so is the mail that it has the identity of, unless a
    person released that."""
    if copies.whole_of(row.reason) is None and not row.released:
        copies.given_up(at.connection, row, first)
        change(at.connection, messages, row.id, {"reason": f"{copies.WHOLE}{first}", "due_at": None, "recheck": 0})
    copies.moved(at.connection, at.claimed, first)


def _known_by(at: Occasion, row: Message, best: bool) -> None:
    """The Message-ID of a proven arrival is one of its mail: an answer to it finds the ticket. ``best``: it is the
    author's, and our answers name it."""
    rfc_id = at.incoming.reading.parsed.message_id
    if not rfc_id or len(rfc_id) > 255 or row.ticket_id is None or row.disposition == Disposition.PENDING:
        return
    put_once(at.connection, thread_ids, {"rfc_id": rfc_id, "ticket_id": row.ticket_id, "ours": False})
    if best:
        change(at.connection, messages, row.id, {"message_id": rfc_id})


def _belongs_elsewhere(at: Occasion, row: Message, this: _Standing, before: _Standing) -> bool:
    """Whether an equal arrival goes on with no ticket where the first is silent or in one; or goes on with another one
    by what outranks the first: the word of the author's own server, or a pointer that no stranger knows."""
    threaded = row.disposition in _IN_THREAD
    better = this.sent and not before.sent
    if not this.stands_with(before) or not (threaded or better or before.hushed):
        return False
    found = desk.considered(at, binding=True)
    if found.disposition is Disposition.OPENED:
        return this.raises(before, row.disposition or "")
    if found.thread is None or found.disposition not in _IN_THREAD or this.hushed:
        return False
    outranks = better or (threaded and found.thread.firm and not _is_firm(at.connection, row.id))
    return outranks and found.thread.ticket_id != _part_of(at.connection, row.ticket_id)


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


def _of_staff(at: Occasion, row: Message) -> desk.Outcome | None:
    """A further arrival of a staff mail: carried out where the first one was not, for want of proof."""
    outcome = None
    proven = at.incoming.verdict.authenticated or at.incoming.from_staff_relay
    if row.entry_id is None and row.disposition == Disposition.RECORDED and proven and not row.authenticated:
        _adopted(at)
        outcome = desk.staffs(at)
    _noted(at, f"staff mail, proven={proven}")
    return outcome


def _again(at: Occasion) -> timedelta:
    """How long an arrival waits whose checks could not be made; zero when it has waited enough."""
    tried, offsets = at.claimed.attempts, at.office.rechecks
    if tried >= min(inbox.MAX_CLAIMS, len(offsets)):
        return timedelta(0)
    return timedelta(seconds=offsets[tried - 1])


def _decided_anew(at: Occasion, row: Message, weaker: bool) -> desk.Outcome | None:
    """The mail by this arrival. ``weaker``: a person's copy of what a proven machine sent; the proven words stay, and
    are a person's."""
    connection = at.connection
    if row.entry_id is None:
        _adopted(at)
        return desk.commit(at)
    entry = typed.one(connection, Entry, select(entries).where(entries.c.id == row.entry_id))
    ticket = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == row.ticket_id).with_for_update())
    if weaker:
        return _shown(at, row, ticket, entry)
    decision = desk.considered(at, binding=True, joins=False)
    follows = decision.thread.ticket_id if decision.thread and decision.disposition in _IN_THREAD else None
    if decision.disposition not in (*_IN_THREAD, Disposition.OPENED):
        return None
    _adopted(at)
    if follows == row.ticket_id or (decision.disposition == row.disposition == Disposition.OPENED):
        return _renewed(at, ticket, entry, decision)
    outcome = desk.commit(at)
    copies.left(connection, row, ticket, entry, f"a better copy of its mail is in {outcome.reference}")
    return outcome


_IN_THREAD = (Disposition.APPENDED, Disposition.PENDING)


def _shown(at: Occasion, row: Message, ticket: Ticket, entry: Entry) -> desk.Outcome:
    """What is there already is a person's mail now."""
    decision = desk.considered(at, binding=True, joins=False)
    if row.disposition is not None:  # it stays where it is, whatever it refers to
        decision = replace(decision, disposition=Disposition(row.disposition))
    change(at.connection, entries, entry.id, {"status": "shown"})
    _revive(at, ticket, decision, follows=row.disposition == Disposition.APPENDED)
    outcome = _ended(at, decision, desk.Place(ticket, entry.id), appears=True)
    change(at.connection, messages, at.claimed.id, {"authenticated": row.authenticated, "trust": ticket.trust})
    return outcome


def _renewed(at: Occasion, ticket: Ticket, entry: Entry, decision: Decision) -> desk.Outcome:
    """The ticket is the same: its trust rises, and what is shown are the words of this arrival."""
    connection, status = at.connection, desk.status_of(decision)
    appears = status == "shown" and entry.status != "shown"
    if decision.disposition is Disposition.OPENED:
        _opened_anew(at, ticket, entry, decision)
    elif entry.status != "shown":
        desk.append(at, decision)
    key = _entry(at, ticket, entry, status)
    if key != entry.id:  # other words are shown now: whoever has read the first has not read these
        connection.execute(update(tickets).where(tickets.c.id == ticket.id).values(version=tickets.c.version + 1))
    for table in (facts, attachments):
        connection.execute(delete(table).where(table.c.entry_id == entry.id))
    place = desk.Place(ticket, key)
    desk.details(at, place, decision)
    return _ended(at, decision, place, appears)


def _opened_anew(at: Occasion, ticket: Ticket, entry: Entry, decision: Decision) -> None:
    """The ticket that a mail opened, as this arrival would have opened it."""
    desk.raise_trust(at, ticket, decision)
    if desk.status_of(decision) == "shown":
        _revive(at, ticket, decision)
    same = desk.words_of(at.incoming) == (entry.text, entry.full_text)
    if not same or at.incoming.reading.parsed.subject != ticket.subject:
        change(at.connection, tickets, ticket.id, desk.said(at, decision) | _urgency(ticket, decision))


def _urgency(ticket: Ticket, decision: Decision) -> dict[str, Any]:
    """An outage that this arrival tells goes first; one that another arrival told, which proves as much, stays one."""
    known = ticket.account is not None or decision.account is not None
    if decision.critical:
        return {"priority": Priority.HIGH} if decision.trust is Trust.VERIFIED and known else {}
    if ticket.critical and ticket.trust == decision.trust:
        return {"critical": True, "marks": list(dict.fromkeys([*decision.marks, "critical"]))}
    return {}


def _entry(at: Occasion, ticket: Ticket, entry: Entry, status: str) -> int:
    """The contribution with these words: the one that is there, or a new one beside it, which is greyed then."""
    status = "shown" if entry.status == "shown" else status
    if desk.words_of(at.incoming) == (entry.text, entry.full_text):
        change(at.connection, entries, entry.id, {"status": status})
        return int(entry.id)
    change(at.connection, entries, entry.id, {"status": "silent"})
    return desk.new_entry(at, ticket.id, status)


def _revive(at: Occasion, ticket: Ticket, decision: Decision, follows: bool = False) -> None:
    """A ticket that was silent, muted or closed without an answer is one that waits for us. ``follows``: so is an
    answered one, in which the words of a follow-up appear now."""
    connection, rules, came = at.connection, at.office.rules, at.incoming.envelope.received_at
    if ticket.merged_into is not None:  # its conversation goes on elsewhere
        goes_on = openings.standing_for(connection, ticket.id)
        assert goes_on is not None
        openings.again(connection, goes_on, rules, came)
        return
    values: dict[str, Any] = {"marks": [mark for mark in ticket.marks if mark != "forged"], "silence": decision.silence}
    values["version"] = ticket.version + 1
    if ticket.first_response_at is None or follows:
        values |= {"state": TicketState.OPEN, "closed_at": None}
        if decision.clock and ticket.round_started_at is None:
            values |= clock.columns(clock.new_round(came, rules), ticket.round + 1, bool(ticket.owner))
    change(connection, tickets, ticket.id, values)


def _ended(at: Occasion, decision: Decision, place: desk.Place, appears: bool) -> desk.Outcome:
    """Answers and tells what is new, and writes down why."""
    ticket = typed.one(at.connection, Ticket, select(tickets).where(tickets.c.id == place.ticket.id))
    replied = None
    if ticket.first_response_at is None and ticket.state != TicketState.CLOSED:
        replied, _ = desk.acknowledge(at, ticket, decision)
    if appears:
        more = briefing.of_mail(at.incoming, decision, at.claimed.id, place.entry, at.office.rules)
        at.tell(ticket, at.event, more)
    desk.trace(at, ticket, ["a better copy arrived", *decision.reasons])
    desk.finish(at, decision, desk.Place(ticket, place.entry))
    return desk.Outcome(decision, ticket.reference, replied)
