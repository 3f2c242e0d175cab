"""The table of faults says what the tests say."""

from __future__ import annotations

from tests.fault_list import DOC, faults, marked, written


def test_every_fault_is_tried_or_says_why_not() -> None:
    known, tried = faults(), marked()
    assert list(known) == [f"X{number}" for number in range(1, 82)]
    assert set(tried) <= set(known)
    assert [name for name, fault in known.items() if name not in tried and not fault.get("open")] == []


def test_the_document_is_of_today() -> None:
    assert DOC.read_text() == written(DOC.read_text()), "run python -m tests.fault_list"
