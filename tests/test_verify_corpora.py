"""SPF, DKIM, DMARC and the author against suites nobody here wrote."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.mail.header import RawMail
from gateway.model import Author, AuthorStatus, Envelope, Verdict
from gateway.read.author import author_of
from gateway.verify import dkim, dmarc, spf
from gateway.verify.authenticate import Checks, authenticate
from gateway.verify.dns import ZoneResolver
from tests.scores import SCORES

NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)  # after the vectors were signed, before anything expires


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def judge(raw: bytes, zone: dict[str, Any], ip: str | None, mail_from: str, helo: str) -> tuple[Author, Verdict]:
    whole = RawMail.of(raw)
    author = author_of(whole.header)
    envelope = Envelope(mail_from, ("support@introserv.com",), ip, helo, "smtp", NOW)
    checks = Checks(ZoneResolver(zone), 10, False)
    return author, await authenticate(author, envelope, whole, checks)


def judged(author: str, spf_pass: str | None, signed: list[str], zone: dict[str, Any]) -> dmarc.DmarcResult:
    """DMARC by what the author's domain publishes."""

    async def found() -> dmarc.DmarcResult:
        resolver = ZoneResolver(zone)
        return await dmarc.evaluate(await dmarc.policy_of(author, resolver), spf_pass, signed, False, resolver)

    return asyncio.run(found())


@pytest.mark.fault("X36")
def test_spf_gives_the_results_of_the_rfc_7208_suite(corpora: Path) -> None:
    wrong = []
    cases = rows(corpora / "spf_openspf" / "index.jsonl")
    for case in cases:
        given = case["input"]
        found = asyncio.run(
            spf.check(
                spf.Sender(given["client_ip"], given["mailfrom"], given["helo"]), ZoneResolver(case["zone"]), True
            )
        )
        if found.result not in case["expect"]["spf"]:
            wrong.append((case["id"], found.result, case["expect"]["spf"]))
    SCORES.append(("spf_openspf", len(cases) - len(wrong), len(cases), ""))
    assert len(cases) == 203
    assert wrong == []


@pytest.mark.fault("X25")
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
    SCORES.append(("spoofs", len(suite["cases"]) - len(wrong), len(suite["cases"]), ""))
    assert len(suite["cases"]) >= 38
    assert wrong == []


@pytest.mark.fault("X38")
def test_dmarc_vectors(corpora: Path) -> None:
    wrong = []
    cases = json.loads((corpora / "dmarc_vectors" / "cases.json").read_text())
    for case in cases:
        spf_domain = (case["spf"] or "").lower() or None
        signed = [domain.lower() for domain in case["dkim"]]
        found = judged(case["frm"].lower(), spf_domain, signed, case["zone"])
        if found.result != case["res"] or (case["pol"] and found.policy != case["pol"]):
            wrong.append((case["id"], found, case["res"], case["pol"]))
    SCORES.append(("dmarc_vectors", len(cases) - len(wrong), len(cases), ""))
    assert wrong == []


@pytest.mark.fault("X37")
def test_dkim_vectors_of_chasquid(corpora: Path) -> None:
    """All of them, but that one signature of 09 covers 17 octets of the body (l=), which is no pass here."""
    wrong, count = [], 0
    folder = corpora / "dkim_chasquid"
    for case in rows(folder / "index.jsonl"):
        if "states" not in case["expect"]:
            continue  # 03 is no message
        raw = (folder / case["file"]).read_bytes()
        whole = RawMail.of(raw)
        author = author_of(whole.header)
        domain = (author.address or "@x").rpartition("@")[2]
        found = asyncio.run(dkim.verify(whole, domain, ZoneResolver(case["zone"]), NOW))
        good, count = sum(result.result == "pass" for result in found), count + 1
        if good != case["expect"]["valid"] - (case["file"] == "09-limited_body.msg"):
            wrong.append((case["file"], found, case["expect"]))
    SCORES.append(
        ("dkim_chasquid", count - len(wrong), count, "one signature of 09 covers a part of the body (l=): no pass here")
    )
    assert wrong == []


def test_a_forged_author_is_never_authenticated() -> None:
    author = author_of(b"From: a@x.example\r\nFrom: b@y.example\r\n")
    assert author.status is AuthorStatus.FORGED
    assert author.address is None


@pytest.mark.fault("X38")
def test_dmarc_results_of_mail_auth(corpora: Path) -> None:
    wrong = []
    cases = rows(corpora / "dmarc_mail_auth_rs" / "index.jsonl")
    for case in cases:
        given, expect = case["input"], case["expect"]
        written = given.get("message") or f"From: a@{given['from'].rpartition('@')[2]}\r\n"
        domain = (author_of(written.encode()).address or "@").rpartition("@")[2]
        zone = {
            name.removesuffix(" A"): {"A": value["TXT"]} if name.endswith(" A") else value
            for name, value in case["zone"].items()
        }
        signed = [given["dkim_domain"]] if given.get("dkim_result") == "pass" else []
        sender = given["mailfrom_domain"] if given.get("spf_result") == "pass" else None
        found = judged(domain, sender, signed, zone)
        aligned = ("pass" if found.dkim_aligned else "", "pass" if found.spf_aligned else "")
        wanted = tuple("pass" if expect.get(key) == "pass" else "" for key in ("dmarc_dkim", "dmarc_spf"))
        if aligned != wanted or (expect.get("policy") and found.policy != expect["policy"]):
            wrong.append((case["id"], found, expect))
    SCORES.append(("dmarc_mail_auth_rs", len(cases) - len(wrong), len(cases), ""))
    assert len(cases) == 11
    assert wrong == []


#: where RFC 9989 or our own rule for authors says something else than authheaders
_DIFFERS = {
    "test_authenticate_dmarc_bad": "junk after p=none is ignored (RFC 9989 section 4.7): p=none is what counts",
    "test_authenticate_dmarc_no_p": "a record without p= is p=none (RFC 9989 section 4.7), so nothing aligned is a failure",
    "test_authenticate_dmarc_nofrom": "without one author nothing is evaluated",
}


def test_results_of_authheaders(corpora: Path) -> None:
    folder = corpora / "auth_authheaders"
    zone = json.loads((folder / "zone.json").read_text())
    wrong = []
    for case in rows(folder / "index.jsonl"):
        raw = (folder / case["file"]).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        whole = RawMail.of(raw)
        author = author_of(whole.header)
        domain = (author.address or "@").rpartition("@")[2]
        found: dict[str, Any] = {}
        signed = [line.partition("header.d=")[2].split()[0] for line in case["call"].split(";") if "dkim=pass" in line]
        if "dkim=" not in case["call"]:
            results = asyncio.run(dkim.verify(whole, domain, ZoneResolver(zone), NOW))
            signed = [result.domain for result in results if result.result == "pass"]
            found["dkim"] = [result.result for result in results]
        if "dmarc" in case["expect"] and author.status is AuthorStatus.OK:
            policy = judged(domain, None, signed, zone)
            found["dmarc"] = [policy.result]
            if case["expect"].get("policy"):
                found["policy"] = policy.policy
        elif "dmarc" in case["expect"]:
            found["dmarc"] = ["fail" if author.status is AuthorStatus.FORGED else "permerror"]
        if case["id"] in _DIFFERS:
            assert found.get("dmarc") != ["pass"], case["id"]
        elif any(found[key] != case["expect"].get(key) for key in found):
            wrong.append((case["id"], author, found, case["expect"]))
    count = len(rows(folder / "index.jsonl"))
    SCORES.append(("auth_authheaders", count - len(_DIFFERS) - len(wrong), count, "; ".join(_DIFFERS.values())))
    assert wrong == []
