"""Short machine names as people use them without a noun and without a domain: web13, srv-01, proxmox-lyon,
terminal-office.

A name is a word with a number behind it ("web13"), or what a machine does joined to another word by a hyphen
("srv-payroll"). What only looks like one is a program with its version ("php 8", "debian12"), a part ("sda1") or a
compound ("mail-server", "web-based").
"""

from __future__ import annotations

from gateway.model import Candidate
from gateway.read.late import late
from gateway.read.tables import around, numbers

MAX = 8
MAX_TEXT = 2000  #: characters of a mail in which they are looked for
#: the second halves of compounds that are no names: web-based, app-store, mail-server, backup-job, e-mail-adresse
_NO_NAMES = (
    "(?:server|servers|serveur|serveurs|servidor|based|basiert|store|stores|shop|shops|site|sites|seite|seiten|mail|"
    "mails|mailing|adress|address|"
    "adresse|adressen|konto|konten|account|accounts|job|jobs|plan|plans|panel|hosting|host|hosts|access|zugang|zugriff|"
    "only|like|side|service|services|"
    "dienst|dienste|interface|client|clients|clienten|user|users|name|names|nameserver|key|keys|space|speicher|box|"
    "boxes|boot|end|ends|down|up|"
    "off|in|to|out|and|und|oder|or|scale|scraping|zertifikat|domain|agentur|agency|design|development|entwicklung|"
    "entwickler|developer|anwendung|"
    "anwendungen|application|applications|app|apps|port|ports|software|system|systeme|systems|level|mode|modus|file|"
    "files|datei|dateien|copy|copies|"
    "kopie|kopien|sicherung|strategie|test|tests|to|ticket|support|team|admin|admins|eintrag|einträge|record|records|"
    "zone|zonen|cluster|update|upgrade|"
    "fehler|error|errors|log|logs|ready|time|zeit|umgebung|environment|version|versions|api|proxy|archiv|filter|relay|"
    "queue|verkehr|traffic|"
    "verbindung|connection|sitzung|session|sessions|instance|instanz|container|image|images|farm|machine|maschine|"
    "mounted|unit|units|bereich|tester|testers|checker|check|checks|scanner|monitor|monitoring|manager|management|"
    "tool|tools|toolbox|provider|anbieter|builder|editor|viewer|agent|agents|plugin|plugins|module|modul)"
)
#: behind it: "mx1" of "mx1.shop.example" is no name by itself, "fe80" of "fe80::1" is an address
_GOES_ON = late(r"\.[^\W\d_]|::|:[0-9a-f]{1,4}:")
_MACHINE = late(
    r"(?:[a-z]{1,8}\d{0,2}[a-z]{0,3}[-_]){0,3}[a-z]{2,12}(?:-[a-z]{1,8})?[-_]?\Z|[a-z]{1,8}\d{1,2}[a-z]{0,3}[-_]\Z"
)
#: words with a number behind them that are no machines
_NO_MACHINE = late(
    r"(?:.*[-_])?(?:ssh|ts|php|http|https|ipv|utf|utf-|sha|md|mp|x|win|windows|debian|ubuntu|centos|rhel|alma|rocky"
    r"|fedora|python|perl|java|nodejs|"
    r"sd[a-z]|hd|nvme|eth|ens|enp|eno|bond|vlan|raid|ram|ddr|ssd|core|cores|cpu|gb|mb|tb|mysql|mariadb|postgres"
    r"|postgresql|pg|redis|tls|ssl|"
    r"tlsv|port|rev|ver|version|no|nr|fw|usb|pci|cat|css|html|es|iso|din|rfc|cve|cve-|kw|fy|page|seite|step|tier|level"
    r"|step|phase|pos|art|"
    r"par|abs|tel|fax|iphone|ipad|galaxy|office|outlook|exchange|sql|mssql|vs|kb|log4j|q|am|um|at|to|of|in|les|la|el"
    r"|li|ca|ab|um|bis|"
    r"apache|nginx|exim|dovecot|trc|erc|bep|cs|gta|cr|dr|eax|ap|amd|arm|ryzen|epyc|xeon|i|rtx|gtx|a|h|b|c|d|error"
    r"|fehler|erreur|err|code|http-|status|eur|usd|chf|gbp|pln|czk|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov"
    # disks, terminals, interfaces and tunnels of a kernel, its file systems; commands, ciphers, versions of programs
    r"|dec|x?vd[a-z]|dm|dm-|loop|tty|ttys|mmcblk|nvmen|tun|tap|wg|br|vmbr|veth|venet|wlan|wlp|lo|ppp|docker|ext|xfs|zfs"
    r"|grub|jbd|kswapd|mbo|hbo|ping|traceroute|tracepath|ip|inet|dhcp|ike|ikev|ipsec|aes|rsa|base|ed|el|sha-"
    r"|gpt|wordpress|wp|joomla"
    r"|drupal|typo|magento|bootstrap|angular|vue|idrac|ilo|covid|xbox|ata|scsi|sr|sg|md|qcow|vhdx?|iperf|fio|yabs"
    r"|bzip|gzip|xz|lz|bz|ofr_)[-_]?"
)


#: what a machine does, as people write it into its name with a hyphen: srv-payroll, proxmox-nantes, backup-east,
#: terminal-office
_ROLES = (
    "srv", "serv", "vm", "vps", "gw", "fw", "rtr", "sw", "db", "sql", "rdp", "rds", "ts", "dc", "nas", "san", "pbx",
    "sip", "mx", "smtp", "imap", "ns",
    "dns", "ldap", "esx", "esxi", "pve", "proxmox", "kvm", "xen", "hv", "node", "rack", "cab", "host", "proxy",
    "haproxy", "lb", "vpn", "web", "app",
    "mail", "backup", "bkp", "terminal", "zbx", "zabbix", "mon", "storage", "cache", "redis", "es", "k8s", "docker",
    "jump", "bastion", "prod", "stage", "erp", "crm",
)  # fmt: skip
_ROLE = "|".join(_ROLES)
#: both halves in small letters, one of them a role with or without its number; the other one is no word of a compound,
#: or a letter that counts ("pve-a, pve-b")
_ROLE_NAME = late(
    rf"(?<![\w@./:-])(?:(?:{_ROLE})\d{{0,3}}-(?!{_NO_NAMES}(?!\w))[a-z]{{3,14}}\d{{0,3}}"
    rf"|(?:{_ROLE})\d{{1,3}}-[a-z0-9]{{2,10}}|(?:{_ROLE})-(?:gw|fw|srv|vm|db|sql|lb|hv|ns|dc|sw)|"
    rf"(?:mx|ns|zbx|mon|gw|fw|rtr|sw|esx|pve|hv)-(?:relay|core|edge|proxy|queue|cluster|master|main)|"
    rf"(?:srv|serv|vm|gw|fw|pve|proxmox|esxi?|kvm|hv|node|db|web|app|lb|ns|mx)-[a-f]|"
    rf"(?:{_ROLE})-(?=[a-f]{{0,11}}\d)(?=\d{{0,11}}[a-f])[a-f\d]{{4,12}}|[a-z]{{3,12}}-(?:{_ROLE})\d{{1,3}})(?![\w@-]"
    r"|\.\w)"
)


def machines(text: str) -> list[str]:
    """The names in the first ``MAX_TEXT`` characters, at most ``MAX``, in small letters."""
    text = text[:MAX_TEXT]
    found: dict[str, None] = {}
    for start, end in numbers(text)[:64]:
        if (
            not start
            or end - start > 3
            or (end < len(text) and (text[end].isalnum() or text[end] in "-_@%=" or _GOES_ON.match(text, end)))
        ):
            continue
        before = text[max(0, start - 24) : start].lower()
        word = before.replace("\n", " ").rpartition(" ")[2].lstrip("(\"'[*_")
        numbered = text[start] == "0" and end - start == 2 and word.isalpha()  # "sql01", but "ubuntu 22.04"
        if _MACHINE.match(word) and (numbered or not _NO_MACHINE.fullmatch(word)):
            found[word + text[start:end]] = None
    for match in _ROLE_NAME.finditer(text) if "-" in text else ():
        found[match[0].lower()] = None
    return list(found)[:MAX]


def machines_in(text: str) -> tuple[Candidate, ...]:
    """The names with the words around them."""
    lower = text[:MAX_TEXT].lower()
    return tuple(
        Candidate(name, around(text, at, at + len(name))) for name in machines(text) if (at := lower.find(name)) >= 0
    )
