"""Order and invoice numbers. ``#123456`` is an order; a ticket reference never is (DESIGN, Words)."""

from __future__ import annotations

import re

from gateway.model import Candidate

_ORDER_WORD = (
    r"order|bestell(?:ung|nummer|nr)|auftrag(?:snummer|s-nr)?|commande|pedido|ordine|заказ[а-я]{0,2}|замовлення|encomenda|"
    r"bestelling|zamówieni[ae]|sipariş|objednávk[ay]"
)
_INVOICE_WORD = (
    r"invoice|rechnung(?:snummer|s-nr)?|facture|factura|fattura|сч[её]т[а-я]{0,2}|рахунк[а-я]{0,2}|рахунок|fatura|factuur|"
    r"faktur[ay]"
)
_GLUE = r"(?:\s{0,3}(?:number|nummer|nr|no|num|numéro|número|numero|номер|id|n)\b\.?)?\s{0,3}[:=]?\s{0,3}(?:№|n°|nº|#)?\s{0,3}"
_HASH = re.compile(r"(?<![\w#&/.])#\s?(\d{5,9})(?![\w.-]*\w)")
_ORDER = re.compile(rf"(?<!\w)(?:{_ORDER_WORD}){_GLUE}(\d{{4,9}})(?!\d|[.,]\d|-\d)", re.IGNORECASE)
_INVOICE = re.compile(rf"(?<!\w)(?:{_INVOICE_WORD}){_GLUE}(\d{{4,9}})(?!\d|[.,]\d|-\d)", re.IGNORECASE)
_MORE = re.compile(r"(?:\s{0,2}(?:,|and|und|et|y|e|и|та|&)\s{0,2}#?\s?)(\d{5,9})(?!\d|[.,]\d)", re.IGNORECASE)
_NOT_ORDER = re.compile(
    r"(colou?r|farbe|css|ticket|case|invoice|rechnung|facture|factura|fattura|сч[её]т|рахун)\W{0,8}$", re.IGNORECASE
)
MAX = 50


def _around(text: str, start: int, end: int) -> str:
    return " ".join(text[max(0, start - 30) : end + 20].split())


def _series(pattern: re.Pattern[str], text: str) -> list[Candidate]:
    found: list[Candidate] = []
    for match in pattern.finditer(text):
        if pattern is _HASH and _NOT_ORDER.search(text[max(0, match.start() - 16) : match.start()]):
            continue
        found.append(Candidate(match[1], _around(text, match.start(), match.end())))
        position = match.end()
        while (more := _MORE.match(text, position)) is not None:
            found.append(Candidate(more[1], _around(text, match.start(), more.end())))
            position = more.end()
        if len(found) >= MAX:
            break
    return found


def _unique(found: list[Candidate]) -> tuple[Candidate, ...]:
    return tuple({candidate.value: candidate for candidate in reversed(found)}.values())[::-1][:MAX]


def invoices_in(text: str) -> tuple[Candidate, ...]:
    """Invoice numbers, in order of appearance."""
    return _unique(_series(_INVOICE, text))


def orders_in(text: str) -> tuple[Candidate, ...]:
    """Order numbers (digits without ``#``), in order of appearance; numbers called invoices are not among them."""
    billed = {candidate.value for candidate in invoices_in(text)}
    found = [*_series(_ORDER, text), *_series(_HASH, text)]
    found = [candidate for candidate in found if candidate.value not in billed]
    found.sort(key=lambda candidate: text.find(candidate.value))
    return _unique(found)
