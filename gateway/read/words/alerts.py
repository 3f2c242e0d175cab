"""What a monitoring reports of its author's machine, when he passes it on below his own words.

Nagios, Zabbix, Checkmk, PRTG, Grafana and the like write fields: which host, and what of it. Whoever forwards that to
us says it himself; a mail that somebody else wrote stays somebody else's.
"""

from __future__ import annotations

import re

from gateway.read.late import late
from gateway.read.tables import alternation

MAX_LINES = 400
MAX_LINE = 400  #: characters
#: fields that name the machine
_MACHINE = (
    "host", "hosts", "hostname", "host name", "host alias", "hostaddress", "host address", "address", "ip",
    "ip address", "device", "monitor", "monitor name", "monitor url", "url", "website", "instance", "node",
    "target", "check name", "computer", "gerät", "rechner", "adresse", "ip-adresse", "hôte", "équipement",
    "adresse ip", "equipo", "dispositivo", "dirección", "dirección ip", "indirizzo", "indirizzo ip", "endereço",
    "endereço ip", "apparaat", "adres", "ip-adres", "urządzenie", "adres ip", "узел сети", "узел", "хост",
    "имя хоста", "адрес", "ip-адрес", "устройство", "вузол мережі", "вузол", "адреса", "ip-адреса", "пристрій",
    "cihaz", "sunucu", "ip adresi", "zařízení", "hostitel", "adresa", "ip adresa",
)  # fmt: skip
#: fields that say how it is
_STATE = (
    "state", "status", "severity", "notification type", "notification", "problem", "problem name",
    "problem started at", "problem started", "trigger", "trigger name", "trigger status", "trigger severity",
    "event", "info", "summary", "additional info", "service", "sensor", "priority", "reason", "cause",
    "operational data", "original problem id", "alert", "alertname", "description", "downtime", "down since",
    "output", "check output", "zustand", "schweregrad", "meldung", "auslöser", "état", "statut", "gravité",
    "sévérité", "problème", "estado", "severidad", "gravedad", "problema", "stato", "gravità", "gravidade", "ernst",
    "probleem", "stan", "ważność", "состояние", "статус", "важность", "серьезность", "серьёзность", "проблема",
    "начало", "триггер", "стан", "важливість", "початок", "durum", "önem", "sorun", "stav", "závažnost", "problém",
)  # fmt: skip
_FIELD = r"[ \t>|*_-]{0,8}(?:%s)[ \t]{0,2}[*_]{0,2}[:：=][*_]{0,2}[ \t]"
_NAMES = late(_FIELD % alternation(_MACHINE), re.IGNORECASE)
_TELLS = late(_FIELD % alternation(_STATE), re.IGNORECASE)
#: "The monitor Shop (https://shop.example) is currently DOWN"
_SENTENCE = late(
    r"[ \t>|*_-]{0,8}(?:[^\n]{0,80}\b)?(?:monitor|website|site|host|service|server|check|url|node)\b"
    r"[^\n]{0,200}\b(?:is|are|went|was)[ ](?:currently |now |gone )?(?:down|offline|unreachable|unavailable)\b",
    re.IGNORECASE,
)


def passed_on(text: str) -> str:
    """The lines of a text that are those of an alert: which machine it is about, and what is the matter with it. Empty
    where no machine is named, or nothing is said of it."""
    machines, states = False, False
    found: list[str] = []
    for whole in text.split("\n")[:MAX_LINES]:
        line = whole[:MAX_LINE]
        told = bool(_SENTENCE.match(line))
        named, said = told or bool(_NAMES.match(line)), told or bool(_TELLS.match(line))
        machines, states = machines or named, states or said
        if named or said:
            found.append(line)
    return "\n".join(found) if machines and states else ""
