"""Who did what to which object: written in the transaction of the act, and never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from gateway.database import typed
from gateway.database.statements import put
from gateway.database.tables import Audit, audit
from gateway.model import Person


@dataclass(frozen=True, slots=True)
class Act:
    """``what`` was done to the object of this ``kind`` (ticket, message, outbox, sender, user). ``detail`` holds names,
    numbers and states, never words or addresses of a customer's mail."""

    what: str
    kind: str
    object: str
    detail: Mapping[str, Any] = field(default_factory=dict)


WIDTH, DIGITS = 100, 16  #: characters of the column; hexadecimal digits of a digest behind what is cut


def named(thing: str) -> str:
    """The name of an object as a line holds it: a long one cut, with a digest of all of it, so that no two are one."""
    if len(thing) <= WIDTH:
        return thing
    digest = hashlib.sha256(thing.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{thing[: WIDTH - DIGITS - 1]}~{digest[:DIGITS]}"


def write(connection: Connection, act: Act, by: Person, now: datetime) -> None:
    """Adds a line to the audit: who did what to which thing, and when."""
    values = {"at": now, "who": by.name[:100], "what": act.what, "kind": act.kind, "object": named(act.object)}
    put(connection, audit, values | {"detail": dict(act.detail)})


def of(connection: Connection, kind: str, thing: str, limit: int = 200) -> list[dict[str, Any]]:
    """What was done to one object, newest first: ``at who what kind object detail``."""
    a = audit.c
    chosen = select(audit).where(a.kind == kind, a.object == named(thing)).order_by(a.id.desc()).limit(limit)
    return [_as_json(row) for row in typed.every(connection, Audit, chosen)]


def latest(connection: Connection, limit: int = 200, before: int | None = None) -> list[dict[str, Any]]:
    """What was done lately, newest first; ``before``: only lines with a lower ``id``, for the next page."""
    chosen = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        chosen = chosen.where(audit.c.id < before)
    return [_as_json(row) for row in typed.every(connection, Audit, chosen)]


def _as_json(row: Audit) -> dict[str, Any]:
    names = ("id", "who", "what", "kind", "object", "detail")
    return {"at": row.at.isoformat(), **{name: getattr(row, name) for name in names}}
