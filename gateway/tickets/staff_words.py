"""What a staff member's reply says: commands in its first lines, and the words for the customer.

Pure. The quoted notification is not for customers: of it only lines that the customer wrote himself are kept, and only where
the answer goes between them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.model import FENCE

COMMANDS = ("note", "close", "owner", "spam", "send")
_ALIASES = {"internal": "note", "intern": "note", "notiz": "note", "memo": "note"}
_FIRST = re.compile(r"^[\s*_\u200b-\u200f\ufeff]*([^\W\d_]{3,12})[*_]{0,2}[ \t\xa0]?[:：][*_]{0,2}[ \t\xa0]*(.*)$")
_SIGNATURE = re.compile(r"\s*--[ \xa0]?(?:\n|$)")  #: nothing but a signature
_MARKS = re.compile(r"^[>|:\s\xa0]+")
_NEAR = 0.8  #: likeness from which a word is a command that was misspelt


@dataclass(frozen=True, slots=True)
class Orders:
    """What is to be done. ``owner``: whom "owner:" names; ``misspelt``: a first line that is nearly a command."""

    command: str = ""
    owner: str = ""
    words: str = ""
    misspelt: str = ""


def orders(text: str) -> Orders:
    """The commands of the first lines and the words below them. ``owner:`` may stand before another command."""
    owner, lines = "", ("" if _SIGNATURE.match(text) else text).strip().split("\n")
    while True:
        name, argument = _command(lines[0])
        rest = [argument, *lines[1:]] if argument else lines[1:]
        if name == "owner" and not owner:
            owner, lines = argument or "me", "\n".join(lines[1:]).strip().split("\n")
            continue
        if name in COMMANDS:
            return Orders(name, owner, "\n".join(rest).strip())
        words = "\n".join(lines).strip()
        return Orders("", owner, words, misspelt=lines[0].strip()[:80] if name else "")


def _command(line: str) -> tuple[str, str]:
    """(the command that a line is, what stands behind it); a word that is nearly one is given as it stands."""
    found = _FIRST.match(line[:2000])
    if found is None:
        return "", ""
    word = found[1].lower()
    word = _ALIASES.get(word, word)
    if word in COMMANDS:
        return word, found[2].strip()
    swapped = any(sorted(word) == sorted(command) for command in COMMANDS)
    return (word if swapped or difflib.get_close_matches(word, COMMANDS, 1, _NEAR) else ""), ""


def for_customer(own: str, full: str, said: Iterable[str]) -> str:
    """The words that go out: ``own``, with those lines of the customer (``said``) between which they are written.

    Args:
        own: the new words of the mail.
        full: all of its text, quotes included.
        said: the customer's own lines in this ticket.
    """
    known = {_bare(line) for line in said} - {""}
    groups = _groups(own, full)
    if sum(mine for mine, _ in groups) < 2:
        return own
    kept: list[str] = []
    for index, (mine, lines) in enumerate(groups):
        if mine:
            kept += ["", *lines, ""]
        elif index + 1 < len(groups):
            kept += [f"> {_bare(line)}" for line in _before(lines, known)]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    return text if any(line.startswith("> ") for line in kept) else own


def _bare(line: str) -> str:
    """A quoted line without its marks and with single blanks."""
    return " ".join(_MARKS.sub("", line).split())


def _groups(own: str, full: str) -> list[tuple[bool, list[str]]]:
    """The whole text as runs of lines, each with whether they are the author's."""
    mine = [line for line in own.split("\n") if line.strip()]
    groups: list[tuple[bool, list[str]]] = []
    position = 0
    for line in full.split("\n"):
        is_mine = position < len(mine) and line.strip() == mine[position].strip()
        position += is_mine
        if not line.strip():
            if groups:
                groups[-1][1].append("")
        elif groups and groups[-1][0] == is_mine:
            groups[-1][1].append(line)
        else:
            groups.append((is_mine, [line]))
    return groups


def _before(lines: list[str], known: set[str]) -> list[str]:
    """The customer's lines at the end of a run: what an answer below it is about."""
    kept: list[str] = []
    for line in reversed(lines):
        if not _bare(line):
            if kept:
                break
            continue
        if _bare(line) not in known:
            break
        kept.insert(0, line)
    return kept


def shows_notification(words: str, marks: Iterable[str]) -> bool:
    """Whether something of the notification is among these words: its line, or one of the ``marks`` (a reply address)."""
    flat = " ".join(words.split()).lower()
    return FENCE.lower() in flat or any(mark.lower() in flat for mark in marks if mark)
