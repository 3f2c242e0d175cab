"""What people do to tickets, on both databases: each act is a change, an entry with who and when, and a line of the audit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from gateway import log
from gateway.database import outbox as outbox_rows
from gateway.database import tables
from gateway.database.store import Store
from gateway.model import Account, AccountMatch, Department, Fact, Ownership, Person, Priority, Role
from gateway.replies import render
from gateway.tickets import (
    addressees,
    answering,
    audit,
    blocks,
    briefing,
    corrections,
    held,
    labels,
    merging,
    outgoing,
    ownership,
    people,
    presence,
    rounds,
)
from gateway.tickets.conversation import Merged, MovedOn, Refused
from gateway.tickets.corrections import Right
from gateway.tickets.outgoing import Acting
from gateway.tickets.rights import NotAllowed
from tests.samples import ANNA, JIM, JOE, NONE, NOW, OUTAGE_TEXT, STAFF, STRANGER, envelope, incoming, mail
from tests.test_desk import Desk
from tests.test_render import SENDER, TEMPLATES

MINUTE = timedelta(minutes=1)
AGENT, AUDITOR = Person("ann", Role.AGENT), Person("paul", Role.AUDITOR)


@pytest.fixture
def at(store: Store) -> Desk:
    return Desk(store)


def opened(at: Desk, number: int = 1, text: str = "The disk of order #123456 is slow.", **more: Any) -> str:
    raw = mail(text, f"Question {number}", Message_ID=f"<p{number}@example.de>")
    return at.take(incoming(raw, **more), raw).reference or ""


def follow_up(at: Desk, reference: str, number: int) -> str | None:
    raw = mail("Any news?", subject=f"Re: [{reference}]", Message_ID=f"<f{number}@example.de>")
    return at.take(incoming(raw), raw).reference


def history(at: Desk, reference: str) -> list[tuple[str, str]]:
    entries = at.show(reference)["entries"]
    return [(entry["author"], entry["text"]) for entry in entries if entry["direction"] == "internal"]


def audited(at: Desk, reference: str) -> list[tuple[str, str]]:
    lines = at.store.read_now(lambda c: audit.of(c, "ticket", reference))
    return [(line["who"], line["what"]) for line in reversed(lines)]


def test_owner_watchers_tags_notes_and_snooze_are_shown_with_who_did_it(at: Desk) -> None:
    reference = opened(at)
    do = at.store.write_now
    do(lambda c: ownership.assign(c, reference, "joe", JOE, NOW))
    do(lambda c: ownership.assign(c, reference, "joe", JOE, NOW))  # nothing changes: nothing is written
    do(lambda c: ownership.watch(c, reference, "ann", JIM, NOW))
    assert do(lambda c: labels.tag(c, reference, ["Disk", "raid"], [], JIM, NOW)) == ["disk", "raid"]
    assert do(lambda c: labels.tag(c, reference, [], ["raid"], JIM, NOW)) == ["disk"]
    do(lambda c: labels.note(c, reference, "I called them.", JIM, NOW))
    do(lambda c: ownership.snooze(c, reference, NOW + 60 * MINUTE, JOE, NOW))
    shown = at.show(reference)
    assert (shown["owner"], shown["watchers"], shown["tags"]) == ("joe", ["ann"], ["disk"])
    assert shown["snoozed_until"] == (NOW + 60 * MINUTE).isoformat()
    said = [
        ("joe", "owner: nobody -> joe"),
        ("jim", "ann watches"),
        ("jim", "tags: +disk +raid"),
        ("jim", "tags: -raid"),
        ("jim", "I called them."),
        ("joe", "snoozed until 2026-11-22 19:00 UTC"),
    ]
    assert history(at, reference) == said
    acts = ["assign", "watch", "tag", "tag", "note", "snooze"]
    assert audited(at, reference) == [(who, what) for (who, _), what in zip(said, acts, strict=True)]
    assert shown["target_at"] is not None  # none of this stops the clock
    with pytest.raises(Refused, match="joe works on"):
        do(lambda c: ownership.take(c, reference, JIM, NOW))
    with pytest.raises(Refused, match="not a tag"):
        do(lambda c: labels.tag(c, reference, ["<b>"], [], JIM, NOW))


def test_an_answer_to_a_conversation_that_moved_on_is_refused(at: Desk) -> None:
    reference = opened(at)
    seen = at.show(reference)["version"]
    at.store.write_now(lambda c: ownership.assign(c, reference, "joe", JOE, NOW))
    assert at.show(reference)["version"] == seen  # what is done to a ticket says nothing to the customer
    assert follow_up(at, reference, 1) == reference
    with pytest.raises(MovedOn) as caught:
        at.store.write_now(lambda c: people.answer(c, reference, "Hello.", Acting(JOE, at.office, NOW), seen=seen))
    assert (caught.value.version, [one["author"] for one in caught.value.since]) == (seen + 1, ["anna@example.de"])
    assert at.show(reference)["state"] == "open"
    at.store.write_now(lambda c: people.answer(c, reference, "Hello.", Acting(JOE, at.office, NOW), seen=seen + 1))
    with pytest.raises(MovedOn, match="joe"):  # two who read the same do not answer twice
        at.store.write_now(lambda c: people.answer(c, reference, "Hi.", Acting(JIM, at.office, NOW), seen=seen + 1))
    at.store.write_now(lambda c: people.answer(c, reference, "By the way.", Acting(JIM, at.office, NOW)))
    assert [recipient for template, recipient in at.customers() if template == "answer"] == ["anna@example.de"] * 2


def test_who_has_it_open_and_who_is_writing_is_known_for_a_minute(at: Desk) -> None:
    reference = opened(at)
    key = at.store.read_now(lambda c: people.ticket(c, reference).id)
    do = at.store.write_now
    do(lambda c: presence.here(c, key, JOE, False, NOW))
    do(lambda c: presence.here(c, key, JIM, False, NOW))
    do(lambda c: presence.here(c, key, JIM, True, NOW + MINUTE / 2))
    there = at.store.read_now(lambda c: presence.others(c, key, None, NOW + MINUTE / 2))
    assert [(one["who"], one["writing"]) for one in there] == [("jim", True), ("joe", False)]
    assert [one["who"] for one in at.store.read_now(lambda c: presence.others(c, key, JOE, NOW + MINUTE))] == ["jim"]
    assert do(lambda c: presence.sweep(c, NOW + MINUTE)) == 1
    do(lambda c: presence.gone(c, key, JIM))
    assert at.store.read_now(lambda c: presence.others(c, key, None, NOW + MINUTE)) == []


def test_merged_tickets_are_one_conversation_with_one_clock(at: Desk) -> None:
    first, second = opened(at, 1), opened(at, 2, "Order #123456 is slow, 203.0.113.7 too.")
    third = opened(at, 3)
    do = at.store.write_now
    do(lambda c: people.answer(c, first, "We look.", Acting(JOE, at.office, NOW)))
    do(lambda c: merging.merge(c, third, second, JOE, NOW))
    do(lambda c: merging.merge(c, second, first, JOE, NOW))
    whole, part = at.show(first), at.show(second)
    assert (whole["merged"], part["merged_into"], at.show(third)["merged_into"]) == ([second, third], first, first)
    assert [entry["direction"] for entry in whole["entries"]].count("in") == 3
    assert (whole["state"], whole["limit_at"]) == ("open", (NOW + 30 * MINUTE).isoformat())
    assert (part["state"], part["limit_at"]) == ("closed", None)
    assert follow_up(at, second, 1) == first
    assert at.show(first)["version"] > whole["version"]
    with pytest.raises(Merged, match=first):
        do(lambda c: people.answer(c, second, "Hello.", Acting(JOE, at.office, NOW)))
    assert at.tick(NOW + 40 * MINUTE).count("limit") == 1
    do(lambda c: merging.unmerge(c, second, Acting(JOE, at.office, NOW)))
    assert (at.show(second)["state"], at.show(second)["merged_into"]) == ("open", None)
    assert follow_up(at, second, 2) == second


def test_a_merge_keeps_the_graver_of_both(at: Desk) -> None:
    do, lead = at.store.write_now, JOE
    calm, grave, later = opened(at, 1), opened(at, 2, OUTAGE_TEXT), opened(at, 3)
    do(
        lambda c: corrections.correct(
            c, grave, Right(critical=True, priority=Priority.HIGH), Acting(lead, at.office, NOW)
        )
    )
    do(lambda c: merging.merge(c, grave, calm, lead, NOW + MINUTE))
    whole = at.show(calm)
    assert (whole["priority"], whole["critical"], whole["marks"]) == ("high", True, ["critical"])
    do(lambda c: merging.merge(c, later, calm, lead, NOW + MINUTE))
    assert at.show(calm)["priority"] == "high" and at.show(calm)["critical"], "what is calm makes nothing calmer"
    over, new = opened(at, 4, OUTAGE_TEXT), opened(at, 5)
    do(
        lambda c: corrections.correct(
            c, over, Right(critical=True, priority=Priority.HIGH), Acting(lead, at.office, NOW)
        )
    )
    do(lambda c: people.close(c, over, Acting(lead, at.office, NOW)))
    do(lambda c: merging.merge(c, over, new, lead, NOW + MINUTE))
    assert at.show(new)["priority"] == "normal", "an outage that is over makes nothing urgent"


def test_a_stranger_to_both_still_gets_a_ticket_of_his_own(at: Desk) -> None:
    first, second = opened(at, 1), opened(at, 2)
    at.store.write_now(lambda c: merging.merge(c, second, first, JOE, NOW))
    raw = mail("And mine?", subject=f"[{second}]", author="eve@evil.example", Message_ID="<e1@evil.example>")
    taken = at.take(incoming(raw, match=STRANGER, envelope_=envelope(mail_from="eve@evil.example")), raw)
    assert taken.reference not in (first, second)
    assert at.show(taken.reference)["linked_to"] == first


def test_whoever_wrote_the_merged_ticket_goes_on_in_the_other(at: Desk) -> None:
    first = opened(at, 1)

    def bob(number: int, **headers: str) -> str | None:
        raw = mail(
            "It is slow here, too.", author="bob@other.example", Message_ID=f"<b{number}@other.example>", **headers
        )
        return at.take(incoming(raw, match=STRANGER, envelope_=envelope(mail_from="bob@other.example")), raw).reference

    second = bob(1) or ""
    assert bob(2, subject=f"Re: [{first}]") not in (first, second)  # he is no party of it
    at.store.write_now(lambda c: merging.merge(c, second, first, JOE, NOW))
    assert bob(3, subject=f"Re: [{second}]") == first
    assert at.show(first)["author"] == "anna@example.de"


def test_links_stand_on_both_sides(at: Desk) -> None:
    first, second = opened(at, 1), opened(at, 2)
    at.store.write_now(lambda c: merging.link(c, second, first, AGENT, NOW))
    assert (at.show(first)["linked"], at.show(second)["linked"]) == ([second], [first])
    at.store.write_now(lambda c: merging.unlink(c, first, second, AGENT, NOW))
    assert at.show(first)["linked"] == at.show(second)["linked"] == []
    assert audited(at, second) == [("ann", "link"), ("ann", "unlink")]


def test_the_ticket_follows_a_correction_and_the_right_department_is_told(at: Desk) -> None:
    reference = opened(at)
    before = len(at.outbox())
    right = Right(department=Department.FINANCIAL, critical=True, sensitive=("refund",))
    changed = at.store.write_now(lambda c: corrections.correct(c, reference, right, Acting(JOE, at.office, NOW)))
    assert sorted(changed) == ["critical", "department", "priority", "sensitive"]
    shown = at.show(reference)
    assert (shown["department"], shown["critical"], shown["priority"]) == ("financial", True, "high")
    assert "critical" in shown["marks"]
    assert [row.recipient for row in at.outbox()[before:]] == ["billing@introserv.com"]
    one = {"field": "department", "from": "technical", "to": "financial", "who": "joe", "at": NOW.isoformat()}
    assert one in shown["corrections"]
    back = Right(critical=False, priority=Priority.NORMAL)
    assert at.store.write_now(lambda c: corrections.correct(c, reference, back, Acting(JIM, at.office, NOW + MINUTE)))
    shown = at.show(reference)
    assert (shown["critical"], shown["priority"], "critical" in shown["marks"]) == (False, "normal", False)
    french = Right(reply_language="fr")
    assert at.store.write_now(lambda c: corrections.correct(c, reference, french, Acting(JIM, at.office, NOW))) == [
        "reply_language"
    ]
    last = at.show(reference)["corrections"][-1]
    assert (last["field"], last["to"]) == ("language", "fr")
    assert at.store.write_now(lambda c: corrections.correct(c, reference, back, Acting(JIM, at.office, NOW))) == []


def test_when_it_began_and_which_account_it_is_about_are_corrected(at: Desk) -> None:
    raw = mail(OUTAGE_TEXT, Message_ID="<two@example.de>")
    both = (ANNA, Account("10024", "Anna Schmidt", "de", "active"))
    match = AccountMatch(both, {one.account: frozenset(("owner",)) for one in both}, None, ())
    reference = at.take(replace(incoming(raw), match=match), raw).reference or ""
    read = at.show(reference)
    assert (read["account"], read["incident_started_at"]) == (None, "2026-11-22T14:30:00+01:00")

    def correct(right: Right, by: Person = AGENT) -> list[str]:
        return at.store.write_now(lambda c: corrections.correct(c, reference, right, Acting(by, at.office, NOW)))

    since = NOW - 3 * 60 * MINUTE
    assert sorted(correct(Right(account="10024", since=since))) == ["account", "since"]
    shown = at.show(reference)
    assert (shown["account"], shown["incident_started_at"]) == ("10024", since.isoformat())
    assert "started_at" not in shown["missing"]
    fields = {one["field"]: (one["from"], one["to"]) for one in shown["corrections"]}
    assert fields == {"account": (None, "10024"), "since": ("2026-11-22T14:30:00+01:00", since.isoformat())}
    assert (
        "account: none -> 10024, since: 2026-11-22 13:30 UTC -> 2026-11-22 15:00 UTC" in history(at, reference)[-1][1]
    )
    assert correct(Right(account="10024", since=since)) == []
    for wrong in (Right(account="10042"), Right(since=NOW + MINUTE)):
        with pytest.raises(Refused):
            correct(wrong)
    stranger = opened(at, 7, verdict=NONE, match=replace(match, settled=None))
    with pytest.raises(Refused, match="not proved"):  # registered, and not proven: no account by a click
        at.store.write_now(
            lambda c: corrections.correct(c, stranger, Right(account="10023"), Acting(JOE, at.office, NOW))
        )


def mails(at: Desk, template: str) -> list[tuple[str, str]]:
    return [(row.recipient, row.context["reference"]) for row in at.outbox() if row.template == template]


def test_the_owner_is_reminded_before_the_department(at: Desk) -> None:
    at.office = replace(at.office, staff=STAFF.model_copy(update={"people": {"joe": "joe@introserv.com"}}))
    mine, late, nobodys = opened(at, 1), opened(at, 2), opened(at, 3)
    at.store.write_now(lambda c: ownership.assign(c, mine, "joe", JOE, NOW + MINUTE))
    at.store.write_now(lambda c: ownership.watch(c, mine, "ann@introserv.com", JOE, NOW + MINUTE))
    at.store.write_now(lambda c: ownership.assign(c, late, "joe", JOE, NOW + 12 * MINUTE))  # needs no reminder
    assert at.store.read_now(lambda c: rounds.next_due(c)) == NOW + 10 * MINUTE
    assert at.tick(NOW + 9.9 * MINUTE) == []
    assert (at.tick(NOW + 10 * MINUTE), at.tick(NOW + 14 * MINUTE)) == (["owner"], [])
    assert mails(at, "staff_owner") == [("joe@introserv.com", mine)]
    assert at.tick(NOW + 15 * MINUTE) == ["target"] * 3
    told = {"l1@introserv.com", "joe@introserv.com", "ann@introserv.com"}
    assert {to for to, about in mails(at, "staff_alert") if about == mine} == told
    assert {to for to, about in mails(at, "staff_alert") if about == nobodys} == {"l1@introserv.com"}
    at.store.write_now(lambda c: people.answer(c, mine, "Hello.", Acting(JOE, at.office, NOW + 16 * MINUTE)))
    later = envelope(received_at=NOW + 60 * MINUTE)
    raw = mail("Any news?", subject=f"Re: [{mine}]", Message_ID="<later@example.de>")
    at.take(incoming(raw, envelope_=later), raw, now=NOW + 60 * MINUTE)
    at.tick(NOW + 40 * MINUTE)  # the others
    assert at.tick(NOW + 70 * MINUTE) == ["owner"]  # the new round reminds its owner, too


def test_a_snooze_keeps_reminders_away_and_never_a_breach(at: Desk) -> None:
    quiet, woken = opened(at, 1), opened(at, 2)
    at.store.write_now(lambda c: ownership.snooze(c, quiet, NOW + 60 * MINUTE, JOE, NOW))
    at.store.write_now(lambda c: ownership.snooze(c, woken, NOW + 20 * MINUTE, JOE, NOW))
    for minute in (15, 20, 25, 30, 60, 61):
        at.tick(NOW + minute * MINUTE)
    assert mails(at, "staff_alert") == []
    assert [to for to, about in mails(at, "staff_breach") if about == quiet] == [
        "l1@introserv.com",
        "boss@introserv.com",
    ]
    assert [about for _, about in mails(at, "status")] == [quiet, woken]
    assert mails(at, "staff_owner") == [("l1@introserv.com", woken), ("l1@introserv.com", quiet)]
    assert history(at, woken)[-1] == ("gateway", "the snooze is over")
    assert at.show(quiet)["snoozed_until"] is None
    third = opened(at, 3)
    at.store.write_now(lambda c: ownership.snooze(c, third, NOW + 60 * MINUTE, JOE, NOW))
    follow_up(at, third, 9)
    assert at.show(third)["snoozed_until"] is None  # the customer does not wait until then


def test_what_is_done_to_held_mail_and_unsent_replies_has_a_name(at: Desk) -> None:
    reference = opened(at)
    raw = mail("Please use order #999999.", subject=f"Re: [{reference}]", Message_ID="<held@example.de>")
    at.take(incoming(raw, verdict=NONE), raw)
    logged: list[dict[str, Any]] = []
    stop = log.listen(logged.append)
    do = at.store.write_now
    assert do(lambda c: held.release(c, 2, Acting(JOE, at.office, NOW)))
    assert not do(lambda c: held.discard(c, 2, JOE, NOW))
    assert do(lambda c: held.drop(c, outbox_rows.Choice(ids=(1,)), JIM, NOW)) == [1]
    assert do(lambda c: held.retry(c, outbox_rows.Choice(ids=(1,)), JIM, NOW)) == [1]
    stop()
    said = [(line["who"], line["what"], line["object"]) for line in logged if line["event"] == "acted"]
    assert said == [("joe", "release", "message 2"), ("jim", "discard", "outbox 1"), ("jim", "retry", "outbox 1")]
    lines = at.store.read_now(lambda c: audit.latest(c))
    assert {(one["who"], one["what"], f"{one['kind']} {one['object']}") for one in lines} >= set(said)
    assert history(at, reference)[-1] == ("joe", "released a held-back message")


def test_an_answer_goes_to_who_wrote_last_and_never_to_who_proved_nothing(at: Desk) -> None:
    reference, read = opened(at), at.store.read_now

    def wrote(author: str, number: int, **more: Any) -> None:
        raw = mail("I answer for her.", f"Re: [{reference}]", author, Message_ID=f"<w{number}@example.de>")
        at.take(incoming(raw, envelope_=envelope(mail_from=author), **more), raw)

    def whom() -> addressees.Addressees:
        return read(lambda c: addressees.of(c, people.ticket(c, reference)))

    def sent(user: Any = None) -> list[str]:
        return [row.recipient for row in at.outbox() if row.template == "answer"]

    assert whom() == addressees.Addressees("anna@example.de")
    wrote("eve@example.de", 1, verdict=NONE)
    at.store.write_now(lambda c: people.release(c, 2, Acting(JOE, at.office, NOW)))
    assert whom().every == ("anna@example.de",), "released, and still not proven"
    wrote("leo@example.de", 2)
    assert whom() == addressees.Addressees("leo@example.de", ("anna@example.de",))
    to = whom().usual
    at.store.write_now(lambda c: answering.send(c, reference, "It runs.", (1, JOE), at.office, NOW, None, False, to))
    assert sent() == ["leo@example.de", "anna@example.de"]
    assert len({row.context["reply_to"] for row in at.outbox() if row.template == "answer"}) == 2
    at.store.write_now(lambda c: answering.undo(c, reference, (1, JOE), NOW + timedelta(seconds=5)))
    assert sent() == []
    for address in ("eve@example.de", "eve@evil.example"):
        with pytest.raises(Refused, match="has not proved"):
            at.store.write_now(
                lambda c, a=address: people.answer(c, reference, "Hi.", Acting(JOE, at.office, NOW), None, (a,))
            )
    wrote("anna@example.de", 3)
    assert whom() == addressees.Addressees("anna@example.de", (), ("leo@example.de",))
    at.store.write_now(lambda c: people.answer(c, reference, "It runs.", Acting(JOE, at.office, NOW)))
    assert sent() == ["anna@example.de"]


def test_closing_tells_the_customer_who_knows_of_it(at: Desk) -> None:
    known, muted = opened(at, 1), opened(at, 2, OUTAGE_TEXT)
    at.store.write_now(lambda c: people.answer(c, known, "Done.", Acting(JOE, at.office, NOW)))
    for reference in (known, muted):
        at.store.write_now(lambda c, r=reference: people.close(c, r, Acting(JOE, at.office, NOW), notify=True))
    closed = [row for row in at.outbox() if row.template == "closed"]
    assert [(row.recipient, row.kind, row.context["reference"]) for row in closed] == [
        ("anna@example.de", "person", known)
    ]
    assert at.show(muted)["state"] == "closed"


def test_who_ended_it_himself_with_thanks_is_not_told_that_it_ended(at: Desk) -> None:
    for number, (words, told) in enumerate((("It runs, thank you!", 0), ("Thank you, but it is slow again.", 1)), 1):
        reference = opened(at, number)
        at.store.write_now(lambda c, r=reference: people.answer(c, r, "Done.", Acting(JOE, at.office, NOW)))
        raw = mail(words, f"Re: Disk [{reference}]", Message_ID=f"<thanks{number}@example.de>")
        assert at.take(incoming(raw), raw, NOW + timedelta(minutes=1)).reference == reference
        at.store.write_now(lambda c, r=reference: people.close(c, r, Acting(JOE, at.office, NOW), notify=True))
        closed = [row for row in at.outbox() if row.template == "closed" and row.context["reference"] == reference]
        assert (len(closed), at.show(reference)["state"]) == (told, "closed")


def test_roles_and_the_audit_hold(at: Desk) -> None:
    first, second = opened(at, 1), opened(at, 2)
    for act in (
        lambda c: people.answer(c, first, "Hello.", Acting(AUDITOR, at.office, NOW)),
        lambda c: labels.tag(c, first, ["x"], [], AUDITOR, NOW),
        lambda c: merging.merge(c, first, second, AGENT, NOW),
        lambda c: people.release(c, 1, Acting(AGENT, at.office, NOW)),
    ):
        with pytest.raises(NotAllowed):
            at.store.write_now(act)
    at.store.write_now(lambda c: people.answer(c, first, "Hello.", Acting(AGENT, at.office, NOW)))
    with pytest.raises(Refused, match="nobody has answered"):
        at.store.write_now(lambda c: people.wait(c, second, AGENT, NOW))
    for statement in (update(tables.audit).values(who="eve"), delete(tables.audit)):
        with pytest.raises(DBAPIError, match="only added to"):
            at.store.write_now(lambda c, s=statement: c.execute(s))
    assert [row.who for row in at.store.read_now(lambda c: c.execute(select(tables.audit)).all())] == ["ann"]


def test_a_restored_copy_tells_of_old_tickets_in_one_mail(at: Desk) -> None:
    references = [opened(at, number) for number in range(4)]
    at.store.write_now(lambda c: ownership.assign(c, references[0], "joe", JOE, NOW))
    at.tick(NOW + 15 * MINUTE)  # the department was told of these before the copy was made
    restored_at = NOW + timedelta(days=3)
    at.office = replace(at.office, restored=outgoing.Restored(restored_at, "hold"))
    before = len(at.outbox())
    raw = mail("The disk of order #123456 is slow.", "New", Message_ID="<new@example.de>")
    late = at.take(
        incoming(raw, envelope_=replace(envelope(), received_at=restored_at + MINUTE)), raw, now=restored_at + MINUTE
    ).reference
    at.tick(restored_at + 2 * MINUTE)
    at.tick(restored_at + 3 * MINUTE)
    told = [row for row in at.outbox()[before:] if row.kind == "staff" and row.template != "staff_new"]
    assert [row.recipient for row in told] == ["l1@introserv.com", "boss@introserv.com"]
    assert {row.template for row in told} == {"staff_digest"}
    for row in told:
        head, *lines = [one["line"] for one in row.context["lines"]]
        assert head.startswith("4 tickets of the copy are overdue")
        assert [line.split()[0] for line in lines] == references
        assert row.state == "queued", "nobody else can have sent it"
    assert all(at.show(reference)["breached"] for reference in references)
    assert not at.show(late)["breached"]
    assert [row.template for row in at.outbox() if row.kind != "staff"].count("status") == 0
    at.tick(restored_at + 40 * MINUTE)  # the new one has its own clock
    assert at.outbox()[-1].template == "staff_breach" and at.show(late)["breached"]


def test_whom_the_configuration_blocks_is_in_the_audit_with_when_and_by_whom(store: Store) -> None:
    by = Person("root (config.toml)")
    assert store.write_now(lambda c: blocks.recorded(c, ["Spam@bad.example", "worse.example"], by, NOW)) == [
        ("block", "spam@bad.example"),
        ("block", "worse.example"),
    ]
    assert store.write_now(lambda c: blocks.recorded(c, ["spam@bad.example", "worse.example"], by, NOW)) == []
    assert store.write_now(lambda c: blocks.recorded(c, ["worse.example"], by, NOW + MINUTE)) == [
        ("unblock", "spam@bad.example")
    ]
    store.write_now(lambda c: blocks.recorded(c, ["spam@bad.example"], by, NOW + 2 * MINUTE))
    lines = store.read_now(lambda c: audit.of(c, "sender", "spam@bad.example"))
    assert [(line["what"], line["who"], line["at"]) for line in lines] == [
        ("block", by.name, (NOW + 2 * MINUTE).isoformat()),
        ("unblock", by.name, (NOW + MINUTE).isoformat()),
        ("block", by.name, NOW.isoformat()),
    ]


def test_staff_read_what_a_first_mail_passes_on_and_what_was_last_said(at: Desk) -> None:
    """A customer wrote "see below" above a bounce, and later "yes please to both": neither says anything alone."""
    bounce = "> This is the mail system at host mail.example.de.\r\n> 550 5.7.25 The IP address has no PTR record"
    raw = mail(
        f"Hello, my mails come back, see below.\r\n\r\n{bounce}", "Fwd: Undelivered", Message_ID="<b1@example.de>"
    )
    reference = at.take(incoming(raw), raw).reference or ""
    told = [row.context for row in at.outbox() if row.template == "staff_new"]
    assert "no PTR record" in told[-1]["below"] and "PTR" not in told[-1]["text"]
    at.store.write_now(
        lambda c: people.answer(c, reference, "Shall I set the PTR and the SPF?", Acting(JOE, at.office, NOW))
    )
    raw = mail("Yes please to both.\r\n\r\n> Shall I set the PTR?", f"Re: Undelivered [{reference}]", In_Reply_To="<b1@example.de>", Message_ID="<b2@example.de>")  # fmt: skip
    assert at.take(incoming(raw), raw, NOW + timedelta(minutes=1)).reference == reference
    last = [row.context for row in at.outbox() if row.template == "staff_new"][-1]
    assert (last["below"], last["answered"], last["thanks"]) == ("", "| Shall I set the PTR and the SPF?", False)
    text = TEMPLATES.text("staff_new", "en", render.variables(SENDER, last))
    assert f"Our last answer, from {JOE.name}" in text and text.index("Yes please") < text.index("Shall I set")


def test_staff_read_no_facts_that_tell_nothing(at: Desk) -> None:
    text = (
        "The disk of order #123456 is slow, see www.example.de and db7.example.net.\r\n\r\n-- \r\nAnna, www.example.de"
    )
    raw = mail(text, "Disk", Message_ID="<f1@example.de>")
    given = incoming(raw)
    hosts = tuple(Fact(host.value, Ownership.UNKNOWN, quoted=host.quoted) for host in given.reading.hosts)
    given = replace(given, facts=replace(given.facts, hosts=hosts))
    reference = at.take(given, raw).reference or ""
    told = [row.context["facts"] for row in at.outbox() if row.template == "staff_new"][-1]
    assert [(fact["kind"], fact["value"]) for fact in told] == [("orders", "123456"), ("hosts", "db7.example.net")]
    raw = mail("Still slow.\r\n\r\n> We look at #123456.", f"Re: Disk [{reference}]", Message_ID="<f2@example.de>")
    given = incoming(raw)
    quoted = (Fact("123456", Ownership.OWN, quoted=True), Fact("234567", Ownership.FOREIGN, quoted=True))
    at.take(replace(given, facts=replace(given.facts, orders=quoted)), raw, NOW + timedelta(minutes=1))
    told = [row.context["facts"] for row in at.outbox() if row.template == "staff_new"][-1]
    assert [fact["value"] for fact in told] == ["234567"], "what is another customer's is told wherever it stands"


def test_who_says_that_it_is_over_is_asked_for_nothing(at: Desk) -> None:
    """What his mail lacks is told to staff, as ever."""
    raw = mail("My server works again, it was my own firewall.", "Server")
    reference = at.take(incoming(raw), raw).reference or ""
    (asked,) = [row.context["missing"] for row in at.outbox() if row.template == "received"]
    assert (asked, at.show(reference)["missing"] != []) == ([], True)
    mails = (
        "Bonsoir, le site a tenu, et mon serveur aussi. Merci à toute l'équipe !",
        "Our server is slow, thank you.",
    )
    for number, words in enumerate(mails):
        raw = mail(words, "merci" if not number else "server", Message_ID=f"<over{number}@example.de>")
        at.take(incoming(raw), raw, NOW + timedelta(minutes=1))
    later = [row.context["missing"] for row in at.outbox() if row.template == "received"][1:]
    assert [bool(asked) for asked in later] == [False, True], "who thanks us, and who thanks in advance"


@pytest.mark.parametrize(
    ("missing", "question", "critical", "asked"),
    [
        (["order_or_ip", "service", "description", "started_at", "diagnostics"], "account", True, ["description"]),
        (["order_or_ip", "service", "diagnostics"], "account", False, ["order_or_ip"]),
        (["service", "diagnostics"], "account", False, ["service"]),
        (["started_at", "diagnostics"], "account", True, ["started_at"]),
        (["started_at", "diagnostics"], "account", False, []),
        (["order_or_ip", "service", "diagnostics"], "general", False, []),
        (["diagnostics"], "account", True, []),
    ],
)
def test_staff_read_the_one_thing_to_ask_next(
    missing: list[str], question: str, critical: bool, asked: list[str]
) -> None:
    ticket = SimpleNamespace(missing=missing, question=question, critical=critical)
    assert briefing.to_ask(ticket) == asked
