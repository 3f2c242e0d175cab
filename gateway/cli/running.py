"""``gateway run``, ``check``, ``demo`` and ``status``: the service itself."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Json, safe

app = typer.Typer()


@app.command()
def run() -> None:
    """The service, in the foreground."""
    import signal

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the service can reload, there is nothing to reload
    import uvloop

    from gateway import config, log, service
    from gateway.daemon import Daemon
    from gateway.replies.render import Templates

    settings = context.settings()
    problems = config.file_problems(settings, context.path())
    if not problems:
        problems = Templates(settings.replies.templates_dir).problems(
            service.sender(settings, b"check" * 8, context.path())
        )
    if problems:
        raise config.ConfigError(problems)
    service.topics_text(settings, context.path())
    log.configure()
    uvloop.run(Daemon(settings, context.path()).run())


@app.command()
def check(
    user: Annotated[str | None, typer.Option(help="Whose rights the service has; default: gateway.")] = None,
    as_json: Json = False,
) -> None:
    """Check configuration, templates, directory and key files; every fault as file:key: what and why. Exit 0 or 2."""
    from gateway import check as checks
    from gateway.database.store import utc_now

    path = context.path()
    found = checks.everything(path, utc_now(), user)
    for warning in found.warnings:
        print(f"warning: {safe(warning)}", file=sys.stderr)
    for problem in found.problems:
        print(json.dumps(problem.as_json(), ensure_ascii=False) if as_json else safe(problem))
    if not found.problems and not as_json:
        print(f"{path}: OK")
    raise typer.Exit(2 if found.problems else 0)


@app.command()
def demo(keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards.")] = False) -> None:
    """A dozen mails through the whole service in a temporary folder; needs no configuration."""
    import asyncio

    from gateway.demo import demonstrate

    raise typer.Exit(asyncio.run(demonstrate(keep)))


@app.command()
def status(as_json: Json = False) -> None:
    """How things stand. Exit 1 when something needs a person."""
    from gateway import health, service
    from gateway.database.store import utc_now
    from gateway.tickets import views

    with context.store() as (settings, store):
        now = utc_now()
        usage = health.ask(settings.gateway.state_dir)
        directory = service.directory(settings)
        age, usable = directory.age(now), directory.usable(now)
        found = store.read_now(
            lambda connection: views.status(connection, now, age, usable, views.relay_problem(connection, now))
        )
        found["problems"] += store.read_now(views.database_problems)
    found = views.with_usage(found, usage)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        for key, value in found.items():
            if key == "sources":
                for source in value:
                    words = (f"{name}={safe(str(told))}" for name, told in source.items() if told not in (None, ""))
                    print(f"source               {' '.join(words)}")
            elif key != "problems":
                print(f"{key:20} {'-' if value is None else value}")
        for problem in found["problems"]:
            print(f"PROBLEM              {safe(problem)}")
    raise typer.Exit(1 if found["problems"] else 0)
