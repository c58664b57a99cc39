"""The conversation as the language model is told it: only what was heard, in order."""

from __future__ import annotations

__all__ = ["History"]

from collections.abc import Iterable

from .messages import AgentSaid, CallerSaid, Instructions, Message, ToolAnswered

LIMIT = 400
"""Messages kept; the oldest go first, the instructions never."""


class History:
    """The messages of one call. Replies are written when it is known what was heard of them."""

    def __init__(self, instructions: str) -> None:
        self._instructions = Instructions(instructions)
        self._messages: list[Message] = []
        self.forgotten = 0

    def messages(self, then: Iterable[Message] = ()) -> tuple[Message, ...]:
        """Everything so far, and `then` what is not yet settled."""
        return (self._instructions, *self._messages, *then)

    def settle(
        self, prelude: Iterable[Message], said: AgentSaid | None, answers: Iterable[ToolAnswered] = ()
    ) -> None:
        """Write one exchange: what led to the reply, what was heard of it, what its tools answered."""
        self._messages += prelude
        if said is not None and (said.text or said.generated or said.tool_requests):
            self._messages.append(said)
        self._messages += answers
        surplus = len(self._messages) - LIMIT
        while 0 < surplus < len(self._messages) and not isinstance(self._messages[surplus], CallerSaid):
            surplus += 1
        if surplus > 0:
            self.forgotten += surplus
            del self._messages[:surplus]

    def asked_for(self, request_id: str) -> bool:
        """The model's request for a tool stands in the history."""
        return any(
            request.id == request_id
            for message in self._messages
            if isinstance(message, AgentSaid)
            for request in message.tool_requests
        )
