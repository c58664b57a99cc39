"""Addresses with holes: `https://api.example.com/orders/{order_number}?lang={language}`.

A hole may stand in the path or in a value of the query, nowhere else. What is put there is
percent-encoded for its place (RFC 3986), so that no value changes the scheme, the host, the number
of path segments or the keys of the query. What could do so at a server that decodes too early or
too often (a slash, a segment of dots, nothing at all) is refused.
"""

from __future__ import annotations

__all__ = ["UrlTemplate", "value_text"]

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from .errors import ToolError
from .templates import placeholders, render, stray_braces

LONGEST_URL = 8000
"""Characters; RFC 9110, section 4.1, asks servers to take as many."""

_HOLE = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}|\{([A-Za-z_]\w*)\}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class UrlTemplate:
    """An address whose host is fixed, and whose path and query may have holes."""

    origin: str
    """Scheme, host and port as written: `https://api.example.com:8443`."""
    host: str
    """Small letters, an IPv6 address without brackets."""
    port: int
    segments: tuple[str, ...]
    """The path between its slashes."""
    query: tuple[tuple[str, str | None], ...]
    """Keys and values; None for a key without `=`."""

    @classmethod
    def parse(cls, text: str) -> UrlTemplate:
        """Read an address with holes. Raises ValueError with a sentence that names the fix."""
        text = _HOLE.sub(lambda hole: f"{{{{{hole[1]}}}}}" if hole[1] else hole[0], text)
        _refuse_odd_characters(text)
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"is no address: {error}") from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError("must begin with https:// (or http://)")
        if "@" in parts.netloc:
            raise ValueError("must hold no name or password; write them as a header")
        if "{" in parts.netloc or "}" in parts.netloc:
            raise ValueError("may have holes in its path and in values of its query, not in its host")
        if not host:
            raise ValueError("names no host; write https://example.com")
        segments = tuple(parts.path.removeprefix("/").split("/"))
        if any(unquote(segment) in (".", "..") for segment in segments):
            raise ValueError("must hold no `.` or `..` between slashes")
        query = tuple(_query_item(item) for item in parts.query.split("&") if item)
        origin = f"{parts.scheme}://{parts.netloc.lower()}"
        return cls(origin, host.rstrip("."), port or _DEFAULT_PORTS[parts.scheme], segments, query)

    @property
    def in_path(self) -> frozenset[str]:
        """The parameters that stand in the path; without them there is no address."""
        return frozenset(name for segment in self.segments for name in placeholders(segment))

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters that stand anywhere in it."""
        return self.in_path.union(name for _, value in self.query for name in placeholders(value or ""))

    def fill(
        self,
        arguments: Mapping[str, Any],
        variables: Mapping[str, str],
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """Make the address: arguments into `{name}`, the call's variables into `{{name}}`.

        What `more` holds joins the query, a list as its key repeated; None is left out. Raises ToolError
        for a value that cannot stand where it should.
        """
        path = "/".join(_segment(segment, arguments, variables) for segment in self.segments)
        items = [
            item for key, value in self.query if (item := _item(key, value, arguments, variables)) is not None
        ]
        for key, value in more.items():
            texts = map(value_text, value if isinstance(value, list) else [value])
            items += [f"{_escaped(key, key)}={_escaped(key, text)}" for text in texts if text is not None]
        url = f"{self.origin}/{path}" + (f"?{'&'.join(items)}" if items else "")
        if len(url) > LONGEST_URL:
            raise ToolError(f"the arguments make an address of more than {LONGEST_URL} characters")
        return url


def value_text(value: Any) -> str | None:
    """Write an argument as plain text, a structure as JSON; None for null."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _refuse_odd_characters(text: str) -> None:
    if not text.isascii():
        raise ValueError("must be plain ASCII; write other letters percent-encoded")
    if any(character <= " " or character in '\\"<>^`|\x7f' for character in text):
        raise ValueError("must hold no blank, backslash or quotation mark; write %20 for a blank")
    if "#" in text:
        raise ValueError("must end with the path or the query, without `#`")
    if stray_braces(text):
        raise ValueError("has braces around something that is no name; write {order_number}")


def _query_item(item: str) -> tuple[str, str | None]:
    key, equals, value = item.partition("=")
    if not key or "{" in key:
        raise ValueError("must name every key of its query; a hole may stand behind the `=`")
    return key, value if equals else None


def _segment(template: str, arguments: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    """Fill one path segment, so that it stays one. Raises ToolError."""

    def replacement(hole: re.Match[str]) -> str:
        name = hole[1] or hole[2]
        value = variables.get(name) if hole[1] else arguments.get(name)
        if isinstance(value, dict | list):
            raise ToolError(f"`{name}` must be a plain value, for it stands in an address")
        text = value_text(value)
        if not text:
            raise ToolError(f"`{name}` must not be empty, for it stands in an address")
        if any(sign in form for form in (text, unquote(text)) for sign in "/\\"):
            raise ToolError(f"`{name}` must hold no slash, for it stands in an address")
        return _escaped(name, text)

    filled = _HOLE.sub(replacement, template)
    # Twice: a value may itself be percent-encoded, and some servers decode until nothing is left.
    if filled != template and unquote(unquote(filled)) in (".", ".."):
        raise ToolError("dots alone cannot stand in an address")
    return filled


def _item(
    key: str, template: str | None, arguments: Mapping[str, Any], variables: Mapping[str, str]
) -> str | None:
    """Fill one `key=value`; None where a hole is all of the value and nothing is known for it."""
    if template is None:
        return key
    wanted = placeholders(template)
    texts = {name: text for name in wanted if (text := value_text(arguments.get(name))) is not None}
    filled = render(
        template,
        {name: _escaped(name, text) for name, text in texts.items()},
        {name: _escaped(name, text) for name, text in variables.items() if name in template},
    )
    if filled.unknown and _HOLE.fullmatch(template):
        return None
    return f"{key}={filled.text}"


def _escaped(name: str, text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise ToolError(f"`{name}` holds something that is no text") from None
