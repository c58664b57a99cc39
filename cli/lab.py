"""`offhook lab`: measurements from the caller's side."""

from __future__ import annotations

__all__ = ["app"]

import asyncio
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from . import trials
from .vendors import vendors

_TROUBLE = 2
"""Exit code of a round that could not be played; 1 is one in which something was not as wanted."""

app = typer.Typer(name="lab", help="Measure from the caller's side.", no_args_is_help=True)


class WhichPart(StrEnum):
    """The parts of the corpus."""

    tuning = "tuning"
    held_out = "held-out"


@app.callback()
def _lab() -> None:
    """Measure from the caller's side."""


app.command()(trials.losses)
app.command()(trials.responses)
app.command()(vendors)


@app.command()
def scoreboard(
    only: Annotated[
        list[str] | None, typer.Option(help="Play this kind of scenarios alone; may be repeated.")
    ] = None,
    part: Annotated[WhichPart | None, typer.Option(help="Play this part of the corpus alone.")] = None,
    seed: Annotated[int, typer.Option(help="Of noise, jitter and the phase of the frames.")] = 1,
    recordings: Annotated[
        Path, typer.Option(help="The folder of the recorded utterances.", exists=True, file_okay=False)
    ] = Path("tests/audio"),
    out: Annotated[Path, typer.Option(help="Where rounds are kept.")] = Path("out/scoreboard"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON and nothing else.")
    ] = False,
) -> None:
    """Play the corpus of spoken scenarios as real calls, and print what came of it.

    A round of the whole corpus is kept and becomes the one that the next is compared with; a part of it is
    compared only.

    Exit code 1: something was not as wanted; 2: the round could not be played.
    """
    from offhook.config.errors import OffhookError
    from offhook.lab.scoreboard.board import board_of
    from offhook.lab.scoreboard.corpus import Part, load_corpus
    from offhook.lab.scoreboard.report import keep, last_board, lines
    from offhook.lab.scoreboard.run import run_trials

    wanted = {WhichPart.tuning: Part.TUNING, WhichPart.held_out: Part.HELD_OUT}.get(part) if part else None
    try:
        corpus = load_corpus(recordings)
        kinds = sorted({trial.scenario.kind for trial in corpus})
        if unknown := [kind for kind in only or [] if kind not in kinds]:
            raise typer.BadParameter(f"--only {unknown[0]} is no kind; one of: {', '.join(kinds)}")
        trials = [
            trial
            for trial in corpus
            if (not only or trial.scenario.kind in only) and (wanted is None or trial.part is wanted)
        ]
        say = (lambda _: None) if as_json else typer.echo
        board = board_of(asyncio.run(run_trials(trials, seed, say)))
    except OffhookError as error:
        typer.echo(f"The round could not be played: {error}", err=True)
        raise typer.Exit(_TROUBLE) from error
    last = last_board(out)
    if len(trials) == len(corpus):
        keep(board, out, datetime.now(UTC).isoformat(timespec="seconds"), seed)
    _print(list(lines(board, last)), board.to_json(), as_json=as_json)
    raise typer.Exit(0 if board.passed else 1)


def _print(table: list[str], result: dict[str, object], *, as_json: bool) -> None:
    if not as_json:
        typer.echo("\n".join(["", *table]))
        return
    import json

    json.dump(result, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
