"""``gateway doctor``: tries everything from outside in."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Json, line

app = typer.Typer()
WORDS = {"ok": "OK", "wrong": "WRONG", "doubt": "DOUBT", "skipped": "-"}


@app.command()
def doctor(
    probe: Annotated[float, typer.Option(min=0, help="Seconds to wait for the probe mail; 0 sends none.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Try everything: DNS, listeners, certificate, relay, mailboxes, database, disk, clock, accounts, a probe mail.

    Each line says OK, or what is wrong and what to do. Exit 1 when something is wrong.
    """
    import asyncio

    raise typer.Exit(asyncio.run(_round(probe, as_json)))


async def _round(probe: float, as_json: bool) -> int:
    from gateway.doctor.round import findings

    code = 0
    async for finding in findings(context.path(), probe):
        code = 1 if finding.state == "wrong" else code
        if as_json:
            print(json.dumps(finding.as_json(), ensure_ascii=False), flush=True)
            continue
        print(f"{WORDS[finding.state]:6} {finding.name:14} {line(finding.what)}", flush=True)
        if finding.do:
            print(f"{'':21} -> {line(finding.do)}", flush=True)
    return code
