"""Tools: each call a detached task with its own deadline, and a ledger that knows them all.

A tool belongs to the call, not to the reply that asked for it: a barge-in cancels the reply and
leaves the tool running. The model is answered at once with "pending", and the answer follows as a
later message, so nobody waits in front of the audio.

The ledger is keyed by tool and canonical arguments and covers finished calls too: asked again
within `dedupe_s`, with no new request of the caller's between, the same call shares one execution
and one answer. Bad arguments go back to the model at once.
"""

from __future__ import annotations

__all__ = ["Answer", "Executor", "Toolbox", "ToolboxListener"]

import asyncio
import json
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from offhook.config.errors import ToolError
from offhook.config.tool import Tool

from .cancellation import cancelled_from_inside
from .clock import Clock, Timer
from .messages import ToolAnswered, ToolRequest, ToolSpec
from .tool_run import ToolOutcome, ToolRun

MAX_RUNNING = 16
"""Tools that may run at once in one call."""
LEDGER_LIMIT = 200
"""Executions remembered in one call."""
ARGUMENTS_LIMIT = 16_384
ANSWER_LIMIT = 4096
"""Characters of an answer that the model is told."""


class Executor(Protocol):
    """Runs one kind of tool."""

    async def __call__(self, arguments: Mapping[str, Any], run: ToolRun) -> Any:
        """Return a JSON value or a ToolOutcome. Raises ToolError, whose reason the model may read."""


class ToolboxListener(Protocol):
    """Who wants to know what tools do."""

    def tool_started(self, request: ToolRequest, tool: Tool) -> None:
        """An execution began."""

    def tool_slow(self, tool: Tool) -> None:
        """It still runs after its dwell; time for a filler."""

    def tool_answered(self, answer: Answer) -> None:
        """An answer is there, after the model was told "pending"."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool gave back, for every request that shares the execution."""

    requests: tuple[ToolRequest, ...]
    tool: Tool
    text: str
    """JSON text, or the reason of the failure."""
    ok: bool
    took_s: float

    def messages(self) -> list[ToolAnswered]:
        """One message for each request."""
        return [
            ToolAnswered(request.id, request.name, self.text, failed=not self.ok) for request in self.requests
        ]


@dataclass(slots=True)
class _Execution:
    tool: Tool
    turn: int
    started_at: float
    requests: list[ToolRequest] = field(default_factory=list)
    answer: Answer | None = None
    finished_at: float = 0.0
    filler: Timer | None = None


class Toolbox:
    """The tools of one call and the ledger of what was asked of them."""

    def __init__(
        self,
        tools: Mapping[str, tuple[Tool, Executor]],
        *,
        clock: Clock,
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
        listener: ToolboxListener,
        call_id: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._tools = tools
        self._validators = {
            name: validator_for(tool.parameters)(tool.parameters) for name, (tool, _) in tools.items()
        }
        self._clock = clock
        self._spawn = spawn
        self._listener = listener
        self._call_id = call_id
        self._variables = {} if variables is None else variables
        self._ledger: dict[tuple[str, str], _Execution] = {}

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model sees them."""
        return tuple(
            ToolSpec(tool.name, tool.description, tool.parameters) for tool, _ in self._tools.values()
        )

    @property
    def running(self) -> int:
        """Executions under way."""
        return sum(execution.answer is None for execution in self._ledger.values())

    def request(self, request: ToolRequest, turn: int) -> ToolAnswered:
        """Take a request of the model's; never waits. The answer is pending, failed, or known already."""
        entry = self._tools.get(request.name)
        if entry is None:
            known = ", ".join(sorted(self._tools)) or "none"
            return _refused(request, f"there is no tool {request.name!r}; there are: {known}")
        tool, execute = entry
        try:
            arguments = _checked(request.arguments, self._validators[tool.name])
        except ToolError as error:
            return _refused(request, str(error))
        key = (tool.name, json.dumps(arguments, sort_keys=True, separators=(",", ":")))
        execution = self._shared(key, turn)
        if execution is None:
            if self.running >= MAX_RUNNING:
                return _refused(request, "too many tools are running; wait for their answers")
            execution = self._start(key, tool, execute, arguments, turn, request)
        execution.requests.append(request)
        if execution.answer is None:
            return ToolAnswered(request.id, tool.name, '{"status": "pending"}', pending=True)
        return ToolAnswered(request.id, tool.name, execution.answer.text, failed=not execution.answer.ok)

    def close(self) -> None:
        """Stop every filler timer; the tasks belong to the call and are cancelled with it."""
        for execution in self._ledger.values():
            if execution.filler is not None:
                execution.filler.cancel()

    def _shared(self, key: tuple[str, str], turn: int) -> _Execution | None:
        execution = self._ledger.get(key)
        if execution is None or execution.answer is None:
            return execution
        fresh = self._clock.now() - execution.finished_at <= execution.tool.dedupe_s
        return execution if fresh and execution.turn == turn and execution.answer.ok else None

    def _start(
        self,
        key: tuple[str, str],
        tool: Tool,
        execute: Executor,
        arguments: Mapping[str, Any],
        turn: int,
        request: ToolRequest,
    ) -> _Execution:
        now = self._clock.now()
        execution = _Execution(tool, turn, now)
        self._ledger.pop(key, None)
        self._ledger[key] = execution
        self._forget_oldest()
        if tool.filler:
            execution.filler = self._clock.call_at(
                now + tool.filler_after_ms / 1000, lambda: self._listener.tool_slow(tool)
            )
        self._spawn(f"tool {tool.name}", self._run(execution, execute, arguments))
        self._listener.tool_started(request, tool)
        return execution

    async def _run(self, execution: _Execution, execute: Executor, arguments: Mapping[str, Any]) -> None:
        tool = execution.tool
        run = ToolRun(secrets.token_hex(16), self._call_id, dict(self._variables))
        try:
            async with asyncio.timeout(tool.deadline_s):
                text, ok = _told(await execute(arguments, run)), True
        except TimeoutError:
            text, ok = f"{tool.name} did not answer within {tool.deadline_s:g} s", False
        except ToolError as error:
            text, ok = str(error), False
        except asyncio.CancelledError:
            if not cancelled_from_inside():
                raise
            text, ok = f"{tool.name} failed: it was cancelled", False
        except Exception as error:
            text, ok = f"{tool.name} failed: {type(error).__name__}", False
        finally:
            if execution.filler is not None:
                execution.filler.cancel()
        execution.finished_at = self._clock.now()
        took_s = execution.finished_at - execution.started_at
        execution.answer = Answer(tuple(execution.requests), tool, text[:ANSWER_LIMIT], ok, took_s)
        self._listener.tool_answered(execution.answer)

    def _forget_oldest(self) -> None:
        finished = [key for key, execution in self._ledger.items() if execution.answer is not None]
        for key in finished[: max(0, len(self._ledger) - LEDGER_LIMIT)]:
            del self._ledger[key]


def _refused(request: ToolRequest, reason: str) -> ToolAnswered:
    return ToolAnswered(request.id, request.name, reason, failed=True)


def _checked(arguments: str, validator: Validator) -> dict[str, Any]:
    """Parse and check what the model wrote. Raises ToolError with what to correct."""
    if len(arguments) > ARGUMENTS_LIMIT:
        raise ToolError(f"the arguments are longer than {ARGUMENTS_LIMIT} characters")
    try:
        value = json.loads(arguments or "{}")
    except (ValueError, RecursionError) as error:
        raise ToolError(f"the arguments are not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ToolError(f"the arguments must be a JSON object, not {type(value).__name__}")
    fault = best_match(validator.iter_errors(value))
    if fault is not None:
        place = ".".join(str(part) for part in fault.absolute_path)
        raise ToolError(f"bad arguments{f' at {place}' if place else ''}: {fault.message}")
    return value


def _told(value: Any) -> str:
    """A tool's value as text for the model. Raises ToolError if it is no JSON."""
    if isinstance(value, ToolOutcome):
        return _told(value.value)
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ToolError(f"the tool gave back something that is not JSON: {error}") from error
