"""A running service under what strangers send to hold up others: domains that do not answer, mails that are slow to read; and
without a process to read with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo import ZONE
from tests.peers.harness import TO, LoopbackPeers, Running, until
from tests.test_faults import signed
from tests.test_outages import ready

DEAD = {f"d{n}.example": "TIMEOUT" for n in range(240)}


@pytest.fixture
def peers() -> Iterator[LoopbackPeers]:
    """A nameserver that is silent about 240 domains."""
    made = LoopbackPeers(zone={**ZONE, **DEAD})
    yield made
    made.close()


@pytest.fixture
def daemons(peers: LoopbackPeers, tmp_path: Path) -> Iterator[Any]:
    started: list[Running] = []

    def start(**options: Any) -> Running:
        started.append(Running(tmp_path, peers, **options))
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop(signal.SIGKILL)


def tiny(number: int, head: str = "") -> bytes:
    return (
        f"{head}From: a@d{number}.example\r\nMessage-ID: <{number}@d>\r\nSubject: s{number}\r\n\r\nHello\r\n".encode()
    )


def flood(daemon: Running, mails: list[bytes], source: str = "127.0.0.1", domain: str = "") -> None:
    """All of them over one connection."""
    with smtplib.SMTP(
        "127.0.0.1", daemon.smtp_port, local_hostname="c.example", timeout=60, source_address=(source, 0)
    ) as client:
        for number, raw in enumerate(mails):
            client.sendmail(f"a@{domain or f'd{number % 240}.example'}", [TO], raw)


def test_domains_that_do_not_answer_hold_up_nobody_else(daemons: Any, peers: LoopbackPeers) -> None:
    """240 mails of four networks; each waits ten minutes for its answers. A customer from the very same network, and a stranger
    from another, are answered meanwhile, before any of the 240 is."""
    daemon = daemons(dns={"timeout": "600s"})
    for network in range(4):
        flood(daemon, [tiny(n) for n in range(network * 60, network * 60 + 60)], f"127.0.{network}.1")
    assert daemon.send(signed(1), "ops@shop.example")[0] == 250
    until(lambda: any(taken.rcpt_tos == ("ops@shop.example",) for taken in peers.taken), 60, "the customer's answer")
    stranger = (
        b"From: x@curious.example\r\nMessage-ID: <q@x>\r\nSubject: q\r\n\r\nHello, do you sell servers in Spain?\r\n"
    )
    flood(daemon, [stranger], "127.0.9.1", "curious.example")
    until(lambda: len(daemon.named("decided")) == 2, 60, "the stranger's ticket")
    assert {ticket["author"] for ticket in daemon.rows("tickets", "list")} == {"ops@shop.example", "x@curious.example"}


@pytest.mark.parametrize("senders", [1, 3])
def test_mails_that_are_slow_to_read_hold_up_nobody_else(daemons: Any, peers: LoopbackPeers, senders: int) -> None:
    """Twelve, of one network or of three; each would take ten minutes. A customer's mail, and one of a stranger who sent none of
    them, are read before the first of them is done with."""
    daemon = daemons(module="tests.odd_daemon", gateway={"read_limit": "600s"})
    for sender in range(senders):
        hostile = [tiny(n, "X-Sleep: 1\r\n") for n in range(sender * 12, sender * 12 + 12 // senders)]
        flood(daemon, hostile, f"127.0.{sender}.1")
    assert daemon.send(signed(1), "ops@shop.example")[0] == 250
    until(lambda: len(peers.taken) == 1, 60, "the customer's answer")
    assert peers.taken[0].rcpt_tos == ("ops@shop.example",)
    stranger = (
        b"From: x@curious.example\r\nMessage-ID: <q@x>\r\nSubject: q\r\n\r\nHello, do you sell servers in Spain?\r\n"
    )
    flood(daemon, [stranger], "127.0.9.1", "curious.example")
    until(lambda: len(daemon.named("decided")) == 2, 60, "the stranger's ticket")
    assert daemon.named("parked") == daemon.named("unreadable") == []


def test_the_slow_ones_are_read_in_the_end(daemons: Any, peers: LoopbackPeers, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, beside the rest; those that take too long have a ticket with the reason, as ever."""
    daemon = daemons(module="tests.odd_daemon", gateway={"read_limit": "3s"})
    flood(daemon, [tiny(n, "X-Sleep: 1\r\n") for n in range(3)])
    flood(daemon, [tiny(9, "X-Sleep: 1\r\n")], "127.0.9.1")
    until(lambda: len(daemon.named("unreadable")) == 4, 120, "the last of them")
    assert {event["reason"] for event in daemon.named("unreadable")} == {"reading took longer than 3 s"}
    until(lambda: len(daemon.rows("tickets", "list")) == 4, 60, "their tickets")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def readers(daemon: Running) -> tuple[int, list[int]]:
    """(the fork server, the readers)."""
    for pid in daemon.pids():
        with contextlib.suppress(OSError):
            if "fork_server" in Path(f"/proc/{pid}/cmdline").read_text() and children(pid):
                return pid, children(pid)
    raise AssertionError("no fork server")


def test_mails_wait_uncounted_for_a_reader_and_everybody_is_told(
    daemons: Any, peers: LoopbackPeers, tmp_path: Path
) -> None:
    switch = tmp_path / "switch"
    daemon = daemons(module="tests.odd_daemon", env={"ODD_NO_READER": str(switch)})
    switch.touch()
    for pid in readers(daemon)[1]:
        os.kill(pid, signal.SIGKILL)
    for number in range(5):
        assert daemon.send(signed(number), "ops@shop.example")[0] == 250
    until(lambda: ready(daemon)[0] == 503)
    assert b"no reader process can be started: FileNotFoundError" in ready(daemon)[1]

    def told() -> list[str]:
        shown = json.loads(daemon.command("status", "--json").stdout)
        return [problem for problem in shown["problems"] if "no reader process can be started" in problem]

    until(told)
    assert daemon.command("status").returncode == 1
    until(lambda: len(daemon.named("loop_fault")) >= 1)
    for _ in range(6):  # claimed again and again
        assert {(row["state"], row["attempts"]) for row in daemon.rows("messages", "list")} <= {
            ("pending", 0), ("processing", 1)
        }  # fmt: skip
    switch.unlink()
    until(lambda: len(peers.taken) == 5, 60, "the answers")
    until(lambda: ready(daemon)[0] == 200)
    daemon.settled()
    assert not told() and {row["state"] for row in daemon.rows("messages", "list")} == {"done"}


def test_readers_and_their_parent_are_started_anew(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons()
    for number in range(3):
        server, processes = readers(daemon)
        for pid in (server, *processes):
            os.kill(pid, signal.SIGKILL)
        assert daemon.send(signed(number), "ops@shop.example")[0] == 250
        until(lambda number=number: len(peers.taken) == number + 1, 60, "the answer")  # type: ignore[misc]
    assert ready(daemon)[0] == 200 and daemon.named("parked") == daemon.named("unreadable") == []


def test_no_reader_outlives_a_service_that_is_killed(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(module="tests.odd_daemon", gateway={"read_limit": "600s"})
    flood(daemon, [tiny(1, "X-Sleep: 1\r\n")])
    server, processes = readers(daemon)
    daemon.stop(signal.SIGKILL)

    def gone(pid: int) -> bool:
        with contextlib.suppress(OSError):
            return ") Z " in Path(f"/proc/{pid}/stat").read_text()
        return True

    until(lambda: all(gone(pid) for pid in (server, *processes)), 30, "its processes to end")
