"""gateway(1) and gateway.toml(5) as roff, from the commands' own help and the settings' own docstrings.

python packaging/manpages.py FOLDER
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from gateway import __version__, manual
from gateway.cli import app

ROOT = Path(__file__).resolve().parents[1]
EXIT = (
    ("0", "Fine."),
    ("1", "Failed, or something needs a person."),
    ("2", "Used wrongly, or the configuration cannot be used."),
    ("65, 75", "gateway accept: refused; try again later."),
)


def escaped(text: str) -> str:
    """Text in roff: no control line, no escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def plain(text: str) -> str:
    """A docstring without its marks, as one paragraph."""
    return " ".join(text.replace("`", "").split())


def heading(name: str, section: int, title: str) -> list[str]:
    """The first lines of a page."""
    return [
        f'.TH "{name.upper()}" "{section}" "" "gateway {__version__}" "E-mail gateway"',
        ".SH NAME",
        escaped(f"{name} - {title}"),
    ]


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name in sorted(group.commands):
        found = group.commands[name]
        if hasattr(found, "commands"):
            yield from _commands(found, f"{path} {name}")
        else:
            yield f"{path} {name}", found


def _options(command: Any) -> Iterator[str]:
    context = command.context_class(command)
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in record[0]:
            yield from (".RS", ".TP", f"\\fB{escaped(record[0])}\\fR", escaped(plain(record[1])) or "\\&", ".RE")


def commands_page() -> str:
    """gateway(1)."""
    root: Any = typer.main.get_command(app)
    lines = heading("gateway", 1, plain(root.help or ""))
    lines += [
        ".SH SYNOPSIS",
        "\\fBgateway\\fR [\\fB\\-\\-config\\fR \\fIFILE\\fR] \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]",
    ]
    lines += [".SH OPTIONS", *_options(root), ".SH COMMANDS"]
    for name, command in _commands(root, "gateway"):
        lines += [".SS", escaped(name), escaped(plain(command.help or "")), *_options(command)]
    lines += [".SH EXIT STATUS"]
    for code, words in EXIT:
        lines += [".TP", f"\\fB{code}\\fR", escaped(words)]
    files = (
        ("/etc/gateway/config.toml", "The configuration: gateway.toml(5)."),
        ("/var/lib/gateway", "The state directory."),
    )
    lines += [
        ".SH FILES",
        *(part for path, words in files for part in (".TP", f"\\fI{escaped(path)}\\fR", escaped(words))),
    ]
    return "\n".join([*lines, ".SH SEE ALSO", "\\fBgateway.toml\\fR(5)"]) + "\n"


def settings_page() -> str:
    """gateway.toml(5)."""
    lines = heading("gateway.toml", 5, "configuration of the e-mail gateway")
    lines += [".SH DESCRIPTION", escaped(
        "One TOML file, /etc/gateway/config.toml by default. Unknown keys are refused. Durations are written as 30s, 15m, 24h or 5d, sizes as "
        "25MB. Secrets are files or systemd credentials, never in this file. `gateway check` prints every fault."
    )]  # fmt: skip
    for part in manual.parts():
        lines += [f".SH {part.title}", escaped(plain("\n".join(part.words)))]
        for key in part.keys:
            lines += [".TP", f"\\fB{key.name}\\fR = {escaped(key.value)}", escaped(plain(key.words))]
    return "\n".join([*lines, ".SH SEE ALSO", "\\fBgateway\\fR(1)"]) + "\n"


def main(folder: Path) -> None:
    """Writes both pages."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gateway.1").write_text(commands_page(), encoding="utf-8")
    (folder / "gateway.toml.5").write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
