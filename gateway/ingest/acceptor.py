"""What every way in calls: identity, then one committed row. Nothing is acknowledged before this returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.ingest.identity import digest_of
from gateway.ingest.smtp import DiskIsFull
from gateway.model import Accepted, RawMessage
from gateway.tickets import inbox
from gateway.tickets.store import DiskFull, Store

INLINE = 256 * 1024


class Acceptor:
    """Stores mails and tells the pipeline."""

    def __init__(self, store: Store, accepted: Callable[[], None]) -> None:
        self._store, self._accepted = store, accepted

    async def __call__(self, message: RawMessage) -> Accepted:
        """Commits a mail; the caller may vanish meanwhile, the commit does not.

        Raises:
            DiskIsFull: nothing was stored.
        """
        if len(message.raw) <= INLINE:
            digest = digest_of(message.raw)
        else:
            digest = await asyncio.to_thread(digest_of, message.raw)
        try:
            outcome = await self._store.write(lambda connection: inbox.accept(connection, message, digest))
        except DiskFull as error:
            raise DiskIsFull from error
        self._accepted()
        return outcome
