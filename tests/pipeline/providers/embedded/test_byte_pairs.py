"""Tokens to text and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.providers.embedded.byte_pairs import decode, encode, loop_free

BYTES = {
    decode_key: number
    for number, decode_key in enumerate(chr(c) for c in [*range(33, 127), *range(161, 324)])
}
MERGED = ["Ġt", "he", "Ġthe", "Ġc", "at", "Ġcat", "re", "'re"]
VOCABULARY = BYTES | {token: len(BYTES) + rank for rank, token in enumerate(MERGED)}
NAMES = {number: token for token, number in VOCABULARY.items()}


def tokens(text: str) -> list[str]:
    return [NAMES[number] for number in encode(text, VOCABULARY)]


def test_the_earliest_merges_come_first() -> None:
    assert tokens(" the cat") == ["Ġthe", "Ġcat"]
    assert tokens(" that") == ["Ġt", "h", "at"]
    assert tokens("you're") == ["y", "o", "u", "'re"]


@given(st.text(max_size=60))
def test_every_text_comes_back(text: str) -> None:
    encodable = text.replace("_", "")
    assert decode(tokens(encodable)) == encodable


def test_special_tokens_and_broken_characters_are_left_out() -> None:
    assert decode(["<|startoftranscript|>", "Ġcaf", "Ã", "©", "Ã"]) == " café"


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("What is the time? What is the time?", "What is the time?"),
        ("what is the time what is", "what is the time"),
        ("Go on. Go on. Go on.", "Go on."),
        ("no no no", "no no no"),
        ("1 2 1 2 1 2", "1 2 1 2 1 2"),
        ("the cat and the dog", "the cat and the dog"),
        ("", ""),
    ],
)
def test_a_text_that_says_itself_again_is_cut(heard: str, said: str) -> None:
    assert loop_free(heard) == said
