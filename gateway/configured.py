"""The account directory of the configuration."""

from __future__ import annotations

from gateway.config import Settings
from gateway.mail.address import one_spelling
from gateway.verify.directory import AddressRules, Directory
from gateway.verify.directory_sources import COLUMNS, CsvFolder, Source, SqlQueries


def directory_of(settings: Settings) -> Directory:
    """The account directory of the configuration."""
    chosen = settings.directory
    source, rules = directory_source(settings), address_rules(settings)
    return Directory(settings.gateway.state_dir, source, chosen.max_shrink, chosen.max_age, rules)


def address_rules(settings: Settings) -> AddressRules:
    """Which addresses of the directory are the same mailbox, and which are ours."""
    chosen = settings.directory
    ours = {one_spelling(address) for address in (settings.gateway.address, *settings.recipients)}
    replies = one_spelling(settings.gateway.replies_at)
    ours |= {f"{address.rpartition('@')[0]}@{replies}" for address in ours} | {f"bounces@{replies}"}
    ignored = frozenset(domain.lower() for domain in chosen.ignore_dots)
    return AddressRules(chosen.ignore_plus_tags, ignored, frozenset(ours))


def directory_source(settings: Settings) -> Source | None:
    """Where the accounts come from; ``None`` where nothing is configured."""
    chosen = settings.directory
    if chosen.source == "sql" and chosen.url_file is not None:
        queries = {table: str(getattr(chosen, f"{table}_query")) for table in COLUMNS}
        return SqlQueries(chosen.url_file, queries, chosen.refresh)
    return CsvFolder(chosen.path) if chosen.path is not None else None
