"""``gateway run``, ``check``, ``demo`` and ``status``: the service itself."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Json, line, safe

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.model import JsonObject
    from gateway.read.fork_server import ForkServer

app = typer.Typer()


@app.command()
def run() -> None:
    """Run the service in the foreground until SIGTERM or Ctrl-C."""
    import signal

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the service can reload, there is nothing to reload
    from gateway import config
    from gateway.read.fork_server import PRELOAD, ForkServer

    settings = context.settings()
    problems = config.file_problems(settings, context.path())
    if problems:
        raise config.ConfigError(problems)
    forks = ForkServer(PRELOAD)
    if {"work", "http"} & set(settings.node.roles):
        forks.begin()  # beside all that follows: it takes as long as the rest of the start
    try:
        _serve(settings, forks)
    finally:
        forks.stop()


def _serve(settings: Settings, forks: ForkServer) -> None:
    """The life of the service."""
    import uvloop

    from gateway import config, log, service
    from gateway.checks import machine
    from gateway.daemon import Daemon, InUse
    from gateway.model import Told
    from gateway.node import Ahead
    from gateway.replies.render import Templates

    templates = Templates(settings.replies.templates_dir)
    problems = templates.problems(service.sender(settings, b"check" * 8, context.path()))
    if problems:
        raise config.ConfigError(problems)
    service.topics_text(settings, context.path())
    log.configure()
    try:
        uvloop.run(Daemon(settings, context.path(), ahead=Ahead(templates, forks)).run())
    except (Told, config.ConfigError) as error:
        if not isinstance(error, InUse):  # the other one lives
            machine.last_words(settings.gateway.state_dir, str(error))
        raise


@app.command()
def check(
    user: Annotated[str | None, typer.Option(help="Whose rights the service has; default: gateway.")] = None,
    connect: Annotated[bool, typer.Option("--connect", help="Try everything, as gateway doctor does.")] = False,
    as_json: Json = False,
) -> None:
    """Check configuration, templates, directory and key files; every fault as file:key: what and why. Exit 0 or 2."""
    if connect:
        from gateway.cli.doctor import doctor

        doctor(as_json=as_json)
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
    """Show service status. Exit 1 when something needs a person: each PROBLEM says since when and what to do."""
    from gateway.cli import standing
    from gateway.config import ConfigError

    try:
        settings, problem = context.settings(), None
    except ConfigError as error:
        settings, problem = context.settings_of_service(), error
    checks, found = standing.everything(settings, problem)
    if as_json:
        print(json.dumps(found | {"checks": [check.as_json() for check in checks]}, ensure_ascii=False))
    else:
        _show_status(found)
        for check in checks:
            if check.problem:
                print(f"PROBLEM  {check.name:12} {line(check.line)}")
    raise typer.Exit(1 if found["problems"] else 0)


def _show_status(found: JsonObject) -> None:
    for key, value in found.items():
        if key == "sources":
            for source in value:
                words = (f"{name}={safe(str(told))}" for name, told in source.items() if told not in (None, ""))
                print(f"source               {' '.join(words)}")
        elif key == "nodes":
            if value:
                print(f"{key:20} {safe('; '.join(value))}")
        elif key != "problems":
            print(f"{key:20} {'-' if value is None else line(value)}")


@app.command()
def reload(wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for the result.")] = 60.0) -> None:
    """Let the service read its configuration again, and say what became of it: exit 0 accepted, 2 refused, 1 no
    service."""
    from gateway.cli import reloading

    problems = reloading.reload(context.settings_of_service(), wait)
    raise typer.Exit(2 if problems else 0)
