"""Small judgements about words that customers would notice: who is greeted how, and what is only thanks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.read.author import author_of
from gateway.tickets import addressed, nudges, thanks
from gateway.tickets.greeting import greeted
from tests.samples import incoming, mail

WRITTEN = Path(__file__).parent / "labelled" / "thanks.jsonl"


@pytest.mark.parametrize(
    ("account", "author", "name"),
    [
        ("Anna Schmidt", "Anna Schmidt", "Anna Schmidt"), ("Anna Schmidt", "", "Anna Schmidt"), ("Anna Schmidt", "Schmidt, Anna", "Anna Schmidt"),
        ("Ольга Коваль", "Ольга", "Ольга Коваль"), ("Praxis Dr. Holm", "Praxis Dr. Holm", "Praxis Dr. Holm"),
        ("Wessel Logistik GmbH", "Kathrin Wessel", ""), ("Officine Bragadin Srl", "", ""), ("Harbour & Finch Ltd", "Ruth Finch", ""),
        ("ООО Северный маяк", "Игорь Рябов", ""), ("ФОП Литвиненко", "", ""), ("Schreinerei Huber", "Toni Brandl", ""),
        ("Clínica Dental Sotomayor", "Facturas", ""), ("Exemple S.A.S", "Marie", ""), ("Beispiel AG", "", ""), ("Agathe Ludwig", "", "Agathe Ludwig"),
    ],
)  # fmt: skip
def test_nobody_is_greeted_by_an_entry_of_the_register(account: str, author: str, name: str) -> None:
    assert greeted(account, author) == name


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("Thanks a lot, that was quick!", True), ("Back online, and fast. Thank you all, have a nice weekend.\n\nRuth", True),
        ("Vielen Dank!", True), ("Merci beaucoup, tout fonctionne.", True), ("Gracias, ya va.", True), ("Grazie mille", True),
        ("Спасибо, всё работает!", True), ("Дякую, все добре.", True),
        ("Thanks, but it is slow again.", False), ("Danke, aber es ist noch langsam.", False), ("Merci, quand sera-ce terminé ?", False),
        ("Grazie, ma la linea è ferma", False), ("Спасибо, но сервер опять лежит", False), ("Thank you. Please send the invoice.", False),
        ("Thanks. 203.0.113.7 too.", False), ("It is down.", False), ("", False), ("Thank you " + "and so on " * 40, False),
    ],
)  # fmt: skip
def test_what_is_only_thanks_waits_for_nothing(text: str, only: bool) -> None:
    assert thanks.only(text, {"ruth"}) == only


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Parfait, ça marche du premier coup, merci Joe et bonne fin de nuit.", True), ("Läuft wieder, danke!", True),
        ("Danke, passt. Piotr ist informiert.", True), ("Спасибо. Оригиналы почтой не надо.", True), ("Merci Kim !\nNadia", True),
        ("Thanks. When do I get it?", False), ("Thanks, please send it.", False), ("Merci de rappeler", False),
        ("Danke, aber es ist noch langsam", False), ("35 bucks. lol. ok.", False), ("Дякую, чекаю", False), ("", False),
    ],
)  # fmt: skip
def test_who_thanks_and_asks_nothing_need_not_hear_of_an_end(text: str, said: bool) -> None:
    assert thanks.said(text) == said


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("=?utf-8?q?Ma=C3=ABlle?= Kerbrat <a@b.example>", "Maëlle Kerbrat"),
        ("=?koi8-r?B?6cfP0tggMQ==?= <a@b.example>", "Игорь 1"),
        ('"=?utf-8?b?0JjQs9C+0YDRjA==?=" <a@b.example>', "Игорь"),
        ("=?utf-8?q?a=0Ab=1B[31m=E2=80=AE?= <a@b.example>", "a b [31m"),
        ("Anna <a@b.example>", "Anna"),
    ],
)
def test_a_name_is_shown_as_it_is_meant(field: str, name: str) -> None:
    found = author_of(f"From: {field}\r\n".encode())
    assert (found.address, found.display_name) == ("a@b.example", name)


#: who wrote them and whom they thank
NAMES = thanks.names_of(
    "Anna Schmidt", "Joe", "Kim", "Tom Weak", "Katrin Vogel", "Meier", "Camille Roux", "Pedro", "Marco Ferri", "Игорь Панов",
    "Оксана Бойко",
)  # fmt: skip


def test_thanks_as_people_write_them_are_heard_and_nothing_else_is() -> None:
    """As the mail programs of seven languages send them: with signatures, and with our mail below. What asks for
    something is never taken for thanks; of thanks one in ten may be answered by a status."""
    taken, missed, thanked = [], [], 0
    for line in WRITTEN.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        words = incoming(mail(one["text"], "Re: Disk [T-7K2M9QX]")).reading.masked_text
        only = thanks.only(words, NAMES)
        thanked += one["only"]
        if only and not one["only"]:
            taken.append(words)
        elif one["only"] and not only:
            missed.append(words)
    assert taken == []
    assert len(missed) <= thanked // 10, missed


def test_a_name_is_one_where_it_is_known() -> None:
    assert thanks.only("Danke, Joe!", thanks.names_of("joe@staff.example"))
    assert not thanks.only("Danke, Joe!")
    assert thanks.only("Thanks!\n\nAnna Schmidt", thanks.names_of("Anna Schmidt"))
    assert not thanks.only("Thanks!\n\nServer Down", thanks.names_of("Anna Schmidt"))


STAFF = {"joe@staff.example", "kim.park@staff.example", "billing@staff.example"}


@pytest.mark.parametrize(
    ("words", "whom"),
    [
        ("joe can you take this one?", "joe"), ("@kim is it paid?", "kim"), ("Hi Joe, please look", "Joe"), ("Kim: your turn", "Kim"),
        ("Hello Anna,\n\nthe disk is new.", ""), ("billing will answer you", ""), ("Joey can do it", ""), ("The disk is new.", ""),
    ],
)  # fmt: skip
def test_words_to_a_colleague_are_no_answer(words: str, whom: str) -> None:
    assert addressed.colleague(words, ["Anna Schmidt", "anna@example.de"], STAFF) == whom
    assert addressed.colleague(words, ["Kim Joe Customer"], STAFF) == "", "he may be called so himself"


@pytest.mark.parametrize(
    ("words", "whom"),
    [
        ("Bonjour Camille,\n\nvotre IP", "Camille"), ("Guten Tag Frau Vogel,", "Vogel"), ("Здравствуйте, Игорь!", "Игорь"),
        ("Buenos días:", ""), ("Hello Sol,", ""), ("Hello everybody,", ""), ("Camille has the server.", ""),
    ],
)  # fmt: skip
def test_an_answer_that_greets_another_customer_is_asked_about(words: str, whom: str) -> None:
    others = ["Camille Roux", "Katrin Vogel", "Игорь Панов"]
    assert addressed.stranger(words, ["Librería Sol", "admin@libreriasol.example"], others) == whom
    assert addressed.stranger(words, others, others) == "", "his own name"


@pytest.mark.parametrize(
    ("text", "earlier"),
    [
        ("Hello?? Anyone there? It is slow again.", True), ("Ich hatte letzte Woche gefragt, da kam nie was.", True),
        ("Toujours pas de réponse !", True), ("nadie me contesta", True), ("Ancora nessuna risposta", True),
        ("По тикету так и нет ответа!", True), ("Досі немає відповіді", True), ("The disk is slow.", False), ("Der Server antwortet nicht.", False),
    ],
)  # fmt: skip
def test_who_writes_again_shows_what_is_open(text: str, earlier: bool) -> None:
    assert nudges.among(text) is earlier


def test_a_long_mail_is_not_searched_for_thanks(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was, line by line, while the database's writer waited: half of what a mail cost there."""
    looked: list[int] = []
    is_tail = thanks._is_tail
    monkeypatch.setattr(thanks, "_is_tail", lambda lines, names: looked.append(len(lines)) or is_tail(lines, names))
    assert not thanks.only("thanks\n\n" * 400) and len(looked) <= thanks.LONGEST
    looked.clear()
    assert not thanks.only("thanks\n\n" * 4000) and not thanks.said("thanks\n\n" * 4000) and not looked
    assert thanks.only("Danke!\n\nAnna\n+49 30 1234567\n", {"anna"})
