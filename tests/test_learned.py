"""What is learned from labelled texts, how it is told, and that the file which comes with the package is what the texts teach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.model import Question
from gateway.read.topics import learned
from gateway.read.topics.features import MAX_CHUNKS, features, features_of, spelt, words_of
from gateway.read.topics.scoring import decided, read_topics
from gateway.read.topics.senses import senses_of, spoken
from gateway.read.topics.topics import weights_of
from gateway.service import topics_text
from tests.labelled import FOLDER
from tests.measures import taught
from tests.measures.first_sight import judged, reading_of, rows
from tests.measures.heard import NotLabelled, hear
from tests.measures.learning import BIAS, Example, trained


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Серверы НЕ отвечают!", ["серверы", "не", "отвечают", "!"]),
        ("L'accès à web13 est coupé, depuis 10:20.", ["l", "acces", "a", "<name>", "est", "coupe", "depuis", "<time>"]),
        ("#123456 (203.0.113.7) and 2001:db8::1: error 502 after 45 s", ["<order>", "<ip>", "and", "<ip>", "error", "502", "after", "0", "s"]),
        ("https://shop.example/x?y=1 www.nord.example nord.example me@b.example", ["<host>", "<host>", "<host>", "<mail>"]),
        ("4-core, e.g. Windows-Server 2022?", ["0", "core", "e", "g", "windows", "server", "0", "?"]),
        ("Sunucu çalışmıyor", ["sunucu", "calismiyor"]),
    ],
)  # fmt: skip
def test_the_words_of_a_text(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_features_are_words_beginnings_and_pairs() -> None:
    assert features("", "Nothing works") == {"nothing", "nothi*", "works", "nothi works"}
    assert features("Nothing", "works") == {"nothing", "nothi*", "works"}  # subject and text are not one sentence
    assert features("", "The box web13 died") == features("", "the BOX web77 died")
    assert len(words_of("word " * 10_000)) == MAX_CHUNKS


def test_a_label_is_learned_and_an_opinion_weighs_what_it_is_worth() -> None:
    right, wrong = {"=rule": 1.0}, {"=rule": -1.0}
    texts = [
        *(Example(features("", text), True, right) for text in ("box is dead", "box is gone", "shop is dead", "shop is gone")),
        *(Example(features("", text), False, wrong) for text in ("box is slow", "box is fine", "shop is slow", "shop is fine")),
    ]  # fmt: skip
    weights = trained(texts, rare=1)
    assert weights["dead"] > 0.05 > -0.05 > weights["fine"]
    assert abs(weights["box"]) < 0.05  # stands in both
    assert weights["=rule"] > weights["dead"]
    assert trained(texts, rare=1) == weights  # the same each time
    assert "dead" not in trained(texts[1:], rare=2)


def test_a_leaning_tells_what_decided() -> None:
    weights = {BIAS: only(-1.5), "dead": only(1.0), "box": only(0.5), "=critical": only(1.0)}
    found = learned.leanings({"dead", "box", "unheard-of"}, {"=critical": 1.0, "=past": 1.0}, weights)
    assert found.towards("critical") == pytest.approx(-1.5 + 1.5 / 2**0.5 + 1.0)
    assert found.told("critical") == "learned critical +0.56: =critical +1.00, dead +0.71, box +0.35"
    assert found.told("account") == "learned account +0.00"
    assert learned.leanings((), {}, {}).sums == learned.NOTHING.each
    assert learned.leaning("critical", {"dead", "box"}, {"=critical": 1.0}, weights) == (
        pytest.approx(found.sums[0]),
        2,
    )


def only(critical: float) -> learned.Row:
    """A row that speaks of outages alone."""
    return learned.row((critical, *learned.NOTHING.each[1:]))


def test_weights_of_either_sign_add_up_beside_one_another() -> None:
    """Ten weights lie in one number: what one of them lacks must not be taken from the next."""
    one, other = ([(-1) ** at * at * step for at in range(len(learned.LABELS))] for step in (1.37, -0.88))
    weights = {"a": learned.row(one), "b": learned.row(other), "=c": learned.row(one)}
    wanted = [(a + b) / 2**0.5 - 0.25 * a for a, b in zip(one, other, strict=True)]
    assert learned.leanings({"a", "b"}, {"=c": -0.25}, weights).sums == pytest.approx(wanted)


def test_senses_count_by_themselves_and_are_named() -> None:
    weights = {"dead": only(0.5), "box": only(0.5), "{downish}": only(1.0), "ask:{price}": only(-0.5)}
    found = learned.leanings({"dead", "box", "x", "y"}, {}, weights, {"{downish}", "ask:{price}", "{unknown}"})
    assert found.towards("critical") == pytest.approx((0.5 + 0.5) / 2**0.5 + (1.0 - 0.5) / 2**0.5)
    assert (found.known, found.words) == (0.5, 2)
    assert "{downish} +0.71" in found.told("critical")


def test_senses_are_the_same_in_every_language() -> None:
    texts = {
        "en": "How much does a second address cost per month?",
        "de": "Wie viel kostet eine zweite Adresse im Monat?",
        "it": "Quanto costa un secondo indirizzo al mese?",
        "ru": "Сколько стоит второй адрес в месяц?",
    }
    said = {code: senses_of(spelt("", text), spoken([code])) for code, text in texts.items()}
    assert all({"{price}", "{howmuch}", "ask:{price}", "ask:{howmuch}"} <= found for found in said.values()), said
    assert not any(name.startswith(("about:", "last:")) for found in said.values() for name in found)


def test_where_a_sense_stands_counts_as_well() -> None:
    found = senses_of(
        spelt("price", "The server is down. It cost 3.50 so far; web13 works\nPlease refund it"), spoken(["en"])
    )
    assert {
        "about:{price}",
        "{price}",
        "{downish}",
        "{server}",
        "{works}",
        "{refundword}",
        "last:{refundword}",
    } <= found
    assert not {"last:{server}", "ask:{server}", "about:{server}"} & found
    assert not any(name.startswith("ask:") for name in found)
    assert senses_of(spelt("", "")) == frozenset()
    assert "{refundword}" not in senses_of(spelt("", "bitte um Rückerstattung"), spoken(["ru"]))  # no word of Russian


def test_sentences_have_the_words_of_the_text() -> None:
    text = "Nothing works. Why?\n\nThe box died; again 10:20 " + "word " * 400
    told = spelt("", text)
    assert [len(words) for words in told.sentences[:4]] == [2, 2, 3, 1 + 1 + MAX_CHUNKS - 8]
    assert [word for words in told.sentences for word in words] == words_of(text)
    assert features_of(told) == features("", text)


def test_a_file_of_weights_is_read_as_it_was_written() -> None:
    columns = {label: {"a": 0.25, "b c": -1.5, "d": 0.01} if label == "account" else {} for label in learned.LABELS}
    text = learned.written(columns, 0.08)
    assert text.splitlines()[1:] == ["a\t\t.25", "b c\t\t-1.50"]
    assert {name: row.each[1] for name, row in learned.parsed(text).items()} == {"a": 0.25, "b c": -1.5}


@pytest.mark.parametrize("line", ["word\tmuch", "word" + "\t1" * (len(learned.LABELS) + 1)])
def test_a_file_of_weights_that_cannot_be_used_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "learned.tsv").write_text(line)
    (tmp_path / "c.toml").write_text(
        f'[gateway]\naddress = "a@b.example"\nstate_dir = "{tmp_path}"\n[extract]\ntopics = "{tmp_path / "own"}"\n'
    )
    with pytest.raises(ConfigError, match=r"extract\.topics"):
        topics_text(load(tmp_path / "c.toml"))


def test_beside_a_single_file_of_topics_the_rules_decide_alone() -> None:
    assert weights_of('[outage.en]\n1 = ["sings"]') == learned.RULES
    assert weights_of("") is learned.built_in()


def test_what_no_rule_foresaw_is_heard_and_told() -> None:
    found = read_topics("", "our florist page is just white since noon and the phone does not stop")
    assert not any(line.startswith("critical: ") for line in found.terms)
    assert found.critical
    assert found.question == Question.ACCOUNT
    said = decided("critical", found.terms)
    assert "learned critical +" in said


def test_the_weights_are_what_the_texts_teach() -> None:
    texts = [*taught.known_rows(), *taught.people()]
    assert len(texts) > 9000
    weights = taught.learned_from(texts, ["refund"])["refund"]
    column = learned.LABELS.index("refund")
    assert {name: row.each[column] for name, row in learned.built_in().items() if row.each[column]} == pytest.approx(
        weights
    )


def test_texts_that_it_did_not_learn_from_are_understood() -> None:
    strangers = taught.people()
    held = strangers[::10]
    kept = [row for at, row in enumerate(strangers) if at % 10]
    weights = taught.by_feature(taught.learned_from([*taught.known_rows(), *kept], ["critical"]))
    told = [
        (row.labels["critical"], row.opinions["=critical"] > 0, taught.has("critical", row, weights)) for row in held
    ]
    outages = [one for one in told if one[0]]
    heard, by_rules = sum(one[2] for one in outages), sum(one[1] for one in outages)
    assert heard / len(outages) > 0.8 > by_rules / len(outages)
    alarms = [one for one in told if one[2]]
    assert sum(bool(one[0]) for one in alarms) / len(alarms) > 0.85


def test_mails_that_neither_rules_nor_weights_were_made_with_are_understood() -> None:
    """``unseen.csv`` is for measuring only: nothing is learned from it, and no rule is changed for it."""
    right: dict[str, list[bool]] = {}
    for row in rows(FOLDER / "unseen.csv"):
        for label, good, _ in judged(row, reading_of(row)):
            right.setdefault(label, []).append(good)
    share = {label: sum(found) / len(found) for label, found in right.items()}
    assert len(right["department"]) == 400
    assert share["critical recall"] >= 0.95
    assert share["critical precision"] >= 0.95
    assert share["sensitive"] >= 0.97
    assert share["question"] >= 0.95
    assert share["department"] >= 0.96


def test_a_text_with_a_blank_label_is_not_heard_as_no(tmp_path: Path) -> None:
    """``gateway topics export`` leaves blank what nobody corrected."""
    given, kept = tmp_path / "given.csv", tmp_path / "people.jsonl"
    head, good = "subject,text,critical,sensitive,department\n", "box,My server is down,yes,-,technical\n"
    for bad in ("box,Hello,,-,billing\n", "box,Hello,no,,billing\n", "box,Hello,no,-,\n", "box,Hello,maybe,-,x\n"):
        given.write_text(head + good + bad)
        with pytest.raises(NotLabelled, match="text 2"):
            hear(given, kept)
    given.write_text("subject,text,sensitive\nbox,Hello,-\n")
    with pytest.raises(NotLabelled, match="no critical"):
        hear(given, kept)
    assert not kept.exists(), "all of a file, or nothing"
    given.write_text(head + good)
    hear(given, kept)
    (line,) = kept.read_text().splitlines()
    told = json.loads(line)
    assert (told["critical"], told["sensitive"], told["department"]) == (True, [], "technical")
