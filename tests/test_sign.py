"""Our DKIM signatures: verified by dkimpy and by our own verifier, and by neither once a header is added or changed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import config, service
from gateway.mail.canonical import body_digest
from gateway.mail.header import RawMail, header_end
from gateway.replies.sign import KeyFault, SigningKey, load_key, signed
from gateway.verify import dkim
from gateway.verify.dns import ZoneResolver
from tests.peers.harness import running, until

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
MOMENT = int(NOW.timestamp())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED = ed25519.Ed25519PrivateKey.generate()
MAIL = (
    b"From: INTROSERV Support <support@introserv.com>\r\nTo: anna@example.de\r\nSubject: [T-ABC] Re:\r\n =?utf-8?q?x?=\r\n"
    b"Date: Sun, 22 Nov 2026 18:00:00 +0000\r\nMessage-ID: <a@introserv.com>\r\nAuto-Submitted: auto-replied\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nHello  Anna, \r\n\r\nwe have it.\t \r\n\r\n\r\n"
)


def pem(key: Any) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


def zone() -> dict[str, Any]:
    der = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    rsa_text = base64.b64encode(RSA.public_key().public_bytes(*der)).decode()
    ed_text = base64.b64encode(ED.public_key().public_bytes(*raw)).decode()
    return {
        "r._domainkey.introserv.com": {"TXT": [f"v=DKIM1; k=rsa; p={rsa_text}"]},
        "e._domainkey.introserv.com": {"TXT": [f"v=DKIM1; k=ed25519; p={ed_text}"]},
    }


KEYS = (SigningKey("introserv.com", "r", RSA), SigningKey("introserv.com", "e", ED))


def ours(raw: bytes) -> list[str]:
    whole = RawMail.of(raw)
    found = asyncio.run(dkim.verify(whole, "introserv.com", ZoneResolver(zone()), NOW))
    return [result.result for result in found]


def theirs(raw: bytes) -> list[bool]:
    records = {f"{name}.".encode(): value["TXT"][0].encode() for name, value in zone().items()}
    verifier = dkimpy.DKIM(raw)
    count = raw.lower().count(b"dkim-signature:")
    return [bool(verifier.verify(idx=i, dnsfunc=lambda name, **_: records[name])) for i in range(count)]


def test_both_signatures_hold_for_dkimpy_and_for_us() -> None:
    raw = signed(MAIL, KEYS, MOMENT)
    assert raw.endswith(MAIL)
    assert ours(raw) == ["pass", "pass"]
    assert theirs(raw) == [True, True]
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("aä \t.=-", max_size=30), max_size=6),
    st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=60),
)
def test_any_body_and_subject_verify(lines: list[str], subject: str) -> None:
    body = "".join(line + "\r\n" for line in lines).encode()  # SMTP gives no last line without its end
    raw = signed(
        MAIL.replace(b"[T-ABC] Re:", subject.encode()).partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body, KEYS, MOMENT
    )
    assert theirs(raw) == [True, True]
    assert ours(raw) == ["pass", "pass"]


@pytest.mark.parametrize(
    "added",
    [b"From: evil@x.example\r\n", b"Subject: pay now\r\n", b"To: other@x.example\r\n", b"Reply-To: evil@x.example\r\n",
     b"Cc: list@x.example\r\n", b"Sender: evil@x.example\r\n", b"References: <x@y>\r\n", b"Content-Transfer-Encoding: base64\r\n"],
)  # fmt: skip
def test_no_singleton_field_can_be_added(added: bytes) -> None:
    raw = signed(MAIL, KEYS, MOMENT)
    assert "pass" not in ours(added + raw)
    assert theirs(added + raw) == [False, False]


def test_a_changed_body_does_not_verify() -> None:
    assert ours(signed(MAIL, KEYS, MOMENT).replace(b"we have it", b"we lost it")) == ["fail", "fail"]


def test_keys_that_are_no_good_are_refused(tmp_path: Path) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for number, content in enumerate((b"no key", pem(short), pem(dsa.generate_private_key(1024)))):
        file = tmp_path / f"{number}.pem"
        file.write_bytes(content)
        with pytest.raises(KeyFault):
            load_key("introserv.com", "r", file)


def test_a_bad_key_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_text("no key")
    loaded = config.parse(f'[[dkim]]\nselector = "a"\nkey_file = "{tmp_path / "k.pem"}"\n')
    with pytest.raises(config.ConfigError) as caught:
        service.signing_keys(loaded)
    assert caught.value.problems[0].key == "dkim.0.key_file"


def test_replies_leave_the_daemon_signed(tmp_path: Path) -> None:
    for name, key in (("r", RSA), ("e", ED)):
        (tmp_path / name).write_bytes(pem(key))
        os.chmod(tmp_path / name, 0o600)
    keys = [{"selector": name, "key_file": str(tmp_path / name), "domain": "introserv.com"} for name in ("r", "e")]
    with running(dkim=keys) as (daemon, peers):
        from gateway.database.store import utc_now
        from gateway.demo import Sample, built

        text = "Hello,\n\nthe disk of tfz1cvkr (#234567) is slow. Please have a look.\n"
        raw = built(Sample("", "Shop Ops <ops@shop.example>", "Disk", text), 1, utc_now())
        assert daemon.send(raw, "ops@shop.example")[0] == 250
        until(lambda: peers.taken)
        assert theirs(peers.taken[0].raw) == [True, True]


@pytest.mark.parametrize(
    ("template", "canonical"),
    [  # what is hashed in place of the signature field, written by hand from RFC 6376 sections 3.4.2, 3.5 and 3.7
        (b" v=1; a=ed25519-sha256; d=introserv.com; s=e; c=relaxed/relaxed; h=from:subject; bh=%s; b=%s\r\n",
         b"v=1; a=ed25519-sha256; d=introserv.com; s=e; c=relaxed/relaxed; h=from:subject; bh=%s; b="),
        (b" b=%s ; bh=%s; v=1; a=ed25519-sha256; d=introserv.com; s=e; c=relaxed/relaxed; h=from:subject\r\n",
         b"b=; bh=%s; v=1; a=ed25519-sha256; d=introserv.com; s=e; c=relaxed/relaxed; h=from:subject"),
        (b" v=1; a=ed25519-sha256; d=introserv.com; s=e;\r\n\tc=relaxed/relaxed; h=from:subject; bh=%s; b =\r\n %s\r\n ; t=1795370400\r\n",
         b"v=1; a=ed25519-sha256; d=introserv.com; s=e; c=relaxed/relaxed; h=from:subject; bh=%s; b =; t=1795370400"),
        (b" v=1; a=ed25519-sha256; d=introserv.com; s=e; z=b=no; c=relaxed/relaxed; h=from:subject; bh=%s; b=%s;\r\n",
         b"v=1; a=ed25519-sha256; d=introserv.com; s=e; z=b=no; c=relaxed/relaxed; h=from:subject; bh=%s; b=;"),
    ],
)  # fmt: skip
def test_a_signature_may_stand_anywhere_in_its_field(template: bytes, canonical: bytes) -> None:
    body_hash = base64.b64encode(body_digest(MAIL, header_end(MAIL)[1], True)[0])
    covered = (
        b"from:INTROSERV Support <support@introserv.com>\r\nsubject:[T-ABC] Re: =?utf-8?q?x?=\r\ndkim-signature:"
        + canonical % body_hash
    )
    signature = base64.b64encode(ED.sign(hashlib.sha256(covered).digest()))
    first = (signature, body_hash) if template.startswith(b" b=") else (body_hash, signature)
    field = b"DKIM-Signature:" + template % first
    assert ours(field + MAIL) == ["pass"]
    assert ours(field + MAIL.replace(b"[T-ABC]", b"[T-ABD]")) == ["fail"]
