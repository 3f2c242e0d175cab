"""Expressions that are compiled when they are used for the first time: a mail needs a tenth of the 700 that reading
has.

A reader of the service has them all compiled before its first mail (``gateway.read.preload``).
"""

from __future__ import annotations

import re
from typing import Any, cast

_made: list[Late] = []


class Late:
    """Stands for an expression; what is asked of it first makes it, and from then on it costs what that one costs."""

    def __init__(self, source: str, flags: int) -> None:
        self._source, self._flags = source, flags
        _made.append(self)

    def __getattr__(self, name: str) -> Any:
        expression = re.compile(self._source, self._flags)
        own = {known: getattr(expression, known) for known in dir(expression) if not known.startswith("_")}
        self.__dict__.update(own)
        if name not in own:
            raise AttributeError(name)
        return own[name]


def late(source: str, flags: int = 0) -> re.Pattern[str]:
    """The expression of this source.

    Raises:
        re.error: when it is used, where the source is none.
    """
    return cast("re.Pattern[str]", Late(source, flags))


def compile_all() -> None:
    """Compiles every one that there is by now."""
    for expression in _made:
        expression.__getattr__("pattern")
