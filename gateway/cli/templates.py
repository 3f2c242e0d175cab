"""``gateway templates``: the words of our replies."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Json, fail, show_table

app = typer.Typer(no_args_is_help=True, help="Reply templates: list, preview.")


@app.command("list")
def templates_list(as_json: Json = False) -> None:
    """The templates that are there."""
    from gateway.replies.render import Templates

    rows = [
        dict(zip(("template", "language"), name.split("."), strict=True))
        for name in Templates(context.settings().replies.templates_dir).names()
    ]
    show_table(rows, ("template", "language"), as_json)


@app.command("preview")
def templates_preview(name: str, language: Annotated[str, typer.Option(help="Two letters.")] = "en") -> None:
    """A template with sample values."""
    from gateway import service
    from gateway.replies.render import RenderError, Templates, samples, variables

    settings = context.settings()
    sender = service.sender(settings, b"preview" * 5)
    try:
        print(Templates(settings.replies.templates_dir).text(name, language, variables(sender, samples(name)[0])))
    except RenderError as error:
        fail(str(error))
