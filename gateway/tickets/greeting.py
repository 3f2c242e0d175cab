"""By what name a verified customer is greeted."""

from __future__ import annotations

import re

#: what stands in the names of companies: nobody is greeted as "Wessel Logistik GmbH"
_COMPANY = re.compile(
    r"(?<!\w)(?:gmbh|mbh|ag|ug|kg|ohg|gbr|e\.? ?k|e\.? ?v|ltd|limited|llc|llp|plc|inc|corp|co|s\.?a\.?s?|sarl"
    r"|s\.?à\.?r\.?l|eurl|"
    r"s\.?l\.?u?|s\.?r\.?l\.?s?|s\.?p\.?a|s\.?n\.?c|b\.?v|n\.?v|oü|oy|ab|a\.?s|a\.?ş|sp\.? ?z ?o\.? ?o|kft|zrt"
    r"|d\.?o\.?o|s\.?r\.?o|"
    r"ооо|оао|зао|пао|ао|ип|тов|фоп|пп|тд)(?![\w])|&",
    re.I,
)


def _words(name: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{2,}", name.casefold()))


def greeted(account: str, author: str) -> str:
    """The account's name, where it may be the author's own; else ``""``: a company is not greeted by its register
    entry, nor a colleague by the name of another.

    Args:
        account: the name of the account.
        author: how the author calls himself in From; may be empty.
    """
    if _COMPANY.search(account) or (author and not _words(account) & _words(author)):
        return ""
    return account
