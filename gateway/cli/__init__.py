"""The commands, a file a noun. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer

from gateway.cli import context

#: the files of each noun, and the file of each command that stands alone
NOUNS = {
    name: (name,)
    for name in (
        "messages",
        "outbox",
        "accounts",
        "templates",
        "topics",
        "privacy",
        "incidents",
        "abuse",
        "users",
        "blocks",
    )
} | {"tickets": ("tickets", "ticket_work")}
ALONE = {
    "run": "running", "check": "running", "demo": "running", "status": "running",
    "reload": "running", "explain": "intake", "accept": "intake", "import": "intake", "report": "report",
    "trace": "tracing",
    "doctor": "doctor", "backup": "ways_back", "verify": "ways_back", "restore": "ways_back", "replay": "whatif",
}  # fmt: skip
GARBAGE = 50_000  #: objects until the collector looks: a command is over before, and what it imports stays


def built(wanted: Iterable[str]) -> typer.Typer:
    """The command line with these of its nouns and commands: a file that is not needed is not imported."""
    made = typer.Typer(
        name="gateway", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="The e-mail gateway of the support desk: takes mail in, finds out who wrote it, answers in time.",
    )  # fmt: skip
    made.callback()(_common)
    names = set(wanted)
    for file in dict.fromkeys(ALONE[name] for name in ALONE if name in names):
        made.registered_commands += _app(file).registered_commands
    for noun in (noun for noun in NOUNS if noun in names):
        first, *more = (_app(file) for file in NOUNS[noun])
        for app in more:
            first.registered_commands += [
                one for one in app.registered_commands if one not in first.registered_commands
            ]
        made.add_typer(first, name=noun)
    return made


def _app(file: str) -> typer.Typer:
    found: typer.Typer = import_module(f"gateway.cli.{file}").app
    return found


def _needed(arguments: list[str]) -> Iterable[str]:
    """What the command line is about; everything where it names nothing that there is."""
    given = iter(arguments)
    for word in given:
        if word == "--config":
            next(given, None)
        elif not word.startswith("-"):
            return [word] if word in NOUNS or word in ALONE else [*NOUNS, *ALONE]
    return [*NOUNS, *ALONE]


def __getattr__(name: str) -> Any:
    """``app``: the whole command line."""
    if name != "app":
        raise AttributeError(name)
    return built([*NOUNS, *ALONE])


def _version(wanted: bool) -> None:
    if wanted:
        from gateway import __version__
        from gateway.database.store import head

        print(f"gateway {__version__}, schema {head()}")
        raise typer.Exit


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
    gc.set_threshold(GARBAGE)
    atexit.register(gc.freeze)  # or the interpreter looks through all that was imported when it ends: 0.3 s
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to look for some costs a command 25 ms; we have none
    os.environ["PYTHONSAFEPATH"] = "1"  # no process that we start imports a file of the folder it was started in
    try:
        built(_needed(sys.argv[1:]))()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # each kind has its words and its exit code; what nobody expected is raised again
        sys.exit(_told(error))


def _told(error: Exception) -> int:
    """An expected fault in words, and the exit code; any other is raised again."""
    from gateway.config import ConfigError
    from gateway.model import Told

    if isinstance(error, ConfigError):
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    if _is_out_of_range(error):
        print("gateway: a number or a date in this command is out of range", file=sys.stderr)
        return 2
    if not isinstance(error, Told | ValueError | PermissionError | FileNotFoundError):
        raise error
    print(f"gateway: {error}", file=sys.stderr)
    return error.exit_code if isinstance(error, Told) else 1


def _is_out_of_range(error: Exception) -> bool:
    """Whether a number is beyond what a database holds (64 bits), or a date beyond the calendar."""
    if isinstance(error, OverflowError):
        return True
    return type(error).__name__ == "DataError" and "out of range" in str(error)
