"""Single fields of hosted platforms that are read, or left out with a reason, before the plans are.

Source: the public API reference of Vapi ("Create Assistant", and its older fields).
"""

from __future__ import annotations

__all__ = ["LEFT_OUT_INSIDE", "take_fields"]

from collections.abc import Mapping
from typing import Any

from .translation import Translation
from .vendors import is_flux

_NOT_HERE = "it has no counterpart here."
_TWO_KEYS = "keys come from the environment."
LEFT_OUT_INSIDE: Mapping[str, Mapping[str, str]] = {
    "server": {
        "timeoutSeconds": "an answer is waited for 10 s; a tool's time is its `timeoutSeconds`.",
        "headers": "what is posted is signed; other headers are not sent.",
        "backoffPlan": "what is not taken is tried again for ten minutes.",
        "credentialId": _TWO_KEYS,
    },
    "transcriber": {
        "confidenceThreshold": "words of low confidence are weighed by turn-taking.",
        "keywords": "write them as `keyterms`, for a model that takes those.",
        "numerals": "numbers are read from words.",
    },
    "voice": {
        "chunkPlan": "text is cut into clauses.",
        "style": _NOT_HERE,
        "useSpeakerBoost": _NOT_HERE,
        "cachingEnabled": "phrases that are said again and again are made in advance, always.",
    },
    "model": {
        "toolIds": "tools are written in the file.",
        "knowledgeBase": "write a tool that looks things up.",
        "knowledgeBaseId": "write a tool that looks things up.",
        "fallbackModels": "write them as `fallbacks`.",
        "emotionRecognitionEnabled": _NOT_HERE,
        "numFastTurns": _NOT_HERE,
    },
}
"""Section -> field in it -> why it changes nothing here."""
_LEAST_ENDPOINTING_MS = 100
_FOR_FLUX = ("eotThreshold", "eagerEotThreshold", "eotTimeoutMs")
_KEYPAD = {"name": "dialKeypad", "kind": "send_dtmf"}


def take_fields(data: Mapping[str, Any]) -> Translation:
    """Read what stands alone; the given data stays as it was."""
    read = _unwrapped(data)
    if any(key != key.lower() for key in read.data if isinstance(key, str)):
        # They write null for what is not given; in a file of ours it is a slip.
        read.data = _without_nulls(read.data)
    for section, fields in LEFT_OUT_INSIDE.items():
        _leave_out_inside(read, section, fields)
    _take_transcriber(read)
    _take_functions(read)
    _take_older_plans(read)
    return read


def _unwrapped(data: Mapping[str, Any]) -> Translation:
    """Read the body of a request or a message that holds an assistant."""
    inner = data.get("assistant")
    if not isinstance(inner, dict) or "name" in data or "model" in data:
        return Translation(dict(data))
    read = Translation(dict(inner), origins={(key,): ("assistant", key) for key in inner})
    others = [str(key) for key in data if key != "assistant"]
    left = f"; {', '.join(others)} beside it is left out" if others else ""
    read.notices.append(f"assistant is read as the whole file{left}.")
    return read


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _leave_out_inside(read: Translation, name: str, fields: Mapping[str, str]) -> None:
    section = read.data.get(name)
    found = [key for key in fields if key in section] if isinstance(section, dict) else []
    if isinstance(section, dict) and found:
        read.data[name] = {key: value for key, value in section.items() if key not in found}
        read.notices += [f"{name}.{key} is left out: {fields[key]}" for key in found]


def _take_transcriber(read: Translation) -> None:
    """Bring the recogniser's own settings to what there is here."""
    transcriber = read.data.get("transcriber")
    if not isinstance(transcriber, dict):
        return
    transcriber = read.data["transcriber"] = dict(transcriber)
    endpointing = transcriber.get("endpointing")
    whole = isinstance(endpointing, int) and not isinstance(endpointing, bool)
    if whole and endpointing in range(1, _LEAST_ENDPOINTING_MS):
        transcriber["endpointing"] = _LEAST_ENDPOINTING_MS
        told = (
            f"transcriber.endpointing of {endpointing} ms is raised to {_LEAST_ENDPOINTING_MS} ms, the least."
        )
        read.notices.append(told)
    model = transcriber.get("model")
    if not (isinstance(model, str) and is_flux(model)):
        for key in [key for key in _FOR_FLUX if key in transcriber]:
            del transcriber[key]
            read.notices.append(f"transcriber.{key} is left out: only Deepgram's Flux models know it.")
    if transcriber.get("language") == "multi":
        del transcriber["language"]
        read.notices.append("transcriber.language `multi` is left out: an assistant speaks one language.")


def _take_functions(read: Translation) -> None:
    """Read the switches of built-in functions as tools."""
    tools: list[dict[str, Any]] = []
    if read.data.pop("endCallFunctionEnabled", False) is True:
        tools.append({"name": "endCall", "kind": "end_call"})
        read.notices.append("endCallFunctionEnabled is read as a tool `endCall`.")
    if read.data.pop("dialKeypadFunctionEnabled", False) is True:
        tools.append(_KEYPAD)
        read.notices.append("dialKeypadFunctionEnabled is read as a tool `dialKeypad`.")
    number = read.data.pop("forwardingPhoneNumber", None)
    if number is not None:
        destinations = {"forwarding": {"number": number}}
        tools.append({"name": "transferCall", "kind": "transfer_call", "destinations": destinations})
        read.notices.append("forwardingPhoneNumber is read as a tool `transferCall`.")
    if tools:
        given = read.data.get("tools") or []
        read.data["tools"] = [*given, *tools] if isinstance(given, list) else given


def _take_older_plans(read: Translation) -> None:
    """Read the fields that were there before the plans as fields of these."""
    for key, plan, field in (
        ("responseDelaySeconds", "startSpeakingPlan", "waitSeconds"),
        ("numWordsToInterruptAssistant", "stopSpeakingPlan", "numWords"),
    ):
        if key not in read.data:
            continue
        value, there = read.data.pop(key), read.data.get(plan) or {}
        if isinstance(there, dict) and field not in there:
            read.data[plan] = {**there, field: value}
            read.notices.append(f"{key} is read as {plan}.{field}.")
        else:
            read.notices.append(f"{key} is left out: {plan}.{field} counts.")
