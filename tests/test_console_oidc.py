"""Login by OpenID Connect against a provider that is one: state, nonce, PKCE, the verified address, and who that is here."""

from __future__ import annotations

import base64
import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import select

from gateway.console import oidc
from gateway.database import users
from gateway.database.tables import audit
from tests.peers.console_world import World
from tests.peers.harness import LoopbackPeers
from tests.samples import NOW

with warnings.catch_warnings():  # of authlib about its own next release
    warnings.simplefilter("ignore")
    import oidc_provider_mock

pytestmark = pytest.mark.filterwarnings("ignore")  # the provider's: it runs in this process

PEOPLE = (
    oidc_provider_mock.User(sub="1", claims={"email": "Olena@introserv.example", "email_verified": True}),
    oidc_provider_mock.User(sub="2", claims={"email": "max@introserv.example", "email_verified": False}),
    oidc_provider_mock.User(sub="3", claims={"email": "stranger@elsewhere.example", "email_verified": True}),
    oidc_provider_mock.User(sub="4", claims={"email": "gone@introserv.example", "email_verified": True}),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("oidc")
    (folder / "secret").write_text("a-secret\n")
    (folder / "secret").chmod(0o600)
    with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=PEOPLE) as provider:
        peers = LoopbackPeers()
        known = {
            "issuer": f"http://127.0.0.1:{provider.server_port}",
            "client_id": "desk",
            "secret_file": str(folder / "secret"),
        }
        people = {"olena": "olena@introserv.example", "max": "max@introserv.example"}
        made = World(folder, peers, oidc=known, staff={"people": people})
        for name in ("olena", "max", "gone@introserv.example"):
            made.store.write_now(lambda connection, one=name: users.add(connection, one, "agent", NOW))  # type: ignore[misc]
        made.store.write_now(lambda connection: users.disable(connection, "gone@introserv.example"))
        yield made
        made.close()
        peers.close()


def left(client: httpx.Client, then: str = "") -> str:
    """The address of the provider to which the login page leads."""
    answer = client.get(f"/login/oidc{then}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def agreed(url: str, sub: str) -> str:
    """What the provider sends back for this user: path and query at the console."""
    back = httpx.post(url, data={"sub": sub}).headers["location"]
    return back.partition("/login/")[2].join(("/login/", ""))


def test_who_is_known_and_verified_gets_in_and_nobody_else(world: World) -> None:
    assert "Log in with 127.0.0.1" in world.client().get("/login").text
    client = world.client()
    url = left(client, "?then=/held")
    asked = parse_qs(urlsplit(url).query)
    assert asked["code_challenge_method"] == ["S256"] and asked["nonce"] and asked["response_type"] == ["code"]
    back = agreed(url, "1")
    answer = client.get(back)
    assert answer.status_code == 303 and answer.headers["location"] == "/held", world.daemon.events
    page = client.get("/account")
    assert page.status_code == 200 and "olena" in page.text
    assert client.get(back).status_code == 403  # a code and its state count once
    for sub in ("2", "3", "4"):  # not verified; nobody here; disabled
        other = world.client()
        refused = other.get(agreed(left(other), sub))
        assert refused.status_code == 403 and oidc.SORRY in refused.text and other.get("/").status_code == 303, sub
    login = select(audit.c.object, audit.c.detail).where(audit.c.what == "login")
    said = world.store.read_now(lambda connection: connection.execute(login).all())
    assert [(row.object, row.detail) for row in said] == [("olena", {"by": "oidc"})]
    csrf = page.text.partition('name="csrf" content="')[2].partition('"')[0]
    assert client.post("/logout", data={"csrf": csrf}).status_code == 303 and client.get("/").status_code == 303


def test_what_was_not_begun_here_is_refused(world: World) -> None:
    client = world.client()
    back = agreed(left(client), "1")
    stranger = world.client()
    assert stranger.get(back).status_code == 403  # login CSRF: another's code in this browser
    client = world.client()
    back = agreed(left(client), "1")
    assert client.get(back.replace("state=", "state=x")).status_code == 403
    client = world.client()
    url = left(client)
    key = world.store.keys[world.store.key_id]
    kept = oidc.unsealed(key, client.cookies["oidc"], 0.0)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(kept["verifier"].encode()).digest()).decode().rstrip("=")
    assert parse_qs(urlsplit(url).query)["code_challenge"] == [challenge]  # RFC 7636 section 4.2
    cookie = f"oidc={oidc.sealed(key, kept | {'nonce': 'x' * 43})}"  # the token was made for another login
    assert httpx.get(world.url + agreed(url, "1"), headers={"cookie": cookie}).status_code == 403
    for path in ("/login/oidc/back", "/login/oidc/back?code=x&state=y", "/login/oidc/back?error=access_denied"):
        assert world.client().get(path).status_code == 403
    with pytest.raises(oidc.NoLogin):
        oidc.unsealed(b"k", oidc.sealed(b"k", {"until": "5"}), 6.0)
    with pytest.raises(oidc.NoLogin):
        oidc.unsealed(b"k", oidc.sealed(b"other", {"until": "7"}), 6.0)
    faults = [event for event in world.daemon.events if event["event"] == "loop_fault"]
    assert faults == []


def test_a_user_is_made_only_where_a_role_says_so(world: World) -> None:
    store = world.store

    def asked(address: str, create: str) -> str | None:
        row = store.write_now(lambda connection: users.vouched(connection, (), address, create, NOW))
        return row.role if row is not None else None

    assert asked("new@introserv.example", "") is None
    assert asked("new@introserv.example", "auditor") == "auditor" and asked("new@introserv.example", "") == "auditor"
    assert asked("gone@introserv.example", "admin") is None
