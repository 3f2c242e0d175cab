"""The block list: who is on it, blocking one more, and lifting a block."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from gateway.console.door import Visit, back
from gateway.console.lent import Service
from gateway.console.queue import said as said_of
from gateway.mail.address import one_spelling
from gateway.model import Told, Trust
from gateway.tickets import blocks
from gateway.tickets.conversation import Refused
from gateway.tickets.outgoing import Acting


async def page(visit: Visit) -> Response:
    """The list, and what the configuration blocks beside it."""
    return await _page(visit)


async def _page(visit: Visit, status: int = 200, **more: Any) -> Response:
    rows = await visit.service.ask(blocks.listed)
    block = visit.service.desk().settings.block
    values = {
        "rows": rows,
        "fixed": [*block.addresses, *block.domains],
        "said": said_of(visit),
        "asked": "",
        "number": 0,
        "whose": [],
    }
    response = visit.page("blocked.html", status, **{**values, **more})
    response.delete_cookie("said")
    return response


async def act(visit: Visit) -> Response:
    """Blocks, or lifts a block; what would keep customers from the desk only when asked twice."""
    what, sender = visit.field("do", 20), visit.field("sender", 330).strip()
    if what == "remove":
        await visit.service.change(lambda c: blocks.remove(c, sender, visit.person, visit.service.clock()))
        await known(visit.service)
        return back("/blocked", f"{sender} is not blocked any more.")
    try:
        normal = blocks.normal(sender)
        number, whose = await visit.service.compute(lambda: visit.service.customers(normal))
        if number and not visit.field("sure"):
            return await _page(visit, 409, asked=normal, number=number, whose=whose)
        done = await visit.service.change(lambda c: block(c, visit, sender, visit.field("why")))
    except Refused as refused:
        return await _page(visit, 400, said=f"Not blocked: {refused}.")
    await known(visit.service)
    return back("/blocked", f"{done} is blocked.")


def block(connection: Connection, visit: Visit, sender: str, why: str) -> str:
    """Puts a sender on the list."""
    desk, now = visit.service.desk(), visit.service.clock()
    return blocks.add(connection, sender, why, Acting(visit.person, desk.office, now))


async def known(service: Service) -> None:
    """From the very next mail on."""
    service.desk().office.board.blocked = await service.ask(blocks.senders)


async def proposed(visit: Visit, trust: str | None, author: str | None, mail_from: str | None) -> str:
    """Whom a click may block on account of one mail: its author, of a forged one the address that sent it; nobody who
    is a customer's or ours, and nobody twice. An empty string: nobody."""
    forged = trust == Trust.FAILED
    sender = one_spelling((mail_from if forged else author) or "")
    if not visit.may("block") or not sender or (forged and sender == one_spelling(author or "")):
        return ""
    office = visit.service.desk().office
    if office.rules.owns(sender) or office.answers(sender) or sender in office.board.blocked:
        return ""
    return "" if await visit.service.compute(lambda: visit.service.whose(sender)) else sender


async def required(visit: Visit, trust: str | None, author: str | None, mail_from: str | None) -> str:
    """The same, or why not.

    Raises:
        Told: nobody may be blocked on account of this mail.
    """
    sender = await proposed(visit, trust, author, mail_from)
    if not sender:
        raise Told(
            "nobody is blocked for this mail: its sender is a customer's address, ours, forged, or blocked already"
        )
    return sender
