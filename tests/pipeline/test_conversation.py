"""A conversation as a plain value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.conversation import OUTCOME_UNKNOWN, Conversation
from offhook.pipeline.messages import AgentSaid, CallerSaid, Instructions, ToolAnswered, ToolRequest

TEXTS = st.text(max_size=20)
REQUESTS = st.builds(ToolRequest, id=TEXTS, name=TEXTS, arguments=TEXTS)
ANSWERS = st.builds(ToolAnswered, TEXTS, TEXTS, TEXTS, pending=st.booleans(), failed=st.booleans())
MESSAGES = st.one_of(
    st.builds(CallerSaid, TEXTS),
    st.builds(AgentSaid, TEXTS, TEXTS, st.booleans(), st.lists(REQUESTS, max_size=2).map(tuple)),
    ANSWERS,
)


@given(
    st.builds(
        Conversation,
        st.lists(MESSAGES, max_size=6).map(tuple),
        st.lists(ANSWERS, max_size=3).map(tuple),
        TEXTS,
        st.dictionaries(TEXTS, TEXTS, max_size=3),
        TEXTS,
    )
)
def test_it_comes_back_from_json_as_it_was(conversation: Conversation) -> None:
    assert Conversation.from_plain(json.loads(json.dumps(conversation.to_plain()))) == conversation


def test_instructions_are_the_assistants_and_do_not_travel() -> None:
    kept = Conversation((Instructions("Be kind."), CallerSaid("Hi."))).to_plain()
    assert Conversation.from_plain(kept).messages == (CallerSaid("Hi."),)


@pytest.mark.parametrize(
    "broken", [{}, {"messages": [{"kind": "nobody"}]}, {"messages": [{"kind": "caller"}]}]
)
def test_anything_else_is_refused(broken: dict[str, object]) -> None:
    whole = {"untold": [], "unanswered": "", "variables": {}, "fallback_number": "", **broken}
    with pytest.raises(ValueError, match="no conversation"):
        Conversation.from_plain(whole)


def test_of_tools_each_open_request_has_one_answer_due() -> None:
    answered = ToolAnswered("1", "look", "a")
    conversation = Conversation(
        messages=(
            ToolAnswered("1", "look", "", pending=True),
            ToolAnswered("2", "look", "", pending=True),
            ToolAnswered("3", "look", "", pending=True),
            ToolAnswered("3", "look", "told"),
        ),
        untold=(answered,),
    )
    unknown = ToolAnswered("2", "look", OUTCOME_UNKNOWN, failed=True)
    assert list(conversation.answers_due()) == [answered, unknown]
