"""How hosted platforms write when an assistant speaks, and what of theirs has no counterpart here.

Source: the public API reference of Vapi ("Create Assistant": startSpeakingPlan, stopSpeakingPlan).
"""

from __future__ import annotations

__all__ = ["IGNORED", "take_plans"]

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .documents import KeyPath
from .hosted_fields import take_fields
from .translation import Translation

IGNORED: Mapping[str, str] = {
    "analysisPlan": "calls are not analysed; the report at the end of a call has all that was said.",
    "artifactPlan": "the report at the end of a call is always complete, and nothing is uploaded.",
    "backgroundDenoisingEnabled": "sound without words never stops the agent, so nothing is filtered.",
    "backgroundSound": "no sound is mixed under the agent's voice.",
    "backgroundSpeechDenoisingPlan": "background voices are told from the caller without a filter.",
    "backchannelingEnabled": "the agent does not speak while the caller does.",
    "assistantOverrides": "write what it changes into the assistant itself.",
    "clientMessages": "events of a call are read from `/v1/calls/{id}/events`.",
    "compliancePlan": "callers' words never reach the logs, and nothing leaves this machine unasked.",
    "createdAt": "it belongs to the platform's own records.",
    "credentialIds": "keys come from the environment.",
    "credentials": "keys come from the environment.",
    "endCallPhrases": "write a tool with `kind: end_call`, which the model asks for.",
    "hipaaEnabled": "callers' words never reach the logs, and nothing leaves this machine unasked.",
    "hooks": "a fault is answered by `apology`, and `fallback_number` is rung.",
    "id": "it belongs to the platform's own records.",
    "isServerUrlSecretSet": "it belongs to the platform's own records.",
    "keypadInputPlan": "write a tool with `kind: collect_digits`, which takes keys until they are whole.",
    "llmRequestDelaySeconds": "the model is asked as soon as the turn is over.",
    "metadata": "it changes nothing in a call.",
    "modelOutputInMessagesEnabled": "the report has what was heard and what was generated, always.",
    "monitorPlan": "live calls are watched and steered under `/v1/calls`.",
    "observabilityPlan": "figures are at `/metrics`.",
    "orgId": "it belongs to the platform's own records.",
    "serverMessages": "every type of message is posted.",
    "transportConfigurations": "how Twilio is reached is set in the environment.",
    "updatedAt": "it belongs to the platform's own records.",
    "variableValues": "variables come with the call: `from`, `to`, and the stream's parameters.",
    "voicemailDetection": "answering machines are not told from people.",
    "voicemailMessage": "answering machines are not told from people.",
}
"""Field -> why it changes nothing here."""

_FIRST_MESSAGE_MODES = (
    "assistant-speaks-first",
    "assistant-waits-for-user",
    "assistant-speaks-first-with-model-generated-message",
)
_USUAL_LONGEST_MS = 3_000
"""`turn_taking.max_endpointing_ms`, where nothing else is written."""

_OPTIONS = ("regexOptions", "assistantRegexOptions", "customerRegexOptions")
_Convert = Callable[[Any], Any]


def take_plans(data: Mapping[str, Any]) -> Translation:
    """Read the plans as `turn_taking`, and leave out what has no counterpart; the given data stays."""
    read = take_fields(data)
    read.notices += [f"{key} is left out: {why}" for key, why in IGNORED.items() if key in read.data]
    read.data = {key: value for key, value in read.data.items() if key not in IGNORED}
    _take_functions(read)
    _take_first_message_mode(read)
    _take_start(read)
    _take_stop(read)
    return read


def _take_functions(read: Translation) -> None:
    """Read functions of a model as tools, which ask the assistant's server in the form of their time."""
    model = read.data.get("model")
    functions = model.get("functions") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(functions, list):
        return
    tools = [{"type": "function", "function": each, "posts": "function-call"} for each in functions]
    others = {key: value for key, value in model.items() if key not in ("functions", "tools")}
    read.data["model"] = {**others, "tools": [*(model.get("tools") or ()), *tools]}
    read.notices.append("model.functions is read as model.tools that post `function-call`.")


def _take_first_message_mode(read: Translation) -> None:
    mode = read.data.pop("firstMessageMode", None)
    if mode not in (None, *_FIRST_MESSAGE_MODES):
        read.problems.append((("firstMessageMode",), f"must be one of {', '.join(_FIRST_MESSAGE_MODES)}."))
    elif mode == "assistant-waits-for-user":
        read.data.pop("firstMessage", None)
        read.notices.append("firstMessageMode is read as an empty first_message: the caller begins.")
    elif mode == "assistant-speaks-first-with-model-generated-message":
        read.notices.append("firstMessageMode is left out: the first message is the text that is written.")


def _take_start(read: Translation) -> None:
    plan = _Plan(read, "startSpeakingPlan")
    if _has_endpointing(read.data):
        plan.leave("waitSeconds", "transcriber.endpointing counts")
    plan.put("waitSeconds", "endpointing_ms", _milliseconds(100, 5000))
    inner = "transcriptionEndpointingPlan"
    plan.open(inner)
    plan.put(f"{inner}.onNoPunctuationSeconds", "max_endpointing_ms", _milliseconds(500, 20_000))
    plan.put(f"{inner}.onNumberSeconds", "value_patience", _number_patience)
    if options := ", ".join(sorted(set(_options_in_use(plan.value("customEndpointingRules"))))):
        told = f"options of its patterns are left out ({options}): they ignore case, and match anywhere."
        read.notices.append(f"startSpeakingPlan.customEndpointingRules: {told}")
    plan.put("customEndpointingRules", "patience", _patience_rules)
    plan.room_for_the_floor()
    plan.leave(f"{inner}.onPunctuationSeconds", "a whole sentence waits for endpointing_ms")
    for key in ("smartEndpointingEnabled", "smartEndpointingPlan"):
        plan.leave(key, "what was said always counts for when a turn is over")
    plan.refuse_rest()


def _take_stop(read: Translation) -> None:
    plan = _Plan(read, "stopSpeakingPlan")
    plan.put("voiceSeconds", "pause_after_ms", _milliseconds(0, 1000))
    # Without words to wait for sound pauses the agent, as it does by default.
    plan.put("numWords", "barge_in", lambda words: "partial" if words else words, unless=0)
    plan.put("acknowledgementPhrases", "backchannels")
    plan.put("interruptionPhrases", "stop_words")
    plan.leave("backoffSeconds", "the agent goes on when the turn is over")
    plan.refuse_rest()


class _Plan:
    """One plan on its way into `turn_taking`: each field is put there, left out or refused."""

    def __init__(self, read: Translation, name: str) -> None:
        self._read, self._name = read, name
        plan = read.data.pop(name, None)
        if plan is not None and not isinstance(plan, dict):
            read.problems.append(((name,), "must hold `key: value` pairs."))
        self._left: dict[str, Any] = dict(plan) if isinstance(plan, dict) else {}

    def open(self, key: str) -> None:
        """Take the fields of a plan inside for our own, under dotted names; what is no plan stays."""
        inner = self._left.get(key)
        if isinstance(inner, dict):
            del self._left[key]
            self._left.update({f"{key}.{name}": value for name, value in inner.items()})

    def value(self, key: str) -> Any:
        """Look at one field."""
        return self._left.get(key)

    def put(
        self, key: str, name: str, convert: _Convert = lambda value: value, *, unless: Any = None
    ) -> None:
        """Put one value into `turn_taking`; one that is wrong stays as it is, and is told there."""
        if key not in self._left:
            return
        value = self._left.pop(key)
        if unless is not None and value == unless:
            return
        read, written = self._read, self._written(key)
        turn_taking = read.data.setdefault("turn_taking", {})
        if not isinstance(turn_taking, dict) or "turnTaking" in read.data:
            read.problems.append((written, "and `turn_taking` cannot both be given; keep one of them."))
            return
        if name in turn_taking:
            told = f"and `turn_taking.{name}` are the same field; keep one of them."
            read.problems.append((written, told))
            return
        ours = convert(value)
        read.data["turn_taking"] = {**turn_taking, name: ours}
        read.origins["turn_taking", name] = written
        read.notices.append(f"{self._name}.{key} is read as turn_taking.{name}.{_changed(value, ours)}")

    def leave(self, key: str, why: str) -> None:
        """Leave one field out."""
        if self._left.pop(key, None) is not None:
            self._read.notices.append(f"{self._name}.{key} is left out: {why}.")

    def room_for_the_floor(self) -> None:
        """Let the longest wait be no shorter than the least one, where only that is written."""
        turn_taking = self._read.data.get("turn_taking")
        if not isinstance(turn_taking, dict) or "max_endpointing_ms" in turn_taking:
            return
        floor = turn_taking.get("endpointing_ms")
        if isinstance(floor, int) and floor > _USUAL_LONGEST_MS:
            turn_taking["max_endpointing_ms"] = floor
            self._read.notices.append(
                f"turn_taking.max_endpointing_ms is {floor}, too: no turn may wait less."
            )

    def refuse_rest(self) -> None:
        """What is left is unknown."""
        for key in self._left:
            self._read.problems.append((self._written(key), "is not a field of this plan."))

    def _written(self, key: str) -> KeyPath:
        return (self._name, *key.split("."))


def _changed(theirs: Any, ours: Any) -> str:
    """Say what became of a number that is not possible here."""
    if isinstance(ours, int) and isinstance(theirs, int | float) and round(theirs * 1000) != ours:
        return f" {theirs:g} s is not possible; it is {ours} ms."
    if ours == "partial" and isinstance(theirs, int) and theirs > 1:
        return f" One word with content is enough here, not {theirs}."
    return ""


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
    if not isinstance(rules, list):
        return rules
    return [dict(_patience_fields(rule)) if isinstance(rule, dict) else rule for rule in rules]


def _options_in_use(rules: Any) -> Iterator[str]:
    """Yield those that a pattern would need to mean the same here, where it ignores case anyway."""
    for rule in rules if isinstance(rules, list) else ():
        for key in _OPTIONS if isinstance(rule, dict) else ():
            options = rule.get(key)
            for option in options if isinstance(options, list) else ():
                enabled = isinstance(option, dict) and option.get("enabled", True)
                if enabled and option.get("type") != "ignore-case":
                    yield str(option.get("type"))


def _patience_fields(rule: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Rename one rule's fields; the kind of a rule is told by the patterns that it has."""
    names = {"assistantRegex": "question", "customerRegex": "words"}
    kind = rule.get("type")
    for key, value in rule.items():
        if key == "regex":
            yield ("question" if kind == "assistant" else "words"), value
        elif key == "timeoutSeconds":
            yield "wait_ms", _milliseconds(0, 20_000)(value)
        elif key not in ("type", *_OPTIONS):
            yield names.get(key, key), value


def _has_endpointing(data: Mapping[str, Any]) -> bool:
    transcriber = data.get("transcriber")
    endpointing = transcriber.get("endpointing") if isinstance(transcriber, dict) else None
    return isinstance(endpointing, int | float) and endpointing >= 1
