"""What ten open browsers cost the mail: CPU and time of the same mails without and with them. ``python -m bench.console_beside``."""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

from gateway import demo
from tests.peers.console_world import World
from tests.peers.harness import LoopbackPeers

MAILS, BROWSERS, ROUNDS = 150, 10, 3


class Browser(threading.Thread):
    """Listens for what is new and fetches the queue each time, as the page does."""

    def __init__(self, url: str, cookies: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._client = httpx.Client(base_url=url, cookies=cookies, timeout=60)
        self.fetched, self.over = 0, False

    def run(self) -> None:
        try:
            with self._client.stream("GET", "/events") as stream:
                for line in stream.iter_lines():
                    if self.over:
                        return
                    if line.startswith("event: change"):
                        self._client.get("/queue/rows").raise_for_status()
                        self.fetched += 1
        except httpx.HTTPError:
            return


def _sent(world: World) -> tuple[float, float]:
    """(CPU milliseconds, milliseconds) of a mail."""
    cpu, began = world.daemon.cpu(), time.monotonic()
    for number in range(MAILS):
        sample = demo.SAMPLES[number % 3]
        world.sample(sample.author, sample.subject, sample.text)
    world.daemon.settled()
    return (world.daemon.cpu() - cpu) / MAILS * 1000, (time.monotonic() - began) / MAILS * 1000


def main() -> int:
    """Prints both, in turns."""
    peers = LoopbackPeers()
    with tempfile.TemporaryDirectory() as name:
        world = World(Path(name), peers)
        olena = world.person("olena", "agent")
        _sent(world)
        ratios: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            alone = _sent(world)
            print("no browser     {:6.1f} ms CPU {:6.1f} ms a mail".format(*alone))
            browsers = [Browser(world.url, dict(olena.client.cookies)) for _ in range(BROWSERS)]
            for browser in browsers:
                browser.start()
            beside = _sent(world)
            ratios.append((beside[0] / alone[0], beside[1] / alone[1]))
            print("ten browsers   {:6.1f} ms CPU {:6.1f} ms a mail".format(*beside), end="")
            print(f", the queue fetched {sum(browser.fetched for browser in browsers)} times")
            for browser in browsers:
                browser.over = True
            world.sample("Carla <carla@curious.example>", "bye", "That was all, thank you.\n", signed=False)
            for browser in browsers:
                browser.join(10)
        cpu, time_ = (statistics.median(of) for of in zip(*ratios, strict=True))
        print(f"with ten browsers a mail takes {cpu:.2f} times the CPU, {time_:.2f} times the time")
        world.close()
    peers.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
