"""``gateway privacy``: retention, export, erasure and legal holds."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Json, fail, safe, show_table

if TYPE_CHECKING:
    from gateway.database.store import Store

app = typer.Typer(no_args_is_help=True, help="Personal data: purge, export, erase, hold, unhold, holds.")


def _noted(store: Store, what: str, kind: str, thing: str, detail: dict[str, int] | None = None) -> None:
    """The act goes into the audit and the log; no address does."""
    from gateway import log
    from gateway.model import Person
    from gateway.tickets import audit

    act = audit.Act(f"privacy_{what}", kind, thing, detail or {})
    store.write_now(lambda connection: audit.write(connection, act, Person(context.who()), _now()))
    log.configure()
    log.privacy(what, context.who(), **{name.replace(" ", "_"): count for name, count in (detail or {}).items()})


def _thing(store: Store, what: str) -> tuple[str, str]:
    """(kind, name) of what was meant, as the audit says it: an address is its tombstone."""
    from gateway.tickets import erasure, holds

    kind, value = holds.kind_of(what)
    return kind, erasure.mark_of(store.keys[store.key_id], value)[:16] if kind == "address" else value


def _now() -> datetime:
    from gateway.database.store import utc_now

    return utc_now()


@app.command("purge")
def privacy_purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False, as_json: Json = False
) -> None:
    """Remove what [retention] says is over. The running service does so by itself every six hours."""
    import asyncio

    from gateway.tickets import purge

    with context.store(write=not dry_run) as (settings, store):
        keep = settings.retention
        if dry_run:
            found = purge.due(store, keep, _now())
        else:

            async def wait(seconds: float) -> bool:
                await asyncio.sleep(seconds)
                return True

            found = asyncio.run(purge.Purge(store, keep, _now, wait).run())
    if as_json:
        print(json.dumps({"dry_run": dry_run, "rows": found}))
        return
    for name, count in found.items():
        print(f"{name:18} {count}{' would go' if dry_run else ' removed'}")
    if not found:
        print("nothing is over")


@app.command("export")
def privacy_export(
    what: Annotated[str, typer.Argument(metavar="ADDRESS|ACCOUNT", help="Whose data.")],
    target: Annotated[
        Path | None, typer.Option("--to", help="The zip; default: privacy-export-<time>.zip here.")
    ] = None,
) -> None:
    """Write everything that is kept of an address or account into a zip: JSON, and the mails as they came."""
    from gateway import privacy

    now = _now()
    target = target or Path(f"privacy-export-{now:%Y%m%dT%H%M%S}.zip")
    with context.store(write=True) as (_, store):
        try:
            found = privacy.write_export(store, what.lower() if "@" in what else what, target, now)
        except OSError as error:
            fail(f"{target}: {error.strerror}")
        _noted(store, "export", *_thing(store, what), found)
    print(f"{target}: {', '.join(f'{count} {name}' for name, count in found.items())}")


@app.command("erase")
def privacy_erase(address: str, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Erase an address: what it wrote and was sent goes, and it is struck out everywhere else. This cannot be
    undone."""
    from gateway import privacy

    if "@" not in address:
        fail("an address is needed; tickets of an account: gateway privacy export ACCOUNT names its addresses", 2)
    if not yes:
        typer.confirm(f"Erase {safe(address)} for good?", abort=True)
    with context.store(write=True) as (settings, store):
        found = privacy.erase(store, settings.gateway.state_dir, address, _now())
        _noted(store, "erase", *_thing(store, address), found.done)
    print(f"erased: {', '.join(f'{count} {name}' for name, count in found.done.items())}")
    if found.clean is None:
        print("PostgreSQL writes over what was deleted in its own time: vacuumdb --full does so at once")
    if found.left:
        print(f"copies that still hold it, until they are restored or removed: {', '.join(map(str, found.left))}")
    if found.clean is False:
        fail("the database's files still hold it, something keeps the log busy: run the command again")


@app.command("hold")
def privacy_hold(
    what: Annotated[str, typer.Argument(metavar="TICKET|ACCOUNT|ADDRESS")],
    reason: Annotated[str, typer.Option(help="Why, for whoever asks later.")],
) -> None:
    """Put a legal hold: nothing of it is purged or erased."""
    from gateway.tickets import holds

    with context.store(write=True) as (_, store):
        new = store.write_now(lambda connection: holds.hold(connection, what, reason, context.who(), _now()))
        _noted(store, "hold", *_thing(store, what))
    print(
        f"{' '.join(map(safe, holds.kind_of(what)))} is on "
        f"hold{'' if new else ' (it was already; the reason is the new one)'}"
    )


@app.command("unhold")
def privacy_unhold(what: Annotated[str, typer.Argument(metavar="TICKET|ACCOUNT|ADDRESS")]) -> None:
    """Lift a legal hold."""
    from gateway.tickets import holds

    with context.store(write=True) as (_, store):
        if not store.write_now(lambda connection: holds.lift(connection, what)):
            fail(f"there is no hold on {safe(what)}")
        _noted(store, "unhold", *_thing(store, what))
    print("the hold is lifted")


@app.command("holds")
def privacy_holds(as_json: Json = False) -> None:
    """List the legal holds: whose, why, since when, by whom."""
    from gateway.tickets import holds

    with context.store() as (_, store):
        show_table(store.read_now(holds.listed), ("kind", "value", "since", "by", "reason"), as_json)
