"""The configuration: every default, every refusal."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from gateway import config, manual
from gateway.ingest.settings import Oauth2
from gateway.reloading import FIXED
from gateway.settings import Budget, Seconds, octets, seconds, secret

ROOT = Path(__file__).resolve().parents[1]
BAD = sorted((ROOT / "tests" / "bad_configs").glob("*.toml"))


def test_the_example_documents_every_key_with_its_default() -> None:
    text = (ROOT / "config.example.toml").read_text()
    loaded = config.parse(text)
    assert loaded == config.Settings()
    written = tomllib.loads(text)
    for section, field in config.Settings.model_fields.items():
        model, part = field.annotation, text
        if get_args(model):  # [[imap]]: an example of each key, commented out as a whole
            model = get_args(model)[0]
            part = text[text.index(f"# [[{section}]]") :].partition("\n\n")[0]
        for key in model.model_fields:  # type: ignore[union-attr]
            if key in written.get(section, ()):
                continue
            line = re.search(rf"(?m)^# {key} = .*$", part)
            assert line and re.search(r"\((required|optional)\)", line[0]), f"{section}.{key} is not documented"


def test_the_examples_of_sources_hold_their_defaults() -> None:
    text = (ROOT / "config.example.toml").read_text()
    part = "\n".join(
        line.removeprefix("# ") for line in text[text.index("# [[imap]]") :].partition("\n[dns]")[0].split("\n")
    )
    kept = [line for line in part.split("\n") if re.match(r"\[\[|(?!oauth2)\w+ = ", line)]
    loaded = config.parse("\n".join(kept))
    optional = {"ca_file", "password_file", "junk_folder", "done_folder", "failed_folder", "authserv_id", "port"}
    for shown, needed in (
        (loaded.imap[0], {"name", "host", "username"}), (loaded.maildir[0], {"name", "path"}),
    ):  # fmt: skip
        for key, field in type(shown).model_fields.items():
            if key not in needed | optional:
                assert getattr(shown, key) == field.default, key
    assert loaded.imap[0].connects_to == 993


@pytest.mark.fault("X73")
@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_configuration_is_refused_with_file_key_and_reason(path: Path) -> None:
    expected = path.with_suffix(".expected").read_text().splitlines()
    with pytest.raises(config.ConfigError) as caught:
        config.load(path)
    shown = [str(problem).removeprefix(str(path)) for problem in caught.value.problems]
    assert shown == expected


def test_there_are_bad_configurations() -> None:
    assert len(BAD) >= 12


@pytest.mark.parametrize(
    ("text", "value"), [("15m", 900.0), ("30s", 30.0), ("24h", 86400.0), ("5d", 432000.0), ("250ms", 0.25), (7, 7.0)]
)
def test_durations(text: object, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(("text", "value"), [("25MB", 26214400), ("0B", 0), ("64kb", 65536), (12, 12)])
def test_sizes(text: object, value: int) -> None:
    assert octets(text) == value


def test_a_secret_comes_from_its_file_or_from_the_credentials_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "relay-password").write_text("from systemd\n")
    (tmp_path / "mine").write_text("from a file\n")
    assert secret(None, "relay-password") is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret(None, "relay-password") == "from systemd"
    assert secret(tmp_path / "mine", "relay-password") == "from a file"


@pytest.mark.fault("X73")
def test_files_that_the_configuration_names_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("secret")
    (tmp_path / "open").chmod(0o644)
    settings = config.parse(
        f'[relay]\nusername="x"\npassword_file="{tmp_path / "open"}"\n[directory]\npath="{tmp_path / "none"}"\n'
        f'[smtp]\ntls_cert="{tmp_path / "c"}"\ntls_key="{tmp_path / "k"}"\n'
    )
    keys = {problem.key for problem in config.file_problems(settings, "c.toml")}
    assert keys == {"relay.password_file", "smtp.tls_cert"}


@pytest.mark.parametrize(
    ("file", "made", "command"),
    [
        ("docs/configuration.md", manual.page, "python -m gateway.manual > docs/configuration.md"),
        ("config.example.toml", manual.example, "python -m gateway.manual example > config.example.toml"),
    ],
)
def test_what_is_made_of_the_settings_is_as_they_are(file: str, made: Callable[[], str], command: str) -> None:
    if (ROOT / file).read_text() != made():
        pytest.fail(f"{file} is not what the settings say; write it anew: {command}")


def test_every_key_says_what_it_does_and_which_need_a_restart() -> None:
    parts = {part.title.strip("[]"): part for part in manual.parts()}
    assert [*config.Settings.model_fields] == [name for name in parts if "." not in name]
    assert {key.name for key in parts["imap.oauth2"].keys} == set(Oauth2.model_fields)
    fixed = {f"{name}.{key.name}" for name, part in parts.items() for key in part.keys if key.restart}
    assert fixed == {*FIXED} - {"database_url"} | {"database.url", "database.url_file"}
    for name, part in parts.items():
        assert part.words[0].endswith("."), name
        for key in part.keys:
            assert len(key.words.split()) > 1, f"{name}.{key.name}"


def test_values_are_written_as_a_file_has_them() -> None:
    (clock,) = (part for part in manual.parts() if part.title == "[clock]")
    assert [(key.name, key.form, key.value) for key in clock.keys][:2] == [
        ("target", "duration", '"15m"'), ("status_reply", "duration", '"25m"'),
    ]  # fmt: skip
    for seconds_, text in ((0, "0s"), (90, "90s"), (3600, "1h"), (86400, "24h"), (172800, "2d"), (5400, "90m")):
        assert manual.toml_of(float(seconds_), Seconds) == f'"{text}"'
    assert manual.toml_of((5, 3600.0), Budget) == '"5/1h"'
    assert manual.toml_of({"joe": "joe@example.com"}, dict) == '{ joe = "joe@example.com" }'
