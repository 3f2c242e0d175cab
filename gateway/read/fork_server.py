"""The parent of the reader processes: it has every module loaded, and each reader is a fork of it.

We reach it by a pair of sockets that nobody else holds. There is no name in a file system which somebody could tidy
away or connect to, and it ends when our end closes, its children with it: no reader outlives the service.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

PRELOAD = "gateway.read.preload"  #: the module that loads everything
ANSWER_S = 30.0  #: seconds for a child to be forked
#: seconds for the first one, which waits until everything is loaded: two, or many times that where others want to run
LOAD_S = 150.0
_PID = struct.Struct("!i")  #: of the child, or minus the errno
_STATUS = struct.Struct("!i")  #: as ``os.waitstatus_to_exitcode`` gives it
_MAX_REQUEST = 64 * 1024


def name_of(function: Callable[..., Any]) -> tuple[str, str]:
    """(module, name) by which another process imports a function."""
    module = function.__module__
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return (spec.name if module == "__main__" and spec is not None else module), function.__qualname__


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Child:
    """A forked process. ``status`` becomes readable when it has ended."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self._status: int | None = status
        self._code: int | None = None
        self._lock = threading.Lock()  # it may be replaced by a thread and stopped by another
        try:
            self._handle: int | None = os.pidfd_open(pid)  # the pid itself may be another's once it has ended
        except OSError:
            self._handle = None

    def ended(self, seconds: float) -> int | None:
        """Its exit code (minus the signal that killed it), waiting so long at most; ``None`` while it runs, or when
        the fork server, which knows it, is gone."""
        with self._lock:
            if self._status is not None and _readable(self._status, seconds):
                said = os.read(self._status, _STATUS.size)
                self._code = _STATUS.unpack(said)[0] if len(said) == _STATUS.size else None
                os.close(self._status)
                self._status = None
            return self._code

    def strike(self) -> None:
        """Kills it, without waiting for its end."""
        with contextlib.suppress(OSError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            elif self._status is not None:
                os.kill(self.pid, signal.SIGKILL)

    def kill(self) -> None:
        self.strike()
        self.ended(5.0)
        with self._lock:
            for descriptor in (self._handle, self._status):
                if descriptor is not None:
                    os.close(descriptor)
            self._handle = self._status = None


class _Fork:
    """A server that is a fork of this process, with what there is of ``subprocess.Popen``."""

    def __init__(self, pid: int) -> None:
        self.pid, self._gone = pid, False

    def poll(self) -> int | None:
        """``None`` while it runs, 0 once it has ended, with whatever status."""
        if not self._gone:
            with contextlib.suppress(ChildProcessError):
                self._gone = os.waitpid(self.pid, os.WNOHANG) != (0, 0)
        return 0 if self._gone else None

    def wait(self, seconds: float) -> None:
        """Waits for its end.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time.
        """
        if self._gone:
            return
        handle = os.pidfd_open(self.pid)
        try:
            if not _readable(handle, seconds):
                raise subprocess.TimeoutExpired("fork server", seconds)
        finally:
            os.close(handle)
        self.poll()

    def kill(self) -> None:
        if not self._gone:
            os.kill(self.pid, signal.SIGKILL)


class ForkServer:
    """Our end. It is started when the first child is wanted, and anew when it is gone; for threads."""

    def __init__(self, preload: str) -> None:
        self._preload = preload
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | _Fork | None = None
        self._control: socket.socket | None = None
        self._loaded = False  #: it has answered once

    def begin(self) -> None:
        """Starts it without waiting for anything: it loads beside what the caller does next. Where it cannot be
        started, ``fork`` says why."""
        with self._lock, contextlib.suppress(OSError):
            if self._process is None:
                self._start()

    def begin_as_fork(self) -> None:
        """The same, as a fork of this process, which spares a second interpreter: for a command that has no threads
        yet."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            try:
                serve(theirs.detach(), self._preload)
            except BaseException:  # the fork ends here: nothing may run on in a copy of the command
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(0)
        theirs.close()
        self._process = _Fork(pid)
        self._listen(ours)

    @property
    def pid(self) -> int | None:
        """Its process id, for measurements and tests."""
        return self._process.pid if self._process is not None else None

    def fork(self, target: Callable[..., Any], argument: tuple[str, str], wire: socket.socket) -> Child:
        """A child that calls ``target(wire, function)``, where ``argument`` names the function.

        Raises:
            OSError, EOFError: no process can be had now; the next call begins with a new server where this one is gone.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._end()
                self._start()
            assert self._control is not None
            status, theirs = os.pipe()
            try:
                socket.send_fds(self._control, [pickle.dumps((name_of(target), argument))], [wire.fileno(), theirs])
                said = self._control.recv(_PID.size)
                self._control.settimeout(ANSWER_S)
                if len(said) < _PID.size:
                    raise EOFError("the fork server ended")
            except BaseException:  # a time-out and an interrupt too, and it is raised again
                os.close(status)
                self._end()  # what it says later would be taken for the answer to the next question
                raise
            finally:
                os.close(theirs)
            self._loaded = True
            (pid,) = _PID.unpack(said)
            if pid < 0:
                os.close(status)
                raise OSError(-pid, os.strerror(-pid))
            return Child(pid, status)

    def stop(self) -> None:
        """Ends it, and every child that is left."""
        with self._lock:
            self._end()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from gateway.read.fork_server import serve; "
            f"serve({theirs.fileno()}, {self._preload!r})"
        )
        with contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", code], pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL
                )
            undo.pop_all()
        self._listen(ours)

    def _listen(self, ours: socket.socket) -> None:
        ours.settimeout(LOAD_S)
        self._control = ours

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            if not self._loaded:  # it does not listen yet, and has no children
                self._process.kill()
            self._loaded = False
            try:
                self._process.wait(5)  # it sees the end of its socket, and ends its children
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
            self._process = None


def _imported(module: str, name: str) -> Callable[..., Any]:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    function: Callable[..., Any] = found
    return function


class _Children:
    """In the server: who was forked, and where the exit code of each is waited for."""

    def __init__(self) -> None:
        self._status: dict[int, int] = {}

    def fork(self, control: socket.socket, wire: int, status: int, request: bytes) -> int:
        """The pid, or minus the errno."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # it may end before we know its pid
        try:
            pid = os.fork()
            if pid == 0:
                control.close()
                self._live(wire, status, request)
            self._status[pid] = status
            return pid
        except OSError as error:
            os.close(status)
            return -(error.errno or 11)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])

    def _live(self, wire: int, status: int, request: bytes) -> None:
        """The child's whole life; it never returns."""
        code = 1
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            for other in (status, *self._status.values()):
                os.close(other)
            target, argument = pickle.loads(request)  # noqa: S301 - our own parent wrote it
            with socket.socket(fileno=wire) as given:
                _imported(*target)(given, _imported(*argument))
            code = 0
        except BaseException:  # the child ends here: nothing may run on in a copy of the server
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def reap(self, _number: int, _frame: FrameType | None) -> None:
        """Tells how each child that ended did so."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            told = self._status.pop(pid, None)
            if told is not None:
                with contextlib.suppress(OSError):
                    os.write(told, _STATUS.pack(os.waitstatus_to_exitcode(status)))
                os.close(told)

    def kill(self) -> None:
        for pid in list(self._status):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def serve(descriptor: int, preload: str) -> None:
    """The life of the server: forks when it is asked, until the other end closes. A stop of the service signals every
    process of it; this one and its children go on until the service has drained."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    gc.disable()  # nothing of this is ever garbage, and to look for some costs a fifth of the loading
    importlib.import_module(preload)
    gc.enable()
    children = _Children()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, children.reap)
    with socket.socket(fileno=descriptor) as control:
        while True:
            try:
                request, descriptors, _, _ = socket.recv_fds(control, _MAX_REQUEST, 2)
                if not request:
                    break
                wire, status = descriptors
                control.sendall(_PID.pack(children.fork(control, wire, status, request)))
                os.close(wire)
            except (OSError, ValueError):
                break
    children.kill()
