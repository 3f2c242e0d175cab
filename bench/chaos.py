"""Random faults on a running service (``tests/stories/chaos.py``).

Usage: python -m bench.chaos [--minutes 10] [--seed N] [--database postgresql|sqlite]
"""

from __future__ import annotations

import argparse
import sys

from tests.stories import chaos, ledger


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    given = parser.parse_args()
    findings = chaos.story(given.minutes, given.seed, given.database)
    print(ledger.shown(findings))
    bad = ledger.wrong(findings) or findings["tracebacks"] or findings["exit"]
    print("a promise was broken" if bad else "every promise held")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
