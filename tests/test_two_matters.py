"""Mails about two things, as people write them: both are seen, and of an outage and a bill the outage decides."""

from __future__ import annotations

import pytest

from gateway.model import ALSO, Department
from gateway.read.topics.rules import Asked
from gateway.read.topics.topics import topics_of

TECHNICAL, FINANCIAL = Department.TECHNICAL, Department.FINANCIAL


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Server is down since 9. And did you get our payment for the last invoice?", TECHNICAL),
        ("Seit 6 Uhr ist der Server komplett weg, kein Ping nix.\nUnd die Rechnung vom Oktober wurde zweimal abgebucht, bitte die 89 Euro zurück.", TECHNICAL),
        ("Könnt ihr mir die Rechnung für November schicken? Und das Backup läuft seit Montag nicht mehr durch.", None),
        ("La facture 331210 m'a été débitée deux fois, merci de me rembourser. Et mon serveur est très lent depuis hier soir.", FINANCIAL),
        ("1) No puedo entrar en el panel, ¿me cambian la contraseña?\n2) La factura de noviembre sale a nombre antiguo.", TECHNICAL),
        ("Il server non si raggiunge da stamattina. Inoltre la fattura di ottobre ha la partita IVA sbagliata.", None),
        ("Сайт не открывается с утра, сервер не отвечает. И пришлите, пожалуйста, счёт за ноябрь, оплата была.", TECHNICAL),
        ("Скасуйте замовлення 530007 і поверніть гроші за листопад. І сервер зараз знову лежить!!!", None),
    ],
)  # fmt: skip
def test_a_second_matter_is_seen(text: str, first: Department | None) -> None:
    found = topics_of(Asked("", text, True))
    other = FINANCIAL if found.department is TECHNICAL else TECHNICAL
    assert [flag for flag in found.flags if flag in ALSO.values()] == [ALSO[other]]
    assert any(line.startswith(f'also {other}: "') for line in found.terms), "why is told"
    assert first in (None, found.department)


@pytest.mark.parametrize(
    "text",
    [
        "Hello, invoice 214382 was charged twice to our credit card. Please check the payment.",
        "The disk is slow. It began on Monday. Could you look at it today?",
        "Wir haben die Rechnung bezahlt, bitte bestätigen Sie den Eingang.",
        "Здравствуйте! До какого числа оплачен мой сервер?",
        "Quanto costa un server dedicato? E accettate la carta?",
    ],
)
def test_one_matter_has_no_second(text: str) -> None:
    assert not set(topics_of(Asked("", text, True)).flags) & set(ALSO.values())
