"""``column IN`` a list of any length, in one text.

A list written out has another text for each length, and everybody keeps what was prepared from a text: a connection of
SQLite the last 128 of them, each as large as its list (a megabyte for five thousand numbers). The list is one parameter
here: of JSON in SQLite, an array in PostgreSQL. Nor is there a longest one, as a database has a most of parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Self

from sqlalchemy import ARRAY, BigInteger, Boolean, ColumnElement, Integer, Text, TypeDecorator, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine


class _List(TypeDecorator[list[Any]]):
    """Values of one type of column, as one parameter; each becomes what that column would make of it."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: TypeEngine[Any]) -> None:
        super().__init__()
        self.kind = kind

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """See the module. No array has the column's width: PostgreSQL would cut its texts to it, and find others."""
        item: TypeEngine[Any] = BigInteger() if self.kind._type_affinity is Integer else Text()
        return dialect.type_descriptor(ARRAY(item) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> Any:
        """See the module. Raises ``TypeError`` for what JSON cannot say: octets, moments."""
        convert = self.kind.dialect_impl(dialect).bind_processor(dialect)
        items = [convert(item) for item in value or ()] if convert is not None else value
        return items if dialect.name == "postgresql" else json.dumps(items)


class _Among(FunctionElement[bool]):
    """(column, list)"""

    type = Boolean()
    name = "among"
    inherit_cache = True

    def self_group(self, against: object = None) -> Self:
        """It is a condition as it stands: SQLite would not look into an index for ``... = 1``."""
        return self


@compiles(_Among, "sqlite")
def _sqlite(element: _Among, compiler: SQLCompiler, **given: Any) -> str:
    column, values = (compiler.process(part, **given) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - both are SQL already


@compiles(_Among, "postgresql")
def _postgresql(element: _Among, compiler: SQLCompiler, **given: Any) -> str:
    column, values = (compiler.process(part, **given) for part in element.clauses)
    return f"{column} = ANY ({values})"


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Whether ``column`` is one of ``values``: numbers or texts, in any number; false for none of them."""
    return _Among(column, bindparam(None, list(values), _List(column.type), unique=True))
