"""The configuration as people read it, from the docstrings of the settings: each section, key, type and default.

``python -m gateway.manual > docs/configuration.md`` and ``python -m gateway.manual example > config.example.toml``
write both anew; a test compares them. A key's docstring stands under it (as PEP 257 has it), its default and its type
are those that a file is read with. What a key without a default may look like is its ``examples``.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from gateway.config import Settings
from gateway.reloading import FIXED
from gateway.settings import Address, Answerer, Budget, Octets, Opening, RelayNetwork, Retained, Seconds, Section

_UNITS = ((172800, 86400, "d"), (3600, 3600, "h"), (60, 60, "m"), (0, 1, "s"))  #: (from which on, seconds, unit)
#: of the database URL both make a part
_RESTART = {*FIXED, "database.url", "database.url_file"}
_FORMS: tuple[tuple[Any, str], ...] = (
    (Seconds, "duration"),
    (Octets, "size"),
    (Budget, "number/duration"),
    (Retained, "days, or `forever`"),
    (Address, "address"),
    (Answerer, "address"),
    (RelayNetwork, "network"),
    (Opening, "days and hours"),
)
_PLAIN = {str: "text", int: "number", float: "number", bool: "`true` or `false`", Path: "path"}

COLUMN, WIDE = 39, 120  #: where the remarks of the example begin, and where they end

PAGE = """# Configuration

One TOML file, `/etc/gateway/config.toml` by default (`--config FILE` or `GATEWAY_CONFIG`). Every key has a default but
those marked *required*; unknown keys are refused with the nearest known one. Secrets are files or systemd credentials,
never TOML.

    gateway check

prints every fault as `file:key: what and why` (exit 2) and, on standard error, warnings about what is valid and
doubtful. SIGHUP takes up a change; a key marked `*` needs a restart.

Durations are written `30s`, `15m`, `24h`, `5d`; sizes `64MB` (units of 1024).
[config.example.toml](../config.example.toml) is a file with every key. Templates of your own:
[templates.md](templates.md). Words that make a mail an outage, a request or a matter of the billing team:
[topics.md](topics.md).

This page and the example are made from the settings' own docstrings: `python -m gateway.manual > docs/configuration.md`
and `python -m gateway.manual example > config.example.toml`; a test compares them.
"""
EXAMPLE = """# The configuration of the gateway: every key with its default (python -m gateway.manual example).
# Keys without a default stand commented out, marked (required) or (optional); no section is required.
# Unknown keys are refused. Durations: 30s, 15m, 24h, 5d. Sizes: 64MB (units of 1024).
# Secrets never stand here: they are files or systemd credentials.
# Test it with: gateway --config FILE check
"""


@dataclass(frozen=True)
class Key:
    """One key: what it does, as a sentence; ``form``: its type in words; ``value``: its default as TOML, else what it
    may look like (``given`` says which, ``required`` that a file must have it)."""

    name: str
    words: str
    form: str
    value: str
    given: bool
    required: bool
    restart: bool


@dataclass(frozen=True)
class Part:
    """A section: ``title`` as it stands in the file, what it is for (paragraphs), and its keys."""

    title: str
    words: tuple[str, ...]
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class _Said:
    """What a section's class says of a key; ``written``: its type as it is written there."""

    field: FieldInfo
    written: Any
    words: str


def parts() -> Iterator[Part]:
    """Every section in the order of the file; a table inside a section comes after it."""
    for name, field in Settings.model_fields.items():
        inner = get_args(field.annotation)
        yield from _parts(name, f"[[{name}]]" if inner else f"[{name}]", inner[0] if inner else field.annotation)


def _parts(name: str, title: str, section: Any) -> Iterator[Part]:
    said = _docstrings(section)
    written = inspect.get_annotations(section, eval_str=True)
    keys = tuple(
        _key(f"{name}.{key}", _Said(field, written[key], said[key])) for key, field in section.model_fields.items()
    )
    yield Part(title, _paragraphs(section), keys)
    for key, field in section.model_fields.items():
        for table in get_args(field.annotation):
            if inspect.isclass(table) and issubclass(table, Section):
                yield from _parts(f"{name}.{key}", f"[{name}.{key}]", table)


def _paragraphs(section: type[Section]) -> tuple[str, ...]:
    """A section's docstring without its own name, each paragraph on one line."""
    words = (inspect.getdoc(section) or "").partition(": ")[2]
    found = [_line(paragraph) for paragraph in words.split("\n\n")]
    return (found[0][:1].upper() + found[0][1:], *found[1:])


def _line(words: str) -> str:
    return " ".join(words.replace("``", "`").split())


def _docstrings(section: type[Section]) -> dict[str, str]:
    """What stands under each key of a section; KeyError later where nothing does."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr):
            found[node.target.id] = _line(str(ast.literal_eval(after.value)))
    return found


def _key(path: str, said: _Said) -> Key:
    default = None if said.field.is_required() else said.field.get_default(call_default_factory=True)
    given = default is not None or said.written == Retained
    return Key(
        name=path.rpartition(".")[2],
        words=said.words,
        form=form_of(said.written),
        value=toml_of(default if given else (said.field.examples or [""])[0], said.written),
        given=given,
        required=said.field.is_required(),
        restart=path in _RESTART,
    )


def form_of(written: Any) -> str:
    """A type in words: ``duration``, ``list of addresses``, ``number, 1 to 50``."""
    for known, words in _FORMS:
        if written == known:
            return words
    if hasattr(written, "__metadata__"):
        return form_of(get_args(written)[0]) + _bounds(written.__metadata__)
    if get_origin(written) is Literal:
        return _either([f"`{toml_of(one, str)}`" for one in get_args(written)])
    inner = [form_of(one) for one in get_args(written) if one not in (type(None), ...)]
    if get_origin(written) is tuple:
        return f"list of {inner[0] if '`' in inner[0] else inner[0] + ('es' if inner[0].endswith('s') else 's')}"
    if get_origin(written) is dict or (inspect.isclass(written) and issubclass(written, Section)):
        return "table"
    return inner[0] if inner else _PLAIN[written]


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _bounds(metadata: tuple[Any, ...]) -> str:
    """``, 1 to 50`` of a number's ``Field(ge=1, le=50)``."""
    bounds = [one for given in metadata for one in getattr(given, "metadata", ())]
    least, most, under = (
        next((getattr(one, name) for one in bounds if hasattr(one, name)), None) for name in ("ge", "le", "lt")
    )
    if least is None:
        return ""
    return f", {least} to {most}" if most is not None else f", {least} or more{f', under {under}' if under else ''}"


def toml_of(value: Any, written: Any) -> str:
    """A value as the file would say it, by the type of its key: seconds as ``15m``, octets as ``25MB``."""
    if written == Budget:
        return json.dumps(f"{value[0]}/{_duration(value[1])}")
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_of(one, get_args(written)[0]) for one in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {toml_of(one, str)}' for key, one in value.items())} }}" if value else "{}"
    if written == Retained:
        return json.dumps("forever" if value is None else _duration(value))
    if written == Seconds:
        return json.dumps(_duration(value))
    if written == Octets:
        return json.dumps(_size(value))
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def _duration(seconds: float) -> str:
    return next(
        f"{seconds / unit:g}{letter}" for least, unit, letter in _UNITS if seconds >= least and not seconds % unit
    )


def _size(octets: int) -> str:
    return f"{octets // 1024**2}MB" if not octets % 1024**2 else f"{octets}B"


def page() -> str:
    """The text of ``docs/configuration.md``."""
    lines = [PAGE.rstrip("\n")]
    for part in parts():
        lines += ["", f"## {part.title}", ""]
        lines += [line for words in part.words for line in (_linked(words), "")]
        lines += ["| key | type | default | what it does |", "|---|---|---|---|", *map(_row, part.keys)]
    return "\n".join(lines) + "\n"


def _linked(words: str) -> str:
    return re.sub(r"\bdocs/([\w-]+\.md)", r"[\1](\1)", words)


def _row(key: Key) -> str:
    value = f"`{key.value}`" if key.given else "*required*" if key.required else "-"
    shown = "" if key.given or key.form == "table" else f" For example `{key.value}`."
    cells = (f"`{key.name}`{'*' if key.restart else ''}", key.form, value, _linked(key.words) + shown)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def example() -> str:
    """The text of ``config.example.toml``."""
    lines = [EXAMPLE.rstrip("\n")]
    for part in parts():
        inner, repeated = "." in part.title, part.title.startswith("[[")
        if not inner:
            lines += ["", *(line for words in part.words for line in _comment(words, ""))]
            lines.append(f"# {part.title}" if repeated else part.title)
        for key in part.keys:
            lines += _entry(key, "#   " if inner else "# " if repeated or not key.given else "")
    return "\n".join(lines) + "\n"


def _comment(words: str, before: str) -> list[str]:
    start = f"{before}# "
    return textwrap.wrap(words, WIDE, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def _entry(key: Key, mark: str) -> Iterator[str]:
    """A key with its value, and what it does beside it."""
    start = f"{mark}{key.name} = {key.value}"
    said = "(required)" if key.required else "(optional)" if mark else ""
    words = f"{key.words}{' Needs a restart.' if key.restart else ''}"
    if len(start) < COLUMN:
        first, *more = _comment(f"{said} {words}".strip(), " " * COLUMN)
        yield start.ljust(COLUMN) + first.lstrip()
    else:
        yield f"{start}   # {said}" if said else start
        more = _comment(words, " " * COLUMN)
    yield from more


if __name__ == "__main__":
    sys.stdout.write(example() if sys.argv[1:] == ["example"] else page())
