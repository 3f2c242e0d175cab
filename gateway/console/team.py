"""Who may use the console, and what everybody did."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from gateway.console.door import Visit
from gateway.database import users
from gateway.model import Told
from gateway.tickets import audit
from gateway.tickets.audit import Act

PAGE = 100


async def page(visit: Visit) -> Response:
    """The users, with what each may."""
    return await _page(visit)


async def _page(visit: Visit, status: int = 200, said: str = "", link: str = "") -> Response:
    now = visit.service.clock()

    def read(connection: Connection) -> tuple[list[dict[str, Any]], set[str]]:
        rows = users.listed(connection)
        return rows, users.locked_names(connection, [row["name"] for row in rows], now)

    rows, locked = await visit.service.ask(read)
    return visit.page("users.html", status, rows=rows, locked=locked, roles=users.ROLES, said=said, link=link)


async def act(visit: Visit) -> Response:
    """Adds a user, makes a new link, disables one, changes a role. A link is shown once, on the page that answers."""
    what, name = visit.field("do", 20), visit.field("name", 60).strip()
    try:
        token = await visit.service.change(lambda connection: _act(connection, visit, what, name))
    except users.UserFault as fault:
        return await _page(visit, 409, str(fault))
    if not token:
        return await _page(visit, said=f"{name}: {_DONE[what]}.")
    desk, place = visit.service.desk(), visit.place
    root = desk.settings.http.url or f"{'https' if place.secure else 'http'}://{place.host}"
    return await _page(visit, said=f"The link for {name} works once, for 48 hours:", link=f"{root}/welcome/{token}")


_DONE = {"disable": "disabled and logged out", "role": "has another role now"}


def _act(connection: Connection, visit: Visit, what: str, name: str) -> str:
    now, role, token = visit.service.clock(), visit.field("role", 10), ""
    if what == "add":
        token = users.add(connection, name, role, now)
    elif what == "reset":
        token = users.reset(connection, name, now)
    elif what == "disable":
        users.disable(connection, name)
    elif what == "role":
        users.change_role(connection, name, role)
    else:
        raise Told("not an action")
    detail = {"role": role} if what in ("add", "role") else {}
    audit.write(connection, Act(f"user {what}", "user", name, detail), visit.person, now)
    return token


async def log(visit: Visit) -> Response:
    """The audit, the newest first."""
    given = visit.asked("before", 18)
    before = int(given) if given.isascii() and given.isdigit() else None
    rows = await visit.service.ask(lambda connection: audit.latest(connection, PAGE, before))
    return visit.page("audit.html", rows=rows, more=len(rows) == PAGE)
