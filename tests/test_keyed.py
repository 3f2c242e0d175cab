"""Our HMACs are those of RFC 2104, and those of every release before."""

from __future__ import annotations

import hmac

import pytest

from gateway.mail import keyed


@pytest.mark.parametrize("secret", [b"", b"k", b"x" * 64, b"x" * 65, bytes(range(200))])
@pytest.mark.parametrize("text", ["", "id\nabc.reply", "ü" * 500])
def test_it_is_the_hmac_of_the_standard_library(secret: bytes, text: str) -> None:
    for _ in range(2):  # the second time the key is known
        assert keyed.digest(secret, text) == hmac.digest(secret, text.encode(), "sha256")


def test_a_tag_is_the_beginning_in_base32() -> None:
    assert keyed.tag(b"secret", "loop\na@b", 26) == "xhvdmojj3cwyyb7ppzcgkroc6o"
