"""The words of an HTML body, by an iterative walk (selectolax): those of the author, all of them, and those that nobody
was to see."""

from __future__ import annotations

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_HTML = 1024 * 1024
MAX_DEPTH = 256
MAX_TEXT = 256 * 1024
LARGE = 64 * 1024  #: characters from which on styles and pictures are taken out before the page is parsed
#: what stands on lines of its own, with a blank line around it, and what only begins a line
_PARAGRAPHS = frozenset("p table ul ol h1 h2 h3 h4 h5 h6 hr blockquote pre dl".split())
_LINES = frozenset("div tr li section article header footer address dt dd".split())
#: begins a line unless one begins there; ends the line; what fills a line that looks empty
_SOFT, _BREAK, _EMPTY = "\x00", "\n", "\x01"
_SKIPPED = frozenset("script style head title template noscript svg math object iframe select".split())
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})[^<>]{0,4000}>")
_VOID = frozenset("br hr img input meta link area base col embed source track wbr".split())
_BLANK = re.compile(r"[ \t\r\n\xa0]+")
_DATA = re.compile(r"data:[a-zA-Z0-9/+.;=-]{1,100},[A-Za-z0-9+/=%_\s-]{200,}+")
#: in the class or id of what quotes
_QUOTING = ("gmail_quote", "yahoo_quoted", "moz-cite-prefix", "divRplyFwdMsg", "appendonsend", "OutlookMessageHeader")
_CITING = re.compile(r"<blockquote[^<>]{0,400}\s(?:cite\b|type\s?=\s?[\"']?cite)", re.IGNORECASE)
#: the same of what a mail program puts above everything that it quotes
_HISTORY = re.compile(r"divRplyFwdMsg|appendonsend|OutlookMessageHeader")
#: of a signature
_SIGNING = re.compile(
    r"gmail_signature|AppleMailSignature|moz-signature|ms-outlook-mobile-signature|(?:^"
    r"|[\s\"'=])(?:x_)*Signature(?:[\s\"'>]|$)"
)
_TIGHT = re.compile(r"MsoNormal|MsoPlainText|\bmargin\s{0,3}:\s{0,3}0(?:px|cm|in)?\s{0,3}(?:;|$)")
#: what hides, each by what it cannot lack in small letters: a page is looked through for the words first
_MAY_HIDE = {
    word: re.compile(expression)
    for word, expression in {
        "display": r"display\s{0,3}:\s{0,3}none", "visibility": r"visibility\s{0,3}:",
        "opacity": r"opacity\s{0,3}:\s{0,3}0",
        "font-size": r"font-size\s{0,3}:\s{0,3}0", "mso-hide": r"mso-hide", "max-height": r"max-height\s{0,3}:\s{0,3}0",
        "hidden": r"\shidden\b",
        "#fff": r"color\s{0,3}[:=]\s{0,3}[\"']?\s{0,3}#fff", "white": r"color\s{0,3}[:=]\s{0,3}[\"']?\s{0,3}white",
        "rgb(": r"color\s{0,3}[:=]\s{0,3}[\"']?\s{0,3}rgb\(\s{0,3}255",
    }.items()
}  # fmt: skip
_HIDING = re.compile(
    r"display\s{0,3}:\s{0,3}none|visibility\s{0,3}:\s{0,3}hidden|font-size\s{0,3}:\s{0,3}0(?:\.0)?(?:px|pt|em"
    r"|%)?\s{0,3}(?:!important)?\s{0,3}(?:;|$)|"
    r"mso-hide\s{0,3}:\s{0,3}all|opacity\s{0,3}:\s{0,3}0(?:\.0{1,4})?\s{0,3}(?:;|$)"
    r"|max-height\s{0,3}:\s{0,3}0(?:px)?\s{0,3}(?:;|$)",
    re.IGNORECASE,
)
_WHITE = r"(?:#fff(?:fff)?\b|white\b|rgb\(\s{0,3}255\s{0,3},\s{0,3}255\s{0,3},\s{0,3}255\s{0,3}\))"
_WHITE_TEXT = re.compile(rf"(?:^|[;\s])color\s{{0,3}}:\s{{0,3}}{_WHITE}", re.IGNORECASE)
_WHITE_FONT = re.compile(rf"^\s{{0,3}}{_WHITE}", re.IGNORECASE)
_BACKGROUND = re.compile(r"background", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """``words``: without quoted blocks. ``whole``: everything that is shown. ``hidden``: what a reader does not see."""

    words: str
    whole: str
    hidden: str


def squeezed(html: str) -> str:
    """A large page without its styles, scripts, comments and the pictures that are written into it; linear."""
    if len(html) <= LARGE:
        return html
    html = _DATA.sub("data:,", html)
    for opening, closing in (("<style", "</style"), ("<script", "</script"), ("<!--", "-->")):
        html = _cut(html, opening, closing)
    return html


def _cut(html: str, opening: str, closing: str) -> str:
    lower = html.lower()
    if len(lower) != len(html):  # a letter that has two in lower case
        lower = html
    kept, position = [], 0
    while True:
        start = lower.find(opening, position)
        end = lower.find(closing, start + len(opening)) if start >= 0 else -1
        if end < 0:
            kept.append(html[position:])
            return "".join(kept)
        kept.append(html[position:start])
        position = end + len(closing)
        if closing[-1] != ">":
            position = max(position, lower.find(">", position) + 1)


def _too_deep(html: str) -> bool:
    """Whether tags nest deeper than the parser should see; it is quadratic on such input."""
    if html.count("<") - html.count("</") <= MAX_DEPTH * 4:
        return False  # not even if none of them were closed
    depth = 0
    for found in _TAG.finditer(html):
        if found[2].lower() in _VOID:
            continue
        depth = max(0, depth - 1) if found[1] else depth + 1
        if depth > MAX_DEPTH * 4:
            return True
    return False


def _may_quote(html: str) -> bool:
    """Cheap: whether anything in it can be a quote."""
    lower = html.lower()
    return "<blockquote" in lower or _marks_quotes(html) or ("signature" in lower and _SIGNING.search(html) is not None)


def _marks_quotes(words: str) -> bool:
    return any(word in words for word in _QUOTING)


def _may_hide(html: str) -> bool:
    """Cheap: whether anything in it can be hidden."""
    lower = html.lower()
    return any(word in lower and expression.search(lower) is not None for word, expression in _MAY_HIDE.items())


def cites(html: str) -> bool:
    """Whether a mail program marked something as the quoted mail, rather than that a block is indented."""
    return _marks_quotes(html) or ("<blockquote" in html.lower() and _CITING.search(html) is not None)


def _quoted(node: LexborNode) -> bool:
    if node.tag == "blockquote":
        return True
    named = _named(node)
    return bool(named) and (_marks_quotes(named) or _SIGNING.search(named) is not None)


def _named(node: LexborNode) -> str:
    """The class and id of an element."""
    attributes = node.attributes
    return f"{attributes.get('class') or ''} {attributes.get('id') or ''}" if attributes else ""


def _edge(node: LexborNode) -> str:
    """What stands before and after an element: a blank line, the begin of a line, or nothing."""
    tag = node.tag or ""
    if tag in _LINES:
        return _SOFT
    if tag not in _PARAGRAPHS:
        return ""
    if tag == "p":
        attributes = node.attributes
        if attributes and _TIGHT.search(f"{attributes.get('class') or ''} {(attributes.get('style') or '')[:400]}"):
            return _SOFT
    return _SOFT + _BREAK


def _hides(node: LexborNode) -> bool:
    """Whether an element hides what is in it, or writes it in white where nobody chose a background."""
    attributes = node.attributes
    if not attributes:
        return False
    if "hidden" in attributes and attributes.get("hidden") != "false":
        return True
    style = (attributes.get("style") or "")[:2000]
    if style and _HIDING.search(style):
        return True
    white = _WHITE_TEXT.search(style) is not None or _WHITE_FONT.match(attributes.get("color") or "") is not None
    return white and not _coloured(node)


def _coloured(node: LexborNode) -> bool:
    """Whether an element or one around it has a background of its own."""
    around: LexborNode | None = node
    for _ in range(MAX_DEPTH):
        if around is None:
            return False
        attributes = around.attributes
        if (
            attributes.get("bgcolor")
            or attributes.get("background")
            or _BACKGROUND.search((attributes.get("style") or "")[:2000])
        ):
            return True
        if attributes.get("class"):  # a style sheet may give it one
            return True
        around = around.parent
    return True


def page(html: str) -> Page:
    """The words of an HTML body; nothing is ever fetched."""
    html = squeezed(html)[:MAX_HTML]
    if _too_deep(html):
        flat = " ".join(re.sub(r"<[^<>]{0,4000}>", " ", html).split())[:MAX_TEXT]
        return Page(flat, flat, "")
    root = LexborHTMLParser(html).body
    if root is None:
        return Page("", "", "")
    hidden: list[str] | None = [] if _may_hide(html) else None
    whole = _walk(root, False, hidden)
    words = _walk(root, True, None if hidden is None else []) if _may_quote(html) else whole
    return Page(words, whole, "\n".join(hidden or ())[:MAX_TEXT])


def _walk(root: LexborNode, skip_quotes: bool, hidden: list[str] | None) -> str:
    """The text under a node. ``hidden`` takes what is not to be seen; ``None``: nothing can be."""
    pieces: list[str] = []
    size = 0
    node: LexborNode | None = root.child
    depth = 0
    while node is not None and size < MAX_TEXT:
        tag = node.tag or ""
        descend = False
        if tag == "-text":
            content = node.text_content or ""
            text = _blanked(content)
            if text != " ":
                pieces.append(text)
            elif "\xa0" in content:
                pieces.append(_EMPTY)
            elif pieces and pieces[-1][-1:] not in (_SOFT, _BREAK):
                pieces.append(text)
            size += len(text)
        elif tag == "br":
            pieces.append(_BREAK)
        elif skip_quotes and pieces and _HISTORY.search(_named(node)) and "".join(pieces).strip("\x00\x01 \n"):
            break  # everything below is the mail that is answered
        elif tag not in _SKIPPED and not tag.startswith("-") and not (skip_quotes and _quoted(node)):
            if hidden is not None and _hides(node):
                hidden.append(_shown([node.text(deep=True, separator=" ")]))
            else:
                if tag in ("td", "th"):
                    pieces.append(" ")
                elif edge := _edge(node):
                    pieces.append(edge)
                descend = node.child is not None and depth < MAX_DEPTH
                if not descend and node.child is not None:  # too deep to walk: its words at once
                    pieces.append(_BLANK.sub(" ", node.text(deep=True, separator=" ")))
                    size += len(pieces[-1])
        if descend:
            node, depth = node.child, depth + 1
            continue
        while node is not None and node.next is None:
            node, depth = node.parent, depth - 1
            if node is None or node.mem_id == root.mem_id or depth < 0:
                node = None
                break
            if edge := _edge(node):
                pieces.append(edge)
        node = node.next if node is not None else None
    return _shown(pieces)


def _blanked(text: str) -> str:
    """The text with single blanks; most have no others."""
    return _BLANK.sub(" ", text) if "  " in text or not text.isprintable() or "\xa0" in text else text


_RUN_OF_SOFT = re.compile("[ ]*\x00[\x00 ]*")


def _shown(pieces: list[str]) -> str:
    text = _RUN_OF_SOFT.sub(_SOFT, "".join(pieces))
    text = text.replace("\n\x00", "\n").replace("\x00", "\n").replace(_EMPTY, " ")
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
