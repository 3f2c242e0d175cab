"""Mails that are written to hold a reader up: a line of each kind, as often as it takes to fill a size, and where it can stand."""

from __future__ import annotations

import base64

#: repeated until the size is reached
LINES = {
    "attributions with a time": "1:00 <x> wrote:\n", "an attribution and a quote": "1:00 <x@y> wrote:\n> a\n", "quote lines": "> a\n", "quotes and words": "> a\nb\n", "attributions that end as one": "On 1.1.2026 12:30 a@b wrote\n",
    "two signatures": "--\n", "long dashes": "—\n", "rules": "____________\n", "footers": "Sent from my iPhone\n\na\n", "disclaimers": "This e-mail is confidential and intended solely for the addressee.\n\n", "quoted header blocks": "From: a@b\nSent: 1.1.2026 12:30\nTo: c\nSubject: d\n\n",
    "dividers": "-----Original Message-----\n", "marks": ">" * 70 + "\n", "commands": "> ping a\n", "colons": "a:\n", "blank lines": "\n", "one letter": "a", "one blank": " ", "tabs": "\t", "digits": "1", "opening brackets": "(", "angle brackets": "<", "at signs": "a@",
    "tags": "<a ", "bold tags": "<b>", "paragraphs": "<p>", "tables": "<table><tr><td>", "blockquotes": "<blockquote>a", "hidden": "<p style='display:none'>a", "white": "<font color=white>a", "comments": "<!--", "styles": "<style>", "entities": "&amp;", "data urls": "data:a/b,",
    "uuencode": "begin 644 a\n", "uuencoded lines": "begin 644 a\n#86)C\n", "yEnc": "=ybegin name=a\n", "pgp": "-----BEGIN PGP SIGNATURE-----\n", "delimiters": "--b\n", "delimiters with fields": "--b\nContent-Type: text/plain\n\na\n", "nearly delimiters": "--bb\n", "sql comments": "-- a\n",
    "nested parts": "--b\nContent-Type: multipart/mixed; boundary=b\n\n", "flowed": "a \n", "flowed quotes": ">>> a \n> b \n", "equals": "=", "escapes": "=C3", "soft breaks": "a=\n", "base64": "QUFB\n", "padding": "QQ==\n", "encoded words": "=?utf-8?q?a?= ", "half words": "=?utf-8?q?a",
    "cyrillic": "при", "japanese": "サー", "dates": "12.11.2026 12:30 ", "orders": "#123456 ", "addresses": "203.0.113.7 ", "urls": "http://a.b/ ", "outages": "server is down. ", "passwords": "password: a1b2\n", "keys": "-----BEGIN RSA PRIVATE KEY-----\n", "escape": "\x1b[", "cards": "4111 1111 1111 1111 ",
    "calendar": "BEGIN:VEVENT\nSUMMARY:a\n", "rtf": "{\\b a", "rtf links": "{\\field{\\*\\fldinst{HYPERLINK ", "semicolons": ";", "commas": ",", "backslashes": "\\", "quotes": '"', "parameters": "; a=b", "open quotes": '; a="b', "sections": "; a*0=b", "percents": "%41",
}  # fmt: skip
_HEAD = "From: a@b.example\nSubject: x\nMIME-Version: 1.0\n"
#: {} is the hostile text
CARRIERS = {
    "text": _HEAD + "Content-Type: text/plain; charset=utf-8\n\nHello\n{}",
    "answered below": _HEAD + "Content-Type: text/plain; charset=utf-8\n\nHello\n{}\n> a quote\nand my own words\n",
    "no label": _HEAD + "\n{}",
    "flowed": _HEAD + "Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\n\n{}",
    "html": _HEAD + "Content-Type: text/html; charset=utf-8\n\n<p>{}</p>",
    "html of quotes": _HEAD + "Content-Type: text/html\n\n<div class=gmail_quote style='color:red'><blockquote>{}",
    "enriched": _HEAD + "Content-Type: text/enriched\n\n{}",
    "rtf": _HEAD + "Content-Type: text/rtf\n\n{{\\rtf1 {}}}",
    "calendar": _HEAD + "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\n{}",
    "quoted-printable": _HEAD + "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n{}",
    "labelled base64": _HEAD + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n{}",
    "uuencode": _HEAD + "Content-Type: a/b\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n{}",
    "multipart": _HEAD + "Content-Type: multipart/mixed; boundary=b\n\n{}",
    "multipart without boundary": _HEAD + "Content-Type: multipart/alternative\n\n{}",
    "a part's type": _HEAD + 'Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; name="{}\n\nhello\n--b--\n',
    "a part's disposition": _HEAD + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: a/b\nContent-Disposition: attachment{}\n\nx\n--b--\n",
    "a part's encoding": _HEAD + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: {}\n\nhello\n--b--\n",
    "a part's header": _HEAD + "Content-Type: multipart/mixed; boundary=b\n\n--b\n{}\n\nhello\n--b--\n",
    "alternatives": _HEAD + "Content-Type: multipart/alternative; boundary=c\n\n--c\n\n{}\n--c\nContent-Type: text/html\n\n<p>{}\n--c--\n",
    "report": _HEAD + "Content-Type: multipart/report; boundary=c\n\n--c\nContent-Type: message/delivery-status\n\n{}\n--c\nContent-Type: message/rfc822\n\n{}\n--c--\n",
    "header": "From: a@b.example\n{}\n\nhello\n",
    "fields": "From: {}\nTo: {}\nMessage-ID: {}\nReferences: {}\nContent-Type: {}\nDate: {}\nX-Failed-Recipients: {}\n\nhello\n",
    "attached mail": _HEAD + "Content-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: message/rfc822\n\n{}\n--c--\n",
}  # fmt: skip


def mail(kind: str, carrier: str, size: int) -> bytes:
    """A hostile mail whose text is of ``size`` octets."""
    line = LINES[kind]
    text = line * (size // len(line.encode()) + 1)
    if carrier in ("fields", "a part's type", "a part's disposition", "a part's encoding"):
        text = text.replace("\n", " ")
    template = CARRIERS[carrier]
    text = text[: size // max(1, template.count("{}"))]
    return template.replace("{{", "{").replace("}}}", "}}").replace("{}", text, 20).replace("\n", "\r\n").encode()


def in_base64(kind: str, size: int) -> bytes:
    """The text behind a transfer encoding."""
    text = LINES[kind] * (size // len(LINES[kind].encode()) + 1)
    head = _HEAD + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    return head.replace("\n", "\r\n").encode() + base64.encodebytes(text.encode())
