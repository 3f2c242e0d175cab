"""Real faults: a disk that fills up, kills under load, floods, and readers of hostile mail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.database.store import utc_now
from gateway.demo import Sample, built
from tests import disks
from tests.conftest import missing
from tests.peers.harness import LoopbackPeers, Running, until
from tests.stories import flood, kills


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 8 MB."""
    with disks.small_disk(tmp_path / "state", "8m") as folder:
        yield folder


def signed(number: int, size: int = 0) -> bytes:
    text = f"Hello,\n\nthe disk of tfz1cvkr (#234567) is slow, case {number}.\n" + "filler filler\n" * (size // 14)
    return built(Sample("", "Shop Ops <ops@shop.example>", f"Disk {number}", text), number, utc_now())


@pytest.mark.fault("X55")
@pytest.mark.parametrize("how", ["min_free", "ENOSPC"])
def test_a_full_disk_is_452_and_the_service_resumes_by_itself(small_disk: Path, tmp_path: Path, how: str) -> None:
    peers = LoopbackPeers()
    smtp: dict[str, Any] = {"max_size": "1MB", "min_free": "2MB" if how == "min_free" else "0B"}
    daemon = Running(tmp_path, peers, smtp=smtp)
    try:
        assert daemon.send(signed(1), "ops@shop.example")[0] == 250
        until(lambda: len(peers.taken) == 1)
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file:
            free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            left = 1024 * 1024 if how == "min_free" else 128 * 1024
            file.write(b"x" * max(0, free - left))
        refused = daemon_refuses(daemon, signed(2, 600_000))
        assert refused.startswith("452 4.3.1" if how == "min_free" else "452")
        known = len(daemon.rows("messages", "list"))
        assert known == 1
        ballast.unlink()
        until(lambda: daemon.send(signed(2, 600_000), "ops@shop.example")[0] == 250)
        until(lambda: len(peers.taken) == 2)
        daemon.settled()
        assert len(daemon.rows("messages", "list")) == 2
        check = subprocess.run(
            ["python3", "-c", f"import sqlite3; print(sqlite3.connect({str(small_disk / 'gateway.db')!r}).execute('pragma integrity_check').fetchone()[0])"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert check.stdout == "ok\n"
    finally:
        assert daemon.stop() == 0
        peers.close()


def daemon_refuses(daemon: Running, raw: bytes) -> str:
    import smtplib

    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, local_hostname="c.example", timeout=60) as client:
        client.ehlo()
        code, words = client.mail("ops@shop.example")
        if code == 250:
            client.rcpt("support@introserv.com")
            code, words = client.data(raw)
        assert client.noop()[0] == 250
        return f"{code} {words.decode()}"


@pytest.mark.fault("X76")
@pytest.mark.slow
def test_kills_under_load_lose_and_double_nothing() -> None:
    """Sixteen here; ``python -m bench.kills`` does a hundred."""
    found = kills.story(16, 7)
    assert (found["lost"], found["doubled"], found["unanswered"], found["answered_twice"]) == ([], [], [], [])
    assert found["acknowledged"] > 16
    assert set(found["states"]) == {"done"}
    assert (found["exit"], sum(found["kills"].values())) == (0, 16)


@pytest.mark.fault("X5")
@pytest.mark.slow
def test_a_flood_of_line_ends_is_taken_in_bounded_memory() -> None:
    found = flood.crlf()
    assert found["code"] == 250
    assert found["growth_mb"] < 75
    assert found["second_count"] > 1


def test_commits_are_grouped() -> None:
    if not Path("/usr/bin/strace").exists():
        missing("strace is not installed")
    found = [flood.syncs() for _ in range(3)]  # the pipeline's own commits count too where they fall in between
    assert [run["accepted"] for run in found] == [32, 32, 32]
    assert min(run["syncs"] for run in found) < 8


@pytest.mark.slow
@pytest.mark.parametrize("dead", [False, True], ids=["every domain takes mail", "dead resolver"])
def test_the_corpora_over_smtp(corpora: Path, dead: bool) -> None:
    from tests.stories import corpus

    found = corpus.examine(corpora, dead)
    assert found["codes"] == {250: found["sent"]}
    assert found["sent"] > 500
    assert set(found["states"]) <= {"done", "quarantined"}
    assert len(found["quarantined"]) <= found["sent"] * 0.02
    assert found["machines"] > 280
    assert found["taken"] > 80, "or the next line could not fail"
    assert (found["failed"], found["tracebacks"], found["faults"], found["to_machines"]) == ([], [], [], [])
    assert set(found["outbox"]) <= {
        "received_general sent",
        "verification_needed sent",
        "emergency sent",
        "received sent",
    }
