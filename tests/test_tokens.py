"""References and tokens: what a customer may mistype, and what nobody may guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import tokens

KEYS = {"a": b"k" * 32}


@given(st.integers())
def test_a_new_reference_reads_back(_: int) -> None:
    made = tokens.new()
    assert tokens.normal(made) == made
    assert tokens.find(f"Re: Server [{made}]") == made


@pytest.mark.parametrize("spelling", ["T-{}", "t-{}", "Т-{}", "[T-{}]"])
def test_spellings_of_a_reference(spelling: str) -> None:
    body = tokens.new()[2:]
    assert tokens.find(spelling.format(body.lower())) == f"T-{body}"


def test_o_and_l_are_read_as_digits() -> None:
    body = "0" * 6
    reference = f"T-{body}{tokens.check_character(body)}"
    assert tokens.normal("t-" + "oOoOoO" + reference[-1]) == reference


def test_the_check_character_is_the_formula() -> None:
    body = "1A2B3C"
    total = sum(index * tokens.ALPHABET.index(char) for index, char in enumerate(body, 1))
    assert tokens.check_character(body) == tokens.ALPHABET[total % 31]


@pytest.mark.parametrize("text", ["#123456", "T-123", "T-12345678", "T-ABCDEFU", "123456", "T-0000001"])
def test_what_is_no_reference(text: str) -> None:
    assert tokens.find(f"order {text} please") is None


@pytest.mark.fault("X48")
def test_a_token_is_bound_to_its_recipient_only() -> None:
    reference = tokens.new()
    mint = tokens.Mint("support@introserv.com", "introserv.com", "a", KEYS["a"])
    address = mint.address_of(reference, "Anna@example.de")
    assert len(address.partition("@")[0]) <= 64
    for spelling in (address, address.upper()):
        (token,) = tokens.tokens([spelling])
        assert token.reference == reference
        assert tokens.is_bound(token, "anna@EXAMPLE.de", KEYS)
        assert not tokens.is_bound(token, "eve@example.de", KEYS)
        assert not tokens.is_bound(token, "anna@example.de", {"a": b"x" * 32})


@given(st.text(max_size=200))
def test_nothing_raises_on_any_address(text: str) -> None:
    for token in tokens.tokens([text, f"support+{text}@x"]):
        assert tokens.normal(token.reference) == token.reference
        assert not tokens.is_bound(token, "anna@example.de", KEYS)
    found = tokens.find(text)
    assert found is None or tokens.normal(found) == found
