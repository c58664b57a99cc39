"""Who may be served.

With the account's token, Twilio's signature decides, on webhooks and on the upgrade to a media
stream, checked against the configured public address and nothing that the request says of itself.

Without a token nobody can prove to be Twilio, so only a program on this machine is served, and only
when it talks to the bridge itself: a tunnel or a reverse proxy here makes the whole Internet look
local. A request is direct when it comes from a loopback address, names a loopback host, carries no
sign of a proxy, and no public address is configured.

The control interface is for direct requests or, where there is a token, for whoever holds the control
key, which is derived from it. A web page of another site is never served.
"""

from __future__ import annotations

__all__ = ["Audience", "Request", "TrustPolicy", "control_key", "refusal", "trust_policy"]

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from offhook.config.errors import ConfigError, Refused
from offhook.config.settings import Settings
from offhook.config.settings_checks import contradictions

from .twilio.signature import Fields, SigningKeys, signature_fault

_PROXY_HEADERS = ("Forwarded", "Via", "X-Real-IP", "X-Original-Host", "X-Client-IP", "True-Client-IP")
_PROXY_PREFIXES = ("x-forwarded", "cf-", "fly-", "x-envoy-", "x-amzn-", "x-appengine-")


class Audience(Enum):
    """Whom a part of the bridge is for."""

    CARRIER = "carrier"
    """Webhooks."""
    STREAM = "stream"
    """The upgrade to a media stream."""
    CONTROL = "control"
    """The control interface."""


@dataclass(frozen=True, slots=True)
class Request:
    """What trust needs to know of an HTTP request."""

    remote: str | None
    """The peer's address, as the socket says."""
    headers: Mapping[str, str]
    """Found in any letter case."""
    raw_path: str
    """Path and query exactly as sent."""
    form: Fields = field(default_factory=dict)
    version: tuple[int, int] = (1, 1)
    """Of HTTP."""


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """What is configured about trust; make it with `trust_policy`."""

    public_url: str | None
    keys: SigningKeys | None
    insecure: bool
    local_peers: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that count as loopback: a container sees its host as the network's gateway."""


def trust_policy(settings: Settings, shared_keys: Mapping[str, str] | None = None) -> TrustPolicy:
    """Read the policy from the settings.

    Raises ConfigError for an account token without the public address that signatures are made for.
    """
    problems = contradictions(settings)
    if problems:
        raise ConfigError(problems)
    token = settings.twilio_auth_token
    keys = None if token is None else SigningKeys(token.get_secret_value(), shared_keys or {})
    return TrustPolicy(settings.public_url, keys, settings.insecure, settings.local_peers)


def control_key(auth_token: str) -> str:
    """The bearer key of the control interface, for programs that hold the account's token."""
    return hmac.new(auth_token.encode(), b"offhook control interface", "sha256").hexdigest()


def refusal(request: Request, audience: Audience, policy: TrustPolicy) -> Refused | None:
    """Say why a request may not be served; None when it may."""
    if not _is_own_origin(request, policy):
        return Refused("foreign_origin")
    if policy.insecure:
        return None
    if policy.keys is None:
        return _indirect(request, policy)
    if audience is Audience.CONTROL:
        held = _holds_control_key(request, policy.keys)
        return None if held else Refused("control_key_required")
    return _unsigned(request, audience, policy.keys, policy.public_url or "")


def _unsigned(request: Request, audience: Audience, keys: SigningKeys, public_url: str) -> Refused | None:
    base = public_url
    if audience is Audience.STREAM:
        base = stream_origin(public_url)
    fault = signature_fault(base + request.raw_path, request.form, request.headers, keys)
    return None if fault is None else Refused(fault.value)


def stream_origin(public_url: str) -> str:
    """The public address with the scheme of a media stream: wss for https, ws for http."""
    scheme, separator, rest = public_url.partition("://")
    return ("wss" if scheme == "https" else "ws") + separator + rest


def _indirect(request: Request, policy: TrustPolicy) -> Refused | None:
    if policy.public_url is not None:
        return Refused("unsigned_public")
    if not (_is_loopback_address(request.remote) or _is_local_peer(request.remote, policy)):
        return Refused("remote_address")
    # A well-known reverse proxy adds no header by default, but speaks HTTP/1.0 to what is behind it.
    if request.version < (1, 1) or _has_proxy_header(request.headers):
        return Refused("proxied")
    if not _is_loopback_host(request.headers.get("Host")):
        return Refused("foreign_host")
    return None


def _has_proxy_header(headers: Mapping[str, str]) -> bool:
    if any(name in headers for name in _PROXY_HEADERS):
        return True
    return any(name.lower().startswith(_PROXY_PREFIXES) for name in headers)


def _is_loopback_address(address: str | None) -> bool:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


def _is_local_peer(address: str | None, policy: TrustPolicy) -> bool:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False
    return any(parsed in network for network in policy.local_peers)


def _is_loopback_host(host: str | None) -> bool:
    name = _host_name(f"//{host}") if host else None
    return name is not None and (name == "localhost" or _is_loopback_address(name))


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_own_origin(request: Request, policy: TrustPolicy) -> bool:
    """No Origin (Twilio sends none), or that of a page which this server gave out."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    own = {f"{scheme}://{request.headers.get('Host', '')}" for scheme in ("http", "https")}
    if policy.public_url is not None:
        parts = urlsplit(policy.public_url)
        own.add(f"{parts.scheme}://{parts.netloc}")
    return origin.lower() in {address.lower() for address in own}


def _holds_control_key(request: Request, keys: SigningKeys) -> bool:
    given = request.headers.get("Authorization", "")
    expected = f"Bearer {control_key(keys.auth_token)}"
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
