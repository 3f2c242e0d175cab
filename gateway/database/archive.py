"""A backup on disk: a folder, or the same files in one tar. ``manifest.json`` says what is in it, with sums and counts.

It is written under another name and renamed when it is whole, readable by its owner only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.model import Told

FORMAT = 1
MANIFEST = "manifest.json"
SQLITE, DUMP = "database.sqlite", "database.pgdump"
_BLOCK = 1024 * 1024


class ArchiveError(Told):
    """A backup cannot be written or read; the text says which and why."""


@dataclass(frozen=True)
class Part:
    """A file of a backup: octets and SHA-256 (hexadecimal)."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. ``counts``: rows by table, of the very moment of the copy; ``left_out``: files that the
    service needs and that are not in it."""

    made_at: datetime
    release: str
    schema: str
    engine: str
    counts: Mapping[str, int]
    files: Mapping[str, Part]
    left_out: tuple[str, ...]

    @property
    def database(self) -> str:
        """The name of the file that holds the database."""
        return SQLITE if self.engine == "sqlite" else DUMP

    def as_json(self) -> dict[str, Any]:
        """The object of ``manifest.json`` and of ``--json``."""
        parts = {name: asdict(part) for name, part in self.files.items()}
        return {"format": FORMAT, **vars(self), "made_at": self.made_at.isoformat(), "files": parts}


def _manifest(text: str, where: Path) -> Manifest:
    try:
        found = json.loads(text)
        if found.pop("format") != FORMAT:
            raise ArchiveError(f"{where} was made by a newer release: install that one")
        files = {str(name): Part(**part) for name, part in found.pop("files").items()}
        made, left_out = datetime.fromisoformat(found.pop("made_at")), tuple(found.pop("left_out"))
        return Manifest(made_at=made, files=files, left_out=left_out, **found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(f"{where} is not a backup of the gateway: {MANIFEST} cannot be read ({error})") from error


def part_of(path: Path) -> Part:
    """Size and sum of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Part(path.stat().st_size, digest)


def check_room(folder: Path, octets: int, what: str) -> None:
    """Raises ArchiveError where a folder has no room for so many octets."""
    stats = os.statvfs(folder)
    if stats.f_bavail * stats.f_frsize < octets:
        raise ArchiveError(f"no room for {what}: {octets} octets are needed in {folder}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def being_written(target: Path) -> Iterator[Path]:
    """A folder beside the target to put the files into; nothing is left of it when something fails.

    Raises:
        ArchiveError: the place cannot be written.
    """
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    except OSError as error:
        raise ArchiveError(f"{target.parent} cannot be written: {error.strerror}") from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def finish(work: Path, target: Path, manifest: Manifest, as_folder: bool) -> None:
    """Seals what was put into ``work`` as the backup ``target``."""
    (work / MANIFEST).write_text(json.dumps(manifest.as_json(), indent=1) + "\n", encoding="utf-8")
    for file in work.iterdir():
        file.chmod(0o600)
        _sync(file)
    if as_folder:
        work.rename(target)
    else:
        sealed = work / ".tar"
        with tarfile.open(sealed, "w") as tar:
            for name in (MANIFEST, *manifest.files):
                tar.add(work / name, name)
        sealed.chmod(0o600)
        _sync(sealed)
        sealed.rename(target)
    _sync(target.parent)


@contextlib.contextmanager
def opened(source: Path, scratch: Path) -> Iterator[tuple[Manifest, Path]]:
    """(what a backup holds, the folder with its files). A tar is unpacked into ``scratch`` for so long.

    Raises:
        ArchiveError: it is not there, or not a backup.
    """
    if source.is_dir():
        yield _manifest(_text(source / MANIFEST), source), source
        return
    if not source.is_file():
        raise ArchiveError(f"there is no backup at {source}")
    check_room(scratch, source.stat().st_size, f"what is in {source}")
    with being_written(scratch / source.name) as work:
        try:
            with tarfile.open(source) as tar:
                _unpack(tar, work)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ArchiveError(f"{source} cannot be read: {error}") from error
        yield _manifest(_text(work / MANIFEST), source), work


def _unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """The plain files of a tar, by their own names: nothing else is in a backup, and nothing leaves the folder."""
    for member in tar:
        content = tar.extractfile(member) if member.isfile() and Path(member.name).name == member.name else None
        if content is not None:
            with content, (folder / member.name).open("wb") as file:
                shutil.copyfileobj(content, file, _BLOCK)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{path.parent} is not a backup of the gateway: {error}") from error


def faults(manifest: Manifest, folder: Path) -> list[str]:
    """Which files are missing, or are not what they were when the backup was made."""
    found = []
    for name, part in manifest.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            found.append(f"{name} is missing")
        elif part_of(path) != part:
            found.append(f"{name} is damaged: its sum is not that of the backup")
    return found
