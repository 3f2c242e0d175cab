"""Incidents: what several tickets are about, confirmed or closed by a person."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette.responses import Response

from gateway.console.door import Visit, back
from gateway.console.queue import said as said_of
from gateway.model import Told
from gateway.tickets import audit, incidents
from gateway.tickets.audit import Act
from gateway.tickets.conversation import Refused

PAGE = 50


async def page(visit: Visit) -> Response:
    """Those that are not over, or all of them, with their tickets."""
    every = visit.asked("tab") == "all"

    def read(connection: Connection) -> tuple[list[dict[str, object]], dict[int, list[object]]]:
        rows = incidents.listed(connection, every, PAGE)
        return rows, incidents.tickets_of(connection, [row["incident"] for row in rows])

    rows, tied = await visit.service.ask(read)
    response = visit.page("incidents.html", rows=rows, tied=tied, every=every, said=said_of(visit))
    response.delete_cookie("said")
    return response


async def act(visit: Visit) -> Response:
    """Confirms one, or says that it is over."""
    what, given = visit.field("do", 20), visit.numbers("incident")
    if what not in ("confirm", "close") or len(given) != 1:
        raise Told("not an action")
    now, number = visit.service.clock(), given[0]
    since = moment(visit, visit.field("since", 30)) if what == "confirm" else None
    if since is not None and since > now:
        raise Refused("an incident cannot have begun in the future")

    def done(connection: Connection) -> None:
        if what == "confirm":
            incidents.confirm(connection, number, visit.who.name, since, now)
        else:
            incidents.close(connection, number, now)
        audit.write(connection, Act(what, "incident", str(number)), visit.person, now)

    await visit.service.change(done)
    board = visit.service.desk().office.board
    board.known = await visit.service.ask(incidents.known)
    return back("/incidents", f"Incident {number} is {'confirmed' if what == 'confirm' else 'closed'}.")


def moment(visit: Visit, given: str) -> datetime | None:
    """A moment of a form, in the zone of the desk; ``None`` where none is given.

    Raises:
        Refused: it is none.
    """
    if not given:
        return None
    zone = ZoneInfo(visit.service.desk().settings.gateway.timezone)
    try:
        return datetime.fromisoformat(given).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused("this is no date") from None
