"""Mails that the desk did not get: in quarantine, failed, or only recorded. What, why, and what can be done."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.console import blocked, inside
from gateway.console.door import Visit, back
from gateway.console.mails import as_source, download
from gateway.console.queue import said as said_of
from gateway.database import originals, typed
from gateway.database.tables import Message, Trace, messages, tickets, traces
from gateway.model import Told
from gateway.tickets import audit, held
from gateway.tickets.audit import Act
from gateway.tickets.outgoing import Acting

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
        where = (m.state == "done", m.disposition == "recorded", m.reason != "discarded", m.id > newest - LATELY)
    chosen = select(*(m[name] for name in _SHOWN)).where(*where).order_by(m.id.desc()).limit(PAGE)
    return list(connection.execute(chosen).all())


async def page(visit: Visit) -> Response:
    """The list of mail that waits for a person, one tab a state."""
    tab = visit.asked("tab") if visit.asked("tab") in TABS else "quarantined"
    rows = await visit.service.ask(lambda connection: _rows(connection, tab))
    response = visit.page("held.html", rows=rows, tab=tab, tabs=TABS, said=said_of(visit))
    response.delete_cookie("said")
    return response


async def show(visit: Visit) -> Response:
    """One mail: its words by the killable reader, its headers, and why it was held."""
    row, why, reference, raw = await _looked(visit, "view mail")
    reading, trouble = await inside.read(visit, raw, row.mail_from, row.received_at)
    to_block = await blocked.proposed(visit, row.trust, row.author, row.mail_from)
    claims = await visit.service.compute(lambda: visit.service.whose(row.author) if row.author else [])
    return visit.page(
        "held_one.html", row=row, why=why, reference=reference, reading=reading, trouble=trouble, to_block=to_block,
        claims=claims, said=said_of(visit),
    )  # fmt: skip


async def _looked(visit: Visit, how: str) -> tuple[Any, list[str], str | None, bytes | bytearray]:
    """(inbox row, why, reference of its ticket, octets) of the mail in the address; the look is written down."""
    key, now = int(visit.request.path_params["message"]), visit.service.clock()

    def looked(connection: Connection) -> tuple[Any, list[str], str | None, bytes | bytearray] | None:
        row = typed.first(connection, Message, select(messages).where(messages.c.id == key)) if key < 1 << 62 else None
        if row is None:
            return None
        told = typed.every(connection, Trace, select(traces).where(traces.c.message_id == key))
        reference = connection.execute(select(tickets.c.reference).where(tickets.c.id == row.ticket_id)).scalar()
        audit.write(connection, Act(how, "message", str(key)), visit.person, now)
        return row, [line for one in told for line in one.lines], reference, originals.load(connection, key)

    found = await visit.service.change(looked)
    if found is None:
        raise HTTPException(404)
    return found


async def formatted(visit: Visit) -> Response:
    """The mail's HTML, made safe, for a frame."""
    row, _, _, octets = await _looked(visit, "view html")
    return await inside.mail(visit, octets, row, held=True)


async def source(visit: Visit) -> Response:
    """The source of the mail as text, its beginning."""
    return as_source((await _looked(visit, "view source"))[3])


async def raw(visit: Visit) -> Response:
    """The mail as it came, as a file to download. 404 where its bytes were purged."""
    row, _, _, octets = await _looked(visit, "download mail")
    if not octets:
        raise HTTPException(404)
    return download(bytes(octets), f"message-{row.id}.eml", "message/rfc822")


async def act(visit: Visit) -> Response:
    """Releases, discards, replays, or blocks the senders of the chosen mails, each in a transaction of its own."""
    chosen, what, tab = visit.numbers("message"), visit.field("do", 20), visit.field("tab", 20)
    done = 0
    for key in chosen:
        done += await (_blocked(visit, key) if what == "block" else _acted(visit, key, what))
    visit.service.wake()
    if what == "block":
        await blocked.known(visit.service)
    told = f"{done} of {len(chosen)} mails: {_DONE.get(what, what)}." if chosen else "Choose mails first (x)."
    return back(f"/held?tab={tab}" if tab in TABS else "/held", told)


_DONE = {
    "release": "released", "discard": "discarded", "replay": "run again", "block": "sender blocked, mail discarded",
}  # fmt: skip


async def _acted(visit: Visit, key: int, what: str) -> int:
    def done(connection: Connection) -> int:
        desk, now, by = visit.service.desk(), visit.service.clock(), visit.person
        if what == "release":
            return int(held.release(connection, key, Acting(by, desk.office, now)))
        if what == "discard":
            return int(held.discard(connection, key, by, now))
        if what == "replay":
            return int(held.replay(connection, key, by, now))
        raise Told("not an action")

    return await visit.service.change(done)


async def _blocked(visit: Visit, key: int) -> int:
    """Blocks whoever sent it and discards it; 0 where he is a customer, or forged, or blocked already."""
    m = messages.c
    row = await visit.service.ask(
        lambda c: c.execute(select(m.trust, m.author, m.mail_from).where(m.id == key)).first()
    )
    sender = await blocked.proposed(visit, row.trust, row.author, row.mail_from) if row is not None else ""
    if not sender:
        return 0

    def done(connection: Connection) -> None:
        blocked.block(connection, visit, sender, f"mail {key}")
        held.discard(connection, key, visit.person, visit.service.clock())

    await visit.service.change(done)
    return 1
