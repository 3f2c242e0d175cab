"""The attachments of a mail: their names as anybody writes them, and their contents on demand."""

from __future__ import annotations

import hashlib
import mimetypes
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.mail.charsets import decode
from gateway.mail.header import decode_words, fields_of, header_end
from gateway.mail.limits import MAX_FIELD
from gateway.model import Attachment
from gateway.read import bodies, transfer
from gateway.read.clean import clean_line, clean_type
from gateway.read.structure import Octets, Part, structure

MAILS = ("message/rfc822", "message/global")
HEADERS = ("text/rfc822-headers", "message/global-headers")
STATUS = ("message/delivery-status", "message/global-delivery-status")
#: parts for machines: no words of the author's, and no attachments
FOR_MACHINES = (*HEADERS, *STATUS, "message/disposition-notification", "message/global-disposition-notification")
_TYPES = mimetypes.MimeTypes()  # its own list, not the machine's


@dataclass(slots=True)
class File:
    """An attachment with its content, in pieces."""

    name: str
    kind: str
    part: int
    pieces: Iterable[bytes]


def files(root: Part, reader: bodies.Reader) -> Iterator[File]:
    """Every attachment, in order; what was read as words is none unless it has a name."""
    for leaf in root.leaves():
        name = named(bodies.name_of(leaf, reader.hint))
        if leaf.kind in FOR_MACHINES:
            continue
        inside = reader.unpacked.get(leaf.index)
        if inside is not None:
            for number, (inner, content) in enumerate(inside.attachments, 1):
                yield File(named(inner) or f"unnamed-{number}", guessed(inner), leaf.index, (content,))
            continue
        for found in reader.files.get(leaf.index, ()):
            inner = named(decode(found.name, "", hint=reader.hint)[0]) or "unnamed"
            yield File(inner, guessed(inner), leaf.index, (found.content,))
        if leaf.index in reader.texts and not name:
            continue
        if leaf.start >= leaf.end and not name and not leaf.fields:
            continue
        yield File(name or _default_name(leaf), clean_type(leaf.kind), leaf.index, octets(leaf))


def octets(part: Part) -> Iterable[bytes]:
    """The octets of an attachment. An attached mail in a transfer encoding is decoded (RFC 6532 section 3.7), unless it
    only says so."""
    if (
        part.kind in MAILS
        and part.encoding == transfer.BASE64
        and b":" in part.data[part.start : min(part.end, part.start + 1000)]
    ):
        return transfer.chunks(part.data, part.start, part.end)
    return part.pieces()


def beginning(part: Part, limit: int) -> bytes:
    """The first octets of an attachment."""
    found = b""
    for piece in octets(part):
        found += piece
        if len(found) >= limit:
            break
    return found[:limit]


def measured(file: File) -> Attachment:
    """An attachment as it is kept: size and SHA-256 of its content."""
    sha, size = hashlib.sha256(), 0
    for piece in file.pieces:
        sha.update(piece)
        size += len(piece)
    return Attachment(file.name, file.kind, size, sha.hexdigest(), file.part)


def named(name: str) -> str:
    """A file name without path and without what nobody sees."""
    text = unicodedata.normalize("NFKC", clean_line(name, 1000))
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Cc", "Cs", "Co", "Cn"))
    return text.replace("\\", "/").rpartition("/")[2].strip(" .")[:200]


def guessed(name: str) -> str:
    """The media type that a file name speaks of."""
    return _TYPES.guess_type(named(name).rpartition("/")[2])[0] or "application/octet-stream"


def _default_name(part: Part) -> str:
    if part.kind not in MAILS:
        return "unnamed"
    head = beginning(part, MAX_FIELD)
    fields = fields_of(head[: header_end(head)[0]])
    subject = next((value for name, value in fields if name == "subject"), "")
    return (named(clean_line(decode_words(subject), 80)) or "message") + ".eml"


def attachment(raw: Octets, sha256: str) -> bytes | None:
    """The content of the attachment of a raw mail with this hash, or ``None``. A mail that could not be read is its
    own."""
    if hashlib.sha256(raw).hexdigest() == sha256:
        return bytes(raw)
    root = structure(raw, [])
    reader = bodies.Reader([])
    reader.bodies(root)
    for file in files(root, reader):
        pieces = list(file.pieces)
        sha = hashlib.sha256()
        for piece in pieces:
            sha.update(piece)
        if sha.hexdigest() == sha256:
            return b"".join(pieces)
    return None


def pictures(raw: Octets, most: int = 1024**2) -> dict[str, tuple[str, bytes]]:
    """(type, content) of the pictures in a mail that its HTML can name, by Content-ID (RFC 2392); none is larger than
    ``most``."""
    found: dict[str, tuple[str, bytes]] = {}
    for leaf in structure(raw, []).leaves():
        named_as = next((value for name, value in leaf.fields if name == "content-id"), "").strip().strip("<>")
        if named_as and leaf.kind.startswith("image/") and len(found) < 50:
            content = beginning(leaf, most + 1)
            if len(content) <= most:
                found[named_as] = (leaf.kind, content)
    return found
