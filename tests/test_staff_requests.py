"""What staff ask for by a mail of one word: what is open, and what becomes of an incident; and who asks in vain."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from gateway.database.store import utc_now
from gateway.mail import tokens
from tests.peers.harness import until
from tests.scene import STAFF, Letter, Mail, Scene

ANNA, OPS = "anna@example.de", "ops@shop.example"
JOE, KIM, BOSS, LEE = "joe@staff.example", "kim@staff.example", "boss@staff.example", "lee@staff.example"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    staff = STAFF | {"financial": [KIM], "technical": [JOE]}
    made = Scene(tmp_path_factory.mktemp("requests"), staff=staff, incidents={"tickets": 2})
    yield made
    made.close()


@pytest.fixture(autouse=True)
def read(scene: Scene) -> None:
    for address in (ANNA, OPS, JOE, KIM, BOSS, LEE):
        scene.letters(address)


def everything(scene: Scene) -> list[tuple[object, ...]]:
    """All that a request could change, in all tickets and incidents."""
    references = sorted({row["ticket"] for row in scene.rows() if row["ticket"]})
    return [(one, scene.ticket(one)["state"], *scene.words(one)) for one in references] + [
        (scene.command("incidents", "list", "--all", "--json"),)
    ]


def test_one_word_lists_what_is_open_for_ones_team(scene: Scene) -> None:
    slow = scene.write(Mail(f"Shop Ops <{OPS}>", "Hello, the disk of tfz1cvkr (#234567) is slow.", "Slow disk"))[
        "ticket"
    ]
    down = scene.write(Mail(f"Anna <{ANNA}>", "Our server r1z7og44 is completely down, nothing answers.", "DOWN"))[
        "ticket"
    ]
    bill = scene.write(Mail(f"Shop Ops <{OPS}>", "Why is invoice 214382 so high? Please explain the VAT.", "Invoice"))[
        "ticket"
    ]
    done = scene.write(Mail("Max <max@stranger.example>", "Do you offer servers in Spain?", "Offer"))["ticket"]
    scene.command("tickets", "close", done)
    for address in (JOE, KIM, BOSS, ANNA, OPS):
        scene.letters(address)
    done = scene.write(Mail(f"Joe Stone <{JOE}>", "List\n\n-- \nJoe\n", "x"))
    assert (done["disposition"], done["reason"], done["ticket"]) == ("recorded", "staff mail: list, 2 open", None)
    letter = scene.letter(JOE)
    assert letter.subject == "Open tickets: 2"
    lines = [line for line in letter.text.split("\n") if line.startswith("- ")]
    assert lines[0].startswith(f"- {down} High, technical, due ") and "DOWN" in lines[0]
    assert lines[1].startswith(f"- {slow} Regular, technical, due ") and bill not in letter.text
    assert letter.message["Auto-Submitted"] == "auto-generated" and letter.reply_to == ""
    scene.write(Mail(f"Kim <{KIM}>", "list"))
    assert f"- {bill} Regular, financial" in scene.letter(KIM).text
    scene.write(Mail(f"Boss <{BOSS}>", "LIST.\n"))
    assert scene.letter(BOSS).subject == "Open tickets: 3", "who hears of broken promises sees all"
    scene.write(Mail(f"Lee <{LEE}>", "list"))
    assert scene.letter(LEE).subject == "Open tickets: 0", "who may answer and is in no team sees none"
    scene.command("tickets", "assign", bill, LEE)
    scene.write(Mail(f"Lee <{LEE}>", "list"))
    assert f"- {bill} Regular, financial" in scene.letters(LEE)[-1].text, "but what is his"
    again = scene.answer(letter, Mail(f"Joe <{JOE}>", f"list\n\n{letter.quoted()}"))
    assert again["reason"] == "staff mail: list, 2 open"


def test_the_same_request_is_answered_once(scene: Scene) -> None:
    raw = Mail(f"Joe <{JOE}>", "list").raw()
    scene.deliver(raw, JOE)
    code, _ = scene.daemon.send(b"Received: from another.example\r\n" + raw, JOE)
    scene.daemon.settled(30)
    assert code == 250 and len(scene.letters(JOE)) == 1
    assert "staff mail: list" in scene.command("explain", "-", stdin=raw.decode())
    for _ in range(22):
        scene.write(Mail(f"Boss <{BOSS}>", "list"))
    assert len(scene.letters(BOSS)) <= 20, "a program that asks again and again"


@pytest.mark.parametrize(
    ("author", "words", "headers", "signed"),
    [
        (f"Joe <{JOE}>", "list", {}, False),
        (f"Joe <{JOE}>", "list", {"Auto-Submitted": "auto-replied", "Subject": "Out of office"}, True),
        (f"Joe <{JOE}>", "I am out of the office.\n\n> list\n", {"X-Auto-Response-Suppress": "All"}, True),
        (f"Joe <{JOE}>", "Please send me the list.", {}, True),
        (f"Joe <{JOE}>", "Have a look:\n\n---------- Forwarded message ---------\nFrom: Eve <eve@stranger.example>\nSubject: x\n\nlist\n", {}, True),
        (f"Shop Ops <{OPS}>", "list", {}, True),
        ("Eve <eve@stranger.example>", "list\n\n> list", {}, True),
    ],
)  # fmt: skip
def test_who_may_not_ask_gets_no_list(
    scene: Scene, author: str, words: str, headers: dict[str, str], signed: bool
) -> None:
    mail_from = None if signed else "eve@stranger.example"
    before = scene.letters(JOE)
    done = scene.write(Mail(author, words, headers=headers, signed=signed, mail_from=mail_from))
    assert not str(done["reason"]).startswith("staff mail")
    got = [*scene.letters(JOE), *scene.letters(OPS), *scene.letters("eve@stranger.example")]
    assert before == [] and not any(letter.subject.startswith("Open tickets") for letter in got)


def test_a_word_for_the_desk_is_no_answer_to_a_customer(scene: Scene) -> None:
    reference = scene.write(Mail(f"Shop Ops <{OPS}>", "The disk of tfz1cvkr makes odd noises.", "Noise"))["ticket"]
    scene.letter(OPS)
    letter = scene.letter(JOE)
    scene.answer(letter, Mail(f"Joe <{JOE}>", f"confirm\n\n{letter.quoted()}"))
    assert '"confirm" is no command' in scene.letter(JOE).text
    scene.answer(letter, Mail(f"Joe <{JOE}>", f"list\n\n{letter.quoted()}"))
    assert reference in scene.letter(JOE).text
    assert scene.letters(OPS) == [] and scene.ticket(reference)["state"] == "open"


@pytest.fixture(scope="module")
def alerts(scene: Scene) -> dict[str, Letter]:
    """The alerts of an incident: two customers whose servers went down at one time."""
    for address in (JOE, BOSS):
        scene.letters(address)
    began = utc_now() - timedelta(minutes=12)
    words = f"is completely down since {began:%H:%M} UTC, nothing answers. It is"
    scene.write(Mail(f"Shop Ops <{OPS}>", f"Our server tfz1cvkr {words} 198.51.100.20.", "Down"))
    scene.write(Mail(f"Anna <{ANNA}>", f"Our server r1z7og44 {words} 203.0.113.7.", "Down too"))
    got: dict[str, list[Letter]] = {JOE: [], BOSS: []}

    def there() -> bool:
        for address, letters in got.items():
            letters += [one for one in scene.letters(address) if one.subject.startswith("Mail gateway, incident")]
        return all(got.values())

    until(there, 60, "the alerts")
    return {address: letters[0] for address, letters in got.items()}


def _state(scene: Scene) -> str:
    return scene.command("incidents", "list", "--all", "--json")


def test_an_incident_is_confirmed_and_closed_by_mail_by_who_may(scene: Scene, alerts: dict[str, Letter]) -> None:
    joes, bosss = alerts[JOE], alerts[BOSS]
    assert 'Reply with one word, "confirm"' in joes.text and joes.reply_to != bosss.reply_to
    before = everything(scene)
    forged = Mail(f"Joe <{JOE}>", "confirm", to=joes.reply_to, signed=False, mail_from="eve@stranger.example")
    vacation = {"Auto-Submitted": "auto-replied", "In-Reply-To": joes.id}
    for mail in (
        forged,
        Mail(f"Boss <{BOSS}>", "confirm", to=joes.reply_to),  # made for somebody else
        Mail(f"Kim <{KIM}>", "confirm", to=joes.reply_to),
        Mail("Eve <eve@stranger.example>", "confirm", to=joes.reply_to),
        Mail(f"Shop Ops <{OPS}>", "thanks\n\n> confirm\n", to=joes.reply_to),
        Mail(f"Joe <{JOE}>", "confirm", f"Re: {joes.subject}", headers={"In-Reply-To": joes.id}),  # to the desk itself
        Mail(f"Joe <{JOE}>", "confirm", "Out of office", joes.reply_to, headers=vacation),
    ):
        scene.write(mail)
        assert everything(scene)[-1] == before[-1], mail
    for words in (
        f"what is it?\n\n> confirm\n\n{joes.quoted()}",
        "please look\n\n-- \nconfirm\n",
        "confirm and close",
        "no",
    ):
        scene.letters(JOE)
        scene.answer(joes, Mail(f"Joe <{JOE}>", words))
        assert "it was not clear what becomes of the incident" in scene.letter(JOE).text
    assert everything(scene)[-1] == before[-1] and '"suspected"' in before[-1][0]
    scene.letters(BOSS)
    done = scene.answer(joes, Mail(f"Joe <{JOE}>", f"Confirm\n\n-- \nJoe\n\n{joes.quoted()}"))
    assert done["reason"].startswith("staff mail: incident ") and done["ticket"] is None
    assert f'"confirmed_by": "{JOE}"' in _state(scene)
    (told,) = scene.letters(BOSS)
    assert f"is confirmed: customers concerned hear since when we know, from now on ({JOE})" in " ".join(
        told.text.split()
    )
    assert "is confirmed" in scene.letter(JOE).text
    scene.answer(bosss, Mail(f"Boss <{BOSS}>", "confirm"))  # two at once
    assert f"{JOE} confirmed it already" in scene.letter(BOSS).text
    scene.answer(told, Mail(f"Boss <{BOSS}>", "close"))
    assert '"closed"' in _state(scene) and "is closed" in scene.letter(JOE).text
    scene.letters(BOSS)
    scene.answer(joes, Mail(f"Joe <{JOE}>", "close"))
    assert "it is not open any more" in scene.letter(JOE).text


def test_a_number_is_a_reference_of_its_own_kind() -> None:
    assert [tokens.number_of(tokens.numbered(number)) for number in (0, 1, 31, 32, 2**30 - 1)] == [
        0,
        1,
        31,
        32,
        2**30 - 1,
    ]
    assert tokens.normal(tokens.numbered(77)) == tokens.numbered(77)
