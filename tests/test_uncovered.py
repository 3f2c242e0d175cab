"""What no signature covers decides nothing that matters: blanks at the end of a line and runs of them (RFC 6376 section 3.4.4),
format=flowed, delsp. The outage of a mail is one however they are written."""

from __future__ import annotations

import itertools

import pytest

from gateway.read.reading import Hints, read
from tests.samples import NOW, mail

HINTS = Hints("anna@example.de", NOW, "Europe/Berlin")
MAILS = {
    "below dashes": ("Hello,", "--", "the order #123456 is down since noon, nothing answers, emergency!"),
    "dashes first": ("--", "the order #123456 is down since noon, nothing answers, emergency!", "Anna"),
    "between sections": ("Our shop:", "--", "It is down since noon, the server does not answer at all!", "--", "Anna"),
    "no dashes": ("Hello,", "the order #123456 is down since noon,", "nothing answers, emergency!", "--", "Anna"),
}
WAYS = {
    "plain": {},
    "flowed": {"Content_Type": "text/plain; format=flowed"},
    "delsp": {"Content_Type": "text/plain; format=flowed; delsp=yes"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MAILS)
def test_blanks_at_the_end_of_lines_hide_no_outage(name: str, way: str) -> None:
    lines = MAILS[name]
    for blanks in itertools.product(("", " "), repeat=len(lines)):
        text = "\r\n".join(line + blank for line, blank in zip(lines, blanks, strict=True)) + "\r\n \r\n\r\n"
        found = read(mail(text, "Our shop", **WAYS[way]), HINTS)
        assert found.topics.critical, (text, found.text)
        assert all(not order.quoted for order in found.orders), text


def test_more_blanks_between_words_hide_no_outage() -> None:
    for lines in MAILS.values():
        text = "\r\n".join(line.replace(" ", " \t  ") for line in lines)
        assert read(mail(text, "Our shop"), HINTS).topics.critical, text


def test_a_signature_that_tells_no_outage_is_cut() -> None:
    """As every program writes it, with a sentence in it."""
    text = "Hello, the disk is slow.\r\n-- \r\nAnna Schmidt\r\nWe make the best shops of the whole world.\r\n"
    assert read(mail(text), HINTS).text == "Hello, the disk is slow."
