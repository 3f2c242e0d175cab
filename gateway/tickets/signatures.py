"""The signature that a company's mail program puts below a colleague's answer, where nothing marks it as one.

Pure, and careful: of two mistakes, a phone number that goes out is the smaller one. Something is cut only below a closing
formula or the colleague's own name, and only where all of it is of the kind that stands in signatures (phone, address,
company, register), or where the same lines ended several of his other answers. The formula and the name are the answer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LINES = 24  #: a signature is at most so long
PROSE = 3  #: small words that contact data may have
EARLIER = 2  #: other answers that end alike, from which lines are taken for a signature
_CLOSINGS = (
    "kind regards", "best regards", "regards", "best wishes", "warm regards", "many thanks and regards", "sincerely", "best",
    "cheers", "yours sincerely", "yours faithfully", "thanks", "thank you", "all the best", "mit freundlichen grüßen",
    "mit freundlichem gruß", "freundliche grüße", "viele grüße", "beste grüße", "liebe grüße", "schöne grüße", "herzliche grüße",
    "mit besten grüßen", "mfg", "vg", "lg", "gruß", "grüße", "mit freundlichen gruessen", "viele gruesse", "cordialement",
    "bien cordialement", "bien à vous", "sincères salutations", "meilleures salutations", "salutations distinguées", "saludos",
    "un saludo", "saludos cordiales", "un cordial saludo", "atentamente", "cordiali saluti", "distinti saluti", "saluti",
    "un saluto", "с уважением", "с наилучшими пожеланиями", "всего доброго", "з повагою", "з найкращими побажаннями",
)  # fmt: skip
_CLOSING = re.compile(
    rf"(?:{'|'.join(map(re.escape, sorted(_CLOSINGS, key=len, reverse=True)))})(?: aus \w+)?[ ,.!]*", re.I
)
_PHONE = r"(?:tel|phone|telephone|mobile?|cell|fax|fon|telefon|telefax|handy|tél|téléphone|móvil|teléfono|cellulare|telefono|тел|моб|факс|[mtpdf])"
_HARD = re.compile(
    rf"^[^\w+]{{0,3}}{_PHONE}[.:]?[ .:|]*\(?\+?[\d(]|\+\d[\d ()/.-]{{6,20}}\d|^[^\w+]{{0,3}}\(?0[\d ()/.-]{{7,20}}\d$"
    r"|[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{2,60}|\b(?:https?://|www\.)\S+"
    r"|\b(?:GmbH|UG|KG|e\.\s?K\.|Ltd|LLC|Inc|PLC|SARL|SAS|S\.A\.|S\.L\.|S\.r\.l\.|Srl|S\.p\.A\.|B\.V\.|OÜ|Oy|Sp\. z o\.o\.)(?![\w])"
    r"|(?:^|\s)(?:ООО|ТОВ|АО|ЗАО|ФОП|AG)(?=\s|$)|\b(?:HRB|Amtsgericht|USt-?Id|VAT|SIRET|SIREN|CIF|ИНН|ЄДРПОУ)\b|P\. ?IVA"
    r"|\b(?:Geschäftsführ\w+|Managing Directors?|Registered (?:office|in)|Sitz der Gesellschaft|Siège social)\b"
    r"|^\s*(?:[A-Z]{1,2}-)?\d{4,6},? [^\W\d_]{3,}[^.!?]{0,40}$|\b(?:\w+straße|\w+strasse|\w+str\.|[Ss]treet|[Rr]ue|[Cc]alle|ул\.|вул\.) ?[^.!?]{0,40}\d"
    r"|^\s*[\[<](?:cid:|image|logo)[^\]>]{0,100}[\]>]\s*$",
    re.I,
)
_SENTENCE = re.compile(
    r"[?!:;…]\s*$|(?<![A-Za-z]\.[A-Za-z])(?<!\b[A-Z][a-z])\.\s*$|^\s*(?:[-*•>]|\d+[.)]\s|p\.? ?s\b)", re.I
)
_REACHED = re.compile(r"\S*@\S+|\bhttps?://\S+|\bwww\.\S+")
_ADDED = re.compile(r"\s*(?:[-*•>]|\d+[.)]\s|p\.? ?s\b)", re.I)
_SPLIT = re.compile(r"\s*(?:[|,(/·•]|\s[-–—]\s).*")


@dataclass(frozen=True, slots=True)
class Parted:
    """``words`` that go out, and the signature that was ``cut`` from below them."""

    words: str
    cut: str = ""


def parted(text: str, name: str, earlier: Iterable[str] = ()) -> Parted:
    """An answer without its unmarked signature.

    Args:
        text: the answer, without quotes.
        name: how the colleague calls himself in From.
        earlier: the ends of other answers of his, and signatures that were cut from them.
    """
    lines = text.rstrip().split("\n")
    known = [_squeezed(one.rstrip().split("\n")) for one in earlier]
    for index in range(max(1, len(lines) - LINES), len(lines)):
        begin = _begin(lines, index, name)
        if begin is not None and _is_signature(lines[begin:], known):
            return _cut(lines, begin)
    return _cut(lines, _repeated(lines, known))


def _cut(lines: Sequence[str], begin: int) -> Parted:
    words = "\n".join(lines[:begin]).rstrip()
    return Parted(words, "\n".join(lines[begin:]).strip()) if words else Parted("\n".join(lines))


def _begin(lines: Sequence[str], index: int, name: str) -> int | None:
    """Where a signature would begin whose formula or name is this line; ``None``: the line is neither."""
    line = lines[index].strip()
    if _CLOSING.fullmatch(line):
        below = next((at for at in range(index + 1, len(lines)) if lines[at].strip()), len(lines))
        return below + (below < len(lines) and _may_be_name(lines[below], name))
    above = next((one for one in reversed(lines[:index]) if one.strip()), "")
    return index if _is_name(line, name) and not _CLOSING.fullmatch(above.strip()) else None


def _tokens(words: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[^\W\d_]{2,}", words)}


def _is_name(line: str, name: str) -> bool:
    """Whether a line is his whole name, with a title behind it or not."""
    wanted = _tokens(_SPLIT.sub("", name))
    return len(wanted) >= 2 and len(line) <= 80 and _tokens(_SPLIT.sub("", line)) == wanted


def _may_be_name(line: str, name: str) -> bool:
    """Whether a line below a closing formula is how he signs: his name, or two or three words that begin with capitals."""
    words = line.strip().split()
    if _tokens(line) and _tokens(line) <= _tokens(name):
        return True
    return (
        1 <= len(words) <= 3 and all(word[:1].isupper() and word.isalpha() for word in words) and not _HARD.search(line)
    )


def _is_signature(lines: Sequence[str], known: Sequence[list[str]]) -> bool:
    filled = [line for line in lines if line.strip()]
    hard = sum(_HARD.search(line) is not None for line in filled)
    if len(filled) >= 2 and hard and all(map(_alike, filled)):
        return True
    return (hard > 0 or len(filled) >= 3) and _ends_of(known, _squeezed(lines)) >= EARLIER


def _alike(line: str) -> bool:
    """Whether a line is of the kind that stands in signatures: contact data, or a few words that are no sentence."""
    if _HARD.search(line):
        prose = [
            word for word in _REACHED.sub(" ", line).split() if word.isalpha() and word.islower() and len(word) > 1
        ]
        return len(line) <= 120 and len(prose) <= PROSE and not _ADDED.match(line)
    return len(line) <= 60 and line.strip()[:1].isupper() and not _SENTENCE.search(line)


def _squeezed(lines: Sequence[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines if line.strip()]


def _ends_of(known: Sequence[list[str]], block: list[str]) -> int:
    """How many of the known texts end with these lines."""
    return sum(one[-len(block) :] == block for one in known) if block else 0


def _repeated(lines: Sequence[str], known: Sequence[list[str]]) -> int:
    """Where the longest end begins, below a blank line, that several other answers have and that names ways to reach him."""
    for index in range(max(1, len(lines) - LINES), len(lines) - 2):
        if lines[index].strip() and not lines[index - 1].strip():
            block = _squeezed(lines[index:])
            hard = sum(_HARD.search(line) is not None for line in block)
            if len(block) >= 3 and hard >= 2 and _ends_of(known, block) >= EARLIER:
                return index
    return len(lines)
