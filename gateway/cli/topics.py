"""``gateway topics``: the topic rules, on labelled texts."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import context
from gateway.cli.output import fail, safe

app = typer.Typer(no_args_is_help=True, help="The topic rules: test, export.")


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
    """Score the topic rules on labelled texts; for each wrong one, the entries that decided. Exit 1 when the file
    cannot be read."""
    from gateway import service
    from gateway.read.topics import lexicon, scoring, stems
    from gateway.settings import read_text

    try:
        if topics_file is not None:
            custom = service.topics_of_path(topics_file)
            stems.table(custom)
        else:
            custom = service.topics_text(context.settings(), context.path()) if Path(context.path()).exists() else ""
        found = scoring.scored(read_text(file).splitlines(keepends=True), custom)
    except (scoring.ScoringError, lexicon.TopicsError, OSError, UnicodeDecodeError) as error:
        fail(safe(f"{error}"))
    for line in scoring.table(found):
        print(safe(line))


@app.command("export")
def topics_export(
    file: Annotated[Path | None, typer.Argument(help="Where to; default: standard output.")] = None,
) -> None:
    """Write what people corrected as labelled texts, secrets masked: CSV that `gateway topics test` reads."""
    from gateway.read.secrets.secrets import mask
    from gateway.tickets import corrections

    with context.store() as (_, store):
        rows = store.read_now(lambda connection: list(corrections.labelled(connection)))
    out = io.StringIO(newline="")
    names = ("ticket", "subject", "text", *corrections.LABELS)
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    for row in rows:  # masked once more: the rules may have learned since the mail was received
        writer.writerow(row | {"subject": mask(row["subject"])[0], "text": mask(row["text"])[0]})
    if file is None:
        sys.stdout.buffer.write(out.getvalue().encode())
        return
    file.write_text(out.getvalue(), encoding="utf-8", newline="")
    print(f"{len(rows)} labelled texts in {safe(file)}")
