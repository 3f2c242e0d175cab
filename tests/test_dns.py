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

from gateway.mail.header import RawMail
from gateway.model import Author, AuthorStatus, Envelope, Verdict
from gateway.replies.sign import signed
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.dns import NOBODY, Answer, Asker, Bounded, DnsResolver, Gate, Rank, Status, _Question, asked_by
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
            return await asyncio.wait_for(work(DnsResolver([f"127.0.0.1:{port}"], DEADLINE), server), 60)
        finally:
            transport.close()

    return asyncio.run(run())


async def judged(resolver: DnsResolver, server: Nameserver) -> tuple[Verdict, float, int]:
    raw = signed(MAIL, KEYS, int(NOW.timestamp()))
    whole = RawMail.of(raw)
    author = Author(AuthorStatus.OK, "support@introserv.com", "", "")
    envelope = Envelope("x@sender.example", ("support@introserv.com",), "192.0.2.1", "mx.sender.example", "smtp", NOW)
    checks = Checks(resolver, DEADLINE, True, frozenset(["sealer.example"]))
    began = time.monotonic()
    verdict = await authenticate(author, envelope, whole, checks)
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


@pytest.mark.fault("X35")
@pytest.mark.parametrize("reply", [silence, slow, refusing, loop])
def test_the_deadline_of_a_message_holds_and_nothing_is_proven(reply: Reply) -> None:
    """Without one deadline for all of them, six silent look-ups take six times as long."""
    verdict, took, _ = asked(reply, judged)
    assert took < DEADLINE * 2
    assert (verdict.authenticated, verdict.refused, verdict.enforced) == (False, False, False)
    assert verdict.temperror
    # the author's own key is asked before the slow SPF of a stranger takes the time: what is there is no key
    assert verdict.dkim == ("permerror" if reply is slow else "temperror")


@pytest.mark.fault("X35")
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


@pytest.mark.fault("X35")
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


def test_failures_are_kept_for_a_while_longer_each_time_and_never_for_more_than_five_minutes() -> None:
    """RFC 9520: at least a second, at most five minutes. Ours are over before the next recheck of a mail."""

    def reply(query: dns.message.Message) -> tuple[float, dns.message.Message] | None:
        refused = query.question[0].name.to_text().startswith("broken")
        return (0.0, answer(query, None, dns.rcode.SERVFAIL)) if refused else None

    async def work(resolver: DnsResolver, server: Nameserver) -> list[tuple[int, float]]:
        assert 1.0 <= resolver.FAILURE_TTL <= resolver.MAX_FAILURE_TTL < 60.0
        seen = []
        for name, status in (("broken.example", Status.SERVFAIL), ("silent.example", Status.TIMEOUT)):
            for _ in range(5):
                assert (await resolver.lookup(name, "TXT")).status is status
                before = server.asked
                for _ in range(10):
                    assert (await resolver.lookup(name, "TXT")).status is status
                until, ttl, kept = resolver._cache[name, "TXT"]
                seen.append((server.asked - before, ttl))
                resolver._cache[name, "TXT"] = (until - ttl, ttl, kept)  # its time is over
        return seen

    found = asked(reply, work)
    assert [count for count, _ in found] == [0] * 10
    assert [ttl for _, ttl in found] == [5.0, 10.0, 20.0, 30.0, 30.0] * 2


def test_what_works_again_is_believed_and_the_next_failure_is_short() -> None:
    good = False

    def reply(query: dns.message.Message) -> tuple[float, dns.message.Message]:
        return 0.0, answer(query, '"x"') if good else answer(query, None, dns.rcode.SERVFAIL)

    async def work(resolver: DnsResolver, server: Nameserver) -> list[float]:
        nonlocal good
        ttls = []
        for now in (False, False, True, False):
            good = now
            await resolver.lookup("a.example", "TXT")
            ttls.append(resolver._cache["a.example", "TXT"][1])
            _, ttl, kept = resolver._cache["a.example", "TXT"]
            resolver._cache["a.example", "TXT"] = (0.0, ttl, kept)
        return ttls

    assert asked(reply, work) == [5.0, 10.0, 60.0, 5.0]


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def silent_but(*names: str) -> Reply:
    """Answers for these names only."""

    def reply(query: dns.message.Message) -> tuple[float, dns.message.Message] | None:
        name = query.question[0].name.to_text().rstrip(".")
        return (0.0, answer(query, '"x"')) if name in names else None

    return reply


def crowd(resolver: DnsResolver, names: list[str], asker: Asker) -> list[asyncio.Task[Answer]]:
    return [asyncio.create_task(resolver.lookup_for(asker, name, "TXT")) for name in names]


async def reaped(tasks: list[asyncio.Task[Answer]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_one_registrable_domain_does_not_starve_another() -> None:
    """Those below co.uk are strangers to each other."""

    async def work(resolver: DnsResolver, server: Nameserver) -> Answer:
        resolver._resolver.lifetime = 3600.0
        held = crowd(resolver, [f"n{n}.x.co.uk" for n in range(50)], Asker("a"))
        await settled()
        found = await resolver.lookup_for(Asker("a"), "other.co.uk", "TXT")
        assert not any(task.done() for task in held) and resolver._gate.open == 8
        await reaped(held)
        return found

    assert asked(silent_but("other.co.uk"), work).values == ("x",)


def test_one_sender_does_not_starve_another() -> None:
    """Hundreds of domains that do not answer, each asked for once."""

    async def work(resolver: DnsResolver, server: Nameserver) -> Answer:
        resolver._resolver.lifetime = 3600.0
        held = crowd(resolver, [f"d{n}.example" for n in range(300)], Asker("a"))
        await settled()
        found = await resolver.lookup_for(Asker("b"), "other.example", "TXT")
        assert not any(task.done() for task in held) and resolver._gate.open == resolver._gate.most_of_sender
        await reaped(held)
        return found

    assert asked(silent_but("other.example"), work).values == ("x",)


@pytest.mark.parametrize("rank", [Rank.CUSTOMER, Rank.URGENT])
def test_customers_have_questions_of_their_own(rank: Rank) -> None:
    """Any number of strangers' networks, and the customer's own domain and network: his questions are asked."""

    async def work(resolver: DnsResolver, server: Nameserver) -> Answer:
        resolver._resolver.lifetime = 3600.0
        held = [
            task for n in range(20) for task in crowd(resolver, [f"d{n}x{m}.example" for m in range(20)], Asker(str(n)))
        ]
        held += crowd(resolver, [f"n{n}.customer.example" for n in range(20)], Asker("his"))
        await settled()
        assert resolver._gate.open == resolver._gate.most_strangers
        found = await resolver.lookup_for(Asker("his", rank), "customer.example", "TXT")
        forged = crowd(resolver, [f"f{n}.example" for n in range(100)], Asker("forger", rank))
        await settled()
        assert resolver._gate.open == resolver._gate.most_strangers + resolver._gate.most_of_sender  # and no more
        await reaped([*held, *forged])
        return found

    assert asked(silent_but("customer.example"), work).values == ("x",)


def test_who_waits_is_asked_for_by_rank_then_by_who_has_fewest() -> None:
    async def work() -> list[str]:
        loop = asyncio.get_running_loop()
        gate = Gate(most=3, most_strangers=3)
        waits = {"a1": Asker("a"), "a2": Asker("a"), "a3": Asker("a"), "a4": Asker("a"), "b": Asker("b"),
                 "c": Asker("c", Rank.CUSTOMER), "u": Asker("u", Rank.URGENT)}  # fmt: skip
        questions = {
            name: _Question(f"{name}.example", asker, number, loop.create_future(), loop.create_future())
            for number, (name, asker) in enumerate(waits.items())
        }
        for question in questions.values():
            assert gate.enter(question)
        order: list[str] = []
        while len(order) < len(waits):
            order += [name for name, question in questions.items() if question.may.done() and name not in order]
            gate.leave(questions[order[0 if len(order) == 3 else -1]])  # one of those that are open
        assert gate.open == 2 and not gate.waiting
        return order

    assert asyncio.run(work()) == ["a1", "a2", "a3", "u", "c", "b", "a4"]


def test_a_customer_who_asks_what_a_stranger_waits_for_does_not_wait_as_one() -> None:
    async def work(resolver: DnsResolver, server: Nameserver) -> list[Answer]:
        resolver._resolver.lifetime = 3600.0
        held = crowd(resolver, [f"d{n}.example" for n in range(100)], Asker("a"))
        (stranger,) = crowd(resolver, ["customer.example"], Asker("a"))
        await settled()
        assert not stranger.done()
        found = await resolver.lookup_for(Asker("his", Rank.CUSTOMER), "customer.example", "TXT")
        both = [found, await stranger]
        await reaped(held)
        return both

    assert [one.values for one in asked(silent_but("customer.example"), work)] == [("x",), ("x",)]


def test_who_gives_up_spoils_nothing_for_the_others_and_keeps_no_place() -> None:
    async def work(resolver: DnsResolver, server: Nameserver) -> Answer:
        (first, second) = crowd(resolver, ["a.example", "a.example"], NOBODY)
        await settled()
        first.cancel()
        await settled()
        found = await second
        resolver._resolver.lifetime = 3600.0
        waiting = crowd(resolver, [f"n{n}.silent.example" for n in range(20)], NOBODY)
        await settled()
        assert (resolver._gate.open, len(resolver._gate.waiting)) == (8, 12)
        await reaped(waiting)
        await settled()
        assert (resolver._gate.open, len(resolver._gate.waiting)) == (8, 0)  # what was asked is answered for the next
        return found

    def later(query: dns.message.Message) -> tuple[float, dns.message.Message] | None:
        silent = "silent" in query.question[0].name.to_text()
        return None if silent else (0.1, answer(query, '"x"'))

    assert asked(later, work).values == ("x",)


def test_a_mail_without_time_for_look_ups_uses_what_is_known() -> None:
    async def work(resolver: DnsResolver, server: Nameserver) -> list[Status]:
        await resolver.lookup("known.example", "TXT")
        bounded = Bounded(asked_by(resolver, Asker("a")), 0.0)
        return [(await bounded.lookup(name, "TXT")).status for name in ("known.example", "unknown.example")]

    assert asked(silent_but("known.example", "unknown.example"), work) == [Status.NOERROR, Status.TIMEOUT]
