"""One look at one mail: what every step of its commit has before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from gateway.database import inbox
from gateway.database.tables import Ticket
from gateway.model import Incoming
from gateway.tickets import outgoing
from gateway.tickets.outgoing import Notification, Office


@dataclass(frozen=True, slots=True)
class Occasion:
    """A mail in the transaction that decides it: at the first look, at a recheck, or as a further arrival of a known
    mail (``claimed`` says which). ``bounced_row``: the reply whose signed return address it came to; ``direct``: its
    reply is claimed as it is written, to be sent at once."""

    connection: Connection
    claimed: inbox.Claimed
    incoming: Incoming
    office: Office
    now: datetime
    bounced_row: int | None = None
    direct: bool = False

    def of(self, incoming: Incoming) -> Occasion:
        """The same, as the mail counts here."""
        return self if incoming is self.incoming else replace(self, incoming=incoming)

    def tell(self, ticket: Ticket, event: str, more: Mapping[str, Any]) -> None:
        """Staff hear at once what the mail is to this ticket."""
        outgoing.tell(self.connection, Notification(ticket, "staff_new", event, more), self.office, self.now)

    @property
    def unsure(self) -> bool:
        """Whether a check could not be made."""
        return self.incoming.verdict.temperror or not self.incoming.match.usable

    @property
    def event(self) -> str:
        """By what the outbox knows that staff were told of it."""
        return f"m{self.claimed.id}" if self.claimed.arrival is None else f"m{self.claimed.id}.a{self.claimed.arrival}"
