"""``gateway tickets``: what the desk does to a ticket."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Force, Json, Limit, columns, fail, line, safe, show_table, write_octets

app = typer.Typer(no_args_is_help=True, help="Tickets: list, show, reply, note, close, reopen, attachment.")


@app.command("list")
def tickets_list(
    state: str | None = None, account: str | None = None, limit: Limit = 100, as_json: Json = False
) -> None:
    """Open promises first, high priority before all."""
    from gateway.tickets import views

    with context.store() as (_, store):
        rows = store.read_now(lambda connection: views.ticket_list(connection, state, account, limit))
    show_table(
        rows,
        (
            "reference",
            "state",
            "priority",
            "critical",
            "trust",
            "account",
            "author",
            "department",
            "subject",
            "limit_at",
        ),
        as_json,
    )


@app.command("show")
def tickets_show(
    reference: str,
    full: Annotated[
        bool, typer.Option("--full", help="Also what was cut from the words, the other alternative, hidden text.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a ticket, its messages and the reasons. Mail text stands behind "| ", with --full the rest of it behind ": "."""
    from gateway.tickets import people, shown, views

    with context.store() as (_, store):
        found = store.read_now(
            lambda connection: views.ticket_show(connection, people.ticket(connection, reference), full)
        )
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for key, value in found.items():
        if key not in ("entries", "trace") and value not in (None, [], "", False):
            print(f"{key:20} {line(value)}")
    for entry in found["entries"]:
        words, rest = safe(entry["text"]).expandtabs(), safe(entry.get("full_text", "")).expandtabs()
        print(f"\n--- {entry['direction']} {line(entry['author'])} {entry['at']} ({entry['status']})")
        print(shown.in_full(words, rest, columns()))
        for file in entry["attachments"]:
            named = f"{line(file['filename'])} {line(file['type'])}"
            print(f"    attached: {named} {file['size']} octets {line(file['sha256'])}")
    print("\nwhy:")
    for reason in found["trace"]:
        print(f"  {line(reason)}")


def _words(file: str | None) -> str:
    return Path(file).read_text(encoding="utf-8") if file else sys.stdin.read()


@app.command("reply")
def tickets_reply(
    reference: str, file: Annotated[str | None, typer.Option(help="The words; default: standard input.")] = None
) -> None:
    """A person's answer: it goes to the author and stops the clock."""
    from gateway.database.store import utc_now
    from gateway.tickets import people

    words = _words(file)
    with context.store(write=True) as (settings, store):
        office = context.office(settings, store)
        row = store.write_now(
            lambda connection: people.answer(connection, reference, words, context.person(), office, utc_now())
        )
    print(f"queued as outbox row {row}")


@app.command("note")
def tickets_note(reference: str, file: str | None = None) -> None:
    """An internal remark."""
    from gateway.database.store import utc_now
    from gateway.tickets import labels

    words = _words(file)
    with context.store(write=True) as (_, store):
        store.write_now(lambda connection: labels.note(connection, reference, words, context.person(), utc_now()))


@app.command("close")
def tickets_close(
    reference: str, spam: Annotated[bool, typer.Option("--spam", help="Offers the block.")] = False
) -> None:
    """Close; nothing is sent."""
    from gateway.database.store import utc_now
    from gateway.tickets import people

    with context.store(write=True) as (settings, store):
        office = context.office(settings, store)
        author = store.write_now(
            lambda connection: people.close(connection, reference, context.person(), office, utc_now(), spam=spam)
        )
    if author:
        print(f'to block the sender, add to the configuration and reload:\n[block]\naddresses = ["{safe(author)}"]')


@app.command("reopen")
def tickets_reopen(reference: str) -> None:
    """Open again."""
    from gateway.database.store import utc_now
    from gateway.tickets import people

    with context.store(write=True) as (settings, store):
        office = context.office(settings, store)
        store.write_now(lambda connection: people.reopen(connection, reference, context.person(), office, utc_now()))


@app.command("attachment")
def tickets_attachment(reference: str, sha256: str, force: Force = False) -> None:
    """The content of an attachment, to standard output."""
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
