"""The tools that end a call, by hanging up or by handing it to somebody else.

They have nothing to run: the conversation itself carries them out when the reply that asked was heard.
"""

from __future__ import annotations

__all__ = ["ClosingTools"]

import json
from collections.abc import Iterable

from offhook.config.tool import Tool

from .evidence import CloseWanted
from .messages import ToolAnswered, ToolRequest, ToolSpec

_KINDS = ("end_call", "transfer_call")


class ClosingTools:
    """The closing tools of one assistant."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools if tool.kind in _KINDS}

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model sees them."""
        return tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in self._tools.values())

    def answer(self, request: ToolRequest) -> ToolAnswered:
        """What the model is told at once: it will be done, or why it cannot be."""
        tool = self._tools[request.name]
        if tool.kind == "end_call":
            return ToolAnswered(request.id, request.name, '{"status": "ending"}', pending=True)
        if self._chosen(request) is None:
            text = json.dumps({"error": f"`destination` must be one of: {', '.join(tool.destinations)}"})
            return ToolAnswered(request.id, request.name, text, failed=True)
        return ToolAnswered(request.id, request.name, '{"status": "transferring"}', pending=True)

    def wanted(self, requests: Iterable[ToolRequest], *, spoke: bool) -> CloseWanted | None:
        """How the call is to end after a reply with these requests; the first that can be done counts.

        A reply that was spoken needs no further last words.
        """
        for request in requests:
            tool = self._tools.get(request.name)
            if tool is None:
                continue
            if tool.kind == "end_call":
                return CloseWanted("the assistant ended the call", goodbye=not spoke)
            chosen = self._chosen(request)
            if chosen is not None:
                destination = tool.destinations[chosen]
                return CloseWanted(
                    "the assistant transferred the call",
                    goodbye=not spoke,
                    last_words=destination.message,
                    transfer_to=destination.number,
                )
        return None

    def _chosen(self, request: ToolRequest) -> str | None:
        """The name of the destination that is asked for; with only one, nothing need be asked."""
        tool = self._tools[request.name]
        try:
            arguments = json.loads(request.arguments or "{}")
        except ValueError:
            arguments = None
        wanted = arguments.get("destination") if isinstance(arguments, dict) else None
        if wanted is None:
            wanted = tool.arguments.get("destination")
        if wanted is None and len(tool.destinations) == 1:
            return next(iter(tool.destinations))
        return wanted if isinstance(wanted, str) and wanted in tool.destinations else None
