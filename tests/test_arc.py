"""ARC: sound chains, broken chains, and whose word counts."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.message import header_end
from gateway.model import Envelope, Verdict
from gateway.verify import arc
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.author import author_of
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


def sealed(raw: bytes, domain: str, results: str) -> bytes:
    """The mail as a forwarder hands it on: with its results, signed and sealed by dkimpy, not by us."""
    seen = f"Authentication-Results: {domain}; {results}\r\n".encode() + raw
    chain = dkimpy.arc_sign(seen, b"s", domain.encode(), PEM, domain.encode(), include_headers=[b"from", b"subject"])
    return b"".join(chain) + raw


async def judge(raw: bytes, sealers: frozenset[str], zone: dict[str, Any]) -> Verdict:
    end, body = header_end(raw)
    envelope = Envelope("list@forwarder.example", ("support@introserv.com",), "192.0.2.9", "mx", "smtp", NOW)
    checks = Checks(ZoneResolver(zone), 10, False, sealers)
    return await authenticate(author_of(raw[:end]), envelope, raw, raw[:end], body, checks, NOW)


def verdict(raw: bytes, *sealers: str, zone: dict[str, Any] | None = None) -> Verdict:
    return asyncio.run(judge(raw, frozenset(sealers), ZONE if zone is None else zone))


def test_the_chains_of_the_suite_hold(corpora: Path) -> None:
    cases = [json.loads(line) for line in (corpora / "arc_mail_auth_rs" / "index.jsonl").read_text().splitlines()]
    for case in cases:
        raw = (corpora / "arc_mail_auth_rs" / case["file"]).read_bytes()
        end, body = header_end(raw)
        last = [line for line in raw[:end].split(b"\r\n") if line.lower().startswith(b"arc-seal")]
        assert last
        sealers = frozenset(
            name.removeprefix("ietf1._domainkey.").partition("._domainkey.")[2] or name for name in case["zone"]
        ) | {"ietf.org", "google.com", "manchego.org", "scamorza.org", "stalw.art"}
        found = asyncio.run(arc.verify(raw, raw[:end], body, sealers, ZoneResolver(case["zone"])))
        assert (case["file"], found.result, found.reason[:9]) == (case["file"], case["expect"]["arc"], "sealed by")
    SCORES.append(("arc_mail_auth_rs", len(cases), len(cases), ""))
    assert len(cases) == 2


def test_a_forwarder_that_we_trust_vouches_for_an_author_whose_spf_breaks() -> None:
    raw = sealed(MAIL, "forwarder.example", "spf=pass smtp.mailfrom=ops@shop.example")
    found = verdict(raw, "forwarder.example")
    assert (found.arc, found.authenticated, found.by, found.weak, found.enforced) == ("pass", True, "arc", False, False)
    assert "it vouches for the author" in found.reasons[-1]


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
