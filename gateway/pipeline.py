"""One message, top to bottom: read, verify, judge, match, decide, commit. Reads like DESIGN's "How a message flows"."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from gateway import log, metrics
from gateway.model import AuthorStatus, Facts, Incoming, MailClass, Reading, Verdict, mail_start
from gateway.read.header import header_end
from gateway.read.limits import MAX_HEADER_BLOCK
from gateway.read.unreadable import unreadable
from gateway.reader import NoReader, ReaderFailed, Readers
from gateway.reading import Hints
from gateway.replies import guard
from gateway.tickets import arrivals, desk, inbox, originals, outgoing
from gateway.tickets.outgoing import Office
from gateway.tickets.store import LostClaim, Store, StoreError, Unavailable
from gateway.verify import accounts, reachable
from gateway.verify.authenticate import Checks, authenticate, nobody
from gateway.verify.author import author_of
from gateway.verify.directory import Directory
from gateway.verify.dns import Bounded

POLL_S = 1.0
BATCH = 16
CONCURRENCY = 48  #: of mails up to 256 KiB, or pieces of larger ones


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the configuration the pipeline sees; replaced as a whole at a reload."""

    checks: Checks
    directory: Directory
    office: Office
    timezone: str
    spam_headers: tuple[str, ...]
    blocked_addresses: frozenset[str]
    blocked_domains: frozenset[str]
    networks: tuple[accounts.Network, ...]  #: the company's own
    topics: str  #: the text of the admin's own topics file
    authserv_ids: Mapping[str, str]  #: whose Authentication-Results count, by source; ``relay`` for trusted relays


class Judge:
    """Everything up to the decision: the same code serves the daemon and ``gateway explain``."""

    def __init__(
        self, readers: Readers, around: Callable[[], Surroundings], clock: Callable[[], datetime], store: Store
    ) -> None:
        self._readers, self._around, self._clock, self._store = readers, around, clock, store

    async def incoming(self, claimed: inbox.Claimed) -> tuple[Incoming, int | None]:
        """(what policy looks at, the outbox row a bounce is about). A mail that cannot be read is known by its header."""
        around = self._around()
        envelope = claimed.envelope
        hints = Hints(envelope.mail_from, envelope.received_at, around.timezone, around.topics)
        try:
            if claimed.pieces:
                reading = await self._readers.read_pieces(self._pieces(claimed), claimed.size, hints)
            else:
                reading = await self._readers.read(claimed.raw, hints)
        except ReaderFailed as failure:
            reading = await self._unread(claimed, str(failure))
        own = guard.is_own(reading.parsed, around.office.keys)
        bounced = self._bounced_row((*envelope.rcpt_tos, *reading.parsed.recipients), around)
        verdict = nobody(reading.author)
        match, facts = accounts.NOBODY, Facts()
        if not own and reading.signs.form is not MailClass.BOUNCE:
            verdict = await self._verdict(claimed, reading, around)
            cpu = time.thread_time()
            match = accounts.match(reading.author, around.directory, self._clock())
            if match.usable:
                facts, match = accounts.judged(reading, match, around.directory, around.networks)
            metrics.STAGE_CPU.labels("directory").inc(time.thread_time() - cpu)
        address = reading.author.address
        unanswerable = guard.unanswerable(address, envelope.mail_from, around.office.rules.own_addresses, False)
        if not (unanswerable or own or verdict.refused or reading.signs.form is not MailClass.HUMAN):
            unanswerable = await self._unreachable(reading, verdict, claimed.recheck, around)
        return Incoming(
            envelope=envelope,
            reading=reading,
            verdict=verdict,
            match=match,
            facts=facts,
            blocked=self._blocked(claimed, reading, around),
            unanswerable=unanswerable,
            is_own=own,
            released=claimed.released,
            silent=envelope.source.startswith("import:"),
            echo=guard.echo(address, envelope.rcpt_tos, self._staff(around), around.office.domain),
            returned_row=bounced,
        ), bounced

    async def _pieces(self, claimed: inbox.Claimed) -> AsyncIterator[bytes]:
        for seq in range(claimed.pieces):
            yield await self._store.read(partial(originals.load_piece, key=claimed.id, seq=seq))

    async def _unread(self, claimed: inbox.Claimed, why: str) -> Reading:
        """A mail whose reading failed: its header, and the mail itself as a file."""
        sha, head = hashlib.sha256(claimed.raw), bytes(claimed.raw[:MAX_HEADER_BLOCK])
        async for piece in self._pieces(claimed):
            head = head or piece[:MAX_HEADER_BLOCK]
            sha.update(piece)
        start = mail_start(head)
        block = head[start : header_end(head, start)[0]]
        whole = (claimed.size or len(claimed.raw), sha.hexdigest())
        log.unreadable(claimed.id, why)
        return unreadable(block, whole, why, author_of(block), claimed.envelope.mail_from)

    async def _verdict(self, claimed: inbox.Claimed, reading: Reading, around: Surroundings) -> Verdict:
        raw = claimed.raw
        if claimed.pieces and b"dkim-signature" in reading.header_block.lower():
            raw = await self._store.read(partial(originals.load, key=claimed.id))
        _, body = header_end(raw, mail_start(raw))
        now = claimed.envelope.received_at
        authserv_id = around.authserv_ids.get("relay" if claimed.envelope.trusted else claimed.envelope.source)
        return await authenticate(
            reading.author, claimed.envelope, raw, reading.header_block, body, around.checks, now, authserv_id
        )

    async def _unreachable(self, reading: Reading, verdict: Verdict, recheck: int, around: Surroundings) -> str:
        """Why the author's domain takes no mail, or ``""``; not asked before there can be a reply."""
        if reading.author.status is not AuthorStatus.OK or reading.author.address is None:
            return ""
        if verdict.temperror and recheck == 0:
            return ""
        bounded = Bounded(around.checks.resolver, around.checks.timeout)
        return await reachable.why_not(reading.author.address.rpartition("@")[2], bounded, verdict.authenticated)

    @staticmethod
    def _staff(around: Surroundings) -> frozenset[str]:
        return frozenset(address for addresses in around.office.staff.values() for address in addresses)

    def _bounced_row(self, recipients: tuple[str, ...], around: Surroundings) -> int | None:
        for recipient in recipients:
            row = guard.bounced_outbox_id(around.office.keys, recipient)
            if row is not None:
                return row
        return None

    def _blocked(self, claimed: inbox.Claimed, reading: Reading, around: Surroundings) -> str:
        address = (reading.author.address or "").lower()
        if address in around.blocked_addresses:
            return f"the address {address} is in [block]"
        domain = address.rpartition("@")[2]
        if any(domain == name or domain.endswith("." + name) for name in around.blocked_domains):
            return f"the domain {domain} is in [block]"
        kind, _, name = claimed.envelope.source.partition(":")
        if kind == "junk":
            return f"the mailbox {name} has it in its junk folder"
        if claimed.envelope.trusted or name:
            for wanted in around.spam_headers:
                header, colon, value = wanted.partition(":")
                found = reading.parsed.headers.get(header.strip().lower(), ())
                if found and (not colon or any(v.lower().startswith(value.strip().lower()) for v in found)):
                    return f"its host marked it: {header.strip()}"
        return ""


class Replies(Protocol):
    """Whoever sends the replies."""

    wake: asyncio.Event

    def reserve(self) -> bool:
        """Whether a reply that is being written now can be sent at once; then a place is kept until ``take``."""
        ...

    def take(self, claimed: outgoing.Claimed | None) -> None:
        """The reply, claimed as it was written; ``None`` when none was."""
        ...


class Pipeline:
    """Claims due mails and brings each to its outcome; one bad mail never stops the next."""

    def __init__(self, store: Store, judge: Judge, around: Callable[[], Surroundings], clock: Callable[[], datetime],
                 replies: Replies) -> None:  # fmt: skip
        self._store, self._judge, self._around, self._clock, self._replies = store, judge, around, clock, replies
        self.wake = asyncio.Event()
        self._sure = False
        self.beat = 0.0
        self._held: dict[asyncio.Task[None], inbox.Claimed] = {}
        self._reserved = 0
        self._claiming = 0  # hands kept for what is being claimed
        self._clear = False  # no more waits in the table than is being claimed: a new mail may be taken as it is stored

    # -- what the ways in see

    def reserve(self) -> bool:
        """Whether a hand is free for a mail that is being stored now; then it is kept until ``take`` or ``release``."""
        if not self._clear or self._room() <= 0 or any(held.suspect for held in self._held.values()):
            return False
        self._reserved += 1
        return True

    def release(self) -> None:
        """The hand is not needed."""
        self._reserved -= 1
        self.wake.set()

    def take(self, claimed: inbox.Claimed) -> None:
        """A mail that was stored and claimed at once."""
        self._reserved -= 1
        self._begin(claimed)

    def arrived(self) -> None:
        """A mail was stored: there is something to claim."""
        self._sure = True
        self.wake.set()

    # -- the loop

    def _room(self) -> int:
        return CONCURRENCY - len(self._held) - self._reserved - self._claiming

    def _begin(self, claimed: inbox.Claimed) -> None:
        task = asyncio.create_task(self._one(claimed))
        self._held[task] = claimed
        task.add_done_callback(self._let_go)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``; what is begun is finished or handed back."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            self.beat = loop.time()
            self.wake.clear()
            claimed: list[inbox.Claimed] = []
            if self._room() > 0:
                try:
                    claimed = await self._claim()
                except Exception as error:  # the one broad net of this loop: the database may be back next turn
                    log.loop_fault("pipeline", error)
            for claim in claimed:
                self._begin(claim)
            if not claimed:
                await self._rest(stop)
        self._clear = False
        await self._drain()

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._held.pop(task, None)
        if self._sure or not self._clear:
            self.wake.set()

    async def _rest(self, stop: asyncio.Event) -> None:
        waits = [asyncio.create_task(self.wake.wait()), asyncio.create_task(stop.wait())]
        await asyncio.wait(waits, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(15):
                while self._held or self._reserved:
                    self.wake.clear()
                    await self.wake.wait()
        left = list(self._held.values())
        for task in list(self._held):
            task.cancel()
        if left:
            try:
                await self._store.write(lambda connection: inbox.hand_back(connection, left, self._clock()))
            except StoreError as error:
                log.loop_fault("pipeline", error)

    async def _claim(self) -> list[inbox.Claimed]:
        now = self._clock()
        if any(held.suspect for held in self._held.values()):
            return []
        sure, self._sure = self._sure, False
        if not sure and not await self._store.read(lambda connection: inbox.anything_due(connection, now)):
            self._clear = True
            return []
        room, alone = self._room(), not self._held and not self._reserved
        if room <= 0:  # taken while the table was asked
            self._sure = True
            return []
        count = min(-(-room // 2) if self._clear else room, BATCH)  # half for what comes meanwhile, unless many wait

        def job(connection: Connection) -> tuple[list[inbox.Claimed], list[int], bool]:
            claimed, parked = inbox.claim(connection, now, count, alone=alone)
            if any(claim.suspect for claim in claimed):
                return claimed, parked, False
            if len(claimed) < count:
                claimed += inbox.claim_arrivals(connection, now, count - len(claimed))
            clear = len(claimed) < count and (alone or bool(claimed) or not inbox.anything_due(connection, now))
            return claimed, parked, clear

        clear, self._claiming = False, count
        if alone:  # a suspect may be among them: no other mail is taken beside it
            self._clear = False
        try:
            claimed, parked, clear = await self._store.write(job)
        finally:
            self._clear, self._claiming = clear, 0
        for message in parked:
            metrics.PARKED.inc()
            log.parked(message, "claimed three times without an outcome")
        return claimed

    async def _one(self, claimed: inbox.Claimed) -> None:
        began = time.perf_counter()
        try:
            incoming, bounced = await self._judge.incoming(claimed)
            outcome = await self._commit(claimed, incoming, bounced)
        except LostClaim:
            return
        except (Unavailable, NoReader) as error:  # no fault of this mail: it is claimed again when its lease has ended
            log.loop_fault("pipeline", error)
            return
        except Exception as error:  # nobody expected it: this mail is set aside, the next one flows on
            await self._park(claimed, f"{type(error).__name__} at {log.where(error)}", error)
            return
        metrics.PROCESS.observe(time.perf_counter() - began)
        if outcome is None:
            return
        decision = outcome.decision
        metrics.DECIDED.labels(decision.disposition, decision.trust).inc()
        log.decided(
            claimed.id, decision.disposition, decision.trust, outcome.reference, outcome.replied, decision.silence
        )
        if decision.notify or (outcome.replied and not outcome.sending):
            self._replies.wake.set()

    async def _commit(self, claimed: inbox.Claimed, incoming: Incoming, bounced: int | None) -> desk.Outcome | None:
        office, now = self._around().office, self._clock()
        if claimed.arrival is not None:
            return await self._store.write_patiently(
                lambda connection: arrivals.commit_arrival(connection, claimed, incoming, bounced, office, now)
            )
        if claimed.recheck > 0:
            return await self._store.write_patiently(
                lambda connection: desk.commit_recheck(connection, claimed, incoming, office, now)
            )
        direct = self._replies.reserve()
        outcome = None
        try:
            outcome = await self._store.write_patiently(
                lambda connection: desk.commit(connection, claimed, incoming, bounced, office, now, direct)
            )
        finally:
            if direct:
                self._replies.take(outcome.sending if outcome is not None else None)
        return outcome

    async def _park(self, claimed: inbox.Claimed, reason: str, error: BaseException | None) -> None:
        metrics.PARKED.inc()
        log.parked(claimed.id, reason, error)
        try:
            await self._store.write(lambda connection: inbox.park(connection, claimed, reason, self._clock()))
        except LostClaim:
            return
        except Exception as fault:  # the database is away: the lease ends and the mail is claimed again
            log.loop_fault("pipeline", fault)
