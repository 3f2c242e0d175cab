"""The reasons of silence as a few words, for the metrics: no words of a mail ever become a label."""

from __future__ import annotations

from gateway.tickets.copies import WHOLE
from gateway.tickets.policy import BUDGET_SPENT, CAME_BACK, JOINS
from gateway.tickets.staffmail import MARK

#: how a reason of ``decide``, of staff mail or of a mail handed over begins, and what it counts as
KINDS = {
    "follow-ups are not": "follow_up", "a contribution without proof": "pending",
    "machine mail": "machine", "taken in without": "imported", "the author is malformed": "malformed",
    "the author failed": "failed", "its sender wants no": "suppressed", "the sender's domain refuses": "refused",
    "the mail is older": "old", "an address without proof": "repeated", "perhaps a loop": "loop",
    BUDGET_SPENT: "budget", CAME_BACK: "came_back", JOINS: "same_request", WHOLE: "another_arrival",
    "a check could not be made": "recheck", "blocked: ": "blocked", "null sender": "null_sender",
    "a mailbox that no person": "robot", "its domain": "unreachable", "mail for ": "unreachable",
    "our own address": "own", "mail from a staff": "staff", MARK: "staff",
    "mail to a return address": "return_address", "no author": "no_author", "the envelope sender is not": "no_sender",
}  # fmt: skip


def kind_of(silence: str) -> str:
    """The kind of a reason; ``other`` where it is not in the list."""
    return next((kind for start, kind in KINDS.items() if silence.startswith(start)), "other")
