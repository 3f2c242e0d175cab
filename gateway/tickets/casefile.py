"""Everything that the console shows of one ticket, read in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, not_, select

from gateway.database import typed
from gateway.database.among import among
from gateway.database.tables import (
    AttachmentRow,
    Entry,
    FactRow,
    Message,
    OutboxRow,
    Ticket,
    attachments,
    entries,
    facts,
    messages,
    outbox,
    tickets,
    traces,
)
from gateway.model import JsonObject, Person, TicketState
from gateway.tickets import corrections, labels, merging, presence

OTHERS = 20  #: of the account's other tickets, the newest
MAILS = 200  #: of an author, the latest, by which his tickets are found
MANY = 500  #: entries of one conversation, the newest


@dataclass(frozen=True, slots=True)
class Said:
    """One contribution with what belongs to it."""

    row: Entry
    reference: str  #: of the ticket that it came to, where that was merged into this one
    files: list[AttachmentRow] = field(default_factory=list)
    sent: list[OutboxRow] = field(default_factory=list)
    verdict: Message | None = None  #: the inbox row of a mail


@dataclass(frozen=True, slots=True)
class Case:
    """A ticket and all that hangs on it."""

    row: Ticket
    said: list[Said]
    facts: dict[str, list[FactRow]]
    tags: list[str]
    linked: list[Ticket]
    parts: list[Ticket]  #: that were merged into it
    others: list[Ticket]
    sent: list[OutboxRow]
    why: list[tuple[datetime, int, str]]
    same: list[Ticket]  #: those of the very same author that are not over
    corrections: list[JsonObject]
    there: list[JsonObject]


def read(connection: Connection, row: Ticket, by: Person, now: datetime) -> Case:
    """The case file of a ticket's row; tickets merged into it show in it."""
    parts = merging.parts(connection, row)
    family = {row.id: row.reference} | {part.id: part.reference for part in parts}
    sent = _rows(connection, outbox, family, outbox.c.kind != "staff")
    return Case(
        row=row,
        said=_conversation(connection, family, row.id, sent),
        facts=_facts(connection, family),
        tags=labels.tags(connection, row.id),
        linked=_tickets(connection, merging.linked(connection, row)),
        parts=parts,
        others=_others(connection, row, family),
        sent=sent,
        why=_why(connection, family),
        same=_same(connection, row),
        corrections=corrections.history(connection, row.id),
        there=presence.others(connection, row.id, by, now),
    )


def _rows(connection: Connection, table: Any, family: dict[int, str], *where: Any) -> list[Any]:
    chosen = select(table).where(among(table.c.ticket_id, family), *where).order_by(table.c.id)
    return list(connection.execute(chosen).all())


def _conversation(connection: Connection, family: dict[int, str], own: int, sent: list[OutboxRow]) -> list[Said]:
    e = entries.c
    newest = select(entries).where(among(e.ticket_id, family)).order_by(e.id.desc()).limit(MANY)
    rows = sorted(typed.every(connection, Entry, newest), key=lambda row: (row.at, row.id))
    files = _grouped(
        typed.every(
            connection, AttachmentRow, select(attachments).where(among(attachments.c.entry_id, [r.id for r in rows]))
        )
    )
    m = messages.c
    ids = [row.message_id for row in rows if row.message_id is not None]
    known = select(m.id, m.trust, m.authenticated, m.mail_class, m.author, m.size, m.received_at).where(
        among(m.id, ids)
    )
    verdicts = {row.id: row for row in typed.part(connection, Message, known)}
    by_entry = _grouped(row for row in sent if row.entry_id is not None)
    return [
        Said(
            row, "" if row.ticket_id == own else family[row.ticket_id], files.get(row.id, []), by_entry.get(row.id, []),
            verdicts.get(row.message_id or 0),
        )
        for row in rows
    ]  # fmt: skip


def _grouped(rows: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.entry_id, []).append(row)
    return found


def _facts(connection: Connection, family: dict[int, str]) -> dict[str, list[FactRow]]:
    """By kind, each value once: what its author says now before what is only quoted."""
    found: dict[str, list[FactRow]] = {}
    for row in sorted(_rows(connection, facts, family), key=lambda row: (bool(row.quoted), row.id)):
        values = found.setdefault(row.kind, [])
        if row.value not in [one.value for one in values]:
            values.append(row)
    return found


_BRIEF = (
    tickets.c.id,
    tickets.c.reference,
    tickets.c.subject,
    tickets.c.state,
    tickets.c.opened_at,
    tickets.c.critical,
)


def _tickets(connection: Connection, references: list[str]) -> list[Ticket]:
    chosen = select(*_BRIEF).where(among(tickets.c.reference, references)).order_by(tickets.c.id)
    return typed.part(connection, Ticket, chosen)


def _others(connection: Connection, row: Ticket, family: dict[int, str]) -> list[Ticket]:
    """The account's other tickets; without an account, those of the same author."""
    t = tickets.c
    if row.account is None and not row.author:
        return []
    same = t.account == row.account if row.account is not None else _of_author(row)
    chosen = select(*_BRIEF).where(same, not_(among(t.id, family)), t.merged_into.is_(None))
    return typed.part(connection, Ticket, chosen.order_by(t.id.desc()).limit(OTHERS))


def _of_author(row: Ticket) -> Any:
    """The tickets that the author's latest mails opened: found by the mails, whose authors are indexed."""
    t, m = tickets.c, messages.c
    mails = (m.author == row.author, m.ticket_id.is_not(None))
    latest = select(m.ticket_id).where(*mails).order_by(m.id.desc()).limit(MAILS)
    return and_(t.id.in_(latest), t.author == row.author)


def _same(connection: Connection, row: Ticket) -> list[Ticket]:
    """Other conversations of the same author that are not over, of the same subject and the gravest first; none of what
    a machine of his wrote."""
    t = tickets.c
    if not row.author or row.state == TicketState.CLOSED or not row.round:
        return []
    open_ = (_of_author(row), t.id != row.id, t.merged_into.is_(None), t.state != TicketState.CLOSED, t.round > 0)
    found = typed.part(connection, Ticket, select(*_BRIEF).where(*open_).order_by(t.id.desc()).limit(OTHERS))
    mine = _bare(row.subject)
    return sorted(found, key=lambda one: (_bare(one.subject) != mine, not one.critical, one.state, one.id))[:3]


def _bare(subject: str) -> str:
    """A subject without "Re:"."""
    return subject.casefold().rpartition(":")[2].strip()


def _why(connection: Connection, family: dict[int, str]) -> list[tuple[datetime, int, str]]:
    return [(row.at, row.message_id, line) for row in _rows(connection, traces, family) for line in row.lines]


def mail_of(connection: Connection, row: Ticket, entry: int) -> Message | None:
    """The inbox row of an entry of this ticket or of one merged into it; ``None`` where it has none."""
    family = [row.id, *(part.id for part in merging.parts(connection, row))]
    e, m = entries.c, messages.c
    chosen = select(messages).join(entries, e.message_id == m.id).where(e.id == entry, among(e.ticket_id, family))
    return typed.first(connection, Message, chosen)


def file_named(connection: Connection, row: Ticket, sha256: str) -> tuple[str, str]:
    """(name, type) under which an attachment came to this ticket or to one merged into it."""
    family = [row.id, *(part.id for part in merging.parts(connection, row))]
    e, a = entries.c, attachments.c
    chosen = select(a.filename, a.type).join(entries, a.entry_id == e.id)
    found = connection.execute(chosen.where(among(e.ticket_id, family), a.sha256 == sha256).limit(1)).first()
    return (found.filename, found.type) if found is not None else ("", "")
