"""Rows that were selected whole, under the class that describes their table: ``row.state`` is checked by mypy.

What comes back is SQLAlchemy's own row, which has the columns as its attributes and cannot be changed; the class is its
shape, and no object of it is ever built.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Select

Shape = TypeVar("Shape")


def one(connection: Connection, shape: type[Shape], query: Select[Any]) -> Shape:
    """The only row of ``query``. Raises ``NoResultFound`` or ``MultipleResultsFound``."""
    return cast(Shape, connection.execute(query).one())


def first(connection: Connection, shape: type[Shape], query: Select[Any]) -> Shape | None:
    """The first row of ``query``, if there is one."""
    return cast("Shape | None", connection.execute(query).first())


def part(connection: Connection, shape: type[Shape], query: Select[Any]) -> list[Shape]:
    """All rows of a ``query`` that takes some columns of the table alone; to ask for another one is an ``AttributeError``."""
    return every(connection, shape, query)


def every(connection: Connection, shape: type[Shape], query: Select[Any]) -> list[Shape]:
    """All rows of ``query``, in its order."""
    return cast("list[Shape]", list(connection.execute(query).all()))


def written(shape: type[Shape], values: Mapping[str, Any]) -> Shape:
    """A row as it was just written, with the columns that ``values`` names and no other: nothing is read again for it."""
    return cast(Shape, SimpleNamespace(**values))
