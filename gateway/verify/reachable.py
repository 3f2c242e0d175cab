"""Whether a domain takes mail at all: a reply to one that does not exist, or says that it takes none, goes to nobody or
comes back (RFC 5321 section 5.1, RFC 7505). Null MX is asked for everybody. That a domain is not there, or has no host
for mail, counts only for authors without proof: a domain that has just proved itself is there, and its customer is
answered."""

from __future__ import annotations

import re

from gateway.verify.dns import Resolver, Status

_LOCAL = re.compile(r"(?i)(?:^|\.)(?:localhost|localdomain|invalid)\.?$")


async def why_not(domain: str, resolver: Resolver, proven: bool) -> str:
    """Why mail for this domain reaches nobody, or ``""``, also where the look-ups failed. ``proven``: the author is
    authenticated."""
    if "." not in domain or _LOCAL.search(domain):
        return f"mail for {domain} leaves no host (RFC 6761)"
    found = await resolver.lookup(domain, "MX")
    if found.status is Status.NXDOMAIN:
        return "" if proven else "its domain does not exist"
    if found.failed:
        return ""
    hosts = [value.partition(" ")[2].strip(" .") for value in found.values]
    if hosts and all(_LOCAL.search(host) for host in hosts if host) and any(hosts):
        return "its domain takes no mail (its MX is localhost)"
    if any(hosts):
        return ""
    if hosts:
        return "its domain takes no mail (null MX)"
    if proven:
        return ""
    for rtype in ("A", "AAAA"):  # without MX the domain itself is the host
        found = await resolver.lookup(domain, rtype)
        if found.values or found.failed:
            return ""
    return "its domain takes no mail (neither MX nor address)"
