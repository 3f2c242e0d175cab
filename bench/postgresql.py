"""A PostgreSQL of a benchmark's own, under the user ``postgres``, in a temporary folder; and what its processes cost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from bench.harness import free_port, until

BIN = Path("/usr/lib/postgresql/15/bin")
OPTIONS = ("shared_buffers=512MB", "max_wal_size=4GB", "checkpoint_timeout=30min", "autovacuum=off", "jit=off")


class PostgreSQL:
    """One server; ``url(name)`` makes a database."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-bench-pg-"))
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        if user:
            shutil.chown(self._folder, "postgres", "postgres")
        self._port = free_port()
        made = [BIN / "initdb", "-D", self._folder / "data", "-A", "trust", "-U", "gateway", "--locale=C.UTF-8"]
        subprocess.run([*user, *map(str, made)], check=True, capture_output=True, cwd=self._folder)
        listen = ["-h", "127.0.0.1", "-p", str(self._port), "-k", str(self._folder)]
        settings = [word for option in OPTIONS for word in ("-c", option)]
        command = [*user, str(BIN / "postgres"), "-D", str(self._folder / "data"), *listen, *settings]
        self._server = subprocess.Popen(command, cwd=self._folder, stderr=subprocess.DEVNULL)
        until(self._up, 30, "PostgreSQL")

    def _up(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), self._connect():
            return True
        return False

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(f"host=127.0.0.1 port={self._port} user=gateway dbname=postgres", autocommit=True)

    def url(self, name: str) -> str:
        """A new, empty database."""
        with self._connect() as connection:
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

    def close(self) -> None:
        """Ends it and removes its folder."""
        self._server.send_signal(signal.SIGINT)
        self._server.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)
