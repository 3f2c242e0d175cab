"""A small disk for tests that fill it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import missing


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """``folder`` as a tmpfs of ``size`` (of mount(8): ``8m``). The test is skipped where it cannot be mounted."""
    if os.geteuid() != 0:
        missing("mounting a tmpfs needs root")
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "gateway-test", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        missing(f"a tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
