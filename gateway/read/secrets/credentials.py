"""Credentials as programs and people write them down: assignments, commands, headers, tokens, hashes, codes.

What language a mail has does not matter here; labels of a language ("mot de passe est ...") are ``secrets.py``'s. Each
detector is asked only where one of its signs is in the text, and its expression is linear. The forms of tokens are
those their issuers document, as gitleaks and detect-secrets collect them.
"""

from __future__ import annotations

import ipaddress
import re

from gateway.read.late import late
from gateway.read.secrets import codes, spoken
from gateway.read.secrets.detector import NOT_VALUE, Detector, Detectors

_QUOTED = r"\"(?:[^\"\\\n]|\\.){1,200}\"|'(?:[^'\\\n]|\\.){1,200}'|`[^`\n]{1,200}`"
_VALUE = rf"(?P<value>{_QUOTED}|[^\s\"'`<>,;(){{}}\[\]]{{1,200}})"
_BARE = rf"(?P<value>{_QUOTED}|[^\s\"'`<>|;]{{1,200}})"
_KEYS = "access|account|app|auth|encryption|license|master|private|secret|shared[_.-]?access|signing|storage"
_NAME = (
    rf"(?:pass(?:word|wd|phrase|code|wort)?|pwd?|secret|api[_.-]?(?:key|token)|(?:{_KEYS})[_.-]?key|token"
    r"|credentials?|psk|pre[_.-]?shared[_.-]?key|auth[_.-]?(?:code|info))"
)
_OF_NAMES = "*pass *pwd *pw *secret *key *token *credential *psk *auth"
#: words of programs and manuals that stand where a secret would
_PLACEHOLDER = late(
    r"[\"'`]?(?:\[masked\]|x{1,9}|\*{2,}|\.{2,}|<[^>]*>|\$\{?\w+\}?|%\w+%|null|none|nil|true|false|yes|no|string|str"
    r"|text|"
    r"required|optional|invalid|expired|missing|wrong|incorrect|unknown|empty|ask|prompt|stdin|getpass\w*"
    r"|os\.environ\S*|env\S*|"
    r"auto\w*|file|plain|login|md5|scram\S*|peer|trust|redacted|hidden|-?\d{1,2}(?:\.\d+)?|not|is|and|or|the|for|of|to"
    r"|to:)[\"'`]?[.,;:!?)]{0,3}",
    re.IGNORECASE,
)
_CAMEL = late(r"[a-z\d][A-Z]")


def _is_key(match: re.Match[str]) -> bool:
    """Whether the name before the sign is a key: by itself, behind a mark (``db_password``), in capitals
    (``PGPASSWORD``) or with a capital of its own (``dbPassword``); "compass = north" is none."""
    before, name = match["before"], match["name"]
    joined = not before or before[-1] in "_.-" or _CAMEL.fullmatch(before[-1] + name[0]) or (before + name).isupper()
    return bool(joined) and _is_given(match)


def _is_given(match: re.Match[str]) -> bool:
    return not (_PLACEHOLDER.fullmatch(match["value"]) or NOT_VALUE.match(match["value"]))


def _is_no_place(value: str) -> bool:
    """Whether it is no address, host, path, time or group, which stand behind ``root:`` as well."""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return not re.fullmatch(r"[~./].*|\w+@.*|(?:[a-z\d-]+\.)+[a-z]{2,}(?:[:/].*)?|\d{1,2}[:.]\d\d.*|[a-z-]+", value)
    return False


def _is_login(match: re.Match[str]) -> bool:
    value = match["value"].rstrip(".,;!?)")
    return len(value) >= 4 and _is_no_place(value) and not _PLACEHOLDER.fullmatch(value)


def _is_wireguard(match: re.Match[str]) -> bool:
    return "public" not in match.string[max(0, match.start() - 24) : match.start()].lower()


def _has_digit(match: re.Match[str]) -> bool:
    return any(char.isdigit() for char in match["value"])


#: before a number: what is asked for, not told ("reset the password 123456" names an order)
_ASKED = late(
    r"(?:reset|change|restore|recover|forg[eo]t\w*|lost|new|zurück\w*|änder\w*|vergess\w*|neu\w*|réinitialis\w*"
    r"|chang\w*|oubli\w*|perd\w*|"
    r"restablec\w*|cambi\w*|olvid\w*|reimpost\w*|dimentic\w*|сброс\w*|смен\w*|забы\w*|восстанов\w*|скин\w*|зміни\w*"
    r"|відновити)[^.\n]{0,30}\Z",
    re.IGNORECASE,
)


def _is_told(match: re.Match[str]) -> bool:
    return not _ASKED.search(match.string, max(0, match.start() - 40), match.start())


_FILLER = (
    r"(?=[ \t\xa0:=#–—-])[ \t\xa0]{0,3}(?:[:=#–—-]{1,2}|is:?|was:?|ist:?|lautet:?|est:?|es:?|è:?|это:?|є:?|to:?)?[ "
    r"\t\xa0]{0,3}"
)
_ONE_TIME = (
    r"otp|totp|2fa|mfa|tan|sms[- ]?(?:code|код)|one[- ]?time[- ](?:code|password|passcode|pin)|(?:verification"
    r"|security|confirmation|"
    r"login|access|backup|recovery|2fa|auth\w*|sms)[- ]?code|einmal-?(?:code|passwort|kennwort)|(?:bestätigungs"
    r"|verifizierungs|sicherheits|zugangs)-?code|"
    r"code (?:de (?:vérification|sécurité|confirmation)|à usage unique|sms)|código (?:de (?:verificación|seguridad"
    r"|confirmación|acceso)|sms)|"
    r"codice (?:di (?:verifica|sicurezza|accesso|conferma)|otp|sms)|код(?:ом)? (?:подтверждения|безопасности|проверки"
    r"|доступа|из смс|из sms|sms|смс|2fa)|"
    r"одноразовый (?:код|пароль)|код (?:підтвердження|безпеки|перевірки|доступу)|одноразовий (?:код|пароль)|kod "
    r"(?:weryfikacyjny|jednorazowy|sms)"
)
_TRANSFER = (
    r"epp(?:[- ]?(?:code|key|schlüssel))?|auth(?:orization|orisation)?[- ]?(?:info|code|key)(?:[- ]?code)?|transfer[- "
    r"]?(?:code|key|schlüssel|secret)|"
    r"code (?:epp|auth|d['’]autorisation|de transfert)|codice (?:epp|auth(?:info)?|di trasferimento|di autorizzazione)|"
    r"código (?:epp|auth|de autorización|de transferencia)|код (?:epp|авторизации|переноса|трансфера|авторизації"
    r"|перенесення)|kod (?:epp|authinfo|transferu)"
)
_PIN = (
    r"pin(?:[- ]?(?:code|nummer|number))?|пин(?:-?код)?|пін(?:-?код)?|pass(?:word|wd|code|phrase|wort)?|pwd?|kennwort"
    r"|mot de passe|mdp|contraseña|clave|"
    r"password|parola|пароль|hasło|senha|heslo|wachtwoord|şifre"
)
_USERS = (
    r"root|admin|administrator|ubuntu|debian|centos|almalinux|rocky|ec2-user|deploy|postgres|mysql|oracle|ftpuser|ftp"
    r"|test|guest|pi|sa|user"
)
_ISSUED = (
    r"gh[pousr]_\w{16,255}|github_pat_\w{16,255}|gl(?:pat|rt|dt|ft|soat|cbt|ptt|agent)-[\w.-]{16,200}"
    r"|xox[abeoprs]-[\w-]{10,250}|xapp-[\w-]{10,250}|"
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,17}|AIza[\w-]{35}|ya29\.[\w-]{20,500}|1//0[\w-]{20,200}|GOCSPX-[\w-]{20,60}|"
    r"(?:sk|pk|rk)[-_.](?:live|test|ant|proj|or)?[-_\w.]{16,300}|hf_\w{16,100}|SG\.[\w-]{10,40}\.?[\w-]{0,80}"
    r"|key-[0-9a-f]{32}|"
    r"npm_\w{16,80}|pypi-[\w-]{16,300}|rubygems_[0-9a-f]{40,60}|do[por]_v1_\w{16,80}|hv[bs]\.[\w-]{20,200}|shp(?:at|ca"
    r"|pa|ss)_[0-9a-f]{32}|"
    r"sq0(?:atp|csp)-[\w-]{20,60}|whsec_[\w+/=]{20,80}|dckr_pat_[\w-]{20,60}|ATATT3[\w=-]{50,250}|lin_api_\w{30,60}"
    r"|nvapi-[\w-]{30,100}|"
    r"PMAK-[\w-]{40,80}|dapi[0-9a-f]{32}|figd_[\w-]{30,60}|tskey-[\w-]{20,80}|AGE-SECRET-KEY-1[A-Z0-9]{50,60}|"
    r"\d{8,10}:AA[\w-]{30,40}|eyJ[\w-]{8,2000}\.eyJ[\w-]{8,2000}\.?[\w-]{0,2000}"
)
_ISSUED_SIGNS = (
    "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- glrt- gldt- glft- glsoat- glcbt- glptt- glagent- xox xapp- akia asia "
    "abia acca aiza ya29. !1//0 gocspx- "
    "sk- sk_ sk. pk- pk_ pk. rk- rk_ rk. hf_ sg. key- npm_ pypi- rubygems_ dop_v1_ doo_v1_ dor_v1_ hvs. hvb. shpat_ "
    "shpca_ shppa_ shpss_ sq0 whsec_ "
    "dckr_pat_ atatt3 lin_api_ nvapi- pmak- dapi figd_ tskey- age-secret- aa eyj"
)

DETECTORS = (
    Detector(
        "private-lines",
        r"Private-Lines:[ \t]{0,3}\d{1,3}[ \t]{0,3}\r?\n(?P<value>(?:[A-Za-z0-9+/=]{1,80}(?:\r?\n|\Z)){1,60})",
        below=61,
    ),
    Detector(
        "seed mnemonic recovery",
        r"(?:seed|recovery|mnemonic|backup)[ \t](?:phrase|words)[^\n:]{0,20}:\s{0,4}(?P<value>[a-z]{3,8}(?:(?:[ "
        r"\t,]{1,2}|\r?\n)[a-z]{3,8}){11,23})\b",
        below=25,
    ),
    Detector(_ISSUED_SIGNS, rf"(?<![\w-])(?:{_ISSUED})(?![\w-])", flags=0),
    Detector(
        "hooks discord discordapp",
        r"(?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks)/(?P<value>[\w/-]{10,200})",
    ),
    Detector(
        "!$",
        r"(?<![\w$])\$(?:1|2[abxy]?|5|6|7|y|gy|argon2(?:id?|d)|apr1|P|H|scrypt"
        r"|pbkdf2[\w-]{0,20})\$[./A-Za-z0-9$=,+-]{18,300}",
    ),
    Detector(
        "!{s !{c !{p !{m",
        r"\{(?:S?SHA(?:256|512)?|S?MD5|CRYPT|PLAIN(?:-MD5)?|PBKDF2|BLF-CRYPT|CLEARTEXT)\}(?P<value>[^\s\"']{4,200})",
    ),
    Detector(
        "authorization proxy x- private-token job-token api apikey",
        r"(?<![\w-])(?:(?:proxy-)?authorization|x-(?:[\w-]{0,30}-)?(?:token|key|secret|auth|auth-\w{1,20})"
        r"|private-token|job-token|api-?key|api-?token)[\"']?"
        r"[ \t]{0,2}[:=][ \t]{0,3}[\"']?(?:(?:basic|bearer|token|digest|negotiate|ntlm|apikey|key)[ "
        r"\t]{1,3})?(?P<value>[^\s\"'<>]{6,2000})",
        _is_given,
    ),
    Detector(
        "=bearer =basic", r"(?<!\w)(?:bearer|basic)[ \t]{1,2}(?P<value>[A-Za-z0-9._~+/-]{16,2000}={0,2})", _has_digit
    ),
    Detector(
        "=cookie =set-cookie", r"(?<![\w-])(?:set-)?cookie:[ \t]{0,3}(?P<value>[\w.!#$%&*+-]{1,60}=[^\n\"']{1,2000})"
    ),
    Detector(
        "=curl =wget =http =rclone",
        r"(?<!\S)(?:-u|--user|--proxy-user|--http-user)[ =]{0,2}[\"']?[^\s:\"']{1,64}:(?P<value>[^\s\"']{1,100})",
    ),
    Detector(
        "=smbclient =rpcclient =net =wmic",
        r"(?<![^\s])(?:-U|--user)[ =]{0,2}[\"']?[^\s%\"']{1,64}%(?P<value>[^\s\"']{1,100})",
    ),
    Detector(
        "mysql mariadb",
        r"\b(?:mysql|mariadb)[\w-]{0,12}[ \t][^\n|;]{0,200}?(?<=[ \t])-p(?P<value>(?![ \t])(?:"
        + _QUOTED
        + r"|[^\s\"'`<>|;]{1,200}))",
    ),
    Detector(
        "sshpass mongo redis-cli ldap ipmitool rdesktop docker unzip lftp 7z",
        r"\b(?:sshpass|mongo\w{0,7}|redis-cli|ldap\w{3,8}|ipmitool|rdesktop|docker[ \t]login|unzip|7z)[ \t][^\n"
        r"|;]{0,200}?(?<=[ \t])(?:-[apwP])[ \t]{0,2}"
        rf"(?!-){_BARE}",
        _is_given,
    ),
    Detector(
        "=htpasswd",
        r"\bhtpasswd[ \t]{1,3}-\w{0,6}b\w{0,6}[ \t]{1,3}\S{1,200}[ \t]{1,3}\S{1,64}[ \t]{1,3}(?P<value>\S{1,100})",
    ),
    Detector(
        "=echo =printf",
        r"\b(?:echo|printf)[ \t]{1,3}(?:-[ne]{1,2}[ \t]{1,3})?" + rf"(?P<value>{_QUOTED}|\S{{1,100}})"
        r"(?=[ \t]{0,3}\|[ \t]{0,3}(?:sudo|passwd|chpasswd|cryptsetup|gpg|openssl))",
    ),
    Detector("=net", r"\bnet[ \t]{1,3}user[ \t]{1,3}[\w.-]{1,40}[ \t]{1,3}(?P<value>[^\s/*]\S{0,99})"),
    Detector(
        "!/p: !/pw: !/pass: !/password:",
        r"(?<!\S)/(?:p|pw|pass|password):(?P<value>[^\s\"']{1,100}|\"[^\"\n]{1,100}\")",
    ),
    Detector("=pass =passin =passout", rf"(?<!\S)-pass(?:in|out)?[ \t]{{1,2}}pass:{_BARE}"),
    Detector(
        "=login", r"\blogin[ \t]{1,3}\S{1,64}[ \t\n]{1,3}password[ \t]{1,3}(?P<value>\S{1,100})", _is_given, below=1
    ),
    Detector(
        "!:5432: !:5433: !:6432: !:*:",
        r"(?<!\S)[\w.*-]{1,100}:(?:\d{2,5}|\*):[\w*.-]{1,64}:[\w*.-]{1,64}:(?P<value>[^\s:]{3,100})(?!\S)",
    ),
    Detector(
        "=secret =password", r"\b(?:secret|password)[ \t]{1,2}[05789][ \t]{1,2}(?P<value>[^\s\"']{4,100})", _has_digit
    ),
    Detector(
        "=identified !password(",
        r"\bidentified[ \t]{1,3}(?:with[ \t]{1,3}\w{1,40}[ \t]{1,3})?(?:by|as)[ \t]{1,3}(?:password[ \t]{1,3})?"
        rf"(?P<value>{_QUOTED})|\bpassword\([ \t]{{0,3}}(?P<hashed>{_QUOTED})",
    ),
    Detector(
        "=password", rf"\b(?:with|encrypted|set)[ \t]{{1,3}}password[ \t]{{1,3}}(?:=[ \t]{{0,3}})?(?P<value>{_QUOTED})"
    ),
    Detector(
        _OF_NAMES,
        rf"<(?:\w{{1,20}}:)?[\w.-]{{0,30}}{_NAME}[\w.-]{{0,20}}(?:[ \t][^<>\n]{{0,100}})?>[ "
        r"\t]{0,3}(?P<value>[^<>\n]{1,200})(?=</)",
        _is_given,
    ),
    Detector(
        _OF_NAMES,
        rf"(?:define|putenv|setenv|set|add)\([ \t]{{0,3}}[\"'][\w.-]{{0,40}}{_NAME}[\w.-]{{0,20}}[\"'][ \t]{{0,3}},[ "
        rf"\t]{{0,3}}(?P<value>{_QUOTED})",
    ),
    Detector(_OF_NAMES, rf"(?<![\w-])--[\w-]{{0,30}}?{_NAME}(?:[ \t]{{1,2}}|=)(?!-){_BARE}", _is_given),
    Detector(
        "!? !& !;",
        rf"[?&;](?:[\w.-]{{0,30}}[_.-])?(?:{_NAME}|sig|signature|code|key|auth|sid|otp|hash"
        r"|reset)(?:[_.-]\w{1,20})?=(?P<value>[^\s&#\"'<>]{4,500})",
        _is_given,
    ),
    Detector(
        _OF_NAMES,
        rf"(?<![\w.-])(?P<before>[\w.-]{{0,40}}?)(?P<name>{_NAME})s?(?:[_.-]\w{{1,20}})?\\{{0,3}}[\"']?\]?[ "
        rf"\t]{{0,4}}(?:=>|:=|==?|::?(?=[\"'\w ]))[ \t]{{0,4}}{_VALUE}",
        _is_key,
    ),
    Detector(
        "wireguard =wg wg0 =peer =interface",
        r"(?<![\w+/])[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=(?![\w=])",
        _is_wireguard,
        0,
    ),
    Detector(
        " ".join(f"={name}" for name in _USERS.split("|")),
        rf"(?<![\w.@/:-])(?:{_USERS})(?::|[ \t]{{0,2}}[/|][ \t]{{0,2}})(?P<value>[^\s:\"'<>/|,]{{4,64}}+)(?![\w:/@])",
        _is_login,
    ),
    Detector(
        "=cvv =cvv2 =cvc =cvc2 =csc kartenprüfnummer prüfnummer prüfziffer =cryptogramme",
        r"(?<!\w)(?:cvv2?|cvc2?|csc|kartenprüfnummer|prüfnummer|prüfziffer|cryptogramme)"
        + _FILLER
        + r"(?P<value>\d{3,4})(?!\d)",
    ),
    Detector(
        "=otp =totp =2fa =mfa =tan =sms *code =codes код =kod código codice einmal одноразов one-time one~time",
        rf"(?<!\w)(?:{_ONE_TIME}){_FILLER}(?P<value>\d{{3}}[ -]\d{{3}}|\d{{4,10}}"
        r"|(?=[A-Z-]{0,9}\d)[A-Z\d-]{5,12})(?![\w-])",
    ),
    Detector(
        "=epp auth transfer код =kod código codice =code",
        rf"(?<!\w)(?:{_TRANSFER})(?:[ \t]{{1,2}}(?:for|für|pour|para|per|для)[ "
        rf"\t]{{1,2}}\S{{1,64}})?{_FILLER}(?P<value>[^\s\"'<>]{{6,64}})",
        _has_digit,
    ),
    Detector(
        "=pin pincode pinnummer pinnumber пин пін pass =pw =pwd kennwort =mdp contrase =clave =parola парол hasł "
        "=senha heslo wachtwoord şifre =mot",
        rf"(?<![\w-])(?:{_PIN}){_FILLER}(?P<value>\d{{4,16}})(?![\w.,:/-]\w|\w)",
        _is_told,
    ),
)


_ALL = Detectors((*DETECTORS, *spoken.DETECTORS, *codes.DETECTORS))


def spans(text: str, lower: str) -> list[tuple[int, int]]:
    """(begin, end) of every credential of a text, in order; ``lower``: the same text in small letters."""
    found = [_masked(match) for match in _ALL.matches(text, lower)]
    found += spoken.columns(text, lower)
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(found):
        if joined and begin < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _masked(match: re.Match[str]) -> tuple[int, int]:
    for group in ("value", "hashed"):
        if group in match.re.groupindex and match[group] is not None:
            return match.span(group)
    return match.span()


def suspected(text: str, lower: str) -> bool:
    """Whether ``masked`` would find something in a text."""
    return bool(spans(text, lower))


def masked(text: str, lower: str, mask: str) -> tuple[str, int]:
    """(the text with every credential replaced by ``mask``, how many)."""
    found = spans(text, lower)
    pieces, done = [], 0
    for begin, end in found:
        pieces += [text[done:begin], mask]
        done = end
    return "".join([*pieces, text[done:]]), len(found)
