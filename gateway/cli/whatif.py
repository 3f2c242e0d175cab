"""``gateway replay``: stored mails through other rules."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, moments
from gateway.cli.output import Json, Limit, line

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.database.store import Store
    from gateway.model import JsonObject
    from gateway.whatif import Summary

app = typer.Typer()


@app.command()
def replay(
    other: Annotated[Path, typer.Option("--config", help="The configuration to try.")],
    since: Annotated[str, typer.Option(help="Mail since then: 2h, 30d, or 2026-11-22.")] = "30d",
    diff: Annotated[bool, typer.Option("--diff", help="A line for each mail that would come out otherwise.")] = False,
    limit: Limit = 10_000,
    as_json: Json = False,
) -> None:
    """What another configuration would make of the stored mails; nothing is written or sent."""
    from gateway import config, log
    from gateway.database.store import utc_now

    new, start = config.load(other), moments.past(since, utc_now())
    log.configure()
    with context.store() as (settings, store):
        found = asyncio.run(_compared(settings, new, store, _Wanted(start, limit, diff, as_json)))
    if as_json:
        print(json.dumps(found.as_json(), ensure_ascii=False))
        return
    gone = f", {found.without_bytes} are not kept any more" if found.without_bytes else ""
    print(f"{found.tried} mails tried, {found.changed} would come out otherwise{gone}")
    for step, count in found.steps.most_common():
        print(f"{count:6} {line(step)}")


class _Wanted:
    def __init__(self, since: Any, limit: int, diff: bool, as_json: bool) -> None:
        self.since, self.limit, self.diff, self.as_json = since, limit, diff, as_json

    def show(self, found: JsonObject) -> None:
        """One mail, as it was asked for."""
        from gateway.whatif import worded

        if self.as_json and found.get("changes"):
            print(json.dumps(found, ensure_ascii=False))
        elif self.diff and not self.as_json and found.get("changes"):
            changes = (f"{name} {worded(old)} -> {worded(new)}" for name, (old, new) in found["changes"].items())
            print(
                line(
                    f"message {found['message']} {found['ticket'] or '-'} {found['received_at'][:16]}: "
                    f"{'; '.join(changes)}"
                )
            )


async def _compared(settings: Settings, new: Settings, store: Store, wanted: _Wanted) -> Summary:
    from gateway import whatif
    from gateway.database.store import utc_now
    from gateway.read.reader import Readers
    from gateway.verify.dns import DnsResolver

    summary, now = whatif.Summary(), utc_now()
    readers = Readers(1, settings.gateway.read_limit)
    await readers.start()
    resolver = DnsResolver(settings.dns.nameservers, settings.dns.timeout)
    try:
        with (
            whatif.built(settings, store, now, resolver) as before,
            whatif.built(whatif.apart(settings, new), store, now, resolver) as after,
        ):
            desks = whatif.Desk(before, store, readers), whatif.Desk(after, store, readers)
            ids = store.read_now(lambda connection: whatif.chosen(connection, wanted.since, wanted.limit))
            async for found in whatif.compared(store, ids, *desks):
                summary.add(found)
                wanted.show(found)
    finally:
        readers.stop()
    return summary
