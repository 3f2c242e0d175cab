"""The author's own new words: quoted history, signatures, disclaimers, phone footers and forwarded mail cut off.

Line rules only, each linear; the words of each language stand in ``languages/*.toml``. Nothing is lost: the full text
is kept beside, and when nothing else is left, the full text is what is shown. Answers between the quotes are kept.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import lru_cache

from gateway.read.late import late
from gateway.read.tables import Beginnings, alternation, words
from gateway.read.words.sections import divides

#: the line in our own replies above which the customer writes, as the templates of each language have it
_MARKER = late(alternation(words("quotes", "marker")), re.IGNORECASE)

MAX_LINES = 20_000
_LONGEST = 400  #: characters of an attribution that is folded over lines
_SIGNATURE_LINES = 16

_WROTE = late(rf"(?:(?<!\w)|(?<=[>）)\d\s]))(?:{alternation(words('quotes', 'wrote'))})(?!\w)", re.IGNORECASE)
_WROTE_SIGNS = tuple({word.lower().partition(" ")[0][:4] for word in words("quotes", "wrote")})
_ENDS = late(r"[:：][ \t\xa0*_>]{0,5}\Z")
_WHEN = late(r"(?<!\d)(?:\d{1,2}[:.h]\d\d|(?:19|20)\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2,4})(?!\d)")
_SOMEBODY = late(r"<[^<>\s]{1,100}>|[\w.+-]@[\w-]|\[mailto:|\(https?:")
_LABEL = late(
    rf"^[ \t>|*_]{{0,8}}(?:{alternation(words('quotes', 'header'))})[ \t\xa0*_]{{0,3}}[:：][ "
    r"\t\xa0*_]{0,4}(?P<value>.{0,400})",
    re.IGNORECASE,
)
_DASHED = late(r"^[ \t>|]{0,8}[-_=*#]{2,60}[ \t]{0,5}(?P<words>[^\n=_*#]{2,80}?)[ \t]{0,5}[-_=*#]{2,60}[ \t]{0,5}$")
_DIVIDER = late(
    rf"^[ \t>|*]{{0,8}}(?:[-_=*#]{{2,60}}[ \t]{{0,5}})?(?:{alternation(words('quotes', 'divider'))})[ "
    r"\t]{0,5}(?:[:：]|[-_=*#]{2,60})",
    re.IGNORECASE,
)
_DASHED_WORD = late(
    rf"^[ \t>|]{{0,8}}-{{3,60}}[ \t]{{0,5}}(?:{alternation(words('quotes', 'dashed'))})[ \t]{{0,5}}-{{3,60}}[ "
    r"\t]{0,5}$",
    re.IGNORECASE,
)
_MAY_DIVIDE = late(r"[ \t>|]{0,8}[-_=*#]|.{0,80}[:：][ \t]{0,5}\Z")  # cheap: most lines cannot
_RULE = late(r"^[ \t>|]{0,8}(?:_{10,200}|-{20,200}|={4,200})[ \t]{0,5}$")
_LIST_RULE = late(r"^_{20,200}[ \t]{0,5}$")
_SIGNATURE = late(r"^[ \t]?(?:--[ \xa0]?|—|–|_{2,5}|-{2}[ ]?\*?)$")
_FOOTER = late(rf"^[ \t*_]{{0,4}}(?:{alternation(words('quotes', 'footer'))})", re.IGNORECASE)
_DISCLAIMER = late(rf"(?:{alternation(words('quotes', 'disclaimer'))})", re.IGNORECASE)
#: cheap: what they cannot lack
_DISCLAIMING = Beginnings(max(phrase.split("'"), key=len)[:14].strip(" *") for phrase in words("quotes", "disclaimer"))
_COMMAND = late(
    r"^[ \t>]{0,20}(?:ping6?|traceroute6?|tracert|ssh|curl|nslookup|dig|mtr|telnet|cd|ls|cat|sudo|root@|mysql|select"
    r"|update|insert)\b",
    re.IGNORECASE,
)
#: "I answer your points:"
_YOURS = late(
    r"(?<!\w)(?:your|you (?:asked|wrote|said)|ihre[nmrs]?|eure[nmr]?|vos|votre|vuestr\w+|sus (?:preguntas|puntos)"
    r"|vostr\w+|ваш\w*|jullie|uw|państwa|wasz\w*|vaš\w+)(?!\w)",
    re.IGNORECASE,
)
_PROMPT = late(r"[\w.@~-]{1,30}> \S")  # "mysql> SELECT"
_MAY_CLOSE = late(
    rf"[ \t]?[-—–_]|[ \t*_]{{0,4}}(?:{alternation({footer[:3] for footer in words('quotes', 'footer')})})",
    re.IGNORECASE,
)
_CLOSING = frozenset(footer[:3] for footer in words("quotes", "footer"))
_DASH_NAME = late(r"^[-–—~/][ ]?[^\W\d_]{2,20}(?:[ ][^\W\d_]{2,20}){0,2}[ ]?$")  # "-Anna"
_DASHES = frozenset("-—–_")
_BLANKS = late(r"\n{3,}")


_WROTE_LAST = late(rf"(?:{alternation(words('quotes', 'wrote'))})[ \t.]{{0,3}}\Z", re.IGNORECASE)
_SAID_LAST = late(rf"(?<!\w)(?:{alternation(words('quotes', 'said'))})\Z", re.IGNORECASE)
#: "---- Support wrote ----"
_DASHED_NAME = late(
    rf"-{{2,60}}[ ]?(?:[^\W\d_][\w.'-]{{0,40}}[ ]){{1,5}}(?:{alternation(words('quotes', 'wrote'))})[ ]?[:：]?[ "
    r"]?-{2,60}\Z",
    re.IGNORECASE,
)
#: how an attribution begins that stands behind words of the author, on their line
_OPENER = late(rf"(?<=[^\s>][ \t])(?:{alternation(word.capitalize() for word in words('quotes', 'opener'))})(?=[ \t])")
MAX_OPENERS = 8
_DATE_BEHIND = late(r">?[ ]?\[[\d:., /+-]{6,40}\]\Z")  # "* Support <a@b.example> [2026-11-22 10:15]:"
_LAST_WORD = late(r"(\S{1,100})\Z")
#: how an attribution can end: a colon, the verb, dashes
_MARKS = frozenset((":", "：", "-"))
_ENDINGS = tuple(word[-12:] for word in words("quotes", "wrote"))
_ENDINGS_BY_LAST = {
    last: tuple(ending for ending in _ENDINGS if ending[-2:] == last) for last in {ending[-2:] for ending in _ENDINGS}
}
_FIRST_CHARS = frozenset(">|＞-_=*#")
#: "On Nov 26, 2013 you wrote:" without marks below: it opens with the date and ends with the verb
_OPENS = late(rf"\S{{2,5}}[ ].{{0,60}}(?:{alternation(words('quotes', 'wrote'))})[ ]?:\Z", re.IGNORECASE)
_FULL_DATE = late(
    r"(?<!\d)(?:\d{1,2}([./-])\d{1,2}\1(?:20)?\d\d|20\d\d([./-])\d{1,2}\2\d{1,2}|20\d\d(?:年|[ ,]))(?!\d)"
)
_TIME = late(r"(?<![\d.:])\d{1,2}[:.h]\d\d(?![\d.])")
#: a person tells of a mail: "Am 22.11.26 um 14:30 schrieb mir Ihr Kollege:"
_TO_ME = late(
    r"(?<!\w)(?:me|us|mir|uns|moi|nous|nos|mi|ci|мне|нам|мені|mij|ons|nam|bana|bize|your|ihr|ihre|votre|su|vostro"
    r"|ваш\w*|uw|jullie|wasz|váš)(?!\w)",
    re.IGNORECASE,
)
MAX_CLOSING = 100  #: lines that may close a mail, from its beginning and from its end
MAX_ATTRIBUTION = 12  #: words of one that names nobody by address
#: "Sent from my phone, please excuse typos"
_APOLOGY = late(
    r"excuse|brevity|gmx mail|web\.de mail|typos|tippfehler|kürze|fautes|concis|brevità|errori di|disculp|erratas"
    r"|typfout|literówk",
    re.IGNORECASE,
)
_UNSEEN = frozenset("\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\ufeff")
_INVISIBLE = late("^[\u200b-\u200f\u2060-\u2063\ufeff]+")
_LINK = late(r"[<(\[]?https?://\S{1,300}")


def _names(text: str) -> bool:
    """Whether somebody is named, by an address or a link."""
    return ("@" in text or "<" in text or "(http" in text or "[m" in text) and bool(_SOMEBODY.search(text))


def _is_quote(line: str) -> bool:
    return line.lstrip(" \t").startswith((">", "|>", "＞"))


@lru_cache(maxsize=64)  # each line is asked for by those above it
def _label(line: str) -> str | None:
    """What stands after the label of a quoted header line, ``None`` when it is none."""
    if ":" not in line and "：" not in line:
        return None
    match = _LABEL.match(line[:500])
    return match["value"].strip() if match else None


def _header_block(lines: list[str], index: int) -> bool:
    """Whether a quoted header block begins here: three labelled lines close together, one of them naming somebody."""
    first = _label(lines[index])
    if first is None:
        return False
    found, somebody, gap = 1, _names(first), 0
    when = bool(_WHEN.search(first))
    for line in lines[index + 1 : index + 12]:
        value = _label(line)
        if value is not None:
            found, gap = found + 1, 0
            somebody = somebody or _names(value)
            when = when or bool(_WHEN.search(value))
        elif not line.strip(" \t>*_"):
            gap += 1
            if gap > 1:
                break
        elif not line.startswith((" ", "\t")) and gap + 1 > 2:
            break
        else:
            gap += 1
    return (found >= 3 and (somebody or when)) or (found == 2 and somebody and when)


def _dashed(lines: list[str], index: int) -> bool:
    """A divider with words between dashes, or one that announces the header block that follows it."""
    line = lines[index][:300]
    if not _MAY_DIVIDE.match(line):
        return False
    if _DIVIDER.match(line) or _DASHED_WORD.match(line):
        return True
    if not (_DASHED.match(line) or _RULE.match(line)):
        return False
    following = [number for number in range(index + 1, min(index + 4, len(lines))) if lines[number].strip(" \t>")]
    return bool(following) and _header_block(lines, following[0])


def _attribution(lines: list[str], index: int, ends: list[bool]) -> int:
    """How many lines the attribution beginning here takes ("On ... wrote:"); 0 when there is none."""
    first = lines[index].strip(" \t*_")
    if not first.strip("-") and (not first or index + 1 == len(lines) or _label(lines[index + 1]) is None):
        return 0  # a rule; above a label it may open what some programs write: "----", "To: ...", "... wrote:"
    if len(first) > _LONGEST or (_label(first) is not None and not _names(first)):
        return 0
    joined = ""
    for count in range(1, 5):
        if index + count > len(lines):
            return 0
        part = lines[index + count - 1].strip(" \t*_")
        if not part or (count > 1 and _is_quote(part) and part != ">:" and not _is_quote(first)):
            return 0
        short = len(first) <= 40 and not first.endswith((".", "!", "?"))
        if count > 1 and not (_WHEN.search(first) or _names(first) or short):
            return 0  # a folded attribution begins where its date or its name does, not with a sentence of the author
        joined = f"{joined} {part}" if joined else part
        if len(joined) > _LONGEST:
            return 0
        if ends[index + count - 1] and _attributes(joined):
            return count
    return 0


def _attributes(joined: str) -> bool:
    when, somebody = bool(_WHEN.search(joined)), _names(joined)
    if not when and not somebody:
        return bool(_DASHED_NAME.match(joined))
    lower = joined.lower()
    wrote = any(sign in lower for sign in _WROTE_SIGNS) and bool(
        _WROTE.search(joined[-260:]) or _WROTE.search(joined[:260])
    )
    if _ENDS.search(joined):
        return wrote or (somebody and ((when and _ends_with_address(joined)) or _said(joined)))
    if joined.startswith("--") and joined.endswith("--"):  # "---- On Wed, 24 Feb 2021 john@example.com wrote ----"
        return wrote
    return wrote and when and somebody and bool(_WROTE_LAST.search(joined))


def _said(joined: str) -> bool:
    """Whether the last word is one that people use of each other as well ("said:"); beside a date and an address it
    attributes."""
    return bool(_SAID_LAST.search(joined.rstrip(" *_:：>")))


def _same_line(lines: list[str], ends: list[bool]) -> list[str]:
    """The lines, with an attribution that begins behind words of the author on a line of its own: "Yes. On ... <a@b>
    wrote:"."""
    if not any(ends):
        return lines
    found: list[str] = []
    for index, line in enumerate(lines):
        begins = _begins_within(lines, index, ends) if len(line) <= 4 * _LONGEST else 0
        found += [line[:begins].rstrip(), "", line[begins:]] if begins else [line]
    return found


def _begins_within(lines: list[str], index: int, ends: list[bool]) -> int:
    """Where in a line an attribution begins that ends with it or with the next one; 0 where none does."""
    line = lines[index]
    if _is_quote(line):
        return 0
    for size in (1, 2):
        if index + size > len(lines) or not ends[index + size - 1]:
            continue
        for opening in reversed(list(_OPENER.finditer(line))[:MAX_OPENERS]):
            joined = " ".join([line[opening.start() :], *lines[index + 1 : index + size]])
            if len(joined) <= _LONGEST and _WHEN.search(joined) and _names(joined) and _attributes(joined):
                return opening.start() if line[: opening.start()].strip(" \t*_") else 0
    return 0


def _ends_with_address(joined: str) -> bool:
    """Whether an address stands just before the colon: an attribution without a verb."""
    match = _LAST_WORD.search(_DATE_BEHIND.sub("", joined.rstrip(" *_:：>)")))
    return match is not None and "@" in match[1]


def _marked(line: str) -> bool:
    return "-- " in line and _MARKER.search(line) is not None


def _history(lines: list[str], index: int, ends: list[bool]) -> int:
    """How many lines introduce quoted history here; 0 when none does. ``ends``: the lines an attribution may end
    with."""
    line = lines[index]
    if _marked(line):
        return len(lines) - index
    if _dashed(lines, index) or _header_block(lines, index):
        return 1
    if not any(ends[index : index + 4]):
        return 0
    count = _attribution(lines, index, ends)
    return count if count and _introduces(lines, index, count) else 0


def _may_end(line: str) -> bool:
    bare = line.rstrip(" \t\xa0.*_>")
    last = bare[-2:].lower()
    return last[-1:] in _MARKS or (last in _ENDINGS_BY_LAST and bare[-12:].lower().endswith(_ENDINGS_BY_LAST[last]))


def _may_begin(line: str) -> bool:
    """Whether the line by itself may begin quoted history: it has a colon or our marker, or begins with a mark."""
    if ":" in line or "-- " in line or "：" in line:
        return ":" in line or "：" in line or line.lstrip(" \t")[:1] in _FIRST_CHARS or _marked(line)
    return not line[:1].isalpha() and line.lstrip(" \t")[:1] in _FIRST_CHARS


def _introduces(lines: list[str], index: int, count: int) -> bool:
    """Whether quoted lines follow the attribution; without marks it must name both when and who."""
    following = next((line for line in lines[index + count : index + count + 4] if line.strip()), "")
    joined = " ".join(lines[index : index + count])
    if not following or _is_quote(following) or joined.startswith("--"):
        return True
    if not _WHEN.search(joined):
        return False
    return _names(joined) or (not _TO_ME.search(joined) and bool(_OPENS.match(joined) or _only_attributes(joined)))


def _only_attributes(joined: str) -> bool:
    """Whether a line is nothing but a date with its year, a time, a verb and a name: "Am 22.11.26 um 14:30 schrieb
    Support:"."""
    return len(joined.split()) <= MAX_ATTRIBUTION and bool(
        _FULL_DATE.search(joined) and _TIME.search(joined) and _WROTE.search(joined)
    )


class _Below:
    """Whether the author goes on below or between the quotes that begin at a line. Every line is looked at once,
    however often it is asked."""

    def __init__(self, lines: list[str], ends: list[bool]) -> None:
        self._lines, self._ends = lines, ends
        self._judged: dict[int, bool] = {}
        nothing = len(lines)
        self._quote = [nothing] * (nothing + 1)  #: for each line, the first quoted line from there on
        self._other = [nothing] * (nothing + 1)  #: the first line that is neither blank nor quoted
        for number in range(nothing - 1, -1, -1):
            quoted, blank = _is_quote(lines[number]), not lines[number].strip()
            self._quote[number] = number if quoted else self._quote[number + 1]
            self._other[number] = self._other[number + 1] if quoted or blank else number

    def own(self, start: int) -> bool:
        """Whether the first line behind the first quoted one, from ``start`` on, is the author's."""
        if start >= len(self._lines):
            return False
        number = self._other[self._quote[start]]
        if number == len(self._lines):
            return False
        if number not in self._judged:
            self._judged[number] = self._is_own(number)
        return self._judged[number]

    def _is_own(self, number: int) -> bool:
        line = self._lines[number]
        if _LIST_RULE.match(line):
            return False  # the footer of a mailing list
        return not _SIGNATURE.match(line) and not _is_footer(line) and not _history(self._lines, number, self._ends)


def _odd(lines: list[str], ends: list[bool]) -> list[int]:
    """The lines that may begin a quote or what introduces one, in order; the others are the author's."""
    odd = {number for number, line in enumerate(lines) if _may_begin(line)}
    for number, ending in enumerate(ends):
        if ending:
            odd.update(range(max(0, number - 3), number + 1))
    return sorted(odd)


def hangs_on_a_blank(text: str) -> bool:
    """Whether a blank behind two dashes may decide what is cut."""
    return text.startswith("-- \n") or "\n-- \n" in text


def new_words(text: str, first: bool = False, blank: bool = True) -> str:
    """The author's own words of ``text``; the whole text when nothing else is left.

    Args:
        first: the mail answers nothing. Then marked lines are quotes only below an attribution that names when and who,
            or a header block, and dashes between sections begin no signature.
        blank: whether dashes with a blank behind them begin one all the same.
    """
    lines = [_INVISIBLE.sub("", line) if line[:1] in _UNSEEN else line for line in text.split("\n")[:MAX_LINES]]
    ends = [_may_end(line) for line in lines]
    split = _same_line(lines, ends)
    if len(split) > len(lines):
        lines, ends = split, [_may_end(line) for line in split]
    odd = _odd(lines, ends)
    if not odd:
        return _trimmed(lines, first, blank) or text.strip()
    kept: list[str] = []
    below: _Below | None = None
    index, quoting, pasting = 0, False, False
    while index < len(lines):
        after = bisect_left(odd, index)
        if after == len(odd) or odd[after] > index:  # most lines are the author's
            begin, index = index, odd[after] if after < len(odd) else len(lines)
            kept += lines[begin:index]
            continue
        line = lines[index]
        quote = _is_quote(line)
        size = _history(lines, index, ends) if not quote or _marked(line) or (first and not quoting) else 0
        if size and first and not _unmistakable(lines, index, size):
            size = 0
        if size:
            below = below or _Below(lines, ends)
            if _marked(line) and quote and not any(map(str.strip, kept)):
                index = _answered_below(lines, index, below)
                continue
            if _marked(line) or not below.own(index + size):
                break
            index, quoting = index + size, True  # the words that introduce the quote go with it
            continue
        # a pasted prompt that uses ">": what stands after it is a command, from the first marked line on
        pasting = (
            quote and (pasting or index == 0 or not _is_quote(lines[index - 1])) and bool(_COMMAND.match(line[:200]))
        )
        if not quote or pasting or (not quoting and (first or _announced(kept))):
            kept.append(line)
        elif quote:
            quoting = True
        index += 1
    own = _trimmed(kept, first, blank)
    return own or _trimmed([line for line in lines if not _marked(line)], first, blank) or text.strip()


def _answered_below(lines: list[str], index: int, below: _Below) -> int:
    """Where the author's words begin below the whole of our quoted mail; the number of lines where there are none, or
    where they stand between its lines."""
    last = max(number for number in range(index, len(lines)) if _is_quote(lines[number]))
    between = any(line.strip() and not _is_quote(line) for line in lines[index:last])
    return last + 1 if not between and below.own(last) else len(lines)


def holds_ours(text: str) -> bool:
    """Whether a mail of ours is quoted in a text."""
    return "-- " in text and _MARKER.search(text) is not None


def unquoted(text: str) -> str:
    """The lines of a text that are not marked as a quotation."""
    return "\n".join(line for line in text.split("\n")[:MAX_LINES] if not _is_quote(line))


def quotes_unmistakably(text: str) -> bool:
    """Whether history is introduced somewhere in a text, as it is even in a mail that answers nothing."""
    lines = text.split("\n")[:MAX_LINES]
    ends = [_may_end(line) for line in lines]
    return any(
        (size := _history(lines, index, ends)) and _unmistakable(lines, index, size) for index in _odd(lines, ends)
    )


def _unmistakable(lines: list[str], index: int, size: int) -> bool:
    """Whether what introduces history does so in a mail that answers nothing too: a divider, a header block, or when
    and who."""
    if _marked(lines[index]) or _dashed(lines, index) or _header_block(lines, index):
        return True
    joined = " ".join(lines[index : index + size])
    dated = bool(_WHEN.search(joined)) and bool(_TIME.search(joined))
    return (bool(_WHEN.search(joined)) and _names(joined)) or (
        dated and len(joined.split()) <= MAX_ATTRIBUTION and not _TO_ME.search(joined)
    )


def _announced(kept: list[str]) -> bool:
    """Whether the author's words announce what is pasted below: "This is the log:", and the lines of it."""
    last = next((line for line in reversed(kept[-3:]) if line.strip()), "")
    announces = (
        last.rstrip().endswith(":")
        and len(last.split()) > 2
        and not _WROTE.search(last[:_LONGEST])
        and not _YOURS.search(last[:_LONGEST])
    )
    return announces or any(map(_is_quote, kept[-3:])) or bool(_PROMPT.match(last))


def _closing(lines: list[str]) -> list[int]:
    """The lines below the first words that may close a mail, in order: of very many the first and the last."""
    first = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    found = [index for index in range(first + 1, len(lines)) if _may_close(lines[index])]
    return found if len(found) <= 2 * MAX_CLOSING else [*found[:MAX_CLOSING], *found[-MAX_CLOSING:]]


def _trimmed(lines: list[str], first: bool, blank: bool) -> str:
    """Lines without the signature, the footer of a phone and disclaimers at their end."""
    following: list[int] = []
    for index in _closing(lines):
        if _MAY_CLOSE.match(lines[index]):
            following = following or _counted(lines)
            left = _closed(lines, index, following)
            if left is not None and not divides(lines, index, first, blank):
                lines = left
                break
    lines = _undisclaimed(lines)
    while lines and (not lines[-1].strip() or _RULE.match(lines[-1]) or not lines[-1].strip("- ")):
        lines.pop()
    if len(lines) > 1 and _DASH_NAME.match(lines[-1]) and not lines[-2].lstrip().startswith("-"):
        lines.pop()
    text = "\n".join(lines)
    return (_BLANKS.sub("\n\n", text) if "\n\n\n" in text else text).strip()


def _may_close(line: str) -> bool:
    """Whether a line may close a mail; most cannot, and this is cheap."""
    if line[:1].isalpha():
        return line[:3].lower() in _CLOSING
    bare = line.lstrip(" \t*_")
    return bare[:3].lower() in _CLOSING or line.lstrip(" \t")[:1] in _DASHES


def _counted(lines: list[str]) -> list[int]:
    """How many lines that are not blank come before each line."""
    found, count = [], 0
    for line in lines:
        found.append(count)
        count += bool(line.strip())
    return [*found, count]


def _closed(lines: list[str], index: int, counted: list[int]) -> list[str] | None:
    """The lines without what closes the mail at this line; ``None`` when nothing does."""
    line = lines[index]
    signature, listed, footer = _SIGNATURE.match(line), _LIST_RULE.match(line), _is_footer(line)
    if not (signature or listed or footer):
        return None
    rest = counted[min(index + 200, len(lines))] - counted[index + 1]
    if (signature and (rest <= _SIGNATURE_LINES or line.startswith("--"))) or (listed and rest <= 4):
        return lines[:index]
    if footer:
        return lines[:index] if rest <= 6 else [*lines[:index], *lines[index + 1 :]]
    return None


def _is_footer(line: str) -> bool:
    """The footer of a phone or a mail program: short, and no sentence that goes on."""
    if len(line) > 400 or not _FOOTER.match(line):
        return False
    bare = _LINK.sub("", line).strip()
    if _APOLOGY.search(bare):
        return True
    return len(bare.split()) <= 12 and not (len(bare.split()) > 7 and ("," in bare or bare.endswith(".")))


def _disclaims(paragraph: str) -> bool:
    if paragraph.isascii() and not _DISCLAIMING.places(" ".join(paragraph.lower().split()), 1):
        return False
    return bool(_DISCLAIMER.search(paragraph))


def _undisclaimed(lines: list[str]) -> list[str]:
    """Without the paragraphs of a disclaimer that end the mail."""
    first = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    limit = len(lines)
    while True:
        end = limit
        while end and not lines[end - 1].strip():
            end -= 1
        begin = end
        while begin and lines[begin - 1].strip():
            begin -= 1
        paragraph = _joined(lines, begin, end)
        if begin > first and paragraph and _disclaims(paragraph):
            limit = begin
            continue
        return lines[:end]


def _joined(lines: list[str], begin: int, end: int) -> str:
    """The first 2000 characters of a paragraph."""
    taken, size = begin, 0
    while taken < end and size < 2000:
        size += len(lines[taken]) + 1
        taken += 1
    return " ".join(lines[begin:taken])[:2000]
