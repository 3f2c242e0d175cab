"""What a staff member's reply says: commands in its first lines, and the words for the customer.

Pure. The quoted notification is not for customers: of it only lines that the customer wrote himself are kept, and only
where the answer goes between them.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.model import FENCE

COMMANDS = ("note", "close", "owner", "priority", "critical", "spam", "send")
REQUESTS = ("list", "confirm", "close")  #: one word to the desk: what is open; what becomes of an incident
_ABOVE = ("owner", "priority", "critical")  #: what may stand above another command, or above an answer
#: what is said behind these, and nothing else on their line
_SAID = {
    "priority": {"high": "high", "hoch": "high", "regular": "normal", "normal": "normal", "low": "normal"},
    "critical": {"yes": "yes", "ja": "yes", "no": "no", "nein": "no"},
}
_BARE_CHANGE = re.compile(r"\W{0,3}(?:set |make it )?(?:prio(?:rity)?|critical)\W{1,3}\w{2,8}\W{0,3}", re.I)
_ALIASES = {
    "prio": "priority",
    "internal": "note",
    "intern": "note",
    "notiz": "note",
    "memo": "note",
    "interne": "note",
    "interna": "note",
}
#: words that begin a note to colleagues or one to the customer: the author is asked
_EITHER = frozenset(
    "nota remarque anmerkung vermerk commentaire comentario commento comment remark nb заметка примечание комментарий "
    "замітка"
    " нотатка примітка коментар внутреннее внутрішнє".split()
)
#: what is said to a colleague, or to the program: "pls close", "can be closed", "mark as spam"
_ABOUT_IT = frozenset(
    "close closed closing spam schließen schliessen geschlossen zumachen fermer clôturer cerrar chiudere закрыть закрой"
    " закрити закрий".split()
)
_KINDLY = frozenset(
    "pls plz please just can could may be it this that one is the ticket case as mark now up ok okay"
    " thx thanks bitte kann das den dies ticket werden als markieren danke svp merci por favor per favore"
    " пожалуйста плиз можно будь ласка тикет тікет".split()
)
MOST_KINDLY = 6  #: words of such an order
_DRESS = r"\-\s*_\"'`«»„“”‘’>|#/@()\[\]•–—"
_FIRST = re.compile(
    rf"^[{_DRESS}]*(?:\d[.)]\s*)?(?:(?P<inner>intern(?:al|e|a)?)[ -]{{1,3}})?(?P<word>[^\W\d_]{{2,14}})"
    rf"(?P<self>s? to (?:self|all|team|staff))?(?P<mark>[{_DRESS}]*[:;][{_DRESS}:]*|\s+[-–—]\s+|-\s+|[)\]]\s*"
    r"|)(?P<rest>.*)$",
    re.I,
)
_BARE = re.compile(r"^\s*[#/@]\s*\w")  #: "#note x"
_COLONS = str.maketrans({"：": ":", "﹕": ":", "꞉": ":", "；": ";", "\xa0": " ", "\x0b": " "})
_LATIN = str.maketrans("аеорсухкмнтві", "aeopcyxkmhtbi")  #: letters of another script that a keyboard puts in
_SIGNATURE = re.compile(r"\s*--[ \xa0]?(?:\n|$)")  #: nothing but a signature
_MARKS = re.compile(r"^[>|:\s\xa0]+")
GREETING = 40  #: letters of a greeting that a program puts above
_NEAR = 0.8  #: likeness from which a word is a command that was misspelt


@dataclass(frozen=True, slots=True)
class Orders:
    """What is to be done. ``owner``: whom "owner:" names; ``misspelt``: a first line that is nearly a command;
    ``priority``: ``high`` or ``normal``, ``critical``: ``yes`` or ``no``, where these are put right."""

    command: str = ""
    owner: str = ""
    words: str = ""
    misspelt: str = ""
    priority: str = ""
    critical: str = ""


def orders(text: str) -> Orders:
    """The commands of the first lines and the words below them. ``owner:``, ``priority:`` and ``critical:`` may stand
    before another command, each once."""
    above, lines = Orders(), ("" if _SIGNATURE.match(text) else text).strip().split("\n")
    while True:
        found = _command(lines[0])
        if found.name == "owner" and not above.owner:
            owner, _, more = found.argument.partition(" ")
            above, lines = replace(above, owner=owner or "me"), "\n".join([more, *lines[1:]]).strip().split("\n")
        elif value := _put_right(found, above):
            above, lines = replace(above, **{found.name: value}), "\n".join(lines[1:]).strip().split("\n")
        else:
            return _below(above, found, lines)


def _put_right(found: _Found, above: Orders) -> str:
    """What "priority:" or "critical:" says, the first time; ``""`` where it is neither, or says something else."""
    if found.unsure or found.name not in _SAID or getattr(above, found.name):
        return ""
    return _SAID[found.name].get(found.argument.strip(".! ").casefold(), "")


def _below(above: Orders, found: _Found, lines: list[str]) -> Orders:
    """The command of the first line that is none of those above, or that there is none."""
    rest = [found.argument, *lines[1:]] if found.argument else lines[1:]
    if found.name in COMMANDS and found.name not in _ABOVE and not found.unsure:
        words = "\n".join(rest).strip()
        below = _hidden(words) if found.name in ("close", "send") else ""
        return replace(above, words=words, misspelt=below) if below else replace(above, command=found.name, words=words)
    words = "\n".join(lines).strip()
    meant = found.name or _is_about_the_ticket(words)
    return replace(above, words=words, misspelt=lines[0].strip()[:80] if meant else _hidden(words, 1))


@dataclass(frozen=True, slots=True)
class _Found:
    """What a line orders: a command, or (``unsure``) what may be meant for one."""

    name: str = ""
    argument: str = ""
    unsure: bool = False


def _plain(line: str) -> str:
    """A line as it was meant: no letters that nobody sees, full-width ones as usual."""
    seen = "".join(one for one in line[:2000] if unicodedata.category(one) != "Cf")
    return unicodedata.normalize("NFKC", seen.translate(_COLONS)).translate(_COLONS)


def _command(line: str) -> _Found:
    """The command that a line is; a word that is nearly one, or that may mean one, is unsure."""
    found = _FIRST.match(_plain(line))
    if found is None:
        return _Found()
    written, mark, rest = found["word"].lower(), found["mark"].strip(), found["rest"].strip()
    word = _ALIASES.get(written, written)
    word = word if word in COMMANDS else _ALIASES.get(written.translate(_LATIN), written.translate(_LATIN))
    dressed = bool(found["inner"] or found["self"] or _BARE.match(line)) or mark[:1] in tuple(")]")
    if word in COMMANDS and (mark[:1] not in ("", "-", "–", "—") or dressed):
        sure = ":" in mark or (word == "note" and (dressed or ";" in mark))
        return _Found(word, rest, not sure)
    bare = not mark and not rest.strip(".! ")
    if bare and word in COMMANDS:
        return _Found(word, unsure=word != "close" or dressed)
    if word == "note" and (mark or not rest):
        return _Found(word, rest, unsure=True)
    if ":" not in mark:
        return _Found()
    swapped = any(sorted(word) == sorted(command) for command in COMMANDS)
    near = written in _EITHER or swapped or difflib.get_close_matches(word, COMMANDS, 1, _NEAR)
    return _Found(word, unsure=True) if near else _Found()


def request(words: str) -> str:
    """The word of a mail that is one word, a command of those that are about no ticket's answer; else ``""``."""
    word = _plain(words.strip()).strip(" .:!").casefold() if len(words) < 40 else ""
    return word if word in REQUESTS else ""


def _is_about_the_ticket(words: str) -> bool:
    """Whether all that is said is what becomes of the ticket, kindly: nothing that a customer could make sense of."""
    if _BARE_CHANGE.fullmatch(words) or request(words) in ("list", "confirm"):
        return True
    said = re.findall(r"[^\W\d_]+", words.lower()) if "?" not in words else []
    orders = [word for word in said if word in _ABOUT_IT]
    return (
        len(orders) == 1
        and 1 < len(said) <= MOST_KINDLY
        and all(word in _KINDLY for word in said if word not in orders)
    )


def _hidden(words: str, first: int = 0) -> str:
    """A line that orders a note where no command is looked for: below another command, or below a greeting."""
    lines = [line for line in words.split("\n") if line.strip()]
    looked = lines[first : first + 1]
    if first and (not lines or len(lines[0]) > GREETING):
        return ""
    return next((line.strip()[:80] for line in looked if _command(line).name == "note"), "")


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
    """Whether something of the notification is among these words: its line, or one of the ``marks`` (a reply
    address)."""
    flat = " ".join(words.split()).lower()
    return FENCE.lower() in flat or any(mark.lower() in flat for mark in marks if mark)
