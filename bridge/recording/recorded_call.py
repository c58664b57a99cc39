"""A conversation of which both sides are recorded: it stands between the media stream and the call.

A call that is not recorded knows nothing of this, and pays nothing for it.
"""

from __future__ import annotations

__all__ = ["RecordedCall", "RecordedLine"]

from collections.abc import Callable
from dataclasses import replace

from offhook.config.templates import fill
from offhook.pipeline.call import Call
from offhook.pipeline.conversation import Conversation, RecordingSoFar
from offhook.pipeline.correspondence import WrittenTurn
from offhook.pipeline.messages import AgentSaid
from offhook.pipeline.ports import Line

from .call_recording import CallRecording

MakeCall = Callable[[Line, str], Call]
"""Makes a call on this line that says this before all else, if anything."""


class RecordedLine:
    """Implements Line: what is written to the carrier is heard by the recording, too."""

    def __init__(self, line: Line, recording: CallRecording) -> None:
        self._line, self._recording = line, recording

    def send_audio(self, audio: bytes) -> None:
        """Send carrier bytes."""
        self._line.send_audio(audio)
        self._recording.agent(audio)

    def send_mark(self, name: str) -> None:
        """Ask for an echo."""
        self._line.send_mark(name)
        self._recording.mark_sent(name)

    def send_clear(self) -> None:
        """Empty the carrier's buffer."""
        self._line.send_clear()
        self._recording.clear()

    @property
    def congested(self) -> bool:
        """Audio must wait."""
        return self._line.congested

    def close(self) -> None:
        """End the stream."""
        self._line.close()
        self._recording.clear()


class RecordedCall:
    """Implements LiveCall: hands everything on, and the caller's audio to the recording as well."""

    def __init__(
        self,
        make: MakeCall,
        line: Line,
        recording: CallRecording,
        consent_line: str,
        before: RecordingSoFar | None = None,
    ) -> None:
        """Have a call made that is recorded, and says so first if it has words for that.

        `before` is what is known of a call that goes on: who has heard those words does not hear them again.
        """
        before = before or RecordingSoFar()
        self._consent_line, self._consent_heard = consent_line, before.consent_heard or before.stopped
        self._recording = recording
        self._call = make(RecordedLine(line, recording), "" if self._consent_heard else consent_line)

    def audio(self, payload: bytes, timestamp_ms: int) -> None:
        """Take carrier bytes of the caller's."""
        self._call.audio(payload, timestamp_ms)
        self._recording.caller(payload, timestamp_ms)

    def mark(self, name: str) -> None:
        """The audio sent before this mark was played, or was cleared."""
        self._recording.mark_came(name)
        self._call.mark(name)

    def dtmf(self, digit: str) -> None:
        """The caller pressed a key."""
        self._call.dtmf(digit)

    def line_closed(self, reason: str) -> None:
        """The stream is gone, and with it what the caller had not heard yet."""
        self._recording.clear()
        self._call.line_closed(reason)

    def hang_up(self, reason: str) -> None:
        """Somebody else wants the call to end."""
        self._call.hang_up(reason)

    def say(self, text: str) -> None:
        """Say this at the next free moment."""
        self._call.say(text)

    def take_text(self, text: str) -> None:
        """The caller wrote this beside the call."""
        self._call.take_text(text)

    def write(self, turn: WrittenTurn) -> None:
        """The caller wrote this, and wants the answer in writing."""
        self._call.write(turn)

    def transfer(self, number: str, *, last_words: str = "") -> None:
        """Say the last words, if any, and hand the call over."""
        self._call.transfer(number, last_words=last_words)

    def conversation(self) -> Conversation:
        """Give what another process would need to go on with the call."""
        conversation = self._call.conversation()
        # Kept once it is known: a long conversation forgets how it began.
        self._consent_heard = self._consent_heard or _was_told(conversation, self._consent_line)
        return replace(conversation, recording=self._recording.so_far(consent_heard=self._consent_heard))

    async def run(self) -> None:
        """Hold the conversation; the recording ends with it."""
        self._recording.start()
        try:
            await self._call.run()
        finally:
            self._recording.end()


def _was_told(conversation: Conversation, text: str) -> bool:
    """Whether the caller heard all of this text."""
    words = fill(text, conversation.variables).text.split()
    heard = [message.text.split() for message in conversation.messages if isinstance(message, AgentSaid)]
    return bool(words) and words in heard
