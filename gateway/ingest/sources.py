"""The mailboxes that are read, each by a thread of its own: started, replaced at a reload, watched, ended."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection

from gateway import log, metrics
from gateway.database import inbox
from gateway.database.store import Store
from gateway.ingest import settings as sections
from gateway.ingest.halt import Halt
from gateway.ingest.identity import digest_of
from gateway.ingest.maildir import Maildir
from gateway.ingest.room import DiskRoom
from gateway.model import Accepted, RawMessage, Turn
from gateway.settings import Gateway, secret
from gateway.tickets import mailboxes
from gateway.tickets.mailboxes import Cursor
from gateway.tickets.outgoing import Office
from gateway.turns import Turns

if TYPE_CHECKING:
    from gateway.ingest.imap import Mailbox

JOIN_S = 20.0
WATCH_S = 5.0


class StoredLedger:
    """What is committed about one account; used by its thread."""

    def __init__(
        self, store: Store, name: str, kind: str, silence_s: float, clock: Callable[[], datetime],
        arrived: Callable[[], None], turns: Turns | None = None, fits: Callable[[int], None] | None = None,
    ) -> None:  # fmt: skip
        self._turns, self._fits = turns, fits or (lambda octets: None)
        self._store, self._name, self._clock, self._arrived = store, name, clock, arrived
        self._base = {"kind": kind, "silence_s": silence_s}

    def opened(self, folder: str, uidvalidity: int, next_uid: int, from_now: bool) -> Cursor:
        """See ``tickets.mailboxes.opened``."""
        now = self._clock()
        job = partial(
            mailboxes.opened, account=self._name, folder=folder, uidvalidity=uidvalidity, next_uid=next_uid,
            from_now=from_now, now=now,
        )  # fmt: skip
        return self._store.write_now(job)

    def known(self, cursor: Cursor, above: int) -> dict[int, str]:
        """``{uid: state}`` of the mails of this folder above a UID."""
        return self._store.read_now(lambda connection: mailboxes.known(connection, cursor, above))

    def store(self, cursor: Cursor, uid: int, state: str, message: RawMessage) -> Future[Accepted]:
        """Stores a mail with its place in the folder.

        Raises:
            DiskFull: no room is left; it waits on its server.
        """
        self._fits(len(message.raw))
        digest, turn = digest_of(message.raw), self._turn(message)
        job = partial(
            mailboxes.stored, cursor=cursor, uid=uid, state=state, message=message, digest=digest, turn=turn
        )  # fmt: skip
        return self._submitted(job)

    def accept(self, message: RawMessage) -> Future[Accepted]:
        """Stores a mail that has no place in a folder.

        Raises:
            DiskFull: no room is left; it waits where it lies.
        """
        self._fits(len(message.raw))
        digest, turn = digest_of(message.raw), self._turn(message)
        return self._submitted(lambda connection: inbox.accept(connection, message, digest, turn=turn))

    def _turn(self, message: RawMessage) -> Turn | None:
        return self._turns.of(message.raw, message.envelope) if self._turns is not None else None

    def _submitted(self, job: Callable[[Connection], Accepted]) -> Future[Accepted]:
        future = self._store.submit(job)
        future.add_done_callback(lambda _: self._arrived())
        return future

    def settled(self, cursor: Cursor, last_uid: int) -> None:
        """Everything up to ``last_uid`` is dealt with."""
        self._store.write_now(lambda connection: mailboxes.settled(connection, cursor, last_uid))

    def poisoned(self, cursor: Cursor, uid: int, line: str) -> None:
        """A mail that cannot be fetched."""
        now = self._clock()
        self._store.write_now(lambda connection: mailboxes.poisoned(connection, cursor, uid, line, now))

    def moved(self, cursor: Cursor, uids: Iterable[int]) -> None:
        """These mails were moved out of the folder, as was wanted."""
        self._store.write_now(lambda connection: mailboxes.moved(connection, cursor, uids))

    def kept(self, cursor: Cursor, uids: Iterable[int]) -> None:
        """These mails stay in the folder: the server can do no better."""
        self._store.write_now(lambda connection: mailboxes.kept(connection, cursor, uids))

    def reconciled(self, cursor: Cursor, on_server: set[int]) -> None:
        """The daily comparison with the UIDs that are ``on_server``: the others are forgotten."""
        now = self._clock()
        self._store.write_now(lambda connection: mailboxes.reconciled(connection, cursor, on_server, now))

    def report(self, **values: Any) -> None:
        """Columns of ``sources`` that tell how the account stands, for ``status``."""
        self._store.write_now(lambda connection: mailboxes.report(connection, self._name, self._base | values))


@dataclass
class _Running:
    settings: sections.Imap | sections.Maildir
    halt: Halt
    thread: threading.Thread


class Settings(Protocol):
    """The sections that a reader of mailboxes looks at."""

    @property
    def gateway(self) -> Gateway: ...
    @property
    def smtp(self) -> sections.Smtp: ...
    @property
    def imap(self) -> tuple[sections.Imap, ...]: ...
    @property
    def maildir(self) -> tuple[sections.Maildir, ...]: ...


def mailbox(
    account: sections.Imap, settings: Settings, ledger: StoredLedger, halt: Halt, clock: Callable[[], datetime]
) -> Mailbox:
    """The reader of an account. imapclient is loaded here: who has no mailbox does not pay for it."""
    from gateway.ingest.imap import Mailbox
    from gateway.ingest.oauth import Tokens

    tokens = None
    if account.oauth2 is not None:
        saved = settings.gateway.state_dir / f"oauth-{account.name}.json"
        tokens = Tokens(account.oauth2, saved, clock, min(account.timeout, 30.0))

    def password() -> str | None:
        try:
            return secret(account.password_file, f"imap-{account.name}")
        except (OSError, UnicodeDecodeError):
            return None

    return Mailbox(account, password, tokens, ledger, halt, clock, settings.smtp.max_size)


class Sources:
    """Every configured mailbox. ``apply`` is for the start and for each reload."""

    def __init__(
        self, store: Store, clock: Callable[[], datetime], office: Callable[[], Office], arrived: Callable[[], None],
        told: Callable[[], None], turns: Turns | None = None,
    ) -> None:  # fmt: skip
        self._store, self._clock, self._office, self._turns = store, clock, office, turns
        self._arrived, self._told = arrived, told
        self._running: dict[str, _Running] = {}
        self._started_at = clock()
        self._away = ""
        self._room = DiskRoom(Path(), 0)

    async def apply(self, settings: Settings) -> None:
        """Ends what is not configured any more or differently, and starts what is new."""
        self._room = DiskRoom(settings.gateway.state_dir, settings.smtp.min_free)
        wanted: dict[str, sections.Imap | sections.Maildir] = {account.name: account for account in settings.imap}
        wanted |= {one.name: one for one in settings.maildir}
        gone = [name for name, running in self._running.items() if wanted.get(name) != running.settings]
        await asyncio.gather(*(self._end(self._running.pop(name)) for name in gone))
        for gauge in (metrics.SOURCE_UP, metrics.SOURCE_LAG, metrics.SOURCE_READ, metrics.SOURCE_TOKEN):
            for name in gone:
                with contextlib.suppress(KeyError):
                    gauge.remove(name)
        await self._store.write(lambda connection: mailboxes.keep_only(connection, wanted))
        for name, source in wanted.items():
            if name not in self._running:
                self._running[name] = await self._begin(source, settings)

    async def _begin(self, source: sections.Imap | sections.Maildir, settings: Settings) -> _Running:
        loop, halt = asyncio.get_running_loop(), Halt()

        def arrived() -> None:
            try:
                loop.call_soon_threadsafe(self._arrived)
            except RuntimeError:  # the loop has ended; the mail is stored
                return

        kind = "imap" if isinstance(source, sections.Imap) else "maildir"
        ledger = StoredLedger(
            self._store, source.name, kind, source.silence, self._clock, arrived, self._turns,
            lambda octets: self._room.check(octets),
        )  # fmt: skip
        first = {"kind": kind, "silence_s": source.silence, "state": "connecting", "connected_since": None, "lag": 0}
        await self._store.write(lambda connection: mailboxes.report(connection, source.name, first))
        reader: Mailbox | Maildir
        if isinstance(source, sections.Imap):
            reader = mailbox(source, settings, ledger, halt, self._clock)
        else:
            reader = Maildir(source, ledger, halt, self._clock, settings.smtp.max_size)
        thread = threading.Thread(target=reader.run, name=f"source-{source.name}", daemon=True)
        thread.start()
        return _Running(source, halt, thread)

    async def _end(self, running: _Running) -> None:
        running.halt.set()
        await asyncio.to_thread(running.thread.join, JOIN_S)
        if running.thread.is_alive():  # it waits for the network; it is a daemon thread and stores nothing any more
            log.source(running.settings.name, "stuck", "its thread does not end")
        else:
            running.halt.close()

    async def stop(self) -> None:
        """Ends every thread."""
        running, self._running = list(self._running.values()), {}
        await asyncio.gather(*(self._end(one) for one in running))

    # -- watching

    async def watch(self, wait: Callable[[float], Any]) -> None:
        """Metrics, readiness and alerts, until ``wait`` says that the service stops."""
        while await wait(min([WATCH_S, *(one.settings.silence / 4 for one in self._running.values())])):
            if not self._running:
                self._away = ""
                continue
            try:
                await self._watched(self._clock())
            except Exception as error:  # the one broad net of this loop: the database may be back next time
                log.loop_fault("sources", error)

    async def _watched(self, now: datetime) -> None:
        rows = await self._store.read(mailboxes.rows)
        away = []
        for row in rows:
            silent = mailboxes.away_for(row, now, self._started_at) >= row.silence_s
            if silent:
                away.append(row.name)
            metrics.SOURCE_UP.labels(row.name).set(row.state == "connected")
            metrics.SOURCE_LAG.labels(row.name).set(row.lag)
            metrics.SOURCE_READ.labels(row.name).set(row.read_at.timestamp() if row.read_at else 0)
            if row.token_expires_at is not None:
                metrics.SOURCE_TOKEN.labels(row.name).set(row.token_expires_at.timestamp())
        self._away = ", ".join(away)
        if away or any(row.told_at is not None for row in rows):
            office, started = self._office(), self._started_at
            lines = await self._store.write(lambda connection: mailboxes.alerts(connection, office, now, started))
            for line in lines:
                log.warning("source_alert", line=line)
            if lines:
                self._told()

    def not_ready(self) -> str:
        """Why mail is not taken from a mailbox, or an empty string."""
        return f"not read for too long: {self._away}" if self._away else ""
