"""A copy sent first never kills the genuine mail: every arrival is judged, the best one counts, nobody is answered twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gateway.database import inbox, originals, tables
from gateway.database.store import LostClaim, Store
from gateway.ingest.identity import digest_of
from gateway.model import Incoming, RawMessage
from gateway.tickets import arrivals, desk, held, outgoing, people, views
from gateway.tickets.listing import EVERYTHING
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
    envelope,
    incoming,
    mail,
)
from tests.test_desk import MINUTE, Desk, recheck

DIRECTLY = b"DKIM-Signature: v=1\r\n"  #: the genuine mail has other bytes than its copies
GENUINE = DIRECTLY + mail()


@pytest.fixture
def at(store: Store) -> Desk:
    return Desk(store)


def accepted(at: Desk, what: Incoming, raw: bytes) -> Any:
    return at.store.write_now(lambda c: inbox.accept(c, RawMessage(raw, what.envelope), digest_of(raw)))


def arrives(at: Desk, what: Incoming, raw: bytes, now: datetime = NOW) -> desk.Outcome | None:
    assert not accepted(at, what, raw).created
    return judged(at, what, now)


def judged(at: Desk, what: Incoming, now: datetime = NOW) -> desk.Outcome | None:
    (claimed,) = at.store.write_now(lambda c: inbox.claim_arrivals(c, now, 1, 60))
    return at.store.write_now(lambda c: arrivals.commit_arrival(Occasion(c, claimed, what, at.office, now)))


def message(at: Desk) -> Any:
    return at.store.read_now(lambda c: c.execute(select(tables.messages).order_by(tables.messages.c.id)).first())


def kept(at: Desk) -> bytes:
    return bytes(at.store.read_now(lambda c: originals.load(c, message(at).id)))


def noted(at: Desk) -> list[Any]:
    return list(at.store.read_now(lambda c: c.execute(select(tables.arrivals)).all()))


#: what somebody who knows the mail may change on his copy: (fields, envelope sender)
COPIES: dict[str, tuple[dict[str, str], str]] = {
    "X-Failed-Recipients": ({"X_Failed_Recipients": "x@y.example", "Return_Path": "<>"}, "eve@evil.example"),
    "Precedence": ({"Precedence": "bulk"}, "eve@evil.example"),
    "null envelope": ({}, ""),
    "Auto-Submitted": ({"Auto_Submitted": "auto-replied"}, "eve@evil.example"),
    "a report": ({"Content_Type": "multipart/report; report-type=delivery-status; boundary=x"}, ""),
    "a list": ({"List_Id": "<l.example>"}, "l-bounces@l.example"),
    "a challenge to the class": ({"Content_Type": "multipart/report; report-type=feedback-report; boundary=x"}, "e@e.example"),
}  # fmt: skip


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("verdict", [NONE, REFUSED, FAIL])
def test_a_machines_copy_first(at: Desk, copy: str, verdict: Any) -> None:
    fields, sender = COPIES[copy]
    raw = mail(**fields)
    assert digest_of(raw) == digest_of(GENUINE)
    first = at.take(incoming(raw, verdict=verdict, match=STRANGER, envelope_=envelope(mail_from=sender)), raw)
    assert first.decision.disposition in ("recorded", "quarantined")
    outcome = arrives(at, incoming(GENUINE), GENUINE)
    assert outcome is not None and outcome.decision.disposition == "opened"
    shown = at.show(outcome.reference)
    assert (shown["trust"], shown["account"], shown["state"]) == ("verified", "10023", "open")
    assert [entry["status"] for entry in shown["entries"]] == ["shown"]
    assert shown["target_at"] == (NOW + 15 * MINUTE).isoformat()
    assert at.customers() == [("received", "anna@example.de")]
    row = message(at)
    assert (row.state, row.disposition, row.mail_class, row.mail_from) == ("done", "opened", "human", "anna@example.de")
    assert (kept(at), row.size) == (GENUINE, len(GENUINE))
    assert arrives(at, incoming(GENUINE), b"Received: x\r\n" + GENUINE) is None
    assert at.customers() == [("received", "anna@example.de")]


def test_a_verified_copy_that_looks_like_a_machines_becomes_a_persons_ticket(at: Desk) -> None:
    """The signature covers neither field nor envelope: the copy is proven as well, and was silent."""
    raw = mail(Precedence="bulk")
    first = at.take(incoming(raw), raw)
    assert (first.decision.silent, at.customers()) == (True, [])
    later = NOW + MINUTE
    outcome = arrives(at, incoming(GENUINE, envelope_=envelope(received_at=later)), GENUINE, later)
    assert outcome is not None and outcome.reference == first.reference
    shown = at.show(first.reference)
    assert [entry["status"] for entry in shown["entries"]] == ["shown"]
    assert shown["target_at"] == (later + 15 * MINUTE).isoformat()
    assert at.customers() == [("received", "anna@example.de")]
    assert "staff_new" in [row.template for row in at.outbox()]
    assert kept(at) == GENUINE


@pytest.mark.parametrize("field", ["X_Loop", "X_Auto_Response_Suppress"])
def test_a_copy_that_wishes_for_no_answer_silences_nobody(at: Desk, field: str) -> None:
    """No signature covers such a field: whoever got the mail may have put it there and sent it ahead."""
    raw = mail(**{field: "All"})
    first = at.take(incoming(raw), raw)
    assert (first.decision.disposition, at.customers()) == ("opened", [])
    outcome = arrives(at, incoming(GENUINE), GENUINE)
    assert outcome is not None and outcome.reference == first.reference
    assert at.customers() == [("received", "anna@example.de")]
    assert arrives(at, incoming(raw), raw) is None
    assert arrives(at, incoming(GENUINE), b"Received: y\r\n" + GENUINE) is None
    assert at.customers() == [("received", "anna@example.de")]


SIGNED = replace(PASS, signatures=("of both",))  #: by the author's domain, handed in by anybody
SENT = replace(SIGNED, spf_aligned=True)  #: the author's own server handed it in
_OTHERS = iter(range(10**6))


def comes(at: Desk, what: Incoming, raw: bytes, now: datetime = NOW) -> None:
    """A mail comes, of whatever identity, and all that follows of it is done. ``what`` is how it is judged as an arrival too."""
    at.store.write_now(lambda c: inbox.accept(c, RawMessage(raw, what.envelope), digest_of(raw)))
    for _ in range(9):
        found, _parked = at.store.write_now(lambda c: inbox.claim(c, now, 1, 60))
        for claimed in found:
            at.store.write_now(lambda c, claimed=claimed: desk.commit(Occasion(c, claimed, what, at.office, now)))  # type: ignore[misc]
        again = at.store.write_now(lambda c: inbox.claim_arrivals(c, now, 1, 60))
        for claimed in again:
            at.store.write_now(
                lambda c, claimed=claimed: arrivals.commit_arrival(Occasion(c, claimed, what, at.office, now))
            )  # type: ignore[misc]
        if not found and not again:
            return
    raise AssertionError("it does not come to rest")


def elsewhere(text: str | None = None, **fields: str) -> bytes:
    """A copy under another Message-ID, which the signature does not cover."""
    given = {"Message_ID": f"<copy{next(_OTHERS)}@evil.example>"} | fields
    return mail(text, **given) if text else mail(**given)


def tickets_of(at: Desk) -> list[dict[str, Any]]:
    rows = at.store.read_now(lambda c: views.ticket_list(c, EVERYTHING, 50))
    return [at.show(row["reference"]) for row in rows]


@pytest.mark.parametrize("verdict", [SIGNED, SENT])
@pytest.mark.parametrize("field", ["List_Id", "X_Loop", "Auto_Submitted", "rcpt", "null sender", "nothing"])
def test_a_copy_under_another_id_is_another_arrival_of_the_same_message(at: Desk, field: str, verdict: Any) -> None:
    """Where a signature does not cover Message-ID, the copy has another identity, and the same signature."""
    raw = elsewhere(**({field: "<x.y>"} if "_" in field else {}))
    changes: dict[str, Any] = {
        "rcpt": {"rcpt_tos": ("bounces+x@introserv.com",)},
        "null sender": {"mail_from": ""},
    }.get(field, {})
    more = {"echo": "mail to a return address is an answer by a program"} if field == "rcpt" else {}
    comes(at, incoming(raw, verdict=SIGNED, envelope_=envelope(**changes), **more), raw)
    assert len(at.customers()) == (field == "nothing")
    comes(at, incoming(GENUINE, verdict=verdict), GENUINE)
    for _ in range(3):
        raw = elsewhere(X_Loop="x")
        comes(at, incoming(raw, verdict=SIGNED), raw)
    comes(at, incoming(GENUINE, verdict=verdict), b"Received: x\r\n" + GENUINE)
    (shown,) = tickets_of(at)
    assert (shown["trust"], shown["state"], [entry["status"] for entry in shown["entries"]]) == (
        "verified",
        "open",
        ["shown"],
    )
    assert shown["target_at"] is not None
    assert at.customers() == [("received", "anna@example.de")], "one acknowledgement in all"
    reasons = [row["reason"] for row in at.store.read_now(lambda c: views.message_list(c, None, None, 20))]
    assert sum(reason.startswith("another arrival of message 1") for reason in reasons) == 4
    found = at.store.read_now(lambda c: c.execute(select(tables.thread_ids.c.rfc_id)).scalars().all())
    assert "m1@example.de" in found, "an answer to the genuine mail finds the ticket"


def test_a_copy_with_references_and_another_id_buries_nothing(at: Desk) -> None:
    older = mail("The disk is slow.", Message_ID="<older@example.de>", subject="Disk")
    comes(at, incoming(older, verdict=replace(SENT, signatures=("older",))), older)
    raw = elsewhere(References="<older@example.de>", X_Loop="x")
    comes(at, incoming(raw, verdict=SIGNED), raw)
    comes(at, incoming(GENUINE, verdict=SIGNED), GENUINE)
    assert [to for _, to in at.customers()] == ["anna@example.de"] * 2
    shown = [one for one in tickets_of(at) if one["subject"] == "Question"]
    assert [(one["trust"], one["state"]) for one in shown] == [("verified", "open")]


def test_what_the_author_s_own_server_says_of_a_machine_s_mail_holds(at: Desk) -> None:
    """Auto-Submitted is not signed: whoever takes it away makes no person's mail of it, under whatever Message-ID."""
    raw = mail(Auto_Submitted="auto-generated")
    comes(at, incoming(raw, verdict=SENT), raw)
    for copy in (elsewhere(), GENUINE, elsewhere(X_Loop="x"), elsewhere()):
        comes(at, incoming(copy, verdict=SIGNED), copy)
    (shown,) = tickets_of(at)
    assert (at.customers(), shown["target_at"]) == ([], None)
    comes(at, incoming(GENUINE, verdict=SENT), b"Received: y\r\n" + GENUINE)
    assert at.customers() == [("received", "anna@example.de")], (
        "what his own server hands in without the field is a person's"
    )


def test_a_machine_s_mail_by_another_way_is_answered_once_at_most(at: Desk) -> None:
    raw = mail(Auto_Submitted="auto-generated")
    comes(at, incoming(raw, verdict=SIGNED), raw)
    for copy in (elsewhere(), elsewhere(X_Loop="x"), GENUINE, elsewhere()):
        comes(at, incoming(copy, verdict=SIGNED), copy)
    assert (len(at.customers()), len(tickets_of(at))) == (1, 1)


def test_a_hush_of_the_author_s_own_server_holds(at: Desk) -> None:
    raw = mail(X_Auto_Response_Suppress="All")
    comes(at, incoming(raw, verdict=SENT), raw)
    copy = elsewhere()
    comes(at, incoming(copy, verdict=SIGNED), copy)
    assert at.customers() == []


def test_a_machine_s_copy_from_the_author_s_server_silences_no_person(at: Desk) -> None:
    comes(at, incoming(GENUINE, verdict=SIGNED), GENUINE)
    raw = mail(Auto_Submitted="auto-replied")
    comes(at, incoming(raw, verdict=SENT), raw)
    (shown,) = tickets_of(at)
    assert (len(at.customers()), shown["target_at"] is not None) == (1, True)


def two_tickets(at: Desk) -> tuple[str, str]:
    """An old ticket of the customer and a newer one: their references."""
    for number in (40, 41):
        raw = mail(
            f"The disk of rack {number} is slow.", Message_ID=f"<older{number}@example.de>", subject=f"Older {number}"
        )
        comes(at, incoming(raw, verdict=replace(SENT, signatures=(f"older{number}",))), raw)
    by_subject = {one["subject"]: one["reference"] for one in tickets_of(at)}
    return by_subject["Older 40"], by_subject["Older 41"]


def in_tickets(at: Desk, words: str) -> list[tuple[str, str]]:
    """(subject, status) of the tickets with a contribution of these words."""
    return sorted(
        (one["subject"], entry["status"])
        for one in tickets_of(at)
        for entry in one["entries"]
        if words in entry["text"]
    )


@pytest.mark.parametrize("how", ["subject", "ours", "own server", "own server, copy of its own"])
def test_a_follow_up_goes_where_it_belongs_whatever_a_copy_refers_to(at: Desk, how: str) -> None:
    old, new = two_tickets(at)
    ours = (
        at.outbox()[-1].rfc_id
        if at.outbox()[-1].kind == "auto"
        else [row for row in at.outbox() if row.kind == "auto"][-1].rfc_id
    )
    subject = f"Re: Older 41 [{new}]" if how == "subject" else "Re: Older 41"
    pointer = {"subject": "", "ours": f"<{ours}>"}.get(how, "<older41@example.de>")
    told = {"subject": subject, "Message_ID": "<f@example.de>"}
    wrong = "" if how == "own server, copy of its own" else "<older40@example.de>"
    copy = mail("It is slower still.", References=wrong, In_Reply_To=wrong, **told)
    genuine = mail("It is slower still.", In_Reply_To=pointer, **told)
    assert digest_of(copy) == digest_of(genuine)
    verdict = SENT if "own server" in how else SIGNED
    comes(at, incoming(copy, verdict=SIGNED), copy)
    if how == "subject":
        assert in_tickets(at, "slower still") == [("Older 41", "shown")], "the subject is signed"
    comes(at, incoming(genuine, verdict=verdict), genuine)
    assert ("Older 41", "shown") in in_tickets(at, "slower still")
    for number in range(3):
        raw = b"X-N: %d\r\n" % number + copy
        comes(at, incoming(raw, verdict=SIGNED), raw)
        again = b"X-N: %d\r\n" % number + genuine
        comes(at, incoming(again, verdict=verdict), again)
    shown = [subject for subject, status in in_tickets(at, "slower still") if status == "shown"]
    assert shown == ["Older 41"]
    assert len(at.customers()) == 2 + (how == "own server, copy of its own")
    assert old != new


def test_a_recheck_finds_that_a_mail_is_another_s_arrival(at: Desk) -> None:
    """The key could not be asked when the first copy came; meanwhile the other one was proven and acknowledged."""
    raw = elsewhere()
    comes(at, incoming(raw, verdict=TEMPERROR), raw)
    comes(at, incoming(GENUINE, verdict=SIGNED), GENUINE)
    assert at.customers() == [("received", "anna@example.de")]
    later = NOW + 2 * MINUTE
    recheck(at, incoming(raw, verdict=SIGNED), later)
    comes(at, incoming(raw, verdict=SIGNED), b"Received: z\r\n" + raw, later)
    assert at.customers() == [("received", "anna@example.de")]
    assert sorted((one["state"], one["trust"]) for one in tickets_of(at)) == [
        ("closed", "unverified"),
        ("open", "verified"),
    ]


def test_an_unsigned_copy_is_found_to_be_the_same_message_when_it_comes_signed(at: Desk) -> None:
    comes(at, incoming(GENUINE, verdict=NONE), GENUINE)
    raw = elsewhere()
    comes(at, incoming(raw, verdict=SIGNED), raw)
    comes(at, incoming(GENUINE, verdict=SIGNED), b"Received: x\r\n" + GENUINE)
    comes(at, incoming(GENUINE, verdict=NONE), b"Received: y\r\n" + GENUINE)
    states = sorted((one["state"], one["trust"]) for one in tickets_of(at))
    assert states in ([("closed", "unverified"), ("open", "verified")], [("open", "verified")])


def test_what_a_person_released_stays_though_it_is_another_arrival(at: Desk) -> None:
    comes(at, incoming(GENUINE, verdict=SIGNED), GENUINE)
    raw = elsewhere()
    comes(at, incoming(raw, verdict=SIGNED), raw)
    (copy,) = [
        row
        for row in at.store.read_now(lambda c: views.message_list(c, None, None, 9))
        if "another arrival" in row["reason"]
    ]
    later = NOW + 60 * MINUTE
    assert at.store.write_now(lambda c: inbox.release(c, copy["id"], later))
    released = replace(incoming(raw, verdict=SIGNED), released=True)
    for number in range(2):
        comes(at, released, b"X-N: %d\r\n" % number + raw, later)
    assert [one["state"] for one in tickets_of(at)] == ["open", "open"]
    assert [row.message_id for row in noted(at)].count(copy["id"]) == 2, (
        "what comes of it again is of it, not of the first"
    )


def test_a_refused_copy_silences_nobody_without_proof(at: Desk) -> None:
    """Whoever hands the mail on from a host that its domain does not name; the author's own server needs no record."""
    first = at.take(incoming(verdict=REFUSED))
    assert (first.decision.disposition, at.customers()) == ("opened", [])
    outcome = arrives(at, incoming(GENUINE, verdict=NONE), GENUINE)
    assert outcome is not None and outcome.reference == first.reference
    assert at.customers() == [("verification_needed", "anna@example.de")]


def test_an_equal_copy_that_reads_otherwise_stands_beside_the_first(at: Desk) -> None:
    raw = mail(Content_Type="application/octet-stream")
    first = at.take(incoming(raw, verdict=NONE), raw)
    assert arrives(at, incoming(GENUINE, verdict=NONE), GENUINE) is None
    shown = at.show(first.reference)
    words = [entry["text"] for entry in shown["entries"] if entry["status"] == "shown"]
    assert len(words) == 2 and words[1] == incoming(GENUINE).reading.masked_text
    assert "two copies of a mail read differently" in shown["marks"]
    assert any("it reads otherwise" in line for line in shown["trace"])
    (kept_beside,) = noted(at)
    assert bytes(at.store.read_now(lambda c: originals.load(c, -kept_beside.id))) == GENUINE
    assert [row.template for row in at.outbox() if row.kind == "staff"].count("staff_new") == 2
    assert arrives(at, incoming(GENUINE, verdict=NONE), b"Received: x\r\n" + GENUINE) is None
    assert len(at.show(first.reference)["entries"]) == len(shown["entries"]), "the same words again are no news"


def test_a_copy_whose_subject_reads_otherwise_stands_beside_the_first(at: Desk) -> None:
    """Octets of a subject are read in the charset that an unsigned field names: the signature holds for either."""

    def of(charset: str) -> bytes:
        raw = mail(subject="SUBJECT", Content_Type=f"text/plain; charset={charset}")
        return raw.replace(b"SUBJECT", "Сервер упал".encode("cp1251"))

    first = at.take(incoming(of("windows-1252"), verdict=SIGNED), of("windows-1252"))
    assert "упал" not in at.show(first.reference)["subject"]
    for _ in range(2):
        arrives(at, incoming(of("windows-1251"), verdict=SIGNED), of("windows-1251"))
    shown = at.show(first.reference)
    words = [entry["text"] for entry in shown["entries"] if entry["status"] == "shown"]
    assert len(words) == 2 and words[1].startswith("[the subject of this copy: Сервер упал]")
    assert "two copies of a mail read differently" in shown["marks"] and shown["critical"]
    arrives(at, incoming(of("windows-1252"), verdict=SIGNED), of("windows-1252"))
    assert len(at.show(first.reference)["entries"]) == len(shown["entries"]), "the first again is no news"


def test_the_ticket_of_two_copies_is_closed_when_the_genuine_mail_has_its_own(at: Desk) -> None:
    """A machine's copy, then a person's without proof that refers to another ticket: the first opened the ticket all the same."""
    older = mail("The disk is slow.", subject="Older", Message_ID="<older@example.de>")
    comes(at, incoming(older, verdict=replace(PASS, signatures=("of the older",))), older)
    machine = mail(OUTAGE_TEXT, Auto_Submitted="auto-replied")
    comes(at, incoming(machine, verdict=SIGNED), machine)
    doubted = mail(OUTAGE_TEXT, References="<older@example.de>", Content_Type="application/octet-stream")
    comes(at, incoming(doubted, verdict=replace(NONE, dmarc="pass", signatures=SIGNED.signatures)), doubted)
    genuine = mail(OUTAGE_TEXT)
    comes(at, incoming(genuine, verdict=SIGNED), genuine)
    own = [ticket for ticket in tickets_of(at) if ticket["subject"] != "Older"]
    assert [ticket["state"] for ticket in own].count("open") == 1
    assert [e["status"] for t in own if t["state"] == "open" for e in t["entries"]].count("shown") == 1


def test_words_that_stand_in_a_ticket_that_was_left_are_shown_in_the_one_that_counts(at: Desk) -> None:
    """A machine's copy, one at our return address and one with References (a reply, cut at two dashes), and then the genuine mail."""
    older = mail("The disk is slow.", subject="Older", Message_ID="<older@example.de>")
    comes(at, incoming(older, verdict=replace(PASS, signatures=("of the older",))), older)
    text = f"Hello,\r\n--\r\n{OUTAGE_TEXT}"
    refers = mail(text, subject="Help", References="<older@example.de>", In_Reply_To="<older@example.de>")
    bulk, genuine = mail(text, subject="Help", Precedence="bulk"), mail(text, subject="Help")
    echo = "mail to a return address is an answer by a program"
    for raw, more in ((bulk, {}), (refers, {"echo": echo}), (refers, {}), (genuine, {})):
        comes(at, incoming(raw, verdict=SIGNED, **more), raw)
    opened = [ticket for ticket in tickets_of(at) if ticket["subject"] == "Help" and ticket["state"] == "open"]
    assert [ticket["critical"] for ticket in opened] == [True]
    assert any("is down" in entry["text"] for entry in opened[0]["entries"] if entry["status"] == "shown")


def test_a_copy_of_a_held_back_contribution_shows_nothing_of_it(at: Desk) -> None:
    """Sent twice, with another Content-Type: what proves nobody is not shown by that."""
    first = at.take(incoming())
    raw = mail(
        "Please cancel all.", subject=f"Re: [{first.reference}]", Message_ID="<m3@example.de>", Content_Type="text/html"
    )
    plain = mail(
        "Please cancel all.", subject=f"Re: [{first.reference}]", Message_ID="<m3@example.de>", Content_Type="image/png"
    )
    for one in (raw, plain, raw):
        comes(at, incoming(one, verdict=NONE), one)
    shown = at.show(first.reference)
    assert {entry["status"] for entry in shown["entries"][1:]} == {"pending"}
    assert not shown["critical"]


def test_the_graver_reading_counts_whatever_copies_came_between(at: Desk) -> None:
    """The words of the genuine mail stood there and were greyed by a copy that reads otherwise."""
    hushed = mail(OUTAGE_TEXT, X_Loop="x")
    comes(at, incoming(hushed, verdict=SIGNED), hushed)
    other = mail(OUTAGE_TEXT, Content_Type="text/html; charset=utf-8")
    what = incoming(other, verdict=SIGNED)
    comes(at, replace(what, reading=incoming(mail("Hello."), verdict=SIGNED).reading), other)
    assert at.customers() != []
    genuine = mail(OUTAGE_TEXT)
    comes(at, incoming(genuine, verdict=SIGNED), b"Received: x\r\n" + genuine)
    (shown,) = tickets_of(at)
    assert (shown["critical"], shown["priority"]) == (True, "high")
    assert [entry["status"] for entry in shown["entries"] if "is down" in entry["text"]] == ["shown"]


def test_a_copy_with_somebodys_references_buries_nothing(at: Desk) -> None:
    """The signature covers no References: whoever knows an older id of the customer may put it on a copy sent ahead."""
    older = mail("The disk is slow.", Message_ID="<older@example.de>", subject="Question of a disk")
    first = at.take(incoming(older), older)
    raw = mail(In_Reply_To="<older@example.de>", References="<older@example.de>")
    buried = at.take(incoming(raw), raw)
    assert (buried.decision.disposition, buried.reference) == ("appended", first.reference)
    outcome = arrives(at, incoming(GENUINE), GENUINE)
    assert outcome is not None and outcome.reference != first.reference
    assert [to for _, to in at.customers()] == ["anna@example.de"] * 2, "it is acknowledged as a mail of its own"
    assert at.show(outcome.reference)["target_at"] is not None
    assert any("a better copy" in mark for mark in at.show(first.reference)["marks"])


def test_an_outage_that_only_the_second_copy_tells_is_one(at: Desk) -> None:
    words = mail(OUTAGE_TEXT)
    hidden = mail(OUTAGE_TEXT, Content_Type="application/octet-stream")
    assert digest_of(words) == digest_of(hidden)
    first = at.take(incoming(hidden), hidden)
    assert not at.show(first.reference)["critical"]
    assert arrives(at, incoming(words), words) is None
    shown = at.show(first.reference)
    assert (shown["critical"], shown["priority"]) == (True, "high")
    assert "critical" in shown["marks"]


def test_a_copy_with_somebodys_references_leaves_no_mail_pending(at: Desk) -> None:
    older = mail("The disk is slow.", Message_ID="<older@example.de>", subject="Disk")
    first = at.take(incoming(older), older)
    raw = mail(In_Reply_To="<older@example.de>", References="<older@example.de>")
    assert at.take(incoming(raw, verdict=NONE), raw).decision.disposition == "pending"
    outcome = arrives(at, incoming(GENUINE, verdict=NONE), GENUINE)
    assert outcome is not None and outcome.decision.disposition == "opened"
    assert outcome.reference != first.reference


def test_copies_that_are_no_better_do_not_move_a_mail_to_and_fro(at: Desk) -> None:
    older = mail("The disk is slow.", Message_ID="<older@example.de>", subject="Question of a disk")
    at.take(incoming(older), older)
    hushed, buried = mail(X_Loop="x"), mail(References="<older@example.de>")
    at.take(incoming(hushed), hushed)
    for number in range(8):
        raw = b"X-N: %d\r\n" % number + (hushed if number % 2 else buried)
        assert arrives(at, incoming(raw), raw) is None
    assert len(at.store.read_now(lambda c: views.ticket_list(c, EVERYTHING, 50))) == 2
    outcome = arrives(at, incoming(GENUINE), GENUINE)
    assert outcome is not None and outcome.decision.disposition == "opened", "however many came before"
    assert len(at.customers()) == 2
    for number in range(4):
        raw = b"X-M: %d\r\n" % number + (hushed if number % 2 else buried)
        assert arrives(at, incoming(raw), raw) is None


@pytest.mark.fault("X39")
def test_through_a_list_first_and_then_directly(at: Desk) -> None:
    """Innocent: the list broke the signature."""
    raw = mail(List_Id="<team.example.de>")
    first = at.take(incoming(raw, verdict=NONE, envelope_=envelope(mail_from="team-bounces@example.de")), raw)
    assert first.decision.disposition == "recorded"
    outcome = arrives(at, incoming(GENUINE), GENUINE)
    assert outcome is not None and at.customers() == [("received", "anna@example.de")]


def test_a_persons_copy_of_a_proven_machines_mail_is_shown_and_keeps_what_is_proven(at: Desk) -> None:
    raw = mail(List_Id="<team.example.de>")
    first = at.take(incoming(raw), raw)
    copy = DIRECTLY + mail(Content_Type="text/html")
    outcome = arrives(at, incoming(copy, verdict=NONE), copy)
    assert outcome is not None and outcome.reference == first.reference
    shown = at.show(first.reference)
    assert (shown["trust"], [entry["status"] for entry in shown["entries"]]) == ("verified", ["shown"])
    assert shown["target_at"] is not None
    assert at.customers() == [("verification_needed", "anna@example.de")], "the copy proves nobody"
    assert kept(at) == raw
    assert message(at).authenticated


def test_a_proven_copy_with_a_machines_field_raises_the_persons_ticket(at: Desk) -> None:
    first = at.take(incoming(verdict=NONE))
    copy = DIRECTLY + mail(Auto_Submitted="auto-replied")
    outcome = arrives(at, incoming(copy), copy)
    assert outcome is not None
    shown = at.show(first.reference)
    assert (shown["trust"], [entry["status"] for entry in shown["entries"]]) == ("verified", ["shown"])
    assert len(at.customers()) == 1


def test_a_copy_that_is_read_otherwise(at: Desk) -> None:
    """Another Content-Type above the same body: what is shown is read from the proven bytes, what was shown is greyed."""
    text = OUTAGE_TEXT + " My order is #123456."
    copy, genuine = mail(text, Content_Type="image/png"), DIRECTLY + mail(text)
    assert digest_of(copy) == digest_of(genuine)
    first = at.take(incoming(copy, verdict=NONE), copy)
    assert at.show(first.reference)["critical"] is False
    arrives(at, incoming(genuine), genuine)
    shown = at.show(first.reference)
    assert (shown["critical"], shown["priority"], shown["trust"]) == (True, "high", "verified")
    assert [fact["value"] for fact in shown["orders"]] == ["123456"]
    assert [entry["status"] for entry in shown["entries"]] == ["silent", "shown"]
    assert "is down" in shown["entries"][1]["text"]
    assert kept(at) == genuine


@pytest.mark.parametrize("reason", ["reading failed: RecursionError", "the reader died (SIGKILL)"])
def test_a_copy_that_cannot_be_read_first(at: Desk, reason: str) -> None:
    poisoned = mail(Cc="(" * 5000)
    assert digest_of(poisoned) == digest_of(GENUINE)
    assert accepted(at, incoming(), poisoned).created
    (claimed,), _ = at.store.write_now(lambda c: inbox.claim(c, NOW, 1, 60))
    at.store.write_now(lambda c: inbox.park(c, claimed, reason, NOW))
    outcome = arrives(at, incoming(GENUINE), GENUINE)
    assert outcome is not None and outcome.decision.disposition == "opened"
    assert at.customers() == [("received", "anna@example.de")]
    assert (message(at).state, kept(at)) == ("done", GENUINE)


def test_the_bytes_of_a_mail_that_failed_give_way_to_no_forgery(at: Desk) -> None:
    assert accepted(at, incoming(), GENUINE).created
    (claimed,), _ = at.store.write_now(lambda c: inbox.claim(c, NOW, 1, 60))
    at.store.write_now(lambda c: inbox.park(c, claimed, "the reader died", NOW))
    for forged in (incoming(verdict=FAIL), incoming(mail(Precedence="bulk"), verdict=NONE)):
        assert arrives(at, forged, mail()) is None
    assert (message(at).state, kept(at)) == ("failed", GENUINE)


def test_our_own_mail_and_a_discarded_one_first(at: Desk) -> None:
    first = at.take(incoming(is_own=True))
    assert first.decision.disposition == "ignored"
    assert arrives(at, incoming(GENUINE), GENUINE) is not None
    assert at.customers() == [("received", "anna@example.de")]


def test_what_staff_discarded_comes_again_proven(at: Desk) -> None:
    at.take(incoming(verdict=FAIL))
    assert at.store.write_now(lambda c: inbox.discard(c, message(at).id, NOW))
    assert arrives(at, incoming(GENUINE), GENUINE) is not None
    assert at.customers() == [("received", "anna@example.de")]


def test_a_ticket_that_was_closed_unanswered_opens_for_the_genuine_mail(at: Desk) -> None:
    first = at.take(incoming(verdict=REFUSED))
    at.store.write_now(lambda c: people.close(c, first.reference or "", Acting(JOE, at.office, NOW), spam=True))
    assert arrives(at, incoming(GENUINE), GENUINE) is not None
    shown = at.show(first.reference)
    assert (shown["state"], shown["trust"]) == ("open", "verified")
    assert shown["target_at"] is not None
    assert at.customers() == [("received", "anna@example.de")]


def test_a_follow_up_that_was_pending_comes_again_signed(at: Desk) -> None:
    first = at.take(incoming())
    reference = first.reference or ""
    raw = mail("Please use order #999999.", subject=f"Re: [{reference}]", Message_ID="<m3@example.de>")
    assert at.take(incoming(raw, verdict=NONE), raw).decision.disposition == "pending"
    at.store.write_now(lambda c: people.answer(c, reference, "We are on it.", Acting(JOE, at.office, NOW)))
    assert at.show(reference)["state"] == "waiting"
    later = NOW + 5 * MINUTE
    signed = DIRECTLY + raw
    outcome = arrives(at, incoming(signed, envelope_=envelope(received_at=later)), signed, later)
    assert outcome is not None and outcome.decision.disposition == "appended"
    shown = at.show(reference)
    assert [entry["status"] for entry in shown["entries"] if entry["direction"] == "in"] == ["shown", "shown"]
    assert (shown["state"], shown["target_at"]) == ("open", (later + 15 * MINUTE).isoformat())
    assert {fact["value"] for fact in shown["orders"]} == {"123456", "999999"}
    told = [row.event for row in at.outbox() if row.template == "staff_new"]
    assert len(told) == 3 and len(set(told)) == 3
    assert len([row for row in at.outbox() if row.kind == "auto"]) == 1, "a follow-up is not acknowledged"


def test_a_follow_up_that_was_silent_becomes_a_persons_by_a_copy_that_proves_nobody(at: Desk) -> None:
    """Two copies sent ahead, one with a machine's field and one that proves nobody: the words are shown, so they reopen too;
    the genuine mail, which is no better than both together, comes to nothing."""
    first = at.take(incoming())
    reference = first.reference or ""
    at.store.write_now(lambda c: people.answer(c, reference, "Done.", Acting(JOE, at.office, NOW)))
    words, told = "It is down again.", {"subject": f"Re: [{reference}]", "Message_ID": "<m3@example.de>"}
    silent = mail(words, Auto_Submitted="auto-replied", **told)
    assert at.take(incoming(silent), silent).decision.silent
    shown = at.show(reference)
    assert (shown["state"], shown["target_at"]) == ("waiting", None)
    later = NOW + 5 * MINUTE
    unproven = mail(words, Content_Type="text/plain; charset=us-ascii", **told)
    assert (
        arrives(at, incoming(unproven, verdict=NONE, envelope_=envelope(received_at=later)), unproven, later)
        is not None
    )
    genuine = DIRECTLY + mail(words, **told)
    arrives(at, incoming(genuine, envelope_=envelope(received_at=later)), genuine, later)
    shown = at.show(reference)
    assert [entry["status"] for entry in shown["entries"] if entry["direction"] == "in"] == ["shown", "shown"]
    assert (shown["state"], shown["target_at"]) == ("open", (later + 15 * MINUTE).isoformat())
    assert len([row for row in at.outbox() if row.kind == "auto"]) == 1, "a follow-up is not acknowledged"


def test_a_shown_contribution_that_comes_again_reopens_nothing(at: Desk) -> None:
    first = at.take(incoming())
    reference = first.reference or ""
    raw = mail("Any news?", subject=f"Re: [{reference}]", Message_ID="<m3@example.de>")
    assert at.take(incoming(raw), raw).decision.disposition == "appended"
    at.store.write_now(lambda c: people.answer(c, reference, "Done.", Acting(JOE, at.office, NOW)))
    assert arrives(at, incoming(DIRECTLY + raw), DIRECTLY + raw) is None
    assert at.show(reference)["state"] == "waiting"


def test_the_genuine_mail_belongs_to_another_thread(at: Desk) -> None:
    """The copy came without the token: its ticket is left for the one that the genuine mail belongs to."""
    first = at.take(incoming())
    token = at.outbox()[0].context["reply_to"]
    raw = mail("My server is still slow.", Message_ID="<m2@example.de>")
    copy = at.take(incoming(raw, verdict=NONE), raw)
    assert copy.reference != first.reference
    genuine = DIRECTLY + raw
    outcome = arrives(at, incoming(genuine, envelope_=envelope(rcpt_tos=(token,))), genuine)
    assert outcome is not None
    assert (outcome.reference, outcome.decision.disposition) == (first.reference, "appended")
    left = at.show(copy.reference)
    assert (left["state"], left["target_at"], [entry["status"] for entry in left["entries"]]) == ("closed", None, ["silent"])  # fmt: skip
    assert f"a better copy of its mail is in {first.reference}" in left["marks"]
    answered = [template for template, _ in at.customers()]
    assert answered == ["received", "verification_needed"], (
        "the copy was acknowledged; the follow-up that it is never again"
    )


def test_nobody_is_acknowledged_twice_for_one_mail(at: Desk) -> None:
    steps: list[Incoming] = [
        incoming(mail(Precedence="bulk"), verdict=NONE, match=STRANGER),
        incoming(verdict=NONE),
        incoming(mail(Auto_Submitted="auto-replied")),
        incoming(GENUINE),
    ]
    at.take(steps[0], mail(Precedence="bulk"))
    for step in steps[1:]:
        arrives(at, step, mail())
    assert at.customers() == [("verification_needed", "anna@example.de")]
    (ticket,) = at.store.read_now(lambda c: views.ticket_list(c, EVERYTHING, 10))
    assert at.show(ticket["reference"])["trust"] == "verified"


def test_a_recheck_and_an_arrival_answer_once(at: Desk) -> None:
    first = at.take(incoming(verdict=TEMPERROR))
    assert arrives(at, incoming(GENUINE), GENUINE) is not None
    assert recheck(at, incoming(verdict=PASS), NOW + MINUTE) is None, "nothing is left to be checked again"
    assert at.customers() == [("received", "anna@example.de")]
    assert at.show(first.reference)["trust"] == "verified"


def test_a_mail_that_nothing_speaks_against_leaves_quarantine_and_is_checked_again(at: Desk) -> None:
    at.take(incoming(verdict=FAIL))
    outcome = arrives(at, incoming(GENUINE, verdict=TEMPERROR), GENUINE)
    assert outcome is not None and (outcome.decision.disposition, at.customers()) == ("opened", [])
    recheck(at, incoming(GENUINE), NOW + MINUTE)
    assert at.customers() == [("received", "anna@example.de")]


def test_a_genuine_mail_that_could_not_be_checked_waits_for_its_proof(at: Desk) -> None:
    at.take(incoming(verdict=NONE))
    assert arrives(at, incoming(GENUINE, verdict=TEMPERROR), GENUINE) is None
    assert noted(at)[0].state == "pending"
    assert at.store.write_now(lambda c: inbox.claim_arrivals(c, NOW + 0.5 * MINUTE, 1, 60)) == []
    outcome = judged(at, incoming(GENUINE), NOW + 2 * MINUTE)
    assert outcome is not None
    assert at.show(outcome.reference)["trust"] == "verified"
    assert len(at.customers()) == 1


def test_an_arrival_is_not_looked_at_for_ever(at: Desk) -> None:
    at.take(incoming(verdict=NONE))
    accepted(at, incoming(), GENUINE)
    for minutes in (0, 2, 8):
        judged(at, incoming(GENUINE, verdict=TEMPERROR), NOW + minutes * MINUTE)
    assert noted(at)[0].state == "done"


def test_an_arrival_waits_for_a_release(at: Desk) -> None:
    at.take(incoming(verdict=FAIL))
    accepted(at, incoming(), GENUINE)
    (claimed,) = at.store.write_now(lambda c: inbox.claim_arrivals(c, NOW, 1, 60))
    assert at.store.write_now(lambda c: inbox.release(c, message(at).id, NOW))
    genuine = incoming(GENUINE)
    assert at.store.write_now(lambda c: arrivals.commit_arrival(Occasion(c, claimed, genuine, at.office, NOW))) is None
    assert at.store.write_now(lambda c: inbox.claim_arrivals(c, NOW, 1, 60)) == [], "the release comes first"
    (released,), _ = at.store.write_now(lambda c: inbox.claim(c, NOW, 1, 60))
    what = replace(incoming(verdict=FAIL), released=True)
    first = at.store.write_now(lambda c: desk.commit(Occasion(c, released, what, at.office, NOW)))
    outcome = judged(at, genuine)
    assert outcome is not None and outcome.reference == first.reference
    assert at.customers() == [("received", "anna@example.de")]
    assert len(at.store.read_now(lambda c: views.ticket_list(c, EVERYTHING, 10))) == 1


def test_an_arrival_that_somebody_else_has_is_not_written(at: Desk) -> None:
    at.take(incoming(verdict=FAIL))
    accepted(at, incoming(), GENUINE)
    (mine,) = at.store.write_now(lambda c: inbox.claim_arrivals(c, NOW, 1, 60))
    (theirs,) = at.store.write_now(lambda c: inbox.claim_arrivals(c, NOW + 2 * MINUTE, 1, 60))
    what = incoming(GENUINE)
    assert at.store.write_now(lambda c: arrivals.commit_arrival(Occasion(c, theirs, what, at.office, NOW))) is not None
    with pytest.raises(LostClaim):
        at.store.write_now(lambda c: arrivals.commit_arrival(Occasion(c, mine, what, at.office, NOW)))
    assert len(at.customers()) == 1


def test_arrivals_that_race_answer_once(store: Store, database: str) -> None:
    """Two services, each with two arrivals of each mail, at once: one ticket, one acknowledgement a mail."""
    at = Desk(store)
    other = store if store.is_sqlite else Store(database)
    if other is not store:
        other.open(NOW)
    count = 8
    raws = [mail(Message_ID=f"<race{number}@example.de>", author=f"Anna <anna{number}@example.de>") for number in range(count)]  # fmt: skip
    for raw in raws:
        at.take(incoming(raw, verdict=FAIL), raw)
        for again in (DIRECTLY + raw, b"Received: x\r\n" + DIRECTLY + raw):
            accepted(at, incoming(), again)
    claimed = store.write_now(lambda c: inbox.claim_arrivals(c, NOW, 100, 600))
    assert len(claimed) == 2 * count
    together = threading.Barrier(2 * count)
    outcomes: list[Any] = []

    def one(claim: inbox.Claimed, to: Store, what: Incoming) -> None:
        together.wait(30)
        outcomes.append(to.write_now(lambda c: arrivals.commit_arrival(Occasion(c, claim, what, at.office, NOW))))

    tasks = [
        threading.Thread(target=one, args=(claim, (store, other)[number % 2], incoming(bytes(claim.raw), verdict=verdict)))
        for number, claim in enumerate(claimed)
        for verdict in [PASS if number % 2 else NONE]
    ]  # fmt: skip
    for task in tasks:
        task.start()
    for task in tasks:
        task.join(60)
    if other is not store:
        other.close()
    assert len(outcomes) == 2 * count
    assert len(store.read_now(lambda c: views.ticket_list(c, EVERYTHING, 100))) == count
    assert sorted(recipient for _, recipient in at.customers()) == [
        f"anna{number}@example.de" for number in range(count)
    ]
    trusts = {row["trust"] for row in store.read_now(lambda c: views.ticket_list(c, EVERYTHING, 100))}
    assert trusts == {"verified"}


def alarm(text: str = "Disk of web1 is full.") -> bytes:
    return mail(text, Message_ID="", Date="", subject="ALARM", author="monitor@example.de")


def when(at: Desk, raw: bytes, minutes: float, **more: Any) -> Any:
    given = envelope(received_at=NOW + minutes * MINUTE, **more)
    return at.store.write_now(lambda c: inbox.accept(c, RawMessage(raw, given), digest_of(raw)))


@pytest.mark.fault("X27")
def test_the_same_alarm_hours_later_is_another_one(at: Desk) -> None:
    first = when(at, alarm(), 0)
    assert when(at, alarm("Disk of web2 is full."), 0).created
    for minutes, more in ((0.2, {"source": "imap:desk"}), (15, {}), (67, {}), (-10, {"source": "imap:desk"})):
        again = when(at, alarm(), minutes, **more)
        assert (again.id, again.created) == (first.id, False), minutes
    second = when(at, alarm(), 120)
    assert second.created
    assert when(at, alarm(), 121).id == second.id
    assert when(at, alarm(), 60).id in (first.id, second.id)


@pytest.mark.parametrize("offset", range(0, 90, 7))
def test_a_sender_who_tries_again_is_known_wherever_a_span_begins(at: Desk, offset: int) -> None:
    first = when(at, alarm(), offset)
    for minutes in (1, 20, 68):
        assert when(at, alarm(), offset + minutes).id == first.id
    assert when(at, alarm(), offset + 91).created


def test_the_same_alarm_at_once_on_both_sides_of_a_span_is_one(store: Store, database: str) -> None:
    """Two services: the second comes while the first has stored the alarm and not committed yet."""
    edge = datetime.fromtimestamp(inbox.OCCASION_S * (int(NOW.timestamp()) // inbox.OCCASION_S + 1), NOW.tzinfo)
    other = store if store.is_sqlite else Store(database)
    if other is not store:
        other.open(NOW)
    inside, second_done = threading.Event(), threading.Event()

    def take(connection: Any, moment: datetime, hold: bool) -> Any:
        made = inbox.accept(connection, RawMessage(alarm(), envelope(received_at=moment)), digest_of(alarm()))
        if hold and not store.is_sqlite:  # one writer there: nobody comes between
            inside.set()
            second_done.wait(2)
        return made

    first = store.submit(lambda c: take(c, edge - timedelta(milliseconds=1), True))
    assert store.is_sqlite or inside.wait(30)
    second = other.submit(lambda c: take(c, edge + timedelta(milliseconds=1), False))
    second.add_done_callback(lambda _: second_done.set())
    made = [first.result(30), second.result(30)]
    if other is not store:
        other.close()
    assert sorted(accepted.created for accepted in made) == [False, True]
    assert made[0].id == made[1].id


def test_a_dated_mail_is_the_same_for_ever(at: Desk) -> None:
    first = when(at, mail(), 0)
    assert when(at, mail(), 60 * 24 * 30).id == first.id


@pytest.mark.parametrize("make", [lambda: mail("Words.", author="MAILER-DAEMON@x.example", subject="failure notice")])
def test_what_is_recorded_and_ties_to_nothing_of_ours_is_in_the_digest(at: Desk, make: Callable[[], bytes]) -> None:
    raw = make()
    outcome = at.take(incoming(raw, verdict=NONE, match=STRANGER), raw)
    assert (outcome.decision.mail_class, outcome.decision.disposition) == ("bounce", "recorded")
    (notice,) = at.store.read_now(lambda c: c.execute(select(tables.notices)).all())
    assert "from a mail system" in notice.line and "recorded" in notice.line
    (row,) = at.store.read_now(lambda c: views.message_list(c, None, None, 10))
    assert row["reason"] == "bounce: from a mail system"
    assert at.store.write_now(lambda c: outgoing.digest(c, at.office, NOW)) == 1
    assert at.store.write_now(lambda c: inbox.release(c, row["id"], NOW)), "staff bring it to the desk"
    (claimed,), _ = at.store.write_now(lambda c: inbox.claim(c, NOW, 1, 60))
    what = replace(incoming(raw, verdict=NONE, match=STRANGER), released=True)
    again = at.store.write_now(lambda c: desk.commit(Occasion(c, claimed, what, at.office, NOW)))
    assert again.decision.disposition == "opened"


def test_automatic_mail_that_is_recorded_is_in_the_digest_too(at: Desk) -> None:
    raw = mail(Auto_Submitted="auto-replied")
    outcome = at.take(incoming(raw, verdict=NONE, match=STRANGER), raw)
    assert (outcome.decision.mail_class, outcome.decision.disposition) == ("auto_reply", "recorded")
    (notice,) = at.store.read_now(lambda c: c.execute(select(tables.notices)).all())
    assert "recorded" in notice.line


def test_a_bounce_of_our_own_reply_needs_no_digest(at: Desk) -> None:
    at.take(incoming())
    row = at.outbox()[0]
    raw = mail("Words.", author="MAILER-DAEMON@x.example", subject="failure notice", Message_ID="<b@x.example>")
    at.take(incoming(raw, verdict=NONE, match=STRANGER, returned_row=row.id), raw, bounced=row.id)
    assert at.store.read_now(lambda c: c.execute(select(tables.notices)).all()) == []


LATER = NOW + 30 * MINUTE


def from_elsewhere(**more: Any) -> Any:
    return envelope(client="198.51.100.250", received_at=LATER, **more)


@pytest.mark.parametrize("verdict", [SENT, NONE])
@pytest.mark.parametrize("another_id", [False, True])
def test_what_was_discarded_is_the_copy_that_staff_saw(at: Desk, verdict: Any, another_id: bool) -> None:
    if another_id and verdict is NONE:
        return  # nothing says that they are one
    fields = {"Message_ID": "<eve@evil.example>"} if another_id else {}
    raw = mail(OUTAGE_TEXT, **fields)
    flagged = incoming(
        raw, verdict=replace(verdict, spf_aligned=False), envelope_=envelope(mail_from="eve@evil.example")
    )
    comes(at, replace(flagged, blocked="X-Spam-Flag: YES"), raw)
    assert message(at).state == "quarantined"
    assert at.store.write_now(lambda c: held.discard(c, message(at).id, JOE, NOW + MINUTE))
    genuine = DIRECTLY + mail(OUTAGE_TEXT)
    comes(at, incoming(genuine, verdict=verdict, envelope_=from_elsewhere()), genuine, LATER)
    (reference,) = at.store.read_now(lambda c: c.execute(select(tables.tickets.c.reference)).scalars().all())
    shown = at.show(reference)
    assert (shown["state"], shown["critical"], bool(shown["target_at"])) == ("open", True, True)
    assert [template for template, _ in at.customers()] == ["emergency"]
    comes(at, replace(flagged, blocked="X-Spam-Flag: YES"), b"Received: x\r\n" + raw, LATER)
    assert len(at.store.read_now(lambda c: c.execute(select(tables.tickets.c.id)).all())) == 1


@pytest.mark.parametrize("spam", [False, True])
@pytest.mark.parametrize("file", [False, True])
def test_what_was_closed_unanswered_is_opened_once_by_the_mail_that_comes_another_way(
    at: Desk, spam: bool, file: bool
) -> None:
    """An agent closes the empty ticket that a stranger's copy made, or what came from a spammer's host; then the mail comes."""
    fields = {"Content_Type": "application/octet-stream"} if file else {}
    raw, genuine = mail(OUTAGE_TEXT, **fields), DIRECTLY + mail(OUTAGE_TEXT)
    first = at.take(incoming(raw, verdict=NONE, envelope_=envelope(mail_from="eve@evil.example")), raw)
    at.store.write_now(lambda c: people.close(c, first.reference, Acting(JOE, at.office, NOW + MINUTE), spam=spam))
    comes(at, incoming(genuine, verdict=NONE, envelope_=from_elsewhere()), genuine, LATER)
    shown = at.show(first.reference)
    assert (shown["state"], shown["critical"], shown["target_at"]) == ("open", True, (LATER + 15 * MINUTE).isoformat())
    assert any("my server is down" in entry["text"] for entry in shown["entries"] if entry["status"] == "shown")
    told = [row.event for row in at.outbox() if row.template == "staff_new"]
    assert any(event.endswith(".again") for event in told)
    at.store.write_now(lambda c: people.close(c, first.reference, Acting(JOE, at.office, LATER + MINUTE)))
    again = envelope(client="198.51.100.251", received_at=LATER + 2 * MINUTE)
    comes(at, incoming(genuine, verdict=NONE, envelope_=again), b"Received: z\r\n" + genuine, LATER + 2 * MINUTE)
    assert at.show(first.reference)["state"] == "closed", "once"


def test_what_came_again_the_same_way_or_was_answered_stays_closed(at: Desk) -> None:
    first = at.take(incoming(GENUINE, verdict=NONE), GENUINE)
    at.store.write_now(lambda c: people.close(c, first.reference, Acting(JOE, at.office, NOW + MINUTE)))
    same_way = incoming(GENUINE, verdict=NONE, envelope_=envelope(received_at=LATER))
    comes(at, same_way, b"Received: y\r\n" + GENUINE, LATER)
    assert at.show(first.reference)["state"] == "closed"
    at.store.write_now(lambda c: people.reopen(c, first.reference, Acting(JOE, at.office, LATER)))
    at.store.write_now(lambda c: people.answer(c, first.reference, "Done.", Acting(JOE, at.office, LATER)))
    at.store.write_now(lambda c: people.close(c, first.reference, Acting(JOE, at.office, LATER)))
    comes(at, incoming(GENUINE, verdict=NONE, envelope_=from_elsewhere()), b"Received: z\r\n" + GENUINE, LATER + MINUTE)
    assert at.show(first.reference)["state"] == "closed"


def test_two_copies_that_were_released_keep_what_comes_with_both_signatures(at: Desk) -> None:
    """Each said that the mail is an arrival of the other, for ever."""
    for mark in ("one", "two"):
        raw = mail(OUTAGE_TEXT, Message_ID=f"<{mark}@evil.example>")
        verdict = replace(PASS, signatures=(mark,))
        comes(at, replace(incoming(raw, verdict=verdict), blocked="X-Spam-Flag: YES"), raw)
    for number in at.store.read_now(lambda c: c.execute(select(tables.messages.c.id)).scalars().all()):
        assert at.store.write_now(lambda c, n=number: people.release(c, n, Acting(JOE, at.office, NOW + MINUTE)))  # type: ignore[misc]
        (again,) = at.store.write_now(lambda c: inbox.claim(c, NOW + MINUTE, 1, 60))[0]
        raw = mail(OUTAGE_TEXT, Message_ID=f"<{'one' if number == 1 else 'two'}@evil.example>")
        verdict = replace(PASS, signatures=("one" if number == 1 else "two",))
        what = replace(incoming(raw, verdict=verdict), released=True)
        at.store.write_now(lambda c, a=again, w=what: desk.commit(Occasion(c, a, w, at.office, NOW + MINUTE)))  # type: ignore[misc]
    genuine = mail(OUTAGE_TEXT, Message_ID="<genuine@example.de>")
    comes(at, incoming(genuine, verdict=replace(SENT, signatures=("one", "two"))), genuine, LATER)
    assert {row.state for row in noted(at)} == {"done"}
