"""What is known of a mail that cannot be read: its header fields, by the bounded parser alone, and the mail itself as a
file.

Nobody's mail is lost because a parser fails on it: this ``Reading`` opens a ticket as any other does.
"""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType

from gateway.mail.header import Fields, capped, decode_words, fields_of, octets
from gateway.mail.limits import MAX_REFERENCES
from gateway.model import Attachment, Author, Department, ParsedMessage, Question, Reading, Topics
from gateway.read.clean import clean_line

UNREADABLE = "could not be read"
FILE = "message.eml"
MAX_VALUE = 2000  #: characters of a field that are kept
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,250})>")
_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]]{1,64}+@[A-Za-z0-9.-]{1,255}")


def unreadable(block: bytes, whole: tuple[int, str], why: str, author: Author, mail_from: str | None) -> Reading:
    """The reading of a mail whose reading failed.

    Args:
        block: its header block, as it came.
        whole: size and SHA-256 of the raw mail, which is its attachment.
        why: what failed, for staff.
        author: by the strict grammar, which does not need the parser.
        mail_from: the envelope sender.
    """
    from gateway.read.machine import signs_of  # its words in all languages cost every start; few mails are unreadable

    notes: list[str] = []
    parsed = _parsed(fields_of(capped(block, notes)), whole, why, notes)
    said = f"[This mail could not be read: {clean_line(why, 200)}. It is attached as it came.]"
    return Reading(
        parsed=parsed, author=replace(author, display_name=_masked(author.display_name)), header_block=block, text="",
        full_text="", language=None, signs=signs_of(parsed, mail_from),
        orders=(), ips=(), services=(), invoices=(), started_at=None, started_words="", diagnostics=False,
        described=False,
        topics=Topics(Department.TECHNICAL, Question.GENERAL, False, (), ()), secrets_masked=0, masked_text=said,
        masked_full_text=said,
    )  # fmt: skip


def _parsed(fields: Fields, whole: tuple[int, str], why: str, notes: list[str]) -> ParsedMessage:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in fields:
        headers[name] = (*headers.get(name, ()), _value(value[:MAX_VALUE]))[:20]

    def first(name: str) -> str:
        return headers.get(name, ("",))[0]

    ids = _MESSAGE_ID.findall(first("message-id"))
    addressed = " ".join(" ".join(headers.get(name, ())) for name in ("to", "cc", "delivered-to", "x-original-to"))
    size, sha256 = whole
    return ParsedMessage(
        message_id=ids[0] if ids else None,
        subject=_masked(first("subject")[:500]),
        in_reply_to=tuple(_MESSAGE_ID.findall(first("in-reply-to"))[:MAX_REFERENCES]),
        references=tuple(_MESSAGE_ID.findall(first("references"))[-MAX_REFERENCES:]),
        headers=MappingProxyType(headers),
        recipients=tuple(dict.fromkeys(_ADDRESS.findall(addressed[:MAX_VALUE]))),
        date=None,
        plain="",
        html="",
        attachments=(Attachment(FILE, "message/rfc822", size, sha256, 0),),
        content_type="message/rfc822",
        report=None,
        signed_or_encrypted="",
        notes=(*notes, f"{UNREADABLE}: {clean_line(why, 200)}"),
        marks=(UNREADABLE,),
    )


def _value(value: str) -> str:
    """A field as text; what cannot be decoded stays as it came."""
    try:
        text = decode_words(value)
    except Exception:  # the fault that failed the reading may be in here
        text = octets(value).decode("ascii", "replace")
    return clean_line(text, MAX_VALUE)


def _masked(text: str) -> str:
    """A line without the secrets in it; nothing of it where they cannot be looked for."""
    from gateway.read.secrets import secrets  # as above

    try:
        return secrets.mask(text)[0] if secrets.suspected(text) else text
    except Exception:  # the fault that failed the reading may be in here
        return ""
