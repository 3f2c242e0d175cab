"""Programs that answer us: robots without header fields, staff who are away, a gateway that is wired to another one."""

from __future__ import annotations

import email
import queue
import re
import smtplib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.database.store import Store
from gateway.demo import ZONE
from gateway.model import AccountMatch
from gateway.peers import Taken
from gateway.tickets import likeness, outgoing
from gateway.tickets.settings import Staff
from tests.peers.harness import LoopbackPeers, Running, until
from tests.samples import ACCOUNT_TEXT, FAIL, NOW, OUTAGE_TEXT, PASS, REGISTERED, STRANGER, budgeted, incoming, mail
from tests.test_budgets import all_of, answered, by
from tests.test_daemon import signed
from tests.test_desk import MINUTE, Desk

THANKS = (
    "Thank you for contacting Example Ltd. Your request has been received and we will answer it within one working day."
)
NOUNS = ("apple", "bridge", "candle", "desert", "engine", "forest", "garden", "harbour", "island", "jungle")


@pytest.fixture
def at(store: Store) -> Desk:
    return Desk(store)


def robot(number: int, words: str, match: AccountMatch = STRANGER) -> Any:
    """A proven author's mail with a subject of its own and a number and a few other words in its text."""
    noun = NOUNS[number % 10]
    text = f"{words}\r\n\r\nCase {number * 7919}, {noun}, please keep T-{'ABCDEFGH'[number % 8] * 7}."
    raw = mail(
        text,
        subject=f"{noun.title()} {number} of the {noun}s",
        author="robot@firm.example",
        Message_ID=f"<{number}@firm>",
    )
    what, _ = by("robot@firm.example", verdict=PASS, match=match)
    return incoming(raw, verdict=PASS, match=match, own=bool(match.accounts), envelope_=what.envelope), raw


@pytest.mark.fault("X43")
@pytest.mark.parametrize(
    ("words", "match", "most"),
    [(THANKS, STRANGER, 5), (THANKS, REGISTERED, 10), (ACCOUNT_TEXT, REGISTERED, 20), (OUTAGE_TEXT, REGISTERED, 50)],
    ids=["stranger", "customer", "customer names his server", "customer reports an outage"],
)
def test_a_robot_without_header_fields_is_acknowledged_a_few_times(
    at: Desk, words: str, match: AccountMatch, most: int
) -> None:
    outcomes = all_of(at, (robot(number, words, match) for number in range(most + 12)))
    assert answered(outcomes) == most
    silences = {outcome.decision.silence for outcome in outcomes[most:]}
    assert all(silence.startswith("perhaps a loop: ") for silence in silences)
    assert {outcome.decision.disposition for outcome in outcomes} == {"opened"}, "a person still sees each"
    at.tick(NOW + 25 * MINUTE)
    assert Counter(template for template, _ in at.customers())["status"] == most, "what is muted hears nothing later"


def test_other_words_and_other_orders_are_no_loop(at: Desk) -> None:
    texts = [
        "Hello, which locations do you offer, and is there one near Madrid?", "How do I change the reverse entry of my address?",
        "Please send me the last invoice again, we have lost it.", "Our backup did not finish tonight, can you have a look?",
        "Can I get a second address for the machine, and what does it cost?", "The panel shows an error when I log in.",
        "We want to move to a larger machine in spring, is that possible?", "Is there a maintenance planned for the weekend?",
    ]  # fmt: skip
    assert answered(all_of(at, (by("ann@plain.example", n, text, verdict=PASS) for n, text in enumerate(texts)))) == 8
    servers = (f"Hello, the disk of my server of order #{111111 + n} is slow." for n in range(30))
    mails = [by("anna@example.de", n, text, verdict=PASS, match=REGISTERED) for n, text in enumerate(servers)]
    assert answered(all_of(at, mails)) == 30


def test_a_likeness_is_bounded_and_survives_numbers_names_and_order() -> None:
    long = incoming(mail(" ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}x" for n in range(600))))
    assert len(likeness.of(long)) <= likeness.SIZE == 112
    one, two = (incoming(mail(f"{THANKS} Number {n}.", subject=f"No {n}")) for n in (1, 2))
    assert likeness.alike(likeness.of(one), likeness.of(two))
    assert not likeness.alike(likeness.of(one), likeness.of(incoming(mail(ACCOUNT_TEXT), own=False)))
    empty = incoming(mail("", subject=""))
    assert likeness.alike(likeness.of(empty), likeness.of(empty))


class Robot:
    """Answers every mail to its addresses as a new mail of its own, without any header field that would say so."""

    def __init__(self, addresses: tuple[str, ...], most: int = 200) -> None:
        self._addresses, self._most = addresses, most
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.port = 0
        self.sent = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def answer(self, taken: Taken) -> str:
        for recipient in taken.rcpt_tos:
            if recipient in self._addresses:
                self._queue.put(recipient)
        return "250 2.0.0 OK"

    def _work(self) -> None:
        while (author := self._queue.get()) is not None and self.sent < self._most:
            self.sent += 1
            raw = (
                f"From: {author}\r\nTo: support@introserv.com\r\nSubject: {NOUNS[self.sent % 10]} {self.sent}\r\n"
                f"Message-ID: <{self.sent}.robot@staff.example>\r\n\r\n{THANKS}\r\n"
            ).encode()
            with smtplib.SMTP("127.0.0.1", self.port, local_hostname="mx.staff.example", timeout=60) as client:
                client.sendmail(author, ["support@introserv.com"], raw)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(30)


HOST = {"TXT": ["v=spf1 ip4:127.0.0.0/8 -all"], "MX": [[10, "mx.staff.example"]]}


@pytest.fixture
def robots() -> Iterator[Callable[..., Robot]]:
    made: list[Robot] = []

    def make(*addresses: str) -> Robot:
        made.append(Robot(addresses))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_staff_address_that_answers_by_itself_makes_no_mail(robots: Callable[..., Robot], tmp_path: Path) -> None:
    """It answers the new ticket, the reminder, both of the breach and the digest; each answer is kept, and nothing more."""
    robot = robots("l1@staff.example", "Boss+x@staff.example")
    peers = LoopbackPeers(zone=ZONE | {"staff.example": HOST}, answer=robot.answer)
    staff = {"technical": ["l1@staff.example"], "escalation": ["Boss+x@staff.example"], "digest_every": "1s"}
    daemon = Running(tmp_path, peers, staff=staff, clock={"target": "1s", "status_reply": "2s", "limit": "3s"})
    try:
        robot.port = daemon.smtp_port
        daemon.send(signed(1), "ops@shop.example")
        until(lambda: sum(taken.rcpt_tos == ("Boss+x@staff.example",) for taken in peers.taken) == 1, 60, "the breach")
        until(
            lambda: robot.sent == len([1 for taken in peers.taken if "staff" in taken.rcpt_tos[0]]), 60, "its answers"
        )
        until(lambda: len(daemon.named("decided")) == 1 + robot.sent, 60)
        daemon.settled()
        rows = Counter(row["template"] for row in daemon.rows("outbox", "list", "--limit", "1000"))
        assert rows == {"received": 1, "status": 1, "staff_new": 1, "staff_alert": 1, "staff_breach": 2}
        assert robot.sent == 4
        tickets = daemon.rows("tickets", "list")
        assert len(tickets) == 5, "each answer is kept"
        assert sum(ticket["target_at"] is not None for ticket in tickets) <= 1
        shown = daemon.command(
            "tickets", "show", next(t["reference"] for t in tickets if "staff" in t["author"])
        ).stdout
        assert "no reply: mail from a staff address triggers no mail by itself" in shown
    finally:
        daemon.stop()
        peers.close()


def test_staff_addresses_have_a_cap_and_what_verified_customers_report_has_one_of_its_own(at: Desk) -> None:
    at.office = replace(at.office, rules=budgeted(at.office.rules, budget_total=(20, 3600.0)))
    all_of(at, (by(f"user{n}@plain{n}.example", n) for n in range(50)))
    told = [row for row in at.outbox() if row.template == "staff_new"]
    assert len(told) == 20
    all_of(at, [by("anna@example.de", 1, OUTAGE_TEXT, verdict=PASS, match=REGISTERED)])
    assert sum(row.template == "staff_new" for row in at.outbox()) == 21
    assert at.store.write_now(lambda c: outgoing.digest(c, at.office, NOW)) == 30, "the rest in the digest"


def test_staff_mail_never_goes_to_ourselves(at: Desk) -> None:
    at.office = replace(at.office, staff=Staff(technical=("support+l1@introserv.com", "l1@introserv.com")))
    all_of(at, [by("anna@example.de", 1, verdict=PASS, match=REGISTERED)])
    assert {row.recipient for row in at.outbox() if row.kind == "staff"} == {"l1@introserv.com"}


def test_what_staff_addresses_answer_makes_no_digest_due_and_stands_in_the_next(at: Desk) -> None:
    hour = timedelta(hours=1)
    what, raw = by("l1@introserv.com", 1, THANKS, verdict=PASS)
    (outcome,) = all_of(at, [(replace(what, echo="mail from a staff address triggers no mail by itself"), raw)])
    assert (outcome.decision.disposition, outcome.decision.clock, outcome.replied) == ("opened", False, None)
    assert at.outbox() == []
    assert not at.store.read_now(outgoing.anything_to_tell)
    assert at.store.write_now(lambda c: outgoing.digest(c, at.office, NOW + 48 * hour)) == 0
    forged, raw = by("anna@example.de", 2, verdict=FAIL)
    all_of(at, [(forged, raw)])
    assert at.store.write_now(lambda c: outgoing.digest(c, at.office, NOW + 49 * hour)) == 2


def test_our_own_plus_addresses_are_ours(at: Desk) -> None:
    for number, author in enumerate(("support+x@introserv.com", "Support+T@INTROSERV.com", "support@introserv.com.")):
        what, raw = by(author, number)
        (outcome,) = all_of(at, [(what, raw)])
        assert (outcome.decision.disposition, outcome.replied) == ("quarantined", None), author


_STRIPPED = re.compile(
    rb"(?im)^(?:auto-submitted|x-auto-response-suppress|x-gateway-loop|in-reply-to|references|dkim-signature):[^\n]*\n(?:[ \t][^\n]*\n)*"
)


@pytest.mark.fault("X42")
@pytest.mark.parametrize("stripped", [False, True], ids=["as they are", "without their header fields"])
def test_two_gateways_that_are_wired_to_answer_each_other_end(tmp_path: Path, stripped: bool) -> None:
    """A mail to each in the name of the other; a relay between them, which in one case removes what says who wrote it."""
    domains = ("introserv.com", "other.example")
    todo: queue.SimpleQueue[Taken | None] = queue.SimpleQueue()
    ports: dict[str, int] = {}
    carried: list[int] = []

    def answer(taken: Taken) -> str:
        todo.put(taken)
        return "250 2.0.0 OK"

    def carry() -> None:
        while (taken := todo.get()) is not None and len(carried) < 300:
            number, raw = len(carried) + 1, taken.raw
            if stripped:
                raw = _STRIPPED.sub(b"", raw)
                raw = re.sub(rb"(?im)^(message-id|subject):[^\n]*\n(?:[ \t][^\n]*\n)*", b"", raw)
                raw = (
                    f"Subject: {NOUNS[number % 10]} {number}\r\nMessage-ID: <{number}.x@relay.example>\r\n".encode()
                    + raw
                )
            port = ports.get(taken.rcpt_tos[0].rpartition("@")[2].lower())
            if port is not None:
                with smtplib.SMTP("127.0.0.1", port, local_hostname="mx.relay.example", timeout=60) as client:
                    client.sendmail(taken.mail_from, list(taken.rcpt_tos), raw)
            carried.append(number)

    zone = ZONE | dict.fromkeys(domains, HOST)
    carrier = threading.Thread(target=carry, daemon=True)
    with ExitStack() as stack:
        peers = LoopbackPeers(zone=zone, answer=answer)
        stack.callback(peers.close)
        gateways: list[Running] = []
        for domain in domains:
            folder = tmp_path / domain
            folder.mkdir()
            given = {"address": f"support@{domain}", "hostname": "mx.x.example", "state_dir": str(folder / "state")}
            gateways.append(Running(folder, peers, gateway=given))
            stack.callback(gateways[-1].stop)
            ports[domain] = gateways[-1].smtp_port
        carrier.start()
        for here, there, gateway in zip(domains, reversed(domains), gateways, strict=True):
            raw = f"From: support@{there}\r\nTo: support@{here}\r\nSubject: Hello\r\nMessage-ID: <1@{there}>\r\n\r\nHello, do you offer servers?\r\n"
            assert gateway.send(raw.encode(), f"support@{there}", f"support@{here}")[0] == 250

        def quiet() -> bool:
            before = len(peers.taken)
            for gateway in gateways:
                gateway.settled()
            return before == len(peers.taken) == len(carried)

        until(quiet, 120, "an end")
        todo.put(None)
        carrier.join(60)
        assert len(peers.taken) <= (20 if stripped else 2)
        for taken in peers.taken:
            assert email.message_from_bytes(taken.raw)["Auto-Submitted"] == "auto-replied"
