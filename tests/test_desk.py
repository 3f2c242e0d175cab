"""Tickets on both databases: one transaction a mail, threads, rechecks, better copies, people and the clock at work."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gateway.database import inbox, originals, tables
from gateway.database import outbox as outbox_rows
from gateway.database.store import Store
from gateway.ingest.identity import digest_of
from gateway.model import Incoming, OutboxItem, RawMessage, TicketState
from gateway.tickets import arrivals, desk, outgoing, people, rounds, views
from gateway.tickets.listing import Filter
from gateway.tickets.occasion import Occasion
from gateway.tickets.outgoing import Acting
from tests.samples import (
    FAIL,
    JOE,
    NONE,
    NOW,
    OUTAGE_TEXT,
    PASS,
    REFUSED,
    STRANGER,
    TEMPERROR,
    died,
    envelope,
    incoming,
    mail,
    office,
)

MINUTE = timedelta(minutes=1)


class Desk:
    """A store with an office: takes mails in and commits them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.office = office(store.keys, store.key_id)

    def take(
        self, what: Incoming, raw: bytes | None = None, now: datetime = NOW, bounced: int | None = None
    ) -> desk.Outcome:
        given = raw or mail()
        message = RawMessage(given, what.envelope)
        self.store.write_now(lambda c: inbox.accept(c, message, digest_of(given)))
        (claimed,), _ = self.store.write_now(lambda c: inbox.claim(c, now, 1, 60))
        return self.store.write_now(lambda c: desk.commit(Occasion(c, claimed, what, self.office, now, bounced)))

    def show(self, reference: str | None) -> dict[str, Any]:
        return self.store.read_now(lambda c: views.ticket_show(c, people.ticket(c, reference or "")))

    def outbox(self) -> list[Any]:
        return list(self.store.read_now(lambda c: c.execute(select(tables.outbox).order_by(tables.outbox.c.id)).all()))

    def customers(self) -> list[tuple[str, str]]:
        return [(row.template, row.recipient) for row in self.outbox() if row.kind != "staff"]

    def tick(self, now: datetime) -> list[str]:
        return [what for _, what, _ in self.store.write_now(lambda c: rounds.tick(c, self.office, now))]

    def status(self, now: datetime = NOW) -> dict[str, Any]:
        return self.store.read_now(lambda c: views.status(c, now, 0.0, True))


@pytest.fixture
def at(store: Store) -> Desk:
    return Desk(store)


def test_a_mail_becomes_ticket_entry_facts_reply_and_trace(at: Desk) -> None:
    raw = mail()
    outcome = at.take(incoming(raw), raw)
    shown = at.show(outcome.reference)
    assert (shown["trust"], shown["account"], shown["state"]) == ("verified", "10023", "open")
    assert shown["orders"] == [{"value": "123456", "ownership": "own"}]
    assert shown["ips"] == [{"value": "203.0.113.7", "ownership": "own"}]
    assert [entry["direction"] for entry in shown["entries"]] == ["in"]
    assert at.customers() == [("received", "anna@example.de")]
    assert any("trust=verified" in line for line in shown["trace"])
    assert shown["target_at"] == (NOW + 15 * MINUTE).isoformat()
    assert shown["limit_at"] == (NOW + 30 * MINUTE).isoformat()
    (row,) = at.store.read_now(lambda c: views.message_list(c, None, None, 10))
    assert (row["state"], row["disposition"], row["ticket"]) == ("done", "opened", outcome.reference)


def test_replaying_the_commit_writes_no_second_reply(at: Desk) -> None:
    outcome = at.take(incoming())
    (row,) = at.outbox()[:1]
    item = OutboxItem(row.event, row.template, "en", row.recipient, "auto", {}, row.ticket_id)
    again = outgoing.Reply(item, reference=outcome.reference)
    assert at.store.write_now(lambda c: outgoing.write(c, again, at.office, NOW)) is None


def test_a_follow_up_by_token_stays_in_its_ticket(at: Desk) -> None:
    first = at.take(incoming())
    token = at.outbox()[0].context["reply_to"]
    raw = mail("It is still slow.", Message_ID="<m2@example.de>")
    follow = incoming(raw, envelope_=envelope(rcpt_tos=(token,)))
    second = at.take(follow, raw)
    assert (second.decision.disposition, second.reference) == ("appended", first.reference)
    assert [entry["status"] for entry in at.show(first.reference)["entries"]] == ["shown", "shown"]
    assert len(at.customers()) == 1


def test_who_says_that_it_works_again_is_marked_and_waits_for_a_person_until_it_falls_again(at: Desk) -> None:
    raw = mail(OUTAGE_TEXT, subject="Server down")
    first = at.take(incoming(raw), raw)
    before = at.show(first.reference)
    token = at.outbox()[0].context["reply_to"]

    def follow(number: int, words: str) -> dict[str, Any]:
        raw = mail(words, subject="Re: Server down", Message_ID=f"<f{number}@example.de>")
        at.take(incoming(raw, envelope_=envelope(rcpt_tos=(token,))), raw)
        return at.show(first.reference)

    back = follow(2, "It came back by itself at 15:10, you can close this.")
    assert "says it works again" in back["marks"]
    kept = ("state", "critical", "limit_at", "target_at", "first_response_at", "incident_started_at")
    assert [back[key] for key in kept] == [before[key] for key in kept]
    assert (back["state"], back["critical"]) == ("open", True)
    assert "says it works again" not in follow(3, "The server is down again, no ping.")["marks"]


@pytest.mark.fault("X49")
@pytest.mark.parametrize("by", ["message_id", "references", "subject", "token_of_another"])
def test_a_stranger_gets_a_new_linked_ticket_and_changes_nothing(at: Desk, by: str) -> None:
    first = at.take(incoming())
    row = at.outbox()[0]
    before = at.show(first.reference)
    headers = {
        "message_id": {"In_Reply_To": f"<{row.rfc_id}>"},
        "references": {"References": f"<x@y.example> <{row.rfc_id}>"},
        "subject": {"subject": f"Re: x [{first.reference}]"},
        "token_of_another": {"To": row.context["reply_to"]},
    }[by]
    raw = mail(
        "I am somebody else, what about this?", author="eve@evil.example", Message_ID="<e1@evil.example>", **headers
    )
    given = envelope(mail_from="eve@evil.example")
    second = at.take(incoming(raw, match=STRANGER, envelope_=given), raw)
    assert (second.decision.disposition, second.decision.outcome) == ("opened", "linked")
    assert second.reference != first.reference
    assert at.show(second.reference)["linked_to"] == first.reference
    assert at.show(first.reference) == before | {"linked": [second.reference]}
    assert at.customers()[-1][1] == "eve@evil.example"


def test_a_party_without_proof_is_pending_and_gives_no_facts(at: Desk) -> None:
    first = at.take(incoming())
    raw = mail("Please use order #999999.", subject=f"Re: [{first.reference}]", Message_ID="<m3@example.de>")
    second = at.take(incoming(raw, verdict=NONE), raw)
    shown = at.show(first.reference)
    assert second.decision.disposition == "pending"
    assert [entry["status"] for entry in shown["entries"]] == ["shown", "pending"]
    assert {fact["value"] for fact in shown["orders"]} == {"123456"}
    (row, _) = at.store.read_now(lambda c: views.message_list(c, None, None, 10))
    assert row["disposition"] == "pending"
    assert at.store.write_now(lambda c: inbox.release(c, row["id"], NOW))
    assert [entry["status"] for entry in at.show(first.reference)["entries"]] == ["shown", "shown"]


def test_a_persons_answer_stops_the_clock_and_a_follow_up_starts_a_new_round(at: Desk) -> None:
    first = at.take(incoming())
    reference = first.reference or ""
    at.store.write_now(lambda c: people.answer(c, reference, "We are on it.", Acting(JOE, at.office, NOW + 5 * MINUTE)))
    shown = at.show(reference)
    assert (shown["state"], shown["target_at"], shown["first_response_at"]) == (
        "waiting",
        None,
        (NOW + 5 * MINUTE).isoformat(),
    )
    assert at.tick(NOW + timedelta(hours=1)) == []
    answer = at.outbox()[-1]
    assert (answer.template, answer.kind, answer.recipient) == ("answer", "person", "anna@example.de")
    raw = mail("Still slow.", In_Reply_To=f"<{answer.rfc_id}>", Message_ID="<m4@example.de>")
    later = NOW + timedelta(hours=2)
    at.take(incoming(raw, envelope_=envelope(received_at=later)), raw, now=later)
    shown = at.show(reference)
    assert (shown["state"], shown["target_at"]) == ("open", (later + 15 * MINUTE).isoformat())
    assert shown["first_response_at"] == (NOW + 5 * MINUTE).isoformat()


def sent(at: Desk, now: datetime) -> None:
    for row in at.store.write_now(lambda c: outbox_rows.claim(c, now, 50, 60)):
        at.store.write_now(lambda c, row=row: outbox_rows.mark_sent(c, row, now))


def test_the_clock_alerts_writes_to_the_customer_and_records_the_breach_once_each(at: Desk) -> None:
    first = at.take(incoming())
    sent(at, NOW)
    assert at.show(first.reference)["acknowledged_at"] == NOW.isoformat()
    for minutes, expected in (
        (14, []),
        (15, ["target"]),
        (15.5, []),
        (25, ["status"]),
        (26, []),
        (30, ["limit"]),
        (90, []),
    ):
        assert at.tick(NOW + minutes * MINUTE) == expected
    templates = Counter(row.template for row in at.outbox())
    assert templates == {"received": 1, "staff_new": 1, "staff_alert": 1, "status": 1, "staff_breach": 2}
    shown = at.show(first.reference)
    assert (shown["breached"], shown["first_response_at"]) == (True, None)
    assert at.status(NOW + 31 * MINUTE)["problems"] != []


@pytest.mark.parametrize("how", ["answered", "closed", "answered and written to again", "left alone"])
def test_a_status_mail_that_waits_for_the_relay_is_cancelled_by_an_answer(at: Desk, how: str) -> None:
    """The relay is away from the 24th minute on: nobody hears that he is not forgotten when he was answered."""
    first = at.take(incoming()).reference or ""
    sent(at, NOW)
    at.tick(NOW + 25 * MINUTE)
    assert [row.template for row in at.outbox() if row.kind == "auto" and row.state == "queued"] == ["status"]
    if how.startswith("answered"):
        at.store.write_now(lambda c: people.answer(c, first, "We look.", Acting(JOE, at.office, NOW + 26 * MINUTE)))
    if how == "closed":
        at.store.write_now(lambda c: people.close(c, first, Acting(JOE, at.office, NOW + 26 * MINUTE)))
    if how.endswith("again"):
        raw = mail("Thank you, and when?", f"Re: [{first}]", Message_ID="<again@example.de>")
        at.take(incoming(raw, envelope_=envelope(received_at=NOW + 27 * MINUTE)), raw, NOW + 27 * MINUTE)
    claimed = at.store.write_now(lambda c: outbox_rows.claim(c, NOW + 28 * MINUTE, 50, 60))
    mine = [row.item.template for row in claimed if row.item.kind != "staff"]
    assert mine == {"closed": [], "left alone": ["status"]}.get(how, ["answer"])
    (row,) = [row for row in at.outbox() if row.template == "status"]
    assert (row.state, row.last_error) == (("sending", "") if how == "left alone" else ("dead", "discarded"))
    assert at.status(NOW + 28 * MINUTE)["outbox_dead"] == 0, "nobody has to look at it"


def test_a_ticket_that_the_clock_cannot_do_stops_no_other(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = at.take(incoming())
    second = at.take(incoming(mail("two")), mail("two"))
    real = outgoing.tell

    def tell(connection: Any, what: Any, *more: Any, **given: Any) -> Any:
        if what.ticket.reference == first.reference:
            real(connection, what, *more, **given)
            raise KeyError("nobody expected it")
        return real(connection, what, *more, **given)

    monkeypatch.setattr(outgoing, "tell", tell)
    assert at.tick(NOW + 15 * MINUTE) == ["target"]
    alerts = [row for row in at.outbox() if row.template == "staff_alert"]
    assert [row.context["reference"] for row in alerts] == [second.reference], "nothing half-done is kept of the first"
    monkeypatch.undo()
    assert at.tick(NOW + 16 * MINUTE) == ["target"]


def test_many_clocks_are_served_a_few_at_a_time(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail waits while the clocks write: what one transaction leaves, the next one does. One that fails takes no
    other's turn."""
    references = [at.take(incoming(mail(one)), mail(one)).reference for one in ("one", "two", "three")]
    real = rounds._round

    def one_fails(connection: Any, row: Any, *more: Any) -> Any:
        if row.reference == references[0]:
            raise KeyError("nobody expected it")
        return real(connection, row, *more)

    monkeypatch.setattr(rounds, "_round", one_fails)
    short = lambda: at.store.write_now(lambda c: rounds.tick(c, at.office, NOW + 15 * MINUTE, working_s=0.0))  # noqa: E731
    assert [[reference for reference, _, _ in short()] for _ in range(3)] == [[references[1]], [references[2]], []]


def test_a_round_found_late_is_recorded_once_and_sends_one_kind_of_mail(at: Desk) -> None:
    at.take(incoming())
    assert at.tick(NOW + timedelta(hours=3)) == ["target", "status", "limit"]
    late = Counter(row.template for row in at.outbox())
    assert late == {"received": 1, "staff_new": 1, "staff_breach": 2}
    assert at.tick(NOW + timedelta(hours=4)) == []


def test_a_customer_who_was_never_acknowledged_hears_no_status(at: Desk) -> None:
    at.take(incoming(verdict=REFUSED))
    assert at.tick(NOW + 26 * MINUTE) == ["target", "status"]
    assert at.customers() == []


def recheck(at: Desk, what: Incoming, now: datetime) -> desk.Outcome | None:
    claimed, _ = at.store.write_now(lambda c: inbox.claim(c, now, 1, 60))
    if not claimed:
        return None
    return at.store.write_now(lambda c: desk.commit_recheck(Occasion(c, claimed[0], what, at.office, now)))


def test_a_check_that_could_not_be_made_is_repeated_and_answered_once(at: Desk) -> None:
    first = at.take(incoming(verdict=TEMPERROR))
    assert at.customers() == []
    assert at.show(first.reference)["target_at"] is not None
    assert recheck(at, incoming(verdict=TEMPERROR), NOW + 0.5 * MINUTE) is None
    recheck(at, incoming(verdict=TEMPERROR), NOW + MINUTE)
    outcome = recheck(at, incoming(verdict=PASS), NOW + 5 * MINUTE)
    assert outcome is not None
    assert at.customers() == [("received", "anna@example.de")]
    assert (at.show(first.reference)["trust"], at.show(first.reference)["account"]) == ("verified", "10023")
    assert recheck(at, incoming(verdict=PASS), NOW + 60 * MINUTE) is None


def test_without_a_verdict_everybody_is_answered_alike_after_ten_minutes(at: Desk) -> None:
    first = at.take(incoming(verdict=TEMPERROR))
    for minutes in (1, 5, 10):
        recheck(at, incoming(verdict=TEMPERROR), NOW + minutes * MINUTE)
    assert at.customers() == [("received_general", "anna@example.de")]
    recheck(at, incoming(verdict=PASS), NOW + 30 * MINUTE)
    assert at.show(first.reference)["trust"] == "verified"
    assert len(at.customers()) == 1


def test_a_recheck_that_fails_marks_the_ticket_forged_and_mutes_it(at: Desk) -> None:
    first = at.take(incoming(verdict=TEMPERROR))
    recheck(at, incoming(verdict=FAIL), NOW + MINUTE)
    shown = at.show(first.reference)
    assert (shown["trust"], shown["marks"], shown["target_at"]) == ("failed", ["forged"], None)
    assert at.customers() == []
    assert at.tick(NOW + timedelta(hours=1)) == []


def arrive(at: Desk, what: Incoming, raw: bytes) -> desk.Outcome | None:
    at.store.write_now(lambda c: inbox.accept(c, RawMessage(raw, what.envelope), digest_of(raw)))
    (claimed,) = at.store.write_now(lambda c: inbox.claim_arrivals(c, NOW, 1, 60))
    return at.store.write_now(lambda c: arrivals.commit_arrival(Occasion(c, claimed, what, at.office, NOW)))


def test_a_forged_copy_first_does_not_silence_the_genuine_one(at: Desk) -> None:
    first = at.take(incoming(verdict=FAIL, envelope_=envelope(mail_from="eve@evil.example")))
    assert (first.decision.disposition, at.customers()) == ("quarantined", [])
    genuine = b"DKIM-Signature: v=1\r\n" + mail()
    outcome = arrive(at, incoming(genuine), genuine)
    assert outcome is not None
    assert (outcome.decision.disposition, at.customers()) == ("opened", [("received", "anna@example.de")])
    (row,) = at.store.read_now(lambda c: views.message_list(c, None, None, 10))
    assert (row["state"], row["disposition"]) == ("done", "opened")
    assert bytes(at.store.read_now(lambda c: originals.load(c, row["id"]))) == genuine


def test_a_better_copy_raises_trust_without_a_second_acknowledgement(at: Desk) -> None:
    first = at.take(incoming(verdict=NONE))
    assert at.customers() == [("verification_needed", "anna@example.de")]
    arrive(at, incoming(), mail())
    shown = at.show(first.reference)
    assert (shown["trust"], shown["account"], len(at.customers())) == ("verified", "10023", 1)


def test_a_worse_copy_changes_nothing(at: Desk) -> None:
    first = at.take(incoming())
    before = at.show(first.reference)
    assert arrive(at, incoming(verdict=FAIL), mail()) is None
    after = at.show(first.reference)
    (line,) = [line for line in after.pop("trace") if line not in before["trace"]]
    assert "message 1 came again by smtp from 192.0.2.1: class=human, trust=failed" in line
    assert after == {key: value for key, value in before.items() if key != "trace"}


@pytest.mark.fault("X44")
def test_a_bounce_is_tied_to_its_reply(at: Desk) -> None:
    first = at.take(incoming())
    row = at.outbox()[0]
    raw = (
        b'From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; anna@example.de\r\n"
        b"Action: failed\r\nStatus: 5.1.1\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <"
        + row.rfc_id.encode()
        + b">\r\n\r\n--b--\r\n"
    )
    what = incoming(raw, envelope_=envelope(mail_from=""))
    outcome = at.take(what, raw, bounced=row.id)
    assert outcome.decision.disposition == "recorded"
    assert "the customer did not get this" in at.show(first.reference)["marks"]
    assert len(at.customers()) == 1
    assert "5.1.1" in at.outbox()[0].bounced


def test_an_answer_that_dies_reopens_the_ticket_and_tells_staff(at: Desk) -> None:
    first = at.take(incoming())
    at.store.write_now(lambda c: people.answer(c, first.reference or "", "Words.", Acting(JOE, at.office, NOW)))
    sent(at, NOW)  # the acknowledgement, which is first
    rows = at.store.write_now(lambda c: outbox_rows.claim(c, NOW, 50, 60))
    answer = next(row for row in rows if row.item.kind == "person")
    at.store.write_now(lambda c: died(c, answer, "RCPT TO: 550", at.office, NOW))
    assert at.show(first.reference)["state"] == "open"
    assert "staff_undelivered" in [row.template for row in at.outbox()]
    assert any("1 dead reply" in problem for problem in at.status()["problems"])


def test_release_opens_the_ticket_and_its_clock_starts_then(at: Desk) -> None:
    at.take(incoming(verdict=FAIL))
    later = NOW + timedelta(hours=2)
    assert any("quarantine" in problem for problem in at.status(later)["problems"])
    (row,) = at.store.read_now(lambda c: views.message_list(c, "quarantined", None, 10))
    assert at.store.write_now(lambda c: inbox.release(c, row["id"], later))
    (claimed,), _ = at.store.write_now(lambda c: inbox.claim(c, later, 1, 60))
    what = replace(incoming(verdict=FAIL), released=True)
    outcome = at.store.write_now(lambda c: desk.commit(Occasion(c, claimed, what, at.office, later)))
    assert at.show(outcome.reference)["target_at"] == (later + 15 * MINUTE).isoformat()
    assert at.customers() == []


def test_quarantine_is_told_in_one_digest(at: Desk) -> None:
    for number in range(3):
        raw = mail(f"forged {number}", Message_ID=f"<f{number}@x.example>")
        at.take(incoming(raw, verdict=FAIL), raw)
    assert at.store.write_now(lambda c: outgoing.digest(c, at.office, NOW)) == 3
    assert at.store.write_now(lambda c: outgoing.digest(c, at.office, NOW + MINUTE)) == 0
    assert [row.template for row in at.outbox()] == ["staff_digest"]


def test_secrets_stay_in_the_original(at: Desk) -> None:
    raw = mail(
        "My order is #123456, the root password is: hunter2hunter2, please look at the disk.",
        subject="the password: hunter2hunter2 of #123456",
        From='"Anna, password: hunter2hunter2" <anna@example.de>',
    )
    outcome = at.take(incoming(raw), raw)
    listed = at.store.read_now(lambda c: views.ticket_list(c, Filter(TicketState.OPEN), 10))
    shown = str(at.show(outcome.reference)) + str([dict(row.context) for row in at.outbox()]) + str(listed)
    assert "hunter2" not in shown
    assert "[masked]" in shown
    kept = at.store.read_now(lambda c: c.execute(select(tables.tickets.c.author_name)).scalar_one())
    assert kept.startswith("Anna") and "hunter2" not in kept


def test_the_list_shows_high_priority_first(at: Desk) -> None:
    at.take(incoming())
    raw = mail("My server is down since 14:30 CET.", Message_ID="<down@example.de>")
    urgent = at.take(incoming(raw), raw)
    listed = at.store.read_now(lambda c: views.ticket_list(c, Filter(TicketState.OPEN), 10))
    assert next(row["reference"] for row in listed) == urgent.reference
    assert at.store.write_now(lambda c: outbox_rows.claim(c, NOW, 1, 60))[0].item.context["critical"]
