"""Order and invoice numbers. ``#123456`` is an order; a ticket reference never is (DESIGN, Words)."""

from __future__ import annotations

import functools
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
_NUMBER = re.compile(r"(?<![\d.,])(\d{4,9})(?!\d|[.,]\d|-\d)")
_ORDER = re.compile(rf"(?<!\w)(?:{_ORDER_WORD}){_GLUE}\Z", re.IGNORECASE)
_INVOICE = re.compile(rf"(?<!\w)(?:{_INVOICE_WORD}){_GLUE}\Z", re.IGNORECASE)
_HASH = re.compile(r"(?<![\w#&/.])#\s?\Z")
_GLUED = re.compile(r"[\w.-]*\w")
_MORE = re.compile(r"\s{0,2}(?:,|and|und|et|y|e|и|та|&)\s{0,2}#?\s?", re.IGNORECASE)
_NOT_ORDER = re.compile(
    r"(colou?r|farbe|css|ticket|case|invoice|rechnung|facture|factura|fattura|сч[её]т|рахун)\W{0,8}$", re.IGNORECASE
)
MAX = 50
MAX_NUMBERS = 500


def _around(text: str, start: int, end: int) -> str:
    return " ".join(text[max(0, start - 30) : end + 20].split())


@functools.lru_cache(maxsize=2)  # orders and invoices are asked for one after the other
def _called(text: str) -> list[tuple[str, Candidate]]:
    """(``order`` or ``invoice``, candidate) of every number whose words before it say what it is."""
    found: list[tuple[str, Candidate]] = []
    kind, end = "", -1
    for number, match in enumerate(_NUMBER.finditer(text)):
        if number >= MAX_NUMBERS or len(found) >= MAX * 2:
            break
        before = text[max(0, match.start() - 48) : match.start()]
        if _ORDER.search(before):
            kind = "order"
        elif _INVOICE.search(before):
            kind = "invoice"
        elif (
            _HASH.search(before)
            and not _NOT_ORDER.search(before[:-1].rstrip("#"))
            and not _GLUED.match(text, match.end())
        ):
            kind = "order" if len(match[1]) >= 5 else ""
        elif not (kind and end >= 0 and _MORE.fullmatch(text, end, match.start()) and len(match[1]) >= 5):
            kind = ""
        if kind:
            found.append((kind, Candidate(match[1], _around(text, match.start(), match.end()))))
            end = match.end()
    return found


def _unique(found: list[Candidate]) -> tuple[Candidate, ...]:
    return tuple({candidate.value: candidate for candidate in reversed(found)}.values())[::-1][:MAX]


def invoices_in(text: str) -> tuple[Candidate, ...]:
    """Invoice numbers, in order of appearance."""
    return _unique([candidate for kind, candidate in _called(text) if kind == "invoice"])


def orders_in(text: str) -> tuple[Candidate, ...]:
    """Order numbers (digits without ``#``), in order of appearance; numbers called invoices are not among them."""
    called = _called(text)
    billed = {candidate.value for kind, candidate in called if kind == "invoice"}
    return _unique([candidate for kind, candidate in called if kind == "order" and candidate.value not in billed])
