"""Addresses that other machines are reached by."""

from __future__ import annotations

__all__ = ["checked_url"]

from urllib.parse import urlsplit


def checked_url(url: str, *, query: bool = True) -> str:
    """Return an http or https address without its trailing slash.

    Raises ValueError with a sentence that names the fix; `query` tells whether `?...` may be there.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"is no address: {error}") from None
    if parts.scheme in ("ws", "wss"):
        raise ValueError(f"must begin with http:// or https://, not {parts.scheme}://")
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with https:// (or http://)")
    if not host or any(character.isspace() for character in url):
        raise ValueError("names no host; write https://example.com")
    if parts.fragment or (parts.query and not query):
        raise ValueError("must end with the path, without `?` or `#`")
    return url.rstrip("/") if not parts.query else url
