"""A tool that is carried out by the operator's own server: one signed webhook for each execution.

The server's address is the operator's own and no argument has a part in it, so it may lie anywhere,
also on this machine; of the rules for addresses only the one about metadata services holds.
"""

from __future__ import annotations

__all__ = ["ServerTool"]

import hashlib
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from offhook.config.errors import ToolError, ToolUnreachable
from offhook.config.server import Server
from offhook.config.tool import Tool

from ...clock import Clock
from ...tool_run import ToolOutcome, ToolRun
from .late_results import ExpectedResult, LateResults
from .server_messages import read_answer, tool_calls_message
from .signing import server_headers
from .web_client import Exchange, WebRequest

log = structlog.get_logger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
LEAST_ATTEMPT_S = 0.3
"""With less time left an attempt is not worth the server's work."""
_BUSY = (429, 503)
_ACCEPTED = 202
"""The server works on it, and will give the result at the address it was told (RFC 9110, section 15.3.3)."""
MARGIN_S = 0.05
"""So long before the tool's own deadline a result is given up, with a reason that says more."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one request brought."""

    outcome: ToolOutcome | None = None
    why: str = ""
    """Why there is no outcome."""
    pause_s: float = 0.0
    """For so long the server wants to be left alone."""
    taken_on: bool = False
    """The server will post the result."""


class ServerTool:
    """Executes one `server` tool of an assistant."""

    def __init__(
        self,
        tool: Tool,
        server: Server,
        *,
        assistant: str,
        exchange: Exchange,
        clock: Clock,
        late: LateResults | None = None,
        wall_time: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`late` takes the results that the server posts; `wall_time` is Unix time in seconds.

        `jitter` gives 0 to 1, lest many calls ask in step.
        """
        self._tool, self._server, self._assistant = tool, server, assistant
        self._exchange, self._clock = exchange, clock
        self._late = late or LateResults()
        self._wall_time, self._jitter = wall_time, jitter

    async def __call__(self, arguments: Mapping[str, Any], run: ToolRun) -> ToolOutcome:
        """Post the call and return the server's answer.

        A server that is busy or was not reached is asked again, with the same body, id and key, as long as
        the deadline leaves time. Raises ToolError.
        """
        with self._late.expect(run) as late:
            try:
                return await self._ask(arguments, run, late)
            except ToolError:
                # A server that has given its result need not have answered as well.
                given = await late.within(0)
                if given is None:
                    raise
                return given

    async def _ask(self, arguments: Mapping[str, Any], run: ToolRun, late: ExpectedResult) -> ToolOutcome:
        give_up_at = self._clock.now() + self._tool.deadline_s
        sent_at_ms = round(self._wall_time() * 1000)
        body = tool_calls_message(
            self._tool.name,
            arguments,
            run,
            self._assistant,
            sent_at_ms,
            older_form=self._tool.posts == "function-call",
            result_url=late.url,
        )
        pause_s = FIRST_PAUSE_S
        while True:
            attempt = await self._attempt(body, run, give_up_at - self._clock.now())
            if attempt.outcome is not None:
                return attempt.outcome
            if attempt.taken_on and late.url:
                return await self._given_later(late, give_up_at)
            left_s = give_up_at - self._clock.now()
            wait_s = max(attempt.pause_s, min(pause_s * (0.5 + self._jitter() / 2), left_s / 2))
            if left_s < LEAST_ATTEMPT_S or wait_s >= left_s:
                raise ToolError(attempt.why)
            log.info("tool.asked-again", tool=self._tool.name, why=attempt.why, after_ms=round(wait_s * 1000))
            if (given := await late.within(wait_s)) is not None:
                return given
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _given_later(self, late: ExpectedResult, give_up_at: float) -> ToolOutcome:
        given = await late.within(give_up_at - self._clock.now() - MARGIN_S)
        if given is None:
            raise ToolError(f"the server took it on and gave no result within {self._tool.deadline_s:g} s")
        return given

    async def _attempt(self, body: bytes, run: ToolRun, within_s: float) -> _Attempt:
        """Ask once. Raises ToolError for what another attempt would not mend."""
        request = WebRequest("POST", self._server.url, self._headers(body, run), body, within_s)
        try:
            answer = await self._exchange(request, named=True)
        except ToolUnreachable as error:
            return _Attempt(why=error.reason)
        if answer.status in _BUSY:
            return _Attempt(why=f"the server is busy (status {answer.status})", pause_s=answer.retry_after_s)
        if not answer.ok:
            log.warning("tool.server-failed", tool=self._tool.name, status=answer.status)
            raise ToolError(f"the server answered with status {answer.status}")
        return _Attempt(
            read_answer(answer.body, run.key),
            "the server gave no result",
            answer.retry_after_s,
            taken_on=answer.status == _ACCEPTED,
        )

    def _headers(self, body: bytes, run: ToolRun) -> dict[str, str]:
        message_id = f"msg_{hashlib.sha256(run.key.encode()).hexdigest()[:32]}"
        headers = server_headers(self._server, message_id, int(self._wall_time()), body)
        return {**headers, "Idempotency-Key": run.key}
