"""Every command that README and docs print is run as it is printed, by a shell, beside a service with mail in it."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.database.store import utc_now
from gateway.demo import ACCOUNTS, SAMPLES, ZONE, Sample, built
from tests.peers.harness import LoopbackPeers, Running, until
from tests.test_abuse import ARF

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"(?m)^    (?:/opt/gateway/bin/)?(gateway [a-z].*)$")
REFERENCE = re.compile(r"T-[0-9A-Z]{7}\b")
#: what cannot be run here, each with the reason
ELSEWHERE = {
    "gateway run": "the service beside which everything else is run",
    "gateway import": "needs the mailbox of the configuration: tests/test_dovecot.py runs it",
}
#: what says nothing when it went well
QUIET = r"> |discard|note|tickets (assign|close|reopen)"
#: commands that say by their exit status that a person is needed, or that there is nothing to do
SAYS_MORE = ("gateway status", "gateway doctor", "gateway check --connect", "gateway trace 17")


def printed() -> list[str]:
    """The commands of all pages in their order, each once, without the remarks behind them."""
    found = [re.sub(r"\s+#.*$", "", line) for page in PAGES for line in COMMAND.findall(page.read_text())]
    return list(dict.fromkeys(found))


@dataclass
class Place:
    """A service with mail in it, and the names by which the pages' examples are found there."""

    daemon: Running
    folder: Path
    names: dict[str, str] = field(default_factory=dict)

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Runs a line as somebody who types it."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "GATEWAY_CONFIG": str(self.daemon.config)}
        return subprocess.run(
            ["/bin/sh", "-c", line], input="y\n", capture_output=True, text=True, env=environment, cwd=self.folder, timeout=180, check=False
        )  # fmt: skip

    def put_in(self, line: str) -> str:
        """The line with what is there instead of the example's own names."""
        for example, name in self.names.items():
            line = line.replace(example, name)
        if "abuse tell" in line:
            return REFERENCE.sub(self.names["the notice"], line)
        if line.startswith(("gateway messages release", "gateway messages discard")):
            return line.replace("17", self.names["the quarantined"])
        if line.startswith("gateway outbox"):
            return line.replace("17 18", "1 2").replace("31", "1")
        if "messages" in line or "--message" in line or "trace" in line:
            return re.sub(r"\b17\b", "1", line)
        return REFERENCE.sub(self.names["the ticket"], line)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    peers = LoopbackPeers(ZONE)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "gateway"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -P -m gateway "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "backups").mkdir()
    (tmp_path / "accounts").mkdir()
    for name, text in ACCOUNTS.items():
        (tmp_path / "accounts" / name).write_text(text)
    daemon = Running(
        tmp_path,
        peers,
        smtp={"recipients": ["support@introserv.com", "abuse@introserv.com"]},
        staff={"technical": ["l1@introserv.com"]},
        incidents={"tickets": 2, "unverified": True},
    )
    try:
        yield filled(Place(daemon, tmp_path))
    finally:
        daemon.stop()
        peers.close()


def filled(place: Place) -> Place:
    """The demo's mails and an abuse notice have come in; two customers name the same network."""
    daemon = place.daemon
    ops = "Shop Ops <ops@shop.example>"
    neighbour = Sample("", ops, "Down", "Hello, our server 203.0.113.9 has been down since 9:00.\n")
    forged = Sample("", ops, "Password", "Hello, please reset my password.\n", signed=False)
    for number, sample in enumerate((*SAMPLES, neighbour, forged), 1):
        sender = sample.author.partition("<")[2].rstrip(">")
        raw = built(sample, number, utc_now())
        assert daemon.send(raw, "" if sample.null_sender else sender)[0] == 250
    assert daemon.send(ARF, "", "abuse@introserv.com")[0] == 250
    daemon.settled()
    tickets = daemon.rows("tickets", "list", "--limit", "100")
    with_file = next(row for row in tickets if row["subject"] == "Screenshot")
    shown = daemon.rows("tickets", "show", with_file["reference"])[0]
    place.names = {
        "/var/backups/gateway": str(place.folder / "backups"),
        "SHA256": next(file["sha256"] for entry in shown["entries"] for file in entry["attachments"]),
        "the ticket": with_file["reference"],
        "the notice": next(row["reference"] for row in tickets if row["author"] == "feedback@isp.example"),
        "the quarantined": str(daemon.rows("messages", "list", "--state", "quarantined")[0]["id"]),
    }
    (place.folder / "words.txt").write_text("Good morning, we are on it.\n")
    (place.folder / "mail.eml").write_bytes(built(SAMPLES[0], 99, utc_now()))
    until(lambda: daemon.rows("incidents", "list"), what="an incident")
    return place


def before(place: Place) -> dict[str, Callable[[], object]]:
    """What must have happened so that the example makes sense."""

    def made() -> None:
        copies = sorted((place.folder / "backups").iterdir())
        place.names["gateway-20261128T104300Z"] = copies[0].name

    def held() -> None:
        with sqlite3.connect(place.folder / "state" / "gateway.db") as database:
            database.execute("update outbox set state = 'held' where id in (1, 2, 3)")

    return {
        "gateway verify /var": made,
        "gateway outbox list --state held": held,
        "gateway restore": place.daemon.stop,
        "gateway users disable max": lambda: place.shell("gateway users add max --role agent"),
    }


def test_every_printed_command_does_what_it_says(place: Place) -> None:
    lines = printed()
    late = [  # what takes something away comes at the end: an address is erased, a copy is put back
        *(line for line in lines if line.startswith("gateway privacy erase")),
        *(line for line in lines if re.match(r"gateway privacy (un)?holds?\b", line)),
        *(line for line in lines if line.startswith("gateway restore")),
        *(line for line in lines if "held" in line or line.startswith("gateway outbox retry")),
    ]
    ordered = [line for line in lines if line not in late] + late
    preparations, failed, tried = before(place), [], 0
    for line in ordered:
        if any(line.startswith(known) for known in ELSEWHERE):
            continue
        for start, prepare in preparations.items():
            if line.startswith(start):
                prepare()
        done = place.shell(place.put_in(line))
        tried += 1
        if done.returncode not in ((0, 1) if line.startswith(SAYS_MORE) else (0,)) or "Traceback" in done.stderr:
            failed.append(f"{line}\n  {place.put_in(line)}\n  exit {done.returncode}: {done.stderr or done.stdout}")
        elif not done.stdout and not done.stderr and not re.search(QUIET, line):
            failed.append(f"{line}\n  said nothing")
    assert not failed, "\n".join(failed)
    assert tried > 50 and len(list((place.folder / "preview").iterdir())) > 10
