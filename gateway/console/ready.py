"""Ready texts for answers: ``ready.<language>.toml`` beside the templates, filled with what is known of a ticket."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.replies.render import Templates


@dataclass(frozen=True, slots=True)
class Ready:
    """One text, with the ticket's own values in it."""

    language: str
    title: str
    text: str


_GAP = re.compile(r"\{([a-z]+)\}")
_LEFT = re.compile(r"\[[a-z]+\]")


@dataclass(frozen=True, slots=True)
class Known:
    """What a text is filled with: the ticket's row, its facts by kind, who answers, and (number, service, status) of
    the orders of the account, where the author is proven."""

    row: Any
    facts: Mapping[str, list[Any]]
    agent: str
    orders: Sequence[tuple[str, str, str]] = ()


def offered(templates: Templates, known: Known) -> list[Ready]:
    """Every text, those in the ticket's language first."""
    values = _values(known)
    spoken = known.row.reply_language
    languages = sorted(templates.languages(), key=lambda language: (language != spoken, language))
    return [
        Ready(language, title, _filled(text, values))
        for language in languages
        for title, text in templates.ready(language).items()
    ]


def _filled(text: str, values: Mapping[str, str]) -> str:
    """What is not known stays visible as a gap to be filled."""
    return _GAP.sub(lambda gap: values.get(gap[1], f"[{gap[1]}]"), text).strip()


def gaps(templates: Templates, words: str) -> list[str]:
    """The gaps of ready texts that were left in an answer, as they stand there."""
    names = {
        name
        for language in templates.languages()
        for text in templates.ready(language).values()
        for name in _GAP.findall(text)
    }
    return [gap for gap in dict.fromkeys(_LEFT.findall(words)) if gap[1:-1] in names]


def _values(known: Known) -> dict[str, str]:
    row, facts, agent = known.row, known.facts, known.agent

    def first(kind: str) -> str | None:
        own = [one.value for one in facts.get(kind, ()) if one.ownership == "own"]
        return own[0] if own else None

    order, service = _order(first("orders"), first("services"), known.orders)
    found = {
        "name": row.author_name or None, "reference": row.reference, "subject": row.subject or None, "agent": agent,
        "order": order, "ip": first("ips"), "service": service, "invoice": first("invoices"),
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def _order(
    number: str | None, service: str | None, orders: Sequence[tuple[str, str, str]]
) -> tuple[str | None, str | None]:
    """(order, service): one known by the other; of an account with one active order it is that one."""
    active = [one for one in orders if one[2] == "active"]
    fits = [one for one in orders if number == one[0] or (number is None and (service or "").lower() == one[1].lower())]
    if number is None and service is None:
        fits = active if len(active) == 1 else []
    return (number or fits[0][0], service or fits[0][1]) if len(fits) == 1 else (number, service)
