"""Order and invoice numbers. ``#123456`` is an order; a ticket reference never is (docs/glossary.md)."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator

from gateway.model import Candidate
from gateway.read.late import late
from gateway.read.tables import alternation, around, lowered, numbers, words
from gateway.read.words.pasted import is_pasted

MAX = 50
MAX_NUMBERS = 500
#: "123456-1" and "123456/2" are of order 123456; a date, a telephone number and a time are none
_NUMBER = late(r"(?<!\d)(?<!\d[.,])(\d{4,9})(?!\d|[.,]\d|:\d|-\d(?!(?<=\d{5}-\d)\d?(?![\w-]|[.,:/]\d)))")
#: "12 34 56", "123 456": right behind a word for an order ("123.456" is an amount or a version as well)
_GROUPED = late(r"(?:\d\d[ \xa0]\d\d[ \xa0]\d\d|\d{3}[ \xa0\u2009\u202f]\d{3})(?![\w%]|[ .,:/-]\d)")
_LINK = alternation(
    (
        "is",
        "ist",
        "lautet",
        "est",
        "es",
        "è",
        "mit der",
        "mit",
        "with the",
        "portant le",
        "con",
        "avec",
        "met",
        "com",
        "com o",
        "z numerem",
        "s číslem",
        "with",
        "avec le",
        "con el",
        "con il",
        "es el",
        "es la",
        "è il",
        "è la",
        "é o",
        "é a",
        "is het",
        "ist die",
        "ist der",
        "is the",
        "je",
        "jest",
        "z",
        "с",
        "под",
    )
)
#: between what was ordered and its number
_OF = ("of", "der", "des", "vom", "von", "van", "du", "de la", "de", "del", "della", "di", "da", "do", "z", "ze")
_GLUE = (
    rf"(?:['’]s)?(?:[ \t\xa0]{{1,2}}{_LINK})?(?:[ "
    rf"\t\xa0.(-]{{0,3}}(?:{alternation(words('numbers', 'number'))})(?!\w)\.?[º°o]?)?(?:[ \t\xa0]{{1,2}}{_LINK})?"
    r"[ \t\xa0]{0,3}(?:[:=.(-][ \t\xa0]{0,3})?[*_`\"'„“«<\[]{0,3}(?:№|n°|nº|n\.º|#)?[ "
    r"\t\xa0]{0,3}(?:(?<![^\W\d_])[a-z]{1,4}[-/])?\Z"
)
_ORDER = late(rf"(?<!\w)(?:{alternation(words('numbers', 'order'))}){_GLUE}")
_INVOICE = late(rf"(?<!\w)(?:{alternation(words('numbers', 'invoice'))}){_GLUE}")
#: "numer zamówienia to 413377": of a number that is long enough to be no year ("extend my order to 2027")
_ORDER_TO = late(
    rf"(?<!\w)(?:{alternation(words('numbers', 'order'))})"
    rf"(?:[ \t\xa0.-]{{1,3}}(?:{alternation(words('numbers', 'number'))}))?"
    r"[ \t\xa0]{1,2}(?:to|to je|это|це|що|що це|var|was|war|olan|:)[ \t\xa0]{1,2}#?\Z"
)
_PRODUCTS = alternation(words("numbers", "product"))
#: "my vps 344719", "de host van 418840", "Sunucumun (531097)": behind what was ordered, with as many digits as an order
_PRODUCT = late(
    rf"(?<![\w-])(?:{_PRODUCTS})(?:['’]\w{{1,6}})?(?:[ \t\xa0]{{1,2}}{alternation(_OF)})?"
    rf"(?:[ \t\xa0.(-]{{1,3}}(?:{_LINK}[ \t\xa0]{{1,2}})?(?:{alternation(words('numbers', 'number'))})(?!\w)\.?[º°o]?)?"
    r"(?:[ \t\xa0]{1,2}|[ \t\xa0]{0,2}(?P<open>[(\[:„“«\"'])[ \t\xa0]?)(?:n°|nº|№|#)?[ \t\xa0]{0,2}\Z"
)
#: "405129 - stroj je mrtvý", "531097 numaralı sunucu"
_PRODUCT_AFTER = late(
    r"(?:['’]\w{1,4})?(?:[ \t\xa0]{0,2}[-–—:,][ \t\xa0]{1,2}|[ \t\xa0]{1,2})"
    rf"(?:(?:numaral[ıi]|nolu|no['’]lu)[ \t\xa0]{{1,2}})?(?:{_PRODUCTS})(?!\w)"
)
#: six digits that are a day: yymmdd, ddmmyy
_DAY = late(r"2\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])2\d")
#: what a number that stands alone is no end of: a longer one, a word, a telephone number
_PART = late(r"(?:[\w@+.]|(?<!\d)\d{1,5}[ \t/-]|\(\d{2,6}\)[ \t-]?)\Z")
_OF_ORDER = 6  #: digits
MAX_BARE = 20
_BETWEEN = frozenset(" \xa0\u2009\u202f")  #: groups of digits
#: "the last two invoices, 214382 and 214383"
_LISTED = late(
    rf"(?<!\w)(?:(?P<invoice>{alternation(words('numbers', 'invoice'))})"
    rf"|(?P<order>{alternation(words('numbers', 'order'))}))\w{{0,3}},[ \t\xa0]{{1,2}}\Z"
)
_OTHERS = alternation((*words("numbers", "other"), *words("numbers", "invoice"), *words("numbers", "customer")))
#: "the 214382 invoice", "214382 numaralı fatura"
_AFTER = r"['’]?\w{0,3}[ \t\xa0]{0,2}\(?(?:(?:numaral[ıi]|nolu|no['’]lu|nr\.?|no\.?)[ \t\xa0]{1,2})?"
_ORDER_AFTER = late(rf"{_AFTER}(?:{alternation(words('numbers', 'order'))})")
_INVOICE_AFTER = late(rf"{_AFTER}(?:{alternation(words('numbers', 'invoice'))})")
_OTHER_AFTER = late(rf"{_AFTER}(?:{_OTHERS})(?!\w)")
_AFTER_OF = {"order": _ORDER_AFTER, "invoice": _INVOICE_AFTER}
#: "INV-214382", without a word before it
_INVOICE_PREFIX = late(r"(?<![\w-])(?:(?:inv|invoice|rg|fac|fact|fatt|fv)-|inv)\Z")
_AMOUNT = late(
    r"[ \t\xa0]{0,2}(?:[€$£₽₴]|(?:eur|euros?|usd|tl|try|zł|pln|kč|czk|huf|ft|chf|gbp|rub|руб\w*|грн|гривень|uah|reais"
    r"|pesos)(?!\w))",
)
#: of a number that nothing calls an order: money that is no more, or is named before it; what is counted
_COUNTED = late(
    rf"[ \t\xa0]{{0,2}}(?:(?:f|fr|frs|francs?|lires?|lira|mark|dm|peset\w{{1,3}}|%)(?!\w)"
    rf"|(?:{alternation(words('numbers', 'counted'))})(?!\w))"
)
_MONEY = late(r"(?:[€$£₽₴]|(?<!\w)(?:eur|euro|usd|tl|try|zł|pln|kč|czk|huf|chf|gbp|rub|uah|r\$))[ \t\xa0]{0,2}\Z")
_HASH = late(r"(?<![\w#&/.])[#№][ \t]?\Z")
_COLOUR = late(r"[ \t]{1,2}(?:\w{1,10}[ \t]){0,2}(?:colou?r|farbe|couleur|colore|цвет)")
_COLOUR_BEFORE = late(
    r"(?<!\w)(?:colou?r|farbe|farbcode|couleur|colore|colou?rs|цвет)(?:[ :=]{1,3}\w{1,10}){0,2}[ :=]{0,3}#\Z",
)
_GLUED = late(r"[\w.-]{0,20}\w")
_MORE = late(
    rf"[ \t]{{0,2}}(?:,|;|\+|&|/|(?<!\w)(?:{alternation(words('numbers', 'and'))})(?!\w)){{1,2}}[ "
    rf"\t\n]{{0,2}}(?:(?<!\w)(?:{alternation(words('numbers', 'and'))})(?!\w)[ \t]{{1,2}})?[#№]?[ \t]?",
)
_LIST_GOES_ON = late(rf"{_MORE.pattern}\d{{5}}")
_OTHER = late(
    rf"(?<!\w)(?:{_OTHERS})"
    rf"(?:[^\w\n]{{1,3}}(?:{alternation(words('numbers', 'number'))})(?!\w))?"
    r"[^\w\n]{0,8}\Z",
)
#: "der Code lautet 405129"
_OTHER_IS = late(rf"(?<!\w)(?:{_OTHERS})[ \t]{{1,2}}{_LINK}[^\w\n]{{0,8}}\Z")


def _alone(lower: str, match: re.Match[str], before: str) -> str:
    """What stands before a number, joined to the line above where the number has a line of its own."""
    head, newline, own = before.rpartition("\n")
    behind = lower[match.end() : match.end() + 4].lstrip(" \t\xa0.\r")
    return f"{head.rstrip()} {own}" if newline and not own.strip(" \t#>*") and behind[:1] in ("", "\n") else before


def _kind(lower: str, match: re.Match[str], before: str) -> str:
    """``order``, ``invoice`` or nothing: what the words around the number call it."""
    before = _alone(lower, match, before)
    if _AMOUNT.match(lower, match.end()):
        return ""
    if _INVOICE.search(before) or _INVOICE_PREFIX.search(before):
        return "invoice"
    if _ORDER.search(before) or (len(match[1]) >= 5 and _ORDER_TO.search(before)) or _of_product(lower, match, before):
        return "order"
    hashed = _HASH.search(before)
    if hashed and _COLOUR_BEFORE.search(before):
        return ""
    listed = _LISTED.search(before) if len(match[1]) >= 5 and before.endswith((", ", ",\xa0")) else None
    if listed and _LIST_GOES_ON.match(lower, match.end()):
        return str(listed.lastgroup)
    if hashed and len(match[1]) >= 5 and not _GLUED.match(lower, match.end()) and not _COLOUR.match(lower, match.end()):
        if _INVOICE_AFTER.match(lower, match.end()):
            return "invoice"
        return "" if _OTHER.search(before[: hashed.start()]) else "order"
    if len(match[1]) >= 5 and not _is_other(before):
        if _INVOICE_AFTER.match(lower, match.end()):
            return "invoice"
        if _ORDER_AFTER.match(lower, match.end()) or _before_product(lower, match, before):
            return "order"
    return ""


def _is_other(before: str) -> bool:
    """Whether the words before a number say that it is something else."""
    return bool(_OTHER.search(before) or _OTHER_IS.search(before))


def _of_product(lower: str, match: re.Match[str], before: str) -> bool:
    """Whether the number stands behind what was ordered, in brackets that end behind it where it has any."""
    said = _PRODUCT.search(before) if len(match[1]) == _OF_ORDER else None
    return said is not None and (said["open"] not in ("(", "[") or lower[match.end() : match.end() + 1] in ")],;/")


def _before_product(lower: str, match: re.Match[str], before: str) -> bool:
    """Whether what was ordered is named right behind the number."""
    if len(match[1]) != _OF_ORDER or _DAY.fullmatch(match[1]) or _PART.search(before) or match[1].endswith("000"):
        return False
    return bool(_PRODUCT_AFTER.match(lower, match.end()))


def _grouped(text: str, lower: str) -> Iterator[Candidate]:
    """The numbers of orders whose digits are written in groups."""
    done = 0
    for start, end in numbers(text):
        if start < done or not 2 <= end - start <= 3 or text[end : end + 1] not in _BETWEEN:
            continue
        match = _GROUPED.match(text, start)
        if match is None or not _ORDER.search(lower, max(0, start - 48), start) or _AMOUNT.match(lower, match.end()):
            continue
        done = match.end()
        yield Candidate("".join(filter(str.isdigit, match[0])), around(text, *match.span()))


def _numbers(text: str) -> Iterator[re.Match[str]]:
    """The numbers that are long enough and no part of an amount, a date or a time."""
    count = 0
    for start, end in numbers(text):
        if 4 <= end - start <= 9 and (match := _NUMBER.match(text, start)):
            count += 1
            if count > MAX_NUMBERS:
                return
            yield match


@functools.lru_cache(maxsize=2)  # orders and invoices are asked for one after the other
def _called(text: str) -> list[tuple[str, Candidate]]:
    """(``order`` or ``invoice``, candidate) of every number whose words around it say what it is."""
    found: list[tuple[str, Candidate]] = []
    kind, end, lower = "", -1, lowered(text)
    before: list[re.Match[str]] = []  # a list that nothing has been called yet: "123456 ve 234567 numaralı siparişler"
    for match in _numbers(text):
        if len(found) >= MAX * 2:
            break
        said = _kind(lower, match, lower[max(0, match.start() - 48) : match.start()])
        listed = kind and end >= 0 and _MORE.fullmatch(lower, end, match.start()) and len(match[1]) >= 5
        if listed and said != "invoice":
            said = kind
        if before and not _MORE.fullmatch(lower, before[-1].end(), match.start()):
            before.clear()
        if said and before and _AFTER_OF[said].match(lower, match.end()):
            found += [(said, Candidate(one[1], around(text, one.start(), one.end()))) for one in before]
        kind = said
        if not kind and len(match[1]) >= 5:
            before.append(match)
            del before[:-MAX]
            continue
        before.clear()
        if kind:
            found.append((kind, Candidate(match[1], around(text, match.start(), match.end()))))
            end = match.end()
    return found


def _is_bare(lower: str, match: re.Match[str]) -> bool:
    """Whether a number has as many digits as an order has, and nothing says that it is something else."""
    if len(match[1]) != _OF_ORDER or lower[match.end() : match.end() + 1].isalnum():
        return False
    before = lower[max(0, match.start() - 48) : match.start()]
    if (
        _PART.search(before)
        or _MONEY.search(before)
        or _is_other(_alone(lower, match, before).rstrip("#№"))
        or _is_amount(lower, match)
    ):
        return False
    begin, end = lower.rfind("\n", 0, match.start()) + 1, lower.find("\n", match.end())
    return not is_pasted(lower[begin : end if end >= 0 else len(lower)])


def _is_amount(lower: str, match: re.Match[str]) -> bool:
    end = match.end()
    return bool(_AMOUNT.match(lower, end) or _COUNTED.match(lower, end) or _OTHER_AFTER.match(lower, end))


def _unique(found: list[Candidate]) -> tuple[Candidate, ...]:
    return tuple({candidate.value: candidate for candidate in reversed(found)}.values())[::-1][:MAX]


def invoices_in(text: str) -> tuple[Candidate, ...]:
    """Invoice numbers, in order of appearance."""
    return _unique([candidate for kind, candidate in _called(text) if kind == "invoice"])


def orders_in(text: str) -> tuple[Candidate, ...]:
    """Order numbers (digits without ``#``), in order of appearance; numbers called invoices are not among them."""
    called = _called(text)
    billed = {candidate.value for kind, candidate in called if kind == "invoice"}
    grouped = _grouped(text, lowered(text))
    ordered = (candidate for kind, candidate in called if kind == "order")
    return _unique([candidate for candidate in (*ordered, *grouped) if candidate.value not in billed])


def bare_in(text: str) -> tuple[Candidate, ...]:
    """Six digits that nothing calls an order or anything else: an order of the author's where the directory has it as
    one, and only then (``weak``)."""
    lower, said = lowered(text), {candidate.value for _, candidate in _called(text)}
    found = (
        Candidate(match[1], around(text, match.start(), match.end()), weak=True)
        for match in _numbers(text)
        if match[1] not in said and _is_bare(lower, match)
    )
    return _unique(list(itertools.islice(found, MAX_BARE)))
