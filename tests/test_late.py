"""An expression that is compiled late does what one does that was compiled at once."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import cast

import pytest

from gateway.read.late import Late, _made, late
from gateway.read.times.clocks import zone_of

ROOT = Path(__file__).resolve().parents[1]


def test_it_is_compiled_when_it_is_used_and_does_the_same() -> None:
    source = r"(?P<word>SO)\w*"
    early, lately = re.compile(source, re.IGNORECASE), late(source, re.IGNORECASE)
    assert isinstance(lately, Late)
    assert "search" not in lately.__dict__
    found = lately.search("and so on", 2)
    assert found is not None and found["word"] == "so"
    assert "search" in lately.__dict__
    assert lately.sub("x", "so, soon") == early.sub("x", "so, soon") == "x, x"
    assert (lately.pattern, lately.flags, lately.groupindex) == (early.pattern, early.flags, early.groupindex)
    with pytest.raises(AttributeError):
        lately.nothing  # noqa: B018
    bad = late("(")
    _made.remove(cast("Late", bad))  # the readers of other tests compile all that there are
    with pytest.raises(re.error):
        bad.search("")


def test_no_expression_is_handed_to_the_functions_of_re() -> None:
    """They take what is compiled, or a text."""
    for path in (ROOT / "gateway" / "read").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                on = node.func.value
                if isinstance(on, ast.Name) and on.id == "re" and node.func.attr not in ("compile", "escape"):
                    assert not isinstance(node.args[0], ast.Name | ast.Attribute), f"{path.name}:{node.lineno}"


def test_an_offset_is_read() -> None:
    assert str(zone_of("UTC+02:30", zone_of("utc", None))) == "UTC+02:30"  # type: ignore[arg-type]
