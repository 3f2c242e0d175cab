"""What ``gateway status`` shows: the service's own list of checks where it answers; else what can be seen without
it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway import usage
from gateway.checks import machine
from gateway.tickets.health import Check, complete, from_json, merged, stored

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.config import ConfigError, Settings
    from gateway.model import JsonObject


def service(settings: Settings) -> tuple[JsonObject, Check]:
    """(what the service answers, empty when it does not; whether it runs)."""
    told = usage.ask(settings.gateway.state_dir)
    try:
        found = machine.process(settings.gateway.state_dir)
    except OSError as error:
        who = "run this as root or as the user of the service"
        return told, Check("service", f"{error.filename} cannot be read: {error.strerror}", None, who)
    return told, machine.runs(found, "checks" in told, settings.gateway.state_dir)


def everything(settings: Settings, fault: ConfigError | None) -> tuple[list[Check], JsonObject]:
    """(every check, the object of ``status --json``). A database that cannot be read is a problem like any other, and
    so is a configuration (``fault``): then only the service is asked."""
    from gateway.database.store import utc_now
    from gateway.tickets import views

    now = utc_now()
    told, live = service(settings)
    checks = [live, *(from_json(one) for one in told.get("checks", ()))]
    if not any(check.name == "reload" for check in checks) and fault is not None:
        do = "gateway check names every fault"
        checks.append(Check("reload", f"the configuration cannot be used: {fault.problems[0]}", None, do))
    found: JsonObject = {}
    if fault is None:
        found, more = _looked(settings, "checks" in told, now)
        checks = merged(checks, more)
    checks = complete(checks)
    found["problems"] = [check.line for check in checks if check.problem]
    return checks, views.with_usage(found, told)


def _looked(settings: Settings, service_told: bool, now: datetime) -> tuple[JsonObject, list[Check]]:
    """What is seen without the service; its own checks are not made again."""
    from gateway.database.store import StoreError
    from gateway.tickets import views

    age, directory = _directory(settings, now)
    checks = [] if service_told else [directory, *_without_service(settings, now)]
    try:
        with _store(settings) as opened:
            found = opened.read_now(lambda connection: views.status(connection, now, age, True))
            return found, checks if service_told else [*checks, *opened.read_now(lambda c: stored(c, now))]
    except StoreError as error:
        return {}, [*checks, Check("database", str(error), None, "gateway doctor", blocks=True)]


def _store(settings: Settings) -> Any:
    from contextlib import closing

    from gateway.cli import context

    return closing(context.opened(settings))


def _directory(settings: Settings, now: datetime) -> tuple[float | None, Check]:
    if not settings.directory.configured:
        return None, Check("directory")
    from gateway.configured import directory_of

    directory = directory_of(settings)
    do = "gateway accounts sync says why"
    problem = "" if directory.usable(now) else "the account directory cannot be read or is too old"
    return directory.age(now), Check("directory", problem, directory.checked_at, do, blocks=True)


def _without_service(settings: Settings, now: datetime) -> list[Check]:
    return [
        machine.disk(settings.gateway.state_dir, settings.smtp.min_free),
        machine.certificate(settings.smtp.tls_cert, now),
    ]
