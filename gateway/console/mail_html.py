"""The HTML of a mail, made safe to look at: an allow-list, nothing from elsewhere, in a frame that may do nothing.

What is shown is served under a policy of its own with ``sandbox``: no script, no form, no request to anywhere, another origin
than ours. Pictures come only from the mail itself, as ``data:``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html import escape

import nh3

MAX_HTML = 2 * 1024**2
MAX_PICTURE = 1024**2
MAX_PICTURES = 4 * 1024**2
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: of the page that a frame shows
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; "
    "form-action 'none'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_TAGS = {
    "a", "abbr", "address", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center", "cite", "code", "col",
    "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img",
    "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
}  # fmt: skip
_EVERY = {"align", "dir", "lang", "title", "valign"}
_ATTRIBUTES = {
    "*": _EVERY, "a": {"href"}, "img": {"src", "alt", "width", "height"}, "font": {"color", "face", "size"},
    "td": {"colspan", "rowspan", "width", "height", "bgcolor"}, "th": {"colspan", "rowspan", "width", "height", "bgcolor"},
    "table": {"width", "border", "cellpadding", "cellspacing", "bgcolor"}, "tr": {"bgcolor"}, "col": {"span", "width"},
    "ol": {"start", "type"}, "li": {"value"},
}  # fmt: skip
_REMOVED = {"script", "style", "title", "head", "template", "noscript", "object", "embed", "iframe", "svg", "math"}
_PAGE = (
    '<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>Mail</title><style>{style}</style></head>'
    "<body>{body}</body></html>"
)
_STYLE = (
    ":root{color-scheme:light}body{margin:12px;font:15px/1.5 system-ui,sans-serif;color:#1a1d21;background:#fff;"
    "overflow-wrap:anywhere}img{max-width:100%;height:auto}table{max-width:100%}pre{white-space:pre-wrap}"
    "blockquote{margin:.5em 0;padding-left:.8em;border-left:3px solid #c9ced6;color:#4b5563}a{color:#0b5cad}"
    ".gone{display:inline-block;padding:0 .4em;border:1px dashed #8a93a0;border-radius:4px;color:#5b6470;font-size:.85em}"
)
_PICTURE = re.compile(r"<img\b[^>]*>", re.I)
_SOURCE = re.compile(r'\bsrc="([^"]*)"', re.I)


def _kept(tag: str, attribute: str, value: str) -> str | None:
    if tag == "img" and attribute == "src":
        return value if value.lower().startswith("cid:") else None
    if attribute == "href":
        return value if value.lower().startswith(("http://", "https://", "mailto:", "tel:")) else None
    return value


def cleaned(html: str) -> str:
    """What is left of a mail's HTML by the allow-list."""
    return nh3.clean(
        html[:MAX_HTML], tags=_TAGS, attributes=_ATTRIBUTES, clean_content_tags=_REMOVED, attribute_filter=_kept,
        url_schemes={"http", "https", "mailto", "tel", "cid"}, link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )  # fmt: skip


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

    body = _PICTURE.sub(shown, cleaned(html))
    return _PAGE.format(language=escape(language or "und"), style=_STYLE, body=body), left_out
