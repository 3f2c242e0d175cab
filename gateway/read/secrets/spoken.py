"""Secrets as people put them beside a label without a sign between: the value first, a compound, a table, a line below.

Nothing but the look of the value tells it from the words around it, so it must look like a password and like no name of
a machine: small and capital letters with a digit, or a sign among letters.
"""

from __future__ import annotations

import re

from gateway.read.late import late
from gateway.read.secrets.detector import NOT_VALUE, Detector, has_any

_LABEL = (
    r"(?:pass(?:[- ]?(?:word|wd|code|phrase))?|pwd?|passwort|kennwort|mot de passe|mdp|contraseña|clave|parola(?: "
    r"d['’]ordine)?|"
    r"парол[ьяю]|hasło|senha|heslo|wachtwoord|şifre)"
)
_SIGNS = "pass =pw =pwd kennwort =mot =mdp contrase =clave parola парол hasł =senha heslo wachtwoord şifre"
_VALUE = r"(?P<value>[^\s\"'«»„“`<>(),;]{5,64})"
_OWN = r"(?:my|the|our|new|mein|das|unser|mon|le|notre|mi|la|nuestra|mia|il mio|мой|наш|новый|мій)"
_OF = r"(?:for|of|to|für|von|zum|zur|vom|pour|du|de|para|del|di|для|от|від|до|к|do|od|voor|van)"
_BOX = (
    r"(?:ipmi|idrac|ilo|bmc|kvm|vnc|rdp|ssh|ftp|wi-?fi|wlan|wpa2?|vpn|cpanel|plesk|panel|credentials?|creds|logins?"
    r"|zugangsdaten|"
    r"identifiants|credenciales|credenziali|доступы?|(?:root|admin)[ -](?:access|zugang|login))"
)
_USERS = r"(?:root|admin|administrator|user|ubuntu|debian)"
_NO_SECRET_CODE = late(
    r"(?:error|status|exit|return|http|postal|zip|post|country|area|promo|discount|coupon|voucher|source|qr|fehler"
    r"|status)[- ]?\Z",
    re.IGNORECASE,
)


def _looks(match: re.Match[str]) -> bool:
    """Whether the value can hardly be a word, a host, an address or a machine's name."""
    value = match["value"].rstrip(".,;:!?")
    if (
        len(value) < 5
        or "://" in value
        or re.fullmatch(r"[\w.+-]+@[\w.-]+|[A-Za-z]+[_/-]v?\d+(?:\.\d+)+\w*|[#№]?\d[\d.:/-]*|\[masked\]", value)
    ):
        return False
    inside = value[1:-1]
    mixed = any(c.isdigit() for c in value) and any(c.islower() for c in value) and any(c.isupper() for c in value)
    return (
        mixed
        or bool(re.search(r"\w[!$%^&*+=?~#]+\w", value))
        or bool(re.search(r"[a-z][A-Z]", inside) and "." not in value)
    )


def _looks_numbered(match: re.Match[str]) -> bool:
    """The same behind a label that leaves no doubt: a digit among letters is enough."""
    value = match["value"].rstrip(".,;:!?")
    return _looks(match) or (any(c.isdigit() for c in value) and any(c.isalpha() for c in value) and "." not in value)


def _is_code(match: re.Match[str]) -> bool:
    return not _NO_SECRET_CODE.search(match.string, max(0, match.start() - 12), match.start())


def _looks_mixed(match: re.Match[str]) -> bool:
    """Whether it is surely none of a machine, a program or a person: a sign among letters of both sizes, with a
    digit."""
    value = match["value"].rstrip(".,;:)")
    mixed = any(c.isdigit() for c in value) and any(c.islower() for c in value) and any(c.isupper() for c in value)
    return mixed and bool(re.search(r"[!$%^&*+=?~#]", value)) and "://" not in value and "@" not in value


def _is_given(match: re.Match[str]) -> bool:
    return not NOT_VALUE.match(match["value"])


def _is_seed(match: re.Match[str]) -> bool:
    return any(char.isdigit() for char in match["value"]) and bool(re.search(r"[A-Za-z]", match["value"]))


def _has_digit(match: re.Match[str]) -> bool:
    return any(char.isdigit() for char in match["value"])


DETECTORS = (
    Detector(  # "S3cret is my password", "S3cret (root password)", "set it to S3cret as password"
        _SIGNS,
        rf"(?<![\w@./-]){_VALUE}[\"'“»]?[ \t]{{1,2}}(?:(?:is|was|ist|est|es|è|это|це|—|–|-)[ \t]{{1,2}}(?:{_OWN}[ "
        r"\t]{1,2})?"
        rf"(?:\w{{1,12}}[ \t]{{1,2}})?{_LABEL}(?!\w)|as[ \t]{{1,2}}(?:(?:the|my|a|new|root)[ "
        rf"\t]{{1,2}}){{0,2}}{_LABEL}(?!\w)|"
        rf"\((?:\w{{1,12}}[ \t]){{0,2}}{_LABEL}\))",
        _looks,
    ),
    Detector(  # "password for the server S3cret"
        _SIGNS,
        rf"(?<![\w-]){_LABEL}(?:[ \t]{{1,2}}{_OF}(?:[ \t]{{1,2}}[^\s:=]{{1,24}}){{1,2}}?)?[ \t]{{1,3}}{_VALUE}(?!\S)",
        _looks,
    ),
    Detector(  # "Kundenpasswort S3cret"
        "*passwor *kennwort *wachtwoord",
        r"(?<!\w)\w{1,24}(?:passwor[dt]|kennwort|wachtwoord)(?:[ \t]{0,3}[:=][ \t]{0,3}|[ \t]{1,3}(?:(?:ist"
        rf"|lautet|is)[ \t:]{{1,3}})?){_VALUE}",
        _looks_numbered,
    ),
    Detector(  # several words
        "passphrase pass~phrase pass-phrase passphras",
        r"(?<!\w)pass[ -]?phrase[ \t]{0,2}(?:[:=]|is|ist|lautet)[ \t]{0,3}(?P<value>[^\s<>][^\n<>]{3,200})",
    ),
    Detector(  # "IPMI ADMIN S3cret", "credentials: root S3cret"
        "ipmi idrac =ilo =bmc =kvm =vnc =rdp =ssh =ftp =wifi =wi-fi =wi~fi =wlan =wpa =wpa2 =vpn cpanel plesk =panel "
        "credential =creds login zugangsdaten "
        "identifiants credenciales credenziali доступ =root =admin",
        rf"(?<![\w-]){_BOX}(?:[ \t]{{1,2}}(?:key|login|access|user|data|schlüssel))?(?:[ \t]{{0,2}}:[ \t]{{0,2}}|[ "
        r"\t]{1,2})"
        rf"(?:{_USERS}[ \t/|:,]{{1,3}})?{_VALUE}(?!\S)",
        _looks,
    ),
    Detector(  # "Password ....: S3cret", "| password | S3cret |"
        _SIGNS,
        rf"(?<![\w-]){_LABEL}(?:(?:[ \t]?[._·]){{2,60}}[ \t:=]{{0,3}}|[ \t]{{0,20}}[|¦][ \t]{{0,20}}){_VALUE}",
        _looks_numbered,
    ),
    Detector(  # "set the password to S3cret", "Passwort bitte auf S3cret"
        _SIGNS,
        rf"(?<![\w-]){_LABEL}(?:[ \t]{{1,2}}(?:bitte|please|s['’]il vous plaît|por favor|per favore|пожалуйста))?[ "
        rf"\t]{{1,2}}(?:to|auf|in|à|a|en|su|na|на)[ \t]{{1,2}}{_VALUE}",
        _looks_numbered,
    ),
    Detector(  # YAML: a block of lines, the value of a variable with its name above
        "pass =pw pwd *password *secret *token *key",
        rf"(?:{_LABEL}|secret|token|key)[\"']?:[ \t]{{0,3}}[|>][-+]?[ \t]{{0,3}}\r?\n[ \t]{{1,20}}{_VALUE}",
        below=1,
    ),
    Detector(  # "password:" above "value: S3cret"
        _SIGNS,
        rf"(?<![\w-]){_LABEL}:[ \t]{{0,3}}\r?\n[ \t]{{0,20}}(?:value|wert|valeur|valor|valore):[ \t]{{0,3}}{_VALUE}",
        below=1,
    ),
    Detector(
        "*pass *pwd *secret *token *key",
        r"name:[ \t]{0,3}[\"']?[\w.-]{0,40}(?:pass|pwd|secret|token|key)[\w.-]{0,20}[\"']?[ \t]{0,3}\r?\n[ "
        r"\t]{0,20}value:[ \t]{0,3}(?P<value>\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|[^\s\"']{1,200})",
        below=1,
    ),
    Detector(  # "root S3cret": with both a sign and a digit, or letters of both sizes, it is no name of a machine
        "=root =administrator",
        rf"(?<![\w@./-])(?:root|administrator)[ \t]{{1,3}}{_VALUE}(?!\S)",
        _looks_mixed,
    ),
    Detector(
        "support-pin telefon-pin phone-pin kunden-pin =sec~code code~word codeword =secret~answer =security~answer "
        "maiden sicherheitsantwort kennwortfrage mädchenname кодовое девичья",
        r"(?<!\w)(?:(?:support|telefon|phone|kunden)[ -]?pin(?=[ \t]{0,3}(?:[:=\d]|is|ist))|sec(?:urity)?\.?[ ]code"
        r"|code[ -]?word|(?:secret|security)[ ]answer|maiden[ ]name|sicherheitsantwort|mädchenname|"
        r"кодовое[ ]слово|девичья[ ]фамилия(?:[ ]матери)?)(?:[ \t]{0,2}\([^)\n]{1,30}\))?[ \t]{0,3}(?:[:=]|is[ \t]"
        r"|ist[ \t]|lautet[ \t]|—|–|(?=\d{4}))[ \t]{0,3}(?P<value>[^\s\"'<>,;]{3,40})",
        _is_given,
    ),
    Detector(  # the seed of a second factor, in groups of four
        "=totp =otp =2fa authenticator setup =seed",
        r"(?<!\w)(?:totp|otp|2fa|mfa|authenticator|setup)[ -]{0,2}(?:seed|secret|key|code)?[ \t]{0,2}[:=]?[ "
        r"\t]{0,3}(?P<value>(?:[a-z2-7]{4}[ -]){3,15}[a-z2-7]{4}(?![a-z2-7])"
        r"|(?=[A-Z]{0,60}[2-7])[A-Z2-7]{16,64})(?!\w)",
        _is_seed,
    ),
    Detector("!otpauth-migration:", r"otpauth-migration:\S{0,40}?data=(?P<value>[^\s&\"'<>]{8,2000})"),
    Detector("!wifi:", r"(?<!\w)wifi:[^\n]{0,120}?P:(?P<value>[^;\n]{1,64});"),
    Detector("=passwd", rf"\bpasswd[ \t]{{1,3}}[\w.-]{{1,32}}[ \t]{{1,3}}{_VALUE}(?!\S)", _looks_numbered),
    Detector("=ssh", rf"\bssh\b[^\n|;]{{0,200}}?(?<=[ \t])-p[ \t]{{0,2}}(?!\d{{1,5}}(?!\S)){_VALUE}", _looks_numbered),
    Detector(
        "recovery backup scratch",
        r"(?<!\w)(?:recovery|backup|scratch)[ -]?codes?[ \t]{0,2}(?::|are|is)?\s{0,3}"
        r"(?P<value>(?=[\w-]{0,15}\d)[\w-]{6,16}(?:[ \t,;]{0,3}\n?[ \t]{0,3}(?=[\w-]{0,15}\d)[\w-]{6,16}){0,19})(?!\w)",
        _has_digit,
        below=20,
    ),
    Detector(  # "the code that I got is 483920"
        "=code =код",
        r"(?<!\w)(?:code[ \t]{1,2}(?:that|which|i|you|we)|код,?[ \t]{1,2}котор\w{1,4})\b[^.\n]{0,40}?[ \t](?:is|was|—"
        r"|это|:)[ \t]{1,2}(?P<value>\d{4,8})(?!\w)",
        _is_code,
    ),
    Detector("=puk", r"\bpuk[ \t:]{1,3}(?P<value>\d{6,10})(?!\d)"),
    Detector(  # the label on a line of its own
        _SIGNS,
        rf"(?:\A|(?<=\n))[ \t>|]{{0,4}}(?:\w{{1,20}}[ \t])?{_LABEL}[ \t]{{0,2}}:?[ \t]{{0,2}}\r?\n(?:[ \t>"
        rf"|]{{0,4}}\r?\n)?[ \t>|]{{0,4}}{_VALUE}(?=[ \t]{{0,4}}(?:\r?\n|\Z))",
        _looks_numbered,
        below=2,
    ),
)

_HEAD = late(rf"(?:\w{{1,20}}[ -])?{_LABEL}", re.IGNORECASE)
_CELLS = (
    late(r"\t+"),
    late(r"[ \t]*\|[ \t]*"),
    late(r" {2,}"),
    late(r";"),
    late(r",(?! )"),
)
_DIVIDED = late(r"[\t|;,]|  ")
MAX_ROWS = 50  #: below the head of a table
MAX_TABLES = 20
_HINTS = (
    "pass",
    "pwd",
    "pw",
    "kennwort",
    "mot de",
    "mdp",
    "contrase",
    "clave",
    "parola",
    "парол",
    "hasł",
    "senha",
    "heslo",
    "wachtw",
    "şifre",
)

_HAS_HINT = has_any(_HINTS)


def columns(text: str, lower: str) -> list[tuple[int, int]]:
    """(begin, end) of what stands in a table below a cell that is a label: cells are divided by tabs, bars or wide
    blanks."""
    if not _HAS_HINT(lower) or not _DIVIDED.search(text):
        return []
    found: list[tuple[int, int]] = []
    lines = list(re.finditer(r"[^\n]+", text))
    number = tables = 0
    while number < len(lines) and tables < MAX_TABLES:
        line, number = lines[number], number + 1
        if not _DIVIDED.search(text, line.start(), line.start() + 400) or not any(
            hint in lower[line.start() : line.start() + 400] for hint in _HINTS
        ):
            continue
        head = _head(line[0])
        if head is not None:
            below = _below(lines[number : number + MAX_ROWS], *head)
            found, number, tables = found + below, number + len(below), tables + 1
    return found


def _head(line: str) -> tuple[re.Pattern[str], int, int] | None:
    """(what divides the cells, how many, which one is a label) of the head of a table."""
    for divider in _CELLS:
        cells = [cell.strip() for cell in divider.split(line.strip()[:400])]
        if len([cell for cell in cells if cell]) < 2 or any(len(cell) > 40 for cell in cells):
            continue
        at = next((place for place, cell in enumerate(cells) if _HEAD.fullmatch(cell)), None)
        if at is not None:
            return divider, len(cells), at
    return None


def _below(lines: list[re.Match[str]], divider: re.Pattern[str], width: int, at: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for line in lines:
        row = line[0][:1000]
        cells, begin = [], len(row) - len(row.lstrip())
        for cut in divider.finditer(row.rstrip(), begin):
            cells.append((begin, cut.start()))
            begin = cut.end()
        cells.append((begin, len(row.rstrip())))
        if len(cells) != width:
            break
        start, end = cells[at]
        if end > start and re.search(r"\w", row[start:end]):
            found.append((line.start() + start, line.start() + end))
    return found
