"""Behind a real Postfix, as docs/install.md has it: LMTP in with XFORWARD, the same Postfix as the relay out."""

from __future__ import annotations

import os
import shutil
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.harness import LoopbackPeers, Running, free_port, until, write_accounts
from bench.postfix import Postfix
from gateway.demo import ACCOUNTS, SAMPLES, Sample, built
from gateway.tickets.store import utc_now
from tests.conftest import missing

pytestmark = pytest.mark.peer


@pytest.fixture
def mail_system(tmp_path: Path) -> Iterator[tuple[Postfix, Running, LoopbackPeers]]:
    if os.geteuid() != 0 or not shutil.which("postfix"):
        missing("a Postfix of our own needs root and the package postfix")
    peers = LoopbackPeers()
    lmtp = free_port()
    postfix = Postfix(lmtp, peers.relay)
    daemon = Running(
        tmp_path, peers, relay={"port": postfix.port},
        smtp={"listen": ["smtp://127.0.0.1:0", f"lmtp://127.0.0.1:{lmtp}"], "trusted_relays": ["127.0.0.1"], "evaluate_private": False},
    )  # fmt: skip
    yield postfix, daemon, peers
    daemon.stop()
    postfix.stop()
    peers.close()


def through(postfix: Postfix, raw: bytes, sender: str, client: str) -> None:
    """A mail from the world: XCLIENT tells Postfix which address it came from, as a proxy in front of it would."""
    with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname="mx.example.de", timeout=30) as session:
        session.ehlo()
        assert session.docmd(f"XCLIENT ADDR={client} NAME=mx.example.de HELO=mx.example.de")[0] == 220
        session.ehlo()
        session.sendmail(sender, ["support@introserv.com"], raw)


def test_a_mail_through_postfix_is_judged_by_its_true_client_and_answered(
    mail_system: tuple[Postfix, Running, LoopbackPeers],
) -> None:
    postfix, daemon, peers = mail_system
    through(postfix, built(SAMPLES[0], 1, utc_now()), "ops@shop.example", "198.51.100.20")
    through(postfix, built(SAMPLES[4], 2, utc_now()), "carla@curious.example", "203.0.113.99")
    until(lambda: len(daemon.named("decided")) == 2, 30, postfix.log())
    until(lambda: len(peers.taken) == 1, 30, postfix.log())
    tickets = {row["author"]: row for row in daemon.rows("tickets", "list")}
    assert (tickets["ops@shop.example"]["trust"], tickets["ops@shop.example"]["account"]) == ("verified", "10042")
    shown = daemon.command("tickets", "show", tickets["carla@curious.example"]["reference"]).stdout
    assert "spf=fail" in shown  # judged for 203.0.113.99, which Postfix forwarded, not for Postfix itself
    assert "203.0.113.99" in shown
    assert "refuses this mail" in shown  # so nobody is acknowledged
    (answer,) = peers.taken
    assert answer.rcpt_tos == ("ops@shop.example",)
    assert answer.mail_from.startswith("bounces+")


def test_an_address_beyond_ascii_comes_through_postfix_and_its_answer_goes_out_through_it(
    mail_system: tuple[Postfix, Running, LoopbackPeers], tmp_path: Path
) -> None:
    postfix, daemon, peers = mail_system
    peers.sink.smtputf8 = True
    write_accounts(
        tmp_path, ACCOUNTS | {"addresses.csv": ACCOUNTS["addresses.csv"] + "10042,küche@shop.example,owner\n"}
    )
    until(lambda: len(daemon.named("directory")) == 2, 30)
    sample = Sample("", "Küche <küche@shop.example>", "Disk", "Hello,\n\nthe disk of tfz1cvkr (#234567) is slow.\n")
    with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname="mx.shop.example", timeout=30) as session:
        session.sendmail(
            "küche@shop.example", ["support@introserv.com"], built(sample, 1, utc_now()), mail_options=["SMTPUTF8"]
        )
    until(lambda: len(peers.taken) == 1, 30, postfix.log())
    assert peers.taken[0].rcpt_tos == ("küche@shop.example",)
    (ticket,) = daemon.rows("tickets", "list")
    assert (ticket["author"], ticket["trust"], ticket["account"]) == ("küche@shop.example", "verified", "10042")


def test_a_refused_recipient_stays_with_postfix(mail_system: tuple[Postfix, Running, LoopbackPeers]) -> None:
    postfix, _, _ = mail_system
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as session:
        session.ehlo()
        session.mail("a@b.example")
        assert session.rcpt("sales@introserv.com")[0] == 550


def test_a_bounce_comes_back_to_its_reply(mail_system: tuple[Postfix, Running, LoopbackPeers]) -> None:
    postfix, daemon, peers = mail_system
    peers.sink._answer = lambda taken: (
        "550 5.1.1 no such user" if taken.rcpt_tos[0] == "ops@shop.example" else "250 2.0.0 OK"
    )
    through(postfix, built(SAMPLES[0], 1, utc_now()), "ops@shop.example", "198.51.100.20")
    until(lambda: any(event["disposition"] == "recorded" for event in daemon.named("decided")), 30, postfix.log())
    (ticket,) = daemon.rows("tickets", "list")
    shown = daemon.command("tickets", "show", ticket["reference"]).stdout
    assert "the customer did not get this" in shown
    assert len(daemon.rows("tickets", "list")) == 1
