"""The service as a process: signals, reloads, systemd's protocols, faults in the reader, the clock across kills."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.database import originals
from gateway.database.store import utc_now
from gateway.demo import ACCOUNTS, SAMPLES, Sample, built
from gateway.health import names_us
from tests.conftest import missing
from tests.peers.harness import TO, LoopbackPeers, Running, free_port, until, write_accounts
from tests.samples import mail


def signed(number: int, text: str = "Hello,\n\nthe disk of tfz1cvkr (#234567) is slow. Please have a look.\n") -> bytes:
    """A genuine mail of a registered customer."""
    return built(Sample("", "Shop Ops <ops@shop.example>", f"Disk {number}", text), number, utc_now())


@pytest.mark.fault("X76")
def test_sigterm_drains_and_exits_0(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers)
    assert daemon.send(signed(1), "ops@shop.example")[0] == 250
    until(lambda: len(peers.taken) == 1)
    assert daemon.stop(signal.SIGTERM) == 0
    assert [event["event"] for event in daemon.events][-2:] == ["stopping", "stopped"]
    assert daemon.other == []


def test_a_mail_without_its_outcome_survives_the_end(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers)
    for number in range(20):
        daemon.send(signed(number), "ops@shop.example")
    assert daemon.stop(signal.SIGTERM) == 0
    daemon.start()
    daemon.settled()
    assert len(daemon.rows("tickets", "list")) == 20
    assert Counter(taken.rcpt_tos[0] for taken in peers.taken) == {"ops@shop.example": 20}


def test_a_start_forgets_what_was_half_stored_and_nothing_else(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers)
    large = signed(2).rstrip() + b"\r\n" + (b"x" * 70 + b"\r\n") * 45_000
    assert daemon.send(large, "ops@shop.example")[0] == 250
    (row,) = daemon.rows("messages", "list")
    daemon.stop(signal.SIGKILL)
    left = originals.staging(utc_now() - timedelta(seconds=5))
    with contextlib.closing(sqlite3.connect(daemon.folder / "state" / "gateway.db")) as database, database:
        database.execute("insert into raw (message_id, seq, data) values (?, 0, ?)", (left, b"a piece"))
    daemon.start()
    command = [sys.executable, "-m", "gateway", "--config", str(daemon.config), "messages", "raw", str(row["id"])]
    assert (
        subprocess.run(command, capture_output=True, check=True).stdout.replace(b"\r\n", b"\n").strip()
        == large.replace(b"\r\n", b"\n").strip()
    )
    with contextlib.closing(sqlite3.connect(daemon.folder / "state" / "gateway.db")) as database:
        assert database.execute("select count(*) from raw where message_id = ?", (left,)).fetchone() == (0,)


@pytest.mark.fault("X52")
def test_exit_codes_of_a_start_that_fails(daemons: Any, peers: LoopbackPeers, tmp_path: Path) -> None:
    first = daemons(peers)
    second = Running(tmp_path, peers, ready=False)
    assert second.ended() == 1
    assert any(f"in use by process {first.pid}" in line for line in second.other)
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "config.toml").write_text("[smtp]\nmax_sice = 1\n")
    third = Running(bad, peers, ready=False)
    assert third.ended() == 2
    assert third.other == [f"{bad / 'config.toml'}:smtp.max_sice: unknown key; did you mean 'max_size'?"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = tmp_path / "port"
        port.mkdir()
        fourth = Running(port, peers, ready=False, smtp={"listen": [f"smtp://127.0.0.1:{taken.getsockname()[1]}"]})
        assert fourth.ended() == 1
        assert any("cannot listen" in line for line in fourth.other)


@pytest.mark.fault("X74")
@pytest.mark.parametrize(
    "what",
    ["configuration", "restart-only key", "template", "endless template", "huge template", "topics", "directory"],
)
def test_a_bad_reload_keeps_the_old(daemons: Any, peers: LoopbackPeers, tmp_path: Path, what: str) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    daemon = daemons(peers, replies={"templates_dir": str(templates)})
    good = daemon.config.read_text()
    if what == "configuration":
        daemon.config.write_text(good + "[nonsense]\n")
    elif what == "restart-only key":
        daemon.config.write_text(good.replace(str(tmp_path / "state"), str(tmp_path / "other")))
    elif what == "template":
        (templates / "received.en.txt.j2").write_text("{{ broken")
    elif what == "endless template":
        loop = "{% for a in range(99999) %}"
        (templates / "received.en.txt.j2").write_text(f"{loop * 3}{'{% endfor %}' * 3}")
    elif what == "huge template":
        (templates / "received.en.txt.j2").write_text("{% for a in range(10**9) %}x{% endfor %}")
    elif what == "topics":
        (tmp_path / "topics.toml").write_text("[financial.en]\n1 = [7]\n")
        daemon.config.write_text(good + f'[extract]\ntopics = "{tmp_path / "topics.toml"}"\n')
    else:
        (tmp_path / "accounts" / "accounts.csv").write_text("who,what\n")
    daemon.reload()
    until(lambda: daemon.named("reload_refused"))
    assert daemon.named("reload_refused")[0]["problem"]
    assert daemon.send(signed(1), "ops@shop.example")[0] == 250
    until(lambda: len(peers.taken) == 1)
    daemon.config.write_text(good)
    (ticket,) = daemon.rows("tickets", "list")
    assert (ticket["trust"], ticket["account"]) == ("verified", "10042")


def test_a_reload_before_the_service_is_ready_does_not_end_it(peers: LoopbackPeers, tmp_path: Path) -> None:
    """A SIGHUP each moment from the exec on; a start is a start all the same."""
    daemon = Running(tmp_path, peers, ready=False)
    try:
        while not daemon.named("started"):
            assert daemon.process.poll() is None
            if b"gateway" in Path(f"/proc/{daemon.pid}/cmdline").read_bytes() and _ignores(daemon.pid, signal.SIGHUP):
                daemon.process.send_signal(signal.SIGHUP)
        until(lambda: daemon.named("reloaded"))
        assert daemon.process.poll() is None
    finally:
        assert daemon.stop() == 0


def test_mail_is_taken_before_what_reads_it_is_loaded(daemons: Any, peers: LoopbackPeers, tmp_path: Path) -> None:
    """Readiness comes later: it says that mail is worked on."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    daemon = daemons(peers, module="tests.odd_daemon", env={"ODD_PRELOAD": str(pipe)}, ready=False)
    until((tmp_path / "lmtp.sock").exists)
    with smtplib.LMTP(str(tmp_path / "lmtp.sock")) as client:
        assert client.sendmail("ops@shop.example", [TO], signed(1)) == {}
    assert not daemon.named("started")
    pipe.write_bytes(b"")
    until(lambda: len(peers.taken) == 1)
    assert daemon.named("started")
    assert "lmtp.sock" not in daemon.command("status").stdout
    (tmp_path / "lmtp.sock").unlink()  # a tidy /run: the socket is open, and nobody finds it
    assert "lmtp.sock is gone" in daemon.command("status").stdout


def _ignores(pid: int, wanted: signal.Signals) -> bool:
    """Whether a process ignores or catches a signal (SigIgn, SigCgt of proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigIgn", "SigCgt"))]
    return any(mask >> (wanted - 1) & 1 for mask in masks)


def test_no_process_imports_a_file_of_the_folder_it_was_started_in(peers: LoopbackPeers, tmp_path: Path) -> None:
    """The readers are started by a fork server that Python starts with ``-c``, which would look there first."""
    here = tmp_path / "elsewhere"
    here.mkdir()
    proof = tmp_path / "imported"
    for name in ("html", "email", "tnefparse", "selectolax"):
        (here / f"{name}.py").write_text(f"open({str(proof)!r}, 'a').write({name!r})\nraise ImportError('not me')\n")
    script = Path(sys.executable).with_name("gateway")
    daemon = Running(tmp_path, peers, program=[str(script)], cwd=here)
    try:
        daemon.send(signed(1), "ops@shop.example")
        until(lambda: len(peers.taken) == 1)
    finally:
        daemon.stop()
    assert not proof.exists()


def test_a_relay_that_is_our_own_socket_is_refused(peers: LoopbackPeers, tmp_path: Path) -> None:
    if not Path("/usr/bin/systemd-socket-activate").exists():
        missing("systemd-socket-activate is not installed")
    port = free_port()
    prefix = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=smtp", "-E", "PATH", "-E", "PYTHONPATH"]
    daemon = Running(tmp_path, peers, prefix=prefix, ready=False, relay={"host": "localhost", "port": port})
    until(lambda: any("istening" in line for line in daemon.other))
    with socket.create_connection(("127.0.0.1", port), 30):
        assert daemon.ended() == 1
    assert any("is our own socket" in line and "gateway.socket" in line for line in daemon.other)


def test_a_relay_that_turns_out_to_be_ourselves_is_known_by_its_greeting(
    daemons: Any, peers: LoopbackPeers, tmp_path: Path
) -> None:
    """No address tells: something in between (NAT, a balancer) leads back to us."""
    daemon = daemons(peers)
    between = socket.create_server(("127.0.0.1", 0))

    def passing(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(4096):
                other.sendall(piece)

    def lead_back() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = between.accept()
                us = socket.create_connection(("127.0.0.1", daemon.smtp_port))
                for pair in ((client, us), (us, client)):
                    threading.Thread(target=passing, args=pair, daemon=True).start()

    threading.Thread(target=lead_back, daemon=True).start()
    port = between.getsockname()[1]
    daemon.config.write_text(daemon.config.read_text().replace(f"port = {peers.relay}", f"port = {port}"))
    daemon.reload()
    until(lambda: daemon.named("reloaded"))
    daemon.send(signed(1), "ops@shop.example")
    until(lambda: daemon.named("relay_paused"))
    assert "greeting: it is our own listener" in daemon.named("relay_paused")[-1]["detail"]
    assert [event["new"] for event in daemon.named("accepted")] == [True]  # nothing came back
    between.close()


def test_a_good_reload_takes_effect(daemons: Any, peers: LoopbackPeers, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    daemon = daemons(peers, replies={"templates_dir": str(templates)})
    (templates / "received.en.txt.j2").write_text("A NEW TEXT {{ reference }}")
    daemon.config.write_text(daemon.config.read_text() + '[block]\naddresses = ["anna@example.de"]\n')
    daemon.reload()
    until(lambda: daemon.named("reloaded"))
    daemon.send(signed(1), "ops@shop.example")
    until(lambda: len(peers.taken) == 1)
    assert b"A NEW TEXT" in peers.taken[0].raw
    daemon.send(built(SAMPLES[1], 2, utc_now()), "anna@example.de")
    until(lambda: any(e["disposition"] == "quarantined" for e in daemon.named("decided")))
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "gateway.db")) as database:
        (line,) = database.execute("select what, object, who from audit where kind = 'sender'")
    assert line == ("block", "anna@example.de", f"{getpass.getuser()} (config.toml)")


def test_a_reload_takes_the_topics_of_the_admin(daemons: Any, peers: LoopbackPeers, tmp_path: Path) -> None:
    """The readers are processes of their own: what the admin calls critical reaches them with the next mail."""
    daemon = daemons(peers)
    own = tmp_path / "topics.toml"
    own.write_text('[outage.en]\n1 = ["sings"]\n[service.en]\n1 = ["kettle"]\n[financial.en]\n9 = ["kettle"]\n')
    daemon.config.write_text(daemon.config.read_text() + f'[extract]\ntopics = "{own}"\n')
    daemon.reload()
    until(lambda: daemon.named("reloaded"))
    daemon.send(
        b"From: a@curious.example\r\nMessage-ID: <k@x>\r\n\r\nThe kettle sings, my server is down.\r\n",
        "a@curious.example",
    )
    until(lambda: daemon.named("decided"))
    (ticket,) = daemon.rows("tickets", "list")
    assert (ticket["department"], ticket["critical"]) == ("financial", True)


class NotifySocket:
    """What systemd would hear."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self.heard: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().split("\n")
            except OSError:
                return

    def count(self, what: str) -> int:
        return sum(line.startswith(what) for line in self.heard)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[NotifySocket]:
    made = NotifySocket(tmp_path)
    yield made
    made.close()


def test_systemd_hears_ready_watchdog_reloading_stopping(
    daemons: Any, peers: LoopbackPeers, notify: NotifySocket
) -> None:
    daemon = daemons(peers, env={"NOTIFY_SOCKET": str(notify.path), "WATCHDOG_USEC": "200000"})
    until(lambda: notify.count("READY=1") == 1)
    until(lambda: notify.count("WATCHDOG=1") >= 3)
    daemon.reload()
    until(lambda: notify.count("READY=1") == 2)
    assert notify.count("RELOADING=1") == 1
    assert notify.count("MONOTONIC_USEC=") == 1
    daemon.stop()
    until(lambda: notify.count("STOPPING=1") == 1)


@pytest.mark.fault("X77")
@pytest.mark.parametrize("sig", [signal.SIGUSR1, signal.SIGUSR2], ids=["loop", "worker"])
def test_the_watchdog_starves_when_something_hangs(
    daemons: Any, peers: LoopbackPeers, notify: NotifySocket, sig: signal.Signals
) -> None:
    env = {"NOTIFY_SOCKET": str(notify.path), "WATCHDOG_USEC": "400000"}
    daemon = daemons(peers, module="tests.odd_daemon", env=env)
    until(lambda: notify.count("WATCHDOG=1") >= 2)
    os.kill(daemon.pid, sig)
    before = -1

    def starved() -> bool:
        nonlocal before
        fed, before_ = notify.count("WATCHDOG=1"), before
        before = fed
        threading.Event().wait(1.5)  # longer than seven feedings take
        return fed == before_

    assert until(starved, 30, "the watchdog to starve")
    daemon.stop(signal.SIGKILL)


def seconds_to_reply(daemon: Any, peers: LoopbackPeers, number: int) -> float:
    """Sends a mail and waits for its reply."""

    def answered() -> bool:
        return any(f"Re: Disk {number} ".encode() in taken.raw for taken in peers.taken)

    sent = time.monotonic()
    daemon.send(signed(number), "ops@shop.example")
    until(answered)
    return time.monotonic() - sent


@pytest.mark.fault("X57")
@pytest.mark.parametrize(("fault", "reason"), [("X-Sleep", "took longer"), ("X-Die", "SIGSEGV")])
def test_a_mail_that_makes_a_reader_sleep_or_die_is_a_ticket_and_holds_nobody_up(
    daemons: Any, peers: LoopbackPeers, fault: str, reason: str
) -> None:
    """The next mail and the one after it are done in little more than an ordinary mail takes on this machine just now; one
    that stood still may try three times."""
    staff = {"technical": ["l1@introserv.example"]}
    daemon = daemons(peers, module="tests.odd_daemon", gateway={"read_limit": "4s"}, staff=staff)
    daemon.send(signed(0), "ops@shop.example")
    until(lambda: len(peers.taken) == 2)
    for times in (1, 2, 3):
        most = 2.0 + 5 * seconds_to_reply(daemon, peers, 10 * times)
        daemon.send(f"{fault}: 1\r\n".encode() + signed(10 * times + 3), "ops@shop.example")
        took = [seconds_to_reply(daemon, peers, 10 * times + 1)]
        until(lambda times=times: len(daemon.named("unreadable")) == times)  # type: ignore[misc]
        took.append(seconds_to_reply(daemon, peers, 10 * times + 2))
        assert reason in daemon.named("unreadable")[-1]["reason"]
        if max(took) < most:
            break
    else:
        pytest.fail(f"the next mails took {took} s, beside an ordinary one's {most}")
    assert daemon.rows("messages", "list", "--state", "failed") == []
    daemon.settled()
    shown = [
        json.loads(daemon.command("tickets", "show", row["reference"], "--json").stdout)
        for row in daemon.rows("tickets", "list")
    ]
    unread = [ticket for ticket in shown if "could not be read" in ticket["marks"]]
    assert len(unread) == times
    for ticket in unread:  # a ticket as any other: verified, with its clock, acknowledged, staff know at once
        assert (ticket["trust"], ticket["account"], ticket["state"]) == ("verified", "10042", "open")
        assert ticket["acknowledged_at"]
        assert ticket["limit_at"]
        (entry,) = ticket["entries"]
        assert reason in entry["text"]
        (file,) = entry["attachments"]
        command = [
            sys.executable,
            "-m",
            "gateway",
            "--config",
            str(daemon.config),
            "tickets",
            "attachment",
            ticket["reference"],
            file["sha256"],
        ]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        assert (fault.encode() in raw, len(raw)) == (True, file["size"])
        assert any(
            "l1@introserv.example" in taken.rcpt_tos and ticket["reference"].encode() in taken.raw
            for taken in peers.taken
        )
    assert daemon.command("status", "--json").returncode == 0


def test_the_clock_keeps_its_promises_across_kills(daemons: Any, peers: LoopbackPeers) -> None:
    staff = {"technical": ["l1@introserv.example"], "escalation": ["boss@introserv.example"]}
    daemon = daemons(peers, clock={"target": "1s", "status_reply": "2s", "limit": "3s"}, staff=staff)
    daemon.send(signed(1), "ops@shop.example")
    until(lambda: len(peers.taken) == 2)
    alerts = (b"Reminder, ", 1), (b"Re: Disk 1", 2), (b"OVERDUE, ", 2)
    for subject, times in alerts:
        until(lambda subject=subject, times=times: sum(subject in taken.raw for taken in peers.taken) == times)  # type: ignore[misc]
        daemon.settled()
        daemon.stop(signal.SIGKILL)
        daemon.start()
    until(lambda: sum("boss" in taken.rcpt_tos[0] for taken in peers.taken) == 1)
    daemon.settled()
    rows = Counter(row["template"] for row in daemon.rows("outbox", "list"))
    assert rows == {"received": 1, "staff_new": 1, "staff_alert": 1, "status": 1, "staff_breach": 2}
    assert len(peers.taken) == 6
    (ticket,) = daemon.rows("tickets", "list")
    assert ticket["breached"]


def test_a_customer_beyond_ascii_is_served_where_the_relay_offers_smtputf8(
    daemons: Any, peers: LoopbackPeers, tmp_path: Path
) -> None:
    write_accounts(tmp_path, ACCOUNTS | {
        "addresses.csv": ACCOUNTS["addresses.csv"] + "10042,Ku\u0308che@shop.example,owner\n"
    })  # fmt: skip
    peers.sink.smtputf8 = True
    daemon = daemons(peers)
    sample = Sample("", "Küche <küche@shop.example>", "Disk", "Hello,\n\nthe disk of tfz1cvkr (#234567) is slow.\n")

    def offered() -> bool:
        with smtplib.SMTP("127.0.0.1", daemon.smtp_port, local_hostname="client.example", timeout=60) as client:
            client.ehlo()
            return client.has_extn("smtputf8")

    until(offered)
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, local_hostname="client.example", timeout=60) as client:
        client.sendmail("küche@shop.example", [TO], built(sample, 1, utc_now()), mail_options=["SMTPUTF8"])
    until(lambda: len(peers.taken) == 1)
    (answer,) = peers.taken
    assert answer.rcpt_tos == ("küche@shop.example",)
    assert "\r\nTo: <küche@shop.example>\r\n".encode() in answer.raw
    daemon.settled()
    (ticket,) = daemon.rows("tickets", "list")
    assert (ticket["author"], ticket["trust"], ticket["account"]) == ("küche@shop.example", "verified", "10042")
    # the relay was replaced by one that does not: what came by another way is answered by nobody, and says why
    peers.sink.smtputf8 = False
    daemon.stop()
    daemon.start()
    assert not offered()
    other = replace(sample, text="Hello,\n\nthe network of tfz1cvkr (#234567) is slow as well.\n")
    assert daemon.send(built(other, 2, utc_now()), "ops@shop.example")[0] == 250
    row = until(lambda: daemon.rows("outbox", "list", "--state", "dead"))[0]
    assert "SMTPUTF8" in row["last_error"]
    assert len(peers.taken) == 1


def test_a_persons_answer_goes_out_and_stops_the_clock(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers)
    daemon.send(signed(1), "ops@shop.example")
    until(lambda: len(peers.taken) == 1)
    (ticket,) = daemon.rows("tickets", "list")
    done = daemon.command("tickets", "reply", ticket["reference"], stdin="Hello,\n\nwe replaced the disk.\n")
    assert done.returncode == 0, done.stderr
    until(lambda: len(peers.taken) == 2)
    assert b"we replaced the disk" in peers.taken[1].raw
    assert b"Auto-Submitted" not in peers.taken[1].raw
    (ticket,) = daemon.rows("tickets", "list")
    assert (ticket["state"], ticket["target_at"]) == ("waiting", None)
    assert ticket["first_response_at"]
    for command in (("note",), ("close",), ("reopen",)):
        assert daemon.command("tickets", *command, ticket["reference"], stdin="a note").returncode == 0
    assert daemon.command("tickets", "show", "T-0000000").returncode == 1


@pytest.mark.fault("X72")
def test_the_same_mail_by_three_ways_is_one_ticket_and_one_reply(
    daemons: Any, peers: LoopbackPeers, tmp_path: Path
) -> None:
    daemon = daemons(peers)
    raw = signed(1)
    (tmp_path / "mail.eml").write_bytes(raw)
    accept = [
        sys.executable,
        "-m",
        "gateway",
        "--config",
        str(daemon.config),
        "accept",
        str(tmp_path / "mail.eml"),
        "--mail-from",
        "ops@shop.example",
    ]
    pipes = [subprocess.Popen(accept, stderr=subprocess.DEVNULL) for _ in range(2)]
    direct = subprocess.Popen([*accept, "--direct"], stderr=subprocess.DEVNULL)
    for _ in range(3):
        assert daemon.send(raw, "ops@shop.example")[0] == 250
    assert [process.wait(60) for process in [*pipes, direct]] == [0, 0, 0]
    daemon.settled()
    assert len(daemon.rows("tickets", "list")) == 1
    assert len(peers.taken) == 1
    other = signed(1, "Hello, the disk of tfz1cvkr (#234567) has died now, please help.\n")
    assert daemon.send(other, "ops@shop.example")[0] == 250
    until(lambda: len(daemon.rows("tickets", "list")) == 2)


def test_accept_says_75_when_nobody_listens_and_65_when_refused(
    daemons: Any, peers: LoopbackPeers, tmp_path: Path
) -> None:
    daemon = daemons(peers)
    (tmp_path / "mail.eml").write_bytes(mail())
    assert daemon.command("accept", str(tmp_path / "mail.eml"), "--rcpt", "x@evil.example").returncode == 65
    daemon.stop()
    assert daemon.command("accept", str(tmp_path / "mail.eml")).returncode == 75


@pytest.mark.fault("X1")
def test_a_reset_between_the_dot_and_the_250_loses_and_doubles_nothing(
    daemons: Any, peers: LoopbackPeers, tmp_path: Path
) -> None:
    daemon = daemons(peers)
    raw = signed(1)
    lock = sqlite3.connect(tmp_path / "state" / "gateway.db", isolation_level=None)
    lock.execute("begin immediate")
    client = socket.create_connection(("127.0.0.1", daemon.smtp_port))
    talk = client.makefile("rwb")
    talk.readline()
    for command in (b"HELO x", b"MAIL FROM:<ops@shop.example>", b"RCPT TO:<support@introserv.com>", b"DATA"):
        talk.write(command + b"\r\n")
        talk.flush()
        talk.readline()
    talk.write(raw + b".\r\n" if raw.endswith(b"\r\n") else raw + b"\r\n.\r\n")
    talk.flush()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    talk.close()
    client.close()
    lock.execute("rollback")
    lock.close()
    until(lambda: len(peers.taken) == 1)
    assert daemon.send(raw, "ops@shop.example")[0] == 250
    daemon.settled()
    assert (len(daemon.rows("messages", "list")), len(daemon.rows("tickets", "list")), len(peers.taken)) == (1, 1, 1)


def test_a_forged_copy_first_and_the_genuine_one_after_it(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers)
    genuine = signed(1)
    forged = genuine.partition(b"From:")[1] + genuine.partition(b"From:")[2]
    assert daemon.send(forged, "eve@evil.example")[0] == 250
    until(lambda: any(e["disposition"] == "quarantined" for e in daemon.named("decided")))
    assert peers.taken == []
    assert daemon.send(genuine, "ops@shop.example")[0] == 250
    until(lambda: len(peers.taken) == 1)
    (ticket,) = daemon.rows("tickets", "list")
    assert (ticket["account"], ticket["trust"], peers.taken[0].rcpt_tos) == ("10042", "verified", ("ops@shop.example",))


def test_health_and_metrics(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers)
    daemon.send(signed(1), "ops@shop.example")
    until(lambda: len(peers.taken) == 1)
    import urllib.error
    import urllib.request

    for path, expected in (("/healthz", b"ok"), ("/readyz", b"ready")):
        with urllib.request.urlopen(daemon.http + path, timeout=10) as answer:
            assert answer.read().splitlines()[0] == expected
    found = daemon.metrics()
    assert found['gateway_accepted_total{new="true",source="smtp"}'] == 1
    assert found['gateway_decided_total{disposition="opened",trust="verified"}'] == 1
    for path in ("/metrics", "/readyz", "/usage"):  # a page of a stranger whose name leads here (DNS rebinding)
        rebound = urllib.request.Request(daemon.http + path, headers={"Host": "www.eve.example"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(rebound, timeout=10)
        assert refused.value.code == 421 and b"gateway_" not in refused.value.read()


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("127.0.0.1:8080", True), ("[::1]:8080", True), ("localhost:8080", True), ("", True), ("node-3:8080", True), ("10.0.0.7", True),
        ("gw.mail.svc.cluster.local", True), ("GW.Example.com.:8080", True), ("www.eve.example", False), ("gw.example.com.eve.example", False),
        ("127.0.0.1.eve.example:8080", False), ("eve.example:gw.example.com", False), ("[::1].eve.example", False), ("[::1].eve.example:8080", False),
        ("[eve.example", False), ("[eve.example]", False), ("eve,example", False), ("[::1]gw.example.com", False), ("eve.example@[::1]", False),
        ("127.0.0.1:8080:eve.example", False), ("eve.example/127.0.0.1", False), ("eve。example", False), ("\tlocalhost", True), ("[]", False),
    ],
)  # fmt: skip
def test_health_answers_to_names_of_ours_only(host: str, answered: bool) -> None:
    assert names_us(host, frozenset({"gw.example.com"})) is answered


def test_no_body_subject_or_secret_is_logged(daemons: Any, peers: LoopbackPeers) -> None:
    daemon = daemons(peers)
    text = "Hello, my order #234567, the root password is: hunter2hunter2 and a body of words.\n"
    daemon.send(signed(77, text), "ops@shop.example")
    until(lambda: len(peers.taken) == 1)
    daemon.stop()
    logged = json.dumps(daemon.events) + "".join(daemon.other)
    for word in ("hunter2", "body of words", "Disk 77", "ops@shop.example"):
        assert word not in logged
    assert "o***@shop.example" in logged


def test_socket_activation(peers: LoopbackPeers, tmp_path: Path) -> None:
    """systemd's own tool hands over an inet and a UNIX socket."""
    if not Path("/usr/bin/systemd-socket-activate").exists():
        missing("systemd-socket-activate is not installed")
    port, path = free_port(), tmp_path / "handed.sock"
    prefix = [
        "systemd-socket-activate",
        "-l",
        f"127.0.0.1:{port}",
        "-l",
        str(path),
        "--fdname=smtp:lmtp",
        "-E",
        "JOURNAL_STREAM",
        "-E",
        "PYTHONUNBUFFERED",
        "-E",
        "PATH",
        "-E",
        "PYTHONPATH",
    ]
    daemon = Running(tmp_path, peers, prefix=prefix, ready=False)
    try:

        def greeting(family: int, address: Any) -> bytes:
            with socket.socket(family) as client:
                client.settimeout(120)
                client.connect(address)
                return client.recv(200)

        until(lambda: path.exists())
        assert greeting(socket.AF_INET, ("127.0.0.1", port)).split()[2] == b"ESMTP"
        assert greeting(socket.AF_UNIX, str(path)).split()[2] == b"LMTP"
        until(lambda: daemon.named("started"))
        assert "smtp://(systemd),lmtp://(systemd)" in daemon.named("started")[0]["listen"]
    finally:
        assert daemon.stop() == 0


def test_the_service_on_each_database(daemons: Any, peers: LoopbackPeers, database: str) -> None:
    daemon = daemons(peers, database={"url": database})
    mails = [signed(number) for number in range(5)]
    for raw in [*mails, mails[0]]:
        assert daemon.send(raw, "ops@shop.example")[0] == 250
    until(lambda: len(peers.taken) == 5)
    daemon.settled()
    rows = daemon.rows("tickets", "list")
    assert {(row["trust"], row["account"], row["acknowledged_at"] is not None) for row in rows} == {
        ("verified", "10042", True)
    }
    assert daemon.command("tickets", "reply", rows[0]["reference"], stdin="Done.\n").returncode == 0
    until(lambda: len(peers.taken) == 6)
    status = daemon.command("status", "--json")
    assert json.loads(status.stdout)["problems"] == []
    assert daemon.stop() == 0
    assert not [event for event in daemon.events if event["level"] == "error"]


def test_a_reload_takes_another_directory_or_keeps_all_of_the_old(
    tmp_path: Path, daemons: Any, peers: LoopbackPeers
) -> None:
    daemon = daemons(peers)
    other = tmp_path / "other"
    other.mkdir()
    write_accounts(
        other,
        {
            "accounts.csv": "account,name,language,status\n7,Seven,en,active\n8,Eight,en,active\n",
            "addresses.csv": "account,address,role\n7,seven@shop.example,owner\n"
            + "".join(f"8,eight{n}@shop.example,owner\n" for n in range(9)),
            "orders.csv": "order,account,service,status,ips\n" + "".join(f"70000{n},7,,active,\n" for n in range(9)),
            "invoices.csv": "invoice,account\n" + "".join(f"80000{n},7\n" for n in range(9)),
        },
    )
    before = daemon.config.read_text()
    changed = before.replace(str(tmp_path / "accounts"), str(other / "accounts"))
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "received.en.txt.j2").write_text("{{ nothing_of_that_name }}")
    daemon.config.write_text(changed + f'[replies]\ntemplates_dir = "{tmp_path / "templates"}"\n')
    daemon.reload()
    until(lambda: daemon.named("reload_refused"))
    assert daemon.rows("accounts", "lookup", "ops@shop.example")[0]["account"] == "10042"
    daemon.config.write_text(changed)
    daemon.reload()
    until(lambda: daemon.named("reloaded"))
    assert daemon.rows("accounts", "lookup", "seven@shop.example")[0]["account"] == "7"
    assert daemon.rows("accounts", "lookup", "ops@shop.example") == []
