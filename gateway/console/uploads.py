"""Files for an answer: taken in with the form of the answer, so that they work without script, and taken out again."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

from sqlalchemy import Connection
from starlette.datastructures import UploadFile
from starlette.responses import Response

from gateway.console.door import Visit, back
from gateway.database import originals
from gateway.read.attachments import guessed, named
from gateway.tickets import answer_files, answering
from gateway.tickets.answer_files import Draft, File
from gateway.tickets.conversation import Refused, ticket


async def change(visit: Visit) -> Response:
    """Adds the chosen files to the draft, or removes one; the words that were written so far are kept."""
    reference, now = str(visit.request.path_params["reference"])[:20], visit.service.clock()
    said = ""
    try:
        await taken(visit, reference)
    except Refused as refused:
        said = f"Not attached: {refused}."
    words, gone = visit.field("text", answering.MAX_WORDS), visit.numbers("remove")

    def changed(connection: Connection) -> list[Any]:
        row = ticket(connection, reference)
        if words.strip():
            answering.keep(connection, visit.who.id, row.id, words, now)
        for key in gone:
            answer_files.remove(connection, visit.who.id, row.id, key)
        return answer_files.of_draft(connection, visit.who.id, row.id)

    files = await visit.service.change(changed)
    if not visit.request.headers.get("x-part"):
        return back(f"/tickets/{reference}#answer", said)
    limit = visit.service.desk().settings.replies.max_files
    shown = {"files": files, "files_size": answer_files.total(files), "files_limit": limit, "reference": reference}
    return visit.page("answer_files.html", 409 if said else 200, **shown, files_said=said)


async def taken(visit: Visit, reference: str) -> None:
    """Adds the files of the form, as many as there are.

    Raises:
        Refused: they are too many or too large; those before the first that does not fit are kept.
    """
    given = [one for one in visit.form.getlist("file") if isinstance(one, UploadFile) and one.filename]
    if not given:
        return
    row = await visit.service.ask(lambda connection: ticket(connection, reference))
    draft = Draft(visit.who.id, row.id, visit.service.desk().settings.replies.max_files)
    for one in given:
        await _one(visit, draft, one)


async def _one(visit: Visit, draft: Draft, given: UploadFile) -> None:
    size, now = given.size or 0, visit.service.clock()
    await visit.service.ask(lambda connection: answer_files.room(connection, draft, size))
    place, digest = originals.staging(now), hashlib.sha256()
    for seq in range(size // originals.PIECE + 1):
        piece = await given.read(originals.PIECE)
        digest.update(piece)
        await visit.service.change(partial(originals.stage, staged=place, seq=seq, piece=piece))
    name = named(given.filename or "") or "unnamed"
    file = File(name, guessed(name), size, digest.hexdigest(), place)
    await visit.service.change(lambda connection: answer_files.add(connection, draft, file, now))
