"""What a start needs before the first socket, and how it fails in words: the state directory is ours alone."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from gateway.model import Told


class StartError(Told):
    """The service cannot start for a reason outside its configuration: a port, a lock, a database."""


class InUse(StartError):
    """Another service works in this state directory."""


class StateLock:
    """The lock of a state directory, with our process id in it."""

    def __init__(self) -> None:
        self._file: IO[str] | None = None
        self.seen_at: datetime | None = None  #: the last sign of life of the service that had it before

    def take(self, folder: Path) -> None:
        """Makes the folder where it is not there, and takes its lock.

        Raises:
            InUse: another process has it.
            StartError: the folder cannot be used.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = (folder / "lock").open("a+")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUse(f"{folder} is in use by process {self._holder()}") from error
        except OSError as error:
            raise StartError(f"{folder} cannot be used: {error}") from error
        before = os.fstat(self._file.fileno())
        if before.st_size:
            self.seen_at = datetime.fromtimestamp(before.st_mtime, UTC)
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def _holder(self) -> str:
        assert self._file is not None
        self._file.seek(0)
        return self._file.read().strip() or "?"

    def close(self) -> None:
        """Lets the lock go: another service may start."""
        if self._file is not None:
            self._file.close()
