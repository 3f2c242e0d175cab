"""The users of the console: one-time links, sessions with an end, and failed logins. Secrets are kept as hashes only.

Each function takes the connection of a running transaction.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from gateway.database import typed
from gateway.database.among import among
from gateway.database.console_tables import ConsoleSession, User, console_sessions, login_failures, users
from gateway.database.statements import put_once
from gateway.model import Told

ROLES = ("agent", "lead", "admin", "auditor")
INVITE_H = 48.0  #: hours in which a one-time link works
RENEW_MIN = 15.0  #: minutes in which one works that a user has made for himself
SESSION_H = 12.0  #: hours after which a session ends, whatever is done in it
IDLE_H = 3.0  #: hours without a request after which it ends
TOUCH_S = 60.0  #: how exactly the last request is known
KEEP_FAILURES_H = 24.0
KNOWN_D = 30.0  #: days for which it is known that a user has logged in from an address
#: (failures until it is locked, seconds of the first lock): by address and name, by address, by name
LIMITS = {"both": (5, 60.0), "address": (30, 300.0), "name": (50, 60.0)}
LONGEST_LOCK_S = 900.0


class UserFault(Told):
    """What was asked of a user cannot be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Who:
    """A user who is logged in, and the session it is by."""

    id: int
    name: str
    role: str
    csrf: str
    digest: str


def digest(token: str) -> str:
    """The SHA-256 of a token, in hex: all that is kept of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def any_user(connection: Connection) -> bool:
    """Whether anybody may use the console: it is off until then."""
    return connection.execute(select(users.c.id).limit(1)).first() is not None


def listed(connection: Connection) -> list[dict[str, Any]]:
    """``users list``: every user, by name."""
    rows = typed.every(connection, User, select(users).order_by(users.c.name))
    return [
        {
            "name": row.name,
            "role": row.role,
            "state": "disabled" if row.disabled else "active" if row.password else "invited",
            "created_at": row.created_at.isoformat(),
            "seen_at": row.seen_at.isoformat() if row.seen_at else None,
        }
        for row in rows
    ]


def _named(connection: Connection, name: str) -> Any:
    row = typed.first(connection, User, select(users).where(users.c.name == name).with_for_update())
    if row is None:
        raise UserFault(f"no user {name}: gateway users list")
    return row


def _checked(name: str, role: str) -> None:
    if role not in ROLES:
        raise UserFault(f"not a role: {role} (use {', '.join(ROLES)})")
    if not 1 <= len(name) <= 60 or not name.isprintable() or name != name.strip() or set(name) & set("/\\<>\"' "):
        raise UserFault("a user's name has 1 to 60 characters, without blanks, quotes and slashes")


#: letters of other scripts that look like these, and names that are not a person's
_ALIKE = str.maketrans("аеорсухіјѕһԁԛԝԍікοαιενρτυχκӏ", "aeopcyxijshdqwgikoaievptuxkl")
_OURS = ("gateway", "console", "system", "nobody", "(unknown)")


def _look_of(name: str) -> str:
    """What a name looks like, so that nobody is taken for somebody else."""
    return unicodedata.normalize("NFKC", name).casefold().translate(_ALIKE)


def _must_be_new(connection: Connection, name: str) -> None:
    look = _look_of(name)
    if look in _OURS:
        raise UserFault(f"{name} is a name of the service's own")
    for known in connection.execute(select(users.c.name)).scalars():
        if known != name and _look_of(known) == look:
            raise UserFault(f"{name} looks like {known}: choose another name")


def add(connection: Connection, name: str, role: str, now: datetime) -> str:
    """Makes a user; the token of the one-time link, which nobody can read again.

    Raises:
        UserFault: the name or role cannot be used, or the name is taken.
    """
    _checked(name, role)
    _must_be_new(connection, name)
    token = secrets.token_urlsafe(32)
    values = {
        "name": name, "role": role, "password": "", "totp": "", "totp_step": 0, "invite": digest(token),
        "invite_until": now + timedelta(hours=INVITE_H), "disabled": False, "created_at": now,
    }  # fmt: skip
    if put_once(connection, users, values) is None:
        raise UserFault(f"there is a user {name} already: gateway users reset {name} makes a new link")
    return token


def vouched(connection: Connection, names: Sequence[str], address: str, create: str, now: datetime) -> Any:
    """The user for whom a provider of logins vouches: one of these names, else the one whose name is the address, else
    with a role to ``create`` a new one of that name; ``None`` where there is none, or he is disabled."""
    for name in (*names, address):
        row = connection.execute(select(users).where(users.c.name == name)).first()
        if row is not None:
            return None if row.disabled else row
    if not create:
        return None
    add(connection, address, create, now)
    connection.execute(update(users).where(users.c.name == address).values(invite="", invite_until=None))
    return of_name(connection, address, by_password=False)


def reset(connection: Connection, name: str, now: datetime) -> str:
    """A new one-time link; the old password, second factor and sessions are gone.

    Raises:
        UserFault: there is no such user.
    """
    row = _named(connection, name)
    token = secrets.token_urlsafe(32)
    until = now + timedelta(hours=INVITE_H)
    values = {"password": "", "totp": "", "totp_step": 0, "invite": digest(token), "invite_until": until}
    connection.execute(update(users).where(users.c.id == row.id).values(disabled=False, **values))
    end_all(connection, row.id)
    forgiven(connection, row.name)
    return token


def renew(connection: Connection, user_id: int, now: datetime) -> str:
    """A one-time link of a few minutes for who is logged in and has just proved it again; until it is used the old
    password and second factor count."""
    token = secrets.token_urlsafe(32)
    values = {"invite": digest(token), "invite_until": now + timedelta(minutes=RENEW_MIN)}
    connection.execute(update(users).where(users.c.id == user_id).values(**values))
    return token


def _must_not_be_the_last(connection: Connection, row: Any) -> None:
    """Locks the admins, so that two who go at once do not both see the other."""
    u = users.c
    admins = select(u.id).where(u.role == "admin", u.disabled.is_(False)).order_by(u.id).with_for_update()
    if list(connection.execute(admins).scalars()) == [row.id]:
        raise UserFault(f"{row.name} is the last admin: add another one first")


def disable(connection: Connection, name: str) -> None:
    """The user cannot log in any more, and is logged out. What he did stays.

    Raises:
        UserFault: there is no such user, or no admin would be left.
    """
    row = _named(connection, name)
    _must_not_be_the_last(connection, row)
    connection.execute(update(users).where(users.c.id == row.id).values(disabled=True, invite="", invite_until=None))
    end_all(connection, row.id)


def change_role(connection: Connection, name: str, role: str) -> None:
    """Another role; open sessions have it at once.

    Raises:
        UserFault: there is no such user or role, or no admin would be left.
    """
    _checked(name, role)
    row = _named(connection, name)
    if role != "admin":
        _must_not_be_the_last(connection, row)
    connection.execute(update(users).where(users.c.id == row.id).values(role=role))


def invited(connection: Connection, token: str, now: datetime) -> Any:
    """The user whose one-time link this is, or ``None``."""
    u = users.c
    chosen = select(users).where(u.invite == digest(token), u.invite_until > now, u.disabled.is_(False))
    return connection.execute(chosen.with_for_update()).first()


def enrol(connection: Connection, token: str, password: str, totp: tuple[str, int], now: datetime) -> str | None:
    """Sets password and second factor (secret, the step that proved it) by a one-time link, which ends with it; the
    name, or ``None`` where the link is no good any more."""
    row = invited(connection, token, now)
    if row is None:
        return None
    values = {"password": password, "totp": totp[0], "totp_step": totp[1], "invite": "", "invite_until": None}
    connection.execute(update(users).where(users.c.id == row.id).values(**values))
    end_all(connection, row.id)
    return str(row.name)


def of_name(connection: Connection, name: str, by_password: bool = True) -> Any:
    """The user who could log in by this name, or ``None``; who comes through a proxy needs no password here."""
    u = users.c
    chosen = select(users).where(u.name == name, u.disabled.is_(False))
    return connection.execute(chosen.where(u.password != "") if by_password else chosen).first()


def use_step(connection: Connection, user_id: int, step: int) -> bool:
    """Takes a step of the second factor; false where it or a later one was used (RFC 6238 section 5.2)."""
    once = update(users).where(users.c.id == user_id, users.c.totp_step < step).values(totp_step=step)
    return connection.execute(once).rowcount == 1


# --------------------------------------------------------------------------- sessions


def begin_session(connection: Connection, user_id: int, address: str, agent: str, now: datetime) -> str:
    """A new session; the value of its cookie."""
    token = secrets.token_urlsafe(32)
    connection.execute(delete(console_sessions).where(console_sessions.c.expires_at <= now))
    connection.execute(update(users).where(users.c.id == user_id).values(seen_at=now))
    values = {
        "digest": digest(token), "user_id": user_id, "csrf": secrets.token_urlsafe(24), "created_at": now,
        "seen_at": now,
        "expires_at": now + timedelta(hours=SESSION_H), "address": address[:64], "agent": agent[:200],
    }  # fmt: skip
    connection.execute(console_sessions.insert().values(**values))
    return token


def session(connection: Connection, token: str, now: datetime) -> tuple[Who, bool] | None:
    """(who it is, whether ``touch`` is due) of a cookie; ``None`` where it says nothing (any more)."""
    s, u = console_sessions.c, users.c
    row = connection.execute(
        select(s.digest, s.csrf, s.seen_at, s.user_id, u.name, u.role)
        .join(users, u.id == s.user_id)
        .where(s.digest == digest(token), s.expires_at > now, u.disabled.is_(False))
    ).first()
    if row is None or now - row.seen_at > timedelta(hours=IDLE_H):
        return None
    due = now - row.seen_at > timedelta(seconds=TOUCH_S)
    return Who(row.user_id, row.name, row.role, row.csrf, row.digest), due


def lives(connection: Connection, of: str, now: datetime) -> bool:
    """Whether a session goes on: not ended, and its user not disabled."""
    s, u = console_sessions.c, users.c
    chosen = (
        select(s.digest).join(users, u.id == s.user_id).where(s.digest == of, s.expires_at > now, u.disabled.is_(False))
    )
    return connection.execute(chosen).first() is not None


def touch(connection: Connection, of: str, now: datetime) -> None:
    """A request came in this session."""
    connection.execute(update(console_sessions).where(console_sessions.c.digest == of).values(seen_at=now))


def end(connection: Connection, of: str) -> None:
    """Ends the session with this digest; no fault where there is none."""
    connection.execute(delete(console_sessions).where(console_sessions.c.digest == of))


def active(connection: Connection) -> list[str]:
    """Names of the users who can log in."""
    return list(connection.execute(select(users.c.name).where(users.c.disabled.is_(False)).limit(200)).scalars())


def end_all(connection: Connection, user_id: int) -> None:
    """Ends every session of a user."""
    connection.execute(delete(console_sessions).where(console_sessions.c.user_id == user_id))


def end_others(connection: Connection, user_id: int, digest: str) -> None:
    """Ends every session of a user but this one."""
    s = console_sessions.c
    connection.execute(delete(console_sessions).where(s.user_id == user_id, s.digest != digest))


def sessions_of(connection: Connection, user_id: int) -> list[Any]:
    """The sessions of a user, the newest first."""
    s = console_sessions.c
    return typed.every(
        connection, ConsoleSession, select(console_sessions).where(s.user_id == user_id).order_by(s.seen_at.desc())
    )


# --------------------------------------------------------------------------- failed logins


def _keys(name: str, address: str) -> dict[str, str]:
    place = _network(address)
    given = {"both": f"{name}\n{place}", "address": f"\n{place}", "name": f"{name}\n"}
    return {kind: digest(f"{kind}:{value}") for kind, value in given.items()}


def _network(address: str) -> str:
    """Whose tries are counted together: an IPv4 address, an IPv6 /64."""
    try:
        return str(ipaddress.ip_network(f"{address}/64", strict=False)) if ":" in address else address
    except ValueError:
        return address


def _known(name: str, address: str) -> str:
    """The key of the row that says: this user has logged in from there."""
    return digest(f"known:{name}\n{_network(address)}")


def locked(connection: Connection, name: str, address: str, now: datetime, judging: bool = False) -> bool:
    """Whether logins by this name or from this address are refused now, be the password right or not. The lock of a
    name does not hold where its user has logged in before: no stranger can lock him out. ``judging``: the try is judged
    in this transaction, so that tries that come at once are judged one after the other."""
    f, keys = login_failures.c, _keys(name, address)
    known = connection.execute(select(f.key).where(f.key == _known(name, address))).first() is not None
    asked = [key for kind, key in keys.items() if kind != "name" or not known]
    chosen = select(f.key, f.locked_until).where(among(f.key, asked)).order_by(f.key)
    rows = connection.execute(chosen.with_for_update() if judging else chosen).all()
    return any(row.locked_until is not None and row.locked_until > now for row in rows)


def failed(connection: Connection, name: str, address: str, now: datetime) -> bool:
    """Counts a failed login; each lock is twice as long as the last. A name that does not exist is counted alike.
    Whether this failure locked anything."""
    f = login_failures.c
    old = (f.last_at < now - timedelta(hours=KEEP_FAILURES_H)) & (f["count"] > 0)
    connection.execute(delete(login_failures).where(old | (f.last_at < now - timedelta(days=KNOWN_D))))
    fresh = False
    for kind, key in _keys(name, address).items():
        row = connection.execute(select(login_failures).where(f.key == key).with_for_update()).first()
        count = int(row._mapping["count"] if row is not None else 0) + 1
        until = _lock(kind, count, now)
        fresh = fresh or until is not None
        _write(connection, key, {"count": count, "last_at": now, "locked_until": until})
    return fresh


def _write(connection: Connection, key: str, values: dict[str, Any]) -> None:
    f = login_failures.c
    if connection.execute(update(login_failures).where(f.key == key).values(**values)).rowcount == 0:
        put_once(connection, login_failures, {"key": key, **values})


def _lock(kind: str, count: int, now: datetime) -> datetime | None:
    limit, seconds = LIMITS[kind]
    if count < limit:
        return None
    return now + timedelta(seconds=min(LONGEST_LOCK_S, seconds * 2.0 ** min(count - limit, 10)))


def succeeded(connection: Connection, name: str, address: str, now: datetime) -> None:
    """A login that was right forgives the failures of this name from this address, wherever they were counted."""
    f, keys = login_failures.c, _keys(name, address)
    mine = connection.execute(select(login_failures).where(f.key == keys["both"]).with_for_update()).first()
    if mine is not None:
        own = int(mine._mapping["count"])
        shared = [keys["address"], keys["name"]]
        connection.execute(update(login_failures).where(f.key.in_(shared)).values(count=f["count"] - own))
        connection.execute(
            delete(login_failures).where((f.key == keys["both"]) | (f.key.in_(shared) & (f["count"] <= 0)))
        )
    _write(connection, _known(name, address), {"count": 0, "last_at": now, "locked_until": None})


def forgiven(connection: Connection, name: str) -> None:
    """Lifts the lock of a name."""
    connection.execute(delete(login_failures).where(login_failures.c.key == _keys(name, "")["name"]))


def locked_names(connection: Connection, names: Sequence[str], now: datetime) -> set[str]:
    """Which of these names are locked for addresses that nobody has logged in from."""
    keys = {_keys(name, "")["name"]: name for name in names}
    f = login_failures.c
    chosen = select(f.key).where(among(f.key, keys), f.locked_until > now)
    return {keys[key] for key in connection.execute(chosen).scalars()}
