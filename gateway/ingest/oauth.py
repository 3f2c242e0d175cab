"""Access tokens for XOAUTH2 (RFC 6749): refreshed at half their life, a rotated refresh token saved before it is
used."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.parse
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gateway import log
from gateway.ingest import token_server
from gateway.ingest.settings import Oauth2

LIFE_S = 3600.0  # where the server does not say


class TokenRefused(Exception):
    """The token server refuses us: a person has to look. The text is its error code."""


class TokenUnavailable(Exception):
    """No token now; later perhaps."""


class Tokens:
    """The tokens of one account. ``access`` blocks for at most ``timeout`` seconds."""

    def __init__(self, settings: Oauth2, saved: Path, clock: Callable[[], datetime], timeout: float) -> None:
        self._settings, self._saved, self._clock, self._timeout = settings, saved, clock, timeout
        self._token = ""
        self._rotated = ""  # a rotated refresh token that is not on the disk yet
        self._fresh_until: datetime | None = None
        self.expires_at: datetime | None = None

    def access(self, anew: bool = False) -> str:
        """A token that is good for now; asked for again after half its life, or when ``anew``.

        Raises:
            TokenRefused, TokenUnavailable: and no older token is still good.
        """
        now = self._clock()
        if not anew and self._token and self._fresh_until is not None and now < self._fresh_until:
            return self._token
        try:
            self._refresh(now)
        except TokenUnavailable:
            if anew or not self._token or self.expires_at is None or now >= self.expires_at:
                raise
        return self._token

    def _refresh(self, now: datetime) -> None:
        form = {"client_id": self._settings.client_id}
        secret = self._file(self._settings.client_secret_file)
        if secret:
            form["client_secret"] = secret
        if self._settings.wanted_scope:
            form["scope"] = self._settings.wanted_scope
        refresh = self._refresh_token()
        form |= (
            {"grant_type": "refresh_token", "refresh_token": refresh}
            if refresh
            else {"grant_type": "client_credentials"}
        )
        answer = self._ask(form)
        rotated = answer.get("refresh_token")
        if isinstance(rotated, str) and rotated and refresh and rotated != refresh:
            self._rotated = rotated
        if self._rotated:
            self._save(self._rotated)
        try:
            life = float(answer.get("expires_in", LIFE_S))
        except (TypeError, ValueError):
            life = LIFE_S
        life = min(max(life, 1.0), 90 * 86400.0)
        self._token = str(answer["access_token"])
        self.expires_at = now + timedelta(seconds=life)
        self._fresh_until = now + timedelta(seconds=life / 2)

    def _ask(self, form: dict[str, str]) -> dict[str, Any]:
        try:
            status, body = token_server.posted(self._settings.url, urllib.parse.urlencode(form).encode(), self._timeout)
            if status in (400, 401, 403):
                raise TokenRefused(f"{status} {_error_code(body)}".strip())
            if status != 200:
                raise TokenUnavailable(f"the token server answers {status}")
            answer = json.loads(body)
        except (OSError, ValueError) as error:
            raise TokenUnavailable(f"the token server: {type(error).__name__}") from error
        if (
            not isinstance(answer, dict)
            or not isinstance(answer.get("access_token"), str)
            or not answer["access_token"]
        ):
            raise TokenUnavailable("the token server gave no token")
        return answer

    # -- the refresh token

    @staticmethod
    def _file(path: Path | None) -> str:
        try:
            return path.read_text(encoding="utf-8").strip() if path is not None else ""
        except (OSError, UnicodeDecodeError) as error:
            raise TokenUnavailable(f"{path} cannot be read") from error

    def _refresh_token(self) -> str:
        """The rotated one, unless the admin has put a new one into the file since."""
        given = self._file(self._settings.refresh_token_file)
        if not given or self._rotated:
            return self._rotated
        try:
            saved = json.loads(self._saved.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return given
        mine = isinstance(saved, dict) and saved.get("origin") == _digest(given)
        return str(saved["refresh_token"]) if mine and saved.get("refresh_token") else given

    def _save(self, rotated: str) -> None:
        """Replaces the saved token by rename, synced: the old one may be worthless from now on. When the disk does not
        take it, it is kept in memory and saved at the next refresh."""
        origin = _digest(self._file(self._settings.refresh_token_file))
        fresh = self._saved.with_suffix(".new")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump({"origin": origin, "refresh_token": rotated}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self._saved)
            self._rotated = ""
        except OSError as error:
            log.warning("token_not_saved", file=str(self._saved), error=error.strerror or type(error).__name__)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _error_code(body: bytes) -> str:
    """The ``error`` of an error answer (RFC 6749 section 5.2); never its description, which may hold anything."""
    try:
        answer = json.loads(body)
        code = answer.get("error", "") if isinstance(answer, dict) else ""
    except ValueError:
        return ""
    return code if isinstance(code, str) and code.replace("_", "").isalnum() and len(code) < 40 else ""
