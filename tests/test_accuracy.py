"""How well a mail is understood: no figure of docs/accuracy.md may fall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.labelled import FOLDER, mail_of, mails
from tests.measures import accuracy

FIGURES = Path(__file__).parent.parent / "docs" / "accuracy.md"
LEAST = dict.fromkeys(("en", "de", "fr", "es", "it", "ru", "uk"), 30) | dict.fromkeys(
    ("pt", "nl", "pl", "tr", "cs"), 15
)


SIGNS = {"orders": "#", "ips": "@", "services": "~", "invoices": "$"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[accuracy.Desk]:
    made = accuracy.Desk(tmp_path_factory.mktemp("desk"))
    yield made
    made.close()


@pytest.mark.parametrize(
    "line", [line for line in (FOLDER / "facts.psv").read_text(encoding="utf-8").splitlines() if line[0] != "#"]
)
def test_what_a_sentence_names(line: str, desk: accuracy.Desk) -> None:
    language, named, text = line.split("|", 2)
    reading, facts = desk.read(mail_of(language, "Question", text))
    found = {sign + fact.value for kind, sign in SIGNS.items() for fact in facts.of(kind) if not fact.quoted}
    assert found == {name for name in named.split() if name[0] not in "-!"}
    assert reading.secrets_masked == next((int(name[1:]) for name in named.split() if name[0] == "!"), 0)


@pytest.fixture(scope="module")
def measured() -> accuracy.Table:
    return accuracy.measured(accuracy.CORPORA if accuracy.CORPORA.is_dir() else None)


def quoted() -> dict[tuple[str, str], tuple[int, int]]:
    return accuracy.figures(FIGURES.read_text(encoding="utf-8").splitlines())


def test_there_are_labelled_mails_enough_and_in_every_wrapping() -> None:
    assert {
        code: count for code, count in Counter(mail.language for mail in mails()).items() if count < LEAST[code]
    } == {}
    assert {mail.language for mail in mails()} == set(LEAST)
    assert {mail.carrier for mail in mails()} >= {
        "plain",
        "html",
        "html_gmail",
        "gmail",
        "outlook",
        "apple",
        "forward",
        "mobile",
        "signature",
        "disclaimer",
    }


def test_no_figure_falls(measured: accuracy.Table) -> None:
    figures = quoted()
    have = {(name, column): (score.right, score.of) for name, of in measured.items() for column, score in of.items()}
    if not accuracy.CORPORA.is_dir():
        figures = {key: value for key, value in figures.items() if key in have}
    assert len(figures) > 200
    fallen = {
        key: (have.get(key), value)
        for key, value in figures.items()
        if key not in have or have[key][0] / max(1, have[key][1]) < value[0] / value[1]
    }
    assert fallen == {}, [miss for of in measured.values() for score in of.values() for miss in score.misses][:20]
    assert set(have) == set(figures)  # docs/accuracy.md quotes all of them


def test_the_aims_are_met(measured: accuracy.Table) -> None:
    whole = measured["all twelve"]
    for column in ("orders", "ips", "services"):
        assert min(whole[f"{column} precision"].percent, whole[f"{column} recall"].percent) >= 99
    assert whole["time"].percent >= 97
    assert whole["no false time"].percent == 100
    assert whole["language"].percent >= 99
    assert whole["department"].percent >= 97
    assert whole["critical precision"].percent >= 97
    assert whole["critical recall"].percent >= 95


def test_the_foreign_sets(measured: accuracy.Table) -> None:
    if not accuracy.CORPORA.is_dir():
        missing("the corpora")
    for name in ("reply_crisp", "reply_github", "reply_mail_parser_reply", "reply_quotequail"):
        assert measured[name]["new words"].percent >= 90
    assert measured["langid, twelve languages"]["language"].percent >= 99
    assert measured["langid, other languages"]["not confidently wrong"].percent == 100
    assert measured["support_text"]["not confidently wrong"].percent == 100
    assert measured["support_text"]["department"].percent >= 97
    assert (
        measured["mime_mail_parser_rs_legacy"]["subject"].right,
        measured["mime_mail_parser_rs_legacy"]["body"].right,
    ) == (54, 54)
    known = {f"{path.parent.name}" for path in accuracy.CORPORA.glob("reply_*/index.jsonl")}
    assert {name.partition("/")[0] for name in accuracy.wrong_truths()} <= known


def test_a_wrong_reading_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measurement itself: when a reader finds nothing, its figure falls."""
    monkeypatch.setattr("gateway.read.facts.found.orders.orders_in", lambda text: ())
    monkeypatch.setattr("gateway.read.reading.languages_of", lambda text: ("en", ()))
    table = accuracy.labelled()
    assert table["de"]["orders recall"].right == 0
    assert table["de"]["language"].right == 0
