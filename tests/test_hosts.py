"""Hosts and customer numbers as facts: what people name, and whose it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.model import Author, AuthorStatus, Budgets, Facts
from gateway.read.facts.called import called_in
from gateway.read.facts.customers import customers_in
from gateway.read.facts.hosts import hosts_in
from gateway.read.facts.machines import machines_in
from gateway.read.reading import Hints, read
from gateway.tickets import briefing
from gateway.tickets.policy import decide
from gateway.verify.accounts import judged, match
from gateway.verify.directory import Directory
from tests.peers.harness import write_accounts
from tests.samples import NOW, RULES, incoming, mail

HOSTS = [
    ("my site shop.example is down", ["shop.example"]), ("https://www.Shop.Example/cart?x=1 gives 502", ["shop.example"]), ("www.shop.example", ["shop.example"]),
    ("Der Server srv12.kunde.de antwortet nicht.", ["srv12.kunde.de"]), ("mail.firma.com and ns1.firma.com", ["mail.firma.com", "ns1.firma.com"]),
    ("Сайт пример.рф не открывается", ["пример.рф"]), ("сайт магазин-цветов.ru лежит", ["магазин-цветов.ru"]), ("http://shop.example:8080/path", ["shop.example"]),
    ("the domain bücher.de", ["bücher.de"]), ("xn--bcher-kva.de is parked", ["xn--bcher-kva.de"]), ("My website is example-shop.co.uk.", ["example-shop.co.uk"]),
    ("(shop.example)", ["shop.example"]), ("<https://shop.example/>", ["shop.example"]), ("*.shop.example needs a certificate", ["shop.example"]),
    ("_dmarc.shop.example has no record", ["shop.example"]), ("shop.example, blog.example", ["shop.example", "blog.example"]), ("SHOP.EXAMPLE", ["shop.example"]),
    ("ping shop.example: 100% packet loss", ["shop.example"]), ("$ curl -I https://shop.example/", ["shop.example"]), ("Il sito miosito.it non funziona", ["miosito.it"]),
    ("mon site boutique-fleurs.fr est en panne", ["boutique-fleurs.fr"]), ("mi dominio tienda.es no carga", ["tienda.es"]), ("сервер vps-12.hosting.ua недоступний", ["vps-12.hosting.ua"]),
    ("hostname: web-13", ["web-13"]), ("Hostname web13 does not boot", ["web13"]), ("the site get.it is down", ["get.it"]), ("db01.internal cannot be reached", ["db01.internal"]),
    ("shop.example/blog.example are dead", ["shop.example", "blog.example"]), ("kramer-shop dot com is not loading", ["kramer-shop.com"]),
    ("shop[.]example", ["shop.example"]), ("hxxps://shop.example/x", ["shop.example"]), ("ssh root@web7.shop.example hangs", ["web7.shop.example"]),
    ("our site at shop.example", ["shop.example"]), ("our site brew.pub is down", ["brew.pub"]), ("www.brew.pub", ["brew.pub"]),
    ("shop.example's certificate", ["shop.example"]), ("https://user:pw@shop.example/x", ["shop.example"]), ("ftp://files.shop.example", ["files.shop.example"]),
]  # fmt: skip
NONE = [
    "anna@shop.example wrote", "the server is down.Please help", "It is down.It was up.", "nginx 1.26.2.1", "index.php and config.toml", "/etc/nginx/nginx.conf", "file.sh does nothing",
    "run backup.py please", "e.g. this", "i.e. that", "Mr.Smith", "z.B. so", "и т.д.", "1.5.2026", "203.0.113.7", "asp.net application", "my gmail.com address", "Node.js", "error.log",
    "Received: from mx.other.com (mx.other.com [203.0.113.5]) by x", "Nov 22 10:00:00 web sshd[12]: connection from host.other.com port 22", "  5  core1.carrier.net (203.0.113.1)  31.2 ms",
    "64 bytes from lhr.carrier.net (203.0.113.1): icmp_seq=1 ttl=57", "Please call me.me too", "version 2.0.de", "./run.sh", "data.zip", "readme.md", "Message-ID: <a@mail.other.com>",
    "ok.so what", "done.thanks", "P.S. hello", "a.b", "...", "wait...what", "100.000.de facto", "host is down", "hostname is unknown",
    "write to anna@ shop.example", "anna (at) shop.example", "anna at kramer dot com", "Muster GmbH & Co.KG",
    "main.cf and master.cf are as before", "terraform plan of main.tf", "server.properties has port 25565", "id_rsa.pub is attached", "backup-db.sh hangs", "multi-user.target failed",
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), HOSTS)
def test_hosts_that_people_name(text: str, expected: list[str]) -> None:
    assert [candidate.value for candidate in hosts_in(f"Hello,\n{text}\nThanks")] == expected


@pytest.mark.parametrize("text", NONE)
def test_what_has_a_dot_and_is_no_host_of_the_author(text: str) -> None:
    assert hosts_in(f"Hello,\n{text}\nThanks") == ()


CALLED = [
    ('our node "atlas" went down', ["atlas"]), ('unser Server „Zeus“ ist offline', ["zeus"]), ("a server named Bessie is dead", ["bessie"]), ("сервер «Гермес» лежит", ["гермес"]),
    ("el servidor llamado minerva no arranca", ["minerva"]), ("serwer o nazwie wawel nie działa", ["wawel"]), ("'kartal' adlı sunucu çöktü", ["kartal"]),
    ("the server is down", []), ('the server "crashes"', []), ("a machine called by another", []), ('web server "nginx"', []), ('die Server "Frankfurt" genau', []), ('server "502"', []),
    ("server named in my last mail", []),
]  # fmt: skip
MACHINES = [
    ("fra1-web-02 has no network", ["fra1-web-02"]), ("vps_prod_1 is down", ["vps_prod_1"]), ("vps-3f9a2b is offline", ["vps-3f9a2b"]), ("k8s-01 lost its network", ["k8s-01"]),
    ("the root password of mx-relay", ["mx-relay"]), ("zbx-core padł", ["zbx-core"]), ("Apache2 default page", []), ("usdt trc20 and a cs2 server", []), ("cr0=0x8001003d cr2=0x10", []),
    ("web13 and srv-de-04", ["web13", "srv-de-04"]), ("php-8 and utf-8", []), ("XFS (vda1): Corruption, then ping6 to fe80::1 over vmbr0 and wg0", []),
    ("mail-tester says SPF fail", []), ("web13: no ping", ["web13"]), ("docker01 is down", ["docker01"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CALLED)
def test_machines_with_a_name_of_their_own(text: str, expected: list[str]) -> None:
    assert [candidate.value for candidate in called_in(f"Hello,\n{text}\nThanks")] == expected


@pytest.mark.parametrize(("text", "expected"), MACHINES)
def test_short_names_of_machines(text: str, expected: list[str]) -> None:
    assert [candidate.value for candidate in machines_in(f"Hello,\n{text}\nThanks")] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my customer number is 10023", ["10023"]), ("Kundennummer: 10023", ["10023"]), ("Kd.-Nr. K-10023", ["K-10023"]), ("numéro de client : 10023", ["10023"]),
        ("n° client 10023", ["10023"]), ("número de cliente 10023", ["10023"]), ("codice cliente: 10023", ["10023"]), ("номер клиента 10023", ["10023"]),
        ("номер клієнта: 10023", ["10023"]), ("Client ID #10023", ["10023"]), ("account no. 10023", ["10023"]), ("order 10023", []), ("customer since 2019.", []),
        ("we have 300 customers", []), ("a customer, 25 of them", []),
    ],
)  # fmt: skip
def test_a_customer_number_is_one_where_a_word_says_so(text: str, expected: list[str]) -> None:
    assert [candidate.value for candidate in customers_in(text)] == expected


def test_a_machine_in_quotation_marks_is_a_host_and_an_opaque_name_a_service() -> None:
    text = "notre serveur « srv-compta » ne répond plus, notre serveur « k3m9xq2p » non plus"
    reading = read(
        f"From: a@b.example\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode(),
        Hints("a@b.example", NOW, "Europe/Berlin"),
    )
    assert [candidate.value for candidate in reading.hosts] == ["srv-compta"]
    assert [candidate.value for candidate in reading.services if candidate.words.startswith("service:")] == ["k3m9xq2p"]


def test_every_label_of_a_customer_number_has_a_sign() -> None:
    from gateway.read.facts.customers import _LABELS, _SIGNS

    assert [label for label in _LABELS if not _SIGNS.found(label, 1)] == []


def test_a_host_is_whose_service_it_is_or_lies_below(tmp_path: Path) -> None:
    write_accounts(
        tmp_path,
        {
            "accounts.csv": "account,name,language,status\n10023,Anna,de,active\n10024,Bob,en,active\n",
            "addresses.csv": "account,address,role\n10023,anna@example.de,owner\n",
            "orders.csv": "order,account,service,status,ips\n111111,10023,shop.example,active,203.0.113.7\n"
            "222222,10024,www.other.example,active,203.0.113.8\n",
        },
    )
    directory = Directory(tmp_path, tmp_path / "accounts", 0.2, 86400)
    directory.reload(NOW)
    text = (
        "shop.example and mail.shop.example are slow, other.example is not, and nobody.example neither.\r\n"
        "My customer number is 10023, not customer number 10024 or customer number 99999.\r\n"
    )
    raw = f"From: anna@example.de\r\nSubject: x\r\n\r\n{text}".encode()
    reading = read(raw, Hints("anna@example.de", NOW, "Europe/Berlin"))
    facts: Facts = judged(
        reading, match(Author(AuthorStatus.OK, "anna@example.de", "", ""), directory, NOW), directory
    )[0]
    assert [(fact.value, str(fact.ownership)) for fact in facts.services] == [("shop.example", "own")]
    assert [(fact.value, str(fact.ownership)) for fact in facts.hosts] == [
        ("mail.shop.example", "own"), ("other.example", "foreign"), ("nobody.example", "unknown")
    ]  # fmt: skip
    assert [(fact.value, str(fact.ownership)) for fact in facts.customers] == [
        ("10023", "own"), ("10024", "foreign"), ("99999", "unknown")
    ]  # fmt: skip
    assert facts.orders == ()


def test_services_of_the_author_are_found_by_the_names_he_gave_them(tmp_path: Path) -> None:
    write_accounts(
        tmp_path,
        {
            "accounts.csv": "account,name,language,status\n10023,Anna,de,active\n10024,Bob,en,active\n",
            "addresses.csv": "account,address,role\n10023,anna@example.de,owner\n10024,bob@other.example,owner\n",
            "orders.csv": "order,account,service,status,ips\n111111,10023,nwl-wms1,active,203.0.113.7\n"
            "111112,10023,shop-db,active,203.0.113.9\n111113,10023,mail,active,\n111114,10023,old-db,cancelled,\n"
            "222222,10024,web01,active,203.0.113.8\n222223,10024,web02,cancelled,\n",
        },
    )
    directory = Directory(tmp_path, tmp_path / "accounts", 0.2, 86400)
    directory.reload(NOW)

    def found(author: str, text: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        raw = f"From: {author}\r\nSubject: NWL-WMS1!!\r\n\r\nHello,\r\n{text}\r\n".encode()
        reading = read(raw, Hints(author, NOW, "Europe/Berlin"))
        facts, _ = judged(reading, match(Author(AuthorStatus.OK, author, "", ""), directory, NOW), directory)
        services, hosts = ([(fact.value, str(fact.ownership)) for fact in of] for of in (facts.services, facts.hosts))
        return services, hosts

    text = "shop-db and old-db are slow, my mail and web01 too; shop-db2 and new-shop-db are not."
    services, hosts = found("anna@example.de", text)
    assert services == [("nwl-wms1", "own"), ("shop-db", "own")], "one from the subject; a cancelled one is none"
    assert ("web01", "unknown") in hosts, "a machine is called so at many customers: nothing says whose it is"
    assert found("bob@other.example", "web01 is slow")[0] == [("web01", "own")]
    assert found("carl@third.example", "web01 is slow")[0] == []


def test_staff_see_which_orders_the_author_has_or_which_accounts(tmp_path: Path) -> None:
    many = "".join(f"30000{number},10024,node-{number},active,\n" for number in range(1, 7))
    write_accounts(
        tmp_path,
        {
            "accounts.csv": "account,name,language,status\n10023,Anna,de,active\n10024,Bob,en,active\n",
            "addresses.csv": "account,address,role\n10023,anna@example.de,owner\n10024,bob@other.example,owner\n"
            "10023,eva@example.de,owner\n10024,eva@example.de,support\n",
            "orders.csv": "order,account,service,status,ips\n111111,10023,shop-db,suspended_payment,\n"
            f"111112,10023,old-db,cancelled,\n{many}",
        },
    )
    directory = Directory(tmp_path, tmp_path / "accounts", 0.2, 86400)
    directory.reload(NOW)

    def told(author: str, text: str) -> dict[str, Any]:
        raw = mail(text, author=author)
        reading = read(raw, Hints(author, NOW, "Europe/Berlin"))
        facts, whose = judged(reading, match(Author(AuthorStatus.OK, author, "", ""), directory, NOW), directory)
        what = replace(incoming(raw, match=whose), facts=facts)
        return briefing.of_mail(what, decide(what, None, Budgets(), NOW, RULES), 1, 1, RULES)

    assert told("anna@example.de", "It is slow.")["has"] == ["#111111 shop-db (suspended_payment)"]
    assert told("bob@other.example", "It is slow.")["has"] == [], "six are no help"
    assert told("bob@other.example", "node-3 and order 300005 are slow.")["has"] == [
        "#300003 node-3 (active)", "#300005 node-5 (active)"
    ]  # fmt: skip
    assert told("eva@example.de", "It is slow.")["accounts"] == ["10023 (Anna)", "10024 (Bob)"]
    settled = told("eva@example.de", "shop-db is slow.")
    assert (settled["accounts"], settled["has"]) == ([], ["#111111 shop-db (suspended_payment)"])
