"""``gateway templates``: the words of our replies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context
from gateway.cli.output import Json, fail, show_table

if TYPE_CHECKING:
    from gateway.replies.render import Sender, Templates

app = typer.Typer(no_args_is_help=True, help="Reply templates: list, preview.")


@app.command("list")
def templates_list(as_json: Json = False) -> None:
    """List the templates that are there, shipped and your own."""
    from gateway.replies.render import Templates

    rows = [
        dict(zip(("template", "language"), name.split("."), strict=True))
        for name in Templates(context.settings().replies.templates_dir).names()
    ]
    show_table(rows, ("template", "language"), as_json)


@app.command("preview")
def templates_preview(
    name: Annotated[str | None, typer.Argument(help="A template, for example received.")] = None,
    language: Annotated[str, typer.Option(help="Two letters.")] = "en",
    all_to: Annotated[
        Path | None, typer.Option("--all", help="Write every template in every language into this folder.")
    ] = None,
) -> None:
    """Show a template with sample values, or write all of them with an index page."""
    from gateway import service
    from gateway.replies.render import RenderError, Templates, variables
    from gateway.replies.samples import samples

    if (name is None) == (all_to is None):
        fail("name a template, or give --all FOLDER", 2)
    settings = context.settings()
    sender = service.sender(settings, b"preview" * 5)
    templates = Templates(settings.replies.templates_dir)
    try:
        if all_to is not None:
            _write_all(templates, sender, all_to)
        else:
            print(templates.text(str(name), language, variables(sender, samples(str(name))[0])))
    except RenderError as error:
        why = error.__cause__  # what it quotes are samples, no customer's words
        fail(f"{error}: {why}" if why is not None and str(why) else str(error))


def _write_all(templates: Templates, sender: Sender, folder: Path) -> None:
    from gateway.replies import preview

    files = preview.everything(templates, sender)
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    print(f"{len(files)} files; look at {folder / 'index.html'}")
