"""The sections of what several nodes share: ``[node]`` and ``[database]``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from gateway.settings import NODE, Fault, Section, secret_faults

Role = Literal["ingest", "work", "send", "http"]
ROLES: tuple[Role, ...] = get_args(Role)


class Node(Section):
    """``[node]``: what this node does, where several share one PostgreSQL (docs/growth.md).

    ``ingest`` takes mail in (listeners, mailboxes), ``work`` reads and decides it and minds the clocks, ``send`` hands
    replies to the relay, ``http`` serves the console; the health pages are served wherever ``[http] listen`` is set.
    """

    name: Annotated[str, Field(pattern=NODE)] | None = Field(default=None, examples=["mx1"])
    """In status, alerts and metrics; default: the machine's name."""
    roles: tuple[Role, ...] = ROLES
    """What this node does."""

    @field_validator("roles")
    @classmethod
    def _some(cls, value: tuple[Role, ...]) -> tuple[Role, ...]:
        if not value:
            raise ValueError("a node without a role does nothing; name some of ingest, work, send, http")
        return tuple(role for role in ROLES if role in value)


DATABASE_URL = re.compile(r"sqlite:///|postgresql\+psycopg://")


class Database(Section):
    """``[database]``: where everything is kept (docs/install.md)."""

    url: str | None = Field(default=None, examples=["postgresql+psycopg://gateway@/gateway"])
    """Where the database is; default: SQLite in ``state_dir``."""
    url_file: Path | None = Field(default=None, examples=["/etc/gateway/database-url"])
    """The same from a file of mode 600, for a URL with a password."""

    @field_validator("url")
    @classmethod
    def _known_engine(cls, value: str | None) -> str | None:
        if value is not None and not DATABASE_URL.match(value):
            raise ValueError("must begin with sqlite:/// or postgresql+psycopg://")
        return value

    @model_validator(mode="after")
    def _one_of_both(self) -> Database:
        if self.url is not None and self.url_file is not None:
            raise ValueError("url and url_file exclude each other")
        return self

    def file_faults(self) -> Iterator[Fault]:
        """Whether the file with the URL can be read, and by us alone."""
        return secret_faults("url_file", self.url_file) if self.url_file is not None else iter(())
