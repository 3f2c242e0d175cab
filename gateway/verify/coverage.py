"""What a sound signature proves: that the author's domain wrote what is read here, for us, and of late.

DKIM signs the fields that h= names, each in its last instance (RFC 6376 section 5.4.2); whatever stands beside them
anybody may have put there who ever received the mail. So what is believed is what was signed:

- A field that a mail has once and that decides what is read, by whom or when (the ones of RFC 5322 section 3.6,
  MIME-Version, Content-*) and that stands there twice: a reader takes the first, the signature the last. No proof,
  whatever h= says.
- Subject must be signed where there is one. Every signer of size signs it.
- To and Cc must be signed to count. Gmail, Yahoo, Proton, Yandex, GMX and web.de, Amazon SES and OpenDKIM sign both;
  iCloud signs To only; Outlook and Microsoft 365 sign neither
  (h=From:Date:Subject:Message-ID:Content-Type:MIME-Version:...). Where they are not signed nobody knows whom the mail
  was for: then SPF must say that the author's own server sends it to us.
- MIME-Version changes nothing here, so it need not be signed. Content-Type and Content-Transfer-Encoding are signed by
  Microsoft, SES, SendGrid, OpenDKIM, Exim and (most) rspamd; Gmail signs the encoding and not the type, Yahoo, Proton,
  Yandex, GMX and web.de neither. So an unsigned one is believed where the signed body itself says the same, and nobody
  can choose: the boundary is the one that the body begins and ends with, HTML begins as HTML, base64 and
  quoted-printable are nothing else, the charset is one in which ASCII is ASCII. Anything else (another type, UTF-7, a
  boundary from the midst of the words) was perhaps put there later.
- A header that two readers read differently (a bare CR, a NUL; more fields or longer ones than are read) proves
  nothing.
- The age is that of t=, else of a signed Date; a signature without either may be of any age.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gateway.mail.header import Written
from gateway.verify.addressees import addressees

#: fields that a mail has at most once (RFC 5322 section 3.6), and the one of RFC 2045 that says how to read the others
SINGLETONS = frozenset(
    (b"from", b"sender", b"reply-to", b"to", b"cc", b"message-id", b"in-reply-to", b"references", b"subject", b"date",
     b"mime-version")
)  # fmt: skip
_THREADS = frozenset((b"in-reply-to", b"references"))
REPLAY_S = 7 * 86400.0
AHEAD_S = 86400.0  #: how far a Date may lie in the future: a clock in another time zone
MAX_FIELD = 32 * 1024  #: longer ones are cut when the mail is read
_EDGE = 4096
_PLAIN = re.compile(r"us-ascii|ascii|utf-?8|iso-?8859-\d{1,2}|latin-?1|windows-125\d|cp125\d|koi8-[ru]", re.IGNORECASE)
_PARTS = frozenset(("multipart/mixed", "multipart/alternative", "multipart/related", "multipart/signed"))
_PARAM = re.compile(r';\s*([a-z0-9-]+)\s*=\s*(?:"([^"\\]*)"|([^\s";()\\]+))', re.IGNORECASE)
_TYPE = re.compile(rf"[a-z]+/[a-z0-9.+-]+\s*(?:{_PARAM.pattern}\s*)*;?\s*", re.IGNORECASE)
_IDENTITY = frozenset((b"", b"7bit", b"8bit", b"binary"))
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|!--|\?xml|html|head|body|meta|style|div|p|span|table|font|br|h[1-6]|a|b|i|u|ul"
    rb"|ol|center|"
    rb"blockquote|img|title|section|pre)[\s/>]",
    re.IGNORECASE,
)
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/\r\n]")
_BROKEN_QP = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|[ \t]*\Z)")


@dataclass(frozen=True, slots=True)
class Coverage:
    """``doubt``: why the signature is no full proof of what is read, or ``""``. ``recipients``: whom the signed To and
    Cc address; ``None`` where one of them is not signed. ``threads``: In-Reply-To and References are signed, present or
    not. ``dated``: it says when it was signed, so that the same words on another day are signed otherwise; and of what
    subject, where there is one: two mails of the same words below two subjects are two. ``content``: a digest of what
    was signed; empty where From, Subject or Date is not."""

    doubt: str
    recipients: tuple[str, ...] | None
    threads: bool = False
    dated: bool = True
    content: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """A mail as its verifier sees it: the fields in order, names as they came, and where the body begins in ``raw``.
    ``places``: where the fields of a name (in small letters) stand among them; found once, every signature asks."""

    fields: Sequence[Written]
    raw: bytes | bytearray
    body: int
    places: dict[bytes, list[int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places: dict[bytes, list[int]] = {}
        for index, (name, _) in enumerate(self.fields):
            places.setdefault(name.lower(), []).append(index)
        object.__setattr__(self, "places", places)

    def values(self, name: bytes) -> list[bytes]:
        """What the fields of this name say, in order."""
        return [self.fields[index][1] for index in self.places.get(name, ())]


def coverage(mail: Signed, names: Sequence[bytes], signed_at: int | None, now: datetime) -> Coverage:
    """What a signature over the fields ``names`` (h=, in small letters) proves. ``signed_at``: its t=."""
    deciding = {name: mail.values(name) for name in mail.places if name in SINGLETONS or name.startswith(b"content-")}
    signed = frozenset(names)
    doubt = (
        _twofold(mail.fields)
        or _repeated(deciding)
        or _unsigned(deciding, signed, mail)
        or _late(deciding, signed, signed_at, now)
    )
    dated = signed_at is not None or (b"date" in signed and b"date" in deciding)
    titled = b"subject" in signed or b"subject" not in deciding
    return Coverage(doubt, _recipients(deciding, signed), signed >= _THREADS, dated and titled)


def _twofold(fields: Sequence[Written]) -> str:
    for _, value in fields:
        if b"\x00" in value or value.count(b"\r") != value.count(b"\r\n"):
            return "the header holds a bare CR or NUL and can be read in two ways"
    return ""


def _repeated(deciding: dict[bytes, list[bytes]]) -> str:
    for name, found in deciding.items():
        if len(found) > 1:
            return f"perhaps a replay: {name.decode('ascii', 'replace')} stands there twice"
        if len(found[0]) > MAX_FIELD:
            return f"{name.decode('ascii', 'replace')} is longer than what is read of it"
    return ""


def _unsigned(deciding: dict[bytes, list[bytes]], signed: frozenset[bytes], mail: Signed) -> str:
    if b"subject" in deciding and b"subject" not in signed:
        return "Subject is not signed"
    shape = _Shape(mail)
    encoding = _plain(deciding, b"content-transfer-encoding").lower()
    if b"content-type" not in signed and not shape.says(_plain(deciding, b"content-type"), encoding):
        return "Content-Type is not signed, and the body does not say the same"
    if b"content-transfer-encoding" not in signed and not shape.encoded(encoding):
        return "Content-Transfer-Encoding is not signed, and the body does not say the same"
    disposition = _plain(deciding, b"content-disposition").lower()
    if b"content-disposition" not in signed and disposition.partition(b";")[0].strip() not in (b"", b"inline"):
        return "Content-Disposition is not signed"
    return ""


def _plain(deciding: dict[bytes, list[bytes]], name: bytes) -> bytes:
    return b" ".join(deciding.get(name, [b""])[0].split())


@dataclass(frozen=True, slots=True)
class _Content:
    """A Content-Type field that every reader reads alike: ``kind`` is its media type, ``""`` where there is none
    such."""

    kind: str
    params: dict[str, str]


def _content(value: bytes) -> _Content:
    """Plain type and parameters, each once, quoted at most: no comments, no escapes, no pieces of RFC 2231."""
    text = value.decode("ascii", "replace") or "text/plain"
    found = _PARAM.findall(text) if _TYPE.fullmatch(text) else []
    params = {name.lower(): quoted or bare for name, quoted, bare in found}
    once = _TYPE.fullmatch(text) is not None and len(params) == len(found)
    return _Content(text.partition(";")[0].strip().lower() if once else "", params)


class _Shape:
    """What the octets of a body say of its type and encoding; only its two ends are looked at."""

    def __init__(self, mail: Signed) -> None:
        self._mail = mail

    def _boundary(self) -> bytes:
        """The boundary between whose lines the whole body stands, or ``b""``: only a sentence about MIME may precede
        it."""
        raw, body = self._mail.raw, self._mail.body
        closing = bytes(raw[max(body, len(raw) - _EDGE) :]).rstrip().rpartition(b"\n")[2]
        if not (closing.startswith(b"--") and closing.endswith(b"--") and len(closing) > 4):
            return b""
        delimiter = closing[:-2]
        first = [line.rstrip() for line in bytes(raw[body : body + _EDGE]).split(b"\n") if line.strip()]
        if delimiter not in first:
            return b""
        before = b" ".join(first[: first.index(delimiter)])
        return delimiter[2:] if not before or (len(before) < 300 and b"mime" in before.lower()) else b""

    def says(self, value: bytes, encoding: bytes) -> bool:
        """Whether the body is of this type by its own look."""
        boundary, content = self._boundary(), _content(value)
        if content.kind in _PARTS:
            return boundary != b"" and content.params.get("boundary", "").encode() == boundary
        if boundary or content.kind not in ("text/plain", "text/html"):
            return False
        if not _PLAIN.fullmatch(content.params.get("charset", "us-ascii")):
            return False
        return (_HTML.match(self._start(encoding)) is not None) == (content.kind == "text/html")

    def _start(self, encoding: bytes) -> bytes:
        start = bytes(self._mail.raw[self._mail.body : self._mail.body + _EDGE])
        if encoding == b"base64":
            letters = re.sub(rb"[^A-Za-z0-9+/]", b"", start)
            return base64.b64decode(letters[: len(letters) // 4 * 4])
        return binascii.a2b_qp(start) if encoding == b"quoted-printable" else start

    def encoded(self, encoding: bytes) -> bool:
        """Whether the body may be in this encoding and, if it is not the plain one, in no other."""
        if encoding in _IDENTITY:
            return True
        if self._boundary():
            return False  # RFC 2045 section 6.4
        body = bytes(self._mail.raw[self._mail.body :])
        if encoding == b"base64":
            return _NO_BASE64.search(body.rstrip(b"\r\n \t").rstrip(b"=")) is None
        return encoding == b"quoted-printable" and _BROKEN_QP.search(body) is None


def _late(deciding: dict[bytes, list[bytes]], signed: frozenset[bytes], signed_at: int | None, now: datetime) -> str:
    moment = float(signed_at) if signed_at is not None else None
    if moment is None and b"date" in signed:
        moment = _moment(_plain(deciding, b"date"))
        if moment is not None and moment > now.timestamp() + AHEAD_S:
            return "its Date lies in the future, and it says not when it was signed (t=)"
    if moment is None:
        return "perhaps a replay: neither t= nor a signed Date says when it was signed"
    if now.timestamp() - moment > REPLAY_S:
        return f"perhaps a replay: signed {(now.timestamp() - moment) / 86400:.0f} days ago"
    return ""


def _moment(value: bytes) -> float | None:
    try:
        parsed = parsedate_to_datetime(value[:100].decode("ascii", "replace"))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    try:
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _recipients(deciding: dict[bytes, list[bytes]], signed: frozenset[bytes]) -> tuple[str, ...] | None:
    named: list[str] = []
    for name in (b"to", b"cc"):
        for value in deciding.get(name, ()):
            if name not in signed:
                return None
            found = addressees(value)
            if found is None:
                return None
            named += found
    return tuple(named)
