"""The files that go along with an answer of the console: kept with the draft, counted against a total, sent by the same
way as those of an answer by mail (the outbox row names them, ``gateway/enclosures.py`` finds them).

The bytes are staged a piece a commit, as those of a large mail, so that nobody waits for them; ``add`` makes them a
file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update

from gateway.database import originals
from gateway.database.among import among
from gateway.database.console_tables import answer_files
from gateway.database.statements import change, put, put_all
from gateway.database.tables import attachments, outbox, tickets
from gateway.tickets.conversation import Refused

MANY = 20  #: files of one answer


@dataclass(frozen=True, slots=True)
class Draft:
    """Whose answer to which ticket; ``limit``: octets that its files may have together."""

    user_id: int
    ticket_id: int
    limit: int


@dataclass(frozen=True, slots=True)
class File:
    """A staged file. ``size`` in octets; ``place``: the number under which its pieces are staged."""

    filename: str
    type: str
    size: int
    sha256: str
    place: int


def of_draft(connection: Connection, user_id: int, ticket_id: int) -> list[Any]:
    """The files that wait for the answer, in their order."""
    f = answer_files.c
    mine = (f.ticket_id == ticket_id, f.user_id == user_id, f.entry_id.is_(None))
    return list(connection.execute(select(answer_files).where(*mine).order_by(f.id)).all())


def room(connection: Connection, draft: Draft, size: int) -> None:
    """Whether a file of so many octets may be added.

    Raises:
        Refused: they would be too many, or too large together.
    """
    there = of_draft(connection, draft.user_id, draft.ticket_id)
    if len(there) >= MANY:
        raise Refused(f"an answer takes {MANY} files at most")
    if sum(row.size for row in there) + size > draft.limit:
        raise Refused(f"the files of an answer may have {draft.limit / 1024**2:g} MB together")


def add(connection: Connection, draft: Draft, file: File, now: datetime) -> None:
    """A staged file becomes one of the draft; the same file a second time changes nothing.

    Raises:
        Refused: as ``room``.
    """
    connection.execute(select(tickets.c.id).where(tickets.c.id == draft.ticket_id).with_for_update())
    known = {(row.sha256, row.filename) for row in of_draft(connection, draft.user_id, draft.ticket_id)}
    if (file.sha256, file.filename) in known:
        return
    room(connection, draft, file.size)
    originals.own(connection, file.place)
    values = {
        "filename": file.filename,
        "type": file.type,
        "size": file.size,
        "sha256": file.sha256,
        "place": file.place,
    }
    put(connection, answer_files, {"ticket_id": draft.ticket_id, "user_id": draft.user_id, **values, "at": now})


def remove(connection: Connection, user_id: int, ticket_id: int, key: int) -> None:
    """Takes a file out of the draft."""
    forget(connection, [row.id for row in of_draft(connection, user_id, ticket_id) if row.id == key])


def forget(connection: Connection, keys: Sequence[int]) -> int:
    """Deletes files of drafts; what was sent meanwhile stays. How many."""
    f = answer_files.c
    unsent = select(f.id, f.place).where(among(f.id, keys), f.entry_id.is_(None))
    found = connection.execute(unsent.with_for_update()).all()
    originals.disown(connection, [row.place for row in found])
    return int(connection.execute(delete(answer_files).where(among(f.id, [row.id for row in found]))).rowcount)


def send(connection: Connection, user_id: int, ticket_id: int, row: int) -> None:
    """The files of the draft go along with an answer: the outbox row ``row`` names them, the conversation lists
    them."""
    waiting = of_draft(connection, user_id, ticket_id)
    if not waiting:
        return
    queued = connection.execute(select(outbox).where(outbox.c.id == row)).one()
    shown = [{"filename": one.filename, "type": one.type, "size": one.size, "sha256": one.sha256} for one in waiting]
    named = [{**of, "message": one.place} for of, one in zip(shown, waiting, strict=True)]
    change(connection, outbox, row, {"context": {**queued.context, "files": named}})
    put_all(connection, attachments, [{"entry_id": queued.entry_id, **of} for of in shown])
    ids = [one.id for one in waiting]
    connection.execute(update(answer_files).where(among(answer_files.c.id, ids)).values(entry_id=queued.entry_id))


def take_back(connection: Connection, entry: int) -> None:
    """An answer was taken back: its files are those of the draft again."""
    connection.execute(delete(attachments).where(attachments.c.entry_id == entry))
    connection.execute(update(answer_files).where(answer_files.c.entry_id == entry).values(entry_id=None))


def drop(connection: Connection, ticket_ids: Sequence[int]) -> None:
    """Deletes every file of these tickets, sent or not."""
    f = answer_files.c
    places_of = connection.execute(select(f.place).where(among(f.ticket_id, ticket_ids))).scalars()
    originals.disown(connection, list(places_of))
    connection.execute(delete(answer_files).where(among(f.ticket_id, ticket_ids)))


def places(connection: Connection, ticket: Any, sha256: str) -> list[int]:
    """Under which numbers the bytes of a file are that was sent in this ticket or in one merged into it."""
    f, t = answer_files.c, tickets.c
    chosen = select(f.place).join(tickets, t.id == f.ticket_id).where(f.sha256 == sha256, f.entry_id.is_not(None))
    return list(connection.execute(chosen.where(or_(t.id == ticket.id, t.merged_into == ticket.id))).scalars())


def total(rows: Sequence[Any]) -> int:
    """The octets of these files together."""
    return sum(int(row.size) for row in rows)
