"""Mailbox addresses: plain local parts (RFC 5322 section 3.4.1; beyond ASCII RFC 6532), domains as A-labels (RFC
5890)."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

from gateway.mail.suffixes import registrable

MAX_LOCAL = 64  #: octets, RFC 5321 section 4.5.3.1.1
MAX_DOMAIN = 253  #: characters, RFC 1035 section 2.3.4
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_DOT_ATOM = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+)*"
)


def visible(text: str) -> bool:
    """Whether what is beyond ASCII can be seen and can be written in one way only: letters, marks, digits, signs, in
    normal form C. So no address beyond ASCII looks like nothing, turns the line round, or equals one in ASCII once it
    is normalised (U+212A is K)."""
    return text.isascii() or (
        unicodedata.is_normalized("NFC", text)
        and all(char.isascii() or (unicodedata.category(char)[0] in "LMNPS" and char != "\ufffd") for char in text)
    )


def plain_local(local: str) -> bool:
    """Whether this is a dot-atom, of ASCII or of visible characters beyond it, of at most 64 octets."""
    return _DOT_ATOM.fullmatch(local) is not None and visible(local) and len(local.encode()) <= MAX_LOCAL


def a_label(domain: str) -> str | None:
    """The domain in lower case and ASCII (UTS 46, not transitional); ``None`` where it has no such form."""
    domain = domain.lower()
    if domain.isascii():
        return domain
    import idna  # here: its tables are large, and most domains come in ASCII

    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return None


def plain_domain(domain: str) -> str | None:
    """The domain of an author's address as A-label, without a final dot; ``None`` where it is no domain name (RFC 1035
    section 2.3.1, with ``_`` and any digits), such as an IP address: no top-level domain is a number."""
    host = a_label(domain.removesuffix("."))
    if host is None or len(host) > MAX_DOMAIN:
        return None
    labels = host.split(".")
    return host if all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit() else None


def with_a_label(address: str) -> str:
    """The address with its domain as A-label, where it has one."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{a_label(domain) or domain}"


def one_spelling(address: str) -> str:
    """An address, or a domain alone, in the one form in which it is compared with others: in lower case, the local part
    without needless quotes or a source route (RFC 5321 sections 4.1.2, 4.1.1.3), the domain as A-label without dots
    around it. What has no such form is left as it is."""
    local, at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    domain = domain.strip(" \t.\u3002\uff0e\uff61").lower()
    if local.startswith("@"):
        local = local.rpartition(":")[2]
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return f"{local.lower()}{at}{a_label(domain) or domain}"


_PARENTHESIS = re.compile(r"[()]")
_ESCAPED = re.compile(r"\\[()]")
_AROUND = re.compile(r"(?<![ \t\r\n])[ \t\r\n]*([.@])[ \t\r\n]*")
_PLAIN = re.compile(r'[^\s<>()\[\],;:"@]*')
_HOST = re.compile(r"[^\s!-,/:-@\[-^`{-~]*")  #: no ASCII sign but those of a domain name
_SIGNS = re.compile(r"[\[\]\"\\]")


def named_in(text: str) -> tuple[str, ...]:
    """Every address that a text may be read to name, in ``one_spelling``: for who looks for one, not for who takes one
    for the author. Comments and blanks in it do not count (RFC 5322 section 3.4.1): they part words, or stand in the
    middle of one, as quotes and brackets do. Linear in the text."""
    text = "".join(char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf")
    text = _ESCAPED.sub(" ", text)
    ways = (_without_comments(text, " "), _SIGNS.sub("", _without_comments(text, "")))
    return tuple(dict.fromkeys(one for way in dict.fromkeys(ways) for one in _addresses(_AROUND.sub(r"\1", way))))


def _without_comments(text: str, instead: str) -> str:
    """A text without its outermost pairs of parentheses; one that has no partner stays."""
    opened: list[int] = []
    gone: list[tuple[int, int]] = []
    for found in _PARENTHESIS.finditer(text):
        if found[0] == "(":
            opened.append(found.start())
        elif opened:
            begin = opened.pop()
            while gone and gone[-1][0] > begin:
                gone.pop()
            gone.append((begin, found.end()))
    stays = zip([0, *(end for _, end in gone)], [*(begin for begin, _ in gone), len(text)], strict=True)
    return instead.join(text[begin:end] for begin, end in stays)


def _addresses(text: str) -> Iterator[str]:
    for at in re.finditer("@", text):
        found = _around(text[max(0, at.start() - 200) : at.start()], text[at.end() : at.end() + 255])
        if found:
            yield found


def _around(before: str, behind: str) -> str:
    """The address whose ``@`` stands between these."""
    domain = _begin(_HOST, behind)
    if not domain:
        return ""
    quoted = before.endswith('"') and '"' in before[:-1]
    local = before[before.rindex('"', 0, -1) :] if quoted else _begin(_PLAIN, before[::-1])[::-1]
    return one_spelling(f"{local}@{domain}")


def _begin(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.match(text)
    return found[0] if found is not None else ""


@functools.lru_cache(maxsize=256)  # asked four times of each mail's author
def canonical(address: str) -> str:
    """The form in which mail to one mailbox is counted, however its address is written: letter case, the domain's
    spelling and final dot, a tag behind ``+`` (RFC 5233) and, at Gmail, dots and the second domain name make no second
    mailbox.

    For counting only: whether two addresses are the same customer is the directory's business.
    """
    local, _, domain = unicodedata.normalize("NFKC", address.strip()).rpartition("@")
    domain = domain.rstrip(".")
    domain = a_label(domain) or domain.lower()
    local = local.casefold()
    local = local[:1] + local[1:].partition("+")[0]
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"


#: where anybody gets a mailbox: the people there have nothing in common but the domain
PROVIDERS = frozenset(
    """
    126.com 139.com 163.com abv.bg aim.com alice.it aliceadsl.fr aol.com aol.de arcor.de att.net bellsouth.net bk.ru
    bluewin.ch bol.com.br btinternet.com centrum.cz comcast.net cox.net duck.com email.cz email.de email.it
    fastmail.com fastmail.fm foxmail.com free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.fr gmx.net
    googlemail.com hey.com hotmail.be hotmail.co.uk hotmail.com hotmail.com.br hotmail.de hotmail.es hotmail.fr
    hotmail.it hotmail.nl hushmail.com i.ua icloud.com inbox.lv inbox.ru interia.pl inwind.it juno.com laposte.net
    libero.it list.ru live.be live.ca live.co.uk live.com live.com.au live.de live.fr live.it live.nl live.se
    mac.com mail.bg mail.com mail.de mail.ee mail.ru mailbox.org me.com meta.ua msn.com naver.com netzero.net
    neuf.fr ntlworld.com o2.pl onet.pl online.de orange.es orange.fr outlook.at outlook.com outlook.com.br
    outlook.de outlook.es outlook.fr outlook.it pm.me poczta.onet.pl posteo.de proton.me protonmail.ch
    protonmail.com qq.com rambler.ru rediffmail.com rocketmail.com sapo.pt sbcglobal.net seznam.cz sfr.fr sina.com
    sky.com skynet.be sohu.com swissonline.ch t-online.de talktalk.net telefonica.net telenet.be terra.com.br tin.it
    tiscali.it tuta.com tuta.io tutanota.com uk2.net ukr.net uol.com.br verizon.net virgilio.it virginmedia.com
    vodafone.it wanadoo.fr web.de wp.pl xs4all.nl xtra.co.nz ya.ru yahoo.ca yahoo.co.id yahoo.co.in yahoo.co.jp
    yahoo.co.uk yahoo.com yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.mx yahoo.de yahoo.es yahoo.fr yahoo.in
    yahoo.it yandex.by yandex.com yandex.kz yandex.ru yandex.ua yeah.net ymail.com ziggo.nl zoho.com zohomail.com
    """.split()
)


@functools.lru_cache(maxsize=256)
def neighbourhood(address: str) -> str:
    """The domain whose people share a budget: the registrable one; at a public mail provider it is the mailbox
    alone."""
    mailbox = canonical(address)
    domain = mailbox.rpartition("@")[2]
    return mailbox if domain in PROVIDERS else registrable(domain)


def lexed(text: str) -> list[tuple[str, str]] | None:
    """(kind, text) of quoted strings, comments, specials and words; ``None`` when a quote or comment never ends."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char in " \t":
            position += 1
        elif char in "<>,;:[]\\":
            tokens.append(("special", char))
            position += 1
        else:
            kind, found = (
                ("quoted", _quoted) if char == '"' else ("comment", _comment) if char == "(" else ("word", _word)
            )
            piece = found(text, position)
            if piece is None:
                return None
            tokens.append((kind, piece[0]))
            position = piece[1]
    return tokens


def _quoted(text: str, start: int) -> tuple[str, int] | None:
    """(what a quoted string says, where it ends)."""
    content, end = [], start + 1
    while end < len(text) and text[end] != '"':
        if text[end] == "\\" and end + 1 < len(text):
            end += 1
        content.append(text[end])
        end += 1
    return ("".join(content), end + 1) if end < len(text) else None


def _comment(text: str, start: int) -> tuple[str, int] | None:
    """(what a comment says, with those inside it, where it ends)."""
    depth, end = 1, start + 1
    while end < len(text) and depth:
        if text[end] == "\\":
            end += 1
        elif text[end] == "(":
            depth += 1
        elif text[end] == ")":
            depth -= 1
        end += 1
    return None if depth else (text[start + 1 : end - 1], end)


def _word(text: str, start: int) -> tuple[str, int] | None:
    end = start
    while end < len(text) and text[end] not in ' \t"(<>,;:[]\\)':
        end += 1
    return (text[start:end], end) if end > start else None
