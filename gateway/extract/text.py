"""The words of a mail as plain text: from text/plain, else from HTML by an iterative walk (selectolax)."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_HTML = 1024 * 1024
MAX_DEPTH = 256
MAX_TEXT = 256 * 1024
_BLOCKS = frozenset(
    [
        "p",
        "div",
        "br",
        "tr",
        "table",
        "li",
        "ul",
        "ol",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "blockquote",
        "pre",
        "section",
        "article",
        "header",
        "footer",
        "address",
        "dl",
        "dt",
        "dd",
    ]
)
_SKIPPED = frozenset(
    ["script", "style", "head", "title", "template", "noscript", "svg", "math", "object", "iframe", "select"]
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})[^<>]{0,4000}>")
_VOID = frozenset(
    ["br", "hr", "img", "input", "meta", "link", "area", "base", "col", "embed", "source", "track", "wbr"]
)


def _too_deep(html: str) -> bool:
    """Whether tags nest deeper than the parser should see; it is quadratic on such input."""
    depth = 0
    for found in _TAG.finditer(html):
        if found[2].lower() in _VOID:
            continue
        depth = max(0, depth - 1) if found[1] else depth + 1
        if depth > MAX_DEPTH * 4:
            return True
    return False


#: the class or id of what quotes
_QUOTING = re.compile(r"gmail_quote|yahoo_quoted|moz-cite-prefix|divRplyFwdMsg|appendonsend|OutlookMessageHeader")
_BLOCKQUOTE = re.compile(r"<blockquote", re.IGNORECASE)


def _may_quote(html: str) -> bool:
    """Cheap: whether anything in it can be a quote."""
    return bool(_BLOCKQUOTE.search(html) or _QUOTING.search(html))


def _quoted(node: LexborNode) -> bool:
    if node.tag == "blockquote":
        return True
    attributes = node.attributes
    return bool(_QUOTING.search(f"{attributes.get('class') or ''} {attributes.get('id') or ''}"))


def html_to_text(html: str) -> tuple[str, str]:
    """(words without quoted blocks, all words) of an HTML body; nothing is ever fetched."""
    html = html[:MAX_HTML]
    if _too_deep(html):
        flat = " ".join(re.sub(r"<[^<>]{0,4000}>", " ", html).split())[:MAX_TEXT]
        return flat, flat
    root = LexborHTMLParser(html).body
    if root is None:
        return "", ""
    full = _walk(root, skip_quotes=False)
    return (_walk(root, skip_quotes=True) if _may_quote(html) else full), full


def _walk(root: LexborNode, skip_quotes: bool) -> str:
    pieces: list[str] = []
    size = 0
    node: LexborNode | None = root.child
    depth = 0
    while node is not None and size < MAX_TEXT:
        tag = node.tag or ""
        descend = False
        if tag == "-text":
            text = re.sub(r"[ \t\r\n\xa0]+", " ", node.text_content or "")
            pieces.append(text)
            size += len(text)
        elif tag not in _SKIPPED and not tag.startswith("-") and not (skip_quotes and _quoted(node)):
            if tag in _BLOCKS:
                pieces.append("\n")
            elif tag in ("td", "th"):
                pieces.append(" ")
            descend = node.child is not None and depth < MAX_DEPTH
        if descend:
            node, depth = node.child, depth + 1
            continue
        while node is not None and node.next is None:
            node, depth = node.parent, depth - 1
            if node is None or node.mem_id == root.mem_id or depth < 0:
                node = None
                break
            if (node.tag or "") in _BLOCKS:
                pieces.append("\n")
        node = node.next if node is not None else None
    lines = [" ".join(line.split()) for line in "".join(pieces).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


_ARMOUR = re.compile(
    r"-----BEGIN PGP SIGNED MESSAGE-----[ \t]{0,5}\n(?:[A-Za-z-]{1,40}: [^\n]{0,200}\n){0,10}|-----BEGIN PGP SIGNATURE-----[^-]{0,20000}-----END PGP SIGNATURE-----"
)


def unarmoured(plain: str) -> str:
    """The text without the armour of an OpenPGP signature around it (RFC 9580 section 7)."""
    return _ARMOUR.sub("", plain) if "-----BEGIN PGP SIG" in plain else plain


def words_of(plain: str, html: str) -> tuple[str, str]:
    """(words to search for quotes, full words) of a mail with these bodies."""
    if plain.strip():
        plain = unarmoured(plain[:MAX_TEXT])
        return plain, plain
    return html_to_text(html) if html.strip() else ("", "")
