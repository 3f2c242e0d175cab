"""Tags and remarks: what persons write on a ticket for each other; the customer never sees it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, select

from gateway.database import typed
from gateway.database.among import among
from gateway.database.statements import put_once
from gateway.database.tables import TicketTag, ticket_tags, tickets
from gateway.model import Person
from gateway.tickets import audit
from gateway.tickets.audit import Act
from gateway.tickets.conversation import Change, Refused, at_work, changed, say

MAX_TAGS = 30
_TAG = re.compile(r"[^\W_][\w.:/-]{0,49}", re.UNICODE)


def note(connection: Connection, reference: str, text: str, by: Person, now: datetime) -> int:
    """An internal remark; the entry's id.

    Raises:
        Refused: it is empty.
    """
    row = at_work(connection, reference, by)
    if not text.strip():
        raise Refused("an empty note is not kept")
    entry = say(connection, row, by, text, now)
    audit.write(connection, Act("note", "ticket", row.reference, {"entry": entry}), by, now)
    return entry


def normal(tag: str) -> str:
    """A tag as it is kept: lower-case; letters, digits and ``_ . : / -``, at most 50 of them.

    Raises:
        Refused: it is none.
    """
    if not _TAG.fullmatch(tag.strip()):
        raise Refused(f"not a tag: {tag!r} (letters, digits and _ . : / -, at most 50)")
    return tag.strip().lower()


def tag(
    connection: Connection, reference: str, add: Iterable[str], remove: Iterable[str], by: Person, now: datetime
) -> list[str]:  # fmt: skip
    """Adds and removes tags; all of the ticket's, sorted."""
    row = at_work(connection, reference, by)
    before = set(tags(connection, row.id))
    after = (before | {normal(one) for one in add}) - {normal(one) for one in remove}
    if len(after) > MAX_TAGS:
        raise Refused(f"{row.reference} would have more than {MAX_TAGS} tags")
    new, gone = sorted(after - before), sorted(before - after)
    if new or gone:
        for one in new:
            put_once(connection, ticket_tags, {"ticket_id": row.id, "tag": one})
        t = ticket_tags.c
        connection.execute(delete(ticket_tags).where(t.ticket_id == row.id, among(t.tag, gone)))
        words = " ".join([*(f"+{one}" for one in new), *(f"-{one}" for one in gone)])
        made = Change("tag", f"tags: {words}", detail={"added": new, "removed": gone})
        changed(connection, row, made, by, now)
    return sorted(after)


def tags(connection: Connection, ticket_id: int) -> list[str]:
    """The tags of a ticket, sorted."""
    chosen = select(ticket_tags.c.tag).where(ticket_tags.c.ticket_id == ticket_id)
    return sorted(connection.execute(chosen).scalars())


def of_all(connection: Connection, ids: list[int]) -> dict[int, list[str]]:
    """The tags of each of these tickets, sorted."""
    found: dict[int, list[str]] = {key: [] for key in ids}
    for row in typed.every(
        connection,
        TicketTag,
        select(ticket_tags).where(among(ticket_tags.c.ticket_id, ids)).order_by(ticket_tags.c.tag),
    ):
        found[row.ticket_id].append(row.tag)
    return found


def every(connection: Connection, limit: int = 500) -> list[str]:
    """Every tag that an unmerged ticket has, sorted, to choose from."""
    chosen = select(ticket_tags.c.tag).join(tickets, tickets.c.id == ticket_tags.c.ticket_id)
    chosen = chosen.where(tickets.c.merged_into.is_(None)).distinct().order_by(ticket_tags.c.tag).limit(limit)
    return list(connection.execute(chosen).scalars())
