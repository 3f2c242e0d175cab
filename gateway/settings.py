"""What every section of the configuration is made of: the forms of its values, its faults in words, and the section
that is common to all rooms. Each room has the sections that it uses in a ``settings.py`` of its own."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pwd
import re
import stat
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}


@dataclass(frozen=True)
class Problem:
    """One fault in what an admin wrote: the file, the key (or line) and what is wrong and why."""

    file: str
    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.key}: {self.problem}" if self.key else f"{self.file}: {self.problem}"

    def as_json(self) -> dict[str, str]:
        """The object of ``gateway check --json``."""
        return {"file": self.file, "key": self.key, "problem": self.problem}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def owner(path: Path) -> str:
    """Whose file a configuration is, with its name: ``root (config.toml)``."""
    try:
        return f"{_user(path.stat().st_uid)} ({path.name})"
    except OSError:
        return path.name


def file_fault(path: Path, error: BaseException) -> str:
    """What the system said of a file, with its owner and mode, or of the nearest folder above it that is there."""
    said = getattr(error, "strerror", None) or str(error)
    for place in (path, *path.absolute().parents):
        with contextlib.suppress(OSError):
            found = place.stat()
            who = _user(found.st_uid)
            what = "it" if place == path else str(place)
            return f"{said} ({what} belongs to {who}, mode {stat.S_IMODE(found.st_mode):04o})"
    return said


Fault = tuple[str, str]  #: a key of a section, and what is wrong with the file it names


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` says why, one entry a fault."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


def seconds(value: Any) -> float:
    """``"15m"`` -> 900.0. Accepts ms, s, m, h, d and plain non-negative numbers of seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
    else:
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)\s*", str(value))
        if not found:
            raise ValueError(f"{value!r} is no duration; write for example 30s, 15m, 24h or 5d")
        number = float(found[1]) * _UNITS[found[2]]
    if number < 0:
        raise ValueError("a duration cannot be negative")
    return number


def octets(value: Any) -> int:
    """``"25MB"`` -> 26214400 (units of 1024)."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        found = re.fullmatch(r"\s*(\d+)\s*(B|KB|MB|GB)\s*", str(value), re.IGNORECASE)
        if not found:
            raise ValueError(f"{value!r} is no size; write for example 64MB")
        number = int(found[1]) * _SIZES[found[2].upper()]
    if number < 0:
        raise ValueError("a size cannot be negative")
    return number


def budget(value: Any) -> tuple[int, float]:
    """``"50/1h"`` -> (50, 3600.0)."""
    if isinstance(value, tuple):
        return value
    count, slash, span = str(value).partition("/")
    if not slash or not count.strip().isdigit():
        raise ValueError(f"{value!r} is no budget; write for example 50/1h")
    return int(count), seconds(span)


def retained(value: Any) -> float | None:
    """``"90d"`` -> 7776000.0; ``"forever"`` -> ``None``."""
    if value is None or value == "forever":
        return None
    found = seconds(value)
    if found < 86400:
        raise ValueError(f"{value!r} is less than a day; write for example 90d, or forever")
    return found


Seconds = Annotated[float, BeforeValidator(seconds)]
Octets = Annotated[int, BeforeValidator(octets)]
Budget = Annotated[tuple[int, float], BeforeValidator(budget)]
Retained = Annotated[float | None, BeforeValidator(retained)]


_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=.{1,255}$)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError(f"{value!r} is no plain mail address")
    return value


def _relay_network(value: str) -> str:
    if ipaddress.ip_network(value, strict=False).prefixlen == 0:
        raise ValueError(f"{value!r} would let anybody speak for anybody: name your own relays")
    return value


def _answerer(value: str) -> str:
    """An address, or ``*@domain`` for everybody of one domain."""
    local, _, domain = value.rpartition("@")
    if not _ADDRESS.fullmatch(f"everybody@{domain}" if local == "*" else value):
        raise ValueError(f"{value!r} is neither a plain mail address nor *@domain")
    return value.lower()


Address = Annotated[str, BeforeValidator(_address)]
Answerer = Annotated[str, BeforeValidator(_answerer)]
RelayNetwork = Annotated[str, BeforeValidator(_relay_network)]


@dataclass(frozen=True, slots=True)
class Hours:
    """When a team works. ``first`` and ``last``: days of the week, Monday is 0; ``begins`` and ``ends``: ``09:00``."""

    first: int
    last: int
    begins: str
    ends: str


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? (([01]\d|2[0-3]):[0-5]\d)-(([01]\d|2[0-3]):[0-5]\d|24:00)", re.I)


def _opening(value: Any) -> Any:
    """``Mon-Fri 09:00-18:00``."""
    if isinstance(value, Hours):
        return value
    found = _HOURS.fullmatch(str(value))
    days = [str(day).lower() for day in (found[1], found[2] or found[1])] if found else []
    if found is None or any(day not in _DAYS for day in days):
        raise ValueError(f'{value!r}: write days and hours like "Mon-Fri 09:00-18:00"')
    return Hours(_DAYS.index(days[0]), _DAYS.index(days[1]), found[3], found[5])


Opening = Annotated[Hours, BeforeValidator(_opening)]


HOST, NODE, SOURCE = r"^\S+$", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$", r"^[a-z0-9][a-z0-9-]{0,29}$"
SELECTOR = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"


#: what a pattern asks for, as a person reads it
FORMS = {
    HOST: "must be a host name or an address, without blanks",
    NODE: "must be letters, digits, dots, hyphens and underscores, at most 40",
    SOURCE: "must be small letters, digits and hyphens, at most 30",
    SELECTOR: "must be the first label of a DNS name (letters, digits, hyphens)",
}
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def secret_faults(key: str, file: Path) -> Iterator[Fault]:
    """Whether a file with a secret can be read, and by us alone."""
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        file.read_text(encoding="utf-8")
        if mode & 0o007:
            yield key, f"{file} can be read by everybody; chmod 600"
    except (OSError, UnicodeDecodeError) as error:
        yield key, f"{file} cannot be read: {file_fault(file, error)}"


class Section(BaseModel):
    """A table of the file: read-only, and nothing in it is overlooked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def file_faults(self) -> Iterator[Fault]:
        """What is wrong with the files that it names."""
        return iter(())


class Gateway(Section):
    """``[gateway]``: who we are."""

    address: Address = "support@introserv.com"
    """The address customers write to, and the From of every reply."""
    name: str = "INTROSERV Support"
    """The name beside it."""
    hostname: str | None = Field(default=None, examples=["mx.introserv.com"])
    """The name in our greeting; default: the machine's."""
    state_dir: Path = Path("/var/lib/gateway")
    """Database, copy of the accounts, lock."""
    timezone: str = "Europe/Berlin"
    """For times that customers write without a zone."""
    languages: tuple[str, ...] = ("en", "de", "fr", "es", "it", "ru", "uk")
    """Languages of replies, two letters each, ``en`` among them; one is used once all its templates are there."""
    client_area_url: str = "https://portal.introserv.com/"
    """Where customers log in; templates name it."""
    chat_url: str = "https://introserv.com/"
    """Where the chat is; templates name it."""
    reply_domain: str | None = Field(default=None, examples=["reply.introserv.com"])
    """Domain of tokens and bounce addresses; default: the address's."""
    read_limit: Seconds = 20.0
    """A mail that takes longer to read is set aside as failed."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"no time zone named {value!r} on this machine") from None
        return value

    @field_validator("languages")
    @classmethod
    def _english_is_there(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for language in value:
            if not re.fullmatch(r"[a-z]{2}", language):
                raise ValueError(f"{language!r} is not a two-letter language code (ISO 639-1), such as en or de")
        if "en" not in value:
            raise ValueError("'en' must be among the languages: everyone else is answered in English")
        return value

    @property
    def replies_at(self) -> str:
        """The domain of tokens and bounce addresses."""
        return self.reply_domain or self.address.rpartition("@")[2]

    def file_faults(self) -> Iterator[Fault]:
        """Whether the state directory is there, or can be made."""
        place = next(p for p in (self.state_dir, *self.state_dir.absolute().parents) if p.exists())
        if not place.is_dir():
            yield "state_dir", f"{self.state_dir} cannot be used: {place} is not a folder"
        elif not os.access(place, os.W_OK | os.X_OK):
            why = file_fault(place, PermissionError(0, "Permission denied"))
            yield "state_dir", f"{self.state_dir} cannot be written: {why}"


def read_text(path: Path) -> str:
    """A file that the configuration names, as text.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    return path.read_text(encoding="utf-8-sig")


def secret(file: Path | None, credential: str) -> str | None:
    """A secret: from ``file``, else from ``$CREDENTIALS_DIRECTORY/credential``, else ``None``. OSError when
    unreadable."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if file is None and folder and (Path(folder) / credential).exists():
        file = Path(folder) / credential
    return (file.read_text(encoding="utf-8").rstrip("\r\n") or None) if file is not None else None
