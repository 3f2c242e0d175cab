"""XOAUTH2 against a small real token server: expiry, rotation, refusal, slowness; no mail is lost and the state is seen."""

from __future__ import annotations

import contextlib
import http.server
import json
import stat
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.ingest.oauth import TokenRefused, Tokens, TokenUnavailable
from gateway.ingest.settings import Oauth2
from tests.test_imap import Bench, Ticking, fill


class TokenServer:
    """Answers grants; ``answer`` may be replaced by a status with a body, or by ``slow``."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.flooded = 0  #: octets of an answer without an end
        self.rotate = False
        self.valid: set[str] = set()
        self.answer: tuple[int, Any] | str = ""
        self._release = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                outer.asked.append({key: values[0] for key, values in form.items()})
                if outer.answer == "slow":
                    outer._release.wait(20)
                    return
                if outer.answer in ("drips", "endless"):
                    self.flood(
                        b"x" if outer.answer == "drips" else b"x" * 65536, 0.05 if outer.answer == "drips" else 0
                    )
                    return
                status, body = outer.answer if isinstance(outer.answer, tuple) else (200, outer.grant())
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", str(body))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                outer.asked.append({"GET": self.path})
                self.send_error(404)

            def flood(self, piece: bytes, pause: float) -> None:
                self.send_response(200)
                self.end_headers()
                with contextlib.suppress(OSError):
                    while not outer._release.wait(pause):
                        outer.flooded += len(piece)  # before it is heard: who heard it may look at once
                        self.wfile.write(piece)

            def log_message(self, *_: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def grant(self) -> dict[str, Any]:
        token = f"access-{len(self.asked)}"
        self.valid.add(token)
        found: dict[str, Any] = {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
        return found | ({"refresh_token": f"rotated-{len(self.asked)}"} if self.rotate else {})

    def close(self) -> None:
        self._release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[TokenServer]:
    made = TokenServer()
    yield made
    made.close()


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def settings(folder: Path, server: TokenServer, refresh: bool = True) -> Oauth2:
    (folder / "secret").write_text("the secret\n")
    (folder / "refresh").write_text("first-refresh\n")
    return Oauth2(
        client_id="us", client_secret_file=folder / "secret", token_url=server.url, scope="mail",
        refresh_token_file=folder / "refresh" if refresh else None,
    )  # fmt: skip


def tokens(folder: Path, server: TokenServer, clock: Ticking, **more: Any) -> Tokens:
    return Tokens(settings(folder, server, **more), folder / "saved.json", clock, 0.5)


def test_a_token_is_kept_for_half_its_life(tmp_path: Path, server: TokenServer) -> None:
    clock = Ticking()
    mine = tokens(tmp_path, server, clock)
    assert mine.access() == mine.access() == "access-1"
    assert mine.expires_at == clock.now + timedelta(hours=1)
    clock.now += timedelta(minutes=29)
    assert mine.access() == "access-1"
    clock.now += timedelta(minutes=2)
    assert mine.access() == "access-2"
    assert server.asked[0] == {
        "client_id": "us", "client_secret": "the secret", "scope": "mail", "grant_type": "refresh_token",
        "refresh_token": "first-refresh",
    }  # fmt: skip


def test_without_a_refresh_token_client_credentials_are_used(tmp_path: Path, server: TokenServer) -> None:
    assert tokens(tmp_path, server, Ticking(), refresh=False).access() == "access-1"
    assert server.asked[0]["grant_type"] == "client_credentials"


def test_a_rotated_refresh_token_survives_a_restart(tmp_path: Path, server: TokenServer) -> None:
    server.rotate = True
    tokens(tmp_path, server, Ticking()).access()
    saved = tmp_path / "saved.json"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    tokens(tmp_path, server, Ticking()).access()
    assert [form["refresh_token"] for form in server.asked] == ["first-refresh", "rotated-1"]
    fresh = Tokens(settings(tmp_path, server), saved, Ticking(), 0.5)
    (tmp_path / "refresh").write_text("a new one of the admin\n")
    fresh.access()
    assert server.asked[-1]["refresh_token"] == "a new one of the admin"


def test_a_rotated_token_that_cannot_be_saved_is_used_and_saved_later(tmp_path: Path, server: TokenServer) -> None:
    server.rotate = True
    clock = Ticking()
    mine = Tokens(settings(tmp_path, server), tmp_path / "none" / "saved.json", clock, 0.5)
    assert mine.access() == "access-1"
    (tmp_path / "none").mkdir()
    clock.now += timedelta(hours=2)
    assert mine.access() == "access-2"
    assert server.asked[1]["refresh_token"] == "rotated-1"
    assert "rotated-2" in (tmp_path / "none" / "saved.json").read_text()


@pytest.mark.fault("X62")
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_grant", "error_description": "secret words"}), TokenRefused),
        ((401, "no json"), TokenRefused), ((503, ""), TokenUnavailable), ((200, "no json"), TokenUnavailable),
        ((200, {"nothing": 1}), TokenUnavailable), ((200, [1]), TokenUnavailable), ("slow", TokenUnavailable),
    ],
)  # fmt: skip
def test_what_goes_wrong_has_its_kind(tmp_path: Path, server: TokenServer, answer: Any, error: type[Exception]) -> None:
    server.answer = answer
    with pytest.raises(error) as caught:
        tokens(tmp_path, server, Ticking()).access()
    assert "secret" not in str(caught.value)


@pytest.mark.fault("X62")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_nowhere(tmp_path: Path, server: TokenServer, status: int) -> None:
    elsewhere = TokenServer()
    try:
        server.answer = (status, elsewhere.url)
        with pytest.raises(TokenUnavailable, match=str(status)):
            tokens(tmp_path, server, Ticking()).access()
        assert elsewhere.asked == []
    finally:
        elsewhere.close()


@pytest.mark.fault("X62")
@pytest.mark.parametrize("answer", ["drips", "endless"])
def test_an_answer_without_an_end_takes_neither_time_nor_memory(
    tmp_path: Path, server: TokenServer, answer: str
) -> None:  # fmt: skip
    server.answer = answer
    with pytest.raises(TokenUnavailable):
        tokens(tmp_path, server, Ticking()).access()
    assert 0 < server.flooded < 32 * 1024**2


def test_a_token_that_is_still_good_bridges_a_server_that_is_away(tmp_path: Path, server: TokenServer) -> None:
    clock = Ticking()
    mine = tokens(tmp_path, server, clock)
    mine.access()
    server.answer = (503, "")
    clock.now += timedelta(minutes=45)
    assert mine.access() == "access-1"
    clock.now += timedelta(minutes=16)
    with pytest.raises(TokenUnavailable):
        mine.access()


def reading(at: Bench, server: TokenServer, most: int = 30, until: Any = None) -> Any:
    at.server.accept_token = lambda token: token in server.valid
    return at.read(tokens=tokens(at.folder, server, at.clock), most=most, until=until)


def test_mail_is_read_with_a_token_and_its_expiry_is_seen(at: Bench, server: TokenServer) -> None:
    fill(at)
    reading(at, server)
    assert len(at.rows()) == 5
    assert at.source().token_expires_at is not None
    assert at.server.steps("LOGIN") == []


def test_a_token_that_the_mailbox_refuses_is_renewed_once(at: Bench, server: TokenServer) -> None:
    fill(at)
    first = at.server.steps
    server.valid = set()
    server.grant = lambda: {"access_token": f"t{len(server.asked)}", "expires_in": 3600}  # type: ignore[method-assign]
    server.valid.add("t2")  # the first one is revoked at once
    halt = reading(at, server)
    assert first("AUTHENTICATE") == ["t1", "t2"]
    assert len(at.rows()) == 5
    assert halt.pauses == []


def test_a_refused_grant_is_auth_failed_and_no_mail_is_lost(at: Bench, server: TokenServer) -> None:
    fill(at)
    server.answer = (400, {"error": "invalid_grant"})
    halt = reading(at, server, most=3, until=lambda: False)
    assert at.source().state == "auth_failed"
    assert "invalid_grant" in at.source().error
    assert min(halt.pauses) >= 300
    server.answer = ""
    reading(at, server)
    assert len(at.rows()) == 5


@pytest.mark.fault("X62")
def test_a_slow_token_server_is_away_and_no_mail_is_lost(at: Bench, server: TokenServer) -> None:
    fill(at)
    server.answer = "slow"
    halt = reading(at, server, most=2, until=lambda: False)
    assert at.source().state == "away"
    assert max(halt.pauses) < 60
    server.answer = ""
    reading(at, server)
    assert len(at.rows()) == 5
