"""The pictures of the console in README: ``python -m bench.pictures`` makes them anew with Debian's Chromium."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from gateway import demo
from tests.peers.console_world import World, settled
from tests.peers.harness import LoopbackPeers, write_accounts

TO = Path(__file__).resolve().parents[1] / "docs" / "images"
MAILS = (
    ("Carla <carla@curious.example>", "Dedicated servers in Spain?", "Hello, do you offer dedicated servers in Madrid, and how much is the smallest one?\n", False),
    ("Camille <camille@nowhere.example>", "Prix d'un serveur", "Bonjour, combien coûte votre plus petit serveur dédié à Paris ?\n", False),
    ("Billing <billing@shop.example>", "Invoice 214382", "Hello, invoice 214382 was charged twice to our credit card. Please check the payment.\n", True),
    ("Anna Schmidt <anna@example.de>", "Frage zur Bestellung 123456", "Guten Tag,\n\nmein Server 203.0.113.7 (Bestellung Nr. 123456) meldet Fehler auf der Festplatte. Können Sie bitte nachsehen?\n\nMit freundlichen Grüßen\nAnna Schmidt\n", True),
    ("Max <max@nowhere.example>", "Order 123456", "Hello, please tell me the status of my server, order #123456.\n", False),
    ("Shop Ops <ops@shop.example>", "Slow disk on #234567", "Hello,\n\nthe disk of tfz1cvkr (198.51.100.20) has been slow since 14:30 CET. Please have a look.\n\nBest regards,\nShop Ops\n", True),
    ("Anna Schmidt <anna@example.de>", "Password", "Hello, please reset my password and send it to me.\n", False),
    ("Оксана <oksana@curious.example>", "Сервер не працює", "Доброго дня, мій сервер 198.51.100.77 не відповідає з самого ранку. Допоможіть, будь ласка!\n", False),
    ("Ольга Коваль <olha@example.de>", "Сервер недоступний", "Доброго дня,\n\nнаш сервер kv7x2y31 (203.0.113.77) не працює з 8:40, жоден сайт не відкривається.\n\nping 203.0.113.77\nRequest timeout for icmp_seq 0\nRequest timeout for icmp_seq 1\n\nОльга Коваль\n", True),
)  # fmt: skip


def accounts(folder: Path) -> None:
    files = dict(demo.ACCOUNTS)
    files["accounts.csv"] += "10077,Ольга Коваль,uk,active\n"
    files["addresses.csv"] += "10077,olha@example.de,owner\n"
    files["orders.csv"] += "345678,10077,kv7x2y31,active,203.0.113.77\n"
    write_accounts(folder, files)


def main() -> int:
    """Makes both pictures."""
    TO.mkdir(exist_ok=True)
    peers = LoopbackPeers()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        accounts(Path(name))
        world = World(Path(name), peers)
        for author, subject, text, signed in MAILS:
            world.sample(author, subject, text, signed)
        settled(world, len(MAILS))
        _draw(world, playwright)
        world.close()
    peers.close()
    return 0


def _draw(world: World, playwright: object) -> None:
    olena, max_ = world.person("olena", "admin"), world.person("max", "agent")
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])  # type: ignore[attr-defined]
    context = browser.new_context(viewport={"width": 1240, "height": 800})
    context.add_cookies([{"name": "gateway", "value": olena.client.cookies["gateway"], "url": world.url}])
    page = context.new_page()
    page.goto(world.url)
    tickets = page.eval_on_selector_all("a.go", "all => all.map(one => one.pathname)")
    max_.post(f"{tickets[3]}/act", do="assign", to="max")
    max_.post(f"{tickets[3]}/act", do="tag", tag="disk")
    max_.post(f"{tickets[0]}/presence", state="here")
    page.wait_for_selector(".owner")
    page.keyboard.press("j")
    page.screenshot(path=TO / "queue.jpg", type="jpeg", quality=82)
    page.keyboard.press("Enter")
    page.locator("#there span").wait_for()
    page.keyboard.press(";")
    page.keyboard.type("перезавантаж")
    page.keyboard.press("Enter")
    page.get_by_text("Draft kept").wait_for()
    page.screenshot(path=TO / "ticket.jpg", type="jpeg", quality=82)
    browser.close()


if __name__ == "__main__":
    sys.exit(main())
