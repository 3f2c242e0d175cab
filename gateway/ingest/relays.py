"""The relays that customers' mail came from lately: an attacker may take every place of strangers, not theirs.

What counts is a mail that was decided ``verified``. The memory is bounded, lives in the process and is filled from the
inbox: at the start from the mails of the last days, then from what was decided since.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from gateway import log
from gateway.database.store import Store
from gateway.networks import networks
from gateway.tickets import clients

MOST = 4096
LATELY = timedelta(days=30)
LOOK_S = 15.0
DECIDED_WITHIN = timedelta(
    minutes=45
)  #: a mail is looked at again for so long: rechecks end half an hour after receipt
POOL = 3  #: so many hosts of a network make the network known: the pool of a provider


class KnownRelays:
    """Addresses and networks, the latest ``MOST`` of them."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, datetime] = OrderedDict()
        self._pools: Counter[str] = Counter()

    def learn(self, found: Iterable[tuple[str, datetime]]) -> None:
        """Remembers ``(address, when a verified mail came from there)``, oldest first."""
        for address, at in found:
            host, pool = _host_and_pool(address)
            if host not in self._seen:
                self._pools[pool] += 1
            self._seen[host] = max(at, self._seen.get(host, at))
            self._seen.move_to_end(host)
        while len(self._seen) > MOST:
            self._forget(next(iter(self._seen)))

    def expire(self, now: datetime) -> None:
        """Forgets what is not lately any more."""
        for host in [host for host, at in self._seen.items() if now - at > LATELY]:
            self._forget(host)

    def _forget(self, host: str) -> None:
        del self._seen[host]
        pool = networks(host.partition("/")[0])[-1]
        self._pools[pool] -= 1
        if not self._pools[pool]:
            del self._pools[pool]

    def knows(self, address: str) -> bool:
        """Whether customers' mail came from there, or from several hosts beside it."""
        host, pool = _host_and_pool(address)
        return host in self._seen or self._pools[pool] >= POOL


def _host_and_pool(address: str) -> tuple[str, str]:
    """(what stands for one host: the address, or the /64 of IPv6; the network around it)."""
    around = networks(address)
    return around[-2 if len(around) > 2 else 0], around[-1]


class Watch:
    """Keeps the memory up to date from the inbox."""

    def __init__(self, store: Store, relays: KnownRelays, clock: Callable[[], datetime]) -> None:
        self._store, self._relays, self._clock = store, relays, clock
        self._marks: deque[tuple[datetime, int]] = deque()  # (when, the highest id then)

    async def run(self, wait: Callable[[float], Awaitable[bool]]) -> None:
        """Looks now and then, until ``wait`` says that the service stops."""
        while await wait(LOOK_S):
            await self.look()

    async def look(self) -> None:
        """What was decided since; the first time, of the last days."""
        try:
            await self._look()
        except Exception as error:  # the one broad net of this loop: the database may be back next time
            log.loop_fault("relays", error)

    async def _look(self) -> None:
        now = self._clock()
        while len(self._marks) > 1 and now - self._marks[1][0] > DECIDED_WITHIN:
            self._marks.popleft()
        above = self._marks[0][1] if self._marks else None
        found, highest = await self._store.read(
            lambda connection: clients.verified(connection, above, now - LATELY, MOST)
        )
        self._relays.learn(found)
        self._relays.expire(now)
        self._marks.append((now, highest))
