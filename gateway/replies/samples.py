"""The templates by name, and for each the values that reach every branch of it: what ``check`` and ``preview`` try."""

from __future__ import annotations

from typing import Any

NAMES = (
    "received", "received_general", "verification_needed", "emergency", "status", "answer", "closed", "abuse_notice"
)  # fmt: skip
STAFF = (
    "staff_new", "staff_alert", "staff_breach", "staff_digest", "staff_undelivered", "staff_owner", "staff_held",
    "staff_refused",
)  # fmt: skip
FENCED = frozenset(STAFF) - {"staff_digest"}  #: what staff answer by mail, or may
OURS = frozenset(NAMES) - {"answer", "abuse_notice"}  #: none of their words are another's


def samples(name: str) -> list[dict[str, Any]]:
    """Contexts that reach every branch of a template, for ``check`` and ``preview``."""
    base: dict[str, Any] = {
        "reference": "T-0000000", "verified": True, "department": "technical", "priority": "high", "critical": True,
        "missing": ["diagnostics"], "sensitive": [], "account_name": "Anna Example", "subject": "Server 203.0.113.7",
        "orders": ["123456"], "ips": ["203.0.113.7"],
        "account": "10023", "about": "203.0.113.7", "services": ["r1z7og44"], "invoices": ["604983"],
        "started_at": "2026-11-22T14:30:00+01:00",
        "in_reply_to": "a@example.de", "references": [], "text": _ANSWER,
    }  # fmt: skip
    empty: dict[str, Any] = base | {
        "verified": False, "department": "financial", "priority": "normal", "critical": False,
        "missing": ["order_or_ip"], "account_name": "", "subject": "", "orders": [], "ips": [], "services": [],
        "invoices": [], "started_at": None,
    }  # fmt: skip
    if name.startswith("staff"):
        return _staff_samples(name, base, empty)
    asked = base | {"orders": [], "ips": [], "services": [], "invoices": [], "started_at": None,
                    "missing": ["order_or_ip", "service", "description", "started_at", "diagnostics"]}  # fmt: skip
    if name == "abuse_notice":
        notice = {
            "text": "> We receive login attempts from 203.0.113.7.\n>\n> Nov 22 14:05:11 sshd[811]: Failed password "
            "for root"
        }
        base, empty, asked = base | notice, empty | notice, asked | notice
    known = {"incident_since": "2026-11-22T14:05:00+01:00", "orders": ["123456", "123457"],
             "ips": ["203.0.113.7", "2001:db8:12:3456::7"], "services": ["r1z7og44", "fs2.shop.example"]}  # fmt: skip
    sensitive = {"sensitive": ["password"], "critical": False, "priority": "normal", "missing": ["diagnostics"]}
    invoice = empty | {"verified": True, "account_name": base["account_name"], "subject": base["subject"],
                       "orders": base["orders"], "invoices": ["604983", "605112"], "missing": []}  # fmt: skip
    return [base, empty, base | known, base | sensitive, invoice, asked]


def _staff_samples(name: str, base: dict[str, Any], empty: dict[str, Any]) -> list[dict[str, Any]]:
    words = "| Guten Abend,\n|\n| der Server 203.0.113.7 antwortet seit 14:30 nicht mehr."
    full = base | {
        "trust": "verified", "why": "registered address, proven by dmarc", "account": "10023",
        "account_holder": "Anna Example",
        "author": "anna@example.de", "author_name": "Anna Example", "goes_to": "anna@example.de", "spoken": "de",
        "reply_language": "de", "opened_at": "2026-11-22T12:00:00+00:00", "target_at": "2026-11-22T12:15:00+00:00",
        "limit_at": "2026-11-22T12:30:00+00:00", "marks": ["critical"], "missing": ["started_at"],
        "late_s": 12, "at_once": False,
        "facts": [{"kind": "orders", "value": "123456", "ownership": "own", "quoted": False},
                  {"kind": "ips", "value": "198.51.100.9", "ownership": "foreign", "quoted": True}],
        "text": words, "files": [{"filename": "error.png", "type": "image/png", "size": 18211}],
        "left_out": [{"filename": "dump.pcap", "type": "application/octet-stream", "size": 44040192}], "more_files": 2,
        "reply_to": "support+t.a.b@example.com", "message": 12, "again": True, "held": "| We have restarted it.",
        "news": "| It runs again.", "open_too": ["T-0000001: Slow disk"],
        "has": ["#123456 r1z7og44 (active)", "#123457 k3x9vtqa (suspended_payment)"],
        "lines": [{"at": "2026-11-22T12:00:00+00:00", "kind": "bulk", "line": "message 1"}],
    }  # fmt: skip
    none: dict[str, Any] = {
        name: [] for name in ("marks", "lines", "facts", "files", "left_out", "missing", "open_too", "has")
    }
    bare = full | empty | none | {
        "account": None, "author": "", "author_name": "", "goes_to": "", "spoken": None, "target_at": None, "why": "",
        "limit_at": None, "at_once": True, "text": "", "more_files": 0, "reply_to": None, "again": False, "held": "",
        "news": "", "trust": "unknown", "account_holder": "", "reference": "T-0000000",
        "accounts": ["10023 (Anna Example)", "10024 (Shop Example Ltd)"],
    }  # fmt: skip
    again = full | {"said_by": "bob@example.de", "said_at": "2026-11-22T12:10:00+00:00", "digest": True,
                    "also": ["financial"], "thanks": True, "trust": "unverified", "goes_to": "bob@example.de",
                    "below": "| 550 5.1.1 no such user", "answered": "| We have restarted it.",
                    "answered_by": "joe@example.com", "answered_at": "2026-11-22T12:05:00+00:00",
                    "why": "registered address, not proven"}  # fmt: skip
    events = _SAMPLE_EVENTS.get(name, ("", "", ""))
    about = {} if name in FENCED else {"reference": ""}
    about |= {"why": _SAMPLE_WHY[name]} if name in _SAMPLE_WHY else {}
    noted = {"event": "noted", "noted_by": "joe@example.com", "note": "| Kim, the disk is ordered.", "thanks": False}
    more = [again | {"also": []} | noted] if name == "staff_new" else []
    more += [one | {"reference": ""} for one in (_LISTED, _INCIDENT)] if name == "staff_digest" else []
    return [*(one | about | {"event": event} for one, event in zip((full, bare, again), events, strict=True)), *more]


#: the answer to "list", and the alert of an incident that is answered by mail
_LISTED: dict[str, Any] = {
    "listed": 21, "departments": ["technical"], "lines": [
        {"line": "T-0000000 High, technical", "due": "2026-11-22T12:30:00+00:00", "owner": "joe", "who": "Anna Example",
         "subject": "Server 203.0.113.7"},
        {"line": "T-0000001 Regular, technical", "due": None, "owner": "", "who": "nobody", "subject": ""}],
}  # fmt: skip
_INCIDENT: dict[str, Any] = {
    "incident": 1, "reply_to": "support+t.a.b@example.com", "lines": [
        {"at": "2026-11-22T12:00:00+00:00", "kind": "incident", "line": "3 tickets about the network 203.0.113.0/24"}],
}  # fmt: skip
#: what happened in each of the samples, for the templates that tell of more than one thing
_SAMPLE_EVENTS = {"staff_new": ("new", "pending", "appended"), "staff_owner": ("", "", "awake")}
#: for the templates that give a reason of their own
_SAMPLE_WHY = {
    "staff_undelivered": "550 5.1.1 no such user",
    "staff_held": "you sent the same words on this ticket already",
    "staff_refused": "T-0000001 was merged into another ticket; answer that one",
}
#: of a person to a customer, with words and commands
_ANSWER = (
    "Hello Anna,\n\nThe server is reachable again. If it goes offline again, please send us the output of:\n\n"
    "    ping -c 20 203.0.113.7\n    traceroute 203.0.113.7"
)
