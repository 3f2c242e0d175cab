"""``gateway check``: what it refuses, what it only warns of, and that a template cannot run or grow without bounds."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import check
from gateway.check import Findings
from gateway.replies.render import RenderError, Sender, Templates
from gateway.replies.samples import samples
from gateway.settings import Gateway
from gateway.verify.directory import Directory
from tests.certificates import self_signed
from tests.peers.harness import write_accounts
from tests.test_directory import FILES

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
GOOD = '[staff]\ntechnical = ["desk@introserv.com"]\n'


@pytest.fixture
def looked_at(tmp_path: Path) -> Callable[..., Findings]:
    write_accounts(tmp_path, FILES)

    def look(text: str = "", user: str | None = None, now: datetime = NOW) -> Findings:
        base = f'[gateway]\nstate_dir = "{tmp_path / "state"}"\n'
        directory = "" if "[directory]" in text else f'[directory]\npath = "{tmp_path / "accounts"}"\n'
        staff = "" if "[staff]" in text else GOOD
        file = tmp_path / "config.toml"
        file.write_text((text if "[gateway]" in text else base + text) + directory + staff)
        return check.everything(str(file), now, user)

    return look


def keys(problems: list[object]) -> set[str]:
    return {problem.key for problem in problems}  # type: ignore[attr-defined]


def test_a_sound_configuration_has_neither_problem_nor_warning(looked_at: Callable[..., Findings]) -> None:
    found = looked_at()
    assert (found.problems, found.warnings) == ([], [])


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ('[staff]\ntechnical = []\n', "staff.technical", "nobody is told"),
        ('[staff]\ntechnical = ["Support@introserv.com", "l1@introserv.com"]\n', "staff.technical", "nobody reads it"),
        ('[directory]\n', "directory.path", "nobody is verified"),
        ('[smtp]\ntrusted_relays = ["10.0.0.0/7"]\n', "smtp.trusted_relays", "33554432 addresses"),
        ('[database]\nurl = "postgresql+psycopg://gateway:secret@db/gateway"\n', "database.url", "url_file"),
        ('[replies]\nenvelope = "null"\n', "replies.envelope", "no bounce can be tied"),
        ('[block]\ndomains = ["spam.example", "Example.de."]\n', "block.domains.1", "the mail of 2 accounts from the desk (1, 2)"),
        ('[block]\naddresses = ["ANNA@example.de"]\n', "block.addresses.0", "2 accounts"),
    ],
)  # fmt: skip
def test_what_is_valid_and_doubtful_is_a_warning(
    looked_at: Callable[..., Findings], text: str, key: str, says: str
) -> None:
    found = looked_at(text)
    assert found.problems == []
    (warning,) = found.warnings
    assert warning.key == key
    assert says in warning.problem


def test_a_certificate_that_ends_soon_is_told_with_its_days(looked_at: Callable[..., Findings], tmp_path: Path) -> None:
    cert, key = self_signed(tmp_path, "mx.example")  # it is valid for a day
    text = f'[smtp]\ntls_cert = "{cert}"\ntls_key = "{key}"\n'
    assert looked_at(text, now=datetime.now(UTC) - timedelta(days=20)).warnings == []
    for days, says in ((0, "expires in 1 days"), (3, "expired 2 days ago")):
        (warning,) = looked_at(text, now=datetime.now(UTC) + timedelta(days=days)).warnings
        assert warning.key == "smtp.tls_cert"
        assert says in warning.problem
    key.chmod(0o644)
    assert keys(looked_at(text, now=datetime.now(UTC)).problems) == {"smtp.tls_key"}


def test_an_account_that_is_named_twice_is_refused_with_its_line(
    looked_at: Callable[..., Findings], tmp_path: Path
) -> None:
    accounts = tmp_path / "accounts" / "accounts.csv"
    accounts.write_text(FILES["accounts.csv"] + "2,Bob again,en,active\n")
    (problem,) = looked_at().problems
    assert (problem.key, problem.problem) == ("line 5", "account '2' is named twice: line 3 says otherwise")
    accounts.write_text(FILES["accounts.csv"].replace(",de,", ",deutsch,"))
    found = looked_at()
    assert found.problems == []
    assert "'deutsch' is not a two-letter language code" in found.warnings[0].problem
    accounts.write_text(FILES["accounts.csv"].replace(",de,", ",de-DE,").replace(",en,", ",EN,"))
    assert (looked_at().problems, looked_at().warnings) == ([], [])


def test_accounts_without_an_address_are_told_with_their_number(
    looked_at: Callable[..., Findings], tmp_path: Path
) -> None:
    rows = "account,address,role\n1,anna@example.de,owner\n3,,owner\n"
    (tmp_path / "accounts" / "addresses.csv").write_text(rows)
    found = looked_at()
    (warning,) = found.warnings
    assert found.problems == [] and warning.file.endswith("addresses.csv")
    assert warning.problem == "2 of 3 accounts without any address: nobody there is verified (2, 3)"
    (tmp_path / "accounts" / "addresses.csv").write_text("account,address,role\n")
    assert looked_at().warnings[0].problem.startswith("3 of 3 accounts without any address")


def test_a_set_that_the_service_would_refuse_beside_its_last_one_is_told(
    looked_at: Callable[..., Findings], tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    kept = Directory(tmp_path / "state", tmp_path / "accounts", 0.2, 86400)
    kept.reload(NOW)
    assert looked_at().warnings == []
    (tmp_path / "accounts" / "orders.csv").write_text("order,account,service,status,ips\n")
    found = looked_at()
    (warning,) = found.warnings
    assert found.problems == [] and warning.file.endswith("orders.csv")
    assert warning.problem.startswith("3 of 3 orders would vanish, more than max_shrink allows: the set is refused")
    kept.close()
    (tmp_path / "state" / "directory.sqlite").write_bytes(b"no database" * 500)
    assert looked_at().warnings == []


def test_a_network_of_several_accounts_is_told(looked_at: Callable[..., Findings], tmp_path: Path) -> None:
    more = "444444,1,,active,203.0.113.0/24 198.51.100.1\n555555,1,,active,203.0.113.7\n"
    (tmp_path / "accounts" / "orders.csv").write_text(FILES["orders.csv"] + more)
    (warning,) = looked_at().warnings
    assert warning.problem.startswith("203.0.113.0/24 is of orders of several accounts (1, 2)")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("recieved.en.txt.j2", "Hello", "did you mean received?"),
        ("received.en.txt.j2", " \n", "the template is empty"),
        ("received.en.txt.j2", "{% for a in range(10**9) %}x{% endfor %}", "OverflowError"),
        ("received.en.txt.j2", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "TooMuch"),
        ("received.en.txt.j2", "{% for a in range(9000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}", "TooMuch"),
        ("received.en.txt.j2", "{{ 'x' * 999999999 }}", "TooMuch"),
        ("received.en.txt.j2", "{{ 9 ** 99999999 }}", "TooMuch"),
        ("received.en.txt.j2", "{{ name.nothing.more }}", "UndefinedError"),
    ],
)  # fmt: skip
def test_a_template_that_is_useless_or_without_bounds_is_refused(
    looked_at: Callable[..., Findings], tmp_path: Path, name: str, text: str, says: str
) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / name).write_text(text)
    (problem,) = looked_at(f'[replies]\ntemplates_dir = "{folder}"\n').problems
    assert problem.file.endswith(name)
    assert says in problem.problem


def test_a_language_with_a_template_missing_is_refused(looked_at: Callable[..., Findings], tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "received.nl.txt.j2").write_text("Goedendag, wij hebben uw bericht ontvangen. {{ reference }}")
    (problem,) = looked_at(f'[replies]\ntemplates_dir = "{folder}"\n').problems
    assert problem.problem.startswith("received_general.nl.txt.j2, verification_needed.nl.txt.j2, ")
    assert "nobody is answered in 'nl'" in problem.problem


def test_a_staff_notification_without_its_fence_is_refused(looked_at: Callable[..., Findings], tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "staff_new.en.txt.j2").write_text("{{ reference }}: {{ text or 'no words at all' }} {{ author }}")
    (problem,) = looked_at(f'[replies]\ntemplates_dir = "{folder}"\n').problems
    assert "without {{ fence }} a quoted notification cannot be told from an answer" in problem.problem


def test_a_template_that_grows_with_its_values_is_cut_off_when_a_mail_is_written(tmp_path: Path) -> None:
    (tmp_path / "received.en.txt.j2").write_text(
        "Your orders, every one of them: {% for item in orders %}" + "x" * 1000 + "{% endfor %}"
    )
    sender = Sender(
        Gateway(address="a@b.example", name="A", client_area_url="https://x.example/", chat_url="https://y.example/"),
        "verp",
        b"s" * 32,
    )
    templates = Templates(tmp_path)
    assert templates.problems(sender) == []
    with pytest.raises(RenderError, match="TooMuch"):
        templates.text("received", "en", samples("received")[0] | {"orders": ["1"] * 500})


@pytest.mark.fault("X55")
def test_a_state_dir_that_cannot_be_used_is_refused(looked_at: Callable[..., Findings], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = looked_at(f'[gateway]\nstate_dir = "{tmp_path / "file" / "state"}"\n')
    assert keys(found.problems) == {"gateway.state_dir"}
    assert "is not a folder" in found.problems[0].problem


def test_root_is_told_what_the_user_of_the_service_cannot_read(
    looked_at: Callable[..., Findings], tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can tell")
    nobody = pwd.getpwnam("nobody")
    for folder in (tmp_path, *tmp_path.parents[:-2]):  # pytest's own folders are closed to others
        folder.chmod(folder.stat().st_mode | 0o011)
    secret = tmp_path / "password"
    secret.write_text("x")
    secret.chmod(0o600)
    text = f'[relay]\nusername = "u"\nhost = "127.0.0.1"\npassword_file = "{secret}"\n'
    (warning,) = [w for w in looked_at(text, user="nobody").warnings if w.key == "relay.password_file"]
    assert f"the user nobody cannot read {secret} (it has mode 0600)" in warning.problem
    os.chown(secret, nobody.pw_uid, nobody.pw_gid)
    assert [w for w in looked_at(text, user="nobody").warnings if w.key == "relay.password_file"] == []
