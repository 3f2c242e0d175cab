"""Look-ups behind one protocol: cached, coalesced, bounded; NXDOMAIN, no data, SERVFAIL and time-out kept apart.

Questions to nameservers that do not answer are many and slow where somebody wants it so. Only so many are open at a
time, of them so many for one asker and for one registrable domain, and some are kept for customers' mails; who waits is
served by rank, then the asker who has the fewest open. A failure is an answer too, and kept for a while (RFC 9520).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from gateway.mail.suffixes import registrable


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
    """What every verifier asks; answers of the DNS, or of a test, as values."""

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


class Rank(IntEnum):
    """Whose question goes first: a customer's urgent mail, a customer's, a stranger's. Who is a customer is a guess
    here."""

    URGENT = 0
    CUSTOMER = 1
    STRANGER = 2


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a question is asked: a sender (``gateway/turns.py``) and the rank of the mail."""

    sender: str = ""
    rank: Rank = Rank.STRANGER


NOBODY = Asker()


@dataclass(eq=False, slots=True)
class _Question:
    """A question that waits for its turn or is open. ``askers``: who waits for the answer."""

    domain: str
    asker: Asker
    number: int
    answer: asyncio.Future[Answer]
    may: asyncio.Future[None]
    askers: int = 0
    task: asyncio.Task[None] | None = None

    @property
    def pays(self) -> tuple[str, bool]:
        """Among whose open questions it counts: a forged customer takes no stranger's place, nor the other way
        round."""
        return self.asker.sender, self.asker.rank is Rank.STRANGER


@dataclass(slots=True)
class Gate:
    """How many questions are open, and whose is next."""

    most: int = 192
    most_strangers: int = 128
    most_of_sender: int = 32
    most_of_domain: int = 8
    most_waiting: int = 4000
    open: int = 0
    strangers: int = 0
    senders: Counter[tuple[str, bool]] = field(default_factory=Counter)
    domains: Counter[tuple[str, bool]] = field(default_factory=Counter)
    waiting: dict[_Question, None] = field(default_factory=dict)

    def room(self, question: _Question) -> bool:
        """Whether it may be asked now."""
        sender, stranger = question.pays
        return (
            self.open < self.most
            and (not stranger or self.strangers < self.most_strangers)
            and (not sender or self.senders[question.pays] < self.most_of_sender)
            and self.domains[question.domain, stranger] < self.most_of_domain
        )

    def enter(self, question: _Question) -> bool:
        """It is asked now, or waits; false where too many do."""
        if self.room(question):
            self._begin(question)
        elif len(self.waiting) >= self.most_waiting and question.asker.rank is Rank.STRANGER:
            return False
        else:
            self.waiting[question] = None
        return True

    def _begin(self, question: _Question) -> None:
        self._count(question, 1)
        question.may.set_result(None)

    def _count(self, question: _Question, one: int) -> None:
        stranger = question.pays[1]
        self.open += one
        self.strangers += one if stranger else 0
        for counter, key in ((self.senders, question.pays), (self.domains, (question.domain, stranger))):
            counter[key] += one
            if not counter[key]:
                del counter[key]

    def raised(self, question: _Question, asker: Asker) -> None:
        """Somebody of better rank asks the same: it need not wait as a stranger's."""
        if question in self.waiting and asker.rank < question.asker.rank:
            question.asker = asker
            self.next()

    def leave(self, question: _Question) -> None:
        """It is answered, or nobody waits for it any more."""
        if question in self.waiting:
            del self.waiting[question]
        elif question.may.done() and not question.may.cancelled():
            self._count(question, -1)
            self.next()

    def next(self) -> None:
        """Begins whatever has room, in order."""
        while self.open < self.most and self.waiting:
            found = min((one for one in self.waiting if self.room(one)), key=self._order, default=None)
            if found is None:
                return
            del self.waiting[found]
            self._begin(found)

    def _order(self, question: _Question) -> tuple[int, int, int]:
        return question.asker.rank, self.senders[question.pays], question.number


class DnsResolver:
    """dnspython's asynchronous resolver with a TTL cache shared by the process."""

    MAX_CACHED = 20000
    NEGATIVE_TTL = 30.0
    MAX_TTL = 3600.0
    MAX_OCTETS = 65536
    #: how long a failure is believed: doubled each time, and over before a mail's next recheck (RFC 9520 section 3.2: 1
    #: s to 5 min)
    FAILURE_TTL, MAX_FAILURE_TTL = 5.0, 30.0

    def __init__(self, nameservers: Sequence[str], timeout: float, gate: Gate | None = None) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        if nameservers:
            hosts = [server.rpartition(":") for server in nameservers]
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(host.strip("[]"), int(port)) for host, _, port in hosts
            ]
        self._resolver.timeout = min(3.0, timeout)
        self._resolver.lifetime = timeout
        self._cache: OrderedDict[tuple[str, str], tuple[float, float, Answer]] = (
            OrderedDict()
        )  # (until, for how long, what)
        self._running: dict[tuple[str, str], _Question] = {}
        self._gate = gate or Gate()
        self._asked = 0

    def cached(self, name: str, rtype: str) -> Answer | None:
        """The answer, if it is still known."""
        found = self._cache.get((name.lower().rstrip("."), rtype))
        return found[2] if found is not None and found[0] > time.monotonic() else None

    async def lookup(self, name: str, rtype: str) -> Answer:
        """See ``Resolver``."""
        return await self.lookup_for(NOBODY, name, rtype)

    async def lookup_for(self, asker: Asker, name: str, rtype: str) -> Answer:
        """``lookup``, in the turn of whom it is for."""
        cached = self.cached(name, rtype)
        if cached is not None:
            return cached
        key = (name.lower().rstrip("."), rtype)
        question = self._running.get(key)
        if question is None:
            question = self._question(key, asker)
            if not self._gate.enter(question):
                return Answer(Status.TIMEOUT)
            self._running[key] = question
            question.task = asyncio.create_task(self._answered(key, question))
        else:
            self._gate.raised(question, asker)
        question.askers += 1
        try:
            return await asyncio.shield(question.answer)
        finally:
            question.askers -= 1
            if not question.askers and not question.may.done():  # nobody waits for it, and it was not asked yet
                self._gone(key, question)

    def _question(self, key: tuple[str, str], asker: Asker) -> _Question:
        loop = asyncio.get_running_loop()
        self._asked += 1
        return _Question(registrable(key[0]), asker, self._asked, loop.create_future(), loop.create_future())

    def _gone(self, key: tuple[str, str], question: _Question) -> None:
        self._running.pop(key, None)
        self._gate.leave(question)
        if question.task is not None:
            question.task.cancel()

    async def _answered(self, key: tuple[str, str], question: _Question) -> None:
        """Asks in its turn. Whoever asked may have gone meanwhile: the answer is kept for the next one."""
        answer, ttl = Answer(Status.TIMEOUT), 0.0
        try:
            await question.may
            answer, ttl = await self._ask(*key)
        finally:
            if self._running.get(key) is question:
                del self._running[key]
                self._gate.leave(question)
            if ttl > 0:
                self._keep(key, answer, ttl)
            if not question.answer.done():
                question.answer.set_result(answer)

    def _keep(self, key: tuple[str, str], answer: Answer, ttl: float) -> None:
        before = self._cache.pop(key, None)
        if answer.failed and before is not None and before[2].failed:
            ttl = min(before[1] * 2, self.MAX_FAILURE_TTL)
        self._cache[key] = (time.monotonic() + ttl, ttl, answer)
        while len(self._cache) > self.MAX_CACHED:
            self._cache.popitem(last=False)

    async def fresh(self, name: str, rtype: str) -> Answer:
        """Asked now, whatever is kept; the answer is not kept."""
        return (await self._ask(name, rtype))[0]

    async def _ask(self, name: str, rtype: str) -> tuple[Answer, float]:
        try:
            found = await self._resolver.resolve(name + ".", rtype, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return Answer(Status.NXDOMAIN), self.NEGATIVE_TTL
        except (TimeoutError, dns.exception.Timeout):
            return Answer(Status.TIMEOUT), self.FAILURE_TTL
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape):
            return Answer(Status.NXDOMAIN), self.NEGATIVE_TTL  # no such name can exist
        except (dns.exception.DNSException, OSError, ValueError):
            return Answer(Status.SERVFAIL), self.FAILURE_TTL
        if found.rrset is None:
            return Answer(Status.NOERROR), self.NEGATIVE_TTL
        values = tuple(_value(rdata, rtype) for rdata in list(found.rrset)[:100])
        if sum(map(len, values)) > self.MAX_OCTETS:
            return Answer(Status.SERVFAIL), self.FAILURE_TTL
        return Answer(Status.NOERROR, values), min(max(float(found.rrset.ttl), 1.0), self.MAX_TTL)


class _AskedBy:
    """A resolver whose questions are one asker's."""

    def __init__(self, resolver: DnsResolver, asker: Asker) -> None:
        self._resolver, self._asker = resolver, asker

    def cached(self, name: str, rtype: str) -> Answer | None:
        """See ``DnsResolver``."""
        return self._resolver.cached(name, rtype)

    async def lookup(self, name: str, rtype: str) -> Answer:
        """See ``Resolver``."""
        return await self._resolver.lookup_for(self._asker, name, rtype)


def asked_by(resolver: Resolver, asker: Asker) -> Resolver:
    """The same resolver, for the mail of one asker."""
    return _AskedBy(resolver, asker) if isinstance(resolver, DnsResolver) else resolver


class Bounded:
    """A resolver for one message: one total deadline and one total number of look-ups."""

    def __init__(self, resolver: Resolver, seconds: float, lookups: int = 100) -> None:
        self._resolver = resolver
        self._ends = time.monotonic() + seconds
        self._left = lookups

    async def lookup(self, name: str, rtype: str) -> Answer:
        """See ``Resolver``; ``TIMEOUT`` once the deadline or the number is used up."""
        self._left -= 1
        if self._left < 0:
            return Answer(Status.TIMEOUT)
        cached = self._resolver.cached(name, rtype) if isinstance(self._resolver, DnsResolver | _AskedBy) else None
        if cached is not None:
            return cached
        left = self._ends - time.monotonic()
        if left <= 0:
            return Answer(Status.TIMEOUT)
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
