"""Makes the conversations of new calls from assistants and engines."""

from __future__ import annotations

__all__ = ["Announce", "ConversationFactory"]

from collections.abc import Callable, Mapping

import structlog

from offhook.config.assistant import Assistant
from offhook.config.errors import ConfigError, Refused
from offhook.pipeline.call import Call, Engines
from offhook.pipeline.clock import Clock
from offhook.pipeline.conversation import Conversation
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.ports import CallControl, Line
from offhook.pipeline.shared_conversion import Conversions
from offhook.pipeline.text_session import TextSession

from .call_log import CallLog
from .live_call import LiveCall
from .posted_assistants import PostedAssistants
from .recording.recorded_call import RecordedCall
from .recording.recorder import Recorder, unmet_recording

log = structlog.get_logger(__name__)

Announce = Callable[[Assistant, str, Mapping[str, str], CallLog], None]
"""Takes a call's assistant, CallSid, variables and log."""


class ConversationFactory:
    """Implements CallFactory: which assistant, which engines, one media path for all calls.

    An edit whose engines are not there, or not yet, refuses no call: what was served before it is served on.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        assistants: Callable[[str | None], Assistant],
        engines: Callable[[Assistant], Engines],
        is_ready: Callable[[], bool],
        posted: PostedAssistants | None = None,
        announce: Announce | None = None,
        recorder: Recorder | None = None,
        expect: Callable[[Assistant, Mapping[str, str]], None] | None = None,
    ) -> None:
        """An assistant that was posted counts before a file's; `announce` is told of calls in advance,
        and `expect` that one is about to come, with its variables.

        Without a `recorder` an assistant whose calls are to be recorded cannot be used.
        """
        self._clock = clock
        self._assistants = assistants
        self._engines = engines
        self._is_ready = is_ready
        self._posted = posted or PostedAssistants(clock)
        self._announce, self._recorder, self._expect = announce, recorder, expect
        self._wheel, self._conversions = PacingWheel(clock), Conversions()
        self._served: dict[str | None, Assistant] = {}

    @property
    def ready(self) -> bool:
        """A call could be held now."""
        return self._is_ready()

    @property
    def served(self) -> tuple[Assistant, ...]:
        """The assistants of the latest calls, one for each name."""
        return tuple(self._served.values())

    def create(
        self,
        *,
        call_sid: str,
        assistant: str | None,
        variables: Mapping[str, str],
        line: Line,
        log: CallLog,
        control: CallControl,
        resumes: Conversation | None = None,
    ) -> LiveCall:
        """Make the conversation of one call; it may resume what is known of it, also in writing.

        Raises Refused for an assistant that is not there or whose engines are not warm yet, and
        ConfigError for one whose file cannot be used.
        """
        chosen, engines = self._prepared(assistant)
        if self._announce is not None:
            self._announce(chosen, call_sid, variables, log)

        def make(on: Line, preamble: str = "") -> Call:
            return Call(
                assistant=chosen,
                variables=variables,
                engines=engines,
                line=on,
                control=control,
                events=log,
                clock=self._clock,
                wheel=self._wheel,
                conversions=self._conversions,
                call_id=call_sid,
                resumes=resumes,
                preamble=preamble,
            )

        if self._recorder is None or not chosen.recording.enabled:
            return make(line)
        before = None if resumes is None else resumes.recording
        recording = self._recorder.record(chosen, call_sid, variables, log, before)
        log.also_tell(recording.observe)
        return RecordedCall(make, line, recording, chosen.recording.consent_line, before)

    def create_text_session(
        self, *, session_id: str, assistant: str | None, variables: Mapping[str, str], log: CallLog
    ) -> TextSession:
        """Make a conversation in writing; raises as `create` does."""
        chosen, engines = self._prepared(assistant)
        return TextSession(
            assistant=chosen,
            variables=variables,
            engines=engines,
            events=log,
            clock=self._clock,
            session_id=session_id,
        )

    def expect(self, *, assistant: str | None, variables: Mapping[str, str]) -> None:
        """A call is about to come: begin what its first seconds need. Never waits, and never raises."""
        chosen = self._known(assistant)
        if chosen is not None and self._expect is not None:
            self._expect(chosen, variables)

    def fallback_number(self, assistant: str | None) -> str:
        """Who takes a call of this assistant's that cannot be held (E.164); empty: nobody."""
        chosen = self._known(assistant)
        return "" if chosen is None else chosen.fallback_number or ""

    def _known(self, name: str | None) -> Assistant | None:
        try:
            return self._posted.find(name) or self._newest(name)
        except (ConfigError, Refused):
            return self._served.get(name)

    def _prepared(self, name: str | None) -> tuple[Assistant, Engines]:
        posted = self._posted.find(name)
        if posted is not None:
            return posted, self._engines_of(posted)
        newest, last = self._newest(name), self._served.get(name)
        try:
            prepared = newest, self._engines_of(newest)
        except (ConfigError, Refused) as error:
            if last is None or last is newest:
                raise
            log.warning("assistant.edit-waits", assistant=newest.name, reason=str(error))
            prepared = last, self._engines_of(last)
        self._served[name] = prepared[0]
        return prepared

    def _engines_of(self, assistant: Assistant) -> Engines:
        if self._recorder is None and (unmet := list(unmet_recording(assistant, None))):
            raise ConfigError(unmet)
        return self._engines(assistant)

    def _newest(self, name: str | None) -> Assistant:
        try:
            return self._assistants(name)
        except ConfigError as error:
            if all(problem.source == "assistant" for problem in error.problems):
                raise Refused("unknown_assistant", 404) from error
            raise
