"""``gateway users``: who may use the console."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Json, safe, show_table

app = typer.Typer(no_args_is_help=True, help="Users of the console: add, list, disable, reset.")


@app.command("add")
def users_add(name: str, role: Annotated[str, typer.Option(help="agent, lead, admin or auditor.")] = "agent") -> None:
    """Add a user and print a one-time link, by which password and second factor are set."""
    from gateway.database import users
    from gateway.database.store import utc_now
    from gateway.tickets import audit

    with context.store(write=True) as (settings, store):
        now = utc_now()
        token = store.write_now(lambda connection: users.add(connection, name, role, now))
        act = audit.Act("user add", "user", name, {"role": role})
        store.write_now(lambda connection: audit.write(connection, act, context.person(), now))
    _show_link(settings.http.url or f"http://{settings.http.listen}", token)


def _show_link(root: str, token: str) -> None:
    print(f"{root}/welcome/{token}")
    print("The link works once, for 48 hours. It is not shown again.")


@app.command("list")
def users_list(as_json: Json = False) -> None:
    """List the users of the console with their roles."""
    from gateway.database import users

    with context.store() as (_, store):
        rows = store.read_now(users.listed)
    show_table(rows, ("name", "role", "state", "created_at", "seen_at"), as_json)


@app.command("disable")
def users_disable(name: str) -> None:
    """Disable a user: logged out at once, and no more logins."""
    from gateway.database import users
    from gateway.database.store import utc_now
    from gateway.tickets import audit

    with context.store(write=True) as (_, store):
        store.write_now(lambda connection: users.disable(connection, name))
        act = audit.Act("user disable", "user", name)
        store.write_now(lambda connection: audit.write(connection, act, context.person(), utc_now()))
    print(f"{safe(name)} is disabled")


@app.command("reset")
def users_reset(name: str) -> None:
    """Forget a user's password, second factor and sessions, and print a new one-time link."""
    from gateway.database import users
    from gateway.database.store import utc_now
    from gateway.tickets import audit

    with context.store(write=True) as (settings, store):
        now = utc_now()
        token = store.write_now(lambda connection: users.reset(connection, name, now))
        act = audit.Act("user reset", "user", name)
        store.write_now(lambda connection: audit.write(connection, act, context.person(), now))
    _show_link(settings.http.url or f"http://{settings.http.listen}", token)
