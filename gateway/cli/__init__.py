"""The commands, a file a noun. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from gateway.cli import (
    abuse,
    accounts,
    context,
    doctor,
    incidents,
    intake,
    messages,
    outbox,
    privacy,
    report,
    running,
    templates,
    ticket_work,
    tickets,
    topics,
    tracing,
    users,
    ways_back,
    whatif,
)

app = typer.Typer(
    name="gateway", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="The e-mail gateway of the support desk: takes mail in, finds out who wrote it, answers in time.",
)  # fmt: skip
for whole in (running, intake, report, tracing, doctor, ways_back, whatif):
    app.registered_commands += whole.app.registered_commands
tickets.app.registered_commands += ticket_work.app.registered_commands
for noun in (tickets, messages, outbox, accounts, templates, topics, privacy, incidents, abuse, users):
    app.add_typer(noun.app, name=noun.__name__.rpartition(".")[2])


def _version(wanted: bool) -> None:
    if wanted:
        from gateway import __version__
        from gateway.database.store import head

        print(f"gateway {__version__}, schema {head()}")
        raise typer.Exit


@app.callback()
def _common(
    config: Annotated[
        str, typer.Option("--config", envvar="GATEWAY_CONFIG", help="The configuration file.")
    ] = "/etc/gateway/config.toml",
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the release and the schema.")
    ] = False,
) -> None:
    context.use(config)


def main() -> None:
    """The entry point: every expected fault becomes a message and an exit code."""
    from gateway.config import ConfigError
    from gateway.model import Told

    os.environ["PYTHONSAFEPATH"] = "1"  # no process that we start imports a file of the folder it was started in
    try:
        app()
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Told as error:
        print(f"gateway: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (ValueError, PermissionError, FileNotFoundError) as error:
        print(f"gateway: {error}", file=sys.stderr)
        sys.exit(1)
