"""The block list that persons keep: on both databases, in the pipeline of a running service, by command and at the console."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from gateway.database.store import Store
from gateway.database.tables import messages, tickets
from gateway.model import Person, Role
from gateway.tickets import audit, blocks
from gateway.tickets.conversation import Refused
from gateway.tickets.outgoing import Acting
from gateway.tickets.rights import NotAllowed
from tests.peers.console_world import World, rows, settled
from tests.peers.harness import LoopbackPeers, until
from tests.samples import NOW, office

BOSS, JOE = Person("boss", Role.ADMIN), Person("joe", Role.LEAD)
SPAM = "Win <win@spam.example>"


def test_the_list_and_what_it_blocks(store: Store) -> None:
    whose = office(store.keys, store.key_id)

    def add(what: str, by: Person = BOSS) -> str:
        return store.write_now(lambda c: blocks.add(c, what, "  spam\n again ", Acting(by, whose, NOW)))

    assert add(" Win@Spam.example ") == "win@spam.example" and add("bücher.example") == "xn--bcher-kva.example"
    assert add("win@spam.example") == "win@spam.example"
    listed = store.read_now(blocks.senders)
    assert listed == {"win@spam.example", "xn--bcher-kva.example"}
    assert {row.why for row in store.read_now(blocks.listed)} == {"spam again"}
    for author, mail_from, entry in (
        ("WIN@spam.example", None, "win@spam.example"), ("a@mail.bücher.example", "", "xn--bcher-kva.example"),
        ("anna@example.de", "win@spam.example", "win@spam.example"), ("anna@spam.example", "x@bücher.example", ""),
        ("anna@notbücher.example", "", ""), ("", None, ""), ("anna@example.de", '"Win"@spam.example.', "win@spam.example"),
        ("a@bücher.example..", "", "xn--bcher-kva.example"),
    ):  # fmt: skip
        assert blocks.which(listed, author, mail_from) == entry, (author, mail_from)
    same = (
        "bücher.example.",
        "@bücher.example",
        ".bücher.example",
        "*.bücher.example",
        "*@Bücher.example",
        " BÜCHER。example ",
    )
    assert {add(one) for one in same} == {"xn--bcher-kva.example"} and add('"win"@spam.example.') == "win@spam.example"
    for wrong in (
        "a@b@c.example",
        "Win <win@spam.example>",
        "win@spam.example, x",
        "*win@@spam.example",
        '"a b"@spam.example',
        "",
        "spam",
        "a@b",
        "a b.example",
        "support@introserv.com",
        "introserv.com",
        "com",
        "co.uk",
        "@com.br.",
        "github.io",
        "xn--p1ai",
        "a.ck",
        "x" * 400 + ".de",
    ):
        with pytest.raises(Refused):
            add(wrong)
    with pytest.raises(NotAllowed):
        add("other@spam.example", JOE)
    with pytest.raises(NotAllowed):
        store.write_now(lambda c: blocks.remove(c, "win@spam.example", JOE, NOW))
    # what the configuration says does not lift what a person has blocked, and is no second line of the audit
    assert store.write_now(lambda c: blocks.recorded(c, ["win@spam.example", "toml.example"], BOSS, NOW)) == [
        ("block", "toml.example")
    ]
    assert store.write_now(lambda c: blocks.recorded(c, [], BOSS, NOW)) == [("unblock", "toml.example")]
    assert store.write_now(lambda c: blocks.recorded(c, ["TOML.example."], BOSS, NOW)) == [("block", "toml.example")]
    assert store.write_now(lambda c: blocks.recorded(c, [], BOSS, NOW)) == [("unblock", "toml.example")]
    assert store.write_now(lambda c: blocks.remove(c, ' "WIN"@spam.example.', BOSS, NOW))
    assert not store.write_now(lambda c: blocks.remove(c, "win@spam.example", BOSS, NOW))
    lines = store.read_now(lambda c: audit.of(c, "sender", "win@spam.example"))
    assert [line["what"] for line in lines] == ["unblock", "block"]
    assert add("shop.co.uk") == "shop.co.uk" and add("win@co.uk") == "win@co.uk"


def test_two_long_senders_that_begin_alike_are_two_in_the_audit(store: Store) -> None:
    whose = office(store.keys, store.key_id)
    one, two = (f"{'x' * 60}@{'y' * 60}.{name}.example" for name in ("one", "two"))
    for sender in (one, two):
        store.write_now(lambda c, sender=sender: blocks.add(c, sender, "", Acting(BOSS, whose, NOW)))  # type: ignore[misc]
    assert store.write_now(lambda c: blocks.remove(c, one, BOSS, NOW))
    for sender, acts in ((one, ["unblock", "block"]), (two, ["block"])):
        lines = store.read_now(lambda c, sender=sender: audit.of(c, "sender", sender))  # type: ignore[misc]
        assert [line["what"] for line in lines] == acts and all(len(line["object"]) == 100 for line in lines)
    assert len(store.read_now(blocks.blocked)) == 1
    # the configuration's among them: known again, and each lifted by itself
    assert store.write_now(lambda c: blocks.recorded(c, [one], BOSS, NOW)) == [("block", audit.named(one))]
    assert store.write_now(lambda c: blocks.recorded(c, [one], BOSS, NOW)) == []
    assert store.write_now(lambda c: blocks.recorded(c, [], BOSS, NOW)) == [("unblock", audit.named(one))]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    peers = LoopbackPeers()
    made = World(tmp_path_factory.mktemp("blocks"), peers)
    yield made
    made.close()
    peers.close()


def reason_of_last(world: World) -> tuple[str, str]:
    row = rows(world, select(messages.c.state, messages.c.reason).order_by(messages.c.id.desc()).limit(1))[0]
    return row.state, row.reason


def test_one_click_blocks_and_is_taken_back(world: World) -> None:
    admin, lead = world.person("boss", "admin"), world.person("joe", "lead")
    count = 0

    def write(author: str, subject: str, signed: bool = False) -> None:
        nonlocal count
        count += 1
        world.sample(author, subject, f"Hello, how much is {subject} of yours?\n", signed=signed)
        settled(world, count)

    write(SPAM, "a prize")
    reference = rows(world, select(tickets.c.reference))[0].reference
    path = f"/tickets/{reference}"
    assert 'id="block"' in admin.get(path).text and 'id="block"' not in lead.get(path).text
    assert lead.post(f"{path}/act", do="block").status_code == 403
    assert lead.post("/blocked", do="add", sender="a@spam.example").status_code == 403
    assert admin.post(f"{path}/act", do="block").headers["location"] == "/"
    queue = admin.get("/").text
    assert "win@spam.example is blocked" in queue and f'name="ticket" value="{reference}"' in queue
    write(SPAM, "a second prize")  # the very next mail
    assert reason_of_last(world) == ("quarantined", "blocked: win@spam.example is on the block list")
    assert world.daemon.command("blocks", "list", "--json").stdout.count("win@spam.example") == 1
    assert admin.post("/queue/undo", ticket=reference).status_code == 303
    assert "Nobody is blocked." in admin.get("/blocked").text
    write(SPAM, "a third prize")
    assert reason_of_last(world)[0] == "done"
    write(f"{'x' * 60}@{'y' * 60}.spam.example", "a long prize")  # longer than a line of the audit
    long = rows(world, select(tickets.c.reference).order_by(tickets.c.id.desc()).limit(1))[0].reference
    assert admin.post(f"/tickets/{long}/act", do="block").headers["location"] == "/"
    assert "xxx@yyy" in admin.get("/blocked").text and admin.post("/queue/undo", ticket=long).status_code == 303
    assert "Nobody is blocked." in admin.get("/blocked").text

    # of held mail: the forged customer is never blocked, whoever sent it is
    write("Anna Schmidt <anna@example.de>", "Password")
    held = rows(world, select(messages.c.id).order_by(messages.c.id.desc()).limit(1))[0].id
    page = html.unescape(admin.get(f"/held/{held}").text)
    assert "Block eve@evil.example" in page and "account 10023" in page and "Block anna@example.de" not in page
    assert lead.post("/held", do="block", message=str(held)).status_code == 303
    assert "Nobody is blocked." in admin.get("/blocked").text, "a lead blocks nobody"
    assert admin.post("/held", do="block", message=str(held), tab="quarantined").status_code == 303
    shown = admin.get("/blocked").text
    assert "eve@evil.example" in shown and "anna@example.de" not in shown
    assert rows(world, select(messages.c.reason).where(messages.c.id == held))[0].reason == "discarded"

    # a customer only when asked twice; ours never; what is lifted is lifted at once
    asked = admin.post("/blocked", do="add", sender="anna@example.de")
    assert asked.status_code == 409 and "10023" in asked.text
    for domain in ("example.de", "@example.de.", "de"):  # with everybody below it
        asked = admin.post("/blocked", do="add", sender=domain)
        assert asked.status_code == (400 if domain == "de" else 409), domain
    assert "account has addresses at example.de" in html.unescape(
        admin.post("/blocked", do="add", sender="EXAMPLE.de").text
    )
    assert admin.post("/blocked", do="add", sender='"anna"@example.de').status_code == 409
    assert "Nobody is blocked." not in admin.get("/blocked").text
    assert admin.post("/blocked", do="add", sender="support@introserv.com").status_code == 400
    assert admin.post("/blocked", do="add", sender="anna@example.de", sure="1").status_code == 303
    write("Anna Schmidt <anna@example.de>", "more disks", signed=True)
    assert "on the block list" in reason_of_last(world)[1]
    assert admin.post("/blocked", do="remove", sender="anna@example.de").status_code == 303
    write("Anna Schmidt <anna@example.de>", "faster disks", signed=True)
    assert reason_of_last(world)[0] == "done"

    # a reload keeps the list
    world.daemon.reload()
    until(lambda: world.daemon.named("reloaded"), 20, "the reload")
    write("Carla <carla@curious.example>", "a server")  # over eve's envelope
    assert reason_of_last(world) == ("quarantined", "blocked: eve@evil.example is on the block list")

    assert admin.post("/blocked", do="remove", sender="eve@evil.example").status_code == 303

    # by command, beside the running service
    refused = world.daemon.command("blocks", "add", "anna@example.de")
    assert refused.returncode == 2 and "10023" in refused.stderr
    for domain, says in (
        ("example.de", "1 account has addresses at example.de (10023): --customer"),
        ("Shop.example.", "1 account has"),
    ):
        refused = world.daemon.command("blocks", "add", domain)
        assert refused.returncode == 2 and says in refused.stderr, refused.stderr
    assert world.daemon.command("blocks", "add", "shop.example", "--customer").returncode == 0
    assert world.daemon.command("blocks", "remove", "@shop.example.").returncode == 0
    world.daemon.command("blocks", "add", "curious.example", "--why", "floods")
    until(lambda: "floods" in admin.get("/blocked").text, 10, "the list")

    def is_held() -> bool:
        write("Carla <carla@mail.curious.example>", "a flood")
        return "curious.example is on" in reason_of_last(world)[1]

    until(is_held, 20, "the service to know the list")
    world.daemon.command("blocks", "remove", "curious.example")
    kept = [json.loads(line) for line in world.daemon.command("blocks", "list", "--json").stdout.splitlines()]
    assert kept == []
    did = [
        (line["what"], line["who"])
        for line in world.store.read_now(lambda c: audit.of(c, "sender", "win@spam.example"))
    ]
    assert did == [("unblock", "boss"), ("block", "boss")]
