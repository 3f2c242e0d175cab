"""Several tickets within minutes about the same network, server, service or begin are about one incident: they are tied
to it and staff are told once. It is only suspected then; customers hear of it when a person has confirmed it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, func, select, text, update

from gateway.database import typed
from gateway.database.among import among
from gateway.database.statements import fetch, put, put_once
from gateway.database.tables import Incident, facts, incident_tickets, incidents, tickets
from gateway.model import JsonObject, Ownership, TicketState, Told, Trust
from gateway.tickets.board import Known
from gateway.tickets.outgoing import Office, Reply, alert, write
from gateway.tickets.settings import Incidents

LATEST = 5000  #: tickets that are looked at, at most
BEGIN_S = 600  #: begins within the same ten minutes are the same
SHOWN = 100  #: tickets of an incident that a page lists
KINDS = ("network", "service", "server", "begin")  #: the widest first: one ticket makes one incident
_LOCK = 0x696E63  # "inc"


class NoIncident(Told):
    """No incident has this number, or it is closed."""


class Confirmed(Told):
    """A person confirmed the incident before."""


Sign = tuple[str, str]


@functools.lru_cache(maxsize=8192)  # a fact is looked at time and again until ``within`` is over, and many are equal
def sign_of(kind: str, value: str, network_v4: int, network_v6: int) -> Sign | None:
    """What a fact of a ticket may have in common with others. The lengths are of the prefixes that make a network."""
    if kind == "services":
        return "service", value
    if kind == "orders":
        return "server", value
    if kind == "incident":
        began = int(datetime.fromisoformat(value).timestamp()) // BEGIN_S * BEGIN_S
        return "begin", datetime.fromtimestamp(began, UTC).isoformat()
    if kind == "ips":
        with contextlib.suppress(ValueError):  # it is a network already, or none
            length = network_v4 if ip_address(value).version == 4 else network_v6
            return "network", str(ip_network(f"{value}/{length}", strict=False))
    return None


_T, _F = tickets.c, facts.c
_RECENT = select(_T.id, _T.author, _T.account, _T.opened_at, _T.critical, _T.reference).where(
    _T.id > select(func.max(_T.id)).scalar_subquery() - LATEST,
    _T.opened_at >= bindparam("since"),
    _T.state != TicketState.CLOSED,
    _T.merged_into.is_(None),
    _T.promised_at.is_not(None),  # a program wrote the others: an automatic answer, a report
)
_RECENT_VERIFIED = _RECENT.where(_T.trust == Trust.VERIFIED)
#: in the order of the tickets, all of them from the first: that is one walk along an index, however many there are
_SAID = (
    select(_F.ticket_id, _F.kind, _F.value, _F.ownership)
    .where(_F.ticket_id >= bindparam("first"), _F.quoted.is_(False))
    .order_by(_F.ticket_id, _F.id)
)
_TIED = select(incident_tickets.c.ticket_id).where(incident_tickets.c.ticket_id >= bindparam("first"))


@dataclass(frozen=True, slots=True)
class Group:
    """Tickets with one sign in common."""

    sign: Sign
    rows: tuple[Any, ...]

    @property
    def authors(self) -> int:
        """How many customers wrote them: people of one account, and one person's mails, are one."""
        account = {str(row.author).lower(): row.account for row in self.rows if row.account}
        return len({account.get(author, author) for row in self.rows for author in (str(row.author).lower(),)})


def _recent(connection: Connection, rule: Incidents, now: datetime) -> dict[int, Any]:
    chosen = _RECENT if rule.unverified else _RECENT_VERIFIED
    return {row.id: row for row in fetch(connection, chosen, {"since": now - timedelta(seconds=rule.within)})}


def groups(connection: Connection, rule: Incidents, now: datetime) -> list[Group]:
    """The tickets of the last minutes by what they have in common, the widest kind first."""
    rows = _recent(connection, rule, now)
    found: dict[Sign, dict[int, Any]] = {}
    for fact in fetch(connection, _SAID, {"first": min(rows)}) if rows else ():
        row = rows.get(fact.ticket_id)
        if row is not None and _counts(fact, row, rule):
            sign = sign_of(fact.kind, fact.value, rule.network_v4, rule.network_v6)
            if sign is not None:
                found.setdefault(sign, {})[row.id] = row
    made = [Group(sign, tuple(tied.values())) for sign, tied in found.items()]
    return sorted(made, key=lambda group: (KINDS.index(group.sign[0]), -len(group.rows), group.sign[1]))


def _counts(fact: Any, row: Any, rule: Incidents) -> bool:
    """Whether a fact tells what its ticket is about: one of its author's own, or when an outage began."""
    if fact.kind == "incident":
        return bool(row.critical) or fact.ownership == Ownership.OWN
    return rule.unverified or fact.ownership == Ownership.OWN


def _open(connection: Connection) -> dict[Sign, Incident]:
    rows = typed.every(connection, Incident, select(incidents).where(incidents.c.state != "closed"))
    return {(row.kind, row.value): row for row in rows}


def _tied(connection: Connection, grouped: Sequence[Group]) -> set[int]:
    """The tickets that are tied to an incident already, as far as they are in a group."""
    first = min((row.id for group in grouped for row in group.rows), default=None)
    return set() if first is None else {row.ticket_id for row in fetch(connection, _TIED, {"first": first})}


def due(connection: Connection, rule: Incidents, now: datetime) -> bool:
    """Whether ``look`` would write anything; a read."""
    if not rule.tickets:
        return False
    grouped = groups(connection, rule, now)
    known, tied = _open(connection), _tied(connection, grouped)
    return any(
        any(row.id not in tied for row in group.rows) and (group.sign in known or group.authors >= rule.tickets)
        for group in grouped
    )


def look(connection: Connection, rule: Incidents, office: Office, now: datetime) -> list[str]:
    """Ties the tickets of the last minutes to incidents; a line for each new one, which staff are told."""
    if not rule.tickets:
        return []
    if connection.dialect.name == "postgresql":  # nodes do so one after the other
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    grouped = groups(connection, rule, now)
    known, tied, lines = _open(connection), _tied(connection, grouped), []
    for group in grouped:
        free = [row for row in group.rows if row.id not in tied]
        incident = known.get(group.sign)
        if incident is None and free and group.authors >= rule.tickets:
            lines.append(_begun(connection, group, office, now))
            tied.update(row.id for row in group.rows)
        elif incident is not None:
            _tie(connection, incident.id, group.sign, free, office, now)
            tied.update(row.id for row in free)
    return lines


def _begun(connection: Connection, group: Group, office: Office, now: datetime) -> str:
    kind, value = group.sign
    since = min(row.opened_at for row in group.rows)
    values = {
        "kind": kind,
        "value": value,
        "state": "suspected",
        "known_since": since,
        "opened_at": now,
        "confirmed_by": "",
    }
    number = int(put(connection, incidents, values))
    _tie(connection, number, group.sign, group.rows, office, now)
    names = ", ".join(row.reference for row in group.rows[:10])
    about = _about(group.sign, office)
    line = f"{len(group.rows)} tickets about {about} ({names}): gateway incidents confirm {number}"
    tell(connection, number, "", line, office, now)
    return line


def tell(connection: Connection, number: int, what: str, line: str, office: Office, now: datetime) -> None:
    """A line about an incident to whoever hears of incidents, once: that it began, or ``what`` a person did to it.
    Where it began they may answer by mail what becomes of it."""
    event = f"incident.{number}.{what}" if what else f"incident.{number}"
    for address in dict.fromkeys([*office.staff.technical, *office.staff.escalation]):
        if office.rules.owns(address):
            continue
        item = alert(event, address, "incident", line[:500], now)
        if what != "close":
            back = {"incident": number, "reply_to": office.incident_token(number, address), "confirmed": bool(what)}
            item = replace(item, context={**item.context, **back})
        write(connection, Reply(item, urgent=True), office, now)


def _about(sign: Sign, office: Office) -> str:
    """What tickets have in common, as people say it; a begin is told to the ten minutes that it was counted by."""
    kind, value = sign
    if kind != "begin":
        return f"the {kind} {value}"
    began = datetime.fromisoformat(value).astimezone(ZoneInfo(office.timezone))
    return f"outages that began about {began:%H:%M} ({began:%Z})"


def _tie(
    connection: Connection, number: int, sign: Sign, rows: Sequence[Any], office: Office, now: datetime
) -> None:  # fmt: skip
    mark = f"incident {number}: {_about(sign, office).removeprefix('the ')}"
    for row in rows:
        if put_once(connection, incident_tickets, {"incident_id": number, "ticket_id": row.id, "at": now}) is not None:
            found = connection.execute(select(tickets.c.marks).where(tickets.c.id == row.id)).scalar_one()
            connection.execute(update(tickets).where(tickets.c.id == row.id).values(marks=[*found, mark]))


# --------------------------------------------------------------------------- what persons do


def confirm(connection: Connection, number: int, by: str, since: datetime | None, now: datetime) -> None:
    """From now on customers hear that we know; ``since``: another moment than the first ticket's.

    Raises:
        NoIncident: there is no open one with this number.
    """
    values: dict[str, Any] = {"state": "confirmed", "confirmed_at": now, "confirmed_by": by}
    values |= {"known_since": since} if since is not None else {}
    _change(connection, number, values)


def confirm_once(connection: Connection, number: int, by: str, now: datetime) -> None:
    """``confirm`` by who may not know that a colleague did so.

    Raises:
        NoIncident: there is no open one with this number.
        Confirmed: it is confirmed.
    """
    i = incidents.c
    row = typed.first(connection, Incident, select(incidents).where(i.id == number).with_for_update())
    if row is not None and row.state == "confirmed":
        raise Confirmed(f"{row.confirmed_by or 'somebody'} confirmed it already")
    confirm(connection, number, by, None, now)


def close(connection: Connection, number: int, now: datetime) -> None:
    """It is over, or was none. NoIncident as ``confirm``."""
    _change(connection, number, {"state": "closed", "closed_at": now})


def _change(connection: Connection, number: int, values: dict[str, Any]) -> None:
    i = incidents.c
    if not connection.execute(update(incidents).where(i.id == number, i.state != "closed").values(values)).rowcount:
        raise NoIncident(f"no open incident {number}: gateway incidents list")


def listed(connection: Connection, every: bool, limit: int) -> list[JsonObject]:
    """``incidents list``: open ones, or all; newest first."""
    i = incidents.c
    chosen = select(incidents) if every else select(incidents).where(i.state != "closed")
    return [
        _as_json(connection, row)
        for row in typed.every(connection, Incident, chosen.order_by(i.id.desc()).limit(limit))
    ]


def _as_json(connection: Connection, row: Incident) -> JsonObject:
    tied = select(tickets.c.reference).join(incident_tickets, incident_tickets.c.ticket_id == tickets.c.id)
    names = connection.execute(tied.where(incident_tickets.c.incident_id == row.id).order_by(tickets.c.id)).scalars()
    return {
        "incident": row.id, "state": row.state, "kind": row.kind, "value": row.value,
        "known_since": row.known_since.isoformat(), "confirmed_by": row.confirmed_by, "tickets": list(names),
    }  # fmt: skip


def tickets_of(connection: Connection, numbers: Sequence[int]) -> dict[int, list[Any]]:
    """The tickets of incidents as a page lists them, the newest ``SHOWN`` of each: by the incident's number."""
    t, i = tickets.c, incident_tickets.c
    found: dict[int, list[Any]] = {number: [] for number in numbers}
    place = func.row_number().over(partition_by=i.incident_id, order_by=i.ticket_id.desc()).label("place")
    ranked = select(i.incident_id, i.ticket_id, place).where(among(i.incident_id, numbers)).subquery()
    chosen = select(
        ranked.c.incident_id, t.reference, t.subject, t.author, t.author_name, t.account, t.trust, t.state, t.opened_at
    )
    rows = chosen.join(tickets, t.id == ranked.c.ticket_id).where(ranked.c.place <= SHOWN)
    for row in connection.execute(rows.order_by(t.id.desc())):
        found[row.incident_id].append(row)
    return found


def known(connection: Connection) -> tuple[Known, ...]:
    """The incidents that a person confirmed and that go on."""
    i = incidents.c
    rows = connection.execute(select(i.kind, i.value, i.known_since).where(i.state == "confirmed")).all()
    return tuple(Known(row.kind, row.value, row.known_since) for row in rows)


def since_of(connection: Connection, ticket: int) -> datetime | None:
    """Since when we know of the confirmed incident that a ticket is tied to."""
    i = incidents.c
    tied = select(func.min(i.known_since)).join(incident_tickets, incident_tickets.c.incident_id == i.id)
    found: datetime | None = connection.execute(
        tied.where(incident_tickets.c.ticket_id == ticket, i.state == "confirmed")
    ).scalar()
    return found
