"""Reading a mail costs as many steps as it is long, whatever somebody writes into it.

Steps are counted, not timed: the lines of our own code that run, and the characters that our expressions are given to look at. Four times the
text may cost four times the steps and a little more; what is quadratic costs sixteen times. How long it takes is printed by
``bench.extraction``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

import pytest

from gateway.read import message
from gateway.read.late import Late
from gateway.read.reading import Hints, read
from gateway.read.topics import outages
from gateway.read.words import quotes
from tests.hostile import CARRIERS, LINES, mail
from tests.samples import NOW
from tests.test_expressions import METHODS, ROOT, modules

SMALL, LARGE = 4096, 16384
GROWTH = 6.0  #: what may come of four times the text
CHARACTERS = 64  #: that an expression looks at in the time of a line of Python
HINTS = Hints("a@b.example", NOW, "Europe/Berlin")
READ = ("gateway.read.", "gateway.read.words.quotes", "gateway.read.tables")
EXAMINED = ("text", "answered below", "flowed", "html", "multipart", "labelled base64", "a part's disposition", "a part's type", "header", "fields", "alternatives", "calendar")  # fmt: skip


class Steps:
    """Counts what runs."""

    def __init__(self) -> None:
        self.lines = 0
        self.characters = 0
        self._root = str(ROOT)

    def trace(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        """For ``sys.settrace``: every line of our own code."""
        if event == "line":
            self.lines += 1
            return self.trace
        return self.trace if frame.f_code.co_filename.startswith(self._root) else None

    def of(self, call: Callable[[], object]) -> float:
        """The steps of a call."""
        self.lines = self.characters = 0
        sys.settrace(self.trace)
        try:
            call()
        finally:
            sys.settrace(None)
        return self.lines + self.characters / CHARACTERS


class Counted:
    """An expression, or the ``re`` of a module, that counts the characters it is given."""

    def __init__(self, target: Any, steps: Steps, is_module: bool) -> None:
        self._target, self._steps, self._is_module = target, steps, is_module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in (*METHODS, "finditer"):
            return found

        def counting(*given: Any, **named: Any) -> Any:
            text = given[
                2
                if self._is_module and name in ("sub", "subn")
                else 1
                if self._is_module or name in ("sub", "subn")
                else 0
            ]
            start = (
                given[1]
                if not self._is_module and name in ("search", "match", "finditer", "fullmatch") and len(given) > 1
                else 0
            )
            anchored = name in ("match", "fullmatch")
            match = found(*given, **named)
            looked_at = (match.end() - start if match else 1) if anchored else len(text) - start
            if name == "search" and match:
                looked_at = match.end() - start
            self._steps.characters += max(0, looked_at)
            return match

        return counting


@pytest.fixture(scope="module")
def steps() -> Any:
    """Counts, with the expressions of everything that reads replaced."""
    counted = Steps()
    patch = pytest.MonkeyPatch()
    for module in modules():
        if isinstance(module, ModuleType) and module.__name__.startswith(READ):
            for name, value in list(vars(module).items()):
                if isinstance(value, re.Pattern | Late):
                    patch.setattr(module, name, Counted(value, counted, False))
                elif value is re:
                    patch.setattr(module, name, Counted(re, counted, True))
    yield counted
    patch.undo()


def parsed(raw: bytes) -> str:
    return quotes.new_words(message.parse(raw).words)


def growth(steps: Steps, work: Callable[[bytes], object], kind: str, carrier: str) -> float:
    small, large = mail(kind, carrier, SMALL), mail(kind, carrier, LARGE)
    work(large)  # what is loaded once is loaded
    return steps.of(lambda: work(large)) / (steps.of(lambda: work(small)) + 2000)


@pytest.mark.fault("X33")
@pytest.mark.parametrize("carrier", EXAMINED)
def test_the_steps_grow_with_the_text_and_no_faster(steps: Steps, carrier: str) -> None:
    assert set(EXAMINED) <= set(CARRIERS)
    found = {kind: round(growth(steps, parsed, kind, carrier), 1) for kind in LINES}
    assert {kind: times for kind, times in found.items() if times > GROWTH} == {}


@pytest.mark.parametrize(
    "kind", ["an attribution and a quote", "quotes and words", "colons", "outages", "dates", "addresses", "orders"]
)
def test_so_do_those_of_the_whole_reading(steps: Steps, kind: str) -> None:
    assert growth(steps, lambda raw: read(raw, HINTS), kind, "text") <= GROWTH


def test_a_sentence_of_nothing_but_signs_is_not_looked_through_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    look = outages._object
    monkeypatch.setattr(outages, "_object", lambda between: looked.append(len(between)) or look(between))
    for times in (500, 2000):
        looked.clear()
        words = "Our " + "bricked " * times + "outlook " * times
        read(f"From: a@b.example\r\nSubject: x\r\n\r\n{words}\r\n".encode(), HINTS)
        assert sum(looked) <= outages.MOST * outages.FAR


def test_the_count_sees_what_is_quadratic(steps: Steps) -> None:
    """It would see the attributions that were each followed to the end of the mail, and an expression that begins anew at every line."""

    def followed(raw: bytes) -> bool:
        lines = raw.decode().split("\n")
        return any(all(quotes._is_quote(line) for line in lines[at:]) for at in range(len(lines) - 1, 0, -1)) and True

    def anew(raw: bytes) -> list[object]:
        text = raw.decode()
        return [quotes._WHEN.search(text, at) for at in range(0, len(text), 100)]

    for work in (followed, anew):
        assert growth(steps, work, "quote lines", "no label") > GROWTH
