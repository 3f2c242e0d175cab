"""Random faults on a running service.

Senders deliver over SMTP and try again until they hear 250, while one fault after another is made and mended: the service is
killed, stopped, stands still, is reloaded with a good and with a bad configuration; the disk of its state directory is full; the
relay refuses, cuts, holds everything back or is away; the DNS does not answer; PostgreSQL is restarted, or its sessions are ended.
At the end everything is well again, and the promises of ``ledger.py`` must hold. Needs root for the small disk; without it that
fault is left out.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import smtplib
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.peers import Taken
from tests.peers.harness import LoopbackPeers, Running, free_port, until
from tests.peers.postgres import Cluster
from tests.peers.tap import Tap
from tests.stories import ledger
from tests.stories.ledger import Ledger

SENDERS, DISK_MB = 3, 48
PAUSE_S = (2.0, 8.0)  #: between two faults
LAST_S = (1.0, 12.0)  #: of a fault that is mended
#: a mail that could not be verified is looked at again soon, so that all is decided when the run ends
RECHECKS = {"rechecks": ["3s", "6s", "12s", "30s", "60s"]}


@dataclass
class World:
    """A service, what it needs, and who sends to it."""

    daemon: Running
    peers: LoopbackPeers
    tap: Tap
    cluster: Cluster | None
    rng: random.Random
    disk: Path | None
    ledger: Ledger = field(default_factory=Ledger)
    stop: threading.Event = field(default_factory=threading.Event)
    refuses: threading.Event = field(default_factory=threading.Event)

    def pause(self, least: float, most: float) -> None:
        threading.Event().wait(self.rng.uniform(least, most))

    def sender(self, port: int) -> None:
        """Sends one mail after another, each until it is acknowledged."""
        while not self.stop.is_set():
            subject, raw = self.ledger.next()
            while not self._delivered(port, raw) and not self.stop.wait(0.3):
                pass
            if not self.stop.is_set():
                self.ledger.heard(subject)
            self.stop.wait(0.5)

    def _delivered(self, port: int, raw: bytes) -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=20) as client:
                client.sendmail("ops@shop.example", ["support@introserv.com"], raw)
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def answer(self, taken: Taken) -> str:
        """What the relay says."""
        return "451 4.3.0 try again later" if self.refuses.is_set() else "250 2.0.0 OK"


# -- faults: each makes one, waits, and mends it


def killed(world: World) -> None:
    world.daemon.stop(signal.SIGKILL)
    world.pause(0, 3)
    _start(world)


def stopped(world: World) -> None:
    if world.daemon.stop() != 0:
        raise AssertionError("it did not end well")
    _start(world)


def stands_still(world: World) -> None:
    """Longer than its leases now and then: others, and clocks, go on without it."""
    os.kill(world.daemon.pid, signal.SIGSTOP)
    world.pause(1, world.rng.choice((3.0, 40.0)))
    os.kill(world.daemon.pid, signal.SIGCONT)


def reloaded(world: World) -> None:
    world.daemon.reload()


def reloaded_badly(world: World) -> None:
    good = world.daemon.config.read_text()
    world.daemon.config.write_text(good.replace("[gateway]", "[gateway]\nread_limit = 'a while'", 1))
    world.daemon.reload()
    world.pause(1, 3)
    world.daemon.config.write_text(good)
    world.daemon.reload()


def disk_full(world: World) -> None:
    assert world.disk is not None
    ballast = world.disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"\0" * 65536):
            pass
    world.pause(*LAST_S)
    ballast.unlink()


def relay_refuses(world: World) -> None:
    world.refuses.set()
    world.pause(*LAST_S)
    world.refuses.clear()


def relay_mood(mood: str) -> Callable[[World], None]:
    def fault(world: World) -> None:
        world.tap.mood = mood
        world.pause(*LAST_S)
        world.tap.mood = "passes"

    fault.__name__ = f"relay_{mood}"
    return fault


def dns_silent(world: World) -> None:
    world.peers.nameserver.silent = True
    world.pause(*LAST_S)
    world.peers.nameserver.silent = False


def database_restarted(world: World) -> None:
    assert world.cluster is not None
    world.cluster.stop()
    world.pause(0, 5)
    world.cluster.start()


def sessions_ended(world: World) -> None:
    assert world.cluster is not None
    with world.cluster.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and usename = 'gateway'"
        )


def _start(world: World) -> None:
    """Starts it; on a disk that is full, or without a database, it may need another try, as systemd would make it."""
    for _ in range(20):
        with contextlib.suppress(RuntimeError):
            world.daemon.start()
            return
        world.pause(1, 2)
    raise AssertionError("it does not start any more")


def faults(world: World) -> list[Callable[[World], None]]:
    """Those that can be made here, the common ones twice."""
    found = [killed, killed, stopped, stands_still, reloaded, reloaded_badly, relay_refuses, dns_silent]
    found += [relay_mood(mood) for mood in ("cuts", "holds", "away")]
    found += [disk_full] if world.disk is not None else []
    found += [database_restarted, sessions_ended] if world.cluster is not None else []
    return found


# -- the run


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """The state directory as a tmpfs; ``None`` where none can be mounted."""
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "gateway-chaos", str(folder)]
    mounted = os.geteuid() == 0 and not subprocess.run(command, capture_output=True, check=False).returncode
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@contextlib.contextmanager
def world(rng: random.Random, database: str) -> Iterator[World]:
    """A service that runs, with everything around it."""
    told: list[World] = []
    peers = LoopbackPeers(answer=lambda taken: told[0].answer(taken))
    tap = Tap(peers.relay)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-chaos-")))
        cluster = Cluster() if database == "postgresql" else None
        disk = stack.enter_context(small_disk(folder / "state"))
        options: dict[str, Any] = {"database": {"url": cluster.fresh()}} if cluster else {}
        smtp = {"listen": [f"smtp://127.0.0.1:{free_port()}"], "min_free": "4MB", "max_size": "2MB"}
        daemon = Running(
            folder, peers, smtp=smtp, relay={"port": tap.port, "timeout": "10s"}, replies=ledger.MANY, verify=RECHECKS, **options
        )  # fmt: skip
        told.append(World(daemon, peers, tap, cluster, rng, disk))
        try:
            yield told[0]
        finally:
            told[0].stop.set()
            if daemon.process is not None and daemon.process.poll() is None:
                os.kill(daemon.pid, signal.SIGCONT)
                daemon.stop()
            tap.close()
            peers.close()
            if cluster:
                cluster.close()


def story(minutes: float, seed: int, database: str = "postgresql") -> dict[str, Any]:
    """The findings of so many minutes."""
    rng, made = random.Random(seed), Counter[str]()
    with world(rng, database) as here:
        port = here.daemon.smtp_port
        senders = [threading.Thread(target=here.sender, args=(port,), daemon=True) for _ in range(SENDERS)]
        for thread in senders:
            thread.start()
        ends = time.monotonic() + minutes * 60
        while time.monotonic() < ends:
            here.pause(*PAUSE_S)
            fault = rng.choice(faults(here))
            fault(here)
            made[fault.__name__] += 1
        here.stop.set()
        for thread in senders:
            thread.join(60)
        findings = _ended(here)
    return {"seed": seed, "database": database, "faults": dict(made)} | findings


def _ended(here: World) -> dict[str, Any]:
    """All is well again: what waits for its next try goes at once, as a person on call would do it."""
    until(lambda: here.daemon.metrics().get("gateway_relay_up") == 1.0, 120, "the relay to be tried again")
    here.daemon.command("outbox", "retry", "--all")
    here.daemon.settled(300)
    findings = ledger.found(here.ledger, here.daemon, here.peers.taken)
    findings["problems"] = here.daemon.rows("status")[0]["problems"]
    findings["tracebacks"] = [line for line in here.daemon.other if "Traceback" in line]
    findings["exit"] = here.daemon.stop()
    return findings
