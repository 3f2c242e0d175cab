"""The console under attack, against a real service: what a mail can do to it, a stranger, another site, another role."""

from __future__ import annotations

import email
import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import select
from starlette.requests import Request

from gateway.config import parse
from gateway.console import door, mail_html, pages, ready
from gateway.console.imitation import imitates
from gateway.database.console_tables import console_sessions
from gateway.database.statements import put
from gateway.database.tables import audit, entries, incident_tickets, incidents, messages, outbox, tickets
from tests.peers.console_world import PASSWORD, Person, World, everyone, rows, settled
from tests.peers.harness import LoopbackPeers, until
from tests.samples import office as outgoing_office

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(3)"><script>alert(4)</script></svg>'
HTML = (
    "<html><body onload=alert(5)><script>alert(6)</script><p style='position:fixed' onclick=alert(7)>Hello</p>"
    "<img src='http://127.0.0.1:1/pixel.png'><img src=\"https://tracker.example/x.gif\"><iframe src='javascript:alert(8)'></iframe>"
    "<a href='javascript:alert(9)'>click</a><form action='/users'><input name=do></form><svg onload=alert(10)></svg>"
    "<style>body{background:url(http://tracker.example/y)}</style><meta http-equiv=refresh content='0;url=//evil.example'>"
    "<base href='//evil.example'></body></html>"
)
CALENDAR = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:{EVIL}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"


def hostile_mail() -> bytes:
    """A mail whose every field is an attack on the page that shows it."""
    import base64

    parts = [
        f"--=_b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{HTML}\r\n",
        f"--=_b\r\nContent-Type: text/calendar; charset=utf-8\r\n\r\n{CALENDAR}",
        '--=_b\r\nContent-Type: image/svg+xml\r\nContent-Disposition: attachment; filename="a\\"><script>.svg"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(SVG).decode()}\r\n",
        '--=_b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename="../../etc/passwd.png"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(SVG + b' ').decode()}\r\n--=_b--\r\n",
    ]
    head = (
        f'From: "{EVIL[2:]}" <eve@nowhere.example>\r\nTo: support@introserv.com\r\nSubject: {EVIL}\r\n'
        "Message-ID: <evil@nowhere.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n'
    )
    return (head + "".join(parts)).encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    peers = LoopbackPeers()
    made = World(tmp_path_factory.mktemp("console"), peers, http={"user_header": "X-Remote-User"})
    made.sample("Anna Schmidt <anna@example.de>", "Server down!", "Hallo, mein Server r1z7og44 ist nicht erreichbar.\n")
    made.daemon.send(hostile_mail(), "eve@nowhere.example", helo="mx.nowhere.example")
    made.sample("Anna Schmidt <anna@example.de>", "Password", "Please reset it.\n", signed=False)
    settled(made, 3)
    yield made
    made.close()
    peers.close()


@pytest.fixture(scope="module")
def people(world: World) -> dict[str, Person]:
    return everyone(world)


def reference_of(world: World, subject: str) -> str:
    found = rows(world, select(tickets.c.reference, tickets.c.subject).order_by(tickets.c.id))
    return next(row.reference for row in found if row.subject.startswith(subject))


def evil(world: World) -> str:
    return reference_of(world, '"><script')


# --------------------------------------------------------------------------- what a mail can do


def test_no_field_of_a_mail_becomes_markup(world: World, people: dict[str, Person]) -> None:
    admin, reference = people["admin"], evil(world)
    entry = rows(world, select(entries.c.id).join(tickets, tickets.c.id == entries.c.ticket_id).where(tickets.c.reference == reference))[0].id  # fmt: skip
    for path in ("/", f"/tickets/{reference}", f"/tickets/{reference}/talk", f"/tickets/{reference}/beside", "/?words=script",
                 "/held", "/held/2", "/held/3", "/audit", "/outbox?tab=sent", f"/?words={EVIL}", f"/?account={EVIL}&tag={EVIL}",
                 f"/queue/rows?words={EVIL}"):  # fmt: skip
        page = admin.get(path)
        assert page.status_code == 200, path
        assert "<script>alert" not in page.text and "onerror=alert(2)>" not in page.text.replace("&gt;", ""), path
        assert re.findall(r"<script[^>]*>", page.text) == re.findall(r'<script src="/static/[^"]+" defer>', page.text)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    page = admin.get(f"/tickets/{reference}/mails/{entry}/page")
    assert page.status_code == 200 and "Hello" in page.text
    for gone in (
        "<script",
        "onload",
        "onclick",
        "javascript:",
        "<iframe",
        "<form",
        "<svg",
        "<base",
        "http://",
        "https://",
        "refresh",
    ):
        assert gone not in page.text, gone
    assert "sandbox" in page.headers["content-security-policy"]
    assert "script-src" not in page.headers["content-security-policy"]
    source = admin.get(f"/tickets/{reference}/mails/{entry}/source")
    assert (
        source.headers["content-type"].startswith("text/plain")
        and "sandbox" in source.headers["content-security-policy"]
    )
    raw = admin.get(f"/tickets/{reference}/mails/{entry}/raw")
    assert raw.content.endswith(hostile_mail()) and raw.headers["content-disposition"].startswith("attachment;")
    looked = [row.what for row in rows(world, select(audit).where(audit.c.who == "admin-1"))]
    assert {"view html", "view source", "download mail", "view mail"} <= set(looked)


def test_no_picture_is_fetched_for_a_mail(world: World, people: dict[str, Person]) -> None:
    """SSRF: whatever a mail names, neither the service nor a page of it asks for it."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        there = f"http://127.0.0.1:{listening.getsockname()[1]}"
        html_of = (
            f"<p>Photo <img src='{there}/a.png' srcset='{there}/b.png 2x'><img src='//127.0.0.1:{listening.getsockname()[1]}/c'>"
            f"<style>@import url({there}/d.css); p {{ background: url({there}/e) }}</style><link rel=stylesheet href='{there}/f'>"
            f"<video poster='{there}/g' src='{there}/h'></video><object data='{there}/i'></object><base href='{there}/'>"
            f"<div style=\"background:url('{there}/j')\">x</div><svg><image href='{there}/k'/></svg><input type=image src='{there}/l'></p>"
        )
        raw = (
            f"From: Pia <pia@nowhere.example>\r\nTo: support@introserv.com\r\nSubject: photo {there}\r\nMessage-ID: <photo@nowhere.example>\r\n"
            f"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html_of}\r\n"
        ).encode()
        world.daemon.send(raw, "pia@nowhere.example", helo="mx.nowhere.example")
        until(
            lambda: [row for row in rows(world, select(tickets.c.subject)) if row.subject.startswith("photo")],
            30,
            "the ticket",
        )
        agent, reference = people["agent"], reference_of(world, "photo")
        page = agent.get(f"/tickets/{reference}").text
        entry = re.findall(r"/mails/(\d+)/page", page)[0]
        formatted = agent.get(f"/tickets/{reference}/mails/{entry}/page")
        assert formatted.status_code == 200 and "Photo" in formatted.text and "127.0.0.1" not in formatted.text
        assert "img-src data:;" in formatted.headers["content-security-policy"]
        files = {"mail": ("x.eml", raw, "message/rfc822")}
        assert agent.client.post("/explain", data={"csrf": agent.csrf}, files=files).status_code == 200
        assert agent.get(f"/tickets/{reference}/preview").status_code == agent.get("/?words=photo").status_code == 200
        with pytest.raises(TimeoutError):
            listening.accept()


def test_what_a_browser_would_run_is_a_download(world: World, people: dict[str, Person]) -> None:
    agent, reference = people["agent"], evil(world)
    found = set(re.findall(rf"/tickets/{reference}/files/([0-9a-f]{{64}})", agent.get(f"/tickets/{reference}").text))
    assert len(found) == 3  # the SVG, what calls itself a PNG, the invitation
    for sha256 in found:
        answer = agent.get(f"/tickets/{reference}/files/{sha256}")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith(
            "attachment;"
        )  # an SVG, also where it calls itself a PNG
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "/" not in answer.headers["content-disposition"].partition(";")[2]
    other = reference_of(world, "Server down")
    assert agent.get(f"/tickets/{other}/files/{found.pop()}").status_code == 404
    for path in (
        "files/..%2f..%2fetc%2fpasswd",
        "files/" + "0" * 64,
        "files/x",
        "mails/999999/raw",
        "mails/99999999999999999999/raw",
    ):
        assert agent.get(f"/tickets/{other}/{path}").status_code == 404


def test_a_picture_of_the_mail_itself_is_shown_and_no_other() -> None:
    html = '<p>a<img src="cid:logo@x" onerror=x><img src=CID:evil><img src="//tracker.example/p"><img src="data:image/svg+xml,x"></p>'
    inside = {"logo@x": ("image/png", b"\x89PNG"), "evil": ("image/svg+xml", b"<svg/>")}
    page, left_out = mail_html.page(html, "de", inside.get)
    assert page.count("<img") == 1 and 'src="data:image/png;base64,iVBORw=="' in page and left_out == 3


@pytest.mark.parametrize(
    "html",
    ["<div>" * 20_000, "".join(f"<font color={n}>" for n in range(20_000)), "&" * 2_000_000, "<a " + "x=1 " * 500_000 + ">",
     "<b>" * 600 + "</i>" * 600, "<table><tr><td>" * 2_500],
    ids=["nested", "coloured", "entities", "attributes", "bold", "tables"],
)  # fmt: skip
def test_html_that_would_stop_the_console_is_not_parsed(html: str) -> None:
    page, _ = mail_html.page(html, "de", lambda _: None)
    assert mail_html.TOO_LARGE in page and len(page) < 5000


@pytest.mark.parametrize(
    ("href", "said"),
    [
        ("http://evil.example/nigol/moc.vresortni.latrop//:sptth", "evil.example"), ("https:////Evil.example?x=1&amp;y", "evil.example"),
        ("https://portal.introserv.com@evil.example", "evil.example"), ("https://evil.example\\@portal.introserv.com/", "evil.example"),
        ("https://portal.introserv.com%2f@evil.example#@x", "evil.example"), ("https://x:y@[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
        ("https://\u0430pple.com:8080/", "xn--pple-43d.com:8080"), ("https://b\u00fccher&#12290;example", "xn--bcher-kva.example"),
        ("https://evil%2Eexample/", "evil.example"), ("https://\U000e0041evil.example/", None), ("https://a&lt;b.example", None),
        (f"https://portal.introserv.com.{'a' * 300}.evil.example/", "..." + f"{'a' * 300}.evil.example"[-253:]),
        ("mailto:eve@evil.example?cc=x@y.example", "mailto:eve@evil.example"), (" https://ok.example/ ", "ok.example"), ("https:///", None),
        ("https://evil.example/&#8238;nigol/moc", None), ("https://portal.introserv.com   @evil.example", None), ("https://x.example/&#10;y", None),
        ("https://x.example/\u200by", None), ("https://x.example/&nbsp;y", None), ("javascript:alert(1)", None), ("//evil.example", None),
    ],
)  # fmt: skip
def test_where_a_link_of_a_held_mail_leads_is_said_by_us(href: str, said: str | None) -> None:
    """The mail can neither hide the words nor turn them round: a class of ours, which no mail has, resets everything."""
    html = f'<bdo dir="rtl"><p dir="rtl" class="leads" title="<a href=x>">&#8238;<a href="{href}" class="leads"><b>our portal</a> &#8296;x</bdo>'
    page = mail_html.told(mail_html.page(html, "en", lambda _: None)[0])
    body = page.partition("<body>")[2]
    assert ("href" in body.replace("<a href=x", "").replace("&lt;a href=x", "")) is (said is not None)
    assert body.count('class="leads"') == (said is not None)
    assert said is None or f'our portal</b><bdi class="leads" dir="ltr">{said}</bdi></a>' in body
    assert "bdo" not in body and not re.search("[\u202a-\u202e\u2066-\u2069]", body)
    style = page.partition("</style>")[0]
    assert (
        "attr(" not in style
        and "[dir]{unicode-bidi:isolate}" in style
        and "a[href]{direction:ltr;unicode-bidi:isolate}" in style
    )
    ours = style.partition(".leads{")[2].partition("}")[0]
    assert (
        ours.startswith("all:initial;direction:ltr;unicode-bidi:isolate-override;")
        and "background:#" in ours
        and ";color:#" in ours
    )


def test_links_in_one_another_are_told_apart() -> None:
    html = '<a href="http://a.example"><table><tr><td><a href="http://b.example">in</a></table>out</a><a>nowhere</a>'
    body = mail_html.told(mail_html.page(html, "en", lambda _: None)[0]).partition("<body>")[2]
    assert re.findall(r'(\w+)<bdi class="leads" dir="ltr">([^<]*)</bdi>', body) == [
        ("in", "b.example"),
        ("out", "a.example"),
    ]


def test_a_newsletter_is_parsed() -> None:
    row = "<tr><td><p><b>Offer</b> &nbsp;&amp; <a href=https://x.example>more</a><br><img src='data:image/png;base64,%s'></td></tr>"
    page, _ = mail_html.page(
        "<table>" + (row % ("A" * 100_000)) * 15 + (row % "B") * 1500 + "</table>", "de", lambda _: None
    )
    assert page.count("Offer") == 1515


def test_a_name_is_not_read_backwards() -> None:
    assert pages.harmless("invoice\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe") == "invoice\N{REPLACEMENT CHARACTER}fdp.exe"
    assert pages.harmless("Людмила\n\x1b[31m") == "Людмила\n\N{REPLACEMENT CHARACTER}[31m"


# --------------------------------------------------------------------------- strangers


def test_nobody_enters_without_a_session(world: World, people: dict[str, Person]) -> None:
    stranger = world.client()
    for path in (
        "/",
        "/events",
        "/held",
        "/users",
        "/audit",
        f"/tickets/{evil(world)}",
        "/explain",
        "/numbers",
        "/account",
    ):
        answer = stranger.get(path)
        assert answer.status_code in (303, 401) and "T-" not in answer.text, path
    assert stranger.get("/tickets/T-XYZ").headers["location"].startswith("/login?then=")
    for path in ("/healthz", "/readyz", "/login", "/static/console.css"):
        assert stranger.get(path).status_code == 200
    for path in (
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
    ):
        assert stranger.get(path).status_code == 404, path


def test_a_failed_login_says_nothing_and_locks_alike(world: World, people: dict[str, Person]) -> None:
    agent = people["agent"]

    def tries(name: str) -> list[tuple[int, str]]:
        client = world.client()
        form = {"name": name, "password": "wrong password!", "code": "000000"}
        answers = [client.post("/login", data=form) for _ in range(7)]
        return [(answer.status_code, answer.text.replace(name, "NAME")) for answer in answers]

    known, unknown = tries(agent.name), tries("nobody-of-this-name")
    assert known == unknown
    assert [status for status, _ in known] == [401] * 5 + [429] * 2
    right = agent.world.client().post("/login", data={"name": agent.name, "password": PASSWORD, "code": agent.code(1)})
    assert right.status_code == 429  # the lock does not tell the right password from a wrong one
    assert agent.get("/").status_code == 200  # who is in stays in


def test_tries_that_come_at_once_are_judged_one_after_the_other(world: World) -> None:
    from concurrent.futures import ThreadPoolExecutor

    person = world.person("burst-user", "agent")

    def tried(number: int) -> int:
        form = {"name": person.name, "password": PASSWORD, "code": f"{number:06}"}
        return world.client().post("/login", data=form).status_code

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(tried, range(40)))
    assert answers == [401] * 5 + [429] * 35
    assert "too many failed logins" in people_audit(world) and "burst-user" in people_audit(world)


def people_audit(world: World) -> str:
    return str([(row.object, row.detail) for row in rows(world, select(audit).where(audit.c.what == "lock"))])


def test_a_session_that_ended_is_not_told_of_news(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person = world.person("many-tabs", "auditor")
    streams = []
    for _ in range(14):
        client = world.client()
        client.cookies = person.client.cookies
        stream = client.stream("GET", "/events")
        streams.append((stream, stream.__enter__()))
    assert sorted(answer.status_code for _, answer in streams) == [200] * 12 + [204] * 2
    assert world.person("another", "agent").client.stream("GET", "/events").__enter__().status_code == 200
    for stream, _ in streams:
        stream.__exit__(None, None, None)


def test_a_code_counts_once_and_the_session_is_new(world: World) -> None:
    anna = world.person("second-login", "agent")
    used = anna.code()
    assert anna.log_in(used).status_code == 401  # the code of the first login, tried again
    fixed = world.client()
    fixed.cookies.set("gateway", "a-cookie-that-an-attacker-planted")
    fields = {"name": anna.name, "password": PASSWORD, "code": anna.code(1)}
    answer = fixed.post("/login", data=fields)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "a-cookie-that" not in cookie and "HttpOnly" in cookie and "SameSite=lax" in cookie
    kept = {row.digest for row in rows(world, select(console_sessions.c.digest))}
    token = re.match(r"gateway=([^;]+)", cookie)[1]  # type: ignore[index]
    assert token not in kept
    page = fixed.get("/account")
    csrf = re.search(r'name="csrf" content="([^"]+)"', page.text)[1]  # type: ignore[index]
    assert fixed.post("/logout", data={"csrf": csrf}).status_code == 303
    fixed.cookies.set("gateway", token)
    assert fixed.get("/").status_code == 303  # revoked at the service, not only forgotten by the browser


def test_a_login_leads_only_to_our_own_pages(world: World) -> None:
    from gateway.console.login import inside

    for evil_path in ("//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/a\nb", ""):
        assert inside(evil_path) == "/"
    assert inside("/tickets/T-1?x=1") == "/tickets/T-1?x=1"


def test_a_proxy_names_who_has_logged_in_there(world: World, people: dict[str, Person]) -> None:
    for name, enters in (("agent-1", True), ("nobody", False), ("", False)):
        client = world.client()
        answer = client.get("/login?then=/held", headers={"X-Remote-User": name})
        assert (answer.status_code == 303) is enters, name
        if enters:
            assert answer.headers["location"] == "/held" and client.get("/held").status_code == 200
    settings = parse('[gateway]\nstate_dir = "/tmp/x"\n[http]\nproxies = ["10.0.0.1"]\n')
    for peer, forwarded, address in (
        ("10.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"), ("10.0.0.1", "junk", "10.0.0.1"), ("192.0.2.9", "198.51.100.1", "192.0.2.9"),
    ):  # fmt: skip
        scope = {"type": "http", "headers": [(b"x-forwarded-for", forwarded.encode())], "client": (peer, 1)}
        assert door.address_of(Request(scope), settings) == address


def test_a_one_time_link_works_once(world: World, people: dict[str, Person]) -> None:
    page = people["admin"].post("/users", do="add", name="newcomer", role="agent").text
    token = re.search(r"/welcome/([\w-]+)", page)[1]  # type: ignore[index]
    assert token not in people["admin"].get("/users").text
    person = Person.__new__(Person)
    person.world, person.name, person.client = world, "newcomer", world.client()
    person.enrol(token)
    assert world.client().get(f"/welcome/{token}").status_code == 404
    assert person.log_in().status_code == 303
    assert people["admin"].post("/users", do="disable", name="newcomer").status_code == 200
    assert person.get("/").status_code == 303 and person.log_in(person.code(1)).status_code == 401


# --------------------------------------------------------------------------- another site, another role


def test_no_other_site_can_change_anything(world: World, people: dict[str, Person]) -> None:
    agent, reference = people["agent"], evil(world)
    path, fields = f"/tickets/{reference}/act", {"do": "note", "text": "by a stranger"}
    tries: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, fields),
        ({}, {**fields, "csrf": "x"}),
        ({"origin": "https://evil.example"}, {**fields, "csrf": agent.csrf}),
        ({"origin": "null"}, {**fields, "csrf": agent.csrf}),
        ({"sec-fetch-site": "cross-site"}, {**fields, "csrf": agent.csrf}),
        ({"origin": ""}, {**fields, "csrf": people["lead"].csrf}),
    ]
    for headers, form in tries:
        assert agent.client.post(path, data=form, headers=headers).status_code == 403, headers
    assert agent.client.get(path, params=fields).status_code == 405
    assert (
        world.client().post("/login", data={"name": "x"}, headers={"origin": "https://evil.example"}).status_code == 403
    )
    rebound = httpx.get(world.url + "/login", headers={"host": "evil.example"})
    assert rebound.status_code == 421
    said = rows(world, select(entries.c.text).where(entries.c.text == "by a stranger"))
    assert said == []
    assert agent.post(path, **fields).status_code == 303


def test_a_role_does_what_it_may_and_nothing_else(world: World, people: dict[str, Person]) -> None:
    reference = reference_of(world, "Server down")
    refused: dict[str, list[tuple[str, dict[str, str]]]] = {
        "auditor": [
            (f"/tickets/{reference}/act", {"do": "note", "text": "x"}), (f"/tickets/{reference}/answer", {"text": "x"}),
            (f"/tickets/{reference}/correct", {"department": "financial"}), ("/queue/bulk", {"do": "close", "ticket": reference}),
            ("/held", {"do": "release", "message": "3"}), ("/outbox", {"do": "retry", "row": "1"}), ("/users", {"do": "add"}),
        ],
        "agent": [
            ("/held", {"do": "release", "message": "3"}), (f"/tickets/{reference}/merge", {"to": evil(world)}),
            ("/outbox", {"do": "discard", "row": "1"}), ("/users", {"do": "add", "name": "mine", "role": "admin"}),
        ],
        "lead": [("/users", {"do": "role", "name": "lead-1", "role": "admin"})],
    }  # fmt: skip
    for role, tries in refused.items():
        for path, fields in tries:
            assert people[role].post(path, **fields).status_code == 403, (role, path)
    assert people["agent"].get("/users").status_code == people["agent"].get("/audit").status_code == 403
    assert people["agent"].get("/held/3/raw").status_code == 403
    assert people["auditor"].get("/audit").status_code == 200
    assert people["admin"].post("/users", do="disable", name="admin-1").status_code == 409  # the last admin
    assert people["admin"].post("/users", do="role", role="agent", name="admin-1").status_code == 409


def test_what_is_one_s_own_is_nobody_else_s(world: World, people: dict[str, Person]) -> None:
    """IDOR: drafts, files, views, sessions and acts of others by their numbers and names."""
    agent, lead, first, other = people["agent"], people["lead"], reference_of(world, "Server down"), evil(world)
    entry = rows(world, select(entries.c.id).join(tickets, tickets.c.id == entries.c.ticket_id).where(tickets.c.reference == first))[0].id  # fmt: skip
    for kind in ("page", "source", "raw"):
        assert agent.get(f"/tickets/{first}/mails/{entry}/{kind}").status_code == 200
        assert agent.get(f"/tickets/{other}/mails/{entry}/{kind}").status_code == 404, (
            "a mail by another ticket's address"
        )
    assert agent.post(f"/tickets/{first}/draft", text="mine alone").status_code == 204
    assert "mine alone" not in lead.get(f"/tickets/{first}").text + lead.get(f"/tickets/{first}/preview").text
    assert (
        lead.post(f"/tickets/{first}/undo").status_code == 409
        and lead.post("/queue/undo", ticket=first).status_code == 409
    )
    agent.post("/queue/views", name="mine", query="tag=x", do="save")
    lead.post("/queue/views", name="mine", query="", do="forget")
    assert 'href="/?tag=x"' in agent.get("/").text and 'href="/?tag=x"' not in lead.get("/").text
    before = lead.get("/account").status_code
    agent.post("/account", do="others")
    assert lead.get("/account").status_code == before == agent.get("/account").status_code == 200
    for path, fields in (
        ("/blocked", {"do": "add", "sender": "x@spam.example"}), ("/held", {"do": "block", "message": "3"}), (f"/tickets/{first}/act", {"do": "block"}),
        ("/incidents", {"do": "confirm", "incident": "1"}),
    ):  # fmt: skip
        assert people["auditor"].post(path, **fields).status_code == 403, path
        if path != "/incidents":
            assert lead.post(path, **fields).status_code in (303, 403), path
    assert "Nobody is blocked." in people["admin"].get("/blocked").text
    for path in (
        "templates/../../etc/passwd",
        "templates/received/..%2f..%2fx",
        "templates/_layout/de",
        "templates/received/xx",
    ):
        assert agent.get(f"/{path}").status_code == 404, path
    agent.post(f"/tickets/{first}/draft", text="")


def test_every_page_is_its_own_and_is_not_kept(world: World, people: dict[str, Person]) -> None:
    for path in ("/", f"/tickets/{evil(world)}", "/login", "/users"):
        headers = people["admin"].get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY" and "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "same-origin" and headers["x-content-type-options"] == "nosniff"


def test_no_cookie_goes_without_tls_outside_loopback() -> None:
    def place(host: str, url: str, listen: str = "127.0.0.1:8080") -> door.Place | None:
        settings = parse(f'[gateway]\nstate_dir = "/tmp/x"\n[http]\nlisten = "{listen}"\nurl = "{url}"\n')
        scope = {
            "type": "http",
            "headers": [(b"host", host.encode())],
            "client": ("10.0.0.1", 1),
            "path": "/",
            "query_string": b"",
        }
        return door.place_of(Request(scope), settings)

    assert place("desk.example.com", "https://desk.example.com") == door.Place("desk.example.com", True, False)
    assert place("desk.example.com", "https://desk.example.com").cookie == "__Host-gateway"  # type: ignore[union-attr]
    assert not place("10.1.2.3:8080", "", "10.1.2.3:8080").trusted  # type: ignore[union-attr]
    assert place("127.0.0.1:8080", "").trusted  # type: ignore[union-attr]
    assert place("evil.example", "") is None and place("", "") is None


# --------------------------------------------------------------------------- a day's work


def test_an_answer_waits_ten_seconds_and_can_be_taken_back(world: World, people: dict[str, Person]) -> None:
    agent = people["agent"]
    world.sample("Shop Ops <ops@shop.example>", "Slow disk on #234567", "Hello, the disk of tfz1cvkr is slow.\n")
    settled(world, 4)
    reference = reference_of(world, "Slow disk")
    path = f"/tickets/{reference}"
    before = rows(world, select(tickets).where(tickets.c.reference == reference))[0]

    def seen() -> str:
        return re.search(r'name="seen" value="(\d+)"', agent.get(path).text)[1]  # type: ignore[index]

    first = seen()
    assert agent.post(f"{path}/draft", text="We replaced the disk.").status_code == 204
    assert "We replaced the disk." in agent.get(f"{path}/preview").text
    assert "We replaced the disk." in agent.get(path).text and "We replaced" not in people["lead"].get(path).text
    assert agent.post(f"{path}/answer", text="We replaced the disk.", seen=first, do="send").status_code == 303
    row = rows(world, select(outbox).where(outbox.c.template == "answer"))[0]
    assert row.state == "queued" and 8 < (row.next_at - row.created_at).total_seconds() <= 10
    answered = rows(world, select(tickets).where(tickets.c.reference == reference))[0]
    assert answered.state == "waiting" and answered.first_response_at is not None and answered.limit_at is None
    again_sent = agent.post(f"{path}/answer", text="We replaced the disk.", seen=first, do="send")  # a second click
    assert (
        again_sent.status_code == 303 and agent.post(f"{path}/draft", text="We replaced").status_code == 204
    )  # a late echo
    assert agent.post(f"{path}/undo").status_code == 303
    again = rows(world, select(tickets).where(tickets.c.reference == reference))[0]
    for name in ("state", "limit_at", "clock_next_at", "first_response_at", "round"):
        assert getattr(again, name) == getattr(before, name), name
    assert rows(world, select(outbox).where(outbox.c.template == "answer")) == []
    assert "We replaced the disk." in agent.get(path).text
    assert agent.post(f"{path}/undo").status_code == 409
    moved = agent.post(f"{path}/answer", text="We replaced the disk.", seen=first, do="send")
    assert moved.status_code == 409 and "has moved on" in moved.text and "We replaced the disk." in moved.text
    assert people["lead"].post(f"{path}/act", do="note", text="I look at the RAID").status_code == 303
    sent = agent.post(f"{path}/answer", text="We replaced the disk.", seen=seen(), do="close")
    assert sent.status_code == 303
    taken = until(
        lambda: [mail for mail in world.peers.taken if b"We replaced the disk." in mail.raw], 40, "the answer"
    )
    assert len(taken) == 1 and taken[0].rcpt_tos == ("ops@shop.example",)
    assert rows(world, select(tickets.c.state).where(tickets.c.reference == reference))[0].state == "closed"
    did = [row.what for row in rows(world, select(audit).where(audit.c.object == reference).order_by(audit.c.id))]
    assert did == ["answer", "undo", "note", "answer", "close"]


def test_a_close_is_taken_back_from_the_queue(world: World, people: dict[str, Person]) -> None:
    agent, reference = people["agent"], reference_of(world, "Server down")
    before = rows(world, select(tickets).where(tickets.c.reference == reference))[0]
    for path, form in ((f"/tickets/{reference}/act", {}), ("/queue/bulk", {"ticket": reference})):
        assert agent.post(path, do="spam", **form).status_code == 303
        assert rows(world, select(tickets.c.state).where(tickets.c.reference == reference))[0].state == "closed"
        shown = agent.get("/").text
        assert 'id="undo"' in shown and f'name="ticket" value="{reference}"' in shown
        assert agent.post("/queue/undo", ticket=reference).status_code == 303
        assert rows(world, select(tickets).where(tickets.c.reference == reference))[0] == before
    assert agent.post("/queue/undo", ticket=reference).status_code == 409
    assert people["auditor"].post("/queue/undo", ticket=reference).status_code == 403


def test_two_customers_are_merged_only_when_asked_twice_and_parted_again(
    world: World, people: dict[str, Person]
) -> None:
    lead, first, other = people["lead"], evil(world), reference_of(world, "Server down")

    def merged() -> Any:
        return rows(world, select(tickets.c.merged_into).where(tickets.c.reference == other))[0].merged_into

    asked = lead.post(f"/tickets/{other}/merge", to=first[2:])
    assert asked.status_code == 409 and "Two customers?" in asked.text and first in asked.text and merged() is None
    assert lead.post(f"/tickets/{other}/merge", to=first, sure="1").headers["location"] == f"/tickets/{first}"
    page = lead.get(f"/tickets/{first}").text
    assert merged() and f'name="part" value="{other}"' in page and f"{other} was merged into this" in page
    assert f"merged into {first}" not in page
    assert people["agent"].post(f"/tickets/{first}/act", do="part", part=other).status_code == 403
    assert lead.post(f"/tickets/{first}/act", do="part", part=other).status_code == 303 and merged() is None
    for number in (1, 2):
        world.sample(
            "Same Man <same@nowhere2.example>", f"Again {number}", f"Number {number} of the offers?\n", signed=False
        )
    until(lambda: len(rows(world, select(tickets.c.id).where(tickets.c.subject.like("Again %")))) == 2, 40, "both")
    twin = reference_of(world, "Again 1")
    assert f'name="to" value="{twin}" id="merge-same"' in lead.get(f"/tickets/{reference_of(world, 'Again 2')}").text
    assert 'id="merge-same"' not in lead.get(f"/tickets/{first}").text
    again = reference_of(world, "Again 2")

    def bulk(who: str, *chosen: str) -> None:
        assert people[who].post("/queue/bulk", do="merge", ticket=list(chosen)).status_code == 303

    def within(reference: str) -> bool:
        return (
            rows(world, select(tickets.c.merged_into).where(tickets.c.reference == reference))[0].merged_into
            is not None
        )

    for who, chosen in (("agent", (again, twin)), ("lead", (again, other)), ("lead", (again,))):
        bulk(who, *chosen)
        assert not within(again) and not within(twin), chosen
    bulk("lead", again, twin)
    assert within(again) != within(twin), "one goes into the other"


def test_a_snooze_has_a_time_of_day_and_a_correction_a_language(world: World, people: dict[str, Person]) -> None:
    agent, reference = people["agent"], reference_of(world, "Server down")
    path = f"/tickets/{reference}"

    def row() -> Any:
        return rows(world, select(tickets).where(tickets.c.reference == reference))[0]

    for form, wanted in (({"for": "9"}, "09:00"), ({"until": "2037-01-02T16:30"}, "2037-01-02 16:30")):
        assert agent.post(f"{path}/act", do="snooze", **form).status_code == 303
        zone = ZoneInfo("Europe/Berlin")
        assert wanted in f"{row().snoozed_until.astimezone(zone):%Y-%m-%d %H:%M}"
    for odd in ("2020-01-01T00:00", "0001-01-01T00:00", "soon"):
        assert agent.post(f"{path}/act", do="snooze", until=odd).status_code == 409
    assert agent.post(f"{path}/act", do="wake").status_code == 303
    form = {"department": "technical", "critical": "yes", "question": "account", "priority": "high", "language": "fr"}
    assert agent.post(f"{path}/correct", **form).status_code == 303
    assert (row().reply_language, row().priority) == ("fr", "high")


def test_a_name_like_ours_is_marked(world: World, people: dict[str, Person]) -> None:
    office = outgoing_office({}, "")
    for name, author, alike in (
        ("INTROSERV Billing Dept.", "winner@lucky.example", True), ("lntr0serv", "a@b.example", False),
        ("Intr0Sеrv support", "a@b.example", True), ("Intro-Serv", None, True), ("INTROSERV Support", "joe@mail.introserv.com", False),
        ("Anna Schmidt", "anna@example.de", False), ("", None, False),
    ):  # fmt: skip
        assert imitates(name, author, office) is alike, name
    world.sample(
        "INTROSERV Billing <win@lucky.example>", "You won", "Do you accept the price of the servers?\n", signed=False
    )
    until(lambda: rows(world, select(tickets.c.id).where(tickets.c.subject == "You won")), 40, "it")
    for path in ("/", f"/tickets/{reference_of(world, 'You won')}"):
        assert "name imitates ours" in people["agent"].get(path).text


def test_a_gap_of_a_ready_text_is_asked_about_and_filled_where_it_is_known(
    world: World, people: dict[str, Person]
) -> None:
    agent, path = people["agent"], f"/tickets/{reference_of(world, 'Server down')}"
    words = "We restarted [service] ([ip]). See [1] and [masked]."

    def sent() -> int:
        return len(rows(world, select(outbox.c.id).where(outbox.c.template == "answer")))

    before = sent()
    asked = agent.post(f"{path}/answer", text=words, do="send")
    assert asked.status_code == 409 and 'name="gaps" value="[service] [ip]"' in asked.text and words in asked.text
    fewer = words.replace("[ip]", "192.0.2.1")
    assert agent.post(f"{path}/answer", text=fewer, do="send", gaps="[service] [ip]").status_code == 409
    assert sent() == before
    assert agent.post(f"{path}/answer", text=fewer, do="send", gaps="[service]").status_code == 303
    assert sent() == before + 1 and agent.post(f"{path}/undo").status_code == 303
    orders = [("234567", "tfz1cvkr", "active"), ("234568", "old", "cancelled")]

    def order(number: str | None, service: str | None, known: list[Any]) -> Any:
        return ready._order(number, service, known)

    assert order(None, None, orders) == order(None, "tfz1cvkr", orders) == ("234567", "tfz1cvkr")
    assert order(None, "TFZ1CVKR", orders) == ("234567", "TFZ1CVKR")
    assert order("234568", None, orders) == ("234568", "old") and order("9", None, orders) == ("9", None)
    assert order(None, None, [*orders, ("1", "x", "active")]) == (None, None) and order(None, None, []) == (None, None)


def test_files_go_along_with_an_answer(world: World, people: dict[str, Person]) -> None:
    agent, path = people["agent"], f"/tickets/{reference_of(world, 'Server down')}"
    upload = lambda *files, to="files", **fields: agent.client.post(  # noqa: E731
        f"{path}/{to}", data={"csrf": agent.csrf, **fields}, files=[("file", one) for one in files], headers={"x-part": fields.get("part", "")}
    )  # fmt: skip
    page = b"<script>alert(1)</script>"
    named = upload(
        ("../../etc/<b>invoice\N{RIGHT-TO-LEFT OVERRIDE}.html", page, "text/html"), text="See the file.", part="1"
    )
    assert named.status_code == 200 and "&lt;b&gt;invoice.html" in named.text and "etc" not in named.text
    assert upload(("log.txt", b"line\n" * 300_000, "text/plain")).headers["location"].endswith("#answer")
    assert upload(("log.txt", b"z" * 10 * 1024**2, "text/plain"), part="1").status_code == 409
    shown = agent.get(path).text
    assert "log.txt" in shown and "See the file." in shown and "log.txt" not in people["lead"].get(path).text
    preview = agent.get(f"{path}/preview").text
    assert "invoice.html" in preview and "<b>invoice" not in preview and "log.txt (1.4 MB)" in preview
    gone = re.search(r'name="remove" value="(\d+)"[^>]+aria-label="Remove log.txt"', shown)[1]  # type: ignore[index]
    assert people["lead"].post(f"{path}/files", remove=gone).status_code == 303 and "log.txt" in agent.get(path).text
    assert agent.post(f"{path}/files", remove=gone).status_code == 303 and "log.txt" not in agent.get(path).text
    assert people["auditor"].post(f"{path}/files", remove=gone).status_code == 403
    assert (
        upload(
            ("graph.png", b"\x89PNG\r\n\x1a\nx", "image/png"), to="answer", text="See the file.", do="send"
        ).status_code
        == 303
    )
    taken = until(lambda: [mail for mail in world.peers.taken if b"See the file." in mail.raw], 40, "the answer")
    parts = [part for part in email.message_from_bytes(taken[0].raw).walk() if part.get_filename()]
    assert [(part.get_filename(), part.get_content_type(), part.get_payload(decode=True)) for part in parts] == [
        ("<b>invoice.html", "application/octet-stream", page),
        ("graph.png", "image/png", b"\x89PNG\r\n\x1a\nx"),
    ]
    after = people["lead"].get(path).text
    kept = re.findall(rf"{path}/files/([0-9a-f]{{64}})\?download", after)
    assert page in [people["lead"].get(f"{path}/files/{sha}?download=1").content for sha in kept]
    assert "/files/" not in people["lead"].get(f"{path}/preview").text


def test_what_was_held_is_released_and_is_found(world: World, people: dict[str, Person]) -> None:
    lead = people["lead"]
    assert "anna@example.de" in lead.get("/held").text
    assert "Please reset it." in lead.get("/held/3").text
    forged = people["admin"].get("/held/3").text
    kept = rows(world, select(messages).where(messages.c.id == 3))[0]
    assert kept.trust == "failed" and kept.author == "anna@example.de"
    assert 'addresses = ["anna@example.de"]' not in html.unescape(forged), "nobody locks the customer out"
    assert 'class="primary" name="do" value="release"' not in forged
    assert lead.post("/held", do="release", message="3", tab="quarantined").status_code == 303
    settled(world, 3)
    until(lambda: "Password" in lead.get("/?words=reset").text, 10, "the search")
    assert "Server down!" not in lead.get("/?words=reset").text
    assert "Server down!" in lead.get("/?state=all&words=r1z7og").text  # a beginning of a fact
    reference = reference_of(world, "Server down")
    assert lead.get(f"/?words={reference.lower()}").headers["location"] == f"/tickets/{reference}"
    corrected = lead.post(
        f"/tickets/{reference}/correct", department="financial", critical="no", question="account", known="1"
    )
    assert corrected.status_code == 303
    row = rows(world, select(tickets).where(tickets.c.reference == reference))[0]
    assert row.department == "financial" and not row.critical and row.priority == "normal"
    lead.post("/queue/bulk", do="tag", tag="raid", ticket=reference)
    lead.post("/queue/bulk", do="take", ticket=reference)
    assert "Server down!" in lead.get("/?state=all&tag=raid&owner=lead-1").text
    lead.post("/queue/views", name="RAID", query="tag=raid", do="save")
    assert 'href="/?tag=raid"' in lead.get("/").text


def test_an_incident_is_confirmed_its_time_mended_and_closed(world: World, people: dict[str, Person]) -> None:
    agent, reference, at = people["agent"], reference_of(world, "Server down"), datetime.now(UTC)

    def begun(connection: Any) -> int:
        values = {
            "kind": "service",
            "value": "r1z7og44",
            "known_since": at,
            "opened_at": at,
            "confirmed_by": "",
            "state": "suspected",
        }
        number = int(put(connection, incidents, values))
        key = connection.execute(select(tickets.c.id).where(tickets.c.reference == reference)).scalar_one()
        put(connection, incident_tickets, {"incident_id": number, "ticket_id": key, "at": at})
        return number

    number = world.store.write_now(begun)
    shown = agent.get("/incidents").text
    assert (
        f"Incident {number}: service r1z7og44" in shown
        and f"/tickets/{reference}" in shown
        and "not confirmed" in shown
    )
    assert "1 incident to confirm" in agent.get("/").text
    assert reference in agent.get(f"/?state=all&incident={number}").text
    with agent.client.stream("GET", "/events") as stream:
        counts = next(line for line in stream.iter_lines() if line.startswith("data: {"))
    assert json.loads(counts.partition(" ")[2])["incidents"] == 1
    assert people["auditor"].post("/incidents", do="close", incident=str(number)).status_code == 403
    assert agent.post("/incidents", do="confirm", incident=str(number), since="2099-01-01T00:00").status_code == 409
    assert agent.post("/incidents", do="confirm", incident="999").status_code == 409

    def row() -> Any:
        return rows(world, select(incidents).where(incidents.c.id == number))[0]

    assert agent.post("/incidents", do="confirm", incident=str(number)).status_code == 303
    assert (row().state, row().confirmed_by, row().known_since) == ("confirmed", "agent-1", at)
    agent.post("/incidents", do="confirm", incident=str(number), since="2026-01-02T03:04")
    assert row().known_since.isoformat() == "2026-01-02T02:04:00+00:00"
    assert agent.post("/incidents", do="close", incident=str(number)).status_code == 303 and row().state == "closed"
    assert f'id="i{number}"' not in agent.get("/incidents").text
    assert f'id="i{number}"' in agent.get("/incidents?tab=all").text
    did = [
        (line.what, line.who)
        for line in rows(world, select(audit).where(audit.c.kind == "incident").order_by(audit.c.id))
    ]
    assert did == [("confirm", "agent-1"), ("confirm", "agent-1"), ("close", "agent-1")]


def test_two_see_each_other(world: World, people: dict[str, Person]) -> None:
    path = f"/tickets/{reference_of(world, 'Server down')}"
    people["agent"].post(f"{path}/presence", state="writing")
    there = people["lead"].post(f"{path}/presence", state="here").json()
    assert [(one["who"], one["writing"]) for one in there] == [("agent-1", True)]
    people["agent"].post(f"{path}/presence", state="gone")
    assert people["lead"].post(f"{path}/presence", state="gone").json() == []


def test_a_mail_is_explained_and_nothing_is_kept(world: World, people: dict[str, Person]) -> None:
    before = len(rows(world, select(tickets.c.id)))
    files = {"mail": ("x.eml", hostile_mail(), "message/rfc822")}
    page = people["agent"].client.post("/explain", data={"csrf": people["agent"].csrf}, files=files)
    assert page.status_code == 200 and "unknown" in page.text and "<script>alert" not in page.text
    assert len(rows(world, select(tickets.c.id))) == before
    for junk in (b"\x00" * 10, b"no mail at all"):
        files = {"mail": ("x.eml", junk, "message/rfc822")}
        assert (
            people["agent"].client.post("/explain", data={"csrf": people["agent"].csrf}, files=files).status_code == 200
        )


def test_no_request_is_our_fault(world: World, people: dict[str, Person]) -> None:
    """Every address with odd values in every place: an answer, never a fault of ours, and none in the log."""
    import itertools
    import random

    admin, chance = people["admin"], random.Random(23)
    odd = [
        "",
        "0",
        "-1",
        "9" * 17,
        "9" * 30,
        "'",
        '"',
        "%00",
        "\x00",
        "a" * 5000,
        "ä\u202e",
        "../..",
        "T-0000000",
        "[]",
        "NaN",
        "\ud7ff",
        "²",
    ]
    reference = reference_of(world, "Server down")
    paths = [
        "/", "/queue/rows", "/held", "/outbox", "/numbers", "/status", "/templates", "/users", "/audit", "/account",
        f"/tickets/{reference}", "/tickets/{}", "/held/{}", "/held/{}/raw", "/templates/{}/{}", "/welcome/{}",
        f"/tickets/{reference}/mails/{{}}/page", f"/tickets/{reference}/files/{{}}", "/static/{}",
    ]  # fmt: skip
    names = ["state", "words", "page", "owner", "tag", "account", "tab", "before", "trust"]
    for path, value in itertools.product(paths, odd):
        url = httpx.URL(world.url).copy_with(path=path.replace("{}", value.replace("\x00", "%00") or "x"))
        answer = admin.client.get(url, params={name: chance.choice(odd) for name in chance.sample(names, 4)})
        assert answer.status_code < 500, (path, value)
    posts = {
        f"/tickets/{reference}/act": ["note", "assign", "tag", "snooze", "wake", "link", "reopen", "wait", "x"], "/users": ["add", "reset", "disable", "role", "x"],
        f"/tickets/{reference}/answer": ["send", "close"], f"/tickets/{reference}/correct": [""], f"/tickets/{reference}/merge": [""],
        f"/tickets/{reference}/release": [""], f"/tickets/{reference}/draft": [""], "/held": ["release", "discard", "replay", "x"],
        "/outbox": ["retry", "discard", "x"], "/queue/bulk": ["take", "close", "tag", "x"], "/queue/views": ["save"], "/explain": [""],
    }  # fmt: skip
    fields = [
        "text",
        "to",
        "tag",
        "untag",
        "for",
        "name",
        "role",
        "entry",
        "message",
        "row",
        "ticket",
        "seen",
        "department",
        "query",
        "mail",
        "tab",
    ]
    for path, acts in posts.items():
        for act, _ in itertools.product(acts, range(4)):
            form = {name: chance.choice(odd) for name in fields} | {
                "do": act,
                "name": "fuzz" + chance.choice(["", "²", "\u202e", "/"]),
            }
            assert admin.post(path, **form).status_code < 500, (path, form)
    faults = [event for event in world.daemon.events if event["event"] == "loop_fault" or event.get("level") == "error"]
    assert faults == []
