"""What of a mail is understood rightly: one table from the labelled mails and the foreign corpora."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from gateway.config import load
from gateway.model import Facts, Reading
from gateway.read import html as pages
from gateway.read.reading import Hints, read
from gateway.read.topics import topics
from gateway.read.topics.rules import Asked
from gateway.read.words import language, model, quotes
from gateway.service import directory
from gateway.verify import accounts
from tests.labelled import INVOICES, ORDERS, Labelled, carriers, mails
from tests.peers.harness import write_accounts

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"


@dataclass
class Score:
    """``right`` of ``of``, and what was missed."""

    right: int = 0
    of: int = 0
    misses: list[str] = field(default_factory=list)

    def add(self, good: bool, miss: str) -> None:
        self.right, self.of = self.right + good, self.of + 1
        if not good:
            self.misses.append(miss)

    @property
    def percent(self) -> float:
        return 100.0 * self.right / self.of if self.of else 100.0


Table = dict[str, dict[str, Score]]  #: by set and by what is measured


def squeezed(words: str) -> str:
    """Words without what no reader sees: blanks at line ends, runs of empty lines, quoted-printable left-overs."""
    return re.sub(r"\s+", " ", words).strip()


# --------------------------------------------------------------------------- our own labelled mails


class Desk:
    """The directory that the labelled mails speak of."""

    def __init__(self, folder: Path) -> None:
        rows = "".join(f"{order},1,{service},active,{ips}\n" for order, (service, ips) in ORDERS.items())
        write_accounts(
            folder,
            {
                "accounts.csv": "account,name,language,status\n1,Anna Schmidt,de,active\n",
                "addresses.csv": "account,address,role\n1,anna@example.de,owner\n",
                "orders.csv": "order,account,service,status,ips\n" + rows,
                "invoices.csv": "invoice,account\n" + "".join(f"{invoice},1\n" for invoice in INVOICES),
            },
        )
        (folder / "config.toml").write_text(
            f'[gateway]\naddress = "support@introserv.com"\nstate_dir = "{folder}"\n[directory]\npath = "{folder}/accounts"\n'
        )
        self.now = datetime(2026, 11, 22, 16, tzinfo=UTC)
        self._directory = directory(load(folder / "config.toml"))
        self._directory.reload(self.now)

    def read(self, mail: Labelled) -> tuple[Reading, Facts]:
        reading = read(mail.raw(), Hints("anna@example.de", mail.at, "Europe/Berlin"))
        found = accounts.match(reading.author, self._directory, self.now)
        return reading, accounts.judged(reading, found, self._directory)[0]

    def close(self) -> None:
        self._directory.close()


def _sets(score: Callable[[str], Score], kind: str, mail: Labelled, facts: Facts) -> None:
    wanted = mail.facts[kind]
    found = {fact.value for fact in facts.of(kind) if not fact.quoted}
    for value in wanted:
        score(f"{kind} recall").add(value in found, f"{mail.name}: {value} not found")
    for value in found:
        score(f"{kind} precision").add(value in wanted, f"{mail.name}: {value} is none")


def judge(mail: Labelled, reading: Reading, facts: Facts, score: Callable[[str], Score]) -> None:
    """One labelled mail against what was read."""
    score("new words").add(
        squeezed(reading.text) == squeezed(mail.text), f"{mail.name} ({mail.carrier}): {reading.text!r}"
    )
    score("language").add(reading.language == mail.language, f"{mail.name}: {reading.language}")
    for kind in ("orders", "ips", "services", "invoices"):
        _sets(score, kind, mail, facts)
    if mail.began is not None:
        began = facts.incident_started_at
        score("time").add(began == mail.began, f"{mail.name}: {began} for {mail.began}")
    else:
        score("no false time").add(facts.incident_started_at is None, f"{mail.name}: {facts.incident_started_at}")
    told = reading.topics
    score("department").add(told.department == mail.department, f"{mail.name}: {told.department} {told.terms}")
    score("question").add(told.question == mail.question, f"{mail.name}: {told.question} {told.terms}")
    if mail.critical:
        score("critical recall").add(told.critical, f"{mail.name}: {told.terms}")
    if told.critical:
        score("critical precision").add(mail.critical, f"{mail.name}: {told.terms}")
    score("sensitive").add(frozenset(told.sensitive) == mail.sensitive, f"{mail.name}: {told.sensitive} {told.terms}")
    score("secrets").add(reading.secrets_masked == mail.secrets, f"{mail.name}: {reading.secrets_masked}")
    score("diagnostics").add(reading.diagnostics == mail.diagnostics, f"{mail.name}: {reading.diagnostics}")


def labelled() -> Table:
    """The table of our own mails, by language."""
    table: Table = {}
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        for mail in mails():
            of = table.setdefault(mail.language, {})
            reading, facts = desk.read(mail)
            judge(mail, reading, facts, lambda name, of=of: of.setdefault(name, Score()))
        desk.close()
    return table


def attributions() -> Table:
    """How the mail programs of sixteen languages quote: the words above are all that is left."""
    score = Score()
    for code, around in carriers().items():
        quoted = "\n".join(f"> {line}" for line in around["reply"].split("\n"))
        block = "\n".join(
            f"{label}: {value}"
            for label, value in zip(
                around["labels"], ("A B <a@b.example>", "2026-11-22 10:15", "c@d.example", "x"), strict=True
            )
        )
        for kind, old in {
            "gmail": f"{around['gmail']}\n\n{quoted}", "thunderbird": f"{around['thunderbird']}\n{quoted}",
            "apple": f"{around['apple']}\n\n{quoted}", "top": f"{around['gmail']}\n{around['reply']}",
            "outlook": f"{block}\n\n{around['reply']}", "outlook line": f"________________________________\n{block}\n\n{around['reply']}",
            "forward": f"{around['forward']}\n{block}\n\n{around['reply']}", "mobile": around["mobile"],
            "folded": around["apple"].replace("INTROSERV Support", "INTROSERV\nSupport") + f"\n\n{quoted}",
        }.items():  # fmt: skip
            found = quotes.new_words(f"Mine: 1234.\n\n{old}\n")
            score.add(found == "Mine: 1234.", f"{code} {kind}: {found!r}")
    return {"quoting in 16 languages": {"new words": score}}


# --------------------------------------------------------------------------- foreign sets


def rows(corpora: Path, name: str) -> Iterator[dict[str, Any]]:
    for line in (corpora / name / "index.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")


@cache
def wrong_truths() -> dict[str, str]:
    """Rows of the foreign sets whose truth is wrong, with the reason."""
    found: dict[str, str] = json.loads((Path(__file__).parent / "wrong_truths.json").read_text(encoding="utf-8"))
    return found


def _truths(expect: dict[str, Any]) -> list[str]:
    truths = [expect["reply_text"]]
    if expect.get("replies"):
        truths.append(expect["replies"][0]["body"])
    if expect.get("reply_text_aggressive"):
        truths.append(expect["reply_text_aggressive"])
    return [squeezed(truth) for truth in truths]


def reply_sets(corpora: Path) -> Table:
    """Bodies with quotes and signatures by the outputs of the libraries that they come from."""
    table: Table = {}
    for name in ("reply_crisp", "reply_github", "reply_mail_parser_reply"):
        score = table.setdefault(name, {}).setdefault("new words", Score())
        for row in rows(corpora, name):
            key = f"{name}/{row['file']}"
            if "reply_text" not in row["expect"] or key in wrong_truths():
                continue
            found = squeezed(quotes.new_words(_text_of(corpora / name / row["file"])))
            score.add(
                found in _truths(row["expect"]), f"{key}: {found[-160:]!r} for {_truths(row['expect'])[0][-160:]!r}"
            )
    score = table.setdefault("reply_quotequail", {}).setdefault("new words", Score())
    for row in rows(corpora, "reply_quotequail"):
        key, expect = f"reply_quotequail/{row['file']}", row["expect"]
        truth = _quotequail(expect)
        if truth is None or key in wrong_truths():
            continue
        body = _text_of(corpora / "reply_quotequail" / row["file"])
        if expect["call"].endswith("_html"):
            body = pages.page(body).words
        found = squeezed(quotes.new_words(body))
        score.add(found == (truth or squeezed(body)), f"{key}: {found!r} for {truth!r}")
    return table


_INTRODUCTION = re.compile(
    r"(?:On .{0,200}wrote:|Am .{0,200}schrieb .{0,100}:|>? ?Begin forwarded message:|-+ ?Forwarded message ?-+)\s*\Z",
    re.DOTALL,
)
_SIGNED = re.compile(r"(?m)^(?:-- ?$|Sent from my .{0,20}$)")


def _quotequail(expect: dict[str, Any]) -> str | None:
    """The words above (and below) what quotequail calls quoted, without signatures and the line that introduces the quote:
    it keeps both. ``None`` where the row says nothing of that."""
    if "unwrap" in expect:
        unwrapped = expect["unwrap"]
        if unwrapped is None:
            return None
        parts = [unwrapped.get(name, "") for name in ("text_top", "html_top", "text_bottom", "html_bottom")]
    else:
        parts = [chunk for shown, chunk in expect["chunks"] if shown]
    plain = [pages.page(part).whole if "<" in part and "html" in expect["call"] else part for part in parts if part]
    return squeezed(_SIGNED.split(_INTRODUCTION.sub("", "\n".join(plain)))[0])


def languages(corpora: Path) -> Table:
    """Paragraphs in 37 languages and tickets in five: right, undecided, or confidently wrong."""
    known, others, tickets = Score(), Score(), Score()
    for row in rows(corpora, "langid"):
        wanted, found = row["expect"]["language"], language.language_of(row["text"])
        if wanted in model.KNOWN:
            known.add(found == wanted, f"{wanted} as {found}: {row['text'][:60]}")
        else:
            others.add(found in (None, wanted), f"{wanted} as {found}: {row['text'][:60]}")
    confident = Score()
    for row in rows(corpora, "support_text"):
        found = language.language_of(f"{row['subject']}\n{row['body']}")
        wanted = row["expect"]["language"]
        tickets.add(found == wanted, f"{wanted} as {found}: {row['body'][:60]}")
        confident.add(found in (wanted, None), f"{wanted} as {found}: {row['body'][:60]}")
    return {
        "langid, twelve languages": {"language": known},
        "langid, other languages": {"not confidently wrong": others},
        "support_text": {"language": tickets, "not confidently wrong": confident} | departments(corpora),
    }


def departments(corpora: Path) -> dict[str, Score]:
    """Billing against technical queues; the other queues are neither department's."""
    score = Score()
    for row in rows(corpora, "support_text"):
        queue = row["expect"].get("queue")
        if queue == "Billing and Payments":
            wanted = "financial"
        elif queue in ("Technical Support", "IT Support", "Product Support", "Service Outages and Maintenance"):
            wanted = "technical"
        else:
            continue
        found = topics.topics_of(Asked(row["subject"], row["body"], False))
        score.add(
            found.department == wanted, f"{row['id']} {row['lang']} {row['subject']}: {row['body'][:90]} {found.terms}"
        )
    return {"department": score}


def _readable(wanted: str, found: str) -> str:
    """``wanted``, where it has U+FFFD for a character that was read, with that character."""
    if "\ufffd" not in wanted:
        return wanted
    match = re.search(re.escape(wanted.strip()).replace("\ufffd", "."), found)
    return match[0] if match else wanted


def _same(found: str, wanted: str) -> bool:
    return squeezed(found) == squeezed(_readable(squeezed(wanted), squeezed(found)))


def bodies(corpora: Path) -> Table:
    """Subjects and bodies of odd mails."""
    subject, body = Score(), Score()
    for row in rows(corpora, "mime_mail_parser_rs_legacy"):
        expect = row["expect"]
        found = read(
            (corpora / "mime_mail_parser_rs_legacy" / row["file"]).read_bytes(),
            Hints(None, datetime(2026, 1, 1, tzinfo=UTC), "UTC"),
        )
        subject.add(
            _same(found.parsed.subject, expect.get("subject") or ""),
            f"{row['file']}: {found.parsed.subject!r} for {expect.get('subject')!r}",
        )
        wanted = [squeezed(_readable(part, found.parsed.plain)) for part in expect["text_body"]]
        have = squeezed(found.parsed.plain)
        html = [squeezed(pages.page(part).whole) for part in expect["html_body"]]
        shown = squeezed(pages.page(found.parsed.html).whole)
        good = (not any(wanted) or any(part in have or have in part for part in wanted if part and have)) and (
            not any(html) or any(part in shown or part in have for part in html)
        )
        body.add(
            good,
            f"{row['file']}: {have[:80]!r} for {[part[:80] for part in wanted]} html {shown[:80]!r} for {[part[:80] for part in html]}",
        )
    return {"mime_mail_parser_rs_legacy": {"subject": subject, "body": body}}


# --------------------------------------------------------------------------- the table

COLUMNS = (
    "new words", "language", "orders precision", "orders recall", "ips precision", "ips recall", "services precision", "services recall",
    "invoices precision", "invoices recall", "time", "no false time", "department", "question", "critical precision", "critical recall",
    "sensitive", "secrets", "diagnostics", "not confidently wrong", "subject", "body",
)  # fmt: skip


def measured(corpora: Path | None) -> Table:
    """Everything; the foreign sets only where they are."""
    table = labelled()
    whole: dict[str, Score] = {}
    for of in table.values():
        for name, score in of.items():
            total = whole.setdefault(name, Score())
            total.right, total.of = total.right + score.right, total.of + score.of
            total.misses += score.misses
    table = {"all twelve": whole} | table | attributions()
    if corpora is not None and corpora.is_dir():
        table |= reply_sets(corpora) | languages(corpora) | bodies(corpora)
    return table


def markdown(table: Table) -> list[str]:
    """The tables of the README: our own mails by language, then the foreign sets."""
    own = [name for name in table if name == "all twelve" or name in model.KNOWN]
    columns = [column for column in COLUMNS if column in table["all twelve"]]
    found = ["| | " + " | ".join(own) + " |", "|---" * (len(own) + 1) + "|"]
    for column in columns:
        cells = [f"{of[column].right}/{of[column].of}" if column in (of := table[name]) else "" for name in own]
        found.append(f"| {column} | " + " | ".join(cells) + " |")
    found += ["", "| set | what | right |", "|---|---|---|"]
    for name in (name for name in table if name not in own):
        found += [
            f"| {name} | {column} | {table[name][column].right}/{table[name][column].of} |"
            for column in COLUMNS
            if column in table[name]
        ]
    return found


def figures(lines: list[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """(right, of) by set and column of such tables."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    head: list[str] = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            head = []
        if not line.startswith("|") or set(line) <= set("|- "):
            continue
        if cells[:2] in (["set", "what"], ["", "all twelve"]):
            head = cells
        elif head[:2] == ["set", "what"]:
            right, _, of = cells[2].partition("/")
            found[cells[0], cells[1]] = int(right), int(of)
        elif head:
            for name, cell in zip(head[1:], cells[1:], strict=True):
                if cell:
                    found[name, cells[0]] = int(cell.partition("/")[0]), int(cell.partition("/")[2])
    return found
