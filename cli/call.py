"""`offhook call`: place a simulated phone call."""

from __future__ import annotations

__all__ = ["CallCommand", "call"]

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from offhook.config.settings import Settings
    from offhook.lab.call_result import CallPlan, CallResult
    from offhook.lab.script import Press, Say, Script
    from offhook.lab.twilio.telephones import Telephone

_ORDER = "offhook.cli.order"
_ACTIONS = ("say", "wav", "dtmf", "script")
_TROUBLE = 2
"""Exit code of a call that could not be placed; 1 is a call that went wrong."""


class CallCommand(TyperCommand):
    """Keeps the order in which different options were given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note the name of every option in order, then parse as usual."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


def call(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(help="The media stream, as a TwiML Bin would name it: ws://HOST:PORT/media.")
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(help="The voice webhook, dialled as Twilio does: http://HOST:PORT/voice/inbound."),
    ] = None,
    say: Annotated[list[str] | None, typer.Option(help="Say this once the agent is silent.")] = None,
    wav: Annotated[
        list[Path] | None, typer.Option(help="Play this WAV file once the agent is silent.")
    ] = None,
    dtmf: Annotated[list[str] | None, typer.Option(help="Press these keys once the agent is silent.")] = None,
    script: Annotated[list[Path] | None, typer.Option(help="Follow a script (YAML).")] = None,
    record: Annotated[Path | None, typer.Option(help="Write a stereo WAV: caller left, agent right.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(help="A stream parameter NAME=VALUE, with --url.", metavar="NAME=VALUE"),
    ] = None,
    assistant: Annotated[
        Path | None, typer.Option(help="The assistant file of the server started here (default: the demo).")
    ] = None,
    from_number: Annotated[str, typer.Option("--from", help="The caller's number.")] = "+15005550006",
    to_number: Annotated[str, typer.Option("--to", help="The number that is called.")] = "+15005550001",
    phone: Annotated[
        list[str] | None,
        typer.Option(
            help="What happens when this number is rung: answers (the rule), busy, no-answer or failed.",
            metavar="NUMBER=ANSWER",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON and nothing else.")
    ] = False,
) -> None:
    """Place a simulated phone call, print it as it goes on, and judge it.

    Without --url or --webhook a server is started here for the one call.

    --say, --wav, --dtmf and --script may be repeated, and are done in the order given.
    With none of them the caller hears the greeting out and hangs up.

    TWILIO_AUTH_TOKEN, if it is set, signs the requests and opens the server's log of the call.

    Exit code 1: an expectation was not met or the call broke; 2: the call could not be placed.
    """
    import logging

    from offhook.config.errors import ConfigError, OffhookError

    from .logs import configure_logs

    configure_logs(logging.WARNING)
    if url and webhook:
        raise typer.BadParameter("give --url or --webhook, not both")
    if assistant and (url or webhook):
        raise typer.BadParameter("--assistant is for the server that is started without --url and --webhook")
    if record and not record.absolute().parent.parent.is_dir():
        raise typer.BadParameter(
            f"--record makes one folder at most, and {record.parent.parent} is not there"
        )
    if any(not text.strip() for text in say or []):
        raise typer.BadParameter("--say needs something to say; to stay silent, leave it out")
    given = {"say": say or [], "wav": wav or [], "dtmf": dtmf or [], "script": script or []}
    try:
        from offhook.config.settings import load_settings
        from offhook.lab.call_result import CallPlan
        from offhook.lab.twilio.telephones import telephone_from

        settings = load_settings()
        token = settings.twilio_auth_token
        plan = CallPlan(
            script=_script([name for name in context.meta[_ORDER] if name in _ACTIONS], given),
            webhook=webhook,
            url=url,
            parameters=_parameters(param or [], url),
            from_number=from_number,
            to_number=to_number,
            auth_token=token.get_secret_value() if token else None,
            record=record,
        )
        telephones = dict(map(telephone_from, phone or ()))
        result = asyncio.run(_place(plan, telephones, settings, assistant, quiet=as_json))
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_TROUBLE) from error
    except (OffhookError, OSError) as error:
        typer.echo(f"The call could not be placed: {error}", err=True)
        raise typer.Exit(_TROUBLE) from error
    _print(result, as_json=as_json)
    raise typer.Exit(0 if result.passed else 1)


def _script(order: Sequence[str], given: dict[str, Any]) -> Script:
    """One script of all that was given, in order. Raises ConfigError."""
    from offhook.lab.script import KEYS, Press, Say, spoken_script
    from offhook.lab.script_file import load_script

    values = {name: iter(given[name]) for name in _ACTIONS}
    actions: list[Say | Press | Script] = []
    for name in order:
        value = next(values[name])
        if name == "script":
            actions.append(load_script(value))
        elif name == "dtmf":
            if not value or set(value) - KEYS:
                raise typer.BadParameter(f"--dtmf {value!r} is not made of the keys 0-9 * # A-D")
            actions.append(Press(value))
        else:
            actions.append(Say(text=value) if name == "say" else Say(wav=value))
    return spoken_script(actions)


def _parameters(given: Sequence[str], url: str | None) -> dict[str, str]:
    if given and not url:
        raise typer.BadParameter("--param goes with --url; a webhook gives its own parameters")
    pairs = [pair.partition("=") for pair in given]
    if any(not name or not sign for name, sign, _ in pairs):
        raise typer.BadParameter("--param is NAME=VALUE")
    return {name: value for name, _, value in pairs}


async def _place(
    plan: CallPlan,
    telephones: dict[str, Telephone],
    settings: Settings,
    assistant: Path | None,
    *,
    quiet: bool,
) -> CallResult:
    """Place the call, to a server of its own if the plan names none."""
    from dataclasses import replace

    from rich.console import Console

    from offhook.lab.conversation_view import ConversationView
    from offhook.lab.place_call import place_call
    from offhook.lab.twilio.simulated_twilio import SimulatedTwilio
    from offhook.pipeline.clock import LoopClock

    clock = LoopClock(asyncio.get_running_loop())
    view = ConversationView(Console())
    watch = (lambda _: None) if quiet else view.show_line
    if plan.url or plan.webhook:
        twilio = SimulatedTwilio(clock, auth_token=plan.auth_token, telephones=telephones)
        return await place_call(plan, clock, watch=watch, twilio=twilio)
    from offhook.bridge.app import serve_in_process

    # Nobody outside reaches this server: neither signatures nor a public address are of use.
    private = {"public_url": None, "twilio_auth_token": None, "host": "127.0.0.1"}
    async with serve_in_process(settings.model_copy(update=private), assistant) as server:
        there = replace(plan, webhook=server.webhook_url, auth_token=None)
        twilio = SimulatedTwilio(clock, telephones=telephones)
        return await place_call(there, clock, watch=watch, twilio=twilio)


def _print(result: CallResult, *, as_json: bool) -> None:
    if as_json:
        import json

        json.dump(result.to_json(), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    from rich.console import Console

    from offhook.lab.conversation_view import ConversationView

    ConversationView(Console()).show_result(result)
