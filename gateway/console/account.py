"""The user's own sessions, password and second factor."""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from gateway.console import secrets
from gateway.console.door import Visit, address_of
from gateway.console.login import LOCKED, WRONG
from gateway.database import users
from gateway.tickets import audit
from gateway.tickets.audit import Act


async def page(visit: Visit) -> Response:
    """Where the user is logged in."""
    return await _page(visit)


async def _page(visit: Visit, status: int = 200, wrong: str = "") -> Response:
    def read(connection: Connection) -> tuple[list[object], bool]:
        return users.sessions_of(connection, visit.who.id), users.of_name(connection, visit.who.name) is not None

    rows, by_password = await visit.service.ask(read)
    return visit.page("account.html", status, rows=rows, by_password=by_password, wrong=wrong)


async def act(visit: Visit) -> Response:
    """Ends the user's other sessions, or all of them; or begins anew with password and authenticator."""
    what = visit.field("do")
    if what == "renew":
        return await _renew(visit)
    if what == "others":
        await visit.service.change(lambda connection: users.end_others(connection, visit.who.id, visit.who.digest))
        return RedirectResponse("/account", 303)
    await visit.service.change(lambda connection: users.end_all(connection, visit.who.id))
    return RedirectResponse("/login", 303)


async def _renew(visit: Visit) -> Response:
    """To the page of a one-time link, for who knows the password and the six digits of now: a session that was left
    open is not enough."""
    me, now = visit.who, visit.service.clock()
    address = address_of(visit.request, visit.service.desk().settings)
    user = await visit.service.ask(lambda connection: users.of_name(connection, me.name))
    if user is None or await visit.service.ask(lambda connection: users.locked(connection, me.name, address, now)):
        return await _page(visit, 429, LOCKED)
    right = await visit.service.compute(lambda: secrets.matches(user.password, visit.field("password", 1000)))
    step = secrets.step_of(user.totp, visit.field("code", 20), now)

    def begun(connection: Connection) -> str | None:
        if users.locked(connection, me.name, address, now, judging=True):
            return None
        if not right or step is None or not users.use_step(connection, user.id, step):
            users.failed(connection, me.name, address, now)
            return None
        users.succeeded(connection, me.name, address, now)
        audit.write(connection, Act("user renew", "user", me.name), visit.person, now)
        return users.renew(connection, user.id, now)

    token = await visit.service.change(begun)
    return await _page(visit, 401, WRONG) if token is None else RedirectResponse(f"/welcome/{token}", 303)
