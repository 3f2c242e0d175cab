"""Transfer encodings (RFC 2045 section 6), as they come: what the label says where it fits the octets, else what the
octets say."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

from gateway.mail.header import decode_words, unpadded

BASE64, QUOTED, UU, YENC, AS_IS = "base64", "quoted-printable", "uuencode", "yenc", ""
CHUNK = 256 * 1024
SAMPLE = 4096
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_ALPHABET = _ALPHABET + b"-_"  #: RFC 4648 section 5
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET) - {0x3D})
_BLANKS = b" \t\r\n"
_COMMENT = re.compile(r"\([^()]{0,200}\)")
_LABELS = {
    "base64": BASE64, "b64": BASE64, "mimeb64": BASE64, "xbase64": BASE64, "base": BASE64, "b": BASE64,
    "quotedprintable": QUOTED, "qp": QUOTED, "quotedprintible": QUOTED, "quoteprintable": QUOTED,
    "xquotedprintable": QUOTED, "q": QUOTED,
    "xuuencode": UU, "uuencode": UU, "xuue": UU, "uue": UU, "xuu": UU, "xyencode": YENC, "yencode": YENC, "xyenc": YENC,
    "7bit": AS_IS, "8bit": AS_IS, "binary": AS_IS, "7bits": AS_IS, "8bits": AS_IS, "none": AS_IS, "7": AS_IS,
    "8": AS_IS,
}  # fmt: skip
_ESCAPE = re.compile(rb"=[0-9A-Fa-f]{2}")
_HIGH_ESCAPE = re.compile(rb"=(?:[89A-Fa-f][0-9A-Fa-f]|3D|20)")
_SOFT = re.compile(rb"=[ \t]*+\r?\n")
_SOFT_BLANK = re.compile(rb"=[ \t]++(?=\r?\n)")
_WORDY = re.compile(rb"[A-Za-z]{2,}[ \t,.:;!?-]+[A-Za-z]{2,}|://")


def label_of(value: str) -> str | None:
    """The encoding that a field names, ``None`` when nobody knows it."""
    text = decode_words(value) if "=?" in value else value
    squeezed = re.sub(r"[^a-z0-9/;, ]", "", _COMMENT.sub("", text[:200]).lower()).strip()
    for one in (squeezed.replace(" ", ""), re.split(r"[/;, ]", squeezed, maxsplit=1)[0]):
        if one in _LABELS:
            return _LABELS[one]
    return None


def encoding_of(values: list[str], sample: bytes, words: bool) -> tuple[str, str]:
    """(the encoding of a part, a note where it is not what its label says).

    Args:
        values: the Content-Transfer-Encoding fields, none to several.
        sample: the first octets of the content.
        words: whether the content is text; anything else is what its label says.
    """
    known = [label for value in values if (label := label_of(value)) is not None]
    labelled = known[0] if known else AS_IS
    if len(set(known)) > 1:
        labelled = next((one for one in known if one and _fits(one, sample)), AS_IS)
    found = labelled
    if labelled == BASE64:
        if not _may_be_base64(sample, words):
            found = QUOTED if words and _is_quoted(sample) else AS_IS
    elif words and labelled == QUOTED:
        if not _ESCAPE.search(sample) and _is_base64(sample):
            found = BASE64
    elif words and labelled == AS_IS:
        if _is_base64(sample):
            found = BASE64
        elif _is_quoted(sample) and len(_SOFT.findall(sample)) + (not known) * bool(values) >= 1:
            found = QUOTED
    if found == labelled and len(set(known)) <= 1:
        return found, ""
    return found, f"transfer encoding: read as {found or '8bit'}"


def _fits(encoding: str, sample: bytes) -> bool:
    return _is_base64(sample) if encoding == BASE64 else bool(_ESCAPE.search(sample)) if encoding == QUOTED else True


def _is_quoted(sample: bytes) -> bool:
    """Whether a text is quoted-printable though nobody says so: escapes of octets that need one, and none that is
    wrong."""
    if not sample.isascii() or len(_HIGH_ESCAPE.findall(sample)) < 2:
        return False
    return sample.count(b"=") - len(_SOFT.findall(sample)) - len(_ESCAPE.findall(sample)) <= 0


def _pure(line: bytes) -> bool:
    return not line.translate(None, _ALPHABET + b"=" + _BLANKS) and not line.strip().count(b" ")


def _is_base64(sample: bytes) -> bool:
    """Whether a text is base64 though nobody says so: nothing but its alphabet, in long lines, and words when it is
    decoded."""
    lines = [line.strip() for line in sample.split(b"\n") if line.strip()]
    whole = lines[:-1] if len(sample) >= SAMPLE else lines
    if not whole or not all(map(_pure, whole)) or len(whole[0]) < 24 or (len(whole) > 1 and len(whole[0]) % 4):
        return False
    if len(whole) == 1 and len(whole[0]) % 4:
        return False
    decoded = unpadded(whole[0])
    controls = sum(octet < 9 or 13 < octet < 27 or octet == 127 for octet in decoded)
    try:
        return controls == 0 and bool(decoded[:-3].decode("utf-8"))
    except UnicodeDecodeError:
        return controls == 0 and len(whole) > 1 and any(octet in b" \n" for octet in decoded)


def _may_be_base64(sample: bytes, words: bool) -> bool:
    """Whether what is labelled base64 can be: most of it is. Of words, a short one that says nothing when decoded is
    only a word."""
    good = bad = 0
    for line in sample.split(b"\n"):
        left = line.translate(None, _ALPHABET + b"=\r\t ")
        length = len(line.strip())
        if not length:
            continue
        if _is_code(line, left):
            good += length
        else:
            bad += length
    return good >= bad and not (words and bad == 0 and good < 64 and _babble(sample))


def _is_code(line: bytes, left: bytes) -> bool:
    """Whether a line is base64, with at most a little junk in it."""
    blanks = line.strip().count(b" ")
    if not left and not blanks:
        return True
    return (len(left) + blanks) * 10 <= len(line) and len(line) >= 40 and not left.isalpha()


def _babble(sample: bytes) -> bool:
    """Whether a short word in the letters of base64 is only a word: decoded, it says nothing."""
    decoded = unpadded(sample)
    controls = any(octet < 9 or 13 < octet < 27 or octet in (28, 29, 30, 31, 127) for octet in decoded)
    return b"\0" not in decoded and controls and not decoded.startswith((b"\xff\xfe", b"\xfe\xff"))


# --------------------------------------------------------------------------- decoding


def chunks(data: bytes | bytearray, start: int, end: int) -> Iterator[bytes]:
    """The octets between two offsets, in pieces."""
    for offset in range(start, end, CHUNK):
        yield bytes(data[offset : min(offset + CHUNK, end)])


def decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The content of a part, piece by piece: memory stays bounded whatever its length."""
    if encoding == BASE64:
        yield from _base64(pieces)
    elif encoding == QUOTED:
        carry = b""
        for piece in pieces:
            piece = carry + piece
            usable = piece.rfind(b"\n") + 1
            yield quoted(piece[:usable])
            carry = piece[usable:]
        yield quoted(carry)
    elif encoding in (UU, YENC):
        from gateway.read import embedded

        whole = b"".join(pieces)
        content = embedded.uudecoded(whole) if encoding == UU else embedded.ydecoded(whole)
        yield whole if content is None else content
    else:
        yield from pieces


def _base64(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Every block of base64 there is: padding ends a block, and another one may follow."""
    carry = b""
    for piece in pieces:
        piece = carry + piece.translate(None, _NOT_BASE64)
        *blocks, last = piece.split(b"=")
        yield b"".join(unpadded(block) for block in blocks if block)
        usable = len(last) - len(last) % 4
        yield binascii.a2b_base64(last[:usable])
        carry = last[usable:]
    yield unpadded(carry)


def quoted(data: bytes) -> bytes:
    """Quoted-printable; escapes that are none stay as they are."""
    return binascii.a2b_qp(_SOFT_BLANK.sub(b"=", data))


def words_in_base64(data: bytes) -> tuple[bytes, bytes]:
    """(what the base64 of a text part says, the lines of plain words in it: footers that somebody added without
    decoding)."""
    if not data.translate(None, _ALPHABET + b"=" + _BLANKS):
        return b"".join(_base64((data,))), b""
    if (
        not data.translate(None, _URL_ALPHABET + b"=" + _BLANKS)
        and b"+" not in data
        and b"/" not in data
        and b"--" not in data
    ):
        return b"".join(_base64((data.translate(_FROM_URL),))), b""
    code: list[bytes] = []
    words: list[bytes] = []
    for line in data.split(b"\n"):
        left = line.translate(None, _ALPHABET + b"=\r\t ")
        if (not left and not line.strip().count(b" ") and not words) or _is_code(line, left):
            code.append(line)
        elif _WORDY.search(line) or words:
            words.append(line)
    return b"".join(_base64((b"\n".join(code),))), b"\n".join(words)
