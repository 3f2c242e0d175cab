"""``gateway privacy``: what a person may ask for, in files: an archive of what is kept of him, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from gateway.database import originals, sqlite_copies
from gateway.database.store import Store
from gateway.tickets import erasure, export

TOMBSTONES = "erasures.jsonl"


@dataclass(frozen=True)
class Erased:
    """What was erased. ``left``: files that still hold the address: copies of the database that were made before.
    ``clean``: it is in no file of the database itself (``None``: PostgreSQL decides when it writes over what was
    deleted)."""

    done: dict[str, int]
    clean: bool | None
    left: tuple[Path, ...]


def write_export(store: Store, what: str, target: Path, now: datetime) -> dict[str, int]:
    """Writes a zip with ``export.json`` and the mails as they came; how much is in it.

    Raises:
        FileExistsError: the file is there already.
    """
    found = store.read_now(lambda connection: export.everything(connection, what))
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        about: dict[str, Any] = {"of": what, "made_at": now.isoformat(), **found}
        archive.writestr("export.json", json.dumps(about, ensure_ascii=False, indent=1))
        raws = 0
        for key in store.read_now(lambda connection: list(export.mails_of(connection, what))):
            data = bytes(store.read_now(partial(originals.load, key=key)))
            if data:
                archive.writestr(f"mails/{key}.eml", data)
                raws += 1
    return {"tickets": len(found["tickets"]), "mails": raws, "replies": len(found["replies"])}


def erase(store: Store, state_dir: Path, address: str, now: datetime) -> Erased:
    """Erases an address, keeps its tombstone beside the database as well, and looks for what is left of it in the
    files.

    Raises:
        OnHold, ArchiveError: see ``erasure.erase``, ``sqlite_copies.scrub``.
    """
    done = erasure.erase(store, address, now)
    write_tombstones(store, state_dir)
    if store.path is None:
        return Erased(done, None, ())
    clean = sqlite_copies.scrub(store.path, address.encode())
    copies = [path for path in store.path.parent.glob(f"{store.path.name}.*") if path.is_file()]
    return Erased(done, clean, tuple(sorted(sqlite_copies.holding(copies, address.encode()))))


def write_tombstones(store: Store, state_dir: Path) -> None:
    """The tombstones as a file, so that they outlive the database."""
    rows = store.read_now(erasure.tombstones)
    known = tombstones(state_dir) | {row.mark: row.key_id for row in rows}
    file = state_dir / TOMBSTONES
    part = file.with_suffix(".part")
    part.write_text("".join(json.dumps({"mark": mark, "key_id": key}) + "\n" for mark, key in known.items()))
    part.chmod(0o600)
    if os.geteuid() == 0:
        owner = state_dir.stat()
        os.chown(part, owner.st_uid, owner.st_gid)
    part.rename(file)


def tombstones(state_dir: Path) -> dict[str, str]:
    """``{mark: key id}`` of the file; lines that cannot be read are left out."""
    found = {}
    with contextlib.suppress(OSError):
        for line in (state_dir / TOMBSTONES).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                found[str(row["mark"])] = str(row["key_id"])
    return found
