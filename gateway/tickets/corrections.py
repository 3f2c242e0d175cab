"""A person says what a mail is, where it was misread: the ticket follows, and the mail becomes a labelled text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, select

from gateway.database import typed
from gateway.database.statements import put
from gateway.database.tables import Correction, Entry, Ticket, corrections, entries, facts, tickets, traces
from gateway.model import Department, Ownership, Person, Priority, Question, TicketState, Trust
from gateway.tickets import openings, outgoing
from gateway.tickets.conversation import Change, Refused, at_work, changed
from gateway.tickets.outgoing import Acting, Notification, Office


@dataclass(frozen=True, slots=True)
class Right:
    """What is right; ``None``: as it was read."""

    department: Department | None = None
    critical: bool | None = None
    question: Question | None = None
    sensitive: tuple[str, ...] | None = None
    priority: Priority | None = None
    reply_language: str | None = None  #: in which the customer is answered
    account: str | None = None  #: which of the accounts of its author it is about
    since: datetime | None = None  #: when what it reports began


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT")
_NAMES = {"reply_language": "language"}  #: as it is recorded


def correct(connection: Connection, reference: str, right: Right, acting: Acting,
            entry: int | None = None) -> list[str]:  # fmt: skip
    """Records what was wrong, and the ticket follows it; the fields that changed. ``entry``: the contribution that was
    misread, by default the one that opened the ticket.

    Raises:
        Refused: there is no such contribution, the account is none of its author's, or it would have begun in the
            future.
    """
    row = at_work(connection, reference, acting.by)
    values = _follows(row, right)
    wrong = {f.name: getattr(row, f.name) for f in fields(right) if f.name in values}
    right_is = dict(values)
    if right.since is not None and (began := _began(connection, row, right.since, acting.at)) is not None:
        wrong["since"], right_is["since"] = began[0], right.since.isoformat()
        values |= {"missing": [one for one in row.missing if one != "started_at"]}
    if not wrong:
        return []
    for name, before in wrong.items():
        misread = _said_outage(connection, row) if name == "critical" and before and entry is None else None
        misread = misread or _entry(connection, row, entry)
        _record(connection, row, misread, (name, before, right_is[name]), acting.by, acting.at)
    said = ", ".join(
        f"{_NAMES.get(name, name)}: {_words(before, acting.office)} -> {_words(right_is[name], acting.office)}"
        for name, before in wrong.items()
    )
    detail = {name: {"from": before, "to": right_is[name]} for name, before in wrong.items()}
    changed(connection, row, Change("correct", f"corrected {said}", values, detail), acting.by, acting.at)
    _follow_up(connection, row, wrong, acting.office, acting.at)
    return list(wrong)


def _words(value: Any, office: Office) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if isinstance(value, str) and _MOMENT.match(value):
        return f"{datetime.fromisoformat(value).astimezone(ZoneInfo(office.timezone)):%Y-%m-%d %H:%M %Z}"
    return str(value or "none")


def _began(connection: Connection, row: Ticket, since: datetime, now: datetime) -> tuple[str | None] | None:
    """(what was read before); the fact says what is right from now on. ``None``: it says so already."""
    if since > now:
        raise Refused("it cannot have begun in the future")
    f = facts.c
    its = (f.ticket_id == row.id, f.kind == "incident", f.quoted.is_(False))
    known = list(connection.execute(select(f.value).where(*its).order_by(f.id)).scalars())
    if known == [since.isoformat()]:
        return None
    connection.execute(delete(facts).where(*its))
    values = {"ticket_id": row.id, "entry_id": None, "kind": "incident", "value": since.isoformat(), "quoted": False}
    put(connection, facts, {**values, "ownership": Ownership.UNKNOWN, "words": "corrected"})
    return (known[0] if known else None,)


def _entry(connection: Connection, row: Ticket, entry: int | None) -> Entry:
    e = entries.c
    chosen = select(entries).where(e.ticket_id == row.id, e.direction == "in").order_by(e.id).limit(1)
    found = typed.first(connection, Entry, chosen if entry is None else chosen.where(e.id == entry))
    if found is None:
        raise Refused(f"{row.reference} has no such mail")
    return found


def _said_outage(connection: Connection, row: Ticket) -> Any:
    """The newest mail that was read as the report of an outage, if the trace says which."""
    e, r = entries.c, traces.c
    chosen = select(entries, r.lines).join(traces, r.message_id == e.message_id)
    chosen = chosen.where(e.ticket_id == row.id, e.direction == "in").order_by(e.id.desc(), r.id.desc()).limit(200)
    found = connection.execute(chosen).all()
    said = ("terms critical", "terms learned critical +")
    return next((one for one in found if any(line.startswith(said) for line in one.lines)), None)


def _follows(row: Ticket, right: Right) -> dict[str, Any]:
    """The columns that change. What is an outage goes before others when its author is proven, unless a priority is
    given; what is none goes back to its place."""
    values: dict[str, Any] = {}
    if right.account is not None and (right.account not in row.accounts or row.trust != Trust.VERIFIED):
        raise Refused(f"{row.author or 'its author'} has not proved to belong to account {right.account}")
    for field in fields(right):
        value = getattr(right, field.name) if field.name != "since" else None
        value = list(value) if isinstance(value, tuple) else value
        if value is not None and value != getattr(row, field.name):
            values[field.name] = value
    if "critical" in values:
        marks = [mark for mark in row.marks if mark != "critical"]
        values["marks"] = [*marks, "critical"] if right.critical else marks
        high = right.critical and row.trust == Trust.VERIFIED
        wanted = Priority.HIGH if high else Priority.NORMAL
        if right.priority is None and wanted != row.priority:
            values["priority"] = wanted
    return values


def _record(
    connection: Connection, row: Ticket, misread: Any, what: tuple[str, Any, Any], by: Person, now: datetime
) -> None:  # fmt: skip
    name, before, after = what
    values = {"ticket_id": row.id, "entry_id": misread.id, "message_id": misread.message_id, "at": now}
    put(
        connection,
        corrections,
        values | {"who": by.name[:100], "field": _NAMES.get(name, name), "before": before, "after": after},
    )


def _follow_up(connection: Connection, before: Ticket, wrong: dict[str, Any], office: Office, now: datetime) -> None:
    """Another department, or what is an outage after all, is told at once; an outage is never without a clock."""
    row = typed.one(connection, Ticket, select(tickets).where(tickets.c.id == before.id))
    urgent = "critical" in wrong and row.critical
    if row.state == TicketState.OPEN and urgent and row.round_started_at is None:
        openings.again(connection, row, office.rules, now)
    if ("department" in wrong or urgent) and row.state != TicketState.CLOSED:
        event = f"t{row.id}.c{now.timestamp():.0f}"
        outgoing.tell(connection, Notification(row, "staff_new", event, _more(connection, row)), office, now)


def _more(connection: Connection, row: Ticket) -> dict[str, Any]:
    e = entries.c
    newest = select(e.text).where(e.ticket_id == row.id, e.direction == "in", e.status == "shown").order_by(e.id.desc())
    text = connection.execute(newest.limit(1)).scalar() or ""
    return {"text": text[:4000], "event": "corrected"}


def history(connection: Connection, ticket_id: int) -> list[dict[str, Any]]:
    """``field from to who at`` of each correction of a ticket."""
    c = corrections.c
    rows = typed.every(connection, Correction, select(corrections).where(c.ticket_id == ticket_id).order_by(c.id))
    return [
        {"field": row.field, "from": row.before, "to": row.after, "who": row.who, "at": row.at.isoformat()}
        for row in rows
    ]


#: what the topic rules decide, which a corrected mail is a label for
LABELS = ("department", "question", "critical", "sensitive")


def labelled(connection: Connection) -> Iterator[dict[str, str]]:
    """Every mail that somebody corrected, as a labelled text: ``ticket subject text`` and the labels that were wrong,
    as ``gateway topics test`` reads them; of what was corrected twice the last counts. Secrets are masked as they were
    at its receipt."""
    c, e, t = corrections.c, entries.c, tickets.c
    chosen = select(c.entry_id, c.field, c.after, e.text, t.reference, t.subject)
    chosen = chosen.join(entries, e.id == c.entry_id).join(tickets, t.id == c.ticket_id).where(c.field.in_(LABELS))
    for _, group in itertools.groupby(connection.execute(chosen.order_by(c.entry_id, c.id)), lambda row: row.entry_id):
        rows = list(group)
        first = {"ticket": rows[0].reference, "subject": rows[0].subject, "text": rows[0].text}
        yield first | dict.fromkeys(LABELS, "") | {row.field: _label(row.after) for row in rows}


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) or "-" if isinstance(value, list) else str(value)
