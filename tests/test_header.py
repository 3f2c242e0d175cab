"""Header fields in octets: the glances that are quicker than all fields find the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.header import RawMail, fields_at, first_lines, named, written_fields
from gateway.read.author import author_of

MAILS = sorted((Path(__file__).parent / "mails").glob("*.eml"))
LINES = st.sampled_from(
    [b"From: a@shop.example", b"subject : x", b"Received: from a", b" folded", b"\tmore", b"junk", b"From a b:c", b""]
)


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_every_way_finds_the_same_fields(path: Path) -> None:
    raw = path.read_bytes()
    mail = RawMail.of(raw)
    fields, body, empty = fields_at(raw, 0, len(raw))
    assert (body, empty) == (mail.body, True)
    assert first_lines(raw) == mail.header.removesuffix(b"\n").removesuffix(b"\r")
    written = written_fields(mail.header)
    assert written is not None and len(written) > 3
    assert [(name.strip(), value.replace(b"\r\n", b"\n")) for name, value in fields] == [
        (name, value.replace(b"\r\n", b"\n")) for name, value in written
    ]
    subjects = [value.rstrip(b"\r") for _, value in named(mail.header, b"subject")]
    assert subjects == [value.removesuffix(b"\r\n") for name, value in written if name.lower() == b"subject"]


@given(st.lists(st.tuples(LINES, st.sampled_from([b"\r\n", b"\n"])), max_size=8))
def test_where_the_fields_end_is_found_with_and_without_an_empty_line(lines: list[tuple[bytes, bytes]]) -> None:
    raw = b"".join(line + end for line, end in lines)
    fields, body, empty = fields_at(bytearray(raw), 0, len(raw))
    before = raw[:body]
    if empty:
        assert before.endswith((b"\n\n", b"\n\r\n")) or before in (b"\n", b"\r\n")
    else:
        assert raw[body:].startswith(b"junk") or body == len(raw)
    assert len(fields) == len([line for line in before.splitlines() if line[:1] not in (b" ", b"\t", b"")])


def test_the_place_of_a_field_and_the_caps() -> None:
    block = b"Received: one\r\nX: y\r\nRECEIVED : two\r\n\tfolded\r\nNotReceived: no\r\n"
    found = list(named(block, b"received"))
    assert found == [(0, b" one\r"), (21, b" two\r\n\tfolded\r")]
    assert list(named(block, b"received", most=1)) == found[:1]
    assert first_lines(b"A: b\n\nC: d\r\n\r\n") == b"A: b"
    assert first_lines(b"A: b\r\nC: d", 6) == b"A: b\r\n"
    assert fields_at(b"A: b\r\nC: d\r\n\r\n", 6, 3) == ([(b"C", b" ")], 9, False)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"X: y\nfrom\n more\n : a@b.example\n", "a From header field with its name folded"),
        (b"\r\n \t\r\n  From: a@b.example\r\n", "a From header field hidden behind a leading blank"),
        (b"\x0b\n\tfrom: a@b.example\nTo: x\n", "a From header field hidden behind a leading blank"),
    ],
)
def test_a_from_field_that_is_none_here_and_may_be_one_elsewhere(block: bytes, reason: str) -> None:
    assert author_of(block).reason == reason
