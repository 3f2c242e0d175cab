"""What a mail says without its secrets. Facts and topics are looked for in these words alone: nothing of a secret ends
up in what leaves the original."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gateway.mail import tokens
from gateway.read.secrets import secrets
from gateway.read.words import quotes

EXAMPLE = "#123456"  #: the order number by which our mails say what one looks like


@dataclass(frozen=True)
class Masked:
    """Subject, new words and full text of a mail, without secrets. ``in_subject`` and ``in_new``: how many were masked
    there; ``ours``: a mail of ours is quoted."""

    subject: str
    new: str
    full: str
    in_subject: int
    in_new: int
    ours: bool

    @cached_property
    def own(self) -> str:
        """What its author wrote."""
        return f"{self.subject}\n\n{self.new}"

    @cached_property
    def spoken(self) -> tuple[str, str]:
        """Subject and new words as far as the author says them: without the number of a ticket of ours, and without the
        lines of a mail of ours between which he answers."""
        said = quotes.unquoted(self.new) if self.ours else self.new
        return tokens.without(self.subject), said if said.strip() else self.new

    @cached_property
    def rest(self) -> str:
        """What of the full text is not among the new words, for facts that stand in quotes only."""
        if self.new == self.full:
            return ""
        kept = set(self.new.split("\n"))
        lines = (line for line in self.full.split("\n") if line not in kept)
        return "\n".join(line for line in lines if not (self.ours and EXAMPLE in line))


def masked(subject: str, new: str, full: str) -> Masked:
    """These words without their secrets, each text only where it holds one."""
    plain = Masked(subject, new, full, 0, 0, quotes.holds_ours(full))
    in_own = secrets.suspected(plain.own)
    if not in_own and not (plain.rest and secrets.suspected(plain.rest)):
        return plain
    subject, in_subject = secrets.mask(subject) if in_own else (subject, 0)
    hidden, in_new = secrets.mask(new) if in_own else (new, 0)
    whole = secrets.mask(full)[0] if full != new else hidden
    return Masked(subject, hidden, whole, in_subject, in_new, plain.ours)
