"""The running service's listeners: what is shown of them, whom it knows from before, and a stop beside a slow sender."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from gateway.database import inbox
from gateway.database.store import Store
from gateway.database.tables import messages
from gateway.ingest import relays
from gateway.ingest.relays import MOST, POOL, KnownRelays, Watch
from gateway.model import Envelope, RawMessage, Trust
from gateway.tickets import clients
from tests.conftest import NOW
from tests.peers.harness import LoopbackPeers, Running, until
from tests.test_daemon import signed

DAYS = timedelta(days=1)


@contextlib.contextmanager
def connected(daemon: Running, source: str = "127.0.0.1") -> Iterator[tuple[socket.socket, bytes]]:
    """(a connection, its greeting)."""
    with socket.create_connection(("127.0.0.1", daemon.smtp_port), timeout=30, source_address=(source, 0)) as client:
        yield client, client.recv(1000)


def in_data(client: socket.socket, octets: int) -> None:
    """Half a mail, of more than ``octets``."""
    for command in (b"EHLO x.example", b"MAIL FROM:<a@x.example>", b"RCPT TO:<support@introserv.com>", b"DATA"):
        client.sendall(command + b"\r\n")
        assert client.recv(1000)[:1] in b"23"
    client.sendall(b"Subject: slow\r\n\r\n" + b"x" * 998 + b"\r\n" + (b"y" * 998 + b"\r\n") * (octets // 1000))


def ready(daemon: Running) -> tuple[int, list[str]]:
    """The status and lines of ``/readyz``."""
    try:
        with urllib.request.urlopen(daemon.http + "/readyz", timeout=30) as answer:
            return answer.status, answer.read().decode().splitlines()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode().splitlines()


def test_a_sigterm_beside_slow_data_ends_cleanly(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers, module="tests.odd_daemon", env={"ODD_DRAIN_S": "0.5"})
    with connected(daemon) as (client, _):
        in_data(client, 100_000)
        assert daemon.stop(signal.SIGTERM) == 0
        assert client.recv(1000) == b"421 4.3.2 Shutting down, try again later\r\n"
    assert [event["event"] for event in daemon.events][-1] == "stopped"
    assert daemon.other == [], "no traceback"


def test_connections_and_octets_in_flight_are_shown_wherever_one_looks(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers, smtp={"max_connections": 40, "max_in_flight": "8MB", "max_size": "4MB"})

    def shown() -> tuple[int, int]:
        status = json.loads(daemon.command("status", "--json").stdout)
        found = daemon.metrics()
        seen = status["connections"], status["octets_in_flight"]
        assert (status["connections_limit"], status["octets_in_flight_limit"]) == (40, 8 * 1024**2)
        assert seen == (found["gateway_connections"], found["gateway_in_flight_octets"])
        assert found["gateway_connections_limit"] == 40 and found["gateway_in_flight_limit_octets"] == 8 * 1024**2
        code, lines = ready(daemon)
        assert code == 200 and lines[0] == "ready"
        assert lines[1:] == [f"connections {seen[0]} of 40", f"octets_in_flight {seen[1]} of {8 * 1024**2}"]
        return seen

    assert shown() == (0, 0)
    with connected(daemon) as (client, _), connected(daemon):
        in_data(client, 300_000)
        until(lambda: daemon.metrics()["gateway_in_flight_octets"] > 200_000, 30)
        assert shown()[0] == 2
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: daemon.metrics()["gateway_connections"] == 0, 30)
    assert shown() == (0, 0)
    assert "octets_in_flight     0" in daemon.command("status").stdout
    daemon.stop()
    status = json.loads(daemon.command("status", "--json").stdout)
    assert status["connections"] is None and status["octets_in_flight"] is None


def test_what_is_used_up_is_a_problem_and_not_ready(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers, smtp={"max_connections": 4, "reserved": 0.5})
    with connected(daemon, "127.1.1.1"), connected(daemon, "127.1.2.1"):
        with connected(daemon, "127.1.3.1") as (_, greeting):
            assert greeting == b"421 4.7.0 too many connections\r\n"
        code, lines = ready(daemon)
        assert code == 503 and lines[0].startswith("since ")
        assert ": no room for new senders: 2 of 4 connections in use -> " in lines[0]
        status = daemon.command("status", "--json")
        assert status.returncode == 1 and lines[0] in json.loads(status.stdout)["problems"]
        # whom nobody brings a mail from any more makes way
        until(lambda: ready(daemon)[0] == 200, 60)
        with connected(daemon, "127.1.3.1") as (_, greeting):
            assert greeting.startswith(b"220")


def test_a_customer_who_wrote_before_finds_room_that_strangers_do_not(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers, smtp={"max_connections": 4, "reserved": 0.5})
    assert daemon.send(signed(1), "ops@shop.example")[0] == 250
    daemon.settled()
    daemon.stop()
    daemon.start()
    with connected(daemon, "127.1.1.1"), connected(daemon, "127.1.2.1"):

        def strangers_are_sent_away() -> bool:
            with connected(daemon, "127.1.3.1") as (_, greeting):
                return greeting.startswith(b"421")

        assert strangers_are_sent_away()
        assert daemon.send(signed(2), "ops@shop.example")[0] == 250


def test_a_reload_changes_the_limits(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace("[smtp]\n", "[smtp]\nmax_connections = 7\n"))
    daemon.reload()
    until(lambda: daemon.metrics()["gateway_connections_limit"] == 7, 30)


# -- whom the service knows


def verified(store: Store, number: int, client: str | None, trust: Trust = Trust.VERIFIED, **values: Any) -> int:
    """A decided mail; its id."""
    days = values.pop("days", 0)
    envelope = Envelope(
        "a@b.example", ("support@introserv.com",), client, "x", values.pop("source", "smtp"), NOW - days * DAYS,
        values.pop("trusted", False), False,
    )  # fmt: skip
    accepted = store.write_now(lambda connection: inbox.accept(connection, RawMessage(b"x", envelope), f"{number:064}"))
    change = messages.update().where(messages.c.id == accepted.id)
    store.write_now(
        lambda connection: connection.execute(change.values(trust=trust, authenticated=trust is Trust.VERIFIED))
    )
    return accepted.id


def test_verified_mail_of_the_last_days_makes_its_client_known(store: Store) -> None:
    verified(store, 1, "192.0.2.1", days=2)
    verified(store, 2, "192.0.2.1", days=1)
    verified(store, 3, "192.0.2.2", days=3)
    verified(store, 4, "192.0.2.3", days=40)
    verified(store, 5, "192.0.2.4", Trust.UNVERIFIED)
    verified(store, 6, "192.0.2.5", Trust.FAILED)
    verified(store, 7, "192.0.2.6", trusted=True)
    verified(store, 8, "192.0.2.7", source="imap:box")
    highest = verified(store, 9, None)
    found, last = store.read_now(lambda connection: clients.verified(connection, None, NOW - 30 * DAYS, 10))
    assert found == [("192.0.2.2", NOW - 3 * DAYS), ("192.0.2.1", NOW - DAYS)] and last == highest
    found, _ = store.read_now(lambda connection: clients.verified(connection, None, NOW - 30 * DAYS, 1))
    assert found == [("192.0.2.1", NOW - DAYS)]
    found, _ = store.read_now(lambda connection: clients.verified(connection, highest, NOW - 30 * DAYS, 10))
    assert found == []


def test_the_watch_looks_again_at_what_may_not_have_been_decided_yet(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = NOW
    known = KnownRelays()
    watch = Watch(store, known, lambda: now)
    asked: list[int | None] = []

    def counted(connection: Any, above: int | None, *rest: Any) -> Any:
        asked.append(above)
        return real(connection, above, *rest)

    real = clients.verified
    monkeypatch.setattr(relays.clients, "verified", counted)
    verified(store, 1, "192.0.2.1")
    late = verified(store, 2, "203.0.113.1", Trust.UNKNOWN)

    async def story() -> None:
        nonlocal now
        await watch.look()
        assert known.knows("192.0.2.1") and not known.knows("203.0.113.1")
        change = messages.update().where(messages.c.id == late)
        store.write_now(lambda connection: connection.execute(change.values(trust=Trust.VERIFIED, authenticated=True)))
        verified(store, 3, "2001:db8::1")
        now += timedelta(minutes=30)
        await watch.look()
        assert known.knows("2001:db8::ffff") and not known.knows("203.0.113.1"), "only what is newer is looked at"
        for _ in range(3):
            now += timedelta(minutes=30)
            await watch.look()

    asyncio.run(story())
    assert asked[0] is None and asked[1] == late and asked[-1] > late


def test_a_network_is_known_when_several_of_its_hosts_are_and_the_memory_is_bounded() -> None:
    known = KnownRelays()
    known.learn([(f"192.0.2.{number}", NOW) for number in range(1, POOL)])
    assert known.knows("192.0.2.1") and not known.knows("192.0.2.200")
    known.learn([("192.0.2.100", NOW)])
    assert known.knows("192.0.2.200") and not known.knows("192.0.3.200")
    known.learn([("2001:db8:1:2::7", NOW)])
    assert known.knows("2001:db8:1:2::8") and not known.knows("2001:db8:1:3::7")
    known.learn([(f"10.{n // 60000}.{n // 250 % 240}.{n % 250}", NOW + DAYS) for n in range(MOST)])
    assert not known.knows("192.0.2.1") and not known.knows("192.0.2.200") and len(known._seen) == MOST
    known.expire(NOW + 32 * DAYS)
    assert not known._seen and not known._pools
