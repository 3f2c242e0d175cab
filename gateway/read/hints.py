"""What reading needs besides the bytes: known without loading what reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.model import portable


@portable
@dataclass(frozen=True, slots=True)
class Hints:
    """What reading needs besides the bytes."""

    mail_from: str | None
    received_at: datetime
    timezone: str
    topics: str = ""  #: the text of the admin's own topics file
