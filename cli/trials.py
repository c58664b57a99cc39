"""`offhook lab losses` and `offhook lab responses`: whole calls through the vendors' clients to emulators."""

from __future__ import annotations

__all__ = ["losses", "responses"]

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from offhook.lab.trials.losses import LossTrial
    from offhook.lab.trials.responses import ResponseTrial
    from offhook.pipeline.clock import Clock
    from offhook.pipeline.ports import Workers

T = TypeVar("T")

_TROUBLE = 2
"""Exit code of a trial that could not be made; 1 is one in which something was not as wanted."""


def losses(
    times: Annotated[int, typer.Option(min=1, max=1000, help="Calls for each stage.")] = 20,
    at_once: Annotated[int, typer.Option(min=1, max=50, help="Calls at a time.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the moments within a stage.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON and nothing else.")
    ] = False,
) -> None:
    """Cut a vendor's connection at each stage of a call, again and again, and count what was lost.

    Every call goes through the vendors' clients to emulators of its own. Caller and agent say words that the
    audio spells, so each word is accounted for.

    Exit code 1: a call, a word or an answer was lost; 2: the calls could not be made.
    """
    from offhook.lab.trials.losses import plan_losses, run_losses

    planned = plan_losses(times, seed)

    def ended(trial: LossTrial) -> None:
        if not as_json and not trial.faultless:
            typer.echo(f"{trial.loss.stage} after {trial.loss.after}: {'; '.join(trial.wrong())}")

    trials = _run(lambda clock, workers: run_losses(planned, clock, workers, at_once=at_once, done=ended))
    if as_json:
        json.dump([asdict(trial) | {"faultless": trial.faultless} for trial in trials], sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        typer.echo("\n".join(_loss_table(trials)))
    raise typer.Exit(0 if all(trial.faultless and trial.happened for trial in trials) else 1)


def responses(
    turns: Annotated[int, typer.Option(min=1, max=200, help="Turns of each call.")] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON and nothing else.")
    ] = False,
) -> None:
    """Measure how soon a caller is answered by vendors that take their time, with and without speculation.

    The emulated vendors take 200 ms for words, 400 ms for the first piece of an answer, 150 ms for the
    first audio; a tool takes 2 s; a turn ends with 400 ms of silence.

    Exit code 1: the answers came late; 2: the calls could not be made.
    """
    from offhook.lab.trials.responses import run_responses

    async def both(clock: Clock, workers: Workers) -> list[ResponseTrial]:
        return [
            await run_responses(clock, workers, turns=turns, speculates=speculates)
            for speculates in (True, False)
        ]

    trials = _run(both)
    if as_json:
        json.dump([asdict(trial) | {"passed": trial.passed} for trial in trials], sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        for trial in trials:
            how = "with speculation" if trial.speculates else "without speculation"
            typer.echo(
                f"{how:<20} response p50 {trial.response_p50_ms:.0f} ms, at most {trial.bound_p50_ms:.0f} "
                f"({len(trial.turns)} turns); longest silence in a tool's turn {trial.dead_air_ms:.0f} ms"
                f"   {'met' if trial.passed else 'MISSED'}"
            )
    raise typer.Exit(0 if all(trial.passed for trial in trials) else 1)


def _run(trials: Callable[[Clock, Workers], Coroutine[Any, Any, T]]) -> T:
    """Run them on the real clock; exits with 2 for what keeps them from being made."""
    import structlog

    from offhook.bridge.pool_workers import PoolWorkers
    from offhook.config.errors import OffhookError
    from offhook.pipeline.clock import LoopClock

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

    async def run() -> T:
        async with PoolWorkers() as workers:
            return await trials(LoopClock(asyncio.get_running_loop()), workers)

    try:
        return asyncio.run(run())
    except OffhookError as error:
        typer.echo(f"The calls could not be made: {error}", err=True)
        raise typer.Exit(_TROUBLE) from error


def _loss_table(trials: Sequence[LossTrial]) -> list[str]:
    by_stage: dict[str, list[LossTrial]] = defaultdict(list)
    for trial in trials:
        by_stage[trial.loss.stage].append(trial)
    rows = [("connection cut", "calls", "cut", "calls lost", "words lost", "unanswered", "sorry", "slowest")]
    for stage, of_stage in by_stage.items():
        rows.append(
            (
                stage,
                str(len(of_stage)),
                str(sum(trial.happened for trial in of_stage)),
                str(sum(trial.ended for trial in of_stage)),
                str(sum(_words_lost(trial) for trial in of_stage)),
                str(sum(len(trial.unanswered) for trial in of_stage)),
                str(sum(trial.apologies for trial in of_stage)),
                f"{max(trial.slowest_answer_s for trial in of_stage):.1f} s",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _words_lost(trial: LossTrial) -> int:
    """Words of the caller's that are in no turn, or in too many."""
    said, understood = trial.caller_said, trial.understood
    return sum(abs(said.count(word) - understood.count(word)) for word in {*said, *understood})
