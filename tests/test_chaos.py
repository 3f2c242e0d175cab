"""Short runs of the benches that take minutes and hours: nodes killed at random behind a real Postfix, random faults, a soak."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.conftest import missing
from tests.peers.postgres import PG
from tests.stories import chaos, ledger, nodes, soak

pytestmark = pytest.mark.peer


@pytest.mark.fault("X52")
def test_nodes_that_are_killed_behind_one_postfix_lose_nothing_and_do_nothing_twice() -> None:
    if os.geteuid() != 0 or not shutil.which("postfix") or not (PG / "initdb").exists():
        missing("a Postfix of our own needs root, postfix and PostgreSQL 15")
    short = {"module": "tests.odd_daemon", "env": {"ODD_LEASE_S": "6"}}
    findings = nodes.story(0.4, 7, rate=3.0, **short)
    assert not ledger.wrong(findings), ledger.shown(findings)
    assert findings["kills"] >= 2 and findings["acknowledged"] >= 20
    assert findings["messages"] == findings["acknowledged"]


@pytest.mark.fault("X81")
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_random_faults_break_no_promise(database: str) -> None:
    if database == "postgresql" and not (PG / "initdb").exists():
        missing("PostgreSQL 15 is not installed")
    findings = chaos.story(0.3, 11, database)
    assert not ledger.wrong(findings), ledger.shown(findings)
    assert findings["exit"] == 0 and findings["tracebacks"] == []
    assert sum(findings["faults"].values()) >= 2 and findings["acknowledged"] >= 5


@pytest.mark.fault("X81")
def test_the_soak_counts_what_the_service_holds(capsys: pytest.CaptureFixture[str]) -> None:
    findings = soak.story(8 / 3600, 4.0, every=1.0)
    assert not ledger.wrong(findings), ledger.shown(findings)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 5 and all("descriptors" in line for line in lines)
    looks = [soak.Look(60.0 * n, 0, 100_000_000 + 1000 * n, 50, 9, 4) for n in range(60)]
    assert soak.slope(looks, "memory") == pytest.approx(60_000)
    assert soak.slope(looks, "descriptors") == 0
