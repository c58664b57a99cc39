"""The conversation as the language model is told it: only what was heard, in order."""

from __future__ import annotations

__all__ = ["History"]

from collections.abc import Iterable, Iterator

from .messages import AgentSaid, CallerSaid, Instructions, Message, ToolAnswered

LIMIT = 400
"""Messages kept; the oldest go first, the instructions never."""


class History:
    """The messages of one call. Replies are written when it is known what was heard of them."""

    def __init__(self, instructions: str, messages: Iterable[Message] = ()) -> None:
        """`messages` is what was said before."""
        self._instructions = Instructions(instructions)
        self._messages: list[Message] = list(messages)
        self.forgotten = 0

    @property
    def said(self) -> tuple[Message, ...]:
        """Everything that is settled, without the instructions."""
        return tuple(self._messages)

    def instruct(self, instructions: str) -> None:
        """Replace the instructions: what they are made of has changed."""
        self._instructions = Instructions(instructions)

    def messages(self, then: Iterable[Message] = ()) -> tuple[Message, ...]:
        """Everything so far, and `then` what is not yet settled."""
        return (self._instructions, *_alternating((*self._messages, *then)))

    def settle(
        self, prelude: Iterable[Message], said: AgentSaid | None, behind: Iterable[Message] = ()
    ) -> None:
        """Write one exchange: what led to the reply, what was heard of it, the rest."""
        self._messages += prelude
        if said is not None and (said.text or said.generated or said.tool_requests):
            self._messages.append(said)
        self._messages += behind
        surplus = len(self._messages) - LIMIT
        while 0 < surplus < len(self._messages) and not isinstance(self._messages[surplus], CallerSaid):
            surplus += 1
        if surplus > 0:
            self.forgotten += surplus
            del self._messages[:surplus]

    def waits_for(self, request_id: str) -> bool:
        """The model asked for a tool, and was told no more than "pending" so far."""
        answers = [
            message
            for message in self._messages
            if isinstance(message, ToolAnswered) and message.request_id == request_id
        ]
        return bool(answers) and answers[-1].pending


def _alternating(messages: Iterable[Message]) -> Iterator[Message]:
    """Two turns of the caller's in a row, of which the first got no answer, are one."""
    before: Message | None = None
    for message in messages:
        if isinstance(before, CallerSaid) and isinstance(message, CallerSaid):
            before = CallerSaid(f"{before.text} {message.text}")
            continue
        if before is not None:
            yield before
        before = message
    if before is not None:
        yield before
