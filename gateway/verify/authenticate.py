"""SPF, DKIM and DMARC put together: one ``Verdict`` for the author of a mail. Reports only; policy decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from gateway.model import Author, AuthorStatus, DkimResult, Envelope, Verdict
from gateway.verify import arc, dkim, dmarc, replay, spf
from gateway.verify.authentication_results import reported_spf
from gateway.verify.dns import Bounded, Resolver


@dataclass(frozen=True, slots=True)
class Checks:
    """What verification needs besides the mail. ``timeout`` is in seconds, for all look-ups of a message."""

    resolver: Resolver
    timeout: float
    evaluate_private: bool
    arc_sealers: frozenset[str] = frozenset()  #: whose ARC seals count, lower-case


def _overall(results: tuple[DkimResult, ...]) -> str:
    names = [result.result for result in results]
    for name in ("pass", "temperror", "fail", "policy", "permerror", "neutral"):
        if name in names:
            return name
    return "none"


def nobody(author: Author) -> Verdict:
    """The verdict when there is no author to prove."""
    reason = f"author {author.status}: {author.reason}"
    return Verdict("none", "", "none", "none", "none", False, None, False, False, False, False, (reason,))


async def authenticate(
    author: Author, envelope: Envelope, raw: bytes | bytearray, header_block: bytes, body_start: int, checks: Checks,
    now: datetime, authserv_id: str | None = None,
) -> Verdict:  # fmt: skip
    """The verdict on one mail that came with this envelope. ``now`` is the clock for signature expiry; ``authserv_id``
    names the host whose Authentication-Results count for this mail, if any does."""
    if author.status is not AuthorStatus.OK or author.address is None:
        return nobody(author)
    resolver = Bounded(checks.resolver, checks.timeout)
    domain = author.address.rpartition("@")[2]
    sender = await spf.check(
        envelope.client, envelope.mail_from, envelope.helo, resolver, checks.evaluate_private, envelope.client_reason
    )
    if authserv_id is not None and envelope.client is None:
        sender = reported_spf(header_block, authserv_id) or sender
    signatures = replay.not_repeated(
        await dkim.verify(raw, header_block, body_start, domain, resolver, now), header_block, now
    )
    unsure = sender.result == "temperror" or any(result.result == "temperror" for result in signatures)
    policy = await dmarc.evaluate(
        domain,
        sender.domain if sender.result == "pass" else None,
        [result.domain for result in signatures if result.result == "pass"],
        unsure,
        resolver,
    )
    chain, vouched = arc.ArcResult("none", "not looked at"), None
    if checks.arc_sealers and policy.result != "pass" and not policy.dkim_aligned:
        chain = await arc.verify(raw, header_block, body_start, checks.arc_sealers, resolver)
        vouched = await _vouched(domain, chain, resolver)
    verdict = _verdict(sender, signatures, policy, unsure, chain, vouched)
    host = await spf.check_helo(envelope.client, envelope.mail_from, envelope.helo, resolver, checks.evaluate_private)
    if host is not None and host.result != "none":
        verdict = replace(verdict, reasons=(*verdict.reasons, f"spf of HELO={host.result} ({host.reason})"))
    if authserv_id is None and b"\nauthentication-results:" in b"\n" + header_block.lower():
        note = "Authentication-Results in the mail are somebody's claim and were ignored"
        verdict = replace(verdict, reasons=(*verdict.reasons, note))
    return verdict


async def _vouched(domain: str, chain: arc.ArcResult, resolver: Resolver) -> str | None:
    """The trusted sealer whose results prove the author's domain, by our own alignment."""
    for sealer, seen in chain.sealed:
        spf_domain = seen.spf[1] if seen.spf and seen.spf[0] == "pass" else None
        policy = await dmarc.evaluate(domain, spf_domain, list(seen.dkim), False, resolver)
        if policy.dkim_aligned or policy.spf_aligned:
            return sealer
    return None


def _verdict(
    sender: spf.SpfResult, signatures: tuple[DkimResult, ...], policy: dmarc.DmarcResult, unsure: bool,
    chain: arc.ArcResult, vouched: str | None,
) -> Verdict:  # fmt: skip
    aligned = bool(policy.dkim_aligned) or policy.spf_aligned
    by: str | None = None
    if policy.result == "pass":
        by = "dmarc"
    elif policy.result == "none" and aligned:
        by = "dkim" if policy.dkim_aligned else "spf"
    elif vouched is not None:
        by = "arc"
    refused = by is None and (policy.result == "fail" or (policy.result == "none" and sender.result == "fail"))
    reasons = [f"spf={sender.result} ({sender.reason})"]
    reasons += [
        f"dkim={result.result} (d={result.domain or '?'}{': ' + result.reason if result.reason else ''})"
        for result in signatures
    ] or ["dkim=none (no signature)"]
    reasons.append(f"dmarc={policy.result} ({policy.reason})")
    if chain.reason != "not looked at":
        reasons.append(f"arc={chain.result} ({chain.reason}{'; it vouches for the author' if vouched else ''})")
    return Verdict(
        spf=sender.result,
        spf_domain=sender.domain,
        dkim=_overall(signatures),
        dmarc=policy.result,
        arc=chain.result,
        authenticated=by is not None,
        by=by,
        weak=by in ("dmarc", "spf") and not policy.dkim_aligned,
        refused=refused and not (unsure and policy.result == "none"),
        enforced=by is None and policy.result == "fail" and policy.policy in ("quarantine", "reject"),
        temperror=by is None and (policy.result == "temperror" or (unsure and policy.result == "none")),
        reasons=tuple(reasons),
        signatures=tuple(result.mark for result in signatures if result.result == "pass"),
        spf_aligned=policy.spf_aligned and sender.result == "pass",
    )
