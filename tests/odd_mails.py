"""Odd mails as real mail programs, gateways and machines write them, each with what a person would read in it.

``CASES`` maps a name to (raw mail, what is right). What is right is a mapping of: ``says`` and ``lacks`` (strings that the author's
words have or have not, white space folded), ``full`` (strings of the full text), ``files`` (the names of the attachments, in order),
``subject``, ``author`` (an address, or ``None``), ``notes`` (strings that occur in the notes).
"""

from __future__ import annotations

import base64
import binascii
import quopri
from typing import Any

Right = dict[str, Any]
CASES: dict[str, tuple[bytes, Right]] = {}
WORDS = "Hello, the disk of tfz1cvkr is slow since this morning, order #234567. Please have a look at it."
RUSSIAN = "Здравствуйте, наш сервер tfz1cvkr не отвечает с утра, заказ #234567. Помогите, пожалуйста, это срочно."
UKRAINIAN = (
    "Добрий день, наш сервер не відповідає вже годину, замовлення #234567. Допоможіть, будь ласка, їм потрібен доступ."
)
GERMAN = (
    "Guten Tag, der Server läuft seit heute früh nicht mehr. Bestellung #234567. Bitte prüfen Sie das. Grüße aus Köln"
)
CZECH = "Dobrý den, náš server je od rána úplně nedostupný, objednávka #234567. Prosíme o rychlou pomoc, děkujeme."
POLISH = "Dzień dobry, nasz serwer nie działa od rana, zamówienie #234567. Proszę o pilną pomoc, dziękuję bardzo."
TURKISH = "Merhaba, sunucumuz sabahtan beri çalışmıyor, sipariş #234567. Lütfen yardım edin, teşekkürler, iyi günler."
GREEK = "Καλημέρα, ο διακομιστής μας δεν λειτουργεί από το πρωί, παραγγελία #234567. Παρακαλώ βοηθήστε μας, ευχαριστώ."
HEBREW = "שלום, השרת שלנו לא עובד מהבוקר, הזמנה 234567. אנא עזרו לנו בהקדם, תודה רבה"
ARABIC = "مرحبا، الخادم الخاص بنا لا يعمل منذ الصباح، رقم الطلب 234567. يرجى المساعدة في أقرب وقت"
JAPANESE = "こんにちは、サーバーが今朝から動いていません。注文番号は234567です。確認をお願いします。"
CHINESE = "您好，我们的服务器从今天早上开始无法访问，订单号是234567。请尽快帮助我们处理，谢谢。"
TAIWAN = "您好，我們的伺服器從今天早上開始無法連線，訂單編號是234567。請儘快協助我們處理，謝謝。"
KOREAN = "안녕하세요, 서버가 오늘 아침부터 응답하지 않습니다. 주문 번호는 234567입니다. 확인 부탁드립니다."
BALTIC = "Sveiki, mūsų serveris neveikia nuo ryto, užsakymas #234567. Prašome padėti kuo greičiau, ačiū už pagalbą."
THAI = "สวัสดีครับ เซิร์ฟเวอร์ของเราใช้งานไม่ได้ตั้งแต่เช้า หมายเลขคำสั่งซื้อ 234567 กรุณาช่วยตรวจสอบด้วย"
VIETNAMESE = "Xin chào, máy chủ không hoạt động"


def crlf(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def mail(fields: str, body: str | bytes, author: str = "Anna <anna@example.de>", subject: str = "Question") -> bytes:
    """A mail; ``fields`` are the fields besides the usual ones."""
    head = f"From: {author}\nTo: support@introserv.com\nSubject: {subject}\nMessage-ID: <1@example.de>\nMIME-Version: 1.0\n"
    return crlf(head + fields.strip("\n") + ("\n" if fields.strip("\n") else "") + "\n") + crlf(body)


def case(name: str, raw: bytes, **right: Any) -> None:
    assert name not in CASES, name
    CASES[name] = (raw, right)


def part(kind: str, body: str | bytes, more: str = "") -> bytes:
    return crlf(f"Content-Type: {kind}\n{more}\n") + crlf(body)


def multi(sub: str, *parts: bytes, boundary: str = "b1", end: bool = True, declared: str | None = None, more: str = "",
          before: str = "", after: str = "") -> bytes:  # fmt: skip
    """A multipart mail."""
    body = crlf(before) + b"".join(b"--" + boundary.encode() + b"\r\n" + one + b"\r\n" for one in parts)
    body += (b"--" + boundary.encode() + b"--\r\n" if end else b"") + crlf(after)
    given = f'boundary="{boundary}"' if declared is None else declared
    return mail(f"Content-Type: multipart/{sub}; {given}\n{more}", body)


def inner(sub: str, *parts: bytes, boundary: str = "b2", end: bool = True) -> bytes:
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + one + b"\r\n" for one in parts)
    return crlf(f'Content-Type: multipart/{sub}; boundary="{boundary}"\n\n') + body + (
        b"--" + boundary.encode() + b"--\r\n" if end else b"")  # fmt: skip


def b64(data: bytes) -> bytes:
    return base64.encodebytes(data)


TEXT, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"
PNG = part("image/png; name=a.png", b64(b"\x89PNG\r\n\x1a\nxx"), "Content-Transfer-Encoding: base64\nContent-Disposition: inline; filename=a.png\n")  # fmt: skip
PAGE = f"<html><body><p>{WORDS}</p></body></html>"

# --------------------------------------------------------------------------- 21.1 parts and alternatives

case("apple mail: text, picture, text", multi("mixed", part(TEXT, "First the error on tfz1cvkr:"), PNG, part(TEXT, "and it came again at noon.")),
     says=["First the error on tfz1cvkr:", "and it came again at noon."], files=["a.png"])  # fmt: skip
case("apple mail: html, pdf, html inside alternative",
     multi("alternative", part(TEXT, "Look at the invoice.\n\nThanks, and the second page too."),
           inner("mixed", part(HTML, "<p>Look at the invoice.</p>"), part("application/pdf; name=i.pdf", b64(b"%PDF"), "Content-Transfer-Encoding: base64\nContent-Disposition: inline; filename=i.pdf\n"), part(HTML, "<p>Thanks, and the second page too.</p>"))),
     says=["Look at the invoice.", "Thanks, and the second page too."], files=["i.pdf"])  # fmt: skip
case("html body with a scanner's text footer", multi("mixed", part(HTML, PAGE), part(TEXT, "-- \nThis message was scanned by ExampleGate.")),
     says=["order #234567. Please have a look at it."])  # fmt: skip
case("text body with a list's html footer", multi("mixed", part(TEXT, WORDS), part(HTML, "<hr><p>You receive this because of the list.</p>")),
     says=["order #234567"])  # fmt: skip
case("outlook: words in html, inline log unnamed", multi("mixed", part(HTML, PAGE), part(TEXT, "PING 198.51.100.20: 100% packet loss", "Content-Disposition: inline\n")),
     says=["order #234567"], full=["100% packet loss"])  # fmt: skip
case("thunderbird: an inline log with a name first",
     multi("mixed", part("text/plain; charset=utf-8; name=\"kern.log\"", "nvme0 reset of order #123456", "Content-Disposition: inline; filename=\"kern.log\"\n"), part(TEXT, WORDS)),
     says=["order #234567"], files=["kern.log"])  # fmt: skip
for number, stub in enumerate(
    (
        ".",
        "\u00a0 \u00a0",
        "Your mail program cannot show HTML.",
        "[cid:image001.png@01D9]",
        "To view this message, please use an HTML compatible email viewer!",
        "Ihr E-Mail-Programm unterstützt kein HTML.",
        "Если вы видите этот текст, ваша почтовая программа не поддерживает HTML.",
        "-",
    )
):
    case(
        f"a stub alternative {number}", multi("alternative", part(TEXT, stub), part(HTML, PAGE)), says=["order #234567"]
    )
case("an empty text alternative", multi("alternative", part(TEXT, ""), part(HTML, PAGE)), says=["order #234567"])
case("an empty html alternative", multi("alternative", part(TEXT, WORDS), part(HTML, "")), says=["order #234567"])
case("an html alternative of styles only", multi("alternative", part(TEXT, WORDS), part(HTML, "<html><head><style>p{color:red}</style></head><body><img src='x'></body></html>")),
     says=["order #234567"])  # fmt: skip
case(
    "the html alternative comes first",
    multi("alternative", part(HTML, PAGE), part(TEXT, WORDS)),
    says=["order #234567"],
)
case("the alternatives say different things",
     multi("alternative", part(TEXT, "Please ignore the noise of the fans, everything else is quiet here."), part(HTML, "<p>Kindly cancel order #234567 and send the deposit to the new bank account of my brother.</p>")),
     full=["noise of the fans", "deposit to the new bank account"], notes=["the text and the HTML alternative differ"])  # fmt: skip
case("two texts in one alternative", multi("alternative", part(TEXT, "The first half is about tfz1cvkr."), part(TEXT, "The second half is about order #234567.")),
     says=["first half", "second half"])  # fmt: skip
case(
    "mixed where alternative was meant",
    multi("mixed", part(TEXT, WORDS), part(HTML, PAGE)),
    says=["order #234567"],
    once=["order #234567"],
)
case(
    "html in two parts",
    multi("mixed", part(HTML, "<p>The disk is slow.</p>"), part(HTML, "<p>Order #234567.</p>")),
    says=["The disk is slow.", "Order #234567."],
)
case(
    "related: html and pictures with a text beside it",
    multi("related", part(HTML, PAGE), PNG),
    says=["order #234567"],
    files=["a.png"],
)
case("mixed, related, alternative",
     multi("mixed", inner("related", inner("alternative", part(TEXT, WORDS), part(HTML, PAGE), boundary="b3"), PNG), part(TEXT, "the log", "Content-Disposition: attachment; filename=x.log\n")),
     says=["order #234567"], lacks=["the log"], files=["a.png", "x.log"])  # fmt: skip
case(
    "text/plain that is html",
    mail("Content-Type: text/plain; charset=utf-8", PAGE),
    says=["order #234567"],
    lacks=["<p>", "<html>"],
)
case("html only with a huge style block", mail("Content-Type: text/html; charset=utf-8", f"<html><head><style>{'.a1 {color: red; margin: 0 auto}' * 12_000}</style></head><body><p>{WORDS}</p></body></html>"),
     says=["order #234567"], lacks=["color: red"])  # fmt: skip
case("html with a picture written into it", mail("Content-Type: text/html; charset=utf-8", f"<p>See:</p><img src=\"data:image/png;base64,{'A' * 600_000}\"><p>{WORDS}</p>"),
     says=["order #234567"])  # fmt: skip
case("hidden words in html", mail("Content-Type: text/html; charset=utf-8", f"<p>{WORDS}</p><div style='display: none'>secret words of a machine</div>"),
     says=["order #234567"], lacks=["secret words"], full=["secret words of a machine"], notes=["hidden"])  # fmt: skip
case(
    "the only body is marked as attachment",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Disposition: attachment", WORDS),
    says=["order #234567"],
)
case(
    "a body with a name",
    mail('Content-Type: text/plain; charset=utf-8; name="body.txt"', WORDS),
    says=["order #234567"],
)
case(
    "text/enriched",
    mail("Content-Type: text/enriched; charset=us-ascii", f"<bold>{WORDS}</bold>"),
    says=["order #234567"],
    lacks=["<bold>"],
)
case("text/rtf", mail("Content-Type: text/rtf", "{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0 Arial;}}\\f0 Der Server l\\'e4uft nicht, order #234567.\\par}"),
     says=["Der Server läuft nicht, order #234567."], lacks=["\\rtf1"])  # fmt: skip
case(
    "apple watch html beside it",
    multi("alternative", part("text/watch-html", "<b>short</b>"), part(TEXT, WORDS), part(HTML, PAGE)),
    says=["order #234567"],
)
case("an invitation", multi("alternative", part(TEXT, "Please join us."), part("text/calendar; method=REQUEST; charset=utf-8", "BEGIN:VCALENDAR\nMETHOD:REQUEST\nBEGIN:VEVENT\nSUMMARY:Disk change\nDTSTART:20261201T020000Z\nEND:VEVENT\nEND:VCALENDAR\n")),
     says=["Please join us.", "invitation: Disk change, 2026-12-01 02:00 UTC"])  # fmt: skip
case("a report written by people", multi("report; report-type=disposition", part(TEXT, WORDS), part("text/plain; name=notes.txt", "old notes", "Content-Disposition: attachment; filename=notes.txt\n")),
     says=["order #234567"], files=["notes.txt"])  # fmt: skip
case("a forwarded mail attached", multi("mixed", part(TEXT, WORDS), part("message/rfc822", "From: x@y.example\nSubject: Old one\n\nforeign words of order #123456\n")),
     says=["order #234567"], lacks=["foreign words"], files=["Old one.eml"])  # fmt: skip
case("a forward of a forward", multi("mixed", part(TEXT, WORDS), part("message/rfc822", b"Subject: Outer\r\n" + inner("mixed", part(TEXT, "words between"), part("message/rfc822", "Subject: Deep\n\ndeep words"), boundary="b9"))),
     says=["order #234567"], lacks=["words between"], files=["Outer.eml"])  # fmt: skip
case("a digest", multi("digest", crlf("\nSubject: One\nFrom: x@y.example\n\nfirst words"), crlf("\nSubject: Two\nFrom: x@y.example\n\nsecond words")),
     files=["One.eml", "Two.eml"], lacks=["Subject: One"])  # fmt: skip
case("words after the closing delimiter", multi("mixed", part(TEXT, ""), after=f"\n{WORDS}\n"), says=["order #234567"])
case(
    "words before the first delimiter",
    multi(
        "mixed",
        part("application/pdf; name=a.pdf", b64(b"%PDF"), "Content-Transfer-Encoding: base64\n"),
        before=f"{WORDS}\n\n",
    ),
    says=["order #234567"],
    files=["a.pdf"],
)
case(
    "an old preamble is no words",
    multi("mixed", part(TEXT, WORDS), before="This is a multi-part message in MIME format.\n\n"),
    says=["order #234567"],
    lacks=["multi-part"],
)
case(
    "a scanner: only a pdf",
    mail(
        'Content-Type: application/pdf; name="Scan_001.pdf"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename="Scan_001.pdf"',
        b64(b"%PDF-1.4"),
    ),
    files=["Scan_001.pdf"],
)
case("a fax gateway: tiff and a note", multi("mixed", part("text/plain", "You have received a fax of 2 pages from +49301234567."), part("image/tiff; name=fax.tif", b64(b"II*\0"), "Content-Transfer-Encoding: base64\n")),
     says=["a fax of 2 pages"], files=["fax.tif"])  # fmt: skip
case("an erp: body as octet-stream beside the text", multi("mixed", part(TEXT, WORDS), part("application/octet-stream; name=\"=?iso-8859-1?Q?Mahnung_M=FCller.pdf?=\"", b64(b"%PDF"), "Content-Transfer-Encoding: base64\n")),
     says=["order #234567"], files=["Mahnung Müller.pdf"])  # fmt: skip
case(
    "format=flowed",
    mail(
        "Content-Type: text/plain; charset=utf-8; format=flowed",
        "The disk of \ntfz1cvkr is \nslow.\n\n From here on it is worse.\n-- \nAnna\n",
    ),
    says=["The disk of tfz1cvkr is slow.", "From here on it is worse."],
    exact=["The disk of tfz1cvkr is slow."],
    lacks=["Anna"],
)
case(
    "format=flowed with delsp",
    mail(
        "Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes",
        "サーバーが \n動きません。\nhttps://example.de/abc \ndef #234567",
    ),
    exact=["サーバーが動きません。", "https://example.de/abcdef #234567"],
)
case(
    "a fragment of a mail",
    mail(
        'Content-Type: message/partial; id="x@y"; number=1; total=2',
        f"From: anna@example.de\nSubject: inner\nContent-Type: text/plain; charset=utf-8\n\n{WORDS}",
    ),
    says=["order #234567"],
    notes=["partial"],
)
case("a file that is elsewhere", multi("mixed", part(TEXT, WORDS), part("message/external-body; access-type=URL; URL=\"https://example.de/big.zip\"; name=\"big.zip\"", "Content-Type: application/zip\n\n")),
     says=["order #234567"], files=["big.zip"])  # fmt: skip

# --------------------------------------------------------------------------- 21.2 boundaries and fields

BOTH = (part(TEXT, WORDS), part(HTML, PAGE))
case(
    "a boundary in double angle brackets",
    multi("alternative", *BOTH, boundary="<<001-3e1dcd5a-119e>>"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "a boundary in angle brackets, not quoted",
    multi("alternative", *BOTH, boundary="<<001-3e1d>>", declared="boundary=<<001-3e1d>>"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "notes: a boundary folded inside its quotes",
    multi(
        "mixed",
        part(TEXT, WORDS),
        boundary="=_alternative 004F44C1C1258D47_=",
        declared='boundary="=_alternative\n 004F44C1C1258D47_="',
    ),
    says=["order #234567"],
    lacks=["=_alternative"],
)
case(
    "notes: folded with a tab and more blanks",
    multi(
        "mixed",
        part(TEXT, WORDS),
        boundary="=_related 0052A6C1 41258D47_=",
        declared='boundary="=_related\n\t  0052A6C1 41258D47_="',
    ),
    says=["order #234567"],
    lacks=["=_related"],
)
case(
    "a boundary folded in the middle of a word",
    multi(
        "mixed", part(TEXT, WORDS), boundary="----=_NextPart_000_00AB", declared='boundary="----=_NextPart_\n 000_00AB"'
    ),
    says=["order #234567"],
    lacks=["NextPart"],
)
case(
    "no boundary parameter",
    multi("alternative", *BOTH, declared="charset=utf-8"),
    says=["order #234567"],
    lacks=["Content-Type", "--b1"],
)
case(
    "an empty boundary parameter",
    multi("alternative", *BOTH, declared='boundary=""'),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "a boundary with a trailing blank",
    multi("alternative", *BOTH, declared='boundary="b1 "'),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "delimiters with trailing blanks",
    multi("alternative", *BOTH).replace(b"--b1\r\n", b"--b1  \t\r\n"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "another boundary in the body",
    multi("alternative", *BOTH, declared='boundary="=_other_1234"'),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "a boundary that is not closed by its quote",
    multi("alternative", *BOTH, declared='boundary="b1'),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "a boundary in single quotes",
    multi("alternative", *BOTH, declared="boundary='b1'"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "a boundary by RFC 2231",
    multi("alternative", *BOTH, boundary="b1-long", declared="boundary*0=b1; boundary*1=-long"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "a comment behind the boundary",
    multi("alternative", *BOTH, declared="boundary=b1 (made by a machine)"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "a colon in place of a semicolon",
    multi("alternative", *BOTH).replace(b"multipart/alternative; boundary", b"multipart/alternative: boundary"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case("not terminated", multi("alternative", *BOTH, end=False), says=["order #234567"], lacks=["Content-Type"])
case(
    "nested and not terminated",
    multi(
        "mixed",
        inner("alternative", *BOTH, end=False),
        part("text/plain; name=x.log", "the log", "Content-Disposition: attachment; filename=x.log\n"),
    ),
    says=["order #234567"],
    lacks=["the log"],
    files=["x.log"],
)
case(
    "nested with the boundary of its parent",
    multi(
        "mixed",
        inner("alternative", *BOTH, boundary="b1"),
        part("text/plain; name=x.log", "the log", "Content-Disposition: attachment; filename=x.log\n"),
    ),
    says=["order #234567"],
    lacks=["Content-Type"],
    once=["order #234567"],
)
case(
    "a boundary that begins as its child's",
    multi("mixed", inner("alternative", *BOTH, boundary="b1-a"), part(TEXT, "the end")),
    says=["order #234567", "the end"],
    lacks=["--b1"],
)
case(
    "closed too early",
    multi("mixed", part(TEXT, "Hello,"), after=f"--b1\nContent-Type: text/plain; charset=utf-8\n\n{WORDS}\n--b1--\n"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "two types: the second fits",
    mail(
        'Content-Type: multipart/mixed; boundary="nowhere"\nContent-Type: multipart/mixed; boundary="b1"',
        b"--b1\n" + part(TEXT, WORDS) + b"\n--b1--\n",
    ),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "two types: the first fits",
    mail(
        'Content-Type: multipart/mixed; boundary="b1"\nContent-Type: text/plain',
        b"--b1\n" + part(TEXT, WORDS) + b"\n--b1--\n",
    ),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "two types: text above multipart",
    mail(
        'Content-Type: text/plain\nContent-Type: multipart/mixed; boundary="b1"',
        b"--b1\n" + part(TEXT, WORDS) + b"\n--b1--\n",
    ),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "multipart source labelled as text",
    mail(
        "Content-Type: text/plain; charset=utf-8",
        b"--b1\n" + part(TEXT, WORDS) + b"\n--b1\n" + part(HTML, PAGE) + b"\n--b1--\n",
    ),
    says=["order #234567"],
    lacks=["Content-Type", "--b1"],
)
case(
    "multipart source without any type",
    mail("", b"This is a multi-part message in MIME format.\n\n--b1\n" + part(TEXT, WORDS) + b"\n--b1--\n"),
    says=["order #234567"],
    lacks=["Content-Type", "--b1"],
)
case(
    "junk lines among the fields",
    mail(
        "this line is no field\nContent-Type: multipart/mixed; boundary=b1\n*** SPAM CHECKED ***\nX-Mailer: x",
        b"--b1\n" + part(TEXT, WORDS) + b"\n--b1--\n",
    ),
    says=["order #234567"],
    lacks=["Content-Type", "X-Mailer", "SPAM"],
)
case(
    "a junk line among the fields of a part",
    multi(
        "mixed",
        crlf("Content-Type: text/plain; charset=utf-8\n*** checked ***\nContent-Transfer-Encoding: base64\n\n")
        + b64(WORDS.encode()),
    ),
    says=["order #234567"],
    lacks=["checked"],
)
case(
    "no empty line before the body",
    crlf(f"From: anna@example.de\nSubject: x\nMessage-ID: <1@x>\nHello there,\n{WORDS}\n"),
    says=["Hello there,", "order #234567"],
)
case(
    "a part without an empty line",
    multi("mixed", crlf(f"Content-Type: text/plain; charset=utf-8\nHello, {WORDS}")),
    says=["order #234567"],
)
case("parts without any fields", multi("mixed", crlf(f"\n{WORDS}")), says=["order #234567"])
case(
    "line ends of CR only",
    crlf(
        "From: anna@example.de\nSubject: x\nContent-Type: multipart/mixed; boundary=b1\n\n--b1\nContent-Type: text/plain\n\n"
        + WORDS
        + "\n--b1--\n"
    ).replace(b"\r\n", b"\r"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "line ends of LF only",
    multi("alternative", *BOTH).replace(b"\r\n", b"\n"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "a space before the colon of a type",
    multi("alternative", *BOTH).replace(b"Content-Type: multipart", b"Content-Type : multipart"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "a multipart type with a parameter before it",
    multi("alternative", *BOTH, declared='type="text/html"; charset="utf-8";; ; boundary="b1";'),
    says=["order #234567"],
    lacks=["Content-Type"],
)

# --------------------------------------------------------------------------- 21.3 transfer encodings

R64 = b64(RUSSIAN.encode())
QP = quopri.encodestring(GERMAN.encode())
for number, label in enumerate(
    (
        "BASE64",
        "base64;",
        '"base64"',
        "base64 (comment)",
        " base64  ",
        "=?utf-8?q?base64?=",
        "Base 64",
        "base64/utf-8",
        "x-base64",
    )
):
    case(
        f"base64 written as {number}",
        mail(f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {label}", R64),
        says=[RUSSIAN],
    )
for number, label in enumerate(
    (
        "Quoted-Printable",
        "quoted printable",
        "'quoted-printable'",
        "quoted-printable;",
        "quotedprintable",
        "Quoted_Printable",
    )
):
    case(
        f"quoted-printable written as {number}",
        mail(f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {label}", QP),
        says=[GERMAN],
    )
case(
    "two encodings: the second fits",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64",
        R64,
    ),
    says=[RUSSIAN],
)
case(
    "two encodings: the first fits",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nContent-Transfer-Encoding: base64",
        QP,
    ),
    says=[GERMAN],
)
case(
    "labelled quoted-printable, is base64",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable", R64),
    says=[RUSSIAN],
)
case(
    "labelled base64, is quoted-printable",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64", QP),
    says=[GERMAN],
)
case(
    "labelled base64, is text",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64", WORDS),
    says=[WORDS],
)
case(
    "labelled base64, is html",
    mail("Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64", PAGE),
    says=[WORDS],
)
case(
    "labelled base64, is raw utf-8",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64", RUSSIAN),
    says=[RUSSIAN],
)
case(
    "labelled 7bit, is base64",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit", R64),
    says=[RUSSIAN],
)
case(
    "an unknown encoding, is 8bit",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: utf-8", GERMAN),
    says=[GERMAN],
)
case(
    "an unknown encoding, is quoted-printable",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: x-unknown", QP),
    says=[GERMAN],
)
case(
    "base64 without padding",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64",
        base64.b64encode((GERMAN + "!").encode()).rstrip(b"="),
    ),
    says=[GERMAN],
)
case(
    "base64 in blocks",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64",
        base64.b64encode(b"Caution: from outside.\n\n ") + b"\n" + base64.b64encode(b"x\n") + b"\n\n" + R64,
    ),
    says=["Caution: from outside.", RUSSIAN],
)
case(
    "base64 with a footer behind it",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64",
        R64 + b"\n_______________\nThis is the list of the users\nhttps://lists.example/info\n",
    ),
    says=[RUSSIAN],
)
case(
    "base64 with blanks and stars in it",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64",
        R64.replace(b"0", b" 0").replace(b"Q", b"*Q", 2),
    ),
    says=[RUSSIAN],
)
case(
    "quoted-printable in lower case",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable",
        QP.replace(b"=C3=A4", b"=c3=a4").replace(b"=C3=BC", b"=c3=bC"),
    ),
    says=[GERMAN],
)
case(
    "quoted-printable with broken escapes",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable",
        "The value =ZZ of a=b is 100=25 wrong =\n  here, see https://x.example/?a=3D1&b=2",
    ),
    says=["=ZZ of a=b is 100% wrong", "?a=1"],
)
case(
    "quoted-printable with blanks behind the soft break",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable",
        "The disk of tfz1=  \ncvkr is slow.=\t\n",
    ),
    says=["tfz1cvkr is slow."],
)
case(
    "quoted-printable without its label",
    mail("Content-Type: text/plain; charset=utf-8", quopri.encodestring((GERMAN + " " + GERMAN).encode())),
    says=[GERMAN],
)
case(
    "8 bit in 7bit",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit", GERMAN),
    says=[GERMAN],
)
case(
    "base64 on a multipart, only labelled",
    multi("alternative", *BOTH, more="Content-Transfer-Encoding: base64\n"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "base64 on a multipart, for true",
    mail(
        "Content-Type: multipart/mixed; boundary=b1\nContent-Transfer-Encoding: base64",
        b64(b"--b1\r\n" + part(TEXT, WORDS) + b"\r\n--b1\r\n" + PNG + b"\r\n--b1--\r\n"),
    ),
    says=["order #234567"],
    files=["a.png"],
)
UU = (
    b"begin 644 trace.txt\n"
    + b"".join(binascii.b2a_uu(b"traceroute to 198.51.100.20, 30 hops max\n") for _ in range(3))
    + b"`\nend\n"
)
case(
    "a uuencoded file in the words",
    mail("Content-Type: text/plain; charset=utf-8", WORDS.encode() + b"\n\n" + UU + b"\nThank you."),
    says=["order #234567", "Thank you."],
    lacks=["begin 644", "M="],
    files=["trace.txt"],
)
case(
    "begin in a sentence",
    mail("Content-Type: text/plain; charset=utf-8", "We\nbegin 100 machines more\nend of the story, order #234567."),
    says=["begin 100 machines more", "end of the story, order #234567."],
    files=[],
)
case(
    "a part in uuencode",
    multi(
        "mixed",
        part(TEXT, WORDS),
        part("application/octet-stream; name=t.txt", UU, "Content-Transfer-Encoding: x-uuencode\n"),
    ),
    says=["order #234567"],
    files=["t.txt"],
)
case(
    "eudora: uuencoded without mime",
    crlf("From: anna@example.de\nSubject: x\nMessage-ID: <1@x>\n\n") + crlf(WORDS.encode() + b"\n" + UU),
    says=["order #234567"],
    lacks=["begin 644"],
    files=["trace.txt"],
)
YENC = (
    b"=ybegin line=128 size=5 name=core.bin\r\n"
    + bytes((octet + 42) % 256 for octet in b"hello")
    + b"\r\n=yend size=5\r\n"
)
case(
    "a yEnc file in the words",
    mail("Content-Type: text/plain; charset=utf-8", WORDS.encode() + b"\r\n") + YENC,
    says=["order #234567"],
    lacks=["=ybegin"],
    files=["core.bin"],
)

# --------------------------------------------------------------------------- 21.4 charsets

LABELS = {
    "win-1251": (RUSSIAN, "cp1251"), "x-cp1251": (RUSSIAN, "cp1251"), "CP-1251": (RUSSIAN, "cp1251"), "windows1251": (RUSSIAN, "cp1251"), "koi8": (RUSSIAN, "koi8_r"), "KOI": (RUSSIAN, "koi8_r"), "cskoi8r": (RUSSIAN, "koi8_r"),
    "koi8-ru": (UKRAINIAN, "koi8_u"), "ibm866": (RUSSIAN, "cp866"), "866": (RUSSIAN, "cp866"), "dos-866": (RUSSIAN, "cp866"), "x-mac-cyrillic": (RUSSIAN, "mac_cyrillic"), "x-mac-ukrainian": (RUSSIAN, "mac_cyrillic"), "ISO_8859-5:1988": (RUSSIAN, "iso8859_5"),
    "cyrillic": (RUSSIAN, "iso8859_5"), "latin2": (CZECH, "iso8859_2"), "l2": (POLISH, "iso8859_2"), "iso8859-2": (POLISH, "iso8859_2"), "cp-1250": (CZECH, "cp1250"), "x-cp1250": (POLISH, "cp1250"), "macintosh": (GERMAN, "mac_roman"), "x-mac-roman": (GERMAN, "mac_roman"),
    "latin5": (TURKISH, "iso8859_9"), "iso88599": (TURKISH, "iso8859_9"), "x-cp1254": (TURKISH, "cp1254"), "sun_eu_greek": (GREEK, "iso8859_7"), "ELOT_928": (GREEK, "iso8859_7"), "hebrew": (HEBREW, "iso8859_8"), "iso-8859-8-e": (HEBREW, "iso8859_8"), "logical": (HEBREW, "iso8859_8"),
    "arabic": (ARABIC, "iso8859_6"), "asmo-708": (ARABIC, "iso8859_6"), "shift-jis": (JAPANESE, "cp932"), "x-sjis": (JAPANESE, "cp932"), "ms_kanji": (JAPANESE, "cp932"), "x-euc-jp": (JAPANESE, "euc_jp"), "csiso2022jp": (JAPANESE, "iso2022_jp"),
    "cp936": (CHINESE, "gbk"), "x-gbk": (CHINESE, "gbk"), "GB_2312-80": (CHINESE, "gb2312"), "chinese": (CHINESE, "gb2312"), "gb18030-2000": (CHINESE, "gb18030"), "big5-hkscs": (TAIWAN, "big5"), "x-x-big5": (TAIWAN, "big5"), "cn-big5": (TAIWAN, "big5"), "cp950": (TAIWAN, "big5"),
    "korean": (KOREAN, "euc_kr"), "KSC5601": (KOREAN, "euc_kr"), "ks_c_5601-1989": (KOREAN, "euc_kr"), "iso-2022-kr": (KOREAN, "iso2022_kr"), "x-windows-949": (KOREAN, "cp949"), "iso8859-13": (BALTIC, "iso8859_13"), "windows-1257": (BALTIC, "cp1257"), "tis-620": (THAI, "tis_620"),
    "dos-874": (THAI, "cp874"), "unicode-1-1-utf-8": (RUSSIAN, "utf-8"), "UTF_8": (RUSSIAN, "utf-8"), "x-unicode20utf8": (RUSSIAN, "utf-8"), "utf8mb4": (RUSSIAN, "utf-8"), "utf-16le": (RUSSIAN, "utf-16-le"), "unicode": (RUSSIAN, "utf-16-le"), "utf-16": (RUSSIAN, "utf-16"),
    "utf-16be": (RUSSIAN, "utf-16-be"), "utf-7": (GERMAN, "utf-7"), "unicode-1-1-utf-7": (GERMAN, "utf-7"), "ansi_x3.4-1968": (GERMAN, "cp1252"), "ISO-8859-15": (GERMAN, "iso8859_15"), "cp850": (GERMAN, "cp850"), "ibm437": (GERMAN, "cp437"),
}  # fmt: skip
for label, (text, codec) in LABELS.items():
    case(
        f"charset {label}",
        mail(f"Content-Type: text/plain; charset={label}\nContent-Transfer-Encoding: base64", b64(text.encode(codec))),
        says=[text],
    )
for label, text, codec in (("unknown-8bit", RUSSIAN, "cp1251"), ("us-ascii", RUSSIAN, "koi8_r"), ("", RUSSIAN, "cp1251"), ("x-user-defined", GERMAN, "cp1252"), ("default", CZECH, "cp1250"), ("", JAPANESE, "cp932"), ("", CHINESE, "gbk"), ("", KOREAN, "euc_kr"), ("us-ascii", JAPANESE, "iso2022_jp"), ("", TAIWAN, "big5"), ("iso-8859-1", RUSSIAN, "cp1251"), ("windows-1252", GREEK, "iso8859_7"), ("", HEBREW, "cp1255"), ("", UKRAINIAN, "koi8_u"), ("x-unknown", RUSSIAN, "cp866"), ("", POLISH, "iso8859_2"), ("", TURKISH, "cp1254")):  # fmt: skip
    given = f"Content-Type: text/plain{f'; charset={label}' if label else ''}"
    case(
        f"label {label or 'none'} on {codec} {text[:5]}",
        mail(f"{given}\nContent-Transfer-Encoding: base64", b64(text.encode(codec))),
        says=[text],
        notes=["charset"],
    )
for label in (
    "iso-8859-1",
    "windows-1252",
    "iso-8859-2",
    "koi8-r",
    "windows-1251",
    "us-ascii",
    "iso-8859-15",
    "gb2312",
):
    case(
        f"utf-8 labelled {label}",
        mail(
            f"Content-Type: text/plain; charset={label}\nContent-Transfer-Encoding: 8bit",
            UKRAINIAN if "125" in label or "koi" in label else GERMAN,
        ),
        says=[UKRAINIAN if "125" in label or "koi" in label else GERMAN],
    )
case("utf-8 with its mark", mail("Content-Type: text/plain; charset=iso-8859-1", "\ufeff" + GERMAN), says=[GERMAN])
case(
    "utf-16 with its mark and no label",
    mail("Content-Type: text/plain\nContent-Transfer-Encoding: base64", b64(RUSSIAN.encode("utf-16"))),
    says=[RUSSIAN],
)
case(
    "utf-16 labelled utf-8",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64",
        b64(b"\xff\xfe" + RUSSIAN.encode("utf-16-le")),
    ),
    says=[RUSSIAN],
)
case(
    "labelled utf-16, is utf-8",
    mail("Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: 8bit", GERMAN),
    says=[GERMAN],
)
case(
    "the charset of the meta element",
    mail(
        "Content-Type: text/html",
        f"<html><head><meta charset='windows-1251'></head><body><p>{RUSSIAN}</p></body></html>".encode("cp1251"),
    ),
    says=[RUSSIAN],
)
case(
    "the charset of http-equiv",
    mail(
        "Content-Type: text/html; charset=us-ascii",
        f'<html><head><META content="text/html; charset=koi8-r" http-equiv=Content-Type></head><body>{RUSSIAN}</body></html>'.encode(
            "koi8-r"
        ),
    ),
    says=[RUSSIAN],
)
case(
    "a subject raw in koi8-r",
    mail("Content-Type: text/plain; charset=koi8-r", RUSSIAN.encode("koi8-r"), subject="SUBJ").replace(
        b"SUBJ", "Сервер не отвечает".encode("koi8-r")
    ),
    subject="Сервер не отвечает",
)
case(
    "a subject raw in cp1251, no label",
    mail("", "privet", subject="SUBJ").replace(b"SUBJ", "Сервер не отвечает с утра, помогите".encode("cp1251")),
    subject="Сервер не отвечает с утра, помогите",
)
case(
    "a subject raw in shift-jis",
    mail("Content-Type: text/plain; charset=Shift_JIS", JAPANESE.encode("cp932"), subject="SUBJ").replace(
        b"SUBJ", "サーバーの件".encode("cp932")
    ),
    subject="サーバーの件",
)
case(
    "a subject with label cp-1251",
    mail("", "x", subject="=?cp-1251?B?" + base64.b64encode("Сервер".encode("cp1251")).decode() + "?="),
    subject="Сервер",
)
case(
    "a subject with blanks in its encoded word",
    mail("", "x", subject="=?utf-8?Q?St=C3=B6rung beim Server?="),
    subject="Störung beim Server",
)
case(
    "a subject split inside a character",
    mail("", "x", subject="=?utf-8?B?U3TD?=\n =?utf-8?B?tnJ1bmc=?="),
    subject="Störung",
)
case(
    "a subject in iso-2022-jp, split",
    mail(
        "",
        "x",
        subject="=?ISO-2022-JP?B?"
        + base64.b64encode("サーバー".encode("iso2022_jp")).decode()
        + "?=\n =?ISO-2022-JP?B?"
        + base64.b64encode("障害".encode("iso2022_jp")).decode()
        + "?=",
    ),
    subject="サーバー障害",
)
case(
    "a subject quoted around its encoded word", mail("", "x", subject='"=?utf-8?Q?St=C3=B6rung?="'), subject='"Störung"'
)
case("a charset with a language tag", mail("", "x", subject="=?utf-8*de?Q?St=C3=B6rung?="), subject="Störung")
case(
    "a charset in quotes and a semicolon",
    mail(
        'Content-Type: text/plain; charset="koi8-r;"\nContent-Transfer-Encoding: base64', b64(RUSSIAN.encode("koi8-r"))
    ),
    says=[RUSSIAN],
)
case(
    "raw 8 bit in a parameter",
    multi(
        "mixed",
        part(TEXT, WORDS),
        b'Content-Type: application/pdf; name="'
        + "Счёт.pdf".encode("cp1251")
        + b'"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + b64(b"%PDF"),
    ).replace(b"Subject: Question", "Subject: Счёт за сервер от компании".encode("cp1251")),
    files=["Счёт.pdf"],
)
case(
    "hz",
    mail("Content-Type: text/plain; charset=hz-gb-2312", "您好".encode("hz") + b" order #234567"),
    says=["您好 order #234567"],
)

# --------------------------------------------------------------------------- 21.5 names, S/MIME, TNEF


def named(fields: bytes) -> bytes:
    return multi("mixed", part(TEXT, WORDS), crlf(fields) + b"Content-Transfer-Encoding: base64\r\n\r\n" + b64(b"%PDF"))


NAMES = {
    "raw utf-8": ("Content-Type: application/pdf; name=\"Rechnung März.pdf\"\n".encode(), "Rechnung März.pdf"),
    "RFC 2231": (b"Content-Type: application/pdf\nContent-Disposition: attachment; filename*=UTF-8''Rechnung%20M%C3%A4rz.pdf\n", "Rechnung März.pdf"),
    "RFC 2231 continued": (b"Content-Type: application/pdf\nContent-Disposition: attachment;\n filename*0*=UTF-8''Rechnung%20;\n filename*1*=M%C3%A4rz;\n filename*2=.pdf\n", "Rechnung März.pdf"),
    "RFC 2231 split in a character": (b"Content-Type: application/pdf\nContent-Disposition: attachment;\n filename*0*=UTF-8''M%C3;\n filename*1*=%A4rz.pdf\n", "März.pdf"),
    "RFC 2231 out of order": (b"Content-Type: application/pdf\nContent-Disposition: attachment;\n filename*1=rz.pdf;\n filename*0*=UTF-8''M%C3%A4\n", "März.pdf"),
    "RFC 2231 in cp1251": (b"Content-Type: application/pdf\nContent-Disposition: attachment; filename*=windows-1251''%D1%F7%B8%F2.pdf\n", "Счёт.pdf"),
    "RFC 2047": (b"Content-Type: application/pdf; name=\"=?utf-8?B?TcOkcnoucGRm?=\"\n", "März.pdf"),
    "RFC 2047 in pieces": (b"Content-Type: application/pdf;\n name=\"=?utf-8?Q?M=C3=A4?=\n =?utf-8?Q?rz.pdf?=\"\n", "März.pdf"),
    "RFC 2047 not quoted": (b"Content-Type: application/pdf; name==?utf-8?B?TcOkcnoucGRm?=\n", "März.pdf"),
    "both": (b"Content-Type: application/pdf; name=\"=?utf-8?B?TcOkcnoucGRm?=\"\nContent-Disposition: attachment; filename=\"Maerz.pdf\"; filename*=UTF-8''M%C3%A4rz.pdf\n", "März.pdf"),
    "RFC 2047 inside RFC 2231": (b"Content-Type: application/pdf\nContent-Disposition: attachment; filename*0=\"=?utf-8?B?TcOk\"; filename*1=\"cnoucGRm?=\"\n", "März.pdf"),
    "a name with blanks, not quoted": (b"Content-Type: application/pdf; name=My bill of May.pdf\n", "My bill of May.pdf"),
    "a name with a semicolon in quotes": (b"Content-Type: application/pdf; name=\"a;b.pdf\"\n", "a;b.pdf"),
    "a name with its quote open": (b"Content-Type: application/pdf; name=\"bill.pdf\n", "bill.pdf"),
    "a windows path": (b"Content-Type: application/pdf; name=\"C:\\Users\\anna\\bill.pdf\"\n", "bill.pdf"),
    "a name with quotes in it": (b"Content-Type: application/pdf; name=\"the \\\"big\\\" bill.pdf\"\n", "the \"big\" bill.pdf"),
    "only in the disposition": (b"Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=bill.pdf\n", "bill.pdf"),
    "iso-2022-jp": (b"Content-Type: application/pdf; name=\"=?ISO-2022-JP?B?" + base64.b64encode("請求書".encode("iso2022_jp")) + b"?=.pdf\"\n", "請求書.pdf"),
}  # fmt: skip
for way, (fields, name) in NAMES.items():
    case(f"a file name: {way}", named(fields), files=[name], says=["order #234567"])


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(digits))) + digits + content


SIGNED_DATA, DATA = bytes.fromhex("06092a864886f70d010702"), bytes.fromhex("06092a864886f70d010701")


def opaque(inside: bytes) -> bytes:
    """A CMS SignedData (RFC 5652 section 5.1) with its content and no signers."""
    content = der(0x30, DATA + der(0xA0, der(0x04, inside)))
    return der(0x30, SIGNED_DATA + der(0xA0, der(0x30, b"\x02\x01\x01" + der(0x31, b"") + content + der(0x31, b""))))


def opaque_in_pieces(inside: bytes) -> bytes:
    """The same with lengths that are not told (BER, as OpenSSL streams it)."""
    pieces = b"".join(der(0x04, inside[at : at + 40]) for at in range(0, len(inside), 40))
    open_ = lambda tag, content: bytes((tag, 0x80)) + content + b"\0\0"  # noqa: E731
    content = open_(0x30, DATA + open_(0xA0, open_(0x24, pieces)))
    return open_(
        0x30, SIGNED_DATA + open_(0xA0, open_(0x30, b"\x02\x01\x01" + der(0x31, b"") + content + der(0x31, b"")))
    )


INSIDE = crlf(f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{GERMAN}\n")
for kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
    case(
        f"opaque s/mime: {kind}",
        mail(
            f"Content-Type: {kind}; smime-type=signed-data; name=smime.p7m\nContent-Transfer-Encoding: base64",
            b64(opaque(INSIDE)),
        ),
        says=[GERMAN],
        notes=["signed (S/MIME)"],
    )
case(
    "opaque s/mime in pieces, type not told",
    mail(
        "Content-Type: application/pkcs7-mime; name=smime.p7m\nContent-Transfer-Encoding: base64",
        b64(opaque_in_pieces(INSIDE)),
    ),
    says=[GERMAN],
    notes=["signed (S/MIME)"],
)
case(
    "opaque s/mime with a multipart inside",
    mail(
        "Content-Type: application/pkcs7-mime; smime-type=signed-data\nContent-Transfer-Encoding: base64",
        b64(opaque(inner("mixed", part(TEXT, WORDS), PNG))),
    ),
    says=["order #234567"],
    files=["a.png"],
)
case(
    "encrypted s/mime",
    mail(
        "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\nContent-Transfer-Encoding: base64",
        b64(der(0x30, bytes.fromhex("06092a864886f70d010703") + der(0xA0, b"\x30\x00"))),
    ),
    notes=["encrypted (S/MIME)"],
    files=["smime.p7m"],
)
case(
    "pgp inline",
    mail(
        "Content-Type: text/plain; charset=utf-8",
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{WORDS}\n- -- \nAnna\n-----BEGIN PGP SIGNATURE-----\n\niQEzBAEBCAAdFiEE\n=abcd\n-----END PGP SIGNATURE-----\n",
    ),
    says=["order #234567"],
    lacks=["BEGIN PGP", "iQEz"],
    notes=["signed (OpenPGP)"],
)
case(
    "a damaged winmail.dat",
    multi(
        "mixed",
        part(TEXT, WORDS),
        part(
            "application/ms-tnef; name=winmail.dat",
            b64(b"\x78\x9f\x3e\x22\x01\x00\x01\x90\x06" + b"\xff" * 40),
            "Content-Transfer-Encoding: base64\n",
        ),
    ),
    says=["order #234567"],
    files=["winmail.dat"],
)
case(
    "a NUL in a type",
    multi("mixed", part(TEXT, WORDS), b'Content-Type: application/p\0df; name="a\0.pdf"\r\n\r\n%PDF'),
    says=["order #234567"],
    files=["a.pdf"],
)
case(
    "an escape in a type",
    multi("mixed", part(TEXT, WORDS), b"Content-Type: application/\x1b]0;x\x07pdf; name=a.pdf\r\n\r\n%PDF"),
    says=["order #234567"],
    files=["a.pdf"],
)
case("To of brackets", mail("Cc: " + "(" * 3000, WORDS), says=["order #234567"])

# --------------------------------------------------------------------------- 21.6 authors

AUTHORS = {
    "Anna, Shop <a@b.example>": "a@b.example", "John Smith, PhD <a@b.example>": "a@b.example", "Anna [Shop] <a@b.example>": "a@b.example", "Anna <a@b.example>,": "a@b.example", "Anna <a@b.example>;": "a@b.example", "Support: Anna <a@b.example>": "a@b.example",
    '"Anna <a@b.example>': "a@b.example", 'Anna "the boss <a@b.example>': "a@b.example", "Anna (Shop <a@b.example>": "a@b.example", "Anna :) <a@b.example>": "a@b.example", "Müller; Anna <a@b.example>": "a@b.example", "Anna\\Shop <a@b.example>": "a@b.example", "<a@b.example> Anna": "a@b.example",
    "Anna. B <a@b.example>": "a@b.example", "Anna < a@b.example >": "a@b.example", "Anna <a@b.example> (Shop)": "a@b.example", "Anna <x@y.example>, <a@b.example>": None, "Anna, x@y.example <a@b.example>": None, "a@b.example, Anna <a@b.example>": None, "x@y.example; Anna <a@b.example>": None,
    '"x@y.example <a@b.example>': None, "Anna <a@b.example> <x@y.example>": None, "Anna <a@b.example": None, "Group: a@b.example, x@y.example;": None, "Shop: a@b.example;": None, "<@x.example:a@b.example>": None,
}  # fmt: skip
for text, address in AUTHORS.items():
    case(f"from {text}", mail("", WORDS, author=text), author=address)

# --------------------------------------------------------------------------- written after the first were mended: 102 of 114 at first sight

# structure
case(
    "html + html disclaimer mixed + plain alt",
    multi(
        "mixed",
        inner("alternative", part(TEXT, WORDS), part(HTML, PAGE)),
        part(HTML, "<p>Disclaimer of the company</p>"),
    ),
    says=["order #234567"],
    once=["order #234567"],
)
case("alternative of html only", multi("alternative", part(HTML, PAGE)), says=["order #234567"])
case(
    "related root second, start param",
    multi("related", PNG, part(HTML, PAGE, "Content-ID: <r>\n"), declared='boundary="b1"; start="<r>"'),
    says=["order #234567"],
)
case(
    "plain is css garbage",
    multi("alternative", part(TEXT, "body {margin:0} .x{color:red}"), part(HTML, PAGE)),
    says=["order #234567"],
)
case(
    "plain truncated",
    multi("alternative", part(TEXT, "Hello, the disk of..."), part(HTML, PAGE)),
    says=["order #234567"],
)
case(
    "plain says see html long",
    multi(
        "alternative",
        part(
            TEXT,
            "This e-mail was sent as HTML. Your e-mail client does not seem to support HTML e-mails, please click the link to view it in your browser: https://example.de/view?id=12345678",
        ),
        part(HTML, "<p>Server r1 down. Order #234567</p>"),
    ),
    says=["Order #234567"],
)
case(
    "mixed text then html different long",
    multi(
        "mixed",
        part(TEXT, "Please see the table below, it shows the prices we pay."),
        part(HTML, "<table><tr><td>Order #234567</td><td>12 EUR</td></tr></table>"),
    ),
    says=["see the table below", "Order #234567"],
)
case(
    "three deep with unterminated middle",
    multi(
        "mixed",
        inner("related", inner("alternative", *BOTH, boundary="b3", end=False), PNG, boundary="b2", end=False),
        part("application/pdf; name=q.pdf", b64(b"%PDF"), "Content-Transfer-Encoding: base64\n"),
    ),
    says=["order #234567"],
    files=["a.png", "q.pdf"],
)
case(
    "ms word mht-like first part text/xml",
    multi("mixed", part("text/xml; charset=utf-8", "<a/>"), part(TEXT, WORDS)),
    says=["order #234567"],
)
case(
    "boundary with equals and quotes escaped",
    multi("mixed", part(TEXT, WORDS), boundary='a"b', declared='boundary="a\\"b"'),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "boundary upper vs body lower",
    multi("mixed", part(TEXT, WORDS), boundary="abcdef123", declared='boundary="ABCDEF123"'),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "boundary param name upper",
    multi("mixed", part(TEXT, WORDS), declared="BOUNDARY=b1"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "type line folded oddly",
    mail('Content-Type: multipart/mixed;\n\tboundary=\n\t"b1"', b"--b1\n" + part(TEXT, WORDS) + b"\n--b1--\n"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "continuation without leading space",
    mail('Content-Type: multipart/mixed;\nboundary="b1"', b"--b1\n" + part(TEXT, WORDS) + b"\n--b1--\n"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "blank line inside header",
    mail('X-A: b\n\nContent-Type: multipart/mixed; boundary="b1"', b"--b1\n" + part(TEXT, WORDS) + b"\n--b1--\n"),
    says=["order #234567"],
    lacks=["--b1", "Content-Type"],
)
case(
    "content-type misspelled multipart/mix",
    multi("mix", part(TEXT, WORDS)),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "type only 'multipart'",
    mail("Content-Type: multipart; boundary=b1", b"--b1\n" + part(TEXT, WORDS) + b"\n--b1--\n"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case("type 'text'", mail("Content-Type: text", WORDS), says=[WORDS])
case("type 'html'", mail("Content-Type: html", PAGE), says=["order #234567"], lacks=["<p>"])
case(
    "type text/html; but plain",
    mail("Content-Type: text/html", "Hello,\n\norder #234567 is slow.\nSecond line."),
    says=["order #234567 is slow."],
)
case("ctype empty", mail("Content-Type:", WORDS), says=[WORDS])
case(
    "type application/octet-stream body only", mail("Content-Type: application/octet-stream", WORDS), files=["unnamed"]
)
case("type 'plain/text'", mail("Content-Type: plain/text; charset=utf-8", WORDS), says=[WORDS])
case("type 'text-plain'", mail("Content-Type: text-plain", WORDS), says=[WORDS])
case("text/x-markdown", mail("Content-Type: text/markdown", WORDS), says=[WORDS])
case("text/x-something body", mail("Content-Type: text/x-moz-deleted", WORDS), says=[WORDS])
case("text/x-plain", mail("Content-Type: TEXT/X-PLAIN; charset=utf-8", WORDS), says=[WORDS])
case(
    "message/rfc822 as whole mail",
    mail("Content-Type: message/rfc822", "From: anna@example.de\nSubject: in\nContent-Type: text/plain\n\n" + WORDS),
    files=["in.eml"],
)
case(
    "two ctypes plain then html",
    mail("Content-Type: text/plain\nContent-Type: text/html; charset=utf-8", PAGE),
    says=["order #234567"],
    lacks=["<p>"],
)
case(
    "delims lack leading dashes?",
    mail('Content-Type: multipart/mixed; boundary="--b1"', b"--b1\n" + part(TEXT, WORDS) + b"\n--b1--\n"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
case(
    "junk line then no known",
    crlf(
        "From: a@b.example\nSubject: x\n=== scanned by X ===\nTo: support@introserv.com\nDate: Sat, 28 Nov 2026 09:59:00 +0100\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    )
    + crlf(b64(WORDS.encode())),
    says=["order #234567"],
)
# cte
case(
    "cte on html qp upper",
    mail(
        "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: QUOTED-PRINTABLE ; x",
        quopri.encodestring(PAGE.replace("Hello", "Grüße").encode()),
    ),
    says=["Grüße"],
)
case(
    "cte 'base64,8bit'",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64,8bit", R64),
    says=[RUSSIAN],
)
case(
    "cte encoded word b",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: =?us-ascii?B?YmFzZTY0?=", R64),
    says=[RUSSIAN],
)
case(
    "base64 dos eof",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64", R64 + b"\x1a"),
    says=[RUSSIAN],
)
case(
    "base64 in one line 5000",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64",
        base64.b64encode((WORDS * 30).encode()),
    ),
    says=[WORDS],
)
case(
    "base64 short blocks per line padded",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64",
        b"\n".join(base64.b64encode(RUSSIAN.encode()[i : i + 40]) for i in range(0, len(RUSSIAN.encode()), 40)),
    ),
    says=[RUSSIAN],
)
case(
    "base64 url safe",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64",
        base64.urlsafe_b64encode((RUSSIAN + "???>>>").encode()),
    ),
    says=[RUSSIAN],
)
case(
    "short plain labelled base64",
    mail("Content-Type: text/plain\nContent-Transfer-Encoding: base64", "Help! #234567"),
    says=["Help! #234567"],
)
case(
    "one word labelled base64",
    mail("Content-Type: text/plain\nContent-Transfer-Encoding: base64", "Hello"),
    says=["Hello"],
)
case(
    "qp with raw 8bit",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable",
        "Grüße =C3=BC order #234567".encode(),
    ),
    says=["Grüße ü order #234567"],
)
case(
    "qp twice",
    mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable",
        quopri.encodestring(GERMAN.encode()),
    ),
    says=[GERMAN],
)
case(
    "qp end with =",
    mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable", "order #234567="),
    says=["order #234567"],
)
case(
    "qp on header label only text with =",
    mail("Content-Type: text/plain; charset=utf-8", "a=3D b= 5 and x=20 seconds, order #234567"),
    says=["a=3D b= 5 and x=20"],
)
case(
    "uu two files",
    mail("", WORDS.encode() + b"\n" + UU + b"between\n" + UU.replace(b"trace", b"other") + b"bye"),
    says=["between", "bye"],
    files=["trace.txt", "other.txt"],
)
case(
    "uu no end",
    mail("", WORDS.encode() + b"\n" + UU.replace(b"`\nend\n", b"") + b""),
    says=["order #234567"],
    files=["trace.txt"],
    lacks=["begin 644"],
)
case(
    "uu html escaped name blank",
    mail("", WORDS.encode() + b"\n" + UU.replace(b"trace.txt", b"my trace file.txt")),
    files=["my trace file.txt"],
)
case(
    "image labelled 7bit base64 with name",
    multi("mixed", part(TEXT, WORDS), part("image/png; name=x.png", b"\x89PNG", "Content-Transfer-Encoding: 7bit\n")),
    files=["x.png"],
)
# charsets
for label, t, c in (
    ("ISO-8859-1;format=flowed", GERMAN, "cp1252"),
    ('"utf-8"', RUSSIAN, "utf-8"),
    ("utf8", RUSSIAN, "utf-8"),
    ("utf-8-sig", RUSSIAN, "utf-8"),
    ("latin1", GERMAN, "latin-1"),
    ("ISO-Latin-1", GERMAN, "latin-1"),
    ("iso_8859-2", CZECH, "iso8859_2"),
    ("Windows-1250", POLISH, "cp1250"),
    ("MacRoman", GERMAN, "mac_roman"),
    ("x-mac-ce", CZECH, "mac_latin2"),
    ("cp10007", RUSSIAN, "mac_cyrillic"),
    ("cp65001", RUSSIAN, "utf-8"),
    ("cp1200", RUSSIAN, "utf-16-le"),
    ("cp20866", RUSSIAN, "koi8-r"),
    ("cp28592", CZECH, "iso8859_2"),
    ("cp51932", JAPANESE, "euc_jp"),
    ("cp50220", JAPANESE, "iso2022_jp"),
    ("cp51949", KOREAN, "euc_kr"),
    ("cp54936", CHINESE, "gb18030"),
    ("iso-2022-jp-ms", JAPANESE, "iso2022_jp"),
    ("ISO-2022-CN", CHINESE, "gb2312"),
    ("ISO-8859-8-I", HEBREW, "iso8859_8"),
    ("ISO-8859-6", ARABIC, "iso8859_6"),
    ("windows-1256", ARABIC, "cp1256"),
    ("viscii", GERMAN, "cp1252"),
    ("gb_18030", CHINESE, "gb18030"),
    ("shift_jis-2004", JAPANESE, "cp932"),
    ("eucKR", KOREAN, "euc_kr"),
    ("KOI8R", RUSSIAN, "koi8-r"),
    ("koi8_u", UKRAINIAN, "koi8_u"),
    ("win", RUSSIAN, "cp1251"),
    ("russian", RUSSIAN, "cp1251"),
    ("cp1251;", RUSSIAN, "cp1251"),
    ("Cyrillic (Windows-1251)", RUSSIAN, "cp1251"),
    ("Cyrillic (KOI8-R)", RUSSIAN, "koi8-r"),
    ("us-ascii", GERMAN, "mac_roman"),
    ("ascii", JAPANESE, "cp932"),
    ("utf-8", RUSSIAN, "cp1251"),
    ("utf-8", GERMAN, "cp1252"),
    ("utf-8", CHINESE, "gbk"),
    ("gb2312", TAIWAN, "gbk"),
    ("euc-kr", KOREAN, "cp949"),
    ("big5", TAIWAN, "big5"),
    ("utf-16", RUSSIAN, "utf-16-be"),
    ("utf-32", RUSSIAN, "utf-32"),
    ("ucs-2", RUSSIAN, "utf-16-be"),
):
    case(
        f"cs {label} {c} {t[:3]}",
        mail(f"Content-Type: text/plain; charset={label}\nContent-Transfer-Encoding: base64", b64(t.encode(c))),
        says=[t],
    )
case(
    "subject raw cp1251 no body label, html body meta",
    mail(
        "Content-Type: text/html", ("<meta charset=windows-1251><p>" + RUSSIAN).encode("cp1251"), subject="SUBJ"
    ).replace(b"SUBJ", "Сервер упал".encode("cp1251")),
    subject="Сервер упал",
    says=[RUSSIAN],
)
case(
    "subject mixed raw utf8 and ew",
    mail("", "x", subject="Störung =?utf-8?Q?f=C3=BCr?= uns"),
    subject="Störung für uns",
)
case("subject ew unterminated", mail("", "x", subject="=?utf-8?Q?St=C3=B6rung"), subject="Störung")
case("subject ew no charset", mail("", "x", subject="=??Q?St=C3=B6rung?="), subject="Störung")
case("subject ew with folding inside", mail("", "x", subject="=?utf-8?B?U3TD\n tnJ1bmc=?="), subject="Störung")
case("subject ew in utf-7", mail("", "x", subject="=?utf-7?Q?St+APY-rung?="), subject="Störung")
case(
    "subject gb2312 b",
    mail("", "x", subject="=?gb2312?B?" + base64.b64encode("服务器问题".encode("gbk")).decode() + "?="),
    subject="服务器问题",
)
case("subject utf8 labelled iso", mail("", "x", subject="=?iso-8859-1?Q?St=C3=B6rung?="), subject="Störung")
case("subject raw escapes", mail("", "x", subject="\x1b$B%5!<%P!<\x1b(B"), subject="サーバー")
# names
for way, (f, n) in {
    "utf8 pct no star": (
        b"Content-Type: application/pdf\nContent-Disposition: attachment; filename=\"UTF-8''M%C3%A4rz.pdf\"\n",
        "März.pdf",
    ),
    "ew two spaces": (b'Content-Type: application/pdf; name="=?utf-8?Q?M=C3=A4?= =?utf-8?Q?rz.pdf?="\n', "März.pdf"),
    "name upper": (b'Content-Type: application/pdf; NAME="x.pdf"\n', "x.pdf"),
    "filename = spaces": (
        b'Content-Type: application/pdf\nContent-Disposition: attachment; filename = "x.pdf"\n',
        "x.pdf",
    ),
    "sections no charset": (
        b'Content-Type: application/pdf\nContent-Disposition: attachment; filename*0="very long "; filename*1="name.pdf"\n',
        "very long name.pdf",
    ),
    "raw in sections": (
        'Content-Type: application/pdf\nContent-Disposition: attachment; filename*0="März "; filename*1="2026.pdf"\n'.encode(),
        "März 2026.pdf",
    ),
    "single quotes": (b"Content-Type: application/pdf; name='x.pdf'\n", "x.pdf"),
    "dispo broken": (b"Content-Type: application/pdf; name=x.pdf\nContent-Disposition: filename=x.pdf\n", "x.pdf"),
    "comma sep": (b"Content-Type: application/pdf\nContent-Disposition: attachment, filename=x.pdf\n", "x.pdf"),
    "content-description": (b"Content-Type: application/pdf\nContent-Description: report.pdf\n", "report.pdf"),
    "rtl": ('Content-Type: application/pdf; name="x\u202efdp.exe"\n'.encode(), "xfdp.exe"),
}.items():
    case(f"a file name, once more: {way}", named(f), files=[n])

case(
    "a file name: raw octets in a percent form",
    named(b"Content-Type: application/pdf\nContent-Disposition: attachment; filename=\"UTF-8''M%C3%A4rz\xce.pdf\"\n"),
    says=["order #234567"],
)
case(
    "a boundary: raw octets by RFC 2231",
    multi("mixed", part(TEXT, WORDS)).replace(b'boundary="b1"', b"boundary*=utf-8''b\xce%31"),
    says=["order #234567"],
    lacks=["Content-Type"],
)
