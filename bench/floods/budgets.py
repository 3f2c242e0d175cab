"""Floods that spend acknowledgements: forged authors, and one mailbox that is written in every way."""

from __future__ import annotations

import asyncio
import itertools
import smtplib
from collections import Counter

from bench.floods import Target, flood, forever
from tests.peers.harness import TO

SENDERS = 8
DOMAINS = 200  #: none publishes anything; each has room for ``budget_domain``
_made = itertools.count()


def _sent(port: int, author: str, number: int, counts: Counter[str]) -> None:
    raw = (
        f"From: {author}\r\nTo: {TO}\r\nSubject: Servers {number}\r\nMessage-ID: <{number}@forged.example>\r\n\r\n"
        f"Hello, do you offer dedicated servers, and what does number {number} cost?\r\n"
    )
    try:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="mx.forged.example", timeout=20) as client:
            client.sendmail(author, [TO], raw)
        counts["mails"] += 1
    except smtplib.SMTPException:
        counts["refused"] += 1


@flood(
    "budgets",
    "forged mail that spends budget_total, each of another author",
    zone={f"plain{n}.example": {"MX": [[10, "mx.plain.example"]]} for n in range(DOMAINS)},
)
async def budgets(target: Target, counts: Counter[str]) -> None:
    """As many mails as the service takes, each in the name of somebody else at one of the domains."""

    async def one(_: int) -> None:
        number = next(_made)
        author = f"user{number}@plain{number % DOMAINS}.example"
        await asyncio.to_thread(_sent, target.port, author, number, counts)

    await forever(SENDERS, one)


@flood(
    "one-mailbox",
    "mail in the name of one mailbox, written in every way",
    zone={"plain.example": {"MX": [[10, "mx.plain.example"]]}},
)
async def one_mailbox(target: Target, counts: Counter[str]) -> None:
    """Letter case and tags of one address."""

    async def one(_: int) -> None:
        number = next(_made)
        local = "".join(c.upper() if number >> i & 1 else c for i, c in enumerate("somebody"))
        author = f"{local}{f'+{number}' if number % 3 else ''}@plain.example"
        await asyncio.to_thread(_sent, target.port, author, number, counts)

    await forever(SENDERS, one)
