"""What a sound signature does not prove: that nobody sent a copy of the mail."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.mail.header import RawMail
from gateway.model import Author, AuthorStatus, Envelope, Verdict
from gateway.read.author import author_of
from gateway.replies.sign import signed
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.authentication_results import Reported, reported, reported_spf
from gateway.verify.dns import ZoneResolver
from tests.signing import by_dkim, judged
from tests.test_sign import KEYS, MAIL, zone

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)


def verdict(raw: bytes, now: datetime = NOW) -> Verdict:
    whole = RawMail.of(raw)
    envelope = Envelope("x@elsewhere.example", ("support@introserv.com",), None, None, "smtp", now)
    checks = Checks(ZoneResolver(zone() | {"_dmarc.introserv.com": {"TXT": ["v=DMARC1; p=none"]}}), 10, False)
    return asyncio.run(authenticate(author_of(whole.header), envelope, whole, checks))


def test_a_fresh_signature_proves_the_author_and_one_of_last_week_does_not() -> None:
    raw = signed(MAIL, KEYS, int(NOW.timestamp()))
    assert verdict(raw).by == "dmarc"
    assert verdict(raw, NOW + timedelta(days=6)).authenticated
    late = verdict(raw, NOW + timedelta(days=8))
    assert (late.authenticated, late.dkim) == (False, "policy")
    assert any("signed 8 days ago" in reason for reason in late.reasons)


@pytest.mark.parametrize("name", ["Subject", "To", "Reply-To", "Message-ID", "Date"])
def test_a_repeated_singleton_field_makes_it_a_suspect(name: str) -> None:
    """The signature covers one of them only: h= names each field once."""
    import dkim as dkimpy

    from tests.test_sign import RSA, pem

    signed_ones = [b"from", b"date", b"subject", b"to", b"message-id", b"content-type"]
    head = dkimpy.sign(MAIL, b"r", b"introserv.com", pem(RSA), include_headers=signed_ones)
    added = f"{name}: other\r\n".encode() * (2 if name.encode() not in MAIL else 1)
    found = verdict(added + head + MAIL, datetime.now(UTC))
    assert verdict(head + MAIL, datetime.now(UTC)).authenticated
    assert not found.authenticated
    if name != "Date":
        assert any(f"{name.lower()} stands there twice" in reason for reason in found.reasons)


@pytest.mark.parametrize("signer", ["bücher.example", "xn--bcher-kva.example"])
def test_a_signature_may_name_its_domain_in_unicode(signer: str) -> None:
    """RFC 8616 section 5; the author's domain is an A-label for everything that compares."""
    key = ed25519.Ed25519PrivateKey.generate()
    raw_key = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    record = f"v=DKIM1; k=ed25519; p={base64.b64encode(raw_key).decode()}"
    mail = "From: Küche <küche@Bücher.example>\r\nTo: support@introserv.com\r\nSubject: Hello\r\n\r\nHello\r\n".encode()
    body = base64.b64encode(hashlib.sha256(b"Hello\r\n").digest()).decode()
    field = f" v=1; a=ed25519-sha256; c=relaxed/relaxed; d={signer}; i=küche@{signer}; s=k; t={int(NOW.timestamp())}; h=From:To:Subject; bh={body}; b="
    covered = (
        "from:Küche <küche@Bücher.example>\r\nto:support@introserv.com\r\nsubject:Hello\r\n"
        + f"dkim-signature:{field[1:]}"
    )
    made = base64.b64encode(key.sign(hashlib.sha256(covered.encode()).digest())).decode()
    raw = f"DKIM-Signature:{field}{made}\r\n".encode() + mail
    records = {
        "k._domainkey.xn--bcher-kva.example": {"TXT": [record]},
        "_dmarc.xn--bcher-kva.example": {"TXT": ["v=DMARC1; p=reject"]},
    }
    whole = RawMail.of(raw)
    envelope = Envelope("x@elsewhere.example", ("support@introserv.com",), None, None, "smtp", NOW)
    checks = Checks(ZoneResolver(records), 10, False)
    author = author_of(whole.header)
    assert author.address == "küche@xn--bcher-kva.example"
    found = asyncio.run(authenticate(author, envelope, whole, checks))
    assert (found.dkim, found.dmarc, found.authenticated) == ("pass", "pass", True), found.reasons


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mx.example; spf=pass smtp.mailfrom=a@b.example", Reported(("pass", "b.example"))),
        ("mx.example; spf=pass (google.com: domain of a@b.example designates 192.0.2.1) smtp.mailfrom=a@b.example; dkim=pass header.i=@b.example header.s=s",
         Reported(("pass", "b.example"), ("b.example",))),
        ("mx.example; dkim=pass header.d=b.example; dkim=fail header.d=c.example", Reported(None, ("b.example",))),
        ("mx.example; spf=pass (smtp.mailfrom=a@b.example)", Reported()),
        ("mx.example 1; none", Reported()),
        ("mx.example; spf=softfail smtp.mailfrom=b.example", Reported(("softfail", "b.example"))),
        ("mx.example; " + "(" * 5000, Reported()),
        ("mx.example; spf=pass smtp.mailfrom=\"a b\"@c", Reported()),
    ],
)  # fmt: skip
def test_authentication_results_are_parsed_and_not_searched(value: str, expected: Reported) -> None:
    assert reported(value.encode()) == expected


def test_only_the_topmost_field_of_the_named_host_counts() -> None:
    block = (
        b"Authentication-Results: mx.evil.example; spf=pass smtp.mailfrom=a@b.example\r\n"
        b"Authentication-Results: MX.Host.example;\r\n spf=fail smtp.mailfrom=a@b.example\r\n"
        b"Authentication-Results: mx.host.example; spf=pass smtp.mailfrom=a@b.example\r\n"
    )
    found = reported_spf(block, "mx.host.example")
    assert found is not None and found.result == "fail"
    assert reported_spf(block, "other.example") is None


OURS_FIRST = b"Received: from x (x [192.0.2.9]) by mx.host.example with SMTP; x\r\n"
INSIDE = b"Received: by 2002:a05:7300::1 with SMTP id x; x\r\n"
THEIRS = b"Received: from y by mail.evil.example; x\r\n"
RESULT = b"Authentication-Results: mx.host.example; spf=pass smtp.mailfrom=ops@nod.example\r\n"


@pytest.mark.fault("X40")
@pytest.mark.parametrize(
    ("block", "believed"),
    [
        (INSIDE + OURS_FIRST + RESULT + THEIRS, "pass"),  # as Google writes it: below its own Received
        (RESULT + OURS_FIRST + THEIRS, "pass"),
        (RESULT, "pass"),
        (OURS_FIRST + THEIRS + RESULT, "none"),
        (INSIDE + OURS_FIRST + THEIRS + OURS_FIRST + RESULT, "none"),
        (OURS_FIRST.replace(b"by mx", b"by\r\n\tMX") + THEIRS + RESULT, "none"),
    ],
)
def test_results_that_came_with_the_mail_are_somebody_s_claim(block: bytes, believed: str) -> None:
    found = reported_spf(block + b"From: a@nod.example\r\n", "mx.host.example")
    assert found is not None and found.result == believed


@pytest.mark.fault("X40")
def test_results_that_somebody_claims_are_ignored_and_noted() -> None:
    raw = (
        b"Authentication-Results: mx.introserv.com; spf=pass smtp.mailfrom=support@introserv.com; dmarc=pass\r\n" + MAIL
    )
    found = verdict(raw)
    assert (found.authenticated, found.spf) == (False, "none")
    assert "ignored" in found.reasons[-1]
    assert not any("ignored" in reason for reason in verdict(MAIL).reasons)


@pytest.mark.parametrize(
    ("helo", "mail_from", "said"),
    [
        ("mx.sender.example", "a@other.example", "spf of HELO=pass (mx.sender.example lists 192.0.2.1)"),
        ("bad.sender.example", "a@other.example", "spf of HELO=fail (the SPF record of bad.sender.example does not list 192.0.2.1)"),
        ("silent.example", "a@other.example", None),  # publishes nothing
        ("other.example", "a@other.example", None),  # said already
        ("mx.sender.example", "", None),  # the null sender: HELO is the identity itself
        ("[192.0.2.1]", "a@other.example", None),
    ],
)  # fmt: skip
def test_the_helo_identity_is_evidence_and_proves_no_author(helo: str, mail_from: str, said: str | None) -> None:
    names = {
        "mx.sender.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
        "bad.sender.example": {"TXT": ["v=spf1 -all"]},
        "other.example": {"TXT": ["v=spf1 ?all"]},
        "_dmarc.sender.example": {"TXT": ["v=DMARC1; p=none"]},
    }
    whole = RawMail.of(MAIL)
    envelope = Envelope(mail_from, ("support@introserv.com",), "192.0.2.1", helo, "smtp", NOW)
    author = Author(AuthorStatus.OK, "a@sender.example", "", "")
    found = asyncio.run(authenticate(author, envelope, whole, Checks(ZoneResolver(names), 10, False)))
    assert [reason for reason in found.reasons if "HELO" in reason] == ([said] if said else [])
    # the HELO of the null sender is aligned (RFC 9989); beside a MAIL FROM it proves nothing
    assert found.authenticated is (mail_from == "")


@pytest.mark.parametrize(
    ("head", "suspect"),
    [
        ("To: friend@elsewhere.example\r\n", True),
        ("To: friend@elsewhere.example\r\nCc: Other <o@elsewhere.example>\r\n", True),
        ("To: friend@elsewhere.example\r\nCc: SUPPORT@introserv.com\r\n", False),
        ("To: Support <support@introserv.com>\r\n", False),
        ("To: support+x.1.y@introserv.com\r\n", False),
        ("To: desk@gmail.example\r\n", False),  # a mailbox that we read, at a provider beside everybody's
        ("To: friend@gmail.example\r\n", True),
        ("To: support@introserv.com.evil.example\r\n", True),
        ('To: "support@introserv.com" <friend@elsewhere.example>\r\n', True),
        ("To: =?utf-8?q?support=40introserv.com=2C?= <friend@elsewhere.example>\r\n", True),
        ("To: friend@elsewhere.example (support@introserv.com)\r\n", True),
        ("To: <friend@elsewhere.example> support@introserv.com\r\n", True),
        ("To: support@introserv.com <friend@elsewhere.example>\r\n", True),
        ("To: Desk: support@introserv.com, friend@elsewhere.example;\r\n", False),
    ],
)
def test_a_mail_to_other_people_was_perhaps_not_sent_to_us_by_its_author(head: str, suspect: bool) -> None:
    proven = judged(by_dkim(head))
    assert proven.authenticated is not suspect
    assert any("replay" in reason for reason in proven.reasons) is suspect
    # SPF proves that the author's own server brought it: served, but nothing sensitive
    known = judged(by_dkim(head), sent=True)
    assert (known.authenticated, known.weak) == (True, suspect)


@pytest.mark.parametrize(
    ("head", "names"),
    [
        # of our company and not the desk: whoever got it there may have handed it on
        ("To: billing@introserv.com\r\n", "from:subject:date:to"),
        ("To: friend@b.example\r\nCc: list@introserv.com\r\n", "from:subject:date:to:cc"),
        ("", "from:subject:date:to:cc"),  # Bcc: it was sent to anybody
        ("To: undisclosed-recipients:;\r\n", "from:subject:date:to"),
        ("To: support@introserv.com\r\n", "from:subject:date"),  # as Microsoft signs
        ("To: support@introserv.com\r\nCc: a@b.example\r\n", "from:subject:date:to"),  # as Apple does
        ("To: friend@b.example\r\nCc: support@introserv.com\r\n", "from:subject:date:to"),
        ("To: support@introserv.com, ((((\r\n", "from:subject:date:to"),
    ],
)
def test_only_signed_recipients_tell_that_it_was_for_us_and_else_spf_must(head: str, names: str) -> None:
    alone = judged(by_dkim(head, names))
    assert (alone.authenticated, alone.dmarc) == (False, "pass")
    assert any("covers no To or Cc that names the desk" in reason for reason in alone.reasons)
    assert not alone.enforced
    both = judged(by_dkim(head, names), sent=True)
    assert (both.by, both.weak) == ("dmarc", False)


def test_signatures_of_strangers_hide_none_of_the_authors() -> None:
    junk = b"".join(
        b"DKIM-Signature: v=1; a=rsa-sha256; d=e%d.example; s=s; h=from; bh=YQ==; b=YQ==\r\n" % number
        for number in range(60)
    )
    assert judged(junk + by_dkim("To: support@introserv.com\r\n")).by == "dmarc"
