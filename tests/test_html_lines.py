"""The lines of an HTML body are those that its reader sees, and what a mail program puts below them is not the author's."""

from __future__ import annotations

import pytest

from gateway.read.html import page

SEEN = [
    ("<div>Best,</div><div>Joe</div><div><br></div><div>PS</div>", "Best,\nJoe\n\nPS"),
    ("<p>one</p><p>two</p>", "one\n\ntwo"),
    ("<p class=MsoNormal>one</p>\n<p class=MsoNormal><o:p>&nbsp;</o:p></p>\n<p class=MsoNormal>two</p>", "one\n\ntwo"),
    ('<p style="margin: 0">one</p><p style="margin:0cm">two</p>', "one\ntwo"),
    ("one<br>two<br><br>three", "one\ntwo\n\nthree"),
    ("<ul>\n <li>one</li>\n <li>two</li>\n</ul>three", "one\ntwo\n\nthree"),
    ("<table><tr><td>a</td><td>b</td></tr>\n<tr><td>c</td></tr></table>d", "a b\nc\n\nd"),
    ("<div>\n  <div>\n  nested </div>\n</div>next", "nested\nnext"),
    ("<div>one</div><div>&nbsp;</div><div>two</div>", "one\n\ntwo"),
    ("one <b>two</b> <i>three</i>", "one two three"),
]


@pytest.mark.parametrize(("html", "seen"), SEEN)
def test_lines(html: str, seen: str) -> None:
    assert page(html).whole == seen


@pytest.mark.parametrize(
    "below",
    [
        '<div id="Signature"><p>Joe Meier</p></div>',
        '<div class="gmail_signature">Joe Meier</div>',
        '<div id="x_Signature">Joe Meier</div>',
        '<div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>From:</b> Support</div><div>Joe Meier wrote</div>',
    ],
)
def test_a_signature_and_what_outlook_quotes_are_not_the_authors_words(below: str) -> None:
    found = page(f"<div>It is well.</div>{below}")
    assert found.words == "It is well."
    assert "Joe Meier" in found.whole


def test_a_mail_that_is_passed_on_without_a_word_keeps_what_it_passes_on() -> None:
    found = page(
        '<div id="appendonsend"></div><div id="divRplyFwdMsg"><b>From:</b> Anna</div><div>The disk is slow.</div>'
    )
    assert "The disk is slow." in found.words


def test_a_word_about_signatures_is_none() -> None:
    assert page('<div class="SignatureHelp">Signature</div>').words == "Signature"
