"""The data map (GDPR article 30): what each table is for, which of its columns are about a person, and what bounds it.

``docs/data-map.md`` is made of this and of the tables' own descriptions (``python -m gateway.database.datamap``); a
test keeps it true, and complete: a table or a text column that nobody classified fails.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from sqlmodel import SQLModel

from gateway.database import console_tables  # noqa: F401 - its tables are among them
from gateway.database.tables import METADATA


@dataclass(frozen=True)
class Entry:
    """``personal``: columns about a person. ``bound``: what keeps the table from growing for ever."""

    personal: tuple[str, ...]
    bound: str


_WITH_TICKET = "`retention.tickets`: goes with its ticket"
MAP: dict[str, Entry] = {
    "keys": Entry((), "one row for each key"),
    "messages": Entry(
        ("mail_from", "rcpt_tos", "client", "helo", "reason", "message_id", "author", "sender", "subject", "queue_id"),
        "`retention.tickets` with their ticket; without one `retention.quarantine`",
    ),
    "raw": Entry(("data",), "`retention.mails`, and with its mail; what was left half-stored after an hour"),
    "arrivals": Entry(("mail_from", "rcpt_tos", "client", "helo", "note", "sender", "queue_id"), "`retention.records`"),
    "senders": Entry(("sender",), "forgotten as soon as the sender is behind nobody any more (minutes)"),
    "tickets": Entry(
        (
            "owner",
            "watchers",
            "account",
            "accounts",
            "author",
            "author_name",
            "subject",
            "marks",
            "missing",
            "sensitive",
            "silence",
        ),
        "`retention.tickets`, counted from the last news of a ticket that nobody waits in",
    ),
    "entries": Entry(("author", "text", "full_text"), _WITH_TICKET),
    "ticket_tags": Entry((), _WITH_TICKET),
    "ticket_links": Entry(("who",), _WITH_TICKET),
    "presence": Entry(("who",), "one row for each person that has a ticket open, renewed; goes with its ticket"),
    "corrections": Entry(("who", "before", "after"), _WITH_TICKET),
    "audit": Entry(
        ("who", "object", "detail"),
        "kept: a line for each act of a person; it names staff, tickets and blocked senders",
    ),
    "attachments": Entry(("filename", "type", "sha256"), _WITH_TICKET),
    "facts": Entry(("value", "words"), _WITH_TICKET),
    "traces": Entry(("lines",), "`retention.evidence`, and with its mail"),
    "thread_ids": Entry(("rfc_id",), _WITH_TICKET),
    "outbox": Entry(
        ("recipient", "domain", "canonical", "origin", "likeness", "context", "last_error", "bounced", "answer"),
        "replies: with their ticket; mails to staff: `retention.records`",
    ),
    "suppressions": Entry(("canonical", "why"), "seven days after mail to the address came back"),
    "blocked_senders": Entry(("sender", "who", "why"), "until a person lifts the block"),
    "notices": Entry(("line",), "`retention.records` after staff were told"),
    "mailboxes": Entry((), "one row for each folder that is read"),
    "mailbox_uids": Entry((), "the mails that are in the folder now: a daily look forgets the others"),
    "conditions": Entry((), "goes when it is over"),
    "signatures": Entry(("mark",), "30 days: an older signature proves nothing"),
    "sources": Entry((), "one row for each mailbox of the configuration"),
    "restores": Entry((), "one row for each restore"),
    "erasures": Entry(("mark",), "kept: one row of 64 characters for each address that was erased; it names nobody"),
    "holds": Entry(("value", "reason", "by"), "until a person lifts the hold"),
    "incidents": Entry(("confirmed_by",), "`retention.records` after it was closed"),
    "users": Entry(("name", "password", "totp", "invite"), "one row for each user of the console, disabled ones too"),
    "console_sessions": Entry(("address", "agent", "csrf", "digest"), "12 hours, or until the user logs out"),
    "login_failures": Entry(
        ("key",), "24 hours after the last failure, 30 days after a login; hashes of names and addresses"
    ),
    "drafts": Entry(
        ("text", "before"), "one for each user and ticket; goes when the answer is on its way, or is emptied"
    ),
    "answer_files": Entry(
        ("filename", "type", "sha256"),
        "`retention.tickets`: goes with its ticket; what was never sent after 30 days",
    ),
    "report_days": Entry(
        (), "one row of numbers for each day that is reported on; counted anew when its tickets or mails go"
    ),
    "report_changes": Entry((), "until the day is counted anew (every six hours, and with each look at the numbers)"),
    "saved_views": Entry(("name", "query"), "20 for each user"),
    "incident_tickets": Entry((), "goes with its incident or its ticket"),
}


def descriptions() -> dict[str, str]:
    """``{table: its description}``: the first sentence of its class."""
    found = {}
    for mapper in SQLModel._sa_registry.mappers:
        words = inspect.getdoc(mapper.class_) or ""
        found[str(mapper.local_table.name)] = " ".join(words.split("\n\n")[0].split())  # type: ignore[attr-defined]
    return found


def unclassified() -> list[str]:
    """Tables that are missing here, and columns that are named here and are not there."""
    missing = [name for name in METADATA.tables if name not in MAP]
    wrong = [
        f"{name}.{column}"
        for name, entry in MAP.items()
        for column in entry.personal
        if name in METADATA.tables and column not in METADATA.tables[name].c
    ]
    return sorted(missing + wrong + [name for name in MAP if name not in METADATA.tables])


def page() -> str:
    """The text of ``docs/data-map.md``."""
    said = descriptions()
    lines = [
        "# Data map",
        "",
        "What the database holds, which of it is about a person, and what keeps it from growing for ever. Made from "
        "the tables by",
        "`python -m gateway.database.datamap > docs/data-map.md`; a test compares it. Besides the database there are: "
        "the log (addresses shortened, no",
        "subjects or words; journald decides how long it is kept), `directory.sqlite` (your own accounts, as your "
        "billing system gives them), backups (as",
        "long as you keep them), and `erasures.jsonl` (tombstones). Nothing leaves the machine but mail to the relay "
        "and questions to the DNS.",
        "",
        "| Table | What for | About a person | What bounds it |",
        "|---|---|---|---|",
    ]
    for name in sorted(MAP):
        personal = ", ".join(f"`{column}`" for column in MAP[name].personal) or "-"
        lines.append(f"| `{name}` | {said[name].replace('``', '`')} | {personal} | {MAP[name].bound} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
