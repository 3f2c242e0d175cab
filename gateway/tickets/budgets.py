"""How many automatic replies were written already: counted in the outbox, in the transaction that may write the next
one, so that restarts and further nodes change nothing.

Each degree of proof has counts of its own, with the configured budgets: what forged and unknown mail spends is never
missed by a verified customer, and what he spends tells strangers nothing.

- ``budget_total`` and ``budget_domain`` (the registrable domain; a mailbox at a public mail provider stands alone). In
  total verified authors have ten times as much: when a data centre is dark, all of them write.
- ``budget_address`` is for addresses without proof: one acknowledgement for each host and envelope sender that uses the
  address, and for three of them in all, so that one forged mail does not spend what its victim needs.
- An address with proof is a loop when it had a fifth of ``budget_domain``, a verified one all of it; when
  ``budget_thread`` acknowledgements of six hours went to mails that read alike it is one, too (more where the mails
  name the customer's own orders or servers, or report an outage).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
)

from gateway.database.statements import fetch, put_once
from gateway.database.tables import OutboxRow, outbox, suppressions
from gateway.mail.address import canonical, neighbourhood
from gateway.model import Budgets, Decision, Incoming, MailClass, Trust
from gateway.tickets import likeness
from gateway.tickets.policy import class_of
from gateway.tickets.settings import Replies

VERIFIED_TOTAL = 10  #: times ``budget_total``
LISTED = "listed"  #: what a list of open tickets is counted by, which staff asked for
ROUTES = 3  #: hosts and senders that may each use an address without proof
SHARE = 5  #: a stranger with proof has this part of his domain's budget
ALIKE_S = 6 * 3600.0
AGAIN_S = 900.0  #: who sends the same again so soon was not patient, and has nothing new to say
MAX_ROWS = 64  #: acknowledgements of one address that are looked at one by one
NEWEST = 4  #: of them, where they are not counted: who sends the same again has written little in between
SUPPRESSED = timedelta(days=7)  #: after a mail came back for good
AT_ONCE = 64  #: mails of one transaction
_LOCK = 0x61636B73  # "acks"

Budget = tuple[int, float]  #: how many in how many seconds


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a row of the outbox is counted by. ``proof``: whose mail it answers, ``verified``, ``proven``
    (authenticated, not registered) or ``none``; empty where it is no acknowledgement. ``origin``: the host and envelope
    sender of that mail."""

    proof: str = ""
    origin: str = ""
    likeness: str = ""


UNCOUNTED = Stamp()


def proof_of(incoming: Incoming, trust: Trust) -> str:
    """By what the replies to a mail are counted: ``verified``, ``proven`` or ``none``."""
    if trust is Trust.VERIFIED:
        return "verified"
    return "proven" if incoming.verdict.authenticated else "none"


def origin_of(incoming: Incoming) -> str:
    """A digest of the host (IPv6: its /64) and envelope sender that a mail came from."""
    host = incoming.envelope.client or ""
    try:
        address = ipaddress.ip_address(host)
        host = str(ipaddress.ip_network((host, 64), strict=False)) if address.version == 6 else host
    except ValueError:
        pass
    sender = canonical(incoming.envelope.mail_from) if incoming.envelope.mail_from else ""
    return hashlib.sha256(f"{host}\n{sender}".encode()).hexdigest()[:16]


def stamp(incoming: Incoming, trust: Trust) -> Stamp:
    """By what the acknowledgement of this mail is counted."""
    return Stamp(proof_of(incoming, trust), origin_of(incoming), likeness.of(incoming))


_O = outbox.c
_IS_AUTOMATIC = _O.kind == "auto"
_SAME_PROOF = _O.proof == bindparam("proof")
_IN_DOMAIN = _O.domain == bindparam("neighbourhood")
_TO_MAILBOX = _O.canonical == bindparam("canonical")


def _first(name: str, *where: ColumnElement[bool]) -> ScalarSelect[int]:
    """A subquery: the oldest row of the outbox since ``<name>_since`` that meets these conditions."""
    recent = _O.created_at > bindparam(f"{name}_since")
    return select(_O.id).where(*where, recent).order_by(_O.created_at).limit(literal_column("1")).scalar_subquery()


def _counted(name: str, *where: ColumnElement[bool]) -> Select[Any]:
    """How many rows since ``<name>_since``, counted up to ``<name>_most`` only."""
    recent = _O.created_at > bindparam(f"{name}_since")
    rows = select(_O.created_at).where(*where, recent).limit(bindparam(f"{name}_most")).subquery()
    return select(func.count().label("found")).select_from(rows)


_CAME_BACK = (
    select(suppressions.c.why)
    .where(suppressions.c.canonical == bindparam("canonical"), suppressions.c.until > bindparam("came_back_since"))
    .scalar_subquery()
)
_NEWEST = select(func.max(_O.id)).scalar_subquery().label("newest")
FIRSTS = select(
    _NEWEST,
    _first("total", _IS_AUTOMATIC, _SAME_PROOF).label("of_all"),
    _first("domain", _IS_AUTOMATIC, _SAME_PROOF, _IN_DOMAIN).label("of_domain"),
    _first("address", _IS_AUTOMATIC, _TO_MAILBOX, _SAME_PROOF).label("of_address"),
    _CAME_BACK.label("came_back"),
)
OF_ALL = _counted("total", _IS_AUTOMATIC, _SAME_PROOF)
OF_DOMAIN = _counted("domain", _IS_AUTOMATIC, _SAME_PROOF, _IN_DOMAIN)
OF_ADDRESS = _counted("cap", _IS_AUTOMATIC, _TO_MAILBOX, _SAME_PROOF)
OF_THREAD = _counted("thread", _IS_AUTOMATIC, _O.ticket_id == bindparam("thread_id"))
LATEST = (
    select(_O.created_at, _O.origin, _O.likeness, _O.ticket_id)
    .where(_IS_AUTOMATIC, _TO_MAILBOX, _SAME_PROOF, _O.created_at > bindparam("address_since"))
    .order_by(_O.created_at.desc())
    .limit(bindparam("rows"))
)
_IS_STAFF = _O.kind == "staff"
STAFF_FIRST = select(_NEWEST, _first("cap", _IS_STAFF, _TO_MAILBOX, _SAME_PROOF).label("first"))
OF_STAFF = _counted("cap", _IS_STAFF, _TO_MAILBOX, _SAME_PROOF)


@dataclass(frozen=True, slots=True)
class _Counting:
    """One mail's look at the counts."""

    connection: Connection
    values: dict[str, Any]
    newest: int

    def used(self, first: int | None, most: int, query: Select[Any]) -> int:
        """How much of a budget is used; 0 where it cannot be half of it. Rows have rising ids: no more were written
        than ids since the first, but for what several nodes wrote at once."""
        if first is None:
            return 0
        slack = 0 if self.connection.dialect.name == "sqlite" else AT_ONCE
        if 2 * (self.newest - first + 1 + slack) < most:
            return 0
        return int(fetch(self.connection, query, self.values)[0].found)


def read(
    connection: Connection, incoming: Incoming, trust: Trust, thread: int | None, limits: Replies, now: datetime
) -> Budgets:
    """What this author, his domain and all of his degree of proof have had; ``thread``: the ticket he goes on with."""
    author = incoming.reading.author.address
    if author is None or class_of(incoming)[0] is not MailClass.HUMAN:
        return Budgets()  # never answered
    proof = proof_of(incoming, trust)
    total = limits.budget_total[0] * (VERIFIED_TOTAL if proof == "verified" else 1)
    cap, alike = address_cap(proof, limits), alike_cap(incoming, proof, limits)
    unproven = proof == "none"
    span = limits.budget_address[1] if unproven else max(ALIKE_S, limits.budget_domain[1])

    def ago(seconds: float) -> datetime:
        return now - timedelta(seconds=seconds)

    values: dict[str, Any] = {
        "proof": proof, "canonical": canonical(author), "neighbourhood": neighbourhood(author),
        "thread_id": thread or 0,
        "total_since": ago(limits.budget_total[1]), "total_most": total, "rows": MAX_ROWS, "address_since": ago(span),
        "domain_since": ago(limits.budget_domain[1]), "domain_most": limits.budget_domain[0],
        "thread_since": ago(limits.budget_thread[1]), "thread_most": limits.budget_thread[0],
        "cap_since": ago(limits.budget_domain[1]), "cap_most": cap, "came_back_since": now,
    }  # fmt: skip
    first = fetch(connection, FIRSTS, values)[0]
    counting = _Counting(connection, values, first.newest or 0)
    found = Budgets(near=unproven, came_back=first.came_back or "")
    if first.of_address is None:
        pass
    elif unproven:
        latest = fetch(connection, LATEST, values)
        last = _last_without_proof(latest, incoming, limits.budget_address[0])
        found = replace(found, last_to_author=last, same=_same(latest, incoming, now))
    elif (used := counting.used(first.of_address, cap, OF_ADDRESS)) >= cap:
        found = replace(found, loop=f"{cap} acknowledgements within {_span(limits.budget_domain[1])} to one address")
    else:
        counted = alike <= MAX_ROWS
        latest = fetch(connection, LATEST, values if counted else {**values, "rows": NEWEST})
        near = 2 * used >= cap or (counted and 2 * len(latest) >= alike)
        loop = _loop(latest, incoming, alike, ago(ALIKE_S)) if counted else ""
        found = replace(found, near=near, loop=loop, same=_same(latest, incoming, now))
    domain = limits.budget_domain[0]
    shared = (("budget_total", first.of_all, total, OF_ALL), ("budget_domain", first.of_domain, domain, OF_DOMAIN))
    for name, since, most, query in shared:
        used = counting.used(since, most, query)
        if used >= most:
            return replace(found, spent=name)
        found = replace(found, near=found.near or 2 * used >= most)
    if thread is not None and fetch(connection, OF_THREAD, values)[0].found >= limits.budget_thread[0]:
        return replace(found, spent="budget_thread")
    return found


def address_cap(proof: str, limits: Replies) -> int:
    """How many acknowledgements one address with proof may have within the time of ``budget_domain``."""
    most = limits.budget_domain[0]
    return most if proof == "verified" else max(1, most // SHARE)


def alike_cap(incoming: Incoming, proof: str, limits: Replies) -> int:
    """How many acknowledgements of mails that read alike one address with proof may have: fewest where nothing in the
    mail is the author's own, and no fewer than of all where an outage is reported again and again."""
    if proof != "verified":
        return limits.budget_thread[0]
    cap = address_cap(proof, limits)
    if incoming.reading.topics.critical:
        return cap
    return max(limits.budget_thread[0], 2 * cap // SHARE if likeness.named(incoming) else cap // SHARE)


def _last_without_proof(latest: Sequence[OutboxRow], incoming: Incoming, most: int) -> datetime | None:
    """When the address had its last acknowledgement, where it has had all it may have."""
    origin = origin_of(incoming)
    used = sum(row.origin == origin for row in latest)
    newest: datetime = latest[0].created_at
    return newest if used >= most or len(latest) >= ROUTES * most else None


def _loop(latest: Sequence[OutboxRow], incoming: Incoming, most: int, since: datetime) -> str:
    """Why the author seems to be a program that answers us, or ``""``."""
    if len(latest) < most:
        return ""
    mine = likeness.of(incoming)
    times = sum(row.created_at > since and likeness.alike(mine, row.likeness) for row in latest)
    return f"{times} acknowledgements within {_span(ALIKE_S)} to mails that read like this one" if times >= most else ""


def _same(latest: Sequence[OutboxRow], incoming: Incoming, now: datetime) -> int | None:
    """The ticket of the last mail that read exactly like this one, if it came a moment ago."""
    mine, since = likeness.of(incoming), now - timedelta(seconds=AGAIN_S)
    same = (row.ticket_id for row in latest if row.created_at >= since and row.likeness == mine)
    return next((ticket for ticket in same if ticket is not None), None)


def _span(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"


def alone(connection: Connection) -> bool:
    """Lets no other node count and write until this transaction ends; whether the counts must be read again for it.
    SQLite has one writer anyway."""
    if connection.dialect.name != "postgresql":
        return False
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    return True


def _room(
    connection: Connection,
    address: str,
    proof: str,
    budget: Budget,
    queries: tuple[Select[Any], Select[Any]],
    now: datetime,
) -> bool:
    since = now - timedelta(seconds=budget[1])
    values = {"canonical": canonical(address), "proof": proof, "cap_since": since, "cap_most": budget[0]}
    row = fetch(connection, queries[0], values)[0]
    return _Counting(connection, values, row.newest or 0).used(row.first, budget[0], queries[1]) < budget[0]


_ADDRESS_FIRST = select(_NEWEST, _first("cap", _IS_AUTOMATIC, _TO_MAILBOX, _SAME_PROOF).label("first"))


def comes_back(connection: Connection, address: str, now: datetime) -> bool:
    """Whether mail to this address came back for good not long ago."""
    found = select(suppressions.c.until).where(suppressions.c.canonical == canonical(address))
    until = connection.execute(found).scalar()
    return until is not None and until > now


def suppress(connection: Connection, address: str, why: str, now: datetime) -> None:
    """Nothing automatic goes to this address for ``SUPPRESSED``."""
    values = {"canonical": canonical(address)[:330], "until": now + SUPPRESSED, "why": why[:200]}
    connection.execute(delete(suppressions).where(suppressions.c.canonical == values["canonical"]))
    put_once(connection, suppressions, values)


def may_hear(connection: Connection, address: str, proof: str, limits: Replies, now: datetime) -> bool:
    """Whether this address takes mail and has not had its cap: of copies (``verified``), or of mails that the clock
    sends (empty)."""
    if comes_back(connection, address, now):
        return False
    budget = limits.budget_domain[0], limits.budget_domain[1]
    return _room(connection, address, proof, budget, (_ADDRESS_FIRST, OF_ADDRESS), now)


def may_tell(connection: Connection, address: str, proof: str, limits: Replies, now: datetime) -> bool:
    """Whether a staff address may have another mail; what verified customers cause is counted apart."""
    return has_room(connection, address, proof, limits.budget_total, now)


def has_room(connection: Connection, address: str, proof: str, budget: Budget, now: datetime) -> bool:
    """Whether a staff address had less than this of the mails that are counted under ``proof``."""
    return _room(connection, address, proof, budget, (STAFF_FIRST, OF_STAFF), now)


def with_copies_in_reach(
    connection: Connection, decision: Decision, limits: Replies, now: datetime
) -> Decision:  # fmt: skip
    """The decision without the copies to addresses that had their cap."""
    if decision.reply is None or len(decision.reply.to) < 2:
        return decision
    author, *copies = decision.reply.to
    kept = [address for address in copies if may_hear(connection, address, "verified", limits, now)]
    if kept == copies:
        return decision
    left_out = [f"no copy to {address}: it had its cap" for address in copies if address not in kept]
    reply = replace(decision.reply, to=(author, *kept))
    return replace(decision, reply=reply, reasons=(*decision.reasons, *left_out))
