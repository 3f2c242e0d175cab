"""A reply tells nobody whether an address is registered, or whether an order exists and whose it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

import pytest

from tests.peers.harness import TO, LoopbackPeers, Running, until, write_accounts

WORDS = {
    "en": "Hello, my server of order #{order} has been slow since this morning. Please have a look at it, thank you very much.",
    "de": "Guten Tag, mein Server der Bestellung #{order} ist seit heute Morgen sehr langsam. Bitte schauen Sie sich das an, vielen Dank.",
    "fr": "Bonjour, mon serveur de la commande #{order} est très lent depuis ce matin. Merci de bien vouloir le regarder.",
    "es": "Buenos días, mi servidor del pedido #{order} va muy lento desde esta mañana. Por favor, mírenlo, muchas gracias.",
    "it": "Buongiorno, il mio server dell'ordine #{order} è molto lento da stamattina. Potete controllare, per favore? Grazie mille.",
    "uk": "Добрий день, мій сервер за замовленням #{order} дуже повільно працює від ранку. Подивіться, будь ласка, дякую.",
    "ru": "Здравствуйте, мой сервер по заказу #{order} очень медленно работает с утра. Посмотрите, пожалуйста, спасибо.",
}
ORDERS = {"own": "111111", "foreign": "222222", "none": "999999"}
ASKED = ("", " Please cancel the order and send me the root password.")
#: what differs from mail to mail in any case
_PRIVATE = re.compile(
    rb"(?im)^(?:date|message-id|to|in-reply-to|references|dkim-signature|reply-to|x-gateway-loop)\s*:[^\n]*\n(?:[ \t][^\n]*\n)*"
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, LoopbackPeers]]:
    folder = tmp_path_factory.mktemp("oracle")
    addresses = "".join(f"1,known{number}@plain.example,owner\n" for number in range(60))
    files = {
        "accounts.csv": "account,name,language,status\n1,Known,de,active\n2,Other,en,active\n",
        "addresses.csv": "account,address,role\n2,other@plain.example,owner\n" + addresses,
        "orders.csv": "order,account,service,status,ips\n111111,1,aaaa1111,active,203.0.113.9\n222222,2,bbbb2222,active,203.0.113.10\n"
        "333333,2,web.victim.example,active,203.0.113.11\n",
        "invoices.csv": "invoice,account\n214382,2\n",
    }
    write_accounts(folder, files)
    peers = LoopbackPeers(
        zone={"plain.example": {"MX": [[10, "mx.plain.example"]]}, "mx.plain.example": {"A": ["192.0.2.1"]}}
    )
    daemon = Running(folder, peers, replies={"budget_domain": "1000/1h", "budget_thread": "1000/1h"})
    yield daemon, peers
    daemon.stop()
    peers.close()


def bare(raw: bytes) -> bytes:
    """A reply without what is private to each: names of mails, reference, token, boundary, base64 unfolded."""
    text = _PRIVATE.sub(b"", raw.replace(b"\r\n", b"\n")).replace(
        b"=\n", b""
    )  # a line may be folded within the reference
    text = re.sub(rb"T-[0-9A-Z]{7}", b"T-REF", text)
    return re.sub(rb"=_[0-9a-f]{32}", b"=_boundary", text)


def decoded(raw: bytes) -> bytes:
    """The same with the parts decoded: a reference inside base64 would hide."""
    import email

    message = email.message_from_bytes(raw)
    parts = [part.get_payload(decode=True) or b"" for part in message.walk() if not part.is_multipart()]
    return re.sub(rb"T-[0-9A-Z]{7}", b"T-REF", b"\n".join(parts)) + str(message["Subject"])[:2].encode()


def test_registered_and_unknown_senders_get_the_same_words(scene: tuple[Running, LoopbackPeers]) -> None:
    daemon, peers = scene
    answers: dict[tuple[str, str, str], dict[str, bytes]] = {}
    for number, (language, order, asked) in enumerate(product(WORDS, ORDERS, ASKED)):
        for who in ("known", "unknown"):
            author = f"{who}{number}@plain.example"
            text = WORDS[language].format(order=ORDERS[order]) + asked
            head = f"From: {author}\r\nTo: {TO}\r\nSubject: =?utf-8?q?Server?=\r\nMessage-ID: <{number}.{who}@plain.example>\r\n"
            raw = f"{head}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()
            before = len(peers.taken)
            assert daemon.send(raw, author)[0] == 250
            until(lambda before=before: len(peers.taken) > before)
            taken = peers.taken[-1]
            assert taken.rcpt_tos == (author,)
            answers.setdefault((language, asked, order), {})[who] = taken.raw
    trusts = {event["trust"] for event in daemon.named("decided")}
    assert trusts == {"unverified", "unknown"}
    for key, pair in answers.items():
        assert decoded(pair["known"]) == decoded(pair["unknown"]), key
        if b"base64" not in pair["known"].lower():
            assert bare(pair["known"]) == bare(pair["unknown"]), key
    for (language, asked, _), pair in answers.items():
        assert decoded(pair["known"]) == decoded(answers[language, asked, "none"]["unknown"]), (language, asked)
    assert len(answers) == len(WORDS) * len(ORDERS) * len(ASKED)


#: what a stranger could ask about by naming it: known to us, or to nobody
ASKED_ABOUT = {
    "a service": ("My server {} is very slow since this morning, please look at it.", "bbbb2222", "cccc3333"),
    "a host": (
        "My server {} is very slow since this morning, please look at it.",
        "web.victim.example",
        "web.nobody.example",
    ),
    "an address in a log": (
        "My server is very slow, this is the ping:\r\n64 bytes from {}: icmp_seq=1 ttl=56",
        "203.0.113.10",
        "203.0.113.99",
    ),
    "an invoice called an order": ("My server of order #{} is very slow, please look at it.", "214382", "214399"),
    "an outage of a service": ("My server {} is down and does not respond.", "bbbb2222", "cccc3333"),
}


@pytest.mark.fault("X48")
@pytest.mark.parametrize("what", ASKED_ABOUT)
def test_an_answer_does_not_tell_what_is_known_here(scene: tuple[Running, LoopbackPeers], what: str) -> None:
    daemon, peers = scene
    text, known, nobodys = ASKED_ABOUT[what]
    answers = []
    for name in (known, nobodys):
        author = f"curious{abs(hash((what, name)))}@plain.example"
        raw = f"From: {author}\r\nTo: {TO}\r\nSubject: Server\r\nMessage-ID: <{author}>\r\n\r\n{text.format(name)}\r\n".encode()
        before = len(peers.taken)
        assert daemon.send(raw, author)[0] == 250
        until(lambda before=before: len(peers.taken) > before)
        answers.append(decoded(peers.taken[-1].raw))
    assert answers[0] == answers[1]
