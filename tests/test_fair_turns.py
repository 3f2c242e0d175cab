"""The order of service: what a place is worth, who is put back, and how little a forged customer wins."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.mail.address import registrable
from gateway.turns import AHEAD_MS, LEAD_MS, Place, Turns, network_of
from tests.samples import NOW, envelope, mail

MS = int(NOW.timestamp() * 1000)
STRANGER = mail(author="x@stranger.example")


class Clock:
    def __init__(self) -> None:
        self.now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turns(clock: Clock) -> Turns:
    return Turns(clock, lambda address: address == "anna@example.de", registrable)


def at(
    turns: Turns, client: str | None = "192.0.2.1", mail_from: str = "x@stranger.example", raw: bytes = STRANGER
) -> int:
    return turns.of(raw, envelope(client=client, mail_from=mail_from)).at


def test_networks() -> None:
    assert network_of("192.0.2.77") == network_of("IPv6:::ffff:192.0.2.1") == "192.0.2.0/24"
    assert network_of("2001:db8:0:1:2::3") == "2001:db8:0:1::/64"
    assert (network_of(None), network_of("nonsense")) == ("", "")


def test_a_thousand_mails_of_one_network_stand_behind_one_of_another(turns: Turns) -> None:
    crowd = [at(turns, f"192.0.2.{n % 256}") for n in range(1000)]
    other = at(turns, "198.51.100.9")
    assert sum(place <= other for place in crowd) == 1
    assert max(crowd) <= MS + LEAD_MS + 1000  # and nobody is put back for ever


def test_a_place_is_won_back_with_time(turns: Turns, clock: Clock) -> None:
    for _ in range(30):
        at(turns)
    assert at(turns) > MS
    clock.now += timedelta(seconds=60)
    assert at(turns) == MS + 60_000


def test_where_the_client_is_unknown_the_domain_of_the_sender_counts(turns: Turns) -> None:
    crowd = [at(turns, None, f"a@n{n}.crowd.co.uk") for n in range(50)]
    other = at(turns, None, "b@other.co.uk")
    assert sum(place <= other for place in crowd) == 1


def test_a_customer_goes_first_by_his_envelope_or_his_from(turns: Turns) -> None:
    for _ in range(100):
        at(turns)
    first = turns.of(STRANGER, envelope(mail_from="anna@example.de"))
    assert first.first and first.at == MS - AHEAD_MS
    written = turns.of(mail(), envelope(mail_from="bounce@lists.example", client="198.51.100.1"))
    assert written.first and written.at == MS - AHEAD_MS
    assert not turns.of(STRANGER, envelope(mail_from="x@stranger.example")).first


def test_who_writes_as_a_customer_wins_a_few_places_only(turns: Turns) -> None:
    forged = [turns.of(mail(), envelope(mail_from="anna@example.de", client="203.0.113.5")) for _ in range(500)]
    assert sum(turn.first for turn in forged) <= 151
    assert forged[-1].at >= MS  # the rest stands with the strangers
    genuine = turns.of(mail(), envelope(mail_from="anna@example.de", client="198.51.100.5"))
    assert genuine.first and genuine.at == MS - AHEAD_MS  # and costs her nothing elsewhere


def test_who_sent_what_was_slow_is_behind_the_others(turns: Turns, clock: Clock) -> None:
    turn = turns.of(STRANGER, envelope(mail_from="x@stranger.example"))
    waits = turns.of(STRANGER, envelope(mail_from="x@stranger.example"))
    place = Place(turn, turns)
    place.spend(0.05)
    assert (place.owed, turns.behind(turn.sender)) == (0, False)  # what any mail may take
    place.spend(5.0)
    assert place.owed == MS + 100_000 and turns.behind(turn.sender)
    assert turns.order(waits) == at(turns) == place.owed  # those that wait, and those that come
    assert at(turns, "198.51.100.1") == MS
    clock.now += timedelta(seconds=101)
    assert not turns.behind(turn.sender) and at(turns, "192.0.2.9") == MS + 101_000


def test_a_slow_mail_of_a_customer_costs_him_his_advantage(turns: Turns) -> None:
    turn = turns.of(mail(), envelope())
    Place(turn, turns).spend(3.0)
    again = turns.of(mail(), envelope())
    assert not again.first and again.at > MS


def test_the_domain_of_a_proven_author_pays_too_and_customers_there_do_not(turns: Turns) -> None:
    place = Place(turns.of(STRANGER, envelope(mail_from="x@mx.stranger.co.uk")), turns)
    place.spend(60.0)
    assert place.proven("x@mx.stranger.co.uk") == {"@stranger.co.uk": MS + 60_000}
    assert at(turns, "198.51.100.7", "y@stranger.co.uk") == MS + 60_000
    assert at(turns, "198.51.101.7", "y@other.co.uk") == MS
    known = Turns(lambda: NOW, lambda address: address == "y@stranger.co.uk", registrable)
    known.learn({"@stranger.co.uk": MS + 60_000})
    assert known.of(STRANGER, envelope(client="198.51.100.7", mail_from="y@stranger.co.uk")).first


def test_what_another_node_charged_counts(turns: Turns) -> None:
    turns.learn({"192.0.2.0/24": MS + 5000})
    assert at(turns) == MS + 5000
    turns.learn({"192.0.2.0/24": MS + 1000})
    assert turns.order(replace(turns.of(STRANGER, envelope()), at=0)) >= 0
    assert at(turns, "192.0.2.9") >= MS + 5000


def test_old_mail_that_is_brought_in_stands_behind_todays(turns: Turns) -> None:
    old = turns.of(STRANGER, replace(envelope(client=None, mail_from="x@y.example"), source="import:box"))
    assert old.at > at(turns)


def test_what_is_remembered_is_bounded(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.turns.MAX_SENDERS", 10)
    for number in range(100):
        at(turns, f"198.51.{number}.1")
        turns.charge(str(number), 1.0)
    assert (len(turns._next), len(turns._owed)) == (10, 10)
