"""How texts of people who never saw the rules are read, by label and by language.

Usage: python -m bench.first_sight FILE.csv [--misses] [--times]. Columns: ``id language subject text department question critical
sensitive started_at_hint hosts orders ips``, lists separated by blanks; a column that is not there is not scored. ``--times`` prints
what became of each hint at when it began, which a person has to judge.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.measures.accuracy import Score
from tests.measures.first_sight import judged, reading_of, rows


def main() -> int:
    """Prints the table, and on demand every miss with the entries that decided."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--misses", action="store_true", help="print what was missed")
    parser.add_argument("--times", action="store_true", help="print what became of the hints at when it began")
    given = parser.parse_args()
    table: dict[str, dict[str, Score]] = {}
    misses: list[str] = []
    clocks: list[str] = []
    for row in rows(given.file):
        reading = reading_of(row)
        for label, good, found in judged(row, reading):
            for name in ("all", row["language"]):
                table.setdefault(label, {}).setdefault(name, Score()).add(good, "")
            if not good:
                misses.append(
                    f"{row.get('id')} {row['language']} | {label}: {found} | {row.get('subject')} | {row['text']}\n"
                    f"    {' / '.join(reading.topics.terms)}"
                )
        if row.get("started_at_hint"):
            began = reading.started_at and f"{reading.started_at:%a %d %H:%M%z}"
            clocks.append(f"{row.get('id')} {row['language']} | {row['started_at_hint']} | {began}")
    names = ["all", *sorted({name for of in table.values() for name in of} - {"all"})]
    print("| | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for label, of in table.items():
        cells = [f"{of[name].right}/{of[name].of}" if name in of else "" for name in names]
        print(f"| {label} | " + " | ".join(cells) + " |")
    print("\n".join([*(misses if given.misses else ()), *(clocks if given.times else ())]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
