"""What persons do to tickets: answer, note, close, reopen. A person's answer is the only thing that stops the clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.model import TicketState
from gateway.tickets import clock, originals, outgoing, references
from gateway.tickets.desk import _STOPPED
from gateway.tickets.outgoing import Office, Reply
from gateway.tickets.tables import attachments, entries, messages, tickets


class NoTicket(Exception):
    """No ticket has this reference."""


def ticket(connection: Connection, reference: str) -> Any:
    """The row of a reference as a person types it.

    Raises:
        NoTicket: there is none.
    """
    normal = references.normal(reference if reference.upper().startswith(("T-", "Т-")) else f"T-{reference}")
    row = connection.execute(select(tickets).where(tickets.c.reference == normal)).first() if normal else None
    if row is None:
        raise NoTicket(reference)
    return row


def _entry(connection: Connection, row: Any, direction: str, author: str, text: str, now: datetime) -> int:
    made = connection.execute(
        entries.insert()
        .values(ticket_id=row.id, direction=direction, author=author, text=text, full_text="", at=now, status="shown")
        .returning(entries.c.id)
    )
    return int(made.scalar_one())


def _last_ids(connection: Connection, row: Any) -> tuple[str | None, list[str]]:
    found = connection.execute(
        select(messages.c.message_id)
        .where(messages.c.ticket_id == row.id, messages.c.message_id.is_not(None))
        .order_by(messages.c.id.desc())
        .limit(10)
    ).scalars()
    ids = list(found)
    return (ids[0] if ids else None), list(reversed(ids[1:]))


def answer(connection: Connection, reference: str, text: str, by: str, office: Office, now: datetime) -> int:
    """Writes a person's answer and its outbox row; stamps the first response and stops the clock. The outbox id.

    Raises:
        NoTicket: no such reference.
        ValueError: the ticket has no author to answer, or the text is empty.
    """
    row = ticket(connection, reference)
    if not row.author:
        raise ValueError("the ticket has no author address")
    if not text.strip():
        raise ValueError("an empty answer is not sent")
    entry = _entry(connection, row, "out", by, text, now)
    verified = row.trust == "verified"
    newest, older = _last_ids(connection, row)
    context = {
        "reference": row.reference,
        "verified": verified,
        "text": text,
        "subject": row.subject if verified else "",
        "account_name": "",
        "in_reply_to": newest,
        "references": older,
    }
    written = outgoing.write(
        connection,
        Reply(
            f"e{entry}", "answer", row.reply_language, row.author, "person", context, row.id, entry, row.reference, True
        ),
        office,
        now,
    )
    values: dict[str, Any] = {"state": TicketState.WAITING, **_STOPPED}
    if row.first_response_at is None:
        values["first_response_at"] = now
    if row.round_started_at is not None and row.limit_at is not None and now > row.limit_at:
        values["breached"] = True
    connection.execute(update(tickets).where(tickets.c.id == row.id).values(values))
    assert written is not None
    return written


def note(connection: Connection, reference: str, text: str, by: str, now: datetime) -> None:
    """An internal remark; the customer never sees it."""
    _entry(connection, ticket(connection, reference), "internal", by, text, now)


def close(connection: Connection, reference: str, by: str, spam: bool, now: datetime) -> str | None:
    """Closes; nothing is sent. With ``spam`` the author's address is returned, to be blocked."""
    row = ticket(connection, reference)
    _entry(connection, row, "internal", by, "closed as spam" if spam else "closed", now)
    connection.execute(
        update(tickets).where(tickets.c.id == row.id).values(state=TicketState.CLOSED, closed_at=now, **_STOPPED)
    )
    author: str | None = row.author
    return author if spam else None


def reopen(connection: Connection, reference: str, by: str, office: Office, now: datetime) -> None:
    """Opens again; a round starts now when nobody has answered yet."""
    row = ticket(connection, reference)
    _entry(connection, row, "internal", by, "reopened", now)
    values: dict[str, Any] = {"state": TicketState.OPEN, "closed_at": None}
    if row.first_response_at is None and row.round_started_at is None:
        from gateway.tickets.desk import _round_values

        values |= _round_values(clock.new_round(now, office.rules), row.round + 1)
    connection.execute(update(tickets).where(tickets.c.id == row.id).values(values))


def raws_with(connection: Connection, reference: str, sha256: str) -> list[bytes | bytearray]:
    """The raw mails of a ticket that hold this attachment."""
    row = ticket(connection, reference)
    found = connection.execute(
        select(entries.c.message_id)
        .join(attachments, attachments.c.entry_id == entries.c.id)
        .where(entries.c.ticket_id == row.id, attachments.c.sha256 == sha256, entries.c.message_id.is_not(None))
    ).scalars()
    return [originals.load(connection, message) for message in set(found)]
