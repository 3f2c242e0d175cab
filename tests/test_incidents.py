"""Several tickets about the same thing: tied together, one alert, and customers hear of it only when a person confirmed it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from gateway.database import tables
from gateway.database.store import Store
from gateway.model import Account, AccountMatch
from gateway.replies.render import Templates, variables
from gateway.replies.samples import samples
from gateway.tickets import incidents
from gateway.tickets.board import Known
from gateway.tickets.settings import Incidents
from tests.samples import NONE, NOW, STRANGER, envelope, incoming, mail
from tests.test_desk import MINUTE, Desk
from tests.test_render import SENDER

RULE = Incidents()


@pytest.fixture
def at(store: Store) -> Desk:
    return Desk(store)


def took(
    at: Desk,
    number: int,
    words: str,
    *,
    known: bool = True,
    who: int | None = None,
    later: int = 0,
    of: int | None = None,
    fields: dict[str, str] | None = None,
) -> str:
    author = f"c{who if who is not None else number}@example.de"
    raw = mail(f"Hello, {words}", author=author, Message_ID=f"<i{number}@example.de>", **(fields or {}))
    given = incoming(raw, envelope_=envelope(mail_from=author, received_at=NOW + later * MINUTE))
    account = Account(str(of or number), "", "de", "active")
    given = replace(given, match=AccountMatch((account,), {account.account: frozenset(("owner",))}, account, ()))
    if not known:
        given = replace(given, verdict=NONE, match=STRANGER)
    return at.take(given, raw, NOW + later * MINUTE).reference or ""


def look(at: Desk, rule: Incidents = RULE, later: int = 1) -> list[str]:
    now = NOW + later * MINUTE
    due = at.store.read_now(lambda c: incidents.due(c, rule, now))
    lines = at.store.write_now(lambda c: incidents.look(c, rule, at.office, now))
    assert due or not lines
    return lines


def listed(at: Desk) -> list[dict[str, Any]]:
    return at.store.read_now(lambda c: incidents.listed(c, False, 10))


def acknowledged(at: Desk, reference: str) -> dict[str, Any]:
    return next(row.context for row in at.outbox() if row.kind == "auto" and row.context["reference"] == reference)


def test_three_customers_of_one_network_and_what_the_fourth_hears(at: Desk) -> None:
    first = [took(at, number, f"my server 203.0.113.{number} is slow.") for number in (7, 8)]
    assert look(at) == []
    first.append(took(at, 9, "my server 203.0.113.9 is slow."))
    assert len(look(at)) == 1
    (found,) = listed(at)
    assert (found["kind"], found["value"], found["state"]) == ("network", "203.0.113.0/24", "suspected")
    assert found["tickets"] == first and found["known_since"] == NOW.isoformat()
    alerts = [row for row in at.outbox() if row.event.startswith("incident.")]
    assert sorted(row.recipient for row in alerts) == ["boss@introserv.com", "l1@introserv.com"]
    assert "gateway incidents confirm 1" in alerts[0].context["lines"][0]["line"]
    assert look(at) == [] and not at.store.read_now(lambda c: incidents.due(c, RULE, NOW + MINUTE)), "once"
    # the next one is tied to it, but nobody has confirmed it: the customer hears nothing of it
    fourth = took(at, 10, "my server 203.0.113.10 is slow.", later=2)
    at.office.board.known = at.store.read_now(incidents.known)
    assert look(at, later=2) == [] and listed(at)[0]["tickets"][-1] == fourth
    assert "incident_since" not in acknowledged(at, fourth)
    assert "incident 1: network 203.0.113.0/24" in at.show(fourth)["marks"]
    at.store.write_now(lambda c: incidents.confirm(c, 1, "lea", None, NOW + 3 * MINUTE))
    at.office.board.known = at.store.read_now(incidents.known)
    fifth = took(at, 11, "my server 203.0.113.11 is slow.", later=4)
    assert acknowledged(at, fifth)["incident_since"] == NOW.isoformat()
    other = took(at, 12, "my server 198.51.100.1 is slow.", later=4)
    stranger = took(at, 13, "my server 203.0.113.13 is slow.", later=4, known=False)
    assert not {"incident_since"} & (set(acknowledged(at, other)) | set(acknowledged(at, stranger)))
    # the 25-minute reply of a ticket that is tied to it
    at.tick(NOW + 26 * MINUTE)
    status = [row.context for row in at.outbox() if row.template == "status" and row.context["reference"] == first[0]]
    assert [context.get("incident_since") for context in status] == [NOW.isoformat()]
    at.store.write_now(lambda c: incidents.close(c, 1, NOW + 30 * MINUTE))
    assert at.store.read_now(incidents.known) == () and listed(at) == []
    with pytest.raises(incidents.NoIncident):
        at.store.write_now(lambda c: incidents.confirm(c, 1, "lea", None, NOW))


def test_outages_that_began_together_are_told_in_the_time_of_staff(at: Desk) -> None:
    at.office = replace(at.office, timezone="Europe/Berlin")
    for number in (21, 22, 23):
        took(at, number, "my server is down, no ping at all, since 18:34 CET.")
    (line,) = look(at)
    assert line.startswith("3 tickets about outages that began about 18:30 (CET) (T-")
    reference = listed(at)[0]["tickets"][0]
    assert "incident 1: outages that began about 18:30 (CET)" in at.show(reference)["marks"]


def test_a_page_shows_the_newest_tickets_of_each_incident(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "SHOWN", 2)
    names = [took(at, number, f"my server 203.0.113.{number} is slow.") for number in range(1, 7)]

    def tied(connection: Connection) -> None:
        row = {"state": "suspected", "kind": "network", "opened_at": NOW, "known_since": NOW, "confirmed_by": ""}
        connection.execute(insert(tables.incidents), [row | {"id": n, "value": f"10.0.{n}.0/24"} for n in (1, 2, 3)])
        ties = [(1, 1), (2, 2), (2, 3), (2, 4), (2, 5), (2, 6)]  # the second has all the newest
        values = [{"incident_id": incident, "ticket_id": ticket, "at": NOW} for incident, ticket in ties]
        connection.execute(insert(tables.incident_tickets), values)

    at.store.write_now(tied)
    found = at.store.read_now(lambda c: incidents.tickets_of(c, [1, 2, 3]))
    shown = {number: [row.reference for row in rows] for number, rows in found.items()}
    assert shown == {1: names[:1], 2: [names[5], names[4]], 3: []}


def test_one_person_or_strangers_make_no_incident(at: Desk) -> None:
    for number in range(4):
        took(at, number, "my server 203.0.113.7 is slow.", who=1)
        took(at, 10 + number, "my server 198.51.100.7 is slow.", known=False)
    assert look(at) == []
    assert look(at, Incidents(tickets=0)) == []
    assert look(at, RULE, later=60) == [], "too long ago"
    assert [line.split(" (")[0] for line in look(at, Incidents(unverified=True))] == [
        "4 tickets about the network 198.51.100.0/24"
    ]


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it", "ru", "uk"])
def test_every_language_says_since_when(language: str) -> None:
    templates = Templates(None)
    for name in ("received", "emergency", "status"):
        base = samples(name)[0] | {"incident_since": None}
        said = templates.text(name, language, variables(SENDER, base | {"incident_since": "2026-11-22T14:05:00+01:00"}))
        assert re.search(r"14:05(?:\xa0Uhr \(MEZ\)| \(CET\))", said) and "14:05" not in templates.text(
            name, language, variables(SENDER, base)
        )
        assert "\n\n\n" not in said


def test_what_matches() -> None:
    from gateway.model import Fact, Facts, Ownership
    from gateway.tickets.board import Board

    board = Board((Known("service", "r1z7og44", NOW), Known("network", "203.0.113.0/24", NOW - MINUTE)))
    own = lambda value: (Fact(value, Ownership.OWN),)  # noqa: E731
    assert board.since(Facts(services=own("r1z7og44"))) == NOW
    assert board.since(Facts(services=own("r1z7og44"), ips=own("203.0.113.9"))) == NOW - MINUTE
    assert board.since(Facts(ips=(Fact("203.0.113.9", Ownership.FOREIGN),))) is None
    assert board.since(Facts(ips=own("203.0.113.0/24"), orders=own("r1z7og44"))) is None


def test_colleagues_are_one_customer_and_an_automatic_answer_is_none(at: Desk) -> None:
    for number in (1, 2, 3, 4):
        took(at, number, f"my server 203.0.113.{number} is slow.", of=77)
    took(at, 5, "my server 203.0.113.5 is slow.")
    took(at, 6, "I am on holiday. My server 203.0.113.6 is slow.", fields={"Auto_Submitted": "auto-replied"})
    assert look(at) == [] and listed(at) == []
    third = took(at, 7, "my server 203.0.113.7 is slow.")
    assert len(look(at)) == 1
    assert len(listed(at)[0]["tickets"]) == 6 and third in listed(at)[0]["tickets"]
