"""`offhook bench`: how many calls does one core of this machine carry?"""

from __future__ import annotations

__all__ = ["bench"]

import sys
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offhook.lab.bench.report import BenchResult

_TROUBLE = 2
"""Exit code of a run that could not be done; 1 is a target that was missed."""


class Vad(StrEnum):
    """Voice activity while measuring."""

    silero = "silero"
    off = "off"


class EngineAudio(StrEnum):
    """What the engines take and give."""

    carrier = "carrier"
    pcm = "pcm"


def bench(
    calls: Annotated[int, typer.Option(min=1, max=2000, help="Calls at a time.")] = 100,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Length of the measurement.")] = 20.0,
    warm_up_s: Annotated[
        float, typer.Option("--warm-up-s", min=0, max=600, help="Time between the last call's start and it.")
    ] = 3.0,
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
    uvloop: Annotated[
        bool | None,
        typer.Option("--uvloop/--no-uvloop", help="The event loop (default: uvloop if installed)."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON and nothing else.")
    ] = False,
) -> None:
    """Measure how this machine carries many calls at a time.

    A server runs on one core, with recogniser, model and voice replaced by scripts; everything else is
    as in production: sockets, dialect, voice activity, turn-taking, playout. Another process on
    another core is callers and carrier, and judges what they get.

    Exit code 1: the target was missed; 2: the measurement could not be made.
    """
    from offhook.config.errors import OffhookError
    from offhook.lab.bench.plan import BenchPlan, choose_cores
    from offhook.lab.bench.run import run_bench

    if (barge_in or vendors) and vad is Vad.off:
        raise typer.BadParameter("who interrupts needs voice activity; leave --vad off away")
    if uvloop and find_spec("uvloop") is None:
        raise typer.BadParameter("uvloop is not installed; pip install 'offhook[fast]'")
    plan = BenchPlan(
        calls=calls,
        seconds=seconds,
        warm_up_s=warm_up_s,
        vad=vad.value,
        engine_audio=engine_audio.value,
        uvloop=find_spec("uvloop") is not None if uvloop is None else uvloop,
        barge_in=barge_in,
        vendors=0 if vendors else None,
        cores=choose_cores(),
    )
    try:
        result = run_bench(plan, say=(lambda _: None) if as_json else typer.echo)
    except OffhookError as error:
        typer.echo(f"The measurement could not be made: {error}", err=True)
        raise typer.Exit(_TROUBLE) from error
    _print(result, as_json=as_json)
    raise typer.Exit(0 if result.passed else 1)


def _print(result: BenchResult, *, as_json: bool) -> None:
    if not as_json:
        typer.echo("\n".join(result.lines()))
        return
    import json

    json.dump(result.to_json(), sys.stdout, indent=2)
    sys.stdout.write("\n")
