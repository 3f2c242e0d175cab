"""The files that go along with a reply, taken from the stored original when it is sent: nothing is kept twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from gateway.database import originals
from gateway.database.store import Store
from gateway.model import Enclosure, OutboxItem
from gateway.read.attachments import attachment


class Enclosures:
    """Finds the files that the context of an item names (``message sha256 filename type size``). Each mail was read
    before by a process that may be killed; here it is only taken apart."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, item: OutboxItem) -> Sequence[Enclosure]:
        """The files of an item, in order.

        Raises:
            LookupError: a file of a person's answer is not there any more; a notification goes without.
            Unavailable: the database cannot be read now.
        """
        found: list[Enclosure] = []
        raws: dict[int, bytes | bytearray] = {}
        for wanted in item.context["files"]:
            message = int(wanted["message"])
            if message not in raws:
                raws[message] = await self._store.read(partial(originals.load, key=message))
            content = await asyncio.to_thread(attachment, raws[message], str(wanted["sha256"]))
            if content is not None:
                found.append(Enclosure(str(wanted["filename"]), str(wanted["type"]), content))
            elif item.kind == "person":
                raise LookupError(f"the attachment of message {message} is not there any more")
        return found
