"""An address is erased: what its owner wrote and what was written to him goes, the skeleton of his tickets (numbers,
times, states) stays, and wherever else the address is written it is struck out, in other people's mails too.

A tombstone is kept: the HMAC of the address under a key of the service, by which a restored copy is erased again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, String, cast, delete, or_, select, update
from sqlalchemy.types import TypeDecorator

from gateway.database import originals, typed
from gateway.database.among import among
from gateway.database.clean import CleanJson, CleanString
from gateway.database.console_tables import drafts
from gateway.database.statements import put_once
from gateway.database.store import Store
from gateway.database.tables import (
    METADATA,
    Erasure,
    OutboxRow,
    Ticket,
    arrivals,
    attachments,
    audit,
    corrections,
    entries,
    erasures,
    facts,
    messages,
    outbox,
    raw,
    senders,
    signatures,
    suppressions,
    thread_ids,
    tickets,
    traces,
)
from gateway.mail.address import canonical
from gateway.model import InboxState, OutboxState, TicketState
from gateway.tickets import answer_files, budgets, clock, holds, word_index

ERASED = "[erased]"
NOBODY = "erased-{id}@invalid"
BATCH = 20
_ADDRESS = re.compile(rb"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\x80-\xff-]{1,64}@[A-Za-z0-9\x80-\xff.-]{1,253}")


def mark_of(key: bytes, address: str) -> str:
    """The tombstone of an address: a keyed digest, so that nobody reads the address out of it."""
    return hmac.new(key, b"erased:" + address.lower().encode(), hashlib.sha256).hexdigest()


def remember(connection: Connection, store: Store, address: str, now: datetime) -> str:
    """Writes the tombstone down; it is what a restored copy is compared with."""
    mark = mark_of(store.keys[store.key_id], address)
    put_once(connection, erasures, {"mark": mark, "key_id": store.key_id, "erased_at": now})
    return mark


def tombstones(connection: Connection) -> list[Erasure]:
    """Every tombstone: ``mark``, ``key_id``, ``erased_at``."""
    return typed.every(connection, Erasure, select(erasures).order_by(erasures.c.erased_at))


def held(connection: Connection, address: str) -> str:
    """The legal hold that keeps an address from being erased, in words, or an empty string."""
    found = holds.read(connection)
    if not found:
        return ""
    if found.author(address):
        return "the address is under a legal hold"
    for row in _tickets_of(connection, address):
        if found.ticket(connection, row):
            return f"the ticket {row.reference} is under a legal hold"
    return ""


def _tickets_of(connection: Connection, address: str) -> list[Ticket]:
    author = or_(tickets.c.author == address, tickets.c.author.ilike(_escaped(address), escape="\\"))
    return typed.every(connection, Ticket, select(tickets).where(author))


def _escaped(words: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", words)


def erase(store: Store, address: str, now: datetime) -> dict[str, int]:
    """Erases an address in many small transactions; how many of each there were. A second run finds nothing.

    Raises:
        OnHold: a legal hold keeps it; nothing was done.
    """
    why = store.read_now(lambda connection: held(connection, address))
    if why:
        raise holds.OnHold(f"{why}: gateway privacy holds")
    store.write_now(lambda connection: remember(connection, store, address, now))
    done = {"tickets": 0, "mails": 0, "other places": 0}
    for row in store.read_now(lambda connection: _tickets_of(connection, address)):
        store.write_now(partial(_erase_ticket, ticket=row.id, now=now))
        store.write_now(partial(_erase_lists, reference=row.reference, now=now))
        done["tickets"] += 1
    for ids in _batches(store.read_now(lambda connection: _mails_of(connection, address))):
        store.write_now(partial(_erase_mails, ids=ids))
        done["mails"] += len(ids)
    store.write_now(partial(_erase_contributions, address=address))
    done["other places"] = _strike(store, address)
    return done


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def _mails_of(connection: Connection, address: str) -> list[int]:
    m, like = messages.c, _escaped(address)
    wrote = or_(m.author.ilike(like, escape="\\"), m.mail_from.ilike(like, escape="\\"))
    return list(connection.execute(select(m.id).where(wrote).order_by(m.id)).scalars())


def _erase_ticket(connection: Connection, ticket: int, now: datetime) -> None:
    """Nothing that anybody wrote in it is left; its number, times and states are."""
    e, o = entries.c, outbox.c
    ids = list(connection.execute(select(messages.c.id).where(messages.c.ticket_id == ticket)).scalars())
    _erase_mails(connection, ids)
    contributions = select(e.id).where(e.ticket_id == ticket)
    connection.execute(delete(attachments).where(attachments.c.entry_id.in_(contributions)))
    blank = {"author": "", "text": ERASED, "full_text": ""}
    word_index.forget(connection, list(connection.execute(contributions).scalars()))
    connection.execute(delete(drafts).where(drafts.c.ticket_id == ticket))
    answer_files.drop(connection, [ticket])
    connection.execute(update(entries).where(e.ticket_id == ticket).values(blank))
    connection.execute(delete(facts).where(facts.c.ticket_id == ticket))
    connection.execute(delete(corrections).where(corrections.c.ticket_id == ticket))
    connection.execute(update(traces).where(traces.c.ticket_id == ticket).values(lines=[]))
    connection.execute(delete(thread_ids).where(thread_ids.c.ticket_id == ticket, thread_ids.c.ours.is_(False)))
    for row in typed.part(connection, OutboxRow, select(o.id, o.state).where(o.ticket_id == ticket)):
        connection.execute(update(outbox).where(o.id == row.id).values(_blank_reply(row, now)))
    connection.execute(update(tickets).where(tickets.c.id == ticket).values(_blank_ticket(now)))


def _erase_lists(connection: Connection, reference: str, now: datetime) -> None:
    """The lists of open tickets that staff were sent and that name it; one that still waits is asked for again."""
    o = outbox.c
    naming = _written(o.context).like(f"%{reference}%")
    lists = select(o.id, o.state).where(o.ticket_id.is_(None), o.proof == budgets.LISTED, naming)
    for row in typed.part(connection, OutboxRow, lists):
        connection.execute(update(outbox).where(o.id == row.id).values(_blank_reply(row, now)))


def _erase_contributions(connection: Connection, address: str) -> None:
    """What the address wrote in tickets of others."""
    e = entries.c
    ids = list(connection.execute(select(e.id).where(e.author.ilike(_escaped(address), escape="\\"))).scalars())
    connection.execute(delete(attachments).where(among(attachments.c.entry_id, ids)))
    connection.execute(delete(facts).where(among(facts.c.entry_id, ids)))
    word_index.forget(connection, ids)
    connection.execute(update(entries).where(among(e.id, ids)).values(author="", text=ERASED, full_text=""))


def _blank_reply(row: OutboxRow, now: datetime) -> Mapping[str, Any]:
    gone = {
        "recipient": NOBODY.format(id=row.id), "canonical": "", "domain": "", "origin": "", "likeness": "",
        "context": {},
        "last_error": "", "bounced": "", "answer": "",
    }  # fmt: skip
    if row.state in (OutboxState.SENT, OutboxState.DEAD):
        return gone
    return gone | {"state": OutboxState.DEAD, "dead_at": now, "next_at": None, "last_error": "discarded"}


def _blank_ticket(now: datetime) -> dict[str, Any]:
    return {
        "author": None, "author_name": "", "account": None, "accounts": [], "subject": ERASED, "marks": ["erased"],
        "missing": [], "sensitive": [], "silence": "erased", "state": TicketState.CLOSED, "closed_at": now,
        **clock.STOPPED,
    }  # fmt: skip


def _erase_mails(connection: Connection, ids: Sequence[int]) -> None:
    m, a = messages.c, arrivals.c
    further = list(connection.execute(select(a.id).where(among(a.message_id, ids))).scalars())
    for key in (*ids, *(-arrival for arrival in further)):
        originals.drop(connection, key)
    connection.execute(delete(arrivals).where(among(a.id, further)))
    connection.execute(delete(signatures).where(among(signatures.c.message_id, ids)))
    connection.execute(update(traces).where(among(traces.c.message_id, ids)).values(lines=[]))
    blank: dict[str, Any] = {
        "author": None, "mail_from": None, "message_id": None, "helo": None, "client": None, "client_reason": "",
        "sender": "", "rcpt_tos": [], "reason": "erased", "subject": "", "queue_id": "",
    }  # fmt: skip
    connection.execute(update(messages).where(among(m.id, ids)).values(blank))
    over = {"state": InboxState.DONE, "disposition": "recorded", "due_at": None, "lease_until": None}
    connection.execute(update(messages).where(among(m.id, ids), m.state != InboxState.DONE).values(over))


# --------------------------------------------------------------------------- wherever else it is written


def _texts(table: Any) -> list[Any]:
    return [column for column in table.c if isinstance(column.type, CleanString | CleanJson)]


def _written(column: Any) -> Any:
    """A column as text that can be searched."""
    return (
        cast(column, String)
        if isinstance(column.type, TypeDecorator) and isinstance(column.type, CleanJson)
        else column
    )


def _strike(store: Store, address: str) -> int:
    """Strikes the address out wherever it is left; the number of places."""
    count = 0
    change = _striking(address)
    for table in METADATA.sorted_tables:
        if table in (erasures, audit) or not _texts(table):  # who did what is never changed
            continue
        rows = store.read_now(partial(_mentions, table=table, address=address))
        for start in range(0, len(rows), BATCH):
            count += store.write_now(partial(_struck, table=table, rows=rows[start : start + BATCH], change=change))
    named = delete(suppressions).where(suppressions.c.canonical == canonical(address)[:330])
    count += store.write_now(lambda connection: int(connection.execute(named).rowcount))
    for key in store.read_now(partial(_raw_mentions, address=address)):
        count += store.write_now(partial(_strike_raw, key=key, address=address))
    return count


def _striking(address: str) -> Callable[[Any], Any]:
    pattern = re.compile(re.escape(address), re.IGNORECASE)

    def change(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(ERASED, value)
        if isinstance(value, dict):
            return {change(name): change(inner) for name, inner in value.items()}
        return [change(inner) for inner in value] if isinstance(value, list | tuple) else value

    return change


def _mentions(connection: Connection, table: Any, address: str) -> list[Any]:
    """Rows that name the address, by their primary key."""
    forms = {
        address,
        address.encode("ascii", "backslashreplace").decode(),
    }  # JSON writes letters beyond ASCII as \\uXXXX
    like = [
        _written(column).ilike(f"%{_escaped(form)}%", escape="\\") for column in _texts(table) for form in sorted(forms)
    ]
    return list(connection.execute(select(*table.primary_key.columns).where(or_(*like))).all())


def _struck(connection: Connection, table: Any, rows: Sequence[Any], change: Callable[[Any], Any]) -> int:
    columns = list(table.primary_key.columns)
    for key in rows:
        where = [column == value for column, value in zip(columns, key, strict=True)]
        row = connection.execute(select(table).where(*where)).first()
        if row is None:
            continue
        if table in (thread_ids, senders, signatures, suppressions):  # the text is the row's own name
            connection.execute(delete(table).where(*where))
            continue
        values = {c.name: change(getattr(row, c.key)) for c in _texts(table)}
        if table is outbox and ERASED in values["recipient"]:
            values |= {"recipient": NOBODY.format(id=row.id)}
        connection.execute(update(table).where(*where).values(values))
    return len(rows)


def _raw_mentions(connection: Connection, address: str) -> list[int]:
    """Mails that name the address in clear in their bytes."""
    ids = connection.execute(select(raw.c.message_id).where(raw.c.seq >= 0).distinct()).scalars()
    return [key for key in ids if address.lower().encode() in _lower(connection, key)]


def _lower(connection: Connection, key: int) -> bytes:
    return b"".join(_pieces(connection, key)).lower()


def _pieces(connection: Connection, key: int) -> list[bytes]:
    chosen = select(raw.c.data).where(raw.c.message_id == key, raw.c.seq >= 0).order_by(raw.c.seq)
    return [bytes(data) for data in connection.execute(chosen).scalars()]


def _strike_raw(connection: Connection, key: int, address: str) -> int:
    """The bytes of another person's mail, with as many ``x`` in place of the address."""
    whole = b"".join(_pieces(connection, key))
    wanted = re.compile(re.escape(address.encode()), re.IGNORECASE)
    struck = wanted.sub(lambda found: b"x" * len(found[0]), whole)
    for seq, piece in enumerate(originals.pieces(struck)):
        connection.execute(update(raw).where(raw.c.message_id == key, raw.c.seq == seq).values(data=piece))
    return 1


# --------------------------------------------------------------------------- after a restore


def addresses(connection: Connection) -> set[str]:
    """Everything that looks like an address, in every text and in the bytes of every mail, lower-case."""
    found: set[bytes] = set()
    for table in METADATA.sorted_tables:
        texts = [column for column in _texts(table) if not column.primary_key or table is not erasures]
        if table is erasures or not texts:
            continue
        for row in connection.execute(select(*(_written(column) for column in texts))).yield_per(500):
            for value in row:
                found.update(_ADDRESS.findall(str(value).encode("utf-8", "replace")))
    for key in connection.execute(select(raw.c.message_id).where(raw.c.seq >= 0).distinct()).scalars().all():
        found.update(_ADDRESS.findall(b"".join(_pieces(connection, key))))
    return {address.decode("utf-8", "replace").lower().strip(".'") for address in found}


def again(store: Store, marks: Mapping[str, str], now: datetime) -> int:
    """Erases the addresses of these tombstones (``{mark: key id}``) once more; how many were there. A copy from before
    the service had the key cannot be compared, and has nothing of the time after."""
    known = {row.mark for row in store.read_now(tombstones)}
    missing = {mark: key for mark, key in marks.items() if mark not in known and key in store.keys}
    if not missing:
        return 0
    count = 0
    for address in store.read_now(addresses):
        if any(mark_of(store.keys[key], address) in missing for key in set(missing.values())):
            erase(store, address, now)
            count += 1
    for mark, key in missing.items():
        values = {"mark": mark, "key_id": key, "erased_at": now}
        store.write_now(partial(put_once, table=erasures, values=values))
    return count
