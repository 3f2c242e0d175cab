"""What is inside a mail or an attached file, made safe to look at in a frame of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from gateway.console import mail_html, pages
from gateway.console.door import Visit
from gateway.console.mail_html import framed
from gateway.mail.charsets import decode
from gateway.model import Reading
from gateway.read.attachments import pictures
from gateway.read.reader import NoReader, ReaderFailed, TooSlow

MAX_TEXT = 256 * 1024


async def read(visit: Visit, raw: bytes | bytearray, mail_from: str | None, at: datetime) -> tuple[Reading | None, str]:
    """(the reading by the killable reader, why there is none)."""
    try:
        return await visit.service.read(raw, mail_from, at), ""
    except (ReaderFailed, NoReader, TooSlow) as error:
        return None, f"This mail cannot be read: {type(error).__name__}. Its source can be downloaded."


async def mail(visit: Visit, raw: bytes | bytearray, row: Any, held: bool = False) -> Response:
    """The HTML of a mail of the inbox; of one that is ``held`` it says where the links lead."""
    reading, trouble = await read(visit, raw, row.mail_from, row.received_at)
    if reading is None:
        return framed(mail_html.written(trouble, ""))
    if not reading.parsed.html:
        return framed(mail_html.plain(reading.language or ""))
    shown = await _html(visit, raw, reading)
    return framed(mail_html.told(shown) if held else shown)


async def attached_mail(visit: Visit, octets: bytes) -> Response:
    """A mail that is attached to another: who says what to whom, and its words as they are formatted."""
    reading, trouble = await read(visit, octets, None, visit.service.clock())
    if reading is None:
        return framed(mail_html.written(trouble, ""))
    language = reading.language or ""
    html = reading.parsed.html
    shown = await _html(visit, octets, reading) if html else mail_html.written(reading.masked_full_text, language)
    head = pages.text("mail_head.html", fields=_head(reading.parsed.headers), files=reading.parsed.attachments)
    return framed(mail_html.headed(shown, head))


async def _html(visit: Visit, raw: bytes | bytearray, reading: Reading) -> str:
    inside = await visit.service.compute(lambda: pictures(raw))
    html, language = reading.parsed.html, reading.language or ""
    shown, _ = await visit.service.compute(lambda: mail_html.page(html, language, inside.get))
    return shown


def _head(headers: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The fields that a person looks at."""
    return {
        name.title(): headers[name][0][:500] for name in ("from", "to", "cc", "subject", "date") if headers.get(name)
    }


def text(octets: bytes) -> Response:
    """The beginning of a text file."""
    said = decode(octets[:MAX_TEXT], "")[0]
    more = f"\n\n[{len(octets) - MAX_TEXT} more octets: download the file]" if len(octets) > MAX_TEXT else ""
    return framed(mail_html.written(said + more, ""))
