"""``conclude``: the verdict on one mail, from what the checks found and from nothing else. Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model import Author, AuthorStatus, DkimResult, Verdict
from gateway.verify.addressees import Meant, Ours, meant_for
from gateway.verify.arc import ArcResult, Vouch
from gateway.verify.dmarc import DmarcResult
from gateway.verify.spf import SpfResult

_NO_SPF = SpfResult("none", "", "not looked at")
_NO_DMARC = DmarcResult("none", "", "", False, "not looked at")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found out about one mail; each check adds its part.

    ``unsure``: what could have aligned and could not be checked. ``ours``: the desk's addresses, ``None``
    where it is not judged whom a mail was for. ``notes``: more to tell whoever asks why.
    """

    author: Author
    spf: SpfResult = _NO_SPF
    dkim: tuple[DkimResult, ...] = ()
    dmarc: DmarcResult = _NO_DMARC
    arc: ArcResult | None = None
    vouch: Vouch | None = None
    ours: Ours | None = None
    unsure: bool = False
    notes: tuple[str, ...] = ()


def best_first(results: tuple[DkimResult, ...], ours: Ours | None) -> list[DkimResult]:
    """The signatures that hold, those that prove most in front."""
    order = (Meant.US, Meant.UNKNOWN, Meant.OTHERS)
    holding = [result for result in results if result.result == "pass"]
    return sorted(holding, key=lambda one: (bool(one.doubt), order.index(meant_for(one.recipients, ours))))


_UNKNOWN = (
    "the signature covers no To or Cc that names the desk: it proves nobody unless SPF shows the author's own server"
)
_OTHERS = "perhaps a replay: To and Cc name other people only, not us"


def conclude(seen: Evidence) -> Verdict:
    """The verdict. Somebody is proven by DMARC, or by what aligns where there is no record; by DKIM in full when the
    signature covers what is read and names us, by SPF alone weakly, else by a forwarder that we trust."""
    if seen.author.status is not AuthorStatus.OK or seen.author.address is None:
        reason = f"author {seen.author.status}: {seen.author.reason}"
        return Verdict("none", "", "none", "none", "none", False, None, False, False, False, False, (reason,))
    dmarc = seen.dmarc
    sent = dmarc.spf_aligned and seen.spf.result == "pass" and not seen.spf.doubt
    signed, doubt = _signed(seen, sent)
    aligned = bool(dmarc.dkim_aligned) or dmarc.spf_aligned
    by: str | None = None
    if dmarc.result in ("pass", "none") and (signed or sent):
        by = "dmarc" if dmarc.result == "pass" else "dkim" if signed else "spf"
    elif seen.vouch is not None and seen.vouch.proves:
        by = "arc"
    fails = dmarc.result == "fail" or (dmarc.result == "none" and not aligned and seen.spf.result == "fail")
    open_ = dmarc.result == "temperror" or (seen.unsure and dmarc.result in ("none", "pass"))
    return Verdict(
        spf=seen.spf.result,
        spf_domain=seen.spf.domain,
        dkim=_overall(seen.dkim),
        dmarc=dmarc.result,
        arc=seen.arc.result if seen.arc is not None else "none",
        authenticated=by is not None,
        by=by,
        weak=(by in ("dmarc", "spf") and not signed) or (by == "arc" and seen.vouch is not None and seen.vouch.weak),
        refused=by is None and fails and not (open_ and dmarc.result == "none"),
        enforced=by is None and dmarc.result == "fail" and dmarc.policy in ("quarantine", "reject"),
        temperror=by is None and open_,
        reasons=_reasons(seen, doubt),
        signatures=_marks(seen, by),
        spf_aligned=sent,
        threads=any(one.threads for one in seen.dkim if one.result == "pass" and one.mark and not one.doubt),
    )


def _signed(seen: Evidence, sent: bool) -> tuple[bool, str]:
    """(whether a signature proves the author, why the one that aligns does not)."""
    aligning = [one for one in best_first(seen.dkim, seen.ours) if one.domain == seen.dmarc.dkim_aligned]
    if not aligning:
        return False, ""
    best = aligning[0]
    if best.doubt:
        return False, ""  # it stands with its result
    meant = meant_for(best.recipients, seen.ours)
    if meant is Meant.OTHERS:
        return False, _OTHERS
    return (True, "") if meant is Meant.US or sent else (False, _UNKNOWN)


def _marks(seen: Evidence, by: str | None) -> tuple[str, ...]:
    if by == "arc" and seen.vouch is not None:
        return seen.vouch.marks
    marks = [mark for one in seen.dkim if one.result == "pass" for mark in (one.mark, one.content) if mark]
    return tuple(dict.fromkeys(marks))


def _shown(result: DkimResult) -> str:
    """RFC 8601 says ``policy`` of a signature that holds and is not good enough here."""
    return "policy" if result.result == "pass" and result.doubt else result.result


def _overall(results: tuple[DkimResult, ...]) -> str:
    names = [_shown(result) for result in results]
    for name in ("pass", "temperror", "fail", "policy", "permerror", "neutral"):
        if name in names:
            return name
    return "none"


def _reasons(seen: Evidence, doubt: str) -> tuple[str, ...]:
    reasons = [f"spf={seen.spf.result} ({seen.spf.reason})"]
    for one in seen.dkim:
        why = one.reason or one.doubt
        reasons.append(f"dkim={_shown(one)} (d={one.domain or '?'}{': ' + why if why else ''})")
    if not seen.dkim:
        reasons.append("dkim=none (no signature)")
    reasons.append(f"dmarc={seen.dmarc.result} ({seen.dmarc.reason})")
    reasons += [why for why in (seen.spf.doubt, doubt) if why]
    if seen.arc is not None:
        said = f"; {seen.vouch.reason}" if seen.vouch is not None else ""
        reasons.append(f"arc={seen.arc.result} ({seen.arc.reason}{said})")
    return (*reasons, *seen.notes)
