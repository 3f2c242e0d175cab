"""Every template in every language with sample values, as files that can be looked at, and a page that leads to
them."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.model import OutboxItem
from gateway.replies.render import (
    NAMES,
    OURS,
    STAFF,
    Sender,
    Templates,
    samples,
    subject_of,
    variables,
    wrapped,
)

#: what each of a template's samples shows (``render.samples``)
CASES = {
    "full": "a customer whose mail was understood, with one thing missing",
    "bare": "somebody who proved nothing, and nothing is missing",
    "incident": "a disturbance that is known already",
    "sensitive": "a request that not everybody may make",
    "asked": "nothing was understood, everything is asked for",
}
STAFF_CASES = {"full": "a new mail", "bare": "nothing is known", "follow-up": "the customer wrote again"}
_MOMENT = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
body {{ font: 16px/1.5 sans-serif; margin: 1em; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: .3em .8em; text-align: left; vertical-align: top; white-space: nowrap; }}
iframe {{ width: 100%; max-width: 46em; height: 34em; border: 1px solid gray; background: Canvas; }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


@dataclass(frozen=True, slots=True)
class _Shown:
    """One rendered template. ``page``: empty where a mail has no HTML."""

    name: str
    language: str
    case: str
    subject: str
    text: str
    page: str

    @property
    def path(self) -> str:
        return f"{self.language}/{self.name}.{self.case}"


def everything(templates: Templates, sender: Sender) -> Mapping[str, str]:
    """Contents by path: ``<language>/<template>.<case>.txt`` and ``.html``, a page for each language, ``index.html``.

    Raises:
        RenderError: a template cannot be rendered.
    """
    shown = list(_rendered(templates, sender))
    languages = list(dict.fromkeys(one.language for one in shown))
    files = {"index.html": _PAGE.format(title="Reply templates", body=_index(shown, languages))}
    for language in languages:
        of_language = [one for one in shown if one.language == language]
        title = f"Reply templates: {language}"
        files[f"{language}.html"] = _PAGE.format(title=title, body="\n".join(map(_framed, of_language)))
    for one in shown:
        files[f"{one.path}.txt"] = f"Subject: {one.subject}\n\n{one.text}"
        if one.page:
            files[f"{one.path}.html"] = one.page
    return files


def _rendered(templates: Templates, sender: Sender) -> Iterator[_Shown]:
    for which in templates.names():
        name, _, language = which.partition(".")
        if name not in (*NAMES, *STAFF):
            continue
        kind = "staff" if name in STAFF else "person" if name in ("answer", "closed", "abuse_notice") else "auto"
        seen: set[tuple[str, str]] = set()
        for case, context in zip(STAFF_CASES if kind == "staff" else CASES, samples(name), strict=False):
            values = variables(sender, context)
            item = OutboxItem("", name, language, "anna@example.de", kind, context, created_at=_MOMENT)
            subject, text = subject_of(item, sender, templates.words(language)), templates.text(name, language, values)
            if (subject, text) in seen:
                continue  # the case makes no difference here
            seen.add((subject, text))
            page = templates.page(name, language, values, text) if kind != "staff" else ""
            yield _Shown(name, language, case, subject, wrapped(text) if name in OURS else text, page)


def _index(shown: list[_Shown], languages: list[str]) -> str:
    """A row for each template, a column for each language."""
    head = "".join(f'<th><a href="{language}.html">{language}</a></th>' for language in languages)
    rows = [f"<tr><th>template</th>{head}</tr>"]
    for name in dict.fromkeys(one.name for one in shown):
        cells = "".join(
            f"<td>{'<br>'.join(_links(one) for one in shown if (one.name, one.language) == (name, language))}</td>"
            for language in languages
        )
        rows.append(f"<tr><th>{name}</th>{cells}</tr>")
    legend = "".join(f"<li>{case}: {what}</li>" for case, what in CASES.items())
    return (
        f"<p>Each language has a page with all of its templates.</p>\n<ul>{legend}</ul>\n<table>\n{''.join(rows)}\n</"
        "table>"
    )


def _links(one: _Shown) -> str:
    page = f' <a href="{one.path}.html">html</a>' if one.page else ""
    return f'{one.case}: <a href="{one.path}.txt">text</a>{page}'


def _framed(one: _Shown) -> str:
    head = f"<h2>{one.name} ({one.case})</h2>\n<p>Subject: {html.escape(one.subject)}<br>{_links_from_page(one)}</p>"
    if not one.page:
        return f"{head}\n<pre>{html.escape(one.text)}</pre>"
    return f'{head}\n<iframe src="{one.path}.html" title="{one.name}, {one.case}"></iframe>'


def _links_from_page(one: _Shown) -> str:
    return _links(one).partition(": ")[2]
