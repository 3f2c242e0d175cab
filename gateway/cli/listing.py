"""``list`` of mails and of replies: read page by page, newest first, times in the zone of the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.cli import context, moments
from gateway.cli.output import PAGE, show_pages

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.model import JsonObject
    from gateway.tickets.search import Search


@dataclass(frozen=True)
class Listing:
    """How a list is read and shown. ``rows``: a page of what is looked for; ``columns``: those of the table."""

    rows: Callable[[Connection, Search], list[JsonObject]]
    columns: tuple[str, ...]
    as_json: bool


def listed(of: Listing, wanted: Search, since: str | None) -> None:
    """Prints what is wanted; ``since`` as a person types it (2h, 3d, 2026-11-22T14:00)."""
    from gateway.database.store import utc_now
    from gateway.tickets import search

    with context.store() as (settings, store):
        zone = moments.zone_of(settings)
        start = moments.past(since, utc_now(), zone=zone) if since else None
        read = lambda page: store.read_now(lambda connection: of.rows(connection, page))  # noqa: E731
        pages = search.pages(read, replace(wanted, since=start), PAGE)
        show_pages(pages if of.as_json else moments.shown(pages, zone), of.columns, of.as_json)
