"""Explain a mail, the state of the service, and the templates as customers see them."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.console.door import Visit
from gateway.console.mail_html import framed
from gateway.replies import render, samples
from gateway.tickets import worklist

MAX_MAIL = 25 * 1024**2


async def explain_form(visit: Visit) -> Response:
    """Where a mail is dropped."""
    return visit.page("explain.html", found=None, said="", name="")


async def explain(visit: Visit) -> Response:
    """What would become of it; nothing is kept."""
    given = visit.form.get("mail")
    if not isinstance(given, UploadFile) or not given.filename:
        return visit.page("explain.html", 400, found=None, said="Choose a mail (.eml) first.", name="")
    raw = await given.read(MAX_MAIL + 1)
    if not raw or len(raw) > MAX_MAIL:
        return visit.page("explain.html", 400, found=None, said="This file is empty or too large.", name="")
    found = await visit.service.explain(raw, visit.field("mail_from", 320).strip(), visit.field("peer", 60).strip())
    return visit.page("explain.html", found=found, said="", name=given.filename[:100])


async def status(visit: Visit) -> Response:
    """What ``gateway status`` says."""
    now = visit.service.clock()
    counts, trouble = await visit.service.ask(lambda c: (worklist.counts(c, now), worklist.trouble(c)))
    return visit.page("status.html", found=await visit.service.status(), counts=counts, trouble=trouble)


async def templates(visit: Visit) -> Response:
    """Every template in every language."""
    desk = visit.service.desk()
    return visit.page("templates.html", names=samples.NAMES, languages=desk.templates.languages())


async def template(visit: Visit) -> Response:
    """One template with sample values, in the page that a mail program shows."""
    name, language = visit.request.path_params["name"], visit.request.path_params["language"]
    desk = visit.service.desk()
    if name not in samples.NAMES or language not in desk.templates.languages():
        raise HTTPException(404)
    values = render.variables(desk.sender, samples.samples(name)[0])
    text = desk.templates.text(name, language, values)
    return framed(desk.templates.page(name, language, values, text))
