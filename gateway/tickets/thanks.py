"""Whether a customer only says thanks: then nobody tells him that his request "has not been forgotten"."""

from __future__ import annotations

import re

LONGEST = 240  #: characters; who writes more says more
_THANKS = re.compile(
    r"\b(?:thanks?|thank you|thx|ty|cheers|danke|dank|vielen dank|merci|gracias|grazie|obrigad[oa]|bedankt|dzięki"
    r"|dziękuję|děkuji|díky|"
    r"teşekkürler|спасибо|благодарю|дякую|дякуємо|спасибі)(?!\w)",
    re.I,
)
#: what makes more of it than thanks: a question, a wish, a "but"
_MORE = re.compile(
    r"[?¿;؟]|\d{3}|\b(?:but|however|still|again|please|can you|could you|need|when|why|aber|jedoch|noch|wieder nicht"
    r"|bitte|warum|wann|können|"
    r"mais|encore|toujours|pouvez|pourquoi|quand|svp|s'il|pero|todavía|aún|puede|podría|por favor|cuándo|ma|però"
    r"|ancora|può|potete|"
    r"per favore|perché|quando|но|однако|ещё|еще|опять|снова не|можете|пожалуйста|почему|когда|але|однак|ще|знову не"
    r"|можете|будь ласка|"
    r"чому|коли)(?!\w)",
    re.I,
)


def only(text: str) -> bool:
    """Whether these words are thanks and nothing that waits for an answer."""
    words = " ".join(text.split())
    return 0 < len(words) <= LONGEST and _THANKS.search(words) is not None and _MORE.search(words) is None
