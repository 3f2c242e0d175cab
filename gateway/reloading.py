"""What serves now, and a reload: everything new is made and looked at first, then it replaces the old in one step."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from gateway import config, log, metrics, service, systemd
from gateway.checks.standing import Reload, Standing
from gateway.config import ConfigError, Problem, Settings
from gateway.database import outbox
from gateway.database.store import Store, Unavailable
from gateway.service import Desk
from gateway.verify.directory import WITHOUT, Directory, DirectoryError
from gateway.verify.dns import Resolver

DO = "gateway check names every fault; correct it, then gateway reload"
#: what a running process cannot change
FIXED = ("gateway.state_dir", "database_url", "smtp.listen", "http.listen", "node.name", "node.roles")


@dataclass
class Reloading:
    """``desk`` is what serves. ``swapped``: in the same step, for whoever keeps something of the old one; ``applied``:
    what takes its time afterwards."""

    path: str
    store: Store
    clock: Callable[[], datetime]
    standing: Standing
    desk: Desk
    swapped: Callable[[Desk], None]
    applied: Callable[[Desk], Awaitable[None]]
    resolver: Resolver | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)  #: somebody wants a reload

    async def run(self, stop: asyncio.Event) -> None:
        """Reloads whenever it is asked, until ``stop``."""
        while not stop.is_set():
            waits = [asyncio.create_task(self.asked.wait()), asyncio.create_task(stop.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if self.asked.is_set() and not stop.is_set():
                self.asked.clear()
                systemd.notify(systemd.reloading())
                await self._reload()
                systemd.notify("READY=1")

    async def _reload(self) -> None:
        try:
            fresh = await self._fresh()
        except Exception as error:  # nothing that an admin writes ends the service
            self._refused(error)
            return
        changed = tuple(config.differences(self.desk.settings, fresh.settings))
        old, self.desk = self.desk, fresh
        fresh.office.board.goes_on(old.office.board)
        self.swapped(fresh)
        await old.relay.close()
        if old.settings.relay != fresh.settings.relay:  # what the last one said of a reply is not what this one says
            with contextlib.suppress(Unavailable):
                await self.store.write(partial(outbox.hasten, now=self.clock()))
        await self.applied(fresh)
        metrics.RELOADS.labels("done").inc()
        self.standing.clear("reload")
        self.standing.reload = Reload(self._number() + 1, self.clock(), changed)
        log.reloaded(changed)

    async def _fresh(self) -> Desk:
        """All of it, known to be good.

        Raises:
            ConfigError, DirectoryError, OSError: something of it is not.
        """
        settings = await asyncio.to_thread(fresh_settings, self.path, self.desk.settings)
        accounts = self._accounts(settings)
        desk = await asyncio.to_thread(service.build, settings, self.store, accounts, self.resolver)
        problems = await asyncio.to_thread(desk.templates.problems, desk.sender)
        if problems:
            raise ConfigError(problems)
        if accounts.changed():  # last: nothing is swapped in before everything else is known to be good
            loaded(self.standing, await asyncio.to_thread(accounts.reload, self.clock()))
        return desk

    def _accounts(self, settings: Settings) -> Directory:
        other = settings.directory != self.desk.settings.directory
        return service.directory(settings) if other else self.desk.around.directory

    def _number(self) -> int:
        return self.standing.reload.number if self.standing.reload else 0

    def _refused(self, error: Exception) -> None:
        known = isinstance(error, ConfigError | DirectoryError | OSError)
        said = str(error) if known else f"{type(error).__name__}: {error}"
        metrics.RELOADS.labels("refused").inc()
        log.reload_refused(said.replace("\n", "; "))
        self.standing.reload = Reload(self._number() + 1, self.clock(), problems=tuple(said.split("\n")))
        self.standing.note("reload", f"a reload was refused, the old settings serve: {said.replace(chr(10), '; ')}", DO)


def fresh_settings(path: str, old: Settings) -> Settings:
    """The configuration as it is in its file.

    Raises:
        ConfigError: it cannot be used, or changes what needs a restart.
    """
    fresh = config.load(path)
    problems = [
        Problem(path, _named(key), "a change here needs a restart") for key in FIXED if _of(old, key) != _of(fresh, key)
    ]
    problems += config.file_problems(fresh, path)
    if problems:
        raise ConfigError(problems)
    return fresh


def _named(key: str) -> str:
    return "database.url" if key == "database_url" else key


def _of(settings: Settings, key: str) -> object:
    found: object = settings
    for part in key.split("."):
        found = getattr(found, part)
    return found


def loaded(standing: Standing, counts: dict[str, int]) -> None:
    """The account directory was read; empty ``counts``: none is configured."""
    if counts:
        standing.clear("directory")
        log.directory(counts["accounts"], counts["addresses"], counts["orders"], counts[WITHOUT])


def refused(standing: Standing, error: Exception) -> None:
    """The account directory was not read."""
    log.directory_refused(str(error))
    do = "gateway check names every fault; it is read again when it changes"
    standing.note("directory", f"the directory was refused, the last good set serves: {error}", do)
