"""Every mail of the corpora over SMTP to one running daemon, and what became of them. The nameserver answers NXDOMAIN for
everything, or (dead) nothing at all.
"""

from __future__ import annotations

import base64
import contextlib
import email
import json
import smtplib
import socket
from collections import Counter
from pathlib import Path
from typing import Any

from gateway.mail.header import header_end
from gateway.peers import Taken
from gateway.read.author import author_of
from gateway.read.message import parse
from tests.peers.harness import LoopbackPeers, Running, running


def as_sent(path: Path) -> bytes:
    """A corpus file as a mail on the wire."""
    raw = path.read_bytes()
    if path.suffix == ".tnef":
        head = (
            b"From: a@sender.example\nTo: support@introserv.com\nSubject: "
            + path.name.encode()
            + b"\nMIME-Version: 1.0\n"
        )
        body = base64.encodebytes(raw)
        raw = (
            head + b'Content-Type: application/ms-tnef; name="winmail.dat"\nContent-Transfer-Encoding: base64\n'
            b'Content-Disposition: attachment; filename="winmail.dat"\n\n' + body
        )
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def send_all(daemon: Running, folder: Path) -> list[tuple[str, int, str]]:
    """(file, reply code, words) of each mail, over a few kept connections."""
    results: list[tuple[str, int, str]] = []
    client: smtplib.SMTP | None = None
    for number, name in enumerate((folder / "mails.txt").read_text().split("\n")):
        if not name.strip():
            continue
        if client is None or number % 50 == 0:
            if client is not None:
                client.quit()
            client = smtplib.SMTP("127.0.0.1", daemon.smtp_port, local_hostname="client.example", timeout=60)
            client.ehlo()
        raw = as_sent(folder / name.strip())
        returned = email.message_from_bytes(raw[:65536]).get("Return-Path", "").strip()
        sender = "" if returned == "<>" else "somebody@sender.example"
        client.mail(sender)
        client.rcpt("support@introserv.com")
        code, words = client.data(raw)
        results.append((name.strip(), code, words.decode()))
    if client is not None:
        client.quit()
    return results


#: said to be bounces by their suites, and written by people: a guest's reservation with its history, two mails of spam
WRITTEN_BY_PEOPLE = frozenset(
    (
        "bounce_flufl/data/groupwise_03.txt",
        "bounce_perl_bounceparser/corpus/spam-bogus-email-in-report.msg",
        "bounce_perl_bounceparser/corpus/spam-with-image.msg",
    )
)


def machine_files(folder: Path) -> list[str]:
    """The files whose own suites say that they are bounces, automatic replies or list mail."""
    found: list[str] = []
    for suite in ("bounce_flufl", "bounce_perl_bounceparser", "spamassassin"):
        for line in (folder / suite / "index.jsonl").read_text().splitlines():
            row = json.loads(line)
            expect = row["expect"]
            if expect.get("is_bounce") or expect.get("kind") or expect.get("derived_no_auto_reply"):
                found.append(f"{suite}/{row['file']}")
    return [name for name in found if name not in WRITTEN_BY_PEOPLE]


def mail_domains(folder: Path) -> dict[str, Any]:
    """A zone in which every author's domain takes mail, so that nobody is spared a reply by what it lacks."""
    zone: dict[str, Any] = {"mx.sender.example": {"A": ["127.0.0.1"]}}
    for name in filter(None, map(str.strip, (folder / "mails.txt").read_text().split("\n"))):
        raw = as_sent(folder / name)
        address = author_of(raw[: header_end(raw)[0]]).address
        if address is not None:
            zone[address.rpartition("@")[2].lower()] = {"MX": [[10, "mx.sender.example"]]}
    return zone


def answered(folder: Path, names: list[str], taken: list[Taken]) -> list[str]:
    """Which of these files got a reply: by their Message-ID, or by their author where they have none."""
    replies = [email.message_from_bytes(t.raw) for t in taken]
    ids = {str(reply.get("In-Reply-To", "")).strip("<> ") for reply in replies}
    unknown = {t.rcpt_tos[0].lower() for t, reply in zip(taken, replies, strict=True) if "In-Reply-To" not in reply}
    found = []
    for name in names:
        raw = as_sent(folder / name)
        message_id = parse(raw).message_id
        author = author_of(raw[: header_end(raw)[0]]).address
        if message_id in ids or (message_id is None and (author or "").lower() in unknown):
            found.append(name)
    return found


def examine(folder: Path, dead: bool) -> dict[str, Any]:
    """Runs it and returns the counts."""
    with contextlib.ExitStack() as stack:
        sections: dict[str, dict[str, Any]] = {"replies": {"budget_domain": "100000/1h", "budget_total": "100000/1h"}}
        peers = LoopbackPeers(zone=mail_domains(folder))
        stack.callback(peers.close)
        if dead:
            silent = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            silent.bind(("127.0.0.1", 0))
            sections["dns"] = {"nameservers": [f"127.0.0.1:{silent.getsockname()[1]}"], "timeout": "0.3s"}
            sections["verify"] = {"rechecks": ["1s", "2s", "3s", "4s"]}
        daemon, _ = stack.enter_context(running(peers, **sections))
        sent = send_all(daemon, folder)
        daemon.settled(60)
        messages = daemon.rows("messages", "list", "--limit", "5000")
        outbox = daemon.rows("outbox", "list", "--limit", "5000")
        tickets = {row["reference"]: row for row in daemon.rows("tickets", "list", "--limit", "5000")}
        found = {
            "sent": len(sent),
            "codes": dict(Counter(code for _, code, _ in sent)),
            "refused": [(name, code, words) for name, code, words in sent if code != 250],
            "messages": len(messages),
            "states": dict(Counter(row["state"] for row in messages)),
            "dispositions": dict(Counter(row["disposition"] for row in messages)),
            "quarantined": [(row["id"], row["reason"]) for row in messages if row["state"] == "quarantined"],
            "failed": [(row["id"], row["reason"]) for row in messages if row["state"] == "failed"],
            "outbox": dict(Counter(f"{row['template']} {row['state']}" for row in outbox)),
            "tickets": len(tickets),
            "tracebacks": [line for line in daemon.other if "Traceback" in line],
            "faults": [e for e in daemon.events if e["event"] in ("loop_fault", "session_fault", "accept_failed", "parked")],
            "taken": len(peers.taken),
            "machines": len(machine_files(folder)),
            "to_machines": answered(folder, machine_files(folder), peers.taken),
        }  # fmt: skip
        return found
