"""Mails rebuilt from public bug reports of other mail software: what concerns structure, charsets, encodings, authors, attachments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.model import AuthorStatus
from gateway.read.reading import Hints, read
from tests.odd_mails import crlf
from tests.samples import NOW

#: C words in HTML, D boundaries, E transfer encodings, F charsets, G meta charsets, H S/MIME, J authors; of the guards those of the same kinds
KINDS = frozenset("CDEFGHJ")
GUARDS = (
    "01",
    "02",
    "03",
    "07",
    "08",
    "12",
    "13",
    "14",
    "15",
    "18",
    "31-",
    "36",
    "38",
    "49",
    "50",
    "52",
    "55",
    "57",
    "59",
    "61",
    "t0",
)
#: kinds that others hold: class and quotation are not examined here
EXAMINED = ("subject", "text_contains", "text_lacks", "orders", "ips", "author", "language", "critical")


def folded(text: str) -> str:
    return " ".join(text.split())


def wrong(row: dict[str, Any], raw: bytes) -> list[str]:
    found = read(raw, Hints("ops@shop.example", NOW, "Europe/Berlin"))
    words = folded(found.text)
    given = {
        "subject": found.parsed.subject, "author": found.author.address, "language": found.language, "critical": found.topics.critical,
        "orders": sorted(c.value for c in found.orders if not c.quoted), "ips": sorted(c.value for c in found.ips if not c.quoted),
    }  # fmt: skip
    faults = []
    for key, right in row["expect"].items():
        if key not in EXAMINED:
            continue
        if key == "text_contains":
            faults += [f"lacks {one[:60]!r}" for one in right if folded(one) not in words]
        elif key == "text_lacks":
            faults += [f"has {one[:60]!r}" for one in right if folded(one) in words]
        elif given[key] != (sorted(right) if isinstance(right, list) else right):
            faults.append(f"{key}={given[key]!r}")
    if row["kind"] == "J" and found.author.status is not AuthorStatus.OK:
        faults.append(found.author.reason)
    return faults


def test_what_was_reported_elsewhere_is_right_here(corpora: Path) -> None:
    folder = corpora / "reports_2026_11"
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    ours = [row for row in rows if row["kind"] in KINDS or (row["kind"] == "guard" and row["file"].startswith(GUARDS))]
    faults = {row["file"]: found for row in ours if (found := wrong(row, crlf((folder / row["file"]).read_bytes())))}
    assert len(ours) > 60
    assert faults == {}
