"""The directory of accounts: CSV files read whole, refused whole, swapped by rename into an indexed SQLite file.

The SQLite file is read-only and lies in ``state_dir``: the last good set survives a restart, and a million accounts
cost no memory. It is the directory's own; it has nothing to do with the ticket database.
"""

from __future__ import annotations

import contextlib
import csv
import ipaddress
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.config import Problem
from gateway.model import Account

ROLES = frozenset(("owner", "billing", "support", "abuse"))
STATUSES = frozenset(
    ("unprocessed", "processing", "active", "cancelled", "suspended_violation", "suspended_payment", "processed")
)
_HEADERS = {
    "accounts.csv": ("account", "name", "language", "status"),
    "addresses.csv": ("account", "address", "role"),
    "orders.csv": ("order", "account", "service", "status", "ips"),
    "invoices.csv": ("invoice", "account"),
}
_SCHEMA = """
create table meta (name text primary key, value text);
create table accounts (account text primary key, name text, language text, status text) without rowid;
create table addresses (address text, account text, role text, primary key (address, account, role)) without rowid;
create index addresses_of on addresses (account, role);
create table orders (number text primary key, account text, service text, status text) without rowid;
create index orders_of on orders (account);
create table services (service text, account text, number text, primary key (service, number)) without rowid;
create table networks (version integer, prefix integer, network blob, account text, number text,
    primary key (version, prefix, network, number)) without rowid;
create table invoices (invoice text primary key, account text) without rowid;
"""


class DirectoryError(Exception):
    """The files cannot be used; ``problems`` says why."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems[:5])))


@dataclass(frozen=True, slots=True)
class Order:
    """One order of the directory."""

    number: str
    account: str
    service: str
    status: str


def canonical(address: str) -> str:
    """The form addresses are compared in: lower-case, domain as A-label, no final dot; plus-tags and dots literal."""
    local, _, domain = address.strip().rpartition("@")
    domain = domain.lower().removesuffix(".")
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            pass
    return f"{local.lower()}@{domain}"


def _rows(folder: Path, name: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    path = folder / name
    columns = _HEADERS[name]
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [cell.strip() for cell in next(reader, [])]
            if header != list(columns):
                problems.append(Problem(str(path), "line 1", f"the header must be {','.join(columns)}"))
                return
            for row in reader:
                if not row:
                    continue
                if len(row) != len(columns):
                    problems.append(
                        Problem(str(path), f"line {reader.line_num}", f"{len(row)} fields, not {len(columns)}")
                    )
                    continue
                yield reader.line_num, [cell.strip() for cell in row]
    except FileNotFoundError:
        if name != "invoices.csv":
            problems.append(Problem(str(path), "", "is missing"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        problems.append(Problem(str(path), "", f"cannot be read: {error}"))


def _networks(text: str) -> Iterator[tuple[int, int, bytes]]:
    for item in text.split():
        network = ipaddress.ip_network(item, strict=False)
        yield network.version, network.prefixlen, network.network_address.packed


def build(folder: Path, target: Path, now: datetime) -> dict[str, int]:
    """Writes the SQLite file for the CSV files of ``folder`` and returns the counts.

    Raises:
        DirectoryError: with every fault found (at most 20); ``target`` is not left behind then.
    """
    problems: list[Problem] = []
    target.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(target)) as connection:
        connection.executescript("pragma journal_mode=off; pragma synchronous=off;" + _SCHEMA)
        known: set[str] = set()
        for _, (account, name, language, status) in _rows(folder, "accounts.csv", problems):
            known.add(account)
            connection.execute("insert or replace into accounts values (?,?,?,?)", (account, name, language, status))

        def owned(file: str, line: int, account: str) -> bool:
            if account not in known:
                problems.append(
                    Problem(str(folder / file), f"line {line}", f"account {account!r} is not in accounts.csv")
                )
            return account in known

        for line, (account, address, role) in _rows(folder, "addresses.csv", problems):
            if role not in ROLES:
                problems.append(Problem(str(folder / "addresses.csv"), f"line {line}", f"unknown role {role!r}"))
            elif "@" not in address:
                problems.append(Problem(str(folder / "addresses.csv"), f"line {line}", f"{address!r} is no address"))
            elif owned("addresses.csv", line, account):
                connection.execute(
                    "insert or ignore into addresses values (?,?,?)", (canonical(address), account, role)
                )
        for line, (number, account, service, status, ips) in _rows(folder, "orders.csv", problems):
            if not owned("orders.csv", line, account):
                continue
            if status not in STATUSES:
                problems.append(Problem(str(folder / "orders.csv"), f"line {line}", f"unknown status {status!r}"))
                continue
            number, service = number.removeprefix("#"), service.lower()
            status = "active" if status == "processed" else status
            connection.execute("insert or replace into orders values (?,?,?,?)", (number, account, service, status))
            if status == "cancelled":
                continue
            if service:
                connection.execute("insert or ignore into services values (?,?,?)", (service, account, number))
            try:
                for network in _networks(ips):
                    connection.execute("insert or ignore into networks values (?,?,?,?,?)", (*network, account, number))
            except ValueError as error:
                problems.append(Problem(str(folder / "orders.csv"), f"line {line}", str(error)))
        for line, (invoice, account) in _rows(folder, "invoices.csv", problems):
            if owned("invoices.csv", line, account):
                connection.execute("insert or replace into invoices values (?,?)", (invoice, account))
        if not known and not problems:
            problems.append(Problem(str(folder / "accounts.csv"), "", "names no account"))
        counts = {
            table: int(connection.execute(f"select count(*) from {table}").fetchone()[0])  # noqa: S608
            for table in ("accounts", "addresses", "orders")
        }
        connection.execute("insert into meta values ('built_at', ?)", (now.isoformat(),))
        connection.commit()
    if problems:
        target.unlink(missing_ok=True)
        raise DirectoryError(problems[:20])
    return counts


class Directory:
    """Look-ups in the last good set. Safe to use from several threads; ``reload`` may run in the background."""

    def __init__(self, state_dir: Path, source: Path | None, max_shrink: float, max_age: float) -> None:
        self._file = state_dir / "directory.sqlite"
        self._source, self._max_shrink, self._max_age = source, max_shrink, max_age
        self._local = threading.local()
        self._generation = 0
        self._lengths: dict[tuple[int, int], tuple[int, ...]] = {}
        self._seen: tuple[tuple[str, int, int], ...] = ()
        self.checked_at: datetime | None = None
        self._there = self._file.exists()
        if self._there:
            self.checked_at = datetime.fromtimestamp(self._file.stat().st_mtime, UTC)

    # -- loading

    def _fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        assert self._source is not None
        found = []
        for name in _HEADERS:
            path = self._source / name
            if path.exists():
                stat = path.stat()
                found.append((name, stat.st_mtime_ns, stat.st_size))
        return tuple(found)

    def settled_for(self, now: datetime) -> float:
        """Seconds since the newest source file changed."""
        newest = max((stamp for _, stamp, _ in self._fingerprint()), default=0)
        return now.timestamp() - newest / 1e9

    def changed(self) -> bool:
        """Whether the source differs from what was loaded last (or refused last)."""
        return self._source is not None and self._fingerprint() != self._seen

    def touch(self, now: datetime) -> None:
        """The source was looked at and is readable and unchanged: what we have is current."""
        if self.loaded and self._fingerprint():
            self.checked_at = now

    def reload(self, now: datetime) -> dict[str, int]:
        """Loads the source and swaps it in whole.

        Raises:
            DirectoryError: the source is refused and the last good set stays.
        """
        if self._source is None:
            return {}
        self._seen = self._fingerprint()
        fresh = self._file.with_suffix(".new")
        counts = build(self._source, fresh, now)
        before = self.count()
        if before and counts["accounts"] < before * (1 - self._max_shrink):
            fresh.unlink()
            lost = before - counts["accounts"]
            problem = f"{lost} of {before} accounts would vanish, more than max_shrink allows"
            raise DirectoryError([Problem(str(self._source / "accounts.csv"), "", problem)])
        os.replace(fresh, self._file)
        self._generation += 1
        self._there = True
        self.checked_at = now
        return counts

    # -- looking up

    @property
    def loaded(self) -> bool:
        """Whether there is a set to look in."""
        return self._there

    def age(self, now: datetime) -> float | None:
        """Seconds since the set was known to be current; ``None`` without a set."""
        return None if self.checked_at is None else max(0.0, (now - self.checked_at).total_seconds())

    def usable(self, now: datetime) -> bool:
        """Whether the set may be believed. Without a source there is nothing to wait for."""
        if self._source is None:
            return True
        age = self.age(now)
        return self.loaded and age is not None and age <= self._max_age

    def _connection(self) -> sqlite3.Connection | None:
        if not self._there:
            return None
        held: tuple[int, sqlite3.Connection] | None = getattr(self._local, "held", None)
        if held is None or held[0] != self._generation:
            if held is not None:
                held[1].close()
            uri = f"file:{self._file}?mode=ro&immutable=1"
            held = (self._generation, sqlite3.connect(uri, uri=True, check_same_thread=False))
            self._local.held = held
        return held[1]

    def _all(self, query: str, *values: object) -> list[tuple[str, ...]]:
        connection = self._connection()
        return [] if connection is None else connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Closes this thread's connection."""
        held = getattr(self._local, "held", None)
        if held is not None:
            held[1].close()
            self._local.held = None

    def count(self) -> int:
        """The number of accounts."""
        found = self._all("select count(*) from accounts")
        return int(found[0][0]) if found else 0

    def account(self, account: str) -> Account | None:
        """One account by its id."""
        for row in self._all("select account, name, language, status from accounts where account = ?", account):
            return Account(row[0], row[1], row[2] or None, row[3])
        return None

    def roles_of(self, address: str) -> dict[str, frozenset[str]]:
        """``{account: roles}`` of an address, by the one canonical form."""
        found: dict[str, set[str]] = {}
        for account, role in self._all("select account, role from addresses where address = ?", canonical(address)):
            found.setdefault(account, set()).add(role)
        return {account: frozenset(roles) for account, roles in found.items()}

    def addresses_of(self, account: str, role: str | None = None) -> list[tuple[str, str]]:
        """(address, role) pairs of an account."""
        found = self._all("select address, role from addresses where account = ? order by address, role", account)
        return [(address, its) for address, its in found if role is None or its == role]

    def order(self, number: str) -> Order | None:
        """One order by its number without ``#``."""
        for row in self._all("select number, account, service, status from orders where number = ?", number):
            return Order(*row)
        return None

    def orders_of(self, account: str) -> list[Order]:
        """Every order of an account."""
        query = "select number, account, service, status from orders where account = ? order by number"
        return [Order(*row) for row in self._all(query, account)]

    def invoice_owner(self, invoice: str) -> str | None:
        """The account of an invoice."""
        found = self._all("select account from invoices where invoice = ?", invoice)
        return found[0][0] if found else None

    def service_owners(self, service: str) -> frozenset[str]:
        """The accounts that have a service of this name."""
        return frozenset(row[0] for row in self._all("select account from services where service = ?", service.lower()))

    def _prefixes(self, version: int) -> tuple[int, ...]:
        """The prefix lengths that occur, longest first; looked up once a set."""
        known = self._lengths.get((self._generation, version))
        if known is None:
            query = "select distinct prefix from networks where version = ? order by prefix desc"
            known = tuple(int(row[0]) for row in self._all(query, version))
            self._lengths = {key: value for key, value in self._lengths.items() if key[0] == self._generation}
            self._lengths[self._generation, version] = known
        return known

    def ip_owners(self, value: str) -> frozenset[str]:
        """The accounts of the longest network that holds this address or network."""
        network = ipaddress.ip_network(value, strict=False)
        address = int(network.network_address)
        width = network.max_prefixlen
        for length in self._prefixes(network.version):
            if length > network.prefixlen:
                continue
            start = (address >> (width - length) << (width - length)).to_bytes(width // 8, "big")
            found = self._all(
                "select account from networks where version = ? and prefix = ? and network = ?",
                network.version,
                length,
                start,
            )
            if found:
                return frozenset(row[0] for row in found)
        return frozenset()
