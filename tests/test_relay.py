"""The relay's client against a scripted server that misbehaves in every way (RELIABILITY X60), over real sockets on
the service's event loop: what becomes of the reply, and what the server was given."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Outgoing, Sent
from gateway.replies import settings as sections
from gateway.replies.send import Relay
from tests.certificates import self_signed

MAIL = Outgoing(b"Subject: one\r\n\r\n.leading\r\n..two\r\nend\r\n", "bounces+1@reply.example", "anna@example.de")
PIPELINED = pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
EXTENSIONS = ("PIPELINING", "SIZE 10000", "ENHANCEDSTATUSCODES")


@dataclass
class Server:
    """Speaks SMTP by a script: ``says`` maps a stage (banner, EHLO, MAIL, RCPT, DATA, content, RSET) to the octets sent
    in its place; ``None`` is silence, an empty answer closes the connection. Each is used ``times`` times, then forgotten."""

    says: dict[str, bytes | None] = field(default_factory=dict)
    times: int = 10**6
    extensions: tuple[str, ...] = EXTENSIONS
    pace: float = 0.0  #: seconds between the octets of an answer
    sloppy: bool = False  #: takes DATA without a recipient
    closes_after: str = ""  #: the stage after whose answer the connection is closed
    context: ssl.SSLContext | None = None
    immediate_tls: bool = False
    heard: list[list[bytes]] = field(default_factory=list)  #: the command lines of each connection
    contents: list[bytes] = field(default_factory=list)  #: as sent, without the final dot
    halves: list[bytes] = field(default_factory=list)  #: content without an end
    ended: int = 0  #: connections
    port: int = 0

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stage: str, usual: bytes
    ) -> int:
        """The code that was said; 0 when the connection is closed."""
        said = usual
        if stage in self.says and self.times > 0:
            self.times -= 1
            scripted = self.says[stage]
            if scripted is None:
                await reader.read()
                return 0
            said = scripted
        for piece in [said[i : i + 1] for i in range(len(said))] if self.pace else [said]:
            writer.write(piece)
            await writer.drain()
            if self.pace:
                await asyncio.sleep(self.pace)
        if not said or stage == self.closes_after:
            writer.close()
            return 0
        return int(said[:3]) if said[:3].isdigit() else 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines: list[bytes] = []
        self.heard.append(lines)
        refused = False
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            code = await self._answer(reader, writer, "banner", b"220 relay.example ESMTP\r\n")
            while code and (line := await reader.readline()):
                lines.append(line.rstrip(b"\r\n"))
                verb = line[:4].upper().decode("ascii", "replace").strip()
                usual = b"250 2.0.0 OK\r\n"
                if verb == "EHLO":
                    offered = ["relay.example", *self.extensions]
                    usual = "".join(f"250{' -'[n < len(offered) - 1]}{o}\r\n" for n, o in enumerate(offered)).encode()
                elif verb == "DATA":
                    usual = b"354 go ahead\r\n" if self.sloppy or not refused else b"503 5.5.1 no\r\n"
                elif verb == "AUTH":
                    usual = b"235 2.7.0 OK\r\n"
                elif verb == "STAR":
                    usual = b"220 2.0.0 go ahead\r\n"
                code = await self._answer(reader, writer, verb, usual)
                refused = verb in ("MAIL", "RCPT") and (refused or code >= 400)
                if verb == "QUIT":
                    break
                if verb == "STAR" and code == 220:
                    assert self.context is not None
                    await writer.start_tls(self.context)
                if code == 354:
                    content = b""
                    while not content.endswith(b"\r\n.\r\n") and content != b".\r\n":
                        more = await reader.readline()
                        if not more:
                            self.halves.append(content)
                            return
                        content += more
                    self.contents.append(content[:-3])
                    code = await self._answer(reader, writer, "content", b"250 2.0.0 queued\r\n")

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Server]:
        handlers: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            handlers.add(task)
            try:
                await self._serve(reader, writer)
            finally:
                writer.close()
                self.ended += 1

        tls = self.context if self.immediate_tls else None
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in handlers:
                task.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)


def relay(server: Server, security: str = "none", login: str | None = None, ca: Path | None = None, timeout: float = 5.0) -> Relay:  # fmt: skip
    host = "localhost" if ca else "127.0.0.1"
    given = {
        "host": host,
        "port": server.port,
        "security": security,
        "username": login,
        "timeout": timeout,
        "ca_file": ca,
    }
    return Relay(sections.Relay.model_validate(given), login, "gateway.example")


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await work()

    uvloop.run(main())


def sent(server: Server, security: str = "none", mails: int = 1, **options: object) -> list[Sent]:
    """The outcomes of mails handed over one after the other on one ``Relay``."""
    outcomes: list[Sent] = []

    async def work() -> None:
        async with server.listening():
            client = relay(server, security, **options)  # type: ignore[arg-type]
            for _ in range(mails):
                outcomes.append(await client.send(MAIL))
            await client.close()

    run(work)
    return outcomes


def without(pipelining: bool) -> tuple[str, ...]:
    return EXTENSIONS if pipelining else EXTENSIONS[1:]


VERBS = {"MAIL FROM": "MAIL", "RCPT TO": "RCPT", "DATA": "DATA", "the content": "content"}


@PIPELINED
def test_a_mail_is_handed_over_byte_for_byte_and_the_connection_kept(pipelining: bool) -> None:
    server = Server(extensions=without(pipelining))
    assert sent(server, mails=3) == [Sent(True, False, 250, "250 2.0.0 queued")] * 3
    assert len(server.heard) == 1
    transaction = [
        f"MAIL FROM:<bounces+1@reply.example> SIZE={len(MAIL.raw)}".encode(),
        b"RCPT TO:<anna@example.de>",
        b"DATA",
    ]
    assert server.heard[0] == [b"EHLO gateway.example", *transaction * 3, b"QUIT"]
    assert server.contents == [b"Subject: one\r\n\r\n..leading\r\n...two\r\nend\r\n"] * 3


def test_no_size_is_named_where_the_relay_offers_none() -> None:
    server = Server(extensions=())
    assert sent(server)[0].ok
    assert server.heard[0][1] == b"MAIL FROM:<bounces+1@reply.example>"


def test_pipelined_commands_arrive_in_one_write() -> None:
    """The relay that waits with its first answer until it has seen DATA would wait for ever otherwise."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        await reader.readline()
        writer.write(b"250-x\r\n250 PIPELINING\r\n")
        for _ in range(3):
            received.append(await reader.readline())
        writer.write(b"250-first\r\n250 OK\r\n250 OK\r\n354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 OK\r\n")
        await writer.drain()
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        settings = sections.Relay(port=server.sockets[0].getsockname()[1], max_connections=1, timeout=5.0)
        client = Relay(settings, None, "g.example")
        assert (await client.send(MAIL)).ok
        server.close()

    run(work)
    assert [line[:4] for line in received] == [b"MAIL", b"RCPT", b"DATA"]


@pytest.mark.fault("X60")
@PIPELINED
@pytest.mark.parametrize("code", [421, 450, 451, 452, 550, 552, 554])
@pytest.mark.parametrize("stage", VERBS)
def test_a_refusal_is_tried_again_or_final_by_its_first_digit(stage: str, code: int, pipelining: bool) -> None:
    server = Server({VERBS[stage]: b"%d no\r\n" % code}, times=1, extensions=without(pipelining))
    first, second = sent(server, mails=2)
    ours = stage == "MAIL FROM" and code != 552  # our sender, or the relay as it is now: every other mail fares alike
    detail = f"127.0.0.1:{server.port} {stage}: {code} no"
    assert first == Sent(False, code >= 500 and not ours, code, detail, ours and code >= 500, ours)
    assert second.ok, "the next mail is not in the way of the refused one"
    assert len(server.contents) == (2 if stage == "the content" else 1)
    assert len(server.heard) == (2 if code == 421 else 1) and (b"RSET" in server.heard[0]) == (code != 421)


@PIPELINED
@pytest.mark.parametrize("code", [530, 535])
def test_a_relay_that_wants_a_login_is_no_fault_of_the_mail(code: int, pipelining: bool) -> None:
    server = Server({"MAIL": b"%d log in first\r\n" % code}, extensions=without(pipelining))
    (outcome,) = sent(server)
    detail = f"127.0.0.1:{server.port} MAIL FROM: {code} log in first"
    assert outcome == Sent(False, False, code, detail, auth_failed=True, relay=True)


def test_a_mail_without_recipient_gets_no_content() -> None:
    """RFC 2920: a relay may refuse the recipient and take DATA all the same. Nothing may be delivered then."""
    server = Server({"RCPT": b"550 5.1.1 nobody\r\n"}, times=1, sloppy=True)
    first, second = sent(server, mails=2)
    assert (first.permanent, first.code) == (True, 550)
    assert second.ok and len(server.contents) == 1 and server.halves == [b""]
    assert len(server.heard) == 2, "the connection that waits for content is closed"


@PIPELINED
@pytest.mark.parametrize("stage", VERBS)
def test_a_relay_that_hangs_up_is_tried_again(stage: str, pipelining: bool) -> None:
    server = Server({VERBS[stage]: b""}, extensions=without(pipelining))
    (outcome,) = sent(server)
    assert (outcome.ok, outcome.permanent, outcome.code) == (False, False, 0)
    assert len(server.contents) == (stage == "the content"), "what may have been taken is not sent again here"
    assert len(server.heard) == 1, "a fresh connection is not tried twice"


@pytest.mark.fault("X60")
@PIPELINED
@pytest.mark.parametrize("stage", ["banner", "EHLO", *VERBS])
def test_silence_ends_with_the_timeout(stage: str, pipelining: bool) -> None:
    server = Server(
        {VERBS.get(stage, stage): None}, times=2 if stage == "banner" else 1, extensions=without(pipelining)
    )
    first, second = sent(server, timeout=0.2, mails=2)
    assert (first.ok, first.permanent, first.code) == (False, False, 0)
    assert second.ok, "the connection that fell silent is not used again"


@PIPELINED
def test_an_answer_in_drops_ends_with_the_timeout(pipelining: bool) -> None:
    server = Server({"MAIL": b"250 " + b"x" * 400 + b"\r\n"}, pace=0.0, extensions=without(pipelining))
    server.says["RCPT"] = None
    outcome = sent(server, timeout=0.3)[0]
    assert (outcome.ok, outcome.permanent, outcome.code) == (False, False, 0)
    slow = Server(pace=0.05, extensions=without(pipelining))
    outcome = sent(slow, timeout=0.3)[0]
    assert (outcome.ok, outcome.permanent, outcome.code) == (False, False, 0)


@PIPELINED
def test_answers_may_come_octet_by_octet(pipelining: bool) -> None:
    server = Server({"MAIL": b"250-one\r\n250-two\r\n250 three\r\n"}, pace=0.0001, extensions=without(pipelining))
    assert sent(server, mails=2) == [Sent(True, False, 250, "250 2.0.0 queued")] * 2


@PIPELINED
@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n",
        b"999 what\r\n",
        b"25\r\n",
        b"2500 OK\r\n",
        b"\xff\xfe\r\n",
        b"250" + b"x" * 20_000,
        b"HTTP/1.1 400\r\n",
    ],
)
@pytest.mark.parametrize("stage", VERBS)
def test_what_is_no_smtp_is_no_success(stage: str, octets: bytes, pipelining: bool) -> None:
    server = Server({VERBS[stage]: octets}, times=1, extensions=without(pipelining))
    first, second = sent(server, mails=2)
    assert (first.ok, first.permanent, first.code) == (False, False, 0)
    assert second.ok and len(server.heard) == 2


@PIPELINED
def test_endless_continuation_ends_with_the_timeout(pipelining: bool) -> None:
    server = Server({"MAIL": b"250-more\r\n" * 200_000, "RCPT": None}, extensions=without(pipelining))
    (outcome,) = sent(server, timeout=1.0)
    assert (outcome.ok, outcome.permanent, outcome.code) == (False, False, 0)


@pytest.mark.parametrize("more", [b"250 and another one\r\n", b"250-half of another one\r\n", b"250 cut of", b"\r\n"])
def test_an_answer_nobody_asked_for_is_not_taken_for_the_next_one(more: bytes) -> None:
    server = Server({"content": b"250 OK\r\n" + more}, times=1)
    outcomes = sent(server, mails=2, timeout=120)
    assert [(one.ok, one.detail) for one in outcomes] == [(True, "250 OK"), (True, "250 2.0.0 queued")]
    assert len(server.contents) == 2
    assert len(server.heard) == 2, "the connection that is out of step is not used again"


@PIPELINED
def test_taken_and_then_closed_is_taken(pipelining: bool) -> None:
    server = Server(closes_after="content", extensions=without(pipelining))
    assert [outcome.ok for outcome in sent(server, mails=3)] == [True] * 3
    assert len(server.contents) == len(server.heard) == 3


def test_a_kept_connection_found_dead_is_replaced_once() -> None:
    async def work() -> None:
        server = Server()
        async with server.listening():
            client = relay(server)
            assert (await client.send(MAIL)).ok
            server.says["MAIL"], server.times = b"", 1
            assert (await client.send(MAIL)).ok
            server.times = 2
            outcome = await client.send(MAIL)
            assert (outcome.ok, outcome.permanent, outcome.detail) == (
                False, False, f"127.0.0.1:{server.port} MAIL FROM: it closed the connection",
            )  # fmt: skip
            await client.close()
        assert len(server.contents) == 2

    run(work)


def test_a_sender_who_is_stopped_leaves_no_connection_out_of_step() -> None:
    async def work() -> None:
        server = Server({"MAIL": None}, times=1)
        async with server.listening():
            client = relay(server)
            task = asyncio.create_task(client.send(MAIL))
            while not server.heard or len(server.heard[0]) < 2:
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            while not server.ended:
                await asyncio.sleep(0)
            assert (await client.send(MAIL)).ok
            await client.close()
        assert len(server.heard) == 2 and len(server.contents) == 1

    run(work)


@pytest.mark.fault("X63")
def test_connecting_that_fails() -> None:
    closed = Server()

    async def nobody_listens() -> None:
        async with closed.listening():
            pass
        outcome = await relay(closed).send(MAIL)
        detail = f"127.0.0.1:{closed.port} connecting: Connection refused"
        assert outcome == Sent(False, False, 0, detail, relay=True)

    run(nobody_listens)
    assert sent(Server({"EHLO": b"500 what\r\n"}))[0].ok, "HELO is tried where EHLO is unknown"
    for says, code, detail in (
        ({"banner": b"421 too busy\r\n"}, 421, "greeting: 421 too busy"),
        ({"banner": b"554-go\r\n554 away\r\n"}, 554, "greeting: 554 go away"),
        ({"banner": b""}, 0, "greeting: Unexpected EOF received"),
        ({"EHLO": b"500 what\r\n", "HELO": b"500 what\x1b[2J?\r\n"}, 500, "EHLO: 500 what [2J?"),
    ):
        server = Server(says)  # type: ignore[arg-type]
        (outcome,) = sent(server)
        assert outcome == Sent(False, False, code, f"127.0.0.1:{server.port} {detail}", relay=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"), "localhost")


def tls_server(certificate: tuple[Path, Path], **options: object) -> Server:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return Server(context=context, **options)  # type: ignore[arg-type]


@PIPELINED
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_tls_is_spoken_and_the_name_checked(security: str, pipelining: bool, certificate: tuple[Path, Path]) -> None:
    offered = ("STARTTLS", *without(pipelining)) if security == "starttls" else without(pipelining)
    server = tls_server(certificate, extensions=offered, immediate_tls=security == "tls")
    assert [outcome.ok for outcome in sent(server, security, mails=2, ca=certificate[0])] == [True, True]
    assert len(server.contents) == 2 and len(server.heard) == 1


@pytest.mark.fault("X60")
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_of_nobody_we_know_gets_no_mail(security: str, certificate: tuple[Path, Path]) -> None:
    server = tls_server(certificate, extensions=("STARTTLS", *EXTENSIONS), immediate_tls=security == "tls")
    (outcome,) = sent(server, security)
    detail = f"127.0.0.1:{server.port} TLS: self-signed certificate"
    assert outcome == Sent(False, False, 0, detail, relay=True)
    assert server.contents == [] and not any(line[:4] in (b"MAIL", b"AUTH") for lines in server.heard for line in lines)


def test_starttls_taken_out_of_the_dialogue_gets_no_mail_and_no_password() -> None:
    server = Server(extensions=("AUTH PLAIN LOGIN", *EXTENSIONS))
    (outcome,) = sent(server, "starttls", login="secret")
    assert (outcome.ok, outcome.permanent, outcome.relay) == (False, False, True)
    assert f"127.0.0.1:{server.port} STARTTLS: " in outcome.detail
    assert not any(line[:4] in (b"MAIL", b"AUTH") for lines in server.heard for line in lines)


def test_a_refused_login_is_said_so_and_its_connection_closed(certificate: tuple[Path, Path]) -> None:
    server = tls_server(certificate, extensions=("AUTH PLAIN", *EXTENSIONS), immediate_tls=True)
    server.says["AUTH"] = b"535 5.7.8 no\r\n"
    (outcome,) = sent(server, "tls", login="secret", ca=certificate[0])
    assert [outcome] == [
        Sent(False, False, 535, f"localhost:{server.port} login: 535 5.7.8 no", auth_failed=True, relay=True)
    ]
    assert server.contents == []


@pytest.mark.parametrize("offers", [(), ("AUTH GSSAPI",)], ids=["no AUTH", "none that we know"])
def test_a_relay_that_offers_no_login_refuses_us(offers: tuple[str, ...], certificate: tuple[Path, Path]) -> None:
    server = tls_server(certificate, extensions=(*offers, *EXTENSIONS), immediate_tls=True)
    (outcome,) = sent(server, "tls", login="secret", ca=certificate[0])
    assert (outcome.auth_failed, outcome.relay) == (True, True) and " login: " in outcome.detail


def test_a_login_that_is_not_possible_now_is_tried_again(certificate: tuple[Path, Path]) -> None:
    server = tls_server(certificate, extensions=("AUTH PLAIN", *EXTENSIONS), immediate_tls=True)
    server.says["AUTH"] = b"454 4.7.0 later\r\n"
    (outcome,) = sent(server, "tls", login="secret", ca=certificate[0])
    detail = f"localhost:{server.port} login: 454 4.7.0 later"
    assert outcome == Sent(False, False, 454, detail, auth_failed=False, relay=True)


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example>\r\nRCPT TO:<x@y.example",
        "a b@c.example",
        "a>@b.example",
        "ü@b.example",
        "ü\u2028@b.example",
        "a\x00@b.example",
        "a\n@b",
    ],
)
def test_an_address_that_would_end_its_path_is_never_sent(address: str) -> None:
    async def work() -> None:
        server = Server()
        async with server.listening():
            client = relay(server)
            for message in (Outgoing(MAIL.raw, address, "a@b.example"), Outgoing(MAIL.raw, "", address)):
                outcome = await client.send(message)
                assert (outcome.ok, outcome.permanent) == (False, True)
            assert (await client.send(Outgoing(MAIL.raw, "", "a@b.example"))).ok
            await client.close()
        assert [line for line in server.heard[0] if line[:4] in (b"MAIL", b"RCPT")] == [
            f"MAIL FROM:<> SIZE={len(MAIL.raw)}".encode(), b"RCPT TO:<a@b.example>",
        ]  # fmt: skip

    run(work)


@pytest.mark.parametrize("pipelining", [True, False])
def test_an_address_beyond_ascii_goes_where_smtputf8_is_offered(pipelining: bool) -> None:
    async def work() -> None:
        server = Server(extensions=(*without(pipelining), "SMTPUTF8"))
        async with server.listening():
            client = relay(server)
            assert not client.smtputf8
            assert await client.ask()
            assert client.smtputf8
            assert (await client.send(Outgoing(MAIL.raw, "", "jürgen@b.example"))).ok
            assert (await client.send(MAIL)).ok
            server.extensions = without(pipelining)
            await client.close()
            outcome = await client.send(Outgoing(MAIL.raw, "", "jürgen@b.example"))
            assert (outcome.ok, outcome.permanent) == (False, True)
            assert "SMTPUTF8" in outcome.detail
            assert not client.smtputf8
            await client.close()
        assert server.heard[0][-1:] == [b"QUIT"]
        senders = [line for line in server.heard[1] if line.startswith(b"MAIL")]
        assert [line.endswith(b" SMTPUTF8") for line in senders] == [True, False]
        assert "RCPT TO:<jürgen@b.example>".encode() in server.heard[1]
        assert not [line for line in server.heard[2] if line.startswith(b"MAIL")]

    run(work)


def test_a_relay_that_cannot_be_asked_is_no_fault() -> None:
    async def work() -> None:
        server = Server(says={"banner": b""})
        async with server.listening():
            client = relay(server)
            assert not await client.ask()
            assert not client.smtputf8

    run(work)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"x", b"\r\n.\r\n", b"MAIL FROM:<x>", b"\x00"]), max_size=30)
)
def test_content_cannot_end_itself(pieces: list[bytes]) -> None:
    """RFC 5321 section 4.5.2: what the relay undoes is what was meant, with CRLF for every line end; one mail, never two."""
    raw = b"".join(pieces)
    server = Server()

    async def work() -> None:
        async with server.listening():
            client = relay(server)
            assert (await client.send(Outgoing(raw, "", "a@b.example"))).ok
            await client.close()

    run(work)
    meant = re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
    meant += b"" if meant.endswith(b"\r\n") else b"\r\n"
    assert [re.sub(rb"(?m)^\.", b"", content) for content in server.contents] == [meant]
    assert server.heard[0][-1] == b"QUIT" and len(server.heard[0]) == 5
