"""What persons say to customers: answer, close, reopen, wait. A person's answer is the only thing that stops the
clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from gateway.database import inbox, originals
from gateway.database.among import among
from gateway.database.statements import change
from gateway.database.tables import Ticket, arrivals, attachments, entries, messages, tickets
from gateway.model import InboxState, OutboxItem, Person, TicketState, Trust
from gateway.tickets import addressees, answer_files, audit, clock, openings, outgoing, rights, thanks, undoing
from gateway.tickets.audit import Act
from gateway.tickets.conversation import (
    Change,
    Merged,
    MovedOn,
    NoTicket,
    Refused,
    at_work,
    changed,
    must_not_have_moved,
    only_thanked,
    say,
    ticket,
)
from gateway.tickets.outgoing import Acting, Office, Reply

__all__ = [
    "Merged",
    "MovedOn",
    "NoTicket",
    "Refused",
    "answer",
    "close",
    "raws_with",
    "release",
    "reopen",
    "ticket",
    "wait",
]


def last_ids(connection: Connection, row: Ticket) -> tuple[str | None, list[str]]:
    """(the Message-ID of the newest mail of a ticket, those before it), for In-Reply-To and References."""
    found = connection.execute(
        select(messages.c.message_id)
        .outerjoin(entries, entries.c.id == messages.c.entry_id)
        .where(
            messages.c.ticket_id == row.id,
            messages.c.message_id.is_not(None),
            func.coalesce(entries.c.direction, "") == "in",  # of staff's own mails a customer knows nothing
        )
        .order_by(messages.c.id.desc())
        .limit(10)
    ).scalars()
    ids = list(found)
    return (ids[0] if ids else None), list(reversed(ids[1:]))


def _write_to(connection: Connection, row: Ticket, template: str, entry: int, text: str) -> Reply:
    """The mail of a person's act to the author of a ticket."""
    assert row.author is not None  # who has no address is neither answered nor told
    newest, older = last_ids(connection, row)
    verified = row.trust == Trust.VERIFIED
    context = {
        "reference": row.reference,
        "verified": verified,
        "text": text,
        "subject": row.subject if verified else "",
        "account_name": "",
        "in_reply_to": newest,
        "references": older,
    }
    item = OutboxItem(f"e{entry}", template, row.reply_language, row.author, "person", context, row.id)
    return Reply(item, entry, row.reference, urgent=True)


def answer(
    connection: Connection, reference: str, text: str, acting: Acting, seen: int | None = None, to: tuple[str, ...] = ()
) -> int:
    """Writes a person's answer and its outbox row; stamps the first response and stops the clock. The outbox id.

    ``seen``: the ``version`` of the conversation that the person has read. ``to``: those of ``addressees`` who get it,
    each a mail of his own with a way back of his own; by default the author of the ticket.

    Raises:
        NoTicket: no such reference.
        Merged: the ticket is part of another.
        NotAllowed: the person may only read.
        MovedOn: something was said since ``seen``.
        Refused: the ticket has no author to answer, or the text is empty, or somebody else is to get it.
    """
    row = at_work(connection, reference, acting.by, "answer")
    if not row.author:
        raise Refused("the ticket has no author address")
    if not text.strip():
        raise Refused("an empty answer is not sent")
    must_not_have_moved(connection, row, seen)
    entry = say(connection, row, acting.by, text, acting.at, out=True)
    written = _write_to_each(connection, row, (entry, text), to or (row.author,), acting.office, acting.at)
    values: dict[str, Any] = {"state": TicketState.WAITING, **clock.STOPPED}
    if row.first_response_at is None:
        values["first_response_at"] = acting.at
    if row.round_started_at is not None and row.limit_at is not None and acting.at > row.limit_at:
        values["breached"] = True
    change(connection, tickets, row.id, values)
    audit.write(connection, Act("answer", "ticket", row.reference, {"outbox": written}), acting.by, acting.at)
    return written


def _write_to_each(
    connection: Connection, row: Ticket, said: tuple[int, str], to: tuple[str, ...], office: Office, now: datetime
) -> int:
    """The answer (entry, words) to each of them; the outbox id of the first."""
    known = {*addressees.of(connection, row).every, row.author}
    unknown = [address for address in to if address not in known]
    if unknown:
        raise Refused(f"{unknown[0]} has not proved to belong to this ticket: nothing was sent")
    mail = _write_to(connection, row, "answer", *said)
    event = mail.item.event
    events = (event, *(f"{event}.{number}" for number in range(1, len(to))))
    items = [replace(mail.item, event=event, recipient=address) for event, address in zip(events, to, strict=True)]
    written = [outgoing.write(connection, replace(mail, item=item), office, now) for item in items]
    assert written[0] is not None
    return written[0]


def wait(connection: Connection, reference: str, by: Person, now: datetime) -> None:
    """The customer is to say something first: ``waiting``, without another answer.

    Raises:
        Refused: nobody has answered yet; the promise is an answer.
    """
    row = at_work(connection, reference, by)
    if row.first_response_at is None:
        raise Refused(f"nobody has answered {row.reference} yet: answer first")
    values = {"state": TicketState.WAITING, "closed_at": None, **clock.STOPPED}
    changed(connection, row, Change("wait", "waiting for the customer", values), by, now)


def close(
    connection: Connection, reference: str, acting: Acting, *, spam: bool = False, notify: bool = False
) -> str | None:
    """Closes. ``notify``: the customer gets ``closed``, if he had anything from us before and did not end it himself
    with thanks. With ``spam`` nothing is sent and the author's address is returned, to be blocked."""
    row = at_work(connection, reference, acting.by)
    words = "closed as spam" if spam else "closed"
    values = {"state": TicketState.CLOSED, "closed_at": acting.at, "snoozed_until": None, **clock.STOPPED}
    told = notify and not spam and _knows_us(row) and not only_thanked(connection, row, thanks.said)
    detail = {"spam": spam, "notified": told, "was": undoing.was_closed(row)}
    closed = Change("close", words + (", the customer is told" if told else ""), values, detail)
    changed(connection, row, closed, acting.by, acting.at)
    if told:
        _tell_closed(connection, row, acting.office, acting.at)
    author: str | None = row.author
    return author if spam else None


def _knows_us(row: Ticket) -> bool:
    """Whether the customer has heard of this ticket: who was kept from every mail is not written to by its end."""
    return bool(row.author) and row.trust != Trust.FAILED and bool(row.acknowledged_at or row.first_response_at)


def _tell_closed(connection: Connection, row: Ticket, office: Office, now: datetime) -> None:
    newest = select(entries.c.id).where(entries.c.ticket_id == row.id).order_by(entries.c.id.desc()).limit(1)
    entry = int(connection.execute(newest).scalar_one())
    outgoing.write(connection, _write_to(connection, row, "closed", entry, ""), office, now)


def reopen(connection: Connection, reference: str, acting: Acting) -> None:
    """Opens again; the clock starts now unless it runs."""
    row = at_work(connection, reference, acting.by)
    changed(connection, row, Change("reopen", "reopened"), acting.by, acting.at)
    openings.again(connection, row, acting.office.rules, acting.at)


def release(connection: Connection, message: int, acting: Acting) -> bool:
    """``inbox.release``; a contribution that is shown now is one that somebody waits for an answer to. ``False``: the
    message is neither in quarantine, nor only recorded, nor pending."""
    rights.require(acting.by, "release")
    if not inbox.release(connection, message, acting.at):
        return False
    m = messages.c
    shown = and_(m.id == message, m.state == InboxState.DONE, m.ticket_id.is_not(None))
    ticket_id = connection.execute(select(m.ticket_id).where(shown)).scalar()
    row = openings.standing_for(connection, ticket_id)
    act = Act("release", "message", str(message), {"ticket": row.reference if row else None})
    audit.write(connection, act, acting.by, acting.at)
    if row is not None:
        made = Change("release", "released a held-back message", {"version": row.version + 1})
        changed(connection, row, made, acting.by, acting.at)
        openings.again(connection, row, acting.office.rules, acting.at)
    return True


def raws_with(connection: Connection, reference: str, sha256: str) -> list[bytes | bytearray]:
    """The raw mails of a ticket, and of those merged into it, that hold this attachment; a file that went out with an
    answer is itself."""
    row = ticket(connection, reference)
    found = connection.execute(
        select(entries.c.message_id)
        .join(attachments, attachments.c.entry_id == entries.c.id)
        .join(tickets, tickets.c.id == entries.c.ticket_id)
        .where(
            or_(tickets.c.id == row.id, tickets.c.merged_into == row.id),
            attachments.c.sha256 == sha256,
            entries.c.message_id.is_not(None),
        )
    ).scalars()
    ids = set(found)
    copies = connection.execute(select(arrivals.c.id).where(among(arrivals.c.message_id, ids))).scalars()
    sent = answer_files.places(connection, row, sha256)
    raws = [originals.load(connection, key) for key in (*ids, *(-arrival for arrival in copies), *sent)]
    return [raw for raw in raws if raw]
