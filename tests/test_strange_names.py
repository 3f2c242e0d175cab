"""What a stranger's name servers do to a mail in somebody else's name: nothing. Only what could align counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.mail.header import RawMail
from gateway.model import Envelope
from gateway.read.author import author_of
from gateway.verify import spf
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.dns import Answer, Status, ZoneResolver
from tests.signing import ELSEWHERE, OURS, OWN, ZONE, judged, mail, verdict_of, with_signature

UNSIGNED = mail()
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def strangers(*domains: str) -> bytes:
    """A mail in the customer's name, signed for these domains."""
    raw = UNSIGNED
    for domain in domains:
        raw = with_signature(raw, domain=domain)
    return raw


def at(**entries: Any) -> dict[str, Any]:
    """The zone with these names, ``__`` for a dot."""
    return ZONE | {name.replace("__", "."): entry for name, entry in entries.items()}


@pytest.mark.parametrize("failure", ["SERVFAIL", "TIMEOUT"])
@pytest.mark.parametrize(
    ("raw", "mail_from", "broken"),
    [
        (UNSIGNED, "eve@evil.example", "evil.example"),
        (UNSIGNED, "eve@mail.evil.example", "mail.evil.example"),
        (UNSIGNED, "eve@shop.example.evil.example", "shop.example.evil.example"),
        (strangers("evil.example"), "eve@evil.example", "s._domainkey.evil.example"),
        (strangers(*["evil.example"] * 5), "eve@evil.example", "s._domainkey.evil.example"),
        (strangers("xshop.example"), "eve@evil.example", "s._domainkey.xshop.example"),
    ],
)
def test_a_failing_name_of_a_stranger_does_not_switch_reject_off(
    raw: bytes, mail_from: str, broken: str, failure: str
) -> None:
    found = judged(raw, mail_from=mail_from, zone=ZONE | {broken: failure})
    assert (found.dmarc, found.enforced, found.temperror) == ("fail", True, False), found.reasons


def test_nor_does_his_helo_under_a_null_sender() -> None:
    found = asyncio.run(verdict_of(UNSIGNED, mail_from="", zone=ZONE | {"mx.example": "SERVFAIL"}))
    assert (found.dmarc, found.enforced, found.temperror) == ("fail", True, False)


@pytest.mark.parametrize(
    ("raw", "mail_from", "broken"),
    [
        (UNSIGNED, "ops@shop.example", "shop.example"),
        (UNSIGNED, "ops@bounces.shop.example", "bounces.shop.example"),
        (strangers("shop.example"), "eve@evil.example", "s._domainkey.shop.example"),
        (strangers("mail.shop.example"), "eve@evil.example", "s._domainkey.mail.shop.example"),
        (UNSIGNED, "eve@evil.example", "_dmarc.shop.example"),
    ],
)
def test_what_could_align_and_cannot_be_asked_is_looked_at_again(raw: bytes, mail_from: str, broken: str) -> None:
    found = judged(raw, mail_from=mail_from, zone=ZONE | {broken: "SERVFAIL"})
    assert (found.dmarc, found.enforced, found.temperror) == ("temperror", False, True)


@pytest.mark.parametrize(("mail_from", "enforced"), [("eve@evil.example", True), ("ops@shop.example", False)])
def test_the_same_holds_for_what_the_relay_in_front_reports(mail_from: str, enforced: bool) -> None:
    from gateway.mail.header import RawMail
    from gateway.model import Envelope
    from gateway.read.author import author_of
    from gateway.verify.authenticate import Checks, authenticate
    from tests.signing import NOW, OURS

    raw = f"Authentication-Results: mx.ours.example; spf=temperror smtp.mailfrom={mail_from}\r\n".encode() + UNSIGNED
    whole = RawMail.of(raw)
    checks = Checks(ZoneResolver(ZONE), 10, False, frozenset(), OURS)
    envelope = Envelope(mail_from, (), None, None, "smtp", NOW)
    found = asyncio.run(authenticate(author_of(whole.header), envelope, whole, checks, "mx.ours.example"))
    assert (found.spf, found.enforced, found.temperror) == ("temperror", enforced, not enforced)


def test_what_a_strict_policy_does_not_let_align_is_strange_too() -> None:
    zone = ZONE | {"_dmarc.shop.example": {"TXT": ["v=DMARC1; p=reject; adkim=s; aspf=s"]}}
    for raw, mail_from, broken in (
        (strangers("mail.shop.example"), "eve@evil.example", "s._domainkey.mail.shop.example"),
        (UNSIGNED, "eve@mail.shop.example", "mail.shop.example"),
    ):
        assert judged(raw, mail_from=mail_from, zone=zone | {broken: "SERVFAIL"}).enforced


def test_a_neighbour_below_the_same_public_suffix_is_a_stranger() -> None:
    raw = with_signature(mail().replace(b"ops@shop.example", b"ops@shop.co.uk"), domain="evil.co.uk")
    zone = {"_dmarc.shop.co.uk": {"TXT": ["v=DMARC1; p=reject"]}, "s._domainkey.evil.co.uk": "SERVFAIL", "evil.co.uk": "SERVFAIL"}  # fmt: skip
    assert judged(raw, mail_from="eve@evil.co.uk", zone=zone).enforced


@pytest.mark.parametrize("record", [{}, {"_dmarc.shop.example": {"TXT": ["v=DMARC1; p=none"]}}])
def test_without_a_policy_a_stranger_makes_nothing_unsure_either(record: dict[str, Any]) -> None:
    zone = (
        {name: entry for name, entry in ZONE.items() if not name.startswith("_dmarc")}
        | record
        | {"evil.example": "SERVFAIL"}
    )
    found = judged(UNSIGNED, zone=zone)
    assert (found.authenticated, found.temperror, found.spf) == (False, False, "temperror")


class Slow:
    """A zone in which some names never answer; it keeps what was asked, in order."""

    def __init__(self, zone: dict[str, Any], silent: Callable[[str], bool]) -> None:
        self._zone, self._silent, self.asked = ZoneResolver(zone), silent, list[str]()

    async def lookup(self, name: str, rtype: str) -> Answer:
        self.asked.append(name)
        if self._silent(name):
            await asyncio.Event().wait()
        return await self._zone.lookup(name, rtype)


def _strange(name: str) -> bool:
    return name.endswith("evil.example")


async def _slowly(raw: bytes, resolver: Slow) -> Any:
    from gateway.mail.header import RawMail
    from gateway.model import Envelope
    from gateway.read.author import author_of
    from gateway.verify.authenticate import Checks, authenticate
    from tests.signing import ELSEWHERE, NOW, OURS

    whole = RawMail.of(raw)
    envelope = Envelope("eve@evil.example", (), ELSEWHERE, "mx.evil.example", "smtp", NOW)
    checks = Checks(resolver, 0.5, False, frozenset(), OURS)
    return await authenticate(author_of(whole.header), envelope, whole, checks)


def test_the_author_s_record_is_asked_first_and_a_stranger_s_names_last() -> None:
    resolver = Slow(ZONE, _strange)
    raw = strangers("shop.example", *["evil.example"] * 3)
    found = asyncio.run(_slowly(raw, resolver))
    assert (found.dmarc, found.by) == ("pass", "dmarc"), found.reasons
    assert resolver.asked[0] == "_dmarc.shop.example"
    own = resolver.asked.index("s._domainkey.shop.example")
    assert own < min(number for number, name in enumerate(resolver.asked) if _strange(name))
    found = asyncio.run(_slowly(strangers(*["evil.example"] * 5), Slow(ZONE, _strange)))
    assert (found.dmarc, found.enforced, found.temperror) == ("fail", True, False)


def test_a_record_that_takes_all_its_time_leaves_the_rest_its_own() -> None:
    found = asyncio.run(_slowly(strangers("shop.example"), Slow(ZONE, lambda name: name.startswith("_dmarc"))))
    assert (found.dkim, found.dmarc, found.temperror) == ("pass", "temperror", True)


class Half:
    """Every other address has the name that an SPF record asks for; it keeps whose was asked."""

    def __init__(self) -> None:
        self._zone = ZoneResolver(ZONE | {"shop.example": {"TXT": ["v=spf1 exists:%{i}.half.example -all"]}})
        self.asked: list[str] = []

    async def lookup(self, name: str, rtype: str) -> Answer:
        if not name.endswith(".half.example"):
            return await self._zone.lookup(name, rtype)
        self.asked.append(name)
        there = int(name.split(".")[2]) % 2 == 1  # the client is there, and 240.0.0.1 is not
        return Answer(Status.NOERROR, ("127.0.0.2",)) if there else Answer(Status.NXDOMAIN)


def test_whether_a_record_passes_half_of_all_addresses_is_judged_alike_at_every_look() -> None:
    def looked(secret: bytes, at: datetime = NOON) -> tuple[list[str], bool]:
        raw, resolver = RawMail.of(UNSIGNED), Half()
        envelope = Envelope("ops@shop.example", (), ELSEWHERE, "mx.shop.example", "smtp", at)
        checks = Checks(resolver, 10, False, frozenset(), OURS, secret)
        found = asyncio.run(authenticate(author_of(raw.header), envelope, raw, checks))
        assert found.spf == "pass"
        return resolver.asked, found.authenticated

    first = [looked(bytes([n])) for n in range(24)]
    assert first == [looked(bytes([n]), NOON.replace(hour=23)) for n in range(24)], "another process, the same day"
    assert {proven for _, proven in first} == {True, False}
    tried = {tuple(asked[1:]) for asked, _ in first}
    assert len(tried) == 24, "nobody foresees them without the secret"
    assert looked(b"\0", NOON + timedelta(days=1))[0] != first[0][0]
    assert Checks(Half(), 10, False).secret != Checks(Half(), 10, False).secret


@pytest.mark.parametrize(
    "record", ["v=spf1 +all", "v=spf1 ip4:0.0.0.0/0 -all", "v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", "v=spf1 exists:shop.example -all",
               "v=spf1 a/0 -all", "v=spf1 include:all.example -all", "v=spf1 redirect=all.example"],
)  # fmt: skip
def test_a_record_that_lets_everybody_send_proves_nobody(record: str) -> None:
    zone = ZONE | {"shop.example": {"TXT": [record], "A": ["192.0.2.7"]}, "all.example": {"TXT": ["v=spf1 +all"]}}
    found = judged(UNSIGNED, mail_from="ops@shop.example", zone=zone)
    assert (found.spf, found.dmarc, found.authenticated, found.enforced) == ("pass", "pass", False, False)
    assert any("lets everybody send" in reason for reason in found.reasons)
    assert judged(strangers("shop.example"), zone=zone).authenticated


HERE = {
    "mx.example": {"A": [OWN]},
    "mx.example.listed.example": {"A": ["127.0.0.2"]},
    "eve.example": {"TXT": ["v=spf1 ip4:128.0.0.0/1 -all"]},
    "most.example": {"TXT": ["v=spf1 -ip4:240.0.0.0/4 ?ip6:::/0 +all"]},
    "ops.co.uk": {"A": [OWN]}, "mx.example.co.uk": {"A": [OWN]}, "ops@shop.example": {"A": [OWN]}, "ops.example": {"A": [OWN]}, "ops.listed.example": {"A": [OWN]},
    "in-addr.listed.example": {"A": ["127.0.0.2"]},
    "192.one.example": {"A": ["127.0.0.2"]},
    f"{'.'.join(reversed(OWN.split('.')))}.one.example": {"A": ["127.0.0.2"]},
    f"{OWN}.spf.example": {"TXT": ["v=spf1 +all"]},
    "mx.example.shop.example": {"TXT": [f"v=spf1 ip4:{OWN} -all"]},
    f"{'.'.join(reversed(OWN.split('.')))}.in-addr.arpa": {"PTR": ["a.mx.co.uk", "a.shop.example"]}, "a.mx.co.uk": {"A": [OWN]}, "a.shop.example": {"A": [OWN]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "proven"),
    [
        ("v=spf1 ip4:192.0.0.0/8 -all", False), ("v=spf1 ip4:192.0.0.0/3 -all", False), ("v=spf1 ip4:192.0.0.0/11 -all", False), ("v=spf1 ip4:192.0.0.0/12 -all", True),
        ("v=spf1 ip4:192.0.2.0/24 -all", True), ("v=spf1 a/8 -all", False), ("v=spf1 a/24 -all", True), ("v=spf1 include:eve.example -all", False),
        ("v=spf1 redirect=eve.example", False), ("v=spf1 ip4:10.0.0.0/8 ip4:192.0.2.0/24 -all", True), ("v=spf1 a:%{h} -all", False),
        ("v=spf1 exists:%{h}.listed.example -all", False), ("v=spf1 exists:%{i}.%{h}.listed.example -all", True),
        ("v=spf1 exists:%{l}.%{d}.listed.example -all", False), ("v=spf1 include:%{h}.spf.example -all", True),
        ("v=spf1 include:spf.%{h} -all", False), ("v=spf1 -ip4:240.0.0.0/4 +all", False), ("v=spf1 -ip4:240.0.0.1 ALL", False),
        ("v=spf1 include:most.example -all", False), ("v=spf1 -ip4:240.0.0.0/4 redirect=most.example", False),
        ("v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", False), ("v=spf1 ip4:192.168.0.0/3 -all", False), ("v=spf1 ip4:10.0.0.0/1 ip4:128.0.0.1/1 -all", False),
        ("v=spf1 a:%{l}.co.uk -all", False), ("v=spf1 a:%{l}.%{d1} -all", False), ("v=spf1 a:%{l}.listed.example -all", True),
        ("v=spf1 a:%{h}.co.uk. -all", False), ("v=spf1 a:%{s} -all", False), ("v=spf1 include:%{h}.%{d} -all", True),
        ("v=spf1 -ip4:240.0.0.0/4 exists:shop.example -all", False), ("v=spf1 -ip4:240.0.0.0/4 exists:%{v}.listed.example -all", False),
        ("v=spf1 exists:%{i1r}.one.example -all", False), ("v=spf1 exists:%{ir}.one.example -all", True),
        ("v=spf1 include:%{i}.spf.example -all", True),
        ("v=spf1 ptr:co.uk -all", False), ("v=spf1 ptr:mx.co.uk -all", True),
        ("v=spf1 ptr:%{d} -all", True), ("v=spf1 ptr -all", True), ("v=spf1 ptr:%{d1} -all", False), ("v=spf1 ptr:co.UK. -all", False),
    ],
)  # fmt: skip
def test_a_record_that_names_no_senders_of_its_own_proves_nobody(record: str, proven: bool) -> None:
    """Neither where the domain has a DMARC record nor where it has none; what is not used of it spoils nothing."""
    names = {
        "shop.example": {"TXT": [record], "A": ["192.0.2.7"]},
        f"{OWN}.mx.example.listed.example": {"A": ["127.0.0.2"]},
        "ops.shop.example.listed.example": {"A": ["127.0.0.2"]},
        "mx.example.spf.example": {"TXT": [f"v=spf1 ip4:{OWN} -all"]},
        "spf.mx.example": {"TXT": [f"v=spf1 ip4:{OWN} -all"]},
    }
    bare = {name: entry for name, entry in ZONE.items() if not name.startswith("_dmarc")}
    for zone in (ZONE, bare):
        found = judged(UNSIGNED, sent=True, mail_from="ops@shop.example", zone=zone | HERE | names)
        assert (found.spf, found.authenticated, found.weak) == ("pass", proven, proven), found.reasons
        assert proven or any("it proves nobody" in reason for reason in found.reasons)


class Everywhere(ZoneResolver):
    """A wildcard that leaves out what nobody has."""

    async def lookup(self, name: str, rtype: str) -> Answer:
        wild = name.endswith(".every.example") and not name.startswith(("240.0.0.1.", "1.0.0.240."))
        return Answer(Status.NOERROR, ("127.0.0.2",)) if wild else await super().lookup(name, rtype)


@pytest.mark.parametrize(
    ("record", "doubted"),
    [
        ("v=spf1 exists:%{ir}.every.example -all", True),
        ("v=spf1 exists:%{i}.every.example -all", True),
        ("v=spf1 exists:%{i}.one.example -all", False),
    ],
)
def test_names_that_are_there_for_every_address_prove_nobody(record: str, doubted: bool) -> None:
    zone = {"shop.example": {"TXT": [record]}, f"{OWN}.one.example": {"A": ["127.0.0.2"]}}
    found = asyncio.run(spf.check(spf.Sender(OWN, "ops@shop.example", "mx.example"), Everywhere(zone), True))
    assert (found.result, bool(found.doubt)) == ("pass", doubted)
