"""Where the links of a mail lead, said by us: the host as a browser finds it (WHATWG URL, section 4.4), in ASCII."""

from __future__ import annotations

import re
import unicodedata
from html import escape, unescape
from urllib.parse import quote, unquote

from gateway.mail.address import a_label

SCHEMES = ("http://", "https://", "mailto:", "tel:")
MAX_SHOWN = 253  #: characters of a host; of a longer one its end, which says whose it is
#: tags as nh3 writes them: every value in double quotes, no other "<" in the text
_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?:\s+[^\s="<>/]+="[^"]*")*)\s*/?>')
_HREF = re.compile(r'\shref="([^"]*)"')
#: embeddings, overrides and isolates (Unicode Standard Annex 9, section 2)
_DIRECTED = re.compile("[\u202a-\u202e\u2066-\u2069]")
_PORT = re.compile(r":[0-9]*\Z")
_SAFE = "@[]:,+"


def kept(href: str) -> str | None:
    """The address of a link, or ``None``: not one that is followed, or with characters in it that nobody sees or that
    turn the line round."""
    href = href.strip(" \t\r\n\f")
    if not href.lower().startswith(SCHEMES) or any(map(_hides, href)):
        return None
    return href


def _hides(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs")


def undirected(text: str) -> str:
    """A text without the characters that turn the order of what stands behind them."""
    return _DIRECTED.sub("", text)


def leads_to(href: str) -> str:
    """Where a link leads: a host as A-label with its port, or ``mailto:`` and ``tel:`` with whom they name; every other
    octet percent-encoded."""
    scheme, _, rest = href.partition(":")
    if scheme.lower() in ("mailto", "tel"):
        return _end(f"{scheme.lower()}:{quote(unquote(rest.partition('?')[0]), safe=_SAFE)}")
    authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0]
    whole = unquote(authority.rpartition("@")[2])
    host = _PORT.sub("", whole)
    name = a_label(host) if len(host) <= MAX_SHOWN else None
    return _end(quote((name or host) + whole[len(host) :], safe=_SAFE)) or "nowhere"


def _end(said: str) -> str:
    return said if len(said) <= MAX_SHOWN else f"...{said[-MAX_SHOWN:]}"


def labelled(html: str) -> str:
    """What ``nh3`` wrote, with the word where it leads at the end of every link."""
    opened: list[str] = []

    def told(match: re.Match[str]) -> str:
        if match[2] != "a":
            return match[0]
        if not match[1]:
            href = _HREF.search(match[3])
            opened.append(leads_to(unescape(href[1])) if href is not None else "")
            return match[0]
        where = opened.pop() if opened else ""
        return f'<bdi class="leads" dir="ltr">{escape(where)}</bdi></a>' if where else match[0]

    return _TAG.sub(told, html)
