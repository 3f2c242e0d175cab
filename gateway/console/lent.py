"""What the service lends the console: its store, its clock, its desk, and what only the daemon can do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from gateway.console.settings import Http, Oidc
from gateway.database.store import Store
from gateway.model import Reading
from gateway.replies.render import Sender, Templates
from gateway.settings import Gateway
from gateway.tickets.outgoing import Office
from gateway.tickets.settings import Block, Replies, Staff

T = TypeVar("T")


class Settings(Protocol):
    """The sections that the console reads."""

    @property
    def gateway(self) -> Gateway: ...
    @property
    def block(self) -> Block: ...
    @property
    def replies(self) -> Replies: ...
    @property
    def staff(self) -> Staff: ...
    @property
    def http(self) -> Http: ...
    @property
    def oidc(self) -> Oidc: ...


class Desk(Protocol):
    """The part of the desk that the console sees; a reload puts another one in its place."""

    @property
    def settings(self) -> Settings: ...
    @property
    def templates(self) -> Templates: ...
    @property
    def office(self) -> Office: ...
    @property
    def sender(self) -> Sender: ...


@dataclass(frozen=True)
class Service:
    """The running service, as the console sees it. ``status`` is the object of ``gateway status``; ``explain`` that of
    ``gateway explain --json`` for (mail, envelope sender, sending host); ``read`` a mail's ``Reading`` by the killable
    reader; ``account`` what the directory says."""

    store: Store
    clock: Callable[[], datetime]
    desk: Callable[[], Desk]
    wake: Callable[[], None]  #: the outbox, or the pipeline, has work
    status: Callable[[], Awaitable[Mapping[str, Any]]]
    explain: Callable[[bytes, str, str], Awaitable[Mapping[str, Any]]]
    read: Callable[[bytes | bytearray, str | None, datetime], Awaitable[Reading]]
    account: Callable[[str], Mapping[str, Any] | None]
    orders: Callable[[str], list[tuple[str, str, str]]]  #: (number, service, status) of an account
    whose: Callable[[str], list[tuple[str, str]]]  #: (number, name) of the accounts of an address, order, IP or service
    #: of an address or a domain: (how many accounts, number and name of the first of them)
    customers: Callable[[str], tuple[int, list[tuple[str, str]]]]
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "console"))

    async def ask(self, job: Callable[[Connection], T]) -> T:
        """Reads, on a thread of the console's own: the mail's reads do not wait behind a search."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, self.store.read_now, job)

    async def change(self, job: Callable[[Connection], T]) -> T:
        """What ``job`` gives, in a transaction that is committed before this returns."""
        return await self.store.write(job)

    async def compute(self, job: Callable[[], T]) -> T:
        """Computes on a thread of the console's own."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, job)
