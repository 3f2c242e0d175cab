"""IP addresses and networks that can be a customer's server. Linear expressions plus ``ipaddress``.

Customers paste traceroutes and logs full of other people's addresses: what stands in such a line only, or is named as
the attacker, is ``weak``, a fact only when the directory or the company's own networks know it.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace

from gateway.model import Candidate
from gateway.read.late import late
from gateway.read.tables import around, numbers
from gateway.read.words.pasted import names_passers_by

MAX = 50
_V4 = late(
    r"(\d{1,3}(?:\.\d{1,3}){3})(?:(/\d{1,2})(?!\d|\.\d))?(?![^\W_]|_\w|\.\d|\.in-addr|-\d(?!\d{0,2}(?:\.\d"
    r"|(?![\w.-])))|/\d(?!\d{0,2}(?:\.\d{1,3}){3}))"
)
_V4_BEFORE = late(r"(?:\A|://|[^\w./:-]|(?<!\w)_|-|[^0-9A-Fa-f:]:)\Z")  # "1-203.0.113.7" may end a range
_V6 = late(r"(?<![\w.])([0-9A-Fa-f:]{2,39}(?:\.\d{1,3}\.\d{1,3}\.\d{1,3})?)(/\d{1,3})?(?![\w:])")
_PUBLIC_RESOLVERS = frozenset(
    [
        "8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "149.112.112.112", "208.67.222.222", "208.67.220.220",
        "77.88.8.8", "77.88.8.1", "94.140.14.14",
        "76.76.2.0", "4.2.2.1", "4.2.2.2", "64.6.64.6", "185.228.168.9", "2001:4860:4860::8888", "2001:4860:4860::8844",
        "2606:4700:4700::1111",
        "2606:4700:4700::1001", "2620:fe::fe", "2620:fe::9",
    ]
)  # fmt: skip
_DEFANGED = ("[.]", "(.)", "[dot]", "(dot)")  #: as abuse desks write the dots of addresses that nobody shall follow
_V6_CHARS = frozenset("0123456789abcdefABCDEF:")
_V6_HINT = late(r":[0-9A-Fa-f]{0,4}:")
_VERSION_BEFORE = late(
    r"(?:\b(?:versions?|versión|version[ei]|versão|wersj[aieę]|verze|versie|sürüm\w{0,3}|build|v|ver\.?|rev(?:ision)?"
    r"|oid|section|chapter|kapitel|abschnitt|whmcs|jdk|kernel|driver|openssl|php|nginx|apache|mysql|mariadb|linux"
    r"|ubuntu|debian|chrome|firefox|plesk|cpanel|wordpress|java|python|esxi|proxmox|chromium|safari|directadmin"
    r"|windows)|верси[яиюей]{1,2}|версі[яїюєй]{1,2}|release|firmware|раздел|розділ|§)[ \t:]{0,2}\Z",
    re.IGNORECASE,
)
#: "upgraded from 2.4.52.1 to 2.4.58.1", "app-1.6.5.1": with numbers as small as those of versions
_VERSION_AROUND = late(
    r"(?:[^\W\d_]-|(?:updat|upgrad|downgrad|aktualisi|actualiz|actualis|atualiz|mise à (?:jour|niveau)|mis à jour"
    r"|aggiorn|обнов|онов|aktualiz|zaktualiz|"
    r"güncelle|bijgewerkt|bijwerk|patch|app|ios|android|roundcube|outlook|thunderbird|filezilla|docker|redis|php-fpm"
    r"|bind|exim|postfix|dovecot|gitlab|nextcloud)"
    r"\w{0,12}(?:[ \t][^\W\d_]{1,14}){0,3}[ \t](?:(?:\d{1,2}\.){2,3}\d{1,2}[ \t][^\W\d_]{1,4}[ \t])?)\Z",
    re.IGNORECASE,
)
SMALL = 40  #: the highest first number of a version of four parts
_ADDRESS_WORD = late(
    r"(?<!\w)(?:ip|ips|dns|address|adresse|dirección|indirizzo|адрес\w*|record|server\w*|host|vps|ptr|rdns)(?!\w)",
    re.IGNORECASE,
)
#: "203.0.113.208 through .211", "203.0.113.208-211"
_RANGE = late(
    r"[ \t]{0,2}(?:-|–|—|\.\.\.?|…|through|thru|to|until|bis|à|au|a|al|до|по|do|até|tot|t/m)[ "
    r"\t]{0,2}\.?(?P<last>\d{1,3})(?![\d.:/]|[ \t]?(?:uhr|h|min|%))",
    re.IGNORECASE,
)
MAX_RANGE = 32  #: addresses of a range that are named
#: what belongs to the network and not to whoever writes
_NETWORK_BEFORE = late(
    r"(?:mask|netmask|netzmaske|masque|máscara|maschera|маск[аи]|gateway|passerelle|puerta de enlace|шлюз|brama"
    r"|brána)(?:\W{0,3}|[ ](?:is|ist|est|es|è)[ ])\Z",
    re.IGNORECASE,
)
_ATTACKER_SIGNS = (
    "failed password", "rhost=", "invalid user", "authentication failure", " banned", "ban ", "[client ",
    "refused connect", "src=", " client: ", "disconnected from",
    "connection closed by", "attacker", "possible syn",
)  # fmt: skip
_FROM_PORT = late(r"\bfrom \S{1,80} port \d")
_ATTACKER_WORD = late(
    r"(?:attack(?:s|ed|er|ing)?(?: (?:us|me|it))?(?: from| by)?|attacked by|angegriffen von|angriff(?:e)? von|attaqué "
    r"par|atacado por|attaccato da|атак[аиуе]?(?: идёт)? с|hacked from|brute.?force(?:d)? from)[ \t:]{1,2}(?:the |an? "
    r"|ip |address |der |die |adresse )*\Z",
    re.IGNORECASE,
)
_ATTACKER_HINT = late(r"ata|atta|angri|атак|hack|brute", re.IGNORECASE)
#: lines that name whom the tool was asked about
_TARGET = late(
    r"(?:^|[ \t$#>])(?:ping6?|traceroute6?|tracert|mtr|ssh|telnet|nc|curl|nmap|connect to host|traceroute to|tracing "
    r"route to)[ \t]",
    re.IGNORECASE,
)
_DOCUMENTATION = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)
_EXCHANGE = ipaddress.ip_network("2001:7f8::/32")  # peering points: routers on the way


def _usable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if any(address in network for network in _DOCUMENTATION if network.version == address.version):
        return True  # used by samples and tests; nobody's in the wild, so harmless
    if address.version == 4 and (address.packed[0] == 255 or address.packed[0] == 0):
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_private
                or address.is_link_local or address.is_reserved)  # fmt: skip


def _unpadded(address: str) -> str:
    """An IPv4 address without the noughts that fill its numbers up to three digits, which ``ipaddress`` takes for octal
    ones."""
    if ":" in address:
        return address
    return ".".join(part.lstrip("0") or "0" if len(part) == 3 else part for part in address.split("."))


@functools.lru_cache(maxsize=1024)  # a quoted history names the same address again and again
def _value(address: str, prefix: str | None) -> str | None:
    try:
        parsed = ipaddress.ip_address(_unpadded(address))
        if parsed.version == 6 and parsed.ipv4_mapped is not None:
            address, parsed, prefix = str(parsed.ipv4_mapped), parsed.ipv4_mapped, None
        if not _usable(parsed) or str(parsed) in _PUBLIC_RESOLVERS or parsed in _EXCHANGE:
            return None
        network = ipaddress.ip_network(f"{parsed}{prefix or ''}", strict=False)
        # an address with the length of its network, as panels and programs show it, is that address alone
        return str(network if prefix and network.network_address == parsed else parsed)
    except ValueError:
        return None


def _is_version(match: re.Match[str], before: str) -> bool:
    """Whether four small numbers are the version of a program: behind its name, or what it was updated to."""
    if ":" in match[1] or match[2] or int(match[1].partition(".")[0]) > SMALL:
        return False
    return bool(_VERSION_AROUND.search(before)) and not _ADDRESS_WORD.search(before)


def _through(text: str, match: re.Match[str]) -> list[str]:
    """The further addresses of a range whose end is written by its last number only."""
    if ":" in match[1] or match[2] or not (written := _RANGE.match(text, match.end(1))):
        return []
    net, _, first = match[1].rpartition(".")
    last = int(written["last"])
    joined = "-" in written[0] or "–" in written[0] or "." in written[0].rstrip(written["last"])
    if not joined or not int(first) < last <= 255 or last - int(first) >= MAX_RANGE:
        return []
    return [f"{net}.{number}" for number in range(int(first) + 1, last + 1)]


def _weak_line(line: str) -> bool:
    """Whether the addresses of the line are other people's, as far as one can see."""
    lower = line[:300].lower()
    if (
        lower.lstrip().startswith("received:")
        or any(sign in lower for sign in _ATTACKER_SIGNS)
        or _FROM_PORT.search(lower)
    ):
        return not _TARGET.search(lower)
    return names_passers_by(lower) and not _TARGET.search(lower)


def _v4(text: str) -> Iterator[re.Match[str]]:
    """Four numbers with dots between them, by the look of what is around them an address."""
    done = 0
    for start, end in numbers(text):
        if start < done or end - start > 3 or not text.startswith(".", end):
            continue
        match = _V4.match(text, start)
        if match:
            beside = start - 1 == done and text[done:start] == "/"  # "203.0.113.7/203.0.113.8"
            done = match.end()
            if beside or _V4_BEFORE.search(text, max(0, start - 3), start):
                yield match


def _v6(text: str) -> list[re.Match[str]]:
    """What is written with colons like an address."""
    found: list[re.Match[str]] = []
    done = 0
    for hint in _V6_HINT.finditer(text):
        start = hint.start()
        if start < done:
            continue
        while start > done and hint.start() - start < 40 and text[start - 1] in _V6_CHARS:
            start -= 1
        if start and text[start - 1] in _V6_CHARS:  # more of it than an address has
            done = hint.end()
            continue
        if start and (text[start - 1].isalnum() or text[start] == ":" != text[start + 1 : start + 2]):
            start = text.find(":", start) + 1 or start  # the end of a label: "addr:2001:db8::1"
        match = _V6.match(text, start)
        done = match.end() if match else hint.end()
        if match and ("." in match[1] or match[1].count(":") >= 2):
            found.append(match)
    return found


def ips_in(text: str) -> tuple[Candidate, ...]:
    """Addresses and networks in canonical text form, in order of appearance."""
    for written in _DEFANGED:
        text = text.replace(written, ".")
    matches = list(_v4(text))
    matches += _v6(text)
    found: dict[str, Candidate] = {}
    weak_lines: dict[int, bool] = {}
    for match in sorted(matches, key=lambda m: m.start()):
        line_start = text.rfind("\n", 0, match.start()) + 1
        before = text[max(line_start, match.start() - 40) : match.start()]
        value = _value(match[1], match[2])
        if value in found and not found[value].weak:
            continue
        if (
            value is None
            or _is_version(match, before)
            or _VERSION_BEFORE.search(before[-16:])
            or _NETWORK_BEFORE.search(before[-20:])
        ):
            continue
        if line_start not in weak_lines:
            weak_lines[line_start] = _weak_line(text[line_start : line_start + 500].split("\n", 1)[0])
        doubtful = weak_lines[line_start] or bool(_ATTACKER_HINT.search(before) and _ATTACKER_WORD.search(before))
        known = found.get(value)
        if known is None:
            begin = max(line_start, match.start() - 60)
            line = text[begin : match.end() + 60].split("\n", 1)[0]
            told = around(line, match.start() - begin, match.end() - begin)
            found[value] = Candidate(value, told, weak=doubtful)
            for other in filter(None, (_value(one, None) for one in _through(text, match))):
                found.setdefault(other, Candidate(other, told, weak=doubtful))
            if len(found) >= MAX:
                break
        elif known.weak and not doubtful:
            found[value] = replace(known, weak=False)
    return tuple(found.values())
