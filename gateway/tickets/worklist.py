"""The queue as the console shows it: which tickets, in which order, and what of each is seen at a glance."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, text

from gateway.database import typed, users
from gateway.database.among import among
from gateway.database.tables import (
    FactRow,
    attachments,
    entries,
    facts,
    incident_tickets,
    incidents,
    messages,
    outbox,
    ticket_tags,
    tickets,
    traces,
)
from gateway.model import JsonObject, TicketState
from gateway.tickets import word_index

PAGE = 50
STATES = ("open", "mine", "waiting", "snoozed", "closed", "all")
_GLANCE = ("orders", "ips", "services", "invoices")
_COUNTED = 1000  #: more of one kind are not counted further
SNIPPET = 160


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tickets; an empty field: any. ``owner``: a name, or ``-`` for nobody's; the state ``mine``: what is
    not closed; ``incident``: its number; ``words``: what is searched for."""

    state: str = "open"
    department: str = ""
    priority: str = ""
    trust: str = ""
    account: str = ""
    language: str = ""
    owner: str = ""
    tag: str = ""
    incident: str = ""
    words: str = ""

    def as_query(self) -> dict[str, str]:
        """The fields that are not as they always are."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in given.items() if value and (name, value) != ("state", "open")}


def _where(wanted: Wanted, now: datetime, found: list[int] | None) -> list[ColumnElement[bool]]:
    t = tickets.c
    where: list[ColumnElement[bool]] = [t.merged_into.is_(None), *_state(wanted.state, now)]
    for name in ("department", "priority", "trust", "account", "language"):
        if getattr(wanted, name):
            where.append(t[name] == getattr(wanted, name))
    if wanted.owner:
        where.append(t.owner == ("" if wanted.owner == "-" else wanted.owner))
    if wanted.tag:
        g = ticket_tags.c
        where.append(exists().where(g.ticket_id == t.id, g.tag == wanted.tag))
    if wanted.incident:
        i, number = incident_tickets.c, wanted.incident
        known = int(number) if number.isascii() and number.isdigit() and len(number) < 18 else 0
        where.append(exists().where(i.ticket_id == t.id, i.incident_id == known))
    if found is not None:
        where.append(among(t.id, found))
    return where


def _state(state: str, now: datetime) -> list[ColumnElement[bool]]:
    t = tickets.c
    asleep = and_(t.snoozed_until.is_not(None), t.snoozed_until > now)
    if state == "all":
        return []
    if state == "mine":
        return [t.state.in_((TicketState.OPEN, TicketState.WAITING))]
    if state == "snoozed":
        return [t.snoozed_until.is_not(None), t.snoozed_until > now, t.state != TicketState.CLOSED]
    if state == "open":
        return [t.state == TicketState.OPEN, or_(t.snoozed_until.is_(None), ~asleep)]
    return [t.state == state]


def _order(state: str) -> tuple[ColumnElement[Any], ...]:
    """What waits for us by how soon it is due; the rest the newest first."""
    t = tickets.c
    if state not in ("open", "mine"):
        return (t.id.desc(),)
    return (t.state, t.priority, t.critical.desc(), func.coalesce(t.limit_at, text("'9999-12-31 00:00:00'")), t.id)


def waiting_for_us(now: datetime) -> list[ColumnElement[bool]]:
    """What is open and not snoozed."""
    return _state("open", now)


def by_urgency() -> tuple[ColumnElement[Any], ...]:
    """The most urgent first."""
    return _order("open")


def rows(connection: Connection, wanted: Wanted, now: datetime, page: int = 0) -> tuple[list[JsonObject], bool]:
    """(the tickets of a page, whether there are more)."""
    found = word_index.find(connection, wanted.words) if wanted.words else None
    chosen = select(tickets).where(*_where(wanted, now, found)).order_by(*_order(wanted.state))
    listed = connection.execute(chosen.limit(PAGE + 1).offset(page * PAGE)).all()
    shown = listed[:PAGE]
    ids = [row.id for row in shown]
    known, tags, said = _facts(connection, ids), _tags(connection, ids), _said(connection, ids)
    talk = _talk(connection, ids)
    more = [
        {
            **row._mapping,
            "mails": talk.get(row.id, (0, 0))[0],
            "files": talk.get(row.id, (0, 0))[1],
            "facts": known.get(row.id, []),
            "tags": tags.get(row.id, []),
            "said": said.get(row.id, ""),
        }
        for row in shown
    ]
    return more, len(listed) > PAGE


def _facts(connection: Connection, ids: list[int]) -> dict[int, list[FactRow]]:
    f = facts.c
    found: dict[int, list[FactRow]] = {}
    chosen = select(f.ticket_id, f.kind, f.value, f.ownership).where(among(f.ticket_id, ids), f.kind.in_(_GLANCE))
    for row in typed.part(connection, FactRow, chosen.where(f.quoted.is_(False)).order_by(f.id)):
        values = found.setdefault(row.ticket_id, [])
        if len(values) < 4 and row.value not in [one.value for one in values]:
            values.append(row)
    return found


def _tags(connection: Connection, ids: list[int]) -> dict[int, list[str]]:
    g = ticket_tags.c
    found: dict[int, list[str]] = {}
    for row in connection.execute(select(g.ticket_id, g.tag).where(among(g.ticket_id, ids)).order_by(g.tag)):
        found.setdefault(row.ticket_id, []).append(row.tag)
    return found


def _said(connection: Connection, ids: list[int]) -> dict[int, str]:
    """The first words of the newest mail of each."""
    e = entries.c
    newest = select(func.max(e.id)).where(among(e.ticket_id, ids), e.direction == "in").group_by(e.ticket_id)
    chosen = select(e.ticket_id, func.substr(e.text, 1, SNIPPET * 2).label("words")).where(e.id.in_(newest))
    return {row.ticket_id: " ".join(row.words.split())[:SNIPPET] for row in connection.execute(chosen)}


def _talk(connection: Connection, ids: list[int]) -> dict[int, tuple[int, int]]:
    """(how many mails and answers, how many files) of each."""
    e, a = entries.c, attachments.c
    counted = select(e.ticket_id, func.count(e.id.distinct()), func.count(a.id)).outerjoin(
        attachments, a.entry_id == e.id
    )
    talk = counted.where(among(e.ticket_id, ids), e.direction.in_(("in", "out"))).group_by(e.ticket_id)
    return {key: (int(mails), int(files)) for key, mails, files in connection.execute(talk)}


def counts(connection: Connection, now: datetime) -> JsonObject:
    """How many tickets wait, for the tabs, and under ``owners`` how many that are not closed are whose; what is more
    than ``_COUNTED`` is not counted further."""
    t = tickets.c
    found: JsonObject = {}
    for name in ("open", "waiting", "snoozed"):
        some = select(t.id).where(t.merged_into.is_(None), *_state(name, now)).limit(_COUNTED).subquery()
        found[name] = int(connection.execute(select(func.count()).select_from(some)).scalar_one())
    owned = select(t.owner, func.count().label("many")).where(
        t.merged_into.is_(None), t.owner != "", *_state("mine", now)
    )
    found["owners"] = {row.owner: int(row.many) for row in connection.execute(owned.group_by(t.owner))}
    return found


def trouble(connection: Connection) -> dict[str, int]:
    """How much needs a person besides tickets: mails in quarantine, failed ones, dead replies, incidents nobody has
    confirmed."""
    m, o = messages.c, outbox.c
    held = {state: select(m.id).where(m.state == state) for state in ("quarantined", "failed")}
    held["dead"] = select(o.id).where(o.state == "dead", o.last_error != "discarded")
    held["incidents"] = select(incidents.c.id).where(incidents.c.state == "suspected")
    return {
        name: int(connection.execute(select(func.count()).select_from(some.limit(_COUNTED).subquery())).scalar_one())
        for name, some in held.items()
    }


Marks = tuple[int, ...]
_GROWING = (tickets, entries, traces, outbox, messages)
_MARKS = select(*(select(func.coalesce(func.max(table.c.id), 0)).scalar_subquery() for table in _GROWING))
MANY_TOUCHED = 100


def marks(connection: Connection) -> Marks:
    """Changes whenever anything happens that a page may show: what stands last in the tables that only grow. Cheap:
    asked twice a second while anybody looks."""
    return tuple(int(one) for one in connection.execute(_MARKS).one())


def touched(connection: Connection, before: Marks, now: Marks) -> set[str] | None:
    """References of the tickets to which anything happened between two looks, and of those they are part of; ``None``:
    too many to name."""
    found: set[str] = set()
    other = tickets.alias()
    for table, after, until in zip(_GROWING, before, now, strict=True):
        if until == after:
            continue
        ticket = table.c.id if table is tickets else table.c.ticket_id
        some = select(ticket.label("ticket")).where(table.c.id > after, table.c.id <= until).distinct()
        some_of = some.limit(MANY_TOUCHED + 1).subquery()
        named = select(tickets.c.reference, other.c.reference).join(some_of, tickets.c.id == some_of.c.ticket)
        for row in connection.execute(named.outerjoin(other, other.c.id == tickets.c.merged_into)):
            found |= {reference for reference in row if reference}
    return found if len(found) <= MANY_TOUCHED else None


def stamp(connection: Connection) -> str:
    """``marks`` as a word: a page that has another one is out of date."""
    return ".".join(str(one) for one in marks(connection))


def choices(connection: Connection, now: datetime) -> dict[str, list[str]]:
    """What can be chosen in the filters: owners and tags."""
    t = tickets.c
    working = select(t.owner).where(t.owner != "", *_state("mine", now)).distinct().limit(100)
    owners = {*connection.execute(working).scalars(), *users.active(connection)}
    tags = connection.execute(select(ticket_tags.c.tag).distinct().order_by(ticket_tags.c.tag).limit(200)).scalars()
    return {"owners": sorted(owners), "tags": list(tags)}
