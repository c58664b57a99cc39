"""Is the server reached by PUBLIC_URL, safely, and by those alone who sign?

The way is tried as Twilio goes it: the name, TLS, a page, a webhook that is signed and one that is not. The
webhook is `/voice/status` with a call that nobody knows, which counts and logs one line and does no more.
"""

from __future__ import annotations

__all__ = [
    "ADDRESS",
    "CERTIFICATE",
    "PAGE",
    "SIGNED",
    "UNSIGNED",
    "WEBHOOK_FORM",
    "Certificate",
    "judge_addresses",
    "judge_certificate",
    "judge_page",
    "judge_signed",
    "judge_unsigned",
    "look_at_addresses",
    "look_at_certificate",
]

import asyncio
import json
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..http_rules import SIGNATURE_KEY_UNKNOWN, SIGNATURE_MISSING, SIGNATURE_WRONG, UNSIGNED_PUBLIC
from ..twilio.number_routing import is_private, unfit_address
from .asking import ASK_WITHIN_S, Answer, NoAnswer
from .finding import Finding, failed, ok, warning

ADDRESS, CERTIFICATE = "public address", "certificate"
PAGE, SIGNED, UNSIGNED = "public page", "signed webhook", "unsigned webhook"
WEBHOOK_FORM = {"CallSid": "offhook-doctor", "CallStatus": "queued"}
RENEW_WITHIN_DAYS = 14
_DAY_S = 86_400
_BEHIND_IT = frozenset((502, 503, 504, 521, 522, 523, 530))
"""What proxies and tunnels answer when they do not reach what is behind them."""
_START = "Start `offhook serve`, and point the proxy or tunnel at its HOST and PORT."


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a TLS server shows."""

    ends_at: float = 0.0
    """Unix seconds."""
    fault: str = ""
    """Why it is not trusted, or why none was seen; empty when it is."""


async def look_at_addresses(public_url: str) -> tuple[str, ...] | None:
    """Resolve the host; None when it has no address, or none was told in time."""
    parts = urlsplit(public_url)
    try:
        async with asyncio.timeout(ASK_WITHIN_S):
            found = await asyncio.get_running_loop().getaddrinfo(parts.hostname or "", None)
    except (OSError, TimeoutError, UnicodeError):
        return None
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def judge_addresses(public_url: str, addresses: Sequence[str] | None) -> Finding:
    """Judge the address itself, and what its name stands for."""
    if unfit := unfit_address(public_url):
        return failed(ADDRESS, f"PUBLIC_URL {unfit}", "Set it to an address like https://bridge.example.com.")
    host = urlsplit(public_url).hostname
    if not addresses:
        return failed(ADDRESS, f"{host} cannot be resolved.", "Check the name, and its record at your DNS.")
    if all(is_private(address) for address in addresses):
        fix = "Make sure that the name has a public address for the rest of the Internet."
        return warning(ADDRESS, f"{host} is {addresses[0]} here, which only this network can reach.", fix)
    return ok(ADDRESS, f"{host} is {addresses[0]}.")


async def look_at_certificate(public_url: str, trusted: ssl.SSLContext | None = None) -> Certificate:
    """Agree on TLS with the server, as Twilio would, and read its certificate's last day."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    context = trusted or await asyncio.to_thread(ssl.create_default_context)
    writer = None
    try:
        async with asyncio.timeout(ASK_WITHIN_S):
            _, writer = await asyncio.open_connection(
                host, parts.port or 443, ssl=context, server_hostname=host
            )
        shown = writer.get_extra_info("peercert") or {}
        return Certificate(ssl.cert_time_to_seconds(str(shown["notAfter"])))
    except ssl.SSLCertVerificationError as error:
        return Certificate(fault=f"is not valid: {error.verify_message.rstrip('.')}")
    except ssl.SSLError:
        return Certificate(fault="was not shown: no TLS is spoken there")
    except TimeoutError:
        return Certificate(fault=f"was not shown within {ASK_WITHIN_S:g} s")
    except (OSError, KeyError, ValueError):
        return Certificate(fault="was not shown: the server cannot be reached")
    finally:
        if writer is not None:
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()


def judge_certificate(host: str, certificate: Certificate, now: float) -> Finding:
    """Judge whether Twilio would trust the server, now (Unix seconds) and for the next weeks."""
    if certificate.fault:
        fix = f"Let the proxy or tunnel in front show a valid certificate for {host}, with its whole chain."
        return failed(CERTIFICATE, f"The certificate of {host} {certificate.fault}.", fix)
    days = int((certificate.ends_at - now) // _DAY_S)
    told = f"The certificate of {host} is valid for {days} more day{'' if days == 1 else 's'}."
    if days < RENEW_WITHIN_DAYS:
        return warning(CERTIFICATE, told, "Renew it, and see why that did not happen by itself.")
    return ok(CERTIFICATE, told)


def judge_page(told: Answer | NoAnswer) -> Finding:
    """Judge what PUBLIC_URL/livez gave."""
    if isinstance(told, NoAnswer):
        return failed(PAGE, f"The server at PUBLIC_URL {told.reason}.", _START)
    if told.status == 200 and _is_ours(told.body):
        return ok(PAGE, f"This server answers by PUBLIC_URL, in {told.took_ms:.0f} ms.")
    if told.status in _BEHIND_IT:
        reason = "a proxy or tunnel answers, and does not reach what is behind it"
        return failed(PAGE, f"PUBLIC_URL gives HTTP {told.status}: {reason}.", _START)
    if 300 <= told.status < 400:
        fix = "Set PUBLIC_URL to the address that it leads to: Twilio signs the one that it was given."
        return failed(PAGE, f"PUBLIC_URL leads elsewhere (HTTP {told.status}).", fix)
    fix = "Let the proxy or tunnel pass every path to offhook; a path of its own belongs into PUBLIC_URL."
    return failed(PAGE, f"Something else than offhook answers at PUBLIC_URL (HTTP {told.status}).", fix)


def _is_ours(body: bytes) -> bool:
    try:
        return bool(json.loads(body) == {"alive": True})
    except ValueError:
        return False


def judge_signed(told: Answer | NoAnswer) -> Finding:
    """Judge what a webhook gave that was signed with our token for PUBLIC_URL."""
    if isinstance(told, NoAnswer):
        return failed(SIGNED, f"The server at PUBLIC_URL {told.reason}.", "Try again.")
    if told.status == 204:
        return ok(SIGNED, "A webhook that is signed with TWILIO_AUTH_TOKEN is taken.")
    rule = told.body.partition(b":")[0].decode("ascii", "replace")
    if rule in (SIGNATURE_WRONG.name, SIGNATURE_KEY_UNKNOWN.name):
        fix = "Start `offhook serve` with these very settings; a proxy must leave path and query as they are."
        return failed(
            SIGNED, "The server checks with another TWILIO_AUTH_TOKEN or PUBLIC_URL than here.", fix
        )
    if rule == UNSIGNED_PUBLIC.name:
        fix = "Start it with TWILIO_AUTH_TOKEN."
        return failed(SIGNED, "The server runs without TWILIO_AUTH_TOKEN and refuses every call.", fix)
    fix = "Let the proxy or tunnel pass POST requests with their headers and bodies."
    if rule == SIGNATURE_MISSING.name:
        return failed(SIGNED, "The signature was lost on the way to the server.", fix)
    return failed(SIGNED, f"A webhook gives HTTP {told.status}.", fix)


def judge_unsigned(told: Answer | NoAnswer) -> Finding:
    """Judge what a webhook gave that nobody signed: it must be refused."""
    if isinstance(told, NoAnswer):
        return failed(UNSIGNED, f"The server at PUBLIC_URL {told.reason}.", "Try again.")
    rule = told.body.partition(b":")[0].decode("ascii", "replace")
    if told.status == 403 and rule in (SIGNATURE_MISSING.name, UNSIGNED_PUBLIC.name):
        return ok(UNSIGNED, "A webhook that nobody signed is refused.")
    if 200 <= told.status < 300:
        fix = "Unset OFFHOOK_INSECURE, leave --insecure out, and set TWILIO_AUTH_TOKEN."
        return failed(UNSIGNED, "Webhooks that nobody signed are taken: anybody can place calls.", fix)
    fix = "See what stands in front of offhook: it should answer 403 itself."
    return warning(UNSIGNED, f"A webhook that nobody signed gives HTTP {told.status}, not from offhook.", fix)
