"""The language of the author's words: py3langid over prose lines, undecided rather than wrong."""

from __future__ import annotations

import functools
import re
from typing import Any

KNOWN = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "uk", "tr", "cs")
CERTAIN = 0.70
ENOUGH = 600  #: characters of prose that decide
_LOG = re.compile(
    r"^\s*([$#>]|\d{4}-\d\d-\d\d|\[|\d+ bytes|traceroute|ping|icmp|[\w.-]+\s*:\s*\d|\d+\s+\S+\s+\()", re.I
)
_WORD = re.compile(r"[^\W\d_]{2,}")


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import _load_identifier

    identifier = _load_identifier(norm_probs=True, langs=list(KNOWN))
    # 28 MB of the languages that are not asked about
    identifier._full_model = (identifier.nb_ptc, identifier.nb_pc, identifier.nb_classes)
    return identifier


def prepare() -> None:
    """Loads the model now, so that the first mail does not wait for it."""
    _identifier()


def _prose(text: str) -> str:
    kept: list[str] = []
    size = 0
    for line in text[:4000].split("\n"):
        words = _WORD.findall(line)
        if words and not _LOG.match(line[:200]) and sum(map(len, words)) * 2 > len(line.strip()):
            kept.append(" ".join(words))
            size += len(kept[-1]) + 1
            if size >= ENOUGH:
                break
    return " ".join(kept)[:ENOUGH]


def language_of(text: str) -> str | None:
    """A two-letter code, or ``None`` when the words do not tell."""
    prose = _prose(text)
    if len(prose) < 12:
        return None
    code, certainty = _identifier().classify(prose)
    if certainty < CERTAIN or (len(prose) < 25 and certainty < 0.95):
        return None
    return str(code)
