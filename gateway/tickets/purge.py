"""The purge at work: one small transaction after another, with pauses in which mail is stored, read and answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from gateway import log, metrics
from gateway.database.store import Store
from gateway.periodic import Periodic, Wait
from gateway.tickets import retention
from gateway.tickets.retention import Kind
from gateway.tickets.settings import Retention
from gateway.tickets.steadiness import Steadiness

EVERY_S = 6 * 3600.0  #: between two purges of a service
FIRST_S = 300.0  #: after the start
#: a transaction of a purge that took longer, or not as long, makes the next one smaller or larger; its commit comes on
#: top
LONG_S, SHORT_S = 0.012, 0.005
#: times as long as it worked, the purge waits: what it removes lies all over the file, and the disk writes it back for
#: longer than the transaction took, while mail waits for the same disk
PAUSE = 12.0


def loops(store: Store, keep: Callable[[], Retention], steadiness: Steadiness, wait: Wait) -> tuple[Periodic, ...]:
    """What runs: removes what ``[retention]`` says is over, while the clock is believed; what is left when the service
    stops is found the next time."""

    async def run() -> None:
        now = steadiness.believed()
        if now is not None:
            await Purge(store, keep(), lambda: now, wait).run()

    return (Periodic("purge", lambda: EVERY_S, run, first=FIRST_S),)


class Purge:
    """One purge. ``wait`` pauses, and says false when the service stops: what is left is found again the next time."""

    def __init__(self, store: Store, keep: Retention, clock: Callable[[], datetime], wait: Wait) -> None:
        self._store, self._keep, self._clock, self._wait = store, keep, clock, wait
        self._size = 4

    async def run(self) -> dict[str, int]:
        """Removes what is due; how many rows of each kind."""
        done: dict[str, int] = {}
        for kind in retention.kinds(self._keep):
            count = await self._walk(kind)
            if count:
                done[kind.name] = count
                metrics.PURGED.labels(kind.name).inc(count)
                log.purged(kind.name, count)
        return done

    async def _walk(self, kind: Kind) -> int:
        cutoff, after, count, going = self._clock() - kind.keep, None, 0, True
        while going:
            began = time.perf_counter()
            found = await self._store.read(partial(_found, kind, cutoff, after))
            going = await self._wait((time.perf_counter() - began) * PAUSE)
            count += await self._remove(kind, found.due, cutoff)
            after = found.after
            going = going and after is not None
        return count

    async def _remove(self, kind: Kind, due: Sequence[retention.Place], cutoff: datetime) -> int:
        count, start = 0, 0
        while start < len(due):
            ids = due[start : start + min(self._size, kind.step)]
            began = time.perf_counter()
            took_s, removed = await self._store.write(partial(_removed, kind, ids, cutoff))
            whole_s = time.perf_counter() - began  # with its commit, and with what was written before it
            count, start = count + removed, start + len(ids)
            self._size = max(1, self._size // 2) if took_s > LONG_S else self._size
            self._size = min(retention.LOOK, self._size + 1) if took_s < SHORT_S else self._size
            if not await self._wait(max(0.05, whole_s * PAUSE)):
                break
        return count


def _found(kind: Kind, cutoff: datetime, after: retention.Place, connection: Connection) -> retention.Found:
    return kind.find(connection, cutoff, after)


def _removed(kind: Kind, ids: Sequence[retention.Place], cutoff: datetime, connection: Connection) -> tuple[float, int]:
    began = time.perf_counter()
    removed = kind.remove(connection, ids, cutoff)
    return time.perf_counter() - began, removed


def due(store: Store, keep: Retention, now: datetime) -> dict[str, int]:
    """How many rows of each kind a purge would remove now; nothing is written."""
    found = {}
    for kind in retention.kinds(keep):
        count, after, going = 0, None, True
        while going:
            step = store.read_now(partial(_found, kind, now - kind.keep, after))
            count, after, going = count + len(step.due), step.after, step.after is not None
        found[kind.name] = count
    return found
