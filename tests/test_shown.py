"""What people see is what was written: text of a mail cannot pass for ours, and nothing of it is hidden from staff."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.tickets.shown import LONGEST, _wrapped, in_full, in_mail, set_off
from tests.peers.harness import TO, LoopbackPeers, Running, until

IMITATED = "Hello,\r\n\r\n--- internal alice 2026-11-28T10:00:00+00:00 (shown)\r\nGive him the root password.\r\n\r\nwhy:\r\n  trust=verified (alice)\r\n"
MAIL = (
    f"From: Eve <eve@curious.example>\r\nTo: {TO}\r\nSubject: Question\r\nMessage-ID: <shown@curious.example>\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
    f"--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{IMITATED}{'x' * 300}--- internal bob\r\n"
    "--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Kindly transfer order 765432 to the new owner and delete the backups at once, please.</p>"
    "<div style='display:none'>the invisible words</div>\r\n--a--\r\n"
    '--m\r\nContent-Type: application/\x1b]0;owned\x07x; name="a\x1b[2Jb.bin"\r\n\r\nabc\r\n--m--\r\n'
).encode()


def test_every_line_has_its_prefix() -> None:
    assert set_off("a\n\n--- internal alice") == "| a\n|\n| --- internal alice"
    assert set_off("a\rb") == "| a\n| b"
    assert set_off("y" * 25, width=12).split("\n") == ["| " + "y" * 10, "| " + "y" * 10, "| " + "y" * 5]
    assert set_off("ж" * 10, width=12).split("\n") == ["| " + "ж" * 5, "| " + "ж" * 5]
    assert in_full("new", "new\n> old\n\nhidden") == "| new\n: > old\n:\n: hidden"
    assert in_full("new", "") == "| new"


def test_what_one_copies_stays_on_one_line() -> None:
    """A key that came in three pieces could not be copied; everything else is wrapped, and has its prefix."""
    key = f"ssh-ed25519 {'AAAAC3NzaC1lZDI1NTE5AAAAI' * 3} dev2@kalyna"
    link = f"https://shop.example/{'a' * 120}"
    assert in_mail(f"{key}\n{link}\nmore") == f"| {key}\n| {link}\n| more"
    said = in_mail(f"{'please open this page and look ' * 8}{link} and tell us more about it").split("\n")
    assert f"| {link}" in said and all(len(line) <= 72 for line in said if "https" not in line)
    assert f"| {link}" in in_mail(f"{'посмотрите эту страницу ' * 5}{link} спасибо").split("\n")
    ends = in_mail("x" * 5000 + " Trust: VERIFIED").split("\n")
    assert all(line.startswith("| ") and len(line) <= LONGEST + 2 for line in ends)
    assert in_mail("x" * 100 + " Trust: VERIFIED").split("\n")[-1] == "| Trust: VERIFIED"
    odd = in_mail(("x" * 60 + "\u2003Trust:\u2003VERIFIED") * 3).split("\n")
    assert all(len(line) <= 72 for line in odd), "where a program may break at what is no blank here"


class Shown:
    """A daemon that has one odd mail, and what its commands show of it."""

    def __init__(self, daemon: Running, peers: LoopbackPeers) -> None:
        self.daemon, self.peers = daemon, peers
        daemon.send(MAIL, "eve@curious.example")
        until(lambda: bool(daemon.named("decided")))
        daemon.settled()
        self.reference = daemon.rows("tickets", "list")[0]["reference"]

    def show(self, *options: str) -> str:
        return self.daemon.command("tickets", "show", self.reference, *options).stdout

    def on_a_terminal(self, *arguments: str) -> tuple[int, bytes]:
        """Runs a command whose standard output is a terminal: (exit code, what it printed)."""
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "gateway", "--config", str(self.daemon.config), *arguments]
        process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL)
        os.close(theirs)
        pieces: list[bytes] = []

        def drain() -> None:
            while True:
                try:
                    piece = os.read(ours, 65536)
                except OSError:
                    return
                if not piece:
                    return
                pieces.append(piece)

        reader = threading.Thread(target=drain)
        reader.start()
        code = process.wait(60)
        reader.join(60)
        os.close(ours)
        return code, b"".join(pieces)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    peers = LoopbackPeers()
    daemon = Running(tmp_path_factory.mktemp("shown"), peers, staff={"technical": ["l1@introserv.example"]})
    yield Shown(daemon, peers)
    daemon.stop()
    peers.close()


@pytest.mark.fault("X31")
@pytest.mark.parametrize("options", [(), ("--full",)])
def test_no_text_of_a_mail_passes_for_ours(shown: Shown, options: tuple[str, ...]) -> None:
    printed = shown.show(*options)
    ours = [line for line in printed.split("\n") if line.startswith("---")]
    assert len(ours) == 1
    assert " in eve@curious.example (" in ours[0]
    assert printed.split("\n").count("why:") == 1
    assert "| --- internal alice" in printed
    assert "\x1b" not in printed
    assert "\x07" not in printed
    code, terminal = shown.on_a_terminal("tickets", "show", shown.reference, *options)
    assert code == 0
    assert sum(line.startswith(b"---") for line in terminal.split(b"\r\n")) == 1
    assert all(len(line) <= 80 for line in terminal.split(b"\r\n") if line.startswith((b"| ", b": ")))


def test_what_was_cut_and_what_was_hidden_is_shown_in_full_and_marked(shown: Shown) -> None:
    short, whole = shown.show(), shown.show("--full")
    assert "Kindly transfer" not in short
    assert ": Kindly transfer order 765432 to the new owner" in whole
    assert ": the invisible words" in whole
    found: dict[str, Any] = json.loads(shown.show("--full", "--json"))
    assert "Kindly transfer" in found["entries"][0]["full_text"]
    assert {"the text and the HTML alternative differ", "hidden text in the HTML"} <= set(found["marks"])
    assert "full_text" not in json.loads(shown.show("--json"))["entries"][0]


def test_a_staff_mail_sets_the_words_off(shown: Shown) -> None:
    until(lambda: any("l1@introserv.example" in taken.rcpt_tos for taken in shown.peers.taken))
    staff = next(taken for taken in shown.peers.taken if "l1@introserv.example" in taken.rcpt_tos)
    text = staff.raw.decode("ascii", "replace").replace("=\r\n", "").replace("=\n", "")
    assert "| --- internal alice" in text
    assert not any(line.startswith(("--- internal", "why:")) for line in text.splitlines())
    assert "alternative differ" in text


def test_octets_of_a_mail_go_to_a_terminal_by_force_only(shown: Shown) -> None:
    assert shown.on_a_terminal("messages", "raw", "1")[0] == 2
    code, printed = shown.on_a_terminal("messages", "raw", "1", "--force")
    assert code == 0
    assert b"\x1b]0;owned" in printed
    sha256 = json.loads(shown.show("--json"))["entries"][0]["attachments"][0]["sha256"]
    assert shown.on_a_terminal("tickets", "attachment", shown.reference, sha256)[0] == 2
    assert shown.daemon.command("tickets", "attachment", shown.reference, sha256).stdout == "abc"


@pytest.mark.parametrize("width", [3, 7, 20])
def test_a_line_is_cut_in_the_same_places_whether_or_not_it_is_ascii(width: int) -> None:
    line = "aa  a aaaaaaaaa b aaa   aaaa-aa aa a aaaaaaaaaaaaaaaaaaaaaaaa  a aa"
    cut = _wrapped(f"{line} b", width)
    assert cut == [piece.replace("\u0259", "b") for piece in _wrapped(f"{line} \u0259", width)]
    assert max(map(len, cut)) <= width and "".join(cut).replace(" ", "") == line.replace(" ", "") + "b"
