"""`offhook config`: check assistant files and settings, print their schema."""

from __future__ import annotations

__all__ = ["app"]

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offhook.config.errors import ConfigProblem

app = typer.Typer(name="config", help="Check what may be set.", no_args_is_help=True)


@app.command()
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Assistant files; the settings are always checked.")
    ] = None,
) -> None:
    """Check the settings and assistant files; every problem is shown, with its place and its mend."""
    from offhook.config.assistant_loading import load_assistant
    from offhook.config.errors import ConfigError
    from offhook.config.settings import load_settings

    problems: list[ConfigProblem] = []
    try:
        load_settings()
    except ConfigError as error:
        problems += error.problems
    for file in files or []:
        try:
            for notice in load_assistant(file).notices:
                typer.echo(f"{file}: note: {notice}")
        except ConfigError as error:
            problems += error.problems
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo("All good.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of an assistant file, for editors."""
    from offhook.config.assistant import assistant_schema

    typer.echo(json.dumps(assistant_schema(), indent=2))
