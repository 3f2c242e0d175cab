"""``gateway accept``: one raw mail handed to the daemon's LMTP socket, with the exit codes an MTA understands."""

from __future__ import annotations

import smtplib
from dataclasses import dataclass

STORED, REFUSED, TRY_AGAIN = 0, 65, 75


@dataclass(frozen=True, slots=True)
class Handed:
    """The envelope to hand over; ``mail_from`` ``None`` when it is not known."""

    mail_from: str | None
    rcpt: str
    peer: str | None
    helo: str | None


def hand_over(where: str, raw: bytes, envelope: Handed, timeout: float = 150.0) -> tuple[int, str]:
    """(exit code, what the daemon said). ``where`` is a socket path or host:port."""
    try:
        if where.startswith("/"):
            client: smtplib.SMTP = smtplib.LMTP(where, timeout=timeout)
        else:
            host, _, port = where.rpartition(":")
            client = smtplib.LMTP(host.strip("[]"), int(port), timeout=timeout)
    except (OSError, smtplib.SMTPException) as error:
        return TRY_AGAIN, f"nobody listens on {where}: {error}"
    try:
        return _dialogue(client, raw, envelope)
    except (OSError, smtplib.SMTPException) as error:
        return TRY_AGAIN, str(error)
    finally:
        client.close()


def _dialogue(client: smtplib.SMTP, raw: bytes, envelope: Handed) -> tuple[int, str]:
    steps: list[tuple[int, bytes]] = [client.ehlo("localhost")]
    attributes = {"ADDR": envelope.peer, "HELO": envelope.helo}
    given = " ".join(f"{name}={_xtext(value)}" for name, value in attributes.items() if value)
    if given:
        steps.append(client.docmd("XFORWARD", given))
    options = [] if envelope.mail_from is not None else ["X-SENDER=UNKNOWN"]
    steps.append(client.mail(envelope.mail_from or "", options))
    steps.append(client.rcpt(envelope.rcpt))
    for code, words in steps:
        if code >= 300:
            return _exit(code), words.decode("utf-8", "replace")
    code, words = client.data(raw)
    return _exit(code), words.decode("utf-8", "replace")


def _exit(code: int) -> int:
    return STORED if 200 <= code < 300 else REFUSED if code >= 500 else TRY_AGAIN


def _xtext(value: str) -> str:
    return "".join(c if 33 <= ord(c) <= 126 and c not in "+=" else f"+{ord(c) % 256:02X}" for c in value)
