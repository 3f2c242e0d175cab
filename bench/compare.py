"""What has become of each mail since another commit: ``explain --json`` of both, over every mail there is, compared field by field.

Usage: python -m bench.compare COMMIT CORPORA [FILE.csv ...] [--show 5] [--all] [--to FILE]. The mails are those of ``bench.alarms``
and the labelled ones of the tests; both read them with the same directory, the same clock and a nameserver by which every author's
domain takes mail and publishes nothing else. ``reasons`` and ``evidence`` are compared with ``--all`` only. ``--to`` writes each mail
that differs as a line of JSON with all that both said of it. Exit 1 when something differs: each difference is to be intended.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.alarms import texts
from gateway.mail.header import header_end
from gateway.read.author import author_of
from tests.labelled import INVOICES, ORDERS, mails
from tests.peers.harness import LoopbackPeers, config_text, write_accounts

ROOT = Path(__file__).resolve().parents[1]
NOW = "2026-11-27T16:00:00+00:00"
BATCH = 400  #: mails that one process explains
TOLD_ONLY = ("reasons", "evidence")


def accounts() -> dict[str, str]:
    """A directory that has what the labelled mails name, all of one account."""
    orders = (f"{order},10023,{service},active,{ips}\n" for order, (service, ips) in ORDERS.items())
    return {
        "accounts.csv": "account,name,language,status\n10023,Anna Schmidt,de,active\n",
        "addresses.csv": "account,address,role\n10023,anna@example.de,owner\n",
        "orders.csv": "order,account,service,status,ips\n" + "".join(orders),
        "invoices.csv": "invoice,account\n" + "".join(f"{invoice},10023\n" for invoice in INVOICES),
    }


def written(folder: Path, corpora: Path, files: list[Path]) -> dict[str, str]:
    """Every mail as a file; its name by the file's."""
    labelled = ((f"labelled: {mail.name}", mail.raw()) for mail in mails())
    names = {}
    for number, (name, raw) in enumerate((*texts(corpora, files), *labelled)):
        path = folder / f"{number:06}.eml"
        path.write_bytes(raw)
        names[str(path)] = name
    return names


def zone(paths: Iterable[str]) -> dict[str, Any]:
    """A zone by which every author's domain takes mail, so that nobody is spared a reply by what it lacks."""
    found: dict[str, Any] = {"mx.sender.example": {"A": ["127.0.0.1"]}}
    for path in paths:
        raw = Path(path).read_bytes()
        address = author_of(raw[: header_end(raw)[0]]).address
        if address is not None:
            found[address.rpartition("@")[2].lower()] = {"MX": [[10, "mx.sender.example"]]}
    return found


def explained(checkout: Path, config: Path, paths: list[str]) -> Iterator[dict[str, Any] | None]:
    """What a checkout makes of each mail; ``None`` where it says nothing."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "GATEWAY_CONFIG": str(config)}
    for start in range(0, len(paths), BATCH):
        some = paths[start : start + BATCH]
        command = [sys.executable, "-P", "-m", "gateway", "explain", "--json", "--now", NOW, *some]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=checkout, check=False)
        lines = done.stdout.splitlines()
        if len(lines) != len(some):
            raise SystemExit(f"{checkout}: {len(lines)} of {len(some)} mails explained: {done.stderr[-2000:]}")
        yield from map(json.loads, lines)


def differing(before: dict[str, Any], after: dict[str, Any], everything: bool) -> Iterator[str]:
    """The fields that are not the same."""
    for name in {**before, **after}:
        if (everything or name not in TOLD_ONLY) and before.get(name) != after.get(name):
            yield name


def compared(names: dict[str, str], pairs: Iterable[tuple[Any, Any]], everything: bool) -> dict[str, list[str]]:
    """A line for each difference, by field."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, (before, after) in zip(names.values(), pairs, strict=True):
        for field in differing(before, after, everything):
            was, now = (json.dumps(one.get(field), ensure_ascii=False) for one in (before, after))
            found[field].append(f"{name}\n      - {was[:300]}\n      + {now[:300]}")
    return found


def whole(names: dict[str, str], pairs: Iterable[tuple[Any, Any]], everything: bool) -> Iterator[str]:
    """A line of JSON for each mail that differs."""
    for name, (before, after) in zip(names.values(), pairs, strict=True):
        if fields := list(differing(before, after, everything)):
            told = {"mail": name, "differing": fields, "before": before, "after": after}
            yield json.dumps(told, ensure_ascii=False) + "\n"


def main() -> int:
    """Prints the differences by field, the first few of each whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("corpora", type=Path)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--show", type=int, default=5)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--to", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-compare-") as name:
        folder, then = Path(name), Path(name) / "then"
        then.mkdir()
        archive = subprocess.run(["git", "archive", given.commit], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(then)], input=archive, check=True)
        (folder / "mails").mkdir()
        write_accounts(folder, accounts())
        names = written(folder / "mails", given.corpora, given.files)
        peers, config = LoopbackPeers(zone(names)), folder / "config.toml"
        config.write_text(config_text(folder, peers))
        both = (explained(checkout, config, list(names)) for checkout in (then, ROOT))
        pairs = list(zip(*both, strict=True))
        peers.close()
    found = compared(names, pairs, given.all)
    if given.to:
        given.to.write_text("".join(whole(names, pairs, given.all)), encoding="utf-8")
    print(f"{len(names)} mails, {sum(map(len, found.values()))} differences since {given.commit}")
    for field, lines in sorted(found.items(), key=lambda pair: -len(pair[1])):
        print(f"  {field}: {len(lines)}")
        for line in lines[: given.show]:
            print(f"    {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
