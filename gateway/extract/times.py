"""When the problem began: own rules with ``zoneinfo``. No guess without a word that says "since" or "started"."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

_ZONES = {
    "utc": UTC, "gmt": UTC, "z": UTC, "uhr utc": UTC,
    "cet": ZoneInfo("Europe/Berlin"), "cest": ZoneInfo("Europe/Berlin"), "mez": ZoneInfo("Europe/Berlin"),
    "mesz": ZoneInfo("Europe/Berlin"), "мск": ZoneInfo("Europe/Moscow"), "msk": ZoneInfo("Europe/Moscow"),
    "eet": ZoneInfo("Europe/Kyiv"), "eest": ZoneInfo("Europe/Kyiv"), "bst": ZoneInfo("Europe/London"),
    "est": timezone(timedelta(hours=-5)), "edt": timezone(timedelta(hours=-4)),
    "pst": timezone(timedelta(hours=-8)), "pdt": timezone(timedelta(hours=-7)),
}  # fmt: skip
_SINCE = (
    r"since|from|began|begun|started|starting|start|down at|seit|ab|begann|beginn|angefangen|depuis|à partir de|desde|dal|dalle|da|"
    r"с|со|около|начал\w{0,4}|з|від|близько|почал\w{0,4}|at|around|about|gegen|um"
)
_DAYS = {
    "today": 0, "heute": 0, "aujourd'hui": 0, "hoy": 0, "oggi": 0, "сегодня": 0, "сьогодні": 0,
    "yesterday": 1, "gestern": 1, "hier": 1, "ayer": 1, "ieri": 1, "вчера": 1, "вчора": 1,
}  # fmt: skip
_ZONE = r"(?:\s{0,2}(?:uhr|h|ч)?\.?\s{0,2}\(?(utc|gmt|cest|cet|mesz|mez|мск|msk|eest|eet|bst|est|edt|pst|pdt|z|[+-]\d{2}:?\d{2})\)?(?!\w))?"
_ISO = re.compile(
    rf"(?<!\d)(\d{{4}})-(\d\d)-(\d\d)[T ,]{{1,2}}(\d{{1,2}}):(\d\d)(?::\d\d(?:\.\d{{1,6}})?)?{_ZONE}", re.IGNORECASE
)
_EUROPEAN = re.compile(
    rf"(?<!\d)(\d{{1,2}})\.(\d{{1,2}})\.(\d{{4}}),?\s{{1,2}}(?:um |at |в |о )?(\d{{1,2}}):(\d\d)(?::\d\d)?{_ZONE}",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    rf"(?<!\w)(?:{_SINCE})\s{{1,2}}(?:(?:about|around|approximately|ca\.?|etwa|gegen|около|ungefähr|circa)\s{{1,2}})?"
    rf"(?:(?:las|la|les|alle|ore|dem|den)\s{{1,2}})?"
    rf"(?:({'|'.join(map(re.escape, _DAYS))})\s{{1,2}}(?:at|um|gegen|à|a las|alle|в|о|около|ca\.)?\s{{0,2}})?"
    rf"(\d{{1,2}})[:.](\d\d)(?!\d|\.\d){_ZONE}",
    re.IGNORECASE,
)
_TELLS = re.compile(
    r"since|began|begun|start|down|outage|offline|unreachable|seit|begann|beginn|ausfall|nicht erreichbar|depuis|panne|desde|caíd|"
    r"dal|offline|с |начал|не работает|недоступ|з |почал|не працює|incident|störung|problem",
    re.IGNORECASE,
)


def _at(day: date, hour: str, minute: str, zone: str | None, default: ZoneInfo) -> datetime | None:
    if int(hour) > 23 or int(minute) > 59:
        return None
    name = (zone or "").lower()
    if re.fullmatch(r"[+-]\d{2}:?\d{2}", name):
        sign = -1 if name[0] == "-" else 1
        offset = timedelta(hours=int(name[1:3]), minutes=int(name[-2:]))
        if offset > timedelta(hours=14):
            return None
        where: ZoneInfo | timezone = timezone(sign * offset)
    else:
        found = _ZONES.get(name)
        where = default if found is None else found  # type: ignore[assignment]
    return datetime.combine(day, time(int(hour), int(minute)), where)


def incident_start(text: str, received_at: datetime, zone: ZoneInfo) -> tuple[datetime | None, str]:
    """(when it began with its zone, the words that say so). A time ahead of the receipt is yesterday's or none."""
    local = received_at.astimezone(zone)
    for match in _CLOCK.finditer(text[:65536]):
        around = text[max(0, match.start() - 60) : match.end() + 60]
        if not _TELLS.search(around):
            continue
        day = local.date() - timedelta(days=_DAYS.get((match[1] or "").lower(), 0))
        start = _at(day, match[2], match[3], match[4], zone)
        if start is not None and start > received_at and not match[1]:
            start -= timedelta(days=1)
        if start is not None and start <= received_at:
            return start, match[0].strip()
    for pattern, order in ((_ISO, (1, 2, 3)), (_EUROPEAN, (3, 2, 1))):
        for match in pattern.finditer(text[:65536]):
            if not _TELLS.search(text[max(0, match.start() - 60) : match.end() + 40]):
                continue
            try:
                day = date(*(int(match[index]) for index in order))
            except ValueError:
                continue
            start = _at(day, match[4], match[5], match[6], zone)
            if start is not None and start <= received_at and start > received_at - timedelta(days=60):
                return start, match[0].strip()
    return None, ""
