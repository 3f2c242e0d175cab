"""What keeps a mail from the desk: whom a person blocked, in whatever spelling; what a filter in front marked, not the sender's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import config, service
from gateway.database import inbox
from gateway.database.store import Store
from gateway.judge import Hand, Judge
from gateway.model import Disposition, Envelope, Incoming
from gateway.tickets import desk
from gateway.tickets.occasion import Occasion
from gateway.verify.dns import Answer, Status, ZoneResolver
from tests.peers.harness import write_accounts
from tests.peers.reading import InProcess
from tests.samples import GENERAL_TEXT, NOW, OUTAGE_TEXT, mail

BLOCKED = """[block]
addresses = ["Win@Spam.example", "eve@xn--bcher-kva.example"]
domains = ["Blocked.example.", "straße.example", "*.wild.example", "@at.example", "top"]
"""
OWN = "198.51.100.10"
ZONE = {"example.de": {"TXT": [f"v=spf1 ip4:{OWN} -all"], "MX": [[10, "mx.example.de"]]}, "mx.example.de": {"A": [OWN]}}


class Silent(ZoneResolver):
    """Answers nobody."""

    async def lookup(self, name: str, rtype: str) -> Answer:
        return Answer(Status.SERVFAIL)


class Tried:
    """One desk; its mails are judged and decided, and nothing is written."""

    def __init__(self, folder: Path) -> None:
        write_accounts(folder)
        state = folder / "state"
        state.mkdir()
        text = f'[gateway]\nstate_dir = "{state}"\n[directory]\npath = "{folder / "accounts"}"\n{BLOCKED}'
        settings = config.parse(text)
        self.store = Store(settings.database_url)
        self.store.open(NOW)
        directory = service.directory(settings)
        directory.reload(NOW)
        self.desk = service.build(settings, self.store, directory, ZoneResolver(ZONE))

    def decided(self, raw: bytes, own: bool = False, dns: bool = True, **envelope: object) -> tuple[str, list[str]]:
        """(what becomes of it, the reasons); ``own``: it comes from the author's server; ``dns``: which answers."""
        incoming = self.incoming(raw, own, dns, **envelope)
        claimed = inbox.Claimed(0, 1, raw, incoming.envelope, 0, False)
        look = lambda c: desk.considered(Occasion(c, claimed, incoming, self.desk.office, NOW))  # noqa: E731
        decision = self.store.read_now(look)
        return str(decision.disposition), list(decision.reasons)

    def incoming(self, raw: bytes, own: bool, dns: bool, **envelope: object) -> Incoming:
        around = self.desk.around
        if not dns:
            around = replace(around, checks=replace(around.checks, resolver=Silent({})))
        client = OWN if own else "203.0.113.99"
        sent = Envelope("anna@example.de", ("support@introserv.com",), client, "mx.example.de", "smtp", NOW)
        claimed = inbox.Claimed(0, 1, raw, replace(sent, **envelope), 0, False)  # type: ignore[arg-type]
        judge = Judge(InProcess(), lambda: around, lambda: NOW, self.store)  # type: ignore[arg-type]
        return asyncio.run(judge.incoming(Hand(claimed)))[0]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    made = Tried(tmp_path_factory.mktemp("held"))
    yield made
    made.store.close()


@pytest.mark.parametrize(
    ("author", "mail_from", "entry"),
    [
        ("a@blocked.example", "x@y.example", "blocked.example"), ("a@mail.BLOCKED.example.", "x@y.example", "blocked.example"),
        ("a@xn--strae-oqa.example", "x@y.example", "xn--strae-oqa.example"), ("A <a@straße.example>", "x@y.example", "xn--strae-oqa.example"),
        ("WIN@spam.example", "x@y.example", "win@spam.example"), ("e <eve@Bücher.example>", "x@y.example", "eve@xn--bcher-kva.example"),
        ("a@wild.example", "x@y.example", "wild.example"), ("a@b.wild.example", "x@y.example", "wild.example"), ("a@at.example", "x@y.example", "at.example"),
        ("a@any.top", "x@y.example", "top"),
        # the envelope alone, as in the list of the database: the very address
        ("a@y.example", "win@spam.example", "win@spam.example"), ("a@y.example", "WIN@SPAM.example.", "win@spam.example"),
        ("a@y.example", '"win"@spam.example', "win@spam.example"), ("a@y.example", "@relay.example:win@spam.example", "win@spam.example"),
        ("a@y.example", "a@blocked.example", ""), ("a@notblocked.example", "x@y.example", ""), ("win@other.example", "x@y.example", ""),
        # a From field that names no single author
        ('"bad"@blocked.example', "x@y.example", "blocked.example"), ("x @ y <bad@blocked.example>", "x@y.example", "blocked.example"),
        ('"w in" "win"@spam.example', "x@y.example", "win@spam.example"), ("bad@blocked.example..", "x@y.example", "blocked.example"),
        ("<@relay.example:bad@blocked.example>", "x@y.example", "blocked.example"), ("group: bad@blocked.example;", "x@y.example", "blocked.example"),
        ("bad(comment)@(x)blocked . example", "x@y.example", "blocked.example"), ("=?utf-8?q?bad=40blocked.example?= <>", "x@y.example", "blocked.example"),
        ("bad＠blocked。example <>", "x@y.example", "blocked.example"), ('"\\bad"@blocked.example', "x@y.example", "blocked.example"),
        (f"{'x ' * 3000}<bad@blocked.example>", "x@y.example", "blocked.example"), ("x y <x@z.example> <win@spam.example>", "x@y.example", "win@spam.example"),
        ("win((((c))))@(\\))spam.example", "x@y.example", "win@spam.example"), ("wi\u200bn@spam.example <>", "x@y.example", "win@spam.example"),
        ("bad@blocked.example' x", "x@y.example", "blocked.example"), (f"{'x' * 200_000} bad@blocked.example", "x@y.example", "blocked.example"),
        ("\r\n ".join(["x"] * 30) + " <bad@blocked.example>", "x@y.example", "blocked.example"),
        ("u\u0308ber <straße@blocked.example> x", "x@y.example", "blocked.example"), ("a@[192.0.2.1] <>", "x@y.example", ""),
        # in the middle of what nobody writes so long, and behind very many others
        (f"{'x' * 60_000} bad@blocked.example, {'y' * 60_000}", "x@y.example", "blocked.example"),
        (f"{'a@b.example ' * 3000}{', '.join(f'a{n}@b.example' for n in range(3000))}, win@spam.example, {'z ' * 9000}", "x@y.example", "win@spam.example"),
        (f"{'((' * 9000}bad@blocked.example {'x' * 9000}", "x@y.example", "blocked.example"),
        # a comment, a quote or brackets in the middle of a word, or around the domain
        ("w(c)in@spam.example", "x@y.example", "win@spam.example"), ("win@[spam.example]", "x@y.example", "win@spam.example"),
        ("x <w(a(b)c)in@sp(d)am.example>", "x@y.example", "win@spam.example"), ("win@[ spam . example ] <>", "x@y.example", "win@spam.example"),
        ('w"i"n@spam.example', "x@y.example", "win@spam.example"), (f"{'(' * 200}c{')' * 200}win@spam.example x", "x@y.example", "win@spam.example"),
        # who stands in the display name of another author is not the author
        ('"bad@blocked.example" <a@y.example>', "x@y.example", ""),
    ],
)  # fmt: skip
def test_whoever_is_blocked_is_held_in_every_spelling(tried: Tried, author: str, mail_from: str, entry: str) -> None:
    raw = mail(GENERAL_TEXT, author=author)
    for listed in (tried.desk.around.blocked, frozenset()):
        tried.desk.office.board.blocked = frozenset() if listed else tried.desk.around.blocked
        around = replace(tried.desk.around, blocked=listed)
        where = "in [block]" if listed else "on the block list"
        held = replace(tried.desk, around=around)
        one = Tried.__new__(Tried)
        one.store, one.desk = tried.store, held
        becomes, reasons = one.decided(raw, mail_from=mail_from)
        assert becomes == ("quarantined" if entry else "opened"), reasons
        assert not entry or f"blocked: {entry} is {where}" in reasons
    tried.desk.office.board.blocked = frozenset()


RELAY = "Received: from mx.example.de (mx.example.de [198.51.100.10]) by mx.introserv.example (Postfix); Sun, 22 Nov 2026 17:59:30 +0000\r\n"
AMAVIS = "Received: from mx.introserv.example by localhost (mx.introserv.example [127.0.0.1]) (amavisd-new, port 10024); now\r\n"
STORE = "Received: from mx.introserv.example by imap3.introserv.example with LMTP; now\r\n"
THEIRS = "Received: from app (app [10.0.0.5]) by mx.example.de (Postfix); Sun, 22 Nov 2026 17:59:10 +0000\r\n"
LOCAL = "Received: from app by localhost with ESMTP; Sun, 22 Nov 2026 17:59:10 +0000\r\n"
FETCHED = "Received: from mx.example.de (mx.example.de [198.51.100.10]) by localhost (Postfix); now\r\n"
FLAG = "X-Spam-Flag: YES\r\n"


def flagged(*fields: str, text: str = GENERAL_TEXT, last: str = "") -> bytes:
    """A mail with these fields on top of its own, and one below them."""
    head, _, body = mail(text).partition(b"\r\n\r\n")
    return "".join(fields).encode() + head + f"\r\n{last}\r\n".encode() + body


@pytest.mark.parametrize(
    ("raw", "held"),
    [
        (flagged(FLAG, RELAY, THEIRS), True),  # SpamAssassin behind the relay
        (flagged(RELAY, FLAG, AMAVIS, RELAY, THEIRS), True),  # amavis: between two lines of the relay
        (flagged(STORE, FLAG, RELAY, THEIRS), True),  # another host of the same house
        (flagged(RELAY, AMAVIS, FLAG, RELAY, THEIRS), True),
        (flagged(AMAVIS, FLAG, RELAY, THEIRS), True),  # amavis hands over itself
        (flagged(AMAVIS, RELAY, FLAG, THEIRS), False),
        (flagged(AMAVIS, AMAVIS, RELAY, FLAG, RELAY, THEIRS), True),
        (flagged(FETCHED, FLAG, THEIRS), False),  # not from its own machine: perhaps all that is ours
        (flagged(RELAY, FLAG, THEIRS), False),  # the sender's side, on top of what it had
        (flagged(RELAY, THEIRS, FLAG), False),
        (flagged(RELAY, FLAG), False),
        (flagged(RELAY, THEIRS, last=FLAG), False),  # the sender's side, or a milter of ours: nobody can tell
        (flagged(RELAY, FLAG, LOCAL), False),
        (flagged(FLAG), False),  # no line of the relay
        (flagged("X-Spam-Flag: NO\r\n", RELAY, FLAG, THEIRS), False),
        (flagged("X-Spam-Status: yesterday\r\n", RELAY), False), (flagged("X-Spam-Status: Yes, score=7\r\n", RELAY), True),
        (flagged("X-Spam-Status:\r\n Yes\r\n", RELAY), True), (flagged("x-spam: YES\r\n", RELAY), True),
    ],
)  # fmt: skip
def test_of_a_customer_what_the_relay_itself_marked_is_held_but_never_an_outage(
    tried: Tried, raw: bytes, held: bool
) -> None:
    becomes, reasons = tried.decided(raw, own=True, trusted=True)
    assert becomes == ("quarantined" if held else "opened"), reasons
    outage = raw.replace(GENERAL_TEXT.encode(), OUTAGE_TEXT.encode())
    becomes, reasons = tried.decided(outage, own=True, trusted=True)
    assert becomes == "opened" and "trust=verified (registered address, proven by spf)" in reasons
    says = any(line.startswith("not blocked: its host marked it: X-Spam") for line in reasons)
    assert says is (held or b"YES" in raw)
    assert tried.decided(outage, own=True, trusted=False)[0] == "opened", "from anybody else it says nothing"
    assert tried.decided(outage, dns=False, trusted=True)[0] == "opened", "a check that could not be made"


@pytest.mark.parametrize(
    ("raw", "held"),
    [
        (flagged(FLAG, RELAY, THEIRS), True), (flagged(RELAY, FLAG, THEIRS), True), (flagged(RELAY, THEIRS, last="X-Spam: Yes\r\n"), True),
        (flagged(RELAY, "X-Spam-Flag: NO\r\n", RELAY, THEIRS, last=FLAG), True), (flagged(RELAY, "X-Spam-Status: yesterday\r\n"), False),
        (flagged(RELAY, "X-Spam-Status: No, score=1\r\n"), False),
    ],
)  # fmt: skip
def test_of_a_stranger_a_mark_counts_wherever_the_filter_wrote_it(tried: Tried, raw: bytes, held: bool) -> None:
    """rspamd as a milter adds below everything: and a spammer does not accuse himself."""
    for text in (GENERAL_TEXT, OUTAGE_TEXT):
        one = raw.replace(GENERAL_TEXT.encode(), text.encode())
        becomes, reasons = tried.decided(one, trusted=True)
        assert becomes == ("quarantined" if held else "opened"), reasons


JUNK = "".join(f"X-N: {number}\r\n" for number in range(1100))


def test_no_number_of_fields_hides_a_mark_or_whom_a_mail_is_from(tried: Tried) -> None:
    assert tried.decided(flagged(RELAY, JUNK, THEIRS, last=FLAG), trusted=True)[0] == Disposition.QUARANTINED
    for named in ('From: "bad"@blocked.example', 'FROM : "bad"@blocked.example', "Sender: bad@blocked.example"):
        raw = mail(GENERAL_TEXT).replace(b"From: Anna <anna@example.de>", JUNK.encode() + named.encode())
        becomes, reasons = tried.decided(raw)
        assert becomes == Disposition.QUARANTINED and "blocked: blocked.example is in [block]" in reasons, named


def test_a_mailbox_that_took_a_customer_s_outage_for_junk_does_not_silence_it(tried: Tried) -> None:
    assert tried.decided(mail(GENERAL_TEXT), own=True, source="junk:box")[0] == Disposition.QUARANTINED
    assert tried.decided(mail(OUTAGE_TEXT), own=True, source="junk:box")[0] == Disposition.OPENED
    assert tried.decided(mail(OUTAGE_TEXT), source="junk:box")[0] == Disposition.QUARANTINED


def test_what_a_person_blocked_stays_blocked_whatever_it_says(tried: Tried) -> None:
    tried.desk.office.board.blocked = frozenset({"anna@example.de"})
    becomes, reasons = tried.decided(mail(OUTAGE_TEXT), own=True)
    assert becomes == Disposition.QUARANTINED and "blocked: anna@example.de is on the block list" in reasons
    tried.desk.office.board.blocked = frozenset()


@pytest.mark.parametrize(
    "entry", ["@", "a b.example", "http://spam.example", "win@", "a@b@c.example", "", "127.0.0.1/8"]
)
def test_an_entry_of_the_configuration_that_would_block_nobody_is_refused(tmp_path: Path, entry: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[gateway]\nstate_dir = "{tmp_path}"\n[block]\ndomains = ["ok.example", "{entry}"]\n')
    with pytest.raises(config.ConfigError, match=r"block\.domains\.1: .* is neither an address nor a domain"):
        service.blocked(config.load(str(file)), str(file))
