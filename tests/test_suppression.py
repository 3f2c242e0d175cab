"""An address whose mail came back for good gets nothing automatic for seven days; a person's answer always goes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.database import outbox as outbox_rows
from gateway.database.store import Store
from gateway.model import Person
from gateway.tickets import people
from gateway.tickets.outgoing import Acting
from tests.samples import NOW, died, envelope, incoming, mail
from tests.test_desk import Desk
from tests.test_threads import bounce

DAY = timedelta(days=1)


@pytest.fixture
def at(store: Store) -> Desk:
    return Desk(store)


def wrote(at: Desk, number: int, now: object = NOW) -> str:
    """Why the customer's next mail is not acknowledged, or an empty string."""
    raw = mail(f"My order #123456 is slow, case {number}.", Message_ID=f"<s{number}@example.de>")
    return at.take(incoming(raw, envelope_=envelope(received_at=now)), raw, now=now).decision.silence  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "gone"), [("5.1.1", True), ("5.2.1", True), ("5.2.2", False), ("5.7.1", False), ("4.4.1", False)]
)
def test_a_bounce_that_says_there_is_nobody_silences_for_seven_days(at: Desk, status: str, gone: bool) -> None:
    reference = at.take(incoming()).reference or ""
    (acknowledgement,) = [row for row in at.outbox() if row.kind == "auto"]
    at.take(*bounce(acknowledgement.rfc_id, status), bounced=acknowledgement.id)
    shown = at.show(reference)
    assert "the customer did not get this" in shown["marks"]
    assert any(
        f"received to anna@example.de: queued (bounced: failed {status})" in line or status in line
        for line in shown["trace"]
    )
    assert wrote(at, 1).startswith(f"mail to this address came back: failed {status} on 2026-11-22") == gone
    at.tick(NOW + timedelta(minutes=26))
    assert ("status" in [template for template, _ in at.customers()]) != gone, "nor does the clock write to it"
    at.store.write_now(lambda c: people.answer(c, reference, "Words.", Acting(Person("joe"), at.office, NOW)))
    assert at.customers()[-1] == ("answer", "anna@example.de"), "a person's answer always goes"
    assert wrote(at, 2, NOW + 7 * DAY) == ""


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        ("relay:25 RCPT TO: 550 5.1.1 no such user", True),
        ("relay:25 RCPT TO: 550 5.7.1 relaying denied", False),
        ("relay:25 RCPT TO: 550 not here", False),
        ("relay:25 the content: 554 5.1.1 spam", False),
    ],
)
def test_what_the_relay_refuses_at_once_counts_alike(at: Desk, error: str, gone: bool) -> None:
    at.take(incoming())
    claimed = at.store.write_now(lambda c: outbox_rows.claim(c, NOW, 1, 60))[0]
    at.store.write_now(lambda c: died(c, claimed, error, at.office, NOW))
    assert (wrote(at, 1) != "") == gone
