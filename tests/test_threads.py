"""Which ticket a mail belongs to under attack: machine mail, bounces, old tokens, ids of others; on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.database import outbox as outbox_rows
from gateway.database import tables
from gateway.database.store import Store
from gateway.model import Account, AccountMatch, Attachment, Incoming
from gateway.tickets import desk, outgoing, people
from gateway.tickets.outgoing import Acting
from tests.samples import (
    ACCOUNT_TEXT,
    JOE,
    NONE,
    NOW,
    PASS,
    REFUSED,
    REGISTERED,
    STRANGER,
    died,
    envelope,
    incoming,
    mail,
)
from tests.test_desk import Desk

MINUTE = timedelta(minutes=1)
MACHINES = {"auto_reply": {"Auto_Submitted": "auto-replied"}, "bulk": {"List_Id": "<l.example>"}}


@pytest.fixture
def at(store: Store) -> Desk:
    return Desk(store)


def statuses(at: Desk, reference: str | None) -> list[str]:
    return [entry["status"] for entry in at.show(reference)["entries"]]


@pytest.mark.parametrize("kind", MACHINES)
@pytest.mark.parametrize("pointer", ["message_id", "references", "subject"])
@pytest.mark.parametrize("verdict", [NONE, REFUSED], ids=["no proof", "refused"])
def test_forged_machine_mail_in_a_ticket_is_pending(at: Desk, kind: str, pointer: str, verdict: Any) -> None:
    first = at.take(incoming())
    (row,) = [row for row in at.outbox() if row.kind == "auto"]
    headers = {
        "message_id": {"In_Reply_To": f"<{row.rfc_id}>"},
        "references": {"References": f"<{row.rfc_id}>"},
        "subject": {"subject": f"Re: [{first.reference}]"},
    }[pointer]
    before, written = at.show(first.reference), len(at.outbox())
    raw = mail("All is well again, close it. Order #999999.", Message_ID="<f@x.example>", **MACHINES[kind], **headers)
    found = at.take(incoming(raw, verdict=verdict), raw)
    assert (found.decision.disposition, found.decision.outcome) == ("pending", "pending")
    assert statuses(at, first.reference) == ["shown", "pending"]
    after = at.show(first.reference)
    assert {key: after[key] for key in before if key not in ("entries", "trace")} == {
        key: before[key] for key in before if key not in ("entries", "trace")
    }
    assert len(at.outbox()) == written, "it triggers no mail"
    assert outgoing.anything_to_tell is not None
    assert at.store.write_now(lambda c: outgoing.digest(c, at.office, NOW)) == 1, "and is never silent"


@pytest.mark.parametrize("kind", MACHINES)
def test_machine_mail_with_proof_or_a_token_is_appended(at: Desk, kind: str) -> None:
    first = at.take(incoming())
    token = at.outbox()[0].context["reply_to"]
    for number, (verdict, to) in enumerate(((PASS, "support@introserv.com"), (NONE, token))):
        raw = mail("I am away.", subject=f"Re: [{first.reference}]", Message_ID=f"<a{number}@x>", **MACHINES[kind])
        found = at.take(incoming(raw, verdict=verdict, envelope_=envelope(rcpt_tos=(to,))), raw)
        assert (found.decision.disposition, found.decision.silent) == ("appended", True)
    assert statuses(at, first.reference) == ["shown", "silent", "silent"]
    assert at.show(first.reference)["marks"] == ["not authenticated"], "the one by token alone is marked"
    assert len(at.customers()) == 1


def bounce(rfc_id: str, status: str = "5.1.1") -> tuple[Incoming, bytes]:
    raw = (
        f"From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered {status}\r\nMessage-ID: <b{status}@mx.example>\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; anna@example.de\r\n"
        f"Action: failed\r\nStatus: {status}\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{rfc_id}>\r\n\r\n--b--\r\n"
    ).encode()
    return incoming(raw, envelope_=envelope(mail_from="")), raw


def answer(at: Desk) -> tuple[str, Any]:
    """(reference, outbox row of a person's answer)."""
    reference = at.take(incoming()).reference or ""
    row = at.store.write_now(lambda c: people.answer(c, reference, "Words.", Acting(JOE, at.office, NOW)))
    return reference, next(found for found in at.outbox() if found.id == row)


def test_a_bounce_that_names_a_message_id_is_only_noted(at: Desk) -> None:
    reference, row = answer(at)
    before = at.show(reference)
    what, raw = bounce(row.rfc_id)
    found = at.take(what, raw)
    assert found.decision.disposition == "recorded"
    assert at.show(reference) == before
    assert [other.bounced for other in at.outbox() if other.id == row.id] == [""]
    lines = at.store.read_now(lambda c: c.execute(select(tables.notices.c.line)).scalars().all())
    assert any(f"({reference}) without its signed return address: only noted" in line for line in lines)
    again, raw = bounce(row.rfc_id, "5.2.2")
    at.take(again, raw, bounced=row.id)
    assert (at.show(reference)["state"], at.show(reference)["marks"]) == ("open", ["the customer did not get this"])


def test_a_storm_of_bounces_of_one_answer_is_one_staff_mail(at: Desk) -> None:
    reference, row = answer(at)
    for number in range(60):
        what, raw = bounce(row.rfc_id, f"5.1.{number}")
        at.take(what, raw, bounced=row.id, now=NOW + timedelta(seconds=number))
    assert sum(other.template == "staff_undelivered" for other in at.outbox()) == 1
    assert at.show(reference)["state"] == "open"
    at.store.write_now(lambda c: people.answer(c, reference, "By telephone.", Acting(JOE, at.office, NOW)))
    at.take(*bounce(row.rfc_id, "5.2.0"), bounced=row.id)
    assert at.show(reference)["state"] == "waiting", "what was told already moves nothing again"


def test_an_answer_that_dies_after_its_bounce_is_told_once(at: Desk) -> None:
    _, row = answer(at)
    claimed: Any = None
    while claimed is None:  # the acknowledgement before it goes first
        for other in at.store.write_now(lambda c: outbox_rows.claim(c, NOW, 50, 60)):
            if other.id == row.id:
                claimed = other
            else:
                at.store.write_now(lambda c, other=other: outbox_rows.mark_sent(c, other, NOW))
    at.take(*bounce(row.rfc_id), bounced=row.id)
    at.store.write_now(lambda c: died(c, claimed, "RCPT TO: 550", at.office, NOW))
    assert sum(other.template == "staff_undelivered" for other in at.outbox()) == 1


def by_token(at: Desk, now: Any, number: int = 1) -> desk.Outcome:
    token = next(row for row in at.outbox() if row.kind != "staff").context["reply_to"]
    raw = mail("It is still slow.", Message_ID=f"<t{number}@example.de>")
    return at.take(incoming(raw, verdict=NONE, envelope_=envelope(rcpt_tos=(token,), received_at=now)), raw, now=now)


def test_a_token_expires_after_180_days(at: Desk) -> None:
    at.take(incoming())
    day = timedelta(days=1)
    assert by_token(at, NOW + 180 * day, 1).decision.disposition == "appended"
    late = by_token(at, NOW + 181 * day, 2)
    assert late.decision.disposition == "pending"
    assert any("the token expired, it was last sent on 2026-11-22" in reason for reason in late.decision.reasons)


def test_a_token_lives_on_with_each_reply_that_carries_it(at: Desk) -> None:
    reference = at.take(incoming()).reference or ""
    later = NOW + timedelta(days=170)
    at.store.write_now(lambda c: people.answer(c, reference, "Words.", Acting(JOE, at.office, later)))
    assert by_token(at, later + timedelta(days=170), 1).decision.disposition == "appended"
    assert by_token(at, later + timedelta(days=181), 2).decision.disposition == "pending"


def test_an_old_token_still_finds_the_ticket_of_a_proven_author(at: Desk) -> None:
    first = at.take(incoming())
    late = NOW + timedelta(days=400)
    token = at.outbox()[0].context["reply_to"]
    raw = mail("Still slow.", Message_ID="<old@example.de>")
    assert at.take(incoming(raw, envelope_=envelope(rcpt_tos=(token,))), raw, now=late).reference == first.reference


MALLORY = AccountMatch((Account("666", "Mallory", None, "active"),), {}, Account("666", "Mallory", None, "active"), ())


@pytest.mark.parametrize("match", [STRANGER, MALLORY], ids=["stranger", "another customer"])
def test_an_id_that_a_stranger_brought_in_draws_no_mail_to_him(at: Desk, match: AccountMatch) -> None:
    """He sends a mail with the Message-ID that the customer's mail program will name next."""
    raw = mail("Mine.", author="eve@evil.example", Message_ID="<next@example.de>", References="<m0@example.de>")
    his = at.take(incoming(raw, match=match, own=False, envelope_=envelope(mail_from="eve@evil.example")), raw)
    raw = mail("My order #123456 is slow.", In_Reply_To="<next@example.de>", Message_ID="<m5@example.de>")
    found = at.take(incoming(raw), raw)
    assert (found.decision.disposition, found.decision.thread) == ("opened", None)
    assert at.show(found.reference)["linked_to"] is None
    assert found.reference != his.reference


@pytest.mark.fault("X49")
def test_a_stranger_who_copies_the_ids_of_a_ticket_draws_no_follow_up_away(at: Desk) -> None:
    """Many tickets of his know the id of the customer's mail, and his token and reference stand in it, too."""
    first = at.take(incoming())
    planted = []
    for number in range(12):
        raw = mail(f"Mine {number}.", author="eve@evil.example", Message_ID="<m1@example.de>")
        planted.append(at.take(incoming(raw, match=STRANGER, own=False), raw))
    theirs = next(row.context["reply_to"] for row in at.outbox() if row.recipient == "eve@evil.example")
    raw = mail(
        "Still slow.", subject=f"Re: [{planted[0].reference}]", In_Reply_To="<m1@example.de>", Message_ID="<m6@example.de>",
        Cc=theirs,
    )  # fmt: skip
    found = at.take(incoming(raw, envelope_=envelope(rcpt_tos=("support@introserv.com", theirs))), raw)
    assert (found.decision.disposition, found.reference) == ("appended", first.reference)
    assert found.decision.thread is not None and found.decision.thread.by == "message_id"


def test_a_colleague_is_found_by_an_id_of_the_same_account(at: Desk) -> None:
    first = at.take(incoming())
    raw = mail("We see it too.", author="bob@example.de", In_Reply_To="<m1@example.de>", Message_ID="<bob@example.de>")
    found = at.take(incoming(raw, envelope_=envelope(mail_from="bob@example.de")), raw)
    assert (found.decision.disposition, found.reference) == ("appended", first.reference)


def test_mail_to_the_return_address_of_a_reply_is_a_programs(at: Desk) -> None:
    """It is tied to the ticket of the reply, for whom it was sent to; for anybody else a silent ticket. No mail goes out."""
    from gateway.mail import guard

    first = at.take(incoming())
    row = at.outbox()[0]
    written = len(at.outbox())
    address = guard.bounce_address(at.store.keys["a"], row.id, "introserv.com")
    echo = guard.echo("anna@example.de", (address,), (), "introserv.com")
    assert echo
    raw = mail("Thank you for your mail, we are reading it.", Message_ID="<r1@example.de>")
    what = incoming(raw, verdict=NONE, envelope_=envelope(rcpt_tos=(address,)), echo=echo, returned_row=row.id)
    found = at.take(what, raw)
    assert (found.decision.disposition, found.reference, found.decision.silent) == ("appended", first.reference, True)
    raw = mail("Thank you for your mail.", author="eve@evil.example", Message_ID="<r2@example.de>")
    what = incoming(raw, match=STRANGER, envelope_=envelope(rcpt_tos=(address,)), echo=echo, returned_row=row.id)
    found = at.take(what, raw)
    assert (found.decision.disposition, found.decision.clock, found.decision.silence) == ("opened", False, echo)
    assert len(at.outbox()) == written
    assert at.tick(NOW + timedelta(hours=2)) == ["target", "status", "limit"], "of the first ticket only"


def test_a_token_of_a_ticket_without_a_known_reply_lives_from_its_opening(at: Desk) -> None:
    at.take(incoming())
    token_row = at.outbox()[0]
    assert token_row.context["reply_to"]
    forget = update(tables.outbox).values(recipient="somebody@else.example")
    at.store.write_now(lambda c: c.execute(forget.where(tables.outbox.c.id == token_row.id)))
    assert by_token(at, NOW + timedelta(days=179), 1).decision.disposition == "appended"
    assert by_token(at, NOW + timedelta(days=181), 2).decision.disposition == "pending"
    assert REGISTERED.settled is not None


def test_the_same_request_again_joins_the_first_and_is_not_acknowledged_twice(at: Desk) -> None:
    def again(number: int, now: datetime = NOW, text: str = ACCOUNT_TEXT, **more: Any) -> desk.Outcome:
        raw = mail(text, Message_ID=f"<again{number}@example.de>")
        return at.take(incoming(raw, envelope_=envelope(received_at=now), **more), raw, now=now)

    first = again(1)
    second = again(2, NOW + 5 * MINUTE)
    assert (second.reference, second.decision.disposition, second.replied) == (first.reference, "appended", None)
    assert second.decision.silence == "the same request again: it joins the first, which is acknowledged"
    assert again(3, NOW + 6 * MINUTE, verdict=NONE, match=REGISTERED).reference != first.reference  # counted apart
    assert at.customers()[0][0] == "received"
    assert (
        len([row for row in at.outbox() if row.template == "staff_new" and row.context["reference"] == first.reference])
        == 1
    )
    assert at.show(first.reference)["limit_at"] == (NOW + 30 * MINUTE).isoformat()  # the promise is that of the first
    other = again(4, NOW + 7 * MINUTE, text=ACCOUNT_TEXT.replace("123456", "123457"))
    late = again(5, NOW + 30 * MINUTE)
    at.store.write_now(lambda c: people.close(c, late.reference or "", Acting(JOE, at.office, NOW + 31 * MINUTE)))
    after = again(6, NOW + 32 * MINUTE)
    assert len({first.reference, other.reference, late.reference, after.reference}) == 4


def test_the_same_request_again_after_an_answer_is_told_to_staff(at: Desk) -> None:
    """It opens the ticket and starts a clock: who is to answer must hear of it."""

    def again(number: int, now: datetime) -> desk.Outcome:
        raw = mail(ACCOUNT_TEXT, Message_ID=f"<again{number}@example.de>")
        return at.take(incoming(raw, envelope_=envelope(received_at=now)), raw, now=now)

    reference = again(1, NOW).reference or ""
    at.store.write_now(lambda c: people.answer(c, reference, "Delete the logs.", Acting(JOE, at.office, NOW + MINUTE)))
    assert again(2, NOW + 3 * MINUTE).reference == reference
    told = [row.context["event"] for row in at.outbox() if row.template == "staff_new"]
    assert (told[-1], len(told), at.show(reference)["state"]) == ("appended", 2, "open")
    again(3, NOW + 4 * MINUTE)
    assert sum(row.template == "staff_new" for row in at.outbox()) == 2, "of a third one they know already"


def test_a_stranger_who_sends_the_same_again_joins_his_first_unless_he_brings_something_new(at: Desk) -> None:
    def again(number: int, **changes: Any) -> desk.Outcome:
        raw = mail(author="eve@other.example", Message_ID=f"<s{number}@other.example>")
        given = incoming(raw, verdict=NONE, match=STRANGER, envelope_=envelope(mail_from="eve@other.example"))
        parsed = replace(given.reading.parsed, **changes)
        return at.take(replace(given, reading=replace(given.reading, parsed=parsed)), raw)

    first, second = again(1), again(2)
    assert (second.reference, second.decision.disposition, second.replied) == (first.reference, "appended", None)
    new = Attachment("x.exe", "application/octet-stream", 1, "0" * 64, 1)
    third = again(3, attachments=(new,))
    assert (third.reference == first.reference, third.decision.disposition) == (False, "opened")
    assert at.customers() == [("verification_needed", "eve@other.example")]
