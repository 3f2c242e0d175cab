"""The directory of accounts: a source read whole, refused whole, swapped by rename into an indexed SQLite file.

The SQLite file is read-only and lies in ``state_dir``: the last good set survives a restart, and a million accounts
cost no memory. It is the directory's own; it has nothing to do with the ticket database.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import sqlite3
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.mail.address import a_label
from gateway.model import Account, Told
from gateway.settings import Problem, file_fault
from gateway.verify.directory_repeats import Repeats
from gateway.verify.directory_rows import (
    ROLES,
    STATUSES,
    address_fault,
    language_of,
    network_of,
    networks,
    one_line,
    unwritable,
)
from gateway.verify.directory_sources import COLUMNS, CsvFolder, Source

DIRECTORY = "directory.sqlite"  #: the last good set, in the state directory
MAX_PROBLEMS = 20
MAX_ROLES = 2000  #: addresses whose roles are kept at hand
MAX_KEPT = 4000  #: answers that are
NOTE_S = 60.0  #: how often the state directory is told that the set is still current
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


KEPT = {"accounts": 4, "addresses": 3, "orders": 4, "invoices": 2}  #: tables of a source and how many columns are kept
WITHOUT = "accounts without an address"  #: among the counts
Cells = Callable[[str, list[str]], tuple[str, ...] | None]  #: (where, row) -> what is kept of it


class DirectoryError(Told):
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


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses are the same mailbox, besides case, A-label and final dot. By default plus-tags and dots are
    literal."""

    ignore_plus_tags: bool = False
    ignore_dots: frozenset[str] = frozenset()  #: domains whose mailboxes have no dots, lower-case
    ours: frozenset[str] = frozenset()  #: our own addresses, lower-case: they are no customer's


def canonical(address: str, rules: AddressRules = AddressRules()) -> str:
    """The form addresses are compared in: lower-case, normal form C, domain as A-label, no final dot."""
    local, _, domain = address.strip().rpartition("@")
    domain = domain.lower().removesuffix(".")
    domain = a_label(domain) or domain
    if local.isascii():
        local = local.lower()
    elif not (composed := unicodedata.normalize("NFC", local)).isascii():  # what becomes ASCII equals nobody's
        local = composed.lower()
    if rules.ignore_plus_tags and "+" in local[1:]:
        local = local[0] + local[1:].partition("+")[0]
    if domain in rules.ignore_dots:
        local = local.replace(".", "") or local
    return f"{local}@{domain}"


@functools.lru_cache(maxsize=1024)
def _parsed(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An address or network that was asked for. ValueError where it is none."""
    return ipaddress.ip_network(network_of(value) if ":" in value else value, strict=False)


class _Building:
    """One reading of a source into a fresh file; a fault in any row refuses the whole."""

    def __init__(self, source: Source, connection: sqlite3.Connection, rules: AddressRules) -> None:
        self._source, self._connection, self._rules = source, connection, rules
        self.problems: list[Problem] = []

    def _fault(self, table: str, where: str, what: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(self._source.label(table), where, what))

    def _rows(self, table: str, cells: Cells) -> Iterator[tuple[str, ...]]:
        for where, row in self._source.rows(table, self.problems):
            if column := unwritable(COLUMNS[table], row):
                what = f"the {column} holds a control character or a line end: {' '.join(row)[:100]!r}"
                self._fault(table, where, what)
            elif (found := cells(where, row)) is not None:
                yield found

    def _read(self, table: str, cells: Cells) -> None:
        """Reads a table whose first column is its key."""
        repeats = Repeats(self._connection)
        places = ",".join("?" * KEPT[table])
        statement = f"insert or ignore into {table} values ({places})"  # noqa: S608
        self._connection.executemany(statement, repeats.watched(self._rows(table, cells)))
        sign = "#" if table == "orders" else ""
        again = ((where, row[0].removeprefix(sign), row[1:]) for where, row in self._source.rows(table, []))
        for key, first, other in repeats.differing(again):
            if len(self.problems) >= MAX_PROBLEMS:
                break
            self._fault(table, other, f"{table.removesuffix('s')} {key!r} is named twice: {first} says otherwise")

    def everything(self) -> None:
        """Reads every table, then looks for rows of accounts that are not there."""
        self._read("accounts", self._account)
        statement = "insert or ignore into addresses values (?,?,?)"
        self._connection.executemany(statement, self._rows("addresses", self._address))
        self._read("orders", self._order)
        self._read("invoices", self._invoice)
        for table in ("addresses", "orders", "invoices"):
            self._orphans(table)
        if not self.problems and not self._connection.execute("select 1 from accounts").fetchone():
            self._fault("accounts", "", "names no account")

    def _account(self, where: str, row: list[str]) -> tuple[str, ...] | None:
        account, name, language, status = row
        if not account:
            self._fault("accounts", where, "the account has no id")
            return None
        return account, one_line(name), language_of(language), status

    def _address(self, where: str, row: list[str]) -> tuple[str, ...] | None:
        account, address, role = row[0], row[1], row[2].lower()
        if not address:  # a customer without one: his account is there, and counted
            if not self._connection.execute("select 1 from accounts where account = ?", (account,)).fetchone():
                self._fault("addresses", where, f"account {account!r} is not among the accounts")
        elif role not in ROLES:
            self._fault("addresses", where, f"unknown role {role!r}")
        elif wrong := address_fault(address, self._rules.ours):
            self._fault("addresses", where, f"{address[:200]!r} {wrong}")
        else:
            return canonical(address, self._rules), account, role
        return None

    def _order(self, where: str, row: list[str]) -> tuple[str, ...] | None:
        number, account, service, status, ips = row
        number, service, status = number.removeprefix("#"), service.lower(), status.lower()
        if not number:
            self._fault("orders", where, "the order has no number")
        elif status not in STATUSES:
            self._fault("orders", where, f"unknown status {status!r}")
        else:
            try:
                has = list(networks(ips))
            except ValueError as error:
                self._fault("orders", where, str(error))
            else:
                if status != "cancelled":
                    self._owns(account, number, service, has)
                return number, account, service, "active" if status == "processed" else status
        return None

    def _owns(self, account: str, number: str, service: str, has: list[tuple[int, int, bytes]]) -> None:
        """What an order that is not cancelled gives its account."""
        if service:
            self._connection.execute("insert or ignore into services values (?,?,?)", (service, account, number))
        for network in has:
            self._connection.execute("insert or ignore into networks values (?,?,?,?,?)", (*network, account, number))

    def _invoice(self, where: str, row: list[str]) -> tuple[str, ...] | None:
        invoice, account = row
        if invoice:
            return invoice, account
        self._fault("invoices", where, "the invoice has no number")
        return None

    def _orphans(self, table: str) -> None:
        unknown = "account not in (select account from accounts)"
        query = f"select distinct account from {table} where {unknown} limit 5"  # noqa: S608
        lost = {row[0] for row in self._connection.execute(query)}
        if not lost:
            return
        place = COLUMNS[table].index("account")
        for where, row in self._source.rows(table, []):  # read again, only to say where they stand
            if row[place] in lost:
                self._fault(table, where, f"account {row[place]!r} is not among the accounts")


def build(source: Source, target: Path, now: datetime, rules: AddressRules = AddressRules()) -> dict[str, int]:
    """Writes the SQLite file of a source and returns the counts.

    Raises:
        DirectoryError: with the faults found (at most 20), or ``target`` cannot be written; it is not left behind then.
    """
    try:
        return _built(source, target, now, rules)
    except (sqlite3.Error, OSError) as error:
        raise DirectoryError([Problem(str(target), "", f"cannot be written: {file_fault(target, error)}")]) from error


def _counts(all_of: Callable[[str], list[tuple[str, ...]]]) -> dict[str, int]:
    """The rows of each table; none without a set."""
    found = {table: all_of(f"select count(*) from {table}") for table in KEPT}  # noqa: S608
    return {table: int(rows[0][0]) for table, rows in found.items() if rows}


def _built(source: Source, target: Path, now: datetime, rules: AddressRules) -> dict[str, int]:
    target.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(target)) as connection:
        connection.executescript("pragma journal_mode=off; pragma synchronous=off;" + _SCHEMA)
        building = _Building(source, connection, rules)
        building.everything()
        counts = _counts(lambda query: connection.execute(query).fetchall())
        reached = connection.execute("select count(distinct account) from addresses").fetchone()[0]
        counts[WITHOUT] = counts["accounts"] - int(reached)
        connection.execute("insert into meta values ('built_at', ?)", (now.isoformat(),))
        connection.commit()
    if building.problems:
        target.unlink(missing_ok=True)
        raise DirectoryError(building.problems[:MAX_PROBLEMS])
    return counts


class Directory:
    """Look-ups in the last good set. Safe to use from several threads; ``reload`` may run in the background."""

    def __init__(
        self, state_dir: Path, source: Source | Path | None, max_shrink: float, max_age: float,
        rules: AddressRules = AddressRules(),
    ) -> None:  # fmt: skip
        self._rules = rules
        self._file = state_dir / DIRECTORY
        source = CsvFolder(source) if isinstance(source, Path) else source
        self._source, self._max_shrink, self._max_age = source, max_shrink, max_age
        self._local = threading.local()
        self._generation = 0
        self._lengths: dict[tuple[int, int], tuple[int, ...]] = {}
        self._roles: dict[tuple[int, str], Mapping[str, frozenset[str]]] = {}
        self._kept: dict[tuple[object, ...], list[tuple[str, ...]]] = {}
        self._seen: tuple[tuple[str, int, int], ...] = ()
        self._good: tuple[tuple[str, int, int], ...] = ()
        self.checked_at: datetime | None = None
        self.fault = ""  #: why the last good set cannot be read, or ""
        self._noted_at: datetime | None = None
        self._there = self._is_sound()
        if self._there:
            self.checked_at = self._noted_at = datetime.fromtimestamp(self._file.stat().st_mtime, UTC)

    def _is_sound(self) -> bool:
        """Whether the last good set is there and can be read. It is only a cache: what cannot be read is built
        again."""
        try:
            uri = f"{self._file.absolute().as_uri()}?mode=ro&immutable=1"
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
                found = connection.execute("select value from meta where name = 'built_at'").fetchone()
                connection.execute("select account from addresses limit 1").fetchone()
        except (sqlite3.Error, OSError) as error:
            self.fault = f"{self._file} cannot be read: {file_fault(self._file, error)}" if self._exists() else ""
            return False
        return found is not None

    def _exists(self) -> bool:
        with contextlib.suppress(OSError):
            return self._file.exists()
        return True

    # -- loading

    def settled_for(self, now: datetime) -> float:
        """Seconds since the source last changed."""
        return self._source.settled_for(now) if self._source is not None else 0.0

    def changed(self) -> bool:
        """Whether the source differs from what was loaded last (or refused last)."""
        return self._source is not None and self._source.fingerprint() != self._seen

    def touch(self, now: datetime) -> None:
        """The source was looked at and is unchanged since it was loaded: what we have is current. What was refused
        is not, and the last good set grows old."""
        if self.loaded and self._seen and self._seen == self._good:
            self.checked_at = now
            self._note(now)

    def _note(self, now: datetime) -> None:
        """Keeps ``checked_at`` in the state directory, so that ``status`` and ``explain`` believe what the service
        does."""
        if self._noted_at is not None and abs((now - self._noted_at).total_seconds()) < NOTE_S:
            return
        with contextlib.suppress(OSError):
            os.utime(self._file, (now.timestamp(), now.timestamp()))
            self._noted_at = now

    def reload(self, now: datetime) -> dict[str, int]:
        """Loads the source and swaps it in whole.

        Raises:
            DirectoryError: the source is refused and the last good set stays.
        """
        if self._source is None:
            return {}
        self._seen = self._source.fingerprint()
        fresh = self._file.with_suffix(".new")
        counts = build(self._source, fresh, now, self._rules)
        if lost := self.lost(counts):
            fresh.unlink()
            labels = {table: self._source.label(table) for table in lost}
            raise DirectoryError([Problem(labels[table], "", what) for table, what in lost.items()])
        try:
            os.replace(fresh, self._file)
        except OSError as error:
            problem = Problem(str(self._file), "", f"cannot be replaced: {file_fault(self._file, error)}")
            raise DirectoryError([problem]) from error
        self._generation += 1
        self.fault, self._noted_at = "", None
        self._there = True
        self._good = self._seen
        self.checked_at = now
        self._note(now)
        return counts

    def lost(self, counts: Mapping[str, int]) -> dict[str, str]:
        """{table: what is wrong} where a set of so many rows has too few beside the one that is kept."""
        kept = _counts(self._all)
        return {
            table: f"{before - counts[table]} of {before} {table} would vanish, more than max_shrink allows"
            for table, before in kept.items()
            if counts[table] < before * (1 - self._max_shrink)
        }

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
            uri = f"{self._file.absolute().as_uri()}?mode=ro&immutable=1"
            held = (self._generation, sqlite3.connect(uri, uri=True, check_same_thread=False))
            self._local.held = held
        return held[1]

    def _all(self, query: str, *values: object) -> list[tuple[str, ...]]:
        try:
            connection = self._connection()
            return [] if connection is None else connection.execute(query, values).fetchall()
        except sqlite3.Error as error:  # a damaged page, or a file that is gone: read the source again
            self._there, self._seen = False, ()
            self.fault = f"{self._file} cannot be read: {file_fault(self._file, error)}"
            raise DirectoryError([Problem(str(self._file), "", "cannot be read")]) from error

    def _asked(self, query: str, *values: object) -> list[tuple[str, ...]]:
        """``_all`` for what is looked up by its key. The last answers of this set are kept: several parts ask the same
        of one mail, and all mails of a conversation name the same account, order and address."""
        key = (self._generation, query, *values)
        known = self._kept.get(key) if self._there else None
        if known is None:
            known = self._all(query, *values)
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            if self._there:
                self._kept[key] = known
        return known

    def close(self) -> None:
        """Closes the connection that this thread has opened; those of other threads stay."""
        held = getattr(self._local, "held", None)
        if held is not None:
            held[1].close()
            self._local.held = None

    def count(self) -> int:
        """How many accounts the directory holds; 0 before the first load."""
        found = self._all("select count(*) from accounts")
        return int(found[0][0]) if found else 0

    def account(self, account: str) -> Account | None:
        """The account with this id; ``None`` where the directory has none."""
        for row in self._asked("select account, name, language, status from accounts where account = ?", account):
            return Account(row[0], row[1], row[2] or None, row[3])
        return None

    def roles_of(self, address: str) -> Mapping[str, frozenset[str]]:
        """``{account: roles}`` of an address, by the one canonical form. Several parts ask for the author of the same
        mail."""
        key = (self._generation, address)
        known = self._roles.get(key)
        if known is None:
            known = self._roles_of(canonical(address, self._rules))
            if len(self._roles) >= MAX_ROLES:
                self._roles.clear()
            if self._there:
                self._roles[key] = known
        return known

    def _roles_of(self, address: str) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for account, role in self._all("select account, role from addresses where address = ?", address):
            found.setdefault(account, set()).add(role)
        return {account: frozenset(roles) for account, roles in found.items()}

    def below(self, domain: str, most: int) -> tuple[int, list[str]]:
        """(how many accounts have addresses in a domain or below it, the first ``most`` of them). Looks at all."""
        there = "where substr(address, -length(?1)) = ?1 or substr(address, -length(?2)) = ?2"
        found = (f"@{domain}", f".{domain}")
        number = self._all(f"select count(distinct account) from addresses {there}", *found)  # noqa: S608
        some = f"select distinct account from addresses {there} order by account limit ?3"  # noqa: S608
        return int(number[0][0]) if number else 0, [row[0] for row in self._all(some, *found, most)]

    def of_several(self, most: int) -> list[tuple[str, str, str]]:
        """The first ``most`` networks that orders of several accounts have: (network, one account, another). Looks at
        all."""
        query = (
            "select network, prefix, min(account), max(account) from networks group by version, prefix, network"
            " having min(account) < max(account) limit ?"
        )
        return [
            (str(ipaddress.ip_network((bytes(network), int(bits)))), one, other)  # type: ignore[arg-type]
            for network, bits, one, other in self._all(query, most)
        ]

    def without_address(self, most: int) -> list[str]:
        """The first ``most`` accounts to which no address belongs. Looks at all."""
        query = (
            "select account from accounts where account not in (select account from addresses) order by account limit ?"
        )
        return [row[0] for row in self._all(query, most)]

    def addresses_of(self, account: str, role: str | None = None) -> list[tuple[str, str]]:
        """(address, role) pairs of an account."""
        found = self._asked("select address, role from addresses where account = ? order by address, role", account)
        return [(address, its) for address, its in found if role is None or its == role]

    def order(self, number: str) -> Order | None:
        """One order by its number without ``#``."""
        for row in self._asked("select number, account, service, status from orders where number = ?", number):
            return Order(*row)
        return None

    def orders_of(self, account: str) -> list[Order]:
        """Every order of an account, by number."""
        query = "select number, account, service, status from orders where account = ? order by number"
        return [Order(*row) for row in self._all(query, account)]

    def held_by(self, account: str, most: int) -> list[Order]:
        """The first ``most`` orders of an account that are not cancelled, by number."""
        query = (
            "select number, account, service, status from orders where account = ? and status != 'cancelled'"
            " order by number limit ?"
        )
        return [Order(*row) for row in self._all(query, account, most)]

    def invoice_owner(self, invoice: str) -> str | None:
        """The account that an invoice belongs to; ``None`` where the directory has none."""
        found = self._asked("select account from invoices where invoice = ?", invoice)
        return found[0][0] if found else None

    def service_owners(self, service: str) -> frozenset[str]:
        """The accounts that have a service of this name."""
        found = self._asked("select account from services where service = ?", service.lower())
        return frozenset(row[0] for row in found)

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
        network = _parsed(value)
        address = int(network.network_address)
        width = network.max_prefixlen
        for length in self._prefixes(network.version):
            if length > network.prefixlen:
                continue
            start = (address >> (width - length) << (width - length)).to_bytes(width // 8, "big")
            found = self._asked(
                "select account from networks where version = ? and prefix = ? and network = ?",
                network.version,
                length,
                start,
            )
            if found:
                return frozenset(row[0] for row in found)
        return frozenset()
