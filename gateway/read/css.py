"""What style sheets and ``style`` attributes say that may hide words: a few properties, simple selectors, in linear
time.

Read are elements, classes, ids and ``*``, in chains with blanks and ``>``, in lists; ``@media`` as on a wide screen in
light colours (CSS Cascade 4, Selectors 3, Media Queries 4). A rule for a pointer or a printer never holds. Of any other
selector nobody knows what it matches: ``Sheet.unsure`` says so where it names colours, so that nothing is called
invisible by its colour then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

MAX_SHEET = 64 * 1024  #: characters of all style sheets of a page
MAX_STEPS = 60_000  #: rules that are compared with elements, in all
WIDTH, HEIGHT = 1000.0, 800.0  #: of the screen, in px
PROPERTIES = frozenset(
    "display visibility content-visibility opacity filter zoom color -webkit-text-fill-color background "
    "background-color "
    "background-image font font-size text-indent position left right top bottom margin margin-left margin-top "
    "transform clip "
    "clip-path -webkit-clip-path overflow overflow-x overflow-y width height max-width max-height".split()
)
_COLOURS = frozenset("color -webkit-text-fill-color background background-color background-image".split())
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})[ \t\n]?|(.))")
_COMPOUND = re.compile(r"(?:[a-z][a-z0-9]*|\*)?(?:[.#][\w-]+)*(?::link)?", re.IGNORECASE)
_PIECES = re.compile(r"[.#]?[\w-]+|\*")
_NEVER = re.compile(
    r":{1,2}(?:hover|active|focus|visited|before|after|selection|placeholder|-\w|first-l)", re.IGNORECASE
)
_NAMED = re.compile(r"\[\s{0,3}([\w-]{1,40})")
_FEATURE = re.compile(
    r"\(\s*(min|max)-(?:device-)?(width|height)\s*:\s*([\d.]{1,9})(px|em|rem)\s*\)|\(prefers-color-scheme:\s*light\)"
)
Values = tuple[tuple[str, str, bool], ...]  #: (property, value, important)


def _plain(text: str) -> str:
    """Without comments, and escapes as what they stand for."""
    if "/*" in text:
        text = _COMMENT.sub(" ", text)
    return _ESCAPE.sub(_escaped, text) if "\\" in text else text


def _escaped(found: re.Match[str]) -> str:
    if not found[1]:
        return found[2]
    number = int(found[1], 16)
    return chr(number) if 0 < number < 0xD800 else "\ufffd"


@lru_cache(maxsize=1024)
def declarations(text: str) -> Values:
    """The declarations that may hide something, in order."""
    found = []
    for piece in _plain(text).split(";"):
        name, colon, value = piece.partition(":")
        name = name.strip().lower()
        if colon and name in PROPERTIES:
            value, bang, _ = value.lower().partition("!")
            found.append((name, value.strip(), bool(bang)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Rule:
    """``last``: what the element itself must have; ``before``: what those around it must, the nearest first, each with
    whether it is the very next one. ``weight``: of its selector (ids, classes, elements), and its place."""

    last: frozenset[str]
    before: tuple[tuple[frozenset[str], bool], ...]
    weight: tuple[int, int, int, int]
    values: Values


@dataclass(slots=True)
class Sheet:
    """All style sheets of a page. ``names``: of attributes that rules ask for, each of which may be on the page or
    not."""

    rules: dict[str, list[Rule]] = field(default_factory=dict)  #: by one thing that ``Rule.last`` has
    unsure: bool = False
    names: set[str] = field(default_factory=set)
    _count: int = 0
    _steps: int = 0

    def read(self, text: str) -> None:
        """The rules of one style sheet."""
        for selectors, body in _blocks(_plain(text.replace("<!--", "").replace("-->", ""))):
            values = declarations(body)
            for selector in selectors.split(",") if values else ():
                self._add(selector.strip(), values)

    def _add(self, selector: str, values: Values) -> None:
        if not selector or _NEVER.search(selector):
            return
        parts = selector.replace(">", " > ").split()
        if not all(part == ">" or _COMPOUND.fullmatch(part) for part in parts) or parts[-1] == ">":
            self._doubt(selector, values)
            return
        chain = [
            (_keys(part), at + 1 < len(parts) and parts[at + 1] == ">") for at, part in enumerate(parts) if part != ">"
        ]
        keys = [key for names, _ in chain for key in names if key != "*"]
        ids, classes = (sum(key[0] == sign for key in keys) for sign in "#.")
        self._count += 1
        weight = (ids, classes, len(keys) - ids - classes, self._count)
        last = chain[-1][0]
        self.rules.setdefault(min(last, key=_rarest), []).append(
            Rule(last, tuple(reversed(chain[:-1])), weight, values)
        )

    def _doubt(self, selector: str, values: Values) -> None:
        if _COLOURS.isdisjoint(name for name, _, _ in values):
            return
        named = _NAMED.search(selector)
        if named is None:
            self.unsure = True
        else:
            self.names.add(named[1].lower())

    def of(self, keys: frozenset[str], around: Sequence[frozenset[str]]) -> Iterator[Rule]:
        """The rules that hold for an element; ``around``: the keys of those around it, the outermost first."""
        for key in keys:
            for rule in self.rules.get(key, ()):
                self._steps += 1 + len(rule.before)
                if self._steps > MAX_STEPS:
                    self.unsure = True
                    return
                if rule.last <= keys and (not rule.before or self._stands(rule, around)):
                    yield rule

    def _stands(self, rule: Rule, around: Sequence[frozenset[str]]) -> bool:
        at = len(around)
        for names, next_one in rule.before:
            at -= 1
            while at >= 0 and not names <= around[at]:
                self._steps += 1
                if next_one:
                    return False
                at -= 1
            if at < 0:
                return False
        return True


def _rarest(key: str) -> tuple[int, str]:
    return {"#": 0, ".": 1, "*": 3}.get(key[0], 2), key


def _keys(compound: str) -> frozenset[str]:
    """``p.Note`` is ``p`` and ``.Note``; every element has ``*``."""
    pieces = _PIECES.findall(compound.partition(":")[0])
    return frozenset(piece if piece[0] in ".#" else piece.lower() for piece in pieces) or frozenset("*")


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """(selectors, declarations) of every rule that holds on a wide screen."""
    begin, holds, selectors = 0, [True], "@"
    for brace in re.finditer(r"[{}]", text):
        piece, begin = text[begin : brace.start()], brace.end()
        if brace[0] == "{":
            opens = piece.rpartition(";")[2].strip()
            holds.append(_holds(opens) and holds[-1])
            selectors = opens
        elif len(holds) > 1:
            if holds.pop() and not selectors.startswith("@"):
                yield selectors, piece
            selectors = "@"


def _holds(opens: str) -> bool:
    if not opens.startswith("@"):
        return True
    name = opens.lower().partition(" ")[0]
    if name.startswith("@media"):
        return screen(opens[6:])
    return name in ("@supports", "@layer", "@document")


def screen(query: str) -> bool:
    """Whether a media query holds on a wide screen with light colours."""
    return any(all(map(_feature, one.split(" and "))) for one in query.lower().split(","))


def _feature(text: str) -> bool:
    text = text.strip().removeprefix("only ").strip()
    if text in ("", "all", "screen"):
        return True
    found = _FEATURE.fullmatch(text)
    if found is None:
        return False
    if not found[1]:
        return True
    size, ours = (
        float(found[3].strip(".") or 0) * (1 if found[4] == "px" else 16),
        WIDTH if found[2] == "width" else HEIGHT,
    )
    return ours >= size if found[1] == "min" else ours <= size
