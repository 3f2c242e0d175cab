"""``gateway replay``: stored mails through other rules, with a sink that writes nothing; what would have come out
otherwise.

Each mail is decided twice by the code of the service, by the configuration in use and by the other one, with its stored
envelope and the time of its receipt, so that a difference is a difference of the rules. Neither knows what the budgets
were then.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from gateway import service
from gateway.config import Settings
from gateway.database import inbox, originals
from gateway.database.store import Store
from gateway.database.tables import messages, tickets
from gateway.judge import Hand, Judge
from gateway.model import Budgets, Decision, Disposition, InboxState, Incoming, JsonObject, Thread
from gateway.read.reader import Readers
from gateway.tickets import copies, desk, policy, replays, threads
from gateway.verify.dns import Resolver

FIELDS = (
    "disposition",
    "class",
    "trust",
    "account",
    "department",
    "priority",
    "critical",
    "question",
    "sensitive",
    "missing",
    "reply",
)


@dataclass(frozen=True)
class Stored:
    """A mail as it is kept. ``opened``: it began its ticket."""

    id: int
    received_at: datetime
    reference: str | None
    opened: bool
    claimed: inbox.Claimed


class Desk:
    """One configuration: how it would decide a mail."""

    def __init__(self, built: service.Desk, store: Store, readers: Readers) -> None:
        self._desk, self._store, self._readers = built, store, readers

    async def decision(self, mail: Stored) -> JsonObject:
        """What would come out, by the names of ``FIELDS``."""
        judge = Judge(self._readers, lambda: self._desk.around, lambda: mail.received_at, self._store)
        incoming, _ = await judge.incoming(Hand(mail.claimed))

        def decided(connection: Connection) -> Decision:
            seen, _ = replays.judged(connection, incoming, mail.id)
            thread = self._thread(connection, seen, mail)
            return policy.decide(seen, thread, Budgets(), mail.received_at, self._desk.office.rules)

        return _shown(self._store.read_now(decided))

    def _thread(self, connection: Connection, incoming: Incoming, mail: Stored) -> Thread | None:
        """Its thread; a mail that began its ticket is no follow-up of itself."""
        author = incoming.reading.author.address
        whose = tuple(account.account for account in incoming.match.accounts)
        keys = self._desk.office.keys
        found = threads.find(connection, desk.pointers(incoming), author, whose, keys, mail.received_at)
        return None if mail.opened and found is not None and found.reference == mail.reference else found


def _shown(decision: Decision) -> JsonObject:
    return {
        "disposition": str(decision.disposition),
        "class": str(decision.mail_class),
        "trust": str(decision.trust),
        "account": decision.account.account if decision.account else None,
        "department": str(decision.department),
        "priority": str(decision.priority),
        "critical": decision.critical,
        "question": str(decision.question),
        "sensitive": list(decision.sensitive),
        "missing": list(decision.missing),
        "reply": f"{decision.reply.template} ({decision.reply.language})" if decision.reply else None,
    }


@contextmanager
def built(settings: Settings, store: Store, now: datetime, resolver: Resolver | None) -> Iterator[service.Desk]:
    """The desk of a configuration; another account directory than the one in use is read into a folder of its own.

    Raises:
        ConfigError, DirectoryError: it cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-replay-") as scratch:
        accounts = service.directory(settings)
        if settings.directory.configured and not accounts.usable(now):
            apart = settings.gateway.model_copy(update={"state_dir": Path(scratch)})
            accounts = service.directory(settings.model_copy(update={"gateway": apart}))
            accounts.reload(now)
        yield service.build(settings, store, accounts, resolver)


def apart(settings: Settings, other: Settings) -> Settings:
    """The other configuration on the database in use; a different account directory is built anew."""
    state_dir = settings.gateway.state_dir if other.directory == settings.directory else Path("/nonexistent")
    return other.model_copy(update={"gateway": other.gateway.model_copy(update={"state_dir": state_dir})})


def chosen(connection: Connection, since: datetime, count: int) -> list[int]:
    """The mails that were decided since a moment, newest first."""
    m = messages.c
    settled = m.state.in_([InboxState.DONE, InboxState.QUARANTINED])
    whole = m.reason.not_like(f"{copies.WHOLE}%")  # what is only another arrival was not decided by itself
    found = select(m.id).where(settled, whole, m.received_at >= since, m.source.not_like("import:%"))
    return list(connection.execute(found.order_by(m.id.desc()).limit(count)).scalars())


def load(connection: Connection, message: int) -> Stored | None:
    """A stored mail, or ``None`` where its bytes are not kept any more."""
    m = messages.c
    query = select(messages, tickets.c.reference).outerjoin(tickets, tickets.c.id == m.ticket_id).where(m.id == message)
    row = connection.execute(query).first()
    raw = originals.load(connection, message)
    if row is None or not raw:
        return None
    claimed = inbox.Claimed(message, 1, raw, inbox.envelope_of(row), 0, row.released, size=len(raw))
    return Stored(message, row.received_at, row.reference, row.disposition == Disposition.OPENED, claimed)


async def compared(store: Store, ids: list[int], before: Desk, after: Desk) -> AsyncIterator[JsonObject]:
    """``{message, ticket, received_at, changes: {field: [before, after]}}`` of each mail; without ``changes`` where its
    bytes are gone."""
    for message in ids:
        mail = store.read_now(lambda connection, message=message: load(connection, message))  # type: ignore[misc]
        if mail is None:
            yield {"message": message}
            continue
        old, new = await before.decision(mail), await after.decision(mail)
        changes = {name: [old[name], new[name]] for name in FIELDS if old[name] != new[name]}
        yield {
            "message": message, "ticket": mail.reference, "received_at": mail.received_at.isoformat(),
            "changes": changes,
        }  # fmt: skip


@dataclass
class Summary:
    """How many mails were tried, and how many would come out otherwise, by field and by change."""

    tried: int = 0
    changed: int = 0
    without_bytes: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)

    def add(self, found: JsonObject) -> None:
        """Counts a mail: what would be decided otherwise, or that its bytes are gone."""
        if "changes" not in found:
            self.without_bytes += 1
            return
        self.tried += 1
        self.changed += bool(found["changes"])
        for name, (old, new) in found["changes"].items():
            self.fields[name] += 1
            self.steps[f"{name}: {worded(old)} -> {worded(new)}"] += 1

    def as_json(self) -> JsonObject:
        """The last line of ``--json``."""
        return {
            "summary": {"tried": self.tried, "changed": self.changed, "without_bytes": self.without_bytes,
                        "fields": dict(self.fields), "steps": dict(self.steps.most_common())}
        }  # fmt: skip


def worded(value: Any) -> str:
    """A value of a decision as it is told in a line."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return {None: "none", True: "yes", False: "no"}.get(value, str(value))
