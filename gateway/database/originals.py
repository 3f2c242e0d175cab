"""The bytes of mails as they came, in pieces of at most 1 MB under the id of the mail (of an arrival: under minus its
id).

One commit of 25 MB would hold up every other sender, so a large mail is staged first, a piece a commit, under a number
of its own; the commit that makes it a mail then stores only where its pieces are (a row with ``seq`` -1) and that they
are a mail's (a row with ``seq`` -2 beside them). Other pieces are left of a service that died meanwhile; nobody was
told that they are kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, select, update

from gateway.database.among import among
from gateway.database.statements import fetch, put_all
from gateway.database.tables import raw

PIECE = 1024 * 1024
POINTER, OWNED = -1, -2
_STAGED = -(1 << 62)  #: staged pieces have numbers from here on, by the second in which they came
_RANDOM = 20
_PIECES = select(raw.c.seq, raw.c.data).where(raw.c.message_id == bindparam("key"), raw.c.seq >= 0).order_by(raw.c.seq)
_ONE = select(raw.c.data).where(raw.c.message_id == bindparam("key"), raw.c.seq == bindparam("number"))


def pieces(data: bytes | bytearray) -> Iterator[bytes]:
    """The bytes, a piece at a time."""
    view = memoryview(data)
    for start in range(0, max(len(view), 1), PIECE):
        yield bytes(view[start : start + PIECE])


def staging(now: datetime) -> int:
    """A fresh number to stage pieces under."""
    return _STAGED + (int(now.timestamp()) << _RANDOM) + secrets.randbits(_RANDOM)


def stage(connection: Connection, staged: int, seq: int, piece: bytes) -> None:
    """Stores one piece ahead."""
    put_all(connection, raw, [{"message_id": staged, "seq": seq, "data": piece}])


def keep(connection: Connection, key: int, data: bytes | bytearray, staged: int | None = None) -> None:
    """Stores the bytes of a mail, or where they are staged."""
    if staged is not None:
        place = {"message_id": key, "seq": POINTER, "data": str(staged).encode()}
        put_all(connection, raw, [place, {"message_id": staged, "seq": OWNED, "data": b""}])
        return
    for seq, piece in enumerate(pieces(data)):
        put_all(connection, raw, [{"message_id": key, "seq": seq, "data": piece}])


def _place(connection: Connection, key: int) -> int:
    """Under which number the pieces of a mail are."""
    found = fetch(connection, _ONE, {"key": key, "number": POINTER})
    return int(found[0].data) if found else key


def load(connection: Connection, key: int) -> bytes | bytearray:
    """The bytes of a mail; empty when there are none."""
    found = fetch(connection, _PIECES, {"key": key}) or fetch(connection, _PIECES, {"key": _place(connection, key)})
    whole: bytes | bytearray = bytes(found[0].data) if found else b""
    for row in found[1:]:
        if isinstance(whole, bytes):
            whole = bytearray(whole)
        whole += row.data
    return whole


def load_piece(connection: Connection, key: int, seq: int) -> bytes:
    """One piece of a mail, at most ``PIECE`` octets."""
    found = fetch(connection, _ONE, {"key": _place(connection, key), "number": seq})
    return bytes(found[0].data) if found else b""


def size_of(connection: Connection, key: int) -> int:
    """How many octets a mail has."""
    pieces_of = (raw.c.message_id == _place(connection, key)) & (raw.c.seq >= 0)
    return int(connection.execute(select(func.sum(func.length(raw.c.data))).where(pieces_of)).scalar() or 0)


def drop(connection: Connection, key: int) -> None:
    """Forgets the bytes of a mail, wherever they are."""
    place = _place(connection, key)
    connection.execute(delete(raw).where(raw.c.message_id == key))
    if place != key:
        connection.execute(delete(raw).where(raw.c.message_id == place))


def forget(connection: Connection, keys: Sequence[int]) -> None:
    """``drop`` of several mails, with little to write: the staged pieces of large ones are only abandoned here (see
    ``drop_pieces``)."""
    staged = select(raw.c.data).where(among(raw.c.message_id, keys), raw.c.seq == POINTER)
    places = [int(found) for found in connection.execute(staged).scalars()]
    connection.execute(delete(raw).where(among(raw.c.message_id, keys)))
    if places:
        disown(connection, places)


def abandoned(connection: Connection, before: datetime, count: int) -> list[tuple[int, int]]:
    """Staged pieces from before a moment that are no mail's: (number, seq), last ones first."""
    number = raw.c.message_id
    last = _STAGED + (int(before.timestamp()) << _RANDOM)
    staged = select(number).where(number >= _STAGED, number < last).group_by(number).having(func.min(raw.c.seq) >= 0)
    rows = connection.execute(
        select(number, raw.c.seq).where(number.in_(staged)).order_by(number, raw.c.seq.desc()).limit(count)
    ).all()
    return [(int(row.message_id), int(row.seq)) for row in rows]


def drop_pieces(connection: Connection, keys: Sequence[tuple[int, int]]) -> int:
    """Deletes pieces by number and seq."""
    for number, seq in keys:
        connection.execute(delete(raw).where(raw.c.message_id == number, raw.c.seq == seq))
    return len(keys)


def move(connection: Connection, key: int, other: int) -> None:
    """The bytes of one mail become another's, which has none."""
    connection.execute(update(raw).where(raw.c.message_id == key).values(message_id=other))


def own(connection: Connection, staged: int) -> None:
    """Staged pieces that are no mail's stay: they are loaded by the number under which they were staged."""
    put_all(connection, raw, [{"message_id": staged, "seq": OWNED, "data": b""}])


def disown(connection: Connection, staged: Sequence[int]) -> None:
    """Such pieces are abandoned (see ``drop_pieces``)."""
    connection.execute(delete(raw).where(among(raw.c.message_id, staged), raw.c.seq == OWNED))


def abandon(connection: Connection, staged: int) -> None:
    """Forgets staged pieces, unless they became a mail after all."""
    if not fetch(connection, _ONE, {"key": staged, "number": OWNED}):
        connection.execute(delete(raw).where(raw.c.message_id == staged))


def clean(connection: Connection, before: datetime) -> int:
    """Abandons what was staged before this moment; the number of mails that it would have been."""
    number = raw.c.message_id
    last = _STAGED + (int(before.timestamp()) << _RANDOM)
    staged = select(number).where(number >= _STAGED, number < last).group_by(number).having(func.min(raw.c.seq) >= 0)
    left = [row.message_id for row in connection.execute(staged).all()]
    for key in left:
        abandon(connection, key)
    return len(left)
