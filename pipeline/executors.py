"""How each kind of tool is run."""

from __future__ import annotations

__all__ = ["executors_for"]

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from offhook.config.callables import import_callable
from offhook.config.tool import Tool

from .ports import Workers
from .tools import Executor


def executors_for(tools: Iterable[Tool], workers: Workers) -> dict[str, tuple[Tool, Executor]]:
    """Every tool that runs beside the conversation, by name. Raises ValueError for an unknown one."""
    return {
        tool.name: (tool, _python(import_callable(tool.callable), tool.cpu_bound, workers))
        for tool in tools
        if tool.kind == "python" and tool.callable is not None
    }


def _python(function: Callable[..., Any], cpu_bound: bool, workers: Workers) -> Executor:
    """A Python function: on the loop if it is `async`, else in a thread, or in a process if it computes."""

    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    is_async = inspect.iscoroutinefunction(called)

    async def run(arguments: Mapping[str, Any]) -> Any:
        if is_async:
            return await function(**arguments)
        # Bound first: a parameter of the tool's may bear a name of the workers' own.
        work = partial(function, **arguments)
        return await (workers.in_process(work) if cpu_bound else workers.in_thread(work))

    return run
