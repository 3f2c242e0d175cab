"""Writes that happen for every mail: compiled once by SQLAlchemy, then handed to the driver's own cursor.

SQLAlchemy's execution of a statement costs five times the statement itself; what it does for us (the dialect's SQL, the
types' conversions, its exceptions) is kept, what it does besides (result metadata, events, caches) is left out.
"""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Connection, Integer, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from gateway.database import clean
from gateway.database.tables import UtcDateTime


@functools.lru_cache(maxsize=256)  # one moment is written into many columns
def _sqlite_time(value: datetime | None) -> str | None:
    """What SQLAlchemy writes into SQLite for a ``UtcDateTime``, without its general way there."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a naive datetime never goes into the database")
    return value.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def _converter(kind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    """How a value becomes what the driver takes."""
    if isinstance(kind, clean.CleanString):
        return clean.words
    if dialect.name == "sqlite":
        if isinstance(kind, UtcDateTime):
            return _sqlite_time
        if isinstance(kind, clean.CleanJson):
            return clean.written
        if isinstance(kind, Boolean):
            return None  # the driver writes 0 and 1 by itself
    convert: Callable[[Any], Any] | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _cursor(connection: Connection) -> Any:
    driver: Any = connection.connection.dbapi_connection
    return driver.cursor()


class Statement:
    """A write, prepared for one dialect and one set of columns."""

    def __init__(self, construct: Any, dialect: Dialect, columns: Sequence[str]) -> None:
        compiled = construct.compile(dialect=dialect, column_keys=list(columns))
        self._sql = str(compiled)
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        convert = {name: _converter(bind.type, dialect) for bind, name in compiled.bind_names.items()}
        #: the parameters in order where the driver wants them so, each with how it becomes what the driver takes
        self._ordered = [(name, convert.get(name)) for name in compiled.positiontup] if compiled.positional else None
        self._convert = [(name, converter) for name, converter in convert.items() if converter is not None]
        self._error = dialect.loaded_dbapi.Error
        self._dialect = dialect

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        merged = {**self._fixed, **values} if self._fixed else values
        if self._ordered is not None:
            return [convert(merged[name]) if convert is not None else merged[name] for name, convert in self._ordered]
        return {**merged, **{name: convert(merged[name]) for name, convert in self._convert}}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Executes it; the driver's cursor, for ``rowcount`` and ``fetchone``."""
        cursor = _cursor(connection)
        try:
            cursor.execute(self._sql, self._parameters(values))
        except self._error as error:
            raise self._wrapped(error) from error
        return cursor

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Executes it for each of these rows, in one call of the driver; how many rows it wrote."""
        cursor = _cursor(connection)
        try:
            cursor.executemany(self._sql, [self._parameters(row) for row in rows])
        except self._error as error:
            raise self._wrapped(error) from error
        return int(cursor.rowcount)

    def _wrapped(self, error: Exception) -> BaseException:
        """The same exception that SQLAlchemy would raise."""
        return DBAPIError.instance(self._sql, None, error, self._error, hide_parameters=True, dialect=self._dialect)


_PREPARED: dict[tuple[Any, ...], Statement] = {}
_QUERIES: dict[tuple[Any, ...], Query] = {}


def _prepared(
    connection: Connection, what: tuple[Any, ...], columns: Sequence[str], build: Callable[[], Any]
) -> Statement:
    key = (connection.dialect.name, *what, tuple(columns))
    found = _PREPARED.get(key)
    if found is None:
        found = _PREPARED[key] = Statement(build(), connection.dialect, columns)
    return found


def _insert(dialect: str, table: Any, once: bool) -> Any:
    statement: Any
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        statement = sqlite.insert(table)
    else:
        from sqlalchemy.dialects import postgresql

        statement = postgresql.insert(table)
    return statement.on_conflict_do_nothing() if once else statement


def _keyed(dialect: str, table: Any, once: bool) -> Any:
    return _insert(dialect, table, once).returning(*table.primary_key.columns)


class Query(Statement):
    """A select, prepared for one dialect; its rows have the names and the types of its columns."""

    def __init__(self, construct: Any, dialect: Dialect, columns: Sequence[str]) -> None:
        super().__init__(construct, dialect, columns)
        chosen = list(construct.selected_columns)
        self._row = namedtuple("Row", [column.key for column in chosen])  # type: ignore[misc]
        convert = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in chosen]
        self._converted = [(index, converter) for index, converter in enumerate(convert) if converter is not None]

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """All rows of the answer, each a named tuple of the columns."""
        found = []
        try:
            rows = self.run(connection, values).fetchall()  # SQLite looks for a row when it is asked for it
        except self._error as error:
            raise self._wrapped(error) from error
        for row in rows:
            cells = list(row)
            for index, converter in self._converted:
                cells[index] = converter(cells[index])
            found.append(self._row(*cells))
        return found


def fetch(connection: Connection, construct: Any, values: Mapping[str, Any]) -> list[Any]:
    """The rows of a select that is a constant of its module."""
    key = (connection.dialect.name, construct)
    found = _QUERIES.get(key)
    if found is None:
        found = _QUERIES[key] = Query(construct, connection.dialect, ())
    return found.rows(connection, values)


@functools.cache
def _is_numbered(table: Any) -> bool:
    """Whether a row's number in SQLite is its primary key."""
    key = list(table.primary_key.columns)
    return len(key) == 1 and isinstance(key[0].type, Integer)


def _put(connection: Connection, table: Any, values: Mapping[str, Any], once: bool) -> Any:
    name, columns = connection.dialect.name, tuple(values)
    if name == "sqlite" and _is_numbered(table):  # RETURNING is a second step of the statement, this one costs nothing
        statement = _prepared(connection, (table, "numbered", once), columns, lambda: _insert(name, table, once))
        cursor = statement.run(connection, values)
        return cursor.lastrowid if cursor.rowcount else None
    statement = _prepared(connection, (table, "keyed", once), columns, lambda: _keyed(name, table, once))
    row = statement.run(connection, values).fetchone()
    return None if row is None else row[0]


def put(connection: Connection, table: Any, values: Mapping[str, Any]) -> Any:
    """Inserts a row and returns its primary key."""
    return _put(connection, table, values, False)


def put_once(connection: Connection, table: Any, values: Mapping[str, Any]) -> Any:
    """Inserts a row unless a unique key is taken: its primary key, or ``None``."""
    return _put(connection, table, values, True)


def put_all(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]], once: bool = False) -> int:
    """Inserts rows with the same columns; ``once`` leaves out those whose unique key is taken. How many were
    inserted."""
    if not rows:
        return 0
    name = connection.dialect.name
    build = functools.partial(_insert, name, table, once)
    return _prepared(connection, (table, "all", once), tuple(rows[0]), build).run_many(connection, rows)


def change(connection: Connection, table: Any, row: int, values: Mapping[str, Any]) -> int:
    """Updates a row by its id; the number of rows, 0 or 1."""
    given = {"row_id": row, **values}
    build = lambda: table.update().where(table.c.id == bindparam("row_id"))  # noqa: E731
    return int(_prepared(connection, (table, "change"), tuple(given), build).run(connection, given).rowcount)


def run(connection: Connection, construct: Any, values: Mapping[str, Any]) -> int:
    """Executes an update that is a constant of its module; the number of rows."""
    return int(_prepared(connection, (construct,), tuple(values), lambda: construct).run(connection, values).rowcount)
