"""What commands print: tables, one JSON object a line, text that a terminal does not obey; and how a command fails."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from gateway.model import JsonObject


Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]
Force = Annotated[bool, typer.Option("--force", help="Write it to a terminal.")]


def fail(text: str, code: int = 1) -> NoReturn:
    """Ends the command: one line on standard error, and the exit code (1 failed, 2 used wrongly)."""
    print(f"gateway: {text}", file=sys.stderr)
    raise typer.Exit(code)


def safe(value: object) -> str:
    """Text for a terminal: no escape sequences, no direction overrides."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() or c in "\n\t" else f"<U+{ord(c):04X}>" for c in text)


def line(value: object) -> str:
    """``safe`` on one line: for a cell of a table."""
    return safe(" ".join(str(value).split("\n")) if value is not None else "")


def columns() -> int | None:
    """The columns of a terminal; a line that is longer would go on without its prefix. ``None`` where there is no
    terminal."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def write_octets(data: bytes | bytearray, force: bool, what: str) -> None:
    """Writes octets of a mail to standard output; a terminal would obey what is in them, so it needs ``force``."""
    if sys.stdout.isatty() and not force:
        fail(f"{what} may hold control sequences: send it to a file, or to a terminal with --force", 2)
    sys.stdout.buffer.write(data)


PAGE = 500  #: rows that are read, shown and forgotten before the next ones


def show_pages(pages: Iterable[list[JsonObject]], names: tuple[str, ...], as_json: bool) -> None:
    """``show_table`` of a list of any length, a page after the other: it takes the memory of one of them."""
    shown = False
    for rows in pages:
        if rows or not shown:
            show_table(rows, names, as_json)
        shown = True


def show_table(rows: list[JsonObject], names: tuple[str, ...], as_json: bool) -> None:
    """Rows as a table of ``names``, or whole as JSON."""
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(safe(row[name])) for name in names))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def show_fields(row: JsonObject, as_json: bool) -> None:
    """One row, a line for each field that says something; or whole as JSON."""
    if as_json:
        print(json.dumps(row, ensure_ascii=False))
        return
    for name, value in row.items():
        if value not in (None, "", [], False):
            print(f"{name:16} {line(', '.join(value) if isinstance(value, list) else value)}")
