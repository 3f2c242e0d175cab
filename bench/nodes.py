"""Three nodes on one PostgreSQL behind one Postfix, killed at random. ``python -m bench.nodes [--minutes 10] [--seed N]``.

Postfix takes mail at a steady pace and hands each to one of the nodes by chance (``randmap``); the nodes are ended with SIGKILL
and come back after a while, so that others have to take over what they had in work. Printed: what was acknowledged, lost, doubled,
answered twice and unanswered, and how long after a kill its work was claimed by another node, against the lease. Then, without
Postfix: how long news takes from node to node, and how many mails one, two and three working processes decide and answer a second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys

from gateway.database import inbox
from tests.stories import ledger, nodes


def quantiles(seconds: list[float]) -> str:
    return f"p50 {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s of {len(seconds)}" if seconds else "none"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10, help="of kills; 0: none")
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--rate", type=float, default=4.0, help="mails a second")
    parser.add_argument("--mails", type=int, default=300, help="for the throughput; 0: none")
    given = parser.parse_args()
    bad = _kills(given.minutes, given.seed, given.rate) if given.minutes else False
    if given.mails:
        _side_by_side(given.mails)
    return 1 if bad else 0


def _kills(minutes: float, seed: int, rate: float) -> bool:
    findings = nodes.story(minutes, seed, rate=rate)
    takeovers = findings.pop("takeovers")
    print(ledger.shown(findings))
    for kind, seconds in takeovers.items():
        print(f"taken over: {kind:6} {quantiles(seconds)}; the lease is {inbox.LEASE_S:.0f} s", flush=True)
    return ledger.wrong(findings)


def _side_by_side(mails: int) -> None:
    print(f"news from node to node, until decided: {quantiles(nodes.news())}", flush=True)
    for workers in (1, 2, 3):
        print(f"{workers} working processes: {nodes.throughput(workers, mails):.1f} mails a second", flush=True)
    print(f"on {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    sys.exit(main())
