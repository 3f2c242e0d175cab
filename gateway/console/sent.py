"""The outbox: what waits, what was given up, and trying it again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select
from starlette.responses import Response

from gateway.console.door import Visit, back
from gateway.console.queue import said as said_of
from gateway.database import outbox as outboxes
from gateway.database.tables import outbox, tickets
from gateway.mail import tokens
from gateway.model import Told
from gateway.tickets import audit
from gateway.tickets.audit import Act

PAGE = 100
TABS = ("dead", "queued", "sending", "sent")
_SHOWN = (
    "id", "template", "language", "recipient", "kind", "state", "attempts", "next_at", "created_at", "sent_at",
    "dead_at",
    "last_error", "bounced",
)  # fmt: skip


def _rows(connection: Connection, tab: str, staff: bool) -> list[Any]:
    o, t = outbox.c, tickets.c
    chosen = select(*(o[name] for name in _SHOWN), t.reference, t.subject).outerjoin(tickets, t.id == o.ticket_id)
    chosen = chosen.where(o.kind == "staff" if staff else o.kind != "staff")
    if tab == "dead":
        chosen = chosen.where(o.last_error != outboxes.DISCARDED)
    # the sent ones are nearly all: the newest are found by their ids, not by the index of the state
    wanted = func.lower(o.state) == tab if tab == "sent" else o.state == tab
    return list(connection.execute(chosen.where(wanted).order_by(o.id.desc()).limit(PAGE)).all())


async def page(visit: Visit) -> Response:
    """The list of replies, one tab a state."""
    tab = visit.asked("tab") if visit.asked("tab") in TABS else "dead"
    staff = visit.asked("to") == "staff"
    rows = await visit.service.ask(lambda connection: _rows(connection, tab, staff))
    response = visit.page("outbox.html", rows=rows, tab=tab, tabs=TABS, staff=staff, said=said_of(visit))
    response.delete_cookie("said")
    return response


async def act(visit: Visit) -> Response:
    """Tries the chosen rows again, or gives them up."""
    chosen, what, now = tuple(visit.numbers("row")), visit.field("do", 20), visit.service.clock()
    if what not in ("retry", "discard"):
        raise Told("not an action")

    def done(connection: Connection) -> list[int]:
        act = outboxes.retry if what == "retry" else outboxes.drop
        ids = act(connection, outboxes.Choice(ids=chosen), now) if chosen else []
        for key in ids:
            audit.write(connection, Act(what, "outbox", str(key)), visit.person, now)
        return ids

    ids = await visit.service.change(done)
    visit.service.wake()
    tab = visit.field("tab", 20)
    word = "tried again" if what == "retry" else "given up"
    to = tokens.normal(visit.field("ticket", 20))
    page = f"/tickets/{to}" if to else f"/outbox?tab={tab}" if tab in TABS else "/outbox"
    return back(page, f"{len(ids)} of {len(chosen)} mails: {word}.")
