"""What a Twilio account says of itself and of its numbers, through the REST interface."""

from __future__ import annotations

__all__ = ["ASK_WITHIN_S", "Standing", "TwilioAccount", "account_of"]

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import aiohttp

from offhook.config.errors import CarrierError, ConfigError, ConfigProblem
from offhook.config.settings import Settings

from .number_routing import OwnNumber, Routing
from .rest import SdkRest

T = TypeVar("T")

ASK_WITHIN_S = 10.0
"""One request, and the import of the package before the first one."""
_SOURCE = "environment"
_LOOK_AGAIN = "Do it again: first it shows how the number is routed now."


class _NoAnswer(CarrierError):
    """Nobody knows whether the request was carried out."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands."""

    status: str
    """"active", "suspended" or "closed"."""
    is_trial: bool
    """It calls verified numbers alone, and its callers hear an announcement first."""


class TwilioAccount:
    """An account and its numbers; every method raises CarrierError, with the fix."""

    def __init__(self, account_sid: str, rest: SdkRest, within_s: float = ASK_WITHIN_S) -> None:
        """`within_s` bounds each request."""
        self._account_sid, self._rest, self._within_s = account_sid, rest, within_s

    async def standing(self) -> Standing:
        """Ask how the account stands; the cheapest proof of its credentials."""

        async def ask(client: Any) -> Any:
            return await client.api.v2010.accounts(self._account_sid).fetch_async()

        account = await self._asked(ask)
        return Standing(str(account.status), account.type == "Trial")

    async def number(self, e164: str) -> OwnNumber:
        """Look a number of the account's up."""

        async def ask(client: Any) -> Any:
            return await client.incoming_phone_numbers.list_async(phone_number=e164, limit=2)

        # The filter of the interface also finds parts of numbers (Twilio's API reference).
        found = [item for item in await self._asked(ask) if item.phone_number == e164]
        if not found:
            raise CarrierError(
                f"{e164} is not a number of the account {self._account_sid}.",
                "Check the number, and whether it belongs to a subaccount: then use that one's credentials.",
            )
        return _own_number(found[0])

    async def route(self, number: OwnNumber, routing: Routing) -> OwnNumber:
        """Change how calls to the number are routed, and read back how they are now.

        Raises CarrierError; only one that says so may have changed something.
        """
        before, after = asdict(number.routing), asdict(routing)
        changed = {name: value for name, value in after.items() if value != before[name]}

        async def change(client: Any) -> Any:
            return await client.incoming_phone_numbers(number.sid).update_async(**changed)

        async def read_back(client: Any) -> Any:
            return await client.incoming_phone_numbers(number.sid).fetch_async()

        try:
            await self._asked(change)
        except _NoAnswer as error:
            raise CarrierError(f"{error.reason} Whether it was changed is not known.", _LOOK_AGAIN) from None
        try:
            return _own_number(await self._asked(read_back))
        except CarrierError as error:
            raise CarrierError(f"It was changed, but not read back: {error.reason}", _LOOK_AGAIN) from None

    async def _asked(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._within_s), self._rest.client() as client:
                return await ask(client)
        except ImportError:
            raise CarrierError(
                "The package of Twilio's REST interface is not installed.",
                "Install it: pip install 'offhook[twilio]'.",
            ) from None
        except TimeoutError:
            raise _NoAnswer(
                f"Twilio did not answer within {self._within_s:g} s.", "Try again in a minute."
            ) from None
        except (aiohttp.ClientError, OSError):
            raise _NoAnswer(
                "Twilio's REST interface cannot be reached.",
                "Check this machine's network, its name server, and whether a firewall lets HTTPS out.",
            ) from None
        except Exception as error:
            # The package raises what it likes for what it cannot read; its texts quote the request.
            raise _refusal(error) from None


def account_of(settings: Settings) -> TwilioAccount:
    """Make the account of the settings. Raises ConfigError that names what is not set."""
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    if sid is None or token is None:
        missing = [
            name
            for name, value in (("TWILIO_ACCOUNT_SID", sid), ("TWILIO_AUTH_TOKEN", token))
            if value is None
        ]
        fix = "Copy it from the account's page in the Twilio console."
        raise ConfigError([ConfigProblem(_SOURCE, name, "is not set.", fix) for name in missing])
    return TwilioAccount(sid, SdkRest(sid, token, settings.twilio_api_base_url))


def _own_number(found: Any) -> OwnNumber:
    told = {item.name: getattr(found, item.name, None) for item in fields(Routing)}
    routing = Routing(**{name: str(value) for name, value in told.items() if value})
    capabilities = found.capabilities if isinstance(found.capabilities, dict) else {}
    return OwnNumber(str(found.sid), str(found.phone_number), routing, bool(capabilities.get("voice", True)))


def _refusal(error: Exception) -> CarrierError:
    """Say what a refusal means by its status and Twilio's own number for it (its error dictionary)."""
    status, code = _status_and_code(error)
    if status is None:
        return CarrierError("Twilio's answer cannot be read.", "Check whether a proxy stands in between.")
    told = f"HTTP {status}" if code is None else f"HTTP {status}, error {code}"
    if status == 401 or code == 20003:
        fix = "Check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: both of one account, and the current token."
        return CarrierError(f"Twilio refuses the credentials ({told}).", fix)
    if status == 429:
        return CarrierError(f"Twilio is asked too often ({told}).", "Try again in a minute.")
    if status >= 500:
        return CarrierError(f"Twilio has a fault of its own ({told}).", "Try again in a minute.")
    return CarrierError(f"Twilio refuses that ({told}).", "Its error dictionary says why, under that number.")


def _status_and_code(error: Exception) -> tuple[int | None, int | None]:
    """Read a refusal's status and number; for a page of a list the package keeps the answer unread."""
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    response = error.args[1] if len(error.args) > 1 else None
    if status is None and response is not None:
        status = getattr(response, "status_code", None)
        with suppress(ValueError, TypeError, AttributeError):
            code = json.loads(response.text).get("code")
    return (status if isinstance(status, int) else None), (code if isinstance(code, int) else None)
