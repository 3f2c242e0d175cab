"""The author's own new words: quoted history, signatures and forwarded mail cut off.

Line rules only, each linear. Nothing is lost: the full text is kept beside, and when nothing else is left, or answers
stand between the quotes, the full text is what is shown.
"""

from __future__ import annotations

import re

#: the line in our own replies above which the customer writes; language-free
MARKER = "-- reply above this line --"

_WROTE = (
    r"wrote|writes|schrieb|a écrit|escribió|ha scritto|scrisse|escreveu|schreef|napisał\(?a?\)?|написал\(?а?\)?|пишет|"
    r"написав|пише|yazdı|napsal\(?a?\)?|skrev|kirjoitti"
)
_ATTRIBUTION = re.compile(
    rf"(?:{_WROTE})(?:\s[^:：]{{0,150}})?[:：]\s*$|(?:{_WROTE})\s*$|写道\s*[:：]\s*$|のメール\s*[:：]?\s*$",
    re.IGNORECASE,
)
_ON = re.compile(r"^(On|Am|Le|El|Il|Em|Op|W dniu|Dne|Den|Вт|Пн|Ср|Чт|Пт|Сб|Вс|Нд)\b|^\d{1,4}[./-]\d", re.IGNORECASE)
_DIVIDER = re.compile(
    r"^\s*[-_=*]{2,}\s*(original message|ursprüngliche nachricht|originalnachricht|message d'origine|mensaje original|"
    r"messaggio originale|mensagem original|forwarded message|weitergeleitete nachricht|message transféré|"
    r"mensaje reenviado|исходное сообщение|пересылаемое сообщение|пересланное сообщение|оригінальне повідомлення)"
    r"\s*[-_=*]{2,}\s*$",
    re.IGNORECASE,
)
_FORWARD = re.compile(r"^(begin forwarded message|anfang der weitergeleiteten nachricht)\s*:\s*$", re.IGNORECASE)
_HEADER = re.compile(
    r"^\s*\*?(From|Von|De|Da|От|Від|Kimden|Van|Od|Fra|Från)\s*:\*?\s+\S.*(@|\[mailto:|<)", re.IGNORECASE
)
_HEADER_NEXT = re.compile(
    r"^\s*\*?(Sent|Gesendet|Envoyé|Enviado|Inviato|Date|Datum|Отправлено|Дата|Надіслано|To|An|À|Para|A|Кому|"
    r"Subject|Betreff|Objet|Asunto|Oggetto|Тема|Gönderildi|Verzonden|Odesláno|Wysłano)\s*:\*?",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(r"^(-- ?|__+|—)$")
_MOBILE = re.compile(
    r"^(sent from my|sent from (outlook|yahoo|mail)|von meinem .{1,40} gesendet|gesendet von|envoyé de(puis)? mon|"
    r"enviado desde mi|inviato da(l mio)?|отправлено (с|из)|надіслано з|get outlook for)\b",
    re.IGNORECASE,
)


def _quote(line: str) -> bool:
    return line.lstrip(" \t").startswith((">", "|>"))


def _log_like(lines: list[str], index: int) -> bool:
    """A pasted log that uses ``>``: the line before is a prompt or the text after ``>`` looks like a command."""
    text = lines[index].lstrip(" \t>")
    return bool(re.match(r"(ping|traceroute|ssh|curl|tracert|nslookup|dig)\b", text))


def _attribution(lines: list[str], index: int) -> int:
    """How many lines the attribution beginning here takes; 0 when there is none."""
    line = lines[index].strip()
    if not line or len(line) > 300 or not ("@" in line or "<" in line or _ON.match(line)):
        return 0
    for count in (1, 2, 3):
        parts = [part.strip() for part in lines[index : index + count]]
        joined = " ".join(parts)
        if len(joined) > 400 or not all(parts):
            return 0
        begins = bool(_ON.match(joined)) or (count == 1 and ("@" in joined or "<" in joined))
        if begins and _ATTRIBUTION.search(joined[-240:]):
            return count
    return 0


def new_words(text: str) -> str:
    """The author's own words of ``text``; the whole text when nothing else is left or quotes are interleaved."""
    lines = text.split("\n")
    cut = len(lines)
    for index, line in enumerate(lines):
        if MARKER in line or _DIVIDER.match(line[:200]) or _FORWARD.match(line[:200]):
            cut = index
            break
        if (
            _HEADER.match(line[:300])
            and sum(bool(_HEADER_NEXT.match(n[:200])) for n in lines[index + 1 : index + 6]) >= 2
        ):
            cut = index
            break
        count = _attribution(lines, index)
        if count and _rest_is_quote(lines, index + count):
            cut = index
            break
    kept = lines[:cut]
    own = [line for index, line in enumerate(kept) if not _quote(line) or _log_like(kept, index)]
    own = _without_signature(own)
    result = re.sub(r"\n{3,}", "\n\n", "\n".join(own)).strip()
    return result or text.strip()


def _rest_is_quote(lines: list[str], start: int) -> bool:
    """Whether what follows an attribution is quoted to the end, or not marked at all (top posting)."""
    rest = [line for line in lines[start:] if line.strip()]
    if not rest:
        return True
    quoted = sum(map(_quote, rest))
    if quoted == 0:
        return True
    first_own = next((i for i, line in enumerate(rest) if not _quote(line)), len(rest))
    return first_own == len(rest) or (first_own > 0 and bool(_SIGNATURE.match(rest[first_own].strip())))


def _without_signature(lines: list[str]) -> list[str]:
    for index, line in enumerate(lines):
        if _SIGNATURE.match(line.strip()) and index > 0 and any(part.strip() for part in lines[:index]):
            return lines[:index]
        if _MOBILE.match(line.strip()[:100]) and any(part.strip() for part in lines[:index]):
            return lines[:index]
    return lines
