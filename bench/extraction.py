"""CPU of reading a mail: a 5 KB text and a 50 KB HTML mail, as a whole and by reader.

Usage: python -m bench.extraction
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway import reading
from gateway.extract import ips, language, orders, pasted, quotes, secrets, services, text, times, topics
from gateway.message import parse
from gateway.replies.bounces import classify

HINTS = reading.Hints("anna@example.de", datetime(2026, 11, 22, 16, tzinfo=UTC), "Europe/Berlin")
OWN = """Hello,

since yesterday evening around 21:15 our web shop on the server r1z7og44 (order #123456, IP 203.0.113.7) answers very slowly, and some
of the requests end with an error page. We did not change anything on our side. The load of the machine is low, there is enough memory,
and the disks look fine as far as we can see from inside.

Could you please check whether there is a problem with the network or with the host? Our customers are complaining, and the weekend is
the most important time for us. If you need anything else, for example logs of the web server, please tell me.

Best regards
Anna Schmidt
"""
QUOTE = "On Sun, Nov 22, 2026 at 10:15 AM INTROSERV Support <support@introserv.com> wrote:\n"


def mail(kind: str, body: str) -> bytes:
    head = f"From: Anna Schmidt <anna@example.de>\r\nTo: support@introserv.com\r\nSubject: Slow server #123456\r\nMIME-Version: 1.0\r\nContent-Type: {kind}; charset=utf-8\r\n\r\n"
    return (head + body.replace("\n", "\r\n")).encode()


def spent(call: Callable[[], object], times_: int = 200) -> float:
    """CPU milliseconds of a call, the best of three rounds."""
    call()
    best = 1e9
    for _ in range(3):
        began = time.process_time()
        for _ in range(times_):
            call()
        best = min(best, (time.process_time() - began) / times_ * 1000)
    return best


def main() -> None:
    language.prepare()
    quoted = "\n".join(f"> {line}" for line in (OWN * 5).split("\n"))
    plain = mail("text/plain", f"{OWN}\n{QUOTE}{quoted}\n"[:4700])
    cell = '<tr><td style="padding:0;font-family:Arial,sans-serif;color:#336699"><p>{}</p></td></tr>'
    rows = "".join(cell.format(line) for line in OWN.split("\n") if line)
    old = "".join(f'<div class="gmail_quote"><blockquote>{rows}</blockquote></div>' for _ in range(40))
    html = mail("text/html", f"<html><body><table>{rows}</table>{old}</body></html>"[:50_000])
    for name, raw in (("text", plain), ("HTML", html)):
        parsed = parse(raw)
        new, full = reading._split(parsed)
        print(f"{name} of {len(raw)} octets: {spent(lambda raw=raw: reading.read(raw, HINTS), 60):.2f} CPU ms")
        for part, call in {
            "parse": lambda raw=raw: parse(raw), "words and quotes": lambda parsed=parsed: reading._split(parsed), "secrets": lambda new=new: secrets.mask(new),
            "orders": lambda new=new: (orders._called.cache_clear(), orders.orders_in(new)), "ips": lambda new=new: ips.ips_in(new),
            "services": lambda new=new: services.services_in(new), "topics": lambda new=new: topics.topics_of("x", new, True),
            "times": lambda new=new: times.incident_start("x", new, HINTS.received_at, ZoneInfo("Europe/Berlin")),
            "language": lambda new=new: language.language_of(new), "diagnostics": lambda new=new: pasted.has_diagnostics(new),
            "class": lambda parsed=parsed: classify(parsed, "a@b.example"), "quotes alone": lambda full=full: quotes.new_words(full),
            "HTML alone": lambda parsed=parsed: text.html_to_text(parsed.html),
        }.items():  # fmt: skip
            print(f"  {part:18} {spent(call, 60):.3f}")


if __name__ == "__main__":
    main()
