"""Templates to a message ready for the relay. No header can be injected: the built bytes are compared with what was
meant (RFC 5322, RFC 3834, CVE-2024-6923).

Templates are files of the admin or of the package, rendered in a sandbox with StrictUndefined; customers' words are
variables only. The HTML part is made from the rendered text unless ``<name>.<language>.html.j2`` is there.
"""

from __future__ import annotations

import base64
import contextlib
import difflib
import email.utils
import quopri
import re
import secrets as random
import time
import tomllib
import unicodedata
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.header import Header
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError

from gateway.mail import guard
from gateway.mail.address import plain_local
from gateway.mail.header import first_lines, written_fields
from gateway.model import FENCE, Enclosure, OutboxItem, Outgoing
from gateway.replies import localized
from gateway.replies.page import html_of, wrapped
from gateway.replies.samples import FENCED, NAMES, OURS, STAFF, samples
from gateway.replies.sandbox import BoundedSandbox, bounded, rendered
from gateway.replies.sign import SigningKey, signed
from gateway.settings import Gateway, Hours, Problem

WORDS = "words"  #: words.<language>.toml holds the short texts of a language
MAX_BODY = 200_000
MIN_BODY = 20  #: characters; a shorter text would be a blank mail
_PREFIX = re.compile(
    r"^\s*((re|aw|sv|vs|antw|odp|res|rif|r|ynt|fwd?|wg|tr|rv|i|hа|отв|ответ|відп|пересл)\s*(\[\d+\])?\s*[:：]\s*)+",
    re.I,
)
_REFERENCE = re.compile(r"\[T-[0-9A-Z]{7}\]")
_ATOM = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_HOST = re.compile(r"[A-Za-z0-9.-]+")
_ID = re.compile(r"[!-;=?-~]{1,250}")


class RenderError(Exception):
    """A reply cannot be built; the text says which template and why, without any customer's words."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What replies promise, in whole minutes: a person's first answer, and a first reply to a Client Area ticket."""

    target: int = 15
    limit: int = 30
    ticket: int = 10


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a reply comes from, by ``[gateway]``. ``envelope``: ``verp``, ``address`` or ``null``. ``hours``: of the
    departments that do not work around the clock."""

    gateway: Gateway
    envelope: str
    secret: bytes
    signing: tuple[SigningKey, ...] = ()
    promise: Promise = Promise()
    hours: Mapping[str, Hours] = field(default_factory=dict)


def shipped_templates() -> Path:
    """The folder of the package's own templates."""
    packaged = Path(str(resources.files("gateway").joinpath("data/templates")))
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "templates"


def _text_only(value: object) -> object:
    """Values reach the page as plain text without control characters."""
    if isinstance(value, str) and not value.replace("\n", "").isprintable():
        return "".join(c for c in value if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return value


class Templates:
    """The templates of one configuration."""

    def __init__(self, folder: Path | None, at_once: bool = True) -> None:
        folders = [str(path) for path in (folder, shipped_templates()) if path is not None]
        self._environment = self._sandbox(folders, escaped=False)
        self._pages = self._sandbox(folders, escaped=True)
        self._folder = folder
        self._folders = folders
        self._words: dict[str, Mapping[str, str]] = {}
        self._ready: dict[str, Mapping[str, str]] = {}
        self._available = {name.removesuffix(".txt.j2") for name in self._environment.list_templates(extensions=["j2"])}
        if at_once:
            self._load_all()

    @staticmethod
    def _sandbox(folders: list[str], escaped: bool) -> BoundedSandbox:
        sandbox = BoundedSandbox(
            loader=FileSystemLoader(folders),
            undefined=StrictUndefined,
            autoescape=escaped,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            finalize=_text_only,
            auto_reload=False,
            cache_size=-1,
        )
        sandbox.globals["count"] = localized.counted
        sandbox.filters["moment"] = localized.moment
        sandbox.filters["hour"] = localized.hour
        sandbox.filters["octets"] = localized.sized
        return sandbox

    def _load_all(self) -> None:
        """Reads every file now: what is changed on disk later takes effect at a reload, or not at all."""
        for name in self._environment.list_templates(extensions=["j2"]):
            with contextlib.suppress(TemplateError, UnicodeDecodeError, OSError):
                (self._pages if name.endswith(".html.j2") else self._environment).get_template(
                    name
                )  # ``problems`` names the ones that cannot be used
        for language in self.languages():
            with contextlib.suppress(RenderError):
                self.words(language)

    def languages(self) -> tuple[str, ...]:
        """The languages in which every customer template is there."""
        found = {name.partition(".")[2] for name in self._available if "." in name}
        return tuple(sorted(lang for lang in found if all(f"{name}.{lang}" in self._available for name in NAMES)))

    def names(self) -> list[str]:
        """``name.language`` of every text template."""
        return sorted(name for name in self._available if re.fullmatch(r"[a-z][a-z_]*\.[a-z]{2}", name))

    def words(self, language: str) -> Mapping[str, str]:
        """The short texts of a language: subjects. RenderError when they cannot be read."""
        known = self._words.get(language)
        if known is None:
            for folder in self._folders:
                path = Path(folder) / f"{WORDS}.{language}.toml"
                if path.is_file():
                    try:
                        known = tomllib.loads(path.read_text(encoding="utf-8"))
                    except (OSError, ValueError) as error:
                        raise RenderError(f"{path}: {type(error).__name__}") from error
                    break
            else:
                raise RenderError(f"{WORDS}.{language}.toml is missing")
            self._words[language] = known
        return known

    def ready(self, language: str) -> Mapping[str, str]:
        """The ready texts of a language for the console, by title: ``ready.<language>.toml`` of the admin's folder, or
        of the package. Placeholders in braces are filled in there. Empty where there is none, or it cannot be read."""
        known = self._ready.get(language)
        if known is None:
            known = {}
            for folder in self._folders:
                path = Path(folder) / f"ready.{language}.toml"
                if path.is_file():
                    with contextlib.suppress(OSError, ValueError):
                        read = tomllib.loads(path.read_text(encoding="utf-8"))
                        known = {title: text for title, text in read.items() if isinstance(text, str)}
                    break
            self._ready[language] = known
        return known

    def text(self, name: str, language: str, values: Mapping[str, Any]) -> str:
        """The text of a template.

        Raises:
            RenderError: it is not there, or cannot be rendered.
        """
        which = f"{name}.{language}.txt.j2"
        text = _made(self._environment.get_template, which, language, values)
        return re.sub(r"\n{3,}", "\n\n", text).strip()[:MAX_BODY] + "\n"

    def page(self, name: str, language: str, values: Mapping[str, Any], text: str) -> str:
        """The HTML part: of ``<name>.<language>.html.j2`` when it is there, else made from the rendered text.

        Raises:
            RenderError: the file is there and cannot be rendered.
        """
        which = f"{name}.{language}.html.j2"
        if which not in self._available:
            return html_of(text, language)
        return _made(self._pages.get_template, which, language, values)

    def problems(self, sender: Sender) -> list[Problem]:
        """Every template tried with every kind of values; a fault a line."""
        found: list[Problem] = []
        for which in self.names():
            name, _, language = which.partition(".")
            if name not in (*NAMES, *STAFF):
                continue
            for context in samples(name):
                try:
                    values = variables(sender, context)
                    with bounded():
                        text = self.text(name, language, values)
                        self.page(name, language, values, text)
                    if len(text.strip()) < MIN_BODY:
                        raise RenderError("the template is empty")
                    if name in FENCED and FENCE not in text:
                        raise RenderError("without {{ fence }} a quoted notification cannot be told from an answer")
                except RenderError as error:
                    path = (self._folder or shipped_templates()) / f"{which}.txt.j2"
                    cause = error.__cause__
                    line = f"line {getattr(cause, 'lineno', None)}" if getattr(cause, "lineno", None) else ""
                    said = f"{type(cause).__name__}: {cause}" if cause is not None else str(error)
                    found.append(Problem(str(path), line, said))
                    break
        found += self._misspelt()
        for language in self.languages() or ("en",):
            try:
                self.words(language)["subject_fixed"].format(name="x")
                self.words(language).get("subject_abuse_notice", "").format(account="1")
            except (RenderError, KeyError, IndexError, ValueError, AttributeError) as error:
                found.append(Problem(str(self._folder or shipped_templates()), f"{WORDS}.{language}.toml", str(error)))
        return [*found, *self._incomplete()]

    def _incomplete(self) -> list[Problem]:
        """Languages in which some mails could be written and others could not."""
        there = [name.partition(".") for name in self._available]
        begun = {language for name, _, language in there if name in NAMES and len(language) == 2} | {"en"}
        found = []
        for language in sorted(begun):
            absent = [f"{name}.{language}.txt.j2" for name in NAMES if f"{name}.{language}" not in self._available]
            if absent:
                why = f"{', '.join(absent)} missing: nobody is answered in {language!r} before all of them are there"
                found.append(Problem(str(self._folder or shipped_templates()), "", why))
        return found

    def _misspelt(self) -> list[Problem]:
        """Files of the admin's folder that no reply would ever use."""
        if self._folder is None:
            return []
        known = {f"{name}.{end}.j2" for name in (*NAMES, *STAFF) for end in ("txt", "html")}
        found = []
        for path in sorted(self._folder.glob("*.j2")):
            name = re.sub(r"\.[a-z]{2}\.(txt|html)\.j2$", r".\1.j2", path.name)
            if not path.name.startswith("_") and name not in known:
                near = difflib.get_close_matches(name.partition(".")[0], [*NAMES, *STAFF], n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                found.append(
                    Problem(str(path), "", f"no reply uses a template of this name (NAME.LANGUAGE.txt.j2){hint}")
                )
        return found


#: what a template may ask for that an older row does not have
_ABSENT: dict[str, Any] = {
    "started_at": None, "why": "", "author_name": "", "account_holder": "", "goes_to": "", "spoken": None,
    "reply_language": "en", "target_at": None, "limit_at": None, "facts": (), "text": "", "files": (), "left_out": (),
    "more_files": 0, "missing": (), "reply_to": None, "again": False, "held": "", "news": "", "event": "", "marks": (),
    "digest": False, "message": None, "said_by": "", "said_at": None, "open_too": (),
    "also": (), "thanks": False, "invoices": (), "below": "", "answered": "", "answered_by": "", "answered_at": None,
    "has": (), "accounts": (), "note": "", "noted_by": "",
    "listed": None, "departments": (), "incident": None, "confirmed": False,
}  # fmt: skip


def _made(template: Callable[[str], Template], which: str, language: str, values: Mapping[str, Any]) -> str:
    try:
        return rendered(template(which), _spoken(values, language))
    except Exception as error:  # a template is an admin's program: whatever it raises is its fault
        raise RenderError(f"template {which}: {type(error).__name__}") from error


def _spoken(values: Mapping[str, Any], language: str) -> dict[str, Any]:
    """The values with what each language words in its own way: its name, the zone's, and when the team works."""
    zone, opening = str(values.get("timezone") or "UTC"), values.get("opening")
    hours = localized.opening(opening, zone, language) if opening is not None else ""
    return {**values, "language": language, "zones": localized.zones(zone, language), "hours": hours}


def variables(sender: Sender, context: Mapping[str, Any]) -> dict[str, Any]:
    """What a template sees: the row's context and who we are."""
    return {
        "started_at": None,
        "abuse": False,
        "incident_since": None,
        **_ABSENT,
        **context,
        "fence": FENCE,
        "name": sender.gateway.name,
        "address": sender.gateway.address,
        "client_area_url": sender.gateway.client_area_url,
        "chat_url": sender.gateway.chat_url,
        "target_minutes": sender.promise.target,
        "limit_minutes": sender.promise.limit,
        "ticket_minutes": sender.promise.ticket,
        "timezone": sender.gateway.timezone,
        "opening": sender.hours.get(str(context.get("department") or "")),
    }


# --------------------------------------------------------------------------- headers


def neutral(text: str, limit: int = 120) -> str:
    """A customer's words as one harmless line: no control or format characters, and no ``=?`` that could be decoded."""
    text = " ".join(text.split())
    if not text.isprintable():
        text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    while "=?" in text or "?=" in text:
        text = text.replace("=?", "= ?").replace("?=", "? =")
    return " ".join(text.split())[:limit].strip()


def reply_subject(theirs: str, reference: str) -> str:
    """``Re: <theirs, prefixes collapsed> [T-...]``; a subject that holds the reference keeps it in place."""
    bare = _PREFIX.sub("", neutral(theirs, 400)).strip()
    bare = " ".join(_REFERENCE.sub("", bare).split())[:120].strip() or "..."
    return f"Re: {bare} [{reference}]"


def _encoded(value: str) -> str:
    """A header value as ASCII, folded (RFC 2047)."""
    if value.isascii():
        return value
    return Header(value, "utf-8", maxlinelen=70).encode(linesep="\r\n")


def _name(value: str) -> str:
    value = neutral(value, 100)
    if not value:
        return ""
    if value.isascii():
        return '"' + value.replace("\\", "").replace('"', "'") + '"'
    return _encoded(value)


def _fold_ids(ids: list[str]) -> str:
    kept: list[str] = []
    for one in ids:
        if _ID.fullmatch(one) and f"<{one}>" not in kept:
            kept.append(f"<{one}>")
    kept = kept[:1] + kept[1:][-9:]
    return "\r\n ".join(kept)


def headers_for(item: OutboxItem, sender: Sender, subject: str) -> list[tuple[str, str]]:
    """The intended header fields, in order; ASCII but for a recipient beyond it (RFC 6532)."""
    context = item.context
    reply_to = str(context.get("reply_to") or "")
    fields = [
        ("From", f"{_name(sender.gateway.name)} <{sender.gateway.address}>".strip()),
        ("To", f"<{item.recipient}>"),
        ("Subject", _encoded(subject)),
        ("Date", email.utils.format_datetime(item.created_at)),
        ("Message-ID", f"<{item.rfc_id}>"),
    ]
    if reply_to and _ATOM.fullmatch(reply_to):
        fields.append(("Reply-To", f"{_name(sender.gateway.name)} <{reply_to}>".strip()))
    parent = str(context.get("in_reply_to") or "")
    if parent and _ID.fullmatch(parent):
        fields.append(("In-Reply-To", f"<{parent}>"))
        fields.append(("References", _fold_ids([*map(str, context.get("references") or ()), parent])))
    if item.kind == "auto":
        fields.append(("Auto-Submitted", "auto-replied"))
        fields.append(("X-Auto-Response-Suppress", "All"))
    elif item.kind == "staff":
        fields.append(("Auto-Submitted", "auto-generated"))
        fields.append(("X-Auto-Response-Suppress", "All"))
    if item.kind != "person":
        fields.append((guard.LOOP_HEADER, guard.loop_value(sender.secret, item.rfc_id)))
    fields.append(("MIME-Version", "1.0"))
    return fields


def subject_of(item: OutboxItem, sender: Sender, words: Mapping[str, str]) -> str:
    """The subject by kind and trust: their words only to verified authors."""
    reference = str(item.context.get("reference") or "")
    if item.kind == "staff":
        return staff_subject(item, reference, words)
    if own := words.get("subject_" + item.template):
        return f"[{reference}] " + neutral(own.format(account=item.context.get("account") or ""))
    if item.context.get("verified") and item.context.get("subject"):
        return reply_subject(str(item.context["subject"]), reference)
    return f"[{reference}] " + words["subject_fixed"].format(name=neutral(sender.gateway.name))


def staff_subject(item: OutboxItem, reference: str, words: Mapping[str, str]) -> str:
    """``[T-...] High, technical: <subject>``: what happened, how urgent it is, whose it is, and what it is about."""
    context = item.context
    if not reference:
        return _gateways_own(context, words)
    event = _STAFF_EVENTS.get(str(context.get("event") or ""), "")
    form = words.get(f"subject_{event}") or words["subject_" + item.template]
    priority = "High" if context.get("priority") == "high" else "CRITICAL" if context.get("critical") else "Regular"
    department = str(context.get("department") or "")
    theirs = _REFERENCE.sub("", _PREFIX.sub("", neutral(str(context.get("subject") or ""), 400)))
    theirs = neutral(_OURS.sub("", _PREFIX.sub("", theirs).strip()), 80) or "(no subject)"
    return neutral(form.format(reference=reference, priority=priority, department=department, subject=theirs), 160)


def _gateways_own(context: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Of a mail about no ticket: what happened, unless it is a digest."""
    lines = context.get("lines") or ()
    if context.get("listed") is not None:
        return words.get("subject_list", "Open tickets: {count}").format(count=context["listed"])
    if context.get("digest") or not lines:
        return words["subject_digest"]
    form = words.get("subject_alarm", "Mail gateway, {kind}: {line}")
    return neutral(form.format(kind=lines[0]["kind"], line=neutral(str(lines[0]["line"]), 400)), 140)


#: what our own notifications put before a subject, which comes back with a staff mail
_OURS = re.compile(
    r"^(?:(?:(?:Reminder|OVERDUE|Yours|Handed over), )?(?:High|CRITICAL|Regular)|Follow-up|Note|Unverified sender|"
    r"Snooze over)"
    r", (?:technical|financial): |^NOT (?:SENT, please look again|ACCEPTED): "
)


_STAFF_EVENTS = {
    "appended": "staff_follow_up", "pending": "staff_pending", "corrected": "staff_corrected", "awake": "staff_awake",
    "noted": "staff_noted",
}  # fmt: skip


# --------------------------------------------------------------------------- the message


def _part(content_type: str, text: str) -> bytes:
    data = text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")
    if data.isascii() and max(map(len, data.split(b"\r\n"))) <= 900:
        encoding, body = "7bit", data
    elif len(data.decode().encode("ascii", "ignore")) * 4 > len(data) * 3:
        encoding = "quoted-printable"
        body = quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    else:
        encoding, body = "base64", base64.encodebytes(data).replace(b"\n", b"\r\n")
    charset = "us-ascii" if encoding == "7bit" else "utf-8"
    header = f"Content-Type: {content_type}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return header.encode() + body


def _international(address: str) -> bool:
    """Whether this is a plain address with a local part beyond ASCII, which only SMTPUTF8 can carry."""
    local, _, host = address.rpartition("@")
    return not local.isascii() and plain_local(local) and _HOST.fullmatch(host) is not None


_MEDIA = re.compile(r"[a-z]{1,20}/[a-z0-9][a-z0-9.+-]{0,80}")
_ACTIVE = re.compile(r"message/|multipart/|text/html|application/xhtml|image/svg")


def _enclosed(file: Enclosure) -> bytes:
    """A file as a part: always base64, and what a mail program would show or run as a page is only a file."""
    kind = file.type.lower()
    if not _MEDIA.fullmatch(kind) or _ACTIVE.match(kind):
        kind = "application/octet-stream"
    name = neutral(file.filename, 100).replace("/", "_").replace("\\", "_") or "unnamed"
    plain = re.sub(r"[^A-Za-z0-9 ._()+-]", "_", name)
    value = (
        f'filename="{plain}"' if plain == name else f"filename*=UTF-8''{urllib.parse.quote(name, safe='')}"
    )  # RFC 2231
    disposition = f"attachment;\r\n {value}"
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: {disposition}\r\n\r\n"
    return head.encode() + base64.encodebytes(file.content).replace(b"\n", b"\r\n")


def build(item: OutboxItem, sender: Sender, templates: Templates, files: Sequence[Enclosure] = ()) -> Outgoing:
    """The message of an outbox row with these files, checked against what was meant.

    Raises:
        RenderError: it cannot be built safely.
    """
    if not _ATOM.fullmatch(item.recipient) and not _international(item.recipient):
        raise RenderError("the recipient is no plain address")
    values = variables(sender, item.context)
    text = templates.text(item.template, item.language, values)
    page = templates.page(item.template, item.language, values, text) if item.kind != "staff" else ""
    words = templates.words(item.language)
    subject = subject_of(item, sender, words)
    fields = headers_for(item, sender, subject)
    text = wrapped(text) if item.template in OURS else text
    raw = _assembled(fields, text, page, files)
    if not _as_meant(raw, fields):
        fixed = f"[{item.context.get('reference') or ''}] " + words["subject_fixed"].format(name="Support")
        fields = [
            (name, fixed if name == "Subject" else value)
            for name, value in fields
            if name not in ("In-Reply-To", "References")
        ]
        raw = _assembled(fields, text, page, files)
        if not _as_meant(raw, fields):
            raise RenderError("the built headers are not the intended ones")
    mail_from = {
        "verp": guard.bounce_address(sender.secret, item.id, sender.gateway.replies_at),
        "address": sender.gateway.address,
        "null": "",
    }
    if sender.signing:
        raw = signed(raw, sender.signing, int(time.time()))
    return Outgoing(raw, mail_from[sender.envelope], item.recipient)


def _assembled(fields: list[tuple[str, str]], text: str, page: str, files: Sequence[Enclosure]) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("utf-8", "replace")
    body = _part("text/plain", text)
    if page:
        body = _multipart("alternative", [body, _part("text/html", page)])
    return head + (_multipart("mixed", [body, *map(_enclosed, files)]) if files else body)


def _multipart(kind: str, parts: Sequence[bytes]) -> bytes:
    boundary = f"=_{random.token_hex(16)}"
    opening = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'.encode()
    return opening + f"\r\n--{boundary}\r\n".encode().join(parts) + f"\r\n--{boundary}--\r\n".encode()


_STRUCTURE = (b"content-type", b"content-transfer-encoding")
MAX_LINE = 998  #: octets without the line end (RFC 5322 section 2.1.1)


def _as_meant(raw: bytes, fields: list[tuple[str, str]]) -> bool:
    """Whether the header block of the bytes has exactly the intended fields, once each, and nothing a parser could
    read otherwise (bare CR, LF or NUL)."""
    block = first_lines(raw)
    if b"\x00" in block or block.count(b"\r") != block.count(b"\r\n") or block.count(b"\n") != block.count(b"\r\n"):
        return False
    lines = block.split(b"\r\n")
    if max(map(len, lines)) > MAX_LINE or not all(map(bytes.strip, lines)):
        return False
    meant = [(name.encode(), f" {value}\r\n".encode("utf-8", "replace")) for name, value in fields]
    found = written_fields(block) or []
    return [field for field in found if field[0].lower() not in _STRUCTURE] == meant
