"""A customer's mail and copies of it, in any order: whoever got the mail may change what its signature does not cover and hand it
in before, between and after, and the customer still has one ticket with his words and his alarm, and hears once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from gateway.database import tables
from gateway.database.store import Store
from tests.samples import NONE, NOW, PASS, budgeted, envelope, incoming, mail, office
from tests.test_arrivals import comes
from tests.test_desk import Desk

FIELDS = {
    "another id": {"Message_ID": "<copy{n}@evil.example>"},
    "references": {"References": "<older{k}@shop.example>", "In_Reply_To": "<older{k}@shop.example>"},
    "strange references": {"References": "<nobody@evil.example>"},
    "loop": {"X_Loop": "support@introserv.com"},
    "suppressed": {"X_Auto_Response_Suppress": "All"},
    "automatic": {"Auto_Submitted": "auto-replied"},
    "a list": {"List_Id": "<l.evil.example>"},
    "bulk": {"Precedence": "bulk"},
    "reply-to": {"Reply_To": "eve@evil.example"},
    "a file": {"Content_Type": "application/octet-stream"},  # the signed body does not say the same: no proof
    "html": {"Content_Type": "text/html"},
}
OTHER = ("null sender", "return address")  #: of the envelope
EDITS = (*FIELDS, *OTHER)
DOUBTED = ("a file", "html")
WORDS = "Hello,\r\n--\r\nmy server is down since 14:30 CET and nothing responds to ping."
copies = st.lists(st.frozensets(st.sampled_from(EDITS), min_size=1, max_size=3), max_size=2)
ALL = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
_numbers = itertools.count(1)


@dataclass
class Case:
    """One customer, his older ticket, his mail, and what became of them."""

    at: Desk
    number: int
    direct: bool  #: his own server hands the mail in; else a forwarder does
    fields: dict[str, str]
    words: str = WORDS
    subject: str = "Help"

    @property
    def author(self) -> str:
        return f"anna@shop{self.number}.example"

    def mail(self, text: str = "", **fields: str) -> bytes:
        subject = fields.pop("subject", self.subject)
        given = {"Message_ID": f"<genuine{self.number}@shop.example>"} | self.fields | fields
        return mail(text or self.words, subject, self.author, **given)

    def arrives(self, raw: bytes, verdict: Any, **more: Any) -> None:
        sent_by = envelope(**{"mail_from": self.author} | more.pop("envelope", {}))
        comes(self.at, incoming(raw, verdict=verdict, envelope_=sent_by, **more), raw)

    def verdict(self, mark: str, direct: bool) -> Any:
        return replace(PASS, signatures=(f"{mark} {self.number}",), spf_aligned=direct)

    def older(self) -> None:
        raw = self.mail("The disk is slow.", subject="Older", Message_ID=f"<older{self.number}@shop.example>")
        self.arrives(raw, self.verdict("older", True))

    def genuine(self) -> None:
        self.arrives(self.mail(), self.verdict("genuine", self.direct))

    def copy(self, edits: frozenset[str]) -> None:
        """As a stranger hands it in: the signature holds and is not the author's server's."""
        fields = {name: value for edit in sorted(edits & set(FIELDS)) for name, value in FIELDS[edit].items()}
        fields = {name: value.format(n=next(_numbers), k=self.number) for name, value in fields.items()}
        verdict = self.verdict("genuine", False)
        if edits & set(DOUBTED):
            verdict = replace(NONE, dmarc="pass", signatures=verdict.signatures)
        way: dict[str, Any] = {"mail_from": "" if "null sender" in edits else "eve@evil.example"}
        more: dict[str, Any] = {}
        if "return address" in edits:
            way["rcpt_tos"] = ("bounces+x@introserv.com",)
            more["echo"] = "mail to a return address is an answer by a program"
        self.arrives(self.mail(**fields), verdict, envelope=way, **more)

    def tickets(self) -> list[dict[str, Any]]:
        t = tables.tickets.c
        query = select(t.reference).where(t.author == self.author).order_by(t.id)
        return [self.at.show(one) for one in self.at.store.read_now(lambda c: c.execute(query).scalars().all())]

    def showing(self) -> list[dict[str, Any]]:
        """The tickets where his words are to be seen."""
        return [
            ticket
            for ticket in self.tickets()
            if any(entry["status"] == "shown" and "is down since" in entry["text"] for entry in ticket["entries"])
        ]

    def heard(self) -> int:
        """How often he was written to because of the mail."""
        return sum(to == self.author for _, to in self.at.customers()) - 1

    def told(self) -> int:
        o = tables.outbox.c
        query = select(o.id).join(tables.tickets, tables.tickets.c.id == o.ticket_id).where(
            o.kind == "staff", tables.tickets.c.author == self.author
        )  # fmt: skip
        return len(self.at.store.read_now(lambda c: c.execute(query).all()))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('order') / 'gateway.db'}")
    store.open(NOW)
    made = Desk(store)
    much = (10**6, 3600.0)
    made.office = office(store.keys, store.key_id, budgeted(budget_domain=much, budget_total=much, budget_address=much))
    yield made
    store.close()


def case(desk: Desk, direct: bool, **fields: str) -> Case:
    made = Case(desk, next(_numbers), direct, fields)
    made.older()
    return made


def play(of: Case, before: list[frozenset[str]], after: list[frozenset[str]]) -> None:
    for edits in before:
        of.copy(edits)
    of.genuine()
    for edits in after:
        of.copy(edits)


@ALL
@given(before=copies, after=copies, direct=st.booleans())
def test_a_new_mail_is_one_ticket_with_its_alarm_and_is_acknowledged_once(
    desk: Desk, before: list[frozenset[str]], after: list[frozenset[str]], direct: bool
) -> None:
    of = case(desk, direct)
    play(of, before, after)
    (shown,) = of.showing()
    assert (shown["state"], shown["trust"], shown["critical"], shown["priority"]) == ("open", "verified", True, "high")
    assert shown["target_at"] is not None
    assert shown["subject"] == "Help", "a ticket of its own"
    assert of.heard() == 1
    assert of.told() <= 8
    mine = [ticket for ticket in of.tickets() if ticket["reference"] != shown["reference"]]
    assert [ticket["subject"] for ticket in mine if ticket["state"] == "open"] == ["Older"]


@ALL
@given(before=copies, after=copies, direct=st.booleans())
def test_a_follow_up_is_shown_in_one_ticket_and_his_own_server_says_in_which(
    desk: Desk, before: list[frozenset[str]], after: list[frozenset[str]], direct: bool
) -> None:
    of = case(desk, direct)
    newer = f"<newer{of.number}@shop.example>"
    of.arrives(of.mail("The disk is full.", subject="Newer", Message_ID=newer), of.verdict("newer", True))
    of.fields, of.words, of.subject = {"In_Reply_To": newer}, WORDS.replace("--\r\n", ""), "Newer: help"
    play(of, before, after)
    (shown,) = of.showing()
    assert (shown["state"], shown["trust"]) == ("open", "verified")
    assert shown["critical"]
    assert shown["target_at"] is not None
    if direct:
        assert shown["subject"] == "Newer"
    assert of.heard() <= 2, "once for the newer one, and once where a copy made a ticket of its own of the mail"
    assert of.told() <= 12


@ALL
@given(before=copies, after=copies, direct=st.booleans())
def test_a_machine_is_answered_once_at_most_and_not_where_its_own_server_came_first(
    desk: Desk, before: list[frozenset[str]], after: list[frozenset[str]], direct: bool
) -> None:
    of = case(desk, direct, Auto_Submitted="auto-generated")
    # who copies it may take the field away as well
    for edits in before:
        of.fields = {}
        of.copy(edits)
    of.fields = {"Auto_Submitted": "auto-generated"}
    of.genuine()
    for edits in after:
        of.fields = {}
        of.copy(edits)
    assert of.heard() <= (0 if direct and not before else 1)
    assert {ticket["trust"] for ticket in of.tickets()} <= {"verified", "unverified"}
