"""What is worked out of the package's own files is kept between two starts, and taken only where it is whole and of these files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from gateway.read.kept import kept, mapped

ROOT = Path(__file__).resolve().parents[1]


class Work:
    """Counts how often it is done."""

    def __init__(self, source: Path, words: Path) -> None:
        self.source, self.words, self.done = source, words, 0
        self.kept = Path(cache_from_source(str(source))).with_suffix(".words")

    def out(self) -> dict[str, object]:
        self.done += 1
        return {"words": self.words.read_text().split(), "of": frozenset({1, 2}), "by": {1: (True, 2.5)}}

    def value(self) -> dict[str, object]:
        return kept(str(self.source), "words", [self.words], self.out)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    source, words = tmp_path / "made.py", tmp_path / "words.toml"
    source.write_text("x = 1\n")
    words.write_text("one two")
    return Work(source, words)


def test_it_is_worked_out_once_for_files_that_do_not_change(work: Work) -> None:
    first = work.value()
    assert work.value() == first == work.out()
    assert work.done == 2  # the second time here
    assert stat.S_IMODE(work.kept.stat().st_mode) & ~0o644 == 0
    assert not [one for one in work.kept.parent.iterdir() if one != work.kept]  # nothing half-written is left


@pytest.mark.parametrize("changed", ["words", "source"])
def test_a_change_of_what_it_is_made_of_counts_at_once(work: Work, changed: str) -> None:
    work.value()
    path = getattr(work, changed)
    time = path.stat().st_mtime_ns
    path.write_text(path.read_text()[::-1])  # as long as before, and of the same time
    os.utime(path, ns=(time, time))
    assert work.value()["words"] == work.words.read_text().split()
    assert work.done == 2


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None])
def test_what_is_not_whole_is_worked_out_again(work: Work, damage: bytes | None) -> None:
    work.value()
    whole = work.kept.read_bytes()
    work.kept.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if damage is None else damage)
    assert work.value()["words"] == ["one", "two"]
    assert work.done == 2
    assert work.kept.read_bytes() == whole


def test_where_it_cannot_be_kept_it_is_worked_out_each_time(work: Work) -> None:
    work.kept.parent.parent.joinpath("__pycache__").write_text("a file where the folder should be")
    assert work.value() == work.value()
    assert work.done == 2


def test_who_forbids_python_to_write_beside_the_source_forbids_it_here(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert work.value() == work.value()
    assert work.done == 2
    assert not work.kept.exists()


def test_the_topics_are_the_same_from_what_was_kept(tmp_path: Path) -> None:
    asks = (
        "from gateway.read.topics.rules import Asked\n"
        "from gateway.read.topics.topics import topics_of\n"
        "for text in ('Our server is down since 10:00, please refund us', 'Der Server läuft nicht mehr'):\n"
        "    print(topics_of(Asked('Frage', text, False)))\n"
    )
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    told = [
        subprocess.run(
            [sys.executable, "-c", asks], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
        )
        for _ in range(2)
    ]
    assert told[0].stdout == told[1].stdout
    assert "refund" in told[0].stdout
    assert {path.suffix for path in tmp_path.rglob("compiled.*")} >= {".accented", ".bare"}


def test_many_octets_are_mapped_and_made_anew_when_their_source_changes(work: Work) -> None:
    made: list[bytes] = []

    def octets() -> bytes:
        made.append(work.words.read_bytes())
        return made[-1]

    def found() -> bytes:
        return bytes(mapped(str(work.source), "octets", [work.words], octets))

    assert found() == found() == b"one two"
    assert len(made) == 1
    work.words.write_text("three")
    assert found() == found() == b"three"
    assert len(made) == 2
