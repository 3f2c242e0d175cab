"""Whose fault an error of the database is: the one list.

Either what was to be written is wrong (``MAIL``: it would fail again whenever it is tried, so that one mail is set
aside) or the database is (``DATABASE``, ``DISK``: wait, try again, say so). Two transactions that got in each other's
way are nobody's fault (``CONFLICT``): the same transaction again, at once. PostgreSQL's errors are told apart by the
class of their SQLSTATE (appendix A of its manual), SQLite's by their primary result code (sqlite.org/rescode.html);
what a driver finds by itself, without a word from the database, by the exception's class.
"""

from __future__ import annotations

import sqlite3
from enum import StrEnum

from sqlalchemy import exc


class Fault(StrEnum):
    """Who or what has to change before the same statement can succeed."""

    MAIL = "mail"
    CONFLICT = "conflict"
    DATABASE = "database"
    DISK = "disk"


#: by SQLSTATE, the whole of it before its first two characters; every other one is the database's
SQLSTATE = {
    "22": Fault.MAIL,  # data exception
    "23": Fault.MAIL,  # integrity constraint violation
    "44": Fault.MAIL,  # with check option violation
    "54": Fault.MAIL,  # program limit exceeded: a value too large for an index, an expression too deep
    "40": Fault.CONFLICT,  # transaction rollback: deadlock, serialization
    "55P03": Fault.CONFLICT,  # lock not available
    "53100": Fault.DISK,
}
#: by SQLite's primary result code; every other one is the database's
SQLITE = {
    sqlite3.SQLITE_TOOBIG: Fault.MAIL,
    sqlite3.SQLITE_CONSTRAINT: Fault.MAIL,
    sqlite3.SQLITE_MISMATCH: Fault.MAIL,
    sqlite3.SQLITE_RANGE: Fault.MAIL,
    sqlite3.SQLITE_FULL: Fault.DISK,
    sqlite3.SQLITE_IOERR: Fault.DISK,  # what a full disk looks like where SQLite extends or maps a file
}
#: found by the driver itself, before the database saw it: a NUL, a number that is too large, a type nobody knows
_VALUES = ("DataError", "IntegrityError", "ProgrammingError")
_POOL = (exc.TimeoutError, exc.DisconnectionError, exc.ResourceClosedError, exc.PendingRollbackError)


def of(error: BaseException) -> Fault | None:
    """Whose fault it is; ``None`` for what is no error of a database (a fault of the program)."""
    if isinstance(error, _POOL):
        return Fault.DATABASE
    if isinstance(error, exc.DBAPIError):
        return _of_driver(error.orig, error)
    if isinstance(error, sqlite3.Error) or type(error).__module__.startswith("psycopg"):
        return _of_driver(error, error)
    return None


def _of_driver(driver: BaseException | None, error: BaseException) -> Fault:
    state = getattr(driver, "sqlstate", None)
    if isinstance(state, str):
        return SQLSTATE.get(state) or SQLSTATE.get(state[:2]) or Fault.DATABASE
    code = getattr(driver, "sqlite_errorcode", None)
    if isinstance(code, int):
        return SQLITE.get(code & 0xFF, Fault.DATABASE)
    if "closed" in str(driver):  # of a connection that is gone, whatever the class
        return Fault.DATABASE
    return Fault.MAIL if type(error).__name__ in _VALUES else Fault.DATABASE


def silent(error: BaseException) -> bool:
    """Whether nobody is there, rather than somebody who refuses."""
    driver = getattr(error, "orig", None) or error
    state = getattr(driver, "sqlstate", None)
    return (state is None and not hasattr(driver, "sqlite_errorcode")) or str(state)[:2] in ("08", "57")


def words(error: BaseException) -> str:
    """What the database said, on one line, with the code that it gave; never the statement nor its values."""
    driver = getattr(error, "orig", None) or error
    diagnosis = getattr(getattr(driver, "diag", None), "message_primary", None)  # PostgreSQL's detail quotes values
    said = " ".join(str(diagnosis or driver).split())[:200]
    code = getattr(driver, "sqlstate", None) or getattr(driver, "sqlite_errorname", None)
    return f"{said} ({code})" if code else said
