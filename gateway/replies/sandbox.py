"""Templates are programs of the admin: they run in a sandbox, and neither their output nor their work is without
bounds.

What a template may produce is capped as it comes. How long it may run is counted in lines of its compiled code, where
it is tried with sample values (``check``, start and reload); counting at every mail would cost more than the mail.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from jinja2 import Template
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_OUTPUT = 200_000  #: characters of one rendered template
MAX_LINES = 200_000  #: lines of compiled templates that one trial may run
MAX_REPEATED = 100_000  #: characters or items that a multiplication may make
MAX_POWER = 10_000


class TooMuch(Exception):
    """A template makes too much, or runs for too long."""


class BoundedSandbox(ImmutableSandboxedEnvironment):
    """The sandbox of Jinja2, where multiplication cannot fill the memory."""

    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """``left operator right``. TooMuch when the result would be huge."""
        if (
            operator == "**"
            and isinstance(left, int)
            and isinstance(right, int)
            and abs(right) * left.bit_length() > MAX_POWER
        ):
            raise TooMuch("a power of that size")
        for these, times in ((left, right), (right, left)):
            if (
                isinstance(these, str | bytes | list | tuple)
                and isinstance(times, int)
                and len(these) * times > MAX_REPEATED
            ):
                raise TooMuch("a repetition of that size")
        return super().call_binop(context, operator, left, right)


def rendered(template: Template, values: Mapping[str, Any]) -> str:
    """The text of a template. TooMuch when it is longer than ``MAX_OUTPUT``; else whatever the template raises."""
    pieces, size = [], 0
    for piece in template.generate(dict(values)):
        size += len(piece)
        if size > MAX_OUTPUT:
            raise TooMuch(f"the text is longer than {MAX_OUTPUT} characters")
        pieces.append(piece)
    return "".join(pieces)


@contextmanager
def bounded() -> Iterator[None]:
    """Within it, templates of this thread raise TooMuch after ``MAX_LINES`` lines of their compiled code."""
    left = MAX_LINES

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if event == "call" and not frame.f_code.co_filename.endswith(".j2"):
            return None
        left -= 1
        if left < 0:
            raise TooMuch(f"it runs for more than {MAX_LINES} lines")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
