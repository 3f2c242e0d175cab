"""Host names, domains and the hosts of URLs that the author names: lower-case, without ``www.``.

A name counts when its last label is a real top-level domain (or one of RFC 2606 and RFC 6762) and the name is not one
of a program, a file or a full stop without a blank behind it. Hosts of pasted logs are whoever came by, and no facts;
the target of a command (``ping shop.example``) is one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from gateway.mail.suffixes import top_level_domains
from gateway.model import Candidate
from gateway.read.late import late
from gateway.read.tables import EVERY_MAIL, Beginnings, around, lowered
from gateway.read.words.pasted import is_pasted, names_passers_by

MAX = 50
MAX_LINES = 4000
LONGEST = 300  #: characters on either side of a dot
SHORTER = LONGEST - 260  #: a name is no longer than 253 characters (RFC 1035 section 2.3.4)
_DOT = late(r"[^\W_]\.[^\W\d_]")
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_NAME = late(
    rf"(?<![\w@.%+=-])(?:(?P<scheme>[a-z][a-z0-9+.-]{{1,10}}://)(?:[^\s/@]{{1,80}}@)?|\*\.)?(?:_[\w-]{{1,40}}\.){{0,3}}"
    rf"(?P<host>(?:{_LABEL}\.){{1,8}}(?P<last>[^\W\d_][\w-]{{1,62}}))(?P<after>\.?(?:/|:\d{{1,5}}\b)?)(?![\w@])",
    re.IGNORECASE,
)
_LABELLED = late(
    r"(?<!\w)(?:host[ -]?names?|hostname|rechnername|nom d['’]hôte|nombre de host|nome host|имя хоста|хостнейм|ім['’]я "
    r"хоста)[ \t]{0,2}"
    r"(?:is|ist|est|es|è|[:=])?[ \t]{0,2}[\"'`„“«(]?(?P<host>[a-z][a-z0-9-]{1,61}[a-z0-9])(?![\w.@-]\w)",
    re.IGNORECASE,
)
_LABELS_BEGIN = (
    "host",
    "rechnername",
    "nom d",
    "nombre de host",
    "nome host",
    "имя хоста",
    "хостнейм",
    "ім'я хоста",
    "ім’я хоста",
)
_SPECIAL = frozenset("example test invalid local localdomain lan internal intranet corp home arpa onion".split())
#: top-level domains that are words or file name extensions as well: such a name needs a second sign
_AMBIGUOUS = frozenset(
    "pl rs so md ps cc ml mov do pm app is it in at be to us me no my am as by la es un et il un de da an so "
    "ist al el id "
    "ma sa si se te tu va vi hu ne li lo na nu om re pro info name new page date here now how one then so today live "
    "works help "
    "support email cash cool fast run plus phone call care fail fix".split()
)
#: those that files end in far more often than hosts: main.cf, multi-user.target, backup-db.sh
_FILE_ENDS = frozenset("sh py zip cf tf pub map properties target mk cab".split())
LONG_LABEL, FAIR_LABEL = (
    14,
    7,
)  #: letters before a top-level domain that is a word, from which the two are hardly a slip
_GENERIC = frozenset("app page name info email support works live".split())
#: names with a dot that are programs, frameworks and shops of the whole world, and nobody's server here
_NOBODYS = frozenset(
    "asp.net vb.net ado.net paint.net node.js vue.js next.js socket.io draw.io google.com gmail.com googlemail.com "
    "outlook.com hotmail.com yahoo.com "
    "icloud.com gmx.de gmx.net web.de mail.ru yandex.ru ukr.net imgur.com i.imgur.com prnt.sc prntscr.com pastebin.com "
    "ibb.co postimg.cc gyazo.com "
    "drive.google.com docs.google.com dropbox.com wetransfer.com snipboard.io t.me wa.me facebook.com youtube.com "
    "youtu.be twitter.com x.com instagram.com "
    "linkedin.com github.com gitlab.com stackoverflow.com wikipedia.org example.com. co.kg".split()
)
_HOST_WORD = late(
    r"(?:sites?|websites?|web ?page|homepage|domains?|domän\w*|hosts?|hostname|server\w*|serv[ie]\w{3,5}|url|link|shop"
    r"|store|page|blog|panel|subdomain|webseite|seite|"
    r"servizio|sito|dominio|página|sitio|web|домен\w*|сайт\w*|хост\w*|магазин\w*|сервер\w*|strona|stron[yęa]"
    r"|domen\w*)\W{1,3}(?:is |named |called |ist |est |es |è )?\Z",
    re.IGNORECASE,
)
_TARGET = late(
    r"(?:^|[ \t$#>])(?:ping6?|traceroute6?|tracert|mtr|ssh|telnet|nc|curl|wget|nmap|dig|host|nslookup|openssl s_client "
    r"-connect)[ \t]|traceroute to |tracing route to ",
    re.IGNORECASE,
)
_FIELD = late(
    r"[ \t>|]{0,8}(?:received|return-path|message-id|dkim-signature|authentication-results|x-[\w-]{1,40}"
    r"|arc-[\w-]{1,40}|reporting-mta|remote-mta|"
    r"final-recipient|diagnostic-code|list-[\w-]{1,20}|envelope-to|delivered-to|from|to|cc|sender|reply-to):[ \t]",
    re.IGNORECASE,
)
_FILE = late(r"[~./\\][\w./\\-]{0,80}\Z")
#: "anna@ shop.example", "anna (at) shop.example": an e-mail address, however it is written
_MAILBOX = late(r"(?:@|\w[ \t]?[(\[{][ \t]?(?:at|ät|а[тt])[ \t]?[)\]}])[ \t]?\Z", re.IGNORECASE)
_AT_WORD = late(r"\w[ \t](?:at|ät)[ \t]\Z", re.IGNORECASE)  #: "anna at shop dot example"
_LOGS_IN = late(
    r"(?<!\w)(?:ssh|scp|sftp|rsync|mosh|sshfs|ssh-copy-id)[ "
    rf"\t][^\n@]{{0,200}}[\w.-]{{1,32}}@(?P<host>(?:{_LABEL}\.){{1,8}}[^\W\d_][\w-]{{1,62}})(?![\w@])",
    re.IGNORECASE,
)
#: "all boxes @shop.example": every address of a domain
_BOXES = late(
    rf"(?<![\w@.+*/\\%-])\*?@(?P<host>(?:{_LABEL}\.){{1,8}}(?P<last>[^\W\d_][\w-]{{1,62}}))(?![\w@/:])", re.IGNORECASE
)
#: "shop dot example", which nobody's program makes a link of
_SPOKEN = late(
    rf"(?<![\w@.-])(?P<host>{_LABEL}(?:[ \t](?:dot|punkt|punto|point|точка)[ \t](?:{_LABEL})){{0,3}}[ \t](?:dot|punkt"
    r"|punto|point|точка)[ \t](?P<last>[^\W\d_]{2,12}))(?!\w)",
    re.IGNORECASE,
)
_SPOKEN_SIGNS = (" dot ", " punkt ", " punto ", " point ", " точка ")
_SPOKEN_DOT = late(r"[ \t](?:dot|punkt|punto|point|точка)[ \t]", re.IGNORECASE)
#: what a line has that names a host otherwise than by its dots
_SIGNS = Beginnings((*_LABELS_BEGIN, "dot ", "punkt ", "punto ", "point ", "точка "), among=EVERY_MAIL)
#: as abuse desks write hosts that nobody shall follow
_DEFANGED = (("[.]", "."), ("(.)", "."), ("[dot]", "."), ("hxxp", "http"))


@functools.cache
def _top_level() -> frozenset[str]:
    return top_level_domains() | _SPECIAL


def _is_host(match: re.Match[str], line: str, beside: bool = False) -> bool:
    """``beside``: whether a host ends right before the slash before it ("a.example/b.example")."""
    host, last = match["host"], match["last"]
    lower = host.lower()
    certain = bool(match["scheme"]) or lower.startswith("www.") or bool(match["after"].strip("."))
    try:
        top = last.lower().encode("idna").decode() if not last.isascii() else last.lower()
    except UnicodeError:
        return False
    if top not in _top_level() or _is_nobodys(lower):
        return False
    if match["scheme"] and match["scheme"].lower() in ("file://", "data://"):
        return False
    if certain:
        return True
    if last[0].isupper() and not host[: -len(last)].isupper() and not last.isupper():
        return False  # "down.Please": a full stop without its blank
    before = line[max(0, match.start() - 40) : match.start()]
    if not any(char.isalpha() for char in host[: -len(last)]) and not _HOST_WORD.search(before):
        return False  # "version 2.0.de"
    if _MAILBOX.search(before) or (_FILE.search(before) and not beside):
        return False
    if top in _FILE_ENDS:
        return bool(_HOST_WORD.search(before)) or (host.count(".") >= 2 and "_" not in host)
    if top in _AMBIGUOUS:
        label = len(host) - len(last) - 1
        return (
            host.count(".") >= 2
            or label >= LONG_LABEL
            or (label >= FAIR_LABEL and (top in _GENERIC or not before.strip(" \t>*-")))
            or any(char.isdigit() or char == "-" for char in host)
            or bool(_HOST_WORD.search(before))
        )
    return True


def _is_nobodys(host: str) -> bool:
    """Whether a name is one that the whole world uses, or below one: ``autodiscover.outlook.com``."""
    labels = host.split(".")
    above = (".".join(labels[at:]) for at in range(1, len(labels) - 1))
    return host in _NOBODYS or any(one in _NOBODYS and one != "co.kg" for one in above)


def _names(line: str) -> Iterator[re.Match[str]]:
    """What is written like a name with dots, looked for only around a dot between letters or digits."""
    done = 0
    for dot in _DOT.finditer(line):
        if dot.start() < done:
            continue
        begin = max(
            line.rfind(" ", 0, dot.start()) + 1, line.rfind("\t", 0, dot.start()) + 1, dot.start() - LONGEST, done
        )
        match = _NAME.search(line, begin, dot.start() + LONGEST)
        if match is None:
            done = dot.start() + SHORTER  # what begins before would have been found
        while match is not None:
            done = match.end()
            yield match
            if match.end() > dot.start():
                break
            match = _NAME.search(line, match.end(), dot.start() + LONGEST)


def _dotted(line: str) -> Iterator[tuple[str, str]]:
    """(host, what stands around it) of the names with dots in a line that are hosts."""
    last = -1
    for match in _names(line):
        beside = match.start() - 1 == last and not match["scheme"] and line[last : last + 1] == "/"
        if not _is_host(match, line, beside):
            continue
        last, value = match.end("host"), match["host"].lower()
        yield value.removeprefix("www.") if value.count(".") >= 2 else value, around(line, *match.span("host"))
    if "@" in line:
        for match in _BOXES.finditer(line[:1000]):
            host, top = match["host"].lower(), match["last"].lower()
            if top in _top_level() and (top not in _AMBIGUOUS or host.count(".") >= 2) and not _is_nobodys(host):
                yield host, around(line, *match.span())
        for login in _LOGS_IN.finditer(line[:1000]):
            yield login["host"].lower(), around(line, *login.span("host"))


def _labelled(line: str) -> Iterator[tuple[str, str]]:
    """The same of names without a dot that a label says to be one."""
    for match in _LABELLED.finditer(line):
        if any(char.isdigit() or char == "-" for char in match["host"]):
            yield match["host"].lower(), match[0][:80]


def _spoken(line: str) -> Iterator[tuple[str, str]]:
    """The same of names whose dots are words."""
    lower = line.lower()
    for match in _SPOKEN.finditer(line[:1000]) if any(sign in lower for sign in _SPOKEN_SIGNS) else ():
        before = line[max(0, match.start() - 8) : match.start()]
        if _MAILBOX.search(before) or _AT_WORD.search(before):
            continue
        last = match["last"].lower()
        if last in _top_level() and last not in _AMBIGUOUS:
            yield _SPOKEN_DOT.sub(".", match["host"]).lower(), around(line, *match.span())


def hosts_in(text: str) -> tuple[Candidate, ...]:
    """Hosts in order of appearance; ``words`` is what stands around each."""
    for written, meant in _DEFANGED:
        if written in text:
            text = text.replace(written, meant)
    found: dict[str, Candidate] = {}
    for line, dotted in _lines(text):
        if len(found) >= MAX:
            break
        for value, words in _of_line(line, dotted):
            found.setdefault(value, Candidate(value, words))
    return tuple(found.values())[:MAX]


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """(line, whether a dot stands within a word) of the lines that may name a host, in order."""
    lower = lowered(text)
    at = {text.rfind("\n", 0, place) + 1: False for place in _SIGNS.places(lower, MAX_LINES)}
    dot = text.find(".")
    while dot >= 0:
        if text[dot + 1 : dot + 2].isalpha() and text[dot - 1 : dot].isalnum():
            at[text.rfind("\n", 0, dot) + 1] = True
            dot = text.find("\n", dot)
        dot = text.find(".", dot + 1) if dot >= 0 else dot
    for begin in sorted(at)[:MAX_LINES]:
        end = text.find("\n", begin)
        yield text[begin : end if end >= 0 else len(text)], at[begin]


def _of_line(line: str, dotted: bool) -> Iterator[tuple[str, str]]:
    if _is_others(line):
        return
    if dotted:
        yield from _dotted(line)
    yield from _labelled(line)
    yield from _spoken(line)


def _is_others(line: str) -> bool:
    """Whether the hosts of the line are those of a log or a header, not what the author speaks of."""
    head = line[:400]
    if _TARGET.search(head):
        return False
    return bool(_FIELD.match(head)) or is_pasted(head) or names_passers_by(head.lower())
