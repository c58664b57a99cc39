"""One worker's place among the workers of a server, and what tells their requests from all others."""

from __future__ import annotations

__all__ = ["REMOTE_HEADER", "SECRET_HEADER", "WorkerPlace", "is_private", "peer_address", "shows_secret"]

import hmac
import socket
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

SECRET_HEADER = "X-Offhook-Worker"  # noqa: S105  the name of a header
REMOTE_HEADER = "X-Offhook-Remote"
"""Whom the worker that passes a request on had it from."""


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """What the supervisor hands to a worker, over a pipe; secrets never show in its `repr`."""

    index: int
    """The label of its metrics; one that replaces another has the same."""
    address: str
    """The Unix-domain socket on which its siblings reach it; no other worker ever has the same."""
    secret: str = field(repr=False)
    """Proves that a request on that socket comes from a sibling."""
    token_key: bytes = field(repr=False)
    """Signs stream tokens where no account token is configured."""

    @property
    def folder(self) -> Path:
        """The workers' private folder."""
        return Path(self.address).parent

    def remove_socket(self) -> None:
        """Take the socket away, if a process that was killed left it."""
        Path(self.address).unlink(missing_ok=True)

    @property
    def store_file(self) -> Path:
        """The workers' common memory."""
        return self.folder / "calls.sqlite"


def is_private(request: web.Request) -> bool:
    """The request came over the worker's own Unix-domain socket."""
    transport = request.transport
    own = None if transport is None else transport.get_extra_info("socket")
    return own is not None and own.family == socket.AF_UNIX


def shows_secret(request: web.Request, place: WorkerPlace) -> bool:
    """The request carries the workers' secret."""
    given = request.headers.get(SECRET_HEADER, "")
    return hmac.compare_digest(given.encode("utf-8", "replace"), place.secret.encode())


def peer_address(request: web.Request) -> str | None:
    """Who sent the request: for one that a sibling passed on, who had sent it there."""
    return request.headers.get(REMOTE_HEADER) if is_private(request) else request.remote
