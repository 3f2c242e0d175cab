"""A Maildir of this machine (maildir(5)): what lies in ``new`` is stored, then moved into ``cur``.

Plain files only: whoever may write there reads nothing with our rights by a link, and stops us with no pipe. Nothing
that lies in ``cur`` is written over.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from gateway import log, metrics
from gateway.database.store import StoreError
from gateway.ingest import settings as sections
from gateway.ingest.client import delivered_to, return_path
from gateway.ingest.halt import Halt
from gateway.model import Accepted, Envelope, RawMessage

PIECE = 1024 * 1024
WAIT_S = 10.0
REPORT_S = 30.0


class Ledger(Protocol):
    """Where a mail is stored; every call waits for its commit."""

    def accept(self, message: RawMessage) -> Future[Accepted]: ...
    def report(self, **values: Any) -> None: ...


class Maildir:
    """Reads one Maildir until ``halt``. ``run`` is the life of its thread."""

    def __init__(
        self, settings: sections.Maildir, ledger: Ledger, halt: Halt, clock: Callable[[], datetime], max_size: int
    ) -> None:
        self._settings, self._ledger, self._halt, self._clock = settings, ledger, halt, clock
        self._max_size = max_size
        self._state = ""
        self._reported = 0.0

    def run(self) -> None:
        """Looks, waits, looks again, until the stop."""
        while not self._halt.is_set():
            try:
                count = self.look()
            except Exception as error:  # the one broad net of this thread: the disk or the database may be back soon
                why = (
                    str(error)
                    if isinstance(error, StoreError)
                    else getattr(error, "strerror", None) or type(error).__name__
                )
                log.source(self._settings.name, "away", why)
                self._tell("away", why, 0)
                self._halt.pause(WAIT_S)
                continue
            self._tell("connected", "", count)
            self._halt.pause(self._settings.poll_interval)

    def _tell(self, state: str, error: str, count: int) -> None:
        now = self._clock()
        if state == self._state and not count and now.timestamp() - self._reported < REPORT_S:
            return
        values: dict[str, Any] = {"state": state, "error": error}
        if state == "connected":
            values |= {"read_at": now, "lag": 0} | ({"last_mail_at": now} if count else {})
            values |= {"connected_since": now} if self._state != state else {}
        self._state, self._reported = state, now.timestamp()
        try:
            self._ledger.report(**values)
        except Exception:  # the database is away too, and the folder is still to be read; the next report tells
            self._reported = 0.0

    def look(self) -> int:
        """Takes in what is there, oldest first; how many. OSError when the folder cannot be read."""
        new = self._settings.path / "new"
        with os.scandir(new) as entries:
            plain = (e for e in entries if not e.name.startswith(".") and e.is_file(follow_symlinks=False))
            found = sorted((e.stat(follow_symlinks=False).st_mtime, e.name) for e in plain)
        for modified, name in found:
            if self._halt.is_set():
                break
            self._take(new / name, modified)
        return len(found)

    def _take(self, path: Path, modified: float) -> None:
        try:
            with open(path, "rb", opener=_opened) as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    return
                size = found.st_size
                raw = file.read(self._max_size if size <= self._max_size else PIECE)
        except FileNotFoundError:
            return  # another program took it
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # it became a link, or a socket, since we looked
                return
            raise
        # an MTA writes a local file with the line ends of this machine
        raw = raw if b"\r\n" in raw else raw.replace(b"\n", b"\r\n")
        note = f"; only the first {len(raw)} of {size} octets were taken in" if size > self._max_size else ""
        source = f"maildir:{self._settings.name}"
        envelope = Envelope(
            mail_from=return_path(raw),
            rcpt_tos=delivered_to(raw),
            client=None,
            helo=None,
            source=source,
            received_at=min(datetime.fromtimestamp(modified, UTC), self._clock()),
            trusted=False,
            tls=False,
            client_reason=f"read from a mailbox{note}",
        )
        accepted = self._ledger.accept(RawMessage(raw, envelope)).result()
        metrics.ACCEPTED.labels("maildir", str(accepted.created).lower()).inc()
        log.accepted(log.Taken(accepted.id, accepted.created, len(raw)), source, envelope.mail_from, None)
        _moved(path, self._settings.path / "cur")


def _opened(path: str, flags: int) -> int:
    """Opens what stands there itself, and waits for no writer of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _moved(path: Path, cur: Path) -> None:
    """From ``new`` into ``cur``, beside what has the same name there."""
    name, _, flags = path.name.partition(":2,")
    target, number = cur / f"{name}:2,{flags}", 0
    while os.path.lexists(target):
        number += 1
        target = cur / f"{name}.{number}:2,{flags}"
    try:
        path.rename(target)
    except FileNotFoundError:
        return
