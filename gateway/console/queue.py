"""The queue: what is due first, filters, search, saved views, and what can be done to many tickets at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from sqlalchemy import Connection, delete, select
from starlette.responses import RedirectResponse, Response

from gateway.console import pages
from gateway.console.door import Visit, back
from gateway.console.imitation import imitates
from gateway.database.console_tables import saved_views
from gateway.database.statements import put_once
from gateway.mail import tokens
from gateway.model import Told
from gateway.tickets import answering, blocks, labels, merging, ownership, people, undoing, word_index, worklist
from gateway.tickets.conversation import Refused, ticket
from gateway.tickets.outgoing import Acting
from gateway.tickets.worklist import Wanted

MAX_VIEWS = 20
FRESH_S = 2.0  #: a list is drawn anew after that, also where nothing has happened
CATCH_UPS = 20  #: batches that a search waits for; what is older is indexed by then


def wanted_of(visit: Visit) -> Wanted:
    """The filters in the address; what is none there is as if it were not said."""
    given = {f.name: visit.asked(f.name, 120).strip() for f in fields(Wanted)}
    given["state"] = given["state"] if given["state"] in worklist.STATES else "open"
    if given["state"] == "mine":
        given["owner"] = visit.who.name
    return Wanted(**given)


@dataclass(frozen=True, slots=True)
class _List:
    """Which list is asked for, as of what."""

    wanted: Wanted
    page: int
    stamp: str


class Queue:
    """The pages of the queue. What many browsers ask for at the same moment, because something happened, is read and
    drawn once for all of them."""

    def __init__(self) -> None:
        self._drawn: dict[_List, tuple[float, asyncio.Task[tuple[dict[str, Any], Markup]]]] = {}

    async def page(self, visit: Visit) -> Response:
        """The whole page. What looks like a reference is that ticket."""
        words = visit.asked("words", 120).strip()
        normal = tokens.normal(words if words.upper().startswith(("T-", "Т-")) else f"T-{words}") if words else None
        if normal:
            return RedirectResponse(f"/tickets/{normal}", 303)
        me = visit.who
        now = visit.service.clock()
        more = await visit.service.ask(lambda connection: _more(connection, me.id, now))
        values = {**await self._values(visit), **more}
        values |= {"languages": visit.service.desk().settings.gateway.languages, "said": said(visit)}
        values |= await undoing_of(visit) if values["said"] else {"undo": {}, "undo_until": None}
        response = visit.page("queue.html", **values)
        if values["said"]:
            response.delete_cookie("said")
        return response

    async def fragment(self, visit: Visit) -> Response:
        """The list alone, for what is new."""
        return visit.page("queue_rows.html", **await self._values(visit))

    async def _values(self, visit: Visit) -> dict[str, Any]:
        wanted, me = wanted_of(visit), visit.who
        page = min(int(number), 1000) if (number := visit.asked("page", 4)).isdigit() and number.isascii() else 0
        if wanted.words:
            await _indexed(visit)

        stamp, drafts = await visit.service.ask(lambda c: (worklist.stamp(c), answering.begun(c, me.id)))
        query = wanted.as_query()
        filtered = set(query) - ({"state", "owner"} if wanted.owner == me.name else {"state"})
        known = {"wanted": wanted, "page": page, "query": urlencode(query), "filtered": bool(filtered)}
        counts, listed = await self._listed(visit, _List(wanted, page, stamp), known)
        mine = min(counts["owners"].get(me.name, 0), 1000)
        return {**known, "counts": {**counts, "mine": mine}, "listed": listed, "drafts": drafts}

    async def _listed(self, visit: Visit, which: _List, known: Mapping[str, Any]) -> tuple[dict[str, Any], Markup]:
        at = asyncio.get_running_loop().time()
        self._drawn = {key: drawn for key, drawn in self._drawn.items() if at - drawn[0] < FRESH_S}
        if which not in self._drawn:
            self._drawn[which] = (at, asyncio.create_task(_drawn(visit, which, known)))
        return await asyncio.shield(self._drawn[which][1])


async def _drawn(visit: Visit, which: _List, known: Mapping[str, Any]) -> tuple[dict[str, Any], Markup]:
    """(the counts of the tabs, the list), read and drawn beside the mail, not in its way."""
    now, zone = visit.service.clock(), visit.service.desk().settings.gateway.timezone

    def read(connection: Connection) -> tuple[dict[str, Any], list[dict[str, Any]], bool]:
        return worklist.counts(connection, now), *worklist.rows(connection, which.wanted, now, which.page)

    counts, rows, more = await visit.service.ask(read)
    office = visit.service.desk().office
    authors = Counter(row["author"] for row in rows if row["author"] and row["round_started_at"])
    for row in rows:
        row["theirs"] = authors[row["author"]] if row["round_started_at"] else 0
        row["imitates"] = imitates(row["author_name"] or "", row["author"], office)
    values = {"rows": rows, "more": more, "now": now, "zone": zone, **known}
    drawn = await visit.service.compute(lambda: pages.text("queue_list.html", **values))
    return counts, Markup(drawn)  # noqa: S704 - a template's


def _more(connection: Connection, user_id: int, now: datetime) -> dict[str, Any]:
    """What the page shows beside the list: trouble, choices of its filters, saved views."""
    choices = worklist.choices(connection, now)
    return {"trouble": worklist.trouble(connection), "choices": choices, "views": _views(connection, user_id)}


def said(visit: Visit) -> str:
    """What the last change had to say."""
    return pages.unquoted(visit.request.cookies.get("said", ""))[:300]


async def undoing_of(visit: Visit) -> dict[str, Any]:
    """What was closed, snoozed or merged a moment ago and can be taken back, and until when."""
    now, by = visit.service.clock(), visit.person
    undo, until = await visit.service.ask(lambda connection: undoing.lately(connection, by, now))
    return {"undo": undo, "undo_until": until}


async def undo(visit: Visit) -> Response:
    """Makes the named tickets as they were before they were closed, snoozed or merged."""
    chosen = [value for value in visit.form.getlist("ticket") if isinstance(value, str)][:200]
    by, now = visit.person, visit.service.clock()
    for reference in chosen:
        await visit.service.change(partial(undoing.undo, reference=reference, by=by, now=now))
    visit.service.desk().office.board.blocked = await visit.service.ask(blocks.senders)
    what = chosen[0] if len(chosen) == 1 else f"{len(chosen)} tickets"
    return back(f"/tickets/{chosen[0]}" if len(chosen) == 1 else "/", f"Taken back: {what} as before.")


async def _indexed(visit: Visit) -> None:
    """What was said a moment ago is found too."""
    for _ in range(CATCH_UPS):
        if not await visit.service.ask(word_index.behind):
            return
        await visit.service.change(word_index.catch_up)


async def bulk(visit: Visit) -> Response:
    """Does one thing to every chosen ticket; each is a transaction of its own, and what does not work is said."""
    chosen = [value for value in visit.form.getlist("ticket") if isinstance(value, str)][:200]
    then, what, now = visit.field("then", 500), visit.field("do"), visit.service.clock()
    done, wrong = 0, ""
    if what == "merge" and chosen:
        return await _merged(visit, chosen, f"/?{then}" if then else "/")
    for reference in chosen:
        try:
            await visit.service.change(partial(_one, reference=reference, what=what, of=(visit, now)))
            done += 1
        except Told as error:
            wrong = str(error)
    told = f"{done} of {len(chosen)} tickets changed." + (f" {wrong}" if wrong else "")
    return back(f"/?{then}" if then else "/", told if chosen else "Choose tickets first (x).")


async def _merged(visit: Visit, chosen: list[str], then: str) -> Response:
    """Merges the chosen tickets of one customer into the oldest of them; all or none."""
    by, now = visit.person, visit.service.clock()

    def merged(connection: Connection) -> str:
        oldest, *others = sorted(
            (ticket(connection, one) for one in dict.fromkeys(chosen)), key=lambda row: int(row.id)
        )
        if not others:
            raise Refused("choose two tickets or more to merge")
        if any(merging.apart(row, oldest) for row in others):
            raise Refused("these are of different customers: merge them from the ticket, where you are asked")
        for row in others:
            merging.merge(connection, row.reference, oldest.reference, by, now)
        return f"{len(others)} merged into {oldest.reference}."

    try:
        told = await visit.service.change(merged)
    except Told as error:
        told = f"Nothing was merged: {error}"
    return back(then, told)


def _one(connection: Connection, reference: str, what: str, of: tuple[Visit, datetime]) -> None:
    visit, now = of
    by = visit.person
    if what == "take":
        ownership.assign(connection, reference, by.name, by, now)
    elif what in ("close", "spam"):
        people.close(connection, reference, Acting(by, visit.service.desk().office, now), spam=what == "spam")
    elif what == "snooze":
        ownership.snooze(connection, reference, now + timedelta(hours=1), by, now)
    elif what == "tag":
        labels.tag(connection, reference, [visit.field("tag", 50)], [], by, now)
    else:
        raise Told("not an action")


# --------------------------------------------------------------------------- saved views


def _views(connection: Connection, user_id: int) -> list[Any]:
    v = saved_views.c
    return list(connection.execute(select(v.name, v.query).where(v.user_id == user_id).order_by(v.name)).all())


async def save_view(visit: Visit) -> Response:
    """Keeps the filters of now under a name, or forgets them."""
    name, query = visit.field("name", 40).strip(), visit.field("query", 500)
    v = saved_views.c

    def saved(connection: Connection) -> None:
        connection.execute(delete(saved_views).where(v.user_id == visit.who.id, v.name == name))
        if visit.field("do") != "forget" and len(_views(connection, visit.who.id)) < MAX_VIEWS:
            put_once(connection, saved_views, {"user_id": visit.who.id, "name": name, "query": query})

    if name:
        await visit.service.change(saved)
    return back(f"/?{query}" if query else "/")
