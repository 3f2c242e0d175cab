"""Passwords (argon2id, RFC 9106) and the second factor (TOTP, RFC 6238)."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import secrets
import struct
from datetime import datetime
from urllib.parse import quote

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

STEP_S = 30
DIGITS = 6
DRIFT = 1  #: steps that a phone's clock may be off
SHORTEST = 12  #: characters of a password
LONGEST = 256

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@functools.cache
def _nobody() -> str:
    """What a name that does not exist is compared with, so that it takes as long as one that does."""
    return _HASHER.hash(secrets.token_urlsafe(16))


def hashed(password: str) -> str:
    """The Argon2id hash by which a password is kept."""
    return _HASHER.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the password; takes as long where there is none."""
    try:
        return _HASHER.verify(kept or _nobody(), password[:LONGEST]) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def fault(password: str, name: str) -> str:
    """What is wrong with a new password, or nothing."""
    if len(password) < SHORTEST:
        return f"The password needs at least {SHORTEST} characters."
    if len(password) > LONGEST:
        return f"The password may have at most {LONGEST} characters."
    if (len(name) > 3 and name.lower() in password.lower()) or len(set(password)) < 5:
        return "This password is too easy to guess."
    return ""


def new_secret() -> str:
    """A shared secret of 160 bits (RFC 4226 section 4), base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code(secret: str, step: int) -> str:
    """The code of a step (RFC 4226 section 5.3)."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    start = mac[-1] & 15
    number = struct.unpack(">I", mac[start : start + 4])[0] & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def step_of(secret: str, given: str, now: datetime) -> int | None:
    """The step whose code was given, or ``None``. The caller sees to it that no step is used twice."""
    given = "".join(given.split())
    current = int(now.timestamp()) // STEP_S
    found = None
    for step in range(current - DRIFT, current + DRIFT + 1):
        if hmac.compare_digest(code(secret, step).encode(), given.encode()):
            found = step
    return found


def uri(secret: str, name: str, issuer: str) -> str:
    """What the QR code says to an authenticator application."""
    label = quote(f"{issuer}:{name}")
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer)}"
