"""``gateway tickets``: who works on a ticket, its tags, snooze, merges, links and corrections."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import typer

from gateway.cli import context, moments
from gateway.cli.output import fail, safe
from gateway.model import SENSITIVE, Department, Person, Priority, Question

app = typer.Typer()
Undo = Annotated[bool, typer.Option("--undo", help="Take it back.")]
Choice = Annotated[str | None, typer.Option(metavar="yes|no")]
Kinds = Annotated[str | None, typer.Option(help=f"Which of {', '.join(SENSITIVE)} it asks for, or none.")]
Account = Annotated[str | None, typer.Option(help="Which of its author's accounts it is about.")]
Begun = Annotated[str | None, typer.Option(help="When it began: 20m (ago), 2026-11-28T13:15.")]
Misread = Annotated[int | None, typer.Option(help="The entry that was misread; default: the first mail.")]


def _do(act: Callable[[Any, Person, datetime], Any]) -> Any:
    """Runs an act of the person at this shell in one transaction."""
    from gateway.database.store import utc_now

    with context.store(write=True) as (_, store):
        return store.write_now(lambda connection: act(connection, context.person(), utc_now()))


@app.command("assign")
def tickets_assign(reference: str, to: Annotated[str, typer.Argument(metavar="[NAME|me|nobody]")] = "me") -> None:
    """Say who works on a ticket."""
    from gateway.tickets import ownership

    name = {"me": context.who(), "nobody": ""}.get(to, to)
    _do(lambda connection, by, now: ownership.assign(connection, reference, name, by, now))


@app.command("watch")
def tickets_watch(
    reference: str, who: Annotated[str, typer.Option(help="A name or a staff address.")] = "me", undo: Undo = False
) -> None:
    """Get the staff mails of a ticket, whatever its department."""
    from gateway.tickets import ownership

    name = context.who() if who == "me" else who
    act = ownership.unwatch if undo else ownership.watch
    _do(lambda connection, by, now: act(connection, reference, name, by, now))


@app.command("snooze")
def tickets_snooze(reference: str, until: Annotated[str, typer.Argument(metavar="UNTIL|off")]) -> None:
    """Send no reminders before UNTIL (2h, 3d, 2026-12-01T09:00). What the customer was promised goes on."""
    from gateway.database.store import utc_now
    from gateway.tickets import ownership

    if until == "off":
        _do(lambda connection, by, now: ownership.wake(connection, reference, by, now))
        return
    moment = moments.future(until, utc_now(), moments.zone_of(context.settings()))
    _do(lambda connection, by, now: ownership.snooze(connection, reference, moment, by, now))
    print(f"snoozed until {moments.local(moment.isoformat(), moments.zone_of(context.settings()))}")


@app.command("wait")
def tickets_wait(reference: str) -> None:
    """Wait for the customer without another answer."""
    from gateway.tickets import people

    _do(lambda connection, by, now: people.wait(connection, reference, by, now))


@app.command("tag", context_settings={"ignore_unknown_options": True})
def tickets_tag(reference: str, tags: Annotated[list[str], typer.Argument(metavar="+TAG|-TAG...")]) -> None:
    """Add tags (+raid) and remove them (-raid)."""
    from gateway.tickets import labels

    add = [tag.removeprefix("+") for tag in tags if not tag.startswith("-")]
    remove = [tag[1:] for tag in tags if tag.startswith("-")]
    print(" ".join(_do(lambda connection, by, now: labels.tag(connection, reference, add, remove, by, now))))


@app.command("merge")
def tickets_merge(
    reference: str, into: Annotated[str, typer.Argument(metavar="INTO")] = "", undo: Undo = False
) -> None:  # fmt: skip
    """Make a ticket part of another: one conversation, one clock. --undo parts them again."""
    from gateway.tickets import merging

    if undo == bool(into):
        fail("name the ticket that it becomes part of, or --undo", 2)
    if not undo:
        _do(lambda connection, by, now: merging.merge(connection, reference, into, by, now))
        return
    with context.store(write=True) as (settings, store):
        acting = context.acting(settings, store)
        store.write_now(lambda connection: merging.unmerge(connection, reference, acting))


@app.command("link")
def tickets_link(reference: str, other: str, undo: Undo = False) -> None:
    """Tie two tickets together; each shows the other."""
    from gateway.tickets import merging

    act = merging.unlink if undo else merging.link
    _do(lambda connection, by, now: act(connection, reference, other, by, now))


@app.command("correct")
def tickets_correct(
    reference: str, department: Department | None = None, critical: Choice = None, question: Question | None = None,
    sensitive: Kinds = None, priority: Priority | None = None, account: Account = None, since: Begun = None,
    entry: Misread = None,
) -> None:  # fmt: skip
    """Say what a mail is that was misread; the ticket follows. `gateway topics export` writes it as a labelled text."""
    from gateway.database.store import utc_now
    from gateway.tickets import corrections

    zone = moments.zone_of(context.settings())
    began = moments.past(since, utc_now(), zone=zone) if since else None
    right = corrections.Right(department, _yes(critical), question, _kinds(sensitive), priority, None, account, began)
    if right == corrections.Right():
        fail(
            "say what is right: --department, --critical, --question, --sensitive, --priority, --account or --since", 2
        )
    with context.store(write=True) as (settings, store):
        acting = context.acting(settings, store)
        changed = store.write_now(lambda connection: corrections.correct(connection, reference, right, acting, entry))
    print(f"corrected: {', '.join(changed)}" if changed else "it is so already")


def _yes(words: str | None) -> bool | None:
    if words is None:
        return None
    if words not in ("yes", "no"):
        fail(f"--critical is yes or no, not {safe(words)}", 2)
    return words == "yes"


def _kinds(words: str | None) -> tuple[str, ...] | None:
    if words is None:
        return None
    kinds = () if words in ("none", "-") else tuple(dict.fromkeys(words.replace(",", " ").split()))
    unknown = [kind for kind in kinds if kind not in SENSITIVE]
    if unknown:
        fail(f"--sensitive knows {', '.join(SENSITIVE)}, not {safe(' '.join(unknown))}", 2)
    return kinds
