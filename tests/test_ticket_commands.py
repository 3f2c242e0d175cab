"""``gateway tickets`` as a person at the shell uses it: a whole shift on one database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app, context
from gateway.cli import listing as cli_listing
from gateway.cli import tickets as cli_tickets
from gateway.database.store import Store
from gateway.tickets import audit, people, views
from gateway.tickets.outgoing import Acting
from tests.samples import JOE, NOW, OUTAGE_TEXT, incoming, mail
from tests.test_desk import Desk
from tests.test_people import MINUTE, follow_up, opened

Shell = Callable[..., Any]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    store = Store(f"sqlite:///{tmp_path / 'gateway.db'}")
    store.open(NOW)
    yield Desk(store)
    store.close()


@pytest.fixture
def shell(tmp_path: Path, at: Desk, monkeypatch: pytest.MonkeyPatch) -> Shell:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[gateway]\naddress = "support@introserv.com"\nhostname = "mx.introserv.com"\nstate_dir = "{tmp_path}"\n'
        f'client_area_url = "https://my.example/"\n[database]\nurl = "sqlite:///{tmp_path / "gateway.db"}"\n'
        '[staff]\ntechnical = ["l1@introserv.com"]\nfinancial = ["billing@introserv.com"]\n'
    )
    monkeypatch.setattr(context, "who", lambda: "joe")

    def run(*arguments: str, stdin: str = "", code: int = 0) -> Any:
        done = CliRunner().invoke(app, ["--config", str(config), *noun(arguments)], input=stdin)
        told = getattr(done.exception, "exit_code", done.exit_code)
        assert told == code, (done.output, done.exception)
        return done

    return run


def noun(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return arguments if arguments[0] in ("topics", "report", "messages", "outbox") else ("tickets", *arguments)


def shown(shell: Shell, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell("show", reference, "--json").stdout)
    return found


def test_a_shift_at_the_shell(at: Desk, shell: Shell, tmp_path: Path) -> None:
    first, second = opened(at, 1), opened(at, 2)
    shell("assign", first)
    shell("watch", first, "--who", "ann@introserv.com")
    assert shell("tag", first, "+RAID", "disk", "-disk").stdout == "raid\n"
    assert "08:00:00 CET" in shell("snooze", first, "2036-12-01").stdout
    shell("link", first, second)
    shell("note", first, stdin="I called them.")
    assert "corrected: department" in shell("correct", first, "--department", "financial", "--critical", "no").stdout
    shell("wait", first, code=1)
    shell("reply", first, stdin="We are on it.")
    shell("wait", first)
    one = shown(shell, first)
    assert (one["owner"], one["tags"], one["watchers"], one["linked"]) == (
        "joe",
        ["raid"],
        ["ann@introserv.com"],
        [second],
    )
    assert [(reply["template"], reply["state"]) for reply in one["replies"]] == [
        ("received", "queued"),
        ("answer", "queued"),
    ]
    text = shell("show", first).stdout
    for words in ("owner                joe", "tags                 raid", "opened_at            2026-11-22 19:00:00 CET",
                  "joe: owner: nobody -> joe", "answer (en) to anna@example.de: queued",
                  "corrected            department: technical -> financial by joe", "reply received (the author is verified)"):  # fmt: skip
        assert words in text, words
    shell("merge", second, first)
    assert shown(shell, first)["merged"] == [second]
    shell("merge", second, "--undo")
    shell("close", second, "--silent")
    shell("close", first)
    assert [reply["template"] for reply in shown(shell, first)["replies"]][-1] == "closed"
    shell("snooze", first, "off")
    shell("reopen", first)
    shell("watch", first, "--who", "ann@introserv.com", "--undo")
    shell("link", first, second, "--undo")
    with closing(Store(f"sqlite:///{tmp_path / 'gateway.db'}")) as store:
        lines = [
            line for one in (first, second) for line in store.read_now(lambda c, one=one: audit.of(c, "ticket", one))
        ]
    assert {line["who"] for line in lines} == {"joe"} and all(line["at"] for line in lines)
    acts = {"assign", "watch", "unwatch", "tag", "snooze", "link", "unlink", "note", "correct", "wait", "answer"}
    assert {line["what"] for line in lines} == acts | {"merge", "unmerge", "close", "reopen"}, "each act has a line"


def test_lists_are_filtered_and_a_word_that_is_none_is_refused(at: Desk, shell: Shell) -> None:
    first, second = opened(at, 1), opened(at, 2)
    shell("assign", first, "jim")
    shell("tag", first, "raid")
    shell("correct", second, "--department", "financial")

    def listed(*arguments: str) -> set[str]:
        return {json.loads(row)["reference"] for row in shell("list", "--json", *arguments).stdout.splitlines()}

    assert listed() == {first, second}
    assert listed("--owner", "jim") == listed("--tag", "RAID") == listed("--department", "technical") == {first}
    assert listed("--owner", "nobody") == listed("--department", "financial") == {second}
    assert listed("--owner", "me") == listed("--state", "closed") == listed("--trust", "unknown") == set()
    assert (
        listed("--since", "2026-11-22T18:59") == listed("--language", "en", "--priority", "normal") == {first, second}
    )
    assert listed("--since", "2026-11-22T19:01") == set()
    for option, value, words in (
        ("--state", "bogus", "'open', 'waiting', 'closed'"),
        ("--since", "x", "neither a duration"),
    ):
        assert words in shell("list", option, value, code=2).output
    assert "email_change" in shell("correct", first, "--sensitive", "secrets", code=2).output
    assert "say what is right" in shell("correct", first, code=2).output


def test_a_long_list_is_shown_a_page_at_a_time(at: Desk, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of a million rows took 763 MB; its pages are in the order of a short list, and none is read twice."""
    references = [opened(at, number) for number in range(5)]
    at.store.write_now(lambda c: people.close(c, references[2], Acting(JOE, at.office, NOW)))
    lists = [("list",), ("list", "--state", "open"), ("messages", "list"), ("outbox", "list")]
    whole = [shell(*one, "--json").stdout for one in lists]
    assert [len(one.splitlines()) for one in whole[:3]] == [5, 4, 5]
    read: list[int] = []
    real = views._tickets
    monkeypatch.setattr(views, "_tickets", lambda c, rows: (read.append(len(rows)), real(c, rows))[1])
    for module in (cli_tickets, cli_listing):
        monkeypatch.setattr(module, "PAGE", 2)
    assert [shell(*one, "--json").stdout for one in lists] == whole
    assert read == [2, 2, 1, 2, 2]
    assert shell("list", "--limit", "3", "--json").stdout.splitlines() == whole[0].splitlines()[:3]
    assert shell("messages", "list", "--limit", "3", "--json").stdout.splitlines() == whole[2].splitlines()[:3]
    assert "2026-11-22 19:00:00 CET" in shell("messages", "list").stdout, "a table has the zone of whoever reads it"
    table = shell("list").stdout
    assert sum(reference in table for reference in references) == 5 and table.count("reference") == 3
    assert shell("list", "--account", "99999").stdout.startswith("reference"), "an empty list has its heading"


def test_an_answer_to_what_moved_on_is_not_sent(at: Desk, shell: Shell) -> None:
    reference = opened(at)
    version = shown(shell, reference)["version"]
    assert follow_up(at, reference, 1) == reference
    refused = shell("reply", reference, "--seen", str(version), stdin="Hello.", code=1)
    assert "anna@example.de" in str(refused.exception)
    assert "answer" not in {template for template, _ in at.customers()}
    shell("reply", reference, "--seen", str(version + 1), stdin="Hello.")


def test_a_misread_mail_is_a_labelled_text_a_minute_later(at: Desk, shell: Shell, tmp_path: Path) -> None:
    words = "My server is down, nothing answers.\nThe password is hunter2secret."
    first, second = opened(at, 1, words), opened(at, 2)
    shell("correct", first, "--critical", "no", "--department", "financial", "--sensitive", "none")
    shell("correct", first, "--department", "technical")
    shell("correct", second, "--priority", "high")  # no label of a text
    file = tmp_path / "labelled.csv"
    assert "1 labelled texts" in shell("topics", "export", str(file)).stdout
    exported = file.read_text()
    assert first in exported and "hunter2secret" not in exported and "[masked]" in exported
    found = shell("topics", "test", str(file)).stdout
    assert "department: 1 of 1 right" in found
    assert "critical: 0 of 1 right" in found
    assert "see outage.en.1" in found
    assert shell("topics", "export").stdout.replace("\r", "") == exported.replace("\r", "")


def test_the_mail_that_said_so_is_the_one_that_is_corrected(at: Desk, shell: Shell) -> None:
    reference = opened(at)
    raw = mail(OUTAGE_TEXT, subject=f"Re: [{reference}]", Message_ID="<down@example.de>")
    assert at.take(incoming(raw), raw).reference == reference
    shell("correct", reference, "--critical", "no")
    assert "nothing responds to ping" in shell("topics", "export").stdout


def test_the_report_at_the_shell(at: Desk, shell: Shell) -> None:
    opened(at, 1)
    late = opened(at, 2)
    at.store.write_now(lambda c: people.answer(c, late, "Hello.", Acting(JOE, at.office, NOW + 16 * MINUTE)))
    page = shell("report", "--since", "2026-11-01").stdout
    assert "all 2 1 0.0 % 50.0 % 16:00 min 16:00 min" in " ".join(page.split())
    found = json.loads(shell("report", "--since", "2026-11-01", "--json").stdout)
    assert (found["total"]["within_limit"], found["days"][0]["key"]) == (1, "2026-11-22")
    assert "neither a duration" in shell("report", "--since", "yesterday", code=2).output


@pytest.mark.parametrize(
    "words",
    [
        ("messages", "discard", "99999999999999999999"), ("messages", "raw", "99999999999999999999"), ("report", "--since", "99999999999d"),
        ("outbox", "discard", "99999999999999999999"), ("tickets", "list", "--limit", "99999999999999999999"),
    ],
)  # fmt: skip
def test_a_number_or_date_beyond_all_is_told_in_a_line(
    at: Desk, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:  # fmt: skip
    from gateway.cli import main

    monkeypatch.setattr("sys.argv", ["gateway", "--config", str(tmp_path / "config.toml"), *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (1, 2)
    said = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in "".join(said) and said
