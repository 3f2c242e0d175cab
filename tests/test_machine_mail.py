"""Who wrote it, a person or a machine: people who write about mail are people, and machines are never answered."""

from __future__ import annotations

import json
from dataclasses import replace
from email.header import Header
from pathlib import Path

import pytest

from gateway.model import AccountMatch, Budgets, Disposition, MailClass, Verdict
from gateway.tickets.policy import class_of, decide
from tests.mail_trouble import MACHINES, PASSED_ON, PEOPLE
from tests.samples import NONE, NOW, PASS, REGISTERED, RULES, STRANGER, TEMPERROR, envelope, incoming, mail

#: (verdict, directory): whom we know and who proved it, and everybody else
PROVEN = (PASS, REGISTERED)
UNPROVEN = [(NONE, REGISTERED), (NONE, STRANGER), (PASS, STRANGER)]


def by_a_person(subject: str, text: str, kind: str = "text/plain; charset=utf-8", **headers: str) -> bytes:
    return mail(text.replace("\n", "\r\n"), subject=Header(subject, "utf-8").encode(), Content_Type=kind, **headers)


def by_a_machine(headers: dict[str, str], kind: str, body: str) -> bytes:
    fields = headers | {"To": "support@introserv.com", "MIME-Version": "1.0", "Content-Type": kind}
    head = "".join(f"{name}: {value}\n" for name, value in fields.items())
    return f"{head}\n{body}".replace("\n", "\r\n").encode()


def test_there_are_enough_of_each() -> None:
    assert len(PEOPLE) >= 60 and len(MACHINES) >= 60
    assert {language for language, _, _ in PEOPLE} >= {"en", "de", "fr", "es", "it", "ru", "uk", "pl"}


@pytest.mark.parametrize("about", [*((s, t, "text/plain; charset=utf-8") for _, s, t in PEOPLE), *((s, t, k) for _, s, k, t in PASSED_ON)], ids=lambda about: about[0])  # fmt: skip
@pytest.mark.parametrize("author", ["Anna <anna@example.de>", "System Administrator <ops@example.de>", "Postmaster <postmaster@example.de>"])  # fmt: skip
def test_a_person_who_writes_about_mail_is_a_person(about: tuple[str, str, str], author: str) -> None:
    subject, text, kind = about
    raw = by_a_person(subject, text, kind, author=author)
    for verdict, match in (PROVEN, *UNPROVEN):
        found = decide(incoming(raw, verdict=verdict, match=match), None, Budgets(), NOW, RULES)
        assert (found.mail_class, found.disposition, found.clock) == ("human", "opened", True), found.reasons
        assert found.reply is not None


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine[0])
@pytest.mark.parametrize(("verdict", "match"), UNPROVEN)
def test_a_machine_is_known_and_never_answered(
    machine: tuple[str, str, str, dict[str, str], str, str], verdict: Verdict, match: AccountMatch
) -> None:
    _, kind, mail_from, headers, content_type, body = machine
    raw = by_a_machine(headers, content_type, body)
    what = incoming(raw, verdict=verdict, match=match, envelope_=envelope(mail_from=mail_from))
    found = decide(what, None, Budgets(), NOW, RULES)
    assert (found.mail_class, found.reply) == (kind, None), found.class_reason
    assert found.disposition is Disposition.RECORDED


#: what proof outranks: words, and fields that anybody may add on the way
WORDS = [
    {"subject": "Undelivered Mail Returned to Sender", "X_Failed_Recipients": "x@y.example"},
    {"subject": "Automatic reply: x"},
    {"author": "Mail Delivery System <anna@example.de>", "subject": "failure notice"},
    {"author": "MAILER-DAEMON@example.de", "subject": "Returned mail: see transcript for details"},
    {"X_Auto_Response_Suppress": "All"},
    {"X_Loop": "support@introserv.com"},
]


@pytest.mark.parametrize("headers", WORDS)
def test_proof_outranks_words(headers: dict[str, str]) -> None:
    text = "This message was created automatically by mail delivery software.\r\n\r\n  x@y.example\r\n    550 5.1.1 user unknown"
    found = decide(incoming(mail(text, **headers)), None, Budgets(), NOW, RULES)
    assert (found.mail_class, found.disposition, found.clock) == ("human", "opened", True)


#: what no person's mail looks like, whoever wrote it
FORMS = [
    ({"Auto_Submitted": "auto-generated"}, "a@b.example", MailClass.AUTO_REPLY),
    ({"Auto_Submitted": "no", "Precedence": "bulk"}, "a@b.example", MailClass.BULK),
    ({"List_Id": "<l.example>"}, "a@b.example", MailClass.BULK),
    ({}, "", MailClass.AUTO_REPLY),
    ({"Content_Type": "multipart/report; report-type=delivery-status; boundary=x"}, "a@b.example", MailClass.BOUNCE),
    ({"Content_Type": 'multipart/report; report-type="feedback-report"; boundary=x'}, "a@b.example", MailClass.REPORT),
]


@pytest.mark.parametrize(("headers", "mail_from", "kind"), FORMS)
@pytest.mark.parametrize(("verdict", "match"), [PROVEN, *UNPROVEN])
def test_the_form_of_a_mail_counts_whoever_wrote(
    headers: dict[str, str], mail_from: str, kind: MailClass, verdict: Verdict, match: AccountMatch
) -> None:
    what = incoming(mail(**headers), verdict=verdict, match=match, envelope_=envelope(mail_from=mail_from))
    assert class_of(what)[0] is kind


BOUNCE_WORDS = mail("Your message could not be delivered.\r\n\r\n<x@y.example>: 550 5.1.1 user unknown", author="postmaster@example.de", subject="Undelivered Mail")  # fmt: skip


def test_a_bounce_at_our_return_address_is_one_whoever_wrote() -> None:
    assert class_of(incoming(BOUNCE_WORDS))[0] is MailClass.HUMAN
    assert class_of(incoming(BOUNCE_WORDS, returned_row=1))[0] is MailClass.BOUNCE
    assert class_of(incoming(returned_row=1))[0] is MailClass.HUMAN


@pytest.mark.parametrize("unsure", [{"verdict": TEMPERROR}, {"match": replace(STRANGER, usable=False)}])
def test_words_wait_for_a_proof_that_may_still_come(unsure: dict[str, object]) -> None:
    first = decide(incoming(BOUNCE_WORDS, **unsure), None, Budgets(), NOW, RULES)  # type: ignore[arg-type]
    assert (first.mail_class, first.disposition, first.recheck) == ("human", "opened", True)
    last = decide(incoming(BOUNCE_WORDS, **unsure, final=True), None, Budgets(), NOW, RULES)  # type: ignore[arg-type]
    assert (last.mail_class, last.reply) == ("bounce", None)
    assert class_of(incoming(BOUNCE_WORDS, verdict=TEMPERROR, match=STRANGER))[0] is MailClass.BOUNCE


@pytest.mark.parametrize("field", [{"X_Auto_Response_Suppress": "All"}, {"X_Loop": "x"}])
def test_a_wish_for_no_reply_hides_nothing(field: dict[str, str]) -> None:
    found = decide(incoming(mail(**field)), None, Budgets(), NOW, RULES)
    assert (found.mail_class, found.disposition, found.clock, found.reply) == ("human", "opened", True, None)
    assert next(iter(field)).replace("_", "-").lower() in found.silence.lower()
    assert f"no reply: {found.silence}" in found.reasons


def test_what_was_read_from_it_and_what_decided_is_told() -> None:
    proven = decide(incoming(BOUNCE_WORDS), None, Budgets(), NOW, RULES)
    assert any(line.startswith("class=human (a proven customer wrote it, though:") for line in proven.reasons)
    other = decide(incoming(BOUNCE_WORDS, verdict=NONE), None, Budgets(), NOW, RULES)
    assert any(line.startswith("class=bounce (from a mailbox of programs") for line in other.reasons)


def test_staff_may_release_what_was_taken_for_a_machine() -> None:
    found = decide(replace(incoming(BOUNCE_WORDS, verdict=NONE), released=True), None, Budgets(), NOW, RULES)
    assert (found.disposition, found.clock) == (Disposition.OPENED, True)


def test_what_went_wrong_elsewhere(corpora: Path) -> None:
    """The mails after public bug reports whose class is told; who signed is proven here."""
    folder = corpora / "reports_2026_11"
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    told = [row for row in rows if "class" in row["expect"]]
    assert len(told) > 20
    wrong = []
    for row in told:
        raw = (folder / row["file"]).read_bytes()
        verdict, match = PROVEN if b"DKIM-Signature:" in raw else UNPROVEN[1]
        found = decide(incoming(raw, verdict=verdict, match=match), None, Budgets(), NOW, RULES)
        if found.mail_class != row["expect"]["class"]:
            wrong.append((row["file"], str(found.mail_class), found.class_reason))
    assert wrong == []


def test_no_ham_is_a_bounce_or_an_automatic_reply_by_its_words(corpora: Path) -> None:
    folder = corpora / "spamassassin"
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    wrong = []
    for row in rows:
        if row["expect"]["spam"]:
            continue
        signs = incoming((folder / row["file"]).read_bytes()).reading.signs
        if signs.form is MailClass.HUMAN and signs.words is not MailClass.HUMAN:
            wrong.append((row["file"], signs.words_why))
    assert wrong == []
