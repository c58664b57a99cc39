"""What an assistant's tools send to the outside, in sentences without a secret."""

from __future__ import annotations

__all__ = ["calls_out", "server_of", "unprotected"]

from collections.abc import Iterator
from urllib.parse import urlsplit

from .assistant import Assistant
from .host_pattern import HostPattern
from .server import Server
from .tool import Tool

_LOCAL = ("localhost", "127.0.0.1", "::1")


def server_of(tool: Tool, assistant: Assistant) -> Server | None:
    """Where a `server` tool posts to."""
    return tool.server or assistant.server


def calls_out(assistant: Assistant) -> Iterator[str]:
    """Yield a sentence for every tool that asks another machine; of a secret, that there is one."""
    for tool in assistant.tools:
        server = server_of(tool, assistant)
        if tool.kind == "http" and tool.url is not None:
            headers = f", with the headers {', '.join(tool.headers)}" if tool.headers else ""
            named = [entry for entry in tool.allow if HostPattern.parse(entry).is_exact]
            private = f"; may ask on a private network: {', '.join(named)}" if named else ""
            yield f"tool {tool.name} sends {tool.method} {tool.url}{headers}{private}."
        elif tool.kind == "server" and server is not None:
            signed = "signed" if server.secret is not None else "not signed, for `server` has no `secret`"
            yield f"tool {tool.name} posts to {urlsplit(server.url).netloc.rpartition('@')[2]}, {signed}."


def unprotected(assistant: Assistant) -> Iterator[str]:
    """Yield a sentence for every secret that would travel without encryption."""
    for tool in assistant.tools:
        server = server_of(tool, assistant)
        if tool.kind == "http" and tool.url is not None and tool.headers and _is_plain(tool.url):
            yield f"the headers of tool {tool.name} travel unencrypted: its url begins with http://."
        elif tool.kind == "server" and server is not None and server.secret and _is_plain(server.url):
            yield f"the server's secret travels unencrypted with tool {tool.name}: its url begins with http://."


def _is_plain(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOCAL
