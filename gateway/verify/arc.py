"""ARC (RFC 8617): the chain is validated in full, and believed only where its last sealers are named in the
configuration.

A sealer's word is the Authentication-Results that it sealed: what it says of SPF and DKIM is parsed and aligned here,
like results of our own; that a chain is sound says nothing by itself. The last ARC-Message-Signature must prove what a
DKIM signature must (``coverage.py``): that it covers what is read, names us and is fresh. A seal is put on whatever a
forwarder relays, by whomever it was kept, so without that any mail that a customer ever sent to somebody there would
prove him for ever.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.mail import canonical
from gateway.mail.header import RawMail, Written, written_fields
from gateway.verify import dkim, dmarc
from gateway.verify.addressees import Meant, Ours, meant_for
from gateway.verify.authentication_results import Reported, reported
from gateway.verify.coverage import Signed, coverage
from gateway.verify.dns import Resolver

MAX_SETS = 50
_KINDS = (b"arc-authentication-results", b"arc-message-signature", b"arc-seal")
_INSTANCE = re.compile(rb"(?:^|;)\s*i\s*=\s*(\d{1,2})\s*(?:;|$)")
_B_TAG = re.compile(rb"([;\s]b\s*=|^b\s*=)[^;]*", re.DOTALL)
_WHITE = re.compile(rb"\s+")


@dataclass(frozen=True, slots=True)
class Sealed:
    """What the seals of a sound chain cover: the mail, the fields that the last ARC-Message-Signature names (in small
    letters), every t= in the chain, and the marks by which its seals are known again."""

    mail: Signed
    names: tuple[bytes, ...]
    moments: tuple[int, ...]
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArcResult:
    """``result``: none, pass, fail, permerror or temperror. ``sealed``: (sealer, its results), the last sealer first;
    ``cover``: of a chain that passes."""

    result: str
    reason: str
    sealed: tuple[tuple[str, Reported], ...] = ()
    cover: Sealed | None = None


@dataclass(frozen=True, slots=True)
class Vouch:
    """Whether a trusted sealer proves the author. ``weak``: by SPF, or by a signature that its seal does not cover;
    ``reason``: why, or why not; ``marks``: of everything that was relied on."""

    proves: bool
    weak: bool
    reason: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """On which a seal counts: whose mail it must be for (``None``: not judged), and the clock for its age."""

    ours: Ours | None
    now: datetime


class _Broken(Exception):
    """The chain does not hold; (result, reason)."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result, self.reason = result, reason


def _sets(fields: Sequence[Written]) -> list[dict[bytes, Written]]:
    """The ARC sets in order of their instance; RFC 8617 section 5.2 step 2 and 3A."""
    found: dict[int, dict[bytes, Written]] = {}
    for name, value in fields:
        kind = name.lower()
        if kind not in _KINDS:
            continue
        instance = _INSTANCE.search(value) if kind != _KINDS[0] else _INSTANCE.match(value)
        number = int(instance[1]) if instance else 0
        if not 1 <= number <= MAX_SETS or kind in found.setdefault(number, {}):
            raise _Broken("fail", "a field without a usable i=, or two of one kind")
        found[number][kind] = (name, value)
    if sorted(found) != list(range(1, len(found) + 1)) or any(len(one) != 3 for one in found.values()):
        raise _Broken("fail", "the chain has gaps")
    return [found[number] for number in sorted(found)]


def _tags(field: Written, wanted: Sequence[bytes]) -> dict[bytes, bytes]:
    try:
        tags = dkim.tag_list(field[1])
    except dkim.Refused as refusal:
        raise _Broken("fail", refusal.reason) from refusal
    if any(not tags.get(name) for name in wanted) or tags.get(b"a") not in (b"rsa-sha256", b"ed25519-sha256"):
        raise _Broken("fail", "a tag is missing, or its algorithm is not accepted")
    if not dkim.NAME.fullmatch(tags[b"d"]) or not dkim.NAME.fullmatch(tags[b"s"]):
        raise _Broken("fail", "d= or s= is no domain name")
    return tags


async def _key(tags: dict[bytes, bytes], resolver: Resolver) -> dkim.Key:
    domain = tags[b"d"].decode("ascii", "replace").lower()
    answer = await resolver.lookup(f"{tags[b's'].decode('ascii', 'replace')}._domainkey.{domain}", "TXT")
    if answer.failed:
        raise _Broken("temperror", f"the key of {domain} could not be looked up")
    try:
        return dkim.key_of(answer.values, tags[b"a"], tags[b"d"], tags[b"d"])
    except dkim.Refused as refusal:
        raise _Broken("fail", f"{domain}: {refusal.reason}") from refusal


def _canonical(field: Written) -> bytes:
    return canonical.field(*field, relaxed=True)


def _seal_digests(sets: Sequence[dict[bytes, Written]]) -> list[bytes]:
    """What each set's seal covers: every field of the sets up to it, its own without b= (RFC 8617 section 5.1.1)."""
    digests, before = [], hashlib.sha256()
    for one in sets:
        before.update(_canonical(one[_KINDS[0]]) + _canonical(one[_KINDS[1]]))
        sealed = before.copy()
        name, value = one[_KINDS[2]]
        sealed.update(_canonical((name, _B_TAG.sub(rb"\1", value))).removesuffix(b"\r\n"))
        digests.append(sealed.digest())
        before.update(_canonical(one[_KINDS[2]]))
    return digests


def _message_holds(mail: Signed, field: Written, tags: dict[bytes, bytes], key: dkim.Key) -> bool:
    relaxed_header, relaxed_body = canonical.forms(tags.get(b"c", b"simple"))
    content, _ = canonical.body_digest(mail.raw, mail.body, relaxed_body)
    if b"l" in tags:
        raise _Broken("fail", "l= leaves a part of the body unsigned")
    if content != base64.b64decode(_WHITE.sub(b"", tags[b"bh"])):
        return False
    include = [name.strip().lower() for name in tags[b"h"].split(b":")][:200]
    if b"arc-seal" in include or b"from" not in include:
        raise _Broken("fail", "h= names ARC-Seal, or not From")
    return dkim.holds(key, tags[b"b"], dkim.header_digest(mail, include, field, relaxed_header))


async def verify(mail: RawMail, sealers: frozenset[str], resolver: Resolver) -> ArcResult:
    """The chain of a mail. Where its last sealer is not among ``sealers`` nothing is computed: its word would not
    count."""
    if b"arc-seal" not in mail.header.lower():
        return ArcResult("none", "no chain")
    fields = written_fields(mail.header)
    if fields is None:
        return ArcResult("permerror", "the header is too large or odd")
    try:
        return await _chain(Signed(fields, mail.raw, mail.body), sealers, resolver)
    except _Broken as broken:
        return ArcResult(broken.result, broken.reason)
    except (ValueError, KeyError, IndexError, TypeError, binascii.Error, OverflowError) as error:
        return ArcResult("permerror", f"cannot be evaluated ({type(error).__name__})")


async def _chain(mail: Signed, sealers: frozenset[str], resolver: Resolver) -> ArcResult:
    sets = _sets(mail.fields)
    seals = [_tags(one[b"arc-seal"], (b"a", b"b", b"d", b"s", b"cv")) for one in sets]
    domains = [tags[b"d"].decode("ascii", "replace").lower() for tags in seals]
    if domains[-1] not in sealers:
        return ArcResult("none", f"sealed by {domains[-1][:100]}, which is not in arc_sealers")
    for number, tags in enumerate(seals):
        if tags[b"cv"].lower() != (b"pass" if number else b"none"):
            raise _Broken("fail", "a seal says that the chain was broken before")
        if b"h" in tags:
            raise _Broken("fail", "a seal has h=")
    last = sets[-1]
    message_tags = _tags(last[b"arc-message-signature"], (b"a", b"b", b"bh", b"d", b"h", b"s"))
    key = await _key(message_tags, resolver)
    whole = (mail, last[b"arc-message-signature"], message_tags, key)
    good = _message_holds(*whole) if len(mail.raw) <= dkim.INLINE else await asyncio.to_thread(_message_holds, *whole)
    if not good:
        raise _Broken("fail", "the message was changed after it was sealed")
    for tags, digest in zip(reversed(seals), reversed(_seal_digests(sets)), strict=True):
        if not dkim.holds(await _key(tags, resolver), tags[b"b"], digest):
            raise _Broken("fail", f"the seal of {tags[b'd'][:100].decode('ascii', 'replace')} does not match")
    sealed = []
    for one, domain in zip(reversed(sets), reversed(domains), strict=True):
        if domain not in sealers:
            break  # what came before is the word of somebody whom we do not know
        value = one[b"arc-authentication-results"][1].partition(b";")[2]
        sealed.append((domain, reported(value)))
    moments = [int(tags[b"t"]) for tags in (*seals, message_tags) if re.fullmatch(rb"\d{1,12}", tags.get(b"t", b""))]
    cover = Sealed(
        mail,
        dkim.names_in(message_tags[b"h"]),
        tuple(moments),
        tuple(map(dkim.mark_of, seals)),
    )
    return ArcResult("pass", f"sealed by {', '.join(domain for domain, _ in sealed)}", tuple(sealed), cover)


async def vouched(chain: ArcResult, policy: dmarc.Policy, terms: Terms, resolver: Resolver) -> Vouch | None:
    """Whether the word of a trusted sealer proves the author's domain, by our own alignment; ``None`` without a sound
    chain."""
    cover = chain.cover
    if cover is None:
        return None
    oldest = min(cover.moments, default=None)
    covers = coverage(cover.mail, cover.names, oldest, terms.now)
    doubt = covers.doubt
    if not doubt and oldest is not None and b"date" in cover.names:  # a fresh seal on an old mail
        doubt = coverage(cover.mail, cover.names, None, terms.now).doubt
    if doubt:
        return Vouch(False, False, f"its message signature proves nothing: {doubt}")
    if meant_for(covers.recipients, terms.ours) is not Meant.US:
        return Vouch(False, False, "it proves nothing: its message signature covers no To or Cc that names the desk")
    weak: Vouch | None = None
    for sealer, seen in chain.sealed:
        if policy.author in seen.refused:  # whatever passed there, the sealer itself did not believe the author
            continue
        spf_domain = seen.spf[1] if seen.spf and seen.spf[0] == "pass" else None
        found = await dmarc.evaluate(policy, spf_domain, list(seen.dkim), False, resolver)
        full = _original(cover, found.dkim_aligned, terms) if found.dkim_aligned else None
        if full is not None and full.proves and not full.weak:
            return full
        if (full is not None and full.proves) or found.spf_aligned:
            weak = weak or Vouch(
                True, True, f"it vouches for the author, weakly: what {sealer} saw of SPF", cover.marks
            )
    return weak or Vouch(False, False, "no sealer saw the author proven")


def _original(cover: Sealed, domain: str, terms: Terms) -> Vouch:
    """What it proves that a sealer saw a signature of the author's domain pass. The text of that signature says what it
    covered, if the seal covers the text: else somebody may have taken it away, or put another one there."""
    texts = cover.mail.values(b"dkim-signature")
    marks = list(cover.marks)
    if not 0 < cover.names.count(b"dkim-signature") >= len(texts):
        return Vouch(True, True, "", cover.marks)
    doubts = []
    for text in texts:
        try:
            tags = dkim.tag_list(text)
            if tags[b"d"].decode("ascii", "replace").lower() != domain:
                continue
            signed_at = int(tags[b"t"]) if re.fullmatch(rb"\d{1,12}", tags.get(b"t", b"")) else None
            covers = coverage(cover.mail, dkim.names_in(tags[b"h"]), signed_at, terms.now)
            marks.append(dkim.mark_of(tags))
        except (dkim.Refused, KeyError, ValueError):
            doubts.append("it cannot be read")
            continue
        for_us = meant_for(covers.recipients, terms.ours) is Meant.US
        doubts.append(covers.doubt or ("" if for_us else "it covers no To or Cc that names the desk"))
    doubt = next(filter(None, doubts), "")  # which of two the sealer saw pass its word does not say
    if doubt:
        return Vouch(False, False, doubt)
    return Vouch(True, False, "it vouches for the author", tuple(marks))
