"""Asks the DNS for our own domain now and then: a resolver that is gone is known before a mail needs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.checks.standing import Standing
from gateway.verify.dns import Answer

EVERY_S, AGAIN_S, TRIES = 20.0, 5.0, 2
DO = "dig MX {domain}; correct [dns] nameservers or /etc/resolv.conf, then gateway reload"


async def watch(
    standing: Standing, asked: Callable[[], tuple[Callable[[str, str], Awaitable[Answer]], str]],
    wait: Callable[[float], Awaitable[bool]],
) -> None:  # fmt: skip
    """``asked`` gives what to ask and the domain to ask for. One answer that fails may be chance, two in a row are
    not."""
    missed = 0
    while True:
        ask, domain = asked()
        answer = await ask(domain, "MX")
        missed = missed + 1 if answer.failed else 0
        if not missed:
            standing.clear("dns")
        elif missed >= TRIES:
            what = "does not answer" if answer.status == "TIMEOUT" else "fails (SERVFAIL)"
            line = f"the DNS {what} when asked for {domain}: nobody can be verified, replies are held back"
            standing.note("dns", line, DO.format(domain=domain))
        if not await wait(AGAIN_S if missed else EVERY_S):
            return
