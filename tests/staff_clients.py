"""Replies of staff as their mail programs write them: each to a notification of ours, with quoting, signature and HTML."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.scene import Letter, Mail

JOE = "Joe Meier <joe@staff.example>"
LOGO = ("image001.png", "image/png", b"\x89PNG\r\n\x1a\n" + b"logo" * 50)


def _quoted(letter: Letter, mark: str = "> ", width: int = 0) -> str:
    lines = letter.text.rstrip().splitlines()
    if width:
        lines = [piece for line in lines for piece in (textwrap.wrap(line, width) or [""])]
    return "\n".join(f"{mark}{line}".rstrip() for line in lines)


def _as_html(text: str) -> str:
    return "<br>\n".join(html.escape(line) for line in text.rstrip().splitlines())


@dataclass(frozen=True)
class Program:
    """``write``: the reply to a letter. ``customer``: what the customer is to read, exactly. ``files``: their names."""

    name: str
    write: Callable[[Letter], Mail]
    customer: str
    files: Sequence[str] = ()


def gmail(letter: Letter) -> Mail:
    text = (
        "Hello,\n\nthe disk has been replaced.\n\nBest,\nJoe\n\n-- \nJoe Meier\nSupport Engineer\n\n"
        f"On Sat, Nov 28, 2026 at 11:02 AM INTROSERV Support <\nsupport@introserv.com> wrote:\n\n{_quoted(letter, width=72)}\n"
    )
    page = (
        '<div dir="ltr"><div>Hello,</div><div><br></div><div>the disk has been replaced.</div><div><br></div><div>Best,</div><div>Joe'
        '</div><div><br clear="all"></div><div><br></div><span class="gmail_signature_prefix">-- </span><br><div dir="ltr" '
        'class="gmail_signature" data-smartmail="gmail_signature"><div dir="ltr">Joe Meier<div>Support Engineer</div></div></div></div><br>'
        '<div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">On Sat, Nov 28, 2026 at 11:02 AM INTROSERV '
        'Support &lt;<a href="mailto:support@introserv.com">support@introserv.com</a>&gt; wrote:<br></div><blockquote class="gmail_quote" '
        f'style="margin:0px 0px 0px 0.8ex">{_as_html(letter.text)}</blockquote></div>'
    )
    return Mail(JOE, text, html=page)


def gmail_html_only(letter: Letter) -> Mail:
    return Mail(JOE, html=gmail(letter).html)


def outlook_german(letter: Letter) -> Mail:
    head = (
        "Von: INTROSERV Support <support@introserv.com> \nGesendet: Samstag, 28. November 2026 11:02\nAn: Joe Meier <joe@staff.example>\n"
        f"Betreff: {letter.subject}"
    )
    words = "Guten Tag,\n\ndie Festplatte ist getauscht. Sie können den Server wieder belasten.\n\nMit freundlichen Grüßen\nJoe Meier"
    signature = "\n\n-- \nJoe Meier\nTechnischer Support\nTel. +49 30 1234567"
    page = (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style><!--p.MsoNormal{margin:0}--></style></head>'
        '<body lang="DE"><div class="WordSection1">'
        + "".join(
            f"<p class=MsoNormal>{html.escape(line) or '<o:p>&nbsp;</o:p>'}</p>"
            for line in (words + signature).splitlines()
        )
        + "<div><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p class=MsoNormal>"
        + "<br>".join(
            f"<b>{html.escape(line.partition(':')[0])}:</b>{html.escape(line.partition(':')[2])}"
            for line in head.splitlines()
        )
        + f"</p></div></div>{''.join(f'<p class=MsoNormal>{html.escape(line)}</p>' for line in letter.text.splitlines())}</div></body></html>"
    )
    return Mail(JOE, f"{words}{signature}\n\n{head}\n\n{letter.text}", html=page)


def outlook_web(letter: Letter) -> Mail:
    page = (
        '<html><body dir="ltr"><div class="elementToProof" style="font-family: Aptos">We restarted it, all is well.</div>'
        '<div class="elementToProof"><br></div><div id="Signature"><p>Joe Meier</p><p>Support Engineer, INTROSERV</p></div>'
        '<div id="appendonsend"></div><hr style="display:inline-block;width:98%" tabindex="-1"><div id="divRplyFwdMsg" dir="ltr">'
        '<font face="Calibri" style="font-size:11pt"><b>From:</b> INTROSERV Support &lt;support@introserv.com&gt;<br><b>Sent:</b> Saturday, '
        f"November 28, 2026 11:02 AM<br><b>To:</b> Joe Meier<br><b>Subject:</b> {html.escape(letter.subject)}</font><div>&nbsp;</div></div>"
        f'<div class="BodyFragment"><font size="2"><span style="font-size:11pt"><div class="PlainText">{_as_html(letter.text)}</div></span></font></div>'
        "</body></html>"
    )
    return Mail(JOE, html=page)


def apple_mail(letter: Letter) -> Mail:
    text = (
        "Hello,\n\nthe report is attached.\n\nJoe\n\n> On 28. Nov 2026, at 11:02, INTROSERV Support <support@introserv.com> wrote:\n> \n"
        f"{_quoted(letter)}\n"
    )
    return Mail(JOE, text, files=[("report.pdf", "application/pdf", b"%PDF-1.4 all is well")])


def apple_mail_html(letter: Letter) -> Mail:
    page = (
        '<html><head><meta http-equiv="content-type" content="text/html; charset=utf-8"></head><body style="overflow-wrap: break-word;">'
        'Hello,<div><br></div><div>we look into it.<br id="lineBreakAtBeginningOfSignature"><div><br>Joe</div><div><br><blockquote '
        'type="cite"><div>On 28. Nov 2026, at 11:02, INTROSERV Support &lt;support@introserv.com&gt; wrote:</div><br '
        f'class="Apple-interchange-newline"><div><div>{_as_html(letter.text)}</div></div></blockquote></div><br></div></body></html>'
    )
    return Mail(JOE, html=page)


def iphone_german(letter: Letter) -> Mail:
    text = (
        "Erledigt, der Server läuft wieder.\n\nVon meinem iPhone gesendet\n\n> Am 28.11.2026 um 11:02 schrieb INTROSERV Support "
        f"<support@introserv.com>:\n> \n> \ufeff{_quoted(letter)[2:]}\n"
    )
    return Mail(JOE, text)


def thunderbird_below(letter: Letter) -> Mail:
    text = (
        f"Am 28.11.26 um 11:02 schrieb INTROSERV Support:\n{_quoted(letter)}\n\nGuten Tag,\n\nwir haben die Platte getauscht.\n\n"
        "Viele Grüße\nJoe\n\n-- \nJoe Meier\nTechnik\n"
    )
    return Mail(JOE, text)


def thunderbird_between(letter: Letter) -> Mail:
    before, _, rest = _quoted(letter).partition("> | Which kernel runs there?\n")
    _, _, after = rest.partition("> | And which disk is it?\n")
    text = (
        f"Hello,\n\nAm 28.11.26 um 11:02 schrieb INTROSERV Support:\n{before}> | Which kernel runs there?\n\n6.1, since yesterday.\n\n"
        f"> | And which disk is it?\n\nThe second one.\n\n{after}\n\n-- \nJoe Meier\n"
    )
    return Mail(JOE, text)


def gmail_between(letter: Letter) -> Mail:
    def block(text: str) -> str:
        return f'<blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex">{_as_html(text)}</blockquote>'

    before, _, rest = letter.text.partition("| Which kernel runs there?\n")
    _, _, after = rest.partition("| And which disk is it?\n")
    page = (
        '<div dir="ltr"><div dir="ltr">Hello,</div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">On '
        "Sat, Nov 28, 2026 at 11:02 AM INTROSERV Support &lt;support@introserv.com&gt; wrote:<br></div>"
        f"{block(before + '| Which kernel runs there?')}<div><br></div><div>6.1, since yesterday.</div><div>&nbsp;</div>"
        f"{block('| And which disk is it?')}<div><br></div><div>The second one.</div>{block(after)}</div></div>"
    )
    before, _, rest = _quoted(letter, width=72).partition("> | Which kernel runs there?\n")
    _, _, after = rest.partition("> | And which disk is it?\n")
    text = (
        f"Hello,\n\nOn Sat, Nov 28, 2026 at 11:02 AM INTROSERV Support <\nsupport@introserv.com> wrote:\n\n{before}> | Which kernel runs "
        f"there?\n\n6.1, since yesterday.\n\n\n> | And which disk is it?\n\nThe second one.\n\n{after}\n"
    )
    return Mail(JOE, text, html=page)


def yandex(letter: Letter) -> Mail:
    page = (
        "<div>Здравствуйте!</div><div>&nbsp;</div><div>Диск заменили, сервер снова работает.</div><div>&nbsp;</div><div>-- <br />С уважением, "
        '<br />Джо Мейер</div><div>&nbsp;</div><div>28.11.2026, 13:02, "INTROSERV Support" &lt;support@introserv.com&gt;:</div><blockquote>'
        f"<p>{_as_html(letter.text)}</p></blockquote>"
    )
    return Mail(JOE, html=page)


def outlook_russian(letter: Letter) -> Mail:
    text = (
        "Добрый день!\n\nДиск заменили, сервер снова работает.\n\nС уважением,\nДжо\n\nОт: INTROSERV Support <support@introserv.com> \n"
        f"Отправлено: суббота, 28 ноября 2026 г. 13:02\nКому: Joe Meier <joe@staff.example>\nТема: {letter.subject}\n\n{letter.text}"
    )
    return Mail(JOE, text)


def outlook_phone(letter: Letter) -> Mail:
    text = (
        "Hello,\n\nwe look into it.\n\nGet Outlook for iOS<https://aka.ms/o0ukef>\n________________________________\nFrom: INTROSERV Support "
        f"<support@introserv.com>\nSent: Saturday, November 28, 2026 11:02:11 AM\nTo: Joe Meier <joe@staff.example>\nSubject: {letter.subject}\n\n"
        f"{letter.text}"
    )
    return Mail(JOE, text)


def samsung(letter: Letter) -> Mail:
    text = (
        "We look into it.\n\nSent from my Galaxy\n\n-------- Original message --------\nFrom: INTROSERV Support <support@introserv.com> \n"
        f"Date: 28/11/2026 11:02 (GMT+01:00) \nTo: joe@staff.example \nSubject: {letter.subject} \n\n{letter.text}"
    )
    return Mail(JOE, text)


def outlook_company(letter: Letter) -> Mail:
    """What a company's template adds: no dashes, no class, nothing but Outlook's paragraphs."""
    words = "Guten Tag,\n\ndie Festplatte ist getauscht.\n\nMit freundlichen Grüßen\n\nJoe Meier"
    signature = (
        "\nTechnischer Support\n\nINTROSERV GmbH\nSonnenallee 1\n12045 Berlin\n\nTelefon: 030 / 123 45 67\n"
        "joe.meier@introserv.com\nGeschäftsführer: Karl Kurz\nAmtsgericht Charlottenburg, HRB 123456"
    )
    head = (
        "Von: INTROSERV Support <support@introserv.com> \nGesendet: Samstag, 28. November 2026 11:02\nAn: Joe Meier <joe@staff.example>\n"
        f"Betreff: {letter.subject}"
    )
    return Mail(JOE, f"{words}{signature}\n\n{head}\n\n{letter.text}")


def apple_company(letter: Letter) -> Mail:
    page = (
        "<html><body>Bonjour,<div><br></div><div>le disque est remplacé.</div><div><br></div><div>Cordialement,</div><div>Joe</div><div><br>"
        "</div><div>Joe Meier</div><div>Ingénieur support</div><div>INTROSERV SAS</div><div>Tél. +33 1 23 45 67 89</div><div><br><blockquote "
        'type="cite"><div>Le 28 nov. 2026 à 11:02, INTROSERV Support &lt;support@introserv.com&gt; a écrit :</div><br '
        f'class="Apple-interchange-newline"><div><div>{_as_html(letter.text)}</div></div></blockquote></div></body></html>'
    )
    return Mail(JOE, html=page)


def gmail_phone_company(letter: Letter) -> Mail:
    text = (
        "Hello,\n\nthe disk has been replaced.\n\nJoe Meier\nSupport Engineer\nINTROSERV Ltd\nM: +44 7700 900123\n\nOn Sat, 28 Nov 2026, 11:02 "
        f"INTROSERV Support, <support@introserv.com> wrote:\n\n{_quoted(letter, width=72)}\n"
    )
    return Mail(JOE, text)


def samsung_company(letter: Letter) -> Mail:
    text = (
        "Диск заменили.\n\nС уважением,\nДжо Мейер\nИнженер поддержки\nТел.: +7 495 123-45-67\nwww.introserv.com\n\nОтправлено с устройства Galaxy\n\n"
        f"-------- Исходное сообщение --------\nОт: INTROSERV Support <support@introserv.com>\nДата: 28.11.2026 11:02 (GMT+01:00)\n"
        f"Кому: joe@staff.example\nТема: {letter.subject}\n\n{letter.text}"
    )
    return Mail(JOE, text)


BETWEEN = "Hello,\n\n> Which kernel runs there?\n\n6.1, since yesterday.\n\n> And which disk is it?\n\nThe second one."
PROGRAMS = (
    Program("Gmail", gmail, "Hello,\n\nthe disk has been replaced.\n\nBest,\nJoe"),
    Program("Gmail, HTML only", gmail_html_only, "Hello,\n\nthe disk has been replaced.\n\nBest,\nJoe"),
    Program("Gmail, between the lines", gmail_between, BETWEEN),
    Program("Outlook, German", outlook_german,
            "Guten Tag,\n\ndie Festplatte ist getauscht. Sie können den Server wieder belasten.\n\nMit freundlichen Grüßen\nJoe Meier"),
    Program("Outlook on the web, HTML only", outlook_web, "We restarted it, all is well."),
    Program("Outlook on a phone", outlook_phone, "Hello,\n\nwe look into it."),
    Program("Outlook, Russian", outlook_russian, "Добрый день!\n\nДиск заменили, сервер снова работает.\n\nС уважением,\nДжо"),
    Program("Apple Mail", apple_mail, "Hello,\n\nthe report is attached.\n\nJoe", ("report.pdf",)),
    Program("Apple Mail, HTML only", apple_mail_html, "Hello,\n\nwe look into it.\n\nJoe"),
    Program("iPhone, German", iphone_german, "Erledigt, der Server läuft wieder."),
    Program("Thunderbird, below", thunderbird_below, "Guten Tag,\n\nwir haben die Platte getauscht.\n\nViele Grüße\nJoe"),
    Program("Thunderbird, between the lines", thunderbird_between, BETWEEN),
    Program("Yandex, HTML only", yandex, "Здравствуйте!\n\nДиск заменили, сервер снова работает."),
    Program("Samsung", samsung, "We look into it."),
    Program("Outlook, a company's signature, German", outlook_company,
            "Guten Tag,\n\ndie Festplatte ist getauscht.\n\nMit freundlichen Grüßen\n\nJoe Meier"),
    Program("Apple Mail, a company's signature, French", apple_company,
            "Bonjour,\n\nle disque est remplacé.\n\nCordialement,\nJoe"),
    Program("Gmail on a phone, a company's signature", gmail_phone_company, "Hello,\n\nthe disk has been replaced."),
    Program("Samsung, a company's signature, Russian", samsung_company, "Диск заменили.\n\nС уважением,\nДжо Мейер"),
)  # fmt: skip
