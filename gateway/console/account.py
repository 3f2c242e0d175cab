"""The user's own sessions."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from gateway.console.door import Visit
from gateway.database import users


async def page(visit: Visit) -> Response:
    """Where the user is logged in."""
    rows = await visit.service.ask(lambda connection: users.sessions_of(connection, visit.who.id))
    return visit.page("account.html", rows=rows)


async def act(visit: Visit) -> Response:
    """Ends the user's other sessions, or all of them."""
    if visit.field("do") == "others":
        await visit.service.change(lambda connection: users.end_others(connection, visit.who.id, visit.who.digest))
        return RedirectResponse("/account", 303)
    await visit.service.change(lambda connection: users.end_all(connection, visit.who.id))
    return RedirectResponse("/login", 303)
