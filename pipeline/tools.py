"""Tools: each call a detached task with its own deadline, and a ledger that knows them all.

A tool belongs to the call, not to the reply that asked for it: a barge-in cancels the reply and
leaves the tool running. The model is answered at once with "pending", and the answer follows as a
later message, so nobody waits in front of the audio.

The ledger is keyed by tool and canonical arguments and covers finished calls too: asked again
within `dedupe_s`, with no new request of the caller's between, the same call shares one execution
and one answer. Bad arguments go back to the model at once. A turn has a budget, so that a model which
asks and asks comes to an end.

Executions run side by side, but those of one resource one after another, in the order in which they
were asked for. The deadline counts from where an execution runs; what it waits for before is over at
its own deadline.
"""

from __future__ import annotations

__all__ = ["Answer", "Executor", "Toolbox", "ToolboxListener"]

import asyncio
import json
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from offhook.config.built_in_tools import BUILT_IN_TOOLS
from offhook.config.errors import ToolError
from offhook.config.templates import render
from offhook.config.tool import Tool
from offhook.config.tool_parameters import arguments_validator, most_values

from .cancellation import cancelled_from_inside
from .clock import Clock, Timer
from .messages import ToolAnswered, ToolRequest, ToolSpec
from .tool_run import ToolOutcome, ToolRun
from .tool_values import checked_arguments, told_value

MAX_RUNNING = 16
"""Tools that may run at once in one call."""
LEDGER_LIMIT = 200
"""Executions remembered in one call."""
ANSWER_LIMIT = 4096
"""Characters of an answer that the model is told."""


class Executor(Protocol):
    """Runs one kind of tool."""

    async def __call__(self, arguments: Mapping[str, Any], run: ToolRun) -> Any:
        """Return a JSON value or a ToolOutcome. Raises ToolError, whose reason the model may read."""


class ToolboxListener(Protocol):
    """Who wants to know what tools do."""

    def tool_started(self, request: ToolRequest, tool: Tool) -> None:
        """An execution was taken on."""

    def tool_slow(self, text: str, requests: Sequence[ToolRequest]) -> None:
        """What these asked for still runs, and this is to be said at this time."""

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
    asked_at: float
    took_s: float
    context: Mapping[str, str] = field(default_factory=dict)
    """Joins the call's variables."""
    fallback: str = ""
    """Said as it stands, in place of the model's words."""

    def messages(self) -> list[ToolAnswered]:
        """One message for each request."""
        return [
            ToolAnswered(request.id, request.name, self.text, failed=not self.ok) for request in self.requests
        ]


@dataclass(slots=True)
class _Execution:
    tool: Tool
    arguments: Mapping[str, Any]
    turn: int
    asked_at: float
    after: asyncio.Event | None
    """Set when the one before it on the same resource is over."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[ToolRequest] = field(default_factory=list)
    answer: Answer | None = None
    finished_at: float = 0.0
    messages: Sequence[Timer] = ()
    """What is to be said while it runs."""


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
        calls_per_turn: int = 8,
    ) -> None:
        self._tools = tools
        self._checks = {
            name: (arguments_validator(tool.parameters), most_values(tool.parameters))
            for name, (tool, _) in tools.items()
        }
        self._clock = clock
        self._spawn = spawn
        self._listener = listener
        self._call_id = call_id
        self._variables = {} if variables is None else variables
        self._calls_per_turn = calls_per_turn
        self._turn, self._spent = 0, 0
        self._ledger: dict[tuple[str, str], _Execution] = {}
        self._last_on: dict[str, asyncio.Event] = {}
        """By resource: the end of the execution that was asked for last."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model sees them."""
        return tuple(
            ToolSpec(tool.name, tool.description, tool.parameters) for tool, _ in self._tools.values()
        )

    @property
    def running(self) -> int:
        """Executions under way, or waiting for their resource."""
        return sum(execution.answer is None for execution in self._ledger.values())

    def tool(self, name: str) -> Tool | None:
        """The tool of this name, if there is one."""
        return self._tools[name][0] if name in self._tools else None

    def request(self, request: ToolRequest, turn: int) -> ToolAnswered:
        """Take a request of the model's; never waits. The answer is pending, failed, or known already."""
        try:
            execution = self._execution_for(request, turn)
        except ToolError as error:
            return ToolAnswered(request.id, request.name, error.reason, failed=True)
        execution.requests.append(request)
        if execution.answer is None:
            return ToolAnswered(request.id, request.name, '{"status": "pending"}', pending=True)
        return ToolAnswered(request.id, request.name, execution.answer.text, failed=not execution.answer.ok)

    def close(self) -> None:
        """Stop every timer; the tasks belong to the call and are cancelled with it."""
        for execution in self._ledger.values():
            for message in execution.messages:
                message.cancel()

    # ------------------------------------------------------------- the ledger

    def _execution_for(self, request: ToolRequest, turn: int) -> _Execution:
        """The execution that answers a request, shared or new. Raises ToolError with why there is none."""
        entry = self._tools.get(request.name)
        if entry is None:
            self._spend(turn)
            known = ", ".join(sorted(self._tools)) or "none"
            raise ToolError(f"there is no tool {request.name!r}; there are: {known}")
        tool, execute = entry
        try:
            arguments = checked_arguments(request.arguments, tool.arguments, *self._checks[tool.name])
        except ToolError:
            self._spend(turn)
            raise
        key = (tool.name, json.dumps(arguments, sort_keys=True, separators=(",", ":")))
        shared = self._shared(key, turn)
        if shared is not None:
            return shared
        self._spend(turn)
        if self.running >= MAX_RUNNING:
            raise ToolError("too many tools are running; wait for their answers")
        execution = self._start(key, tool, execute, arguments, turn)
        self._listener.tool_started(request, tool)
        return execution

    def _spend(self, turn: int) -> None:
        """Count a request of this turn's. Raises ToolError beyond the budget."""
        if turn != self._turn:
            self._turn, self._spent = turn, 0
        if self._spent >= self._calls_per_turn:
            raise ToolError(
                f"no more tools in this turn of the caller's: {self._calls_per_turn} were called already; "
                "answer with what is known"
            )
        self._spent += 1

    def _shared(self, key: tuple[str, str], turn: int) -> _Execution | None:
        execution = self._ledger.get(key)
        if execution is None or execution.answer is None:
            return execution
        fresh = self._clock.now() - execution.finished_at <= execution.tool.dedupe_s
        return execution if fresh and execution.turn == turn and execution.answer.ok else None

    def _forget_oldest(self) -> None:
        finished = [key for key, execution in self._ledger.items() if execution.answer is not None]
        for key in finished[: max(0, len(self._ledger) - LEDGER_LIMIT)]:
            del self._ledger[key]

    # ---------------------------------------------------------- an execution

    def _start(
        self, key: tuple[str, str], tool: Tool, execute: Executor, arguments: Mapping[str, Any], turn: int
    ) -> _Execution:
        now = self._clock.now()
        resource = self._resource(tool, arguments)
        execution = _Execution(tool, arguments, turn, now, self._last_on.get(resource))
        self._ledger.pop(key, None)
        self._ledger[key] = execution
        self._forget_oldest()
        if resource:
            self._last_on[resource] = execution.over
        execution.messages = [
            self._clock.call_at(
                now + stage.after_ms / 1000,
                partial(self._listener.tool_slow, stage.text, execution.requests),
            )
            for stage in tool.stages
        ]
        self._spawn(f"tool {tool.name}", self._run(execution, execute, resource))
        return execution

    def _resource(self, tool: Tool, arguments: Mapping[str, Any]) -> str:
        """What the tool works on, or empty; there is one keypad, and one line for tones."""
        if not tool.resource:
            return f"the line's {tool.kind}" if tool.kind in BUILT_IN_TOOLS else ""
        values = {name: str(value) for name, value in arguments.items()}
        return render(tool.resource, values, self._variables).text

    async def _run(self, execution: _Execution, execute: Executor, resource: str) -> None:
        try:
            if execution.after is not None:
                await execution.after.wait()
            outcome, ok = await self._outcome(execution, execute)
        finally:
            execution.over.set()
            if self._last_on.get(resource) is execution.over:
                del self._last_on[resource]
            for message in execution.messages:
                message.cancel()
        execution.finished_at = self._clock.now()
        execution.answer = Answer(
            requests=tuple(execution.requests),
            tool=execution.tool,
            text=outcome.value[:ANSWER_LIMIT],
            ok=ok,
            asked_at=execution.asked_at,
            took_s=execution.finished_at - execution.asked_at,
            context=outcome.context,
            fallback=outcome.fallback,
        )
        self._listener.tool_answered(execution.answer)

    async def _outcome(self, execution: _Execution, execute: Executor) -> tuple[ToolOutcome, bool]:
        """Run it; the value of what comes back is text, of a failure its reason."""
        tool = execution.tool
        run = ToolRun(secrets.token_hex(16), self._call_id, dict(self._variables))
        try:
            async with asyncio.timeout(tool.deadline_s):
                given = await execute(execution.arguments, run)
            outcome = given if isinstance(given, ToolOutcome) else ToolOutcome(given)
            return ToolOutcome(told_value(outcome.value), outcome.context, outcome.fallback), True
        except TimeoutError:
            return ToolOutcome(f"{tool.name} did not answer within {tool.deadline_s:g} s"), False
        except ToolError as error:
            return ToolOutcome(error.reason, fallback=error.fallback), False
        except asyncio.CancelledError:
            if not cancelled_from_inside():
                raise
            return ToolOutcome(f"{tool.name} failed: it was cancelled"), False
        except Exception as error:
            return ToolOutcome(f"{tool.name} failed: {type(error).__name__}"), False
