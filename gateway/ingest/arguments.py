"""The arguments of commands: paths (RFC 5321 section 4.1.2, RFC 6531 section 3.3) and Postfix's XFORWARD attributes."""

from __future__ import annotations

import re

from gateway.mail.address import visible, with_a_label

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]"
_PATH = re.compile(
    rf"<(?:@[^<>:\s]{{1,500}}:)?(?P<a>(?P<local>{_ATEXT}{{1,64}}|\"(?:[^\"\\\r\n]"
    r"|\\.){0,62}\")@(?P<host>\[[0-9A-Fa-f:.IPv]+\]|[A-Za-z0-9_.-]{1,255}))>"
)
_ANY = r"[^\x00-\x7f]"
_INTERNATIONAL_PATH = re.compile(  # RFC 6531 section 3.3
    rf"<(?P<a>(?:{_ATEXT}|{_ANY}){{1,64}}@(?:\[[0-9A-Fa-f:.IPv]+\]|(?:[A-Za-z0-9_.-]|{_ANY}){{1,255}}))>"
)
_SIMPLE = re.compile(r"[^\s<>]{3,320}")
_XTEXT = re.compile(r"\+([0-9A-Fa-f]{2})")


def path(argument: str, keyword: str) -> tuple[str, list[str]] | None:
    """(address, parameters) of ``FROM:<a> P=1``; the address is empty for ``<>``."""
    if not argument.upper().startswith(keyword):
        return None
    rest = argument[len(keyword) :].lstrip()
    if rest.startswith("<>"):
        return "", rest[2:].split()
    found = _PATH.match(rest)
    if found:
        return found["a"], rest[found.end() :].split()
    if not rest.isascii() and (found := _INTERNATIONAL_PATH.match(rest)) and visible(found["a"]):
        return with_a_label(found["a"]), rest[found.end() :].split()
    if rest.lower().startswith("<postmaster>"):
        return "postmaster", rest[12:].split()
    first, _, parameters = rest.partition(" ")
    if _SIMPLE.fullmatch(first) and _PATH.fullmatch(f"<{first}>"):
        return first, parameters.split()
    return None


def attributes(argument: str) -> dict[str, str] | None:
    """``{NAME: value}`` of XFORWARD and XCLIENT; a value that is not available is empty. ``None``: bad syntax."""
    found: dict[str, str] = {}
    for item in argument.split():
        name, equals, value = item.partition("=")
        if not equals or len(value) > 300:
            return None
        value = _XTEXT.sub(lambda hexed: chr(int(hexed[1], 16)), value)
        if value.upper() in ("[UNAVAILABLE]", "[TEMPUNAVAIL]") or not value.isprintable():
            value = ""
        found[name.upper()] = value
    return found
