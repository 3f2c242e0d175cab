"""Authentication-Results (RFC 8601) of the one host whose word counts: the relay in front, or the mailbox's host.

Only its SPF result is taken, for a client that we did not see ourselves; DKIM and DMARC are evaluated here from the raw
bytes. Fields of any other authserv-id are somebody's claim and are not looked at.
"""

from __future__ import annotations

import re

import authres

from gateway.verify.spf import SpfResult

MAX_FIELD = 16 * 1024
MAX_FIELDS = 20
_FIELD = re.compile(rb"(?im)^authentication-results[ \t]*:((?:[^\n]|\n[ \t]){0,20000})")
_RESULTS = frozenset(["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"])


def reported_spf(header_block: bytes, authserv_id: str) -> SpfResult | None:
    """The SPF result in the topmost field of ``authserv_id``; ``None`` when it says nothing that can be used."""
    for number, found in enumerate(_FIELD.finditer(header_block)):
        if number >= MAX_FIELDS:
            break
        value = b" ".join(found[1][:MAX_FIELD].split()).decode("ascii", "replace")
        if not _is_from(value, authserv_id):
            continue
        return _spf(value, authserv_id) if value.count("(") < 200 else None
    return None


def _is_from(value: str, authserv_id: str) -> bool:
    name = re.match(r"\s{0,10}\"?([^\s;\"()]{1,255})", value)
    return name is not None and name[1].lower().rstrip(".") == authserv_id.lower().rstrip(".")


def _spf(value: str, authserv_id: str) -> SpfResult | None:
    try:
        parsed = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {value}")
        results = list(parsed.results)
    except Exception:  # authres raises what its author did not foresee; a field that cannot be read says nothing
        return None
    for result in results:
        if str(getattr(result, "method", "")).lower() != "spf":
            continue
        word = str(result.result).lower()
        if word not in _RESULTS:
            return None
        sender = next(
            (str(p.value) for p in result.properties if p.type == "smtp" and p.name in ("mailfrom", "mfrom")), ""
        )
        domain = sender.rpartition("@")[2].strip("<>").lower().rstrip(".")
        if word == "pass" and not re.fullmatch(r"[a-z0-9_.-]{1,253}", domain):
            return None
        return SpfResult(word, domain, f"as {authserv_id} reports")
    return None
