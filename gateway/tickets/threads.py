"""Which ticket a mail points at: by token, Message-ID, References or a reference in its subject. A candidate only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gateway.model import Thread, TicketState
from gateway.tickets import references
from gateway.tickets.tables import thread_ids, tickets


@dataclass(frozen=True, slots=True)
class Pointers:
    """What a mail says about its thread."""

    addresses: tuple[str, ...]
    message_id: str | None
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    subject: str


def _thread(
    connection: Connection, ticket_id: int, by: str, author: str | None, accounts: Iterable[str], bound: bool
) -> Thread | None:
    row = connection.execute(select(tickets).where(tickets.c.id == ticket_id)).first()
    if row is None:
        return None
    party = author is not None and (
        (row.author or "").lower() == author.lower() or (row.account is not None and row.account in set(accounts))
    )
    return Thread(
        ticket_id=row.id,
        reference=row.reference,
        by=by,
        state=TicketState(row.state),
        party=party,
        token_bound=bound,
        closed_at=row.closed_at,
        answered=row.first_response_at is not None,
        clock_running=row.round_started_at is not None,
    )


def find(
    connection: Connection, pointers: Pointers, author: str | None, accounts: Iterable[str], keys: Mapping[str, bytes]
) -> Thread | None:
    """The best candidate: a token of this author, then any token, our Message-IDs, References, the subject."""
    accounts = tuple(accounts)
    found = references.tokens(pointers.addresses)
    found.sort(key=lambda token: author is None or not references.is_bound(token, author, keys))
    for token in found:
        ticket = connection.execute(select(tickets.c.id).where(tickets.c.reference == token.reference)).scalar()
        if ticket is not None:
            bound = author is not None and references.is_bound(token, author, keys)
            return _thread(connection, ticket, "token", author, accounts, bound)
    for by, ids in (("message_id", pointers.in_reply_to), ("references", pointers.references)):
        wanted = [rfc_id for rfc_id in ids if rfc_id != pointers.message_id]
        if not wanted:
            continue
        # the ticket that knows most of these ids; the newest among equals
        rows = connection.execute(
            select(thread_ids.c.ticket_id)
            .where(thread_ids.c.rfc_id.in_(wanted))
            .group_by(thread_ids.c.ticket_id)
            .order_by(func.count().desc(), thread_ids.c.ticket_id.desc())
            .limit(1)
        ).scalar()
        if rows is not None:
            return _thread(connection, rows, by, author, accounts, False)
    reference = references.find(pointers.subject)
    if reference is not None:
        ticket = connection.execute(select(tickets.c.id).where(tickets.c.reference == reference)).scalar()
        if ticket is not None:
            return _thread(connection, ticket, "subject", author, accounts, False)
    return None
