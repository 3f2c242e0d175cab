"""``gateway reload``: SIGHUP, and what the service says became of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from gateway import usage
from gateway.checks import machine
from gateway.cli.output import fail, safe

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.model import JsonObject

PAUSE_S = 0.1


def reload(settings: Settings, seconds: float) -> list[str]:
    """Sends SIGHUP, waits and prints the result; the problems for which it was refused."""
    state_dir = settings.gateway.state_dir
    pid = machine.process(state_dir).pid
    if not pid:
        fail(f"no service runs with the state directory {state_dir}")
    before = usage.ask(state_dir).get("reload")
    if before is None:
        fail(f"process {pid} does not answer; journalctl -u gateway says why")
    os.kill(pid, signal.SIGHUP)
    result = _result(settings, int(before["number"]), seconds)
    for problem in result["problems"]:
        print(safe(problem), file=sys.stderr)
    if result["problems"]:
        print("gateway: the reload was refused; the old settings serve", file=sys.stderr)
    else:
        print("reloaded" + ("" if result["changed"] else ": no setting changed; files were read again"))
        for change in result["changed"]:
            print(f"  {safe(change)}")
    return list(result["problems"])


def _result(settings: Settings, before: int, seconds: float) -> JsonObject:
    ends, pause = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < ends:
        found = usage.ask(settings.gateway.state_dir).get("reload") or {}
        if int(found.get("number", 0)) > before:
            return dict(found)
        pause.wait(PAUSE_S)
    fail(f"no result within {seconds:.0f} s; journalctl -u gateway says what it does")
