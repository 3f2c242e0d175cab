"""DMARC (RFC 9989): tree walk, ``psd``, ``np``, ``t``, plus the public suffix list as a belt.

RFC 9989 section 4.10 finds the policy by walking up the DNS tree; two identifiers align when their organizational
domains agree and, as a belt, their registrable domains agree too: public suffixes publish records without ``psd=y``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.mailbox import registrable
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


def _organizational(domain: str, records: list[Record]) -> str:
    for record in records:
        if record.psd == "n":
            return record.domain
        if record.psd == "y" and record.domain != domain:
            below = len(record.domain.split(".")) + 1
            return ".".join(domain.split(".")[-below:])
    return records[-1].domain if records else domain


async def aligned(
    author: str, other: str, strict: bool, resolver: Resolver, records: list[Record] | None = None
) -> bool:
    """Whether an authenticated identifier aligns with the author's domain (RFC 9989 section 4.4)."""
    if author == other:
        return True
    if strict or not other or registrable(author) != registrable(other):
        return False
    mine = records if records is not None else await _walk(author, resolver)
    return _organizational(author, mine) == _organizational(other, await _walk(other, resolver))


async def _policy(author: str, records: list[Record], resolver: Resolver) -> tuple[Record, str] | None:
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
    author: str, spf_pass: str | None, dkim_passes: list[str], unsure: bool, resolver: Resolver
) -> DmarcResult:
    """DMARC for the author's domain.

    ``spf_pass``: the domain SPF passed for, or ``None``; ``dkim_passes``: d= of good signatures; ``unsure``: SPF or a
    signature could not be checked, so that a missing pass proves nothing.
    """
    try:
        records = await _walk(author, resolver)
        found = await _policy(author, records, resolver)
        strict_dkim = found is not None and found[0].adkim == "s"
        strict_spf = found is not None and found[0].aspf == "s"
        signed = ""
        for domain in dict.fromkeys(dkim_passes):
            if await aligned(author, domain, strict_dkim, resolver, records):
                signed = domain
                break
        sent = spf_pass is not None and await aligned(author, spf_pass, strict_spf, resolver, records)
    except LookupFailed as failure:
        signed = next((domain for domain in dkim_passes if domain == author), "")
        return DmarcResult("temperror", "", signed, spf_pass == author, f"_dmarc.{failure} could not be looked up")
    if found is None:
        return DmarcResult("none", "", signed, sent, f"{author} publishes no DMARC record")
    record, policy = found
    if signed or sent:
        by = f"aligned dkim d={signed}" if signed else f"aligned spf {spf_pass}"
        return DmarcResult("pass", policy, signed, sent, f"{author}, {by}")
    if unsure:
        return DmarcResult("temperror", policy, "", False, "SPF or DKIM could not be checked")
    return DmarcResult("fail", policy, "", False, f"nothing aligned; the record at {record.domain} says {policy}")
