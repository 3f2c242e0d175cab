"""What a person looks at in the console that is not a ticket's plain words: held mails, attached mails and texts; and what
is asked before an answer goes out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway import demo
from gateway.console import pages, promised
from gateway.database.statements import put
from gateway.database.tables import audit, incident_tickets, incidents, messages, outbox, tickets
from tests.peers.console_world import PASSWORD, Person, World, everyone, rows, settled
from tests.peers.harness import LoopbackPeers, write_accounts
from tests.test_console import EVIL, HTML

INNER = (
    f"From: {EVIL}\r\nTo: support@introserv.com\r\nSubject: Disdetta {EVIL}\r\nDate: Fri, 27 Nov 2026 10:00:00 +0100\r\n"
    f"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{HTML.replace('Hello', 'Disdiciamo il contratto')}\r\n"
)
LOG = f"/dev/vda1 92% {EVIL}\n"
GONE = ("<script", "onload", "onclick", "javascript:", "<iframe", "<form", "<svg", "<base", "http://", "https://", "refresh", "onerror=")  # fmt: skip


def with_files() -> bytes:
    """A mail with a mail, a log and a page attached, each an attack on whoever looks at it."""
    return (
        f"From: Bellini <studio@nowhere.example>\r\nTo: support@introserv.com\r\nSubject: posta certificata\r\nMessage-ID: <pec@nowhere.example>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_b"\r\n\r\n--=_b\r\nContent-Type: text/plain\r\n\r\nIn allegato.\r\n'
        f'--=_b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename="postacert.eml"\r\n\r\n{INNER}\r\n'
        f'--=_b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="df.log"\r\n\r\n{LOG}\r\n'
        f'--=_b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename="page.html"\r\n\r\n{HTML}\r\n--=_b--\r\n'
    ).encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    peers, folder = LoopbackPeers(), tmp_path_factory.mktemp("looks")
    files = dict(demo.ACCOUNTS)
    files["orders.csv"] += "123457,10023,p4idup00,suspended_payment,\n"
    write_accounts(folder, files)
    made = World(folder, peers)
    made.sample(
        "Anna Schmidt <anna@example.de>",
        "Server down!",
        "Hallo, mein Server r1z7og44 ist nicht erreichbar. #123457 auch.\n",
    )
    made.sample(f'"{EVIL[2:]}" <anna@example.de>', f"held {EVIL}", "", signed=False, html=HTML, headers={"Reply-To": f'"{EVIL}" <eve@evil.example>'})  # fmt: skip
    made.sample(
        "Anna Schmidt <anna@example.de>", "Abwesend", "Ich bin im Urlaub.\n", headers={"Auto-Submitted": "auto-replied"}
    )
    made.daemon.send(with_files(), "studio@nowhere.example", helo="mx.nowhere.example")
    settled(made, 4)
    yield made
    made.close()
    peers.close()


@pytest.fixture(scope="module")
def people(world: World) -> dict[str, Person]:
    return everyone(world)


def path_of(world: World, subject: str) -> str:
    found = rows(world, select(tickets.c.reference).where(tickets.c.subject.startswith(subject)))
    return f"/tickets/{found[0].reference}"


def sealed(answer: Any, words: str) -> None:
    """It is a frame's page that shows the words and can do nothing."""
    assert answer.status_code == 200 and words in answer.text
    for gone in GONE:
        assert gone not in answer.text.replace("onerror=alert(2)&gt;", ""), gone
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy and "script-src" not in policy and "default-src 'none'" in policy
    assert answer.headers["x-frame-options"] == "SAMEORIGIN" and "frame-ancestors 'self'" in policy


def test_a_held_mail_is_looked_at_as_a_ticket_s_and_does_nothing(world: World, people: dict[str, Person]) -> None:
    key = rows(world, select(messages.c.id).where(messages.c.state == "quarantined"))[0].id
    for state in ("quarantined", "failed"):
        world.store.write_now(
            lambda c, state=state: c.execute(update(messages).where(messages.c.id == key).values(state=state))
        )  # type: ignore[misc]
        for person in people.values():
            shown = person.get(f"/held/{key}").text
            assert f'data-frame="/held/{key}/page"' in shown and ("/raw" in shown) is (
                person.name[:-2] in ("lead", "admin")
            )
            sealed(person.get(f"/held/{key}/page"), "Hello")
            assert ".leads{all:initial" in person.get(f"/held/{key}/page").text  # where each link leads
            for page in (f"/held?tab={state}", f"/held/{key}"):
                text = person.get(page).text
                assert "<script>alert" not in text and "<img src=x" not in text, page
            assert ("/source" in shown) is ("/raw" in shown)  # the same octets, one right
            source = person.get(f"/held/{key}/source")
            assert source.status_code == person.get(f"/held/{key}/raw").status_code == (200 if "/raw" in shown else 403)
            if "/raw" not in shown:
                assert "alert(6)" not in source.text
                continue
            assert source.headers["content-type"].startswith("text/plain") and "sandbox" in source.headers["content-security-policy"]  # fmt: skip
            assert "<script>alert(6)" in source.text
    world.store.write_now(lambda c: c.execute(update(messages).where(messages.c.id == key).values(state="quarantined")))
    assert "eve@evil.example" in people["agent"].get(f"/held/{key}").text  # where an answer would go
    for path in ("/held/9999/page", "/held/9999/source", f"/held/{10**25}/page"):
        assert people["admin"].get(path).status_code == 404, path
    assert world.client().get(f"/held/{key}/page").status_code == 303
    looked = rows(world, select(audit.c.what).where(audit.c.who == "auditor-1", audit.c.object == str(key)))
    assert {"view mail", "view html"} == {row.what for row in looked}


def test_attached_mails_and_texts_are_shown_and_do_nothing(world: World, people: dict[str, Person]) -> None:
    agent, path = people["agent"], path_of(world, "posta certificata")
    shown = agent.get(path).text
    files = dict(re.findall(r'files/([0-9a-f]{64})\?download=1">([\w.]+)<', shown))
    named = {name: sha256 for sha256, name in files.items()}
    assert set(named) == {"postacert.eml", "df.log", "page.html"}
    assert re.findall(r'data-frame="([^"]+/files/[^"]+)"', shown) == [f"{path}/files/{named[name]}/page" for name in ("postacert.eml", "df.log")]  # fmt: skip
    mail = agent.get(f"{path}/files/{named['postacert.eml']}/page")
    sealed(mail, "Disdiciamo il contratto")
    assert "Date: Fri, 27 Nov 2026" in mail.text and "&lt;script&gt;alert(1)" in mail.text
    log = agent.get(f"{path}/files/{named['df.log']}/page")
    assert log.status_code == 200 and "92%" in log.text and "<script>" not in log.text and "sandbox" in log.headers["content-security-policy"]  # fmt: skip
    assert agent.get(f"{path}/files/{named['page.html']}/page").status_code == 404
    assert agent.get(f"{path_of(world, 'Server down')}/files/{named['df.log']}/page").status_code == 404
    assert world.client().get(f"{path}/files/{named['df.log']}/page").status_code == 303
    assert [row for row in rows(world, select(audit).where(audit.c.what == "view attachment", audit.c.who == "agent-1")) if row.detail["sha256"] == named["df.log"]]  # fmt: skip


def test_the_newest_pages_take_no_field_for_markup(world: World, people: dict[str, Person]) -> None:
    """Incidents, blocked senders, and what was just done and can be undone."""
    admin, now = people["admin"], datetime.now(UTC)

    def begun(connection: Any) -> None:
        values = {
            "kind": EVIL,
            "value": EVIL,
            "known_since": now,
            "opened_at": now,
            "confirmed_by": EVIL,
            "state": "confirmed",
        }
        number = int(put(connection, incidents, values))
        key = connection.execute(select(tickets.c.id).where(tickets.c.subject == "posta certificata")).scalar_one()
        connection.execute(update(tickets).where(tickets.c.id == key).values(subject=EVIL, author_name=EVIL, marks=[f"incident {number}: {EVIL}", EVIL], owner=EVIL))  # fmt: skip
        put(connection, incident_tickets, {"incident_id": number, "ticket_id": key, "at": now})

    world.store.write_now(begun)
    path = path_of(world, EVIL)
    assert admin.post("/blocked", do="add", sender="eve@blocked.example", why=EVIL).status_code == 303
    told = admin.post("/blocked", do="remove", sender=EVIL)
    admin.client.cookies.set("said", told.cookies.get("said") or EVIL)
    closed = admin.post(f"{path}/act", do="close")
    assert closed.status_code == 303
    for page in ("/incidents", "/blocked", "/", "/?state=closed", "/?state=all&incident=1", path, f"{path}/talk", f"{path}/beside",
                 f"/blocked?sender={EVIL}", f"/incidents?tab={EVIL}", "/audit", "/account"):  # fmt: skip
        text = admin.get(page).text
        assert "<script>alert" not in text and "<img src=x" not in text, page
        assert re.findall(r"<script[^>]*>", text) == re.findall(r'<script src="/static/[^"]+" defer>', text), page
    assert admin.post("/queue/undo", ticket=path.rpartition("/")[2]).status_code == 303
    assert admin.post("/queue/undo", ticket=EVIL).status_code in (404, 409)
    for person in people.values():  # by another site, nobody's role helps
        for target, fields in (("/blocked", {"do": "add", "sender": "a@b.example"}), ("/incidents", {"do": "close", "incident": "1"}),
                               ("/queue/undo", {"ticket": path}), ("/held", {"do": "release", "message": "2"}), ("/account", {"do": "renew"})):  # fmt: skip
            for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
                assert (
                    person.client.post(target, data={"csrf": person.csrf, **fields}, headers=headers).status_code == 403
                )
            assert person.client.post(target, data={"csrf": "x", **fields}).status_code == 403
    assert "a@b.example" not in admin.get("/blocked").text


def test_a_file_that_is_spoken_of_and_forgotten_is_asked_about(world: World, people: dict[str, Person]) -> None:
    agent, path = people["agent"], path_of(world, "Server down")
    words = "Anbei die Rechnung zu [service]."

    def sent() -> int:
        return len(rows(world, select(outbox.c.id).where(outbox.c.template == "answer")))

    before, file = sent(), {"file": ("r.pdf", b"%PDF", "application/pdf")}
    asked = agent.post(f"{path}/answer", text=words, do="send")
    assert (
        asked.status_code == 409
        and "“Anbei”, but no file is attached" in asked.text
        and 'value="[service]"' in asked.text
    )
    assert agent.post(f"{path}/answer", text=words, do="send", gaps="[service]").status_code == 409
    assert agent.post(f"{path}/answer", text=words, do="send", fileless="1").status_code == 409 and sent() == before
    assert agent.post(f"{path}/answer", text=words, do="send", gaps="[service]", fileless="1").status_code == 303
    assert sent() == before + 1 and agent.post(f"{path}/undo").status_code == 303
    assert agent.post(f"{path}/answer", text="Alles gut.", do="send", gaps="[service]").status_code == 303  # filled in
    assert agent.post(f"{path}/undo").status_code == 303
    seen = re.search(r'name="seen" value="(\d+)"', agent.get(path).text)[1]  # type: ignore[index]
    filed = {"csrf": agent.csrf, "text": "Anbei die Rechnung.", "do": "send", "seen": seen}
    assert agent.client.post(f"{path}/answer", data=filed, files=file).status_code == 303 and sent() == before + 1
    assert agent.post(f"{path}/answer", **filed).status_code == 303 and sent() == before + 1  # a second click
    for said in ("Please see the attached invoice.", "Le adjuntamos la factura", "Vous trouverez ci-joint la facture", "In allegato la fattura",
                 "Счёт во вложении", "Рахунок у вкладенні", "Im Anhang finden Sie", "Wir haben die Rechnung angehängt"):  # fmt: skip
        assert promised.file_in(f"Hello,\n\n{said}\n"), said
    for said in ("Please attach a screenshot.", "Bitte hängen Sie die Logs an.", "> see the attached file\nWhich file?", "The disk is attached to this server.",
                 "por favor adjunte una captura", "Пришлите скриншот", "Надішліть, будь ласка, журнал"):  # fmt: skip
        assert not promised.file_in(said), said


def test_a_ticket_says_what_runs_and_who_writes(world: World, people: dict[str, Person]) -> None:
    shown = people["agent"].get(path_of(world, "Server down")).text
    assert "suspended, unpaid" in shown and shown.count("A machine wrote this") == 0
    assert "A machine wrote this" in people["agent"].get(path_of(world, "Abwesend")).text
    assert "automatic" in people["agent"].get(path_of(world, "Abwesend")).text
    assert pages.word("staff_new") == "new, or more" and pages.word("made_up") == "made up"


def test_a_user_begins_anew_by_his_own_proof(world: World) -> None:
    me = world.person("renewed", "auditor")
    assert me.post("/account", do="renew", password="wrong words here", code=me.code(1)).status_code == 401
    digits = me.code(1)
    again = me.post("/account", do="renew", password=PASSWORD, code=digits)
    assert again.status_code == 303 and again.headers["location"].startswith("/welcome/")
    twice = me.post("/account", do="renew", password=PASSWORD, code=digits)
    assert twice.status_code == 401, "the digits count once"
    stolen, old = me.client, me.secret
    me.client = world.client()
    me.enrol(again.headers["location"].rpartition("/")[2])
    assert me.secret != old and stolen.get("/").status_code == 303  # every session of before is over
    assert world.client().get(again.headers["location"]).status_code == 404
    assert [row.what for row in rows(world, select(audit.c.what).where(audit.c.object == "renewed"))].count(
        "user renew"
    ) == 1
    guessed = world.person("guessed", "agent")
    answers = [
        guessed.post("/account", do="renew", password="a wrong one", code="000000").status_code for _ in range(7)
    ]
    assert answers == [401] * 5 + [429] * 2
