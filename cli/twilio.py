"""`offhook twilio`: what is set up at Twilio's for this server."""

from __future__ import annotations

__all__ = ["app"]

import asyncio
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offhook.bridge.twilio.account import TwilioAccount
    from offhook.bridge.twilio.number_routing import Change, OwnNumber, Routing

_DECLINED = 1
"""Exit code when nothing was changed because somebody said no; 2: because something stood in the way."""
_TROUBLE = 2

app = typer.Typer(name="twilio", help="What is set up at Twilio's.", no_args_is_help=True)


@app.callback()
def _twilio() -> None:
    """What is set up at Twilio's."""


@app.command()
def link(
    number: Annotated[
        str | None, typer.Argument(help="The number, like +15551234567 (default: TWILIO_PHONE_NUMBER).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Also when an application or a SIP trunk answers it now.")
    ] = False,
) -> None:
    """Let this server, at PUBLIC_URL, answer a number of your Twilio account.

    What will change is printed first, and what was set is read back. An error changes nothing.

    Exit code 1: somebody said no. 2: something stood in the way.
    """
    from offhook.bridge.twilio.account import account_of
    from offhook.bridge.twilio.number_routing import changes, routing_to, taken_by, unfit_address
    from offhook.config.errors import OffhookError
    from offhook.config.settings import load_settings

    try:
        settings = load_settings()
        account = account_of(settings)
        if unfit := unfit_address(settings.public_url):
            _give_up(f"PUBLIC_URL {unfit} Set it to an address like https://bridge.example.com.")
        own = asyncio.run(account.number(_e164(number or settings.twilio_phone_number)))
        wanted = routing_to(settings.public_url or "", own.routing)
        planned = changes(own.routing, wanted)
        if not own.takes_calls:
            _give_up(f"{own.number} takes text messages alone, and no calls. Choose another number.")
        if not planned:
            typer.echo(f"{own.number} is answered by {settings.public_url} already; nothing to change.")
            return
        typer.echo(_table(own.number, planned))
        if owner := taken_by(own.routing):
            typer.echo(f"{own.number} is answered by {owner} now, which would lose its calls.")
            if yes and not take_over:
                _give_up("Nothing was changed. Add --take-over if that is what you want.")
        if not yes and not typer.confirm("Change that?"):
            typer.echo("Nothing was changed.")
            raise typer.Exit(_DECLINED)
        _set(account, own, wanted)
    except OffhookError as error:
        _give_up(str(error))


def _set(account: TwilioAccount, own: OwnNumber, wanted: Routing) -> None:
    """Change the number, and say what it is now. Raises CarrierError."""
    from offhook.bridge.twilio.number_routing import changes

    now = asyncio.run(account.route(own, wanted))
    if missed := changes(now.routing, wanted):
        typer.echo(_table(own.number, missed))
        _give_up("Twilio took the change and does not show it: the fields above are not as wanted.")
    typer.echo(f"Set, and read back. Call {now.number}; `offhook doctor` checks the way to this server.")


def _e164(number: str | None) -> str:
    import re

    from offhook.config.phone_numbers import E164

    if number is None:
        _give_up("Name the number, like +15551234567, or set TWILIO_PHONE_NUMBER.")
    spaceless = re.sub(r"[ ().-]", "", number)
    if not re.fullmatch(E164, spaceless):
        _give_up(f"{number[:30]!r} is no telephone number: write it as +15551234567 (E.164).")
    return spaceless


def _table(number: str, planned: Sequence[Change]) -> str:
    """Lay the changes out in columns."""
    from offhook.bridge.twilio.number_routing import shown

    rows = [(number, "now", "will be")]
    rows += [(item.name, shown(item.now) or "(none)", shown(item.then) or "(none)") for item in planned]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}" for row in rows)


def _give_up(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(_TROUBLE)
