"""What a sound signature does not prove: that nobody sent a copy of the mail."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.message import header_end
from gateway.model import Envelope, Verdict
from gateway.replies.sign import signed
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.authentication_results import Reported, reported, reported_spf
from gateway.verify.author import author_of
from gateway.verify.dns import ZoneResolver
from tests.test_sign import KEYS, MAIL, zone

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)


def verdict(raw: bytes, now: datetime = NOW) -> Verdict:
    end, body = header_end(raw)
    envelope = Envelope("x@elsewhere.example", ("support@introserv.com",), None, None, "smtp", now)
    checks = Checks(ZoneResolver(zone() | {"_dmarc.introserv.com": {"TXT": ["v=DMARC1; p=none"]}}), 10, False)
    return asyncio.run(authenticate(author_of(raw[:end]), envelope, raw, raw[:end], body, checks, now))


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

    head = dkimpy.sign(MAIL, b"r", b"introserv.com", pem(RSA), include_headers=[b"from", b"date"])
    added = f"{name}: other\r\n".encode() * (2 if name.encode() not in MAIL else 1)
    found = verdict(added + head + MAIL, datetime.now(UTC))
    assert verdict(head + MAIL, datetime.now(UTC)).authenticated
    assert not found.authenticated
    if name != "Date":
        assert any(f"{name.lower()} stands there twice" in reason for reason in found.reasons)


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


def test_results_that_somebody_claims_are_ignored_and_noted() -> None:
    raw = (
        b"Authentication-Results: mx.introserv.com; spf=pass smtp.mailfrom=support@introserv.com; dmarc=pass\r\n" + MAIL
    )
    found = verdict(raw)
    assert (found.authenticated, found.spf) == (False, "none")
    assert "ignored" in found.reasons[-1]
    assert not any("ignored" in reason for reason in verdict(MAIL).reasons)
