"""The directory: swapped in whole or refused whole, and look-ups by whatever a mail names."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bench.harness import write_accounts
from gateway.verify.directory import Directory, DirectoryError, canonical
from gateway.verify.lookup import accounts_of
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


@pytest.mark.parametrize("address", ["anna@example.de", "ANNA@EXAMPLE.DE", "Anna@example.de."])
def test_addresses_match_in_one_form(directory: Directory, address: str) -> None:
    assert directory.roles_of(address) == {"1": {"owner"}, "2": {"billing"}}


def test_idn_plus_and_dots(directory: Directory) -> None:
    assert set(directory.roles_of("c@bücher.example")) == {"3"}
    assert directory.roles_of("anna+x@example.de") == {}
    assert directory.roles_of("an.na@example.de") == {}
    assert canonical("A@B.Example.") == "a@b.example"


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
