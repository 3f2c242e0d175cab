"""When the problem began: own rules with ``zoneinfo`` over the word tables of each language.

A clock time counts when a word such as "since" leads to it and trouble is told beside it, or when "at" does and the
trouble stands in the same clause. A clock without a day that lies ahead is yesterday's. A zone that could be two is
none: no time is better than a wrong one. Where the words name no time at all, the first time stamp of a pasted log is
the last resort.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.read.late import late
from gateway.read.tables import alternation, flattened, languages, lowered, words
from gateway.read.times.clocks import (
    PARTS,
    Clock,
    clocks_in,
    matching,
    names_night,
    part_of_day,
    settled,
    spelled_in,
    zone_at,
    zone_before,
    zone_of,
)

MAX_TEXT = 65536
OLDEST = timedelta(days=60)
_BEFORE, _AFTER = 90, 60

_TODAY, _YESTERDAY, _EARLIER = words("times", "today"), words("times", "yesterday"), words("times", "before_yesterday")
_MORNING, _EVENING = words("times", "am"), words("times", "pm")
_ARTICLES = (
    "the", "on", "of", "at", "le", "la", "les", "l'", "las", "los", "el", "il", "lo", "am", "um", "dem", "den", "der",
    "vom", "de", "del", "du", "da",
    "às", "as", "à", "a", "alle", "dalle", "ore", "в", "во", "о", "об", "v", "ve", "o", "om", "op", "dne", "dnia", "w",
    "ca", "saat", "kl", "gg", "от", "від",
    "c", "so", "um ca", "godz", "godziny", "o godz", "o godzinie", "hour", "time", "dia", "día", "día", "giorno",
)  # fmt: skip


def _numbered(key: str, first: int) -> dict[str, int]:
    """The number of each word in the lists of all languages under this key; ``mon|monday*`` are two of one number."""
    lists = [table["times"][key] for table in languages().values() if key in table.get("times", {})]
    return {
        word.lower(): index for forms in lists for index, form in enumerate(forms, first) for word in form.split("|")
    }


def _any_of(stems: Sequence[str]) -> str:
    """An expression for what begins with any of these; one that ends in ``=`` is a whole word."""
    begins = [stem for stem in stems if not stem.endswith("=")]
    whole = [stem.removesuffix("=") for stem in stems if stem.endswith("=")]
    return rf"(?:{alternation(begins) if begins else '(?!)'}|(?:{alternation(whole) if whole else '(?!)'})(?!\w))"


_WEEKDAYS, _MONTHS = _numbered("weekdays", 0), _numbered("months", 1)
_STEMS_DAY = sorted(
    ((stem.rstrip("*").replace("'", ""), index) for stem, index in _WEEKDAYS.items()), key=lambda item: -len(item[0])
)
_STEMS_MONTH = sorted(((stem.rstrip("*"), index) for stem, index in _MONTHS.items()), key=lambda item: -len(item[0]))

_ISO_DATE = r"(?P<y1>\d{4})-(?P<m1>\d{1,2})-(?P<d1>\d{1,2})"
_NUMBER_DATE = (
    r"(?P<d2>\d{1,2})(?:[./-]|\.[ ](?=\d{1,2}\.))(?P<m2>\d{1,2})(?:(?:[./-]|\.[ ](?=\d{4}))(?P<y2>\d{4}|\d\d)|\.)?"
)
_MONTH = alternation(_MONTHS)
_WORD_DATE = (
    r"(?P<d3>\d{1,2})(?:st|nd|rd|th|er|º|-го|\.)?[ \t\xa0]{1,2}(?:de[ \t]|of[ \t]"
    rf"|d')?(?P<m3>{_MONTH})(?!\w)\.?(?:,?[ \t\xa0]{{1,2}}(?:de[ \t])?(?P<y3>\d{{4}}))?"
)
_MONTH_DATE = (
    rf"(?P<m4>{_MONTH})(?!\w)\.?[ \t]{{1,2}}(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,?[ \t]{{1,2}}(?P<y4>\d{{4}}))?"
)
_AM_PM = late(r"\d[ \t\xa0]?[ap]\.?m(?!\w)")
_DATE = late(rf"(?<![\w./-])(?:{_ISO_DATE}|{_WORD_DATE}|{_MONTH_DATE}|{_NUMBER_DATE})(?!\w)")
_LAST_WORD = late(r"\w+\Z")
_DAY_WORD = late(rf"(?<!\w)(?P<day>{alternation((*_TODAY, *_YESTERDAY, *_EARLIER))})(?!\w)")
_WEEKDAY = late(rf"(?<!\w)(?P<weekday>{alternation(_WEEKDAYS)})(?!\w)")
#: what may stand between "since" and the clock
_FILLING = (
    *words("times", "about"), *_ARTICLES, *_TODAY, *_YESTERDAY, *_EARLIER, *_MORNING, *_EVENING, *_WEEKDAYS,
    *words("times", "hour"), *PARTS,
)  # fmt: skip
_FILL = late(
    rf"[ \t\xa0\r\n,:()\[\]~≈.-]{{1,4}}|(?<!\w)(?:{alternation(_FILLING)})(?!\w)\.?"
    rf"|(?<![\w./-])(?:{re.sub('[?]P<[a-z0-9]+>', '?:', '|'.join((_ISO_DATE, _WORD_DATE, _MONTH_DATE, _NUMBER_DATE)))})"
    r"(?!\w)|\d{4}(?!\d)",
)
_SINCE = late(rf"(?<!\w)(?:{alternation(words('times', 'since'))})(?!\w)")
_AT = late(
    rf"(?<!\w)(?:{alternation((*words('times', 'at'), *_TODAY, *_YESTERDAY, *_EARLIER, *_WEEKDAYS))})(?!\w)",
)
_BOTH_DAYS = late(r"[ \t]{1,2}(?:auf|zu|to|into|sur|a|al|на|op|na|z)[ \t]{1,2}")
#: "from 9:00 to 18:00"
_UNTIL = late(
    r"[ \t\xa0]{0,2}(?:[-–—]|(?:to|until|till|bis|à|jusqu['’]à|a las|a|as|hasta|alle|fino alle|до|às|até|tot|do)[ "
    r"\t])[ \t\xa0]{0,2}(?:(?:about|las|le|etwa|ca\.?)[ \t])?\d",
)
_UNTIL_END = late(r"\d{1,2}(?:[:.h]\d\d)?")
#: "between 9:00 and 9:30"
_BETWEEN = late(
    rf"(?<!\w)(?:{alternation(words('times', 'between'))})[ \t\xa0]{{1,2}}(?:(?:{alternation(_ARTICLES)})[ "
    r"\t]{1,2}){0,2}\Z"
)
_SINCE_AFTER = late(rf"['’]?\w{{0,4}}[ \t]{{1,2}}(?:{alternation(words('times', 'since_after'))})(?!\w)")


#: for flattened text
_TROUBLE, _FINE, _NOT, _HABIT, _NEGATION, _TOMORROW, _BACK = (
    late(rf"(?<!\w){_any_of([word.lower() for word in words('times', key)])}")
    for key in ("trouble", "fine", "not", "habit", "negation", "tomorrow", "back")
)
_DAYS = late(rf"(?<!\w){_any_of([*_TODAY, *_YESTERDAY, *_EARLIER, *(word.removesuffix('*') for word in _WEEKDAYS)])}")
_SENTENCE = late(
    r"[.!?](?=\s)(?:(?<!\d.)|(?<=[:hч]\d\d.))(?<![ (]ca.)(?<![ (]ok.)(?<!godz.)(?<!approx.)(?<![ (]nr.)(?<![ "
    r"(]no.)(?<![ (]hod.)(?<![ (]\w.)(?<!ungef.)"
    r"|\n[ \t]{0,20}\n|\n(?=[ \t]{0,4}[-*•>|#$\[])"
)
_WORD_BEFORE = late(r"(?P<word>[^\W\d_]{3,20})[ \t:(\[–-]{1,3}\Z")
_CLAUSE = late(r"[,;](?=\s)")
_MONTH_EN = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
#: ISO (most programs), syslog and Apache's error log, access logs and PHP
_LOG = late(
    r"^[ \t]{0,4}\[?(?:(?P<y>\d{4})[-/](?P<mo>\d\d)[-/](?P<d>\d\d)[T "
    r"](?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)(?:[.,]\d{1,9})?[ ]?(?P<z>Z|UTC|[+-]\d\d:?\d\d)?"
    rf"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[ ])?(?P<mon>{_MONTH_EN})[ ]{{1,2}}(?P<sd>\d{{1,2}})[ "
    r"](?P<sh>\d\d):(?P<smi>\d\d):(?P<ss>\d\d)(?:\.\d{1,6})?(?:[ ](?P<sy>20\d\d)(?!\d))?"
    r"|(?:[0-9A-Fa-f.:]{3,45}[ ]\S{1,20}[ ]\S{1,40}[ "
    rf"]\[)?(?P<ad>\d\d)[/-](?P<amon>{_MONTH_EN})[/-](?P<ay>\d{{4}})[: ](?P<ah>\d\d):(?P<ami>\d\d):(?P<as>\d\d)[ "
    r"](?P<az>[+-]\d{4}|UTC))",
    re.MULTILINE,
)
_ATTACK = late(r"(?i)failed password|invalid user|authentication failure|refused connect|attack|abuse|scan|banned")


_NUMBER = late(r"\d")
_SECONDS = late(r":\d\d:\d\d")  # what every time stamp of a log has
_ISO_T = late(r"T(?<=\d\d-\d\dT)(?=\d\d:\d\d)")
_APOSTROPHES = str.maketrans("", "", "'’ʼ`´")
_MONTHS_EN = _MONTH_EN.split("|")
_VAGUE = late(rf"(?<!\w)(?:{alternation(words('times', 'vague'))})(?!\w)")


def _sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the sentence around a place begins and ends, within the window."""
    low, high = max(0, start - 300), min(len(text), end + 200)
    begins = low
    for boundary in _SENTENCE.finditer(text, low, start):
        begins = boundary.end()
    after = _SENTENCE.search(text, end, high)
    return begins, after.start() if after else high


def _led(lower: str, low: int, start: int) -> tuple[str, int]:
    """(``since``, ``at`` or nothing, where the leading word begins): what leads to the clock at ``start``."""
    place = start
    low = max(low, start - _BEFORE)
    at = -1
    for _ in range(16):
        end = place
        while end > low and lower[end - 1] in " \t\xa0\r\n":
            end -= 1
        begins = [
            begin for begin in range(max(low, end - 28), end)
            if begin == low or not (lower[begin - 1].isalnum() and lower[begin].isalnum())
        ]  # fmt: skip
        words_ = [begin for begin in begins if lower[begin].isalnum()]
        word = _ending(_SINCE, lower, words_, end)
        if word is not None:
            return "since", word
        there = _ending(_AT, lower, words_, end)
        if there is not None:
            at = there
        step = end if end < place else _ending(_FILL, lower, begins, end)
        if step is None:
            break
        place = step
    return ("at", at) if at >= 0 else ("", start)


def _fell_before(lower: str, low: int, start: int) -> bool:
    """Whether the word right before a clock time tells of trouble: "DOWN 09:12", "padł 15:31"."""
    word = _WORD_BEFORE.search(lower, max(low, start - 32), start)
    return word is not None and _TROUBLE.match(flattened(word["word"])) is not None


def _ending(pattern: re.Pattern[str], text: str, begins: Sequence[int], end: int) -> int | None:
    """Where a match that ends at ``end`` begins, the longest of them."""
    for begin in begins:
        match = pattern.match(text, begin, end)
        if match and match.end() == end:
            return begin
    return None


def _day(lower: str, low: int, clock: Clock, high: int, local: datetime) -> date | bool | None:
    """The day that the words around name; ``None`` when they name none, ``False`` when there is no such day."""
    before, after = lower[max(low, clock.start - _BEFORE) : clock.start], lower[clock.end : min(high, clock.end + 30)]
    if clock.end + 30 < high and lower[clock.end + 29 : clock.end + 31].isalnum():
        after = _LAST_WORD.sub("", after)  # "wed" of "według" names no day
    for part in (before, after):
        dates = list(_DATE.finditer(part)) if _NUMBER.search(part) else []
        if dates:
            named_first = bool(_AM_PM.search(lower, clock.start, clock.end))  # "11/05/2026 06:37 PM" is of November
            return _dated(dates[-1] if part is before else dates[0], local, named_first)
        if not _DAYS.search(flattened(part)):
            continue
        named = list(_WEEKDAY.finditer(part))
        days = list(_DAY_WORD.finditer(part))
        telling = [day for day in days if not matching(day["day"], PARTS)]  # "in the morning" alone is today's
        if telling or (days and not named):
            return _told_day((telling or days)[-1 if part is before else 0]["day"], clock, local)
        if named:
            return _weekday(before, named, clock, local) if part is before else _weekday("", named[:1], clock, local)
    return None


def _told_day(word: str, clock: Clock, local: datetime) -> date:
    """The day of "today", "yesterday" and their like."""
    back = 1 if matching(word, _YESTERDAY) else 2 if matching(word, _EARLIER) else 0
    if back == 1 and clock.hour < 6 and not clock.twelve and names_night(word):
        back = 0  # "last night at two"
    return local.date() - timedelta(days=back)


def _weekday(before: str, named: list[re.Match[str]], clock: Clock, local: datetime) -> date:
    """The last day of that name; of "the night from Thursday to Friday" the first one for an hour before midnight."""
    lower = named[-1]["weekday"].lower().translate(_APOSTROPHES)
    index = next(index for stem, index in _STEMS_DAY if lower.startswith(stem))
    if clock.hour >= 12 and len(named) > 1 and _BOTH_DAYS.fullmatch(before, named[-2].end(), named[-1].start()):
        index = (index - 1) % 7
    back = (local.weekday() - index) % 7
    if back == 0 and (clock.hour, clock.minute) > (local.hour, local.minute):
        back = 7
    return local.date() - timedelta(days=back)


def _dated(match: re.Match[str], local: datetime, month_first: bool = False) -> date | bool:
    month_word = match["m3"] or match["m4"]
    if month_word:
        month = next(index for stem, index in _STEMS_MONTH if month_word.lower().startswith(stem))
        day, year = match["d3"] or match["d4"], match["y3"] or match["y4"]
    elif match["y1"]:
        month, day, year = int(match["m1"]), match["d1"], match["y1"]
    else:
        month, day, year = int(match["m2"]), match["d2"], match["y2"]
        if int(day) <= 12 and (month > 12 or (month_first and "/" in match[0])):
            month, day = int(day), str(month)
    try:
        if year:
            return date(int(year) + (2000 if len(year) == 2 else 0), month, int(day))
        found = date(local.year, month, int(day))
        return found if found <= local.date() else date(local.year - 1, month, int(day))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Text:
    """A text, the same in small letters, and whether trouble is told of anywhere in it."""

    text: str
    lower: str
    troubled: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Lead:
    """What leads to a clock time: ``since``, ``at`` or a ``span``; where it begins, the zone before the clock, what
    ends a span, and a "since" behind the clock."""

    kind: str
    begins: int
    zone: str
    until: re.Match[str] | None
    turned: re.Match[str] | None


def _told(told: _Text, clock: Clock, received_at: datetime, default: ZoneInfo) -> tuple[datetime, str] | None:
    """The moment that this clock time means, if it is when something began."""
    low, high = _sentence(told.text, clock.start, clock.end)
    lead = _lead(told, low, clock)
    if lead is None or not _of_trouble(told, (low, high), lead, clock):
        return None
    ended = _UNTIL_END.match(told.lower, lead.until.end() - 1) if lead.until else None
    named = clock.zone or lead.zone or (zone_at(told.text, told.lower, ended.end()) if ended else "")
    zone = zone_of(named, default)
    moment = _moment(told.lower, (low, high), lead, clock, received_at.astimezone(zone)) if zone is not None else None
    if moment is None or moment > received_at or moment < received_at - OLDEST:
        return None
    end = lead.turned.end() if lead.turned else clock.end
    return moment, " ".join(told.text[min(lead.begins, clock.start) : end].split())[:120]


def _lead(told: _Text, low: int, clock: Clock) -> _Lead | None:
    """What leads to a clock time in the sentence that begins at ``low``."""
    text, lower = told.text, told.lower
    kind, begins = _led(lower, low, clock.start)
    named = zone_before(lower, low, clock.start)
    if named and not kind:
        kind, begins = _led(lower, low, lower.rindex(named, low, clock.start))
    until, between = _UNTIL.match(lower, clock.end), _BETWEEN.search(lower, max(low, clock.start - 24), clock.start)
    if between or (until and not kind):
        kind, begins = "span", between.start() if between else clock.start
    turned = _SINCE_AFTER.match(lower, clock.end)
    if turned is not None:
        kind = "since"
    if not kind and not clock.second and not text[low : clock.start].strip(" \t\r\n-*•[("):
        kind, begins = "at", clock.start  # "14:30 CET: no ping any more"
    if not kind and _fell_before(lower, low, clock.start):
        kind, begins = "at", clock.start
    return _Lead(kind, begins, named, until, turned) if kind else None


def _of_trouble(told: _Text, sentence: tuple[int, int], lead: _Lead, clock: Clock) -> bool:
    """Whether what began then is trouble, by the words of its clause, or of its sentence."""
    text, lower, (low, high) = told.text, told.lower, sentence
    clause_low, clause_high = low, high
    for comma in _CLAUSE.finditer(text, low, lead.begins):
        clause_low = comma.end()
    comma_after = _CLAUSE.search(text, clock.end, high)
    if comma_after:
        clause_high = comma_after.start()
    before = lower[clause_low : min(lead.begins, clock.start)]
    if _DAYS.search(flattened(before)):
        before = _DAY_WORD.sub(" ", before)
    before, after = flattened(before), flattened(lower[clock.end : clause_high])
    if _NOT.search(f"{before} {after}") or _TOMORROW.search(before) or _is_back(f"{before} {after}"):
        return False
    around = f"{lower[low : lead.begins]} {lower[clock.end : clause_high]}"
    if lead.kind in ("at", "span") and _HABIT.search(flattened(around)):
        return False
    wide = flattened(lower[clause_low:clause_high] if lead.until or lead.kind == "span" else lower[low:high])
    if _FINE.search(wide):
        wide = _FINE.sub(" ", wide)
    since = lead.kind == "since" and not lead.until
    return bool(_TROUBLE.search(wide)) or (since and (told.troubled() or bool(_NEGATION.search(after))))


def _moment(lower: str, sentence: tuple[int, int], lead: _Lead, clock: Clock, local: datetime) -> datetime | None:
    """The moment of a clock time for whoever wrote at ``local``, in that zone; ``None`` where its words contradict
    each other."""
    (low, high), now = sentence, local.astimezone(UTC)
    part = functools.partial(part_of_day, lower, low, clock, high)
    if clock.twelve or (clock.half_open and clock.hour <= 12):
        clock = settled(clock, part())
    day = _day(lower, low, clock, high, local)
    if day is False or day is True or (clock.twelve and day is not None):
        return None
    moment = datetime.combine(day or local.date(), time(clock.hour, clock.minute, clock.second), local.tzinfo)
    if clock.twelve:
        around = (moment + timedelta(hours=hours) for hours in (-36, -24, -12, 0, 12))
        return max(around, key=lambda m: (m <= now, m))
    if moment > now and ((day is None and lead.kind in ("since", "span")) or part() == "night"):
        moment -= timedelta(days=1)
    return moment


def _is_back(clause: str) -> bool:
    """Whether a clause tells when it was up again, which is no beginning."""
    joined = " ".join(clause.split())
    return _BACK.search(joined) is not None and _NEGATION.search(joined) is None


def _logged(text: str, received_at: datetime, default: ZoneInfo) -> tuple[datetime, str] | None:
    """The first time stamp of a pasted log."""
    for match in _LOG.finditer(text):
        line = text[match.start() : match.start() + 300].split("\n", 1)[0]
        if _ATTACK.search(line):
            continue
        local = received_at.astimezone(default)
        if match["y"]:
            parts = [match[name] for name in ("y", "mo", "d", "h", "mi", "s")]
        elif match["mon"]:
            year = match["sy"] or str(local.year - (_number(match["mon"]) > str(local.month).zfill(2)))
            parts = [year, _number(match["mon"]), *(match[name] for name in ("sd", "sh", "smi", "ss"))]
        else:
            parts = [match["ay"], _number(match["amon"]), *(match[name] for name in ("ad", "ah", "ami", "as"))]
        zone = zone_of(match["z"] or match["az"] or "", default)
        try:
            moment = datetime(*map(int, parts), tzinfo=zone)  # type: ignore[arg-type, misc]
        except ValueError:
            continue
        if received_at - OLDEST <= moment <= received_at:
            return moment, " ".join(line.split())[:120]
    return None


def _number(month: str) -> str:
    """The month in two digits."""
    return f"{_MONTHS_EN.index(month) + 1:02}"


def incident_start(subject: str, text: str, received_at: datetime, zone: ZoneInfo) -> tuple[datetime | None, str]:
    """(when it began with its zone, the words that say so), or ``(None, "")``."""
    whole = f"{subject}\n\n{text}"[:MAX_TEXT]
    if _has_t(whole):
        whole = _ISO_T.sub(" ", whole)
    stamped = bool(_SECONDS.search(whole)) and bool(_LOG.search(whole))
    troubled = functools.cache(lambda: bool(_TROUBLE.search(flattened(whole[:8192]))))
    lower = lowered(whole)
    for clocks in (clocks_in, spelled_in):
        for clock in _beginnings(clocks(whole, lower), lower):
            found = _told(_Text(whole, lower, troubled), clock, received_at, zone)
            if found is not None:
                return found
    if stamped and troubled() and not _vague(lower):
        found = _logged(whole, received_at, zone)
        if found is not None:
            return found
    return None, ""


def _beginnings(clocks: Iterable[Clock], lower: str) -> Iterator[Clock]:
    """The clocks but those that end a span, whose zone is that of its beginning too."""
    held: Clock | None = None
    for clock in clocks:
        if held is not None and (until := _UNTIL.match(lower, held.end)) and until.end() - 1 == clock.start:
            yield replace(held, zone=held.zone or clock.zone)
            held = None
            continue
        if held is not None:
            yield held
        held = clock
    if held is not None:
        yield held


def _has_t(text: str) -> bool:
    """Cheap: whether a "T" stands behind a digit, as in "2026-11-22T14:30"."""
    at = text.find("T")
    while at >= 0:
        if text[at - 1 : at].isdigit():
            return True
        at = text.find("T", at + 1)
    return False


def _vague(lower: str) -> bool:
    """Whether the words say since when without a clock ("for days"): then a log line is not the beginning."""
    return bool(_VAGUE.search(lower))
