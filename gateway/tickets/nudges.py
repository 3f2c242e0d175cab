"""Whether a customer only asks whether there is news: then he is not asked for an order number, a description and
logs."""

from __future__ import annotations

import re

LONGEST = 120  #: characters; who writes more says more
_NUDGE = re.compile(
    r"\b(?:any (?:news|updates?|progress)|is (?:anyone|anybody|somebody) there|what(?:'s| is) the status|still waiting|"
    r"gibt es (?:schon |etwas )*neu\w+|etwas neues|schon was neues|neuigkeiten|wie ist der (?:aktuelle )?stand|ist da "
    r"jemand|"
    r"du nouveau|des nouvelles|il y a quelqu['’]un|où en (?:est|êtes)\b|alguna (?:novedad|noticia)|hay (?:novedades"
    r"|noticias)|"
    r"(?:hay|está) alguien|ci sono novità|qualche novità|novità in merito|c['’]è qualcuno|"
    r"(?:есть|какие)(?: ли| какие-то| какие-нибудь)? новости|есть кто|что там с|(?:є|які)(?: якісь)? новини|є хто|що "
    r"там)(?!\w)",
    re.I,
)


def only(text: str) -> bool:
    """Whether these words ask for news and say nothing else."""
    words = " ".join(text.split())
    return 0 < len(words) <= LONGEST and not re.search(r"\d{3}", words) and _NUDGE.search(words) is not None
