"""Who may do what: an agent answers, a lead releases and merges, an admin blocks and manages users, an auditor
reads."""

from __future__ import annotations

from gateway.model import Person, Role, Told

_ORDER = (Role.AUDITOR, Role.AGENT, Role.LEAD, Role.ADMIN)
#: the lowest role that may do it
NEEDS = {
    "read": Role.AUDITOR,
    "answer": Role.AGENT,
    "change": Role.AGENT,
    "release": Role.LEAD,
    "merge": Role.LEAD,
    "block": Role.ADMIN,
    "users": Role.ADMIN,
    "audit": Role.LEAD,
}
#: who may do it besides, whatever the place of his role
_BESIDES = {"audit": Role.AUDITOR}


class NotAllowed(Told):
    """The person's role is not enough."""


def may(by: Person, what: str) -> bool:
    """Whether the role is enough for ``what``, a key of ``NEEDS``."""
    return by.role is _BESIDES.get(what) or _ORDER.index(by.role) >= _ORDER.index(NEEDS[what])


def require(by: Person, what: str) -> None:
    """Raises ``NotAllowed`` unless the role is enough."""
    if not may(by, what):
        raise NotAllowed(f"{by.name} is {by.role}: to {what} needs the role {NEEDS[what]}")
