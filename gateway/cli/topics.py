"""``gateway topics``: the topic rules, on labelled texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import context
from gateway.cli.output import fail, safe

app = typer.Typer(no_args_is_help=True, help="The topic rules: test.")


@app.callback()
def _topics() -> None:
    """So that ``topics test`` is a command of its own."""


@app.command("test")
def topics_test(
    file: Annotated[
        Path, typer.Argument(help="CSV with text and any of subject, department, question, critical, sensitive.")
    ],
    topics_file: Annotated[
        Path | None,
        typer.Option("--topics", help="Another folder of topics files, or a single file, than the configured one."),
    ] = None,
) -> None:
    """Scores the topic rules on labelled texts and prints the confusion. Exit 1 when the file cannot be read."""
    from gateway import config, service
    from gateway.read.topics import lexicon, scoring, stems

    try:
        if topics_file is not None:
            custom = service.topics_of_path(topics_file)
            stems.table(custom)
        else:
            custom = service.topics_text(context.settings(), context.path()) if Path(context.path()).exists() else ""
        found = scoring.scored(config.read_text(file).splitlines(keepends=True), custom)
    except (scoring.ScoringError, lexicon.TopicsError, OSError, UnicodeDecodeError) as error:
        fail(safe(f"{error}"))
    for line in scoring.table(found):
        print(safe(line))
