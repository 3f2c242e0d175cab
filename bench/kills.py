"""SIGKILLs under load, and the invariants afterwards (``tests/stories/kills.py``): ``python -m bench.kills [--kills 100] [--seed N]``."""

from __future__ import annotations

import argparse
import sys

from tests.stories import kills, ledger


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261122)
    given = parser.parse_args()
    found = kills.story(given.kills, given.seed)
    print(ledger.shown(found))
    return 1 if ledger.wrong(found) or found["exit"] else 0


if __name__ == "__main__":
    sys.exit(main())
