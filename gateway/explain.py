"""``gateway explain``: what would happen to a mail and why, by the same code as the daemon, writing nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from gateway import service
from gateway.config import Settings
from gateway.database import inbox
from gateway.database.store import Store, StoreError
from gateway.ingest.client import return_path
from gateway.ingest.identity import digest_of
from gateway.judge import Hand, Judge
from gateway.mail.header import header_end
from gateway.model import FACT_KINDS, AuthorStatus, Decision, Disposition, Envelope, Incoming, JsonObject, mail_start
from gateway.read.author import author_of
from gateway.read.reader import Readers
from gateway.replies.render import Templates
from gateway.tickets import copies, desk, replays, staff_requests, staffmail
from gateway.tickets.occasion import Occasion
from gateway.verify.dns import Resolver


@dataclass(frozen=True)
class Given:
    """The envelope as given on the command line; ``None`` where it was not."""

    peer: str | None
    helo: str | None
    mail_from: str | None
    rcpt: tuple[str, ...]
    now: datetime


def with_crlf(raw: bytes) -> bytes:
    """A mail from a file: without an mbox line, and with CRLF where it has none at all."""
    raw = raw[mail_start(raw) :]
    return raw if b"\r\n" in raw else raw.replace(b"\n", b"\r\n")


class Explainer:
    """Explains one mail after another with the same settings."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime], resolver: Resolver | None = None) -> None:
        # a peer that was named is evaluated whatever its address
        self._private = settings.smtp.evaluate_private
        self._settings = settings.model_copy(
            update={"smtp": settings.smtp.model_copy(update={"evaluate_private": True})}
        )
        self._clock, self._resolver = clock, resolver
        self._scratch = tempfile.TemporaryDirectory(prefix="gateway-explain-")

    @classmethod
    def beside(cls, store: Store, bench: service.Desk) -> Explainer:
        """One in the running service, with its database and its desk; nothing is opened and nothing is to be closed."""
        made = cls.__new__(cls)
        made._settings, made._private = bench.settings, bench.settings.smtp.evaluate_private
        made._store, made._desk = store, bench
        return made

    def __enter__(self) -> Explainer:
        self._store = self._opened()
        directory = service.directory(self._settings)
        if not directory.usable(self._clock()) and self._settings.directory.configured:
            scratch = self._settings.gateway.model_copy(update={"state_dir": Path(self._scratch.name)})
            directory = service.directory(self._settings.model_copy(update={"gateway": scratch}))
            directory.reload(self._clock())
        templates = Templates(self._settings.replies.templates_dir, at_once=False)  # few are asked for
        self._desk = service.build(self._settings, self._store, directory, self._resolver, templates)
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()
        self._scratch.cleanup()

    def _opened(self) -> Store:
        store = Store(self._settings.database_url)
        if store.path is None or store.path.exists():
            try:
                store.load_keys()
                return store
            except StoreError:
                store.close()
        store = Store(f"sqlite:///{self._scratch.name}/explain.db")
        store.create(self._clock())
        return store

    async def stored(self, message: int, readers: Readers) -> JsonObject | None:
        """The same for a mail of the inbox, with the envelope it came with; ``None`` when there is none."""
        taken = self._store.read_now(lambda connection: inbox.taken(connection, message))
        if taken is None:
            return None
        reasons = [f"the envelope is that of message {message}; what happened since counts as if it came now"]
        return await self._judged(inbox.Claimed(message, 1, taken.raw, taken.envelope, 0, False), readers, reasons)

    async def explained(self, raw: bytes, given: Given, readers: Readers) -> JsonObject:
        """What would become of a raw mail: the object of ``explain --json`` (docs/json.md)."""
        raw = with_crlf(raw)
        reasons: list[str] = []
        mail_from = given.mail_from if given.mail_from is not None else return_path(raw)
        if mail_from is None:
            author = author_of(raw[: header_end(raw)[0]])
            if author.status is AuthorStatus.OK:
                mail_from = author.address
                reasons.append("the envelope sender is taken to be the author (--mail-from gives another)")
        envelope = Envelope(
            mail_from=mail_from,
            rcpt_tos=given.rcpt or (self._settings.gateway.address,),
            client=given.peer,
            helo=given.helo,
            source="explain",
            received_at=given.now,
            client_reason="" if given.peer else "no peer was given",
        )
        return await self._judged(inbox.Claimed(0, 1, raw, envelope, 0, False), readers, reasons)

    async def _judged(self, claimed: inbox.Claimed, readers: Readers, reasons: list[str]) -> JsonObject:
        now = claimed.envelope.received_at
        around = self._desk.around
        if claimed.id:  # its peer was not named on a command line: a private address is judged as the service does
            private = self._private
            around = replace(around, checks=replace(around.checks, evaluate_private=private))
        judge = Judge(readers, lambda: around, lambda: now, self._store)
        incoming, _ = await judge.incoming(Hand(claimed))
        digest = digest_of(claimed.raw)

        more: list[str] = []

        def decided(connection: Connection) -> tuple[Incoming, Decision]:
            seen, first = replays.judged(connection, incoming, inbox.id_of(connection, digest, now))
            if first is not None:
                more.append(
                    f"{copies.WHOLE}{first}, with the same signature: what follows is how it would be decided alone"
                )
            asked = staff_requests.judged(seen, self._desk.office)
            if asked is not None:
                line = staff_requests.foreseen(seen, asked)
                return seen, staffmail.in_words(seen, Disposition.RECORDED, line, (*seen.verdict.reasons, line))
            staffs = staffmail.judged(connection, seen, self._desk.office, now, lock=False)
            if staffs is not None:
                return seen, staffmail.foreseen(seen, staffs)
            return seen, desk.considered(Occasion(connection, claimed, seen, self._desk.office, now))

        incoming, decision = await self._store.read(decided)
        return as_json(incoming, decision, [*reasons, *more])


def as_json(incoming: Incoming, decision: Decision, more: list[str]) -> JsonObject:
    """The fixed fields of ``gateway explain --json`` (docs/json.md)."""
    reading, verdict = incoming.reading, incoming.verdict
    began = incoming.facts.incident_started_at
    thread = decision.thread
    return {
        "message_id": reading.parsed.message_id,
        "author": reading.author.address,
        "subject": reading.parsed.subject,
        "class": str(decision.mail_class),
        "authentication": {
            "spf": verdict.spf,
            "dkim": verdict.dkim,
            "dmarc": verdict.dmarc,
            "arc": verdict.arc,
            "authenticated": verdict.authenticated,
            "by": verdict.by,
            "weak": verdict.weak,
        },
        "trust": str(decision.trust),
        "account": decision.account.account if decision.account else None,
        "accounts": [account.account for account in incoming.match.accounts],
        "text": reading.masked_text,
        "language": reading.language,
        "question": str(decision.question),
        "critical": decision.critical,
        "sensitive": list(decision.sensitive),
        "secrets_masked": reading.secrets_masked,
        "facts": {kind: [fact.as_json() for fact in incoming.facts.of(kind)] for kind in FACT_KINDS}
        | {"incident_started_at": began.isoformat() if began else None},
        "attachments": [
            {"filename": file.filename, "type": file.type, "size": file.size} for file in reading.parsed.attachments
        ],
        "department": str(decision.department),
        "priority": str(decision.priority),
        "missing": list(decision.missing),
        "disposition": str(decision.disposition),
        "thread": {"reference": thread.reference, "by": thread.by, "outcome": decision.outcome} if thread else None,
        "reply": {
            "template": decision.reply.template,
            "language": decision.reply.language,
            "to": list(decision.reply.to),
        }
        if decision.reply
        else None,
        "evidence": _evidence(incoming),
        "reasons": [*more, *decision.reasons, *(f"note: {note}" for note in reading.parsed.notes)],
    }


def _evidence(incoming: Incoming) -> list[str]:
    """The words that gave each fact."""
    reading = incoming.reading
    found = [f"{kind} {fact.value}: {fact.words}" for kind in FACT_KINDS for fact in incoming.facts.of(kind)]
    return [*found, f"began: {reading.started_words}"] if reading.started_at else found


def as_text(found: JsonObject) -> str:
    """The object of ``explain --json`` as lines for a person."""
    auth, facts = found["authentication"], found["facts"]
    lines = [
        f"message     {found['message_id'] or '(no Message-ID)'}",
        f"author      {found['author'] or '(nobody)'}   class {found['class']}   trust {found['trust']}"
        + (f"   account {found['account']}" if found["account"] else ""),
        f"checked     spf={auth['spf']} dkim={auth['dkim']} dmarc={auth['dmarc']} arc={auth['arc']}"
        + (f", authenticated by {auth['by']}" if auth["authenticated"] else ", not authenticated"),
        f"asks        {found['question']}, {found['department']}, priority {found['priority']}"
        + (", CRITICAL" if found["critical"] else "")
        + (f", sensitive: {', '.join(found['sensitive'])}" if found["sensitive"] else ""),
    ]
    said = dict(line.split(": ", 1) for line in found["evidence"] if ": " in line)
    for kind in FACT_KINDS:
        for fact in facts[kind]:
            whose = f"{fact['ownership']}{', quoted' if fact.get('quoted') else ''}"
            words = said.get(f"{kind} {fact['value']}", "")
            lines.append(
                f"fact        {kind}: {fact['value']} ({whose})" + (f"   from \u201c{words}\u201d" if words else "")
            )
    if facts["incident_started_at"]:
        lines.append(f"fact        began: {facts['incident_started_at']}   from \u201c{said.get('began', '')}\u201d")
    if found["missing"]:
        lines.append(f"missing     {', '.join(found['missing'])}")
    lines.append(f"becomes     {found['disposition']}")
    reply = found["reply"]
    lines.append(
        f"answer      {reply['template']} ({reply['language']}) to {', '.join(reply['to'])}"
        if reply
        else "answer      none"
    )
    lines += [f"because     {reason}" for reason in found["reasons"]]
    return "\n".join(lines)
