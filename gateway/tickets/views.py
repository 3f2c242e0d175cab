"""What commands and health pages show: the fixed JSON objects of DESIGN's "Interfaces"."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.database.tables import arrivals, attachments, entries, facts, messages, outbox, tickets, traces
from gateway.model import FACT_KINDS, Disposition, InboxState, MailClass, OutboxState, TicketState
from gateway.tickets import conditions, corrections, labels, listing, mailboxes, merging, openings, presence

UNSEEN_S = 3600.0
STUCK_S = 300.0


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def _facts(connection: Connection, ids: list[int]) -> dict[int, list[Any]]:
    """The rows of facts of each ticket."""
    found: dict[int, list[Any]] = {key: [] for key in ids}
    for row in connection.execute(select(facts).where(facts.c.ticket_id.in_(ids)).order_by(facts.c.id)):
        found[row.ticket_id].append(row)
    return found


def _facts_shown(rows: list[Any]) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in FACT_KINDS}
    incident = None
    for row in rows:
        if row.kind == "incident":
            incident = row.value
            continue
        shown = {"value": row.value, "ownership": row.ownership} | ({"quoted": True} if row.quoted else {})
        if shown not in found[row.kind]:
            found[row.kind].append(shown)
    return {**found, "incident_started_at": incident}


def _ticket(row: Any, known: dict[str, Any], tags: list[str]) -> dict[str, Any]:
    return {
        "reference": row.reference,
        "state": row.state,
        "account": row.account,
        "author": row.author,
        "trust": row.trust,
        "department": row.department,
        "priority": row.priority,
        "critical": row.critical,
        "language": row.language,
        "subject": row.subject,
        "orders": known["orders"],
        "ips": known["ips"],
        "services": known["services"],
        "opened_at": _iso(row.opened_at),
        "target_at": _iso(row.target_at),
        "limit_at": _iso(row.limit_at),
        "acknowledged_at": _iso(row.acknowledged_at),
        "first_response_at": _iso(row.first_response_at),
        "breached": row.breached,
        "owner": row.owner,
        "tags": tags,
        "snoozed_until": _iso(row.snoozed_until),
    }


def ticket_list(connection: Connection, wanted: listing.Filter, limit: int) -> list[dict[str, Any]]:
    """``tickets list``, in the order of ``listing.chosen``."""
    rows = connection.execute(listing.chosen(wanted).limit(limit)).all()
    ids = [row.id for row in rows]
    known, tags = _facts(connection, ids), labels.of_all(connection, ids)
    return [_ticket(row, _facts_shown(known[row.id]), tags[row.id]) for row in rows]


def ticket_show(connection: Connection, row: Any, full: bool = False, now: datetime | None = None) -> dict[str, Any]:
    """``tickets show REF``; with ``full`` each entry has its ``full_text``, where it differs from ``text``. ``now``: for who
    has it open."""
    parts = merging.parts(connection, row)
    ids = [row.id, *(part.id for part in parts)]
    known = _facts_shown([fact for rows in _facts(connection, ids).values() for fact in rows])
    return _ticket(row, known, labels.tags(connection, row.id)) | {
        "question": row.question,
        "sensitive": row.sensitive,
        "missing": row.missing,
        "marks": row.marks,
        "silence": row.silence,
        "linked_to": _reference(connection, row.linked_to),
        "linked": merging.linked(connection, row),
        "merged": [part.reference for part in parts],
        "merged_into": _reference(connection, row.merged_into),
        "watchers": row.watchers,
        "version": row.version,
        "open_with": presence.others(connection, row.id, None, now) if now is not None else [],
        "corrections": corrections.history(connection, row.id),
        "invoices": known["invoices"],
        "hosts": known["hosts"],
        "customers": known["customers"],
        "incident_started_at": known["incident_started_at"],
        "entries": _entries(connection, ids, full),
        "replies": _replies(connection, ids),
        "trace": _trace(connection, ids) + _arrivals(connection, ids) + _sendings(connection, ids),
    }


def _entries(connection: Connection, ids: list[int], full: bool) -> list[dict[str, Any]]:
    """Every contribution, those of merged tickets among the rest by their time."""
    e, a = entries.c, attachments.c
    rows = connection.execute(select(entries).where(e.ticket_id.in_(ids)).order_by(e.at, e.id)).all()
    files: dict[int, list[dict[str, Any]]] = {row.id: [] for row in rows}
    for file in connection.execute(select(attachments).where(a.entry_id.in_(list(files))).order_by(a.id)):
        shown = {"filename": file.filename, "type": file.type, "size": file.size, "sha256": file.sha256}
        files[file.entry_id].append(shown)
    return [_entry(row, files[row.id], full) for row in rows]


def _entry(row: Any, files: list[dict[str, Any]], full: bool) -> dict[str, Any]:
    names = ("id", "direction", "kind", "author", "text", "status")
    shown = {name: getattr(row, name) for name in names} | {"at": _iso(row.at), "attachments": files}
    return shown | {"full_text": row.full_text} if full else shown


def _trace(connection: Connection, ids: list[int]) -> list[str]:
    rows = connection.execute(select(traces).where(traces.c.ticket_id.in_(ids)).order_by(traces.c.id)).all()
    return [
        f"{row.at.isoformat(timespec='seconds')} message {row.message_id}: {line}" for row in rows for line in row.lines
    ]


def _arrivals(connection: Connection, ids: list[int]) -> list[str]:
    """The further arrivals of the mails of a ticket: when, by which way, and what became of each."""
    a = arrivals.c
    query = select(arrivals).join(messages, messages.c.id == a.message_id).where(messages.c.ticket_id.in_(ids))
    return [
        f"{row.received_at.isoformat(timespec='seconds')} message {row.message_id} came again by {row.source}"
        f"{f' from {row.client}' if row.client else ''}: {row.note or 'not looked at yet'}"
        for row in connection.execute(query.order_by(a.id).limit(100))
    ]


def _replies(connection: Connection, ids: list[int]) -> list[dict[str, Any]]:
    """What the customer was sent, or is to be: every mail to him and what became of it."""
    o = outbox.c
    mine = select(outbox).where(o.ticket_id.in_(ids), o.kind != "staff").order_by(o.id)
    names = ("id", "template", "language", "state", "attempts")
    return [
        {name: getattr(row, name) for name in names}
        | {"to": row.recipient, "at": _iso(row.sent_at or row.dead_at or row.created_at), "error": _error(row)}
        for row in connection.execute(mine)
    ]


def _error(row: Any) -> str:
    return row.last_error or (f"bounced: {row.bounced}" if row.bounced else "")


def _reference(connection: Connection, ticket_id: int | None) -> str | None:
    found: str | None = connection.execute(select(tickets.c.reference).where(tickets.c.id == ticket_id)).scalar()
    return found


def _sendings(connection: Connection, ids: list[int]) -> list[str]:
    """What was sent of a ticket, or was not and why: a line for each reply."""
    o = outbox.c
    rows = connection.execute(select(outbox).where(o.ticket_id.in_(ids)).order_by(o.id)).all()
    lines = []
    for row in rows:
        at = (row.sent_at or row.dead_at or row.created_at).isoformat(timespec="seconds")
        tries = f" after {row.attempts} tries" if row.attempts > 1 else ""
        why = _error(row)
        lines.append(
            f"{at} outbox {row.id}: {row.template} to {row.recipient}: {row.state}{tries}{': ' + why if why else ''}"
        )
    return lines


def message_list(
    connection: Connection, state: str | None, disposition: str | None, limit: int
) -> list[dict[str, Any]]:
    """``messages list``, newest first."""
    m = messages.c
    query = select(messages, tickets.c.reference).outerjoin(tickets, tickets.c.id == m.ticket_id)
    if state:
        query = query.where(m.state == state)
    if disposition:
        query = query.where(m.disposition == disposition)
    rows = connection.execute(query.order_by(m.id.desc()).limit(limit)).all()
    return [
        {
            "id": row.id,
            "source": row.source,
            "received_at": _iso(row.received_at),
            "state": row.state,
            "disposition": row.disposition,
            "reason": row.reason,
            "ticket": row.reference,
            "attempts": row.attempts,
        }
        for row in rows
    ]


def outbox_list(connection: Connection, state: str | None, limit: int) -> list[dict[str, Any]]:
    """``outbox list``, newest first."""
    o = outbox.c
    query = select(outbox, tickets.c.reference).outerjoin(tickets, tickets.c.id == o.ticket_id)
    if state:
        query = query.where(o.state == state)
    rows = connection.execute(query.order_by(o.id.desc()).limit(limit)).all()
    return [
        {
            "id": row.id,
            "ticket": row.reference,
            "template": row.template,
            "to": row.recipient,
            "state": row.state,
            "attempts": row.attempts,
            "next_at": _iso(row.next_at),
            "last_error": _error(row),
        }
        for row in rows
    ]


def _count(connection: Connection, query: Any) -> int:
    return int(connection.execute(query).scalar_one())


def status(
    connection: Connection,
    now: datetime,
    directory_age_s: float | None,
    directory_usable: bool,
    relay_problem: str = "",
) -> dict[str, Any]:
    """``status``; ``problems`` is what needs a person."""
    m, o, t = messages.c, outbox.c, tickets.c
    counts = {
        str(row[0]): int(row[1]) for row in connection.execute(select(m.state, func.count()).group_by(m.state)).all()
    }
    waiting = [InboxState.PENDING, InboxState.PROCESSING]
    oldest = connection.execute(select(func.min(m.received_at)).where(m.state.in_(waiting))).scalar()
    queued = _count(connection, select(func.count()).where(o.state.in_([OutboxState.QUEUED, OutboxState.SENDING])))
    dead = _count(connection, select(func.count()).where(o.state == OutboxState.DEAD, o.last_error != "discarded"))
    due = [
        connection.execute(select(func.min(m.due_at))).scalar(),
        connection.execute(select(func.min(o.next_at))).scalar(),
        connection.execute(select(func.min(t.clock_next_at)).where(t.state != TicketState.CLOSED)).scalar(),
    ]
    problems: list[str] = []
    failed = counts.get(InboxState.FAILED, 0)
    if failed:
        problems.append(f"{failed} failed mails: gateway messages list --state failed")
    if dead:
        problems.append(f"{dead} dead replies: gateway outbox list --state dead")
    problems += _unread(connection)
    problems += _unseen(connection, now)
    age = (now - oldest).total_seconds() if oldest is not None else None
    if age is not None and age > STUCK_S:
        problems.append(f"a mail has been pending for {age:.0f} s")
    breaches = _count(
        connection,
        select(func.count()).where(t.breached.is_(True), t.round_started_at.is_not(None), t.state == TicketState.OPEN),
    )
    if breaches:
        problems.append(f"{breaches} tickets past their limit: gateway tickets list --state open")
    if not directory_usable:
        problems.append("the account directory cannot be read or is too old")
    if relay_problem:
        problems.append(f"the relay: {relay_problem}")
    forgotten = openings.unwatched(connection)
    if forgotten:
        problems.append(f"no clock watches {', '.join(forgotten)}: gateway tickets reopen REFERENCE")
    problems += conditions.problems(connection)
    listed = mailboxes.rows(connection)
    problems += [problem for row in listed if (problem := _source_problem(row, now))]
    return {
        "pending": counts.get(InboxState.PENDING, 0),
        "processing": counts.get(InboxState.PROCESSING, 0),
        "failed": failed,
        "quarantined": counts.get(InboxState.QUARANTINED, 0),
        "oldest_pending_s": round(age, 1) if age is not None else None,
        "outbox_queued": queued,
        "outbox_dead": dead,
        "due_next": _iso(min((moment for moment in due if moment is not None), default=None)),
        "directory_age_s": round(directory_age_s, 1) if directory_age_s is not None else None,
        "sources": [_source(row) for row in listed],
        "problems": problems,
    }


def with_usage(found: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
    """``status`` with what the running service says of its listeners; ``None`` where it says nothing."""
    names = ("connections", "connections_limit", "octets_in_flight", "octets_in_flight_limit")
    listeners = {name: usage.get(name) for name in names}
    problems = found["problems"] + ([usage["problem"]] if usage.get("problem") else [])
    return found | listeners | {"problems": problems}


def database_problems(connection: Connection) -> list[str]:
    """Whether the database takes nothing though it can be read (a standby, or a primary after its failover)."""
    if connection.dialect.name != "postgresql":
        return []
    if connection.exec_driver_sql("show transaction_read_only").scalar() == "off":
        return []
    return ["the database is read-only: no mail is taken until it is writable, or [database] names the new primary"]


def _unread(connection: Connection) -> list[str]:
    """Mails that wait because there is no process to read them, and why."""
    m = messages.c
    no_reader = (m.state == InboxState.PENDING) & m.reason.startswith("no reader")
    count, why = connection.execute(select(func.count(), func.max(m.reason)).where(no_reader)).one()
    return [f"{count} mails wait: {why}"] if count else []


def _unseen(connection: Connection, now: datetime) -> list[str]:
    """Mail of people that nobody has looked at in quarantine for an hour."""
    m = messages.c
    rows = connection.execute(
        select(m.received_at).where(m.state == InboxState.QUARANTINED, m.mail_class == MailClass.HUMAN)
    ).all()
    count = sum((now - row.received_at).total_seconds() > UNSEEN_S for row in rows)
    more = "in quarantine for more than 60 min: gateway messages list --state quarantined"
    return [f"{count} mails of people {more}"] if count else []


def _source_problem(row: Any, now: datetime) -> str:
    """What a person should know of a mailbox, or an empty string."""
    away = mailboxes.away_for(row, now, row.read_at or now)
    if row.state not in ("auth_failed", "away") and away < row.silence_s and not row.error:
        return ""
    read = f"last read {away:.0f} s ago" if row.read_at else "not read yet"
    return f"the mailbox {row.name}: {row.state}, {read}; {row.error}".rstrip("; ")


def _source(row: Any) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "state": row.state,
        "error": row.error,
        "connected_since": _iso(row.connected_since),
        "read_at": _iso(row.read_at),
        "last_mail_at": _iso(row.last_mail_at),
        "lag": row.lag,
        "next_retry_at": _iso(row.next_retry_at),
        "token_expires_at": _iso(row.token_expires_at),
    }


def relay_problem(connection: Connection, now: datetime) -> str:
    """A word on the relay when replies have waited for more than five minutes after a failure."""
    o = outbox.c
    rows = connection.execute(
        select(o.last_error, o.created_at)
        .where(o.state == OutboxState.QUEUED, o.last_error != "")
        .order_by(o.id)
        .limit(50)
    ).all()
    stuck = [row.last_error for row in rows if (now - row.created_at).total_seconds() > STUCK_S]
    return f"{len(stuck)} replies wait: {stuck[0]}" if stuck else ""


def counts(connection: Connection) -> dict[str, dict[str, int]]:
    """Rows by state of inbox and outbox, every state named, for the metrics."""
    m, o = messages.c, outbox.c

    def states(column: Any, every: type[InboxState] | type[OutboxState]) -> dict[str, int]:
        found = {str(row[0]): int(row[1]) for row in connection.execute(select(column, func.count()).group_by(column))}
        return {str(state): found.get(str(state), 0) for state in every}

    return {
        "inbox": states(m.state, InboxState),
        "outbox": states(o.state, OutboxState),
        "recheck": {
            "due": _count(connection, select(func.count()).where(m.state == InboxState.DONE, m.due_at.is_not(None)))
        },
        "arrivals": {"pending": _count(connection, select(func.count()).where(arrivals.c.state == "pending"))},
        "quarantine": {
            "human": _count(connection, select(func.count()).where(m.disposition == Disposition.QUARANTINED))
        },
    }
