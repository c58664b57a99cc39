"""The names that hosted voice platforms use for an assistant's fields, read as our own.

Any field may be written in camelCase (`firstMessage`); the fields below also lie elsewhere there. What was
translated is told in notices, and `origins` remembers where a value stood, so that errors name that place.
Source of the foreign names: the public API reference of Vapi ("Create Assistant").
"""

from __future__ import annotations

__all__ = ["Translation", "camel_case", "foreign_names", "section_of", "translate"]

import re
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from .documents import KeyPath
from .hosted_tools import HostedTool, is_hosted_tool, read_hosted_tool
from .section import Section

# From where (in our spelling) to where; the first part of the target is made when it is not there.
_MOVES: tuple[tuple[KeyPath, KeyPath], ...] = (
    (("server_url",), ("server", "url")),
    (("server_url_secret",), ("server", "secret")),
    (("end_call_message",), ("goodbye",)),
    (("max_duration_seconds",), ("turn_taking", "max_call_s")),
    (("silence_timeout_seconds",), ("turn_taking", "silence_hangup_s")),
    (("voice", "voice_id"), ("voice", "name")),
    (("model", "model"), ("model", "name")),
    (("model", "tools"), ("tools",)),
    (("model", "messages"), ("instructions",)),
    (("transcriber", "language"), ("language",)),
    (("transcriber", "endpointing"), ("turn_taking", "endpointing_ms")),
    (("transcriber", "endpointing_ms"), ("turn_taking", "endpointing_ms")),
    (("turn_taking", "endpointing"), ("turn_taking", "endpointing_ms")),
)
_PROVIDERS = {"11labs": "elevenlabs"}


@dataclass(slots=True)
class Translation:
    """An assistant's data in our own names, and what was done to get there."""

    data: dict[str, Any]
    notices: list[str] = field(default_factory=list)
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)
    """Where (as written) and what."""
    origins: dict[KeyPath, KeyPath] = field(default_factory=dict)
    """Our path of a value -> the path as written, for all that was renamed or moved."""

    def written(self, path: KeyPath) -> KeyPath:
        """Tell where in the file the value of one of our paths stands."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]] + path[length:]
        return path


def translate(data: dict[str, Any], root: type[Section]) -> Translation:
    """Read the hosted platforms' names as ours; the given data is left as it was."""
    result = Translation({})
    result.data = _renamed_keys(data, root, (), result)
    for source, target in _MOVES:
        _move(result, source, target)
    result.data = _renamed_keys(result.data, root, (), result)  # what was moved has keys of its own
    for name in ("transcriber", "model", "voice"):
        section = result.data.get(name)
        provider = section.get("provider") if isinstance(section, dict) else None
        if isinstance(section, dict) and isinstance(provider, str) and provider in _PROVIDERS:
            section["provider"] = _PROVIDERS[provider]
            result.notices.append(f"{name}.provider: {provider} is read as {_PROVIDERS[provider]}.")
    _translate_tools(result)
    return result


def _translate_tools(result: Translation) -> None:
    """Read tools that are written as there; one that is left out moves those behind it up."""
    tools = result.data.get("tools")
    if not isinstance(tools, list) or not any(map(is_hosted_tool, tools)):
        return
    kept: list[Any] = []
    origins: dict[KeyPath, KeyPath] = {}
    for index, tool in enumerate(tools):
        place, new = ("tools", index), ("tools", len(kept))
        written, read = result.written(place), HostedTool()
        if is_hosted_tool(tool):
            read = read_hosted_tool(tool)
            result.notices += [f"{_dotted(written)} {notice}" for notice in read.notices]
            if read.data is None:
                continue
        kept.append(tool if read.data is None else read.data)
        origins[new] = written
        for ours, theirs in result.origins.items():
            if ours[:2] == place and len(ours) > 2:
                origins[(*new, *ours[2:])] = theirs
        for inside, there in read.origins.items():
            origins[(*new, *inside)] = (*written, *there)
    result.data["tools"] = kept
    others = {ours: theirs for ours, theirs in result.origins.items() if len(ours) < 2 or ours[0] != "tools"}
    result.origins = {**others, **origins}


def foreign_names(path: KeyPath) -> dict[str, str]:
    """Name the fields that may also be written at a place, in camelCase -> their dotted name of ours."""
    return {
        camel_case(str(source[-1])): ".".join(map(str, target))
        for source, target in _MOVES
        if source[:-1] == path
    }


def camel_case(name: str) -> str:
    """Spell `first_message` as `firstMessage`."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def section_of(root: type[Section], path: KeyPath) -> type[Section] | None:
    """Find the section that a path leads to, through lists and mappings; None where there is none."""
    section: type[Section] | None = root
    for part in path:
        if section is None:
            return None
        if isinstance(part, str) and part in section.model_fields:
            section = _inner(section.model_fields[part].annotation)
    return section


def _inner(annotation: Any) -> type[Section] | None:
    """Find the section in `Server | None`, `tuple[Tool, ...]`, `dict[str, Slot]`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(_inner, get_args(annotation))), None)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _renamed(value: Any, annotation: Any, path: KeyPath, result: Translation) -> Any:
    """Copy what lies at one of our paths, its keys renamed according to the type that is expected there."""
    section = _inner(annotation)
    if section is None:
        return value
    if isinstance(value, list):
        return [_renamed(item, section, (*path, index), result) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if get_origin(annotation) is dict:  # its keys are the user's own names
        return {key: _renamed(item, section, (*path, key), result) for key, item in value.items()}
    return _renamed_keys(value, section, path, result)


def _renamed_keys(
    data: dict[Any, Any], section: type[Section], path: KeyPath, result: Translation
) -> dict[Any, Any]:
    """Copy one section, its camelCase keys renamed where the snake_case name means something."""
    foreign = {source[-1] for source, _ in _MOVES if source[:-1] == path}
    copy: dict[Any, Any] = {}
    for key, value in data.items():
        name = _snake_case(str(key))
        if key in section.model_fields or (name not in section.model_fields and name not in foreign):
            name = key
        written = result.written((*path, key))
        if name != key:
            if name in data:
                result.problems.append((written, f"and `{name}` are the same field; keep one of them."))
                continue
            result.origins[(*path, name)] = written
        known = section.model_fields.get(name)
        if name != key and known is not None:
            result.notices.append(f"{_dotted(written)} is read as {_dotted((*path, name))}.")
        copy[name] = _renamed(value, known.annotation, (*path, name), result) if known else value
    return copy


def _move(result: Translation, source: KeyPath, target: KeyPath) -> None:
    """Take a value from a foreign place to ours; nothing happens where there is none."""
    holder = result.data if len(source) == 1 else result.data.get(str(source[0]))
    if not isinstance(holder, dict) or source[-1] not in holder:
        return
    written = result.written(source)
    value = holder.pop(str(source[-1]))
    if source[-1] in ("endpointing", "endpointing_ms") and _is_threshold(value):
        target = ("turn_taking", "vad_threshold")
    if source == ("model", "messages"):
        value = _instructions(value, written, result)
    home = result.data if len(target) == 1 else result.data.setdefault(str(target[0]), {})
    if not isinstance(home, dict):
        return  # the section itself is wrong, which is told anyway
    if target[-1] in home:
        there = _dotted(result.written(target))
        result.problems.append((written, f"and `{there}` are the same field; keep one of them."))
        return
    home[str(target[-1])] = value
    result.origins[target] = written
    why = ", because it is below 1" if target[-1] == "vad_threshold" else ""
    result.notices.append(f"{_dotted(written)} is read as {_dotted(target)}{why}.")


def _is_threshold(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


def _instructions(messages: Any, written: KeyPath, result: Translation) -> Any:
    """Join the system messages; anything else among them is a problem."""
    if not isinstance(messages, list):
        result.problems.append((written, "must be a list of messages with `role` and `content`."))
        return ""
    texts: list[str] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") != "system":
            result.problems.append(((*written, index), "is not a system message; only those are used."))
        elif not isinstance(message.get("content"), str):
            result.problems.append(((*written, index, "content"), "must be a text."))
        else:
            texts.append(message["content"])
    return "\n\n".join(texts)


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))
