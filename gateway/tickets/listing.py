"""Which tickets a list shows, and in which order."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from gateway.database import typed
from gateway.database.among import among
from gateway.database.tables import Ticket, ticket_tags, tickets
from gateway.model import Department, Priority, TicketState, Trust

NOBODY = "nobody"  #: the owner of a ticket that nobody works on


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; ``None``: whatever it is. ``since``: opened then or later. ``awake_at``: not snoozed at that
    moment."""

    state: TicketState | None = None
    account: str | None = None
    department: Department | None = None
    priority: Priority | None = None
    owner: str | None = None
    tag: str | None = None
    trust: Trust | None = None
    language: str | None = None
    since: datetime | None = None
    awake_at: datetime | None = None


EVERYTHING = Filter()


def listed(connection: Connection, wanted: Filter, limit: int) -> list[Ticket]:
    """The first ``limit`` tickets of ``chosen``. Whatever their state is, those of each state are read in the order of
    an index: to sort all that there ever were takes seconds."""
    if wanted.state is not None or wanted.account is not None:
        return typed.every(connection, Ticket, chosen(wanted).limit(limit))
    found = [row for state in TicketState for row in listed(connection, replace(wanted, state=state), limit)]
    return sorted(found, key=_urgency)[:limit]


def ids(connection: Connection, wanted: Filter, limit: int) -> array[int]:
    """The ids of the first ``limit`` tickets of ``chosen``, for a list that is long: all of them are sorted."""
    query = chosen(wanted).with_only_columns(tickets.c.id).limit(limit)
    return array("q", connection.execute(query, execution_options={"yield_per": 5000}).scalars())


def of_ids(connection: Connection, some: Sequence[int]) -> list[Ticket]:
    """These tickets, in this order, but for those that are gone."""
    found = {row.id: row for row in typed.every(connection, Ticket, select(tickets).where(among(tickets.c.id, some)))}
    return [found[one] for one in some if one in found]


def _urgency(row: Ticket) -> tuple[Any, ...]:
    return row.priority, not row.critical, row.limit_at or row.opened_at, row.id


def chosen(wanted: Filter) -> Select[Any]:
    """The tickets asked for, but for those that are part of another; the most urgent first: high priority, then what is
    critical, then the oldest promise."""
    t = tickets.c
    query = select(tickets).where(t.merged_into.is_(None))
    for name in ("account", "department", "priority", "trust", "language"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(t[name] == value)
    if wanted.state is not None:  # in the second form the index of states is left alone: few tickets are of one account
        query = query.where((t.state if wanted.account is None else func.lower(t.state)) == wanted.state)
    if wanted.owner is not None:
        owned = t.owner == "" if wanted.owner == NOBODY else (t.owner == wanted.owner) & (t.owner != "")
        query = query.where(owned)
    if wanted.tag is not None:
        query = query.where(t.id.in_(select(ticket_tags.c.ticket_id).where(ticket_tags.c.tag == wanted.tag.lower())))
    if wanted.since is not None:
        query = query.where(t.opened_at >= wanted.since)
    if wanted.awake_at is not None:
        query = query.where(t.snoozed_until.is_(None) | (t.snoozed_until <= wanted.awake_at))
    return query.order_by(t.priority, t.critical.desc(), func.coalesce(t.limit_at, t.opened_at), t.id)
