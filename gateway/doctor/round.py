"""The doctor's round, from outside in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway import config, service, usage
from gateway.config import ConfigError, Settings
from gateway.database.store import utc_now
from gateway.doctor import domain, home, way, wires
from gateway.doctor.finding import Finding, skipped, wrong
from gateway.verify.dns import DnsResolver


async def findings(path: str, probe_s: float) -> AsyncIterator[Finding]:
    """Every look, as it is made. ``probe_s``: how long the probe mail may take; 0 sends none."""
    try:
        settings = config.load(path)
    except ConfigError as error:
        for problem in error.problems:
            yield wrong("configuration", str(problem), "correct it: gateway check")
        return
    for finding in await asyncio.to_thread(lambda: list(home.configuration(path, utc_now()))):
        yield finding
    async for finding in _names(settings, path):
        yield finding
    answers = bool(await asyncio.to_thread(usage.ask, settings.gateway.state_dir))
    service_runs = home.process(settings, answers)
    yield service_runs
    async for finding in wires.listeners(settings):
        yield finding
    yield await wires.relay(settings)
    async for finding in wires.mailboxes(settings):
        yield finding
    for finding in await asyncio.to_thread(lambda: list(home.database(settings))):
        yield finding
    yield home.disk(settings)
    yield home.clock()
    yield await asyncio.to_thread(home.accounts, settings, utc_now())
    yield await _probe(settings, probe_s, service_runs)


async def _names(settings: Settings, path: str) -> AsyncIterator[Finding]:
    try:
        keys = service.signing_keys(settings, path)
    except ConfigError:  # said by the configuration's own line
        keys = ()
    resolver = DnsResolver(settings.dns.nameservers, settings.dns.timeout)
    domains = (settings.gateway.address.rpartition("@")[2], settings.gateway.replies_at)
    async for finding in domain.looked(domains, service.hostname(settings), keys, resolver):
        yield finding


async def _probe(settings: Settings, seconds: float, running: Finding) -> Finding:
    if not seconds:
        return skipped("probe", "not asked for")
    if running.state == "wrong":
        return skipped("probe", "nobody would take it in: the service does not run")
    return await way.probed(settings, seconds)
