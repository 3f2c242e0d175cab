"""The house: who may import whom, what is read where, and names that say what a room is for."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "gateway").rglob("*.py"))
FOUNDATION = {"settings", "log", "metrics", "mail"}
#: they have sections of the configuration, each in a ``settings.py`` of its own; ``config`` is the whole of them
SECTIONS = {"checks", "console", "database", "ingest", "read", "replies", "tickets", "verify"}
NEIGHBOURS = {"read", "verify", "replies", "database"}
#: what may be imported besides the foundation; a room may always import itself
ALLOWED = {
    "model": set(),
    "networks": set(),
    "systemd": set(),
    "mail": {"model"},
    "settings": set(),
    "log": {"model"},
    "metrics": {"model"},
    "turns": {"model", "networks", "mail"},
    "claims": {"log"},
    "periodic": {"log"},
    "starting": {"model"},
    "listeners": {"config", "http", "log", "systemd", "ingest", "starting"},
    "reloading": {"config", "service", "checks", "systemd", "tickets"} | FOUNDATION | NEIGHBOURS,
    **dict.fromkeys(NEIGHBOURS, {"model", "claims", "periodic"} | FOUNDATION),
    "read": {"model", "turns"} | FOUNDATION,
    "tickets": {"model", "periodic", "database"} | FOUNDATION,
    "ingest": {"model", "tickets", "database", "turns", "networks"} | FOUNDATION,
    "checks": {"model", "periodic", "systemd", "tickets", "database", "verify"} | FOUNDATION,
    "judge": {"model", "claims", "tickets", "turns"} | FOUNDATION | NEIGHBOURS,
    "pipeline": {"model", "claims", "judge", "tickets", "turns"} | FOUNDATION | NEIGHBOURS,
    "config": {"settings"} | SECTIONS,
    "manual": {"config", "reloading", "settings"},
    "configured": {"config", "mail", "verify"},
    "enclosures": {"model", "read", "database"},
    "peers": {"verify"},
    "usage": set(),
    "health": {"log", "metrics", "networks", "usage"},
    "http": {"log"},
    "console": {"model", "networks", "database", "tickets", "read", "replies"} | FOUNDATION,
    "lending": {"model", "service", "explain", "console", "tickets"} | NEIGHBOURS,
    "service": {"model", "config", "configured", "ingest", "judge", "tickets"} | FOUNDATION | NEIGHBOURS,
    "check": {"config", "configured", "service", "tickets"} | FOUNDATION | NEIGHBOURS,
    "doctor": {"model", "config", "service", "check", "checks", "ingest", "usage", "tickets"} | FOUNDATION | NEIGHBOURS,
    "backup": {"config", "database", "tickets", "privacy"} | FOUNDATION,
    "privacy": {"database", "tickets"} | FOUNDATION,
    "whatif": {"model", "config", "service", "judge", "tickets"} | FOUNDATION | NEIGHBOURS,
    "explain": {"model", "config", "service", "judge", "ingest", "tickets"} | FOUNDATION | NEIGHBOURS,
}


def room(path: Path) -> str:
    inside = path.relative_to(ROOT / "gateway")
    return inside.parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gateway":
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("gateway.")}
    return found - {"__version__"}


def test_every_room_imports_only_what_it_may() -> None:
    wrong = []
    for path in FILES:
        name = room(path)
        if name in ("__init__", "__main__", "cli", "daemon", "demo", "node"):
            continue
        extra = imported(path) - ALLOWED[name] - {name}
        if extra:
            wrong.append((str(path.relative_to(ROOT)), sorted(extra)))
    assert wrong == []


def modules(path: Path) -> set[str]:
    """What a file imports of ours, as it names it."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    return {node.module for node in nodes if node.module and node.module.startswith("gateway")}


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_file_imports_one_that_imports_it() -> None:
    # wherever the import stands: at the top, in a function, for the types alone
    names = {module(path) for path in FILES}
    needs: dict[str, set[str]] = {}
    for path in FILES:
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        whole = {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
        faces = {str(node.module) for node in nodes}
        needs[module(path)] = ((whole | faces) & names) - {module(path)}
    assert sum(map(len, needs.values())) > 1000
    while free := [name for name, others in needs.items() if not others]:
        needs = {name: others - set(free) for name, others in needs.items() if name not in free}
    assert needs == {}


def test_a_section_stands_in_the_room_that_uses_it_and_knows_no_other() -> None:
    whole = modules(ROOT / "gateway" / "config.py")
    assert whole == {f"gateway.{name}.settings" for name in SECTIONS} | {"gateway.settings"}
    for name in SECTIONS:
        assert modules(ROOT / "gateway" / name / "settings.py") == {"gateway.settings"}, name
    assert modules(ROOT / "gateway" / "settings.py") == set()


def test_only_cli_and_demo_know_the_daemon() -> None:
    knows = {room(path) for path in FILES if "daemon" in imported(path)}
    assert knows <= {"cli", "demo", "daemon"}


def test_only_the_store_opens_a_session_on_our_database() -> None:
    opens = {str(path.relative_to(ROOT)) for path in FILES if "create_engine(" in path.read_text()}
    # the second one opens the billing database of the hosting company, to read the accounts
    assert opens == {"gateway/database/store.py", "gateway/verify/directory_sources.py"}


def test_policy_is_pure() -> None:
    tickets = ROOT / "gateway" / "tickets"
    assert modules(tickets / "policy.py") == {"gateway.model", "gateway.tickets.rules"}
    assert imports_of(tickets / "policy.py") == {"__future__", "collections", "dataclasses", "datetime", "gateway"}
    # what it is given of the configuration is a value: two sections as they are, and what is made of others
    assert modules(tickets / "rules.py") == {"gateway.tickets.settings"}
    reads = r"\b(?:now|today|open|read_text|exists|file_faults|getenv|execute)\("
    assert re.findall(reads, (tickets / "policy.py").read_text() + (tickets / "rules.py").read_text()) == []


def test_nothing_sleeps_and_no_file_is_named_for_nothing() -> None:
    assert [str(path) for path in FILES if "time.sleep(" in path.read_text()] == []
    banned = {"utils.py", "helpers.py", "common.py", "manager.py", "base.py", "misc.py"}
    assert {path.name for path in FILES} & banned == set()


def test_only_one_module_assigns_the_inbox_state() -> None:
    for path in FILES:
        if path.name not in ("inbox.py", "desk.py", "tables.py"):
            assert "state=InboxState" not in path.read_text(), path


def broad_nets(source: str) -> list[str]:
    """The lines of a module that catch everything and do not say why."""
    caught = re.findall(r"(?m)^ *except(?:\s*:| .*\b(?:Base)?Exception\b).*$", source)
    return [line.strip() for line in caught if not re.search(r":  # (?:\S+ ){3,}\S+$", line)]


def test_what_catches_everything_says_why() -> None:
    unsaid = {str(path.relative_to(ROOT)): lines for path in FILES if (lines := broad_nets(path.read_text()))}
    assert unsaid == {}
    wrong = "try:\n    f()\nexcept:\n    pass\nexcept (OSError, Exception):\n    pass\nexcept BaseException as e:  # as above\n"
    assert len(broad_nets(wrong)) == 3
    assert broad_nets("except Exception as error:  # a library over hostile input\nexcept faults.ExceptionGroup:") == []


def _assigned(function: ast.AST) -> dict[str, list[ast.expr]]:
    """What each name of a function is set to."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) else []:
            if isinstance(target, ast.Name) and node.value is not None:  # type: ignore[attr-defined]
                found.setdefault(target.id, []).append(node.value)  # type: ignore[attr-defined]
    return found


def _always_as_long(what: ast.expr, names: dict[str, list[ast.expr]]) -> bool:
    """Whether a list is written out, a constant, or asked for in the same question."""
    if isinstance(what, ast.Tuple | ast.List | ast.Set):
        return not any(isinstance(one, ast.Starred) for one in what.elts)
    if isinstance(what, ast.ListComp):
        return not what.generators[0].ifs and _always_as_long(what.generators[0].iter, {})
    if isinstance(what, ast.Name) and not what.id.isupper():
        return what.id in names and all(_always_as_long(value, {}) for value in names[what.id])
    if isinstance(what, ast.Name | ast.Attribute):
        return (what.id if isinstance(what, ast.Name) else what.attr).isupper()
    asked = ast.unparse(what)
    question = "select(" in asked or asked.endswith(".scalar_subquery()")
    return isinstance(what, ast.Call) and question and "execute(" not in asked and "typed." not in asked


def lists_of_any_length(source: str) -> list[str]:
    """The ``column.in_(...)`` of a module whose text depends on how many values there are."""
    found = set()
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            names = _assigned(function)
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    if node.func.attr in ("in_", "not_in") and not _always_as_long(node.args[0], names):
                        found.add(ast.unparse(node))
    return sorted(found)


def test_a_question_has_one_text_however_long_its_list_is() -> None:
    # each text is prepared and kept by every connection: see gateway/database/among.py
    asked = {str(path.relative_to(ROOT)): lists_of_any_length(path.read_text()) for path in FILES}
    assert {name: lists for name, lists in asked.items() if lists} == {}
    wrong = (
        "def f(c, ids):\n    x = list(ids)\n    return c.in_(ids), c.not_in(x), c.in_([*x]), c.in_([i.id for i in x])"
    )
    assert len(lists_of_any_length(wrong)) == 4
    right = (
        "def f(c):\n    x = select(c).where(c > 1)\n    return c.in_(x), c.in_(KINDS), c.in_((1, 2)), c.in_(select(c))"
    )
    assert lists_of_any_length(right) == []


#: how a program finds the fields of a header: a parser of the standard library, the empty line, a name and its colon
PARSERS = re.compile(r"message_from_\w+|(?:Bytes|Header|Feed)+Parser")
EMPTY_LINE = re.compile(rb"(?:(?:\r\??)?\n){2}|(?:(?:\\r\??)?\\n){2}")
NAMED = re.compile(
    rb"(?i)(?:(?:\b|n)(?:from|sender|subject|date|message-id|received|return-path|[a-z-]*-to|[a-z-]+-results"
    rb"|content-[^:]*)|\[!-9;-~\])(?:[^a-z:]|\\[tsrnfvx0]+)*:(?!//)"
)


def finds_fields(source: str) -> list[str]:
    """What in a module looks for header fields in octets by itself."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name | ast.Attribute | ast.alias):
            name = (
                node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else node.name
            )
            found += [name] if PARSERS.fullmatch(name) else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            found += [repr(node.value)] if EMPTY_LINE.search(node.value) or NAMED.search(node.value) else []
    return found


def test_header_fields_are_found_in_octets_in_one_place() -> None:
    found = {str(path.relative_to(ROOT)): finds_fields(path.read_text()) for path in FILES}
    assert len(found.pop("gateway/mail/header.py")) > 5
    allowed = {
        "gateway/usage.py": 2,  # HTTP
        "gateway/health.py": 2,  # HTTP
        "gateway/read/author.py": 2,  # what is no From field here and may be one for another program
        "gateway/read/structure.py": 2,  # lines that look like the fields of a part, before it is one
    }
    assert {name: len(what) for name, what in found.items() if what} == allowed, found
    wrong = (
        "import email\nfrom email.parser import BytesHeaderParser\nemail.message_from_bytes(raw)\n"
        'raw.partition(b"\\r\\n\\r\\n")\nraw.find(b"\\n\\n")\nre.split(rb"\\r?\\n\\r?\\n", raw)\n'
        're.compile(rb"(?im)^received[ \\t]*:(.*)")\nre.findall(rb"(?im)^received:", raw)\nre.compile(rb"([!-9;-~]+)[ \\t]*:")\n'
        're.compile(rb"\\nfrom[ \\t]*:([^\\r\\n]{1,400})")\nre.compile(rb"^(?:delivered-to|envelope-to)[ \\t]*:")'
    )
    assert len(finds_fields(wrong)) == 10
    assert finds_fields('named(raw, b"from")\nb"subject" in signed\nre.compile(rb"t=[ \\t]*:")') == []


def imports_of(path: Path) -> set[str]:
    """The first names of all that a file imports."""
    tree = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name.split(".")[0] for node in tree if isinstance(node, ast.Import) for alias in node.names}
    return plain | {(node.module or "").split(".")[0] for node in tree if isinstance(node, ast.ImportFrom)}


def test_no_test_imports_a_bench() -> None:
    # what both need stands in tests/peers, tests/stories and tests/measures
    tests = sorted((ROOT / "tests").rglob("*.py"))
    assert len(tests) > 100
    assert [str(path.relative_to(ROOT)) for path in tests if "bench" in imports_of(path)] == []
    assert "tests" in imports_of(ROOT / "bench" / "kills.py")


def test_every_bench_that_is_told_of_is_there() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "Makefile", *(ROOT / "bench").rglob("*.py")]
    told = {name for page in pages for name in re.findall(r"-m bench\.(\w+)", page.read_text())}
    assert len(told) > 20
    for name in told:
        text = (ROOT / "bench" / f"{name}.py").read_text()
        assert '__name__ == "__main__"' in text, name


def test_a_mail_never_comes_back_into_a_room_that_it_left() -> None:
    # the database is the one that is come back to, gateway/mail the floor that all stand on
    walk = (ROOT / "docs" / "flow.md").read_text().partition("**Taken in**")[2].partition("**By people**")[0]
    stays = re.findall(r"^\d+\. .*(?:\n {4}.*)*", walk, re.M)
    assert 20 <= len(stays) <= 40
    rooms: list[str] = []
    for stay in stays:
        for room in set(re.findall(r"`gateway/(\w+)/", stay)) - {"database", "mail"}:
            assert room not in rooms[:-1], f"{room} again: {stay}"
            rooms += [room] if rooms[-1:] != [room] else []
    assert rooms == ["ingest", "read", "verify", "tickets", "replies"]


def test_what_is_broken_on_purpose_stands_where_the_list_says_and_has_its_test() -> None:
    breaks = tomllib.loads((ROOT / "bench" / "mutants.toml").read_text())["mutant"]
    assert len(breaks) > 100
    lost = [(one["file"], one["find"]) for one in breaks if (ROOT / one["file"]).read_text().count(one["find"]) != 1]
    assert lost == []
    for named in {test for one in breaks for test in one["tests"]}:
        path, _, test = named.partition("::")
        assert not test or f"def {test.partition('[')[0]}(" in (ROOT / path).read_text(), named
