"""Invitations as lines of text (RFC 5545, 5546), by icalendar; lines that are no properties are left out first, and
what is open is closed."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

MAX_CALENDAR = 128 * 1024
MAX_EVENTS = 20
_FOLD = re.compile(r"\n[ \t]")
_PROPERTY = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}(?:;[^\n:]{0,1000})?:")
#: what is asked of icalendar; everything else of a calendar only costs time
_WANTED = ("BEGIN", "END", "METHOD", "SUMMARY", "LOCATION", "DTSTART", "DTEND")
_KINDS = {
    "REQUEST": "invitation",
    "CANCEL": "cancelled",
    "REPLY": "answer to an invitation",
    "PUBLISH": "event",
    "COUNTER": "other time proposed",
}


def calendar(text: str) -> str:
    """A line for each event of an iCalendar text: what, when, where; ``""`` when there is none."""
    if "BEGIN:VEVENT" not in text.upper():
        return ""
    from icalendar import Calendar  # here: few mails have any

    try:
        found = Calendar.from_ical(_repaired(text[:MAX_CALENDAR]), multiple=True)
        lines = [f"[{_kind(one)}: {_event(event)}]" for one in found for event in one.walk("VEVENT")[:MAX_EVENTS]]
    except Exception:  # a library over hostile input: whatever it raises, the mail is read without this line
        return ""
    return "\n".join(lines[:MAX_EVENTS])


def _repaired(text: str) -> str:
    """The lines that matter, each a property, every component closed. Time zones are left out: their names are shown as
    they are."""
    kept: list[str] = []
    stack: list[str] = []
    for line in _FOLD.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n"):
        name = line.partition(":")[0].partition(";")[0].upper()
        if name not in _WANTED or _PROPERTY.match(line) is None:
            continue
        component = line.partition(":")[2].strip().upper()
        if name == "BEGIN" and component in ("VCALENDAR", "VEVENT"):
            if kept.count("BEGIN:VEVENT") >= MAX_EVENTS:
                break
            if component in stack:
                kept.append(f"END:{stack.pop()}")
            if not stack and component == "VEVENT":
                kept.append("BEGIN:VCALENDAR")
                stack.append("VCALENDAR")
            stack.append(component)
            kept.append(f"BEGIN:{component}")
        elif name == "END" and stack and component == stack[-1]:
            kept.append(f"END:{stack.pop()}")
        elif name not in ("BEGIN", "END") and stack and (stack[-1] == "VEVENT" or name == "METHOD"):
            kept.append(line[:2000])
    return "\r\n".join([*kept, *(f"END:{component}" for component in reversed(stack))]) + "\r\n"


def _kind(found: Any) -> str:
    return _KINDS.get(str(found.get("METHOD", "")).strip().upper(), "event")


def _event(event: Any) -> str:
    times = " - ".join(when for name in ("DTSTART", "DTEND") if (when := _when(event.get(name))))
    summary, location = (" ".join(str(event.get(name, "")).split())[:200] for name in ("SUMMARY", "LOCATION"))
    return ", ".join(part for part in (summary, times, location) if part) or "without words"


def _when(value: Any) -> str:
    moment = getattr(value, "dt", None)
    if moment is None:
        return ""
    if not isinstance(moment, datetime):
        return str(moment.isoformat())
    zone = str(value.params.get("TZID", ""))[:60]
    utc = " UTC" if not zone and moment.utcoffset() is not None else f" ({zone})" if zone else ""
    return f"{moment:%Y-%m-%d %H:%M}{utc}"
