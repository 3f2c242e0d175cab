"""What a command does not import: nearly all that it costs is imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import ALONE, NOUNS, app
from gateway.database.store import Store, utc_now

ROOT = Path(__file__).resolve().parents[1]
#: what only the service, or a command that writes mail or reads it, has a use for
HEAVY = (
    "aiosmtpd", "aiosmtplib", "alembic", "bs4", "cryptography", "dkim", "dns", "fastapi", "gateway.console.app", "gateway.daemon",
    "gateway.ingest.smtp", "gateway.judge", "gateway.pipeline", "gateway.read.reading", "gateway.replies.render", "gateway.verify.directory", "gateway.verify.authenticate", "httpx", "jinja2", "lxml",
    "prometheus_client", "psycopg", "sqlalchemy.dialects.mysql", "sqlalchemy.dialects.postgresql", "starlette", "tenacity",
    "uvloop",
)  # fmt: skip
SCRIPT = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from gateway.cli import main
main()
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cost")
    (folder / "state").mkdir()
    store = Store(f"sqlite:///{folder}/state/gateway.sqlite")
    store.open(utc_now())
    store.close()
    (folder / "config.toml").write_text(f'[gateway]\nhostname = "mx.introserv.example"\nstate_dir = "{folder}/state"\n')
    return folder / "config.toml"


@pytest.mark.parametrize("command", ["status", "tickets list", "outbox list", "messages list"])
def test_a_command_imports_what_it_needs_and_no_more(config: Path, command: str) -> None:
    arguments = [sys.executable, "-c", SCRIPT, "--config", str(config), *command.split(), "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    modules = set(done.stderr.split())
    assert "sqlalchemy" in modules, done.stderr
    assert sorted(modules & set(HEAVY)) == []
    files = {name.removeprefix("gateway.cli.") for name in modules if name.startswith("gateway.cli.")}
    others = {file for found in NOUNS.values() for file in found} | set(ALONE.values())
    needed = set(NOUNS.get(command.split()[0], ())) | {ALONE.get(command.split()[0], "")}
    assert sorted(files & others - needed) == []


def test_the_tables_of_commands_name_every_command() -> None:
    alone = {one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands}
    assert alone == set(ALONE)
    assert [group.name for group in app.registered_groups] == list(NOUNS)
    files = {path.stem for path in (ROOT / "gateway" / "cli").glob("*.py") if "app = typer.Typer(" in path.read_text()}
    assert files == set(ALONE.values()) | {file for found in NOUNS.values() for file in found}
