"""The mails of a ticket as they came: formatted, as source, and their attachments. Every look at an original is
audited.

What a browser might run (HTML, SVG, anything it does not know) is only ever handed out as a download.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from gateway.console import inside, kinds
from gateway.console.door import Visit
from gateway.console.pages import quoted
from gateway.console.ticket import reference_of
from gateway.database import originals
from gateway.read.attachments import attachment
from gateway.tickets import audit, casefile, people
from gateway.tickets.audit import Act
from gateway.tickets.conversation import ticket

#: what is shown in the browser itself; the content says so too, or it is a download
INLINE = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8", "image/webp": b"RIFF"}
#: no script, no frame, no origin, whatever the file says
SEALED = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; sandbox; frame-ancestors 'none'"
MAX_SOURCE = 1024**2
_SHA256 = re.compile(r"[0-9a-f]{64}")


async def _original(visit: Visit, how: str) -> tuple[Any, bytes | bytearray]:
    """(inbox row, octets) of the mail in the address; the look is written down."""
    entry, now = int(visit.request.path_params["entry"]), visit.service.clock()

    def looked(connection: Connection) -> tuple[Any, bytes | bytearray] | None:
        row = ticket(connection, reference_of(visit))
        mail = casefile.mail_of(connection, row, entry) if entry < 1 << 62 else None
        if mail is None:
            return None
        audit.write(connection, Act(how, "message", str(mail.id), {"ticket": row.reference}), visit.person, now)
        return mail, originals.load(connection, mail.id)

    found = await visit.service.change(looked)
    if found is None or not found[1]:
        raise HTTPException(404)
    return found


async def page(visit: Visit) -> Response:
    """The mail's HTML, made safe, for a frame."""
    mail, raw = await _original(visit, "view html")
    return await inside.mail(visit, raw, mail)


async def source(visit: Visit) -> Response:
    """The source of the mail as text, its beginning."""
    return as_source((await _original(visit, "view source"))[1])


def as_source(raw: bytes | bytearray) -> Response:
    """The beginning of a mail as it came."""
    text = bytes(raw[:MAX_SOURCE]).decode("utf-8", "backslashreplace")
    more = "" if len(raw) <= MAX_SOURCE else f"\n\n[{len(raw) - MAX_SOURCE} more octets: download the mail]\n"
    response = PlainTextResponse(text + more)
    response.headers["content-security-policy"] = SEALED
    return response


async def raw(visit: Visit) -> Response:
    """The mail, byte for byte, as a download."""
    mail, octets = await _original(visit, "download mail")
    return download(bytes(octets), f"{reference_of(visit)}-{mail.id}.eml", "message/rfc822")


def download(octets: bytes, name: str, kind: str = "application/octet-stream", inline: bool = False) -> Response:
    """A file; its name can do nothing to the header (RFC 6266, RFC 8187)."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)[:100] or "file"
    way = "inline" if inline else "attachment"
    response = Response(octets, media_type=kind)
    response.headers["content-disposition"] = f"{way}; filename=\"{plain}\"; filename*=UTF-8''{quoted(name[:100])}"
    response.headers["content-security-policy"] = SEALED
    return response


async def file(visit: Visit) -> Response:
    """An attachment: a picture in the browser, everything else as a download."""
    octets, name, kind = await _attached(visit)
    inline = kind in INLINE and octets.startswith(INLINE[kind]) and not visit.asked("download")
    return download(octets, name or "file", kind if inline else "application/octet-stream", inline)


async def file_page(visit: Visit) -> Response:
    """An attached mail or text, made safe, for a frame."""
    octets, name, kind = await _attached(visit)
    if kinds.is_mail(name, kind):
        return await inside.attached_mail(visit, octets)
    if kinds.is_text(name, kind):
        return await visit.service.compute(lambda: inside.text(octets))
    raise HTTPException(404)


async def _attached(visit: Visit) -> tuple[bytes, str, str]:
    """(content, name, type) of the attachment in the address; the look is written down."""
    sha256, now = visit.request.path_params["sha256"], visit.service.clock()
    if not _SHA256.fullmatch(sha256):
        raise HTTPException(404)

    def looked(connection: Connection) -> tuple[list[bytes | bytearray], str, str]:
        row = ticket(connection, reference_of(visit))
        raws = people.raws_with(connection, row.reference, sha256)
        name, kind = casefile.file_named(connection, row, sha256)
        if raws:
            detail = {"ticket": row.reference, "sha256": sha256}
            audit.write(connection, Act("view attachment", "ticket", row.reference, detail), visit.person, now)
        return raws, name, kind

    raws, name, kind = await visit.service.change(looked)
    octets = await visit.service.compute(
        lambda: next((one for raw in raws if (one := attachment(raw, sha256)) is not None), None)
    )
    if octets is None:
        raise HTTPException(404)
    return octets, name, kind
