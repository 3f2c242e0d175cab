"""What bounds the listeners, without sockets: shares, the reserve, who makes way for whom, and that all is given back."""

from __future__ import annotations

import contextlib
import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.ingest.limits import SMALL, Full, Hold, Limits
from gateway.ingest.seats import CREDIT_S, GREETING_S, PACE, Seat
from gateway.ingest.settings import Smtp
from gateway.networks import networks, peer_address

MB = 1024 * 1024
KNOWN = "198.51.100.9"
SMTP = Smtp(
    max_connections=100, max_connections_per_address=5, max_connections_per_network=8, max_in_flight=256 * MB, max_size=25 * MB, reserved=0.2,
    min_free=0,
)  # fmt: skip


class House:
    """Limits with a clock of its own. ``left``: who was asked to make way, in order."""

    def __init__(self, folder: Path, **bounds: Any) -> None:
        self.now = 1000.0
        self.left: list[str | None] = []
        self.limits = Limits(
            SMTP.model_copy(update=bounds), folder, lambda address: address.startswith("198.51.100."), lambda: self.now
        )
        self._open: dict[Seat, ExitStack] = {}

    def enter(self, address: str | None, trusted: bool = False) -> Seat:
        stack = ExitStack()
        seat = stack.enter_context(self.limits.seat(address, trusted, lambda: self._gone(seat, address)))
        self._open[seat] = stack
        return seat

    def _gone(self, seat: Seat, address: str | None) -> None:
        self.left.append(address)
        self._open.pop(seat).close()

    def data(self, seat: Seat, octets: int) -> Hold | None:
        """The seat's mail takes so much more; ``None`` when there is no room."""
        if seat.hold is None:
            self._open[seat].enter_context(self.limits.receiving(seat))
        assert seat.hold is not None
        return seat.hold if seat.hold.take(octets) else None

    def leave(self, seat: Seat) -> None:
        self._open.pop(seat).close()

    @property
    def used(self) -> tuple[int, int]:
        usage = self.limits.usage()
        return usage["connections"], usage["octets_in_flight"]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def different(number: int) -> str:
    """An address in a /24 of its own."""
    return f"10.{number // 200}.{number % 200}.1"


@pytest.mark.parametrize(
    ("peername", "address"),
    [
        (("192.0.2.1", 25), "192.0.2.1"), (("::ffff:192.0.2.1", 25, 0, 0), "192.0.2.1"), (("fe80::1%eth0", 25, 0, 2), "fe80::1"),
        (("2001:DB8::0:1", 25, 0, 0), "2001:db8::1"), ("", None), ("/run/lmtp.sock", None), (None, None),
    ],
)  # fmt: skip
def test_a_peer_has_one_address_however_its_socket_writes_it(peername: Any, address: str | None) -> None:
    assert peer_address(peername) == address


def test_the_networks_of_an_address() -> None:
    assert networks("192.0.2.77") == ("192.0.2.77", "192.0.2.0/24")
    assert networks("2001:db8:1:2::7") == ("2001:db8:1:2::7", "2001:db8:1:2::/64", "2001:db8:1::/48")
    assert networks("local") == ("local",)


@pytest.mark.fault("X12")
@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["192.0.2.1" for _ in range(6)], "from 192.0.2.1"),
        ([f"192.0.2.{n}" for n in range(9)], "from 192.0.2.0/24"),
        ([f"2001:db8:1:2::{n:x}" for n in range(9)], "from 2001:db8:1:2::/64"),
        ([f"2001:db8:1:{n:x}::7" for n in range(17)], "from 2001:db8:1::/48"),
        ([different(n) for n in range(81)], "too many connections$"),
        ([f"198.51.{n}.9" if n != 100 else KNOWN for n in range(81)], "too many connections$"),
    ],
)  # fmt: skip
def test_connections_are_capped_for_an_address_a_network_and_all_strangers(
    house: House, addresses: list[str], why: str
) -> None:
    for address in addresses[:-1]:
        house.enter(address)
    with pytest.raises(Full, match=why):
        house.enter(addresses[-1])
    assert house.used[0] == len(addresses) - 1 and house.left == []


def test_the_reserve_is_for_known_relays_and_the_rest_of_it_for_trusted_ones(tmp_path: Path) -> None:
    house = House(tmp_path, max_connections_per_network=100, max_connections_per_address=100)
    for number in range(80):
        house.enter(different(number))
    for _ in range(10):
        house.enter(KNOWN)
    for _ in range(10):
        house.enter("192.0.2.1", trusted=True)
    assert house.used[0] == 100 and house.left == []
    house.enter(None, trusted=True)  # all is taken: a stranger makes way, though he is not slow
    house.enter("192.0.2.1", trusted=True)
    house.enter(KNOWN)
    assert house.left == [different(0), different(1), different(2)] and house.used[0] == 100
    with pytest.raises(Full, match=r"too many connections$"):
        house.enter(different(200))
    assert len(house.left) == 3


def test_strangers_do_not_get_what_is_kept_for_others(tmp_path: Path) -> None:
    house = House(tmp_path, max_connections_per_network=100, max_connections_per_address=100)
    for number in range(80):
        house.enter(different(number))
    with pytest.raises(Full, match=r"too many connections$"):
        house.enter(different(80))
    for _ in range(10):
        house.enter(KNOWN)
    with pytest.raises(Full, match=r"too many connections$"):  # the last tenth is for trusted relays
        house.enter(different(80))
    house.enter("192.0.2.1", trusted=True)
    assert house.used[0] == 91 and house.left == []


def test_trusted_relays_are_exempt_from_shares(house: House) -> None:
    for _ in range(100):
        house.enter("192.0.2.1", trusted=True)
    assert house.used[0] == 100 and house.left == []


def test_programs_of_this_machine_have_a_share_and_the_idle_ones_make_way_for_each_other(house: House) -> None:
    for _ in range(50):
        house.enter(None, trusted=True)
    with pytest.raises(Full, match="from local"):
        house.enter(None, trusted=True)
    for number in range(30):
        house.enter(different(number))
    house.enter("192.0.2.1", trusted=True)
    assert house.used[0] == 81 and house.left == [] and house.limits.problem() == ""
    house.now += GREETING_S + 1
    house.enter(None, trusted=True)
    assert house.left == [None] and house.used[0] == 81


def test_the_slowest_makes_way_and_whoever_brings_data_stays(house: House) -> None:
    for number in range(80):
        house.enter(different(number))
    seats = list(house._open)
    house.now += GREETING_S + 1
    for seat in seats[1:]:
        seat.progress(PACE * 10)
    house.enter(different(100))
    assert house.left == [different(0)]
    house.now += CREDIT_S - 0.5
    with pytest.raises(Full):  # a pause is not slow
        house.enter(different(101))
    house.now += 1
    for seat in seats[1:]:
        seat.progress(PACE // 100 if seat is seats[7] else PACE)
    house.now += 0.9
    house.enter(different(102))
    assert house.left == [different(0), different(7)], "a trickle is slow"


def test_a_burst_buys_no_more_than_a_pause(house: House) -> None:
    seat = house.enter(different(1))
    seat.progress(20 * MB)
    house.now += CREDIT_S + 0.1
    assert seat.slow_for() > 0


def test_the_network_that_holds_most_makes_way_first(house: House) -> None:
    addresses = [f"10.9.9.{n % 4}" for n in range(8)] + [different(n) for n in range(72)]
    for address in addresses:
        house.enter(address)
    house.enter(different(100))  # nobody is slow yet, but one network has eight and this one none
    assert house.left == ["10.9.9.0"]
    for number in range(6):
        house.enter(different(101 + number))
    assert house.used[0] == 80 and {address[:7] for address in house.left if address} == {"10.9.9."}
    with pytest.raises(Full):
        house.enter(different(110))


def test_who_is_slow_makes_way_before_who_has_many_connections(house: House) -> None:
    slow = different(0)
    for address in [slow] + [f"10.9.9.{n % 4}" for n in range(8)] + [different(n) for n in range(1, 72)]:
        house.enter(address)
    house.now += GREETING_S + 1
    for seat in list(house._open)[1:]:
        seat.progress(PACE * 10)
    house.enter(different(100))
    assert house.left == [slow]


def test_who_was_slow_does_not_push_others_out_when_he_comes_back(house: House) -> None:
    for number in range(80):
        house.enter(different(number))
    house.now += GREETING_S + 1
    house.enter(different(100))
    (gone,) = house.left
    assert gone is not None
    with pytest.raises(Full):
        house.enter(gone)
    house.enter(different(101))
    assert len(house.left) == 2
    house.now += 61
    house.enter(gone)
    assert len(house.left) == 3


def test_a_network_at_its_share_gives_up_its_own_slow_one(house: House) -> None:
    for _ in range(5):
        house.enter("192.0.2.1")
    with pytest.raises(Full):
        house.enter("192.0.2.1")
    house.now += GREETING_S + 1
    house.enter("192.0.2.1")
    assert house.left == ["192.0.2.1"] and house.used[0] == 5


def test_octets_have_shares_too_and_each_address_may_send_the_largest_mail(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert house.data(house.enter("192.0.2.1"), 25 * MB)
    assert house.data(house.enter("192.0.2.1"), 10 * MB) is None, "an eighth for an address"
    for number in (2, 3):
        assert house.data(house.enter(f"192.0.2.{number}"), 16 * MB)
    assert house.data(house.enter("192.0.2.4"), 16 * MB) is None, "a quarter for a network"
    assert house.left == []
    tiny = House(tmp_path, max_in_flight=26 * MB)
    assert tiny.data(tiny.enter("192.0.2.1"), 25 * MB + 5)


def test_the_last_eighth_is_for_small_mails_and_the_reserve_for_known_and_trusted(tmp_path: Path) -> None:
    house = House(tmp_path)
    number = 0
    while house.data(house.enter(different(number)), 16 * MB):
        number += 1
        assert number < 20
    assert house.used[1] <= 256 * MB * 7 // 8 * 0.8
    assert house.data(house.enter(different(100)), SMALL)
    assert house.data(house.enter(different(101)), 4 * SMALL) is None
    assert house.left == []
    assert house.data(house.enter(KNOWN), 16 * MB)
    assert house.data(house.enter(None, trusted=True), 25 * MB)
    assert house.left == [], "the reserve was free"


@pytest.mark.fault("X4")
def test_who_trickles_gives_up_his_octets_and_his_connection(house: House) -> None:
    for number in range(10):
        assert house.data(house.enter(different(number)), 17 * MB)
    large = house.enter(different(50))
    assert house.data(large, 17 * MB) is None
    house.now += GREETING_S + 1
    for seat in list(house._open)[1:]:
        seat.progress(PACE * 10)
    assert house.data(large, 17 * MB)
    assert house.left == [different(0)] and house.used == (10, 10 * 17 * MB)


def test_a_mail_that_is_being_stored_never_makes_way_and_is_in_flight_until_it_is_stored(house: House) -> None:
    seats = [house.enter(different(number)) for number in range(80)]
    stored = []
    for seat in seats:
        hold = house.data(seat, 2 * MB)
        assert hold is not None
        stored.append(hold.keep())
    house.now += 3600
    with pytest.raises(Full):
        house.enter(different(100))
    assert house.left == []
    for seat in seats:
        house.leave(seat)
    assert house.used == (0, 160 * MB), "the sessions have ended, the storing has not"
    for done in stored:
        done(None)
    assert house.used == (0, 0)


def test_a_stranger_never_pushes_out_a_known_relay_nor_a_known_one_a_trusted_one(tmp_path: Path) -> None:
    house = House(tmp_path, reserved=0.0, max_connections_per_address=100, max_connections_per_network=100)
    for _ in range(50):
        house.enter(KNOWN)
        house.enter("192.0.2.1", trusted=True)
    house.now += 3600
    with pytest.raises(Full):
        house.enter(different(1))
    house.enter(KNOWN)
    house.enter("192.0.2.1", trusted=True)
    assert house.left == [KNOWN, KNOWN]


def test_the_problem_says_when_a_new_sender_would_be_sent_away(tmp_path: Path) -> None:
    house = House(tmp_path)
    for number in range(80):
        assert house.limits.problem() == ""
        house.enter(different(number))
    assert house.limits.problem() == "no room for new senders: 80 of 100 connections in use"
    house.now += GREETING_S + 1
    assert house.limits.problem() == "", "a slow one would make way"
    other = House(tmp_path, max_connections=1000)
    for number in range(205):
        hold = other.data(other.enter(different(number)), SMALL)
        assert (hold is None) == (number >= 204)
        if hold is not None:
            hold.keep()
    assert other.limits.problem().startswith(f"no room for new senders: {204 * MB} of {256 * MB} octets in flight")


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_and_goes_the_bounds_hold_and_all_is_given_back(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    house = House(tmp_path, max_connections=30, max_in_flight=40 * MB, max_size=5 * MB)
    stored: list[Any] = []
    for _ in range(1500):
        house.now += dice.choice((0, 0.1, 3))
        seats = list(house._open)
        what = dice.random()
        if what < 0.4 or not seats:
            with contextlib.suppress(Full):
                trusted = dice.random() < 0.2
                house.enter(dice.choice((KNOWN, "2001:db8::1", different(dice.randrange(40)))), trusted)
        elif what < 0.55:
            house.leave(dice.choice(seats))
        elif what < 0.7:
            dice.choice(seats).progress(dice.randrange(MB))
        elif what < 0.95:
            seat = dice.choice(seats)
            if seat.hold is not None and seat.hold.kept:
                continue
            hold = house.data(seat, dice.randrange(3 * MB))
            if hold is not None and dice.random() < 0.1:
                stored.append(hold.keep())
        elif stored:
            stored.pop(dice.randrange(len(stored)))(None)
        connections, octets = house.used
        assert 0 <= connections == len(house._open) <= 30
        assert 0 <= octets <= 40 * MB
    for seat in list(house._open):
        house.leave(seat)
    for done in stored:
        done(None)
    assert house.used == (0, 0)
