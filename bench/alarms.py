"""Which texts of others are called an outage: by this checkout, and by another beside it.

Usage: python -m bench.alarms CORPORA [FILE.csv ...] --beside CHECKOUT. The texts: every mail of ``mails.txt``, every text of the sets
(``langid``, ``support_text``, ``reply_*``), and the rows of CSV files with ``subject`` and ``text``. ``--beside`` prints every difference;
without it, the alarms are printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

AT = datetime(2026, 11, 27, 16, tzinfo=UTC)


def plain(subject: str, text: str) -> bytes:
    """A mail of these words; bytes are built by hand, so that both checkouts get the same."""
    head = f"From: a@b.example\r\nSubject: {' '.join(subject.split())}\r\nMIME-Version: 1.0\r\n"
    head += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return (head + text.replace("\r\n", "\n").replace("\n", "\r\n")).encode("utf-8", "replace")


def texts(corpora: Path, files: list[Path]) -> Iterator[tuple[str, bytes]]:
    """(name, raw mail) of each."""
    for name in filter(None, (corpora / "mails.txt").read_text().splitlines()):
        raw = (corpora / name).read_bytes()
        raw = raw.partition(b"\n")[2] if raw.startswith(b"From ") else raw
        yield name, raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    for index in sorted(corpora.glob("*/index.jsonl")):
        for number, line in enumerate(index.read_text(encoding="utf-8").splitlines(), 1):
            row = json.loads(line)
            words = row.get("text") or row.get("body")
            if isinstance(words, str):
                yield f"{index.parent.name}:{number}", plain(str(row.get("subject") or ""), words)
    for folder in sorted(corpora.glob("reply_*")):
        for path in sorted(
            one for one in folder.rglob("*") if one.is_file() and one.suffix in (".txt", ".eml", ".html")
        ):
            yield f"{folder.name}/{path.name}", plain("", path.read_bytes().decode("utf-8", "replace"))
    for file in files:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            for number, row in enumerate(csv.DictReader(opened), 1):
                yield f"{file.name}:{row.get('id') or number}", plain(row.get("subject") or "", row["text"])


def printed(corpora: Path, files: list[Path]) -> None:
    """One JSON line a text: its name and whether it is called an outage, with what decided."""
    from gateway.read.reading import Hints, read

    for name, raw in texts(corpora, files):
        reading = read(raw, Hints("a@b.example", AT, "Europe/Berlin"))
        terms = [line for line in reading.topics.terms if line.startswith(("critical", "no outage"))]
        print(json.dumps([name, reading.topics.critical, " / ".join(terms), reading.text[:200]]))


def of(checkout: Path, given: argparse.Namespace) -> dict[str, tuple[bool, str, str]]:
    """What a checkout says of each text."""
    command = [sys.executable, str(Path(__file__).resolve()), "--print", str(given.corpora), *map(str, given.files)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    out = subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True, text=True).stdout
    return {name: (critical, terms, words) for name, critical, terms, words in map(json.loads, out.splitlines())}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", type=lambda name: Path(name).resolve())
    parser.add_argument("files", nargs="*", type=lambda name: Path(name).resolve())
    parser.add_argument("--beside", type=lambda name: Path(name).resolve(), help="another checkout")
    parser.add_argument("--print", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.print:
        printed(given.corpora, given.files)
        return 0
    now = of(Path(__file__).resolve().parent.parent, given)
    print(f"{len(now)} texts, {sum(critical for critical, _, _ in now.values())} called an outage")
    before = of(given.beside, given) if given.beside else dict.fromkeys(now, (False, "", ""))
    added = 0
    for name, (critical, terms, words) in now.items():
        if name in before and before[name][0] != critical:
            added += critical
            sign = "+" if critical else "-"
            print(f"{sign} {name} | {terms if critical else before[name][1]} | {' '.join(words.split())[:160]}")
    return 1 if given.beside and added else 0


if __name__ == "__main__":
    sys.exit(main())
