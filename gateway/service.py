"""From settings to the objects that work: used by the daemon, ``explain``, ``demo`` and the commands alike."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

from gateway.config import ConfigError, Problem, Settings
from gateway.configured import directory_of as directory
from gateway.configured import directory_source
from gateway.database.store import Store
from gateway.ingest.client import accepts
from gateway.ingest.connection import Policy
from gateway.ingest.settings import tls_context
from gateway.judge import Surroundings
from gateway.mail import guard, keyed
from gateway.mail.address import with_a_label
from gateway.replies.render import Promise, Sender, Templates
from gateway.replies.send import Relay
from gateway.replies.sign import KeyFault, SigningKey, load_key
from gateway.settings import read_text, secret
from gateway.tickets import blocks
from gateway.tickets.outgoing import NEVER, Office, Restored
from gateway.tickets.rules import Rules
from gateway.verify.addressees import Ours
from gateway.verify.authenticate import Checks
from gateway.verify.directory import Directory
from gateway.verify.dns import DnsResolver, Resolver

__all__ = ["directory", "directory_source"]


def hostname(settings: Settings) -> str:
    """The name we greet with: configured, else the machine's full name."""
    return settings.gateway.hostname or socket.getfqdn()


def rules(settings: Settings, templates: Templates) -> Rules:
    """The settings that policy needs; a language counts when its templates are there."""
    own = {address.lower() for address in (settings.gateway.address, *settings.recipients)}
    own |= {f"{address.partition('@')[0]}@{settings.gateway.replies_at.lower()}" for address in own}  # of tokens
    own |= {f"bounces@{settings.gateway.replies_at.lower()}"}
    there = set(templates.languages())
    return Rules(
        replies=settings.replies,
        clock=settings.clock,
        languages=tuple(language for language in settings.gateway.languages if language in there),
        own_addresses=frozenset(own),
    )


def message_ids(key: bytes, domain: str) -> Callable[[], str]:
    """Makes Message-IDs that only we can make."""
    return lambda: guard.own_message_id(key, f"{secrets.token_hex(12)}.reply", domain)


def office(settings: Settings, templates: Templates, store: Store) -> Office:
    """Who we are, for the rows."""
    keys, key_id = store.keys, store.key_id
    return Office(
        rules=rules(settings, templates),
        address=settings.gateway.address,
        domain=settings.gateway.replies_at,
        keys=keys,
        key_id=key_id,
        new_message_id=message_ids(keys[key_id], settings.gateway.replies_at),
        staff=settings.staff,
        rechecks=settings.verify.rechecks,
        restored=Restored(*store.restored) if store.restored else NEVER,
        may_answer=tuple(map(with_a_label, settings.staff.may_answer)),
        timezone=settings.gateway.timezone,
    )


def signing_keys(settings: Settings, path: str = "config.toml") -> tuple[SigningKey, ...]:
    """The keys of ``[[dkim]]``.

    Raises:
        ConfigError: one cannot be used.
    """
    ours = settings.gateway.address.rpartition("@")[2]
    keys, problems = [], []
    for index, one in enumerate(settings.dkim):
        try:
            keys.append(load_key(one.domain or ours, one.selector, one.key_file))
        except (KeyFault, OSError) as error:
            problems.append(Problem(path, f"dkim.{index}.key_file", str(error)))
    if problems:
        raise ConfigError(problems)
    return tuple(keys)


def sender(settings: Settings, key: bytes, path: str = "config.toml") -> Sender:
    """Who replies come from. ConfigError when a signing key cannot be used."""
    return Sender(
        gateway=settings.gateway,
        envelope=settings.replies.envelope,
        secret=key,
        signing=signing_keys(settings, path),
        promise=Promise(
            _minutes(settings.clock.target), _minutes(settings.clock.limit), _minutes(settings.clock.client_area_reply)
        ),
        hours={str(department): hours for department, hours in settings.staff.hours.items()},
    )


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))


def topics_text(settings: Settings, path: str = "config.toml") -> str:
    """The admin's own topics files as one text; empty where those of the package serve.

    A folder holds files that stand in for those of the same name (``de.toml``, ``grammar.toml``); a single file stands
    in for all.

    Raises:
        ConfigError: it cannot be used.
    """
    if settings.extract.topics is None:
        return ""
    from gateway.read.topics import stems, topics  # they take a while to load, and few have topics of their own

    try:
        text = topics_of_path(settings.extract.topics)
        stems.table(text)
        topics.weights_of(text)
    except (ValueError, OSError) as error:
        raise ConfigError([Problem(path, "extract.topics", f"{settings.extract.topics}: {error}")]) from error
    return text


def topics_of_path(path: Path) -> str:
    """The topics files of a folder, or a single one, as one text.

    Raises:
        OSError, UnicodeDecodeError: one of them cannot be read.
        TopicsError: the folder has none.
    """
    if not path.is_dir():
        return read_text(path)
    from gateway.read.topics import lexicon

    own = {file.name: read_text(file) for file in sorted((*path.glob("*.toml"), *path.glob("learned.tsv")))}
    if not own:
        raise lexicon.TopicsError("no topics file (en.toml, grammar.toml ...) is in this folder")
    return lexicon.joined(own)


def surroundings(
    settings: Settings, whose: Office, accounts: Directory, resolver: Resolver | None = None, path: str = "config.toml"
) -> Surroundings:
    """What the pipeline sees of the configuration.

    Raises:
        ConfigError: the topics file cannot be used.
    """
    resolver = resolver or DnsResolver(settings.dns.nameservers, settings.dns.timeout)
    return Surroundings(
        checks=Checks(
            resolver,
            settings.dns.timeout,
            settings.smtp.evaluate_private,
            frozenset(domain.lower() for domain in settings.verify.arc_sealers),
            _ours(settings),
            keyed.digest(whose.keys[whose.key_id], "addresses tried for SPF"),
        ),
        directory=accounts,
        office=whose,
        verify=settings.verify,
        blocked=blocked(settings, path),
        networks=tuple(ip_network(network, strict=False) for network in settings.extract.networks),
        topics=topics_text(settings, path),
        staff_relays=tuple(ip_network(network, strict=False) for network in settings.staff.relays),
        authserv_ids=_authserv_ids(settings),
    )


def blocked(settings: Settings, path: str = "config.toml") -> frozenset[str]:
    """The addresses and domains of ``[block]``, as they are compared.

    Raises:
        ConfigError: one of them is neither, and would block nobody.
    """
    wanted = [(f"block.{key}.{index}", one) for key in ("addresses", "domains")
              for index, one in enumerate(getattr(settings.block, key))]  # fmt: skip
    wrong = [Problem(path, key, f"{one[:100]!r} is neither an address nor a domain") for key, one in wanted
             if not blocks.entries([one])]  # fmt: skip
    if wrong:
        raise ConfigError(wrong)
    return blocks.entries(one for _, one in wanted)


def _ours(settings: Settings) -> Ours:
    """What To and Cc must name for a mail to be the desk's: its own addresses, or that of a mailbox that is read."""
    own = {with_a_label(address.lower()) for address in (settings.gateway.address, *settings.smtp.recipients)}
    mailboxes = {with_a_label(one.username.lower()) for one in settings.imap if "@" in one.username}
    company = frozenset(address.rpartition("@")[2] for address in own)
    replies = settings.gateway.replies_at.lower()
    return Ours(frozenset(own | mailboxes | {f"bounces@{replies}"}), frozenset({replies} - company - {""}), company)


def _authserv_ids(settings: Settings) -> dict[str, str]:
    found = {"relay": settings.smtp.authserv_id} if settings.smtp.authserv_id else {}
    for account in settings.imap:
        if account.authserv_id:
            found |= {f"{kind}:{account.name}": account.authserv_id for kind in ("imap", "import", "junk")}
    return found | {f"maildir:{one.name}": one.authserv_id for one in settings.maildir if one.authserv_id}


def relay(settings: Settings) -> Relay:
    """The relay of the configuration. OSError when its password cannot be read."""
    chosen = settings.relay
    password = secret(chosen.password_file, "relay-password") if chosen.username else None
    return Relay(chosen, password, hostname(settings))


def policy(settings: Settings, smtputf8: Callable[[], bool]) -> Policy:
    """What the listeners need to know. OSError or ssl.SSLError when the certificate cannot be used."""
    smtp, domain = settings.smtp, settings.gateway.replies_at
    return Policy(
        hostname=hostname(settings),
        smtp=smtp,
        trusted=tuple(ip_network(network, strict=False) for network in smtp.trusted_relays),
        accepts_recipient=accepts(
            settings.recipients, domain, lambda address: guard.is_bounce_address(address, domain)
        ),
        smtputf8=smtputf8,
        tls=tls_context(smtp),
    )


@dataclass(frozen=True)
class Desk:
    """Everything that a reload replaces at once."""

    settings: Settings
    templates: Templates
    office: Office
    sender: Sender
    around: Surroundings
    relay: Relay
    policy: Policy


def build(
    settings: Settings, store: Store, accounts: Directory, resolver: Resolver | None = None,
    templates: Templates | None = None,
) -> Desk:  # fmt: skip
    """The whole desk, with the keys of an open database; raises before anything is replaced when a file cannot be used
    (ConfigError). ``templates``: where they were read a moment ago, or are to be loaded as they are asked for."""
    templates = templates or Templates(settings.replies.templates_dir)
    whose = office(settings, templates, store)
    out = relay(settings)
    out.own = keyed.tag(store.keys[store.key_id], "greeting", 10)
    return Desk(
        settings=settings,
        templates=templates,
        office=whose,
        sender=sender(settings, store.keys[store.key_id]),
        around=surroundings(settings, whose, accounts, resolver),
        relay=out,
        policy=replace(policy(settings, lambda: out.smtputf8), own=out.own),
    )
