"""What the running service lends its console (``gateway/console/lent.py``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from gateway import explain, service
from gateway.console.lent import Service
from gateway.database.store import Store
from gateway.model import Reading, Told
from gateway.read.hints import Hints
from gateway.read.reader import Readers
from gateway.tickets import views
from gateway.verify.directory import Directory
from gateway.verify.lookup import accounts_of, customers_of

MAX_ORDERS = 50


@dataclass(frozen=True)
class Lender:
    """The parts of the daemon that the console works with; what a reload replaces is asked for."""

    store: Store
    clock: Callable[[], datetime]
    desk: Callable[[], service.Desk]
    directory: Callable[[], Directory]
    readers: Readers
    wake: Callable[[], None]
    usage: Callable[[], Mapping[str, int | str]]
    problems: Callable[[], Awaitable[list[str]]]  #: every one that needs a person

    def lent(self) -> Service:
        """All of it, as the console wants it."""
        return Service(
            self.store, self.clock, self.desk, self.wake, self._status, self._explain, self._read, self._account,
            self._orders, self._whose, self._customers,
        )  # fmt: skip

    async def _status(self) -> Mapping[str, Any]:
        now, directory = self.clock(), self.directory()
        age, usable = directory.age(now), directory.usable(now)
        found = await self.store.read(lambda connection: views.status(connection, now, age, usable))
        return views.with_usage(found, dict(self.usage())) | {"problems": await self.problems()}

    async def _explain(self, raw: bytes, mail_from: str, peer: str) -> Mapping[str, Any]:
        given = explain.Given(_address(peer), None, mail_from or None, (), self.clock())
        return await explain.Explainer.beside(self.store, self.desk()).explained(raw, given, self.readers)

    async def _read(self, raw: bytes | bytearray, mail_from: str | None, received_at: datetime) -> Reading:
        around = self.desk().around
        return await self.readers.read(raw, Hints(mail_from, received_at, around.office.timezone, around.topics))

    def _orders(self, number: str) -> list[tuple[str, str, str]]:
        return [(order.number, order.service, order.status) for order in self.directory().orders_of(number)]

    def _whose(self, what: str) -> list[tuple[str, str]]:
        return [(account.account, account.name) for account in accounts_of(self.directory(), what)]

    def _customers(self, sender: str) -> tuple[int, list[tuple[str, str]]]:
        number, some = customers_of(self.directory(), sender)
        return number, [(account.account, account.name) for account in some]

    def _account(self, number: str) -> Mapping[str, Any] | None:
        """What the directory says of an account, as it is shown: names and lists."""
        directory = self.directory()
        account = directory.account(number)
        if account is None:
            return None
        orders = [
            f"#{order.number} {order.service} {order.status}" for order in directory.orders_of(number)[:MAX_ORDERS]
        ]
        addresses = [f"{address} ({role})" for address, role in directory.addresses_of(number)[:MAX_ORDERS]]
        found = {"name": account.name, "language": account.language or "", "status": account.status}
        return found | {"orders": "; ".join(orders), "addresses": "; ".join(addresses)}


def _address(given: str) -> str | None:
    try:
        return str(ip_address(given)) if given else None
    except ValueError:
        raise Told(f"{given[:60]} is no IP address") from None
