"""The sections of tickets and of what is promised: [replies], [clock], [staff], [block], [retention], [incidents]."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gateway.settings import Address, Answerer, Budget, Fault, Octets, Opening, RelayNetwork, Retained, Seconds, Section


class Replies(Section):
    """``[replies]``: templates, envelope and budgets."""

    templates_dir: Path | None = None
    envelope: Literal["verp", "address", "null"] = "verp"
    plus_address: bool = True
    ack_max_age: Seconds = 86400.0
    reopen_grace: Seconds = 14 * 86400.0
    budget_address: Budget = (1, 86400.0)
    budget_thread: Budget = (5, 3600.0)
    budget_domain: Budget = (50, 3600.0)
    budget_total: Budget = (500, 3600.0)
    max_files: Octets = 10 * 1024**2

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
    """``[clock]``: the promise."""

    target: Seconds = 900.0
    status_reply: Seconds = 1500.0
    limit: Seconds = 1800.0
    client_area_reply: Seconds = 600.0

    @model_validator(mode="after")
    def _in_order(self) -> Clock:
        if not 0 < self.target <= self.status_reply <= self.limit:
            raise ValueError("target, status_reply and limit must come in this order")
        return self


class Staff(Section):
    """``[staff]``: who is informed, and who may answer by mail. ``people``: the address of each user's name, for owners
    and watchers. ``relays``: networks whose mail is the company's own. ``hours``: when the team of a department works,
    for those that do not work around the clock."""

    technical: tuple[Address, ...] = ()
    financial: tuple[Address, ...] = ()
    escalation: tuple[Address, ...] = ()
    people: dict[str, Address] = Field(default_factory=dict)
    may_answer: tuple[Answerer, ...] = ()
    relays: tuple[RelayNetwork, ...] = ()
    hours: dict[Literal["technical", "financial"], Opening] = Field(default_factory=dict)
    digest_every: Seconds = 3600.0


class Block(Section):
    """``[block]``: authors that go to quarantine."""

    addresses: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()


class Retention(Section):
    """``[retention]``: for how long each kind is kept, counted from its last news; ``forever`` or days.

    A legal hold (``gateway privacy hold``) goes before it.
    """

    tickets: Retained = None
    mails: Retained = None
    quarantine: Retained = None
    evidence: Retained = None
    records: Retained = 90 * 86400.0


class Incidents(Section):
    """``[incidents]``: when several tickets are about one incident."""

    tickets: Annotated[int, Field(ge=0)] = 3
    within: Seconds = 900.0
    network_v4: Annotated[int, Field(ge=8, le=32)] = 24
    network_v6: Annotated[int, Field(ge=16, le=128)] = 48
    unverified: bool = False
