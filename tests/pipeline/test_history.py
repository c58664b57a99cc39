"""The conversation as the model is told it."""

from __future__ import annotations

from offhook.pipeline.history import LIMIT, History
from offhook.pipeline.messages import AgentSaid, CallerSaid, Instructions, ToolAnswered, ToolRequest


def test_what_is_forgotten_begins_with_a_turn_of_the_callers() -> None:
    history = History("Be kind.")
    for number in range(LIMIT):
        request = ToolRequest(str(number), "look", "{}")
        history.settle(
            (CallerSaid("question"),),
            AgentSaid("answer", "answer", tool_requests=(request,)),
            (ToolAnswered(str(number), "look", "{}"),),
        )
        first, second, *rest = history.messages()
        assert first == Instructions("Be kind.")
        assert isinstance(second, CallerSaid), "no answer without its request"
        assert len(rest) < LIMIT
    assert history.forgotten > 0


def test_a_reply_without_words_or_tools_leaves_no_trace() -> None:
    history = History("")
    history.settle((), AgentSaid(""))
    assert history.messages() == (Instructions(""),)
