"""What kind of mail it is, against bounces and list mail nobody here wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.corpus import machine_files
from gateway.message import parse
from gateway.model import MailClass
from gateway.replies.bounces import classify
from gateway.replies.guard import unanswerable
from tests.samples import mail

OWN = frozenset(("support@introserv.com",))


def kind(raw: bytes, mail_from: str | None = "a@b.example") -> str:
    return classify(parse(raw), mail_from)[0]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "human"), ({"Auto_Submitted": "no"}, "human"), ({"Auto_Submitted": "auto-replied; owner-email=x"}, "auto_reply"),
        ({"Auto_Submitted": "AUTO-GENERATED"}, "auto_reply"), ({"Precedence": "List"}, "bulk"), ({"Precedence": "auto_reply"}, "auto_reply"),
        ({"List_Unsubscribe": "<x>"}, "bulk"), ({"X_Auto_Response_Suppress": "DR, OOF, AutoReply"}, "auto_reply"),
        ({"X_Auto_Response_Suppress": "None"}, "human"), ({"X_Autoreply": "yes"}, "auto_reply"), ({"X_Autoreply": "no"}, "human"),
        ({"subject": "Abwesenheitsnotiz: Urlaub"}, "auto_reply"), ({"subject": "Automatic reply: x"}, "auto_reply"),
        ({"subject": "Out of memory on my server"}, "human"),
    ],
)  # fmt: skip
def test_headers(headers: dict[str, str], expected: str) -> None:
    assert kind(mail(**headers)) == expected


def test_a_null_sender_is_a_machine() -> None:
    assert kind(mail(), "") == "auto_reply"


@pytest.mark.parametrize(
    ("address", "sender", "answered"),
    [
        ("anna@example.de", "anna@example.de", True), ("anna@example.de", "", False), ("anna@example.de", None, False),
        ("no-reply@x.example", "x@x.example", False), ("noreply@x.example", "x@x.example", False), ("MAILER-DAEMON@x.example", "x@x.example", False),
        ("list-bounces+x@y.example", "x@x.example", False), ("support@introserv.com", "x@x.example", False), (None, "x@x.example", False),
        ("norbert@x.example", "x@x.example", True),
    ],
)  # fmt: skip
def test_who_is_never_answered(address: str | None, sender: str | None, answered: bool) -> None:
    assert (unanswerable(address, sender, OWN, False) == "") == answered


def test_no_machine_of_the_foreign_suites_is_taken_for_a_person(corpora: Path) -> None:
    names = machine_files(corpora)
    assert len(names) > 280
    assert [name for name in names if kind((corpora / name).read_bytes()) == MailClass.HUMAN] == []


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (
            "My mail could not be delivered",
            "Hello, I sent you a mail and it could not be delivered to your colleague, why?",
        ),
        (
            "Delivery failure",
            "Hello, our newsletter has a delivery failure since yesterday, can you look at the mail server?",
        ),
        ("Re: your message", "Your message was helpful. Please click on the link I sent and tell me what you see."),
    ],
)
def test_people_write_about_delivery_too(subject: str, text: str) -> None:
    assert kind(mail(text, subject=subject)) == "human"


def test_list_mail_is_never_a_person(corpora: Path) -> None:
    wrong = []
    for line in (corpora / "spamassassin" / "index.jsonl").read_text().splitlines():
        row = json.loads(line)
        raw = (corpora / "spamassassin" / row["file"]).read_bytes()
        if b"\nlist-id:" in raw.lower() and kind(raw) is MailClass.HUMAN:
            wrong.append(row["file"])
    assert wrong == []
