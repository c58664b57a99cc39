"""Hosts that a tool may call, as an assistant file names them: `host`, `host:port`, `*.domain`."""

from __future__ import annotations

__all__ = ["HostPattern"]

import re
from dataclasses import dataclass
from ipaddress import ip_address

_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class HostPattern:
    """One entry of an allow-list."""

    host: str
    """Small letters, an IPv6 address without brackets; `*.domain` stands for everything below the domain."""
    port: int | None = None
    """None stands for any."""

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        """Read an entry. Raises ValueError, with a sentence that names the fix, for one that is none."""
        if "/" in text or "@" in text:
            raise ValueError(f"`{text}` is no host; write it without scheme and path, like api.example.com")
        if text.startswith("["):
            host, _, port = text[1:].partition("]")
            port = port.removeprefix(":")
        elif text.count(":") > 1:
            host, port = text, ""
        else:
            host, _, port = text.partition(":")
        host = host.lower().rstrip(".")
        closed = "]" in text or not text.startswith("[")
        if not closed or (not _is_address(host) and not _NAME.fullmatch(host)):
            raise ValueError(f"`{text}` is no host; write api.example.com, *.example.com or 127.0.0.1:9000")
        if port and not (_PORT.fullmatch(port) and 0 < int(port) < 65_536):
            raise ValueError(f"`{text}` has no port from 1 to 65535 behind its colon")
        return cls(host, int(port) if port else None)

    @property
    def is_exact(self) -> bool:
        """It names one host and no whole domain."""
        return not self.host.startswith("*.")

    def matches(self, host: str, port: int) -> bool:
        """Tell whether it covers a host and port."""
        plain = host.lower().rstrip(".")
        same = plain == self.host if self.is_exact else plain.endswith(self.host[1:])
        return same and self.port in (None, port)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
