"""Values for tests: readings, verdicts and incoming mails with one thing changed at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from gateway.database import outbox as outbox_rows
from gateway.model import (
    Account,
    AccountMatch,
    ClaimedItem,
    Envelope,
    Fact,
    Facts,
    Incoming,
    Ownership,
    Person,
    Role,
    Verdict,
)
from gateway.read.reading import Hints, read
from gateway.tickets import aftermath
from gateway.tickets.outgoing import Office
from gateway.tickets.rules import Rules
from gateway.tickets.settings import Clock, Replies, Staff

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
JOE, JIM, JO = (Person(name, Role.LEAD) for name in ("joe", "jim", "jo"))
ANNA = Account("10023", "Anna Schmidt", "de", "active")
RULES = Rules(
    replies=Replies(),
    clock=Clock(),
    languages=("de", "en"),
    own_addresses=frozenset(("support@introserv.com",)),
)
PASS = Verdict("pass", "example.de", "pass", "pass", "none", True, "dmarc", False, False, False, False, ("dmarc=pass",))
NONE = replace(PASS, spf="none", dkim="none", dmarc="none", authenticated=False, by=None, reasons=("dmarc=none",))
FAIL = replace(NONE, dmarc="fail", refused=True, enforced=True)
REFUSED = replace(NONE, spf="fail", refused=True)
WEAK = replace(PASS, dkim="none", weak=True)
TEMPERROR = replace(NONE, dmarc="temperror", temperror=True)
REGISTERED = AccountMatch((ANNA,), {"10023": frozenset(("owner",))}, ANNA, ())
STRANGER = AccountMatch((), {}, None, ())
ACCOUNT_TEXT = "Hello, please look at my server 203.0.113.7 with order #123456, the disk is slow."
GENERAL_TEXT = "Hello, do you offer dedicated servers in Spain, and how much is the smallest one?"
OUTAGE_TEXT = "Hello, my server is down since 14:30 CET and nothing responds to ping."


def mail(
    text: str = ACCOUNT_TEXT, subject: str = "Question", author: str = "Anna <anna@example.de>", **headers: str
) -> bytes:
    """A raw mail."""
    fields = {"From": author, "To": "support@introserv.com", "Subject": subject, "Message-ID": "<m1@example.de>",
              "Date": "Sun, 22 Nov 2026 17:59:00 +0000"}  # fmt: skip
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"{head}\r\n{text}\r\n".encode()


def envelope(**changes: Any) -> Envelope:
    given = {"mail_from": "anna@example.de", "rcpt_tos": ("support@introserv.com",), "client": "192.0.2.1",
             "helo": "mx.example.de", "source": "smtp", "received_at": NOW}  # fmt: skip
    return Envelope(**(given | changes))


def incoming(
    raw: bytes | None = None, *, verdict: Verdict = PASS, match: AccountMatch = REGISTERED, own: bool = True,
    envelope_: Envelope | None = None, **more: Any,
) -> Incoming:  # fmt: skip
    """An incoming mail; facts are ``own`` or foreign as a whole."""
    given = envelope_ or envelope()
    reading = read(raw or mail(), Hints(given.mail_from, given.received_at, "Europe/Berlin"))
    whose = Ownership.OWN if own else Ownership.FOREIGN
    facts = Facts(
        orders=tuple(Fact(c.value, whose) for c in reading.orders),
        ips=tuple(Fact(c.value, whose) for c in reading.ips),
        services=tuple(Fact(c.value, whose) for c in reading.services if c.words.startswith("service:")),
        incident_started_at=reading.started_at,
    )
    return Incoming(envelope=given, reading=reading, verdict=verdict, match=match, facts=facts, **more)


_made = iter(range(10**9))


STAFF = Staff(technical=("l1@introserv.com",), financial=("billing@introserv.com",), escalation=("boss@introserv.com",))


def budgeted(rules: Rules = RULES, **keys: Any) -> Rules:
    """Rules with other keys of ``[replies]``."""
    return replace(rules, replies=Replies(**keys))


def office(keys: dict[str, bytes], key_id: str, rules: Rules = RULES, **changes: Any) -> Office:
    given: dict[str, Any] = {
        "rules": rules, "address": "support@introserv.com", "domain": "introserv.com",
        "keys": keys, "key_id": key_id, "new_message_id": lambda: f"reply.{next(_made)}@introserv.com",
        "rechecks": (60.0, 300.0, 600.0, 1800.0), "staff": STAFF,
    }  # fmt: skip
    return Office(**(given | changes))


def died(connection: Connection, claimed: ClaimedItem, error: str, office: Office, now: datetime) -> None:
    """A reply is given up, with what the desk makes of that."""
    outbox_rows.mark_dead(connection, claimed, error, now)
    aftermath.given_up(connection, claimed.item, error, office, now)
