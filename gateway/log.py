"""One function per event: the only place that words a log line.

Key=value on a terminal, JSON under systemd. Never bodies, subjects or secrets; addresses are shortened to
``a***@domain``. Every string is escaped, so no mail can forge a line or send an escape sequence to a terminal.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import select
import stat
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from gateway.model import JsonObject

_lock = threading.Lock()
_stream: TextIO = sys.stderr
_room: select.poll | None = None  #: of a pipe or a socket: whether a piece can be written now
_lost = 0  #: lines since nobody reads the pipe
_cut = False  #: the last line that was begun is not ended
_waited = -1e9  #: when a reader was waited for
PATIENCE_MS, PATIENCE_EVERY_S = 250, 10.0
_PIECE = 4096  #: octets that a pipe with room takes without waiting (PIPE_BUF)
_json = False
_listeners: list[Callable[[JsonObject], None]] = []


def configure(stream: TextIO | None = None, as_json: bool | None = None) -> None:
    """Sets where lines go. Default: standard error, JSON when started by systemd (``$JOURNAL_STREAM``)."""
    global _stream, _room, _lost, _cut, _waited, _json
    _stream, _room, _lost, _cut, _waited = stream or sys.stderr, None, 0, False, -1e9
    with contextlib.suppress(OSError, ValueError, AttributeError):
        mode = os.fstat(_stream.fileno()).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            _room = select.poll()
            _room.register(_stream.fileno(), select.POLLOUT)
    _json = bool(os.environ.get("JOURNAL_STREAM") or os.environ.get("INVOCATION_ID")) if as_json is None else as_json
    for name in ("mail.log", "mail.debug", "aiosmtpd", "mailparser", "alembic", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL if name == "mailparser" else logging.WARNING)


def listen(listener: Callable[[JsonObject], None]) -> Callable[[], None]:
    """Calls ``listener`` with every event from now on; returns how to stop. For tests and the demo."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def masked(address: str | None) -> str:
    """``anna@example.de`` -> ``a***@example.de``."""
    if not address:
        return address if address is not None else "-"
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}" if local else f"***@{domain}"


_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")


def without_addresses(words: str) -> str:
    """The words of another server, which like to name the recipient, with each address shortened."""
    return _ADDRESS.sub(lambda found: masked(found[0]), words)


_BARE = re.compile(r"[A-Za-z0-9\-_.:/@+*<>\[\]#,;%]+")
_ENCODER = json.JSONEncoder(default=str)


def _plain(value: Any) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text)


def _write(line: str) -> None:
    """A log that is closed, or that nobody reads any more, never stops the mail: its lines are lost, and counted."""
    global _lost, _cut
    try:
        if _room is None:
            _stream.write(line + "\n")
            _stream.flush()
            return
        if _lost:
            line = f"{_line(_record('warning', 'log_lines_lost', {'count': _lost}))}\n{line}"
        octets = (b"\n" if _cut else b"") + line.encode("utf-8", "backslashreplace") + b"\n"
        for start in range(0, len(octets), _PIECE):
            if not _room.poll(0) and not _waited_for():
                _lost, _cut = _lost + 1, _cut or start > 0
                return
            os.write(_stream.fileno(), octets[start : start + _PIECE])
        _lost, _cut = 0, False
    except (OSError, ValueError):
        pass


def _waited_for() -> bool:
    """Whether a reader that is late made room in time. Once in ten seconds it is given a quarter of one."""
    global _waited
    now = time.monotonic()
    if _room is None or _lost or now < _waited + PATIENCE_EVERY_S:
        return False
    _waited = now
    return bool(_room.poll(PATIENCE_MS))


def _record(level: str, event: str, fields: JsonObject) -> JsonObject:
    given = {key: value for key, value in fields.items() if value is not None}
    return {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "event": event} | given


def _line(record: JsonObject) -> str:
    return _ENCODER.encode(record) if _json else " ".join(f"{key}={_plain(value)}" for key, value in record.items())


def _emit(level: str, event: str, fields: JsonObject) -> None:
    record = _record(level, event, fields)
    line = _line(record)
    with _lock:
        _write(line)
    for listener in list(_listeners):
        listener(record)


def listener_ignored(scheme: str, configured: list[str], handed: list[str]) -> None:
    """A configured listener that is not opened: systemd's socket unit serves this protocol instead."""
    fields = {"protocol": scheme, "configured": " ".join(configured), "systemd": " ".join(handed)}
    advice = "disable gateway.socket to listen where smtp.listen says"
    _emit("warning", "listener_ignored", fields | {"advice": advice})


def started(version: str, database: str, listeners: list[str]) -> None:
    """The service is ready."""
    _emit("info", "started", {"version": version, "database": database, "listen": ",".join(listeners)})


def stopping(reason: str) -> None:
    """The service drains."""
    _emit("info", "stopping", {"reason": reason})


def stopped(seconds: float) -> None:
    """The service has drained."""
    _emit("info", "stopped", {"seconds": round(seconds, 3)})


def reloaded(changed: tuple[str, ...] = ()) -> None:
    """A reload took effect; ``changed``: the keys."""
    _emit("info", "reloaded", {"changed": "; ".join(changed) or None})


def reload_refused(problem: str) -> None:
    """A reload was refused; the old settings stay."""
    _emit("error", "reload_refused", {"problem": problem})


def purged(kind: str, count: int) -> None:
    """Rows whose time was over are gone (``[retention]``)."""
    _emit("info", "purged", {"kind": kind, "count": count})


def clock_moved(how: str, rows: int) -> None:
    """The clock was set; how many moments that it wrote were put right."""
    _emit(
        "warning",
        "clock_moved",
        {"problem": f"the clock was set {how}", "rows": rows, "do": "timedatectl; chronyc tracking"},
    )


def purge_waits(why: str) -> None:
    """Nothing is removed until the clock has run true for a day; ``gateway privacy purge`` removes it now."""
    _emit("warning", "purge_waits", {"problem": why, "do": "date -u; timedatectl"})


def incident(line: str) -> None:
    """Several tickets are about the same thing; staff were told."""
    _emit("warning", "incident", {"problem": line})


def privacy(what: str, who: str, **fields: Any) -> None:
    """A person exported, erased or held; no address is named."""
    _emit("info", "privacy", {"what": what, "who": who, **fields})


@dataclass(frozen=True, slots=True)
class Taken:
    """An accepted mail as the log tells it: the row it is kept in, whether this arrival made it, its size in octets;
    the id in our 250 and the queue id of the relay that brought it, empty where there is none."""

    message: int
    created: bool
    octets: int
    receipt: str = ""
    queue_id: str = ""


def accepted(taken: Taken, source: str, mail_from: str | None, peer: str | None) -> None:
    """A mail is stored and acknowledged."""
    fields = {"message": taken.message, "receipt": taken.receipt or None, "queue_id": taken.queue_id or None}
    fields |= {"new": taken.created, "source": source, "octets": taken.octets}
    _emit("info", "accepted", fields | {"mail_from": masked(mail_from), "peer": peer})


def refused(peer: str | None, code: int, why: str) -> None:
    """A peer heard a refusal: SMTP code and words."""
    _emit("info", "refused", {"peer": peer, "code": code, "why": why})


def session_fault(incident: str, error: BaseException) -> None:
    """Something unexpected in a mail session; the peer heard 451 with the incident id only."""
    _emit("error", "session_fault", {"incident": incident, **_fault(error)})


def accept_failed(incident: str, error: BaseException) -> None:
    """A mail could not be stored; the peer was told to try again."""
    _emit("error", "accept_failed", {"incident": incident, **_fault(error)})


def decided(message: int, disposition: str, trust: str, ticket: str | None, reply: str | None, why: str) -> None:
    """What became of a mail, with the template of its reply or why there is none."""
    fields = {"message": message, "disposition": disposition, "trust": trust, "ticket": ticket, "reply": reply}
    _emit("info", "decided", fields | {"why": why or None})


def unreadable(message: int, reason: str) -> None:
    """A mail could not be read; it becomes a ticket with the mail attached."""
    _emit("error", "unreadable", {"message": message, "reason": reason})


def parked(message: int, reason: str, error: BaseException | None = None) -> None:
    """A mail is set aside as ``failed``; the next one flows on."""
    _emit("error", "parked", {"message": message, "reason": reason, "where": where(error) if error else None})


def sent(outbox: int, template: str, to: str, attempts: int, answer: str = "") -> None:
    """The relay took a reply, with the words ``answer``, among them its queue id as a rule."""
    fields = {"outbox": outbox, "template": template, "to": masked(to), "attempts": attempts}
    _emit("info", "sent", fields | {"answer": without_addresses(answer) or None})


def postponed(outbox: int, code: int, detail: str, next_at: datetime) -> None:
    """The relay did not take a reply now."""
    fields = {"outbox": outbox, "code": code, "detail": without_addresses(detail), "next_at": next_at.isoformat()}
    _emit("warning", "postponed", fields)


def dead(outbox: int, template: str, detail: str) -> None:
    """A reply is given up."""
    _emit("error", "dead", {"outbox": outbox, "template": template, "detail": without_addresses(detail)})


def relay_paused(detail: str, seconds: float, refused: bool) -> None:
    """The relay takes nothing now; replies wait. ``refused``: until a person does something."""
    level = "error" if refused else "warning"
    _emit(level, "relay_paused", {"detail": without_addresses(detail), "seconds": round(seconds), "refused": refused})


def relay_resumed() -> None:
    """The relay takes mail again."""
    _emit("info", "relay_resumed", {})


def clock(ticket: str, what: str, late_s: float) -> None:
    """A promise is due, or broken."""
    _emit("warning" if what != "limit" else "error", "clock", {"ticket": ticket, "what": what, "late_s": round(late_s)})


def acted(who: str, what: str, thing: str) -> None:
    """A person did something to a mail or a reply: released, discarded, tried again."""
    if not _stream.isatty():  # at a terminal the command's own answer is enough
        _emit("info", "acted", {"who": who, "what": what, "object": thing})


def directory(accounts: int, addresses: int, orders: int, without_address: int) -> None:
    """A directory was loaded; ``without_address``: accounts whose people nobody knows when they write."""
    counts = {"accounts": accounts, "addresses": addresses, "orders": orders, "without_address": without_address}
    _emit("warning" if accounts and without_address == accounts else "info", "directory", counts)


def deaf(why: str) -> None:
    """What other nodes say is not heard for a while; the tables are looked into more often meanwhile."""
    warning("deaf", why=why)


def directory_refused(problem: str) -> None:
    """A directory was refused; the last good one stays."""
    _emit("error", "directory_refused", {"problem": problem})


def problem(check: str, line: str) -> None:
    """A health check that has failed for a while; staff are told."""
    _emit("error", "problem", {"check": check, "line": without_addresses(line)})


def problem_over(check: str) -> None:
    """A check that ``problem`` told of is well again."""
    _emit("info", "problem_over", {"check": check})


AGAIN_S = 60.0
_said: dict[str, tuple[str, float]] = {}  #: of each loop: what it met last, and when that was said


def _fault(error: BaseException) -> JsonObject:
    """What may be said of an exception: its text only where it is ours."""
    why = str(error)[:300] if getattr(error, "tellable", False) else None
    return {"error": type(error).__name__, "why": why, "where": where(error)}


def loop_fault(name: str, error: BaseException) -> None:
    """A background loop met something unexpected and goes on. What it meets every second is said once a minute."""
    said = _fault(error)
    if said["why"] is not None:
        last, at = _said.get(name, ("", 0.0))
        if last == said["why"] and time.monotonic() - at < AGAIN_S:
            return
        _said[name] = said["why"], time.monotonic()
    _emit("error", "loop_fault", {"loop": name, **said})


def source(name: str, state: str, why: str) -> None:
    """A mailbox changed its state, or something about it needs a look."""
    _emit("info" if state == "connected" else "warning", "source", {"source": name, "state": state, "why": why})


def late_uids(name: str, folder: str, uids: str) -> None:
    """A mailbox has given UIDs that it does not list: they are asked for again until they come or are old."""
    _emit("info", "late_uids", {"source": name, "folder": folder, "uids": uids})


def reader_killed(reason: str) -> None:
    """The reader process was ended and is replaced."""
    _emit("warning", "reader_killed", {"reason": reason})


def warning(what: str, **fields: Any) -> None:
    """A condition that an operator should know."""
    _emit("warning", what, fields)


def where(error: BaseException) -> str:
    """``file:line`` chain of an exception, innermost last, without its text (the text may quote a mail)."""
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}")
        trace = trace.tb_next
    return ">".join(frames[-6:])
