"""Codes by which a provider knows a customer on the phone, in every language: the security code, a PIN, a TAN, the word
of a profile.

Between the name of the code and the code itself people say where it stands ("in my profile", "am Telefon", "в
профиле"), so the code is looked for a few words on. It must have a digit and look like none of the things that a
customer names besides: an address, an order, a time, a date.
"""

from __future__ import annotations

import re

from gateway.read.late import late
from gateway.read.secrets.detector import NOT_VALUE, Detector

_LABEL = (
    r"(?:(?:security|sec\.?|secret|support|safety|caller|client|customer|access|confirmation)[ -]?(?:code|pin|word)"
    r"|(?:tele)?phone[ -]?(?:pin|code|password)|"
    r"code[- ]?word|pass[- ]?code|memorable[ ](?:word|date)|"
    r"(?:sicherheits|kunden|telefon|support|legitimations|zugangs|bestätigungs|geheim)-?(?:code|zahl|pin|kennwort"
    r"|passwort|wort)s?|code-?wort|losungswort|kennwort|"
    r"code[ ](?:de[ ]sécurité|secret|confidentiel|pin|d['’]accès|téléphonique|de[ ]confirmation)|mot[ ](?:secret|de[ "
    r"]sécurité)|"
    r"(?:código|clave|pin)[ ](?:de[ ](?:seguridad|acceso|atención|soporte)|secret[oa]|pin|telefónic[oa]|confidencial)"
    r"|palabra[ ](?:clave|secreta)|"
    r"codice[ ](?:di[ ](?:sicurezza|accesso|riconoscimento)|segreto|pin|telefonico)|parola[ ](?:d['’]ordine|segreta"
    r"|chiave)|"
    r"(?:код\w{0,2}|пин\w{0,2}|пін\w{0,2})[ ](?:безопасности|безпеки|доступа|доступу|подтверждения|підтвердження)"
    r"|секретн\w{2,3}[ ](?:код\w{0,2}|слов\w{1,2})|"
    r"(?:кодов|контрольн)\w{2,3}[ ](?:слов\w{1,2}|код\w{0,2})|пин(?:-?код\w{0,2})?|пін(?:-?код\w{0,2})?|"
    r"kod\w{0,2}[ ](?:bezpieczeństwa|pin|dostępu|zabezpieczający)|tajn\w{1,3}[ ](?:kod|hasło)|hasł\w[ "
    r"](?:telefoniczn\w{1,3}|do[ ]infolinii)|"
    r"código[ ](?:de[ ]segurança|secreto|de[ ]acesso)|palavra[ ]secreta|senha[ ](?:telefônica|telefónica|de[ "
    r"]atendimento)|"
    r"(?:beveiligings|veiligheids|toegangs|klanten|telefoon)-?(?:code|pin|wachtwoord)|codewoord|"
    r"bezpečnostní\w{0,2}[ ](?:kód\w{0,3}|hesl\w)|(?:kontrolní|telefonní)\w{0,2}[ ](?:kód|heslo)|kódové[ ]slovo|"
    r"güvenlik[ ](?:kod\w{1,8}|kelimesi)|telefon[ ]şifre\w{0,6}|müşteri[ ]pini|"
    r"sikkerhedskode\w{0,2}|sikkerhetskode\w{0,2}|säkerhetskod\w{0,2}|turvakoodi\w{0,2}|biztonsági[ ]kód\w{0,3}"
    r"|cod\w{0,3}[ ]de[ ]securitate|"
    r"sigurnosni[ ](?:kod|broj)|κωδικός[ ]ασφαλείας|код[ ]за[ ]сигурност|"
    r"pin(?:[ -]?(?:code|kod|kodu|kód|nummer|number))?|m?tan(?:[ -]?(?:nummer|number))?)"
)
_SIGNS = (
    "security~code security-code sec~code sec.~code secret~code secret~word secret~pin support~pin support~code "
    "support-pin safety~code caller~pin client~pin customer~pin "
    "access~code confirmation~code phone~pin phone~code phone~password telephone~pin telephone~password phone-pin "
    "code~word codeword code-word passcode pass~code memorable "
    "sicherheitsc sicherheits-c sicherheitsk sicherheitsp sicherheitsw kundenk kundenp kunden-p telefonp telefonk "
    "telefon-p supportpin legitimations zugangscode bestätigungscode geheimzahl "
    "geheimcode geheimwort codewort losungswort kennwort code~de~séc code~secret code~conf code~pin code~d'acc "
    "code~tél mot~secret mot~de~séc "
    "código~de clave~de~seg clave~secreta clave~telef código~secreto código~pin palabra codice~di codice~segr "
    "codice~pin codice~tel parola~d parola~segr parola~chiave "
    "безопасности безпеки доступа доступу подтверждения підтвердження секретн кодов контрольн пин пін "
    "kod~bezp kodu~bezp kod~pin kod~dost kod~zab tajn hasło~tel hasło~do~inf hasła~tel palavra~secreta senha~tel "
    "senha~de~at "
    "beveiligingscode veiligheidscode toegangscode klantenpin telefoonw codewoord bezpečnostní kontrolní telefonní "
    "kódové güvenlik telefon~şifre müşteri~pin "
    "sikkerhedskode sikkerhetskode säkerhetskod turvakoodi biztonsági cod~de~sec codul~de~sec sigurnosni κωδικός "
    "код~за "
    "=pin pincode pin-code pinnummer pin~code =tan =mtan"
)
#: where it stands or what it is for: a preposition and up to four words, none of which begins a fact of its own
_WHERE = (
    r"(?:[ \t]{1,2}(?:in|im|am|an|on|at|of|from|for|by|to|bei|beim|für|von|vom|aus|zum|zur|pour|du|de|dans|sur|au|en"
    r"|para|por|del|della|nel|sul|al|per|di|da|no|na|do|pro|"
    r"z|ze|w|we|dla|od|v|ve|k|ke|op|voor|van|bij|aan|в|на|для|от|из|с|у|до|від|з|i|på|til|för|của)(?:[ \t]{1,2}"
    r"(?!order|auftrag|bestell|command|pedid|ordin|заказ|замовл|invoice|rechnung|factur|fattur|сч[её]т|server|сервер"
    r"|vps|vds|host|node|maszyn|machin|maschin|máquin|macchin|ticket|case|ip(?!\w))[^\W\d][\w'’-]{0,20}){1,4}?|[ "
    r"\t]{1,2}profil\w{1,5})?"
)
_SAYS = (
    r"(?:[ \t\xa0]{0,3}(?:[:=：]|->|→|—|–|-(?=[ \t]))|[ \t]{1,2}(?:is|was|ist|lautet|heißt|wäre|est|es|è|e['’]|это"
    r"|такой|це|такий|to|jest|brzmi|é|je|zní|luidt|şu|şudur|are|er|är|este)(?!\w)[ \t:]{0,2})?"
    r"[ \t\xa0]{1,3}"
)
_VALUE = (
    r"[\"'«„“]?(?P<value>(?![\d.]{7,15}(?![\w-]))(?!\d{1,2}[:.]\d\d(?!\d))(?!\d{1,2}\.\d{1,2}\.)(?!20\d\d-\d\d)"
    r"(?=[^\W_]{0,11}(?:-[^\W_]{0,11}){0,3}\d)[^\W_]{1,12}(?:[-.][^\W_]{1,12}){0,4})(?![\w@/])"
)
#: what is asked for, not told ("change the security code 123456" names an order)
_ASKED = late(
    r"(?:reset|change|restore|recover|forg[eo]t\w*|lost|new|zurück\w*|änder\w*|vergess\w*|neu\w*|réinitialis\w*"
    r"|chang\w*|oubli\w*|perd\w*|restablec\w*|cambi\w*|olvid\w*|"
    r"reimpost\w*|dimentic\w*|сброс\w*|смен\w*|забы\w*|восстанов\w*|скин\w*|зміни\w*|відновити|zmie\w*|zresetuj\w*"
    r"|esqueci\w*|alterar|wijzig\w*|vergeten|změn\w*|zapomn\w*|değiştir\w*|unuttu\w*)"
    r"[^.\n]{0,30}\Z",
    re.IGNORECASE,
)
_ERRORS = late(r"(?:error|status|exit|http|promo|gutschein|postal|fehler)[- ]?\Z", re.IGNORECASE)
MIN = 4  #: characters of a code


def _is_code(match: re.Match[str]) -> bool:
    value = match["value"]
    if (
        len(value) < MIN
        or NOT_VALUE.match(value)
        or _ERRORS.search(match.string, max(0, match.start() - 12), match.start())
    ):
        return False
    plain_number = value.isdigit()
    if plain_number and (len(value) > 10 or _ASKED.search(match.string, max(0, match.start() - 40), match.start())):
        return False
    return plain_number or any(char.isdigit() for char in value)


DETECTORS = (Detector(_SIGNS, rf"(?<![\w-])(?:{_LABEL}){_WHERE}{_SAYS}{_VALUE}", _is_code),)
