"""ARC: sound chains, broken chains, and whose word counts."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.mail.header import RawMail
from gateway.model import Envelope, Verdict
from gateway.read.author import author_of
from gateway.verify import arc
from gateway.verify.addressees import Ours
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.dns import ZoneResolver
from tests.scores import SCORES

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
ZONE: dict[str, Any] = {
    "s._domainkey.forwarder.example": {"TXT": [f"v=DKIM1; k=rsa; p={PUBLIC}"]},
    "s._domainkey.second.example": {"TXT": [f"v=DKIM1; k=rsa; p={PUBLIC}"]},
    "_dmarc.shop.example": {"TXT": ["v=DMARC1; p=reject"]},
}
MAIL = (
    b"From: Ops <ops@shop.example>\r\nTo: support@introserv.com\r\nSubject: Disk\r\n"
    b"Message-ID: <a@shop.example>\r\nDate: Sun, 22 Nov 2026 17:00:00 +0000\r\n\r\nThe disk is slow.\r\n"
)


#: what Google's seals cover, as far as it is there
COVERED = "from:to:cc:subject:date:message-id:content-type:dkim-signature"


def sealed(raw: bytes, domain: str, results: str, names: str = COVERED, at: datetime | None = None) -> bytes:
    """The mail as a forwarder hands it on: with its results, signed and sealed by dkimpy, not by us. ``at``: when, for dkimpy
    knows no other time than now."""
    seen = f"Authentication-Results: {domain}; {results}\r\n".encode() + raw
    sealer = dkimpy.ARC(seen)
    sealer.should_not_sign = set()  # dkimpy signs no DKIM-Signature, RFC 8617 section 4.1.2 and Google do
    moment = int((at or datetime.now(UTC)).timestamp())
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(dkimpy.time, "time", lambda: moment)
        chain = sealer.sign(b"s", domain.encode(), PEM, domain.encode(), [name.encode() for name in names.split(":")])
    return b"".join(chain) + raw


async def judge(raw: bytes, sealers: frozenset[str], zone: dict[str, Any]) -> Verdict:
    whole = RawMail.of(raw)
    envelope = Envelope("list@forwarder.example", ("support@introserv.com",), "192.0.2.9", "mx", "smtp", NOW)
    checks = Checks(ZoneResolver(zone), 10, False, sealers, Ours(frozenset({"support@introserv.com"})))
    return await authenticate(author_of(whole.header), envelope, whole, checks)


def verdict(raw: bytes, *sealers: str, zone: dict[str, Any] | None = None) -> Verdict:
    return asyncio.run(judge(raw, frozenset(sealers), ZONE if zone is None else zone))


def test_the_chains_of_the_suite_hold(corpora: Path) -> None:
    cases = [json.loads(line) for line in (corpora / "arc_mail_auth_rs" / "index.jsonl").read_text().splitlines()]
    for case in cases:
        raw = (corpora / "arc_mail_auth_rs" / case["file"]).read_bytes()
        whole = RawMail.of(raw)
        last = [line for line in whole.header.split(b"\r\n") if line.lower().startswith(b"arc-seal")]
        assert last
        sealers = frozenset(
            name.removeprefix("ietf1._domainkey.").partition("._domainkey.")[2] or name for name in case["zone"]
        ) | {"ietf.org", "google.com", "manchego.org", "scamorza.org", "stalw.art"}
        found = asyncio.run(arc.verify(whole, sealers, ZoneResolver(case["zone"])))
        assert (case["file"], found.result, found.reason[:9]) == (case["file"], case["expect"]["arc"], "sealed by")
    SCORES.append(("arc_mail_auth_rs", len(cases), len(cases), ""))
    assert len(cases) == 2


def test_a_forwarder_that_we_trust_vouches_for_an_author_whose_spf_breaks() -> None:
    raw = sealed(MAIL, "forwarder.example", "dkim=pass header.d=shop.example")
    found = verdict(raw, "forwarder.example")
    assert (found.arc, found.authenticated, found.by, found.weak, found.enforced) == ("pass", True, "arc", False, False)
    assert "it vouches for the author" in found.reasons[-1]


def test_what_a_sealer_saw_of_spf_is_weak() -> None:
    found = verdict(sealed(MAIL, "forwarder.example", "spf=pass smtp.mailfrom=ops@shop.example"), "forwarder.example")
    assert (found.by, found.weak) == ("arc", True)


def test_a_signature_that_the_seal_does_not_cover_is_weak() -> None:
    """Its text may have been taken away, or another one put there, after the sealer saw it."""
    names = COVERED.replace(":dkim-signature", "")
    found = verdict(sealed(MAIL, "forwarder.example", "dkim=pass header.d=shop.example", names), "forwarder.example")
    assert (found.by, found.weak) == ("arc", True)


def signed_for(names: str, **changes: Any) -> bytes:
    """The mail as the customer's server signed it: its text stands in the sealed mail, whatever became of it."""
    tags = {
        "v": "1",
        "a": "rsa-sha256",
        "d": "shop.example",
        "s": "s",
        "t": str(int(NOW.timestamp())),
        "h": names,
        "bh": "eA==",
        "b": "eA==",
    }
    field = "; ".join(f"{name}={value}" for name, value in (tags | changes).items() if value)
    return f"DKIM-Signature: {field}\r\n".encode() + MAIL


@pytest.mark.parametrize(
    ("raw", "proven"),
    [
        (signed_for("from:to:subject:date"), True),
        (signed_for("from:subject:date"), False),  # Microsoft: somebody wrote another To before it was sealed
        (signed_for("from:to:date"), False),
        (signed_for("from:to:subject:date", t=str(int(NOW.timestamp()) - 300 * 86400)), False),
        (signed_for("from:to:subject:date", d="other.example"), True),  # the sealer took the author's own away
        (signed_for("from:to:subject:date") + b"", True),
        (signed_for("from:to:subject:date").replace(b"From:", b"DKIM-Signature: v=1; d=shop.example; h=from; b=eA==\r\nFrom:", 1), False),
        (signed_for("from:to:subject:date").replace(b"From:", b"DKIM-Signature: nonsense\r\nFrom:", 1), False),
    ],
)  # fmt: skip
def test_a_signature_that_a_sealer_saw_must_prove_what_it_must_prove_here(raw: bytes, proven: bool) -> None:
    names = f"{COVERED}:dkim-signature"
    found = verdict(sealed(raw, "forwarder.example", "dkim=pass header.d=shop.example", names), "forwarder.example")
    assert (found.arc, found.authenticated, found.weak) == ("pass", proven, False), found.reasons


def to(addressee: str, date: str = "Sun, 22 Nov 2026 17:00:00 +0000") -> bytes:
    return MAIL.replace(b"support@introserv.com", addressee.encode()).replace(
        b"Sun, 22 Nov 2026 17:00:00 +0000", date.encode()
    )


@pytest.mark.parametrize("results", ["dkim=pass header.d=shop.example", "spf=pass smtp.mailfrom=ops@shop.example"])
@pytest.mark.parametrize(
    ("raw", "names", "why"),
    [
        (to("eve@forwarder.example"), COVERED, "names the desk"),
        (to('"support@introserv.com" <eve@forwarder.example>'), COVERED, "names the desk"),
        (MAIL, COVERED.replace("to:", ""), "names the desk"),
        (b"Cc: eve@forwarder.example\r\n" + MAIL, COVERED.replace("cc:", ""), "names the desk"),
        (MAIL, COVERED.replace("subject:", ""), "Subject is not signed"),
        (b"Content-Type: text/html\r\n" + MAIL, COVERED.replace("content-type:", ""), "Content-Type is not signed"),
        (b"Subject: Cancel\r\n" + MAIL, COVERED, "subject stands there twice"),
        (to("support@introserv.com", "Sun, 25 Jan 2026 17:00:00 +0000"), COVERED, "signed 301 days ago"),  # sealed today
    ],
)  # fmt: skip
def test_a_seal_proves_as_little_as_a_signature_would(raw: bytes, names: str, why: str, results: str) -> None:
    found = verdict(sealed(raw, "forwarder.example", results, names), "forwarder.example")
    assert (found.arc, found.authenticated) == ("pass", False)
    assert why in found.reasons[-1], found.reasons


def test_an_old_seal_proves_nobody_also_below_a_new_one() -> None:
    """Whoever keeps a sealed mail has it sealed once more, by an account of his own at the same forwarder."""
    old = sealed(MAIL, "forwarder.example", "dkim=pass header.d=shop.example", at=NOW - timedelta(days=8))
    assert not verdict(old, "forwarder.example").authenticated
    names = COVERED.replace(":date", "")
    old = sealed(MAIL, "forwarder.example", "dkim=pass header.d=shop.example", names, at=NOW - timedelta(days=8))
    again = sealed(old, "forwarder.example", "dkim=pass header.d=shop.example", names, at=NOW)
    found = verdict(again, "forwarder.example")
    assert (found.arc, found.authenticated) == ("pass", False)
    assert "signed 8 days ago" in found.reasons[-1]


def test_one_seal_counts_once() -> None:
    """By its marks, which the desk keeps with the message that they came with: two seals have two, a copy has the same."""
    first = sealed(MAIL, "forwarder.example", "dkim=pass header.d=shop.example")
    marks = verdict(first, "forwarder.example").signatures
    assert len(marks) == 1
    again = verdict(sealed(first, "second.example", "arc=pass; spf=none"), "second.example", "forwarder.example")
    assert set(marks) < set(again.signatures)
    raw = signed_for("from:to:subject:date")
    found = verdict(sealed(raw, "forwarder.example", "dkim=pass header.d=shop.example"), "forwarder.example")
    other = verdict(sealed(raw, "second.example", "dkim=pass header.d=shop.example"), "second.example")
    assert len(set(found.signatures) & set(other.signatures)) == 1  # the author's own signature is known again


@pytest.mark.parametrize(
    "results",
    [
        "spf=fail smtp.mailfrom=ops@shop.example", "spf=pass smtp.mailfrom=ops@other.example", "dmarc=pass header.from=shop.example",
        "dkim=pass header.d=other.example", "none", "dkim=fail header.d=shop.example", "spf=pass (smtp.mailfrom=ops@shop.example)",
    ],
)  # fmt: skip
def test_a_sound_chain_whose_sealer_saw_no_proof_vouches_for_nobody(results: str) -> None:
    found = verdict(sealed(MAIL, "forwarder.example", results), "forwarder.example")
    assert (found.arc, found.authenticated, found.enforced) == ("pass", False, True)


def test_a_sealer_that_saw_dmarc_fail_for_the_author_vouches_for_nobody_whatever_passed() -> None:
    passed = "dkim=pass header.d=shop.example; spf=fail"
    refused = sealed(MAIL, "forwarder.example", f"{passed}; dmarc=fail header.from=shop.example")
    assert not verdict(refused, "forwarder.example").authenticated
    of_another = sealed(MAIL, "forwarder.example", f"{passed}; dmarc=fail header.from=other.example")
    assert verdict(of_another, "forwarder.example").authenticated
    # the next one sees what the first forwarder did to the mail
    chain = sealed(
        sealed(MAIL, "forwarder.example", passed), "second.example", "arc=pass; dmarc=fail header.from=shop.example"
    )
    assert verdict(chain, "second.example", "forwarder.example").by == "arc"


def test_a_sealer_that_is_not_named_does_not_count() -> None:
    raw = sealed(MAIL, "forwarder.example", "dkim=pass header.d=shop.example")
    found = verdict(raw, "another.example")
    assert (found.arc, found.authenticated) == ("none", False)
    assert verdict(raw).arc == "none"


def test_what_was_changed_after_sealing_breaks_the_chain() -> None:
    raw = sealed(MAIL, "forwarder.example", "dkim=pass header.d=shop.example")
    assert verdict(raw, "forwarder.example").authenticated
    for changed in (
        raw.replace(b"The disk is slow", b"Send the password"),
        raw.replace(b"Ops <ops@shop.example>", b"Boss <ops@shop.example>"),
        raw.replace(b"header.d=shop.example", b"header.d=shop.example "[:-1] + b"; x=y", 1),
        raw.replace(b"cv=none", b"cv=fail"),
        raw.replace(b"ARC-Seal: i=1", b"ARC-Seal: i=2"),
    ):
        assert changed != raw
        found = verdict(changed, "forwarder.example")
        assert (found.arc, found.authenticated) == ("fail", False), changed[:900]


def test_only_the_word_of_trusted_sealers_at_the_end_of_the_chain_counts() -> None:
    first = sealed(MAIL, "forwarder.example", "dkim=pass header.d=shop.example")
    second = sealed(first, "second.example", "arc=pass; spf=none")
    assert verdict(second, "second.example", "forwarder.example").by == "arc"
    assert not verdict(second, "second.example").authenticated  # the first one is a stranger
    assert not verdict(second, "forwarder.example").authenticated  # the last one is a stranger


def test_a_key_that_cannot_be_looked_up_is_no_pass() -> None:
    raw = sealed(MAIL, "forwarder.example", "dkim=pass header.d=shop.example")
    found = verdict(raw, "forwarder.example", zone=ZONE | {"s._domainkey.forwarder.example": "SERVFAIL"})
    assert (found.arc, found.authenticated) == ("temperror", False)
