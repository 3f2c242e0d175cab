"""Every route of the console by schemathesis, as each role: whatever is asked, it is never our fault.

Starlette keeps no OpenAPI of its routes: one is made here of the route table, with the fields that the pages' forms send.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from starlette.routing import Route

from gateway.console import app, door, live
from tests.peers.console_world import World, settled
from tests.peers.harness import LoopbackPeers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
EXAMPLES = 6
ACTS = {
    "/queue/bulk": ("take", "close", "snooze", "tag"), "/queue/views": ("save", "forget"), "/held": ("release", "discard", "replay", "block"), "/blocked": ("add", "remove"), "/incidents": ("confirm", "close"), "/queue/undo": ("x",),
    "/tickets/{reference}/act": ("note", "close", "spam", "reopen", "wait", "assign", "tag", "snooze", "wake", "link", "part", "block", "split"),
    "/tickets/{reference}/answer": ("send", "close"), "/outbox": ("retry", "discard"), "/users": ("reset", "role"), "/account": ("end",),
}  # fmt: skip
FIELDS = (
    "text", "seen", "anyway", "to", "tag", "untag", "for", "name", "role", "entry", "message", "row", "ticket", "department", "critical",
    "question", "sensitive", "priority", "known", "notify", "query", "then", "tab", "state", "remove", "sender", "why", "sure", "incident", "since", "until", "account",
)  # fmt: skip
QUERY = ("state", "words", "page", "owner", "tag", "account", "tab", "before", "since", "download", "trust", "incident")
#: that end the session, or wait for what happens
LEFT_OUT = ("/logout", "/account", "/events")


def routes() -> list[Route]:
    nothing = cast(Any, None)
    found = [*app._open(nothing, door.Door(nothing)), *app._inside(door.Door(nothing), live.Feed(nothing))]
    return [one for one in found if isinstance(one, Route)]


def described(reference: str, file: str) -> dict[str, Any]:
    """The routes as OpenAPI."""
    text: dict[str, Any] = {"type": "string", "maxLength": 60}
    known = {"reference": reference, "sha256": file, "name": "received", "language": "de"}
    paths: dict[str, Any] = {}
    for route in routes():
        plain = re.sub(r":int}", "}", route.path)
        method = "post" if "POST" in (route.methods or ()) else "get"
        if plain in LEFT_OUT:
            continue
        parameters = [
            {"name": name, "in": "path", "required": True,
             "schema": {"type": "integer", "minimum": 0} if f"{{{name}:int}}" in route.path
             else {"anyOf": [{"enum": [known.get(name, "x")]}, {"type": "string", "minLength": 1, "maxLength": 40}]}}
            for name in re.findall(r"{(\w+)}", plain)
        ]  # fmt: skip
        operation: dict[str, Any] = {"parameters": parameters, "responses": {"200": {"description": "a page"}}}
        if method == "get":
            parameters += [{"name": name, "in": "query", "schema": text} for name in QUERY]
        else:
            fields: dict[str, Any] = {name: {"anyOf": [{"type": "integer"}, text]} for name in FIELDS}
            fields |= {"do": {"enum": list(ACTS.get(plain, ("x",)))}, "csrf": {"enum": ["CSRF"]}}
            of = (
                "multipart/form-data" if "explain" in plain or "files" in plain else "application/x-www-form-urlencoded"
            )
            if of.startswith("multipart"):
                fields |= {name: {"type": "string", "format": "binary"} for name in ("file", "mail")}
            body = {"schema": {"type": "object", "properties": fields, "required": ["csrf", "do"]}}
            operation["requestBody"] = {"required": True, "content": {of: body}}
        paths.setdefault(plain, {})[method] = operation
    return {"openapi": "3.0.3", "info": {"title": "console", "version": "1"}, "paths": paths}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    peers = LoopbackPeers()
    made = World(tmp_path_factory.mktemp("routes"), peers)
    made.sample("Anna Schmidt <anna@example.de>", "Server down!", "Hallo, mein Server r1z7og44 ist nicht erreichbar.\n", attachment=b"\x89PNG\r\n\x1a\n" + b"x" * 90)  # fmt: skip
    made.sample("Anna Schmidt <anna@example.de>", "Password", "Please reset it.\n", signed=False)
    settled(made, 2)
    yield made
    made.close()
    peers.close()


def test_the_description_has_every_route(world: World) -> None:
    paths = described("T-0000000", "0" * 64)["paths"]
    asked = {(re.sub(r":int}", "}", route.path), method) for route in routes() for method in route.methods or ()}
    there = {(path, method.upper()) for path, of in paths.items() for method in of}
    assert {one for one in asked if one[1] != "HEAD" and one[0] not in LEFT_OUT} == there and len(there) > 40


def test_no_page_of_any_route_is_framed_kept_or_runs_anything(world: World) -> None:
    """Clickjacking, caches, inline script, sniffing: what is said of every route, also where it refuses."""
    admin = world.person("header-user", "admin")
    page = admin.get("/?state=all").text
    reference = re.findall(r"/tickets/(T-\w+)", page)[0]
    found = admin.get(f"/tickets/{reference}").text
    known = {
        "reference": reference, "sha256": re.findall(r"/files/([0-9a-f]{64})", found)[0], "message": "2", "token": "x",
        "entry": re.findall(r"/mails/(\d+)/page", found)[0], "name": "received", "language": "de",
    }  # fmt: skip
    asked = 0
    for route in routes():
        if route.path == "/events":
            continue
        path = re.sub(r"{(\w+)(:int)?}", lambda match: known[match[1]], route.path)
        for client in (admin.client, world.client()):
            answer = client.request("POST" if "POST" in (route.methods or ()) else "GET", path)
            headers, where = answer.headers, (path, answer.status_code)
            assert headers["cache-control"] == "no-store", where
            assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin", where
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy and ("base-uri 'none'" in policy or "sandbox;" in policy), where
            framed = path.endswith(("/page", "/preview", "/received/de"))
            if framed and answer.status_code == 200:  # into our own pages, where it may do nothing
                assert "sandbox" in policy and "script-src" not in policy and "frame-ancestors 'self'" in policy, where
                assert headers["x-frame-options"] in ("SAMEORIGIN", "DENY"), where
            else:
                assert headers["x-frame-options"] == "DENY" or "sandbox" in policy, where
                assert "frame-ancestors" in policy and "'unsafe-inline'" not in policy.partition("style-src")[0], where
            asked += 1
    assert asked > 80


@pytest.mark.parametrize("role", ["nobody", "auditor", "agent", "lead", "admin"])
def test_no_request_is_our_fault(world: World, role: str) -> None:
    person = world.person(f"{role}-user", role) if role != "nobody" else None
    client = person.client if person is not None else world.client()
    page = client.get("/?state=all").text
    reference = (re.findall(r"/tickets/(T-\w+)", page) or ["T-0000000"])[0]
    files = re.findall(r"/files/([0-9a-f]{64})", client.get(f"/tickets/{reference}").text) or ["0" * 64]
    schema = schemathesis.openapi.from_dict(described(reference, files[0]))
    headers = {"origin": world.url, "x-csrf-token": person.csrf if person is not None else "x"}
    cookies = {"gateway": client.cookies.get("gateway", "")}
    bounded = settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    asked: Counter[int] = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()

        @bounded
        @given(case=operation.as_strategy())
        def tried(case: schemathesis.Case) -> None:
            answer = case.call(base_url=world.url, headers=headers, cookies=cookies, allow_redirects=False)
            asked[answer.status_code] += 1
            assert answer.status_code < 500, (case.as_curl_command(), answer.status_code)

        tried()
    assert sum(asked.values()) > 200 and (person is None or {200, 303} <= asked.keys()), asked
    faults = [event for event in world.daemon.events if event["event"] == "loop_fault" or event.get("level") == "error"]
    assert faults == []
    assert httpx.get(f"{world.url}/readyz").status_code == 200
