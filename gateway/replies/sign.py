"""DKIM signatures on our replies (RFC 6376, 8463): relaxed/relaxed, every singleton field oversigned, by OpenSSL."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils

from gateway.mail import canonical
from gateway.mail.header import RawMail, written_fields

#: at most once in a mail: signed once more than they stand there, so that none can be added (RFC 6376 section 8.15)
_SINGLETONS = (
    "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references",
    "mime-version",
    "content-type", "content-transfer-encoding",
)  # fmt: skip
_SIGNED = (*_SINGLETONS, "auto-submitted", "precedence", "list-id", "list-unsubscribe")
_SHA256 = utils.Prehashed(hashes.SHA256())
MIN_BITS = 2048

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class KeyFault(ValueError):
    """A private key that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and where its public half is published: ``selector._domainkey.domain``."""

    domain: str
    selector: str
    key: PrivateKey


def load_key(domain: str, selector: str, file: Path) -> SigningKey:
    """A key from a PEM file.

    Raises:
        KeyFault: it is no RSA key of 2048 bits or more, and no Ed25519 key.
        OSError: the file cannot be read.
    """
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise KeyFault(f"{file} holds no private key without a password") from error
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < MIN_BITS:
            raise KeyFault(f"{file}: an RSA key of {key.key_size} bits is too short; use {MIN_BITS} or more")
        return SigningKey(domain, selector, key)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return SigningKey(domain, selector, key)
    raise KeyFault(f"{file} is neither an RSA nor an Ed25519 key")


def signed(raw: bytes, keys: Sequence[SigningKey], moment: int) -> bytes:
    """The message with one DKIM-Signature a key on top. ``moment``: seconds since 1970, for t=."""
    mail = RawMail.of(raw)
    fields: dict[str, list[bytes]] = {}
    written = written_fields(mail.header)
    assert written is not None, "a reply of ours with an odd header"
    for field, content in written:
        fields.setdefault(field.decode().lower(), []).append(content)
    names: list[str] = []
    lines: list[bytes] = []
    for name in _SIGNED:
        for value in reversed(fields.get(name, ())):
            names.append(name)
            lines.append(canonical.field(name.encode(), value, relaxed=True))
        if name in _SINGLETONS:
            names.append(name)  # one that is not there: nothing to hash
    covered = hashlib.sha256(b"".join(lines))
    digest = base64.b64encode(canonical.body_digest(raw, mail.body, relaxed=True)[0]).decode()
    heads = [_signature(key, names, digest, covered.copy(), moment) for key in keys]
    return b"".join(heads) + raw


def _signature(key: SigningKey, names: Sequence[str], body_hash: str, covered: hashlib._Hash, moment: int) -> bytes:
    algorithm = "rsa-sha256" if isinstance(key.key, rsa.RSAPrivateKey) else "ed25519-sha256"
    listed = ""
    for start in range(0, len(names), 6):
        listed += ("\r\n " if start else "") + ":".join(names[start : start + 6]) + ":"
    value = (
        f" v=1; a={algorithm}; c=relaxed/relaxed; d={key.domain}; s={key.selector};\r\n t={moment};\r\n"
        f" h={listed.rstrip(':')};\r\n bh={body_hash};\r\n b="
    )
    covered.update(canonical.field(b"dkim-signature", value.encode(), relaxed=True).rstrip())
    if isinstance(key.key, rsa.RSAPrivateKey):
        made = key.key.sign(covered.digest(), padding.PKCS1v15(), _SHA256)
    else:
        made = key.key.sign(covered.digest())
    text = base64.b64encode(made).decode()
    folded = "\r\n ".join(text[start : start + 72] for start in range(0, len(text), 72))
    return f"DKIM-Signature:{value}{folded}\r\n".encode()
