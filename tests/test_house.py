"""The house: who may import whom, what is read where, and names that say what a room is for."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "gateway").rglob("*.py"))
FOUNDATION = {"config", "log", "metrics", "mail"}
NEIGHBOURS = {"read", "verify", "replies", "database"}
#: what may be imported besides the foundation; a room may always import itself
ALLOWED = {
    "model": set(),
    "networks": set(),
    "systemd": set(),
    "mail": {"model"},
    "config": {"model"},
    "log": {"model"},
    "metrics": {"model"},
    "turns": {"model", "networks"},
    "claims": {"log"},
    "periodic": {"log"},
    "starting": {"model"},
    "listeners": {"config", "http", "log", "systemd", "ingest", "starting"},
    "reloading": {"service", "checks", "systemd", "tickets"} | FOUNDATION | NEIGHBOURS,
    **dict.fromkeys(NEIGHBOURS, {"model", "claims", "periodic"} | FOUNDATION),
    "read": {"model", "turns"} | FOUNDATION,
    "tickets": {"model", "periodic", "database"} | FOUNDATION,
    "ingest": {"model", "tickets", "database", "turns", "networks"} | FOUNDATION,
    "checks": {"model", "periodic", "systemd", "tickets", "database", "verify"} | FOUNDATION,
    "pipeline": {"model", "claims", "tickets", "turns"} | FOUNDATION | NEIGHBOURS,
    "enclosures": {"model", "read", "database"},
    "peers": {"verify"},
    "usage": set(),
    "health": {"log", "metrics", "usage"},
    "http": {"log"},
    "console": {"model", "database", "tickets", "read", "replies"} | FOUNDATION,
    "lending": {"model", "service", "explain", "console", "tickets"} | NEIGHBOURS,
    "service": {"model", "ingest", "pipeline", "tickets"} | FOUNDATION | NEIGHBOURS,
    "check": {"service", "tickets"} | FOUNDATION | NEIGHBOURS,
    "doctor": {"model", "service", "check", "checks", "ingest", "usage", "tickets"} | FOUNDATION | NEIGHBOURS,
    "backup": {"database", "tickets", "privacy"} | FOUNDATION,
    "privacy": {"database", "tickets"} | FOUNDATION,
    "whatif": {"model", "service", "pipeline", "tickets"} | FOUNDATION | NEIGHBOURS,
    "explain": {"model", "service", "pipeline", "ingest", "tickets"} | FOUNDATION | NEIGHBOURS,
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


def test_only_cli_and_demo_know_the_daemon() -> None:
    knows = {room(path) for path in FILES if "daemon" in imported(path)}
    assert knows <= {"cli", "demo", "daemon"}


def test_only_the_store_opens_a_session_on_our_database() -> None:
    opens = {str(path.relative_to(ROOT)) for path in FILES if "create_engine(" in path.read_text()}
    # the second one opens the billing database of the hosting company, to read the accounts
    assert opens == {"gateway/database/store.py", "gateway/verify/directory_sources.py"}


def test_policy_is_pure() -> None:
    assert imported(ROOT / "gateway" / "tickets" / "policy.py") == {"model"}


def test_nothing_sleeps_and_no_file_is_named_for_nothing() -> None:
    assert [str(path) for path in FILES if "time.sleep(" in path.read_text()] == []
    banned = {"utils.py", "helpers.py", "common.py", "manager.py", "base.py", "misc.py"}
    assert {path.name for path in FILES} & banned == set()


def test_only_one_module_assigns_the_inbox_state() -> None:
    for path in FILES:
        if path.name not in ("inbox.py", "desk.py", "outgoing.py", "people.py", "tables.py"):
            assert "state=InboxState" not in path.read_text(), path
