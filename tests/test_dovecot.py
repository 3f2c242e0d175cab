"""A real mail system around the gateway: Postfix in front, Dovecot as the mailbox, nsd for the names."""

from __future__ import annotations

import os
import shutil
import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.database.store import utc_now
from gateway.demo import SAMPLES, ZONE, Sample, built
from tests.certificates import self_signed
from tests.conftest import missing
from tests.peers.dovecot import Dovecot
from tests.peers.harness import LoopbackPeers, Running, config_text, until
from tests.peers.nsd import Nsd
from tests.peers.postfix import Postfix
from tests.samples import mail

pytestmark = pytest.mark.peer
STAFF = {"technical": ["l1@introserv.example"], "escalation": ["boss@introserv.example"], "digest_every": "1s"}


def signed(number: int, path: str = "") -> bytes:
    """A genuine mail of a registered customer, as a mailbox holds it."""
    text = f"Hello,\n\nthe disk of tfz1cvkr (#234567) is slow, case {number}. Please have a look.\n"
    raw = built(Sample("", "Shop Ops <ops@shop.example>", f"Disk {number}", text), number, utc_now())
    return f"Return-Path: <{path or 'ops@shop.example'}>\r\nDelivered-To: support@introserv.com\r\n".encode() + raw


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    if os.geteuid() != 0 or not shutil.which("dovecot"):
        missing("a Dovecot of our own needs root and the package dovecot-imapd")
    made = Dovecot()
    yield made
    made.close()


@pytest.fixture
def nsd() -> Iterator[Nsd]:
    if os.geteuid() != 0 or not shutil.which("nsd"):
        missing("an nsd of our own needs root and the package nsd")
    made = Nsd(ZONE)
    yield made
    made.close()


@pytest.fixture
def daemons(tmp_path: Path, peers: LoopbackPeers) -> Iterator[Any]:
    started: list[Running] = []

    def start(**sections: Any) -> Running:
        started.append(Running(tmp_path, peers, **sections))
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop()


def connected(daemon: Running) -> None:
    until(lambda: any(e["state"] == "connected" for e in daemon.named("source")), 20, "the mailbox")
    until(lambda: daemon.rows("status")[0]["sources"][0]["read_at"], 20, "the first look")


def test_polling_a_mailbox_as_the_readme_installs_it(
    dovecot: Dovecot, nsd: Nsd, peers: LoopbackPeers, daemons: Any
) -> None:
    """Postfix takes the mail and gives it to Dovecot; the gateway reads it there and answers through Postfix."""
    postfix = Postfix(dovecot.lmtp_port, peers.relay)
    try:
        dovecot.append(signed(0))  # it was there before
        account = dovecot.account(
            done_folder="Gateway/Done", failed_folder="Gateway/Failed", poll_interval="5m", silence="10m"
        )
        daemon = daemons(imap=[account], relay={"port": postfix.port}, dns={"nameservers": [nsd.address]})
        connected(daemon)
        with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname="mx.shop.example", timeout=30) as session:
            session.sendmail("ops@shop.example", ["support@introserv.com"], built(SAMPLES[0], 1, utc_now()))
        # only IDLE can do that: the poll is five minutes away
        until(lambda: peers.taken, 30, "the reply")
        (row,) = daemon.rows("tickets", "list")
        assert (row["trust"], row["account"], row["author"]) == ("verified", "10042", "ops@shop.example")
        shown = daemon.command("tickets", "show", row["reference"]).stdout
        assert "read from a mailbox" in shown
        until(lambda: dovecot.count("Gateway/Done") == 1)
        assert dovecot.count("INBOX") == 1  # the old one is left alone
        assert [taken.rcpt_tos for taken in peers.taken] == [("ops@shop.example",)]
        (source,) = daemon.rows("status")[0]["sources"]
        assert (source["state"], source["lag"], source["error"]) == ("connected", 0, "")
        assert source["last_mail_at"] is not None
    finally:
        postfix.stop()


@pytest.mark.fault("X72")
def test_the_same_mail_by_smtp_and_imap_is_one(dovecot: Dovecot, peers: LoopbackPeers, daemons: Any) -> None:
    daemon = daemons(imap=[dovecot.account()])
    connected(daemon)
    raw = signed(1)
    dovecot.append(raw)
    assert daemon.send(raw.partition(b"support@introserv.com\r\n")[2], "ops@shop.example")[0] == 250
    until(lambda: peers.taken)
    until(lambda: len(daemon.named("accepted")) == 2)
    daemon.settled()
    assert sorted(event["new"] for event in daemon.named("accepted")) == [False, True]
    assert len(daemon.rows("tickets", "list")) == 1
    assert len(peers.taken) == 1


@pytest.mark.fault("X64")
def test_a_changed_uidvalidity_of_a_real_server_makes_no_second_ticket(
    dovecot: Dovecot, peers: LoopbackPeers, daemons: Any
) -> None:
    daemon = daemons(imap=[dovecot.account(poll_interval="1s")])
    connected(daemon)
    for number in (1, 2):
        dovecot.append(signed(number))
    until(lambda: len(daemon.named("decided")) == 2)
    assert daemon.stop() == 0
    dovecot.new_uidvalidity()
    dovecot.append(signed(3))
    daemon.start()
    until(lambda: len(daemon.named("decided")) == 3)
    daemon.settled()
    assert len(daemon.rows("tickets", "list")) == 3
    assert [row["state"] for row in daemon.rows("messages", "list")] == ["done"] * 3
    assert dovecot.count("INBOX") == 3


@pytest.mark.fault("X71")
@pytest.mark.parametrize(
    ("separator", "prefix", "name"),
    [("/", "", 'Fertig/"Grün" & mehr'), (".", "INBOX.", "Support/Erledigt"), (".", "", "完了")],
)
def test_folder_names_with_quotes_other_letters_and_delimiters(
    peers: LoopbackPeers, daemons: Any, separator: str, prefix: str, name: str
) -> None:
    if os.geteuid() != 0 or not shutil.which("dovecot"):
        missing("a Dovecot of our own needs root and the package dovecot-imapd")
    server = Dovecot(separator=separator, prefix=prefix)
    try:
        daemon = daemons(imap=[server.account(done_folder=name, start_from="all")])
        server.append(signed(1))
        until(lambda: peers.taken)
        written = prefix + name.replace("/", separator)
        until(lambda: server.count(written) == 1, 10, "the move")
        assert server.count("INBOX") == 0
        assert daemon.rows("status")[0]["problems"] == []
    finally:
        server.close()


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_the_certificate_is_checked_and_tls_is_used(
    tmp_path: Path, peers: LoopbackPeers, daemons: Any, security: str
) -> None:
    if os.geteuid() != 0 or not shutil.which("dovecot"):
        missing("a Dovecot of our own needs root and the package dovecot-imapd")
    certificate, key = self_signed(tmp_path)
    server = Dovecot(certificate=(certificate, key))
    try:
        port = server.tls_port if security == "tls" else server.port
        good = server.account(security=security, port=port, host="localhost", start_from="all")
        server.append(signed(1))
        daemon = daemons(imap=[good])  # the system does not know this certificate
        until(lambda: any(e["state"] == "away" for e in daemon.named("source")))
        assert "certificate" in daemon.named("source")[-1]["why"].lower()
        assert daemon.rows("messages", "list") == []
        daemon.config.write_text(config_text(daemon.folder, peers, imap=[good | {"ca_file": str(certificate)}]))
        daemon.reload()
        until(lambda: peers.taken)
        assert daemon.rows("messages", "list")[0]["source"] == "imap:support"
    finally:
        server.close()


def test_staff_are_told_once_when_a_mailbox_is_silent_and_once_when_it_is_read_again(
    dovecot: Dovecot, peers: LoopbackPeers, daemons: Any
) -> None:
    daemon = daemons(imap=[dovecot.account(poll_interval="500ms", silence="2s", timeout="1s")], staff=STAFF)
    connected(daemon)

    def ready() -> int:
        try:
            with urllib.request.urlopen(daemon.http + "/readyz", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    assert ready() == 200
    dovecot.stop()
    until(lambda: len(peers.taken) == 2, 30, "the alert")
    assert ready() == 503
    assert {taken.rcpt_tos[0] for taken in peers.taken} == {"l1@introserv.example", "boss@introserv.example"}
    assert b"support has not been read for" in peers.taken[0].raw
    status = daemon.command("status")
    assert status.returncode == 1 and "the mailbox support" in status.stdout
    dovecot.start()
    dovecot.append(signed(1))  # nothing is lost meanwhile
    until(lambda: len(peers.taken) >= 6, 60, "the second alert, the reply and the word to staff")
    daemon.settled()
    raws = [taken.raw for taken in peers.taken]
    assert [sum(words in raw for raw in raws) for words in (b"has not been read for", b"is read again")] == [2, 2]
    assert [taken.rcpt_tos for taken in peers.taken].count(("ops@shop.example",)) == 1
    until(
        lambda: ready() == 200, 20, "the service to say that it reads"
    )  # with two seconds of silence allowed it may waver
    assert daemon.metrics()['gateway_source_connected{source="support"}'] == 1


def test_old_mail_is_imported_without_any_acknowledgement(dovecot: Dovecot, peers: LoopbackPeers, daemons: Any) -> None:
    for number in range(3):
        dovecot.append(signed(number), msg_time=datetime.now(UTC) - timedelta(minutes=20 * number))
    daemon = daemons(imap=[dovecot.account(done_folder="Done")], staff=STAFF)
    connected(daemon)
    since = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    done = daemon.command("import", "--account", "support", "--since", since)
    assert (done.returncode, done.stdout) == (0, "3 mails taken in\n")
    until(lambda: len(daemon.named("decided")) == 3)
    rows = daemon.rows("tickets", "list")
    assert {(row["trust"], row["target_at"], row["acknowledged_at"]) for row in rows} == {("verified", None, None)}
    assert daemon.command("import", "--account", "support").stdout == "0 mails taken in\n"
    assert daemon.command("import", "--account", "nobody").returncode == 2
    daemon.settled()
    assert peers.taken == []
    assert dovecot.count("INBOX") == 3
    assert len(daemon.rows("tickets", "list")) == 3


def test_junk_is_quarantined_and_what_is_moved_out_of_it_becomes_a_ticket(
    dovecot: Dovecot, peers: LoopbackPeers, daemons: Any
) -> None:
    with dovecot.client() as client:
        client.create_folder("Junk")
    daemon = daemons(imap=[dovecot.account(junk_folder="Junk", poll_interval="500ms", silence="5s")], staff=STAFF)
    connected(daemon)
    dovecot.append(signed(1), "Junk")
    until(lambda: len(daemon.named("decided")) == 1)
    (row,) = daemon.rows("messages", "list")
    assert (row["state"], row["reason"]) == ("quarantined", "blocked: the mailbox support has it in its junk folder")
    until(lambda: any(b"ops@shop.example" in taken.raw for taken in peers.taken), 20, "the digest")
    assert not any(taken.rcpt_tos == ("ops@shop.example",) for taken in peers.taken)
    with dovecot.client() as client:
        client.select_folder("Junk")
        client.move(client.search(), "INBOX")
    until(lambda: any(taken.rcpt_tos == ("ops@shop.example",) for taken in peers.taken), 20, "the reply")
    assert len(daemon.rows("tickets", "list")) == 1


def test_the_results_of_the_mailbox_host_count_for_spf_only_when_it_is_named(
    dovecot: Dovecot, peers: LoopbackPeers, daemons: Any
) -> None:
    def unsigned(number: int, results: str) -> bytes:
        text = "Hello, the disk of tfz1cvkr is slow."
        plain = mail(text, author="Shop Ops <ops@shop.example>", Message_ID=f"<{number}.ar@shop.example>")
        return f"Return-Path: <ops@shop.example>\r\nAuthentication-Results: {results}\r\n".encode() + plain

    good = "mx.introserv.example; spf=pass (a comment: dmarc=pass) smtp.mailfrom=ops@shop.example"
    daemon = daemons(imap=[dovecot.account(authserv_id="mx.introserv.example")])
    connected(daemon)
    dovecot.append(unsigned(1, good))
    until(lambda: len(daemon.named("decided")) == 1)
    dovecot.append(unsigned(2, good.replace("mx.introserv", "mx.evil")))
    until(lambda: len(daemon.named("decided")) == 2)
    dovecot.append(
        unsigned(3, "mx.introserv.example; dkim=pass header.d=shop.example; dmarc=pass header.from=shop.example")
    )
    until(lambda: len(daemon.named("decided")) == 3)
    assert [event["trust"] for event in daemon.named("decided")] == ["verified", "failed", "failed"]
    shown = daemon.command("tickets", "show", daemon.named("decided")[0]["ticket"]).stdout
    assert "as mx.introserv.example reports" in shown


def test_a_reload_starts_and_ends_mailboxes(dovecot: Dovecot, peers: LoopbackPeers, daemons: Any) -> None:
    daemon = daemons()
    assert daemon.rows("status")[0]["sources"] == []
    daemon.config.write_text(config_text(daemon.folder, peers, imap=[dovecot.account(start_from="all")]))
    dovecot.append(signed(1))
    daemon.reload()
    until(lambda: peers.taken)
    daemon.config.write_text(config_text(daemon.folder, peers))
    daemon.reload()
    until(lambda: len(daemon.named("reloaded")) == 2)
    assert daemon.rows("status")[0]["sources"] == []


def test_a_maildir_is_read(tmp_path: Path, peers: LoopbackPeers, daemons: Any) -> None:
    box = tmp_path / "box"
    for name in ("new", "cur", "tmp"):
        (box / name).mkdir(parents=True)
    (box / "new" / "1.first").write_bytes(signed(1).replace(b"\r\n", b"\n"))  # as an MTA writes it
    daemon = daemons(maildir=[{"name": "local", "path": str(box), "poll_interval": "100ms"}])
    until(lambda: len(peers.taken) == 1)
    (box / "new" / "2.second").write_bytes(signed(2))
    until(lambda: len(peers.taken) == 2)
    until(lambda: sorted(path.name for path in (box / "cur").iterdir()) == ["1.first:2,", "2.second:2,"])
    assert list((box / "new").iterdir()) == []
    (box / "new" / "1.again").write_bytes((box / "cur" / "1.first:2,").read_bytes())
    until(lambda: (box / "cur" / "1.again:2,").exists())
    daemon.settled()
    assert {row["trust"] for row in daemon.rows("tickets", "list")} == {"verified"}
    assert len(daemon.rows("tickets", "list")) == len(peers.taken) == 2
    (source,) = daemon.rows("status")[0]["sources"]
    assert (source["name"], source["kind"], source["state"]) == ("local", "maildir", "connected")
