"""SPF, DKIM, DMARC and ARC put together: the evidence on the author of one mail, and the verdict on it. Policy
decides."""

from __future__ import annotations

import functools
import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, date

from gateway.mail.header import RawMail, named
from gateway.model import Author, AuthorStatus, DkimResult, Envelope, Verdict
from gateway.verify import arc, dkim, dmarc, spf
from gateway.verify.addressees import Ours
from gateway.verify.authentication_results import reported_spf
from gateway.verify.conclude import Evidence, best_first, conclude
from gateway.verify.coverage import Signed
from gateway.verify.dns import Bounded, Resolver


@dataclass(frozen=True, slots=True)
class Checks:
    """What verification needs besides the mail.

    ``timeout``: seconds for all look-ups of a mail but the author's DMARC record, which has half as much of its own.
    ``ours``: the desk's addresses; ``None``: it is not judged whom a mail was for.
    """

    resolver: Resolver
    timeout: float
    evaluate_private: bool
    arc_sealers: frozenset[str] = frozenset()  #: whose ARC seals count, lower-case
    ours: Ours | None = None
    #: draws the addresses by which an SPF record that passes everybody is known; without one of ours: this process's
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


def nobody(author: Author) -> Verdict:
    """The verdict when there is no author to prove."""
    return conclude(Evidence(author))


async def authenticate(
    author: Author, envelope: Envelope, mail: RawMail, checks: Checks, authserv_id: str | None = None
) -> Verdict:
    """The verdict on one mail that came with this envelope, at the moment of its receipt: by that clock signatures
    expire. ``authserv_id`` names the host whose Authentication-Results count for this mail, if any does.

    The author's own record is asked first and has time of its own, then whatever could align with it, at last what a
    stranger chose (his MAIL FROM, his d=): no name server of his takes the time of what counts, and what becomes of his
    names can neither prove nor spoil.
    """
    if author.status is not AuthorStatus.OK or author.address is None:
        return nobody(author)
    domain, now = author.address.rpartition("@")[2], envelope.received_at
    policy = await dmarc.policy_of(domain, Bounded(checks.resolver, checks.timeout / 2))
    look = _Look(envelope, checks, policy, Bounded(checks.resolver, checks.timeout))
    found = dkim.signatures(mail, domain, now)
    strict_dkim, strict_spf = policy.strict
    near = [sig for sig in found.usable if policy.could_align(sig.domain, strict_dkim)]
    far = [sig for sig in found.usable if sig not in near]
    reported = reported_spf(mail.header, authserv_id) if authserv_id is not None and envelope.client is None else None
    may_send = policy.could_align(spf.domain_of(envelope.mail_from, envelope.helo), strict_spf)
    signed = await look.dkim(found.mail, near)
    sender = reported or (await look.spf() if may_send else spf.SpfResult("none", "", ""))
    seen = await look.judged(Evidence(author, sender, signed, ours=checks.ours))
    if checks.arc_sealers and not conclude(seen).authenticated:
        chain = await arc.verify(mail, checks.arc_sealers, look.resolver)
        vouch = await arc.vouched(chain, policy, arc.Terms(checks.ours, now), look.resolver)
        seen = replace(seen, arc=chain, vouch=vouch)
    # a stranger's signature may stand on any mail that he got: by it no two mails are one
    strange = tuple(replace(one, mark="", threads=False) for one in await look.dkim(found.mail, far))
    if reported is None and not may_send:
        seen = replace(seen, spf=await look.spf())
    notes = await look.notes(mail.header, authserv_id)
    return conclude(replace(seen, dkim=(*found.refused, *seen.dkim, *strange), notes=notes))


@functools.lru_cache(maxsize=4)
def _seed(secret: bytes, day: date) -> bytes:
    """Of a day, so that the same mail is judged alike at a recheck."""
    return hmac.digest(secret, day.isoformat().encode(), "sha256")


@dataclass(frozen=True, slots=True)
class _Look:
    """The checks of one mail, within its time."""

    envelope: Envelope
    checks: Checks
    policy: dmarc.Policy
    resolver: Resolver

    @property
    def _sender(self) -> spf.Sender:
        seed = _seed(self.checks.secret, self.envelope.received_at.astimezone(UTC).date())
        return spf.Sender(self.envelope.client, self.envelope.mail_from, self.envelope.helo, seed)

    async def spf(self) -> spf.SpfResult:
        why = self.envelope.client_reason
        return await spf.check(self._sender, self.resolver, self.checks.evaluate_private, why)

    async def dkim(self, mail: Signed, some: list[dkim.Signature]) -> tuple[DkimResult, ...]:
        return tuple([await dkim.check(mail, sig, self.resolver, self.envelope.received_at) for sig in some])

    async def judged(self, seen: Evidence) -> Evidence:
        """With DMARC, and what is to be doubted of SPF."""
        sent_near = self.policy.could_align(seen.spf.domain, self.policy.strict[1])
        unsure = (sent_near and seen.spf.result == "temperror") or any(one.result == "temperror" for one in seen.dkim)
        result = await dmarc.evaluate(
            self.policy,
            seen.spf.domain if seen.spf.result == "pass" else None,
            [one.domain for one in best_first(seen.dkim, seen.ours)],
            unsure,
            self.resolver,
        )
        seen = replace(seen, dmarc=result, unsure=unsure or result.unsure)
        if result.spf_aligned:
            doubt = await spf.lets_everybody(seen.spf.domain, self.envelope, self.resolver) or seen.spf.doubt
            seen = replace(seen, spf=replace(seen.spf, doubt=doubt))
        return seen

    async def notes(self, header_block: bytes, authserv_id: str | None) -> tuple[str, ...]:
        notes = []
        host = await spf.check_helo(self._sender, self.resolver, self.checks.evaluate_private)
        if host is not None and host.result != "none":
            notes.append(f"spf of HELO={host.result} ({host.reason})")
        if authserv_id is None and any(named(header_block, b"authentication-results")):
            notes.append("Authentication-Results in the mail are somebody's claim and were ignored")
        return tuple(notes)
