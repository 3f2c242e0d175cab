"""People who follow no rule: what they get, and what staff read of it, kept word for word from a support shift that was played.

To take over what is written now: ``GOLDEN=write python -m pytest tests/test_odd_customers.py``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.database.store import Store
from gateway.model import AccountMatch, OutboxItem
from gateway.read.words import quotes
from gateway.replies import page, render
from gateway.replies.render import Sender, Templates
from gateway.replies.samples import samples
from gateway.settings import Gateway
from gateway.tickets import desk, nudges, people
from gateway.tickets.outgoing import Acting
from tests.samples import JOE, NONE, NOW, REGISTERED, RULES, STRANGER, budgeted, envelope, incoming, mail, office
from tests.test_desk import MINUTE, Desk

GOLDEN = Path(__file__).parent / "golden" / "shift.txt"
TEMPLATES = Templates(None)
SENDER = Sender(
    Gateway(address="support@introserv.com", name="INTROSERV Support", client_area_url="https://portal.example/", chat_url="https://chat.example/"), "verp", b"s" * 32
)  # fmt: skip
SEVEN = replace(RULES, languages=("de", "en", "es", "fr", "it", "ru", "uk"))
REFERENCE = re.compile(r"T-[0-9A-Z]{7}")


@pytest.fixture
def at(store: Store) -> Desk:
    return Desk(store)


class Shift:
    """A desk, what everybody wrote, and what they read."""

    def __init__(self, folder: Path) -> None:
        store = Store(f"sqlite:///{folder / 'gateway.db'}")
        store.open(NOW)
        self.at = Desk(store)
        self.at.office = office(store.keys, store.key_id, budgeted(SEVEN, budget_domain=(1000, 3600.0)))
        self.pages: list[str] = []
        self._count = 0
        self._names: dict[str, str] = {}

    def write(self, title: str, text: str, subject: str, match: AccountMatch = REGISTERED, **more: Any) -> desk.Outcome:
        """A mail of Anna's, or of whom ``author`` names; ``minute``: when."""
        self._count += 1
        author, minute = more.pop("author", "Anna Schmidt <anna@example.de>"), more.pop("minute", self._count)
        address = author.partition("<")[2].rstrip(">")
        verdict = {"verdict": more.pop("verdict")} if "verdict" in more else {}
        raw = mail(text, subject, author, Message_ID=f"<shift{self._count}@example.de>", **more)
        now = NOW + minute * MINUTE
        what = incoming(
            raw,
            match=match,
            own=match is not STRANGER,
            envelope_=envelope(mail_from=address, received_at=now),
            **verdict,
        )
        before = len(self.at.outbox())
        found = self.at.take(what, raw, now)
        self._page(f"{title}\n{author} writes: {subject or '(no subject)'}\n\n{_set_off(text)}", before)
        return found

    def answers(self, title: str, reference: str, words: str, close: bool = False) -> None:
        """A person answers, and closes."""
        before, now = len(self.at.outbox()), NOW + (self._count + 0.5) * MINUTE
        self.at.store.write_now(lambda c: people.answer(c, reference, words, Acting(JOE, self.at.office, now)))
        if close:
            self.at.store.write_now(lambda c: people.close(c, reference, Acting(JOE, self.at.office, now + MINUTE / 2)))
        self._page(title, before)

    def last(self) -> tuple[str, str]:
        """(subject, text) of the newest mail to a customer."""
        return _rendered([row for row in self.at.outbox() if row.kind != "staff"][-1])

    def _page(self, title: str, before: int) -> None:
        rows = [row for row in self.at.outbox()[before:] if row.recipient != "boss@introserv.com"]
        mails = [f"--> {row.recipient}\nSubject: {_rendered(row)[0]}\n\n{_rendered(row)[1]}" for row in rows]
        page = f"===== {title}\n\n" + ("\n".join(mails) or "(nothing goes out)\n")
        self.pages.append(REFERENCE.sub(self._named, page))

    def _named(self, match: re.Match[str]) -> str:
        return self._names.setdefault(match[0], f"T-000000{len(self._names) + 1:X}")


def _set_off(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def _rendered(row: Any) -> tuple[str, str]:
    item = OutboxItem("", row.template, row.language, row.recipient, row.kind, row.context)
    text = TEMPLATES.text(row.template, row.language, render.variables(SENDER, row.context))
    return render.subject_of(item, SENDER, TEMPLATES.words(row.language)), page.wrapped(text)


def quoted(text: str, head: str = "") -> str:
    return f"{head}\n" + "\n".join(f"> {line}".rstrip() for line in text.rstrip().splitlines())


@pytest.fixture
def shift(tmp_path: Path) -> Iterator[Shift]:
    made = Shift(tmp_path)
    yield made
    made.at.store.close()


ON = "On Sun, 22 Nov 2026 at 19:02, INTROSERV Support <support@introserv.com> wrote:\n"
LONG_SIGNATURE = """Kind regards
Robert "Bob" Archer | Senior Infrastructure Lead
Bright Ledger Ltd | 4 Cannon Row | London EC4N 6AP
T +44 20 7946 0123 | M +44 7700 900777"""
TWO = """Moin,

seit 6 Uhr ist der Shop 203.0.113.7 komplett weg, kein Ping nix.
Und wenn ihr schon dabei seid: die Rechnung vom Oktober wurde zweimal abgebucht, bitte die 89 Euro zurück.

Gruß Anna"""
ABUSE = """Forwarded to me, what shall I do?

-------- Forwarded message --------
From: abuse@honeynet.example
Subject: Abuse from 203.0.113.7

Dear Sirs, your IP 203.0.113.7 scans our network."""


def test_what_people_who_follow_no_rule_get(shift: Shift) -> None:
    shift.write("A photo without a word", "", "")
    shift.write("Only whether there is news", "Any news?\n\nSent from my phone", "any news")
    slow = shift.write(
        "A slow site", "Hello, the site has been very slow since this morning. Can you check?\n\nAnna", "slow site"
    )
    _, ours = shift.last()
    lines = quoted(ours).splitlines()
    at = next(number for number, line in enumerate(lines) if "order number" in line)
    between = "\n".join([*lines[: at + 1], "", "123456", "", *lines[at + 1 :]])
    shift.write("Answers between our questions", f"{ON}{between}\n\nThanks, Anna", f"Re: slow site [{slow.reference}]")
    shift.write("An answer below the whole of our mail", f"{quoted(ours, ON)}\n\nPing is 3 ms, MySQL takes all of the CPU.\n\nAnna", f"Re: slow site [{slow.reference}]")  # fmt: skip
    both = shift.write("An outage and an invoice in one mail", TWO, "Shop tot + Rechnung")
    assert (both.decision.department, both.decision.marks) == ("technical", ("critical", "also asks: financial"))
    down = shift.write(
        "An outage from a phone", "Server kaputt??? seit heute früh kommt nix mehr. bitte dringend!!!", "Server"
    )
    shift.write("The same again", "Server kaputt??? seit heute früh kommt nix mehr. bitte dringend!!!", "Server")
    shift.write(
        "It works again", f"Läuft wieder, danke!\n{quoted(shift.last()[1], ON)}", f"Re: Server [{down.reference}]"
    )
    shift.write("A signature longer than the words", f"pls reboot 123456\n\n{LONG_SIGNATURE}", "reboot")
    disk = shift.write("A disk", "The disk of order #123456 is slow.", "Please help")
    shift.answers("Joe answers and closes", disk.reference or "", "Hello,\n\nthe disk is replaced.\n\nJoe", close=True)
    invoice = shift.write("Another matter under the closed one", f"By the way, please send me the invoice for order #123456 again.\n{quoted(shift.last()[1], ON)}", f"Re: Please help [{disk.reference}]")  # fmt: skip
    assert (invoice.decision.outcome, invoice.reference != disk.reference) == ("linked", True)
    shift.write("An abuse report that was passed on", ABUSE, "Fwd: Abuse from 203.0.113.7")
    shift.write("A bank about a customer's page", "The page http://198.51.100.9/login.php imitates our bank. Please take it down.", "Phishing at your customer", STRANGER, author="Security <sec@bank.example>", verdict=NONE)  # fmt: skip
    stranger = {"author": "Igor <igor@private.example>", "verdict": NONE, "match": STRANGER}
    asks = shift.write("A customer from another address", "Здравствуйте! До какого числа оплачен мой сервер, заказ #123456?", "Оплата", **stranger)  # fmt: skip
    shift.write("He answers with his code", f"Да это же я! Кодовое слово: Барсик-4471.\n{quoted(shift.last()[1], ON)}", f"Re: [{asks.reference}] Ваш запрос в INTROSERV Support", **stranger)  # fmt: skip
    written = "\n".join(shift.pages)
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(written, encoding="utf-8")
    assert written == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("Any news?", True), ("Hallo, gibt es etwas Neues?", True), ("Il y a quelqu'un ?", True), ("Alguna novedad?", True),
        ("Ci sono novità?", True), ("Есть ли новости?", True), ("Є новини?", True), ("", False),
        ("Any news about order 123456?", False), ("Our news server is down.", False),
        ("Is there any update? " + "The disk is slow and the site answers with errors since noon. " * 3, False),
    ],
)  # fmt: skip
def test_who_only_asks_for_news_is_asked_for_nothing(text: str, only: bool) -> None:
    assert nudges.only(text) is only


@pytest.mark.parametrize("language", SEVEN.languages)
def test_words_below_our_whole_mail_are_found(language: str) -> None:
    ours = TEMPLATES.text("received", language, render.variables(SENDER, samples("received")[0]))
    below = quoted(page.wrapped(ours), ON)
    assert quotes.new_words(f"{below}\n\nIt is slow again.\n") == "It is slow again."
    assert quotes.new_words(f"Yes.\n\n{below}\n\nMore below.\n") == "Yes.", "words above were all there was to say"
    between = below.replace("#123456", "#123456\n\nthat is right\n", 1)
    assert "that is right" in quotes.new_words(between + "\n\nBye.\n")


def test_what_a_follow_up_tells_is_not_missing_any_more(at: Desk) -> None:
    raw = mail("The disk is slow.", "Disk")
    first = at.take(incoming(raw), raw).reference
    assert at.show(first)["missing"] == ["order_or_ip", "service", "description", "diagnostics"]
    raw = mail("It is order #123456, the server 203.0.113.7.", f"Re: Disk [{first}]", Message_ID="<2@example.de>")
    at.take(incoming(raw), raw, NOW + MINUTE)
    assert at.show(first)["missing"] == ["diagnostics"]


def test_an_outage_that_is_told_again_joins_the_first_whatever_the_budgets_are(at: Desk) -> None:
    at.office = replace(at.office, rules=budgeted(at.office.rules, budget_domain=(1000, 3600.0)))
    text = "Hello, my server is down and nothing responds to ping."
    found = []
    for number in (1, 2):
        now = NOW + timedelta(minutes=3 * number)
        raw = mail(text, "Down", Message_ID=f"<down{number}@example.de>")
        found.append(at.take(incoming(raw, envelope_=envelope(received_at=now)), raw, now))
    assert (found[1].reference, found[1].decision.disposition) == (found[0].reference, "appended")
    assert at.customers() == [("emergency", "anna@example.de")]


def test_the_example_of_our_own_mail_is_no_order_of_somebody() -> None:
    ours = TEMPLATES.text("received", "en", render.variables(SENDER, samples("received")[-1]))
    for words in (
        f"It is slow.\n\n{quoted(ours, ON)}",
        f"{quoted(ours, ON)}\n\nIt is slow.",
        quoted(ours, ON).replace("IP address", "IP address\n\nI do not know\n"),
    ):
        reading = incoming(mail(words, "Re: Disk [T-ABE1X06]", In_Reply_To="<a@b.example>")).reading
        assert (reading.orders, [host for host in reading.hosts if not host.quoted]) == ((), [])
