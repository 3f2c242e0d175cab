"""The canonical forms of RFC 6376 section 3.4, against dkimpy: on real mail, on odd mail, and in slices of any size."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from dkim import canonicalization as dkimpy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.mail import canonical
from gateway.mail.header import header_end, written_fields

FORMS = {True: dkimpy.Relaxed, False: dkimpy.Simple}
ODD = (
    b"", b"\r\n", b"\r\n\r\n", b" ", b" \t \r\n", b"\t\r\n\r\n", b"a", b"a \r\n\r\n \r\n", b" a\r\n", b"a\tb  c \t\r\n", b"a\n\nb\n \n", b"a\r\rb\r\n",
    b"\x00\x0b\x0c \r\n", b"a \r b\r\n", b"\xc2\xa0 \xe4\t\r\n", b"x" * 300_000 + b" \r\n", b"\r\n" * 200_000 + b"x\r\n", b" \r\n" * 100_000,
)  # fmt: skip


def _written(body: bytes) -> bytes:
    """As a signer sees it: every line with its end."""
    lines = re.sub(rb"\r?\n", b"\r\n", body)
    return lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"


def _same_body(body: bytes, relaxed: bool) -> None:
    wanted = FORMS[relaxed].canonicalize_body(_written(body))
    given = body if not body or body.endswith(b"\n") else body + b"\r\n"
    found = canonical.body_digest(b"head" + given, 4, relaxed)
    assert found == (hashlib.sha256(wanted).digest(), len(wanted)), (relaxed, body[:200])


def _same_fields(block: bytes) -> int:
    fields = written_fields(block) or []
    for relaxed, form in FORMS.items():
        wanted = [b"%s:%s" % field for field in form.canonicalize_headers(fields)]
        assert [canonical.field(name, value, relaxed) for name, value in fields] == wanted
    return len(fields)


def test_all_mail_of_the_corpora_has_the_forms_of_dkimpy(corpora: Path) -> None:
    bodies = fields = 0
    for path in sorted(path for path in corpora.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        end, start = header_end(raw)
        fields += _same_fields(raw[:end])
        for relaxed in FORMS:
            _same_body(raw[start:], relaxed)
        bodies += 1
    assert bodies > 1000 and fields > 10_000


@pytest.mark.parametrize("relaxed", FORMS)
@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_odd_bodies_have_the_forms_of_dkimpy(body: bytes, relaxed: bool) -> None:
    _same_body(body, relaxed)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"bc", b" ", b"\t", b"\r\n", b"\r\n", b"\n", b"\r", b".", b"\xe4"]), max_size=40),
    st.booleans(),
    st.integers(1, 7),
)
def test_slices_of_any_size_make_the_same_body(pieces: list[bytes], relaxed: bool, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "SLICE", size)
        _same_body(b"".join(pieces), relaxed)


@given(
    st.sampled_from([b"Subject", b"X-Odd ", b"FROM\t"]),
    st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n ", b"\n\t", b"\r", b"\x0b", b":", b"\xe4"]), max_size=20),
    st.booleans(),
)
def test_odd_fields_have_the_forms_of_dkimpy(name: bytes, pieces: list[bytes], relaxed: bool) -> None:
    value = b"".join(pieces) + b"\r\n"
    unfolded = value.replace(b"\r\n", b"")  # of its ends only blanks and tabs are WSP, whatever dkimpy takes away
    assume(not relaxed or unfolded.strip(b" \t") == unfolded.strip())
    ((wanted_name, wanted),) = FORMS[relaxed].canonicalize_headers([(name, value)])
    assert canonical.field(name, value, relaxed) == wanted_name + b":" + wanted


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (b"simple", (False, False)), (b"relaxed", (True, False)), (b"simple/relaxed", (False, True)), (b"relaxed/relaxed", (True, True)),
        (b"relaxed/simple", (True, False)), (b"", None), (b"relaxed/", None), (b"nowsp", None), (b"simple/nofws", None), (b"simple/simple/simple", None),
        (b"Relaxed", None),
    ],
)  # fmt: skip
def test_what_c_names(written: bytes, found: tuple[bool, bool] | None) -> None:
    if found is None:
        with pytest.raises(canonical.UnknownForm):
            canonical.forms(written)
        with pytest.raises(dkimpy.InvalidCanonicalizationPolicyError):
            dkimpy.CanonicalizationPolicy.from_c_value(written)
        return
    theirs = dkimpy.CanonicalizationPolicy.from_c_value(written)
    assert (
        canonical.forms(written)
        == found
        == tuple(one is dkimpy.Relaxed for one in (theirs.header_algorithm, theirs.body_algorithm))
    )
