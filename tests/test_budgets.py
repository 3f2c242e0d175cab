"""Acknowledgements denied by attack: what forged and unknown mail spends, and what it cannot; on both databases."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text

from gateway.database import inbox, migrate, tables
from gateway.database.statements import Query, Statement
from gateway.database.store import Store, _migrations, utc_now
from gateway.ingest.identity import digest_of
from gateway.mail.address import canonical, neighbourhood
from gateway.model import Account, AccountMatch, Incoming, RawMessage, Turn, Verdict
from gateway.tickets import budgets, desk
from gateway.tickets.occasion import Occasion
from tests.samples import (
    ACCOUNT_TEXT,
    NONE,
    NOW,
    PASS,
    REGISTERED,
    STRANGER,
    budgeted,
    envelope,
    incoming,
    mail,
    office,
)
from tests.test_desk import MINUTE, Desk

OUTAGE = "Hello, my server is down since 14:30 CET and nothing responds to ping."


@pytest.fixture
def at(store: Store) -> Desk:
    return Desk(store)


def by(
    author: str, number: int = 0, words: str = ACCOUNT_TEXT, *, verdict: Verdict = NONE, match: AccountMatch = STRANGER, **more: Any
) -> tuple[Incoming, bytes]:  # fmt: skip
    """A mail of an author; by default a stranger without proof. ``number`` makes it another one."""
    raw = mail(words, subject=f"Question {number}", author=author, Message_ID=f"<{number}.{len(author)}@x.example>")
    given = envelope(**({"mail_from": author} | more))
    return incoming(raw, verdict=verdict, match=match, own=bool(match.accounts), envelope_=given), raw


def all_of(at: Desk, mails: Iterable[tuple[Incoming, bytes]], now: Any = NOW) -> list[desk.Outcome]:
    """Takes them in one transaction, as a flood is."""
    pairs = list(mails)

    def job(connection: Connection) -> list[desk.Outcome]:
        found = []
        for what, raw in pairs:
            accepted = inbox.accept(connection, RawMessage(raw, what.envelope), digest_of(raw), now + MINUTE)
            assert accepted.created
            claimed = inbox.claim_of(accepted, RawMessage(raw, what.envelope), now + MINUTE, Turn("smtp", 0))
            found.append(desk.commit(Occasion(connection, claimed, what, at.office, now)))
        return found

    return at.store.write_now(job)


def answered(outcomes: list[desk.Outcome]) -> int:
    return sum(outcome.replied is not None for outcome in outcomes)


@pytest.mark.fault("X47")
def test_forged_mail_spends_nothing_of_a_verified_customer(at: Desk) -> None:
    """500 forged mails, then an outage of a customer: he is acknowledged, and hears from us when nobody answers."""
    flood = all_of(at, (by(f"user{n}@plain{n}.example", n) for n in range(520)))
    assert answered(flood) == 500
    assert flood[-1].decision.silence == "budget spent: budget_total"
    (stranger,) = all_of(at, [by("new@other.example", 1)])
    assert stranger.decision.silence == "budget spent: budget_total"
    (outage,) = all_of(at, [by("anna@example.de", 1, OUTAGE, verdict=PASS, match=REGISTERED)])
    assert (outage.replied, outage.decision.priority) == ("emergency", "high")
    at.tick(NOW + 25 * MINUTE)
    assert ("status", "anna@example.de") in at.customers()


def test_proven_strangers_spend_nothing_of_a_verified_customer_nor_he_of_theirs(at: Desk) -> None:
    strangers = all_of(at, (by(f"user{n}@own{n}.example", n, verdict=PASS) for n in range(501)))
    assert (answered(strangers), strangers[-1].decision.silence) == (500, "budget spent: budget_total")
    customers = all_of(at, (by(f"c{n}@firm{n}.example", n, verdict=PASS, match=REGISTERED) for n in range(520)))
    assert answered(customers) == 520, "a dark data centre: everybody hears from us"
    assert answered(all_of(at, [by("forged@plain.example", 1)])) == 1


def test_one_neighbour_spends_the_budget_of_his_domain_only_by_his_share(at: Desk) -> None:
    """52 mails of one mailbox, none like the other, and then somebody else at the same domain, and at the same provider."""
    words = [" ".join(f"{chr(97 + n % 26)}{chr(97 + k)}{chr(97 + n // 26)}word" for k in range(20)) for n in range(52)]
    for domain in ("gmail.com", "bigmail.example"):
        busy = all_of(at, (by(f"busy@{domain}", n, words[n], verdict=PASS) for n in range(52)))
        assert answered(busy) == 10
        assert "10 acknowledgements within 1 h to one address" in busy[-1].decision.silence
        assert answered(all_of(at, [by(f"other@{domain}", 1, verdict=PASS)])) == 1
    many = all_of(at, (by(f"many{n}@gmail.com", n, verdict=PASS) for n in range(60)))
    assert answered(many) == 60, "a provider's customers are no neighbours"
    many = all_of(at, (by(f"many{n}@a{n}.firm.example", n, verdict=PASS) for n in range(60)))
    assert (answered(many), many[-1].decision.silence) == (50, "budget spent: budget_domain")


VARIANTS = [
    "victim.one@gmail.com", "VICTIM.ONE@gmail.com", "Victim.One@Gmail.Com", "victimone@gmail.com", "v.i.c.t.i.m.o.n.e@gmail.com",
    "victimone+shop@gmail.com", "victim.one@googlemail.com", "victim.one@gmail.com.", "VictimOne+A+B@GOOGLEMAIL.COM",
]  # fmt: skip


def test_ways_to_write_an_address_are_one_mailbox(at: Desk) -> None:
    assert {canonical(variant) for variant in VARIANTS} == {"victimone@gmail.com"}
    assert canonical("J\u00fcrgen@M\u00dcNCHEN.example") == canonical("j\u00fcrgen@xn--mnchen-3ya.example")
    assert canonical("a.b@example.de") != canonical("ab@example.de")
    outcomes = all_of(
        at, (by(address, n, envelope(mail_from=address).mail_from or "") for n, address in enumerate(VARIANTS))
    )
    assert answered(outcomes) == 1
    assert {outcome.decision.silence for outcome in outcomes[1:]} == {
        "an address without proof is acknowledged once in 24 h"
    }


def test_neighbours() -> None:
    assert neighbourhood("a@deep.below.firm.co.uk") == "firm.co.uk"
    assert neighbourhood("A.b@googlemail.com") == "ab@gmail.com"
    assert neighbourhood("x@co.uk") == "co.uk"


def test_one_forged_mail_does_not_spend_the_only_acknowledgement_of_the_real_customer(at: Desk) -> None:
    """Neither can prove himself; they come from different hosts. Whoever changes hosts stops at three."""
    forger = {"client": "198.51.100.66", "mail_from": "eve@curious.example"}
    assert answered(all_of(at, [by("ann@plain.example", 1, **forger), by("ann@plain.example", 2, **forger)])) == 1
    real = {"client": "192.0.2.25", "match": REGISTERED}
    assert answered(all_of(at, [by("ann@plain.example", 3, **real), by("Ann@plain.example", 4, **real)])) == 1
    cannon = all_of(at, (by("ann@plain.example", n, client=f"203.0.113.{n}") for n in range(5, 50)))
    assert answered(cannon) == 1
    day = NOW + timedelta(hours=24, minutes=1)
    assert answered(all_of(at, [by("ann@plain.example", 60, **forger, received_at=day)], day)) == 1
    proven = all_of(at, [by("ann@plain.example", 70, verdict=PASS, match=REGISTERED)])
    assert answered(proven) == 1, "with proof he has acknowledgements of his own"


def test_addresses_of_one_host_in_ipv6_are_one(at: Desk) -> None:
    mails = (by("ann@plain.example", n, client=f"2001:db8:1:1::{n:x}") for n in range(1, 9))
    assert answered(all_of(at, mails)) == 1


def test_a_spent_budget_of_verified_customers_leaves_them_the_status_mail(at: Desk) -> None:
    at.office = replace(at.office, rules=budgeted(at.office.rules, budget_domain=(3, 3600.0)))
    match = lambda n: replace(REGISTERED, accounts=(Account(str(n), "", None, "active"),))  # noqa: E731
    mails = [by(f"user{n}@firm.example", n, OUTAGE, verdict=PASS, match=match(n)) for n in range(5)]
    outcomes = all_of(at, mails)
    assert [outcome.decision.silence for outcome in outcomes] == ["", "", "", *["budget spent: budget_domain"] * 2]
    at.tick(NOW + 25 * MINUTE)
    assert Counter(at.customers())["status", "user4@firm.example"] == 1
    assert sum(template == "status" for template, _ in at.customers()) == 5
    shown = at.show(outcomes[-1].reference)
    assert any("no reply: budget spent: budget_domain" in line for line in shown["trace"])


def test_the_status_mail_has_a_cap_for_each_address_too(at: Desk) -> None:
    """Silenced by his neighbours, and still no cannon: the clock's mails to one address end as well."""
    at.office = replace(at.office, rules=budgeted(at.office.rules, budget_domain=(3, 3600.0)))
    all_of(at, [by(f"user{n}@firm.example", n, OUTAGE, verdict=PASS, match=REGISTERED) for n in range(3)])
    silenced = all_of(at, [by("anna@firm.example", n, OUTAGE, verdict=PASS, match=REGISTERED) for n in range(9)])
    assert answered(silenced) == 0
    at.tick(NOW + 25 * MINUTE)
    assert Counter(at.customers())["status", "anna@firm.example"] == 3


def test_a_copy_has_a_cap_too_and_the_trace_says_so(at: Desk) -> None:
    at.office = replace(at.office, rules=budgeted(at.office.rules, budget_domain=(2, 3600.0)))
    match = replace(REGISTERED, support_addresses=("ops@other.example", "support+x@introserv.com"))
    outcomes = all_of(at, (by(f"user{n}@firm{n}.example", n, verdict=PASS, match=match) for n in range(3)))
    assert answered(outcomes) == 3
    assert Counter(to for _, to in at.customers())["ops@other.example"] == 2
    assert "no copy to ops@other.example: it had its cap" in outcomes[-1].decision.reasons
    assert not any("introserv" in to for _, to in at.customers())


@pytest.mark.fault("X47")
def test_every_count_holds_over_a_restart(at: Desk, database: str) -> None:
    assert answered(all_of(at, [by("ann@plain.example", 1)])) == 1
    at.store.close()
    again = Store(database)
    again.open(NOW)
    try:
        assert answered(all_of(Desk(again), [by("ann@plain.example", 2)])) == 0
    finally:
        again.close()


def test_nodes_that_count_at_once_spend_no_budget_twice(postgresql: Callable[[], str]) -> None:
    """Four nodes get the same forged author at the same moment, and together more strangers than the budget."""
    url = postgresql()
    nodes = [Store(url) for _ in range(4)]
    for node in nodes:
        node.open(NOW)
    desks = [Desk(node) for node in nodes]
    for one in desks:
        one.office = office(nodes[0].keys, nodes[0].key_id, budgeted(budget_total=(10, 3600.0)))
    gate = threading.Barrier(len(desks))

    def work(index: int, one: Desk) -> None:
        gate.wait(30)
        all_of(one, [by("victim@plain.example", 1000 + index)])
        for n in range(8):
            all_of(one, [by(f"user{index}.{n}@plain{index}{n}.example", n)])

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(desks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    sent = Counter(to for _, to in desks[0].customers())
    for node in nodes:
        node.close()
    assert sent["victim@plain.example"] == 1
    assert sum(sent.values()) == 10


QUERIES = {
    "the first of each budget": budgets.FIRSTS,
    "all": budgets.OF_ALL,
    "a domain": budgets.OF_DOMAIN,
    "an address": budgets.OF_ADDRESS,
    "a thread": budgets.OF_THREAD,
    "the latest of an address": budgets.LATEST,
    "staff": budgets.OF_STAFF,
    "the first of staff": budgets.STAFF_FIRST,
}


@pytest.mark.fault("X54")
@pytest.mark.parametrize("what", QUERIES)
def test_counts_are_looked_up_in_an_index(store: Store, what: str) -> None:
    def planned(connection: Connection) -> str:
        prepared = Query(QUERIES[what], connection.dialect, ())
        numbers = {"rows", "thread_id", "total_most", "domain_most", "thread_most", "cap_most"}
        keys = [bind.key for bind in QUERIES[what].compile().binds.values()]
        values = {key: NOW if key.endswith("_since") else 1 if key in numbers else "x" for key in keys}
        values |= prepared._fixed
        if connection.dialect.name == "postgresql":
            connection.execute(text("set local enable_seqscan = off"))  # else a small table is read as a whole
        cursor = connection.connection.dbapi_connection.cursor()  # type: ignore[union-attr]
        how = "explain" if connection.dialect.name == "postgresql" else "explain query plan"
        cursor.execute(f"{how} {prepared._sql}", prepared._parameters(values))
        return "\n".join(str(row) for row in cursor.fetchall())

    plan = store.read_now(planned)
    assert "Seq Scan" not in plan
    for line in plan.splitlines():
        if (
            "outbox" in line and " on outbox" not in line
        ):  # SQLite says how it gets at each table; the newest id needs no index
            assert re.search(r"SEARCH outbox( USING (COVERING )?INDEX (outbox_|ix_outbox_)|')", line), plan
        assert "Filter" not in line or "proof" not in line, plan


def test_a_mail_costs_few_statements(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look at the counts and one for each staff mail; one more for an author who was answered before."""
    asked: list[Any] = []
    real = budgets.fetch
    monkeypatch.setattr(budgets, "fetch", lambda *given: asked.append(given[1]) or real(*given))
    all_of(at, [by("anna@example.de", 1, verdict=PASS, match=REGISTERED)])
    assert asked == [budgets.FIRSTS, budgets.STAFF_FIRST]
    asked.clear()
    all_of(at, [by("anna@example.de", 2, verdict=PASS, match=REGISTERED)])
    assert {budgets.FIRSTS, budgets.LATEST, budgets.STAFF_FIRST} <= set(asked) and len(asked) <= 6
    all_of(at, (by(f"c{n}@firm{n}.example", n, verdict=PASS, match=REGISTERED) for n in range(300)))
    asked.clear()
    all_of(at, [by("anna@example.de", 3, verdict=PASS, match=REGISTERED)])
    assert len(set(asked)) <= 6, "each count that is in doubt, once"


def test_what_a_stranger_hears_does_not_depend_on_a_customer_of_the_same_address(at: Desk) -> None:
    """No oracle: a registered address that is busy with proof, and one that nobody knows, are silent and answered alike."""
    all_of(at, (by("known@plain.example", n, verdict=PASS, match=REGISTERED) for n in range(30)))
    heard = {}
    for who, match in (("known", REGISTERED), ("unknown", STRANGER)):
        outcomes = all_of(at, (by(f"{who}@plain.example", 100 + n, match=match) for n in range(3)))
        heard[who] = [(outcome.replied, outcome.decision.silence) for outcome in outcomes]
    assert heard["known"] == heard["unknown"]
    assert tables.outbox.c.proof.type.length >= len("verified")


def test_what_the_release_before_has_sent_still_counts(database: str) -> None:
    """The columns that counts need are filled for the rows of the last two days, whatever wrote them."""
    old = Store(database)
    migrate.upgrade(old._writer_engine, _migrations(), "0004")
    now = utc_now()
    common = {"domain": "x.example", "context": {}, "urgent": False, "state": "sent", "attempts": 1, "language": "en"}
    common |= {"last_error": "", "bounced": "", "ticket_id": 1}
    rows = [
        {"recipient": "Ann@x.example", "kind": "auto", "template": "received", "created_at": now - timedelta(hours=1)},
        {"recipient": "ann@x.example", "kind": "auto", "template": "status", "created_at": now - timedelta(hours=1)},
        {"recipient": "Old@x.example", "kind": "auto", "template": "received", "created_at": now - timedelta(days=3)},
    ]
    table = tables.outbox
    fresh = ("canonical", "proof", "origin", "likeness")
    with old._writer_engine.connect() as connection, connection.begin():
        old._load_keys(connection, now)
        for number, row in enumerate(rows):
            values = common | row | {"event": f"m{number}", "rfc_id": f"{number}@x"}
            put = Statement(insert(table), connection.dialect, tuple(values))
            put.run(connection, values)
    old.close()
    opened = Store(database)
    opened.open(NOW)
    columns = [table.c[name] for name in fresh]
    found = opened.read_now(lambda c: [tuple(row) for row in c.execute(select(*columns).order_by(table.c.id))])
    opened.close()
    assert found == [("ann@x.example", "none", "", ""), ("ann@x.example", "", "", ""), ("", "", "", "")]
