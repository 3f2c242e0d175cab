"""The id in our 250: eight letters that name one acceptance, and that only we can read.

A row number would tell everybody how much mail comes, and that a copy came before. So the number is encrypted: a
Feistel network of four rounds over 40 bits with a keyed hash, read back without a table. The lowest bit tells an
arrival from a mail.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH, _HALF = 8, (1 << 20) - 1
_READ = str.maketrans({"O": "0", "I": "1", "L": "1"})


def _round(key: bytes, number: int, half: int) -> int:
    mixed = blake2b(bytes((number,)) + half.to_bytes(3, "big"), digest_size=3, key=key[:64], person=b"receipt")
    return int.from_bytes(mixed.digest(), "big") & _HALF


def receipt(key: bytes, row: int, arrival: bool = False) -> str:
    """The id of a mail (or of one more arrival of a mail). ``row``: its number, below 2**39."""
    value = row << 1 | arrival
    left, right = value >> 20 & _HALF, value & _HALF
    for number in range(4):
        left, right = right, left ^ _round(key, number, right)
    value = left << 20 | right
    return "".join(ALPHABET[value >> shift & 31] for shift in range(35, -1, -5))


def rows(keys: Iterable[bytes], text: str) -> list[tuple[int, bool]]:
    """(row number, whether it is an arrival) of a receipt, one for each key it may be made with; none when it is no
    receipt."""
    text = text.strip().upper().translate(_READ)
    if len(text) != LENGTH or any(letter not in ALPHABET for letter in text):
        return []
    value = 0
    for letter in text:
        value = value << 5 | ALPHABET.index(letter)
    return [_opened(key, value) for key in keys]


def _opened(key: bytes, value: int) -> tuple[int, bool]:
    left, right = value >> 20 & _HALF, value & _HALF
    for number in reversed(range(4)):
        left, right = right ^ _round(key, number, left), left
    whole = left << 20 | right
    return whole >> 1, bool(whole & 1)
