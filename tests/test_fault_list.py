"""The table of faults says what the tests say."""

from __future__ import annotations

import re
from pathlib import Path

from tests.fault_list import DOC, faults, marked, written


def test_every_fault_is_tried_or_says_why_not() -> None:
    known, tried = faults(), marked()
    assert list(known) == [f"X{number}" for number in range(1, 82)]
    assert set(tried) <= set(known)
    assert [name for name, fault in known.items() if name not in tried and not fault.get("open")] == []


def test_the_document_is_of_today() -> None:
    assert DOC.read_text() == written(DOC.read_text()), "run python -m tests.fault_list"


def test_every_test_that_the_document_names_is_there() -> None:
    named = set(re.findall(r"`(?:tests/)?(test_\w+\.py)(?:::(\w+))?`", DOC.read_text()))
    files = {file: Path(__file__).with_name(file) for file, _ in named}
    assert [file for file, path in files.items() if not path.is_file()] == []
    assert [(file, name) for file, name in named if name and f"def {name}(" not in files[file].read_text()] == []
