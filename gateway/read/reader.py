"""The killable reader: ``reading.read`` in a process of its own, with a time limit and a memory limit.

A mail whose reading sleeps for ever or kills its process costs that process only: it is ended, replaced, and the next
mail goes to its neighbour. Processes come from a fork server that has the modules loaded, so a new one is there at
once.

Who waits is served in the order of ``gateway/turns.py``. A mail that takes longer than most may keep its process only
while another one is left for the rest; else it is ended, and read later. So no mail waits long for a reader because
of what others have sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import resource
import signal
import socket
import struct
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from gateway import log, metrics
from gateway.model import Reading
from gateway.read.fork_server import PRELOAD, Child, ForkServer, name_of
from gateway.read.hints import Hints
from gateway.turns import Place

#: the function a reader runs; tests pass their own to see a reader hang or die
ReadFunction = Callable[[Any, Hints], Reading]
READ = ("gateway.read.reading", "read")  #: by its name: what reads is loaded in the processes that read
MEMORY_LIMIT = 1024**3
RECYCLE_OCTETS = 64 * 1024**2
JOINED = 64 * 1024  #: octets up to which a piece and what stands before it are sent at once
BLOCK = 256 * 1024
READY = b"+"  #: what a reader says first
READY_S = 30.0  #: seconds for a reader to say it
HELD_UP_S = 0.02  #: seconds after which a mail holds its reader up; most need a tenth of it
SLOW_S, SLOW_S_PER_MB = 1.0, 0.2  #: seconds after which a mail of so many MB is slow
AGAIN_S = 2.0  #: until it is tried again to start a reader that could not be started
_QUESTION = struct.Struct("!IQ")  #: octets of the hints and of the mail, which follow
_ANSWER = struct.Struct("!I")  #: octets of what follows


class ReaderFailed(Exception):
    """The mail could not be read: too slow, or its process died. The text says which."""


class ReaderDied(ReaderFailed):
    """Its process died over it, by the mail's doing or by somebody else's (a signal, the kernel's want of memory)."""


class NoReader(Exception):
    """No reader process can be started now; nothing is wrong with the mail."""

    tellable = True


class TooSlow(Exception):
    """The mail would hold the others up: it is read when there is a process to spare."""


def _serve(wire: socket.socket, read: ReadFunction) -> None:
    """The life of a reader process: one mail after another until the other end closes."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT * 2, MEMORY_LIMIT * 2))
    wire.setblocking(True)
    with contextlib.suppress(OSError):
        wire.sendall(READY)
    while True:
        try:
            hints, raw = _asked(wire)
        except (EOFError, OSError):
            return
        before = time.process_time()
        try:
            outcome: object = read(raw, hints)
            payload = pickle.dumps((True, _portable(outcome), time.process_time() - before))
        except BaseException as error:  # exhausted memory and depth too: the mail is set aside, not the reader
            payload = pickle.dumps(
                (False, f"{type(error).__name__} at {log.where(error)}", time.process_time() - before)
            )
        size = len(raw)
        del raw
        with contextlib.suppress(OSError):
            wire.sendall(_ANSWER.pack(len(payload)) + payload)
        if size > RECYCLE_OCTETS:
            return


def _asked(wire: socket.socket) -> tuple[Hints, bytes | bytearray]:
    """The next mail, most often in one piece; a large one is never held twice."""
    got = wire.recv(BLOCK)
    while got and len(got) < _QUESTION.size:
        got += _some(wire.recv(BLOCK))
    hints_size, size = _QUESTION.unpack_from(_some(got))
    start = _QUESTION.size + hints_size
    while len(got) < start:
        got += _some(wire.recv(BLOCK))
    hints: Hints = pickle.loads(got[_QUESTION.size : start])  # noqa: S301 - our own parent wrote it
    if len(got) - start == size:
        return hints, got[start:]
    whole = bytearray(size)
    filled = len(got) - start
    whole[:filled] = memoryview(got)[start:]
    with memoryview(whole) as view:
        while filled < size:
            count = wire.recv_into(view[filled:], min(BLOCK, size - filled))
            if not count:
                raise EOFError
            filled += count
    return hints, whole


def _some(piece: bytes) -> bytes:
    if not piece:
        raise EOFError
    return piece


def _portable(outcome: object) -> object:
    """A read-only mapping does not pickle; its dictionary does."""
    if isinstance(outcome, Reading):
        object.__setattr__(outcome.parsed, "headers", dict(outcome.parsed.headers))
    return outcome


class _Patience:
    """Ends a timeout after ``limit`` seconds, counted in ticks: a machine that stands still in between (a paused guest,
    a long stop) costs one tick and not the mail, which no reader could have read meanwhile."""

    TICKS = 10

    def __init__(self, limit: float, deadline: asyncio.Timeout) -> None:
        self._loop, self._tick_s, self._deadline = asyncio.get_running_loop(), limit / self.TICKS, deadline
        self._left = self.TICKS
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    def _tick(self) -> None:
        self._left -= 1
        if self._left > 0:
            self._timer = self._loop.call_later(self._tick_s, self._tick)
        else:
            self._deadline.reschedule(self._loop.time())

    def renew(self) -> None:
        """The mail has moved on: its time limit counts from now."""
        self._left = self.TICKS

    def close(self) -> None:
        """It is done."""
        self._timer.cancel()


class _Wire(asyncio.Protocol):
    """The event loop's end of the socket to a reader."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._wanted = 0  #: octets of the answer; 0 while they are not known
        self._answer: asyncio.Future[bytes] | None = None
        self._room: asyncio.Future[None] | None = None  #: while there is none for more to be sent
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is served."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """A piece of an answer, most often all of it."""
        self._buffer += data
        if not self._wanted and len(self._buffer) >= _ANSWER.size:
            (self._wanted,) = _ANSWER.unpack_from(self._buffer)
            del self._buffer[: _ANSWER.size]
        if self._wanted and len(self._buffer) >= self._wanted:
            answer, self._buffer, self._wanted = bytes(self._buffer), bytearray(), 0
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """The reader is gone."""
        self.lost = True
        for future in (self._answer, self._room):
            if future is not None and not future.done():
                future.set_exception(EOFError())

    def pause_writing(self) -> None:
        """The reader has enough for now."""
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """It has taken some."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    async def send(self, data: bytes | bytearray) -> None:
        """EOFError when the reader is gone."""
        if self.lost or self._transport is None:
            raise EOFError
        self._transport.write(data)
        if self._room is not None:
            await self._room

    def expect(self) -> asyncio.Future[bytes]:
        """What will be the answer to what is sent now."""
        self._answer = asyncio.get_running_loop().create_future()
        self._answer.add_done_callback(_looked_at)
        return self._answer

    def close(self) -> None:
        """Drops the connection at once, what is still to be sent with it."""
        if self._transport is not None:
            self._transport.abort()


def _looked_at(answer: asyncio.Future[bytes]) -> None:
    """Nobody may wait for it any more."""
    if not answer.cancelled():
        answer.exception()


class _Process:
    """One reader process and the wire to it, which the event loop serves: no thread waits for a mail."""

    def __init__(self, server: ForkServer, read: tuple[str, str]) -> None:
        self._wire: _Wire | None = None
        self._child: Child | None = None
        self.spent = 0.0  #: seconds of CPU that its last mail took
        self._ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._child = server.fork(_serve, read, theirs)
            self._ours.settimeout(READY_S)
            if self._ours.recv(len(READY)) != READY:
                raise EOFError("it ended at once")
        except (OSError, EOFError):
            self.end()
            raise
        self._ours.setblocking(False)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    @property
    def alive(self) -> bool:
        """Whether the other end is there; it says nothing of its own accord."""
        try:
            return bool(self._ours.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def ask(self, pieces: AsyncIterable[bytes | bytearray], size: int, hints: Hints, limit: float) -> Reading:
        """Waits until the reading is there; raises ReaderFailed when the process died, or nothing came of it for
        ``limit`` seconds after the last piece was taken."""
        began, self.spent = time.monotonic(), 0.0
        try:
            async with asyncio.timeout(None) as deadline:
                with contextlib.closing(_Patience(limit, deadline)) as patience:
                    answer = await self._sent(pieces, size, pickle.dumps(hints), patience)
                    good, outcome, self.spent = pickle.loads(await answer)  # noqa: S301 - our own child wrote it
        except TimeoutError as error:
            self.spent = limit
            raise ReaderFailed(f"reading took longer than {limit:g} s") from error
        except (EOFError, OSError) as error:
            self.spent = time.monotonic() - began
            code = await asyncio.get_running_loop().run_in_executor(None, self._exit_code)
            why = signal.Signals(-code).name if code is not None and code < 0 else f"exit {code}"
            raise ReaderDied(f"the reader died ({why})") from error
        metrics.STAGE_CPU.labels("read").inc(self.spent)
        if not good:
            raise ReaderFailed(f"reading failed: {outcome}")
        assert isinstance(outcome, Reading)
        return outcome

    def _exit_code(self) -> int | None:
        return self._child.ended(1.0) if self._child is not None else None

    async def _sent(
        self, pieces: AsyncIterable[bytes | bytearray], size: int, hints: bytes, patience: _Patience
    ) -> asyncio.Future[bytes]:
        """Sends a mail, a small one in one write; what will be its answer."""
        if self._wire is None:
            _, self._wire = await asyncio.get_running_loop().create_unix_connection(_Wire, sock=self._ours)
        answer = self._wire.expect()
        head = _QUESTION.pack(len(hints), size) + hints
        if not size:
            await self._wire.send(head)
        async for piece in pieces:
            patience.renew()
            if len(piece) <= JOINED:
                await self._wire.send(head + piece)
            else:
                await self._wire.send(head)
                await self._wire.send(piece)
            head = b""
        patience.renew()
        return answer

    def strike(self) -> None:
        """Kills the process; ``ask`` hears of it by the wire."""
        if self._child is not None:
            self._child.strike()

    def let_go(self) -> None:
        """Closes the wire; on the event loop."""
        if self._wire is not None:
            self._wire.close()

    def end(self) -> None:
        """Ends the process; the event loop hears of it by the wire."""
        if self._child is not None:
            self._child.kill()
        if self._wire is None:
            self._ours.close()


async def _in_one(raw: bytes | bytearray) -> AsyncIterator[bytes | bytearray]:
    yield raw


class _Waiting:
    """A mail that waits for a process."""

    def __init__(self, place: Place | None, number: int) -> None:
        self.place, self.number = place, number
        self.process: asyncio.Future[_Process] = asyncio.get_running_loop().create_future()

    @property
    def sender(self) -> str:
        return self.place.turn.sender if self.place is not None else ""

    def order(self) -> tuple[int, int]:
        return (self.place.order() if self.place is not None else 0), self.number


class Readers:
    """A few reader processes; each is used by one mail at a time.

    One has its turn and takes mail after mail; another one's turn comes when a mail has held that one up. A process
    that reads without a pause needs two thirds of the time of one that slept between two mails: its memory is still in
    the caches.
    """

    def __init__(
        self, count: int, limit: float, read: ReadFunction | None = None, preload: str = PRELOAD,
        server: ForkServer | None = None,
    ) -> None:  # fmt: skip
        """``server``: one that was begun already."""
        self._limit = limit
        self._read = name_of(read) if read is not None else READ
        self._server = server or ForkServer(preload)
        self._waiting: list[_Waiting] = []
        self._numbered = 0
        self._ready: list[_Process] = []  #: idle and in turn
        self._in_turn: set[_Process] = set()  #: ready, or not held up by a mail yet; one while there is any
        self._spare: list[_Process] = []
        self._slow: dict[_Process, str] = {}  #: held up by a slow mail, and whose that is
        self._count = count
        self._all: list[_Process] = []
        self._stopped = False
        self._threads = ThreadPoolExecutor(count, "reader")
        self.trouble = ""  #: why no process could be started the last time; empty when one could

    async def start(self) -> None:
        """Starts the processes.

        Raises:
            NoReader: one cannot be started.
        """
        for _ in range(self._count):
            process = await asyncio.get_running_loop().run_in_executor(self._threads, self._fresh)
            self._join(process)

    def _fresh(self) -> _Process:
        try:
            process = _Process(self._server, self._read)
        except (OSError, EOFError) as error:  # no memory, no process; or the fork server died of it
            self.trouble = f"no reader process can be started: {type(error).__name__}: {error}"
            raise NoReader(self.trouble) from error
        self.trouble = ""
        self._all.append(process)
        return process

    @property
    def pids(self) -> list[int]:
        """The process ids, for measurements."""
        return [pid for process in self._all if (pid := process.pid) is not None]

    @property
    def server_pid(self) -> int | None:
        """The process id of the fork server, for measurements."""
        return self._server.pid

    async def read(self, raw: bytes | bytearray, hints: Hints, place: Place | None = None) -> Reading:
        """The reading of one mail; see ``read_pieces``."""
        return await self.read_pieces(_in_one(raw), len(raw), hints, place)

    async def read_pieces(
        self, pieces: AsyncIterable[bytes | bytearray], size: int, hints: Hints, place: Place | None = None
    ) -> Reading:
        """The reading of a mail of ``size`` octets that comes in pieces. ``place``: where it stands among the others,
        and who pays for it.

        Raises:
            ReaderFailed: it took longer than the limit, or its process died.
            NoReader: it may be tried again.
            TooSlow: it may be tried again later; its place says from now on that it is slow.
        """
        loop = asyncio.get_running_loop()
        if place is not None and place.slow and not self._may_be_slow():
            raise TooSlow
        taken = process = await self._turn(place)
        held_up = loop.call_later(HELD_UP_S, self._leave, taken)
        watched: asyncio.TimerHandle | None = None
        keep = False
        try:
            if not process.alive:
                process = await loop.run_in_executor(self._threads, self._replaced, process)
            if place is not None:
                slow_after = SLOW_S + SLOW_S_PER_MB * size / 1024**2
                watched = loop.call_later(slow_after, self._now_slow, taken, process, place)
            reading = await process.ask(pieces, size, hints, self._limit)
            keep = size <= RECYCLE_OCTETS
            return reading
        except ReaderFailed as failure:
            keep = str(failure).startswith("reading failed")
            if place is not None and place.slow and taken not in self._slow:
                raise TooSlow from failure
            if not keep:
                metrics.READER_KILLS.inc()
                log.reader_killed(str(failure))
            raise
        finally:
            held_up.cancel()
            if watched is not None:
                watched.cancel()
            if place is not None:
                place.spend(process.spent)
            self._slow.pop(taken, None)
            if keep:
                self._spare.append(process)
            else:
                loop.run_in_executor(self._threads, self._replace_later, process, loop)
            self._leave(taken)

    # -- whose turn it is

    async def _turn(self, place: Place | None) -> _Process:
        """Waits until a process is free for this mail."""
        self._numbered += 1
        waiting = _Waiting(place, self._numbered)
        self._waiting.append(waiting)
        self._match()
        try:
            return await waiting.process
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif not waiting.process.cancelled():
                self._ready.append(waiting.process.result())
                self._match()
            raise

    def _match(self) -> None:
        """Hands out what is ready, to the first in order."""
        while self._ready and (waiting := self._next()) is not None:
            self._waiting.remove(waiting)
            if waiting.process.done():  # nobody waits there any more
                continue
            process = self._ready.pop()
            if waiting.place is not None and waiting.place.slow:
                self._slow[process] = waiting.sender
            waiting.process.set_result(process)

    def _next(self) -> _Waiting | None:
        """The first in order that may be read now: of a sender whose slow mail is being read no other one is."""
        busy, room = set(self._slow.values()), self._may_be_slow()
        may = [
            waiting
            for waiting in self._waiting
            if waiting.place is None or (waiting.sender not in busy and (room or not waiting.place.slow))
        ]
        return min(may, key=_Waiting.order, default=None)

    def _may_be_slow(self) -> bool:
        """Whether a slow mail leaves a process for the others."""
        return len(self._slow) < max(1, self._count - 1)

    def _now_slow(self, taken: _Process, process: _Process, place: Place) -> None:
        """A mail has been read for longer than most need."""
        place.slow = True
        if taken in self._slow:
            return
        if self._may_be_slow():
            self._slow[taken] = place.turn.sender
        else:
            process.strike()

    def _join(self, process: _Process) -> None:
        """It can take a mail."""
        self._spare.append(process)
        self._leave(process)

    def _leave(self, process: _Process) -> None:
        """Its turn has ended, and the spare one that worked last gets it."""
        self._in_turn.discard(process)
        if self._spare and not self._in_turn:
            process = self._spare.pop()
            self._in_turn.add(process)
            self._ready.append(process)
        self._match()

    # -- those that died

    def _replaced(self, process: _Process) -> _Process:
        process.end()
        if process in self._all:
            self._all.remove(process)
        return self._fresh()

    def _replace_later(self, process: _Process, loop: asyncio.AbstractEventLoop) -> None:
        """A mail goes to its neighbour until the new one is ready; where none can be started now, it is tried again."""
        fresh = True
        try:
            process = self._replaced(process)
        except NoReader as error:
            log.loop_fault("reader", error)
            fresh = False
        if self._stopped:
            process.end()
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._join if fresh else self._join_dead, process)

    def _join_dead(self, process: _Process) -> None:
        """It keeps its place, so that a mail which comes there hears at once that there is no reader."""
        self._join(process)
        asyncio.get_running_loop().call_later(AGAIN_S, self._revive, process)

    def _revive(self, process: _Process) -> None:
        """Tries again to start what could not be started, unless a mail has done so."""
        loop = asyncio.get_running_loop()
        for idle in (self._spare, self._ready):
            if process in idle and not self._stopped:
                idle.remove(process)
                loop.run_in_executor(self._threads, self._replace_later, process, loop)
                self._leave(process)

    def stop(self) -> None:
        """Ends every reader, those at work as well, and the server that forks them; what they read is lost."""
        self._stopped = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in list(self._all):
            process.let_go()
            with contextlib.suppress(OSError, ValueError):
                process.end()
        self._all.clear()
        self._server.stop()
