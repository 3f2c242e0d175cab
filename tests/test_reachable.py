"""Nothing goes to domains that do not exist or take no mail, whoever asks (RFC 7505)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.demo import ZONE
from gateway.verify.dns import ZoneResolver
from gateway.verify.reachable import why_not
from tests.peers.harness import LoopbackPeers, Running, until

DOMAINS: dict[str, tuple[Any, str]] = {
    "mx.example": ({"MX": [[10, "mx.elsewhere.example"]]}, ""),
    "host.example": ({"A": ["192.0.2.1"]}, ""),
    "six.example": ({"AAAA": ["2001:db8::1"]}, ""),
    "null.example": ({"MX": [[0, "."]], "A": ["192.0.2.1"]}, "its domain takes no mail (null MX)"),
    "text.example": ({"TXT": ["some words"]}, "its domain takes no mail (neither MX nor address)"),
    "above.example": (None, "its domain takes no mail (neither MX nor address)"),  # only names below it
    "below.above.example": ({"A": ["192.0.2.1"]}, ""),
    "here.example": ({"MX": [[10, "localhost"]]}, "its domain takes no mail (its MX is localhost)"),
    "localhost": ({"A": ["127.0.0.1"]}, "mail for localhost leaves no host (RFC 6761)"),
    "none.example": (None, "its domain does not exist"),
    "slow.example": ("TIMEOUT", ""),
    "broken.example": ("SERVFAIL", ""),
    "half.example": ({"*": "TIMEOUT", "MX": []}, ""),
}


@pytest.mark.parametrize("domain", DOMAINS)
def test_which_domains_take_mail(domain: str) -> None:
    zone = {name: entry for name, (entry, _) in DOMAINS.items() if entry is not None}
    why = DOMAINS[domain][1]
    assert asyncio.run(why_not(domain, ZoneResolver(zone), proven=False)) == why
    proven = asyncio.run(why_not(domain, ZoneResolver(zone), proven=True))
    assert proven == (why if "null MX" in why or "localhost" in why else ""), "a domain that has proved itself is there"


def test_everybody_is_asked_and_the_reason_is_stored(tmp_path: Any) -> None:
    """Without any proof too: until now null MX was asked only for who was authenticated."""
    zone = ZONE | {name: entry for name, (entry, _) in DOMAINS.items() if isinstance(entry, dict)}
    peers = LoopbackPeers(zone=zone)
    daemon = Running(tmp_path, peers)
    try:
        for number, domain in enumerate(("null.example", "text.example", "none.example", "mx.example")):
            author = f"ann@{domain}"
            raw = f"From: {author}\r\nSubject: {number}\r\nMessage-ID: <{number}@x>\r\n\r\nHello, do you offer servers?\r\n"
            assert daemon.send(raw.encode(), author)[0] == 250
            until(lambda number=number: len(daemon.named("decided")) > number, 30)  # type: ignore[misc]
            event = daemon.named("decided")[-1]
            assert event["disposition"] == "opened"
            shown = daemon.command("tickets", "show", event["ticket"]).stdout
            why = DOMAINS[domain][1]
            assert (f"no reply: {why}" in shown) if why else (event["reply"] == "received_general")
        daemon.settled()
        assert [taken.rcpt_tos for taken in peers.taken] == [("ann@mx.example",)]
    finally:
        daemon.stop()
        peers.close()
