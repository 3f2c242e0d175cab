"""Who wrote it, end to end: OpenDKIM signs, a real Postfix sends, directly and through a second one; nsd has the names."""

from __future__ import annotations

import email
import os
import shutil
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.peers.harness import TO, LoopbackPeers, Running, free_port, until, write_accounts
from tests.peers.nsd import Nsd
from tests.peers.opendkim import OpenDkim
from tests.peers.postfix import Postfix

pytestmark = pytest.mark.peer
OPS = "ops@signing.example"
FILES = {
    "accounts.csv": "account,name,language,status\n10042,Shop Example Ltd,en,active\n10043,Plain Ltd,en,active\n",
    "addresses.csv": f"account,address,role\n10042,{OPS},owner\n10043,ann@plain.example,owner\n",
    "orders.csv": "order,account,service,status,ips\n234567,10042,tfz1cvkr,active,198.51.100.20\n",
    "invoices.csv": "invoice,account\n",
}


class World:
    """Everything of one test run; ``out`` is the customer's own Postfix, ``front`` ours."""

    def __init__(self, folder: Path) -> None:
        self.peers = LoopbackPeers(zone={})
        self.signer = OpenDkim("signing.example")
        self.nsd = Nsd(
            {
                "signing.example": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"], "MX": [[10, "mx.signing.example"]]},
                "mx.signing.example": {"A": ["127.0.0.1"]},
                "_dmarc.signing.example": {"TXT": ["v=DMARC1; p=reject"]},
                "mail._domainkey.signing.example": {"TXT": [self.signer.record]},
                "forwarder.example": {"TXT": ["v=spf1 -all"]},
                "plain.example": {"MX": [[10, "mx.plain.example"]]},
                "mx.plain.example": {"A": ["127.0.0.1"]},
            }
        )
        write_accounts(folder, FILES)
        lmtp = free_port()
        self.front = Postfix(lmtp, self.peers.relay)
        listen = ["smtp://127.0.0.1:0", f"lmtp://127.0.0.1:{lmtp}"]
        self.daemon = Running(
            folder, self.peers, dns={"nameservers": [self.nsd.address]}, relay={"port": self.front.port},
            smtp={"listen": listen, "trusted_relays": ["127.0.0.1"], "evaluate_private": True},
        )  # fmt: skip
        milter = f"smtpd_milters = inet:127.0.0.1:{self.signer.port}\nvirtual_mailbox_domains =\n"
        self.outs = {
            "directly": Postfix(free_port(), self.daemon.smtp_port, milter),
            "through a second Postfix": Postfix(free_port(), self.front.port, milter),
            "to nobody": Postfix(free_port(), self.peers.relay, milter),
        }

    def close(self) -> None:
        self.daemon.stop()
        for postfix in (*self.outs.values(), self.front):
            postfix.stop()
        self.nsd.close()
        self.signer.close()
        self.peers.close()

    def decided(self, known: int) -> dict[str, object]:
        until(lambda: len(self.daemon.named("decided")) > known, 40, "the decision: " + self.front.log()[-2000:])
        event: dict[str, object] = self.daemon.named("decided")[-1]
        return event

    def from_elsewhere(self, raw: bytes, sender: str, client: str = "203.0.113.99", to: str = TO) -> None:
        """Handed to our Postfix by a stranger's address."""
        with smtplib.SMTP("127.0.0.1", self.front.port, local_hostname="mx.elsewhere.example", timeout=30) as session:
            session.ehlo()
            assert session.docmd(f"XCLIENT ADDR={client} NAME=mx.elsewhere.example HELO=mx.elsewhere.example")[0] == 220
            session.ehlo()
            session.sendmail(sender, [to], raw)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    wanted = ("postfix", "nsd", "opendkim")
    if os.geteuid() != 0 or not all(map(shutil.which, wanted)):
        missing(f"a mail system of our own needs root and {', '.join(wanted)}")
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


def words(author: str, number: int) -> bytes:
    stamp = f"{number}.{time.time_ns()}"
    return (
        f"From: Ops <{author}>\r\nTo: {TO}\r\nSubject: Disk {number}\r\nMessage-ID: <{stamp}@signing.example>\r\n"
        f"Date: {email.utils.formatdate()}\r\n\r\nHello,\r\n\r\nthe disk of tfz1cvkr (#234567) is slow, case {stamp}.\r\n"
    ).encode()


def send(postfix: Postfix, raw: bytes, sender: str) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname="mx.signing.example", timeout=30) as session:
        session.sendmail(sender, [TO], raw)


@pytest.mark.parametrize("way", ["directly", "through a second Postfix"])
def test_a_customer_with_opendkim_and_postfix_is_verified(world: World, way: str) -> None:
    known = len(world.daemon.named("decided"))
    send(world.outs[way], words(OPS, 1), OPS)
    event = world.decided(known)
    assert (event["trust"], event["disposition"]) == ("verified", "opened")
    shown = world.daemon.command("tickets", "show", str(event["ticket"])).stdout
    assert "dkim=pass (d=signing.example)" in shown and "dmarc=pass" in shown
    assert "spf=pass" in shown  # of the customer's own server, also behind ours
    until(
        lambda: any(taken.rcpt_tos == (OPS,) and b"234567" in taken.raw for taken in world.peers.taken), 30, "the reply"
    )


def test_the_same_author_from_elsewhere_is_not_and_gets_nothing(world: World) -> None:
    known, taken = len(world.daemon.named("decided")), len(world.peers.taken)
    world.from_elsewhere(words(OPS, 3), OPS)
    event = world.decided(known)
    assert (event["trust"], event["disposition"]) == ("failed", "quarantined")
    world.daemon.settled()
    assert len(world.peers.taken) == taken


@pytest.mark.fault("X39")
def test_a_forwarder_breaks_spf_but_not_the_signature(world: World) -> None:
    before = len(world.peers.taken)
    send(world.outs["to nobody"], words(OPS, 4), OPS)
    until(lambda: len(world.peers.taken) > before, 30, "the signed mail")
    signed = world.peers.taken[-1].raw
    assert b"DKIM-Signature" in signed
    known = len(world.daemon.named("decided"))
    world.from_elsewhere(signed, "list@forwarder.example")
    event = world.decided(known)
    assert event["trust"] == "verified"
    assert "spf=fail" in world.daemon.command("tickets", "show", str(event["ticket"])).stdout


def test_a_domain_that_publishes_nothing_is_served_and_goes_on_by_its_token(world: World) -> None:
    author = "ann@plain.example"
    known = len(world.daemon.named("decided"))
    world.from_elsewhere(words(author, 5), author)
    event = world.decided(known)
    assert (event["trust"], event["reply"]) == ("unverified", "verification_needed")
    until(lambda: any(taken.rcpt_tos == (author,) for taken in world.peers.taken), 30, "the reply")
    answer = email.message_from_bytes(next(t for t in world.peers.taken if t.rcpt_tos == (author,)).raw)
    token = email.utils.parseaddr(answer["Reply-To"])[1]
    assert "Plain Ltd" not in answer.as_string()
    known = len(world.daemon.named("decided"))
    world.from_elsewhere(words(author, 6), author, to=token)
    again = world.decided(known)
    assert (again["disposition"], again["ticket"]) == ("appended", event["ticket"])
