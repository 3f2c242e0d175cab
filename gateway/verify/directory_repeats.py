"""Keys that stand in a table of the account directory more than once: nobody knows then whose the thing is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

_APART = "\x1f"  #: between cells; no cell has it


class Repeats:
    """Watches rows go into a table by ``insert or ignore``; costs nothing while no key comes again.

    The keys that do are kept in a table of their own, which is gone with the connection: an export may hold every row
    twice.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._any = False
        connection.execute("create temp table if not exists repeats (key text primary key, place text, cells text)")
        connection.execute("delete from repeats")

    def watched(self, rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
        """The rows, for ``executemany``: one that changes nothing has a key that is there."""
        for cells in rows:
            before = self._connection.total_changes
            yield cells
            if self._connection.total_changes == before:
                self._any = True
                self._connection.execute("insert or ignore into repeats (key) values (?)", (cells[0],))

    def differing(self, again: Iterable[tuple[str, str, list[str]]]) -> Iterator[tuple[str, str, str]]:
        """(key, first place, other place) of what does not say the same word for word; ``again``: the same rows once
        more as (place, key, other cells), which is read only when a key came again."""
        if not self._any:
            return
        for place, key, row in again:
            found = self._connection.execute("select place, cells from repeats where key = ?", (key,)).fetchone()
            cells = _APART.join(row)
            if found is None:
                continue
            if found[0] is None:
                self._connection.execute("update repeats set place = ?, cells = ? where key = ?", (place, cells, key))
            elif found[1] != cells:
                yield key, found[0], place
