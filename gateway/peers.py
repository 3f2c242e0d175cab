"""Small real peers on loopback, for the demo, the tests and the benches: a nameserver and an SMTP sink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from aiosmtpd.smtp import SMTP

from gateway.verify.dns import Status, ZoneResolver


class Nameserver:
    """Answers from a zone (the form of ``ZoneResolver``) over UDP and TCP; a name said to be ``TIMEOUT`` stays
    silent."""

    def __init__(self, zone: Mapping[str, Any]) -> None:
        self._zone = ZoneResolver(zone)
        self.queries = 0
        self.silent = False  #: it answers nobody
        self.address = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listens for UDP and TCP; ``host:port``, with the port that was free where 0 was asked for."""
        loop = asyncio.get_running_loop()
        outer = self

        class Datagrams(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, peer: Any) -> None:
                self.task = loop.create_task(self.answer(data, peer))

            async def answer(self, data: bytes, peer: Any) -> None:
                reply = await outer.answer(data)
                if reply is not None:
                    wire = reply.to_wire(max_size=65535)
                    if len(wire) > 1232:
                        reply.answer.clear()
                        reply.flags |= dns.flags.TC
                        wire = reply.to_wire()
                    self.transport.sendto(wire, peer)  # type: ignore[attr-defined]

        for attempt in range(20):  # a free UDP port may be taken for TCP
            self._tcp = await asyncio.start_server(self._stream, host, port)
            bound = self._tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=(host, bound))
            except OSError:
                self._tcp.close()
                if port or attempt == 19:
                    raise
                continue
            self.address = f"{host}:{bound}"
            break
        return self.address

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            size = int.from_bytes(await reader.readexactly(2), "big")
            reply = await self.answer(await reader.readexactly(size))
            if reply is not None:
                wire = reply.to_wire(max_size=65535)
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, data: bytes) -> dns.message.Message | None:
        """The reply to a query, or ``None`` for silence."""
        self.queries += 1
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return None
        if self.silent:
            return None
        reply = dns.message.make_response(query)
        question = query.question[0]
        name, rtype = question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype)
        found = await self._zone.lookup(name, rtype)
        if found.status is Status.TIMEOUT:
            return None
        if found.status is not Status.NOERROR:
            reply.set_rcode(dns.rcode.NXDOMAIN if found.status is Status.NXDOMAIN else dns.rcode.SERVFAIL)
            return reply
        if found.values:
            texts = [_presented(value, rtype) for value in found.values]
            reply.answer.append(dns.rrset.from_text_list(question.name, 300, dns.rdataclass.IN, question.rdtype, texts))
        return reply

    def stop(self) -> None:
        """Stops listening."""
        self._udp.close()
        self._tcp.close()


def _presented(value: str, rtype: str) -> str:
    if rtype == "TXT":
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return " ".join(f'"{quoted[i : i + 200]}"' for i in range(0, max(len(quoted), 1), 200))
    return value + "." if rtype in ("MX", "PTR", "CNAME", "NS") and not value.endswith(".") else value


@dataclass(frozen=True)
class Taken:
    """A message the sink took."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    raw: bytes


class Sink:
    """An SMTP server that takes everything and remembers it; ``answer`` may refuse a message with a reply line."""

    def __init__(self, answer: Callable[[Taken], str] | None = None) -> None:
        self.taken: list[Taken] = []
        self._answer = answer
        self.smtputf8 = False  #: whether it offers that to who connects from now on
        self.arrived = asyncio.Condition()
        self.port = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listens; the port, one that was free where 0 was asked for."""
        loop = asyncio.get_running_loop()
        factory = lambda: SMTP(  # noqa: E731
            self, hostname="sink.example", loop=loop, data_size_limit=None, enable_SMTPUTF8=self.smtputf8
        )
        self._server = await loop.create_server(factory, host, port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offers what every mail server offers."""
        session.host_name = hostname
        return [*responses[:1], "250-PIPELINING", *responses[1:]]

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """Takes any sender, the null sender too."""
        envelope.mail_from = address or "<>"
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Remembers a message."""
        sender = "" if envelope.mail_from == "<>" else envelope.mail_from
        taken = Taken(sender, tuple(envelope.rcpt_tos), envelope.original_content)
        reply = self._answer(taken) if self._answer else "250 2.0.0 OK"
        if reply.startswith("2"):
            self.taken.append(taken)
        async with self.arrived:
            self.arrived.notify_all()
        return reply

    async def wait_for(self, condition: Callable[[list[Taken]], bool], seconds: float) -> bool:
        """Waits until the messages taken so far meet a condition; false when the time is over."""
        try:
            async with asyncio.timeout(seconds), self.arrived:
                await self.arrived.wait_for(lambda: condition(self.taken))
            return True
        except TimeoutError:
            return condition(self.taken)

    def stop(self) -> None:
        """Stops listening."""
        self._server.close()
