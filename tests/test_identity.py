"""The identity of a mail: what may change on the way, and what makes it another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ingest.identity import digest_of
from gateway.mail import canonical

MAIL = (
    b"Message-ID: <a@b>\r\nFrom: a@b.example\r\nDate: x\r\nSubject: hello  world\r\n\r\nOne  line \r\nTwo\r\n\r\n\r\n"
)


@pytest.mark.fault("X27")
@pytest.mark.parametrize(
    "same",
    [
        b"Received: from x by y; z\r\n" + MAIL,
        b"DKIM-Signature: v=1\r\nTo: somebody@else\r\n" + MAIL,
        MAIL.replace(b"hello  world", b"hello\r\n world"),
        MAIL.replace(b"One  line \r\n", b"One line\r\n"),
        MAIL.rstrip(b"\r\n") + b"\r\n",
        MAIL + b"\r\n\r\n",
        MAIL.replace(b"\r\n", b"\n"),
        MAIL.replace(b"\r\n\r\nOne", b"\r\nSubject: a second one\r\n\r\nOne"),
        b"From mbox line\n" + MAIL,
    ],
)
def test_the_same_mail(same: bytes) -> None:
    assert digest_of(same) == digest_of(MAIL)


@pytest.mark.parametrize(
    "other",
    [
        MAIL.replace(b"Two", b"Three"),
        MAIL.replace(b"<a@b>", b"<c@d>"),
        MAIL.replace(b"From: a@", b"From: c@"),
        MAIL.replace(b"Date: x", b"Date: y"),
        MAIL.replace(b"world", b"World"),
        MAIL.replace(b"One", b" One"),
        MAIL.replace(b"Two", b"\r\nTwo"),
    ],
)
def test_another_mail(other: bytes) -> None:
    assert digest_of(other) != digest_of(MAIL)


HEAD = b"From: monitor@b.example\r\nSubject: ALARM\r\nMessage-ID: <a@b>\r\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"Disk of web1 is full.\r\n", b"Disk of web2 is full.\r\n"),
        (b"Disk full.\r\n\r\nweb1\r\n", b"Disk full.\r\n\r\nweb2\r\n"),
        (b"Host: web1\r\nState: down\r\n", b"Host: web2\r\nState: down\r\n"),
        (b"Host: web1\r\nis down\r\n", b"Host: web2\r\nis down\r\n"),
        (b"Host: web1\r\n is down\r\n", b"Host: web1\r\n is slow\r\n"),
        (b"total: 1\r\n", b"total: 2\r\n"),
    ],
)
def test_text_counts_where_the_empty_line_is_missing(one: bytes, other: bytes) -> None:
    assert digest_of(HEAD + one) != digest_of(HEAD + other)
    assert digest_of(HEAD + one) == digest_of(b"Received: from x\r\nX-Spam: no\r\nTo: a@b\r\n" + HEAD + one)
    assert digest_of(HEAD + b"\r\n" + one) != digest_of(HEAD + b"\r\n" + other)


@pytest.mark.fault("X28")
def test_a_field_that_is_no_text_changes_nothing() -> None:
    assert digest_of(HEAD + b"Host: web1\r\n\r\nText") == digest_of(HEAD + b"Host: web2\r\n\r\nText")


@pytest.mark.parametrize(
    ("fields", "undated"),
    [
        (b"Subject: x\r\n", True),
        (b"Subject: x\r\nDate:\r\nMessage-ID: \r\n", True),
        (b"Subject: x\r\nDate: y\r\n", False),
        (b"Subject: x\r\nMessage-ID: <y>\r\n", False),
    ],
)
def test_a_mail_without_message_id_and_date_is_known_by_its_mark(fields: bytes, undated: bool) -> None:
    found = digest_of(fields + b"\r\nText")
    assert (found[0] == "~", len(found)) == ((True, 51) if undated else (False, 64))


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\n", b"\r", b"a", b"bc"]), max_size=80), st.integers(1, 9))
def test_slices_change_nothing(pieces: list[bytes], size: int) -> None:
    raw = b"Subject: x\r\n\r\n" + b"".join(pieces)
    whole = digest_of(raw)
    before, canonical.SLICE = canonical.SLICE, size
    try:
        assert digest_of(bytearray(raw)) == whole
    finally:
        canonical.SLICE = before
