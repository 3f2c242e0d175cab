"""Lines of dashes that divide what an author wrote, beside those that begin a signature (RFC 3676 section 4.3: ``--
``)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.read.tables import evened
from gateway.read.words.pasted import is_pasted

MAX_LINE = 2000
MAX_BEHIND = 40  #: lines behind or before a delimiter that are looked at
#: five words and the end of a sentence: no name, address or slogan
_SENTENCE = re.compile(r"(?:\S{1,60}[ \t]{1,3}){4}(?:\S{1,60}[ \t]{1,3}){0,40}?\S{0,60}[^\W_]{2}[.!?](?=[ \t]|\Z)")
_CONTACT = re.compile(
    r"(?:tel|fax|phone|mob|fon|web|www|http|e-?mail|тел|моб)|.{0,200}(?:https?://|[\w.]@\w|\bgmbh\b|\bltd\b|\binc\b"
    r"|\bs\.?r\.?l\b|\bllc\b)",
    re.IGNORECASE,
)


def divides(lines: Sequence[str], index: int, first: bool, blank: bool = True) -> bool:
    """Whether the dashes of a line divide the author's words; ``first``: of a mail that answers nothing. ``blank``:
    whether a blank behind two dashes says that they do not (no signature of the mail covers it, RFC 6376 section
    3.4.4).

    Between two lines of a log they do in every mail (``grep -A`` writes ``--``). In a first mail, where no quote can
    hide behind them, they do as well where sections go on below: sentences, a log, or the same line again. What a
    person signs with has none.
    """
    if is_pasted(_line(lines, index - 1)) and is_pasted(_line(lines, index + 1)):
        return True
    if not first:
        return False
    behind = lines[index + 1 : index + 1 + MAX_BEHIND]
    delimiters = ("-- ", "--\xa0") if blank else ("--\xa0",)
    if lines[index] in delimiters and sum(1 for line in behind if line.strip()) < MAX_BEHIND // 2:
        return False
    same = lines[index].strip()
    near = (*lines[max(0, index - MAX_BEHIND) : index], *behind)
    return any(line.strip() == same for line in near) or any(_goes_on(line[:MAX_LINE]) for line in behind)


def _line(lines: Sequence[str], index: int) -> str:
    return lines[index] if 0 <= index < len(lines) else ""


def _goes_on(line: str) -> bool:
    """Whether a line is a sentence or a log rather than part of a signature."""
    bare = evened(line).strip()
    return is_pasted(line) or (bool(_SENTENCE.match(bare)) and not _CONTACT.match(bare))
