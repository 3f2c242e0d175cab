"""Whose client a mail came from, when a relay speaks for it, and which recipients are ours."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from gateway.mail.header import first_lines, named

#: why the client is unknown where a trusted relay sent no XFORWARD and its Received line tells nothing that can be
#: trusted
NO_CLIENT = (
    "client unknown: the relay's Received line is of no known form; let it send XFORWARD "
    "(Postfix: lmtp_send_xforward_command = yes, or smtp_...)"
)
_IP = r"(?P<ip>[0-9A-Fa-f:.]{2,45})"
_LITERAL = rf"\[(?:IPv6:)?{_IP}\]"
_HOST = r"[A-Za-z0-9_.-]{1,255}"
_END = r"(?= (?:\(|by )|;|$)"
#: what each MTA writes behind "from". The client's own words (HELO) are one word without blanks in each of them, and
#: the address stands in a place that the client cannot reach: a literal as HELO is never taken for it.
_FORMS = (
    # Postfix, Sendmail, Haraka, OpenSMTPD, Courier: HELO (name [address]), HELO ([address]); Sendmail adds IDENT and
    # doubt
    re.compile(
        rf"[^\s()]+ \((?:IDENT:)?(?:[^\s()\[\]@]{{1,64}}@)?(?:(?:{_HOST}|<unknown>) )?{_LITERAL}"
        rf"(?: \(may be forged\))?\){_END}",
        re.IGNORECASE,
    ),
    # Exim with a verified name: name ([address]:port helo=HELO ident=...)
    re.compile(rf"{_HOST} \({_LITERAL}(?::\d{{1,5}})?(?: (?:helo|ident)=[^\s()]+){{0,2}}\){_END}", re.IGNORECASE),
    # Exim without: [address] (port=... helo=HELO), which is no Postfix line: there a name and an address stand behind
    # HELO
    re.compile(rf"{_LITERAL}(?::\d{{1,5}})?(?: \((?:port|helo|ident)=[^\s()]+(?: (?:helo|ident)=[^\s()]+)*\))?(?= by "
               r"|$)",
               re.IGNORECASE),
    # Exchange: HELO (address) by name (address) with Microsoft SMTP Server
    re.compile(rf"[^\s()]+ \({_IP}\) by {_HOST} \([0-9A-Fa-f:.%]{{2,60}}\) with Microsoft SMTP Server\b",
    re.IGNORECASE),
)  # fmt: skip
#: a second address in the line: an MTA that lets blanks and brackets into HELO wrote it, and the first is the client's
#: own
_ANOTHER = re.compile(
    r"[\[(](?:IPv6:)?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,40})[\])]", re.IGNORECASE
)
_HELO = re.compile(r"\bhelo=([^\s()]+)", re.IGNORECASE)
MAX_RECEIVED = 4000  #: octets of a Received field


def plain_address(text: str | None) -> str | None:
    """An IP address as XFORWARD writes it (``IPV6:`` prefix allowed), or ``None``."""
    try:
        return str(ipaddress.ip_address(re.sub(r"(?i)^ipv6:", "", text or "")))
    except ValueError:
        return None


def received_client(head: bytes) -> tuple[str | None, str | None]:
    """(address, HELO name) of the client in the topmost Received field, which a trusted relay wrote.

    The address is read exactly where Postfix, Sendmail, Haraka, OpenSMTPD, Courier, Exim and Exchange write it; in any
    other form, or in one that two of them would read differently, it is ``None``: whoever guesses takes what the client
    said of itself (``EHLO [192.0.2.1]``) for its address.
    """
    _, found = next(named(first_lines(head), b"received"), (0, b""))
    words = b" ".join(found[:MAX_RECEIVED].split()).decode("ascii", "replace")
    start, _, rest = words.partition(" ")
    if start.lower() != "from" or not rest:
        return None, None
    matches = [match for form in _FORMS if (match := form.match(rest)) and not _ANOTHER.search(rest, match.end())]
    addresses = {plain_address(match["ip"]) for match in matches}
    helo = _HELO.search(matches[0][0]) if matches else None  # Exim writes the client's name in front, HELO behind
    return (addresses.pop() if len(addresses) == 1 else None), helo[1] if helo else rest.split(" ", 1)[0]


#: values of one line
_RETURN_PATH = re.compile(rb"[ \t]*<?([^<>\s]*)>?[ \t]*\r?$", re.MULTILINE)
_DELIVERED_TO = re.compile(rb"[ \t]*<?([^<>\s,;]{3,320})>?[ \t]*\r?$", re.MULTILINE)


def _matches(raw: bytes | bytearray, form: re.Pattern[bytes], *names: bytes) -> list[str]:
    """The address in each field of these names that has this form, in order."""
    values = (value for _, value in named(first_lines(raw), *names))
    return [found[1].decode("ascii", "replace") for value in values if (found := form.match(value)) is not None]


def return_path(raw: bytes | bytearray) -> str | None:
    """The address of the Return-Path field, ``""`` for the null sender, ``None`` without the field."""
    return next(iter(_matches(raw, _RETURN_PATH, b"return-path")), None)


def delivered_to(raw: bytes | bytearray) -> tuple[str, ...]:
    """The envelope recipients that the mailbox's host wrote down (Delivered-To, X-Original-To, Envelope-To)."""
    return tuple(dict.fromkeys(_matches(raw, _DELIVERED_TO, b"delivered-to", b"x-original-to", b"envelope-to")))[:20]


def accepts(recipients: tuple[str, ...], reply_domain: str, is_bounce: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether RCPT is ours: a configured address, any plus-address of one, a bounce address, or postmaster."""
    known = {address.lower() for address in recipients}
    domains = {address.rpartition("@")[2] for address in known} | {reply_domain.lower()}
    locals_ = {address.rpartition("@")[0] for address in known}

    def accept(address: str) -> bool:
        local, at, domain = address.lower().rpartition("@")
        if not at:
            return domain == "postmaster"
        if domain not in domains:
            return False
        if local == "postmaster" or is_bounce(address) or f"{local}@{domain}" in known:
            return True
        base, plus, _ = local.partition("+")
        return bool(plus) and (f"{base}@{domain}" in known or (domain == reply_domain.lower() and base in locals_))

    return accept
