"""Every conversation is written as the Chat Completions protocol allows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from offhook.lab.vendors.openai_rules import wrong_with
from offhook.pipeline.history import History
from offhook.pipeline.messages import AgentSaid, CallerSaid, Message, ToolAnswered, ToolRequest
from offhook.pipeline.providers.openai_chat import chat_messages

LOOK = ToolRequest("call-1", "look", '{"what": "order"}')


def test_the_model_is_told_what_was_heard_and_that_it_was_cut() -> None:
    said = AgentSaid("The policy covers", "The policy covers everything.", interrupted=True)
    assert chat_messages([CallerSaid("what is covered"), said])[-1] == {
        "role": "assistant",
        "content": "The policy covers --",
    }


def test_a_reply_of_which_nothing_was_heard_is_not_there() -> None:
    unheard = AgentSaid("", "Good morning.", interrupted=True)
    messages: list[Message] = [CallerSaid("hello"), unheard, CallerSaid("again")]
    assert chat_messages(messages) == [{"role": "user", "content": "hello again"}]


def test_an_answer_that_came_later_is_asked_for_and_given_once_more() -> None:
    messages: list[Message] = [
        CallerSaid("where is it"),
        AgentSaid("Let me see.", "Let me see.", tool_requests=(LOOK,)),
        ToolAnswered("call-1", "look", '{"status": "pending"}', pending=True),
        ToolAnswered("call-1", "look", '{"where": "here"}'),
    ]
    written = chat_messages(messages)
    assert [message["role"] for message in written] == ["user", "assistant", "tool", "assistant", "tool"]
    assert written[-1]["content"] == '{"where": "here"}'
    assert written[-2]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"what": "order"}'}
    assert wrong_with({"model": "m", "messages": written}) is None


def test_arguments_that_are_no_json_do_not_end_the_conversation() -> None:
    broken = ToolRequest("call-1", "look", '{"what": ')
    (_, message, _) = chat_messages(
        [CallerSaid("x"), AgentSaid("", tool_requests=(broken,)), ToolAnswered("call-1", "look", "bad")]
    )
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """What a history may hold: replies heard or not, requests answered at once, later, never."""
    history = History("Be brief.")
    open_requests: list[str] = []
    for turn in range(draw(st.integers(0, 6))):
        late = [
            ToolAnswered(request, "look", "late", failed=draw(st.booleans()))
            for request in open_requests
            if draw(st.booleans())
        ]
        open_requests = [it for it in open_requests if it not in {answer.request_id for answer in late}]
        requests = tuple(
            ToolRequest(f"call-{turn}-{number}", "look", draw(st.sampled_from(["{}", "{bad", '{"a": 1}'])))
            for number in range(draw(st.integers(0, 2)))
        )
        heard = draw(st.sampled_from(["", "yes", "yes it is"]))
        prelude: list[Message] = [*late]
        if draw(st.booleans()) or not late:
            prelude.append(CallerSaid("turn"))
        answers = []
        for request in requests:
            pending = draw(st.booleans())
            answers.append(ToolAnswered(request.id, "look", "an answer", pending=pending))
            open_requests += [request.id] if pending else []
        said = AgentSaid(heard, "yes it is", interrupted=heard != "yes it is", tool_requests=requests)
        history.settle(prelude, said, answers)
    return list(history.messages((CallerSaid("and now"),)))


@given(conversations())
def test_every_conversation_is_allowed(messages: list[Message]) -> None:
    written = chat_messages(messages)
    assert wrong_with({"model": "m", "messages": written}) is None
    told = [str(message["content"]) for message in written]
    for message in messages:
        if isinstance(message, ToolAnswered) and message.text == "late":
            assert "late" in told


def test_a_history_whose_beginning_was_forgotten_is_allowed() -> None:
    messages: list[Message] = [ToolAnswered("call-9", "look", "an answer"), CallerSaid("and now")]
    assert wrong_with({"model": "m", "messages": chat_messages(messages)}) is None


def test_the_ids_of_another_server_are_short_enough_for_this_one() -> None:
    request = ToolRequest("chatcmpl-tool-" + "a" * 32, "look", "{}")
    messages: list[Message] = [
        CallerSaid("where is it"),
        AgentSaid("", tool_requests=(request,)),
        ToolAnswered(request.id, "look", '{"status": "pending"}', pending=True),
        CallerSaid("well?"),
        ToolAnswered(request.id, "look", "here"),
    ]
    written = chat_messages(messages)
    assert wrong_with({"model": "m", "messages": written}) is None
    ids = [message["tool_call_id"] for message in written if message["role"] == "tool"]
    assert len(set(ids)) == 2
    assert chat_messages(messages) == written, "a server's cache knows the conversation again"


def test_one_id_for_two_requests_does_not_end_the_conversation() -> None:
    twice = (ToolRequest("call-1", "look", "{}"), ToolRequest("call-1", "look", '{"what": "x"}'))
    messages: list[Message] = [
        CallerSaid("x"),
        AgentSaid("", tool_requests=twice),
        ToolAnswered("call-1", "look", "a"),
        ToolAnswered("call-1", "look", "b"),
    ]
    assert wrong_with({"model": "m", "messages": chat_messages(messages)}) is None


def test_half_a_character_does_not_end_the_conversation() -> None:
    messages: list[Message] = [
        CallerSaid("x"),
        AgentSaid("", tool_requests=(LOOK,)),
        ToolAnswered("call-1", "look", "a face: \ud83d"),
    ]
    assert chat_messages(messages)[-1]["content"] == "a face: ?"


def test_arguments_that_nest_too_deeply_do_not_end_the_conversation() -> None:
    deep = ToolRequest("call-1", "look", "[" * 100_000)
    (message, _) = chat_messages([AgentSaid("", tool_requests=(deep,))])
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"
