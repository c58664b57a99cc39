"""What a `server` tool posts, and how its server may answer.

The names are those of hosted platforms, so that a server that was written for one can stay as it is.
Source: the public documentation of Vapi (server events, `tool-calls`).
"""

from __future__ import annotations

__all__ = ["read_answer", "tool_calls_message"]

import json
import re
from collections.abc import Mapping
from typing import Any

from offhook.config.errors import ToolError

from ...tool_run import ToolOutcome, ToolRun
from .answer_fields import json_value
from .javascript_json import javascript_json

_VARIABLE = re.compile(r"[A-Za-z_][\w.-]{0,63}")
CONTEXT_LIMIT = 50
"""Variables that one answer may set."""
TEXT_LIMIT = 1000
"""Characters of a variable, of a reason and of a fallback."""


def tool_calls_message(
    name: str,
    arguments: Mapping[str, Any],
    run: ToolRun,
    assistant: str,
    sent_at_ms: int,
    *,
    older_form: bool = False,
    result_url: str = "",
) -> bytes:
    """Write the JSON that is posted for one execution of a tool; the older form is `function-call`.

    At `result_url` the server may give the result later.
    """
    call = {
        "id": run.key,
        "type": "function",
        "name": name,
        "arguments": arguments,
        "function": {"name": name, "arguments": arguments},
    }
    asked = (
        {"functionCall": {"name": name, "parameters": arguments}} if older_form else {"toolCallList": [call]}
    )
    message = {
        "type": "function-call" if older_form else "tool-calls",
        "timestamp": sent_at_ms,
        "idempotencyKey": run.key,
        "call": {
            "id": run.call_id,
            "type": "inboundPhoneCall",
            "customer": {"number": run.variables.get("from", "")},
            "phoneNumber": {"number": run.variables.get("to", "")},
        },
        "assistant": {"name": assistant},
        "variables": dict(run.variables),
        **({"resultUrl": result_url} if result_url else {}),
        **asked,
    }
    return javascript_json({"message": message})


def read_answer(body: bytes, call_id: str) -> ToolOutcome | None:
    """Read `{results: [...]}`, `{result, context?}` or `{error, fallback?}`; None where no result is in it.

    Raises ToolError for an error that the server tells.
    """
    try:
        answer = json_value(body)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    entry = _entry(answer.get("results"), call_id) if "results" in answer else answer
    if entry is None:
        return None
    both = {**answer, **entry}
    if entry.get("error") not in (None, "", False):
        raise ToolError(_text(entry["error"]), fallback=_text(both.get("fallback") or ""))
    if "result" not in entry:
        return None
    return ToolOutcome(entry["result"], _context(both.get("context")), _text(both.get("fallback") or ""))


def _entry(results: Any, call_id: str) -> dict[str, Any] | None:
    """The result of our call; a lone one without an id can be no other."""
    entries = [item for item in results if isinstance(item, dict)] if isinstance(results, list) else []
    ours = [item for item in entries if item.get("toolCallId") == call_id]
    if not ours and len(entries) == 1 and "toolCallId" not in entries[0]:
        ours = entries
    return ours[0] if ours else None


def _context(given: Any) -> dict[str, str]:
    """The variables that join the call's; what is no name or no plain value is left out."""
    if not isinstance(given, dict):
        return {}
    plain = {
        name: _text(value)
        for name, value in given.items()
        if _VARIABLE.fullmatch(name) and isinstance(value, str | int | float | bool)
    }
    return dict(list(plain.items())[:CONTEXT_LIMIT])


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:TEXT_LIMIT]
