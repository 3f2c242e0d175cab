"""``gateway run``: wiring and lifecycle, top to bottom. If one task dies, the process dies and systemd starts it again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway import __version__, config, health, http, log, metrics, service, systemd
from gateway.checks import machine, names
from gateway.checks.canary import Canary
from gateway.checks.standing import Reload, Standing
from gateway.checks.watch import HealthWatch
from gateway.config import ConfigError, Problem, Settings
from gateway.console import app as console
from gateway.database import inbox, originals
from gateway.database.store import Store, Unavailable, utc_now
from gateway.enclosures import Enclosures
from gateway.ingest.acceptor import Acceptor
from gateway.ingest.connection import Ingest
from gateway.ingest.limits import Limits
from gateway.ingest.relays import KnownRelays, Watch
from gateway.ingest.smtp import MailSession
from gateway.ingest.sources import Sources
from gateway.lending import Lender
from gateway.mail.address import registrable
from gateway.model import Person, Told
from gateway.pipeline import Judge, Pipeline
from gateway.read.reader import NoReader, Readers, ReadFunction
from gateway.replies.outbox import Outbox
from gateway.replies.render import Sender, Templates
from gateway.replies.send import Transport
from gateway.tickets import blocks, incidents, outgoing, purge, report_days, rounds
from gateway.tickets.health import Check
from gateway.turns import Turns
from gateway.verify.directory import DirectoryError
from gateway.verify.dns import Answer, Resolver

READERS = 2
STAGING = timedelta(hours=1)  #: another service on the same database may be storing a large mail for so long
DRAIN_S = 30.0
SETTLED_S = 5.0
CLOCK_S = 0.5
INCIDENTS_S = 5.0
HANG_S = 5.0
RELAY_DO = "gateway doctor says at which stage; replies wait and go out by themselves when it is back"


class StartError(Told):
    """The service cannot start for a reason outside its configuration: a port, a lock, a database."""


class InUse(StartError):
    """Another service works in this state directory."""


def _socket_name(one: socket.socket) -> str:
    name = one.getsockname()
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if ":" in str(name[0]) else f"{name[0]}:{name[1]}"
    return str(name)


def _told_by_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody waits for any more: a line of the log, no traceback."""
    error = context.get("exception")
    if isinstance(error, Exception):
        log.loop_fault("loop", error)
    else:
        log.warning("loop", message=str(context.get("message", "")))


class Daemon:
    """The service. Collaborators that tests replace are arguments."""

    def __init__(
        self, settings: Settings, path: str, *, clock: Callable[[], datetime] = utc_now, read: ReadFunction | None = None,
        resolver: Resolver | None = None, ready: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self._path, self._clock, self._resolver, self._ready = path, clock, resolver, ready
        self.settings = settings
        self.store = Store(settings.database_url)
        self.directory = service.directory(settings)
        self._readers = Readers(READERS, settings.gateway.read_limit, read)
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._lock: Any = None
        self.standing = Standing(str(settings.gateway.state_dir))
        self.http: http.Listener | None = None
        self.addresses: list[str] = []

    # -- starting

    def _claim_state_dir(self) -> None:
        folder = self.settings.gateway.state_dir
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("a+")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.seek(0)
            raise InUse(f"{folder} is in use by process {self._lock.read().strip() or '?'}") from error
        except OSError as error:
            raise StartError(f"{folder} cannot be used: {error}") from error
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def _prepare(self) -> None:
        """Lock, database, directory, desk: everything before the first socket."""
        self._claim_state_dir()
        now = self._clock()
        self.store.open(now)
        if self.store.is_sqlite:
            self.store.write_now(lambda connection: inbox.free_all(connection, now))
            self.store.write_now(lambda connection: outgoing.free_all(connection, now))
        left = now if self.store.is_sqlite else now - STAGING
        self.store.write_now(lambda connection: originals.clean(connection, left))
        try:
            self._log_directory(self.directory.reload(now))
        except (DirectoryError, OSError) as error:
            self._directory_refused(error)
        self.desk = service.build(self.settings, self.store, self.directory, self._resolver)
        self.store.write_now(self._blocks_recorded)
        relays = KnownRelays()
        self.relays = Watch(self.store, relays, self._clock)
        limits = Limits(service.bounds(self.settings), self.settings.gateway.state_dir, relays.knows)
        turns = Turns(self._clock, lambda address: bool(self.directory.roles_of(address)), registrable)
        judge = Judge(self._readers, lambda: self.desk.around, self._clock, self.store)
        self.outbox = Outbox(
            outgoing.StoredQueue(self.store, lambda: self.desk.office), self._sending, self._clock,
            self.settings.relay.max_connections, Enclosures(self.store),
        )  # fmt: skip
        self.pipeline = Pipeline(self.store, judge, lambda: self.desk.around, self._clock, self.outbox, turns)
        self.sources = Sources(
            self.store, self._clock, lambda: self.desk.office, self.pipeline.arrived, self.outbox.wake.set, turns
        )
        acceptor = Acceptor(self.store, self.pipeline, self._clock, turns)
        self.watch = HealthWatch(
            self.standing, self.store, self._looks, lambda: self.settings, lambda: self.desk.office, self._clock,
            self.outbox.wake.set,
        )  # fmt: skip
        self.canary = Canary(
            self.standing, self.store, self._clock, lambda: (self.settings, self.desk.office, self.desk.relay.send)
        )
        self.ingest = Ingest(self.desk.policy, limits, acceptor, self._clock, acceptor.receipt)

    def _blocks_recorded(self, connection: Connection) -> None:
        """The audit knows since when a sender is blocked, and whose configuration says so."""
        wanted = (*self.settings.block.addresses, *self.settings.block.domains)
        blocks.recorded(connection, wanted, Person(config.owner(Path(self._path))), self._clock())

    def _sending(self) -> tuple[Sender, Templates, Transport, float]:
        return self.desk.sender, self.desk.templates, self.desk.relay, self.desk.settings.relay.retry_for

    def _directory_refused(self, error: Exception) -> None:
        log.directory_refused(str(error))
        do = "gateway check names every fault; it is read again when it changes"
        self.standing.note("directory", f"the directory was refused, the last good set serves: {error}", do)

    def _log_directory(self, counts: dict[str, int]) -> None:
        if counts:
            self.standing.clear("directory")
            log.directory(counts["accounts"], counts["addresses"], counts["orders"])

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        handed = systemd.sockets()
        self._compare(handed)
        for scheme in ("smtp", "lmtp"):
            lmtp = scheme == "lmtp"
            factory = lambda lmtp=lmtp: MailSession(self.ingest, lmtp, loop)  # noqa: E731
            for given in handed.get(scheme, ()):
                self._servers.append(await loop.create_server(factory, sock=given, backlog=512) if given.family != socket.AF_UNIX
                                     else await loop.create_unix_server(factory, sock=given, backlog=512))  # fmt: skip
                self.addresses.append(f"{scheme}://(systemd)")
            if handed.get(scheme):
                continue
            for url in self.settings.smtp.listen:
                if url.startswith(scheme + "://"):
                    await self._bind(scheme, url.partition("://")[2], factory)
        answer = health.Health(self._not_ready, self.watch.gauges, self.ingest.limits.usage)
        if self.settings.http.listen:
            self.http = http.Listener(http.either(answer.app, console.build(self._lender().lent()), health.PATHS))
            host, _, port = self.settings.http.listen.rpartition(":")
            server = await self._guarded(
                asyncio.start_server(self.http, host.strip("[]"), int(port)), self.settings.http.listen
            )
            self._servers.append(server)
            self.addresses.append(f"http://{host}:{server.sockets[0].getsockname()[1]}")
        full = health.Health(self._not_ready, self.watch.gauges, self.ingest.limits.usage, self._report)
        self._servers += await health.listen(full, self.settings.gateway.state_dir)

    def _lender(self) -> Lender:
        """What the console works with."""

        def wake() -> None:
            self.outbox.wake.set()
            self.pipeline.arrived()

        async def problems() -> list[str]:
            return [check.line for check in await self.watch.look()]

        return Lender(
            self.store, self._clock, lambda: self.desk, lambda: self.directory, self._readers, wake, self.ingest.limits.usage,
            problems,
        )  # fmt: skip

    def _compare(self, handed: Mapping[str, list[socket.socket]]) -> None:
        """systemd's sockets replace the configured listeners of their kind: says so where they differ, and refuses a
        relay that is one of them."""
        relay = self.settings.relay
        for scheme, given in handed.items():
            names = [_socket_name(one) for one in given]
            for name in names:
                if config.is_own_listener(relay.host, relay.port, name):
                    raise StartError(
                        f"the relay {relay.host}:{relay.port} is our own socket {name} (gateway.socket): replies would come back; "
                        "let the relay listen elsewhere, or disable gateway.socket"
                    )
            wanted = [url.partition("://")[2] for url in self.settings.smtp.listen if url.startswith(scheme + "://")]
            left_out = sorted(set(wanted) - set(names))
            if left_out:
                log.listener_ignored(scheme, left_out, names)

    async def _guarded(self, opening: Coroutine[Any, Any, asyncio.Server], where: str) -> asyncio.Server:
        try:
            return await opening
        except OSError as error:
            hint = "; ports below 1024 come from gateway.socket" if error.errno in (errno.EACCES, errno.EPERM) else ""
            raise StartError(f"cannot listen on {where}: {error.strerror or error}{hint}") from error

    async def _bind(self, scheme: str, where: str, factory: Callable[[], MailSession]) -> None:
        loop = asyncio.get_running_loop()
        if where.startswith("/"):
            path = Path(where)
            with contextlib.suppress(OSError):
                if path.is_socket():
                    path.unlink()
            self._servers.append(await self._guarded(loop.create_unix_server(factory, where, backlog=512), where))
            path.chmod(0o660)
            self.addresses.append(f"{scheme}://{where}")
            return
        host, _, port = where.rpartition(":")
        server = await self._guarded(loop.create_server(factory, host.strip("[]"), int(port), backlog=512), where)
        self._servers.append(server)
        self.addresses.append(f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}")

    # -- running

    async def run(self) -> None:
        """Runs until ``stop`` is called or a signal says so; drains and returns.

        Raises:
            StartError, StoreError, ConfigError: it could not start.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_told_by_loop)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)  # one that comes too early is answered after the start
        try:
            self._prepare()
            await self._start_readers()
            for name in (signal.SIGTERM, signal.SIGINT):  # from the first connection on, a stop is a drain
                loop.add_signal_handler(name, self.stop)
            await self.relays.look()
            await self._listen()
            await self.sources.apply(self.settings)
        except BaseException:
            await self._close()
            raise
        log.started(__version__, "sqlite" if self.store.is_sqlite else "postgresql", self.addresses)
        gc.collect()
        sys.setswitchinterval(0.001)  # seconds; a thread that computes lets the loop in sooner
        gc.freeze()  # what is here now stays: the collector need not look at it again and again
        machine.last_words(self.settings.gateway.state_dir, "")
        systemd.notify("READY=1\nSTATUS=taking mail")
        if self._ready is not None:
            self._ready()
        began = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.pipeline.run(self._stop))
                group.create_task(self.outbox.run(self._stop))
                group.create_task(self.sources.watch(self._wait))
                group.create_task(self.relays.run(self._wait))
                group.create_task(self.watch.run(self._wait))
                group.create_task(self.canary.run(self._wait))
                group.create_task(names.watch(self.standing, self._asked, self._wait))
                for loop_of in (
                    self._clock_loop,
                    self._directory_loop,
                    self._reload_loop,
                    self._watchdog_loop,
                    self._lag_loop,
                    self._relay_loop,
                    self._purge_loop,
                    self._incident_loop,
                ):
                    group.create_task(loop_of())
                group.create_task(self._drain_when_stopped())
                began = time.monotonic()
        finally:
            await self._close()
            log.stopped(time.monotonic() - began)

    async def _start_readers(self) -> None:
        try:
            await self._readers.start()
        except NoReader as error:
            raise StartError(str(error)) from error

    def stop(self) -> None:
        """Begins the drain; a second call cuts the sessions that are still open."""
        if self._stop.is_set():
            for session in list(self.ingest.sessions):
                session.cut()
        else:
            log.stopping("signal")
            systemd.notify("STOPPING=1")
            self._stop.set()

    async def _drain_when_stopped(self) -> None:
        await self._stop.wait()
        for server in self._servers:
            server.close()
        if self.http is not None:
            self.http.close()
        await asyncio.gather(self.ingest.drain(DRAIN_S), self.sources.stop())

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        self._readers.stop()
        if hasattr(self, "sources"):
            await self.sources.stop()
        if hasattr(self, "desk"):
            await self.desk.relay.close()
        await asyncio.to_thread(self.store.close)
        for url in self.settings.smtp.listen:
            if url.startswith("lmtp:///") and f"lmtp://{url[7:]}" in self.addresses:
                Path(url[7:]).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()

    @property
    def stopping(self) -> bool:
        """Whether it drains."""
        return self._stop.is_set()

    async def pause(self, seconds: float) -> None:
        """Waits so long, or until it stops."""
        await self._wait(seconds)

    async def _wait(self, seconds: float) -> bool:
        """Waits unless the service stops; true while it runs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return not self._stop.is_set()

    async def _clock_loop(self) -> None:
        digest_at = 0.0
        while await self._wait(CLOCK_S):
            now = self._clock()
            try:
                due = await self.store.read(rounds.next_due)
                if due is not None and due <= now:
                    done = await self.store.write(partial(self._tick, now))
                    for reference, what, late in done:
                        metrics.LATE.labels(what).inc()
                        log.clock(reference, what, late)
                    self.outbox.wake.set()
                if time.monotonic() >= digest_at:
                    digest_at = time.monotonic() + min(30.0, self.desk.office.digest_every_s)
                    await self._digest(now)
            except Exception as error:  # the one broad net of this loop: what is due stays due
                log.loop_fault("clock", error)

    def _tick(self, now: datetime, connection: Connection) -> list[tuple[str, str, float]]:
        return rounds.tick(connection, self.desk.office, now)

    async def _digest(self, now: datetime) -> None:
        if await self.store.read(outgoing.anything_to_tell):
            if await self.store.write(lambda connection: outgoing.digest(connection, self.desk.office, now)):
                self.outbox.wake.set()

    async def _incident_loop(self) -> None:
        """Ties tickets together that are about the same thing, and knows what a person confirmed."""
        while await self._wait(INCIDENTS_S):
            rule, office, now = service.incident_rule(self.settings), self.desk.office, self._clock()
            try:
                office.board.known = await self.store.read(incidents.known)
                if await self.store.read(partial(incidents.due, rule=rule, now=now)):
                    for line in await self.store.write(partial(incidents.look, rule=rule, office=office, now=now)):
                        log.incident(line)
                    self.outbox.wake.set()
            except Exception as error:  # they are looked at again
                log.loop_fault("incidents", error)

    async def _purge_loop(self) -> None:
        """Removes what ``[retention]`` says is over; what is left when the service stops is found the next time."""
        wait_s = purge.FIRST_S
        while await self._wait(wait_s):
            wait_s = purge.EVERY_S
            try:
                await purge.Purge(self.store, service.keep(self.settings), self._clock, self._wait).run()
                await self._count_ahead()
            except Exception as error:  # what is over stays for the next round
                log.loop_fault("purge", error)

    async def _count_ahead(self) -> None:
        """The days of the last year that are over, for the report; days that changed are counted anew."""
        now = self._clock()
        watch = report_days.Watch(self.settings.gateway.timezone, now, self.settings.clock.limit)
        settle = partial(report_days.settle, since=now - timedelta(days=366), watch=watch)
        while await self.store.write(settle) and await self._wait(purge.PAUSE / 100):
            pass

    async def _directory_loop(self) -> None:
        while await self._wait(min(1.0, self.settings.directory.refresh)):
            now = self._clock()
            try:
                if not self.directory.changed():
                    self.directory.touch(now)
                elif self.directory.settled_for(now) >= min(SETTLED_S, self.settings.directory.refresh):
                    self._log_directory(await asyncio.to_thread(self.directory.reload, now))
            except (DirectoryError, OSError) as error:
                self._directory_refused(error)
            metrics.DIRECTORY_AGE.set(self.directory.age(now) or 0)

    async def _relay_loop(self) -> None:
        """Asks each new relay what it offers: SMTPUTF8 is offered to senders only where their answers could go out."""
        asked = None
        while not self._stop.is_set():
            relay = self.desk.relay
            if relay is not asked:
                asked = relay
                self.outbox.heard(await relay.asked())  # when it is away or refuses us, the outbox asks again
            await self._wait(1.0)

    async def _lag_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            before = loop.time()
            await self._wait(0.5)
            metrics.LOOP_LAG.set(max(0.0, loop.time() - before - 0.5))

    async def _watchdog_loop(self) -> None:
        interval = systemd.watchdog_interval()
        while interval is not None and await self._wait(interval):
            if self.alive():
                systemd.notify("WATCHDOG=1")

    def alive(self) -> bool:
        """Whether the pipeline still turns; the loop proves itself by asking."""
        limit = max(HANG_S, systemd.watchdog_interval() or 0)
        return asyncio.get_running_loop().time() - self.pipeline.beat < limit

    # -- reload

    async def _reload_loop(self) -> None:
        while not self._stop.is_set():
            waits = [asyncio.create_task(self._reload.wait()), asyncio.create_task(self._stop.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if self._reload.is_set() and not self._stop.is_set():
                self._reload.clear()
                systemd.notify(systemd.reloading())
                await self._reloaded()
                systemd.notify("READY=1")

    async def _reloaded(self) -> None:
        try:
            settings = await asyncio.to_thread(self._fresh_settings)
            other = settings.directory != self.settings.directory
            accounts = service.directory(settings) if other else self.directory
            desk = await asyncio.to_thread(service.build, settings, self.store, accounts, self._resolver)
            problems = await asyncio.to_thread(desk.templates.problems, desk.sender)
            if problems:
                raise ConfigError(problems)
            if accounts.changed():  # last: nothing is swapped in before everything else is known to be good
                self._log_directory(await asyncio.to_thread(accounts.reload, self._clock()))
        except Exception as error:  # nothing that an admin writes ends the service
            self._reload_refused(error)
            return
        changed = tuple(config.differences(self.settings, settings))
        old, other_relay = self.desk.relay, settings.relay != self.settings.relay
        self.desk, self.settings, self.ingest.policy, self.directory = desk, settings, desk.policy, accounts
        self.ingest.limits.bounds = service.bounds(settings)
        await old.close()
        with contextlib.suppress(Unavailable):  # the next reload or start writes it
            await self.store.write(self._blocks_recorded)
        if other_relay:  # what the last one said of a reply is not what this one says
            with contextlib.suppress(Unavailable):
                await self.store.write(partial(outgoing.hasten, now=self._clock()))
        self.outbox.wake.set()
        await self.sources.apply(settings)
        metrics.RELOADS.labels("done").inc()
        self.standing.clear("reload")
        self.standing.reload = Reload(self._reload_number() + 1, self._clock(), changed)
        log.reloaded(changed)

    def _reload_number(self) -> int:
        return self.standing.reload.number if self.standing.reload else 0

    def _reload_refused(self, error: Exception) -> None:
        known = isinstance(error, ConfigError | DirectoryError | OSError)
        said = str(error) if known else f"{type(error).__name__}: {error}"
        metrics.RELOADS.labels("refused").inc()
        log.reload_refused(said.replace("\n", "; "))
        self.standing.reload = Reload(self._reload_number() + 1, self._clock(), problems=tuple(said.split("\n")))
        do = "gateway check names every fault; correct it, then gateway reload"
        self.standing.note("reload", f"a reload was refused, the old settings serve: {said.replace(chr(10), '; ')}", do)

    def _fresh_settings(self) -> Settings:
        fresh = config.load(self._path)
        old = self.settings
        needs: list[Problem] = []
        for key, before, after in (
            ("gateway.state_dir", old.gateway.state_dir, fresh.gateway.state_dir),
            ("database.url", old.database_url, fresh.database_url),
            ("smtp.listen", old.smtp.listen, fresh.smtp.listen),
            ("http.listen", old.http.listen, fresh.http.listen),
        ):
            if before != after:
                needs.append(Problem(self._path, key, "a change here needs a restart"))
        problems = [*needs, *config.file_problems(fresh, self._path)]
        if problems:
            raise ConfigError(problems)
        return fresh

    # -- what health shows

    def _looks(self) -> list[Check]:
        """What the parts of this process say of themselves."""
        usable = self.directory.usable(self._clock())
        directory = "" if usable else "the account directory cannot be read or is too old"
        away = self.outbox.away
        refused = self.outbox.problem
        return [
            Check(
                "pipeline", "" if self.alive() else "the pipeline hangs", None, "systemctl restart gateway", blocks=True
            ),
            Check("readers", self._readers.trouble, None, "journalctl -u gateway", blocks=True),
            Check("directory", directory, None, "gateway accounts sync says why", blocks=True),
            Check("connections", self.ingest.limits.problem(), None, "ss -tn names who holds them", blocks=True),
            Check(
                "relay", refused or (f"the relay is away: {away}" if away else ""), None, RELAY_DO, blocks=bool(refused)
            ),
            Check("sources", self.sources.not_ready(), None, "gateway doctor", blocks=True),
        ]

    def _asked(self) -> tuple[Callable[[str, str], Awaitable[Answer]], str]:
        """What to ask the DNS with, and the domain."""
        resolver = self.desk.around.checks.resolver
        return getattr(resolver, "fresh", resolver.lookup), self.desk.settings.gateway.replies_at

    async def _not_ready(self) -> list[str]:
        if self._stop.is_set():
            return ["shutting down"]
        return [check.line for check in await self.watch.look() if check.blocks]

    async def _report(self) -> dict[str, Any]:
        """What commands of this machine are told: every problem, and the last reload."""
        last = self.standing.reload
        reload = {"number": last.number, "changed": last.changed, "problems": last.problems} if last else {"number": 0}
        return {"checks": [check.as_json() for check in await self.watch.look()], "reload": reload}
