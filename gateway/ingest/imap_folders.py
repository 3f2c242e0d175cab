"""The folders of a mailbox: what is new in them is stored, then moved. Everything about one connection is in
``imap.py``.

UIDVALIDITY and the highest settled UID say where to go on (RFC 9051 section 2.3.1.1); whatever breaks is raised, the
connection is dropped and the folder looked at again. What is missing in an answer is not deleted: only a mail that the
server lists no more is gone. A mail that cannot be fetched is set aside after three tries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError
from imapclient.response_parser import parse_message_list

from gateway import log, metrics
from gateway.ingest.client import delivered_to, return_path
from gateway.ingest.halt import Halt
from gateway.ingest.imap_late import Late
from gateway.ingest.settings import Imap
from gateway.model import Accepted, Envelope, RawMessage
from gateway.tickets.mailboxes import KEPT, TO_MOVE, Cursor

PIECE = 1024 * 1024
SMALL = 256 * 1024
BATCH, BATCH_OCTETS = 50, 2 * 1024**2
LOOK = 500  #: mails whose sizes are asked for at once
MANY = 40_000  #: UIDs in one SEARCH answer; imaplib takes a line of 1 MB
TRIES = 3
MAIL, JUNK, OLD = "imap", "junk", "import"  #: what a folder is read as; the first part of a mail's source
RECONCILE_S = 86400.0
UNSIZED = SMALL + 1


class Away(Exception):
    """The mailbox cannot be read now."""


class Ledger(Protocol):
    """What is committed about a mailbox; every call waits for its commit."""

    def opened(self, folder: str, uidvalidity: int, next_uid: int, from_now: bool) -> Cursor: ...
    def known(self, cursor: Cursor, above: int) -> dict[int, str]: ...
    def store(self, cursor: Cursor, uid: int, state: str, message: RawMessage) -> Future[Accepted]: ...
    def settled(self, cursor: Cursor, last_uid: int) -> None: ...
    def poisoned(self, cursor: Cursor, uid: int, line: str) -> None: ...
    def moved(self, cursor: Cursor, uids: Iterable[int]) -> None: ...
    def kept(self, cursor: Cursor, uids: Iterable[int]) -> None: ...
    def reconciled(self, cursor: Cursor, on_server: set[int]) -> None: ...
    def report(self, **values: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail as the server lists it."""

    uid: int
    size: int  #: octets; ``UNSIZED`` where the server does not say, for which it is fetched in pieces
    received_at: datetime


class Folders:
    """The folders of one account, over whatever connection there is."""

    def __init__(
        self, account: Imap, ledger: Ledger, halt: Halt, clock: Callable[[], datetime], max_size: int,
        progress: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._account, self._ledger, self._halt, self._clock = account, ledger, halt, clock
        self._max_size, self._progress = max_size, progress
        self._alone: set[tuple[str, int, int]] = set()  # mails whose batch failed: fetched one by one
        self._tries: dict[tuple[str, int, int], int] = {}
        self._partial: tuple[tuple[str, int, int], bytearray] | None = None
        self._ended_at: tuple[tuple[str, int, int], int] | None = None  # where a mail ended before its size was reached
        self._asked: dict[tuple[str, int, int], int] = {}  # mails of which the server says nothing, how often
        self._late: dict[tuple[str, int], Late] = {}
        self._delimiter, self._prefix = "/", ""
        self.trouble = ""  #: what does not stop the reading: a folder that is not there

    def learn_names(self, client: IMAPClient) -> None:
        """How this server writes folder names."""
        if client.has_capability("NAMESPACE"):
            personal = client.namespace().personal
            if personal:
                self._prefix, self._delimiter = str(personal[0][0] or ""), str(personal[0][1] or "/")

    def name(self, name: str) -> str:
        """A configured folder name in the server's words: its delimiter for ``/``, its prefix where one is needed."""
        if name.upper() == "INBOX":
            return "INBOX"
        written = name.replace("/", self._delimiter)
        return written if written.startswith(self._prefix) else self._prefix + written

    # -- looking at the folders

    def look(self, client: IMAPClient) -> None:
        """Takes in what is new in every folder."""
        self.trouble = ""
        if self._account.junk_folder is not None:
            try:
                self._read(client, self._account.junk_folder, JUNK)
            except IMAPClientAbortError:
                raise
            except IMAPClientError as error:
                self.trouble = f"junk_folder {self._account.junk_folder}: {words(error)}"
        self._read(client, self._account.folder, MAIL)

    def _read(self, client: IMAPClient, folder: str, kind: str) -> None:
        try:
            chosen = client.select_folder(self.name(folder), readonly=kind == JUNK)
        except IMAPClientAbortError:
            raise
        except IMAPClientError as error:
            if kind == JUNK:
                raise
            raise Away(f"folder {folder}: {words(error)}") from error
        if b"UIDVALIDITY" not in chosen:
            raise Away(f"folder {folder}: the server gives no UIDVALIDITY")
        next_uid, count = int(chosen.get(b"UIDNEXT", 0)), int(chosen.get(b"EXISTS", 0))
        from_now = self._account.start_from == "now"
        if not next_uid:
            next_uid = max(self._uids(client, 1, count), default=0) + 1
        cursor = self._ledger.opened(folder, int(chosen[b"UIDVALIDITY"]), next_uid, from_now)
        known = self._ledger.known(cursor, cursor.last_uid)
        if count and next_uid > cursor.last_uid + 1:
            self._take_above(client, folder, cursor, (known, next_uid, count), kind)
        left = [uid for uid, state in known.items() if state == TO_MOVE]
        if left and kind == MAIL:
            self._move(client, cursor, left, self._account.done_folder)
        due = cursor.reconciled_at is None or (self._clock() - cursor.reconciled_at).total_seconds() >= RECONCILE_S
        if due:
            self._reconcile(client, folder, cursor, count, kind)

    def _take_above(
        self, client: IMAPClient, folder: str, cursor: Cursor, stands: tuple[Mapping[int, str], int, int], kind: str
    ) -> None:
        """What the server lists above the cursor, which stops below a UID that may still come.

        Args:
            stands: (``{uid: state}`` of what is known, UIDNEXT, how many mails are there).
        """
        known, next_uid, count = stands
        listed = self._uids(client, cursor.last_uid + 1, count)
        late = self._late.setdefault((folder, cursor.uidvalidity), Late())
        fresh = late.looked({*listed, *known}, cursor.last_uid, next_uid, self._clock())
        if fresh:
            log.late_uids(self._account.name, folder, fresh)
        waiting = [uid for uid in listed if uid not in known]
        self._take(client, folder, cursor, waiting, kind)
        if listed and not waiting and not self._halt.is_set():
            self._ledger.settled(cursor, late.below(listed[-1]))

    def _uids(self, client: IMAPClient, low: int, count: int) -> list[int]:
        """The UIDs from ``low`` up, ascending; in several questions when there are very many."""
        marks: list[int] = []
        if count > MANY:
            places = list(range(MANY, count, MANY))
            client.use_uid = False
            try:
                found = client.fetch(places, ["UID"])
            finally:
                client.use_uid = True
            marks = sorted(int(item[b"UID"]) for item in found.values() if b"UID" in item)
        uids: set[int] = set()
        for first, last in zip([1, *(mark + 1 for mark in marks)], [*map(str, marks), "*"], strict=True):
            if last == "*" or int(last) >= low:
                uids.update(_search(client, f"{max(first, low)}:{last}"))
        if not uids and count:
            raise Away(f"the server has {count} mails and lists none")
        return sorted(uid for uid in uids if uid >= low)  # "n:*" names the last mail even when it is below n

    def _reconcile(self, client: IMAPClient, folder: str, cursor: Cursor, count: int, kind: str) -> None:
        """Once a day: every UID of the server against ours; what was missed is taken in."""
        on_server = set(self._uids(client, 1, count)) if count else set()
        known = self._ledger.known(cursor, 0)
        missed = sorted(uid for uid in on_server if uid not in known and uid <= cursor.last_uid)
        if missed:
            self._take(client, folder, cursor, missed, kind)
        if not self._halt.is_set():  # else it may have ended half-way: it is due again
            self._ledger.reconciled(cursor, on_server)

    def bring(self, client: IMAPClient, folder: str, since: datetime | None) -> int:
        """Takes in the mails of a folder that are not known yet and not older than ``since``; how many there were. They
        stay where they are."""
        chosen = client.select_folder(self.name(folder), readonly=True)
        count = int(chosen.get(b"EXISTS", 0))
        uids = self._uids(client, 1, count) if count else []
        cursor = self._ledger.opened(folder, int(chosen.get(b"UIDVALIDITY", 0)), max(uids, default=0) + 1, True)
        known = self._ledger.known(cursor, 0)
        brought = 0
        for start in range(0, len(uids), LOOK):
            fresh = [uid for uid in uids[start : start + LOOK] if uid not in known]
            mails = self._listed(client, folder, cursor, fresh)
            wanted = [mail for mail in mails if since is None or mail.received_at >= since]
            for batch in self._batches(folder, cursor, wanted):
                self._store(client, folder, cursor, batch, OLD)
                brought += len(batch)
        return brought

    # -- taking mails in

    def _take(self, client: IMAPClient, folder: str, cursor: Cursor, uids: Sequence[int], kind: str) -> None:
        """Stores these mails in order; what was there before the account was configured is left alone."""
        lag = len(uids)
        for start in range(0, len(uids), LOOK):
            chunk = uids[start : start + LOOK]
            mails = [mail for mail in self._listed(client, folder, cursor, chunk) if not self._before_us(cursor, mail)]
            for batch in self._batches(folder, cursor, mails):
                if self._halt.is_set():
                    return
                self._store(client, folder, cursor, batch, kind)
                lag -= len(batch)
                self._progress(lag)
            late = self._late.get((folder, cursor.uidvalidity))
            self._ledger.settled(cursor, late.below(chunk[-1]) if late is not None else chunk[-1])

    @staticmethod
    def _before_us(cursor: Cursor, mail: _Mail) -> bool:
        return cursor.since is not None and mail.uid < cursor.old_below and mail.received_at < cursor.since

    def _listed(self, client: IMAPClient, folder: str, cursor: Cursor, uids: Sequence[int]) -> list[_Mail]:
        """Size and time of receipt; what another client has deleted meanwhile is missing."""
        items = ["RFC822.SIZE", "INTERNALDATE"]
        found = dict(client.fetch(list(uids), items))
        if unsaid := [uid for uid in uids if b"RFC822.SIZE" not in found.get(uid, {})]:
            still = self._still_there(client, unsaid)
            again = client.fetch(still, items)
            found |= {uid: found.get(uid, {}) | again.get(uid, {}) for uid in still}
            self._untold(folder, cursor, [uid for uid in still if not found[uid]])
        now = self._clock()
        mails = []
        for uid in (uid for uid in uids if uid in found):
            received = _received(found[uid].get(b"INTERNALDATE"), now)
            mails.append(_Mail(uid, int(found[uid].get(b"RFC822.SIZE", UNSIZED)), received))
        return mails

    def _untold(self, folder: str, cursor: Cursor, uids: Sequence[int]) -> None:
        """Mails of which the server says nothing are asked for anew; after some tries they are fetched without that."""
        keys = [(folder, cursor.uidvalidity, uid) for uid in uids]
        for key in keys:
            self._asked[key] = self._asked.get(key, 0) + 1
        if young := [key for key in keys if self._asked[key] <= TRIES]:
            raise Away(f"the server lists the mail with UID {young[0][2]} and says nothing of it")
        for key in keys:
            del self._asked[key]

    @staticmethod
    def _still_there(client: IMAPClient, uids: Sequence[int]) -> list[int]:
        """Those of the UIDs that the server still lists: the others are deleted."""
        there = set(_search(client, ",".join(map(str, uids))))
        return [uid for uid in uids if uid in there]

    def _batches(self, folder: str, cursor: Cursor, mails: Sequence[_Mail]) -> Iterator[list[_Mail]]:
        batch: list[_Mail] = []
        for mail in mails:
            alone = mail.size > SMALL or (folder, cursor.uidvalidity, mail.uid) in self._alone
            full = len(batch) >= BATCH or sum(m.size for m in batch) + mail.size > BATCH_OCTETS
            if batch and (alone or full):
                yield batch
                batch = []
            if alone:
                yield [mail]
            else:
                batch.append(mail)
        if batch:
            yield batch

    def _store(self, client: IMAPClient, folder: str, cursor: Cursor, batch: Sequence[_Mail], kind: str) -> None:
        """Fetches, commits, moves. A mail that cannot be fetched three times by itself is set aside."""
        keys = [(folder, cursor.uidvalidity, mail.uid) for mail in batch]
        if len(batch) == 1 and self._tries.get(keys[0], 0) >= TRIES:
            self._poison(client, folder, cursor, batch[0], kind)
            return
        try:
            contents = self._fetched(client, keys[0], batch)
        except Exception:  # whatever the server answered: these mails are fetched one by one, and it is raised again
            if not self._halt.is_set():
                self._alone.update(keys)
                if len(batch) == 1:
                    self._tries[keys[0]] = self._tries.get(keys[0], 0) + 1
            raise
        state = TO_MOVE if self._account.done_folder is not None and kind == MAIL else KEPT
        futures = [
            self._ledger.store(cursor, mail.uid, state, RawMessage(raw, self._envelope(mail, raw, cut, kind)))
            for mail, raw, cut in contents
        ]
        for (_, raw, _), future in zip(contents, futures, strict=True):
            accepted = future.result()
            metrics.ACCEPTED.labels("imap", str(accepted.created).lower()).inc()
            log.accepted(log.Taken(accepted.id, accepted.created, len(raw)), self._source(kind), return_path(raw), None)
        for key in keys:
            self._tries.pop(key, None)
            self._alone.discard(key)
        if state == TO_MOVE:
            self._move(client, cursor, [mail.uid for mail, _, cut in contents if not cut], self._account.done_folder)
        if kind == MAIL:
            self._move(client, cursor, [mail.uid for mail, _, cut in contents if cut], self._account.failed_folder)

    def _fetched(
        self, client: IMAPClient, key: tuple[str, int, int], batch: Sequence[_Mail]
    ) -> list[tuple[_Mail, bytes | bytearray, bool]]:
        """(mail, its bytes, whether they are only its beginning); what is gone is missing."""
        if len(batch) == 1 and batch[0].size > SMALL:
            return self._in_pieces(client, key, batch[0])
        found = client.fetch([mail.uid for mail in batch], ["BODY.PEEK[]"])
        contents: list[tuple[_Mail, bytes | bytearray, bool]] = []
        for mail in batch:
            item = found.get(mail.uid)
            raw = item.get(b"BODY[]") if item is not None else None
            if isinstance(raw, bytes) and (raw or not mail.size):
                contents.append((mail, raw, False))
            elif item is not None or self._still_there(client, [mail.uid]):
                raise Away(f"the server gives the mail with UID {mail.uid} without its content")
        return contents

    def _in_pieces(
        self, client: IMAPClient, key: tuple[str, int, int], mail: _Mail
    ) -> list[tuple[_Mail, bytes | bytearray, bool]]:
        """A large mail, a megabyte at a time, going on where a lost connection stopped; of one that is larger than we
        take, the first megabyte only."""
        if self._partial is None or self._partial[0] != key:
            self._partial = (key, bytearray())
        whole = self._partial[1]
        too_large = mail.size > self._max_size
        while True:
            if self._halt.is_set():
                raise Away("stopping")
            item = client.fetch([mail.uid], [f"BODY.PEEK[]<{len(whole)}.{PIECE}>"]).get(mail.uid)
            if item is None and not self._still_there(client, [mail.uid]):
                self._partial = None
                return []
            piece = next((value for name, value in (item or {}).items() if name.startswith(b"BODY[]")), b"") or b""
            if not piece and (not whole or self._ends_early(key, mail, len(whole))):
                raise Away(f"the server gives the mail with UID {mail.uid} without its content")
            whole += piece
            self._tries.pop(key, None)  # it moves on
            too_large = too_large or len(whole) > self._max_size  # some servers only guess the size
            if too_large or len(piece) < PIECE:
                break
        self._partial = None
        if too_large:
            del whole[PIECE:]
        return [(mail, whole, too_large)]

    def _ends_early(self, key: tuple[str, int, int], mail: _Mail, length: int) -> bool:
        """Whether a mail seems to end below the size that was said; one that ends there twice has been sized
        wrongly."""
        again = self._ended_at == (key, length)
        self._ended_at = (key, length)
        return length < mail.size and not again

    def _source(self, kind: str) -> str:
        return f"{kind}:{self._account.name}"

    def _envelope(self, mail: _Mail, raw: bytes | bytearray, cut: bool, kind: str) -> Envelope:
        note = f"; only the first {len(raw)} of {mail.size} octets were taken in" if cut else ""
        return Envelope(
            mail_from=return_path(raw),
            rcpt_tos=delivered_to(raw),
            client=None,
            helo=None,
            source=self._source(kind),
            received_at=mail.received_at,
            trusted=False,
            tls=self._account.security != "none",
            client_reason=f"read from a mailbox{note}",
        )

    # -- moving

    def _move(self, client: IMAPClient, cursor: Cursor, uids: Sequence[int], folder: str | None) -> None:
        """Moves stored mails (RFC 6851, or COPY, \\Deleted and UID EXPUNGE); what cannot be moved now stays known."""
        if not uids or folder is None:
            return
        try:
            gone = self._moved(client, list(uids), self.name(folder))
        except IMAPClientAbortError:
            raise
        except IMAPClientError as error:
            self.trouble = f"mails cannot be moved to {folder}: {words(error)}"
            log.source(self._account.name, "trouble", self.trouble)
            return
        if gone:
            self._ledger.moved(cursor, uids)
        else:
            self._ledger.kept(cursor, uids)

    def _moved(self, client: IMAPClient, uids: list[int], folder: str) -> bool:
        """Whether they are out of the folder now, and not only marked."""
        for attempt in (1, 2):
            try:
                if client.has_capability("MOVE"):
                    client.move(uids, folder)
                    return True
                client.copy(uids, folder)
                break
            except IMAPClientAbortError:
                raise
            except IMAPClientError:
                if attempt == 2 or client.folder_exists(folder):
                    raise
                client.create_folder(folder)
        client.delete_messages(uids, silent=True)
        if not client.has_capability("UIDPLUS"):  # a plain EXPUNGE would remove what others have marked
            return False
        client.uid_expunge(uids)
        return True

    def _poison(self, client: IMAPClient, folder: str, cursor: Cursor, mail: _Mail, kind: str) -> None:
        line = f"{self._account.name}: the mail with UID {mail.uid} in {folder} ({mail.size} octets) cannot be fetched"
        log.source(self._account.name, "poison", line)
        self._ledger.poisoned(cursor, mail.uid, line)
        self._tries.pop((folder, cursor.uidvalidity, mail.uid), None)
        if kind == MAIL:
            self._move(client, cursor, [mail.uid], self._account.failed_folder)


def _received(told: object, now: datetime) -> datetime:
    """The server's time of receipt, never ahead; ``now`` where it is none, or one that no calendar has."""
    if not isinstance(told, datetime):
        return now
    try:
        return min((told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC), now)
    except (OverflowError, ValueError):
        return now


def _search(client: IMAPClient, uids: str) -> list[int]:
    """Those of a UID set that are there; the answer may stand in several lines (RFC 3501 section 7.2.5)."""
    lines = client._raw_command_untagged(b"SEARCH", [b"UID", uids.encode("ascii")])
    return [uid for line in lines for uid in parse_message_list([line])]


def words(error: BaseException) -> str:
    """What a server or the network said, on one short line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(said.split())
    text = "".join(char if char.isprintable() else "?" for char in text)
    return (text or type(error).__name__)[:200]
