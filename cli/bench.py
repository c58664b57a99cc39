"""`offhook bench`: how many calls does one core of this machine carry?"""

from __future__ import annotations

__all__ = ["bench"]

import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offhook.lab.bench.suite import Findings

_TROUBLE = 2
"""Exit code of a run that could not be done; 1 is a target that was missed."""
_LOADS_LIMIT = 2000
EMBEDDED_S = 30.0
"""Shorter calls have too few turns."""


class Scenario(StrEnum):
    """What is measured."""

    media = "media"
    pipeline = "pipeline"
    standard = "standard"
    barge_in = "barge-in"
    setup = "setup"
    stalls = "stalls"
    soak = "soak"
    embedded = "embedded"
    capacity = "capacity"
    workers = "workers"


class CapacityOf(StrEnum):
    """Whose largest number of calls is looked for."""

    media = "media"
    pipeline = "pipeline"


class Vad(StrEnum):
    """Voice activity while measuring."""

    silero = "silero"
    off = "off"


class EngineAudio(StrEnum):
    """What the engines take and give."""

    carrier = "carrier"
    pcm = "pcm"


def bench(
    scenario: Annotated[
        Scenario,
        typer.Argument(
            help="media: the media path alone, every call with audio of its own, checked at both ends; "
            "pipeline: whole conversations; barge-in: all callers cut in at once, again and again; "
            "setup: calls begin and end while others go on; stalls: the loop is blocked on purpose; "
            "standard: all of these, in one table; soak: thousands of calls on virtual time; "
            "embedded: the embedded recogniser, voice and agent (30 s or more, a few calls); "
            "capacity: the largest number that is carried; "
            "workers: one server process against two."
        ),
    ] = Scenario.pipeline,
    calls: Annotated[str, typer.Option(help="Calls at a time; several numbers with commas.")] = "100",
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Length of the measurement.")] = 20.0,
    warm_up_s: Annotated[
        float, typer.Option("--warm-up-s", min=0, max=600, help="Time between the last call's start and it.")
    ] = 3.0,
    runs: Annotated[int, typer.Option(min=1, max=50, help="Measure so often, and tell the median.")] = 1,
    vad: Annotated[
        Vad, typer.Option(help="The voice-activity model that listens to all calls.")
    ] = Vad.silero,
    engine_audio: Annotated[
        EngineAudio,
        typer.Option(help="carrier: engines speak mu-law; pcm: 16 kHz in, 24 kHz out, all converted."),
    ] = EngineAudio.carrier,
    barge_in: Annotated[
        bool, typer.Option("--barge-in", help="A tenth of the callers interrupts the agent every 5 s.")
    ] = False,
    vendors: Annotated[
        bool,
        typer.Option(
            "--vendors",
            help="Every call goes through the vendors' clients, to emulators without delay.",
        ),
    ] = False,
    parts: Annotated[
        bool, typer.Option("--parts", help="A further pass tells which part the CPU time goes to.")
    ] = False,
    setups_per_s: Annotated[
        float, typer.Option("--setups-per-s", min=0.1, max=200, help="setup: calls begun in a second.")
    ] = 10.0,
    calls_in_all: Annotated[
        int, typer.Option("--calls-in-all", min=10, max=1_000_000, help="soak: so many calls.")
    ] = 10_000,
    hours: Annotated[
        float | None, typer.Option(min=0.01, max=100, help="soak: spread over so much virtual time.")
    ] = None,
    real: Annotated[
        bool, typer.Option("--real", help="soak: 100 conversations for 10 minutes of real time instead.")
    ] = False,
    of: Annotated[CapacityOf, typer.Option(help="capacity: of this scenario.")] = CapacityOf.media,
    uvloop: Annotated[
        bool | None,
        typer.Option("--uvloop/--no-uvloop", help="The event loop (default: uvloop if installed)."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare/--no-compare", help="Say what changed since the last such run.")
    ] = True,
    as_json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the results as JSON; `-`: print nothing else."),
    ] = None,
) -> None:
    """Measure how this machine carries many calls at a time.

    A server runs on one core, with recogniser, model and voice replaced by scripts; everything else is
    as in production: sockets, dialect, voice activity, turn-taking, playout. Another process on
    another core is callers and carrier, and judges what they get. Every result is added to
    out/bench/history.jsonl.

    Exit code 1: the target was missed; 2: the measurement could not be made.
    """
    from offhook.config.errors import OffhookError
    from offhook.lab.bench.history import History
    from offhook.lab.bench.plan import BenchPlan, choose_cores
    from offhook.lab.bench.soak import SoakPlan
    from offhook.lab.bench.suite import (
        BenchOrder,
        carry_out,
        measure_capacity,
        measure_embedded_calls,
        measure_soak,
        measure_standard,
        measure_workers,
        scenario_plan,
    )

    if (barge_in or vendors or scenario is Scenario.barge_in) and vad is Vad.off:
        raise typer.BadParameter("who interrupts needs voice activity; leave --vad off away")
    if uvloop and find_spec("uvloop") is None:
        raise typer.BadParameter("uvloop is not installed; pip install 'offhook[fast]'")
    loads = _loads(calls)
    plan = BenchPlan(
        seconds=600.0 if real else seconds,
        warm_up_s=warm_up_s,
        vad=vad.value,
        engine_audio=engine_audio.value,
        uvloop=find_spec("uvloop") is not None if uvloop is None else uvloop,
        barge_in=barge_in,
        vendors=0 if vendors else None,
        cores=choose_cores(),
        setups_per_s=setups_per_s if scenario is Scenario.setup else 0.0,
    )
    plan = scenario_plan(plan, of.value if scenario is Scenario.capacity else scenario.value)
    order = BenchOrder(plan, loads, runs, parts, compare)
    history = History()
    quiet = as_json == "-"
    say = (lambda _: None) if quiet else typer.echo
    try:
        if scenario is Scenario.soak and not real:
            findings = measure_soak(SoakPlan(min(loads[0], 50), calls_in_all, hours), history, say)
        elif scenario is Scenario.embedded:
            findings = measure_embedded_calls(loads[0], max(seconds, EMBEDDED_S), history, say)
        elif scenario is Scenario.capacity:
            findings = measure_capacity(order, history, say)
        elif scenario is Scenario.workers:
            findings = measure_workers(order, history, say)
        elif scenario is Scenario.standard:
            findings = measure_standard(plan, history, say)
        else:
            findings = carry_out(order, history, say)
    except OffhookError as error:
        typer.echo(f"The measurement could not be made: {error}", err=True)
        raise typer.Exit(_TROUBLE) from error
    _tell(findings, as_json)
    raise typer.Exit(0 if findings.passed else 1)


def _loads(text: str) -> tuple[int, ...]:
    """Raises BadParameter for what are no numbers of calls."""
    numbers = [part.strip() for part in text.split(",")]
    if not all(number.isdecimal() and 1 <= int(number) <= _LOADS_LIMIT for number in numbers):
        raise typer.BadParameter(f"--calls takes numbers from 1 to {_LOADS_LIMIT}, with commas between them")
    return tuple(int(number) for number in numbers)


def _tell(findings: Findings, as_json: str | None) -> None:
    """Print the lines, or write the results: one object, or a list of several."""
    import json

    if as_json != "-":
        typer.echo("\n".join(findings.lines))
    if as_json is None:
        return
    results = findings.results
    text = json.dumps(results[0] if len(results) == 1 else results, indent=2) + "\n"
    if as_json == "-":
        sys.stdout.write(text)
    else:
        Path(as_json).write_text(text, encoding="utf-8")
