"""Whether an answer speaks of a file that goes along with it, so that none is forgotten."""

from __future__ import annotations

import re

#: what says "I have attached it", not "please attach it"; each line in one language of our answers
_SPOKEN = re.compile(
    r"""\b(?:
    (?:see|find|is|are|have|has|i|we|'ve)\s(?:\w+\s){0,3}?(?:attached|enclosed)\b(?!\sto\s)
    | attached\s(?:to\sthis\s(?:e-?mail|mail|message)|you|is|are)\b
    | (?:in|see)\sthe\s(?:attachment|enclosure)\b | attached,?\splease\b
    | anbei\b | (?:im|als|siehe)\sanhang\b | (?:haben|habe)\s(?:\w+\s){0,4}?(?:angehängt|beigefügt)\b
    | beigefügt\s(?:ist|sind|finden) | (?:finden|erhalten)\s(?:\w+\s){0,5}?(?:anhang|anlage)\b
    | (?:ci-joint|en\spi[èe]ce\sjointe|vous\strouverez\s(?:\w+\s){0,3}?joint)\w*
    | je\s(?:vous\s)?joins\b | nous\s(?:vous\s)?joignons\b
    | (?:le|les)\sadjunt(?:o|amos)\b | adjunt(?:o|amos)\s(?:encontrar|la|el|los|las|una?)\b
    | en\s(?:el\s)?(?:archivo\s)?adjunto\b
    | in\sallegato\b | (?:le|vi|ti)\sallego\b | alleghiamo\b | trov\w+\s(?:in\s)?allegat\w+
    | во\sвложени[ие]\b | в\sприложени[ие]\b | прикладыва(?:ю|ем)\b | прикрепил[аи]?\b | прилага(?:ю|ем)\b
    | у\s(?:вкладенні|додатку|долученні)\b | додаємо\sфайл | прикріпил[аи]?\b | прикріплю(?:ю|ємо)\b | долуча(?:ю|ємо)\b
    )""",
    re.I | re.X,
)


def file_in(words: str) -> str:
    """The words by which an answer speaks of its file, or nothing; what is quoted does not count."""
    own = "\n".join(line for line in words.splitlines() if not line.startswith(">"))
    found = _SPOKEN.search(own)
    return " ".join(found[0].split())[:60] if found else ""
