"""``gateway backup``, ``restore`` and ``verify``: the way back after the loss of a machine, a disk or a database."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway import __version__, privacy
from gateway.config import Settings
from gateway.database import archive, pg_copies, sqlite_copies
from gateway.database.archive import ArchiveError, Manifest
from gateway.database.store import Store, StoreError, head
from gateway.tickets import erasure, restored

CONFIG, DIRECTORY = "config.toml", "directory.sqlite"
_LOG_FILES = ("-wal", "-shm", "-journal")


@dataclass(frozen=True)
class Back:
    """What a restore did. ``aside``: where the database that was there is now, if there was one."""

    manifest: Manifest
    waiting: restored.Waiting
    aside: Path | None
    at: datetime


def _database_file(settings: Settings) -> Path | None:
    url = settings.database_url
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else None


def left_out(settings: Settings) -> list[str]:
    """Files that the configuration names and that no backup holds: secrets are kept where secrets are kept."""
    files: list[Path | None] = [
        settings.database.url_file, settings.smtp.tls_cert, settings.smtp.tls_key, settings.relay.password_file,
        settings.directory.path, settings.directory.url_file, settings.replies.templates_dir, settings.extract.topics,
        *(one.key_file for one in settings.dkim), *(one.password_file for one in settings.imap),
    ]  # fmt: skip
    for one in settings.imap:
        if one.oauth2 is not None:
            files += [one.oauth2.client_secret_file, one.oauth2.refresh_token_file]
    return [str(file) for file in files if file is not None]


def make(settings: Settings, config_file: Path, target: Path, now: datetime) -> tuple[Path, Manifest]:
    """Writes a backup while the service works: (where it is, what it holds). A folder that is there gets a folder of
    its own for each backup; any other path becomes one tar.

    Raises:
        ArchiveError: it was not written, and nothing is left of it.
    """
    as_folder = target.is_dir()
    if as_folder:
        target = target / f"gateway-{now:%Y%m%dT%H%M%SZ}"
    if target.exists():
        raise ArchiveError(f"{target} is there already")
    with archive.being_written(target) as work:
        try:
            manifest = _filled(settings, config_file, work, now)
            if not as_folder:
                archive.check_room(work, sum(part.size for part in manifest.files.values()), "the backup as one file")
            archive.finish(work, target, manifest, as_folder)
        except OSError as error:
            raise ArchiveError(f"{target} was not written: {error.strerror or error}") from error
    return target, manifest


def _filled(settings: Settings, config_file: Path, work: Path, now: datetime) -> Manifest:
    database = _database_file(settings)
    if database is None:
        schema, counts = pg_copies.dump(settings.database_url, work / archive.DUMP)
    else:
        if not database.exists():
            raise ArchiveError(f"there is no database at {database}; start the service once")
        sqlite_copies.copy(database, work / archive.SQLITE)
        found = sqlite_copies.problems(work / archive.SQLITE)
        if found:
            raise ArchiveError(f"the database is damaged, there is no sound copy of it: {found[0]}")
        schema, counts = sqlite_copies.schema(work / archive.SQLITE), sqlite_copies.counts(work / archive.SQLITE)
    for name, file in ((CONFIG, config_file), (DIRECTORY, settings.gateway.state_dir / DIRECTORY)):
        if file.exists():
            shutil.copy2(file, work / name)
    files = {file.name: archive.part_of(file) for file in sorted(work.iterdir())}
    engine = "postgresql" if database is None else "sqlite"
    return Manifest(now, __version__, schema, engine, counts, files, tuple(left_out(settings)))


def problems(manifest: Manifest, folder: Path) -> list[str]:
    """What is wrong with an opened backup: sums, the integrity of its database, rows by table."""
    found = archive.faults(manifest, folder)
    if found:
        return found
    if manifest.engine == "sqlite":
        return sqlite_copies.problems(folder / manifest.database, manifest.counts)
    try:
        return sqlite_copies.differences(manifest.counts, pg_copies.counts_in(folder / manifest.database))
    except ArchiveError as error:
        return [str(error)]


def live_problems(settings: Settings) -> tuple[list[str], dict[str, int]]:
    """(what is wrong with the database in use, rows by table)."""
    database = _database_file(settings)
    if database is None:
        return [], pg_copies.counts(settings.database_url)
    if not database.exists():
        raise ArchiveError(f"there is no database at {database}")
    found = sqlite_copies.problems(database)
    return found, {} if found else sqlite_copies.counts(database)


@contextlib.contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """The state directory is ours: no service runs on it.

    Raises:
        ArchiveError: one does.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ArchiveError("the service runs: stop it before a restore (systemctl stop gateway)") from error
        yield


def restore(settings: Settings, source: Path, queued: str, now: datetime, replace: bool = False) -> Back:
    """Puts a backup in place of the database. It is verified first; what was there is moved aside (SQLite) or replaced
    (PostgreSQL, only with ``replace``).

    Raises:
        ArchiveError: nothing was changed; the text says why.
    """
    state_dir = settings.gateway.state_dir
    with _alone(state_dir), archive.opened(source, state_dir) as (manifest, folder):
        database = _database_file(settings)
        if manifest.engine != ("sqlite" if database else "postgresql"):
            raise ArchiveError(f"the backup is of {manifest.engine}, the configuration names another database")
        if manifest.schema > head():
            raise ArchiveError(
                f"the backup has schema {manifest.schema}, this release knows {head()}: install the newer release"
            )
        wrong = problems(manifest, folder)
        if wrong:
            raise ArchiveError(f"{source} is damaged, nothing was changed: {'; '.join(wrong)}")
        dumped, aside = folder / manifest.database, None
        fate = _Fate(manifest.made_at, queued, _marks(settings), now)
        if database is None:
            waiting = _into_postgresql(settings.database_url, dumped, fate, replace)
        else:
            waiting, aside = _into_sqlite(database, dumped, fate)
        if (folder / DIRECTORY).exists() and not (state_dir / DIRECTORY).exists():
            shutil.copy2(folder / DIRECTORY, state_dir / DIRECTORY)
    return Back(manifest, waiting, aside, now)


@dataclass(frozen=True)
class _Fate:
    """What becomes of a copy as it is put back. ``marks``: the tombstones of what was erased since it was made."""

    copied_at: datetime
    queued: str
    marks: Mapping[str, str]
    now: datetime


def _settled(url: str, fate: _Fate) -> restored.Waiting:
    """Migrates the copy where it is older, decides what becomes of what waited, and erases again what was erased
    since."""
    store = Store(url)
    try:
        store.open(fate.now)
        waiting = store.write_now(lambda connection: restored.settle(connection, fate.queued, fate.copied_at, fate.now))
        erasure.again(store, fate.marks, fate.now)
        return waiting
    finally:
        store.close()


def _marks(settings: Settings) -> dict[str, str]:
    """The tombstones that are known here: of the file beside the database, and of the database that is there."""
    found = privacy.tombstones(settings.gateway.state_dir)
    database = _database_file(settings)
    if database is not None and not database.exists():
        return found
    store = Store(settings.database_url)
    try:
        store.load_keys()
        return found | {row.mark: row.key_id for row in store.read_now(erasure.tombstones)}
    except StoreError:  # damaged, or of another release: the file has them as well
        return found
    finally:
        store.close()


def _into_sqlite(database: Path, dumped: Path, fate: _Fate) -> tuple[restored.Waiting, Path | None]:
    archive.check_room(database.parent, dumped.stat().st_size, "the restored database")
    with archive.being_written(database) as work:
        fresh = work / database.name
        shutil.copyfile(dumped, fresh)
        waiting = _settled(f"sqlite:///{fresh}", fate)
        with contextlib.closing(sqlite3.connect(fresh)) as connection:
            connection.execute("pragma journal_mode=delete")
        fresh.chmod(0o600)
        _keep_owner(database.parent, fresh)
        aside = _set_aside(database, fate.now)
        fresh.rename(database)
    return waiting, aside


def _keep_owner(folder: Path, file: Path) -> None:
    """What root restores belongs to the service's user, as the folder does."""
    owner = folder.stat()
    if os.geteuid() == 0:
        os.chown(file, owner.st_uid, owner.st_gid)


def _set_aside(database: Path, now: datetime) -> Path | None:
    """Renames the database with the log files beside it, which belong to it."""
    if not database.exists():
        for suffix in _LOG_FILES:
            Path(f"{database}{suffix}").unlink(missing_ok=True)
        return None
    aside = database.with_name(f"{database.name}.{now:%Y%m%dT%H%M%S}.replaced")
    for suffix in ("", *_LOG_FILES):
        if Path(f"{database}{suffix}").exists():
            Path(f"{database}{suffix}").rename(f"{aside}{suffix}")
    return aside


def _into_postgresql(url: str, dumped: Path, fate: _Fate, replace: bool) -> restored.Waiting:
    if pg_copies.others(url):
        raise ArchiveError("others are connected to the database: stop the service on every node before a restore")
    if pg_copies.holds_tables(url) and not replace:
        raise ArchiveError("the database is not empty: name an empty one, or give --replace to replace what is in it")
    pg_copies.restore(url, dumped)
    return _settled(url, fate)
