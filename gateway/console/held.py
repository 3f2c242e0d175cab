"""Mails that the desk did not get: in quarantine, failed, or only recorded. What, why, and what can be done."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.console.door import Visit, back
from gateway.console.mails import download
from gateway.console.queue import said as said_of
from gateway.database import inbox, originals, typed
from gateway.database.tables import Message, Trace, messages, tickets, traces
from gateway.model import Told
from gateway.tickets import audit, people
from gateway.tickets.audit import Act

PAGE = 100
LATELY = 20_000  #: mails among which those that were only recorded are looked for
TABS = ("quarantined", "failed", "recorded")
_SHOWN = (
    "id",
    "received_at",
    "state",
    "disposition",
    "reason",
    "author",
    "subject",
    "mail_from",
    "trust",
    "mail_class",
    "size",
    "attempts",
)


def _rows(connection: Connection, tab: str) -> list[Any]:
    m = messages.c
    where: tuple[Any, ...] = (m.state == tab,)
    if tab == "recorded":  # of the newest mails
        newest = select(func.max(m.id)).scalar_subquery()
        where = (m.state == "done", m.disposition == "recorded", m.id > newest - LATELY)
    chosen = select(*(m[name] for name in _SHOWN)).where(*where).order_by(m.id.desc()).limit(PAGE)
    return list(connection.execute(chosen).all())


async def page(visit: Visit) -> Response:
    """The list."""
    tab = visit.asked("tab") if visit.asked("tab") in TABS else "quarantined"
    rows = await visit.service.ask(lambda connection: _rows(connection, tab))
    response = visit.page("held.html", rows=rows, tab=tab, tabs=TABS, said=said_of(visit))
    response.delete_cookie("said")
    return response


async def show(visit: Visit) -> Response:
    """One mail: its words by the killable reader, its headers, and why it was held."""
    key, now = int(visit.request.path_params["message"]), visit.service.clock()

    def looked(connection: Connection) -> tuple[Any, list[str], str | None, bytes | bytearray] | None:
        row = typed.first(connection, Message, select(messages).where(messages.c.id == key)) if key < 1 << 62 else None
        if row is None:
            return None
        why = [
            line
            for one in typed.every(connection, Trace, select(traces).where(traces.c.message_id == key))
            for line in one.lines
        ]
        reference = connection.execute(select(tickets.c.reference).where(tickets.c.id == row.ticket_id)).scalar()
        audit.write(connection, Act("view mail", "message", str(key)), visit.person, now)
        return row, why, reference, originals.load(connection, key)

    found = await visit.service.change(looked)
    if found is None:
        raise HTTPException(404)
    row, why, reference, raw = found
    reading, trouble = None, ""
    try:
        reading = await visit.service.read(raw, row.mail_from, row.received_at)
    except Exception as error:  # over which the reader died before, perhaps: the page says so
        trouble = f"This mail cannot be read: {type(error).__name__}. Its source can be downloaded."
    return visit.page("held_one.html", row=row, why=why, reference=reference, reading=reading, trouble=trouble)


async def raw(visit: Visit) -> Response:
    """The mail, byte for byte."""
    key, now = int(visit.request.path_params["message"]), visit.service.clock()

    def looked(connection: Connection) -> bytes | bytearray:
        if key >= 1 << 62 or connection.execute(select(messages.c.id).where(messages.c.id == key)).first() is None:
            return b""
        audit.write(connection, Act("download mail", "message", str(key)), visit.person, now)
        return originals.load(connection, key)

    octets = await visit.service.change(looked)
    if not octets:
        raise HTTPException(404)
    return download(bytes(octets), f"message-{key}.eml", "message/rfc822")


async def act(visit: Visit) -> Response:
    """Releases, discards or replays the chosen mails, each in a transaction of its own."""
    chosen, what, tab = visit.numbers("message"), visit.field("do", 20), visit.field("tab", 20)
    done = 0
    for key in chosen:
        done += await visit.service.change(lambda connection, one=key: _one(connection, one, what, visit))  # type: ignore[misc]
    visit.service.wake()
    told = f"{done} of {len(chosen)} mails: {_DONE.get(what, what)}." if chosen else "Choose mails first (x)."
    return back(f"/held?tab={tab}" if tab in TABS else "/held", told)


_DONE = {"release": "released", "discard": "discarded", "replay": "run again"}


def _one(connection: Connection, key: int, what: str, visit: Visit) -> int:
    desk, now = visit.service.desk(), visit.service.clock()
    if what == "release":
        return int(people.release(connection, key, visit.person, desk.office, now))
    if what == "discard":
        done = inbox.discard(connection, key, now)
    elif what == "replay":
        done = bool(inbox.replay(connection, now, (key,)))
    else:
        raise Told("not an action")
    if done:
        audit.write(connection, Act(what, "message", str(key)), visit.person, now)
    return int(done)
