"""Whether a customer only says thanks, or that all is well: then nobody tells him that his request "has not been
forgotten", and staff read that nothing is asked.

Pure, and careful, for silence is the dear mistake and one status too many the cheap one: every word must be one of
those in which people say thanks. A name is none unless it is known: the author's, or of who answered him. "Again" is
said of what works, or of thanks; what was well yesterday may be down today.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from gateway.tickets import signatures

LONGEST = 240  #: characters, the signature not counted; who writes more says more
WHOLE = 4000  #: characters, with the signature
_WORD = re.compile(r"[^\W\d_]+")
_CLAUSES = re.compile(r"[.!,;:…()\n]+|\s[-–—]\s")
_ADVENT = re.compile(r"\b[1-4]\.(?=\s{0,2}advent)", re.IGNORECASE)  #: a wish, and no figure
_OPEN = re.compile(r"[?¿;؟\d@/%#]")  #: a question, a figure, an address: more than thanks


class _Words:
    """A list of words, lower-case; ``gra*`` is a beginning."""

    def __init__(self, listed: str) -> None:
        words = listed.split()
        self._whole = frozenset(word for word in words if not word.endswith("*"))
        self._begin = tuple(word[:-1] for word in words if word.endswith("*"))

    def __contains__(self, word: str) -> bool:
        return word in self._whole or word.startswith(self._begin)

    def among(self, words: Collection[str]) -> bool:
        """Whether one of them is there."""
        return any(word in self for word in words)


_THANKS = _Words(
    "thank thanks thankyou thanx thx thnx ty ta tysm cheers appreciat* grateful dank* bedank* merci* remerci*"
    " mersi gracias agradezco agradecid* agradecemos grazi* ringrazi* obrigad* bedankt спасиб* спс пасиб*"
    " благодар* признател* дяк* спасибі вдячн* спасибо spasibo diakuiu dyakuyu dzięk* dziek* děku* díky teşekkür*"
)
_PRAISE = _Words(
    "perfect* great brilliant awesome excellent wonderful fantastic* amazing lovely superb nice fine good super"
    " well done best like charm million top omg star stars lifesaver legend legends hero heroes"
    " toll klasse prima spitze wunderbar großartig bestens hervorragend"
    " perfekt ausgezeichnet genial* cool besten parfait* impeccable nickel excellent* formidable génial* geniale"
    " magnifique chapeau bravo bravi perfecto estupend* excelente fenomenal maravill* buenísimo fantástico"
    " perfett* ottim* eccellent* gentilissim* bravissim* velocissim* bene отличн* супер прекрасн* замечательн*"
    " класс здорово шикарно идеальн* хорошо круто молодцы лучши* чудов* відмінн* прекрасно клас добре ідеальн*"
    " молодці найкращ*"
)
_WORKS = _Words(
    "works working worked running runs fixed solved resolved sorted helped restored up back did trick received"
    " got noted erhalten angekommen bekommen reçu recu ligne recibid* ricevut* correct* corrett* normal* stabil*"
    " responde raggiungibile accessible rentré разобрал* получил* открывается нормально отримав отримала"
    " відкривається läuft laufen geht gehen funktioniert funktionieren geklappt klappt passt gelöst erledigt"
    " behoben wieder da online marche remarche fonctionne* réglé* résolu* rétabli* ordre bon funciona* solucionad*"
    " resuelt* arreglad* orden va bien marcha funziona* risolt* sistemat* tornat* posto riparte работает работают"
    " заработал* помогл* решен* исправлен* починил* порядке поднялся ожил* ок працює працюють запрацював*"
    " запрацюва* допомогл* вирішен* виправлен* вийшло порядку rabotaet zarabotalo"
)
_CLOSING = _Words(
    "close closed closing schließen geschlossen zumachen clôtur* clotur* fermer fermé cerra* chiud* chius*"
    " chiuder* закры* закрив* закрит*"
)
#: what stands between them and asks for nothing
_SMALL = _Words(
    "sono lei êtes bin einen relieved likewise sunday saturday monday"
    " sonntag samstag beruhigt erleichtert ebenfalls ebenso gleichfalls"
    " adorable rassuré rassurée soulagé soulagée aussi dimanche samedi tranquill* più anche sollevat* sabato"
    " tranquilo tranquila más también igualmente domingo sábado тоже взаимно спокойнее воскресенья також навзаєм"
    " спокійніше неділі "
    "understood klar verstanden entendido vale compris accord capito понятно ясно понял поняла зрозуміло зрозумів"
    " зрозуміла "
    "nacht gute nuit premier coup noches buenas notte buonanotte ночи доброй спокойной ночі доброї добраніч на"
    " lg vg sich nevermind "
    "re saved saving checked tested advent christmas weihnachten geprüft getestet beides sauvez sauvé sauvée sauvés"
    " vérifié testé comprobado probado verificato controllato provato проверил* перевірил* перевірив зашел зашла зайшов"
    " зайшла швидкість быстроту "
    "mate everything dann dans lösung schnelle schnellen assistenza asistencia infinite питання a an the all and so"
    " very much many lots lot of to for it its is are was were be been has have had that this s i m ve d we us our me"
    " my you your u y guys team everyone now again already just really kind kindly quick fast speedy prompt swift"
    " excellent help support helping reply response answer info information update patience effort work service speed"
    " ok okay okey yes yep from with as well hi hello hey dear confirm confirmed quiet* calm than mine nice day"
    " evening night weekend week one best regards wishes pass shift too both also in ich ihr seid herr frau wir sie"
    " euch ihnen dir mir uns unser* der die das den dem ein eine einen einem es ist sind war war's hat haben alles"
    " jetzt nun wieder auch sehr ganz vielen viele vielmals lieben liebe herzlich* tausend besten beste recht schnell*"
    " prompt* rasch* super hilfe unterstützung antwort rückmeldung infos mühe arbeit für und bei vom von zur zum"
    " schön* noch einwandfrei tadellos wunderbar tag abend wochenende woche feierabend gruß grüße hallo moin guten"
    " morgen leute ja beiden c est ça cela ca ce j ai je nous vous l le la les de du des un une et à au aux pour votre"
    " vos tout tous bien très tres beaucoup bcp mille infiniment encore grand réactivité rapidité aide réponse retour"
    " intervention travail bon bonne journée journee soirée soiree end continuation nouveau maintenant enfin sont"
    " parfaitement oui bonjour bonsoir salut cordialement équipe muchas muchísimas muchisimas mil muy por el los las"
    " lo su sus vuestra vuestro rapidez ayuda respuesta atención atencion todo todos ya está esta están en nuevo que"
    " tengan tenga buen buena buenos día dia días tarde tardes noche fin semana saludo saludos una abrazo hola equipo"
    " gran trabajo estado sí si perfectamente ahora molte tante tanto per il gli vostra vostro sua suo velocità"
    " rapidità aiuto risposta disponibilità tutto tutti ora adesso di vi ti voi noi lei e è ed siete stati stato"
    " gentili buon buona giornata serata lavoro domenica ancora sì ciao salve buongiorno buonasera confermo"
    " correttamente online sito большое огромное за вам вас все всё всем и вы ты я мы очень быстр* оперативн* помощь"
    " ответ поддержку работу теперь уже снова опять же так да ок окей здравствуйте добрый привет день дня вечера"
    " хорошего удачного выходных вечер с уважением ребята коллеги от души сердечно ещё еще раз большой прекрасная"
    " отзывчивость велике щиро усе всім і й та ви ми дуже швидк* допомогу відповідь підтримку роботу тепер вже знову"
    " гарн* добрий доброго вітаю привіт вечора вихідних з повагою ще vse bolshoe"
)
#: what works again
_THINGS = _Words(
    "server site website page shop mail mails email emails disk db database panel vm vps service network seite"
    " webseite laden platte datenbank netz dienst der die das serveur boutique messagerie courrier disque base"
    " servidor web página tienda correo disco sito negozio posta сервер сайт почта магазин диск база сервіс пошта"
    " крамниця сервис"
)
_MAY = _Words(
    "please can could may ticket tickets case request it bitte kann können könnt darf anfrage fall werden pouvez"
    " peux peut être dossier demande s plaît svp il pueden puede podéis favor por caso consulta potete può puoi"
    " pure richiesta per favore можно можете пожалуйста тикет заявку обращение запрос вопрос можна будь ласка"
    " тікет звернення запит"
)
#: what says by itself that it is well now
_RUNS = _Words(
    "works working running runs läuft laufen geht funktioniert funktionieren klappt marche marchent remarche"
    " fonctionne* funciona funcionan responde funziona funzionano работает работают працює працюють открывается"
    " відкривається rabotaet fixed solved resolved online erreichbar accessible accessibles raggiungibile behoben"
    " gelöst réglé résolu rétabli solucionado resuelto risolto sistemato исправлено решено виправлено вирішено"
)
#: what may have come again: what works, or what does not
_AGAIN = _Words(
    "again back wieder nochmal erneut da encore nouveau retour nuevo vez vuelto ancora nuovo tornat* снова опять"
    " вновь знову вернул* повернул* vernulos"
)
#: of yesterday
_PAST = _Words(
    "was were had war waren hatte hatten lief ging était etait étaient avait estaba era fue había era stava был была"
    " было були була було"
)

_PLEASE = _Words(
    "please pls plz bitte but aber mais pero peró però ma но але still"
    " favor cortesia пожалуйста ласка warte awaiting waiting espero aspetto attends ждем жду чекаю"
)
_ASKING = re.compile(r"[?¿;؟]")
_MEANT = (_THANKS, _PRAISE, _WORKS)
_ASKS = ("merci de ", "merci d avance", "ty for nothing")  #: how a wish begins


def names_of(*authors: str) -> frozenset[str]:
    """The words by which these authors (``Anna Schmidt <anna@shop.example>``) may be called, lower-case."""
    return frozenset(word.casefold() for one in authors for word in _WORD.findall(one.partition("@")[0]))


def only(text: str, names: Collection[str] = ()) -> bool:
    """Whether these words are thanks and nothing that waits for an answer; ``names``: of ``names_of``."""
    if len(text) > WHOLE:
        return False
    shown = _ADVENT.sub("", text.replace("’", "'").replace("ё", "е").replace("Ё", "Е"))
    words, tail = _parted(shown, names)
    if not 0 < len(words.strip()) <= LONGEST or _OPEN.search(words) or not _is_tail(tail, names):
        return False
    clauses = [[word.casefold() for word in clause] for clause in map(_WORD.findall, _CLAUSES.split(words)) if clause]
    said = [word for clause in clauses for word in clause]
    if not any(kind.among(said) for kind in _MEANT) or " ".join(said).startswith(_ASKS):
        return False
    return all(_is_well(clause, names) for clause in clauses)


def said(text: str, names: Collection[str] = ()) -> bool:
    """Whether these words thank, and neither ask nor beg for anything: enough where a person has read them and finds
    that nothing is left to do, as who closes a ticket does."""
    if len(text) > WHOLE:
        return False
    words, _ = _parted(text.replace("’", "'"), names)
    all_of = [word.casefold() for word in _WORD.findall(words)]
    begs = _PLEASE.among(all_of) or " ".join(all_of).startswith(_ASKS) or _ASKING.search(words)
    return 0 < len(words.strip()) <= LONGEST and _THANKS.among(all_of) and not begs


def _is_well(clause: Sequence[str], names: Collection[str]) -> bool:
    """Whether a clause says thanks, or that it is well now, and nothing else."""
    works, thanked = _WORKS.among(clause), _THANKS.among(clause) or _PRAISE.among(clause)
    if _AGAIN.among(clause) and not _RUNS.among(clause) and (_comes_or_goes(clause) or not thanked):
        return False
    if _PAST.among(clause) and works:
        return False
    kinds = [*_MEANT, _SMALL, _CLOSING]
    kinds += [_THINGS] if works else []
    kinds += [_MAY] if _CLOSING.among(clause) or _THANKS.among(clause[1:]) else []
    return all(word in names or any(word in kind for kind in kinds) for word in clause)


def _comes_or_goes(clause: Sequence[str]) -> bool:
    """Whether a clause names something that came or went, besides thanks: "danke, ist wieder da"."""
    return any(word in _WORKS and word not in _THANKS and word not in _PRAISE and word not in _AGAIN for word in clause)


def _parted(text: str, names: Collection[str]) -> tuple[str, list[str]]:
    """What is said, and the filled lines below the first closing formula, or below the first blank line behind which
    everything is a signature; all of it where it is too long for thanks."""
    lines = text.strip().split("\n")
    length = 0
    for at in range(1, len(lines)):
        length += len(lines[at - 1].strip())
        if length > LONGEST:
            break
        below = _filled(lines[at + 1 :])
        if signatures.closes(lines[at]) or (not lines[at].strip() and below and _is_tail(below, names)):
            return "\n".join(lines[:at]), below
    return text, []


def _filled(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.strip()]


def _is_tail(lines: Sequence[str], names: Collection[str]) -> bool:
    """Whether these lines sign: known names alone, or one of them with contact data."""
    if not names:  # the usual question, about each blank line of a mail
        return not any(map(_WORD.search, lines))
    said = {word.casefold() for line in lines for word in _WORD.findall(line)}
    if said <= set(names):
        return True
    return not said.isdisjoint(names) and signatures.has_contact(lines) and signatures.may_sign(lines)
