"""The unit files, against the code that they speak for."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

from tests.conftest import ROOT, missing

UNIT = (ROOT / "systemd" / "gateway.service").read_text()


def value(key: str) -> list[str]:
    return re.findall(rf"(?m)^{key}=(.*)$", UNIT)


def test_the_unit_agrees_with_the_code() -> None:
    assert value("Type") == ["notify"]
    assert value("RestartPreventExitStatus") == ["2"]
    assert value("User") == ["gateway"]
    assert value("StateDirectory") == ["gateway"]
    assert any("relay-password" in line for line in value("LoadCredential"))
    assert int(value("WatchdogSec")[0]) > 0
    socket = configparser.ConfigParser(strict=False, delimiters=("=",))
    socket.read(ROOT / "systemd" / "gateway.socket")
    assert "Socket" in socket
    assert "gateway" in (ROOT / "systemd" / "gateway.sysusers").read_text()


def test_the_hardening_passes() -> None:
    if not Path("/usr/bin/systemd-analyze").exists():
        missing("systemd-analyze is not installed")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=15", str(ROOT / "systemd" / "gateway.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:]
