"""The console as an ASGI application: its addresses, and what is true of every answer."""

from __future__ import annotations

import logging
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import log
from gateway.console import (
    account,
    blocked,
    door,
    held,
    incident,
    live,
    login,
    mails,
    numbers,
    oidc,
    queue,
    sent,
    team,
    ticket,
    tools,
    uploads,
)
from gateway.console.lent import Service
from gateway.console.pages import FOLDER
from gateway.database import users
from gateway.database.store import Unavailable
from gateway.model import Told
from gateway.tickets.conversation import NoTicket
from gateway.tickets.rights import NotAllowed

HINT = "the console is off until a user exists: gateway users add NAME --role admin\n"


def build(service: Service) -> ASGIApp:
    """The console as an application: its pages over what ``service`` lends it."""
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # strangers write no lines of our log
    entrance = door.Door(service)
    feed = live.Feed(service)
    app = Starlette(
        routes=[*_open(service, entrance), *_inside(entrance, feed)],
        exception_handlers={HTTPException: _Failed(service), Told: _Failed(service)},
    )
    return _Guard(app, service)


def _open(service: Service, entrance: door.Door) -> list[BaseRoute]:
    """What is there for who is not logged in."""
    first, provider = login.Login(service, entrance), oidc.Provider(service)
    return [
        Mount("/static", _Static(directory=FOLDER / "static")),
        Route("/login", first.form, methods=["GET"]),
        Route("/login", first.log_in, methods=["POST"]),
        Route("/login/oidc", provider.leave, methods=["GET"]),
        Route("/login/oidc/back", provider.back, methods=["GET"]),
        Route("/logout", entrance(first.log_out, "read"), methods=["POST"]),
        Route("/welcome/{token}", first.welcome, methods=["GET"]),
        Route("/welcome/{token}", first.enrol, methods=["POST"]),
    ]


def _inside(entrance: door.Door, feed: live.Feed) -> list[BaseRoute]:
    """(path, page, right); with ``POST`` before the path where something is changed."""
    counted, lists = numbers.Numbers(), queue.Queue()
    addresses: list[tuple[str, door.Page, str]] = [
        ("/", lists.page, "read"),
        ("/queue/rows", lists.fragment, "read"),
        ("POST /queue/bulk", queue.bulk, "change"),
        ("POST /queue/undo", queue.undo, "change"),
        ("POST /queue/views", queue.save_view, "read"),
        ("/events", feed.events, "read"),
        ("/tickets/{reference}", ticket.page, "read"),
        ("/tickets/{reference}/talk", ticket.talk, "read"),
        ("/tickets/{reference}/beside", ticket.beside, "read"),
        ("/tickets/{reference}/preview", ticket.preview, "answer"),
        ("POST /tickets/{reference}/draft", ticket.draft, "answer"),
        ("POST /tickets/{reference}/answer", ticket.answer, "answer"),
        ("POST /tickets/{reference}/files", uploads.change, "answer"),
        ("POST /tickets/{reference}/undo", ticket.undo, "answer"),
        ("POST /tickets/{reference}/presence", ticket.presence, "read"),
        ("POST /tickets/{reference}/act", ticket.act, "change"),
        ("POST /tickets/{reference}/correct", ticket.correct, "change"),
        ("POST /tickets/{reference}/merge", ticket.merge, "merge"),
        ("POST /tickets/{reference}/release", ticket.release, "release"),
        ("/tickets/{reference}/mails/{entry:int}/page", mails.page, "read"),
        ("/tickets/{reference}/mails/{entry:int}/source", mails.source, "read"),
        ("/tickets/{reference}/mails/{entry:int}/raw", mails.raw, "read"),
        ("/tickets/{reference}/files/{sha256}", mails.file, "read"),
        ("/tickets/{reference}/files/{sha256}/page", mails.file_page, "read"),
        ("/held", held.page, "read"),
        ("POST /held", held.act, "release"),
        ("/held/{message:int}", held.show, "read"),
        ("/held/{message:int}/page", held.formatted, "read"),
        ("/held/{message:int}/source", held.source, "release"),
        ("/held/{message:int}/raw", held.raw, "release"),
        ("/blocked", blocked.page, "read"),
        ("POST /blocked", blocked.act, "block"),
        ("/incidents", incident.page, "read"),
        ("POST /incidents", incident.act, "change"),
        ("/outbox", sent.page, "read"),
        ("POST /outbox", sent.act, "release"),
        ("/numbers", counted.page, "read"),
        ("/explain", tools.explain_form, "read"),
        ("POST /explain", tools.explain, "read"),
        ("/status", tools.status, "read"),
        ("/templates", tools.templates, "read"),
        ("/templates/{name}/{language}", tools.template, "read"),
        ("/users", team.page, "users"),
        ("POST /users", team.act, "users"),
        ("/audit", team.log, "audit"),
        ("/account", account.page, "read"),
        ("POST /account", account.act, "read"),
    ]
    return [_route(entrance, *one) for one in addresses]


def _route(entrance: door.Door, address: str, page: door.Page, right: str) -> Route:
    method, _, path = address.rpartition(" ")
    return Route(path, entrance(page, right), methods=[method or "GET"])


class _Static(StaticFiles):
    """Files of the package; their address changes with their content."""

    def file_response(self, *given: Any, **more: Any) -> Response:
        response = super().file_response(*given, **more)
        response.headers["cache-control"] = "public, max-age=604800, immutable"
        return door.shielded(response)


class _Failed:
    """What is said when a page fails: what was wrong with the request, or that it was our fault; never more."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, request: Request, error: Exception) -> Response:
        status, said = _words_for(error)
        if status == 500:
            log.loop_fault("console", error)
        if request.headers.get("hx-request"):
            return door.shielded(PlainTextResponse(said + "\n", status))
        return door.shielded(door.refused(self._service, status, said))


def _words_for(error: Exception) -> tuple[int, str]:
    if isinstance(error, NotAllowed):
        return 403, str(error)
    if isinstance(error, NoTicket):
        return 404, "There is no such ticket."
    if isinstance(error, Unavailable):
        return 503, "The database is not available at the moment. Try again in a minute."
    if isinstance(error, Told):
        return 409, str(error)
    status = getattr(error, "status_code", 500)
    if status in (404, 405):
        return status, "There is no such page."
    if isinstance(status, int) and 400 <= status < 500:
        return status, "This request cannot be understood."
    return 500, "Something went wrong here. It was written to the service's log."


class _Answered:
    """Whatever a page raises becomes an answer, where none has begun."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._failed = app, _Failed(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def told(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, told)
        except (ConnectionError, TimeoutError):
            raise
        except ClientDisconnect:
            raise ConnectionResetError from None
        except Exception as error:  # every fault of ours is a page with its number
            if begun:
                raise
            response = await self._failed(Request(scope), error)
            await response(scope, receive, send)


class _Guard:
    """Before everything: the console is off without a user, and answers only by its own names."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service, self._on = app, service, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        place = door.place_of(request, self._service.desk().settings)
        if place is None:
            response = PlainTextResponse("not a name of the console: set [http] url\n", 421)
        elif not await self._is_on():
            response = PlainTextResponse(HINT, 404)
        else:
            scope.setdefault("state", {})["place"] = place
            await _Answered(self._app, self._service)(scope, receive, send)
            return
        await door.shielded(response)(scope, receive, send)

    async def _is_on(self) -> bool:
        self._on = self._on or await self._service.ask(users.any_user)
        return self._on
