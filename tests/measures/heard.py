"""Labelled texts of strangers, taken in with what the rules say of them before a rule is changed for any."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.read.topics.rules import heard
from gateway.read.topics.scoring import asked_of
from tests.measures.first_sight import rows
from tests.measures.taught import PEOPLE, kinds_asked

REQUIRED = ("subject", "text", "critical", "sensitive")  #: columns of a text that is heard
LABELLED = ("critical", "sensitive", "department", "question")  #: those that may not be blank


class NotLabelled(ValueError):
    """A text from which nothing can be learned."""


def hear(path: Path, into: Path = PEOPLE) -> None:
    """Adds the texts of a file (JSON lines or CSV) with what the rules say of them.

    Raises:
        NotLabelled: a text has no ``subject``, ``text``, ``critical`` or ``sensitive``, or a label is blank.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines if line.strip()] if path.suffix == ".jsonl" else rows(path)
    for number, one in enumerate(found, 1):
        if why := _unlabelled(one):
            raise NotLabelled(f"{path}: text {number}: {why}; nothing was added")
    with into.open("a", encoding="utf-8") as file:
        for one in found:
            file.write(json.dumps(_told(one), ensure_ascii=False) + "\n")


def _unlabelled(one: Mapping[str, Any]) -> str:
    """Why nothing can be learned from a text, or ``""``: a blank label was not looked at, and is no "no"."""
    if missing := [name for name in REQUIRED if name not in one]:
        return f"no {', '.join(missing)}"
    if blank := [name for name in LABELLED if name in one and one[name] in ("", None)]:
        return f"{', '.join(blank)} is blank: write yes or no, a name, or - for none"
    critical = one["critical"]
    return "" if isinstance(critical, bool) or critical.lower() in ("yes", "no") else "critical is neither yes nor no"


def _told(one: Mapping[str, Any]) -> dict[str, Any]:
    asked = sorted(kinds_asked(" ".join(one["sensitive"]) if isinstance(one["sensitive"], list) else one["sensitive"]))
    critical = one["critical"] if isinstance(one["critical"], bool) else one["critical"].lower() == "yes"
    opinions = {name: round(value, 2) for name, value in heard(asked_of(one["subject"], one["text"])).opinions.items()}
    return {
        **{name: one[name] for name in ("id", "language", "subject", "text", "department", "question") if name in one},
        "critical": critical, "sensitive": asked, "opinions": opinions,
    }  # fmt: skip
