"""The [http] listener: whoever is slow, large or many costs nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gateway import http

Talk = Callable[[int], Awaitable[None]]


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body; ``/unheard`` without hearing it, ``/fault`` not at all, ``/endless`` for ever."""
    if scope["path"] == "/fault":
        raise RuntimeError("secret words")
    if scope["path"] == "/endless":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    count, more = 0, scope["path"] != "/unheard"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        count, more = count + len(message["body"]), message["more_body"]
    body = str(count).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def served(talk: Talk, **limits: Any) -> None:
    """Talks to a listener with these limits."""

    async def run() -> None:
        listener = http.Listener(_app, http.Limits(**limits))
        server = await asyncio.start_server(listener, "127.0.0.1", 0)
        try:
            async with asyncio.timeout(30):
                await talk(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            listener.close()
            await asyncio.sleep(0)

    asyncio.run(run())


async def _asked(port: int, request: bytes) -> bytes:
    """All that is answered until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n"
LAST = b"Connection: close\r\n"


def test_requests_follow_each_other_on_one_connection() -> None:
    async def talk(port: int) -> None:
        post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
        unheard = b"POST /unheard HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
        answer = await _asked(port, GET % (b"", b"") + post + unheard + GET % (b"", LAST))
        assert answer.count(b"HTTP/1.1 200") == 4 and b"\r\n\r\n5HTTP/1.1" in answer
        large = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
        assert (await _asked(port, large)).endswith(b"\r\n\r\n3000000")

    served(talk)


def test_what_is_slow_is_cut() -> None:
    async def talk(port: int) -> None:
        assert b"408" in (await _asked(port, b"GET / HTTP/1.1\r\nHost: "))[:20]
        assert await _asked(port, b"") == b""
        answer = await _asked(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nslow")
        assert b" 200 " not in answer
        reader, writer = await asyncio.open_connection("127.0.0.1", port)  # takes nothing of an endless answer
        writer.write(GET % (b"endless", b""))
        await asyncio.sleep(1.5)
        while await reader.read(1 << 20):
            pass
        writer.close()

    served(talk, head=0.3, body=0.3, send=0.3, linger=0.3)


def test_what_is_large_or_no_http_is_refused() -> None:
    async def talk(port: int) -> None:
        assert b"413" in (await _asked(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"))[:20]
        assert b"400" in (await _asked(port, GET % (b"", b"X: " + b"y" * 80_000 + b"\r\n")))[:20]
        for junk in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                     b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx"):  # fmt: skip
            assert b" 200 " not in await _asked(port, junk)
        for chunk in (b"zz\r\n", b"1\r\naXX"):
            broken = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
            assert b" 400 " in (await _asked(port, broken))[:20]
        head = await _asked(port, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + GET % (b"", LAST))
        assert head.count(b"HTTP/1.1 200") == 2 and head.endswith(b"\r\n\r\n0")
        fault = await _asked(port, GET % (b"fault", b""))
        assert b"500" in fault[:20] and b"secret" not in fault

    served(talk, linger=0.3)


def test_who_is_silent_makes_room_for_who_speaks() -> None:
    async def talk(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        for _ in range(20):
            assert b" 200 " in await _asked(port, GET % (b"", LAST))
        for _, writer in silent:
            writer.close()

    served(talk, connections=8)


def test_who_is_slow_with_a_body_makes_room_too() -> None:
    async def talk(port: int) -> None:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        for _, writer in slow:
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nslow")
            await writer.drain()
        for _ in range(20):
            assert b" 200 " in await _asked(port, GET % (b"", LAST))
        for _, writer in slow:
            writer.close()

    served(talk, connections=8)
