"""``gateway demo``: a dozen mails through the whole service, for real, in a temporary folder on loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import signal
import smtplib
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.text import Text
from sqlalchemy import Connection

from gateway import config, log
from gateway.console import secrets
from gateway.daemon import Daemon
from gateway.database import users
from gateway.database.store import utc_now
from gateway.mail.header import RawMail, decode_words, fields_of
from gateway.model import Person
from gateway.peers import Nameserver, Sink
from gateway.replies.sign import SigningKey, signed
from gateway.tickets import people, views
from gateway.tickets.outgoing import Acting

KEY = Ed25519PrivateKey.from_private_bytes(b"gateway demo, not a secret at all"[:32])
_PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
_POLICY = "v=DMARC1; p=reject"
ZONE: dict[str, Any] = {
    "example.de": {"MX": [[10, "mx.example.de"]], "TXT": ["v=spf1 ip4:127.0.0.0/8 -all"]},
    "mx.example.de": {"A": ["127.0.0.1"]},
    "_dmarc.example.de": {"TXT": [_POLICY]},
    "demo._domainkey.example.de": {"TXT": [f"v=DKIM1; k=ed25519; p={_PUBLIC}"]},
    "shop.example": {"MX": [[10, "mx.shop.example"]]},
    "mx.shop.example": {"A": ["127.0.0.1"]},
    "_dmarc.shop.example": {"TXT": [_POLICY]},
    "demo._domainkey.shop.example": {"TXT": [f"v=DKIM1; k=ed25519; p={_PUBLIC}"]},
    "curious.example": {"TXT": ["v=spf1 ip4:127.0.0.0/8 -all"], "MX": [[10, "mx.curious.example"]]},
    "mx.curious.example": {"A": ["127.0.0.1"]},
    "nowhere.example": {"MX": [[10, "mx.nowhere.example"]]},
    "mx.nowhere.example": {"A": ["127.0.0.1"]},
}
ACCOUNTS = {
    "accounts.csv": "account,name,language,status\n10023,Anna Schmidt,de,active\n10042,Shop Example Ltd,en,active\n",
    "addresses.csv": "account,address,role\n10023,anna@example.de,owner\n10042,ops@shop.example,owner\n10042,"
    "billing@shop.example,billing\n",
    "orders.csv": "order,account,service,status,ips\n123456,10023,r1z7og44,active,203.0.113.7\n"
    "234567,10042,tfz1cvkr,active,198.51.100.20 2001:db8:20::/48\n",
    "invoices.csv": "invoice,account\n214382,10042\n",
}


@dataclass(frozen=True)
class Sample:
    """One mail of the demo. ``signed``: by the author's domain."""

    title: str
    author: str
    subject: str
    text: str
    signed: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    html: str = ""
    attachment: bytes = b""
    null_sender: bool = False
    body_type: str = ""


SAMPLES = (
    Sample("a verified customer asks about his order", "Shop Ops <ops@shop.example>", "Slow disk on #234567",
           "Hello,\n\nthe disk of tfz1cvkr (198.51.100.20) has been slow since 14:30 CET. Please have a look.\n\nBest "
           "regards,\nShop Ops\n"),
    Sample("the same in German", "Anna Schmidt <anna@example.de>", "Frage zur Bestellung 123456",
           "Guten Tag,\n\nmein Server 203.0.113.7 (Bestellung Nr. 123456) meldet Fehler auf der Festplatte. Können Sie "
           "bitte nachsehen?\n\n"
           "Mit freundlichen Grüßen\nAnna Schmidt\n"),
    Sample("a complete outage, verified", "Anna Schmidt <anna@example.de>", "Server down!",
           "Hallo,\n\nmein Server r1z7og44 ist seit heute nicht erreichbar. Ping läuft ins Leere.\n\nAnna Schmidt\n"),
    Sample("somebody unknown asks about an account", "Max <max@nowhere.example>", "My server #123456",
           "Hello, please tell me the status of my server, order #123456.\n", signed=False),
    Sample("a general question from anybody", "Carla <carla@curious.example>", "Which locations?",
           "Hello, do you offer dedicated servers in Spain, and how much is the smallest one?\n", signed=False),
    Sample("a forged sender", "Anna Schmidt <anna@example.de>", "Password",
           "Hello, please reset my password and send it to me.\n", signed=False),
    Sample("a customer names somebody else's order", "Shop Ops <ops@shop.example>", "Order 123456",
           "Hello, please restart the server of order #123456.\n"),
    Sample("an invoice question from the billing address", "Billing <billing@shop.example>", "Invoice 214382",
           "Hello, invoice 214382 was charged twice to our credit card. Please check the payment.\n"),
    Sample("HTML only", "Shop Ops <ops@shop.example>", "Reboot tfz1cvkr",
           "", html="<html><body><p>Hello,</p><p>please <b>reboot</b> our server <i>tfz1cvkr</i>.</p></body></html>"),
    Sample("with an attachment", "Anna Schmidt <anna@example.de>", "Screenshot",
           "Hallo, im Anhang ein Screenshot vom Fehler auf 203.0.113.7.\n",
           attachment=b"\x89PNG\r\n\x1a\n" + b"demo" * 64),
    Sample("an out-of-office reply", "Anna Schmidt <anna@example.de>", "Abwesenheitsnotiz",
           "Ich bin bis Montag nicht im Büro.\n", headers={"Auto-Submitted": "auto-replied"}),
    Sample("a bounce", "Mail Delivery Subsystem <MAILER-DAEMON@mx.nowhere.example>",
    "Undelivered Mail Returned to Sender",
           "", signed=False, null_sender=True, body_type="bounce"),
)  # fmt: skip


MORE = (
    Sample("an outage of somebody unknown", "Оксана <oksana@curious.example>", "Сервер не працює",
           "Доброго дня, мій сервер 198.51.100.77 не відповідає з самого ранку. Допоможіть, будь ласка!\n",
           signed=False),
    Sample("a question in French", "Camille <camille@nowhere.example>", "Prix d'un serveur",
           "Bonjour, combien coûte votre plus petit serveur dédié à Paris ?\n", signed=False),
    Sample("a customer cancels", "Shop Ops <ops@shop.example>", "Cancel #234567",
           "Hello, please cancel order #234567 at the end of the month.\n"),
)  # fmt: skip
PASSWORD = "gateway demo 2026"  # noqa: S105 - of a service on loopback that holds nothing


def built(sample: Sample, number: int, now: datetime, bounced: str = "", extra: dict[str, str] | None = None) -> bytes:
    """The raw mail of a sample, CRLF, signed when it says so."""
    domain = sample.author.rpartition("@")[2].rstrip(">")
    head = {
        "From": sample.author, "To": "INTROSERV Support <support@introserv.com>", "Subject": sample.subject,
        "Date": format_datetime(now), "Message-ID": f"<demo.{number}.{now:%H%M%S}@{domain}>", "MIME-Version": "1.0",
    }  # fmt: skip
    head |= sample.headers | (extra or {})
    if sample.body_type == "bounce":
        head["Content-Type"] = 'multipart/report; report-type=delivery-status; boundary="=_b"'
        body = (
            "--=_b\nContent-Type: text/plain\n\nThe mail could not be delivered: user unknown.\n"
            "--=_b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.nowhere.example\n\n"
            "Final-Recipient: rfc822; max@nowhere.example\nAction: failed\nStatus: 5.1.1\n"
            f"--=_b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <{bounced}>\n--=_b--\n"
        )
    elif sample.html:
        head["Content-Type"] = "text/html; charset=utf-8"
        body = sample.html + "\n"
    elif sample.attachment:
        head["Content-Type"] = 'multipart/mixed; boundary="=_m"'
        encoded = base64.encodebytes(sample.attachment).decode()
        body = (
            f"--=_m\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{sample.text}"
            '--=_m\nContent-Type: image/png\nContent-Disposition: attachment; filename="error.png"\n'
            f"Content-Transfer-Encoding: base64\n\n{encoded}--=_m--\n"
        )
    else:
        head["Content-Type"], head["Content-Transfer-Encoding"] = "text/plain; charset=utf-8", "8bit"
        body = sample.text
    raw = ("".join(f"{name}: {value}\n" for name, value in head.items()) + "\n" + body).replace("\n", "\r\n").encode()
    if not sample.signed:
        return raw
    return signed(raw, [SigningKey(domain, "demo", KEY)], int(time.time()))


def _send(port: int, mail_from: str, to: str, raw: bytes, helo: str) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname=helo) as client:
        client.sendmail(mail_from, [to], raw, mail_options=["BODY=8BITMIME"])


def _field(raw: bytes, name: str) -> str:
    """The value of the first field of that name in a reply that was sent."""
    return next((value for its, value in fields_of(RawMail.of(raw).header) if its == name), "")


def left_until(step: float) -> str:
    """When a step of the second factor ends."""
    return datetime.fromtimestamp((step + 1) * secrets.STEP_S).astimezone().strftime("%H:%M:%S")


class _Demo:
    def __init__(self, folder: Path, console: Console) -> None:
        self.secret = secrets.new_secret()
        self.folder, self.console = folder, console
        self.sink, self.nameserver = Sink(), Nameserver(ZONE)
        self.done = 0

    def settings(self, nameserver: str, relay: int) -> config.Settings:
        accounts = self.folder / "accounts"
        accounts.mkdir()
        for name, text in ACCOUNTS.items():
            (accounts / name).write_text(text, encoding="utf-8")
        text = f"""
[gateway]
hostname = "mx.introserv.example"
state_dir = "{self.folder / "state"}"
[smtp]
listen = ["smtp://127.0.0.1:0", "lmtp://{self.folder / "lmtp.sock"}"]
evaluate_private = true
min_free = "0B"
[dns]
nameservers = ["{nameserver}"]
timeout = "3s"
[directory]
path = "{accounts}"
[relay]
port = {relay}
[staff]
technical = ["desk@introserv.example"]
[http]
listen = "127.0.0.1:0"
"""
        (self.folder / "config.toml").write_text(text, encoding="utf-8")
        return config.load(self.folder / "config.toml")

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style))

    async def show(self, daemon: Daemon, sample: Sample, before: int) -> None:
        """Waits for the outcome of the mail sent last, and shows it."""
        while True:
            rows = await daemon.store.read(lambda connection: views.message_list(connection, None, None, 1))
            if len(rows) and rows[0]["id"] > before and rows[0]["state"] not in ("pending", "processing"):
                break
            await asyncio.sleep(0.02)
        row = rows[0]
        self.done = row["id"]
        line = f"   -> {row['state']}, {row['disposition']}"
        if row["ticket"]:
            found = await daemon.store.read(
                lambda connection: views.ticket_show(connection, people.ticket(connection, row["ticket"]))
            )
            facts = [
                f"{kind[:-1]} {fact['value']} ({fact['ownership']})"
                for kind in ("orders", "ips", "services")
                for fact in found[kind]
            ]
            line += f", ticket {row['ticket']}: {found['trust']}, account {found['account'] or 'none'}"
            line += f", {found['department']}, {found['priority']}"
            line += ", CRITICAL" if found["critical"] else ""
            line += f"; {', '.join(facts)}" if facts else ""
            line += "".join(f"; attached {file['filename']}" for file in found["entries"][-1]["attachments"])
        self.say(line, "green" if row["state"] == "done" else "yellow")
        if row["reason"]:
            self.say(f"      {row['reason']}", "dim")

    def show_reply(self, taken_before: int) -> None:
        for taken in self.sink.taken[taken_before:]:
            self.say(f"   <- to {', '.join(taken.rcpt_tos)}: {decode_words(_field(taken.raw, 'subject'))}", "cyan")

    async def play(self, daemon: Daemon) -> None:
        port = int(daemon.addresses[0].rpartition(":")[2])
        now = utc_now()
        for number, sample in enumerate(SAMPLES, 1):
            self.say(f"{number:2}. {sample.title}", "bold")
            bounced, to = self._returned() if sample.body_type == "bounce" else ("", "support@introserv.com")
            await self._deliver(daemon, port, sample, built(sample, number, now, bounced), to)
        self.say(f"{len(SAMPLES) + 1:2}. the verified customer replies to the acknowledgement", "bold")
        first = next(taken for taken in self.sink.taken if taken.rcpt_tos == ("ops@shop.example",))
        answered = _field(first.raw, "message-id")
        follow = Sample(
            "",
            "Shop Ops <ops@shop.example>",
            _field(first.raw, "subject"),
            "The ping is fine again, the disk is still slow.\n",
        )
        extra = {"In-Reply-To": answered, "References": answered}
        to = _field(first.raw, "reply-to").partition("<")[2].rstrip(">")
        await self._deliver(daemon, port, follow, built(follow, 13, now, extra=extra), to)
        self.say("14. a person answers: gateway tickets reply", "bold")
        before = len(self.sink.taken)
        reference = (await daemon.store.read(lambda c: views.message_list(c, None, None, 1)))[0]["ticket"]
        office = daemon.desk.office
        await daemon.store.write(
            lambda c: people.answer(
                c, reference, "Hello,\n\nwe replaced the disk.", Acting(Person("desk"), office, utc_now())
            )
        )
        daemon.outbox.wake.set()
        await self.sink.wait_for(lambda taken: len(taken) > before, 10)
        self.show_reply(before)
        shown = await daemon.store.read(lambda c: views.ticket_show(c, people.ticket(c, reference)))
        self.say(f"   -> {reference} is {shown['state']}, first response at {shown['first_response_at']}", "green")

    async def kept(self, daemon: Daemon) -> None:
        """More tickets, a user of the console, and how to look at both."""
        port, now = int(daemon.addresses[0].rpartition(":")[2]), utc_now()
        for number, sample in enumerate(MORE, 20):
            await self._deliver(daemon, port, sample, built(sample, number, now), "support@introserv.com")
        kept = await asyncio.to_thread(secrets.hashed, PASSWORD)

        def enrolled(connection: Connection) -> None:
            token = users.add(connection, "demo", "admin", now)
            users.enrol(connection, token, kept, (self.secret, 0), now)

        await daemon.store.write(enrolled)
        address = next(one for one in daemon.addresses if one.startswith("http://"))
        self.say(f"\nIt stays up (Ctrl-C ends it). The console: {address}/", "bold")
        self.say(
            f"   name demo, password {PASSWORD}, and the six digits below (key {self.secret} for an authenticator)"
        )
        self.say(f"   At the shell: gateway --config {self.folder / 'config.toml'} tickets list\n")

    async def digits(self, daemon: Daemon) -> None:
        """Shows the six digits of the console's user for as long as the service runs."""
        while not daemon.stopping:
            step, left = divmod(utc_now().timestamp(), secrets.STEP_S)
            self.say(f"   six digits until {left_until(step)}: {secrets.code(self.secret, int(step))}", "cyan")
            await daemon.pause(secrets.STEP_S - left)

    def _returned(self) -> tuple[str, str]:
        """(Message-ID, return address) of the reply that comes back."""
        reply = next(taken for taken in self.sink.taken if taken.rcpt_tos == ("max@nowhere.example",))
        return _field(reply.raw, "message-id").strip("<>"), reply.mail_from

    async def _deliver(self, daemon: Daemon, port: int, sample: Sample, raw: bytes, to: str) -> None:
        before = len(self.sink.taken)
        address = sample.author.partition("<")[2].rstrip(">")
        forged = sample.title == "a forged sender"
        sender = "" if sample.null_sender else "eve@evil.example" if forged else address
        await asyncio.to_thread(_send, port, sender, to, raw, "mx." + address.rpartition("@")[2])
        await self.show(daemon, sample, self.done)
        queued = await daemon.store.read(
            lambda c: views.outbox_list(c, "queued", 10) + views.outbox_list(c, "sending", 10)
        )
        if queued:
            daemon.outbox.wake.set()
            await self._outbox_empty(daemon)
        self.show_reply(before)

    async def _outbox_empty(self, daemon: Daemon) -> None:
        for _ in range(500):
            counts = (await daemon.store.read(views.counts))["outbox"]
            if not counts.get("queued") and not counts.get("sending"):
                return
            await asyncio.sleep(0.02)


async def demonstrate(keep: bool) -> int:
    """Runs the demo; 0 when every mail had its outcome."""
    quiet = io.StringIO()
    log.configure(quiet, False)
    console = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="gateway-demo-") as name:
        folder = Path(name)
        demo = _Demo(folder, console)
        nameserver = await demo.nameserver.start()
        relay = await demo.sink.start()
        started = asyncio.Event()
        daemon = Daemon(demo.settings(nameserver, relay), str(folder / "config.toml"), ready=started.set)
        demo.say(f"A gateway in {folder}: SQLite, its own listener, 2 accounts, a DNS zone, a relay that only listens.")
        service = asyncio.create_task(daemon.run())
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait([service, waiting], return_when=asyncio.FIRST_COMPLETED)
        if service.done():
            waiting.cancel()
            await service
            return 1
        demo.say(f"It listens on {' and '.join(daemon.addresses)}\n")
        try:
            await demo.play(daemon)
            summary = await daemon.store.read(lambda c: views.status(c, utc_now(), 0.0, True))
            demo.say(f"\n{demo.done} mails: {summary['quarantined']} in quarantine, {summary['failed']} failed, "
                     f"{len(demo.sink.taken)} messages at the relay.")  # fmt: skip
            if keep:
                await demo.kept(daemon)
                await asyncio.gather(service, demo.digits(daemon))
        finally:
            if not service.done():
                daemon.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await service
            demo.nameserver.stop()
            demo.sink.stop()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return 0 if summary["failed"] == 0 and demo.done >= len(SAMPLES) + 1 else 1
