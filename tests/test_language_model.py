"""The reduced model says of a text what the whole one of py3langid says, for the languages that are told apart."""

from __future__ import annotations

import pytest

from gateway.read.words.model import KNOWN, OTHERS, model

TEXTS = (
    "Our server has been down since this morning and nobody answers the phone.",
    "Unser Server antwortet seit heute früh nicht mehr, bitte um Hilfe.",
    "ПОМОГИТЕ, СЕРВЕР НЕ ОТВЕЧАЕТ",
    "Dobrý den, prosím o pomoc s fakturou",
    "Vår server svarar inte sedan i morse",
    "e\u0301te\u0301 a\u0300 Paris, la facture du serveur",
    "12345",
    "",
)


@pytest.mark.parametrize("text", TEXTS)
def test_it_ranks_as_the_whole_model_does(text: str) -> None:
    from py3langid.langid import _load_identifier

    whole = _load_identifier(norm_probs=True)
    whole.set_languages([code for code in (*KNOWN, *OTHERS) if code in whole.nb_classes])
    ranked, wanted = model().rank(text), dict(whole.rank(text))
    assert dict(ranked) == pytest.approx(wanted, abs=1e-5)
    assert ranked[0][1] == max(share for _, share in ranked)
