"""The commands. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.tickets.outgoing import Office
    from gateway.tickets.store import Store

app = typer.Typer(
    name="gateway", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="The e-mail gateway of the support desk: takes mail in, finds out who wrote it, answers in time.",
)  # fmt: skip
tickets_app = typer.Typer(no_args_is_help=True, help="Tickets: list, show, reply, note, close, reopen, attachment.")
messages_app = typer.Typer(no_args_is_help=True, help="The inbox: list, raw, replay, release, discard.")
outbox_app = typer.Typer(no_args_is_help=True, help="Replies: list, retry, discard.")
accounts_app = typer.Typer(no_args_is_help=True, help="The account directory: sync, lookup.")
templates_app = typer.Typer(no_args_is_help=True, help="Reply templates: list, preview.")
topics_app = typer.Typer(no_args_is_help=True, help="The topic rules: test.")
for name, part in (("tickets", tickets_app), ("messages", messages_app), ("outbox", outbox_app),
                   ("accounts", accounts_app), ("templates", templates_app), ("topics", topics_app)):  # fmt: skip
    app.add_typer(part, name=name)

_state: dict[str, str] = {}
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]


@app.callback()
def _common(
    config: Annotated[
        str, typer.Option("--config", envvar="GATEWAY_CONFIG", help="The configuration file.")
    ] = "/etc/gateway/config.toml",
) -> None:
    _state["config"] = config


_EXPECTED = (
    "StoreError",
    "StartError",
    "NoTicket",
    "DirectoryError",
    "ValueError",
    "PermissionError",
    "FileNotFoundError",
)


def main() -> None:
    """The entry point: every expected fault becomes a message and an exit code."""
    from gateway.config import ConfigError

    os.environ["PYTHONSAFEPATH"] = "1"  # no process that we start imports a file of the folder it was started in
    try:
        app()
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}  # by name: most commands never load their modules
        if "NewerSchema" in kinds:
            print(error, file=sys.stderr)
            sys.exit(2)
        if not kinds.isdisjoint(_EXPECTED):
            print(f"gateway: {_named(error)}", file=sys.stderr)
            sys.exit(1)
        raise


def _named(error: Exception) -> str:
    return f"no ticket {error}" if type(error).__name__ == "NoTicket" else str(error)


def _settings() -> Settings:
    from gateway import config

    return config.load(_state["config"])


def _fail(text: str, code: int = 1) -> NoReturn:
    print(f"gateway: {text}", file=sys.stderr)
    raise typer.Exit(code)


def _safe(value: object) -> str:
    """Text for a terminal: no escape sequences, no direction overrides."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() or c in "\n\t" else f"<U+{ord(c):04X}>" for c in text)


def _line(value: object) -> str:
    """The same on one line."""
    return _safe(" ".join(str(value).split("\n")) if value is not None else "")


def _columns() -> int | None:
    """The columns of a terminal; a line that is longer would go on without its prefix."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _octets(data: bytes | bytearray, force: bool, what: str) -> None:
    """Writes octets of a mail to standard output; a terminal would obey what is in them."""
    if sys.stdout.isatty() and not force:
        _fail(f"{what} may hold control sequences: send it to a file, or to a terminal with --force", 2)
    sys.stdout.buffer.write(data)


Force = Annotated[bool, typer.Option("--force", help="Write it to a terminal.")]


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(_safe(row[column])) for column in columns))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@contextmanager
def _store(write: bool = False) -> Iterator[tuple[Settings, Store]]:
    from gateway.tickets.store import Store, StoreError, utc_now

    settings = _settings()
    store = Store(settings.database_url)
    if store.path is not None and not store.path.exists():
        raise StoreError(f"there is no database at {store.path}; start the service once")
    try:
        if write:
            store.open(utc_now(), migrate=False)
        else:
            store.load_keys()
        yield settings, store
    finally:
        store.close()


def _office(settings: Settings, store: Store) -> Office:
    from gateway import service
    from gateway.replies.render import Templates

    return service.office(settings, Templates(settings.replies.templates_dir), store.keys, store.key_id)


def _who() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "staff"


# --------------------------------------------------------------------------- the service


@app.command()
def run() -> None:
    """The service, in the foreground."""
    import signal

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the service can reload, there is nothing to reload
    import uvloop

    from gateway import config, log, service
    from gateway.daemon import Daemon
    from gateway.replies.render import Templates

    settings = _settings()
    problems = config.file_problems(settings, _state["config"])
    if not problems:
        problems = Templates(settings.replies.templates_dir).problems(
            service.sender(settings, b"check" * 8, _state["config"])
        )
    if problems:
        raise config.ConfigError(problems)
    service.topics_text(settings, _state["config"])
    log.configure()
    uvloop.run(Daemon(settings, _state["config"]).run())


@app.command()
def check(
    user: Annotated[str | None, typer.Option(help="Whose rights the service has; default: gateway.")] = None,
    as_json: Json = False,
) -> None:
    """Check configuration, templates, directory and key files; every fault as file:key: what and why. Exit 0 or 2."""
    from gateway import check as checks
    from gateway.tickets.store import utc_now

    path = _state["config"]
    found = checks.everything(path, utc_now(), user)
    for warning in found.warnings:
        print(f"warning: {_safe(warning)}", file=sys.stderr)
    for problem in found.problems:
        print(json.dumps(problem.as_json(), ensure_ascii=False) if as_json else _safe(problem))
    if not found.problems and not as_json:
        print(f"{path}: OK")
    raise typer.Exit(2 if found.problems else 0)


@app.command()
def demo(keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards.")] = False) -> None:
    """A dozen mails through the whole service in a temporary folder; needs no configuration."""
    import asyncio

    from gateway.demo import demonstrate

    raise typer.Exit(asyncio.run(demonstrate(keep)))


@app.command()
def explain(
    files: Annotated[list[str], typer.Argument(help="Raw mails, or - for standard input.")],
    peer: Annotated[str | None, typer.Option(help="The client's IP address, for SPF.")] = None,
    helo: Annotated[str | None, typer.Option(help="The client's HELO name.")] = None,
    mail_from: Annotated[
        str | None, typer.Option("--mail-from", help="The envelope sender ('' is the null sender).")
    ] = None,
    rcpt: Annotated[list[str] | None, typer.Option(help="An envelope recipient; may be repeated.")] = None,
    now: Annotated[str | None, typer.Option(help="The time of receipt, ISO 8601.")] = None,
    as_json: Json = False,
) -> None:
    """What would happen to each mail and why; nothing is written or sent."""
    import asyncio
    from datetime import UTC, datetime

    from gateway import config, log
    from gateway.explain import Explainer, Given, as_text
    from gateway.reader import Readers
    from gateway.tickets.store import utc_now

    given_path = _state["config"]
    settings = config.Settings() if given_path == config.DEFAULT_PATH and not Path(given_path).exists() else _settings()
    try:
        moment = datetime.fromisoformat(now) if now else utc_now()
    except ValueError:
        _fail(f"--now {now!r} is no ISO 8601 time", 2)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    given = Given(peer, helo, mail_from, tuple(rcpt or ()), moment)
    log.configure()

    async def every() -> int:
        readers = Readers(1, settings.gateway.read_limit)
        await readers.start()
        code = 0
        try:
            with Explainer(settings, utc_now) as explainer:
                for file in files:
                    try:
                        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
                        found = await explainer.explained(raw, given, readers)
                    except OSError as error:
                        print(f"gateway: {file}: {error}", file=sys.stderr)
                        code = 1
                        continue
                    print(json.dumps(found, ensure_ascii=False) if as_json else _safe(as_text(found)))
        finally:
            readers.stop()
        return code

    raise typer.Exit(asyncio.run(every()))


@app.command()
def accept(
    file: Annotated[str, typer.Argument(help="A raw mail, or - for standard input.")],
    mail_from: Annotated[
        str | None, typer.Option("--mail-from", help="The envelope sender ('' is the null sender).")
    ] = None,
    rcpt: Annotated[str | None, typer.Option(help="The envelope recipient.")] = None,
    peer: Annotated[str | None, typer.Option(help="The client's IP address.")] = None,
    helo: Annotated[str | None, typer.Option(help="The client's HELO name.")] = None,
    direct: Annotated[bool, typer.Option("--direct", help="Write the database itself.")] = False,
) -> None:
    """Take in one raw mail: exit 0 stored, 75 try again, 65 refused."""
    from gateway.explain import with_crlf
    from gateway.ingest import pipe
    from gateway.ingest.client import return_path

    settings = _settings()
    try:
        raw = with_crlf(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
    except OSError as error:
        _fail(f"{file}: {error}", 75)
    sender = mail_from if mail_from is not None else return_path(raw)
    to = rcpt or settings.recipients[0]
    if direct:
        raise typer.Exit(_accept_directly(settings, raw, sender, to, peer, helo))
    where = settings.lmtp_socket
    if where is None:
        _fail("no lmtp listener is configured; --direct writes the database itself", 75)
    code, said = pipe.hand_over(where, raw, pipe.Handed(sender, to, peer, helo))
    if code:
        print(f"gateway: {_safe(said)}", file=sys.stderr)
    raise typer.Exit(code)


def _accept_directly(
    settings: Settings, raw: bytes, sender: str | None, to: str, peer: str | None, helo: str | None
) -> int:
    from gateway import service
    from gateway.ingest.client import NO_CLIENT, received_client
    from gateway.ingest.identity import digest_of
    from gateway.model import Envelope, RawMessage
    from gateway.tickets import inbox
    from gateway.tickets.store import DiskFull, Store, StoreError, utc_now

    if len(raw) > settings.smtp.max_size or not service.policy(settings, lambda: True).accepts_recipient(to):
        print("gateway: refused: too big, or no such mailbox", file=sys.stderr)
        return 65
    client, name = (peer, helo) if peer else received_client(raw[:65536])
    envelope = Envelope(
        sender, (to,), client, helo or name, "pipe", utc_now(), True, False, "" if client else NO_CLIENT
    )
    store = Store(settings.database_url)
    try:
        settings.gateway.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        store.open(utc_now())
        store.write_now(lambda connection: inbox.accept(connection, RawMessage(raw, envelope), digest_of(raw)))
    except (StoreError, DiskFull, OSError) as error:
        print(f"gateway: {error or 'disk full'}", file=sys.stderr)
        return 75
    finally:
        store.close()
    return 0


@app.command("import")
def import_(
    account: Annotated[str, typer.Option(help="The name of the [[imap]] account.")],
    folder: Annotated[str | None, typer.Option(help="Another folder than the account's.")] = None,
    since: Annotated[str | None, typer.Option(help="Nothing older than this day, as 2026-11-01.")] = None,
) -> None:
    """Take in old mail of a mailbox, without any acknowledgement and without a clock; it stays in its folder."""
    from datetime import UTC, datetime

    from imapclient.exceptions import IMAPClientError

    from gateway.ingest import imap, imap_folders, oauth, sources
    from gateway.ingest.halt import Halt
    from gateway.tickets.store import DiskFull, utc_now
    from gateway.turns import Turns

    try:
        day = datetime.fromisoformat(since).replace(tzinfo=UTC) if since else None
    except ValueError:
        _fail(f"{since!r} is no day; write 2026-11-01", 2)
    with _store(write=True) as (settings, store):
        chosen = next((one for one in settings.imap if one.name == account), None)
        if chosen is None:
            _fail(f"no [[imap]] account is named {account!r}", 2)
        ledger = sources.StoredLedger(store, account, "imap", chosen.silence, utc_now, lambda: None, Turns(utc_now))
        reader = sources.mailbox(chosen, settings, ledger, Halt(), utc_now)
        try:
            count = reader.bring(folder or chosen.folder, day)
        except (
            imap.Refused,
            imap_folders.Away,
            oauth.TokenRefused,
            oauth.TokenUnavailable,
            IMAPClientError,
            OSError,
        ) as error:
            _fail(str(error) or type(error).__name__, 1)
        except DiskFull:
            _fail("the disk is full", 1)
    print(f"{count} mails taken in")


@app.command()
def status(as_json: Json = False) -> None:
    """How things stand. Exit 1 when something needs a person."""
    from gateway import health, service
    from gateway.tickets import views
    from gateway.tickets.store import utc_now

    with _store() as (settings, store):
        now = utc_now()
        usage = health.ask(settings.gateway.state_dir)
        directory = service.directory(settings)
        age, usable = directory.age(now), directory.usable(now)
        found = store.read_now(
            lambda connection: views.status(connection, now, age, usable, views.relay_problem(connection, now))
        )
        found["problems"] += store.read_now(views.database_problems)
    found = views.with_usage(found, usage)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        for key, value in found.items():
            if key == "sources":
                for source in value:
                    words = (f"{name}={_safe(str(told))}" for name, told in source.items() if told not in (None, ""))
                    print(f"source               {' '.join(words)}")
            elif key != "problems":
                print(f"{key:20} {'-' if value is None else value}")
        for problem in found["problems"]:
            print(f"PROBLEM              {_safe(problem)}")
    raise typer.Exit(1 if found["problems"] else 0)


# --------------------------------------------------------------------------- tickets


@tickets_app.command("list")
def tickets_list(
    state: str | None = None, account: str | None = None, limit: Limit = 100, as_json: Json = False
) -> None:
    """Open promises first, high priority before all."""
    from gateway.tickets import views

    with _store() as (_, store):
        rows = store.read_now(lambda connection: views.ticket_list(connection, state, account, limit))
    _table(
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


@tickets_app.command("show")
def tickets_show(
    reference: str,
    full: Annotated[
        bool, typer.Option("--full", help="Also what was cut from the words, the other alternative, hidden text.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a ticket, its messages and the reasons. Mail text stands behind "| ", with --full the rest of it behind ": "."""
    from gateway.tickets import people, shown, views

    with _store() as (_, store):
        found = store.read_now(
            lambda connection: views.ticket_show(connection, people.ticket(connection, reference), full)
        )
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for key, value in found.items():
        if key not in ("entries", "trace") and value not in (None, [], "", False):
            print(f"{key:20} {_line(value)}")
    for entry in found["entries"]:
        words, rest = _safe(entry["text"]).expandtabs(), _safe(entry.get("full_text", "")).expandtabs()
        print(f"\n--- {entry['direction']} {_line(entry['author'])} {entry['at']} ({entry['status']})")
        print(shown.in_full(words, rest, _columns()))
        for file in entry["attachments"]:
            named = f"{_line(file['filename'])} {_line(file['type'])}"
            print(f"    attached: {named} {file['size']} octets {_line(file['sha256'])}")
    print("\nwhy:")
    for line in found["trace"]:
        print(f"  {_line(line)}")


def _words(file: str | None) -> str:
    return Path(file).read_text(encoding="utf-8") if file else sys.stdin.read()


@tickets_app.command("reply")
def tickets_reply(
    reference: str, file: Annotated[str | None, typer.Option(help="The words; default: standard input.")] = None
) -> None:
    """A person's answer: it goes to the author and stops the clock."""
    from gateway.tickets import people
    from gateway.tickets.store import utc_now

    words = _words(file)
    with _store(write=True) as (settings, store):
        office = _office(settings, store)
        row = store.write_now(lambda connection: people.answer(connection, reference, words, _who(), office, utc_now()))
    print(f"queued as outbox row {row}")


@tickets_app.command("note")
def tickets_note(reference: str, file: str | None = None) -> None:
    """An internal remark."""
    from gateway.tickets import people
    from gateway.tickets.store import utc_now

    words = _words(file)
    with _store(write=True) as (_, store):
        store.write_now(lambda connection: people.note(connection, reference, words, _who(), utc_now()))


@tickets_app.command("close")
def tickets_close(
    reference: str, spam: Annotated[bool, typer.Option("--spam", help="Offers the block.")] = False
) -> None:
    """Close; nothing is sent."""
    from gateway.tickets import people
    from gateway.tickets.store import utc_now

    with _store(write=True) as (_, store):
        author = store.write_now(lambda connection: people.close(connection, reference, _who(), spam, utc_now()))
    if author:
        print(f'to block the sender, add to the configuration and reload:\n[block]\naddresses = ["{_safe(author)}"]')


@tickets_app.command("reopen")
def tickets_reopen(reference: str) -> None:
    """Open again."""
    from gateway.tickets import people
    from gateway.tickets.store import utc_now

    with _store(write=True) as (settings, store):
        office = _office(settings, store)
        store.write_now(lambda connection: people.reopen(connection, reference, _who(), office, utc_now()))


@tickets_app.command("attachment")
def tickets_attachment(reference: str, sha256: str, force: Force = False) -> None:
    """The content of an attachment, to standard output."""
    from gateway.read.attachments import attachment
    from gateway.tickets import people

    with _store() as (_, store):
        raws = store.read_now(lambda connection: people.raws_with(connection, reference, sha256))
    for raw in raws:
        data = attachment(raw, sha256)
        if data is not None:
            _octets(data, force, "an attachment")
            return
    _fail("the ticket has no such attachment")


# --------------------------------------------------------------------------- messages


@messages_app.command("list")
def messages_list(
    state: str | None = None, disposition: str | None = None, limit: Limit = 100, as_json: Json = False
) -> None:
    """The inbox, newest first."""
    from gateway.tickets import views

    with _store() as (_, store):
        rows = store.read_now(lambda connection: views.message_list(connection, state, disposition, limit))
    _table(rows, ("id", "source", "received_at", "state", "disposition", "ticket", "attempts", "reason"), as_json)


@messages_app.command("raw")
def messages_raw(message: int, force: Force = False) -> None:
    """The mail as it came, to standard output."""
    from gateway.tickets import originals

    with _store() as (_, store):
        raw = store.read_now(lambda connection: originals.load(connection, message))
    if not raw:
        _fail(f"no message {message}")
    _octets(raw, force, "a raw mail")


def _on_message(function: str, message: int, needs: str) -> None:
    from gateway.tickets import inbox
    from gateway.tickets.store import utc_now

    with _store(write=True) as (_, store):
        if not store.write_now(lambda connection: getattr(inbox, function)(connection, message, utc_now())):
            _fail(f"message {message} is not {needs}")


@messages_app.command("replay")
def messages_replay(message: int) -> None:
    """Run a failed mail again."""
    _on_message("replay", message, "failed")


@messages_app.command("release")
def messages_release(message: int) -> None:
    """Give a quarantined mail, or a contribution without proof, to the desk."""
    from gateway.tickets import people
    from gateway.tickets.store import utc_now

    with _store(write=True) as (settings, store):
        office = _office(settings, store)
        if not store.write_now(lambda connection: people.release(connection, message, office, utc_now())):
            _fail(f"message {message} is not quarantined or pending")


@messages_app.command("discard")
def messages_discard(message: int) -> None:
    """Settle a quarantined or failed mail without a ticket."""
    _on_message("discard", message, "quarantined or failed")


# --------------------------------------------------------------------------- outbox


@outbox_app.command("list")
def outbox_list(state: str | None = None, limit: Limit = 100, as_json: Json = False) -> None:
    """Replies, newest first."""
    from gateway.tickets import views

    with _store() as (_, store):
        rows = store.read_now(lambda connection: views.outbox_list(connection, state, limit))
    _table(rows, ("id", "ticket", "template", "to", "state", "attempts", "next_at", "last_error"), as_json)


Rows = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Row numbers.")]
RowState = Annotated[str | None, typer.Option("--state", help="dead or queued: every row in this state.")]
Since = Annotated[
    str | None, typer.Option(help="Of those, the ones written or given up since then: 2h, 3d, or 2026-11-22T14:00Z.")
]
Every = Annotated[bool, typer.Option("--all", help="Every dead and waiting row.")]


@outbox_app.command("retry")
def outbox_retry(rows: Rows = None, state: RowState = None, since: Since = None, every: Every = False) -> None:
    """Try dead or waiting replies now: by number, by --state and --since, or --all."""
    _settle_rows("retry", "are due now", rows or [], state, since, every)


@outbox_app.command("discard")
def outbox_discard(rows: Rows = None, state: RowState = None, since: Since = None, every: Every = False) -> None:
    """Give dead or waiting replies up on purpose: by number, by --state and --since, or --all."""
    _settle_rows("drop", "are discarded", rows or [], state, since, every)


def _settle_rows(function: str, done: str, ids: list[int], state: str | None, since: str | None, every: bool) -> None:
    from gateway.model import OutboxState
    from gateway.tickets import outgoing
    from gateway.tickets.store import utc_now

    now = utc_now()
    if state not in (None, "dead", "queued"):
        _fail(f"--state is dead or queued, not {_safe(state)}", 2)
    if bool(ids) == bool(state or since or every):
        _fail("name the rows by number, or choose them by --state, --since or --all", 2)
    choice = outgoing.Choice(tuple(ids), OutboxState(state) if state else None, _moment(since, now) if since else None)
    with _store(write=True) as (_, store):
        found = store.write_now(lambda connection: getattr(outgoing, function)(connection, choice, now))
    print(f"{len(found)} replies {done}")
    missing = sorted(set(ids) - set(found))
    if missing:
        _fail(f"neither dead nor waiting: {', '.join(str(row) for row in missing)}")


def _moment(words: str, now: datetime) -> datetime:
    """A point in time: so long ago (2h), or a date."""
    from gateway.config import seconds

    try:
        return now - timedelta(seconds=seconds(words))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        _fail(f"--since: neither a duration (2h, 3d) nor a date (2026-11-22T14:00Z): {_safe(words)}", 2)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# --------------------------------------------------------------------------- accounts, templates


@accounts_app.command("sync")
def accounts_sync() -> None:
    """Read the directory now."""
    from gateway import service
    from gateway.tickets.store import utc_now

    settings = _settings()
    if not settings.directory.configured:
        _fail("directory.path is not set", 2)
    counts = service.directory(settings).reload(utc_now())
    print(", ".join(f"{count} {what}" for what, count in counts.items()))


@accounts_app.command("lookup")
def accounts_lookup(
    what: Annotated[str, typer.Argument(help="An address, order, IP or service name.")], as_json: Json = False
) -> None:
    """Which account it belongs to."""
    from gateway import service
    from gateway.verify.lookup import accounts_of

    directory = service.directory(_settings())
    found: list[dict[str, Any]] = [
        {
            "account": account.account,
            "name": account.name,
            "language": account.language,
            "status": account.status,
            "addresses": [{"address": a, "role": role} for a, role in directory.addresses_of(account.account)],
            "orders": [
                {"order": o.number, "service": o.service, "status": o.status}
                for o in directory.orders_of(account.account)
            ],
        }
        for account in accounts_of(directory, what)
    ]
    if not found:
        _fail(f"nothing known of {_safe(what)}")
    for row in found:
        if as_json:
            print(json.dumps(row, ensure_ascii=False))
            continue
        print(_safe(f"{row['account']}  {row['name']}  ({row['language']}, {row['status']})"))
        for address in row["addresses"]:
            print(_safe(f"    {address['address']}  {address['role']}"))
        for order in row["orders"]:
            print(_safe(f"    #{order['order']}  {order['service']}  {order['status']}"))


@templates_app.command("list")
def templates_list(as_json: Json = False) -> None:
    """The templates that are there."""
    from gateway.replies.render import Templates

    rows = [
        dict(zip(("template", "language"), name.split("."), strict=True))
        for name in Templates(_settings().replies.templates_dir).names()
    ]
    _table(rows, ("template", "language"), as_json)


@templates_app.command("preview")
def templates_preview(name: str, language: Annotated[str, typer.Option(help="Two letters.")] = "en") -> None:
    """A template with sample values."""
    from gateway import service
    from gateway.replies.render import RenderError, Templates, samples, variables

    settings = _settings()
    sender = service.sender(settings, b"preview" * 5)
    try:
        print(Templates(settings.replies.templates_dir).text(name, language, variables(sender, samples(name)[0])))
    except RenderError as error:
        _fail(str(error))


@topics_app.callback()
def _topics() -> None:
    """So that ``topics test`` is a command of its own."""


@topics_app.command("test")
def topics_test(
    file: Annotated[
        Path, typer.Argument(help="CSV with text and any of subject, department, question, critical, sensitive.")
    ],
    topics_file: Annotated[
        Path | None,
        typer.Option("--topics", help="Another folder of topics files, or a single file, than the configured one."),
    ] = None,
) -> None:
    """Scores the topic rules on labelled texts and prints the confusion. Exit 1 when the file cannot be read."""
    from gateway import config, service
    from gateway.extract import lexicon, scoring, stems

    try:
        if topics_file is not None:
            custom = service.topics_of_path(topics_file)
            stems.table(custom)
        else:
            custom = service.topics_text(_settings(), _state["config"]) if Path(_state["config"]).exists() else ""
        found = scoring.scored(config.read_text(file).splitlines(keepends=True), custom)
    except (scoring.ScoringError, lexicon.TopicsError, OSError, UnicodeDecodeError) as error:
        _fail(_safe(f"{error}"))
    for line in scoring.table(found):
        print(_safe(line))
