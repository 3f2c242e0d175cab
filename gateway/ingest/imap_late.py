"""UIDs that a server has given and does not list yet: a mail may become visible a moment after one with a higher UID.

The cursor of a folder stays below them for a while, so that they are asked for at every look; what does not come was
deleted. Pure: told of each look, asked how far the folder is settled.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

LATE = timedelta(minutes=10)  #: how long a UID may take to appear
SPAN = 1000  #: UIDs below UIDNEXT among which one may be late; older ones were deleted


class Late:
    """The gaps of one folder under one UIDVALIDITY."""

    def __init__(self) -> None:
        self._since: dict[int, datetime] = {}  #: when each gap was seen first
        self._seen: set[int] = set()  #: what was listed once: moved away since, it is no gap
        self._now: datetime | None = None  #: of the last look

    def looked(self, there: Collection[int], last_uid: int, next_uid: int, now: datetime) -> str:
        """Takes note of a look at the folder.

        Args:
            there: the UIDs above ``last_uid`` that are listed or were dealt with.
            last_uid: up to which the folder is settled.
            next_uid: UIDNEXT, to which the server had given UIDs at the look.

        Returns:
            The gaps that were not known before, for the log ("7, 9"), or an empty string.
        """
        self._seen = {uid for uid in self._seen if uid > last_uid} | set(there)
        first = max(last_uid + 1, next_uid - SPAN)
        gaps = [uid for uid in range(first, next_uid) if uid not in self._seen]
        fresh = [uid for uid in gaps if uid not in self._since]
        self._since = {uid: self._since.get(uid, now) for uid in gaps}
        self._now = now
        return ", ".join(map(str, fresh[:20]))

    def below(self, uid: int) -> int:
        """How far the folder is settled when all that is listed up to ``uid`` is dealt with."""
        young = [gap for gap, since in self._since.items() if gap <= uid and self._now and self._now - since < LATE]
        return min(young) - 1 if young else uid
