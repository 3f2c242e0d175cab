"""Floods of work: domains that do not answer, and mails made to be slow to read, from many networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.floods import Target, flood, forever
from bench.floods.connections import address, connected

DOMAINS, NETWORKS = 240, 24
KB = 1024
DEAD = {f"dead{n}.example": "TIMEOUT" for n in range(DOMAINS)} | {
    f"_dmarc.dead{n}.example": "TIMEOUT" for n in range(DOMAINS)
}


def _head(number: int, domain: str, more: str = "") -> bytes:
    return (
        f"From: a@{domain}\r\nTo: support@introserv.com\r\nMessage-ID: <{number}@{domain}>\r\nSubject: case {number}\r\n{more}\r\n"
    ).encode()


def _repeated(line: bytes, octets: int) -> bytes:
    return line * (octets // len(line))


#: what held readers up: introductions of quotes, quotes below them, an open quote in a part's header, parts without end, deep
#: quotes, tags that are never closed, one long word
BODIES = (
    ("", _repeated(b"1:00 <x> wrote:\r\n", 200 * KB)),
    ("", _repeated(b"On 1 Jan 2026 at 1:00, x <a@b.c> wrote:\r\n> x\r\n>> y\r\n", 200 * KB)),
    (
        "Content-Type: multipart/mixed; boundary=b\r\n",
        b'--b\r\nContent-Type: text/plain; name="' + b";" * 200 * KB + b"\r\n\r\nx\r\n--b--\r\n",
    ),
    (
        "Content-Type: multipart/mixed; boundary=b\r\n",
        _repeated(b"--b\r\nContent-Type: text/html\r\n\r\n<b>x\r\n", 400 * KB),
    ),
    ("Content-Type: text/html\r\n", _repeated(b"<div><blockquote><font size=1><span style='x'>\r\n", 400 * KB)),
    ("", _repeated(b">" * 60 + b" 203.0.113.7 #123456 10:00 1.1.2026\r\n", 400 * KB)),
    ("", _repeated(b"(((([[[[<<<<\"\"\"\"''''", 900) + b"\r\n" + _repeated(b"a1-" * 300 + b"\r\n", 300 * KB)),
)


async def _sent(target: Target, counts: Counter[str], source: int, number: int, raw: bytes, mail_from: str) -> None:
    async with connected(target, address(source), counts) as peer:
        for command in (
            b"EHLO busy.example",
            f"MAIL FROM:<{mail_from}>".encode(),
            b"RCPT TO:<support@introserv.com>",
            b"DATA",
        ):
            if (await peer.say(command))[:1] in "45":
                raise EOFError
        peer.writer.write(raw + b"\r\n.\r\n")
        await peer.writer.drain()
        if (await peer.answer()).startswith("250"):
            counts["mails taken"] += 1


def _rechecks(folder: Path) -> Mapping[str, dict[str, Any]]:
    """Soon, so that they come on top of the flood, and nothing is left to be done half an hour later."""
    return {"verify": {"rechecks": ["5s", "10s", "15s", "20s"]}}


@flood(
    "slow-dns",
    f"tiny mails of {DOMAINS} domains that do not answer, {NETWORKS} networks",
    sections=_rechecks,
    zone=DEAD,
)
async def slow_dns(target: Target, counts: Counter[str]) -> None:
    """As many as are taken; each domain is asked for again and again."""

    async def one(source: int) -> None:
        number = counts["tried"]
        counts["tried"] += 1
        domain = f"dead{number % DOMAINS}.example"
        await _sent(target, counts, source, number, _head(number, domain) + b"Hello\r\n", f"a@{domain}")

    await forever(NETWORKS, one, 0.5)


@flood("hostile", f"mails that are slow to read, {NETWORKS} networks")
async def hostile(target: Target, counts: Counter[str]) -> None:
    """Of every kind that was slow once."""

    async def one(source: int) -> None:
        number = counts["tried"]
        counts["tried"] += 1
        more, body = BODIES[number % len(BODIES)]
        await _sent(
            target, counts, source, number, _head(number, f"h{number}.example", more) + body, f"a@h{number}.example"
        )

    await forever(NETWORKS, one, 0.5)
