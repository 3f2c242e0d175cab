"""What the first line of a staff member's reply orders: what may be meant for colleagues never goes to a customer."""

from __future__ import annotations

import pytest

from gateway.tickets.staff_words import orders


@pytest.mark.parametrize(
    "text",
    [
        "note: x", "Note: x", " note: x", "note : x", "note：x", "note﹕ x", "note꞉ x", "note\u200b: x", "\u2068note:\u2069 x", "**note:** x",
        "note:\nx", "Notiz: x", "internal note: x", "interne Notiz: x", "[note] x", "(note) x", "#note x", "/note x", "- note: x", "> note: x",
        '"note:" x', "1. note: x", "nоte: x", "ｎｏｔｅ: x", "note; x", "note\x0b: x", "note to self: x",
    ],
)  # fmt: skip
def test_a_note_is_a_note_however_it_is_written(text: str) -> None:
    assert (orders(text).command, orders(text).words) == ("note", "x")


@pytest.mark.parametrize(
    "text",
    [
        "note - x", "note- x", "notes: x", "noet: x", "not: x", "Hi,\nnote: x", "Joe here,\nnote: x", "nota: x", "Remarque : x", "заметка: x",
        "Примечание: x", "close: note: x", "send: note: x", "note\nx", "NB: x",
    ],
)  # fmt: skip
def test_what_may_be_a_note_is_asked_about(text: str) -> None:
    found = orders(text)
    assert found.misspelt and not found.command


@pytest.mark.parametrize(
    "text",
    [
        "note that the server restarts at noon", "Note, please, that it restarts.", "Hello,\n\nit works again.", "Notebook: yes, we have them.",
        "Hello Anna,\n\nplease note: the disk is new.", "Dear Sir, the answer to your question of yesterday is this one,\nnote: it is long",
        "Server: it runs", "http://status.example/", "- the disk is new\n- the note is old", "[T-1234567] is done", "Close to noon it runs again.",
    ],
)  # fmt: skip
def test_an_answer_stays_an_answer(text: str) -> None:
    assert orders(text) == orders(text).__class__(words=text.strip())


@pytest.mark.parametrize("text", ["close", "Close.", "CLOSE\n\n", "close\n\nHello,\n\nthe disk is new."])
def test_close_needs_no_colon_where_it_stands_alone(text: str) -> None:
    assert orders(text).command == "close"


@pytest.mark.parametrize("text", ["spam", "Spam.", "send", "note"])
def test_a_command_alone_is_no_answer(text: str) -> None:
    assert (orders(text).command, bool(orders(text).misspelt)) == ("", True)


@pytest.mark.parametrize(
    "text",
    ["pls close", "close pls, thx", "can be closed", "Please mark as spam.", "bitte schließen", "закрой пожалуйста"],
)
def test_what_becomes_of_the_ticket_is_no_answer_either(text: str) -> None:
    """A customer has got "pls close" and asked what he was to close."""
    assert (orders(text).command, orders(text).misspelt) == ("", text)


@pytest.mark.parametrize(
    "text",
    [
        "Can we close the ticket?",
        "We close at noon.",
        "Please close the browser.",
        "It is closed now, the port that was open.",
        "thanks",
        "ok",
    ],
)
def test_an_answer_that_speaks_of_closing_is_one(text: str) -> None:
    assert orders(text) == orders(text).__class__(words=text)


def test_an_owner_stands_before_another_command() -> None:
    assert (orders("owner: me\nnote: x").owner, orders("owner: me\nnote: x").command) == ("me", "note")
    assert (orders("owner:me note: x").owner, orders("owner:me note: x").command) == ("me", "note")
    assert orders("owner: kim\n\nIt works.").words == "It works."


@pytest.mark.parametrize(
    ("text", "priority", "critical", "command", "words"),
    [
        ("priority: regular", "normal", "", "", ""),
        ("Prio: hoch.", "high", "", "", ""),
        ("critical: no\npriority: regular\nowner: me\nclose:", "normal", "no", "close", ""),
        ("critical: yes\n\nWe look into it.", "", "yes", "", "We look into it."),
    ],
)
def test_priority_and_outage_are_put_right_above_everything_else(
    text: str, priority: str, critical: str, command: str, words: str
) -> None:
    found = orders(text)
    assert (found.priority, found.critical, found.command, found.words) == (priority, critical, command, words)
    assert not found.misspelt


@pytest.mark.parametrize(
    "text",
    [
        "priority: urgent", "priority:", "priority", "critical", "priority high", "critical no", "set priority high!", "critical: maybe",
        "priority: high for all of you", "critical: no\ncritical: yes", "priority - high", "priorty: high", "critical: no reason to worry, it runs",
        "Hi,\nnote: x", "priority: high\npriority: regular",
    ],
)  # fmt: skip
def test_what_may_put_something_right_is_asked_about(text: str) -> None:
    found = orders(text)
    assert found.misspelt and not found.command


@pytest.mark.parametrize(
    "text", ["Hello Anna,\n\ncritical: no, it runs.", "We have raised the priority: high is the most there is."]
)
def test_words_about_priority_are_an_answer(text: str) -> None:
    assert orders(text) == orders(text).__class__(words=text)
