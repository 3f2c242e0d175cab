"""Labelled mails: what a support engineer sees in each, written by hand before the rules that read them.

A file a language. Each mail begins with ``== subject`` and has header lines: ``carrier`` (what the mail program put around
the words, from ``carriers.toml``), ``facts`` (``#`` order, ``@`` address or network, ``~`` service, ``$`` invoice), ``began``
(ISO 8601), ``at`` (receipt, if not ``RECEIVED``) and ``labels`` (department, question, critical, sensitive:…, secrets:n,
diagnostics). The text below is exactly the author's new words.
"""

from __future__ import annotations

import html
import tomllib
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RECEIVED = datetime(2026, 11, 22, 16, tzinfo=UTC)  # a Sunday, 17:00 in Berlin
ORDERS = {
    "123456": ("r1z7og44", "203.0.113.7"),
    "234567": ("tfz1cvkr", "198.51.100.20 2001:db8:20::/48"),
    "345678": ("k3m9xq2p", "203.0.113.64/29"),
    "456789": ("web1.nordwind.example", "192.0.2.44"),
}
INVOICES = ("214382", "214383", "220017")


@dataclass(frozen=True)
class Labelled:
    """One mail and its truth."""

    language: str
    number: int
    subject: str
    carrier: str
    text: str
    at: datetime
    facts: dict[str, frozenset[str]]
    began: datetime | None
    department: str
    question: str
    critical: bool
    sensitive: frozenset[str]
    secrets: int
    diagnostics: bool

    @property
    def name(self) -> str:
        return f"{self.language} {self.number} {self.subject[:40]}"

    def raw(self) -> bytes:
        """The mail as its program sends it."""
        return carried(self.language, self.carrier, self.subject, self.text)


@cache
def carriers() -> dict[str, dict[str, Any]]:
    return tomllib.loads((FOLDER / "carriers.toml").read_text(encoding="utf-8"))


def _parsed(language: str, number: int, block: str) -> Labelled:
    head, _, text = block.partition("\n\n")
    lines = head.split("\n")
    fields = dict(line.split(": ", 1) for line in lines[1:])
    words = fields["labels"].split()
    found: dict[str, set[str]] = {"#": set(), "@": set(), "~": set(), "$": set()}
    for fact in fields.get("facts", "").split():
        found[fact[0]].add(fact[1:])
    names = {"#": "orders", "@": "ips", "~": "services", "$": "invoices"}
    return Labelled(
        language=language,
        number=number,
        subject=lines[0].removeprefix("== "),
        carrier=fields.get("carrier", "plain"),
        text=text.strip(),
        at=datetime.fromisoformat(fields["at"]) if "at" in fields else RECEIVED,
        facts={names[kind]: frozenset(values) for kind, values in found.items()},
        began=datetime.fromisoformat(fields["began"]) if "began" in fields else None,
        department=words[0],
        question=words[1],
        critical="critical" in words,
        sensitive=frozenset(word.partition(":")[2] for word in words if word.startswith("sensitive:")),
        secrets=sum(int(word.partition(":")[2]) for word in words if word.startswith("secrets:")),
        diagnostics="diagnostics" in words,
    )


def mail_of(language: str, subject: str, text: str) -> Labelled:
    """A plain mail with nothing said of what it should be taken for."""
    return _parsed(language, 1, f"{subject}\nlabels: technical account\n\n{text}")


@cache
def mails() -> tuple[Labelled, ...]:
    """Every labelled mail, by language."""
    found = []
    for path in sorted(FOLDER.glob("*.txt")):
        blocks = path.read_text(encoding="utf-8").removeprefix("== ").split("\n== ")
        found += [_parsed(path.stem, number, block) for number, block in enumerate(blocks, 1)]
    return tuple(found)


SIGNATURE = (
    "-- \nAnna Schmidt\nNordwind GmbH | +49 30 1234567 | Order desk 998877 | 10115 Berlin\nhttps://nordwind.example"
)


def carried(language: str, carrier: str, subject: str, text: str) -> bytes:
    """``text`` as a mail program of that language sends it: with quotes, a signature, a forwarded mail, or as HTML."""
    around = carriers()[language]
    quoted = "\n".join(f"> {line}".rstrip() for line in around["reply"].split("\n"))
    labels = around["labels"]
    values = [
        "INTROSERV Support <support@introserv.com>",
        "2026-11-22 10:15",
        "Anna Schmidt <anna@example.de>",
        subject,
    ]
    block = "\n".join(f"{label}: {value}" for label, value in zip(labels, values, strict=True))
    plain = {
        "plain": text,
        "html": text,
        "gmail": f"{text}\n\n{around['gmail']}\n\n{quoted}\n",
        "html_gmail": f"{text}\n\n{around['gmail']}\n\n{quoted}\n",
        "thunderbird": f"{text}\n\n{around['thunderbird']}\n{quoted}\n",
        "apple": f"{text}\n\n{around['mobile']}\n\n> {around['apple']}\n>\n{quoted}\n",
        "outlook": f"{text}\n\n{block}\n\n{around['reply']}\n",
        "forward": f"{text}\n\n{around['forward']}\n{block}\n\n{around['reply']}\n",
        "mobile": f"{text}\n\n{around['mobile']}\n",
        "signature": f"{text}\n\n{SIGNATURE}\n",
        "disclaimer": f"{text}\n\n{SIGNATURE}\n\n{around['disclaimer']}\n",
    }[carrier]
    message = EmailMessage()
    message["From"] = "Anna Schmidt <anna@example.de>"
    message["To"] = "support@introserv.com"
    message["Subject"] = subject
    message["Message-ID"] = f"<{zlib.crc32(f'{language} {carrier} {subject} {text}'.encode())}@example.de>"
    message["Date"] = "Sun, 22 Nov 2026 16:59:00 +0100"
    message.set_content(plain)
    if carrier.startswith("html"):
        words = "".join(f"<p>{html.escape(part).replace(chr(10), '<br>')}</p>" for part in text.split("\n\n"))
        quote = ""
        if carrier == "html_gmail":
            old = html.escape(around["reply"]).replace("\n", "<br>")
            quote = (
                f'<br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">{html.escape(around["gmail"])}<br></div>'
                f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex">{old}</blockquote></div>'
            )
        body = f"<html><head><style>p {{color: #336699}}</style></head><body><div dir=ltr>{words}</div>{quote}</body></html>"
        if carrier == "html":
            message.set_content(body, subtype="html")
        else:
            message.add_alternative(body, subtype="html")
    return message.as_bytes()
