"""Which nodes work on this PostgreSQL, and what each of them does: read from the server's own list of connections.

Each node holds one connection that listens (``bell.py``) and carries its name and roles as ``application_name``, of
which PostgreSQL keeps 63 octets. There is no table of nodes: one that dies is gone from the list with its connection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from gateway.database.settings import ROLES as ROLES

_MARK = "gateway/"
_LABEL = re.compile(r"gateway/([iwsh]+)/([A-Za-z0-9._-]{1,40})/([0-9a-f]{8})")
_LIVE = text(
    "select application_name from pg_stat_activity "
    "where datname = current_database() and application_name like 'gateway/%' order by 1"
)


@dataclass(frozen=True, slots=True)
class Live:
    """A node that is there now."""

    name: str
    roles: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.roles)})"


def label(name: str, roles: Sequence[str], key: str) -> str:
    """What the server shows of a node. ``key``: eight hexadecimal digits that no other node has."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", name)[:40] or "node"
    return f"{_MARK}{''.join(role[0] for role in ROLES if role in roles)}/{plain}/{key}"


def live(connection: Connection) -> list[Live]:
    """The nodes that listen now; empty on SQLite, which has one, and where none can listen."""
    if connection.dialect.name != "postgresql":
        return []
    found = (_LABEL.fullmatch(name or "") for name in connection.execute(_LIVE).scalars())
    return [Live(one[2], tuple(role for role in ROLES if role[0] in one[1])) for one in found if one]


def unserved(nodes: Sequence[Live]) -> list[str]:
    """The roles that none of them has; empty where no node is known."""
    served = {role for node in nodes for role in node.roles}
    return [role for role in ROLES if role not in served] if nodes else []
