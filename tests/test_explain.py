"""``explain`` and the daemon are of one mind: the golden mails by both, field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.harness import LoopbackPeers, Running, until

MAILS = sorted((Path(__file__).parent / "mails").glob("*.eml"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    peers = LoopbackPeers()
    daemon = Running(tmp_path_factory.mktemp("explain"), peers)
    yield daemon
    daemon.stop()
    peers.close()


def test_the_golden_mails_are_explained_as_they_are_treated(served: Running) -> None:
    for number, path in enumerate(MAILS, 1):
        sender = path.with_suffix(".from").read_text().strip()
        done = served.command(
            "explain", str(path), "--json", "--peer", "127.0.0.1", "--helo", "client.example", "--mail-from", sender
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        assert served.send(path.read_bytes().replace(b"\n", b"\r\n"), sender)[0] == 250
        until(lambda number=number: len(served.named("decided")) == number)  # type: ignore[misc]
        event = served.named("decided")[-1]
        assert event["disposition"] == told["disposition"], path
        shown: dict[str, Any] = json.loads(served.command("tickets", "show", event["ticket"], "--json").stdout)
        for field in (
            "author",
            "subject",
            "trust",
            "account",
            "language",
            "question",
            "critical",
            "sensitive",
            "department",
            "priority",
            "missing",
        ):
            assert shown[field] == told[field], (path.name, field)
        for kind in ("orders", "ips", "services", "invoices", "incident_started_at"):
            assert shown[kind] == told["facts"][kind], (path.name, kind)
        assert shown["entries"][0]["text"] == told["text"], path.name
        assert event.get("reply") == (told["reply"]["template"] if told["reply"] else None), path.name
        decided = [line for line in told["reasons"] if line.startswith(("trust=", "spf=", "dmarc="))]
        for reason in decided:
            assert any(line.endswith(reason) for line in shown["trace"]), (path.name, reason)
    assert len(MAILS) >= 8


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("01-disk-en", "trust", "verified"),
        ("01-disk-en", "language", "en"),
        ("02-ausfall-de", "trust", "verified"),
        ("02-ausfall-de", "critical", True),
        ("02-ausfall-de", "language", "de"),
        ("03-stranger", "question", "account"),
        ("04-general-html", "question", "general"),
        ("05-quoted", "department", "financial"),
        ("06-secret", "sensitive", ["reinstall"]),
        ("06-secret", "secrets_masked", 1),
        ("08-malformed", "author", None),
    ],
)
def test_what_is_read(served: Running, name: str, field: str, value: object) -> None:
    path = Path(__file__).parent / "mails" / f"{name}.eml"
    sender = path.with_suffix(".from").read_text().strip()
    done = served.command("explain", str(path), "--json", "--peer", "127.0.0.1", "--mail-from", sender)
    assert json.loads(done.stdout)[field] == value


def test_facts_with_their_ownership(served: Running) -> None:
    path = Path(__file__).parent / "mails" / "05-quoted.eml"
    told = json.loads(
        served.command("explain", str(path), "--json", "--peer", "127.0.0.1", "--mail-from", "anna@example.de").stdout
    )
    assert told["facts"]["invoices"] == [{"value": "214382", "ownership": "foreign"}]
    assert told["facts"]["orders"] == [{"value": "234567", "ownership": "foreign", "quoted": True}]
    assert "Billing" not in told["text"]
    path = Path(__file__).parent / "mails" / "02-ausfall-de.eml"
    told = json.loads(served.command("explain", str(path), "--json", "--now", "2026-11-22T16:00:00+00:00").stdout)
    assert told["facts"]["incident_started_at"] == "2026-11-21T14:30:00+01:00"
    assert told["facts"]["orders"] == [{"value": "123456", "ownership": "own"}]


def test_every_fact_and_every_decision_with_what_gave_it(served: Running) -> None:
    path = Path(__file__).parent / "mails" / "02-ausfall-de.eml"
    told = served.command("explain", str(path), "--now", "2026-11-22T16:00:00+00:00").stdout
    facts = [line for line in told.split("\n") if line.startswith("fact ")]
    assert facts
    assert all("from \u201c" in line and not line.endswith("\u201c\u201d") for line in facts), facts
    assert "critical: " in told
    assert re.search(r"terms technical \d[.\d]*: \S.* \d", told), told


def test_explain_without_any_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import subprocess
    import sys

    environment = {key: value for key, value in os.environ.items() if key != "GATEWAY_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "explain", "--json", "-"], input=MAILS[2].read_bytes(), capture_output=True,
        cwd=tmp_path, env=environment | {"PYTHONPATH": str(Path(__file__).parents[1])}, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["facts"]["orders"][0]["value"] == "123456"
