"""The parts of one node, made from its settings, and the one list of what runs: ``Node.parts``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway import reloading, service
from gateway.checks import names
from gateway.checks.canary import Canary
from gateway.checks.machine import Places
from gateway.checks.pulse import Pulse
from gateway.checks.standing import Standing
from gateway.checks.watch import HealthWatch
from gateway.claims import Bell
from gateway.config import Settings
from gateway.database import bell, inbox, nodes, originals, outbox, rings
from gateway.database.store import Store, Unavailable
from gateway.enclosures import Enclosures
from gateway.ingest.acceptor import Acceptor
from gateway.ingest.connection import Ingest
from gateway.ingest.limits import Limits
from gateway.ingest.relays import KnownRelays, Watch
from gateway.ingest.sources import Sources
from gateway.judge import Judge
from gateway.lending import Lender
from gateway.mail.suffixes import registrable
from gateway.model import JsonObject, Person, Sent
from gateway.periodic import Periodic, Wait
from gateway.pipeline import Pipeline
from gateway.read.fork_server import ForkServer
from gateway.read.reader import Readers, ReadFunction
from gateway.reloading import Reloading
from gateway.replies.offers import Offers
from gateway.replies.outbox import LONGEST_PAUSE, Outbox
from gateway.replies.render import Sender, Templates
from gateway.replies.send import Transport
from gateway.service import Desk
from gateway.settings import owner
from gateway.tickets import aftermath, blocks, purge, report_days
from gateway.tickets.clockwork import Clockwork
from gateway.tickets.health import Check
from gateway.tickets.moved_clock import Longest
from gateway.tickets.steadiness import Drift, Steadiness
from gateway.turns import Turns
from gateway.verify.directory import Directory
from gateway.verify.dns import Answer, Resolver
from gateway.verify.refresh import Refresh

READING = {"work", "http"}  #: roles that need readers
READERS = 2
STAGING = timedelta(hours=1)  #: another service on the same database may be storing a large mail for so long
RELAY_DO = "gateway doctor says at which stage; replies wait and go out by themselves when it is back"


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the command had to do before it knew whether there would be a service: templates that are good, and a fork
    server that has begun to load what reads mail."""

    templates: Templates | None = None
    forks: ForkServer | None = None


class Node:
    """Everything that one process is made of. What a reload replaces is asked of ``desk``."""

    def __init__(
        self, settings: Settings, path: str, clock: Callable[[], datetime], read: ReadFunction | None,
        resolver: Resolver | None,
        ahead: Ahead,
    ) -> None:  # fmt: skip
        self._first, self._path, self._clock, self._resolver = settings, path, clock, resolver
        self.roles = settings.node.roles
        self.store = Store(settings.database_url)
        self.standing = Standing(str(settings.gateway.state_dir), settings.node.name)
        self._readers = Readers(READERS, settings.gateway.read_limit, read, server=ahead.forks)
        self._templates = ahead.templates
        self._bell = Bell()
        self._hearing: asyncio.Task[None] | None = None
        self.reload = asyncio.Event()

    # -- what a reload replaces

    @property
    def desk(self) -> Desk:
        """The settings and all that follows from them, as a reload last left them."""
        return self._reloading.desk

    @property
    def settings(self) -> Settings:
        """The settings that serve now."""
        return self.desk.settings

    def _directory(self) -> Directory:
        return self.desk.around.directory

    def _sending(self) -> tuple[Sender, Templates, Transport, float]:
        return self.desk.sender, self.desk.templates, self.desk.relay, self.settings.relay.retry_for

    # -- making it

    def open(self, last: datetime | None = None) -> None:
        """Database, directory, desk, and every part: before the first socket. ``last``: when a service was last seen
        here.

        Raises:
            StoreError, ConfigError: it cannot be made.
        """
        now = self._clock()
        self._steadiness = Steadiness(Drift(self._clock), last)
        self.store.open(now)
        self.store.write_now(lambda connection: self._tidy(connection, now))
        directory = service.directory(self._first)
        self.refresh = Refresh(
            self._directory, lambda: self.settings.directory.refresh, self._clock,
            lambda counts: reloading.loaded(self.standing, counts),
            lambda error: reloading.refused(self.standing, error),
        )  # fmt: skip
        self.refresh.first(directory)
        self._reloading = Reloading(
            self._path, self.store, self._clock, self.standing,
            service.build(self._first, self.store, directory, self._resolver, self._templates), self._swapped,
            self._applied, self._resolver,
            self.reload,
        )  # fmt: skip
        self.store.write_now(self._blocks_recorded)
        self.desk.office.board.blocked = self.store.read_now(blocks.senders)
        self._make()

    def _blocks_recorded(self, connection: Connection) -> None:
        """The audit knows since when a sender is blocked, and whose configuration says so."""
        wanted = (*self.settings.block.addresses, *self.settings.block.domains)
        blocks.recorded(connection, wanted, Person(owner(Path(self._path))), self._clock())

    def _tidy(self, connection: Connection, now: datetime) -> None:
        """Frees what the last service had claimed (SQLite: nobody else can hold it) and mail that was half stored."""
        if self.store.is_sqlite:
            inbox.free_all(connection, now)
            outbox.free_all(connection, now)
        originals.clean(connection, now if self.store.is_sqlite else now - STAGING)

    def _make(self) -> None:
        store, clock = self.store, self._clock
        if not store.is_sqlite:
            label = nodes.label(self.standing.name, self.roles, self.standing.node)
            self._bell = bell.PostgresBell(
                store, label, {rings.MAILS: self._mails_wait, rings.REPLIES: self._replies_wait}
            )
        relays = KnownRelays()
        self.relays = Watch(store, relays, clock)
        limits = Limits(self._first.smtp, self._first.gateway.state_dir, relays.knows)
        turns = Turns(clock, lambda address: bool(self._directory().roles_of(address)), registrable)
        queue = outbox.StoredQueue(store, aftermath.Aftermath(lambda: self.desk.office))
        self.outbox = Outbox(
            queue, self._sending, clock, self._first.relay.max_connections, Enclosures(store), self._bell
        )
        judge = Judge(self._readers, lambda: self.desk.around, clock, store)
        self.pipeline = Pipeline(store, judge, lambda: self.desk.around, clock, self.outbox, turns, self._bell)
        told = self.outbox.tell
        self.sources = Sources(store, clock, lambda: self.desk.office, self.pipeline.arrived, told, turns)
        acceptor = Acceptor(store, self.pipeline, clock, turns)
        self.ingest = Ingest(self.desk.policy, limits, acceptor, clock, acceptor.receipt)
        self.watch = HealthWatch(self.standing, store, self._looks, self._places, lambda: self.desk.office, clock, told)
        self.canary = Canary(
            self.standing, store, clock, lambda: (self.settings.canary, self.desk.office, self.desk.relay.send)
        )
        self.clockwork = Clockwork(
            store,
            clock,
            lambda: self.desk.office,
            lambda: self.settings.incidents,
            told,
            self._longest,
            Drift(clock),
            self._of_clock,
        )
        self.pulse = Pulse(lambda: self.pipeline.beat if "work" in self.roles else None)
        self.offers = Offers(lambda: self.desk.relay, self._offered)

    async def begin(self) -> None:
        """What ingest must know before the first session."""
        if "ingest" in self.roles:
            await self.relays.look()

    async def begin_reading(self) -> None:
        """The processes that read. Raises ``NoReader``."""
        if READING & set(self.roles):
            await self._readers.start()

    async def read_mailboxes(self) -> None:
        """Begins to read them, once the listeners are open."""
        if "ingest" in self.roles:
            await self.sources.apply(self._first)

    # -- the one list of what runs

    def parts(self, stop: asyncio.Event, wait: Wait) -> Iterator[Coroutine[Any, Any, None]]:
        """Everything that runs on this node until it stops, by its roles."""
        if isinstance(self._bell, bell.PostgresBell):
            self._hearing = asyncio.create_task(self._bell.run())
        if "work" in self.roles:
            yield self.pipeline.run(stop)
        if "send" in self.roles:
            yield self.outbox.run(stop)
            yield self.canary.run(wait)
        if "ingest" in self.roles:
            yield self.sources.watch(wait)
            yield self.relays.run(wait)
        yield self.watch.run(wait)
        yield names.watch(self.standing, self._asked, wait)
        yield self._reloading.run(stop)
        for loop in self._periodic(wait):
            yield loop.run(wait)

    def _periodic(self, wait: Wait) -> Iterator[Periodic]:
        yield from self.refresh.loops()
        yield from self.pulse.loops()
        if {"ingest", "send"} & set(self.roles):
            yield from self.offers.loops()
        if "work" in self.roles:
            yield from self.clockwork.loops()
            yield from purge.loops(self.store, lambda: self.settings.retention, self._steadiness, wait)
            yield from report_days.loops(self.store, self._days, wait)

    # -- what they tell each other

    def _mails_wait(self) -> None:
        self.pipeline.loop.wake.set()

    def _replies_wait(self) -> None:
        self.outbox.wake.set()

    def _days(self) -> report_days.Watch:
        return report_days.Watch(self.settings.gateway.timezone, self._clock(), self.settings.clock.limit)

    def _of_clock(self, problem: str) -> None:
        if problem:
            self.standing.note("clock", problem, "timedatectl; chronyc tracking")
        else:
            self.standing.clear("clock")

    def _longest(self) -> Longest:
        """The furthest that a row of ours may be due."""
        return Longest(LONGEST_PAUSE, timedelta(seconds=max(self.settings.verify.rechecks, default=0.0)))

    def _offered(self, said: Sent) -> None:
        if "send" in self.roles:  # when it is away or refuses us, the outbox asks again
            self.outbox.heard(said)

    def _swapped(self, desk: Desk) -> None:
        self.ingest.policy = desk.policy
        self.ingest.limits.bounds = desk.settings.smtp

    async def _applied(self, desk: Desk) -> None:
        self.outbox.tell()
        with contextlib.suppress(Unavailable):  # the next reload or start writes it
            await self.store.write(self._blocks_recorded)
        if "ingest" in self.roles:
            await self.sources.apply(desk.settings)

    def lender(self) -> Lender:
        """What the console gets of this node, and nothing else of it."""

        def wake() -> None:
            self.outbox.tell()
            self.pipeline.arrived()

        async def problems() -> list[str]:
            return [check.line for check in await self.watch.look()]

        return Lender(
            self.store, self._clock, lambda: self.desk, self._directory, self._readers, wake, self.ingest.limits.usage,
            problems
        )  # fmt: skip

    # -- what health shows

    def _looks(self) -> list[Check]:
        """What the parts of this process say of themselves."""
        usable = self._directory().usable(self._clock())
        directory = "" if usable else "the account directory cannot be read or is too old"
        away, refused = self.outbox.away, self.outbox.problem
        hangs = "" if self.pulse.alive() else "the pipeline hangs"
        relay = refused or (f"the relay is away: {away}" if away else "")
        return [
            Check("pipeline", hangs, None, "systemctl restart gateway", blocks=True),
            Check("readers", self._readers.trouble, None, "journalctl -u gateway", blocks=True),
            Check("directory", directory, None, "gateway accounts sync says why", blocks=True),
            Check("connections", self.ingest.limits.problem(), None, "ss -tn names who holds them", blocks=True),
            Check("relay", relay, None, RELAY_DO, blocks=bool(refused)),
            Check("sources", self.sources.not_ready(), None, "gateway doctor", blocks=True),
        ]

    def _places(self) -> Places:
        smtp = self.settings.smtp
        listen = smtp.listen if "ingest" in self.settings.node.roles else ()
        return Places(self.settings.gateway.state_dir, smtp.min_free, smtp.tls_cert, listen)

    def _asked(self) -> tuple[Callable[[str, str], Awaitable[Answer]], str]:
        """What to ask the DNS with, and the domain."""
        resolver = self.desk.around.checks.resolver
        return getattr(resolver, "fresh", resolver.lookup), self.settings.gateway.replies_at

    async def blocked(self) -> list[str]:
        """Why no mail is taken or worked on here."""
        return [check.line for check in await self.watch.look() if check.blocks]

    async def report(self) -> JsonObject:
        """What commands of this machine are told: every problem, and the last reload."""
        last = self.standing.reload
        reload = {"number": last.number, "changed": last.changed, "problems": last.problems} if last else {"number": 0}
        return {"checks": [check.as_json() for check in await self.watch.look()], "reload": reload}

    # -- the end

    def silence(self) -> None:
        """Nothing is heard from other nodes any more."""
        if self._hearing is not None:
            self._hearing.cancel()

    async def close(self) -> None:
        """Ends whatever was begun, also where the start failed half-way."""
        self.silence()
        self._readers.stop()
        if hasattr(self, "sources"):
            await self.sources.stop()
        if hasattr(self, "_reloading"):
            await self.desk.relay.close()
        await asyncio.to_thread(self.store.close)
