"""The DNS of our domain as the world sees it: MX, SPF, DKIM, DMARC, and the name of this host with its PTR."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.doctor.finding import Finding, doubt, ok, skipped, wrong
from gateway.replies.sign import SigningKey
from gateway.verify.dkim import tag_list
from gateway.verify.dns import Answer, Resolver

SILENT = "see whether the nameserver is up (dig {name}); correct [dns] nameservers or /etc/resolv.conf"


async def looked(
    domains: Iterable[str], hostname: str, keys: Iterable[SigningKey], resolver: Resolver
) -> AsyncIterator[Finding]:
    """Every look at the DNS; when it does not answer at all, that alone is said."""
    domains = list(dict.fromkeys(domains))
    first = await resolver.lookup(domains[0], "MX")
    if first.failed:
        yield wrong("dns", f"no answer for {domains[0]} ({first.status})", SILENT.format(name=domains[0]))
        return
    yield ok("dns", f"answers for {domains[0]}")
    for domain in domains:
        yield await _mx(domain, resolver)
        yield await _spf(domain, resolver)
        yield await _dmarc(domain, resolver)
    signed = False
    for key in keys:
        signed = True
        yield await _dkim(key, resolver)
    if not signed:
        yield skipped("dkim", "no [[dkim]] key is configured: the relay signs, or nobody does")
    async for finding in _host(hostname, resolver):
        yield finding


def _failed(name: str, asked: str, answer: Answer) -> Finding:
    return wrong(name, f"{asked} cannot be looked up ({answer.status})", SILENT.format(name=asked))


async def _mx(domain: str, resolver: Resolver) -> Finding:
    found = await resolver.lookup(domain, "MX")
    if found.failed:
        return _failed("mx", domain, found)
    hosts = [value.partition(" ")[2].strip(" .") for value in found.values]
    if not any(hosts):
        what = "takes no mail (null MX)" if hosts else "has no MX record"
        return wrong(
            "mx", f"{domain} {what}: nobody can write to us, or bounce our replies", f"publish an MX for {domain}"
        )
    gone = [host for host in hosts if not await _addresses(host, resolver)]
    if gone:
        return wrong(
            "mx", f"the MX {', '.join(gone)} of {domain} has no address", "publish A or AAAA for it, or drop it"
        )
    return ok("mx", f"{domain}: {', '.join(hosts)}")


async def _addresses(host: str, resolver: Resolver) -> list[str]:
    found: list[str] = []
    for kind in ("A", "AAAA"):
        found += (await resolver.lookup(host, kind)).values
    return found


@dataclass(frozen=True, slots=True)
class _Published:
    """A TXT record of which there must be one: of what kind, where, and what is told where there is none."""

    kind: str
    domain: str
    name: str
    missing: Finding

    async def only(self, resolver: Resolver) -> str | Finding:
        """The record, or what is wrong."""
        found = await resolver.lookup(self.name, "TXT")
        if found.failed:
            return _failed(self.kind, self.name, found)
        begins = f"v={self.kind}1"
        records = [value for value in found.values if value.lower().replace(" ", "").startswith(begins)]
        if len(records) > 1:
            many = f"{self.domain} publishes {len(records)} {self.kind.upper()} records, which counts as none"
            return wrong(self.kind, many, "keep one of them")
        return records[0] if records else self.missing


async def _spf(domain: str, resolver: Resolver) -> Finding:
    do = f'publish a TXT record at {domain} that names the relay, such as "v=spf1 mx -all"'
    missing = wrong("spf", f"{domain} publishes no SPF record: our replies look like anybody's", do)
    record = await _Published("spf", domain, domain, missing).only(resolver)
    if isinstance(record, Finding):
        return record
    last = record.split()[-1].lower()
    if last in ("+all", "all"):
        return wrong("spf", f"{domain}: {record} lets everybody send as us", "end it with -all")
    if last == "?all":
        return doubt("spf", f"{domain}: {record} says nothing of others", "end it with -all")
    return ok("spf", f"{domain}: {record}")


async def _dmarc(domain: str, resolver: Resolver) -> Finding:
    name = f"_dmarc.{domain}"
    do = f'publish TXT at {name}: "v=DMARC1; p=none; rua=mailto:postmaster@{domain}", and p=reject later'
    missing = wrong("dmarc", f"{domain} publishes no DMARC record", do)
    record = await _Published("dmarc", domain, name, missing).only(resolver)
    if isinstance(record, Finding):
        return record
    if "p=none" in record.lower().replace(" ", ""):
        return doubt("dmarc", f"{domain}: {record}", "p=quarantine or p=reject keeps others from writing as us")
    return ok("dmarc", f"{domain}: {record}")


def published(key: SigningKey) -> bytes:
    """What the record of a key has to hold in ``p=`` (RFC 6376 section 3.6.1, RFC 8463 section 4.2), decoded."""
    public = key.key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


async def _dkim(key: SigningKey, resolver: Resolver) -> Finding:
    name = f"{key.selector}._domainkey.{key.domain}"
    wanted = published(key)
    kind = "rsa" if isinstance(key.key, rsa.RSAPrivateKey) else "ed25519"
    record = f'publish TXT at {name}: "v=DKIM1; k={kind}; p={base64.b64encode(wanted).decode()}"'
    found = await resolver.lookup(name, "TXT")
    if found.failed:
        return _failed("dkim", name, found)
    if not found.values:
        return wrong("dkim", f"{name} publishes no key: our signatures fail", record)
    for value in found.values:
        tags = tag_list(value.encode("ascii", "replace"))
        try:
            there = base64.b64decode(b"".join(tags.get(b"p", b"").split()), validate=True)
        except ValueError:
            there = b""
        if there == wanted:
            return ok("dkim", f"{name} publishes the key of the key file")
    return wrong("dkim", f"{name} publishes another key than the key file holds: our signatures fail", record)


async def _host(hostname: str, resolver: Resolver) -> AsyncIterator[Finding]:
    addresses = await _addresses(hostname, resolver)
    if not addresses:
        do = f"publish A or AAAA for {hostname}, or set gateway.hostname to a name that is in the DNS"
        yield wrong("ptr", f"our name {hostname} has no address in the DNS", do)
    for address in addresses:
        pointer = ipaddress.ip_address(address).reverse_pointer
        found = await resolver.lookup(pointer, "PTR")
        names = [name.lower().rstrip(".") for name in found.values]
        if hostname.lower().rstrip(".") in names:
            yield ok("ptr", f"{address} is {hostname} both ways")
        else:
            said = f"names {', '.join(names)}" if names else "has no PTR record"
            do = f"let whoever gave you {address} set its PTR to {hostname}"
            yield doubt("ptr", f"{address} of {hostname} {said}: other servers may refuse our mail", do)
