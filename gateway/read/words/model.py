"""The model of py3langid for the languages that are told apart here, read from a map of its octets.

Its own loader unpacks 45 MB and needs numpy, which costs a command 0.3 s and a process 60 MB; the sums for one text
cost as much without. Naive Bayes over the n-grams of octets that an automaton finds (Lui and Baldwin, ACL 2012), with
the shares of ``norm_probs``.
"""

from __future__ import annotations

import functools
import marshal
import math
import struct
import unicodedata
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path

from gateway.read.kept import mapped

#: the languages a mail can be said to be in
KNOWN = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "uk", "tr", "cs")
#: others that are told apart from them, so that nobody's Danish is called German
OTHERS = ("da", "sv", "nb", "no", "fi", "ro", "hu", "hr", "sk", "sl", "lt", "lv", "et", "ca", "bg", "vi", "id", "gl")
_HEAD = struct.Struct("<I")  #: octets of what is told first


class Model:
    """Scores of a text in each language."""

    def __init__(self, octets: memoryview) -> None:
        (size,) = _HEAD.unpack_from(octets)
        start = _HEAD.size + size
        head = marshal.loads(octets[_HEAD.size : start])  # noqa: S302 - we wrote it
        self._languages, self._priors, sizes, codes = head
        parts = []
        for length in sizes:
            parts.append(octets[start : start + length])
            start += length
        self._weights = parts[0]
        #: by state: its row of the automaton, and its n-gram, or -1; by row and octet: the next state
        self._rows, self._grams, self._next = (part.cast(code) for part, code in zip(parts[1:], codes, strict=True))
        self._row = struct.Struct(f"<{len(self._languages)}e")

    def rank(self, text: str) -> list[tuple[str, float]]:
        """(language, its share) of each, the likeliest first."""
        octets = unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8", "surrogatepass")
        scores = self._scores(octets)
        best, scale = max(scores), 1.0 / math.sqrt(len(octets) or 1)
        likely = [math.exp((score - best) * scale) for score in scores]
        total = sum(likely)
        shares = zip(self._languages, (one / total for one in likely), strict=True)
        return sorted(shares, key=itemgetter(1), reverse=True)

    def _scores(self, octets: bytes) -> list[float]:
        times: dict[int, list[int]] = {}  #: the n-grams that stand there so often
        for gram, count in self._grams_in(octets).items():
            times.setdefault(count, []).append(gram)
        if not times:
            return [0.0] * len(self._languages)
        scores, unpack, size = list(self._priors), self._row.unpack_from, self._row.size
        for count, grams in times.items():
            weight = math.log1p(count)
            sums = map(sum, zip(*(unpack(self._weights, gram * size) for gram in grams), strict=True))
            scores = [score + weight * one for score, one in zip(scores, sums, strict=True)]
        return scores

    def _grams_in(self, octets: bytes) -> dict[int, int]:
        """How often each n-gram is the longest that ends at an octet."""
        state, found = 0, dict[int, int]()
        rows, grams, following = self._rows, self._grams, self._next
        for octet in octets:
            state = following[(rows[state] << 8) + octet]
            if (gram := grams[state]) >= 0:
                found[gram] = found.get(gram, 0) + 1
        return found


@functools.cache
def model() -> Model:
    """The model for those of the languages that it knows."""
    spec = find_spec("py3langid")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).parent / "data" / "model.npz.xz"
    return Model(mapped(__file__, "model", [source], _reduced))


def _reduced() -> bytes:
    """The octets of the model: what it begins with, the weights of each n-gram (half floats), and the automaton."""
    from array import array

    from py3langid.langid import _load_identifier

    whole = _load_identifier()
    known = {str(code) for code in whole.nb_classes}
    whole.set_languages([code for code in (*KNOWN, *OTHERS) if code in known])
    parts = [
        whole.nb_ptc.astype("<f2").tobytes(),
        whole.tk_row.tobytes(),
        array("i", whole.tk_output).tobytes(),
        whole.tk_nextmove.tobytes(),
    ]
    codes = (whole.tk_row.typecode, "i", whole.tk_nextmove.typecode)
    names = [str(code) for code in whole.nb_classes]
    told = marshal.dumps((names, whole.nb_pc.tolist(), [len(part) for part in parts], codes))
    return b"".join((_HEAD.pack(len(told)), told, *parts))
