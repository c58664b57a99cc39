"""A tool that is one HTTP request, written down in the assistant file."""

from __future__ import annotations

__all__ = ["HttpTool"]

import json
from collections.abc import Mapping
from typing import Any

import structlog

from offhook.config.errors import ToolError
from offhook.config.host_pattern import HostPattern
from offhook.config.templates import placeholders, render
from offhook.config.tool import Tool
from offhook.config.url_template import UrlTemplate, value_text

from ...tool_run import ToolRun
from .answer_fields import chosen, json_value
from .web_client import Exchange, WebAnswer, WebRequest

log = structlog.get_logger(__name__)

_IN_QUERY = ("GET", "DELETE")
_LEFT_OUT = object()


class HttpTool:
    """Executes one `http` tool of an assistant."""

    def __init__(self, tool: Tool, exchange: Exchange) -> None:
        """The tool was validated: it has a `url`, and its holes are known."""
        self._tool, self._exchange = tool, exchange
        self._url = UrlTemplate.parse(tool.url or "")
        self._known = frozenset(tool.parameters.get("properties", {}))
        patterns = [HostPattern.parse(entry) for entry in tool.allow]
        self._named = any(
            pattern.is_exact and pattern.matches(self._url.host, self._url.port) for pattern in patterns
        )
        """A whole domain may be allowed without a thought; a private network takes the host's own name."""

    async def __call__(self, arguments: Mapping[str, Any], run: ToolRun) -> Any:
        """Ask, and return what the model is told of the answer. Raises ToolError."""
        answer = await self._exchange(self._request(arguments, run), named=self._named)
        if not answer.ok:
            log.warning("tool.http-failed", tool=self._tool.name, host=self._url.host, status=answer.status)
            raise ToolError(_why(answer.status))
        return self._told(answer)

    def _request(self, arguments: Mapping[str, Any], run: ToolRun) -> WebRequest:
        # What the schema does not describe was made up by the model.
        described = {name: value for name, value in arguments.items() if name in self._known}
        rest = {name: value for name, value in described.items() if name not in self._url.parameters}
        method = self._tool.method
        headers = {name: value.get_secret_value() for name, value in self._tool.headers.items()}
        given = {name.lower() for name in headers}
        headers |= {} if "accept" in given else {"Accept": "application/json"}
        if method in _IN_QUERY:
            url, body = self._url.fill(described, run.variables, rest), None
        else:
            url = self._url.fill(described, run.variables)
            content = rest if self._tool.body is None else _filled(self._tool.body, described, run.variables)
            body = json.dumps(content, separators=(",", ":")).encode()
            headers |= {} if "content-type" in given else {"Content-Type": "application/json"}
        if method != "GET" and "idempotency-key" not in given:
            headers["Idempotency-Key"] = run.key
        return WebRequest(method, url, headers, body, self._tool.deadline_s)

    def _told(self, answer: WebAnswer) -> Any:
        if not answer.body.strip():
            return {"status": answer.status}
        try:
            value = json_value(answer.body)
        except ValueError:
            if self._tool.result:
                raise ToolError("the answer is not JSON") from None
            return answer.body.decode("utf-8", "replace")
        return chosen(value, self._tool.result) if self._tool.result else value


def _why(status: int) -> str:
    if 300 <= status < 400:
        return f"the server answered with a redirect (status {status}), which is not followed"
    return f"the server answered with status {status}"


def _filled(template: Any, arguments: Mapping[str, Any], variables: Mapping[str, str]) -> Any:
    """Put arguments and variables into a JSON template.

    A text that is one hole and nothing else becomes the argument itself, number or list as it is; where
    that is unknown the key is left out.
    """
    if isinstance(template, dict):
        filled = {key: _filled(item, arguments, variables) for key, item in template.items()}
        return {key: item for key, item in filled.items() if item is not _LEFT_OUT}
    if isinstance(template, list):
        items = [_filled(item, arguments, variables) for item in template]
        return [item for item in items if item is not _LEFT_OUT]
    if not isinstance(template, str):
        return template
    names = placeholders(template)
    if len(names) == 1 and template == f"{{{names[0]}}}":
        return arguments.get(names[0], _LEFT_OUT)
    texts = {name: text for name in names if (text := value_text(arguments.get(name))) is not None}
    return render(template, texts, variables).text
