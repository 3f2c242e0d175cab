"""SPF, DKIM, DMARC and the author against suites nobody here wrote."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.message import header_end
from gateway.model import Author, AuthorStatus, Envelope, Verdict
from gateway.verify import dkim, dmarc, spf
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.author import author_of
from gateway.verify.dns import ZoneResolver

NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)  # after the vectors were signed, before anything expires


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def judge(raw: bytes, zone: dict[str, Any], ip: str | None, mail_from: str, helo: str) -> tuple[Author, Verdict]:
    end, body = header_end(raw)
    author = author_of(raw[:end])
    envelope = Envelope(mail_from, ("support@introserv.com",), ip, helo, "smtp", NOW)
    checks = Checks(ZoneResolver(zone), 10, False)
    return author, await authenticate(author, envelope, raw, raw[:end], body, checks, NOW)


def test_spf_gives_the_results_of_the_rfc_7208_suite(corpora: Path) -> None:
    wrong = []
    cases = rows(corpora / "spf_openspf" / "index.jsonl")
    for case in cases:
        given = case["input"]
        found = asyncio.run(
            spf.check(given["client_ip"], given["mailfrom"], given["helo"], ZoneResolver(case["zone"]), True)
        )
        if found.result not in case["expect"]["spf"]:
            wrong.append((case["id"], found.result, case["expect"]["spf"]))
    assert len(cases) == 203
    assert wrong == []


def test_every_spoof_is_seen_through(corpora: Path) -> None:
    suite = json.loads((corpora / "spoofs" / "cases.json").read_text())
    wrong = []
    for case in suite["cases"]:
        raw = base64.b64decode(case["msg"])
        author, verdict = asyncio.run(judge(raw, suite["zone"], case["ip"], case["mf"], case["helo"]))
        domain = (author.address or "").rpartition("@")[2]
        right = {
            "nopass": not verdict.authenticated,
            "pass": verdict.authenticated,
            "pass-as-attack": verdict.authenticated and domain == "attack.com",
            "reject": verdict.enforced and not verdict.authenticated,
            "info": not (verdict.authenticated and domain == "legitimate.com" and case["id"].startswith("I1")),
        }[case["want"]]
        if not right:
            wrong.append((case["id"], author, verdict.reasons))
    assert len(suite["cases"]) >= 38
    assert wrong == []


def test_dmarc_vectors(corpora: Path) -> None:
    wrong = []
    cases = json.loads((corpora / "dmarc_vectors" / "cases.json").read_text())
    for case in cases:
        spf_domain = (case["spf"] or "").lower() or None
        signed = [domain.lower() for domain in case["dkim"]]
        found = asyncio.run(dmarc.evaluate(case["frm"].lower(), spf_domain, signed, False, ZoneResolver(case["zone"])))
        if found.result != case["res"] or (case["pol"] and found.policy != case["pol"]):
            wrong.append((case["id"], found, case["res"], case["pol"]))
    assert wrong == []


def test_dkim_vectors_of_chasquid(corpora: Path) -> None:
    """09 accepts a body signed in part (l=), which we do not; 10 and 11 are chasquid's own policy."""
    wrong = []
    folder = corpora / "dkim_chasquid"
    for case in rows(folder / "index.jsonl"):
        if case["file"][:2] in ("09", "10", "11") or "states" not in case["expect"]:
            continue
        raw = (folder / case["file"]).read_bytes()
        end, body = header_end(raw)
        author = author_of(raw[:end])
        domain = (author.address or "@x").rpartition("@")[2]
        found = asyncio.run(dkim.verify(raw, raw[:end], body, domain, ZoneResolver(case["zone"]), NOW))
        good = sum(result.result == "pass" for result in found)
        if good != case["expect"]["valid"]:
            wrong.append((case["file"], found, case["expect"]))
    assert wrong == []


def test_a_forged_author_is_never_authenticated() -> None:
    author = author_of(b"From: a@x.example\r\nFrom: b@y.example\r\n")
    assert author.status is AuthorStatus.FORGED
    assert author.address is None
