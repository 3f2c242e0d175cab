"""The question to a token server: one answer, within a time and a size, from nobody else.

A redirect is not followed: it would carry our question, or at least our request, to wherever the server says. A server
that sends an octet now and then is cut off when the time is over.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import urllib.error
import urllib.request
from typing import Any

MAX_ANSWER = 64 * 1024


class _Cut(http.client.HTTPConnection):
    """A connection whose ``timeout`` is that of the whole answer, which is read when this object is closed already."""

    def connect(self) -> None:
        """Connects; the time runs from here."""
        super().connect()
        over = threading.Timer(float(self.timeout or 0), _shut, (self.sock,))
        over.daemon = True
        over.start()


class _CutTls(_Cut, http.client.HTTPSConnection):
    """The same over TLS."""


def _shut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(
            connected, socket.SHUT_RDWR
        )  # that of TLS would forget its keys under the reader's hands


class _Plain(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """See ``urllib``."""
        return self.do_open(_Cut, request)


class _Tls(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """See ``urllib``."""
        return self.do_open(_CutTls, request)


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Nowhere."""


_OPENER = urllib.request.build_opener(_Plain, _Tls, _Stays)


def posted(url: str, form: bytes, seconds: float) -> tuple[int, bytes]:
    """(status, the first ``MAX_ANSWER`` octets) of the answer.

    Raises:
        OSError: there is none within these seconds.
    """
    # the configuration allows https, and http to this machine
    request = urllib.request.Request(url, form, {"Accept": "application/json"})  # noqa: S310
    try:
        response = _OPENER.open(request, timeout=seconds)
    except urllib.error.HTTPError as error:
        response = error
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP: {type(error).__name__}") from error
    with contextlib.closing(response):
        try:
            return int(response.status or 0), response.read(MAX_ANSWER)
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP: {type(error).__name__}") from error
