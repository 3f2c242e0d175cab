"""What every test may use: the corpora beside the checkout, both databases, and what a missing peer means."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from gateway.database.store import Store
from tests.peers.harness import LoopbackPeers, Running
from tests.peers.postgres import PG, Cluster
from tests.peers.postgres import as_user as as_user
from tests.scores import SCORES

ROOT = Path(__file__).resolve().parents[1]
CORPORA = ROOT.parent / "shared" / "corpora"
IN_CI = bool(os.environ.get("CI"))
NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


def missing(reason: str) -> None:
    """A peer or a corpus is not there: a failure in CI, a skip with the reason elsewhere."""
    if IN_CI:
        pytest.fail(f"{reason} (required in CI)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real mail with expected results."""
    if not CORPORA.is_dir():
        missing("the corpora are not beside this checkout")
    return CORPORA


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """Each call makes an empty database on a PostgreSQL of this run, and returns its URL."""
    if not (PG / "initdb").exists():
        missing("PostgreSQL 15 is not installed")
    cluster = Cluster()
    yield cluster.fresh
    cluster.close()


@pytest.fixture
def peers() -> Iterator[LoopbackPeers]:
    """A nameserver and a relay of our own."""
    made = LoopbackPeers()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'gateway.db'}"
    fresh: Callable[[], str] = request.getfixturevalue("postgresql")
    return fresh()


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """An open store on each kind of database."""
    opened = Store(database)
    opened.open(NOW)
    yield opened
    opened.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its scores to the process that prints them."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["scores"] = [list(score) for score in SCORES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """See ``pytest_sessionfinish``."""
    SCORES.extend(tuple(score) for score in getattr(node, "workeroutput", {}).get("scores", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests ran on each database, and what the suites of others say."""
    for name, right, count, note in SCORES:
        terminalreporter.write_line(f"{name:24} {right:6} of {count:6}  {note}")
    ran = [report.nodeid for name in ("passed", "failed") for report in terminalreporter.stats.get(name, [])
           if getattr(report, "when", "") == "call"]  # fmt: skip
    for kind in ("sqlite", "postgresql"):
        terminalreporter.write_line(f"tests on {kind}: {sum(f'[{kind}' in name or f'-{kind}' in name for name in ran)}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("Chromium is not installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Any]:
    """Starts daemons in the test's folder and ends them afterwards."""
    started: list[Running] = []

    def start(peers: LoopbackPeers | None, **options: Any) -> Running:
        started.append(Running(tmp_path, peers, **options))
        return started[-1]

    yield start
    for daemon in started:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.stop(signal.SIGKILL)
