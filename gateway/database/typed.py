"""Rows that were selected whole, under the class that describes their table: ``row.state`` is checked by mypy.

What comes back is SQLAlchemy's own row, which has the columns as its attributes and cannot be changed; the class is its
shape, and no object of it is ever built.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Select
from sqlmodel import SQLModel

Shape = TypeVar("Shape")
Table = TypeVar("Table", bound=SQLModel)


def one(connection: Connection, shape: type[Shape], query: Select[Any]) -> Shape:
    """The only row of ``query``. Raises ``NoResultFound`` or ``MultipleResultsFound``."""
    return cast(Shape, connection.execute(query).one())


def first(connection: Connection, shape: type[Shape], query: Select[Any]) -> Shape | None:
    """The first row of ``query``, if there is one."""
    return cast("Shape | None", connection.execute(query).first())


def part(connection: Connection, shape: type[Shape], query: Select[Any]) -> list[Shape]:
    """All rows of a ``query`` that takes some columns of the table alone; to ask for another one is an
    ``AttributeError``."""
    return every(connection, shape, query)


def every(connection: Connection, shape: type[Shape], query: Select[Any]) -> list[Shape]:
    """All rows of ``query``, in its order."""
    return cast("list[Shape]", list(connection.execute(query).all()))


@functools.cache
def _defaults(shape: type[SQLModel]) -> tuple[tuple[str, Any, Callable[[], Any] | None], ...]:
    """(column, default, what makes one) of each column that has a default."""
    fields = shape.__pydantic_fields__.items()
    return tuple(
        (name, None if field.is_required() else field.default, cast("Callable[[], Any] | None", field.default_factory))
        for name, field in fields
    )


def written(shape: type[Table], values: Mapping[str, Any]) -> Table:
    """A row as it was just written, the columns that ``values`` does not name at their defaults: nothing is read
    again."""
    row = {name: make() if make is not None else default for name, default, make in _defaults(shape)}
    return cast(Table, SimpleNamespace(**{**row, **values}))
