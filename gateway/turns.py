"""The order of service: whose mail is next where several wait, in the inbox, for a reader, for the DNS.

Every mail gets a place in time (virtual clock scheduling, Zhang 1990): the moment it came, or behind the last one of
the same sender, whichever is later. So ten thousand mails of one sender stand one behind the other, and one of somebody
else stands among the first of them. Who sent what was slow to read is put back by a multiple of the time it took. What
seems to come from a customer goes before strangers; that is a guess by addresses which anybody can write, so it wins a
few places only: each further mail of the same address and network loses some of them, and a slow one loses all.

A sender is the network a mail came from (IPv4 /24, IPv6 /64), with the customer's address where it seems to be one;
where the client is unknown, the source and the envelope sender's domain.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime

from gateway.mail.header import named
from gateway.model import Envelope, Turn
from gateway.networks import networks

SPACING_MS = 1_000  #: between two mails of a sender
FIRST_SPACING_MS = 2_000  #: between two of a customer, as it seems
AHEAD_MS = 600_000  #: by how much his stands before a stranger's
LEAD_MS = 600_000  #: nobody is put back by more
FREE_S = 0.2  #: of CPU that any mail may take
WEIGHT = 20  #: seconds behind the others for each second of CPU
AUTHOR_LEAD_MS = 60_000  #: what a whole domain is put back by at most: it may be a provider's
MAX_SENDERS = 20_000
MAX_SENDER = 120
GLANCE, MAX_FROM = 16_384, 400  #: octets of a mail in which its From field is looked for, and of that
_ADDRESS = re.compile(rb"[^\s<>\"(),:;@]{1,64}@[^\s<>\"(),:;@]{1,255}")


def network_of(client: str | None) -> str:
    """The network a client is of (/24 of IPv4, /64 of IPv6), or an empty string."""
    wider = networks((client or "").removeprefix("IPv6:"))[1:]
    return wider[0] if wider else ""


def _written_author(raw: bytes | bytearray) -> str:
    """An address that stands in the From field: a glance, for the order of service only."""
    _, field = next(named(bytes(raw[:GLANCE]), b"from"), (0, b""))
    found = _ADDRESS.findall(field[:MAX_FROM])
    return found[-1].decode("utf-8", "replace") if found else ""


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class Turns:
    """Gives every mail its place. ``known``: whether an address is registered; ``registrable``: the domain below the
    public suffix. It is asked by the event loop and by the threads of the mailboxes."""

    def __init__(
        self, clock: Callable[[], datetime], known: Callable[[str], bool] = lambda address: False,
        registrable: Callable[[str], str] = lambda domain: domain,
    ) -> None:  # fmt: skip
        self._clock, self._known, self._registrable = clock, known, registrable
        self._next: OrderedDict[str, int] = OrderedDict()  #: where the next mail of a sender stands
        self._owed: OrderedDict[str, int] = OrderedDict()  #: until when a sender is behind the others
        self._lock = threading.Lock()

    def of(self, raw: bytes | bytearray, envelope: Envelope) -> Turn:
        """The place of a mail that comes now."""
        now = _ms(self._clock())
        whose = next((a for a in (envelope.mail_from, _written_author(raw)) if a and self._known(a)), "")
        domain = self.domain_of(envelope.mail_from)
        sender = network_of(envelope.client) or f"{envelope.source} {domain}"
        earliest, spacing = now, SPACING_MS
        if whose:
            sender, earliest, spacing = f"{sender} {whose.lower()}", now - AHEAD_MS, FIRST_SPACING_MS
        elif envelope.source.startswith("import:"):
            earliest = now + LEAD_MS
        sender = sender[:MAX_SENDER]
        with self._lock:
            at = max(earliest, min(self._next.get(sender, 0), now + LEAD_MS))
            _remember(self._next, sender, at + spacing)
            owed = 0 if whose else self._owed.get(f"@{domain}", 0)  # a customer does not pay for his provider's others
            at = max(at, self._owed.get(sender, 0), owed)
        return Turn(sender, at, is_first(at, now))

    def domain_of(self, address: str | None) -> str:
        """The registrable domain of an address."""
        return self._registrable((address or "").rpartition("@")[2].lower().rstrip("."))

    def order(self, turn: Turn) -> int:
        """Where a mail stands now: what its sender has sent since may have been slow."""
        return max(turn.at, self._owed.get(turn.sender, 0))

    def charge(self, sender: str, seconds: float, lead_ms: int = LEAD_MS) -> int:
        """A sender's mail took so much CPU; until when (as ``Turn.at``) he is behind the others, 0 where it was
        little."""
        if seconds <= FREE_S:
            return 0
        now = _ms(self._clock())
        with self._lock:
            until = min(max(self._owed.get(sender, 0), now) + int(seconds * WEIGHT * 1000), now + lead_ms)
            _remember(self._owed, sender, until)
        return until

    def behind(self, sender: str) -> bool:
        """Whether a sender's mails were slow not long ago."""
        return self._owed.get(sender, 0) > _ms(self._clock())

    def learn(self, owed: Mapping[str, int]) -> None:
        """What other nodes, or this one in an earlier life, have charged."""
        with self._lock:
            for sender, until in owed.items():
                _remember(self._owed, sender, max(until, self._owed.get(sender, 0)))


def is_first(at: int, now_ms: int) -> bool:
    """Whether a place is before those of strangers who come now."""
    return at < now_ms - AHEAD_MS // 2


def _remember(known: OrderedDict[str, int], sender: str, at: int) -> None:
    known[sender] = at
    known.move_to_end(sender)
    if len(known) > MAX_SENDERS:
        known.popitem(last=False)


class Place:
    """The place of one mail in work, and what it has cost so far."""

    def __init__(self, turn: Turn, turns: Turns) -> None:
        self.turn, self._turns = turn, turns
        self.slow = False  #: it takes longer than most
        self.spent = 0.0
        self.owed = 0  #: until when its sender is behind the others because of it

    def order(self) -> int:
        """Where the mail stands in the order of service now: the lowest is next."""
        return self._turns.order(self.turn)

    def spend(self, seconds: float) -> None:
        """The mail took so many seconds of CPU; its sender owes them."""
        self.spent += seconds
        self.owed = max(self.owed, self._turns.charge(self.turn.sender, seconds))

    def proven(self, author: str) -> dict[str, int]:
        """Who wrote it is proven: his domain pays too, whatever network it uses next; what it owes."""
        domain = f"@{self._turns.domain_of(author)}"
        return {domain: self._turns.charge(domain, self.spent, AUTHOR_LEAD_MS)}
