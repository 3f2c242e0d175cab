"""The reader processes: what becomes of a mail whose reading sleeps, dies, fails or is slow to arrive."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.model import Reading
from gateway.reader import NoReader, ReaderFailed, Readers
from gateway.reading import Hints, read
from tests.test_smtp import WHEN

HINTS = Hints("anna@example.de", WHEN, "Europe/Berlin", "")
MAIL = b"From: Anna <anna@example.de>\r\nSubject: %s\r\n\r\nHello\r\n"


def odd(raw: bytes | bytearray, hints: Hints) -> Reading:
    """Does what the Subject says, in the reader process."""
    if b"sleep" in raw:
        time.sleep(3600)
    if b"die" in raw:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"raise" in raw:
        raise ValueError("nobody expected it")
    reading = read(raw, hints)
    if b"who" in raw:
        object.__setattr__(reading.parsed, "subject", str(os.getpid()))
    return reading


def run(
    work: Callable[[Readers], Awaitable[None]],
    limit: float,
    loop: asyncio.AbstractEventLoop | None = None,
    count: int = 1,
) -> None:
    async def main() -> None:
        readers = Readers(count, limit, odd)
        try:
            async with asyncio.timeout(86400):
                await readers.start()
                await work(readers)
        finally:
            readers.stop()

    with asyncio.Runner(loop_factory=None if loop is None else lambda: loop) as runner:
        runner.run(main())


@pytest.mark.parametrize(
    ("subject", "reason", "replaced"),
    [
        (b"sleep", "took longer than 0.5 s", True),
        (b"die", "SIGSEGV", True),
        (b"raise", "reading failed: ValueError", False),
    ],
)
def test_a_mail_that_cannot_be_read_costs_itself(subject: bytes, reason: str, replaced: bool) -> None:
    async def work(readers: Readers) -> None:
        (before,) = readers.pids
        with pytest.raises(ReaderFailed, match=reason):
            await readers.read(MAIL % subject, HINTS)
        assert (await readers.read(MAIL % b"next", HINTS)).parsed.subject == "next"
        assert (readers.pids != [before]) == replaced

    run(work, 0.5)


class Jumping(asyncio.SelectorEventLoop):
    """Its clock can be put forward, as it is when a machine was paused."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def test_a_machine_that_stood_still_costs_no_mail() -> None:
    loop = Jumping()

    async def work(readers: Readers) -> None:
        reading = asyncio.create_task(readers.read(MAIL % b"paused", HINTS))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.ahead = 3600.0
        assert (await reading).parsed.subject == "paused"

    run(work, 10.0, loop)


def test_a_mail_that_arrives_slowly_is_read() -> None:
    """The limit is for the reader; a database that gives the pieces slowly is not its fault."""
    loop = Jumping()
    whole = MAIL % b"slow" + b"more\r\n" * 100

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), 20):
            loop.ahead += 9.0
            for _ in range(3):
                await asyncio.sleep(0)
            yield whole[start : start + 20]

    async def work(readers: Readers) -> None:
        assert (await readers.read_pieces(pieces(), len(whole), HINTS)).parsed.subject == "slow"

    run(work, 10.0, loop)


def test_a_reader_that_cannot_be_started_costs_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process to be had for a while: the mails are told so, and are read when there is one again."""

    async def work(readers: Readers) -> None:
        real = type(readers._context.Process()).start  # type: ignore[attr-defined]

        def refused(process: object) -> None:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        with monkeypatch.context() as patched:
            patched.setattr(readers._context.Process, "start", refused)  # type: ignore[attr-defined]
            with pytest.raises(ReaderFailed, match="SIGSEGV"):
                await readers.read(MAIL % b"die", HINTS)
            for _ in range(3):
                with pytest.raises(NoReader, match="BlockingIOError"):
                    await readers.read(MAIL % b"later", HINTS)
        assert readers._context.Process.start is real  # type: ignore[attr-defined]
        assert (await readers.read(MAIL % b"later", HINTS)).parsed.subject == "later"

    run(work, 10.0)


def test_the_next_mail_goes_to_a_reader_that_is_there() -> None:
    """Two readers; while one that died is being replaced, however long that takes, its neighbour reads."""

    async def work(readers: Readers) -> None:
        held = threading.Event()
        fresh = readers._fresh

        def slow() -> object:
            assert held.wait(20)
            return fresh()

        readers._fresh = slow  # type: ignore[method-assign, assignment]
        with pytest.raises(ReaderFailed):
            await readers.read(MAIL % b"die", HINTS)
        try:
            for _ in range(3):
                assert (await readers.read(MAIL % b"next", HINTS)).parsed.subject == "next"
        finally:
            held.set()

    run(work, 10.0, count=2)


def test_one_reader_takes_mail_after_mail_until_one_holds_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mails at once, all read by one process, as long as none of them takes long; then its neighbour has the turn."""

    async def by(readers: Readers) -> int:
        return int((await readers.read(MAIL % b"who", HINTS)).parsed.subject)

    async def work(readers: Readers) -> None:
        with monkeypatch.context() as patched:
            patched.setattr("gateway.reader.HELD_UP_S", 3600.0)
            (warm,) = set(await asyncio.gather(*(by(readers) for _ in range(8))))
        (neighbour,) = set(readers.pids) - {warm}
        stuck = asyncio.create_task(readers.read(MAIL % b"sleep", HINTS))
        await asyncio.sleep(0)
        assert set(await asyncio.gather(*(by(readers) for _ in range(8)))) == {neighbour}
        assert not stuck.done()
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
        assert await by(readers) == neighbour

    run(work, 60.0, count=2)
