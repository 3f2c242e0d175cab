"""One signature is one message, and a seal proves one mail: on both databases, and when two nodes see them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, delete, text

from gateway.database import inbox
from gateway.database.store import Store
from gateway.database.tables import messages
from gateway.ingest.identity import digest_of
from gateway.model import Incoming, RawMessage, Verdict
from gateway.tickets import replays
from tests.peers.harness import until
from tests.samples import NONE, NOW, PASS, envelope, incoming, mail

ARC = replace(PASS, spf="none", dkim="fail", dmarc="fail", arc="pass", by="arc", signatures=("seal", "signature"))
DKIM = replace(PASS, signatures=("signature",))


def stored(store: Store, number: int) -> int:
    raw = mail(Message_ID=f"<{number}@example.de>")
    return store.write_now(lambda c: inbox.accept(c, RawMessage(raw, envelope()), digest_of(raw))).id


def proven(store: Store, verdict: Verdict, message: int) -> Verdict:
    given: Incoming = incoming(verdict=verdict)
    return store.write_now(lambda c: replays.claimed(c, given, message))[0].verdict


def holder(store: Store, verdict: Verdict, message: int) -> int | None:
    """The message that this one is another arrival of."""
    return store.write_now(lambda c: replays.claimed(c, incoming(verdict=verdict), message))[1]


def test_a_seal_counts_for_one_message_and_again_for_the_same(store: Store) -> None:
    first, second = stored(store, 1), stored(store, 2)
    assert proven(store, ARC, first).authenticated
    assert proven(store, ARC, first).authenticated
    found = proven(store, ARC, second)
    assert (found.authenticated, found.by) == (False, None)
    assert f"came with message {first} before" in found.reasons[-1]


@pytest.mark.parametrize("verdict", [DKIM, replace(DKIM, authenticated=False, by=None)])
def test_a_signature_of_the_author_s_domain_makes_one_message_of_two_mails(store: Store, verdict: Verdict) -> None:
    """Also one that does not prove him, for it covers no recipient, say: what it covers is the same all the same."""
    first, second, third = (stored(store, number) for number in (1, 2, 3))
    assert holder(store, verdict, first) is None
    assert holder(store, verdict, first) is None
    assert holder(store, DKIM, second) == first
    assert holder(store, replace(DKIM, signatures=("another",)), third) is None


def test_a_signature_whose_message_is_not_kept_any_more_proves_nobody(store: Store) -> None:
    first, second = stored(store, 1), stored(store, 2)
    assert proven(store, DKIM, first).authenticated
    store.write_now(lambda c: c.execute(delete(messages).where(messages.c.id == first)))
    assert holder(store, DKIM, second) is None
    assert not proven(store, DKIM, second).authenticated


def test_a_seal_put_on_anew_does_not_make_the_signature_below_it_new(store: Store) -> None:
    first, second = stored(store, 1), stored(store, 2)
    assert proven(store, ARC, first).authenticated
    assert not proven(store, replace(ARC, signatures=("another seal", "signature")), second).authenticated


def test_spf_of_the_author_s_own_server_is_left_and_weak(store: Store) -> None:
    first, second = stored(store, 1), stored(store, 2)
    both = replace(ARC, spf_aligned=True)
    assert not proven(store, both, first).weak
    assert (proven(store, both, second).authenticated, proven(store, both, second).weak) == (True, True)


def test_a_copy_that_proves_nobody_does_not_take_the_proof_of_the_genuine_mail(store: Store) -> None:
    """What is remembered is what proved: conclude() names no mark of a signature that is doubted."""
    first, second = stored(store, 1), stored(store, 2)
    assert not proven(store, NONE, first).authenticated
    assert proven(store, DKIM, second).authenticated


def test_of_two_copies_that_two_nodes_commit_at_once_one_is_the_first(postgresql: Callable[[], str]) -> None:
    url = postgresql()
    nodes = [Store(url), Store(url)]
    try:
        for node in nodes:
            node.open(NOW)
        numbers = [stored(nodes[0], 1), stored(nodes[0], 2)]
        taken, found = threading.Event(), dict[int, int | None]()
        waits = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")

        def commit(node: Store, message: int) -> None:
            def job(connection: Connection) -> int | None:
                if message == numbers[1]:
                    assert taken.wait(60)
                whole = replays.claimed(connection, incoming(verdict=DKIM), message)[1]
                if message == numbers[0]:  # not committed before the other one has come so far that it waits for it
                    taken.set()
                    until(lambda: nodes[0].read_now(lambda c: c.execute(waits).scalar()), 60, "the other one")
                return whole

            found[message] = node.write_now(job)

        threads = [threading.Thread(target=commit, args=pair) for pair in zip(nodes, numbers, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert found == {numbers[0]: None, numbers[1]: numbers[0]}
    finally:
        for node in nodes:
            node.close()


def test_of_two_messages_that_are_proven_the_older_stays(store: Store) -> None:
    """Two signatures of one domain on one mail, handed in one by one before what tells that they are one was kept."""
    first, second = stored(store, 1), stored(store, 2)
    one, two = (replace(DKIM, signatures=(mark,)) for mark in ("s", "s2"))
    assert holder(store, one, first) is None
    assert holder(store, two, second) is None
    both = replace(DKIM, signatures=("s", "s2"))
    assert holder(store, both, first) is None, "it is not sent on to the younger"
    assert holder(store, two, second) == first
    assert holder(store, both, stored(store, 3)) == first
