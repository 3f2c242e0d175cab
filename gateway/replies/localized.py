"""Numbers and dates in a template's own language: plural forms and moments (Unicode CLDR, by Babel).

Babel is loaded when the first template asks for it.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from jinja2 import pass_context
from jinja2.runtime import Context


@pass_context
def counted(context: Context, number: int, one: str, other: str) -> str:
    """The form of a noun that goes with ``number`` in the template's language: ``one`` where CLDR says so (1 in German,
    21 in Russian, 0 and 1 in French), else ``other``."""
    from babel import Locale

    return one if Locale.parse(str(context["language"])).plural_form(number) == "one" else other


@pass_context
def hour(context: Context, value: str) -> str:
    """The time of day of a time of ISO 8601, in the configured zone."""
    return f"{datetime.fromisoformat(value).astimezone(ZoneInfo(str(context['timezone']))):%H:%M}"


def sized(octets: int) -> str:
    """A number of octets as people write it: ``18 KB``."""
    if octets < 1024:
        return f"{octets} bytes"
    return f"{octets / 1024:.0f} KB" if octets < 1024**2 else f"{octets / 1024**2:.1f} MB"


@pass_context
def moment(context: Context, value: str) -> str:
    """A time of ISO 8601 as people of the template's language write it, in the configured zone and with its name.

    Raises:
        ValueError: ``value`` is not a time of ISO 8601.
    """
    from babel.dates import format_date

    zone = ZoneInfo(str(context["timezone"]))
    language = str(context["language"])
    when = datetime.fromisoformat(value).astimezone(zone)
    return f"{format_date(when, 'long', locale=language)}, {when:%H:%M} ({when.tzname()})"
