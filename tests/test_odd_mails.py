"""What people and their mail programs really send: structure, transfer encodings, charsets, file names, authors."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.model import Reading
from gateway.read.attachments import attachment
from gateway.read.message import parse
from gateway.read.reading import Hints, read
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


@pytest.mark.fault("X24", "X30", "X34")
@pytest.mark.parametrize("name", CASES)
def test_what_a_person_would_read_is_read(name: str) -> None:
    raw, right = CASES[name]
    assert wrong(read(raw, HINTS), right) == []


def damaged(raw: bytes, chance: random.Random) -> bytes:
    """The mail with a few octets changed, lines left out, doubled or moved."""
    lines = raw.split(b"\r\n")
    for _ in range(chance.randint(1, 4)):
        at, to = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                del lines[at]
                lines = lines or [b""]
            case 1:
                lines.insert(to, lines[at])
            case 2:
                octets = bytearray(lines[at] or b"x")
                octets[chance.randrange(len(octets))] = chance.randrange(256)
                lines[at] = bytes(octets)
            case _:
                lines[at] = lines[at][: len(lines[at]) // 2]
    return b"\r\n".join(lines)


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_mail_raises_nothing_and_every_file_of_it_can_be_had(seed: int) -> None:
    chance = random.Random(seed)
    mails = [raw for raw, _ in CASES.values() if len(raw) < 20_000]
    for _ in range(60):
        raw = damaged(chance.choice(mails), chance)
        found = parse(raw)
        assert "\x00" not in repr(found).replace("\\\\x00", "")
        for file in found.attachments:
            content = attachment(raw, file.sha256)
            assert content is not None
            assert len(content) == file.size
