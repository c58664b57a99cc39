"""What can only be judged with several parts of an assistant in view.

The checks read the data as it was written, so that they find their share even where other parts are wrong.
"""

from __future__ import annotations

__all__ = ["effectless", "inconsistencies"]

import inspect
from collections.abc import Iterator
from typing import Any

from .assistant import Assistant
from .built_in_tools import BUILT_IN_TOOLS
from .callables import given_parameters, import_callable
from .documents import KeyPath
from .section import did_you_mean

Inconsistency = tuple[KeyPath, str, str]
"""Path, message, fix."""


def inconsistencies(data: dict[str, Any]) -> Iterator[Inconsistency]:
    """Yield all that does not fit together in data whose keys are our own names."""
    tools, intents = _items(data, "tools"), _items(_mapping(data.get("model")), "intents")
    yield from _repeated_names(("tools",), tools)
    yield from _repeated_names(("model", "intents"), intents)
    yield from _functions_that_are_not_there(tools)
    yield from _servers_that_nobody_named(tools, data.get("server"))
    yield from _intents_without_their_tool(intents, tools)
    yield from _languages_not_spoken(data)


def effectless(assistant: Assistant) -> Iterator[str]:
    """Yield a sentence for everything in a valid assistant that changes nothing."""
    model, voice = assistant.model, assistant.voice
    if assistant.instructions:
        yield "instructions are for language models; the embedded model answers from its intents alone."
    if not model.intents:
        yield "model.intents is empty; the embedded model answers everything with model.fallback."
    for name in ("temperature", "max_tokens"):
        if getattr(model, name) is not None:
            yield f"model.{name} has no effect on the embedded model."
    for name in ("stability", "similarity_boost", "optimize_streaming_latency"):
        if getattr(voice, name) is not None:
            yield f"voice.{name} has no effect on the embedded voice."
    if model.name:
        yield "model.name has no effect on the embedded model."
    if assistant.transcriber.model or not assistant.transcriber.smart_format:
        yield "transcriber.model and transcriber.smart_format have no effect on the embedded recogniser."
    if voice.model:
        yield "voice.model has no effect on the embedded voice."
    if assistant.server is not None:
        yield "server is asked by tools of kind server alone: this release posts no events."
    for index, tool in enumerate(assistant.tools):
        never = [stage.after_ms for stage in tool.stages if stage.after_ms >= tool.deadline_s * 1000]
        if never and not tool.resource:
            yield f"tools.{index}: what is said after {never[0]} ms comes behind its deadline_s."
    for index, intent in enumerate(model.intents):
        if len(intent.say) < 8:
            yield f"model.intents.{index}.say holds {len(intent.say)} examples; 8 or more work much better."


def _repeated_names(path: KeyPath, items: list[dict[str, Any]]) -> Iterator[Inconsistency]:
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        name = item.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            message = f"`{name}` is already the name of {'.'.join(map(str, path))}.{first[name]}."
            yield (*path, index, "name"), message, "Choose another name."


def _functions_that_are_not_there(tools: list[dict[str, Any]]) -> Iterator[Inconsistency]:
    for index, tool in enumerate(tools):
        reference = tool.get("callable")
        if not isinstance(reference, str) or tool.get("kind", "python") != "python":
            continue
        try:
            function = import_callable(reference)
        except ValueError as error:
            fix = "Write package.module:function; the module may lie beside the assistant file."
            yield ("tools", index, "callable"), f"{error}.", fix
            continue
        if tool.get("cpu_bound") is True and inspect.iscoroutinefunction(function):
            message = "cannot be true for an `async` function: it would run in another process."
            yield ("tools", index, "cpu_bound"), message, "Make the function a plain `def`."
        properties = _mapping(_mapping(tool.get("parameters")).get("properties"))
        for name in sorted(given_parameters(function) & set(properties)):
            message = f"holds `{name}`, which the function gets from the bridge and not from the model."
            yield ("tools", index, "parameters", "properties", name), message, "Choose another name."


def _servers_that_nobody_named(tools: list[dict[str, Any]], server: Any) -> Iterator[Inconsistency]:
    for index, tool in enumerate(tools):
        if tool.get("kind") == "server" and not tool.get("server") and not server:
            message = "is missing, and so is the assistant's own."
            fix = "Write `server: {url: https://example.com/tools, secret: ${TOOLS_SECRET}}`."
            yield ("tools", index, "server"), message, fix


def _intents_without_their_tool(
    intents: list[dict[str, Any]], tools: list[dict[str, Any]]
) -> Iterator[Inconsistency]:
    by_name = {tool["name"]: tool for tool in tools if isinstance(tool.get("name"), str)}
    for index, intent in enumerate(intents):
        name = intent.get("tool")
        if not isinstance(name, str):
            continue
        if name not in by_name:
            hint = did_you_mean(name, by_name)
            fix = hint or (f"The tools are: {', '.join(by_name)}." if by_name else "Add it to `tools`.")
            yield ("model", "intents", index, "tool"), f"there is no tool `{name}`.", fix
            continue
        slots = _mapping(intent.get("slots"))
        for parameter in _asked_of_the_model(by_name[name]):
            if parameter not in slots:
                message = f"has no `{parameter}`, which the tool `{name}` requires."
                yield ("model", "intents", index, "slots"), message, f"Add a slot `{parameter}`."
            elif not _mapping(slots[parameter]).get("ask"):
                message = f"is missing, but the tool `{name}` requires `{parameter}`."
                yield (
                    ("model", "intents", index, "slots", parameter, "ask"),
                    message,
                    "Write the question that asks for it.",
                )


def _asked_of_the_model(tool: dict[str, Any]) -> list[Any]:
    """Name the arguments that a tool cannot do without and that the file does not give."""
    built_in = BUILT_IN_TOOLS.get(str(tool.get("kind")))
    schema = built_in.parameters if built_in is not None else _mapping(tool.get("parameters"))
    required = schema.get("required", [])
    given = _mapping(tool.get("arguments"))
    return [name for name in required if name not in given] if isinstance(required, list) else []


def _languages_not_spoken(data: dict[str, Any]) -> Iterator[Inconsistency]:
    language = data.get("language", "en")
    if not isinstance(language, str) or language.lower().split("-")[0] == "en":
        return
    parts = ("transcriber", "model", "voice")
    embedded = [part for part in parts if _mapping(data.get(part)).get("provider", "embedded") == "embedded"]
    if embedded:
        message = f"`{language}` is beyond the embedded {', '.join(embedded)}: these know English only."
        yield ("language",), message, "Write `language: en`."


def _items(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Give the mappings of a list, an empty one in place of anything else."""
    items = holder.get(key)
    return [_mapping(item) for item in items] if isinstance(items, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
