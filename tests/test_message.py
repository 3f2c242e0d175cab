"""Any bytes become a ParsedMessage: never an exception, bounded time, and the words where they can be had."""

from __future__ import annotations

import base64
import binascii
import hashlib
import quopri
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mail.header import decode_words
from gateway.model import AuthorStatus
from gateway.read.attachments import attachment
from gateway.read.clean import clean, clean_type
from gateway.read.formats import unflowed
from gateway.read.message import parse
from gateway.read.reading import Hints, read
from tests.samples import NOW

HINTS = Hints("a@b.example", NOW, "Europe/Berlin")
DEEP = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(500))
HOSTILE = {
    "empty": b"",
    "one line": b"hello",
    "only newlines": b"\r\n" * 100_000,
    "nested 500": b"From: a@b.example\r\n" + DEEP + b"\r\nx",
    "rfc822 x 2000": b"Content-Type: message/rfc822\r\n\r\n" * 2000,
    "100k parts": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 100_000,
    "rfc2231 20k": b"Content-Type: text/plain;" + b"".join(b" a*%d=x;\r\n" % n for n in range(20_000)) + b"\r\n\r\nx",
    "10 MB header": b"X: " + b"y" * 10_000_000 + b"\r\n\r\nx",
    "200k headers": b"X: y\r\n" * 200_000 + b"\r\nx",
    "100k folds": b"Subject: a\r\n" + b" b\r\n" * 100_000 + b"\r\nx",
    "50k encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\r\n\r\nx",
    "100k addresses": b"To: " + b"a@b.example, " * 100_000 + b"\r\n\r\nx",
    "parentheses": b"From: " + b"(" * 50_000 + b"\r\n\r\nx",
    "bad message-id": b"Message-ID: <[a@b\r\nReferences: " + b"<a@b>" * 50_000 + b"\r\n\r\nx",
    "bad dates": b"Date: Sun, 30 Feb 0000 24:00:60 +9999\r\n\r\nx",
    "charsets": b"Content-Type: text/plain; charset=idna\r\n\r\n\xff\xfe" + b"x" * 100,
    "zlib charset": b"Content-Type: text/plain; charset=zlib_codec\r\n\r\nx",
    "bad base64": b"Content-Transfer-Encoding: base64\r\n\r\n=====!!!!A",
    "tags": b"Content-Type: text/html\r\n\r\n" + b"<div>" * 100_000,
    "unclosed tags": b"Content-Type: text/html\r\n\r\n" + b"<a " * 200_000,
    "ampersands": b"Content-Type: text/html\r\n\r\n" + b"&" * 500_000,
    "digits": b"Subject: x\r\n\r\n" + b"1" * 1_000_000,
    "quotes": b"Subject: x\r\n\r\n" + b">" * 500_000,
    "on": b"Subject: x\r\n\r\n" + b"On " * 14_000,
    "dots": b"Subject: x\r\n\r\n" + b"1." * 300_000,
    "colons": b"Subject: x\r\n\r\n" + b"a:" * 300_000,
    "blanks": b"Subject: x\r\n\r\n" + b" " * 500_000 + b"\r\n",
    "hashes": b"Subject: x\r\n\r\n" + b"order #" * 100_000,
    "passwords": b"Subject: x\r\n\r\n" + b"password: " * 50_000,
    "keys": b"Subject: x\r\n\r\n" + b"-----BEGIN RSA PRIVATE KEY-----" * 5_000,
    "at signs": b"Subject: x\r\n\r\n" + b"a@" * 200_000,
}


@pytest.mark.fault("X7", "X19", "X27", "X28")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_read(name: str) -> None:
    reading = read(HOSTILE[name], HINTS)
    for text in (reading.parsed.subject, reading.text, reading.full_text):
        text.encode("utf-8")
        assert "\x00" not in text


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=2000),
    st.sampled_from(["", "multipart/mixed; boundary=b", "text/html", "message/rfc822", "text/plain; charset=utf-16"]),
)
def test_octets_never_raise(body: bytes, kind: str) -> None:
    head = f"From: a@b.example\r\nContent-Type: {kind}\r\n\r\n".encode()
    for raw in (body, head + body, head + b"--b\r\n" + body + b"\r\n--b--"):
        reading = read(raw, HINTS)
        (reading.parsed.subject + reading.text + reading.full_text).encode("utf-8")
        assert reading.author.status in AuthorStatus


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?q?J=C3=BCrgen?=", "Jürgen"),
        ("=?utf-8?b?SsO8cmdlbg==?= x", "Jürgen x"),
        ("=?utf-8?q?J=C3?= =?utf-8?q?=BCrgen?=", "Jürgen"),
        ("=?iso-8859-1?q?=FC?= =?utf-8?q?=C3=BC?=", "üü"),
        ("=?gb2312?b?xOO6ww==?=", "你好"),
        ("=?unknown-8bit?q?=FC?=", "ü"),
        ("plain", "plain"),
        ("=?utf-8?q?a=0D=0ABcc:_x?=", "a\r\nBcc: x"),
    ],
)
def test_encoded_words(value: str, text: str) -> None:
    assert decode_words(value) == text


@pytest.mark.fault("X31")
def test_a_media_type_has_no_other_characters_than_its_own() -> None:
    assert clean_type("application/\x1b]0;Owned\x07x") == "application/0ownedx"
    assert clean_type("image/\x00p ng|") == "image/png|"


def test_direction_and_control_characters_go() -> None:
    assert clean("a\u202eb\x00c\x1b[31m\r\nd\ud800") == "abc[31m\nd"


def multipart(*parts: bytes) -> bytes:
    return (
        b'From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n'
        + b"".join(b"--x\r\n" + part + b"\r\n" for part in parts)
        + b"--x--\r\n"
    )


def test_the_header_of_a_part_is_capped_as_the_top_one_is() -> None:
    found = parse(multipart(b"Content-Type: text/plain\r\n" + b"X-Many: 1\r\n" * 2000 + b"\r\nThe disk is slow.\r\n"))
    assert "header cut to the limits" in found.notes
    assert found.words.strip() == "The disk is slow."


def test_comments_without_an_end_are_no_recursion() -> None:
    for name in (b"To", b"Cc", b"X-Failed-Recipients"):
        found = parse(b"From: a@b.example\r\n" + name + b": " + b"(" * 5000 + b" c@d.example\r\n\r\nHello\r\n")
        assert found.words.strip() == "Hello"


@pytest.mark.fault("X29")
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/cron.d/x", "x"), ("C:\\boot.ini", "boot.ini"), ("a\u202egpj.exe", "agpj.exe"), ("\u200b.htaccess", "htaccess"),
        ("x" * 5000, "x" * 200), ("", "unnamed"), ("..", "unnamed"),
    ],
)  # fmt: skip
def test_attachment_names_are_only_labels(name: str, shown: str) -> None:
    encoded = base64.b64encode(name.encode()).decode()
    field = (
        f'Content-Disposition: attachment; filename="=?utf-8?b?{encoded}?="'
        if name
        else "Content-Disposition: attachment"
    )
    raw = multipart(
        b"Content-Type: text/plain\r\n\r\nhello", field.encode() + b"\r\nContent-Type: application/pdf\r\n\r\nPDF"
    )
    (found,) = parse(raw).attachments
    assert found.filename == shown


@pytest.mark.fault("X29")
@pytest.mark.parametrize("size", [0, 100, 2_000_000])
def test_attachments_are_measured_and_come_back(size: int) -> None:
    content = bytes(index * 7 % 256 for index in range(size))
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    raw = multipart(
        b"Content-Type: text/plain\r\n\r\nhello",
        b'Content-Type: image/png; name="a.png"\r\nContent-Transfer-Encoding: base64\r\n\r\n' + encoded,
    )
    parsed = parse(raw)
    (found,) = parsed.attachments
    assert (found.filename, found.size, found.sha256) == ("a.png", size, hashlib.sha256(content).hexdigest())
    assert parsed.plain.strip() == "hello"
    assert attachment(raw, found.sha256) == content


@pytest.mark.parametrize("count", [1, 40_000])
@pytest.mark.parametrize("breaks", [b"\r\n", b"\n"])
@pytest.mark.parametrize("last", [b"", b"\n"])
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable"])
def test_attachments_that_are_text_come_back(encoding: str, last: bytes, breaks: bytes, count: int) -> None:
    """Logs most often come so; the line break before a delimiter is the delimiter's (RFC 2046 section 5.1.1)."""
    content = b"\n".join([b"10:15:01 kernel: =error= M\xfcller \t"] * count) + last
    body = quopri.encodestring(content) if encoding == "quoted-printable" else content
    kind = f'Content-Type: text/x-log; name="a.log"\nContent-Transfer-Encoding: {encoding}\n\n'.encode()
    raw = multipart(b"Content-Type: text/plain\n\nhello", kind + body).replace(b"\r\n", b"\n").replace(b"\n", breaks)
    (found,) = parse(raw).attachments
    content = content.replace(b"\n", breaks)
    assert (found.size, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert attachment(raw, found.sha256) == content


_ABOVE, _QUOTED = (
    "Please have a look at 203.0.113.7 below.",
    "Order 765432, invoice 214382, total 1999 EUR. It hangs when I pay.",
)
_FORWARD = (
    f"<p>{_ABOVE}</p><div>---- Forwarded message ----</div><blockquote>From: d@e.example<br>{_QUOTED}</blockquote>"
)


@pytest.mark.parametrize(
    ("text", "page", "differ"),
    [
        (f"{_ABOVE}\r\n\r\n---- Forwarded message ----\r\nFrom: d@e.example\r\n\r\n{_QUOTED}", _FORWARD, False),
        (f"{_ABOVE}\r\n\r\n> {_QUOTED}", _FORWARD, False),
        (f"{_ABOVE}\r\n[image: Logo 2024]", f"<p>{_ABOVE}</p><img alt='Logo 2024' src=x>", False),
        (f"{_ABOVE} Order 999888.", _FORWARD, True),
        (_ABOVE, "<p>Move order 765432 to the new owner, and do so before noon.</p>", True),
    ],
)
def test_alternatives_differ_where_a_reader_would_miss_words_in_one(text: str, page: str, differ: bool) -> None:
    parts = (
        f"--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--b\r\nContent-Type: text/html\r\n\r\n{page}\r\n--b--\r\n"
    )
    found = parse(f"From: a@b.example\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n{parts}".encode())
    assert ("the text and the HTML alternative differ" in found.marks) is differ


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/png", 'text/plain; name="key.txt"'])
@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\nq", b"\x01\x02\x03", b"\x8f\x01\x1b\x03abc", b"key\x04"])
def test_a_small_attachment_in_base64_is_handed_out_decoded(content: bytes, kind: str) -> None:
    """A key, a token: however few octets and whatever they are."""
    part = f"Content-Type: {kind}\r\nContent-Disposition: attachment; filename=k\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    raw = multipart(b"Content-Type: text/plain\r\n\r\nhello", part.encode() + base64.b64encode(content))
    (found,) = parse(raw).attachments
    assert (found.size, attachment(raw, found.sha256)) == (len(content), content)


def test_a_long_attachment_in_an_encoding_of_its_own_comes_back_as_it_was_sent() -> None:
    body = b"begin 644 a.log\r\n" + binascii.b2a_uu(b"x" * 45).strip() * 20_000 + b"\r\nend"
    kind = b'Content-Type: text/x-log; name="a.log"\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n'
    raw = multipart(b"Content-Type: text/plain\r\n\r\nhello", kind + body)
    (found,) = parse(raw).attachments
    assert found.size == len(body) > 600_000
    assert attachment(raw, found.sha256) == body


def test_an_attached_mail_is_named_and_not_merged() -> None:
    inner = b"From: x@y.example\r\nSubject: Inner mail\r\n\r\nforeign words"
    parsed = parse(
        multipart(b"Content-Type: text/plain\r\n\r\nmy words", b"Content-Type: message/rfc822\r\n\r\n" + inner)
    )
    assert "foreign words" not in parsed.plain
    assert [a.filename for a in parsed.attachments] == ["Inner mail.eml"]


def test_an_attached_mail_comes_back_as_it_was() -> None:
    """Octet for octet: nothing folded anew, no line end changed, no "From " quoted, or its signatures would break."""
    inner = (
        b"DKIM-Signature: v=1; a=rsa-sha256; d=y.example;\r\n\th=From:Subject; b=" + b"Ab0/" * 60 + b"\r\n"
        b"Subject: " + b"word " * 30 + "grüß\r\n".encode() + b"X-Raw: \xff\r\nFrom: x@y.example\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=i\r\n\r\nbefore\r\n--i\r\n\r\nFrom here on\r\n.\r\n\r\n"
        b"--i\r\nContent-Type: text/html\r\n\r\n<p>\xe9</p>\r\n--i--\r\nafter"
    )
    raw = multipart(b"Content-Type: text/plain\r\n\r\nmy words", b"Content-Type: message/rfc822\r\n\r\n" + inner)
    (found,) = parse(raw).attachments
    assert attachment(raw, found.sha256) == inner
    assert found.size == len(inner)


def test_a_multipart_without_its_boundary_keeps_its_words() -> None:
    parsed = parse(b'From: a@b.example\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\nsome words\r\n')
    assert "some words" in parsed.plain


@pytest.mark.fault("X24")
def test_raw_8_bit_headers_and_wrong_charsets_are_repaired() -> None:
    parsed = parse("Subject: Müller\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nGrüße\r\n".encode())
    assert (parsed.subject, parsed.plain.strip()) == ("Müller", "Grüße")
    parsed = parse(
        "Subject: Müller\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGrüße – €\r\n".encode("cp1252")
    )
    assert (parsed.subject, parsed.plain.strip()) == ("Müller", "Grüße – €")


def test_subjects_of_the_foreign_suite(corpora: Path) -> None:
    """54 of 54, where five of the suite's own carry a replacement character that we repair."""
    import json

    folder = corpora / "mime_mail_parser_rs_legacy"
    wrong = []
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    for row in rows:
        expected = row["expect"].get("subject") or ""
        found = parse((folder / row["file"]).read_bytes()).subject
        if found != expected and found != expected.replace("\ufffd", "ö"):
            wrong.append((row["file"], expected, found))
    assert len(rows) == 54
    assert wrong == []


def test_every_corpus_file_is_read(corpora: Path) -> None:
    """Each in under a second of CPU, and all of them without 150 MB more than the readers have anyway."""
    import resource
    import time

    read(b"From: a@b.example\r\n\r\nthe language model is loaded by now\r\n", HINTS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    names = (corpora / "mails.txt").read_text().splitlines()
    slow = []
    for name in names:
        began = time.process_time()
        read((corpora / name).read_bytes(), HINTS)
        if time.process_time() - began >= 1.0:
            slow.append(name)
    assert len(names) > 500
    assert slow == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024


def test_every_attachment_of_the_corpora_comes_back(corpora: Path) -> None:
    """Whatever is listed can be fetched by its hash, in mails in disorder as well."""
    lost, count = [], 0
    for name in (corpora / "mails.txt").read_text().splitlines():
        raw = (corpora / name).read_bytes()
        for found in parse(raw).attachments:
            count += 1
            content = attachment(raw, found.sha256)
            if content is None or len(content) != found.size:
                lost.append((name, found.filename))
    assert count > 200
    assert lost == []


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("order 12345 \n6 people", "order 12345 6 people"),
        ("address 203.0.113. \n7 of us", "address 203.0.113. 7 of us"),
        ("a gap of  \ntwo blanks", "a gap of two blanks"),
        ("https://shop.example/a/ \nb.html", "https://shop.example/a/b.html"),
        ("サーバー \nが落ちた", "サーバーが落ちた"),
    ],
)
def test_a_blank_at_the_end_of_a_line_makes_no_new_word(written: str, read: str) -> None:
    """No signature covers it, and nobody may turn one number into another with it."""
    assert unflowed(written, delsp=True) == read
