"""The files of an answer on both databases: kept with the draft, counted, sent, taken back, forgotten."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from gateway.database import originals
from gateway.database.console_tables import answer_files as kept_files
from gateway.database.store import Store
from gateway.database.tables import attachments, outbox, raw, tickets
from gateway.enclosures import Enclosures
from gateway.model import Person, Role
from gateway.tickets import answer_files, answering, erasure, people, retention
from gateway.tickets.answer_files import Draft, File
from gateway.tickets.conversation import Refused
from gateway.tickets.settings import Retention
from tests.conftest import NOW
from tests.samples import office
from tests.test_worklist import opened

OLENA = (7, Person("olena", Role.AGENT))
LIMIT = 4 * 1024**2


def added(store: Store, ticket: int, name: str, content: bytes, user: int = 7) -> None:
    """A file of the draft, staged as the console stages it."""
    place = originals.staging(NOW)
    for seq, piece in enumerate(originals.pieces(content)):
        store.write_now(lambda connection, at=seq, part=piece: originals.stage(connection, place, at, part))  # type: ignore[misc]
    file = File(name, "text/plain", len(content), hashlib.sha256(content).hexdigest(), place)
    store.write_now(lambda connection: answer_files.add(connection, Draft(user, ticket, LIMIT), file, NOW))


def names(store: Store, ticket: int, user: int = 7) -> list[str]:
    rows = store.read_now(lambda connection: answer_files.of_draft(connection, user, ticket))
    return [row.filename for row in rows]


def count(store: Store, table: Any) -> int:
    return int(
        store.read_now(lambda connection: connection.execute(select(func.count()).select_from(table)).scalar()) or 0
    )


def id_of(store: Store, reference: str) -> int:
    chosen = select(tickets.c.id).where(tickets.c.reference == reference)
    return int(store.read_now(lambda connection: connection.execute(chosen).scalar_one()))


def test_files_go_with_the_answer_and_come_back_with_the_draft(store: Store) -> None:
    reference = opened(store, "disk")
    ticket = id_of(store, reference)
    large = b"x" * (originals.PIECE + 5)
    added(store, ticket, "plan.txt", b"the plan")
    added(store, ticket, "plan.txt", b"the plan")  # chosen twice
    added(store, ticket, "large.bin", large)
    added(store, ticket, "his.txt", b"another user's", user=8)
    assert names(store, ticket) == ["plan.txt", "large.bin"] and names(store, ticket, 8) == ["his.txt"]
    with pytest.raises(Refused, match="4 MB together"):
        added(store, ticket, "more.bin", b"y" * 3 * 1024**2)
    assert names(store, ticket) == ["plan.txt", "large.bin"]

    def send(connection: Connection) -> int:
        return answering.send(connection, reference, "With files.", OLENA, office(store.keys, store.key_id), NOW)

    row = store.write_now(send)
    assert names(store, ticket) == [] and names(store, ticket, 8) == ["his.txt"]
    queued = store.read_now(lambda connection: connection.execute(select(outbox).where(outbox.c.id == row)).one())
    import asyncio

    sent = asyncio.run(Enclosures(store)(queued))
    assert [(one.filename, one.content) for one in sent] == [("plan.txt", b"the plan"), ("large.bin", large)]
    digest = hashlib.sha256(large).hexdigest()
    assert store.read_now(lambda connection: people.raws_with(connection, reference, digest)) == [large]
    before = count(store, attachments)
    store.write_now(lambda connection: answering.undo(connection, reference, OLENA, NOW + timedelta(seconds=5)))
    assert names(store, ticket) == ["plan.txt", "large.bin"] and count(store, attachments) == before - 2
    key = store.read_now(lambda connection: answer_files.of_draft(connection, 7, ticket))[0].id
    store.write_now(lambda connection: answer_files.remove(connection, 8, ticket, key))  # not his
    store.write_now(lambda connection: answer_files.remove(connection, 7, ticket, key))
    assert names(store, ticket) == ["large.bin"]


def test_what_is_not_sent_or_erased_leaves_no_bytes(store: Store) -> None:
    reference = opened(store, "disk")
    ticket = id_of(store, reference)
    for name in ("sent.txt", "unsent.txt"):
        added(store, ticket, name, name.encode())
        if name == "sent.txt":
            store.write_now(
                lambda connection: answering.send(
                    connection, reference, "x", OLENA, office(store.keys, store.key_id), NOW
                )
            )
    later = NOW + timedelta(days=31)
    kind = next(kind for kind in retention.kinds(Retention()) if kind.name == "unsent files")
    due = store.read_now(lambda connection: kind.find(connection, later - kind.keep, None)).due
    assert store.write_now(lambda connection: kind.remove(connection, due, later)) == 1
    assert names(store, ticket) == [] and count(store, kept_files) == 1
    erasure.erase(store, "anna@example.de", later)
    assert count(store, kept_files) == 0
    left = store.read_now(lambda connection: originals.abandoned(connection, later, 100))
    assert len(left) == 2
    store.write_now(lambda connection: originals.drop_pieces(connection, left))
    assert count(store, raw) == 0
