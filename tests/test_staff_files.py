"""The files of a staff notification: up to 10 MB go along, the rest is named; a relay that takes less gets the words alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.peers import Taken
from gateway.tickets.briefing import MAX_FILES, files
from tests.scene import Letter, Mail, Scene

OPS, JOE = "ops@shop.example", "joe@staff.example"
TEXT = "Hello,\n\nthe disk of tfz1cvkr is slow, the dump is attached.\n"
LIMIT = 300_000  #: octets that the relay of this test takes


def test_what_fits_goes_along_and_the_rest_is_named() -> None:
    found = files(
        7, [("a.log", "text/plain", MAX_FILES - 10, "a"), ("b.bin", "x/y", 11, "b"), ("c.txt", "text/plain", 10, "c")]
    )
    assert [one["filename"] for one in found["files"]] == ["a.log", "c.txt"]
    assert [one["filename"] for one in found["left_out"]] == ["b.bin"]
    many = files(7, [(f"{number}.png", "image/png", 1, str(number)) for number in range(30)])
    assert (len(many["files"]), many["more_files"]) == (20, 10)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    def relay(taken: Taken) -> str:
        return "552 5.3.4 Message size exceeds fixed limit" if len(taken.raw) > LIMIT else "250 2.0.0 OK"

    made = Scene(tmp_path_factory.mktemp("files"), answer=relay)
    yield made
    made.close()


def test_a_file_that_is_too_large_is_named_with_its_size(scene: Scene) -> None:
    big = ("dump.bin", "application/octet-stream", bytes(11 * 1024**2))
    scene.write(Mail(f"Shop Ops <{OPS}>", TEXT, files=[big, ("Übersicht.txt", "text/plain", b"short\n")]))
    letter = scene.letter(JOE)
    assert [(name, str(content)) for name, content in letter.files] == [("Übersicht.txt", "short\n")]
    assert "Attached: Übersicht.txt (6 bytes)\nNot attached: dump.bin (11 MB)" in letter.text


def test_a_relay_that_takes_no_mail_of_this_size_gets_the_words(scene: Scene) -> None:
    scene.letters(JOE)
    scene.write(Mail(f"Shop Ops <{OPS}>", TEXT, files=[("dump.bin", "application/octet-stream", bytes(LIMIT))]))
    letter = scene.letter(JOE)
    assert letter.files == []
    assert "Not attached: dump.bin (293 KB)" in letter.text


@pytest.mark.parametrize("kind", ["text/html", "message/rfc822", "image/svg+xml"])
def test_what_a_mail_program_would_show_as_a_page_is_only_a_file(scene: Scene, kind: str, tmp_path: Path) -> None:
    from gateway.model import Enclosure
    from gateway.replies.render import build
    from tests.test_render import ITEM, SENDER, TEMPLATES

    raw = build(ITEM, SENDER, TEMPLATES, [Enclosure("../../page\r\nX: y.html", kind, b"<script>")]).raw
    ((name, content),) = Letter(raw).files
    part = next(Letter(raw).message.iter_attachments())
    assert (part.get_content_type(), content) == ("application/octet-stream", b"<script>")
    assert "/" not in name
    assert b"\r\nX: y" not in raw
