"""No expression of the package can be made to hang: every one is found here by itself, and timed at its work.

The expressions of every module are replaced by clocks around them, and mails are read that are written to hang expressions: in
the text, in HTML, in the headers. What counts is what an expression meets there, after the caps and the cheap signs before it.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import gateway
from gateway.read.late import Late
from gateway.read.reading import Hints, read
from gateway.read.secrets.credentials import Detector

ROOT = Path(gateway.__file__).parent
LIMIT_S = 0.1
MB = 1_000_000
HINTS = Hints("a@b.example", datetime(2026, 11, 22, 16, tzinfo=UTC), "Europe/Berlin")
METHODS = ("search", "match", "fullmatch", "findall", "sub", "subn", "split")


class Clock:
    """An expression, or the ``re`` of a module, that tells how long each of its calls took."""

    def __init__(self, name: str, target: Any, took: dict[str, float]) -> None:
        self._name, self._target, self._took = name, target, took

    def __getattr__(self, key: str) -> Any:
        found = getattr(self._target, key)
        if key == "finditer":
            return self._lazily
        return self._timed(found) if key in METHODS else found

    def _note(self, spent: float) -> None:
        self._took[self._name] = max(self._took.get(self._name, 0.0), spent)

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return call(*given, **named)
            finally:
                self._note(time.thread_time() - began)

        return timed

    def _lazily(self, *given: Any, **named: Any) -> Iterator[Any]:
        matches = self._target.finditer(*given, **named)
        while True:
            began = time.thread_time()
            match = next(matches, None)
            self._note(time.thread_time() - began)
            if match is None:
                return
            yield match


def modules() -> list[ModuleType]:
    """Every module that reading a mail can touch."""
    names = [module.name for module in pkgutil.walk_packages([str(ROOT)], "gateway.")]
    return [
        importlib.import_module(name) for name in names if not name.startswith(("gateway.__main__", "gateway.data"))
    ]


@pytest.fixture
def took(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The longest call of each expression so far."""
    found: dict[str, float] = {}
    for module in modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, re.Pattern | Late):
                monkeypatch.setattr(module, name, Clock(f"{module.__name__}.{name}", value, found))
            elif isinstance(value, tuple) and value and all(isinstance(item, Detector) for item in value):
                for number, item in enumerate(value):
                    clock = Clock(f"{module.__name__}.{name}[{number}]", item.expression, found)
                    monkeypatch.setattr(item, "expression", clock)
            elif value is re:
                monkeypatch.setattr(module, name, Clock(f"{module.__name__}.re", re, found))
    return found


HOSTILE = {
    "digits": "1" * MB, "quotes": ">" * 100_000, "On": "On " * 14_000, "defanged": "1[.]" * 100_000, "blanks": " " * MB, "letters": "a" * MB, "lines": "\n" * 100_000,
    "tabs": "\t" * 100_000, "dots": "1." * 100_000, "colons": "a:" * 100_000, "ats": "a@" * 100_000, "angles": "<" * 100_000, "tags": "<a " * 50_000, "dashes": "-" * 100_000,
    "underscores": "_" * 100_000, "parentheses": "(" * 100_000, "clocks": "down since 12:34 " * 9_000, "since": "since 12 " * 10_000, "wrote": "wrote 12:30 <a@b> " * 6_000,
    "hashes": "#1" * 100_000, "orders": "order no. " * 10_000, "password": "password is " * 8_000, "keys": "-----BEGIN RSA PRIVATE KEY-----" * 4_000, "urls": "http://a:" * 12_000,
    "words": "=?utf-8?q?a" * 9_000, "labels": "From: a 12:30\n" * 9_000, "hexes": "a:b:" * 50_000, "cyrillic": "упал с 12 " * 12_000, "stars": "*" * 100_000, "slashes": "\\'" * 100_000,
    "braces": "{\\a" * 40_000, "quoted": '"' * 100_000, "mixed": "a1" * 100_000, "semicolons": "; a=b" * 20_000, "bare semicolons": ";" * 100_000, "columns": "a 1 " * 25_000, "numbers": "1 2 3 4 " * 12_000,
    "quote lines": "> On 1.1.2026 12:30 a wrote:\n" * 4_000, "attributions": "On 1.1.2026 12:30 a@b\n" * 6_000, "addresses": "1.2.3.4 " * 16_000, "networks": "2001:db8::/32 " * 9_000,
    "assigned": "db_password_" * 9_000, "equal": "secret=" * 15_000, "commands": "mysql -u root " * 8_000, "sshpass": "sshpass -h " * 10_000, "one-time": "code code de " * 8_000,
    "seeds": "seed words: abandon ability " * 4_000, "hashed": "$6$" * 33_000, "authorized": "authorization: basic " * 5_000, "begun": "-----BEGIN PRIVATE KEY-----\n" * 4_000,
    "base64": "QUJDREVG" * 12_000, "tokens": "ghp_eyJ.eyJ.sk-" * 7_000, "logins": "root:root/" * 10_000, "xml": "<password " * 10_000, "query": "?token=a&" * 11_000,
    "numbered": "order 123456, " * 9_000, "outages": "server is down. " * 8_000, "cards": "4111 1111 1111 1111 " * 6_000, "dates": "12.11.2026 " * 11_000, "hosts": "a.b.example " * 10_000,
}  # fmt: skip
#: what opens every door: the cheap signs without which the dear expressions are not asked
SIGNS = (
    "My password is / root | Bearer sk-1234567890abcdefgh http://x:y@z.example 4111 1111 1111 1111, attack from 203.0.113.7 port 2, "
    "version 1.2.3.4, 2001:db8::1, order no. 123456, invoice 234567, service x9k2m4p7, down since 12:30:00 on 2026-11-22T12:30, failed: "
    "curl -u a:b mysql redis-cli echo x | sudo net /p: -passin wireguard identified by password( cookie: authorization: ?token= epp code otp cvv pin 12 seed phrase $5$ {{SSHA}} --password <token> "
    "login :5432: hooks.slack private-lines -----BEGIN"
)
CARRIERS = {
    "signs": "From: a@b.example\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    + SIGNS
    + "\r\n{}\r\nThis mail is "
    "confidential and intended only for {} whom On 1.1.2026 12:30 a@b.example wrote:\r\n",
    "text": "From: a@b.example\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n",
    "html": "From: a@b.example\r\nSubject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{}</p>\r\n",
    "subject": "From: a@b.example\r\nSubject: {}\r\n\r\nhello\r\n",
    "answered": "From: a@b.example\r\nSubject: x\r\n\r\n{}\r\n> a quote\r\nand my own words\r\n",
    "part": "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    + "".join(
        f"\r\n--b\r\n{field}\r\n\r\nhello"
        for field in (
            'Content-Type: a/b; name="{}',
            "Content-Disposition: inline{}",
            "Content-Transfer-Encoding: {}",
            "Content-Type: {}",
        )
    )
    + "\r\n--b--\r\n",
    "headers": "From: {}\r\nTo: {}\r\nMessage-ID: {}\r\nReferences: {}\r\nContent-Type: {}\r\nAuto-Submitted: {}\r\n\r\nhello\r\n",
}


def test_the_expressions_are_found_by_themselves(took: dict[str, float]) -> None:
    read(CARRIERS["signs"].format("password: x1y2z3, order #123456", "whoever").encode(), HINTS)
    assert {
        "gateway.read.times.clocks._CLOCK",
        "gateway.read.secrets.secrets._COLON",
        "gateway.read.facts.ips._V4",
    } <= set(took)
    assert len(took) > 60


def test_the_clock_sees_an_expression_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, float] = {}
    Clock("bad", re.compile(r"(1+)+b"), found).search("1" * 25)
    assert found["bad"] > LIMIT_S


@pytest.mark.fault("X33")
@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_no_expression_hangs(took: dict[str, float], kind: str, carrier: str) -> None:
    given = HOSTILE[kind].replace("\n", "\r\n " if carrier in ("subject", "headers", "part") else "\r\n")
    raw = CARRIERS[carrier].replace("{}", given).encode()
    began = time.thread_time()
    read(raw, HINTS)
    whole = time.thread_time() - began
    slow = {name: round(spent, 3) for name, spent in took.items() if spent > LIMIT_S}
    assert slow == {}
    assert whole < 5.0
