"""What every test may use: the corpora beside the checkout, and what a missing peer means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORPORA = ROOT.parent / "shared" / "corpora"
IN_CI = bool(os.environ.get("CI"))


def missing(reason: str) -> None:
    """A peer or a corpus is not there: a failure in CI, a skip with the reason elsewhere."""
    if IN_CI:
        pytest.fail(f"{reason} (required in CI)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real mail with expected results."""
    if not CORPORA.is_dir():
        missing("the corpora are not beside this checkout")
    return CORPORA
