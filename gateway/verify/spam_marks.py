"""What a spam filter in front wrote into the header, and whether it can have been the sender's own filter.

The host that hands us mail writes above the lowest Received field that is its own (RFC 5321 section 4.4): SpamAssassin,
amavis and Sieve do. A milter at Postfix adds below it (rspamd: as the last field; MIMEDefang changes a field that came
with the mail in its place), where the sender's side may have written as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.mail.header import Fields, fields_of
from gateway.mail.suffixes import registrable

_BY = re.compile(r"(?:^|\s)by\s+([^\s;()]{1,255})", re.IGNORECASE)
MAX_RECEIVED = 2000  #: characters of a Received field
MOST = 100_000  #: fields that are looked at: a mark may stand below all that came with the mail
_COMMENT = re.compile(r"\([^()]*\)")
_LOOPBACK = re.compile(r"\[(?:IPv6:)?(?:127\.[\d.]+|::1)\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mark:
    """``why``: who marked it, in words; ``hosts``: it is surely not the sender's own filter that did."""

    why: str
    hosts: bool


def marked(header_block: bytes, wanted: Iterable[str]) -> Mark | None:
    """The mark that stands highest among the fields; ``wanted``: names, or ``Name: how the value begins``."""
    fields = fields_of(header_block, MOST)
    found = []
    for one in wanted:
        name, _, value = (part.strip() for part in one.partition(":"))
        places = (at for at, (its, text) in enumerate(fields) if its == name.lower() and _begins(text.strip(), value))
        found += [(at, name) for at in places]
    return Mark(f"its host marked it: {min(found)[1]}", min(found)[0] < _border(fields)) if found else None


def _begins(text: str, word: str) -> bool:
    """Whether a value begins with these words: ``Yes`` begins ``Yes, score=7`` and not ``yesterday``."""
    rest = text[len(word) :]
    whole = not (word[-1:].isalnum() and rest[:1].isalnum())
    return text[: len(word)].lower() == word.lower() and whole


def _border(fields: Fields) -> int:
    """The place of the lowest Received field of the host which handed us the mail: of a run of them by its names. A
    filter that calls itself by no public name (``localhost``) is passed over; on top, where it got the mail from its
    own machine."""
    lowest, host = 0, ""
    for at, (name, text) in enumerate(fields):
        if name == "received":
            by, public = _by(text)
            if not (host or public) and _LOOPBACK.search(text[:MAX_RECEIVED].partition(";")[0]):
                lowest = at
            elif by == (host or by):
                lowest, host = at, by
            elif public:
                break
    return lowest


def _by(text: str) -> tuple[str, bool]:
    """The domain of the host that wrote a Received field, and whether it is a public one."""
    found = _BY.findall(_COMMENT.sub(" ", text[:MAX_RECEIVED]).partition(";")[0])
    name = found[-1].strip("[].").lower() if found else ""  # what stands before it may be HELO
    if "." not in name or name.endswith((".local", ".internal", ".localdomain")) or name[-1:].isdigit():
        return name, False
    return registrable(name), True
