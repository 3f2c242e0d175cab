"""What a topics file looks for: a stem, and what must stand beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.model import SENSITIVE

NAMED = "\N{CURRENCY SIGN}"  #: stands before each order number, address and service name of the text
KIN = {"ru": "uk", "uk": "ru"}  #: languages that one mail often mixes
PLAIN = ("financial", "technical", "account", "general", "abuse", "attack", "install")
#: what tells an outage, and what around it says that it is none (``outages.py``)
INCIDENT = (
    "outage", "event", "unreached", "service", "part", "program", "resolved", "was", "past", "still", "others", "login",
    "degraded", "slow", "fine",
)  # fmt: skip
#: what stands around a request or a state and changes it; no topics of their own
AROUND = ("not", "denial", "without", "asking", "done", "plea", "distinct", "compound", "simplex")
TOPICS = (*PLAIN, *INCIDENT, *(f"sensitive.{name}" for name in SENSITIVE), *AROUND)
STATES = ("event", "unreached", "outage")  #: what a "not" before it denies, unless it has one itself
NEGATED = "{negated}"  #: a class of verbs that have their "not" in them
#: classes of what programs say, which no "not" before it denies ("the address was not found: DNS_PROBE_POSSIBLE")
SHOWN = ("{neterror}", "{code}", "{stuck}")
ABSENT = "!"  #: before the side of what must not stand beside a stem
LACKED = ("sensitive.password", "sensitive.access")  #: who is without them asks for them
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Group:
    """What must stand beside a stem: one of these (text, exact)."""

    parts: tuple[tuple[str, bool], ...]
    side: str = ""  #: ``>`` behind it, ``<`` before it, both within the clause; without one anywhere in the sentence
    words: int = -1  #: how many words may stand between them; -1: as many as ``NEAR`` characters hold
    barred: tuple[tuple[str, bool], ...] = ()  #: none of these may stand between them
    absent: bool = False  #: none of them may stand there


@dataclass(frozen=True, slots=True, eq=False)
class Stem:
    """What is looked for, and what it gives to which topic."""

    text: str
    topic: str
    weight: float
    exact: bool
    beside: tuple[Group, ...] = ()  #: one of each must stand beside it
    is_state: bool = False  #: of an outage, told without a "not": a "not" before it denies it
    rule: str = ""  #: of the grammar, which it comes from
    is_request: bool = field(init=False)  #: it can be denied: "I do not want a refund"
    looks_around: bool = field(init=False)  #: what is around it decides whether it counts
    is_word: bool = field(init=False)  #: one word, or how one begins

    def __post_init__(self) -> None:
        """Sets what follows from the rest, which is asked for at every place."""
        is_request = self.topic.startswith("sensitive.")
        looks_around = bool(self.beside) or is_request or self.is_state or self.topic == "resolved"
        object.__setattr__(self, "is_request", is_request)
        object.__setattr__(self, "looks_around", looks_around)
        object.__setattr__(self, "is_word", WORD.fullmatch(self.text) is not None)

    @property
    def name(self) -> str:
        """As an explanation names it: the word, with the rule that it stands in."""
        return f"{self.text} [{self.rule}]" if self.rule else self.text


@dataclass(frozen=True, slots=True)
class Speaking:
    """Words beside a request that make it none: it is only asked about, or done already and nothing else is asked
    for."""

    asking: Sequence[Stem]
    done: Sequence[Stem]
    plea: Sequence[Stem]
    likely: re.Pattern[str]  #: without a match neither asking nor done words stand there


@dataclass(frozen=True, slots=True)
class Keyed:
    """A group by the keys that its parts are looked for with."""

    side: str
    words: int
    keys: frozenset[int]
    signs: tuple[str, ...]  #: what begins with a sign ("€") stands anywhere, and has no key
    barred: frozenset[int] = frozenset()
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Denying:
    """Words before a stem that make it none, each with what stands between them and the stem."""

    request: re.Pattern[str]  #: "I do not want a"
    lack: re.Pattern[str]  #: "without"
    state: re.Pattern[str]  #: an outage: "was not", "was never really"
    over: re.Pattern[str]  #: that it works again: "does not seem to be"


#: (rank among all, the stem, its groups)
Entry = tuple[int, Stem, tuple[Keyed, ...]]
