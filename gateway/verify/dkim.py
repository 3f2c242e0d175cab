"""DKIM (RFC 6376, 8301, 8463): the signatures of a mail, the keys of their domains, and whether they hold.

The fields are found by ``gateway/mail/header.py``, the canonical forms are ``gateway/mail/canonical.py``, the
arithmetic is OpenSSL. What is left to a library is to split tags and to read a key, twenty lines, and no library does
without guards around it: dkimpy checks no key sizes, no l=, no t=s and no From in h=, splits the header its own way,
and some mails keep it busy for minutes. The tests hold its verdicts against ours."""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateway.mail import canonical
from gateway.mail.address import with_a_label
from gateway.mail.canonical import UnknownForm
from gateway.mail.header import RawMail, Written, written_fields
from gateway.model import DkimResult
from gateway.verify.coverage import Coverage, Signed, coverage
from gateway.verify.dmarc import related
from gateway.verify.dns import Resolver

MAX_SEEN = 20
MAX_AMONG = 500  #: signatures among which those of the author's domain are looked for
MAX_CHECKED = 5
MAX_NAMES = 201  #: fields that one signature names
_DOMAIN_TAG = re.compile(rb"(?:^|;)[ \t\r\n]{0,20}d[ \t\r\n]{0,20}=[ \t\r\n]{0,20}([A-Za-z0-9._-]{1,255})")
MIN_BITS, MAX_BITS = 1024, 4096
SLOP = 3600  # seconds of clock difference allowed for t= and x=
INLINE = 64 * 1024
TESTING = "its domain only tests DKIM (t=y): it proves nobody"
NAME = re.compile(
    rb"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
)
_WHITE = re.compile(rb"\s+")
_NEEDED = (b"v", b"a", b"b", b"bh", b"d", b"h", b"s")
_TIME = re.compile(rb"\d{1,12}")
_LENGTH = re.compile(rb"\d{1,76}")
_BASE64 = re.compile(rb"[0-9A-Za-z+/]+={0,2}")
_SIGNATURE = re.compile(rb"((?:^|;)\s*b\s*=)[^;]*")
_SHA256 = utils.Prehashed(hashes.SHA256())


class Refused(Exception):
    """A signature that is not usable; (result, reason)."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result, self.reason = result, reason


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature field whose own tags are in order: its place among the DKIM-Signature fields, d= and s=, and the
    fields that h= names (in small letters)."""

    index: int
    tags: dict[bytes, bytes]
    domain: str
    selector: str
    names: tuple[bytes, ...]

    @property
    def signed_at(self) -> int | None:
        """t=, in seconds since 1970."""
        return int(self.tags[b"t"]) if b"t" in self.tags else None

    @property
    def mark(self) -> str:
        """By which it is known again."""
        return mark_of(self.tags)


def names_in(value: bytes) -> tuple[bytes, ...]:
    """The names in h=, in small letters."""
    return tuple(name.strip().lower() for name in value.split(b":"))


def mark_of(tags: dict[bytes, bytes]) -> str:
    """A digest of b=, however its base64 is written (the last letter holds bits that say nothing). ValueError for
    none."""
    return hashlib.sha256(base64.b64encode(base64.b64decode(_WHITE.sub(b"", tags[b"b"])))).hexdigest()[:40]


def tag_list(value: bytes) -> dict[bytes, bytes]:
    """The tags of a signature header (RFC 6376 section 3.2), at most 16 KiB.

    Raises:
        Refused: it is too long, or no tag list: ``permerror``.
    """
    if len(value) > 16384:
        raise Refused("permerror", "signature header too long")
    tags: dict[bytes, bytes] = {}
    pieces = value.strip().split(b";")
    if not pieces[-1]:
        pieces.pop()
    for piece in pieces:
        name, equals, text = piece.partition(b"=")
        name = name.strip()
        if not equals or not name[:1].isalpha() or name in tags:
            raise Refused("permerror", "signature header is no tag list")
        tags[name] = text.strip()
    return tags


def _checked(index: int, value: bytes, now: datetime) -> Signature:
    """A signature header whose own fields are in order.

    Raises:
        Refused: with the RFC 8601 result.
    """
    tags = tag_list(value)
    for name in _NEEDED:
        if not tags.get(name):
            raise Refused("permerror", f"missing {name.decode()}=")
    if tags[b"a"] not in (b"rsa-sha256", b"ed25519-sha256"):
        raise Refused("neutral", f"algorithm {tags[b'a'][:20].decode('ascii', 'replace')} is not accepted (RFC 8301)")
    for name in (b"d", b"s", b"i"):
        if name in tags and not tags[name].isascii():
            tags[name] = with_a_label(tags[name].decode("utf-8", "replace")).encode()  # RFC 8616 section 5
    domain, selector, names = tags[b"d"], tags[b"s"], names_in(tags[b"h"])
    if not NAME.fullmatch(domain) or not NAME.fullmatch(selector) or b"." not in domain:
        raise Refused("permerror", "d= or s= is no domain name")
    if b"from" not in names:
        raise Refused("permerror", "h= does not sign From")
    if len(names) > MAX_NAMES:
        raise Refused("permerror", "h= is too long")
    _check_times(tags, now.timestamp())
    if wrong := _malformed(tags):
        raise Refused("permerror", wrong)
    return Signature(index, tags, domain.decode().lower(), selector.decode(), names)


def _check_times(tags: dict[bytes, bytes], now: float) -> None:
    """t= and x=, in seconds since 1970. Raises Refused."""
    for name, late in ((b"t", False), (b"x", True)):
        if name not in tags:
            continue
        if not _TIME.fullmatch(tags[name]):
            raise Refused("permerror", f"{name.decode()}= is no time")
        moment = int(tags[name])
        if late and moment < now - SLOP:
            raise Refused("fail", "the signature has expired (x=)")
        if not late and moment > now + SLOP:
            raise Refused("fail", "the signature lies in the future (t=)")
    if b"t" in tags and b"x" in tags and int(tags[b"x"]) < int(tags[b"t"]):
        raise Refused("permerror", "x= is before t=")


def _malformed(tags: dict[bytes, bytes]) -> str:
    """Which of the other tags is none (RFC 6376 section 3.5), or ``""``."""
    if tags[b"v"] != b"1":
        return "v= is not 1"
    if not all(_is_base64(_WHITE.sub(b"", tags[name])) for name in (b"b", b"bh")):
        return "b= or bh= is no base64"
    identity, domain = tags.get(b"i", b"@" + tags[b"d"]).lower(), tags[b"d"].lower()
    if not identity.endswith((b"@" + domain, b"." + domain)):
        return "i= is not of the domain in d="
    if b"l" in tags and not _LENGTH.fullmatch(tags[b"l"]):
        return "l= is no length"
    methods = [method.strip() for method in tags.get(b"q", b"dns/txt").split(b":")]
    return "" if b"dns/txt" in methods else "q= is not dns/txt"


def _is_base64(letters: bytes) -> bool:
    return len(letters) % 4 == 0 and _BASE64.fullmatch(letters) is not None


def key_of(values: Sequence[str], algorithm: bytes, domain: bytes, identity: bytes) -> Key:
    """The key of the one usable record (RFC 6376 section 3.6.1). ``identity``: the domain of i=.

    Raises:
        Refused: there is none.
    """
    records = [value for value in values if re.search(r"(^|;)\s*p\s*=", value)]
    if not records:
        raise Refused("permerror", "no key record")
    if len(records) > 1:
        raise Refused("permerror", "two key records")
    record = records[0].encode("utf-8", "replace")
    tags = tag_list(record)
    if b"v" in tags and tags[b"v"] != b"DKIM1":
        raise Refused("permerror", "the key record is of another version")
    if not tags.get(b"p"):
        raise Refused("permerror", "the key has been revoked")
    if b"h" in tags and b"sha256" not in [name.strip() for name in tags[b"h"].split(b":")]:
        raise Refused("permerror", "the key does not allow sha256")
    services = [name.strip() for name in tags.get(b"s", b"*").split(b":")]
    if b"*" not in services and b"email" not in services:
        raise Refused("permerror", "the key is not for e-mail")
    kind = tags.get(b"k", b"rsa")
    if not algorithm.startswith(kind + b"-"):
        raise Refused("permerror", "the key is of another kind than the signature")
    if b"s" in [flag.strip() for flag in tags.get(b"t", b"").split(b":")] and identity.lower() != domain.lower():
        raise Refused("permerror", "the key allows no subdomain in i= (t=s)")
    found = _public_key(kind, tags[b"p"])
    if isinstance(found, tuple):
        raise Refused(*found)
    return found


def is_testing(values: Sequence[str]) -> bool:
    """Whether a key record says that its domain only tests DKIM (``t=y``): such mail is not to be treated differently
    from unsigned mail (RFC 6376 section 3.6.1), so it proves nobody."""
    found = (re.search(r"(?:^|;)\s*t\s*=([^;]*)", value) for value in values)
    return any("y" in [flag.strip() for flag in match[1].split(":")] for match in found if match)


Key = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@functools.lru_cache(maxsize=1024)
def _public_key(kind: bytes, encoded: bytes) -> Key | tuple[str, str]:
    """The key of a record's ``p=``, or (result, reason) when it is not to be used."""
    if len(encoded) > 2048:
        return "permerror", "the key is too long"
    try:
        content = base64.b64decode(encoded)
        if kind == b"ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(content)
        key = load_der_public_key(content)
    except (UnsupportedAlgorithm, binascii.Error, ValueError, TypeError):
        return "permerror", "the key cannot be read"
    if not isinstance(key, rsa.RSAPublicKey):
        return "permerror", "the key cannot be read"
    if not MIN_BITS <= key.key_size <= MAX_BITS:
        return "policy", f"an RSA key of {key.key_size} bits is not accepted (RFC 8301)"
    if key.public_numbers().e.bit_length() > 64:
        return "policy", "the RSA exponent is too large"
    return key


def _verified(mail: Signed, sig: Signature, key: Key) -> bool:
    """Whether the signature holds; raises Refused for what makes it unusable.

    OpenSSL does the arithmetic.
    """
    try:
        return _holds(mail, sig, key)
    except UnknownForm as error:
        raise Refused("permerror", str(error)) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, binascii.Error, OverflowError) as error:
        raise Refused("permerror", f"cannot be evaluated ({type(error).__name__})") from error


def _holds(mail: Signed, sig: Signature, key: Key) -> bool:
    relaxed_header, relaxed_body = canonical.forms(sig.tags.get(b"c", b"simple"))
    digest, length = canonical.body_digest(mail.raw, mail.body, relaxed_body)
    if b"l" in sig.tags and int(sig.tags[b"l"]) < length:
        raise Refused("policy", "l= leaves a part of the body unsigned")
    if digest != base64.b64decode(_WHITE.sub(b"", sig.tags[b"bh"])):
        raise Refused("fail", "the body was changed")
    signature = mail.fields[mail.places[b"dkim-signature"][sig.index]]
    # one From more than h= names: a second one that nobody signed breaks the signature (RFC 6376 section 8.15)
    signed = header_digest(mail, [*sig.names, b"from"], signature, relaxed_header)
    return holds(key, sig.tags[b"b"], signed)


def header_digest(mail: Signed, names: Sequence[bytes], signature: Written, relaxed: bool) -> bytes:
    """SHA-256 of the fields that h= names (in small letters), from the last one upwards, and of the signature without
    its b= (RFC 6376 sections 3.7, 5.4.2). Only what is signed is canonicalised: a long way through relays costs
    nothing."""
    left = {name: list(mail.places[name]) for name in names if name in mail.places}
    signed = [mail.fields[left[name].pop()] for name in names if left.get(name)]
    digest = hashlib.sha256(b"".join([canonical.field(name, value, relaxed) for name, value in signed]))
    name, value = signature
    digest.update(canonical.field(name, _SIGNATURE.sub(rb"\1", value, count=1), relaxed).removesuffix(b"\r\n"))
    return digest.digest()


def holds(key: Key, encoded: bytes, digest: bytes) -> bool:
    """Whether the base64 signature is this key's over a SHA-256 digest. ValueError when it is no base64."""
    signature = base64.b64decode(_WHITE.sub(b"", encoded))
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, padding.PKCS1v15(), _SHA256)
        else:
            key.verify(signature, digest)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Signatures:
    """The signatures of a mail before any key is asked for: those to be checked, the author's own domain first, and the
    results of all others."""

    mail: Signed
    usable: tuple[Signature, ...]
    refused: tuple[DkimResult, ...]


def signatures(mail: RawMail, author_domain: str, now: datetime) -> Signatures:
    """At most five are to be checked; those that could align with the author's domain go first, so junk hides none."""
    if b"dkim-signature" not in mail.header.lower():
        return Signatures(Signed((), mail.raw, mail.body), (), ())
    fields = written_fields(mail.header)
    if fields is None:
        odd = DkimResult("permerror", "", "", "the header is too large or odd for DKIM")
        return Signatures(Signed((), mail.raw, mail.body), (), (odd,))
    signed = Signed(fields, mail.raw, mail.body)
    values = _nearest(signed.values(b"dkim-signature"), author_domain)
    results: list[DkimResult] = []
    usable: list[Signature] = []
    for index, value in values:
        try:
            usable.append(_checked(index, value, now))
        except Refused as refusal:
            results.append(DkimResult(refusal.result, "", "", refusal.reason))
    usable.sort(key=lambda sig: 0 if sig.domain == author_domain else 2 - related(sig.domain, author_domain))
    results += [
        DkimResult("neutral", sig.domain, sig.selector, "more signatures than are checked")
        for sig in usable[MAX_CHECKED:]
    ]
    return Signatures(signed, tuple(usable[:MAX_CHECKED]), tuple(results))


def _nearest(values: list[bytes], author_domain: str) -> list[tuple[int, bytes]]:
    """(place among all of them, value) of as many as are looked at; where there are more, those that say they are of
    the author's domain first."""
    if len(values) <= MAX_SEEN:
        return list(enumerate(values))
    near = [_is_near(_DOMAIN_TAG.search(value), author_domain) for value in values[:MAX_AMONG]]
    chosen = sorted(range(len(near)), key=lambda index: (not near[index], index))[:MAX_SEEN]
    return [(index, values[index]) for index in sorted(chosen)]


def _is_near(named: re.Match[bytes] | None, author_domain: str) -> bool:
    return named is not None and related(named[1].decode("ascii", "replace").lower().rstrip("."), author_domain)


async def verify(mail: RawMail, author_domain: str, resolver: Resolver, now: datetime) -> tuple[DkimResult, ...]:
    """A result for each DKIM-Signature field, those first whose key need not be asked for (RFC 6376 section 6.1)."""
    found = signatures(mail, author_domain, now)
    return (*found.refused, *[await check(found.mail, sig, resolver, now) for sig in found.usable])


async def check(mail: Signed, sig: Signature, resolver: Resolver, now: datetime) -> DkimResult:
    """The result of one signature, with what it proves when it holds."""
    answer = await resolver.lookup(f"{sig.selector}._domainkey.{sig.domain}", "TXT")
    if answer.failed:
        return DkimResult("temperror", sig.domain, sig.selector, "the key could not be looked up")
    try:
        identity = sig.tags.get(b"i", b"@" + sig.tags[b"d"]).rpartition(b"@")[2]
        key = key_of(answer.values, sig.tags[b"a"], sig.tags[b"d"], identity)
        whole = (mail, sig, key, now)
        covers = _covered(*whole) if len(mail.raw) <= INLINE else await asyncio.to_thread(_covered, *whole)
    except Refused as refusal:
        return DkimResult(refusal.result, sig.domain, sig.selector, refusal.reason)
    if covers is None:
        return DkimResult("fail", sig.domain, sig.selector, "the signature does not match")
    mark, content = (sig.mark, covers.content) if covers.dated else ("", "")
    doubt = covers.doubt or (TESTING if is_testing(answer.values) else "")
    return DkimResult("pass", sig.domain, sig.selector, "", mark, doubt, covers.recipients, covers.threads, content)


def _covered(mail: Signed, sig: Signature, key: Key, now: datetime) -> Coverage | None:
    """What the signature proves, ``None`` where it does not hold."""
    if not _verified(mail, sig, key):
        return None
    return replace(coverage(mail, sig.names, sig.signed_at, now), content=_content_mark(mail, sig))


_TOLD = (b"from", b"subject", b"date")  #: what tells one mail of an author from another, beside its text


def _content_mark(mail: Signed, sig: Signature) -> str:
    """A digest of d=, From, Subject, Date and the text in relaxed form, where all are signed: the same mail under
    another selector, algorithm or h= has the same. Empty where one is not signed, and where Message-ID is: then a copy
    cannot have another."""
    if not set(_TOLD) <= set(sig.names) or b"message-id" in sig.names:
        return ""
    last = [mail.fields[mail.places[name][-1]] for name in _TOLD if name in mail.places]
    fields = [canonical.field(name, value, relaxed=True) for name, value in last]
    if sig.tags.get(b"c", b"").partition(b"/")[2] == b"relaxed":
        body = base64.b64decode(_WHITE.sub(b"", sig.tags[b"bh"]))
    else:
        body, _ = canonical.body_digest(mail.raw, mail.body, relaxed=True)
    digest = hashlib.sha256(b"".join(fields) + body)
    digest.update(sig.domain.encode())
    return digest.hexdigest()[:40]
