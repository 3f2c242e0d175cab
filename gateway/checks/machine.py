"""What can be seen from outside the service: whether it runs, the disk, the certificate."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.tickets.health import Check

EXPIRES_SOON_DAYS = 14
STARTS_S = 20.0  #: after its last sign of life
LOCK, LAST_WORDS = "lock", "last-words"
START = "systemctl start gateway, then journalctl -u gateway -n 50"


@dataclass(frozen=True, slots=True)
class Places:
    """What of this machine is looked at: ``min_free`` in octets of the disk that ``state_dir`` is on; ``listen``: the
    listeners of mail as they are configured, where this process opens them."""

    state_dir: Path
    min_free: int
    tls_cert: Path | None
    listen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """The service of a state directory. ``pid`` is 0 while none runs; ``seen_at``: its last sign of life."""

    pid: int
    seen_at: datetime | None


def process(state_dir: Path) -> Process:
    """Who holds the lock of the state directory. PermissionError when it may not be read."""
    try:
        with (state_dir / LOCK).open("r") as lock:
            seen_at = datetime.fromtimestamp(os.fstat(lock.fileno()).st_mtime, UTC)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Process(int(lock.read().strip() or 0), seen_at)
    except FileNotFoundError:
        return Process(0, None)
    return Process(0, seen_at)


def last_words(state_dir: Path, why: str) -> None:
    """Why the service did not start or had to end, for ``status``; empty when it started."""
    with contextlib.suppress(OSError):
        if why:
            (state_dir / LAST_WORDS).write_text(why[:2000], encoding="utf-8")
        else:
            (state_dir / LAST_WORDS).unlink(missing_ok=True)


def _last_words(state_dir: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return " ".join((state_dir / LAST_WORDS).read_text(encoding="utf-8").split())
    return ""


def beat(state_dir: Path) -> None:
    """A sign of life: when the service dies, it is known when."""
    with contextlib.suppress(OSError):
        os.utime(state_dir / LOCK)


def runs(found: Process, answers: bool, state_dir: Path) -> Check:
    """Whether the service runs and answers; why it ended, where it could say so. Where it was never tried nobody misses
    it."""
    if not found.pid:
        said = _last_words(state_dir)
        if not found.seen_at and not said:
            return Check("service")
        why = "the service does not run" if found.seen_at else "the service has never run here"
        why += f": {said}" if said else ""
        return Check("service", why, found.seen_at, START, blocks=True)
    if not answers:
        do = "journalctl -u gateway -n 50; systemctl restart gateway"
        age = (datetime.now(UTC) - found.seen_at).total_seconds() if found.seen_at else 0.0
        if age < STARTS_S:
            do = f"look again in a moment; later: {do}"
        what = (
            f"process {found.pid} {'starts and does not answer yet' if age < STARTS_S else 'runs and does not answer'}"
        )
        return Check("service", what, found.seen_at, do, blocks=True)
    return Check("service")


def disk(state_dir: Path, min_free: int) -> Check:
    """Whether mail is taken as far as the disk goes: below ``min_free`` octets peers hear 452."""
    try:
        free = free_octets(state_dir)
    except OSError as error:
        return Check("disk", f"{state_dir} cannot be looked at: {error.strerror}", None, "mount it", blocks=True)
    if free >= min_free:
        return Check("disk")
    what = (
        f"{free >> 20} MB are free in {state_dir}, less than smtp.min_free ({min_free >> 20} MB): mail is refused with "
        "452"
    )
    return Check("disk", what, None, f"make room: df -h {state_dir}; du -xh {state_dir} | sort -h | tail", blocks=True)


def free_octets(folder: Path) -> int:
    """What the service could still write there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def sockets(listen: Sequence[str]) -> Check:
    """Whether the sockets in the file system are there: one whose file was removed hears nobody, and nothing fails."""
    paths = [path for url in listen if (path := url.partition("://")[2]).startswith("/")]
    gone = [path for path in paths if not Path(path).is_socket()]
    if not gone:
        return Check("connections")
    what = f"the file of the socket {gone[0]} is gone: whoever delivers there finds nobody"
    return Check("connections", what, None, "systemctl restart gateway", blocks=len(gone) == len(listen))


def certificate(file: Path | None, now: datetime) -> Check:
    """Whether our certificate is good for two weeks more."""
    ends = expiry(file)
    if ends is None:
        return Check("certificate")
    left = (ends - now).total_seconds() / 86400
    if left >= EXPIRES_SOON_DAYS:
        return Check("certificate")
    when = f"expired on {ends:%Y-%m-%d}" if left < 0 else f"expires in {left:.0f} days, on {ends:%Y-%m-%d}"
    return Check(
        "certificate", f"the certificate {file} {when}", ends if left < 0 else None, "renew it, then gateway reload"
    )


def expiry(file: Path | None) -> datetime | None:
    """When a certificate ends; ``None`` without one, or where it cannot be read (``gateway check`` says why)."""
    if file is None:
        return None
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None
