"""The PostgreSQL of a benchmark: settings of a machine that is busy, and what its processes cost."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tests.peers.postgres import Cluster

OPTIONS = ("shared_buffers=512MB", "max_wal_size=4GB", "checkpoint_timeout=30min", "autovacuum=off", "jit=off")


class PostgreSQL(Cluster):
    """One server; ``url(name)`` makes a database."""

    def __init__(self) -> None:
        super().__init__(*OPTIONS)

    def url(self, name: str) -> str:
        """A new, empty database."""
        with self.connect() as connection:
            connection.execute(f"create database {name}")  # type: ignore[arg-type]
        return f"postgresql+psycopg://gateway@127.0.0.1:{self._port}/{name}"

    def cpu(self) -> float:
        """CPU seconds of the processes that serve connections."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                found = stat.read_text().rpartition(")")[2].split()
                if int(found[1]) == self._server.pid:
                    ticks += int(found[11]) + int(found[12])
        return ticks / os.sysconf("SC_CLK_TCK")
