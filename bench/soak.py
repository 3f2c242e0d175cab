"""A steady load for hours, with memory and descriptors over time (``tests/stories/soak.py``).

Usage: python -m bench.soak [--hours 2] [--rate 5] [--database URL]
"""

from __future__ import annotations

import argparse
import sys

from tests.stories import ledger, soak


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--rate", type=float, default=5, help="mails a second")
    parser.add_argument("--database", help="a URL; default: SQLite")
    parser.add_argument("--every", type=float, default=soak.LOOK_S, help="seconds between two looks")
    given = parser.parse_args()
    findings = soak.story(given.hours, given.rate, given.database, given.every)
    print(ledger.shown(findings))
    return 1 if ledger.wrong(findings) or findings["exit"] else 0


if __name__ == "__main__":
    sys.exit(main())
