"""The pages: Jinja2 templates of the package, everything escaped, what strangers wrote made harmless for the eye
too."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from gateway.console import kinds
from gateway.replies.localized import sized

FOLDER = Path(__file__).parent
#: characters that change the order in which a line is read: a file name "gpj.exe" must not look like one of a picture
_TURNS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def harmless(value: object) -> object:
    """Text as it is shown: control characters and changes of direction are named, not obeyed."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(_shown(char) for char in value)


def _shown(char: str) -> str:
    if char in "\n\t" or char.isprintable():
        return char
    if ord(char) in _TURNS or unicodedata.category(char) in ("Cc", "Cs", "Co"):
        return "\N{REPLACEMENT CHARACTER}"
    return char


def moment(value: datetime | None, now: datetime, zone: str) -> str:
    """A time as a person says it: of today the hour alone."""
    if value is None:
        return "–"
    there, today = value.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone))
    if there.date() == today.date():
        return f"{there:%H:%M}"
    return f"{there:%-d %b %H:%M}" if there.year == today.year else f"{there:%-d %b %Y %H:%M}"


def until(value: datetime | None, now: datetime) -> str:
    """How long until a moment, or since."""
    if value is None:
        return ""
    left = value - now
    late, seconds = left < timedelta(0), int(abs(left).total_seconds())
    if seconds >= 86400:
        text = f"{seconds // 86400} d {seconds % 86400 // 3600} h"
    elif seconds >= 3600:
        text = f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
    else:
        text = f"{seconds // 60}:{seconds % 60:02}"
    return f"{text} late" if late else text


def since(value: str, now: datetime, zone: str) -> str:
    """The start of an incident, as ``moment``."""
    try:
        return moment(datetime.fromisoformat(value), now, zone)
    except ValueError:
        return value


def cut(whole: str, shown: str) -> str:
    """What of the whole words is not shown; all of them where the shown ones are not simply a part."""
    before, found, after = whole.partition(shown.strip())
    rest = "\n[…]\n".join(part.strip("\n") for part in (before, after) if part.strip())
    return rest if found and rest else whole


#: what the program calls by one word, as a person says it
_WORDS = {
    "auto_reply": "automatic", "bulk": "mass mail", "bounce": "delivery report", "report": "report of a machine",
    "self": "our own mail", "human": "person", "received": "acknowledgement",
    "received_general": "acknowledgement, general", "verification_needed": "asked to verify",
    "emergency": "outage acknowledged", "status": "still in work", "closed": "told it is closed",
    "abuse_notice": "abuse notice", "staff_new": "new, or more", "staff_alert": "reminder",
    "staff_breach": "limit passed", "staff_digest": "digest", "staff_undelivered": "not delivered",
    "staff_owner": "new owner", "staff_held": "held mail", "staff_refused": "answer refused",
    "email_change": "change of e-mail address", "suspended_payment": "suspended, unpaid",
    "suspended_violation": "suspended for abuse", "destructive": "what it asks for cannot be undone",
}  # fmt: skip


def word(value: str) -> str:
    """What a person says for a word of the program."""
    return _WORDS.get(value, value.replace("_", " "))


def said(value: str) -> str:
    """A line of the directory, its states as a person says them."""
    for state in ("suspended_payment", "suspended_violation"):
        value = value.replace(state, _WORDS[state])
    return value


def quoted(text: str) -> str:
    """Text for a query or a cookie."""
    return quote(text, safe="")


def unquoted(text: str) -> str:
    """The text that ``quoted`` made fit for an address."""
    return unquote(text)


def _versions() -> dict[str, str]:
    files = (FOLDER / "static").iterdir()
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in files if file.is_file()}


@functools.cache
def _environment() -> Environment:
    """Made when the first page is asked for."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=harmless, auto_reload=False,
    )  # fmt: skip
    versions = _versions()
    made.globals["static"] = lambda name: f"/static/{name}?{versions[name]}"
    made.tests["match"] = lambda value, pattern: re.match(pattern, value) is not None
    made.filters |= {"moment": moment, "until": until, "octets": sized, "since": since, "quoted": quoted, "cut": cut}
    made.filters |= {"word": word, "opens": kinds.opens, "said": said}
    return made


def text(template: str, **values: Any) -> str:
    """A template of the console, rendered; what it is given is escaped."""
    return _environment().get_template(template).render(**values)


def response(template: str, status: int = 200, **values: Any) -> Response:
    """A template of the console as a page of HTML."""
    values.setdefault("status", status)
    return HTMLResponse(text(template, **values), status)
