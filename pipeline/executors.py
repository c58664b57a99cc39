"""How each kind of tool is run."""

from __future__ import annotations

__all__ = ["executors_for"]

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from offhook.config.callables import given_parameters, import_callable
from offhook.config.tool import Tool

from .keypad import KeyWish
from .phone_keys import PhoneKeys
from .ports import Workers
from .tool_run import ToolRun
from .tools import Executor


def executors_for(
    tools: Iterable[Tool], workers: Workers, web: Mapping[str, Executor], keys: PhoneKeys
) -> dict[str, tuple[Tool, Executor]]:
    """Every tool that runs beside the conversation, by name. Raises ValueError for an unknown function.

    `web` holds the executors of tools that ask other machines, by name.
    """
    found = {tool.name: (tool, _executor(tool, workers, web, keys)) for tool in tools}
    return {name: (tool, executor) for name, (tool, executor) in found.items() if executor is not None}


def _executor(tool: Tool, workers: Workers, web: Mapping[str, Executor], keys: PhoneKeys) -> Executor | None:
    """The executor of a tool; None for one that is carried out by the conversation itself."""
    match tool.kind:
        case "python" if tool.callable is not None:
            return _python(import_callable(tool.callable), tool.cpu_bound, workers)
        case "http" | "server":
            return web[tool.name]
        case "send_dtmf":
            return _sender(keys)
        case "collect_digits":
            return _collector(keys)
    return None


def _python(function: Callable[..., Any], cpu_bound: bool, workers: Workers) -> Executor:
    """A Python function: on the loop if it is `async`, else in a thread, or in a process if it computes."""

    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    is_async = inspect.iscoroutinefunction(called)
    wanted = given_parameters(function)

    async def run(arguments: Mapping[str, Any], run: ToolRun) -> Any:
        given = {"call": run, "idempotency_key": run.key}
        everything = {**arguments, **{name: given[name] for name in wanted}}
        if is_async:
            return await function(**everything)
        # Bound first: a parameter of the tool's may bear a name of the workers' own.
        work = partial(function, **everything)
        return await (workers.in_process(work) if cpu_bound else workers.in_thread(work))

    return run


def _sender(keys: PhoneKeys) -> Executor:
    async def send(arguments: Mapping[str, Any], run: ToolRun) -> Any:  # noqa: ARG001 - nothing to make unique
        await keys.send(arguments["digits"])
        return {"sent": arguments["digits"]}

    return send


def _collector(keys: PhoneKeys) -> Executor:
    async def collect(arguments: Mapping[str, Any], run: ToolRun) -> Any:  # noqa: ARG001 - nothing to make unique
        collected = await keys.collect(KeyWish(**arguments))
        return {"digits": collected.digits, "ended_by": collected.ended_by}

    return collect
