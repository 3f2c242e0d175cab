"""What the Debian package is made of: man pages that name every command and key, scripts that a shell reads, units that fit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gateway import config
from tests.conftest import ROOT


def test_the_man_pages_name_every_command_and_key(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "packaging" / "manpages.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    commands, settings = (tmp_path / "gateway.1").read_text(), (tmp_path / "gateway.toml.5").read_text()
    for name in (
        "run",
        "backup",
        "restore",
        "tickets reply",
        "privacy erase",
        "incidents confirm",
        "abuse tell",
        "replay",
    ):
        assert f"\ngateway {name}\n" in commands, name
    assert r"\fB\-\-queued" in commands and "hold, send or discard" in commands
    for section, field in config.Settings.model_fields.items():
        assert re.search(rf"^\.SH \[+{section}\]+$", settings, re.M), section
        model = field.annotation if hasattr(field.annotation, "model_fields") else field.annotation.__args__[0]  # type: ignore[union-attr]
        for key in model.model_fields:
            found = re.search(rf"^\\fB{key}\\fR = (.+)$", settings, re.M)
            assert found, f"{section}.{key} is not described"
    for page in (commands, settings):  # no control line that roff does not know, and none made by a text
        assert {line[:3] for line in page.splitlines() if line.startswith(".")} <= {
            ".TH",
            ".SH",
            ".SS",
            ".TP",
            ".RS",
            ".RE",
        }


def test_the_scripts_of_the_package_are_sound() -> None:
    scripts = [
        ROOT / "packaging" / "build-deb",
        ROOT / "packaging" / "try-deb",
        *(ROOT / "packaging" / "debian").iterdir(),
    ]
    for script in scripts:
        assert script.stat().st_mode & 0o111, script
        assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0, script
        assert "set -e" in script.read_text(), script
    unit = (ROOT / "systemd" / "gateway.service").read_text()
    assert "/opt/gateway/bin/gateway" in unit, "build-deb puts the path of the package in its place"


def test_the_release_says_its_version() -> None:
    done = subprocess.run([sys.executable, "-m", "gateway", "--version"], capture_output=True, text=True, check=False)
    assert re.fullmatch(r"gateway \d+\.\d+\.\d+, schema \d{4}\n", done.stdout)
