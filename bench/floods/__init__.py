"""The floods of ``bench.attack``: each module here adds some with ``@flood``, and the frame finds them by itself.

A flood is a coroutine ``(target, counts)`` that attacks until it is cancelled, in a process of its own, and counts what it
did and heard. What the service needs beside (a certificate, names that do not answer) goes with the decorator.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Target:
    """What a flood may know of the service. ``seconds``: how long it lasts."""

    port: int
    lmtp: str
    seconds: float


Attack = Callable[[Target, "Counter[str]"], Awaitable[None]]


@dataclass(frozen=True)
class Flood:
    """``sections``: configuration by section, for a folder; ``zone``: names added to the nameserver's zone."""

    name: str
    what: str
    attack: Attack
    sections: Callable[[Path], Mapping[str, dict[str, Any]]]
    zone: Mapping[str, Any] = field(default_factory=dict)


FLOODS: dict[str, Flood] = {}


def flood(
    name: str, what: str, *, sections: Callable[[Path], Mapping[str, dict[str, Any]]] = lambda folder: {},
    zone: Mapping[str, Any] | None = None,
) -> Callable[[Attack], Attack]:  # fmt: skip
    """Registers a flood under its name; ``what`` stands in the table."""

    def registered(attack: Attack) -> Attack:
        FLOODS[name] = Flood(name, what, attack, sections, zone or {})
        return attack

    return registered


def load() -> dict[str, Flood]:
    """Every flood of every module of this package, by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return FLOODS


async def forever(count: int, one: Callable[[int], Awaitable[None]], pause: float = 0.0) -> None:
    """Runs ``one`` with 0 to ``count - 1`` at the same time, each again and again whatever becomes of it."""

    async def again(number: int) -> None:
        while True:
            with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await one(number)
            await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(again(number))
