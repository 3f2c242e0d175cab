"""Whether a customer only says thanks, or that all is well: then nobody tells him that his request "has not been
forgotten", and staff read that nothing is asked.

Pure, and careful: the words must be those in which people say thanks, a word that is not known may be the "but". Two
such words pass beside thanks or praise, where nothing speaks against it; names do beside a greeting, beside thanks and
in a signature.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from gateway.tickets import signatures

LONGEST = 240  #: characters, the signature not counted; who writes more says more
_WORD = re.compile(r"[^\W\d_]+")
_CLAUSES = re.compile(r"[.!,;:…()\n]+|\s[-–—]\s")
UNKNOWN = 2  #: words that may be anything
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
    " well done best like charm million top toll klasse prima spitze wunderbar großartig bestens hervorragend"
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
    "a an the all and so very much many lots lot of to for it its is are was were be been has have had that this"
    " s i m ve d we us our me my you your u y guys team everyone everything now again already just really kind"
    " kindly quick fast speedy prompt swift excellent help support helping reply response answer info information"
    " update patience effort work service speed ok okay okey yes yep from with as well hi hello hey dear confirm"
    " confirmed quiet* calm than mine nice day evening night weekend week one best regards wishes pass shift too"
    " both also in ich ihr seid herr frau wir sie euch ihnen dir mir uns unser* der die das den dem ein eine einen"
    " einem es ist sind war war's hat haben alles jetzt nun wieder auch sehr ganz vielen viele vielmals lieben"
    " liebe herzlich* tausend besten beste recht schnell* prompt* rasch* super hilfe unterstützung antwort"
    " rückmeldung infos mühe arbeit für und aus bei vom von zur zum schön* noch einwandfrei tadellos wunderbar tag"
    " abend wochenende woche feierabend gruß grüße hallo moin guten morgen leute ja beiden c est ça cela ca ce j"
    " ai je nous vous l le la les de du des un une et à au aux pour votre vos tout tous bien très tres beaucoup"
    " bcp mille infiniment encore grand réactivité rapidité aide réponse retour intervention travail bon bonne"
    " journée journee soirée soiree end continuation nouveau maintenant enfin sont parfaitement oui bonjour"
    " bonsoir salut cordialement équipe muchas muchísimas muchisimas mil muy por el los las lo su sus vuestra"
    " vuestro rapidez ayuda respuesta atención atencion todo todos ya está esta están en nuevo que tengan tenga"
    " buen buena buenos día dia días tarde tardes noche fin semana saludo saludos una abrazo hola equipo gran"
    " trabajo estado sí si perfectamente ahora molte tante tanto per il gli vostra vostro sua suo velocità"
    " rapidità aiuto risposta disponibilità tutto tutti ora adesso di vi ti voi noi lei e è ed siete stati stato"
    " gentili buon buona giornata serata lavoro domenica ancora sì ciao salve buongiorno buonasera confermo"
    " correttamente online sito большое огромное за вам вас все всё всем и вы ты я мы очень быстр* оперативн*"
    " помощь ответ поддержку работу теперь уже снова опять же так да ок окей здравствуйте добрый привет день дня"
    " вечера хорошего удачного выходных вечер с уважением ребята коллеги от души сердечно ещё еще раз большой"
    " прекрасная отзывчивость велике щиро усе всім і й та ви ми дуже швидк* допомогу відповідь підтримку роботу"
    " тепер вже знову гарн* добрий доброго вітаю привіт вечора вихідних з повагою ще vse bolshoe"
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
#: what makes more of it: a "but", a "not", waiting, wishes, trouble, money, "in advance", "only"
_OTHER = _Words(
    "but however though although still not no non never don doesn didn isn aren won couldn nothing none only"
    " until except besides wait* await* expect* need* want* would will should when why how what who call send"
    " slow* down broken bad* worse fail* error* problem* issue* missing lacks invoice* refund* pay* bill* cancel*"
    " password* advance soon asap early earliest urgent* almost nearly partly half sometimes another other first"
    " next also please aber jedoch leider noch nicht kein* nie nichts nur bis außer obwohl wart* erwart* brauch*"
    " wollen möchte* würde* wäre* sollte* müss* wann warum wie was wer ruf* schick* send* langsam* kaputt weg tot"
    " fehl* rechnung* erstatt* zahl* kündig* passwort* kennwort* voraus bald* dringend fast teilweise manchmal"
    " außerdem bitte mais cependant toujours ne n pas plus jamais rien sauf seulement jusqu attend* attente besoin"
    " veux voudrai* faudrai* quand pourquoi comment appel* rappel* envoy* lent* panne erreur* manque* reste"
    " facture* rembours* résili* avance vite plutôt presque parfois aussi pero nunca nada sin solo sólo hasta"
    " salvo todavía aún esper* quedo necesit* quier* agradecería* podría* cuándo cómo llam* envi* caíd* falta*"
    " factura* reembols* contraseñ* antemano pronto urgente casi veces también además sigue* ma però mai niente"
    " nulla senza soltanto fino tranne attesa aspett* bisogno vorrei dovrebbe quando perché come chiam* invi*"
    " mand* giù guast* manca* fattur* rimbors* disd* anticipo presto quasi volte anche inoltre cortese* pronta"
    " sollecit* но однако не ни нет никогда ничего только лишь кроме пока жду ждем ожида* нужн* надо хоч* хотел*"
    " буду будем был* бы когда почему как что кто позвон* пришл* отправ* медлен* лежит упал* ошибк* проблем* счет*"
    " возврат* оплат* отмен* парол* заранее скорее срочно почти иногда тоже также кстати але однак ні нема* ніколи"
    " нічого тільки лише крім поки чека* очіку* потріб* треба хот* буде* б коли чому як що хто зателеф* надішл*"
    " відправ* повільн* впав помилк* рахун* поверн* скас* наперед швидше терміново майже інколи теж також"
)
_GREETING = _Words(
    "hi hello hey dear hallo moin morgen herr frau lieber liebe bonjour bonsoir cher chère madame monsieur hola"
    " buenas señor señora ciao salve caro cara gentile buongiorno buonasera signor signora привет привіт"
    " здравствуйте вітаю"
)


_MEANT = (_THANKS, _PRAISE, _WORKS)
_ASKS = ("merci de ", "merci d avance", "ty for nothing")  #: how a wish begins


def only(text: str) -> bool:
    """Whether these words are thanks and nothing that waits for an answer."""
    words, tail = _parted(text.replace("’", "'").replace("ё", "е").replace("Ё", "Е"))
    if not 0 < len(words.strip()) <= LONGEST or _OPEN.search(words) or not _is_tail(tail):
        return False
    clauses = [clause for clause in map(_WORD.findall, _CLAUSES.split(words)) if clause]
    said = [word.casefold() for clause in clauses for word in clause]
    if not any(kind.among(said) for kind in _MEANT) or " ".join(said).startswith(_ASKS):
        return False
    unknown = [_unknown(clause) for clause in clauses]
    if unknown[-1] and _is_name(clauses[-1]):
        unknown.pop()
    return sum(map(len, unknown)) <= UNKNOWN and all(map(_may_say, clauses, unknown))


def _unknown(clause: Sequence[str]) -> list[str]:
    """The words of a clause that are none of those in which people say thanks, and no name where a name may be."""
    said = [word.casefold() for word in clause]
    kinds = [*_MEANT, _SMALL, _CLOSING]
    kinds += [_THINGS] if _WORKS.among(said) else []
    kinds += [_MAY] if _CLOSING.among(said) or _THANKS.among(said[1:]) else []
    return [
        word for at, word in enumerate(said)
        if not any(word in kind for kind in kinds) and not (at > 0 and _is_called(clause, at))
    ]  # fmt: skip


def _may_say(clause: Sequence[str], unknown: Sequence[str]) -> bool:
    """Whether a clause asks for nothing by the words in it that are not known."""
    meant = any(kind.among([word.casefold() for word in clause]) for kind in _MEANT)
    return not unknown or (meant and not _OTHER.among(unknown) and not _THINGS.among(unknown))


def _is_name(clause: Sequence[str]) -> bool:
    """Whether a clause is somebody's name and no thing."""
    return len(clause) == 1 and clause[0].istitle() and clause[0].casefold() not in _THINGS


def _is_called(clause: Sequence[str], at: int) -> bool:
    """Whether the word there is a name: with a capital, and behind a greeting or thanks, or ending both."""
    before, word = clause[at - 1].casefold(), clause[at]
    return word[:1].isupper() and not word.isupper() and (before in _GREETING or before in _THANKS)


def _parted(text: str) -> tuple[str, list[str]]:
    """What is said, and the filled lines below the first closing formula, or below the first blank line behind which
    everything may be a signature."""
    lines = text.strip().split("\n")
    for at in range(1, len(lines)):
        if signatures.closes(lines[at]):
            return "\n".join(lines[:at]), _filled(lines[at + 1 :])
        if not lines[at].strip() and signatures.may_sign(_filled(lines[at + 1 :])):
            return "\n".join(lines[:at]), []
    return text, []


def _filled(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.strip()]


def _is_tail(lines: Sequence[str]) -> bool:
    return not lines or signatures.may_sign(lines) or signatures.may_sign(lines[1:], len(lines[0].split()) <= 3)
