"""What follows an hour in digits and belongs to it: "la 1 y cuarto", "13h et demie", "2 meno dieci", "1 Uhr 15".

An hour with a fraction that is not understood is no time: none is better than a wrong one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.read.late import late
from gateway.read.tables import alternation

#: minutes by their words, in the languages that say them behind the hour
_MINUTES = {
    5: "cinco cinq cinque five fünf пять пятью п'ять pięć pět vijf beş",
    10: "diez dix dieci dez ten zehn десять dziesięć deset tien on",
    15: "cuarto quarto quart viertel quarter kwadrans kwart čtvrt четвертью чвертю quince quinze quindici fifteen "
    "fünfzehn пятнадцать пятнадцатью п'ятнадцять piętnaście patnáct vijftien",
    20: "veinte vingt venti vinte twenty zwanzig двадцать двадцатью двадцять dwadzieścia dvacet twintig yirmi",
    25: "veinticinco|vingt-cinq|vingt cinq|venticinque|vinte e cinco|twenty-five|fünfundzwanzig|двадцать пять|двадцять "
    "п'ять|dwadzieścia pięć|dvacet pět|vijfentwintig",
    30: "media mezza mezzo demie demi meia half halb половиной половиною pół půl buçuk treinta trente trenta trinta "
    "thirty dreißig тридцать тридцять trzydzieści třicet dertig otuz",
    35: "treinta y cinco|trente-cinq|trente cinq|trentacinque|trinta e cinco|тридцать пять",
    40: "cuarenta quarante quaranta quarenta forty vierzig сорок czterdzieści čtyřicet veertig kırk",
    45: "tres cuartos|tre quarti|trois quarts|três quartos|dreiviertel|three quarters|quarenta e cinco|cuarenta y "
    "cinco|quarante-cinq|quarantacinque|сорок пять",
    50: "cincuenta cinquante cinquanta cinquenta fifty fünfzig пятьдесят п'ятдесят pięćdziesiąt padesát vijftig elli",
    55: "cincuenta y cinco|cinquante-cinq|cinquantacinque|cinquenta e cinco",
    0: "pico|algo|poco|pouco|qualcosa|quelques|quelque chose|un poco|un po'|etwas|a bit|копейками|копійками",
}
_WORDS = {
    word: minutes
    for minutes, words in _MINUTES.items()
    for word in (words.split("|") if "|" in words else words.split())
}
_SAID = rf"(?:(?P<digits>[1-5]?[05]|[1-5]\d)(?![\d:]|[.,]\d)|(?P<word>{alternation(_WORDS)})(?!\w))"
_GAP = r"[ \t\xa0]{1,3}"
_LESS = r"(?:menos|meno|moins|minus|less)"
_ARTICLE = rf"(?:(?:le|un|une|o|a|uma|um|una|ein|eine|einer|an){_GAP})?"
_LESSENED = late(rf"{_GAP}{_LESS}{_GAP}{_ARTICLE}{_SAID}")
_LESSENED_ANYHOW = late(rf"{_GAP}{_LESS}(?!\w)")
_ADDED = late(rf"{_GAP}(?:y|e|ed|et|und|and|plus|con|com|с|із|з|i|a|en|ve){_GAP}{_ARTICLE}{_SAID}")
#: minutes right behind the word for the hour, where nothing can be counted by them
_MINUTE = r"(?:min(?:ut(?:en?|i|os|es|y|ami)?|uten|\.)?|мин\w{0,3}|хв\w{0,5}|minut\w{0,3}|dakika)"
_BEHIND = late(
    rf"{_GAP}{_SAID}(?:{_GAP}{_MINUTE}(?!\w)|(?=[ \t]{{0,2}}(?:[.,;:!?)\n\r]|\Z)|{_GAP}(?:ist|war|is|est|è|es|não"
    r"|nicht|ne|no|не|nie|non)(?!\w)))"
)


@dataclass(frozen=True, slots=True)
class Fraction:
    """So many minutes more or less, where it ends, whether it is ``said`` at all, and ``spoken``, as on a clock of
    twelve hours."""

    minutes: int
    end: int
    said: bool = False
    spoken: bool = False


def fraction(lower: str, end: int, named: bool) -> Fraction | None:
    """What belongs to an hour that ends there; ``None`` for one that is not understood.

    Args:
        lower: the text in small letters.
        named: whether a word for the hour stands behind the digits ("1 Uhr").
    """
    if (said := _LESSENED.match(lower, end)) and _minutes(said):
        return Fraction(-_minutes(said), said.end(), said=True, spoken=True)
    if _LESSENED_ANYHOW.match(lower, end):
        return None
    if said := _ADDED.match(lower, end):
        return Fraction(_minutes(said), said.end(), said=True, spoken=True)
    behind = _BEHIND.match(lower, end) if named else None
    return Fraction(_minutes(behind), behind.end(), said=True) if behind else Fraction(0, end)


def _minutes(said: re.Match[str]) -> int:
    return int(said["digits"]) if said["digits"] else _WORDS[" ".join(said["word"].split()).replace("’", "'")]
