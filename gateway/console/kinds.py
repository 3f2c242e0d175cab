"""Which attached files a person can look at without opening them: mails and texts."""

from __future__ import annotations

from typing import Any

from gateway.read.attachments import MAILS

_TEXTS = (".txt", ".log", ".csv", ".json", ".xml", ".yml", ".yaml", ".conf", ".cfg", ".ini", ".md", ".diff", ".out")
_PROGRAMS = ("text/html", "text/xml")  #: of text, those that are no text to a reader


def is_mail(name: str, kind: str) -> bool:
    """Whether a file is a mail."""
    return kind in MAILS or name.lower().endswith(".eml")


def is_text(name: str, kind: str) -> bool:
    """Whether a file is read as text."""
    return (kind.startswith("text/") and kind not in _PROGRAMS) or name.lower().endswith(_TEXTS)


def opens(file: Any) -> bool:
    """Whether an attachment (``filename type``) is one of them."""
    return is_mail(file.filename, file.type) or is_text(file.filename, file.type)
