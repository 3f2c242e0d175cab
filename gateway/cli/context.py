"""What every command needs: the configuration it was given, the database, the desk it acts for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.database.store import Store
    from gateway.model import Person
    from gateway.tickets.outgoing import Office

_given = "/etc/gateway/config.toml"


def use(path: str) -> None:
    """From now on the commands of this process work with the configuration file ``path``."""
    global _given
    _given = path


def path() -> str:
    """The configuration file that was given."""
    return _given


def settings() -> Settings:
    """The configuration, read anew. Raises ``ConfigError`` with every problem in it."""
    from gateway import config

    return config.load(_given)


@contextmanager
def store(write: bool = False) -> Iterator[tuple[Settings, Store]]:
    """The settings and the open database; ``write`` opens the writer too. Raises ``StoreError``; never migrates."""
    from gateway.database.store import Store, StoreError, utc_now

    found = settings()
    opened = Store(found.database_url)
    if opened.path is not None and not opened.path.exists():
        raise StoreError(f"there is no database at {opened.path}; start the service once")
    try:
        if write:
            opened.open(utc_now(), migrate=False)
        else:
            opened.load_keys()
        yield found, opened
    finally:
        opened.close()


def office(found: Settings, opened: Store) -> Office:
    """What replies are written with: names, keys and clocks of this configuration."""
    from gateway import service
    from gateway.replies.render import Templates

    return service.office(found, Templates(found.replies.templates_dir), opened.keys, opened.key_id)


def person() -> Person:
    """The person at this shell: who can read the database may do everything."""
    from gateway.model import Person, Role

    return Person(who(), Role.ADMIN)


def who() -> str:
    """The name of the person at this shell, for the ticket's history."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "staff"
