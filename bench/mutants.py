"""Breaks each promise on purpose: ``python -m bench.mutants [NAME ...]``. The tests named for it must fail, or nobody would notice.

``mutants.toml`` says what is broken where. Each break is made in a copy of the checkout, one at a time; before the first one
its tests pass in that copy. Prints a line each; exit 1 when a break went unnoticed, or when its place is not found any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("mutants.toml")
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Mutant:
    """A promise, the place where it is kept, what is written there instead, and the tests that must notice."""

    promise: str
    file: str
    find: str
    put: str
    tests: tuple[str, ...]


def mutants() -> list[Mutant]:
    """All of ``mutants.toml``, in order."""
    rows = tomllib.loads(LIST.read_text())["mutant"]
    return [Mutant(row["promise"], row["file"], row["find"], row["put"], tuple(row["tests"])) for row in rows]


@contextmanager
def copy_of(root: Path) -> Iterator[Path]:
    """The checkout beside the same ``shared`` folder, in a place of its own."""
    with tempfile.TemporaryDirectory(prefix="gateway-mutants-") as folder:
        made = Path(folder) / "main"
        shutil.copytree(root, made, ignore=shutil.ignore_patterns(".git", ".*", "__pycache__"))
        if (root.parent / "shared").is_dir():
            (Path(folder) / "shared").symlink_to((root.parent / "shared").resolve())
        Path(folder).chmod(0o755)
        yield made


def passes(folder: Path, tests: Sequence[str]) -> tuple[bool, str]:
    """Whether these tests pass in ``folder``, and the first words of what they say else."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    path = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=os.environ | path, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return False, "no end"
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(tests)}: pytest ended with {done.returncode}\n{done.stdout[-2000:]}")
    told = [line[4:].strip() for line in done.stdout.splitlines() if line.startswith("E  ")]
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    return done.returncode == 0, " ".join([*failed[:1], *told[:1]])


def broken(folder: Path, mutant: Mutant) -> tuple[bool, str]:
    """(whether the tests noticed, what they said)."""
    path = folder / mutant.file
    whole = path.read_text()
    if whole.count(mutant.find) != 1:
        return False, f"{mutant.file} holds {mutant.find!r} {whole.count(mutant.find)} times"
    path.write_text(whole.replace(mutant.find, mutant.put))
    try:
        passed, told = passes(folder, mutant.tests)
        return not passed, told
    finally:
        path.write_text(whole)


def main() -> None:
    """See the file's own words."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="words of the promises to break; default: all")
    given = parser.parse_args()
    chosen = [one for one in mutants() if not given.names or any(name in one.promise for name in given.names)]
    survived = 0
    with copy_of(ROOT) as folder:
        sound, told = passes(folder, sorted({test for one in chosen for test in one.tests}))
        if not sound:
            raise SystemExit(f"the tests fail before anything is broken: {told}")
        for one in chosen:
            noticed, told = broken(folder, one)
            survived += not noticed
            print(
                f"{'noticed' if noticed else 'SURVIVED':9} {one.promise:60} {' '.join(one.tests)}  {told[:110]}",
                flush=True,
            )
    print(f"{len(chosen) - survived} of {len(chosen)} breaks were noticed")
    raise SystemExit(1 if survived else 0)


if __name__ == "__main__":
    main()
