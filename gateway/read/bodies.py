"""Which text of a mail is the words.

Within multipart/alternative one is chosen by what it says, not by its place; parts of anything else belong together.
What was not chosen, what stands around the parts, what an HTML page hides: all of it is kept beside the words, with a
line before it that says what it is. Nothing of a body is ever shown to nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.mail.charsets import decode
from gateway.mail.header import decode_words
from gateway.mail.limits import MAX_SOURCE, MAX_TEXT
from gateway.read import calendar, embedded, formats, html, tnef, transfer
from gateway.read.clean import clean
from gateway.read.parameters import Structured
from gateway.read.structure import Part

DIFFER = "the text and the HTML alternative differ"
HIDDEN = "hidden text in the HTML"
MAX_WORDS = 5000  #: of a text that are compared
MAX_STUB = 60  #: different words of a text that stands in for a page
_WORD = re.compile(r"\w{3,}")
_NUMBER = re.compile(r"\d{4,}")
_URL = re.compile(r"(?:https?://|www\.|mailto:|cid:)\S{1,2000}|\[(?:cid|image)[^\]\n]{0,200}\]", re.IGNORECASE)
_IS_HTML = re.compile(r"\s{0,500}(?:<\?xml[^>]{0,200}>\s{0,50})?<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_PREAMBLE = re.compile(
    r"(?i)\s*(?:--[- ]*)?(?:this is (?:a|an) (?:multi-?part|mime|cryptographically|s/mime|openpgp|encrypted|digitally)"
    r"|your mail ?reader|if you (?:see|are reading) this|"
    r"dies ist eine mehrteilige|ceci est un message|este (?:es un )?mensaje|questo è un messaggio|это сообщение в "
    r"формате|this message (?:is in|contains|uses) (?:mime|parts))"
)
_FILE_NAME = re.compile(r"\.[A-Za-z0-9]{2,5}(?:\?=)?\Z")
_NUMBERED = frozenset("plain html".split())
#: text that machines write for machines
_MACHINE = ("text/x-amp-html", "text/watch-html", "text/calendar", "text/vcard", "text/x-vcard", "text/directory", "tex"
    "t/css", "text/csv",
            "text/javascript", "text/xml", "text/rfc822-headers")  # fmt: skip


@dataclass(slots=True)
class Text:
    """One text of the mail. ``words``: without the quotes that HTML marks; ``whole``: with them; ``source``: as it was
    written."""

    kind: str  #: plain or html
    words: str
    whole: str
    source: str
    hidden: str = ""
    name: str = ""

    @property
    def said(self) -> bool:
        """Whether it says anything."""
        return bool(self.whole.strip())


@dataclass(slots=True)
class Bodies:
    """The texts of a mail: those that are its words, in order, and (what it is, text) of everything else."""

    chosen: list[Text] = field(default_factory=list)
    beside: list[tuple[str, Text]] = field(default_factory=list)
    differ: bool = False

    def add(self, other: Bodies) -> None:
        """What another part has goes with it."""
        self.chosen += other.chosen
        self.beside += other.beside
        self.differ = self.differ or other.differ


@dataclass(slots=True)
class Reader:
    """Reads the texts of one mail; what it finds besides is for the attachments.

    ``files``: by the index of a leaf, the files that its words contain. ``texts``: the leaves that were read as text.
    """

    notes: list[str]
    room: int = MAX_TEXT
    hint: str = ""  #: the charset of the mail, for file names in raw octets
    files: dict[int, list[embedded.Found]] = field(default_factory=dict)
    texts: set[int] = field(default_factory=set)
    unpacked: dict[int, tnef.Unpacked] = field(default_factory=dict)
    invitations: list[str] = field(default_factory=list)
    spare: list[tuple[str, Text]] = field(default_factory=list)  #: the words where there are no others
    sources: list[Text] = field(default_factory=list)

    def bodies(self, root: Part) -> Bodies:
        """The texts of the mail whose outermost part this is."""
        found = self._of(root)
        if not any(text.said for text in found.chosen):
            self._promote(found)
        for line in filter(None, self.invitations):
            found.chosen.append(Text("plain", line, line, line))
        return found

    def _promote(self, found: Bodies) -> None:
        """Nobody said anything: an inline file, words around the parts, what was called an attachment, a
        winmail.dat."""
        others = [*found.beside, *self.spare]
        for wanted in ("inline", "around", "winmail", "attachment"):
            words = [text for kind, text in others if kind == wanted and text.said]
            if words:
                found.chosen = words if wanted != "attachment" else words[:1]
                found.beside = [(kind, text) for kind, text in found.beside if kind != wanted]
                return

    def _of(self, part: Part) -> Bodies:
        """The texts of a part; parts nest at most ``MAX_DEPTH`` deep."""
        if not part.parts:
            return self._leaf(part)
        found = [self._of(child) for child in part.parts]
        if part.kind == "multipart/alternative":
            bodies = self._alternative(found)
        else:
            bodies = Bodies()
            for one in found:
                bodies.add(one)
            _same_twice(bodies)
        for start, end in part.around:
            text = self._around(bytes(part.data[start : min(end, start + 65536)]))
            if text is not None:
                bodies.beside.append(("around", text))
        return bodies

    def _around(self, data: bytes) -> Text | None:
        """What is before the first delimiter or behind the last, unless it only says that this is MIME."""
        if not data.strip(b" \t\r\n-"):
            return None
        text = clean(decode(data, "", hint=self.hint)[0]).strip()
        if not text or (_PREAMBLE.match(text) and len(text) < 600):
            return None
        return Text("plain", text, text, text)

    # -- alternatives

    def _alternative(self, found: list[Bodies]) -> Bodies:
        """One of the alternatives, by what they say; the others are kept beside it."""
        bodies = Bodies()
        plain: list[Text] = []
        pages: list[Text] = []
        for one in found:
            bodies.beside += one.beside
            bodies.differ = bodies.differ or one.differ
            (pages if any(text.kind == "html" for text in one.chosen) else plain).extend(one.chosen)
        texts, pages = _distinct(plain), _distinct(pages)
        left, right = _Words(texts), _Words(pages)
        if not (left.every and right.every):
            bodies.chosen = texts if left.every or not pages else pages
            rest = pages if bodies.chosen is texts else texts
            bodies.beside += [(f"alternative, {text.kind}", text) for text in rest if text.said]
            return bodies
        covers = len(right.own & left.every) * 2 >= len(right.own)
        if covers or (len(left.every) > len(right.every) and not _is_stub(left.every)):
            chosen, other, missing = texts, pages, right.own - left.every
        else:
            chosen, other, missing = pages, texts, left.every - right.every
        bodies.chosen = chosen
        unlike = len(missing) >= 5 and len(missing) * 10 >= 3 * len(right.own if chosen is texts else left.every)
        bodies.differ = (
            bodies.differ
            or unlike
            or bool(left.numbers - right.every_number)
            or bool(right.numbers - left.every_number and chosen is not pages)
        )
        if missing or bodies.differ:
            bodies.beside += [(f"alternative, {text.kind}", text) for text in other if text.said]
        return bodies

    # -- leaves

    def _leaf(self, part: Part) -> Bodies:
        kind = part.kind
        disposition = part.disposition.value
        attached = disposition.startswith("attach")
        if kind == "text/calendar":
            self._calendar(part)
        if kind in ("application/ms-tnef", "application/vnd.ms-tnef") or (
            kind == "application/octet-stream"
            and part.end - part.start > 20
            and part.content(64).startswith(tnef.SIGNATURE)
        ):
            self._winmail(part)
        name = name_of(part, self.hint)
        rtf = kind in ("text/rtf", "application/rtf") and not name and not attached
        if not (kind.startswith("text/") or rtf) or kind in _MACHINE or self.room <= 0:
            return Bodies()
        if attached and name:
            return Bodies()
        text = self._text(part, kind)
        text.name = name
        if attached:
            self.spare.append(("attachment", text))
            return Bodies()
        if (name and not _is_body_name(name)) or kind.startswith("text/x-"):
            return Bodies(beside=[("inline", text)])
        self.texts.add(part.index)
        self.sources.append(text)
        return Bodies(chosen=[text])

    def _calendar(self, part: Part) -> None:
        text, _ = decode(part.content(calendar.MAX_CALENDAR * 2), part.content_type.text("charset"))
        self.invitations.append(clean(calendar.calendar(text)))

    def _winmail(self, part: Part) -> None:
        inside = tnef.unpacked(part.content())
        if inside is None:
            self.notes.append("winmail.dat cannot be read")
            return
        self.notes.append("winmail.dat unpacked")
        self.unpacked[part.index] = inside
        if inside.text.strip():
            text = clean(inside.text)[:MAX_TEXT]
            self.spare.append(("winmail", Text("plain", text, text, text)))
        elif inside.html.strip():
            self.spare.append(("winmail", _page(clean(inside.html))))

    def _text(self, part: Part, kind: str) -> Text:
        """A text leaf, decoded."""
        data = part.content(MAX_SOURCE)
        rest = b""
        if part.encoding == transfer.BASE64:
            data, rest = transfer.words_in_base64(bytes(part.data[part.start : min(part.end, part.start + MAX_SOURCE)]))
        if part.end - part.start > MAX_SOURCE:
            self.notes.append("text cut to the limit")
        found = embedded.files_in(data) if kind != "text/html" and (b"begin " in data or b"=ybegin" in data) else []
        if found:
            self.files[part.index] = found
            data = embedded.without(data, found)
            self.notes.append("files written into the text")
        if kind in ("text/rtf", "application/rtf"):
            text, note = formats.rtf_text(data), ""
        else:
            text, note = decode(
                data, part.content_type.text("charset"), html=kind == "text/html" or b"<meta" in data[:2000].lower()
            )
        if note:
            self.notes.append(note)
        self.hint = self.hint or part.content_type.text("charset")
        if rest:
            text += "\n" + decode(rest, "", hint=self.hint)[0]
        return self._formed(clean(text), kind, part.content_type)

    def _formed(self, text: str, kind: str, content_type: Structured) -> Text:
        if kind == "text/html" or _IS_HTML.match(text):
            text = html.squeezed(text)
            cut = self._cut(text, html.MAX_HTML)
            return _page(cut)
        if kind in ("text/enriched", "text/richtext"):
            text = formats.enriched(text)
        if content_type.parameters.get("format", "").lower() == "flowed":
            text = formats.unflowed(text, content_type.parameters.get("delsp", "").lower() == "yes")
        text = self._cut(text, MAX_TEXT)
        words = formats.unarmoured(text)
        return Text("plain", words, words, text)

    def _cut(self, text: str, limit: int) -> str:
        limit = min(limit, self.room * (4 if limit > MAX_TEXT else 1))
        self.room -= min(len(text), limit) // (4 if limit > MAX_TEXT else 1)
        if len(text) > limit:
            self.notes.append("text cut to the limit")
        return text[:limit]


def _page(source: str) -> Text:
    found = html.page(source)
    if not found.whole and found.hidden:  # a page that hides everything shows it after all
        return Text("html", found.hidden, found.hidden, source)
    return Text("html", found.words, found.whole, source, found.hidden)


def _is_body_name(name: str) -> bool:
    """Whether a program gave its body a file name: "body.txt", "message.html", "mail text"."""
    return (
        re.fullmatch(
            r"(?i)(?:message|mail|e-?mail|body|text|part|nachricht|noname|untitled|unnamed|att\d{4,6})[ "
            r"_-]{0,2}(?:body|text|\d{1,3})?(?:\.(?:txt|html?))?",
            name,
        )
        is not None
    )


class _Words:
    """What texts say, for a comparison: their words and their numbers, without addresses of pages; ``own`` and
    ``numbers`` without what HTML marks as a quote, which a text has no marks for."""

    def __init__(self, texts: list[Text]) -> None:
        self.every = _words(" ".join(text.whole for text in texts))
        self.own = _words(" ".join(text.words for text in texts)) or self.every
        self.numbers, self.every_number = (
            frozenset(_NUMBER.findall(_URL.sub(" ", " ".join(said))))
            for said in ([text.words for text in texts], [text.whole for text in texts])
        )


def _is_stub(words: set[str]) -> bool:
    """Whether a short text only speaks of HTML or of a browser, as what stands in for a page does in any language."""
    return len(words) <= MAX_STUB and not words.isdisjoint(
        ("html", "browser", "webmail", "navigateur", "navegador", "браузере", "browserze")
    )


def _words(text: str) -> set[str]:
    found: set[str] = set()
    for word in _WORD.findall(_URL.sub(" ", text[: MAX_TEXT // 2].lower()))[:MAX_WORDS]:
        if len(word) > 8 and not word.isascii() and word[0] > "\u2e00":  # no blanks between words: pairs of characters
            found.update(word[at : at + 2] for at in range(len(word) - 1))
        else:
            found.add(word)
    return found


def _distinct(texts: list[Text]) -> list[Text]:
    """Each text once."""
    seen: dict[str, Text] = {}
    for text in texts:
        if text.said:
            seen.setdefault(" ".join(text.whole.split()), text)
    return list(seen.values())


def _same_twice(bodies: Bodies) -> None:
    """A mixed of a text and the same as HTML was meant to be an alternative."""
    said = [text for text in bodies.chosen if text.said]
    if len(said) != 2 or {text.kind for text in said} != _NUMBERED:
        return
    plain, page = (next(text for text in said if text.kind == kind) for kind in ("plain", "html"))
    left, right = _words(plain.whole), _words(page.whole)
    if len(left) > 3 and len(left & right) * 10 >= 9 * max(len(left), len(right)):
        bodies.chosen = [plain]
        if left != right:
            bodies.beside.append(("alternative, html", page))


def name_of(part: Part, hint: str = "") -> str:
    """The file name that a part has, as it was written; ``""`` for none."""
    name = part.disposition.text("filename", hint) or part.content_type.text("name", hint)
    if not name and not part.kind.startswith(("text/", "multipart/", "message/")):
        described = part.get("content-description")
        name = decode_words(described, hint) if _FILE_NAME.search(described) else ""
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] == "'" else name


_SAID = {
    "inline": "[a text file in the mail: {name}]",
    "around": "[text around the parts of the mail]",
    "attachment": "[a text that is called an attachment]",
    "winmail": "[the text of winmail.dat]",
    "alternative, html": "[the HTML alternative]",
    "alternative, plain": "[the text alternative]",
}


def beside(bodies: Bodies) -> str:
    """Everything that is not the words, each with a line that says what it is."""
    pieces = [
        f"{_SAID[kind].format(name=' '.join(text.name.split())[:100])}\n{text.whole}" for kind,
        text in bodies.beside if text.said and kind != "winmail"
    ]  # fmt: skip
    texts = [*bodies.chosen, *(text for _, text in bodies.beside)]
    pieces += [f"[hidden in the HTML]\n{text.hidden}" for text in texts if text.hidden.strip()]
    return "\n\n".join(pieces)[:MAX_TEXT]


def charset_of(root: Part) -> str:
    """The charset that a mail names for its words: what raw octets in its header are likely to be in."""
    for part in root.leaves():
        if (
            part.content_type.parameters
            and part.kind.startswith("text/")
            and (named := part.content_type.text("charset"))
        ):
            return named
    return ""
