"""Logging in and out, and the one-time link by which a user sets password and second factor.

What a failed login says and how long it takes is the same whatever was wrong, and so is its lock: a name that does not
exist is locked like one that does.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from hashlib import sha256
from urllib.parse import urlsplit

import segno
from markupsafe import Markup
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.console import door, pages, secrets
from gateway.console.lent import Service
from gateway.database import users
from gateway.model import Person, Told
from gateway.tickets import audit
from gateway.tickets.audit import Act

WRONG = "That did not work. Check the name, the password and the six digits, and try again."
LOCKED = "Too many attempts. Wait a few minutes, then try again."
NO_TLS = "The console is not reached over TLS here. Use its https:// address, or set [http] url to it."


class Login:
    """The pages that are there for who is not logged in."""

    def __init__(self, service: Service, entrance: door.Door) -> None:
        self._service, self._door = service, entrance

    def _page(self, request: Request, status: int = 200, said: str = "", good: bool = False) -> Response:
        then = request.query_params.get("then", "")
        values = {
            "said": said,
            "good": good,
            "then": then,
            "desk_name": self._service.desk().settings.gateway.name,
            "me": None,
            "here": "",
            "provider": urlsplit(self._service.desk().settings.oidc.issuer).hostname,
        }
        response = pages.response("login.html", status, **values)
        response.delete_cookie("said")
        return door.shielded(response)

    async def form(self, request: Request) -> Response:
        """The login page; who is in already goes to the queue."""
        place = request.state.place
        if await self._door.who(request, place) is not None:
            return door.shielded(RedirectResponse("/", 303))
        vouched = await self._vouched(request, place)
        if vouched is not None:
            return vouched
        said = pages.unquoted(request.cookies.get("said", ""))[:200]
        return self._page(request, said=said if place.trusted else NO_TLS, good=place.trusted)

    async def _vouched(self, request: Request, place: door.Place) -> Response | None:
        """Lets in whom a trusted proxy names: he has logged in there. The peer itself must be one, whatever it
        forwards."""
        http = self._service.desk().settings.http
        name = request.headers.get(http.user_header, "") if http.user_header else ""
        if not name or not place.trusted or request.client is None or request.client.host not in http.proxies:
            return None
        now, address = self._service.clock(), door.address_of(request, self._service.desk().settings)
        agent = request.headers.get("user-agent", "")

        def entered(connection: Connection) -> str | None:
            user = users.of_name(connection, name, by_password=False)
            if user is None:
                return None
            audit.write(connection, Act("login", "user", user.name, {"by": "proxy"}), door.person_of(user), now)
            return users.begin_session(connection, user.id, address, agent, now)

        token = await self._service.change(entered)
        if token is None:
            return None
        response = RedirectResponse(inside(request.query_params.get("then", "")), 303)
        give_cookie(response, place, token)
        return door.shielded(response)

    async def log_in(self, request: Request) -> Response:
        """A try with password and code: a session, or the same words whatever was wrong."""
        place, form = request.state.place, await request.form(max_files=0, max_fields=10, max_part_size=4096)
        if not place.trusted:
            return self._page(request, 403, NO_TLS)
        if not door.is_own(request, place):
            return self._page(request, 403, WRONG)
        name, now = _text(form, "name")[:60], self._service.clock()
        address = door.address_of(request, self._service.desk().settings)
        if await self._service.ask(lambda connection: users.locked(connection, name, address, now)):
            return self._page(request, 429, LOCKED)
        user = await self._service.ask(lambda connection: users.of_name(connection, name))
        known = user.password if user is not None else None
        right = await self._service.compute(lambda: secrets.matches(known, _text(form, "password")))
        step = secrets.step_of(user.totp if user is not None else _STANDIN, _text(form, "code"), now)
        agent = request.headers.get("user-agent", "")

        def entered(connection: Connection) -> str | None:
            if users.locked(
                connection, name, address, now, judging=True
            ):  # since it was asked: tries that came all at once
                raise _Locked
            if user is None or not right or step is None or not users.use_step(connection, user.id, step):
                if users.failed(connection, name, address, now):
                    _tell(connection, user.name if user is not None else "", address, now)
                return None
            users.succeeded(connection, name, address, now)
            old = request.cookies.get(place.cookie, "")
            users.end(connection, users.digest(old))
            audit.write(connection, Act("login", "user", user.name), door.person_of(user), now)
            return users.begin_session(connection, user.id, address, agent, now)

        try:
            token = await self._service.change(entered)
        except _Locked:
            return self._page(request, 429, LOCKED)
        if token is None:
            return self._page(request, 401, WRONG)
        response = RedirectResponse(inside(_text(form, "then")), 303)
        give_cookie(response, place, token)
        return door.shielded(response)

    async def log_out(self, visit: door.Visit) -> Response:
        """Ends the session."""
        await self._service.change(lambda connection: users.end(connection, visit.who.digest))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(visit.place.cookie, path="/", secure=visit.place.secure, httponly=True, samesite="lax")
        return response

    # -- the one-time link

    async def welcome(self, request: Request) -> Response:
        """Where the link leads: password and second factor."""
        token, now = request.path_params["token"], self._service.clock()
        user = await self._service.ask(lambda connection: users.invited(connection, token, now))
        if user is None or not request.state.place.trusted:
            said = "This link does not work (any more). Ask an admin for a new one."
            return door.shielded(door.refused(self._service, 404, said if request.state.place.trusted else NO_TLS))
        return self._welcome(user.name, secrets.new_secret(), token)

    def _welcome(self, name: str, secret: str, token: str, said: str = "", status: int = 200) -> Response:
        issuer = self._service.desk().settings.gateway.name
        picture = segno.make(secrets.uri(secret, name, issuer), error="m")
        drawn = picture.svg_inline(scale=4, border=2, dark="#000", light="#fff", svgclass="qr", lineclass=None)
        svg = Markup(drawn)  # noqa: S704 - of base32 and a quoted name
        values = {"name": name, "secret": secret, "proof": self._proof(token, secret), "token": token, "picture": svg}
        return door.shielded(
            pages.response("welcome.html", status, **values, said=said, desk_name=issuer, me=None, here="")
        )

    def _proof(self, token: str, secret: str) -> str:
        """That the secret in the form is the one we made for this link."""
        key = self._service.store.keys[self._service.store.key_id]
        return hmac.new(key, f"totp:{token}:{secret}".encode(), sha256).hexdigest()

    async def enrol(self, request: Request) -> Response:
        """Sets both; the link ends with it."""
        token, now, place = request.path_params["token"], self._service.clock(), request.state.place
        form = await request.form(max_files=0, max_fields=10, max_part_size=4096)
        user = await self._service.ask(lambda connection: users.invited(connection, token, now))
        if user is None or not place.trusted or not door.is_own(request, place):
            return door.shielded(door.refused(self._service, 404, "This link does not work (any more)."))
        secret, password = _text(form, "secret"), _text(form, "password")
        if not hmac.compare_digest(self._proof(token, secret).encode(), _text(form, "proof").encode()):
            return self._welcome(
                user.name, secrets.new_secret(), token, "The form was too old. Scan the new code.", 400
            )
        step = secrets.step_of(secret, _text(form, "code"), now)
        said = secrets.fault(password, user.name)
        if password != _text(form, "again"):
            said = "The two passwords differ."
        elif not said and step is None:
            said = "The six digits do not match. Check that the clock of your phone is right."
        if said or step is None:
            return self._welcome(user.name, secret, token, said, 400)
        kept = await self._service.compute(lambda: secrets.hashed(password))

        def enrolled(connection: Connection) -> str | None:
            name = users.enrol(connection, token, kept, (secret, step), now)
            if name is not None:
                audit.write(connection, Act("enrol", "user", name), Person(name), now)
            return name

        if await self._service.change(enrolled) is None:
            return door.shielded(
                door.refused(
                    self._service, 404, "This link was used already. Log in with the password and the next six digits."
                )
            )
        return door.shielded(
            door.back("/login", "Password and second factor are set. Log in with the next six digits.")
        )


class _Locked(Told):
    """It was locked before this try was judged."""


def _tell(connection: Connection, name: str, address: str, now: datetime) -> None:
    """A lock is in the audit; of a name that does not exist the name is not kept: it may be a password in the wrong
    field."""
    detail = {"from": address, "what": "too many failed logins"}
    audit.write(connection, Act("lock", "user", name or "(unknown)", detail), Person("console"), now)


#: what the digits of a name that does not exist are compared with
_STANDIN = "A" * 32


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def inside(then: str) -> str:
    """A path of ours, never another site's."""
    return (
        then
        if then.startswith("/") and not then.startswith(("//", "/\\")) and "\\" not in then and then.isprintable()
        else "/"
    )


def give_cookie(response: Response, place: door.Place, token: str) -> None:
    """The browser keeps the session for ``SESSION_H`` hours; its name and scheme are those of the ``place``."""
    response.set_cookie(
        place.cookie, token, max_age=int(users.SESSION_H * 3600), path="/", secure=place.secure, httponly=True,
        samesite="lax",
    )  # fmt: skip
