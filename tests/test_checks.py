"""The one list of checks: since when, told once, and each look into an index; the examples name metrics that exist."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY as DEFAULT
from sqlalchemy import Connection, event

from gateway import health as _health  # noqa: F401 - its gauge is registered
from gateway import metrics
from gateway.checks import machine
from gateway.checks.canary import traffic
from gateway.checks.standing import Standing
from gateway.checks.watch import remedy
from gateway.database import inbox
from gateway.database.store import Store
from gateway.ingest.identity import digest_of
from gateway.mail import guard
from gateway.model import SAME_REQUEST, Budgets, Envelope, Incoming, RawMessage, Thread, TicketState
from gateway.peers import Taken
from gateway.tickets import copies, health, staffmail, views
from gateway.tickets.health import Check
from gateway.tickets.policy import decide
from gateway.tickets.silences import KINDS, kind_of
from gateway.verify import reachable
from gateway.verify.dns import Answer, Status
from tests.conftest import NOW
from tests.peers.harness import LoopbackPeers, Running, until
from tests.samples import FAIL, NONE, REFUSED, RULES, STRANGER, TEMPERROR, incoming, mail

ROOT = Path(__file__).resolve().parents[1]
MINUTE = timedelta(minutes=1)


def test_a_problem_keeps_its_begin_and_is_told_once() -> None:
    standing = Standing("/var/lib/gateway")
    standing.note("dns", "the DNS does not answer")
    (first,) = standing.found([Check("disk")], NOW)
    assert first.since == NOW and first.line.startswith(f"since {NOW.isoformat(timespec='seconds')}: the DNS")
    assert standing.to_tell(NOW) == ([], []), "it may be over in a moment"
    (later,) = standing.found([], NOW + 2 * MINUTE)
    assert later.since == NOW
    fresh, over = standing.to_tell(NOW + 2 * MINUTE)
    assert (fresh, over) == ([later], [])
    standing.was_told(fresh, over)
    assert standing.to_tell(NOW + 9 * MINUTE) == ([], [])
    standing.clear("dns")
    assert standing.found([], NOW + 10 * MINUTE) == []
    assert standing.to_tell(NOW + 10 * MINUTE) == ([], ["dns"])
    assert metrics.REGISTRY.get_sample_value("gateway_problem", {"check": "dns"}) == 0
    for name in ("relay", "promises"):  # they have alerts of their own
        standing.note(name, "wrong")
    standing.found([], NOW + 10 * MINUTE)
    assert standing.to_tell(NOW + 30 * MINUTE)[0] == []


def test_every_check_has_a_place_in_the_list() -> None:
    wrong = Check("canary", "gone", NOW, "gateway doctor")
    listed = health.complete([wrong, Check("disk")])
    assert [check.name for check in listed] == list(health.NAMES) and wrong in listed
    assert health.from_json(wrong.as_json()) == wrong
    both = health.merged([Check("relay", "away")], [Check("relay", "replies wait"), Check("replies", "1 dead reply")])
    assert [check.problem for check in both] == ["away", "1 dead reply"]


def test_every_silence_has_a_kind() -> None:
    """Of whatever keeps a mail silent, by those who say it."""
    said = [*decided(), *of_the_address(), f"{copies.WHOLE}7", f"{staffmail.MARK}: closed", f"{staffmail.HELD}: why"]
    assert all(said)
    assert [why for why in said if kind_of(why) == "other"] == []
    assert {kind_of(why) for why in said} == set(KINDS.values()), "a kind that nothing has any more"
    assert kind_of("whatever a mail says") == "other"


def decided() -> list[str]:
    """What ``decide`` says for each reason that it has."""
    opened = Thread(1, "T-1", "token", TicketState.OPEN, True, True, None, False, True)
    late, day = NOW + timedelta(days=3), replace(Budgets(), last_to_author=NOW)
    suppressed = incoming(mail(X_Auto_Response_Suppress="All"))
    cases: list[tuple[Incoming, Thread | None, Budgets, Any]] = [
        (incoming(), opened, Budgets(), NOW),
        (incoming(verdict=NONE), replace(opened, token_bound=False), Budgets(), NOW),
        (incoming(), replace(opened, by=SAME_REQUEST), Budgets(), NOW),
        (incoming(mail(Auto_Submitted="auto-replied")), None, Budgets(), NOW),
        (incoming(silent=True), None, Budgets(), NOW),
        (incoming(mail(author="nobody"), match=STRANGER), None, Budgets(), NOW),
        (incoming(verdict=FAIL), None, Budgets(), NOW),
        (suppressed, None, Budgets(), NOW),
        (incoming(verdict=REFUSED), None, Budgets(), NOW),
        (incoming(), None, Budgets(), late),
        (incoming(verdict=NONE), None, day, NOW),
        (incoming(), None, Budgets(came_back="550"), NOW),
        (incoming(), None, Budgets(loop="9 in an hour"), NOW),
        (incoming(), None, Budgets(spent="budget_total"), NOW),
        (incoming(verdict=TEMPERROR), None, Budgets(), NOW),
        (incoming(blocked="a person's list"), None, Budgets(), NOW),
    ]
    return [decide(given, thread, budgets, now, RULES).silence for given, thread, budgets, now in cases]


class Nothing:
    """A DNS in which no name exists."""

    async def lookup(self, name: str, rtype: str) -> Answer:
        return Answer(Status.NXDOMAIN)


def of_the_address() -> list[str]:
    """Why an address gets nothing automatic: all that ``guard`` and ``reachable`` say."""
    ours = frozenset({"support@introserv.com"})
    asked: list[tuple[str | None, str | None, bool]] = [
        (None, "a@b.example", False), ("a@b.example", None, False), ("a@b.example", "", False),
        ("noreply@b.example", "a@b.example", False), ("support@introserv.com", "a@b.example", False),
        ("a@b.example", "a@b.example", True),
    ]  # fmt: skip
    domain = "introserv.com"
    return [
        *(guard.unanswerable(author, sender, ours, null_mx) for author, sender, null_mx in asked),
        guard.echo("anna@example.de", (), ["anna@example.de"], domain),
        guard.echo("anna@example.de", (guard.bounce_address(b"key", 1, domain),), [], domain),
        *(asyncio.run(reachable.why_not(name, Nothing(), False)) for name in ("localhost", "gone.example")),
    ]


def test_whatever_is_counted_is_found_in_an_index(tmp_path: Path) -> None:
    """A scrape, and ``status``, must not read every row: there may be a million."""
    store = Store(f"sqlite:///{tmp_path / 'gateway.db'}")
    store.open(NOW)
    said: list[tuple[str, Any]] = []

    def plans(connection: Connection) -> list[str]:
        listener = lambda _c, _k, statement, values, *_: said.append((statement, values))  # noqa: E731
        event.listen(connection, "before_cursor_execute", listener)
        views.status(connection, NOW, None, True)
        health.stored(connection, NOW)
        traffic(connection, NOW)
        views.first_responses(connection, NOW)
        event.remove(connection, "before_cursor_execute", listener)
        found = []
        for statement, values in said:
            rows = connection.exec_driver_sql(f"explain query plan {statement}", values).all()
            found += [f"{row[3]} in: {statement}" for row in rows]
        return found

    seen = store.read_now(plans)
    assert any("tickets_overdue" in line for line in seen) and any("tickets_unwatched" in line for line in seen)
    whole = [line for line in seen if re.match(r"SCAN (messages|tickets|outbox|arrivals)(?! USING)", line)]
    store.close()
    assert whole == []


def put(store: Store, number: int, at: Any) -> None:
    raw = mail(subject=f"number {number}")
    envelope = Envelope("a@example.de", ("support@introserv.com",), None, None, "smtp", at)
    store.write_now(lambda c: inbox.accept(c, RawMessage(raw, envelope), f"{number}{digest_of(raw)}"[:64]))


def test_what_is_usual_is_the_same_hour_of_the_weeks_before(store: Store) -> None:
    assert store.read_now(lambda c: traffic(c, NOW)) == (0, 0.0)
    number = 0
    for week, count in ((0, 1), (1, 4), (2, 6), (3, 5)):
        for index in range(count):
            number += 1
            put(store, number, NOW - timedelta(weeks=week, minutes=index + 1))
    put(store, 99, NOW - timedelta(weeks=3, hours=2))
    assert store.read_now(lambda c: traffic(c, NOW)) == (1, 5.0)


def test_the_service_is_looked_at_from_outside(tmp_path: Path) -> None:
    """A probe that is lost and comes again, a reload with its result, a death, and a start that fails: what a person on
    call sees of each."""
    lost = threading.Event()
    port: list[int] = []

    def forward(taken: Taken) -> str:
        if not lost.is_set() and port and taken.rcpt_tos == ("support@introserv.com",):
            threading.Thread(target=hand_over, args=(taken,)).start()
        return "250 2.0.0 OK"

    def hand_over(taken: Taken) -> None:
        with smtplib.SMTP("127.0.0.1", port[0], timeout=60) as client:
            client.sendmail(taken.mail_from, list(taken.rcpt_tos), taken.raw)

    mine = LoopbackPeers(answer=forward)
    daemon = Running(tmp_path, mine, canary={"every": "1s", "within": "2s"}, http={"listen": "127.0.0.1:0"})
    port.append(daemon.smtp_port)

    def problems() -> dict[str, str]:
        found = json.loads(daemon.command("status", "--json").stdout)
        return {check["name"]: check["problem"] for check in found["checks"] if check["problem"]}

    try:
        until(lambda: daemon.metrics().get("gateway_canary_back_timestamp_seconds"), 60, "a probe")
        lost.set()
        until(lambda: daemon.metrics()['gateway_problem{check="canary"}'] == 1, 60, "the alarm")
        assert "has not come back" in problems()["canary"]
        lost.clear()
        until(lambda: daemon.metrics()['gateway_problem{check="canary"}'] == 0, 60, "its end")
        good = daemon.config.read_text()
        daemon.config.write_text(good.replace('every = "1s"', 'every = "0s"') + '\n[staff]\ndigest_every = "2h"\n')
        done = daemon.command("reload")
        assert (
            done.returncode == 0 and "canary.every: 1.0 -> 0.0" in done.stdout and "staff.digest_every" in done.stdout
        )
        good = daemon.config.read_text()
        daemon.config.write_text(good + "[nonsense]\n")
        done = daemon.command("reload")
        assert done.returncode == 2 and "nonsense: unknown key" in done.stderr and "old settings serve" in done.stderr
        assert "nonsense" in problems()["reload"], "status works with a configuration that does not"
        daemon.config.write_text(good)
        assert daemon.command("reload").returncode == 0 and problems() == {}
        daemon.stop(signal.SIGKILL)
        assert problems() == {"service": "the service does not run"}
        assert machine.process(tmp_path / "state").seen_at is not None
        assert daemon.command("reload").returncode == 1
        with socket.socket() as taken_port:
            taken_port.bind(("127.0.0.1", 0))
            taken_port.listen()
            where = f"127.0.0.1:{taken_port.getsockname()[1]}"
            daemon.config.write_text(good.replace('listen = "127.0.0.1:0"', f'listen = "{where}"'))
            daemon.start(ready=False)
            assert daemon.ended() == 1
        assert f"the service does not run: cannot listen on {where}" in problems()["service"]
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.stop()
        mine.close()


def names_used(words: str) -> set[str]:
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\bgateway_[a-z_]+", words)}


def test_the_examples_name_metrics_that_exist() -> None:
    known = {metric.name for metric in metrics.REGISTRY.collect()} | {metric.name for metric in DEFAULT.collect()}
    known |= {f"{name}_total" for name in known}
    rules = ROOT / "docs" / "examples" / "prometheus-alerts.yml"
    dashboard = json.loads((ROOT / "docs" / "examples" / "grafana-dashboard.json").read_text())
    used = names_used(rules.read_text()) | names_used(
        " ".join(t["expr"] for p in dashboard["panels"] for t in p["targets"])
    )
    assert len(used) > 25 and used - known == set()
    if shutil.which("promtool"):
        fires = rules.with_suffix(".test.yml")
        for command in (["check", "rules", str(rules)], ["test", "rules", str(fires)]):
            checked = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
            assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("trouble", "path", "do"),
    [
        ("the database cannot be used: database is locked (SQLITE_BUSY)", "/v/g.db", "fuser -v /v/g.db names who holds it"),
        ("/v/g.db was removed or replaced under the running service: restart it", "/v/g.db", "put the file back"),
        ("the database cannot be used: database disk image is malformed", "/v/g.db", "gateway restore COPY"),
        ("the disk of the database is full: database or disk is full", "/v/g.db", "make room"),
        ("the database cannot be used: attempt to write a readonly database", "/v/g.db", "ls -l /v/g.db*"),
        ("the database does not answer: connection refused", "", "start PostgreSQL"),
        ("the database is busy: lock timeout on a relation that is locked", "", "gateway doctor"),
        ("something new", "/v/g.db", "gateway doctor"),
    ],
)  # fmt: skip
def test_a_database_that_cannot_be_used_says_what_ends_it(trouble: str, path: str, do: str) -> None:
    assert do in remedy(trouble, path)
