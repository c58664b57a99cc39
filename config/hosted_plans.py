"""How hosted platforms write when an assistant speaks, and what of theirs has no counterpart here.

Source: the public API reference of Vapi ("Create Assistant": startSpeakingPlan, stopSpeakingPlan).
"""

from __future__ import annotations

__all__ = ["IGNORED", "PlansRead", "take_plans"]

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .documents import KeyPath

IGNORED: Mapping[str, str] = {
    "analysisPlan": "calls are not analysed; the report at the end of a call has all that was said.",
    "artifactPlan": "the report at the end of a call is always complete, and nothing is uploaded.",
    "backgroundDenoisingEnabled": "sound without words never stops the agent, so nothing is filtered.",
    "backgroundSound": "no sound is mixed under the agent's voice.",
    "backgroundSpeechDenoisingPlan": "background voices are told from the caller without a filter.",
    "backchannelingEnabled": "the agent does not speak while the caller does.",
    "clientMessages": "events of a call are read from `/v1/calls/{id}/events`.",
    "compliancePlan": "callers' words never reach the logs, and nothing leaves this machine unasked.",
    "createdAt": "it belongs to the platform's own records.",
    "credentialIds": "keys come from the environment.",
    "credentials": "keys come from the environment.",
    "endCallPhrases": "write a tool with `kind: end_call`, which the model asks for.",
    "id": "it belongs to the platform's own records.",
    "isServerUrlSecretSet": "it belongs to the platform's own records.",
    "metadata": "it changes nothing in a call.",
    "modelOutputInMessagesEnabled": "the report has what was heard and what was generated, always.",
    "monitorPlan": "live calls are watched and steered under `/v1/calls`.",
    "observabilityPlan": "figures are at `/metrics`.",
    "orgId": "it belongs to the platform's own records.",
    "serverMessages": "every type of message is posted.",
    "transportConfigurations": "how Twilio is reached is set in the environment.",
    "updatedAt": "it belongs to the platform's own records.",
    "voicemailDetection": "answering machines are not told from people.",
    "voicemailMessage": "answering machines are not told from people.",
}
"""Field -> why it changes nothing here."""

_Convert = Callable[[Any], Any]


@dataclass(slots=True)
class PlansRead:
    """An assistant's data without the plans, and what became of them."""

    data: dict[str, Any]
    notices: list[str] = field(default_factory=list)
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)
    origins: dict[KeyPath, KeyPath] = field(default_factory=dict)


def take_plans(data: Mapping[str, Any]) -> PlansRead:
    """Read the plans as `turn_taking`, and leave out what has no counterpart; the given data stays."""
    read = PlansRead({key: value for key, value in data.items() if key not in IGNORED})
    read.notices += [f"{key} is left out: {why}" for key, why in IGNORED.items() if key in data]
    _take_functions(read)
    _take_first_message_mode(read)
    _take_start(read)
    _take_stop(read)
    return read


def _take_functions(read: PlansRead) -> None:
    """Read functions of a model as tools, which ask the assistant's server in the form of their time."""
    model = read.data.get("model")
    functions = model.get("functions") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(functions, list):
        return
    tools = [{"type": "function", "function": each, "posts": "function-call"} for each in functions]
    others = {key: value for key, value in model.items() if key not in ("functions", "tools")}
    read.data["model"] = {**others, "tools": [*(model.get("tools") or ()), *tools]}
    read.notices.append("model.functions is read as model.tools that post `function-call`.")


def _take_first_message_mode(read: PlansRead) -> None:
    mode = read.data.pop("firstMessageMode", None)
    if mode in (None, "assistant-speaks-first"):
        return
    if mode == "assistant-waits-for-user":
        read.data.pop("firstMessage", None)
        read.notices.append("firstMessageMode is read as an empty first_message: the caller begins.")
    else:
        read.notices.append("firstMessageMode is left out: the first message is the text that is written.")


def _take_start(read: PlansRead) -> None:
    plan = _plan(read, "startSpeakingPlan")
    transcription = plan.pop("transcriptionEndpointingPlan", None)
    if isinstance(transcription, dict):
        plan.update({f"transcriptionEndpointingPlan.{key}": value for key, value in transcription.items()})
    elif transcription is not None:
        plan["transcriptionEndpointingPlan"] = transcription
    floor = _milliseconds(100, 5000)
    if _has_endpointing(read.data):
        _leave(read, plan, "startSpeakingPlan", "waitSeconds", "transcriber.endpointing counts")
    _set(read, plan, "startSpeakingPlan.waitSeconds", "endpointing_ms", floor)
    inner = "startSpeakingPlan.transcriptionEndpointingPlan"
    _set(read, plan, f"{inner}.onNoPunctuationSeconds", "max_endpointing_ms", _milliseconds(500, 20_000))
    _set(read, plan, f"{inner}.onNumberSeconds", "value_patience", _number_patience)
    _set(read, plan, "startSpeakingPlan.customEndpointingRules", "patience", _patience_rules)
    reasons = {
        "transcriptionEndpointingPlan.onPunctuationSeconds": "a whole sentence waits for endpointing_ms",
        "smartEndpointingEnabled": "what was said always counts for when a turn is over",
        "smartEndpointingPlan": "what was said always counts for when a turn is over",
    }
    for key, why in reasons.items():
        _leave(read, plan, "startSpeakingPlan", key, why)
    _refuse_rest(read, plan, "startSpeakingPlan")


def _take_stop(read: PlansRead) -> None:
    plan = _plan(read, "stopSpeakingPlan")
    if plan.get("numWords") == 0:
        del plan["numWords"]  # sound pauses the agent, as it does by default
    _set(read, plan, "stopSpeakingPlan.voiceSeconds", "pause_after_ms", _milliseconds(0, 1000))
    _set(read, plan, "stopSpeakingPlan.numWords", "barge_in", lambda words: "partial" if words else words)
    _set(read, plan, "stopSpeakingPlan.acknowledgementPhrases", "backchannels", lambda phrases: phrases)
    _set(read, plan, "stopSpeakingPlan.interruptionPhrases", "stop_words", lambda phrases: phrases)
    _leave(read, plan, "stopSpeakingPlan", "backoffSeconds", "the agent goes on when the turn is over")
    _refuse_rest(read, plan, "stopSpeakingPlan")


def _plan(read: PlansRead, name: str) -> dict[str, Any]:
    plan = read.data.pop(name, None)
    if plan is not None and not isinstance(plan, dict):
        read.problems.append(((name,), "must hold `key: value` pairs."))
    return dict(plan) if isinstance(plan, dict) else {}


def _set(read: PlansRead, plan: dict[str, Any], place: str, name: str, convert: _Convert) -> None:
    """Put one value of a plan into `turn_taking`; one that is wrong stays as it is, and is told there."""
    key = place.partition(".")[2]
    if key not in plan:
        return
    value = plan.pop(key)
    written = tuple(place.split("."))
    turn_taking = read.data.setdefault("turn_taking", {})
    if not isinstance(turn_taking, dict) or "turnTaking" in read.data:
        read.problems.append((written, "and `turn_taking` cannot both be given; keep one of them."))
        return
    turn_taking = read.data["turn_taking"] = dict(turn_taking)
    if name in turn_taking:
        read.problems.append((written, f"and `turn_taking.{name}` are the same field; keep one of them."))
        return
    turn_taking[name] = convert(value)
    read.origins["turn_taking", name] = written
    read.notices.append(f"{place} is read as turn_taking.{name}.")


def _leave(read: PlansRead, plan: dict[str, Any], place: str, key: str, why: str) -> None:
    if plan.pop(key, None) is not None:
        read.notices.append(f"{place}.{key} is left out: {why}.")


def _refuse_rest(read: PlansRead, plan: dict[str, Any], place: str) -> None:
    for key in plan:
        read.problems.append(((place, *key.split(".")), "is not a field of this plan."))


def _milliseconds(least: int, most: int) -> _Convert:
    """Read seconds, brought to what is possible here."""

    def convert(seconds: Any) -> Any:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return seconds
        return min(max(round(seconds * 1000), least), most)

    return convert


def _number_patience(seconds: Any) -> Any:
    return {"digits_ms": _milliseconds(0, 20_000)(seconds)}


def _patience_rules(rules: Any) -> Any:
    return [_patience_rule(rule) for rule in rules] if isinstance(rules, list) else rules


def _patience_rule(rule: Any) -> Any:
    if not isinstance(rule, dict):
        return rule
    return dict(_patience_fields(rule))


def _patience_fields(rule: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Rename one rule's fields; the kind of a rule is told by the patterns that it has."""
    names = {"assistantRegex": "question", "customerRegex": "words"}
    kind = rule.get("type")
    for key, value in rule.items():
        if key == "regex":
            yield ("question" if kind == "assistant" else "words"), value
        elif key == "timeoutSeconds":
            yield "wait_ms", _milliseconds(0, 20_000)(value)
        elif key not in ("type", "regexOptions", "assistantRegexOptions", "customerRegexOptions"):
            yield names.get(key, key), value


def _has_endpointing(data: Mapping[str, Any]) -> bool:
    transcriber = data.get("transcriber")
    endpointing = transcriber.get("endpointing") if isinstance(transcriber, dict) else None
    return isinstance(endpointing, int | float) and endpointing >= 1
