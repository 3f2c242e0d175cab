"""Signs that somebody else sends a mail again that its author signed: the signature is sound and proves nobody.

What a second mail with the same signature tells stands with the messages, in ``tickets/replays.py``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from email.utils import getaddresses

from gateway.model import DkimResult, ParsedMessage, Verdict

#: fields that a mail has at most once (RFC 5322 section 3.6)
SINGLETONS = ("from", "sender", "reply-to", "to", "cc", "message-id", "in-reply-to", "references", "subject", "date")
REPLAY_S = 7 * 86400.0
_FIELD_NAME = re.compile(rb"(?m)^([A-Za-z-]{2,20})[ \t]{0,20}:")
MAX_ADDRESSED = 200


def not_repeated(results: tuple[DkimResult, ...], header_block: bytes, now: datetime) -> tuple[DkimResult, ...]:
    """A sound signature on a mail that looks like a copy sent by somebody else does not count (``policy``, RFC 8601)."""
    names = Counter(name.lower().decode("ascii") for name in _FIELD_NAME.findall(header_block))
    repeated = next((name for name in SINGLETONS if names[name] > 1), "")

    def judged(result: DkimResult) -> DkimResult:
        if result.result != "pass":
            return result
        if repeated:
            return replace(result, result="policy", reason=f"perhaps a replay: {repeated} stands there twice")
        if result.signed_at is not None and now.timestamp() - result.signed_at > REPLAY_S:
            days = (now.timestamp() - result.signed_at) / 86400
            return replace(result, result="policy", reason=f"perhaps a replay: signed {days:.0f} days ago")
        return result

    return tuple(judged(result) for result in results)


def addressed(verdict: Verdict, parsed: ParsedMessage, rcpt_tos: Iterable[str], domains: frozenset[str]) -> Verdict:
    """The verdict on a mail of a registered author. One that To and Cc address to other people only was perhaps not sent
    to us by its author: whoever received it could have. ``domains`` are ours; a mail without addressees (Bcc) is none.
    """
    if not verdict.authenticated or verdict.by == "arc" or verdict.weak:
        return verdict
    fields = [value for name in ("to", "cc") for value in parsed.headers.get(name, ())[:4]]
    named = [address.lower() for _, address in getaddresses(fields)[:MAX_ADDRESSED] if "@" in address]
    known = {address.lower() for address in rcpt_tos}
    if not named or any(address in known or address.rpartition("@")[2].rstrip(".") in domains for address in named):
        return verdict
    return verdict.without_signatures("perhaps a replay: To and Cc name other people only, not us")
