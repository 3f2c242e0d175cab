"""What was acknowledged, and what became of it: the invariants that kills, nodes, chaos and soak end with.

Every mail has a number in its subject, "Disk N". Each acknowledged one has exactly one ticket event and one reply; the relay may
hear a reply again, but only with the same Message-ID.
"""

from __future__ import annotations

import email
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from gateway.database.store import utc_now
from gateway.demo import Sample, built
from gateway.peers import Taken
from tests.peers.harness import Running

MANY = {"budget_domain": "1000000/1h", "budget_total": "1000000/1h", "budget_thread": "1000000/1h"}


class Ledger:
    """Numbers mails and remembers which of them were acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self._number, self._lock = 0, threading.Lock()

    def next(self) -> tuple[str, bytes]:
        """(subject, mail) of a mail that nobody sent before."""
        with self._lock:
            self._number += 1
            number = self._number
        text = f"Hello,\n\nthe disk of tfz1cvkr (#234567) is slow, case {number}. Please have a look.\n"
        subject = f"Disk {number}"
        return subject, built(Sample("", "Shop Ops <ops@shop.example>", subject, text), number, utc_now())

    def heard(self, subject: str) -> None:
        """It was acknowledged."""
        self.acknowledged.append(subject)


def found(ledger: Ledger, daemon: Running, taken: Sequence[Taken]) -> dict[str, Any]:
    """What is wrong, by kind; all of it empty where all is well. The queues must be empty."""
    tickets = daemon.rows("tickets", "list", "--limit", "1000000")
    messages = daemon.rows("messages", "list", "--limit", "1000000")
    outbox = daemon.rows("outbox", "list", "--limit", "1000000")
    events, replies = Counter(row["subject"] for row in tickets), _replies(taken)
    called = {row["reference"]: row["subject"] for row in tickets}
    statuses = Counter(
        called.get(row["ticket"]) for row in outbox if row["template"] == "status"
    )  # the clock's, after a while
    return {
        "acknowledged": len(ledger.acknowledged),
        "messages": len(messages),
        "states": dict(Counter(row["state"] for row in messages)),
        "lost": [subject for subject in ledger.acknowledged if not events[subject]],
        "doubled": [subject for subject, count in events.items() if count > 1],
        "unanswered": [subject for subject in events if not replies[subject]],
        "answered_twice": [subject for subject, ids in replies.items() if len(set(ids)) > 1 + statuses[subject]],
        "sent_again": sum(len(ids) - len(set(ids)) for ids in replies.values()),
        "outbox": dict(Counter(row["state"] for row in outbox)),
    }


def _replies(taken: Sequence[Taken]) -> dict[str, list[str]]:
    """The Message-IDs of the replies, by the subject that they answer."""
    replies: dict[str, list[str]] = defaultdict(list)
    for one in taken:
        message = email.message_from_bytes(one.raw)
        replies[str(message["Subject"]).partition(" [")[0].removeprefix("Re: ")].append(str(message["Message-ID"]))
    return replies


def wrong(findings: dict[str, Any]) -> bool:
    """Whether a promise was broken."""
    failed = findings["states"].get("failed", 0) or findings["outbox"].get("dead", 0)
    return bool(failed or any(findings[kind] for kind in ("lost", "doubled", "unanswered", "answered_twice")))


def shown(findings: dict[str, Any]) -> str:
    """For a person: a line each, long lists cut."""
    return "\n".join(f"{key:15} {len(value)} {value[:5]}" if isinstance(value, list) else f"{key:15} {value}"
                     for key, value in findings.items())  # fmt: skip
