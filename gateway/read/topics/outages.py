"""Whether a mail tells of a complete outage: its signs, what is down, and what around a sign says that it is none.

A sign is what the grammar of the topics files finds as ``outage`` (a state: "is not reachable", "502 on every page"),
``event`` ("has crashed") or ``unreached`` ("cannot connect"). A sign counts unless its clause tells of the past, its
sentence of somebody else, of the writer's own login, of what only comes and goes, or that it works again, or the noun
nearest to it is a part or a program ("the database has crashed"). What is down stands in the sentence, the one before,
or the subject; where two signs stand in a sentence, anywhere.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from gateway.read.late import late
from gateway.read.tables import flattened
from gateway.read.topics.misspelt import corrected
from gateway.read.topics.stem import NAMED, STATES, Stem
from gateway.read.topics.stems import Searched, Table, counting, marked, without_addresses
from gateway.read.words.pasted import prose

MAX_SENTENCES = 400
TOLD_TWICE = 2.0  #: weight of the signs in a sentence from which what is down may stand anywhere
#: between a part and the service that it is of
OF = frozenset(
    "of on in for at der des von vom auf bei im de du des sur del della dello di do da dos na no на у в van op z ze "
    "na".split()
)
#: characters before a sign in which a "was" says that it is past; it may follow directly ("nicht erreichbar war")
TENSE = 70
MOST = 60  #: entries of one topic that count in a sentence: nobody writes more
FAR = 200  #: characters behind a sign at which nothing is told of it
BEHIND = 3  #: words before a part behind a sign that is told of it ("no arranca la base de datos") ...
PLACE = frozenset(
    ("on", "at", "auf", "an", "sur", "à", "en", "su", "sulla", "на", "по", "na", "op", "em")
)  #: ... unless one is of these
AND = frozenset(
    ("and", "und", "et", "y", "ed", "и", "та", "i", "oraz", "ve", "but", "aber", "mais", "pero", "ma", "но", "але")
)
#: what a console shows of a machine that is down, of all that people paste: nobody pastes it for another reason
_CONSOLE = late(
    r"kernel panic - not syncing|root password for maintenance|no bootable device|grub rescue>|100% packet loss"
    r"|(?:ssh: connect to host|curl: \(\d{1,2}\) failed to connect to) [^\n]{1,200}(?:no route to host|timed out)",
    re.IGNORECASE,
)
_SENTENCE = late(r"[.!?;]+(?=\s|$)|\n\s{0,20}\n")
MAX_MISSPELT = 1500  #: characters of a mail in which misspellings are looked for
_ABBREVIATION = late(
    r"(?<!\w)(ca|approx|mins?|std|hrs?|nr|no|bzw|z\.b|d\.h|i\.e|e\.g|aprox|env|min|vs|прибл|мин|хв|ч|год|ок)\.(?=[ \t])"
)
#: why a sign is none; each still tells of trouble, of which only a customer can tell
PAST, FLAKY, SLOW, PART, AGAIN = "past", "it comes and goes", "it is slow", "a part only", "it works again"
OWN_LOGIN, OWN_PROGRAM = "the writer's own login", "a program of the writer's own"
UNNAMED = "nothing is named that is down"  #: perhaps it is, with a typing error
TROUBLE = (PAST, FLAKY, SLOW, PART, AGAIN, OWN_LOGIN, OWN_PROGRAM, UNNAMED)
#: "it is still down", "we are down", "nobody can send or receive": they need no name
UNNAMED_RULES = ("{yet}", "{subjectless}", "{exchange}", "{mailword}")
JOINED = ("-", "@", "/", "_")


@dataclass(slots=True)
class _Sentence:
    """A sentence with what counts in it: by topic, (from where, to where, stem)."""

    lower: str
    hits: dict[str, list[tuple[int, int, Stem]]] = field(default_factory=dict)

    def has(self, topic: str) -> bool:
        return topic in self.hits


@dataclass(frozen=True, slots=True)
class Incident:
    """What a mail tells of an outage."""

    signs: Sequence[str] = ()  #: with what is down; empty where none is told of
    dropped: Sequence[str] = ()  #: what was told of but does not count, each with why
    around: str = ""  #: the sentence of the signs, with those beside it


def _sentences(texts: Sequence[str], stems: Table, named: Collection[str]) -> list[_Sentence]:
    """The sentences with their hits; one search for all of them."""
    lowers = [stems.file.compound.sub(NAMED, without_addresses(marked(flattened(text), named))) for text in texts]
    starts, whole = [0], []
    for lower in lowers:
        whole.append(lower)
        starts.append(starts[-1] + len(lower) + 2)
    found = [_Sentence(lower) for lower in lowers]
    for place, stem in counting(Searched(". ".join(whole), stems.file), stems):
        at = bisect_right(starts, place) - 1
        inside = place - starts[at]
        if at < len(found) and not (
            stem.topic in ("part", "login", "program") and found[at].lower[inside - 1 : inside] == NAMED
        ):
            of_topic = found[at].hits.setdefault(stem.topic, [])
            if len(of_topic) < MOST:
                of_topic.append((inside, inside + len(stem.text), stem))
    return found


def incident(subject: str, text: str, stems: Table, every: Table, named: Collection[str]) -> Incident:
    """What a mail tells of an outage.

    Args:
        stems: of the languages of the text.
        every: of every language, for the subject.
        named: what the mail names, in small letters: orders, addresses, services, hosts, machines.
    """
    written = _ABBREVIATION.sub(r"\1", _told(text))
    sentences = _SENTENCE.split(written)[:MAX_SENTENCES]
    signs, dropped, at = _judged([*_sentences([subject], every, named), *_sentences(sentences, stems, named)])
    return Incident(signs, dropped, ". ".join(sentences[max(0, at - 2) : at + 1]) if signs else "")


def _told(text: str) -> str:
    """The author's words, with those lines of a console among what was pasted that say that a machine is down."""
    lines = zip(prose(text).split("\n"), text.split("\n"), strict=True)
    return "\n".join(line or (pasted if _CONSOLE.search(pasted[:400]) else "") for line, pasted in lines)


def corrected_text(text: str, stems: Table) -> str:
    """A short text with the key words of outages in place of their misspellings; empty where there are none."""
    lower = text.lower()
    if len(lower) > MAX_MISSPELT:
        return ""
    found = corrected(lower, stems.keywords, stems.distinct)
    return found if found != lower else ""


def _judged(told: Sequence[_Sentence]) -> tuple[list[str], list[str], int]:
    """(the signs that count, those that do not, the sentence of the first); the first sentence is the subject."""
    dropped: list[str] = []
    if sum(stem.weight for one in told for _, _, stem in one.hits.get("resolved", ()) if stem.weight >= TOLD_TWICE):
        return [], [AGAIN], 0
    fine = any(one.has("fine") for one in told)
    anywhere = [name for one in told for name in _things(one)]
    for at, one in enumerate(told):
        signs, why = _signs(one, fine)
        weight = sum(stem.weight for _, _, stem in signs)
        dropped += why
        if weight < TOLD_TWICE and signs:
            if told[0].has("degraded"):
                dropped.append(FLAKY)
                continue
            signs = [sign for sign in signs if not _of_a_part(one, "part", sign[0], sign[1])]
            dropped += [] if signs else [PART]
        if not signs:
            continue
        behind = told[at + 1] if at + 1 < len(told) and not told[at + 1].has("fine") else _Sentence("")
        what = next(filter(None, map(_things, (one, told[at - 1] if at else one, told[0], behind))), [])
        if not what and weight >= TOLD_TWICE:
            what = anywhere
        if what or any(rule in stem.rule for _, _, stem in signs for rule in UNNAMED_RULES):
            return [*(f"{stem.name} {stem.weight:g}" for _, _, stem in signs), *what], dropped, at
        dropped.append(f"{signs[0][2].name}: {UNNAMED}")
    return [], dropped, 0


def _signs(one: _Sentence, fine: bool) -> tuple[list[tuple[int, int, Stem]], list[str]]:
    """(the signs of a sentence that count; why others do not). Of signs in the same words the first kind decides."""
    signs: list[tuple[int, int, Stem]] = []
    dropped: list[str] = []
    seen: list[tuple[int, int]] = []
    for topic in STATES:
        for start, end, stem in one.hits.get(topic, ()):
            if any(start < stop and begin < end for begin, stop in seen) or one.lower[start - 1 : start] in JOINED:
                continue  # the same words again, or the end of a longer one ("T-Online")
            seen.append((start, end))
            if why := _why_not(one, topic, start, end, fine):
                dropped.append(f"{stem.name}: {why}")
            else:
                signs.append((start, end, stem))
    return signs, dropped


def _things(one: _Sentence) -> list[str]:
    """What can be down in a sentence, for an explanation: service nouns, and whatever is named."""
    nouns = [f"{stem.name} {stem.weight:g}" for _, _, stem in one.hits.get("service", ())]
    return nouns + [rest.split()[0] for rest in one.lower.split(NAMED)[1:] if rest.strip()]


def _why_not(one: _Sentence, topic: str, start: int, end: int, fine: bool) -> str:
    """Why a sign is none; empty where it counts."""
    still = one.has("still")
    if one.has("resolved"):
        return PAST if one.has("past") else "over, planned, or only asked about"
    if one.has("degraded"):
        return FLAKY
    if one.has("slow"):
        return SLOW
    if one.has("others"):
        return "of somebody else"
    if topic == "unreached" and (fine or one.has("login")):
        return OWN_LOGIN if one.has("login") else "it works for others"
    if _of_a_part(one, "program", start, end) or (one.has("program") and one.has("fine")):
        return OWN_PROGRAM
    if one.has("fine") and not _named_behind_fine(one, start):
        return PART
    if not still and any(
        stop <= start <= stop + TENSE or end <= begin <= end + 2 for begin, stop, _ in one.hits.get("was", ())
    ):
        return PAST
    if not still and topic == "event" and one.has("past"):
        return PAST
    return ""


def _named_behind_fine(one: _Sentence, start: int) -> bool:
    """Whether what can be down stands between what works and the sign ("the panel works fine, web13 does not
    answer")."""
    fine = max((stop for begin, stop, _ in one.hits.get("fine", ()) if begin <= start), default=0)
    return NAMED in one.lower[fine:start] or any(fine <= begin < start for begin, _, _ in one.hits.get("service", ()))


def _of_a_part(one: _Sentence, topic: str, start: int, end: int) -> bool:
    """Whether what is told of is a part or a program ("the database of r1z7og44 has crashed"), not a service.

    It is where a part stands before the sign without a service noun between them, or right behind it, or where an entry
    of several words says that it works elsewhere.
    """
    nouns = [begin for begin, _, _ in one.hits.get("service", ()) if begin < start]
    parts = [*one.hits.get(topic, ()), *(one.hits.get("login", ()) if topic == "part" else ())]
    return any(
        begin >= max(nouns, default=0) or bool(OF.intersection(one.lower[stop:start].split()[:1]))
        if begin < start
        else bool(stem.beside) or (begin - end <= FAR and _object(one.lower[end:begin]))
        for begin, stop, stem in parts
    )


def _object(between: str) -> bool:
    """Whether so little stands between a sign and a part behind it that the part is what it is told of."""
    words = between.split()
    return len(words) < BEHIND and not PLACE.intersection(words) and not AND.intersection(words[:1])
