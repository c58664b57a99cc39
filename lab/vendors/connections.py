"""The TCP connections that clients hold to the emulated vendors, and their cut."""

from __future__ import annotations

__all__ = ["Connections", "reset"]

import asyncio
import socket
import struct
from collections import Counter, defaultdict

_NO_LINGER = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """Cut a connection as a vanished host does: the other side reads a TCP reset, not an end."""
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


class Connections:
    """Who is connected to whom, waiting connections of a client's pool included."""

    def __init__(self) -> None:
        self._live: defaultdict[str, set[asyncio.Transport]] = defaultdict(set)
        self.made: Counter[str] = Counter()
        """Vendor -> connections that ever carried a request to it."""
        self.requests: Counter[str] = Counter()
        """Vendor -> requests, those for a WebSocket included."""

    def carries(self, vendor: str, transport: asyncio.Transport) -> None:
        """A request to a vendor came over this connection."""
        self.requests[vendor] += 1
        if transport not in self._live[vendor]:
            self.made[vendor] += 1
            self._live[vendor] = {*self.live(vendor), transport}

    def live(self, vendor: str) -> frozenset[asyncio.Transport]:
        """The connections to a vendor that are open; those that closed meanwhile are forgotten."""
        live = self._live[vendor] = {each for each in self._live[vendor] if not each.is_closing()}
        return frozenset(live)

    def drop(self, vendor: str) -> int:
        """Reset every connection to a vendor; returns how many there were."""
        live = self.live(vendor)
        for transport in live:
            reset(transport)
        self._live[vendor].clear()
        return len(live)
