"""The clock at work: reads what is due from the database, never from memory, and writes outbox rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from gateway import log
from gateway.database import faults, typed
from gateway.database.faults import Fault
from gateway.database.tables import Ticket, entries, outbox, tickets
from gateway.model import ABUSE, OutboxItem, TicketState, Trust
from gateway.tickets import budgets, clock, conversation, incidents, outgoing, restored
from gateway.tickets.conversation import only_thanked
from gateway.tickets.outgoing import Notification, Office, Reply
from gateway.tickets.people import last_ids
from gateway.tickets.policy import BUDGET_SPENT

#: the customer is left in peace for this part of ``status_reply`` after anything was sent to him (10 of 25 min)
QUIET = 0.4


Done = list[tuple[str, str, float]]  #: (reference, what, seconds late)


def tick(
    connection: Connection, office: Office, now: datetime, count: int = 200, working_s: float = math.inf
) -> Done:  # fmt: skip
    """Does what is due, high priority first; after ``working_s`` the rest is left to the next one, for mail waits
    meanwhile. What cannot be done counts for nothing there: it must not keep the others from their turn."""
    t = tickets.c
    over = select(tickets).where(t.snoozed_until <= now).order_by(t.snoozed_until)
    late = (
        select(tickets)
        .where(t.clock_next_at <= now, t.round_started_at.is_not(None), t.state != TicketState.CLOSED)
        .order_by(t.priority, t.critical.desc(), t.clock_next_at)
    )
    done: Done = restored.overdue(connection, office, now)
    worked_s = 0.0
    for chosen, work in ((over, _awake), (late, _round)):
        for row in typed.every(connection, Ticket, chosen.limit(count).with_for_update(skip_locked=True)):
            if worked_s > working_s:
                return done
            began = time.perf_counter()
            found = _guarded(connection, row, work, office, now)
            worked_s += time.perf_counter() - began if found else 0.0
            done += found
    return done


def _guarded(
    connection: Connection, row: Ticket, work: Callable[[Connection, Ticket, Office, datetime], Done], office: Office,
    now: datetime
) -> Done:  # fmt: skip
    """One ticket that cannot be done must not stop the clock of the others."""
    try:
        with connection.begin_nested():
            return work(connection, row, office, now)
    except Exception as error:  # this ticket's own fault; one of the database is raised again
        if faults.of(error) not in (None, Fault.MAIL):
            raise
        log.loop_fault(f"clock of {row.reference}", error)
        return []


def _round(connection: Connection, row: Ticket, office: Office, now: datetime) -> Done:
    running, owned = clock.of(row), bool(row.owner)
    assert running is not None  # ``tick`` chose it so
    found = clock.due(running, frozenset(row.clock_done), now, owned)
    after = frozenset(row.clock_done) | {item.what for item in found}
    values: dict[str, Any] = {"clock_done": sorted(after), "clock_next_at": clock.next_at(running, after, owned)}
    names = [item.what for item in found]
    late = {item.what: item.late_s for item in found}
    # found late as a whole (a restart, a late mailbox): one mail, not three
    at_once = clock.TARGET in names and clock.LIMIT in names
    more = {"late_s": round(max(late.values(), default=0)), "at_once": at_once, "event": ""}
    _remind(connection, row, clock.staff_mail(found), more, office, now)
    if clock.STATUS in names and not at_once and _may_hear(connection, row, office, now):
        _status(connection, row, office, now)
    if clock.LIMIT in names:
        values |= {"breached": True, "breach_delay_s": late[clock.LIMIT]}
    connection.execute(update(tickets).where(tickets.c.id == row.id).values(values))
    return [(row.reference, item.what, item.late_s) for item in found]


def _remind(
    connection: Connection, row: Ticket, what: str | None, more: dict[str, Any], office: Office, now: datetime
) -> None:  # fmt: skip
    """The staff mail of a round. A snooze keeps reminders away, never a breach."""
    if what is None or (what != "breach" and row.snoozed_until is not None and row.snoozed_until > now):
        return
    event = f"t{row.id}.r{row.round}.{what}"
    if what != "owner":
        told = Notification(row, f"staff_{what}", event, more)
        outgoing.tell(connection, told, office, now, escalate=what == "breach")
        return
    address = office.address_of(row.owner)
    if address is not None:
        outgoing.tell_these(connection, [address], Notification(row, "staff_owner", event, more), office, now)


def _awake(connection: Connection, row: Ticket, office: Office, now: datetime) -> Done:
    """Ends a snooze that is over: the owner is reminded, or the department where there is none."""
    until = row.snoozed_until
    assert until is not None  # ``tick`` chose it so
    conversation.noted(connection, row, "the snooze is over", now)
    connection.execute(update(tickets).where(tickets.c.id == row.id).values(snoozed_until=None))
    event = f"t{row.id}.s{until.timestamp():.0f}.awake"
    to = outgoing.concerned(row, office) or office.staff.team(row.department)
    told = Notification(row, "staff_owner", event, {"event": "awake"})
    outgoing.tell_these(connection, to, told, office, now)
    return [(row.reference, "awake", (now - until).total_seconds())]


def _may_hear(connection: Connection, row: Ticket, office: Office, now: datetime) -> bool:
    """Whether the customer gets ``status``: not muted, and not written to a moment ago. A verified customer whose
    acknowledgement a spent budget has taken hears it all the same, up to the cap of his address."""
    if not row.author or row.trust == Trust.FAILED:
        return False
    denied = row.trust == Trust.VERIFIED and row.silence.startswith(BUDGET_SPENT)
    if row.silence and not denied:
        return False
    if budgets.comes_back(connection, row.author, now) or only_thanked(connection, row):
        return False
    last = connection.execute(
        select(func.max(outbox.c.created_at)).where(
            outbox.c.ticket_id == row.id, outbox.c.recipient == row.author, outbox.c.kind != "staff"
        )
    ).scalar()
    if last is None:
        return denied and budgets.may_hear(connection, row.author, "", office.rules.replies, now)
    quiet = timedelta(seconds=QUIET * office.rules.clock.status_reply)
    return bool(now - last >= quiet)


def _status(connection: Connection, row: Ticket, office: Office, now: datetime) -> None:
    assert row.author is not None  # ``_may_hear``
    newest, older = last_ids(connection, row)
    verified = row.trust == Trust.VERIFIED
    context = {
        "reference": row.reference,
        "verified": verified,
        "critical": row.critical,
        "abuse": ABUSE in row.marks,
        "department": row.department,
        "priority": row.priority,
        "subject": row.subject if verified else "",
        "account_name": "",
        "in_reply_to": newest,
        "references": older,
        "missing": [] if _has_written_again(connection, row) else list(row.missing),
    }
    known = incidents.since_of(connection, row.id) if verified else None
    context |= {"incident_since": known.isoformat()} if known is not None else {}
    event = f"t{row.id}.r{row.round}.status"
    item = OutboxItem(event, "status", row.reply_language, row.author, "auto", context, row.id)
    reply = Reply(item, reference=row.reference, urgent=row.critical, since=row.round_started_at)
    outgoing.write(connection, reply, office, now)


def _has_written_again(connection: Connection, row: Any) -> bool:
    """Whether the customer added something: nobody asks for what he may have sent already."""
    e = entries.c
    query = select(func.count()).where(e.ticket_id == row.id, e.direction == "in", e.status == "shown")
    return int(connection.execute(query).scalar_one()) > 1


def next_due(connection: Connection) -> datetime | None:
    """When the clock next has something to do."""
    t = tickets.c
    running = select(func.min(t.clock_next_at)).where(t.round_started_at.is_not(None), t.state != TicketState.CLOSED)
    snoozed = select(func.min(t.snoozed_until)).where(t.snoozed_until.is_not(None))
    found = (connection.execute(query).scalar() for query in (running, snoozed))
    return min((moment for moment in found if moment is not None), default=None)
