"""Full-text search over what is said in tickets: subjects, words, facts, file names, addresses.

The index (FTS5 on SQLite, a tsvector with GIN on PostgreSQL) is filled by the console, some entries at a time in
transactions of their own, and once more before every search; the commit of a mail writes nothing for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from gateway.database.tables import attachments, entries, facts, tickets  # noqa: F401 - the tables that are named below

BATCH = 100  #: entries in one transaction
BEHIND = (
    500  #: entries may become visible in another order than that of their ids, on PostgreSQL: so far back it is looked
)
FOUND = 400  #: tickets at most, the newest first
LONGEST = 100_000  #: characters of an entry
_WORD = re.compile(r"[^\s\"]+")
#: what both indexes take for a word; PostgreSQL's own parser would keep addresses and file names in one piece
_PIECE = re.compile(r"[^\W_]+")

_NEXT = """
select e.id, e.ticket_id, e.author, e.text, e.full_text, t.reference, t.subject, t.account, t.author_name
from entries e join tickets t on t.id = e.ticket_id
where e.id > :mark and not exists (select 1 from {index} s where s.{key} = e.id and s.{key} > :mark)
order by e.id limit :count
"""
_MARK = {"sqlite": "select max(id) from search_content", "postgresql": "select max(id) from search"}
_INDEX = {"sqlite": ("search_docsize", "id"), "postgresql": ("search", "id")}
_PUT = {
    "sqlite": "insert into search (rowid, words) values (:id, :words)",
    "postgresql": "insert into search (id, words) values (:id, to_tsvector('simple', :words)) on conflict do nothing",
}
_FORGET = {
    "sqlite": "delete from search where rowid = :id",
    "postgresql": "delete from search where id = :id",
}
_FIND = {
    "sqlite": "select e.ticket_id from search s join entries e on e.id = s.rowid where s.words match :query"
    " order by s.rowid desc limit :count",
    "postgresql": "select e.ticket_id from search s join entries e on e.id = s.id"
    " where s.words @@ to_tsquery('simple', :query) order by s.id desc limit :count",
}
#: PostgreSQL takes a word that hardly anybody says for one that all say, and walks everything: this asks the index
#: first
_FIND_RARE = (
    "with found as materialized (select id from search where words @@ to_tsquery('simple', :query))"
    " select (select e.ticket_id from entries e where e.id = one.id)"
    " from (select id from found order by id desc limit :count) one"
)
PROBE = 3000  #: entries, the newest, in which it is seen how often the words are said
_PROBED = (
    "with newest as materialized (select words from search where id > (select max(id) from search) - :probe)"
    " select count(*) from newest where words @@ to_tsquery('simple', :query)"
)


def catch_up(connection: Connection, count: int = BATCH) -> int:
    """Indexes the next entries; how many there were. Fewer than ``count``: it is up to date."""
    kind = connection.dialect.name
    mark = connection.execute(text(_MARK[kind])).scalar() or 0
    index, key = _INDEX[kind]
    rows = connection.execute(
        text(_NEXT.format(index=index, key=key)), {"mark": mark - BEHIND, "count": count}
    ).all()  # fmt: skip
    if rows:
        more = _more(connection, [row.id for row in rows])
        whole = [{"id": row.id, "words": _words(row, more)} for row in rows]
        if kind != "sqlite":
            whole = [{**one, "words": " ".join(_PIECE.findall(one["words"]))} for one in whole]
        connection.execute(text(_PUT[kind]), whole)
    return len(rows)


def behind(connection: Connection) -> bool:
    """Whether there is anything to index."""
    kind = connection.dialect.name
    mark = connection.execute(text(_MARK[kind])).scalar() or 0
    index, key = _INDEX[kind]
    return bool(
        connection.execute(text(_NEXT.format(index=index, key=key)), {"mark": mark - BEHIND, "count": 1}).first()
    )


def _more(connection: Connection, ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for statement in (
        "select entry_id, value from facts where entry_id in ({})",
        "select entry_id, filename from attachments where entry_id in ({})",
    ):
        for entry, value in connection.execute(text(statement.format(",".join(str(int(one)) for one in ids)))):
            found.setdefault(entry, []).append(value)
    return found


def _words(row: Any, more: dict[int, list[str]]) -> str:
    said = (row.reference, row.subject, row.account or "", row.author, row.author_name, *more.get(row.id, ()))
    return "\n".join((*said, row.text, row.full_text))[:LONGEST]


def forget(connection: Connection, ids: Sequence[int]) -> None:
    """Takes entries out of the index, as when their words are erased."""
    if ids:
        connection.execute(text(_FORGET[connection.dialect.name]), [{"id": one} for one in ids])


def query(words: str, kind: str) -> str:
    """What a person typed, in the language of the index: every word must be there, its pieces side by side, and the
    last one may be a beginning."""
    given = [pieces for word in _WORD.findall(words)[:12] if (pieces := _PIECE.findall(word)[:12])]
    if kind == "sqlite":
        return " ".join(f'"{" ".join(pieces)}"' for pieces in given) + ("*" if given else "")
    last = len(given) - 1
    return " & ".join(_side_by_side(pieces, index == last) for index, pieces in enumerate(given))


def _side_by_side(pieces: list[str], last: bool) -> str:
    return "(" + " <-> ".join(f"'{piece}'" for piece in pieces) + (":*)" if last else ")")


def find(connection: Connection, words: str) -> list[int]:
    """Ids of the tickets in which all of this is said in one entry, the newest first."""
    kind = connection.dialect.name
    asked = query(words, kind)
    if not asked:
        return []
    by = _FIND[kind] if kind == "sqlite" or _is_common(connection, asked) else _FIND_RARE
    rows = connection.execute(text(by), {"query": asked, "count": FOUND * 2}).scalars()
    return [one for one in dict.fromkeys(rows) if one is not None][:FOUND]


def _is_common(connection: Connection, asked: str) -> bool:
    """Whether the newest entries say it so often that walking them back finds enough soon."""
    found = connection.execute(text(_PROBED), {"query": asked, "probe": PROBE}).scalar_one()
    return bool(found * 10 > FOUND * 2)
