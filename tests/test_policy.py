"""The policy as a table: class, trust and question against what a customer gets (docs/policy.md)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.model import AccountMatch, Budgets, Disposition, Priority, Thread, TicketState, Trust, Verdict
from gateway.tickets.policy import decide, missing_of
from tests.samples import (
    ANNA,
    FAIL,
    GENERAL_TEXT,
    NONE,
    NOW,
    OUTAGE_TEXT,
    PASS,
    REFUSED,
    REGISTERED,
    RULES,
    STRANGER,
    TEMPERROR,
    WEAK,
    envelope,
    incoming,
    mail,
)

GENERAL, OUTAGE = mail(GENERAL_TEXT), mail(OUTAGE_TEXT)
SENSITIVE = mail("Hello, please reset my password for order #123456.")


@pytest.mark.parametrize(
    ("raw", "verdict", "match", "trust", "template"),
    [
        (None, PASS, REGISTERED, "verified", "received"),
        (GENERAL, PASS, REGISTERED, "verified", "received"),
        (OUTAGE, PASS, REGISTERED, "verified", "emergency"),
        (None, NONE, REGISTERED, "unverified", "verification_needed"),
        (GENERAL, NONE, REGISTERED, "unverified", "received_general"),
        (OUTAGE, NONE, REGISTERED, "unverified", "emergency"),
        (None, PASS, STRANGER, "unknown", "verification_needed"),
        (GENERAL, NONE, STRANGER, "unknown", "received_general"),
        (OUTAGE, NONE, STRANGER, "unknown", "emergency"),
        (SENSITIVE, PASS, REGISTERED, "verified", "received"),
        (SENSITIVE, WEAK, REGISTERED, "verified", "verification_needed"),
        (None, REFUSED, REGISTERED, "unverified", None),
        (GENERAL, REFUSED, STRANGER, "unknown", None),
        (mail(author="nobody"), PASS, STRANGER, "unknown", None),
    ],
)
def test_a_mail_of_a_person(
    raw: bytes | None, verdict: Verdict, match: AccountMatch, trust: str, template: str | None
) -> None:
    found = decide(incoming(raw, verdict=verdict, match=match), None, Budgets(), NOW, RULES)
    assert found.disposition is Disposition.OPENED
    assert found.clock
    assert found.trust == trust
    assert (found.reply.template if found.reply else None) == template
    assert (found.account is not None) == (trust == "verified")
    assert bool(found.silence) == (found.reply is None)
    high = found.critical and trust == "verified"
    assert (found.priority is Priority.HIGH) == high


@pytest.mark.parametrize("raw", [None, GENERAL, OUTAGE])
@pytest.mark.parametrize(
    "case",
    [
        {"verdict": FAIL},
        {"raw": mail(author="a@x.example, b@y.example")},
        {"raw": mail(author="support@introserv.com"), "match": STRANGER, "verdict": NONE},
    ],
)
def test_a_forged_mail_goes_to_quarantine_without_a_reply(raw: bytes | None, case: dict[str, object]) -> None:
    found = decide(incoming(**({"raw": raw} | case)), None, Budgets(), NOW, RULES)  # type: ignore[arg-type]
    assert found.disposition is Disposition.QUARANTINED
    assert found.trust is Trust.FAILED
    assert found.reply is None
    assert not found.clock
    assert found.notify == ("now" if found.critical else "digest")


@pytest.mark.fault("X45")
@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"Auto_Submitted": "auto-replied"}, "auto_reply"),
        ({"List_Id": "<l.example>"}, "bulk"),
        ({"Precedence": "bulk"}, "bulk"),
    ],
)
def test_a_machine_is_never_answered(headers: dict[str, str], kind: str) -> None:
    raw = mail(**headers)
    known = decide(incoming(raw), None, Budgets(), NOW, RULES)
    assert known.mail_class == kind
    assert (known.disposition, known.silent, known.clock, known.reply) == (Disposition.OPENED, True, False, None)
    other = decide(incoming(raw, match=STRANGER), None, Budgets(), NOW, RULES)
    assert (other.disposition, other.reply) == (Disposition.RECORDED, None)


@pytest.mark.fault("X46")
def test_our_own_mail_is_ignored() -> None:
    found = decide(incoming(is_own=True), None, Budgets(), NOW, RULES)
    assert (found.disposition, found.reply) == (Disposition.IGNORED, None)


def test_a_blocked_author_is_quarantined_and_a_release_opens_the_ticket() -> None:
    blocked = incoming(blocked="the domain is in [block]")
    found = decide(blocked, None, Budgets(), NOW, RULES)
    assert (found.disposition, found.reply, found.notify) == (Disposition.QUARANTINED, None, "digest")
    released = decide(replace(blocked, released=True), None, Budgets(), NOW, RULES)
    assert (released.disposition, released.clock) == (Disposition.OPENED, True)


def thread(**changes: object) -> Thread:
    return replace(Thread(1, "T-ABCDEF0", "token", TicketState.OPEN, True, False, None, False, True), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("candidate", "verdict", "disposition", "outcome"),
    [
        (thread(), PASS, "appended", "appended"),
        (thread(token_bound=True), NONE, "appended", "appended"),
        (thread(token_bound=True), REFUSED, "pending", "pending"),
        (thread(), NONE, "pending", "pending"),
        (thread(party=False), PASS, "opened", "linked"),
        (thread(party=False, token_bound=True), PASS, "opened", "linked"),
        (thread(state=TicketState.CLOSED, closed_at=NOW - timedelta(days=13)), PASS, "appended", "appended"),
        (thread(state=TicketState.CLOSED, closed_at=NOW - timedelta(days=15)), PASS, "opened", "linked"),
    ],
)
def test_a_thread_match_is_only_a_candidate(
    candidate: Thread, verdict: Verdict, disposition: str, outcome: str
) -> None:
    found = decide(incoming(verdict=verdict), candidate, Budgets(), NOW, RULES)
    assert (found.disposition, found.outcome) == (disposition, outcome)
    assert (found.reply is None) == (outcome != "linked")


def test_a_follow_up_after_an_answer_starts_a_new_round() -> None:
    waiting = thread(state=TicketState.WAITING, answered=True, clock_running=False)
    assert decide(incoming(), waiting, Budgets(), NOW, RULES).clock
    assert not decide(incoming(), thread(), Budgets(), NOW, RULES).clock


@pytest.mark.parametrize(
    ("more", "budgets", "why"),
    [
        ({"unanswerable": "null sender"}, Budgets(), "null sender"),
        ({"verdict": NONE}, Budgets(last_to_author=NOW - timedelta(hours=23)), "once in 24 h"),
        ({}, Budgets(spent="budget_total"), "budget_total"),
        ({"envelope_": envelope(received_at=NOW - timedelta(hours=25))}, Budgets(), "ack_max_age"),
    ],
)
def test_no_cannon(more: dict[str, object], budgets: Budgets, why: str) -> None:
    found = decide(incoming(**more), None, budgets, NOW, RULES)  # type: ignore[arg-type]
    assert found.disposition is Disposition.OPENED
    assert found.clock
    assert found.reply is None
    assert why in found.silence


def test_imported_mail_is_not_answered_and_has_no_clock() -> None:
    found = decide(incoming(silent=True), None, Budgets(), NOW, RULES)
    assert (found.disposition, found.clock, found.reply, found.notify) == (Disposition.OPENED, False, None, "")
    assert found.silence == "taken in without acknowledgements"


def test_an_authenticated_author_is_acknowledged_again() -> None:
    budgets = Budgets(last_to_author=NOW - timedelta(hours=1))
    assert decide(incoming(), None, budgets, NOW, RULES).reply is not None


@pytest.mark.parametrize("unsure", [{"verdict": TEMPERROR}, {"match": replace(STRANGER, usable=False)}])
def test_a_check_that_could_not_be_made_waits_and_then_everybody_is_answered_alike(unsure: dict[str, object]) -> None:
    first = decide(incoming(**unsure), None, Budgets(), NOW, RULES)  # type: ignore[arg-type]
    assert (first.disposition, first.clock, first.recheck, first.reply) == (Disposition.OPENED, True, True, None)
    last = decide(incoming(**unsure, final=True), None, Budgets(), NOW, RULES)  # type: ignore[arg-type]
    assert last.reply is not None
    assert last.reply.template == "received_general"


@pytest.mark.parametrize("raw", [None, GENERAL, OUTAGE, SENSITIVE])
@pytest.mark.parametrize("own", [True, False])
def test_no_oracle_unknown_and_unverified_get_the_same(raw: bytes | None, own: bool) -> None:
    unverified = decide(incoming(raw, verdict=NONE, own=own), None, Budgets(), NOW, RULES)
    unknown = decide(incoming(raw, verdict=NONE, match=STRANGER, own=not own), None, Budgets(), NOW, RULES)
    assert unverified.reply == unknown.reply
    assert unverified.missing == unknown.missing


def test_foreign_and_unknown_facts_look_alike_to_a_verified_author() -> None:
    assert missing_of(incoming(own=False), Trust.VERIFIED) == missing_of(
        incoming(mail("Please look at my server, the disk is slow, thank you.")), Trust.VERIFIED
    )


def test_a_copy_goes_to_the_support_address_unless_something_sensitive_is_in_it() -> None:
    match = replace(REGISTERED, support_addresses=("ops@example.de", "anna@example.de"))
    found = decide(incoming(match=match), None, Budgets(), NOW, RULES)
    assert found.reply is not None
    assert found.reply.to == ("anna@example.de", "ops@example.de")
    for raw in (SENSITIVE, mail("Look at order #123456, the root password is: hunter2hunter2")):
        alone = decide(incoming(raw, match=match), None, Budgets(), NOW, RULES)
        assert alone.reply is not None
        assert alone.reply.to == ("anna@example.de",)


def test_languages_without_templates_are_answered_in_english() -> None:
    german = mail("Guten Tag, mein Server 203.0.113.7 ist sehr langsam, bitte sehen Sie nach.")
    french = mail("Bonjour, mon serveur 203.0.113.7 est très lent depuis hier, merci de vérifier.")
    for raw, language in ((german, "de"), (french, "en")):
        reply = decide(incoming(raw), None, Budgets(), NOW, RULES).reply
        assert reply is not None
        assert reply.language == language


@pytest.mark.fault("X41")
def test_several_accounts_are_settled_or_marked() -> None:
    match = replace(REGISTERED, accounts=(ANNA, replace(ANNA, account="2")), settled=None)
    found = decide(incoming(match=match), None, Budgets(), NOW, RULES)
    assert found.account is None
    assert "account not settled" in found.marks


def test_who_reports_abuse_is_asked_for_nothing_but_evidence() -> None:
    report = "Hello, your IP 198.51.100.9 is scanning our servers since Friday, please stop your customer.\n"
    asked = decide(incoming(mail(report), verdict=NONE, match=STRANGER), None, Budgets(), NOW, RULES)
    assert (asked.missing, asked.marks) == (("diagnostics",), ("abuse report",))
    log = "Nov 22 13:02:11 web sshd[2211]: Failed password for root from 198.51.100.9 port 4711 ssh2\n"
    told = incoming(mail(report + log), verdict=NONE, match=STRANGER)
    assert decide(told, None, Budgets(), NOW, RULES).missing == ()


def test_a_mail_without_a_word_is_asked_what_it_is_about() -> None:
    for text, subject, missing in (
        ("", "", ("description",)),
        ("", "hi?", ("description",)),
        ("", "Locations", ()),
        ("Do you have GPUs?", "", ()),
    ):
        assert missing_of(incoming(mail(text, subject)), Trust.VERIFIED) == missing, (text, subject)


def test_what_cannot_be_undone_is_marked() -> None:
    raw = mail("Hello, please delete my server of order #123456, thank you.")
    assert "destructive" in decide(incoming(raw), None, Budgets(), NOW, RULES).marks


def test_an_invitation_is_asked_for_nothing() -> None:
    words = "30 minutes please, about our server 203.0.113.7.\r\n\r\n[invitation: Review, 2026-12-01 10:00 UTC]"
    assert missing_of(incoming(mail(words)), Trust.VERIFIED) == ()
    assert "diagnostics" in missing_of(incoming(mail(words.partition("[")[0])), Trust.VERIFIED)
