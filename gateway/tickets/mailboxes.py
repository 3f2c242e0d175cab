"""What is known of the mailboxes that are read: how far each folder is settled, and how each account stands.

A mail and its place in the folder are committed together, so a crash between storing and moving makes no second one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, not_, select, update

from gateway.database import inbox, typed
from gateway.database.among import among
from gateway.database.statements import put, put_once
from gateway.database.tables import Mailbox, SourceState, mailbox_uids, mailboxes, sources
from gateway.model import Accepted, RawMessage, Turn
from gateway.tickets import outgoing
from gateway.tickets.outgoing import Office, Reply

TO_MOVE, KEPT, POISON = "stored", "kept", "poison"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a folder is settled: every UID up to ``last_uid``, of this UIDVALIDITY (RFC 9051 section 2.3.1.1)."""

    id: int
    uidvalidity: int
    last_uid: int
    since: datetime | None  #: mail the server took in before is not ours; ``None``: everything is
    old_below: int  #: below this UID, what is older than ``since`` was there before us
    reconciled_at: datetime | None


def opened(
    connection: Connection, account: str, folder: str, uidvalidity: int, next_uid: int, from_now: bool, now: datetime
) -> Cursor:
    """The cursor of a folder that was just selected; a new UIDVALIDITY begins again at the first mail."""
    b = mailboxes.c
    row = typed.first(connection, Mailbox, select(mailboxes).where(b.account == account, b.folder == folder))
    if row is None:
        values: dict[str, Any] = {
            "account": account,
            "folder": folder,
            "uidvalidity": uidvalidity,
            "last_uid": next_uid - 1 if from_now else 0,
            "since": now.replace(microsecond=0) if from_now else None,
            "old_below": next_uid,
            "reconciled_at": now,
        }
        key = int(put(connection, mailboxes, values))
        return Cursor(key, uidvalidity, int(values["last_uid"]), values["since"], next_uid, now)
    if row.uidvalidity == uidvalidity:
        return Cursor(row.id, uidvalidity, row.last_uid, row.since, row.old_below, row.reconciled_at)
    again = {"uidvalidity": uidvalidity, "last_uid": 0, "old_below": next_uid}
    connection.execute(update(mailboxes).where(b.id == row.id).values(again))
    connection.execute(delete(mailbox_uids).where(mailbox_uids.c.mailbox_id == row.id))
    return Cursor(row.id, uidvalidity, 0, row.since, next_uid, row.reconciled_at)


def _of(cursor: Cursor) -> Any:
    return (mailbox_uids.c.mailbox_id == cursor.id) & (mailbox_uids.c.uidvalidity == cursor.uidvalidity)


def known(connection: Connection, cursor: Cursor, above: int) -> dict[int, str]:
    """``{uid: state}`` of the mails above ``above`` that were dealt with, and of all that wait to be moved."""
    u = mailbox_uids.c
    rows = connection.execute(select(u.uid, u.state).where(_of(cursor), (u.uid > above) | (u.state == TO_MOVE))).all()
    return {int(row.uid): row.state for row in rows}


def stored(
    connection: Connection, cursor: Cursor, uid: int, state: str, message: RawMessage, digest: str,
    turn: Turn | None = None
) -> Accepted:  # fmt: skip
    """The mail and its place in the folder, in one transaction. What this mailbox gave us before is not taken again:
    its UIDVALIDITY has changed, or the service died before the mail was moved."""
    accepted = inbox.again(connection, digest, message) or inbox.accept(connection, message, digest, turn=turn)
    _noted(connection, cursor, uid, state, accepted.id)
    return accepted


def _noted(connection: Connection, cursor: Cursor, uid: int, state: str, message: int | None) -> None:
    values = {"mailbox_id": cursor.id, "uidvalidity": cursor.uidvalidity, "uid": uid, "state": state}
    put_once(connection, mailbox_uids, {**values, "message_id": message})


def poisoned(connection: Connection, cursor: Cursor, uid: int, line: str, now: datetime) -> None:
    """A mail that cannot be fetched: it is not asked for again, and staff read of it in the digest."""
    _noted(connection, cursor, uid, POISON, None)
    outgoing.notice(connection, "mailbox", line, now)


def settled(connection: Connection, cursor: Cursor, last_uid: int) -> None:
    """Every mail up to ``last_uid`` is dealt with."""
    b = mailboxes.c
    mine = (b.id == cursor.id) & (b.uidvalidity == cursor.uidvalidity) & (b.last_uid < last_uid)
    connection.execute(update(mailboxes).where(mine).values(last_uid=last_uid))


def moved(connection: Connection, cursor: Cursor, uids: Iterable[int]) -> None:
    """These are out of the folder: nothing needs to be known of them."""
    gone = list(uids)
    for start in range(0, len(gone), 500):
        connection.execute(
            delete(mailbox_uids).where(_of(cursor), among(mailbox_uids.c.uid, gone[start : start + 500]))
        )


def kept(connection: Connection, cursor: Cursor, uids: Iterable[int]) -> None:
    """These stay in the folder, marked as deleted where the server can do no better."""
    for uid in uids:
        connection.execute(update(mailbox_uids).where(_of(cursor), mailbox_uids.c.uid == uid).values(state=KEPT))


def reconciled(connection: Connection, cursor: Cursor, on_server: set[int], now: datetime) -> None:
    """What is not in the folder any more is forgotten; the next look is a day away."""
    rows = connection.execute(select(mailbox_uids.c.uid).where(_of(cursor))).all()
    moved(connection, cursor, [int(row.uid) for row in rows if int(row.uid) not in on_server])
    connection.execute(update(mailboxes).where(mailboxes.c.id == cursor.id).values(reconciled_at=now))


# --------------------------------------------------------------------------- how the accounts stand


def report(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Writes how an account stands. ``values``: columns of ``sources``; a new row needs ``kind`` and ``state``."""
    if connection.execute(update(sources).where(sources.c.name == name).values(dict(values))).rowcount:
        return
    fresh: dict[str, Any] = {
        "name": name, "kind": "imap", "state": "connecting", "error": "", "connected_since": None, "read_at": None,
        "last_mail_at": None, "lag": 0, "next_retry_at": None, "token_expires_at": None, "silence_s": 600.0,
        "told_at": None,
    }  # fmt: skip
    put_once(connection, sources, fresh | dict(values))


def keep_only(connection: Connection, names: Iterable[str]) -> None:
    """Accounts that are not configured any more leave the list; how far their folders were read is kept."""
    connection.execute(delete(sources).where(not_(among(sources.c.name, names))))


def rows(connection: Connection) -> list[SourceState]:
    """How every mailbox stands, by name."""
    return typed.every(connection, SourceState, select(sources).order_by(sources.c.name))


def away_for(row: SourceState, now: datetime, started_at: datetime) -> float:
    """Seconds since an account was last read to the end, counted from the start of the service at the earliest: while
    it was down, no mailbox was silent."""
    return max(0.0, (now - max(row.read_at or started_at, started_at)).total_seconds())


def alerts(connection: Connection, office: Office, now: datetime, started_at: datetime) -> list[str]:
    """Tells staff once when a mailbox has not been read for too long, and once when it is read again; the lines."""
    lines: list[str] = []
    for row in rows(connection):
        away = away_for(row, now, started_at)
        if row.told_at is None and away >= row.silence_s:
            why = f": {row.error}" if row.error else ""
            line = f"the mailbox {row.name} has not been read for {timedelta(seconds=round(away))} ({row.state}{why})"
            told: datetime | None = now
        elif row.told_at is not None and away < row.silence_s and (row.read_at or started_at) > row.told_at:
            line = f"the mailbox {row.name} is read again"
            told = None
        else:
            continue
        event = f"source.{row.name}.{now.isoformat()}"
        for address in dict.fromkeys([*office.staff.technical, *office.staff.escalation]):
            item = outgoing.alert(event[:80], address, "mailbox", line[:500], now)
            outgoing.write(connection, Reply(item, urgent=True), office, now)
        connection.execute(update(sources).where(sources.c.name == row.name).values(told_at=told))
        lines.append(line)
    return lines
