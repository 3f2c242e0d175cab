"""What commands and health pages show: the fixed JSON objects of docs/json.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from gateway.database import inbox, nodes, typed
from gateway.database.among import among
from gateway.database.tables import (
    ANSWERED,
    Arrival,
    AttachmentRow,
    Entry,
    FactRow,
    OutboxRow,
    SourceState,
    Ticket,
    Trace,
    arrivals,
    attachments,
    entries,
    facts,
    messages,
    outbox,
    tickets,
    traces,
)
from gateway.model import FACT_KINDS, InboxState, JsonObject, OutboxState, TicketState
from gateway.tickets import corrections, health, labels, listing, mailboxes, merging, presence, search


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def _facts(connection: Connection, ids: list[int]) -> dict[int, list[FactRow]]:
    """The rows of facts of each ticket."""
    found: dict[int, list[FactRow]] = {key: [] for key in ids}
    for row in typed.every(
        connection, FactRow, select(facts).where(among(facts.c.ticket_id, ids)).order_by(facts.c.id)
    ):
        found[row.ticket_id].append(row)
    return found


def _facts_shown(rows: list[FactRow]) -> JsonObject:
    found: dict[str, list[JsonObject]] = {kind: [] for kind in FACT_KINDS}
    incident = None
    for row in rows:
        if row.kind == "incident":
            incident = row.value
            continue
        shown = {"value": row.value, "ownership": row.ownership} | ({"quoted": True} if row.quoted else {})
        if shown not in found[row.kind]:
            found[row.kind].append(shown)
    return {**found, "incident_started_at": incident}


def _ticket(row: Ticket, known: JsonObject, tags: list[str]) -> JsonObject:
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


def ticket_list(connection: Connection, wanted: listing.Filter, limit: int) -> list[JsonObject]:
    """``tickets list``, in the order of ``listing.listed``."""
    return _tickets(connection, listing.listed(connection, wanted, limit))


def ticket_page(connection: Connection, some: Sequence[int]) -> list[JsonObject]:
    """``tickets list`` of these ids, in their order."""
    return _tickets(connection, listing.of_ids(connection, some))


def _tickets(connection: Connection, rows: Sequence[Ticket]) -> list[JsonObject]:
    ids = [row.id for row in rows]
    known, tags = _facts(connection, ids), labels.of_all(connection, ids)
    return [_ticket(row, _facts_shown(known[row.id]), tags[row.id]) for row in rows]


def ticket_show(connection: Connection, row: Ticket, full: bool = False, now: datetime | None = None) -> JsonObject:
    """``tickets show REF``; with ``full`` each entry has its ``full_text``, where it differs from ``text``. ``now``:
    for who has it open."""
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


def _entries(connection: Connection, ids: list[int], full: bool) -> list[JsonObject]:
    """Every contribution, those of merged tickets among the rest by their time."""
    e, a = entries.c, attachments.c
    rows = typed.every(connection, Entry, select(entries).where(among(e.ticket_id, ids)).order_by(e.at, e.id))
    files: dict[int, list[JsonObject]] = {row.id: [] for row in rows}
    for file in typed.every(
        connection, AttachmentRow, select(attachments).where(among(a.entry_id, files)).order_by(a.id)
    ):
        shown = {"filename": file.filename, "type": file.type, "size": file.size, "sha256": file.sha256}
        files[file.entry_id].append(shown)
    return [_entry(row, files[row.id], full) for row in rows]


def _entry(row: Entry, files: list[JsonObject], full: bool) -> JsonObject:
    names = ("id", "direction", "kind", "author", "text", "status")
    shown = {name: getattr(row, name) for name in names} | {"at": _iso(row.at), "attachments": files}
    return shown | {"full_text": row.full_text} if full else shown


def _trace(connection: Connection, ids: list[int]) -> list[str]:
    rows = typed.every(connection, Trace, select(traces).where(among(traces.c.ticket_id, ids)).order_by(traces.c.id))
    return [
        f"{row.at.isoformat(timespec='seconds')} message {row.message_id}: {line}" for row in rows for line in row.lines
    ]


def _arrivals(connection: Connection, ids: list[int]) -> list[str]:
    """The further arrivals of the mails of a ticket: when, by which way, and what became of each."""
    a = arrivals.c
    query = select(arrivals).join(messages, messages.c.id == a.message_id).where(among(messages.c.ticket_id, ids))
    return [
        f"{row.received_at.isoformat(timespec='seconds')} message {row.message_id} came again by {row.source}"
        f"{f' from {row.client}' if row.client else ''}: {row.note or 'not looked at yet'}"
        for row in typed.every(connection, Arrival, query.order_by(a.id).limit(100))
    ]


def _replies(connection: Connection, ids: list[int]) -> list[JsonObject]:
    """What the customer was sent, or is to be: every mail to him and what became of it."""
    o = outbox.c
    mine = select(outbox).where(among(o.ticket_id, ids), o.kind != "staff").order_by(o.id)
    names = ("id", "template", "language", "state", "attempts")
    return [
        {name: getattr(row, name) for name in names}
        | {"to": row.recipient, "at": _iso(row.sent_at or row.dead_at or row.created_at), "error": _error(row)}
        for row in typed.every(connection, OutboxRow, mine)
    ]


def _error(row: OutboxRow) -> str:
    return row.last_error or (f"bounced: {row.bounced}" if row.bounced else "")


def _reference(connection: Connection, ticket_id: int | None) -> str | None:
    found: str | None = connection.execute(select(tickets.c.reference).where(tickets.c.id == ticket_id)).scalar()
    return found


def _sendings(connection: Connection, ids: list[int]) -> list[str]:
    """What was sent of a ticket, or was not and why: a line for each reply."""
    o = outbox.c
    rows = typed.every(connection, OutboxRow, select(outbox).where(among(o.ticket_id, ids)).order_by(o.id))
    lines = []
    for row in rows:
        at = (row.sent_at or row.dead_at or row.created_at).isoformat(timespec="seconds")
        tries = f" after {row.attempts} tries" if row.attempts > 1 else ""
        why = _error(row)
        lines.append(
            f"{at} outbox {row.id}: {row.template} to {row.recipient}: {row.state}{tries}{': ' + why if why else ''}"
        )
    return lines


def message_list(connection: Connection, state: str | None, disposition: str | None, limit: int) -> list[JsonObject]:
    """``messages list``, newest first."""
    return search.inbox_rows(connection, search.Search(state=state, disposition=disposition, limit=limit))


def outbox_list(connection: Connection, state: str | None, limit: int) -> list[JsonObject]:
    """``outbox list``, newest first."""
    return search.outbox_rows(connection, search.Search(state=state, limit=limit))


def status(
    connection: Connection,
    now: datetime,
    directory_age_s: float | None,
    directory_usable: bool,
    relay_problem: str = "",
) -> JsonObject:
    """``status`` as the database knows it; ``problems`` is what needs a person."""
    found = health.stored(connection, now)
    if not directory_usable:
        found.append(health.Check("directory", "the account directory cannot be read or is too old"))
    if relay_problem:
        found.append(health.Check("relay", f"the relay: {relay_problem}"))
    counted = counts(connection)
    oldest = inbox.oldest_pending(connection)
    return {
        **{state: counted["inbox"][state] for state in ("pending", "processing", "failed", "quarantined")},
        "oldest_pending_s": round((now - oldest).total_seconds(), 1) if oldest is not None else None,
        "outbox_queued": counted["outbox"]["queued"] + counted["outbox"]["sending"],
        "outbox_dead": counted["outbox"]["dead"],
        "due_next": _iso(due_next(connection, now)),
        "directory_age_s": round(directory_age_s, 1) if directory_age_s is not None else None,
        "sources": [_source(row) for row in mailboxes.rows(connection)],
        "nodes": [str(node) for node in nodes.live(connection)],
        "problems": [check.line for check in found],
    }


def first_responses(connection: Connection, since: datetime) -> list[float]:
    """Seconds from the opening to the first answer, of tickets that got it since."""
    t = tickets.c
    rows = connection.execute(
        select(t.first_response_at, t.opened_at).where(ANSWERED, t.first_response_at > since)
    ).all()
    return [(row.first_response_at - row.opened_at).total_seconds() for row in rows]


def due_next(connection: Connection, now: datetime) -> datetime | None:
    """When something is due next; what is due already is due now."""
    m, o, t = messages.c, outbox.c, tickets.c
    due = [
        connection.execute(select(func.min(m.due_at)).where(m.state == InboxState.PENDING)).scalar(),
        connection.execute(
            select(func.min(m.due_at)).where(m.state == InboxState.DONE, m.due_at.is_not(None))
        ).scalar(),
        connection.execute(select(func.min(o.next_at)).where(o.state == OutboxState.QUEUED)).scalar(),
        connection.execute(select(func.min(t.clock_next_at)).where(t.clock_next_at.is_not(None))).scalar(),
    ]
    return max((min(known), now)) if (known := [moment for moment in due if moment is not None]) else None


def with_usage(found: JsonObject, usage: JsonObject) -> JsonObject:
    """``status`` with what the running service says of its listeners; ``None`` where it says nothing."""
    names = ("connections", "connections_limit", "octets_in_flight", "octets_in_flight_limit")
    return found | {name: usage.get(name) for name in names}


def _source(row: SourceState) -> JsonObject:
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


def counts(connection: Connection) -> dict[str, dict[str, int]]:
    """Rows by queue and state, for ``status`` and the metrics: those that wait or need a person, each found in an index
    and counted up to ``health.MOST``. What is done is in the counters."""
    m, o, a, t = messages.c, outbox.c, arrivals.c, tickets.c
    inbox_states = (InboxState.PENDING, InboxState.PROCESSING, InboxState.FAILED, InboxState.QUARANTINED)
    outbox_states = (OutboxState.QUEUED, OutboxState.SENDING)
    dead = (o.state == OutboxState.DEAD, o.last_error != "discarded")
    return {
        "inbox": {str(state): health.counted(connection, m.state == state) for state in inbox_states},
        "outbox": {str(state): health.counted(connection, o.state == state) for state in outbox_states}
        | {"dead": health.counted(connection, *dead)},
        "recheck": {"due": health.counted(connection, m.state == InboxState.DONE, m.due_at.is_not(None))},
        "arrivals": {"pending": health.counted(connection, a.state == InboxState.PENDING)},
        "tickets": {
            "open": health.counted(connection, t.state == TicketState.OPEN),
            "waiting": health.counted(connection, t.state == TicketState.WAITING),
            "overdue": health.overdue(connection),
        },
    }
