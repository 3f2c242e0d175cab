"""Every template in every language with sample values, as files that can be looked at, and a page that leads to
them."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.model import OutboxItem
from gateway.replies import localized
from gateway.replies.page import wrapped
from gateway.replies.render import Sender, Templates, subject_of, variables
from gateway.replies.samples import NAMES, OURS, STAFF, samples

#: what each of a template's samples shows (``samples``)
CASES = {
    "full": "a customer's request was understood; one detail is still missing",
    "bare": "a matter of money from a sender who is not verified",
    "incident": "the problem is already known; several orders and addresses are named",
    "sensitive": "a request that only some people may make",
    "invoice": "a verified customer asks about invoices of the account; nothing is missing",
    "asked": "nothing was understood; every detail is asked for",
}
PERSON = {"answer", "closed", "abuse_notice"}  #: what people send; only the greeting and the subject differ
PERSON_CASES = {"full": "to a verified customer", "bare": "to somebody who is not verified"}
STAFF_CASES = {
    "full": "a ticket with every detail",
    "bare": "a ticket about which nothing is known",
    "follow-up": "the same ticket after another message",
}
_MOMENT = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
body {{ font: 16px/1.5 sans-serif; margin: 1em; overflow-wrap: anywhere; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: .2em .8em; text-align: left; vertical-align: top; }}
td, th[scope=row] {{ white-space: nowrap; }}
tr + tr {{ border-top: 1px solid gray; }}
th small {{ font-weight: normal; }}
iframe {{ width: 100%; max-width: 46em; height: 34em; border: 1px solid gray; background: Canvas; }}
pre {{ white-space: pre-wrap; }}
@media (max-width: 60em) {{
  tr {{ display: flex; flex-wrap: wrap; padding: .4em 0; }}
  th[scope=row] {{ flex: 0 0 100%; }}
  td, th {{ padding: .2em .7em .2em 0; }}
  td::before {{ content: attr(data-language) ": "; }}
}}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""
#: each frame as high as its mail; without scripts, frames scroll
_FIT = """<script>
const fit = () => {
  for (const frame of document.querySelectorAll("iframe")) {
    frame.style.height = 0;
    frame.style.height = `${frame.contentDocument.documentElement.scrollHeight + 2}px`;
  }
};
addEventListener("load", fit);
addEventListener("resize", fit);
</script>"""


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
    files = {"index.html": _PAGE.format(title="Reply templates", body=_index(shown))}
    for language in _languages(shown):
        of_language = [one for one in shown if one.language == language]
        title = f"Reply templates: {localized.named(language)}"
        files[f"{language}.html"] = _PAGE.format(title=title, body=_sheet(of_language))
    for one in shown:
        files[f"{one.path}.txt"] = f"Subject: {one.subject}\n\n{one.text}"
        if one.page:
            files[f"{one.path}.html"] = one.page
    return files


def _languages(shown: list[_Shown]) -> list[str]:
    return list(dict.fromkeys(one.language for one in shown))


def _rendered(templates: Templates, sender: Sender) -> Iterator[_Shown]:
    every = (*NAMES, *STAFF)
    ours = [which.split(".") for which in templates.names() if which.partition(".")[0] in every]
    for name, language in sorted(ours, key=lambda one: (every.index(one[0]), one[1])):
        kind = "staff" if name in STAFF else "person" if name in PERSON else "auto"
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


def _index(shown: list[_Shown]) -> str:
    """What customers get and what staff get, each with its legend."""
    customers = [one for one in shown if one.name in NAMES]
    staff = [one for one in shown if one.name in STAFF]
    return "\n".join(
        [
            "<p>The page of a language shows all of its mails.</p>",
            f"<h2>To customers</h2>\n{_legend(CASES)}\n{_table(customers)}",
            f"<h2>To staff</h2>\n{_legend(STAFF_CASES)}\n{_table(staff)}",
        ]
    )


def _legend(cases: Mapping[str, str]) -> str:
    return f"<ul>{''.join(f'<li><b>{case}</b>: {what}</li>' for case, what in cases.items())}</ul>"


def _table(shown: list[_Shown]) -> str:
    """A row for each mail, a column for each language."""
    languages = _languages(shown)
    by_path = {one.path: one for one in shown}
    head = "".join(f'<th><a href="{language}.html">{localized.named(language)}</a></th>' for language in languages)
    rows = [f"<tr><th>Template</th>{head}</tr>"]
    for name, case in dict.fromkeys((one.name, one.case) for one in shown):
        cells = "".join(_cell(by_path.get(f"{language}/{name}.{case}"), language) for language in languages)
        rows.append(f'<tr><th scope="row">{name} <small>{case}</small></th>{cells}</tr>')
    return f"<table>\n{''.join(rows)}\n</table>"


def _cell(one: _Shown | None, language: str) -> str:
    return f'<td data-language="{language}">{_links(one) if one else "-"}</td>'


def _links(one: _Shown) -> str:
    page = f'<a href="{one.path}.html">html</a> ' if one.page else ""
    return f'{page}<a href="{one.path}.txt">text</a>'


def _sheet(shown: list[_Shown]) -> str:
    """Every mail of a language, one below the other."""
    return "\n".join(['<p><a href="index.html">All languages</a></p>', *map(_framed, shown), _FIT])


def _framed(one: _Shown) -> str:
    """A mail as its program shows it, in a frame that can run nothing."""
    what = (STAFF_CASES if one.name in STAFF else CASES | (PERSON_CASES if one.name in PERSON else {}))[one.case]
    head = f"<h2>{one.name} ({one.case})</h2>\n<p>{what[0].upper()}{what[1:]}.<br>"
    head += f"Subject: {html.escape(one.subject)}<br>{_links(one)}</p>"
    if not one.page:
        return f"{head}\n<pre>{html.escape(one.text)}</pre>"
    page = html.escape(one.page)
    return f'{head}\n<iframe sandbox="allow-same-origin" srcdoc="{page}" title="{one.name}, {one.case}"></iframe>'
