"""25 MB of bare CRLF, and what the mails of 32 peers at once cost (``tests/stories/flood.py``): ``python -m bench.flood``."""

from __future__ import annotations

from tests.stories import flood

if __name__ == "__main__":
    print(flood.crlf())
    print(flood.syncs())
