"""CPU of one verification, and the directory at a million accounts: ``python -m bench.verification [--accounts 1000000]``.

A 5 KB mail signed with RSA-2048, SPF and DMARC, every record from the cache; signatures a second of our own replies; a
directory built from CSV, its look-ups, and how much the process grew.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from bench.throughput import signed_mails
from gateway.demo import ZONE
from gateway.mail.header import RawMail
from gateway.model import Envelope
from gateway.read.author import author_of
from gateway.replies.sign import SigningKey, signed
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.directory import Directory
from gateway.verify.dns import ZoneResolver


def verification(times: int = 1000) -> tuple[float, int]:
    """(CPU milliseconds a mail, octets of the mail)."""
    (raw,), public = signed_mails(1)
    zone = ZONE | {"bench._domainkey.example.de": {"TXT": [f"v=DKIM1; k=rsa; p={public}"]}}
    checks = Checks(ZoneResolver(zone), 10, True)
    mail, now = RawMail.of(raw), datetime.now(UTC)
    envelope = Envelope("anna@example.de", ("support@introserv.com",), "127.0.0.1", "client.example", "smtp", now)

    async def once() -> bool:
        author = author_of(mail.header)
        return (await authenticate(author, envelope, mail, checks)).by == "dmarc"

    async def many() -> float:
        assert await once()
        began = time.process_time()
        for _ in range(times):
            await once()
        return (time.process_time() - began) * 1000 / times

    return asyncio.run(many()), len(raw)


def signatures(times: int = 1000) -> float:
    """Signatures a CPU second, RSA-2048, a reply of 3 KB."""
    keys = (SigningKey("introserv.com", "s", rsa.generate_private_key(public_exponent=65537, key_size=2048)),)
    raw = (
        b"From: a@introserv.com\r\nTo: b@example.de\r\nSubject: x\r\nMessage-ID: <a@b>\r\n\r\n"
        + b"words and words\r\n" * 190
    )
    began = time.process_time()
    for number in range(times):
        signed(raw, keys, number)
    return times / (time.process_time() - began)


def _resident() -> float:
    gc.collect()
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def write(folder: Path, accounts: int) -> None:
    """CSV files: three orders an account, an address and a network each."""
    with (folder / "accounts.csv").open("w") as file:
        file.write("account,name,language,status\n")
        file.writelines(f"{n},Customer {n},en,active\n" for n in range(accounts))
    with (folder / "addresses.csv").open("w") as file:
        file.write("account,address,role\n")
        file.writelines(f"{n},c{n}@d{n % 5000}.example,owner\n" for n in range(accounts))
    with (folder / "orders.csv").open("w") as file:
        file.write("order,account,service,status,ips\n")
        for n in range(accounts * 3):
            ip = f"{20 + (n >> 24)}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
            file.write(f"{1000000 + n},{n // 3},s{n:07x},active,{ip}\n")


def directory(accounts: int) -> dict[str, float]:
    """Seconds to load, median milliseconds of a look-up, growth in MB, and what another thread noticed."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        folder = Path(name)
        write(folder, accounts)
        made = Directory(folder, folder, 0.2, 86400)
        before, gaps, ended = _resident(), [0.0], threading.Event()

        def beside() -> None:
            last = time.perf_counter()
            while not ended.wait(0.001):
                now = time.perf_counter()
                gaps.append(now - last)
                last = now

        watcher = threading.Thread(target=beside)
        watcher.start()
        began = time.perf_counter()
        made.reload(datetime.now(UTC))
        loaded = time.perf_counter() - began
        ended.set()
        watcher.join()
        chance = random.Random(1)
        spent: dict[str, list[float]] = {}
        for _ in range(2000):
            n = chance.randrange(accounts)
            for what, call in (
                ("address", lambda n=n: made.roles_of(f"c{n}@d{n % 5000}.example")),
                ("order", lambda n=n: made.order(str(1000000 + n * 3))),
                ("ip", lambda n=n: made.ip_owners(f"{20 + (n >> 24)}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")),
                ("service", lambda n=n: made.service_owners(f"s{n:07x}")),
            ):
                start = time.perf_counter()
                assert call()
                spent.setdefault(what, []).append((time.perf_counter() - start) * 1000)
        found = {f"{what} look-up, ms (median)": statistics.median(values) for what, values in spent.items()}
        found |= {
            "loaded in s": loaded,
            "growth, MB": _resident() - before,
            "longest pause beside, ms": max(gaps) * 1000,
        }
        made.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=1_000_000)
    given = parser.parse_args()
    spent, size = verification()
    print(f"verification of a mail of {size} octets, RSA-2048, SPF, DMARC, from the cache: {spent:.2f} CPU ms")
    print(f"DKIM signatures of replies: {signatures():.0f} a CPU second (RSA-2048)")
    print(f"directory of {given.accounts} accounts and {given.accounts * 3} orders:")
    for what, value in directory(given.accounts).items():
        print(f"  {what:32} {value:10.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
