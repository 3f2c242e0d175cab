"""Every template in every language as people see it: in a real browser, wide, on a phone and in the dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from gateway.replies import preview
from gateway.replies.render import Sender, Templates, variables
from gateway.replies.samples import NAMES, samples
from gateway.settings import Gateway

LANGUAGES = ("de", "en", "es", "fr", "it", "ru", "uk")
SENDER = Sender(
    Gateway(address="support@introserv.com", name="INTROSERV Support", client_area_url="https://portal.example/very/long/way/to/the/tickets", chat_url="https://chat.example/"), "verp", b"s" * 32,
)  # fmt: skip
SCREENS = {"wide": (1100, "light"), "phone": (375, "light"), "small phone": (320, "dark")}
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
#: the least contrast of any words with the page behind them (WCAG 2.2, 1.4.3); nothing of ours sets a background
CONTRAST = """() => {
  const light = (text) => {
    const parts = text.match(/[0-9.]+/g).slice(0, 3).map(Number).map((v) => v / 255);
    const lin = parts.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * lin[0] + 0.7152 * lin[1] + 0.0722 * lin[2];
  };
  const probe = document.createElement("i");
  probe.style.color = "Canvas";
  document.body.append(probe);
  const page = light(getComputedStyle(probe).color);
  probe.remove();
  const ratios = [...document.querySelectorAll("body *")].map((one) => {
    const words = light(getComputedStyle(one).color);
    return (Math.max(words, page) + 0.05) / (Math.min(words, page) + 0.05);
  });
  return Math.min(...ratios);
}"""
#: what a screen reader meets, in its order
ORDER = "() => [...document.querySelectorAll('p, li, blockquote')].map((one) => one.innerText)"

#: frames that are lower than the mail in them
CUT = """() => [...document.querySelectorAll("iframe")].filter(
  (one) => one.clientHeight < one.contentDocument.documentElement.scrollHeight || one.clientHeight < 100
).map((one) => one.title)"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview")
    for path, text in preview.everything(Templates(None), SENDER).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def page(browser: Browser, screen: str) -> Iterator[Page]:
    """A page on this screen."""
    width, scheme = SCREENS[screen]
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, is_mobile=width < 600  # type: ignore[arg-type]
    )  # fmt: skip
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("screen", SCREENS)
def test_every_mail_can_be_read_on_every_screen(page: Page, files: Path, screen: str) -> None:
    width = SCREENS[screen][0]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for language in LANGUAGES:
        for name in NAMES:
            where = f"{language}/{name} on {screen}"
            asked.clear()
            page.goto((files / language / f"{name}.full.html").as_uri())
            assert len(asked) == 1, f"{where} loads {asked[1:]}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{where} must be moved sideways"
            assert page.evaluate(CONTRAST) >= 4.5, where
            assert page.evaluate("document.documentElement.lang") == language
            assert len(page.title()) > 10, where
            read, text = page.evaluate(ORDER), (files / language / f"{name}.full.txt").read_text()
            words = re.sub(r"(?m)^(?:- |> ?)", "", text.partition("\n\n")[2])  # a list and a quote are drawn
            flat = " ".join(words.split())
            assert " ".join(" ".join(read).split()) == flat, f"{where} is read in another order than it is written"


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing(browser: Browser, files: Path, language: str) -> None:
    page = browser.new_page()
    for name in ("received", "verification_needed"):  # every element that there is
        page.goto((files / language / f"{name}.full.html").as_uri())
        found = Axe().run(page, options=AXE).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    page.close()


@pytest.mark.parametrize("screen", SCREENS)
def test_the_pages_that_lead_to_the_mails_fit_and_show_them_whole(page: Page, files: Path, screen: str) -> None:
    width = SCREENS[screen][0]
    for name in ("index", "en", "fr"):  # what staff get, and the longest words
        page.goto((files / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} must be moved sideways"
        assert page.evaluate(CONTRAST) >= 4.5, name
        assert page.locator("iframe").count() == (0 if name == "index" else len(list((files / name).glob("*.html"))))
        assert page.evaluate(CUT) == [], f"{name} shows a part of these mails"
    page.goto((files / "index.html").as_uri())
    page.click("text=Ukrainian (uk)")
    page.click("text=All languages")
    page.click('tr:has-text("received invoice") td[data-language=fr] >> text=text')
    assert "facture 605112" in page.content()


LONG = "host-of-a-customer." * 7 + "x" * 120


@pytest.mark.parametrize("language", ["de", "ru"])
def test_a_phone_is_not_widened_by_long_names(browser: Browser, files: Path, language: str) -> None:
    page = browser.new_page(viewport={"width": 320, "height": 800})
    templates = Templates(None)
    for name in ("received", "answer", "abuse_notice"):
        many = {key: [LONG, "604983"] for key in ("orders", "ips", "services", "invoices")}
        names = {"account_name": f"Anna {LONG}", "account": LONG, "about": LONG}
        words = {"text": f"> {LONG}\n\n    {LONG}\n\nhttps://{LONG}/{LONG}"}
        values = variables(SENDER, samples(name)[0] | many | names | words)
        page.set_content(templates.page(name, language, values, templates.text(name, language, values)))
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
        assert page.evaluate("document.body.innerText").count(LONG) >= 2, f"{name} leaves something out"
    page.close()
