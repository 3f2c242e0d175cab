"""The outbox and its relay: what a relay that is away or refuses us does to the queue, and a database that cannot be told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway import log
from gateway.database import outbox as outbox_rows
from gateway.database import tables
from gateway.database.store import Store
from gateway.model import ClaimedItem, Outgoing, Sent, Temporary
from gateway.replies import outbox as sending
from gateway.replies.outbox import Outbox
from gateway.replies.render import Templates
from gateway.tickets import aftermath
from tests.peers.harness import LoopbackPeers, Running, until
from tests.samples import NOW, office
from tests.test_faults import signed
from tests.test_outages import BUDGET, a_row, ready
from tests.test_render import SENDER
from tests.test_turns import wait

TAKEN = Sent(True, False, 250, "")
REFUSED = Sent(False, False, 535, "mx.example:587 login: 535 5.7.8 no", auth_failed=True, relay=True)
AWAY = Sent(False, False, 0, "mx.example:587 connecting: Connection refused", relay=True)
GONE = Sent(False, True, 550, "mx.example:587 RCPT TO: 550 5.1.1 nobody")
TEMPLATES = Templates(None)
STEP = timedelta(seconds=1)


class Relay:
    """Says what it is told to say; remembers who was tried, and how many at a time."""

    def __init__(self, says: Callable[[str], Sent] = lambda _: TAKEN) -> None:
        self.says, self.tried, self.asks = says, list[str](), 0
        self.now, self.most = 0, 0
        self.gate: asyncio.Event | None = None

    async def send(self, message: Outgoing) -> Sent:
        self.tried.append(message.rcpt_to)
        self.now += 1
        self.most = max(self.most, self.now)
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        self.now -= 1
        return self.says(message.rcpt_to)

    async def asked(self) -> Sent:
        self.asks += 1
        return self.says("")


class Table:
    """An outbox in memory, which can be told that the database is away."""

    def __init__(self, *rows: ClaimedItem) -> None:
        self.due = list(rows)
        self.told: list[tuple[Any, ...]] = []
        self.away = False
        self.held: set[int] = set()
        self.gate: asyncio.Event | None = None  #: until it is set, what was sent is being written down

    def _commit(self, *what: Any) -> None:
        if self.away:
            raise Temporary("the database is away")
        self.told.append(what)

    async def claim(self, now: datetime, count: int, sure: bool) -> list[ClaimedItem]:
        if self.away:
            raise Temporary("the database is away")
        ours, self.due = self.due[:count], self.due[count:]
        self.held |= {row.id for row in ours}
        return ours

    async def confirm(self, row: ClaimedItem, now: datetime) -> bool:
        if self.away:
            raise Temporary("the database is away")
        return row.id in self.held

    async def sent(self, row: ClaimedItem, answer: str, now: datetime) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self._commit("sent", row.id)

    async def later(self, row: ClaimedItem, error: str, next_at: datetime) -> None:
        self._commit("later", row.id, error)

    async def dead(self, row: ClaimedItem, error: str, now: datetime) -> None:
        self._commit("dead", row.id, error)

    async def give_back(self, row: ClaimedItem, now: datetime, error: str | None = None) -> None:
        self._commit("given back", row.id, error)
        self.due.append(row)

    async def overdue(self, before: datetime, error: str, now: datetime) -> int:
        self._commit("overdue", error)
        return 0

    async def amiss(self, problem: str, now: datetime) -> None:
        self._commit("amiss", problem)

    async def well(self) -> None:
        self._commit("well")

    def of(self, *kinds: str) -> list[tuple[Any, ...]]:
        return [what for what in self.told if what[0] in kinds]


def rows(count: int, first: int = 1) -> list[ClaimedItem]:
    return [a_row(first + n, recipient=f"r{first + n}@example.de") for n in range(count)]


class Stage:
    """An outbox at work on a table and a relay; ``until`` waits for what shall come true."""

    def __init__(self, table: Table, relay: Relay, concurrency: int = 4) -> None:
        self.table, self.relay, self.stop = table, relay, asyncio.Event()
        self.outbox = Outbox(table, self._desk, lambda: NOW, concurrency)  # type: ignore[arg-type]

    def _desk(self) -> Any:
        return SENDER, TEMPLATES, self.relay, 1e6

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self.outbox.wake.set()
                await asyncio.sleep(0)
        assert condition(), what

    async def turns(self, count: int = 200) -> None:
        """Lets the loop turn: what is not done by then is not done by itself."""
        for _ in range(count):
            self.outbox.wake.set()
            await asyncio.sleep(0)

    def pass_(self) -> None:
        """The pause is over."""
        self.outbox._paused_until = 0.0


def play(scene: Callable[[], Any]) -> None:
    asyncio.run(scene())


async def at_work(stage: Stage, scene: Callable[[], Any]) -> None:
    running = asyncio.create_task(stage.outbox.run(stage.stop))
    try:
        await scene()
    finally:
        stage.stop.set()
        await asyncio.wait_for(running, 30)


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    end = log.listen(found.append)
    yield found
    end()


@pytest.mark.fault("X60")
def test_a_refused_login_pauses_the_queue_and_is_told_once(logged: list[dict[str, Any]]) -> None:
    """Each row of a long queue would be another failed login, and seven in a minute lock the account."""
    stage = Stage(Table(*rows(50)), Relay(lambda _: REFUSED))

    async def scene() -> None:
        await stage.until(lambda: stage.table.of("amiss"), "the alert")
        await stage.turns()
        tried = len(stage.relay.tried)
        assert tried <= 4, "no more than went at the same time"
        assert not stage.outbox.reserve(), "what is written now waits too"
        for count in range(1, 4):
            stage.pass_()
            await stage.until(lambda count=count: len(stage.relay.tried) == tried + count, "a single one tries again")  # type: ignore[misc]
            await stage.turns()
            assert len(stage.relay.tried) == tried + count

    async def main() -> None:
        await at_work(stage, scene)

    play(main)
    assert stage.table.of("amiss") == [("amiss", stage.outbox.problem)]
    assert "login: 535 5.7.8 no" in stage.outbox.problem and "[relay]" in stage.outbox.problem
    assert stage.table.of("later", "dead", "sent") == [], "it is no fault of any row"
    assert len(stage.table.due) == 50
    waits = [record["seconds"] for record in logged if record["event"] == "relay_paused"]
    assert waits == sorted(waits) and waits[0] >= 60 and waits[-1] > 800


def test_an_outcome_is_written_once_while_the_loop_turns() -> None:
    """Something else wakes the loop while an outcome is being committed: it writes the same one a second time, finds that the
    row is sent, and warns that somebody else may have sent it."""
    table = Table(*rows(3))
    committing, gate = list[int](), asyncio.Event()

    async def slow(row: ClaimedItem, answer: str, now: datetime) -> None:
        committing.append(row.id)
        await gate.wait()
        table._commit("sent", row.id)

    table.sent = slow  # type: ignore[method-assign]
    stage = Stage(table, Relay())

    async def scene() -> None:
        await stage.until(lambda: len(committing) == 3, "three commits under way")
        await stage.turns()
        gate.set()
        await stage.until(lambda: len(table.of("sent")) >= 3, "three outcomes")
        await stage.turns()

    async def main() -> None:
        await at_work(stage, scene)

    play(main)
    assert sorted(committing) == sorted(row for _, row in table.of("sent")) == [1, 2, 3]


@pytest.mark.parametrize("how", ["success", "reload", "reload of an empty queue"])
def test_the_queue_resumes_on_success_or_reload(how: str) -> None:
    stage = Stage(Table(*rows(30)), Relay(lambda _: REFUSED))

    async def scene() -> None:
        await stage.until(lambda: stage.table.of("amiss"), "the alert")
        if how == "success":
            stage.relay.says = lambda _: TAKEN
            stage.pass_()
        else:
            await stage.until(lambda: len(stage.table.due) == 30, "every row to be given back")
            if how != "reload":
                stage.table.due.clear()
            stage.relay = Relay()
        await stage.until(lambda: not stage.outbox.problem and stage.table.of("well"), "the end of the problem")
        await stage.until(lambda: not stage.table.due and not stage.outbox.loop.held, "everything to go at once")

    async def main() -> None:
        await at_work(stage, scene)

    play(main)
    assert len(stage.table.of("sent")) == (0 if "empty" in how else 30)
    assert stage.table.of("well") == [("well",)]


def test_a_relay_that_refuses_again_after_a_reload_is_not_told_again() -> None:
    stage = Stage(Table(*rows(5)), Relay(lambda _: REFUSED))

    async def scene() -> None:
        await stage.until(lambda: stage.table.of("amiss"), "the alert")
        for _ in range(3):
            stage.relay = Relay(lambda _: replace(REFUSED, detail="otherwise"))
            await stage.until(lambda: stage.relay.tried, "the new one to be tried")
            await stage.turns()

    async def main() -> None:
        await at_work(stage, scene)

    play(main)
    assert len(stage.table.of("amiss")) == 1 and stage.table.of("well") == []


def test_a_kept_connection_does_not_end_the_pause() -> None:
    """It was let in before the password was changed; what it takes says nothing of the next login."""
    stage = Stage(Table(*rows(2)), Relay(), 2)

    async def scene() -> None:
        stage.relay.gate = asyncio.Event()
        stage.relay.says = lambda to: TAKEN if to.startswith("r2@") else REFUSED
        await stage.until(lambda: stage.relay.now == 2, "both to be under way")
        stage.relay.gate.set()
        await stage.until(lambda: stage.table.of("sent") and stage.table.of("amiss"), "both outcomes")
        await stage.turns()
        assert stage.outbox.problem and stage.table.of("well") == []

    async def main() -> None:
        await at_work(stage, scene)

    play(main)


@pytest.mark.fault("X61")
def test_after_an_outage_everything_goes_at_once_and_paced(
    logged: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row finds out that the relay is back; then two at a time, then four, never more than it may have."""
    monkeypatch.setattr(sending, "AWAY_S", (1e6,))
    stage = Stage(Table(*rows(100)), Relay(lambda _: AWAY), 4)

    async def scene() -> None:
        await stage.until(lambda: stage.table.of("overdue"), "the pause")
        await stage.turns()
        assert len(stage.table.due) == 100 and len(stage.relay.tried) <= 4
        stage.relay.says, stage.relay.most, first = (lambda _: TAKEN), 0, len(stage.relay.tried)
        stage.relay.gate = asyncio.Event()
        stage.pass_()
        await stage.until(lambda: len(stage.relay.tried) == first + 1, "one")
        await stage.turns()
        assert len(stage.relay.tried) == first + 1
        for width in (2, 4):  # what is under way is let through, and so many are under way then
            gate, stage.relay.gate = stage.relay.gate, asyncio.Event()
            gate.set()
            await stage.until(lambda width=width: stage.relay.now == width, "the next ones")  # type: ignore[misc]
            await stage.turns()
            assert stage.relay.now == width
        stage.relay.gate.set()
        await stage.until(lambda: len(stage.table.of("sent")) == 100, "all of them")

    async def main() -> None:
        await at_work(stage, scene)

    play(main)
    assert stage.relay.most == 4
    assert len(set(stage.table.of("sent"))) == 100
    assert stage.table.of("amiss", "later", "dead") == [], "nobody needs to do anything"
    assert [record["event"] for record in logged if record["event"].startswith("relay_")] == [
        "relay_paused",
        "relay_resumed",
    ]
    assert ("given back", 1, AWAY.detail) in stage.table.told, "the list says why it waits"


def test_a_recipient_who_is_refused_pauses_nobody() -> None:
    stage = Stage(Table(*rows(20)), Relay(lambda to: GONE if to.startswith("r1") else TAKEN))

    async def scene() -> None:
        await stage.until(lambda: len(stage.table.of("sent", "dead")) == 20, "all of them")

    async def main() -> None:
        await at_work(stage, scene)

    play(main)
    assert len(stage.table.of("dead")) == 11 and stage.table.of("given back", "amiss") == []


# --------------------------------------------------------------------------- the database cannot be told


def test_what_the_relay_took_is_written_first_when_the_database_is_back() -> None:
    """Nothing else is sent meanwhile, nothing is claimed, and nothing goes out twice."""
    stage = Stage(Table(*rows(40)), Relay(), 4)

    async def scene() -> None:
        stage.relay.gate = asyncio.Event()
        await stage.until(lambda: stage.relay.now == 4, "four under way")
        stage.table.away = True
        stage.relay.gate.set()
        await stage.until(lambda: not stage.outbox.loop.held, "the rows in hand to be let go")
        assert len(stage.relay.tried) == 4, "what could not be recorded is not sent"
        stage.outbox.loop.clear = True  # whatever was seen of the table before
        assert not stage.outbox.reserve(), "nor is anything sent as it is written"
        await stage.turns()
        assert len(stage.relay.tried) == 4
        stage.table.away = False
        await stage.until(lambda: len(stage.table.of("sent")) == 40, "all of them")

    async def main() -> None:
        await at_work(stage, scene)

    play(main)
    assert sorted(stage.table.of("sent")[:4]) == [("sent", n) for n in range(1, 5)], "first of all"
    assert sorted(stage.relay.tried) == sorted(set(stage.relay.tried))


def test_a_reply_is_sent_as_it_is_written_while_what_became_of_another_is_written_down() -> None:
    """In a busy hour there is always one: each reply would be claimed apart, with a commit more."""
    stage = Stage(Table(*rows(1)), Relay(), 4)

    async def scene() -> None:
        stage.table.gate = asyncio.Event()
        await stage.until(lambda: stage.outbox._owed, "an outcome that is being written down")
        await stage.until(lambda: stage.outbox.loop.clear, "nothing else to wait")
        assert stage.outbox.reserve()
        stage.table.held.add(2)
        stage.outbox.take(a_row(2, recipient="r2@example.de"))
        await stage.until(lambda: len(stage.relay.tried) == 2, "the second")
        stage.table.gate.set()
        await stage.until(lambda: len(stage.table.of("sent")) == 2, "both")

    async def main() -> None:
        await at_work(stage, scene)

    play(main)


def test_a_stop_waits_for_the_database_to_be_told(
    logged: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "POLL_S", 0.01)
    stage = Stage(Table(*rows(1)), Relay())

    async def main() -> None:
        running = asyncio.create_task(stage.outbox.run(stage.stop))
        stage.relay.gate = asyncio.Event()
        await stage.until(lambda: stage.relay.now == 1, "one under way")
        stage.table.away = True
        stage.relay.gate.set()
        await stage.until(lambda: not stage.outbox.loop.held, "its end")
        stage.stop.set()
        await stage.turns()
        assert not running.done()
        stage.table.away = False
        await asyncio.wait_for(running, 30)

    play(main)
    assert stage.table.of("sent") == [("sent", 1)]
    assert "outcomes_lost" not in [record["event"] for record in logged]


def test_a_row_that_is_not_ours_any_more_is_not_sent() -> None:
    stage = Stage(Table(*rows(3)), Relay())

    async def scene() -> None:
        claim = stage.table.claim

        async def taken(*given: Any) -> list[ClaimedItem]:
            found = await claim(*given)
            stage.table.held.discard(2)
            return found

        stage.table.claim = taken  # type: ignore[method-assign]
        await stage.until(lambda: len(stage.table.of("sent")) == 2, "the others")
        await stage.turns()

    async def main() -> None:
        await at_work(stage, scene)

    play(main)
    assert sorted(stage.relay.tried) == ["r1@example.de", "r3@example.de"]


# --------------------------------------------------------------------------- on the real database, and the real service


def test_the_alert_is_one_until_it_is_over(store: Store) -> None:
    whose = office(store.keys, store.key_id)
    queue = outbox_rows.StoredQueue(store, aftermath.Aftermath(lambda: whose))

    async def told(problem: str) -> None:
        await queue.amiss(problem, NOW)

    def alerts() -> int:
        return len(store.write_now(lambda c: outbox_rows.claim(c, NOW + STEP, 50, 0.0)))

    asyncio.run(told("the relay refuses us: no"))
    assert alerts() == 2, "technical and escalation"
    asyncio.run(told("the relay refuses us: again"))
    (noted,) = store.read_now(lambda c: c.execute(select(tables.conditions)).all())
    assert (noted.since, noted.problem) == (NOW, "the relay refuses us: no")
    asyncio.run(queue.well())
    assert store.read_now(lambda c: c.execute(select(tables.conditions)).all()) == []


def test_a_given_back_row_keeps_its_tries_and_the_relays_words(store: Store) -> None:
    row = wait(store, 1)
    for _ in range(3):
        (claimed,) = store.write_now(lambda c: outbox_rows.claim(c, NOW, 5, 60))
        assert claimed.attempts == 1
        store.write_now(lambda c, claimed=claimed: outbox_rows.give_back(c, claimed, NOW, AWAY.detail))
    from tests.test_turns import state

    assert (state(store, row).attempts, state(store, row).last_error) == (0, AWAY.detail)


def test_a_service_whose_relay_refuses_its_login(peers: LoopbackPeers, tmp_path: Path) -> None:
    """The sink offers no login: status, readiness and log say so; a corrected configuration resumes at once, and
    what a relay had refused is repaired with one command."""
    password = tmp_path / "password"
    password.write_text("secret")
    password.chmod(0o600)
    login = {"username": "gateway", "password_file": str(password), "port": peers.relay}
    daemon = Running(tmp_path, peers, replies=BUDGET, relay=login, staff={"technical": ["l1@introserv.com"]})
    where = f"127.0.0.1:{peers.relay} login: "
    try:
        for number in range(3):
            assert daemon.send(signed(number), "ops@shop.example")[0] == 250
        until(lambda: ready(daemon)[0] == 503, 30, "not ready")
        assert where.encode() in ready(daemon)[1]
        until(lambda: len(daemon.rows("outbox", "list")) == 7, 30, "a reply and a staff mail each, and the alert")
        told = json.loads(daemon.command("status", "--json").stdout)["problems"]
        assert [where in problem and problem.startswith("since ") for problem in told] == [True]
        (paused,) = daemon.named("relay_paused")
        assert paused["refused"] and where in paused["detail"]
        listed = daemon.rows("outbox", "list")
        assert {(row["state"], row["attempts"]) for row in listed} == {("queued", 0)}
        text = daemon.config.read_text()
        daemon.config.write_text(
            "\n".join(line for line in text.splitlines() if not line.startswith(("username", "password_file")))
        )
        daemon.reload()
        until(lambda: len(peers.taken) == 7, 30, "everything at once")
        until(lambda: ready(daemon)[0] == 200, 30, "ready again")
        assert json.loads(daemon.command("status", "--json").stdout)["problems"] == []
    finally:
        assert daemon.stop() == 0


def test_many_refused_replies_are_repaired_with_one_command(tmp_path: Path) -> None:
    refusing = True
    peers = LoopbackPeers(
        answer=lambda taken: "554 5.7.1 <anna@x.example> relay access denied" if refusing else "250 OK"
    )
    daemon = Running(tmp_path, peers, replies=BUDGET)
    try:
        for number in range(4):
            assert daemon.send(signed(number), "ops@shop.example")[0] == 250
        until(lambda: len(daemon.named("dead")) == 4, 30, "all of them dead")
        said = f"127.0.0.1:{peers.relay} the content: 554 5.7.1 <anna@x.example> relay access denied"
        assert {row["last_error"] for row in daemon.rows("outbox", "list")} == {said}
        assert {record["detail"] for record in daemon.named("dead")} == {said.replace("anna@", "a***@")}
        reference = daemon.rows("tickets", "list")[0]["reference"]
        assert any(said in line for line in daemon.rows("tickets", "show", reference)[0]["trace"])
        refusing = False
        for wrong in (("retry",), ("retry", "1", "--all"), ("retry", "--state", "bogus"), ("retry", "--since", "soon")):
            assert daemon.command("outbox", *wrong).returncode == 2, wrong
        told = daemon.command("outbox", "discard", "1", "99").stderr.splitlines()
        assert told[-1] == "gateway: neither dead, waiting nor held: 99"
        assert "event=acted" in told[0] and 'object="outbox 1"' in told[0]
        told = daemon.command("outbox", "retry", "--state", "dead", "--since", "1h")
        assert (told.returncode, told.stdout) == (0, "3 replies are due now\n")
        until(lambda: len(peers.taken) == 3, 30, "three")
        daemon.settled()
        assert daemon.command("outbox", "retry", "--all").stdout == "0 replies are due now\n"
    finally:
        assert daemon.stop() == 0
        peers.close()
