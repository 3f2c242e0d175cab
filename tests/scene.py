"""A gateway, its customers and its staff: everybody writes real mail, signed by their own domains, and reads what comes."""

from __future__ import annotations

import email
import email.policy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any

from gateway.database.store import Store, utc_now
from gateway.peers import Taken
from gateway.tickets import people, views
from tests.peers.dovecot import Dovecot
from tests.peers.harness import TO, LoopbackPeers, Running, until, write_accounts
from tests.signing import RECORD, with_signature

_REJECT = {"TXT": ["v=DMARC1; p=reject"]}


def _host(name: str, *texts: str) -> dict[str, Any]:
    texts_of = {"TXT": list(texts)} if texts else {}
    return {name: {"MX": [[10, f"mx.{name}"]], **texts_of}, f"mx.{name}": {"A": ["127.0.0.1"]}}


def _signing(name: str) -> dict[str, Any]:
    """A domain that signs, and wants everything else refused."""
    return _host(name) | {f"_dmarc.{name}": _REJECT, f"s._domainkey.{name}": {"TXT": [RECORD]}}


ZONE: dict[str, Any] = {
    **_signing("example.de"), **_signing("shop.example"), **_signing("staff.example"), **_signing("stranger.example"),
    **_host("plain.example"),  # no SPF, no DKIM, no DMARC
    **_host("weak.example", "v=spf1 ip4:127.0.0.0/8 -all"),
}  # fmt: skip
ACCOUNTS = {
    "accounts.csv": "account,name,language,status\n10023,Anna Schmidt,de,active\n10042,Shop Example Ltd,en,active\n10077,Plain Ltd,en,active\n",
    "addresses.csv": "account,address,role\n10023,anna@example.de,owner\n10042,ops@shop.example,owner\n"
    "10042,billing@shop.example,billing\n10077,owner@plain.example,owner\n10023,info@example.de,support\n",
    "orders.csv": "order,account,service,status,ips\n123456,10023,r1z7og44,active,203.0.113.7\n"
    "234567,10042,tfz1cvkr,active,198.51.100.20\n345678,10077,ab12cd34,active,198.51.100.77\n",
    "invoices.csv": "invoice,account\n214382,10042\n",
}
STAFF = {
    "technical": ["joe@staff.example", "kim@staff.example"],
    "escalation": ["boss@staff.example"],
    "may_answer": ["*@staff.example"],
    "digest_every": "1h",
}
DIGEST = "Mail gateway digest"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Mail:
    """One mail that somebody writes. ``signed``: by the author's domain. ``mail_from``: the author unless given."""

    author: str
    text: str = ""
    subject: str = "Question"
    to: str = TO
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, str, bytes]] = ()
    signed: bool = True
    mail_from: str | None = None

    @property
    def address(self) -> str:
        return parseaddr(self.author)[1]

    def raw(self) -> bytes:
        """The bytes, CRLF."""
        message = EmailMessage(policy=email.policy.SMTP)
        domain = self.address.rpartition("@")[2]
        fields = {
            "From": self.author, "To": self.to, "Subject": self.subject, "Date": format_datetime(utc_now()),
            "Message-ID": f"<{next(_numbers)}.{utc_now():%H%M%S%f}@{domain}>",
        }  # fmt: skip
        for name, value in (fields | dict(self.headers)).items():
            message[name] = value
        if self.html and not self.text:
            message.set_content(self.html, subtype="html")
        else:
            message.set_content(self.text)
            if self.html:
                message.add_alternative(self.html, subtype="html")
        for name, kind, content in self.files:
            main, _, sub = kind.partition("/")
            message.add_attachment(content, maintype=main, subtype=sub, filename=name)
        raw = message.as_bytes()
        return with_signature(raw, domain=domain) if self.signed else raw


class Letter:
    """A mail of ours as it reaches somebody."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.message = email.message_from_bytes(raw, policy=email.policy.default)
        self.subject = str(self.message["Subject"])
        self.id = str(self.message["Message-ID"])
        self.reply_to = parseaddr(str(self.message["Reply-To"] or ""))[1]

    @property
    def text(self) -> str:
        """Its plain words."""
        part = self.message.get_body(("plain",))
        return part.get_content().replace("\r\n", "\n") if part is not None else ""

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """The names and contents of what goes along."""
        return [(part.get_filename() or "", part.get_content()) for part in self.message.iter_attachments()]

    def quoted(self, who: str = "INTROSERV Support", mark: str = "> ") -> str:
        """How a mail program quotes it below a reply."""
        lines = "\n".join(f"{mark}{line}".rstrip() for line in self.text.splitlines())
        return f"On Sat, 28 Nov 2026 at 11:02, {who} <support@introserv.com> wrote:\n\n{lines}\n"


class Scene:
    """The gateway at work. Nothing is returned before everything that was caused is done."""

    def __init__(self, folder: Path, answer: Callable[[Taken], str] | None = None, **sections: Any) -> None:
        write_accounts(folder, ACCOUNTS)
        self.peers = LoopbackPeers(ZONE, answer)
        given = {
            "staff": STAFF,
            "replies": {"budget_address": "20/24h", "budget_domain": "1000/1h", "budget_thread": "1000/1h"},
        } | sections
        self.daemon = Running(folder, self.peers, **given)
        self._store = Store(f"sqlite:///{folder / 'state' / 'gateway.db'}")
        self._store.load_keys()
        self._read: dict[str, int] = {}

    def close(self) -> None:
        self.daemon.stop()
        self._store.close()
        self.peers.close()

    def write(self, mail: Mail, to: str | None = None) -> dict[str, Any]:
        """Somebody sends a mail; what became of it (``disposition reason ticket``)."""
        return self.deliver(mail.raw(), mail.mail_from or mail.address, to or parseaddr(mail.to)[1])

    def deliver(self, raw: bytes, mail_from: str, to: str = TO) -> dict[str, Any]:
        """These very bytes, from this envelope sender."""
        before = len(self.daemon.named("decided"))
        code, words = self.daemon.send(raw, mail_from, to)
        if code != 250:
            raise RuntimeError(f"{code} {words!r}")
        until(lambda: len(self.daemon.named("decided")) > before, 30, "the outcome")
        self.daemon.settled(30)
        return self.rows()[0]

    def post(self, dovecot: Dovecot, mail: Mail) -> dict[str, Any]:
        """Somebody's mail reaches the mailbox that the gateway reads."""
        before = len(self.daemon.named("decided"))
        delivered = f"Return-Path: <{mail.address}>\r\nDelivered-To: {parseaddr(mail.to)[1]}\r\n".encode()
        dovecot.append(delivered + mail.raw())
        until(lambda: len(self.daemon.named("decided")) > before, 30, "the outcome")
        self.daemon.settled(30)
        return self.rows()[0]

    def rows(self) -> list[dict[str, Any]]:
        """The inbox, newest first."""
        return self._store.read_now(lambda c: views.message_list(c, None, None, 100))

    def answer(self, letter: Letter, mail: Mail) -> dict[str, Any]:
        """Somebody replies to a mail of ours with his mail program."""
        subject = letter.subject if letter.subject.lower().startswith("re:") else f"Re: {letter.subject}"
        headers = {"In-Reply-To": letter.id, "References": letter.id} | dict(mail.headers)
        return self.write(replace(mail, subject=subject, to=letter.reply_to or TO, headers=headers))

    def letters(self, address: str) -> list[Letter]:
        """What this address got and has not read yet, without the digests, which come when it is time for one."""
        got = [Letter(taken.raw) for taken in self.peers.taken if taken.rcpt_tos == (address,)]
        got = [letter for letter in got if letter.subject != DIGEST]
        new = got[self._read.get(address, 0) :]
        self._read[address] = len(got)
        return new

    def letter(self, address: str) -> Letter:
        """The one new mail of this address."""
        (one,) = self.letters(address)
        return one

    def sent(self) -> int:
        """How many mails have left us, digests not counted."""
        return sum(Letter(taken.raw).subject != DIGEST for taken in self.peers.taken)

    def ticket(self, reference: str) -> dict[str, Any]:
        """What ``tickets show`` tells."""
        return self._store.read_now(lambda c: views.ticket_show(c, people.ticket(c, reference)))

    def words(self, reference: str) -> list[tuple[str, str, str]]:
        """(direction, status, first line) of every entry."""
        entries = self.ticket(reference)["entries"]
        return [(e["direction"], e["status"], e["text"].partition("\n")[0]) for e in entries]

    def command(self, *arguments: str, stdin: str = "") -> str:
        """A command of an operator; what it prints."""
        done = self.daemon.command(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        self.daemon.settled(30)
        return done.stdout
