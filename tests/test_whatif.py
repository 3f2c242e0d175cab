"""Stored mails through another configuration: what would have come out otherwise, and nothing is written or sent."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from gateway.database import inbox
from gateway.database.store import Store
from gateway.ingest.identity import digest_of
from gateway.model import RawMessage
from tests.peers.harness import LoopbackPeers, Running, config_text
from tests.samples import NOW, envelope, mail
from tests.test_daemon import signed


def dumped(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump())


def test_other_rules_on_stored_mail(tmp_path: Path, peers: LoopbackPeers) -> None:
    daemon = Running(tmp_path, peers)
    try:
        stranger = mail(
            "Do you offer servers in Spain?", author="Bob <bob@else.example>", Message_ID="<b@else.example>"
        )
        assert daemon.send(stranger, "bob@else.example")[0] == 250
        for number in range(2):
            assert daemon.send(signed(number), "ops@shop.example")[0] == 250
        daemon.settled()
        assert daemon.stop() == 0
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
    sent, before = len(peers.taken), dumped(tmp_path / "state" / "gateway.db")
    new = tmp_path / "new.toml"
    new.write_text(config_text(tmp_path, peers, block={"addresses": ["ops@shop.example"]}))
    lines = daemon.command("replay", "--since", "30d", "--config", str(new), "--diff").stdout.splitlines()
    assert lines[-1] and "3 mails tried, 2 would come out otherwise" in lines
    changed = [line for line in lines if line.startswith("message ")]
    assert len(changed) == 2 and all(
        "disposition opened -> quarantined" in line and "-> none" in line for line in changed
    )
    assert any(line.strip() == "2 disposition: opened -> quarantined" for line in lines)
    same = daemon.rows("replay", "--config", str(daemon.config), "--diff")
    assert same == [{"summary": {"tried": 3, "changed": 0, "without_bytes": 0, "fields": {}, "steps": {}}}]
    # another account directory: the customer is none any more
    (tmp_path / "others").mkdir()
    for name, text in {
        "accounts.csv": "account,name,language,status\n7,Nobody,en,active\n",
        "addresses.csv": "account,address,role\n7,no@body.example,owner\n",
        "orders.csv": "order,account,service,status,ips\n",
    }.items():
        (tmp_path / "others" / name).write_text(text)
    new.write_text(config_text(tmp_path, peers, directory={"path": str(tmp_path / "others")}))
    found = daemon.rows("replay", "--config", str(new))
    assert {tuple(row["changes"]["trust"]) for row in found[:-1]} == {("verified", "unknown")}
    assert found[-1]["summary"]["fields"]["account"] == 2
    assert len(peers.taken) == sent and dumped(tmp_path / "state" / "gateway.db") == before
    refused = daemon.command("replay", "--config", str(tmp_path / "no.toml"))
    assert refused.returncode == 2 and "cannot be read" in refused.stderr


def test_failed_mails_are_run_again_by_number_by_time_or_all(store: Store) -> None:
    ids = []
    for number in range(4):
        raw = mail(Message_ID=f"<{number}@example.de>")
        accepted = store.write_now(lambda c, raw=raw: inbox.accept(c, RawMessage(raw, envelope()), digest_of(raw)))  # type: ignore[misc]
        ids.append(accepted.id)
    claims, _ = store.write_now(lambda c: inbox.claim(c, NOW, 4))
    for hours, claimed in enumerate(claims):
        at = NOW - timedelta(hours=hours)
        store.write_now(lambda c, claimed=claimed, at=at: inbox.park(c, claimed, "broken", at))  # type: ignore[misc]
    failed = [claimed.id for claimed in claims]
    assert store.write_now(lambda c: inbox.replay(c, NOW, [failed[3], 999])) == [failed[3]]
    assert store.write_now(lambda c: inbox.replay(c, NOW, since=NOW - timedelta(minutes=90))) == sorted(failed[:2])
    assert store.write_now(lambda c: inbox.replay(c, NOW)) == [failed[2]]
    assert store.write_now(lambda c: inbox.replay(c, NOW)) == []
