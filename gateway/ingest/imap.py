"""A mailbox over IMAP (RFC 9051) by imapclient, one thread an account: connecting, waiting and beginning again.

What is done with the mails is in ``imap_folders.py``: stored first, together with their UIDs, and moved afterwards.
"""

from __future__ import annotations

import contextlib
import io
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import tenacity
from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from gateway import log
from gateway.database.store import DiskFull, Unavailable
from gateway.ingest.halt import Halt
from gateway.ingest.imap_folders import BATCH_OCTETS, PIECE, SMALL, Away, Folders, Ledger, words
from gateway.ingest.oauth import TokenRefused, Tokens, TokenUnavailable
from gateway.ingest.settings import Imap

LITERAL = max(BATCH_OCTETS, SMALL) * 4 + PIECE  #: more than anything we ask for
STEADY_S = 60.0
AUTH_WAIT_S = 300.0
_NETWORK = tenacity.wait_exponential_jitter(multiplier=1, max=120, jitter=1)
_REFUSED = tenacity.wait_exponential_jitter(multiplier=AUTH_WAIT_S, max=1800, jitter=30)
_LATER = ("[UNAVAILABLE]", "[LIMIT]", "[INUSE]", "[SERVERBUG]", "[CONTACTADMIN]")


class Refused(Exception):
    """The server does not let us in: a person has to look."""


def _backoff(wait: Callable[[tenacity.RetryCallState], float], failures: int) -> float:
    state = tenacity.RetryCallState(retry_object=tenacity.Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = failures
    return wait(state)


class Mailbox:
    """Reads one account until ``halt``. ``run`` is the life of its thread."""

    def __init__(
        self, account: Imap, password: Callable[[], str | None], tokens: Tokens | None, ledger: Ledger,
        halt: Halt,
        clock: Callable[[], datetime], max_size: int,
    ) -> None:  # fmt: skip
        self._account, self._password, self._tokens = account, password, tokens
        self._ledger, self._halt, self._clock = ledger, halt, clock
        self._folders = Folders(
            account, ledger, halt, clock, max_size, lambda lag: self._report(lag=lag, last_mail_at=clock())
        )
        self._failures = 0

    # -- the life of the thread

    def run(self) -> None:
        """Connects, reads, waits, and begins again after a failure, until the stop."""
        while not self._halt.is_set():
            began = self._clock()
            try:
                self._session()
                continue
            except Exception as error:  # the one broad net of this thread: a server may answer anything
                why = _why(error)
                refused = isinstance(error, Refused | TokenRefused)
            if self._halt.is_set():
                break
            if (self._clock() - began).total_seconds() >= STEADY_S:
                self._failures = 0
            self._pause("auth_failed" if refused else "away", why)

    def _pause(self, state: str, why: str) -> None:
        """Tells why it is not read, and waits for the next try."""
        self._failures += 1
        seconds = _backoff(_REFUSED if state == "auth_failed" else _NETWORK, self._failures)
        log.source(self._account.name, state, why)
        self._report(
            state=state, error=why[:300], connected_since=None,
            next_retry_at=self._clock() + timedelta(seconds=seconds),
        )  # fmt: skip
        self._halt.pause(seconds)

    def _report(self, **values: Any) -> None:
        if self._tokens is not None:
            values["token_expires_at"] = self._tokens.expires_at
        with contextlib.suppress(Exception):  # the database may be away too; the next report tells
            self._ledger.report(**values)

    def _session(self) -> None:
        """One connection, until it breaks or the stop."""
        client = self._connect()
        try:
            now = self._clock()
            log.source(self._account.name, "connected", "")
            self._report(state="connected", error="", connected_since=now, next_retry_at=None)
            while not self._halt.is_set():
                self._folders.look(client)
                self._report(state="connected", error=self._folders.trouble[:300], read_at=self._clock(), lag=0)
                self._wait(client)
        finally:
            self._leave(client)

    # -- the connection

    def _connect(self) -> IMAPClient:
        account = self._account
        context = ssl.create_default_context(cafile=str(account.ca_file) if account.ca_file else None)
        try:
            client = IMAPClient(
                account.host, account.connects_to, ssl=account.security == "tls",
                ssl_context=context if account.security == "tls" else None,
                timeout=SocketTimeout(min(account.timeout, 15.0), account.timeout),
            )  # fmt: skip
        except (OSError, EOFError, IMAPClientError) as error:
            raise Away(f"connecting: {words(error)}") from error
        with contextlib.ExitStack() as undo:
            undo.callback(self._leave, client)
            _bounded(client, LITERAL)
            client.normalise_times = False
            if account.security == "starttls":
                client.starttls(context)
            self._login(client)
            self._folders.learn_names(client)
            undo.pop_all()
        return client

    def _login(self, client: IMAPClient) -> None:
        """By password, or by a token that is renewed once when it is refused."""
        try:
            if self._tokens is None:
                password = self._password()
                if password is None:
                    raise Refused("the password file cannot be read")
                client.login(self._account.username, password)
                return
            try:
                client.oauth2_login(self._account.username, self._tokens.access())
            except LoginError as error:
                if isinstance(error.__context__, (IMAPClientAbortError, OSError)):
                    raise
                client.oauth2_login(self._account.username, self._tokens.access(anew=True))
        except LoginError as error:
            text = words(error)
            dropped = isinstance(error.__context__, (IMAPClientAbortError, OSError))
            if dropped or any(code in text for code in _LATER):  # RFC 5530: not about the password
                raise Away(f"logging in: {text}") from error
            raise Refused(f"the server refuses our login: {text}") from error

    @staticmethod
    def _leave(client: IMAPClient) -> None:
        with contextlib.suppress(Exception):
            client.socket().settimeout(2.0)
            client.logout()
        with contextlib.suppress(Exception):
            client.shutdown()

    # -- waiting for mail

    def _wait(self, client: IMAPClient) -> None:
        """IDLE (RFC 2177), renewed by the poll beside it; a plain pause where the server has none."""
        seconds = self._account.poll_interval
        if self._account.idle <= 0 or not client.has_capability("IDLE"):
            self._halt.pause(seconds)
            return
        client.idle()
        if not _buffered(client):
            self._halt.readable(client.socket(), min(seconds, self._account.idle))
        client.idle_done()  # no answer within the timeout: the connection is dead, whatever TCP says

    def asked(self) -> list[str]:
        """Logs in and reads nothing; the configured folders that are read and are not there.

        Raises:
            Refused, Away, TokenRefused, TokenUnavailable, IMAPClientError, OSError: it is not let in.
        """
        client = self._connect()
        try:
            wanted = [self._account.folder, *filter(None, [self._account.junk_folder])]
            return [name for name in wanted if not client.folder_exists(self._folders.name(name))]
        finally:
            self._leave(client)

    def bring(self, folder: str, since: datetime | None) -> int:
        """``gateway import``: the old mails of a folder, on a connection of its own; how many there were.

        Raises:
            Refused, Away, TokenRefused, TokenUnavailable, IMAPClientError, OSError: it broke off; it can be run again.
        """
        client = self._connect()
        try:
            return self._folders.bring(client, folder, since)
        finally:
            self._leave(client)


def _bounded(client: IMAPClient, limit: int) -> None:
    """Refuses a literal that is longer than anything we asked for, before it is read into memory."""
    imap = client._imap
    read = imap.read

    def bounded(size: int) -> bytes:
        if size > limit:
            raise IMAPClientAbortError(f"the server announces a literal of {size} octets")
        data: bytes = read(size)
        return data

    imap.read = bounded


def _buffered(client: IMAPClient) -> bool:
    """Whether the server said more together with the answer to IDLE; the socket alone would not show it."""
    sock = client.socket()
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    file = getattr(client._imap, "_file", None) or getattr(client._imap, "file", None)
    if not isinstance(file, io.BufferedReader):
        return False
    timeout = sock.gettimeout()
    sock.setblocking(False)
    try:
        return bool(file.peek(1))
    except OSError:  # nothing there
        return False
    finally:
        sock.settimeout(timeout)


def _why(error: Exception) -> str:
    """Why a mailbox is not read, in words."""
    if isinstance(error, TokenRefused):
        return f"the token server refuses: {error}"
    if isinstance(error, DiskFull):
        return str(error) or "the disk of the gateway is full"
    if isinstance(error, Refused | Away | TokenUnavailable | Unavailable):
        return str(error)
    if isinstance(error, IMAPClientError | OSError | EOFError):
        return words(error)
    log.loop_fault("mailbox", error)
    return type(error).__name__
