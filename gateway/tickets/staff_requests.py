"""Mail of staff that is about no ticket: a list of what is open, and what becomes of an incident.

The same checks as for other staff mail (``staffmail``): a person wrote it, from an address in ``[staff] may_answer``,
and that is proven. An incident needs the alert's own reply address besides, which is of use to the very address it was
made for. One whole word is a request; more than that is none, or goes back with a question. Nothing of it reaches a
customer, and each mail gets at most one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from gateway.database import inbox, typed
from gateway.database.among import among
from gateway.database.tables import Ticket, tickets
from gateway.mail import tokens
from gateway.mail.suffixes import registrable
from gateway.model import AuthorStatus, Department, Disposition, Incoming, MailClass, OutboxItem, Person
from gateway.tickets import audit, budgets, incidents, outgoing, policy, signatures, staff_words, staffmail, worklist
from gateway.tickets.audit import Act
from gateway.tickets.outgoing import Office, Reply
from gateway.tickets.staffmail import MARK, REFUSALS, UNPROVEN, Done, InHand

MOST = 20  #: tickets of a list
LONGEST = 2000  #: characters of a mail that may be one word with a signature
LISTS = (20, 3600.0)  #: lists to one address, and in how many seconds
_AT_ALL = 500  #: open tickets that are counted


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: ``list``, ``confirm`` or ``close`` (of an ``incident``); ``""``: words that are none of
    these."""

    word: str
    incident: int | None = None
    proven: bool = True
    later: bool = False  #: a check could not be made


def judged(incoming: Incoming, office: Office) -> Request | None:
    """What a mail from a staff address asks for; ``None``: it is no request."""
    author = incoming.reading.author
    if author.status is not AuthorStatus.OK or author.address is None or not office.answers(author.address):
        return None
    if incoming.is_own or incoming.released or incoming.silent or incoming.blocked or incoming.to_reply:
        return None
    number, word = _incident(incoming, author.address, office), _word(incoming, office)
    if number is None and word != "list":
        return None
    if policy.class_of(incoming)[0] is not MailClass.HUMAN:
        return None
    proven = incoming.verdict.authenticated or incoming.from_staff_relay
    later = not proven and incoming.verdict.temperror and not incoming.final
    if number is None:
        return Request(word, None, proven, later) if proven or later else None
    return Request(word, number, proven, later)


def _incident(incoming: Incoming, address: str, office: Office) -> int | None:
    """The incident whose alert this answers, by the address that was made for its author."""
    for token in tokens.tokens((*incoming.envelope.rcpt_tos, *incoming.reading.parsed.recipients)):
        if tokens.is_bound(token, address, office.keys, tokens.INCIDENT):
            return tokens.number_of(token.reference)
    return None


def _word(incoming: Incoming, office: Office) -> str:
    """The one word that is all of a mail but its signature, or ``""``."""
    text, author = incoming.reading.text, incoming.reading.author
    if not text or len(text) > LONGEST:
        return ""
    addresses = (author.address or "", office.address)
    domains = tuple({registrable(address.rpartition("@")[2].lower()) for address in addresses})
    said = signatures.parted(text, signatures.Colleague(author.display_name or "", domains)).words
    return staff_words.request(said)


def carried_out(
    connection: Connection, claimed: inbox.Claimed, incoming: Incoming, office: Office, now: datetime
) -> Done | None:
    """Does what is asked for, or says why not; ``None``: it is no request. Writes all but the message's own row."""
    request = judged(incoming, office)
    return None if request is None else _Work(connection, claimed, incoming, office, now).act(request)


def foreseen(incoming: Incoming, request: Request) -> str:
    """What ``explain`` tells of it."""
    about = f" of incident {request.incident}" if request.incident is not None else ""
    return f"{MARK}: {request.word or 'no word that is known'}{about}{'' if request.proven else ', not proven'}"


class _Work(InHand):
    """A request in hand."""

    __slots__ = ()

    def act(self, request: Request) -> Done:
        if request.later:
            return self._done(Disposition.RECORDED, "a check could not be made; it is repeated", again=True)
        if request.incident is None:
            return self._listed()
        if not request.proven:
            return self._refused(request.incident, "nothing proves that you sent it", UNPROVEN)
        if request.word not in ("confirm", "close"):
            why = 'it was not clear what becomes of the incident; reply with the one word "confirm" or "close"'
            return self._refused(request.incident, why, REFUSALS)
        try:
            self._incident(request.incident, request.word)
        except incidents.NoIncident:
            return self._refused(request.incident, "it is not open any more", REFUSALS)
        except incidents.Confirmed as known:
            return self._refused(request.incident, str(known), REFUSALS)
        return self._done(Disposition.APPENDED, f"incident {request.incident}: {request.word}")

    # -- incidents

    def _incident(self, number: int, word: str) -> None:
        """Raises NoIncident, or Confirmed: it was confirmed already."""
        if word == "confirm":
            incidents.confirm_once(self.connection, number, self.who, self.now)
            line = "is confirmed: customers concerned hear since when we know, from now on"
        else:
            incidents.close(self.connection, number, self.now)
            line = "is closed: replies say nothing of it any more"
        audit.write(self.connection, Act(word, "incident", str(number)), Person(self.who), self.now)
        incidents.tell(self.connection, number, word, f"incident {number} {line} ({self.who})", self.office, self.now)

    # -- the list

    def _listed(self) -> Done:
        if self.office.rules.owns(self.who) or not self._has_room(budgets.LISTED, LISTS):
            return self._done(Disposition.RECORDED, "list: too many within the hour")
        chosen, names = self._whose()
        t = tickets.c
        his = or_(among(t.department, chosen), among(t.owner, names))
        where = (t.merged_into.is_(None), his, *worklist.waiting_for_us(self.now))
        rows = typed.every(
            self.connection, Ticket, select(tickets).where(*where).order_by(*worklist.by_urgency()).limit(MOST)
        )
        counted = select(t.id).where(*where).limit(_AT_ALL).subquery()
        count = int(self.connection.execute(select(func.count()).select_from(counted)).scalar_one())
        listed = {"listed": count, "lines": [_line(row) for row in rows], "departments": chosen}
        sent = self._say("listed", listed, budgets.Stamp(proof=budgets.LISTED))
        return self._done(Disposition.RECORDED, f"list, {count} open", replied="staff_digest" if sent else None)

    def _whose(self) -> tuple[list[str], list[str]]:
        """The departments whose mail this address gets (escalation: all), and the names by which it owns tickets."""
        staff, who = self.office.staff, self.who.lower()
        leads = who in map(str.lower, staff.escalation)
        chosen = [str(one) for one in Department if leads or who in map(str.lower, staff.team(str(one)))]
        return chosen, [self.who, who, *(name for name, address in staff.people.items() if address.lower() == who)]

    # -- outcomes

    def _has_room(self, proof: str, budget: tuple[int, float]) -> bool:
        return budgets.has_room(self.connection, self.who, proof, budget, self.now)

    def _say(self, what: str, context: dict[str, Any], stamp: budgets.Stamp) -> bool:
        """One mail back; the event has no arrival in it: another copy of the same mail gets no second one."""
        template = "staff_refused" if what == "refused" else "staff_digest"
        thread: dict[str, Any] = {"in_reply_to": self.incoming.reading.parsed.message_id, "references": []}
        item = OutboxItem(f"m{self.claimed.id}.{what}", template, "en", self.who, "staff", context | thread)
        return outgoing.write(self.connection, Reply(item, stamp=stamp), self.office, self.now) is not None

    def _refused(self, number: int, why: str, back: tuple[int, float]) -> Done:
        proof = "unproven" if back == UNPROVEN else "refused"
        said = False
        hears = not self.incoming.verdict.refused and not self.incoming.verdict.enforced
        if hears and not self.office.rules.owns(self.who) and self._has_room(proof, back):
            context = {
                "reference": f"incident {number}", "why": why, "subject": self.incoming.reading.parsed.subject,
                "incident": number,
                "reply_to": None if back == UNPROVEN else self.office.incident_token(number, self.who),
            }  # fmt: skip
            said = self._say("refused", context, budgets.Stamp(proof=proof))
        if not said:
            line = f"a staff mail from {self.who} about incident {number} was not accepted: {why}"
            outgoing.notice(self.connection, "forged" if back == UNPROVEN else outgoing.RIDES_ALONG, line, self.now)
        return self._done(Disposition.RECORDED, f"refused: {why}", replied="staff_refused" if said else None)

    def _done(self, disposition: Disposition, why: str, *, again: bool = False, replied: str | None = None) -> Done:
        said = f"{MARK} {why}" if why.startswith("refused") else f"{MARK}: {why}"
        reasons = (*self.incoming.verdict.reasons, said)
        return Done(staffmail.in_words(self.incoming, disposition, said, reasons), reasons, None, None, replied, again)


def _line(row: Ticket) -> dict[str, Any]:
    priority = "High" if row.priority == "high" else "CRITICAL" if row.critical else "Regular"
    return {
        "line": f"{row.reference} {priority}, {row.department}",
        "due": row.limit_at.isoformat() if row.limit_at else None, "owner": row.owner[:40],
        "who": " ".join((row.author_name or row.author or "nobody").split())[:40],
        "subject": " ".join(row.subject.split())[:60],
    }  # fmt: skip
