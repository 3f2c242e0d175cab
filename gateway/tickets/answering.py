"""Answers of the console: drafts that are kept (files too, see ``answer_files``), and ten seconds in which a sent one
can be taken back.

An answer is committed as any other (the clock stops), but its outbox row is not due before the ten seconds are over.
Taken back, the ticket is as it was, but for what others did to it meanwhile; the words are a draft again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from gateway.database import typed
from gateway.database.among import among
from gateway.database.console_tables import Draft, drafts
from gateway.database.statements import change, put_once
from gateway.database.tables import Entry, OutboxRow, Ticket, entries, outbox, thread_ids, tickets
from gateway.model import OutboxState, Person, TicketState
from gateway.tickets import answer_files, audit, clock, people, word_index
from gateway.tickets.audit import Act
from gateway.tickets.conversation import Refused, ticket
from gateway.tickets.outgoing import Acting, Office
from gateway.tickets.undoing import UNDO_S

MAX_WORDS = 100_000
#: what an answer changes of its ticket
_CHANGED = (
    "state", "first_response_at", "breached", "round_started_at", "target_at", "status_at", "limit_at",
    "clock_next_at", "clock_done", "closed_at", "snoozed_until",
)  # fmt: skip


def keep(connection: Connection, user_id: int, ticket_id: int, text: str, now: datetime) -> None:
    """Keeps the words of an answer that is being written; empty ones are forgotten."""
    d = drafts.c
    mine = (d.user_id == user_id, d.ticket_id == ticket_id)
    if not text.strip():
        connection.execute(delete(drafts).where(*mine, d.outbox_id.is_(None)))
        return
    values = {"text": text[:MAX_WORDS], "at": now, "outbox_id": None, "before": {}}
    if connection.execute(update(drafts).where(*mine).values(**values)).rowcount == 0:
        put_once(connection, drafts, {"user_id": user_id, "ticket_id": ticket_id, **values})


def kept(connection: Connection, user_id: int, ticket_id: int) -> Draft | None:
    """The draft of a user, or ``None``."""
    d = drafts.c
    return typed.first(connection, Draft, select(drafts).where(d.user_id == user_id, d.ticket_id == ticket_id))


def begun(connection: Connection, user_id: int) -> list[str]:
    """References of the tickets that a user has begun to answer."""
    d = drafts.c
    chosen = select(tickets.c.reference).join(drafts, d.ticket_id == tickets.c.id)
    return list(connection.execute(chosen.where(d.user_id == user_id, d.outbox_id.is_(None)).limit(100)).scalars())


def send(
    connection: Connection, reference: str, text: str, user: tuple[int, Person], office: Office, now: datetime,
    seen: int | None = None, and_close: bool = False, to: tuple[str, ...] = (),
) -> int:  # fmt: skip
    """``people.answer``, due in ten seconds, by whom owns the ticket from now on where nobody did; the outbox id.
    ``user``: id and person; ``and_close``: the ticket is closed too.

    Raises:
        MovedOn, Refused, NoTicket, Merged, NotAllowed: as ``people.answer``.
    """
    before = ticket(connection, reference, lock=True)
    row = people.answer(connection, reference, text, Acting(user[1], office, now), seen, to)
    connection.execute(update(outbox).where(_same(connection, row)).values(next_at=now + timedelta(seconds=UNDO_S)))
    answer_files.send(connection, user[0], before.id, row)
    took = "" if before.owner else user[1].name[:100]
    if took:
        change(connection, tickets, before.id, {"owner": took})
    if and_close:
        people.close(connection, reference, Acting(user[1], office, now))
    keep(connection, user[0], before.id, text, now)
    d = drafts.c
    was = {name: _plain(getattr(before, name)) for name in _CHANGED} | {"took": took}
    mine = (d.user_id == user[0], d.ticket_id == before.id)
    connection.execute(update(drafts).where(*mine).values(outbox_id=row, before=was))
    return row


def _same(connection: Connection, row: int) -> ColumnElement[bool]:
    """The mails of the answer that this outbox row is of."""
    o = outbox.c
    entry = connection.execute(select(o.entry_id).where(o.id == row)).scalar()
    return and_(o.entry_id == entry, o.template == "answer") if entry is not None else o.id == row


def _plain(value: Any) -> Any:
    return {"at": value.isoformat()} if isinstance(value, datetime) else value


def _revived(value: Any) -> Any:
    return datetime.fromisoformat(value["at"]) if isinstance(value, dict) else value


def undo(connection: Connection, reference: str, user: tuple[int, Person], now: datetime) -> str:
    """Takes an answer back that is not on its way yet; its words.

    Raises:
        Refused: it is too late, or there is none, or the ticket became part of another meanwhile.
    """
    row = ticket(connection, reference, lock=True)
    draft = kept(connection, user[0], row.id)
    if draft is None or draft.outbox_id is None:
        raise Refused("there is no answer to take back")
    if row.merged_into is not None:
        raise Refused(f"{row.reference} was merged into another ticket meanwhile: the answer goes out")
    its = _same(connection, draft.outbox_id)
    mails = typed.every(connection, OutboxRow, select(outbox).where(its).order_by(outbox.c.id).with_for_update())
    entry = mails[0].entry_id if mails else None
    if entry is None or not all(_waits(one, now) for one in mails):
        raise Refused("it is too late: the answer is on its way")
    connection.execute(delete(outbox).where(its))
    connection.execute(delete(thread_ids).where(among(thread_ids.c.rfc_id, [one.rfc_id for one in mails])))
    later = _later_answer(connection, row.id, entry)
    connection.execute(delete(entries).where(entries.c.id == entry))
    answer_files.take_back(connection, entry)
    word_index.forget(connection, [entry])  # SQLite gives the id away again
    _restored(connection, row, draft, later)
    connection.execute(update(drafts).where(drafts.c.id == draft.id).values(outbox_id=None, before={}, at=now))
    audit.write(connection, Act("undo", "ticket", row.reference, {"outbox": draft.outbox_id}), user[1], now)
    return str(draft.text)


def _waits(mail: OutboxRow, now: datetime) -> bool:
    """Whether it is not due yet, and nobody has tried to send it."""
    return mail.state == OutboxState.QUEUED and not mail.attempts and mail.next_at is not None and mail.next_at > now


def _later_answer(connection: Connection, ticket_id: int, entry: int) -> Entry | None:
    """The first answer after this one, by anybody and by any way, or ``None``."""
    e = entries.c
    chosen = select(e.id, e.at).where(e.ticket_id == ticket_id, e.direction == "out", e.id > entry)
    return typed.first(connection, Entry, chosen.order_by(e.id).limit(1))


def _restored(connection: Connection, row: Ticket, draft: Draft, later: Entry | None) -> None:
    """The ticket without the answer. Where another one came after it, that one answers; else it is as it was and its
    clock runs on, whatever else happened meanwhile: what nobody answered never goes without."""
    was = {name: _revived(draft.before[name]) for name in _CHANGED}
    owner = "" if later is None and draft.before.get("took") == row.owner else row.owner
    if later is not None:
        _hand_over(connection, draft, later)
        values = {"first_response_at": was["first_response_at"] or later.at}
    elif row.state == TicketState.OPEN and row.round_started_at is not None and _is_older(row, was):
        values = {"first_response_at": was["first_response_at"]}  # a mail or a merge has brought the older round
    else:
        values = {**was, **_watched(was, bool(owner)), "snoozed_until": row.snoozed_until or was["snoozed_until"]}
    values |= {"owner": owner}
    values["version"] = row.version + 1  # nobody who saw the answer may take what is there now for what he saw
    change(connection, tickets, row.id, values)


def _is_older(row: Ticket, was: Mapping[str, Any]) -> bool:
    started = was["round_started_at"]
    return started is None or row.round_started_at <= started


def _watched(was: Mapping[str, Any], owned: bool) -> dict[str, Any]:
    """What is due next in the round that was, for the owner of now."""
    if was["round_started_at"] is None:
        return {}
    running = clock.Round(was["round_started_at"], was["target_at"], was["status_at"], was["limit_at"])
    return {"clock_next_at": clock.next_at(running, frozenset(was["clock_done"]), owned)}


def _hand_over(connection: Connection, draft: Draft, later: Entry) -> None:
    """The next answer can be taken back too, perhaps: then the ticket is as it was before this one."""
    d, o = drafts.c, outbox.c
    of_it = select(o.id).where(o.entry_id == later.id)
    mine = (d.ticket_id == draft.ticket_id, d.outbox_id.in_(of_it))
    connection.execute(update(drafts).where(*mine).values(before=draft.before))


def settled(connection: Connection, user_id: int, ticket_id: int, now: datetime) -> None:
    """Forgets the words of an answer that is on its way."""
    draft = kept(connection, user_id, ticket_id)
    if draft is not None and draft.outbox_id is not None and draft.at + timedelta(seconds=UNDO_S) <= now:
        connection.execute(delete(drafts).where(drafts.c.id == draft.id))
