"""A service with its console: a real daemon, users who are enrolled as a person would enrol, and their browsers."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from gateway import demo
from gateway.console import secrets
from gateway.database import users
from gateway.database.store import Store
from tests.peers.harness import LoopbackPeers, Running, until

PASSWORD = "correct horse battery"


class Person:
    """A user with password and authenticator; ``client`` is logged in."""

    def __init__(self, world: World, name: str, role: str) -> None:
        self.world, self.name, self.secret = world, name, ""
        self.client = world.client()
        self.csrf = ""
        token = world.store.write_now(lambda connection: users.add(connection, name, role, datetime.now(UTC)))
        self.enrol(token)

    def enrol(self, token: str) -> None:
        page = self.client.get(f"/welcome/{token}").text
        self.secret = re.search(r'name="secret" value="([A-Z2-7]+)"', page)[1]  # type: ignore[index]
        proof = re.search(r'name="proof" value="([0-9a-f]+)"', page)[1]  # type: ignore[index]
        fields = {"secret": self.secret, "proof": proof, "password": PASSWORD, "again": PASSWORD, "code": self.code(-1)}
        assert self.client.post(f"/welcome/{token}", data=fields).status_code == 303

    def code(self, later: int = 0) -> str:
        """The code of now, or of a step beside it: each counts once."""
        return secrets.code(self.secret, int(time.time()) // secrets.STEP_S + later)

    def log_in(self, code: str | None = None, password: str = PASSWORD) -> httpx.Response:
        fields = {"name": self.name, "password": password, "code": code or self.code()}
        answer = self.client.post("/login", data=fields)
        if answer.status_code == 303:
            found = re.search(r'name="csrf" content="([^"]+)"', self.client.get("/account").text)
            self.csrf = found[1] if found else ""
        return answer

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def post(self, path: str, **fields: Any) -> httpx.Response:
        return self.client.post(path, data={"csrf": self.csrf, **fields})


class World:
    """The daemon, its relay, its database seen from outside."""

    def __init__(self, folder: Path, peers: LoopbackPeers, **sections: Any) -> None:
        self.peers = peers
        self.daemon = Running(folder, peers, **sections)
        self.url = self.daemon.http
        self.store = Store(f"sqlite:///{folder}/state/gateway.db")
        self.store.open(datetime.now(UTC), migrate=False)
        self._number = 0
        self._clients: list[httpx.Client] = []

    def client(self) -> httpx.Client:
        made = httpx.Client(base_url=self.url, headers={"origin": self.url}, timeout=30)
        self._clients.append(made)
        return made

    def sample(self, author: str, subject: str, text: str, signed: bool = True, **more: Any) -> None:
        """A mail of the demo's world."""
        self._number += 1
        address = author.partition("<")[2].rstrip(">")
        sample = demo.Sample("", author, subject, text, signed, **more)
        raw = demo.built(sample, self._number + int(time.time() * 1000), datetime.now(UTC))
        self.daemon.send(raw, address if signed else "eve@evil.example", helo="mx." + address.rpartition("@")[2])

    def person(self, name: str, role: str = "agent") -> Person:
        made = Person(self, name, role)
        assert made.log_in().status_code == 303
        return made

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.store.close()
        self.daemon.stop()


def settled(world: World, count: int) -> None:
    """Waits until so many mails have their outcome."""
    from gateway.tickets import views

    def done() -> bool:
        rows = world.store.read_now(lambda connection: views.message_list(connection, None, None, 1000))
        return len(rows) >= count and all(row["state"] not in ("pending", "processing") for row in rows)

    until(done, 30, "the mails")


def everyone(world: World) -> dict[str, Person]:
    """A user of each role."""
    return {role: world.person(f"{role}-1", role) for role in ("agent", "lead", "admin", "auditor")}


def rows(world: World, statement: Any) -> list[Any]:
    """What the database of the service has, seen from outside."""
    return world.store.read_now(lambda connection: list(connection.execute(statement).all()))
