"""This machine: what the configuration says, the state directory, the database, the disk, the clock, the accounts, the
service."""

from __future__ import annotations

import ctypes
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

from gateway import check, service
from gateway.checks import machine
from gateway.config import Settings
from gateway.database.store import Store, StoreError, utc_now
from gateway.doctor.finding import Finding, doubt, ok, skipped, wrong
from gateway.model import Told

TIME_ERROR, DRIFT_S = 5, 2.0
DAMAGED = "stop the service and restore a backup; what can still be read: sqlite3 {path} .recover"


def configuration(path: str, now: datetime) -> Iterator[Finding]:
    """Each problem and warning of ``gateway check`` as a finding."""
    found = check.everything(path, now)
    for problem in found.problems:
        yield wrong("configuration", str(problem), "correct it, then gateway reload")
    for warning in found.warnings:
        yield doubt("configuration", str(warning), "see docs/configuration.md")
    if not found.problems and not found.warnings:
        yield ok("configuration", f"{path} has no fault")


def process(settings: Settings, answers: bool) -> Finding:
    """Whether the service runs."""
    try:
        found = machine.process(settings.gateway.state_dir)
    except OSError as error:
        return doubt("service", f"{error.filename}: {error.strerror}", "run the doctor as root")
    seen = machine.runs(found, answers, settings.gateway.state_dir)
    return wrong("service", seen.problem, seen.do) if seen.problem else ok("service", f"process {found.pid} answers")


def disk(settings: Settings) -> Finding:
    """Whether ``state_dir`` has more free space than ``min_free``."""
    folder = settings.gateway.state_dir
    seen = machine.disk(folder, settings.smtp.min_free)
    if seen.problem:
        return wrong("disk", seen.problem, seen.do)
    return ok("disk", f"{machine.free_octets(folder) >> 20} MB are free in {folder}")


def database(settings: Settings) -> Iterator[Finding]:
    """Whether it can be read, is of this release and takes a write; SQLite's own look at its pages."""
    store = Store(settings.database_url)
    try:
        if store.path is not None and not store.path.exists():
            yield wrong("database", f"there is no database at {store.path}", "start the service once")
            return
        store.open(utc_now(), migrate=False)
        store.load_keys()
        store.write_now(lambda _: None)
        yield from _pages(store)
        if not store.is_sqlite:
            yield _its_clock(store)
    except (StoreError, OSError) as error:
        damaged = "malformed" in str(error) or "not a database" in str(error)
        up = "is the server up, is there room, does the user of the service own the file?"
        yield wrong("database", str(error), DAMAGED.format(path=store.path) if damaged else up)
    finally:
        store.close()


def _pages(store: Store) -> Iterator[Finding]:
    if store.path is None:
        yield ok("database", "PostgreSQL answers and takes a write")
        return
    try:
        with closing(sqlite3.connect(f"{store.path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            said = connection.execute("pragma quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        yield wrong("database", f"{store.path} is damaged: {said}", DAMAGED.format(path=store.path))
    else:
        yield ok("database", f"{store.path} is whole and takes a write")


def _its_clock(store: Store) -> Finding:
    before = utc_now()
    theirs = store.read_now(lambda connection: connection.exec_driver_sql("select clock_timestamp()").scalar())
    assert isinstance(theirs, datetime)
    apart = abs((theirs - before).total_seconds())
    if apart > DRIFT_S:
        return wrong("clock", f"the database's clock is {apart:.0f} s from ours", "let both follow NTP (timedatectl)")
    return ok("clock", "the database's clock agrees with ours")


def clock() -> Finding:
    """Whether the kernel says that somebody keeps its clock right: every promise and signature depends on it."""
    buffer = ctypes.create_string_buffer(512)  # struct timex, modes = 0: only read
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return skipped("clock", "this system does not say whether its clock is kept right")
    if state == TIME_ERROR:
        return doubt("clock", "nothing keeps this machine's clock right", "timedatectl set-ntp true, or start chrony")
    return ok("clock", "kept right by NTP")


def accounts(settings: Settings, now: datetime) -> Finding:
    """Whether the account directory can be read and is younger than ``max_age``."""
    if not settings.directory.configured:
        return doubt("directory", "no accounts are configured: nobody is verified", "set directory.path")
    found = service.directory(settings)
    try:
        count, age = found.count(), found.age(now) or 0.0
    except Told as error:
        return wrong("directory", str(error), "gateway accounts sync")
    if not found.usable(now):
        what = found.fault or f"{count} accounts, last known to be current {age / 3600:.0f} h ago"
        return wrong("directory", what, "gateway accounts sync says why")
    return ok("directory", f"{count} accounts, current {age:.0f} s ago")
