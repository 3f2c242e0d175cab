"""Mails that are more than one text: of two languages, of two matters, and with what nobody asked for around them."""

from __future__ import annotations

import pytest

from gateway.model import ALSO, Department, Question, Reading
from gateway.read.reading import Hints, read
from gateway.read.topics.spoken import languages_of
from tests.samples import NOW

OUTAGES = {
    "de": "Hallo,\nunser Server kv7x2y31 ist seit heute früh nicht erreichbar.",
    "fr": "Bonjour,\nnotre serveur kv7x2y31 est injoignable depuis ce matin, plus aucun site ne répond.",
    "es": "Hola,\nnuestro servidor kv7x2y31 está caído desde esta mañana, no responde nada.",
    "it": "Salve,\nil nostro server kv7x2y31 non è raggiungibile da stamattina, è tutto fermo.",
    "ru": "Здравствуйте!\nНаш сервер kv7x2y31 с утра недоступен, ничего не открывается.",
    "uk": "Добрий день!\nНаш сервер kv7x2y31 зранку недоступний, нічого не відкривається.",
    "pl": "Dzień dobry,\nnasz serwer kv7x2y31 od rana nie odpowiada, nic nie działa.",
    "nl": "Hallo,\nonze server kv7x2y31 is sinds vanochtend onbereikbaar, alles ligt plat.",
    "en": "Hi,\nour server kv7x2y31 has been down since this morning, nothing answers.",
}
BELOW = {
    "data": "Anna\n\nYour personal data is processed under the GDPR. Read our privacy notice at www.firm.example/privacy, or write "
    "to privacy@firm.example to have it erased.",
    "advertisement": "Anna\n\nMeet us at the trade fair in March! New catalogue, new prices: order today and save 15 %. Follow us and "
    "subscribe to our newsletter.",
    "post": "Best regards\nAnna Kramer\nHead of Accounts | Firm Ltd\n12 High Street, Leeds\nPhone +44 113 4960000",
    "postscript": "P.S. Everything else works fine, thank you.",
    "invoice": "P.S. Could you send invoice 214382 once more, and what would a second disk cost?",
}  # fmt: skip
ABOVE = (
    "WARNING: this message was sent from outside your organisation. Do not open attachments from people you do not "
    "know.\n\n"
)


def read_as(subject: str, text: str) -> Reading:
    head = f"From: a@b.example\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    return read((head + text.replace("\n", "\r\n") + "\r\n").encode(), Hints("a@b.example", NOW, "Europe/Berlin"))


@pytest.mark.parametrize("code", OUTAGES)
def test_an_outage_is_heard_and_answered_in_its_authors_language_whatever_stands_around_it(code: str) -> None:
    mails = {name: f"{OUTAGES[code]}\n\n{below}" for name, below in BELOW.items()} | {"above": ABOVE + OUTAGES[code]}
    found = {name: read_as("Server", text) for name, text in mails.items()}
    assert {name for name, reading in found.items() if not reading.topics.critical} == set()
    theirs = found.keys() - {"postscript", "invoice"}  # which the author wrote himself
    assert {found[name].language for name in theirs} == {code}


def test_a_mail_is_in_the_language_of_its_question_not_of_its_disclaimer() -> None:
    question = (
        "Guten Tag, wie richte ich für meine Domain einen SPF-Eintrag ein? Im Kundenbereich finde ich nichts dazu."
    )
    own, others = languages_of(f"{question}\n\n{BELOW['data']}")
    assert (own, others) == ("de", ("en",))
    assert languages_of(question) == ("de", ())
    english = "Hello, how do I add an SPF record for my domain? I cannot find it in the client area."
    german = "Diese Nachricht ist vertraulich. Sollten Sie nicht der vorgesehene Empfänger sein, löschen Sie sie bitte."
    assert languages_of(f"{english}\n\n{german}") == ("en", ("de",))


def test_an_outage_with_an_invoice_beside_it_is_technical_and_names_both() -> None:
    reading = read_as(
        "Shop", f"{OUTAGES['en']}\n\nPlease also send us invoice 214382 again, and when is the next payment due?"
    )
    assert reading.topics.critical
    assert reading.topics.department == Department.TECHNICAL
    assert reading.topics.question == Question.ACCOUNT
    assert ALSO[Department.FINANCIAL] in reading.topics.flags
    alone = read_as("Shop", OUTAGES["en"])
    assert ALSO[Department.FINANCIAL] not in alone.topics.flags


def test_a_paragraph_of_few_words_makes_no_outage() -> None:
    text = (
        "The last person to try to break the highest free fall record died in the attempt.\n\nRead it on our web site:"
    )
    assert not read_as("Records", f"{text}\n\nhttp://www.records.example/news/1,2,3.html").topics.critical


def test_an_outage_behind_much_that_nobody_knows_is_heard() -> None:
    unknown = " ".join(f"qx{chr(97 + at % 26)}zv{chr(97 + at // 26)}kj" for at in range(400))
    assert read_as("Hi", f"{unknown}\n\n{OUTAGES['en']}").topics.critical
    assert not read_as("Hi", f"{unknown}\n\nThank you for the quick help yesterday.").topics.critical


def test_what_was_is_no_outage_beside_what_is() -> None:
    past = "Our server kv7x2y31 was down last night for ten minutes and came back by itself."
    assert not read_as("Server", f"{past}\n\n{BELOW['data']}").topics.critical
    assert not read_as(
        "Serveur", f"Bonjour, notre serveur est lent depuis ce matin.\n\n{BELOW['data']}"
    ).topics.critical
