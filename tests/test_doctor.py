"""``gateway doctor``: every look from outside in, against a zone in memory and against real nsd, Postfix and Dovecot."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway import config
from gateway.doctor import domain, wires
from gateway.doctor.finding import Finding
from gateway.replies.sign import load_key
from gateway.verify.dns import ZoneResolver
from tests.conftest import missing
from tests.peers.dovecot import Dovecot
from tests.peers.harness import LoopbackPeers, Running, free_port
from tests.peers.nsd import Nsd
from tests.peers.postfix import Postfix


def key_file(folder: Path, name: str = "dkim.pem") -> tuple[Path, str]:
    """(a private key, the ``p=`` of its record)."""
    key = ed25519.Ed25519PrivateKey.generate()
    plain = serialization.NoEncryption()
    file = folder / name
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    file.chmod(0o600)
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return file, base64.b64encode(raw).decode()


def zone(public: str) -> dict[str, Any]:
    """Everything right."""
    return {
        "introserv.com": {"MX": [[10, "mx.introserv.example"]], "TXT": ["v=spf1 mx -all", "other=1"]},
        "mx.introserv.example": {"A": ["192.0.2.25"]},
        "_dmarc.introserv.com": {"TXT": ["v=DMARC1; p=reject"]},
        "desk._domainkey.introserv.com": {"TXT": [f"v=DKIM1; k=ed25519; p={public}"]},
        "25.2.0.192.in-addr.arpa": {"PTR": ["mx.introserv.example"]},
    }


def seen(records: dict[str, Any], key: Any) -> dict[str, Finding]:
    async def all_of() -> dict[str, Finding]:
        looks = domain.looked(["introserv.com", "introserv.com"], "mx.introserv.example", [key], ZoneResolver(records))
        return {finding.name: finding async for finding in looks}

    return asyncio.run(all_of())


def test_the_dns_of_our_domain(tmp_path: Path) -> None:
    file, public = key_file(tmp_path)
    key = load_key("introserv.com", "desk", file)
    sound = zone(public)
    assert {name: one.state for name, one in seen(sound, key).items()} == dict.fromkeys(
        ("dns", "mx", "spf", "dmarc", "dkim", "ptr"), "ok"
    )
    _, other = key_file(tmp_path, "other.pem")
    for name, kind, value, look, state, says in (
        ("introserv.com", "MX", [[0, "."]], "mx", "wrong", "takes no mail (null MX)"),
        ("introserv.com", "MX", [], "mx", "wrong", "has no MX record"),
        ("mx.introserv.example", "A", [], "mx", "wrong", "has no address"),
        ("introserv.com", "TXT", [], "spf", "wrong", "publishes no SPF record"),
        ("introserv.com", "TXT", ["v=spf1 -all", "v=spf1 mx -all"], "spf", "wrong", "2 SPF records"),
        ("introserv.com", "TXT", ["v=spf1 +all"], "spf", "wrong", "lets everybody send as us"),
        ("_dmarc.introserv.com", "TXT", [], "dmarc", "wrong", "publishes no DMARC record"),
        ("_dmarc.introserv.com", "TXT", ["v=DMARC1; p=none"], "dmarc", "doubt", "p=none"),
        ("desk._domainkey.introserv.com", "TXT", [], "dkim", "wrong", "publishes no key"),
        ("desk._domainkey.introserv.com", "TXT", [f"v=DKIM1; p={other}"], "dkim", "wrong", "another key"),
        ("25.2.0.192.in-addr.arpa", "PTR", ["host.isp.example"], "ptr", "doubt", "names host.isp.example"),
    ):
        found = seen(sound | {name: sound[name] | {kind: value}}, key)[look]
        assert (found.state, says in found.what, bool(found.do)) == (state, True, True), f"{name} {value}: {found}"
    assert public in seen(sound | {"desk._domainkey.introserv.com": {"TXT": []}}, key)["dkim"].do, (
        "the record to publish"
    )
    silent = seen({"introserv.com": "TIMEOUT"}, key)
    assert list(silent) == ["dns"] and silent["dns"].state == "wrong"


def test_several_things_broken_among_real_servers(tmp_path: Path, peers: LoopbackPeers) -> None:
    if os.geteuid() != 0 or not all(map(shutil.which, ("nsd", "postfix", "dovecot"))):
        missing("nsd, Postfix and Dovecot of our own need root and their packages")
    file, public = key_file(tmp_path)
    records = {name: one for name, one in zone(public).items() if not name.startswith("25.2")}
    records["mx.introserv.example"] = {"A": ["127.0.0.1"]}
    records["1.0.0.127.in-addr.arpa"] = {"PTR": ["mx.introserv.example"]}
    lmtp = free_port()
    nsd, dovecot, postfix = Nsd(records), Dovecot(), Postfix(lmtp, peers.relay)
    daemon = Running(
        tmp_path, peers, dns={"nameservers": [nsd.address]}, relay={"port": postfix.port}, imap=[dovecot.account()],
        dkim=[{"selector": "desk", "key_file": str(file)}], staff={"technical": ["l1@introserv.example"]},
        smtp={"listen": ["smtp://127.0.0.1:0", f"lmtp://127.0.0.1:{lmtp}"], "trusted_relays": ["127.0.0.1"]},
    )  # fmt: skip

    def looked(*options: str) -> tuple[int, dict[str, dict[str, str]]]:
        done = daemon.command("doctor", "--json", *options)
        assert done.stderr == ""
        return done.returncode, {one["name"]: one for one in map(json.loads, done.stdout.splitlines())}

    try:
        code, found = looked()
        assert {name: one["what"] for name, one in found.items() if one["state"] == "wrong"} == {}
        looks = {"configuration", "dns", "mx", "spf", "dmarc", "dkim", "ptr", "service", "listener", "relay", "imap"}
        assert code == 0 and set(found) == looks | {"database", "disk", "clock", "directory", "probe"}
        assert "a mail from us to us came by the relay" in found["probe"]["what"]
        assert daemon.rows("messages", "list") == [], "a probe leaves no rows"
        (tmp_path / "wrong").write_text("wrong")
        (tmp_path / "wrong").chmod(0o600)
        text = daemon.config.read_text()
        text = text.replace(dovecot.account()["password_file"], str(tmp_path / "wrong"))
        daemon.config.write_text(text.replace(str(file), str(key_file(tmp_path, "other.pem")[0])))
        postfix.stop()
        daemon.stop()
        code, found = looked()
        wrong = {name: one["what"] for name, one in found.items() if one["state"] == "wrong"}
        assert code == 1 and set(wrong) == {"dkim", "service", "listener", "relay", "imap"}
        assert "another key" in wrong["dkim"] and "refuses our login" in wrong["imap"]
        assert f"127.0.0.1:{postfix.port} connecting: Connection refused" in wrong["relay"]
        assert all(found[name]["do"] for name in wrong) and found["probe"]["state"] == "skipped"
    finally:
        daemon.stop()
        nsd.close()
        dovecot.close()
        postfix.stop()


@pytest.mark.parametrize("option", ["doctor", "check"])
def test_a_configuration_that_cannot_be_used_is_said_first(tmp_path: Path, option: str) -> None:
    from typer.testing import CliRunner

    from gateway.cli import app

    config = tmp_path / "config.toml"
    config.write_text("[smtp]\nmax_sice = 1\n")
    arguments = ["--config", str(config), *(("doctor",) if option == "doctor" else ("check", "--connect"))]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1 and done.stdout.startswith("WRONG  configuration")
    assert "did you mean 'max_size'?" in done.stdout


def test_a_listener_that_stands_still_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that is stopped by a signal or a debugger still has its sockets: the system takes connections."""
    monkeypatch.setattr(wires, "TIMEOUT_S", 0.2)
    where = tmp_path / "lmtp.sock"
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as inet:
        unix.bind(str(where))
        unix.listen()
        urls = (f"lmtp://{where}", f"lmtp://127.0.0.1:{inet.getsockname()[1]}")
        found = [wires._listener(config.Settings(), url) for url in urls]
    assert [one.state for one in found] == ["wrong", "wrong"]
    assert all(url in one.what and "timed out" in one.what for url, one in zip(urls, found, strict=True))
