"""What a support engineer sees at one glance, and what only looks like it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from gateway.model import Reading
from gateway.read import tables
from gateway.read.facts import ips, orders, services
from gateway.read.reading import Hints, read
from gateway.read.secrets import secrets
from gateway.read.words import quotes

WHEN = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
HINTS = Hints("a@b.example", WHEN, "Europe/Berlin")


def reading(text: str, subject: str = "x") -> Reading:
    raw = f"From: a@b.example\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    return read(raw.encode(), HINTS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#123456", ["123456"]), ("order 123456", ["123456"]), ("Order No. 123456.", ["123456"]), ("Bestellung Nr. 123456", ["123456"]),
        ("Bestellnummer: 123456", ["123456"]), ("заказ №123456", ["123456"]), ("замовлення 123456", ["123456"]), ("commande n° 123456", ["123456"]),
        ("pedido 123456", ["123456"]), ("orders #123456, #234567 and 345678", ["123456", "234567", "345678"]),
        ("color #123456", []), ("invoice 123456", []), ("[T-1234567]", []), ("#1234", []), ("123456", []), ("10115 Berlin", []),
        ("version 7.4.123456", []), ("+49 30 1234567", []), ("123456.78 EUR", []), ("/issues/#123456-x", []),
    ],
)  # fmt: skip
def test_orders(text: str, found: list[str]) -> None:
    assert [candidate.value for candidate in orders.orders_in(text)] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("invoice 214382", ["214382"]),
        ("Rechnung Nr. 214382", ["214382"]),
        ("счёт 214382", ["214382"]),
        ("order 214382", []),
    ],
)
def test_invoices(text: str, found: list[str]) -> None:
    assert [candidate.value for candidate in orders.invoices_in(text)] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("server 203.0.113.7.", ["203.0.113.7"]), ("PING 203.0.113.7: 64 bytes", ["203.0.113.7"]), ("203.0.113.0/29", ["203.0.113.0/29"]),
        ("(2001:DB8:1::5)", ["2001:db8:1::5"]), ("Server 203.0.113.7 (r1z7og44)", ["203.0.113.7"]), ("host http://203.0.113.7/x", ["203.0.113.7"]),
        ("127.0.0.1 10.0.0.1 192.168.1.1 255.255.255.0 0.0.0.0 224.0.0.1 ::1 fe80::1", []), ("8.8.8.8 and 1.1.1.1", []),
        ("version 7.4.3.1", []), ("v1.2.3.4", []), ("1.2.3.4.5", []), ("300.1.1.1", []), ("12:30:45", []), ("00:1a:2b:3c:4d:5e", []),
        ("Failed password for root from 198.51.100.7 port 22", []),
    ],
)  # fmt: skip
def test_addresses(text: str, found: list[str]) -> None:
    assert [candidate.value for candidate in ips.ips_in(text) if not candidate.weak] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("my r1z7og44 is slow", "r1z7og44"),
        ("service: blue-cat", "blue-cat"),
        ("on web1.customer.example", "web1.customer.example"),
    ],
)
def test_services(text: str, found: str) -> None:
    assert found in [candidate.value for candidate in services.services_in(text)]


def test_what_is_no_service_name() -> None:
    assert services.services_in("12345678 abcdefgh a@r1z7og44.example") == ()


@pytest.mark.parametrize(
    ("text", "began"),
    [
        ("down since 14:30", "2026-11-22T14:30:00+01:00"), ("nicht erreichbar seit gestern 14:30 Uhr MEZ", "2026-11-21T14:30:00+01:00"),
        ("недоступен с около 15:00 МСК", "2026-11-22T15:00:00+03:00"), ("caído desde las 14:30 CET", "2026-11-22T14:30:00+01:00"),
        ("down since 18:30", "2026-11-21T18:30:00+01:00"), ("outage began 2026-11-20 03:15 UTC", "2026-11-20T03:15:00+00:00"),
        ("let us meet at 14:30 tomorrow", None), ("since version 14.30", None), ("the 12:30:00 train", None),
    ],
)  # fmt: skip
def test_when_it_began(text: str, began: str | None) -> None:
    found = reading(text).started_at
    assert (found.isoformat() if found else None) == began


@pytest.mark.parametrize(
    ("text", "critical"),
    [
        ("My server is down", True), ("Der Server 203.0.113.7 ist nicht erreichbar.", True), ("сервер недоступен", True),
        ("This is URGENT!!!", False), ("The server was down but it works again", False), ("Is the price down?", False),
        ("What do you do if the server is down?", False),
    ],
)  # fmt: skip
def test_critical_needs_an_outage_and_a_service(text: str, critical: bool) -> None:
    assert reading(text).topics.critical is critical


@pytest.mark.parametrize(
    ("text", "department"),
    [
        ("I paid the invoice twice, please refund", "financial"),
        ("reboot the server", "technical"),
        ("just a word", "technical"),
    ],
)
def test_departments(text: str, department: str) -> None:
    assert reading(text).topics.department == department


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("reset my password", "password"),
        ("cancel my order", "cancellation"),
        ("please reinstall it", "reinstall"),
        ("change my e-mail", "email_change"),
    ],
)
def test_sensitive_requests(text: str, kind: str) -> None:
    assert kind in reading(text).topics.sensitive


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("password: abc123!", "password: [masked]"), ("Das Passwort lautet geheim1", "Das Passwort lautet [masked]"),
        ("my security code is 4711", "my security code is [masked]"), ("card 4111 1111 1111 1111.", "card [masked]."),
        ("card 4111 1111 1111 1112", "card 4111 1111 1111 1112"), ("token ghp_abcdefghijklmnop1234", "token [masked]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "[masked]"), ("I forgot my password", "I forgot my password"),
    ],
)  # fmt: skip
def test_secrets(text: str, left: str) -> None:
    assert secrets.mask(text)[0] == left
    assert secrets.suspected(text) or left == text  # a text that is not suspected is never masked


def test_a_secret_that_only_the_quoted_history_has_is_masked() -> None:
    read_ = reading(
        "It works now, thanks.\n\nOn Sun, 22 Nov 2026 at 10:15 Support <support@introserv.com> wrote:\n> password: abc123!\n"
    )
    assert read_.text == "It works now, thanks."
    assert "abc123!" in read_.full_text
    assert "abc123!" not in read_.masked_full_text
    assert read_.masked_full_text.endswith("> password: [masked]")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("My number is: +00 0000 000 000", "en"), ("or not? I do not see what it is.", "en"),
        ("Ich habe das auch noch nicht und es ist mir nicht klar.", "de"), ("Je ne sais pas si c'est bien le cas pour nous.", "fr"),
    ],
)  # fmt: skip
def test_the_common_words_of_a_short_text_tell_its_language(text: str, language: str) -> None:
    assert reading(text).language == language


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("Hello\n\nOn Mon, 1 Jan 2026 at 10:00, A <a@b.c> wrote:\n> old", "Hello"),
        ("Hallo\n\nAm 20.11.2026 um 10:00 schrieb Billing <b@c.d>:\n> alt", "Hallo"),
        ("Bonjour\n\nLe 20/11/2026 à 10:00, B a écrit :\n> vieux", "Bonjour"),
        ("Hi\n-- \nAnna\nPhone 1", "Hi"),
        ("Hi\n\nSent from my iPhone", "Hi"),
        ("New\n\n-----Original Message-----\nFrom: a@b.c\nold", "New"),
        ("New\n\nFrom: A <a@b.c>\nSent: Monday\nTo: B\nSubject: x\n\nold", "New"),
        ("Yes\n\n-- reply above this line --\nold", "Yes"),
        ("> only a quote", "> only a quote"),
        ("On b wrote:\n> q1\nmy answer\n> q2\nmore", "On b wrote:\nmy answer\nmore"),
    ],
)
def test_new_words(text: str, new: str) -> None:
    assert quotes.new_words(text) == new


def test_html_quotes_are_found_in_the_tree() -> None:
    raw = (
        b"From: a@b.example\r\nContent-Type: text/html\r\n\r\n<p>New words here</p>"
        b'<div class="gmail_quote">On x wrote:<blockquote>order #999999</blockquote></div>'
    )
    found = read(raw, HINTS)
    assert (found.text, [(c.value, c.quoted) for c in found.orders]) == ("New words here", [("999999", True)])


def test_our_marker_counts_wherever_a_mail_program_put_it() -> None:
    """Some programs make one line of what they quote."""
    assert (
        quotes.new_words("It works now\n\nbob -- reply above this line -- Hello, we have received your request")
        == "It works now"
    )


@pytest.mark.parametrize(
    "opening", ["<blockquote>", '<BLOCKQUOTE type="cite">', '<div class="yahoo_quoted">', "<div id='divRplyFwdMsg'>"]
)
def test_what_html_quotes_is_not_the_authors(opening: str) -> None:
    raw = f"From: a@b.example\r\nSubject: Re: x\r\nContent-Type: text/html\r\n\r\n<p>My own words.</p>{opening}<p>order #999999</p>".encode()
    assert read(raw, HINTS).text == "My own words."
    assert "999999" in read(raw, HINTS).full_text


def test_a_text_is_flattened_and_blanked_alike_in_ascii_and_beyond() -> None:
    text = "Dont`t   stop\t\r\n\n it,  A_b-c! "
    assert tables.flattened(text) == "dont't stop it, a_b-c!"
    assert tables.flattened(text + "\u2019É") == "dont't stop it, a_b-c! 'é"
    odd = "".join(map(chr, range(0x2010, 0x2100)))
    for tail in ("", "é", odd):
        assert tables.blanked(text + tail) == re.sub(r"\W", " ", text + tail)
    assert len({char for char in odd if not char.isalnum()}) > tables.MAX_SIGNS


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("see www.example.com/x: it", False), ("https://example.com/@anna: x", False), ("ftp://anna:x1@example.com", True),
        ("password: x", True), ("passwords change", False), ("root / x", True), ("coffee / tea", False),
    ],
)  # fmt: skip
def test_only_what_may_hide_a_secret_is_suspected(text: str, told: bool) -> None:
    assert secrets.suspected(text) is told


def test_the_words_around_a_fact_are_whole_words() -> None:
    text = "The day before yesterday everything was fine with order 123456, since then nothing works at all any more."
    assert orders.orders_in(text)[0].words == "was fine with order 123456, since then nothing"
    assert tables.around("x" * 50 + "123456" + "y" * 50, 50, 56) == "123456"
    assert tables.around("a 123456 b", 2, 8) == "a 123456 b"
    assert ips.ips_in("one\nthe address 203.0.113.7 is slow\ntwo")[0].words == "the address 203.0.113.7 is slow"
