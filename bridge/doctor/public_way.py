"""Tries the way from PUBLIC_URL to the server, as Twilio goes it; `public_address` judges each step."""

from __future__ import annotations

__all__ = ["ONLY_LOCAL", "public_findings"]

import asyncio
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from offhook.config.settings import Settings

from ..twilio.number_routing import STATUS_PATH
from ..twilio.signature import SIGNATURE_HEADER, signature
from .asking import Asking
from .finding import Finding, Outcome, not_checked
from .public_address import (
    ADDRESS,
    CERTIFICATE,
    PAGE,
    SIGNED,
    UNSIGNED,
    WEBHOOK_FORM,
    judge_addresses,
    judge_certificate,
    judge_page,
    judge_signed,
    judge_unsigned,
    look_at_addresses,
    look_at_certificate,
)

ONLY_LOCAL = "No PUBLIC_URL: only local calls."


async def public_findings(
    settings: Settings,
    asking: Asking,
    wall_time: Callable[[], float] = time.time,
    certificates: ssl.SSLContext | None = None,
) -> list[Finding]:
    """Try the way; webhooks are posted only to a server that is ours. Takes 15 s at most.

    `wall_time` is in Unix seconds; `certificates` are those that are trusted, None: the system's.
    """
    url = settings.public_url
    if url is None:
        return [not_checked(check, ONLY_LOCAL) for check in (ADDRESS, CERTIFICATE, PAGE, SIGNED, UNSIGNED)]
    async with asyncio.TaskGroup() as group:
        addresses = group.create_task(_addresses(url))
        certificate = group.create_task(_certificate(url, wall_time, certificates))
        page = group.create_task(asking.ask("GET", f"{url}/livez", ours=True))
    answered = judge_page(page.result())
    webhooks = [not_checked(check, "The server is not reached.") for check in (SIGNED, UNSIGNED)]
    if answered.outcome is Outcome.OK:
        webhooks = [await _signed(settings, url, asking), await _unsigned(url, asking)]
    return [addresses.result(), certificate.result(), answered, *webhooks]


async def _addresses(url: str) -> Finding:
    return judge_addresses(url, await look_at_addresses(url))


async def _certificate(
    url: str, wall_time: Callable[[], float], certificates: ssl.SSLContext | None
) -> Finding:
    parts = urlsplit(url)
    if parts.scheme != "https":
        return not_checked(CERTIFICATE, "PUBLIC_URL does not begin with https://.")
    certificate = await look_at_certificate(url, certificates)
    return judge_certificate(parts.hostname or "", certificate, wall_time())


async def _signed(settings: Settings, url: str, asking: Asking) -> Finding:
    if settings.twilio_auth_token is None:
        return not_checked(SIGNED, "No TWILIO_AUTH_TOKEN to sign with.")
    address, key = f"{url}{STATUS_PATH}", settings.twilio_auth_token.get_secret_value()
    signed = signature(address, {name: [value] for name, value in WEBHOOK_FORM.items()}, key)
    headers = {SIGNATURE_HEADER: signed}
    return judge_signed(await asking.ask("POST", address, headers=headers, form=WEBHOOK_FORM, ours=True))


async def _unsigned(url: str, asking: Asking) -> Finding:
    return judge_unsigned(await asking.ask("POST", f"{url}{STATUS_PATH}", form=WEBHOOK_FORM, ours=True))
