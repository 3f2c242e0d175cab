"""Where is the mail of customer X: the ids a mail is asked by, the lists with their filters, and its whole life."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.database.store import Store, utc_now
from gateway.demo import Sample, built
from gateway.mail.receipts import receipt, rows
from gateway.tickets import life
from gateway.tickets.search import Search, inbox_rows
from tests.peers.harness import LoopbackPeers, Running, until

KEY, OTHER = b"k" * 32, b"o" * 32


def test_a_receipt_is_read_back_and_tells_nobody_a_number() -> None:
    given = [receipt(KEY, number, arrival) for number in range(1, 400) for arrival in (False, True)]
    assert len(set(given)) == len(given) and all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{8}", one) for one in given)
    for number in (1, 399, 2**39 - 1):
        for arrival in (False, True):
            made = receipt(KEY, number, arrival)
            assert rows([OTHER, KEY], made.lower())[1] == (number, arrival)
    assert rows([OTHER], receipt(KEY, 7)) != [(7, False)]
    assert rows([KEY], "T-123") == rows([KEY], "UUUUUUUU") == []


@pytest.fixture
def daemon(tmp_path: Path, peers: LoopbackPeers) -> Any:
    running = Running(tmp_path, peers, smtp={"trusted_relays": ["127.0.0.0/8"]})
    yield running
    running.stop()


def from_a_relay(daemon: Running, raw: bytes) -> str:
    """Hands a mail over as Postfix does; what we said to it."""
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, local_hostname="mx.introserv.example", timeout=60) as client:
        client.ehlo()
        said = client.docmd("XFORWARD", "ADDR=127.0.0.9 HELO=mx.shop.example IDENT=4XyZ12abCd")
        assert said[0] == 250
        client.mail("ops@shop.example")
        client.rcpt("support@introserv.com")
        code, words = client.data(raw)
    assert code == 250
    return words.decode()


def test_a_mail_is_found_by_everything_that_people_know_of_it(daemon: Running, peers: LoopbackPeers) -> None:
    text = "Hello,\n\nthe disk of tfz1cvkr (#234567) is slow. My password is hunter2secret\n"
    sample = Sample("", "Shop Ops <ops@shop.example>", "Disk 100% slow", text)
    raw = built(sample, 1, utc_now())
    first, second = from_a_relay(daemon, raw), from_a_relay(daemon, raw)
    receipts = [said.rpartition(" ")[2] for said in (first, second)]
    assert receipts[0] != receipts[1], "a copy is no news about the first"
    until(lambda: len(peers.taken) == 1 and daemon.named("sent"))
    logged = daemon.named("accepted")
    assert [(one["receipt"], one["queue_id"]) for one in logged] == [(id_, "4XyZ12abCd") for id_ in receipts]
    assert daemon.named("sent")[0]["answer"] == "250 2.0.0 OK"
    (row,) = daemon.rows("messages", "list", "--from", "SHOP.example", "--subject", "100%", "--since", "1h")
    assert (row["from"], row["queue_id"], row["subject"]) == ("ops@shop.example", "4XyZ12abCd", "Disk 100% slow")
    (reply,) = daemon.rows("outbox", "list", "--to", "ops@", "--state", "sent")
    assert (reply["subject"], reply["answer"]) == ("Disk 100% slow", "250 2.0.0 OK")
    refused = daemon.command("messages", "list", "--state", "bogus")
    assert refused.returncode == 2 and "'bogus' is not one of 'pending', " in refused.stderr
    ways = [
        "1",
        *receipts,
        "4XyZ12abCd",
        row["message_id"],
        f"<{reply['message_id']}>",
        "Ops@Shop.example",
        row["ticket"],
    ]
    store = Store(f"sqlite:///{daemon.folder / 'state' / 'gateway.db'}")
    store.load_keys()

    def found(job: Callable[[Connection], Any]) -> Any:
        return store.read_now(job)

    rest = "SELECT (SELECT count(*) FROM arrivals WHERE state <> 'done') + (SELECT count(*) FROM outbox WHERE state <> 'sent')"
    until(
        lambda: found(lambda connection: connection.exec_driver_sql(rest).scalar_one()) == 0, what="the copy's own end"
    )
    lives = [found(lambda connection, way=way: life.traced(connection, way, store.keys)) for way in ways]
    assert all(one == lives[0] for one in lives), "each of them means the same mail"
    for wanted in (Search(address="nobody"), Search(subject="100_"), Search(message_id="x@y"), Search(state="failed")):
        assert found(lambda connection, wanted=wanted: inbox_rows(connection, wanted)) == [], f"{wanted}"
    store.close()
    steps = [(step.what, step.line) for step in lives[0][0].steps]
    assert steps[0][0] == "received" and "queue id 4XyZ12abCd" in steps[0][1] and "127.0.0.9" in steps[0][1]
    assert ("sent", f"outbox {reply['id']}, received to ops@shop.example: the relay answered 250 2.0.0 OK") in steps
    assert [what for what, _ in steps].index("decided") < [what for what, _ in steps].index("sent")
    shown = daemon.command("trace", "1").stdout
    assert "hunter2secret" not in shown and "arrived again" in shown
    explained = json.loads(daemon.command("explain", "--message", "1", "--json").stdout)
    assert explained["authentication"]["dmarc"] == "pass" and explained["trust"] == "verified"
    assert "the envelope is that of message 1" in explained["reasons"][0]
    assert daemon.rows("messages", "show", "1")[0]["receipt"] == receipts[0]
