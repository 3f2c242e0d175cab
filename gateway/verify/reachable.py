"""Whether a domain takes mail at all: a reply to one that does not exist, or says that it takes none, goes to nobody or comes
back (RFC 5321 section 5.1, RFC 7505). Everybody is asked, whatever he has proved."""

from __future__ import annotations

from gateway.verify.dns import Resolver, Status


async def why_not(domain: str, resolver: Resolver) -> str:
    """Why mail for this domain reaches nobody, or ``""``, also where the look-ups failed."""
    found = await resolver.lookup(domain, "MX")
    if found.status is Status.NXDOMAIN:
        return "its domain does not exist"
    if found.failed:
        return ""
    hosts = [value.partition(" ")[2].strip(" .") for value in found.values]
    if any(hosts):
        return ""
    if hosts:
        return "its domain takes no mail (null MX)"
    for rtype in ("A", "AAAA"):  # without MX the domain itself is the host
        found = await resolver.lookup(domain, rtype)
        if found.values or found.failed:
            return ""
    return "its domain takes no mail (neither MX nor address)"
