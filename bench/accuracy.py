"""What of a mail is understood rightly: ``make accuracy``. One table from the labelled mails and the foreign corpora.

Usage: python -m bench.accuracy [CORPORA] [--misses SET]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.measures import accuracy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="?", type=Path, default=accuracy.CORPORA)
    parser.add_argument("--misses", action="store_true", help="print what was missed")
    given = parser.parse_args()
    table = accuracy.measured(given.corpora)
    print("\n".join(accuracy.markdown(table)))
    if given.misses:
        for name, of in table.items():
            for what, score in of.items():
                for miss in score.misses if name != "all twelve" else ():
                    print(f"{name} | {what} | {miss}"[:600])
    return 0


if __name__ == "__main__":
    sys.exit(main())
