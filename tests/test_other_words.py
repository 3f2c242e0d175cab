"""What people write in other words than the labelled mails: times, outages, facts, secrets, quotes, requests."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.model import Reading
from gateway.read.facts import ips, orders
from gateway.read.reading import Hints, read
from gateway.read.secrets import secrets
from gateway.read.tables import unaccented
from gateway.read.times.times import incident_start
from gateway.read.topics import lexicon, stems
from gateway.read.words import pasted, quotes
from gateway.read.words.language import language_of
from tests.labelled import FOLDER, mails

BERLIN = ZoneInfo("Europe/Berlin")
RECEIVED = datetime(2026, 11, 22, 16, tzinfo=UTC)  # a Sunday, 17:00 in Berlin


#: what the rules find, whatever was learned (tests/test_learned.py)
RULES_ALONE = lexicon.joined({"learned.tsv": ""})


def reading(text: str, at: datetime = RECEIVED) -> Reading:
    raw = f"From: a@b.example\r\nSubject: Question\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    return read(raw.encode(), Hints("a@b.example", at, "Europe/Berlin", RULES_ALONE))


TIMES = [
    ("Since around 3pm today our site is not loading.", "2026-11-22T15:00"),
    ("The VPS stopped responding at approximately 02:45 this morning.", "2026-11-22T02:45"),
    ("Outage started 2026-11-21T23:10:00Z", "2026-11-22T00:10"),
    ("server offline from 11:20 UTC", "2026-11-22T12:20"),
    ("It went down last night at 23:40.", "2026-11-21T23:40"),
    ("My server crashed on November 20 at 6:15 PM", "2026-11-20T18:15"),
    ("Problem since Nov 19, 2026 08:05", "2026-11-19T08:05"),
    ("The machine has been unreachable since 20/11/2026 07:30 CET", "2026-11-20T07:30"),
    ("Der Server ist seit ca. 13:05 Uhr offline", "2026-11-22T13:05"),
    ("Seit gestern Abend gegen 22 Uhr ist die Seite nicht mehr erreichbar", "2026-11-21T22:00"),
    ("Heute um 6:45 Uhr ist der Server abgestürzt", "2026-11-22T06:45"),
    ("Ausfall am 20.11.2026 um 18:20 Uhr", "2026-11-20T18:20"),
    ("Seit Samstag, 21.11., 04:10 Uhr antwortet der VPS nicht", "2026-11-21T04:10"),
    ("seit Mittwoch 8 Uhr früh geht nichts mehr", "2026-11-18T08:00"),
    ("Le serveur ne répond plus depuis hier soir 22h45", "2026-11-21T22:45"),
    ("Depuis 8h ce matin le site est en panne", "2026-11-22T08:00"),
    ("panne depuis le 20 novembre à 17h", "2026-11-20T17:00"),
    ("El servidor no responde desde ayer a las 10 de la noche", "2026-11-21T22:00"),
    ("Desde el 20 de noviembre a las 9:30 no funciona la web", "2026-11-20T09:30"),
    ("Il server non risponde da stamattina alle 7:50", "2026-11-22T07:50"),
    ("Dalle ore 13.15 il sito è irraggiungibile", "2026-11-22T13:15"),
    ("Il sito è giù da ieri sera alle 22", "2026-11-21T22:00"),
    ("Сервер не отвечает примерно с 11:30 по Москве", "2026-11-22T09:30"),
    ("Сегодня в 12:05 упал сервер", "2026-11-22T12:05"),
    ("сайт лежит со вчера 20:00", "2026-11-21T20:00"),
    ("Не работает с 20 ноября 15:40 МСК", "2026-11-20T13:40"),
    ("Сервер недоступний приблизно з 13:20 за київським часом", "2026-11-22T12:20"),
    ("Сайт впав сьогодні о 8:15", "2026-11-22T08:15"),
    ("Serwer nie działa od wczoraj od godz. 19:00", "2026-11-21T19:00"),
    ("Server neodpovídá od dnešních 9:40", "2026-11-22T09:40"),
    ("De server is sinds vanochtend 8:10 uur onbereikbaar", "2026-11-22T08:10"),
    ("O servidor caiu ontem às 23h10", "2026-11-21T23:10"),
    ("since 10:00 (GMT+2) the server is unreachable", "2026-11-22T09:00"),
    ("offline since 09:12:33", "2026-11-22T09:12:33"),
    ("Server is down since 1:15 p.m.", "2026-11-22T13:15"),
    ("Сервер упал по московскому времени в 10:15.", "2026-11-22T08:15"),
    ("Server down since Moscow time 10:15.", "2026-11-22T08:15"),
    ("Outage from 09:40 to 09:55 UTC today, the server was unreachable.", "2026-11-22T10:40"),
    ("Entre 9h et 9h30 le site était injoignable.", "2026-11-22T09:00"),
    ("Entre las 9:00 y las 9:30 el servidor no respondía.", "2026-11-22T09:00"),
    ("Zwischen 21:30 und 21:50 Uhr war der Server offline.", "2026-11-21T21:30"),
    ("Begin: 22.11.2026, 14:02 Uhr. Server offline.", "2026-11-22T14:02"),
    ("Start of the incident: 13:47 CET", "2026-11-22T13:47"),
    ("no connection to the server since 23:50", "2026-11-21T23:50"),
    ("It crashed around 9ish this morning", "2026-11-22T09:00"),
    ("server offline since about 2-ish", "2026-11-22T14:00"),
    ("it went down shortly after 9", "2026-11-22T09:00"),
    ("server is down since 9 this morning", "2026-11-22T09:00"),
    (
        "results are published at noon and the site has keeled over, just gone half ten, every page refuses",
        "2026-11-22T10:30",
    ),
    ("it's been dead since 3", "2026-11-22T15:00"),
    ("down since 14.30", "2026-11-22T14:30"),
    ("down since 1430", "2026-11-22T14:30"),
    ("DOWN 09:12", "2026-11-22T09:12"),
    ("it broke at ten to nine", "2026-11-22T08:50"),
    ("gegen 9 ist der Server abgestürzt", "2026-11-22T09:00"),
    ("seit circa neun ist der Server weg", "2026-11-22T09:00"),
    ("en panne depuis un peu après 9h", "2026-11-22T09:00"),
    ("no responde desde eso de las 9", "2026-11-22T09:00"),
    ("giù da poco dopo le 9", "2026-11-22T09:00"),
    ("где-то в 9 упал сервер", "2026-11-22T09:00"),
    ("примерно с десяти не работает", "2026-11-22T10:00"),
    ("rond een uur of negen viel de server uit", "2026-11-22T09:00"),
    ("sunucu saat 9 civarı çöktü", "2026-11-22T09:00"),
    ("since 2 of our disks failed", None),
    ("downgraded from 8, now broken", None),
    ("Load stieg um 9, Server langsam", None),
    ("Around 2 failed logins per minute, server slow", None),
    ("since 8.10 the site fails", None),
    ("dead since 1433 packets were sent", None),
    ("down since 2019", None),
    ("half an hour ago the server went down", None),
    ("Please reboot the server at 22:00 tonight", None),
    ("Maintenance is planned for 14:30 tomorrow", None),
    ("Our office hours are from 9:00 to 17:00, please call us about the error", None),
    ("I ordered at 14:30 yesterday, when will the server be ready?", None),
    ("The backup runs every day at 03:00. Please tell me how to change it.", None),
    ("Bitte rufen Sie mich um 15:30 Uhr zurück, der Server ist langsam", None),
    ("The video is 14:30 long and does not play", None),
    ("Can you upgrade the server on Monday at 08:00?", None),
    ("Ratio 16:9 and score 3:2, resolution problem", None),
    ("Our cron job at 02:00 takes 14:30 minutes", None),
    ("We paid on 12.11.2026 at 10:15 by card but the invoice is still open", None),
    ("Please answer by 18:00 today, it is important", None),
    ("Le paiement a été fait hier à 15h30", None),
    ("Я оплатил счёт вчера в 15:30", None),
    ("Hi team, the box died at 04:17 CET and has not come back since.", "2026-11-22T04:17"),
    ("Our monitoring reports an outage beginning 2026-11-22 11:02:33 CET.", "2026-11-22T11:02"),
    ("Both DNS servers have been timing out since noon (12:00 UTC).", "2026-11-22T13:00"),
    ("The problem first occurred on Friday at 16:45.", "2026-11-20T16:45"),
    ("started around quarter past three", None),
    ("since yesterday", None),
    ("Since 21.11.2026 22:30 we cannot log in, the panel shows an error", "2026-11-21T22:30"),
    ("server unreachable from 8:45 to 9:10 this morning", "2026-11-22T08:45"),
    ("Seit heute Nacht, 3:20 Uhr, ist nichts mehr erreichbar.", "2026-11-22T03:20"),
    ("Die Störung begann gestern um 17:05 Uhr.", "2026-11-21T17:05"),
    ("Ab 12 Uhr keine Verbindung mehr zum Server", "2026-11-22T12:00"),
    ("Am Freitag um 9:15 Uhr ist der Server abgestürzt.", "2026-11-20T09:15"),
    ("Wir sind von 9 bis 17 Uhr erreichbar, der Server ist langsam", None),
    ("Bitte den Server um 3:00 Uhr neu starten", None),
    ("La panne a commencé vendredi à 19h20.", "2026-11-20T19:20"),
    ("Le serveur est tombé à 6h du matin", "2026-11-22T06:00"),
    ("Merci de nous rappeler à 15h, le serveur est lent", None),
    ("El problema empezó el viernes a las 18:30", "2026-11-20T18:30"),
    ("Desde esta mañana a las 7:15 no hay conexión", "2026-11-22T07:15"),
    ("Nuestro horario es de 9:00 a 18:00, el servidor va lento", None),
    ("Il problema è iniziato venerdì alle 20:10", "2026-11-20T20:10"),
    ("Da ieri alle 16 il server non risponde", "2026-11-21T16:00"),
    ("Проблема началась в пятницу в 19:40", "2026-11-20T19:40"),
    ("С 10 утра сервер не отвечает", "2026-11-22T10:00"),
    ("Сервер не отвечает с 9:00 по Киеву", "2026-11-22T08:00"),
    ("Перезагрузите сервер в 15:00, пожалуйста", None),
    ("Проблема почалася у п'ятницю о 19:40", "2026-11-20T19:40"),
    ("З 10 ранку сервер не відповідає", "2026-11-22T10:00"),
    ("Serwer padł dziś o 5:30 rano", "2026-11-22T05:30"),
    ("Od 6:00 rano strona nie działa", "2026-11-22T06:00"),
    ("Web nefunguje od dnešního rána od 7:10", "2026-11-22T07:10"),
    ("Vanaf 13:20 uur is de website plat", "2026-11-22T13:20"),
    ("Desde ontem às 20h o site está fora do ar", "2026-11-21T20:00"),
    ("Sunucu bugün saat 09:15'ten beri çalışmıyor", "2026-11-22T09:15"),
    ("Nov 22 13:44:01 host kernel: panic\nserver crashed, see log", "2026-11-22T13:44"),
    ("Server crashed. Log: [Sun Nov 22 13:44:01.123 2026] [core:error] AH00052", None),
    ("Server crashed:\n[Sun Nov 22 13:44:01.123456 2026] [core:error] AH00052", "2026-11-22T13:44:01"),
    ("Errors everywhere:\n198.51.100.9 - - [22/Nov/2026:13:44:01 +0100] GET / 502", "2026-11-22T13:44:01"),
    ("The shop is down:\n[22-Nov-2026 12:44:01 UTC] PHP Fatal error:  Uncaught", "2026-11-22T13:44:01"),
    ("The server was not reachable from 09:00-09:30 today, why?", "2026-11-22T09:00"),
    ("down since 2026-11-22 08:00:00-05:00", "2026-11-22T14:00"),
]


@pytest.mark.parametrize(("text", "began"), TIMES)
def test_when_it_began(text: str, began: str | None) -> None:
    found = reading(text).started_at
    told = found.astimezone(BERLIN).strftime("%Y-%m-%dT%H:%M:%S") if found else None
    assert (told or "").startswith(began or "\0") if began else told is None


@pytest.mark.parametrize(
    ("at", "text", "began"),
    [
        ("2026-07-01T12:00:00+00:00", "down since 13:30", "2026-07-01T13:30:00+02:00"),
        ("2026-10-25T03:00:00+00:00", "offline since 00:30 UTC", "2026-10-25T00:30:00+00:00"),
        ("2026-03-29T05:00:00+00:00", "Der Server ist seit 1:30 Uhr nicht erreichbar", "2026-03-29T01:30:00+01:00"),
        ("2026-01-02T05:00:00+00:00", "server down since December 31, 23:10", "2025-12-31T23:10:00+01:00"),
        (
            "2026-01-02T05:00:00+00:00",
            "server crashed\nDec 31 23:10:04 host kernel: panic",
            "2025-12-31T23:10:04+01:00",
        ),
        ("2026-11-22T16:00:00+00:00", "server down since 14:30 IST", None),  # India, Israel or Ireland
        ("2026-11-22T16:00:00+00:00", "server down since 14:30 CST", None),  # America or China
    ],
)
def test_zones_and_their_summer(at: str, text: str, began: str | None) -> None:
    found = reading(text, datetime.fromisoformat(at)).started_at
    assert (found.isoformat() if found else None) == began


EVERYDAY = [
    "Please call me back at 14:00, I am in the office until 5 pm.",
    "Our maintenance window is at 02:00, would you reboot the server then?",
    "The meeting with your sales team was moved to 15:30 today.",
    "I paid at 10:15 this morning and nothing has happened.",
    "I received your invoice at 9:30 and lost the attachment.",
    "Your technician was here at 11:00, thanks for replacing the broken disk.",
    "Can you be reached at 18:00 on Sunday?",
    "We will move to the new server at 13:00 today, no problem expected.",
    "I sent my passport scan at 12:05. When will you activate the order?",
    "Mein Büro ist ab 9:00 Uhr besetzt, rufen Sie mich bitte zurück.",
    "Ich habe um 10:20 Uhr bezahlt, aber nichts mehr gehört.",
    "Die Rechnung kam um 8:15, da ist ein Fehler drin.",
    "Ich habe gestern um 16:00 bestellt und noch keine Antwort.",
    "J'ai payé à 10h30 et je n'ai plus de nouvelles.",
    "Я оплатил в 12:30, деньги списались, но баланс не изменился.",
    "He pagado a las 10:30 y no hay respuesta.",
    "Our backup runs from 01:00 to 03:00 every night, please do not restart then.",
    "The webinar starts at 14:00 and the link is broken.",
    "My order was placed at 13:10 and has been stuck in review.",
    "The last login from 198.51.100.9 at 03:12 looks strange to me.",
    "Können Sie den Server um 03:00 Uhr neu starten, damit niemand gestört wird?",
    "Wir haben um 11:00 Uhr eine Präsentation und brauchen den Server unbedingt.",
    "Der Cronjob läuft um 04:00 Uhr und macht keine Probleme.",
    "Ich bin ab 14:00 Uhr nicht mehr im Büro.",
    "Le technicien est passé à 9h00, plus de problème depuis.",
    "La réunion est à 15h00, je serai injoignable.",
    "Nuestro horario es de 9:00 a 18:00, fuera de ese horario no puedo contestar.",
    "Ho pagato alle 10:30 e non ho ricevuto nulla.",
    "Il backup parte alle 02:00, va tutto bene.",
    "Pode ligar-me às 15:00? Não consigo atender antes.",
    "Kunnen jullie om 03:00 de server herstarten? Dan is er niemand.",
    "Czy możecie zrestartować serwer o 3:00, żeby nikt nie stracił danych?",
    "Prosím o restart v 03:00, aby nikdo nepřišel o data.",
    "Sunucuyu saat 03:00'te yeniden başlatır mısınız, kimse kesinti yaşamasın.",
    "Прошу перезагрузить сервер в 03:00, чтобы не мешать клиентам, ошибок нет.",
    "Чи можна перезавантажити сервер о 03:00, щоб не було проблем?",
    "Since 2019 we have been customers and never had a problem until 12:00.",
    "I was at lunch at 12:30 when your colleague called, sorry that I could not answer.",
    "The order confirmation came at 10:02 but the link in it is dead.",
    "The DNS change was made at 9:00 and is visible everywhere, no errors.",
    "Our monitoring has seen nothing odd at 14:00 today.",
    "Team, join the strategy discussion at 11 AM today. Bring your proposals.",
]


@pytest.mark.parametrize("text", EVERYDAY)
def test_a_clock_that_began_nothing_is_no_begin(text: str) -> None:
    assert reading(text).started_at is None, reading(text).started_words


def test_a_word_that_begins_like_a_weekday_or_a_month_names_no_day() -> None:
    """ "Monitoring" is no Monday, "12 outages" are not in October, "seit 9:40, 12 Sie" is not in August."""
    for text in (
        "Our monitoring says: 203.0.113.7 is down since 9:40",
        "12 outages of the server since 9:40, friends of ours cannot reach it",
        "Der Server ist seit 9:40 nicht erreichbar, 3 sind betroffen",
    ):
        assert reading(text).started_at == datetime.fromisoformat("2026-11-22T09:40:00+01:00"), text


OUTAGES = [
    ("Our server has been down for an hour, nothing works", True),
    ("The website shows a 502 error sometimes", False),
    ("URGENT urgent please answer", False),
    ("All of our VPS are unreachable", True),
    ("my dedicated machine does not come up after reboot", True),
    ("SSH is not working but the site is fine", False),
    ("I can't reach my server", True),
    ("Site is dead, customers complain", True),
    ("Der Server reagiert nicht mehr, Totalausfall", True),
    ("Die Webseite lädt manchmal langsam", False),
    ("Unser Shop ist komplett offline!", True),
    ("Können Sie prüfen, ob der Server erreichbar ist?", False),
    ("Was mache ich, wenn der Server ausgefallen ist?", False),
    ("Server war gestern nicht erreichbar, warum?", False),
    ("Nichts geht mehr, alle Server sind tot", True),
    ("Notre site est complètement en panne", True),
    ("Le serveur est lent", False),
    ("Mon VPS ne répond plus du tout", True),
    ("El servidor está totalmente inaccesible", True),
    ("La web va un poco lenta", False),
    ("Il sito è completamente irraggiungibile", True),
    ("Il server è lento", False),
    ("Все серверы недоступны, ничего не работает", True),
    ("Сервер тормозит", False),
    ("Сайт полностью лёг", True),
    ("Сервер повністю не відповідає", True),
    ("Сайт трохи повільний", False),
    ("Is your status page down?", False),
    ("We will shut down the server tomorrow", False),
    ("Download is slow", False),
    ("The server is not down, I only want to know the price", False),
    ("Our main server is unresponsive since this morning", True),
    ("mail server refuses connections, completely dead since 10:00", True),
    ("The payment page of your website is not available, how can I pay the invoice?", False),
    ("Please shut the server down", False),
    ("I'm locked out of my server, it is unreachable after I changed the firewall", True),
    ("None of our virtual machines answers, everything is dark.", True),
    ("Production is down!!", True),
    ("our ecommerce is down and we lose money", True),
    ("node03 not reachable via ssh, ping or http", True),
    ("The mail server rejects one of our mails", False),
    ("Please tell me how to shut down the server safely", False),
    ("One of three servers has high load", False),
    ("The site went down for two minutes yesterday, it is fine now", False),
    ("Kompletter Ausfall unserer Plattform", True),
    ("Keiner unserer Server ist mehr erreichbar", True),
    ("Der Dienst ist gestört, wir kommen nicht mehr auf den Server", True),
    ("Nach dem Neustart kommt der Server nicht mehr hoch", True),
    ("Die SSD meldet Fehler", False),
    ("Plus aucun de nos services ne répond", True),
    ("Site totalement inaccessible depuis ce matin", True),
    ("Un de nos sites renvoie une erreur 404", False),
    ("Ninguno de los servidores responde", True),
    ("Servidor totalmente caído", True),
    ("El disco da errores", False),
    ("Nessuno dei nostri server risponde", True),
    ("Server completamente offline", True),
    ("Il backup è fallito", False),
    ("Ни один из наших серверов не отвечает", True),
    ("Полностью недоступен сервер", True),
    ("Диск выдаёт ошибки", False),
    ("Жоден із серверів не відповідає", True),
    ("Повністю недоступний сервер", True),
    ("Диск видає помилки", False),
    ("Żaden z naszych serwerów nie odpowiada", True),
    ("Geen van onze servers reageert", True),
    ("Nenhum dos nossos servidores responde", True),
    ("Žádný z našich serverů neodpovídá", True),
    ("Sunucularımızın hiçbiri yanıt vermiyor", True),
]


@pytest.mark.parametrize(("text", "critical"), OUTAGES)
def test_an_outage_is_told_from_its_words(text: str, critical: bool) -> None:
    found = reading(text).topics
    assert found.critical is critical, found.terms


NUMBERS: list[tuple[str, list[str], list[str]]] = [
    ("please check INV-220145 and RG-220146 for me", [], ["220145", "220146"]),
    ("My order number is 123456", ["123456"], []),
    ("Order ID: 123456", ["123456"], []),
    ("order-123456", ["123456"], []),
    ("Order#123456", ["123456"], []),
    ("ordernr.123456", ["123456"], []),
    ("#123456/#234567", ["123456", "234567"], []),
    ("orders 123456, 234567", ["123456", "234567"], []),
    ("order 123456 and invoice 214382", ["123456"], ["214382"]),
    ("Invoice #214382 for order #123456", ["123456"], ["214382"]),
    ("invoices 214382 and 214383", [], ["214382", "214383"]),
    ("Rechnungen 214382 und 214383", [], ["214382", "214383"]),
    ("die Bestellung mit der Nummer 123456", ["123456"], []),
    ("Rechnungsnummer 214382", [], ["214382"]),
    ("Rechnung mit der Nr. 214382", [], ["214382"]),
    ("facture no 214382", [], ["214382"]),
    ("la commande numéro 123456", ["123456"], []),
    ("заказ № 123456", ["123456"], []),
    ("по заказу 123456", ["123456"], []),
    ("заказы 123456 и 234567", ["123456", "234567"], []),
    ("счёт № 214382", [], ["214382"]),
    ("счета 214382", [], ["214382"]),
    ("замовлення №123456 та №234567", ["123456", "234567"], []),
    ("рахунок №214382", [], ["214382"]),
    ("pedido nº 123456", ["123456"], []),
    ("Pedido: 123456", ["123456"], []),
    ("factura número 214382", [], ["214382"]),
    ("ordine n° 123456", ["123456"], []),
    ("fattura nr 214382", [], ["214382"]),
    ("Auftrag 123456", ["123456"], []),
    ("Auftragsnummer: 123456", ["123456"], []),
    ("The order no.: #123456", ["123456"], []),
    ("№123456", ["123456"], []),
    ("Order Nr 123456", ["123456"], []),
    ("Ticket #123456", [], []),
    ("Case #123456", [], []),
    ("phone 123456", [], []),
    ("Tel. 030123456", [], []),
    ("#336699 is the colour", [], []),
    ("color:#123456;", [], []),
    ("pin 123456", [], []),
    ("PLZ 101150", [], []),
    ("we paid 123456 EUR", [], []),
    ("bug #12345 in nginx", [], []),
    ("error code 500123", [], []),
    ("build 123456", [], []),
    ("2026112214", [], []),
    ("postal code 101000", [], []),
    ("in order to save 123456 bytes", [], []),
    ("order of 123456 requests per second", [], []),
    ("commit #1234567", [], []),
    ("PR #12345", [], []),
    ("IBAN DE89 3704 0044 0532 0130 00", [], []),
    ("customer number 778899", [], []),
    ("Kundennummer 778899", [], []),
    ("https://example.com/#123456", [], []),
    ("room #123456x", [], []),
    ("(#123456)", ["123456"], []),
    ("[#123456]", ["123456"], []),
    ("order 123456's server", ["123456"], []),
    ("#123456:", ["123456"], []),
    ("Re: #123456 - down", ["123456"], []),
    ("Order 123.456", [], []),
    ("Order 12 34 56 please", ["123456"], []),
    ("order 12 34 56, 203.0.113.7", ["123456"], []),
    ("order 12 34 56 78", [], []),
    ("commande n° 123 456", ["123456"], []),
    ("order of 123 456 euros", [], []),
    ("order no: 123456/2", ["123456"], []),
    ("order number 123456-1", ["123456"], []),
    ("orders 123456 + 234567; 345678", ["123456", "234567", "345678"], []),
    ("order **123456**", ["123456"], []),
    ('order "123456"', ["123456"], []),
    ("Order number\n123456\nThanks", ["123456"], []),
    ("case number #123456", [], []),
    ("account #123456", [], []),
    ("change request #123456", [], []),
    ("Bestellung vom 12.11.2026", [], []),
    ("order from 2026-11-12", [], []),
    ("invoice of 2026", [], []),
    ("Rechnung 2026-11", [], []),
    ("invoice 11/2026", [], []),
    ("Order 12345678", ["12345678"], []),
]


@pytest.mark.parametrize(("text", "ordered", "billed"), NUMBERS)
def test_numbers(text: str, ordered: list[str], billed: list[str]) -> None:
    assert [c.value for c in orders.orders_in(text)] == ordered
    assert [c.value for c in orders.invoices_in(text)] == billed


ADDRESSES: list[tuple[str, list[str]]] = [
    ("My IP is 203.0.113.7", ["203.0.113.7"]),
    ("203.0.113.7:22", ["203.0.113.7"]),
    ("https://203.0.113.7/admin", ["203.0.113.7"]),
    ("ssh root@203.0.113.7", ["203.0.113.7"]),
    ("203.0.113.7/32", ["203.0.113.7/32"]),
    ("IPs: 203.0.113.7, 203.0.113.8; 203.0.113.9", ["203.0.113.7", "203.0.113.8", "203.0.113.9"]),
    ("[2001:db8:20::5]", ["2001:db8:20::5"]),
    ("http://[2001:db8:20::5]:8080/", ["2001:db8:20::5"]),
    ("2001:db8:20::/48", ["2001:db8:20::/48"]),
    ("version 10.4.32.1", []),
    ("nginx/1.25.3.1", []),
    ("netmask 255.255.255.0 gateway 192.168.1.1", []),
    ("DNS 8.8.8.8", []),
    ("my home ip is 93.184.216.34", ["93.184.216.34"]),
    ("attack from 45.155.205.233", []),
    ("Angriff von 45.155.205.233", []),
    ("Nov 21 03:12:44 web sshd[1]: Failed password for root from 45.155.205.233 port 4 ssh2", []),
    ("Received: from mail.x (mail.x [45.155.205.233])", []),
    ("00:1A:2B:3C:4D:5E", []),
    ("12:30:45", []),
    ("time 10:20:30:40", []),
    ("std::vector", []),
    ("Foo::Bar::baz", []),
    ("::1", []),
    ("fe80::1%eth0", []),
    ("PING 203.0.113.7 (203.0.113.7) 56(84) bytes of data.", ["203.0.113.7"]),
    ("64 bytes from 45.1.2.3: icmp_seq=1", []),
    ("ssh: connect to host 203.0.113.7 port 22: Connection timed out", ["203.0.113.7"]),
    ("traceroute to 203.0.113.7 (203.0.113.7), 30 hops max", ["203.0.113.7"]),
    ("2.5.4.10.1", []),
    ("1.2.3.4.", ["1.2.3.4"]),
    ("IP:203.0.113.7", ["203.0.113.7"]),
    ("ip=203.0.113.7", ["203.0.113.7"]),
    ("203.0.113.07", []),
    ("203.0.113.300", []),
    ("IP 203.0.113.7.", ["203.0.113.7"]),
    ("Server(203.0.113.7)", ["203.0.113.7"]),
    ("203.0.113.7/203.0.113.8", ["203.0.113.7", "203.0.113.8"]),
    ("the net 203.0.113.0/29.", ["203.0.113.0/29"]),
    ("the panel says 203.0.113.66/26 for it", ["203.0.113.66"]),  # as programs show it: that address alone
    ("our 2001:db8:50::7/64", ["2001:db8:50::7"]),
    ("our 2001:db8:50::/64", ["2001:db8:50::/64"]),
    ("203(.)0(.)113(.)7", ["203.0.113.7"]),
    ("203.000.113.007", ["203.0.113.7"]),
    ("_203.0.113.7_", ["203.0.113.7"]),
    ("::ffff:203.0.113.7", ["203.0.113.7"]),
    ("addr:2001:db8::1", ["2001:db8::1"]),
    ("2001:DB8:0:0:0:0:0:1", ["2001:db8::1"]),
    ("[2001:db8::1]:443", ["2001:db8::1"]),
    ("WHMCS 8.8.0.1", []),
    ("§ 4.2.1.3", []),
    ("203.0.113.x and the .7 host", []),
]


@pytest.mark.parametrize(("text", "found"), ADDRESSES)
def test_addresses(text: str, found: list[str]) -> None:
    assert [c.value for c in ips.ips_in(text) if not c.weak] == found


SECRETS = [
    ("password: hunter2", 1),
    ("Passwort: geheim", 1),
    ("pw: abc", 1),
    ("PW=abc123", 1),
    ("The root password is S3cr3t!x.", 1),
    ("my password is not working", 0),
    ("I forgot my password. Please help", 0),
    ("password reset is needed", 0),
    ("Password: see attachment", 0),
    ("login: root\npassword: abc\n", 1),
    ("Password:\n  S3cr3t99", 1),
    ("ssh root@host with password S3cr3t99", 1),
    ("Der Sicherheitscode lautet 4711", 1),
    ("Security code: 4711", 1),
    ("mot de passe: abc123", 1),
    ("mot de passe : abc123", 1),
    ("Mon mot de passe est abc123", 1),
    ("contraseña: abc", 1),
    ("La contraseña es abc123", 1),
    ("la password è abc123", 1),
    ("пароль: абв123", 1),
    ("Пароль от root: qwerty1", 1),
    ("https://user:pass@host/x", 1),
    ("mysql://root:toor@localhost", 1),
    ("Authorization: Bearer abcdef0123456789abcdef", 1),
    ("AKIAIOSFODNN7EXAMPLE1", 1),
    ("card 4111-1111-1111-1111", 1),
    ("5500 0000 0000 0004", 1),
    ("card: 378282246310005", 1),
    ("phone 0049301234567890", 0),
    ("order 4111111111111112", 0),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----", 1),
    ("pin: 4711", 1),
    ("pinned version: 7", 0),
    ("Pass the salt: please", 0),
    ("token expired", 0),
    ("API key: abcdef123456", 1),
    ("passing: grade", 0),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", 1),
    ("Password for the panel: abc123", 1),
    ("root password = abc", 1),
    ("user: bob, pass: abc123", 1),
    ("the password has been changed", 0),
    ("passwords are hard", 0),
    ("Keyboard: QWERTZ", 0),
    ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ user@host", 0),
]


@pytest.mark.parametrize(("text", "count"), SECRETS)
def test_secrets(text: str, count: int) -> None:
    assert secrets.mask(text)[1] == count
    assert secrets.suspected(f"Hello\n\n{text}") or count == 0


@pytest.mark.parametrize(
    "token",
    [
        "sk_live_" + "abcdefghij1234567890", "sk-" + "abcdefghij1234567890xx", "github_pat_" + "11ABCDEFGHIJKLMNOPQRSTUV",
        "dop_v1_" + "0123456789abcdef0123", "hf_" + "abcdefghijABCDEFGHIJ12", "SG." + "abcdefghijklmnop1234.xyz",
        "AKIA" + "IOSFODNN7EXAMPLE1", "xoxb-" + "123456789012-abcdefghij", "glpat-" + "abcdefghij1234567890",
        "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0.abc", "ghp_" + "abcdefghijklmnopqrstuvwx",
    ],
)  # fmt: skip
def test_a_token_is_found_behind_thousands_of_words_that_begin_like_one(token: str) -> None:
    text = f"{'sky skip asian npm hfd github ' * 3000} here it is: {token} ok"
    assert secrets.suspected(text)
    assert secrets.mask(text) == (text.replace(token, "[masked]"), 1)


WORDS = [
    (
        "Hello, please check the server.\n\nBest regards\nAnna\n\n-- \nAnna S.\n+49 30 123",
        "Hello, please check the server.\n\nBest regards\nAnna",
    ),
    ("Yes please.\n\nVon: Support <s@x.de>\nGesendet: Montag\nAn: Anna\nBetreff: Re: x\n\nalt", "Yes please."),
    (
        "From: the panel I see an error\nTo: fix it I need help\nIt does not work.",
        "From: the panel I see an error\nTo: fix it I need help\nIt does not work.",
    ),
    (
        "$ cat /var/log/mail.log\nFrom: root\nSubject: test\nDate: today\nerror",
        "$ cat /var/log/mail.log\nFrom: root\nSubject: test\nDate: today\nerror",
    ),
    (
        "My answers below.\n\nOn Mon, 1 Jan 2026 at 10:00, A <a@b.c> wrote:\n> Which OS?\nDebian 12\n> Which IP?\n203.0.113.7\n\nThanks",
        "My answers below.\n\nDebian 12\n203.0.113.7\n\nThanks",
    ),
    ("Ok\n\nEnviado desde mi Samsung", "Ok"),
    ("Ok\n\nSent from Yahoo Mail on Android\n\nOn Mon, Jan 1, 2026 at 1:00 PM, A<a@b.c> wrote:   old text", "Ok"),
    (
        "Ok\n\nVon meinem Samsung Galaxy Smartphone gesendet.\n\n-------- Ursprüngliche Nachricht --------\nVon: A <a@b.c>\nDatum: 1.1.26\n\nalt",
        "Ok",
    ),
    ("Bitte neu starten\n\nAm 20. November 2026 10:15:00 MEZ schrieb A <a@b.c>:\n>alt", "Bitte neu starten"),
    ("Test\n\n*Von:* A <a@b.c>\n*Gesendet:* Montag, 1. Januar 2026 10:00\n*An:* B\n*Betreff:* c\n\nalt", "Test"),
    (
        "hi\n\n________________________________\nFrom: A <a@b.c>\nSent: Monday, January 1, 2026 10:00 AM\nTo: B <b@c.d>\nSubject: RE: x\n\nold",
        "hi",
    ),
    ("FYI\n\nBegin forwarded message:\n\nFrom: A <a@b.c>\nSubject: x\nDate: 1 Jan\nTo: b@c.d\n\nold", "FYI"),
    (
        "fixed, thanks\n\nPozdrawiam\nJan\n\nW dniu pon., 22 lis 2026 o 10:15 INTROSERV <s@x.y> napisał(a):\n\n> stare",
        "fixed, thanks\n\nPozdrawiam\nJan",
    ),
    (
        "My colleague wrote: restart it at 10:00.\nPlease do so.",
        "My colleague wrote: restart it at 10:00.\nPlease do so.",
    ),
    (
        "He wrote on 20.11.2026 that it is broken:\nthe server does not boot",
        "He wrote on 20.11.2026 that it is broken:\nthe server does not boot",
    ),
    (
        "Am Montag schrieb ich Ihnen schon: der Server ist langsam.",
        "Am Montag schrieb ich Ihnen schon: der Server ist langsam.",
    ),
    ("Here is the log:\n> error 1\n> error 2\nWhat is it?", "Here is the log:\n> error 1\n> error 2\nWhat is it?"),
]


@pytest.mark.parametrize(("text", "own"), WORDS)
def test_own_words(text: str, own: str) -> None:
    assert quotes.new_words(text) == own


REQUESTS: list[tuple[str, str | None, str | None, str | None]] = [
    ("I want to cancel my VPS next month.", "financial", "account", "cancellation"),
    ("How do I cancel a service?", None, None, None),
    ("Please refund my last payment, the server never worked.", "financial", "account", "refund"),
    ("I cannot pay my invoice, the page shows an error", "financial", "account", ""),
    ("When is my next payment due?", "financial", "account", ""),
    ("Do you have servers in Germany?", "technical", "general", ""),
    ("What is the difference between VPS and dedicated?", "technical", "general", ""),
    ("Can I get a discount for a yearly plan?", "financial", "general", ""),
    ("Is it possible to pay with Bitcoin?", "financial", "general", ""),
    ("My disk is full, please help", "technical", "account", ""),
    ("Please install Ubuntu 24.04 again on my server", "technical", "account", "reinstall"),
    ("Please update the address on my invoices", "financial", "account", ""),
    ("I lost access to my two factor device, please disable 2FA on my account", "technical", "account", "access"),
    ("Please unblock port 25 on my server", "technical", "account", ""),
    ("We need a quote for three servers", "financial", "general", ""),
    ("Please remove the suspension, we have paid", "financial", "account", ""),
    ("Ich habe mein Passwort vergessen", "technical", "account", "password"),
    ("Ich möchte meinen Vertrag zum 31.12. kündigen", "financial", "account", "cancellation"),
    ("Wann wird meine Rechnung fällig?", "financial", "account", ""),
    ("Was kostet ein Server mit 128 GB?", None, "general", ""),
    ("Bitte erstatten Sie mir den Betrag", "financial", "account", "refund"),
    ("Bitte setzen Sie den Server neu auf", "technical", "account", "reinstall"),
    ("Mein VPS ist sehr langsam", "technical", "account", ""),
    ("Bitte fügen Sie meinen SSH-Key hinzu", "technical", "account", "access"),
    ("Ist es möglich, per Rechnung zu zahlen?", "financial", "general", ""),
    ("J'ai perdu l'accès à mon compte", "technical", "account", "access"),
    ("Quand sera prélevée ma prochaine facture ?", "financial", "account", ""),
    ("Pouvez-vous réinstaller mon serveur sous Ubuntu ?", "technical", "account", "reinstall"),
    ("Je voudrais résilier mon abonnement", "financial", "account", "cancellation"),
    ("Avez-vous des serveurs à Paris ?", "technical", "general", ""),
    ("Quiero dar de baja mi servicio", "financial", "account", "cancellation"),
    ("No puedo acceder a mi panel", "technical", "account", ""),
    ("¿Tienen servidores en México?", "technical", "general", ""),
    ("Necesito la factura de octubre", "financial", "account", ""),
    ("Vorrei un rimborso per il mese scorso", "financial", "account", "refund"),
    ("Non riesco ad accedere al pannello del mio server", "technical", "account", ""),
    ("Avete server in Italia?", "technical", "general", ""),
    ("Quando scade la mia fattura?", "financial", "account", ""),
    ("Как сменить пароль от панели?", None, None, None),
    ("Хочу вернуть деньги за прошлый месяц", "financial", "account", "refund"),
    ("Есть ли у вас серверы в Москве?", "technical", "general", ""),
    ("Мой сайт тормозит, посмотрите", "technical", "account", ""),
    ("Выставьте, пожалуйста, счёт на следующий месяц", "financial", "account", ""),
    ("Поменяйте email в моём аккаунте", "technical", "account", "email_change"),
    ("Чи маєте ви сервери в Києві?", "technical", "general", ""),
    ("Хочу повернути кошти за минулий місяць", "financial", "account", "refund"),
    ("Мій сайт гальмує, подивіться", "technical", "account", ""),
    ("Виставте, будь ласка, рахунок", "financial", "account", ""),
    ("Змініть email у моєму обліковому записі", "technical", "account", "email_change"),
    ("Please transfer my server to my colleague's account", "technical", "account", "ownership"),
    ("Change the owner of the account to my company", "technical", "account", "ownership"),
    ("Please change my login e-mail to new@x.example", "technical", "account", "email_change"),
    ("Send me the root password please", "technical", "account", "password"),
    ("Can you give my developer access to the panel?", "technical", "account", "access"),
    ("Your phishing site on 198.51.100.20 must be removed", "technical", "general", ""),
    ("We received spam from your server 198.51.100.20", "technical", "general", ""),
    ("Copyright infringement notice for content hosted on your network at 198.51.100.20", "technical", "general", ""),
    ("The new password works, thank you", None, None, ""),
    ("I don't want a refund, just fix it", None, None, ""),
    ("We don't want to cancel, only to upgrade", None, None, ""),
    ("Our customer wants to access your website", "technical", None, ""),
    ("Hi, my credit card was declined, what now?", "financial", "account", ""),
    ("Why was I billed twice this month?", "financial", "account", ""),
    ("Could you send me a copy of the September invoice?", "financial", "account", ""),
    ("My payment by PayPal did not go through", "financial", "account", ""),
    ("Do you accept American Express?", "financial", "general", ""),
    ("How long does it take to set up a dedicated server?", "technical", "general", ""),
    ("What operating systems do you support?", "technical", "general", ""),
    ("The RAID on our database server is degraded", "technical", "account", ""),
    ("We need remote hands to replace a cable on our server", "technical", "account", ""),
    ("I want to terminate our contract as of next month", "financial", "account", "cancellation"),
    ("Please wipe everything and put Rocky Linux 9 on it, server k3m9xq2p", "technical", "account", "reinstall"),
    ("Our admin left the company, please give the root login to me", "technical", "account", None),
    ("Please replace the contact e-mail of the account with ops@new.example", "technical", "account", "email_change"),
    ("Meine Kreditkarte wurde abgelehnt", "financial", "account", ""),
    ("Ich brauche eine Kopie der Septemberrechnung", "financial", "account", ""),
    ("Wie lange dauert die Bereitstellung eines Servers?", "technical", "general", ""),
    ("Das RAID unseres Servers ist degradiert", "technical", "account", ""),
    ("Bitte übertragen Sie den Vertrag auf die Muster GmbH", "technical", "account", "ownership"),
    ("Bitte ändern Sie meine Mailadresse im Konto", "technical", "account", "email_change"),
    ("Ma carte bancaire a été refusée", "financial", "account", ""),
    ("Quels systèmes d'exploitation proposez-vous ?", "technical", "general", ""),
    ("Merci de transférer le contrat à la société Durand", "technical", "account", "ownership"),
    ("Mi tarjeta fue rechazada", "financial", "account", ""),
    ("¿Cuánto tarda la activación de un servidor?", "technical", "general", ""),
    ("La mia carta è stata rifiutata", "financial", "account", ""),
    ("Quanto tempo serve per attivare un server?", "technical", "general", ""),
    ("Моя карта отклонена, как оплатить счёт?", "financial", "account", ""),
    ("Сколько времени занимает установка сервера?", "technical", "general", ""),
    ("Деградировал RAID на нашем сервере", "technical", "account", ""),
    ("Мою картку відхилено, як сплатити рахунок?", "financial", "account", ""),
    ("Скільки часу займає встановлення сервера?", "technical", "general", ""),
    ("Moja karta została odrzucona", "financial", "account", ""),
    ("Mijn creditcard is geweigerd", "financial", "account", ""),
]


@pytest.mark.parametrize(("text", "department", "question", "sensitive"), REQUESTS)
def test_requests(text: str, department: str | None, question: str | None, sensitive: str | None) -> None:
    """``None`` where people would not agree."""
    found = reading(text).topics
    for wanted, have in (
        (department, found.department),
        (question, found.question),
        (sensitive, ",".join(found.sensitive)),
    ):
        assert wanted is None or have == wanted, found.terms


#: how mail programs introduce what they quote or forward
PROGRAMS = {
    "yahoo": "On Sunday, November 22, 2026 at 10:15:00 AM GMT+1, INTROSERV Support <support@introserv.com> wrote: \n\nold text\n",
    "proton": "------- Original Message -------\nOn Sunday, November 22nd, 2026 at 10:15 AM, INTROSERV Support <support@introserv.com> wrote:\n\n> alt\n> mehr",
    "proton mobile": "Sent from Proton Mail for iOS\n\n\nOn Sun, Nov 22, 2026 at 10:15, INTROSERV Support <[support@introserv.com](mailto:On Sun)> wrote:\n\n> alt\n> mehr",
    "gmx": 'Gesendet: Sonntag, 22. November 2026 um 10:15 Uhr\nVon: "INTROSERV Support" <support@introserv.com>\nAn: anna@example.de\nBetreff: Re: x\n\nalt',
    "gmx en": 'Sent: Sunday, November 22, 2026 at 10:15 AM\nFrom: "INTROSERV Support" <support@introserv.com>\nTo: anna@example.de\nSubject: Re: x\n\nold',
    "webde mobil": "-- \nDiese Nachricht wurde von meinem Android Mobiltelefon mit WEB.DE Mail gesendet.\nAm 22.11.26, 10:15, INTROSERV Support <support@introserv.com> schrieb:\n> alt",
    "mailru": "Воскресенье, 22 ноября 2026, 10:15 +03:00 от INTROSERV Support <support@introserv.com>:\n>старое",
    "mailru2": ">Воскресенье, 22 ноября 2026, 10:15 +03:00 от INTROSERV Support <support@introserv.com>:\n>\n>старое",
    "yandex": '22.11.2026, 10:15, "INTROSERV Support" <support@introserv.com>:\n> старое',
    "yandex2": '----------------\nКому: anna@example.de;\nТема: x;\n22.11.2026, 10:15, "INTROSERV Support" <support@introserv.com>:\n\nстарое',
    "orange": '> Message du 22/11/26 10:15\n> De : "INTROSERV Support" <support@introserv.com>\n> A : anna@example.fr\n> Copie à : \n> Objet : Re: x\n>\n> ancien',
    "zimbra": '----- Mail original -----\nDe: "INTROSERV Support" <support@introserv.com>\nÀ: "Anna" <anna@example.fr>\nEnvoyé: Dimanche 22 Novembre 2026 10:15:00\nObjet: Re: x\n\nancien',
    "libero": "Il 22/11/2026 10:15 INTROSERV Support <support@introserv.com> ha scritto:\n\n\nvecchio",
    "seznam": '---------- Původní e-mail ----------\nOd: INTROSERV Support <support@introserv.com>\nKomu: anna@example.cz\nDatum: 22. 11. 2026 10:15:00\nPředmět: Re: x\n"staré"',
    "wp": "Dnia 22 listopada 2026 10:15 INTROSERV Support <support@introserv.com> napisał(a):\n\nstare",
    "ukrnet": '22 листопада 2026, 10:15:00, від "INTROSERV Support" <support@introserv.com>:\n\nстаре',
    "tb forward": "-------- Forwarded Message --------\nSubject: \tRe: x\nDate: \tSun, 22 Nov 2026 10:15:00 +0100\nFrom: \tINTROSERV Support <support@introserv.com>\nTo: \tanna@example.de\n\n\nold",
    "apple forward": "Begin forwarded message:\n\nFrom: INTROSERV Support <support@introserv.com>\nSubject: Re: x\nDate: 22 November 2026 at 10:15:00 CET\nTo: anna@example.de\n\nold",
    "apple forward de": "Anfang der weitergeleiteten Nachricht:\n\nVon: INTROSERV Support <support@introserv.com>\nBetreff: Aw: x\nDatum: 22. November 2026 um 10:15:00 MEZ\nAn: anna@example.de\n\nalt",
    "qq": '------------------&nbsp;原始邮件&nbsp;------------------\n发件人: "INTROSERV Support" <support@introserv.com>;\n发送时间: 2026年11月22日(星期天) 上午10:15\n收件人: "Anna"<anna@example.de>;\n主题: Re: x\n\n旧',
    "outlook web": "________________________________________\nFrom: INTROSERV Support <support@introserv.com>\nSent: Sunday, November 22, 2026 10:15 AM\nTo: Anna\nSubject: Re: x\n\nold",
    "outlook ios": "Get Outlook for iOS<https://aka.ms/o0ukef>\n________________________________\nFrom: INTROSERV Support <support@introserv.com>\nSent: Sunday, November 22, 2026 10:15:00 AM\nTo: Anna <anna@example.de>\nSubject: Re: x\n\nold",
    "outlook de mobil": "Outlook für Android herunterladen<https://aka.ms/AAb9ysg>\n________________________________\nVon: INTROSERV Support <support@introserv.com>\nGesendet: Sonntag, 22. November 2026 10:15:00\nAn: Anna <anna@example.de>\nBetreff: Re: x\n\nalt",
    "samsung": "-------- Original message --------\nFrom: INTROSERV Support <support@introserv.com> \nDate: 22/11/2026 10:15 (GMT+01:00) \nTo: anna@example.de \nSubject: Re: x \n\nold",
    "samsung de": "Von meinem/meiner Galaxy gesendet\n\n\n-------- Ursprüngliche Nachricht --------\nVon: INTROSERV Support <support@introserv.com> \nDatum: 22.11.26 10:15 (GMT+01:00) \nAn: anna@example.de \nBetreff: Re: x \n\nalt",
    "k9": "On 22 November 2026 10:15:00 CET, INTROSERV Support <support@introserv.com> wrote:\n>old\n\n-- \nSent from my Android device with K-9 Mail. Please excuse my brevity.",
    "k9 de": "Am 22. November 2026 10:15:00 MEZ schrieb INTROSERV Support <support@introserv.com>:\n>alt\n\n-- \nDiese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.",
    "bluemail": "Get BlueMail for Android\n\nOn Nov 22, 2026, 10:15, at 10:15, INTROSERV Support <support@introserv.com> wrote:\n>old",
    "notes": "INTROSERV Support <support@introserv.com> wrote on 11/22/2026 10:15:00 AM:\n\n> From: INTROSERV Support <support@introserv.com>\n> To: anna\n> Subject: x\n>\n> old",
    "spark": "Sent with Spark\nOn 22 Nov 2026 at 10:15 +0100, INTROSERV Support <support@introserv.com>, wrote:\n> old",
    "roundcube": "W dniu 2026-11-22 10:15, INTROSERV Support napisał(a):\n> stare",
    "roundcube en": "On 2026-11-22 10:15, INTROSERV Support wrote:\n> old",
    "horde": "Quoting INTROSERV Support <support@introserv.com>:\n\n> old",
    "zoho": " ---- On Sun, 22 Nov 2026 10:15:00 +0100 INTROSERV Support <support@introserv.com> wrote ---\n\nold",
    "gmail fwd de": "---------- Forwarded message ---------\nVon: INTROSERV Support <support@introserv.com>\nDate: So., 22. Nov. 2026 um 10:15 Uhr\nSubject: Re: x\nTo: <anna@example.de>\n\n\nalt",
    "gmail es": "El dom., 22 nov. 2026 10:15, INTROSERV Support <support@introserv.com>\nescribió:\n\n> alt\n> mehr",
    "gmail tr": "INTROSERV Support <support@introserv.com>, 22 Kas 2026 Paz, 10:15\ntarihinde şunu yazdı:\n\n> alt\n> mehr",
    "gmail ja": "2026年11月22日(日) 10:15 INTROSERV Support <support@introserv.com>:\n\n> alt\n> mehr",
    "outlook ru": "________________________________\nОт: INTROSERV Support <support@introserv.com>\nОтправлено: 22 ноября 2026 г. 10:15\nКому: anna\nТема: Re: x\n\nстарое",
    "marker": "-- reply above this line --\n\nold",
    "gmail ro": "În dum., 22 nov. 2026 la 10:15, INTROSERV Support <support@introserv.com> a scris:\n\n> alt\n> mehr",
    "gmail hu": "INTROSERV Support <support@introserv.com> ezt írta (időpont: 2026. nov. 22., V, 10:15):\n\n> alt\n> mehr",
    "gmail no": "søn. 22. nov. 2026 kl. 10:15 skrev INTROSERV Support <support@introserv.com>:\n\n> alt\n> mehr",
    "gmail ko": "2026년 11월 22일 (일) 오전 10:15, INTROSERV Support <support@introserv.com>님이 작성:\n\n> alt\n> mehr",
    "gmail el": "Στις Κυρ 22 Νοε 2026 στις 10:15, INTROSERV Support <support@introserv.com> έγραψε:\n\n> alt\n> mehr",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_mail_program_quotes_is_cut(program: str) -> None:
    own = "Danke, das hat geholfen.\nBitte schließen."
    assert quotes.new_words(f"{own}\n\n{PROGRAMS[program]}") == own


def test_a_label_below_another_and_a_letter_that_grows_hide_no_secret() -> None:
    assert secrets.mask("Panel password: abc123\nroot password:\nS3cret99") == (
        "Panel password: [masked]\nroot password:\n[masked]",
        2,
    )
    assert secrets.mask("İyi günler.\nŞifre: Yaz!2026\nPassword: x9y8z7") == (
        "İyi günler.\nŞifre: [masked]\nPassword: [masked]",
        2,
    )


def test_a_long_pasted_session_is_read() -> None:
    """Line by line: nothing here goes deeper with every line."""
    text = "It looks like this\n" + "> ping 203.0.113.7\n" * 5000
    assert quotes.new_words(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Ich kann mich nicht anmelden, bitte das Passwort zurücksetzen", "password"),
        ("Ich komme nicht mehr ohne Passwort vergessen weiter", "password"),
        ("I am without access please reset my password", "password"),
        ("I don't want to wait, cancel my order", "cancellation"),
        ("Ik heb geen toegang en ben het wachtwoord vergeten", "password"),
        ("Je suis sans accès, mot de passe oublié", "password"),
    ],
)
def test_a_word_nearby_does_not_take_a_request_back(text: str, kind: str) -> None:
    assert kind in reading(text).topics.sensitive


def test_a_password_without_a_digit_after_any_verb() -> None:
    assert secrets.mask("A senha é Verao!xy") == ("A senha é [masked]", 1)
    assert secrets.mask("Het wachtwoord luidt Zomer!xy") == ("Het wachtwoord luidt [masked]", 1)


@pytest.mark.parametrize("before", ["ip", "zip"])
def test_a_word_cut_in_two_is_not_another_one(before: str) -> None:
    """What stands beside a word is looked for in so many characters: the end of "zip" is no "ip"."""
    text = f"See the file {before} {'x' * (stems.BESIDE - 4)} our end. The ip."
    assert text.index("our") - stems.BESIDE == text.index("ip ")
    named = any("our" in term for term in reading(text).topics.terms)
    assert named == (before == "ip")


def rows(name: str) -> list[tuple[str, str, str]]:
    """(language, truth, sentence) of a file of single sentences; its head says what the truth is."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    split = [line.split("|", 2) for line in lines if line and not line.startswith("#")]
    return [(code, truth, text) for code, truth, text in split]


def told_in(name: str) -> list[tuple[str, str]]:
    """(truth, sentence)."""
    return [(truth, text) for _, truth, text in rows(name)]


@pytest.mark.parametrize(("kind", "text"), told_in("sentences.psv"))
def test_what_a_sentence_asks_for(kind: str, text: str) -> None:
    topics = reading(text).topics
    told = "critical" if topics.critical else "plain"
    assert (", ".join(topics.sensitive) or told) == kind, topics.terms
    assert topics.critical is (kind == "critical"), topics.terms


@pytest.mark.parametrize(
    "line",
    [
        "Am 22.11.26 um 14:30 schrieb Support:",
        "Op 22-11-2026 om 10:15 schreef INTROSERV Support:",
        "22.11.2026 10:15, Support пишет:",
        "W dniu 22.11.2026 o 10:15, Support pisze:",
        "Den 22-11-2026 kl. 10:15 skrev Support:",
        "Support wrote on 22.11.2026 10:15:",
    ],
)
def test_an_attribution_that_names_nobody_by_address_needs_no_marks_below(line: str) -> None:
    text = f"It is still slow.\n\nAnna\n\n{line}\n\nHello, we looked.\n\nSupport\n"
    assert quotes.new_words(text) == "It is still slow.\n\nAnna"


@pytest.mark.parametrize(
    "line",
    [
        "Am 22.11.26 um 14:30 schrieb mir Ihr Kollege:",
        "On 22.11.2026 at 10:15 your colleague wrote:",
        "Le 22/11/2026 à 10:15 votre collègue a écrit :",
        "22.11.2026 в 10:15 ваш коллега написал:",
        "Am 22.11.2026 um 10:15 schrieb das Programm, das wir in beiden Häusern seit Jahren dafür benutzen:",
    ],
)
def test_who_tells_of_a_mail_goes_on_below(line: str) -> None:
    text = f"Hello,\n\n{line}\nwe will fix it\n\nBut it is still broken.\n"
    assert quotes.new_words(text) == text.strip()


@pytest.mark.parametrize(("question", "text"), told_in("questions.psv"))
def test_whose_matter_a_sentence_is(question: str, text: str) -> None:
    topics = reading(text).topics
    assert (topics.question.value, topics.sensitive, topics.critical) == (question, (), False), topics.terms


@pytest.mark.parametrize(("matter", "text"), told_in("matters.psv"))
def test_whose_matter_and_whose_work_a_sentence_is(matter: str, text: str) -> None:
    topics = reading(text).topics
    assert f"{topics.department.value} {topics.question.value}" == matter, topics.terms
    assert (topics.sensitive, topics.critical) == ((), False), topics.terms


@pytest.mark.parametrize(("began", "text"), told_in("times.psv"))
def test_when_a_sentence_says_that_it_began(began: str, text: str) -> None:
    at = datetime(2026, 11, 22, 16, tzinfo=UTC)
    found, words = incident_start("x", text, at, BERLIN)
    assert (found.astimezone(BERLIN).strftime("%Y-%m-%dT%H:%M") if found else "-") == began, words


@pytest.mark.parametrize(
    ("entry", "text", "stands"),
    [
        ("wipe|erase & server", "Wipe my server", True),
        ("wipe|erase & server", "Wipe my disk", False),
        ("wipe & server & now", "Wipe my server now", True),
        ("wipe & server & now", "Wipe my server tomorrow", False),
        ("wipe & now", "Wipe it. Now is better than later", False),  # another sentence
        ("wipe=", "Wiped out", False),
        ("wip & ing", "Wiping it. Ing. ", False),  # the rest of the word is not beside it
        ("wipe it & s", "Wipe its disks. S. ", False),
        ("wip & it", "Wiping it", True),
        ("wipe disks", "Wipe disks", True),
        ("wipe disks", "Wipe: disks", False),
        ("wipe disks", "Wipe-disks", False),
        ("e-mail", "No e mail", False),
        ("wipe \N{CURRENCY SIGN}", "Please wipe r1z7og44", True),
        ("wipe \N{CURRENCY SIGN}", "Please wipe everything", False),
        ("wipe", "Do not want you to wipe it", False),  # denied
        ("wipe", "Move it without you wiping it", False),
        ("wipe", "How can I wipe it myself?", False),
        ("wipe", "I locked myself out, wipe it", True),
        ("wipe & >server", "Wipe my server", True),
        ("wipe & >server", "My server you may wipe", False),
        ("wipe & >server", "Wipe it, the server is mine", False),  # another clause
        ("wipe & >server", f"Wipe {'it ' * (stems.NEAR // 3)} server", False),  # too far away
        ("wipe & >server & now", "Now wipe my server", True),
        ("wipe & <server", "My server you may wipe", True),
        ("wipe & <server", "Wipe my server", False),
        ("wipe & <server", "It is my server, you may wipe it", False),
        ("wipe & <server", f"My server {'it ' * (stems.NEAR // 3)} wipe", False),
        ("wipe", "Write to wipe.it@example.com", False),  # words of an address are nobody's
        ("wipe & @", "Wipe it for anna@example.com", True),
        ("wipe", "Look at https://example.com/how/to/wipe?it=1 please", False),
        ("wipe", "Look at https://example.com/ and wipe/erase it", True),
        ("wipe \N{CURRENCY SIGN}", "ssh root@r1z7og44 and wipe r1z7og44", True),
    ],
)
def test_what_an_entry_of_a_topics_file_finds(entry: str, text: str, stands: bool) -> None:
    table = stems.table(
        f"""[sensitive.reinstall]
en = {{ "1" = ["{entry}"] }}
[denial]
en = {{ "1" = ["do not want"] }}
[without]
en = {{ "1" = ["without="] }}
[asking]
en = {{ "1" = ["myself & how"] }}
"""
    )
    found = stems.score(text, table, ["r1z7og44"])
    assert bool(found.weight.get("sensitive.reinstall")) is stands


def test_phrases_that_overlap_count_once_and_a_name_beside_a_part_is_no_outage() -> None:
    table = stems.table('[general.en]\n"2" = ["how can i", "can i"]')
    assert stems.score("How can I pay, and can I call?", table).weight == {"general": 4.0}
    assert not reading("The database of r1z7og44 has crashed.").topics.critical
    assert reading("The database of r1z7og44 has crashed. No ping, no console.").topics.critical


def test_a_word_is_looked_around_at_its_first_places_only() -> None:
    table = stems.table('[general.en]\n"1" = ["word & other"]')
    assert stems.score("word other. " * 40, table).weight == {"general": float(stems.MAX_PLACES)}
    table = stems.table('[general.en]\n"1" = ["two words & other"]')
    assert stems.score("two words other. " * 40, table).weight == {"general": float(stems.MAX_PLACES)}
    assert stems.MAX_PLACES >= 8


def test_words_of_a_kindred_language_and_a_subject_of_any_are_understood() -> None:
    mixed = "Доброго дня! Будь ласка, сбросьте пароль root, дякую вам дуже за допомогу та швидку відповідь."
    assert reading(mixed).language == "uk"
    assert reading(mixed).topics.sensitive == ("password",)
    raw = "From: a@b.example\r\nSubject: Server antwortet nicht\r\n\r\nPlease see the subject and have a look at it soon.\r\n"
    assert read(raw.encode(), Hints("a@b.example", RECEIVED, "Europe/Berlin")).topics.critical


def test_two_signs_of_an_outage_find_their_service_anywhere() -> None:
    told = "It is my server r1z7og44. Hello again and thanks. {} Please hurry."
    assert reading(told.format("No ping, no console.")).topics.critical
    assert not reading(told.format("It is slow.")).topics.critical


def test_a_report_is_of_an_account_and_a_question_is_not() -> None:
    assert reading("After the kernel update the second network card is missing.").topics.question == "account"
    assert reading("Can the kernel update drop the second network card?").topics.question == "general"


def test_nothing_began_where_nothing_was_wrong() -> None:
    assert reading("We looked again at 9:00 and there were no errors.").started_at is None
    assert reading("We looked again at 9:00 and there were errors.").started_at is not None


def test_what_does_not_work_again_is_not_over() -> None:
    assert reading("Сервер r1z7og44 не отвечает и после перезагрузки не заработал.").topics.critical
    assert not reading("Сервер r1z7og44 не отвечал, но заработал.").topics.critical


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("I changed my password yesterday.", ""),
        ("I changed my password and am locked out, please reset it.", "password"),
        ("We reinstalled Debian on it ourselves and PHP is gone.", ""),
        ("We reinstalled it ourselves, it is broken, could you reinstall Debian?", "reinstall"),
    ],
)
def test_what_is_done_already_is_no_request_unless_something_is_asked_for(text: str, asked: str) -> None:
    assert ", ".join(reading(text).topics.sensitive) == asked, reading(text).topics.terms


@pytest.mark.parametrize("text", ["il mio ordine e il 20121 Milano", "a encomenda e a 40001 Porto"])
def test_a_postcode_beside_an_order_is_no_order(text: str) -> None:
    """ "e" is "and" in both, and "is" only where the accent was left out."""
    assert reading(text).orders == ()


@pytest.mark.parametrize(("text", "masked"), [("IMEI 4111 1111 1111 1111", 1), ("IMEI 356938035643809", 0)])
def test_only_what_has_the_length_of_an_imei_is_one(text: str, masked: int) -> None:
    assert secrets.mask(text)[1] == masked


LOSES_ACCENTS = ("cs", "de", "es", "fr", "it", "nl", "pl", "pt", "tr")
AMBIGUOUS = "J'ai commandé la mise à niveau"  #: "commande" is an order


def without_accents(name: str) -> list[tuple[str, str, str]]:
    """(language, truth, sentence typed without accents) of the sentences that have some."""
    typed = [(code, truth, text, unaccented(text, code)) for code, truth, text in rows(name) if code in LOSES_ACCENTS]
    return [
        (code, truth, plain) for code, truth, text, plain in typed if plain != text and not text.startswith(AMBIGUOUS)
    ]


@pytest.mark.parametrize("code", LOSES_ACCENTS)
def test_what_is_typed_without_accents_asks_for_the_same(code: str) -> None:
    misread, seen = [], 0
    for spoken, kind, text in without_accents("sentences.psv"):
        if spoken != code:
            continue
        topics, seen = reading(text).topics, seen + 1
        found = "critical" if topics.critical else ", ".join(topics.sensitive) or "plain"
        misread += [(kind, found, text)] if found != kind else []
    assert misread == []
    assert seen >= (3 if code == "nl" else 20)


def test_what_is_typed_without_accents_began_at_the_same_time() -> None:
    at, misread = datetime(2026, 11, 22, 16, tzinfo=UTC), []
    told = without_accents("times.psv")
    for _, began, text in told:
        found, _ = incident_start("x", text, at, BERLIN)
        if (found.astimezone(BERLIN).strftime("%Y-%m-%dT%H:%M") if found else "-") != began:
            misread.append((began, str(found), text))
    assert misread == []
    assert len(told) >= 100


def test_the_language_of_what_is_typed_without_accents() -> None:
    typed = [
        (mail.language, unaccented(mail.text, mail.language)) for mail in mails() if mail.language in LOSES_ACCENTS
    ]
    found = [(language_of(text), code) for code, text in typed]
    assert sum(told != code for told, code in found) <= len(found) // 100
    assert sum(told not in (code, None) for told, code in found) <= 1


def test_a_subject_may_be_typed_without_accents_too() -> None:
    raw = "From: a@b.example\r\nSubject: Web caida\r\n\r\nHola, por favor mirad esto cuanto antes, muchas gracias.\r\n"
    assert read(raw.encode(), Hints("a@b.example", RECEIVED, "Europe/Berlin", RULES_ALONE)).topics.critical


def test_accents_count_where_they_are_typed() -> None:
    file = '[general.pt]\n"1" = ["senha & dê=|dar="]\n[general.es]\n"1" = ["contraseña"]'
    accented, plain = stems.table(file), stems.table(file, plain=True)
    assert stems.score("mi contraseña", accented).weight == {"general": 1.0}
    assert not stems.score("mi contrasena", accented).weight
    assert stems.score("mi contrasena", plain).weight == {"general": 1.0}
    assert not stems.score("a senha de root", plain).weight  # what is left of "dê" is another word
    assert stems.score("dar a senha", plain).weight == {"general": 1.0}
    assert unaccented("Straße, Zürich, groß", "de") == "Strasse, Zuerich, gross"
    assert unaccented("łódź", "pl") == "lodz"
    assert unaccented("ёж", "ru") == "ёж"


@pytest.mark.parametrize(
    ("text", "critical"),
    [
        ("r1z7og44 is down.", True),
        ("r1z7og44 was not down.", False),
        ("r1z7og44 was never really down, sorry.", False),
        ("r1z7og44 is not reachable.", True),  # what is told with a "not" is not denied by it
        ("r1z7og44 war nicht ausgefallen, das waren wir.", False),
        ("r1z7og44 n'était pas en panne.", False),
        ("k3m9xq2p no estaba caído.", False),
        ("k3m9xq2p не падал.", False),
        ("r1z7og44 won't come back online.", True),
    ],
)
def test_an_outage_that_is_denied_is_none(text: str, critical: bool) -> None:
    assert reading(text).topics.critical is critical, reading(text).topics.terms


@pytest.mark.parametrize(
    "text",
    [
        "Семейството е естествена клетка на обществото и има право на закрила от държавата.",
        "Наш сервер је недоступан од јутрос и не одговара на пинг.",
        "Біздің сервер таңертеңнен бері қолжетімсіз, көмектесіңізші.",
    ],
)
def test_bulgarian_serbian_and_kazakh_are_neither_russian_nor_ukrainian(text: str) -> None:
    assert language_of(text) is None


@pytest.mark.parametrize(
    ("line", "pasted_"),
    [
        ("[Sat Nov 21 21:32:10.123456 2026] [mpm_prefork:error] [pid 2211] AH00161: limit", True),
        ("md0 : active raid1 sda1[0] sdb1[1](F)", True),
        ("%Cpu(s): 12.1 us,  4.0 sy,  0.0 ni, 51.2 id", True),
        ("[  5]   0.00-10.00  sec  4.91 MBytes  4.12 Mbits/sec", True),
        ("554 IP=198.51.100.20 - A problem occurred.", True),
        ("sda              1.20   93.40     19.60   1744.80  99.90", True),
        (" 5. ???                 100.0", False),
        (" 5. ???                 100.0%", True),
        (" 4. 198.18.7.41   0.0%", True),
        ("2. Hosting  19%", False),
        ("2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc mq state UP", True),
        ("    inet 198.51.100.167/32 scope global eth0", True),
        ("        inet 198.51.100.66  netmask 255.255.255.192", True),
        ("2: eth0: is that the right one?", False),
        ("Tél. 04 72 12 34 56", False),
        ("IBAN DE12 3456 7890 1234 5678 90", False),
        ("550 EUR is what we paid for it", False),
    ],
)
def test_what_a_program_printed(line: str, pasted_: bool) -> None:
    assert pasted.is_pasted(line) is pasted_


def test_an_iso_time_stamp_names_passers_by() -> None:
    line = "2026-11-21T20:11:02.345678Z 0 [Warning] IP address '192.0.2.77' could not be resolved"
    assert [(found.value, found.weak) for found in ips.ips_in(line)] == [("192.0.2.77", True)]


def test_a_list_behind_a_comma() -> None:
    assert [found.value for found in orders.invoices_in("the last two invoices, 214382 and 214383, are wrong")] == [
        "214382",
        "214383",
    ]
    assert orders.invoices_in("thank you for the invoice, 70565 Stuttgart is right") == ()
