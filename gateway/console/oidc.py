"""Login by OpenID Connect (authorization code flow with PKCE: OpenID Connect Core section 3.1, RFC 7636), by authlib.

State, nonce and verifier travel in a cookie of ours, signed and good for ten minutes. Who comes back is a user of ours
by the address that the provider says it has verified; which one, the configuration says, never the provider.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import secrets
import time
import warnings
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway import log
from gateway.console import door
from gateway.console.lent import Service
from gateway.console.login import NO_TLS, give_cookie, inside
from gateway.console.settings import Oidc
from gateway.database import users
from gateway.model import Told
from gateway.tickets import audit
from gateway.tickets.audit import Act

PATIENCE_S = 600.0  #: for who logs in over there
KNOWN_S = 3600.0  #: for which the provider's description is believed
TIMEOUT_S = 10.0
LEEWAY_S = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
SORRY = "The login did not work. Try again, or ask an admin whether you are a user of the console."
AWAY = "The provider of logins cannot be reached at the moment. Try again in a minute."
MISSING = "OpenID Connect needs the package's extra: pip install 'introserv-mail-gateway[oidc]'."


class NoLogin(Told):
    """The login did not work; the text is for the log, not for who tries."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """For whom the provider vouches: the verified ``address``, lower-case."""

    address: str


def sealed(key: bytes, values: dict[str, str]) -> str:
    """Values for a cookie that nobody else can write."""
    body = base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
    return f"{body}.{hmac.new(key, b'oidc:' + body.encode(), sha256).hexdigest()}"


def unsealed(key: bytes, cookie: str, now: float) -> dict[str, str]:
    """What ``sealed`` made.

    Raises:
        NoLogin: it is not ours, or too old.
    """
    body, _, mark = cookie.rpartition(".")
    if not hmac.compare_digest(hmac.new(key, b"oidc:" + body.encode(), sha256).hexdigest(), mark):
        raise NoLogin("no login was begun here")
    values: dict[str, str] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    if float(values["until"]) < now:
        raise NoLogin("the login took too long")
    return values


class Provider:
    """The provider of logins of the configuration."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: tuple[float, str, dict[str, Any]] = (0.0, "", {})
        self._lock = asyncio.Lock()

    @property
    def _settings(self) -> Oidc:
        return self._service.desk().settings.oidc

    @property
    def _key(self) -> bytes:
        return self._service.store.keys[self._service.store.key_id]

    # -- there and back

    async def leave(self, request: Request) -> Response:
        """Redirects to the provider's login, with state, nonce and PKCE verifier sealed in a cookie."""
        place = request.state.place
        if not self._settings.issuer:
            return self._refused(404, "There is no such page.")
        if not place.trusted:
            return self._refused(403, NO_TLS)
        try:
            found = await self._described()
        except Exception as error:  # whatever the provider answered, or the package is missing
            log.warning("oidc_unreachable", issuer=self._settings.issuer, error=type(error).__name__)
            return self._refused(503, MISSING if isinstance(error, ImportError) else AWAY)
        values = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        url, _ = self._client(request, values["state"]).create_authorization_url(
            found["authorization_endpoint"],
            state=values["state"],
            nonce=values["nonce"],
            code_verifier=values["verifier"],
        )
        kept = values | {
            "then": inside(request.query_params.get("then", ""))[:500],
            "until": str(time.time() + PATIENCE_S),
        }
        response = RedirectResponse(url, 303)
        response.set_cookie(
            _cookie(place), sealed(self._key, kept), max_age=int(PATIENCE_S), secure=place.secure, httponly=True,
            samesite="lax"
        )  # fmt: skip
        return door.shielded(response)

    async def back(self, request: Request) -> Response:
        """From the provider. Why it did not work is in the log; who tries hears the same of everything."""
        place = request.state.place
        if not self._settings.issuer or not place.trusted:
            return self._refused(404, "There is no such page.")
        try:
            kept = unsealed(self._key, request.cookies.get(_cookie(place), ""), time.time())
            vouched = await self._vouched(request, kept)
            token = await self._entered(request, vouched)
        except Exception as error:  # whatever the provider answered
            log.warning("oidc_refused", error=str(error)[:200] if isinstance(error, Told) else type(error).__name__)
            response = self._refused(403, SORRY)
        else:
            response = door.shielded(RedirectResponse(kept["then"], 303))
            give_cookie(response, place, token)
        response.delete_cookie(_cookie(place), secure=place.secure, httponly=True, samesite="lax")
        return response

    def _refused(self, status: int, said: str) -> Response:
        return door.shielded(door.refused(self._service, status, said))

    # -- what the provider says

    def _client(self, request: Request, state: str) -> Any:
        """authlib's client; loaded when somebody logs in."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of authlib about its own next release
            from authlib.integrations.httpx_client import AsyncOAuth2Client
        settings, place = self._settings, request.state.place
        root = self._service.desk().settings.http.url or f"{'https' if place.secure else 'http'}://{place.host}"
        return AsyncOAuth2Client(
            settings.client_id, settings.secret or None, scope="openid email", redirect_uri=f"{root}/login/oidc/back",
            code_challenge_method="S256", state=state, timeout=TIMEOUT_S, follow_redirects=False,
            token_endpoint_auth_method="client_secret_basic" if settings.secret else "none",
        )  # fmt: skip

    async def _described(self) -> dict[str, Any]:
        """The provider's description and keys (OpenID Connect Discovery section 4)."""
        import httpx

        issuer = self._settings.issuer
        async with self._lock:
            if self._known[1] != issuer or time.monotonic() - self._known[0] > KNOWN_S:
                async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
                    found = (await client.get(f"{issuer}/.well-known/openid-configuration")).raise_for_status().json()
                    if str(found["issuer"]).rstrip("/") != issuer:
                        raise NoLogin(f"the provider calls itself {found['issuer']}")
                    found["keys"] = (await client.get(found["jwks_uri"])).raise_for_status().json()
                self._known = (time.monotonic(), issuer, found)
            return self._known[2]

    async def _vouched(self, request: Request, kept: dict[str, str]) -> Vouched:
        given = request.query_params
        if not hmac.compare_digest(kept["state"].encode(), given.get("state", "").encode()):
            raise NoLogin("the state is another one")
        if "code" not in given:
            raise NoLogin(f"the provider says {given.get('error', 'nothing')[:100]}")
        found = await self._described()
        async with self._client(request, kept["state"]) as client:
            answer = await client.fetch_token(
                found["token_endpoint"], code=given["code"], code_verifier=kept["verifier"]
            )
            claims = self._claims(answer, found, kept["nonce"])
            if "email" not in claims:  # Core section 5.4: the address may be told there only
                more = (await client.get(found["userinfo_endpoint"])).raise_for_status().json()
                if more.get("sub") != claims["sub"]:
                    raise NoLogin("the provider speaks of another user")
                claims |= {name: more.get(name) for name in ("email", "email_verified")}
        if not claims.get("email") or claims.get("email_verified") is not True:
            raise NoLogin("the provider has not verified the address")
        return Vouched(str(claims["email"]).lower())

    def _claims(self, answer: dict[str, Any], found: dict[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of the ID token, checked (Core section 3.1.3.7)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from authlib.oidc.core import CodeIDToken
            from joserfc import jwt
            from joserfc.jwk import KeySet
        algorithms = [
            name for name in ALGORITHMS if name in found.get("id_token_signing_alg_values_supported", ALGORITHMS)
        ]
        token = jwt.decode(answer["id_token"], KeySet.import_key_set(found["keys"]), algorithms=algorithms)
        options = {"iss": {"values": [found["issuer"]]}, "aud": {"value": self._settings.client_id}}
        params = {"nonce": nonce, "client_id": self._settings.client_id, "access_token": answer.get("access_token")}
        claims = CodeIDToken(token.claims, token.header, options, params)
        claims.validate(leeway=LEEWAY_S)
        return dict(claims)

    # -- who it is here

    async def _entered(self, request: Request, vouched: Vouched) -> str:
        now, settings = self._service.clock(), self._service.desk().settings
        names = [name for name, address in settings.staff.people.items() if address.lower() == vouched.address]
        address, agent = door.address_of(request, settings), request.headers.get("user-agent", "")

        def entered(connection: Connection) -> str:
            user = users.vouched(connection, names, vouched.address, self._settings.create, now)
            if user is None:
                raise NoLogin(f"no user has the address {log.masked(vouched.address)}")
            audit.write(connection, Act("login", "user", user.name, {"by": "oidc"}), door.person_of(user), now)
            return users.begin_session(connection, user.id, address, agent, now)

        return await self._service.change(entered)


def _cookie(place: door.Place) -> str:
    return "__Host-oidc" if place.secure else "oidc"
