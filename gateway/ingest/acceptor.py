"""What every way in calls: identity, then one committed row. Nothing is acknowledged before this returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from gateway.database import inbox, originals
from gateway.database.store import DiskFull, Store
from gateway.ingest.identity import digest_of
from gateway.ingest.smtp import DiskIsFull
from gateway.mail import receipts
from gateway.model import Accepted, RawMessage, Turn
from gateway.turns import Turns

INLINE = 256 * 1024
STAGED = 2 * originals.PIECE


class Work(Protocol):
    """Whoever works on mails."""

    def reserve(self, turn: Turn) -> bool:
        """Whether a hand is free for a mail that is being stored now; it is kept until ``take`` or ``release``."""
        ...

    def release(self) -> None:
        """The hand that was reserved is not needed: the mail was stored without it, or not at all."""
        ...

    def take(self, claimed: inbox.Claimed) -> None:
        """The mail is stored and claimed."""
        ...

    def arrived(self) -> None:
        """Something was stored that nobody claimed yet."""
        ...


class Acceptor:
    """Stores mails and hands each to a free hand, or tells that it waits."""

    def __init__(self, store: Store, work: Work, clock: Callable[[], datetime], turns: Turns | None = None) -> None:
        self._store, self._work, self._clock, self._turns = store, work, clock, turns or Turns(clock)

    async def __call__(self, message: RawMessage) -> Accepted:
        """Commits a mail; the caller may vanish meanwhile, the commit and the handing over do not.

        Raises:
            DiskIsFull: nothing was stored.
        """
        if len(message.raw) <= INLINE:
            digest = digest_of(message.raw)
        else:
            digest = await asyncio.to_thread(digest_of, message.raw)
        turn = self._turns.of(message.raw, message.envelope)
        direct = len(message.raw) <= INLINE and self._work.reserve(turn)
        lease = self._clock() + timedelta(seconds=inbox.LEASE_S) if direct else None
        stored: asyncio.Future[Accepted]
        if len(message.raw) > STAGED:
            stored = asyncio.ensure_future(self._store_large(message, digest, turn))
        else:
            stored = self._store.begin(lambda connection: inbox.accept(connection, message, digest, lease, turn=turn))
        stored.add_done_callback(lambda done: self._stored(done, message, lease, turn))
        try:
            return await asyncio.shield(stored)
        except DiskFull as error:
            raise DiskIsFull from error

    def receipt(self, accepted: Accepted) -> str:
        """The id of an acceptance, for the peer and both logs."""
        row, again = (accepted.id, False) if accepted.arrival is None else (accepted.arrival, True)
        return receipts.receipt(self._store.keys[self._store.key_id], row, again)

    async def _store_large(self, message: RawMessage, digest: str, turn: Turn) -> Accepted:
        """A piece a commit, so that other senders need not wait for all of it; then the commit that makes it a mail."""
        staged = originals.staging(self._clock())
        try:
            for seq, piece in enumerate(originals.pieces(message.raw)):
                await self._store.write(partial(originals.stage, staged=staged, seq=seq, piece=piece))
            mail = partial(inbox.accept, message=message, digest=digest, staged=staged, turn=turn)
            return await self._store.write(mail)
        except BaseException:  # cut off as well: what was staged goes, and the fault is raised again
            self._store.submit(lambda connection: originals.abandon(connection, staged))
            raise

    def _stored(
        self, done: asyncio.Future[Accepted], message: RawMessage, lease: datetime | None, turn: Turn
    ) -> None:  # fmt: skip
        """After the commit, whether or not the client is still there. ``lease``: of the hand that was kept for it."""
        accepted = None if done.cancelled() or done.exception() is not None else done.result()
        if lease is not None and accepted is not None and accepted.created:
            self._work.take(inbox.claim_of(accepted, message, lease, turn))
            return
        if lease is not None:
            self._work.release()
        if accepted is not None:
            self._work.arrived()
