"""CPU of reading a mail: a 5 KB text and a 50 KB HTML mail, as a whole, the extraction alone, and by reader.

Extraction is all but the form of the mail: its parsing, its class, its author. As a whole, every mail is another one: what the readers
remember of a text (its words, its numbers) helps within a mail only.

Usage: python -m bench.extraction [CORPORA]: with them also how long real mails of 4 to 6 KB take. ``--hostile``: what mails cost that are
written to hold a reader up; the aims are 100 ms for 64 KB of any kind of line, and 2 s for 1 MB.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.mail.header import header_end
from gateway.read import reading
from gateway.read.author import author_of
from gateway.read.facts import ips, orders, services
from gateway.read.html import page
from gateway.read.machine import signs_of
from gateway.read.message import parse
from gateway.read.secrets import secrets
from gateway.read.times import times
from gateway.read.topics import topics
from gateway.read.topics.rules import Asked
from gateway.read.words import language, pasted, quotes
from tests.hostile import CARRIERS, LINES
from tests.hostile import mail as hostile_mail
from tests.stories.corpus import as_sent

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
LONG = """Good evening,

I am writing about the dedicated server r1z7og44 (order #123456, address 203.0.113.7), which we rent from you since March of last
year. Until last week everything was quiet, and I would like to thank your colleague who helped us with the second disk in
September. Since Friday 14:30 CET, however, the machine behaves in a way that I cannot explain, and I need your eyes on it.

First the symptoms. Pages of our web shop that used to load in less than a second now take ten or twelve. It does not happen all
the time: for half an hour the shop is quick, then it crawls again, and nothing in our own statistics tells why. Visitors who are
in the middle of a purchase lose their basket, and two of them called us on the phone and were angry, which I understand. The mail
that the shop sends after an order arrives late, sometimes by an hour. The nightly copy to the other house took six hours on
Saturday instead of forty minutes, and on Sunday it did not finish at all, so that I had to stop it by hand in the morning.

Then what I looked at. The processors are idle most of the time. There is plenty of free memory, and the machine does not swap. The
database answers simple questions at once, but as soon as it must write, it waits. I moved the temporary files to the other disk,
which changed nothing. I also stopped the search index for an evening, because it had been rebuilt on Thursday, and the behaviour
stayed just the same. The version of the shop was not touched since the summer, the certificate is valid until May, and nobody but
me and my brother has an account on the machine. The firewall counts the usual noise and nothing more.

When I copy a large file from one directory to another I get about four megabytes a second, where it used to be more than a
hundred. Reading is fine. Copying the same file over the network to the other house is slow as well, but I believe that this is
only because it has to be read while something else writes. The controller says that both disks are in order. I am no expert for
these things, though, and I may well have overlooked something in the long list that it prints.

Could you please check from your side whether the controller, a cable or one of the disks is to blame, and whether another
customer on the same network produces an unusual load? If a disk has to be replaced, please tell us one day before, so that we can
put a notice on the first page. The best time for any work is between two and five in the morning, when hardly anybody buys. We
have a complete copy of Thursday night, and I can make another one this evening if you want me to.

One more thing, which is not urgent at all. In the Client Area the name of our company is still written without the new addition.
My colleague asked about it some time ago and was told that a copy of the register is needed. I can send it whenever you like; just
let me know to whom. And since we talk about changes: is it possible to get a second address in another network for this machine,
and what would it cost a month?

If you need the output of any command, tell me which one, and I will send it within minutes. I read my mail until midnight and
again from seven o'clock. Thank you very much for your help, and have a quiet night.

Kind regards
Anna Schmidt
Schmidt and Daughters, garden tools since 1961

PS: My brother asks me to add what he noticed from his office. When he opens the shop from the telephone, the first page comes at
once and the second one not at all, while his colleague at the next table, who uses a cable, sees everything without a delay. They
tried it on four afternoons of the last week and wrote the times down: on Monday shortly after lunch, on Tuesday about ten minutes
before closing, on Thursday twice within an hour, and on Friday when the big order of the garden market came in. A restart of the
router in the office made no difference, neither did another browser, nor the telephone of the apprentice, which is much newer than
his. On Saturday nobody worked there, so we cannot say anything about it, but two customers told us on the phone that the pictures
of the new catalogue were missing and that the button for the payment did nothing. I looked into the statistics of that morning and
found eleven visits that ended on the very same page, where usually there are none or one. The brother of our accountant, who knows
more about such machines than the three of us together, thinks that a part of the traffic takes a long way round, and he would like
to see which way it takes from your side. If that is of any use to you, he can be reached on most evenings. I told him that I would
ask you first, because I do not want to waste your time with guesses. He also believes that the memory of the machine should be
tested during a quiet night, since one wrong bit would explain the odd letters that appeared in two of our invoices in October.
"""
QUOTE = "On Sun, Nov 22, 2026 at 10:15 AM INTROSERV Support <support@introserv.com> wrote:\n"


def mail(kind: str, body: str) -> bytes:
    head = f"From: Anna Schmidt <anna@example.de>\r\nTo: support@introserv.com\r\nSubject: Slow server #123456\r\nMIME-Version: 1.0\r\nContent-Type: {kind}; charset=utf-8\r\n\r\n"
    return (head + body.replace("\n", "\r\n")).encode()


def spent(call: Callable[[], object], times_: int = 200) -> float:
    """CPU milliseconds of a call, the best of nine rounds."""
    call()
    best = 1e9
    for _ in range(9):
        began = time.process_time()
        for _ in range(times_):
            call()
        best = min(best, (time.process_time() - began) / times_ * 1000)
    return best


def form_of(raw: bytes) -> object:
    """What is read of a mail besides its words."""
    return signs_of(parse(raw), HINTS.mail_from), author_of(raw[: header_end(raw)[0]])


def hostile() -> None:
    """Prints the dearest kinds of hostile lines, wherever they can stand."""
    for size, aim in ((64 * 1024, 0.1), (1_000_000, 2.0)):
        took = {}
        for carrier, kind in itertools.product(CARRIERS, LINES):
            raw = hostile_mail(kind, carrier, size)
            began = time.thread_time()
            reading.read(raw, HINTS)
            took[kind, carrier] = time.thread_time() - began
            if took[kind, carrier] > aim:  # what is loaded or remembered once does not count
                began = time.thread_time()
                reading.read(raw + b"again\r\n", HINTS)
                took[kind, carrier] = time.thread_time() - began
        over = sum(spent > aim for spent in took.values())
        print(f"{len(took)} kinds of hostile mail of {size} octets: {over} take more than {aim:g} s")
        for (kind, carrier), spent in sorted(took.items(), key=lambda item: -item[1])[:5]:
            print(f"  {spent:.3f} s  {kind}, in {carrier}")


def main() -> None:
    language.prepare()
    if "--hostile" in sys.argv:
        sys.argv.remove("--hostile")
        hostile()
    quoted = "\n".join(f"> {line}" for line in (OWN * 6).split("\n"))
    answer = mail("text/plain", f"{OWN}\n{QUOTE}{quoted}\n"[:4700])
    plain = mail("text/plain", LONG)
    cell = '<tr><td style="padding:0;font-family:Arial,sans-serif;color:#336699"><p>{}</p></td></tr>'
    rows = "".join(cell.format(line) for line in OWN.split("\n") if line)
    old = "".join(f'<div class="gmail_quote"><blockquote>{rows}</blockquote></div>' for _ in range(40))
    html = mail("text/html", f"<html><body><table>{rows}</table>{old}</body></html>"[:50_000])
    for name, raw in (("new words", plain), ("answer with its history", answer), ("HTML", html)):
        parsed = parse(raw)
        new, full = reading._split(parsed, HINTS)
        count = itertools.count()
        whole = spent(lambda raw=raw, count=count: reading.read(raw + b"%d\r\n" % next(count), HINTS), 60)
        form = spent(lambda raw=raw: form_of(raw), 60)
        print(f"{name} of {len(raw)} octets: {whole:.2f} CPU ms, extraction {whole - form:.2f}")
        for part, call in {
            "parse": lambda raw=raw: parse(raw), "words and quotes": lambda parsed=parsed: reading._split(parsed, HINTS), "secrets": lambda new=new: secrets.mask(new),
            "orders": lambda new=new: (orders._called.cache_clear(), orders.orders_in(new)), "ips": lambda new=new: ips.ips_in(new),
            "services": lambda new=new: services.services_in(new), "topics": lambda new=new: topics.topics_of(Asked("x", new, True)),
            "times": lambda new=new: times.incident_start("x", new, HINTS.received_at, ZoneInfo("Europe/Berlin")),
            "language": lambda new=new: language.language_of(new), "diagnostics": lambda new=new: pasted.has_diagnostics(new),
            "class": lambda parsed=parsed: signs_of(parsed, "a@b.example"), "quotes alone": lambda full=full: quotes.new_words(full),
            "HTML alone": lambda parsed=parsed: page(parsed.html),
        }.items():  # fmt: skip
            print(f"  {part:18} {spent(call, 60):.3f}")
    for folder in map(Path, sys.argv[1:]):
        real_mails(folder)


def real_mails(folder: Path) -> None:
    """Prints how long the extraction of the mails of 4 to 6 KB takes."""
    found = []
    for name in (folder / "mails.txt").read_text().splitlines():
        raw = as_sent(folder / name)
        if 4000 <= len(raw) <= 6000:
            count = itertools.count()
            whole = spent(lambda raw=raw, count=count: reading.read(raw + b"%d\r\n" % next(count), HINTS), 12)
            found.append(whole - spent(lambda raw=raw: form_of(raw), 12))
    found.sort()
    below = sum(one <= 1.0 for one in found)
    print(
        f"{len(found)} real mails of 4 to 6 KB: extraction {found[len(found) // 2]:.2f} CPU ms in the middle, {found[-1]:.2f} at most, "
        f"{below} below 1 ms"
    )


if __name__ == "__main__":
    main()
