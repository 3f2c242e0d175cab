"""gateway(1) and gateway.toml(5) as roff, from the commands' own help, the settings' own docstrings and ``config.example.toml``.

python packaging/manpages.py FOLDER
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer
from pydantic import BaseModel

from gateway import __version__, config
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
    return " ".join(text.replace("``", "").split())


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


def described() -> dict[tuple[str, str], tuple[str, str]]:
    """``{(section, key): (default or example, comment)}`` of config.example.toml, where every key is documented."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    section, last = "", ("", "")
    for line in (ROOT / "config.example.toml").read_text(encoding="utf-8").splitlines():
        head = re.match(r"(?:# )?\[+(\w+)\]+", line)
        key = re.match(r"(?:# )?(\w+) = (.*)$", line)
        more = re.match(r"\s{10,}# (.*)$", line)
        if head:
            section = head[1]
        elif key:
            value, _, comment = key[2].partition("  #")
            last = (section, key[1])
            found[last] = (value.strip(), comment.strip(" #"))
        elif more and last in found:
            found[last] = (found[last][0], f"{found[last][1]} {more[1]}".strip())
    return found


def _model(annotation: Any) -> tuple[type[BaseModel], bool]:
    """(the section's class, whether it may be repeated)."""
    inner = get_args(annotation)
    return (inner[0], True) if inner else (annotation, False)


def settings_page() -> str:
    """gateway.toml(5)."""
    known = described()
    lines = heading("gateway.toml", 5, "configuration of the e-mail gateway")
    lines += [".SH DESCRIPTION", escaped(
        "One TOML file, /etc/gateway/config.toml by default. Unknown keys are refused. Durations are written as 30s, 15m, 24h or 5d, sizes as "
        "25MB. Secrets are files or systemd credentials, never in this file. `gateway check` prints every fault."
    )]  # fmt: skip
    for name, field in config.Settings.model_fields.items():
        model, repeated = _model(field.annotation)
        lines += [
            f".SH {'[[' if repeated else '['}{name}{']]' if repeated else ']'}",
            escaped(plain((model.__doc__ or "").partition(":")[2] or model.__doc__ or "")),
        ]
        for key in model.model_fields:
            value, comment = known.get((name, key), ("", ""))
            lines += [".TP", f"\\fB{key}\\fR = {escaped(value)}", escaped(comment) or "\\&"]
    return "\n".join([*lines, ".SH SEE ALSO", "\\fBgateway\\fR(1)"]) + "\n"


def main(folder: Path) -> None:
    """Writes both pages."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gateway.1").write_text(commands_page(), encoding="utf-8")
    (folder / "gateway.toml.5").write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
