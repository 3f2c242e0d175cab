"""What is kept for how long. A purge walks each kind of row from the oldest on in small steps: it reads what is due,
then removes it in a transaction of its own that takes a fraction of a second, so that no mail waits for it.

Rows are numbered as they come, so the oldest are found by their number; no index is kept for the purge alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select

from gateway.database import originals, typed
from gateway.database.among import among
from gateway.database.console_tables import answer_files as files_of_answers
from gateway.database.tables import (
    METADATA,
    Ticket,
    arrivals,
    attachments,
    entries,
    incident_tickets,
    incidents,
    messages,
    notices,
    outbox,
    raw,
    signatures,
    suppressions,
    thread_ids,
    ticket_links,
    tickets,
    traces,
)
from gateway.model import InboxState, OutboxState, TicketState
from gateway.tickets import answer_files, holds, word_index
from gateway.tickets.settings import Retention

STEP = 25  #: rows that one transaction removes at most
LOOK = 500  #: rows that are looked at in one read
SIGNATURE = timedelta(days=30)  #: a DKIM signature that is older than 7 days proves nothing any more
ABANDONED = timedelta(hours=1)
UNSENT = timedelta(days=30)  #: a file that nobody sent
SLACK = timedelta(days=7)  #: rows are numbered by receipt here; a mailbox may give mail that its server took in earlier
PIECES = 4  #: of a large mail, 1 MB each, in one transaction


#: of what is removed: a row's id, a signature's mark, the two numbers of a piece; ``None`` where a walk begins
Place = Any


@dataclass(frozen=True, slots=True)
class Found:
    """``due``: ids to remove; ``after``: where the walk goes on, or ``None`` at its end."""

    due: tuple[Place, ...]
    after: Place


Find = Callable[[Connection, datetime, Place], Found]
Remove = Callable[[Connection, Sequence[Place], datetime], int]


@dataclass(frozen=True, slots=True)
class Kind:
    """One walk. ``find`` reads (cutoff, after) and ``remove`` deletes ids that ``find`` gave and are still due."""

    name: str
    keep: timedelta
    find: Find
    remove: Remove
    step: int = STEP


def kinds(keep: Retention) -> list[Kind]:
    """The walks of a configuration, in their order."""
    found = []
    if keep.tickets is not None:
        found.append(Kind("tickets", timedelta(seconds=keep.tickets), _tickets, _remove_tickets))
    if keep.mails is not None:
        found.append(Kind("mails", timedelta(seconds=keep.mails), _mails, _remove_mails))
    if keep.quarantine is not None:
        found.append(Kind("quarantine", timedelta(seconds=keep.quarantine), _unticketed, _remove_unticketed))
    if keep.evidence is not None:
        found.append(Kind("evidence", timedelta(seconds=keep.evidence), _traces, _by_id(traces), LOOK))
    if keep.records is not None:
        records = timedelta(seconds=keep.records)
        found += [
            Kind("staff mails", records, _staff_mails, _by_id(outbox), LOOK),
            Kind("notices", records, _notices, _by_id(notices), LOOK),
            Kind("arrivals", records, _arrivals, _by_id(arrivals), LOOK),
            Kind("incidents", records, _incidents, _remove_incidents),
        ]
    return [
        *found,
        Kind("signatures", SIGNATURE, _signatures, _remove_signatures, LOOK),
        Kind("suppressions", timedelta(0), _suppressions, _remove_suppressions, LOOK),
        Kind("thread ids", timedelta(0), _orphans, _by_id(thread_ids), LOOK),
        Kind("unsent files", UNSENT, _unsent, _remove_unsent, LOOK),
        Kind("abandoned pieces", ABANDONED, _pieces, _remove_pieces, PIECES),
    ]


def _by_id(table: Table) -> Remove:
    def remove(connection: Connection, ids: Sequence[Place], _: datetime) -> int:
        return int(connection.execute(delete(table).where(among(table.c.id, ids))).rowcount)

    return remove


def _walked(rows: Sequence[Any], due: Sequence[Place], young: bool) -> Found:
    """``young``: nothing after these rows is old enough."""
    return Found(tuple(due), None if young or len(rows) < LOOK else rows[-1].id)


def _dated(table: Table, at: ColumnElement[datetime], *conditions: ColumnElement[bool]) -> Find:
    """Rows whose moment ``at`` is before the cutoff."""

    def find(connection: Connection, cutoff: datetime, after: Place) -> Found:
        chosen = select(table.c.id, at.label("at")).where(table.c.id > (after or 0), *conditions)
        rows = connection.execute(chosen.order_by(table.c.id).limit(LOOK)).all()
        due = [row.id for row in rows if row.at is not None and row.at < cutoff]
        return _walked(rows, due, all(row.at is not None and row.at >= cutoff + SLACK for row in rows))

    return find


_traces = _dated(traces, traces.c.at)
_notices = _dated(notices, notices.c.told_at, notices.c.told_at.is_not(None))
_arrivals = _dated(arrivals, arrivals.c.received_at, arrivals.c.state == InboxState.DONE)
_incidents = _dated(incidents, incidents.c.closed_at, incidents.c.state == "closed")
_unsent = _dated(files_of_answers, files_of_answers.c.at, files_of_answers.c.entry_id.is_(None))
_staff_mails = _dated(
    outbox, outbox.c.created_at, outbox.c.kind == "staff", outbox.c.state.in_([OutboxState.SENT, OutboxState.DEAD])
)


def _tickets(connection: Connection, cutoff: datetime, after: Place) -> Found:
    """Tickets that nobody waits in, with nothing new since the cutoff, and under no hold."""
    t = tickets.c
    last = select(func.max(entries.c.at)).where(entries.c.ticket_id == t.id).scalar_subquery()
    rows = typed.part(
        connection,
        Ticket,
        select(t.id, t.reference, t.account, t.accounts, t.author, t.state, t.opened_at, t.closed_at)
        .where(t.id > (after or 0))
        .order_by(t.id)
        .limit(LOOK),
    )
    old = [
        row for row in rows
        if row.state != TicketState.OPEN
        and row.opened_at < cutoff
        and (row.closed_at is None or row.closed_at < cutoff)
    ]  # fmt: skip
    if old:
        quiet = select(t.id).where(among(t.id, [row.id for row in old]), func.coalesce(last, t.opened_at) < cutoff)
        ids = set(connection.execute(quiet).scalars())
        held = holds.read(connection)
        old = [row for row in old if row.id in ids and not (held and held.ticket(connection, row))]
    return _walked(rows, [row.id for row in old], all(row.opened_at >= cutoff + SLACK for row in rows))


def _remove_tickets(connection: Connection, ids: Sequence[Place], cutoff: datetime) -> int:
    t = tickets.c
    rows = connection.execute(
        select(t.id).where(among(t.id, ids), t.state != TicketState.OPEN).with_for_update(skip_locked=True)
    ).scalars()
    still = list(rows)
    if still:
        remove_tickets(connection, still)
    return len(still)


def remove_tickets(connection: Connection, ids: Sequence[int]) -> None:
    """Deletes tickets with all that belongs to them: mails and their bytes, contributions and what is found by their
    words, replies, reasons."""
    m, o, e = messages.c, outbox.c, entries.c
    mails = connection.execute(select(m.id, m.message_id).where(among(m.ticket_id, ids))).all()
    _remove_messages(connection, [row.id for row in mails])
    named = [row.message_id for row in mails if row.message_id]
    named += connection.execute(select(o.rfc_id).where(among(o.ticket_id, ids))).scalars()
    known = thread_ids.c
    connection.execute(delete(thread_ids).where(among(known.rfc_id, named), among(known.ticket_id, ids)))
    contributions = list(connection.execute(select(e.id).where(among(e.ticket_id, ids))).scalars())
    connection.execute(delete(attachments).where(among(attachments.c.entry_id, contributions)))
    word_index.forget(connection, contributions)
    answer_files.drop(connection, ids)
    for table in METADATA.sorted_tables:
        if "ticket_id" in table.c and table not in (messages, thread_ids):
            connection.execute(delete(table).where(among(table.c.ticket_id, ids)))
    connection.execute(delete(ticket_links).where(among(ticket_links.c.other_id, ids)))
    connection.execute(delete(tickets).where(among(tickets.c.id, ids)))


def _remove_messages(connection: Connection, ids: Sequence[int]) -> None:
    a = arrivals.c
    further = list(connection.execute(select(a.id).where(among(a.message_id, ids))).scalars())
    originals.forget(connection, [*ids, *(-arrival for arrival in further)])
    connection.execute(delete(arrivals).where(among(a.id, further)))
    connection.execute(delete(traces).where(among(traces.c.message_id, ids)))
    connection.execute(delete(messages).where(among(messages.c.id, ids)))


def _mails(connection: Connection, cutoff: datetime, after: Place) -> Found:
    """Mails whose bytes are still there, which are settled, and whose ticket nobody waits in."""
    m, t = messages.c, tickets.c
    ids = list(
        connection.execute(
            select(raw.c.message_id)
            .where(raw.c.message_id > (after or 0))
            .distinct()
            .order_by(raw.c.message_id)
            .limit(LOOK)
        ).scalars()
    )
    rows = connection.execute(
        select(m.id, m.author, m.state, m.received_at, m.done_at, m.due_at, m.ticket_id, t.state.label("ticket"),
               t.reference, t.account, t.accounts)
        .select_from(messages.outerjoin(tickets, t.id == m.ticket_id))
        .where(among(m.id, ids))
        .order_by(m.id)
    ).all()  # fmt: skip
    held = holds.read(connection)
    settled = [InboxState.DONE, InboxState.QUARANTINED]
    due = [
        row.id for row in rows
        if row.received_at < cutoff and row.state in settled and row.due_at is None and row.ticket != TicketState.OPEN
        and not (held and _is_held(connection, row, held))
    ]  # fmt: skip
    return _walked(rows, due, all(row.received_at >= cutoff + SLACK for row in rows))


def _is_held(connection: Connection, mail: Any, held: holds.Held) -> bool:
    if held.author(mail.author):
        return True
    if mail.ticket_id is None:
        return False
    row = typed.first(connection, Ticket, select(tickets).where(tickets.c.id == mail.ticket_id))
    return row is not None and held.ticket(connection, row)


def _remove_mails(connection: Connection, ids: Sequence[Place], _: datetime) -> int:
    originals.forget(connection, ids)
    return len(ids)


def _unticketed(connection: Connection, cutoff: datetime, after: Place) -> Found:
    """Mails that opened no ticket: quarantined, recorded, ignored. What failed waits for a person."""
    m = messages.c
    rows = connection.execute(
        select(m.id, m.author, m.received_at, m.state, m.due_at)
        .where(m.ticket_id.is_(None), m.id > (after or 0))
        .order_by(m.id)
        .limit(LOOK)
    ).all()
    held = holds.read(connection)
    settled = [InboxState.DONE, InboxState.QUARANTINED]
    due = [
        row.id for row in rows
        if row.received_at < cutoff and row.state in settled and row.due_at is None and not held.author(row.author)
    ]  # fmt: skip
    return _walked(rows, due, all(row.received_at >= cutoff + SLACK for row in rows))


def _remove_unticketed(connection: Connection, ids: Sequence[Place], _: datetime) -> int:
    m = messages.c
    still = select(m.id).where(
        among(m.id, ids), m.ticket_id.is_(None), m.state.in_([InboxState.DONE, InboxState.QUARANTINED])
    )
    left = list(connection.execute(still.with_for_update(skip_locked=True)).scalars())
    _remove_messages(connection, left)
    return len(left)


def _remove_incidents(connection: Connection, ids: Sequence[Place], _: datetime) -> int:
    connection.execute(delete(incident_tickets).where(among(incident_tickets.c.incident_id, ids)))
    return int(connection.execute(delete(incidents).where(among(incidents.c.id, ids))).rowcount)


def _signatures(connection: Connection, cutoff: datetime, after: Place) -> Found:
    """Signatures of mails that are old, or gone. They have no number: the walk is in the order of their marks."""
    s, m = signatures.c, messages.c
    rows = connection.execute(
        select(s.mark, m.received_at)
        .select_from(signatures.outerjoin(messages, m.id == s.message_id))
        .where(s.mark > (after or ""))
        .order_by(s.mark)
        .limit(LOOK)
    ).all()
    due = [row.mark for row in rows if row.received_at is None or row.received_at < cutoff]
    return Found(tuple(due), rows[-1].mark if len(rows) == LOOK else None)


def _remove_signatures(connection: Connection, marks: Sequence[Place], _: datetime) -> int:
    return int(connection.execute(delete(signatures).where(among(signatures.c.mark, marks))).rowcount)


def _suppressions(connection: Connection, cutoff: datetime, _: Place) -> Found:
    """Addresses to which mail is sent again."""
    over = select(suppressions.c.canonical).where(suppressions.c.until < cutoff).limit(LOOK)
    return Found(tuple(connection.execute(over).scalars()), None)


def _remove_suppressions(connection: Connection, addresses: Sequence[Place], cutoff: datetime) -> int:
    over = delete(suppressions).where(among(suppressions.c.canonical, addresses), suppressions.c.until < cutoff)
    return int(connection.execute(over).rowcount)


def _orphans(connection: Connection, cutoff: datetime, after: Place) -> Found:
    """Message-IDs of tickets that are gone."""
    k = thread_ids.c
    rows = connection.execute(
        select(k.id, tickets.c.id.label("ticket"))
        .select_from(thread_ids.outerjoin(tickets, tickets.c.id == k.ticket_id))
        .where(k.id > (after or 0))
        .order_by(k.id)
        .limit(LOOK)
    ).all()
    return _walked(rows, [row.id for row in rows if row.ticket is None], False)


def _remove_unsent(connection: Connection, ids: Sequence[Place], _: datetime) -> int:
    return answer_files.forget(connection, ids)


def _pieces(connection: Connection, cutoff: datetime, after: Place) -> Found:
    return Found(tuple(originals.abandoned(connection, cutoff, LOOK)), None)


def _remove_pieces(connection: Connection, keys: Sequence[Place], _: datetime) -> int:
    return originals.drop_pieces(connection, keys)
