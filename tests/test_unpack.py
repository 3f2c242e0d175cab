"""winmail.dat, RTF, invitations, and what is signed or encrypted."""

from __future__ import annotations

import base64
import hashlib
import random
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.read.attachments import attachment
from gateway.read.calendar import calendar
from gateway.read.formats import rtf_text
from gateway.read.message import parse
from gateway.read.reading import Hints, read
from gateway.read.tnef import unpacked

HINTS = Hints("a@b.example", datetime(2026, 11, 22, 16, tzinfo=UTC), "Europe/Berlin")


def _attribute(level: int, name: int, kind: int, data: bytes) -> bytes:
    return struct.pack("<BHHI", level, name, kind, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def winmail(body: bytes, files: dict[str, bytes]) -> bytes:
    """A small TNEF stream (MS-OXTNEF section 2.1.3): a body and attachments."""
    found = struct.pack("<IH", 0x223E9F78, 1) + _attribute(1, 0x9006, 8, struct.pack("<I", 0x10000))
    found += _attribute(1, 0x800C, 2, body + b"\0")
    for name, content in files.items():
        found += _attribute(2, 0x9002, 6, b"\0" * 14) + _attribute(2, 0x8010, 1, name.encode("cp1252") + b"\0")
        found += _attribute(2, 0x800F, 6, content)
    return found


def mail(part: bytes, kind: str, plain: str = "") -> bytes:
    encoded = base64.encodebytes(part).replace(b"\n", b"\r\n").decode()
    text = f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{plain}\r\n" if plain else ""
    return (
        "From: a@b.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"{text}--b\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}--b--\r\n"
    ).encode()


def test_the_words_and_files_of_a_winmail_dat() -> None:
    log = b"kernel: out of memory\r\n"
    raw = mail(
        winmail(b"The disk of order #123456 is slow.", {"kern.log": log}), "application/ms-tnef; name=winmail.dat"
    )
    found = read(raw, HINTS)
    assert found.text == "The disk of order #123456 is slow."
    assert [(a.filename, a.size) for a in found.parsed.attachments] == [("kern.log", len(log))]
    assert [c.value for c in found.orders] == ["123456"]
    assert attachment(raw, hashlib.sha256(log).hexdigest()) == log


def test_the_words_of_the_mail_itself_come_first() -> None:
    raw = mail(winmail(b"the copy of Outlook", {}), "application/ms-tnef", "the words of the mail")
    assert read(raw, HINTS).text == "the words of the mail"


def test_what_is_no_winmail_dat_stays_an_attachment() -> None:
    found = parse(mail(b"no TNEF at all", "application/ms-tnef; name=winmail.dat"))
    assert [a.filename for a in found.attachments] == ["winmail.dat"]
    assert "winmail.dat cannot be read" in found.notes


def test_real_ones_are_read(corpora: Path) -> None:
    words = {
        "IPM-DistList.tnef": "Will send the second half",
        "duplicate_filename.tnef": "bodødamene",
        "umlaut.tnef": "TEST äöü",
    }
    files = {"IPM-DistList.tnef": 1, "duplicate_filename.tnef": 3, "umlaut.tnef": 3}
    for path in sorted((corpora / "tnef" / "tnefparse").glob("*.tnef")):
        found = read(mail(path.read_bytes(), "application/ms-tnef; name=winmail.dat"), HINTS)
        assert words[path.name] in found.text
        assert len(found.parsed.attachments) == files[path.name]
    assert "UmlautAnhang-äüö.txt" in [a.filename for a in found.parsed.attachments]


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (rb"{\rtf1\ansi Hello\par World}", "Hello\nWorld"),
        (rb"{\rtf1\ansi\ansicpg1252 Gr\'fc\'dfe}", "Grüße"),
        (rb"{\rtf1\ansi\ansicpg1251 \'cf\'f0\'e8}", "При"),
        (rb"{\rtf1\uc1 \u1055?\u1088?}", "Пр"),
        (rb"{\rtf1{\fonttbl{\f0 Arial;}}{\*\generator x;}text}", "text"),
        (rb"{\rtf1 a\{b\}c\\d}", "a{b}c\\d"),
        (rb"{\rtf1 a\tab b}", "a b"),
        (b"", ""),
        (rb"}}}}\u999999999{", ""),
    ],
)
def test_rtf(rtf: bytes, text: str) -> None:
    assert rtf_text(rtf) == text


INVITATION = (
    "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:Migration\\, part 2\r\nDTSTART;TZID=Europe/Berlin:20261123T140000\r\n"
    "DTEND;TZID=Europe/Berlin:20261123T150000\r\nLOCATION:Data\r\n  centre\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
LINE = (
    "[invitation: Migration, part 2, 2026-11-23 14:00 (Europe/Berlin) - 2026-11-23 15:00 (Europe/Berlin), Data centre]"
)


@pytest.mark.fault("X34")
def test_an_invitation_is_a_line() -> None:
    assert calendar(INVITATION) == LINE
    raw = mail(INVITATION.encode(), "text/calendar; method=REQUEST; charset=utf-8", "Please join.")
    assert read(raw, HINTS).text == f"Please join.\n\n{LINE}"
    assert calendar(INVITATION.replace("REQUEST", "CANCEL")).startswith("[cancelled: Migration")
    assert calendar("no calendar") == ""


@pytest.mark.fault("X34")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("multipart/encrypted; protocol=application/pgp-encrypted; boundary=b", "encrypted (OpenPGP)"),
        ("application/pkcs7-mime; smime-type=enveloped-data", "encrypted (S/MIME)"),
        ("application/pkcs7-mime; smime-type=signed-data", "signed (S/MIME), its words inside"),
        ("multipart/signed; protocol=application/pgp-signature; boundary=b", "signed (OpenPGP)"),
        ("multipart/signed; protocol=application/pkcs7-signature; boundary=b", "signed (S/MIME)"),
        ("text/plain", ""),
    ],
)
def test_sealed_mail_is_recognised_and_said_so(kind: str, said: str) -> None:
    raw = f"From: a@b.example\r\nContent-Type: {kind}\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n".encode()
    found = parse(raw)
    assert found.signed_or_encrypted.startswith(said)
    assert bool(said) is any(note.startswith(said) for note in found.notes if said)


def test_the_armour_of_a_signature_is_not_the_customers_words() -> None:
    text = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nPlease reboot r1z7og44.\n-----BEGIN PGP SIGNATURE-----\n\n"
        "iQEzBAEBCAAdFiEE0123456789\n=abcd\n-----END PGP SIGNATURE-----\n"
    )
    found = read(f"From: a@b.example\r\nContent-Type: text/plain\r\n\r\n{text}".encode(), HINTS)
    assert found.text == "Please reboot r1z7og44."
    assert found.parsed.signed_or_encrypted.startswith("signed (OpenPGP)")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_noise_raises_nothing(noise: bytes, seed: int) -> None:
    rtf_text(noise)
    rtf_text(b"{\\rtf1 " + noise)
    calendar(noise.decode("latin-1"))
    unpacked(noise)
    whole = bytearray(winmail(b"body", {"a.txt": b"content"}))
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 8)):
        whole[chance.randrange(6, len(whole))] = chance.randrange(256)
    unpacked(bytes(whole))
