"""Who is never answered automatically, how our own mail is recognised, and the keys behind it (RFC 3834 section 2)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping

from gateway.mail import keyed
from gateway.mail.address import canonical
from gateway.model import ParsedMessage

TAG = 26
LOOP_HEADER = "X-Gateway-Loop"
_ROBOT = re.compile(
    r"(?i)^(mailer-daemon|postmaster|owner-.*|.*-request|.*-owner|"
    r"(.*[-+.])?bounces?([-+.].*)?|listserv|majordomo|mailman|automailer|daemon|nobody|root|www-data|apache|nginx|cron"
    r"|uucp|(?:.*[-_.])?(?:ro)?bot|"
    r"help-return-.*|prvs=.*|srs[01]=.*)$"
)
_GAP = "[-_.]?"
#: a mailbox that says of itself, in any word of its name, that nobody reads it: noreply-dmarc-support, orders.no-reply,
#: no-reply+42
_UNREAD = re.compile(
    rf"(?i)(?:^|[-+._=])(?:(?:no|not|do{_GAP}not|dont){_GAP}(?:reply|replies|answer)|noreplies|un(?:attended"
    rf"|monitored)|auto{_GAP}(?:reply|respon[ds])|ne{_GAP}pas{_GAP}repondre|"
    rf"(?:no|nao){_GAP}respond[ae]r?|non{_GAP}rispondere|nicht{_GAP}antworten|keine{_GAP}antwort"
    rf"|ne{_GAP}pas{_GAP}répondre|não{_GAP}responda|niet{_GAP}(?:be)?antwoorden|не{_GAP}(?:отвечать|відповідати)"
    rf"|nie{_GAP}odpowiada[cćj]|"
    rf"odpowiedz{_GAP}nie|cevap{_GAP}vermeyin|yanitlamayin|neodpovid(?:at|ejte))"
)


def unanswerable(address: str | None, mail_from: str | None, own: frozenset[str], null_mx: bool) -> str:
    """Why this address gets nothing automatic, or ``""``."""
    if address is None:
        return "no author to answer"
    if mail_from is None:
        return "the envelope sender is not known"
    if mail_from == "":
        return "null sender"
    local = address.rpartition("@")[0]
    if _ROBOT.match(local) or _UNREAD.search(local):
        return "a mailbox that no person reads"
    if is_ours(address, own):
        return "our own address"
    if null_mx:
        return "its domain takes no mail (null MX)"
    return ""


def is_ours(address: str, own: frozenset[str]) -> bool:
    """Whether mail to this address comes back to us: it is one of ``own``, or a plus-address of one."""
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain.rstrip('.')}" in own


def echo(author: str | None, recipients: tuple[str, ...], staff: Iterable[str], domain: str) -> str:
    """Why a mail may be an answer to one of ours that no person wrote, or ``""``: staff are told of every ticket, so an
    automatic reply of theirs comes back for each; and a return address is known to programs only (RFC 3834 section
    4)."""
    if author is not None and canonical(author) in {canonical(address) for address in staff}:
        return "mail from a staff address triggers no mail by itself"
    if recipients and all(is_bounce_address(recipient, domain) for recipient in recipients):
        return "mail to a return address is an answer by a program"
    return ""


def _tag(secret: bytes, text: str) -> str:
    return keyed.tag(secret, text, TAG)


def loop_value(secret: bytes, message_id: str) -> str:
    """The value of our loop header for a message of ours."""
    return _tag(secret, f"loop\n{message_id}")


def own_message_id(secret: bytes, unique: str, domain: str) -> str:
    """A Message-ID (without brackets) that only we can make: ``unique.hmac@domain``."""
    return f"{unique}.{_tag(secret, f'id{chr(10)}{unique}')}@{domain}"


def is_our_id(secrets: Mapping[str, bytes], message_id: str | None) -> bool:
    """Whether this Message-ID, without its angle brackets, bears the tag of one of our secrets."""
    local, _, _ = (message_id or "").rpartition("@")
    unique, _, tag = local.rpartition(".")
    return (
        bool(unique)
        and len(tag) == TAG
        and any(hmac.compare_digest(_tag(key, f"id\n{unique}"), tag) for key in secrets.values())
    )


def is_own(parsed: ParsedMessage, secrets: Mapping[str, bytes]) -> bool:
    """Whether the mail is one of ours: our loop header, or our signed Message-ID as its own."""
    if is_our_id(secrets, parsed.message_id):
        return True
    for value in parsed.headers.get(LOOP_HEADER.lower(), ()):
        candidate = value.strip()
        if parsed.message_id and any(
            hmac.compare_digest(loop_value(key, parsed.message_id), candidate) for key in secrets.values()
        ):
            return True
    return False


def bounce_address(secret: bytes, outbox_id: int, domain: str) -> str:
    """The envelope sender of one reply."""
    return f"bounces+{outbox_id}.{_tag(secret, f'bounce{chr(10)}{outbox_id}')[:16]}@{domain}"


def bounced_outbox_id(secrets: Mapping[str, bytes], address: str) -> int | None:
    """The outbox row that a bounce address belongs to, or ``None``."""
    found = re.match(r"(?i)^bounces\+(\d{1,18})\.([a-z2-7]{16})@", address)
    if not found:
        return None
    tag = found[2].lower()
    for key in secrets.values():
        if hmac.compare_digest(_tag(key, f"bounce\n{int(found[1])}")[:16], tag):
            return int(found[1])
    return None


def is_bounce_address(address: str, domain: str) -> bool:
    """Whether RCPT for this address is taken as a bounce address (its signature is looked at later)."""
    local, _, host = address.lower().rpartition("@")
    return host == domain.lower() and (local == "bounces" or local.startswith("bounces+"))
