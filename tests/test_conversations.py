"""Conversations played to their end, as customers and staff see them: real mail, real signatures, a real service."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.peers.dovecot import Dovecot
from tests.scene import STAFF, Mail, Scene
from tests.staff_clients import LOGO, PROGRAMS, Program

ANNA, OPS, OWNER = "anna@example.de", "ops@shop.example", "owner@plain.example"
JOE, KIM = "joe@staff.example", "kim@staff.example"
_requests = itertools.count(1)
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 40


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("scene"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def read(scene: Scene) -> None:
    """Everybody has read what came before."""
    for address in (ANNA, OPS, OWNER, JOE, KIM, "boss@staff.example", "info@example.de", "billing@shop.example"):
        scene.letters(address)


def asked(scene: Scene, text: str = "Hello,\n\nthe disk of tfz1cvkr (#234567) is slow. Please have a look.\n") -> str:
    """A verified customer writes, each time about something else; the reference of his ticket."""
    return str(
        scene.write(Mail(f"Shop Ops <{OPS}>", f"{text}\nThis is request {next(_requests)}.\n", "Slow disk"))["ticket"]
    )


# --------------------------------------------------------------------------- staff by mail


def test_a_staff_member_answers_by_mail_and_the_customer_has_one_thread(scene: Scene) -> None:
    reference = asked(scene)
    acknowledgement, notification = scene.letter(OPS), scene.letter(JOE)
    assert notification.subject == f"[{reference}] Regular, technical: Slow disk"
    for line in (
        "From:      Shop Ops <ops@shop.example>", "Trust:     VERIFIED (registered address, proven by dmarc)",
        "Account:   10042 (Shop Example Ltd)", "- order #234567: the author's own", "| the disk of tfz1cvkr (#234567) is slow.",
    ):  # fmt: skip
        assert line in notification.text
    assert re.search(r"Answer by: \d\d:\d\d, at the latest \d+ \w+ 20\d\d, \d\d:\d\d \((CET|CEST)\)", notification.text)
    words = f"Hello,\n\nwe replaced the disk, see the report.\n\n-- \nJoe\nSupport\n\n{notification.quoted()}"
    reply = Mail(f"Joe <{JOE}>", "We look into it.", to=notification.reply_to)
    explained = scene.command("explain", "-", "--rcpt", notification.reply_to, stdin=reply.raw().decode())
    assert f"staff mail about {reference}: it is carried out" in explained
    done = scene.answer(
        notification, Mail(f"Joe <{JOE}>", words, files=[("report.txt", "text/plain", b"all is well\n")])
    )
    assert (done["disposition"], done["reason"], done["ticket"]) == ("appended", "staff mail: answer", reference)
    answer = scene.letter(OPS)
    assert answer.subject == acknowledgement.subject == f"Re: Slow disk [{reference}]"
    assert "we replaced the disk, see the report." in answer.text
    for private in ("Joe", "Support\n\nOn", "VERIFIED", "joe@", "wrote:", "Internal"):
        assert private not in answer.text.replace("INTROSERV Support", "")
    assert [(name, str(content)) for name, content in answer.files] == [("report.txt", "all is well\n")]
    assert answer.message["From"] == "INTROSERV Support <support@introserv.com>"
    assert answer.message["In-Reply-To"] == acknowledgement.message["In-Reply-To"], "the customer's own mail"
    assert answer.message["Auto-Submitted"] is None
    assert JOE.encode() not in answer.raw
    shown = scene.ticket(reference)
    assert (shown["state"], shown["first_response_at"] is not None) == ("waiting", True)
    assert [(e["direction"], e["author"]) for e in shown["entries"]] == [("in", OPS), ("out", JOE)]
    assert scene.answer(answer, Mail(f"Shop Ops <{OPS}>", "Thank you, it is fast again."))["ticket"] == reference
    assert scene.letter(JOE).subject == f"[{reference}] Follow-up, technical: Slow disk"


def test_an_answer_to_a_conversation_that_moved_on_asks_first(scene: Scene) -> None:
    reference = asked(scene)
    first = scene.letter(JOE)
    scene.answer(scene.letter(OPS), Mail(f"Shop Ops <{OPS}>", "It was our own backup, please do nothing."))
    done = scene.answer(first, Mail(f"Joe <{JOE}>", f"We replace the disk now.\n\n{first.quoted()}"))
    assert done["reason"].startswith("staff mail: not sent: the conversation has moved on")
    assert scene.letters(OPS) == []
    follow_up, held = scene.letters(JOE)
    assert held.subject == f"[{reference}] NOT SENT, please look again: Slow disk"
    assert "| We replace the disk now." in held.text
    assert "| It was our own backup, please do nothing." in held.text
    assert scene.ticket(reference)["state"] == "open"
    scene.answer(held, Mail(f"Joe <{JOE}>", f"send:\n\n{held.quoted()}"))
    assert "We replace the disk now." in scene.letter(OPS).text
    scene.answer(follow_up, Mail(f"Joe <{JOE}>", "Good, then we wait."))
    assert "Good, then we wait." in scene.letter(OPS).text, "his own answer is no news to him"


def test_what_was_held_back_is_not_sent_past_news_that_nobody_read(scene: Scene) -> None:
    reference = asked(scene)
    scene.letter(OPS)
    first = scene.letter(JOE)
    scene.write(Mail(f"Shop Ops <{OPS}>", "It is urgent.", f"Re: Slow disk [{reference}]"))
    held_words = Mail(
        f"Joe <{JOE}>", f"owner: me\nWe look into it.\n\n{first.quoted()}", files=[("a.txt", "text/plain", b"a\n")]
    )
    assert "the conversation has moved on" in scene.answer(first, held_words)["reason"]
    assert scene.ticket(reference)["owner"] == JOE, "who takes it has it"
    _, held = scene.letters(JOE)
    assert re.search(rf"\({OPS} wrote at \d\d:\d\d \((CET|CEST)\), ", held.text), "in the zone of the desk"
    scene.write(Mail(f"Shop Ops <{OPS}>", "It works again, you can close it.", f"Re: Slow disk [{reference}]"))
    done = scene.answer(held, Mail(f"Joe <{JOE}>", "send:"))
    assert "somebody wrote after you had read that it is held back" in done["reason"] and scene.letters(OPS) == []
    *_, again = scene.letters(JOE)
    assert "| We look into it." in again.text and "| It works again, you can close it." in again.text
    scene.answer(again, Mail(f"Joe <{JOE}>", "send:"))
    answer = scene.letter(OPS)
    assert "We look into it." in answer.text and [name for name, _ in answer.files] == ["a.txt"]


def test_two_colleagues_do_not_answer_unknowingly(scene: Scene) -> None:
    asked(scene)
    scene.letter(OPS)
    for_joe, for_kim = scene.letter(JOE), scene.letter(KIM)
    scene.answer(for_kim, Mail(f"Kim <{KIM}>", "I look into it."))
    done = scene.answer(for_joe, Mail(f"Joe <{JOE}>", "We look into it."))
    assert f"({KIM} answered at" in done["reason"]
    assert ["I look into it." in letter.text for letter in scene.letters(OPS)] == [True]


@pytest.mark.parametrize(
    ("words", "state", "entry", "goes"),
    [
        ("note: his contract ends in May", "open", ("internal", "shown", "his contract ends in May"), ""),
        ("Note:\n\nthe customer called, too", "open", ("internal", "shown", "the customer called, too"), ""),
        ("close: It was replaced.\n\nKind regards", "closed", ("out", "shown", "It was replaced."), "It was replaced."),
        ("spam:", "closed", ("internal", "shown", "closed as spam"), ""),
        ("owner: me\nI look into it now.", "waiting", ("out", "shown", "I look into it now."), "I look into it now."),
    ],
)  # fmt: skip
def test_the_first_line_is_a_command(
    scene: Scene, words: str, state: str, entry: tuple[str, str, str], goes: str
) -> None:
    reference = asked(scene, f"Hello,\n\nthe disk of tfz1cvkr is slow, {abs(hash(words))}.\n")
    scene.letter(OPS)
    notification = scene.letter(JOE)
    scene.answer(notification, Mail(f"Joe <{JOE}>", f"{words}\n\n-- \nJoe\n\n{notification.quoted()}"))
    assert scene.ticket(reference)["state"] == state
    assert entry in scene.words(reference)
    sent = [letter.text for letter in scene.letters(OPS)]
    assert [goes in text and "owner:" not in text and "close:" not in text for text in sent] == ([True] if goes else [])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("noet: he is a nuisance", '"noet: he is a nuisance" is no command'),
        ("owner: kim\nPlease take it.", "only \"owner: me\" can be said by mail"),
        ("-- \nJoe\n", "there are no words in it"),
        ("note:\n\n-- \nJoe\n", "the note has no words"),
        ("send:", "nothing of yours is held back"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_out_goes_back_with_the_reason(scene: Scene, words: str, why: str) -> None:
    reference = asked(scene, f"Hello,\n\nthe disk of tfz1cvkr is slow, {abs(hash(words))}.\n")
    scene.letter(OPS)
    notification = scene.letter(JOE)
    before = scene.words(reference)
    scene.answer(notification, Mail(f"Joe <{JOE}>", words))
    back = scene.letter(JOE)
    assert back.subject == f"[{reference}] NOT ACCEPTED: Slow disk"
    assert why in back.text
    assert (scene.words(reference), scene.letters(OPS)) == (before, [])


def test_a_reply_to_a_refusal_is_the_second_try(scene: Scene) -> None:
    reference = asked(scene, "Hello,\n\nthe disk of tfz1cvkr is slow since we moved.\n")
    scene.letter(OPS)
    scene.answer(scene.letter(JOE), Mail(f"Joe <{JOE}>", "Note - the raid rebuilds"))
    refused = scene.letter(JOE)
    assert refused.subject.startswith(f"[{reference}] NOT ACCEPTED")
    assert "To try again, reply to this email." in refused.text
    scene.answer(refused, Mail(f"Joe <{JOE}>", "Close: It is fast again.\n\n" + refused.quoted()))
    assert "It is fast again." in scene.letter(OPS).text
    assert scene.ticket(reference)["state"] == "closed"


def test_an_outage_that_was_misread_is_lowered_by_mail(scene: Scene) -> None:
    reference = asked(scene, "Hello,\n\nour server tfz1cvkr is completely down, nothing answers.\n")
    scene.letter(OPS)
    first, kims = scene.letter(JOE), scene.letter(KIM)
    assert (scene.ticket(reference)["priority"], scene.ticket(reference)["critical"]) == ("high", True)
    done = scene.answer(first, Mail(f"Joe <{JOE}>", f"critical: no\n\n-- \nJoe\n\n{first.quoted()}"))
    assert done["reason"] == "staff mail: critical no"
    shown = scene.ticket(reference)
    assert (shown["priority"], shown["critical"], shown["state"]) == ("normal", False, "open")
    assert shown["first_response_at"] is None and scene.letters(OPS) == [], "nothing goes out, no clock stops"
    (corrected,) = [entry for entry in shown["entries"] if entry["text"].startswith("corrected critical: yes -> no")]
    assert corrected["author"] == JOE
    below = f"We look into it.\n\n{kims.quoted()}\n> priority: high\n"
    scene.answer(kims, Mail(f"Kim <{KIM}>", below))
    assert scene.ticket(reference)["priority"] == "normal", "a quoted command is none"
    scene.letter(OPS)
    scene.answer(kims, Mail(f"Kim <{KIM}>", "note: seen\n\n-- \nKim\npriority: high\n"))
    assert scene.ticket(reference)["priority"] == "normal", "and none in a signature"
    scene.answer(kims, Mail(f"Kim <{KIM}>", "priority: high\nnote: he pays for it"))
    assert scene.ticket(reference)["priority"] == "high"


def test_a_change_of_priority_by_who_may_not_changes_nothing(scene: Scene) -> None:
    reference = asked(scene, "Hello,\n\nour server tfz1cvkr is completely down once more.\n")
    acknowledgement, first = scene.letter(OPS), scene.letter(JOE)
    other = asked(scene, "Hello,\n\nanother matter: the second disk is slow.\n")
    scene.letter(JOE)
    scene.letters(KIM)
    before = (scene.words(reference), scene.words(other))
    headers = {"Auto-Submitted": "auto-replied", "In-Reply-To": first.id}
    command = "critical: no\npriority: regular\n"
    for mail in (
        Mail(f"Joe <{JOE}>", command, to=first.reply_to, signed=False, mail_from="eve@stranger.example"),  # forged
        Mail(f"Kim <{KIM}>", command, to=first.reply_to),  # a colleague's token
        Mail("Max <max@stranger.example>", command, to=first.reply_to),
        Mail(f"Joe <{JOE}>", command, f"Out of office: {first.subject}", first.reply_to, headers=headers),
        Mail(f"Joe <{JOE}>", command, f"Re: [{other}] {first.subject}", acknowledgement.reply_to),
    ):
        scene.write(mail)
    assert (scene.words(reference), scene.words(other)) == before
    assert scene.ticket(reference)["critical"] is True
    scene.answer(acknowledgement, Mail(f"Shop Ops <{OPS}>", f"{command}\nwhat is this above?"))
    assert (scene.ticket(reference)["critical"], scene.ticket(reference)["priority"]) == (True, "high"), "a customer's"


def test_colleagues_hear_of_a_note_and_the_customer_does_not(scene: Scene) -> None:
    reference = asked(scene, "Hello,\n\nthe disk of tfz1cvkr is slow, and so is the other.\n")
    scene.letter(OPS)
    scene.letter(KIM)
    raw = Mail(
        f"Joe <{JOE}>", "note: kim, the password is: Xk9!vTq2\nthe disk is ordered", to=scene.letter(JOE).reply_to
    )
    scene.write(raw)
    told = scene.letter(KIM)
    assert told.subject == f"[{reference}] Note, technical: Slow disk"
    assert f"Note from {JOE}" in told.text and "| the disk is ordered" in told.text
    assert "Xk9!vTq2" not in told.text, "a password never travels by mail"
    assert (scene.letters(JOE), scene.letters(OPS)) == ([], [])
    assert (scene.ticket(reference)["state"], scene.ticket(reference)["first_response_at"]) == ("open", None)
    scene.answer(told, Mail(f"Kim <{KIM}>", f"The disk is ordered.\n\n{told.quoted()}"))
    (answer,) = scene.letters(OPS)
    assert "The disk is ordered." in answer.text and "Note from" not in answer.text, "it is answered like any other"


def test_words_to_a_colleague_are_held_back(scene: Scene) -> None:
    reference = asked(scene, "Hello,\n\nthe disk of tfz1cvkr is slow when we read much.\n")
    scene.letter(OPS)
    scene.answer(scene.letter(JOE), Mail(f"Joe <{JOE}>", "kim can you take this one?"))
    held = scene.letter(JOE)
    assert held.subject.startswith(f"[{reference}] NOT SENT")
    assert 'it speaks to "kim", a colleague; to keep it internal, write note: above it' in held.text
    assert scene.letters(OPS) == []


# --------------------------------------------------------------------------- never


def nothing_left(scene: Scene, before: int, reference: str, entries: list[tuple[str, str, str]]) -> None:
    """No mail has left us, and the ticket is as it was."""
    assert scene.sent() == before
    assert scene.words(reference) == entries


def test_forged_staff_is_nobody(scene: Scene) -> None:
    reference = asked(scene)
    notification = scene.letter(JOE)
    before, entries = scene.sent(), scene.words(reference)
    forged = Mail(f"Joe <{JOE}>", "Please send your password.", signed=False, mail_from="eve@stranger.example")
    done = scene.answer(notification, forged)  # with everything that Joe knows, but for his domain's key
    assert (done["disposition"], done["reason"][:40]) == ("recorded", "staff mail refused: nothing proves that ")
    nothing_left(scene, before, reference, entries)
    forged = Mail(f"Joe <{JOE}>", "Close it.", f"Re: [{reference}]", signed=False, mail_from="eve@stranger.example")
    assert scene.write(forged)["disposition"] == "quarantined", "without the token it is a forged mail like any other"
    nothing_left(scene, before, reference, entries)


def test_a_copy_of_a_staff_mail_that_comes_first_as_something_else_takes_nothing_away(scene: Scene) -> None:
    """The customer in Cc has both: the copy, and an address to which our mail would come back."""
    reference = asked(scene)
    (acknowledged,) = [
        taken for taken in scene.peers.taken if taken.rcpt_tos == (OPS,) and reference.encode() in taken.raw
    ]
    scene.letters(OPS)
    notification = scene.letter(JOE)
    reply = Mail(f"Joe <{JOE}>", "The disk is new.", f"Re: {notification.subject}", notification.reply_to).raw()
    copy = scene.deliver(reply, OPS, acknowledged.mail_from)
    assert not copy["reason"].startswith("staff mail: answer")
    scene.deliver(b"X-Second: way\r\n" + reply, JOE, notification.reply_to)
    assert "The disk is new." in scene.letter(OPS).text
    assert ("out", "shown", "The disk is new.") in scene.words(reference)
    assert scene.ticket(reference)["state"] == "waiting"


def test_a_leaked_staff_token_is_of_no_use_to_another_address(scene: Scene) -> None:
    reference = asked(scene)
    notification = scene.letter(JOE)
    scene.letters(KIM)
    entries = scene.words(reference)
    done = scene.answer(notification, Mail(f"Kim <{KIM}>", "I answer from my own address."))
    assert "was made for somebody else" in done["reason"]
    assert "was made for somebody else" in scene.letter(KIM).text, "a colleague hears why"
    stranger = Mail("Eve <eve@stranger.example>", "Hello, do you offer servers in Spain?")
    done = scene.answer(notification, stranger)
    assert (done["disposition"], done["ticket"] != reference) == ("opened", True)
    (letter,) = scene.letters("eve@stranger.example")
    assert "staff" not in letter.text.lower(), "and a stranger what every stranger hears"
    assert scene.words(reference) == entries
    assert [
        taken.rcpt_tos[0] for taken in scene.peers.taken if reference.encode() in taken.raw and taken.rcpt_tos == (OPS,)
    ] == [OPS]


def test_a_customers_token_is_no_staff_token(scene: Scene) -> None:
    reference = asked(scene)
    acknowledgement = scene.letter(OPS)
    entries = scene.words(reference)
    done = scene.answer(acknowledgement, Mail(f"Joe <{JOE}>", "The disk is new."))
    assert done["reason"].startswith("staff mail refused: the address it was sent to was made for somebody else")
    assert (scene.words(reference), scene.letters(OPS)) == (entries, [])


def test_a_reply_that_misses_the_token_goes_back(scene: Scene) -> None:
    reference = asked(scene)
    scene.letter(OPS)
    notification = scene.letter(JOE)
    headers = {"In-Reply-To": notification.id}
    done = scene.write(Mail(f"Joe <{JOE}>", "The disk is new.", f"Re: {notification.subject}", headers=headers))
    assert (done["disposition"], done["ticket"]) == ("recorded", reference)
    back = scene.letters(JOE)[-1]
    assert "use Reply, so that it goes to its Reply-To" in back.text
    assert scene.letters(OPS) == []
    robot = Mail(f"Joe <{JOE}>", "Thank you for your mail.", f"Re: {back.subject}", headers={"In-Reply-To": back.id})
    before = scene.sent()
    scene.write(robot)
    assert scene.sent() == before, "what answers a refusal hears nothing more"


def test_a_new_mail_of_staff_under_a_tickets_number_goes_back(scene: Scene) -> None:
    """Written to the desk instead of answered: it became a silent ticket of its own, of which nobody heard."""
    reference = asked(scene)
    scene.letter(OPS)
    subject = f"Re: {scene.letter(KIM).subject}"
    done = scene.write(Mail(f"Kim <{KIM}>", "The disk is new.", subject))
    assert (done["disposition"], done["ticket"]) == ("recorded", reference)
    assert "use Reply, so that it goes to its Reply-To" in scene.letters(KIM)[-1].text
    assert scene.letters(OPS) == []


def test_refusals_of_one_address_are_bounded(scene: Scene) -> None:
    asked(scene)
    acknowledgement = scene.letter(OPS)
    for number in range(22):
        scene.answer(acknowledgement, Mail("Lee <lee@staff.example>", f"The disk is new, {number}."))
    assert len(scene.letters("lee@staff.example")) == 20


@pytest.mark.parametrize(
    ("words", "headers"),
    [
        ("I am out of the office until Monday.", {"Auto-Submitted": "auto-replied"}),
        ("Ich bin bis Montag nicht im Büro und lese keine E-Mails.", {"X-Auto-Response-Suppress": "All", "Subject": "Automatische Antwort: Ticket"}),
    ],
    ids=["with RFC 3834", "by its words alone"],
)  # fmt: skip
def test_an_out_of_office_of_staff_changes_and_triggers_nothing(
    scene: Scene, words: str, headers: dict[str, str]
) -> None:
    reference = asked(scene, f"Hello,\n\nthe disk of tfz1cvkr is slow, {len(words)}.\n")
    notification = scene.letter(JOE)
    before, entries = scene.sent(), scene.words(reference)
    named = {"In-Reply-To": notification.id, "References": notification.id} | headers
    subject = named.pop("Subject", f"Out of office: {notification.subject}")
    done = scene.write(Mail(f"Joe <{JOE}>", words, subject, notification.reply_to, headers=named))
    assert done["disposition"] == "recorded"
    nothing_left(scene, before, reference, entries)
    assert scene.ticket(reference)["state"] == "open"


def test_words_that_were_sent_are_not_sent_again(scene: Scene) -> None:
    """A program at a staff address that answers everything alike stops after its first mail."""
    asked(scene)
    acknowledgement, notification = scene.letter(OPS), scene.letter(JOE)
    robot = Mail(f"Joe <{JOE}>", "Your mail has reached us, thank you for writing.")
    scene.answer(notification, robot)
    (once,) = scene.letters(OPS)
    assert "has reached us" in once.text
    scene.answer(acknowledgement, Mail(f"Shop Ops <{OPS}>", "Any news?"))
    done = scene.answer(scene.letter(JOE), robot)
    assert done["reason"].startswith("staff mail: not sent: you sent the same words on this ticket already")
    assert scene.letters(OPS) == []


def test_passwords_and_the_quoted_notification_never_reach_the_customer(scene: Scene) -> None:
    asked(scene)
    scene.letter(OPS)
    notification = scene.letter(JOE)
    scene.answer(notification, Mail(f"Joe <{JOE}>", "Your new root password is: hunter2hunter2"))
    held = scene.letter(JOE)
    assert "looks like a password" in held.text
    assert "hunter2" not in held.text
    raw_quote = "\n".join(notification.text.splitlines()[:14])
    done = scene.answer(notification, Mail(f"Joe <{JOE}>", f"{raw_quote}\nThe disk is new."))
    assert "could not be told from the quoted notification" in done["reason"]
    assert scene.letters(OPS) == []


# --------------------------------------------------------------------------- customers


def test_a_party_at_a_domain_without_authentication(scene: Scene) -> None:
    """Nothing proves him; his token does, as far as his own conversation goes, and gives no rights of the account."""
    me = Mail(f"Owner <{OWNER}>", "Hello, my server ab12cd34 (#345678) is slow.", signed=False)
    reference = str(scene.write(me)["ticket"])
    acknowledgement = scene.letter(OWNER)
    assert "could not confirm that this email comes from" in " ".join(acknowledgement.text.split())
    notification = scene.letter(JOE)
    assert "Trust:     NOT VERIFIED (registered address, not proven)\nAccount:   none" in notification.text
    scene.answer(notification, Mail(f"Joe <{JOE}>", "Hello,\n\nplease write from the Client Area."))
    answer = scene.letter(OWNER)
    assert answer.subject == f"[{reference}] Your request to INTROSERV Support", "no words of his before he is proven"
    done = scene.answer(answer, Mail(f"Owner <{OWNER}>", "I opened a ticket there.", signed=False))
    assert (done["disposition"], done["ticket"]) == ("appended", reference)
    shown = scene.ticket(reference)
    assert (shown["account"], shown["trust"], "not authenticated" in shown["marks"]) == (None, "unverified", True)
    assert scene.letters(OWNER) == [], "follow-ups are not acknowledged"
    headers = {"In-Reply-To": acknowledgement.id}
    by_id = Mail(f"Owner <{OWNER}>", "Cancel the order.", f"Re: [{reference}]", signed=False, headers=headers)
    assert scene.write(by_id)["disposition"] == "pending", "whoever saw a mail knows its Message-ID"
    held_back = scene.letters(JOE)[-1]
    assert held_back.subject == f"[{reference}] Unverified sender, technical: Question"
    assert "A message from an unverified sender is held back: " in held_back.text
    number = next(row["id"] for row in scene.rows() if row["ticket"])
    assert f"To let it in: gateway messages release {number}\n" in held_back.text


def test_one_who_answers_from_a_colleagues_address(scene: Scene) -> None:
    """The account's billing contact continues the owner's ticket; a colleague nobody registered opens a linked one."""
    reference = asked(scene)
    acknowledgement = scene.letter(OPS)
    scene.letters(JOE)
    done = scene.answer(acknowledgement, Mail("Billing <billing@shop.example>", "We see it, too."))
    assert (done["disposition"], done["ticket"]) == ("appended", reference)
    notification = scene.letter(JOE)
    assert "From:      Billing <billing@shop.example>" in notification.text
    assert f"Note:      your answer goes to {OPS}" in notification.text
    done = scene.answer(
        acknowledgement, Mail("Temp <temp@shop.example>", "Hello, is there any news about our slow disk?")
    )
    assert (done["disposition"], done["ticket"] != reference) == ("opened", True)
    assert scene.ticket(str(done["ticket"]))["linked_to"] == reference
    letter = scene.letter("temp@shop.example")
    assert "234567" not in letter.text
    assert reference not in letter.text
    scene.answer(notification, Mail(f"Joe <{JOE}>", "We replace it at 18:00."))
    assert scene.letters("temp@shop.example") == scene.letters("billing@shop.example") == []
    assert "We replace it at 18:00." in scene.letter(OPS).text


def test_one_who_obeys_verification_needed(scene: Scene) -> None:
    """He asks from his private address, reads what to do, and writes again from the registered one."""
    private = Mail(
        "Anna Schmidt <anna@plain.example>", "Hallo, mein Server 203.0.113.7 (#123456) ist langsam.", signed=False
    )
    first = str(scene.write(private)["ticket"])
    letter = scene.letter("anna@plain.example")
    assert "von der E-Mail-Adresse" in letter.text
    registered = Mail(
        f"Anna Schmidt <{ANNA}>", f"Hallo, hier noch einmal von der richtigen Adresse.\n\n{letter.quoted()}"
    )
    done = scene.answer(letter, registered)
    second = str(done["ticket"])
    assert (done["disposition"], second != first) == ("opened", True)
    shown = scene.ticket(second)
    assert (shown["trust"], shown["linked_to"], shown["account"]) == ("verified", first, "10023")
    assert "Guten Tag Anna Schmidt" in scene.letter(ANNA).text
    scene.answer(scene.letters(JOE)[-1], Mail(f"Joe <{JOE}>", "Guten Tag Frau Schmidt,\n\ndie Platte ist getauscht."))
    assert "die Platte ist getauscht." in scene.letter(ANNA).text
    assert scene.letters("anna@plain.example") == [], "nothing of the account goes to the other address"


def test_one_behind_a_forwarder_that_breaks_everything(scene: Scene) -> None:
    """SPF fails for the forwarder's host, DKIM for the footer it adds, DMARC wants that refused: kept, unanswered, released."""
    intact = Mail(f"Shop Ops <{OPS}>", "Hello,\n\nthe disk of tfz1cvkr (#234567) is slow.\n", "Slow disk").raw()
    before = scene.sent()
    done = scene.deliver(intact + b"-- \r\nScanned by Example AntiVirus\r\n", "srs0=x@forwarder.example")
    assert (done["disposition"], done["state"]) == ("quarantined", "quarantined")
    assert scene.sent() == before, "neither an acknowledgement nor a bounce to who may be somebody else"
    scene.command("messages", "release", str(done["id"]))
    reference = str(scene.rows()[0]["ticket"])
    assert scene.ticket(reference)["target_at"] is not None, "the clock starts when a person released it"
    assert scene.letters(OPS) == []
    words = "Hello,\n\nyour forwarder breaks your mail; we look into the disk.\n"
    scene.answer(scene.letters(JOE)[-1], Mail(f"Joe <{JOE}>", words))
    answer = scene.letter(OPS)
    assert answer.subject == f"[{reference}] Your request to INTROSERV Support"
    assert scene.answer(answer, Mail(f"Shop Ops <{OPS}>", "Thank you, now I write directly."))["ticket"] == reference


def test_one_who_writes_from_info(scene: Scene) -> None:
    """A shared mailbox is a person's; what a mailbox is called silences nobody."""
    me = Mail(
        "Schmidt GmbH <info@example.de>", "Guten Tag,\n\nmein Server 203.0.113.7 ist seit gestern langsam.\n", "Anfrage"
    )
    done = scene.write(me)
    letter = scene.letter("info@example.de")
    assert (done["disposition"], letter.subject) == ("opened", f"Re: Anfrage [{done['ticket']}]")
    assert scene.ticket(str(done["ticket"]))["trust"] == "verified"
    scene.answer(scene.letters(JOE)[-1], Mail(f"Joe <{JOE}>", "Guten Tag,\n\nwir prüfen das."))
    assert "wir prüfen das." in scene.letter("info@example.de").text


# --------------------------------------------------------------------------- what mail programs make of a reply


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_the_customer_reads_the_words_and_nothing_else(scene: Scene, program: Program) -> None:
    asked(scene, f"Hello,\n\nthe disk is slow, {program.name}.\n\nWhich kernel runs there?\nAnd which disk is it?\n")
    scene.letter(OPS)
    notification = scene.letter(JOE)
    scene.answer(notification, program.write(notification))
    answer = scene.letter(OPS)
    body = answer.text.partition("-- reply above this line --\n\n")[2].rpartition("\n\nINTROSERV Support\n")[0]
    assert body == program.customer
    assert [name for name, _ in answer.files] == list(program.files)


def test_a_signature_that_was_not_sent_is_told_once_in_its_ticket(scene: Scene) -> None:
    reference = asked(scene, "Hello,\n\nthe disk of tfz1cvkr makes a noise. Which one is it?\n")
    scene.letter(OPS)
    signature = "Support Engineer\nINTROSERV Ltd\nT: +44 20 7946 0000\njoe@staff.example"
    notification = scene.letter(JOE)
    for words in ("It is the first one.", "Please switch it off."):
        text = f"{words}\n\nKind regards\nJoe Meier\n{signature}\n\n{notification.quoted()}"
        scene.answer(notification, Mail(f"Joe Meier <{JOE}>", text))
        answer = scene.letter(OPS).text
        assert f"{words}\n\nKind regards\nJoe Meier\n\nINTROSERV Support\n" in answer
    told = [entry["text"] for entry in scene.ticket(reference)["entries"] if entry["direction"] == "internal"]
    assert told == [f"The signature of {JOE} was not sent:\n\n{signature}"]
    heard = [letter.text for letter in scene.letters(JOE) if "taken for your signature" in letter.text]
    assert len(heard) == 1 and "T: +44 20 7946 0000" in heard[0]


def test_the_logo_of_a_signature_goes_out_once_and_the_customers_files_never(scene: Scene) -> None:
    picture = ("screenshot.png", "image/png", PNG)
    for number in range(2):
        text = f"Hello,\n\nthe disk of tfz1cvkr is slow, see {number}.\n"
        scene.write(Mail(f"Shop Ops <{OPS}>", text, "Slow disk", files=[picture]))
        scene.letter(OPS)
        notification = scene.letter(JOE)
        assert [name for name, _ in notification.files] == ["screenshot.png"]
        files = [LOGO, picture, (f"report-{number}.txt", "text/plain", f"well {number}\n".encode())]
        scene.answer(notification, Mail(f"Joe <{JOE}>", f"See the report, {number}.", files=files))
        names = [name for name, _ in scene.letter(OPS).files]
        assert names == (["image001.png", "report-0.txt"] if number == 0 else ["report-1.txt"])


@pytest.mark.peer
def test_staff_answer_from_their_own_mail_server_and_by_way_of_a_mailbox(tmp_path: Path) -> None:
    """The gateway polls a Dovecot. One colleague's reply is signed, another's is not and comes from a mailbox: no word for it."""
    if os.geteuid() != 0 or not shutil.which("dovecot"):
        missing("a Dovecot of our own needs root and the package dovecot-imapd")
    dovecot = Dovecot()
    at = Scene(tmp_path, imap=[dovecot.account(poll_interval="1s", start_from="all")])
    try:
        first = Mail(f"Shop Ops <{OPS}>", "Hello,\n\nthe disk of tfz1cvkr (#234567) is slow.\n", "Slow disk")
        at.post(dovecot, first)
        acknowledgement, notification = at.letter(OPS), at.letter(JOE)
        kims = at.letter(KIM)
        reply = Mail(f"Joe <{JOE}>", f"It is replaced.\n\n{notification.quoted()}", f"Re: {notification.subject}",
                     notification.reply_to, headers={"In-Reply-To": notification.id})  # fmt: skip
        assert at.post(dovecot, reply)["reason"] == "staff mail: answer"
        answer = at.letter(OPS)
        assert (answer.subject, "It is replaced." in answer.text) == (acknowledgement.subject, True)
        assert (
            answer.message["References"]
            == acknowledgement.message["References"]
            == acknowledgement.message["In-Reply-To"]
        )
        unsigned = Mail(f"Kim <{KIM}>", "I know better.", to=kims.reply_to, signed=False)
        assert at.post(dovecot, unsigned)["reason"].startswith("staff mail refused: nothing proves that you sent it")
        assert at.letters(OPS) == at.letters(KIM) == []
        follow_up = Mail(
            f"Shop Ops <{OPS}>",
            "Thank you!",
            f"Re: {answer.subject}",
            answer.reply_to,
            headers={"In-Reply-To": answer.id},
        )
        at.post(dovecot, follow_up)
        entries = at.ticket(str(at.rows()[0]["ticket"]))["entries"]
        assert sorted(e["direction"] for e in entries) == ["in", "in", "out"]
    finally:
        at.close()
        dovecot.close()


def test_staff_mail_from_the_companys_own_server_needs_no_signature(tmp_path: Path) -> None:
    at = Scene(tmp_path, staff={**STAFF, "relays": ["127.0.0.0/8"]})
    try:
        at.write(Mail(f"Shop Ops <{OPS}>", "Hello,\n\nthe disk of tfz1cvkr is slow.\n", "Slow disk"))
        notification = at.letter(JOE)
        at.letter(OPS)
        at.answer(notification, Mail(f"Joe <{JOE}>", "It is replaced.", signed=False))
        assert "It is replaced." in at.letter(OPS).text
        stolen = Mail(f"Kim <{KIM}>", "So it is.", signed=False)
        assert "was made for somebody else" in at.answer(notification, stolen)["reason"], (
            "the token counts all the same"
        )
        assert at.letters(OPS) == []
    finally:
        at.close()


def test_close_without_words_tells_the_customer_in_his_language(scene: Scene) -> None:
    scene.write(Mail(f"Anna Schmidt <{ANNA}>", "Guten Tag,\n\nmein Server 203.0.113.7 ist langsam.\n", "Langsam"))
    scene.letter(ANNA)
    notification = scene.letter(JOE)
    scene.answer(notification, Mail(f"Joe <{JOE}>", f"close:\n\n{notification.quoted()}"))
    letter = scene.letter(ANNA)
    assert "geschlossen" in letter.text
    assert letter.message["Auto-Submitted"] is None
