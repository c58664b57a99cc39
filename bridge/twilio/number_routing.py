"""Who answers a telephone number, and what must change for this server to answer it.

Field names, and which of them goes before which, are those of Twilio's API reference
(IncomingPhoneNumber): with a SIP trunk the application and all addresses are ignored, with an
application the addresses are.
"""

from __future__ import annotations

__all__ = [
    "INBOUND_PATH",
    "STATUS_PATH",
    "Change",
    "OwnNumber",
    "Routing",
    "changes",
    "is_private",
    "routing_to",
    "shown",
    "taken_by",
    "unfit_address",
]

from dataclasses import dataclass, fields, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

INBOUND_PATH = "/voice/inbound"
STATUS_PATH = "/voice/status"


@dataclass(frozen=True, slots=True)
class Routing:
    """What Twilio does with calls to a number; an empty text is a field that is not set."""

    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    """Asked when `voice_url` gave no instructions."""
    voice_fallback_method: str = "POST"
    status_callback: str = ""
    """Told how calls end."""
    status_callback_method: str = "POST"
    voice_application_sid: str = ""
    """An application that answers instead of all addresses."""
    trunk_sid: str = ""
    """A SIP trunk that answers instead of all else."""


@dataclass(frozen=True, slots=True)
class OwnNumber:
    """A telephone number of the account's."""

    sid: str
    number: str
    """E.164."""
    routing: Routing
    takes_calls: bool = True
    """There are numbers for text messages alone."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field that will hold something else."""

    name: str
    """As Twilio spells it: "VoiceUrl"."""
    now: str
    then: str


def routing_to(public_url: str, now: Routing) -> Routing:
    """Make the routing by which the server at `public_url` answers a number that is routed so `now`.

    An address of ours that names an assistant (`?assistant=...`) stays, and so does a fallback of the
    owner's: it may answer when this server cannot. Where there is none, this server is asked a second time.
    """
    inbound = f"{public_url}{INBOUND_PATH}"
    return replace(
        now,
        voice_url=now.voice_url if now.voice_url.partition("?")[0] == inbound else inbound,
        voice_method="POST",
        voice_fallback_url=now.voice_fallback_url or inbound,
        voice_fallback_method=now.voice_fallback_method if now.voice_fallback_url else "POST",
        status_callback=f"{public_url}{STATUS_PATH}",
        status_callback_method="POST",
        voice_application_sid="",
        trunk_sid="",
    )


def changes(now: Routing, then: Routing) -> tuple[Change, ...]:
    """List the fields that differ."""
    pairs = ((item.name, getattr(now, item.name), getattr(then, item.name)) for item in fields(Routing))
    return tuple(
        Change("".join(word.capitalize() for word in name.split("_")), before, after)
        for name, before, after in pairs
        if before != after
    )


def taken_by(now: Routing) -> str:
    """Name who answers before any address is asked: "the SIP trunk TK..."; empty when nobody does."""
    if now.trunk_sid:
        return f"the SIP trunk {now.trunk_sid}"
    return f"the application {now.voice_application_sid}" if now.voice_application_sid else ""


def shown(address: str) -> str:
    """Write an address without what may be secret in it: a password, or a query's values."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "(no address)"
    if not parts.scheme:
        return address
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + ("?..." if parts.query else "")


def unfit_address(public_url: str | None) -> str:
    """Say why Twilio could never reach a server by this address; empty when it may."""
    if public_url is None:
        return "is not set: nobody knows by which address Twilio reaches this server."
    parts = urlsplit(public_url)
    if parts.scheme != "https":
        return "begins with http://, and Twilio opens media streams through TLS alone (Twilio's error 31922)."
    host = parts.hostname or ""
    if host == "localhost" or is_private(host):
        return f"names {host}, which only this network can reach."
    return ""


def is_private(host: str) -> bool:
    """Tell whether a host is an IP address that the public Internet does not route to; a name is none."""
    try:
        return not ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return False
