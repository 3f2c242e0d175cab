"""The HTML of a mail, made safe to look at: an allow-list, nothing from elsewhere, in a frame that may do nothing.

What is shown is served under a policy of its own with ``sandbox``: no script, no form, no request to anywhere, another
origin than ours. Pictures come only from the mail itself, as ``data:``.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Callable
from html import escape

import nh3
from starlette.responses import HTMLResponse, Response

from gateway.console import links, pages

MAX_HTML = 2 * 1024**2
#: what takes a parser of HTML more than a fraction of a second: tags in all, elements and formatting (bold, colours)
#: left open
MAX_TAGS, MAX_OPEN, MAX_STYLED, MAX_TAG, MAX_AMPERSANDS = 20_000, 2_000, 500, 64 * 1024, 100_000
MAX_PICTURE = 1024**2
MAX_PICTURES = 4 * 1024**2
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: of the page that a frame shows
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; "
    "form-action 'none'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_TAGS = {
    "a", "abbr", "address", "b", "bdi", "big", "blockquote", "br", "caption", "center", "cite", "code", "col",
    "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i",
    "img",
    "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
}  # fmt: skip
_EVERY = {"align", "dir", "lang", "title", "valign"}
_ATTRIBUTES = {
    "*": _EVERY, "a": {"href"}, "img": {"src", "alt", "width", "height"}, "font": {"color", "face", "size"},
    "td": {"colspan", "rowspan", "width", "height", "bgcolor"},
    "th": {"colspan", "rowspan", "width", "height", "bgcolor"},
    "table": {"width", "border", "cellpadding", "cellspacing", "bgcolor"}, "tr": {"bgcolor"}, "col": {"span", "width"},
    "ol": {"start", "type"}, "li": {"value"},
}  # fmt: skip
_REMOVED = {"script", "style", "title", "head", "template", "noscript", "object", "embed", "iframe", "svg", "math"}
_PAGE = (
    '<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>Mail</title><style>{style}</style></'
    "head>"
    "<body>{body}</body></html>"
)
_STYLE = (
    ":root{color-scheme:light}body{margin:12px;font:15px/1.5 system-ui,sans-serif;color:#1a1d21;background:#fff;"
    "overflow-wrap:anywhere}[dir]{unicode-bidi:isolate}img{max-width:100%;height:auto}table{max-width:100%}"
    "pre{white-space:pre-wrap}"
    "blockquote{margin:.5em 0;padding-left:.8em;border-left:3px solid #c9ced6;color:#4b5563}a{color:#0b5cad}"
    ".gone{display:inline-block;padding:0 .4em;border:1px dashed "
    "#8a93a0;border-radius:4px;color:#5b6470;font-size:.85em}"
)
#: a link and where it leads stay side by side, and nothing of the mail's reaches into our words
_LEADS = (
    "a[href]{direction:ltr;unicode-bidi:isolate}.leads{all:initial;direction:ltr;unicode-bidi:isolate-override;"
    "display:inline-block;max-width:100%;margin:0 .3em;padding:0 .4em;border:1px solid #7a5d00;border-radius:4px;"
    "background:#fff4c2;color:#1a1d21;font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}"
)
TOO_LARGE = (
    "<p>The formatting of this mail is too large to be shown safely. Its words are in the ticket, and <i>Download</i> "
    "has all of it.</p>"
)
_PICTURE = re.compile(r"<img\b[^>]*>", re.I)
_SOURCE = re.compile(r'\bsrc="([^"]*)"', re.I)


def _kept(tag: str, attribute: str, value: str) -> str | None:
    if tag == "img" and attribute == "src":
        return value if value.lower().startswith("cid:") else None
    if attribute == "href":
        return links.kept(value)
    return value


_PLAIN = "<p>This mail is plain text: it has no formatted version.</p>"
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_ENDS_ITSELF = {"p", "li", "td", "th", "tr", "dd", "dt", "tbody", "thead", "tfoot", "option", "colgroup"}
_STYLED = {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
_DATA = re.compile(r"data:[^\"'\s>]{1000,}", re.I)
_TAG = re.compile(r"<(/?)([a-z][a-z0-9:-]*)([^>]*)", re.I)


def is_simple(html: str) -> bool:
    """Whether it is read in a fraction of a second: deep nesting and formatting that never ends cost the square of
    their length."""
    if html.count("&") > MAX_AMPERSANDS:
        return False
    left_open: Counter[str] = Counter()
    tags = depth = styled = 0
    for found in _TAG.finditer(html):
        name, tags = found[2].lower(), tags + 1
        if tags > MAX_TAGS or len(found[3]) > MAX_TAG:
            return False
        if name in _VOID or name in _ENDS_ITSELF or (found[1] and not left_open[name]):
            continue
        step = -1 if found[1] else 1
        left_open[name] += step
        depth, styled = depth + step, styled + (step if name in _STYLED else 0)
        if depth > MAX_OPEN or styled > MAX_STYLED:
            return False
    return True


def shorter(html: str) -> str:
    """Without pictures that are written into it: they are not shown anyway."""
    return _DATA.sub("", html)


def cleaned(html: str) -> str:
    """What is left of a mail's HTML by the allow-list."""
    return nh3.clean(
        html[:MAX_HTML], tags=_TAGS, attributes=_ATTRIBUTES, clean_content_tags=_REMOVED, attribute_filter=_kept,
        url_schemes={"http", "https", "mailto", "tel", "cid"}, link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )  # fmt: skip


def plain(language: str) -> str:
    """The page of a mail that has no HTML."""
    return _PAGE.format(language=escape(language or "und"), style=_STYLE, body=_PLAIN)


def framed(page: str) -> Response:
    """A page for a frame that may do nothing."""
    response = HTMLResponse(page)
    response.headers["content-security-policy"] = POLICY
    response.headers["x-frame-options"] = "SAMEORIGIN"
    return response


def written(words: str, language: str) -> str:
    """A page of plain words for the frame of a mail, escaped; ``language``: of the words, or empty."""
    body = f"<pre>{escape(str(pages.harmless(words)))}</pre>"
    return _PAGE.format(language=escape(language or "und"), style=_STYLE, body=body)


def told(page: str) -> str:
    """A page that says where each of its links leads, in words of ours; its own run in one direction."""
    head, body, rest = links.undirected(page).partition("<body>")
    return head.replace("</style>", _LEADS + "</style>", 1) + body + links.labelled(rest)


def headed(page: str, head: str) -> str:
    """A page with something of ours above it."""
    return page.replace("<body>", f"<body>{head}", 1)


def page(html: str, language: str, picture: Callable[[str], tuple[str, bytes] | None]) -> tuple[str, int]:
    """(the page for the frame, how many pictures were left out). ``picture`` gives type and content of a Content-ID."""
    left_out, spent = 0, 0

    def shown(match: re.Match[str]) -> str:
        nonlocal left_out, spent
        tag = match.group(0)
        source = _SOURCE.search(tag)
        found = picture(source.group(1)[4:]) if source is not None else None
        if (
            found is None
            or found[0] not in PICTURES
            or len(found[1]) > MAX_PICTURE
            or spent + len(found[1]) > MAX_PICTURES
        ):
            left_out += 1
            return '<span class="gone">picture not loaded</span>'
        spent += len(found[1])
        data = f"data:{found[0]};base64,{base64.b64encode(found[1]).decode()}"
        return tag.replace(source.group(0), f'src="{data}"') if source is not None else tag

    given = shorter(html)[:MAX_HTML]
    body = _PICTURE.sub(shown, cleaned(given)) if is_simple(given) else TOO_LARGE
    return _PAGE.format(language=escape(language or "und"), style=_STYLE, body=body), left_out
