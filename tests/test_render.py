"""Replies: no header can be injected, and the words are what DOMAIN promises."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import OutboxItem
from gateway.read.words import quotes
from gateway.replies import render
from gateway.replies.page import COLUMNS
from gateway.replies.render import Promise, RenderError, Sender, Templates, build, reply_subject
from gateway.replies.samples import NAMES, OURS, samples
from gateway.settings import Gateway, Hours

TEMPLATES = Templates(None)
SENDER = Sender(
    Gateway(
        address="support@introserv.com",
        name="INTROSERV Support",
        client_area_url="https://portal.example/",
        chat_url="https://chat.example/",
    ),
    "verp",
    b"s" * 32,
)


def ours(**changes: str) -> Sender:
    """The sender of another ``[gateway]``."""
    return replace(SENDER, gateway=SENDER.gateway.model_copy(update=changes))


WHEN = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
BASE, *_, ASKED = samples("received")
ITEM = OutboxItem("m1", "received", "en", "anna@example.de", "auto", BASE, 1, 7, "abc.tag@introserv.com", WHEN)
EXPECTED = {
    "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
    "X-Auto-Response-Suppress", "X-Gateway-Loop", "MIME-Version", "Content-Type",
}  # fmt: skip
NASTY = st.one_of(
    st.text(max_size=120),
    st.lists(
        st.sampled_from(["\r\n", "\n", "\r", "Bcc: x@y.z", "=?utf-8?q?a=0D=0ABcc:_x@y.z?=", "=?", "?=", "\u2028", "\u202e", "\x00",
                         "Re: ", "ü", "[T-ABCDEFG]", ";", ",", "<", ">", '"', "{{ 7*7 }}", "%s", "\x1b[31m", " " * 40, "x" * 90]),
        max_size=12,
    ).map("".join),
)  # fmt: skip


def header_names(raw: bytes) -> list[str]:
    block = raw.partition(b"\r\n\r\n")[0]
    return [line.partition(b":")[0].decode() for line in block.split(b"\r\n") if line[:1] not in (b" ", b"\t")]


@pytest.mark.fault("X26")
@settings(max_examples=300, deadline=None)
@given(subject=NASTY, name=NASTY, parent=NASTY, references=st.lists(NASTY, max_size=4), token=NASTY)
def test_no_header_can_be_injected(subject: str, name: str, parent: str, references: list[str], token: str) -> None:
    context = BASE | {
        "subject": subject, "account_name": name, "in_reply_to": parent, "references": references, "reply_to": token
    }  # fmt: skip
    message = build(replace(ITEM, context=context), ours(name=name), TEMPLATES)
    names = header_names(message.raw)
    assert len(names) == len(set(names))
    assert set(names) - {"Reply-To"} <= EXPECTED
    head = message.raw.partition(b"\r\n\r\n")[0]
    assert b"\x00" not in head
    for parsed in (
        email.message_from_bytes(message.raw),
        email.message_from_bytes(message.raw, policy=email.policy.default),
    ):
        assert [key for key in parsed if key.lower() in ("bcc", "cc")] == []
        assert str(parsed["To"]) == "<anna@example.de>" or str(parsed["To"]) == "anna@example.de"
        decoded = str(email.header.make_header(email.header.decode_header(str(parsed["Subject"]))))
        assert "\r" not in decoded
        assert "\n" not in decoded
        # neutralised words reach the subject; had they been left raw, the built headers would not have been as meant
        # and the fixed subject would stand here
        assert decoded.startswith("Re: ") or not subject
    assert (message.mail_from.startswith("bounces+7."), message.rcpt_to) == (True, "anna@example.de")


def test_the_check_of_the_built_headers_catches_an_injection() -> None:
    fields = [("Subject", "x\r\nBcc: y@z.example"), ("To", "<a@b.example>")]
    assert not render._as_meant(b"Subject: x\r\nBcc: y@z.example\r\nTo: <a@b.example>\r\n\r\n", fields)
    assert render._as_meant(b"Subject: x\r\nTo: <a@b.example>\r\n\r\n", [("Subject", "x"), ("To", "<a@b.example>")])
    assert not render._as_meant(b"Subject: x\rBcc: y\r\n\r\n", [("Subject", "x\rBcc: y")])


def test_subjects() -> None:
    reference = "T-ABCDEF0"
    assert reply_subject("Server down", reference) == "Re: Server down [T-ABCDEF0]"
    assert reply_subject("RE: AW: Re: WG: Server down [T-ABCDEF0]", reference) == "Re: Server down [T-ABCDEF0]"
    assert len(reply_subject("x" * 500, reference)) <= 4 + 120 + 12


def parts(template: str, language: str, context: dict[str, Any]) -> tuple[str, str]:
    raw = build(replace(ITEM, template=template, language=language, context=context), SENDER, TEMPLATES).raw
    message = email.message_from_bytes(raw, policy=email.policy.default)
    texts = [part.get_content() for part in message.walk() if not part.is_multipart()]
    return texts[0], texts[1]


LANGUAGES = ("de", "en", "es", "fr", "it", "ru", "uk")
AREA = {
    "en": "Client Area", "de": "Kundenbereich", "fr": "Espace client", "es": "Área de Cliente", "it": "Area clienti",
    "ru": "Клиентской области", "uk": "Клієнтській зоні",
}  # fmt: skip
HIGH = {
    "en": "High", "de": "Hoch", "fr": "Élevée", "es": "Alta", "it": "Alta", "ru": "Высокий", "uk": "Високий"
}  # fmt: skip
TECHNICAL = {
    "en": "Technical Issues", "de": "Technische Fragen", "fr": "Questions techniques", "es": "Cuestiones técnicas",
    "it": "Problemi tecnici", "ru": "Технические проблемы", "uk": "Технічні проблеми",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_replies_state_the_facts_of_the_desk(language: str) -> None:
    area = AREA[language]
    emergency = parts("emergency", language, BASE)[0].replace("\r\n", " ")
    assert re.search(r"10\xa0(min|Min|мин|хв)", emergency)
    assert "https://portal.example/" in emergency
    assert HIGH[language] in emergency
    assert area in emergency
    general, page = parts("received_general", language, samples("x")[1])
    assert "https://chat.example/" in general
    assert '<a href="https://chat.example/" style' in page
    needed = parts("verification_needed", language, samples("x")[1])[0].replace("\r\n", " ")
    assert area in needed
    assert "- " in needed
    asked, _ = parts("received", language, BASE)
    for fact in ("#123456", "203.0.113.7", "r1z7og44", "ping", TECHNICAL[language], HIGH[language], "T-0000000"):
        assert fact in asked
    status, _ = parts("status", language, BASE)
    assert "T-0000000" in status
    closed, _ = parts("closed", language, BASE)
    assert "T-0000000" in closed


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_what_a_customer_quotes_of_a_reply_is_cut_at_its_marker(name: str, language: str) -> None:
    text, page = parts(name, language, BASE | {"text": "Es läuft wieder."})
    first = text.splitlines()[0]
    assert first.startswith("-- ")
    assert quotes.new_words(f"It works now, thank you.\n\n{text}") == "It works now, thank you."
    assert first in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_numbers_of_a_promise_come_from_the_configuration(language: str) -> None:
    other = replace(SENDER, promise=Promise(target=3, limit=21, ticket=1))
    for name in ("received", "received_general", "status", "emergency"):
        raw = build(replace(ITEM, template=name, language=language, context=BASE), other, TEMPLATES).raw
        message = email.message_from_bytes(raw, policy=email.policy.default)
        text = next(part.get_content() for part in message.walk() if not part.is_multipart())
        assert not re.search(r"\b(10|15|30)\b(?! November)", text.replace("14:30", "")), text
        assert ("21\u00a0минуты" in text) == (language == "ru") or "21" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_promise_of_one_number_names_it_once(language: str) -> None:
    other = replace(SENDER, promise=Promise(target=30, limit=30, ticket=10))
    for name in ("received", "received_general", "status"):
        text = TEMPLATES.text(name, language, render.variables(other, BASE))
        assert len(re.findall(r"(?<![\d:])30\b(?! \(CET)", text.replace("14:30", ""))) == 1, text


def test_plural_forms_and_moments_are_those_of_the_language() -> None:
    def received(language: str, limit: int) -> str:
        other = replace(SENDER, promise=Promise(15, limit, 1))
        return TEMPLATES.text("received", language, render.variables(other, BASE))

    assert "15–21\u00a0минуты" in received("ru", 21)
    assert "15–22\u00a0минут." in received("ru", 22)
    assert "15–31\u00a0хвилини" in received("uk", 31)
    assert "innerhalb von 1\u00a0Minute," in received("de", 30)
    assert "22 November 2026, 14:30 (CET)" in received("en", 30)
    assert "22\u00a0novembre 2026 à\u00a014:30 (CET)" in received("fr", 30)
    assert "22\u00a0de noviembre de 2026 a las\u00a014:30 (CET)" in received("es", 30)
    assert "22\u00a0novembre 2026, ore\u00a014:30 (CET)" in received("it", 30)
    assert "22.\u00a0November 2026, 14:30\u00a0Uhr (MEZ)" in received("de", 30)
    assert "22\u00a0ноября 2026\u202fг., 14:30 (CET)" in received("ru", 30)
    night = TEMPLATES.text(
        "received", "es", render.variables(SENDER, BASE | {"started_at": "2026-11-22T01:30:00+01:00"})
    )
    assert "2026 a la\u00a01:30 (CET)" in night


@pytest.mark.parametrize(
    ("language", "day", "said"),
    [
        ("fr", "01", "depuis le 1er\u00a0juillet 2026 à"), ("fr", "11", "depuis le 11\u00a0juillet"),
        ("it", "01", "dal 1º\u00a0luglio 2026, ore"), ("it", "08", "problema dall’8\u00a0luglio"),
        ("it", "11", "dall’11\u00a0luglio"), ("it", "10", "dal 10\u00a0luglio"), ("it", "18", "dal 18\u00a0luglio"),
        ("ru", "01", "известно с 1\u00a0июля"), ("ru", "02", "известно со 2\u00a0июля"),
        ("ru", "22", "известно с 22\u00a0июля"), ("de", "01", "seit dem 1.\u00a0Juli 2026"),
        ("es", "01", "desde el 1\u00a0de julio"), ("uk", "01", "з 1\u00a0липня"), ("en", "01", "since 1 July 2026"),
    ],
)  # fmt: skip
def test_a_day_is_said_with_the_word_before_it(language: str, day: str, said: str) -> None:
    context = BASE | {"incident_since": f"2026-07-{day}T12:05:00+02:00"}
    for name in ("received", "emergency", "status"):
        assert said in TEMPLATES.text(name, language, render.variables(SENDER, context))


def test_the_zone_that_is_assumed_is_the_configured_one() -> None:
    def received(language: str, timezone: str) -> str:
        return TEMPLATES.text("received", language, render.variables(ours(timezone=timezone), ASKED))

    assert "we assume CET/CEST otherwise" in received("en", "Europe/Berlin")
    assert "von MEZ/MESZ aus" in received("de", "Europe/Berlin")
    assert "мы считаем, что это MSK)" in received("ru", "Europe/Moscow")


HOURS = {
    "en": "Mon–Fri, 09:00–18:00 (CET/CEST)", "de": "Mo–Fr, 09:00–18:00\u00a0Uhr (MEZ/MESZ)",
    "fr": "lun.–ven., 09:00–18:00 (CET/CEST)", "es": "lun–vie, 09:00–18:00 (CET/CEST)",
    "it": "lun–ven, 09:00–18:00 (CET/CEST)", "ru": "пн–пт, 09:00–18:00 (CET/CEST)", "uk": "пн–пт, 09:00–18:00 (CET/CEST)",
}  # fmt: skip
TEAMS = {
    "en": ("our engineers", "our billing team"), "de": ("unseren Technikern", "unserer Rechnungsabteilung"),
    "fr": ("de nos ingénieurs", "de notre service facturation"), "es": ("nuestros técnicos", "nuestro equipo de facturación"),
    "it": ("ai nostri tecnici", "al nostro ufficio fatturazione"), "ru": ("нашим инженерам", "в наш финансовый отдел"),
    "uk": ("нашим інженерам", "до нашого фінансового відділу"),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_status_names_the_team_its_hours_and_what_is_still_missing(language: str) -> None:
    sender = replace(SENDER, hours={"financial": Hours(0, 4, "09:00", "18:00")})
    engineers, billing = TEAMS[language]
    for department, team, other in (("technical", engineers, billing), ("financial", billing, engineers)):
        context = BASE | {"department": department, "missing": ["diagnostics"]}
        text = TEMPLATES.text("status", language, render.variables(sender, context))
        assert (team in text, other in text) == (True, False)
        assert (HOURS[language] in text) == (department == "financial")
        assert ("traceroute" in text, "#123456" in text) == (True, False)


IF_BROKEN = {
    "en": "if something does not work:", "de": "falls etwas nicht funktioniert:", "fr": "si quelque chose ne fonctionne pas :",
    "es": "si algo no funciona:", "it": "se qualcosa non funziona:", "ru": "если что-то не работает:",
    "uk": "якщо щось не працює:",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_tells_of_no_outage_is_asked_for_logs_only_if_something_is_broken(language: str) -> None:
    """A customer who wants one more address has no traceroute to send."""
    calm = {"missing": ["diagnostics"], "critical": False}
    for name, changes, asked in (
        ("received", calm, "if"),
        ("status", calm, "if"),
        ("status", calm | {"abuse": True}, "logs"),
        ("emergency", calm | {"critical": True}, "logs"),
    ):
        text = " ".join(TEMPLATES.text(name, language, render.variables(SENDER, BASE | changes)).split())
        assert ("traceroute" in text, IF_BROKEN[language].replace("\xa0", " ") in text) == (
            asked == "logs",
            asked == "if",
        )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["received", "verification_needed", "status"])
def test_who_writes_about_an_invoice_is_asked_for_its_number_and_no_address(name: str, language: str) -> None:
    plain = BASE | {
        "missing": ["order_or_ip"],
        "critical": False,
        "services": [],
        "ips": [],
        "orders": [],
        "verified": False,
    }
    technical, financial = (
        TEMPLATES.text(name, language, render.variables(SENDER, plain | {"department": department}))
        for department in ("technical", "financial")
    )
    assert ("IP" in technical, "#123456" in technical) == (True, True)
    assert ("IP" in financial, "#123456" in financial) == (False, True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_wrote_from_the_registered_address_is_not_sent_back_to_it(language: str) -> None:
    """Without a signature of his server he would write again for ever; it says so to strangers as well."""
    for verified in (False, True):
        values = render.variables(SENDER, BASE | {"verified": verified, "sensitive": ["access"] if verified else []})
        text = TEMPLATES.text("verification_needed", language, values)
        below = text.partition(SENDER.gateway.client_area_url)[2]
        assert below.split("\n\n")[1].count(AREA[language]) == 1


@pytest.mark.parametrize("name", ["staff_owner", "staff_alert", "staff_breach"])
def test_a_reminder_does_not_deny_the_answers_that_were_given(name: str) -> None:
    fresh = samples(name)[0] | {"event": "", "answered": ""}
    later = fresh | {
        "answered": "| It runs.",
        "answered_by": "joe@example.com",
        "answered_at": "2026-11-22T12:05:00+00:00",
    }
    first, again = (
        TEMPLATES.text(name, "en", render.variables(SENDER, one)).partition("***")[0] for one in (fresh, later)
    )
    assert ("newest message" in first, "newest message" in again) == (False, True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_only_asks_for_an_offer_hears_that_he_is_answered_all_the_same(language: str) -> None:
    """What is asked is not known for sure: a shop that wanted a quotation was only told to prove who it is."""
    for verified in (False, True):
        values = render.variables(SENDER, BASE | {"verified": verified, "sensitive": ["access"] if verified else []})
        text = TEMPLATES.text("verification_needed", language, values)
        assert bool(re.search(r"15.{1,5}30", text)) == (not verified), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_reports_abuse_is_told_nothing_of_chats_and_accounts(language: str) -> None:
    for abuse in (False, True):
        values = render.variables(SENDER, BASE | {"verified": False, "abuse": abuse})
        text = TEMPLATES.text("received_general", language, values)
        asked = (SENDER.gateway.chat_url in text, SENDER.gateway.client_area_url in text, "T-0000000" in text)
        assert asked == (not abuse, not abuse, True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_cannot_log_in_is_not_told_that_the_client_area_is_faster(language: str) -> None:
    url = SENDER.gateway.client_area_url
    for sensitive, told in ((["password"], False), (["access"], False), (["refund"], True), ([], True)):
        values = render.variables(SENDER, BASE | {"critical": False, "sensitive": sensitive})
        assert (url in TEMPLATES.text("received", language, values)) == told


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", sorted(OURS))
def test_plain_text_fits_a_terminal_and_links_stand_alone(name: str, language: str) -> None:
    for context in samples(name):
        for line in parts(name, language, context)[0].splitlines():
            assert len(line) <= COLUMNS, line
            assert "://" not in line or re.fullmatch(r"(?:  )?https://\S+", line), line


def test_the_words_of_a_person_go_out_as_they_were_written() -> None:
    words = (
        "Hello,\n\n"
        + "please run this: "
        + "x " * 60
        + "\n    indented   twice\n- a list item that is "
        + ("long " * 30).strip()
    )
    text, page = parts("answer", "en", BASE | {"text": words})
    assert words in text.replace("\r\n", "\n")
    assert "<br>\n\u00a0\u00a0\u00a0 indented\u00a0\u00a0 twice<br>" in page.replace("\r\n", "\n")


def test_indented_lines_of_a_person_are_lines_and_no_list() -> None:
    words = "Hello,\n\nplease send us the output of:\n\n    ping 203.0.113.7\n    traceroute 203.0.113.7\n\n- the first\n  goes on\n- the second"
    _, page = parts("answer", "en", BASE | {"text": words})
    page = page.replace("\r\n", "\n").replace("\u00a0", " ")
    assert '<p dir="auto">    ping 203.0.113.7<br>\n    traceroute 203.0.113.7</p>' in page
    assert '<ul><li dir="auto">the first goes on</li><li dir="auto">the second</li></ul>' in page


@pytest.mark.parametrize("name", NAMES)
def test_typography_is_that_of_the_language(name: str) -> None:
    for context in samples(name):
        context = context | {"text": "Words.", "subject": "x", "about": "x"}
        texts = {language: TEMPLATES.text(name, language, render.variables(SENDER, context)) for language in LANGUAGES}
        assert not re.search(r"[ \xa0][:;!?»]|«[ \xa0]|\w'\w", re.sub(r"https?:\S+", "", texts["fr"])), texts["fr"]
        assert not re.search(r"\w'\w", texts["it"] + texts["uk"])
        for language in LANGUAGES:
            assert not re.search(r'[a-zа-яіїєґ]"|"[a-zа-яіїєґ]|\d-\d+\xa0', texts[language], re.I), texts[language]
            assert not re.search(r"\d (?:min|Min|мин|хв)", texts[language])


def test_what_belongs_together_is_not_broken_on_a_phone() -> None:
    _, page = parts("received", "de", BASE)
    assert page.count('nowrap">T-0000000</span>') == page.count("T-0000000") - page.count("Re: ")
    assert 'nowrap">E-Mail</span>' in page


def test_a_page_names_its_language_sets_no_colour_and_loads_nothing() -> None:
    _, page = parts("received", "uk", BASE)
    assert '<html lang="uk">' in page
    assert "color-scheme" in page
    assert not re.search(r"(?:src|background|url)\s*[=(]|(?<!-)color\s*:(?! inherit)", page)


@pytest.mark.parametrize(
    ("event", "template", "expected"),
    [
        ("new", "staff_new", "[T-0000000] High, technical: Server 203.0.113.7"),
        ("appended", "staff_new", "[T-0000000] Follow-up, technical: Server 203.0.113.7"),
        ("pending", "staff_new", "[T-0000000] Unverified sender, technical: Server 203.0.113.7"),
        ("", "staff_alert", "[T-0000000] Reminder, High, technical: Server 203.0.113.7"),
        ("", "staff_breach", "[T-0000000] OVERDUE, High, technical: Server 203.0.113.7"),
    ],
)
def test_a_staff_mail_says_in_its_subject_what_it_is(event: str, template: str, expected: str) -> None:
    context = samples("staff_new")[0] | {"event": event}
    raw = build(replace(ITEM, kind="staff", template=template, context=context), SENDER, TEMPLATES).raw
    assert email.message_from_bytes(raw, policy=email.policy.default)["Subject"] == expected


def test_why_an_answer_did_not_arrive_is_no_reason_of_trust() -> None:
    text = TEMPLATES.text("staff_undelivered", "en", render.variables(SENDER, samples("staff_undelivered")[0]))
    assert text.startswith(
        "Our answer on T-0000000 did not reach anna@example.de: 550 5.1.1 no such user\n\nThe ticket"
    )
    assert "Trust:     VERIFIED\n" in text


@pytest.mark.fault("X32")
def test_customers_words_are_never_a_template() -> None:
    text, page = parts("received", "en", BASE | {"account_name": "{{ 7*7 }}<script>alert(1)</script>"})
    assert "{{ 7*7 }}" in text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(("kind", "marks"), [("auto", True), ("person", False), ("staff", True)])
def test_only_machines_carry_the_marks_of_machines(kind: str, marks: bool) -> None:
    template = "answer" if kind == "person" else "staff_new" if kind == "staff" else "received"
    context = samples("staff_new")[0] | {"text": "words"}
    raw = build(replace(ITEM, kind=kind, template=template, context=context), SENDER, TEMPLATES).raw
    names = header_names(raw)
    assert ("Auto-Submitted" in names) == marks
    assert ("X-Gateway-Loop" in names) == marks


def test_the_shipped_templates_have_no_fault() -> None:
    assert TEMPLATES.problems(SENDER) == []
    assert TEMPLATES.languages() == LANGUAGES


def test_a_broken_template_is_named(tmp_path: Any) -> None:
    (tmp_path / "received.en.txt.j2").write_text("{{ nothing_of_this_name }}")
    (tmp_path / "status.en.txt.j2").write_text("{% if %}")
    found = Templates(tmp_path).problems(SENDER)
    assert sorted(problem.file.rpartition("/")[2] for problem in found) == ["received.en.txt.j2", "status.en.txt.j2"]


def test_an_html_template_of_the_admin_goes_before_and_is_escaped(tmp_path: Any) -> None:
    (tmp_path / "received.en.html.j2").write_text("<h1>{{ account_name }}</h1>")
    context = BASE | {"account_name": "<b>Anna</b>"}
    raw = build(replace(ITEM, context=context), SENDER, Templates(tmp_path)).raw
    assert b"<h1>&lt;b&gt;Anna&lt;/b&gt;</h1>" in raw
    (tmp_path / "received.en.html.j2").write_text("{{ nothing }}")
    assert Templates(tmp_path).problems(SENDER) != []


def test_templates_run_in_a_sandbox(tmp_path: Any) -> None:
    (tmp_path / "received.en.txt.j2").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(RenderError):
        Templates(tmp_path).text("received", "en", BASE)


@pytest.mark.parametrize(
    "recipient",
    ["a@b.example\r\nRCPT TO:<x@y.z>", "ü@b.example>\r\nBcc: <x@y.z", "ü\u2028@b.example", "ü@bü.example", "ü@"],
)
def test_an_odd_recipient_is_refused_before_the_relay_sees_it(recipient: str) -> None:
    with pytest.raises(RenderError):
        build(replace(ITEM, recipient=recipient), SENDER, TEMPLATES)


def test_a_recipient_beyond_ascii_stands_in_utf_8_and_nothing_else_does() -> None:
    message = build(replace(ITEM, recipient="用户@xn--fsqu00a.example"), ours(name="Müller"), TEMPLATES)
    assert message.rcpt_to == "用户@xn--fsqu00a.example"
    lines = message.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [line.decode() for line in lines if not line.isascii()] == ["To: <用户@xn--fsqu00a.example>"]
