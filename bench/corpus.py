"""Every mail of the corpora over SMTP to one running daemon; prints what became of them.

``python -m bench.corpus [--dead-resolver] FOLDER``: FOLDER holds ``mails.txt``. The nameserver answers NXDOMAIN for
everything, or (dead) nothing at all.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.stories import corpus


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--dead-resolver", action="store_true")
    given = arguments.parse_args()
    found = corpus.examine(given.folder, given.dead_resolver)
    for key in ("sent", "codes", "messages", "states", "dispositions", "tickets", "outbox", "taken", "machines"):
        print(f"{key:14} {found[key]}")
    for key in ("refused", "quarantined", "failed", "tracebacks", "faults", "to_machines"):
        print(f"{key:14} {len(found[key])}")
        for item in found[key][:20]:
            print(f"    {item}")
    return 1 if found["failed"] or found["tracebacks"] or found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
