"""The dialect of the multi-context socket, and the times of words, without any socket."""

from __future__ import annotations

import base64
import json
import math
from itertools import pairwise
from typing import Any

import pytest
from elevenlabs.types import WebsocketTtsClientMessageMulti
from hypothesis import given
from hypothesis import strategies as st

from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused
from offhook.pipeline.ports import SpokenAudio
from offhook.pipeline.providers.elevenlabs_clause import BYTES_PER_S, Clause, SpokenCharacters
from offhook.pipeline.providers.elevenlabs_contexts import (
    CLOSE_SOCKET,
    CLOSING_S,
    QUIET_S,
    SETTLE_S,
    STALLED_S,
    Contexts,
)

PER_SIGN_MS = 50


def clause(text: str = "Hello there.", reply: int = 1) -> Clause:
    return Clause(text, reply, lambda: None)


def sent(messages: list[str]) -> list[dict[str, Any]]:
    """What we send, each message of a shape that the vendor's SDK knows."""
    fields = [json.loads(message) for message in messages]
    for each in fields:
        assert set(each) <= set(WebsocketTtsClientMessageMulti.model_fields), each
        WebsocketTtsClientMessageMulti.model_validate(each)
    return fields


def audio(context: str, text: str | None, size: int = 4000, **more: Any) -> str:
    alignment = None
    if text is not None:
        alignment = {
            "chars": list(text),
            "charStartTimesMs": [place * PER_SIGN_MS for place in range(len(text))],
            "charDurationsMs": [PER_SIGN_MS] * len(text),
        }
    fields = {"audio": base64.b64encode(bytes(size)).decode(), "contextId": context, "alignment": alignment}
    return json.dumps({**fields, **more})


def final(context: str) -> str:
    return json.dumps({"isFinal": True, "contextId": context})


def pieces_of(spoken: Clause) -> list[SpokenAudio]:
    return list(iter(spoken.take, None))


# ----------------------------------------------------------- times of words

texts = st.lists(st.text(st.characters(codec="utf-8"), max_size=8)).map(" ".join)


@given(texts, st.data())
def test_every_word_is_told_once_in_order_however_the_characters_are_portioned(
    text: str, data: st.DataObject
) -> None:
    spoken = clause(text)
    odd_spaces = st.sampled_from(["", " ", "  ", "\n"])
    signs: list[str] = []
    for sign in f"{text.strip()} ":
        signs += [*data.draw(odd_spaces), sign] if sign.isspace() else [sign]
    pieces: list[SpokenAudio] = []
    while signs:
        count = data.draw(st.integers(1, len(signs)))
        mine, signs = signs[:count], signs[count:]
        starts = [place * 0.05 + data.draw(st.floats(-0.01, 0.01)) for place in range(count)]
        ends = [start + data.draw(st.floats(0, 0.06)) for start in starts]
        spoken.add(bytes(round(count * 0.05 * BYTES_PER_S)), SpokenCharacters(mine, starts, ends))
        pieces += pieces_of(spoken)
    words = [word for piece in pieces for word in piece.words]
    assert [text[word.start_char : word.end_char] for word in words] == text.split()
    assert all(word.start_s <= word.end_s for word in words)
    assert all(word.end_s <= later.start_s for word, later in pairwise(words))
    assert spoken.complete


@given(st.integers(1, 40_000), st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=30))
def test_a_word_comes_with_the_piece_it_begins_in(size: int, words: list[str]) -> None:
    text = " ".join(words)
    spoken = clause(text)
    starts = [place * size / BYTES_PER_S / len(text) for place in range(len(text))]
    spoken.add(bytes(size), SpokenCharacters(list(text), starts, starts))
    before = 0
    for piece in pieces_of(spoken):
        for word in piece.words:
            assert before <= word.start_s * BYTES_PER_S + 1
            assert word.start_s * BYTES_PER_S < before + len(piece.audio) + 1
        before += len(piece.audio)
    assert before == size


def test_times_count_from_the_first_byte_of_the_clause() -> None:
    spoken = clause("so far")
    spoken.add(
        bytes(4000), SpokenCharacters(["s", "o", " ", "f"], [0.1, 0.2, 0.3, 0.4], [0.2, 0.3, 0.4, 0.5])
    )
    spoken.add(bytes(4000), SpokenCharacters(["a", "r", " "], [0.0, 0.1, 0.2], [0.1, 0.25, 0.3]))
    words = [word for piece in pieces_of(spoken) for word in piece.words]
    assert [(word.start_s, round(word.end_s, 3)) for word in words] == [(0.1, 0.3), (0.4, 0.75)]


# ------------------------------------------------------------------ contexts


def test_a_context_is_opened_by_a_space_with_the_settings_and_then_given_its_clauses() -> None:
    contexts = Contexts({"speed": 1.1})
    first = clause("Hello there.")
    opened, spoken = sent(contexts.begin(first, 0))
    context = opened["context_id"]
    assert opened == {"text": " ", "voice_settings": {"speed": 1.1}, "context_id": context}
    assert spoken == {"text": "Hello there. ", "flush": True, "context_id": context}
    assert contexts.receive(audio(context, "Hello there. ", 8000), 0.2) == []
    assert first.over
    assert sent(contexts.begin(clause("And more."), 1)) == [
        {"text": "And more. ", "flush": True, "context_id": context}
    ]
    assert sent([CLOSE_SOCKET]) == [{"close_socket": True}]


def test_a_reply_that_is_over_closes_its_context_when_it_has_spoken() -> None:
    contexts = Contexts({})
    speaking = clause("Hello.")
    context = sent(contexts.begin(speaking, 0))[0]["context_id"]
    assert contexts.reply_over(1, 0.1) == []
    close = contexts.receive(audio(context, "Hello. "), 0.2)
    assert sent(close) == [{"close_context": True, "context_id": context}]
    assert speaking.over
    assert contexts.reply_over(1, 0.3) == []


def test_a_clause_waits_for_the_audio_of_its_last_character() -> None:
    contexts = Contexts({})
    speaking = clause("Hi.")
    context = sent(contexts.begin(speaking, 0))[0]["context_id"]
    contexts.receive(audio(context, "Hi.", size=400), 0.1)
    assert not speaking.over
    contexts.receive(audio(context, " ", size=800), 0.2)
    assert speaking.over


def test_audio_without_alignment_is_at_its_end_when_nothing_more_comes() -> None:
    contexts = Contexts({})
    speaking = clause()
    assert contexts.settles_at(speaking) == math.inf
    context = sent(contexts.begin(speaking, 0))[0]["context_id"]
    assert contexts.settles_at(speaking) == math.inf
    contexts.receive(audio(context, None), 1)
    assert contexts.settles_at(speaking) == 1 + QUIET_S
    assert contexts.settle(speaking, 1.2) == []
    assert sent(contexts.settle(speaking, 1.5)) == [{"close_context": True, "context_id": context}]
    contexts.receive(audio(context, None), 1.6)
    contexts.receive(final(context), 1.7)
    assert speaking.over
    assert speaking.error is None
    assert speaking.received_bytes == 8000
    # The next clause of the reply has a context of its own.
    assert sent(contexts.begin(clause("More."), 2))[0]["context_id"] != context


@pytest.mark.parametrize(("text", "reason"), [(None, None), ("Hell", "a clause broke off")])
def test_without_a_final_message_a_clause_ends_after_two_seconds(
    text: str | None, reason: str | None
) -> None:
    contexts = Contexts({})
    speaking = clause()
    context = sent(contexts.begin(speaking, 0))[0]["context_id"]
    contexts.receive(audio(context, text), 1)
    contexts.settle(speaking, 1 + QUIET_S)
    assert contexts.settles_at(speaking) == 1 + QUIET_S + SETTLE_S
    contexts.settle(speaking, 1 + QUIET_S + SETTLE_S)
    assert speaking.over
    assert (speaking.error and speaking.error.reason) == reason
    assert contexts.stalled(speaking, 1 + QUIET_S + STALLED_S) == (reason is not None)


def test_a_cut_closes_the_context_even_if_all_audio_had_come() -> None:
    contexts = Contexts({})
    speaking = clause("Hello.")
    context = sent(contexts.begin(speaking, 0))[0]["context_id"]
    contexts.receive(audio(context, "Hello. "), 0.2)
    close = contexts.leave(speaking, early=True, now=0.3)
    assert sent(close) == [{"close_context": True, "context_id": context}]
    contexts.receive(audio(context, "late"), 0.4)
    assert contexts.stale == 1


def test_a_clause_that_crosses_with_the_end_of_its_idle_context_is_spoken_in_another() -> None:
    contexts = Contexts({"stability": 0.5})
    context = sent(contexts.begin(clause("One."), 0))[0]["context_id"]
    contexts.receive(audio(context, "One. "), 0.1)
    again = clause("Two.")
    contexts.begin(again, 180)
    close, opened, spoken = sent(contexts.receive(final(context), 180.1))
    assert close == {"close_context": True, "context_id": context}
    assert opened["voice_settings"] == {"stability": 0.5}
    assert opened["context_id"] == spoken["context_id"] != context
    assert spoken["text"] == "Two. "
    contexts.receive(audio(spoken["context_id"], "Two. "), 180.2)
    assert again.over
    assert again.error is None


def test_a_context_that_ends_without_any_audio_is_an_error() -> None:
    contexts = Contexts({})
    speaking = clause()
    context = sent(contexts.begin(speaking, 0))[0]["context_id"]
    contexts.receive(final(context), 0.1)
    assert isinstance(speaking.error, ProviderError)


def test_four_closing_contexts_leave_no_room_until_one_ends_or_is_silent_for_long() -> None:
    contexts = Contexts({})
    names = []
    for reply in range(4):
        cut = clause(reply=reply)
        assert contexts.room(reply, 0)
        names.append(sent(contexts.begin(cut, 0))[0]["context_id"])
        contexts.leave(cut, early=True, now=reply / 10)
    assert not contexts.room(9, 1)
    contexts.receive(final(names[2]), 1)
    assert contexts.room(9, 1)
    cut = clause(reply=9)
    contexts.begin(cut, 1)
    contexts.leave(cut, early=True, now=1)
    assert not contexts.room(10, 1.5)
    contexts.receive(audio(names[0], "it is still speaking"), 2.9)
    assert contexts.next_room_at() == 0.1 + CLOSING_S
    assert not contexts.room(10, 3.05)
    assert contexts.room(10, 3.1)


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("max_active_conversations", ProviderBusy, "max_active_conversations"),
        ("quota_exceeded", ProviderRefused, "quota_exceeded"),
        ("input_timeout_exceeded", ProviderError, "input_timeout_exceeded"),
        ("He said: my number is 555", ProviderError, "error"),
    ],
)
def test_of_the_vendors_error_only_the_code_is_kept(
    code: str, kind: type[ProviderError], reason: str
) -> None:
    contexts = Contexts({})
    with pytest.raises(ProviderError) as failure:
        contexts.receive(json.dumps({"message": "secret words", "error": code, "code": 1008}), 0)
    assert type(failure.value) is kind
    assert failure.value.reason == reason


def test_an_error_of_one_context_fails_its_clause_alone() -> None:
    contexts = Contexts({})
    bad, good = clause(reply=1), clause(reply=2)
    context = sent(contexts.begin(bad, 0))[0]["context_id"]
    contexts.begin(good, 0)
    contexts.receive(json.dumps({"error": "some_error", "contextId": context}), 1)
    assert bad.error is not None
    assert not good.over


@given(st.one_of(st.binary(), st.text().map(str.encode), st.from_type(dict).map(str).map(str.encode)))
def test_nothing_that_comes_in_breaks_the_reader(message: bytes) -> None:
    contexts = Contexts({})
    contexts.begin(clause(), 0)
    contexts.receive(message, 1)


@pytest.mark.parametrize(
    "alignment",
    [7, {"chars": None}, {"chars": ["a"], "charStartTimesMs": ["x"], "charDurationsMs": [1]}, []],
)
def test_audio_with_a_malformed_alignment_is_still_audio(alignment: Any) -> None:
    contexts = Contexts({})
    speaking = clause()
    context = sent(contexts.begin(speaking, 0))[0]["context_id"]
    contexts.receive(audio(context, None, alignment=alignment), 1)
    assert speaking.received_bytes == 4000
    assert contexts.malformed == 1
