"""Several nodes on one PostgreSQL: each does what its roles say, and hears of work at once."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from gateway.check import everything
from gateway.checks.standing import Standing
from gateway.config import ConfigError, parse
from gateway.database.nodes import Live, label, live, unserved
from gateway.database.store import Store, utc_now
from gateway.database.tables import outbox
from gateway.demo import ACCOUNTS
from gateway.tickets.health import Check, noted_elsewhere, stored
from gateway.tickets.settings import Staff
from tests.conftest import NOW
from tests.peers.harness import LoopbackPeers, Running, until
from tests.samples import office
from tests.test_faults import signed
from tests.test_outages import ready

#: nobody looks for work by himself within a test: what is done was heard of
NEWS_ONLY = {"module": "tests.odd_daemon", "env": {"ODD_POLL_S": "600"}}


class Nodes:
    """Nodes on one database, each with a state directory of its own."""

    def __init__(self, folder: Path, url: str, peers: LoopbackPeers) -> None:
        self.url, self._folder, self._peers = url, folder, peers
        self.started: list[Running] = []
        self.store = Store(url)  # to look, without a command that takes its seconds

    def start(self, name: str, *roles: str, **options: Any) -> Running:
        folder = self._folder / name
        folder.mkdir()
        options |= {"smtp": {"listen": ["smtp://127.0.0.1:0"], "evaluate_private": True, "min_free": "0B"}}
        node = {"node": {"name": name, "roles": list(roles)}} if roles else {"node": {"name": name}}
        self.started.append(Running(folder, self._peers, database={"url": self.url}, **node, **options))
        return self.started[-1]

    def sql(self, query: str) -> list[Any]:
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def live(self) -> list[str]:
        return [str(one) for one in self.store.read_now(live)]

    def problems(self) -> str:
        return "; ".join(check.problem for check in self.store.read_now(lambda c: stored(c, utc_now())))

    def close(self) -> None:
        self.store.close()
        for node in self.started:
            if node.process is not None and node.process.poll() is None:
                node.stop(signal.SIGKILL)


@pytest.fixture
def nodes(tmp_path: Path, postgresql: Callable[[], str], peers: LoopbackPeers) -> Iterator[Nodes]:
    made = Nodes(tmp_path, postgresql(), peers)
    with contextlib.closing(made):
        yield made


def test_each_node_does_what_its_roles_say_and_hears_of_work_at_once(nodes: Nodes, peers: LoopbackPeers) -> None:
    taking = nodes.start("mx1", "ingest", **NEWS_ONLY)
    working = nodes.start("w1", "work", **NEWS_ONLY)
    sending = nodes.start("out1", "send", "http", **NEWS_ONLY)
    listens = {
        node: [url.partition(":")[0] for url in node.named("started")[0]["listen"].split(",")] for node in nodes.started
    }
    assert listens == {taking: ["smtp", "http"], working: ["http"], sending: ["http"]}
    until(lambda: len(nodes.live()) == 3, what="all to be seen")
    assert working.rows("status")[0]["nodes"] == ["mx1 (ingest)", "out1 (send, http)", "w1 (work)"]
    assert taking.send(signed(0), "ops@shop.example")[0] == 250
    until(lambda: len(peers.taken) == 1, 60, "the reply of the third node")
    assert [len(node.named("decided")) for node in nodes.started] == [0, 1, 0]
    assert [len(node.named("sent")) for node in nodes.started] == [0, 0, 1]
    assert working.metrics()['gateway_node_info{node="w1",roles="work"}'] == 1
    assert working.metrics()['gateway_heard_total{channel="gateway_mails"}'] >= 1

    # the connection that listens is cut: it is made again, and nothing is missed
    nodes.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'gateway/w/%'")
    until(lambda: working.named("deaf"), what="the node to say that it hears nothing")
    until(lambda: len(nodes.live()) == 3, what="it to listen again")
    assert taking.send(signed(1), "ops@shop.example")[0] == 250
    until(lambda: len(peers.taken) == 2, 60, "the second reply")

    # a role that nobody has any more is a problem everywhere, and what waits goes on with the next node that has it
    sending.stop(signal.SIGKILL)
    assert taking.send(signed(2), "ops@shop.example")[0] == 250
    until(lambda: "no node has the role send: replies wait" in nodes.problems(), what="the problem")
    assert len(peers.taken) == 2
    nodes.start("out2", "send", "http", **NEWS_ONLY)
    until(lambda: len(peers.taken) == 3, 60, "the third reply")
    until(lambda: "no node" not in nodes.problems(), what="all to be well")

    # where nobody works on mails, none is ready for more
    assert ready(taking)[0] == 200
    working.stop(signal.SIGKILL)
    until(lambda: ready(taking)[0] == 503, what="the node that takes mail to say that nobody works on it")
    assert b"no node has the role work: mails wait undecided" in ready(taking)[1]


def test_a_command_wakes_the_nodes(nodes: Nodes, peers: LoopbackPeers) -> None:
    node = nodes.start("all", **NEWS_ONLY)
    assert node.send(signed(0), "ops@shop.example")[0] == 250
    until(lambda: len(peers.taken) == 1, 60)
    ticket = node.rows("tickets", "list")[0]["reference"]
    assert node.command("tickets", "reply", ticket, stdin="We look into it.").returncode == 0
    until(lambda: len(peers.taken) == 2, 60, "the answer of a person")


def test_a_node_is_known_by_name_and_roles_as_far_as_the_server_shows_them() -> None:
    assert label("mx 1.example", ("ingest", "http"), "0123abcd") == "gateway/ih/mx-1.example/0123abcd"
    assert len(label("x" * 300, ("ingest", "work", "send", "http"), "0123abcd")) <= 63
    assert unserved([Live("a", ("ingest", "work"))]) == ["send", "http"]
    assert unserved([]) == []


def test_roles_that_nobody_could_serve_are_told_by_check(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"node\.roles"):
        parse('[node]\nroles = ["ingest", "dance"]\n')
    with pytest.raises(ConfigError, match="a node without a role does nothing"):
        parse("[node]\nroles = []\n")
    (tmp_path / "accounts").mkdir()
    for name, text in ACCOUNTS.items():
        (tmp_path / "accounts" / name).write_text(text)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[gateway]\nstate_dir = "{tmp_path}"\n[directory]\npath = "{tmp_path}/accounts"\n'
        '[node]\nroles = ["work", "http"]\n[http]\nlisten = ""\n'
    )
    told = [str(found) for found in everything(str(config), utc_now()).warnings if found.key == "node.roles"]
    assert len(told) == 2
    assert "SQLite" in told[0] and "ingest, send" in told[0]
    assert "[http] listen" in told[1]


def test_what_every_node_finds_is_told_by_one_of_them(store: Store) -> None:
    whom = office(store.keys, store.key_id, staff=Staff(technical=("boss@staff.example",)))
    several = [Standing(f"/var/lib/{name}", name) for name in ("mx1", "w1")]

    def round_of(problem: str, now: datetime) -> None:
        for one in several:
            one.found([Check("nodes", problem)], now)
            fresh, over = one.to_tell(now)
            store.write_now(lambda c, one=one, fresh=fresh, over=over: one.tell(c, fresh, over, whom, now))
            one.was_told(fresh, over)

    def mails() -> int:
        return store.read_now(lambda c: c.execute(select(func.count()).select_from(outbox)).scalar_one())

    late = NOW + timedelta(minutes=3)
    for now in (NOW, late):
        round_of("no node has the role send", now)
    assert mails() == 1
    assert store.read_now(lambda c: noted_elsewhere(c, several[1].node)) == []  # each finds it by itself
    several[0] = Standing("/var/lib/mx1", "mx1")
    store.read_now(several[0].started)
    round_of("", late)
    for now in (late, late + timedelta(minutes=3)):
        round_of("no node has the role send", now)
    assert mails() == 2
