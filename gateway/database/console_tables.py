"""Who may use the console: users, their sessions, failed logins, drafts with their files, saved views, and what the
report has counted of days that are over."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

from gateway.database.clean import CleanJson
from gateway.database.clean import CleanString as String
from gateway.database.clean import CleanText as Text
from gateway.database.tables import BigId, _id, _ref, _required_when, _when


class User(SQLModel, table=True):
    """A person who may use the console. No password: the one-time link in ``invite`` was not used yet."""

    __tablename__ = "users"
    id: int | None = _id()
    name: str = Field(sa_column=Column(String(60), nullable=False, unique=True))
    role: str = Field(sa_column=Column(String(8), nullable=False))
    password: str = Field(default="", sa_column=Column(Text, nullable=False))  # argon2id, with its parameters
    totp: str = Field(default="", sa_column=Column(String(64), nullable=False))  # the shared secret, base32
    totp_step: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # the last one used, never again
    invite: str = Field(default="", sa_column=Column(String(64), nullable=False))  # SHA-256 of the link's token
    invite_until: datetime | None = _when()
    disabled: bool = Field(default=False)
    created_at: datetime = _required_when()
    seen_at: datetime | None = _when()


class ConsoleSession(SQLModel, table=True):
    """A login. Its cookie is not kept here, only the cookie's SHA-256."""

    __tablename__ = "console_sessions"
    digest: str = Field(sa_column=Column(String(64), primary_key=True))
    user_id: int = _ref(nullable=False)
    csrf: str = Field(sa_column=Column(String(64), nullable=False))
    created_at: datetime = _required_when()
    seen_at: datetime = _required_when()
    expires_at: datetime = _required_when()
    address: str = Field(default="", sa_column=Column(String(64), nullable=False))
    agent: str = Field(default="", sa_column=Column(String(200), nullable=False))


class LoginFailure(SQLModel, table=True):
    """Failed logins by address, by name, and by both; the key is a hash, whether or not the name exists."""

    __tablename__ = "login_failures"
    key: str = Field(sa_column=Column(String(64), primary_key=True))
    count: int = Field(sa_column=Column(Integer, nullable=False))
    last_at: datetime = _required_when()
    locked_until: datetime | None = _when()


class Draft(SQLModel, table=True):
    """An answer that is being written, or one that was sent a moment ago and may be taken back: then ``outbox_id`` is
    its row, and ``before`` what the ticket was."""

    __tablename__ = "drafts"
    __table_args__ = (UniqueConstraint("user_id", "ticket_id"),)
    id: int | None = _id()
    user_id: int = _ref(nullable=False, index=False)
    ticket_id: int = _ref(nullable=False)
    text: str = Field(default="", sa_column=Column(Text, nullable=False))
    at: datetime = _required_when()
    outbox_id: int | None = _ref(index=False)
    before: dict[str, Any] = Field(default_factory=dict, sa_column=Column(CleanJson, nullable=False))


class AnswerFile(SQLModel, table=True):
    """A file that goes along with an answer: of the draft while ``entry_id`` is empty, then of that answer. Its bytes
    are in ``raw`` under ``place``."""

    __tablename__ = "answer_files"
    id: int | None = _id()
    ticket_id: int = _ref(nullable=False)
    user_id: int = _ref(nullable=False, index=False)
    entry_id: int | None = _ref(index=False)
    filename: str = Field(sa_column=Column(Text, nullable=False))
    type: str = Field(sa_column=Column(Text, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(sa_column=Column(String(64), nullable=False))
    place: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = _required_when()


class SavedView(SQLModel, table=True):
    """A set of filters that a user comes back to."""

    __tablename__ = "saved_views"
    __table_args__ = (UniqueConstraint("user_id", "name"),)
    id: int | None = _id()
    user_id: int = Field(sa_column=Column(BigId, nullable=False))
    name: str = Field(sa_column=Column(String(40), nullable=False))
    query: str = Field(sa_column=Column(Text, nullable=False))


class ReportDay(SQLModel, table=True):
    """What the report counts of a day that is over, in the days of a zone; it goes when anything of that day
    changes."""

    __tablename__ = "report_days"
    zone: str = Field(sa_column=Column(String(64), primary_key=True))
    day: str = Field(sa_column=Column(String(10), primary_key=True))
    counted: str = Field(sa_column=Column(Text, nullable=False))  # JSON


class ReportChange(SQLModel, table=True):
    """A day (UTC) of which something changed after it was over: written by triggers, read and removed by the report."""

    __tablename__ = "report_changes"
    id: int | None = _id()
    day: str = Field(sa_column=Column(String(10), nullable=False))


users = User.__table__  # type: ignore[attr-defined]
console_sessions = ConsoleSession.__table__  # type: ignore[attr-defined]
login_failures = LoginFailure.__table__  # type: ignore[attr-defined]
drafts = Draft.__table__  # type: ignore[attr-defined]
answer_files = AnswerFile.__table__  # type: ignore[attr-defined]
report_days = ReportDay.__table__  # type: ignore[attr-defined]
report_changes = ReportChange.__table__  # type: ignore[attr-defined]
saved_views = SavedView.__table__  # type: ignore[attr-defined]
