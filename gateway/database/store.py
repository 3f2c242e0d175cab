"""The one place that opens the ticket database: engines, the writer thread, grouped commits, migrations, keys.

Every write is a function of a connection, handed to one writer thread. What waits is committed together in one
transaction; a failed group is tried again one by one; a lone write never waits for company. SQLite: WAL, FULL,
``BEGIN IMMEDIATE``. Functions that read or write rows live beside this file and are given the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from gateway import log
from gateway.database import backups, faults, originals, rings, tables
from gateway.database.faults import Fault
from gateway.database.statements import put_once
from gateway.model import Temporary, Told

T = TypeVar("T")
GROUP = 64
GATHER_S = 0.01  #: how long a commit waits for company when the last one had some
CHECKPOINT_OCTETS = 4 * 1024**2
#: between two checkpoints of a log that does not grow: it is written again from its beginning and keeps its size
CHECKPOINT_WRITES = 500
CONFLICTS = 3  #: tries of a transaction that others are in the way of, before the last
PATIENT_S = 120.0  #: a failover takes a minute
ANSWER_S = 3.0
PROBED_S = 1.0  #: what the last probe found is believed for so long
#: libpq's parameters: seconds to connect and until a silent connection is asked, milliseconds until what was sent must
#: be received
PATIENCE = {
    "connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}  # fmt: skip


class StoreError(Told):
    """The database cannot be used; the text says why and what to do, and quotes no mail."""

    tellable = True


class NewerSchema(StoreError):
    """The database was written by a newer release."""

    exit_code = 2


class Unavailable(StoreError, Temporary):
    """The database is away, locked or full. Nothing is wrong with what was to be written: it may be tried again, and
    may have been written all the same if the connection broke at the very commit."""


class DiskFull(Unavailable):
    """The database's disk is full; nothing was written."""


class _NotBegun(Exception):
    """The database gave no transaction, for the reason in ``__cause__``."""


class LostClaim(Exception):
    """Somebody else holds this row now; the transaction was rolled back."""


def _migrations() -> Path:
    packaged = resources.files("gateway").joinpath("data/migrations")
    path = Path(str(packaged))
    return path if path.is_dir() else Path(__file__).resolve().parents[2] / "migrations"


def head() -> str:
    """The newest schema revision this release knows."""
    return max(path.stem.partition("_")[0] for path in (_migrations() / "versions").glob("[0-9]*.py"))


def _known() -> set[str]:
    return {path.stem.partition("_")[0] for path in (_migrations() / "versions").glob("[0-9]*.py")}


def _sqlite_engine(url: str, begin: str, checkpoint: bool) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=8,
        connect_args={"timeout": 10.0, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=full")
        connection.execute("pragma foreign_keys=on")
        connection.execute("pragma secure_delete=on")
        if not checkpoint:
            connection.execute("pragma wal_autocheckpoint=0")

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        try:
            driver.execute(begin)
        except sqlite3.Error as error:
            raise DBAPIError.instance(begin, None, error, sqlite3.Error, dialect=connection.dialect) from error

    return engine


def libpq_patience(url: str) -> dict[str, Any]:
    """How soon a PostgreSQL server that vanished is noticed, where the URL does not say."""
    given = make_url(url).query
    return {name: value for name, value in PATIENCE.items() if name not in given}


def _postgresql_engine(url: str, size: int) -> Engine:
    return create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=size,
        pool_pre_ping=True,
        connect_args=libpq_patience(url),
    )


def _planned_each_time(connection: Any, _: object) -> None:
    """Reads are planned with their values. A plan for any value, which PostgreSQL makes of a statement that is
    repeated, takes states to be equally frequent: the oldest pending mail of a million was looked for among all that
    are done, for a second."""
    connection.execute("set plan_cache_mode = force_custom_plan")
    connection.commit()


def _told(error: BaseException) -> BaseException:
    """What the caller gets: whether it was the database's fault, and not the statement's."""
    fault = faults.of(error)
    if isinstance(error, Unavailable) or fault in (None, Fault.MAIL):
        return error
    said = faults.words(error)
    if fault is Fault.DISK:
        told: Unavailable = DiskFull(f"the disk of the database is full: {said}")
    elif fault is Fault.CONFLICT:
        told = Unavailable(f"the database is busy: {said}")
    else:
        told = Unavailable(f"the database {'does not answer' if faults.silent(error) else 'cannot be used'}: {said}")
    told.__cause__ = error
    return told


#: a job, who is told of it, and the event loop where it must be told (or none: any thread may wait)
_Write = tuple[Callable[[Connection], Any], Future[Any] | asyncio.Future[Any], asyncio.AbstractEventLoop | None]
_Outcome = tuple[Future[Any] | asyncio.Future[Any], Any, BaseException | None]


def _tell(outcomes: Sequence[_Outcome]) -> None:
    """Results and errors become known; who is told meanwhile that nobody waits any more is left alone."""
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


def _tell_all(group: Sequence[_Write], results: Sequence[Any], error: BaseException | None = None) -> None:
    """Tells everybody of a group; an event loop is woken once for all of its own."""
    by_loop: dict[asyncio.AbstractEventLoop | None, list[_Outcome]] = {}
    for index, (_, future, loop) in enumerate(group):
        by_loop.setdefault(loop, []).append((future, None if error else results[index], error))
    for loop, outcomes in by_loop.items():
        if loop is None:
            _tell(outcomes)
        else:
            with contextlib.suppress(RuntimeError):  # it is closed: nobody waits there
                loop.call_soon_threadsafe(_tell, outcomes)


def _count(writes: int, wall_s: float, cpu_s: float) -> None:
    """What a commit cost, for the metrics; no command that only reads needs them."""
    from gateway import metrics

    metrics.GROUP.observe(writes)
    metrics.COMMIT.observe(wall_s)
    metrics.STAGE_CPU.labels("database").inc(cpu_s)


def _last_restore(connection: Connection) -> tuple[datetime, str] | None:
    r = tables.restores.c
    row = connection.execute(select(r.restored_at, r.queued).order_by(r.id.desc()).limit(1)).first()
    return None if row is None else (row.restored_at, row.queued)


def _probe(connection: Connection) -> None:
    """Writes as a mail does, and leaves nothing."""
    staged = originals.staging(utc_now())
    originals.stage(connection, staged, 0, b"")
    originals.drop(connection, staged)


class Store:
    """The database of a daemon or of one command."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            self._writer_engine = _sqlite_engine(url, "BEGIN IMMEDIATE", checkpoint=False)
            self._reader_engine = _sqlite_engine(url, "BEGIN", checkpoint=False)
        else:
            self._writer_engine = _postgresql_engine(url, 2)
            self._reader_engine = _postgresql_engine(url, 4)
            event.listen(self._reader_engine, "connect", _planned_each_time)
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(4, "store-read")
        self._connection: Connection | None = None  # the writer thread's own
        self._writer: threading.Thread | None = None
        self._checkpointer: threading.Thread | None = None
        self._closing = threading.Event()
        self._commits = threading.Event()
        self._watched = () if self.path is None else (str(self.path), f"{self.path}-wal")
        self._files: dict[str, tuple[int, int]] = {}  #: (device, inode) of each, once open
        self._removed = ""  #: which of them is not the one that is open any more
        self._trouble, self._troubled_at = "", -1e9
        self._probed_at = -PROBED_S
        self._wrote = 0  #: writes that were committed
        self.keys: dict[str, bytes] = {}
        self.key_id = ""
        self.restored: tuple[datetime, str] | None = None  #: when a copy was last put back; hold, send or discard

    @property
    def trouble(self) -> str:
        """Why the database could not be used the last time; empty when it could."""
        return self._trouble

    @trouble.setter
    def trouble(self, why: str) -> None:
        self._trouble = why
        if why:
            self._troubled_at = time.monotonic()

    def troubled_within(self, seconds: float) -> bool:
        """Whether the database could not be used at some moment of the last ``seconds``."""
        return time.monotonic() - self._troubled_at < seconds

    @property
    def path(self) -> Path | None:
        """The SQLite file; ``None`` on PostgreSQL."""
        return Path(self.url.removeprefix("sqlite:///")) if self.is_sqlite else None

    # -- life

    def open(self, now: datetime, migrate: bool = True) -> None:
        """Migrates when needed, loads the keys and starts the writer.

        Raises:
            NewerSchema: a newer release wrote the database.
            StoreError: it cannot be opened or migrated.
        """
        try:
            if migrate:
                self._migrate(now)
            with self._writer_engine.connect() as connection, connection.begin():
                self._load_keys(connection, now)
                self.restored = _last_restore(connection)
        except StoreError:
            self._dispose()
            raise
        except SQLAlchemyError as error:
            self._dispose()
            said = str(getattr(error, "orig", error))
            hint = "; restore a backup" if "malformed" in said or "not a database" in said else ""
            raise StoreError(f"the database cannot be opened: {said}{hint}") from error
        self._writer = threading.Thread(target=self._write_loop, name="writer", daemon=True)
        self._writer.start()
        if self.is_sqlite:
            self._checkpointer = threading.Thread(target=self._checkpoint_loop, name="checkpoint", daemon=True)
            self._checkpointer.start()

    def create(self, now: datetime) -> None:
        """Opens a database that is thrown away afterwards: the tables of today without their history, which takes a
        while."""
        tables.METADATA.create_all(self._writer_engine)
        self.open(now, migrate=False)

    def load_keys(self) -> None:
        """Only the keys, for commands that read.

        Raises:
            StoreError: the database is not there, or not set up.
        """
        try:
            if self._version() != head():
                raise StoreError("the database is not at this release's schema; start the service once")
            with self._reader_engine.connect() as connection, connection.begin():
                rows = connection.execute(select(tables.keys).order_by(tables.keys.c.created_at)).all()
        except SQLAlchemyError as error:
            raise StoreError(f"the database cannot be read: {getattr(error, 'orig', error)}") from error
        if not rows:
            raise StoreError("the database has no keys yet; start the service once")
        self.keys = {row.id: bytes(row.secret) for row in rows}
        self.key_id = rows[-1].id
        with self._reader_engine.connect() as connection, connection.begin():
            self.restored = _last_restore(connection)

    def close(self) -> None:
        """Finishes what was submitted and closes."""
        self._closing.set()
        self._commits.set()
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join(30)
            self._writer = None
            if self._wrote and not self.is_sqlite:
                self._ring()
        if self._checkpointer is not None:
            self._checkpointer.join(30)
        self._readers.shutdown(wait=True, cancel_futures=True)
        if self.is_sqlite and self.path is not None and self.path.exists():
            with contextlib.suppress(SQLAlchemyError, sqlite3.Error), self._writer_engine.connect() as connection:
                plain: Any = connection.connection.dbapi_connection
                plain.execute("pragma wal_checkpoint(truncate)")
        self._dispose()

    def _ring(self) -> None:
        """What was written last is looked for at once by whoever listens (``bell.py``)."""
        with contextlib.suppress(StoreError, SQLAlchemyError):
            self.read_now(lambda connection: rings.ring(connection, [rings.MAILS, rings.REPLIES]))

    def _dispose(self) -> None:
        self._writer_engine.dispose()
        self._reader_engine.dispose()

    def _version(self) -> str | None:
        with self._reader_engine.connect() as connection:
            exists = connection.dialect.has_table(connection, "alembic_version")
            return connection.execute(text("select version_num from alembic_version")).scalar() if exists else None

    def _migrate(self, now: datetime) -> None:
        version = self._version()
        if version == head():
            return
        if version is not None and version not in _known():
            raise NewerSchema(
                f"the database has schema {version}, this release knows {head()}: install the newer release"
            )
        if self.is_sqlite and version is not None:
            self._backup(now)
        from gateway.database.migrate import upgrade

        upgrade(self._writer_engine, _migrations())

    def _backup(self, now: datetime) -> None:
        """A copy beside the SQLite file before a migration. ``StoreError`` where there is no room for it."""
        assert self.path is not None
        try:
            backups.make(self.path, now)
        except (backups.NoRoom, OSError, sqlite3.Error) as error:
            raise StoreError(f"the database was not migrated: {error}") from error

    def _load_keys(self, connection: Connection, now: datetime) -> None:
        rows = connection.execute(select(tables.keys).order_by(tables.keys.c.created_at)).all()
        if not rows:
            fresh = {"id": "a", "secret": secrets.token_bytes(32), "created_at": now}
            put_once(connection, tables.keys, fresh)
            rows = connection.execute(select(tables.keys).order_by(tables.keys.c.created_at)).all()
        self.keys = {row.id: bytes(row.secret) for row in rows}
        self.key_id = rows[-1].id

    # -- writing

    def _write_loop(self) -> None:
        stop = company = False
        while not stop:
            group, stop = self._gathered(company)
            if group:
                company = len(group) > 1
                self._commit_group(group)
            del group  # a mail of 25 MB is not kept while waiting for the next
        self._let_go(invalidate=False)

    def _gathered(self, company: bool) -> tuple[list[_Write], bool]:
        """(what is committed together next, whether nothing comes after it). Where company is expected the thread
        sleeps through the wait: to be woken for each write would cost a fight for the interpreter each time."""
        item, group = self._queue.get(), []
        if company and self._queue.qsize() < GROUP - 1:
            self._closing.wait(GATHER_S)
        while item is not None:
            group.append(item)
            if len(group) == GROUP or self._queue.empty():
                break
            item = self._queue.get()
        return group, item is None

    def _commit_group(self, group: list[_Write]) -> BaseException | None:
        """One transaction for the group; if it fails, one for each. Where none can be begun, all fail at once: why."""
        began, cpu = time.perf_counter(), time.thread_time()
        try:
            results = self._again([job for job, _, _ in group])
        except _NotBegun as unavailable:
            if (
                not self._removed
            ):  # else the connection has the only way to what is in the removed log: kept for the end
                self._let_go(invalidate=True)
            told = _told(unavailable.__cause__ or unavailable)
            self.trouble = str(told)
            _tell_all(group, (), told)
            return told
        except BaseException as error:  # each of the group waits for an outcome, and gets this one
            told = _told(error)
            unusable = isinstance(told, Unavailable) and faults.of(error) is not Fault.CONFLICT
            if unusable:  # a new connection may reach the new primary
                self._let_go(invalidate=True)
            if len(group) > 1:
                self._one_by_one(group)
            else:
                self.trouble = str(told) if unusable else self.trouble
                _tell_all(group, (), told)
        else:
            self.trouble = ""
            self._wrote += len(group)
            _tell_all(group, results)
            _count(len(group), time.perf_counter() - began, time.thread_time() - cpu)
        self._commits.set()
        return None

    def _one_by_one(self, group: list[_Write]) -> None:
        """A transaction for each, until none can be begun."""
        for done, write in enumerate(group, 1):
            why = self._commit_group([write])
            if why is not None:
                _tell_all(group[done:], (), why)
                return

    def _transaction(self, jobs: list[Callable[[Connection], Any]]) -> list[Any]:
        try:
            if self._connection is None:
                self._connection = self._writer_engine.connect()
            self._check_files()
            transaction = self._connection.begin()
        except Exception as error:  # whatever it is: nothing was done yet, so all may be tried again
            raise _NotBegun from error
        with transaction:
            return [job(self._connection) for job in jobs]

    def _again(self, jobs: list[Callable[[Connection], Any]]) -> list[Any]:
        """``_transaction``, and once more where another transaction was in its way."""
        for _ in range(CONFLICTS):
            try:
                return self._transaction(jobs)
            except SQLAlchemyError as error:
                if faults.of(error) is not Fault.CONFLICT:
                    raise
        return self._transaction(jobs)

    def _check_files(self) -> None:
        """What is written into files that somebody removed or replaced is lost at the next start.

        Raises:
            Unavailable: they are not the ones that are open, or were not once; what is in them is saved at the end.
        """
        if self._removed:
            raise Unavailable(self._removed)
        for path in self._watched:
            try:
                found = os.stat(path)
            except FileNotFoundError:
                found = None
            known = self._files.get(path)
            if found is not None and known is None:
                self._files[path] = found.st_dev, found.st_ino
            elif known is not None and (found is None or known != (found.st_dev, found.st_ino)):
                self._removed = f"{path} was removed or replaced under the running service: restart it"
                raise Unavailable(self._removed)

    def _let_go(self, invalidate: bool) -> None:
        """Closes the writer's connection; after a failure of the database it is not used again."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        for log_file in self._watched[1:]:  # SQLite removes it with the last connection
            self._files.pop(log_file, None)
        with contextlib.suppress(SQLAlchemyError, sqlite3.Error):
            if invalidate:
                connection.invalidate()
        with contextlib.suppress(SQLAlchemyError, sqlite3.Error):
            connection.close()

    def submit(self, job: Callable[[Connection], T]) -> Future[T]:
        """Hands a write to the writer; the future is done after the commit. For threads."""
        future: Future[T] = Future()
        self._hand(job, future, None)
        return future

    def begin(self, job: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Hands a write to the writer; the future is done after the commit. For the running event loop; who cancels the
        future is not told, and the commit goes on."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._hand(job, future, loop)
        return future

    def _hand(
        self, job: Callable[[Connection], T], future: Future[T] | asyncio.Future[T],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:  # fmt: skip
        if self._writer is None or self._closing.is_set():
            future.set_exception(StoreError("the store is closed"))
        else:
            self._queue.put((job, future, loop))

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Commits ``job``; cancelling the caller never cancels the commit."""
        return await asyncio.shield(self.begin(job))

    async def write_patiently(self, job: Callable[[Connection], T]) -> T:
        """``write``, tried again for half a minute while the database is not available. ``job`` may meet its own
        work."""
        with contextlib.suppress(Unavailable):
            return await self.write(job)
        import tenacity

        retries = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_delay(PATIENT_S),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=5.0),
            retry=tenacity.retry_if_exception_type(Unavailable),
            reraise=True,
        )
        return await retries(self.write, job)

    async def answers(self) -> str:
        """Why nothing can be written now, or ``""``. Found out by a write that is committed: a database that is
        read-only, or whose disk is full, answers everything else."""
        if time.monotonic() - self._probed_at < PROBED_S:
            return self.trouble
        try:
            async with asyncio.timeout(ANSWER_S):
                await self.write(_probe)
        except StoreError as error:
            self.trouble = str(error)
        except SQLAlchemyError as error:
            self.trouble = f"the database refuses to store: {type(error).__name__}"
        except TimeoutError:
            self.trouble = self.trouble or f"the database has stored nothing for {ANSWER_S:.0f} s"
        else:
            self.trouble = ""
        self._probed_at = time.monotonic()
        return self.trouble

    def write_now(self, job: Callable[[Connection], T]) -> T:
        """Commits ``job`` and waits; for commands and tests."""
        return self.submit(job).result()

    # -- reading

    def read_now(self, job: Callable[[Connection], T]) -> T:
        """Runs ``job`` in a read transaction.

        Raises:
            Unavailable: the database does not answer.
        """
        try:
            with self._reader_engine.connect() as connection, connection.begin():
                return job(connection)
        except SQLAlchemyError as error:
            told = _told(error)
            if isinstance(told, Unavailable) and faults.of(error) is not Fault.CONFLICT:
                self.trouble = str(told)
            raise told from error.__cause__

    async def read(self, job: Callable[[Connection], T]) -> T:
        """``read_now`` on a thread of the readers: the event loop goes on."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, job)

    # -- SQLite's write-ahead log

    def _checkpoint_loop(self) -> None:
        """Checkpoints beside the writer, so that no sender waits for it."""
        assert self.path is not None
        wal = self.path.with_name(self.path.name + "-wal")
        wrote = size = 0  # at the last checkpoint
        while not self._closing.is_set():
            self._commits.wait()
            self._commits.clear()
            if self._closing.wait(0.2):
                return
            try:
                found = wal.stat().st_size if wal.exists() else 0
                enough = found > size or self._wrote - wrote >= CHECKPOINT_WRITES
                if found >= CHECKPOINT_OCTETS and enough:
                    wrote = self._wrote
                    size = self._checkpointed(wal)
            except (sqlite3.Error, OSError) as error:
                log.warning("checkpoint_failed", error=type(error).__name__)
                self._closing.wait(1.0)

    def _checkpointed(self, wal: Path) -> int:
        """One checkpoint; the octets of the log's file after it."""
        with contextlib.closing(sqlite3.connect(str(self.path), timeout=10.0, isolation_level=None)) as connection:
            connection.execute("pragma synchronous=full")
            connection.execute("pragma wal_checkpoint(passive)")
            if wal.stat().st_size >= CHECKPOINT_OCTETS * 16:
                connection.execute("pragma busy_timeout=200")
                connection.execute("pragma wal_checkpoint(truncate)")
        return wal.stat().st_size


def utc_now() -> datetime:
    """The clock of the service: now, with its zone, UTC."""
    return datetime.now(UTC)
