"""One ticket: what was said, what is known, and everything an agent does to it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette.responses import JSONResponse, RedirectResponse, Response

from gateway.console import blocked, pages, promised, ready, uploads
from gateway.console.door import Visit, back
from gateway.console.imitation import imitates
from gateway.console.incident import moment
from gateway.console.mail_html import framed
from gateway.console.queue import said as said_of
from gateway.console.queue import undoing_of
from gateway.database import users
from gateway.model import (
    RECOVERED,
    SENSITIVE,
    Department,
    MailClass,
    OutboxItem,
    Ownership,
    Priority,
    Question,
    TicketState,
    Told,
    Trust,
)
from gateway.read.bodies import DIFFER
from gateway.replies import render
from gateway.tickets import (
    addressees,
    answer_files,
    answering,
    blocks,
    casefile,
    corrections,
    labels,
    merging,
    ownership,
    people,
    remarks,
    rights,
    splitting,
    undoing,
)
from gateway.tickets import presence as presences
from gateway.tickets.conversation import MovedOn, Refused, ticket
from gateway.tickets.corrections import Right
from gateway.tickets.outgoing import Acting

LONGEST = answering.MAX_WORDS
MANY_FACTS = 20  #: whose owners are looked up
_CALM = (RECOVERED, DIFFER)  #: marks that warn of nothing
_RUNNING = ("unprocessed", "processing", "active")
_SNOOZE = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "1d": timedelta(days=1), "3d": timedelta(days=3)}


def reference_of(visit: Visit) -> str:
    """The reference in the address of a page, at most 20 characters; there may be no such ticket."""
    return str(visit.request.path_params["reference"])[:20]


def _user(visit: Visit) -> tuple[int, Any]:
    return visit.who.id, visit.person


async def _values(visit: Visit) -> dict[str, Any]:
    now, by, me = visit.service.clock(), visit.person, visit.who

    def read(connection: Connection) -> dict[str, Any]:
        row = ticket(connection, reference_of(visit))
        draft = answering.kept(connection, me.id, row.id)
        files = answer_files.of_draft(connection, me.id, row.id)
        known = [user["name"] for user in users.listed(connection) if user["state"] == "active"]
        to = addressees.of(connection, row)
        case = casefile.read(connection, row, by, now)
        return {"case": case, "draft": draft, "people": known, "files": files, "addressees": to, "chosen": to.usual}

    found = await visit.service.ask(read)
    row, desk = found["case"].row, visit.service.desk()
    found["imitates"] = imitates(row.author_name or "", row.author, desk.office)
    found["languages"] = desk.settings.gateway.languages
    found["to_block"] = await blocked.proposed(visit, row.trust, row.author, None) if row.account is None else ""
    found |= {"calm": _CALM, "machine": _by_a_machine(found["case"].said)}
    found |= await visit.service.compute(lambda: _looked_up(visit, row, found["case"].facts))
    return {**found, **_undoing(found["draft"], now), **files_of(visit, found["files"])}


def _by_a_machine(said: list[casefile.Said]) -> bool:
    """Whether a machine wrote last."""
    heard = [one.verdict.mail_class for one in said if one.row.direction == "in" and one.verdict is not None]
    return bool(heard) and heard[-1] not in (None, MailClass.HUMAN)


def _looked_up(visit: Visit, row: Any, facts: dict[str, list[Any]]) -> dict[str, Any]:
    """What the directory says of the facts. ``whose``: of those that belong to another customer the (number, name) of
    the accounts, by value; ``stopped``: the state of the account's orders that do not run, by number."""
    foreign = [fact.value for values in facts.values() for fact in values if fact.ownership == Ownership.FOREIGN]
    orders = visit.service.orders(row.account) if row.account else []
    return {
        "whose": {value: visit.service.whose(value)[:3] for value in foreign[:MANY_FACTS]},
        "stopped": {number: state for number, _, state in orders if state not in _RUNNING},
    }


def files_of(visit: Visit, files: list[Any]) -> dict[str, Any]:
    """The files of the draft as ``answer_files.html`` shows them."""
    limit = visit.service.desk().settings.replies.max_files
    return {"files": files, "files_size": answer_files.total(files), "files_limit": limit}


def _undoing(draft: Any, now: Any) -> dict[str, Any]:
    """Until when the answer that was sent last can be taken back, and the words of one that is being written."""
    if draft is None:
        return {"undo_until": None, "words": ""}
    if draft.outbox_id is None:
        return {"undo_until": None, "words": draft.text}
    ends = draft.at + timedelta(seconds=undoing.UNDO_S)
    return {"undo_until": ends if ends > now else None, "words": ""}


async def page(visit: Visit) -> Response:
    """The whole page; a merged ticket is shown where it went."""
    return await _page(visit)


async def _page(visit: Visit, status: int = 200, **more: Any) -> Response:
    values = await _values(visit)
    row = values["case"].row
    if row.merged_into is not None:
        into = await visit.service.ask(lambda connection: _reference_of_id(connection, row.merged_into))
        return RedirectResponse(f"/tickets/{into}", 303)
    account = await visit.service.compute(lambda: visit.service.account(row.account) if row.account else None)
    texts = await visit.service.compute(lambda: _ready(visit, row, values["case"].facts))
    values |= {"account": account, "ready": texts, "said": said_of(visit), "moved": None, "sensitive": SENSITIVE}
    values |= {"gaps": [], "fileless": "", "other": None, "undo": {}}
    if values["said"] and values["undo_until"] is None:
        values |= await undoing_of(visit)
    response = visit.page("ticket.html", status, **{**values, **more})
    if values["said"]:
        response.delete_cookie("said")
    return response


def _ready(visit: Visit, row: Any, facts: dict[str, list[Any]]) -> list[ready.Ready]:
    """The ready texts, filled with what the ticket and the directory know."""
    orders = visit.service.orders(row.account) if row.account and row.trust == Trust.VERIFIED else []
    known = ready.Known(row, facts, visit.who.name, orders)
    return ready.offered(visit.service.desk().templates, known)


def _reference_of_id(connection: Connection, key: int) -> str:
    from sqlalchemy import select

    from gateway.database.tables import tickets

    return str(connection.execute(select(tickets.c.reference).where(tickets.c.id == key)).scalar_one())


async def talk(visit: Visit) -> Response:
    """The conversation alone, for what is new."""
    return visit.page("ticket_talk.html", **await _values(visit))


async def beside(visit: Visit) -> Response:
    """What stands beside a conversation: facts, account, other tickets."""
    values = await _values(visit)
    row = values["case"].row
    account = await visit.service.compute(lambda: visit.service.account(row.account) if row.account else None)
    return visit.page("ticket_beside.html", **values, account=account, sensitive=SENSITIVE)


async def presence(visit: Visit) -> Response:
    """The browser says that the ticket is open, whether an answer is being written, or that it was closed; who else is
    there."""
    now, by = visit.service.clock(), visit.person
    state = visit.field("state")

    def noted(connection: Connection) -> list[dict[str, Any]]:
        row = ticket(connection, reference_of(visit))
        if state == "gone":
            presences.gone(connection, row.id, by)
        else:
            presences.here(connection, row.id, by, state == "writing", now)
        answering.settled(connection, visit.who.id, row.id, now)
        return presences.others(connection, row.id, by, now)

    return JSONResponse(await visit.service.change(noted))


# --------------------------------------------------------------------------- answering


async def draft(visit: Visit) -> Response:
    """Keeps an answer that is being written, each user his own."""
    now, words = visit.service.clock(), visit.field("text", LONGEST)

    def kept(connection: Connection) -> None:
        row = ticket(connection, reference_of(visit))
        known = answering.kept(connection, visit.who.id, row.id)
        sent = known.text if known is not None and known.outbox_id is not None else None
        if sent is None or (words.strip() and not sent.startswith(words)):  # else a late echo of what was sent
            answering.keep(connection, visit.who.id, row.id, words, now)

    await visit.service.change(kept)
    return Response(status_code=204)


async def preview(visit: Visit) -> Response:
    """The kept draft as the customer will see it, in the page that his mail program shows."""
    desk = visit.service.desk()

    def read(connection: Connection) -> tuple[Any, Any, list[Any], addressees.Addressees]:
        row = ticket(connection, reference_of(visit))
        mine, to = (visit.who.id, row.id), addressees.of(connection, row)
        return row, answering.kept(connection, *mine), answer_files.of_draft(connection, *mine), to

    row, kept, files, to = await visit.service.ask(read)
    context = {
        "reference": row.reference, "verified": row.trust == "verified", "text": kept.text if kept else "",
        "subject": row.subject if row.trust == "verified" else "", "account_name": "", "in_reply_to": None,
        "references": [],
    }  # fmt: skip
    values = render.variables(desk.sender, context)
    text = desk.templates.text("answer", row.reply_language, values)
    shown = desk.templates.page("answer", row.reply_language, values, text)
    item = OutboxItem("", "answer", row.reply_language, to.to or "", "person", context)
    subject = render.subject_of(item, desk.sender, desk.templates.words(row.reply_language))
    head = pages.text("preview_head.html", to=to.usual, subject=subject)
    opened, body, rest = shown.partition("<body")
    start, end, rest = rest.partition(">")
    tail = pages.text("attached.html", files=files) + "</body>"
    return framed(opened + body + start + end + head + rest.replace("</body>", tail))


async def answer(visit: Visit) -> Response:
    """Sends, in ten seconds; asks first where the conversation has moved on."""
    words, seen = visit.field("text", LONGEST), visit.field("seen", 10)
    known = int(seen) if seen.isascii() and seen.isdigit() and not visit.field("anyway") else None
    and_close = visit.field("do") == "close"
    desk, now, to = visit.service.desk(), visit.service.clock(), _chosen(visit)
    try:
        if visit.field("asked") and not to:
            raise Refused("Choose who gets the answer.")
        await uploads.taken(visit, reference_of(visit))
        doubts = await _doubts(visit, words)
        if doubts:
            await draft(visit)
            return await _page(visit, 409, **doubts, words=words, chosen=to)
        await visit.service.change(
            lambda connection: answering.send(
                connection, reference_of(visit), words, _user(visit), desk.office, now, known, and_close, to
            )
        )
    except MovedOn as moved:
        if await _is_sent(visit, words):  # a second click
            return back(f"/tickets/{reference_of(visit)}#sent")
        await draft(visit)
        return await _page(visit, 409, moved=moved.since, words=words)
    except Refused as refused:
        return await _page(visit, 400, said=str(refused), words=words, chosen=to)
    visit.service.wake()
    return back(f"/tickets/{reference_of(visit)}#sent")


async def _doubts(visit: Visit, words: str) -> dict[str, Any]:
    """What is asked about once before the words go out: gaps of a ready text, and a file that they speak of."""
    gaps = ready.gaps(visit.service.desk().templates, words)
    has_files: bool = await visit.service.ask(lambda connection: _has_files(connection, visit))
    said = "" if has_files else promised.file_in(words)
    agreed = (not gaps or visit.field("gaps", 500) == " ".join(gaps)) and (not said or bool(visit.field("fileless")))
    return {} if agreed or await _is_sent(visit, words) else {"gaps": gaps, "fileless": said}


def _has_files(connection: Connection, visit: Visit) -> bool:
    return bool(answer_files.of_draft(connection, visit.who.id, ticket(connection, reference_of(visit)).id))


def _chosen(visit: Visit) -> tuple[str, ...]:
    """Who gets the answer, as ticked."""
    given = [value for value in visit.form.getlist("to") if isinstance(value, str)]
    return tuple(dict.fromkeys(given))[: addressees.MOST + 1]


async def _is_sent(visit: Visit, words: str) -> bool:
    """Whether these very words were sent a moment ago."""

    def read(connection: Connection) -> bool:
        kept = answering.kept(connection, visit.who.id, ticket(connection, reference_of(visit)).id)
        return kept is not None and kept.outbox_id is not None and kept.text == words

    return await visit.service.ask(read)


async def undo(visit: Visit) -> Response:
    """Takes the answer back that was sent a moment ago."""
    now = visit.service.clock()
    await visit.service.change(lambda connection: answering.undo(connection, reference_of(visit), _user(visit), now))
    return back(f"/tickets/{reference_of(visit)}#answer", "The answer was taken back. Its words are here again.")


# --------------------------------------------------------------------------- acts


def _act(connection: Connection, visit: Visit, what: str) -> None:
    reference, by, now, desk = reference_of(visit), visit.person, visit.service.clock(), visit.service.desk()
    if what == "note":
        entry = labels.note(connection, reference, visit.field("text", LONGEST), by, now)
        remarks.tell(connection, entry, Acting(by, desk.office, now))
    elif what == "close":
        people.close(connection, reference, Acting(by, desk.office, now), notify=bool(visit.field("notify")))
    elif what == "spam":
        people.close(connection, reference, Acting(by, desk.office, now), spam=True)
    elif what == "reopen":
        people.reopen(connection, reference, Acting(by, desk.office, now))
    elif what == "wait":
        people.wait(connection, reference, by, now)
    else:
        _ordered(connection, visit, what)


def _ordered(connection: Connection, visit: Visit, what: str) -> None:
    reference, by, now = reference_of(visit), visit.person, visit.service.clock()
    if what == "assign":
        ownership.assign(connection, reference, visit.field("to", 100), by, now)
    elif what == "tag":
        add = visit.field("tag", 200).split()
        labels.tag(connection, reference, add, [visit.field("untag", 50)] if visit.field("untag") else [], by, now)
    elif what == "snooze":
        ownership.snooze(connection, reference, _until(visit, now), by, now)
    elif what == "wake":
        ownership.wake(connection, reference, by, now)
    elif what == "part":
        merging.unmerge(connection, visit.field("part", 20), Acting(by, visit.service.desk().office, now))
    elif what == "link":
        merging.link(connection, reference, visit.field("to", 20), by, now)
    else:
        raise Refused("not an action")


def _until(visit: Visit, now: datetime) -> datetime:
    """Until when, in the zone of the desk."""
    zone, own = ZoneInfo(visit.service.desk().settings.gateway.timezone), moment(visit, visit.field("until", 30))
    if own is not None:
        return own
    if visit.field("for") == "9":
        return datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(9), zone).astimezone(UTC)
    return now + _SNOOZE.get(visit.field("for"), _SNOOZE["1h"])


async def act(visit: Visit) -> Response:
    """A note, an owner, a tag, a snooze, closing, blocking, opening again."""
    what = visit.field("do", 20)
    if what == "block":
        return await _block(visit)
    if what == "split":
        return await _split(visit)
    await visit.service.change(lambda connection: _act(connection, visit, what))
    told = _DONE.get(what, "").format(reference_of(visit))
    return back("/" if what in ("close", "spam", "snooze") else f"/tickets/{reference_of(visit)}", told)


async def _split(visit: Visit) -> Response:
    """Makes a ticket of its own of one mail, and shows it."""
    entry, desk, now = visit.field("entry", 18), visit.service.desk(), visit.service.clock()
    number = int(entry) if entry.isascii() and entry.isdigit() else 0
    made = await visit.service.change(
        lambda c: splitting.split(c, reference_of(visit), number, Acting(visit.person, desk.office, now))
    )
    return back(f"/tickets/{made}", f"Split off {reference_of(visit)}. Merged into it, all is as before.")


async def _block(visit: Visit) -> Response:
    """Closes it as spam and blocks its author; both are taken back together."""
    rights.require(visit.person, "block")
    row = await visit.service.ask(lambda connection: ticket(connection, reference_of(visit)))
    sender = await blocked.required(visit, row.trust, row.author, None)
    desk, by, now = visit.service.desk(), visit.person, visit.service.clock()

    def done(connection: Connection) -> None:
        people.close(connection, row.reference, Acting(by, desk.office, now), spam=True)
        blocks.add(connection, sender, f"spam {row.reference}", Acting(by, desk.office, now))

    await visit.service.change(done)
    await blocked.known(visit.service)
    return back("/", f"Closed {row.reference} as spam; {sender} is blocked.")


_DONE = {
    "close": "Closed {}.", "spam": "Closed {} as spam.", "snooze": "Snoozed {}.", "note": "The note is kept.",
    "link": "Linked.",
}  # fmt: skip


async def correct(visit: Visit) -> Response:
    """A person says what the mail is, where it was misread."""
    form = visit.form
    department, question, priority, language = (
        visit.field(name, 20) for name in ("department", "question", "priority", "language")
    )
    right = Right(
        department=Department(department) if department in list(Department) else None,
        critical={"yes": True, "no": False}.get(visit.field("critical")),
        question=Question(question) if question in list(Question) else None,
        sensitive=tuple(one for one in SENSITIVE if one in form.getlist("sensitive")) if form.get("known") else None,
        priority=Priority(priority) if priority in list(Priority) else None,
        reply_language=language if language in visit.service.desk().settings.gateway.languages else None,
        account=visit.field("account", 100) or None,
        since=moment(visit, visit.field("since", 30)),
    )
    desk, now = visit.service.desk(), visit.service.clock()
    done = await visit.service.change(
        lambda connection: corrections.correct(
            connection, reference_of(visit), right, Acting(visit.person, desk.office, now)
        )
    )
    visit.service.wake()
    told = f"Corrected: {', '.join(done).replace('_', ' ')}." if done else "Nothing was changed."
    return back(f"/tickets/{reference_of(visit)}", told)


async def merge(visit: Visit) -> Response:
    """Makes this ticket part of another."""
    into, now = visit.field("to", 20), visit.service.clock()
    row, other = await visit.service.ask(lambda c: (ticket(c, reference_of(visit)), ticket(c, into)))
    if merging.apart(row, other) and not visit.field("sure"):
        return await _page(visit, 409, other=other)
    reopened = await visit.service.change(lambda connection: _merged(connection, visit, other, now))
    told = " It is open again: what came with it has no answer (h: wait for the customer)." if reopened else ""
    return back(f"/tickets/{other.reference}", f"Merged {row.reference} into this. Linked: Part again.{told}")


def _merged(connection: Connection, visit: Visit, other: Any, now: datetime) -> bool:
    """Whether the other ticket, answered before, is open again by it."""
    merging.merge(connection, reference_of(visit), other.reference, visit.person, now)
    return other.state != TicketState.OPEN and ticket(connection, other.reference).state == TicketState.OPEN


async def release(visit: Visit) -> Response:
    """Shows a contribution without proof as one of the conversation."""
    desk, now, entry = visit.service.desk(), visit.service.clock(), visit.field("entry", 18)

    def released(connection: Connection) -> None:
        row = ticket(connection, reference_of(visit))
        mail = casefile.mail_of(connection, row, int(entry)) if entry.isascii() and entry.isdigit() else None
        if mail is None or not people.release(connection, mail.id, Acting(visit.person, desk.office, now)):
            raise Told("this message does not wait for anybody")

    await visit.service.change(released)
    visit.service.wake()
    return back(f"/tickets/{reference_of(visit)}", "Released.")
