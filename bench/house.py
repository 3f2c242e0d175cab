"""What the code measures, at any commit: ``python -m bench.house [COMMIT ...] [--worst 10]``; without a commit, the working tree.

Files, lines per file and function (median, nine tenths, maximum), functions of a complexity over 10 and with more than five parameters,
lines over 120 characters, uses of ``Any``, lines of comments and docstrings, and public functions whose docstring tells arguments, results
or errors. A number is a place to look at, not a quota. Complexity is that of McCabe as ruff counts it: one, and one for each
branch; the branches of a comprehension or an expression are not counted.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import subprocess
import sys
import tarfile
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDE, COMPLEX, MANY = 120, 10, 5
Function = ast.FunctionDef | ast.AsyncFunctionDef
TOLD = ("Args:", "Returns:", "Raises:")


@dataclass
class Measured:
    """All files of a commit together."""

    files: list[int] = field(default_factory=list)  #: lines of each
    functions: list[tuple[int, str]] = field(default_factory=list)  #: (lines, name)
    complex: list[tuple[int, str]] = field(default_factory=list)
    many: list[tuple[int, str]] = field(default_factory=list)
    wide: list[tuple[int, str]] = field(default_factory=list)  #: (how many, file)
    any: int = 0
    comments: int = 0
    docstrings: int = 0
    public: int = 0
    told: int = 0  #: of these, with Args, Returns or Raises
    short: int = 0  #: docstrings of five words or fewer

    def add(self, name: str, source: str) -> None:
        """Measures a file."""
        lines = source.splitlines()
        self.files.append(len(lines))
        if wide := sum(len(line) > WIDE for line in lines):
            self.wide.append((wide, name))
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        self.comments += sum(token.type == tokenize.COMMENT for token in tokens)
        self.any += sum(token.type == tokenize.NAME and token.string == "Any" for token in tokens)
        for node, where in _nodes(ast.parse(source), name):
            self._add_docstring(node)
            if isinstance(node, Function):
                self._add_function(node, f"{where}.{node.name}")

    def _add_docstring(self, node: ast.AST) -> None:
        if isinstance(node, Function | ast.ClassDef | ast.Module) and (words := ast.get_docstring(node)) is not None:
            self.docstrings += len(words.splitlines())
            self.short += len(words.split()) <= 5

    def _add_function(self, node: Function, name: str) -> None:
        self.functions.append(((node.end_lineno or node.lineno) - node.lineno + 1, name))
        if (branches := complexity(node)) > COMPLEX:
            self.complex.append((branches, name))
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = sum(argument.arg not in ("self", "cls") for argument in given)
        if count > MANY:
            self.many.append((count, name))
        if not node.name.startswith("_"):
            self.public += 1
            self.told += any(word in (ast.get_docstring(node) or "") for word in TOLD)


def _nodes(tree: ast.Module, name: str) -> Iterator[tuple[ast.AST, str]]:
    """Every node, with the file and the class that it stands in."""
    todo: list[tuple[ast.AST, str]] = [(tree, name.removesuffix(".py").replace("/", "."))]
    while todo:
        node, where = todo.pop()
        yield node, where
        inside = f"{where}.{node.name}" if isinstance(node, ast.ClassDef) else where
        todo += [(child, inside) for child in ast.iter_child_nodes(node)]


def complexity(function: Function) -> int:
    """One, and one for each branch, loop, handler and case (McCabe, IEEE TSE SE-2, 1976)."""
    count = 1
    for node in ast.walk(function):
        branches = isinstance(node, ast.If | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler)
        inside = isinstance(node, Function) and node is not function
        named = isinstance(node, ast.match_case) and not isinstance(node.pattern, ast.MatchAs)
        count += branches or inside or named
    return count


def sources(commit: str | None) -> Iterator[tuple[str, str]]:
    """(name, source) of every file of the package."""
    if commit is None:
        for path in sorted((ROOT / "gateway").rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        return
    command = ["git", "archive", commit, "gateway"]
    packed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for entry in archive:
            if entry.name.endswith(".py") and (file := archive.extractfile(entry)) is not None:
                yield entry.name, file.read().decode("utf-8")


def measured(commit: str | None) -> Measured:
    """What a commit measures."""
    found = Measured()
    for name, source in sources(commit):
        found.add(name, source)
    return found


def _spread(values: list[int]) -> str:
    tenth = statistics.quantiles(values, n=10)[-1]
    return f"{statistics.median(values):.0f} / {tenth:.0f} / {max(values)}"


def rows(of: Measured) -> dict[str, str]:
    """The table of one commit."""
    return {
        "files": str(len(of.files)),
        "lines": str(sum(of.files)),
        "lines a file: median / p90 / maximum": _spread(of.files),
        "functions": str(len(of.functions)),
        "lines a function: median / p90 / maximum": _spread([lines for lines, _ in of.functions]),
        f"functions of complexity over {COMPLEX}": str(len(of.complex)),
        "the most complex": str(max(of.complex, default=(0, ""))[0]),
        f"functions with more than {MANY} parameters": str(len(of.many)),
        f"lines over {WIDE} characters": str(sum(count for count, _ in of.wide)),
        "uses of Any": str(of.any),
        "comments": str(of.comments),
        "lines of docstrings": str(of.docstrings),
        "docstrings of five words or fewer": str(of.short),
        "public functions": str(of.public),
        "of these with Args, Returns or Raises": f"{of.told} ({100 * of.told / of.public:.0f} %)",
    }


def main() -> int:
    """Prints the table, a column a commit, and the worst places of the last one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commits", nargs="*")
    parser.add_argument("--worst", type=int, default=0)
    given = parser.parse_args()
    commits = given.commits or [None]
    found = [measured(None if commit in (None, "now") else commit) for commit in commits]
    tables = [rows(one) for one in found]
    print("| | " + " | ".join(commit or "now" for commit in commits) + " |")
    print("|---|" + "---|" * len(commits))
    for name in tables[0]:
        print(f"| {name} | " + " | ".join(table[name] for table in tables) + " |")
    for what in ("functions", "complex", "many", "wide") if given.worst else ():
        print(f"\n{what}:")
        for count, name in sorted(getattr(found[-1], what), reverse=True)[: given.worst]:
            print(f"  {count:4} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
