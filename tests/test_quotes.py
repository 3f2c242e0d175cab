"""The author's new words, as mail programs of many languages wrap them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from gateway.read.words import quotes
from tests.labelled import FOLDER


def clients() -> list[dict[str, Any]]:
    mails: list[dict[str, Any]] = tomllib.loads((FOLDER / "clients.toml").read_text(encoding="utf-8"))["mail"]
    return mails


@pytest.mark.parametrize("mail", clients(), ids=lambda mail: mail["from"])
def test_the_new_words_of_a_mail_program(mail: dict[str, Any]) -> None:
    assert quotes.new_words(mail["body"]) == mail["words"]


@pytest.mark.parametrize(
    "line", [line for line in (FOLDER / "footers.psv").read_text(encoding="utf-8").splitlines() if line[0] != "#"]
)
def test_a_line_that_nobody_wrote_is_cut(line: str) -> None:
    assert quotes.new_words(f"It is slow.\n\n{line}") == "It is slow."
    assert quotes.new_words(line) == line  # nothing is lost where nothing else is there


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my office to yours, the parcel with the disks arrived broken and wet, please send another.",
        "The information in this ticket is wrong.",
        "Von meinem Server gesendet wird seit gestern gar nichts mehr, obwohl die Warteschlange leer ist.",
    ],
)
def test_a_sentence_that_begins_like_a_footer_is_the_authors(line: str) -> None:
    assert quotes.new_words(f"It is slow.\n\n{line}") == f"It is slow.\n\n{line}"


DIVIDERS = (
    "-----Reply Message-----", "-----Antwortnachricht-----", "----- Antwort -----", "-----Message de réponse-----", "-----Mensaje de respuesta-----",
    "-----Messaggio di risposta-----", "-----Ответное сообщение-----", "-----Повідомлення-відповідь-----", "-----Wiadomość zwrotna-----",
    "-----Mensagem de resposta-----", "-----Antwoordbericht-----", "-----Yanıt iletisi-----", "-----Odpověď-----", "-----Svarbesked-----",
    "-----Izvorna poruka-----", "-----Originalna poruka-----",
)  # fmt: skip


@pytest.mark.parametrize("line", DIVIDERS)
def test_a_reply_is_divided_in_many_languages(line: str) -> None:
    assert (
        quotes.new_words(f"Mine: 1234.\n\n{line}\nHello Anna,\nplease send the log of order #123456.\n")
        == "Mine: 1234."
    )


@pytest.mark.parametrize(
    "line",
    [
        "Support <s@x.example> said:", "On Sun, 22 Nov 2026 10:15:00 +0100, Support <s@x.example> said:", "Support<mailto:s@x.example> schrieb am 22.11.2026 10:15:",
        "2026-11-22 10:15 GMT+01:00 INTROSERV Support\n<support@introserv.com>:", "On Nov 22, 2026, at 10:15, Support <mailto:s@x.example> wrote:",
    ],
)  # fmt: skip
def test_who_said_it_introduces_a_quote(line: str) -> None:
    assert quotes.new_words(f"Mine: 1234.\n\n{line}\n\n> Hello Anna,\n> please send the log.\n") == "Mine: 1234."


def test_a_word_that_only_looks_like_a_divider_is_the_authors() -> None:
    assert quotes.new_words("Antwort: ja.\nReply: yes.\n") == "Antwort: ja.\nReply: yes."


@pytest.mark.parametrize(
    "first", ["On 22 Nov 2026 at 14:00, Anna <anna@x.example>", "2026-11-22 14:00 Anna <anna@x.example>"]
)
def test_a_long_text_is_no_attribution_whatever_it_begins_and_ends_with(first: str) -> None:
    """Folded over lines one has a few words: what was told at length is the author's, and so is what stands below."""
    long = "looked at it with us and saw that the cable and the backplane are fine, so that only the disk is left; " * 4
    text = f"Hello,\n\n{first}\n{long}and then she wrote:\n\nPlease replace the disk today."
    assert quotes.new_words(text) == text
    short = f"Hello,\n\n{first}\nlooked at it and wrote:\n\n> Please replace the disk today."
    assert quotes.new_words(short) == "Hello,"
