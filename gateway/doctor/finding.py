"""One line of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """``state``: ok, wrong (the doctor exits with 1), doubt (worth a look) or skipped; ``do``: what a person does about
    it."""

    name: str
    state: Literal["ok", "wrong", "doubt", "skipped"]
    what: str
    do: str = ""

    def as_json(self) -> dict[str, str]:
        """The object of ``doctor --json``."""
        return {"name": self.name, "state": self.state, "what": self.what, "do": self.do}


def ok(name: str, what: str) -> Finding:
    return Finding(name, "ok", what)


def wrong(name: str, what: str, do: str) -> Finding:
    return Finding(name, "wrong", what, do)


def doubt(name: str, what: str, do: str) -> Finding:
    return Finding(name, "doubt", what, do)


def skipped(name: str, what: str) -> Finding:
    return Finding(name, "skipped", what)
