"""Tokens to text and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.providers.embedded.byte_pairs import decode, encode, loop_free, period

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
        ("the cat and the dog", "the cat and the dog"),
        ("", ""),
    ],
)
def test_a_text_that_says_itself_again_is_cut(heard: str, said: str) -> None:
    assert loop_free(heard, 10.0) == said


@pytest.mark.parametrize(
    ("text", "spoken_s"),
    [
        ("no no no", 1.0),
        ("1 2 1 2 1 2", 1.5),
        ("5 5 5", 0.9),
        ("5 5 5 0 1 9 2", 0.5),
        ("12 12 12", 1.4),
        ("10, 10.", 0.7),
        ("12", 0.1),
        ("555-0192", 0.1),
    ],
)
def test_words_and_digits_said_again_are_kept_where_there_was_time_for_them(
    text: str, spoken_s: float
) -> None:
    assert loop_free(text, spoken_s) == text


@pytest.mark.parametrize(
    ("heard", "spoken_s", "said"),
    [
        ("12 12 12 12 12 12 12 12 12", 0.6, "12"),
        ("22. 22. 22. 22. 22", 0.9, "22."),
        ("10, 10, 10, 10, 10", 0.8, "10"),
        ("no no no no no no", 0.5, "no"),
        ("2 3 4 5 6 2 3 4 5 6 2", 1.4, "2 3 4 5 6"),
    ],
)
def test_a_loop_too_long_for_its_sound_is_cut(heard: str, spoken_s: float, said: str) -> None:
    assert loop_free(heard, spoken_s) == said


@given(
    st.lists(st.sampled_from(["yes", "1", "12", "a", "cake,"]), max_size=12),
    st.floats(0, 5),
)
def test_only_the_end_of_a_text_is_ever_cut(words: list[str], spoken_s: float) -> None:
    text = " ".join(words)
    assert text.startswith(loop_free(text, spoken_s))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("12", 0),
        ("8 8", 1),
        ("No, no, no.", 1),
        ("1 2 1 2", 2),
        ("go on now go", 0),
        ("a b c a b", 3),
    ],
)
def test_a_period_is_told_in_words(text: str, words: int) -> None:
    assert period(text) == words
