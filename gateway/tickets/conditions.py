"""What is amiss as a whole and needs a person (a relay that refuses our login), kept so that every command can tell
it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select

from gateway.database.statements import put_once
from gateway.database.tables import conditions
from gateway.tickets import outgoing
from gateway.tickets.outgoing import Office, Reply

RELAY = "relay"


def begin(connection: Connection, name: str, problem: str, office: Office, now: datetime) -> bool:
    """Notes it and writes one alert to staff; false when it was noted before (by another node, or before a restart)."""
    if put_once(connection, conditions, {"name": name, "problem": problem, "since": now}) is None:
        return False
    event = f"condition.{name}.{now.isoformat()}"
    for address in dict.fromkeys([*office.staff.technical, *office.staff.escalation]):
        item = outgoing.alert(event, address, name, problem[:500], now)
        outgoing.write(connection, Reply(item, urgent=True), office, now)
    return True


def end(connection: Connection, name: str) -> bool:
    """It is over; false when it was not noted."""
    return bool(connection.execute(delete(conditions).where(conditions.c.name == name)).rowcount)


def names_of(connection: Connection, node: str) -> set[str]:
    """What the services of a node noted, by the name of the check."""
    names = connection.execute(select(conditions.c.name).where(conditions.c.name.endswith(f"@{node}"))).scalars()
    return {name.partition("@")[0] for name in names}
