"""Times as people type them at the shell, and as they are shown to them: in the configured zone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from gateway.cli.output import fail, safe

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.model import JsonObject


def past(words: str, now: datetime, option: str = "--since", zone: str = "UTC") -> datetime:
    """So long ago (2h, 3d), or a date. Ends the command with 2 when it is neither."""
    before = _duration(words)
    return now - before if before is not None else _date(words, option, zone)


def future(words: str, now: datetime, zone: str) -> datetime:
    """In so long (2h, 3d), or a date in ``zone``; a date without a time is 08:00 of that day."""
    ahead = _duration(words)
    if ahead is not None:
        return now + ahead
    moment = _date(words, "UNTIL", zone)
    return moment.replace(hour=8) if len(words.strip()) == len("2026-11-22") else moment


def local(value: str, zone: str) -> str:
    """A time of ISO 8601 in a zone, with the name of that: ``2026-11-22 15:04:05 CET``."""
    return f"{datetime.fromisoformat(value).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}"


def shown(pages: Iterable[list[JsonObject]], zone: str) -> Iterator[list[JsonObject]]:
    """The rows of a list with their times in the zone of whoever reads them."""
    for page in pages:
        yield [{name: _of(name, value, zone) for name, value in row.items()} for row in page]


def _of(name: str, value: Any, zone: str) -> Any:
    return local(value, zone) if value and name.endswith("_at") else value


def zone_of(settings: Settings) -> str:
    """The configured zone, in which commands read and print times."""
    return settings.gateway.timezone


def _duration(words: str) -> timedelta | None:
    from gateway.settings import seconds

    try:
        return timedelta(seconds=seconds(words))
    except ValueError:
        return None


def _date(words: str, option: str, zone: str) -> datetime:
    try:
        moment = datetime.fromisoformat(words.strip())
    except ValueError:
        fail(f"{option}: neither a duration (2h, 3d) nor a date (2026-11-22T14:00): {safe(words)}", 2)
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
