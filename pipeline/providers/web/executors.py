"""The executors of an assistant's tools that ask other machines."""

from __future__ import annotations

__all__ = ["web_executors"]

import time
from collections.abc import Callable

from offhook.config.assistant import Assistant
from offhook.config.tool_calls_out import server_of

from ...clock import Clock
from ...tools import Executor
from .http_tool import HttpTool
from .late_results import LateResults
from .server_tool import ServerTool
from .web_client import WebClient


def web_executors(
    assistant: Assistant,
    client: WebClient,
    clock: Clock,
    wall_time: Callable[[], float] = time.time,
    late: LateResults | None = None,
) -> dict[str, Executor]:
    """Every `http` and `server` tool by name.

    `wall_time` is Unix time in seconds; `late` takes the results that servers give later.
    """
    found: dict[str, Executor] = {}
    for tool in assistant.tools:
        server = server_of(tool, assistant)
        if tool.kind == "http":
            found[tool.name] = HttpTool(tool, client.exchange)
        elif tool.kind == "server" and server is not None:
            found[tool.name] = ServerTool(
                tool,
                server,
                assistant=assistant.name,
                exchange=client.exchange,
                clock=clock,
                late=late,
                wall_time=wall_time,
            )
    return found
