"""``gateway templates preview``: every template in every language can be looked at, and every link of the index leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gateway.replies.samples import NAMES, STAFF

SHOWN = {
    "received": {"full", "bare", "incident", "asked"}, "verification_needed": {"full", "bare", "sensitive", "asked"},
    "emergency": {"full", "bare", "incident", "asked"}, "status": {"full", "bare", "incident", "sensitive", "asked"},
}  # fmt: skip
LANGUAGES = ("de", "en", "es", "fr", "it", "ru", "uk")


def preview(tmp_path: Path, *arguments: str, more: str = "") -> subprocess.CompletedProcess[str]:
    config = tmp_path / "config.toml"
    given = f'[gateway]\nstate_dir = "{tmp_path}"\nname = "Example Support"\n[clock]\ntarget = "7m"\n{more}'
    config.write_text(given)
    command = [sys.executable, "-m", "gateway", "--config", str(config), "templates", "preview", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_all_templates_are_written_with_an_index(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    done = preview(tmp_path, "--all", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    for language in LANGUAGES:
        for name in NAMES:
            cases = [path.name.split(".")[1] for path in (folder / language).glob(f"{name}.*.txt")]
            assert set(cases) >= SHOWN.get(name, {"full", "bare"})
            for case in cases:
                text = (folder / language / f"{name}.{case}.txt").read_text()
                page = (folder / language / f"{name}.{case}.html").read_text()
                assert text.startswith("Subject: ")
                assert "Example Support" in text
                assert f'<html lang="{language}">' in page
                assert re.findall(r"<(?:img|script|link|iframe)\b|url\(", page) == [], "nothing is loaded"
    assert {path.name.partition(".")[0] for path in (folder / "en").glob("staff_*.txt")} == set(STAFF)
    german = (folder / "de" / "received.full.txt").read_text().replace("\n", " ")
    assert "7\u00a0bis\u00a030\u00a0Minuten" in german, "numbers come from the configuration"
    for page_file in folder.glob("*.html"):
        links = re.findall(r'(?:href|src)="([^"]+)"', page_file.read_text())
        assert len(links) >= 3 * len(NAMES)
        assert [link for link in links if not (folder / link).is_file()] == []


def test_one_template_is_printed_and_neither_or_both_is_refused(tmp_path: Path) -> None:
    assert "Wir haben Ihre Anfrage T-0000000" in " ".join(
        preview(tmp_path, "closed", "--language", "de").stdout.split()
    ).replace("wir", "Wir")
    for arguments in ((), ("closed", "--all", str(tmp_path / "x"))):
        done = preview(tmp_path, *arguments)
        assert (done.returncode, done.stderr) == (2, "gateway: name a template, or give --all FOLDER\n")


def test_a_template_that_cannot_be_shown_says_why(tmp_path: Path) -> None:
    (tmp_path / "received.de.txt.j2").write_text("Hallo {{ nmae }}\n")
    more = f'[replies]\ntemplates_dir = "{tmp_path}"\n'
    done = preview(tmp_path, "received", "--language", "de", more=more)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "gateway: template received.de.txt.j2: UndefinedError: 'nmae' is undefined\n"
