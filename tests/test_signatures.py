"""Signatures that nothing marks: they stay here, and no word of an answer is lost."""

from __future__ import annotations

import pytest

from gateway.tickets.signatures import Colleague, Parted
from gateway.tickets.signatures import parted as parted_by


def parted(text: str, name: str, earlier: list[str] | None = None) -> Parted:
    """As a colleague of this name at introserv.com has it."""
    return parted_by(text, Colleague(name, ("introserv.com",)), earlier or [])


WORDS = "Hello,\n\nthe disk is replaced. You can reach the server again."
SIGNATURES = {
    "Outlook, English": ("Joe Meier", "Kind regards,\nJoe Meier", "Senior Support Engineer\nINTROSERV GmbH\nT: +49 30 1234567 | M: +49 171 1234567\njoe@introserv.com | www.introserv.com\nSonnenallee 1, 12045 Berlin\nAmtsgericht Charlottenburg, HRB 123456"),
    "Outlook, German": ("Meier, Joe", "Mit freundlichen Grüßen\n\nJoe Meier", "Technischer Support\n\nINTROSERV GmbH\nSonnenallee 1\n12045 Berlin\n\nTelefon: 030 / 123 45 67\nFax: 030 / 123 45 68\nE-Mail: joe.meier@introserv.com\n[cid:image001.png@01DC]\nGeschäftsführer: Karl Kurz\nSitz der Gesellschaft: Berlin"),
    "Outlook, French": ("Joe Meier", "Cordialement,", "Joe Meier\nIngénieur support\nINTROSERV SAS\nTél. +33 1 23 45 67 89\nsupport@introserv.com"),
    "Gmail, Spanish": ("José Pérez", "Un saludo,\nJosé", "José Pérez\nTécnico de soporte\nMóvil: +34 600 123 456\nhttps://introserv.com"),
    "Gmail, Italian": ("Gio Rossi", "Cordiali saluti\nGio", "Gio Rossi | Supporto tecnico\nINTROSERV S.r.l.\nCellulare +39 333 1234567"),
    "Apple Mail, Russian": ("Джо Мейер", "С уважением,\nДжо Мейер", "Инженер поддержки\nООО «Интросерв»\nТел.: +7 495 123-45-67\nwww.introserv.com"),
    "Apple Mail, Ukrainian": ("Джо Мейєр", "З повагою,\nДжо", "Джо Мейєр\nІнженер підтримки\nТел. +380 44 123 45 67"),
    "a phone": ("Joe Meier", "", "Joe Meier\nINTROSERV\n+49 171 1234567"),
}  # fmt: skip


@pytest.mark.parametrize("program", SIGNATURES)
def test_the_signature_of_a_company_is_cut_and_told(program: str) -> None:
    name, kept, signature = SIGNATURES[program]
    whole = f"{WORDS}\n\n{kept}\n{signature}" if kept else f"{WORDS}\n\n{signature}"
    found = parted(whole, name)
    if program == "Outlook, French":  # the name that follows the formula is how he signs
        kept, signature = "Cordialement,\nJoe Meier", signature.partition("\n")[2]
    assert found.words == f"{WORDS}\n\n{kept}".rstrip()
    assert found.cut == signature


@pytest.mark.parametrize(
    "answer",
    [
        "Hello,\n\nplease call the data centre: +49 30 1234567.\n\nKind regards\nJoe",
        "Hello,\n\nit runs.\n\nKind regards\nJoe Meier\n\nPS: please change the password, see https://portal.example/",
        "Hello,\n\nit runs.\n\nBest,\nJoe\n\nYour new addresses:\n203.0.113.8\n203.0.113.9",
        "Hello,\n\nit runs.\n\nBest,\nJoe\nhttps://status.example/",
        "Please write to:\n\nINTROSERV GmbH\nSonnenallee 1\n12045 Berlin\nbilling@introserv.com",
        "Hello,\n\nmy colleague is in charge:\nKim Lee\nkim@introserv.com\n+49 30 7654321",
        "Thanks,\n\nwe call you back on +49 171 1234567 at 15:00.",
        "Joe Meier\nINTROSERV GmbH\n+49 30 1234567",
        "Kind regards",
        "Hello,\n\nJoe Meier will call you at 15:00.\n\nThe number is:\n+49 30 1234567",
        "С уважением,\nДжо\n\nЗайдите, пожалуйста, по ссылке\nhttps://portal.example/ и смените пароль",
    ],
)
def test_the_words_of_an_answer_are_never_cut(answer: str) -> None:
    assert (
        parted(answer, "Joe Meier") == parted(answer, "Joe Meier", [answer]) and parted(answer, "Joe Meier").cut == ""
    )
    assert parted(answer, "Joe Meier").words == answer


@pytest.mark.parametrize(
    "answer",
    [
        "Hello Anna,\n\nthe access data is below.\n\nKind regards\nJoe Meier\n\nURL https://kvm.introserv.com/s/77\nUser admin7\nPort 8443",
        "Hi Anna,\nthanks\n\nhttps://download.introserv.com/fix-7.iso\nMount it as CD 2",
        "Which plan is\nbest\n\nVPS L\nhttps://introserv.com/vps-l",
        "Hi,\nyour new address for parcels:\nThanks\n\nRack 7, Cage 4\nHanauer Landstraße 302\n60314 Frankfurt",
        "Dear Anna,\nplease pay.\n\nBest regards\nJoe Meier\n\nCommerzbank AG\nIBAN DE02 1203 0000 0000 2020 51\nReference 214382",
        "Hi,\nthe technician comes.\n\nJoe Meier\n\nMonday 30 November 09:00\nTel +49 30 1234567",
        "Please set:\n\nRegards\nJoe\n\nNS1 ns1.introserv.com\nNS2 ns2.introserv.com\nSOA hostmaster@introserv.com",
        "Hello\nJoe Meier\n\nYour VAT invoice 214382\nhttps://my.introserv.com/i/214382",
        "Yes.\n\nRegards\nJoe Meier\nVNC 203.0.113.7:5901\nhttps://vnc.introserv.com/7",
        "Run this as root.\n\nCheers\nJoe\n\nIp link set eth0 up\nCurl https://x.introserv.com/r.sh",
        "Thanks\nJoe Meier\nhttps://status.introserv.com\nTicket T-7K2M9QX",
        "You asked for the numbers of the data centre\nThanks\n\nFrankfurt +49 69 1234567\nAmsterdam +31 20 1234567",
        "Ok.\n\nRegards\nJoe Meier\nhttps://x.y/z\nNB: do not reboot",
        "Hallo,\nIhre Zugangsdaten:\n\nViele Grüße\nJoe Meier\n\nPanel https://panel.introserv.com\nBenutzer k10023\nKunde 10023",
    ],
)
def test_what_a_customer_is_told_below_the_formula_is_no_signature(answer: str) -> None:
    assert parted(answer, "Joe Meier").cut == ""
    assert parted(answer, "Joe Meier", [answer, answer.replace("Anna", "Bob")]).cut == ""


@pytest.mark.parametrize(
    "canned",
    [
        "Hello {},\n\nplease set these:\nhttps://docs.introserv.com/dns\nns1.introserv.com\nsupport@introserv.com for questions\nTel +49 30 1234567",
        "Hello {},\n\nYour console: https://kvm.introserv.com/login\nYour panel: https://my.introserv.com/\nYour manual: https://docs.introserv.com/start",
        "Hi {},\n\n1. Open https://my.introserv.com/reset\n2. Choose your server\n3. Write to abuse@introserv.com when it is done",
        "Hello {},\n\nInfo\n\nCall +49 30 1234567\nWrite joe@introserv.com\nVisit www.introserv.com",
        "Hello {},\n\nYou reach us so:\n\nBest regards\nJoe Meier\n\nOffice\nDesk\nHotline +49 30 1234567 is free for you at any time of the day or night",
    ],
)
def test_what_is_said_to_several_customers_is_no_signature(canned: str) -> None:
    """The same how-to went to a third customer as "Hello,"."""
    earlier = [canned.format(name) for name in ("Anna", "Carl", "Dora")]
    assert parted(canned.format("Bob"), "Joe Meier", earlier).cut == ""


BANNER = "Joe Meier\nSupport\n\nBesuchen Sie uns auf der CloudFest in Rust, Halle 3!\nINTROSERV - Server, die laufen."


def test_what_ended_his_other_answers_as_well_is_his_signature() -> None:
    earlier = [f"Guten Tag,\n\nes läuft wieder ({number}).\n\nViele Grüße\n{BANNER}" for number in range(2)]
    answer = f"Guten Tag,\n\ndie Platte ist getauscht.\n\nViele Grüße\n{BANNER}"
    assert parted(answer, "Joe Meier", earlier[:1]).cut == "", "once may be chance"
    assert parted(answer, "Joe Meier", earlier).cut == BANNER.partition("\n")[2]
    assert parted(answer, "Joe Meier", [earlier[0], BANNER.partition("\n")[2]]).cut == BANNER.partition("\n")[2], (
        "learned"
    )
    footer = "INTROSERV GmbH · +49 30 1234567\nThe hosting people since 1999.\nwww.introserv.com"
    other = [f"It works ({number}).\n\n{footer}" for number in range(2)]
    assert parted(f"It does.\n\n{footer}", "L1", other).words == "It does."
    assert parted(footer, "L1", [*other, footer, footer]).words == footer, "nothing would be left"


def test_a_canned_text_that_is_sent_every_day_stays_whole() -> None:
    canned = "Hello,\n\nplease open the console:\nhttps://portal.example/console\n\nThen press F2.\n\nKind regards\nJoe"
    assert parted(canned, "Joe Meier", [canned] * 5).words == canned


BELOW = [
    "URL https://kvm.introserv.com/\nUser admin7\nPort 8443",
    "INTROSERV GmbH\nIBAN DE89 3704 0044 0532 0130 00\nBIC COBADEFFXXX\nbilling@introserv.com",
    "Joe Meier\nns1.introserv.com\nns2.introserv.com\n+49 30 1234567",
    "INTROSERV GmbH\nSonnenallee 1\n12045 Berlin\n+49 30 7654321",
    "+49 30 1234567\n+49 171 7654321",
    "Joe Meier\nhttps://introserv.com/download/rescue.iso\n+49 30 1234567",
    "Server r1z7og44\nwww.introserv.com\n+49 30 1234567",
    "1. Open www.introserv.com\n2. Log in\n3. Call +49 30 1234567",
    "Thursday, 3 December 10:00\nSonnenallee 1\n12045 Berlin",
]


@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("formula", ["Kind regards\nJoe Meier", "Best,\nJoe", "Joe Meier"])
def test_what_a_customer_asked_for_goes_out_below_a_formula_too(formula: str, below: str) -> None:
    answer = f"{WORDS}\n\n{formula}\n\n{below}"
    his_own = "+49 30 7654321" in below or "10:00" in below or below[0] == "+"  # these may be
    if his_own and formula == "Joe Meier":
        return  # below his whole name they are taken for his
    earlier = [f"Other words ({number}).\n\n{formula}\n\n{below}" for number in range(3)]
    assert parted(answer, "Joe Meier").words == answer
    if not his_own:
        assert parted(answer, "Joe Meier", earlier).words == answer


HOW_TO = "Your console: https://portal.introserv.com/c\nYour panel: https://panel.introserv.com/\nYour manual: https://docs.introserv.com/x"


@pytest.mark.parametrize("greeting", ["Hello,", "Hello {0},", "Hello {0}, thank you for waiting."])
def test_the_same_how_to_goes_out_to_every_customer(greeting: str) -> None:
    texts = [f"{greeting.format(name)}\n\n{HOW_TO}" for name in ("Anna", "Ben", "Cem", "Dora")]
    for number, text in enumerate(texts):
        assert parted(text, "Joe Meier", texts[:number]).words == text
