"""Several tickets within minutes about the same network, server, service or begin are about one incident: they are tied
to it and staff are told once. It is only suspected then; customers hear of it when a person has confirmed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import Connection, func, select, text, update

from gateway.database import typed
from gateway.database.among import among
from gateway.database.statements import put, put_once
from gateway.database.tables import Incident, facts, incident_tickets, incidents, tickets
from gateway.model import Ownership, TicketState, Told, Trust
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


Sign = tuple[str, str]


def signs_of(kind: str, value: str, rule: Incidents) -> Iterable[Sign]:
    """What a fact of a ticket may have in common with others."""
    if kind == "services":
        yield "service", value
    elif kind == "orders":
        yield "server", value
    elif kind == "incident":
        began = int(datetime.fromisoformat(value).timestamp()) // BEGIN_S * BEGIN_S
        yield "begin", datetime.fromtimestamp(began, UTC).isoformat()
    elif kind == "ips":
        try:
            length = rule.network_v4 if ip_address(value).version == 4 else rule.network_v6
            yield "network", str(ip_network(f"{value}/{length}", strict=False))
        except ValueError:  # it is a network already, or none
            return


def _recent(connection: Connection, rule: Incidents, now: datetime) -> list[Any]:
    t = tickets.c
    newest = connection.execute(select(func.max(t.id))).scalar() or 0
    chosen = select(t.id, t.author, t.account, t.opened_at, t.critical, t.reference).where(
        t.id > newest - LATEST,
        t.opened_at >= now - timedelta(seconds=rule.within),
        t.state != TicketState.CLOSED,
        t.merged_into.is_(None),
    )
    chosen = chosen.where(t.promised_at.is_not(None))  # a program wrote the others: an automatic answer, a report
    if not rule.unverified:
        chosen = chosen.where(t.trust == Trust.VERIFIED)
    return list(connection.execute(chosen.order_by(t.id)).all())


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


def groups(connection: Connection, rule: Incidents, now: datetime) -> list[Group]:
    """The tickets of the last minutes by what they have in common, the widest kind first."""
    rows = {row.id: row for row in _recent(connection, rule, now)}
    if not rows:
        return []
    f = facts.c
    said = connection.execute(
        select(f.ticket_id, f.kind, f.value, f.ownership).where(among(f.ticket_id, rows), f.quoted.is_(False))
    ).all()
    found: dict[Sign, dict[int, Any]] = {}
    for fact in said:
        about_begin = fact.kind == "incident" and rows[fact.ticket_id].critical
        if about_begin or fact.ownership == Ownership.OWN or (rule.unverified and fact.kind != "incident"):
            for sign in signs_of(fact.kind, fact.value, rule):
                found.setdefault(sign, {})[fact.ticket_id] = rows[fact.ticket_id]
    made = [Group(sign, tuple(tied.values())) for sign, tied in found.items()]
    return sorted(made, key=lambda group: (KINDS.index(group.sign[0]), -len(group.rows), group.sign[1]))


def _open(connection: Connection) -> dict[Sign, Incident]:
    rows = typed.every(connection, Incident, select(incidents).where(incidents.c.state != "closed"))
    return {(row.kind, row.value): row for row in rows}


def _tied(connection: Connection, ids: Sequence[int]) -> set[int]:
    i = incident_tickets.c
    return set(connection.execute(select(i.ticket_id).where(among(i.ticket_id, ids))).scalars())


def due(connection: Connection, rule: Incidents, now: datetime) -> bool:
    """Whether ``look`` would write anything; a read."""
    if not rule.tickets:
        return False
    known = _open(connection)
    for group in groups(connection, rule, now):
        free = len(group.rows) - len(_tied(connection, [row.id for row in group.rows]))
        if free and (group.sign in known or group.authors >= rule.tickets):
            return True
    return False


def look(connection: Connection, rule: Incidents, office: Office, now: datetime) -> list[str]:
    """Ties the tickets of the last minutes to incidents; a line for each new one, which staff are told."""
    if not rule.tickets:
        return []
    if connection.dialect.name == "postgresql":  # nodes do so one after the other
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    known, lines = _open(connection), []
    for group in groups(connection, rule, now):
        tied = _tied(connection, [row.id for row in group.rows])
        free = [row for row in group.rows if row.id not in tied]
        incident = known.get(group.sign)
        if incident is None and free and group.authors >= rule.tickets:
            lines.append(_begun(connection, group, office, now))
        elif incident is not None:
            _tie(connection, incident.id, group.sign, free, now)
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
    _tie(connection, number, group.sign, group.rows, now)
    names = ", ".join(row.reference for row in group.rows[:10])
    line = f"{len(group.rows)} tickets about the {kind} {value} ({names}): gateway incidents confirm {number}"
    for address in dict.fromkeys([*office.staff.technical, *office.staff.escalation]):
        if not office.rules.owns(address):
            item = alert(f"incident.{number}", address, "incident", line[:500], now)
            write(connection, Reply(item, urgent=True), office, now)
    return line


def _tie(connection: Connection, number: int, sign: Sign, rows: Sequence[Any], now: datetime) -> None:
    mark = f"incident {number}: {sign[0]} {sign[1]}"
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


def close(connection: Connection, number: int, now: datetime) -> None:
    """It is over, or was none. NoIncident as ``confirm``."""
    _change(connection, number, {"state": "closed", "closed_at": now})


def _change(connection: Connection, number: int, values: dict[str, Any]) -> None:
    i = incidents.c
    if not connection.execute(update(incidents).where(i.id == number, i.state != "closed").values(values)).rowcount:
        raise NoIncident(f"no open incident {number}: gateway incidents list")


def listed(connection: Connection, every: bool, limit: int) -> list[dict[str, Any]]:
    """``incidents list``: open ones, or all; newest first."""
    i = incidents.c
    chosen = select(incidents) if every else select(incidents).where(i.state != "closed")
    return [
        _as_json(connection, row)
        for row in typed.every(connection, Incident, chosen.order_by(i.id.desc()).limit(limit))
    ]


def _as_json(connection: Connection, row: Incident) -> dict[str, Any]:
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
