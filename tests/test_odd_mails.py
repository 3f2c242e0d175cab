"""What people and their mail programs really send: structure, transfer encodings, charsets, file names, authors."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model import Reading
from gateway.reading import Hints, read
from tests.odd_mails import CASES
from tests.samples import NOW

HINTS = Hints("anna@example.de", NOW, "Europe/Berlin")


def folded(text: str) -> str:
    return " ".join(text.split())


def wrong(found: Reading, right: dict[str, Any]) -> list[str]:
    """What of the reading is not as it should be."""
    words, full = folded(found.text), folded(found.full_text)
    parsed = found.parsed
    faults = [f"does not say {one!r}: {words[:200]!r}" for one in right.get("says", ()) if folded(one) not in words]
    faults += [f"says {one!r}: {words[:200]!r}" for one in right.get("lacks", ()) if one in found.text]
    faults += [f"not said so {one!r}: {found.text[:200]!r}" for one in right.get("exact", ()) if one not in found.text]
    faults += [f"said twice {one!r}" for one in right.get("once", ()) if words.count(one) != 1]
    faults += [f"not kept {one!r}: {full[:200]!r}" for one in right.get("full", ()) if folded(one) not in full]
    names = [one.filename for one in parsed.attachments]
    if "files" in right and names != right["files"]:
        faults.append(f"files {names}")
    if "subject" in right and parsed.subject != right["subject"]:
        faults.append(f"subject {parsed.subject!r}")
    if "author" in right and found.author.address != right["author"]:
        faults.append(f"author {found.author}")
    notes = "; ".join(parsed.notes)
    faults += [f"no note {one!r}: {notes}" for one in right.get("notes", ()) if one not in notes]
    if "\x1b" in repr(parsed.attachments) or "\\x1b" in repr(parsed.attachments) or "\\x00" in repr(parsed):
        faults.append("control characters in the values")
    return faults


@pytest.mark.parametrize("name", CASES)
def test_what_a_person_would_read_is_read(name: str) -> None:
    raw, right = CASES[name]
    assert wrong(read(raw, HINTS), right) == []
