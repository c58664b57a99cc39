"""What can only be judged with several parts of an assistant in view.

The checks read the data as it was written, so that they find their share even where other parts are wrong.
"""

from __future__ import annotations

__all__ = ["effectless", "inconsistencies"]

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from .assistant import Assistant, ModelChoice
from .built_in_tools import BUILT_IN_TOOLS
from .callables import given_parameters, import_callable
from .documents import KeyPath
from .section import did_you_mean
from .vendor_checks import idle_fallbacks, ineffective_fields, vendor_choices, vendor_inconsistencies

T = TypeVar("T")
Inconsistency = tuple[KeyPath, str, str]
"""Path, message, fix."""


def inconsistencies(data: dict[str, Any]) -> Iterator[Inconsistency]:
    """Yield all that does not fit together in data whose keys are our own names."""
    tools = _items(data, "tools")
    yield from _repeated_names(("tools",), tools)
    yield from _functions_that_are_not_there(tools)
    yield from _servers_that_nobody_named(tools, data.get("server"))
    for model in vendor_choices(data):
        if model.stage == "model":
            place, intents = (*model.path, "intents"), _items(model.data, "intents")
            yield from _repeated_names(place, intents)
            yield from _intents_without_their_tool(place, intents, tools)
    yield from vendor_inconsistencies(data)


def effectless(assistant: Assistant) -> Iterator[str]:
    """Yield a sentence for everything in a valid assistant that changes nothing."""
    models = (("model", assistant.model), *_placed("model.fallbacks", assistant.model.fallbacks))
    if assistant.instructions and all(model.provider == "embedded" for _, model in models):
        yield "instructions are for language models; the embedded model answers from its intents alone."
    for place, model in models:
        if model.provider == "embedded":
            yield from _few_examples(place, model)
    yield from ineffective_fields(assistant)
    yield from idle_fallbacks(assistant)
    yield from _recording_that_is_off(assistant)
    for place, tool in _placed("tools", assistant.tools):
        never = [stage.after_ms for stage in tool.stages if stage.after_ms >= tool.deadline_s * 1000]
        if never and not tool.resource:
            yield f"{place}: what is said after {never[0]} ms comes behind its deadline_s."


def _recording_that_is_off(assistant: Assistant) -> Iterator[str]:
    if assistant.recording.enabled:
        return
    if assistant.recording.consent_line:
        yield "recording.consent_line is not said: recording.enabled is false."
    for place, tool in _placed("tools", assistant.tools):
        if tool.pauses_recording:
            yield f"{place}.pauses_recording has no effect: recording.enabled is false."


def _few_examples(place: str, model: ModelChoice) -> Iterator[str]:
    """Judge what an embedded model has to go by; as a fallback one sentence of apology is enough."""
    if not model.intents and (place == "model" or "fallback" not in model.model_fields_set):
        yield f"{place}.intents is empty; the embedded model answers everything with {place}.fallback."
    for where, intent in _placed(f"{place}.intents", model.intents):
        if len(intent.say) < 8:
            yield f"{where}.say holds {len(intent.say)} examples; 8 or more work much better."


def _placed(place: str, items: Iterable[T]) -> tuple[tuple[str, T], ...]:
    return tuple((f"{place}.{index}", item) for index, item in enumerate(items))


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
    place: KeyPath, intents: list[dict[str, Any]], tools: list[dict[str, Any]]
) -> Iterator[Inconsistency]:
    by_name = {tool["name"]: tool for tool in tools if isinstance(tool.get("name"), str)}
    for index, intent in enumerate(intents):
        name = intent.get("tool")
        if not isinstance(name, str):
            continue
        if name not in by_name:
            hint = did_you_mean(name, by_name)
            fix = hint or (f"The tools are: {', '.join(by_name)}." if by_name else "Add it to `tools`.")
            yield (*place, index, "tool"), f"there is no tool `{name}`.", fix
            continue
        slots = _mapping(intent.get("slots"))
        for parameter in _asked_of_the_model(by_name[name]):
            if parameter not in slots:
                message = f"has no `{parameter}`, which the tool `{name}` requires."
                yield (*place, index, "slots"), message, f"Add a slot `{parameter}`."
            elif not _mapping(slots[parameter]).get("ask"):
                message = f"is missing, but the tool `{name}` requires `{parameter}`."
                yield (
                    (*place, index, "slots", parameter, "ask"),
                    message,
                    "Write the question that asks for it.",
                )


def _asked_of_the_model(tool: dict[str, Any]) -> list[Any]:
    """Name the arguments that a tool cannot do without and that the file does not give."""
    built_in = BUILT_IN_TOOLS.get(str(tool.get("kind")))
    schema = built_in.parameters if built_in is not None else _mapping(tool.get("parameters"))
    required = schema.get("required", [])
    if tool.get("kind") == "transfer_call" and len(_mapping(tool.get("destinations"))) > 1:
        required = ["destination"]
    given = _mapping(tool.get("arguments"))
    return [name for name in required if name not in given] if isinstance(required, list) else []


def _items(holder: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Give the mappings of a list, an empty one in place of anything else."""
    items = holder.get(key)
    return [_mapping(item) for item in items] if isinstance(items, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
