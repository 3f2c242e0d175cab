"""What persons do to mail that is held back and to replies that were not sent: each act is audited, and logged with
who."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from gateway import log
from gateway.database import inbox, outbox
from gateway.database.outbox import Choice
from gateway.model import Person
from gateway.tickets import audit, people, rights
from gateway.tickets.audit import Act
from gateway.tickets.outgoing import Acting


def release(connection: Connection, message: int, acting: Acting) -> bool:
    """``people.release``. ``False``: it is not held back."""
    done = people.release(connection, message, acting)
    if done:
        log.acted(acting.by.name, "release", f"message {message}")
    return done


def discard(connection: Connection, message: int, by: Person, now: datetime) -> bool:
    """Settles a quarantined or failed mail without a ticket. ``False``: it is neither."""
    rights.require(by, "release")
    return inbox.discard(connection, message, now) and _did(connection, "discard", message, by, now)


def replay(connection: Connection, message: int, by: Person, now: datetime) -> bool:
    """Runs a failed mail again. ``False``: it did not fail."""
    return bool(replay_all(connection, [message], None, by, now))


def replay_all(
    connection: Connection, ids: Sequence[int], since: datetime | None, by: Person, now: datetime
) -> list[int]:
    """Runs failed mails again, these or every one since a moment; the ids of those that had failed."""
    rights.require(by, "release")
    done = inbox.replay(connection, now, ids, since)
    for message in done:
        _did(connection, "replay", message, by, now)
    return done


def _did(connection: Connection, what: str, message: int, by: Person, now: datetime) -> bool:
    audit.write(connection, Act(what, "message", str(message)), by, now)
    log.acted(by.name, what, f"message {message}")
    return True


def retry(connection: Connection, choice: Choice, by: Person, now: datetime) -> list[int]:
    """``outbox.retry``, by a person; the ids of the rows."""
    rights.require(by, "release")
    return _did_all(connection, "retry", outbox.retry(connection, choice, now), by, now)


def drop(connection: Connection, choice: Choice, by: Person, now: datetime) -> list[int]:
    """``outbox.drop``, by a person; the ids of the rows."""
    rights.require(by, "release")
    return _did_all(connection, "discard", outbox.drop(connection, choice, now), by, now)


def _did_all(connection: Connection, what: str, rows: list[int], by: Person, now: datetime) -> list[int]:
    for row in rows:
        audit.write(connection, Act(what, "outbox", str(row)), by, now)
    if rows:
        log.acted(by.name, what, f"outbox {', '.join(map(str, rows[:20]))}{' ...' if len(rows) > 20 else ''}")
    return rows
