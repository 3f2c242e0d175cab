"""Facts that take more than the words beside them: numbers that the directory knows, alerts that are passed on, reports of abuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.mail import tokens
from gateway.model import Author, AuthorStatus, DeliveryReport, Fact, Reading
from gateway.read.facts.found import Found, found_in
from gateway.read.reading import Hints, read
from gateway.read.secrets.masked import Masked
from gateway.read.words import alerts
from gateway.verify.accounts import judged, match
from gateway.verify.directory import Directory
from tests.peers.harness import write_accounts
from tests.samples import NOW

HINTS = Hints("anna@example.de", NOW, "Europe/Berlin")
NAGIOS = "***** Nagios *****\n\nNotification Type: PROBLEM\nHost: node-lon2.quillhost.example\nState: DOWN\nAddress: 198.51.100.22"
ZABBIX = "Problem started at 04:12:33 on 2026.11.19\nProblem name: Unavailable by ICMP ping\nHost: node-lon2.quillhost.example\nSeverity: Disaster"
ROBOT = "The monitor Shop (https://node-lon2.quillhost.example) is currently DOWN."
GMAIL = "---------- Forwarded message ---------\nFrom: Nagios <nagios@mon.example>\nSubject: alert\nDate: Tue, 24 Nov 2026\nTo: a@b.example\n\n"


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    write_accounts(
        tmp_path,
        {
            "accounts.csv": "account,name,language,status\n10023,Anna,de,active\n10024,Bob,en,active\n",
            "addresses.csv": "account,address,role\n10023,anna@example.de,owner\n",
            "orders.csv": "order,account,service,status,ips\n123456,10023,shop.example,active,203.0.113.7\n"
            "654321,10024,www.other.example,active,203.0.113.8\n",
        },
    )
    directory = Directory(tmp_path, tmp_path / "accounts", 0.2, 86400)
    directory.reload(NOW)
    return directory


def written(text: str, subject: str = "x", fields: str = "") -> bytes:
    head = f"From: anna@example.de\r\nSubject: {subject}\r\n{fields}Content-Type: text/plain; charset=utf-8\r\n\r\n"
    return f"{head}{text}\r\n".encode()


def reading(text: str, subject: str = "x", fields: str = "") -> Reading:
    return read(written(text, subject, fields), HINTS)


def passed_on(
    monkeypatch: pytest.MonkeyPatch, below: str, subject: str, fields: str = ""
) -> tuple[Reading, frozenset[str]]:  # fmt: skip
    """(what is read of a mail with this below its author's words, what of it counts as his own)."""
    seen: list[Found] = []

    def kept(words: Masked, report: DeliveryReport | None, passes_on: bool) -> Found:
        seen.append(found_in(words, report, passes_on))
        return seen[-1]

    monkeypatch.setattr("gateway.read.reading.found_in", kept)
    found = reading(f"Please see below, still open.\n\n{GMAIL}{below}", subject, fields)
    return found, seen[0].passed_on


def named(found: tuple[Fact, ...]) -> list[tuple[str, str]]:
    return [(fact.value, str(fact.ownership)) for fact in found]


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("123456 does not answer", [("123456", "own")]),
        ("оплатив 123456 приватом, а 405129 ні", [("123456", "own")]),
        ("654321 does not answer", []),  # another's: nobody is told so for a number that he only wrote
        ("order 654321 and order 405129", [("654321", "foreign"), ("405129", "unknown")]),
        ("my code is 123456", []),
    ],
)
def test_a_number_alone_is_an_order_where_it_is_the_authors(
    text: str, orders: list[tuple[str, str]], directory: Directory
) -> None:
    author = Author(AuthorStatus.OK, "anna@example.de", "", "")
    facts = judged(reading(text), match(author, directory, NOW), directory)[0]
    assert named(facts.orders) == orders


def test_a_number_is_called_what_the_quoted_words_call_it() -> None:
    found = reading(
        "123456 is meant\n\nOn 24 Nov 2026 at 10:00, Joe <joe@a.example> wrote:\n> which order is it, order 123456?"
    )
    assert [(c.value, c.quoted, c.weak) for c in found.orders] == [("123456", False, False)]


@pytest.mark.parametrize(
    "alert", [NAGIOS, ZABBIX, ROBOT, f"Узел сети: {'node-lon2.quillhost.example'}\nВажность: Чрезвычайная"]
)
@pytest.mark.parametrize("subject", ["Fwd: PROBLEM", "WG: [Zabbix] node-lon2", "still down"])
def test_an_alert_that_is_passed_on_is_its_authors(monkeypatch: pytest.MonkeyPatch, alert: str, subject: str) -> None:
    seen, found = passed_on(monkeypatch, alert, subject)
    assert [(c.value, c.quoted) for c in seen.hosts] == [("node-lon2.quillhost.example", True)]
    assert [(c.value, c.quoted) for c in seen.ips] == ([("198.51.100.22", True)] if alert == NAGIOS else [])
    assert found == {c.value for c in (*seen.hosts, *seen.ips)}


@pytest.mark.parametrize(
    ("below", "subject", "fields"),
    [
        (NAGIOS, "Re: alert", "In-Reply-To: <a@b.example>\r\n"),  # the words of whom he answers
        ("Hello,\n\nsee node-lon2.quillhost.example, address 198.51.100.22.\n\nJoe", "Fwd: look", ""),  # a person's
        (f"-- reply above this line --\n\n{NAGIOS}", "Fwd: alert", ""),  # ours
    ],
)
def test_what_another_wrote_stays_his(
    monkeypatch: pytest.MonkeyPatch, below: str, subject: str, fields: str
) -> None:  # fmt: skip
    _, found = passed_on(monkeypatch, below, subject, fields)
    assert found == frozenset()


def test_only_the_lines_of_an_alert_are_taken() -> None:
    assert alerts.passed_on(f"Joe, shop.example\n{ROBOT}\nSent by mon.example") == ROBOT
    assert alerts.passed_on("Host: shop.example\nKind regards") == ""


@pytest.mark.parametrize(
    ("subject", "text", "found"),
    [
        ("Abuse report: SSH brute force from 192.0.2.66", "A host in your network attacks us.", ["192.0.2.66"]),
        ("Abuse report", "Dear abuse team, a host in your network attacks us.\n\nsshd[1]: Failed password for root from 192.0.2.66 port 51022 ssh2", ["192.0.2.66"]),
        ("Server slow", "We see this, what is it?\n\nsshd[1]: Failed password for root from 192.0.2.66 port 51022 ssh2", []),
    ],
)  # fmt: skip
def test_what_a_report_of_abuse_is_about(subject: str, text: str, found: list[str]) -> None:
    assert [c.value for c in reading(text, subject).ips if not c.weak] == found


def test_a_machine_is_named_once() -> None:
    assert [c.value for c in reading("hv2.polhost.example is down", "hv2 again").hosts] == ["hv2.polhost.example"]
    assert [c.value for c in reading("hv3.polhost.example is down, hv2 too").hosts] == ["hv3.polhost.example", "hv2"]


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("CNAME autodiscover to autodiscover.outlook.com for shop.example", ["shop.example"]),
        ("MX is shop-example.mail.protection.outlook.com", []),
        ("all boxes @shop.example are mute, *@other.example too, anna@third.example not", ["shop.example", "other.example"]),
        ("my nick is @anna.works, all @gmail.com users", []),
    ],
)  # fmt: skip
def test_names_of_domains_and_of_the_whole_world(text: str, hosts: list[str]) -> None:
    assert [c.value for c in reading(text).hosts] == hosts


def test_our_own_words_and_numbers_tell_nothing_of_a_matter() -> None:
    """Whatever number a ticket has, and whatever our mail said between whose lines he answers."""
    reference = tokens.new()
    subject = f"Re: slow site [{reference}]"
    assert tokens.without(subject) == "Re: slow site "
    assert tokens.without("T-shirts, [T-0000001]") == "T-shirts, [T-0000001]"  # none of ours
    ours = "> -- reply above this line --\n>\n> Your server is down: we reply within 10 minutes.\n"
    read_ = reading(
        f"On Sun, 22 Nov 2026 at 19:02, INTROSERV Support <support@introserv.com> wrote:\n\n{ours}> When?\nLast week.",
        subject,
    )
    assert not read_.topics.critical
    assert not any(reference[2:].lower() in term.lower() for term in read_.topics.terms)
