"""The signature that a company's mail program puts below a colleague's answer, where nothing marks it as one.

Pure, and careful: of two mistakes, a phone number that goes out is the smaller one. Something is cut only where no line
of it is of the kind that answers have (a link to a page, an address of a machine, an account, a step), and where it
names the colleague or his company's domain: below a closing formula or his name, when all of it is of the kind that
stands in signatures (phone, address, company, register); or when the same lines ended other answers of his, in which
other words stood above. Below a formula such lines need not name him. The formula and the name are the answer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LINES = 24  #: a signature is at most so long
PROSE = 3  #: small words that contact data may have
EARLIER = 2  #: other answers that end alike, from which lines are taken for a signature
_CLOSINGS = (
    "kind regards", "best regards", "regards", "best wishes", "warm regards", "many thanks and regards", "sincerely",
    "best",
    "cheers", "yours sincerely", "yours faithfully", "thanks", "thank you", "all the best", "mit freundlichen grüßen",
    "mit freundlichem gruß", "freundliche grüße", "viele grüße", "beste grüße", "liebe grüße", "schöne grüße",
    "herzliche grüße",
    "mit besten grüßen", "mfg", "vg", "lg", "gruß", "grüße", "mit freundlichen gruessen", "viele gruesse",
    "cordialement",
    "bien cordialement", "bien à vous", "sincères salutations", "meilleures salutations", "salutations distinguées",
    "saludos",
    "un saludo", "saludos cordiales", "un cordial saludo", "atentamente", "cordiali saluti", "distinti saluti",
    "saluti",
    "un saluto", "с уважением", "с наилучшими пожеланиями", "всего доброго", "з повагою", "з найкращими побажаннями",
)  # fmt: skip
_CLOSING = re.compile(
    rf"(?:{'|'.join(map(re.escape, sorted(_CLOSINGS, key=len, reverse=True)))})(?: aus \w+)?[ ,.!]*", re.I
)
_PHONE = (
    r"(?:tel|phone|telephone|mobile?|cell|fax|fon|telefon|telefax|handy|tél|téléphone|móvil|teléfono|cellulare"
    r"|telefono|тел|моб|факс|[mtpdf])"
)
_HARD = re.compile(
    rf"^[^\w+]{{0,3}}{_PHONE}[.:]?[ .:|]*\(?\+?[\d(]|\+\d[\d ()/.-]{{6,20}}\d|^[^\w+]{{0,3}}\(?0[\d ()/.-]{{7,20}}\d$"
    r"|[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{2,60}|\b(?:https?://|www\.)\S+"
    r"|\b(?:GmbH|UG|KG|e\.\s?K\.|Ltd|LLC|Inc|PLC|SARL|SAS|S\.A\.|S\.L\.|S\.r\.l\.|Srl|S\.p\.A\.|B\.V\.|OÜ|Oy|Sp\. z "
    r"o\.o\.)(?![\w])"
    r"|(?:^|\s)(?:ООО|ТОВ|АО|ЗАО|ФОП|AG)(?=\s|$)|\b(?:HRB|Amtsgericht|USt-?Id|VAT|SIRET|SIREN|CIF|ИНН|ЄДРПОУ)\b|P\. "
    r"?IVA"
    r"|\b(?:Geschäftsführ\w+|Managing Directors?|Registered (?:office|in)|Sitz der Gesellschaft|Siège social)\b"
    r"|^\s*(?:[A-Z]{1,2}-)?\d{4,6},? [^\W\d_]{3,}[^.!?]{0,40}$|\b(?:\w+straße|\w+strasse|\w+str\.|[Ss]treet|[Rr]ue"
    r"|[Cc]alle|ул\.|вул\.) ?[^.!?]{0,40}\d"
    r"|^\s*[\[<](?:cid:|image|logo)[^\]>]{0,100}[\]>]\s*$",
    re.I,
)
_SENTENCE = re.compile(
    r"[?!:;…]\s*$|(?<![A-Za-z]\.[A-Za-z])(?<!\b[A-Z][a-z])\.\s*$|^\s*(?:[-*•>]|\d+[.)]\s|p\.? ?s\b)", re.I
)
#: what stands in answers and not in signatures
_ANSWERS = re.compile(
    r"\bhttps?://[^\s/]+/\S|\bwww\.[^\s/]+/\S|\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-f]{1,4}:(?:[0-9a-f]{0,4}:){2,}"
    r"|\w[:#]\d{2,5}\b"
    r"|\b[A-Z]{2}\d{2}(?: ?[\dA-Z]{4}){3,}|\b(?:ns|mx|vnc|kvm|ipmi|rdp|ssh|ftp|smtp|imap|pop3?)\d*[.:\s]"
    r"|^\s*(?:\d+[.)]|[-*•>#$])\s|`|\b(?:url|host|server|user(?:name)?|login|benutzer(?:name)?|utilisateur|usuario"
    r"|utente|пользователь|логин"
    r"|користувач|логін|password|passwort|kennwort|mot de passe|contraseña|пароль|port|puerto|porta|порт|pin|iban|bic"
    r"|swift|order|auftrag"
    r"|bestellung|commande|pedido|ordine|заказ|замовлення|invoice|rechnung|facture|factura|fattura|nameserver|gateway"
    r"|netmask|console|panel)\b"
    r"\s*(?:[:#=№]\s*\S|(?=\S*\d)\S+)",
    re.I,
)
_REACHED = re.compile(r"\S*@\S+|\bhttps?://\S+|\bwww\.\S+")
_ADDED = re.compile(r"\s*(?:[-*•>]|\d+[.)]\s|p\.? ?s\b)", re.I)
_SPLIT = re.compile(r"\s*(?:[|,(/·•]|\s[-–—]\s).*")


@dataclass(frozen=True, slots=True)
class Parted:
    """``words`` that go out, and the signature that was ``cut`` from below them."""

    words: str
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Colleague:
    """Who answers: how he calls himself in From, and the ``domains`` of his address and of the desk."""

    name: str
    domains: tuple[str, ...] = ()

    def is_named_in(self, lines: Sequence[str]) -> bool:
        """Whether these lines have his whole name, or a domain of his company."""
        wanted, text = _tokens(self.name), "\n".join(lines).lower()
        if len(wanted) >= 2 and any(_tokens(line) >= wanted for line in lines):
            return True
        return any(
            re.search(rf"(?<![\w-]){re.escape(domain)}(?![\w-]|\.\w)", text) for domain in self.domains if domain
        )


def parted(text: str, by: Colleague, earlier: Iterable[str] = ()) -> Parted:
    """An answer without its unmarked signature.

    Args:
        text: the answer, without quotes.
        by: who wrote it.
        earlier: the ends of other answers of his, and signatures that were cut from them.
    """
    lines = text.rstrip().split("\n")
    known = [_squeezed(one.rstrip().split("\n")) for one in earlier]
    for index in range(max(1, len(lines) - LINES), len(lines)):
        begin = _begin(lines, index, by.name)
        if begin is not None and _is_signature(lines, begin, by, known):
            return _cut(lines, begin)
    return _cut(lines, _repeated(lines, by, known))


def closes(line: str) -> bool:
    """Whether a line is nothing but a closing formula."""
    return _CLOSING.fullmatch(line.strip()) is not None


def may_sign(lines: Sequence[str], named: bool = False) -> bool:
    """Whether anybody's signature may consist of these filled lines: contact data, or names and titles beside some. A
    name alone is one as well, and so is nothing below a name (``named``)."""
    if len(lines) > LINES or any(map(_ANSWERS.search, lines)):
        return False
    if not has_contact(lines):
        return (named and not lines) or (0 < len(lines) <= 2 and all(_may_be_name(line, "") for line in lines))
    return all(_alike(line) if _HARD.search(line) else _is_title(line) for line in lines)


def has_contact(lines: Iterable[str]) -> bool:
    """Whether one of these lines is contact data: a phone, an address, a register."""
    return any(map(_HARD.search, lines))


def _is_title(line: str) -> bool:
    """Whether a line is a name, a title or a company: a few words that begin with capitals."""
    words = [word for word in re.findall(r"[^\W\d_]+", line) if len(word) > 1]
    return len(line) <= 60 and not _SENTENCE.search(line) and sum(map(str.islower, words)) <= 1 < 2 * len(words)


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
    """Whether a line below a closing formula is how he signs: his name, or two or three words that begin with
    capitals."""
    words = line.strip().split()
    if _tokens(line) and _tokens(line) <= _tokens(name):
        return True
    return (
        1 <= len(words) <= 3 and all(word[:1].isupper() and word.isalpha() for word in words) and not _HARD.search(line)
    )


def _is_signature(lines: Sequence[str], begin: int, by: Colleague, known: Sequence[list[str]]) -> bool:
    """Whether what begins there, below a formula or his name, is his signature."""
    filled = [line for line in lines[begin:] if line.strip()]
    if any(map(_ANSWERS.search, filled)):
        return False
    hard = sum(_HARD.search(line) is not None for line in filled)
    of_his = by.is_named_in(filled)
    if len(filled) >= 2 and hard and of_his and all(map(_alike, filled)):
        return True
    return (hard > 0 or len(filled) >= 3) and _ends_of(known, lines, begin) >= EARLIER


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


def _ends_of(known: Sequence[list[str]], lines: Sequence[str], begin: int) -> int:
    """How many of the known texts end with the lines from ``begin`` on, each below other words."""
    above, block = _squeezed(lines[:begin]), _squeezed(lines[begin:])
    if not block:
        return 0
    heads = {_said(one[: -len(block)]) for one in known if one[-len(block) :] == block}
    return len(heads - {_said(above)})


def _said(lines: list[str]) -> tuple[str, ...]:
    """What is said above a block, without the greeting: a how-to that goes to many customers differs in nothing
    else."""
    greets = bool(lines) and (lines[0][-1] in ",!:" or (len(lines[0].split()) <= 3 and lines[0][-1].isalpha()))
    return tuple(lines[greets:])


def _repeated(lines: Sequence[str], by: Colleague, known: Sequence[list[str]]) -> int:
    """Where the longest end begins, below a blank line, that several other answers have and that names ways to reach
    him."""
    for index in range(max(1, len(lines) - LINES), len(lines) - 2):
        if lines[index].strip() and not lines[index - 1].strip() and by.is_named_in(lines[index:]):
            block = _squeezed(lines[index:])
            hard = sum(_HARD.search(line) is not None for line in block)
            answers = any(map(_ANSWERS.search, block))
            if len(block) >= 3 and hard >= 2 and not answers and _ends_of(known, lines, index) >= EARLIER:
                return index
    return len(lines)
