"""Retention, erasure, export and legal holds on both databases."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from gateway import backup as backups
from gateway import config, privacy
from gateway.database import datamap, inbox, originals, tables
from gateway.database.clean import CleanText as Text
from gateway.database.store import Store
from gateway.ingest.identity import digest_of
from gateway.model import OutboxItem, Person, RawMessage
from gateway.tickets import (
    audit,
    budgets,
    erasure,
    export,
    holds,
    labels,
    outgoing,
    people,
    purge,
    retention,
    word_index,
)
from gateway.tickets.outgoing import Acting
from gateway.tickets.settings import Retention
from tests.samples import NONE, NOW, STRANGER, envelope, incoming, mail
from tests.test_desk import Desk

DAY = timedelta(days=1)
LEA = Person("lea")
SECRET = "the tapes of the north wing"
EVERYTHING = Retention(tickets="30d", mails="30d", quarantine="30d", evidence="30d", records="30d")  # type: ignore[arg-type]


@pytest.fixture
def at(store: Store) -> Desk:
    return Desk(store)


def took(at: Desk, number: int, text: str = SECRET, author: str = "Anna <anna@example.de>", **more: Any) -> str | None:
    raw = mail(
        f"Hello, {text}: what do you think of #123456? My case has the number {number}.",
        author=author,
        Message_ID=f"<n{number}@example.de>",
        **more,
    )
    sender = author.partition("<")[2].rstrip(">")
    given = incoming(raw, envelope_=envelope(mail_from=sender))
    if "anna" not in author.lower():
        given = replace(given, verdict=NONE, match=STRANGER)
    return at.take(given, raw).reference


def rows(store: Store) -> dict[str, int]:
    def counted(connection: Any) -> dict[str, int]:
        names = [
            table
            for table in tables.METADATA.sorted_tables
            if table.name not in ("keys", "erasures", "holds", "audit", "report_changes")
        ]
        return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in names}

    return {name: count for name, count in store.read_now(counted).items() if count}


async def _wait(_: float) -> bool:
    return True


def purged(store: Store, keep: Retention, later: timedelta) -> dict[str, int]:
    return asyncio.run(purge.Purge(store, keep, lambda: NOW + later, _wait).run())


def test_a_ticket_that_is_over_goes_with_all_that_belongs_to_it(at: Desk) -> None:
    references = [took(at, number) for number in range(3)]
    took(at, 9, author="Eve <eve@spam.example>")
    at.store.write_now(lambda c: inbox.accept(c, RawMessage(mail(Message_ID="<n1@example.de>"), envelope()), "d" * 64))
    assert purged(at.store, EVERYTHING, 60 * DAY) == {"evidence": 4}, "open tickets stay, and mails that wait"
    for reference in references[:2]:
        at.store.write_now(lambda c, reference=reference: people.close(c, reference or "", Acting(LEA, at.office, NOW)))  # type: ignore[misc]
    assert purge.due(at.store, EVERYTHING, NOW + 20 * DAY)["tickets"] == 0
    assert purge.due(at.store, EVERYTHING, NOW + 60 * DAY)["tickets"] == 2
    assert purged(at.store, EVERYTHING.model_copy(update={"tickets": None}), 60 * DAY)["mails"] == 2
    assert at.store.read_now(lambda c: originals.load(c, 1)) == b"" != at.store.read_now(lambda c: originals.load(c, 3))
    assert purged(at.store, EVERYTHING, 60 * DAY)["tickets"] == 2
    left = rows(at.store)
    assert (left["tickets"], left["messages"], left["entries"]) == (2, 3, 2)
    assert left["facts"] == 2 and left["thread_ids"] <= 4
    assert purged(at.store, EVERYTHING, 60 * DAY) == {}, "a second purge finds nothing"


def test_nothing_is_left_of_what_was_settled_long_ago(at: Desk) -> None:
    """Every table whose rows come with mail is empty again when all of it is old: nothing grows for ever."""
    for number in range(3):
        reference = took(at, number) or ""
        at.store.write_now(lambda c, reference=reference: people.close(c, reference, Acting(LEA, at.office, NOW)))  # type: ignore[misc]
    at.store.write_now(lambda c: outgoing.notice(c, "quarantine", "a line", NOW))
    at.store.write_now(lambda c: c.execute(update(tables.notices).values(told_at=NOW)))
    at.store.write_now(lambda c: c.execute(update(tables.outbox).values(state="sent")))
    at.store.write_now(lambda c: c.execute(tables.signatures.insert().values(mark="m", message_id=77)))
    quarantined = mail(Message_ID="<q@example.de>")
    at.store.write_now(lambda c: inbox.accept(c, RawMessage(quarantined, envelope()), digest_of(quarantined)))
    at.store.write_now(
        lambda c: c.execute(update(tables.messages).where(tables.messages.c.ticket_id.is_(None)).values(
            state="quarantined", due_at=None))
    )  # fmt: skip
    words = text("select count(*) from search")
    assert at.store.write_now(word_index.catch_up) == at.store.read_now(lambda c: c.execute(words).scalar()) == 6
    purged(at.store, EVERYTHING, 90 * DAY)
    assert rows(at.store) == {}
    assert at.store.read_now(lambda c: c.execute(words).scalar()) == 0, "nothing is found by words that are gone"


def test_a_large_mail_goes_in_pieces(at: Desk) -> None:
    staged = originals.staging(NOW)
    for seq in range(6):
        at.store.write_now(lambda c, seq=seq: originals.stage(c, staged, seq, b"x" * 1000))  # type: ignore[misc]
    large = RawMessage(b"x" * 6000, envelope())
    at.store.write_now(lambda c: inbox.accept(c, large, "e" * 64, staged=staged))
    at.store.write_now(lambda c: c.execute(update(tables.messages).values(state="quarantined", due_at=None)))
    found = purged(at.store, EVERYTHING, 90 * DAY)
    assert found["abandoned pieces"] == 6 and rows(at.store) == {}


@pytest.mark.parametrize("what", ["ticket", "account", "address"])
def test_a_legal_hold_goes_before_purge_and_erasure(at: Desk, what: str) -> None:
    reference = took(at, 1) or ""
    at.store.write_now(lambda c: people.close(c, reference, Acting(LEA, at.office, NOW)))
    held = {"ticket": reference.lower(), "account": "10023", "address": "Anna@example.de"}[what]
    assert at.store.write_now(lambda c: holds.hold(c, held, "a lawsuit", "lea", NOW))
    assert not {"tickets", "mails"} & set(purged(at.store, EVERYTHING, 90 * DAY))
    with pytest.raises(holds.OnHold, match="under a legal hold"):
        erasure.erase(at.store, "anna@example.de", NOW)
    assert [row["kind"] for row in at.store.read_now(holds.listed)] == [what]
    assert at.store.write_now(lambda c: holds.lift(c, held))
    assert purged(at.store, EVERYTHING, 90 * DAY)["tickets"] == 1


def filled(at: Desk) -> tuple[str, str]:
    """A ticket of Anna's, and one of a stranger who names her in his words and in Cc; their references."""
    anna = took(at, 1, author="Anna Schmidt <Anna@Example.de>") or ""
    other = took(at, 2, "my colleague ANNA@example.de knows more", "Bob <bob@else.example>", Cc="anna@example.de") or ""
    at.store.write_now(lambda c: outgoing.notice(c, "quarantine", "a mail of anna@example.de", NOW))
    line = {"line": f"{anna} Regular, technical", "who": "Anna Schmidt", "subject": "", "owner": "", "due": None}
    listed = OutboxItem("m9.listed", "staff_digest", "en", "lea@introserv.com", "staff", {"listed": 1, "lines": [line]})
    stamp = budgets.Stamp(proof=budgets.LISTED)
    at.store.write_now(lambda c: outgoing.write(c, outgoing.Reply(listed, stamp=stamp), at.office, NOW))
    return anna, other


def everything(store: Store) -> str:
    """Every cell of the database as text."""

    def cells(connection: Any) -> str:
        found = []
        for table in tables.METADATA.sorted_tables:
            for row in connection.execute(select(table)).all():
                found += [bytes(v).decode("latin-1") if isinstance(v, bytes | memoryview) else str(v) for v in row]
        return "\n".join(found)

    return store.read_now(cells)


def test_an_erased_address_is_in_no_cell_and_the_skeleton_stays(at: Desk) -> None:
    anna, other = filled(at)
    block = audit.Act("block", "sender", "anna@example.de")
    at.store.write_now(lambda c: audit.write(c, block, LEA, NOW))  # who did what stays as it is
    done = erasure.erase(at.store, "anna@example.de", NOW + DAY)
    assert (done["tickets"], done["mails"]) == (1, 0) and done["other places"] >= 3
    left = everything(at.store).lower()
    assert left.count("anna@example.de") == 1 and SECRET not in left and "anna schmidt" not in left
    shown = at.show(anna)
    assert (shown["state"], shown["subject"], shown["author"]) == ("closed", "[erased]", None)
    assert shown["opened_at"] == NOW.isoformat() and shown["department"]
    assert (
        at.show(other)["author"] == "bob@else.example" and "[erased] knows more" in at.show(other)["entries"][0]["text"]
    )
    assert b"xxxxxxxxxxxxxxx knows more" in at.store.read_now(lambda c: originals.load(c, 2))
    assert at.status(NOW + DAY)["outbox_queued"] == sum(row.state == "queued" for row in at.outbox())
    assert not [row for row in at.outbox() if row.ticket_id == 1 and row.state == "queued"]
    assert erasure.erase(at.store, "anna@example.de", NOW + DAY) == {"tickets": 0, "mails": 0, "other places": 0}


def files_with(folder: Path, *words: str) -> list[str]:
    needles = [word.lower().encode() for word in words]
    return sorted(
        path.name for path in folder.iterdir()
        if path.is_file() and any(needle in path.read_bytes().lower() for needle in needles)
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[config.Settings, Path, Desk]]:
    """Settings, configuration file and desk of a SQLite service whose writer is open, as that of a running one."""
    file = tmp_path / "config.toml"
    file.write_text(f'[gateway]\nstate_dir = "{tmp_path}"\n')
    settings = config.load(file)
    store = Store(settings.database_url)
    store.open(NOW)
    yield settings, file, Desk(store)
    store.close()


def test_the_bytes_are_in_no_file_and_do_not_come_back_by_a_restore(
    home: tuple[config.Settings, Path, Desk], tmp_path: Path
) -> None:
    settings, file, at = home
    for number in range(20, 60):  # so that pages are split and joined
        took(at, number, f"{SECRET} {'word ' * number}", "Anna Schmidt <anna@example.de>")
        took(at, number + 100, "nothing to see", f"Bob <bob{number}@else.example>")
    filled(at)
    tar, _ = backups.make(settings, file, tmp_path / "one.tar", NOW)
    assert "one.tar" in files_with(tmp_path, SECRET) and len(files_with(tmp_path, "anna@example.de", SECRET)) > 1
    (tmp_path / "gateway.db.20260101T000000.backup").write_bytes(b"anna@example.de")
    found = privacy.erase(at.store, tmp_path, "anna@example.de", NOW)
    assert found.clean and [path.name for path in found.left] == ["gateway.db.20260101T000000.backup"]
    found.left[0].unlink()
    assert files_with(tmp_path, "anna@example.de", SECRET) == ["one.tar"]
    assert (tmp_path / "erasures.jsonl").stat().st_mode & 0o077 == 0
    at.store.close()
    (tmp_path / "gateway.db").write_bytes(b"lost")  # the file beside it knows what was erased
    backups.restore(settings, tar, "hold", NOW)
    assert files_with(tmp_path, "anna@example.de", SECRET) == ["one.tar"]
    tombstone = json.loads((tmp_path / "erasures.jsonl").read_text())
    assert tombstone["mark"] not in ("", "anna@example.de") and len(tombstone["mark"]) == 64


def test_a_restored_postgresql_is_erased_again(
    tmp_path: Path, postgresql: Any
) -> None:  # the database itself is the only one that knows
    url = postgresql()
    file = tmp_path / "config.toml"
    file.write_text(f'[gateway]\nstate_dir = "{tmp_path}"\n[database]\nurl = "{url}"\n')
    settings = config.load(file)
    store = Store(url)
    store.open(NOW)
    filled(Desk(store))
    store.close()
    tar, _ = backups.make(settings, file, tmp_path / "one.tar", NOW)
    store = Store(url)
    store.open(NOW)
    erasure.erase(store, "anna@example.de", NOW)
    store.close()
    backups.restore(settings, tar, "hold", NOW, replace=True)
    store = Store(url)
    store.open(NOW)
    try:
        assert "anna@example.de" not in everything(store).lower()
        assert len(store.read_now(erasure.tombstones)) == 1
    finally:
        store.close()


def test_an_export_holds_what_is_his_and_nothing_of_others(at: Desk, tmp_path: Path) -> None:
    anna, _ = filled(at)
    at.store.write_now(lambda c: labels.note(c, anna, "she is difficult", LEA, NOW))
    counts = privacy.write_export(at.store, "anna@example.de", tmp_path / "out.zip", NOW)
    assert counts == {"tickets": 1, "mails": 1, "replies": 1}
    assert (tmp_path / "out.zip").stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        about = json.loads(archive.read("export.json"))
        assert SECRET.encode() in archive.read("mails/1.eml") and len(archive.namelist()) == 2
    assert [ticket["reference"] for ticket in about["tickets"]] == [anna]
    text = json.dumps(about)
    assert SECRET in text and "bob@" not in text and "difficult" not in text
    with pytest.raises(FileExistsError):
        privacy.write_export(at.store, "anna@example.de", tmp_path / "out.zip", NOW)
    account = at.store.read_now(lambda c: export.everything(c, "10023"))
    assert [ticket["reference"] for ticket in account["tickets"]] == [anna]


def test_the_words_of_the_configuration(tmp_path: Path) -> None:
    found = config.parse('[retention]\ntickets = "1095d"\nmails = "90d"\n').retention
    kept = {kind.name: kind.keep for kind in retention.kinds(found)}
    assert (kept["tickets"], kept["mails"], kept["notices"]) == (1095 * DAY, 90 * DAY, 90 * DAY)
    assert not {"quarantine", "evidence"} & set(kept)
    usual = {kind.name: kind.keep for kind in retention.kinds(config.Settings().retention)}
    assert usual["notices"] == 90 * DAY and not {"tickets", "mails"} & set(usual)
    with pytest.raises(config.ConfigError, match=r"retention.mails: '2h' is less than a day"):
        config.parse('[retention]\nmails = "2h"\n')


def test_a_purge_works_in_small_transactions(at: Desk) -> None:
    """Mail is never kept waiting by more than one step."""
    for number in range(30):
        reference = took(at, number) or ""
        at.store.write_now(lambda c, reference=reference: people.close(c, reference, Acting(LEA, at.office, NOW)))  # type: ignore[misc]
    steps: list[int] = []
    kind = retention.kinds(EVERYTHING)[0]
    real = at.store.write

    async def counted(job: Any) -> Any:
        _, removed = await real(job)
        steps.append(removed)
        return 1.0, removed  # as if the disk were slow

    at.store.write = counted  # type: ignore[method-assign]
    assert asyncio.run(purge.Purge(at.store, EVERYTHING, lambda: NOW + 90 * DAY, _wait)._walk(kind)) == 30
    assert steps[:3] == [4, 2, 1] and max(steps[3:]) == 1


def test_the_data_map_is_true_and_complete() -> None:
    assert datamap.unclassified() == []
    assert (Path(__file__).resolve().parents[1] / "docs" / "data-map.md").read_text() == datamap.page()
    texts = {
        f"{table.name}.{column.name}"
        for table in tables.METADATA.sorted_tables
        for column in erasure._texts(table)
        if isinstance(column.type, Text) and column.name not in datamap.MAP[table.name].personal
    }
    # what is free text and no person's: words of the service itself
    assert texts == {"conditions.problem", "report_days.counted", "sources.error"}
