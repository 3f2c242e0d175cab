"""The dialogue of the listeners, on real sockets: what a peer hears, and what is stored (RELIABILITY X1-X18)."""

from __future__ import annotations

import asyncio
import itertools
import random
import ssl
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.ingest.answers import Reply
from gateway.ingest.client import accepts, received_client
from gateway.ingest.data import Unstuffing
from gateway.ingest.smtp import DiskIsFull
from gateway.model import RawMessage
from tests.listener import SMTP, WHEN, Client, Server, run


def test_a_mail_is_stored_byte_for_byte_with_its_envelope(tmp_path: Path) -> None:
    body = b"Subject: x\r\n\r\n.leading\r\n..two\r\n\xff\x00 8bit\r\nbare\nlf and \r cr\r\n" + b"x" * 5000

    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        wire = body.replace(b"\r\n.", b"\r\n..")
        assert await client.mail(wire) == ["250 2.0.0 Accepted"]
        assert await client.say("QUIT") == "221 2.0.0 Bye"

    (message,) = run(tmp_path, story).stored
    assert bytes(message.raw) == body + b"\r\n"
    envelope = message.envelope
    assert (envelope.mail_from, envelope.rcpt_tos, envelope.client) == (
        "a@sender.example",
        ("support@introserv.com",),
        "127.0.0.1",
    )
    assert (envelope.helo, envelope.received_at, envelope.trusted) == ("client.example", WHEN, False)


@pytest.mark.fault("X9")
def test_dots_are_unstuffed_wherever_the_pieces_end() -> None:
    dice = random.Random(5321)
    for _ in range(300):
        body = b"\r\n" + b"".join(dice.choices([b"\r\n", b".", b"\r", b"\n", b"x", b"\r\n.", b"\r\n.."], k=12))
        wire = body.replace(b"\r\n.", b"\r\n..")
        for cut in itertools.product(range(len(wire)), repeat=2):
            first, second = sorted(cut)
            dots = Unstuffing()
            pieces = (wire[:first], wire[first:second], wire[second:])
            assert b"".join(map(dots.fed, pieces)) + dots.rest() == body, (wire, cut)


@pytest.mark.fault("X8")
@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r\n\x00.\r\n"])
def test_only_crlf_dot_crlf_ends_data(tmp_path: Path, end: bytes) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        smuggled = b"one" + end + b"MAIL FROM:<x@evil.example>\r\nRCPT TO:<support@introserv.com>\r\nDATA\r\ntwo"
        assert await client.mail(smuggled) == ["250 2.0.0 Accepted"]

    (message,) = run(tmp_path, story).stored
    assert b"MAIL FROM:<x@evil.example>" in message.raw


@pytest.mark.fault("X8")
def test_bare_line_ends_are_refused_where_the_admin_says_so(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        assert (await client.mail(b"a\nb"))[0].startswith("550 5.6.11")
        assert (await client.mail(b"a\r\nb"))[0].startswith("250")

    assert len(run(tmp_path, story, bare_newline="reject").stored) == 1


@pytest.mark.fault("X6", "X13", "X15", "X17")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("EXPN list", "502 5.5.1"), ("VRFY anna", "252 2.1.5"), ("VRFY", "501 5.5.4"), ("NOOP", "250 2.0.0"), ("HELP", "214 2.0.0"),
        ("RSET", "250 2.0.0"), ("RSET now", "501 5.5.4"), ("BDAT 5", "502 5.5.1"), ("DATA", "503 5.5.1"), ("RCPT TO:<support@introserv.com>", "503 5.5.1"),
        ("NONSENSE", "500 5.5.1"), ("\x16\x03\x01", "500 5.5.1"), ("MAIL FROM:<ü@x.example>", "553 5.6.7"),
        ("MAIL FROM: <a@b.example>", "250 2.1.0"), ("MAIL FROM:<>", "250 2.1.0"), ("MAIL FROM:<@r.example:a@b.example>", "250 2.1.0"),
        ("MAIL FROM:<a@b.example> SIZE=100000", "250 2.1.0"), ("MAIL FROM:<a@b.example> SIZE=100001", "552 5.3.4"),
        ("MAIL FROM:<a@b.example> SIZE=-1", "501 5.5.4"), ("MAIL FROM:<a@b.example> SIZE=big", "501 5.5.4"),
        ("MAIL FROM:<a@b.example> BODY=8BITMIME", "250 2.1.0"), ("MAIL FROM:<a@b.example> SMTPUTF8", "555 5.5.4"),
        ("MAIL FROM:<a@b.example> RET=FULL", "555 5.5.4"), ("MAIL FROM:<a b@c.example>", "553 5.1.7"), ("MAIL TO:<a@b.example>", "501 5.5.4"),
        ("STARTTLS", "454 4.7.0"), ("XCLIENT ADDR=192.0.2.1", "550 5.7.0"), ("XFORWARD ADDR=192.0.2.1", "550 5.7.0"), ("AUTH PLAIN AA==", "502 5.5.1"),
    ],
)  # fmt: skip
def test_a_reply_to(tmp_path: Path, command: str, code: str) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        assert (await client.say(command)).startswith(code)
        assert (await client.say("NOOP")).startswith("250")

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("MAIL FROM:<ü@b.example> SMTPUTF8", "250 2.1.0"), ("MAIL FROM:<用户@例子.example> SIZE=9 smtputf8", "250 2.1.0"),
        ("MAIL FROM:<ü@b.example>", "553 5.6.7"), ("MAIL FROM:<a@bücher.example>", "553 5.6.7"), ("MAIL FROM:<a@b.example> SMTPUTF8=1", "555 5.5.4"),
        ("MAIL FROM:<a\u200b@b.example> SMTPUTF8", "553 5.1.7"), ("MAIL FROM:<a\u202eb@c.example> SMTPUTF8", "553 5.1.7"),
        ("MAIL FROM:<\u212a@b.example> SMTPUTF8", "553 5.1.7"), ("MAIL FROM:<ü ü@b.example> SMTPUTF8", "553 5.1.7"),
    ],
)  # fmt: skip
def test_a_sender_beyond_ascii_where_the_answer_could_go_out(tmp_path: Path, command: str, code: str) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port, "")
        assert "250 SMTPUTF8" in (await client.say("EHLO client.example")).split("\n")
        assert (await client.say(command)).startswith(code)
        assert (await client.say("NOOP")).startswith("250")

    run(tmp_path, story, smtputf8=lambda: True)


def test_recipients_beyond_ascii_belong_to_a_transaction_that_says_so(tmp_path: Path) -> None:
    ours = accepts(("support@xn--bcher-kva.example",), "reply.introserv.com", lambda address: False)

    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        assert (await client.say("MAIL FROM:<ü@b.example> SMTPUTF8 RET=FULL")).startswith("555 5.5.4")
        assert (await client.say("MAIL FROM:<a@b.example>")).startswith("250")
        assert (await client.say("RCPT TO:<support@bücher.example>")).startswith("553 5.6.7")
        assert (await client.say("RSET")).startswith("250")
        assert (await client.say("MAIL FROM:<Ü@Bücher.example> SMTPUTF8")).startswith("250")
        assert (await client.say("RCPT TO:<hilfe-ü@bücher.example>")).startswith("550 5.1.1")
        assert (await client.say("RCPT TO:<support@Bücher.example>")).startswith("250")
        assert (await client.say("DATA")).startswith("354")
        assert (await client.say(b"From: \xc3\x9c@b.example\r\n\r\nHello\r\n.\r\n")).startswith("250")

    (stored,) = run(tmp_path, story, smtputf8=lambda: True, accepts_recipient=ours).stored
    envelope = stored.envelope
    assert (envelope.mail_from, envelope.rcpt_tos) == ("Ü@xn--bcher-kva.example", ("support@xn--bcher-kva.example",))


@pytest.mark.fault("X11")
@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("support@introserv.com", True), ("SUPPORT@Introserv.COM", True), ("support+T-x.a.b@introserv.com", True),
        ("support+tag@reply.introserv.com", True), ("postmaster", True), ("postmaster@introserv.com", True),
        ("bounces+1.abc@reply.introserv.com", True), ("sales@introserv.com", False), ("support@evil.example", False),
        ("support%evil.example@introserv.com", False), ("evil.example!x@introserv.com", False), ('"support"@introserv.com', False),
    ],
)  # fmt: skip
def test_recipients(tmp_path: Path, address: str, taken: bool) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        await client.say("MAIL FROM:<a@b.example>")
        assert (await client.say(f"RCPT TO:<{address}>")).startswith("250 2.1.5" if taken else "550 5.1.1")

    run(tmp_path, story)


@pytest.mark.fault("X10")
def test_too_many_recipients_and_too_many_errors(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        await client.say("MAIL FROM:<a@b.example>")
        for _ in range(3):
            assert (await client.say("RCPT TO:<support@introserv.com>")).startswith("250")
        assert (await client.say("RCPT TO:<support@introserv.com>")).startswith("452 4.5.3")
        for _ in range(5):
            assert (await client.say("RCPT TO:<x@evil.example>"))[:3] in ("550", "452")
        await client.say("RSET")
        await client.say("MAIL FROM:<a@b.example>")
        answers = [await client.say("RCPT TO:<x@evil.example>") for _ in range(6)]
        assert answers[-1].startswith("421 4.7.0")
        assert await client.closed()

    run(tmp_path, story)


@pytest.mark.fault("X6")
def test_a_message_over_the_limit_is_refused_and_the_session_goes_on(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        assert (await client.mail(b"x" * 60_000 + b"\r\n" + b"y" * 60_000))[0].startswith("552 5.3.4")
        assert (await client.mail(b"z"))[0].startswith("250")
        assert server.limits.usage()["octets_in_flight"] == 0

    assert [bytes(m.raw) for m in run(tmp_path, story).stored] == [b"z\r\n"]


@pytest.mark.fault("X7")
@pytest.mark.parametrize(("length", "code"), [(65_000, "250"), (70_000, "550 5.6.0")])
def test_long_lines(tmp_path: Path, length: int, code: str) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        assert (await client.mail(b"x" * length))[0].startswith(code)

    run(tmp_path, story)


def test_a_loop_ends(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        assert (await client.mail(b"Received: x\r\n" * 101 + b"\r\nx"))[0].startswith("554 5.4.6")

    run(tmp_path, story)


def test_a_browser_that_was_made_to_post_a_mail_is_sent_away(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        client.writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<a@b.example>\r\n")
        assert (await client.reply()).startswith("500 5.5.1")
        assert await client.reader.read() == b""

    assert run(tmp_path, story).stored == []


def test_a_hundred_commands_in_one_segment(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        one = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<support@introserv.com>\r\nDATA\r\n"
        client.writer.write(b"NOOP\r\n" * 100 + one)
        for _ in range(102):
            assert (await client.reply()).startswith("250")
        assert (await client.reply()).startswith("354")
        client.writer.write(b"x\r\n.\r\n" + one)
        assert [(await client.reply())[:3] for _ in range(4)] == ["250", "250", "250", "354"]

    assert len(run(tmp_path, story).stored) == 1


@pytest.mark.fault("X18")
@pytest.mark.parametrize("fault", [RuntimeError("db password=hunter2"), DiskIsFull(), OSError("disk")])
def test_a_fault_of_ours_is_451_without_its_words(tmp_path: Path, fault: Exception) -> None:
    async def story(server: Server, port: int) -> None:
        async def fail(_: RawMessage) -> None:
            raise fault

        server.act = fail
        client = await Client.to(port)
        (answer,) = await client.mail(b"x")
        assert answer.startswith("452 4.3.1" if isinstance(fault, DiskIsFull) else "451 4.3.0")
        assert "hunter2" not in answer
        assert type(fault).__name__ not in answer
        server.act = None
        assert (await client.mail(b"x"))[0].startswith("250")

    run(tmp_path, story)


@pytest.mark.fault("X16")
def test_lmtp_answers_once_for_each_recipient(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port, "LHLO client.example")
        assert (await client.say("EHLO x")).startswith("500")
        for data, code in ((b"x", "250 2.0.0"), (b"y" * 50_000 + b"\r\n" + b"y" * 60_000, "552 5.3.4")):
            await client.say("MAIL FROM:<a@b.example>")
            answers = [
                await client.say(f"RCPT TO:<{to}>")
                for to in ("support@introserv.com", "x@evil.example", "postmaster@introserv.com")
            ]
            assert [answer[:3] for answer in answers] == ["250", "550", "250"]
            await client.say("DATA")
            first = await client.say(data + b"\r\n.\r\n")
            assert first.startswith(code)
            assert (await client.reply()).startswith(code)

        async def fail(_: RawMessage) -> None:
            raise RuntimeError

        server.act = fail
        await client.say("MAIL FROM:<a@b.example>")
        await client.say("RCPT TO:<support@introserv.com>")
        await client.say("RCPT TO:<postmaster>")
        await client.say("DATA")
        assert (await client.say(b"x\r\n.\r\n")).startswith("451")
        assert (await client.reply()).startswith("451")
        assert (await client.say("NOOP")).startswith("250")

    assert len(run(tmp_path, story, lmtp=True).stored) == 1


@pytest.mark.fault("X1")
def test_a_client_that_resets_after_the_dot_does_not_stop_the_commit(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        gate, reached, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def hold(_: RawMessage) -> None:
            async def commit() -> None:
                await gate.wait()
                finished.set()

            reached.set()
            await asyncio.shield(asyncio.ensure_future(commit()))

        server.act = hold
        client = await Client.to(port)
        await client.say("MAIL FROM:<a@b.example>")
        await client.say("RCPT TO:<support@introserv.com>")
        await client.say("DATA")
        client.writer.write(b"x\r\n.\r\n")
        await reached.wait()
        client.writer.transport.abort()
        gate.set()
        async with asyncio.timeout(10):
            await finished.wait()

    assert len(run(tmp_path, story).stored) <= 1


@pytest.mark.fault("X2")
def test_a_half_closed_client_still_hears_its_reply(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        client.writer.write(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<support@introserv.com>\r\nDATA\r\n")
        for _ in range(3):
            await client.reply()
        client.writer.write(b"x\r\n.\r\n")
        client.writer.write_eof()
        assert (await client.reply()).startswith("250")
        assert await client.closed()

    assert len(run(tmp_path, story).stored) == 1


@pytest.mark.fault("X3")
def test_a_silent_sender_is_closed_and_nothing_is_stored(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        await client.say("MAIL FROM:<a@b.example>")
        await client.say("RCPT TO:<support@introserv.com>")
        await client.say("DATA")
        client.writer.write(b"half a mail\r\n")
        assert (await client.reply()).startswith("421 4.4.2")
        assert await client.closed()

    server = run(tmp_path, story, data_timeout=0.3, idle_timeout=0.3)
    assert server.stored == []
    assert (server.limits.usage()["connections"], server.limits.usage()["octets_in_flight"]) == (0, 0)


def test_connections_are_capped_in_all_and_by_address(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        clients = [await Client.to(port) for _ in range(10)]
        reader, _writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.readline()).startswith(b"421 4.7.0")
        _writer.close()
        assert (await clients[0].say("NOOP")).startswith("250")
        for client in clients:
            client.close()

    run(tmp_path, story)


def test_the_budget_for_octets_in_flight(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        server.limits.bounds = SMTP.model_copy(update={"max_in_flight": 1000})
        client = await Client.to(port)
        assert (await client.mail(b"x" * 2000))[0].startswith("452 4.3.1")
        assert (await client.mail(b"x" * 100))[0].startswith("250")

    run(tmp_path, story)


def test_a_full_disk_is_said_at_mail_from(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        server.limits.bounds = SMTP.model_copy(update={"min_free": 1 << 60})
        client = await Client.to(port)
        assert (await client.say("MAIL FROM:<a@b.example>")).startswith("452 4.3.1")
        server.limits.bounds = SMTP
        assert (await client.say("MAIL FROM:<a@b.example>")).startswith("250")

    run(tmp_path, story)


@pytest.mark.fault("X17")
def test_a_trusted_relay_speaks_for_its_client(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        assert (await client.say("XFORWARD ADDR=192.0.2.7 HELO=mx.customer.example")).startswith("250")
        await client.mail(b"one")
        await client.mail(b"Received: from mx.two.example (x [198.51.100.2]) by relay.example; x\r\n\r\ntwo")
        await client.mail(b"three")
        assert (await client.say("XCLIENT ADDR=203.0.113.9 HELO=mx.four.example")).startswith("220")
        await client.say("EHLO again.example")
        await client.mail(b"four")

    stored = run(tmp_path, story, trusted=(ip_network("127.0.0.0/8"),)).stored
    clients = [(m.envelope.client, m.envelope.trusted) for m in stored]
    assert clients == [("192.0.2.7", True), ("198.51.100.2", True), (None, True), ("203.0.113.9", True)]
    assert stored[0].envelope.helo == "mx.customer.example"


def test_the_topmost_received_names_the_client() -> None:
    assert (
        received_client(
            b"Received: from h.example (r [IPv6:2001:db8::1])\r\n\tby x; y\r\nReceived: from z ([192.0.2.1]) by q\r\n\r\n"
        )[0]
        == "2001:db8::1"
    )
    assert received_client(b"Received: by x for y\r\n\r\nReceived: from z ([192.0.2.1]) by q\r\n")[0] is None


@pytest.mark.fault("X14")
def test_starttls_forgets_what_was_said_before(tmp_path: Path) -> None:
    from tests.certificates import self_signed

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*self_signed(tmp_path))

    async def story(server: Server, port: int) -> None:
        client = await Client.to(port)
        await client.say("MAIL FROM:<a@b.example>")
        await client.say("RSET")
        client.writer.write(b"STARTTLS\r\nRCPT TO:<support@introserv.com>\r\n")
        assert (await client.reply()).startswith("220 2.0.0")
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        await client.writer.start_tls(trusting)
        assert (await client.say("MAIL FROM:<a@b.example>")).startswith("503")
        assert "STARTTLS" not in await client.say("EHLO client.example")
        assert (await client.mail(b"x"))[0].startswith("250")

    (message,) = run(tmp_path, story, tls=context).stored
    assert message.envelope.tls


def test_the_greeting_offers_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        client = await Client.to(port, "")
        offered = await client.say("EHLO client.example")
        assert [line[4:] for line in offered.split("\n")] == [
            "mx.introserv.example", "SIZE 100000", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES"
        ]  # fmt: skip

    run(tmp_path, story)


def test_a_drain_says_421_to_the_idle_and_waits_for_the_busy(tmp_path: Path) -> None:
    async def story(server: Server, port: int) -> None:
        idle, busy = await Client.to(port), await Client.to(port)
        await busy.say("MAIL FROM:<a@b.example>")
        await busy.say("RCPT TO:<support@introserv.com>")
        await busy.say("DATA")
        drain = asyncio.create_task(server.ingest.drain(10))
        assert (await idle.reply()).startswith("421 4.3.2")
        assert (await busy.say(b"x\r\n.\r\n")).startswith("250")
        await drain

    assert len(run(tmp_path, story).stored) == 1


def test_the_classes_of_codes_agree() -> None:
    with pytest.raises(ValueError, match="disagree"):
        Reply(450, "5.1.1", "x")
