"""A probe mail: from us to us, by the relay, so that it comes the way of every mail. Its Message-ID is one that only we
can make, so the gateway knows it for its own mail and answers nothing."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime

from sqlalchemy import Connection, delete, select

from gateway.database import originals
from gateway.database.among import among
from gateway.database.tables import arrivals, messages, traces
from gateway.model import InboxState, Outgoing
from gateway.tickets.outgoing import Office


def mail(office: Office, message_id: str, now: datetime) -> Outgoing:
    """The mail to send. Its envelope sender is the address itself: what comes back is mail of ours too."""
    head = {
        "From": f"<{office.address}>", "To": f"<{office.address}>", "Subject": "Probe of the mail gateway",
        "Date": format_datetime(now), "Message-ID": f"<{message_id}>", "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All", "MIME-Version": "1.0", "Content-Type": "text/plain; charset=us-ascii",
    }  # fmt: skip
    text = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    body = "The gateway sends this to itself to see that mail arrives. Nobody needs to read it.\r\n"
    return Outgoing(f"{text}\r\n{body}".encode(), office.address, office.address)


def arrived(connection: Connection, message_id: str) -> datetime | None:
    """When the probe came back and was worked on; ``None`` while it did not."""
    m = messages.c
    row = connection.execute(select(m.received_at, m.state).where(m.message_id == message_id)).first()
    done = row is not None and row.state not in (InboxState.PENDING, InboxState.PROCESSING)
    return row.received_at if done and row is not None else None


def forget(connection: Connection, message_ids: list[str]) -> None:
    """Probes that were seen leave no rows: there is one every few minutes, for years."""
    m = messages.c
    found = list(
        connection.execute(select(m.id).where(among(m.message_id, message_ids), m.state == InboxState.DONE)).scalars()
    )
    for row in found:
        again = connection.execute(select(arrivals.c.id).where(arrivals.c.message_id == row)).scalars()
        for arrival in list(again):
            originals.drop(connection, -arrival)
        connection.execute(delete(arrivals).where(arrivals.c.message_id == row))
        connection.execute(delete(traces).where(traces.c.message_id == row))
        originals.drop(connection, row)
        connection.execute(delete(messages).where(m.id == row))
