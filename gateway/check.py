"""``gateway check``: every fault that can be seen in files, and every doubt about a configuration that is valid.

A problem stops the service from starting, or a reload from taking effect; a warning does neither, and says what to do.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificate

from gateway import config, service
from gateway.config import ConfigError, Problem, Settings
from gateway.configured import address_rules, directory_of
from gateway.database import nodes
from gateway.mail.address import PROVIDERS
from gateway.replies.render import Templates
from gateway.tickets import blocks
from gateway.verify.directory import DIRECTORY, WITHOUT, Directory, DirectoryError, build
from gateway.verify.directory_rows import language_of
from gateway.verify.directory_sources import Source
from gateway.verify.lookup import customers_of

SERVICE_USER = "gateway"
WIDE_PREFIX = {4: 8, 6: 16}  #: a trusted network wider than this is worth a question
EXPIRES_SOON_DAYS = 14


@dataclass
class Findings:
    """What a check found: ``problems`` (exit 2) and ``warnings`` (exit 0)."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def everything(path: str, now: datetime, user: str | None = None) -> Findings:
    """Looks at the configuration, the files it names, templates, topics and the directory.

    ``user``: whose rights the service will have; by default ``gateway`` when root asks and there is such a user.
    """
    found = Findings()
    try:
        settings = config.load(path)
    except ConfigError as error:
        found.problems = error.problems
        return found
    found.problems = config.file_problems(settings, path)
    _desk(settings, path, found.problems)
    _directory(settings, path, now, found)
    found.warnings += _doubts(settings, path)
    found.warnings += _certificate(settings, path, now)
    found.warnings += _unreadable(settings, path, user)
    return found


def _desk(settings: Settings, path: str, problems: list[Problem]) -> None:
    known = {problem.key for problem in problems}
    try:
        service.topics_text(settings, path)
        service.blocked(settings, path)
        who = service.sender(settings, b"check" * 8, path)
        if "replies.templates_dir" not in known:
            problems += Templates(settings.replies.templates_dir).problems(who)
    except ConfigError as error:
        problems += [problem for problem in error.problems if problem.key not in known]


def _directory(settings: Settings, path: str, now: datetime, found: Findings) -> None:
    chosen = settings.directory
    source = service.directory_source(settings)
    if source is None:
        why = "no account directory is configured: every sender is unknown, and nobody is verified"
        found.warnings.append(Problem(path, "directory.path", why))
        return
    if chosen.source == "csv" and chosen.path is not None and not chosen.path.is_dir():
        found.problems.append(Problem(path, "directory.path", f"{chosen.path} is not a folder"))
        return
    if any(problem.key.startswith("directory.") for problem in found.problems):
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            counts = build(source, Path(folder) / DIRECTORY, now, address_rules(settings))
        except DirectoryError as error:
            found.problems += error.problems
        else:
            found.warnings += _languages(source)
            found.warnings += _lost(settings, source, counts)
            with contextlib.closing(Directory(Path(folder), None, 0.0, 0.0, address_rules(settings))) as directory:
                found.warnings += _without_address(source, counts, directory)
                found.warnings += _of_several(source, directory)
                found.warnings += _blocked_customers(settings, path, directory)


def _lost(settings: Settings, source: Source, counts: dict[str, int]) -> Iterator[Problem]:
    """What the set would lose beside the one that is kept: the service refuses it."""
    with contextlib.closing(directory_of(settings)) as kept, contextlib.suppress(DirectoryError):
        for table, what in kept.lost(counts).items():
            yield Problem(source.label(table), "", f"{what}: the set is refused, the last good one serves")


def _of_several(source: Source, directory: Directory) -> Iterator[Problem]:
    """Networks that prove nothing about whose they are."""
    for network, one, other in directory.of_several(5):
        why = f"{network} is of orders of several accounts ({one}, {other}): whoever of them names it owns it"
        yield Problem(source.label("orders"), "", why)


def _without_address(source: Source, counts: dict[str, int], directory: Directory) -> Iterator[Problem]:
    """Accounts whose people are strangers when they write."""
    if without := counts[WITHOUT]:
        accounts, some = f"account{'s' if counts['accounts'] > 1 else ''}", directory.without_address(5)
        named = ", ".join(some) + (", ..." if without > len(some) else "")
        why = f"{without} of {counts['accounts']} {accounts} without any address: nobody there is verified ({named})"
        yield Problem(source.label("addresses"), "", why)


def _blocked_customers(settings: Settings, path: str, directory: Directory) -> Iterator[Problem]:
    """Whose mail would not reach the desk by ``[block]``."""
    for key in ("addresses", "domains"):
        for index, one in enumerate(getattr(settings.block, key)):
            whose = next((customers_of(directory, sender) for sender in blocks.entries([one])), (0, []))
            if whose[0]:
                some = ", ".join(account.account for account in whose[1])
                why = f"{one} keeps the mail of {whose[0]} account{'s' if whose[0] > 1 else ''} from the desk ({some})"
                yield Problem(path, f"block.{key}.{index}", why)


def _languages(source: Source) -> Iterator[Problem]:
    told = 0
    for where, (account, _, language, _) in source.rows("accounts", []):
        if language and not language_of(language) and told < 5:
            told += 1
            why = f"account {account!r}: {language!r} is not a two-letter language code and is ignored"
            yield Problem(source.label("accounts"), where, why)


def _doubts(settings: Settings, path: str) -> Iterator[Problem]:
    for network in settings.smtp.trusted_relays:
        given = ip_network(network, strict=False)
        if given.prefixlen < WIDE_PREFIX[given.version]:
            why = f"{network} trusts {given.num_addresses} addresses to speak for others; name your own relays"
            yield Problem(path, "smtp.trusted_relays", why)
    yield from _roles(settings, path)
    if not settings.staff.technical:
        yield Problem(path, "staff.technical", "nobody is told of new tickets, reminders and overdue answers")
    yield from _told_ourselves(settings, path)
    for who in settings.staff.may_answer:
        if who.startswith("*@") and who[2:] in PROVIDERS:
            why = f"{who} means anybody who has a mailbox there; name the addresses of your own people"
            yield Problem(path, "staff.may_answer", why)
    if settings.staff.may_answer and not settings.replies.plus_address:
        why = "nobody can answer by mail without plus-addresses: turn plus_address on, or leave may_answer empty"
        yield Problem(path, "staff.may_answer", why)
    if (
        "@" in settings.database_url.partition("://")[2]
        and ":" in settings.database_url.partition("://")[2].partition("@")[0]
    ):
        why = "the URL holds a password and this file is easily copied: use url_file, or a peer or certificate login"
        yield Problem(path, "database.url", why)
    if settings.replies.envelope != "verp":
        why = f"with {settings.replies.envelope!r} no bounce can be tied to the reply it is about"
        yield Problem(path, "replies.envelope", why)


def _told_ourselves(settings: Settings, path: str) -> Iterator[Problem]:
    """Staff addresses that are read by the gateway itself, which ignores what it sent."""
    ours = {settings.gateway.address.lower(), *settings.recipients}
    for key in ("technical", "financial", "escalation"):
        for who in getattr(settings.staff, key):
            if who.lower() in ours:
                why = f"{who} is the gateway's own address: what it sends there comes back to it, and nobody reads it"
                yield Problem(path, f"staff.{key}", why)


def _roles(settings: Settings, path: str) -> Iterator[Problem]:
    """Roles that nobody can have, as far as one node's file tells; ``gateway status`` sees the other nodes."""
    has = settings.node.roles
    missing = [role for role in nodes.ROLES if role not in has]
    if missing and settings.database_url.startswith("sqlite"):
        why = f"nobody has {', '.join(missing)}: on SQLite there is this one node; leave roles out, or use PostgreSQL"
        yield Problem(path, "node.roles", why)
    if "http" in has and missing and not settings.http.listen:
        yield Problem(path, "node.roles", "http serves nobody without [http] listen")
    if "ingest" in has and not (settings.smtp.listen or settings.imap or settings.maildir):
        yield Problem(path, "node.roles", "ingest takes nothing without a listener or a mailbox")


def _certificate(settings: Settings, path: str, now: datetime) -> Iterator[Problem]:
    file = settings.smtp.tls_cert
    if file is None:
        return
    try:
        ends = load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return  # ``file_problems`` says what is wrong with it
    left = (ends - now).total_seconds() / 86400
    if left < EXPIRES_SOON_DAYS:
        when = f"expired {-left:.0f} days ago" if left < 0 else f"expires in {left:.0f} days"
        yield Problem(
            path, "smtp.tls_cert", f"the certificate {when} ({file}): renew it, then gateway reload or SIGHUP"
        )


def _unreadable(settings: Settings, path: str, name: str | None) -> Iterator[Problem]:
    """What the service's own user could not read, although root can."""
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(name or SERVICE_USER)
    except KeyError:
        if name:
            yield Problem(path, "", f"there is no user {name!r}")
        return
    groups = {user.pw_gid, *(group.gr_gid for group in grp.getgrall() if user.pw_name in group.gr_mem)}
    for key, file in _named_files(settings, path):
        if file.exists() and (blocked := _blocked_at(file, user.pw_uid, groups)) is not None:
            mode = stat.S_IMODE(blocked.stat().st_mode)
            what = "it" if blocked == file else str(blocked)
            yield Problem(path, key, f"the user {user.pw_name} cannot read {file} ({what} has mode {mode:04o})")


def _named_files(settings: Settings, path: str) -> Iterator[tuple[str, Path]]:
    yield "", Path(path)
    for key, file in (
        ("relay.password_file", settings.relay.password_file), ("relay.ca_file", settings.relay.ca_file),
        ("smtp.tls_cert", settings.smtp.tls_cert), ("smtp.tls_key", settings.smtp.tls_key),
        ("replies.templates_dir", settings.replies.templates_dir), ("extract.topics", settings.extract.topics),
        ("directory.path", settings.directory.path), ("directory.url_file", settings.directory.url_file),
        ("database.url_file", settings.database.url_file),
    ):  # fmt: skip
        if file is not None:
            yield key, file
    for index, account in enumerate(settings.imap):
        if account.password_file is not None:
            yield f"imap.{index}.password_file", account.password_file
    for index, key_of in enumerate(settings.dkim):
        yield f"dkim.{index}.key_file", key_of.key_file


def _blocked_at(file: Path, uid: int, groups: Iterable[int]) -> Path | None:
    """The file or the folder above it that keeps this user out, by mode bits alone."""
    for place in (*reversed(file.absolute().parents), file):
        found = place.stat()
        wanted = stat.S_IXOTH if place != file else stat.S_IROTH
        if found.st_uid == uid:
            wanted <<= 6
        elif found.st_gid in set(groups):
            wanted <<= 3
        if not found.st_mode & wanted:
            return place
    return None
