"""The sections of tickets and of what is promised: [replies], [clock], [staff], [block], [retention], [incidents]."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gateway.settings import Address, Answerer, Budget, Fault, Octets, Opening, RelayNetwork, Retained, Seconds, Section


class Replies(Section):
    """``[replies]``: templates, envelope and budgets (docs/policy.md).

    Automatic replies have budgets. Verified customers, other proven senders and those without proof are counted apart;
    an address is one mailbox however it is written (letter case, +tag, dots at Gmail). A silence is stored with its
    reason.
    """

    templates_dir: Path | None = Field(default=None, examples=["/etc/gateway/templates"])
    """Templates here go before the shipped ones (docs/templates.md)."""
    envelope: Literal["verp", "address", "null"] = "verp"
    """Who bounces go to: an address for each reply, or "address" for relays that insist on the login address, or
    "null"."""
    plus_address: bool = True
    """Tokens in Reply-To, by which an answer finds its ticket."""
    ack_max_age: Seconds = 86400.0
    """Older mail is not acknowledged."""
    reopen_grace: Seconds = 14 * 86400.0
    """A follow-up later than this opens a new, linked ticket."""
    budget_address: Budget = (1, 86400.0)
    """To an address without proof, for each host and envelope sender; three of them in all."""
    budget_thread: Budget = (5, 3600.0)
    """In one ticket; also to mails of one author that read alike, within 6 h."""
    budget_domain: Budget = (50, 3600.0)
    """To one registrable domain (at public mail providers: mailbox) and to one verified address; to one address of a
    proven stranger a fifth of it."""
    budget_total: Budget = (500, 3600.0)
    """To all; verified customers: ten times as much; to one staff address."""
    max_files: Octets = 10 * 1024**2
    """Files of one answer of the console together, at most 28MB; in the mail they take a third more."""

    @field_validator("max_files")
    @classmethod
    def _fits_a_request(cls, value: int) -> int:
        if value > 28 * 1024**2:
            raise ValueError("at most 28MB: the console takes requests of 30 MB")
        return value

    def file_faults(self) -> Iterator[Fault]:
        """Whether the templates' folder is one."""
        if self.templates_dir is not None and not self.templates_dir.is_dir():
            yield "templates_dir", f"{self.templates_dir} is no folder"


class Clock(Section):
    """``[clock]``: what is promised, counted from the receipt of a mail (docs/policy.md)."""

    target: Seconds = 900.0
    """Without an answer by then, the department is reminded."""
    status_reply: Seconds = 1500.0
    """Without an answer by then, the customer gets a status reply."""
    limit: Seconds = 1800.0
    """Without an answer by then, the promise is broken and ``escalation`` is notified."""
    client_area_reply: Seconds = 600.0
    """How soon a Client Area ticket gets its first reply; the templates say so."""

    @model_validator(mode="after")
    def _in_order(self) -> Clock:
        if not 0 < self.target <= self.status_reply <= self.limit:
            raise ValueError("target, status_reply and limit must come in this order")
        return self


class Staff(Section):
    """``[staff]``: who gets mail about tickets, and who may answer by mail (docs/staff.md)."""

    technical: tuple[Address, ...] = ()
    """Who gets mail about technical tickets."""
    financial: tuple[Address, ...] = ()
    """Who gets mail about financial ones; default: ``technical``."""
    escalation: tuple[Address, ...] = ()
    """Who gets mail about a breach."""
    people: dict[str, Address] = Field(default_factory=dict)
    """Where the owner and the watchers of a ticket get their mail: ``{ joe = "joe@introserv.com" }``."""
    may_answer: tuple[Answerer, ...] = ()
    """Who may answer tickets by mail: "anna@example.com", or "*@example.com" for a domain."""
    relays: tuple[RelayNetwork, ...] = ()
    """Networks of your own mail servers: staff mail from there needs no DKIM or SPF."""
    hours: dict[Literal["technical", "financial"], Opening] = Field(default_factory=dict)
    """Teams that do not work around the clock: ``{ financial = "Mon-Fri 09:00-18:00" }``; status replies say so."""
    digest_every: Seconds = 3600.0
    """News that can wait are mailed this often."""

    def team(self, department: str) -> tuple[str, ...]:
        """Who gets mail about tickets of a department; nobody where it has no addresses."""
        return {"technical": self.technical, "financial": self.financial or self.technical}.get(department, ())

    @property
    def everybody(self) -> tuple[str, ...]:
        """The addresses of all teams."""
        return (*self.technical, *self.financial, *self.escalation)


class Block(Section):
    """``[block]``: authors whose mail goes to quarantine, beside the list that the console and ``gateway blocks``
    keep."""

    addresses: tuple[Address, ...] = ()
    """Addresses of authors."""
    domains: tuple[str, ...] = ()
    """Domains of authors."""


class Retention(Section):
    """``[retention]``: how long each kind is kept after its last news (docs/privacy.md).

    A legal hold (``gateway privacy hold``) goes before it.
    """

    tickets: Retained = None
    """Tickets that nobody waits in, with mails, replies, facts and reasons."""
    mails: Retained = None
    """The mails as they came (with attachments); their tickets stay."""
    quarantine: Retained = None
    """Mails that opened no ticket: quarantined, recorded, discarded."""
    evidence: Retained = None
    """Why each mail was treated as it was (the trace in ``gateway tickets show``)."""
    records: Retained = 90 * 86400.0
    """Mails to staff, lines of digests, further arrivals of a mail, closed incidents."""


class Incidents(Section):
    """``[incidents]``: tickets about the same network, server, service or start are tied together
    (docs/incidents.md)."""

    tickets: Annotated[int, Field(ge=0)] = 3
    """Tickets of so many authors are an incident, reported once; 0 turns it off."""
    within: Seconds = 900.0
    """When they were opened within this time."""
    network_v4: Annotated[int, Field(ge=8, le=32)] = 24
    """IPv4 addresses with this many leading bits in common are one network."""
    network_v6: Annotated[int, Field(ge=16, le=128)] = 48
    """The same of IPv6."""
    unverified: bool = False
    """Tickets of authors without proof count as well."""
