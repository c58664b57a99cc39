"""Makes the conversations of new calls from assistants and engines."""

from __future__ import annotations

__all__ = ["ConversationFactory"]

from collections.abc import Callable, Mapping

from offhook.config.assistant import Assistant
from offhook.config.errors import ConfigError, Refused
from offhook.pipeline.call import Call, Engines
from offhook.pipeline.clock import Clock
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.ports import CallControl, Line

from .call_log import CallLog
from .live_call import LiveCall


class ConversationFactory:
    """Implements CallFactory: which assistant, which engines, one wheel for all calls."""

    def __init__(
        self,
        *,
        clock: Clock,
        assistants: Callable[[str | None], Assistant],
        engines: Callable[[Assistant], Engines],
        is_ready: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._assistants = assistants
        self._engines = engines
        self._is_ready = is_ready
        self._wheel = PacingWheel(clock)

    @property
    def ready(self) -> bool:
        """A call could be held now."""
        return self._is_ready()

    def create(
        self,
        *,
        call_sid: str,
        assistant: str | None,
        variables: Mapping[str, str],
        line: Line,
        log: CallLog,
        control: CallControl,
    ) -> LiveCall:
        """Make the conversation of one call.

        Raises Refused for an assistant that is not there or whose engines are not warm yet, and
        ConfigError for one whose file cannot be used.
        """
        try:
            chosen = self._assistants(assistant)
        except ConfigError as error:
            if all(problem.source == "assistant" for problem in error.problems):
                raise Refused("unknown_assistant", 404) from error
            raise
        return Call(
            assistant=chosen,
            variables=variables,
            engines=self._engines(chosen),
            line=line,
            control=control,
            events=log,
            clock=self._clock,
            wheel=self._wheel,
            call_id=call_sid,
        )
