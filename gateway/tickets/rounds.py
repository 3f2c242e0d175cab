"""The clock at work: reads what is due from the database, never from memory, and writes outbox rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from gateway import log
from gateway.database import faults
from gateway.database.faults import Fault
from gateway.database.tables import outbox, tickets
from gateway.model import TicketState, Trust
from gateway.tickets import budgets, clock, outgoing
from gateway.tickets.outgoing import Office, Reply
from gateway.tickets.people import last_ids
from gateway.tickets.policy import BUDGET_SPENT

#: the customer is left in peace for this part of ``status_reply`` after anything was sent to him (10 of 25 min)
QUIET = 0.4


def tick(connection: Connection, office: Office, now: datetime, count: int = 200) -> list[tuple[str, str, float]]:
    """Does what is due; (reference, what, seconds late) of each thing, high priority first."""
    t = tickets.c
    rows = connection.execute(
        select(tickets)
        .where(t.clock_next_at <= now, t.round_started_at.is_not(None), t.state != TicketState.CLOSED)
        .order_by(t.priority, t.critical.desc(), t.clock_next_at)
        .limit(count)
        .with_for_update(skip_locked=True)
    ).all()
    done: list[tuple[str, str, float]] = []
    for row in rows:
        try:
            with connection.begin_nested():
                done += _round(connection, row, office, now)
        except Exception as error:  # one ticket that cannot be done must not stop the clock of the others
            if faults.of(error) not in (None, Fault.MAIL):
                raise
            log.loop_fault(f"clock of {row.reference}", error)
    return done


def _round(connection: Connection, row: Any, office: Office, now: datetime) -> list[tuple[str, str, float]]:
    running = clock.Round(row.round_started_at, row.target_at, row.status_at, row.limit_at)
    found = clock.due(running, frozenset(row.clock_done), now)
    after = frozenset(row.clock_done) | {item.what for item in found}
    values: dict[str, Any] = {"clock_done": sorted(after), "clock_next_at": clock.next_at(running, after)}
    names = [item.what for item in found]
    late = {item.what: item.late_s for item in found}
    # found late as a whole (a restart, a late mailbox): one mail, not three
    at_once = len(names) == 3
    staff = clock.staff_mail(found)
    if staff is not None:
        event = f"t{row.id}.r{row.round}.{staff}"
        more = {"late_s": round(max(late.values())), "at_once": at_once}
        outgoing.tell(connection, row, f"staff_{staff}", event, more, office, now, escalate=staff == "breach")
    if clock.STATUS in names and not at_once and _may_hear(connection, row, office, now):
        _status(connection, row, office, now)
    if clock.LIMIT in names:
        values |= {"breached": True, "breach_delay_s": late[clock.LIMIT]}
    connection.execute(update(tickets).where(tickets.c.id == row.id).values(values))
    return [(row.reference, item.what, item.late_s) for item in found]


def _may_hear(connection: Connection, row: Any, office: Office, now: datetime) -> bool:
    """Whether the customer gets ``status``: not muted, and not written to a moment ago. A verified customer whose
    acknowledgement a spent budget has taken hears it all the same, up to the cap of his address."""
    if not row.author or row.trust == Trust.FAILED:
        return False
    denied = row.trust == Trust.VERIFIED and row.silence.startswith(BUDGET_SPENT)
    if row.silence and not denied:
        return False
    last = connection.execute(
        select(func.max(outbox.c.created_at)).where(
            outbox.c.ticket_id == row.id, outbox.c.recipient == row.author, outbox.c.kind != "staff"
        )
    ).scalar()
    if last is None:
        return denied and budgets.may_hear(connection, row.author, "", office, now)
    quiet = timedelta(seconds=QUIET * office.rules.status_reply_s)
    return bool(now - last >= quiet)


def _status(connection: Connection, row: Any, office: Office, now: datetime) -> None:
    newest, older = last_ids(connection, row)
    verified = row.trust == Trust.VERIFIED
    context = {
        "reference": row.reference,
        "verified": verified,
        "critical": row.critical,
        "department": row.department,
        "priority": row.priority,
        "subject": row.subject if verified else "",
        "account_name": "",
        "in_reply_to": newest,
        "references": older,
    }
    event = f"t{row.id}.r{row.round}.status"
    reply = Reply(
        event, "status", row.reply_language, row.author, "auto", context, row.id, None, row.reference, row.critical
    )
    outgoing.write(connection, reply, office, now)


def next_due(connection: Connection) -> datetime | None:
    """When the clock next has something to do."""
    t = tickets.c
    found: datetime | None = connection.execute(
        select(func.min(t.clock_next_at)).where(t.round_started_at.is_not(None), t.state != TicketState.CLOSED)
    ).scalar()
    return found
