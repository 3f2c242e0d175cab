"""What proves one mail proves no other: signatures and seals on both databases, once each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, text

from bench.harness import until
from gateway.database import inbox
from gateway.database.store import Store
from gateway.ingest.identity import digest_of
from gateway.model import Incoming, RawMessage, Verdict
from gateway.tickets import replays
from tests.samples import NONE, NOW, PASS, envelope, incoming, mail

ARC = replace(PASS, spf="none", dkim="fail", dmarc="fail", arc="pass", by="arc", signatures=("seal", "signature"))
DKIM = replace(PASS, signatures=("signature",))


def stored(store: Store, number: int) -> int:
    raw = mail(Message_ID=f"<{number}@example.de>")
    return store.write_now(lambda c: inbox.accept(c, RawMessage(raw, envelope()), digest_of(raw))).id


def proven(store: Store, verdict: Verdict, message: int) -> Verdict:
    given: Incoming = incoming(verdict=verdict)
    return store.write_now(lambda c: replays.claimed(c, given, message)).verdict


@pytest.mark.parametrize("verdict", [DKIM, ARC])
def test_a_proof_counts_for_one_message_and_again_for_the_same(store: Store, verdict: Verdict) -> None:
    first, second = stored(store, 1), stored(store, 2)
    assert proven(store, verdict, first).authenticated
    assert proven(store, verdict, first).authenticated
    found = proven(store, verdict, second)
    assert (found.authenticated, found.by) == (False, None)
    assert f"came with message {first} before" in found.reasons[-1]


def test_a_seal_put_on_anew_does_not_make_the_signature_below_it_new(store: Store) -> None:
    first, second = stored(store, 1), stored(store, 2)
    assert proven(store, ARC, first).authenticated
    assert not proven(store, replace(ARC, signatures=("another seal", "signature")), second).authenticated


def test_spf_of_the_author_s_own_server_is_left_and_weak(store: Store) -> None:
    first, second = stored(store, 1), stored(store, 2)
    both = replace(DKIM, spf_aligned=True)
    assert not proven(store, both, first).weak
    assert (proven(store, both, second).authenticated, proven(store, both, second).weak) == (True, True)


def test_a_copy_that_proves_nobody_does_not_take_the_proof_of_the_genuine_mail(store: Store) -> None:
    """What is remembered is what proved: conclude() names no mark of a signature that is doubted."""
    first, second = stored(store, 1), stored(store, 2)
    assert not proven(store, NONE, first).authenticated
    assert proven(store, DKIM, second).authenticated


def test_of_two_copies_that_two_nodes_commit_at_once_one_only_is_believed(postgresql: Callable[[], str]) -> None:
    url = postgresql()
    nodes = [Store(url), Store(url)]
    try:
        for node in nodes:
            node.open(NOW)
        numbers = [stored(nodes[0], 1), stored(nodes[0], 2)]
        taken, found = threading.Event(), dict[int, bool]()
        waits = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")

        def commit(node: Store, message: int) -> None:
            def job(connection: Connection) -> bool:
                if message == numbers[1]:
                    assert taken.wait(60)
                proven = replays.claimed(connection, incoming(verdict=DKIM), message).verdict.authenticated
                if message == numbers[0]:  # not committed before the other one has come so far that it waits for it
                    taken.set()
                    until(lambda: nodes[0].read_now(lambda c: c.execute(waits).scalar()), 60, "the other one")
                return proven

            found[message] = node.write_now(job)

        threads = [threading.Thread(target=commit, args=pair) for pair in zip(nodes, numbers, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert sorted(found.values()) == [False, True]
    finally:
        for node in nodes:
            node.close()
