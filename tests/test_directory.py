"""The directory: swapped in whole or refused whole, and look-ups by whatever a mail names."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from gateway import config, service
from gateway.model import Author, AuthorStatus
from gateway.read.author import author_of
from gateway.verify.accounts import match
from gateway.verify.directory import AddressRules, Directory, DirectoryError, canonical
from gateway.verify.directory_sources import MAX_OCTETS
from gateway.verify.lookup import accounts_of, customers_of
from tests.peers.harness import write_accounts
from tests.samples import NOW

FILES = {
    "accounts.csv": "account,name,language,status\n1,Anna,de,active\n2,Bob & Co,en,active\n3,Carl,fr,active\n",
    "addresses.csv": "account,address,role\n1,Anna@Example.DE,owner\n2,bob@shop.example,owner\n2,anna@example.de,billing\n3,c@xn--bcher-kva.example,owner\n",
    "orders.csv": "order,account,service,status,ips\n#111111,1,r1z7og44,processed,203.0.113.7\n222222,2,tfz1cvkr,active,203.0.113.0/24 2001:db8:1::/48\n"
    "333333,3,oldname1,cancelled,198.51.100.1\n",
    "invoices.csv": "invoice,account\n214382,2\n",
}


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    write_accounts(tmp_path, FILES)
    made = Directory(tmp_path, tmp_path / "accounts", 0.2, 86400)
    made.reload(NOW)
    return made


@pytest.mark.fault("X41")
@pytest.mark.parametrize("address", ["anna@example.de", "ANNA@EXAMPLE.DE", "Anna@example.de."])
def test_addresses_match_in_one_form(directory: Directory, address: str) -> None:
    assert directory.roles_of(address) == {"1": {"owner"}, "2": {"billing"}}


@pytest.mark.fault("X41")
def test_idn_plus_and_dots(directory: Directory) -> None:
    assert set(directory.roles_of("c@bücher.example")) == {"3"}
    assert directory.roles_of("anna+x@example.de") == {}
    assert directory.roles_of("an.na@example.de") == {}
    assert canonical("A@B.Example.") == "a@b.example"


def test_addresses_beyond_ascii_have_one_form_and_it_is_nobodys_in_ascii() -> None:
    assert (
        canonical("JU\u0308RGEN@Bücher.example") == canonical("jürgen@bücher.example") == "jürgen@xn--bcher-kva.example"
    )
    assert canonical("anna@straße.example") != canonical("anna@strasse.example")
    kelvin = "\u212aevin@example.de"
    assert kelvin.lower() == "kevin@example.de" != canonical(kelvin)


@pytest.mark.parametrize(
    ("address", "literal", "tags", "dots"),
    [
        ("anna@example.de", True, True, True), ("anna+shop@example.de", False, True, False), ("an.na@example.de", False, False, True),
        ("An.Na+x@EXAMPLE.de.", False, False, False), ("+anna@example.de", False, False, False), ("an.na@shop.example", False, False, False),
    ],
)  # fmt: skip
def test_tags_and_dots_are_ignored_only_where_it_is_configured(
    tmp_path: Path, address: str, literal: bool, tags: bool, dots: bool
) -> None:
    write_accounts(tmp_path, FILES)
    for number, (rules, expected) in enumerate((
        (AddressRules(), literal), (AddressRules(ignore_plus_tags=True), tags),
        (AddressRules(ignore_dots=frozenset(["example.de"])), dots),
    )):  # fmt: skip
        (tmp_path / str(number)).mkdir()
        made = Directory(tmp_path / str(number), tmp_path / "accounts", 0.2, 86400, rules)
        made.reload(NOW)
        assert bool(made.roles_of(address)) is expected
        made.close()


def test_who_owns_what(directory: Directory) -> None:
    assert directory.order("111111").status == "active"  # type: ignore[union-attr]
    assert directory.ip_owners("203.0.113.7") == {"1"}
    assert directory.ip_owners("203.0.113.8") == {"2"}
    assert directory.ip_owners("203.0.113.0/25") == {"2"}
    assert directory.ip_owners("2001:db8:1:2::3") == {"2"}
    assert directory.ip_owners("2001:db8:2::1") == frozenset()
    assert directory.service_owners("R1Z7OG44") == {"1"}
    assert directory.invoice_owner("214382") == "2"


def test_a_cancelled_order_keeps_its_number_only(directory: Directory) -> None:
    assert directory.order("333333").account == "3"  # type: ignore[union-attr]
    assert directory.ip_owners("198.51.100.1") == frozenset()
    assert directory.service_owners("oldname1") == frozenset()


@pytest.mark.parametrize("what", ["anna@example.de", "#111111", "203.0.113.7", "r1z7og44", "1"])
def test_look_ups_of_an_operator(directory: Directory, what: str) -> None:
    assert accounts_of(directory, what)[0].name == "Anna"


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        ("accounts.csv", "id,name\n", "line 1"),
        ("addresses.csv", "account,address,role\n9,x@y.example,owner\n", "line 2"),
        ("addresses.csv", "account,address,role\n1,x@y.example,king\n", "line 2"),
        ("orders.csv", "order,account,service,status,ips\n1,1,x,active,300.1.1.1\n", "line 2"),
        ("orders.csv", "order,account,service,status,ips\n1,1,x,lost,\n", "line 2"),
        ("accounts.csv", "account,name,language,status\n1,a\n", "line 2"),
        ("accounts.csv", "account,name,language,status\n1,Anna,de,active\n", "accounts"),
        ("accounts.csv", None, "missing"),
    ],
)
def test_a_bad_set_is_refused_whole_and_the_last_good_one_stays(
    directory: Directory, tmp_path: Path, file: str, text: str | None, where: str
) -> None:
    path = tmp_path / "accounts" / file
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DirectoryError, match=where):
        directory.reload(NOW)
    assert directory.count() == 3
    assert set(directory.roles_of("anna@example.de")) == {"1", "2"}


SOUND = (
    "o'brien@example.de",
    "a+b@example.de",
    "Jürgen.Müller@straße.example",
    "x_1@sub-domain.example.co.uk.",
    "=?@x.example",
    "a*b@x.example",
    f"{'a' * 64}@x.example",
)
UNSOUND = (
    "Anna <anna@example.de>", "<anna@example.de>", "a@x.example;b@x.example", "a@x.example,b@x.example", "a@x.example b@x.example", "*@x.example",
    "anna*@x.example", "@x.example", "anna@", "anna", "a@b@x.example", "anna@localhost", "anna@x..example", "anna@-x.example", "anna@[192.0.2.1]", "mailto:a@x.example",
    '"anna"@x.example', "an na@x.example", "a@x.example/b", "an\u200bna@x.example", "\u212aevin@example.de", "anna@x.example\x00", "anna@x .example", "a\x1b@x.example",
    "support@introserv.com", "Support+x@INTROSERV.com.", "a..b@docomo.example", "a.@x.example", f"{'a' * 65}@x.example", "anna@192.0.2.1",
    f"anna@{'a.' * 130}example",
)  # fmt: skip
NO_NETWORK = (
    "0.0.0.0/0", "::/0", "203.0.0.0/8", "128.0.0.0/1", "0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255", "::1", "fe80::1", "ff02::1", "2001::/16",
    "203.0.113.0/0.0.0.255", "203.0.113.0/255.255.255.0", "::ffff:0:0/96", "::ffff:0:0/90", "2001:db8::1%eth0", "203.0.113.7/", "203.0.113.7/-1", "203.0.113.7-9", "203.0.113", "*", "203.0.113.7/33", "203.0.113.7:80", "169.254.1.1", "203.0.113.7,203.0.113.8",
)  # fmt: skip


def test_what_can_match_nobody_or_everybody_is_refused_with_its_row(tmp_path: Path) -> None:
    rules = AddressRules(ours=frozenset(["support@introserv.com"]))
    made = Directory(tmp_path, tmp_path / "accounts", 1.0, 86400, rules)

    def wrong(file: str, line: str) -> str:
        write_accounts(tmp_path, FILES | {file: FILES[file] + line + "\n"})
        try:
            made.reload(NOW)
        except DirectoryError as error:
            (problem,) = error.problems
            assert problem.key == f"line {FILES[file].count(chr(10)) + 1}" and problem.file.endswith(file)
            return problem.problem
        return ""

    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    for address in SOUND:
        assert wrong("addresses.csv", f"1,{address},support") == "", address
        assert made.roles_of(address) == {"1": {"support"}}
        author = author_of(f"From: {address}".encode())
        assert made.roles_of(author.address or "") == {"1": {"support"}}, address
    for address in UNSOUND:
        assert wrong("addresses.csv", f"1,{quoted(address)},support"), address
    assert "our own address" in wrong("addresses.csv", "1,support+a@introserv.com,owner")
    for networks in ("10.1.2.3 192.168.0.0/24", "203.0.0.0/16", "2001:db8::/24", ""):
        assert wrong("orders.csv", f"444444,1,x,active,{networks}") == "", networks
    for network in NO_NETWORK:
        assert wrong("orders.csv", f"444444,1,x,active,{quoted(network)}"), network
        assert wrong("orders.csv", f"444444,1,x,cancelled,{quoted(network)}"), network
    for file, line in (
        ("accounts.csv", "4,An\x00na,de,active"),
        ("orders.csv", "444444,1,x\x1b[2J,active,"),
        ("invoices.csv", "1\x7f,1"),
    ):
        assert "control character" in wrong(file, line)
    for file, line in (
        ("accounts.csv", "4\u20285,Dora,de,active"),
        ("orders.csv", "44\u20294444,1,x,active,"),
        ("invoices.csv", "1\t7,1"),
    ):
        assert "line end" in wrong(file, line)
    for file, line, thing in (
        ("accounts.csv", ",Dora,de,active", "account"),
        ("orders.csv", ",1,x,active,", "order"),
        ("orders.csv", "#,1,x,active,", "order"),
        ("invoices.csv", " ,1", "invoice"),
    ):
        assert f"the {thing} has no " in wrong(file, line)
    assert wrong("orders.csv", '444444,1,x,active,"203.0.113.9\t203.0.113.10"') == ""
    assert "the order holds" in wrong("orders.csv", "44\x02444,1,x,active,")
    assert wrong("accounts.csv", "4,Do\x0bra\x1b[2J,de,active") == "" and made.account("4").name == "Do ra [2J"  # type: ignore[union-attr]
    assert wrong("accounts.csv", '4,"Dora\nand Sons",de,active') == "" and made.account("4").name == "Dora and Sons"  # type: ignore[union-attr]
    made.close()


def test_an_address_with_its_mask_is_that_address_alone(tmp_path: Path) -> None:
    rows = "1,1,,active,198.18.5.7/16 ::ffff:198.18.6.7 2001:db8::7/48\n2,2,,active,198.18.7.0/24 ::ffff:198.18.8.0/120 2001:db8:2::/48\n"
    write_accounts(tmp_path, FILES | {"orders.csv": FILES["orders.csv"].splitlines()[0] + "\n" + rows})
    made = Directory(tmp_path, tmp_path / "accounts", 0.2, 86400)
    made.reload(NOW)
    for address in ("198.18.5.7", "198.18.6.7", "::ffff:198.18.5.7", "2001:db8::7"):
        assert made.ip_owners(address) == {"1"}, address
    for address in ("198.18.7.9", "198.18.8.9", "::ffff:198.18.8.9", "2001:db8:2::9"):
        assert made.ip_owners(address) == {"2"}, address
    for address in ("198.18.5.8", "198.18.77.77", "198.18.0.0", "2001:db8::8"):
        assert made.ip_owners(address) == frozenset(), address
    made.close()


#: of accounts, orders and invoices: a row that is there, the same otherwise, and who it is
REPEATS = (
    ("accounts.csv", "2,Bob & Co,en,active", "2,Bob again,en,active", "account '2'", 3),
    ("orders.csv", "222222,2,tfz1cvkr,active,203.0.113.0/24 2001:db8:1::/48", "222222,2,tfz1cvkr,active,203.0.113.0/24", "order '222222'", 3),
    ("orders.csv", "#222222,2,tfz1cvkr,active,203.0.113.0/24 2001:db8:1::/48", "#222222,1,x,cancelled,", "order '222222'", 3),
    ("orders.csv", "111111,1,r1z7og44,processed,203.0.113.7", "111111,2,r2,active,203.0.113.8", "order '111111'", 2),
    ("invoices.csv", "214382,2", "214382,1", "invoice '214382'", 2),
)  # fmt: skip


@pytest.mark.parametrize(("file", "same", "other", "named", "first"), REPEATS)
def test_what_repeats_is_passed_over_and_what_differs_is_refused_with_both_lines(
    directory: Directory, tmp_path: Path, file: str, same: str, other: str, named: str, first: int
) -> None:
    lines = FILES[file].count("\n")
    write_accounts(tmp_path, FILES | {file: FILES[file] + f"{same}\n{same}\n"})
    assert directory.reload(NOW) == {
        "accounts": 3, "addresses": 4, "orders": 3, "invoices": 1, "accounts without an address": 0
    }  # fmt: skip
    write_accounts(tmp_path, FILES | {file: FILES[file] + f"{same}\n{other}\n"})
    with pytest.raises(DirectoryError) as refused:
        directory.reload(NOW)
    (problem,) = refused.value.problems
    assert problem.key == f"line {lines + 2}" and problem.file.endswith(file)
    assert problem.problem == f"{named} is named twice: line {first} says otherwise"
    assert directory.order("111111").account == "1"  # type: ignore[union-attr]


@pytest.mark.parametrize("table", ["addresses", "orders", "invoices"])
def test_an_export_without_its_rows_is_refused_whatever_the_table(
    directory: Directory, tmp_path: Path, table: str
) -> None:
    (tmp_path / "accounts" / f"{table}.csv").write_text(FILES[f"{table}.csv"].splitlines()[0] + "\n")
    with pytest.raises(DirectoryError, match=rf"{table}.csv: (\d) of \1 {table} would vanish"):
        directory.reload(NOW)
    assert set(directory.roles_of("anna@example.de")) == {"1", "2"}
    assert directory.invoice_owner("214382") == "2" and directory.ip_owners("203.0.113.7") == {"1"}


def test_rows_are_read_as_people_and_their_programs_write_them(directory: Directory, tmp_path: Path) -> None:
    files = {
        "accounts.csv": "account,name,language,status,\n1,Anna,DE,active,\n,,,\n2,Bob & Co,en_GB.UTF-8,active,\n  , , ,,,,\n3,Carl,fr-CH,active, \n4,Dora,,active,\n",
        "addresses.csv": "account,address,role\n1,anna@example.de,Owner\n,,\n2,bob@shop.example,BILLING\n3,,owner\n4,,\n\n2,anna@example.de,billing\n1,a@x.example,owner\n",
        "orders.csv": FILES["orders.csv"].replace("active", "Active").replace("processed", "PROCESSED"),
    }
    write_accounts(tmp_path, files)
    assert directory.reload(NOW) == {
        "accounts": 4, "addresses": 4, "orders": 3, "invoices": 1, "accounts without an address": 2
    }  # fmt: skip
    assert [directory.account(one).language for one in "1234"] == ["de", "en", "fr", None]  # type: ignore[union-attr]
    assert directory.roles_of("bob@shop.example") == {"2": {"billing"}}
    assert directory.order("111111").status == directory.order("222222").status == "active"  # type: ignore[union-attr]
    assert directory.without_address(5) == ["3", "4"] and directory.without_address(1) == ["3"]
    for wrong, says in (("9,,owner\n", "account '9' is not among"), ("1,x@x.example,owner,more\n", "4 fields, not 3")):
        write_accounts(tmp_path, {"addresses.csv": files["addresses.csv"] + wrong})
        with pytest.raises(DirectoryError, match=rf"line 10: {says}"):
            directory.reload(NOW)


def test_a_quote_that_never_ends_is_refused_with_its_line(directory: Directory, tmp_path: Path) -> None:
    rows = FILES["orders.csv"].replace("333333,3,oldname1,cancelled,198.51.100.1\n", "")
    swallowed = '333333,3,oldname1,cancelled,"198.51.100.1\n444444,1,s,active,203.0.113.9\n'
    write_accounts(tmp_path, {"orders.csv": rows + swallowed})
    with pytest.raises(DirectoryError, match=r"orders.csv:line 4: cannot be read"):
        directory.reload(NOW)
    assert directory.order("333333") is not None


def test_an_address_of_ours_in_the_directory_of_the_configuration_is_refused(tmp_path: Path) -> None:
    write_accounts(tmp_path, FILES | {"addresses.csv": FILES["addresses.csv"] + "1,help@Bücher.example,owner\n"})
    given = f'[gateway]\nstate_dir = "{tmp_path}"\n[smtp]\nrecipients = ["help@xn--bcher-kva.example"]\n[directory]\npath = "{tmp_path / "accounts"}"\n'
    with pytest.raises(DirectoryError, match=r"line 6.*our own address"):
        service.directory(config.parse(given)).reload(NOW)


def test_who_is_at_a_domain(directory: Directory) -> None:
    assert customers_of(directory, "example.de") == (2, [directory.account("1"), directory.account("2")])
    assert customers_of(directory, "de", 1) == (2, [directory.account("1")])
    assert customers_of(directory, "example")[0] == 2 and customers_of(directory, "xn--bcher-kva.example")[0] == 1
    assert customers_of(directory, "ample.de") == customers_of(directory, "e_ample.de") == (0, [])
    assert customers_of(directory, "anna@example.de")[0] == 2


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder", "a file without an end"])
def test_what_never_answers_or_ends_is_no_directory(directory: Directory, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "accounts" / "orders.csv"
    path.unlink()
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a folder":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, MAX_OCTETS + 1)
    with pytest.raises(DirectoryError, match=r"no regular file|larger than it may be"):
        directory.reload(NOW)
    assert directory.count() == 3


def test_a_set_that_shrinks_too_much_is_refused(directory: Directory, tmp_path: Path) -> None:
    write_accounts(
        tmp_path,
        {name: text.split("\n")[0] + "\n" for name, text in FILES.items()}
        | {"accounts.csv": "account,name,language,status\n1,Anna,de,active\n"},
    )
    with pytest.raises(DirectoryError, match="2 of 3 accounts would vanish"):
        directory.reload(NOW)


def test_the_last_good_set_survives_a_restart_and_grows_old(directory: Directory, tmp_path: Path) -> None:
    again = Directory(tmp_path, tmp_path / "gone", 0.2, 86400)
    assert again.count() == 3
    assert again.checked_at is not None
    assert again.usable(again.checked_at + timedelta(hours=23))
    assert not again.usable(again.checked_at + timedelta(hours=25))


def test_a_change_is_seen(directory: Directory, tmp_path: Path) -> None:
    assert not directory.changed()
    (tmp_path / "accounts" / "accounts.csv").write_text(FILES["accounts.csv"] + "4,Dora,en,active\n")
    assert directory.changed()
    assert directory.reload(NOW)["accounts"] == 4
    assert directory.account("4") is not None


QUERIES = {
    "accounts_query": "select id, name, language, status from clients order by id",
    "addresses_query": "select client, email, role from contacts",
    "orders_query": "select number, client, service, status, ips from orders",
}
TABLES = (
    "create table clients (id integer, name text, language text, status text)",
    "create table contacts (client integer, email text, role text)",
    "create table orders (number integer, client integer, service text, status text, ips {array})",
    "insert into clients values (1, 'Anna', 'de', 'active'), (2, 'Bob & Co', null, 'active')",
    "insert into contacts values (1, 'Anna@Example.DE', 'owner'), (2, 'bob@shop.example', 'billing')",
)


def billing(database: str, tmp_path: Path) -> tuple[Any, config.Settings]:
    """A billing database of the kind given, and the configuration that reads it."""
    url = database.replace("gateway.db", "billing.db")
    engine = create_engine(url)
    array = url.startswith("postgresql")
    ips = "array['203.0.113.7', '2001:db8:1::/48']" if array else "'203.0.113.7 2001:db8:1::/48'"
    with engine.begin() as connection:
        for statement in TABLES:
            connection.execute(text(statement.replace("{array}", "text[]" if array else "text")))
        connection.execute(text(f"insert into orders values (123456, 1, 'R1Z7OG44', 'processed', {ips})"))
    (tmp_path / "url").write_text(url + "\n")
    written = {"source": "sql", "url_file": str(tmp_path / "url"), **QUERIES}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in written.items())
    return engine, config.parse(f'[gateway]\nstate_dir = "{tmp_path}"\n[directory]\n{lines}')


def test_the_accounts_come_from_queries_on_the_billing_database(database: str, tmp_path: Path) -> None:
    engine, settings = billing(database, tmp_path)
    made = service.directory(settings)
    with engine.begin() as connection:  # customers without an address, as an outer join gives them
        connection.execute(text("insert into contacts values (2, null, 'owner'), (null, null, null)"))
    assert made.reload(NOW) == {
        "accounts": 2, "addresses": 2, "orders": 1, "invoices": 0, "accounts without an address": 0
    }  # fmt: skip
    assert made.roles_of("anna@example.de") == {"1": {"owner"}}
    assert made.ip_owners("2001:db8:1::5") == made.service_owners("r1z7og44") == {"1"}
    assert made.order("123456").status == "active"  # type: ignore[union-attr]
    assert made.account("2").language is None  # type: ignore[union-attr]
    made.close()
    engine.dispose()


@pytest.mark.parametrize(
    ("key", "query", "why"),
    [
        ("accounts_query", "select id, name from clients", "gives 2 columns, not 4"),
        ("accounts_query", "select nothing from nowhere", "accounts_query: cannot be read"),
        ("addresses_query", "select 9, email, role from contacts", "account '9' is not among the accounts"),
        ("orders_query", "insert into orders values (1, 1, 'x', 'active', null) returning *", "orders_query: cannot be read"),
        ("accounts_query", "select id, name, language, status from clients where id > 5", "not among the accounts"),
    ],
)  # fmt: skip
def test_a_query_that_does_not_fit_is_refused_and_nothing_is_written(
    database: str, tmp_path: Path, key: str, query: str, why: str
) -> None:
    engine, settings = billing(database, tmp_path)
    made = service.directory(settings)
    made.reload(NOW)
    bad = settings.directory.model_copy(update={key: query})
    again = service.directory(settings.model_copy(update={"directory": bad}))
    with pytest.raises(DirectoryError, match=why):
        again.reload(NOW)
    assert made.roles_of("anna@example.de") == {"1": {"owner"}}
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from orders")).scalar() == 1
    made.close()
    again.close()
    engine.dispose()


def test_what_was_refused_does_not_keep_the_old_set_young(directory: Directory, tmp_path: Path) -> None:
    directory.touch(NOW + timedelta(hours=1))
    assert directory.checked_at == NOW + timedelta(hours=1)
    (tmp_path / "accounts" / "accounts.csv").write_text("broken\n")
    with pytest.raises(DirectoryError):
        directory.reload(NOW + timedelta(hours=2))
    directory.touch(NOW + timedelta(hours=3))
    assert directory.checked_at == NOW + timedelta(hours=1)
    assert not directory.usable(NOW + timedelta(hours=26))


@pytest.mark.parametrize("spoilt", [b"", b"random bytes" * 500, None])
def test_a_cache_that_cannot_be_read_is_built_again(tmp_path: Path, spoilt: bytes | None) -> None:
    write_accounts(tmp_path, FILES)
    first = Directory(tmp_path, tmp_path / "accounts", 0.2, 86400)
    first.reload(NOW)
    first.close()
    cache = tmp_path / "directory.sqlite"
    cache.unlink()
    if spoilt is None:
        cache.mkdir()
    else:
        cache.write_bytes(spoilt)
    again = Directory(tmp_path, tmp_path / "accounts", 0.2, 86400)
    assert not again.loaded
    assert not again.usable(NOW)
    assert str(cache) in again.fault
    assert "mode" in again.fault
    if spoilt is None:  # a folder in its place: nothing to do but to say whose it is
        with pytest.raises(DirectoryError, match=r"cannot be replaced: .* \(it belongs to \w+, mode 0\d+\)"):
            again.reload(NOW)
        return
    assert again.reload(NOW)["accounts"] == 3
    assert (again.fault, again.usable(NOW)) == ("", True)


def test_a_cache_that_is_damaged_while_it_serves_makes_nobody_a_stranger(directory: Directory, tmp_path: Path) -> None:
    cache = tmp_path / "directory.sqlite"
    pages = cache.read_bytes()
    cache.write_bytes(pages[:4096] + b"\xff" * (len(pages) - 4096))  # in place: the open file sees it too
    directory.close()
    author = Author(AuthorStatus.OK, "anna@example.de", "", "")
    found = match(author, directory, NOW)
    assert not found.usable
    assert directory.changed()  # it is read from its source at the next look
    directory.reload(NOW)
    assert match(author, directory, NOW).usable
    assert {account.account for account in match(author, directory, NOW).accounts} == {"1", "2"}


def test_what_the_service_believes_of_the_age_is_what_status_shows(directory: Directory, tmp_path: Path) -> None:
    later = NOW + timedelta(days=3)  # a weekend and a day on which no file changed
    directory.touch(later)
    shown = Directory(tmp_path, tmp_path / "accounts", 0.2, 86400)
    assert shown.usable(later)
    assert shown.age(later + timedelta(seconds=30)) == pytest.approx(30, abs=1)


def test_a_state_dir_that_cannot_be_written_is_a_refusal_with_its_owner(tmp_path: Path) -> None:
    write_accounts(tmp_path, FILES)
    made = Directory(tmp_path / "nowhere" / "state", tmp_path / "accounts", 0.2, 86400)
    with pytest.raises(DirectoryError, match=r"cannot be written: .* belongs to \w+, mode 0\d+"):
        made.reload(NOW)
