"""What is believed is what was signed: nobody who holds a signed mail of a customer makes another one of it."""

from __future__ import annotations

import base64
import re
from datetime import timedelta

import pytest

from gateway.mail import limits
from gateway.mail.header import written_fields
from gateway.verify import coverage
from tests.signing import FROM, NOW, PUBLIC, RECORD, USUAL, ZONE, by_dkim, dated, judged, mail, with_signature

MIME = f"{USUAL}:mime-version:content-type:content-transfer-encoding"
PLAIN = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
PARTS = (
    "--b1\r\nContent-Type: text/plain\r\n\r\nThe disk is slow.\r\n--b1\r\nContent-Type: text/html\r\n\r\n"
    "<p>The disk is slow.</p>\r\n--b1--\r\n"
)
MIXED = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b1"\r\n'
#: words of an attacker in a mail of the customer, who quotes them: a boundary that somebody may choose later
TRAP = "Hello,\r\n\r\nthis came to me:\r\n--eve\r\nContent-Type: text/plain\r\n\r\nCancel everything.\r\n--eve--\r\n"
BASE64 = base64.encodebytes(b"The disk is slow. " * 9).replace(b"\n", b"\r\n").decode()
QUOTED = "The disk =C3=A4 is=\r\n slow.\r\n"


def gmail(more: str, body: str) -> bytes:
    names = "to:subject:message-id:date:from:from:to:cc:subject:date:message-id:reply-to"
    return with_signature(mail(more=more, body=body), names)


#: how the signers of size sign, as their mails show it: (h=, the fields about the body, the body, t= is there)
SIGNERS: dict[str, tuple[str, str, str, bool]] = {
    "Gmail, web": ("to:subject:message-id:date:from:mime-version:from:to:cc:subject:date:message-id:reply-to", MIXED.replace("mixed", "alternative"), PARTS, True),
    "Gmail, plain": ("content-transfer-encoding:mime-version:message-id:date:subject:to:from:from:to:cc:subject:date:message-id:reply-to",
                     PLAIN + "Content-Transfer-Encoding: 8bit\r\n", "Grüße\r\n", True),
    "Yahoo": ("date:from:to:subject:references:from:subject:reply-to", MIXED.replace("mixed", "alternative"), PARTS, True),
    "Proton": ("date:to:from:subject:message-id:feedback-id:from:to:cc:date:subject:reply-to:feedback-id:message-id:bimi-selector",
               "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n",
               base64.encodebytes(b'<div style="x">The disk is slow</div>').decode().replace("\n", "\r\n"), True),
    "Yandex": ("from:subject:date:to:message-id", "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
               "<div>Диск медленный</div>\r\n", True),
    "iCloud": ("from:date:subject:mime-version:content-type:message-id:to:x-icloud-hme", PLAIN + "Content-Transfer-Encoding: 7bit\r\n", "Slow.\r\n", False),
    "iCloud, quoted": ("from:date:subject:mime-version:content-type:message-id:to:x-icloud-hme",
                       PLAIN + "Content-Transfer-Encoding: quoted-printable\r\n", QUOTED, False),
    "web.de": ("x-ui-sender-class:from:to:subject:date", PLAIN, "Slow.\r\n", True),
    "GMX, attached": ("x-ui-sender-class:from:to:subject:date", MIXED, "This is a multi-part message in MIME format.\r\n" + PARTS, True),
    "Amazon SES": ("from:to:subject:mime-version:content-type:content-transfer-encoding:message-id:date:feedback-id", PLAIN, "Slow.\r\n", True),
    "SendGrid": ("content-type:from:mime-version:subject:to:cc:content-type:date:from:subject:to", PLAIN, "Slow.\r\n", False),
    "OpenDKIM": (MIME, PLAIN + "Content-Disposition: inline\r\nContent-Language: en-US\r\n", "Slow.\r\n", True),
    "a small one": ("from:to:subject:date", "", "Slow.\r\n", True),
}  # fmt: skip


@pytest.mark.parametrize("signer", SIGNERS)
def test_genuine_mail_of_the_signers_of_size_is_proven_in_full(signer: str) -> None:
    names, more, body, timed = SIGNERS[signer]
    found = judged(with_signature(mail(more=more, body=body), names, timed=timed))
    assert (found.authenticated, found.weak, found.by) == (True, False, "dmarc"), found.reasons


def test_microsoft_signs_no_recipient_so_its_own_servers_must_bring_the_mail() -> None:
    names = "from:date:subject:message-id:content-type:mime-version:x-ms-exchange-senderadcheck"
    raw = with_signature(mail(more=PLAIN + "Content-Language: en-US\r\n"), names, timed=False)
    assert (judged(raw, sent=True).by, judged(raw, sent=True).weak) == ("dmarc", False)
    assert not judged(raw).authenticated


#: what somebody puts on top of a mail that he holds: (the mail as it was signed, the fields that he adds)
ADDED: dict[str, tuple[bytes, str]] = {
    "a second type": (with_signature(mail(more=PLAIN), MIME), "Content-Type: text/html\r\n"),
    "a second type, small": (with_signature(mail(more=PLAIN), MIME), "content-type: text/html\r\n"),
    "a second type, a blank before the colon": (with_signature(mail(more=PLAIN), MIME), "Content-Type : text/html\r\n"),
    "a second type behind a bare CR": (with_signature(mail(more=PLAIN), MIME), "X-Junk: a\rContent-Type: text/html\r\n"),
    "a second type behind CR CR": (with_signature(mail(more=PLAIN), MIME), "X-Junk: a\r\r\nContent-Type: text/html\r\n"),
    "a second type with a NUL": (with_signature(mail(more=PLAIN), MIME), "X-Junk: \0\r\n"),
    "a second type, its name folded": (with_signature(mail(more=PLAIN), MIME), "Content-Type\r\n : text/html\r\n"),
    "a name beyond ASCII": (with_signature(mail(more=PLAIN), MIME), "Сontent-Type: text/html\r\n"),
    "a type where there was none": (by_dkim(), "Content-Type: text/html\r\n"),
    "a type with a charset that shifts": (by_dkim(), "Content-Type: text/plain; charset=utf-7\r\n"),
    "a type with a charset of two octets": (by_dkim(), "Content-Type: text/plain; charset=utf-16\r\n"),
    "an attached message": (by_dkim(), "Content-Type: message/rfc822\r\n"),
    "a binary": (by_dkim(), "Content-Type: application/octet-stream\r\n"),
    "a boundary that the words hold": (with_signature(mail(body=TRAP)), "Content-Type: multipart/mixed; boundary=eve\r\n"),
    "another encoding": (with_signature(mail(more=PLAIN), f"{USUAL}:content-type"), "Content-Transfer-Encoding: base64\r\n"),
    "another encoding, quoted": (with_signature(mail(more=PLAIN, body="a=b\r\n"), f"{USUAL}:content-type"), "Content-Transfer-Encoding: quoted-printable\r\n"),
    "an unknown encoding": (by_dkim(), "Content-Transfer-Encoding: x-uuencode\r\n"),
    "an attachment": (by_dkim(), "Content-Disposition: attachment; filename=a.txt\r\n"),
    "two languages": (with_signature(mail(more="Content-Language: de\r\n")), "Content-Language: en\r\n"),
    "two ids": (with_signature(mail(more="Content-ID: <a>\r\n")), "Content-ID: <b>\r\n"),
    "a second MIME-Version": (with_signature(mail(more=PLAIN), MIME), "MIME-Version: 2.0\r\n"),
    "a second Subject": (by_dkim(), "Subject: Cancel #234567\r\n"),
    "a second To": (by_dkim(), "To: support@introserv.com\r\n"),
    "a Cc that nobody signed": (by_dkim(names="from:to:subject:date"), "Cc: support@introserv.com\r\n"),
    "a second Date": (by_dkim(), dated()),
    "a second Message-ID": (by_dkim(), "Message-ID: <b@shop.example>\r\n"),
    "a second Reply-To": (with_signature(mail(more="Reply-To: a@b.example\r\n")), "Reply-To: e@evil.example\r\n"),
    "two In-Reply-To": (with_signature(mail(more="In-Reply-To: <a@b>\r\n")), "In-Reply-To: <e@f>\r\n"),
    "a Subject where none was signed": (with_signature(f"{FROM}To: support@introserv.com\r\n{dated()}\r\nHello\r\n".encode(), "from:to:date"),
                                        "Subject: Cancel #234567\r\n"),
    "more fields than are read": (by_dkim(), "X-Junk: a\r\n" * 1001),
    "more octets than are read": (by_dkim(), f"X-Junk: {'a' * 900}\r\n" * 320),
}  # fmt: skip


@pytest.mark.parametrize("name", ADDED)
def test_a_field_on_top_of_a_signed_mail_is_no_proof(name: str) -> None:
    genuine, added = ADDED[name]
    assert judged(genuine).authenticated
    found = judged(added.encode() + genuine)
    assert not found.authenticated, found.reasons


#: what somebody makes of the fields that Gmail and others leave unsigned: (the body, its type, the type that he writes there)
CHANGED = {
    "a report": (PARTS, MIXED, 'Content-Type: multipart/report; report-type=delivery-status; boundary="b1"\r\n'),
    "no boundary": (PARTS, MIXED, "Content-Type: multipart/mixed\r\n"),
    "another boundary": (PARTS, MIXED, "Content-Type: multipart/mixed; boundary=b2\r\n"),
    "a longer boundary": (PARTS, MIXED, "Content-Type: multipart/mixed; boundary=b1--\r\n"),
    "two boundaries": (PARTS, MIXED, 'Content-Type: multipart/mixed; boundary="b1"; boundary=eve\r\n'),
    "a boundary in another syntax": (PARTS, MIXED, "Content-Type: multipart/mixed; boundary=b1; boundary*=utf-8''eve\r\n"),
    "a boundary in capitals": (PARTS, MIXED, 'Content-Type: multipart/mixed; boundary="B1"; x="b1"\r\n'),
    "a boundary in a comment": (PARTS, MIXED, "Content-Type: multipart/mixed (; boundary=eve); boundary=b1\r\n"),
    "a boundary with an escape": (PARTS, MIXED, 'Content-Type: multipart/mixed; x="\\"; boundary="b1"; y="\\"; boundary="eve"\r\n'),
    "a type of three words": ("Slow\r\n", "Content-Type: text/plain\r\n", "Content-Type: text/plain/x\r\n"),
    "two charsets": ("Slow\r\n", "Content-Type: text/plain\r\n", "Content-Type: text/plain; charset=utf-8; charset=utf-7\r\n"),
    "words for parts": (PARTS, MIXED, "Content-Type: text/plain\r\n"),
    "nothing for parts": (PARTS, MIXED, ""),
    "encoded parts": (PARTS, MIXED, MIXED + "Content-Transfer-Encoding: base64\r\n"),
    "words for HTML": ("<div>Slow</div>\r\n", "Content-Type: text/html\r\n", "Content-Type: text/plain\r\n"),
    "HTML for words": ("Slow\r\n", "Content-Type: text/plain\r\n", "Content-Type: text/html\r\n"),
    "a preamble with a boundary": ("MIME\r\n--eve\r\n\r\nCancel.\r\n" + PARTS, MIXED, "Content-Type: multipart/mixed; boundary=eve\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_an_unsigned_type_that_the_body_does_not_show_is_no_proof(name: str) -> None:
    body, genuine, changed = CHANGED[name]
    assert judged(gmail(genuine, body)).authenticated
    found = judged(gmail(changed, body))
    assert (found.authenticated, found.dmarc) == (False, "pass"), found.reasons


@pytest.mark.parametrize("wide", ["Subject", "To", "Content-Type"])
def test_a_field_that_was_made_wider_than_what_is_read_of_it_is_no_proof(wide: str) -> None:
    """Relaxed canonicalization forgives any number of blanks, the reader of the mail stops after so many."""
    raw = with_signature(mail(more=PLAIN), MIME)
    name = f"{wide}: ".encode()
    assert raw.count(name) == 1
    assert judged(raw.replace(name, name + b"\r\n " * 100)).authenticated
    found = judged(raw.replace(name, name + (b" " * 900 + b"\r\n") * 40 + b" "))
    assert (found.authenticated, found.dmarc) == (False, "pass"), found.reasons


def test_the_caps_of_the_reader_and_of_the_signature_agree() -> None:
    """Whatever is signed is read: the one sees no field that the other does not."""
    assert written_fields(b"A: b\r\n" * (limits.MAX_FIELDS + 1)) is None
    assert written_fields(b"A: " + b"b" * limits.MAX_HEADER_BLOCK) is None
    assert coverage.MAX_FIELD <= limits.MAX_FIELD


def test_a_recipient_behind_more_fields_than_are_read_is_none() -> None:
    raw = with_signature(mail("X-Junk: a\r\n" * 1001 + "To: support@introserv.com\r\n"))
    assert not judged(raw).authenticated


@pytest.mark.parametrize(
    ("days", "timed", "names", "proven"),
    [
        (0, True, USUAL, True), (0, False, USUAL, True), (300, True, USUAL, True), (6, False, USUAL, True), (8, False, USUAL, False),
        (300, False, USUAL, False), (-30, False, USUAL, False), (0, False, "from:to:subject", False), (0, True, "from:to:subject", True),
    ],
)  # fmt: skip
def test_the_age_is_that_of_t_or_else_of_a_signed_date(days: float, timed: bool, names: str, proven: bool) -> None:
    raw = with_signature(mail(more=dated(days)), names, timed=timed)
    assert judged(raw).authenticated is proven
    assert not judged(raw, now=NOW + timedelta(days=9)).authenticated


@pytest.mark.parametrize(
    ("flags", "proven"), [("y", False), ("y:s", False), ("s : y", False), ("\ty", False), ("s", True), ("", True)]
)
def test_a_key_that_is_only_tested_proves_nobody(flags: str, proven: bool) -> None:
    """RFC 6376 section 3.6.1: such mail is not to be treated differently from unsigned mail. It is no forgery either."""
    zone = ZONE | {"s._domainkey.shop.example": {"TXT": [f"v=DKIM1; k=rsa; t={flags}; p={PUBLIC}"]}}
    found = judged(by_dkim(), zone=zone)
    assert (found.authenticated, found.refused, found.enforced) == (proven, False, False)
    assert any("t=y" in reason for reason in found.reasons) is not proven
    from_his_server = judged(by_dkim(), sent=True, zone=zone)
    assert (from_his_server.authenticated, from_his_server.weak) == (True, not proven)
    assert len(found.signatures) == 1, "it is known again all the same"


def test_a_signature_that_does_not_say_when_makes_no_one_message_of_two() -> None:
    """The same alarm tomorrow bears the same signature."""
    assert judged(with_signature(mail(), "from:to:subject", timed=False)).signatures == ()
    assert len(judged(with_signature(mail(), "from:to:subject:date", timed=False)).signatures) == 2


def test_a_signature_that_does_not_cover_the_subject_makes_no_one_message_of_two() -> None:
    """A copy below another subject came first, and the outage that the mail's subject told was another arrival of it."""
    raw = mail(more="Subject: Server 123456 is down, emergency!\r\n" + dated())
    assert judged(with_signature(raw, "from:to:subject:date")).signatures
    assert judged(with_signature(raw, "from:to:date")).signatures == ()


def test_only_the_author_s_domain_makes_one_message_of_two() -> None:
    """Anybody may put a signature of his own on two mails that he got."""
    zone = ZONE | {"s._domainkey.evil.example": {"TXT": [RECORD]}}
    both = with_signature(by_dkim(), "from:subject", domain="evil.example")
    assert judged(both, zone=zone).signatures == judged(by_dkim_of(both), zone=zone).signatures


def by_dkim_of(both: bytes) -> bytes:
    """The mail below the upper signature."""
    return b"DKIM-Signature:" + both.split(b"DKIM-Signature:")[2]


@pytest.mark.parametrize(
    ("names", "threads"), [(USUAL, False), (USUAL + ":references", False), (USUAL + ":references:in-reply-to", True)]
)
def test_whether_the_thread_is_signed(names: str, threads: bool) -> None:
    assert judged(with_signature(mail(), names)).threads is threads


def test_a_signature_is_known_again_however_its_base64_is_written() -> None:
    raw = by_dkim()
    known = judged(raw).signatures
    start = raw.index(b"; b=") + 4 if b"; b=" in raw else raw.index(b" b=") + 3
    end = raw.index(b"\r\nFrom:")
    text = b"".join(raw[start:end].split())
    assert text.endswith(b"==")
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet.index(text[-3:-2])
    other = raw[:start] + text[:-3] + alphabet[last ^ 1 : (last ^ 1) + 1] + b"==" + raw[end:]
    assert other != raw
    assert judged(other).signatures == known and len(known) == 1


def marks(raw: bytes) -> tuple[str, ...]:
    return judged(raw).signatures


def test_two_signatures_of_one_domain_on_one_mail_have_the_content_in_common() -> None:
    base = mail()
    first, second = (with_signature(base, names) for names in ("from:to:subject:date", "from:subject:date"))
    other = re.sub(rb"Message-ID: <[^>]*>", b"Message-ID: <eve@evil.example>", second)
    assert len(set(marks(first))) == len(set(marks(other))) == 2
    assert len(set(marks(first)) & set(marks(other))) == 1, "what was signed is the same"
    spaced = with_signature(
        base.replace(b"Subject: Disk", b"Subject:  Disk ").replace(b"is slow", b"is  slow"), "from:to:date:subject"
    )
    assert set(marks(first)) & set(marks(spaced)), "in relaxed form"


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"Subject: Disk", b"Subject: Disc"), (b"is slow", b"is fast"), (b"From: Ops", b"From: Oops"), (b"Date: ", b"Date:  1 Jan 2026 00:00:00 +0000 (")],
)  # fmt: skip
def test_another_mail_of_the_same_author_has_nothing_in_common(old: bytes, new: bytes) -> None:
    names = "from:to:subject:date"
    assert not set(marks(with_signature(mail(), names))) & set(marks(with_signature(mail().replace(old, new), names)))


def test_where_the_message_id_is_signed_nothing_else_is_needed() -> None:
    """Two mails of one second may say the same: a colleague who answers twice with one word."""
    first = mail()
    second = first.replace(b"<a@shop.example>", b"<b@shop.example>")
    assert not set(marks(with_signature(first))) & set(marks(with_signature(second)))


def test_without_a_signed_date_a_mail_is_known_by_its_signature_alone() -> None:
    assert len(marks(with_signature(mail(), "from:to:subject"))) == 1
