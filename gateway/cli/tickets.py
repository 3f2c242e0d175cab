"""``gateway tickets``: tickets read, answered, closed. What else is done to them is in ``ticket_work``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, moments
from gateway.cli.output import PAGE, Force, Json, Limit, columns, fail, line, safe, show_pages, write_octets
from gateway.model import Department, JsonObject, Priority, TicketState, Trust

if TYPE_CHECKING:
    from gateway.database.store import Store
    from gateway.tickets.listing import Filter

app = typer.Typer(
    no_args_is_help=True,
    help="Tickets: list, show, reply, note, close, reopen, wait, assign, watch, snooze, tag, merge, link, correct, "
    "attachment.",
)
Full = Annotated[
    bool, typer.Option("--full", help="Also what was cut from the words, the other alternative, hidden text.")
]
Since = Annotated[str | None, typer.Option(help="Opened since then: 2h, 3d, or 2026-11-22T14:00.")]
Owner = Annotated[str | None, typer.Option(help="A name, me, or nobody.")]
Words = Annotated[str | None, typer.Option("--file", help="The words; default: standard input.")]
Seen = Annotated[int | None, typer.Option(help="The version that you have read: if it moved on, nothing is sent.")]
_COLUMNS = ("reference", "state", "priority", "critical", "trust", "account", "author", "department", "owner",
            "subject", "limit_at")  # fmt: skip


@app.command("list")
def tickets_list(
    state: TicketState | None = None, account: str | None = None, department: Department | None = None,
    priority: Priority | None = None, owner: Owner = None, tag: str | None = None, trust: Trust | None = None,
    language: str | None = None, since: Since = None, limit: Limit = 100, as_json: Json = False,
) -> None:  # fmt: skip
    """List tickets, the most urgent first."""
    from gateway.database.store import utc_now
    from gateway.tickets.listing import Filter

    who = context.who() if owner == "me" else owner
    with context.store() as (settings, store):
        zone = moments.zone_of(settings)
        then = moments.past(since, utc_now(), zone=zone) if since else None
        wanted = Filter(state, account, department, priority, who, tag, trust, language, then)
        pages = _pages(store, wanted, limit)
        show_pages(pages if as_json else moments.shown(pages, zone), _COLUMNS, as_json)


def _pages(store: Store, wanted: Filter, limit: int) -> Iterator[list[JsonObject]]:
    """The tickets of a list, a page at a time."""
    from gateway.tickets import listing, views

    if limit <= PAGE:
        yield store.read_now(lambda connection: views.ticket_list(connection, wanted, limit))
        return
    ids = store.read_now(lambda connection: listing.ids(connection, wanted, limit))
    for start in range(0, max(1, len(ids)), PAGE):
        some = ids[start : start + PAGE].tolist()
        yield store.read_now(lambda connection, some=some: views.ticket_page(connection, some))  # type: ignore[misc]


@app.command("show")
def tickets_show(reference: str, full: Full = False, as_json: Json = False) -> None:
    """Show a ticket, its messages and the reasons. Mail text is behind "| ", with --full the rest of it behind ": "."""
    from gateway.database.store import utc_now
    from gateway.tickets import people, views

    with context.store() as (settings, store):
        zone = moments.zone_of(settings)
        found = store.read_now(
            lambda connection: views.ticket_show(connection, people.ticket(connection, reference), full, utc_now())
        )
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    _print_fields(found, zone)
    for entry in found["entries"]:
        _print_entry(entry, zone)
    _print_replies(found["replies"], zone)
    print("\nwhy:")
    for reason in found["trace"]:
        at, _, words = reason.partition(" ")
        print(f"  {moments.local(at, zone)} {line(words)}")


_APART = ("entries", "trace", "replies", "corrections", "open_with")


def _print_fields(found: JsonObject, zone: str) -> None:
    for key, value in found.items():
        if key in _APART or value in (None, [], "", False):
            continue
        shown = moments.local(value, zone) if key.endswith(("_at", "_until")) else value
        shown = ", ".join(map(_words, value)) if isinstance(value, list) else shown
        print(f"{key:20} {line(shown)}")
    for one in found["open_with"]:
        print(f"{'open with':20} {line(one['who'])}{', writing an answer' if one['writing'] else ''}")
    for one in found["corrections"]:
        said = (
            f"{one['field']}: {_words(one['from'])} -> {_words(one['to'])} by {one['who']}, "
            f"{moments.local(one['at'], zone)}"
        )
        print(f"{'corrected':20} {line(said)}")


def _words(value: Any) -> str:
    """A value, a fact with its ownership, or a list of values in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if isinstance(value, dict):
        return f"{value['value']} ({value['ownership']}{', quoted' if value.get('quoted') else ''})"
    return str(value)


def _print_entry(entry: JsonObject, zone: str) -> None:
    from gateway.tickets import shown

    at = moments.local(entry["at"], zone)
    if entry["kind"] == "change":
        print(f"\n--- {at} {line(entry['author'])}: {line(entry['text'])}")
        return
    words, rest = safe(entry["text"]).expandtabs(), safe(entry.get("full_text", "")).expandtabs()
    what = entry["kind"] or entry["direction"]
    print(f"\n--- {at} {what} {line(entry['author'])} ({entry['status']}, entry {entry['id']})")
    print(shown.in_full(words, rest, columns()))
    for file in entry["attachments"]:
        named = f"{line(file['filename'])} {line(file['type'])}"
        print(f"    attached: {named} {file['size']} octets {line(file['sha256'])}")


def _print_replies(replies: list[JsonObject], zone: str) -> None:
    if replies:
        print("\nsent to the customer:")
    for one in replies:
        why = f": {one['error']}" if one["error"] else ""
        sent = f"{one['template']} ({one['language']}) to {one['to']}: {one['state']}{why}"
        print(f"  {moments.local(one['at'], zone)} {line(sent)}")


def words_of(file: str | None) -> str:
    """The words of a file, or of standard input."""
    return Path(file).read_text(encoding="utf-8") if file else sys.stdin.read()


@app.command("reply")
def tickets_reply(reference: str, file: Words = None, seen: Seen = None) -> None:
    """Send an answer to the customer; stops the clock. If anything is said meanwhile, it is not sent."""
    from gateway.tickets import people

    with context.store(write=True) as (settings, store):
        version, others = store.read_now(lambda connection: _read_of(connection, reference))
        for one in others:
            print(f"gateway: {safe(one)} is writing an answer to {safe(reference)}", file=sys.stderr)
        words = words_of(file)
        acting, read = context.acting(settings, store), version if seen is None else seen
        row = store.write_now(lambda connection: people.answer(connection, reference, words, acting, seen=read))
    print(f"queued as outbox row {row}")


def _read_of(connection: Any, reference: str) -> tuple[int, list[str]]:
    """(the version of a conversation, who else is writing an answer)."""
    from gateway.database.store import utc_now
    from gateway.tickets import people, presence

    row = people.ticket(connection, reference)
    there = presence.others(connection, row.id, context.person(), utc_now())
    return row.version, [one["who"] for one in there if one["writing"]]


@app.command("note")
def tickets_note(reference: str, file: Words = None) -> None:
    """Add an internal note; colleagues on the ticket hear of it, the customer never sees it."""
    from gateway.tickets import labels, remarks

    words = words_of(file)
    with context.store(write=True) as (settings, store):
        acting = context.acting(settings, store)

        def noted(connection: Any) -> None:
            remarks.tell(connection, labels.note(connection, reference, words, acting.by, acting.at), acting)

        store.write_now(noted)


@app.command("close")
def tickets_close(
    reference: str,
    spam: Annotated[bool, typer.Option("--spam",
    help="Tell nobody, and name the command that blocks the sender.")] = False,
    notify: Annotated[bool, typer.Option("--notify/--silent",
    help="Tell the customer, if he has heard from us.")] = True,
) -> None:  # fmt: skip
    """Close a ticket; the customer is told."""
    from gateway.tickets import people

    with context.store(write=True) as (settings, store):
        acting = context.acting(settings, store)
        author = store.write_now(
            lambda connection: people.close(connection, reference, acting, spam=spam, notify=notify)
        )
    if author:
        print(f"to block the sender: gateway blocks add {safe(author)}")


@app.command("reopen")
def tickets_reopen(reference: str) -> None:
    """Open a ticket again; its clock starts now."""
    from gateway.tickets import people

    with context.store(write=True) as (settings, store):
        acting = context.acting(settings, store)
        store.write_now(lambda connection: people.reopen(connection, reference, acting))


@app.command("attachment")
def tickets_attachment(reference: str, sha256: str, force: Force = False) -> None:
    """Write an attachment to standard output."""
    from gateway.read.attachments import attachment
    from gateway.tickets import people

    with context.store() as (_, store):
        raws = store.read_now(lambda connection: people.raws_with(connection, reference, sha256))
    for raw in raws:
        data = attachment(raw, sha256)
        if data is not None:
            write_octets(data, force, "an attachment")
            return
    fail("the ticket has no such attachment")
