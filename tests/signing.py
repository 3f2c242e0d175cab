"""Mails as their domain signs them, with any h= and any fields above the signature, and their verdict."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.mail.header import RawMail
from gateway.model import Envelope, Verdict
from gateway.read.author import author_of
from gateway.verify.addressees import Ours
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.dns import Resolver, ZoneResolver

NOW = datetime.now(UTC).replace(microsecond=0)
OURS = Ours(frozenset({"support@introserv.com", "desk@gmail.example"}), shared=frozenset({"introserv.com"}))
OWN, ELSEWHERE = "192.0.2.1", "203.0.113.99"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
RECORD = f"v=DKIM1; k=rsa; p={PUBLIC}"
ZONE: dict[str, Any] = {
    "shop.example": {"TXT": [f"v=spf1 ip4:{OWN} -all"]},
    "_dmarc.shop.example": {"TXT": ["v=DMARC1; p=reject"]},
    "s._domainkey.shop.example": {"TXT": [RECORD]},
    "evil.example": {"TXT": [f"v=spf1 ip4:{ELSEWHERE} -all"]},
}
USUAL = "from:to:cc:subject:date:message-id"
FROM = "From: Ops <ops@shop.example>\r\n"


def dated(days: float = 0) -> str:
    """The Date field of so many days ago."""
    return f"Date: {format_datetime(NOW - timedelta(days=days))}\r\n"


def mail(to: str = "To: support@introserv.com\r\n", more: str = "", body: str = "The disk is slow.\r\n") -> bytes:
    """An unsigned mail of the customer; ``to`` and ``more`` are whole fields. A Date in ``more`` stands for today's."""
    date = "" if "Date:" in more else dated()
    head = f"{FROM}{to}Subject: Disk\r\nMessage-ID: <a@shop.example>\r\n{date}{more}"
    return f"{head}\r\n{body}".encode()


def with_signature(
    raw: bytes, names: str = USUAL, domain: str = "shop.example", timed: bool = True, **tags: Any
) -> bytes:
    """Signed by dkimpy with exactly these fields in h=; without t= where it is not ``timed``."""
    signer = _Untimed if not timed else dkim.DKIM
    made = signer(raw)
    head = made.sign(
        b"s",
        domain.encode(),
        PEM,
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=[name.encode() for name in names.split(":")],
        **tags,
    )
    return bytes(head) + raw


class _Untimed(dkim.DKIM):  # type: ignore[misc]
    """dkimpy always writes t=; Microsoft, Apple and others do not."""

    def gen_header(
        self, fields: Any, include_headers: Any, canon_policy: Any, header_name: Any, pk: Any, standardize: bool = False
    ) -> Any:
        kept = [field for field in fields if field[0] != b"t"]
        return super().gen_header(kept, include_headers, canon_policy, header_name, pk, standardize)


def by_dkim(to: str = "To: support@introserv.com\r\n", names: str = USUAL) -> bytes:
    """The usual mail to these recipients, signed."""
    return with_signature(mail(to), names)


async def verdict_of(
    raw: bytes, sent: bool = False, zone: Mapping[str, Any] | Resolver = ZONE, sealers: frozenset[str] = frozenset(),
    mail_from: str | None = None, now: datetime = NOW,
) -> Verdict:  # fmt: skip
    """The verdict on a mail that the customer's own server ``sent``, or a stranger's."""
    resolver = ZoneResolver(zone) if isinstance(zone, Mapping) else zone
    sender = ("ops@shop.example" if sent else "eve@evil.example") if mail_from is None else mail_from
    client = OWN if sent else ELSEWHERE
    whole = RawMail.of(raw)
    envelope = Envelope(sender, ("support@introserv.com",), client, "mx.example", "smtp", now)
    checks = Checks(resolver, 10, False, sealers, OURS)
    return await authenticate(author_of(whole.header), envelope, whole, checks)


def judged(raw: bytes, sent: bool = False, **more: Any) -> Verdict:
    """``verdict_of`` for a test that has no loop of its own."""
    return asyncio.run(verdict_of(raw, sent, **more))
