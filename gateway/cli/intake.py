"""``gateway explain``, ``accept`` and ``import``: mails that are given by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Json, fail, safe

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.config import Settings
    from gateway.explain import Explainer, Given
    from gateway.ingest.pipe import Handed
    from gateway.model import JsonObject
    from gateway.read.fork_server import ForkServer
    from gateway.read.reader import Readers

app = typer.Typer()


@app.command()
def explain(
    files: Annotated[list[str] | None, typer.Argument(help="Raw mails, or - for standard input.")] = None,
    message: Annotated[
        list[int] | None, typer.Option("--message", help="A mail of the inbox, with the envelope it came with.")
    ] = None,
    peer: Annotated[str | None, typer.Option(help="The client's IP address, for SPF.")] = None,
    helo: Annotated[str | None, typer.Option(help="The client's HELO name.")] = None,
    mail_from: Annotated[
        str | None, typer.Option("--mail-from", help="The envelope sender ('' is the null sender).")
    ] = None,
    rcpt: Annotated[list[str] | None, typer.Option(help="An envelope recipient; may be repeated.")] = None,
    now: Annotated[str | None, typer.Option(help="The time of receipt, ISO 8601.")] = None,
    as_json: Json = False,
) -> None:
    """Show what would happen to each mail and why; nothing is written or sent."""
    import asyncio

    if not files and not message:
        fail("name a file, - for standard input, or --message with the number of a mail", 2)

    from gateway.read.fork_server import ForkServer

    server = ForkServer("gateway.read.reading")
    server.begin_as_fork()  # it loads what reading needs, beside what we need ourselves

    from gateway import config, log
    from gateway.explain import Given

    bare = context.path() == config.DEFAULT_PATH and not Path(config.DEFAULT_PATH).exists()
    settings = config.Settings() if bare else context.settings()
    given = Given(peer, helo, mail_from, tuple(rcpt or ()), _moment(now))
    log.configure()
    wanted: list[int | str] = [*(message or ()), *(files or ())]
    raise typer.Exit(asyncio.run(_each(settings, server, wanted, given, as_json)))


async def _each(settings: Settings, server: ForkServer, wanted: list[int | str], given: Given, as_json: bool) -> int:
    """Shows what would happen to each mail, as soon as it is known; the exit status."""
    from gateway.database.store import utc_now
    from gateway.explain import Explainer
    from gateway.read.reader import Readers

    readers, failed = Readers(1, settings.gateway.read_limit, server=server), False
    await readers.start()
    try:
        with Explainer(settings, utc_now) as explainer:
            for one in wanted:
                found, why = await _explained(explainer, readers, one, given)
                failed |= not _shown(found, why, as_json)
    finally:
        readers.stop()
    return int(failed)


async def _explained(
    explainer: Explainer, readers: Readers, wanted: int | str, given: Given
) -> tuple[JsonObject | None, str]:
    """(what would happen to a mail of the inbox or of a file, or why that cannot be told)."""
    if isinstance(wanted, int):
        return await explainer.stored(wanted, readers), f"no message {wanted}"
    try:
        raw = sys.stdin.buffer.read() if wanted == "-" else Path(wanted).read_bytes()
        return await explainer.explained(raw, given, readers), ""
    except OSError as error:
        return None, f"{wanted}: {error}"


def _moment(written: str | None) -> datetime:
    """The time of receipt that was named, else now."""
    from datetime import UTC, datetime

    from gateway.database.store import utc_now

    try:
        moment = datetime.fromisoformat(written) if written else utc_now()
    except ValueError:
        fail(f"--now {written!r} is no ISO 8601 time", 2)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(found: JsonObject | None, why: str, as_json: bool) -> bool:
    """Prints what became of a mail, or why nothing did."""
    from gateway.explain import as_text

    if found is None:
        print(f"gateway: {why}", file=sys.stderr)
        return False
    print(json.dumps(found, ensure_ascii=False) if as_json else safe(as_text(found)))
    return True


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

    settings = context.settings()
    try:
        raw = with_crlf(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
    except OSError as error:
        fail(f"{file}: {error}", 75)
    sender = mail_from if mail_from is not None else return_path(raw)
    handed = pipe.Handed(sender, rcpt or settings.recipients[0], peer, helo)
    if direct:
        raise typer.Exit(_accept_directly(settings, raw, handed))
    where = settings.lmtp_socket
    if where is None:
        fail("no lmtp listener is configured; --direct writes the database itself", 75)
    code, said = pipe.hand_over(where, raw, handed)
    if code:
        print(f"gateway: {safe(said)}", file=sys.stderr)
    raise typer.Exit(code)


def _accept_directly(settings: Settings, raw: bytes, handed: Handed) -> int:
    from gateway import service
    from gateway.database import inbox
    from gateway.database.store import DiskFull, Store, StoreError, utc_now
    from gateway.ingest.client import NO_CLIENT, received_client
    from gateway.ingest.identity import digest_of
    from gateway.ingest.room import DiskRoom
    from gateway.model import Envelope, RawMessage

    if len(raw) > settings.smtp.max_size or not service.policy(settings, lambda: True).accepts_recipient(handed.rcpt):
        print("gateway: refused: too big, or no such mailbox", file=sys.stderr)
        return 65
    client, name = (handed.peer, handed.helo) if handed.peer else received_client(raw[:65536])
    reason = "" if client else NO_CLIENT
    helo = handed.helo or name
    envelope = Envelope(handed.mail_from, (handed.rcpt,), client, helo, "pipe", utc_now(), True, False, reason)
    store = Store(settings.database_url)
    try:
        settings.gateway.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        DiskRoom(settings.gateway.state_dir, settings.smtp.min_free).check(len(raw))
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

    from gateway.database.store import DiskFull, utc_now
    from gateway.ingest import imap, imap_folders, oauth, sources
    from gateway.ingest.halt import Halt
    from gateway.ingest.room import DiskRoom
    from gateway.turns import Turns

    try:
        day = datetime.fromisoformat(since).replace(tzinfo=UTC) if since else None
    except ValueError:
        fail(f"{since!r} is no day; write 2026-11-01", 2)
    with context.store(write=True) as (settings, store):
        chosen = next((one for one in settings.imap if one.name == account), None)
        if chosen is None:
            fail(f"no [[imap]] account is named {account!r}", 2)
        room = DiskRoom(settings.gateway.state_dir, settings.smtp.min_free)
        ledger = sources.StoredLedger(
            store, account, "imap", chosen.silence, utc_now, lambda: None, Turns(utc_now), room.check
        )
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
            fail(str(error) or type(error).__name__, 1)
        except DiskFull as error:
            fail(str(error) or "the disk is full", 1)
    print(f"{count} mails taken in")
