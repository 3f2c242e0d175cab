"""What persons do to tickets: answer, note, close, reopen. A person's answer is the only thing that stops the clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, select, update

from gateway.database import inbox, originals
from gateway.database.tables import attachments, entries, messages, tickets
from gateway.mail import tokens
from gateway.model import InboxState, TicketState, Told
from gateway.tickets import clock, openings, outgoing
from gateway.tickets.outgoing import Office, Reply


class NoTicket(Told):
    """No ticket has this reference."""


def ticket(connection: Connection, reference: str, lock: bool = False) -> Any:
    """The row of a reference as a person types it. ``lock``: it stays as it is read until the transaction ends.

    Raises:
        NoTicket: there is none.
    """
    normal = tokens.normal(reference if reference.upper().startswith(("T-", "Т-")) else f"T-{reference}")
    chosen = select(tickets).where(tickets.c.reference == normal)
    row = connection.execute(chosen.with_for_update() if lock else chosen).first() if normal else None
    if row is None:
        raise NoTicket(f"no ticket {reference}")
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
    row = ticket(connection, reference, lock=True)
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
    values: dict[str, Any] = {"state": TicketState.WAITING, **clock.STOPPED}
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
    row = ticket(connection, reference, lock=True)
    _entry(connection, row, "internal", by, "closed as spam" if spam else "closed", now)
    connection.execute(
        update(tickets).where(tickets.c.id == row.id).values(state=TicketState.CLOSED, closed_at=now, **clock.STOPPED)
    )
    author: str | None = row.author
    return author if spam else None


def reopen(connection: Connection, reference: str, by: str, office: Office, now: datetime) -> None:
    """Opens again; the clock starts now unless it runs."""
    row = ticket(connection, reference, lock=True)
    _entry(connection, row, "internal", by, "reopened", now)
    openings.again(connection, row, office.rules, now)


def release(connection: Connection, message: int, office: Office, now: datetime) -> bool:
    """``inbox.release``; a contribution that is shown now is one that somebody waits for an answer to."""
    if not inbox.release(connection, message, now):
        return False
    m = messages.c
    shown = and_(m.id == message, m.state == InboxState.DONE, m.ticket_id.is_not(None))
    ticket_id = connection.execute(select(m.ticket_id).where(shown)).scalar()
    row = connection.execute(select(tickets).where(tickets.c.id == ticket_id).with_for_update()).first()
    if row is not None:
        openings.again(connection, row, office.rules, now)
    return True


def raws_with(connection: Connection, reference: str, sha256: str) -> list[bytes | bytearray]:
    """The raw mails of a ticket that hold this attachment."""
    row = ticket(connection, reference)
    found = connection.execute(
        select(entries.c.message_id)
        .join(attachments, attachments.c.entry_id == entries.c.id)
        .where(entries.c.ticket_id == row.id, attachments.c.sha256 == sha256, entries.c.message_id.is_not(None))
    ).scalars()
    return [originals.load(connection, message) for message in set(found)]
