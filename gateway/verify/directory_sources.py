"""Where the accounts come from: a folder of CSV files, or queries on the billing database. Both give the same rows."""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gateway.settings import Problem

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "accounts": ("account", "name", "language", "status"),
    "addresses": ("account", "address", "role"),
    "orders": ("order", "account", "service", "status", "ips"),
    "invoices": ("invoice", "account"),
}
CHUNK = 5000
MAX_OCTETS = 1024**3  #: of a file; a million accounts take a tenth of it


class Source(Protocol):
    """Rows by table, with the place each stands at."""

    def label(self, table: str) -> str:
        """The file or query, for a problem."""
        ...

    def rows(self, table: str, problems: list[Problem]) -> Iterator[tuple[str, list[str]]]:
        """(where, cells) of each row; faults are appended to ``problems``."""
        ...

    def fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Something that differs when it should be read again; empty when it is not there."""
        ...

    def settled_for(self, now: datetime) -> float:
        """Seconds since it last changed: what changes now may not be complete yet."""
        ...


def _opened(path: Path, most: int = MAX_OCTETS) -> io.TextIOWrapper:
    """A regular file, for reading; what else has a name there (a pipe, a device) may never answer, or never end.

    Raises:
        OSError: it is none, too large, or cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and found.st_size <= most:
        return os.fdopen(handle, encoding="utf-8-sig", newline="")
    os.close(handle)
    raise OSError("it is larger than it may be" if stat.S_ISREG(found.st_mode) else "it is no regular file")


def _fits(row: list[str], width: int) -> bool:
    """Whether a row has the cells of its table; programs write empty ones behind them, and rows of nothing."""
    if len(row) > width and any(map(str.strip, row[width:])):
        return False
    return len(row) >= width and any(map(str.strip, row))


class CsvFolder:
    """``accounts.csv``, ``addresses.csv``, ``orders.csv`` and optionally ``invoices.csv``: UTF-8, comma, header row."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def label(self, table: str) -> str:
        """The file."""
        return str(self._folder / f"{table}.csv")

    def rows(self, table: str, problems: list[Problem]) -> Iterator[tuple[str, list[str]]]:
        """See ``Source``."""
        path, line = self._folder / f"{table}.csv", 0
        try:
            with _opened(path) as file:
                reader = csv.reader(file, strict=True)  # or a quote that never ends swallows rows
                head, width = next(reader, []), len(COLUMNS[table])
                if not _fits(head, width) or [cell.strip() for cell in head[:width]] != list(COLUMNS[table]):
                    problems.append(Problem(str(path), "line 1", f"the header must be {','.join(COLUMNS[table])}"))
                    return
                line = reader.line_num
                for row in reader:
                    line = reader.line_num
                    if _fits(row, width):
                        yield f"line {line}", [cell.strip() for cell in row[:width]]
                    elif any(map(str.strip, row)):
                        problems.append(Problem(str(path), f"line {line}", f"{len(row)} fields, not {width}"))
        except FileNotFoundError:
            if table != "invoices":
                problems.append(Problem(str(path), "", "is missing"))
        except csv.Error as error:
            problems.append(Problem(str(path), f"line {line + 1}", f"cannot be read: {error}"))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(path), "", f"cannot be read: {error}"))

    def fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Time and size of each file."""
        found = []
        for table in COLUMNS:
            path = self._folder / f"{table}.csv"
            if path.exists():
                now = path.stat()
                found.append((table, now.st_mtime_ns, now.st_size))
        return tuple(found)

    def settled_for(self, now: datetime) -> float:
        """Seconds since the newest file changed."""
        newest = max((stamp for _, stamp, _ in self.fingerprint()), default=0)
        return now.timestamp() - newest / 1e9


class SqlQueries:
    """Queries on the billing database over a connection that can only read; read anew every ``refresh`` seconds.

    ``url_file`` holds the SQLAlchemy URL (it has a password); each query gives the columns of its table, in order.
    """

    def __init__(self, url_file: Path, queries: Mapping[str, str], refresh: float) -> None:
        self._url_file, self._queries, self._refresh = url_file, queries, max(refresh, 1.0)

    def label(self, table: str) -> str:
        """The key of the query."""
        return f"directory.{table}_query"

    def rows(self, table: str, problems: list[Problem]) -> Iterator[tuple[str, list[str]]]:
        """See ``Source``."""
        from sqlalchemy import create_engine, text
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.pool import NullPool

        query = self._queries.get(table)
        if not query:
            return
        columns = COLUMNS[table]
        try:
            with _opened(self._url_file, CHUNK) as file:
                url = file.read().strip()
            engine = create_engine(url, poolclass=NullPool)
            with engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text("set transaction read only"))
                elif connection.dialect.name == "sqlite":
                    connection.execute(text("pragma query_only = on"))
                found = connection.execution_options(yield_per=CHUNK).execute(text(query))
                if len(found.keys()) != len(columns):
                    wrong = f"gives {len(found.keys())} columns, not {len(columns)}: {', '.join(columns)}"
                    problems.append(Problem(self.label(table), "", wrong))
                    found.close()
                    return
                for number, row in enumerate(found, 1):
                    cells = [_cell(value) for value in row]
                    if any(cells):
                        yield f"row {number}", cells
        except (SQLAlchemyError, OSError, UnicodeDecodeError) as error:
            original = getattr(error, "orig", None)
            words = " ".join(str(original or type(error).__name__).split())[:200]
            problems.append(Problem(self.label(table), "", f"cannot be read: {words}"))

    def fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Another one every ``refresh`` seconds."""
        import time

        return (("sql", int(time.time() // self._refresh), 0),)

    def settled_for(self, now: datetime) -> float:
        """A query always sees a settled state."""
        return float("inf")


def _cell(value: object) -> str:
    """A value as the CSV files would hold it; an array of addresses becomes words."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple, set)):
        return " ".join(str(item) for item in value)
    return str(value).strip()
