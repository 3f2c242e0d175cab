"""What is worked out of the files that come with the package, kept beside them between two starts.

It lies in the folder where Python keeps what it makes of our source (``__pycache__``), under the same trust: who can
write there can write our code. It is plain data in the form of those files (``marshal``) or octets, and is taken only
where the digest before it is that of what it was made of. Where it cannot be written, as in a package that belongs to
root, it is worked out at each start; an installation by root makes it once (``gateway.read.preload``).
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import mmap
import os
import sys
from collections.abc import Callable, Iterable
from importlib.util import cache_from_source
from pathlib import Path
from typing import TypeVar

_DIGEST = hashlib.sha256().digest_size
T = TypeVar("T")


def kept(source: str, name: str, made_of: Iterable[Path], work_out: Callable[[], T]) -> T:
    """What ``work_out`` returns, from the last time where nothing has changed since.

    Args:
        source: the file of the module that works it out (``__file__``); it counts as well.
        name: tells what this module keeps apart.
        made_of: all files that it is made of.
        work_out: makes it, of numbers, texts, octets, and lists, tuples, dictionaries and sets of them alone.
    """
    path = Path(cache_from_source(source)).with_suffix(f".{name}")
    digest = _digest((Path(source), Path(__file__), *made_of))
    found = _read(path, digest)
    if found is None:
        made = work_out()
        if not sys.dont_write_bytecode:
            content = marshal.dumps(made)  # type: ignore[arg-type]
            _write(path, _sum(digest, content), content)
        return made
    value: T = marshal.loads(found)  # noqa: S302 - what its digest says that we wrote
    return value


def mapped(source: str, name: str, made_of: Iterable[Path], work_out: Callable[[], bytes]) -> memoryview:
    """The same for many octets, of which only those are read that are looked at: they are mapped, not loaded."""
    path = Path(cache_from_source(source)).with_suffix(f".{name}")
    digest = _digest((Path(source), Path(__file__), *made_of))
    found = _mapped(path, digest.digest())
    if found is None:
        made = work_out()
        if sys.dont_write_bytecode:
            return memoryview(made)
        _write(path, digest.digest(), made)
        found = _mapped(path, digest.digest()) or memoryview(made)
    return found


def _mapped(path: Path, head: bytes) -> memoryview | None:
    """What was kept, where it is of these files; it is put there whole or not at all."""
    try:
        with path.open("rb") as file:
            if file.read(_DIGEST) != head:
                return None
            return memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))[_DIGEST:]
    except (OSError, ValueError):
        return None


def _digest(files: Iterable[Path]) -> hashlib._Hash:
    """Of all that it is made of."""
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(b"%s %d\n" % (file.name.encode(), len(content)))
        digest.update(content)
    return digest


def _read(path: Path, digest: hashlib._Hash) -> bytes | None:
    """What was kept, where it is whole and of these files."""
    try:
        told = path.read_bytes()
    except OSError:
        return None
    head, content = told[:_DIGEST], told[_DIGEST:]
    return content if _sum(digest, content) == head else None


def _sum(digest: hashlib._Hash, content: bytes) -> bytes:
    whole = digest.copy()
    whole.update(content)
    return whole.digest()


def _write(path: Path, head: bytes, content: bytes) -> None:
    """Puts it there whole; readable for whoever may read our source."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        try:
            with beside.open("wb") as file:
                file.write(head)
                file.write(content)
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
