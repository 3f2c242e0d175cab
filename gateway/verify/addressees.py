"""Whom To and Cc address, from their raw octets (RFC 5322 section 3.4): display names, comments and encoded words name
nobody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.mail.address import lexed, with_a_label

MAX_FIELD = 32 * 1024
MAX_ADDRESSES = 500


def addressees(value: bytes) -> tuple[str, ...] | None:
    """The addresses in a field's value, lower-case, domains as A-labels; ``None`` where it cannot be read for
    certain."""
    if len(value) > MAX_FIELD:
        return None
    found = lexed(value.decode("utf-8", "replace").replace("\r", "").replace("\n", ""))
    if found is None:
        return None
    named: list[str] = []
    words: list[str] = []  # since the last comma
    inside: list[str] | None = None  # since the last <
    for kind, text in [*found, ("special", ",")]:
        if kind == "comment":
            continue
        if kind != "special":
            (words if inside is None else inside).append(text if kind == "word" else "")
        elif text == "<" and inside is None:
            inside = []
        elif text == ">" and inside is not None:
            if len(inside) == 1:
                named.append(inside[0])
            words, inside = [""], None  # what stands in front of it was a name
        elif text in ",;:":  # a list, a group; a source route has no business here
            if inside is not None:
                return None
            if len(words) == 1 and text != ":":
                named.append(words[0])
            words = []
        else:
            return None
    return tuple(with_a_label(address.rstrip(".").lower()) for address in named[:MAX_ADDRESSES] if "@" in address)


class Meant(StrEnum):
    """Whom a mail was for, as far as its signature says."""

    US = "us"
    UNKNOWN = "unknown"  #: To or Cc is not signed, there is none (Bcc), or it names others of our company only
    OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Ours:
    """Which addresses are the desk's. All of them lower-case, domains as A-labels.

    ``addresses``: each with any ``+tag``. ``domains``: nobody else has an address there. ``shared``: the company's
    domains, where colleagues, lists and customers' mailboxes stand beside the desk: whoever gets a mail there may hand
    it on to us.
    """

    addresses: frozenset[str]
    domains: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()

    def has(self, address: str) -> bool:
        """Whether a mail to ``address`` is for the desk."""
        local, _, domain = address.rpartition("@")
        return domain in self.domains or f"{local.partition('+')[0]}@{domain}" in self.addresses


def meant_for(recipients: tuple[str, ...] | None, ours: Ours | None) -> Meant:
    """Whether a mail with these signed recipients was for us. ``ours``: ``None`` where that is not judged."""
    if ours is None:
        return Meant.US
    if not recipients:
        return Meant.UNKNOWN
    if any(ours.has(address) for address in recipients):
        return Meant.US
    near = any(address.rpartition("@")[2] in ours.shared for address in recipients)
    return Meant.UNKNOWN if near else Meant.OTHERS
