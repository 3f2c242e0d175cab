"""What the service of this machine says of itself, asked on the socket in its state directory."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

SOCKET = "health.sock"
ASK_S = 5.0  #: a busy machine may take its time
MOST = 1 << 20


def ask(state_dir: Path) -> dict[str, Any]:
    """``/usage`` of the service of a state directory; empty when it does not run or does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ASK_S)
            client.connect(str(state_dir / SOCKET))
            client.sendall(b"GET /usage HTTP/1.1\r\n\r\n")
            with client.makefile("rb") as answer:
                found = json.loads(answer.read(MOST).partition(b"\r\n\r\n")[2])
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
