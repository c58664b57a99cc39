"""The names that hosted voice platforms use for an assistant's fields, read as our own.

Any field may be written in camelCase (`firstMessage`); the fields below also lie elsewhere there. What was
translated is told in notices, and `origins` remembers where a value stood, so that errors name that place.
Source of the foreign names: the public API reference of Vapi ("Create Assistant").
"""

from __future__ import annotations

__all__ = ["camel_case", "foreign_names", "section_of", "translate"]

import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from .assistant import Assistant, ModelChoice
from .documents import KeyPath
from .hosted_plans import take_plans
from .hosted_tools import HostedTool, is_hosted_tool, read_hosted_tool
from .section import Section
from .speech import TranscriberChoice, VoiceChoice
from .translation import Translation
from .vendor_checks import vendor_choices

# From where (in our spelling) to where; the first part of the target is made when it is not there.
_MOVES: tuple[tuple[KeyPath, KeyPath], ...] = (
    (("server_url",), ("server", "url")),
    (("server_url_secret",), ("server", "secret")),
    (("end_call_message",), ("goodbye",)),
    (("first_message_interruptions_enabled",), ("first_message_interruptible",)),
    (("max_duration_seconds",), ("turn_taking", "max_call_s")),
    (("recording_enabled",), ("recording", "enabled")),
    (("silence_timeout_seconds",), ("turn_taking", "silence_hangup_s")),
    (("model", "tools"), ("tools",)),
    (("model", "messages"), ("instructions",)),
    (("transcriber", "language"), ("language",)),
    (("transcriber", "endpointing"), ("turn_taking", "endpointing_ms")),
    (("transcriber", "endpointing_ms"), ("turn_taking", "endpointing_ms")),
    (("turn_taking", "endpointing"), ("turn_taking", "endpointing_ms")),
    (("transcriber", "fallback_plan", "transcribers"), ("transcriber", "fallbacks")),
    (("voice", "fallback_plan", "voices"), ("voice", "fallbacks")),
)
_ALIASES: Mapping[type[Section], Mapping[str, str]] = {
    TranscriberChoice: {"keyterm": "keyterms"},
    ModelChoice: {"model": "name", "url": "base_url"},
    VoiceChoice: {"voice_id": "name"},
}
"""Other names of a section's own fields, wherever the section stands, in our spelling."""
_PROVIDERS = {"11labs": "elevenlabs", "custom-llm": "openai"}


def translate(data: dict[str, Any], root: type[Section]) -> Translation:
    """Read the hosted platforms' names as ours; the given data is left as it was."""
    result = take_plans(data)
    result.data = _renamed_keys(result.data, root, (), result)
    for source, target in _MOVES:
        _move(result, source, target)
    result.data = _renamed_keys(result.data, root, (), result)  # what was moved has keys of its own
    _translate_providers(result)
    _translate_tools(result)
    return result


def _translate_providers(result: Translation) -> None:
    """Read the names of vendors; a model of the user's own is one that speaks OpenAI's protocol."""
    for choice in vendor_choices(result.data):
        theirs, ours = choice.provider, _PROVIDERS.get(choice.provider)
        if ours is None:
            continue
        choice.data["provider"] = ours
        written = result.written((*choice.path, "provider"))
        result.notices.append(f"{_dotted(written)}: {theirs} is read as {ours}.")
        if theirs == "custom-llm" and not choice.data.get("base_url"):
            message = "is `custom-llm`, and where it is reached is missing; write its address as `url`."
            result.problems.append((written, message))


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
    moved = {
        _dotted(tuple(camel_case(str(part)) for part in source[len(path) :])): _dotted(target)
        for source, target in _MOVES
        if source[: len(path)] == path and (path or len(source) == 1)
    }
    section = section_of(Assistant, path)
    aliases = {} if section is None else _aliases_of(section)
    plans = {} if path else {"startSpeakingPlan": "turn_taking", "stopSpeakingPlan": "turn_taking"}
    return {
        **moved,
        **plans,
        **{camel_case(alias): _dotted((*path, name)) for alias, name in aliases.items()},
    }


def _aliases_of(section: type[Section]) -> Mapping[str, str]:
    return next((names for kind, names in _ALIASES.items() if issubclass(section, kind)), {})


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
    foreign = {source[len(path)] for source, _ in _MOVES if source[: len(path)] == path != source}
    aliases = _aliases_of(section)
    copy: dict[Any, Any] = {}
    for key, value in data.items():
        name = _snake_case(str(key))
        if name not in section.model_fields:
            name = aliases.get(name, name)
        if key in section.model_fields or (name not in section.model_fields and name not in foreign):
            name = key
        written = result.written((*path, key))
        if name != key:
            if name in data or name in copy:
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
    around: list[dict[Any, Any]] = [result.data]
    for part in source[:-1]:
        inner = around[-1].get(part)
        if not isinstance(inner, dict):
            return
        around.append(inner)
    if source[-1] not in around[-1]:
        return
    written = result.written(source)
    value = around[-1].pop(source[-1])
    if len(source) > 2 and not around[-1]:
        del around[-2][source[-2]]
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
