"""The killable reader: ``reading.read`` in a process of its own, with a time limit and a memory limit.

A mail whose reading sleeps for ever or kills its process costs that process only: it is ended, replaced, and the next
mail goes to its neighbour. Processes come from a fork server that has the modules loaded, so a new one is there at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import pickle
import resource
import signal
import socket
import struct
from collections.abc import AsyncIterable, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from gateway import log, metrics
from gateway.model import Reading
from gateway.reading import Hints

#: the function a reader runs; tests pass their own to see a reader hang or die
ReadFunction = Callable[[Any, Hints], Reading]
MEMORY_LIMIT = 1024**3
RECYCLE_OCTETS = 64 * 1024**2
JOINED = 64 * 1024  #: octets up to which a length and what it is of are sent at once
_LENGTH = struct.Struct("!i")


class ReaderFailed(Exception):
    """The mail could not be read: too slow, or its process died. The text says which."""


def _serve(connection: Connection, read: ReadFunction) -> None:
    """The life of a reader process: one mail after another until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT * 2, MEMORY_LIMIT * 2))
    while True:
        try:
            hints, size = pickle.loads(connection.recv_bytes())  # noqa: S301 - our own parent wrote it
            raw = _received(connection, size)
        except (EOFError, OSError):
            return
        before = _cpu()
        try:
            outcome: object = read(raw, hints)
            payload = pickle.dumps((True, _portable(outcome), _cpu() - before))
        except BaseException as error:
            payload = pickle.dumps((False, f"{type(error).__name__} at {log.where(error)}", _cpu() - before))
        del raw
        with contextlib.suppress(OSError):
            connection.send_bytes(payload)
        if size > RECYCLE_OCTETS:
            return


def _received(connection: Connection, size: int) -> bytes | bytearray:
    """A mail that comes in one piece or in many; never held twice."""
    first = connection.recv_bytes() if size else b""
    if len(first) >= size:
        return first
    whole = bytearray(size)
    whole[: len(first)] = first
    filled = len(first)
    while filled < size:
        piece = connection.recv_bytes()
        whole[filled : filled + len(piece)] = piece
        filled += len(piece)
    return whole


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _portable(outcome: object) -> object:
    """A read-only mapping does not pickle; its dictionary does."""
    if isinstance(outcome, Reading):
        object.__setattr__(outcome.parsed, "headers", dict(outcome.parsed.headers))
    return outcome


class _Patience:
    """Ends a timeout after ``limit`` seconds, counted in ticks: a machine that stands still in between (a paused guest, a
    long stop) costs one tick and not the mail, which no reader could have read meanwhile."""

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
        """The limit counts from now."""
        self._left = self.TICKS

    def close(self) -> None:
        """It is done."""
        self._timer.cancel()


class _Process:
    """One reader process and the socket to it, which the event loop serves: no thread waits for a mail."""

    def __init__(self, context: multiprocessing.context.BaseContext, read: ReadFunction) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, read), daemon=True, name="gateway-reader")  # type: ignore[attr-defined]
        self._process.start()
        theirs.close()
        with ours:
            self._socket = socket.socket(fileno=os.dup(ours.fileno()))
        self._socket.setblocking(False)

    @property
    def pid(self) -> int | None:
        pid: int | None = self._process.pid
        return pid

    @property
    def alive(self) -> bool:
        """Whether the other end is there; it says nothing of its own accord."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def ask(self, pieces: AsyncIterable[bytes | bytearray], size: int, hints: Hints, limit: float) -> Reading:
        """Waits until the reading is there; raises ReaderFailed when the process died, or nothing came of it for ``limit``
        seconds after the last piece was taken."""
        try:
            async with asyncio.timeout(None) as deadline:
                with contextlib.closing(_Patience(limit, deadline)) as patience:
                    await self._send(pickle.dumps((hints, size)))
                    if size:
                        async for piece in pieces:
                            patience.renew()
                            await self._send(piece)
                    patience.renew()
                    good, outcome, cpu = pickle.loads(await self._received())  # noqa: S301 - our own child wrote it
        except TimeoutError as error:
            raise ReaderFailed(f"reading took longer than {limit:g} s") from error
        except (EOFError, OSError) as error:
            await asyncio.get_running_loop().run_in_executor(None, self._process.join, 1)
            code = self._process.exitcode
            why = signal.Signals(-code).name if code is not None and code < 0 else f"exit {code}"
            raise ReaderFailed(f"the reader died ({why})") from error
        metrics.STAGE_CPU.labels("read").inc(cpu)
        if not good:
            raise ReaderFailed(f"reading failed: {outcome}")
        assert isinstance(outcome, Reading)
        return outcome

    # what the other end reads and writes by multiprocessing.connection: four octets of length, then the octets

    async def _send(self, data: bytes | bytearray) -> None:
        loop = asyncio.get_running_loop()
        if len(data) <= JOINED:
            await loop.sock_sendall(self._socket, _LENGTH.pack(len(data)) + data)
        else:
            await loop.sock_sendall(self._socket, _LENGTH.pack(len(data)))
            await loop.sock_sendall(self._socket, data)

    async def _received(self) -> bytearray:
        loop = asyncio.get_running_loop()
        data, wanted = bytearray(), _LENGTH.size
        length: int | None = None
        while len(data) < wanted:
            piece = await loop.sock_recv(self._socket, 256 * 1024)
            if not piece:
                raise EOFError
            data += piece
            if length is None and len(data) >= wanted:
                (length,) = _LENGTH.unpack_from(data)
                del data[: _LENGTH.size]
                wanted = length
        return data

    def end(self) -> None:
        self._process.kill()
        self._process.join(5)
        self._socket.close()
        with contextlib.suppress(ValueError):
            self._process.close()


async def _in_one(raw: bytes | bytearray) -> AsyncIterator[bytes | bytearray]:
    yield raw


class Readers:
    """A few reader processes; each is used by one mail at a time."""

    def __init__(self, count: int, limit: float, read: ReadFunction | None = None) -> None:
        self._limit = limit
        if read is None:
            from gateway.reading import read as real

            read = real
        assert read is not None
        self._read: ReadFunction = read
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["gateway.reader_preload"])
        self._idle: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()
        self._count = count
        self._all: list[_Process] = []
        self._threads = ThreadPoolExecutor(count, "reader")

    async def start(self) -> None:
        """Starts the processes."""
        for _ in range(self._count):
            process = await asyncio.get_running_loop().run_in_executor(self._threads, self._fresh)
            self._idle.put_nowait(process)

    def _fresh(self) -> _Process:
        process = _Process(self._context, self._read)
        self._all.append(process)
        return process

    @property
    def pids(self) -> list[int]:
        """The process ids, for measurements."""
        return [pid for process in self._all if (pid := process.pid) is not None]

    async def read(self, raw: bytes | bytearray, hints: Hints) -> Reading:
        """The reading of one mail; see ``read_pieces``."""
        return await self.read_pieces(_in_one(raw), len(raw), hints)

    async def read_pieces(self, pieces: AsyncIterable[bytes | bytearray], size: int, hints: Hints) -> Reading:
        """The reading of a mail of ``size`` octets that comes in pieces.

        Raises:
            ReaderFailed: it took longer than the limit, or its process died.
        """
        loop = asyncio.get_running_loop()
        process = await self._idle.get()
        keep = False
        try:
            if not process.alive:
                process = await loop.run_in_executor(self._threads, self._replaced, process)
            reading = await process.ask(pieces, size, hints, self._limit)
            keep = True
            return reading
        except ReaderFailed as failure:
            keep = str(failure).startswith("reading failed")
            if not keep:
                metrics.READER_KILLS.inc()
                log.reader_killed(str(failure))
            raise
        finally:
            if keep:
                self._idle.put_nowait(process)
            else:
                loop.run_in_executor(self._threads, self._replace_later, process, loop)

    def _replaced(self, process: _Process) -> _Process:
        process.end()
        if process in self._all:
            self._all.remove(process)
        return self._fresh()

    def _replace_later(self, process: _Process, loop: asyncio.AbstractEventLoop) -> None:
        fresh = self._replaced(process)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._idle.put_nowait, fresh)

    def stop(self) -> None:
        """Ends every process."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._all:
            with contextlib.suppress(OSError, ValueError):
                process.end()
        self._all.clear()
