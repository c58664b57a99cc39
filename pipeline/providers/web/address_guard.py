"""Which addresses a tool may connect to, judged at the moment of connecting.

A name is no guide: whoever owns it may let it lead anywhere, and elsewhere a second later. So the rule
is asked about the very socket address that is about to be connected to, after the name was resolved
and whatever resolved it. Ranges: the IANA special-purpose address registries (RFC 6890).
"""

from __future__ import annotations

__all__ = ["AddressRule", "any_but_metadata", "public_only", "refuse_connections"]

import errno
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import structlog

log = structlog.get_logger(__name__)

AddressRule = Callable[[str], str]
"""Says why an address (IPv4, or IPv6 with or without a zone) may not be connected to; empty if it may."""

_Address = IPv4Address | IPv6Address

REFUSED = "the address may not be asked"
_METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # most clouds
            "169.254.170.2",  # container credentials
            "169.254.170.23",
            "168.63.129.16",  # a public address, which a cloud's own host agent answers
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
        ),
    )
)
"""Where clouds hand out credentials to whoever asks from inside."""
_HOLDING_IPV4 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))
"""NAT64 (RFC 6052, RFC 8215) and the old IPv4-compatible form: an IPv4 address is in the last four bytes."""
_ALSO_NOT_PUBLIC = (
    IPv4Network("100.64.0.0/10"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("fec0::/10"),
    IPv6Network("2001::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("5f00::/16"),
)
"""Ranges that not every Python version's `is_global` leaves out: shared, relays, site-local, tunnels."""


def public_only(address: str) -> str:
    """Refuse all that is not on the public Internet, whatever form hides it."""
    for form in _forms(address):
        if form in _METADATA:
            return "a cloud's metadata service"
        if form.is_loopback:
            return "this machine itself"
        if form.is_unspecified:
            return "no address"
        if form.is_multicast:
            return "a multicast address"
        if form.is_link_local:
            return "a link-local address"
        if not form.is_global or any(form in network for network in _ALSO_NOT_PUBLIC):
            return "an address of a private network"
    return ""


def any_but_metadata(address: str) -> str:
    """Refuse only what no operator can have meant."""
    for form in _forms(address):
        if form in _METADATA:
            return "a cloud's metadata service"
        if form.is_unspecified:
            return "no address"
        if form.is_multicast:
            return "a multicast address"
    return ""


def refuse_connections(rule: AddressRule) -> Callable[[Any], socket.socket]:
    """Make sockets for those addresses alone that a rule lets pass; aiohttp asks for one per address.

    The socket factory raises PermissionError, whose text is `REFUSED`, for any other.
    """

    def make(address_info: Any) -> socket.socket:
        family, kind, protocol, _, place = address_info
        reason = rule(str(place[0]))
        if reason:
            log.warning("tool.address-refused", address=place[0], port=place[1], reason=reason)
            raise PermissionError(errno.EACCES, REFUSED)
        return socket.socket(family, kind, protocol)

    return make


def _forms(address: str) -> Iterator[_Address]:
    """An address and all that it may stand for on the other side of a translator or tunnel."""
    plain = ip_address(address.partition("%")[0])
    if isinstance(plain, IPv4Address):
        yield plain
        return
    mapped = plain.ipv4_mapped
    if mapped is not None:
        yield mapped
        return
    yield plain
    last_four_bytes = IPv4Address(int(plain) & 0xFFFF_FFFF)
    if any(plain in network for network in _HOLDING_IPV4) and int(plain) > 1:
        yield last_four_bytes
    if plain.sixtofour is not None:
        yield plain.sixtofour
    if plain.teredo is not None:
        yield from plain.teredo
