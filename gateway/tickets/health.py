"""One health check and what the database tells of the service's health. ``gateway/checks/`` adds the machine and the
service.

Every check costs a look into an index, however many tickets there are: it is made at each scrape.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select

from gateway.database import inbox, nodes, typed
from gateway.database.tables import OVERDUE, Condition, SourceState, conditions, messages, outbox, tickets
from gateway.model import InboxState, JsonObject, MailClass, OutboxState
from gateway.tickets import mailboxes, openings

UNSEEN_S, STUCK_S = 3600.0, 300.0
MOST, MOST_UNSEEN = 10_000, 1000  #: rows of a kind are counted up to here
RELAY = "relay"
_WITH_LIMIT = tickets.c.limit_at.is_not(None)  #: every such ticket has one; SQLite takes the right index by it

#: what every node finds alike: it is told once, by whoever sees it first, and noted under this name instead of a node's
SHARED, ALL = frozenset(("nodes",)), "all"
#: every check by its name, with what it is about; the labels of ``gateway_problem``
NAMES = {
    "service": "the service runs", "database": "the database takes mail", "disk": "there is room on the disk",
    "pipeline": "mails are worked on", "readers": "mails can be read", "connections": "new senders find room",
    "reload": "the last reload was accepted", "directory": "the accounts are current", "dns": "the DNS answers",
    "relay": "the relay takes replies", "sources": "the mailboxes are read", "certificate": "the certificate is valid",
    "mails": "no mail failed or waits for long", "replies": "no reply was given up",
    "quarantine": "quarantine was looked at",
    "promises": "no ticket is overdue", "clocks": "a clock watches every open ticket",
    "clock": "the clock was not moved",
    "nodes": "every role is served by a node", "canary": "the probe mail comes back",
    "traffic": "as much mail comes as usual",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One look: ``problem`` is empty when all is well. ``since``: when it began, where that is known; ``do``: what a
    person does about it; ``blocks``: no mail can be taken or worked on meanwhile (``/readyz``)."""

    name: str
    problem: str = ""
    since: datetime | None = None
    do: str = ""
    blocks: bool = False

    @property
    def line(self) -> str:
        """The line of a person: since when, what, and what to do."""
        began = f"since {self.since.isoformat(timespec='seconds')}: " if self.since is not None else ""
        return f"{began}{self.problem}{f' -> {self.do}' if self.do else ''}"

    def as_json(self) -> JsonObject:
        """The object of ``status --json`` and of the service's own answer."""
        state = "problem" if self.problem else "ok"
        since = self.since.isoformat() if self.since else None
        what = {"name": self.name, "state": state, "since": since, "problem": self.problem, "do": self.do}
        return what | {"blocks": self.blocks}


def from_json(found: JsonObject) -> Check:
    """The object that ``as_json`` made, as another node wrote it."""
    since = datetime.fromisoformat(found["since"]) if found.get("since") else None
    return Check(found["name"], found["problem"], since, found["do"], found["blocks"])


def complete(checks: Iterable[Check]) -> list[Check]:
    """The checks in the order of ``NAMES``, with an OK for each that nobody mentioned."""
    found: dict[str, list[Check]] = {name: [] for name in NAMES}
    for check in checks:
        if check.problem:
            found[check.name].append(check)
    return [check for name, some in found.items() for check in (some or [Check(name)])]


def stored(connection: Connection, now: datetime) -> list[Check]:
    """What the database tells, problems only."""
    found = [*_mails(connection, now), *_replies(connection, now), *_noted(connection)]
    found += [_quarantine(connection, now), _promises(connection, now), _clocks(connection), _writable(connection)]
    found += [_source(row, now) for row in mailboxes.rows(connection)] + [_roles(connection)]
    return [check for check in found if check.problem]


def counted(connection: Connection, *which: ColumnElement[bool]) -> int:
    """How many rows meet the conditions, up to ``MOST``."""
    return _up_to_most(connection, select(literal_column("1")).where(*which))


def overdue(connection: Connection) -> int:
    """How many tickets are past their limit."""
    return _up_to_most(connection, select(literal_column("1")).select_from(tickets).where(OVERDUE, _WITH_LIMIT))


def _up_to_most(connection: Connection, query: Select[Any]) -> int:
    some = query.limit(MOST).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def _many(count: int, one: str, more: str) -> str:
    return f"{count}{'+' if count == MOST else ''} {one if count == 1 else more}"


def _mails(connection: Connection, now: datetime) -> list[Check]:
    m, found = messages.c, []
    failed = counted(connection, m.state == InboxState.FAILED)
    if failed:
        since = connection.execute(select(func.min(m.done_at)).where(m.state == InboxState.FAILED)).scalar()
        what, do = (
            _many(failed, "failed mail", "failed mails"),
            "gateway messages list --state failed, then replay or discard",
        )
        found.append(Check("mails", what, since, do))
    unread = select(func.count(), func.max(m.reason), func.min(m.received_at)).where(
        m.state == InboxState.PENDING, m.reason.startswith("no reader")
    )
    count, why, since = connection.execute(unread).one()
    if count:
        found.append(
            Check("readers", f"{_many(count, 'mail waits', 'mails wait')}: {why}", since, "journalctl -u gateway")
        )
    oldest = inbox.oldest_pending(connection)
    if oldest is not None and (now - oldest).total_seconds() > STUCK_S:
        waited = f"a mail has been pending for {(now - oldest).total_seconds():.0f} s"
        found.append(Check("mails", waited, oldest, "gateway messages list --state pending, then gateway trace ID"))
    return found


def _replies(connection: Connection, now: datetime) -> list[Check]:
    o = outbox.c
    dead = (o.state == OutboxState.DEAD, o.last_error != "discarded")
    count, found = counted(connection, *dead), []
    if count:
        since = connection.execute(select(func.min(o.dead_at)).where(*dead)).scalar()
        do = "gateway outbox list --state dead, then gateway outbox retry|discard --state dead"
        found.append(Check("replies", _many(count, "dead reply", "dead replies"), since, do))
    held = counted(connection, o.state == OutboxState.HELD)
    if held:
        what = f"{_many(held, 'reply is', 'replies are')} held since a restore, and may have been sent before"
        since = connection.execute(select(func.min(o.created_at)).where(o.state == OutboxState.HELD)).scalar()
        do = "gateway outbox list --state held, then gateway outbox retry|discard --state held"
        found.append(Check("replies", what, since, do))
    waiting = select(o.last_error, o.created_at).where(o.state == OutboxState.QUEUED, o.last_error != "")
    rows = connection.execute(waiting.order_by(o.created_at).limit(50)).all()
    stuck = [row for row in rows if (now - row.created_at).total_seconds() > STUCK_S]
    if stuck:
        what = f"the relay: {_many(len(stuck), 'reply waits', 'replies wait')}: {stuck[0].last_error}"
        found.append(Check(RELAY, what, stuck[0].created_at, "gateway doctor; then gateway outbox retry --all"))
    return found


def _noted(connection: Connection) -> list[Check]:
    """What a service noted for all to see: of the relay, and of its own machine (``name@node``)."""
    rows = typed.every(connection, Condition, select(conditions).order_by(conditions.c.since, conditions.c.name))
    return [Check(row.name, row.problem, row.since) for row in rows if row.name in NAMES]


def noted_elsewhere(connection: Connection, node: str) -> list[Check]:
    """What the services of other nodes noted."""
    rows = typed.every(connection, Condition, select(conditions).order_by(conditions.c.since, conditions.c.name))
    others = [row for row in rows if "@" in row.name and row.name.partition("@")[2] not in (node, ALL)]
    return [
        Check(row.name.partition("@")[0], row.problem, row.since)
        for row in others
        if row.name.partition("@")[0] in NAMES
    ]


def _quarantine(connection: Connection, now: datetime) -> Check:
    """Mail of people that nobody has looked at in quarantine for an hour."""
    m = messages.c
    late = now - timedelta(seconds=UNSEEN_S)
    unseen = (m.state == InboxState.QUARANTINED, m.mail_class == MailClass.HUMAN, m.received_at < late)
    some = select(m.received_at).where(*unseen).limit(MOST_UNSEEN).subquery()
    count, since = connection.execute(select(func.count(), func.min(some.c.received_at)).select_from(some)).one()
    if not count:
        return Check("quarantine")
    more = "+" if count == MOST_UNSEEN else ""
    are = "mail of a person is" if count == 1 else "mails of people are"
    what = f"{count}{more} {are} in quarantine for more than 60 min"
    return Check("quarantine", what, since, "gateway messages list --state quarantined, then release or discard")


def _promises(connection: Connection, now: datetime) -> Check:
    count = overdue(connection)
    if not count:
        return Check("promises")
    since = connection.execute(select(func.min(tickets.c.limit_at)).where(OVERDUE, _WITH_LIMIT)).scalar()
    what = _many(count, "ticket is past its limit", "tickets are past their limit")
    return Check("promises", what, since, "gateway tickets list --state open, then gateway tickets reply")


def _clocks(connection: Connection) -> Check:
    forgotten = openings.unwatched(connection)
    if not forgotten:
        return Check("clocks")
    return Check("clocks", f"no clock watches {', '.join(forgotten)}", None, "gateway tickets reopen REFERENCE")


def _writable(connection: Connection) -> Check:
    """Whether the database takes nothing though it can be read (a standby, or a primary after its failover)."""
    if connection.dialect.name != "postgresql":
        return Check("database")
    if connection.exec_driver_sql("show transaction_read_only").scalar() == "off":
        return Check("database")
    do = "make it writable, or let [database] name the new primary and restart"
    return Check("database", "the database is read-only: no mail is taken", None, do, blocks=True)


#: what happens where nobody has a role
_WITHOUT = {
    "ingest": "no mail is taken", "work": "mails wait undecided", "send": "replies wait", "http": "there is no console",
}  # fmt: skip


def _roles(connection: Connection) -> Check:
    """The roles that no node has which is there now."""
    missing = nodes.unserved(nodes.live(connection))
    if not missing:
        return Check("nodes")
    what = "; ".join(f"no node has the role {role}: {_WITHOUT[role]}" for role in missing)
    do = "start one that has it in [node] roles (gateway status names those that run)"
    return Check("nodes", what, None, do, blocks="work" in missing)


def _source(row: SourceState, now: datetime) -> Check:
    """What a person should know of a mailbox."""
    away = mailboxes.away_for(row, now, row.read_at or now)
    if row.state not in ("auth_failed", "away") and away < row.silence_s and not row.error:
        return Check("sources")
    read = f"last read {away:.0f} s ago" if row.read_at else "not read yet"
    what = f"the mailbox {row.name}: {row.state}, {read}; {row.error}".rstrip("; ")
    do = "correct its password or [[imap]], then gateway reload" if row.state == "auth_failed" else "gateway doctor"
    return Check("sources", what, row.read_at, do)


def merged(first: Iterable[Check], second: Iterable[Check]) -> list[Check]:
    """Both, where they differ; of what both say of the relay or the database the first one counts."""
    found = list(first)
    once = {check.name for check in found if check.problem} & {RELAY, "database", "readers"}
    return found + [check for check in second if check.problem and check.name not in once]


def on(check: Check, node: str) -> Check:
    """The check as other nodes show it."""
    return replace(check, problem=f"on {node}: {check.problem}")
