"""How many alternatives the topics files spell out, and which of them the rest already finds.

Usage: python -m bench.alternatives [FOLDER] [--redundant]. An alternative is a word of a class, or one of ``a|b`` in an entry. It is
redundant where nothing is lost without it: a word of a class that begins with another one of its class, or an alternative of an entry whose
own sample strings (its word with each word that must stand beside it) give the topic as much when the entry is left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.measures.alternatives import begun, counted, files_of, found_anyway


def main() -> int:
    """Prints the counts and, on demand, what can go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="of topics files; without one, those of the package")
    parser.add_argument("--redundant", action="store_true", help="print what the rest already finds")
    given = parser.parse_args()
    files = files_of(given.folder)
    counts = counted(files)
    for name, (words, parts) in counts.items():
        print(f"{name}: {words} words of classes, {parts} alternatives of entries")
    words, parts = (sum(column) for column in zip(*counts.values(), strict=True))
    print(f"all: {words + parts} alternatives ({words} words of classes, {parts} of entries)")
    if given.redundant:
        for name, of, word, other in begun(files):
            print(f"{name}.class.{of}: {word!r} begins with {other!r}")
        for entry, alternative in found_anyway(files):
            print(f"{entry.where}: {alternative!r} of {'|'.join(entry.groups[0][1])[:60]!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
