"""`offhook lab vendors`: the vendors' protocols on this machine, without an account."""

from __future__ import annotations

__all__ = ["vendors"]

import asyncio
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offhook.lab.vendors.server import VendorServer
    from offhook.lab.vendors.world import VendorWorld

_TROUBLE = 2
"""Exit code of emulators that could not be started."""


class WhichProfile(StrEnum):
    """How long the vendors take."""

    instant = "instant"
    tutorial = "tutorial"
    typical = "typical"


def vendors(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 lets the system choose.")
    ] = 9100,
    profile: Annotated[WhichProfile, typer.Option(help="How long each step takes.")] = WhichProfile.instant,
    latency: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP=P50[/P95]",
            help="Let one step take so many milliseconds instead: first_token=400/900; may be repeated.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the times that are drawn.")] = 1,
    assistant: Annotated[
        Path | None,
        typer.Option(
            help="The assistant file whose intents answer as the language model (default: the demo)."
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAULT",
            help="Let something go wrong: 'openai request busy times=2 retry_after_s=0.5'; may be repeated.",
        ),
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option(help="Write the variables to this file as well, while the emulators run."),
    ] = None,
) -> None:
    """Emulate Deepgram, OpenAI and ElevenLabs on one port of this machine, and print how offhook finds them.

    Their protocols are spoken as the vendors do; the engines of this machine hear, think and speak inside. No
    key and no account is needed. Ctrl-C ends them and prints what they saw.

    Exit code 2: they could not be started.
    """
    import logging

    from offhook.config.assistant_loading import load_assistant
    from offhook.config.assistants import DEMO
    from offhook.config.errors import OffhookError
    from offhook.lab.vendors.env_file import env_file as variables_in
    from offhook.lab.vendors.fault_words import parse_fault
    from offhook.lab.vendors.latency import PROFILES, parse_latency
    from offhook.lab.vendors.running import VendorPlan, run_vendors

    from .logs import configure_logs

    configure_logs(logging.WARNING)
    with ExitStack() as files:

        def ready(server: VendorServer) -> None:
            if env_file is not None:
                files.enter_context(variables_in(env_file, server.environment()))
            _print_exports(server)

        try:
            times = PROFILES[profile]
            for step in latency or []:
                times = parse_latency(step, times)
            faults = [parse_fault(words) for words in fault or []]
            plan = VendorPlan(port, load_assistant(assistant or DEMO), times, seed, faults)
            asyncio.run(run_vendors(plan, ready, _print_summary))
        except OffhookError as error:
            typer.echo(f"The vendors could not be emulated: {error}", err=True)
            raise typer.Exit(_TROUBLE) from error
        except KeyboardInterrupt:  # before they were ready
            raise typer.Exit(130) from None


def _print_exports(server: VendorServer) -> None:
    import shlex

    for name, value in server.environment().items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    typer.echo(f"Emulated vendors listen on {server.base_url}. Ctrl-C ends them.", err=True)


def _print_summary(world: VendorWorld) -> None:
    from offhook.lab.vendors.summary import summary_lines

    typer.echo("\n".join(["", *summary_lines(world)]))
