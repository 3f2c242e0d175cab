"""Clock times in a text: in digits with the half of the day and the zone, or in words ("half past two", "wpół do
trzeciej").

The words of each language stand in its ``[times.clock]`` and ``[times.parts]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from gateway.read.late import late
from gateway.read.tables import EVERY_MAIL, Beginnings, alternation, languages, mapping, numbers, words
from gateway.read.times.fractions import Fraction, fraction

MAX_CLOCKS = 60
MAX_LONE = 1000  #: numbers by themselves whose words around are looked at
MAX_PLACES = 200  #: of a word, around which a clock time in words is looked for
NOON = 12 * 60
SHORT = 2  #: letters of an hour that is not looked for by itself

_ZONES: dict[str, tzinfo] = {
    "utc": UTC, "gmt": UTC, "z": UTC,
    "cet": ZoneInfo("Europe/Berlin"), "cest": ZoneInfo("Europe/Berlin"), "mez": ZoneInfo("Europe/Berlin"),
    "mesz": ZoneInfo("Europe/Berlin"),
    "msk": ZoneInfo("Europe/Moscow"), "мск": ZoneInfo("Europe/Moscow"), "eet": ZoneInfo("Europe/Kyiv"),
    "eest": ZoneInfo("Europe/Kyiv"),
    "wet": ZoneInfo("Europe/Lisbon"), "west": ZoneInfo("Europe/Lisbon"), "bst": ZoneInfo("Europe/London"),
    "jst": ZoneInfo("Asia/Tokyo"),
    "est": timezone(timedelta(hours=-5)), "edt": timezone(timedelta(hours=-4)), "cdt": timezone(timedelta(hours=-5)),
    "mst": timezone(timedelta(hours=-7)), "mdt": timezone(timedelta(hours=-6)), "pst": timezone(timedelta(hours=-8)),
    "pdt": timezone(timedelta(hours=-7)),
    "et": ZoneInfo("America/New_York"), "pt": ZoneInfo("America/Los_Angeles"), "mt": ZoneInfo("America/Denver"),
    "ct": ZoneInfo("America/Chicago"),
    "brt": timezone(timedelta(hours=-3)), "art": timezone(timedelta(hours=-3)), "hkt": timezone(timedelta(hours=8)),
    "sgt": timezone(timedelta(hours=8)),
    "awst": timezone(timedelta(hours=8)), "nzst": timezone(timedelta(hours=12)), "nzdt": timezone(timedelta(hours=13)),
    "kst": timezone(timedelta(hours=9)),
    "sast": timezone(timedelta(hours=2)), "akst": timezone(timedelta(hours=-9)), "akdt": timezone(timedelta(hours=-8)),
    "wib": timezone(timedelta(hours=7)),
    "trt": ZoneInfo("Europe/Istanbul"), "aest": timezone(timedelta(hours=10)), "aedt": timezone(timedelta(hours=11)),
} | {phrase: ZoneInfo(zone) for phrase, zone in mapping("times", "zones").items()}  # fmt: skip
#: abbreviations that people write in small letters and that are no words
_LOWER_ZONES = ("utc", "gmt", "cet", "cest", "mez", "mesz", "msk", "мск")
#: abbreviations that name more than one zone
_UNKNOWN_ZONES = ("ist", "cst", "ast", "sst", "bdt", "gst", "pkt", "amt", "ict")

_PLACES: dict[str, tzinfo] = {place: ZoneInfo(zone) for place, zone in mapping("times", "places").items()}
STRANGE = "?"  #: in place of a zone that is named and not known: no time is better than a wrong one

_MORNING, _EVENING = words("times", "am"), words("times", "pm")
_HOUR_WORD = alternation(words("times", "hour"))
_HALF_DAY = alternation((*_MORNING, *_EVENING))
#: "14:30-15:10" is no offset
_ZONE = rf"(?:utc|gmt)[ \t]?[+-]\d{{1,2}}(?::?\d\d)?|\+\d\d:?\d\d|-0[3-8]:?00|{alternation((*_ZONES, *_UNKNOWN_ZONES))}"
_TAIL = late(
    rf"(?P<word>[ \t\xa0]{{0,2}}(?:{_HOUR_WORD})(?!\w)\.?)?(?P<half>[ \t\xa0]{{0,2}}(?:{_HALF_DAY})(?!\w)\.?)?"
    rf"(?P<zone>[ \t\xa0,]{{0,2}}\(?(?:{_ZONE})(?!\w)\)?)?",
)
#: "11:38 Pacific", "14:05 (Lisboa)", "14:05 Nairobi time"
_PLACE_BEHIND = late(
    rf"[ \t\xa0]{{0,2}}(?:\([ \t]?(?P<within>{alternation(_PLACES)})(?:[ ]time)?[ \t]?\)"
    rf"|(?P<region>pacific|eastern|mountain)(?!\w)(?:[ ]time(?!\w))?"
    rf"|(?P<place>{alternation(_PLACES)})(?:[ ]time(?!\w)|(?=[ \t]?(?:[.,;:!?)\n]|\Z))))"
)
#: a zone that no table has: a lone name in brackets, "... time", "local time in ...", "Central"
_STRANGE_BEHIND = late(
    r"[ \t\xa0]{0,2}(?:\([ \t]?[^\W\d_a-zа-яёіїє][^\W\d_]{2,20}[ \t]?\)|(?:[^\W\d_a-zа-яёіїє][^\W\d_]{2,20}[ "
    r"]){1,2}[Tt]ime(?!\w)|"
    r"(?:my |our |their )?local time(?!\w)|Central(?: Time)?(?!\w)|[A-Z]{3,4}(?<=ST|DT)(?!\w))"
)
_NAMED_DAYS = [
    form.rstrip("*") for key in ("weekdays", "months") for forms in words("times", key) for form in forms.split("|")
]
_DAYS_AND_PARTS = alternation(
    (*words("times", "today"), *words("times", "yesterday"), *words("times", "am"), *words("times", "pm"), *_NAMED_DAYS)
)
_DAY_OR_PART = late(rf"\W*(?:{_DAYS_AND_PARTS})")
_CLOCK = late(
    r"(?:(?P<h>\d{1,2})(?P<sep>[:.])(?P<m>\d\d)(?::(?P<s>\d\d))?(?![\d%]|[.:/]\d)"
    r"|(?P<four>(?:[01]\d|2[0-3])[0-5]\d)(?=[ \t]?(?:utc|gmt|z|cet|cest|msk|hrs|hours|h|uhr)(?!\w))|(?P<hh>\d{1,2})[ "
    r"\xa0]?[hч][ \xa0]?(?P<hm>\d\d)?(?!\w)|(?P<lone>(?:0\d|1[0-8])[0-5]\d)(?![\w:/%]|[.,-]\d)"
    r"|(?P<bare>\d{1,2})(?:(?P<ish>-?ish(?!\w))|(?=(?:[ap]\.?m|uhr)(?!\w))|(?![\w:%/]|[.,]\d)))",
)
_MONTH_NEXT = late(
    r"\.?[ \t\xa0]{0,2}(?:de[ "
    rf"\t])?(?:{alternation(form for month in words('times', 'months') for form in month.split('|'))})(?!\w)",
)
_BARE = late(rf"(?<!\w)(?:{alternation(words('times', 'bare'))})[ \t\xa0]{{1,2}}\Z")
_AT_BARE = late(rf"(?<!\w)(?:{alternation(words('times', 'at'))})[ \t\xa0]{{1,2}}\Z")
#: words that lead to a beginning, whatever follows; "from" and its like lead to a version as well
_SURE_SINCE = [
    word
    for word in words("times", "since")
    if word not in ("from", "von", "ab", "da", "dal", "dalla", "с", "со", "з", "із", "od", "saat")
]
_SINCE_BARE = late(
    rf"(?<!\w)(?:{alternation(_SURE_SINCE)})[ "
    rf"\t\xa0]{{1,2}}(?:(?:{alternation((*words('times', 'at'), *words('times', 'about')))})[ \t\xa0]{{1,2}}){{0,2}}\Z"
)
#: behind a lone number: the end of the clause, or what it cannot count
_CLAUSE_END = late(r"[ \t]{0,2}(?:[.:;,!?)\n]|\r|\Z)(?!\d)")
_UNCOUNTED = late(
    rf"[ \t]{{1,2}}(?:(?:{alternation(word.rstrip('=') for word in words('times', 'negation'))}|is|ist|jest)(?!\w))"
)
_SLAVIC_AT = late(r"(?<!\w)(?:в|о|об|o|około|koło|v|ve|kolem|okolo|около|близько)[ \t\xa0]{1,2}\Z")
_FELL = late(rf"[ \t]{{1,2}}(?:{alternation(word.rstrip('=') for word in words('times', 'trouble'))})")
#: "gegen 9 ist ...", "um 9 rum"
_GERMAN_AT = late(r"(?<!\w)(?:um|gegen)[ \t\xa0]{1,2}\Z")
_GERMAN_VERB = late(
    r"[ \t](?:rum|herum|ist|war|ging|gingen|fiel|fielen|kam|hat|haben|wurde|brach|flog|hing|stürzte)(?!\w)"
)
_SINCE_DOT = late(r"(?<!\w)(?:since|seit|depuis|desde|sinds|dalle|od|с|з)[ \t]{1,2}\Z")
_AT_DOT = late(r"(?<!\w)(?:um|alle|dalle|ore|kl\.?|às|о|в)[ \t]{1,2}\Z")
_GAP, _APOSTROPHE = " \t\xa0", "'’ʼ`´"
_NOT_DIGIT = late(r"\D")


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock time where it stands. ``end`` is after its zone.

    ``half_open``: the words around may still say which half of the day it is. ``twelve``: only they can, it goes to
    twelve. ``lone``: a number in words that is a clock only where nothing follows that it could count.
    """

    start: int
    end: int
    hour: int
    minute: int
    second: int = 0
    zone: str = ""
    half_open: bool = False
    twelve: bool = False
    lone: bool = False


#: "Moscow time 14:30", "по московскому времени в 14:30"
_ZONE_BEFORE = late(
    rf"(?<!\w)(?P<zone>{alternation((*mapping('times', 'zones'), *_LOWER_ZONES))})[ "
    rf"\t\xa0,:]{{0,3}}(?:(?:{alternation(words('times', 'at'))})[ \t\xa0]{{1,2}})?\Z"
)


def zone_before(lower: str, low: int, start: int) -> str:
    """The words for a zone right before a clock time, or nothing."""
    match = _ZONE_BEFORE.search(lower, max(low, start - 48), start)
    return match["zone"] if match else ""


def _zone_behind(text: str, lower: str, end: int) -> tuple[str, int]:
    """(a zone that is named by a region or place behind a clock time, where it ends); ``STRANGE`` for one that is not
    known."""
    if named := _PLACE_BEHIND.match(lower, end):
        return named[named.lastgroup or 0], named.end()
    strange = _STRANGE_BEHIND.match(text, end)
    if strange and not _DAY_OR_PART.match(lower, end, strange.end()):
        return STRANGE, end
    return "", end


def zone_at(text: str, lower: str, end: int) -> str:
    """The zone that is named right behind a clock time that ends there."""
    tail = _TAIL.match(lower, end)
    zone = text[slice(*tail.span("zone"))] if tail else ""
    return zone or _zone_behind(text, lower, tail.end() if tail else end)[0]


def _offset(zone: str) -> tzinfo | None:
    sign, digits = (-1 if "-" in zone else 1), _NOT_DIGIT.sub("", zone)
    hours, minutes = (int(digits[:2]), int(digits[2:] or 0)) if len(digits) != 3 else (int(digits[0]), int(digits[1:]))
    if hours > 14 or minutes > 59:
        return None
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def zone_of(name: str, default: tzinfo) -> tzinfo | None:
    """The zone of these words, the default without any, ``None`` when they could be two."""
    written = name.strip(" \t\xa0,()")
    name = " ".join(written.lower().split())
    if not name or (
        len(name) <= 4 and name not in _PLACES and name.isalpha() and not written.isupper() and name not in _LOWER_ZONES
    ):
        return default  # "ist", "est", "west" are words too
    if name in _UNKNOWN_ZONES or name == STRANGE:
        return None
    if name in _PLACES:
        return _PLACES[name]
    found = _ZONES.get(name.replace("’", "'"))
    return found if found is not None else _offset(name)


def matching(found: str, choices: Sequence[str]) -> bool:
    """Whether words are among the choices (in small letters), however they are spaced, cased or apostrophed."""
    return " ".join(found.lower().split()).replace("’", "'") in choices


def clocks_in(text: str, lower: str) -> Iterator[Clock]:
    """The clock times in digits, in order, at most ``MAX_CLOCKS``; ``lower`` is the text in small letters."""
    found = lone_ones = 0
    for start, end in numbers(text):
        if not _may_be_clock(text, start, end):
            continue
        match = _CLOCK.match(lower, start)
        if match is None or (match["bare"] and not _may_be_bare(lower, start, match.end())):
            continue
        tail = _TAIL.match(lower, match.end())
        assert tail is not None  # every part of it may be missing
        word, more = tail["word"], _more(lower, match, tail)
        if more is None:
            continue
        if more.said:
            tail = _TAIL.match(lower, more.end)
            assert tail is not None
        half = (tail["half"] or "").strip(" \t\xa0.")
        sure = bool(word or half or more.said)
        bare = match["bare"] is not None
        if bare and not sure and _MONTH_NEXT.match(lower, match.end()):
            continue
        lone = bool(match["lone"]) or (bare and not sure and not match["ish"])
        since = lone and not _BARE.search(lower, max(0, match.start() - 12), match.start())
        lone_ones += since
        if lone_ones > MAX_LONE:
            return
        if since and not _led_alone(lower, match.start(), match.end(), bare):
            continue
        if match["sep"] == "." and not sure and not _is_dotted(lower, match):
            continue
        moment = _moment(match, half)
        if moment is None:
            continue
        digits, hour, minute = moment
        second, half_open = int(match["s"] or 0), not half and not digits.startswith("0")
        named = matching((word or "").strip(" .\xa0"), _OF_TWELVE) or bool(match["ish"])
        hour, minute = divmod((hour * 60 + minute + more.minutes) % 1440, 60)
        if more.spoken and hour <= 12:
            named, hour = True, hour or 12
        twelve = half_open and 1 <= hour <= 12 and (named or (since and _is_since(lower, match.start())))
        zone = text[slice(*tail.span("zone"))]  # whether it is written in capitals matters
        ended = tail.end()
        if not zone:
            zone, ended = _zone_behind(text, lower, ended)
        yield Clock(match.start(), ended, hour, minute, second, zone, half_open, twelve)
        found += 1
        if found >= MAX_CLOCKS:
            return


def _may_be_clock(text: str, start: int, end: int) -> bool:
    """Whether a number has as many digits as a clock time, and nothing before it makes it part of something else."""
    before = text[start - 1 : start]
    return end - start in (1, 2, 4) and not before.isalnum() and not (before and before in ":,/.+-_")


def _moment(match: re.Match[str], half: str) -> tuple[str, int, int] | None:
    """(the digits of the hour, the hour in the half of the day that is named, the minute), if there is such a time."""
    four = match["four"] or match["lone"] or ""
    digits = match["h"] or match["hh"] or match["bare"] or four[:2]
    hour, minute = int(digits), int(match["m"] or match["hm"] or four[2:] or 0)
    if matching(half, _EVENING) and hour < 12:
        hour += 12
    elif matching(half, _MORNING) and hour == 12:
        hour = 0
    if hour == 24 and minute == 0:
        hour = 0
    return (digits, hour, minute) if hour <= 23 and minute <= 59 else None


def _more(lower: str, match: re.Match[str], tail: re.Match[str]) -> Fraction | None:
    """What is said behind an hour without minutes that belongs to it; ``None`` for a fraction that is not
    understood."""
    if match["m"] or match["hm"] or match["four"] or match["lone"]:
        return Fraction(0, tail.end())
    return fraction(lower, tail.end("word") if tail["word"] else match.end(), bool(tail["word"] or match["hh"]))


def _is_since(lower: str, start: int) -> bool:
    """Whether a word that tells of a beginning leads to a lone number."""
    return _SINCE_BARE.search(lower, max(0, start - 48), start) is not None


def _led_alone(lower: str, start: int, end: int, bare: bool) -> bool:
    """Whether the words around a lone number make a clock time of it: "dead since 3.", "at 9 this morning", "gegen 9
    ist"."""
    clock = Clock(start, end, 0, 0)
    if _is_since(lower, start):
        return bool(_CLAUSE_END.match(lower, end) or _UNCOUNTED.match(lower, end)) or (
            bare and bool(part_of_day(lower, max(0, start - 48), clock, end + 22))
        )
    at = _AT_BARE.search(lower, max(0, start - 14), start) if bare else None
    if at is None:
        return False
    if _SLAVIC_AT.search(lower, max(0, start - 10), start) and _FELL.match(lower, end):
        return True
    if _GERMAN_AT.search(lower, max(0, start - 10), start) and _GERMAN_VERB.match(lower, end):
        return True
    return bool(part_of_day(lower, max(0, at.start() - 14), clock, end + 22))


def _is_dotted(lower: str, match: re.Match[str]) -> bool:
    """Whether "14.30" is a clock time: behind "at", or behind "since" where it can be no date."""
    before = max(0, match.start() - 10)
    return bool(_AT_DOT.search(lower, before, match.start())) or (
        int(match["m"]) > 12 and _SINCE_DOT.search(lower, before, match.start()) is not None
    )


def _may_be_bare(lower: str, start: int, end: int) -> bool:
    """Cheap: whether words stand before or behind a lone number that may make an hour of it."""
    before, behind = lower[max(0, start - 3) : start].strip(_GAP)[-1:], lower[end : end + 3].strip(_GAP)[:1]
    return before.isalpha() or behind.isalpha() or before == "." or (behind != "" and behind in _APOSTROPHE)


# --------------------------------------------------------------------------- in words

_DIGITS = r"(?:1[0-2]|0?[1-9])(?![\d:])"


class _Spelled:
    """How a language writes a clock time in words."""

    def __init__(self, told: Mapping[str, Any], lead: Sequence[str]) -> None:
        self.hours = {form: hour for hour, forms in enumerate(told["hours"], 1) for form in forms.split("|")}
        words_, self.by_word = alternation(self.hours), dict[str, list[tuple[re.Pattern[str], int, int]]]()
        longest = max(map(len, self.hours)) + 4
        for form, minutes in told["minutes"].items():
            before, mark, after = form.replace("*", "").partition("{w}" if "{w}" in form else "{}")
            ends = "" if form.endswith("*") else r"(?!\w)"
            hour = rf"(?P<hour>{words_})" + (r"\w{0,4}" if mark + "*" in form else "")
            if mark == "{}":
                hour = rf"(?:{hour}|(?P<digit>{_DIGITS}))"
            leads = rf"(?P<lead>{alternation([before])})" if before.strip() in lead else alternation([before])
            said = late(rf"(?<!\w){leads}{hour}{alternation([after])}{ends}")
            reach = longest + 3 * len(before + after)
            apart = f"{before if before.endswith(' ') else ''} {after if after.startswith(' ') else ''}"
            self._know(apart if apart.strip() else after or before, said, minutes, reach)
        for name, minutes in told.get("named", {}).items():
            self._know(name, late(rf"(?<!\w)(?P<named>{alternation([name])})(?!\w)"), minutes, 3 * len(name))
        lone = late(rf"(?<!\w)(?:{alternation(lead)})[ \t\xa0]{{1,3}}(?P<lone>{words_})(?!\w)")
        reach = 3 * max(map(len, lead))
        for form in (form for form, hour in self.hours.items() if hour > 1):  # "at one" is rarely a time
            for word in [form] if len(form) > SHORT else lead:  # "on" is ten in one language and everywhere in another
                self._know(word, lone, 0, reach + longest)

    def _know(self, words_: str, said: re.Pattern[str], minutes: int, reach: int) -> None:
        """``said`` is looked for only around the places where the longest of these words stands, so far from them."""
        longest = max(_WORD.findall(words_), key=len)
        known = self.by_word.setdefault(longest, [])
        if all(said is not other for other, *_ in known):
            known.append((said, minutes, reach))

    def said_in(self, lower: str, places: Mapping[str, Sequence[int]]) -> Iterator[tuple[re.Match[str], int]]:
        """(clock time with one of these words in it, minutes); ``places`` are where in the text each word stands."""
        for word, starts in places.items():
            for said, minutes, reach in self.by_word.get(word, ()):
                for start in starts:
                    for match in said.finditer(lower, max(0, start - reach), start + len(word) + reach):
                        if match.start() <= start < match.end():
                            yield match, minutes

    def clock(self, match: re.Match[str], minutes: int) -> Clock:
        groups = match.groupdict()
        if groups.get("named"):
            return Clock(match.start(), match.end(), minutes // 60, minutes % 60)
        if groups.get("lone"):
            return Clock(match.start("lone"), match.end(), self._hour(match["lone"]), 0, twelve=True, lone=True)
        minutes += 60 * (int(groups["digit"]) if groups.get("digit") else self._hour(match["hour"]))
        hour, minute = divmod(minutes % NOON, 60)
        start = match.end("lead") if groups.get("lead") else match.start()
        return Clock(start, match.end(), hour or 12, minute, twelve=True)

    def _hour(self, word: str) -> int:
        return self.hours[" ".join(word.split()).translate(_APOSTROPHES)]


def _languages() -> Iterator[_Spelled]:
    for table in languages().values():
        times = table.get("times", {})
        if "clock" in times:
            yield _Spelled(times["clock"], [*times["since"], *times["at"], *times["about"], *times.get("bare", ())])


_WORD = late(r"\w+")
_APOSTROPHES = str.maketrans("’ʼ`´", "'" * 4)
_OF_TWELVE = ("o'clock", "o clock", "oclock")
_SPELLED = tuple(_languages())
_TRIGGERS = Beginnings((word for spelled in _SPELLED for word in spelled.by_word), whole=True, among=EVERY_MAIL)
_NOT_COUNTING = late(r"[ \t]{0,2}(?:[.:;!?)\n]|\r|\Z)")


def spelled_in(text: str, lower: str) -> list[Clock]:
    """The clock times in words, in order, the longest at each place; at most ``MAX_CLOCKS``. ``lower`` as above."""
    places = _TRIGGERS.found(lower, MAX_PLACES)
    found: dict[int, Clock] = {}
    for spelled in _SPELLED if places else ():
        for match, minutes in spelled.said_in(lower, places):
            clock = spelled.clock(match, minutes)
            if clock.lone and not (
                _NOT_COUNTING.match(text, clock.end)
                or _UNCOUNTED.match(lower, clock.end)
                or part_of_day(lower, 0, clock, clock.end + 24)
            ):
                continue
            if clock.end > found.get(clock.start, Clock(0, 0, 0, 0)).end:
                found[clock.start] = clock
    kept: list[Clock] = []
    for clock in sorted(found.values(), key=lambda clock: (clock.start, -clock.end)):
        if not kept or clock.start >= kept[-1].end:
            tail = _TAIL.match(lower, clock.end)
            zone = text[slice(*tail.span("zone"))] if tail else ""
            kept.append(replace(clock, end=tail.end() if zone and tail else clock.end, zone=zone))
    return kept[:MAX_CLOCKS]


# --------------------------------------------------------------------------- which half of the day


def _parts() -> re.Pattern[str]:
    """An expression for the parts of the day; a word that begins with ``*`` may end a longer one."""
    groups = []
    for part in ("morning", "evening", "night"):
        stems = [
            word for table in languages().values() for word in table.get("times", {}).get("parts", {}).get(part, ())
        ]
        within = alternation(stem[1:] for stem in stems if stem.startswith("*"))
        groups.append(
            rf"(?P<{part}>(?<!\w)(?:{alternation(stem for stem in stems if stem[0] != '*')})(?!\w)|{within}(?!\w))"
        )
    return late("|".join(groups))


#: the words for a part of the day
PARTS = tuple(
    stem.strip("*")
    for table in languages().values()
    for stems in table.get("times", {}).get("parts", {}).values()
    for stem in stems
)
_PART = _parts()
#: a greeting, or what happens every day
_NO_PART = late(
    r"(?<!\w)(?:good|gute[nr]?|schönen|buon[ao]?|buen[ao]s|boa|bom|bonne|добр\w*|goe?de[nr]?|dobr\w*|iyi|every|each"
    r"|jeden|jede|chaque|cada|ogni|кажд\w*|кожн\w*|każd\w*|elke|iedere|her|každ\w*|tomorrow|morgen|demain|завтра|next)"
    r"[ \t]{1,3}\Z",
)


def part_of_day(lower: str, low: int, clock: Clock, high: int) -> str:
    """``morning``, ``evening`` (afternoons too) or ``night`` when words near the clock name it, the nearest; else
    nothing."""
    nearest, named = 46, ""
    for match in _PART.finditer(lower, max(low, clock.start - 45), min(high, clock.end + 30)):
        away = clock.start - match.end() if match.end() <= clock.start else match.start() - clock.end
        if 0 <= away < nearest and not _NO_PART.search(lower, max(0, match.start() - 12), match.start()):
            nearest, named = away, str(match.lastgroup)
    return named


def settled(clock: Clock, part: str) -> Clock:
    """The clock in 24 hours, if the part of the day says which half is meant."""
    if not part or not (clock.twelve or (clock.half_open and clock.hour <= 12)):
        return clock
    hour = clock.hour % 12
    if part == "evening" or (part == "night" and hour >= 6):
        hour += 12
    return replace(clock, hour=hour, half_open=False, twelve=False)


def names_night(words_: str) -> bool:
    """Whether the words for a day say that it was at night ("last night")."""
    return any(match["night"] for match in _PART.finditer(words_))
