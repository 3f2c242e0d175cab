"""What a bounce or a feedback report says in its own parts (RFC 3464, RFC 6533, RFC 5965)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.mail.charsets import decode
from gateway.model import DeliveryReport
from gateway.read.attachments import HEADERS, MAILS, STATUS, beginning
from gateway.read.structure import Part

MAX_REPORT = 65536
FEEDBACK = "message/feedback-report"
_RECIPIENT = re.compile(r"(?im)^(?:final|original)-recipient:[^;\n]{0,40};[ \t]*<?([^\s<>]{3,300})")
_ACTION = re.compile(r"(?im)^action:[ \t]*(\w+)")
_FEEDBACK = re.compile(r"(?im)^feedback-type:[ \t]*([a-z-]{1,40})")
_SOURCE = re.compile(r"(?im)^source-ip:[ \t]*\[?(?:ipv6:)?([0-9a-f.:]{3,45})")
_STATUS = re.compile(r"(?im)^status:[ \t]*(\d\.\d{1,3}\.\d{1,3})")
_ID = re.compile(r"(?im)^message-id:[ \t]*(?:\r?\n[ \t]+)?<([^<>\s]{1,250})>")
_QUOTED_ID = re.compile(r"(?im)^[ \t>]{0,20}message-id:[ \t]*<([^<>\s]{1,250})>")


def report(root: Part, headers: Mapping[str, tuple[str, ...]], plain: str, failed: list[str]) -> DeliveryReport | None:
    """The report in a mail, ``None`` when it is none. ``failed``: the addresses of X-Failed-Recipients."""
    status = action = ""
    recipients: list[str] = []
    original: str | None = None
    seen, feedback, source = False, "", ""
    for part in root.leaves():
        if part.kind in STATUS:
            seen = True
            text = _text(part)
            recipients += _RECIPIENT.findall(text)
            action = action or "".join(_ACTION.findall(text)[:1]).lower()
            status = status or "".join(_STATUS.findall(text)[:1])
        elif part.kind == FEEDBACK:
            text = _text(part)
            seen, feedback = True, "".join(_FEEDBACK.findall(text)[:1]).lower()
            source = "".join(_SOURCE.findall(text)[:1])
        elif part.kind in (*MAILS, *HEADERS) and original is None:
            original = next(iter(_ID.findall(_text(part))), None)
    if headers.get("x-failed-recipients"):
        seen = True
        recipients += failed
    if original is None and "essage-id:" in plain.lower():
        original = next(iter(_QUOTED_ID.findall(plain[:MAX_REPORT])), None)
    if not seen and root.declared.parameters.get("report-type") != "delivery-status":
        return None if original is None else DeliveryReport(original, (), "", "")
    return DeliveryReport(original, tuple(dict.fromkeys(recipients))[:50], action, status, feedback, source)


def _text(part: Part) -> str:
    return decode(beginning(part, MAX_REPORT), None)[0]
