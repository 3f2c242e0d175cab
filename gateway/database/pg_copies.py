"""Copies of a PostgreSQL database by its own tools: ``pg_dump`` in a snapshot that the counts are taken in as well,
``pg_restore`` in one transaction. A password goes by the environment, never by the command line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from gateway.database.archive import ArchiveError
from gateway.database.tables import METADATA

_COPY = re.compile(rb'COPY (?:"?\w+"?\.)?"?(\w+)"? ')


def tool(name: str) -> str:
    """The path of a program of PostgreSQL: the one of ``PATH``, or the newest of Debian's folders.

    Raises:
        ArchiveError: it is not installed.
    """
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    chosen = str(found[-1]) if found else shutil.which(name)
    if chosen is None:
        raise ArchiveError(
            f"{name} is not installed: it comes with postgresql-client, of the server's version or newer"
        )
    return chosen


def conninfo(url: str, password: bool = True) -> str:
    """A URL of ours as libpq's."""
    plain = make_url(url).set(drivername="postgresql")
    return (plain if password else plain.set(password=None)).render_as_string(hide_password=False).replace("***", "")


def _environment(url: str) -> dict[str, str]:
    password = make_url(url).password
    return {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}


def _run(url: str, command: Sequence[str]) -> None:
    done = subprocess.run(command, env=_environment(url), capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ArchiveError(f"{Path(command[0]).name}: {said}")


def _connect(url: str) -> psycopg.Connection[Any]:
    try:
        return psycopg.connect(conninfo(url), connect_timeout=10)
    except psycopg.Error as error:
        raise ArchiveError(f"the database does not answer: {error}") from error


def _counted(connection: psycopg.Connection[Any]) -> dict[str, int]:
    query = "select tablename from pg_tables where schemaname = any(current_schemas(false))"
    there = {row[0] for row in connection.execute(query).fetchall()}
    counted = {}
    for name in sorted(there & set(METADATA.tables)):
        found = connection.execute(f"select count(*) from {name}").fetchone()  # noqa: S608
        counted[name] = int(found[0]) if found else 0
    return counted


def _schema(connection: psycopg.Connection[Any]) -> str:
    found = connection.execute("select version_num from alembic_version").fetchone()
    return str(found[0]) if found else ""


def dump(url: str, target: Path) -> tuple[str, dict[str, int]]:
    """Writes the dump of one snapshot; (schema, rows by table) of that very snapshot.

    Raises:
        ArchiveError: it cannot be made; the text is the tool's own.
    """
    program = tool("pg_dump")
    with _connect(url) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        found = connection.execute("select pg_export_snapshot()").fetchone()
        command = [program, "--format=custom", "--no-owner", "--no-privileges", "--no-password"]
        command += [f"--snapshot={found[0] if found else ''}", f"--file={target}", f"--dbname={conninfo(url, False)}"]
        _run(url, command)
        return _schema(connection), _counted(connection)


def counts_in(dumped: Path) -> dict[str, int]:
    """Rows by table that are in a dump: all of it is read and unpacked.

    Raises:
        ArchiveError: it is damaged.
    """
    command = [tool("pg_restore"), "--data-only", "--file=-", str(dumped)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        found, table = {}, ""
        for line in process.stdout:
            begins = _COPY.match(line) if not table else None
            if begins is not None:
                table = begins[1].decode()
                found[table] = 0
            elif line == b"\\.\n":
                table = ""
            elif table:
                found[table] += 1
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise ArchiveError(f"pg_restore: {said.splitlines()[-1] if said else 'the dump is damaged'}")
    return {name: count for name, count in found.items() if name in METADATA.tables}


def others(url: str) -> int:
    """How many other sessions the database has: a service that runs is among them."""
    query = (
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        " and backend_type = 'client backend'"
    )
    with _connect(url) as connection:
        found = connection.execute(query).fetchone()
        return int(found[0]) if found else 0


def holds_tables(url: str) -> bool:
    """Whether there is a gateway's database already."""
    with _connect(url) as connection:
        found = connection.execute("select to_regclass('alembic_version')").fetchone()
        return bool(found and found[0])


def counts(url: str) -> dict[str, int]:
    """Rows by table of the database."""
    with _connect(url) as connection:
        return _counted(connection)


def restore(url: str, dumped: Path) -> None:
    """Puts a dump back in one transaction, in place of what is there.

    Raises:
        ArchiveError: nothing was changed; the text is the tool's own.
    """
    command = [tool("pg_restore"), "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction"]
    _run(url, [*command, "--exit-on-error", "--no-password", f"--dbname={conninfo(url, False)}", str(dumped)])
