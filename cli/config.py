"""`offhook config`: check assistant files and settings, print their schema and their reference."""

from __future__ import annotations

__all__ = ["app"]

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from offhook.config.assistant import Assistant
    from offhook.config.errors import ConfigProblem
    from offhook.config.settings import Settings

_TROUBLE = 2
"""Exit code of a page that could not be read or written; 1 is one that has no place for the reference."""


class Platform(StrEnum):
    """Whose assistants can be read."""

    vapi = "vapi"


class Topic(StrEnum):
    """What a reference is about."""

    settings = "settings"
    assistant = "assistant"
    states = "states"


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
    from offhook.config.settings_checks import contradictions, notices
    from offhook.config.tool_calls_out import calls_out

    problems: list[ConfigProblem] = []
    settings: Settings | None = None
    try:
        settings = load_settings()
        problems += contradictions(settings)
        for notice in notices(settings):
            typer.echo(f"settings: note: {notice}")
    except ConfigError as error:
        problems += error.problems
    for file in files or []:
        try:
            assistant = load_assistant(file)
            for notice in assistant.notices:
                typer.echo(f"{file}: note: {notice}")
            for sentence in (*calls_out(assistant), *_lacking_here(assistant, settings)):
                typer.echo(f"{file}: {sentence}")
        except ConfigError as error:
            problems += error.problems
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo("All good.")


def _lacking_here(assistant: Assistant, settings: Settings | None) -> list[str]:
    """What would keep this machine from serving it; on another one, where the file may be meant for, not."""
    from offhook.pipeline.providers.catalogue import unmet_needs

    if settings is None:
        return []
    lacking = unmet_needs(assistant, settings.account)
    return [f"note: not served here: {each.key}: {each.message} {each.fix}" for each in lacking]


@app.command("import")
def import_assistant(
    platform: Annotated[Platform, typer.Argument(help="Whose names the file has.")],
    file: Annotated[Path, typer.Argument(help="The assistant as the platform gives it, JSON or YAML.")],
    write: Annotated[
        Path | None, typer.Option(help="Write it there, where no file is yet.", dir_okay=False)
    ] = None,
) -> None:
    """Print a hosted platform's assistant in offhook's own names, and what was left out.

    Secrets become variables of the environment, whose names are told.
    """
    from offhook.config.assistant_loading import load_assistant
    from offhook.config.errors import ConfigError
    from offhook.config.writing import written

    del platform  # there is one
    try:
        assistant = load_assistant(file)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    ours = written(assistant)
    notices = [*assistant.notices]
    for name, place in ours.variables.items():
        notices.append(f"{place} is a secret: put it into the environment or .env as {name}.")
    for notice in notices:
        typer.echo(f"note: {notice}", err=True)
    if write is None:
        typer.echo(ours.text, nl=False)
        return
    try:
        with write.open("x", encoding="utf-8") as out:
            # For whoever reads the file later; a notice holds names, and never a secret.
            out.writelines(f"# {' '.join(notice.split())}\n" for notice in notices)
            out.write(ours.text)
    except OSError as error:
        typer.echo(f"{write} could not be written: {error.strerror}.", err=True)
        raise typer.Exit(_TROUBLE) from error


@app.command()
def schema() -> None:
    """Print the JSON Schema of an assistant file, for editors."""
    from offhook.config.assistant import assistant_schema

    typer.echo(json.dumps(assistant_schema(), indent=2))


@app.command()
def reference(
    topic: Annotated[Topic, typer.Argument(help="What the reference is about.")],
    write: Annotated[
        Path | None, typer.Option(help="Put it between its markers in this page instead.", dir_okay=False)
    ] = None,
) -> None:
    """Print what may be set, or how a call moves, as Markdown tables made from the code itself."""
    from offhook.config.errors import ConfigError
    from offhook.config.reference import refreshed

    references = references_by_topic()
    if write is None:
        typer.echo(references[topic.value]())
        return
    try:
        page = refreshed(write.read_text(encoding="utf-8"), topic.value, str(write), references)
        write.write_text(page, encoding="utf-8")
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"The page could not be refreshed: {error}", err=True)
        raise typer.Exit(_TROUBLE) from error


def references_by_topic() -> Mapping[str, Callable[[], str]]:
    """What makes the reference on each topic."""
    from offhook.config.reference import REFERENCES
    from offhook.pipeline.state_table import state_reference

    return {**REFERENCES, Topic.states.value: state_reference}
