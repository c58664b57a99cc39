"""Every answer is read, however a server streams it and however the network cuts it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.config.errors import ProviderError
from offhook.pipeline.messages import ModelDelta, TextDelta, ToolRequest
from offhook.pipeline.providers.openai_stream import ChatReader


def event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def chunk(content: str | None = None, finish: str | None = None, **delta: Any) -> bytes:
    said = {"content": content, **delta}
    return event({"choices": [{"index": 0, "delta": said, "finish_reason": finish}]})


def piece(
    index: int | None, arguments: str | None = "", name: str | None = None, id_: str | None = None
) -> bytes:
    call: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    call |= {} if index is None else {"index": index}
    call |= {} if id_ is None else {"id": id_}
    return chunk(tool_calls=[call])


def read(*received: bytes, reader: ChatReader | None = None) -> list[ModelDelta]:
    reader = reader or ChatReader()
    return [delta for item in received for delta in reader.feed(item)]


def text_of(*received: bytes) -> str:
    return "".join(delta.text for delta in read(*received) if isinstance(delta, TextDelta))


def tools_of(*received: bytes) -> list[tuple[str, str, str]]:
    return [(it.id, it.name, it.arguments) for it in read(*received) if isinstance(it, ToolRequest)]


DONE = event(b"[DONE]")
STOP = chunk(finish="stop")
ASKED = chunk(finish="tool_calls")

# -------------------------------------------------------------------- text


def test_what_a_local_model_thinks_aloud_is_not_spoken() -> None:
    said = ("Well. <thi", "nk>the caller wants", " x</th", "ink>It is here.")
    assert text_of(*(chunk(text) for text in said), STOP) == "Well. It is here."
    assert text_of(chunk(None, reasoning_content="hm"), chunk(None, reasoning="hm"), chunk("Yes.")) == "Yes."


@given(st.text("ab<>/thinkTHINK ", max_size=40), st.lists(st.integers(1, 7), min_size=1))
def test_text_without_whole_tags_comes_through_however_it_is_cut(text: str, sizes: list[int]) -> None:
    if "<think>" in text or "</think>" in text:
        return
    pieces, rest = [], text
    for size in sizes * len(text):
        pieces.append(rest[:size])
        rest = rest[size:]
    assert text_of(*(chunk(part) for part in pieces if part), chunk(rest, finish="stop")) == text


@given(st.lists(st.integers(1, 60), min_size=1), st.sampled_from([b"\n", b"\r\n"]))
def test_the_network_may_cut_the_body_anywhere(sizes: list[int], line_end: bytes) -> None:
    body = (
        b": waiting\n\nevent: message\n" + chunk("Grüße — 你好.") + piece(0, "{}", "look", "a") + ASKED + DONE
    )
    body, parts = body.replace(b"\n", line_end), []
    for size in sizes * len(body):
        parts.append(body[:size])
        body = body[size:]
    deltas = read(*parts)
    assert deltas[0] == TextDelta("Grüße — 你好.")
    assert deltas[-1] == ToolRequest("a", "look", "{}")


def test_a_chunk_without_choices_says_nothing() -> None:
    assert read(event({"choices": []}), event({"choices": None}), event({})) == []
    assert read(event({"choices": [{"index": 0}]}), event({"choices": [{"delta": None}]})) == []


# ------------------------------------------------------------------ the end


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "function_call", "something new"])
def test_any_reason_to_finish_finishes(reason: str) -> None:
    reader = ChatReader()
    assert read(chunk("Yes."), chunk(None, reason), reader=reader)
    assert reader.finished


def test_an_answer_without_a_reason_to_finish_is_whole_when_the_server_says_done() -> None:
    reader = ChatReader()
    deltas = read(chunk("Yes."), piece(0, "{}", "look", "a"), DONE, reader=reader)
    assert (reader.finished, deltas[-1]) == (True, ToolRequest("a", "look", "{}"))


def test_what_follows_the_end_says_nothing() -> None:
    assert text_of(chunk("Yes."), STOP, chunk("No."), event(b"{bad"), DONE) == "Yes."


@pytest.mark.parametrize(("reason", "why"), [("content_filter", "filtered"), ("length", "limit")])
def test_an_answer_that_ends_before_its_first_word_is_an_error(reason: str, why: str) -> None:
    with pytest.raises(ProviderError, match=why):
        read(chunk("<think>Let me see"), chunk(None, reason))


@pytest.mark.parametrize(
    "bad",
    [
        event(b"{no json"),
        event(b"[]"),
        event(b"7"),
        event({"choices": 7}),
        event({"choices": ["x"]}),
        event({"choices": [{"delta": {"content": ["x"]}}]}),
        event({"choices": [{"delta": {"tool_calls": [7]}}]}),
        event(b"[" * 100_000),
        event(b"\xff"),
        b"x" * 1_000_001,
        event({"error": {"message": "sk-key hello", "type": "server_error"}}),
    ],
)
def test_what_cannot_be_read_is_an_error_that_repeats_nothing_of_it(bad: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        read(chunk("Yes."), bad)
    assert caught.value.reason in (
        "the answer cannot be read",
        "the server reported an error in its answer",
    )


# -------------------------------------------------------------------- tools


def test_arguments_in_pieces_are_joined_by_their_index() -> None:
    received = (
        piece(0, "", "look", "a"),
        piece(0, '{"x": '),
        piece(0, "1}"),
        piece(1, None, "see", "b"),
        ASKED,
    )
    assert tools_of(*received) == [("a", "look", '{"x": 1}'), ("b", "see", "{}")]
    assert TextDelta("") in read(*received), "a sign of life while arguments stream"


def test_a_request_is_given_when_the_next_one_begins() -> None:
    assert tools_of(piece(0, "{}", "look", "a"), piece(1, "", "see", "b")) == [("a", "look", "{}")]


def test_whole_requests_without_an_index_are_several() -> None:
    received = (piece(None, '{"x":1}', "look", "a"), piece(None, '{"x":2}', "look", "b"), ASKED)
    assert tools_of(*received) == [("a", "look", '{"x":1}'), ("b", "look", '{"x":2}')]


def test_pieces_without_an_index_belong_to_the_request_before_them() -> None:
    received = (piece(None, '{"x"', "look", "a"), piece(None, ":1}"), ASKED)
    assert tools_of(*received) == [("a", "look", '{"x":1}')]


def test_requests_under_one_index_are_several_if_their_ids_differ() -> None:
    received = (piece(0, '{"x":1}', "look", "a"), piece(0, '{"x":2}', "look", "b"), ASKED)
    assert tools_of(*received) == [("a", "look", '{"x":1}'), ("b", "look", '{"x":2}')]


def test_an_id_and_a_name_that_every_piece_repeats_are_one_request() -> None:
    received = (piece(0, '{"x":', "look", "a"), piece(0, "1}", "look", "a"), ASKED)
    assert tools_of(*received) == [("a", "look", '{"x":1}')]


@pytest.mark.parametrize("id_", [None, "", "call_0"])
def test_every_request_has_an_id_of_its_own(id_: str | None) -> None:
    reader = ChatReader(taken={"call_0"})
    deltas = read(piece(0, "{}", "look", id_), piece(1, "{}", "look", id_), ASKED, reader=reader)
    ids = [delta.id for delta in deltas if isinstance(delta, ToolRequest)]
    assert len(set(ids) - {"", "call_0"}) == 2
