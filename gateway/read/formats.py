"""Text in formats of its own: flowed (RFC 3676), enriched (RFC 1896), RTF, an OpenPGP signature around it (RFC 9580
section 7)."""

from __future__ import annotations

import re

MAX_RTF = 1024 * 1024
MAX_FIELDS = 50  #: links of an RTF document: striprtf is quadratic in them
_ARMOUR = re.compile(
    r"-----BEGIN PGP SIGNED MESSAGE-----[ \t]{0,5}\n(?:[A-Za-z-]{1,40}: [^\n]{0,200}\n){0,10}|-----BEGIN PGP "
    r"SIGNATURE-----[^-]{0,20000}-----END PGP SIGNATURE-----"
)
_ESCAPED_DASH = re.compile(r"^- (?=-)", re.MULTILINE)
_QUOTES = re.compile(r">+")
_ENRICHED = re.compile(r"<(?!<)/?[A-Za-z0-9-]{1,60}>")
_PARAM = re.compile(r"<param>[^<]{0,200}</param>", re.IGNORECASE)


def unarmoured(plain: str) -> str:
    """The text without the armour of an OpenPGP signature around it."""
    if "-----BEGIN PGP SIG" not in plain:
        return plain
    text = _ARMOUR.sub("", plain)
    return _ESCAPED_DASH.sub("", text) if "-----BEGIN PGP SIGNED" in plain else text


def unflowed(text: str, delsp: bool) -> str:
    """Paragraphs of flowed text, one a line (RFC 3676 section 4): a line that ends with a blank goes on in the next."""
    lines: list[str] = []
    pending: list[str] = []
    level = 0
    for line in text.split("\n"):
        quotes = _QUOTES.match(line)
        depth = len(quotes[0]) if quotes else 0
        content = line[depth:].removeprefix(" ")
        signature = content == "-- "
        if pending and (depth != level or signature):
            lines.append("".join(pending).rstrip(" "))
            pending = []
        if not pending and depth:
            pending.append(">" * depth + " ")
        level = depth
        if content.endswith(" ") and not signature:
            pending.append(_joined(content) if delsp else content)
            continue
        lines.append("".join([*pending, content]))
        pending = []
    if pending:
        lines.append("".join(pending).rstrip(" "))
    return "\n".join(lines)


def _joined(line: str) -> str:
    """A line that goes on in the next one, with ``delsp``: its blank goes where a link or a script without blanks was
    divided. Elsewhere it stays: no signature covers blanks at the end of a line (RFC 6376 section 3.4.4), and "order
    12345" must not become another number because somebody added one."""
    content = line[:-1]
    token = content.rpartition(" ")[2]
    return content if not token or "://" in token or not token[-1].isascii() else line


def enriched(text: str) -> str:
    """The words of text/enriched and text/richtext, without what only formats them; single line breaks are folds."""
    text = _ENRICHED.sub("", _PARAM.sub("", text)).replace("<<", "<")
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def rtf_text(data: bytes) -> str:
    """The words of an RTF document; ``""`` when it cannot be read."""
    from striprtf.striprtf import rtf_to_text  # here: few mails have any

    document = data[:MAX_RTF].decode("latin-1")
    if document.count("\\field") > MAX_FIELDS:
        document = document.replace("\\field", "").replace("HYPERLINK", "")
    try:
        text: str = rtf_to_text(document, errors="replace")
    except Exception:  # a library over hostile input: whatever it raises, the mail is read without these words
        return ""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
