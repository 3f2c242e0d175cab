"""Two nodes on one PostgreSQL: one is killed, or stands still and comes back. Nothing waits long, nothing is done twice."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo import ZONE
from tests.peers.harness import LoopbackPeers, Running, until
from tests.test_faults import signed

QUIET = {"dns": {"timeout": "600s"}}


@pytest.fixture
def silent() -> Iterator[LoopbackPeers]:
    """Peers of a node whose nameserver answers nothing: a mail stays in work there."""
    made = LoopbackPeers(zone=dict.fromkeys([*ZONE, "shop.example", "_dmarc.shop.example"], "TIMEOUT"))
    yield made
    made.close()


@pytest.fixture
def nodes(tmp_path: Path, postgresql: Callable[[], str]) -> Iterator[Callable[..., Running]]:
    """Starts nodes on one database, each with a state directory of its own."""
    url, started = postgresql(), []

    def start(peers: LoopbackPeers, **options: Any) -> Running:
        folder = tmp_path / f"node{len(started)}"
        folder.mkdir()
        started.append(Running(folder, peers, database={"url": url}, **options))
        return started[-1]

    yield start
    for node in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(node.pid, signal.SIGCONT)
        if node.process is not None and node.process.poll() is None:
            node.stop(signal.SIGKILL)


def states(node: Running) -> list[str]:
    return [row["state"] for row in node.rows("messages", "list")]


@pytest.mark.fault("X52")
def test_the_mails_of_a_node_that_is_killed_are_finished_within_about_a_lease(
    nodes: Callable[..., Running], silent: LoopbackPeers, peers: LoopbackPeers
) -> None:
    """With the leases of the service, which were five and ten minutes once."""
    first = nodes(silent, **QUIET)
    for number in range(6):
        assert first.send(signed(number), "ops@shop.example")[0] == 250
    second = nodes(peers)
    assert states(second) == ["processing"] * 6
    first.stop(signal.SIGKILL)
    until(lambda: len(peers.taken) == 6, 90, "the other node to answer")
    second.settled()
    assert states(second) == ["done"] * 6
    assert len(second.rows("tickets", "list")) == 6
    assert {row["attempts"] for row in second.rows("messages", "list")} == {0}


def test_work_that_takes_longer_than_its_lease_stays_with_its_node(
    nodes: Callable[..., Running], silent: LoopbackPeers, peers: LoopbackPeers
) -> None:
    short = {"module": "tests.odd_daemon", "env": {"ODD_LEASE_S": "3"}}
    first = nodes(silent, dns={"timeout": "12s"}, **short)
    second = nodes(peers, **short)
    assert first.send(signed(0), "ops@shop.example")[0] == 250
    until(lambda: first.named("decided") or second.named("decided"), 150)
    assert len(first.named("decided")) == 1 and second.named("decided") == []


def test_a_node_that_stood_still_commits_nothing(
    nodes: Callable[..., Running], silent: LoopbackPeers, peers: LoopbackPeers
) -> None:
    short = {"module": "tests.odd_daemon", "env": {"ODD_LEASE_S": "6"}}
    first = nodes(silent, dns={"timeout": "25s"}, **short)
    assert first.send(signed(0), "ops@shop.example")[0] == 250
    second = nodes(peers, **short)
    until(lambda: states(second) == ["processing"])
    os.kill(first.pid, signal.SIGSTOP)
    until(lambda: second.named("decided"), 60, "the other node")
    until(lambda: len(peers.taken) == 1)
    os.kill(first.pid, signal.SIGCONT)
    until(lambda: first.named("claim_lost"), 60, "the node that stood still to see that it is late")
    second.settled()
    assert first.named("decided") == [] and len(second.named("decided")) == 1
    assert states(second) == ["done"] and len(second.rows("tickets", "list")) == 1
    assert [row["state"] for row in second.rows("outbox", "list")] == ["sent"]
    assert len(peers.taken) + len(silent.taken) == 1


class SlowRelay:
    """Takes mail, but says 354 only when it is told to."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()
        self.contents: list[bytes] = []
        self.ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rwb") as wire:

            def say(words: bytes) -> None:
                wire.write(words + b"\r\n")
                wire.flush()

            say(b"220 slow.example")
            mail = False
            while line := wire.readline():
                verb = line[:4].upper()
                mail = mail or verb == b"MAIL"
                if verb == b"DATA":
                    self.asked.set()
                    self.go.wait(120)
                    say(b"354 go on")
                    content = b""
                    while not content.endswith(b"\r\n.\r\n") and (piece := wire.readline()):
                        content += piece
                    if content:
                        self.contents.append(content)
                    self.ended.set()
                    say(b"250 taken")
                else:
                    say(b"250 fine")
            if mail:
                self.ended.set()

    def close(self) -> None:
        self._socket.close()


def test_a_node_that_stood_still_sends_nothing(nodes: Callable[..., Running], peers: LoopbackPeers) -> None:
    """It stands still in the middle of a transaction with the relay, before the content; another node sends the reply. What
    the relay said meanwhile is the first thing it hears when it goes on."""
    relay = SlowRelay()
    short = {"module": "tests.odd_daemon", "env": {"ODD_LEASE_S": "6"}}
    first = nodes(peers, relay={"port": relay.port, "timeout": "300s"}, **short)
    try:
        assert first.send(signed(0), "ops@shop.example")[0] == 250
        assert relay.asked.wait(60)
        os.kill(first.pid, signal.SIGSTOP)
        second = nodes(peers, **short)
        until(lambda: len(peers.taken) == 1, 60, "the other node to send it")
        relay.go.set()
        os.kill(first.pid, signal.SIGCONT)
        assert relay.ended.wait(60)
        second.settled()
        assert relay.contents == []
        assert [row["state"] for row in second.rows("outbox", "list")] == ["sent"]
        assert len(peers.taken) == 1
    finally:
        relay.close()
