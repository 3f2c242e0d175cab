"""A real PostgreSQL 15 on loopback, in a folder that its user can enter."""

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

from tests.peers.harness import free_port, until

PG = Path("/usr/lib/postgresql/15/bin")


def as_user(user: str) -> list[str]:
    """The prefix that runs a command as another user when we are root."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []


class Cluster:
    """One server with as many databases as are asked for. ``options``: more of its settings, as ``name=value``."""

    def __init__(self, *options: str) -> None:
        if not (PG / "initdb").exists():
            raise FileNotFoundError("PostgreSQL 15 is not installed")
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
        self._prefix, self._options = as_user("postgres"), options or ("fsync=off",)
        if self._prefix:
            shutil.chown(self._folder, "postgres", "postgres")
        self._port, self._made = free_port(), 0
        make = [
            PG / "initdb",
            "-D",
            self._folder / "data",
            "-A",
            "trust",
            "-U",
            "gateway",
            "--locale=C.UTF-8",
            "-E",
            "UTF8",
        ]
        subprocess.run([*self._prefix, *make], check=True, capture_output=True, cwd=self._folder)
        self.start()

    def start(self) -> None:
        options = ["-h", "127.0.0.1", "-p", str(self._port), "-k", str(self._folder)]
        for one in self._options:
            options += ["-c", one]
        command = [*self._prefix, PG / "postgres", "-D", self._folder / "data", *options]
        self._server = subprocess.Popen(command, cwd=self._folder, stderr=subprocess.DEVNULL)

        def up() -> bool:
            with contextlib.suppress(psycopg.OperationalError), self.connect():
                return True
            return False

        until(up, 30, "PostgreSQL")

    def stop(self) -> None:
        """A fast shutdown: sessions are ended at once."""
        self._server.send_signal(signal.SIGINT)
        self._server.wait(30)

    def connect(self, name: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(f"host=127.0.0.1 port={self._port} user=gateway dbname={name}", autocommit=True)

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        self._made += 1
        with self.connect() as connection:
            connection.execute(f"create database t{self._made}")  # type: ignore[arg-type]
        return f"postgresql+psycopg://gateway@127.0.0.1:{self._port}/t{self._made}"

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
