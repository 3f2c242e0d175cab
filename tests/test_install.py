"""The wheel in an empty environment, and the README's commands as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_runs_the_demo_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "gateway/data/templates/received.en.txt.j2" in names
    assert any(name.startswith("gateway/data/migrations/versions/0001") for name in names)
    assert {
        "gateway/console/templates/queue.html",
        "gateway/console/static/htmx.min.js",
        "gateway/console/static/LICENSES.txt",
    } <= set(names)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "GATEWAY_CONFIG")}
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "gateway", "demo"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "13 mails: 1 in quarantine, 0 failed" in done.stdout


def test_every_command_of_readme_and_docs_exists() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(page.read_text() for page in pages)
    commands = r"(?m)^    (?:/opt/gateway/bin/)?gateway ([a-z]+(?: [a-z]+)?)|`gateway ([a-z]+(?: [a-z]+)?)"
    shown = sorted({first or second for first, second in re.findall(commands, text)})
    assert len(shown) >= 12
    for command in shown:
        words = command.split()
        for tried in (words, words[:1]):
            done = subprocess.run(
                [sys.executable, "-m", "gateway", *tried, "--help"], capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                break
        assert done.returncode == 0, command


def test_every_link_of_readme_and_docs_leads_to_a_file() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
        for named in re.findall(r"`((?:tests|docs|gateway|bench|systemd|templates)/[\w./*-]+)`", page.read_text()):
            assert list(ROOT.glob(named)), f"{page.name}: {named}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_readme_walk_through(tmp_path: Path) -> None:
    """check, run, status, tickets, explain, templates: in order, in an empty folder, with the example configuration."""
    example = (ROOT / "config.example.toml").read_text()
    config = example.replace("/var/lib/gateway", str(tmp_path / "state")).replace(
        "/run/gateway/lmtp.sock", str(tmp_path / "lmtp.sock")
    )
    config = config.replace("127.0.0.1:8025", "127.0.0.1:0").replace("127.0.0.1:8080", "127.0.0.1:0")
    (tmp_path / "config.toml").write_text(config)
    environment = os.environ | {"GATEWAY_CONFIG": str(tmp_path / "config.toml"), "PYTHONPATH": str(ROOT)}

    def gateway(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )

    assert gateway("check").stdout.endswith(": OK\n")
    assert gateway("status").returncode == 1  # no database yet
    mail = "From: a@b.example\nSubject: x\nMessage-ID: <1@b.example>\n\nHello, my server #123456 is slow.\n"
    assert gateway("accept", "-", "--direct", "--mail-from", "a@b.example", stdin=mail).returncode == 0
    assert gateway("status").returncode == 0
    assert "pending" in gateway("messages", "list").stdout
    assert gateway("messages", "raw", "1").stdout.replace("\r", "") == mail
    assert "123456" in gateway("explain", "-", stdin=mail).stdout
    assert "Guten Tag" in gateway("templates", "preview", "received", "--language", "de").stdout
    assert gateway("templates", "list").returncode == 0
    assert gateway("tickets", "list").returncode == 0
    assert gateway("outbox", "list", "--state", "dead").returncode == 0


def test_help_is_quick() -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "gateway", "--help"], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    modules = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gateway", "--help"], capture_output=True, text=True, check=True
    ).stderr  # fmt: skip
    assert "sqlalchemy" not in modules, f"{spent:.2f} s"
    assert "mailparser" not in modules
