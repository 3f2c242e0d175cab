"""Lines that a person did not write but pasted: logs, commands and their output, error messages."""

from __future__ import annotations

import functools
import re

from gateway.read.late import late
from gateway.read.tables import EVERY_MAIL, Beginnings, lowered

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_STAMP = (
    rf"\[?\d{{4}}[-/]\d\d[-/]\d\d[tT ]\d\d:\d\d|\[?(?:(?:mon|tue|wed|thu|fri|sat|sun) )?{_MONTH}[ ]{{1,2}}\d{{1,2}} "
    r"\d\d:\d\d:\d\d|\[ {0,6}\d{1,9}\.\d{6}\]|\d\d:\d\d:\d\d[.,]\d"
)
_PROGRAM = (
    r"(?:rsync|ssh|scp|sftp|curl|wget|mysql|mysqld|mariadb|nginx|apache2?|httpd|apt|apt-get|dpkg|yum|dnf|systemctl"
    r"|systemd|postfix|dovecot|exim|docker|php|python3?|"
    r"java|npm|git|mount|fsck|e2fsck|kernel|sshd|cron|crontab|bash|sh|sudo|psql|pg_dump|mysqldump|tar|cp|mv|rm|fatal"
    r"|error|warning|panic|e|w|critical|ata\d{1,2}(?:\.\d\d)?|sd[a-z]|md\d|nvme\d{1,2}|"
    r"php fatal error|php warning|uncaught|unhandled|traceback|caused by|exception in)"
)
#: lines of a traceroute, a ping, a log or a table of connections: they name everybody on the way
_PASSERS_BY = late(
    rf"[ \t>|]{{0,8}}(?:{_STAMP}|from [0-9a-f:.]{{3,45}}:?[ \t]{{1,3}}(?:icmp|\()|\d{{1,5}} bytes from "
    r"|\d{1,3}(?:\.\d{1,3}){3} - \S{1,40} \[|(?:tcp|udp)[46]?[ \t]|inet6? |--- |"
    r"\S{1,40} (?:sshd|kernel|postfix|dovecot|named|nginx|cron|systemd)\[)"
)
#: "  5  gw.example (203.0.113.1)  31.2 ms"
_HOP = late(r"[ \t>|]{0,8}\d{1,2}[ \t|.]{1,6}\S")
_HOP_SIGNS = late(r"\bms\b|\*[ \t]{1,4}\*|[ \t]\d{1,3}\.\d{1,3}%|\[as\d")


def names_passers_by(lower: str) -> bool:
    """Whether a line (in small letters) names whoever came by: a hop, a log entry, a connection."""
    return (
        bool(_PASSERS_BY.match(lower))
        or "hops max" in lower
        or (bool(_HOP.match(lower)) and bool(_HOP_SIGNS.search(lower)))
    )


_OUTPUT = late(
    rf"^[ \t>|]{{0,8}}(?:{_STAMP}|[$#][ ][a-z./]|\S{{1,30}}@\S{{1,60}}[:~][^ ]{{0,60}}[$#]|[a-z]:\\|ps [a-z]:|mysql>"
    r"|\d{1,5} bytes (?:from|of)|from [0-9a-f:.]{3,45}:?[ ]{1,3}icmp|ping6? \S{1,80} ?\(|"
    r"device: /dev/|traceroute (?:to|6)|tracing route|\d{1,9} packets transmitted|rtt min|round-trip min|--- "
    r"\S{1,80} ping|(?:reply from|antwort von|réponse de|respuesta desde|risposta da|resposta de|odpowiedź z|ответ "
    r"от|відповідь від|antwoord van|odpověď od)[ ][0-9a-f]|"
    r"(?:request timed out|zeitüberschreitung der anforderung|délai d'attente|tiempo de espera agotado|richiesta "
    r"scaduta|превышен интервал|перевищено інтервал)|"
    r"[ \t]{0,4}\d{1,2}[ \t]{1,4}(?:\*|<?\d{1,5}(?:\.\d{1,3})?[ ]ms|[\w.-]{1,80}[ ]{1,3}\(?\d{1,3}\."
    r"|\d{1,3}\.\d{1,3}\.)|[45]\d\d[ -][45]\.\d{1,3}\.\d{1,3}|(?:421|45[0-2]|55[0-4])[ "
    r"-](?=[^\n]{0,200}(?:\bip\b|blacklist|blocked|block list|rejected|denied|spam|mailbox|relay|smtp|refused"
    r"|unknown user|user unknown|problem occur))|http/[\d.]{1,3} [1-5]\d\d|"
    rf"{_PROGRAM}(?:\[\d{{1,9}}\])?: ?\S|\S{{1,40}}\[\d{{1,9}}\]: |\S{{1,60}} kernel: |kernel: |\[(?:error|warn"
    r"|warning|note|notice|crit|critical|emerg|alert|info|fatal|debug|system)\][ ]?\S|traceback \(most|file "
    r"\"[^\"]{1,200}\", line \d|at [\w.$<>]{2,200}\(|[\w.]{3,80}(?:error|exception): |[ \t]{0,2}\d{1,3} "
    r"[a-z][a-z_-]{4,40}[ \t]{1,20}0x[0-9a-f]{4}[ \t]|error \d{3,5}|"
    r"the connection to the server \S{1,80} was refused|unable to connect to the server: |error from server |"
    r"[ \t]{0,4}\d{1,2}\.\|-- |"
    r"\d{1,3}: \S{1,20}: <[a-z,_]{2,99}> mtu |[ \t]{1,8}inet6? [\da-f.:]{3,45}(?:/|[ ]{1,2}netmask)|"
    r"[ \t]{0,4}\d{1,2}\.[ \t]{1,4}(?:\?\?\?|[\w-]{1,40}[.:][\w.:-]{1,60})[ \t]{2,60}\d{1,3}(?:\.\d)?%|"
    r"%cpu\(s\)|(?:kib|mib) (?:mem|swap)|tasks: \d|\[ {0,3}(?:id|\d{1,3})\] {1,4}(?:interval|\d{1,4}\.\d\d-)|md\d{1,3} "
    r": active|[ \t]{0,8}\d{5,15} blocks (?:super )?[\d.]{0,4} ?\[|(?:tcp|udp)[46]?[ \t]{2,12}\d|● "
    r"?[\w@.-]{1,80}\.service|[ \t]{0,8}active: (?:failed|inactive|activating)|"
    # columns of numbers, of which one has a point, a percent sign or a unit, or that are aligned: no telephone number
    r"(?=[^\n]{0,200}(?:\d[.%kmgt]|[ \t]{2}\d))(?:\S{1,40}[ \t]{1,20}){1,3}(?:\d{1,12}(?:\.\d{1,6})?[%kmgt]?i?[ "
    r"\t]{1,20}){4})",
    re.IGNORECASE,
)
_MESSAGES = Beginnings(among=EVERY_MAIL, hints=(
    "no space left on device", "connection refused", "connection timed out", "connection reset by peer",
    "connection closed by", "no route to host", "segmentation fault", "out of memory:", "out of memory (",
    "out of memory error",
    "oom-kill", "kernel panic", "i/o error", "destination host unreachable", "destination net unreachable",
    "destination unreachable", "permission denied (", "name or service not known",
    "timeout during connect", "operation timed out", "too many connections", "access denied for user",
    "could not connect to server", "handshake failed", "host key verification failed",
    "too many authentication failures", "read-only file system", "disk quota exceeded", "cannot allocate memory",
    "nxdomain", "servfail", "dns_probe_", "no bootable device", "grub rescue", "certificate has expired", "core dumped",
    "x509:", "sqlstate[", "ssl_error_", "err_connection", "err_ssl", "err_name", "err_cert", "err_timed", "err_empty",
))  # fmt: skip
#: cheap: what no pasted line lacks
_ODD = late(r"[\d:$#\\(>]")
MAX_LINES = 4000


def is_pasted(line: str) -> bool:
    """Whether the line looks like the output of a program rather than a person's words."""
    return _is_pasted(line[:400])


@functools.lru_cache(maxsize=2048)  # several readers ask about the same lines
def _is_pasted(head: str) -> bool:
    return bool(_ODD.search(head)) and bool(_OUTPUT.match(head))


def has_diagnostics(text: str) -> bool:
    """Whether logs, output or error messages are in the text, which is what the desk asks for."""
    return bool(_MESSAGES.places(lowered(text), 1)) or any(
        is_pasted(line) for line in text.split("\n")[:MAX_LINES] if line
    )


def prose(text: str) -> str:
    """The text without its pasted lines."""
    return "\n".join("" if is_pasted(line) else line for line in text.split("\n"))
