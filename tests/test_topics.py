"""What people write in forums, chats and on the phone, by the lexicon and the grammar; and the form of the topics files themselves."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

import gateway
from gateway.config import load
from gateway.model import ABUSE, COMES_AND_GOES, DESTRUCTIVE, Topics
from gateway.read.facts.machines import machines
from gateway.read.reading import Hints, read
from gateway.read.topics import lexicon, misspelt, stems
from gateway.read.topics.rules import Asked, Heard, heard
from gateway.read.topics.scoring import read_topics
from gateway.read.words.language import language_of
from gateway.service import topics_text
from tests.labelled import FOLDER
from tests.measures import alternatives

FILES = sorted((Path(gateway.__file__).parent / "read" / "topics").glob("*.toml"))
#: what is still misread
KNOWN = (
    "könnt ihr den zweiten vserver",
    "Bei mir zu Hause ist das Internet",
    "Thunderbird can't connect to the mail server since",
)
#: of the kinds
KINDS_MISREAD: tuple[str, ...] = (
    "nginx is serving nothing but 503s ",
    'our site displays "Error establish',
    "Wir kriegen keine einzige unserer ",
    "No llegamos a ninguna de nuestras ",
    "обидва vps недступні, терміново",
    "Niemand in het bedrijf kan het int",
    "db-west-2 makinesinde yaşam belirt",
    "Dedicated sunucum 40 dakikadır ölü",
    "Site geceden beri herkese 500 hata",
    "Taşıma sırasında sitem kapalı olur",
    "Z 198.51.100.14 nic nepřichází",
    "Náš pokladní systém u vás nenaběhn",
    "Nedostaneme se na žádný náš stroj",
    "Not a single one of our 40 people ",
    "During Sunday's announced work, wi",
    "Wird web2 bei den angekündigten Ar",
    "Vendí la panadería, el nuevo dueño",
    "Mettete una debian pulita su srv9,",
    "Ни один из наших 40 сотрудников с ",
    "Жоден із наших 40 співробітників в",
    "Żaden z naszych 40 pracowników od ",
    "Ponham um debian limpo no srv9, nã",
    "203.0.113.8: ne web, ne ssh, ne pi",
)


def chats() -> list[list[str]]:
    """Rows of language, department, question, critical, sensitive, subject and text."""
    lines = (FOLDER / "chats.psv").read_text(encoding="utf-8").splitlines()
    return [line.split("|", 6) for line in lines if not line.startswith("#")]


def told(topics: Topics) -> tuple[str, str, str, str]:
    critical, sensitive = ("yes" if topics.critical else "no"), " ".join(sorted(topics.sensitive)) or "-"
    return str(topics.department), str(topics.question), critical, sensitive


def test_what_people_write_is_understood() -> None:
    misread = [
        (row, read_topics(row[5], row[6]).terms)
        for row in chats()
        if told(read_topics(row[5], row[6])) != tuple(row[1:5])
    ]
    assert [row for row in misread if not row[0][6].startswith(KNOWN)] == []
    assert len(chats()) >= 300
    assert len(Counter(row[0] for row in chats())) == 12


def kinds() -> list[tuple[str, tuple[str, ...], str]]:
    """(language, department, question, critical and sensitive as labelled, text)."""
    lines = (FOLDER / "kinds.psv").read_text(encoding="utf-8").splitlines()
    split = [line.split("|", 2) for line in lines if not line.startswith("#")]
    return [(code, tuple(wanted.split(" ")), text) for code, wanted, text in split]


def test_every_language_has_the_kinds_of_the_others() -> None:
    misread, texts = [], kinds()
    for code, wanted, text in texts:
        have = told(read_topics("", text))
        if not all(
            right in ("*", found) or (right == "-" and at < 2)
            for at, (right, found) in enumerate(zip(wanted, have, strict=True))
        ):
            misread.append((code, text, have))
    assert [one for one in misread if not one[1].startswith(KINDS_MISREAD)] == []
    assert len(texts) > 400


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_topics_file_can_be_reviewed(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120] == []
    assert [
        line for line in lines if line.startswith("    ") and not re.fullmatch(r'    ".+",', line)
    ] == []  # one entry a line
    heads = [at for at, line in enumerate(lines) if re.match(r"\[|\w+ = \[", line) and not line.startswith('"')]
    untold = [lines[at] for at in heads if not lines[at - 1].startswith(("#", "[")) and lines[at] != "[class]"]
    assert untold == []  # each section and class has a sentence of what it is


def test_every_class_that_a_rule_names_is_in_a_language() -> None:
    grammar = tomllib.loads((FILES[0].parent / "grammar.toml").read_text(encoding="utf-8"))
    named = set(re.findall(r"\{(\w+)\}", str({name: told for name, told in grammar.items() if name != "class"})))
    classes = set(grammar["class"])
    for path in FILES:
        classes |= set(tomllib.loads(path.read_text(encoding="utf-8")).get("class", {}))
    assert named - classes == set()


def test_an_explanation_names_the_rule_and_its_words() -> None:
    terms = read_topics("Question", "web13 does not respond, since an hour.").terms
    assert any(line.startswith("critical: respond [{works} & <4:{not}] 1") and "web13" in line for line in terms), terms
    terms = read_topics("Question", "Our server was not reachable last Tuesday, why?").terms
    assert any(line.startswith("no outage: reachable") and "past" in line for line in terms), terms


@pytest.mark.parametrize(
    ("entry", "text", "stands"),
    [
        ("{end} & >1:{box}", "End my server", True),
        ("{end} & >1:{box}", "End all of my server", False),
        ("{end} & >2:{box} ~ card", "End the big server", True),
        ("{end} & >2:{box} ~ card", "End the card server", False),
        ("{end} & {box} & !card", "End my server", True),
        ("{end} & {box} & !card", "End my server and card", False),
        ("{end} & {box} & !<card", "End my server and card", True),
        ("{end} & {box} & !<card", "The card, end it, or the server", False),
        ("{end} & >1:¤", "End our r1z7og44", True),
        ("{end} & >1:¤", "End what is called r1z7og44", False),
    ],
)  # fmt: skip
def test_what_an_entry_of_classes_finds(entry: str, text: str, stands: bool) -> None:
    own = f'[class.en]\nend = ["end=", "stop="]\nbox = ["server", "node="]\n[general.en]\n1 = ["{entry}"]\n'
    assert bool(stems.score(text, stems.table(own), ["r1z7og44"]).weight) is stands


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[general.en]\n1 = ["{nothing}"]', "no class nothing"),
        ('[class.en]\nend = [""]\n[general.en]\n1 = ["x"]', "list of words"),
        ('[nonsense.en]\n1 = ["x"]', "no such topic"),
        ('[general.en]\nmuch = ["x"]', "no weight"),
        ("#@ en\n[general]\n1 = [7]", "no stem"),
        ("#@ en\n[general", "en.toml: no TOML"),
    ],
)
def test_a_topics_file_that_cannot_be_used_says_why(text: str, why: str) -> None:
    with pytest.raises(lexicon.TopicsError, match=re.escape(why)):
        stems.table(text)


def by_rules(text: str) -> Heard:
    """What the rules find, whatever was learned."""
    return heard(Asked("", text, names_a_fact=False, language=language_of(text)))


def test_a_file_of_ones_own_stands_in_for_the_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "en.toml").write_text('[class]\nfailed = ["sings"]\nserver = ["kettle"]\n')
    (tmp_path / "c.toml").write_text(
        f'[gateway]\naddress = "a@b.example"\nstate_dir = "{tmp_path}"\n[extract]\ntopics = "{tmp_path / "own"}"\n'
    )
    own = topics_text(load(tmp_path / "c.toml"))
    assert read_topics("", "The kettle sings.", own).critical  # their own words are believed, whatever was learned
    assert read_topics("", "The server does not respond at all, please help us now.", own).critical
    (tmp_path / "own" / "learned.tsv").write_text("")  # nothing was learned: the rules decide alone
    own = topics_text(load(tmp_path / "c.toml"))
    assert read_topics("", "The kettle sings.", own).critical
    assert not read_topics("", "The server does not respond at all, please help us now.", own).critical
    assert read_topics("", "Unser Server antwortet leider nicht mehr, bitte helfen Sie uns.", own).critical


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web13 and srv-01 and osm33", ["web13", "srv-01", "osm33"]),
        ("php8 on ubuntu22 with http2, utf-8, 2026 and anna1@b.example", []),
    ],
)
def test_machine_names(text: str, found: list[str]) -> None:
    assert machines(text) == found


@pytest.mark.parametrize(
    ("word", "key", "is_one"),
    [
        ("unreachble", "unreachable", True), ("injoingable", "injoignable", True), ("ereichbar", "erreichbar", True),
        ("unreachabble", "unreachable", True), ("unreachible", "unreachable", True), ("продали", "пропали", False),
        ("pagada", "apagada", False), ("fonctionné", "fonctionne", False), ("reachable", "reachable", False),
    ],
)  # fmt: skip
def test_one_typing_error(word: str, key: str, is_one: bool) -> None:
    assert misspelt.one_error(word, key) is is_one


def test_what_staff_see_besides() -> None:
    assert read_topics("", "Please delete my server.").flags == (DESTRUCTIVE,)
    assert read_topics("", "The connection to my server drops every few minutes.").flags == (COMES_AND_GOES,)
    assert read_topics("", "Your IP 198.51.100.9 is scanning our servers.").flags == (ABUSE,)


def test_a_short_mail_in_one_language_above_a_log_in_another() -> None:
    log = "\n".join(
        f"Nov 22 13:0{n}:11 web nginx[22{n}]: upstream timed out while reading the response" for n in range(9)
    )
    raw = f"From: a@b.example\r\nSubject: Frage\r\n\r\nUnser Server ist seit heute Mittag sehr langsam, was ist los?\r\n\r\n{log}\r\n"
    assert (
        read(raw.encode(), Hints("a@b.example", datetime(2026, 11, 22, 16, tzinfo=UTC), "Europe/Berlin")).language
        == "de"
    )


BOUNCE = """This is the mail system at host mx.shop.example.

I'm sorry to have to inform you that your message could not be delivered to one or more recipients. It's attached below.
For further assistance, please send mail to postmaster. If you do so, please include this problem report.
"""


@pytest.mark.parametrize(
    ("language", "own"),
    [
        ("de", "Hallo, was bedeutet das bitte? Ich bekomme das immer zurück."),
        ("fr", "Bonjour, je reçois ce message depuis hier, que faut-il faire ?"),
        ("es", "Hola, desde ayer me llega esto, ¿qué puedo hacer?"),
        ("it", "Buongiorno, da ieri ricevo questo messaggio, cosa devo fare?"),
        ("ru", "Здравствуйте, вот что приходит в ответ, что делать?"),
        ("en", "Hello, this is what I get back, what shall I do?"),
    ],
)
def test_above_a_bounce_it_is_the_language_of_the_author(language: str, own: str) -> None:
    assert language_of(f"{own}\n\n{BOUNCE}") == language


def test_the_text_of_files_is_told_by_their_names() -> None:
    text = lexicon.joined({"en.toml": '[general]\n1 = ["only this"]', "de.toml": '[general]\n1 = ["nur das"]'})
    assert stems.score("only this, nur das", stems.table(text, topics=("general",))).weight == {"general": 2.0}


@pytest.mark.parametrize(
    ("text", "critical"),
    [
        ("Unser Lagersystem ist tot.", True),
        ("Unser Dateisystem ist tot.", False),
        ("Unser Lagerregal ist tot.", False),
        ("Ons voorraadsysteem is dood.", True),
    ],
)
def test_a_compound_is_what_it_ends_with(text: str, critical: bool) -> None:
    assert bool(by_rules(text).signs) is critical


def test_a_console_that_was_pasted_says_that_a_machine_is_down() -> None:
    panic = "[    2.114408] Kernel panic - not syncing: VFS: Unable to mount root fs"
    assert read_topics("web13", f"The console of web13 shows:\n{panic}\nWhat now?").critical
    assert not read_topics("web13", f"The console of web13 shows:\n{panic[:30]}\nWhat now?").critical


def test_an_error_that_a_program_shows_is_not_denied_by_a_not_before_it() -> None:
    assert by_rules("The page shop.example was not found NXDOMAIN").signs
    assert not by_rules("The server shop.example isn't unreachable").signs


def test_the_alternatives_are_counted_and_what_the_rest_finds_is_named() -> None:
    files = {
        "grammar.toml": '[outage]\n"1" = ["{down} & <0:{box}"]\n',
        "en.toml": '[class]\ndown = ["dead=", "dead now"]\nbox = ["server", "servers"]\n[general]\n"1" = ["price", "price list", "cheap"]\n'
        '[outage]\n"1" = ["dead & server"]\n',
    }
    assert alternatives.counted(files) == {"grammar": (0, 2), "en": (4, 5)}
    assert list(alternatives.begun(files)) == [("en", "box", "servers", "server")]
    gone = {(entry.topic, word) for entry, word in alternatives.found_anyway(files)}
    assert gone == {("general", "price list")}
