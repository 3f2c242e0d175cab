"""DMARC (RFC 9989): tree walk, ``psd``, ``np``, ``t``, plus the public suffix list as a belt.

RFC 9989 section 4.10 finds the policy by walking up the DNS tree; two identifiers align when their organizational
domains agree and, as a belt, their registrable domains agree too: public suffixes publish records without ``psd=y``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.mail.suffixes import registrable
from gateway.verify.dns import Resolver, Status

_TAG = re.compile(r"\s*([a-zA-Z]{1,20})\s*=\s*([^;]{0,500}?)\s*")


class LookupFailed(Exception):
    """A record could not be looked up: temperror."""


@dataclass(frozen=True, slots=True)
class Record:
    """One DMARC policy record; policies are ``none``, ``quarantine`` or ``reject``."""

    domain: str
    p: str
    sp: str | None
    np: str | None
    adkim: str
    aspf: str
    psd: str
    testing: bool


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """``result`` in RFC 8601 words, the policy that applies, and what aligned."""

    result: str
    policy: str
    dkim_aligned: str
    spf_aligned: bool
    reason: str
    unsure: bool = False  #: something that could align could not be checked


@functools.lru_cache(maxsize=256)  # a record is read once, not for each mail
def parse(domain: str, text: str) -> Record | None:
    """A record, or ``None`` when it is none (RFC 9989 section 4.7)."""
    pieces = text[:4096].split(";")
    if not re.fullmatch(r"\s*v\s*=\s*DMARC1\s*", pieces[0]):
        return None
    tags: dict[str, str] = {}
    for piece in pieces[1:]:
        found = _TAG.fullmatch(piece)
        if found:
            tags.setdefault(found[1].lower(), found[2].lower())
    policies = ("none", "quarantine", "reject")
    p = tags.get("p", "")
    if p not in policies:
        if "rua" not in tags and p:
            return None
        p = "none"
    sp = tags["sp"] if tags.get("sp") in policies else None
    np = tags["np"] if tags.get("np") in policies else None
    psd = tags.get("psd", "u")
    return Record(domain, p, sp, np, tags.get("adkim", "r"), tags.get("aspf", "r"), psd, tags.get("t") == "y")


async def _record_at(domain: str, resolver: Resolver) -> Record | None:
    answer = await resolver.lookup(f"_dmarc.{domain}", "TXT")
    if answer.failed:
        raise LookupFailed(domain)
    records = [text for text in answer.values if re.match(r"\s*v\s*=\s*DMARC1\s*(;|$)", text)]
    return parse(domain, records[0]) if len(records) == 1 else None


async def _walk(domain: str, resolver: Resolver) -> list[Record]:
    """The records from ``domain`` upwards, at most eight look-ups (RFC 9989 section 4.10)."""
    records: list[Record] = []
    labels = domain.split(".")
    while labels:
        record = await _record_at(".".join(labels), resolver)
        if record is not None:
            records.append(record)
            if record.psd in ("y", "n"):
                break
        labels = labels[-7:] if len(labels) > 8 else labels[1:]
    return records


def _organizational(domain: str, records: Sequence[Record]) -> str:
    for record in records:
        if record.psd == "n":
            return record.domain
        if record.psd == "y" and record.domain != domain:
            below = len(record.domain.split(".")) + 1
            return ".".join(domain.split(".")[-below:])
    return records[-1].domain if records else domain


def related(one: str, other: str) -> bool:
    """Whether two names belong to one registrable domain."""
    return one == other or registrable(one) == registrable(other)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain publishes: the records up its tree, the one that applies and what it asks for. ``failed``: the name
    that could not be looked up."""

    author: str
    records: tuple[Record, ...] = ()
    record: Record | None = None
    asks: str = ""
    failed: str = ""

    def could_align(self, domain: str, strict: bool) -> bool:
        """Whether an identifier with this domain could align; if not, whatever becomes of it is nothing to the
        author."""
        return domain == self.author or (not strict and related(domain, self.author))

    @property
    def strict(self) -> tuple[bool, bool]:
        """Whether DKIM and SPF must align strictly (adkim=, aspf=), in this order."""
        return (False, False) if self.record is None else (self.record.adkim == "s", self.record.aspf == "s")


async def policy_of(author: str, resolver: Resolver) -> Policy:
    """What the author's domain publishes, or a domain above it (RFC 9989 section 4.10)."""
    try:
        records = await _walk(author, resolver)
        found = await _applied(author, records, resolver)
    except LookupFailed as failure:
        return Policy(author, failed=str(failure))
    if found is None:
        return Policy(author, tuple(records))
    return Policy(author, tuple(records), *found)


async def _aligns(policy: Policy, domain: str, strict: bool, resolver: Resolver) -> bool | None:
    """Whether an authenticated identifier aligns (RFC 9989 section 4.4); ``None`` when that could not be looked up."""
    if domain == policy.author:
        return True
    if not domain or policy.failed or not policy.could_align(domain, strict):
        return False
    try:
        other = await _walk(domain, resolver)
    except LookupFailed:
        return None
    return _organizational(policy.author, policy.records) == _organizational(domain, other)


async def _applied(author: str, records: list[Record], resolver: Resolver) -> tuple[Record, str] | None:
    if not records:
        return None
    own = next((record for record in records if record.domain == author), None)
    if own is not None:
        chosen, policy = own, own.p
    else:
        organization = _organizational(author, records)
        chosen = next((record for record in records if record.domain == organization), records[-1])
        policy = chosen.sp or chosen.p
        if chosen.np is not None and await _missing(author, resolver):
            policy = chosen.np
    if chosen.testing:
        policy = {"reject": "quarantine", "quarantine": "none"}.get(policy, "none")
    return chosen, policy


async def _missing(domain: str, resolver: Resolver) -> bool:
    """Whether the name does not exist (NXDOMAIN, RFC 8020), or holds nothing that a mail domain holds."""
    for rtype in ("A", "AAAA", "MX", "TXT"):
        answer = await resolver.lookup(domain, rtype)
        if answer.failed:
            raise LookupFailed(domain)
        if answer.status is Status.NXDOMAIN:
            return True
        if any(value.strip() for value in answer.values):
            return False
    return True


async def evaluate(
    policy: Policy, spf_pass: str | None, dkim_passes: list[str], unsure: bool, resolver: Resolver
) -> DmarcResult:
    """DMARC for the author's domain, by what ``policy_of`` found.

    ``spf_pass``: the domain SPF passed for, or ``None``; ``dkim_passes``: d= of good signatures, the first one that
    aligns is named; ``unsure``: SPF or a signature that could align could not be checked, so that a missing pass proves
    nothing.
    """
    author = policy.author
    strict_dkim, strict_spf = policy.strict
    signed = ""
    for domain in dict.fromkeys(dkim_passes):
        aligns = await _aligns(policy, domain, strict_dkim, resolver)
        unsure = unsure or aligns is None
        if aligns:
            signed = domain
            break
    sent = await _aligns(policy, spf_pass, strict_spf, resolver) if spf_pass is not None else False
    unsure, sent = unsure or sent is None, bool(sent)
    if policy.failed:
        return DmarcResult("temperror", "", signed, sent, f"_dmarc.{policy.failed} could not be looked up")
    if policy.record is None:
        return DmarcResult("none", "", signed, sent, f"{author} publishes no DMARC record", unsure)
    if signed or sent:
        by = f"aligned dkim d={signed}" if signed else f"aligned spf {spf_pass}"
        return DmarcResult("pass", policy.asks, signed, sent, f"{author}, {by}", unsure)
    if unsure:
        return DmarcResult("temperror", policy.asks, "", False, "SPF or DKIM could not be checked")
    said = f"nothing aligned; the record at {policy.record.domain} says {policy.asks}"
    return DmarcResult("fail", policy.asks, "", False, said)
