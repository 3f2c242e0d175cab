"""A mail that answers nothing has no quote unless one is introduced unmistakably, and dashes between its sections begin no signature."""

from __future__ import annotations

import pytest

from gateway.read.reading import Hints, read
from gateway.read.words import quotes
from tests.samples import NOW

OWN = {
    "marked lines of a manual": "Your manual says\n\n> run it twice\n> and then reboot\n\nWhy does it ask for a licence?",
    "what a colleague said": "When I called, your colleague wrote this on a note:\n\n> reboot\n\nIt did not help.",
    "rules between sections": "What happens:\n______________________________\nit stops at 40%\n---\nWhat I tried:\nrestarted it\n--\nlog\n--\nlog two, 198.51.100.9",
    "a rule and a question": "Please tell me the price of more RAM.\n___\nServer tfz1cvkr is completely down since 9:20 CET! Order #234567.",
    "an em dash": "Two questions.\n\n—\nWhich system do you recommend for a small shop?",
    "prices": "Auf der Webseite steht:\n____________\nVon: 12 EUR\nBis: 20 EUR\n____________\nWas gilt denn nun?",
    "two hyphens and a blank far above the end": "A.\n-- \n"
    + "The next part of the story is told here.\n" * 25
    + "End.",
    "hyphens of grep": "It shows:\n\nNov 28 09:19:59 web kernel: nvme0 reset\n--\nNov 28 09:20:03 web kernel: I/O error\n\nPlease help.",
}
SIGNED = "Please call me back.\n\n{}\nAnna Schmidt\nNordwind GmbH, 10115 Berlin\nTel. +49 30 1234567\nhttps://nordwind.example"
INTRODUCED = (
    "On Tue, Nov 24, 2026 at 3:12 PM, INTROSERV Support <support@introserv.com> wrote:\n\nOrder #445566.",
    "Am 24.11.26 um 10:15 schrieb INTROSERV Support:\n> Auftrag #445566",
    "> Dne 22. 11. 26 v 10:15 INTROSERV Support napsal(a):\n>\n> #445566",
    "-----Original Message-----\nFrom: INTROSERV Support\nSent: 24 November 2026 14:05\nSubject: x\n\nOrder #445566.",
    "From: INTROSERV Support <support@introserv.com>\nDate: 24 November 2026 14:05\nTo: me\nSubject: x\n\nOrder #445566.",
)
CITED = (
    "<blockquote type='cite'><p>Order #445566</p></blockquote>",
    "<div class='gmail_quote'><blockquote><p>Order #445566</p></blockquote></div>",
    "<p>On Tue, Nov 24, 2026 at 3:12 PM Support &lt;a@b.example&gt; wrote:</p><blockquote><p>Order #445566</p></blockquote>",
)
#: words above, how a mail program introduces the old mail, and the old mail
ANSWERED = (
    ("Yes please go ahead.", "On Tue, Nov 24, 2026 at 3:12 PM Support <support@introserv.com> wrote:", " "),
    ("Ja, bitte.", "Am Di., 24. Nov. 2026 um 15:12 Uhr schrieb Support <support@introserv.com>:", " "),
    ("Oui, allez-y", "Le mar. 24 nov. 2026 à 15:12, Support\n<support@introserv.com> a écrit :", " "),
    ("Да, делайте.", "В вт, 24 нояб. 2026 г. в 15:12, Support <support@introserv.com> написал:", " "),
    ("I paid it.", "---- Support wrote ----", "\n\n"),
    ("Ich habe bezahlt.", "---- INTROSERV Support schrieb ----", "\n\n"),
    ("It works.", "On Fri, Nov 27, 2026 at 3:04 PM, Support <support@introserv.com> said:", "\n\n"),
    ("Funziona.", "Il 27/11/2026 15:04, Support <support@introserv.com> ha detto:", "\n\n"),
    ("It works.", "On 27 Nov 2026, Support <support@introserv.com> sent:", "\n\n"),
)


def told(head: str, body: str, kind: str = "text/plain") -> str:
    raw = f"From: a@b.example\nMessage-ID: <1@b.example>\nContent-Type: {kind}; charset=utf-8\n{head}\n\n{body}\n"
    return read(raw.replace("\n", "\r\n").encode(), Hints("a@b.example", NOW, "Europe/Berlin")).text


@pytest.mark.parametrize("text", OWN.values(), ids=OWN)
def test_what_the_author_of_a_first_mail_divides_and_marks_is_kept(text: str) -> None:
    assert told("Subject: Question", text).split() == text.split()


@pytest.mark.parametrize(
    "head", ["Subject: Re: Question", "Subject: Aw: Frage", "Subject: x\nIn-Reply-To: <a@b.example>"]
)
def test_marked_lines_of_an_answer_are_quotes(head: str) -> None:
    assert told(head, "It did not help.\n\n> run it twice\n> and then reboot") == "It did not help."


@pytest.mark.parametrize("dashes", ["-- ", "--", "—", "___"])
def test_a_signature_is_cut_from_a_first_mail_too(dashes: str) -> None:
    assert told("Subject: x", SIGNED.format(dashes)) == "Please call me back."


@pytest.mark.parametrize("old", INTRODUCED)
def test_what_is_introduced_unmistakably_is_cut_from_a_first_mail(old: str) -> None:
    assert told("Subject: x", f"It is slow again.\n\n{old}") == "It is slow again."


@pytest.mark.parametrize("block", CITED)
def test_what_a_mail_program_marks_in_html_is_cut_from_a_first_mail(block: str) -> None:
    assert told("Subject: x", f"<p>It is slow again.</p>{block}", "text/html").startswith("It is slow again.")
    assert "445566" not in told("Subject: x", f"<p>It is slow again.</p>{block}", "text/html")


def test_a_block_that_html_indents_is_its_authors() -> None:
    body = "<p>It says:</p><blockquote style='margin:0 0 0 40px'><p>order 445566 is down</p></blockquote><p>Help.</p>"
    assert told("Subject: x", body, "text/html").split() == ["It", "says:", "order", "445566", "is", "down", "Help."]
    assert told("Subject: Re: x", body, "text/html").split() == ["It", "says:", "Help."]


def test_what_stands_behind_a_cut_is_a_quoted_fact() -> None:
    raw = b"From: a@b.example\r\nSubject: Re: x\r\n\r\nYes. On Tue, Nov 24, 2026 at 3:12 PM S <s@b.example> wrote:\r\n> #445566\r\n"
    assert [(c.value, c.quoted) for c in read(raw, Hints("a@b.example", NOW, "Europe/Berlin")).orders] == [
        ("445566", True)
    ]


@pytest.mark.parametrize(("words", "line", "between"), ANSWERED)
def test_an_attribution_is_found_where_it_stands(words: str, line: str, between: str) -> None:
    assert quotes.new_words(f"{words}{between}{line}\n\n> old words of #445566\n") == words


@pytest.mark.parametrize(
    "text",
    [
        "Your colleague said on the phone at 14:30:\nreboot it\n\nI did.",
        "The mail that we got On Tue, 24 Nov 2026 from Support <s@b.example> was empty.\nWhy?",
    ],
)
def test_who_tells_of_what_was_said_goes_on(text: str) -> None:
    assert quotes.new_words(text) == text
