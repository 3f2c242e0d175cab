"""Whether a customer only asks whether there is news: then he is not asked for an order number, a description and
logs."""

from __future__ import annotations

import re

LONGEST = 120  #: characters; who writes more says more
LOOKED_AT = 600  #: characters in which one may ask as well
# both are looked for in lower case: that is three times as fast as a pattern that ignores case
_NUDGE = re.compile(
    r"\b(?:any (?:news|updates?|progress)|is (?:anyone|anybody|somebody) there|what(?:'s| is) the status|still waiting|"
    r"gibt es (?:schon |etwas )*neu\w+|etwas neues|schon was neues|neuigkeiten|wie ist der (?:aktuelle )?stand|ist da "
    r"jemand|"
    r"du nouveau|des nouvelles|il y a quelqu['’]un|où en (?:est|êtes)\b|alguna (?:novedad|noticia)|hay (?:novedades"
    r"|noticias)|"
    r"(?:hay|está) alguien|ci sono novità|qualche novità|novità in merito|c['’]è qualcuno|"
    r"(?:есть|какие)(?: ли| какие-то| какие-нибудь)? новости|есть кто|что там с|(?:є|які)(?: якісь)? новини|є хто|що "
    r"там)(?!\w)",
)


#: that nobody has answered yet, or that there was a mail before
_UNANSWERED = re.compile(
    r"\b(?:any(?:one|body) (?:there|home)|no(?:body| one)(?: has)? (?:answers?|answered|repl\w+)|no (?:answer|reply"
    r"|response)|not (?:answered|replied)|asked (?:last|before|already)|keine? (?:antwort|reaktion)|nicht geantwortet"
    r"|kam (?:nie|nichts|nix|bisher)|schon gefragt|nachfrage|pas de (?:réponse|retour)|sans (?:réponse|nouvelles)"
    r"|relance|sin respuesta|no (?:me |nos )?(?:han )?(?:contest|respond)\w+|nadie (?:me |nos )?(?:contest|respond)\w+"
    r"|nessuna (?:risposta|notizia)|non (?:mi |ci )?(?:avete |ha )?rispo\w+|sollecit\w+"
    r"|(?:нет|без|нету) ответа|никто не (?:ответ|отвеч)\w+|не (?:ответили|отвечаете)"
    r"|(?:немає|без|нема) відповіді|ніхто не відпові\w+|не відповіли)(?!\w)",
)


def among(text: str) -> bool:
    """Whether these words speak of an earlier mail: they ask for news, or say that nobody answered."""
    words = " ".join(text.split(None, LOOKED_AT))[:LOOKED_AT].lower()
    return _NUDGE.search(words) is not None or _UNANSWERED.search(words) is not None


def only(text: str) -> bool:
    """Whether these words ask for news and say nothing else."""
    words = " ".join(text.split()).lower()
    return 0 < len(words) <= LONGEST and not re.search(r"\d{3}", words) and _NUDGE.search(words) is not None
