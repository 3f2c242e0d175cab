"""A reader in this very process, for what is measured or tried behind it."""

from __future__ import annotations

from typing import Any

from gateway.read.reading import read


class InProcess:
    """Reads here; stands for ``Readers``."""

    trouble = ""

    async def read(self, raw: bytes, hints: Any, place: Any = None) -> Any:
        return read(raw, hints)
