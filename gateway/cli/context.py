"""What every command needs: the configuration it was given, the database, the desk it acts for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.database.store import Store
    from gateway.model import Person
    from gateway.tickets.outgoing import Acting, Office

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


def settings_of_service() -> Settings:
    """The configuration as far as it says where the service is: what is wrong elsewhere in it must not keep a person
    from asking the service. Where ``state_dir`` cannot be read of it, the default."""
    import tomllib
    from pathlib import Path

    from gateway import config
    from gateway.settings import Gateway

    try:
        return config.load(_given)
    except config.ConfigError:
        with contextlib.suppress(OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, ValueError):
            said = tomllib.loads(Path(_given).read_text(encoding="utf-8")).get("gateway", {}).get("state_dir")
            if isinstance(said, str):
                return config.Settings(gateway=Gateway(state_dir=Path(said)))
        return config.Settings()


def opened(found: Settings) -> Store:
    """The database of these settings, to read. Raises ``StoreError`` when it is not there, or is of another release."""
    from gateway.database.store import Store, StoreError

    store = Store(found.database_url)
    if store.path is not None and not store.path.exists():
        raise StoreError(f"there is no database at {store.path}; start the service once")
    with contextlib.ExitStack() as undo:
        undo.callback(store.close)
        store.load_keys()
        undo.pop_all()
    return store


@contextmanager
def store(write: bool = False) -> Iterator[tuple[Settings, Store]]:
    """The settings and the open database; ``write`` opens the writer too. Raises ``StoreError``; never migrates."""
    from gateway.database.store import utc_now

    found = settings()
    store = opened(found)
    try:
        if write:
            store.open(utc_now(), migrate=False)
        yield found, store
    finally:
        store.close()


def office(found: Settings, opened: Store) -> Office:
    """What replies are written with: names, keys and clocks of this configuration."""
    from gateway import service
    from gateway.replies.render import Templates

    return service.office(found, Templates(found.replies.templates_dir), opened)


def person() -> Person:
    """The person at this shell: who can read the database may do everything."""
    from gateway.model import Person, Role

    return Person(who(), Role.ADMIN)


def acting(found: Settings, opened: Store) -> Acting:
    """The person at this shell, now, as an act on a ticket or a sender wants it."""
    from gateway.database.store import utc_now
    from gateway.tickets.outgoing import Acting

    return Acting(person(), office(found, opened), utc_now())


def who() -> str:
    """The name of the person at this shell, for the ticket's history."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "staff"
