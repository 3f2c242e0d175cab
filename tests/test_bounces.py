"""What kind of mail it is, against bounces and list mail nobody here wrote."""

from __future__ import annotations

import base64
import json
import quopri
from pathlib import Path

import pytest

from gateway.mail import guard
from gateway.mail.guard import unanswerable
from gateway.model import DeliveryReport, MailClass
from gateway.read.message import parse
from gateway.tickets.policy import class_of
from tests.samples import NONE, STRANGER, envelope, incoming, mail
from tests.stories.corpus import machine_files

OWN = frozenset(("support@introserv.com",))


def kind(raw: bytes, mail_from: str | None = "a@b.example") -> str:
    """The class of a mail of somebody who is not proven."""
    given = envelope(mail_from=mail_from)
    return class_of(incoming(raw, verdict=NONE, match=STRANGER, envelope_=given))[0]


@pytest.mark.fault("X45")
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "human"), ({"Auto_Submitted": "no"}, "human"), ({"Auto_Submitted": "auto-replied; owner-email=x"}, "auto_reply"),
        ({"Auto_Submitted": "AUTO-GENERATED"}, "auto_reply"), ({"Precedence": "List"}, "bulk"), ({"Precedence": "auto_reply"}, "auto_reply"),
        ({"List_Unsubscribe": "<x>"}, "bulk"), ({"X_Auto_Response_Suppress": "DR, OOF, AutoReply"}, "human"),
        ({"X_Auto_Response_Suppress": "None"}, "human"), ({"X_Autoreply": "yes"}, "auto_reply"), ({"X_Autoreply": "no"}, "human"),
        ({"subject": "Abwesenheitsnotiz: Urlaub", "text": "Ich bin bis Montag im Urlaub."}, "auto_reply"),
        ({"subject": "Automatic reply: x", "text": "I am away."}, "auto_reply"), ({"subject": "Automatic reply: x"}, "human"),
        ({"subject": "Out of memory on my server"}, "human"),
    ],
)  # fmt: skip
def test_headers(headers: dict[str, str], expected: str) -> None:
    assert kind(mail(**headers)) == expected


@pytest.mark.fault("X45")
def test_a_null_sender_is_a_machine() -> None:
    assert kind(mail(), "") == "auto_reply"


@pytest.mark.parametrize(
    ("local", "robot"),
    [
        # what large senders really write as
        ("noreply-dmarc-support", True), ("no-reply-aws", True), ("orders-noreply", True), ("notifications.no-reply", True),
        ("noreply+42", True), ("no-answer", True), ("notreply", True), ("не-отвечать", True), ("niet-beantwoorden", True), ("odpowiedz-nie", True), ("unattended", True), ("noreply2", True), ("NoReply_eu", True), ("donotreply-eu", True), ("please-do-not-reply", True),
        ("dont.reply", True), ("ne-pas-repondre", True), ("nepasrepondre", True), ("no-responder", True), ("no_responda", True),
        ("non-rispondere", True), ("nao.responda", True), ("nicht-antworten", True), ("keine-antwort", True),
        ("shop.auto-reply", True), ("autoresponder", True), ("www-data", True),
        # people whose names hold the same letters
        ("piano.reply", False), ("bruno-reply", False), ("reply", False), ("juliano.replyson", False), ("noreen", False), ("notary", False), ("answers", False), ("attended", False), ("abbot", False),
        ("reply-no", False), ("anna+noted", False), ("autorepair", False),
    ],
)  # fmt: skip
def test_a_mailbox_that_says_it_is_not_read_is_known_wherever_in_its_name_it_says_so(local: str, robot: bool) -> None:
    assert (unanswerable(f"{local}@x.example", "x@x.example", OWN, False) != "") == robot


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


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_a_bounce_of_an_address_beyond_ascii(encoding: str) -> None:
    """RFC 6533: the report's parts are message/global-*, in UTF-8 or encoded."""
    status = (
        "Reporting-MTA: dns; mx.b.example\n\nFinal-Recipient: utf-8; jürgen@b.example\nAction: failed\nStatus: 5.1.1\n"
    )
    original = "Message-ID: <abc.tag@introserv.com>\nTo: <jürgen@b.example>\n"

    def part(kind: str, text: str) -> bytes:
        octets = text.encode()
        encoded = {"8bit": bytes, "base64": base64.encodebytes, "quoted-printable": quopri.encodestring}[encoding](
            octets
        )
        return f"--b\nContent-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n".encode() + encoded + b"\n"

    raw = (
        b"From: MAILER-DAEMON@b.example\nSubject: Returned mail\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/report; report-type=global-delivery-status; boundary="b"\n\n'
        b"--b\nContent-Type: text/plain\n\nSorry.\n"
        + part("message/global-delivery-status", status) + part("message/global-headers", original) + b"--b--\n"
    )  # fmt: skip
    parsed = parse(raw)
    assert parsed.report == DeliveryReport("abc.tag@introserv.com", ("jürgen@b.example",), "failed", "5.1.1")
    assert parsed.attachments == ()
    assert kind(raw, "") == MailClass.BOUNCE
    assert kind(raw.replace(b"MAILER-DAEMON", b"anna"), "anna@b.example") == MailClass.BOUNCE


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


def test_mail_to_a_plus_address_of_ours_comes_back_to_us() -> None:
    own = frozenset({"support@introserv.com"})
    assert all(
        guard.is_ours(one, own)
        for one in ("support@introserv.com", "Support+t.x@INTROSERV.com.", "support+a+b@introserv.com")
    )
    assert not any(
        guard.is_ours(one, own) for one in ("supporter@introserv.com", "a+support@introserv.com", "support@eve.example")
    )
    assert guard.unanswerable("support+x@introserv.com", "support+x@introserv.com", own, False) == "our own address"
