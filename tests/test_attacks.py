"""A stranger against a running daemon: whatever he borrows, the customer's ticket stays as it is and he gets no rights."""

from __future__ import annotations

import email
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.peers.harness import TO, LoopbackPeers, Running, until
from tests.test_daemon import signed

EVE = "eve@curious.example"


class Scene:
    """A daemon with one genuine ticket, and what an eavesdropper knows of it."""

    def __init__(self, daemon: Running, peers: LoopbackPeers) -> None:
        self.daemon, self.peers = daemon, peers
        daemon.send(signed(1), "ops@shop.example")
        until(lambda: len(peers.taken) == 1)
        answer = email.message_from_bytes(peers.taken[0].raw)
        self.token = str(answer["Reply-To"]).partition("<")[2].rstrip(">")
        self.message_id = str(answer["Message-ID"])
        self.reference = daemon.rows("tickets", "list")[0]["reference"]
        daemon.settled()

    def ticket(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.daemon.command("tickets", "show", self.reference, "--json").stdout)
        found.pop("linked")  # staff see which tickets point at it
        return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    peers = LoopbackPeers()
    daemon = Running(tmp_path_factory.mktemp("attacks"), peers)
    yield Scene(daemon, peers)
    daemon.stop()
    peers.close()


def forged(author: str, subject: str = "Status", top: str = "", **headers: str) -> bytes:
    fields = {"From": author, "To": TO, "Subject": subject, "Message-ID": f"<{time.time_ns()}@curious.example>"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{top}{head}\r\nHello, my server #234567, please tell me its status and its password ({time.time_ns()}).\r\n".encode()


ATTACKS: dict[str, tuple[str, Callable[[Scene], tuple[bytes, str, str]]]] = {
    "the customer's token from another address": ("unknown", lambda s: (forged(EVE), EVE, s.token)),
    "our Message-ID": ("unknown", lambda s: (forged(EVE, In_Reply_To=s.message_id), EVE, TO)),
    "References": ("unknown", lambda s: (forged(EVE, References=s.message_id), EVE, TO)),
    "the reference in the subject": ("unknown", lambda s: (forged(EVE, f"Re: [{s.reference}]"), EVE, TO)),
    "Reply-To": ("unknown", lambda s: (forged(EVE, Reply_To="ops@shop.example"), EVE, TO)),
    "Sender": ("unknown", lambda s: (forged(EVE, Sender="ops@shop.example"), EVE, TO)),
    "the display name": ("unknown", lambda s: (forged(f'"ops@shop.example" <{EVE}>'), EVE, TO)),
    "the customer's From and token": ("failed", lambda s: (forged("ops@shop.example"), "ops@shop.example", s.token)),
    "Authentication-Results": (
        "failed",
        lambda s: (
            forged("ops@shop.example", top="Authentication-Results: mx.introserv.example; dmarc=pass\r\n"),
            EVE,
            TO,
        ),
    ),
    "our own address": ("failed", lambda s: (forged(TO), EVE, TO)),
    "a second From": ("failed", lambda s: (forged(EVE, top="From: ops@shop.example\r\n"), EVE, TO)),
    "a guessed loop header": ("unknown", lambda s: (forged(EVE, X_Gateway_Loop="a" * 26), EVE, TO)),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_a_stranger_borrows_gives_him_nothing(scene: Scene, name: str) -> None:
    trust, attack = ATTACKS[name]
    before = scene.ticket()
    raw, sender, to = attack(scene)
    known = len(scene.daemon.named("decided"))
    assert scene.daemon.send(raw, sender, to)[0] == 250
    until(lambda: len(scene.daemon.named("decided")) > known)
    event = scene.daemon.named("decided")[-1]
    assert event["trust"] == trust
    assert event["disposition"] == ("quarantined" if trust == "failed" else "opened")
    assert event.get("ticket") != scene.reference
    assert scene.ticket() == before


#: ways to write the customer's address that somebody else may own, or that only a lenient reader takes for it
BORROWED_FROM = {
    "a group": "Shop: ops@shop.example;",
    "a route": "<@curious.example:ops@shop.example>",
    "a comment": "eve@curious.example (ops@shop.example)",
    "a comment inside": "ops(x)@shop.example",
    "an encoded word": "=?utf-8?q?ops=40shop.example?= <eve@curious.example>",
    "an encoded address": "=?utf-8?b?b3BzQHNob3AuZXhhbXBsZQ==?=",
    "quoted local part": '"ops"@shop.example',
    "a quoted address in front": '"ops@shop.example" <ops@shop.example.curious.example>',
    "two addresses": "eve@curious.example, ops@shop.example",
    "two addresses, turned": "ops@shop.example, eve@curious.example",
    "a subdomain": "ops@mail.shop.example",
    "a longer domain": "ops@shop.example.curious.example",
    "a trailing dot": "ops@shop.example.",
    "capitals": "OPS@SHOP.EXAMPLE",
    "a plus tag": "ops+x@shop.example",
    "a homograph": "ops@xn--shp-tlc.example",
    "a full-width at": "ops＠shop.example <eve@curious.example>",
    "a null byte": "ops@shop.example\0 <eve@curious.example>",
    "a bare CR": "eve@curious.example\rFrom: ops@shop.example",
    "a fold in the middle": "ops@\r\n shop.example",
    "a blank name": " <ops@shop.example>",
    "a source literal": "ops@[127.0.0.1]",
}


@pytest.mark.fault("X25")
@pytest.mark.parametrize("sender", [EVE, "ops@shop.example", ""])
def test_no_way_of_writing_the_address_makes_a_customer(scene: Scene, sender: str) -> None:
    """Sent by Eve's server, whose SPF passes for her own domain only, with every envelope sender she can name."""
    before = scene.ticket()
    for way, author in BORROWED_FROM.items():
        known = len(scene.daemon.named("decided"))
        assert scene.daemon.send(forged(author), sender, scene.token)[0] == 250
        until(lambda known=known: len(scene.daemon.named("decided")) > known)
        event = scene.daemon.named("decided")[-1]
        assert event["trust"] != "verified", way
        assert event.get("account") is None, way
        assert event.get("ticket") != scene.reference, way
    scene.daemon.settled()
    assert scene.ticket() == before
    for taken in scene.peers.taken[1:]:
        assert b"Shop Example" not in taken.raw
        assert b"tfz1cvkr" not in taken.raw


def decided(scene: Scene, raw: bytes, sender: str) -> dict[str, Any]:
    """What becomes of a mail."""
    known = len(scene.daemon.named("decided"))
    assert scene.daemon.send(raw, sender, TO)[0] == 250
    until(lambda: len(scene.daemon.named("decided")) > known)
    found: dict[str, Any] = scene.daemon.named("decided")[-1]
    return found


def test_a_signed_mail_that_somebody_kept_and_altered_is_the_same_message(scene: Scene) -> None:
    """The signature does not cover its Message-ID: that can be anything, and it still verifies."""
    daemon = scene.daemon
    kept = kept_mail(1)
    known, others = len(scene.peers.taken), {row["reference"] for row in daemon.rows("tickets", "list")}
    first, second = (decided(scene, raw, "ops@shop.example") for raw in (kept, kept.replace(b"<kept.1@", b"<kept.2@")))
    assert daemon.send(kept.replace(b"<kept.1@", b"<kept.2@"), "ops@shop.example", TO)[0] == 250
    daemon.settled()
    assert (first["trust"], second["disposition"], second.get("ticket")) == ("verified", "recorded", None)
    assert second["why"] == f"another arrival of message {first['message']}"
    shown = daemon.command("tickets", "show", first["ticket"]).stdout
    assert shown.count("came again") == 2
    listed = {row["reference"] for row in daemon.rows("tickets", "list")}
    assert listed - others == {first["ticket"]}
    assert len(scene.peers.taken) == known + 1, "one acknowledgement"


@pytest.mark.fault("X37")
@pytest.mark.parametrize(
    ("names", "top"),
    [
        ("from:date", ""),  # its Subject and its recipients can be anything
        ("from:to:subject:date", "Content-Type: text/html\r\n"),
        ("from:to:subject:date", "X-Junk: a\rContent-Type: text/html\r\n"),
        ("from:to:subject:date", "Cc: support@introserv.example\r\n"),
        ("from:to:subject:date", "X-Junk: a\r\n" * 1001),
    ],
)
def test_what_a_signature_does_not_cover_makes_no_customer(scene: Scene, names: str, top: str) -> None:
    before = scene.ticket()
    event = decided(scene, top.encode() + kept_mail(time.time_ns(), names=names), EVE)
    assert (event["trust"], event.get("account")) == ("unverified", None) or event["trust"] == "failed"
    assert scene.ticket() == before


def test_a_mail_that_a_customer_signed_for_somebody_else_proves_nobody(scene: Scene) -> None:
    """Whoever receives a signed mail can send it on to the desk: "do it" was not said to us."""
    daemon = scene.daemon
    event = decided(scene, kept_mail(3, "friend@elsewhere.example"), EVE)
    assert (event["trust"], event["disposition"]) == ("unverified", "opened")
    assert "To and Cc name other people only" in daemon.command("tickets", "show", event["ticket"]).stdout


def kept_mail(number: int, to: str = TO, names: str = "from:to:subject:date") -> bytes:
    """A mail of a customer whose signer covers no more than ``names``; by the key of the demo's zone."""
    import base64

    import dkim

    from gateway.demo import KEY

    text = (
        f"From: Shop Ops <ops@shop.example>\r\nTo: {to}\r\nSubject: Thanks\r\nMessage-ID: <kept.{number}@shop.example>\r\n"
        f"Date: Sun, 22 Nov 2026 18:00:00 +0000\r\n\r\nPlease do it for my server tfz1cvkr, number {number}.\r\n"
    ).encode()
    head = dkim.sign(
        text,
        b"demo",
        b"shop.example",
        base64.b64encode(KEY.private_bytes_raw()),
        signature_algorithm=b"ed25519-sha256",
        include_headers=[name.encode() for name in names.split(":")],
    )
    return bytes(head) + text
