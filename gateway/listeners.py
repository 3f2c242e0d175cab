"""The sockets of the service: those that systemd hands over, and those that the configuration names."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from gateway import config, http, log, systemd
from gateway.config import Settings
from gateway.ingest.connection import Ingest
from gateway.ingest.smtp import MailSession
from gateway.starting import StartError

BACKLOG = 512
Factory = Callable[[], MailSession]


class Listeners:
    """Opens and closes them; ``addresses`` is where they listen."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._servers: list[asyncio.Server] = []
        self._http: http.Listener | None = None
        self.addresses: list[str] = []

    # -- mail

    async def mail(self, ingest: Ingest) -> None:
        """The SMTP and LMTP listeners.

        Raises:
            StartError: one cannot be opened, or the relay is one of them.
        """
        handed, loop = systemd.sockets(), asyncio.get_running_loop()
        self._compare(handed)
        for scheme in ("smtp", "lmtp"):
            factory = lambda lmtp=scheme == "lmtp": MailSession(ingest, lmtp, loop)  # noqa: E731
            for given in handed.get(scheme, ()):
                await self._adopt(scheme, given, factory)
            if not handed.get(scheme):
                for where in self._wanted(scheme):
                    await self._bind(scheme, where, factory)

    def _wanted(self, scheme: str) -> list[str]:
        return [url.partition("://")[2] for url in self._settings.smtp.listen if url.startswith(scheme + "://")]

    def _compare(self, handed: Mapping[str, list[socket.socket]]) -> None:
        """systemd's sockets replace the configured listeners of their kind: says so where they differ, and refuses a
        relay that is one of them."""
        relay = self._settings.relay
        for scheme, given in handed.items():
            names = [_socket_name(one) for one in given]
            for name in names:
                if config.is_own_listener(relay.host, relay.port, name):
                    raise StartError(
                        f"the relay {relay.host}:{relay.port} is our own socket {name} (gateway.socket): replies would "
                        "come back; "
                        "let the relay listen elsewhere, or disable gateway.socket"
                    )
            left_out = sorted(set(self._wanted(scheme)) - set(names))
            if left_out:
                log.listener_ignored(scheme, left_out, names)

    async def _adopt(self, scheme: str, given: socket.socket, factory: Factory) -> None:
        loop = asyncio.get_running_loop()
        if given.family == socket.AF_UNIX:
            server = await loop.create_unix_server(factory, sock=given, backlog=BACKLOG)
        else:
            server = await loop.create_server(factory, sock=given, backlog=BACKLOG)
        self._servers.append(server)
        self.addresses.append(f"{scheme}://(systemd)")

    async def _bind(self, scheme: str, where: str, factory: Factory) -> None:
        loop = asyncio.get_running_loop()
        if where.startswith("/"):
            await self._bind_path(scheme, Path(where), factory)
            return
        host, _, port = where.rpartition(":")
        opening = loop.create_server(factory, host.strip("[]"), int(port), backlog=BACKLOG)
        self._opened(f"{scheme}://{host}", await _guarded(opening, where))

    async def _bind_path(self, scheme: str, path: Path, factory: Factory) -> None:
        with contextlib.suppress(OSError):
            if path.is_socket():
                path.unlink()
        opening = asyncio.get_running_loop().create_unix_server(factory, str(path), backlog=BACKLOG)
        self._servers.append(await _guarded(opening, str(path)))
        path.chmod(0o660)
        self.addresses.append(f"{scheme}://{path}")

    def _opened(self, url: str, server: asyncio.Server) -> None:
        self._servers.append(server)
        self.addresses.append(f"{url}:{server.sockets[0].getsockname()[1]}")

    # -- HTTP

    async def pages(self, app: http.Asgi) -> None:
        """The ``[http]`` listener, where one is configured.

        Raises:
            StartError: it cannot be opened.
        """
        where = self._settings.http.listen
        if not where:
            return
        self._http = http.Listener(app)
        host, _, port = where.rpartition(":")
        server = await _guarded(asyncio.start_server(self._http, host.strip("[]"), int(port)), where)
        self._opened(f"http://{host}", server)

    def also(self, servers: list[asyncio.Server]) -> None:
        """Servers that others opened end with these."""
        self._servers += servers

    # -- the end

    def close(self) -> None:
        """Nothing new is taken; open pages end, sessions of mail go on."""
        for server in self._servers:
            server.close()
        if self._http is not None:
            self._http.close()

    def remove(self) -> None:
        """Removes what ``mail`` left in the file system."""
        for path in self._wanted("lmtp"):
            if path.startswith("/") and f"lmtp://{path}" in self.addresses:
                Path(path).unlink(missing_ok=True)


def _socket_name(one: socket.socket) -> str:
    name = one.getsockname()
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if ":" in str(name[0]) else f"{name[0]}:{name[1]}"
    return str(name)


async def _guarded(opening: Coroutine[Any, Any, asyncio.Server], where: str) -> asyncio.Server:
    try:
        return await opening
    except OSError as error:
        hint = "; ports below 1024 come from gateway.socket" if error.errno in (errno.EACCES, errno.EPERM) else ""
        raise StartError(f"cannot listen on {where}: {error.strerror or error}{hint}") from error
