"""An IMAP server in a thread that misbehaves as told: enough of RFC 9051 for our client, and every way to break off."""

from __future__ import annotations

import bisect
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

CAPABILITIES = "IMAP4rev1 IDLE MOVE UIDPLUS NAMESPACE AUTH=XOAUTH2 SASL-IR"


@dataclass
class Stored:
    """A mail on the server. ``raw`` may be a function of (offset, length) for mails too large to hold."""

    uid: int
    raw: bytes | Callable[[int, int], bytes]
    size: int = 0
    at: datetime | str = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)

    def __post_init__(self) -> None:
        if isinstance(self.raw, bytes) and not self.size:
            self.size = len(self.raw)

    def part(self, offset: int, length: int) -> bytes:
        return self.raw[offset : offset + length] if isinstance(self.raw, bytes) else self.raw(offset, length)


@dataclass
class Box:
    """A folder."""

    mails: list[Stored] = field(default_factory=list)
    uidvalidity: int = 1
    uidnext: int = 1

    def add(self, raw: bytes, **more: object) -> Stored:
        mail = Stored(self.uidnext, raw, **more)  # type: ignore[arg-type]
        self.mails.append(mail)
        self.uidnext += 1
        return mail


class _Cut(Exception):
    """The connection ends here."""


class Server:
    """``fault(step, line)`` says how to misbehave: bye, drop, no:TEXT, half, long, short, huge, drip, stall, nothing, empty,
    unsized (no RFC822.SIZE), silent (no answer for the mail) or lines (an answer to SEARCH in several).

    Steps: greeting LOGIN AUTHENTICATE NAMESPACE SELECT SEARCH LIST BODY MOVE COPY STORE EXPUNGE IDLE DONE.
    """

    def __init__(self, fault: Callable[[str, str], str] = lambda step, line: "") -> None:
        self.boxes: dict[str, Box] = {"INBOX": Box()}
        self.fault = fault
        self.capabilities = CAPABILITIES
        self.accept_token: Callable[[str], bool] = lambda token: True
        self.log: list[tuple[str, str]] = []
        self.late: set[int] = set()  #: UIDs that are given and not listed yet
        self.sent = 0
        self.connections = 0
        self.idling = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def steps(self, step: str) -> list[str]:
        return [line for name, line in self.log if name == step]

    def close(self) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(10)
        for sock in self._open:
            sock.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            _Session(self, sock).run()
        except (OSError, _Cut, ValueError):
            pass
        finally:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def wait(self, seconds: float) -> None:
        self._ended.wait(seconds)


class _Session:
    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.server, self.sock = server, sock
        self.file = sock.makefile("rb")
        self.box: Box | None = None
        self.how = ""

    def send(self, data: bytes | str) -> None:
        data = data.encode() if isinstance(data, str) else data
        if self.how == "drip":
            for start in range(0, len(data), 7):
                self.sock.sendall(data[start : start + 7])
                self.server.wait(0.0005)
        else:
            self.sock.sendall(data)
        self.server.sent += len(data)

    def step(self, name: str, line: str = "", tag: str = "") -> bool:
        """Logs a step and misbehaves; false when the command was refused."""
        self.server.log.append((name, line))
        self.how = self.server.fault(name, line)
        if self.how == "drop":
            raise _Cut
        if self.how == "bye":
            self.send("* BYE the server goes away\r\n")
            raise _Cut
        if self.how == "stall":
            self.server._ended.wait()
            raise _Cut
        if self.how.startswith("no:"):
            self.send(f"{tag} NO {self.how[3:]}\r\n")
            return False
        return True

    def run(self) -> None:
        self.step("greeting")
        self.send("* OK ready\r\n")
        while line := self.file.readline():
            tag, _, rest = line.decode().strip().partition(" ")
            word, _, arguments = rest.partition(" ")
            if word.upper() == "UID":
                word, _, arguments = arguments.partition(" ")
                word = "UID" + word
            while arguments.endswith("}"):  # a literal
                size = int(arguments[arguments.rindex("{") + 1 : -1])
                self.send("+ go on\r\n")
                arguments = arguments[: arguments.rindex("{")] + '"' + self.file.read(size).decode() + '"'
                arguments += self.file.readline().decode().strip()
            handler = getattr(self, "do_" + word.lower(), None)
            if handler is None:
                self.send(f"{tag} BAD unknown\r\n")
            else:
                handler(tag, arguments)
            if word.upper() == "LOGOUT":
                return

    def ok(self, tag: str) -> None:
        self.send(f"{tag} OK done\r\n")

    def do_capability(self, tag: str, _: str) -> None:
        self.send(f"* CAPABILITY {self.server.capabilities}\r\n")
        self.ok(tag)

    def do_noop(self, tag: str, _: str) -> None:
        self.ok(tag)

    def do_logout(self, tag: str, _: str) -> None:
        self.send("* BYE bye\r\n")
        self.ok(tag)

    def do_namespace(self, tag: str, _: str) -> None:
        if self.step("NAMESPACE", "", tag):
            self.send('* NAMESPACE (("" "/")) NIL NIL\r\n')
            self.ok(tag)

    def do_login(self, tag: str, arguments: str) -> None:
        if self.step("LOGIN", arguments, tag):
            self.ok(tag)

    def do_authenticate(self, tag: str, arguments: str) -> None:
        import base64

        self.send("+ \r\n")
        token = base64.b64decode(self.file.readline()).decode().partition("Bearer ")[2].strip("\1")
        if self.step("AUTHENTICATE", token, tag):
            if self.server.accept_token(token):
                self.ok(tag)
            else:
                self.send(f"{tag} NO [AUTHENTICATIONFAILED] bad token\r\n")

    def do_select(self, tag: str, arguments: str) -> None:
        name = arguments.strip('"')
        if not self.step("SELECT", name, tag):
            return
        box = self.server.boxes.get(name)
        if box is None:
            self.send(f"{tag} NO [NONEXISTENT] no such folder\r\n")
            return
        self.box = box
        self.send(f"* FLAGS (\\Seen)\r\n* {len(box.mails)} EXISTS\r\n* 0 RECENT\r\n")
        self.send(f"* OK [UIDVALIDITY {box.uidvalidity}] ok\r\n* OK [UIDNEXT {box.uidnext}] ok\r\n")
        self.send(f"{tag} OK [READ-WRITE] done\r\n")

    do_examine = do_select

    def do_create(self, tag: str, arguments: str) -> None:
        self.server.boxes[arguments.strip('"')] = Box()
        self.ok(tag)

    def do_list(self, tag: str, arguments: str) -> None:
        name = arguments.rpartition(" ")[2].strip('"')
        if name in self.server.boxes:
            self.send(f'* LIST () "/" "{name}"\r\n')
        self.ok(tag)

    def chosen(self, what: str) -> list[Stored]:
        assert self.box is not None
        highest = max((mail.uid for mail in self.box.mails), default=0)
        found: dict[int, Stored] = {}
        for item in what.split(","):
            first, colon, last = item.partition(":")
            low = highest if first == "*" else int(first)
            high = (highest if last == "*" else int(last)) if colon else low
            low, high = min(low, high), max(low, high)
            first_at, after = (
                bisect.bisect_left(self.box.mails, uid, key=lambda mail: mail.uid) for uid in (low, high + 1)
            )
            found |= {mail.uid: mail for mail in self.box.mails[first_at:after]}
        return [found[uid] for uid in sorted(found)]

    def do_uidsearch(self, tag: str, arguments: str) -> None:
        if self.step("SEARCH", arguments, tag):
            what = re.search(r"UID\s+(\S+?)\)?$", arguments)
            assert what is not None, arguments
            found = [str(mail.uid) for mail in self.chosen(what[1].strip('"')) if mail.uid not in self.server.late]
            for start in range(0, len(found), 2) if self.how == "lines" else ():
                self.send("* SEARCH " + " ".join(found[start : start + 2]) + "\r\n")
            if self.how not in ("lines", "silent"):
                self.send("* SEARCH " + " ".join(found) + "\r\n")
            self.ok(tag)

    def do_fetch(self, tag: str, arguments: str) -> None:
        """By sequence number: UIDs only."""
        assert self.box is not None
        for number in arguments.split()[0].split(","):
            self.send(f"* {number} FETCH (UID {self.box.mails[int(number) - 1].uid})\r\n")
        self.ok(tag)

    def do_uidfetch(self, tag: str, arguments: str) -> None:
        uids, _, items = arguments.partition(" ")
        body = re.search(r"BODY\.PEEK\[\](?:<(\d+)\.(\d+)>)?", items)
        if not self.step("BODY" if body else "LIST", uids, tag):
            return
        assert self.box is not None
        self.server.log.append(("ITEMS", items))
        for mail in self.chosen(uids):
            number = bisect.bisect_left(self.box.mails, mail.uid, key=lambda one: one.uid) + 1
            if self.how == "silent" or mail.uid in self.server.late:
                continue
            if body is None and self.how == "unsized":
                self.send(f"* {number} FETCH (UID {mail.uid})\r\n")
                continue
            if body is None:
                at = mail.at if isinstance(mail.at, str) else mail.at.strftime("%d-%b-%Y %H:%M:%S +0000")
                self.send(f'* {number} FETCH (UID {mail.uid} RFC822.SIZE {mail.size} INTERNALDATE "{at}")\r\n')
                continue
            if self.how == "nothing":
                self.send(f"* {number} FETCH (UID {mail.uid} BODY[] NIL)\r\n")
                continue
            if self.how == "empty":
                self.send(f"* {number} FETCH (UID {mail.uid} BODY[] {{0}}\r\n)\r\n")
                continue
            offset, length = (int(body[1]), int(body[2])) if body[1] else (0, mail.size)
            data = mail.part(offset, length)
            name = f"BODY[]<{offset}>" if body[1] else "BODY[]"
            announced = {"long": len(data) + 10, "short": len(data) // 2, "huge": 10**10}.get(self.how, len(data))
            self.send(f"* {number} FETCH (UID {mail.uid} {name} {{{announced}}}\r\n")
            if self.how == "half":
                self.send(data[: len(data) // 2])
                raise _Cut
            self.send(data + b")\r\n")
        self.ok(tag)

    def _taken(self, uids: str, name: str, tag: str, remove: bool) -> bool:
        if name not in self.server.boxes:
            self.send(f"{tag} NO [TRYCREATE] no such folder\r\n")
            return False
        assert self.box is not None
        for mail in self.chosen(uids):
            self.server.boxes[name].add(mail.raw, size=mail.size, at=mail.at)  # type: ignore[arg-type]
            if remove:
                self.box.mails.remove(mail)
        return True

    def do_uidmove(self, tag: str, arguments: str) -> None:
        uids, _, name = arguments.partition(" ")
        if self.step("MOVE", arguments, tag) and self._taken(uids, name.strip('"'), tag, True):
            self.ok(tag)

    def do_uidcopy(self, tag: str, arguments: str) -> None:
        uids, _, name = arguments.partition(" ")
        if self.step("COPY", arguments, tag) and self._taken(uids, name.strip('"'), tag, False):
            self.ok(tag)

    def do_uidstore(self, tag: str, arguments: str) -> None:
        if self.step("STORE", arguments, tag):
            self.ok(tag)

    def do_uidexpunge(self, tag: str, arguments: str) -> None:
        if self.step("EXPUNGE", arguments, tag):
            assert self.box is not None
            for mail in self.chosen(arguments):
                self.box.mails.remove(mail)
            self.ok(tag)

    def do_idle(self, tag: str, _: str) -> None:
        if not self.step("IDLE", "", tag):
            return
        self.send("+ idling\r\n")
        self.server.idling.set()
        if self.file.readline().strip().upper() == b"DONE" and self.step("DONE", "", tag):
            self.ok(tag)
