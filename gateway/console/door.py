"""What stands before every page: the address by which we are reached, security headers, and who is at the other end.

A page is served under a content security policy that runs no inline script and loads nothing from elsewhere; nothing is
cached; a change is made only by a request that our own pages sent (Origin, Sec-Fetch-Site) with the session's token.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from gateway.console import pages
from gateway.console.lent import Service, Settings
from gateway.database import users
from gateway.model import Person, Role
from gateway.networks import host_named
from gateway.tickets import rights

MAX_FORM = 2 * 1024**2
MAX_FILES = 30
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "cache-control": "no-store",
}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def shielded(response: Response) -> Response:
    """With every security header that the page has not set itself."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request came in, as the browser sees it."""

    host: str
    secure: bool  #: by TLS
    loopback: bool

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; with TLS one that no other host can set (RFC 6265bis section 4.1.3)."""
        return "__Host-gateway" if self.secure else "gateway"

    @property
    def trusted(self) -> bool:
        """Whether a cookie may go over this way."""
        return self.secure or self.loopback


def place_of(request: Request, settings: Settings) -> Place | None:
    """The place of a request; ``None`` where it names a host that is not ours (DNS rebinding)."""
    named = request.headers.get("host", "").lower()
    host, public = host_named(named), urlsplit(settings.http.url)
    if not host:
        return None
    if public.hostname and host == public.hostname:
        return Place(named, public.scheme == "https", host in _LOOPBACK)
    listens = settings.http.listen.rpartition(":")[0].strip("[]")
    if host in _LOOPBACK or host == listens:
        return Place(named, False, host in _LOOPBACK)
    return None


def address_of(request: Request, settings: Settings) -> str:
    """Who is at the other end: behind a trusted proxy, what that one says in X-Forwarded-For, counted from the
    right."""
    peer = request.client.host if request.client else ""
    if peer not in settings.http.proxies:
        return peer
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    while hops and hops[-1] in settings.http.proxies:
        hops.pop()
    try:
        return str(ipaddress.ip_address(hops[-1])) if hops else peer
    except ValueError:
        return peer


def is_own(request: Request, place: Place) -> bool:
    """Whether one of our own pages sent this request, as far as the browser says so."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return site == "same-origin"
    return urlsplit(origin).netloc.lower() == place.host


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is logged in."""

    service: Service
    request: Request
    place: Place
    who: users.Who
    form: FormData

    @property
    def person(self) -> Person:
        """The user as the desk knows persons."""
        return person_of(self.who)

    def may(self, right: str) -> bool:
        """Whether this user has a right."""
        return may(self.who, right)

    def page(self, template: str, status: int = 200, /, **values: Any) -> Response:
        """A template of the console with what every page shows: who asks, what he may, the time and zone."""
        common = {
            "me": self.who, "may": self.may, "here": self.request.url.path, "now": self.service.clock(),
            "zone": self.service.desk().settings.gateway.timezone,
            "desk_name": self.service.desk().settings.gateway.name,
        }  # fmt: skip
        return pages.response(template, status, **common, **values)

    def field(self, name: str, limit: int = 200) -> str:
        """A field of the form as text."""
        value = self.form.get(name, "")
        return value.replace("\r\n", "\n").replace("\x00", "")[:limit] if isinstance(value, str) else ""

    def asked(self, name: str, limit: int = 200) -> str:
        """A parameter of the query, without NUL, at most ``limit`` characters; empty where there is none."""
        return self.request.query_params.get(name, "").replace("\x00", "")[:limit]

    def numbers(self, name: str) -> list[int]:
        """The numbers of a field that stands there any number of times."""
        given = [value for value in self.form.getlist(name) if isinstance(value, str)]
        return [int(value) for value in given if value.isascii() and value.isdigit() and len(value) < 18][:500]


def person_of(who: users.Who) -> Person:
    """A user as the desk knows persons."""
    return Person(who.name, Role(who.role))


def may(who: users.Who, right: str) -> bool:
    """Whether a user has a right of ``rights.NEEDS``."""
    return rights.may(person_of(who), right)


Page = Callable[[Visit], Awaitable[Response]]


def back(to: str, said: str = "") -> Response:
    """After a change: to the page that shows it, with a word about it."""
    response = RedirectResponse(to, 303)
    if said:
        response.set_cookie("said", pages.quoted(said), max_age=20, httponly=True, samesite="strict")
    return response


def refused(service: Service, status: int, said: str) -> Response:
    """A page that says why not."""
    name = service.desk().settings.gateway.name
    return pages.response("refused.html", status, said=said, desk_name=name, me=None, here="")


class Door:
    """Lets a request in to a page, or says why not."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __call__(self, page: Page, right: str) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint for who has ``right``."""

        async def endpoint(request: Request) -> Response:
            return shielded(await self._entered(request, page, right))

        return endpoint

    async def _entered(self, request: Request, page: Page, right: str) -> Response:
        place = request.state.place
        who = await self.who(request, place)
        if who is None:
            return self._to_login(request)
        form = FormData()
        if request.method == "POST":
            form = await request.form(max_files=MAX_FILES, max_fields=1500, max_part_size=MAX_FORM)
            if not is_own(request, place) or not _token_fits(request, form, who.csrf):
                return refused(
                    self._service, 403, "This request did not come from a page of the console. Go back and try again."
                )
        if not may(who, right):
            return refused(self._service, 403, f"Your role ({who.role}) may not do this.")
        return await page(Visit(self._service, request, place, who, form))

    def _to_login(self, request: Request) -> Response:
        if request.method != "GET" or request.headers.get("hx-request") or request.url.path == "/events":
            return PlainTextResponse("log in again\n", 401, {"hx-redirect": "/login"})
        then = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse("/login" if then == "/" else f"/login?then={pages.quoted(then)}", 303)

    async def who(self, request: Request, place: Place) -> users.Who | None:
        """The user whose session the cookie is; ``None``: nobody, or the way here is not trusted."""
        token = request.cookies.get(place.cookie, "")
        if not token or not place.trusted or len(token) > 100:
            return None
        now = self._service.clock()
        found = await self._service.ask(lambda connection: users.session(connection, token, now))
        if found is None:
            return None
        who, due = found
        if due:
            await self._service.change(lambda connection: users.touch(connection, who.digest, now))
        return who


def _token_fits(request: Request, form: FormData, csrf: str) -> bool:
    given = request.headers.get("x-csrf-token") or form.get("csrf") or ""
    return isinstance(given, str) and hmac.compare_digest(given.encode(), csrf.encode())
