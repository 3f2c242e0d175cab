"""The reader processes: what becomes of a mail whose reading sleeps, dies, fails or is slow to arrive."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.database.inbox import Claimed
from gateway.judge import DEATHS, Hand, Judge
from gateway.model import Reading, Turn
from gateway.read.fork_server import ForkServer, name_of
from gateway.read.reader import NoReader, ReaderDied, ReaderFailed, Readers, TooSlow
from gateway.read.reading import Hints, read
from tests.samples import envelope
from tests.test_smtp import WHEN

ENVELOPE = envelope()
HINTS = Hints("anna@example.de", WHEN, "Europe/Berlin", "")
MAIL = b"From: Anna <anna@example.de>\r\nSubject: %s\r\n\r\nHello\r\n"


def odd(raw: bytes | bytearray, hints: Hints) -> Reading:
    """Does what the Subject says, in the reader process."""
    if b"sleep" in raw:
        time.sleep(3600)
    if b"die" in raw:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"gate:" in raw:
        gate = bytes(raw).partition(b"gate:")[2].split()[0].decode()
        while not os.path.exists(gate):
            time.sleep(0.01)
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
        def refused(*_: object) -> None:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        with monkeypatch.context() as patched:
            patched.setattr("gateway.read.reader.AGAIN_S", 3600.0)
            patched.setattr(readers._server, "fork", refused)
            with pytest.raises(ReaderFailed, match="SIGSEGV"):
                await readers.read(MAIL % b"die", HINTS)
            for _ in range(3):
                with pytest.raises(NoReader, match="BlockingIOError"):
                    await readers.read(MAIL % b"later", HINTS)
            assert "BlockingIOError" in readers.trouble
        assert (await readers.read(MAIL % b"later", HINTS)).parsed.subject == "later"
        assert readers.trouble == ""

    run(work, 10.0)


def test_a_reader_that_could_not_be_started_is_started_without_a_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody need write first for the service to be ready again."""

    async def work(readers: Readers) -> None:
        def refused(*_: object) -> None:
            raise FileNotFoundError(2, "No such file or directory")

        monkeypatch.setattr("gateway.read.reader.AGAIN_S", 0.05)
        with monkeypatch.context() as patched:
            patched.setattr(readers._server, "fork", refused)
            with pytest.raises(ReaderFailed):
                await readers.read(MAIL % b"die", HINTS)
            await wait_for(lambda: readers.trouble)
        await wait_for(lambda: not readers.trouble)

    run(work, 10.0)


async def wait_for(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_fork_server_that_dies_is_started_anew() -> None:
    async def work(readers: Readers) -> None:
        for _ in range(2):
            before = readers.server_pid
            assert before is not None
            os.kill(before, signal.SIGKILL)
            with pytest.raises(ReaderFailed):
                await readers.read(MAIL % b"die", HINTS)
            assert (await readers.read(MAIL % b"next", HINTS)).parsed.subject == "next"
            assert readers.server_pid != before

    run(work, 30.0)


def _here(wire: socket.socket, _: Callable[..., Any]) -> None:
    wire.sendall(b"here")


def test_a_fork_server_that_died_meanwhile_is_found_before_it_is_asked() -> None:
    """The first child after it is no failure: no mail waits for the next try."""
    server = ForkServer("gateway.model")

    def heard() -> bytes:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                child = server.fork(_here, name_of(_here), theirs)
            ours.settimeout(60)
            said = ours.recv(10)
            child.kill()
            return said

    try:
        assert heard() == b"here"
        for _ in range(2):
            before = server.pid
            assert before is not None
            os.kill(before, signal.SIGKILL)
            os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
            assert heard() == b"here" and server.pid != before
    finally:
        server.stop()


def test_a_command_forks_its_fork_server_and_one_that_dies_is_started_anew() -> None:
    server = ForkServer("gateway.read.reading")
    server.begin_as_fork()
    first = server.pid

    async def main() -> None:
        readers = Readers(1, 60.0, odd, server=server)
        try:
            await readers.start()
            assert (await readers.read(MAIL % b"first", HINTS)).parsed.subject == "first"
            assert server.pid == first
            os.kill(first or 0, signal.SIGKILL)
            with pytest.raises(ReaderDied):
                await readers.read(MAIL % b"die", HINTS)
            assert (await readers.read(MAIL % b"last", HINTS)).parsed.subject == "last"
            assert server.pid not in (None, first)
        finally:
            readers.stop()

    asyncio.run(main())
    assert server.pid is None


def test_readers_go_on_when_a_stop_signals_every_process() -> None:
    """systemd sends SIGTERM to all of them; what is in work is finished first."""

    async def work(readers: Readers) -> None:
        (pid,) = readers.pids
        for process in (pid, readers.server_pid or 0):
            os.kill(process, signal.SIGTERM)
        assert (await readers.read(MAIL % b"who", HINTS)).parsed.subject == str(pid)

    run(work, 30.0)


@pytest.mark.fault("X59")
def test_no_reader_has_a_socket_that_somebody_could_tidy_away() -> None:
    def named(pid: int) -> list[str]:
        mine = set()
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # the one that lists them is gone by now
                mine.add(os.readlink(link))
        lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
        return [line[7] for line in lines if len(line) > 7 and f"socket:[{line[6]}]" in mine]

    async def work(readers: Readers) -> None:
        for pid in (os.getpid(), readers.server_pid or 0, *readers.pids):
            assert named(pid) == []

    run(work, 30.0)


class Stands:
    """A place that stands where it is told; what is spent is added up."""

    def __init__(self, sender: str, at: int) -> None:
        self.turn, self.slow, self.spent = Turn(sender, at), False, 0.0

    def order(self) -> int:
        return self.turn.at

    def spend(self, seconds: float) -> None:
        self.spent += seconds


def place(sender: str, at: int = 0) -> Any:
    return Stands(sender, at)


def test_who_waits_is_read_in_order(tmp_path: Path) -> None:
    """Not in the order in which they came: a crowd of one sender stands behind the first of another."""
    gate = tmp_path / "gate"

    async def work(readers: Readers) -> None:
        done: list[str] = []

        async def one(sender: str, at: int) -> None:
            await readers.read(MAIL % b"x", HINTS, place(sender, at))
            done.append(f"{sender}{at}")

        held = asyncio.create_task(readers.read(MAIL % f"gate:{gate}".encode(), HINTS, place("z")))
        await asyncio.sleep(0)
        tasks = [asyncio.create_task(one("crowd", at)) for at in (10, 20, 30, 40)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(one("other", 15)))
        await asyncio.sleep(0)
        gate.touch()
        await asyncio.gather(held, *tasks)
        assert done == ["crowd10", "other15", "crowd20", "crowd30", "crowd40"]

    run(work, 60.0)


def test_slow_mails_leave_a_reader_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six that would take an hour each, of two senders: one keeps a process, the other's is told to come later, and no more of
    theirs is begun meanwhile; whoever else comes is read."""
    monkeypatch.setattr("gateway.read.reader.SLOW_S", 0.2)

    async def work(readers: Readers) -> None:
        first = asyncio.create_task(readers.read(MAIL % b"sleep", HINTS, place("a")))
        await wait_for(lambda: readers._slow)
        slow = place("b")
        with pytest.raises(TooSlow):
            await readers.read(MAIL % b"sleep", HINTS, slow)
        assert slow.slow and slow.spent > 0
        with pytest.raises(TooSlow):  # and is not even begun as long as there is none to spare
            await readers.read(MAIL % b"sleep", HINTS, slow)
        more = [asyncio.create_task(readers.read(MAIL % b"sleep", HINTS, place("a"))) for _ in range(5)]
        for number in range(10):
            assert (await readers.read(MAIL % b"next", HINTS, place("c", number))).parsed.subject == "next"
        assert not first.done() and not any(task.done() for task in more)
        for task in (first, *more):
            task.cancel()
        await asyncio.gather(first, *more, return_exceptions=True)
        assert (await readers.read(MAIL % b"next", HINTS, slow)).parsed.subject == "next"

    run(work, 3600.0, count=2)


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
            patched.setattr("gateway.read.reader.HELD_UP_S", 3600.0)
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


@pytest.mark.fault("X57")
@pytest.mark.parametrize("deaths", [0, 1, DEATHS - 1, DEATHS])
def test_only_a_mail_over_which_several_readers_die_is_to_blame(deaths: int) -> None:
    """One that dies may have been killed by somebody else."""

    class Dying:
        left = deaths

        async def read(self, raw: bytes, hints: Hints, place: Any) -> Reading:
            if self.left:
                self.left -= 1
                raise ReaderDied("the reader died (SIGKILL)")
            return read(raw, hints)

    judge = Judge(Dying(), None, None, None)  # type: ignore[arg-type]
    reading = judge._read(Hand(Claimed(1, 1, MAIL % b"Disk", ENVELOPE, 0, False)), HINTS)
    if deaths < DEATHS:
        assert asyncio.run(reading).parsed.subject == "Disk"
    else:
        with pytest.raises(ReaderDied):
            asyncio.run(reading)
