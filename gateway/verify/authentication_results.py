"""Authentication-Results (RFC 8601): what one named host says it saw. Fields of anybody else are somebody's claim.

From the relay in front or the mailbox's host only the SPF result is taken, for a client that we did not see ourselves;
DKIM and DMARC are evaluated here from the raw bytes. An ARC sealer's results are parsed by the same code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import authres

from gateway.mail.header import named
from gateway.verify.spf import SpfResult

MAX_FIELD = 16 * 1024
MAX_FIELDS = 20
MAX_RECEIVED = 4000
_BY = re.compile(rb"\sby\s+([^\s;()]{1,255})", re.IGNORECASE)
_RESULTS = frozenset(["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"])
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)+")


@dataclass(frozen=True, slots=True)
class Reported:
    """SPF as (result, MAIL FROM domain), ``None`` where it is not named; the domains of DKIM signatures that passed;
    the author's domains for which DMARC failed."""

    spf: tuple[str, str] | None = None
    dkim: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def reported(value: bytes) -> Reported:
    """The results in a field's value, the authserv-id first. What cannot be read says nothing."""
    text = b" ".join(value[:MAX_FIELD].split()).decode("ascii", "replace")
    if text.count("(") > 200:
        return Reported()
    try:
        results = list(authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {text}").results)
    except Exception:  # authres raises what its author did not foresee
        return Reported()
    spf: tuple[str, str] | None = None
    signed: list[str] = []
    refused: list[str] = []
    for result in results[:50]:
        method, word = str(getattr(result, "method", "")).lower(), str(result.result).lower()
        if method == "spf" and spf is None and word in _RESULTS:
            domain = _domain(_property(result, "smtp", ("mailfrom", "mfrom")))
            spf = (word, domain) if domain or word != "pass" else None
        elif method == "dkim" and word == "pass":
            signed.append(_domain(_property(result, "header", ("d",)) or _property(result, "header", ("i",))))
        elif method == "dmarc" and word == "fail":
            refused.append(_domain(_property(result, "header", ("from",))))
    return Reported(spf, *(tuple(domain for domain in names if domain) for names in (signed, refused)))


def _property(result: authres.AuthenticationResult, kind: str, names: tuple[str, ...]) -> str:
    return next((str(p.value) for p in result.properties if p.type == kind and p.name in names), "")


def _domain(text: str) -> str:
    domain = text.rpartition("@")[2].strip("<>").lower().rstrip(".")
    return domain if _DOMAIN.fullmatch(domain) else ""


def reported_spf(header_block: bytes, authserv_id: str) -> SpfResult | None:
    """The SPF result in the topmost field of ``authserv_id``; ``None`` when it says nothing that can be used. What
    stands below a Received field that came with the mail was there before that host had it (RFC 8601 section 5)."""
    for place, value in named(header_block, b"authentication-results", most=MAX_FIELDS):
        name = re.match(rb"\s{0,10}\"?([^\s;\"()]{1,255})", value)
        if name is None or not _same(name[1], authserv_id):
            continue
        if _came_with_the_mail(header_block[:place], authserv_id):
            return SpfResult(
                "none", "", f"a field of {authserv_id} stands below other hosts' Received: it came with the mail"
            )
        spf = reported(value).spf
        return SpfResult(*spf, f"as {authserv_id} reports") if spf else None
    return None


def _came_with_the_mail(above: bytes, host: str) -> bool:
    """Whether further Received fields stand below the first one that ``host`` wrote."""
    passed = False
    for _, value in named(above, b"received"):
        if passed:
            return True
        by = _BY.search(value[:MAX_RECEIVED])
        passed = by is not None and _same(by[1], host)
    return False


def _same(name: bytes, host: str) -> bool:
    return name.decode("ascii", "replace").lower().rstrip(".") == host.lower().rstrip(".")
