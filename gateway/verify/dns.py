"""Look-ups behind one protocol: cached, coalesced, bounded; NXDOMAIN, no data, SERVFAIL and time-out kept apart."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver


class Status(StrEnum):
    """How a look-up ended. ``NOERROR`` without values is "no data"."""

    NOERROR = "NOERROR"
    NXDOMAIN = "NXDOMAIN"
    SERVFAIL = "SERVFAIL"
    TIMEOUT = "TIMEOUT"


@dataclass(frozen=True, slots=True)
class Answer:
    """``values``: TXT strings joined, ``"10 host"`` for MX, names without the final dot, addresses as text."""

    status: Status
    values: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether nothing is known: neither data nor its absence."""
        return self.status in (Status.SERVFAIL, Status.TIMEOUT)


class Resolver(Protocol):
    """What every verifier asks."""

    async def lookup(self, name: str, rtype: str) -> Answer:
        """The answer for ``name`` (no final dot needed) and ``rtype``; never raises."""
        ...


def _value(rdata: Any, rtype: str) -> str:
    if rtype == "TXT":
        return b"".join(rdata.strings).decode("utf-8", "replace")
    if rtype == "MX":
        return f"{rdata.preference} {str(rdata.exchange).rstrip('.')}"
    if rtype in ("PTR", "CNAME", "NS"):
        return str(rdata.target).rstrip(".")
    return str(rdata.address)


class DnsResolver:
    """dnspython's asynchronous resolver with a TTL cache shared by the process."""

    MAX_CACHED = 20000
    NEGATIVE_TTL = 30.0
    MAX_TTL = 3600.0
    MAX_OCTETS = 65536

    def __init__(self, nameservers: Sequence[str], timeout: float) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        if nameservers:
            hosts = [server.rpartition(":") for server in nameservers]
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(host.strip("[]"), int(port)) for host, _, port in hosts
            ]
        self._resolver.timeout = min(3.0, timeout)
        self._resolver.lifetime = timeout
        self._cache: OrderedDict[tuple[str, str], tuple[float, Answer]] = OrderedDict()
        self._running: dict[tuple[str, str], asyncio.Future[Answer]] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}

    def cached(self, name: str, rtype: str) -> Answer | None:
        """The answer, if it is still known."""
        found = self._cache.get((name.lower().rstrip("."), rtype))
        return found[1] if found is not None and found[0] > time.monotonic() else None

    async def lookup(self, name: str, rtype: str) -> Answer:
        """See ``Resolver``."""
        cached = self.cached(name, rtype)
        if cached is not None:
            return cached
        key = (name.lower().rstrip("."), rtype)
        running = self._running.get(key)
        if running is not None:
            return await asyncio.shield(running)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._running[key] = future
        answer, ttl = Answer(Status.TIMEOUT), 0.0
        try:
            domain = ".".join(key[0].split(".")[-2:])
            slot = self._slots.setdefault(domain, asyncio.Semaphore(8))
            async with slot:
                answer, ttl = await self._ask(key[0], rtype)
            if len(self._slots) > 1000:
                self._slots.clear()
            return answer
        finally:
            self._running.pop(key, None)
            if not future.done():
                future.set_result(answer)
            if ttl > 0:
                self._cache[key] = (time.monotonic() + ttl, answer)
                while len(self._cache) > self.MAX_CACHED:
                    self._cache.popitem(last=False)

    async def _ask(self, name: str, rtype: str) -> tuple[Answer, float]:
        try:
            found = await self._resolver.resolve(name + ".", rtype, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return Answer(Status.NXDOMAIN), self.NEGATIVE_TTL
        except (TimeoutError, dns.exception.Timeout):
            return Answer(Status.TIMEOUT), 0.0
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape):
            return Answer(Status.NXDOMAIN), self.NEGATIVE_TTL  # no such name can exist
        except (dns.exception.DNSException, OSError, ValueError):
            return Answer(Status.SERVFAIL), 0.0
        if found.rrset is None:
            return Answer(Status.NOERROR), self.NEGATIVE_TTL
        values = tuple(_value(rdata, rtype) for rdata in list(found.rrset)[:100])
        if sum(map(len, values)) > self.MAX_OCTETS:
            return Answer(Status.SERVFAIL), self.NEGATIVE_TTL
        return Answer(Status.NOERROR, values), min(max(float(found.rrset.ttl), 1.0), self.MAX_TTL)


class Bounded:
    """A resolver for one message: one total deadline and one total number of look-ups."""

    def __init__(self, resolver: Resolver, seconds: float, lookups: int = 100) -> None:
        self._resolver = resolver
        self._ends = time.monotonic() + seconds
        self._left = lookups

    async def lookup(self, name: str, rtype: str) -> Answer:
        """See ``Resolver``; ``TIMEOUT`` once the deadline or the number is used up."""
        self._left -= 1
        left = self._ends - time.monotonic()
        if left <= 0 or self._left < 0:
            return Answer(Status.TIMEOUT)
        cached = self._resolver.cached(name, rtype) if isinstance(self._resolver, DnsResolver) else None
        if cached is not None:
            return cached
        try:
            async with asyncio.timeout(left):
                return await self._resolver.lookup(name, rtype)
        except TimeoutError:
            return Answer(Status.TIMEOUT)


class ZoneResolver:
    """A zone in memory: ``{name: {TYPE: [values]}}``, or ``{name: "TIMEOUT" | "SERVFAIL" | "NXDOMAIN"}``.

    Inside a name, ``"*": "TIMEOUT"`` stands for every type not listed; absent names do not exist.
    """

    def __init__(self, zone: Mapping[str, Any]) -> None:
        self._zone = {name.lower().rstrip("."): entry for name, entry in zone.items()}

    async def lookup(self, name: str, rtype: str) -> Answer:
        """See ``Resolver``."""
        key = name.lower().rstrip(".")
        for _ in range(10):
            entry = self._zone.get(key)
            if entry is None:
                # an empty non-terminal exists when something stands below it
                exists = any(other.endswith("." + key) for other in self._zone)
                return Answer(Status.NOERROR if exists else Status.NXDOMAIN)
            if isinstance(entry, str):
                return Answer(Status(entry))
            values = entry.get(rtype, ())
            if isinstance(values, str):
                return Answer(Status(values))
            if values:
                shown = (f"{v[0]} {v[1]}" if isinstance(v, (list, tuple)) else str(v) for v in values)
                return Answer(Status.NOERROR, tuple(value.rstrip(".") if rtype != "TXT" else value for value in shown))
            if "CNAME" in entry:
                key = str(entry["CNAME"][0]).lower().rstrip(".")
                continue
            return Answer(Status(entry["*"]) if "*" in entry else Status.NOERROR)
        return Answer(Status.SERVFAIL)
