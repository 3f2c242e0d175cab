"""The public suffix list of ``publicsuffixlist``: parsed for the top-level domains that are asked about, not all of it
at once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any


@functools.cache
def _rules() -> Mapping[str, list[str]]:
    """The rules below each top-level domain, which stands there as letters and as A-label."""
    import publicsuffixlist

    found: dict[str, list[str]] = {}
    with open(publicsuffixlist.PSLFILE, encoding="utf-8") as lines:
        for line in lines:
            rule = line.partition(" ")[0].rstrip().lower()
            if rule and not rule.startswith("//"):
                found.setdefault(rule.rpartition(".")[2], []).append(rule)
    encoded = {name.encode("idna").decode("ascii"): rules for name, rules in found.items() if not name.isascii()}
    return found | encoded


@functools.cache
def _list(top: str) -> Any:
    from publicsuffixlist import PublicSuffixList  # here: what never asks need not load it

    return PublicSuffixList(_rules().get(top, ()))


def top_level_domains() -> frozenset[str]:
    """All that there are, as letters and as A-labels."""
    return frozenset(_rules())


def registrable(domain: str) -> str:
    """The domain one label below the public suffix, or the name itself when it is a suffix."""
    top = domain.removesuffix(".").rpartition(".")[2].lower()
    return str(_list(top if top in _rules() else "").privatesuffix(domain) or domain)


def is_suffix(domain: str) -> bool:
    """Whether anybody gets a name directly below this one."""
    name = domain.strip(".").lower()
    return bool(name) and _list(top if (top := name.rpartition(".")[2]) in _rules() else "").privatesuffix(name) is None
