"""Ready texts for answers: ``ready.<language>.toml`` beside the templates, filled with what is known of a ticket."""

from __future__ import annotations

import re
from collections.abc import Mapping
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


def offered(templates: Templates, row: Any, facts: Mapping[str, list[Any]], agent: str) -> list[Ready]:
    """Every text, those in the ticket's language first."""
    values = _values(row, facts, agent)
    languages = sorted(templates.languages(), key=lambda language: (language != row.reply_language, language))
    return [
        Ready(language, title, _filled(text, values))
        for language in languages
        for title, text in templates.ready(language).items()
    ]


def _filled(text: str, values: Mapping[str, str]) -> str:
    """What is not known stays visible as a gap to be filled."""
    return _GAP.sub(lambda gap: values.get(gap[1], f"[{gap[1]}]"), text).strip()


def _values(row: Any, facts: Mapping[str, list[Any]], agent: str) -> dict[str, str]:
    def first(kind: str) -> str | None:
        own = [one.value for one in facts.get(kind, ()) if one.ownership == "own"]
        return own[0] if own else None

    known = {
        "name": row.author_name or None, "reference": row.reference, "subject": row.subject or None, "agent": agent,
        "order": first("orders"), "ip": first("ips"), "service": first("services"), "invoice": first("invoices"),
    }  # fmt: skip
    return {name: value for name, value in known.items() if value is not None}
