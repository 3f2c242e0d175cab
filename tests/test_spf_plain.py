"""Records that are judged without an evaluator, against the evaluator: the same result, and the same doubt."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from gateway.verify import spf, spf_plain
from gateway.verify.dns import ZoneResolver

CLIENTS = ("192.0.2.5", "192.0.2.200", "203.0.113.9", "2001:db8::5", "2001:db8:1::9", "::ffff:192.0.2.5", "240.0.0.1")
GOOD = (
    "ip4:192.0.2.5", "ip4:192.0.2.77/24", "ip4:192.0.2.5/0", "ip4:203.0.113.9/32", "IP4:128.0.0.0/1", "ip4:10.1.2.3/8", "ip6:2001:db8::5",
    "ip6:2001:DB8::9/32", "Ip6:::/0", "ip6:2001:db8::/16", "ip6:::ffff:192.0.2.5", "ALL", "all", "moo=%{d}", "",
)  # fmt: skip
ODD = (
    "ip4:192.0.2.5/024", "ip4:192.0.2.5/33", "ip4:192.0.2", "ip4:192.0.2.05", "ip4:", "ip4", "ip4:192.0.2.5//64", "ip4:2001:db8::5",
    "ip6:2001:db8::5/129", "ip6:fe80::1%eth0", "ip6:2001:db8::5%1/64", "ip6:192.0.2.5", "all:x", "a", "a/24", "mx//64", "include:i.example",
    "redirect=i.example", "exp=why.example", "exp=%", "x=%", "ip4=192.0.2.5", "1x=2", "exists:%{i}.e.example", "unknown",
)  # fmt: skip
BETWEEN = (" ",) * 20 + ("  ", "\t", "\n")
BEHIND = ("",) * 9 + (" ", "\n", "\t", "\r", "é", ";")


def _record(dice: random.Random) -> str:
    start = dice.choice(("v=spf1",) * 9 + ("V=SPF1", "v=spf10", "v=spf1.", " v=spf1"))
    terms = (
        dice.choice(("", "", "+", "-", "~", "?")) + dice.choice(GOOD if dice.random() < 0.8 else ODD)
        for _ in range(dice.randint(0, 3))
    )
    return start + "".join(dice.choice(BETWEEN) + term for term in terms) + dice.choice(BEHIND)


def _judged(values: list[str], client: str) -> spf.SpfResult:
    zone = {"d.example": {"TXT": values, "A": ["192.0.2.5"]}, "i.example": {"TXT": ["v=spf1 ip4:192.0.2.200 -all"]}}
    return asyncio.run(spf.check(spf.Sender(client, "a@d.example", "h.example", b"seed"), ZoneResolver(zone), True))


def test_a_plain_record_tells_what_the_evaluator_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(7)
    cases = [
        ([_record(dice) for _ in range(dice.choice((0, 1, 1, 1, 1, 2)))], dice.choice(CLIENTS)) for _ in range(4000)
    ]
    by_itself = sum(spf_plain.result(tuple(values), "192.0.2.5") is not None for values, _ in cases)
    ours = [_judged(*case) for case in cases]
    monkeypatch.setattr(spf_plain, "result", lambda values, client: None)
    assert [(case, one) for case, one in zip(cases, ours, strict=True) if _judged(*case) != one] == []
    seen = Counter(one.result for one in ours)
    assert by_itself > 1500 and seen["pass"] > 150 and seen["fail"] > 30 and seen["permerror"] > 500


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 ip4:192.0.2.5\n",  # this one raised
        "v=spf1 ip4:192.0.2.0/24\n", "v=spf1 a\n", "v=spf1 a/1\n", "v=spf1 ip4:0.0.0.0/1\n", "v=spf1 moo=x\n", "v=spf1\n",
        "v=spf1 ip6:2001:db8::5%eth0", "v=spf1 ip6:2001:db8::5%1/3", "v=spf1 +all ip6:fe80::1%eth0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("client", ["192.0.2.5", "2001:db8::5"])
def test_what_breaks_the_grammar_passes_nobody(record: str, client: str) -> None:
    assert _judged([record], client).result == "permerror"
    assert _judged(["v=spf1 include:i.example", record], client).result == "permerror"


def test_a_record_that_no_evaluator_expects_stops_no_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(text: str) -> None:
        raise ValueError(text)

    monkeypatch.setattr(spf_plain.spftrace.evaluator, "parse", odd)
    assert _judged(["v=spf1 a mx -all"], "192.0.2.5").result == "permerror"
