"""The faults that the gateway is tried with, as a table for docs/guarantees.md: ``python -m tests.fault_list`` writes it there.

``fault_list.toml`` has the words of each fault, and what of it was not tried; the tests that try it carry
``@pytest.mark.fault("X1")``, and are found here without running them.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOC = ROOT / "docs" / "guarantees.md"
BEGIN = "<!-- written by python -m tests.fault_list -->\n"


def faults() -> dict[str, dict[str, str]]:
    """Each fault's ``words`` and, where something was not tried, ``open``; by id, in order."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text())


def marked() -> dict[str, list[str]]:
    """The tests of each fault, as ``test_file.py::test_name``."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for name, fault in _marks(path):
            found.setdefault(fault, []).append(f"{path.name}::{name}")
    return found


def _marks(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                    yield from ((node.name, str(ast.literal_eval(argument))) for argument in mark.args)


def table() -> str:
    """The table in Markdown."""
    tests = marked()
    lines = ["| | fault | tried by | not tried |", "|---|---|---|---|"]
    for name, fault in faults().items():
        by = ", ".join(f"`{test}`" for test in tests.get(name, ()))
        lines.append(f"| {name} | {fault['words']} | {by} | {fault.get('open', '')} |")
    return "\n".join(lines) + "\n"


def written(document: str) -> str:
    """The document with the table of today below the line that ``BEGIN`` is."""
    return document.partition(BEGIN)[0] + BEGIN + "\n" + table()


if __name__ == "__main__":
    DOC.write_text(written(DOC.read_text()))
