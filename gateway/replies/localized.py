"""Numbers and dates in a template's own language: plural forms and moments (Unicode CLDR, by Babel).

Babel is loaded when the first template asks for it.
"""

from __future__ import annotations

import functools
import re
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import pass_context
from jinja2.runtime import Context

from gateway.settings import Hours


@pass_context
def counted(context: Context, number: int, one: str, other: str) -> str:
    """The form of a noun that goes with ``number`` in the template's language: ``one`` where CLDR says so (1 in German,
    21 in Russian, 0 and 1 in French), else ``other``."""
    return one if _locale(str(context["language"])).plural_form(number) == "one" else other


@pass_context
def hour(context: Context, value: str) -> str:
    """The time of day of a time of ISO 8601, in the configured zone."""
    return f"{datetime.fromisoformat(value).astimezone(ZoneInfo(str(context['timezone']))):%H:%M}"


def sized(octets: int) -> str:
    """A number of octets as people write it: ``18 KB``."""
    if octets < 1024:
        return f"{octets} bytes"
    return f"{octets / 1024:.0f} KB" if octets < 1024**2 else f"{octets / 1024**2:.1f}".removesuffix(".0") + " MB"


@pass_context
def moment(context: Context, value: str) -> str:
    """A time of ISO 8601 as people of the template's language write it, in the configured zone and with its name.

    Raises:
        ValueError: ``value`` is not a time of ISO 8601.
    """
    language = str(context["language"])
    when = datetime.fromisoformat(value).astimezone(ZoneInfo(str(context["timezone"])))
    clock = _clock(when.time().replace(second=0, microsecond=0), language)
    return f"{_day(when.date(), language)}{_joined(when, language)}{clock} ({_zone_name(when, language)})"


@functools.lru_cache(maxsize=256)  # most moments are of these days; Babel takes long for each
def _day(day: date, language: str) -> str:
    from babel.dates import format_date

    written = format_date(day, "long", locale=_spoken(language))
    if language == "en":  # which staff read too, in ASCII
        return str(written)
    return _DAY.sub("\\1\u00a0", _FIRST_OF_MONTH.sub(_FIRST.get(language, "1"), written))


@functools.lru_cache(maxsize=1440)
def _clock(minute: time, language: str) -> str:
    from babel.dates import format_time

    return str(format_time(minute, "short", locale=_spoken(language))) + _OF_THE_CLOCK.get(language, "")


def _joined(when: datetime, language: str) -> str:
    """What stands between a day and its time; Spanish says "a la 1:05" and "a las 2:05"."""
    if language == "es":
        return " a la\u00a0" if when.hour == 1 else " a las\u00a0"
    return {"fr": " à\u00a0", "it": ", ore\u00a0"}.get(language, ", ")


_FIRST_OF_MONTH = re.compile(r"^1(?= )")
_FIRST = {"fr": "1er", "it": "1º"}  #: which CLDR writes as a plain 1
_DAY = re.compile(r"^(\d\S*) ")  #: a day of the month, which no line break parts from its month
_LOCALES = {"en": "en_GB"}  #: day before month, 24 hours
_OF_THE_CLOCK = {"de": "\u00a0Uhr"}


@functools.lru_cache(maxsize=64)
def _locale(name: str) -> Any:
    from babel import Locale

    return Locale.parse(name)


def _spoken(language: str) -> Any:
    """The locale whose dates and times people of this language read."""
    return _locale(_LOCALES.get(language, language))


def named(language: str) -> str:
    """A language as operators read it: ``German (de)``."""
    return f"{_locale('en').languages.get(language, 'unknown language')} ({language})"


_ZONES: dict[tuple[object, ...], str] = {}  #: the names that were asked for: some zones, their seasons, some languages


def _zone_name(when: datetime, language: str) -> str:
    """``MEZ`` in German; the zone's own abbreviation where the language has no name for it but an offset."""
    key = (str(when.tzinfo), when.tzname(), when.utcoffset(), when.dst(), language)
    known = _ZONES.get(key)
    if known is None:
        from babel.dates import get_timezone_name

        name = get_timezone_name(when, "short", locale=_spoken(language))
        known = _ZONES[key] = name if name.isalpha() else str(when.tzname())
    return known


@functools.lru_cache(maxsize=64)  # every mail says it
def zones(timezone: str, language: str) -> str:
    """What the zone is called in winter and in summer: ``CET/CEST``."""
    zone = ZoneInfo(timezone)
    names = [_zone_name(datetime(2026, month, 1, 12, tzinfo=zone), language) for month in (1, 7)]
    return "/".join(dict.fromkeys(names))


def opening(hours: Hours, timezone: str, language: str) -> str:
    """When a team works: ``Mon–Fri, 09:00–18:00 (CET/CEST)``."""
    from babel.dates import get_day_names

    names = get_day_names("abbreviated", "stand-alone", locale=_spoken(language))
    days = "–".join(dict.fromkeys(names[day] for day in (hours.first, hours.last)))
    clock = f"{hours.begins}–{hours.ends}{_OF_THE_CLOCK.get(language, '')}"
    return f"{days}, {clock} ({zones(timezone, language)})"
