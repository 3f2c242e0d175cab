"""Attacks on the verification of signatures, and old signers' habits: each was found by trying."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from gateway.mail import canonical
from gateway.mail.header import RawMail, written_fields
from gateway.verify import arc, dkim
from gateway.verify.dns import ZoneResolver
from tests.test_dkim import RECORDS, RSA

SEALERS = frozenset(("f.example",))
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
FROM = b"From: Ops <ops@shop.example>\r\n"
ZONE = {"long._domainkey.shop.example": {"TXT": [RECORDS["long"]]}}


def _results(raw: bytes) -> list[tuple[str, str]]:
    found = asyncio.run(dkim.verify(RawMail.of(raw), "shop.example", ZoneResolver(ZONE), NOW))
    return [(one.result, one.reason) for one in found]


def _mail(signed: bytes, rest: bytes, tags: bytes, relaxed: bool = False) -> bytes:
    """A mail with an empty body, signed by the letter of RFC 6376: ``signed`` is the canonical header, ``rest`` the
    header as it stands, ``tags`` hold ``b=``."""
    form, body = (b"relaxed", b"") if relaxed else (b"simple", b"\r\n")
    bh = base64.b64encode(hashlib.sha256(body).digest())
    head = b" v=1; a=rsa-sha256; c=%s/%s; d=shop.example; s=long; h=from; bh=%s; " % (form, form, bh) + tags
    name = b"dkim-signature:" if relaxed else b"DKIM-Signature:"
    written = head.strip() if relaxed else head
    b = base64.b64encode(RSA[2048].sign(signed + name + written, padding.PKCS1v15(), hashes.SHA256()))
    return b"DKIM-Signature:" + head.replace(b" b=", b" b=" + b) + b"\r\n" + rest + b"\r\n"


@pytest.mark.parametrize(
    ("tags", "result"),
    [
        (b"b=", ("pass", "")),
        (b"b=; ", ("pass", "")),  # only the line end of the signature is not signed (section 3.7)
        (b"b=;\r\n ", ("pass", "")),
        (b"b=; q=dns/txt", ("pass", "")),
        (b"b=; q=dns/new : dns/txt", ("pass", "")),  # unknown methods do not count (section 3.5)
        (b"b=; q=dns/new", ("permerror", "q= is not dns/txt")),
    ],
)
def test_a_signature_is_read_by_the_letter_of_its_rfc(tags: bytes, result: tuple[str, str]) -> None:
    assert _results(_mail(FROM, FROM, tags)) == [result]


def test_only_blanks_and_tabs_go_in_the_relaxed_form() -> None:
    assert _results(_mail(b"from:ops@shop.example \x0c\r\n", b"From: \tops@shop.example\t\x0c\r\n", b"b=", True)) == [
        ("pass", "")
    ]
    assert _results(_mail(b"from:ops@shop.example\r\n", b"From: ops@shop.example\x0b\r\n", b"b=", True)) == [
        ("fail", "the signature does not match")
    ]


def test_an_author_whom_the_signature_does_not_see_is_not_proven() -> None:
    mail = _mail(b"", b"", b"b=")
    assert _results(mail.replace(b"\r\n\r\n", b"\r\nFrom : boss@shop.example\r\n\r\n")) == [
        ("permerror", "the header is too large or odd for DKIM")
    ]
    assert written_fields(b"From \t: a@x.example\r\nA: b\r\n") is None


@pytest.mark.parametrize("bh", [b"!AAA=", b"AAAA====", b"A=AA", b"=", b"A" * 8000 + b" " * 7000 + b"!"])
@pytest.mark.parametrize("tag", [b"b", b"bh"])
def test_what_is_no_base64_is_refused_at_once(tag: bytes, bh: bytes) -> None:
    mail = _mail(FROM, FROM, b"b=").replace(b" " + tag + b"=", b" " + tag + b"=" + bh)
    head, _, rest = mail.partition(b"\r\n")
    assert _results((head + b"\r\n") * 15 + rest) == [("permerror", "b= or bh= is no base64")] * 15


def _spent(mail: bytes) -> float:
    begun = time.process_time()
    asyncio.run(dkim.verify(RawMail.of(mail), "shop.example", ZoneResolver(ZONE), NOW))
    return time.process_time() - begun


@pytest.mark.parametrize(
    "mail",
    [
        # fifteen times 16,000 blanks
        b"DKIM-Signature: v=1; a=rsa-sha256; d=shop.example; s=long; h=from; bh=AAAA; b=A%s!\r\n" % (b" " * 16000) * 15
        + FROM + b"\r\n",
        # a line that is no field, among those that are
        b"DKIM-Signature: v=1\r\n" + FROM + b"a" * 100_000 + b"\r\nMIME-Version: 1.0\r\n\r\n",
        # every slice of the body may go on with the next
        _mail(FROM, FROM, b"b=") + b"\r" * 16_000_000, _mail(b"from:x\r\n", b"From: x\r\n", b"b=", True) + b" \r" * 8_000_000,
    ],
    ids=["blanks in b=", "no field", "CRs, simple", "CRs, relaxed"],
)  # fmt: skip
def test_no_mail_costs_more_than_its_length(mail: bytes) -> None:
    assert _spent(mail) < 1.5


@pytest.mark.parametrize("relaxed", [False, True])
def test_a_body_is_the_same_however_it_is_cut(relaxed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [
        b"a \r\r \r\n\r\nb\t \r\n \r\n\r",
        b" \r \r\n",
        b"\r\r\r\n\n\r",
        b"x  \t\r\r\n\t \n y \r\n\r\n ",
        b"\r\n\r",
        b" ",
    ]
    whole = [canonical.body_digest(body, 0, relaxed) for body in bodies]
    for size in range(1, 8):
        monkeypatch.setattr(canonical, "SLICE", size)
        assert [canonical.body_digest(body, 0, relaxed) for body in bodies] == whole


@pytest.mark.parametrize(
    "seal", [b"%s!" % (b" " * 100_000), b" i%s!" % (b" " * 100_000), b" i=1%s!" % (b" " * 100_000)]
)
def test_the_number_of_a_seal_is_a_tag_and_found_at_once(seal: bytes) -> None:
    begun = time.process_time()
    found = [
        asyncio.run(arc.verify(RawMail.of(b"ARC-Seal:" + text + b"\r\n" + FROM + b"\r\n"), SEALERS, ZoneResolver({})))
        for text in (seal, b" xi=1; a=rsa-sha256", b" n=mine i=1; a=rsa-sha256")
    ]
    assert [(one.result, one.reason) for one in found] == [
        ("fail", "a field without a usable i=, or two of one kind")
    ] * 3
    assert time.process_time() - begun < 1.5
