"""A real daemon in a process of its own, with a nameserver and an SMTP sink on loopback in a thread beside it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gateway.demo import ACCOUNTS, ZONE
from gateway.peers import Nameserver, Sink, Taken

TO = "support@introserv.com"


class LoopbackPeers:
    """Nameserver and sink in a thread with its own event loop."""

    def __init__(self, zone: dict[str, Any] | None = None, answer: Callable[[Taken], str] | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.nameserver, self.sink = Nameserver(ZONE if zone is None else zone), Sink(answer)
        self.dns = self._call(self.nameserver.start())
        self.relay = self._call(self.sink.start())

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    @property
    def taken(self) -> list[Taken]:
        return list(self.sink.taken)

    def close(self) -> None:
        async def stop() -> None:
            self.nameserver.stop()
            self.sink.stop()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()

        with contextlib.suppress(Exception):
            self._call(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def until(condition: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """Waits for a condition and returns what it gave. ``seconds`` are those of a quiet machine: where more processes want to
    run than there are processors, it waits as many times longer.

    Raises:
        TimeoutError: it did not come true.
    """
    began = time.monotonic()
    pause = threading.Event()
    while True:
        found = condition()
        if found:
            return found
        waited = time.monotonic() - began
        if waited > seconds and waited > seconds * crowd():
            raise TimeoutError(f"waited {waited:.0f} s for {what or condition}")
        pause.wait(0.02)


def crowd() -> float:
    """How many times more work than processors this machine has had in the last minute: from 1 to 10."""
    return min(10.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def config_text(folder: Path, peers: LoopbackPeers | None, **sections: Any) -> str:
    """A configuration for loopback; ``sections`` overlay single keys: ``smtp={"max_size": "1MB"}``."""
    values: dict[str, dict[str, Any]] = {
        "gateway": {"hostname": "mx.introserv.example", "state_dir": str(folder / "state")},
        "smtp": {
            "listen": ["smtp://127.0.0.1:0", f"lmtp://{folder / 'lmtp.sock'}"],
            "evaluate_private": True,
            "min_free": "0B",
        },
        "dns": {"timeout": "3s"},
        "directory": {"path": str(folder / "accounts"), "refresh": "1s"},
        "relay": {"timeout": "10s"},
        "http": {"listen": "127.0.0.1:0"},
    }
    if peers is not None:
        values["dns"]["nameservers"] = [peers.dns]
        values["relay"]["port"] = peers.relay
    tables: list[tuple[str, dict[str, Any]]] = []
    for section, keys in sections.items():
        if isinstance(keys, list):
            tables += [(f"[[{section}]]", entry) for entry in keys]
        else:
            values.setdefault(section, {}).update(keys)
    lines: list[str] = []
    for head, keys in [*((f"[{section}]", keys) for section, keys in values.items()), *tables]:
        lines.append(head)
        lines += [f"{key} = {_toml(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def write_accounts(folder: Path, files: dict[str, str] | None = None) -> None:
    (folder / "accounts").mkdir(exist_ok=True)
    for name, text in (files or ACCOUNTS).items():
        (folder / "accounts" / name).write_text(text, encoding="utf-8")


class Running:
    """``gateway run`` as a child process; ``events`` is its log, parsed."""

    def __init__(
        self, folder: Path, peers: LoopbackPeers | None, *, env: dict[str, str] | None = None,
        prefix: list[str] | None = None, ready: bool = True, module: str = "gateway",
        stderr: int = subprocess.PIPE, program: list[str] | None = None, cwd: Path | None = None, **sections: Any,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.config = folder / "config.toml"
        if not (folder / "accounts").exists():
            write_accounts(folder)
        if sections or not self.config.exists():
            self.config.write_text(config_text(folder, peers, **sections))
        self._env = os.environ | {"JOURNAL_STREAM": "1:1", "PYTHONUNBUFFERED": "1"} | (env or {})
        self._prefix, self._stderr, self._cwd = prefix or [], stderr, cwd
        self._program = program or [sys.executable, "-m", module]
        self.events: list[dict[str, Any]] = []
        self.other: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self.start(ready)

    def start(self, ready: bool = True) -> None:
        command = [*self._prefix, *self._program, "--config", str(self.config), "run"]
        self._first = len(self.events)
        self.process = subprocess.Popen(
            command, env=self._env, cwd=self._cwd, stdout=subprocess.DEVNULL, stderr=self._stderr, text=True
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        if ready:
            self.ready()

    @property
    def up(self) -> bool:
        """Whether it has said that it started."""
        return bool(self.named("started", self._first))

    def ready(self) -> None:
        """Waits for the start, and learns where it listens."""
        assert self.process is not None
        until(lambda: self.up or self.process.poll() is not None, 30, "the start")
        if not self.up:
            raise RuntimeError(f"the daemon did not start: {self.other} {self.events}")
        addresses = self.named("started", self._first)[-1]["listen"].split(",")
        self.smtp_port = int(next((a for a in addresses if a.startswith("smtp://")), ":0").rpartition(":")[2])
        self.http = next((a for a in addresses if a.startswith("http://")), "")

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            try:
                self.events.append(json.loads(line))
            except ValueError:
                self.other.append(line.rstrip())

    def named(self, event: str, first: int = 0) -> list[dict[str, Any]]:
        return [record for record in self.events[first:] if record["event"] == event]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def stop(self, sig: int = signal.SIGTERM, seconds: float = 60) -> int:
        """Ends the process and returns its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(seconds)
        self._reader.join(10)
        if self.process.stderr is not None and not self._reader.is_alive():
            self.process.stderr.close()
        return code

    def ended(self, seconds: float = 60) -> int:
        """Waits for the process to end by itself; its exit status."""
        assert self.process is not None
        self.process.wait(seconds)
        return self.stop()

    def reload(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def send(self, raw: bytes, mail_from: str, to: str = TO, helo: str = "client.example") -> tuple[int, bytes]:
        """One mail over SMTP; the reply to the final dot."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port, local_hostname=helo, timeout=60) as client:
            client.ehlo()
            client.mail(mail_from)
            code, words = client.rcpt(to)
            if code >= 400:
                return code, words
            return client.data(raw)

    def metrics(self) -> dict[str, float]:
        """The metrics by their full name."""
        with urllib.request.urlopen(self.http + "/metrics", timeout=10 * crowd()) as answer:
            text = answer.read().decode()
        found = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Another ``gateway`` command with the same configuration."""
        command = [sys.executable, "-m", "gateway", "--config", str(self.config), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """The JSON rows of a listing command."""
        done = self.command(*arguments, "--json")
        if done.returncode not in (0, 1):
            raise RuntimeError(done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def pids(self) -> list[int]:
        """The daemon and all its children."""
        found, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    todo += [int(child) for child in (task / "children").read_text().split()]
        return found

    def rss(self) -> int:
        """Resident octets of the daemon and all its children, shared pages counted once (PSS)."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total

    def cpu(self) -> float:
        """CPU seconds of the daemon and all its children."""
        ticks = os.sysconf("SC_CLK_TCK")
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(stat[11]) + int(stat[12])
        return total / ticks

    def settled(self, seconds: float = 120) -> None:
        """Waits until nothing is pending, and no reply is on its way."""

        def idle() -> bool:
            found = self.metrics()
            waiting = [
                found.get(f'gateway_queue{{queue="inbox",state="{state}"}}', 0) for state in ("pending", "processing")
            ]
            sending = [
                found.get(f'gateway_queue{{queue="outbox",state="{state}"}}', 0) for state in ("queued", "sending")
            ]
            rechecks = found.get('gateway_queue{queue="recheck",state="due"}', 0)
            return sum(waiting) + sum(sending) + rechecks == 0

        until(idle, seconds, "an empty queue")


@contextlib.contextmanager
def running(peers: LoopbackPeers | None = None, **sections: Any) -> Iterator[tuple[Running, LoopbackPeers]]:
    """A daemon in a temporary folder, with peers, ended afterwards."""
    mine = peers or LoopbackPeers()
    with tempfile.TemporaryDirectory(prefix="gateway-") as name:
        daemon = Running(Path(name), mine, **sections)
        try:
            yield daemon, mine
        finally:
            daemon.stop()
            if peers is None:
                mine.close()


_PORTS = itertools.count(os.getpid())


def free_port() -> int:
    """A port that is free now, and that no other worker of this test run is given: each has a range of its own, below the
    ports that the system hands out by itself, and goes round in it."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw9")[2:]) % 10
    for _ in range(2000):
        port = 12000 + worker * 2000 + next(_PORTS) % 2000
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")
