"""Abuse notices: tied to the account whose address they name, answered by nobody automatically, passed on by one command."""

from __future__ import annotations

import signal
from dataclasses import replace
from email import message_from_bytes
from email.policy import default as as_it_is
from pathlib import Path

import pytest

from gateway.database.store import Store
from gateway.model import Budgets, Disposition, MailClass
from gateway.read.reading import Hints, read
from gateway.tickets import policy
from tests.peers.harness import LoopbackPeers, Running, until
from tests.samples import NONE, NOW, RULES, STRANGER, incoming, mail
from tests.test_desk import Desk

ARF = b"""From: feedback@isp.example\r
To: abuse@introserv.com\r
Subject: FW: cheap pills\r
Message-ID: <arf1@isp.example>\r
Date: Sun, 22 Nov 2026 17:59:00 +0000\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=feedback-report; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
This is an abuse report of our user reporter@isp.example for a message from 203.0.113.7.\r
\r
--b\r
Content-Type: message/feedback-report\r
\r
Feedback-Type: abuse\r
User-Agent: SomeGenerator/1.0\r
Version: 1\r
Source-IP: 203.0.113.7\r
\r
--b\r
Content-Type: message/rfc822\r
\r
From: x@spam.example\r
Message-ID: <spam1@spam.example>\r
Subject: cheap pills\r
\r
buy\r
--b--\r
"""


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (b"Source-IP: 203.0.113.7", "203.0.113.7"),
        (b"source-ip:   IPv6:2001:db8::7", "2001:db8::7"),
        (b"Source-IP: [203.0.113.7]", "203.0.113.7"),
        (b"Source-IP: what?", ""),
    ],
)
def test_what_a_feedback_report_is_about(field: bytes, said: str) -> None:
    reading = read(ARF.replace(b"Source-IP: 203.0.113.7", field), Hints("", NOW, "Europe/Berlin"))
    assert reading.parsed.report is not None
    assert (reading.parsed.report.feedback, reading.parsed.report.source_ip) == ("abuse", said)
    assert reading.signs.form is MailClass.REPORT
    if said:
        assert reading.ips[0].value == said and reading.ips[0].words == f"Source-IP: {said}"


@pytest.mark.parametrize("named", [(), ("10023",)])
def test_a_report_about_a_customer_is_filed_and_never_answered(named: tuple[str, ...]) -> None:
    given = replace(incoming(ARF, verdict=NONE, match=STRANGER), abused=named)
    decision = policy.decide(given, None, Budgets(), NOW, RULES)
    assert (decision.mail_class, decision.reply) == (MailClass.REPORT, None)
    assert decision.disposition is (Disposition.OPENED if named else Disposition.RECORDED)
    assert (decision.marks, decision.notify) == (
        (("abuse report", "abuse: account 10023"), "now") if named else ((), "digest")
    )
    refused = replace(given, verdict=replace(NONE, refused=True))
    assert policy.decide(refused, None, Budgets(), NOW, RULES).disposition is Disposition.RECORDED


def test_staff_hear_of_a_report_for_which_no_clock_runs(store: Store) -> None:
    at = Desk(store)
    given = replace(incoming(ARF, verdict=NONE, match=STRANGER), abused=("10023",))
    reference = at.take(given, ARF).reference
    (told,) = at.outbox()
    assert (told.template, told.recipient, told.context["target_at"]) == ("staff_new", "l1@introserv.com", None)
    assert (at.show(reference)["state"], at.show(reference)["target_at"]) == ("open", None)


def test_the_notice_goes_to_the_customer_by_one_command(tmp_path: Path, peers: LoopbackPeers) -> None:
    desk = {"recipients": ["support@introserv.com", "abuse@introserv.com"]}
    daemon = Running(tmp_path, peers, smtp=desk, staff={"technical": ["l1@introserv.com"]})
    try:
        assert daemon.send(ARF, "", "abuse@introserv.com")[0] == 250
        people = mail(
            "Your server attacks us, see the log. 203.0.113.7",
            "Attack",
            "cert@cert.example",
            Message_ID="<c1@cert.example>",
        )
        assert daemon.send(people, "cert@cert.example", "abuse@introserv.com")[0] == 250
        daemon.settled()
        rows = until(lambda: [row for row in daemon.rows("tickets", "list") if row["author"] == "feedback@isp.example"])
        shown = daemon.rows("tickets", "show", rows[0]["reference"])[0]
        assert shown["marks"] == ["abuse report", "abuse: account 10023"] and shown["account"] is None
        assert shown["ips"] == [{"value": "203.0.113.7", "ownership": "foreign"}]
        assert [row["state"] for row in daemon.rows("tickets", "list")] == ["open", "open"]
        told = daemon.command("abuse", "tell", rows[0]["reference"])
        assert told.returncode == 0 and "(account 10023)" in told.stdout, told.stderr
        sent = until(lambda: [one for one in peers.taken if b"203.0.113.7" in one.raw and "anna" in one.rcpt_tos[0]])
        notice = message_from_bytes(sent[0].raw, policy=as_it_is)
        assert str(notice["Subject"]).endswith("] Missbrauchsmeldung zu Ihrem Kundenkonto 10023"), (
            "in her language, no Re:"
        )
        assert "\n> " in str(notice.get_body(("plain",)).get_content()), "the report is a quotation"
        words = notice.as_string()
        assert "reporter@isp.example" not in words and "203.0.113.7" in words
        again = daemon.command("abuse", "tell", rows[0]["reference"])
        assert again.returncode == 1 and "were told already" in again.stderr
        assert not [one for one in peers.taken if "feedback@isp.example" in one.rcpt_tos]
        history = daemon.rows("tickets", "show", rows[0]["reference"])[0]["entries"]
        assert any("told the abuse contact of account 10023" in entry["text"] for entry in history)
    finally:
        daemon.stop(signal.SIGTERM)
