"""Everything that the bytes of a mail tell by themselves: one pure function over hostile input.

It runs inside the killable reader (``gateway/read/reader.py``); whatever it needs from outside comes as ``Hints``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from zoneinfo import ZoneInfo

from gateway.mail.header import header_end
from gateway.mail.limits import MAX_HEADER_BLOCK
from gateway.model import ABUSE, Attachment, Author, ParsedMessage, Reading, mail_start
from gateway.read.author import author_of
from gateway.read.facts.found import MAX_SEARCHED, found_in, named_in
from gateway.read.hints import Hints
from gateway.read.html import cites
from gateway.read.machine import signs_of
from gateway.read.machine_words import FORWARDED, PASSED_ON, TAG
from gateway.read.message import parse
from gateway.read.secrets import secrets
from gateway.read.secrets.masked import masked
from gateway.read.times import times
from gateway.read.topics import topics
from gateway.read.topics.rules import Asked
from gateway.read.topics.spoken import languages_of
from gateway.read.words import language, pasted, quotes

PASTED, SECRET = 1.0, 2.0  #: what program output and a secret speak for a matter of an account
_WORDS = re.compile(r"\w{2,}")


def read(raw: bytes | bytearray, hints: Hints) -> Reading:
    """The ``Reading`` of a raw mail."""
    block, parsed = _header_block(raw), parse(raw)
    new, full = _split(parsed, hints)
    words = masked(parsed.subject, new, full)
    if words.subject != parsed.subject or parsed.attachments:  # most mails have neither a secret there nor a file
        parsed = replace(parsed, subject=words.subject, attachments=tuple(map(_named, parsed.attachments)))
    found = found_in(words, parsed.report, _passes_on(parsed))
    started_at, started_words = times.incident_start(
        words.subject, words.new, hints.received_at, ZoneInfo(hints.timezone)
    )
    written_in, beside = languages_of(new)
    pasted_in = pasted.has_diagnostics(words.own[:MAX_SEARCHED])
    leaning = found.leaning + SECRET * bool(words.in_new) + PASTED * pasted_in
    asked = Asked(*words.spoken, found.name_one, found.values, leaning, hints.topics, written_in, beside)
    told = topics.topics_of(asked)
    return Reading(
        parsed=parsed,
        author=_author(block),
        header_block=block,
        text=new,
        full_text=full,
        language=written_in or language.language_of(f"{words.subject} {new}"),
        signs=signs_of(parsed, hints.mail_from, full),
        orders=(*found.orders, *found.bare),
        ips=found.complained_of(words.subject) if ABUSE in told.flags else found.ips,
        services=found.services,
        invoices=found.invoices,
        started_at=started_at,
        started_words=started_words,
        diagnostics=pasted_in or any(map(_shows_trouble, parsed.attachments)),
        described=_described(new),
        topics=told,
        secrets_masked=words.in_new + words.in_subject,
        masked_text=words.new,
        masked_full_text=words.full,
        hosts=found.hosts,
        customers=found.customers,
    )


def _passes_on(parsed: ParsedMessage) -> bool:
    """Whether what stands below the author's words may be passed on by him: an answer stands above another's words."""
    answers = bool(parsed.in_reply_to or parsed.references)
    return not answers or bool(FORWARDED.match(TAG.sub("", parsed.subject)))


def _header_block(raw: bytes | bytearray) -> bytes:
    start = mail_start(raw)
    end, _ = header_end(raw, start)
    return bytes(raw[start : min(end, start + MAX_HEADER_BLOCK)])


def _shows_trouble(file: Attachment) -> bool:
    return file.type.startswith("image/") or "log" in file.filename


def _answers(parsed: ParsedMessage) -> bool:
    """Whether the mail answers or passes on another: only then is what it quotes not its author's unless that is
    unmistakable."""
    return bool(parsed.in_reply_to or parsed.references) or bool(PASSED_ON.match(TAG.sub("", parsed.subject)))


def _split(parsed: ParsedMessage, hints: Hints) -> tuple[str, str]:
    """(new words, full text)."""
    whole = parsed.whole.strip()
    first, words = not _answers(parsed), parsed.words
    if first and words != parsed.whole and not cites(parsed.html) and not quotes.quotes_unmistakably(parsed.whole):
        words = parsed.whole  # a block that HTML indents is its author's own
    new = quotes.new_words(words, first) or whole
    if first and quotes.hangs_on_a_blank(words):
        new = _with_alarm(parsed.subject, new, quotes.new_words(words, first, blank=False), hints)
    if new == whole:
        new = whole  # one text, which goes through the pipe once
    return new, f"{whole}\n\n{parsed.beside}".strip() if parsed.beside else whole


def _with_alarm(subject: str, new: str, more: str, hints: Hints) -> str:
    """The words without what stands below two dashes and a blank, unless an outage is told there: anybody on the way
    may have put the blank behind the dashes."""

    def alarms(text: str) -> bool:
        named = named_in(f"{subject}\n\n{text}")
        return topics.topics_of(Asked(subject, text, True, named, 0.0, hints.topics, *languages_of(text))).critical

    return more if more != new and alarms(more) and not alarms(new) else new


def _described(new: str) -> bool:
    """Whether there are words enough to say what is wrong."""
    return sum(1 for _ in islice(_WORDS.finditer(new[:2000]), 5)) == 5


def _author(block: bytes) -> Author:
    """Who wrote it, by a name that tells no secret."""
    author = author_of(block)
    name = author.display_name
    return replace(author, display_name=secrets.mask(name)[0]) if secrets.suspected(name) else author


def _named(file: Attachment) -> Attachment:
    """A file whose name tells no secret."""
    return replace(file, filename=secrets.mask(file.filename)[0]) if secrets.suspected(file.filename) else file
