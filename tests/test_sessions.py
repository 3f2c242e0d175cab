"""How sessions end: by every deadline, for somebody faster, at a stop; and that nothing of them is left in flight."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway import metrics
from gateway.ingest.clocks import Phase
from gateway.ingest.smtp import JUNK_LIMIT
from gateway.model import RawMessage
from tests.certificates import self_signed
from tests.listener import SMTP, Client, Server, eventually, run

HALF = b"Subject: half\r\n\r\n" + b"x" * 70_000 + b"\r\nmore"


def server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*self_signed(folder))
    return context


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def gone(server: Server) -> None:
    """Nothing is held any more, in the service's own books and in what it shows."""
    await eventually(lambda: not server.ingest.sessions)
    assert server.used == (0, 0)
    shown = [metrics.REGISTRY.get_sample_value(name) for name in ("gateway_connections", "gateway_in_flight_octets")]
    assert shown == [0, 0]


# -- octets in flight


def reset(client: Client) -> None:
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


async def cut_by_reset(client: Client) -> None:
    reset(client)


async def cut_by_close(client: Client) -> None:
    client.close()


async def cut_by_half_close(client: Client) -> None:
    client.writer.write_eof()
    assert await client.closed()


async def cut_by_silence(client: Client) -> None:
    assert (await client.reply()) == "421 4.4.2 Timeout waiting for data"


async def cut_by_quit(client: Client) -> None:
    client.writer.write(b"\r\n.\rQUIT\r\n")
    client.writer.write_eof()
    assert await client.closed()


async def cut_when_it_is_too_big(client: Client) -> None:
    client.writer.write(b"y" * 100_000)
    await client.writer.drain()
    reset(client)


CUTS = [cut_by_reset, cut_by_close, cut_by_half_close, cut_by_silence, cut_by_quit, cut_when_it_is_too_big]


@pytest.mark.parametrize(
    ("end", "tls"),
    [(end, False) for end in CUTS] + [(end, True) for end in CUTS if end not in (cut_by_half_close, cut_by_quit)],
)
def test_data_that_is_cut_off_leaves_nothing_in_flight(
    tmp_path: Path, end: Callable[[Client], Awaitable[None]], tls: bool
) -> None:
    silent = end is cut_by_silence

    async def story(server: Server, port: int) -> None:
        for _ in range(3 if silent else 16):  # 16 of them are more than all that may be in flight
            client = await Client.to(port)
            if tls:
                await client.say("STARTTLS")
                await client.writer.start_tls(trusting())
                await client.say("EHLO client.example")
            await client.data()
            client.writer.write(HALF)
            await client.writer.drain()
            await eventually(lambda: server.used[1] > 0)
            await end(client)
            client.close()
            await eventually(lambda: server.used[1] == 0)
        client = await Client.to(port)
        assert (await client.mail(b"x" * 60_000)) == ["250 2.0.0 Accepted"]
        client.close()
        await gone(server)

    context = server_context(tmp_path) if tls else None
    assert len(run(tmp_path, story, tls=context, data_timeout=1.0 if silent else 30).stored) == 1


@pytest.mark.parametrize("fault", [None, RuntimeError("no")])
def test_a_mail_is_in_flight_until_it_is_stored_whatever_becomes_of_its_session(
    tmp_path: Path, fault: Exception | None
) -> None:
    async def story(server: Server, port: int) -> None:
        gate = asyncio.Event()

        async def hold(_: RawMessage) -> None:
            await gate.wait()
            if fault is not None:
                raise fault

        server.act = hold
        for _ in range(15):
            client = await Client.to(port)
            await client.data()
            client.writer.write(b"y" * 65_000 + b"\r\n.\r\n")
            await client.writer.drain()
            await eventually(lambda: all(session._clocks.phase is Phase.STORING for session in server.ingest.sessions))
            reset(client)
            await eventually(lambda: not server.ingest.sessions)
        assert server.used == (0, 15 * 65_007)
        late = await Client.to(port)
        assert (await late.mail(b"z" * 65_000))[0].startswith("452 4.3.1")
        late.close()
        gate.set()
        await gone(server)

    assert len(run(tmp_path, story).stored) == (15 if fault is None else 0)


# -- deadlines


async def trickle(client: Client, octets: bytes, pause: float = 0.02) -> None:
    """Goes on until the service has had enough; beside the client's transport, which would drop what it has not read yet
    when it cannot send."""
    with socket.socket(fileno=os.dup(client.writer.get_extra_info("socket").fileno())) as raw:
        raw.setblocking(False)
        while True:
            try:
                raw.send(octets, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                await asyncio.sleep(0.001)
            except OSError:
                return
            await asyncio.sleep(pause)


@pytest.mark.fault("X3")
@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp on our own socket"])
@pytest.mark.parametrize(
    ("commands", "octets", "said", "waits"),
    [
        (["DATA"], b"x\r\n", "421 4.4.2 The data of the mail took too long", {"data_deadline": 1.5}),
        (["DATA"], b"", "421 4.4.2 Timeout waiting for data", {"data_timeout": 1.5}),
        ([], b"N", "421 4.4.2 Timeout waiting for a command that leads to a mail", {"idle_timeout": 1.5}),
        ([], b"", "421 4.4.2 Timeout waiting for a command that leads to a mail", {"idle_timeout": 1.5}),
        ([], b"N", "421 4.4.2 The session took too long", {"session_deadline": 1.5}),
    ],
    ids=["a trickle of data", "no data", "a trickle of a command", "no command", "a session"],
)
def test_no_peer_keeps_a_session_beyond_its_deadline(
    tmp_path: Path, commands: list[str], octets: bytes, said: str, waits: dict[str, float], lmtp: bool
) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.over(server.socket) if lmtp else await Client.to(port)
        if commands:
            await client.data()
        heard = asyncio.create_task(client.reply())
        going = asyncio.create_task(trickle(client, octets) if octets else asyncio.sleep(0))
        assert await heard == said
        await gone(server)
        client.close()
        await going

    assert run(tmp_path, story, **waits).stored == []


@pytest.mark.parametrize("words", [b"", b"\x16\x03\x01"], ids=["silence", "half a hello"])
def test_starttls_and_then_nothing_ends(tmp_path: Path, words: bytes) -> None:
    def counted() -> float:
        return metrics.REGISTRY.get_sample_value("gateway_overdue_total", {"what": "handshake"}) or 0.0

    before = counted()

    async def story(server: Server, port: int) -> None:
        clients = [await Client.to(port) for _ in range(10)]
        for client in clients:
            assert (await client.say("STARTTLS")).startswith("220")
            client.writer.write(words)
        for client in clients:
            assert await client.closed()
        await gone(server)

    run(tmp_path, story, tls=server_context(tmp_path), handshake_timeout=1.0)
    assert counted() == before + 10


@pytest.mark.fault("X14")
def test_a_handshake_that_fails_or_is_cut_off_ends_the_session(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        for end in (lambda client: client.writer.write(b"QUIT\r\n" * 10), reset, Client.close):
            client = await Client.to(port)
            await client.say("STARTTLS")
            end(client)
            await gone(server)

    run(tmp_path, story, tls=server_context(tmp_path))


@pytest.mark.parametrize("command", ["NOOP", "RSET", "VRFY x", "HELP", "EHLO again.example"])
def test_commands_that_lead_to_no_mail_do_not_keep_a_session(tmp_path: Path, command: str) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        count = 0
        while (heard := await client.say(command)).startswith("2"):
            count += 1
            await asyncio.sleep(0.06)
        assert count <= 1.0 / 0.06 + 1, "none of them was waited for anew"
        assert heard == "421 4.4.2 Timeout waiting for a command that leads to a mail"
        await gone(server)

    run(tmp_path, story, idle_timeout=1.0)


def test_a_transaction_that_never_ends_does_not_keep_a_session_but_a_slow_one_is_waited_for(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client, slow = await Client.to(port), await Client.to(port)

        async def over_and_over() -> str:
            while True:
                for command in ("MAIL FROM:<a@b.example>", "RCPT TO:<support@introserv.com>", "RSET"):
                    if not (heard := await client.say(command)).startswith("2"):
                        return heard
                    await asyncio.sleep(0.03)

        ending = asyncio.create_task(over_and_over())
        for command in ("MAIL FROM:<a@b.example>", *["RCPT TO:<support@introserv.com>"] * 3):
            await asyncio.sleep(0.6)
            assert (await slow.say(command)).startswith("250")
        assert (await ending).startswith("421")
        assert (await slow.say("DATA")).startswith("354")
        assert (await slow.say(b"x\r\n.\r\n")).startswith("250")

    assert len(run(tmp_path, story, idle_timeout=1.0).stored) == 1


def test_a_hundred_noops_are_fine_and_more_are_errors(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port, "")
        for _ in range(JUNK_LIMIT + 5):
            assert (await client.say("NOOP")).startswith("250")
        assert (await client.say("NOOP")).startswith("421 4.7.0")
        assert await client.closed()

    run(tmp_path, story)


def test_a_peer_that_does_not_read_its_replies_is_cut_off(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = Client(*await asyncio.open_connection("127.0.0.1", port, limit=1024))
        client.writer.transport.pause_reading()
        client.writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n")
        # each hears 452 after the third, which is no error of the peer's
        shouting = asyncio.create_task(trickle(client, b"RCPT TO:<support@introserv.com>\r\n" * 1000, 0))
        await eventually(lambda: server.ingest.sessions)
        await gone(server)
        client.writer.transport.abort()
        await shouting

    run(tmp_path, story, idle_timeout=1.0)


def test_a_mail_that_is_refused_is_read_to_its_end_but_not_for_ever(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        await client.data()
        assert (await client.say(b"x" * 500_000 + b"\r\n.\r\n")).startswith("552 5.3.4")
        await client.data()
        heard = asyncio.create_task(client.reply())
        await trickle(client, b"x" * 65_536, 0)
        assert (await heard).startswith("421 4.3.1")
        await gone(server)

    run(tmp_path, story)


def test_a_session_ends_with_its_transaction_when_it_has_lasted_too_long(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        await client.data()
        (session,) = server.ingest.sessions
        await eventually(lambda: session._stopping)
        assert (await client.say(b"x\r\n.\r\n")).startswith("250")
        assert await client.reply() == "421 4.4.2 The session took too long"
        assert await client.closed()

    assert len(run(tmp_path, story, session_deadline=1.5).stored) == 1


# -- room


@pytest.mark.fault("X12")
def test_connections_in_all_are_capped_whatever_address_they_come_from(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        server.limits.bounds = SMTP.model_copy(update={"max_connections": 8})
        clients = [await Client.to(port, source=f"127.0.{number}.1") for number in range(8)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.100.1", 0))
        assert await reader.readline() == b"421 4.7.0 too many connections\r\n"
        assert await reader.read() == b""
        writer.close()
        assert server.used[0] == 8
        for client in clients:
            assert (await client.say("NOOP")).startswith("250")
        clients[0].close()
        await eventually(lambda: server.used[0] == 7)
        await Client.to(port, source="127.0.100.1")

    run(tmp_path, story)


def test_a_network_has_its_share_and_a_trusted_relay_is_exempt(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        for number in range(20):
            await Client.to(port, source=f"127.1.1.{number + 1}")
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.1.1.100", 0))
        assert await reader.readline() == b"421 4.7.0 too many connections from 127.1.1.0/24\r\n"
        writer.close()
        for _ in range(25):
            await Client.to(port, source="127.2.2.2")

    run(tmp_path, story, trusted=(ip_network("127.2.2.2"),))


@pytest.mark.fault("X4")
def test_a_slow_sender_hears_why_he_had_to_go_and_his_octets_are_free(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        server.limits.bounds = SMTP.model_copy(update={"max_connections": 2})
        now = 0.0
        server.limits._clock = lambda: now
        slow, fast = await Client.to(port, source="127.1.1.1"), await Client.to(port, source="127.1.2.1")
        for client in (slow, fast):
            await client.data()
            client.writer.write(HALF)
        await eventually(lambda: server.used[1] > 2 * 65_536)
        now += 60
        fast.writer.write(b"x" * 70_000)  # with what came before, more than a mail may have
        await eventually(lambda: server.used[1] < 2 * 65_536)
        other = await Client.to(port, source="127.1.3.1")
        assert await slow.reply() == "421 4.7.0 Too slow while others wait, try again later"
        assert await slow.closed()
        assert (await other.mail(b"x"))[0].startswith("250")
        assert (await fast.say(b"\r\n.\r\n")).startswith("552")
        for client in (fast, other):
            client.close()
        await gone(server)

    run(tmp_path, story)


# -- the stop


def test_a_stop_beside_slow_data_ends_without_a_fault(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        slow, silent = await Client.to(port), await Client.to(port)
        await slow.data()
        await silent.say("STARTTLS")
        await server.ingest.drain(0.1)
        assert await slow.reply() == "421 4.3.2 Shutting down, try again later"
        assert await slow.closed() and await silent.closed()
        await gone(server)

    run(tmp_path, story, tls=server_context(tmp_path))


def test_who_comes_during_the_stop_is_sent_away_and_what_is_being_stored_is_waited_for(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        gate = asyncio.Event()

        async def hold(_: RawMessage) -> None:
            await gate.wait()

        server.act = hold
        client = await Client.to(port)
        await client.data()
        client.writer.write(b"x\r\n.\r\n")
        await eventually(
            lambda: server.used[1] and all(s._clocks.phase is Phase.STORING for s in server.ingest.sessions)
        )
        reset(client)
        drain = asyncio.create_task(server.ingest.drain(30))
        await eventually(lambda: server.ingest.stopping and not server.ingest.sessions)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.readline()).startswith(b"421 4.3.2")
        writer.close()
        assert not drain.done()
        gate.set()
        await drain
        assert len(server.stored) == 1

    run(tmp_path, story)
