"""Alembic, only loaded when a migration is pending."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

LOCK = 0x6D61696C  # "mail"


def upgrade(engine: Engine, folder: Path, revision: str = "head") -> None:
    """Brings the schema to this release's head (or a revision), in one transaction; on PostgreSQL under an advisory
    lock."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
