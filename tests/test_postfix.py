"""Behind a real Postfix, as docs/install.md has it: LMTP in with XFORWARD, the same Postfix as the relay out."""

from __future__ import annotations

import os
import shutil
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import demo
from gateway.database.store import utc_now
from gateway.demo import ACCOUNTS, SAMPLES, Sample, built
from tests.conftest import missing
from tests.peers import rspamd
from tests.peers.harness import LoopbackPeers, Running, free_port, until, write_accounts
from tests.peers.postfix import Postfix

pytestmark = pytest.mark.peer


#: the customer's own server, which no client of this machine is
OWN = "198.51.100.10"
ZONE = demo.ZONE | {"example.de": demo.ZONE["example.de"] | {"TXT": [f"v=spf1 ip4:{OWN} -all"]}}


@pytest.fixture
def mail_system(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Postfix, Running, LoopbackPeers]]:
    """A Postfix in front; its parameter is more of its configuration, and then it is judged by ``ZONE``."""
    if os.geteuid() != 0 or not shutil.which("postfix"):
        missing("a Postfix of our own needs root and the package postfix")
    extra = getattr(request, "param", "")
    peers = LoopbackPeers(ZONE if extra else None)
    lmtp = free_port()
    postfix = Postfix(lmtp, peers.relay, extra)
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


def test_what_rspamd_marks_is_kept_from_the_desk_unless_a_customer_wrote_it(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("postfix") or not shutil.which("rspamd"):
        missing("a Postfix with an rspamd needs root and the packages postfix and rspamd")
    peers, lmtp, filtering = LoopbackPeers(), free_port(), rspamd.Rspamd()
    milter = f"smtpd_milters = inet:127.0.0.1:{filtering.port}\nmilter_default_action = tempfail\nmilter_protocol = 6"
    postfix = Postfix(lmtp, peers.relay, milter)
    listen = [f"lmtp://127.0.0.1:{lmtp}"]
    daemon = Running(
        tmp_path, peers, relay={"port": postfix.port}, smtp={"listen": listen, "trusted_relays": ["127.0.0.1"]}
    )
    try:
        anna, eve = "Anna Schmidt <anna@example.de>", "Eve <eve@curious.example>"
        for number, (who, says) in enumerate(
            ((eve, rspamd.SPAM), (eve, "Thank you."), (anna, rspamd.SPAM)), 1
        ):  # where rspamd writes, a customer's own filter may have written as well
            sample = Sample("", who, "Server slow", f"r1z7og44 is slow.\n\n{says}\n", signed=who == anna)
            through(postfix, built(sample, number, utc_now()), who.split("<")[1].strip(">"), "198.51.100.20")
            until(lambda count=number: len(daemon.named("decided")) == count, 60, postfix.log())  # type: ignore[misc]
        found = [(event["disposition"], event["trust"]) for event in daemon.named("decided")]
        assert found == [("quarantined", "unknown"), ("opened", "unknown"), ("opened", "verified")], postfix.log()
        (kept,) = daemon.rows("messages", "list", "--state", "quarantined")
        assert kept["reason"] == "blocked: its host marked it: X-Spam"
        raw = daemon.command("messages", "raw", "3").stdout
        assert "X-Spam: Yes" in raw.partition("\n\n")[0].splitlines()[-1], "rspamd adds below what came with the mail"
        until(lambda: len(peers.taken) == 1, 30, postfix.log())  # the customer is answered
    finally:
        daemon.stop()
        postfix.stop()
        filtering.close()
        peers.close()


#: what a client may say of itself: its words stand in front of its address in the line that Postfix writes
HELOS = (
    f"[{OWN}]",
    f"[{OWN}] ({OWN})",
    f"x([{OWN}])",
    f"(unknown [{OWN}])",
    f"x (x [{OWN}])",
    f"[IPv6:::ffff:{OWN}]",
    f"helo=[{OWN}]",
)


@pytest.mark.parametrize("mail_system", ["lmtp_send_xforward_command = no"], indirect=True)
def test_nobody_is_a_customer_by_what_his_server_says_of_itself(
    mail_system: tuple[Postfix, Running, LoopbackPeers],
) -> None:
    """A Postfix in its default sends no XFORWARD: the client is read from its Received line, in the place that is its own."""
    postfix, daemon, peers = mail_system
    sample = Sample("", "Anna Schmidt <anna@example.de>", "Server 123456", "Please cancel 123456.\n", signed=False)

    def judged(number: int, helo: str, client: str) -> tuple[str, str]:
        with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname="mx.example.de", timeout=30) as session:
            session.ehlo()
            assert session.docmd(f"XCLIENT ADDR={client} NAME=[UNAVAILABLE]")[0] == 220
            assert session.docmd(f"EHLO {helo}")[0] == 250
            session.ehlo_resp, session.esmtp_features, session.does_esmtp = b"", {}, True
            session.mail("anna@example.de")
            session.rcpt("support@introserv.com")
            assert session.data(built(sample, number, utc_now()))[0] == 250
        until(lambda: len(daemon.named("decided")) == number, 30, postfix.log())
        event = daemon.named("decided")[-1]
        return str(event["trust"]), daemon.command("messages", "raw", str(event["message"])).stdout

    for number, helo in enumerate(HELOS, 1):
        trust, raw = judged(number, helo, "203.0.113.99")
        assert trust == "failed", (helo, raw[:600])
        assert "[203.0.113.99])" in raw[:600]  # what Postfix wrote
    assert judged(len(HELOS) + 1, "mx.example.de", OWN)[0] == "verified"
    assert [taken.rcpt_tos for taken in peers.taken] in ([], [("anna@example.de",)])


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


@pytest.mark.fault("X44")
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
