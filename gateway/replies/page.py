"""A text of ours as people see it: lines that fit a terminal, and the same as a page of HTML."""

from __future__ import annotations

import functools
import html
import re
import textwrap

COLUMNS = 76  #: of a line of ours in plain text


def wrapped(text: str) -> str:
    """Plain text with lines that fit a terminal; items of a list hang, and an address is never broken."""
    return "\n".join(line if len(line) <= COLUMNS else _pieces(line) for line in text.split("\n"))


@functools.lru_cache(maxsize=256)  # most lines are the template's
def _pieces(line: str) -> str:
    if _LINK.search(line):
        return line
    hang = "  " if line.startswith("- ") else ""
    options = {"break_long_words": False, "break_on_hyphens": False}
    return "\n".join(textwrap.wrap(line, COLUMNS, subsequent_indent=hang, **options))  # type: ignore[arg-type]


_LINK = re.compile(r"https?://[^\s<>\"]{1,500}")


_PAGE = """<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">
<title>{title}</title></head><body style="margin: 0; padding: 16px">
<div style="max-width: 40em; font-family: sans-serif; font-size: 16px; line-height: 1.5; overflow-wrap: anywhere">
{blocks}
</div></body></html>
"""


def html_of(text: str, language: str = "en") -> str:
    """The text as simple HTML: paragraphs, line breaks, lists and links; everything escaped. It sets no colour, and
    links have that of the words, so that a mail program's dark mode keeps its contrast, names its language for screen
    readers, and loads nothing. The line above which one answers is small, so that the words are seen first."""
    marker, _, words = text.strip().partition("\n\n") if text.startswith("-- ") else ("", "", text.strip())
    blocks = [f'<p style="margin: 0; font-size: 12px">{html.escape(marker)}</p>'] if marker else []
    blocks += map(_block, words.split("\n\n"))
    return _PAGE.format(language=language, title=html.escape(_gist(words)), blocks="\n".join(blocks))


_GREETING = 60  #: characters of a first line that greets


def _gist(words: str) -> str:
    """The first sentence behind the greeting, as a title."""
    first, _, rest = words.partition("\n\n")
    greets = rest and len(first) <= _GREETING and first.endswith((",", "!", ":"))
    sentence = re.split(r"(?<=[.!?])\s", rest if greets else first, maxsplit=1)[0]
    return " ".join(sentence.split())[:120]


@functools.lru_cache(maxsize=128)  # most paragraphs are the template's
def _block(text: str) -> str:
    """One paragraph, list or quotation; ``dir``: words of any script read from their own side."""
    lines = text.split("\n")
    if all(line.startswith("> ") or line == ">" for line in lines):
        quoted = "<br>\n".join(_linked(line[2:]) for line in lines)
        return f'<blockquote dir="auto" style="margin: 0 0 0 1em; font-style: italic">{quoted}</blockquote>'
    if lines[0].startswith("- ") and all(line.startswith(("- ", "  ")) for line in lines):
        return "<ul>" + "".join(f'<li dir="auto">{item}</li>' for item in _items(lines)) + "</ul>"
    return '<p dir="auto">' + "<br>\n".join(map(_linked, lines)) + "</p>"


def _items(lines: list[str]) -> list[str]:
    """The items of a list; a line that goes on with a link keeps it on a line of its own."""
    items: list[str] = []
    for line in lines:
        if line.startswith("- ") or not items:
            items.append(_linked(line[2:].strip()))
        else:
            items[-1] += ("<br>\n" if _LINK.match(line.strip()) else " ") + _linked(line.strip())
    return items


@functools.lru_cache(maxsize=256)  # most lines are the template's
def _linked(line: str) -> str:
    pieces, position = [], 0
    for found in _LINK.finditer(line):
        url = html.escape(found[0].rstrip(".,;:)"), quote=True)
        pieces.append(_whole(line[position : found.start()]))
        pieces.append(f'<a href="{url}" style="color: inherit">{url}</a>')
        position = found.start() + len(found[0].rstrip(".,;:)"))
    pieces.append(_whole(line[position:]))
    return "".join(pieces)


#: what a narrow page must not break: a reference, a range, and "E-Mail"
_WHOLE = re.compile(r"\bT-[0-9A-Z]{7}\b|\b[Ee]-[Mm]ail|\b\d[\d:]{0,6}–\d[\d:]{0,6}\b")

_BLANKS = re.compile(r"^ +(?=\S)|  +")


def _whole(words: str) -> str:
    """Escaped, with the pieces that belong together kept together, and blanks that make columns kept as they are."""
    spaced = _BLANKS.sub(lambda blanks: "\u00a0" * (len(blanks[0]) - 1) + " ", words)
    return _WHOLE.sub(r'<span style="white-space: nowrap">\g<0></span>', html.escape(spaced))
