"""Our verification of DKIM against dkimpy's: thousands of signed mails, most of them changed on the way in some odd place.

Nothing holds here that does not hold there; what holds there and not here is what this gateway is stricter about.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.mail.header import RawMail, written_fields
from gateway.model import DkimResult
from gateway.verify import dkim
from gateway.verify.dns import ZoneResolver

DOMAIN = "shop.example"
SPKI, PKCS1 = PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1
RSA = {bits: rsa.generate_private_key(public_exponent=65537, key_size=bits) for bits in (1024, 2048)}
ED25519 = ed25519.Ed25519PrivateKey.generate()


def _text(key: Any, form: PublicFormat = SPKI) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, form)).decode()


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


_ED = base64.b64encode(ED25519.public_key().public_bytes_raw()).decode()
RECORDS = {
    "long": f"v=DKIM1; k=rsa; p={_text(RSA[2048])}", "short": f"v=DKIM1; p={_text(RSA[1024])}",
    "bare": f"k=rsa; p={_text(RSA[2048], PKCS1)}", "ed": f"v=DKIM1; k=ed25519; p={_ED}",
}  # fmt: skip
SIGNERS = {
    "long": (_pem(RSA[2048]), b"rsa-sha256"), "short": (_pem(RSA[1024]), b"rsa-sha256"),
    "bare": (_pem(RSA[2048]), b"rsa-sha256"), "ed": (base64.b64encode(ED25519.private_bytes_raw()), b"ed25519-sha256"),
}  # fmt: skip
FIELDS = (
    b"To: support@introserv.com", b"Subject: Disk  is \t slow", b"Date: Sat, 28 Nov 2026 10:00:00 +0000", b"Cc: a@y.example,\r\n\tz@y.example",
    b"Received: from a\r\n by b\r\n ; now", b"X-Odd:", b"X-Odd: \xff\xfe", b"Reply-To:ops@shop.example", b"Message-ID: <a@shop.example>",
)  # fmt: skip
BODIES = (
    b"The disk is slow.\r\n", b"", b"\r\n\r\n", b"a \t b  \r\n\r\nc\r\n\r\n\r\n", b"bare\nline\nends\n", b"x" * 5000 + b"\r\n", b"no end", b" \r\n",
    b"a\rb\r\n", b"\tq\r\n" * 50,
)  # fmt: skip
TAGS = (
    (b"v=1", b"v=2"), (b"a=rsa-sha256", b"a=rsa-sha1"), (b"; s=", b"; i=ops@shop.example; s="), (b"; s=", b"; i=shop.example; s="),
    (b"; s=", b"; i=x@evil.example; s="), (b"q=dns/txt", b"q=http"), (b"; s=", b"; l=3; s="), (b"; s=", b"; x=1; s="), (b"; s=", b"; s="),
    (b"; s=", b";\r\n\ts ="), (b"; b=", b"; b=\r\n "), (b"c=relaxed/relaxed", b"c=relaxed"), (b"c=", b"c=odd/"), (b"; bh=", b"; bh=!"),
    (b"; d=shop", b"; d=SHOP"), (b"; s=", b";; s="), (b"; s=", b"; zz; s="), (b"; s=", b"; s=long; s="), (b"; h=", b"; h=from:"),
)  # fmt: skip
PUT = (
    b" ", b"\t", b"\r\n ", b"\n", b"\r", b"\n ", b"  ", b";", b"=", b"\x00", b"\xff", b"X: y\r\n", b"\r\nFrom: evil@x\r\n", b"\r\nSubject : x\r\n",
    b"\r\nno field\r\n", b"\r\n\r\n",
)  # fmt: skip
#: of what dkimpy lets pass; RFC 8301, RFC 6376 sections 3.6.1, 5.4 and 8.2, and what no RFC allows
STRICTER = frozenset((
    "l= leaves a part of the body unsigned", "h= does not sign From", "the signature does not match", "the signature has expired (x=)",
    "the header is too large or odd for DKIM", "d= or s= is no domain name",
))  # fmt: skip


def _signed(dice: random.Random) -> tuple[str, bytes, bytes]:
    """(selector, signature, mail)."""
    fields = [b"From: Ops <ops@shop.example>", *dice.sample(FIELDS, dice.randint(2, 7))]
    dice.shuffle(fields)
    raw = b"\r\n".join(fields) + b"\r\n\r\n" + dice.choice(BODIES)
    names = [field.partition(b":")[0].lower() for field in fields if dice.random() < 0.8] + [b"from"] * dice.choice(
        (1, 1, 1, 2)
    )
    selector = dice.choice(("long", "short", "bare", "ed", "ed"))
    key, algorithm = SIGNERS[selector]
    signer = dkimpy.DKIM(raw)
    signer.should_sign = signer.should_not_sign = set()
    forms = dice.choice((b"relaxed", b"simple")), dice.choice((b"relaxed", b"simple"))
    head = signer.sign(
        selector.encode(), DOMAIN.encode(), key, signature_algorithm=algorithm, canonicalize=forms,
        include_headers=names, length=dice.random() < 0.1,
    )  # fmt: skip
    return selector, head, raw


def _changed(raw: bytes, dice: random.Random) -> bytes:
    """One octet, a piece or a line of it, most often of its header."""
    end = len(raw) if dice.random() < 0.3 else max(1, raw.find(b"\r\n\r\n"))
    at, what = dice.randrange(end), dice.random()
    if what < 0.6:
        return raw[:at] + dice.choice(PUT) + raw[at + (what < 0.3) :]
    if what < 0.8:
        return raw[:at] + raw[at + dice.choice((1, 2, 10)) :]
    lines = raw.split(b"\r\n")
    lines.insert(dice.randrange(len(lines)), lines[dice.randrange(len(lines))])
    return b"\r\n".join(lines)


def _mails(dice: random.Random, signed: int, variants: int) -> Iterator[tuple[str, bytes]]:
    for _ in range(signed):
        selector, head, raw = _signed(dice)
        for _ in range(variants):
            mail = (head.replace(*dice.choice(TAGS), 1) if dice.random() < 0.3 else head) + raw
            for _ in range(dice.choice((0, 1, 1, 2, 4))):
                mail = _changed(mail, dice)
            mail += b"" if mail.endswith(b"\n") else b"\r\n"  # as it comes by SMTP
            yield selector, mail.replace(b"\r\n", b"\n") if dice.random() < 0.1 else mail


def _theirs(mail: bytes, record: str, place: int) -> bool:
    try:
        return bool(dkimpy.DKIM(mail, minkey=1024).verify(place, dnsfunc=lambda *_, **__: record.encode()))
    except (dkimpy.DKIMException, IndexError, ValueError, TypeError, KeyError):
        return False


def _ours(mail: bytes, selector: str, records: list[str]) -> tuple[DkimResult, ...]:
    zone = ZoneResolver({f"{selector}._domainkey.{DOMAIN}": {"TXT": records}})
    return asyncio.run(dkim.verify(RawMail.of(mail), DOMAIN, zone, datetime.now(UTC)))


def test_what_holds_for_us_holds_for_dkimpy_and_the_other_way_round() -> None:
    dice, seen = random.Random(6376), Counter[str]()
    for selector, mail in _mails(dice, signed=60, variants=25):
        ours = _ours(mail, selector, [RECORDS[selector]])
        holds = any(one.result == "pass" for one in ours)
        theirs = any(_theirs(mail, RECORDS[selector], place) for place in range(len(ours)))
        seen[f"{holds} {theirs}"] += 1
        assert holds == theirs or (theirs and STRICTER & {one.reason for one in ours}), (ours, mail)
    assert seen["True True"] > 200 and seen["False False"] > 200, seen


@pytest.mark.parametrize(
    ("change", "result", "reason"),
    [
        (lambda record: record + "; t=y", "pass", ""),
        (lambda record: record + "; t=y : s", "pass", ""),
        (lambda record: record + "; h=sha1", "permerror", "the key does not allow sha256"),
        (lambda record: record + "; h=sha1 : sha256", "pass", ""),
        (lambda record: record + "; s=tlsrpt", "permerror", "the key is not for e-mail"),
        (lambda record: record.partition("p=")[0] + "p=", "permerror", "the key has been revoked"),
        (lambda record: record.replace("DKIM1", "DKIM2"), "permerror", "the key record is of another version"),
        (lambda record: record.replace("p=", " p = "), "pass", ""),
        (lambda record: record[:-40] + "\t " + record[-40:], "pass", ""),
        (lambda record: record[:-9], "permerror", "the key cannot be read"),
        (lambda record: record + ";;", "permerror", "signature header is no tag list"),
        (lambda record: record.partition("p=")[0] + f"p={_text(ec.generate_private_key(ec.SECP256R1()))}", "permerror", "the key cannot be read"),
        (lambda record: record.replace("k=rsa", "k=ed25519"), "permerror", "the key is of another kind than the signature"),
    ],
)  # fmt: skip
def test_a_key_record_counts_only_for_what_it_is_for(change: Any, result: str, reason: str) -> None:
    dice = random.Random(1)
    while (signed := _signed(dice))[0] != "long" or b"; l=" in signed[1]:
        pass
    selector, head, raw = signed
    (found,) = _ours(head + raw, selector, [change(RECORDS[selector])])
    assert (found.result, found.reason) == (result, reason)


def test_an_identity_that_is_only_the_domain_is_an_error_and_no_fault_of_ours() -> None:
    selector, head, raw = _signed(random.Random(3))
    head = head.replace(b"i=@shop.example", b"i=shop.example")
    (found,) = _ours(head + raw, selector, [RECORDS[selector]])
    assert (found.result, found.reason) == ("permerror", "i= is not of the domain in d=")


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (b"A: b\r\nC:d\n\te\r\n", [(b"A", b" b\r\n"), (b"C", b"d\r\n\te\r\n")]),
        (b"From mbox line\r\nA:b\r\n", [(b"A", b"b\r\n")]),
        (b"", []),
        (b"A: b\rc\r\n", [(b"A", b" b\rc\r\n")]),
        (b" folded: into nothing\r\nA: b\r\n", None),
        (b"A : b\r\n", None),
        (b"A: b\r\nno field\r\nC: d\r\n", None),
        (b": b\r\n", None),
        (b"A: b\r\n" * 1001, None),
        (b"A: b\r\n" + b" c\r\n" * 4001, None),
    ],
)
def test_fields_are_found_as_they_were_written(block: bytes, found: list[tuple[bytes, bytes]] | None) -> None:
    assert written_fields(block) == found
