"""References and tokens: what a customer may mistype, and what nobody may guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tickets import references

KEYS = {"a": b"k" * 32}


@given(st.integers())
def test_a_new_reference_reads_back(_: int) -> None:
    made = references.new()
    assert references.normal(made) == made
    assert references.find(f"Re: Server [{made}]") == made


@pytest.mark.parametrize("spelling", ["T-{}", "t-{}", "Т-{}", "[T-{}]"])
def test_spellings_of_a_reference(spelling: str) -> None:
    body = references.new()[2:]
    assert references.find(spelling.format(body.lower())) == f"T-{body}"


def test_o_and_l_are_read_as_digits() -> None:
    body = "0" * 6
    reference = f"T-{body}{references.check_character(body)}"
    assert references.normal("t-" + "oOoOoO" + reference[-1]) == reference


def test_the_check_character_is_the_formula() -> None:
    body = "1A2B3C"
    total = sum(index * references.ALPHABET.index(char) for index, char in enumerate(body, 1))
    assert references.check_character(body) == references.ALPHABET[total % 31]


@pytest.mark.parametrize("text", ["#123456", "T-123", "T-12345678", "T-ABCDEFU", "123456", "T-0000001"])
def test_what_is_no_reference(text: str) -> None:
    assert references.find(f"order {text} please") is None


def test_a_token_is_bound_to_its_recipient_only() -> None:
    reference = references.new()
    address = references.token_address(
        "support@introserv.com", "introserv.com", reference, "Anna@example.de", "a", KEYS["a"]
    )
    assert len(address.partition("@")[0]) <= 64
    for spelling in (address, address.upper()):
        (token,) = references.tokens([spelling])
        assert token.reference == reference
        assert references.is_bound(token, "anna@EXAMPLE.de", KEYS)
        assert not references.is_bound(token, "eve@example.de", KEYS)
        assert not references.is_bound(token, "anna@example.de", {"a": b"x" * 32})


@given(st.text(max_size=200))
def test_nothing_raises_on_any_address(text: str) -> None:
    for token in references.tokens([text, f"support+{text}@x"]):
        assert references.normal(token.reference) == token.reference
        assert not references.is_bound(token, "anna@example.de", KEYS)
    found = references.find(text)
    assert found is None or references.normal(found) == found
