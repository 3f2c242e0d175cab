"""What people read, kept word for word: a change of a template, of a date or of a line break is seen in the review.

To take over what is written now: ``GOLDEN=write python -m pytest tests/test_golden_words.py``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.replies import preview
from gateway.replies.render import Sender, Templates
from gateway.replies.samples import NAMES, STAFF
from gateway.settings import Gateway, Hours

GOLDEN = Path(__file__).parent / "golden"
SENDER = Sender(
    Gateway(address="support@introserv.com", name="INTROSERV Support", client_area_url="https://portal.example/", chat_url="https://chat.example/"), "verp", b"s" * 32,
    hours={"financial": Hours(0, 4, "09:00", "18:00")},
)  # fmt: skip
LANGUAGES = ("de", "en", "es", "fr", "it", "ru", "uk")


@pytest.fixture(scope="module")
def written() -> Mapping[str, str]:
    return preview.everything(Templates(None), SENDER)


def _kept(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text


def _sheet(written: Mapping[str, str], language: str, names: tuple[str, ...]) -> str:
    cases = [
        (name, case)
        for name in names
        for case in (*preview.CASES, "follow-up")
        if f"{language}/{name}.{case}.txt" in written
    ]
    return "\n".join(f"===== {name}, {case}\n{written[f'{language}/{name}.{case}.txt']}" for name, case in cases)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_customers_read(written: Mapping[str, str], language: str) -> None:
    _kept(f"replies.{language}.txt", _sheet(written, language, NAMES))


def test_what_staff_read(written: Mapping[str, str]) -> None:
    _kept("staff.en.txt", _sheet(written, "en", STAFF))
