"""TOML to typed, frozen settings: the whole of the sections, which stand in ``settings.py`` of the rooms that use them
with every default and every refusal.

A fault is reported as ``file:key: what and why``. Unknown keys are refused with the nearest known one. Secrets are
read from files or from the systemd credentials folder, never from the TOML itself.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError, model_validator

from gateway.checks.settings import Canary
from gateway.console.settings import Http, Oidc
from gateway.database.settings import DATABASE_URL, Database, Node
from gateway.ingest.settings import Imap, Maildir, Smtp
from gateway.read.settings import Extract
from gateway.replies.settings import Dkim, Relay
from gateway.settings import FORMS, LOOPBACK, Fault, Gateway, Section, file_fault
from gateway.settings import ConfigError as ConfigError
from gateway.settings import Problem as Problem
from gateway.tickets.settings import Block, Clock, Incidents, Replies, Retention, Staff
from gateway.verify.settings import Directory, Dns, Verify

DEFAULT_PATH = "/etc/gateway/config.toml"


_EVERYWHERE = ("", "*", "0.0.0.0", "::")  # noqa: S104


def is_own_listener(host: str, port: int, listener: str) -> bool:
    """Whether ``host:port`` reaches ``listener`` (``HOST:PORT`` of this machine)."""
    where, _, its_port = listener.rpartition(":")
    where = where.strip("[]")
    if its_port != str(port):
        return False
    return host == where or (host in LOOPBACK and where in (*LOOPBACK, *_EVERYWHERE))


class Settings(Section):
    """The whole configuration."""

    gateway: Gateway = Gateway()
    database: Database = Database()
    node: Node = Node()
    smtp: Smtp = Smtp()
    imap: tuple[Imap, ...] = ()
    maildir: tuple[Maildir, ...] = ()
    dns: Dns = Dns()
    verify: Verify = Verify()
    extract: Extract = Extract()
    block: Block = Block()
    directory: Directory = Directory()
    relay: Relay = Relay()
    dkim: tuple[Dkim, ...] = ()
    replies: Replies = Replies()
    clock: Clock = Clock()
    staff: Staff = Staff()
    http: Http = Http()
    oidc: Oidc = Oidc()
    canary: Canary = Canary()
    retention: Retention = Retention()
    incidents: Incidents = Incidents()

    @model_validator(mode="after")
    def _one_name_each(self) -> Settings:
        names = [*(account.name for account in self.imap), *(one.name for one in self.maildir)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two sources are named {name!r}")
        return self

    @property
    def database_url(self) -> str:
        """The database URL: given, or read from its file, or the default.

        Raises:
            ConfigError: the file cannot be read, or holds no such URL.
        """
        file = self.database.url_file
        if file is None:
            return self.database.url or f"sqlite:///{self.gateway.state_dir / 'gateway.db'}"
        try:
            url = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = f"{file} cannot be read: {file_fault(file, error)}"
        else:
            if DATABASE_URL.match(url):
                return url
            problem = f"{file}: must begin with sqlite:/// or postgresql+psycopg://"
        raise ConfigError([Problem(str(file), "database.url_file", problem)])

    @model_validator(mode="after")
    def _relay_is_another(self) -> Settings:
        for url in self.smtp.listen:
            if is_own_listener(self.relay.host, self.relay.port, url.partition("://")[2]):
                raise ValueError(
                    f"relay: {self.relay.host}:{self.relay.port} is our own listener {url}; replies would come back"
                )
        return self

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses we take mail for, lower-case."""
        return tuple(address.lower() for address in (self.smtp.recipients or (self.gateway.address,)))

    @property
    def http_names(self) -> frozenset[str]:
        """The names by which the ``[http]`` listener may be asked, lower-case."""
        listens, public = self.http.listen.rpartition(":")[0], self.http.url.partition("://")[2].partition(":")[0]
        return frozenset(name.lower() for name in (*self.http.hosts, self.gateway.hostname, listens, public) if name)

    @property
    def lmtp_socket(self) -> str | None:
        """The first LMTP listener, as ``/path`` or ``host:port``."""
        for url in self.smtp.listen:
            scheme, _, where = url.partition("://")
            if scheme == "lmtp":
                return where
        return None


def differences(old: Settings, new: Settings) -> list[str]:
    """``section.key: old -> new`` for each key that differs. Secrets are in files, so none is shown."""
    found = []
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if not isinstance(before, BaseModel):
            found.append(
                f"{name}: {len(before)} -> {len(after)} entries" if len(before) != len(after) else f"{name}: changed"
            )
            continue
        for key in type(before).model_fields:
            if getattr(before, key) != getattr(after, key):
                found.append(f"{name}.{key}: {_shown(getattr(before, key))} -> {_shown(getattr(after, key))}")
    return found


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
    return (text[:80] + "...") if len(text) > 80 else text or "nothing"


def _nearest(key: str, model: type[BaseModel]) -> str:
    close = difflib.get_close_matches(key, list(model.model_fields), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(sorted(model.model_fields))}"


def _section_of(model: type[BaseModel], part: str) -> type[BaseModel]:
    """The section behind a key (for ``[[imap]]`` the one of each entry); the model itself for an index."""
    if part not in model.model_fields:
        return model
    annotation = model.model_fields[part].annotation
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return model


def _problem(path: str, error: Any) -> Problem:
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        model: type[BaseModel] = Settings
        for part in location[:-1]:
            model = _section_of(model, part)
        return Problem(path, key, f"unknown key{_nearest(location[-1], model)}")
    text = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        given = error["input"]
        text = FORMS.get(error["ctx"]["pattern"], text) + (f", not {given!r}" if given else "; it is empty")
    return Problem(path, key, text)


def parse(text: str, path: str = "config.toml") -> Settings:
    """Settings from TOML text.

    Raises:
        ConfigError: with every fault found.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at line (\d+)", str(error))
        raise ConfigError([Problem(path, f"line {where[1]}" if where else "", f"no valid TOML: {error}")]) from error
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_problem(path, fault) for fault in error.errors()) from error


def load(path: str | Path) -> Settings:
    """Settings from a file.

    Raises:
        ConfigError: when the file cannot be read or used.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), "", f"cannot be read: {error}")]) from error
    return parse(text, str(path))


def file_problems(settings: Settings, path: str) -> list[Problem]:
    """Faults in the files that the configuration names, in the order of its sections."""
    return [
        Problem(path, f"{name}.{key}", words)
        for name in Settings.model_fields
        for section in (getattr(settings, name),)
        for key, words in _file_faults(section)
    ]


def _file_faults(section: Section | tuple[Section, ...]) -> Iterator[Fault]:
    if isinstance(section, Section):
        yield from section.file_faults()
        return
    for index, one in enumerate(section):
        yield from ((f"{index}.{key}", words) for key, words in one.file_faults())
