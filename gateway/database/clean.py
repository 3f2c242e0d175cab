"""Text as both databases can keep it: the types of every text and JSON column.

PostgreSQL refuses a NUL in a text, and neither database takes a lone surrogate, which Python makes of octets that are
no UTF-8. Each becomes U+FFFD on its way in, one for one, in whatever is written and in whatever is looked for; the
mail's own bytes are kept elsewhere, as they came.
"""

from __future__ import annotations

import json
import re
from typing import Any

from sqlalchemy import JSON, String, Text, TypeDecorator
from sqlalchemy.engine import Dialect

_REFUSED = re.compile("[\x00\ud800-\udfff]")


def text(value: str) -> str:
    """The text without what a database refuses."""
    if value.isascii():
        return value.replace("\x00", "\ufffd") if "\x00" in value else value
    return _REFUSED.sub("\ufffd", value)


def tree(value: Any) -> Any:
    """The same of every text in a JSON value, names included."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {tree(key): tree(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [tree(inner) for inner in value]
    return value


def words(value: Any) -> Any:
    """``text``, of a column that may be empty. Most texts go in as they are, and a mail has a hundred of them."""
    if not isinstance(value, str) or (value.isascii() and "\x00" not in value):
        return value
    return _REFUSED.sub("\ufffd", value)


def written(value: Any) -> str:
    """A value as JSON text without what a database refuses. Most have nothing of it, so the text is looked at and not
    each of its words: JSON escapes a NUL and whatever may be a lone surrogate."""
    found = _dumped(value)
    return _dumped(tree(value)) if "\\u0000" in found or "\\ud" in found else found


_dumped = json.JSONEncoder().encode


class CleanString(TypeDecorator[str]):
    """``VARCHAR(n)``."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """See ``text``."""
        return text(value) if isinstance(value, str) else value


class CleanText(CleanString):
    """``TEXT``."""

    impl = Text
    cache_ok = True


class CleanJson(TypeDecorator[Any]):
    """``JSON``."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """See ``tree``."""
        return tree(value)
