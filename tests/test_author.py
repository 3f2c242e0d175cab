"""The author grammar: one plain address or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import AuthorStatus
from gateway.read.author import author_of

OK, MALFORMED, FORGED = AuthorStatus.OK, AuthorStatus.MALFORMED, AuthorStatus.FORGED


@pytest.mark.fault("X25")
@pytest.mark.parametrize(
    ("block", "status", "address"),
    [
        (b"From: anna@example.de\r\n", OK, "anna@example.de"),
        (b"From: Anna Schmidt <Anna@Example.DE>\r\n", OK, "Anna@example.de"),
        (b'FROM: "Schmidt, Anna" <anna@example.de> (work)\r\n', OK, "anna@example.de"),
        (b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.de>\r\n", OK, "j@example.de"),
        (b"From: anna@example.de <anna@example.de>\r\n", OK, "anna@example.de"),
        (b"From: Anna\r\n <anna@example.de>\r\n", OK, "anna@example.de"),
        (b"From: anna@example.de.\r\n", OK, "anna@example.de"),
        (b"From: a@b\xc3\xbccher.example\r\n", OK, "a@xn--bcher-kva.example"),
        ("From: 李 <用户@例子.example>\r\n".encode(), OK, "用户@xn--fsqu00a.example"),
        ("From: Jürgen.Müller@straße.example\r\n".encode(), OK, "Jürgen.Müller@xn--strae-oqa.example"),
        ("From: иван@почта.example\r\n".encode(), OK, "иван@xn--80a1acny.example"),
        ("From: \u212aevin@example.de\r\n".encode(), MALFORMED, None),  # the Kelvin sign: K in other clothes
        ("From: u\u0308@example.de\r\n".encode(), MALFORMED, None),  # not in normal form C
        ("From: an\u200bna@example.de\r\n".encode(), MALFORMED, None),
        ("From: an\u202ena@example.de\r\n".encode(), MALFORMED, None),
        ("From: an\u00a0na@example.de\r\n".encode(), MALFORMED, None),
        ("From: ü..a@example.de\r\n".encode(), MALFORMED, None),
        (f"From: {'ü' * 32}@example.de\r\n".encode(), OK, f"{'ü' * 32}@example.de"),
        (f"From: {'ü' * 33}@example.de\r\n".encode(), MALFORMED, None),  # 66 octets
        (b"From: \xfcml@example.de\r\n", MALFORMED, None),
        ("From: a@\u200d.example\r\n".encode(), MALFORMED, None),
        (b"From: ceo@good.example <a@evil.example>\r\n", MALFORMED, None),
        (b"From: <ceo@good.example>a@evil.example\r\n", MALFORMED, None),
        (b"From: a@x.example, b@y.example\r\n", FORGED, None),
        (b"From: a@x.example\r\nFrom: b@y.example\r\n", FORGED, None),
        (b"From : a@x.example\r\nFrom: b@y.example\r\n", FORGED, None),
        (b"X: a\rFrom: admin@victim.example\r\nFrom: a@x.example\r\n", FORGED, None),
        (b" From: admin@victim.example\r\nFrom: a@x.example\r\n", FORGED, None),
        (b"From\r\n : admin@victim.example\r\nFrom: a@x.example\r\n", FORGED, None),
        (b"From: a@victim.example\x00.evil.example\r\n", FORGED, None),
        (b"From: group: a@x.example;\r\n", MALFORMED, None),
        (b"From: <@route.example:a@x.example>\r\n", MALFORMED, None),
        (b'From: "a b"@x.example\r\n', MALFORMED, None),
        (b"From: a@[127.0.0.1]\r\n", MALFORMED, None),
        (b"From: a@127.0.0.1\r\n", MALFORMED, None),
        (b"From: a@x_.1x.example_.\r\n", OK, "a@x_.1x.example_"),
        (b"From: <>\r\n", MALFORMED, None),
        (b"From:\r\n", MALFORMED, None),
        (b"Subject: x\r\n", MALFORMED, None),
        (b'From: "unbalanced <a@x.example>\r\n', OK, "a@x.example"),
        (b"From: =?utf-8?q?M=C3=BCller?=, Shop <a@x.example>\r\n", OK, "a@x.example"),
        (b"From: =?utf-8?b?PGNlb0Bnb29kLmV4YW1wbGU+?=, <a@x.example>\r\n", MALFORMED, None),
        (b"From: =?utf-8?q?ceo=40good.example?=, Shop <a@x.example>\r\n", MALFORMED, None),
        (b"From: =?utf-7?q?ceo+AEA-good.example?=, Shop <a@x.example>\r\n", MALFORMED, None),
        ("From: ceo\uff20good.example, Shop <a@x.example>\r\n".encode(), MALFORMED, None),
        (b'From: "ceo <a@x.example>"\r\n', MALFORMED, None),
        (b"Subject: x\r\n From: not a field@x.example\r\nFrom: a@x.example\r\n", OK, "a@x.example"),
    ],
)
def test_the_author_of(block: bytes, status: AuthorStatus, address: str | None) -> None:
    found = author_of(block)
    assert (found.status, found.address) == (status, address)
    assert found.reason or status is OK


@given(st.binary(max_size=3000))
def test_it_never_raises_on_octets(block: bytes) -> None:
    assert author_of(b"From: " + block).status in AuthorStatus


@given(
    st.lists(
        st.sampled_from(
            ["From:", "<", ">", "@", ",", '"', "(", ")", "\\", "a", "b.example", "\r\n", " ", "\r", "\x00", ":", ";"]
        ),
        max_size=60,
    )
)
def test_whatever_is_found_is_one_plain_address(tokens: list[str]) -> None:
    found = author_of("".join(["From:", *tokens]).encode())
    if found.status is OK:
        assert found.address is not None
        assert found.address.count("@") == 1
        assert not set(found.address) & set(' <>,"()\\\r\n\x00:;')
    else:
        assert found.address is None
