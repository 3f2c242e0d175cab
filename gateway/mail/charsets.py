"""Text from octets. The label decides where it can be right; what was assumed otherwise is told.

Labels are those of the WHATWG Encoding Standard (section 4.2), which is what mail programs and browsers mean by them
(``iso-8859-1`` is windows-1252), the families of labels that mail has besides them, and what Python knows. Order: a
byte order mark; valid UTF-8 against any single-byte label; the label; the charset that an HTML page names itself; the
alphabets of languages; charset-normalizer.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

SAMPLE = 2048  #: octets that the detection looks at, from the first that is beyond ASCII
_WHATWG = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8 utf8mb4 utf-8-sig "
             "unicode-2-0-utf-8",
    "cp866": "866 cp866 csibm866 ibm866 dos-866",
    "iso8859_2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859_3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859_4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859_5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso8859_6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e "
                 "iso-8859-6-i iso-ir-127 "
    "iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859_7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 "
                 "iso_8859-7:1987 "
    "sun_eu_greek",
    "iso8859_8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 "
                 "iso_8859-8:1988 "
    "visual csiso88598i iso-8859-8-i logical",
    "iso8859_10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859_13": "iso-8859-13 iso8859-13 iso885913 latin7 l7",
    "iso8859_14": "iso-8859-14 iso8859-14 iso885914 latin8 l8",
    "iso8859_15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9 latin9 latin0",
    "iso8859_16": "iso-8859-16 latin10 l10",
    "koi8_r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8_u": "koi8-ru koi8-u",
    "mac_roman": "csmacintosh mac macintosh x-mac-roman macroman",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874 x-windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 "
              "iso_8859-1 iso_8859-1:1987 l1 "
    "latin1 us-ascii windows-1252 x-cp1252 ansi iso646-us us usascii x-ansi",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 "
              "windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030 cp936 ms936 "
               "windows-936 euc-cn cn-gb "
    "gb18030-2000",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5 cp950 ms950 windows-950 big5-eten x-big5",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp eucjp ujis x-eucjp",
    "iso2022_jp_ext": "csiso2022jp iso-2022-jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 csiso2022jp2 jis x-jis "
                      "cp50220 cp50221",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis cp932 cp943 x-ms-cp932 "
             "x-mac-japanese",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 "
             "windows-949 ks_c_5601 euckr uhc "
    "x-windows-949 ksc5601-1987 x-mac-korean",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
    # what the standard replaces or does not have, and mail does
    "iso2022_kr": "csiso2022kr iso-2022-kr",
    "hz": "hz-gb-2312 hz hzgb",
    "utf-7": "utf-7 utf7 unicode-1-1-utf-7 csunicode11utf7 x-unicode20utf7",
    "mac_latin2": "x-mac-ce x-mac-centraleurroman maccentraleurope",
    "mac_greek": "x-mac-greek",
    "mac_turkish": "x-mac-turkish",
    "mac_iceland": "x-mac-icelandic",
    "mac_croatian": "x-mac-croatian",
    "mac_romanian": "x-mac-romanian",
    "koi8_t": "koi8-t",
    "kz1048": "kz-1048 strk1048-2002 rk1048",
    "ptcp154": "ptcp154 pt154 cp154 cyrillic-asian",
}  # fmt: skip
_BY_LABEL = {label: codec for codec, labels in _WHATWG.items() for label in labels.split()}
_SQUEEZED = {re.sub(r"[^a-z0-9]", "", label): codec for label, codec in _BY_LABEL.items()}
_PAGE = re.compile(r"(?:x?(?:windows|win|cp|ibm|ms|dos|oem|ansi|codepage|microsoftcp|mswin)+)?(\d{3,5})")
#: Microsoft's code pages that are known by their number alone
_PAGES = {
    "1200": "utf-16-le", "1201": "utf-16-be", "12000": "utf-32-le", "65000": "utf-7", "65001": "utf-8",
    "20127": "cp1252", "20866": "koi8_r", "21866": "koi8_u",
    "10000": "mac_roman", "10006": "mac_greek", "10007": "mac_cyrillic", "10029": "mac_latin2", "10081": "mac_turkish",
    "50220": "iso2022_jp_ext", "50221": "iso2022_jp_ext", "50222": "iso2022_jp_ext", "50225": "iso2022_kr",
    "51932": "euc_jp", "51936": "gb18030", "51949": "cp949", "52936": "hz", "54936": "gb18030",
} | {f"{28590 + part}": f"iso8859_{part}" for part in range(2, 17) if part != 12}  # fmt: skip
_ISO = re.compile(r"x?(?:iso)?8859(\d{1,2})[a-z]?")
_LATIN = re.compile(r"isolatin(\d{1,2})")
#: what Python has under other names and no mail may name: they are no charsets, or they hide something
_NO_CHARSETS = frozenset(
    ("idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined", "mbcs", "oem", "charmap",
    "unicode_internal")
)  # fmt: skip
#: labels that say nothing
_VOID = frozenset(("", "unknown-8bit", "x-unknown", "unknown", "default", "x-user-defined", "none", "binary", "8bit",
                   "7bit", "auto", "_autodetect", "_autodetect_all", "x-unknown-8bit", "utf", "iso", "text",
                   "plain"))  # fmt: skip
_WIDE = frozenset(("utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-32-le", "utf-32-be"))
_MULTIBYTE = frozenset(
    ("gb18030", "big5hkscs", "euc_jp", "iso2022_jp_ext", "cp932", "cp949", "iso2022_kr", "hz", "utf-7", "johab")
)
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
          (b"\xfe\xff", "utf-16"))  # fmt: skip
_META = re.compile(rb"<meta\b[^>]{0,400}?charset\s{0,5}=\s{0,5}[\"']?\s{0,5}([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_UTF8_MANY = re.compile(rb"(?:[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})")


@lru_cache(maxsize=512)
def codec_of(label: str) -> str | None:
    """The Python codec that a charset label means, ``None`` when nobody knows it or it says nothing."""
    name = label.strip(" \t\r\n\"'();,.*<>").lower().partition(";")[0].strip(" \"'")
    if name in _BY_LABEL:
        return _BY_LABEL[name]
    if name in _VOID or not name.isascii() or len(name) > 60:
        return None
    squeezed = re.sub(r"[^a-z0-9]", "", name)
    if squeezed in _SQUEEZED:
        return _SQUEEZED[squeezed]
    if (found := _PAGE.fullmatch(squeezed)) is not None:
        if found[1] in _PAGES:
            return _PAGES[found[1]]
        return _SQUEEZED.get(f"windows{found[1]}") or _SQUEEZED.get(f"cp{found[1]}") or _python(f"cp{found[1]}")
    if (found := _ISO.match(squeezed)) is not None and f"iso8859{found[1]}" in _SQUEEZED:
        return _SQUEEZED[f"iso8859{found[1]}"]
    if (found := _LATIN.fullmatch(squeezed)) is not None and f"latin{found[1]}" in _SQUEEZED:
        return _SQUEEZED[f"latin{found[1]}"]
    return _python(name)


def _python(name: str) -> str | None:
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError, UnicodeError):
        return None
    if not found._is_text_encoding or found.name.replace("-", "_") in _NO_CHARSETS:
        return None
    try:
        return found.name if "a".encode(found.name) == b"a" or found.name in _WIDE else None
    except (UnicodeError, ValueError):
        return None


def decode(data: bytes, label: str | None, html: bool = False, hint: str = "") -> tuple[str, str]:
    """(text, note): the note is empty when the label was right, else it says what was assumed.

    Args:
        data: the octets, transfer encoding undone.
        label: the declared charset, ``None`` or empty where there is none.
        html: whether a ``<meta>`` may name the charset.
        hint: the charset of the mail that this is a header field or a parameter of; it counts where there is no label.
    """
    for mark, marked in _MARKS:
        if data.startswith(mark):
            return data.decode(marked, "replace").removeprefix("\ufeff"), _note(label, marked)
    declared = codec_of(label) if label else None
    if declared == "cp1252" and not data.isascii() and "ascii" in (label or "").lower():
        declared = None  # eight bits are none of it
    if data.isascii() and declared not in _MULTIBYTE and declared not in _WIDE:
        escaped = _escaped(data)
        return (
            (data.decode("ascii"), "") if escaped is None else (data.decode(escaped, "replace"), _note(label, escaped))
        )
    if declared in _WIDE:
        return _wide(data, label, declared)
    given = _Given(data, label, declared, _sample(data))
    found = _whole(given) or _damaged(given) or _named(given, html, hint)
    if found is not None:
        return found
    guessed = detected(given.sample)
    return data.decode(guessed, "replace"), _note(label, guessed)


class _Given(NamedTuple):
    """Octets that are no ASCII, the label they came with and its codec, and some of the octets that are none."""

    data: bytes
    label: str | None
    declared: str | None
    sample: bytes


def _whole(given: _Given) -> tuple[str, str] | None:
    """As UTF-8, or as it is declared, where every octet fits."""
    data, label, declared, sample = given
    utf8 = _as_utf8(data)
    if utf8 is not None and not (
        declared in _MULTIBYTE and len(_UTF8_MANY.findall(sample)) < 4 and _strict(data, declared)
    ):
        return utf8, _note(label, "utf-8")
    strict = _strict(data, declared) if declared is not None else None
    return (strict, "") if strict is not None and _plausible(strict, declared or "", sample) else None


def _damaged(given: _Given) -> tuple[str, str] | None:
    """As it is declared, or as UTF-8, where all but a few octets fit: a character or two was cut."""
    data, label, declared, sample = given
    if declared in _MULTIBYTE or (declared == "utf-8" and _UTF8_MANY.search(sample)):  # else no octet of it is UTF-8
        text = data.decode(declared, "replace")
        if text.count("\ufffd") * 20 <= len(text):
            return text, f"charset: damaged {_shown(label)}"
    if len(_UTF8_MANY.findall(sample)) > 4:
        text = data.decode("utf-8", "replace")
        if text.count("\ufffd") * 50 <= len(text):
            return text, f"charset: {_shown(label)}, read as damaged utf-8"
    return None


def _named(given: _Given, html: bool, hint: str) -> tuple[str, str] | None:
    """As something else than the label says it is: a ``<meta>``, or the mail around it."""
    named = codec_of(_meta(given.data)) if html else codec_of(hint)
    if named is None or named in _WIDE or named == given.declared:
        return None
    strict = _strict(given.data, named)
    if strict is None or not (named == "cp1252" or _plausible(strict, named, given.sample)):
        return None
    return strict, _note(given.label, named)


def _shown(label: str | None) -> str:
    return re.sub(r"[^\x21-\x7e]", "?", label or "")[:40] or "no label"


def _note(label: str | None, codec: str) -> str:
    """What was assumed; nothing where the label means the same."""
    if label and (codec_of(label) == codec or (codec == "utf-16" and (codec_of(label) or "").startswith("utf-16"))):
        return ""
    if not label and codec == "utf-8":
        return ""
    return f"charset: {_shown(label)}, read as {codec}"


def _as_utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        # a text that was cut inside its last character is UTF-8 all the same
        if (
            error.start >= len(data) - 3
            and error.start > 0
            and not data[: error.start].isascii()
            and data[error.start] >= 0xC2
        ):
            return data[: error.start].decode("utf-8")
        return None


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeError, ValueError, LookupError):
        pass
    if codec.startswith(("cp125", "iso8859")):  # WHATWG: the few octets without a character are controls
        text = data.decode(codec, "replace")
        return text if text.count("\ufffd") * 100 <= len(text) else None
    return None


def _escaped(data: bytes) -> str | None:
    """The charset that shows itself by escape sequences in seven bits (RFC 1468, 1557, 1843)."""
    if b"\x1b$" in data:
        return "iso2022_kr" if b"\x1b$)C" in data else "iso2022_jp_ext"
    return None


def _wide(data: bytes, label: str | None, declared: str) -> tuple[str, str]:
    """UTF-16 without its mark: which half is first shows by where the blanks are (RFC 2781 section 4.3 says big-endian,
    Windows writes little-endian)."""
    if b"\0" not in data[:SAMPLE] and (utf8 := _as_utf8(data)) is not None:
        return utf8, _note(label, "utf-8")
    if "32" in declared:
        return data.decode(declared, "replace"), ""
    sample = data[: SAMPLE & ~1]
    little = sum(1 for at in range(0, len(sample) - 1, 2) if sample[at + 1] == 0 and sample[at] in b" \n\r.,")
    big = sum(1 for at in range(0, len(sample) - 1, 2) if sample[at] == 0 and sample[at + 1] in b" \n\r.,")
    codec = "utf-16-le" if little > big else "utf-16-be" if big > little else declared
    if codec == "utf-16":
        codec = "utf-16-be"
    return data.decode(codec, "replace"), _note(label, codec)


def _meta(data: bytes) -> str:
    """The charset that a page names itself; ``""`` when it names none."""
    found = _META.search(data[:4096])
    return found[1].decode("ascii") if found else ""


# --------------------------------------------------------------------------- what has no usable label

#: letters beyond ASCII of languages, and the codecs that they come in; an alphabet is never the union of two languages
_ALPHABETS = (
    ("cp1252 mac_roman cp850", ("äöüß", "éèêëàâçîïôùûüœæ", "áéíóúñü¿¡ºª", "ãõáâàéêíóôúçºª", "àèéìòù", "åäöæøé",
    "éëïöüèê", "áéíóúýþæðö", "äöüõšž")),
    ("cp1250 iso8859_2 cp852", ("áčďéěíňóřšťúůýž", "ąćęłńóśźż", "áéíóöőúüű", "ăâîșțşţ", "čćđšž", "áäčďéíĺľňóôŕšťúýž")),
    ("cp1254", ("çğıöşüâîİ",)),
    ("cp1257 iso8859_13", ("ąčęėįšųūž", "āčēģīķļņšūž")),
    ("cp1251 koi8_r koi8_u cp866 iso8859_5 mac_cyrillic", ("абвгдежзийклмнопрстуфхцчшщъыьэюяё",
    "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "абвгдђежзијклљмнњопрстћуфхцчџш", "абвгдеёжзійклмнопрстуўфхцчшыьэюя")),
    ("cp1253 iso8859_7", ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",)),
)  # fmt: skip
_NEUTRAL = frozenset("„“”‚‘’«»‹›–—…•·€£§°©®™№´`¨±²³½¼¾×\xa0\xad")
#: signs that stand in no word of any language: a letter of another charset
_INSIDE = re.compile(r"[^\W\d_][¹³¿¶¼¾±¡¦¬¯´¨·](?=[^\W\d_]|\s|\Z)")
#: how often the letters of Russian (and near enough Ukrainian) and of Greek come, of 10,000
_FREQUENCY = dict(zip("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъёіїєґ" "αοιετσνηυρπκμλςωίόάέδγχήθφύβώξζψ", (
    1097, 845, 801, 735, 670, 626, 547, 473, 454, 440, 349, 321, 298, 281, 262, 201, 190, 174, 170, 165, 159, 144, 121,
    97, 94, 73,
    64, 48, 36, 32, 26, 4, 4, 600, 60, 40, 1,
    950, 850, 800, 700, 800, 480, 640, 350, 390, 420, 430, 400, 330, 300, 400, 160, 220, 200, 200, 200, 170, 180, 120,
    150, 110, 85,
    100, 70, 80, 40, 35, 20), strict=True))  # fmt: skip
_USUAL = 450  #: the mean of these over a text
#: characters that come in nearly every text of a language
_COMMON = {
    "gb18030": "的一是不了我在有这个们到说和地时要就可你年会能对以为上来用问请谢服务器网站您好订单法从尽快帮助处理无",
    "big5hkscs": "的一是不了我在有這個們到說和地時要就可你年會能對以為上來用問請謝服務器網站您好訂單法從儘快幫助處理無",
    "cp949": "이다는을를에가의하고지도로한기서사니습세요안녕해주시부터합있문제확인부탁드립",
}
#: what charset-normalizer may find: what mail comes in, and nothing that looks like everything
_DETECTED = (
    "gb18030 big5 cp949 cp932 euc_jp cp1255 cp1256 cp1251 koi8_r koi8_u cp866 iso8859_5 cp1250 iso8859_2 cp1252 cp1253 "
    "iso8859_7 cp1254 cp1257 cp874 cp1258"
).split()
_SURE = 0.95


class _Letters:
    """The characters beyond ASCII of a text, counted once."""

    def __init__(self, text: str) -> None:
        self._counted = Counter(char for char in text if char > "\x7f" and char not in _NEUTRAL)
        self._total = sum(self._counted.values()) + len(_INSIDE.findall(text))
        self._turned = sum(b > "\x7f" and b.isupper() and a.islower() for a, b in pairwise(text))

    def share(self, alphabet: frozenset[str]) -> float:
        """Which share of them are letters of one language, upper case only where a word may have it."""
        if not self._total:
            return 0.0
        good = sum(n for char, n in self._counted.items() if char in alphabet or char.lower() in alphabet)
        return (good - 2 * self._turned) / self._total


def _usual(text: str) -> float:
    """How near the letters of a Cyrillic or Greek text come to their usual frequency; a little less where most are
    capitals."""
    letters = [char for char in text if "\u0370" <= char <= "\u04ff"]
    if not letters:
        return 0.0
    mean = sum(_FREQUENCY.get(char.lower(), 0) for char in letters) / len(letters)
    capitals = sum(char.isupper() for char in letters) * 2 > len(letters)
    return 0.6 + 0.4 * min(1.0, max(0.0, mean - 250) / (_USUAL - 250)) - 0.03 * capitals


_BY_CODEC = {
    codec: tuple(frozenset(letters) for letters in alphabets)
    for codecs_, alphabets in _ALPHABETS
    for codec in codecs_.split()
}
_WESTERN = frozenset().union(*_BY_CODEC["cp1252"])
_CYRILLIC_CODECS = tuple(_ALPHABETS[4][0].split())
_CASED_SCRIPTS = frozenset((*_CYRILLIC_CODECS, *_ALPHABETS[5][0].split()))


def _likeness(text: str, codec: str) -> float:
    counted = _Letters(text)
    found = max(counted.share(alphabet) for alphabet in _BY_CODEC[codec])
    if codec == "cp1252":  # a name from next door
        found = max(found, 0.97 * counted.share(_WESTERN))
        letters = [char for char in text if char.isalpha()]
        accents = sum(char > "\x7f" for char in letters)
        if accents > 3 and accents * 5 > len(letters) * 3:  # no language of the West
            found *= 0.5
    return found * _usual(text) if codec in _CASED_SCRIPTS else found


_HIGH = bytes(range(0xC0, 0x100))
_LETTERS = bytes((*range(0x41, 0x5B), *range(0x61, 0x7B)))
_BEYOND = re.compile(rb"[\x80-\xff]")


def _sample(data: bytes) -> bytes:
    """Where the octets beyond ASCII begin."""
    first = _BEYOND.search(data)
    start = max(0, first.start() - 100) if first else 0
    return data[start : start + SAMPLE]


def _plausible(text: str, codec: str, data: bytes) -> bool:
    """Whether a label can be right: the label that is put on anything, and one Cyrillic charset on another, show
    themselves."""
    if codec == "cp1252":
        high = len(data) - len(data.translate(None, _HIGH))
        letters = high + len(data) - len(data.translate(None, _LETTERS))
        # no language of the West writes two letters of five with accents
        return (high < 8 or high * 5 < letters * 2) and len(_INSIDE.findall(text)) < 2
    if codec not in _CYRILLIC_CODECS:
        return True
    found = _likeness(data.decode(codec, "replace"), codec)
    if found >= 0.85 or found == 0.0:
        return True
    others = ((name, _strict(data, name)) for name in _CYRILLIC_CODECS)
    return all(other is None or _likeness(other, name) < found + 0.15 for name, other in others)


def detected(sample: bytes) -> str:
    """The codec of octets that nothing else tells of; ``cp1252`` when nobody can know."""
    if (codec := _eastern(sample)) is not None:
        return codec
    best, likeness = "cp1252", 0.0
    for codec in _BY_CODEC:
        text = _strict(sample, codec)
        found = _likeness(text, codec) if text is not None else 0.0
        if found > likeness:
            best, likeness = codec, found
    if likeness >= _SURE or (likeness > 0.6 and sum(octet > 0x7F for octet in sample) < 12):
        return best
    return _normalizer(sample) or (best if likeness > 0.6 else "cp1252")


def _eastern(sample: bytes) -> str | None:
    """Japanese shows itself by its kana, Chinese and Korean by their commonest characters."""
    best, likeness = None, 0.25
    for codec in ("euc_jp", "cp932", "gb18030", "big5hkscs", "cp949"):
        text = _strict(sample, codec) or _strict(sample[:-1], codec)
        beyond = [char for char in text or "" if char > "\xff"]
        if len(beyond) < 2:
            continue
        common = _COMMON.get(codec, "")
        found = sum(char in common if common else "\u3041" <= char <= "\u30fe" for char in beyond) / len(beyond)
        if found > likeness:
            best, likeness = codec, found
    return best


def _normalizer(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes  # here: few mails need it, and it takes a while to load

    try:
        found = from_bytes(sample, cp_isolation=_DETECTED, enable_fallback=False).best()
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if found is None:
        return None
    return {"big5": "big5hkscs"}.get(found.encoding, found.encoding)
