"""Everything that the bytes of a mail tell by themselves: one pure function over hostile input.

It runs inside the killable reader (``gateway/read/reader.py``); whatever it needs from outside comes as ``Hints``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from zoneinfo import ZoneInfo

from gateway.mail import tokens
from gateway.mail.header import header_end
from gateway.mail.limits import MAX_HEADER_BLOCK
from gateway.model import Attachment, Author, Candidate, ParsedMessage, Reading, mail_start
from gateway.read.author import author_of
from gateway.read.facts import called, customers, hosts, ips, machines, orders, services
from gateway.read.hints import Hints
from gateway.read.html import cites
from gateway.read.machine import signs_of
from gateway.read.machine_words import PASSED_ON, TAG
from gateway.read.message import parse
from gateway.read.secrets import secrets
from gateway.read.tables import evened
from gateway.read.times import times
from gateway.read.topics import topics
from gateway.read.words import language, pasted, quotes

MAX_SEARCHED = 128 * 1024
LIKE_A_WORD = 1.0  #: how little a name leans to a service's that is a word with a number
OWN_HOST = 2.0  #: what a host that is named speaks for a matter of an account
EXAMPLE = "#123456"  #: the order number by which our mails say what one looks like
_WORDS = re.compile(r"\w{2,}")


def _candidates(own_words: str, rest: str, find: Callable[[str], tuple[Candidate, ...]]) -> tuple[Candidate, ...]:
    own = {c.value: c for c in find(evened(own_words)[:MAX_SEARCHED])}
    quoted = {c.value: c for c in find(evened(rest)[:MAX_SEARCHED])} if rest else {}
    extra = [replace(c, quoted=True) for value, c in quoted.items() if value not in own]
    return (*own.values(), *extra)


def _reported(parsed: ParsedMessage, found: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """The addresses, first the one that a feedback report is about (RFC 5965 section 3.2: Source-IP)."""
    said = parsed.report.source_ip if parsed.report is not None else ""
    first = tuple(replace(one, words=f"Source-IP: {said}") for one in ips.ips_in(said)[:1]) if said else ()
    return (*first, *(one for one in found if not first or one.value != first[0].value))


def _hosts(own_words: str, rest: str, named: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Hosts, with the short names of machines that are none of the services' names."""
    found = _candidates(own_words, rest, hosts.hosts_in)
    # "storage2" has as many letters as the opaque name of a service, and is a machine until the directory knows better
    opaque = (one for one in named if one.words.startswith("service:") or services.leaning([one.value]) > LIKE_A_WORD)
    known = {candidate.value for candidate in (*found, *opaque)}
    short = (*machines.machines_in(own_words), *called.called_in(own_words[:MAX_SEARCHED]))
    short = tuple(one for one in short if tokens.find(one.value) is None)  # "server down [T-7K2M9QX]"
    return (*found, *{c.value: c for c in short if c.value not in known}.values())


def _beside_ours(found: tuple[Candidate, ...], spoken: str | None) -> tuple[Candidate, ...]:
    """Without what only the lines of a quoted mail of ours say; ``spoken``: the other lines, ``None`` where none is
    quoted."""
    if spoken is None:
        return found
    return tuple(one for one in found if one.quoted or one.value in spoken)


def _answers(parsed: ParsedMessage) -> bool:
    """Whether the mail answers or passes on another: only then is what it quotes not its author's unless that is
    unmistakable."""
    return bool(parsed.in_reply_to or parsed.references) or bool(PASSED_ON.match(TAG.sub("", parsed.subject)))


_NAMED = (orders.orders_in, ips.ips_in, services.services_in)


def _split(parsed: ParsedMessage, hints: Hints) -> tuple[str, str]:
    """(new words, full text)."""
    whole = parsed.whole.strip()
    first, words = not _answers(parsed), parsed.words
    if first and words != parsed.whole and not cites(parsed.html) and not quotes.quotes_unmistakably(parsed.whole):
        words = parsed.whole  # a block that HTML indents is its author's own
    new = quotes.new_words(words, first) or whole
    if first and quotes.hangs_on_a_blank(words):
        new = _with_alarm(parsed.subject, new, quotes.new_words(words, first, blank=False), hints)
    return new, f"{whole}\n\n{parsed.beside}".strip() if parsed.beside else whole


def _with_alarm(subject: str, new: str, more: str, hints: Hints) -> str:
    """The words without what stands below two dashes and a blank, unless an outage is told there: anybody on the way
    may have put the blank behind the dashes."""

    def alarms(text: str) -> bool:
        named = tuple(
            dict.fromkeys(c.value for find in _NAMED for c in find(evened(f"{subject}\n\n{text}")[:MAX_SEARCHED]))
        )
        return topics.topics_of(subject, text, True, named, 0.0, hints.topics, language.language_of(text)).critical

    return more if more != new and alarms(more) and not alarms(new) else new


def _described(new: str) -> bool:
    """Whether there are words enough to say what is wrong."""
    return sum(1 for _ in islice(_WORDS.finditer(new[:2000]), 5)) == 5


def _rest(new: str, full: str, ours: bool) -> str:
    """What of the full text is not among the new words, for facts that stand in quotes only; ``ours``: a mail of ours
    is quoted."""
    if new == full:
        return ""
    kept = set(new.split("\n"))
    lines = (line for line in full.split("\n") if line not in kept)
    return "\n".join(line for line in lines if not (ours and EXAMPLE in line))


def _author(block: bytes) -> Author:
    """Who wrote it, by a name that tells no secret."""
    author = author_of(block)
    name = author.display_name
    return replace(author, display_name=secrets.mask(name)[0]) if secrets.suspected(name) else author


def _named(file: Attachment) -> Attachment:
    """A file whose name tells no secret."""
    return replace(file, filename=secrets.mask(file.filename)[0]) if secrets.suspected(file.filename) else file


def read(raw: bytes | bytearray, hints: Hints) -> Reading:
    """The ``Reading`` of a raw mail."""
    parsed = parse(raw)
    start = mail_start(raw)
    end, _ = header_end(raw, start)
    block = bytes(raw[start : min(end, start + MAX_HEADER_BLOCK)])
    new, full = _split(parsed, hints)
    # facts and topics are looked for in what may leave the original: nothing of a secret ends up in a fact's words
    subject, masked, masked_full, count, in_subject = parsed.subject, new, full, 0, 0
    ours = quotes.holds_ours(full)
    own_words, rest = f"{subject}\n\n{new}", _rest(new, full, ours)
    in_own = secrets.suspected(own_words)
    if in_own:
        masked, count = secrets.mask(new)
        subject, in_subject = secrets.mask(subject)
        parsed = replace(parsed, subject=subject)
    parsed = replace(parsed, attachments=tuple(map(_named, parsed.attachments)))
    if in_own or (rest and secrets.suspected(rest)):
        masked_full = secrets.mask(full)[0] if full != new else masked
        own_words, rest = f"{subject}\n\n{masked}", _rest(masked, masked_full, ours)
    spoken = quotes.unquoted(own_words).lower() if ours else None
    found_orders = _beside_ours(_candidates(own_words, rest, orders.orders_in), spoken)
    found_ips = _reported(parsed, _candidates(own_words, rest, ips.ips_in))
    found_services = _candidates(own_words, rest, services.services_in)
    found_invoices = _candidates(own_words, rest, orders.invoices_in)
    stated_services = [c for c in found_services if c.words.startswith("service:") and not c.quoted]
    names_a_fact = any(not c.quoted and not c.weak for c in (*found_orders, *found_ips, *found_invoices)) or bool(
        stated_services
    )
    found_hosts = _beside_ours(_hosts(own_words, rest, found_services), spoken)
    started_at, started_words = times.incident_start(subject, masked, hints.received_at, ZoneInfo(hints.timezone))
    pasted_in = pasted.has_diagnostics(own_words[:MAX_SEARCHED])
    leaning = services.leaning(c.value for c in found_services if not c.quoted) + 2.0 * bool(count) + 1.0 * pasted_in
    leaning += OWN_HOST * any(not c.quoted for c in found_hosts)
    named = tuple(dict.fromkeys(c.value for c in (*found_orders, *found_ips, *found_services) if not c.quoted))
    written_in = language.language_of(new)
    return Reading(
        parsed=parsed,
        author=_author(block),
        header_block=block,
        text=new,
        full_text=full,
        language=written_in or language.language_of(f"{subject} {new}"),
        signs=signs_of(parsed, hints.mail_from, full),
        orders=found_orders,
        ips=found_ips,
        services=found_services,
        invoices=found_invoices,
        started_at=started_at,
        started_words=started_words,
        diagnostics=pasted_in
        or any(
            attachment.type.startswith("image/") or "log" in attachment.filename for attachment in parsed.attachments
        ),
        described=_described(new),
        topics=topics.topics_of(subject, masked, names_a_fact, named, leaning, hints.topics, written_in),
        secrets_masked=count + in_subject,
        masked_text=masked,
        masked_full_text=masked_full,
        hosts=found_hosts,
        customers=_candidates(own_words, rest, customers.customers_in),
    )
