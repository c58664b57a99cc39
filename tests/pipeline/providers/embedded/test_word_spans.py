"""Which written word a spoken word belongs to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.providers.embedded.word_spans import matched, words


def owners(written: str, spoken: str) -> list[int]:
    return matched(written.split(), spoken.split())


def test_words_keep_their_punctuation() -> None:
    text = " Hello,  world! "
    assert [text[start:end] for start, end in words(text)] == ["Hello,", "world!"]


def test_the_same_words_match() -> None:
    assert owners("Hello there, you", "Hello there, you") == [0, 1, 2]


def test_what_one_word_became_belongs_to_it() -> None:
    assert owners("It costs $5 now", "It costs five dollars now") == [0, 1, 2, 2, 3]


def test_what_two_words_became_is_shared_out() -> None:
    assert owners("at 5:30 pm today", "at five thirty P.M. today") == [0, 1, 1, 2, 3]


def test_an_added_word_belongs_to_the_one_before() -> None:
    assert owners("call 44 now", "call plus 44 now") == [0, 0, 1, 2]
    assert owners("44 now", "plus 44 now") == [0, 0, 1]


@given(
    st.lists(st.sampled_from(["a", "bb", "ccc", "$5", "12"]), min_size=1, max_size=12),
    st.lists(st.sampled_from(["a", "bb", "five", "dollars", "twelve"]), max_size=12),
)
def test_owners_never_go_back_and_never_leave_the_text(written: list[str], spoken: list[str]) -> None:
    result = matched(written, spoken)
    assert len(result) == len(spoken)
    assert result == sorted(result)
    assert all(0 <= owner < len(written) for owner in result)
