"""The resolver against nameservers that are dead, slow or hostile: the deadline of a message holds, and nothing passes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from gateway.model import Author, AuthorStatus, Envelope, Verdict
from gateway.read.header import header_end
from gateway.replies.sign import signed
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.dns import Answer, DnsResolver, Status
from tests.test_sign import KEYS, MAIL

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
DEADLINE = 1.0
Reply = Callable[[dns.message.Message], tuple[float, dns.message.Message] | None]


class Nameserver(asyncio.DatagramProtocol):
    """A nameserver on a loopback port; ``reply`` gives (seconds of delay, answer), or ``None`` for silence."""

    def __init__(self, reply: Reply) -> None:
        self._reply, self.asked = reply, 0
        self._port: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._port = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.asked += 1
        found = self._reply(dns.message.from_wire(data))
        if found is not None and self._port is not None:
            asyncio.get_running_loop().call_later(found[0], self._send, found[1].to_wire(), addr)

    def _send(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if self._port is not None and not self._port.is_closing():
            self._port.sendto(data, addr)


def answer(
    query: dns.message.Message, text: str | None, rcode: dns.rcode.Rcode = dns.rcode.NOERROR
) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True)
    response.set_rcode(rcode)
    if text is not None:
        question = query.question[0]
        response.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, text))
    return response


def asked(reply: Reply, work: Callable[[DnsResolver, Nameserver], Coroutine[Any, Any, Any]]) -> Any:
    """The outcome of ``work`` with a resolver that asks such a nameserver."""

    async def run() -> Any:
        transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Nameserver(reply), local_addr=("127.0.0.1", 0)
        )
        try:
            port = transport.get_extra_info("sockname")[1]
            return await work(DnsResolver([f"127.0.0.1:{port}"], DEADLINE), server)
        finally:
            transport.close()

    return asyncio.run(run())


async def judged(resolver: DnsResolver, server: Nameserver) -> tuple[Verdict, float, int]:
    raw = signed(MAIL, KEYS, int(NOW.timestamp()))
    end, body = header_end(raw)
    author = Author(AuthorStatus.OK, "support@introserv.com", "", "")
    envelope = Envelope("x@sender.example", ("support@introserv.com",), "192.0.2.1", "mx.sender.example", "smtp", NOW)
    checks = Checks(resolver, DEADLINE, True, frozenset(["sealer.example"]))
    began = time.monotonic()
    verdict = await authenticate(author, envelope, raw, raw[:end], body, checks, NOW)
    return verdict, time.monotonic() - began, server.asked


def silence(query: dns.message.Message) -> None:
    return None


def slow(query: dns.message.Message) -> tuple[float, dns.message.Message]:
    """Every include of the record includes another name, and each answer takes its time."""
    label = query.question[0].name.to_text().partition(".")[0]
    return 0.3, answer(query, f'"v=spf1 include:{label}x.sender.example -all"')


def refusing(query: dns.message.Message) -> tuple[float, dns.message.Message]:
    return 0.0, answer(query, None, dns.rcode.SERVFAIL)


def loop(query: dns.message.Message) -> tuple[float, dns.message.Message]:
    response = dns.message.make_response(query, recursion_available=True)
    name = query.question[0].name
    response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "b.loop.example."))
    response.answer.append(dns.rrset.from_text("b.loop.example.", 60, "IN", "CNAME", name.to_text()))
    return 0.0, response


@pytest.mark.parametrize("reply", [silence, slow, refusing, loop])
def test_the_deadline_of_a_message_holds_and_nothing_is_proven(reply: Reply) -> None:
    """Without one deadline for all of them, six silent look-ups take six times as long."""
    verdict, took, _ = asked(reply, judged)
    assert took < DEADLINE * 2
    assert (verdict.authenticated, verdict.refused, verdict.enforced) == (False, False, False)
    assert verdict.temperror
    # the author's own key is asked before the slow SPF of a stranger takes the time: what is there is no key
    assert verdict.dkim == ("permerror" if reply is slow else "temperror")


def test_no_name_no_data_failure_and_silence_are_four_answers() -> None:
    def reply(query: dns.message.Message) -> tuple[float, dns.message.Message] | None:
        kind = query.question[0].name.to_text().partition(".")[0]
        return {
            "there": (0.0, answer(query, '"v=spf1" " -all"')),
            "empty": (0.0, answer(query, None)),
            "gone": (0.0, answer(query, None, dns.rcode.NXDOMAIN)),
            "broken": (0.0, answer(query, None, dns.rcode.SERVFAIL)),
        }.get(kind)

    async def work(resolver: DnsResolver, server: Nameserver) -> list[Answer]:
        names = ("there", "empty", "gone", "broken", "silent")
        return list(await asyncio.gather(*(resolver.lookup(f"{name}.d.example", "TXT") for name in names)))

    assert asked(reply, work) == [
        Answer(Status.NOERROR, ("v=spf1 -all",)), Answer(Status.NOERROR), Answer(Status.NXDOMAIN), Answer(Status.SERVFAIL), Answer(Status.TIMEOUT),
    ]  # fmt: skip


def test_a_truncated_answer_is_asked_again_over_tcp() -> None:
    def cut(query: dns.message.Message) -> tuple[float, dns.message.Message]:
        response = answer(query, None)
        response.flags |= dns.flags.TC
        return 0.0, response

    async def run() -> Answer:
        async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            size = int.from_bytes(await reader.readexactly(2))
            wire = answer(dns.message.from_wire(await reader.readexactly(size)), '"whole"').to_wire()
            writer.write(len(wire).to_bytes(2) + wire)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(stream, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Nameserver(cut), local_addr=("127.0.0.1", port)
        )
        try:
            return await DnsResolver([f"127.0.0.1:{port}"], DEADLINE).lookup("a.example", "TXT")
        finally:
            transport.close()
            server.close()
            await server.wait_closed()

    assert asyncio.run(run()) == Answer(Status.NOERROR, ("whole",))


def test_an_answer_is_kept_for_its_time_and_asked_for_once_by_many() -> None:
    async def work(resolver: DnsResolver, server: Nameserver) -> int:
        await asyncio.gather(*(resolver.lookup("a.example", "TXT") for _ in range(50)))
        await resolver.lookup("A.example.", "TXT")
        return server.asked

    assert asked(lambda query: (0.0, answer(query, '"x"')), work) == 1


def test_one_domain_gets_no_more_than_eight_questions_at_a_time() -> None:
    open_now, most = 0, 0

    async def work(resolver: DnsResolver, server: Nameserver) -> int:
        nonlocal open_now, most

        async def ask(number: int) -> None:
            await resolver.lookup(f"n{number}.victim.example", "TXT")

        tasks = [asyncio.create_task(ask(number)) for number in range(40)]
        while server.asked < 8:
            await asyncio.sleep(0)
        for _ in range(200):
            await asyncio.sleep(0)
        most = server.asked
        await asyncio.gather(*tasks)
        return server.asked

    assert asked(lambda query: (0.2, answer(query, '"x"')), work) == 40
    assert most == 8
