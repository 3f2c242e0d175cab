"""What becomes of a mail up to its decision: read, verified, its author known, whose facts they are.

Reads like docs/flow.md, stays 6 to 21."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from gateway import claims, log, metrics
from gateway.database import inbox, originals
from gateway.database.store import Store
from gateway.mail import address as spelling
from gateway.mail import guard, header
from gateway.mail.header import RawMail, header_end
from gateway.mail.limits import MAX_HEADER_BLOCK
from gateway.model import (
    ABUSE,
    AccountMatch,
    AuthorStatus,
    Envelope,
    Facts,
    Incoming,
    MailClass,
    Reading,
    Verdict,
    mail_start,
)
from gateway.read.author import author_of, who_is_named
from gateway.read.hints import Hints
from gateway.read.reader import ReaderDied, ReaderFailed, Readers
from gateway.read.unreadable import unreadable
from gateway.tickets import blocks
from gateway.tickets.outgoing import Office
from gateway.turns import Place
from gateway.verify import accounts, reachable, spam_marks
from gateway.verify.authenticate import Checks, authenticate, nobody
from gateway.verify.directory import Directory
from gateway.verify.dns import Asker, Bounded, Rank, asked_by
from gateway.verify.settings import Verify

DEATHS = 3  #: readers that die over a mail until it is to blame
LONG_HEADER = 16 * 1024  #: octets; what takes the time that others wait


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the configuration the pipeline sees; replaced as a whole at a reload."""

    checks: Checks
    directory: Directory
    office: Office
    verify: Verify
    blocked: frozenset[str]  #: addresses and domains, as they are compared
    networks: tuple[accounts.Network, ...]  #: the company's own
    topics: str  #: the text of the admin's own topics file
    staff_relays: tuple[accounts.Network, ...]  #: the company's own mail servers
    authserv_ids: Mapping[str, str]  #: whose Authentication-Results count, by source; ``relay`` for trusted relays


class Hand(claims.Hand[inbox.Claimed]):
    """A mail in work, and where it stands among the others."""

    def __init__(self, claimed: inbox.Claimed, place: Place | None = None) -> None:
        super().__init__(claimed, claimed.lease_until)
        self.place = place

    @contextlib.contextmanager
    def waiting(self, rank: Rank) -> Iterator[bool]:
        """While it waits for others' answers; whether there is room for it to wait."""
        yield True


class Judge:
    """Everything up to the decision: the same code serves the daemon and ``gateway explain``."""

    def __init__(
        self, readers: Readers, around: Callable[[], Surroundings], clock: Callable[[], datetime], store: Store
    ) -> None:
        self._readers, self._around, self._clock, self._store = readers, around, clock, store

    @property
    def trouble(self) -> str:
        """Why no mail can be read now, or an empty string."""
        return self._readers.trouble

    async def incoming(self, hand: Hand) -> tuple[Incoming, int | None]:
        """(what policy looks at, the outbox row a bounce is about). A mail that cannot be read is known by its header.

        Raises:
            NoReader, TooSlow: it may be tried again.
        """
        claimed, around = hand.claimed, self._around()
        envelope = claimed.envelope
        hints = Hints(envelope.mail_from, envelope.received_at, around.office.timezone, around.topics)
        try:
            reading = await self._read(hand, hints)
        except ReaderFailed as failure:
            reading = await self._unread(claimed, str(failure))
        own = guard.is_own(reading.parsed, around.office.keys)
        bounced = self._bounced_row((*envelope.rcpt_tos, *reading.parsed.recipients), around)
        match, facts = accounts.NOBODY, Facts()
        if own or reading.signs.form is MailClass.BOUNCE:
            verdict = nobody(reading.author)
        else:
            verdict = await self._verdict(hand, reading, around)
            cpu = time.thread_time()
            match = accounts.match(reading.author, around.directory, self._clock())
            if match.usable:
                facts, match = accounts.judged(reading, match, around.directory, around.networks)
            metrics.STAGE_CPU.labels("directory").inc(time.thread_time() - cpu)
        address = reading.author.address
        unanswerable = guard.unanswerable(address, envelope.mail_from, around.office.rules.own_addresses, False)
        if not (unanswerable or own or verdict.refused or reading.signs.form is not MailClass.HUMAN):
            unanswerable = await self._unreachable(hand, reading, verdict, around)
        mark = self._mark(envelope, reading, around)
        blocked = await self._blocked(envelope, reading, around)
        spared = _spared(mark, reading.topics.critical, verdict, match) if mark is not None else ""
        return Incoming(
            envelope=envelope,
            reading=reading,
            verdict=verdict,
            match=match,
            facts=facts,
            blocked=blocked or (mark.why if mark is not None and not spared else ""),
            spared=spared,
            unanswerable=unanswerable,
            is_own=own,
            released=claimed.released,
            silent=envelope.source.startswith("import:"),
            echo=guard.echo(address, envelope.rcpt_tos, self._staff(around), around.office.domain),
            returned_row=bounced,
            abused=self._abused(reading, facts, match, envelope.rcpt_tos, around) if match.usable else (),
            from_staff_relay=_within(envelope.client, around.staff_relays),
        ), bounced

    def _abused(
        self, reading: Reading, facts: Facts, match: AccountMatch, rcpt_tos: tuple[str, ...], around: Surroundings
    ) -> tuple[str, ...]:
        """Whose accounts an abuse notice is about: the owners of what it names, but not its author's own."""
        report = reading.parsed.report
        noticed = ABUSE in reading.topics.flags or (report is not None and report.feedback == "abuse")
        if not noticed and not any(address.lower().startswith("abuse@") for address in rcpt_tos):
            return ()
        own = {account.account for account in match.accounts}
        return tuple(sorted(accounts.owners(facts, around.directory) - own))[:20]

    async def _read(self, hand: Hand, hints: Hints) -> Reading:
        """The reading of a mail. A reader that dies may have been killed by somebody else: only a mail over which
        ``DEATHS`` of them die is to blame."""
        for _ in range(DEATHS - 1):
            with contextlib.suppress(ReaderDied):
                return await self._read_once(hand, hints)
        return await self._read_once(hand, hints)

    async def _read_once(self, hand: Hand, hints: Hints) -> Reading:
        claimed = hand.claimed
        if claimed.pieces:
            return await self._readers.read_pieces(self._pieces(claimed), claimed.size, hints, hand.place)
        return await self._readers.read(claimed.raw, hints, hand.place)

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

    def _rank(self, reading: Reading, around: Surroundings) -> Rank:
        """Whose questions go first: a guess by what the mail says of itself."""
        if not reading.author.address or not around.directory.roles_of(reading.author.address):
            return Rank.STRANGER
        return Rank.URGENT if reading.topics.critical else Rank.CUSTOMER

    @contextlib.contextmanager
    def _asking(self, hand: Hand, reading: Reading, around: Surroundings) -> Iterator[Checks]:
        """What to check with, while the mail waits beside the hands. Where too many wait, only what is known counts:
        a check that could not be made is made again later."""
        rank = self._rank(reading, around)
        asker = Asker(hand.claimed.turn.sender, rank)
        with hand.waiting(rank) as room:
            checks = around.checks
            yield replace(checks, resolver=asked_by(checks.resolver, asker), timeout=checks.timeout if room else 0.0)

    async def _verdict(self, hand: Hand, reading: Reading, around: Surroundings) -> Verdict:
        claimed = hand.claimed
        raw = claimed.raw
        if claimed.pieces and b"dkim-signature" in reading.header_block.lower():
            raw = await self._store.read(partial(originals.load, key=claimed.id))
        _, body = header_end(raw, mail_start(raw))
        mail = RawMail(raw, reading.header_block, body)
        authserv_id = around.authserv_ids.get("relay" if claimed.envelope.trusted else claimed.envelope.source)
        with self._asking(hand, reading, around) as checks:
            return await authenticate(reading.author, claimed.envelope, mail, checks, authserv_id)

    async def _unreachable(
        self, hand: Hand, reading: Reading, verdict: Verdict, around: Surroundings
    ) -> str:  # fmt: skip
        """Why the author's domain takes no mail, or ``""``; not asked before there can be a reply."""
        if reading.author.status is not AuthorStatus.OK or reading.author.address is None:
            return ""
        if verdict.temperror and hand.claimed.recheck == 0:
            return ""
        with self._asking(hand, reading, around) as checks:
            bounded = Bounded(checks.resolver, checks.timeout)
            domain = reading.author.address.rpartition("@")[2]
            return await reachable.why_not(domain, bounded, verdict.authenticated)

    @staticmethod
    def _staff(around: Surroundings) -> frozenset[str]:
        return frozenset(around.office.staff.everybody)

    def _bounced_row(self, recipients: tuple[str, ...], around: Surroundings) -> int | None:
        for recipient in recipients:
            row = guard.bounced_outbox_id(around.office.keys, recipient)
            if row is not None:
                return row
        return None

    async def _blocked(self, envelope: Envelope, reading: Reading, around: Surroundings) -> str:
        """What a person has blocked: the author, or whoever a From field names that names no single one. A long header
        is looked through beside the loop."""
        lists = ((around.blocked, "in [block]"), (around.office.board.blocked, "on the block list"))
        look = partial(_listed, [one for one in lists if one[0]], reading, envelope.mail_from)
        beside = reading.author.address is None and len(reading.header_block) > LONG_HEADER
        return await asyncio.to_thread(look) if beside else look()

    @staticmethod
    def _mark(envelope: Envelope, reading: Reading, around: Surroundings) -> spam_marks.Mark | None:
        """What a filter before us took the mail for."""
        kind, _, name = envelope.source.partition(":")
        if kind == "junk":
            return spam_marks.Mark(f"the mailbox {name} has it in its junk folder", True)
        return spam_marks.marked(reading.header_block, around.verify.spam_headers) if envelope.trusted or name else None


def _listed(lists: Sequence[tuple[frozenset[str], str]], reading: Reading, mail_from: str | None) -> str:
    """What of these lists (entries, what the list is called) names a mail's author, or ``""``."""
    names = _authors(reading) if lists else ()
    found = ((blocks.which(listed, name, mail_from), where) for listed, where in lists for name in names)
    return next((f"{entry} is {where}" for entry, where in found if entry), "")


def _authors(reading: Reading) -> tuple[str, ...]:
    """Whom a mail is from; where its From field names no single author, everybody it may be read to name."""
    if reading.author.address is not None:
        return (reading.author.address,)
    said = who_is_named(reading.header_block)
    return (*spelling.named_in(" , ".join(dict.fromkeys([*said, *map(header.decode_words, said)]))), "")


def _spared(mark: spam_marks.Mark, critical: bool, verdict: Verdict, match: AccountMatch) -> str:
    """Why a filter's mark does not keep a mail from the desk, or ``""``. A proven customer's outage is heard whatever a
    filter takes it for, and his mail whatever his own filter does; an outage also where his proof could not be looked
    up."""
    perhaps = (verdict.authenticated or verdict.temperror) and (match.accounts or not match.usable)
    if critical and perhaps:
        return f"{mark.why}, but a customer reports an outage"
    if not mark.hosts and verdict.authenticated and match.accounts:
        return f"{mark.why}, but perhaps that was the sender's own filter"
    return ""


def _within(client: str | None, networks: tuple[accounts.Network, ...]) -> bool:
    """Whether a client's address is in one of these networks."""
    if not client or not networks:
        return False
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)
