"""The caps of reading. Whatever is longer, deeper or more is cut before any parser sees it, and ``notes`` says so."""

MAX_HEADER_BLOCK = 256 * 1024  #: octets of a header, of the mail or of a part
MAX_FIELD = 32 * 1024  #: octets of one header field
MAX_FIELDS = 1000
MAX_LINES = 4000  #: of a header whose signatures are looked at
MAX_PARTS = 1000
MAX_DEPTH = 50
MAX_TEXT = 256 * 1024  #: characters of the words of a mail
MAX_SOURCE = (
    4 * 1024 * 1024
)  #: octets of one text part that are looked at; styles and pictures are taken out of them first
MAX_REFERENCES = 50
MAX_INSIDE = 32 * 1024 * 1024  #: octets of a part that is unpacked (TNEF, S/MIME, a multipart in base64)
