"""Breaks each promise on purpose: ``python -m bench.mutants [WORDS ...]``. The tests named for it must fail, or nobody would notice.

``mutants.toml`` says what is broken where. Each break is made in a copy of the checkout, one at a time; its tests pass there
before. Prints a line each, or with ``--table`` a row of a table (Markdown): what is at stake, the break, the test, what
it printed then, what it prints else, and how many seconds it took. What makes a test hang is noticed by its time limit. Exit 1 when a break went unnoticed, or when its place is not found any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("mutants.toml")
TIMEOUT_S = 600.0  #: of tests that nothing is broken for
HANGS_S = 180.0  #: of broken ones, at least; where it is known, four times what they take else
NOTHING = 5  #: what pytest ends with where no test was chosen
MOST = 240  #: characters of what a test says


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is at stake, the promise, the place where it is kept, what is written there instead, and the tests that must
    notice."""

    subject: str
    promise: str
    file: str
    find: str
    put: str
    tests: tuple[str, ...]

    @property
    def change(self) -> str:
        """The break in a line."""
        return f"`{self.file}`: {_line(self.find)!r} -> {_line(self.put)!r}"


@dataclass(frozen=True, slots=True)
class Said:
    """``passed``; ``test``: the one that failed; ``words``: pytest's last line, and of a failure the line that says why;
    ``seconds``: how long it took."""

    passed: bool
    test: str
    words: str
    seconds: float = 0.0


@dataclass(slots=True)
class Bench:
    """A copy of the checkout in which things are broken. ``sound``: what its tests say before."""

    folder: Path
    sound: dict[tuple[str, ...], Said] = field(default_factory=dict)

    def before(self, mutant: Mutant) -> Said:
        """What the tests say while nothing is broken; a failure is looked at twice, for a machine may be busy."""
        if mutant.tests not in self.sound:
            found = said(self.folder, mutant.tests)
            self.sound[mutant.tests] = found if found.passed else said(self.folder, mutant.tests)
        return self.sound[mutant.tests]

    def after(self, mutant: Mutant) -> Said:
        """What they say with the break; a place that is not found any more counts as passed."""
        path = self.folder / mutant.file
        whole = path.read_text()
        if whole.count(mutant.find) != 1:
            return Said(True, "", f"{mutant.file} holds {mutant.find!r} {whole.count(mutant.find)} times")
        path.write_text(whole.replace(mutant.find, mutant.put))
        known = self.sound.get(mutant.tests)
        limit = max(HANGS_S, 4 * known.seconds if known is not None else 0.0)
        try:
            found = said(self.folder, mutant.tests, limit=limit)
            return said(self.folder, mutant.tests, whole=True, limit=limit) if found.passed else found
        finally:
            path.write_text(whole)


def mutants() -> list[Mutant]:
    """All of ``mutants.toml``, in order."""
    rows = tomllib.loads(LIST.read_text())["mutant"]
    return [
        Mutant(row["subject"], row["promise"], row["file"], row["find"], row["put"], tuple(row["tests"]))
        for row in rows
    ]


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


def said(folder: Path, tests: Sequence[str], whole: bool = False, limit: float = TIMEOUT_S) -> Said:
    """What these tests say in ``folder``, up to the first that fails. Not ``whole``: on PostgreSQL only where they have no other
    database. ``limit``: seconds; tests that take longer have failed."""
    began = time.monotonic()
    done = _run(folder, [*tests] if whole else ["-k", "not postgresql", *tests], limit)
    if done is not None and done.returncode == NOTHING:
        done = _run(folder, tests, limit)
    if done is None:
        return Said(False, tests[0], f"no end within {limit:.0f} s", time.monotonic() - began)
    lines = done.stdout.splitlines()
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(tests)}: pytest ended with {done.returncode}\n{done.stdout[-2000:]}")
    failed = [line.split(" - ")[0].partition(" ")[2] for line in lines if line.startswith(("FAILED", "ERROR"))]
    told = [line[4:].strip() for line in lines if line.startswith("E  ")]
    words = " ".join(told[:2]) if failed else lines[-1].partition(" in ")[0]
    return Said(done.returncode == 0, failed[0] if failed else "", _line(words), time.monotonic() - began)


def _run(folder: Path, given: Sequence[str], limit: float) -> subprocess.CompletedProcess[str] | None:
    """pytest, with what it is given; ``None`` where it did not end: what it started ends with it."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *given]
    path = {"PYTHONPATH": str(folder), "PYTHONPYCACHEPREFIX": str(folder.parent / "compiled")}
    path["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # half of what a start costs, and the tests need none
    process = subprocess.Popen(
        command, cwd=folder, env=os.environ | path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _line(words: str) -> str:
    return " ".join(words.split())[:MOST]


def line(mutant: Mutant, before: Said, after: Said) -> str:
    """What came of it, for a terminal."""
    noticed = "SURVIVED" if after.passed else "noticed"
    return (
        f"{noticed:9} {mutant.subject}: {mutant.promise:60} {after.test or ' '.join(mutant.tests)}  {after.words[:110]}"
    )


def row(mutant: Mutant, before: Said, after: Said) -> str:
    """The same, for a table."""
    told = after.words if not after.passed else f"NOTHING ({after.words})"
    cells = (
        mutant.subject,
        mutant.promise,
        after.test or " ".join(mutant.tests),
        mutant.change,
        told,
        before.words,
        f"{after.seconds:.0f}",
    )
    return "".join(f"| {cell.replace('|', chr(92) + '|')} " for cell in cells) + "|"


def table_head() -> str:
    """The first two lines of the table."""
    return "| subject | promise | test | the break | printed broken | right | seconds |\n|---|---|---|---|---|---|---|"


def main() -> None:
    """See the file's own words."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="words of the subjects or promises to break; default: all")
    parser.add_argument("--table", action="store_true", help="print rows of a table")
    parser.add_argument("--quick", action="store_true", help="do not run the tests unbroken before")
    given = parser.parse_args()
    show: Callable[[Mutant, Said, Said], str] = row if given.table else line
    chosen = [one for name in given.names or [""] for one in mutants() if name in f"{one.subject}: {one.promise}"]
    survived = 0
    if given.table:
        print(table_head())
    with copy_of(ROOT) as folder:
        bench = Bench(folder)
        for one in chosen:
            before = Said(True, "", "not run") if given.quick else bench.before(one)
            after = bench.after(one) if before.passed else Said(True, before.test, f"fails unbroken: {before.words}")
            survived += after.passed
            print(show(one, before, after), flush=True)
    print(f"\n{len(chosen) - survived} of {len(chosen)} breaks were noticed")
    raise SystemExit(1 if survived else 0)


if __name__ == "__main__":
    main()
