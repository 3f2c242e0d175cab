"""``gateway backup``, ``restore`` and ``verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Json, fail, safe

app = typer.Typer()


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="A file that is not there yet, or a folder for backups.")],
    as_json: Json = False,
) -> None:
    """Write a backup while the service runs: database, keys, directory, configuration; verified, with rows by table."""
    from gateway import backup as backups
    from gateway.database.store import utc_now

    where, manifest = backups.make(context.settings(), Path(context.path()), target, utc_now())
    if as_json:
        print(json.dumps({"backup": str(where), **manifest.as_json()}))
        return
    size = sum(part.size for part in manifest.files.values())
    print(f"{where}: {size} octets, {_totals(manifest.counts)}")
    for file in manifest.left_out:
        print(f"not in it, keep it elsewhere: {safe(file)}")


def _totals(counts: object) -> str:
    found = dict(counts) if isinstance(counts, dict) else {}
    return ", ".join(f"{found.get(name, 0)} {name}" for name in ("messages", "tickets", "entries", "outbox"))


@app.command()
def verify(
    source: Annotated[Path | None, typer.Argument(help="A backup; without one: the database in use.")] = None,
    as_json: Json = False,
) -> None:
    """Check a backup (sums, integrity, rows by table) or the database in use. Exit 1 when something is wrong."""
    import tempfile

    from gateway import backup as backups
    from gateway.database import archive

    if source is None:
        wrong, counts = backups.live_problems(context.settings())
        what = "the database in use"
    else:
        with (
            tempfile.TemporaryDirectory(prefix="gateway-verify-", dir=source.absolute().parent) as scratch,
            archive.opened(source, Path(scratch)) as (manifest, folder),
        ):
            wrong, counts = backups.problems(manifest, folder), dict(manifest.counts)
        what = f"{source}, of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC, release {manifest.release}"
    if as_json:
        print(json.dumps({"what": what, "counts": counts, "problems": wrong}))
    elif not wrong:
        print(f"{safe(what)}: OK, {_totals(counts)}")
    for problem in wrong if not as_json else []:
        print(f"PROBLEM {safe(problem)}")
    raise typer.Exit(1 if wrong else 0)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A backup.")],
    queued: Annotated[
        str, typer.Option(help="Replies that may have been sent since the backup: hold, send or discard.")
    ] = "hold",
    replace: Annotated[bool, typer.Option("--replace", help="Replace the tables of a PostgreSQL database.")] = False,
) -> None:
    """Put a backup in place of the database; the service must be stopped."""
    from gateway import backup as backups
    from gateway.database.store import utc_now

    if queued not in ("hold", "send", "discard"):
        fail(f"--queued is hold, send or discard, not {safe(queued)}", 2)
    done = backups.restore(context.settings(), source, queued, utc_now(), replace)
    print(f"restored: {_totals(done.manifest.counts)}, as of {done.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC")
    waiting = f"{done.waiting.replies} replies and {done.waiting.mails} mails had not been sent or decided then"
    print(f"{waiting}; automatic replies to anything older than now: {queued}")
    if queued == "hold":
        print("see them: gateway outbox list --state held; then gateway outbox retry|discard --state held")
    if done.aside is not None:
        print(f"the database that was here: {done.aside}")
    for file in done.manifest.left_out:
        if not Path(file).exists():
            print(f"missing, and not in the backup: {safe(file)}")
