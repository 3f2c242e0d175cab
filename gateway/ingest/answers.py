"""Every reply a peer can hear, with its enhanced status code (RFC 5321, 2034, 3463). A 5xx of ours means that the
sender must change something; every fault of ours is 4xx."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from gateway.ingest.clocks import Overdue


@dataclass(frozen=True, slots=True)
class Reply:
    """What a peer hears. Nothing private in it; ``enhanced`` is empty for greeting and HELO, EHLO, LHLO."""

    code: int
    enhanced: str
    text: str

    def __post_init__(self) -> None:
        if self.enhanced and str(self.code)[0] != self.enhanced[0]:
            raise ValueError("the classes of code and enhanced code disagree")

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"


OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
BYE = Reply(221, "2.0.0", "Bye")
GO_AHEAD = Reply(354, "", "End data with <CRLF>.<CRLF>")
BAD_SYNTAX = Reply(500, "5.5.2", "Bad syntax")
TOO_LONG = Reply(500, "5.5.2", "Line too long")
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognized")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
BAD_ARGUMENT = Reply(501, "5.5.4", "Bad argument")
BAD_SEQUENCE = Reply(503, "5.5.1", "Bad sequence of commands")
NO_RECIPIENTS = Reply(503, "5.5.1", "No valid recipients")
BAD_SENDER = Reply(553, "5.1.7", "Bad sender address")
BAD_RECIPIENT = Reply(553, "5.1.3", "Bad recipient address")
NEEDS_UTF8 = Reply(553, "5.6.7", "Internationalized addresses are not supported")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognized")
NO_SUCH_USER = Reply(550, "5.1.1", "No such mailbox here")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
TOO_BIG = Reply(552, "5.3.4", "Message too big")
LOOP = Reply(554, "5.4.6", "Too many hops")
BARE_NEWLINE = Reply(550, "5.6.11", "Bare CR or LF is not allowed")
LINES_TOO_LONG = Reply(550, "5.6.0", "A line is longer than 64 KiB")
NO_SPACE = Reply(452, "4.3.1", "Insufficient storage, try again later")
BUSY = Reply(452, "4.3.1", "Too much mail at once, try again later")
NO_WEB_SERVER = Reply(500, "5.5.1", "This is no web server")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors")
TOO_SLOW = Reply(421, "4.7.0", "Too slow while others wait, try again later")
ENDLESS = Reply(421, "4.3.1", "Much too big, and no end of it")
OVERDUE = {
    Overdue.IDLE: Reply(421, "4.4.2", "Timeout waiting for a command that leads to a mail"),
    Overdue.HANDSHAKE: Reply(421, "4.4.2", "Timeout in the TLS handshake"),
    Overdue.BLOCK: Reply(421, "4.4.2", "Timeout waiting for data"),
    Overdue.DATA: Reply(421, "4.4.2", "The data of the mail took too long"),
    Overdue.SESSION: Reply(421, "4.4.2", "The session took too long"),
}
SHUTDOWN = Reply(421, "4.3.2", "Shutting down, try again later")
CANNOT_VERIFY = Reply(252, "2.1.5", "Cannot verify, but will take the message")
HELP = Reply(214, "2.0.0", "See RFC 5321")
DENIED = Reply(550, "5.7.0", "Not allowed")
NO_TLS = Reply(454, "4.7.0", "TLS not available")


def accepted_as(receipt: str) -> Reply:
    """The mail is ours from now on; ``receipt`` is what to ask us by (``gateway trace``)."""
    return Reply(250, "2.0.0", f"Accepted as {receipt}" if receipt else "Accepted")


def incident_reply(incident: str) -> Reply:
    """The one answer to every internal fault."""
    return Reply(451, "4.3.0", f"Temporary trouble here, try again later (incident {incident})")


def new_incident() -> str:
    """A short id that joins what a peer heard with our log."""
    return secrets.token_hex(4)
