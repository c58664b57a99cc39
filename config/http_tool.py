"""What the keys of an `http` tool may hold."""

from __future__ import annotations

__all__ = ["checked_body", "checked_headers", "checked_hosts", "result_paths", "url_with_holes"]

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import SecretStr

from .host_pattern import HostPattern
from .section import did_you_mean
from .templates import placeholders
from .url_template import UrlTemplate

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_OUR_OWN_HEADERS = frozenset(
    ("accept-encoding", "connection", "content-length", "host", "te", "transfer-encoding", "upgrade")
)


def url_with_holes(url: str, schema: Mapping[str, Any], given: Iterable[str] = ()) -> str:
    """Check an address against the parameters, of which the file itself gives some. Raises ValueError."""
    template = UrlTemplate.parse(url)
    _only_described(template.parameters, schema)
    optional = sorted(template.in_path.difference(schema.get("required", ()), given))
    if optional:
        names = ", ".join(f"`{name}`" for name in optional)
        raise ValueError(f"needs {names} in its path, so `parameters` must list that under `required`")
    fixed = {unquote(key) for key, _ in template.query}
    doubled = sorted(fixed & (set(schema.get("properties", {})) - template.parameters))
    if doubled:
        raise ValueError(f"has `{doubled[0]}` in its query already, so the parameter needs another name")
    return url


def checked_headers(headers: Mapping[str, SecretStr]) -> None:
    """Raises ValueError for a header that cannot be sent; never quotes a value."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"has {name!r}, which is no header's name")
        if name.lower() in _OUR_OWN_HEADERS:
            raise ValueError(f"may not set `{name}`: it is written with the request")
        text = value.get_secret_value()
        if not text.isascii() or not text.isprintable():
            raise ValueError(f"has a line break or a letter beyond ASCII in the value of `{name}`")


def checked_body(body: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raises ValueError for a body with a hole that no parameter fills."""
    _only_described(frozenset(_holes(body)), schema)


def checked_hosts(allow: tuple[str, ...], url: str | None) -> None:
    """Raises ValueError for an entry that is no host, or a list that leaves out the tool's own one."""
    patterns = [HostPattern.parse(entry) for entry in allow]
    if url is None or not patterns:
        return
    template = UrlTemplate.parse(url)
    if not any(pattern.matches(template.host, template.port) for pattern in patterns):
        raise ValueError(f"leaves out `{template.host}:{template.port}`, which the tool's `url` names")


def result_paths(value: Any) -> Any:
    """Read a list of paths as a mapping, named by their last words. Raises ValueError for one name twice."""
    if not isinstance(value, list | tuple) or not all(isinstance(path, str) for path in value):
        return value
    named: dict[str, str] = {}
    for path in value:
        words = [part for part in path.split(".") if not part.isdigit()]
        name = words[-1] if words else path
        if name in named:
            raise ValueError(f"has two fields `{name}`; write a mapping with a name for each")
        named[name] = path
    return named


def _only_described(names: frozenset[str], schema: Mapping[str, Any]) -> None:
    properties = schema.get("properties", {})
    for name in sorted(names - set(properties)):
        hint = did_you_mean(name, properties)
        message = f"has a hole `{{{name}}}`, which `parameters` does not describe"
        raise ValueError(f"{message}. {hint}" if hint else message)


def _holes(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from placeholders(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _holes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _holes(item)
