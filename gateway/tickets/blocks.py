"""Who is blocked: the list that persons keep at the console and by commands, and, in the audit, since when by whom.
What the configuration blocks beside it is in the audit too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from gateway.database import typed
from gateway.database.statements import put_once
from gateway.database.tables import BlockedSender, blocked_senders
from gateway.database.tables import audit as lines
from gateway.mail.address import MAX_LOCAL, one_spelling, with_a_label
from gateway.mail.suffixes import is_suffix
from gateway.model import Person
from gateway.tickets import audit, rights
from gateway.tickets.audit import Act
from gateway.tickets.conversation import Refused
from gateway.tickets.outgoing import Acting, Office

BLOCK, UNBLOCK, SENDER = "block", "unblock", "sender"
_DOMAIN = re.compile(r"(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_TOP = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])")
_EVERYBODY = re.compile(r"^\s*\*?[@.]")
_NO_LOCAL = re.compile(r'[\s@<>()\[\],;:"\\]')


def senders(connection: Connection) -> frozenset[str]:
    """The addresses and domains of the list."""
    return frozenset(connection.execute(select(blocked_senders.c.sender)).scalars())


def which(listed: frozenset[str], author: str, mail_from: str | None) -> str:
    """The entry that blocks a mail: its author's address or domain (also above it), or the very address of its
    envelope; or an empty string. ``listed``: of the database, or ``entries`` of the configuration."""
    if not listed:
        return ""
    whole, envelope = one_spelling(author), one_spelling(mail_from or "")
    labels = whole.rpartition("@")[2].split(".")
    above = (".".join(labels[index:]) for index in range(len(labels)))
    return next((one for one in (whole, *above, envelope) if one and one in listed), "")


def entries(wanted: Iterable[str]) -> frozenset[str]:
    """The addresses and domains of a configuration as they are compared; what is neither blocks nobody."""
    return frozenset(one for one in map(_entry, wanted) if _is_entry(one))


def _entry(what: str) -> str:
    """``@x.example``, ``*@x.example``, ``*.x.example`` and ``x.example.`` are one domain."""
    return one_spelling(_EVERYBODY.sub("", what))


def _is_entry(what: str) -> bool:
    """Whether this is an address, a domain or (of a configuration) a top-level domain."""
    local, at, domain = what.rpartition("@")
    if at and (len(local) > MAX_LOCAL or not local.isprintable() or _NO_LOCAL.search(local)):
        return False
    return bool(_DOMAIN.fullmatch(domain) or (not at and _TOP.fullmatch(domain)))


def normal(what: str) -> str:
    """An address or domain as it is kept.

    Raises:
        Refused: it is neither, or a public suffix: everybody's below it.
    """
    found = _entry(what)
    if not _is_entry(found) or "." not in found:
        raise Refused(f"{what[:100]!r} is neither an address nor a domain")
    if "@" not in found and is_suffix(found):
        raise Refused(f"below {found} anybody gets a domain: whoever means all of them writes it into [block] domains")
    return found


def add(connection: Connection, what: str, why: str, acting: Acting) -> str:
    """Blocks an address, or a domain with everything below it, from the next mail on; what is blocked now.

    Raises:
        Refused: it is neither, a public suffix, or ours.
        NotAllowed: the person is no admin.
    """
    rights.require(acting.by, "block")
    sender = normal(what)
    if _is_ours(sender, acting.office):
        raise Refused(f"{sender} is ours")
    values = {"sender": sender, "at": acting.at, "who": acting.by.name[:100], "why": " ".join(why.split())[:200]}
    if put_once(connection, blocked_senders, values) is not None:
        audit.write(connection, Act(BLOCK, SENDER, sender), acting.by, acting.at)
    return sender


def _is_ours(sender: str, office: Office) -> bool:
    if "@" in sender:
        return office.rules.owns(sender) or office.answers(sender)
    ours = {office.domain, office.address.rpartition("@")[2]} | {one.rpartition("@")[2] for one in office.may_answer}
    return any(domain.lower() == sender or domain.lower().endswith("." + sender) for domain in ours)


def remove(connection: Connection, what: str, by: Person, now: datetime) -> bool:
    """Takes it off the list; ``False``: it was not there.

    Raises:
        NotAllowed: the person is no admin.
    """
    rights.require(by, "block")
    typed_in, sender = what.strip().lower(), _entry(what)
    gone = delete(blocked_senders).where(blocked_senders.c.sender.in_({sender, typed_in, with_a_label(typed_in)}))
    if not connection.execute(gone).rowcount:
        return False
    audit.write(connection, Act(UNBLOCK, SENDER, sender), by, now)
    return True


def listed(connection: Connection, limit: int = 1000) -> list[BlockedSender]:
    """The list, what was blocked last first."""
    b = blocked_senders.c
    return typed.every(connection, BlockedSender, select(blocked_senders).order_by(b.at.desc(), b.sender).limit(limit))


# --------------------------------------------------------------------------- the configuration's, in the audit


def blocked(connection: Connection) -> set[str]:
    """The addresses and domains that are blocked by what the audit holds."""
    a = lines.c
    last = select(func.max(a.id)).where(a.kind == SENDER, a.what.in_((BLOCK, UNBLOCK))).group_by(a.object)
    return set(connection.execute(select(a.object).where(a.id.in_(last), a.what == BLOCK)).scalars())


def recorded(connection: Connection, wanted: Iterable[str], by: Person, now: datetime) -> list[tuple[str, str]]:
    """Writes what the configuration has changed since the audit heard of it last: (``block`` or ``unblock``, address or
    domain).

    Args:
        wanted: all addresses and domains that the configuration blocks now.
        by: whose configuration it is.
    """
    kept = set(map(audit.named, senders(connection)))
    known, now_blocked = blocked(connection), {audit.named(_entry(one)) for one in wanted} | kept
    changes = [(BLOCK, one) for one in sorted(now_blocked - known)]
    changes += [(UNBLOCK, one) for one in sorted(known - now_blocked)]
    for what, one in changes:
        audit.write(connection, Act(what, SENDER, one), by, now)
    return changes
