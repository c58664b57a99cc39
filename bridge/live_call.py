"""The contract between a call's media stream and its conversation."""

from __future__ import annotations

__all__ = ["CallFactory", "LiveCall"]

from collections.abc import Mapping
from typing import Protocol

from offhook.pipeline.conversation import Conversation
from offhook.pipeline.correspondence import WrittenTurn
from offhook.pipeline.ports import CallControl, Line
from offhook.pipeline.text_session import TextSession

from .call_log import CallLog


class LiveCall(Protocol):
    """A conversation, as its media stream sees it. Everything but `run` returns at once."""

    def audio(self, payload: bytes, timestamp_ms: int) -> None:
        """Take carrier bytes of the caller's, of any length, and when they were spoken."""

    def mark(self, name: str) -> None:
        """The audio sent before this mark was played, or was cleared."""

    def dtmf(self, digit: str) -> None:
        """The caller pressed a key."""

    def line_closed(self, reason: str) -> None:
        """The stream is gone; `run` is to return soon."""

    def hang_up(self, reason: str) -> None:
        """Somebody else wants the call to end; `run` is to return soon."""

    def say(self, text: str) -> None:
        """Say this at the next free moment."""

    def take_text(self, text: str) -> None:
        """The caller wrote this beside the call; it is to be answered like what they say."""

    def write(self, turn: WrittenTurn) -> None:
        """The caller wrote this beside the call, and wants the answer in writing."""

    def transfer(self, number: str, *, last_words: str = "") -> None:
        """Say the last words, if any, and hand the call to `number` (E.164)."""

    def conversation(self) -> Conversation:
        """Give what another process would need to go on with the call."""

    async def run(self) -> None:
        """Hold the conversation; return when nothing of it is left."""


class CallFactory(Protocol):
    """Makes the conversations of new calls."""

    @property
    def ready(self) -> bool:
        """A call could be held now."""

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
        """Make the conversation of one call; None means the default assistant.

        It `resumes` what a process that is gone held of it, or what was written before.

        Raises Refused when there is no such assistant, ConfigError when it cannot be used.
        """

    def expect(self, *, assistant: str | None, variables: Mapping[str, str]) -> None:
        """A call is about to come: begin what its first seconds need. Never waits, and never raises."""

    def fallback_number(self, assistant: str | None) -> str:
        """Who takes a call of this assistant's that cannot be held (E.164); empty: nobody."""

    def create_text_session(
        self, *, session_id: str, assistant: str | None, variables: Mapping[str, str], log: CallLog
    ) -> TextSession:
        """Make a conversation in writing; raises as `create` does."""
